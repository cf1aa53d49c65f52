"""Orthogonal factors, eigenvalues, singular values and the pseudoinverse, with their derivatives.

None of these is holomorphic: the formulas state the complex rule, with `^H`. What a factorization leaves open (the sign or phase
of a vector) must not matter to what is differentiated; equal eigenvalues or singular values give infinities.
"""

from __future__ import annotations

from typing import Any

from rushlight.ops.define import op
from rushlight.ops.matrices import (
    adjoint,
    diagonal_matrix,
    diagonal_of,
    differences,
    minus_adjoint,
    off_diagonal,
    sums,
    triu,
)

# ---------------------------------------------------------------- orthogonal factors


@op(outputs=("q", "r"), waist="qr", wirtinger=True, grad_name="LinalgQr")
def qr(xp, x, *, mode="reduced"):
    """x = Q R with Q of orthonormal columns; with mode "r" only R."""
    return xp.qr(x, mode=mode)


def _qr_gradient(xp: Any, grads: Any, q: Any, r: Any, x_shape: Any, mode: str) -> Any:
    """S. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with application in optimum experimental
    design" (2010), in the form of M. Seeger et al., "Auto-differentiating linear algebra" (2017). Of a wide x = [x1, x2] with
    R = [R1, R2]: x1 = Q R1 is the square case, and x2 = Q R2.
    """
    of_q, of_r = grads
    m, n = x_shape[-2:]
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please use "
            "linalg.qr(A, mode='reduced') if you are going to require differentiability."
        )
    if mode == "complete" and m > n:
        raise RuntimeError("The QR decomposition is not differentiable when mode='complete' and nrows > ncols.")
    of_rest = None
    if m < n and of_r is not None:
        of_rest = q @ of_r[..., m:]
        beside = q @ (r[..., m:] @ adjoint(xp, of_r[..., m:]))
        of_q, of_r = beside if of_q is None else of_q + beside, of_r[..., :m]
    elif m < n:
        of_rest = xp.full((*x_shape[:-1], n - m), 0, q.dtype)
    r = r[..., :m]
    inner = 0.0
    if of_r is not None:
        inner = of_r @ adjoint(xp, r)
    if of_q is not None:
        inner = inner - adjoint(xp, q) @ of_q
    inner = triu(xp, inner)
    inner = inner + adjoint(xp, triu(xp, inner, 1)) - _imaginary_diagonal(xp, inner)
    whole = q @ inner if of_q is None else of_q + q @ inner
    result = adjoint(xp, xp.solve_triangular(r, adjoint(xp, whole), upper=True))
    return result if of_rest is None else xp.concat([result, of_rest], axis=-1)


def _imaginary_diagonal(xp: Any, x: Any) -> Any:
    """The imaginary part of the diagonal; zeros elsewhere."""
    return (diagonal_matrix(xp, diagonal_of(xp, x) - xp.real(diagonal_of(xp, x)))) if x.dtype.kind == "c" else 0.0


qr.derivative(x=_qr_gradient)


@op(outputs=("reflections", "tau"))
def geqrf(xp, x):
    """R, and the Householder reflections whose product Q is."""
    return xp.geqrf(x)


# ---------------------------------------------------------------- eigenvalues and singular values


@op(outputs=("values", "vectors"), waist="eigh", wirtinger=True, grad_name="LinalgEigh")
def eigh(xp, x, *, uplo="L"):
    """x = V diag(values) V^H of Hermitian matrices, values in ascending order."""
    return xp.eigh(x, uplo=uplo)


def _eigh_gradient(xp: Any, grads: Any, values: Any, vectors: Any) -> Any:
    """Giles 2008, 3.1. Only the skew part of V^H grad turns the vectors: x stays Hermitian."""
    of_values, of_vectors = grads
    if of_vectors is None:
        return (vectors * of_values[..., None, :]) @ adjoint(xp, vectors)
    turn = minus_adjoint(xp, adjoint(xp, vectors) @ of_vectors) / 2
    inner = off_diagonal(xp, turn / differences(xp, values))
    if of_values is not None:
        inner = inner + diagonal_matrix(xp, of_values)
    return vectors @ inner @ adjoint(xp, vectors)


eigh.derivative(x=_eigh_gradient)


@op(outputs=("values", "vectors"), waist="eig", wirtinger=True, grad_name="LinalgEig")
def eig(xp, x):
    """x V = V diag(values), with V of columns of length 1."""
    return xp.eig(x)


