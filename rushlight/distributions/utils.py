"""What distributions have in common: broadcasting of parameters, lazy attributes, probabilities and logits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import update_wrapper
from operator import attrgetter
from typing import Any

import numpy as np

import rushlight as torch
from rushlight.tensor import Tensor

NUMBER = (int, float, bool)
euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values broadcast against each other; numbers become tensors of the dtype of the first tensor among them.

    Raises:
        ValueError: a value is neither a number nor a tensor.
    """
    if not all(isinstance(value, (Tensor, *NUMBER)) for value in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    dtype = next((value.dtype for value in values if isinstance(value, Tensor)), torch.get_default_dtype())
    tensors = [value if isinstance(value, Tensor) else torch.tensor(value, dtype=dtype) for value in values]
    if all(tensor.shape == tensors[0].shape for tensor in tensors):
        return tuple(tensors)  # a parameter of one's own stays a leaf
    return torch.broadcast_tensors(*tensors)


def same_as(path: str) -> Any:
    """A property that is another attribute, such as "loc" or "base_dist.scale"."""
    return property(attrgetter(path))


class lazy_property:
    """An attribute that a method computes when it is first asked for; the value then takes its place.

    Seen from the class it is itself, which tells validation not to compute what nobody has given.
    """

    def __init__(self, wrapped: Callable[[Any], Any]):
        self.wrapped = wrapped
        update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with torch.enable_grad():
            value = self.wrapped(instance)
        instance.__dict__[self.wrapped.__name__] = value
        return value


def holds(valid: Tensor) -> bool:
    """Whether all are true, or cannot be known: of a program that is recorded, inside vmap, on the meta device."""
    array = valid._array
    return bool(array.all()) if isinstance(array, np.ndarray) else True


def standard_normal(shape: Sequence[int], like: Tensor) -> Tensor:
    """Numbers of the standard normal distribution, in the dtype of a tensor."""
    return torch.empty(shape, dtype=like.dtype, device=like.device).normal_()


def standard_uniform(shape: Sequence[int], like: Tensor) -> Tensor:
    """Numbers uniform on [0, 1), in the dtype of a tensor."""
    return torch.rand(shape, dtype=like.dtype, device=like.device)


def sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """The sum over the last `dim` dimensions."""
    return value if dim == 0 else value.reshape((*value.shape[:-dim], -1)).sum(-1)


def replaced(value: Tensor, where: Tensor, by: float) -> Tensor:
    """A value with another in some places, whatever was there: also a NaN or an infinity, or its gradient."""
    return value.masked_fill(where, by)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of log-odds; or, not binary, of unnormalized log-probabilities along the last dimension."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities kept off 0 and 1 by the precision of their dtype.

    Example:
        >>> clamp_probs(torch.tensor([0.0, 0.5, 1.0]))
        tensor([1.1921e-07, 5.0000e-01, 1.0000e+00])
    """
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Log-odds of probabilities; or, not binary, their logarithms."""
    inside = clamp_probs(probs)
    return torch.log(inside) - torch.log1p(-inside) if is_binary else torch.log(inside)


def _lower_mask(n: int, diag: int) -> Tensor:
    rows = torch.arange(n)
    return rows < rows.view(-1, 1) + (diag + 1)


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of square matrices on and below a diagonal, row by row.

    Raises:
        ValueError: there is no such diagonal.
    """
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    return mat[..., _lower_mask(n, diag)]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Square matrices that have these elements, row by row, on and below a diagonal, and zeros above.

    Raises:
        ValueError: no square matrix has as many elements there.
    """
    side = 1 + 2 * diag  # the matrices are n x n, with n (n + side) = 2 len + |diag| (diag + 1)
    n = (-side + (side**2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    if round(n) - n > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    n = round(n)
    mat = vec.new_zeros((*vec.shape[:-1], n, n))
    mat[..., _lower_mask(n, diag)] = vec
    return mat
