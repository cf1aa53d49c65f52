"""Every operation, compiled, gives what the interpreter gives."""

from __future__ import annotations

import numpy as np
import pytest
from steps import FLOAT, LONG, check

from rushlight.arrays import symbolic as xp
from rushlight.arrays.protocol import BINARY, UNARY

DTYPES = "fdli?B"
RANDOM = np.random.default_rng(0)


def make(char: str, *shape: int) -> np.ndarray:
    dtype = np.dtype(char)
    if dtype.kind == "f":
        return np.asarray(RANDOM.standard_normal(shape) * 2, dtype)
    low, high = (0, 2) if dtype.kind == "b" else (0, 100) if dtype.kind == "u" else (-50, 50)
    return np.asarray(RANDOM.integers(low, high, shape), dtype)


def real(*shape: int) -> np.ndarray:
    return make("f", *shape)


def accepts(op: str, char: str, arity: int) -> bool:
    try:
        getattr(xp, op)(*[xp.meta((1,), np.dtype(char))] * arity)
    except TypeError:
        return False
    return not (op == "reciprocal" and char not in "fd")


@pytest.mark.parametrize("op", [*UNARY, "erf"])
def test_unary(op: str) -> None:
    chars = [c for c in DTYPES if accepts(op, c, 1)]
    check(
        lambda *xs: [getattr(xp, op)(x) for x in xs],
        *(make(c, 3, 19) for c in chars),
        *(make(c) for c in chars[:2]),
        tolerance=2e-6,
    )


@pytest.mark.parametrize("op", [*BINARY, "fmod"])
def test_binary(op: str) -> None:
    chars = [c for c in DTYPES if accepts(op, c, 2)]
    left = [make(c, 3, 1) for c in chars]
    right = [abs(make(c, 1, 19)) % 5 if op == "pow" and c not in "fd?" else make(c, 1, 19) for c in chars]
    count = len(chars)
    check(
        lambda *xs: [getattr(xp, op)(x, y) for x, y in zip(xs[:count], xs[count:], strict=True)],
        *left,
        *right,
        tolerance=2e-6,
    )


@pytest.mark.parametrize("op", ["sum", "prod", "max", "min", "any", "all"])
@pytest.mark.parametrize("char", DTYPES)
def test_reduction(op: str, char: str) -> None:
    x = make(char, 3, 2, 21)
    reduce = getattr(xp, op)
    check(
        lambda x: [reduce(x, axis, keep) for axis in (None, 0, -1, (0, 2)) for keep in (False, True)],
        x,
    )


@pytest.mark.parametrize("op", ["argmax", "argmin"])
@pytest.mark.parametrize("char", "fliB")
def test_argmax(op: str, char: str) -> None:
    x = make(char, 3, 40, 5) // 4
    if char == "f":
        x[1, 4] = np.nan
    check(lambda x: [getattr(xp, op)(x, axis) for axis in (None, 0, 1, 2)], x)


@pytest.mark.parametrize("char", DTYPES)
def test_astype(char: str) -> None:
    x = make(char, 3, 20)
    check(lambda x: [xp.astype(x, np.dtype(c)) for c in DTYPES], x if char == "?" else abs(x))


IDS = RANDOM.integers(-10, 10, (4, 6))
ROWS_AND_COLUMNS = (("array", 0), ("array", 1))


def zeros(*shape: int) -> xp.SymbolicArray:
    return xp.full(shape, 0, FLOAT)


def rows(count: int) -> xp.SymbolicArray:
    return xp.arange(0, count, 1, LONG)


