"""Choice between elements: where, maximum and minimum, limits."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.define import op


@op(elementwise=True, waist="where", promote_from=1)
def where(xp, condition, x, y):
    return xp.where(condition, x, y)


where.derivative(
    x=lambda xp, grad, condition: xp.where(condition, grad, 0.0),
    y=lambda xp, grad, condition: xp.where(condition, 0.0, grad),
)


def _unless_it_loses(xp: Any, grad: Any, loses: Any, ties: Any) -> Any:
    """The gradient where this operand wins, half of it where both are equal; all of it where one is NaN."""
    return xp.where(ties, grad / 2, xp.where(loses, 0.0, grad))


@op(elementwise=True, waist="maximum", refuses="c")
def maximum(xp, x, y):
    return xp.maximum(x, y)


maximum.derivative(
    x=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.less(x, y), xp.equal(x, y)),
    y=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.greater(x, y), xp.equal(x, y)),
)


@op(elementwise=True, waist="minimum", refuses="c")
def minimum(xp, x, y):
    return xp.minimum(x, y)


minimum.derivative(
    x=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.greater(x, y), xp.equal(x, y)),
    y=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.less(x, y), xp.equal(x, y)),
)


@op(elementwise=True, grad_name="Clamp", refuses="c")
def clamp_numbers(xp, x, *, low, high):
    """`min(max(x, low), high)` with Python numbers or None as limits."""
    if low is not None:
        x = xp.maximum(x, _wrapped(low, x))
    return x if high is None else xp.minimum(x, _wrapped(high, x))


def _wrapped(limit: Any, x: Any) -> Any:
    """A number as integers of x's dtype have it: -1 is 255 for uint8."""
    return np.asarray(limit).astype(x.dtype).item() if x.dtype.kind in "iu" else limit


def _inside(xp: Any, x: Any, low: Any, high: Any) -> Any:
    if low is None:
        return xp.less_equal(x, high)
    above = xp.greater_equal(x, low)
    return above if high is None else xp.logical_and(above, xp.less_equal(x, high))


clamp_numbers.derivative(x=lambda xp, grad, x, low, high: xp.where(_inside(xp, x, low, high), grad, 0.0))


@op(elementwise=True, grad_name="ClampMin", refuses="c")
def clamp_below(xp, x, low):
    """`clamp` with a tensor for the lower limit; a NaN on either side stays."""
    return xp.maximum(x, low)


clamp_below.derivative(
    x=lambda xp, grad, x, low: xp.where(xp.greater_equal(x, low), grad, 0.0),
    low=lambda xp, grad, x, low: xp.where(xp.less(x, low), grad, 0.0),
)


@op(elementwise=True, grad_name="ClampMax", refuses="c")
def clamp_above(xp, x, high):
    """`clamp` with a tensor for the upper limit."""
    return xp.minimum(x, high)


clamp_above.derivative(
    x=lambda xp, grad, x, high: xp.where(xp.less_equal(x, high), grad, 0.0),
    high=lambda xp, grad, x, high: xp.where(xp.greater(x, high), grad, 0.0),
)


@op(elementwise=True, grad_name="Clamp", refuses="bc")
def clamp_between(xp, x, low, high):
    """`clamp` with tensors for both limits; where they cross, the upper one wins."""
    return xp.minimum(xp.maximum(x, low), high)


clamp_between.derivative(
    x=lambda xp, grad, x, low, high: xp.where(_inside(xp, x, low, high), grad, 0.0),
    low=lambda xp, grad, x, low, high: xp.where(xp.logical_and(xp.less(low, high), xp.less(x, low)), grad, 0.0),
    high=lambda xp, grad, x, low, high: xp.where(xp.logical_or(xp.greater(x, high), xp.less(high, low)), grad, 0.0),
)
