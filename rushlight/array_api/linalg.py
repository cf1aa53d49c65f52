"""The standard's linear algebra: `rushlight.array_api.linalg`; four of its functions are in the main namespace too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rushlight as torch
from rushlight.array_api.data_types import promoted
from rushlight.array_api.statistics import sum as _sum
from rushlight.dtypes import dtype as DType
from rushlight.tensor import Tensor

__all__ = [
    "cholesky", "cross", "det", "diagonal", "eig", "eigh", "eigvals", "eigvalsh", "inv", "matmul", "matrix_norm",
    "matrix_power", "matrix_rank", "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals",
    "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


# ---------------------------------------------------------------- products


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    return torch.matmul(*promoted(x1, x2))


def matrix_transpose(x: Tensor, /) -> Tensor:
    return x.mT


def tensordot(x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2) -> Tensor:
    x1, x2 = promoted(x1, x2)
    return torch.tensordot(x1, x2, axes if isinstance(axes, int) else [list(pair) for pair in axes])


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """The inner products along an axis that both have."""
    if x1.shape[axis] != x2.shape[axis]:
        raise ValueError(f"vecdot: the sizes along axis {axis} differ, {x1.shape[axis]} and {x2.shape[axis]}")
    x1, x2 = promoted(x1, x2)
    return torch.linalg.vecdot(x1, x2, dim=axis).to(x1.dtype)  # PyTorch adds small integers up in int64


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    return torch.linalg.cross(*torch.broadcast_tensors(*promoted(x1, x2)), dim=axis)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    return torch.outer(*promoted(x1, x2))


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    return torch.linalg.matrix_power(x, n)


# ---------------------------------------------------------------- decompositions


def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    return torch.linalg.cholesky(x, upper=upper)


def eig(x: Tensor, /) -> Any:
    return torch.linalg.eig(x)


def eigvals(x: Tensor, /) -> Tensor:
    return torch.linalg.eigvals(x)


def eigh(x: Tensor, /) -> Any:
    return torch.linalg.eigh(x)


def eigvalsh(x: Tensor, /) -> Tensor:
    return torch.linalg.eigvalsh(x)


def qr(x: Tensor, /, *, mode: str = "reduced") -> Any:
    return torch.linalg.qr(x, mode)


def svd(x: Tensor, /, *, full_matrices: bool = True) -> Any:
    return torch.linalg.svd(x, full_matrices=full_matrices)


def svdvals(x: Tensor, /) -> Tensor:
    return torch.linalg.svdvals(x)


# ---------------------------------------------------------------- inverses, norms, numbers of a matrix


def det(x: Tensor, /) -> Tensor:
    return torch.linalg.det(x)


def slogdet(x: Tensor, /) -> Any:
    return torch.linalg.slogdet(x)


def inv(x: Tensor, /) -> Tensor:
    return torch.linalg.inv(x)


def pinv(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    return torch.linalg.pinv(x, rtol=rtol)


def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """x1 x = x2, where x2 is a vector if it has one dimension, else matrices."""
    x1, x2 = promoted(x1, x2)
    columns = torch.unsqueeze(x2, -1) if x2.ndim == 1 else x2
    batch = torch.broadcast_shapes(
        x1.shape[:-2], columns.shape[:-2]
    )  # or PyTorch takes matrices for a batch of vectors
    columns = torch.broadcast_to(columns, (*batch, *columns.shape[-2:]))
    solution = torch.linalg.solve(torch.broadcast_to(x1, (*batch, *x1.shape[-2:])), columns)
    return torch.squeeze(solution, -1) if x2.ndim == 1 else solution


def matrix_rank(x: Tensor, /, *, rtol: Any = None) -> Tensor:
    return torch.linalg.matrix_rank(x, rtol=rtol)


def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: Any = "fro") -> Tensor:
    return torch.linalg.matrix_norm(x, ord, (-2, -1), keepdims)


def vector_norm(x: Tensor, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Tensor:
    if axis == ():
        return torch.linalg.vector_norm(torch.unsqueeze(x, -1), ord, -1)
    return torch.linalg.vector_norm(x, ord, axis, keepdims)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    return torch.diagonal(x, offset, -2, -1)


def trace(x: Tensor, /, *, offset: int = 0, dtype: DType | None = None) -> Tensor:
    return _sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)
