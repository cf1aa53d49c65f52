"""Statistics: moments, medians, quantiles and histograms, in PyTorch's spelling."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import dtypes, return_types
from rushlight.api.elementwise import ceil, floor, lerp, round, where
from rushlight.api.forms import holds, in_place_form, numpy_names
from rushlight.api.linalg_norm import vector_norm
from rushlight.api.reduce import axes_of, pick_along, refuse_kinds, sum
from rushlight.api.sorting import sort
from rushlight.ops import index as index_ops, reduce as ops, sorting as sorting_ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.create import as_tensor
from rushlight.tensor import Tensor, _checked_dim

# ---------------------------------------------------------------- variance


def _deviation_arguments(name: str, input: Tensor, dim: Any, unbiased: bool, correction: Any) -> dict[str, Any]:
    """What `var(dim)` and `var(unbiased)` both mean, as the operation wants it."""
    if input.dtype.kind not in "fc":
        raise RuntimeError(f"{name} only support floating point and complex dtypes")
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = int(unbiased) if correction is None else correction
    return {"axis": axes_of(dim, input.ndim), "correction": correction}


@numpy_names
def var(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The variance: the mean squared deviation, of `count - correction` elements (1 unless told)."""
    return ops.var(input, **_deviation_arguments("std and var", input, dim, unbiased, correction), keepdims=keepdim)


