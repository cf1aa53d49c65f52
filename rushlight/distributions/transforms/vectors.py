"""Transforms between vectors of real numbers and the simplex."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.transforms.base import Plain
from rushlight.distributions.transforms.elementwise import clipped_sigmoid
from rushlight.nn.functional import logsigmoid, pad
from rushlight.tensor import Tensor


def require_dims(shape: Any, count: int) -> None:
    """Raises for a shape of fewer dimensions than one event has."""
    if len(shape) < count:
        raise ValueError("Too few dimensions on input")


class SoftmaxTransform(Plain):
    """y = exp(x), normalized. Not bijective, but each component moves mostly its own: good for optimization."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        weights = (x - x.max(-1, True)[0]).exp()
        return weights / weights.sum(-1, True)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        require_dims(shape, 1)
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(Plain):
    """Breaks from a stick of length 1, by the sigmoid of each component in turn, a part of what is left.

    Bijective, onto the simplex of one dimension more. An offset makes x = 0 the center of the simplex.
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    @staticmethod
    def _offset(x: Tensor) -> Tensor:
        """log of how many parts are still to come after each."""
        return (x.shape[-1] + 1 - x.new_ones(x.shape[-1]).cumsum(-1)).log()

    def _call(self, x: Tensor) -> Tensor:
        share = clipped_sigmoid(x - self._offset(x))
        left = (1 - share).cumprod(-1)
        return pad(share, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = y[..., :-1]
        left = torch.clamp(1 - parts.cumsum(-1), min=torch.finfo(y.dtype).tiny)
        return parts.log() - left.log() + self._offset(parts)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - self._offset(x)
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        require_dims(shape, 1)
        return (*shape[:-1], shape[-1] + 1)

    def inverse_shape(self, shape: Any) -> Any:
        require_dims(shape, 1)
        return (*shape[:-1], shape[-1] - 1)
