"""Sums, means, extremes and what is made of them. NumPy's `axis=None` means all elements; `ddof` is `correction`."""

from __future__ import annotations

from typing import Any

import numpy as np

import rushlight as torch
from rushlight.interop.arguments import floating, store, tensor_of
from rushlight.interop.numpy_functions.table import implements
from rushlight.interop.ufuncs import accumulated, reduced
from rushlight.tensor import Tensor


def _with_dtype(ufunc: Any) -> Any:
    def reduction(
        a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        return reduced(ufunc, a, axis, dtype, out, keepdims, initial, where)

    return reduction


def _without_dtype(ufunc: Any) -> Any:
    def reduction(
        a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
    ) -> Any:
        return reduced(ufunc, a, axis, None, out, keepdims, initial, where)

    return reduction


def _running(ufunc: Any) -> Any:
    def accumulation(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Any:
        x = tensor_of(a)
        return accumulated(ufunc, x.reshape(-1) if axis is None else x, axis or 0, dtype, out)

    return accumulation


implements("sum")(_with_dtype(np.add))
implements("prod")(_with_dtype(np.multiply))
implements("max", "amax")(_without_dtype(np.maximum))
implements("min", "amin")(_without_dtype(np.minimum))
implements("all")(_without_dtype(np.logical_and))
implements("any")(_without_dtype(np.logical_or))
implements("cumsum")(_running(np.add))
implements("cumprod")(_running(np.multiply))


def _cumulative(ufunc: Any, x: Any, axis: Any, dtype: Any, out: Any, include_initial: bool) -> Any:
    x = tensor_of(x)
    axis = (0 if axis is None else axis) % x.ndim
    result = accumulated(ufunc, x, axis, dtype)
    if include_initial:
        first = torch.full_like(result.narrow(axis, 0, 1), 0 if ufunc is np.add else 1)
        result = torch.cat([first, result], axis)
    return store(result, out)


@implements("cumulative_sum")
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    return _cumulative(np.add, x, axis, dtype, out, include_initial)


@implements("cumulative_prod")
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Any:
    return _cumulative(np.multiply, x, axis, dtype, out, include_initial)


@implements("mean")
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    x = floating(tensor_of(a)) if dtype is None else tensor_of(a).to(dtype)
    if where is True:
        return store(torch.mean(x, axis, keepdims), out)
    mask = torch.broadcast_to(tensor_of(where), x.shape)
    total, count = (
        reduced(np.add, x, axis, keepdims=keepdims, where=mask),
        reduced(np.add, mask, axis, keepdims=keepdims),
    )
    return store(total / count, out)


def _variance(a: Any, axis: Any, dtype: Any, ddof: Any, keepdims: bool, where: Any, given: dict[str, Any]) -> Tensor:
    x = floating(tensor_of(a)) if dtype is None else tensor_of(a).to(dtype)
    ddof = given.get("correction", ddof)
    if where is True and "mean" not in given:
        return torch.var(x, axis, correction=ddof, keepdim=keepdims)
    center = given["mean"] if "mean" in given else mean(x, axis, keepdims=True, where=where)
    mask = torch.ones_like(x, dtype=torch.bool) if where is True else torch.broadcast_to(tensor_of(where), x.shape)
    deviation = torch.where(mask, torch.abs(x - center) ** 2, torch.zeros_like(torch.abs(x)))
    axes = tuple(range(x.ndim)) if axis is None else axis
    return torch.sum(deviation, axes, keepdims) / (torch.sum(mask, axes, keepdims) - ddof)


@implements("var")
def var(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = True, **given: Any,
) -> Any:  # fmt: skip
    return store(_variance(a, axis, dtype, ddof, keepdims, where, given), out)


@implements("std")
def std(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = True, **given: Any,
) -> Any:  # fmt: skip
    return store(torch.sqrt(_variance(a, axis, dtype, ddof, keepdims, where, given)), out)


@implements("average")
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    x = floating(tensor_of(a))
    if weights is None:
        result = torch.mean(x, axis, keepdims)
        scale = torch.full_like(result, x.numel() // max(result.numel(), 1))
    else:
        weight = tensor_of(weights)
        if weight.ndim == 1 and x.ndim > 1:
            weight = weight.reshape([-1 if i == axis % x.ndim else 1 for i in range(x.ndim)])
        weight = torch.broadcast_to(weight, x.shape)
        scale = torch.sum(weight, axis, keepdims)
        result = torch.sum(x * weight, axis, keepdims) / scale
    return (result, torch.broadcast_to(scale, result.shape)) if returned else result


@implements("ptp")
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    x = tensor_of(a)
    return store(reduced(np.maximum, x, axis, keepdims=keepdims) - reduced(np.minimum, x, axis, keepdims=keepdims), out)


# ---------------------------------------------------------------- order statistics


def _last(x: Tensor, axis: Any) -> tuple[Tensor, tuple[int, ...]]:
    """The reduced axes as one, the last; and which they were."""
    axes = (
        tuple(range(x.ndim))
        if axis is None
        else tuple(i % x.ndim for i in (axis if isinstance(axis, tuple) else (axis,)))
    )
    kept = [i for i in range(x.ndim) if i not in axes]
    return x.permute(*kept, *axes).reshape(*[x.shape[i] for i in kept], -1), axes


@implements("median")
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Any:
    return _quantile(a, 0.5, axis, out, keepdims, "linear")


@implements("quantile")
def quantile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return NotImplemented if weights is not None else _quantile(a, q, axis, out, keepdims, method)


@implements("percentile")
def percentile(
    a: Any, q: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: Any = None,
) -> Any:  # fmt: skip
    return NotImplemented if weights is not None else _quantile(a, np.asarray(q) / 100, axis, out, keepdims, method)


def _quantile(a: Any, q: Any, axis: Any, out: Any, keepdims: bool, method: str) -> Any:
    """Between the two sorted elements next to `q * (count - 1)`."""
    if method not in ("linear", "lower", "higher", "nearest", "midpoint"):
        return NotImplemented
    x = floating(tensor_of(a))
    flat, axes = _last(x, axis)
    ordered = torch.sort(flat, -1).values
    at = np.asarray(tensor_of(q).detach().numpy(), np.float64) * (flat.shape[-1] - 1)
    low, high = np.floor(at).astype(np.int64), np.ceil(at).astype(np.int64)
    between = {"linear": at - low, "lower": 0 * at, "higher": 0 * at + 1, "midpoint": 0 * at + 0.5 * (high > low),
               "nearest": np.round(at) - low}[method]  # fmt: skip
    weight = torch.from_numpy(np.asarray(between)).to(x.dtype)
    result = torch.lerp(ordered[..., low], ordered[..., high], weight)
    result = torch.where(torch.isnan(flat).any(-1).reshape(*flat.shape[:-1], *(1,) * at.ndim), torch.nan, result)
    if at.ndim:
        result = torch.moveaxis(result, tuple(range(-at.ndim, 0)), tuple(range(at.ndim)))
    if keepdims:
        result = result.reshape(*at.shape, *[1 if i in axes else n for i, n in enumerate(x.shape)])
    return store(result, out)


# ---------------------------------------------------------------- without NaN


@implements("nansum")
def nansum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    x = tensor_of(a)
    return reduced(
        np.add, torch.where(torch.isnan(x), torch.zeros_like(x), x), axis, dtype, out, keepdims, initial, where
    )


@implements("nanprod")
def nanprod(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    x = tensor_of(a)
    return reduced(np.multiply, torch.where(torch.isnan(x), torch.ones_like(x), x), axis, dtype, out, keepdims, initial, where)  # fmt: skip


@implements("nanmean")
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Any:
    x = floating(tensor_of(a))
    valid = ~torch.isnan(x)
    return mean(x, axis, dtype, out, keepdims, where=valid if where is True else valid & tensor_of(where))


@implements("nanvar")
def nanvar(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = True, **given: Any,
) -> Any:  # fmt: skip
    x = floating(tensor_of(a))
    valid = ~torch.isnan(x)
    where = valid if where is True else valid & tensor_of(where)
    return store(_variance(x, axis, dtype, ddof, keepdims, where, given), out)


@implements("nanstd")
def nanstd(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: Any = 0, keepdims: bool = False, *,
    where: Any = True, **given: Any,
) -> Any:  # fmt: skip
    return store(torch.sqrt(nanvar(a, axis, dtype, None, ddof, keepdims, where=where, **given)), out)


def _nan_extreme(ufunc: Any, fill: float) -> Any:
    def extreme(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        x = floating(tensor_of(a))
        missing = torch.isnan(x)
        result = reduced(ufunc, torch.where(missing, fill, x), axis, keepdims=keepdims)
        return store(torch.where(reduced(np.logical_and, missing, axis, keepdims=keepdims), torch.nan, result), out)

    return extreme


implements("nanmax")(_nan_extreme(np.maximum, -np.inf))
implements("nanmin")(_nan_extreme(np.minimum, np.inf))


# ---------------------------------------------------------------- differences and integrals


@implements("diff")
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    x = tensor_of(a)
    edges = [None if e is None or e is np._NoValue else _as_edge(tensor_of(e), x, axis) for e in (prepend, append)]
    return torch.diff(x, n, axis, *edges)


def _as_edge(edge: Tensor, x: Tensor, axis: int) -> Tensor:
    if edge.ndim:
        return edge
    return torch.broadcast_to(edge, [1 if i == axis % x.ndim else n for i, n in enumerate(x.shape)])


@implements("ediff1d")
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    x = tensor_of(ary).reshape(-1)
    parts = [to_begin, torch.diff(x), to_end]
    return torch.cat([tensor_of(p).reshape(-1).to(x.dtype) for p in parts if p is not None])


@implements("trapezoid")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = tensor_of(y)
    if x is None:
        step: Any = dx
    else:
        step = torch.diff(tensor_of(x), 1, axis if tensor_of(x).ndim > 1 else -1)
        if step.ndim == 1:
            step = step.reshape([-1 if i == axis % y.ndim else 1 for i in range(y.ndim)])
    count = y.shape[axis] - 1
    return torch.sum((torch.narrow(y, axis, 1, count) + torch.narrow(y, axis, 0, count)) / 2 * step, axis)
