"""Scans: what runs along an axis, and its derivatives.

The derivative of a product or of a log-sum-exp that runs is a linear recurrence, which `recurrence` solves in passes
over the whole axis. Nothing is divided by, so zeros need no care, and derivatives of any order are right.
"""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op


def part(axis: int, start: int | None, stop: int | None, step: int | None = None) -> tuple:
    """The index of a part of an axis."""
    return (slice(None),) * axis + (slice(start, stop, step),)


def reverse(xp: Any, x: Any, axis: int) -> Any:
    return xp.slice(x, part(axis, None, None, -1))


def _delayed(xp: Any, x: Any, axis: int, by: int, first: float, keep: int | None = None) -> Any:
    """`by` times the number `first`, then x, as far as `keep`."""
    shape = tuple([by if i == axis else n for i, n in enumerate(x.shape)])
    return xp.concat([xp.full(shape, first, x.dtype), xp.slice(x, part(axis, None, keep))], axis=axis)


def recurrence(xp: Any, factors: Any, terms: Any, axis: int) -> Any:
    """y with y[0] = terms[0] and y[i] = terms[i] + factors[i - 1] * y[i - 1], in log2(n) passes.

    Hillis and Steele 1986, "Data parallel algorithms": a pass joins each stretch of steps with the one before it.
    """
    size, step = terms.shape[axis], 1
    if size < 2:
        return terms
    factors = _delayed(xp, factors, axis, 1, 0)
    while step < size:
        terms = terms + factors * _delayed(xp, terms, axis, step, 0, -step)
        factors = factors * _delayed(xp, factors, axis, step, 0, -step)
        step *= 2
    return terms


@op(waist="cumulative_sum", grad_name="Cumsum", linear=True)
def cumsum(xp, x, *, axis):
    return xp.cumulative_sum(x, axis=axis)


cumsum.derivative(x=lambda xp, grad, axis: reverse(xp, xp.cumulative_sum(reverse(xp, grad, axis), axis=axis), axis))


@op(waist="cumulative_prod", grad_name="Cumprod")
def cumprod(xp, x, *, axis):
    return xp.cumulative_prod(x, axis=axis)


def products_before(xp: Any, x: Any, axis: int) -> Any:
    """For each element the product of those before it."""
    return _delayed(xp, xp.cumulative_prod(xp.slice(x, part(axis, None, -1)), axis=axis), axis, 1, 1)


def _cumprod_gradient(xp: Any, grad: Any, x: Any, axis: int) -> Any:
    """sum over j >= i of grad[j] * (the product up to j without x[i]): what is before times a sum of what follows."""
    if x.shape[axis] < 2:
        return grad
    later = reverse(xp, xp.slice(x, part(axis, 1, None)), axis)
    following = reverse(xp, recurrence(xp, later, reverse(xp, grad, axis), axis), axis)
    return following * products_before(xp, x, axis)


cumprod.derivative(x=_cumprod_gradient)


@op(waist="cumulative_logsumexp", grad_name="Logcumsumexp")
def logcumsumexp(xp, x, *, axis):
    """log(cumulative_sum(exp(x))), without overflow."""
    return xp.cumulative_logsumexp(x, axis=axis)


def _logcumsumexp_gradient(xp: Any, grad: Any, x: Any, out: Any, axis: int) -> Any:
    """sum over j >= i of grad[j] * exp(x[i] - out[j]), where exp(out[i] - out[j]) is the product of the steps."""
    if not x.shape[axis]:
        return grad
    steps = _exp_of_difference(xp, xp.slice(out, part(axis, None, -1)), xp.slice(out, part(axis, 1, None)))
    following = recurrence(xp, reverse(xp, steps, axis), reverse(xp, grad, axis), axis)
    return reverse(xp, following, axis) * _exp_of_difference(xp, x, out)


def _exp_of_difference(xp: Any, x: Any, y: Any) -> Any:
    """exp(x - y), 1 where both are the same infinity."""
    return xp.exp(xp.where(xp.equal(x, y), 0.0, x - y))


logcumsumexp.derivative(x=_logcumsumexp_gradient)


@op
def cumulative_argmax(xp, x, *, axis):
    """Where the running maximum is: the latest of equal ones."""
    return xp.cumulative_argmax(x, axis=axis)


@op
def cumulative_argmin(xp, x, *, axis):
    """Where the running minimum is: the latest of equal ones."""
    return xp.cumulative_argmin(x, axis=axis)
