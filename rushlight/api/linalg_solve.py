"""Systems of equations, inverses, determinants."""

# ruff: noqa: N803  (PyTorch's names of arguments)

from __future__ import annotations

import math
from typing import Any

from rushlight import dtypes, return_types
from rushlight.api.linalg_check import (
    require_float,
    require_kernel,
    require_matrix,
    require_same_dtype,
    require_square,
    require_system,
    with_common_batch,
)  # fmt: skip
from rushlight.api.linalg_factor import WRONG_PIVOTS, permutation_of
from rushlight.api.ranges import eye
from rushlight.ops import linalg as ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.tensor import Tensor

# ---------------------------------------------------------------- any matrix


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """X with A X = B, or with X A = B if not `left`.

    Args:
        A: (..., n, n). B: (..., n, k), (..., k, n) if not `left`; or vectors: (n), or (..., n) for the batch of A.

    Raises:
        LinAlgError: a matrix is singular.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.solve(torch.tensor([[2.0, 0.0], [0.0, 4.0]]), torch.tensor([2.0, 2.0]))
        tensor([1.0000, 0.5000])
    """
    return _solve(A, B, left, "torch.linalg.solve")[0]


def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """(X, info): where the first zero pivot is, from 1 on, instead of an error."""
    return return_types.linalg_solve_ex(*_solve(A, B, left, "torch.linalg.solve_ex" if check_errors else ""))


def _solve(a: Tensor, b: Tensor, left: bool, caller: str) -> tuple[Tensor, Tensor]:
    name = "linalg.solve"
    require_float(name, a)
    require_square(name, a)
    require_same_dtype(name, a, b)
    is_vector = b.ndim == 1 or a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape
    if is_vector:
        if not left:
            raise RuntimeError(
                f"{name}: Vector broadcasting of the left hand side is not supported for left=False. In this case "
                f"{name} is equivalent to B / A.squeeze(-1)"
            )
        b = b.unsqueeze(-1)
    require_matrix(name, b, "B")
    require_system(name, a, b, left)
    a, b = with_common_batch(a, b)
    if left:
        result, info = ops.solve(a, b, caller=caller)
    else:
        turned, info = ops.solve(a.mT, b.mT, caller=caller)
        result = turned.mT
    return result.squeeze(-1) if is_vector else result, info


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices.

    Raises:
        LinAlgError: a matrix is singular.
    """
    return _inv("linalg.inv", A, "linalg.inv")[0]


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """(inverse, info): where the first zero pivot is, from 1 on, instead of an error."""
    return return_types.linalg_inv_ex(*_inv("linalg.inv", A, "linalg.inv_ex" if check_errors else ""))


def _inv(name: str, x: Tensor, caller: str) -> tuple[Tensor, Tensor]:
    require_square(name, x)
    require_float(name, x)
    return ops.inv(x, caller=caller)


def tensorinv(input: Tensor, ind: int = 2) -> Tensor:
    """The inverse for `tensordot`: of the input as a matrix of its first `ind` dimensions by the others."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    rows, columns = input.shape[:ind], input.shape[ind:]
    m, n = math.prod(rows), math.prod(columns)
    if m != n:
        raise RuntimeError(
            f"Expected self to satisfy the requirement prod(self.shape[ind:]) == prod(self.shape[:ind]), but got {n} != {m}"
        )
    return _inv("linalg.tensorinv", input.reshape(m, n), "inv")[0].reshape(*columns, *rows)


def tensorsolve(input: Tensor, other: Tensor, dims: Any = None) -> Tensor:
    """X with tensordot(input, X, X.ndim) = other; `dims` of the input are moved to its end first."""
    if dims is not None:
        input = input.movedim(tuple(dims), tuple(range(input.ndim - len(dims), input.ndim)))
    shape = input.shape[other.ndim :]
    return solve(input.reshape(other.numel(), math.prod(shape)), other.reshape(-1)).reshape(*shape)


# ---------------------------------------------------------------- triangular matrices


def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """X with A X = B (X A = B if not `left`), reading one triangle of A = input only."""
    name = "linalg.solve_triangular"
    require_square(name, input)
    require_matrix(name, B, "B")
    require_same_dtype(name, input, B)
    require_system(name, input, B, left)
    require_kernel("triangular_solve_cpu", input)
    return _triangular(input, B, bool(upper), left, bool(unitriangular))


