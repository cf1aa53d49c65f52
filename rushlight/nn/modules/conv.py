"""Convolutions and transposed convolutions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rushlight.nn import functional as F, init
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.ops.create import empty
from rushlight.tensor import Tensor

Lengths = int | Sequence[int]
_PADDING_MODES = {"zeros", "reflect", "replicate", "circular"}


def per_axis(value: Any, num_axes: int) -> tuple[int, ...]:
    """One length for each axis."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * num_axes


class _Convolution(Module):
    """What all convolutions have: their lengths, their parameters, their description."""

    num_axes: int
    transposed = False
    weight: Tensor
    bias: Tensor | None

    def _set(
        self, in_channels: int, out_channels: int, kernel_size: Lengths, stride: Lengths, padding: Any,
        dilation: Lengths, output_padding: Lengths, groups: int, bias: bool, padding_mode: str, device: Any, dtype: Any,
    ) -> None:  # fmt: skip
        n = self.num_axes
        _check_arguments(in_channels, out_channels, stride, padding, groups, padding_mode)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = per_axis(kernel_size, n)
        self.stride = per_axis(stride, n)
        self.padding: Any = padding if isinstance(padding, str) else per_axis(padding, n)
        self.dilation = per_axis(dilation, n)
        self.output_padding = per_axis(output_padding, n)
        self.groups = groups
        self.padding_mode = padding_mode
        outer, inner = (in_channels, out_channels) if self.transposed else (out_channels, in_channels)
        self.weight = Parameter(empty((outer, inner // groups, *self.kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform on +-1 / sqrt(number of inputs of an output), by PyTorch's way of saying so."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            num_inputs = math.prod(self.weight.shape[1:])
            if num_inputs:
                bound = 1 / math.sqrt(num_inputs)
                init.uniform_(self.bias, -bound, bound)

    def extra_repr(self) -> str:
        zeros, ones = (0,) * self.num_axes, (1,) * self.num_axes
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        for name, usual in (("padding", zeros), ("dilation", ones), ("output_padding", zeros), ("groups", 1)):
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


def _check_arguments(
    in_channels: int, out_channels: int, stride: Lengths, padding: Any, groups: int, padding_mode: str
) -> None:
    if groups <= 0:
        raise ValueError("groups must be a positive integer")
    if in_channels % groups:
        raise ValueError("in_channels must be divisible by groups")
    if out_channels % groups:
        raise ValueError("out_channels must be divisible by groups")
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}")
        if padding == "same" and any(s != 1 for s in per_axis(stride, 1)):
            raise ValueError("padding='same' is not supported for strided convolutions")
    if padding_mode not in _PADDING_MODES:
        raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, but got padding_mode='{padding_mode}'")


class _Forward(_Convolution):
    """The cross-correlation of the input with `out_channels` kernels."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Any = 0,
        dilation: Lengths = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self._set(
            in_channels, out_channels, kernel_size, stride, padding, dilation, 0, groups, bias, padding_mode, device,
            dtype,
        )  # fmt: skip

    def forward(self, input: Tensor) -> Tensor:
        padding: Any = self.padding
        if self.padding_mode != "zeros":
            input, padding = F.pad(input, self._around(), mode=self.padding_mode), 0
        convolve = (F.conv1d, F.conv2d, F.conv3d)[self.num_axes - 1]
        return convolve(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def _around(self) -> list[int]:
        """The padding as `F.pad` wants it. For "same", what cannot be shared out goes to the end."""
        if self.padding == "valid":
            return [0] * (2 * self.num_axes)
        if self.padding == "same":
            totals = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
            return [n for total in reversed(totals) for n in (total // 2, total - total // 2)]
        return [n for length in reversed(self.padding) for n in (length, length)]


class Conv1d(_Forward):
    """The cross-correlation of sequences with `out_channels` kernels.

    Args:
        in_channels, out_channels: how many channels the input and the result have.
        kernel_size, stride, dilation: lengths, one or one for each axis.
        padding: added on both sides; "same" keeps the length, "valid" adds nothing.
        groups: into how many parts the channels fall, each of them convolved for itself.
        bias: whether a number is added to each channel.
        padding_mode: "zeros", "reflect", "replicate" or "circular".

    Shape:
        input (batch, in_channels, length) or (in_channels, length); weight (out_channels, in_channels / groups, kernel).

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Conv1d(3, 8, 5, padding="same")(torch.zeros(2, 3, 20)).shape
        torch.Size([2, 8, 20])
    """

    num_axes = 1


class Conv2d(_Forward):
    """The cross-correlation of images with `out_channels` kernels: arguments as those of `Conv1d`.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Conv2d(3, 8, 3, padding=1)
        Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    """

    num_axes = 2


class Conv3d(_Forward):
    """The cross-correlation of volumes with `out_channels` kernels: arguments as those of `Conv1d`."""

    num_axes = 3


class _Transposed(_Convolution):
    """The transpose of a convolution: its gradient by the input, as a module."""

    transposed = True

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: Lengths, stride: Lengths = 1, padding: Lengths = 0,
        output_padding: Lengths = 0, groups: int = 1, bias: bool = True, dilation: Lengths = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._set(
            in_channels, out_channels, kernel_size, stride, padding, dilation, output_padding, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        extra = self.output_padding if output_size is None else self._extra(input, list(output_size))
        transposed = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.num_axes - 1]
        return transposed(input, self.weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    def _extra(self, input: Tensor, output_size: list[int]) -> tuple[int, ...]:
        """The output padding that gives a size."""
        n = self.num_axes
        num_leading = input.dim() - n
        if len(output_size) == num_leading + n:
            output_size = output_size[num_leading:]
        if len(output_size) != n:
            raise ValueError(
                f"{type(self).__name__}: for {input.dim()}D input, output_size must have {n} or {num_leading + n} "
                f"elements (got {len(output_size)})"
            )
        axes = zip(input.shape[num_leading:], self.stride, self.padding, self.kernel_size, self.dilation, strict=True)
        least = [(length - 1) * s - 2 * p + d * (k - 1) + 1 for length, s, p, k, d in axes]
        most = [low + s - 1 for low, s in zip(least, self.stride, strict=True)]
        if any(not low <= size <= high for low, size, high in zip(least, output_size, most, strict=True)):
            raise ValueError(
                f"requested an output size of {output_size}, but valid sizes range from {least} to {most} "
                f"(for an input of {input.size()[2:]})"
            )
        return tuple([size - low for size, low in zip(output_size, least, strict=True)])


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d`.

    Args:
        output_padding: how much longer the result is on one side: with a stride, more than one length leads to the
            input's. `forward` takes `output_size` instead.
        The others are those of `Conv1d`; weight (in_channels, out_channels / groups, kernel).

    Example:
        >>> import rushlight as torch
        >>> torch.nn.ConvTranspose1d(3, 8, 4, stride=2, padding=1)(torch.zeros(2, 3, 10)).shape
        torch.Size([2, 8, 20])
    """

    num_axes = 1


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d`: arguments as those of `ConvTranspose1d`."""

    num_axes = 2


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d`: arguments as those of `ConvTranspose1d`."""

    num_axes = 3


_ConvNd = _Convolution  # PyTorch's name
