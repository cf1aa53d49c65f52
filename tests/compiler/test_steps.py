"""Whole training steps against the interpreter, and the same bits on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest
from steps import make_graph, mlp_step, real_arrays, run_program

from rushlight.arrays import symbolic as xp
from rushlight.compiler.graph import interpret
from rushlight.compiler.loops import Nest
from rushlight.compiler.program import build_program


@pytest.mark.parametrize("method", ["sgd", "adagrad", "adam"])
def test_digits_step(method: str) -> None:
    graph, arrays = mlp_step([64, 64, 10], 64, method)
    program = build_program(graph, num_threads=1)
    want = interpret(graph, arrays)
    for expected, result in zip(want, run_program(program, graph, arrays), strict=True):
        np.testing.assert_allclose(result, expected, rtol=2e-5, atol=3e-4 if method == "adam" else 1e-6)


def test_update_is_one_pass_per_parameter() -> None:
    graph, _ = mlp_step([64, 64, 10], 64, "adam")
    program = build_program(graph, num_threads=1)
    nests = [work for _, work in program.plan.work if isinstance(work, Nest)]
    writers = [nest for nest in nests if any(root.buffer.kind == "input" for root in nest.roots)]
    assert len(writers) == 5  # four parameters with their state, and the step counters together


@pytest.mark.parametrize("sizes", [[784, 256, 10], [300, 33, 7]])
def test_threads_do_not_change_bits(sizes: list[int]) -> None:
    graph, arrays = mlp_step(sizes, 256, "adam")
    one, two = (run_program(build_program(graph, num_threads=threads), graph, arrays) for threads in (1, 2))
    for a, b in zip(one, two, strict=True):
        assert a.tobytes() == b.tobytes()


def test_large_reductions_are_chunked_and_right() -> None:
    arrays = real_arrays((3000, 257), (3000, 257))
    graph = make_graph(
        lambda x, y: [
            xp.sum(x),
            xp.max(x, 0),
            xp.sum(x * y, 0),
            xp.sum(y, 1),
            xp.min(x),
            xp.sum(xp.reshape(x, (30, 100, 257)), (0, 2)),
        ],
        arrays,
    )
    want = interpret(graph, arrays)
    results = []
    for threads in (1, 2):
        program = build_program(graph, num_threads=threads)
        results.append(run_program(program, graph, arrays))
        for expected, result in zip(want, results[-1], strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-2)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(*results, strict=True))
