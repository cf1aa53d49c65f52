"""Normalisation: elements less their mean, over their deviation, over some axes.

`normalize` is all of batch, group and instance normalisation, which differ in the shape they see their input in.
`layer_norm` is the same with one result, which makes it quicker to call; its derivatives compute mean and rate anew.
"""

from __future__ import annotations

import math
from typing import Any

from rushlight.ops.broadcasting import sum_to_shape
from rushlight.ops.define import op
from rushlight.ops.fused import Fused


def _mean(xp: Any, x: Any, axes: tuple[int, ...]) -> Any:
    return xp.sum(x, axis=axes, keepdims=True) / (math.prod([x.shape[a] for a in axes]) or math.nan)


def _statistics(xp: Any, x: Any, axes: tuple[int, ...], eps: float) -> tuple[Any, Any, Any]:
    """(x - mean, mean, 1 / sqrt(variance + eps))"""
    mean = _mean(xp, x, axes)
    centred = x - mean
    return centred, mean, 1 / xp.sqrt(_mean(xp, centred * centred, axes) + eps)


def _input_gradient(xp: Any, grad: Any, x: Any, weight: Any, mean: Any, rate: Any, axes: tuple[int, ...]) -> Any:
    normal, g = (x - mean) * rate, grad * weight
    return (g - _mean(xp, g, axes) - normal * _mean(xp, g * normal, axes)) * rate


# ---------------------------------------------------------------- with mean and rate as results


@op(outputs=("out", "mean", "rate"), fuse=True, grad_name="NativeNorm", num_rounded=1)
def normalize(xp, x, weight, bias, *, axes, eps):
    """(x - mean) / sqrt(variance + eps) * weight + bias, with the mean and 1 / sqrt(variance + eps) over the axes.

    These two are float32 where x is of half precision: the derivative takes differences from the mean.
    """
    centred, mean, rate = _statistics(xp, x, axes, eps)
    return centred * rate * weight + bias, mean, rate


_fused_input_gradient = Fused(_input_gradient)
_fused_sum = Fused(lambda xp, grad, *, shape: sum_to_shape(xp, grad, shape))
_fused_product_sum = Fused(
    lambda xp, grad, x, mean, rate, *, shape: sum_to_shape(xp, grad * ((x - mean) * rate), shape)
)


def _normalize_input_gradient(
    xp: Any, grads: tuple, x: Any, weight: Any, mean: Any, rate: Any, axes: tuple[int, ...]
) -> Any:
    """Of all three results: that of the rate is -rate^3 / 2 times the variance's."""
    of_out, of_mean, of_rate = grads
    count = math.prod([x.shape[a] for a in axes]) or 1
    grad = None if of_out is None else _fused_input_gradient(xp, of_out, x, weight, mean, rate, axes=axes)
    if of_mean is not None:
        part = xp.broadcast_to(of_mean / count, x.shape)
        grad = part if grad is None else grad + part
    if of_rate is not None:
        part = (x - mean) * (of_rate * rate * rate * rate * (-1 / count))
        grad = part if grad is None else grad + part
    return grad


def _normalize_weight_gradient(xp: Any, grads: tuple, x: Any, mean: Any, rate: Any, weight_shape: tuple) -> Any:
    return None if grads[0] is None else _fused_product_sum(xp, grads[0], x, mean, rate, shape=weight_shape)


normalize.derivative(
    x=_normalize_input_gradient,
    weight=_normalize_weight_gradient,
    bias=lambda xp, grads, bias_shape: None if grads[0] is None else _fused_sum(xp, grads[0], shape=bias_shape),
)


# ---------------------------------------------------------------- over the last axes


def _last(x: Any, num_axes: int) -> tuple[int, ...]:
    return tuple(range(len(x.shape) - num_axes, len(x.shape)))


@op(grad_name="NativeLayerNorm", fuse=True)
def layer_norm(xp, x, weight, bias, *, num_axes, eps):
    """`normalize` over the last `num_axes` axes (Ba et al., 2016)."""
    centred, _, rate = _statistics(xp, x, _last(x, num_axes), eps)
    return centred * rate * weight + bias


def _layer_norm_input_gradient(xp: Any, grad: Any, x: Any, weight: Any, num_axes: int, eps: float) -> Any:
    axes = _last(x, num_axes)
    _, mean, rate = _statistics(xp, x, axes, eps)
    return _input_gradient(xp, grad, x, weight, mean, rate, axes)


def _layer_norm_weight_gradient(xp: Any, grad: Any, x: Any, weight_shape: tuple, num_axes: int, eps: float) -> Any:
    centred, _, rate = _statistics(xp, x, _last(x, num_axes), eps)
    return sum_to_shape(xp, grad * (centred * rate), weight_shape)


layer_norm.derivative(
    x=_layer_norm_input_gradient,
    weight=_layer_norm_weight_gradient,
    bias=lambda xp, grad, bias_shape: sum_to_shape(xp, grad, bias_shape),
)


def _root_rate(xp: Any, x: Any, num_axes: int, eps: float) -> Any:
    return 1 / xp.sqrt(_mean(xp, x * x, _last(x, num_axes)) + eps)


@op(fuse=True)
def rms_norm(xp, x, weight, *, num_axes, eps):
    """x / sqrt(mean(x^2) + eps) * weight over the last `num_axes` axes (Zhang & Sennrich, 2019)."""
    return x * _root_rate(xp, x, num_axes, eps) * weight


def _rms_norm_input_gradient(xp: Any, grad: Any, x: Any, weight: Any, num_axes: int, eps: float) -> Any:
    rate, g = _root_rate(xp, x, num_axes, eps), grad * weight
    return (g - x * rate * rate * _mean(xp, g * x, _last(x, num_axes))) * rate


rms_norm.derivative(
    x=_rms_norm_input_gradient,
    weight=lambda xp, grad, x, weight_shape, num_axes, eps: sum_to_shape(
        xp, grad * (x * _root_rate(xp, x, num_axes, eps)), weight_shape
    ),
)
