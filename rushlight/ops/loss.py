"""Elementwise losses and the cross entropy, the cores of what `nn.functional` offers."""

from __future__ import annotations

from typing import Any

from rushlight.ops.activation import stepwise
from rushlight.ops.define import op
from rushlight.ops.namespaces import counted


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


@op(elementwise=True, grad_name="BinaryCrossEntropy")
def binary_cross_entropy_of(xp: Any, x: Any, target: Any) -> Any:
    """-(t log x + (1 - t) log(1 - x)), with logarithms not below -100."""
    log_x, log_other = xp.maximum(xp.log(x), -100.0), xp.maximum(xp.log1p(-x), -100.0)
    return (target - 1) * log_other - target * log_x


binary_cross_entropy_of.derivative(
    x=lambda xp, grad, x, target: grad * (x - target) / xp.maximum((1 - x) * x, 1e-12),
    target=lambda xp, grad, x: grad * (xp.log1p(-x) - xp.log(x)),
)


# ---------------------------------------------------------------- cross entropy of class numbers


@op(grad_name="NllLoss", fuse=True)
def cross_entropy_mean(xp, x, target):
    """The mean over rows i of log(sum_j exp(x[i, j])) - x[i, target[i]], for x (rows, classes).

    One operation, since one pass forward and one backward do what the composition of log_softmax and nll needs six
    for. `target` holds class numbers that are in range: `nn.functional.cross_entropy` has seen to that.
    """
    return xp.sum(_row_losses(xp, x, target)) / x.shape[0]


def _row_losses(xp: Any, x: Any, target: Any) -> Any:
    shifted = x - xp.max(x, axis=1, keepdims=True)
    totals = xp.sum(xp.exp(shifted), axis=1)
    picked = xp.index_get(shifted, counted(xp, x.shape[0]), target, spec=(("array", 0), ("array", 1)))
    return xp.log(totals) - picked


def _row_slopes(xp: Any, x: Any, target: Any) -> Any:
    """softmax(x) less 1 at the target."""
    e = xp.exp(x - xp.max(x, axis=1, keepdims=True))
    is_target = xp.equal(xp.reshape(target, (-1, 1)), counted(xp, x.shape[1]))
    p = e / xp.sum(e, axis=1, keepdims=True)
    return xp.where(is_target, p - 1, p)


cross_entropy_mean.derivative(x=lambda xp, grad, x, target: _row_slopes(xp, x, target) * (grad / x.shape[0]))


@op(grad_name="NllLoss", fuse=True)
def cross_entropy_mean_of_counted(xp, x, target, *, ignored):
    """`cross_entropy_mean` over the rows whose target is not `ignored`: a GPU is not asked beforehand whether there are such."""
    counts = xp.not_equal(target, ignored)
    losses = _row_losses(xp, x, xp.where(counts, target, 0))
    return xp.sum(xp.where(counts, losses, 0.0)) / xp.sum(xp.astype(counts, x.dtype))


def _counted_gradient(xp: Any, grad: Any, x: Any, target: Any, ignored: int) -> Any:
    counts = xp.not_equal(target, ignored)
    share = xp.where(counts, grad / xp.sum(xp.astype(counts, x.dtype)), 0.0)
    return _row_slopes(xp, x, target) * xp.reshape(share, (-1, 1))


cross_entropy_mean_of_counted.derivative(x=_counted_gradient)


@op(grad_name="NllLoss", wide=False)
def nll_rows(xp, log_probabilities, target):
    """-log_probabilities[i, target[i]] for each row i."""
    return -xp.index_get(log_probabilities, counted(xp, target.shape[0]), target, spec=(("array", 0), ("array", 1)))


def _nll_rows_gradient(xp: Any, grad: Any, log_probabilities: Any, target: Any) -> Any:
    zeros = xp.full(log_probabilities.shape, 0, grad.dtype)
    picked = xp.index_put(
        zeros, -grad, counted(xp, target.shape[0]), target, spec=(("array", 0), ("array", 1)), accumulate=False
    )
    return stepwise(xp, picked, log_probabilities)


nll_rows.derivative(log_probabilities=_nll_rows_gradient)
