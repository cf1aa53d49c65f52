"""Products of vectors and matrices in PyTorch's spelling, with its errors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.forms import in_place_form
from rushlight.api.linalg_check import refuse_kernel, require_same_dtype
from rushlight.autograd.modes import modes
from rushlight.dtypes import legacy_name
from rushlight.ops import matmul as ops
from rushlight.ops.autocast import CASTS, is_on_for, lowered, with_autocast
from rushlight.ops.inplace import check_writable
from rushlight.tensor import Tensor


def _check_dtypes(name: str, *tensors: Tensor) -> None:
    dtype = tensors[0]._array.dtype
    for x in tensors[1:]:
        if x._array.dtype != dtype:
            raise RuntimeError(
                f"expected m1 and m2 to have the same dtype, but got: {c_name(tensors[0])} != {c_name(x)} ({name})"
            )


def c_name(x: Tensor) -> str:
    """The name of a dtype in C, where PyTorch's errors use that."""
    names = {"float32": "float", "float64": "double", "int64": "long long", "int32": "int"}
    return names.get(x.dtype.name, x.dtype.name)


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
        if isinstance(other, np.ndarray) and isinstance(input, Tensor):
            return np.matmul(input, other)  # back here with two tensors of one dtype (`interop.ufuncs`)
        return NotImplemented
    if a.dtype is not b.dtype:
        if is_on_for(input) and a.dtype.char in CASTS and b.dtype.char in CASTS:
            return matmul(*lowered((input, other)))
        _check_dtypes("matmul", input, other)
    m, n = a.ndim, b.ndim
    if m == 2 == n and a.dtype.kind == "f":
        try:
            return ops.matmul(input, other)
        except RuntimeError:
            if a.shape[1] == b.shape[0]:
                raise
            raise _mismatch(input, other) from None
    if m == 0 or n == 0:
        raise RuntimeError(f"both arguments to matmul need to be at least 1D, but they are {m}D and {n}D")
    if a.shape[-1] != b.shape[-2 if n > 1 else 0]:
        raise _mismatch(input, other)
    if a.dtype.kind == "b":
        refuse_kernel("dot" if m == n == 1 else "addmv_impl_cpu" if n == 1 else "addmm_impl_cpu_", input)
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
        kind = {1: "vector", 2: "matrix"}.get(ndim, f"{ndim}D tensor")
        raise RuntimeError(f"{what} must be a {kind}, got {x.ndim}-D tensor ({name})")


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices."""
    _require_ndim("mm", input, 2, "self")
    _require_ndim("mm", mat2, 2, "mat2")
    return matmul(input, mat2)


def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices, (b, n, m) and (b, m, p)."""
    _require_ndim("bmm", input, 3, "batch1")
    _require_ndim("bmm", mat2, 3, "batch2")
    if input.dtype is not mat2.dtype:
        raise RuntimeError(f"expected scalar type {legacy_name(input)} but found {legacy_name(mat2)}")
    if input.shape[0] != mat2.shape[0] or input.shape[2] != mat2.shape[1]:
        raise _mismatch(input, mat2)
    if input.dtype is dtypes.bool:
        refuse_kernel("bmm", input)
    return ops.matmul(input, mat2)


def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector."""
    if input.ndim != 2 or vec.ndim != 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {vec.ndim}, {input.ndim}, {vec.ndim}")
    return matmul(input, vec)


def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors' elements."""
    if input.ndim != 1 or tensor.ndim != 1:
        raise RuntimeError(f"1D tensors expected, but got {input.ndim}D and {tensor.ndim}D tensors")
    if input.dtype is not tensor.dtype:
        raise RuntimeError(
            f"dot : expected both vectors to have same dtype, but found {legacy_name(input)} and {legacy_name(tensor)}"
        )
    return matmul(input, tensor)


