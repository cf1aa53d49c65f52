"""`x[...]`, `x[...] = y` and `index_put`: NumPy's indexing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.scattering import masked_fill_
from rushlight.arrays import kinds
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.modes import modes
from rushlight.ops import define, index as ops, views
from rushlight.ops.autocast import with_autocast
from rushlight.ops.create import number_in, tensor
from rushlight.ops.define import lift, namespace_of
from rushlight.ops.inplace import check_writable, note_write, rewrite, view_scatter_node, write
from rushlight.tensor import Tensor, wrap


def getitem(self: Tensor, index: Any) -> Tensor:
    """NumPy's indexing: ints, slices, None and `...` give a view; index arrays and masks a copy."""
    kind = index.__class__
    if kind is int or kind is slice or kind is tuple and _is_basic(index):
        try:
            if kind is int:
                return views.select(self, axis=0, position=index)
            if kind is slice and index.step is None:
                return views.slice_(self, index=(index,))
            return views.slice_(self, index=_basic(index))
        except IndexError as error:
            raise _explained(error, self, index) from None
    spec, arrays = _advanced(self, index)
    try:
        return ops.index_get(self, *arrays, spec=spec) if arrays else views.slice_(self, index=spec)
    except IndexError as error:
        raise _explained(error, self, spec if arrays else index, arrays) from None


def _is_basic(index: tuple) -> bool:
    for item in index:
        if item.__class__ is not int and item.__class__ is not slice and item is not None and item is not Ellipsis:
            return False
    return True


def _basic(index: Any) -> tuple:
    index = index if index.__class__ is tuple else (index,)
    for item in index:
        if item.__class__ is slice and item.step == 0:
            raise ValueError("slice step cannot be zero")
    if index.count(Ellipsis) > 1:  # all but the first stand for nothing
        at = index.index(Ellipsis)
        index = (*index[: at + 1], *[item for item in index[at + 1 :] if item is not Ellipsis])
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
                if item.step == 0:
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
            if not isinstance(item, (Sequence, np.ndarray)):
                raise IndexError(
                    "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices "
                    f"(got {type(item).__name__})"
                )
            item = tensor(item) if len(item) else tensor(item, dtype=dtypes.int64)
        if isinstance(item, np.ndarray):
            item = wrap(item)
        if item._array.dtype.name not in ("int64", "int32", "uint8", "bool"):
            raise IndexError("tensors used as indices must be long, int, byte or bool tensors")
        if item._array.dtype == np.uint8:
            item = wrap(item._array.astype(bool))
        if self.is_cuda:  # an index may come from the CPU
            item = define.to_device(item, self.device)
        if item._array.dtype == np.bool_:
            _check_mask(self, item, spec, arrays)
        spec.append(("array", len(arrays)))
        arrays.append(item.detach() if item._needs_grad else item)
    if not arrays and Ellipsis not in spec:
        spec.append(Ellipsis)
    return tuple(spec), arrays


def _as_int(bound: Any) -> int | None:
    return None if bound is None else bound.__index__()


def _check_mask(self: Tensor, mask: Tensor, before: list[Any], arrays: list[Any]) -> None:
    if Ellipsis in before:
        return
    at = sum(_width(item, arrays) for item in before)
    if at + mask.ndim > self.ndim:
        raise IndexError(f"too many indices for tensor of dimension {self.ndim}")
    for i, n in enumerate(mask.shape):
        if self.shape[at + i] != n:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape of the indexed tensor "
                f"{list(self.shape)} at index {at + i}"
            )


