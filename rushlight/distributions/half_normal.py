"""The half-normal distribution."""

from __future__ import annotations

import math
from typing import Any

from rushlight.distributions.distribution import expanded
from rushlight.distributions.folded import Folded
from rushlight.distributions.normal import Normal
from rushlight.tensor import Tensor


class HalfNormal(Folded):
    """The absolute value of a normal number of mean 0.

    Args:
        scale: the scale of that number.
        validate_args: whether arguments are checked.
    """

    def __init__(self, scale: Any, validate_args: bool | None = None):
        super().__init__(Normal(0, scale, validate_args=False), validate_args=validate_args)

    expand = expanded()

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)
