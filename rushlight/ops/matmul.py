"""Matrix products."""

from __future__ import annotations

from typing import Any

from numpy import matmul as numpy_matmul, ndarray

from rushlight.arrays import numpy as numpy_arrays
from rushlight.ops.broadcasting import sum_to_shape
from rushlight.ops.define import op
from rushlight.ops.namespaces import tensor_arrays


def transposed(xp: Any, x: Any) -> Any:
    """The last two axes swapped."""
    n = len(x.shape)
    return xp.permute_dims(x, (*range(n - 2), n - 1, n - 2))


def _large_product(a: ndarray, b: ndarray) -> ndarray:
    """On the threads of compiled programs; by NumPy where there are none, or the arrays are not plain."""
    try:
        from rushlight.compiler.multiply import multiply

        out = multiply(a, b)
    except ImportError:
        out = None
    return numpy_matmul(a, b) if out is None else out


numpy_arrays.use(_large_product)


def _as_matrices(xp: Any, grad: Any, a: Any, b: Any) -> tuple[Any, Any, Any]:
    """Vectors as matrices of one row or one column, and the gradient likewise."""
    shape = tuple(grad.shape)
    if len(a.shape) == 1:
        a, shape = xp.reshape(a, (1, a.shape[0])), (*shape[:-1], 1, *shape[-1:]) if len(b.shape) > 1 else (1,)
    if len(b.shape) == 1:
        b, shape = xp.reshape(b, (b.shape[0], 1)), (*shape, 1)
    return grad if tuple(grad.shape) == shape else xp.reshape(grad, shape), a, b


def _left_gradient(xp: Any, grad: Any, a: Any, b: Any) -> Any:
    shape = a.shape
    if len(shape) == 2 and len(b.shape) == 2:
        return xp.matmul(grad, b.T)
    grad, _, b = _as_matrices(xp, grad, a, b)
    return _in_shape(xp, xp.matmul(grad, transposed(xp, b)), shape if len(shape) > 1 else (1, shape[0]), shape)


def _right_gradient(xp: Any, grad: Any, a: Any, b: Any) -> Any:
    shape = b.shape
    if len(shape) == 2 and len(a.shape) == 2:
        return product_of_columns(xp, a, grad)
    grad, a, _ = _as_matrices(xp, grad, a, b)
    return _in_shape(xp, xp.matmul(transposed(xp, a), grad), shape if len(shape) > 1 else (shape[0], 1), shape)


def _in_shape(xp: Any, grad: Any, matrices: tuple[int, ...], shape: tuple[int, ...]) -> Any:
    """The gradient of matrices summed over the batch they were repeated for, in the operand's own shape."""
    grad = sum_to_shape(xp, grad, matrices)
    return grad if grad.shape == shape else xp.reshape(grad, shape)


@op(waist="matmul", grad_name="Mm", factors=("a", "b"), native_half=True)
def matmul(xp, a, b):
    """NumPy's and PyTorch's matmul: vectors, matrices and batches of matrices."""
    return xp.matmul(a, b)


matmul.derivative(a=_left_gradient, b=_right_gradient)


@op(grad_name="Mm", native_half=True)
def _of_columns(xp, a, b):
    """a^T b, for matrices."""
    return xp.matmul(a.T, b)


_of_columns.derivative(
    a=lambda xp, grad, b: xp.matmul(b, grad.T),
    b=lambda xp, grad, a: xp.matmul(a, grad),
)


def product_of_columns(xp: Any, a: Any, b: Any) -> Any:
    """a^T b; to be differentiated again, as one operation."""
    return _of_columns(a, b) if xp is tensor_arrays else xp.matmul(a.T, b)


def _rows(xp: Any, x: Any) -> Any:
    """All leading axes as one."""
    return x if len(x.shape) == 2 else xp.reshape(x, (-1, x.shape[-1]))


@op(grad_name="Addmm", factors=("x", "weight"), native_half=True)
def linear(xp, x, weight, bias):
    """x weight^T + bias, for x of shape (..., in), weight (out, in), bias (out)."""
    out = xp.matmul(x, weight.T)
    out += bias  # in its own fresh memory
    return out


linear.derivative(
    x=lambda xp, grad, weight: xp.matmul(grad, weight),
    weight=lambda xp, grad, x: product_of_columns(xp, _rows(xp, grad), _rows(xp, x)),
    bias=lambda xp, grad: xp.sum(grad, axis=tuple(range(len(grad.shape) - 1))),
)


@op(grad_name="Mm", factors=("x", "weight"), native_half=True)
def linear_without_bias(xp, x, weight):
    """x weight^T."""
    return xp.matmul(x, weight.T)


linear_without_bias.derivative(
    x=lambda xp, grad, weight: xp.matmul(grad, weight),
    weight=lambda xp, grad, x: product_of_columns(xp, _rows(xp, grad), _rows(xp, x)),
)
