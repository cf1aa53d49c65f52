"""Reductions. `axis=()` reduces nothing; small integers are summed in the default integer of their kind."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight import dtypes
from rushlight.dtypes import dtype as DType
from rushlight.tensor import Tensor

Axes = int | tuple[int, ...] | None


def over(function: Any, x: Tensor, axis: Axes, keepdims: bool, **options: Any) -> Tensor:
    """A reduction over axes in PyTorch's spelling, for which no axes mean all."""
    if axis == ():
        axis, x = -1, torch.unsqueeze(x, -1)
        result = function(x, axis, keepdim=False, **options)
        return result
    return function(x, tuple(range(x.ndim)) if axis is None else axis, keepdim=keepdims, **options)


def _accumulator(x: Tensor, dtype: DType | None) -> DType:
    """The dtype of a sum or product."""
    if dtype is not None:
        return dtype
    return {"u": dtypes.uint64, "i": dtypes.int64, "b": dtypes.int64}.get(x.dtype.kind, x.dtype)


def sum(x: Tensor, /, *, axis: Axes = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    return over(torch.sum, x, axis, keepdims, dtype=_accumulator(x, dtype))


def prod(x: Tensor, /, *, axis: Axes = None, dtype: DType | None = None, keepdims: bool = False) -> Tensor:
    return over(torch.prod, x, axis, keepdims, dtype=_accumulator(x, dtype))


def mean(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    return over(torch.mean, x, axis, keepdims)


def max(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    return over(torch.amax, x, axis, keepdims)


def min(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    return over(torch.amin, x, axis, keepdims)


def var(x: Tensor, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    return over(torch.var, x, axis, keepdims, correction=correction)


def std(x: Tensor, /, *, axis: Axes = None, correction: float = 0.0, keepdims: bool = False) -> Tensor:
    return over(torch.std, x, axis, keepdims, correction=correction)


def all(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    return over(torch.all, torch.ne(x, 0), axis, keepdims)


def any(x: Tensor, /, *, axis: Axes = None, keepdims: bool = False) -> Tensor:
    return over(torch.any, torch.ne(x, 0), axis, keepdims)


# ---------------------------------------------------------------- running


def _running(function: Any, first: int, x: Tensor, axis: int | None, dtype: DType | None, initial: bool) -> Tensor:
    if axis is None:
        if x.ndim > 1:
            raise ValueError(f"an axis is needed for an array of {x.ndim} dimensions")
        axis, x = 0, torch.reshape(x, (-1,))
    axis = axis % x.ndim
    dtype = _accumulator(x, dtype)
    if initial:
        start = torch.full([1 if i == axis else n for i, n in enumerate(x.shape)], first, dtype=dtype)
        x = torch.cat([start, x.to(dtype)], axis)
    return function(x.to(dtype), axis, dtype=dtype)


def cumulative_sum(
    x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Tensor:
    """Running sums; with `include_initial` a 0 before the first."""
    return _running(torch.cumsum, 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Tensor, /, *, axis: int | None = None, dtype: DType | None = None, include_initial: bool = False
) -> Tensor:
    """Running products; with `include_initial` a 1 before the first."""
    return _running(torch.cumprod, 1, x, axis, dtype, include_initial)


def diff(
    x: Tensor, /, *, axis: int = -1, n: int = 1, prepend: Tensor | None = None, append: Tensor | None = None
) -> Tensor:
    return torch.diff(x, n, axis, prepend, append)
