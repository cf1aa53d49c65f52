"""`x[...]`, `x[...] = y`, and the functions that read and write by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.views import common_shape
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.modes import modes
from rushlight.ops import define, elementwise, index as ops, views
from rushlight.ops.create import tensor
from rushlight.ops.define import lift, namespace_of
from rushlight.ops.inplace import check_writable, note_write, rewrite, view_scatter_node, write
from rushlight.tensor import Tensor, _checked_dim, wrap


def getitem(self: Tensor, index: Any) -> Tensor:
    """NumPy's indexing: ints, slices, None and `...` give a view; index arrays and masks a copy."""
    kind = index.__class__
    if kind is int or kind is slice or kind is tuple and _is_basic(index):
        try:
            return views.slice_(self, index=_basic(index))
        except IndexError as error:
            raise _explained(error, self, index) from None
    spec, arrays = _advanced(self, index)
    if not arrays:
        return views.slice_(self, index=spec)
    try:
        return ops.index_get(self, *arrays, spec=spec)
    except IndexError as error:
        raise _explained(error, self, index) from None


def _is_basic(index: tuple) -> bool:
    for item in index:
        if item.__class__ is not int and item.__class__ is not slice and item is not None and item is not Ellipsis:
            return False
    return True


def _basic(index: Any) -> tuple:
    index = index if index.__class__ is tuple else (index,)
    for item in index:
        if item.__class__ is slice and item.step is not None and item.step <= 0:
            raise ValueError("step must be greater than zero")
    return (*index, Ellipsis) if Ellipsis not in index else index  # with `...` NumPy gives an array, never a scalar


def _advanced(self: Tensor, index: Any) -> tuple[tuple, list[Any]]:
    """Any index as (spec, index arrays): masks become what they select while they are known."""
    items = index if isinstance(index, tuple) else (index,)
    if isinstance(index, list) and any(isinstance(i, (slice, type(None), type(Ellipsis))) for i in index):
        items = tuple(index)
    spec: list[Any] = []
    arrays: list[Any] = []
    for item in items:
        if isinstance(item, (bool, np.bool_)):
            item = np.asarray(item)
        elif isinstance(item, (int, np.integer)):
            spec.append(int(item))
            continue
        elif isinstance(item, slice) or item is None or item is Ellipsis:
            if isinstance(item, slice):
                item = slice(*[_as_int(bound) for bound in (item.start, item.stop, item.step)])
                if item.step is not None and item.step <= 0:
                    raise ValueError("step must be greater than zero")
            spec.append(item)
            continue
        elif isinstance(item, Tensor) and item.ndim == 0 and item._array.dtype.kind in "iu":
            if not (define.recording or type(item._array) is SymbolicArray):
                spec.append(int(item.item()))
                continue
        elif not isinstance(item, Tensor):
            if isinstance(item, str):
                raise TypeError("tensors are indexed by integers, slices, `...`, None and tensors, not by 'str'")
            if not hasattr(item, "__len__") and not isinstance(item, np.ndarray):
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                    f"(got {type(item).__name__})"
                )
            item = tensor(item) if len(item) else tensor(item, dtype=dtypes.int64)
        if isinstance(item, np.ndarray):
            item = wrap(item)
        if item._array.dtype.kind not in "iub":
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        if item._array.dtype == np.uint8:
            item = wrap(item._array.astype(bool))
        if item._array.dtype == np.bool_:
            _check_mask(self, item, spec)
        spec.append(("array", len(arrays)))
        arrays.append(item.detach() if item._needs_grad else item)
    if not arrays and Ellipsis not in spec:
        spec.append(Ellipsis)
    return tuple(spec), arrays


def _as_int(bound: Any) -> int | None:
    return None if bound is None else bound.__index__()


def _check_mask(self: Tensor, mask: Tensor, before: list[Any]) -> None:
    if Ellipsis in before:
        return
    at = sum(1 for item in before if item is not None)
    for i, n in enumerate(mask.shape):
        if at + i >= self.ndim or self.shape[at + i] != n:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape of the indexed tensor "
                f"{list(self.shape)} at index {at + i}"
            )


