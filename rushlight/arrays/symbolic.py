"""The waist on symbolic arrays: running an operation records a node instead of computing.

`Node` is one application of a waist function, with static attributes, shape and dtype: the compiler's
input. `SymbolicArray` is what stands for an array while recording. It behaves as NumPy's arrays do, memory
included: views share a `Storage`, `assign` writes through them, and every view sees the write. Nothing of
that reaches the graph, which is purely functional: a write makes the storage hold a new node.

Nodes are explicit where NumPy is implicit: operands of an elementwise node are cast to one dtype (their
shapes may still broadcast), reductions never keep dimensions (a reshape follows), an int in a basic index
is a slice and a reshape. A node whose op is "meta" has no past: `device="meta"` needs only shape and dtype.
"""

from __future__ import annotations

import builtins
import itertools
import math
from functools import lru_cache
from typing import Any

import numpy as np

from rushlight.arrays import numpy as numpy_arrays
from rushlight.arrays.protocol import BINARY, HOST_NAMES, UNARY
from rushlight.arrays.sized import ARITHMETIC, COMPARISONS, OF_ONE, Sized

_serial = itertools.count()


class Node:
    """One application of waist function `op` to `inputs`; `serial` grows in the order of recording."""

    __slots__ = ("op", "inputs", "attrs", "shape", "dtype", "serial")

    def __init__(
        self, op: str, inputs: tuple[Node, ...], attrs: dict[str, Any], shape: tuple[int, ...], dtype: np.dtype
    ):
        if builtins.any(node.op == "meta" for node in inputs):
            op, inputs, attrs = "meta", (), {}
        self.op, self.inputs, self.attrs, self.shape, self.dtype = op, inputs, attrs, shape, dtype
        self.serial = next(_serial)

    def __repr__(self) -> str:
        inputs = ", ".join(f"%{node.serial}" for node in self.inputs)
        attrs = "".join(f" {key}={value!r}" for key, value in self.attrs.items())
        return f"%{self.serial}: {self.dtype}{list(self.shape)} = {self.op}({inputs}){attrs}"


class Storage:
    """What a symbolic array's memory holds now; views of one array share it."""

    __slots__ = ("value", "version", "source")

    def __init__(self, value: Node, source: Any = None):
        self.value, self.version, self.source = value, 0, source

    def write(self, value: Node) -> None:
        self.value = value
        self.version += 1


class SymbolicArray(Sized):
    """An array without data: a view (a chain of steps) of a storage."""

    __slots__ = ("storage", "steps", "shape", "dtype", "_node", "_version")

    def __init__(self, storage: Storage, steps: tuple, shape: tuple[int, ...], dtype: np.dtype):
        self.storage, self.steps, self.shape, self.dtype = storage, steps, shape, dtype
        self._node, self._version = None, -1

    @property
    def node(self) -> Node:
        """The node of this array's present value."""
        if not self.steps:
            return self.storage.value
        if self._version != self.storage.version:
            self._node, self._version = _apply(self.steps, self.storage.value), self.storage.version
        return self._node

    @property
    def strides(self) -> tuple[int, ...]:
        """Of a contiguous array of this shape: what it will be when it is computed."""
        return tuple(math.prod(self.shape[i + 1 :]) * self.dtype.itemsize for i in range(self.ndim))

    @property
    def T(self) -> SymbolicArray:
        return permute_dims(self, tuple(reversed(range(self.ndim))))

    def __repr__(self) -> str:
        return f"SymbolicArray({list(self.shape)}, {self.dtype})"

    def astype(self, dtype: np.dtype, copy: bool = True) -> SymbolicArray:
        return astype(self, np.dtype(dtype))

    def copy(self) -> SymbolicArray:
        return copy(self)

    def reshape(self, *shape: Any) -> SymbolicArray:
        return reshape(self, shape[0] if len(shape) == 1 else shape)

    def __getitem__(self, index: Any) -> SymbolicArray:
        return slice(self, index)


def symbolic(node: Node) -> SymbolicArray:
    """A new array that owns its storage."""
    return SymbolicArray(Storage(node), (), node.shape, node.dtype)


