"""The half-Cauchy distribution."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions.cauchy import Cauchy
from rushlight.distributions.distribution import expanded
from rushlight.distributions.folded import Folded
from rushlight.distributions.utils import same_as
from rushlight.tensor import Tensor


class HalfCauchy(Folded):
    """The absolute value of a Cauchy number of median 0.

    Args:
        scale: the scale of that number.
        validate_args: whether arguments are checked.
    """

    def __init__(self, scale: Any, validate_args: bool | None = None):
        super().__init__(Cauchy(0, scale, validate_args=False), validate_args=validate_args)

    expand = expanded()
    variance = same_as("base_dist.variance")

    @property
    def mean(self) -> Tensor:
        return torch.full(self._extended_shape(), torch.inf, dtype=self.scale.dtype)
