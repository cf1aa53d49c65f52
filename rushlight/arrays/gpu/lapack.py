"""Factorizations and solvers on CuPy arrays, by cuSOLVER and cuBLAS through CuPy, with the results and errors of
`arrays/lapack.py`.

CuPy reports failures only when asked to, since a look at them waits for the GPU: `_or_on_host` asks. What failed is
done again by the CPU's routine, which says what is wrong in PyTorch's words, or gives `info` for each matrix. Results
are in C order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cupy
import cupyx
import numpy as np
from cupy import ndarray
from cupy.linalg import _decomposition

from rushlight.arrays import cupy as cupy_arrays
from rushlight.arrays.lapack import NOT_FACTORED, checked


def _or_on_host(name: str, compute: Callable[..., Any], *arrays: ndarray, **attrs: Any) -> Any:
    """What `compute` gives of the arrays, or if cuSOLVER reports a failure, what the CPU's routine of a name does."""
    try:
        with cupyx.errstate(linalg="raise"):
            return compute(*arrays)
    except np.linalg.LinAlgError:
        return cupy_arrays.on_host(name, *arrays, **attrs)


def _in_order(*arrays: ndarray) -> tuple[ndarray, ...]:
    return tuple([cupy.ascontiguousarray(x) for x in arrays])


def _success(x: ndarray) -> ndarray:
    return cupy.zeros(x.shape[:-2], np.int32)


def _adjoint(x: ndarray) -> ndarray:
    return cupy_arrays.conj(x.swapaxes(-1, -2))


def _one_batch(a: ndarray, b: ndarray) -> tuple[ndarray, ndarray]:
    """Two arrays of matrices with the same leading axes, which CuPy's solvers ask for."""
    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return cupy.broadcast_to(a, (*batch, *a.shape[-2:])), cupy.broadcast_to(b, (*batch, *b.shape[-2:]))


# ---------------------------------------------------------------- systems of equations


def solve(a: ndarray, b: ndarray, *, caller: str = "") -> tuple[ndarray, ndarray]:
    """(x with a x = b for matrices b, info)."""
    info = _success(a)

    def compute(a: ndarray, b: ndarray) -> tuple[ndarray, ndarray]:
        a, b = _one_batch(a, b)
        found = cupy.linalg.solve(a, b) if b.size else cupy.zeros(b.shape, b.dtype)  # cuSOLVER wants a column
        return cupy.ascontiguousarray(found), info

    return _or_on_host("solve", compute, a, b, caller=caller)


def inv(x: ndarray, *, caller: str = "") -> tuple[ndarray, ndarray]:
    """(the inverse, info)."""
    return _or_on_host("inv", lambda x: (cupy.ascontiguousarray(cupy.linalg.inv(x)), _success(x)), x, caller=caller)


def solve_triangular(a: ndarray, b: ndarray, *, upper: bool, unitriangular: bool = False) -> ndarray:
    """x with a x = b, reading only one triangle of `a` (of which the diagonal counts as ones if `unitriangular`)."""
    from cupyx.scipy.linalg import solve_triangular

    if not a.size or not b.size:
        return cupy.zeros(b.shape, b.dtype)
    return cupy.ascontiguousarray(solve_triangular(a, b, lower=not upper, unit_diagonal=unitriangular))


# ---------------------------------------------------------------- determinants


def det(x: ndarray) -> ndarray:
    """The determinant: the product of the diagonal of U, with a change of sign for each swap of rows."""
    if not x.size:
        return cupy.ones(x.shape[:-2], x.dtype)
    lu, pivots, _ = lu_factor(x)
    swaps = cupy.sum(pivots != cupy.arange(1, x.shape[-1] + 1), -1)
    return cupy.prod(cupy.diagonal(lu, 0, -2, -1), -1) * (1 - 2 * (swaps % 2)).astype(x.dtype)


def slogdet(x: ndarray) -> tuple[ndarray, ndarray]:
    """(sign or phase of the determinant, logarithm of its absolute value)."""
    return tuple(cupy.linalg.slogdet(x))  # type: ignore[return-value]


# ---------------------------------------------------------------- triangular factors


def cholesky(x: ndarray, *, upper: bool = False, caller: str = "") -> tuple[ndarray, ndarray]:
    """(the Cholesky factor, lower or upper, info). Reads that triangle of x only."""

    def compute(x: ndarray) -> tuple[ndarray, ndarray]:
        factor = cupy.linalg.cholesky(_adjoint(x) if upper else x)
        return cupy.ascontiguousarray(_adjoint(factor) if upper else factor), _success(x)

    return _or_on_host("cholesky", compute, x, upper=upper, caller=caller)


def cholesky_solve(b: ndarray, factor: ndarray, *, upper: bool = False, caller: str = "") -> ndarray:
    """x with L L^H x = b, for the factor L that `cholesky` gives (or L^H, if `upper`)."""
    if caller and bool((cupy.diagonal(factor, 0, -2, -1) == 0).any()):
        return cupy_arrays.on_host("cholesky_solve", b, factor, upper=upper, caller=caller)  # raises
    lower, higher = (_adjoint(factor), factor) if upper else (factor, _adjoint(factor))
    return solve_triangular(higher, solve_triangular(lower, b, upper=False), upper=True)


def lu_factor(x: ndarray, *, caller: str = "") -> tuple[ndarray, ndarray, ndarray]:
    """(L below the diagonal and U in one matrix, the row swaps from 1 on, info); oblong matrices on the CPU."""
    if x.shape[-1] != x.shape[-2] or not x.size:
        return cupy_arrays.on_host("lu_factor", x, caller=caller)
    turned, pivots, info = _decomposition._lu_factor(x.swapaxes(-1, -2), x.dtype)
    if caller and bool(info.any()):
        checked(info.get(), caller, NOT_FACTORED, RuntimeError)
    return cupy.ascontiguousarray(turned.swapaxes(-1, -2)), pivots, info


# ---------------------------------------------------------------- orthogonal factors, eigenvalues


def qr(x: ndarray, *, mode: str = "reduced") -> tuple[ndarray, ndarray]:
    """(Q, R) with orthonormal columns of Q; with mode "r" Q is empty."""
    if mode == "r":
        return cupy.zeros((0,), x.dtype), cupy.ascontiguousarray(cupy.linalg.qr(x, "r"))
    return _in_order(*cupy.linalg.qr(x, mode))  # type: ignore[return-value]


def geqrf(x: ndarray) -> tuple[ndarray, ndarray]:
    """(R, and below it the vectors of the Householder reflections that make Q, their factors tau)."""
    reflections, tau = cupy.linalg.qr(x, "raw")
    return reflections.swapaxes(-1, -2), tau


def eigh(x: ndarray, *, uplo: str = "L") -> tuple[ndarray, ndarray]:
    """(eigenvalues, eigenvectors) of Hermitian matrices, of which one triangle is read."""
    return _or_on_host("eigh", lambda x: _in_order(*cupy.linalg.eigh(x, uplo)), x, uplo=uplo)


def svd(x: ndarray, *, full_matrices: bool = True) -> tuple[ndarray, ndarray, ndarray]:
    """(U, S, V^H) with x = U S V^H."""

    def compute(x: ndarray) -> tuple[ndarray, ...]:
        return _in_order(*cupy.linalg.svd(x, full_matrices))

    return _or_on_host("svd", compute, x, full_matrices=full_matrices)
