"""Elementwise operations: arithmetic, comparison, logic, exponentials, activations.

Each block is an operation and its derivative. Gradients of broadcast operands are summed to the operand's
shape by `define.Op`; formulas need not care.
"""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from rushlight.ops.define import op


def _zero(xp: Any, grad: Any) -> Any:
    return xp.full(grad.shape, 0, grad.dtype)


def _copy(xp: Any, x: Any) -> Any:
    return xp.astype(x, x.dtype)


# ---------------------------------------------------------------- arithmetic


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


floor_divide.derivative(x=_zero, y=_zero)


@op(elementwise=True, grad_name="Div", refuses="b")
def div_trunc(xp, x, y):
    """Division rounded towards zero."""
    if x.dtype.kind in "iu" if hasattr(x, "dtype") else isinstance(x, int):
        quotient = xp.floor_divide(x, y)
        inexact = xp.not_equal(xp.multiply(quotient, y), x)
        negative = xp.not_equal(xp.less(x, 0), xp.less(y, 0))
        return xp.where(xp.logical_and(inexact, negative), quotient + 1, quotient)
    return xp.trunc(xp.divide(x, y))


div_trunc.derivative(x=_zero, y=_zero)


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
        return grad * out * (math.log(x) if x > 0 else 0.0 if x == 0 else math.nan)
    at_zero = xp.logical_and(xp.equal(x, 0), xp.greater_equal(y, 0))
    return grad * xp.where(at_zero, 0.0, out * xp.log(xp.where(at_zero, 1.0, x)))


def _pow_base_gradient(xp: Any, grad: Any, x: Any, y: Any) -> Any:
    """d/dx x**y = y x**(y-1), and 0 for y = 0 whatever x is."""
    if not hasattr(y, "shape"):
        if y == 0:
            return _zero(xp, grad)
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


@op(elementwise=True, waist="abs", refuses="b")
def abs(xp, x):
    return xp.abs(x)


abs.derivative(x=lambda xp, grad, x: grad * xp.sign(x))


@op(elementwise=True, waist="sign")
def sign(xp, x):
    return _copy(xp, x) if x.dtype.kind == "b" else xp.sign(x)


sign.derivative(x=_zero)


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


# ---------------------------------------------------------------- rounding


@op(elementwise=True, waist="floor", refuses="b")
def floor(xp, x):
    return _copy(xp, x) if x.dtype.kind in "iu" else xp.floor(x)


floor.derivative(x=_zero)


@op(elementwise=True, waist="ceil", refuses="b")
def ceil(xp, x):
    return _copy(xp, x) if x.dtype.kind in "iu" else xp.ceil(x)


ceil.derivative(x=_zero)


@op(elementwise=True, waist="round", refuses="b")
def round(xp, x):
    """To the nearest integer, halves to the even one."""
    return _copy(xp, x) if x.dtype.kind in "iu" else xp.round(x)


round.derivative(x=_zero)


@op(elementwise=True, waist="trunc", refuses="b")
def trunc(xp, x):
    return _copy(xp, x) if x.dtype.kind in "iu" else xp.trunc(x)


trunc.derivative(x=_zero)


# ---------------------------------------------------------------- exponentials and trigonometry


@op(floats=True, waist="exp")
def exp(xp, x):
    return xp.exp(x)


exp.derivative(x=lambda xp, grad, out: grad * out)


@op(floats=True)
def exp2(xp, x):
    return xp.pow(2.0, x)


exp2.derivative(x=lambda xp, grad, out: grad * (out * math.log(2)))


@op(floats=True, waist="expm1")
def expm1(xp, x):
    return xp.expm1(x)


expm1.derivative(x=lambda xp, grad, out: grad * (out + 1))


@op(floats=True, waist="log")
def log(xp, x):
    return xp.log(x)


log.derivative(x=lambda xp, grad, x: grad / x)


@op(floats=True, waist="log1p")
def log1p(xp, x):
    return xp.log1p(x)


log1p.derivative(x=lambda xp, grad, x: grad / (x + 1))


@op(floats=True, waist="log2")
def log2(xp, x):
    return xp.log2(x)


log2.derivative(x=lambda xp, grad, x: grad / (x * math.log(2)))


@op(floats=True, waist="log10")
def log10(xp, x):
    return xp.log10(x)


