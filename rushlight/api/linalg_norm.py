"""Norms of vectors and matrices, and what is measured by them: condition, distances."""

from __future__ import annotations

import math
from typing import Any

from rushlight import dtypes
from rushlight.api.linalg_check import is_float, require_matrix
from rushlight.api.linalg_factor import svdvals
from rushlight.api.linalg_solve import inv_ex
from rushlight.api.reduce import axes_of
from rushlight.dtypes import legacy_name
from rushlight.ops import create
from rushlight.ops.autocast import with_autocast
from rushlight.ops.linalg_norm import vector_norm as vector_norm_op
from rushlight.tensor import Tensor, _checked_dim


def _in_dtype(name: str, x: Tensor, dtype: Any) -> Tensor:
    """The input in the dtype that a norm is to be computed in."""
    if not is_float(x):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {legacy_name(x)}")
    if dtype is None:
        return x
    wanted = dtypes.legacy_name(dtype)
    if not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name}: dtype should be floating point or complex, but got {wanted}")
    if dtype.is_complex != x.is_complex():
        kind = "complex" if x.is_complex() else "real"
        raise RuntimeError(f"{name}: dtype should be {kind} for {kind} inputs, but got {wanted}")
    if dtypes.promote_types(x.dtype, dtype) is not dtype:
        raise RuntimeError(
            f"{name}: the dtype of the input ({legacy_name(x)}) should be convertible without narrowing to the specified "
            f"dtype ({wanted})"
        )
    return x.to(dtype)


def vector_norm(input: Tensor, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """(sum |x|^ord)^(1/ord) of all elements or along `dim`: +-inf for the largest or smallest, 0 for how many are not 0.

    Example:
        >>> import rushlight as torch
        >>> torch.linalg.vector_norm(torch.tensor([3.0, 4.0]))
        tensor(5.)
    """
    x = _in_dtype("linalg.vector_norm", input, dtype)
    axis, ord = axes_of(dim, x.ndim), float(ord)
    if ord < 0 or math.isinf(ord):
        empty = x.numel() == 0 if axis is None else any(x.shape[a] == 0 for a in axis)
        if empty and axis is None:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {_order_name(ord)} norm on an empty tensor because the operation "
                "does not have an identity"
            )
        if empty:
            raise RuntimeError(
                f"linalg.vector_norm cannot compute the {_order_name(ord)} norm on the dimension "
                f"{next(a for a in axis or () if x.shape[a] == 0)} because this dimension is empty and the operation does "
                "not have an identity"
            )
    return vector_norm_op(x, order=ord, axis=axis, keepdims=keepdim)


def _order_name(ord: float) -> str:
    return str(int(ord)) if ord == ord and not math.isinf(ord) and ord == int(ord) else str(ord)


