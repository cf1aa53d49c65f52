"""Elementwise losses and normalisation, the cores of what `nn.functional` offers."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.define import op, sum_to_shape


@op(elementwise=True, grad_name="MseLoss")
def squared_error(xp, x, y):
    """(x - y)^2"""
    difference = x - y
    return difference * difference


squared_error.derivative(
    x=lambda xp, grad, x, y: grad * (2 * (x - y)),
    y=lambda xp, grad, x, y: grad * (2 * (y - x)),
)


@op(elementwise=True, grad_name="L1Loss")
def absolute_error(xp, x, y):
    """|x - y|"""
    return xp.abs(x - y)


absolute_error.derivative(
    x=lambda xp, grad, x, y: grad * xp.sign(x - y),
    y=lambda xp, grad, x, y: grad * xp.sign(y - x),
)


@op(elementwise=True, grad_name="HuberLoss", fuse=True)
def huber_error(xp, x, y, *, delta):
    """(x - y)^2 / 2 within delta of 0, delta (|x - y| - delta / 2) beyond (Huber, 1964)."""
    distance = xp.abs(x - y)
    return xp.where(distance < delta, 0.5 * distance * distance, delta * (distance - 0.5 * delta))


def _huber_slope(xp: Any, difference: Any, delta: float) -> Any:
    return xp.minimum(xp.maximum(difference, -delta), delta)


huber_error.derivative(
    x=lambda xp, grad, x, y, delta: grad * _huber_slope(xp, x - y, delta),
    y=lambda xp, grad, x, y, delta: -grad * _huber_slope(xp, x - y, delta),
)


@op(elementwise=True, grad_name="BinaryCrossEntropyWithLogits", fuse=True)
def logistic_error(xp, x, target):
    """-(t log s(x) + (1 - t) log(1 - s(x))) for the sigmoid s, without overflow."""
    return xp.maximum(x, 0) - x * target + xp.log1p(xp.exp(-xp.abs(x)))


logistic_error.derivative(
    x=lambda xp, grad, x, target: grad * (1 / (1 + xp.exp(-x)) - target),
    target=lambda xp, grad, x: -grad * x,
)


@op(grad_name="NativeLayerNorm", fuse=True)
def layer_norm(xp, x, weight, bias, *, num_axes, eps):
    """(x - mean) / sqrt(var + eps) * weight + bias over the last `num_axes` axes (Ba et al., 2016)."""
    normal, _ = _normalized(xp, x, num_axes, eps)
    return normal * weight + bias


def _normalized(xp: Any, x: Any, num_axes: int, eps: float) -> tuple[Any, Any]:
    axes = tuple(range(len(x.shape) - num_axes, len(x.shape)))
    count = 1
    for a in axes:
        count *= x.shape[a]
    centred = x - xp.sum(x, axis=axes, keepdims=True) / count
    rate = 1 / xp.sqrt(xp.sum(centred * centred, axis=axes, keepdims=True) / count + eps)
    return centred * rate, rate


def _layer_norm_input_gradient(xp: Any, grad: Any, x: Any, weight: Any, num_axes: int, eps: float) -> Any:
    normal, rate = _normalized(xp, x, num_axes, eps)
    axes = tuple(range(len(x.shape) - num_axes, len(x.shape)))
    count = 1
    for a in axes:
        count *= x.shape[a]
    g = grad * weight
    mean = xp.sum(g, axis=axes, keepdims=True) / count
    along = xp.sum(g * normal, axis=axes, keepdims=True) / count
    return (g - mean - normal * along) * rate


layer_norm.derivative(
    x=_layer_norm_input_gradient,
    weight=lambda xp, grad, x, weight_shape, num_axes, eps: sum_to_shape(
        xp, grad * _normalized(xp, x, num_axes, eps)[0], weight_shape
    ),
    bias=lambda xp, grad, bias_shape: sum_to_shape(xp, grad, bias_shape),
)


# ---------------------------------------------------------------- cross entropy of class numbers


@op(grad_name="NllLoss", fuse=True)
def cross_entropy_mean(xp, x, target):
    """The mean over rows i of log(sum_j exp(x[i, j])) - x[i, target[i]], for x (rows, classes).

    One operation, since one pass forward and one backward do what the composition of log_softmax and nll needs six
    for. `target` holds class numbers that are in range: `nn.functional.cross_entropy` has seen to that.
    """
    shifted = x - xp.max(x, axis=1, keepdims=True)
    totals = xp.sum(xp.exp(shifted), axis=1)
    picked = xp.index_get(shifted, _rows(x), target, spec=(("array", 0), ("array", 1)))
    return xp.sum(xp.log(totals) - picked) / x.shape[0]


def _rows(x: Any) -> np.ndarray:
    return np.arange(x.shape[0])


def _cross_entropy_gradient(xp: Any, grad: Any, x: Any, target: Any) -> Any:
    """softmax(x) less 1 at the target, over the number of rows."""
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    is_target = xp.equal(xp.reshape(target, (-1, 1)), np.arange(x.shape[1]))
    p = e / xp.sum(e, axis=1, keepdims=True)
    return xp.where(is_target, p - 1, p) * (grad / x.shape[0])


cross_entropy_mean.derivative(x=_cross_entropy_gradient)
