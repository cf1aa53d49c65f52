"""The gradients of convolutions as functions of their own: `torch.nn.grad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.nn.convolution import Lengths, _spacing
from rushlight.ops.conv import convolve_transposed, convolve_weight
from rushlight.tensor import Tensor


def _for_axes(num_axes: int) -> Any:
    def of_input(
        input_size: Sequence[int], weight: Tensor, grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
        dilation: Lengths = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        spacing = _spacing(weight, stride, padding, dilation, groups)
        return convolve_transposed(grad_output, weight, size=tuple(input_size[2:]), spacing=spacing)

    def of_weight(
        input: Tensor, weight_size: Sequence[int], grad_output: Tensor, stride: Lengths = 1, padding: Lengths = 0,
        dilation: Lengths = 1, groups: int = 1,
    ) -> Tensor:  # fmt: skip
        spacing = _spacing(input, stride, padding, dilation, groups)
        return convolve_weight(grad_output, input, kernel=tuple(weight_size[2:]), spacing=spacing)

    of_input.__name__ = of_input.__qualname__ = f"conv{num_axes}d_input"
    of_weight.__name__ = of_weight.__qualname__ = f"conv{num_axes}d_weight"
    of_input.__doc__ = f"The gradient of `conv{num_axes}d` by its input, which has the shape `input_size`."
    of_weight.__doc__ = f"The gradient of `conv{num_axes}d` by its weight, which has the shape `weight_size`."
    return of_input, of_weight


conv1d_input, conv1d_weight = _for_axes(1)
conv2d_input, conv2d_weight = _for_axes(2)
conv3d_input, conv3d_weight = _for_axes(3)
