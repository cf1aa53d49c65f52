"""What the functions of linear algebra ask of their inputs, in PyTorch's words."""

from __future__ import annotations

from rushlight import dtypes
from rushlight.api.views import broadcast_shapes
from rushlight.dtypes import legacy_name
from rushlight.ops.broadcasting import broadcast_complaint
from rushlight.tensor import Tensor


def is_float(x: Tensor) -> bool:
    """Whether a tensor is of floating-point or complex numbers."""
    return x.dtype.is_floating_point or x.is_complex()


def require_float(name: str, x: Tensor, kernel: str = "") -> None:
    """Raises for integers and, LAPACK having none, half precision. `kernel`: what PyTorch says is not implemented for it."""
    if not is_float(x):
        raise RuntimeError(f"{name}: Expected a floating point or complex tensor as input. Got {legacy_name(x)}")
    if x.element_size() == 2:
        if kernel:
            refuse_kernel(kernel, x)
        raise RuntimeError(f"{name}: Low precision dtypes not supported. Got {legacy_name(x)}")


def require_kernel(kernel: str, x: Tensor) -> None:
    """Raises for dtypes that LAPACK does not have, naming PyTorch's kernel."""
    if not is_float(x) or x.element_size() == 2:
        refuse_kernel(kernel, x)


def refuse_kernel(kernel: str, x: Tensor) -> None:
    raise dtypes.no_kernel(kernel, x)


def require_matrix(name: str, x: Tensor, what: str = "A") -> None:
    if x.ndim < 2:
        raise RuntimeError(f"{name}: The input tensor {what} must have at least 2 dimensions.")


def require_square(name: str, x: Tensor, what: str = "A") -> None:
    require_matrix(name, x, what)
    if x.shape[-1] != x.shape[-2]:
        raise RuntimeError(
            f"{name}: {what} must be batches of square matrices, but they are {x.shape[-2]} by {x.shape[-1]} matrices"
        )


def require_same_dtype(name: str, a: Tensor, b: Tensor, names: tuple[str, str] = ("A", "B")) -> None:
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"{name}: Expected {names[0]} and {names[1]} to have the same dtype, but found {names[0]} of type "
            f"{legacy_name(a)} and {names[1]} of type {legacy_name(b)} instead"
        )


def require_system(name: str, a: Tensor, b: Tensor, left: bool = True) -> None:
    """Raises if a x = b (or x a = b) has no meaning for matrices of these shapes."""
    if a.shape[-1] != b.shape[-2 if left else -1]:
        equation = "AX = B" if left else "XA = B"
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation {equation} "
            f"({a.shape[-2]}x{a.shape[-1]} and {b.shape[-2]}x{b.shape[-1]})"
        )


def with_common_batch(*tensors: Tensor) -> list[Tensor]:
    """Matrices, their leading dimensions expanded to one shape."""
    shapes = [x.shape[:-2] for x in tensors]
    try:
        batch = broadcast_shapes(*shapes)
    except RuntimeError:
        raise RuntimeError(broadcast_complaint(shapes[-1], shapes[0])) from None
    return [x if x.shape[:-2] == batch else x.expand(*batch, *x.shape[-2:]) for x in tensors]
