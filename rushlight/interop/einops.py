"""Makes einops know tensors: `import rushlight.interop.einops`, once, before or after einops itself.

einops finds a library's backend among the subclasses of its `AbstractBackend`; this is ours. `einops.array_api` needs none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from einops._backends import AbstractBackend

import rushlight as torch
from rushlight.tensor import Tensor


class RushlightBackend(AbstractBackend):  # type: ignore[misc]  # einops has no types
    """einops' operations on tensors; all are recorded by autograd."""

    framework_name = "rushlight"

    def is_appropriate_type(self, tensor: Any) -> bool:
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: np.ndarray) -> Tensor:
        return torch.from_numpy(x)

    def to_numpy(self, x: Tensor) -> np.ndarray:
        return x.to_numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        return torch.arange(start, stop)

    def transpose(self, x: Tensor, axes: Any) -> Tensor:
        return x.permute(*axes)

    def reduce(self, x: Tensor, operation: str, axes: Any) -> Tensor:
        function = {"min": torch.amin, "max": torch.amax}.get(operation) or getattr(torch, operation)
        return function(x, tuple(axes))

    def stack_on_zeroth_dimension(self, tensors: list[Tensor]) -> Tensor:
        return torch.stack(tensors)

    def add_axis(self, x: Tensor, new_position: int) -> Tensor:
        return x.unsqueeze(new_position)

    def tile(self, x: Tensor, repeats: tuple[int, ...]) -> Tensor:
        return torch.tile(x, repeats)

    def concat(self, tensors: list[Tensor], axis: int) -> Tensor:
        return torch.cat(tensors, axis)

    def is_float_type(self, x: Tensor) -> bool:
        return x.is_floating_point()

    def einsum(self, pattern: str, *x: Tensor) -> Tensor:
        return torch.einsum(pattern, *x)
