"""Shapes and orders of axes: most are views, as NumPy's are."""

from __future__ import annotations

from typing import Any

import numpy as np

import rushlight as torch
from rushlight.interop.arguments import promoted, store, tensor_of
from rushlight.interop.numpy_functions.table import implements
from rushlight.tensor import Tensor


def _flat_order(x: Tensor, order: str) -> Tensor:
    """The tensor whose C order is the order asked for."""
    if order == "F" or order == "A" and x.ndim > 1 and x._array.flags.fnc:
        return x.permute(*reversed(range(x.ndim)))
    return x


@implements("reshape")
def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> Any:
    x = tensor_of(a)
    shape = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if order == "F":
        result = _flat_order(x, "F").reshape(shape[::-1])
        result = result.permute(*reversed(range(result.ndim)))
    else:
        result = x.reshape(shape)
    if copy is False and not np.shares_memory(result._array, x._array):
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return result.clone() if copy else result


@implements("ravel")
def ravel(a: Any, order: str = "C") -> Any:
    return _flat_order(tensor_of(a), order).reshape(-1)


@implements("transpose", "permute_dims")
def transpose(a: Any, axes: Any = None) -> Any:
    x = tensor_of(a)
    return x.permute(*(reversed(range(x.ndim)) if axes is None else axes))


@implements("matrix_transpose", "linalg.matrix_transpose")
def matrix_transpose(x: Any, /) -> Any:
    return tensor_of(x).mT


@implements("moveaxis")
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    return torch.moveaxis(tensor_of(a), source, destination)


@implements("rollaxis")
def rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    x = tensor_of(a)
    axis, start = axis % x.ndim, start + x.ndim if start < 0 else start
    return torch.moveaxis(x, axis, start - 1 if axis < start else start)


@implements("swapaxes")
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    return torch.swapaxes(tensor_of(a), axis1, axis2)


@implements("expand_dims")
def expand_dims(a: Any, axis: Any) -> Any:
    x = tensor_of(a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    for i in sorted(i % (x.ndim + len(axes)) for i in axes):
        x = x.unsqueeze(i)
    return x


@implements("squeeze")
def squeeze(a: Any, axis: Any = None) -> Any:
    x = tensor_of(a)
    if axis is None:
        return x.squeeze()
    axes = axis if isinstance(axis, tuple) else (axis,)
    if any(x.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return torch.squeeze(x, axes)


@implements("broadcast_to")
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return torch.broadcast_to(tensor_of(array), (shape,) if isinstance(shape, int) else tuple(shape))


@implements("broadcast_arrays")
def broadcast_arrays(*args: Any, subok: bool = False) -> Any:
    return tuple(torch.broadcast_tensors(*[tensor_of(x) for x in args]))


for _name in ("atleast_1d", "atleast_2d", "atleast_3d"):

    @implements(_name)
    def atleast(*arys: Any, _name: str = _name) -> Any:
        return getattr(torch, _name)(*[tensor_of(x) for x in arys])


@implements("flip")
def flip(m: Any, axis: Any = None) -> Any:
    x = tensor_of(m)
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return torch.flip(x, axes)


@implements("fliplr")
def fliplr(m: Any) -> Any:
    return torch.fliplr(tensor_of(m))


@implements("flipud")
def flipud(m: Any) -> Any:
    return torch.flipud(tensor_of(m))


@implements("rot90")
def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    return torch.rot90(tensor_of(m), k, axes)


@implements("roll")
def roll(a: Any, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return torch.roll(tensor_of(a), shift)
    shifts, axes = np.broadcast_arrays(shift, axis)
    return torch.roll(tensor_of(a), tuple(shifts.reshape(-1).tolist()), tuple(axes.reshape(-1).tolist()))


@implements("tile")
def tile(A: Any, reps: Any) -> Any:  # noqa: N803  (NumPy's names)
    return torch.tile(tensor_of(A), (reps,) if isinstance(reps, int) else tuple(reps))


@implements("repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Any:
    if not isinstance(repeats, int):
        repeats = tensor_of(repeats).to(torch.int64)
        repeats = repeats.item() if repeats.numel() == 1 else repeats
    return torch.repeat_interleave(tensor_of(a), repeats, axis)


@implements("unstack")
def unstack(x: Any, /, *, axis: int = 0) -> Any:
    return tuple(torch.unbind(tensor_of(x), axis))


# ---------------------------------------------------------------- parts of matrices


@implements("tril")
def tril(m: Any, k: int = 0) -> Any:
    return torch.tril(tensor_of(m), k)


@implements("triu")
def triu(m: Any, k: int = 0) -> Any:
    return torch.triu(tensor_of(m), k)


@implements("diag")
def diag(v: Any, k: int = 0) -> Any:
    return torch.diag(tensor_of(v), k)


@implements("diagflat")
def diagflat(v: Any, k: int = 0) -> Any:
    return torch.diagflat(tensor_of(v), k)


@implements("diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    return torch.diagonal(tensor_of(a), offset, axis1, axis2)


@implements("linalg.diagonal")
def last_diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return torch.diagonal(tensor_of(x), offset, -2, -1)


@implements("trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Any:
    result = torch.sum(torch.diagonal(tensor_of(a), offset, axis1, axis2), -1, dtype=dtype)
    return store(result, out)


@implements("linalg.trace")
def last_trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return torch.sum(torch.diagonal(tensor_of(x), offset, -2, -1), -1, dtype=dtype)


@implements("meshgrid")
def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> Any:
    if sparse:
        return NotImplemented
    return tuple(torch.meshgrid(*[tensor_of(x) for x in xi], indexing=indexing))


@implements("pad")
def pad(array: Any, pad_width: Any, mode: Any = "constant", **options: Any) -> Any:
    if mode != "constant" or isinstance(pad_width, dict) or np.ndim(options.get("constant_values", 0)) != 0:
        return NotImplemented
    x = tensor_of(array)
    widths = np.broadcast_to(pad_width, (x.ndim, 2)).tolist()
    fill = torch.tensor(options.get("constant_values", 0)).to(x.device, x.dtype)
    for axis, pair in enumerate(widths):
        edges = [torch.broadcast_to(fill, [n if i == axis else m for i, m in enumerate(x.shape)]) for n in pair]
        x = torch.cat([edges[0], x, edges[1]], axis)
    return x


@implements("copy")
def copy(a: Any, order: str = "K", subok: bool = False) -> Any:
    return tensor_of(a).clone()


@implements("astype")
def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return tensor_of(x).to(dtype, copy=copy)


@implements("copyto")
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    store(promoted([tensor_of(src)])[0], dst, casting, where)
