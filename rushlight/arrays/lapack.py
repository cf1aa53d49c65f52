"""Factorizations and solvers on NumPy arrays, batched over leading axes, by LAPACK through NumPy and SciPy.

Part of the waist: names here are listed in `protocol.HOST`. NumPy's functions loop over a batch in C and are used where
they exist; for the others `_each` calls SciPy's LAPACK matrix by matrix. Routines that can fail also return `info`,
LAPACK's int32 code for each matrix (0: success). With `caller`, the name to report, a failure raises `LinAlgError`
instead. For CuPy arrays, `gpu/lapack.py` has others; what it has not serves both (NEP 18).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray


class LinAlgError(RuntimeError):
    """A matrix is singular, or not positive-definite."""


NOT_POSITIVE = (
    "The factorization could not be completed because the input is not positive-definite "
    "(the leading minor of order {} is not positive-definite)."
)
NOT_INVERTIBLE = (
    "The diagonal element {} is zero, the inversion could not be completed because the input matrix is singular."
)
NOT_SOLVABLE = "The solver failed because the input matrix is singular."
SINGULAR_BLOCK = "D[{0},{0}] is zero and using it on ldl_solve would result in a division by zero."
NOT_FACTORED = (
    "U[{0},{0}] is zero and using it on lu_solve would result in a division by zero. If you still want to perform the "
    "factorization, consider calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
)


def checked(info: ndarray, caller: str, text: str, error: type[RuntimeError] = LinAlgError) -> ndarray:
    """`info` as it is; raises for the first failure in it, if there is a caller to report."""
    if caller and info.any():
        first = int(np.argmax(info.ravel() != 0))
        where = f"(Batch element {first}): " if info.ndim else ""
        raise error(f"{caller}: {where}{text.format(info.ravel()[first])}")
    return info


@functools.cache
def _routine(name: str, dtype: np.dtype) -> Callable[..., Any]:
    """SciPy's LAPACK function for a dtype, or of BLAS the one triangular solver."""
    from scipy.linalg import blas, lapack  # a fifth of a second to import: loaded when first needed

    return getattr(blas if name == "trsm" else lapack, {"f": "s", "d": "d", "F": "c", "D": "z"}[dtype.char] + name)


def _each(function: Callable[..., tuple], results: list[tuple[tuple, Any]], matrices: Any, *others: Any) -> tuple:
    """Calls a function on each matrix of a batch.

    Args:
        results: (shape, dtype) of what it gives for one matrix.
        matrices, others: arrays (..., m, n) of one batch shape. Others may be of vectors.
    """
    batch = matrices.shape[:-2]
    outs = tuple([np.zeros((*batch, *shape), dtype) for shape, dtype in results])
    if all(x.size for x in (matrices, *others)):
        for i in np.ndindex(batch):
            for out, found in zip(outs, function(matrices[i], *[x[i] for x in others]), strict=True):
                out[i] = found
    return outs


def _success(x: ndarray) -> ndarray:
    return np.zeros(x.shape[:-2], np.int32)


# ---------------------------------------------------------------- systems of equations


def solve(a: ndarray, b: ndarray, *, caller: str = "") -> tuple[ndarray, ndarray]:
    """(x with a x = b for matrices b, info)."""
    try:
        return np.linalg.solve(a, b), _success(a)
    except np.linalg.LinAlgError:
        _, _, info = lu_factor(a)
        checked(info, caller, NOT_SOLVABLE)
        return _where_regular(info, lambda regular: np.linalg.solve(regular, b), a), info


def inv(x: ndarray, *, caller: str = "") -> tuple[ndarray, ndarray]:
    """(the inverse, info)."""
    try:
        return np.linalg.inv(x), _success(x)
    except np.linalg.LinAlgError:
        _, _, info = lu_factor(x)
        checked(info, caller, NOT_INVERTIBLE)
        return _where_regular(info, np.linalg.inv, x), info


def _where_regular(info: ndarray, function: Callable[[ndarray], ndarray], x: ndarray) -> ndarray:
    """The function of the matrices that LAPACK could handle; NaN for the others."""
    failed = (info != 0)[..., None, None]
    return np.where(failed, x.dtype.type(math.nan), function(np.where(failed, np.eye(x.shape[-1], dtype=x.dtype), x)))


