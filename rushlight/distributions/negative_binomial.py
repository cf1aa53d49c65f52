"""The negative binomial distribution."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.gamma import Gamma
from rushlight.distributions.probs import ProbsOrLogits
from rushlight.distributions.utils import lazy_property, replaced
from rushlight.nn.functional import logsigmoid
from rushlight.tensor import Tensor


class NegativeBinomial(ProbsOrLogits, Distribution):
    """How many trials succeed before a number of them has failed.

    Args:
        total_count: the number of failures, which need not be an integer.
        probs: the probability that a trial succeeds.
        logits: or its log-odds.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None):
        (total_count,) = self._set(probs, logits, total_count)
        self.total_count = total_count.type_as(self._param)
        super().__init__(self._param.size(), validate_args=validate_args)

    expand = expanded("total_count", "probs", "logits", shared=("_given_name",))

    @property
    def mean(self) -> Tensor:
        return self.total_count * torch.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / torch.sigmoid(-self.logits)

    @lazy_property
    def _gamma(self) -> Gamma:
        return Gamma(concentration=self.total_count, rate=torch.exp(-self.logits), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Poisson numbers, whose rates are gamma numbers."""
        with torch.no_grad():
            return torch.poisson(self._gamma.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        log_powers = self.total_count * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        total = self.total_count + value
        log_ways = torch.lgamma(total) - torch.lgamma(1.0 + value) - torch.lgamma(self.total_count)
        return log_powers + replaced(log_ways, total == 0.0, 0.0)