def matrix_norm(
    input: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """A norm of matrices: "fro", "nuc" (the sum of singular values), +-2 (the largest, smallest one), +-1, +-inf (of sums)."""
    name = "linalg.matrix_norm"
    require_matrix(name, input)
    x = _in_dtype(name, input, dtype)
    dims = (dim,) if isinstance(dim, int) else tuple(dim)
    if len(dims) != 2:
        raise RuntimeError(f"{name}: dim must be a 2-tuple. Got {', '.join(map(str, dims))}")
    rows, columns = (_checked_dim(d, x.ndim) for d in dims)
    if rows == columns:
        raise RuntimeError(f"{name}: dims must be different. Got ({dims[0]}, {dims[1]})")
    if ord == "fro":
        return vector_norm(x, 2, (rows, columns), keepdim)
    if ord == "nuc" or not isinstance(ord, str) and abs(ord) == 2:
        if x.element_size() == 2:
            raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {legacy_name(x)}")
        values = svdvals(x.movedim((rows, columns), (-2, -1)))
        result = values.sum(-1) if ord == "nuc" else _largest(values, -1) if ord > 0 else values.amin(-1)
        return _with_dims_kept(result, sorted((rows, columns))) if keepdim else result
    if isinstance(ord, str) or abs(ord) not in (1, math.inf):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    first, then = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = vector_norm(x, 1, first, keepdim=True)
    result = _largest(sums, then, keepdim=True) if ord > 0 else sums.amin(then, keepdim=True)
    return result if keepdim else result.squeeze((rows, columns))


def _largest(x: Tensor, dim: int, keepdim: bool = False) -> Tensor:
    """The largest of numbers that are not negative: 0 of none."""
    return x.amax(dim, keepdim) if x.shape[dim] else x.sum(dim, keepdim)


def _with_dims_kept(x: Tensor, dims: list[int]) -> Tensor:
    for d in dims:
        x = x.unsqueeze(d)
    return x


def norm(input: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """`matrix_norm` for two dimensions, `vector_norm` for one or, without `ord`, for all elements."""
    if ord is None:
        return vector_norm(input, 2, dim, keepdim, dtype=dtype)
    dims = (dim,) if isinstance(dim, int) else None if dim is None else tuple(dim)
    if dims is None and input.ndim not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got {input.ndim}D."
        )
    if dims is not None and len(dims) not in (1, 2) and not isinstance(ord, str):
        raise RuntimeError(f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}")
    if isinstance(ord, str) or (len(dims) if dims is not None else input.ndim) == 2:
        return matrix_norm(input, ord, (-2, -1) if dims is None else dims, keepdim, dtype=dtype)
    return vector_norm(input, ord, dim, keepdim, dtype=dtype)


def cond(input: Tensor, p: Any = None) -> Tensor:
    """The condition number: norm(A) norm(A^-1); by default the largest singular value over the smallest."""
    name = "linalg.cond"
    if input.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor must have at least 2 dimensions.")
    if p is not None and p not in ("fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf):
        raise RuntimeError(f"{name} got an invalid norm type: {p}")
    if p is None or not isinstance(p, str) and abs(p) == 2:
        values = svdvals(input)
        if not values.shape[-1]:
            return values.sum(-1)
        largest, smallest = values[..., 0], values[..., -1]
        return smallest / largest if p == -2 else largest / smallest
    if input.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"{name}(ord={p}): A must be batches of square matrices, but they are {input.shape[-2]} by {input.shape[-1]} "
            "matrices"
        )
    if not input.numel():
        return input.abs().sum((-2, -1))
    inverse, info = inv_ex(input)
    result = matrix_norm(input, p) * matrix_norm(inverse, p)
    return result.masked_fill(info != 0, math.inf)


# ---------------------------------------------------------------- distances


def dist(input: Tensor, other: Tensor, p: float = 2) -> Tensor:
    """The p-norm of `input - other`."""
    return vector_norm(input - other, p)


def cdist(
    x1: Tensor, x2: Tensor, p: float = 2.0, compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary"
) -> Tensor:
    """The distance of each row of x1 (..., P, M) to each row of x2 (..., R, M), in the p-norm.

    Many rows (25 or, by `compute_mode`, always or never) go the short way of |x|^2 + |y|^2 - 2 x y in the 2-norm.
    """
    for i, x in enumerate((x1, x2), 1):
        if x.ndim < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, X{i} got: {x.ndim}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}")
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    modes = ("use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist")
    if compute_mode is not None and compute_mode not in modes:
        raise ValueError(f"{compute_mode} is not a valid value for compute_mode")
    many = max(x1.shape[-2], x2.shape[-2]) > 25 if compute_mode in (None, modes[0]) else compute_mode == modes[1]
    if p == 2 and many and x1.shape[-1]:
        return _euclidean(x1, x2)
    difference = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    if p == 0 or not x1.shape[-1]:
        return difference.sign().abs().sum(-1)
    return vector_norm(difference, p, -1)


def _euclidean(x1: Tensor, x2: Tensor) -> Tensor:
    squares = (x1 * x1).sum(-1, True) + (x2 * x2).sum(-1).unsqueeze(-2) - 2 * (x1 @ x2.mT)
    positive = squares > 0  # where rounding left nothing, the distance is 0 and has no derivative
    return squares.where(positive, create.ones_like(squares)).sqrt() * positive


with_autocast(globals())
