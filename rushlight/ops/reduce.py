"""Reductions: sums, products, extremes, and what is composed of them along an axis.

`axis` is None for all axes or a tuple of non-negative ints (an int for argmax and the like); `keepdims` as in
the array API standard. PyTorch's spellings are in `rushlight.api.reduce`.
"""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.define import op


def kept_shape(shape: tuple[int, ...], axis: Any) -> tuple[int, ...]:
    """The shape a reduction with `keepdims` has."""
    if axis is None:
        return (1,) * len(shape)
    axes = (axis,) if isinstance(axis, int) else axis
    return tuple([1 if i in axes else n for i, n in enumerate(shape)])


def spread(xp: Any, grad: Any, shape: tuple[int, ...], axis: Any) -> Any:
    """Repeats the gradient of a reduction over the axes that were reduced."""
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


@op(waist="sum")
def sum(xp, x, *, axis=None, keepdims=False):
    return xp.sum(x, axis=axis, keepdims=keepdims)


sum.derivative(x=lambda xp, grad, x_shape, axis: spread(xp, grad, x_shape, axis))


@op
def mean(xp, x, *, axis=None, keepdims=False):
    number = count(x.shape, axis)
    return xp.sum(x, axis=axis, keepdims=keepdims) / (number or math.nan)


mean.derivative(x=lambda xp, grad, x_shape, axis: spread(xp, grad / max_int(count(x_shape, axis), 1), x_shape, axis))


def max_int(a: int, b: int) -> int:
    return max(b, a)


@op(waist="prod")
def prod(xp, x, *, axis=None, keepdims=False):
    return xp.prod(x, axis=axis, keepdims=keepdims)


def _prod_gradient(xp: Any, grad: Any, x: Any, axis: Any) -> Any:
    """For each element the product of the others: right also where some are 0."""
    grad, zero = kept(xp, grad, x.shape, axis), xp.equal(x, 0)
    zeros = xp.sum(xp.astype(zero, grad.dtype), axis=axis, keepdims=True)
    product = xp.prod(xp.where(zero, 1.0, x), axis=axis, keepdims=True)  # of those that are not 0
    others = xp.where(
        zero,
        xp.where(xp.equal(zeros, 1), product, 0.0),
        xp.where(xp.equal(zeros, 0), product / xp.where(zero, 1.0, x), 0.0),
    )
    return grad * others


prod.derivative(x=_prod_gradient)


def _shared_among_ties(xp: Any, grad: Any, x: Any, out: Any, axis: Any) -> Any:
    """The gradient of an extreme, in equal parts where it is reached more than once."""
    best = xp.equal(x, kept(xp, out, x.shape, axis))
    share = xp.astype(best, grad.dtype)
    return kept(xp, grad, x.shape, axis) * (share / xp.sum(share, axis=axis, keepdims=True))


@op(waist="max")
def amax(xp, x, *, axis=None, keepdims=False):
    return xp.max(x, axis=axis, keepdims=keepdims)


amax.derivative(x=lambda xp, grad, x, out, axis: _shared_among_ties(xp, grad, x, out, axis))


@op(waist="min")
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


@op(fuse=True)
def var(xp, x, *, axis=None, correction=1, keepdims=False):
    """The mean squared deviation, with `count - correction` for the mean's denominator."""
    number = count(x.shape, axis)
    deviation = x - xp.sum(x, axis=axis, keepdims=True) / max_int(number, 1)
    return xp.sum(deviation * deviation, axis=axis, keepdims=keepdims) / _degrees(number, correction)


def _degrees(number: int, correction: float) -> float:
    return max_int(number - correction, 0) or math.nan


def _var_gradient(xp: Any, grad: Any, x: Any, axis: Any, correction: float) -> Any:
    number = count(x.shape, axis)
    deviation = x - xp.sum(x, axis=axis, keepdims=True) / max_int(number, 1)
    return kept(xp, grad, x.shape, axis) * (deviation * (2 / _degrees(number, correction)))


var.derivative(x=_var_gradient)


@op(fuse=True)
def logsumexp(xp, x, *, axis=None, keepdims=False):
    """log(sum(exp(x))), with the largest element taken out first so that nothing overflows."""
    top = (
        xp.max(x, axis=axis, keepdims=True) if count(x.shape, axis) else xp.full(kept_shape(x.shape, axis), 0, x.dtype)
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


@op(fuse=True)
def softmax(xp, x, *, axis):
    if not x.shape[axis]:
        return xp.astype(x, x.dtype)
    e = xp.exp(x - xp.max(x, axis=axis, keepdims=True))
    return e / xp.sum(e, axis=axis, keepdims=True)


softmax.derivative(x=lambda xp, grad, out, axis: out * (grad - xp.sum(grad * out, axis=axis, keepdims=True)))


@op(fuse=True)
def log_softmax(xp, x, *, axis):
    if not x.shape[axis]:
        return xp.astype(x, x.dtype)
    shifted = x - xp.max(x, axis=axis, keepdims=True)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=axis, keepdims=True))


log_softmax.derivative(x=lambda xp, grad, out, axis: grad - xp.exp(out) * xp.sum(grad, axis=axis, keepdims=True))


def reverse(xp: Any, x: Any, axis: int) -> Any:
    return xp.slice(x, (slice(None),) * axis + (slice(None, None, -1),))


@op(waist="cumulative_sum", grad_name="Cumsum")
def cumsum(xp, x, *, axis):
    return xp.cumulative_sum(x, axis=axis)


cumsum.derivative(x=lambda xp, grad, axis: reverse(xp, xp.cumulative_sum(reverse(xp, grad, axis), axis=axis), axis))


@op(grad_name="LinalgVectorNorm")
def norm2(xp, x, *, axis=None, keepdims=False):
    """The Euclidean norm."""
    return xp.sqrt(xp.sum(x * x, axis=axis, keepdims=keepdims))


def _norm2_gradient(xp: Any, grad: Any, x: Any, out: Any, axis: Any) -> Any:
    length = kept(xp, out, x.shape, axis)
    return kept(xp, grad, x.shape, axis) * xp.where(xp.equal(length, 0), 0.0, x / length)


norm2.derivative(x=_norm2_gradient)


@op(grad_name="LinalgVectorNorm")
def norm0(xp, x, *, axis=None, keepdims=False):
    """How many elements are not zero: constant wherever it has a derivative."""
    return xp.sum(xp.astype(xp.not_equal(x, 0), x.dtype), axis=axis, keepdims=keepdims)


norm0.derivative(x=lambda xp, grad: None)
