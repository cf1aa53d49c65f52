"""Reductions: sums, products, extremes, and what is composed of them along an axis.

`axis` is None for all axes or a tuple of non-negative ints (an int for argmax and the like); `keepdims` as in
the array API standard. PyTorch's spellings are in `rushlight.api.reduce`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.ops.define import op
from rushlight.ops.namespaces import counted
from rushlight.ops.scan import products_before, reverse


def kept_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The shape a reduction with `keepdims` has."""
    if axis is None:
        return (1,) * len(shape)
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def spread(xp: Any, grad: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Repeats the gradient of a reduction over the axes that were reduced."""
    if len(grad.shape) == len(shape) or axis is None or axis == (0,):  # broadcasting puts the axes where they belong
        return xp.broadcast_to(grad, shape)
    return xp.broadcast_to(xp.reshape(grad, kept_shape(shape, axis)), shape)


def kept(xp: Any, reduced: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """A reduction's result or gradient with the reduced axes put back with size 1."""
    return xp.reshape(reduced, kept_shape(shape, axis))


def count(shape: tuple[int, ...], axis: Any) -> int:
    """How many elements each result is made of."""
    return (
        math.prod(shape)
        if axis is None
        else math.prod([shape[a] for a in ((axis,) if isinstance(axis, int) else axis)])
    )


ROW = 1024


@op(waist="sum", fuse="simple", linear=True)
def sum(xp, x, *, axis=None, keepdims=False):
    if axis is None and x.__class__ is not np.ndarray and x.size > 2 * ROW:
        return _sum_in_rows(xp, x, keepdims)
    return xp.sum(x, axis=axis, keepdims=keepdims)


def _sum_in_rows(xp: Any, x: Any, keepdims: bool) -> Any:
    """The sum of sums of rows: compiled code adds up one after the other, and errors grow with the number of terms."""
    flat, whole = xp.reshape(x, (-1,)), x.size - x.size % ROW
    rows = xp.reshape(xp.slice(flat, (slice(0, whole),)), (-1, ROW))
    total = xp.sum(xp.sum(rows, axis=1), axis=0) + xp.sum(xp.slice(flat, (slice(whole, x.size),)), axis=0)
    return xp.reshape(total, (1,) * x.ndim) if keepdims else total


sum.derivative(x=lambda xp, grad, x_shape, axis: spread(xp, grad, x_shape, axis))


@op(fuse="simple", linear=True)
def mean(xp, x, *, axis=None, keepdims=False):
    number = count(x.shape, axis)
    return sum.op.function(xp, x, axis=axis, keepdims=keepdims) / (number or math.nan)


mean.derivative(x=lambda xp, grad, x_shape, axis: spread(xp, grad / max_int(count(x_shape, axis), 1), x_shape, axis))


def max_int(a: int, b: int) -> int:
    return max(b, a)


@op(waist="prod")
def prod(xp, x, *, axis=None, keepdims=False):
    return xp.prod(x, axis=axis, keepdims=keepdims)


def _prod_gradient(xp: Any, grad: Any, x: Any, axis: Any) -> Any:
    """For each element the product of those before it and of those behind it: right also where some are 0."""
    if x.ndim == 0:
        return grad
    axes = tuple(range(x.ndim)) if axis is None else (axis,) if isinstance(axis, int) else axis
    order = (*[i for i in range(x.ndim) if i not in axes], *axes)
    shape = tuple([x.shape[i] for i in order])
    rows = xp.reshape(xp.permute_dims(x, order), (*shape[: x.ndim - len(axes)], count(x.shape, axes)))
    last = rows.ndim - 1
    if not rows.shape[last]:
        return kept(xp, grad, x.shape, axis) * x
    behind = reverse(xp, products_before(xp, reverse(xp, rows, last), last), last)
    others = xp.reshape(products_before(xp, rows, last) * behind, shape)
    return kept(xp, grad, x.shape, axis) * xp.permute_dims(others, tuple(sorted(range(x.ndim), key=order.__getitem__)))


prod.derivative(x=_prod_gradient)


def _shared_among_ties(xp: Any, grad: Any, x: Any, out: Any, axis: Any) -> Any:
    """The gradient of an extreme, in equal parts where it is reached more than once."""
    return _shared(xp, kept(xp, grad, x.shape, axis), xp.equal(x, kept(xp, out, x.shape, axis)), axis)


def _shared(xp: Any, grad: Any, is_chosen: Any, axis: Any) -> Any:
    """The gradient in equal parts for the chosen elements."""
    share = xp.astype(is_chosen, grad.dtype)
    return grad * (share / xp.sum(share, axis=axis, keepdims=True))


@op(waist="max", fuse="simple")
def amax(xp, x, *, axis=None, keepdims=False):
    return xp.max(x, axis=axis, keepdims=keepdims)


amax.derivative(x=lambda xp, grad, x, out, axis: _shared_among_ties(xp, grad, x, out, axis))


@op(waist="min", fuse="simple")
def amin(xp, x, *, axis=None, keepdims=False):
    return xp.min(x, axis=axis, keepdims=keepdims)


amin.derivative(x=lambda xp, grad, x, out, axis: _shared_among_ties(xp, grad, x, out, axis))


@op(waist="any", wide=False)
def any(xp, x, *, axis=None, keepdims=False):
    return xp.any(x, axis=axis, keepdims=keepdims)


@op(waist="all", wide=False)
def all(xp, x, *, axis=None, keepdims=False):
    return xp.all(x, axis=axis, keepdims=keepdims)


@op(waist="argmax")
def argmax(xp, x, *, axis=None, keepdims=False):
    return xp.argmax(x, axis=axis, keepdims=keepdims)


@op(waist="argmin")
def argmin(xp, x, *, axis=None, keepdims=False):
    return xp.argmin(x, axis=axis, keepdims=keepdims)


@op
def median(xp, x, *, skips_nan=False):
    """The lower one of the middle elements of a vector. NaN if one is, unless these are left out."""
    ordered, is_nan = xp.sort(x, axis=0), xp.isnan(x)
    number = xp.sum(xp.astype(xp.logical_not(is_nan), np.dtype(np.int64)), axis=0, keepdims=True)
    middle = xp.maximum((number - 1) // 2, 0) if skips_nan else xp.where(number == x.shape[0], (number - 1) // 2, -1)
    return xp.reshape(xp.take_along_axis(ordered, middle, axis=0), ())


median.derivative(
    x=lambda xp, grad, x, out: _shared(
        xp, grad, xp.logical_or(xp.equal(x, out), xp.logical_and(xp.isnan(x), xp.isnan(out))), 0
    )
)


def _deviation(xp: Any, x: Any, axis: Any) -> Any:
    """The distance from the mean."""
    return x - xp.sum(x, axis=axis, keepdims=True) / max_int(count(x.shape, axis), 1)


def _degrees(number: int, correction: float) -> float:
    return max_int(number - correction, 0) or math.nan


def _variance(xp: Any, x: Any, axis: Any, correction: float, keepdims: bool) -> Any:
    deviation = _deviation(xp, x, axis)
    if x.dtype.kind == "c":
        real, imag = xp.real(deviation), xp.imag(deviation)
        squares = real * real + imag * imag
    else:
        squares = deviation * deviation
    return xp.sum(squares, axis=axis, keepdims=keepdims) / _degrees(count(x.shape, axis), correction)


@op(fuse=True, wirtinger=True)
def var(xp, x, *, axis=None, correction=1, keepdims=False):
    """The mean squared deviation, with `count - correction` for the mean's denominator."""
    return _variance(xp, x, axis, correction, keepdims)


def _var_gradient(xp: Any, grad: Any, x: Any, axis: Any, correction: float) -> Any:
    factor = 2 / _degrees(count(x.shape, axis), correction)
    return kept(xp, grad, x.shape, axis) * (_deviation(xp, x, axis) * factor)


var.derivative(x=_var_gradient)


@op(fuse=True, wirtinger=True)
def std(xp, x, *, axis=None, correction=1, keepdims=False):
    """The square root of the variance."""
    return xp.sqrt(_variance(xp, x, axis, correction, keepdims))


def _std_gradient(xp: Any, grad: Any, x: Any, out: Any, axis: Any, correction: float) -> Any:
    """Where all elements are equal there is a kink: 0, as in PyTorch."""
    grad = xp.where(xp.equal(out, 0), 0.0, grad / (out * _degrees(count(x.shape, axis), correction)))
    return kept(xp, grad, x.shape, axis) * _deviation(xp, x, axis)


std.derivative(x=_std_gradient)


@op(fuse=True)
def logsumexp(xp, x, *, axis=None, keepdims=False):
    """log(sum(exp(x))), with the largest element (by its real part) taken out first so that nothing overflows."""
    top = xp.real(x)
    top = (
        xp.max(top, axis=axis, keepdims=True)
        if count(x.shape, axis)
        else xp.full(kept_shape(x.shape, axis), 0, top.dtype)
    )
    top = xp.where(xp.isinf(top), 0.0, top)
    total = xp.log(xp.sum(xp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else xp.reshape(total, _reduced_shape(x.shape, axis))


def _reduced_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple([n for i, n in enumerate(shape) if i not in axes])


logsumexp.derivative(
    x=lambda xp, grad, x, out, axis: kept(xp, grad, x.shape, axis) * xp.exp(x - kept(xp, out, x.shape, axis))
)


@op(fuse=True, symmetric=True)
def softmax(xp, x, *, axis):
    if not x.shape[axis]:
        return xp.astype(x, x.dtype)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


softmax.derivative(x=lambda xp, grad, out, axis: out * (grad - xp.sum(grad * out, axis=axis, keepdims=True)))


@op(fuse=True, grad_name="Softmax")
def attention_weights(xp, scores, *, scale, causal):
    """softmax(scale scores) over the last axis; with `causal`, row i looks at columns 0 ... i only."""
    x = scores * scale
    if causal:
        rows, columns = (counted(xp, n) for n in x.shape[-2:])
        x = xp.where(xp.less_equal(columns, xp.reshape(rows, (-1, 1))), x, -math.inf)
    e = xp.exp(x - xp.max(x, axis=-1, keepdims=True))
    return e / xp.sum(e, axis=-1, keepdims=True)


attention_weights.derivative(
    scores=lambda xp, grad, out, scale: (out * scale) * (grad - xp.sum(grad * out, axis=-1, keepdims=True))
)


@op(fuse=True)
def log_softmax(xp, x, *, axis):
    if not x.shape[axis]:
        return xp.astype(x, x.dtype)
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


log_softmax.derivative(x=lambda xp, grad, out, axis: grad - xp.exp(out) * xp.sum(grad, axis=axis, keepdims=True))
