"""Comparison, logic, bits: what has no derivative."""

from __future__ import annotations

from rushlight.ops.define import op


@op(elementwise=True, waist="equal")
def eq(xp, x, y):
    return xp.equal(x, y)


@op(elementwise=True, waist="not_equal")
def ne(xp, x, y):
    return xp.not_equal(x, y)


@op(elementwise=True, waist="less", refuses="c")
def lt(xp, x, y):
    return xp.less(x, y)


@op(elementwise=True, waist="less_equal", refuses="c")
def le(xp, x, y):
    return xp.less_equal(x, y)


@op(elementwise=True, waist="greater", refuses="c")
def gt(xp, x, y):
    return xp.greater(x, y)


@op(elementwise=True, waist="greater_equal", refuses="c")
def ge(xp, x, y):
    return xp.greater_equal(x, y)


@op(elementwise=True, waist="logical_and")
def logical_and(xp, x, y):
    return xp.logical_and(x, y)


@op(elementwise=True, waist="logical_or")
def logical_or(xp, x, y):
    return xp.logical_or(x, y)


@op(elementwise=True, waist="logical_xor")
def logical_xor(xp, x, y):
    return xp.logical_xor(x, y)


@op(elementwise=True, waist="logical_not")
def logical_not(xp, x):
    return xp.logical_not(x)


@op(elementwise=True, waist="bitwise_and")
def bitwise_and(xp, x, y):
    return xp.bitwise_and(x, y)


@op(elementwise=True, waist="bitwise_or")
def bitwise_or(xp, x, y):
    return xp.bitwise_or(x, y)


@op(elementwise=True, waist="bitwise_xor")
def bitwise_xor(xp, x, y):
    return xp.bitwise_xor(x, y)


@op(elementwise=True, waist="bitwise_left_shift")
def bitwise_left_shift(xp, x, y):
    return xp.bitwise_left_shift(x, y)


@op(elementwise=True, waist="bitwise_right_shift")
def bitwise_right_shift(xp, x, y):
    return xp.bitwise_right_shift(x, y)


@op(elementwise=True, waist="bitwise_invert")
def bitwise_not(xp, x):
    return xp.bitwise_invert(x)


@op(elementwise=True, waist="isnan")
def isnan(xp, x):
    return xp.isnan(x)


@op(elementwise=True, waist="isinf")
def isinf(xp, x):
    return xp.isinf(x)


@op(elementwise=True, waist="isfinite")
def isfinite(xp, x):
    return xp.isfinite(x)


@op
def isin(xp, elements, test_elements, *, invert):
    """Whether each element is among the test elements; or, inverted, is not."""
    return xp.isin(elements, test_elements, invert=invert)
