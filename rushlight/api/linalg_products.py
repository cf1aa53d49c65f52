"""Products of several kinds: tensor products, contractions, chains, crosses, and what is built of products."""

# ruff: noqa: N803  (PyTorch's names of arguments)

from __future__ import annotations

import functools
import math
from typing import Any

from rushlight import dtypes
from rushlight.api.joining import cat
from rushlight.api.linalg import c_name, matmul
from rushlight.api.views import broadcast_tensors
from rushlight.dtypes import legacy_name
from rushlight.ops import create
from rushlight.ops.autocast import with_autocast
from rushlight.tensor import Tensor, _checked_dim


def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products along the last dimensions; the product, of a number."""
    if input.ndim == 0 or other.ndim == 0:
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    return tensordot(input, other, ([-1], [-1]))


def tensordot(a: Tensor, b: Tensor, dims: Any = 2, *, axes: Any = None) -> Tensor:
    """The contraction of dimensions of `a` with dimensions of `b`.

    Args:
        dims: how many of a's last and b's first ones, or a pair of lists.
        axes: NumPy's name for `dims`, by which opt_einsum calls.

    Example:
        >>> import rushlight as torch
        >>> torch.tensordot(torch.ones(2, 3, 4), torch.ones(4, 3), dims=([1, 2], [1, 0]))
        tensor([12., 12.])
    """
    of_a, of_b = _contracted(a, b, dims if axes is None else axes)
    if a.dtype is not b.dtype:
        raise RuntimeError(f"both inputs should have same dtype, but got {legacy_name(a)} and {legacy_name(b)}")
    for i, j in zip(of_a, of_b, strict=True):  # a dimension of size 1 is repeated: the other is summed
        if b.shape[j] == 1 != a.shape[i]:
            a = a.sum(i, keepdim=True)
        elif a.shape[i] == 1 != b.shape[j]:
            b = b.sum(j, keepdim=True)
        elif a.shape[i] != b.shape[j]:
            raise RuntimeError(
                f"contracted dimensions need to match, but first has size {a.shape[i]} in dim {i} and second has size "
                f"{b.shape[j]} in dim {j}"
            )
    free_a = [i for i in range(a.ndim) if i not in of_a]
    free_b = [i for i in range(b.ndim) if i not in of_b]
    rows, columns = [a.shape[i] for i in free_a], [b.shape[i] for i in free_b]
    count = math.prod(a.shape[i] for i in of_a)
    left = a.permute(*free_a, *of_a).reshape(math.prod(rows), count)
    right = b.permute(*of_b, *free_b).reshape(count, math.prod(columns))
    return matmul(left, right).reshape(*rows, *columns)


def _contracted(a: Tensor, b: Tensor, dims: Any) -> tuple[list[int], list[int]]:
    """The dimensions of either operand, in the order in which they meet."""
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(a.ndim - dims, a.ndim)), list(range(dims))
    of_a, of_b = ([d] if isinstance(d, int) else list(d) for d in dims)
    if len(of_a) != len(of_b):
        raise RuntimeError("both dimension lists should have same length")
    return [_checked_dim(d, a.ndim) for d in of_a], [_checked_dim(d, b.ndim) for d in of_b]


def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of the input times all of the other, in its place."""
    ndim = max(input.ndim, other.ndim)
    shapes = [(1,) * (ndim - x.ndim) + tuple(x.shape) for x in (input, other)]
    spread = input.reshape(*[n for size in shapes[0] for n in (size, 1)])
    repeated = other.reshape(*[n for size in shapes[1] for n in (1, size)])
    return (spread * repeated).reshape(*[m * n for m, n in zip(*shapes, strict=True)])


def cross(input: Tensor, other: Tensor, *, dim: int = -1) -> Tensor:
    """The cross products of vectors of 3 elements along `dim`."""
    if input.ndim != other.ndim:
        raise RuntimeError("linalg.cross: inputs must have the same number of dimensions.")
    axis = _checked_dim(dim, input.ndim)
    if input.shape[axis] != 3 or other.shape[axis] != 3:
        raise RuntimeError(
            f"linalg.cross: inputs dimension {dim} must have length 3. Got {input.shape[axis]} and {other.shape[axis]}"
        )
    x, y = broadcast_tensors(input, other)
    return x.roll(-1, axis) * y.roll(-2, axis) - x.roll(-2, axis) * y.roll(-1, axis)


# ---------------------------------------------------------------- chains


