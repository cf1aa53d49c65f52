"""Arithmetic on elements: sums, products, quotients and remainders, powers and roots."""

from __future__ import annotations

import builtins
import cmath
import math
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.ops.define import op


def zero(xp: Any, grad: Any) -> Any:
    """The gradient of what is constant almost everywhere."""
    return xp.full(grad.shape, 0, grad.dtype)


def copied(xp: Any, x: Any) -> Any:
    return xp.astype(x, x.dtype)


def refuse_integers(name: str, x: Any) -> None:
    """Raises PyTorch's error for what it has in floating point only."""
    if x.dtype.kind in "iub":
        raise dtypes.no_kernel(f"{name}_cpu", x)


def as_arrays(xp: Any, x: Any, y: Any) -> tuple[Any, Any]:
    """Both operands as arrays, for functions that know no Python numbers: a number gets the other's dtype."""
    x = x if hasattr(x, "dtype") else xp.full((), x, y.dtype)
    return x, y if hasattr(y, "dtype") else xp.full((), y, x.dtype)


@op(elementwise=True, waist="add")
def add(xp, x, y):
    return xp.add(x, y)


add.derivative(x=lambda xp, grad: grad, y=lambda xp, grad: grad)


@op(elementwise=True, waist="subtract", grad_name="Sub", refuses="B")
def sub(xp, x, y):
    return xp.subtract(x, y)


sub.derivative(x=lambda xp, grad: grad, y=lambda xp, grad: -grad)


@op(elementwise=True, waist="multiply", grad_name="Mul")
def mul(xp, x, y):
    return xp.multiply(x, y)


mul.derivative(x=lambda xp, grad, y: grad * y, y=lambda xp, grad, x: grad * x)


@op(floats=True, waist="divide", grad_name="Div")
def div(xp, x, y):
    return xp.divide(x, y)


div.derivative(x=lambda xp, grad, y: grad / y, y=lambda xp, grad, x, y: -grad * ((x / y) / y))


@op(elementwise=True, waist="floor_divide", refuses="b")
def floor_divide(xp, x, y):
    return xp.floor_divide(x, y)


floor_divide.derivative(x=zero, y=zero)


@op(elementwise=True, grad_name="Div", refuses="b", wide=False)
def div_trunc(xp, x, y):
    """Division rounded towards zero; half precision rounds the quotient first, as PyTorch does."""
    if x.dtype.kind in "iu" if hasattr(x, "dtype") else isinstance(x, int):
        quotient = xp.floor_divide(x, y)
        inexact = xp.not_equal(xp.multiply(quotient, y), x)
        negative = xp.not_equal(xp.less(x, 0), xp.less(y, 0))
        return xp.where(xp.logical_and(inexact, negative), quotient + 1, quotient)
    return xp.trunc(xp.divide(*as_arrays(xp, x, y)))


div_trunc.derivative(x=zero, y=zero)


@op(elementwise=True, waist="remainder", refuses="b")
def remainder(xp, x, y):
    """The remainder of floor division: it has the divisor's sign."""
    return xp.remainder(x, y)


remainder.derivative(x=lambda xp, grad: grad, y=lambda xp, grad, x, y: -grad * xp.floor(xp.divide(x, y)))


@op(elementwise=True, waist="fmod", refuses="b")
def fmod(xp, x, y):
    """The remainder of truncated division: it has the dividend's sign."""
    return xp.fmod(x, y)


fmod.derivative(x=lambda xp, grad: grad, y=lambda xp, grad, x, y: -grad * xp.trunc(xp.divide(x, y)))


def _pow_exponent_gradient(xp: Any, grad: Any, x: Any, y: Any, out: Any) -> Any:
    """d/dy x**y = x**y log(x), and 0 where x is 0 and y is not negative (the limit)."""
    if not hasattr(x, "shape"):
        return grad * out * _log_of_number(x, grad.dtype.kind)
    at_zero = xp.logical_and(xp.equal(x, 0), xp.greater_equal(xp.real(y) if hasattr(y, "shape") else y.real, 0))
    return grad * xp.where(at_zero, 0.0, out * xp.log(xp.where(at_zero, 1.0, x)))


def _log_of_number(x: Any, kind: str) -> Any:
    if kind == "c":
        return cmath.log(x) if x else 0.0
    return math.log(x) if x > 0 else 0.0 if x == 0 else math.nan


def _pow_base_gradient(xp: Any, grad: Any, x: Any, y: Any) -> Any:
    """d/dx x**y = y x**(y-1), and 0 for y = 0 whatever x is."""
    if not hasattr(y, "shape"):
        if y == 0:
            return zero(xp, grad)
        return grad * (y * x) if y == 2 else grad * (y * xp.pow(x, y - 1))
    return grad * xp.where(xp.equal(y, 0), 0.0, y * xp.pow(x, y - 1))


@op(elementwise=True, waist="pow")
def pow(xp, x, y):
    if isinstance(y, bool):
        return xp.logical_or(x, not y)
    if isinstance(y, (int, float)):  # a square or a root by the quick function
        if y == 2:
            return xp.square(x)
        if y == 0.5:
            return xp.sqrt(x)
    elif not isinstance(y, complex) and y.dtype.kind in "ib":
        return _integer_power(xp, x, y)
    return xp.pow(x, y)


