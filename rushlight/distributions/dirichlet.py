"""The Dirichlet distribution."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import expanded
from rushlight.distributions.exp_family import ExponentialFamily
from rushlight.nn.functional import one_hot
from rushlight.tensor import Tensor


class Dirichlet(ExponentialFamily):
    """On the simplex, with a density in proportion to the product of x_i^(concentration_i - 1).

    Args:
        concentration: one for each component, along the last dimension.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: a concentration without dimensions.
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None):
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        super().__init__(concentration.shape[:-1], concentration.shape[-1:], validate_args=validate_args)

    expand = expanded("concentration")

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return torch._sample_dirichlet(self.concentration.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        normalizer = torch.lgamma(self.concentration.sum(-1)) - torch.lgamma(self.concentration).sum(-1)
        return torch.xlogy(self.concentration - 1.0, value).sum(-1) + normalizer

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, True)

    @property
    def mode(self) -> Tensor:
        """Where all concentrations are below 1, the corner of the first of the greatest of them."""
        excess = (self.concentration - 1).clamp(min=0.0)
        mode = excess / excess.sum(-1, True)
        corner = one_hot(mode.argmax(dim=-1), excess.shape[-1]).to(mode)
        return torch.where((self.concentration < 1).all(dim=-1, keepdim=True), corner, mode)

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, True)
        return self.concentration * (total - self.concentration) / (total.pow(2) * (total + 1))

    def entropy(self) -> Tensor:
        count, total = self.concentration.size(-1), self.concentration.sum(-1)
        log_beta = torch.lgamma(self.concentration).sum(-1) - torch.lgamma(total)
        means = ((self.concentration - 1.0) * torch.digamma(self.concentration)).sum(-1)
        return log_beta - (count - total) * torch.digamma(total) - means

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.concentration,)

    def _log_normalizer(self, x: Tensor) -> Tensor:
        return x.lgamma().sum(-1) - torch.lgamma(x.sum(-1))