def multi_dot(tensors: Any) -> Tensor:
    """The product of several matrices, in the order that takes the fewest multiplications. The ends may be vectors."""
    tensors = list(tensors)
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {count}")
    _check_chain(tensors)
    first, last = tensors[0].ndim == 1, tensors[-1].ndim == 1
    if first:
        tensors[0] = tensors[0].unsqueeze(0)
    if last:
        tensors[-1] = tensors[-1].unsqueeze(-1)
    result = _chain(tensors)
    rows, columns = result.shape
    return result.reshape(*(() if first else (rows,)), *(() if last else (columns,))) if first or last else result


def _check_chain(tensors: list[Tensor]) -> None:
    last = len(tensors) - 1
    for i, x in enumerate(tensors):
        if i in (0, last) and x.ndim not in (1, 2):
            raise RuntimeError(f"multi_dot(): the {'last' if i else 'first'} tensor must be 1D or 2D but got {x.ndim}D")
        if 0 < i < last and x.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {i} must be 2D but got {x.ndim}D")
        if x.dtype is not tensors[0].dtype:
            raise RuntimeError(
                f"multi_dot(): all tensors must have be the same dtype but tensor 0 is {c_name(tensors[0])} and tensor "
                f"{i} {c_name(x)}"
            )
    for i in range(last):
        a, b = tensors[i], tensors[i + 1]
        if a.shape[-1] != b.shape[0]:
            raise RuntimeError(
                f"multi_dot(): tensors {i} and {i + 1} with shapes {list(a.shape)} and {list(b.shape)} cannot be multiplied"
            )


def _chain(matrices: list[Tensor]) -> Tensor:
    """By T. Cormen et al., "Introduction to algorithms", 15.2: the cheapest place to cut each part of the chain."""
    sizes = [matrices[0].shape[0], *[x.shape[1] for x in matrices]]

    @functools.cache
    def cheapest(start: int, stop: int) -> tuple[int, int]:
        """(multiplications, where to cut) for the matrices from start to before stop."""
        if stop - start == 1:
            return 0, start
        ends = sizes[start] * sizes[stop]
        return min((cheapest(start, k)[0] + cheapest(k, stop)[0] + ends * sizes[k], k) for k in range(start + 1, stop))

    def product(start: int, stop: int) -> Tensor:
        if stop - start == 1:
            return matrices[start]
        cut = cheapest(start, stop)[1]
        return matmul(product(start, cut), product(cut, stop))

    return product(0, len(matrices))


def chain_matmul(*matrices: Any) -> Tensor:
    """`linalg.multi_dot` of matrices only."""
    if len(matrices) == 1 and isinstance(matrices[0], (list, tuple)):
        matrices = tuple(matrices[0])
    if not matrices:
        raise RuntimeError("chain_matmul(): Expected one or more matrices")
    for x in matrices:
        if x.ndim != 2:
            raise RuntimeError(f"Tensor dimension is {x.ndim}, expected 2 instead.")
    return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


# ---------------------------------------------------------------- of matrices, for matrices


def trace(input: Tensor) -> Tensor:
    """The sum of a matrix's diagonal."""
    if input.ndim != 2:
        raise RuntimeError(f"trace: expected a matrix, but got tensor with dim {input.ndim}")
    return input.diagonal().sum()


def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the tensors (of up to 2 dimensions) along its diagonal, zeros elsewhere."""
    for i, x in enumerate(tensors):
        if x.ndim > 2:
            raise RuntimeError(
                f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {x.ndim} dimensions"
            )
    blocks = [x.reshape(1, -1) if x.ndim < 2 else x for x in tensors]
    if not blocks:
        return create.zeros(1, 0)
    dtype = functools.reduce(dtypes.promote_types, [x.dtype for x in blocks])
    width, before, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        after = width - before - x.shape[1]
        zeros = [create.zeros(x.shape[0], n, dtype=dtype, device=x.device) for n in (before, after)]
        rows.append(cat([zeros[0], x.to(dtype), zeros[1]], 1))
        before += x.shape[1]
    return cat(rows, 0)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The powers 0 to N - 1 (by default, as many as there are elements) of each element."""
    if x.dtype.name in ("bool", "float16", "bfloat16"):
        raise RuntimeError(
            f"linalg.vander supports floating point, complex, and integer tensors, but got {legacy_name(x)}"
        )
    count = N if N is not None else x.shape[-1] if x.ndim else 1
    if count <= 1:
        raise RuntimeError("N must be greater than 1.")
    first = x.reshape(-1, 1) if x.ndim == 0 else x.unsqueeze(-1)
    powers = first.expand(*first.shape[:-1], count - 1).cumprod(-1) if count > 2 else first
    return cat([create.ones_like(first), powers], -1)


with_autocast(globals())
