"""Student's t-distribution."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.chi2 import Chi2
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.utils import broadcast_all, replaced, same_as, standard_normal
from rushlight.tensor import Tensor


class StudentT(Distribution):
    """A normal number over the root of a chi-squared number and its degrees of freedom, scaled and moved.

    Args:
        df: the degrees of freedom.
        loc: the mode.
        scale: the scale.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"df": constraints.positive, "loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None):
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        self._chi2 = Chi2(self.df)
        super().__init__(self.df.size(), validate_args=validate_args)

    expand = expanded("df", "loc", "scale", "_chi2")

    @property
    def mean(self) -> Tensor:
        return replaced(self.loc, self.df <= 1, torch.nan)

    mode = same_as("loc")

    @property
    def variance(self) -> Tensor:
        variance = self.scale.pow(2) * self.df / (self.df - 2)
        return replaced(replaced(variance, self.df <= 2, torch.inf), self.df <= 1, torch.nan)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        normal = standard_normal(self._extended_shape(sample_shape), self.df)
        chi2 = self._chi2.rsample(sample_shape)
        return self.loc + self.scale * normal * torch.rsqrt(chi2 / self.df)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        y, half = (value - self.loc) / self.scale, 0.5 * (self.df + 1.0)
        log_beta = 0.5 * math.log(math.pi) + torch.lgamma(0.5 * self.df) - torch.lgamma(half)
        return -half * torch.log1p(y**2.0 / self.df) - self.scale.log() - 0.5 * self.df.log() - log_beta

    def entropy(self) -> Tensor:
        half = 0.5 * (self.df + 1)
        log_beta = torch.lgamma(0.5 * self.df) + math.lgamma(0.5) - torch.lgamma(half)
        spread = half * (torch.digamma(half) - torch.digamma(0.5 * self.df))
        return self.scale.log() + spread + 0.5 * self.df.log() + log_beta
