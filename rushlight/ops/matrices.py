"""Parts of matrices, in the terms of the waist: what derivatives of linear algebra are made of. Leading axes are a batch."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.matmul import transposed


def adjoint(xp: Any, x: Any) -> Any:
    """x^H: the last two axes swapped, conjugated."""
    return xp.conj(transposed(xp, x))


def tril(xp: Any, x: Any, diagonal: int = 0) -> Any:
    """The lower triangle, up to a diagonal; zeros above."""
    return xp.where(np.tri(*x.shape[-2:], diagonal, dtype=bool), x, 0.0)


def triu(xp: Any, x: Any, diagonal: int = 0) -> Any:
    """The upper triangle, from a diagonal on; zeros below."""
    return xp.where(np.tri(*x.shape[-2:], diagonal - 1, dtype=bool), 0.0, x)


def diagonal_of(xp: Any, x: Any) -> Any:
    """The diagonals of square matrices, as vectors."""
    return xp.sum(xp.where(np.eye(x.shape[-1], dtype=bool), x, 0.0), axis=x.ndim - 1)


def off_diagonal(xp: Any, x: Any) -> Any:
    """Square matrices with zeros on their diagonals."""
    return xp.where(np.eye(x.shape[-1], dtype=bool), 0.0, x)


def diagonal_matrix(xp: Any, x: Any) -> Any:
    """Matrices with the vectors x on their diagonals."""
    return xp.where(np.eye(x.shape[-1], dtype=bool), x[..., None], 0.0)


def differences(xp: Any, x: Any) -> Any:
    """x_j - x_i for each row i and column j; ones on the diagonal, to divide by."""
    return xp.where(np.eye(x.shape[-1], dtype=bool), 1.0, x[..., None, :] - x[..., :, None])


def minus_adjoint(xp: Any, x: Any) -> Any:
    """x - x^H: twice the skew-Hermitian part."""
    return x - adjoint(xp, x)


def sums(xp: Any, x: Any) -> Any:
    """x_i + x_j off the diagonal; ones on it."""
    return xp.where(np.eye(x.shape[-1], dtype=bool), 1.0, x[..., None, :] + x[..., :, None])