def meta(shape: tuple[int, ...], dtype: np.dtype) -> SymbolicArray:
    """An array with neither data nor history."""
    return symbolic(Node("meta", (), {}, tuple(shape), dtype))


def node_of(x: Any, dtype: np.dtype | None = None) -> Node:
    """The node of a symbolic array, or a constant node for an array or a Python number."""
    if isinstance(x, SymbolicArray):
        return x.node
    value = np.asarray(x, dtype)
    return Node("constant", (), {"value": value}, value.shape, value.dtype)


# ---------------------------------------------------------------- views and writes


def _view(x: SymbolicArray, op: str, attrs: dict[str, Any], shape: tuple[int, ...]) -> SymbolicArray:
    return SymbolicArray(x.storage, (*x.steps, (op, attrs, shape)), shape, _seen_as(op, x.dtype))


def _apply(steps: tuple, node: Node) -> Node:
    for op, attrs, shape in steps:
        dtype = _seen_as(op, node.dtype)
        node = Node(op, (node,), attrs, shape, dtype)
    return node


def _seen_as(op: str, dtype: np.dtype) -> np.dtype:
    """The dtype of a view."""
    if op == "view_as_complex":
        return np.result_type(dtype, np.complex64)
    return _real_dtype(dtype) if op in ("real", "imag", "view_as_real") else dtype


def _put_back(root: Node, steps: tuple, value: Node) -> Node:
    """The root of a view with the region that `steps` lead to replaced by `value`."""
    if not steps:
        return value
    parents = [root]
    for step in steps[:-1]:
        parents.append(_apply((step,), parents[-1]))
    for (op, attrs, _), parent in zip(reversed(steps), reversed(parents), strict=True):
        if op == "reshape":
            value = Node("reshape", (value,), {"shape": parent.shape}, parent.shape, parent.dtype)
        elif op == "permute_dims":
            axes = tuple(int(i) for i in np.argsort(attrs["axes"]))
            value = Node("permute_dims", (value,), {"axes": axes}, parent.shape, parent.dtype)
        elif op == "real":
            value = Node(
                "complex", (value, _apply((("imag", {}, parent.shape),), parent)), {}, parent.shape, parent.dtype
            )
        elif op == "imag":
            value = Node(
                "complex", (_apply((("real", {}, parent.shape),), parent), value), {}, parent.shape, parent.dtype
            )
        elif op in ("view_as_real", "view_as_complex"):
            back = "view_as_complex" if op == "view_as_real" else "view_as_real"
            value = _apply(((back, {}, parent.shape),), value)
        elif op == "affine_view":
            value = _put_back_affine(parent, value, attrs)
        elif op == "slice":
            value = Node("slice_assign", (parent, value), attrs, parent.shape, parent.dtype)
        else:
            raise RuntimeError(
                "unsupported operation: more than one element of the written-to tensor refers to a single "
                "memory location. Please clone() the tensor before performing the operation."
            )
    return value


def _put_back_affine(parent: Node, value: Node, attrs: dict[str, Any]) -> Node:
    """The parent of an `affine_view` with the elements that the view shows replaced."""
    at = numpy_arrays.affine_positions(parent.shape, **attrs)
    flat = index_put(reshape(symbolic(parent), (-1,)), reshape(symbolic(value), (-1,)), at, spec=(("array", 0),), accumulate=False)  # fmt: skip
    return reshape(flat, parent.shape).node


def assign(target: SymbolicArray, value: Any) -> None:
    node = cast(node_of(value), target.dtype)
    if node.shape != target.shape:
        node = broadcast_node(node, target.shape)
    if target.storage.value.op == "meta":
        return
    target.storage.write(_put_back(target.storage.value, target.steps, node))


def cast(node: Node, dtype: np.dtype) -> Node:
    return node if node.dtype == dtype else Node("astype", (node,), {"dtype": dtype}, node.shape, dtype)


def broadcast_node(node: Node, shape: tuple[int, ...]) -> Node:
    shape = tuple(shape)
    if np.broadcast_shapes(node.shape, shape) != shape:
        raise ValueError(f"cannot broadcast shape {node.shape} to {shape}")
    return node if node.shape == shape else Node("broadcast_to", (node,), {"shape": shape}, shape, node.dtype)


# ---------------------------------------------------------------- elementwise