def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors: `dot`, with the first one conjugated."""
    return dot(input.conj() if input.is_complex() else input, other)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The inner products along `dim`, of the conjugated first operand with the second."""
    require_same_dtype("linalg.vecdot", x, y, ("x", "y"))
    if x.shape and y.shape and x.shape[dim] != y.shape[dim]:
        raise _mismatch(x.new_empty(x.shape[dim]), y.new_empty(y.shape[dim]))
    return ((x.conj() if x.is_complex() else x) * y).sum(dim)


def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """All products of an element of one vector with one of the other."""
    if input.ndim != 1 or vec2.ndim != 1:
        raise RuntimeError(f"outer: Expected 1-D argument, but got {input.ndim}-D and {vec2.ndim}-D")
    return input.unsqueeze(1) * vec2


ger = outer


# ---------------------------------------------------------------- products added to something


def _rounded_once(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function of three tensors, of which half precision is computed in float32: product and sum are rounded once."""

    @functools.wraps(function)
    def call(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tensors = [input, *args]
        half = {x.dtype for x in tensors if isinstance(x, Tensor) and x.dtype in (dtypes.float16, dtypes.bfloat16)}
        if len(half) == 1 and all(isinstance(x, Tensor) and x.dtype in half for x in tensors):
            return function(*[x.to(dtypes.float32) for x in tensors], **kwargs).to(input.dtype)
        return function(input, *args, **kwargs)

    return call


@_rounded_once
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)`; with beta = 0 the input may hold anything, NaN too."""
    _require_ndim("addmm", mat1, 2, "mat1")
    _require_ndim("addmm", mat2, 2, "mat2")
    return _added(input, matmul(mat1, mat2), beta, alpha, "mat2")


@_rounded_once
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (mat @ vec)`."""
    if mat.ndim != 2 or vec.ndim != 1 or input.ndim > 1:
        raise RuntimeError(f"vector + matrix @ vector expected, got {input.ndim}, {mat.ndim}, {vec.ndim}")
    if mat.shape[1] != vec.shape[0] or input.numel() not in (1, mat.shape[0]):
        sizes = f"input ({input.numel()}), mat ({_size(mat)}), vec ({vec.shape[0]})"
        raise RuntimeError(f"size mismatch, got {sizes}")
    return _added(input, matmul(mat, vec), beta, alpha, "vec")


@_rounded_once
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (batch1 @ batch2)`, for batches (b, n, m) and (b, m, p)."""
    return _added(input, bmm(batch1, batch2), beta, alpha, "batch2")


def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input` and `alpha` times the sum of the products of two batches of matrices."""
    _require_ndim("addbmm", batch1, 3, "batch1")
    _require_ndim("addbmm", batch2, 3, "batch2")
    if batch1.shape[0] != batch2.shape[0] or batch1.shape[2] != batch2.shape[1]:
        raise _mismatch(batch1, batch2)
    if (
        batch1.element_size() == 2 and len(batch1) > 1
    ):  # PyTorch rounds after each matrix, which shows in half precision
        first = addbmm(input, batch1[:1], batch2[:1], beta=beta, alpha=alpha)
        return functools.reduce(
            lambda total, pair: addmm(total, *pair, alpha=alpha), zip(batch1[1:], batch2[1:], strict=True), first
        )
    # (b, n, m), (b, m, p): the sum over the batch is one more part of the inner dimension
    left = batch1.permute(1, 0, 2).flatten(1)
    return _added(input, matmul(left, batch2.flatten(0, 1)), beta, alpha, "batch2")


@_rounded_once
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`."""
    _require_ndim("addr", vec1, 1, "vec1")
    _require_ndim("addr", vec2, 1, "vec2")
    product = outer(vec1, vec2)
    if product.dtype is dtypes.bool and input.dtype is dtypes.bool:
        return (input.expand(*product.shape) & bool(beta)) | (product & bool(alpha))
    for name, number in (("beta", beta), ("alpha", alpha)):
        if isinstance(number, float) and product.dtype.kind not in "fc":
            raise RuntimeError(f"For integral input tensors, argument {name} must not be a floating point number.")
    return _added(input.to(product.dtype), product, beta, alpha)


def _added(input: Tensor, product: Tensor, beta: Any, alpha: Any, other: str = "") -> Tensor:
    if other and input.dtype is not product.dtype:
        raise RuntimeError(
            f"self and {other} must have the same dtype, but got {legacy_name(input)} and {legacy_name(product)}"
        )
    if product.dtype.kind in "iu":  # PyTorch's kernels take these numbers in the dtype of the product
        beta, alpha = int(beta), int(alpha)
    if input.shape != product.shape:
        input = input.expand(*product.shape)
    product = product if alpha == 1 else product * alpha
    if beta == 0:
        return product
    return (input if beta == 1 else input * beta) + product


addmm_, addmv_, baddbmm_, addr_ = (in_place_form(f) for f in (addmm, addmv, baddbmm, addr))


def addbmm_(self: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """In-place form of `addbmm`. Unlike any other, it lets a smaller tensor become one of the result's shape."""
    shape = (batch1.shape[1], batch2.shape[2]) if batch1.ndim == batch2.ndim == 3 else self.shape
    if self.shape != shape and self._view is None:
        check_writable(self, modes.grad)
        result = addbmm(self.expand(*shape).clone(), batch1, batch2, beta=beta, alpha=alpha)
        self._array, self._node, self._output = result._array, result._node, result._output
        self._needs_grad = result._needs_grad
        return self
    return _addbmm_in_place(self, batch1, batch2, beta=beta, alpha=alpha)


_addbmm_in_place = in_place_form(addbmm)


# ---------------------------------------------------------------- with weights


def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`.

    Args:
        input: (..., in). weight: (out, in), or (in) for one feature without its dimension. bias: (out), or None.

    Raises:
        RuntimeError: the number of features or the dtypes differ.
    """
    a, w = input._array, weight._array
    if a.dtype is not w.dtype and a.dtype != w.dtype:
        if is_on_for(input) and a.dtype.char in CASTS and w.dtype.char in CASTS:
            return linear(*lowered((input, weight, bias)))
        raise RuntimeError(
            f"mat1 and mat2 must have the same dtype, but got {legacy_name(input)} and {legacy_name(weight)}"
        )
    if w.ndim == 1 and a.ndim:
        return matmul(input, weight) if bias is None else matmul(input, weight) + bias
    if a.ndim == 0 or w.ndim != 2 or a.shape[-1] != w.shape[1]:
        error = _mismatch(input, weight.t()) if w.ndim == 2 and a.ndim else RuntimeError("linear(): input must be at least 1D and weight 2D")  # fmt: skip
        if w.ndim == 2 and a.ndim:
            error.add_note(f"linear: input has {a.shape[-1]} features, weight expects {w.shape[1]}")
        raise error
    if a.ndim == 1:
        return linear(input.unsqueeze(0), weight, bias).squeeze(0)
    if a.ndim > 2 and a.__class__ is np.ndarray and a.strides[-3] < a.strides[-2] and not a.flags.c_contiguous:
        input = input.contiguous()  # in another order its rows are copied, so once: the way back needs them too
    return ops.linear_without_bias(input, weight) if bias is None else ops.linear(input, weight, bias)


def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input1^T W_k input2 + bias_k` for each output k.

    Args:
        input1: (..., in1). input2: (..., in2). weight: (out, in1, in2). bias: (out), or None.
    """
    if weight.ndim != 3:
        raise RuntimeError(f"bilinear(): weight must be 3-D, got {weight.ndim}-D")
    for i, x in enumerate((input1, input2), 1):
        if x.shape[-1] != weight.shape[i]:
            raise RuntimeError(
                f"bilinear(): input{i} size does not match weight size: got {x.shape[-1]} but expected {weight.shape[i]}"
            )
    if input1.shape[:-1] != input2.shape[:-1]:
        raise RuntimeError("bilinear(): input batch dimensions do not match")
    left = matmul(input1.unsqueeze(-2).unsqueeze(-2), weight).squeeze(-2)  # (..., out, in2)
    result = matmul(left, input2.unsqueeze(-1)).squeeze(-1)
    return result if bias is None else result + bias


with_autocast(globals())
