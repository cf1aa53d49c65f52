"""Rounding, and the parts of a floating-point number."""

from __future__ import annotations

from typing import Any

from rushlight.ops.arithmetic import copied, refuse_integers, zero
from rushlight.ops.define import op


@op(elementwise=True, waist="floor", refuses="b")
def floor(xp, x):
    return copied(xp, x) if x.dtype.kind in "iu" else xp.floor(x)


floor.derivative(x=zero)


@op(elementwise=True, waist="ceil", refuses="b")
def ceil(xp, x):
    return copied(xp, x) if x.dtype.kind in "iu" else xp.ceil(x)


ceil.derivative(x=zero)


@op(elementwise=True, waist="round", refuses="bc")
def round(xp, x):
    """To the nearest integer, halves to the even one."""
    return copied(xp, x) if x.dtype.kind in "iu" else xp.round(x)


round.derivative(x=zero)


@op(elementwise=True, waist="trunc", refuses="b")
def trunc(xp, x):
    return copied(xp, x) if x.dtype.kind in "iu" else xp.trunc(x)


trunc.derivative(x=zero)


# ---------------------------------------------------------------- parts of a floating-point number


@op(outputs=("mantissa", "exponent"))
def frexp(xp, x):
    """x as mantissa 2^exponent, the mantissa's absolute value in [1/2, 1)."""
    return xp.frexp(x)


def _mantissa_gradient(xp: Any, grads: Any, exponent: Any) -> Any:
    return grads[0] / xp.pow(2.0, xp.astype(exponent, grads[0].dtype))


frexp.derivative(x=_mantissa_gradient)


@op(elementwise=True, wide=False)
def nextafter(xp, x, y):
    """The next number of the dtype from x towards y."""
    refuse_integers("nextafter", x)
    return xp.nextafter(x, y)


nextafter.derivative(x=lambda xp, grad, x, y: xp.where(xp.equal(x, y), 0.0, grad), y=zero)


@op(elementwise=True)
def signbit(xp, x):
    """Whether the sign is minus, be it that of a zero."""
    if x.dtype.kind == "c":
        raise NotImplementedError("signbit is not implemented for complex tensors.")
    return xp.less(x, 0) if x.dtype.kind in "iub" else xp.signbit(x)
