"""Products and linear algebra. Operands of several dtypes are promoted first, as NumPy does."""

from __future__ import annotations

from typing import Any

import numpy as np

import rushlight as torch
from rushlight import array_api
from rushlight.interop.arguments import floating, promoted, store, tensor_of
from rushlight.interop.numpy_functions.table import implements
from rushlight.tensor import Tensor


def _pair(a: Any, b: Any) -> list[Tensor]:
    return promoted((tensor_of(a), tensor_of(b)))


@implements("dot")
def dot(a: Any, b: Any, out: Any = None) -> Any:
    """The last axis of a with the last but one of b."""
    a, b = _pair(a, b)
    if not a.ndim or not b.ndim:
        result = a * b
    elif b.ndim <= 2:
        result = torch.matmul(a, b)
    else:
        result = torch.tensordot(a, b, ([a.ndim - 1], [b.ndim - 2]))
    return store(result, out)


@implements("vdot")
def vdot(a: Any, b: Any, /) -> Any:
    a, b = _pair(a, b)
    a = a.reshape(-1)
    return torch.dot(a.conj() if a.is_complex() else a, b.reshape(-1))


@implements("inner")
def inner(a: Any, b: Any, /) -> Any:
    a, b = _pair(a, b)
    if not a.ndim or not b.ndim:
        return a * b
    return torch.tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))


@implements("outer", "linalg.outer")
def outer(a: Any, b: Any, out: Any = None) -> Any:
    a, b = _pair(a, b)
    result = torch.outer(a.reshape(-1), b.reshape(-1))
    return store(result, out)


@implements("tensordot", "linalg.tensordot")
def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if not isinstance(axes, int):
        axes = tuple([i] if isinstance(i, (int, np.integer)) else list(i) for i in axes)
    a, b = _pair(a, b)
    return torch.tensordot(a, b, axes)


@implements("einsum")
def einsum(*operands: Any, out: Any = None, optimize: Any = False, **_: Any) -> Any:
    if isinstance(operands[0], str):
        result = torch.einsum(operands[0], *promoted([tensor_of(x) for x in operands[1:]]))
    else:  # array, list of axes, array, list of axes, ..., axes of the result
        count = len(operands) // 2
        tensors = promoted([tensor_of(x) for x in operands[: 2 * count : 2]])
        pairs = [item for pair in zip(tensors, operands[1 : 2 * count : 2], strict=True) for item in pair]
        result = torch.einsum(*pairs, *operands[2 * count :])
    return store(result, out)


@implements("kron")
def kron(a: Any, b: Any) -> Any:
    return torch.kron(*_pair(a, b))


@implements("cross", "linalg.cross")
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = torch.moveaxis(tensor_of(a), axisa, -1), torch.moveaxis(tensor_of(b), axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        return NotImplemented
    return torch.moveaxis(torch.linalg.cross(*torch.broadcast_tensors(*promoted((a, b))), dim=-1), -1, axisc)


@implements("linalg.matmul")
def matmul(x1: Any, x2: Any, /) -> Any:
    return torch.matmul(*_pair(x1, x2))


@implements("linalg.vecdot")
def vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return torch.linalg.vecdot(*_pair(x1, x2), dim=axis)


@implements("cov")
def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: Any = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    x = torch.atleast_2d(floating(tensor_of(m)))
    x = x.mT if not rowvar and x.shape[0] != 1 else x
    if y is not None:
        other = torch.atleast_2d(floating(tensor_of(y)))
        x = torch.cat([x, other.mT if not rowvar and other.shape[0] != 1 else other], 0)
    correction = (0 if bias else 1) if ddof is None else ddof
    weights = [None if w is None else tensor_of(w) for w in (fweights, aweights)]
    result = torch.cov(x, correction=correction, fweights=weights[0], aweights=weights[1])
    return result.squeeze()


@implements("corrcoef")
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    covariance = cov(x, y, rowvar)
    if not covariance.ndim:
        return covariance / covariance
    deviation = torch.sqrt(torch.diagonal(covariance))
    return covariance / deviation[:, None] / deviation[None, :]


# ---------------------------------------------------------------- numpy.linalg


def _add_matrix_functions() -> None:
    """Those that are called as in PyTorch: a matrix first, and at most one argument more."""
    for name in ("inv", "det", "slogdet", "eig", "eigvals", "svdvals", "matrix_power"):

        @implements(f"linalg.{name}")
        def of_matrix(a: Any, *args: Any, name: str = name, **kwargs: Any) -> Any:
            return getattr(torch.linalg, name)(floating(tensor_of(a)), *args, **kwargs)


_add_matrix_functions()


@implements("linalg.eigh")
def eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  (NumPy's names)
    return torch.linalg.eigh(floating(tensor_of(a)), UPLO)


@implements("linalg.eigvalsh")
def eigvalsh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803  (NumPy's names)
    return torch.linalg.eigvalsh(floating(tensor_of(a)), UPLO)


@implements("linalg.norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    return torch.linalg.norm(floating(tensor_of(x)), ord, axis, keepdims)


@implements("linalg.vector_norm")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    return torch.linalg.vector_norm(floating(tensor_of(x)), ord, axis, keepdims)


@implements("linalg.matrix_norm")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return torch.linalg.matrix_norm(floating(tensor_of(x)), ord, (-2, -1), keepdims)


@implements("linalg.solve")
def solve(a: Any, b: Any) -> Any:
    return array_api.linalg.solve(floating(tensor_of(a)), floating(tensor_of(b)))


@implements("linalg.svd")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    x = floating(tensor_of(a))
    return torch.linalg.svd(x, full_matrices) if compute_uv else torch.linalg.svdvals(x)


@implements("linalg.qr")
def qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r"):
        return NotImplemented
    result = torch.linalg.qr(floating(tensor_of(a)), mode)
    return result[1] if mode == "r" else result


@implements("linalg.cholesky")
def cholesky(a: Any, /, *, upper: bool = False) -> Any:
    return torch.linalg.cholesky(floating(tensor_of(a)), upper=upper)


@implements("linalg.pinv")
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Any:
    return torch.linalg.pinv(floating(tensor_of(a)), rtol=rcond if rtol is None else rtol, hermitian=hermitian)


@implements("linalg.cond")
def cond(x: Any, p: Any = None) -> Any:
    return torch.linalg.cond(floating(tensor_of(x)), p)


@implements("linalg.multi_dot")
def multi_dot(arrays: Any, *, out: Any = None) -> Any:
    result = torch.linalg.multi_dot(promoted([tensor_of(x) for x in arrays]))
    return store(result, out)


@implements("linalg.tensorinv")
def tensorinv(a: Any, ind: int = 2) -> Any:
    return torch.linalg.tensorinv(floating(tensor_of(a)), ind)


@implements("linalg.tensorsolve")
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    a, b = promoted((floating(tensor_of(a)), floating(tensor_of(b))))
    return torch.linalg.tensorsolve(a, b, axes)
