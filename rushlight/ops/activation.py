"""Activations of neural networks.

PyTorch's second derivative of a piecewise linear function is a tensor of zeros, not None: formulas say so by `stepwise`.
"""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.arithmetic import refuse_integers
from rushlight.ops.define import op
from rushlight.ops.namespaces import tensor_arrays


@op
def _depending(xp, value, x):
    """`value`, which depends on x by steps."""
    return xp.astype(value, value.dtype)


_depending.derivative(value=lambda xp, grad: grad, x=lambda xp, grad, x: xp.full(x.shape, 0, x.dtype))


def stepwise(xp: Any, value: Any, x: Any) -> Any:
    """`value` itself; when it is to be differentiated again, recorded as a function of x whose derivative is zero."""
    return _depending(value, x) if xp is tensor_arrays else value


@op(floats=True, fuse=True)
def sigmoid(xp, x):
    return 1 / (1 + xp.exp(-x))


sigmoid.derivative(x=lambda xp, grad, out: grad * (out * (1 - out)))


@op(elementwise=True, grad_name="LogSigmoid", fuse=True)
def logsigmoid(xp, x):
    """log(1 / (1 + exp(-x))), without overflow at either end."""
    refuse_integers("log_sigmoid", x)
    return xp.minimum(x, 0) - xp.log1p(xp.exp(-xp.abs(x)))


logsigmoid.derivative(x=lambda xp, grad, out: grad * (1 - xp.exp(out)))


# ---------------------------------------------------------------- linear pieces


@op(elementwise=True, refuses="b", fuse="derivative")
def relu(xp, x):
    return xp.maximum(x, 0)


relu.derivative(x=lambda xp, grad, out: stepwise(xp, grad * (out > 0), out))


@op(elementwise=True)
def leaky_relu(xp, x, *, negative_slope):
    refuse_integers("leaky_relu", x)
    return xp.where(x > 0, x, x * negative_slope)


leaky_relu.derivative(
    x=lambda xp, grad, x, negative_slope: stepwise(xp, xp.where(x > 0, grad, grad * negative_slope), x)
)


@op(elementwise=True, grad_name="PreluKernel")
def prelu(xp, x, weight):
    """`leaky_relu` with a learned slope (He et al., 2015)."""
    refuse_integers("prelu", x)
    return xp.where(x > 0, x, x * weight)


prelu.derivative(
    x=lambda xp, grad, x, weight: stepwise(xp, xp.where(x > 0, grad, grad * weight), x),
    weight=lambda xp, grad, x: xp.where(x > 0, 0.0, grad * x),
)


@op(elementwise=True, refuses="bc")
def hardtanh(xp, x, *, low, high):
    """x between the limits, which are kept where they are reached."""
    if x.dtype.kind in "iu":
        low, high = int(low), int(high)
    return xp.minimum(xp.maximum(x, low), high)


def _within(xp: Any, grad: Any, x: Any, low: float, high: float) -> Any:
    """The gradient where low < x < high, 0 elsewhere."""
    return stepwise(xp, xp.where(xp.logical_or(x <= low, x >= high), 0.0, grad), x)


hardtanh.derivative(x=lambda xp, grad, x, low, high: _within(xp, grad, x, low, high))


@op(elementwise=True, fuse=True)
def hardsigmoid(xp, x):
    """(x + 3) / 6 between 0 and 1 (Howard et al., 2019)."""
    refuse_integers("hardsigmoid", x)
    return xp.minimum(xp.maximum(x + 3, 0), 6) / 6


hardsigmoid.derivative(x=lambda xp, grad, x: _within(xp, grad / 6, x, -3, 3))


@op(elementwise=True, refuses="bc")
def threshold(xp, x, *, threshold, value):
    """x where it is above the threshold, `value` elsewhere."""
    return xp.where(x <= threshold, int(value) if x.dtype.kind in "iu" else value, x)


threshold.derivative(x=lambda xp, grad, x, threshold: stepwise(xp, xp.where(x <= threshold, 0.0, grad), x))


def _outside(xp: Any, grad: Any, x: Any, lambd: float) -> Any:
    """The gradient where |x| > lambd, 0 elsewhere."""
    return stepwise(xp, xp.where(xp.abs(x) <= lambd, 0.0, grad), x)


@op(elementwise=True)
def hardshrink(xp, x, *, lambd):
    """x where |x| > lambd, else 0."""
    refuse_integers("hardshrink", x)
    return xp.where(xp.abs(x) <= lambd, 0.0, x)


hardshrink.derivative(x=_outside)


