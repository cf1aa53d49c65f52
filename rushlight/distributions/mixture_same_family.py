"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.distribution import Distribution
from rushlight.tensor import Tensor


class MixtureSameFamily(Distribution):
    """Draws from one of several distributions, which a categorical distribution chooses.

    Args:
        mixture_distribution: the categorical distribution of K components.
        component_distribution: the components, along its last batch dimension, of size K.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: the one is not categorical, the other no distribution, or their shapes do not fit.
    """

    arg_constraints: dict[str, constraints.Constraint] = {}

    def __init__(
        self, mixture_distribution: Categorical, component_distribution: Distribution, validate_args: bool | None = None
    ):  # fmt: skip
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(" The Mixture distribution needs to be an  instance of torch.distributions.Categorical")
        if not isinstance(component_distribution, Distribution):
            raise ValueError("The Component distribution needs to be an instance of torch.distributions.Distribution")
        of_mixture, of_components = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for m, n in zip(reversed(of_mixture), reversed(of_components), strict=False):
            if m != 1 and n != 1 and m != n:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({of_mixture}) is not compatible with "
                    f"`component_distribution.batch_shape`({of_components})"
                )
        count, num_components = mixture_distribution.logits.shape[-1], component_distribution.batch_shape[-1]
        if count != num_components:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({num_components})"
            )
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        super().__init__(of_components, component_distribution.event_shape, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(MixtureSameFamily, _instance)
        batch_shape = torch.Size(batch_shape)
        new._mixture_distribution = self._mixture_distribution.expand(batch_shape)
        new._component_distribution = self._component_distribution.expand((*batch_shape, self._num_component))
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def mixture_distribution(self) -> Categorical:
        """The distribution that chooses."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """What it chooses from."""
        return self._component_distribution

    @property
    def _num_component(self) -> int:
        return self._component_distribution.batch_shape[-1]

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def _component_dim(self) -> int:
        return -1 - len(self._event_shape)

    def _mean_over_components(self, values: Tensor) -> Tensor:
        """Weighted by the probabilities, which get dimensions of size 1 for those of an event."""
        probs = self.mixture_distribution.probs
        probs = probs.reshape(probs.shape + (1,) * len(self._event_shape))
        return torch.sum(probs * values, dim=self._component_dim)

    @property
    def mean(self) -> Tensor:
        return self._mean_over_components(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        components = self.component_distribution
        off = (components.mean - self.mean.unsqueeze(self._component_dim)).pow(2.0)
        return self._mean_over_components(components.variance) + self._mean_over_components(off)

    def cdf(self, x: Tensor) -> Tensor:
        below = self.component_distribution.cdf(x.unsqueeze(self._component_dim))
        return torch.sum(below * self.mixture_distribution.probs, dim=-1)

    def log_prob(self, x: Tensor) -> Tensor:
        self._check(x)
        log_probs = self.component_distribution.log_prob(x.unsqueeze(self._component_dim))
        return torch.logsumexp(log_probs + torch.log_softmax(self.mixture_distribution.logits, dim=-1), dim=-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """From every component, and then one of these."""
        with torch.no_grad():
            dim = len(sample_shape) + len(self.batch_shape)
            chosen = self.mixture_distribution.sample(sample_shape)
            samples = self.component_distribution.sample(sample_shape)
            places = chosen.reshape(chosen.shape + (1,) * (1 + len(self.event_shape)))
            places = places.expand((*samples.shape[:dim], 1, *self.event_shape))
            return torch.gather(samples, dim, places).squeeze(dim)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
