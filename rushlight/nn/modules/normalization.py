"""Layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.nn import functional as F, init
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.create import empty
from rushlight.tensor import Tensor


class LayerNorm(Module):
    """(x - mean) / sqrt(variance + eps) * weight + bias over the last dimensions (Ba et al., 2016).

    Args:
        normalized_shape: the sizes of those dimensions, or the size of the last one.
        eps: what keeps the square root from 0.
        elementwise_affine: whether there are a weight and a bias.
        bias: whether there is a bias.

    Shape:
        x (..., *normalized_shape), the result the same.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.LayerNorm(2)(torch.tensor([[1.0, 3.0]])).tolist()[0][1] > 0.99
        True
    """

    weight: Tensor | None
    bias: Tensor | None

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, elementwise_affine: bool = True,
        bias: bool = True, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.normalized_shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._register("weight", elementwise_affine, device, dtype)
        self._register("bias", elementwise_affine and bias, device, dtype)
        self.reset_parameters()

    def _register(self, name: str, is_present: bool, device: Any, dtype: Any) -> None:
        parameter = Parameter(empty(self.normalized_shape, device=device, dtype=dtype)) if is_present else None
        self.register_parameter(name, parameter)

    def reset_parameters(self) -> None:
        """Ones and zeros."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}, "
            f"bias={self.bias is not None}"
        )
