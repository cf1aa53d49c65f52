"""What distributions of normal vectors have in common: products and quadratic forms of Cholesky factors."""

from __future__ import annotations

import math

import rushlight as torch
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


def factor_of(scale_tril: Tensor | None, covariance_matrix: Tensor | None, precision_matrix: Tensor | None) -> Tensor:
    """The Cholesky factor of the covariance, of whichever is given."""
    if scale_tril is not None:
        return scale_tril
    if covariance_matrix is not None:
        return torch.linalg.cholesky(covariance_matrix)
    assert precision_matrix is not None
    return factor_of_precision(precision_matrix)


def log_two_pi(count: int) -> float:
    """count log(2 pi)."""
    return count * math.log(2 * math.pi)
