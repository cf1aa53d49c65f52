"""The chi-squared distribution."""

from __future__ import annotations

from typing import Any

from rushlight.distributions import constraints
from rushlight.distributions.distribution import expanded
from rushlight.distributions.gamma import Gamma
from rushlight.tensor import Tensor


class Chi2(Gamma):
    """The sum of `df` squares of standard normal numbers: the gamma distribution of concentration df / 2 and rate 1/2.

    Args:
        df: the degrees of freedom.
        validate_args: whether arguments are checked.
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None):
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    expand = expanded()

    @property
    def df(self) -> Tensor:
        return self.concentration * 2
