"""Products of vectors and matrices in PyTorch's spelling, with its errors."""

from __future__ import annotations

from typing import Any

from rushlight.ops import matmul as ops
from rushlight.ops.inplace import write
from rushlight.tensor import Tensor


def _check_dtypes(name: str, *tensors: Tensor) -> None:
    dtype = tensors[0]._array.dtype
    for x in tensors[1:]:
        if x._array.dtype != dtype:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {_c_name(tensors[0])} != {_c_name(x)} ({name})"
            )


def _c_name(x: Tensor) -> str:
    return {"float32": "float", "float64": "double", "int64": "long long", "int32": "int"}.get(
        x.dtype.name, x.dtype.name
    )


def _size(x: Tensor) -> str:
    return "x".join(str(n) for n in x._array.shape)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The product of vectors, matrices or batches of matrices (leading dimensions broadcast).

    Raises:
        RuntimeError: the inner sizes or the dtypes differ.

    Example:
        >>> import rushlight as torch
        >>> torch.matmul(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [4.0]]))
        tensor([[11.]])
    """
    try:
        a, b = input._array, other._array
    except AttributeError:
        if hasattr(other, "__array__") and isinstance(input, Tensor):
            return matmul(input, input.new_tensor(other, dtype=None))
        return NotImplemented
    if a.dtype is not b.dtype:
        _check_dtypes("matmul", input, other)
    m, n = a.ndim, b.ndim
    if m == 0 or n == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {m}D and {n}D")
    if a.shape[-1] != b.shape[-2 if n > 1 else 0]:
        raise _mismatch(input, other)
    return ops.matmul(input, other)


def _mismatch(input: Tensor, other: Tensor) -> RuntimeError:
    a, b = input._array.shape, other._array.shape
    if len(a) == 1 and len(b) == 1:
        return RuntimeError(f"inconsistent tensor size, expected tensor [{a[0]}] and src [{b[0]}] to have the same number of elements, but got {a[0]} and {b[0]} elements respectively")  # fmt: skip
    if len(b) == 1 and len(a) == 2:
        return RuntimeError(f"size mismatch, got input ({a[0]}), mat ({_size(input)}), vec ({b[0]})")
    if len(a) > 2 and len(b) > 2:
        return RuntimeError(f"Expected size for first two dimensions of batch2 tensor to be: [{a[0]}, {a[-1]}] but got: [{b[0]}, {b[-2]}].")  # fmt: skip
    rows = 1
    for k in a[:-1]:
        rows *= k
    return RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({rows}x{a[-1]} and {b[-2] if len(b) > 1 else b[0]}x{b[-1] if len(b) > 1 else 1})")  # fmt: skip


def _require_ndim(name: str, x: Tensor, ndim: int, what: str) -> None:
    if x.ndim != ndim:
        raise RuntimeError(
            f"{what} must be a {'matrix' if ndim == 2 else f'{ndim}D tensor'}, got {x.ndim}-D tensor ({name})"
        )


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _require_ndim("mm", input, 2, "self")
    _require_ndim("mm", mat2, 2, "mat2")
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, (b, n, m) and (b, m, p)."""
    _require_ndim("bmm", input, 3, "batch1")
    _require_ndim("bmm", mat2, 3, "batch2")
    return matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    _require_ndim("mv", input, 2, "self")
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    return matmul(input, tensor)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector with one of the other."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D argument, but got {input.ndim}-D and {vec2.ndim}-D")
    return input.unsqueeze(1) * vec2


ger = outer


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)`."""
    product = mm(mat1, mat2)
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


def addmm_(self: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """In-place form of `addmm`."""
    return write(self, addmm(self, mat1, mat2, beta=beta, alpha=alpha), "addmm_")


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`.

    Args:
        input: (..., in). weight: (out, in). bias: (out), or None.

    Raises:
        RuntimeError: the number of features or the dtypes differ.
    """
    a, w = input._array, weight._array
    if a.dtype is not w.dtype and a.dtype != w.dtype:
        raise RuntimeError(f"mat1 and mat2 must have the same dtype, but got {_legacy(input)} and {_legacy(weight)}")
    if a.ndim == 0 or w.ndim != 2 or a.shape[-1] != w.shape[1]:
        error = _mismatch(input, weight.t()) if w.ndim == 2 and a.ndim else RuntimeError("linear(): input must be at least 1D and weight 2D")  # fmt: skip
        if w.ndim == 2 and a.ndim:
            error.add_note(f"linear: input has {a.shape[-1]} features, weight expects {w.shape[1]}")
        raise error
    if a.ndim == 1:
        return linear(input.unsqueeze(0), weight, bias).squeeze(0)
    return ops.linear_without_bias(input, weight) if bias is None else ops.linear(input, weight, bias)


def _legacy(x: Tensor) -> str:
    from rushlight import dtypes

    return dtypes.LEGACY_NAMES[x.dtype.name]
