"""Factorizations of matrices: triangular, orthogonal, by eigenvalues, by singular values."""

# ruff: noqa: N803  (PyTorch's names of arguments)

from __future__ import annotations

from typing import Any

from rushlight import dtypes, return_types
from rushlight.api.linalg_check import (
    is_float,
    require_float,
    require_kernel,
    require_matrix,
    require_square,
    with_common_batch,
)  # fmt: skip
from rushlight.api.ranges import eye
from rushlight.dtypes import legacy_name
from rushlight.ops import linalg as ops, linalg_spectral as spectral
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.tensor import Tensor

# ---------------------------------------------------------------- triangular


def cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular L with input = L L^H, of positive-definite matrices; `upper` gives L^H.

    Raises:
        LinAlgError: a matrix is not positive-definite.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]))
        tensor([[2., 0.],
                [1., 2.]])
    """
    return cholesky_factor("linalg.cholesky", input, upper)[0]


def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """(L, info): the order of the leading minor that is not positive, 0 if there is none, instead of an error."""
    return return_types.linalg_cholesky_ex(*cholesky_factor("linalg.cholesky", input, upper, check_errors))


def cholesky_factor(name: str, x: Tensor, upper: bool, checks: bool = True) -> tuple[Tensor, Tensor]:
    require_square(name, x)
    require_float(name, x, "cholesky_cpu")
    return ops.cholesky(x, upper=bool(upper), caller=name if checks else "")


def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """(LU, pivots) of A = P L U: both triangles in one matrix, and LAPACK's row swaps.

    Raises:
        RuntimeError: a zero on U's diagonal.
    """
    return return_types.linalg_lu_factor(*lu_factors("torch.lu_factor", A, pivot, "torch.linalg.lu_factor")[:2])


def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """(LU, pivots, info): where the first zero on U's diagonal is, from 1 on, instead of an error."""
    caller = "torch.linalg.lu_factor_ex" if check_errors else ""
    return return_types.linalg_lu_factor_ex(*lu_factors("torch.lu_factor", A, pivot, caller))


def lu_factors(name: str, x: Tensor, pivot: bool, caller: str = "") -> tuple[Tensor, Tensor, Tensor]:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(x.shape)} instead")
    require_kernel("lu_cpu", x)
    if not pivot:
        raise RuntimeError("linalg.lu_factor: LU without pivoting is not implemented on the CPU")
    return ops.lu_factor(x, caller=caller)


def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """(P, L, U) with A = P L U: a permutation, a lower triangle with ones on its diagonal, an upper triangle."""
    packed, pivots, _ = lu_factors("linalg.lu", A, pivot)
    return return_types.linalg_lu(permutation_of(packed, pivots), *triangles(packed))


WRONG_PIVOTS = "Did you properly pass the result of lu_factor?"


def permutation_of(packed: Tensor, pivots: Tensor) -> Tensor:
    return ops.permutation_matrix(pivots, size=packed.shape[-2]).to(packed.dtype)


def triangles(packed: Tensor) -> tuple[Tensor, Tensor]:
    """(L, U) of both in one matrix."""
    m, n = packed.shape[-2:]
    k = min(m, n)
    left = packed[..., :, :k].tril(-1) + eye(m, k, dtype=packed.dtype, device=packed.device)
    return left, packed[..., :k, :].triu()


def lu_unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True) -> Any:
    """(P, L, U) of what `linalg.lu_factor` gives; what is not asked for is empty."""
    name = "torch.lu_unpack"
    if LU_data.ndim < 2:
        raise RuntimeError(
            f"{name}: Expected tensor with 2 or more dimensions. Got size: {list(LU_data.shape)} instead"
        )
    if unpack_pivots and LU_pivots.dtype is not dtypes.int32:
        raise RuntimeError(
            f"{name}: LU_pivots is expected to be a contiguous tensor of torch.int32 dtype.\nNote: this function is "
            "intended to be used with the output produced by torch.linalg.lu_factor"
        )
    empty = permutation = LU_data.new_empty(0)
    if unpack_pivots:
        complaint = f"pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive.{WRONG_PIVOTS}"
        require_range("lu_unpack", LU_pivots, 1, LU_data.shape[-2] + 1, lambda _: RuntimeError(complaint))
        permutation = permutation_of(LU_data, LU_pivots)
    return return_types.lu_unpack(permutation, *(triangles(LU_data) if unpack_data else (empty, empty)))


def ldl_factor(input: Tensor, *, hermitian: bool = False) -> Any:
    """(LD, pivots) of input = L D L^T (or L D L^H if `hermitian`), as LAPACK packs them; reads the lower triangle."""
    return return_types.linalg_ldl_factor(*_ldl_factor(input, hermitian, "torch.linalg.ldl_factor")[:2])


def ldl_factor_ex(input: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """(LD, pivots, info): where D has its first zero, from 1 on."""
    caller = "torch.linalg.ldl_factor_ex" if check_errors else ""
    return return_types.linalg_ldl_factor_ex(*_ldl_factor(input, hermitian, caller))


def _ldl_factor(x: Tensor, hermitian: bool, caller: str) -> tuple[Tensor, Tensor, Tensor]:
    require_square("torch.linalg.ldl_factor_ex", x)
    require_float("torch.linalg.ldl_factor_ex", x, "ldl_factor_kernel_cpu")
    return ops.ldl_factor(x, hermitian=bool(hermitian), caller=caller)


# ---------------------------------------------------------------- orthogonal


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """(Q, R) with A = Q R, Q of orthonormal columns, R an upper triangle.

    Args:
        mode: "reduced", "complete" (Q is square), or "r" (Q is not computed: it is empty).
    """
    require_matrix("linalg.qr", A)
    require_float("linalg.qr", A, "geqrf_cpu")
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', or 'complete'"
        )
    return return_types.linalg_qr(*spectral.qr(A, mode=mode))


