"""The generalized Pareto distribution."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.utils import broadcast_all, same_as, standard_uniform
from rushlight.tensor import Tensor


class GeneralizedPareto(Distribution):
    """What exceeds a high threshold: (1 + concentration z)^(-1/concentration) is the chance of more than z scales.

    Args:
        loc: the threshold.
        scale: the scale.
        concentration: the shape: 0 is the exponential distribution, below 0 there is an upper end.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    expand = expanded("loc", "scale", "concentration")

    def _split(self) -> tuple[Tensor, Tensor]:
        """Where the concentration is 0, and the concentration with 1 there, to divide by."""
        is_zero = torch.isclose(self.concentration, torch.zeros_like(self.concentration))
        return is_zero, torch.where(is_zero, 1.0, self.concentration)

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(standard_uniform(self._extended_shape(sample_shape), self.loc))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        z, (is_zero, shape) = self._z(value), self._split()
        power = 1 / shape + torch.ones_like(z)
        general = torch.where(power == 0, power, power * torch.log1p(shape * z))
        return -self.scale.log() - torch.where(is_zero, z, general)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of being above the value."""
        self._check(value)
        z, (is_zero, shape) = self._z(value), self._split()
        return torch.where(is_zero, -z, -torch.log1p(shape * z) / shape)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of `cdf`."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return torch.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        log_above, (is_zero, shape) = torch.log1p(-value), self._split()
        general = self.loc + self.scale / shape * torch.expm1(-shape * log_above)
        return torch.where(is_zero, self.loc - self.scale * log_above, general)

    @property
    def mean(self) -> Tensor:
        valid = self.concentration < 1
        shape = torch.where(valid, self.concentration, 0.5)
        return torch.where(valid, self.loc + self.scale / (1 - shape), torch.nan)

    @property
    def variance(self) -> Tensor:
        valid = self.concentration < 0.5
        shape = torch.where(valid, self.concentration, 0.25)
        return torch.where(valid, self.scale**2 / ((1 - shape) ** 2 * (1 - 2 * shape)), torch.nan)

    def entropy(self) -> Tensor:
        return torch.broadcast_to(torch.log(self.scale) + self.concentration + 1, self._batch_shape)

    mode = same_as("loc")

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = torch.where(self.concentration < 0, self.loc - self.scale / self.concentration, torch.inf)
        return constraints.interval(self.loc, end)