@numpy_names
def std(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> Tensor:
    """The standard deviation, the square root of `var`."""
    return ops.std(input, **_deviation_arguments("std and var", input, dim, unbiased, correction), keepdims=keepdim)


@numpy_names
def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """(variance, mean)."""
    arguments = _deviation_arguments("var_mean", input, dim, unbiased, correction)
    return ops.var(input, **arguments, keepdims=keepdim), ops.mean(input, axis=arguments["axis"], keepdims=keepdim)


@numpy_names
def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> Any:
    """(standard deviation, mean)."""
    arguments = _deviation_arguments("std_mean", input, dim, unbiased, correction)
    return ops.std(input, **arguments, keepdims=keepdim), ops.mean(input, axis=arguments["axis"], keepdims=keepdim)


# ---------------------------------------------------------------- without NaN


def _without_nan(input: Tensor) -> Tensor:
    return where(input != input, 0, input)


@numpy_names
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum of the elements that are numbers."""
    if input.dtype.kind == "c":
        raise RuntimeError("nansum on CPU does not support complex inputs")
    return sum(_without_nan(input) if input.is_floating_point() else input, dim, keepdim, dtype=dtype)


@numpy_names
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are numbers."""
    if input.dtype.kind in "iub":
        raise RuntimeError(
            f"nanmean(): expected input to have floating point or complex dtype but got {dtypes.legacy_name(input)}"
        )
    return nansum(input, dim, keepdim, dtype=dtype) / sum(input == input, dim, keepdim)


# ---------------------------------------------------------------- medians, modes, quantiles


def _middle(input: Tensor, skips_nan: bool) -> Tensor:
    refuse_kinds("bc", "median_cpu", input)
    if not input.numel():
        return input.new_full((), math.nan if input.is_floating_point() else np.iinfo(input._array.dtype).min)
    return ops.median(input.reshape(-1), skips_nan=skips_nan)


@numpy_names
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The lower one of the middle elements; with `dim`, (values, indices) along it. NaN if there is one."""
    if dim is None:
        return _middle(input, skips_nan=False)
    refuse_kinds("bc", "median_out", input)
    return pick_along(input, dim, keepdim, _index_of_median, return_types.median)


@numpy_names
def nanmedian(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Any:
    """The median of the elements that are numbers; with `dim`, (values, indices) along it."""
    if dim is None:
        return _middle(input, skips_nan=True)
    refuse_kinds("bc", "median_out", input)
    return pick_along(input, dim, keepdim, _index_of_nanmedian, return_types.nanmedian)


def _index_of_median(x: Tensor, axis: int) -> Tensor:
    """The first NaN's index where there is one, else that of the lower middle."""
    middle = sorting_ops.index_of_rank(x, rank=(x.shape[axis] - 1) // 2, axis=axis)
    is_nan = x != x
    return where(ops.any(is_nan, axis=(axis,), keepdims=True), ops.argmax(is_nan, axis=axis, keepdims=True), middle)


def _index_of_nanmedian(x: Tensor, axis: int) -> Tensor:
    last = sum(x == x, axis, True) - 1  # NaNs are sorted to the end
    order = sorting_ops.argsort(x, axis=axis)
    return index_ops.gather(order, last.clamp(min=0) // 2, axis=axis)


def _index_of_mode(x: Tensor, axis: int) -> Tensor:
    return sorting_ops.mode_index(x, axis=axis)


@numpy_names
def mode(input: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """(the most frequent element along `dim`, its index); the smallest of several."""
    refuse_kinds("c", "mode_cpu", input)
    return pick_along(input, dim, keepdim, _index_of_mode, return_types.mode)


def _levels(input: Tensor, q: Any) -> Tensor:
    """q as a tensor of the input's dtype, checked."""
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError("quantile() input tensor must be either float or double dtype")
    if not input.numel():
        raise RuntimeError("quantile() input tensor must be non-empty")
    if not isinstance(q, Tensor):
        if not 0 <= q <= 1:
            raise RuntimeError(f"quantile() q must be in the range [0, 1] but got {q:g}")
        return as_tensor(q, dtype=input.dtype, device=input.device)
    if q.ndim > 1:
        raise RuntimeError("quantile() q must be a scalar or 1D tensor")
    if q.dtype is not input.dtype:
        raise RuntimeError("quantile() q tensor must be same dtype as the input tensor")
    if not holds((q >= 0) & (q <= 1)):
        raise RuntimeError("quantile() q values must be in the range [0, 1]")
    return q


_ROUNDED = {"lower": floor, "higher": ceil, "nearest": round}


def _quantile(input: Tensor, q: Any, dim: int | None, keepdim: bool, interpolation: str, skips_nan: bool) -> Tensor:
    """Values of fractional ranks in the sorted elements; a level of q each, in a first dimension if q has one."""
    q = _levels(input, q)
    if interpolation not in ("linear", "midpoint", *_ROUNDED):
        raise RuntimeError(
            "quantile() interpolation must be one of linear, lower, higher, midpoint or nearest, but got "
            f"{interpolation}"
        )
    axis = None if dim is None else _checked_dim(dim, input.ndim)
    if not input.ndim:
        axis = None
    rows = input.reshape(-1) if axis is None else input.movedim(axis, -1)
    ordered = sort(rows, -1)[0]
    found = _at_ranks(ordered, _ranks(rows, q.reshape(-1), skips_nan), interpolation)
    if keepdim:
        found = found.reshape(*[1] * input.ndim, -1) if axis is None else found.unsqueeze(axis)
    return found.movedim(-1, 0) if q.ndim else found.squeeze(-1)


def _ranks(rows: Tensor, q: Tensor, skips_nan: bool) -> Tensor:
    """The ranks of the levels q, in each row; the last one's, a NaN's, in rows with NaNs unless these are left out."""
    size, is_nan = rows.shape[-1], rows != rows
    if skips_nan:
        return q * (size - 1 - sum(is_nan, -1, True)).clamp(min=0)
    return where(ops.any(is_nan, axis=(rows.ndim - 1,), keepdims=True), size - 1, q * (size - 1))


def _at_ranks(ordered: Tensor, ranks: Tensor, interpolation: str) -> Tensor:
    def at(rank: Tensor) -> Tensor:
        return index_ops.gather(ordered, rank.to(dtypes.int64), axis=ordered.ndim - 1)

    if interpolation in _ROUNDED:
        return at(_ROUNDED[interpolation](ranks))
    below = ranks.floor().detach()
    weight = ranks - below if interpolation == "linear" else 0.5
    return lerp(at(below), at(ranks.ceil()), weight)


@numpy_names
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The values below which the fractions q of the elements lie.

    Args:
        q: a number in [0, 1], or a vector of them for one result each, in a new first dimension.
        interpolation: between neighbours: "linear", "lower", "higher", "midpoint" or "nearest".
    """
    return _quantile(input, q, dim, keepdim, interpolation, skips_nan=False)


@numpy_names
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """`quantile` of the elements that are numbers."""
    return _quantile(input, q, dim, keepdim, interpolation, skips_nan=True)


# ---------------------------------------------------------------- slices of limited length


@numpy_names
def renorm(input: Tensor, p: float, dim: int, maxnorm: float) -> Tensor:
    """Each slice along `dim` whose p-norm is more than `maxnorm` is scaled to that norm.

    Raises:
        RuntimeError: fewer than two dimensions, a p that is not positive, a negative `maxnorm`.
    """
    if isinstance(p, complex):
        raise RuntimeError("renorm: p must be real-valued")
    if p <= 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm:g}")
    if input.ndim < 2:
        raise RuntimeError(f"renorm: input needs at least 2 dimensions, got {input.ndim} dimensions")
    axis = _checked_dim(dim, input.ndim)
    length = vector_norm(input, p, [i for i in range(input.ndim) if i != axis], True)
    return input * where(length > maxnorm, maxnorm / (length + 1e-7), 1.0)  # the constant is PyTorch's


renorm_ = in_place_form(renorm)


with_autocast(globals())