def _eig_gradient(xp: Any, grads: Any, values: Any, vectors: Any, x_dtype: Any) -> Any:
    """C. Boeddeker et al., "On the computation of complex-valued gradients with application to statistically optimum beamforming"
    (2017), (4.77): of vectors of length 1.
    """
    of_values, of_vectors = grads
    turned = adjoint(xp, vectors)
    inner = 0.0
    if of_vectors is not None:
        inner = turned @ of_vectors
        lengths = xp.real(diagonal_of(xp, inner))
        inner = inner - turned @ (vectors * lengths[..., None, :])
        inner = off_diagonal(xp, inner / xp.conj(differences(xp, values)))
    if of_values is not None:
        inner = inner + diagonal_matrix(xp, of_values)
    return xp.astype(xp.solve(turned, inner @ turned)[0], x_dtype)


eig.derivative(x=_eig_gradient)


@op(outputs=("u", "s", "vh"), waist="svd", wirtinger=True, grad_name="LinalgSvd")
def svd(xp, x, *, full_matrices=True):
    """x = U diag(S) V^H, singular values in descending order."""
    return xp.svd(x, full_matrices=full_matrices)


def _svd_gradient(xp: Any, grads: Any, u: Any, s: Any, vh: Any) -> Any:
    """J. Townsend, "Differentiating the singular value decomposition" (2016); the diagonal in the complex case by Z. Wan,
    S. Zhang, "Automatic differentiation for complex valued SVD" (2019).
    """
    of_u, of_s, of_vh = grads
    k = s.shape[-1]
    u, vh = u[..., :k], vh[..., :k, :]
    if of_u is None and of_vh is None:
        return (u * of_s[..., None, :]) @ vh
    squares, inner = differences(xp, s) * sums(xp, s), 0.0
    if of_u is not None:
        of_u = of_u[..., :k]
        skew = minus_adjoint(xp, adjoint(xp, u) @ of_u)
        inner = inner + skew / squares * s[..., None, :]
    if of_vh is not None:
        of_v = adjoint(xp, of_vh[..., :k, :])
        inner = inner + s[..., :, None] * (minus_adjoint(xp, vh @ of_v) / squares)
    inner = off_diagonal(xp, inner)
    if of_u is not None and of_vh is not None and u.dtype.kind == "c":
        inner = inner + diagonal_matrix(xp, diagonal_of(xp, skew) / (2 * s))
    if of_s is not None:
        inner = inner + diagonal_matrix(xp, of_s)
    result = u @ inner @ vh
    if of_u is not None and u.shape[-2] > k:
        outside = of_u / s[..., None, :]
        result = result + (outside - u @ (adjoint(xp, u) @ outside)) @ vh
    if of_vh is not None and vh.shape[-1] > k:
        outside = adjoint(xp, of_v) / s[..., :, None]
        result = result + u @ (outside - (outside @ adjoint(xp, vh)) @ vh)
    return result


svd.derivative(x=_svd_gradient)


@op(wirtinger=True, grad_name="LinalgPinv")
def pinv(xp, x, absolute, relative, *, hermitian=False):
    """The pseudoinverse: singular values up to a tolerance, absolute or relative to the largest, count as 0."""
    if hermitian:
        values, vectors = xp.eigh(x)
        u, s, vh = vectors, xp.abs(values), adjoint(xp, vectors)
        vh = xp.where(xp.less(values, 0)[..., None], -vh, vh)
    else:
        u, s, vh = xp.svd(x, full_matrices=False)
    if not s.shape[-1]:
        return adjoint(xp, vh) @ adjoint(xp, u)
    limit = xp.maximum(absolute, relative * xp.max(s, axis=s.ndim - 1))[..., None]
    inverse = xp.where(xp.greater(s, limit), 1.0 / s, 0.0)
    return adjoint(xp, vh) @ (xp.astype(inverse[..., :, None], x.dtype) * adjoint(xp, u))


def _pinv_gradient(xp: Any, grad: Any, x: Any, out: Any) -> Any:
    """G. Golub, V. Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
    separate" (1973), (4.12): of matrices of constant rank.
    """
    turned, grad = adjoint(xp, out), adjoint(xp, grad)
    left, right = grad @ out, out @ grad
    within = -adjoint(xp, out @ grad @ out)
    return within + (left - x @ (out @ left)) @ turned + turned @ (right - (right @ out) @ x)


pinv.derivative(x=_pinv_gradient)
