"""Normal vectors whose covariance is of low rank, plus a diagonal."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.distributions import constraints
from rushlight.distributions.distribution import Distribution, expanded
from rushlight.distributions.gaussian import half_log_det, log_two_pi, mahalanobis, times_vector
from rushlight.distributions.utils import lazy_property, same_as, standard_normal
from rushlight.tensor import Tensor


def capacitance(factor: Tensor, diagonal: Tensor) -> Tensor:
    """The Cholesky factor of I + W^T D^-1 W."""
    inner = (factor.mT / diagonal.unsqueeze(-2)) @ factor
    return torch.linalg.cholesky(inner + torch.eye(factor.size(-1), dtype=factor.dtype))


def lowrank_log_det(factor: Tensor, diagonal: Tensor, capacitance_tril: Tensor) -> Tensor:
    """log det(W W^T + D), by the matrix determinant lemma."""
    return 2 * half_log_det(capacitance_tril) + diagonal.log().sum(-1)


def lowrank_mahalanobis(factor: Tensor, diagonal: Tensor, x: Tensor, capacitance_tril: Tensor) -> Tensor:
    """x^T (W W^T + D)^-1 x, by Woodbury's identity."""
    seen = times_vector(factor.mT / diagonal.unsqueeze(-2), x)
    return (x.pow(2) / diagonal).sum(-1) - mahalanobis(capacitance_tril, seen)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with the covariance W W^T + D, of a matrix W with few columns and a diagonal D.

    Args:
        loc: the mean.
        cov_factor: W.
        cov_diag: D, as a vector.
        validate_args: whether arguments are checked.

    Raises:
        ValueError: shapes that do not fit.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: Tensor, cov_factor: Tensor, cov_diag: Tensor, validate_args: bool | None = None):
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m")
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        try:
            columns = torch.broadcast_tensors(loc.unsqueeze(-1), cov_factor, cov_diag.unsqueeze(-1))
        except RuntimeError as error:
            raise ValueError(
                f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from error
        self.loc, self.cov_factor, self.cov_diag = columns[0][..., 0], columns[1], columns[2][..., 0]
        self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag = cov_factor, cov_diag
        self._capacitance_tril = capacitance(cov_factor, cov_diag)
        super().__init__(self.loc.shape[:-1], event_shape, validate_args=validate_args)

    expand = expanded(
        "loc", "cov_factor", "cov_diag",
        shared=("_unbroadcasted_cov_factor", "_unbroadcasted_cov_diag", "_capacitance_tril"),
    )  # fmt: skip

    @property
    def _parts(self) -> tuple[Tensor, Tensor]:
        return self._unbroadcasted_cov_factor, self._unbroadcasted_cov_diag

    def _of_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + self._event_shape + self._event_shape)

    mean = mode = same_as("loc")

    @lazy_property
    def variance(self) -> Tensor:  # type: ignore[override]
        factor, diagonal = self._parts
        return (factor.pow(2).sum(-1) + diagonal).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> Tensor:
        factor, diagonal = self._parts
        root = diagonal.sqrt().unsqueeze(-1)
        scaled = factor / root
        identity = torch.eye(self._event_shape[0], dtype=factor.dtype)
        return self._of_batch(root * torch.linalg.cholesky(scaled @ scaled.mT + identity))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        factor, diagonal = self._parts
        return self._of_batch(factor @ factor.mT + torch.diag_embed(diagonal))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        factor, diagonal = self._parts
        solved = torch.linalg.solve_triangular(self._capacitance_tril, factor.mT / diagonal.unsqueeze(-2), upper=False)
        return self._of_batch(torch.diag_embed(diagonal.reciprocal()) - solved.mT @ solved)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        factor, diagonal = self._parts
        shape = self._extended_shape(sample_shape)
        of_factor = standard_normal(shape[:-1] + self.cov_factor.shape[-1:], self.loc)
        of_diagonal = standard_normal(shape, self.loc)
        return self.loc + times_vector(factor, of_factor) + diagonal.sqrt() * of_diagonal

    def log_prob(self, value: Tensor) -> Tensor:
        self._check(value)
        distance = lowrank_mahalanobis(*self._parts, value - self.loc, self._capacitance_tril)
        log_det = lowrank_log_det(*self._parts, self._capacitance_tril)
        return -0.5 * (log_two_pi(self._event_shape[0]) + log_det + distance)

    def entropy(self) -> Tensor:
        count = self._event_shape[0]
        entropy = 0.5 * (count + log_two_pi(count) + lowrank_log_det(*self._parts, self._capacitance_tril))
        return entropy.expand(self._batch_shape) if self._batch_shape else entropy