def _explained(error: IndexError, self: Tensor, index: Any) -> IndexError:
    items = index if isinstance(index, tuple) else (index,)
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if self.ndim == 0 and used:
        return IndexError("invalid index of a 0-dim tensor. Use `tensor.item()` in Python to convert it to a number")
    if used > self.ndim:
        return IndexError(f"too many indices for tensor of dimension {self.ndim}")
    dim = 0
    for item in items:
        if isinstance(item, int) and dim < self.ndim and not -self.shape[dim] <= item < self.shape[dim]:
            return IndexError(f"index {item} is out of bounds for dimension {dim} with size {self.shape[dim]}")
        dim += item is not None
    text = str(error)
    if "could not be broadcast" in text:
        return IndexError(f"shape mismatch: indexing tensors could not be broadcast together ({text})")
    return IndexError(text.replace("axis", "dimension"))


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`self[index] = value`: writes a value, broadcast and cast, into what the index selects."""
    kind = index.__class__
    if kind is int or kind is slice or kind is tuple and _is_basic(index):
        spec, arrays = _basic(index), []
    else:
        spec, arrays = _advanced(self, index)
    if not arrays:
        try:
            target = views.slice_(self, index=spec)
        except IndexError as error:
            raise _explained(error, self, index) from None
        write(target, value, "__setitem__")
        return
    if spec == (("array", 0),) and arrays[0]._array.dtype == np.bool_ and _is_one(value):
        mask = arrays[0]
        masked_fill_(self, mask.reshape(*mask.shape, *(1,) * (self.ndim - mask.ndim)), value)
        return
    put_(self, spec, arrays, value, False, "__setitem__")


def put_(self: Tensor, spec: tuple, arrays: list[Any], value: Any, accumulate: bool, name: str) -> Tensor:
    """Writes or adds values at advanced indices, in place."""
    check_writable(self, modes.grad)
    values = value if isinstance(value, Tensor) else wrap(np.asarray(value, self._array.dtype))
    if values._array.dtype != self._array.dtype:
        values = define.cast(values, dtype=self._array.dtype)
    if define.recording:
        for x in (self, values, *arrays):
            lift(x)
    operands = (self, values, *arrays)
    raw = tuple([x._array for x in operands])
    attrs = {"spec": spec, "accumulate": accumulate}
    recorded = modes.grad and (self._needs_grad or values._needs_grad)
    node = ops.index_put.op.make_node(operands, raw, [self._array], attrs) if recorded else None
    xp = namespace_of(*raw)
    try:
        if xp is define.numpy_arrays and not accumulate:
            raw[0][define.numpy_arrays.index_with(spec, raw[2:])] = raw[1]
        elif xp is define.numpy_arrays:
            np.add.at(raw[0], define.numpy_arrays.index_with(spec, raw[2:]), raw[1])
        else:
            xp.assign(raw[0], _index_put_symbolic(xp, raw, spec, accumulate))
    except (IndexError, ValueError) as error:
        raise _explained(IndexError(str(error)), self, spec) from None
    note_write(self, name)
    if node is not None:
        rewrite(self, node, view_scatter_node)
    return self


def _is_one(value: Any) -> bool:
    return not isinstance(value, (Tensor, np.ndarray, list, tuple)) or isinstance(value, Tensor) and value.ndim == 0


def _index_put_symbolic(xp: Any, raw: tuple, spec: tuple, accumulate: bool) -> Any:
    """A mask that is not known yet can still choose, elementwise, where a number is written."""
    target, values, *arrays = raw
    mask = arrays[0]
    if spec[0] == ("array", 0) and len(spec) == 1 and mask.dtype == np.bool_ and values.size == 1 and not accumulate:
        mask = xp.reshape(mask, (*mask.shape, *(1,) * (target.ndim - mask.ndim)))
        return xp.where(mask, xp.reshape(values, ()), target)
    return xp.index_put(target, values, *arrays, spec=spec, accumulate=accumulate)


# ---------------------------------------------------------------- functions


def _require_index(name: str, index: Any) -> Tensor:
    if not isinstance(index, Tensor):
        raise TypeError(f"{name}(): argument 'index' must be Tensor, not {type(index).__name__}")
    if index._array.dtype not in (np.int64, np.int32) and index._array.size:
        raise RuntimeError(f"{name}(): Expected dtype int32 or int64 for index, but got {index.dtype}")
    return index


def gather(input: Tensor, dim: int, index: Tensor, *, sparse_grad: bool = False) -> Tensor:
    """out[i][j] = input[index[i][j]][j] for dim 0, and so on: reads along `dim` by an index of the result's shape.

    Raises:
        RuntimeError: an index out of range, or of another number of dimensions.
    """
    _require_index("gather", index)
    axis = _checked_dim(dim, input.ndim)
    if not index._array.size:
        return input.reshape(-1)[:0].reshape(index.shape)
    if index.ndim != input.ndim and input.ndim * index.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as input tensor")
    for i, (n, m) in enumerate(zip(index.shape, input.shape, strict=False)):
        if i != axis and n > m:
            raise RuntimeError(
                f"Size does not match at dimension {i} expected index {list(index.shape)} to be no larger than self "
                f"{list(input.shape)} apart from dimension {axis}"
            )
    _check_range("gather", index, input.shape[axis] if input.ndim else 1, axis)
    if index._array.dtype.kind not in "iu":
        index = define.cast(index, dtype=np.dtype(np.int64))
    if input.ndim * index.ndim == 0:
        return ops.gather(input.reshape(-1), index.reshape(-1), axis=0).reshape(index.shape)
    return ops.gather(input, index, axis=axis)


def _check_range(name: str, index: Tensor, size: int, axis: int) -> None:
    array = index._array
    if type(array) is np.ndarray and array.size and not define.recording:
        low, high = array.min(), array.max()
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise RuntimeError(f"index {wrong} is out of bounds for dimension {axis} with size {size} ({name})")


def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of a dimension that a vector of indices names."""
    _require_index("index_select", index)
    axis = _checked_dim(dim, input.ndim)
    if index.ndim > 1:
        raise IndexError("index_select(): Index is supposed to be a vector")
    array = index._array
    if type(array) is np.ndarray and array.size and not define.recording:
        if array.min() < 0 or array.max() >= (input.shape[axis] if input.ndim else 1):
            raise IndexError("index out of range in self")
    if not input.ndim:
        return ops.take(input.reshape(1), index.reshape(-1), axis=0).reshape(())
    return ops.take(input, index.reshape(-1), axis=axis)


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """`gather` with broadcasting; without `dim`, in the flattened input."""
    if dim is None:
        return ops.gather(input.reshape(-1), indices.reshape(-1), axis=0)
    shape = list(np.broadcast_shapes(*(tuple(1 if i == dim % input.ndim else n for i, n in enumerate(x.shape)) for x in (input, indices))))  # fmt: skip
    axis = dim % input.ndim
    shape[axis] = input.shape[axis]
    full = input.expand(shape)
    shape[axis] = indices.shape[axis]
    return ops.gather(full, indices.expand(shape), axis=axis)