def geqrf(input: Tensor) -> Any:
    """(a, tau): R, below it the vectors of Householder reflections, and their factors."""
    if input.ndim < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    require_kernel("geqrf_cpu", input)
    return return_types.geqrf(*spectral.geqrf(input))


def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the Householder reflections I - tau_i v_i v_i^H, v_i below input's diagonal."""
    name = "torch.linalg.householder_product"
    if input.ndim < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]")
    if n < tau.shape[-1]:
        raise RuntimeError(f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]")
    _require_tau(name, input, tau)
    require_kernel("orgqr_cpu", input)
    identity = eye(m, n, dtype=input.dtype, device=input.device)
    return reflected(input, tau, identity) if input.numel() and tau.numel() else ops.unrelated(
        identity.expand(*input.shape), input
    )  # fmt: skip


orgqr = householder_product


def ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False) -> Tensor:
    """Q other, Q^H other, other Q or other Q^H, with Q the square product of reflections that `geqrf` gives."""
    name = "torch.ormqr"
    if input.ndim < 2 or other.ndim < 2:
        raise RuntimeError(f"{name}: {'input' if input.ndim < 2 else 'other'} must have at least 2 dimensions.")
    which, side = (-2, "other.shape[-2]") if left else (-1, "other.shape[-1]")
    if tau.shape[-1] > min(other.shape[which], input.shape[-1]) or tau.shape[-1] != min(input.shape[-2:]):
        raise RuntimeError(f"{name}: tau.shape[-1] must be equal to min({side}, input.shape[-1])")
    if other.shape[which] != input.shape[-2]:
        raise RuntimeError(f"{name}: {side} must be equal to input.shape[-2]")
    _require_tau(name, input, tau)
    require_kernel("ormqr_cpu", input)
    if not input.numel():
        return ops.unrelated(other, input)
    if left:
        return reflected(input, tau, other, transpose)
    return reflected(input, tau, other.mH, not transpose).mH


def _require_tau(name: str, input: Tensor, tau: Tensor) -> None:
    if input.dtype is not tau.dtype:
        raise RuntimeError(
            f"{name}: Expected input and tau to have the same dtype, but input has dtype{legacy_name(input)} and tau has "
            f"dtype {legacy_name(tau)}"
        )
    if input.shape[:-2] != tau.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected batch dimensions of tau to be equal to input.shape[:-2], but got {list(tau.shape[:-1])}"
        )


def reflected(input: Tensor, tau: Tensor, other: Tensor, adjoint: bool = False) -> Tensor:
    """Q other, or Q^H other, for the product Q = I - V T V^H of reflections.

    T = (I + D S)^-1 D, with D = diag(tau) and S the strict upper triangle of V^H V: T. Joffrain et al., "Accumulating Householder
    transformations, revisited" (2006), written so that tau may be 0.
    """
    m, k = input.shape[-2], tau.shape[-1]
    vectors = input[..., :, :k].tril(-1) + eye(m, k, dtype=input.dtype, device=input.device)
    scaled = tau.unsqueeze(-1) * (vectors.mH @ vectors).triu(1)  # D S
    inner = vectors.mH @ other
    if adjoint:
        lower, inner = with_common_batch(scaled.mH, inner)
        inner = tau.conj().unsqueeze(-1) * ops.solve_triangular(lower, inner, upper=False, unitriangular=True)
    else:
        upper, inner = with_common_batch(scaled, tau.unsqueeze(-1) * inner)
        inner = ops.solve_triangular(upper, inner, upper=True, unitriangular=True)
    return other - vectors @ inner


# ---------------------------------------------------------------- eigenvalues and singular values


def eigh(input: Tensor, UPLO: str = "L") -> Any:
    """(eigenvalues in ascending order, eigenvectors) of Hermitian matrices, of which the lower or upper triangle is read."""
    if UPLO not in ("L", "U", "l", "u"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    require_square("linalg.eigh", input)
    require_kernel("linalg_eigh_cpu", input)
    return return_types.linalg_eigh(*spectral.eigh(input, uplo=UPLO.upper()))


def eigvalsh(input: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, in ascending order."""
    return eigh(input, UPLO)[0]


def eig(input: Tensor) -> Any:
    """(eigenvalues, eigenvectors) of square matrices: complex, in no order."""
    return return_types.linalg_eig(*_eig("linalg.eig", input))


def eigvals(input: Tensor) -> Tensor:
    """The eigenvalues of square matrices: complex, in no order."""
    return _eig("linalg.eigvals", input)[0]


def _eig(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    require_square(name, x)
    if not is_float(x):
        raise RuntimeError(f"Unknown Complex ScalarType for {legacy_name(x)}")
    require_kernel("linalg_eig_out_cpu", x)
    return spectral.eig(x)


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """(U, S, Vh) with A = U diag(S) Vh, S in descending order; U and Vh are square if `full_matrices`."""
    _require_svd(A)
    if driver is not None:
        raise RuntimeError(
            "torch.linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER backend."
        )
    return return_types.linalg_svd(*spectral.svd(A, full_matrices=bool(full_matrices)))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, in descending order."""
    return svd(A, False, driver=driver)[1]


def _require_svd(x: Tensor) -> None:
    require_matrix("linalg.svd", x)
    require_float("linalg.svd", x, "linalg_svd_cpu")


with_autocast(globals())
