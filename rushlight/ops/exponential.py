"""Exponentials and logarithms, trigonometric and hyperbolic functions, and their inverses."""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.arithmetic import refuse_integers
from rushlight.ops.define import op


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


def _log_add(xp: Any, x: Any, y: Any, log1p: Any, exp: Any) -> Any:
    """max(x, y) + log(1 + exp(-|x - y|)); where both are one infinity, that."""
    greater = xp.maximum(x, y)
    same_infinity = xp.logical_and(xp.equal(x, y), xp.isinf(x))
    return xp.where(same_infinity, greater, greater + log1p(exp(-xp.abs(x - y))))


def _complex_log_add(xp: Any, x: Any, y: Any) -> Any:
    """The same, taken from the operand with the greater real part."""
    is_less = xp.logical_or(xp.less(xp.real(x), xp.real(y)), xp.isnan(xp.real(x)))
    least, greatest = xp.where(is_less, x, y), xp.where(is_less, y, x)
    both_infinite = xp.logical_and(xp.equal(xp.real(x), xp.real(y)), xp.isinf(xp.real(x)))
    sum_at_infinity = xp.where(xp.less(xp.real(x), 0), least, xp.log(xp.exp(least) + xp.exp(greatest)))
    return xp.where(both_infinite, sum_at_infinity, xp.log1p(xp.exp(least - greatest)) + greatest)


@op(elementwise=True)
def logaddexp(xp, x, y):
    """log(exp(x) + exp(y)), without overflow."""
    refuse_integers("logaddexp", x)
    if x.dtype.kind == "c":
        return _complex_log_add(xp, x, y)
    return _log_add(xp, x, y, xp.log1p, xp.exp)


logaddexp.derivative(
    x=lambda xp, grad, x, y: grad / (1 + xp.exp(y - x)),
    y=lambda xp, grad, x, y: grad / (1 + xp.exp(x - y)),
)


@op(elementwise=True, refuses="c")
def logaddexp2(xp, x, y):
    """log2(2^x + 2^y), without overflow."""
    refuse_integers("logaddexp2", x)
    return _log_add(xp, x, y, lambda v: xp.log1p(v) / math.log(2), lambda v: xp.exp(v * math.log(2)))


logaddexp2.derivative(
    x=lambda xp, grad, x, y: grad / (1 + xp.pow(2.0, y - x)),
    y=lambda xp, grad, x, y: grad / (1 + xp.pow(2.0, x - y)),
)


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


@op(floats=True, waist="tanh", fuse="derivative")
def tanh(xp, x):
    return xp.tanh(x)


tanh.derivative(x=lambda xp, grad, out: grad * (1 - out * out))


@op(floats=True, waist="erf")
def erf(xp, x):
    return xp.erf(x)


erf.derivative(x=lambda xp, grad, x: grad * (2 / math.sqrt(math.pi) * xp.exp(-x * x)))
