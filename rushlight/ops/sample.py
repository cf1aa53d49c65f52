"""Random results that depend on tensors. Gradients are zeros, as PyTorch's are: a draw is taken for a constant."""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op


def _zero(xp: Any, grad: Any) -> Any:
    return xp.full(grad.shape, 0, grad.dtype)


@op(elementwise=True)
def normal(xp, noise, mean, std):
    """Draws from the standard normal distribution, scaled and shifted."""
    return noise * std + mean


normal.derivative(mean=_zero, std=_zero)


@op(elementwise=True)
def bernoulli(xp, uniform, probability):
    """1 where a uniform draw is below the probability, else 0."""
    return xp.astype(xp.less(uniform, probability), probability.dtype)


bernoulli.derivative(probability=_zero)