log10.derivative(x=lambda xp, grad, x: grad / (x * math.log(10)))


@op(floats=True, waist="sin")
def sin(xp, x):
    return xp.sin(x)


sin.derivative(x=lambda xp, grad, x: grad * xp.cos(x))


@op(floats=True, waist="cos")
def cos(xp, x):
    return xp.cos(x)


cos.derivative(x=lambda xp, grad, x: -grad * xp.sin(x))


@op(floats=True, waist="tan")
def tan(xp, x):
    return xp.tan(x)


tan.derivative(x=lambda xp, grad, out: grad * (1 + out * out))


@op(floats=True, waist="asin")
def asin(xp, x):
    return xp.asin(x)


asin.derivative(x=lambda xp, grad, x: grad / xp.sqrt(1 - x * x))


@op(floats=True, waist="acos")
def acos(xp, x):
    return xp.acos(x)


acos.derivative(x=lambda xp, grad, x: -grad / xp.sqrt(1 - x * x))


@op(floats=True, waist="atan")
def atan(xp, x):
    return xp.atan(x)


atan.derivative(x=lambda xp, grad, x: grad / (1 + x * x))


@op(floats=True, waist="sinh")
def sinh(xp, x):
    return xp.sinh(x)


sinh.derivative(x=lambda xp, grad, x: grad * xp.cosh(x))


@op(floats=True, waist="cosh")
def cosh(xp, x):
    return xp.cosh(x)


cosh.derivative(x=lambda xp, grad, x: grad * xp.sinh(x))


@op(floats=True, waist="asinh")
def asinh(xp, x):
    return xp.asinh(x)


asinh.derivative(x=lambda xp, grad, x: grad / xp.sqrt(1 + x * x))


@op(floats=True, waist="acosh")
def acosh(xp, x):
    return xp.acosh(x)


acosh.derivative(x=lambda xp, grad, x: grad / xp.sqrt(x * x - 1))


@op(floats=True, waist="atanh")
def atanh(xp, x):
    return xp.atanh(x)


atanh.derivative(x=lambda xp, grad, x: grad / (1 - x * x))


@op(floats=True, waist="tanh")
def tanh(xp, x):
    return xp.tanh(x)


tanh.derivative(x=lambda xp, grad, out: grad * (1 - out * out))


@op(floats=True, waist="erf")
def erf(xp, x):
    return xp.erf(x)


erf.derivative(x=lambda xp, grad, x: grad * (2 / math.sqrt(math.pi) * xp.exp(-x * x)))


# ---------------------------------------------------------------- activations


@op(floats=True, fuse=True)
def sigmoid(xp, x):
    return 1 / (1 + xp.exp(-x))


sigmoid.derivative(x=lambda xp, grad, out: grad * (out * (1 - out)))


@op(floats=True, grad_name="LogSigmoid", fuse=True)
def logsigmoid(xp, x):
    """log(1 / (1 + exp(-x))), without overflow at either end."""
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


logsigmoid.derivative(x=lambda xp, grad, out: grad * (1 - xp.exp(out)))


@op(elementwise=True, refuses="b")
def relu(xp, x):
    return xp.maximum(x, 0)


relu.derivative(x=lambda xp, grad, out: grad * (out > 0))


@op(elementwise=True)
def leaky_relu(xp, x, *, negative_slope):
    return xp.where(x > 0, x, x * negative_slope)


leaky_relu.derivative(x=lambda xp, grad, x, negative_slope: xp.where(x > 0, grad, grad * negative_slope))


@op(floats=True, fuse=True)
def elu(xp, x, *, alpha):
    """Clevert et al., 2016: x for x > 0, alpha (exp(x) - 1) below."""
    return xp.where(x > 0, x, alpha * xp.expm1(xp.minimum(x, 0)))


elu.derivative(x=lambda xp, grad, x, alpha: xp.where(x > 0, grad, grad * (alpha * xp.exp(xp.minimum(x, 0)))))


@op(floats=True, fuse=True)
def silu(xp, x):
    """x sigmoid(x) (Elfwing et al., 2017)."""
    return x / (1 + xp.exp(-x))


def _silu_gradient(xp: Any, grad: Any, x: Any) -> Any:
    s = 1 / (1 + xp.exp(-x))
    return grad * (s * (1 + x * (1 - s)))


silu.derivative(x=_silu_gradient)


