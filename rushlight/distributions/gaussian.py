"""What distributions of normal vectors have in common: products and quadratic forms of Cholesky factors."""

from __future__ import annotations

import math

import rushlight as torch
from rushlight.distributions.utils import lazy_property
from rushlight.tensor import Tensor


def times_vector(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrices times vectors, batches of both."""
    return torch.matmul(matrix, vector.unsqueeze(-1)).squeeze(-1)


def half_log_det(factor: Tensor) -> Tensor:
    """The logarithm of the determinant of triangular matrices: half of that of L L^T."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def mahalanobis(factor: Tensor, x: Tensor) -> Tensor:
    """x^T (L L^T)^-1 x, for batches of factors L and of more vectors x: these are the columns of one system each."""
    n, num_samples = x.shape[-1], x.dim() - 1 - (factor.dim() - 2)
    batch = torch.broadcast_shapes(factor.shape[:-2], x.shape[num_samples:-1])
    samples = x.shape[:num_samples]
    columns = x.expand((*samples, *batch, n)).reshape((samples.numel(), *batch, n)).movedim(0, -1)
    solved = torch.linalg.solve_triangular(factor.expand((*batch, n, n)), columns, upper=False)  # (*batch, n, samples)
    return solved.pow(2).sum(-2).movedim(-1, 0).reshape((*samples, *batch))


def factor_of_precision(precision: Tensor) -> Tensor:
    """The lower Cholesky factor of the inverse of a matrix: that of the matrix turned around, turned back, inverted."""
    turned = torch.linalg.cholesky(precision.flip((-2, -1)))
    identity = torch.eye(precision.shape[-1], dtype=precision.dtype)
    return torch.linalg.solve_triangular(turned.flip((-2, -1)).mT, identity, upper=False)


class CovarianceForms:
    """For distributions that are given a covariance, its inverse or its Cholesky factor: they have the others too."""

    _unbroadcasted_scale_tril: Tensor  # the Cholesky factor, of which everything is computed

    def _find_factor(self, name: str, matrix: Tensor) -> None:
        """Finds the factor of whichever is given."""
        if name == "covariance_matrix":
            matrix = torch.linalg.cholesky(matrix)
        elif name == "precision_matrix":
            matrix = factor_of_precision(matrix)
        self._unbroadcasted_scale_tril = matrix

    def _of_batch(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + matrix.shape[-2:])

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._of_batch(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._of_batch(self._unbroadcasted_scale_tril @ self._unbroadcasted_scale_tril.mT)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return self._of_batch(torch.cholesky_inverse(self._unbroadcasted_scale_tril))


def the_one_given(**forms: Tensor | None) -> tuple[str, Tensor] | None:
    """The name and the matrix of the only form that is not None; None if there is another number of them."""
    given = [(name, matrix) for name, matrix in forms.items() if matrix is not None]
    return given[0] if len(given) == 1 else None


def log_two_pi(count: int) -> float:
    """count log(2 pi)."""
    return count * math.log(2 * math.pi)