def _integer_power(xp: Any, x: Any, y: Any) -> Any:
    """Integers to integers, where negative powers are 0 but for those of 1 and -1 (NumPy refuses them)."""
    if y.dtype.kind == "b":
        raise NotImplementedError("\"pow\" not implemented for 'Bool'")
    is_negative = xp.less(y, 0)
    power = xp.pow(x, xp.where(is_negative, 0, y))
    sign_of_minus_one = 1 - 2 * xp.bitwise_and(y, 1)
    inverse = xp.where(xp.equal(x, 1), 1, xp.where(xp.equal(x, -1), sign_of_minus_one, 0))
    return xp.astype(xp.where(is_negative, inverse, power), y.dtype)


pow.derivative(x=_pow_base_gradient, y=_pow_exponent_gradient)


@op(floats=True, waist="atan2")
def atan2(xp, x, y):
    return xp.atan2(x, y)


atan2.derivative(
    x=lambda xp, grad, x, y: grad * y / (x * x + y * y),
    y=lambda xp, grad, x, y: -grad * x / (x * x + y * y),
)


@op(elementwise=True, waist="negative", refuses="b")
def neg(xp, x):
    return xp.negative(x)


neg.derivative(x=lambda xp, grad: -grad)


@op(elementwise=True, waist="abs", refuses="b", wirtinger=True)
def abs(xp, x):
    return xp.abs(x)


abs.derivative(x=lambda xp, grad, x: grad * xp.sign(x))


@op(elementwise=True, waist="sign", wirtinger=True)
def sign(xp, x):
    """-1, 0 or 1, which is 0 for NaN as well; of complex numbers x / |x|, and 0 at 0."""
    if x.dtype.kind == "f":
        return xp.where(xp.isnan(x), 0.0, xp.sign(x))
    return copied(xp, x) if x.dtype.kind == "b" else xp.sign(x)


def _sign_gradient(xp: Any, grad: Any, x: Any, out: Any) -> Any:
    """Of a direction only what is across it moves it: (grad - Re(grad conj(out)) out) / |x|; 0 for real numbers."""
    if x.dtype.kind != "c":
        return zero(xp, grad)
    size = xp.abs(x)
    at_zero = xp.equal(size, 0)
    across = grad - xp.real(grad * xp.conj(out)) * out
    return xp.where(at_zero, 0.0, across / xp.where(at_zero, 1.0, size))


sign.derivative(x=_sign_gradient)


@op(floats=True, waist="copysign", refuses="c")
def copysign(xp, x, y):
    """|x| with the sign of y, be it that of a zero."""
    return xp.copysign(*as_arrays(xp, x, y))


def _copysign_gradient(xp: Any, grad: Any, x: Any, out: Any) -> Any:
    at_zero = xp.equal(x, 0)
    return xp.where(at_zero, 0.0, grad * (out / xp.where(at_zero, 1.0, x)))


copysign.derivative(x=_copysign_gradient, y=zero)


@op(elementwise=True, waist="hypot")
def hypot(xp, x, y):
    """The root of the sum of two squares, without overflow on the way."""
    refuse_integers("hypot", x)
    return xp.hypot(x, y)


hypot.derivative(x=lambda xp, grad, x, out: grad * (x / out), y=lambda xp, grad, y, out: grad * (y / out))


@op(elementwise=True, refuses="b")
def gcd(xp, x, y):
    return xp.gcd(x, y)


@op(elementwise=True, refuses="b")
def lcm(xp, x, y):
    return xp.lcm(x, y)


@op(floats=True, waist="reciprocal")
def reciprocal(xp, x):
    return xp.reciprocal(x)


reciprocal.derivative(x=lambda xp, grad, out: -grad * out * out)


@op(elementwise=True, waist="square", grad_name="Pow")
def square(xp, x):
    return xp.astype(x, np.dtype(np.int64)) if x.dtype.kind == "b" else xp.square(x)


square.derivative(x=lambda xp, grad, x: grad * (2 * x))


@op(floats=True, waist="sqrt")
def sqrt(xp, x):
    return xp.sqrt(x)


sqrt.derivative(x=lambda xp, grad, out: grad / (2 * out))


@op(floats=True)
def rsqrt(xp, x):
    return xp.reciprocal(xp.sqrt(x))


rsqrt.derivative(x=lambda xp, grad, out: -0.5 * grad * (out * out * out))


@op(elementwise=True, refuses="b")
def addcmul(xp, x, y, z, *, value):
    return x + value * (y * z)


addcmul.derivative(
    x=lambda xp, grad: grad,
    y=lambda xp, grad, z, value: grad * (value * z),
    z=lambda xp, grad, y, value: grad * (value * y),
)


@op(elementwise=True)
def addcdiv(xp, x, y, z, *, value):
    return x + value * (y / z)


addcdiv.derivative(
    x=lambda xp, grad: grad,
    y=lambda xp, grad, z, value: grad * (value / z),
    z=lambda xp, grad, y, z, value: -grad * (value * ((y / z) / z)),
)


@op(elementwise=True)
def lerp(xp, x, y, weight):
    """Linear interpolation `x + weight (y - x)`; from the end y where that is nearer, as PyTorch does."""
    if not hasattr(weight, "shape"):
        return x + weight * (y - x) if builtins.abs(weight) < 0.5 else y - (y - x) * (1 - weight)
    return xp.where(xp.less(xp.abs(weight), 0.5), x + weight * (y - x), y - (y - x) * (1 - weight))


lerp.derivative(
    x=lambda xp, grad, weight: grad * (1 - weight),
    y=lambda xp, grad, weight: grad * weight,
    weight=lambda xp, grad, x, y: grad * (y - x),
)