def _explained(error: Exception, self: Tensor, index: Any, arrays: Any = ()) -> IndexError:
    """PyTorch's error for what NumPy says of an index."""
    items = index if isinstance(index, tuple) else (index,)
    used = sum(_width(item, arrays) for item in items)
    if self.ndim == 0 and used == 1 and isinstance(index, (int, slice)):
        return IndexError(
            "slice() cannot be applied to a 0-dim tensor."
            if isinstance(index, slice)
            else "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
            "0-dim tensor to a number"
        )
    text = str(error)
    if used > self.ndim or "too many indices" in text:
        return IndexError(f"too many indices for tensor of dimension {self.ndim}")
    dim = 0
    for item in items:
        if isinstance(item, int) and dim < self.ndim and not -self.shape[dim] <= item < self.shape[dim]:
            return IndexError(f"index {item} is out of bounds for dimension {dim} with size {self.shape[dim]}")
        dim += _width(item, arrays)
    if "could not be broadcast" in text:
        shapes = ", ".join(str(list(x.shape)) for x in arrays)
        return IndexError(f"shape mismatch: indexing tensors could not be broadcast together with shapes {shapes}")
    return IndexError(text.replace("axis", "dimension"))


def _width(item: Any, arrays: Any) -> int:
    """How many dimensions an item of an index is for."""
    if item is None or item is Ellipsis or item is True or item is False:
        return 0
    if isinstance(item, tuple) and arrays:
        item = arrays[item[1]]
    dtype = getattr(item, "_array", item).dtype if hasattr(item, "dtype") or isinstance(item, Tensor) else None
    return item.ndim if dtype == np.bool_ else 1


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """`self[index] = value`: writes a value, broadcast and cast, into what the index selects."""
    kind = index.__class__
    if index is False:
        return
    if kind is int or kind is slice or kind is tuple and _is_basic(index):
        spec, arrays = _basic(index), []
    else:
        spec, arrays = _advanced(self, index)
    if not arrays:
        try:
            target = views.slice_(self, index=spec)
        except IndexError as error:
            raise _explained(error, self, index) from None
        write(target, _number_for(self, value), "__setitem__")
        return
    if spec == (("array", 0),) and arrays[0]._array.dtype == np.bool_ and _is_one(value):
        mask = arrays[0]
        masked_fill_(self, mask.reshape(*mask.shape, *(1,) * (self.ndim - mask.ndim)), value)
        return
    if isinstance(value, Tensor) and value.dtype is not self.dtype:
        getitem(self, index)  # raises what is wrong with the index
        _require_same_dtype(self, value)
    write_at(self, spec, arrays, _number_for(self, value), False, "__setitem__")


def _number_for(self: Tensor, value: Any) -> Any:
    """A Python number as an array of the tensor's dtype; what is no number as it is."""
    is_number = value.__class__ in (bool, int, float, complex)
    return number_in(value, self._array.dtype) if is_number and not define.recording else value


def write_at(self: Tensor, spec: tuple, arrays: list[Any], value: Any, accumulate: bool, name: str) -> Tensor:
    """Writes or adds values at advanced indices, in place."""
    check_writable(self, modes.grad)
    values = value if isinstance(value, Tensor) else wrap(np.asarray(value, self._array.dtype))
    if values._array.dtype != self._array.dtype:
        values = define.cast(values, dtype=self._array.dtype)
    if define.recording:
        for x in (self, values, *arrays):
            lift(x)
    if self.is_cuda:
        values = define.to_device(values, self.device) if not values.ndim else values
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
        elif xp is kinds.GPU:
            xp.put(*raw, spec=spec, accumulate=accumulate)
        else:
            xp.assign(raw[0], _index_put_symbolic(xp, raw, spec, accumulate))
    except (IndexError, ValueError) as error:
        raise _misfit(self, spec, arrays, values) or _explained(error, self, spec, arrays) from None
    note_write(self, name)
    if node is not None:
        rewrite(self, node, view_scatter_node)
    return self


def _misfit(self: Tensor, spec: tuple, arrays: list[Any], values: Tensor) -> RuntimeError | None:
    """PyTorch's error for values that do not broadcast to what an index selects; None where the index itself is wrong."""
    raw = [x._host_values("error") if x.is_cuda else x._array for x in arrays]
    try:
        selected = list(np.empty(self.shape, np.bool_)[define.numpy_arrays.index_with(spec, raw)].shape)
    except (IndexError, ValueError):
        return None
    return RuntimeError(
        f"shape mismatch: value tensor of shape {list(values.shape)} cannot be broadcast to indexing result of shape {selected}"
    )


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
    return write_at(self, spec, arrays, values, accumulate, "index_put_")


with_autocast(globals())
