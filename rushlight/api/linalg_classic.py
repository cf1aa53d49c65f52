"""Functions of `torch` that those of `torch.linalg` replace, with their older signatures."""

# ruff: noqa: N803  (PyTorch's names of arguments)

from __future__ import annotations

from typing import Any

from rushlight import return_types
from rushlight.api import (
    linalg_factor as factor,
    linalg_norm as norms,
    linalg_products as products,
    linalg_solve as solve,
)
from rushlight.api.views import broadcast_tensors
from rushlight.ops.autocast import with_autocast
from rushlight.tensor import Tensor


def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`linalg.cholesky` as `torch.cholesky`."""
    return factor.cholesky_factor("cholesky", input, upper)[0]


def lu(A: Tensor, pivot: bool = True, get_infos: bool = False) -> Any:
    """(LU, pivots) and, with `get_infos`, info: `torch.lu`, which `linalg.lu_factor` replaces."""
    results = factor.lu_factors("torch.lu_factor", A, pivot)
    return return_types.linalg_lu_factor_ex(*results) if get_infos else results[:2]


def qr(input: Tensor, some: bool = True) -> Any:
    """`linalg.qr` as `torch.qr`: "reduced", or "complete" without `some`."""
    return return_types.qr(*factor.qr(input, "reduced" if some else "complete"))


def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """(U, S, V) with input = U diag(S) V^H: `torch.svd`, which `linalg.svd` replaces. Without `compute_uv` U and V are zeros."""
    if input.ndim < 2:
        raise RuntimeError(
            f"linalg.svd: input should have at least 2 dimensions, but has {input.ndim} dimensions instead"
        )
    left, values, right = factor.svd(input, not some)
    if not compute_uv:
        m, n = input.shape[-2:]
        return return_types.svd(input.new_zeros(m, m), values, input.new_zeros(n, n))
    return return_types.svd(left, values, right.mH)


def lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """`linalg.lu_solve` as `torch.lu_solve`: the right side comes first."""
    return solve.lu_solve(LU_data, LU_pivots, input)


def slogdet(input: Tensor) -> Any:
    """`linalg.slogdet` as `torch.slogdet`."""
    return return_types.slogdet(*solve.sign_and_logarithm("linalg.slogdet", input))


def norm(input: Tensor, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
    """The p-norm of all elements or along `dim`; "fro" is 2, "nuc" the sum of a matrix's singular values.

    `torch.norm`; `linalg.vector_norm` and `linalg.matrix_norm` say what they mean.
    """
    if p == "nuc":
        return norms.matrix_norm(input, "nuc", (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        raise RuntimeError(f"linalg.matrix_norm: Order {p} not supported.")
    return norms.vector_norm(input, 2 if p in ("fro", None) else p, dim, keepdim, dtype=dtype)


def cross(input: Tensor, other: Tensor, dim: int | None = None) -> Tensor:
    """The cross products along `dim`; without it, along the first dimension of size 3."""
    if dim is None:
        sizes = broadcast_tensors(input, other)[0].shape
        if 3 not in sizes:
            raise RuntimeError("no dimension of size 3 in input")
        dim = list(sizes).index(3)
    return products.cross(input, other, dim=dim)


def det(input: Tensor) -> Tensor:
    """`linalg.det` as `torch.det`."""
    return solve.det(input)


def inverse(input: Tensor) -> Tensor:
    """`linalg.inv` as `torch.inverse`."""
    return solve.inv(input)


with_autocast(globals())