def solve_triangular(a: ndarray, b: ndarray, *, upper: bool, unitriangular: bool = False) -> ndarray:
    """x with a x = b, reading only one triangle of `a` (of which the diagonal counts as ones if `unitriangular`)."""
    trsm, results = _routine("trsm", b.dtype), [(b.shape[-2:], b.dtype)]
    return _each(lambda m, right: (trsm(1, m, right, lower=not upper, diag=unitriangular),), results, a, b)[0]


def _diagonal(size: int, like: ndarray) -> ndarray:
    """The identity as truth values, of another array's kind: `np.eye(like=...)` has an argument that CuPy's has not."""
    return np.asarray(np.eye(size, dtype=bool), like=like)


# ---------------------------------------------------------------- determinants


def det(x: ndarray) -> ndarray:
    """The determinant."""
    return np.linalg.det(x)


def slogdet(x: ndarray) -> tuple[ndarray, ndarray]:
    """(sign or phase of the determinant, logarithm of its absolute value)."""
    return tuple(np.linalg.slogdet(x))  # type: ignore[return-value]


def adjugate(x: ndarray) -> ndarray:
    """det(x) inv(x), which singular matrices have as well.

    Of x = U S Vh it is det(U Vh) V S' Uh, with S' the products of all singular values but one.
    """
    u, s, vh = np.linalg.svd(x)
    others = np.where(_diagonal(s.shape[-1], s), 1, s[..., None, :]).prod(-1).astype(s.dtype)
    phase = np.linalg.det(u @ vh)[..., None]
    return (vh.swapaxes(-1, -2).conj() * (phase * others)[..., None, :]) @ u.swapaxes(-1, -2).conj()


# ---------------------------------------------------------------- triangular factors


def cholesky(x: ndarray, *, upper: bool = False, caller: str = "") -> tuple[ndarray, ndarray]:
    """(the Cholesky factor, lower or upper, info). Reads that triangle of x only."""
    try:
        return np.linalg.cholesky(x, upper=upper), _success(x)
    except np.linalg.LinAlgError:
        potrf = _routine("potrf", x.dtype)
        factor, info = _each(lambda m: potrf(m, lower=not upper), [(x.shape[-2:], x.dtype), ((), np.int32)], x)
        return factor, checked(info, caller, NOT_POSITIVE)


def cholesky_solve(b: ndarray, factor: ndarray, *, upper: bool = False, caller: str = "") -> ndarray:
    """x with L L^H x = b, for the factor L that `cholesky` gives (or L^H, if `upper`)."""
    zeros = np.diagonal(factor, 0, -2, -1) == 0
    if zeros.any():
        checked(np.where(zeros.any(-1), zeros.argmax(-1) + 1, 0), caller, NOT_INVERTIBLE)
    potrs, results = _routine("potrs", b.dtype), [(b.shape[-2:], b.dtype)]
    return _each(lambda m, right: potrs(m, right, lower=not upper)[:1], results, factor, b)[0]


def lu_factor(x: ndarray, *, caller: str = "") -> tuple[ndarray, ndarray, ndarray]:
    """(L below the diagonal and U in one matrix, the row swaps from 1 on as LAPACK counts, info)."""
    m, n = x.shape[-2:]
    getrf = _routine("getrf", x.dtype)

    def factor(matrix: ndarray) -> tuple:
        lu, pivots, info = getrf(matrix)
        return lu, pivots + 1, info

    lu, pivots, info = _each(factor, [((m, n), x.dtype), ((min(m, n),), np.int32), ((), np.int32)], x)
    return lu, pivots, checked(info, caller, NOT_FACTORED, RuntimeError)