@op(elementwise=True, fuse=True)
def softshrink(xp, x, *, lambd):
    """x, nearer to 0 by lambd, but not beyond it."""
    refuse_integers("softshrink", x)
    return x - xp.minimum(xp.maximum(x, -lambd), lambd)


softshrink.derivative(x=_outside)


# ---------------------------------------------------------------- smooth ones


@op(elementwise=True, fuse=True)
def elu(xp, x, *, alpha, scale=1.0, input_scale=1.0):
    """`scale` times x where x > 0, times alpha (exp(input_scale x) - 1) below.

    Clevert et al., 2016; with a scale Klambauer et al., 2017 (SELU), with an input's scale Barron, 2017 (CELU).
    """
    refuse_integers("elu", x)
    return xp.where(x > 0, x * scale, (alpha * scale) * xp.expm1(xp.minimum(x, 0) * input_scale))


def _elu_gradient(xp: Any, grad: Any, x: Any, alpha: float, scale: float, input_scale: float) -> Any:
    slope = (alpha * scale * input_scale) * xp.exp(xp.minimum(x, 0) * input_scale)
    return xp.where(x > 0, grad * scale, grad * slope)


elu.derivative(x=_elu_gradient)


@op(elementwise=True, fuse=True)
def silu(xp, x):
    """x sigmoid(x) (Elfwing et al., 2017)."""
    refuse_integers("silu", x)
    return x / (1 + xp.exp(-x))


def _silu_gradient(xp: Any, grad: Any, x: Any) -> Any:
    s = 1 / (1 + xp.exp(-x))
    return grad * (s * (1 + x * (1 - s)))


silu.derivative(x=_silu_gradient)


@op(elementwise=True, fuse=True)
def hardswish(xp, x):
    """x hardsigmoid(x) (Howard et al., 2019)."""
    refuse_integers("hardswish", x)
    return x * xp.minimum(xp.maximum(x + 3, 0), 6) / 6


def _hardswish_gradient(xp: Any, grad: Any, x: Any) -> Any:
    return xp.where(x <= -3, 0.0, xp.where(x < 3, grad * (x / 3 + 0.5), grad))


hardswish.derivative(x=_hardswish_gradient)


def _mish_ratio(xp: Any, x: Any) -> Any:
    """tanh(softplus(x)) = n / (n + 2) for n = e^x (e^x + 2), with x cut off where that is 1."""
    e = xp.exp(xp.minimum(x, 20))
    n = e * (e + 2)
    return n / (n + 2)


@op(elementwise=True, fuse=True)
def mish(xp, x):
    """x tanh(softplus(x)) (Misra, 2019)."""
    refuse_integers("mish", x)
    return x * _mish_ratio(xp, x)


def _mish_gradient(xp: Any, grad: Any, x: Any) -> Any:
    ratio = _mish_ratio(xp, x)
    return grad * (ratio + x * (1 - ratio * ratio) / (1 + xp.exp(-x)))


mish.derivative(x=_mish_gradient)


@op(elementwise=True, fuse=True)
def softplus(xp, x, *, beta, threshold):
    """log(1 + exp(beta x)) / beta; x itself where beta x is above the threshold."""
    refuse_integers("softplus", x)
    scaled = x * beta
    return xp.where(scaled > threshold, x, xp.log1p(xp.exp(xp.minimum(scaled, threshold))) / beta)


softplus.derivative(
    x=lambda xp, grad, x, beta, threshold: xp.where(x * beta > threshold, grad, grad / (1 + xp.exp(-x * beta)))
)


@op(elementwise=True, fuse=True)
def gelu(xp, x):
    """x Phi(x), with the normal distribution's function (Hendrycks & Gimpel, 2016)."""
    refuse_integers("GeluKernelImpl", x)
    return 0.5 * x * (1 + xp.erf(x * math.sqrt(0.5)))


def _gelu_gradient(xp: Any, grad: Any, x: Any) -> Any:
    density = xp.exp(-0.5 * x * x) * (1 / math.sqrt(2 * math.pi))
    return grad * (0.5 * (1 + xp.erf(x * math.sqrt(0.5))) + x * density)


gelu.derivative(x=_gelu_gradient)


def _gelu_tanh_inner(x: Any) -> Any:
    return math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)


@op(elementwise=True, grad_name="Gelu", fuse=True)
def gelu_tanh(xp, x):
    """GELU's approximation by tanh, from the same paper."""
    refuse_integers("GeluKernelImpl", x)
    return 0.5 * x * (1 + xp.tanh(_gelu_tanh_inner(x)))


def _gelu_tanh_gradient(xp: Any, grad: Any, x: Any) -> Any:
    t = xp.tanh(_gelu_tanh_inner(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope)


gelu_tanh.derivative(x=_gelu_tanh_gradient)
