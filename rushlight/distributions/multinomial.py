"""The multinomial distribution."""

from __future__ import annotations

import math
from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.binomial import Binomial
from rushlight.distributions.categorical import Categorical
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.utils import broadcast_all, replaced, same_as
from rushlight.tensor import Tensor


class Multinomial(Distribution):
    """How often each of K categories comes up in a number of draws.

    Args:
        total_count: the number of draws, one for the whole batch.
        probs: K weights along the last dimension, which are normalized.
        logits: or their logarithms.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ):  # fmt: skip
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    expand = expanded("_categorical", shared=("total_count",))

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    probs = same_as("_categorical.probs")
    logits = same_as("_categorical.logits")
    param_shape = same_as("_categorical.param_shape")

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = drawn.new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add_(-1, drawn, torch.ones_like(drawn)).type_as(self.probs)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        logits, value = broadcast_all(self.logits, value)
        logits = replaced(logits, (value == 0) & (logits == -torch.inf), 0.0)  # 0 log 0 is 0
        log_ways = torch.lgamma(value.sum(-1) + 1) - torch.lgamma(value + 1).sum(-1)
        return log_ways + (logits * value).sum(-1)

    def entropy(self) -> Tensor:
        """From the binomial distributions of the counts: only log x! of each is not linear."""
        binomial = Binomial(total_count=self.total_count, probs=self.probs)
        count = self.total_count
        support = binomial.enumerate_support(expand=False)[1:]
        weighted = torch.exp(binomial.log_prob(support)) * torch.lgamma(support + 1)
        return count * self._categorical.entropy() - math.lgamma(count + 1) + weighted.sum([0, -1])
