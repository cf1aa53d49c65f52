"""`ExponentialFamily`: distributions whose density is exp(t(x) . theta - F(theta) + k(x))."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions.distribution import Distribution
from rushlight.tensor import Tensor


class ExponentialFamily(Distribution):
    """A distribution that states its natural parameters theta and its log-normalizer F.

    Entropy and Kullback-Leibler divergence are then Bregman divergences of F (Nielsen & Nock, "Entropies and
    Cross-entropies of Exponential Families", 2010), whose gradient autograd computes.
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError

    @property
    def _mean_carrier_measure(self) -> float:
        """The mean of k(x)."""
        raise NotImplementedError

    def entropy(self) -> Tensor:
        natural = [parameter.detach().requires_grad_() for parameter in self._natural_params]
        normalizer = self._log_normalizer(*natural)
        gradients = torch.autograd.grad(normalizer.sum(), natural, create_graph=True)
        result = normalizer - self._mean_carrier_measure
        for parameter, gradient in zip(natural, gradients, strict=True):
            result = result - (parameter * gradient).reshape((*self._batch_shape, -1)).sum(-1)
        return result
