"""The multivariate normal distribution."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.gaussian import (
    CovarianceForms,
    half_log_det,
    log_two_pi,
    mahalanobis,
    the_one_given,
    times_vector,
)  # fmt: skip
from rushlight.distributions.utils import same_as, standard_normal
from rushlight.tensor import Tensor


class MultivariateNormal(CovarianceForms, Distribution):
    """Normal vectors.

    Args:
        loc: the mean.
        covariance_matrix: the covariance.
        precision_matrix: or its inverse.
        scale_tril: or its lower Cholesky factor, which all computation uses.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: not exactly one of the three is given, or one has too few dimensions.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, loc: Tensor, covariance_matrix: Tensor | None = None, precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None, validate_args: bool | None = None,
    ):  # fmt: skip
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = the_one_given(
            scale_tril=scale_tril, covariance_matrix=covariance_matrix, precision_matrix=precision_matrix
        )
        if given is None:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        name, matrix = given
        if matrix.dim() < 2:
            kind = "scale_tril matrix" if name == "scale_tril" else name
            raise ValueError(f"{kind} must be at least two-dimensional, with optional leading batch dimensions")
        batch_shape = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.__dict__[name] = matrix.expand((*batch_shape, -1, -1))
        self.loc = loc.expand((*batch_shape, -1))
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._find_factor(name, matrix)

    expand = expanded(
        "loc", "covariance_matrix", "scale_tril", "precision_matrix", shared=("_unbroadcasted_scale_tril",)
    )

    mean = mode = same_as("loc")

    @property
    def variance(self) -> Tensor:
        return self._unbroadcasted_scale_tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        normal = standard_normal(self._extended_shape(sample_shape), self.loc)
        return self.loc + times_vector(self._unbroadcasted_scale_tril, normal)

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        factor = self._unbroadcasted_scale_tril
        distance = mahalanobis(factor, value - self.loc)
        return -0.5 * (log_two_pi(self._event_shape[0]) + distance) - half_log_det(factor)

    def entropy(self) -> Tensor:
        count = self._event_shape[0]
        entropy = 0.5 * (count + log_two_pi(count)) + half_log_det(self._unbroadcasted_scale_tril)
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