def masked_fill(input: Tensor, mask: Tensor, value: Any) -> Tensor:
    """`value` where the mask holds.

    Raises:
        RuntimeError: the mask is not boolean.
    """
    if mask._array.dtype != np.bool_:
        raise RuntimeError(f"masked_fill_ only supports boolean masks, but got mask with dtype {mask.dtype}")
    return elementwise.where(mask, _value_like(value, input), input)


def _value_like(value: Any, input: Tensor) -> Any:
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"masked_fill_ only supports a 0-dimensional value tensor, but got tensor with {value.ndim} dimension(s)."
            )
        return value if value.dtype == input.dtype else value.to(input.dtype)
    return wrap(np.asarray(value, input._array.dtype))


def masked_fill_(self: Tensor, mask: Tensor, value: Any) -> Tensor:
    """In-place form of `masked_fill`."""
    return write(self, masked_fill(self, mask, value), "masked_fill_")


def masked_select(input: Tensor, mask: Tensor) -> Tensor:
    """The elements where the mask holds, in one dimension."""
    if mask._array.dtype != np.bool_:
        raise RuntimeError("masked_select: expected BoolTensor for mask")
    if input.ndim == mask.ndim == 0:
        input = input.reshape(1)
    shape = common_shape(input, mask)
    return getitem(input.expand(shape), mask.expand(shape))


def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any:
    """The indices of elements that are not zero: (count, dimensions), or a tuple of one index vector a dimension."""
    found = np.nonzero(np.atleast_1d(input._data("nonzero()")))
    if as_tuple:
        return tuple([wrap(at) for at in found])
    return wrap(np.stack(found, 1) if input.ndim else np.empty((len(found[0]), 0), np.int64))


def argwhere(input: Tensor) -> Tensor:
    """The indices of elements that are not zero: (count, dimensions)."""
    return nonzero(input)


