"""Flatten and Unflatten."""

from __future__ import annotations

from typing import Any

from rushlight.nn.module import Module
from rushlight.tensor import Tensor


class Flatten(Module):
    """Joins the dimensions from `start_dim` to `end_dim`: all but the batch's, unless told.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Flatten()(torch.zeros(8, 3, 5)).shape
        torch.Size([8, 15])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits a dimension into several.

    Args:
        dim: the dimension.
        unflattened_size: the sizes to split it into; one of them may be -1.

    Raises:
        TypeError: sizes that are no ints.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Unflatten(1, (3, 5))(torch.zeros(8, 15)).shape
        torch.Size([8, 3, 5])
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(unflattened_size, (tuple, list)):
            raise TypeError(f"unflattened_size must be tuple or list, but found type {type(unflattened_size).__name__}")
        for i, size in enumerate(unflattened_size):
            if not isinstance(size, int):
                raise TypeError(
                    f"unflattened_size must be tuple of ints, but found element of type {type(size).__name__} at pos {i}"
                )
        self.dim = dim
        self.unflattened_size = unflattened_size

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