@lru_cache(maxsize=4096)
def _loop_dtypes(op: str, *operands: Any) -> tuple[np.dtype, ...]:
    """The dtypes NumPy would compute in: (of each operand..., of the result). A Python type is a weak scalar."""
    if op == "where":
        dtype = np.result_type(*(np.empty(0, d) if isinstance(d, np.dtype) else d(0) for d in operands[1:]))
        return np.dtype(bool), dtype, dtype, dtype
    if op == "erf":
        dtype = operands[0] if operands[0].kind == "f" else np.dtype(np.float64)
        return dtype, dtype
    return getattr(numpy_arrays, op).resolve_dtypes((*operands, None))


def _elementwise(op: str, *operands: Any) -> SymbolicArray:
    kinds = tuple(
        type(x) if type(x) in (int, float, builtins.complex) else np.dtype(getattr(x, "dtype", bool)) for x in operands
    )
    *loop, result = _loop_dtypes(op, *kinds)
    nodes = tuple(cast(node_of(x, None if hasattr(x, "dtype") else d), d) for x, d in zip(operands, loop, strict=True))
    shape = nodes[0].shape if len(nodes) == 1 else np.broadcast_shapes(*(node.shape for node in nodes))
    return symbolic(Node(op, nodes, {}, shape, result))


def _define_elementwise() -> None:
    def unary(op: str) -> Any:
        return lambda x: _elementwise(op, x)

    def binary(op: str) -> Any:
        return lambda x, y: _elementwise(op, x, y)

    names = globals()
    for op in (*UNARY, "erf"):
        names[op] = unary(op)
    for op in (*BINARY, "fmod"):
        names[op] = binary(op)
    for name, op in ARITHMETIC.items():
        function = names.get(op, lambda x, y: matmul(x, y))
        setattr(SymbolicArray, f"__{name}__", function)
        setattr(SymbolicArray, f"__r{name}__", lambda x, y, f=function: f(y, x))
    for name, op in (COMPARISONS | OF_ONE).items():
        setattr(SymbolicArray, f"__{name}__", names[op])
    SymbolicArray.__hash__ = object.__hash__


_define_elementwise()


def where(condition: Any, x: Any, y: Any) -> SymbolicArray:
    return _elementwise("where", condition, x, y)


def astype(x: Any, dtype: np.dtype) -> SymbolicArray:
    """A cast; to the same dtype it is a copy."""
    node = node_of(x)
    return symbolic(cast(node, np.dtype(dtype)))


def _real_dtype(dtype: np.dtype) -> np.dtype:
    return np.empty(0, dtype).real.dtype


def conj(x: Any) -> SymbolicArray:
    return symbolic(Node("conj", (x.node,), {}, x.shape, x.dtype)) if x.dtype.kind == "c" else x


def real(x: SymbolicArray) -> SymbolicArray:
    return _view(x, "real", {}, x.shape) if x.dtype.kind == "c" else x


def imag(x: SymbolicArray) -> SymbolicArray:
    return _view(x, "imag", {}, x.shape) if x.dtype.kind == "c" else full(x.shape, 0, x.dtype)


def view_as_real(x: SymbolicArray) -> SymbolicArray:
    return _view(x, "view_as_real", {}, (*x.shape, 2))


def view_as_complex(x: SymbolicArray) -> SymbolicArray:
    return _view(x, "view_as_complex", {}, x.shape[:-1])


def complex(real: Any, imag: Any) -> SymbolicArray:
    nodes, shape = (node_of(real), node_of(imag)), np.broadcast_shapes(real.shape, imag.shape)
    return symbolic(Node("complex", nodes, {}, shape, np.result_type(nodes[0].dtype, np.complex64)))


def copy(x: SymbolicArray) -> SymbolicArray:
    return symbolic(x.node)


# ---------------------------------------------------------------- creation


