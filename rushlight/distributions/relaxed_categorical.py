"""Differentiable relatives of the categorical distribution."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.transformed_distribution import TransformedDistribution
from rushlight.distributions.transforms import ExpTransform
from rushlight.distributions.utils import broadcast_all, clamp_probs, same_as, standard_uniform
from rushlight.tensor import Tensor


class ExpRelaxedCategorical(Distribution):
    """Logarithms of `RelaxedOneHotCategorical` vectors: logits with Gumbel noise, over a temperature, normalized.

    Maddison, Mnih & Teh, "The Concrete Distribution" (2017); Jang, Gu & Poole, "Categorical Reparameterization with
    Gumbel-Softmax" (2017).

    Args:
        temperature: near 0, vectors are nearly one-hot.
        probs: K weights along the last dimension, which are normalized.
        logits: or their logarithms.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector  # of those whose exponentials sum to 1
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        self._categorical, self.temperature = Categorical(probs, logits), temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    expand = expanded("_categorical", shared=("temperature",))

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    param_shape = same_as("_categorical.param_shape")
    logits = same_as("_categorical.logits")
    probs = same_as("_categorical.probs")

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        u = clamp_probs(standard_uniform(self._extended_shape(sample_shape), self.logits))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(dim=-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        count = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        score = logits - value * self.temperature
        score = (score - score.logsumexp(dim=-1, keepdim=True)).sum(-1)
        return score + math.lgamma(count) + (count - 1) * torch.as_tensor(self.temperature).log()


class RelaxedOneHotCategorical(TransformedDistribution):
    """Vectors of the simplex that are nearly one-hot, with gradients: the exponential of `ExpRelaxedCategorical`.

    Args:
        temperature: near 0, vectors are nearly one-hot.
        probs: K weights along the last dimension, which are normalized.
        logits: or their logarithms.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    expand = expanded()

    temperature = same_as("base_dist.temperature")
    logits = same_as("base_dist.logits")
    probs = same_as("base_dist.probs")
