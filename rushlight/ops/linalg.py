"""Solvers, determinants, triangular factors and functions of matrices, with their derivatives.

Each formula cites where it is published; most are in M. Giles, "An extended collection of matrix derivative results for forward
and reverse mode algorithmic differentiation" (2008). Formulas of holomorphic operations (solve, inv, det, LU) are written with
plain transposes (see `ops.define`); the others state the complex rule with `^H`. Leading axes are a batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.define import op
from rushlight.ops.matmul import transposed
from rushlight.ops.matrices import adjoint, tril, triu


@op(wide=False)
def unrelated(xp, value, source):
    """A value that PyTorch records as a result of `source`, though it does not depend on it."""
    return xp.astype(value, value.dtype)


unrelated.derivative(value=lambda xp, grad: grad, source=lambda xp, grad: None)


# ---------------------------------------------------------------- systems of equations


@op(outputs=("out", "info"), waist="solve", grad_name="LinalgSolveEx")
def solve(xp, a, b, *, caller=""):
    """x with a x = b, for matrices b of the same batch."""
    return xp.solve(a, b, caller=caller)


def _solve_gradient(xp: Any, grads: Any, a: Any, out: Any) -> Any:
    """Giles 2008, 2.3.1."""
    grad_b = xp.solve(transposed(xp, a), grads[0])[0]
    return [-grad_b @ transposed(xp, out), grad_b]


solve.op.derivative_of_all(_solve_gradient)


@op(outputs=("out", "info"), waist="inv", grad_name="LinalgInvEx")
def inv(xp, x, *, caller=""):
    """The inverse."""
    return xp.inv(x, caller=caller)


def _inv_gradient(xp: Any, grads: Any, out: Any) -> Any:
    """Giles 2008, 2.2.3."""
    inverse = transposed(xp, out)
    return -inverse @ grads[0] @ inverse


inv.derivative(x=_inv_gradient)


@op(waist="solve_triangular", grad_name="LinalgSolveTriangular")
def solve_triangular(xp, a, b, *, upper, unitriangular=False):
    """x with a x = b, where only one triangle of `a` counts."""
    return xp.solve_triangular(a, b, upper=upper, unitriangular=unitriangular)


def _solve_triangular_gradient(xp: Any, grad: Any, a: Any, out: Any, upper: bool, unitriangular: bool) -> Any:
    """As of `solve`, of which `a` gets the triangle that was read."""
    grad_b = xp.solve_triangular(transposed(xp, a), grad, upper=not upper, unitriangular=unitriangular)
    triangle = triu if upper else tril
    return [triangle(xp, -grad_b @ transposed(xp, out), (1 if upper else -1) * unitriangular), grad_b]


solve_triangular.op.derivative_of_all(_solve_triangular_gradient)


# ---------------------------------------------------------------- determinants


@op(grad_name="LinalgDet", waist="det")
def det(xp, x):
    """The determinant."""
    return xp.det(x)


def _det_gradient(xp: Any, grad: Any, x: Any) -> Any:
    """Jacobi's formula (Giles 2008, 2.2.4). The adjugate is finite where there is no inverse."""
    grad = grad[..., None, None]
    return grad if x.shape[-1] == 1 else grad * transposed(xp, xp.adjugate(x))


det.derivative(x=_det_gradient)


@op(waist="adjugate")
def adjugate(xp, x):
    """det(x) inv(x), by a way that singular matrices can go too."""
    return xp.adjugate(x)


def _adjugate_gradient(xp: Any, grad: Any, x: Any, out: Any) -> Any:
    """By the product rule; unlike the value only of regular matrices."""
    cofactors = transposed(xp, out)
    along = xp.sum(grad * out, axis=(x.ndim - 2, x.ndim - 1), keepdims=True)
    return (along * cofactors - cofactors @ grad @ cofactors) / xp.det(x)[..., None, None]


adjugate.derivative(x=_adjugate_gradient)


@op(outputs=("sign", "logarithm"), waist="slogdet", wirtinger=True, grad_name="LinalgSlogdet")
def slogdet(xp, x):
    """(sign or phase, logarithm of the absolute value) of the determinant."""
    return xp.slogdet(x)


def _slogdet_gradient(xp: Any, grads: Any, x: Any, sign: Any) -> Any:
    """log det = log|det| + i angle is holomorphic, with derivative x^-T; sign = exp(i angle)."""
    of_sign, scale = grads
    if x.dtype.kind == "c" and of_sign is not None:
        turn = xp.imag(of_sign * xp.conj(sign))
        scale = xp.complex(turn * 0 if scale is None else scale, turn)
    inverse = adjoint(xp, xp.inv(x)[0])
    return inverse * 0 if scale is None else scale[..., None, None] * inverse


slogdet.derivative(x=_slogdet_gradient)


# ---------------------------------------------------------------- triangular factors


@op(outputs=("factor", "info"), waist="cholesky", wirtinger=True, grad_name="LinalgCholeskyEx")
def cholesky(xp, x, *, upper=False, caller=""):
    """The lower factor L of x = L L^H, or the upper one, L^H."""
    return xp.cholesky(x, upper=upper, caller=caller)