def scatter(
    input: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """A copy of input with out[index[i][j]][j] = src[i][j] for dim 0, and so on; `reduce="add"` adds instead.

    Raises:
        RuntimeError: an index out of range, shapes that do not fit, another `reduce`.
    """
    src = value if src is None else src
    if reduce == "multiply":
        return _scattered_product(input, dim, index, src)
    if reduce not in (None, "add"):
        raise RuntimeError("reduce argument must be either add or multiply.")
    return _scattered("scatter", input, dim, index, src, reduce == "add")


def _scattered_product(input: Tensor, dim: int, index: Tensor, src: Any) -> Tensor:
    """`scatter` with `reduce="multiply"`, which PyTorch does not differentiate either."""
    _require_index("scatter", index)
    axis = _checked_dim(dim, input.ndim)
    _check_range("scatter", index, input.shape[axis] if input.ndim else 1, axis)
    out, at = np.atleast_1d(input._data("scatter()").copy()), np.atleast_1d(index._data("scatter()"))
    factors = src._data("scatter()") if isinstance(src, Tensor) else np.asarray(src, out.dtype)
    _, arrays = ops.grid(None, at.shape, at, axis)
    window = np.atleast_1d(factors)[tuple(slice(0, n) for n in at.shape)] if isinstance(src, Tensor) else factors
    np.multiply.at(out, tuple(arrays), window)
    return wrap(out.reshape(input.shape))


def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """A copy of input with out[index[i][j]][j] += src[i][j] for dim 0, and so on."""
    return _scattered("scatter_add", input, dim, index, src, True)


def _scattered(name: str, input: Tensor, dim: int, index: Tensor, src: Any, accumulate: bool) -> Tensor:
    _require_index(name, index)
    axis = _checked_dim(dim, input.ndim)
    if isinstance(src, Tensor) and src.dtype is not input.dtype:
        raise RuntimeError(f"{name}(): Expected self.dtype to be equal to src.dtype")
    if not index._array.size:
        return input.clone()
    if not input.ndim:
        src = src.reshape(1) if isinstance(src, Tensor) else src
        return _scattered(name, input.reshape(1), 0, index.reshape(1), src, accumulate).reshape(())
    if index.ndim != input.ndim or isinstance(src, Tensor) and src.ndim != index.ndim:
        raise RuntimeError("Index tensor must have the same number of dimensions as self tensor")
    for i, n in enumerate(index.shape):
        if i != axis and n > input.shape[i] or isinstance(src, Tensor) and n > src.shape[i]:
            raise RuntimeError(
                f"Expected index {list(index.shape)} to be no larger than self {list(input.shape)} apart from dimension "
                f"{axis}" + (f" and to be no larger size than src {list(src.shape)}" if isinstance(src, Tensor) else "")
            )
    _check_range(name, index, input.shape[axis], axis)
    if isinstance(src, Tensor):
        src = src[tuple(slice(0, n) for n in index.shape)]
    else:
        src = wrap(np.full(index.shape, src, input._array.dtype))
    spec, arrays = ops.grid(None, tuple(index.shape), index, axis)
    return ops.index_put(input, src, *arrays, spec=spec, accumulate=accumulate)


def scatter_(
    self: Tensor, dim: int, index: Tensor, src: Any = None, *, value: Any = None, reduce: str | None = None
) -> Tensor:
    """In-place form of `scatter`."""
    return write(self, scatter(self, dim, index, src, value=value, reduce=reduce), "scatter_")


def scatter_add_(self: Tensor, dim: int, index: Tensor, src: Tensor) -> Tensor:
    """In-place form of `scatter_add`."""
    return write(self, scatter_add(self, dim, index, src), "scatter_add_")


def index_put(input: Tensor, indices: tuple, values: Tensor, accumulate: bool = False) -> Tensor:
    """A copy with values written, or added, at advanced indices."""
    spec, arrays = _advanced(input, tuple(indices))
    _require_same_dtype(input, values)
    return ops.index_put(input, values, *arrays, spec=spec, accumulate=accumulate)


def _require_same_dtype(input: Tensor, values: Tensor) -> None:
    if values.dtype is not input.dtype:
        names = dtypes.LEGACY_NAMES
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{names[input.dtype.name]} for the destination and {names[values.dtype.name]} for the source."
        )


def index_put_(self: Tensor, indices: tuple, values: Tensor, accumulate: bool = False) -> Tensor:
    """Writes or adds values at advanced indices, in place."""
    spec, arrays = _advanced(self, tuple(indices))
    _require_same_dtype(self, values)
    return put_(self, spec, arrays, values, accumulate, "index_put_")
