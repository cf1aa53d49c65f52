"""Choosing, ordering and comparing; and the elementwise functions that are no ufuncs."""

from __future__ import annotations

from typing import Any

import numpy as np

import rushlight as torch
from rushlight.interop.arguments import number_as_tensor, promoted, store, tensor_of
from rushlight.interop.numpy_functions.table import implements
from rushlight.tensor import Tensor


def _operands(*values: Any) -> list[Any]:
    """Arrays as tensors, numbers as tensors of the dtype they take beside them."""
    given = [x if isinstance(x, (bool, int, float, complex)) else tensor_of(x) for x in values]
    return [number_as_tensor(x, given) for x in given]


def _truth(x: Any) -> Tensor:
    return torch.ne(tensor_of(x), 0)


@implements("where")
def where(condition: Any, x: Any = None, y: Any = None, /) -> Any:
    condition = _truth(condition)
    if x is None and y is None:
        return torch.where(condition)
    return torch.where(condition, *promoted(_operands(x, y)))


@implements("clip")
def clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, *, min: Any = None, max: Any = None, **_: Any) -> Any:  # fmt: skip
    x = tensor_of(a)
    bounds = (a_min if min is None else min, a_max if max is None else max)
    low, high = (None if b is None else number_as_tensor(b if isinstance(b, (bool, int, float)) else tensor_of(b), [x]) for b in bounds)  # fmt: skip
    if low is not None:
        x = torch.maximum(x, low)
    return store(x if high is None else torch.minimum(x, high), out)


@implements("take")
def take(a: Any, indices: Any, axis: Any = None, out: Any = None, mode: str = "raise") -> Any:
    if mode != "raise":
        return NotImplemented
    x, indices = tensor_of(a), tensor_of(indices)
    if axis is None:
        return store(x.reshape(-1)[indices], out)
    return store(x[(slice(None),) * (axis % x.ndim) + (indices,)], out)


@implements("take_along_axis")
def take_along_axis(arr: Any, indices: Any, axis: Any = -1) -> Any:
    x, indices = tensor_of(arr), tensor_of(indices)
    return torch.take_along_dim(x, indices, axis)


@implements("compress")
def compress(condition: Any, a: Any, axis: Any = None, out: Any = None) -> Any:
    x, condition = tensor_of(a), _truth(condition)
    x = x.reshape(-1) if axis is None else x
    return store(take(x, torch.nonzero(condition).reshape(-1), axis or 0), out)


@implements("extract")
def extract(condition: Any, arr: Any) -> Any:
    return tensor_of(arr).reshape(-1)[_truth(condition).reshape(-1)]


@implements("select")
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    *choices, result = promoted(_operands(*choicelist, default))
    for condition, choice in reversed(list(zip(condlist, choices, strict=True))):
        result = torch.where(_truth(condition), choice, result)
    return result


@implements("nonzero")
def nonzero(a: Any) -> Any:
    return torch.nonzero(tensor_of(a), as_tuple=True)


@implements("flatnonzero")
def flatnonzero(a: Any) -> Any:
    return torch.nonzero(tensor_of(a).reshape(-1)).reshape(-1)


@implements("argwhere")
def argwhere(a: Any) -> Any:
    return torch.argwhere(tensor_of(a))


@implements("count_nonzero")
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return torch.sum(_truth(a), axis, keepdims)


@implements("argmax")
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return store(_index_of(torch.argmax, a, axis, keepdims), out)


@implements("argmin")
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return store(_index_of(torch.argmin, a, axis, keepdims), out)


def _index_of(function: Any, a: Any, axis: Any, keepdims: bool) -> Tensor:
    x = tensor_of(a)
    return function(x.to(torch.uint8) if x.dtype is torch.bool else x, axis, keepdims)


@implements("sort")
def sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    x = tensor_of(a)
    return torch.sort(x.reshape(-1) if axis is None else x, -1 if axis is None else axis).values


@implements("argsort")
def argsort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, stable: bool | None = None) -> Any:
    x = tensor_of(a)
    return torch.argsort(x.reshape(-1) if axis is None else x, -1 if axis is None else axis, stable=True)


@implements("searchsorted")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    a, v = promoted((tensor_of(a), tensor_of(v)))
    return torch.searchsorted(a, v, side=side, sorter=None if sorter is None else tensor_of(sorter))


# ---------------------------------------------------------------- comparing


@implements("isclose")
def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Any:
    x, y = torch.broadcast_tensors(*promoted(_operands(a, b)))
    return torch.isclose(x, y, rtol, atol, equal_nan)


@implements("allclose")
def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> bool:
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


@implements("array_equal")
def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    x, y = (tensor_of(a)._host_values("array_equal()") for a in (a1, a2))
    return np.array_equal(x, y, equal_nan)


# ---------------------------------------------------------------- elementwise


@implements("real")
def real(val: Any) -> Any:
    x = tensor_of(val)
    return torch.real(x) if x.is_complex() else x


@implements("imag")
def imag(val: Any) -> Any:
    x = tensor_of(val)
    return torch.imag(x) if x.is_complex() else torch.zeros_like(x)


@implements("angle")
def angle(z: Any, deg: bool = False) -> Any:
    result = torch.angle(tensor_of(z))
    return torch.rad2deg(result) if deg else result


@implements("round", "around")
def round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    return store(torch.round(tensor_of(a), decimals=decimals), out)


@implements("fix")
def fix(x: Any, out: Any = None) -> Any:
    return store(torch.trunc(tensor_of(x)), out)


@implements("nan_to_num")
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    return torch.nan_to_num(tensor_of(x), nan, posinf, neginf) if copy else NotImplemented


@implements("sinc")
def sinc(x: Any) -> Any:
    return torch.sinc(tensor_of(x))


@implements("i0")
def i0(x: Any) -> Any:
    return torch.i0(tensor_of(x))


@implements("isposinf")
def isposinf(x: Any, out: Any = None) -> Any:
    return store(torch.eq(tensor_of(x), torch.inf), out)


@implements("isneginf")
def isneginf(x: Any, out: Any = None) -> Any:
    return store(torch.eq(tensor_of(x), -torch.inf), out)
