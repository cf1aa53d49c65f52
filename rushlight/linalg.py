"""`rushlight.linalg`: linear algebra."""

# ruff: noqa: N803  (PyTorch's names of arguments)

from rushlight.api.cutting import diagonal as _diagonal
from rushlight.api.linalg import matmul, vecdot
from rushlight.api.linalg_factor import (
    cholesky,
    cholesky_ex,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    householder_product,
    ldl_factor,
    ldl_factor_ex,
    lu,
    lu_factor,
    lu_factor_ex,
    qr,
    svd,
    svdvals,
)  # fmt: skip
from rushlight.api.linalg_least import lstsq, matrix_rank, pinv
from rushlight.api.linalg_norm import cond, matrix_norm, norm, vector_norm
from rushlight.api.linalg_products import cross, multi_dot, vander
from rushlight.api.linalg_solve import (
    det,
    inv,
    inv_ex,
    ldl_solve,
    lu_solve,
    matrix_exp,
    matrix_power,
    slogdet,
    solve,
    solve_ex,
    solve_triangular,
    tensorinv,
    tensorsolve,
)  # fmt: skip
from rushlight.arrays.lapack import LinAlgError
from rushlight.tensor import Tensor


def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, a view."""
    return _diagonal(A, offset, dim1, dim2)


__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh",
    "householder_product", "inv", "inv_ex", "ldl_factor", "ldl_factor_ex", "ldl_solve", "lstsq", "lu", "lu_factor",
    "lu_factor_ex", "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot", "norm",
    "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
    "vander", "vecdot", "vector_norm",
]  # fmt: skip