def _triangular(a: Tensor, b: Tensor, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    a, b = with_common_batch(a, b)
    if left:
        return ops.solve_triangular(a, b, upper=upper, unitriangular=unitriangular)
    return ops.solve_triangular(a.mT, b.mT, upper=not upper, unitriangular=unitriangular).mT


def triangular_solve(
    input: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(X with A X = input, or A^T X, a copy of A): `linalg.solve_triangular` is its successor."""
    _require_older("triangular_solve", input, A)
    require_kernel("triangular_solve_cpu", A)
    turned = A.mT if transpose else A
    solution = _triangular(turned, input, bool(upper) != bool(transpose), unitriangular=bool(unitriangular))
    return return_types.triangular_solve(solution, with_common_batch(A, input)[0].clone())


def _require_older(name: str, b: Tensor, a: Tensor) -> None:
    """The checks of the functions that take the right side first."""
    for x, what in ((b, "b"), (a, "u" if name == "cholesky_solve" else "A")):
        if x.ndim < 2:
            raise RuntimeError(f"torch.{name}: Expected {what} to have at least 2 dimensions, but it has {x.ndim} dimensions instead")  # fmt: skip
    if a.shape[-1] != a.shape[-2]:
        raise RuntimeError(
            f"A must be batches of square matrices, but they are {a.shape[-2]} by {a.shape[-1]} matrices"
        )
    if a.shape[-1] != b.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {a.shape[-1]} by {a.shape[-1]} but each b matrix is "
            f"{b.shape[-2]} by {b.shape[-1]}"
        )


# ---------------------------------------------------------------- with factors


def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """X with L L^H X = input, for the factor L of `cholesky` (or L^H, if `upper`)."""
    _require_older("cholesky_solve", input, L)
    require_kernel("cholesky_solve_cpu", L)
    return ops.cholesky_solve(*with_common_batch(input, L), upper=bool(upper))


def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of L L^H, for the factor L of `cholesky` (or L^H, if `upper`)."""
    require_square("cholesky_inverse", input)
    require_kernel("cholesky_inverse_out_cpu", input)
    identity = eye(input.shape[-1], dtype=input.dtype, device=input.device)
    right, factor = with_common_batch(identity, input)
    return ops.cholesky_solve(right, factor, upper=bool(upper), caller="cholesky_inverse")


def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """X with A X = B, A = P L U as `lu_factor` gives it; X A = B if not `left`, with A^H for A if `adjoint`."""
    name = "linalg.lu_solve"
    require_square("torch.linalg.lu_solve", LU)
    require_matrix(name, B, "B")
    if pivots.dtype is not dtypes.int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    require_same_dtype(name, LU, B, ("LU", "B"))
    if pivots.shape[-1] != LU.shape[-1]:
        raise RuntimeError(f"{name}: Number of pivots per batch should be same as the dimension of the matrix")
    if LU.shape[:-2] != pivots.shape[:-1]:
        raise RuntimeError(
            f"{name}: Expected LU.shape[:-1] and pivots.shape to be the same, but got pivots with shape "
            f"{list(pivots.shape)} instead"
        )
    require_system(name, LU, B, left)
    require_kernel("lu_solve_cpu", LU)

    def wrong_pivot(pivot: int) -> RuntimeError:
        side = "greater or equal to 1. " if pivot < 1 else "smaller or equal to LU.size(-2). "
        return RuntimeError(f"Pivots given to lu_solve must all be {side}{WRONG_PIVOTS}")

    require_range("lu_solve", pivots, 1, LU.shape[-2] + 1, wrong_pivot)
    permutation = permutation_of(LU, pivots)
    right = B if left else B.mH  # X A = B is A^H X^H = B^H
    if left != bool(adjoint):
        inner = _triangular(LU, permutation.mT @ right, False, unitriangular=True)
        result = _triangular(LU, inner, True)
    else:
        inner = _triangular(LU.mH, right, False)
        result = permutation @ _triangular(LU.mH, inner, True, unitriangular=True)
    return result if left else result.mH


def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """X with A X = B, for the factors of A that `ldl_factor` gives."""
    name = "torch.linalg.ldl_solve"
    require_square(name, LD, "LD")
    require_matrix(name, B, "B")
    if LD.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {LD.shape[-1]} by {LD.shape[-1]} but each b matrix is "
            f"{B.shape[-2]} by {B.shape[-1]}"
        )
    if pivots.dtype.is_floating_point or pivots.is_complex() or pivots.dtype is dtypes.bool:
        raise RuntimeError(f"{name}: Expected pivots to be integers. Got {pivots.dtype}")
    if LD.dtype is not B.dtype:
        raise RuntimeError(f"{name}: LD dtype {LD.dtype} does not match b dtype {B.dtype}")
    require_kernel("ldl_solve_kernel_cpu", LD)
    factors, right = with_common_batch(LD, B)
    swaps = pivots.expand(*factors.shape[:-2], pivots.shape[-1])
    return ops.ldl_solve(factors, swaps, right, hermitian=bool(hermitian))


# ---------------------------------------------------------------- determinants


def det(A: Tensor) -> Tensor:
    """The determinant of square matrices."""
    require_square("linalg.det", A)
    require_float("linalg.det", A, "lu_cpu")
    return ops.det(A)


def slogdet(A: Tensor) -> Any:
    """(sign, logabsdet): of the determinant the sign (or phase) and the logarithm of the absolute value."""
    return return_types.linalg_slogdet(*sign_and_logarithm("linalg.slogdet", A))


def sign_and_logarithm(name: str, x: Tensor) -> tuple[Tensor, Tensor]:
    require_square(name, x)
    require_float(name, x)
    return ops.slogdet(x)


def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinant; NaN where a real one is negative."""
    sign, size = sign_and_logarithm("logdet", input)
    return sign.log() + size if input.is_complex() else size.masked_fill(sign == -1, math.nan)


# ---------------------------------------------------------------- functions of matrices


def matrix_exp(input: Tensor) -> Tensor:
    """The exponential of square matrices: the sum of A^k / k!."""
    require_square("linalg.matrix_exp", input)
    if input.element_size() > 2 or not input.is_floating_point():
        require_float("linalg.matrix_exp", input)
    return ops.matrix_exp(input)


def matrix_power(input: Tensor, n: int) -> Tensor:
    """The product of n factors, by repeated squaring; of -n inverses for a negative n."""
    name = "linalg.matrix_power"
    require_square(name, input)
    if n < 0:
        input, n = inv(input), -n
    if n == 0:
        identity = eye(input.shape[-1], dtype=input.dtype, device=input.device)
        return input.clone().copy_(identity)
    result, square = None, input
    while True:
        if n & 1:
            result = square if result is None else result @ square
        n >>= 1
        if not n:
            return result.clone() if result is input else result
        square = square @ square


with_autocast(globals())
