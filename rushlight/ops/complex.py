"""Complex numbers: parts, conjugates, and what is made of parts."""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.arithmetic import zero
from rushlight.ops.define import op


@op(waist="conj", grad_name="Conj", wirtinger=True, wide=False, linear=True)
def conj(xp, x):
    """The complex conjugate; real numbers are their own."""
    return xp.conj(x)


conj.derivative(x=lambda xp, grad: xp.conj(grad))


@op(view=True, waist="real", wirtinger=True)
def real(xp, x):
    """The real part, a view."""
    return xp.real(x)


real.derivative(x=lambda xp, grad: xp.complex(grad, zero(xp, grad)))


@op(view=True, waist="imag", wirtinger=True)
def imag(xp, x):
    """The imaginary part, a view."""
    return xp.imag(x)


imag.derivative(x=lambda xp, grad: xp.complex(zero(xp, grad), grad))


@op(elementwise=True, waist="complex", wirtinger=True)
def complex(xp, real, imag):
    """Complex numbers of two real arrays of one dtype."""
    return xp.complex(real, imag)


complex.derivative(real=lambda xp, grad: xp.real(grad), imag=lambda xp, grad: xp.imag(grad))


@op(view=True, waist="view_as_real", wirtinger=True)
def view_as_real(xp, x):
    """Each complex number as its two parts, in a last dimension: a view."""
    return xp.view_as_real(x)


def _pairs_joined(xp: Any, grad: Any) -> Any:
    return xp.complex(xp.slice(grad, (Ellipsis, 0)), xp.slice(grad, (Ellipsis, 1)))


view_as_real.derivative(x=_pairs_joined)


@op(view=True, waist="view_as_complex", wirtinger=True)
def view_as_complex(xp, x):
    """The pairs of the last dimension as complex numbers: a view."""
    return xp.view_as_complex(x)


view_as_complex.derivative(x=lambda xp, grad: xp.view_as_real(grad))


@op(floats=True, wirtinger=True)
def angle(xp, x):
    """The argument of a complex number; of real ones 0 or pi."""
    if x.dtype.kind == "c":
        return xp.atan2(xp.imag(x), xp.real(x))
    zeros = xp.full(x.shape, 0, x.dtype)
    return xp.where(xp.isnan(x), x, xp.where(xp.less(x, 0), math.pi, zeros))


def _angle_gradient(xp: Any, grad: Any, x: Any) -> Any:
    """Of atan2(b, a), the derivative by the conjugate of a + bi: (-b + ai) / (a^2 + b^2), and 0 at 0."""
    if x.dtype.kind != "c":
        return zero(xp, grad)
    a, b = xp.real(x), xp.imag(x)
    squared = a * a + b * b
    at_zero = xp.equal(squared, 0)
    factor = xp.where(at_zero, 0.0, grad / xp.where(at_zero, 1.0, squared))
    return xp.complex(-b * factor, a * factor)


angle.derivative(x=_angle_gradient)