CASES = {
    "where": (lambda c, x, y: xp.where(c, x, y), make("?", 3, 1), real(3, 20), real(20)),
    "slices": (
        lambda x: [x[1:3], x[::-1], x[:, ::-2] * 2, x[1], x[:, None, 3:], x[..., 0]],
        real(5, 40),
    ),
    "permutations": (
        lambda x: [
            xp.permute_dims(x, (2, 0, 1)),
            xp.permute_dims(x, (2, 0, 1)) + 1,
            xp.reshape(xp.permute_dims(x, (2, 0, 1)), (-1,)) * 2,
        ],
        real(3, 4, 20),
    ),
    "reshapes": (lambda x: xp.reshape(x, (12, 20)) + xp.reshape(x * 2, (12, 20)), real(3, 4, 20)),
    "slice_assign": (
        lambda x, v: [
            xp.slice_assign(x, v, (slice(1, 3), slice(None, None, 2))),
            xp.slice_assign(zeros(4, 20), v * 2, (slice(1, 3), slice(None, None, -2))),
        ],
        real(4, 20),
        real(2, 10),
    ),
    "concat": (
        lambda a, b, c: [xp.concat([a, b * 2, c], 1), xp.concat([a, a + 1], 0) * 2],
        real(3, 4),
        real(3, 20),
        real(3, 1),
    ),
    "matmul": (
        lambda a, b: [xp.matmul(a, b), xp.matmul(b.T, a.T), xp.matmul(a + 1, b)],
        real(5, 40),
        real(40, 7),
    ),
    "matmul_batch": (
        lambda a, b, c: [
            xp.matmul(a, b),
            xp.matmul(a, c),
            xp.matmul(xp.permute_dims(a, (0, 2, 1)), xp.permute_dims(b, (0, 2, 1))),
        ],
        real(3, 5, 5),
        real(3, 5, 5),
        real(5, 8),
    ),
    "matmul_broadcast": (lambda a, b: xp.matmul(a, b), real(2, 1, 5, 6), real(3, 6, 4)),
    "matmul_vector": (lambda a, b: [xp.matmul(a, b), xp.matmul(a[:, 1], a)], real(6, 6), real(6)),
    "matmul_views": (
        lambda a, b: [
            xp.matmul(a[:, 2:5], b[::2, :3]),
            xp.matmul(a[::-1], b),
            xp.matmul(xp.broadcast_to(a[0], (6, 6)), b),
        ],
        real(6, 6),
        real(6, 6),
    ),
    "matmul_double": (lambda a, b: xp.matmul(a, b), make("d", 6, 5), make("d", 5, 6)),
    "matmul_long": (lambda a, b: xp.matmul(a, b), make("l", 6, 5), make("l", 5, 6)),
    "take": (
        lambda x, i: [xp.take(x, i, 0), xp.take(x.T, i, 1) * 2, xp.take(x, i[0], 1)],
        real(10, 30),
        IDS,
    ),
    "take_along_axis": (lambda x, i: xp.take_along_axis(x, i, 1), real(4, 10), IDS),
    "take_one_per_row": (
        lambda x, i: xp.take_along_axis(x, i, -1),
        real(4, 6, 10),
        RANDOM.integers(0, 10, (4, 6, 1)),
    ),
    "get_one_per_row": (
        lambda x, i: xp.index_get(x, rows(4), i, spec=ROWS_AND_COLUMNS),
        real(4, 10),
        IDS[:, 0].copy(),
    ),
    "index_get": (
        lambda x, i, j: [
            xp.index_get(x, i, j, spec=(("array", 0), slice(None), ("array", 1))),
            xp.index_get(x, i, spec=(slice(1, 3), ("array", 0))),
            xp.index_get(x, i, j, spec=(Ellipsis, ("array", 0), None, ("array", 1))),
        ],
        real(10, 10, 10),
        IDS,
        IDS[:1].copy(),
    ),
    "arange": (
        lambda x: [
            x + xp.arange(0, 20, 1, FLOAT),
            xp.arange(3, -17, -2, LONG),
            xp.arange(0.1, 2.05, 0.1, FLOAT),
        ],
        real(3, 20),
    ),
    "host_in_the_middle": (
        lambda x: [xp.sort(x * 2, 1) + 1, xp.argsort(x, 0), xp.cumulative_sum(x + 1, 0) * 3],
        real(5, 20),
    ),
    "float16_on_the_host": (
        lambda x: xp.astype(xp.astype(x, np.dtype(np.float16)) * 2, FLOAT) + 1,
        real(5, 20),
    ),
    "constants": (
        lambda x: [
            x + xp.symbolic(xp.node_of(np.arange(20.0).astype(FLOAT))),
            xp.full((3,), 2.0, FLOAT),
        ],
        real(3, 20),
    ),
    "outputs_again": (lambda x: [x, x, x + 1, xp.reshape(x, (6, 2))], real(3, 4)),
    "batch_norm": (
        lambda x: (x - xp.reshape(xp.sum(x, (0, 2, 3)), (1, -1, 1, 1))) * 2,
        real(3, 4, 5, 6),
    ),
    "layer_norm": (
        lambda x, w, g: [
            xp.sum((x - xp.sum(x, -1, True) / 20) * g, (0, 1)),
            (x - xp.sum(x, -1, True) / 20) * w,
        ],
        real(3, 4, 20),
        real(20),
        real(3, 4, 20),
    ),
    "softmax_long_rows": (
        lambda x: xp.exp(x - xp.max(x, -1, True)) / xp.sum(xp.exp(x - xp.max(x, -1, True)), -1, True),
        real(5, 1003),
    ),
    "empty": (
        lambda x, y: [xp.sum(x), xp.sum(x, 0), x + 1, xp.matmul(x.T, x), xp.concat([x, y], 0)],
        real(0, 4),
        real(3, 4),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    function, *arrays = CASES[name]
    check(function, *arrays, tolerance=2e-5)


@pytest.mark.parametrize("accumulate", [True, False])
def test_index_put(accumulate: bool) -> None:
    check(
        lambda x, v, w, i, r: [
            xp.index_put(zeros(4, 10), r, rows(4), i[:, 0], spec=ROWS_AND_COLUMNS, accumulate=accumulate),
            xp.index_put(zeros(10, 30), v, i, spec=(("array", 0),), accumulate=accumulate),
            xp.index_put(x, w, i, spec=(slice(None), ("array", 0)), accumulate=accumulate),
        ],
        real(5, 10), real(4, 6, 30), real(4, 6), IDS, real(4),
    )  # fmt: skip


def test_nan_passes_through_extrema() -> None:
    x, y = (np.where(RANDOM.random((9, 40)) < 0.1, np.nan, real(9, 40)).astype(FLOAT) for _ in range(2))
    check(
        lambda x, y: [xp.maximum(x, y), xp.minimum(x, 0), xp.max(x, 1), xp.min(x, 0), xp.max(x)],
        x,
        y,
    )


def test_index_out_of_bounds_raises() -> None:
    from steps import make_graph, run_program

    from rushlight.compiler.program import build_program

    arrays = [real(4, 10), np.array([0, 11])]
    graph = make_graph(lambda x, i: xp.take(x, i, 0), arrays)
    program = build_program(graph, num_threads=1)
    with pytest.raises(IndexError, match="out of bounds"):
        run_program(program, graph, arrays)
    arrays[1][1] = 1
    run_program(program, graph, arrays)
