"""Laws of the passes on random graphs: values before are values after."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import random_graph
from steps import run_program

from rushlight.compiler.graph import Graph, interpret
from rushlight.compiler.loops import Buffer
from rushlight.compiler.memory import plan_arena
from rushlight.compiler.program import build_program
from rushlight.compiler.simplify import simplify
from rushlight.compiler.verify import verify


def assert_same(graph: Graph, arrays: list[np.ndarray], results: list[np.ndarray]) -> None:
    for expected, result in zip(interpret(graph, arrays), results, strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("seed", range(60))
def test_simplify_keeps_values(seed: int) -> None:
    graph, arrays = random_graph(seed)
    simple = verify(simplify(verify(graph)))
    assert_same(graph, arrays, interpret(simple, arrays))
    assert len(simplify(simple).nodes()) == len(simple.nodes())


@pytest.mark.parametrize("seed", range(60))
def test_programs_compute_what_the_interpreter_computes(seed: int) -> None:
    graph, arrays = random_graph(seed, size=20)
    program = build_program(graph, num_threads=1)
    assert_same(graph, arrays, run_program(program, graph, arrays))


def test_arena_keeps_lives_apart() -> None:
    random = np.random.default_rng(0)
    lives = {}
    for number in range(60):
        first = int(random.integers(20))
        buffer = Buffer("arena", number, int(random.integers(1, 500)), np.dtype(np.float32))
        lives[buffer] = (first, first + int(random.integers(6)))
    offsets, size = plan_arena(lives)
    for a in lives:
        assert offsets[a] % 64 == 0
        assert offsets[a] + a.nbytes <= size
        for b in lives:
            meet = lives[a][0] <= lives[b][1] and lives[b][0] <= lives[a][1]
            if a is not b and meet:
                assert offsets[a] + a.nbytes <= offsets[b] or offsets[b] + b.nbytes <= offsets[a]