def _cholesky_gradient(xp: Any, grads: Any, factor: Any, upper: bool) -> Any:
    """I. Murray, "Differentiation of the Cholesky decomposition" (2016), (10)."""
    grad, factor = (adjoint(xp, grads[0]), adjoint(xp, factor)) if upper else (grads[0], factor)
    half = adjoint(xp, factor) @ grad
    symmetric = tril(xp, half) + adjoint(xp, tril(xp, half, -1))
    right = xp.solve_triangular(adjoint(xp, factor), symmetric, upper=True)
    return adjoint(xp, xp.solve_triangular(adjoint(xp, factor), adjoint(xp, right), upper=True)) * 0.5


cholesky.derivative(x=_cholesky_gradient)


@op(waist="cholesky_solve", wirtinger=True)
def cholesky_solve(xp, b, factor, *, upper=False, caller=""):
    """x with L L^H x = b, for the factor L of `cholesky` (or L^H, if `upper`)."""
    return xp.cholesky_solve(b, factor, upper=upper, caller=caller)


def _cholesky_solve_gradient(xp: Any, grad: Any, factor: Any, out: Any, upper: bool) -> Any:
    """As of `solve` with a = L L^H, by the chain rule."""
    grad_b = xp.cholesky_solve(grad, factor, upper=upper)
    half = grad_b @ adjoint(xp, out)
    of_product = -(half + adjoint(xp, half))
    return [grad_b, factor @ of_product if upper else of_product @ factor]


cholesky_solve.op.derivative_of_all(_cholesky_solve_gradient)


@op(outputs=("packed", "pivots", "info"), waist="lu_factor", grad_name="LinalgLuFactorEx")
def lu_factor(xp, x, *, caller=""):
    """x = P L U: L without its diagonal and U in one matrix, and the row swaps that P is."""
    return xp.lu_factor(x, caller=caller)


def _lu_gradient(xp: Any, grads: Any, packed: Any, pivots: Any) -> Any:
    """Of the leading square by F. de Hoog, R. Anderssen, M. Lukas, "Differentiation of matrix functionals using triangular
    factorization" (2011). Rows below it are L2 = A2 U^-1, columns beside it U2 = L^-1 A2: these come first.
    """
    grad, (m, n) = grads[0], packed.shape[-2:]
    k = min(m, n)
    square, of_square = packed[..., :k, :k], grad[..., :k, :k]
    of_l, of_u = tril(xp, of_square, -1), triu(xp, of_square)

    def over_u(x: Any) -> Any:  # x U^-T
        return transposed(xp, xp.solve_triangular(square, transposed(xp, x), upper=True))

    def under_l(x: Any) -> Any:  # L^-T x
        return xp.solve_triangular(transposed(xp, square), x, upper=True, unitriangular=True)

    beyond = None
    if m > k:
        beyond = over_u(grad[..., k:, :])
        of_u = triu(xp, of_u - transposed(xp, packed[..., k:, :]) @ beyond)
    elif n > k:
        beyond = under_l(grad[..., :, k:])
        of_l = tril(xp, of_l - beyond @ transposed(xp, packed[..., :, k:]), -1)
    l_square = xp.where(np.eye(k, dtype=bool), 1.0, tril(xp, square))
    middle = tril(xp, transposed(xp, l_square) @ of_l, -1) + triu(xp, of_u @ transposed(xp, triu(xp, square)))
    result = under_l(over_u(middle))
    if beyond is not None:
        result = xp.concat([result, beyond], axis=-2 if m > k else -1)
    return xp.astype(xp.permutation_matrix(pivots, size=m), packed.dtype) @ result


lu_factor.derivative(x=_lu_gradient)


@op(waist="permutation_matrix")
def permutation_matrix(xp, pivots, *, size):
    """P of x = P L U as truth values, of the row swaps that `lu_factor` gives."""
    return xp.permutation_matrix(pivots, size=size)


@op(outputs=("packed", "pivots", "info"))
def ldl_factor(xp, x, *, hermitian=False, caller=""):
    """x = L D L^T or L D L^H, as LAPACK packs the factors."""
    return xp.ldl_factor(x, hermitian=hermitian, caller=caller)


@op
def ldl_solve(xp, ld, pivots, b, *, hermitian=False):
    """x with L D L^T x = b."""
    return xp.ldl_solve(ld, pivots, b, hermitian=hermitian)


# ---------------------------------------------------------------- functions of matrices


@op(waist="matrix_exp", grad_name="LinalgMatrixExp")
def matrix_exp(xp, x):
    """The sum of x^k / k!."""
    return xp.matrix_exp(x)


def _matrix_exp_gradient(xp: Any, grad: Any, x: Any) -> Any:
    """The derivative at x^T along the gradient, which is a block of exp [[x^T, grad], [0, x^T]]: R. Mathias, "A chain rule for
    matrix functions and applications" (1996).
    """
    n, x = x.shape[-1], transposed(xp, x)
    zero = xp.full(x.shape, 0, x.dtype)
    blocks = xp.concat([xp.concat([x, grad], axis=-1), xp.concat([zero, x], axis=-1)], axis=-2)
    return xp.matrix_exp(blocks)[..., :n, n:]


matrix_exp.derivative(x=_matrix_exp_gradient)
