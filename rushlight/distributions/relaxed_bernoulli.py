"""Differentiable relatives of the Bernoulli distribution."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.probs import ProbsOrLogits
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import SigmoidTransform
from rushlight.distributions.utils import broadcast_all, clamp_probs, same_as, standard_uniform
from rushlight.tensor import Tensor


class LogitRelaxedBernoulli(ProbsOrLogits, Distribution):
    """Log-odds of `RelaxedBernoulli` numbers: logistic numbers, moved by `logits`, over a temperature.

    Maddison, Mnih & Teh, "The Concrete Distribution" (2017); Jang, Gu & Poole, "Categorical Reparameterization with
    Gumbel-Softmax" (2017).

    Args:
        temperature: near 0, numbers are nearly 0 or 1.
        probs: the probability of 1.
        logits: or its log-odds.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self.temperature = temperature
        self._set(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)

    expand = expanded("probs", "logits", shared=("_given_name", "temperature"))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(standard_uniform(shape, probs))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        off = logits - value * self.temperature
        return torch.as_tensor(self.temperature).log() + off - 2 * off.exp().log1p()


class RelaxedBernoulli(TransformedDistribution):
    """Numbers in (0, 1) that are nearly 0 or 1, with gradients: the sigmoid of `LogitRelaxedBernoulli`.

    Args:
        temperature: near 0, numbers are nearly 0 or 1.
        probs: the probability of 1.
        logits: or its log-odds.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        base = LogitRelaxedBernoulli(temperature, probs, logits)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    expand = expanded()

    temperature = same_as("base_dist.temperature")
    logits = same_as("base_dist.logits")
    probs = same_as("base_dist.probs")