def permutation_matrix(pivots: ndarray, *, size: int) -> ndarray:
    """P of x = P L U as truth values, from LAPACK's row swaps: swap i was of the rows i and pivots[i] - 1."""
    batch = pivots.shape[:-1]
    swaps = pivots.reshape(math.prod(batch), pivots.shape[-1]) - 1
    order, each = np.tile(np.arange(size, like=swaps), (len(swaps), 1)), np.arange(len(swaps), like=swaps)
    for i in range(swaps.shape[-1]):  # each swap for the whole batch
        order[each, i], order[each, swaps[:, i]] = order[each, swaps[:, i]], order[each, i].copy()
    return _diagonal(size, swaps)[order].swapaxes(-1, -2).reshape(*batch, size, size)


def ldl_factor(x: ndarray, *, hermitian: bool = False, caller: str = "") -> tuple[ndarray, ndarray, ndarray]:
    """(the factors of x = L D L^T or, `hermitian`, L D L^H as LAPACK packs them, pivots, info). Reads the lower triangle."""
    factor = _routine("hetrf" if hermitian and x.dtype.kind == "c" else "sytrf", x.dtype)
    n = x.shape[-1]
    work = {"lwork": max(64 * n, 1)}
    results = [((n, n), x.dtype), ((n,), np.int32), ((), np.int32)]
    packed, pivots, info = _each(lambda m: factor(m, lower=1, **work), results, x)
    return np.tril(packed), pivots, checked(info, caller, SINGULAR_BLOCK, RuntimeError)


def ldl_solve(ld: ndarray, pivots: ndarray, b: ndarray, *, hermitian: bool = False) -> ndarray:
    """x with L D L^T x = b, from what `ldl_factor` gave."""
    solve = _routine("hetrs" if hermitian and ld.dtype.kind == "c" else "sytrs", ld.dtype)
    return _each(lambda m, p, right: solve(m, p, right, lower=1)[:1], [(b.shape[-2:], b.dtype)], ld, pivots, b)[0]


# ---------------------------------------------------------------- orthogonal factors, eigenvalues, functions of matrices


def qr(x: ndarray, *, mode: str = "reduced") -> tuple[ndarray, ndarray]:
    """(Q, R) with orthonormal columns of Q; with mode "r" Q is empty."""
    if mode == "r":
        return np.zeros((0,), x.dtype), np.linalg.qr(x, "r")
    return tuple(np.linalg.qr(x, mode))  # type: ignore[arg-type, return-value]


def geqrf(x: ndarray) -> tuple[ndarray, ndarray]:
    """(R, and below it the vectors of the Householder reflections that make Q, their factors tau)."""
    reflections, tau = np.linalg.qr(x, "raw")
    return reflections.swapaxes(-1, -2), tau.astype(x.dtype)


def eigh(x: ndarray, *, uplo: str = "L") -> tuple[ndarray, ndarray]:
    """(eigenvalues, eigenvectors) of Hermitian matrices, of which one triangle is read."""
    return tuple(np.linalg.eigh(x, uplo))  # type: ignore[arg-type, return-value]


def eig(x: ndarray) -> tuple[ndarray, ndarray]:
    """(eigenvalues, eigenvectors), complex ones."""
    try:
        values, vectors = np.linalg.eig(x)
    except np.linalg.LinAlgError as error:
        raise _explained(error, "linalg.eig") from None
    dtype = np.result_type(x, np.complex64)
    return values.astype(dtype), vectors.astype(dtype)


def svd(x: ndarray, *, full_matrices: bool = True) -> tuple[ndarray, ndarray, ndarray]:
    """(U, S, V^H) with x = U S V^H."""
    try:
        return tuple(np.linalg.svd(x, full_matrices))  # type: ignore[return-value]
    except np.linalg.LinAlgError as error:
        raise _explained(error, "linalg.svd") from None


def _explained(error: Exception, caller: str) -> RuntimeError:
    if "infs or NaNs" in str(error):
        return RuntimeError(f"torch.{caller}: input tensor should not contain infs or NaNs.")
    return LinAlgError(f"{caller}: The algorithm failed to converge because the input matrix is ill-conditioned.")


def matrix_exp(x: ndarray) -> ndarray:
    """The exponential of matrices, by scaling and squaring of a Padé approximant (Al-Mohy & Higham 2009)."""
    from scipy.linalg import expm

    return expm(x) if x.size else np.zeros_like(x)
