"""The waist: every name in every kind of array, with the same shapes, dtypes and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import rushlight
from rushlight.arrays import batched, batching, numpy as numpy_arrays, protocol, symbolic as symbolic_arrays
from rushlight.arrays.batched import Batch, BatchedArray
from rushlight.arrays.symbolic import Node, SymbolicArray, symbolic
from rushlight.compiler.graph import Graph, interpret
from rushlight.ops.namespaces import tensor_arrays

KINDS = {"numpy": numpy_arrays, "symbolic": symbolic_arrays, "Tensor": tensor_arrays}
RNG = np.random.default_rng(0)
F = RNG.uniform(0.1, 0.9, (3, 4)).astype(np.float32)
G = RNG.uniform(1.1, 2.0, (4,)).astype(np.float32)
N = RNG.integers(1, 5, (3, 4))
B = RNG.integers(0, 2, (3, 4)).astype(bool)
C = (F + 1j * RNG.uniform(-1, 1, (3, 4))).astype(np.complex64)
FLOAT32, INT64 = np.dtype(np.float32), np.dtype(np.int64)

# name: calls, each a function of (namespace, arrays) and the arrays
CALLS: dict[str, list[tuple[Any, tuple]]] = {
    "where": [(lambda xp, c, x, y: xp.where(c, x, y), (B, F, G)), (lambda xp, c, x: xp.where(c, x, 0.0), (B, F))],
    "matmul": [
        (lambda xp, x, y: xp.matmul(x, y), (F, F.T.copy())), (lambda xp, x, y: xp.matmul(x, y), (F, G)),
        (lambda xp, x, y: xp.matmul(x, y), (G, G)), (lambda xp, x, y: xp.matmul(x, y), (N, N.T.copy())),
    ],
    "arange": [(lambda xp: xp.arange(0, 5, 2, INT64), ()), (lambda xp: xp.arange(0.0, 1.0, 0.25, FLOAT32), ())],
    "full": [(lambda xp: xp.full((2, 3), 1.5, FLOAT32), ()), (lambda xp: xp.full((), 0, INT64), ())],
    "argsort": [
        (lambda xp, x: xp.argsort(x, axis=1), (F,)), (lambda xp, x: xp.argsort(x, axis=0, descending=True), (N,)),
    ],
    "sort": [(lambda xp, x: xp.sort(x, axis=1), (F,)), (lambda xp, x: xp.sort(x, axis=0, descending=True), (N,))],
    "astype": [(lambda xp, x: xp.astype(x, INT64), (F,)), (lambda xp, x: xp.astype(x, FLOAT32), (B,))],
    "broadcast_to": [(lambda xp, x: xp.broadcast_to(x, (3, 4)), (G,))],
    "concat": [(lambda xp, x, y: xp.concat([x, y], axis=0), (F, F)), (lambda xp, x, y: xp.concat([x, y], axis=1), (N, N))],
    "cumulative_sum": [(lambda xp, x: xp.cumulative_sum(x, axis=1), (F,)), (lambda xp, x: xp.cumulative_sum(x, axis=0), (N,))],
    "permute_dims": [(lambda xp, x: xp.permute_dims(x, (1, 0)), (F,))],
    "reshape": [(lambda xp, x: xp.reshape(x, (2, 6)), (F,)), (lambda xp, x: xp.reshape(x, (-1,)), (N,))],
    "conj": [(lambda xp, x: xp.conj(x), (C,)), (lambda xp, x: xp.conj(x), (F,))],
    "real": [(lambda xp, x: xp.real(x), (C,)), (lambda xp, x: xp.real(x), (F,))],
    "imag": [(lambda xp, x: xp.imag(x), (C,)), (lambda xp, x: xp.imag(x), (F,))],
    "complex": [(lambda xp, x, y: xp.complex(x, y), (F, G))],
    "view_as_real": [(lambda xp, x: xp.view_as_real(x), (C,))],
    "view_as_complex": [(lambda xp, x: xp.view_as_complex(x), (np.stack([F, F], -1),))],
    "take": [(lambda xp, x, i: xp.take(x, i, axis=1), (F, np.array([0, 3, 3])))],
    "take_along_axis": [(lambda xp, x, i: xp.take_along_axis(x, i, axis=1), (F, np.array([[0], [1], [3]])))],
    "slice": [
        (lambda xp, x: xp.slice(x, (slice(None), slice(1, 3))), (F,)), (lambda xp, x: xp.slice(x, (1, Ellipsis)), (F,)),
        (lambda xp, x: xp.slice(x, (slice(None, None, -1),)), (F,)), (lambda xp, x: xp.slice(x, (None, Ellipsis, 0)), (F,)),
    ],
    "contiguous": [(lambda xp, x: xp.contiguous(x), (F,)), (lambda xp, x: xp.contiguous(xp.permute_dims(x, (1, 0))), (F,))],
    "affine_view": [
        (lambda xp, x: xp.affine_view(x, shape=(2, 3), start=(0, 1), steps=((1, 0), (0, 1))), (F,)),
        (lambda xp, x: xp.affine_view(x, shape=(3,), start=(0, 0), steps=((1, 1),)), (F,)),
    ],
    "index_reduce": [
        (lambda xp, x, y, i, r=reduce: xp.index_reduce(x, y, i, spec=(("array", 0),), reduce=r), (F, -F[:2], np.array([2, 2])))
        for reduce in ("prod", "amax", "amin")
    ],
    "slice_assign": [(lambda xp, x, y: xp.slice_assign(x, y, index=(slice(0, 1), slice(None))), (F, G))],
    "index_get": [(lambda xp, x, i: xp.index_get(x, i, spec=(("array", 0), slice(None))), (F, np.array([0, 2])))],
    "index_put": [
        (lambda xp, x, y, i: xp.index_put(x, y, i, spec=(("array", 0),), accumulate=False), (F, G, np.array([0, 2]))),
        (lambda xp, x, y, i: xp.index_put(x, y, i, spec=(("array", 0),), accumulate=True), (F, G, np.array([2, 2]))),
    ],
    "to_device": [(lambda xp, x: xp.to_device(x, rushlight.device("cpu")), (F,))],
    "assign": [(lambda xp, x, y: _assigned(xp, x, y), (F, G))],
    "draw": [(lambda xp: xp.draw(rushlight.Generator().manual_seed(3), "uniform", (4,), 0.0, 1.0, FLOAT32), ())],
}  # fmt: skip
for _name in (*protocol.UNARY, "erf"):
    _x = {"bitwise_invert": N, "acosh": G}.get(_name, F)
    CALLS[_name] = [(lambda xp, x, n=_name: getattr(xp, n)(x), (_x,))]
for _name in (*protocol.BINARY, "fmod"):
    _pair = (N, N[:1]) if _name.startswith("bitwise") else (F, G)
    CALLS[_name] = [(lambda xp, x, y, n=_name: getattr(xp, n)(x, y), _pair)]
for _name in protocol.REDUCTIONS:
    CALLS[_name] = [
        (lambda xp, x, n=_name: getattr(xp, n)(x), (F,)), (lambda xp, x, n=_name: getattr(xp, n)(x, axis=1), (N,)),
        (lambda xp, x, n=_name: getattr(xp, n)(x, axis=0, keepdims=True), (F,)),
    ]  # fmt: skip

NOT_OF_TENSORS = {"draw": "made by rushlight.rand and its like"}


def _assigned(xp: Any, x: Any, y: Any) -> Any:
    x = xp.astype(x, x.dtype)
    xp.assign(x, y)
    return x


def run_on(kind: str, function: Any, arrays: tuple) -> np.ndarray:
    """The value of a call, by a kind of array."""
    if kind == "numpy":
        return np.asarray(function(numpy_arrays, *[a.copy() for a in arrays]))
    if kind == "Tensor":
        result = function(tensor_arrays, *[rushlight.from_numpy(a.copy()) for a in arrays])
        assert isinstance(result, rushlight.Tensor)
        return result.numpy()
    nodes = [Node("input", (), {"index": i}, a.shape, a.dtype) for i, a in enumerate(arrays)]
    result = function(symbolic_arrays, *[symbolic(node) for node in nodes])
    assert isinstance(result, SymbolicArray)
    (value,) = interpret(Graph(nodes, [result.node], [None]), list(arrays))
    assert (result.shape, result.dtype) == (value.shape, value.dtype), "what was inferred is not what it is"
    return value


@pytest.mark.parametrize("name", protocol.NAMES)
def test_every_kind_has_it(name: str) -> None:
    assert hasattr(numpy_arrays, name)
    assert hasattr(symbolic_arrays, name)
    assert hasattr(batching.namespace, name)
    assert hasattr(tensor_arrays, name) != (name in NOT_OF_TENSORS), NOT_OF_TENSORS.get(name)


@pytest.mark.parametrize("of_tensors", [False, True], ids=["arrays", "Tensors"])
@pytest.mark.parametrize("name", protocol.NAMES)
def test_batched_is_every_example(name: str, of_tensors: bool) -> None:
    """With each operand, and with all, different for each of three examples."""
    for function, arrays in CALLS[name]:
        for which in {(i,) for i in range(len(arrays))} | {tuple(range(len(arrays)))} - {()}:
            stacks = [np.stack([np.roll(a, s) for s in range(3)]) if i in which else a for i, a in enumerate(arrays)]
            level = Batch(3)
            inners = [rushlight.from_numpy(a.copy()) if of_tensors else a.copy() for a in stacks]
            operands = [BatchedArray(level, a, i in which) for i, a in enumerate(inners)]
            try:
                if name == "assign" and 0 not in which:
                    with pytest.raises(RuntimeError, match="vmap: inplace arithmetic"):
                        function(batching.namespace, *operands)
                    continue
                result = function(batching.namespace, *operands)
            finally:
                level.leave()
            examples = [[a[e] if i in which else a for i, a in enumerate(stacks)] for e in range(3)]
            expected = np.stack([run_on("numpy", function, tuple(example)) for example in examples])
            assert result.shape == expected.shape[1:]
            assert result.dtype == expected.dtype
            np.testing.assert_allclose(np.asarray(batched.batched(level, result)), expected, 1e-6)


@pytest.mark.parametrize("kind", ["symbolic", "Tensor"])
@pytest.mark.parametrize("name", protocol.NAMES)
def test_every_kind_agrees_with_numpy(name: str, kind: str) -> None:
    if kind == "Tensor" and name in NOT_OF_TENSORS:
        return
    for function, arrays in CALLS[name]:
        expected, got = run_on("numpy", function, arrays), run_on(kind, function, arrays)
        assert got.shape == expected.shape
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, 1e-6)


def test_symbolic_operators_are_the_functions() -> None:
    x, y = symbolic_arrays.meta((2, 3), FLOAT32), symbolic_arrays.meta((3,), FLOAT32)
    for result in (x + y, 2 - x, x * 2.0, x / y, -x, x**2, abs(x), x > 0, x @ symbolic_arrays.meta((3, 2), FLOAT32)):
        assert isinstance(result, SymbolicArray)
    assert (x + y).shape == (2, 3)
    assert (x > y).dtype == np.bool_


def test_a_write_through_a_symbolic_view_reaches_every_view() -> None:
    node = Node("input", (), {"index": 0}, (3, 4), FLOAT32)
    x = symbolic(node)
    row, transposed = symbolic_arrays.slice(x, (1,)), symbolic_arrays.permute_dims(x, (1, 0))
    symbolic_arrays.assign(row, 7.0)
    symbolic_arrays.assign(symbolic_arrays.slice(transposed, (2,)), 5.0)
    values = interpret(Graph([node], [x.node, row.node], [None, None]), [F])
    expected = F.copy()
    expected[1] = 7
    expected[:, 2] = 5
    np.testing.assert_array_equal(values[0], expected)
    np.testing.assert_array_equal(values[1], expected[1])
