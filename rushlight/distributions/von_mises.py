"""The von Mises distribution."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.utils import broadcast_all, lazy_property, same_as
from rushlight.tensor import Tensor


class VonMises(Distribution):
    """Angles around a circle, with a density in proportion to exp(concentration cos(x - loc)).

    Args:
        loc: the mean angle.
        concentration: how close to it they are.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None):
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.shape, validate_args=validate_args)

    expand = expanded("loc", "concentration")

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        # I_0 scaled by exp(-concentration), which would overflow
        log_bessel = torch.special.i0e(self.concentration).log() + self.concentration
        return self.concentration * torch.cos(value - self.loc) - math.log(2 * math.pi) - log_bessel

    mean = mode = same_as("loc")

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        """The circular variance, 1 - I_1 / I_0."""
        return 1 - torch.special.i1e(self.concentration) / torch.special.i0e(self.concentration)

    def _wrapping(self) -> tuple[Tensor, Tensor]:
        """The concentration in double precision, and (1 + rho^2) / (2 rho) of the proposal, a wrapped Cauchy."""
        kappa = self.concentration.double()
        tau = 1 + (1 + 4 * kappa**2).sqrt()
        rho = (tau - (2 * tau).sqrt()) / (2 * kappa)
        return kappa, torch.where(kappa < 1e-5, 1 / kappa + kappa, (1 + rho**2) / (2 * rho))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """By rejection: Best & Fisher, "Efficient Simulation of the von Mises Distribution" (1979)."""
        with torch.no_grad():
            loc, (kappa, r) = self.loc.double(), self._wrapping()
            x = torch.zeros(self._extended_shape(sample_shape), dtype=torch.double)
            done = torch.zeros(x.shape, dtype=torch.bool)
            while not done.all():  # all are drawn anew in each round, and the accepted take their place
                u1, u2, u3 = torch.rand((3, *x.shape), dtype=torch.double).unbind()
                z = torch.cos(math.pi * u1)
                f = (1 + r * z) / (r + z)
                c = kappa * (r - f)
                accept = (c * (2 - c) - u2 > 0) | ((c / u2).log() + 1 - c >= 0)
                x = torch.where(accept, (u3 - 0.5).sign() * f.acos(), x)
                done = done | accept
            return ((x + math.pi + loc) % (2 * math.pi) - math.pi).to(self.loc.dtype)
