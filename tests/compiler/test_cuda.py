"""What the CUDA writer writes: NVRTC compiles it, and on the emulator it gives NumPy's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_steps import ARCHITECTURES, check_all, compile_by_nvrtc
from random_graphs import random_graph
from steps import FLOAT, LONG, make_graph, mlp_step
from test_operations import CASES, DTYPES, IDS, RANDOM, ROWS_AND_COLUMNS, accepts, make, real, rows, zeros

from rushlight.arrays import symbolic as xp
from rushlight.arrays.protocol import BINARY, UNARY
from rushlight.compiler.cuda import Kernel
from rushlight.compiler.graph import Graph


def check(cases: list[tuple[Graph, list[np.ndarray]]], tolerance: float = 1e-5) -> list[Any]:
    programs, source = check_all(cases, tolerance)
    for architecture in ARCHITECTURES:
        assert compile_by_nvrtc(source, architecture)
    return programs


def case(function: Any, *arrays: np.ndarray, targets: list[int | None] | None = None) -> tuple[Graph, list[np.ndarray]]:
    return make_graph(function, list(arrays), targets), list(arrays)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_random_graphs(first: int) -> None:
    check([random_graph(seed, size=20) for seed in range(first, first + 20)], tolerance=1e-4)


def test_cases_of_the_compiler() -> None:
    check([case(function, *arrays) for function, *arrays in CASES.values()], tolerance=2e-5)


@pytest.mark.parametrize("method", ["sgd", "adagrad", "adam"])
def test_training_steps(method: str) -> None:
    check([mlp_step([20, 16, 10], 12, method)], tolerance=2e-5)


ALL_DTYPES = DTYPES + "bhHIL"


def test_unary_operations() -> None:
    cases = []
    for op in (*UNARY, "erf"):
        chars = [c for c in ALL_DTYPES if accepts(op, c, 1)]
        cases.append(case(lambda *xs, op=op: [getattr(xp, op)(x) for x in xs], *(make(c, 3, 19) for c in chars)))
    check(cases, tolerance=3e-6)


def test_binary_operations() -> None:
    """Integers to the last bit: floor division, remainders, shifts, what wraps around."""
    cases = []
    for op in (*BINARY, "fmod"):
        chars = [c for c in ALL_DTYPES if accepts(op, c, 2)]
        left = [make(c, 3, 1) for c in chars]
        right = [abs(make(c, 1, 19)) % 5 if op == "pow" and c not in "fd?" else make(c, 1, 19) for c in chars]

        def build(*xs: Any, op: str = op, n: int = len(chars)) -> list[Any]:
            return [getattr(xp, op)(x, y) for x, y in zip(xs[:n], xs[n:], strict=True)]

        cases.append(case(build, *left, *right))
    check(cases, tolerance=3e-6)


def test_integers_are_exact() -> None:
    numbers = {c: np.array([np.iinfo(c).min, np.iinfo(c).max, 0, 1, 7, 3, 100], c) for c in "bhilBHIL"}
    ops = ("add", "subtract", "multiply", "floor_divide", "remainder", "bitwise_left_shift", "bitwise_right_shift")
    cases = []
    for numbers_of_one in numbers.values():
        x, y = numbers_of_one[:, None].copy(), numbers_of_one[None].copy()
        cases.append(case(lambda x, y: [getattr(xp, op)(x, y) for op in ops], x, y))
    check(cases, tolerance=0)


def test_casts() -> None:
    cases = []
    for char in ALL_DTYPES:
        x = make(char, 3, 20)
        cases.append(case(lambda x: [xp.astype(x, np.dtype(c)) for c in ALL_DTYPES], x if char == "?" else abs(x)))
    check(cases, tolerance=0)


@pytest.mark.parametrize("op", ["sum", "prod", "max", "min", "any", "all"])
def test_reductions(op: str) -> None:
    reduce = getattr(xp, op)
    axes = (None, 0, -1, (0, 2))
    cases = [
        case(lambda x: [reduce(x, axis, keep) for axis in axes for keep in (False, True)], make(char, 3, 2, 21))
        for char in ALL_DTYPES
    ]
    check(cases)


SHAPES = [(3, 7), (90, 33), (2, 1000), (300, 10), (3, 5000), (2, 40000), (40, 64), (2050, 129)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_of_every_length(shape: tuple[int, int]) -> None:
    """Rows for a part of a warp, a warp, a block; kept in registers, or read again."""
    x, w, g = make("f", *shape), make("f", shape[1]), make("f", *shape)
    count = shape[1]

    def softmax(x: Any) -> Any:
        e = xp.exp(x - xp.max(x, -1, True))
        return e / xp.sum(e, -1, True)

    def norm(x: Any, w: Any, g: Any) -> list[Any]:
        centred = x - xp.sum(x, -1, True) / count
        scaled = centred / xp.sqrt(xp.sum(centred * centred, -1, True) / count + 1e-5)
        return [scaled * w, xp.sum(scaled * g, 0), xp.sum(g, 0), xp.sum(xp.sum(centred * g, -1) * 2, 0)]

    check([case(softmax, x), case(norm, x, w, g), case(lambda x: xp.sum(x, -1), x)], tolerance=1e-3)


@pytest.mark.parametrize("shape", [(40000,), (7, 5000), (9000, 3), (50, 30, 20), (600, 66)], ids=str)
def test_sums_by_several_blocks(shape: tuple[int, ...]) -> None:
    x = make("f", *shape)
    axes = [None, *range(len(shape))]
    programs = check([case(lambda x: [xp.sum(x * x, axis) for axis in axes], x), case(lambda x: xp.max(x), x)])
    names = [step.name for program in programs for step in program.steps if isinstance(step, Kernel)]
    assert any(name.endswith("_0") for name in names), "no sum was shared"


def test_large_elementwise() -> None:
    """16 bytes at a time, with a rest; rows whose ends are no multiples of that; operands of other layouts."""
    x, y, narrow = make("f", 70001), make("f", 300, 252), make("f", 300, 253)
    check([
        case(lambda x: x * 2 + 1, x),
        case(lambda x, b: [x + b, xp.greater(x, 0), xp.astype(x, np.dtype(np.float64))], y, make("f", 252)),
        case(lambda x: xp.permute_dims(x, (1, 0)) * 2 + xp.reshape(x, (253, 300)), narrow),
        case(lambda x: x[:, 1:] + x[:, :-1], narrow),
    ])  # fmt: skip


@pytest.mark.parametrize("accumulate", [True, False])
def test_index_put(accumulate: bool) -> None:
    """In order, as on the CPU, where several values meet at one place."""
    check([case(
        lambda x, v, w, i, r: [
            xp.index_put(zeros(4, 10), r, rows(4), i[:, 0], spec=ROWS_AND_COLUMNS, accumulate=accumulate),
            xp.index_put(zeros(10, 30), v, i, spec=(("array", 0),), accumulate=accumulate),
            xp.index_put(x, w, i, spec=(slice(None), ("array", 0)), accumulate=accumulate),
        ],
        real(5, 10), real(4, 6, 30), real(4, 6), IDS, real(4),
    ), case(
        lambda v, i: xp.index_put(zeros(50, 8), v, i, spec=(("array", 0),), accumulate=accumulate),
        real(300, 8), RANDOM.integers(-50, 50, 300),
    )])  # fmt: skip


def test_in_place() -> None:
    """An output that is written over an input, which other parts of the nest still read."""
    x, w = real(40, 30), real(30)
    programs = check([
        case(lambda x, w: [x * w, xp.sum(x, 0)], x, w, targets=[0, None]),
        case(lambda x, w: [x - xp.max(x, -1, True), xp.sum(x * x, 0), xp.sum(x)], x, w, targets=[0, 1, None]),
    ])  # fmt: skip
    assert programs


def test_nan_passes_through_extrema() -> None:
    x, y = (np.where(RANDOM.random((9, 40)) < 0.1, np.nan, real(9, 40)).astype(FLOAT) for _ in range(2))
    check([case(lambda x, y: [xp.maximum(x, y), xp.minimum(x, 0), xp.max(x, 1), xp.min(x, 0), xp.max(x)], x, y)])


@pytest.mark.parametrize("wrong", [4, -5, 2**62, -(2**63)])
def test_an_index_out_of_bounds_is_told(wrong: int) -> None:
    (program,) = check([case(lambda x, i: xp.take(x, i, 0), real(4, 10), np.array([0, -4], LONG))])
    from cuda_steps import NUMBER, PRELUDE, emulator

    module = emulator.load(PRELUDE + program.text)
    program.run(module, [real(4, 10), np.array([3, -4], LONG)])
    assert not program.found.any()
    program.run(module, [real(4, 10), np.array([0, wrong], LONG)])
    assert program.found.tolist() == [NUMBER, wrong, 4]


@pytest.mark.parametrize("char", "eE")
def test_half_precision(char: str) -> None:
    """In float32, rounded after each operation: the numbers that the operations give one by one."""
    import ml_dtypes

    dtype = np.dtype(np.float16 if char == "e" else ml_dtypes.bfloat16)
    x, y = make("f", 40, 64).astype(dtype), make("f", 64).astype(dtype)

    def build(x: Any, y: Any) -> list[Any]:
        wide = xp.astype(x, FLOAT)
        e = xp.exp(wide - xp.max(wide, -1, True))
        return [xp.astype(e / xp.sum(e, -1, True), dtype), x * y + x, xp.maximum(x, y), xp.astype(x, FLOAT) * 2]

    check([case(build, x, y)], tolerance=1e-6 if char == "e" else 1e-2)