@op(floats=True, fuse=True)
def softplus(xp, x, *, beta, threshold):
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    scaled = x * beta
    return xp.where(scaled > threshold, x, xp.log1p(xp.exp(xp.minimum(scaled, threshold))) / beta)


softplus.derivative(
    x=lambda xp, grad, x, beta, threshold: xp.where(x * beta > threshold, grad, grad / (1 + xp.exp(-x * beta)))
)


@op(floats=True, fuse=True)
def gelu(xp, x):
    """x Phi(x), with the normal distribution's function (Hendrycks & Gimpel, 2016)."""
    return 0.5 * x * (1 + xp.erf(x * math.sqrt(0.5)))


def _gelu_gradient(xp: Any, grad: Any, x: Any) -> Any:
    density = xp.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return grad * (0.5 * (1 + xp.erf(x * math.sqrt(0.5))) + x * density)


gelu.derivative(x=_gelu_gradient)


def _gelu_tanh_inner(x: Any) -> Any:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


@op(floats=True, grad_name="Gelu", fuse=True)
def gelu_tanh(xp, x):
    """GELU's approximation by tanh, from the same paper."""
    return 0.5 * x * (1 + xp.tanh(_gelu_tanh_inner(x)))


def _gelu_tanh_gradient(xp: Any, grad: Any, x: Any) -> Any:
    t = xp.tanh(_gelu_tanh_inner(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


gelu_tanh.derivative(x=_gelu_tanh_gradient)


# ---------------------------------------------------------------- choice and comparison


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


@op(elementwise=True, waist="maximum")
def maximum(xp, x, y):
    return xp.maximum(x, y)


maximum.derivative(
    x=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.less(x, y), xp.equal(x, y)),
    y=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.greater(x, y), xp.equal(x, y)),
)


@op(elementwise=True, waist="minimum")
def minimum(xp, x, y):
    return xp.minimum(x, y)


minimum.derivative(
    x=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.greater(x, y), xp.equal(x, y)),
    y=lambda xp, grad, x, y: _unless_it_loses(xp, grad, xp.less(x, y), xp.equal(x, y)),
)


@op(elementwise=True, grad_name="Clamp")
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


@op(elementwise=True, grad_name="ClampMin")
def clamp_below(xp, x, low):
    """`clamp` with a tensor for the lower limit; a NaN on either side stays."""
    return xp.maximum(x, low)


clamp_below.derivative(
    x=lambda xp, grad, x, low: xp.where(xp.greater_equal(x, low), grad, 0.0),
    low=lambda xp, grad, x, low: xp.where(xp.less(x, low), grad, 0.0),
)


@op(elementwise=True, grad_name="ClampMax")
def clamp_above(xp, x, high):
    """`clamp` with a tensor for the upper limit."""
    return xp.minimum(x, high)


clamp_above.derivative(
    x=lambda xp, grad, x, high: xp.where(xp.less_equal(x, high), grad, 0.0),
    high=lambda xp, grad, x, high: xp.where(xp.greater(x, high), grad, 0.0),
)


@op(elementwise=True, grad_name="Clamp", refuses="b")
def clamp_between(xp, x, low, high):
    """`clamp` with tensors for both limits; where they cross, the upper one wins."""
    return xp.minimum(xp.maximum(x, low), high)


clamp_between.derivative(
    x=lambda xp, grad, x, low, high: xp.where(_inside(xp, x, low, high), grad, 0.0),
    low=lambda xp, grad, x, low, high: xp.where(xp.logical_and(xp.less(low, high), xp.less(x, low)), grad, 0.0),
    high=lambda xp, grad, x, low, high: xp.where(xp.logical_or(xp.greater(x, high), xp.less(high, low)), grad, 0.0),
)


@op(elementwise=True, waist="equal")
def eq(xp, x, y):
    return xp.equal(x, y)


@op(elementwise=True, waist="not_equal")
def ne(xp, x, y):
    return xp.not_equal(x, y)


@op(elementwise=True, waist="less")
def lt(xp, x, y):
    return xp.less(x, y)


@op(elementwise=True, waist="less_equal")
def le(xp, x, y):
    return xp.less_equal(x, y)


@op(elementwise=True, waist="greater")
def gt(xp, x, y):
    return xp.greater(x, y)


@op(elementwise=True, waist="greater_equal")
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