def full(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> SymbolicArray:
    return symbolic(broadcast_node(cast(node_of(value), np.dtype(dtype)), tuple(shape)))


def arange(start: Any, stop: Any, step: Any, dtype: np.dtype) -> SymbolicArray:
    count = builtins.max(0, math.ceil((stop - start) / step))
    attrs = {"start": start, "stop": stop, "step": step, "dtype": np.dtype(dtype)}
    return symbolic(Node("arange", (), attrs, (count,), np.dtype(dtype)))


def to_device(x: SymbolicArray, device: Any) -> SymbolicArray:
    """The array itself, if it stays on the CPU."""
    if device.type != "cpu":
        raise DataDependentError(f"moving a tensor to {device}: recorded programs compute on the CPU")
    return x


def draw(generator: Any, method: str, *args: Any) -> SymbolicArray:
    """Random numbers: drawn anew each time the node is evaluated. `args` start with the shape and end with the dtype."""
    attrs = {"generator": generator, "method": method, "args": args}
    return symbolic(Node("draw", (), attrs, tuple(args[0]), np.dtype(args[-1])))


# ---------------------------------------------------------------- movement


def reshape(x: Any, shape: Any) -> SymbolicArray:
    shape = (int(shape),) if isinstance(shape, int) else tuple(int(n) for n in shape)
    if -1 in shape:
        known = math.prod(n for n in shape if n != -1)
        shape = tuple(math.prod(x.shape) // known if n == -1 else n for n in shape)
    if math.prod(shape) != x.size:
        raise ValueError(f"cannot reshape array of size {x.size} into shape {shape}")
    return _view(x, "reshape", {"shape": shape}, shape)


def permute_dims(x: SymbolicArray, axes: tuple[int, ...]) -> SymbolicArray:
    axes = tuple(axis % x.ndim for axis in axes)
    return _view(x, "permute_dims", {"axes": axes}, tuple(x.shape[axis] for axis in axes))


def broadcast_to(x: Any, shape: tuple[int, ...]) -> SymbolicArray:
    x = x if isinstance(x, SymbolicArray) else symbolic(node_of(x))
    shape = tuple(shape)
    if np.broadcast_shapes(x.shape, shape) != shape:
        raise ValueError(f"cannot broadcast shape {x.shape} to {shape}")
    return _view(x, "broadcast_to", {"shape": shape}, shape)


def normalize_index(shape: tuple[int, ...], index: Any) -> tuple[tuple, tuple[int, ...], tuple[int, ...]]:
    """A basic index as ((start, stop, step) for each dimension, shape of that slice, shape of the result)."""
    index = index if isinstance(index, tuple) else (index,)
    given = len([item for item in index if item is not None and item is not Ellipsis])
    if Ellipsis not in index:
        index = (*index, Ellipsis)
    full_slices = (builtins.slice(None),) * (len(shape) - given)
    at = index.index(Ellipsis)
    index = (*index[:at], *full_slices, *index[at + 1 :])
    bounds, sliced, result, axis = [], [], [], 0
    for item in index:
        if item is None:
            result.append(1)
            continue
        size = shape[axis]
        axis += 1
        if isinstance(item, builtins.slice):
            start, stop, step = item.indices(size)
            count = len(range(start, stop, step))
            result.append(count)
        else:
            position = int(item)
            if not -size <= position < size:
                raise IndexError(f"index {position} is out of bounds for dimension {axis - 1} with size {size}")
            start, step, count = position % size, 1, 1
            stop = start + 1
        bounds.append((start, None if stop < 0 else stop, step))
        sliced.append(count)
    return tuple(bounds), tuple(sliced), tuple(result)


def slice(x: SymbolicArray, index: Any) -> SymbolicArray:
    bounds, sliced, result = normalize_index(x.shape, index)
    if sliced != x.shape or builtins.any(step != 1 for _, _, step in bounds):
        x = _view(x, "slice", {"index": bounds}, sliced)
    return x if result == x.shape else reshape(x, result)


def affine_view(x: SymbolicArray, shape: tuple[int, ...], start: tuple[int, ...], steps: tuple) -> SymbolicArray:
    return _view(x, "affine_view", {"shape": shape, "start": start, "steps": steps}, shape)


def contiguous(x: SymbolicArray) -> SymbolicArray:
    return copy(x)


def slice_assign(x: Any, value: Any, index: Any) -> SymbolicArray:
    result = symbolic(node_of(x))
    assign(slice(result, index), value)
    return result


def concat(arrays: Any, axis: int = 0) -> SymbolicArray:
    dtype = np.result_type(*(x.dtype for x in arrays))
    nodes = tuple(cast(node_of(x), dtype) for x in arrays)
    axis = axis % len(nodes[0].shape)
    shape = list(nodes[0].shape)
    shape[axis] = builtins.sum(node.shape[axis] for node in nodes)
    return symbolic(Node("concat", nodes, {"axis": axis}, tuple(shape), dtype))


# ---------------------------------------------------------------- reductions and scans


@lru_cache(maxsize=256)
def _reduced_dtype(op: str, dtype: np.dtype) -> np.dtype:
    return getattr(numpy_arrays, op)(np.empty(1, dtype), axis=0).dtype


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    axes = range(ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(sorted(a % ndim for a in axes)) if ndim else ()


def _reduction(op: str) -> Any:
    def reduce(x: Any, axis: Any = None, keepdims: bool = False) -> SymbolicArray:
        node = node_of(x)
        axes = normalize_axes(axis, len(node.shape))
        shape = tuple(n for i, n in enumerate(node.shape) if i not in axes)
        out = symbolic(Node(op, (node,), {"axis": axes}, shape, _reduced_dtype(op, node.dtype)))
        return reshape(out, tuple(1 if i in axes else n for i, n in enumerate(node.shape))) if keepdims else out

    return reduce


def _index_reduction(op: str) -> Any:
    def reduce(x: Any, axis: int | None = None, keepdims: bool = False) -> SymbolicArray:
        shape = x.shape
        if axis is None or not shape:
            x, axis = reshape(x, (-1,)), 0
        axis %= x.ndim
        node = x.node
        kept = (*node.shape[:axis], *node.shape[axis + 1 :])
        out = symbolic(Node(op, (node,), {"axis": axis}, kept, np.dtype(np.int64)))
        if keepdims:
            return reshape(out, (1,) * len(shape) if len(shape) != x.ndim else (*shape[:axis], 1, *shape[axis + 1 :]))
        return out

    return reduce


sum, prod, max, min, any, all = (_reduction(op) for op in ("sum", "prod", "max", "min", "any", "all"))
argmax, argmin = _index_reduction("argmax"), _index_reduction("argmin")


def cumulative_sum(x: Any, axis: int) -> SymbolicArray:
    node = node_of(x)
    dtype = _reduced_dtype("sum", node.dtype)
    return symbolic(Node("cumulative_sum", (node,), {"axis": axis % len(node.shape)}, node.shape, dtype))


# ---------------------------------------------------------------- contraction, indexing, order


def matmul(x: Any, y: Any) -> SymbolicArray:
    """NumPy's matmul; nodes have at least two dimensions on either side and one dtype."""
    dtype = np.result_type(x.dtype, y.dtype)
    a, b = astype_view(x, dtype), astype_view(y, dtype)
    if a.ndim == 1:
        return squeeze(matmul(reshape(a, (1, *a.shape)), b), -2)
    if b.ndim == 1:
        return squeeze(matmul(a, reshape(b, (*b.shape, 1))), -1)
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(f"matmul: shapes {a.shape} and {b.shape} do not match")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    return symbolic(Node("matmul", (a.node, b.node), {}, shape, dtype))


def astype_view(x: Any, dtype: np.dtype) -> SymbolicArray:
    return x if isinstance(x, SymbolicArray) and x.dtype == dtype else symbolic(cast(node_of(x), dtype))


def squeeze(x: SymbolicArray, axis: int) -> SymbolicArray:
    axis %= x.ndim
    return reshape(x, (*x.shape[:axis], *x.shape[axis + 1 :]))


def take(x: Any, indices: Any, axis: int) -> SymbolicArray:
    a, at = node_of(x), node_of(indices)
    axis %= len(a.shape)
    shape = (*a.shape[:axis], *at.shape, *a.shape[axis + 1 :])
    return symbolic(Node("take", (a, at), {"axis": axis}, shape, a.dtype))


def take_along_axis(x: Any, indices: Any, axis: int) -> SymbolicArray:
    a, at = node_of(x), node_of(indices)
    axis %= len(a.shape)
    shape = list(np.broadcast_shapes((*a.shape[:axis], 1, *a.shape[axis + 1 :]), at.shape))
    shape[axis] = at.shape[axis]
    return symbolic(Node("take_along_axis", (a, at), {"axis": axis}, tuple(shape), a.dtype))


def index_get(x: Any, *arrays: Any, spec: tuple) -> SymbolicArray:
    nodes = (node_of(x), *(node_of(array) for array in arrays))
    if builtins.any(node.dtype == bool for node in nodes[1:]):
        raise DataDependentError("indexing with a mask: the shape of the result depends on the mask's values")
    shape = indexed_shape(nodes[0].shape, tuple(node.shape for node in nodes[1:]), spec)
    return symbolic(Node("index_get", nodes, {"spec": spec}, shape, nodes[0].dtype))


def index_put(x: Any, values: Any, *arrays: Any, spec: tuple, accumulate: bool) -> SymbolicArray:
    a = node_of(x)
    nodes = (a, cast(node_of(values), a.dtype), *(node_of(array) for array in arrays))
    return symbolic(Node("index_put", nodes, {"spec": spec, "accumulate": accumulate}, a.shape, a.dtype))


def index_reduce(x: Any, values: Any, *arrays: Any, spec: tuple, reduce: str) -> SymbolicArray:
    a = node_of(x)
    nodes = (a, cast(node_of(values), a.dtype), *(node_of(array) for array in arrays))
    return symbolic(Node("index_reduce", nodes, {"spec": spec, "reduce": reduce}, a.shape, a.dtype))


def indexed_shape(shape: tuple[int, ...], index_shapes: tuple, spec: tuple) -> tuple[int, ...]:
    """The shape of advanced indexing: of an array that takes no memory."""
    zero = np.zeros((), np.int64)
    arrays = tuple(np.broadcast_to(zero, index_shape) for index_shape in index_shapes)
    if builtins.any(n == 0 for n in shape):
        shape = tuple(builtins.max(n, 1) for n in shape)
    return np.broadcast_to(np.zeros((), bool), shape)[numpy_arrays.index_with(spec, arrays)].shape


def argsort(x: Any, axis: int, descending: bool = False, stable: bool = True) -> SymbolicArray:
    node = node_of(x)
    attrs = {"axis": axis, "descending": descending, "stable": stable}
    return symbolic(Node("argsort", (node,), attrs, node.shape, np.dtype(np.int64)))


def sort(x: Any, axis: int, descending: bool = False, stable: bool = True) -> SymbolicArray:
    node = node_of(x)
    attrs = {"axis": axis, "descending": descending, "stable": stable}
    return symbolic(Node("sort", (node,), attrs, node.shape, node.dtype))


# ---------------------------------------------------------------- numerical routines


def _host(name: str) -> Any:
    """A function of `protocol.HOST`: a node for each result, computed by NumPy.

    What shapes and dtypes come out is found by running the function once, on arrays of ones with a heavy diagonal
    (so that a matrix has an inverse and a Cholesky factor).
    """

    def call(*arrays: Any, **attrs: Any) -> Any:
        dtype = next((x.dtype for x in arrays if hasattr(x, "dtype")), None)
        nodes = tuple([node_of(x, None if hasattr(x, "dtype") else dtype) for x in arrays])  # a number has no dtype
        found = getattr(numpy_arrays, name)(*[_example(node) for node in nodes], **attrs)
        if not isinstance(found, tuple):
            found = np.asarray(found)
            return symbolic(Node(name, nodes, attrs, found.shape, found.dtype))
        return tuple(
            [
                symbolic(Node(name, nodes, {**attrs, "output": i}, np.shape(result), np.asarray(result).dtype))
                for i, result in enumerate(found)
            ]
        )

    return call


def _example(node: Node) -> np.ndarray:
    if node.op == "constant":
        return node.attrs["value"]
    value = np.ones(node.shape, node.dtype)
    if node.dtype.kind in "fc" and len(node.shape) > 1:
        diagonal = np.arange(builtins.min(node.shape[-2:]))
        value[..., diagonal, diagonal] = 2 * builtins.max(node.shape[-2:]) + diagonal
    return value


for _name in HOST_NAMES:
    globals()[_name] = _host(_name)


class DataDependentError(RuntimeError):
    """A recorded program needed a value, which only running can tell."""
