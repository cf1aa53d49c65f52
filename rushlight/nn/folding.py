"""Pixels rearranged: windows as columns and back, channels as pixels and back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from rushlight import dtypes
from rushlight.arrays.windows import Spacing
from rushlight.ops import conv as ops
from rushlight.ops.views import clone
from rushlight.tensor import Tensor

Lengths = int | Sequence[int]


def unfold(
    input: Tensor, kernel_size: Lengths, dilation: Lengths = 1, padding: Lengths = 0, stride: Lengths = 1
) -> Tensor:
    """Every window of images as a column.

    Args:
        input: (batch, channels, height, width) or (channels, height, width).

    Returns:
        (batch, channels * kernel, windows).

    Raises:
        RuntimeError: lengths that do not fit.
    """
    if input.ndim not in (3, 4) or 0 in input.shape[-3:]:
        raise (IndexError if input.ndim < 3 else RuntimeError)(
            "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
            f"but got: {list(input.shape)}"
        )
    kernel, spacing = _checked(kernel_size, dilation, padding, stride)
    _refuse(input, "im2col_out_cpu", "iu")
    size = tuple(input.shape[-2:])
    count = spacing.places(size, kernel)
    if min(count) < 1:
        raise RuntimeError(
            f"Given input with spatial size {size}, kernel_size={kernel}, dilation={spacing.dilation}, "
            f"padding={spacing.padding}, calculated shape of the array of sliding blocks as {count}, "
            "but its components must be at least one."
        )
    if input.ndim == 3:
        return ops.unfold(input.unsqueeze(0), kernel=kernel, spacing=spacing).squeeze(0)
    return ops.unfold(input, kernel=kernel, spacing=spacing)


def fold(
    input: Tensor, output_size: Lengths, kernel_size: Lengths, dilation: Lengths = 1, padding: Lengths = 0,
    stride: Lengths = 1,
) -> Tensor:  # fmt: skip
    """Images whose pixels are the sums of what columns say of them: the transpose of `unfold`.

    Args:
        input: (batch, channels * kernel, windows) or without the batch.

    Raises:
        RuntimeError: lengths that do not fit.
    """
    shape = list(input.shape)
    if input.ndim not in (2, 3) or 0 in shape[-2:]:
        raise RuntimeError(
            "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
            f"input, but got: {shape}"
        )
    size = _two("output_size", output_size)
    kernel, spacing = _checked(kernel_size, dilation, padding, stride)
    _refuse(input, "col2im_out_cpu", "iu")
    if shape[-2] % math.prod(kernel):
        raise RuntimeError(
            "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got "
            f"input.size(1)={shape[-2]} and kernel_size={kernel}."
        )
    count = spacing.places(size, kernel)
    if math.prod(count) != shape[-1] or min(count) < 1:
        raise RuntimeError(
            f"Given output_size={size}, kernel_size={kernel}, dilation={spacing.dilation}, padding={spacing.padding}, "
            f"stride={spacing.stride}, expected size of input's dimension 2 to match the calculated number of sliding "
            f"blocks {count[0]} * {count[1]} = {math.prod(count)}, but got input.size(2)={shape[-1]}."
        )
    if input.ndim == 2:
        return ops.fold(input.unsqueeze(0), size=size, kernel=kernel, spacing=spacing).squeeze(0)
    return ops.fold(input, size=size, kernel=kernel, spacing=spacing)


def _two(name: str, value: Any) -> tuple[int, int]:
    if not isinstance(value, (list, tuple)):
        return int(value), int(value)
    if len(value) != 2:
        raise RuntimeError(f"It is expected {name} equals to 2, but got size {len(value)}")
    return int(value[0]), int(value[1])


def _checked(kernel_size: Lengths, dilation: Lengths, padding: Lengths, stride: Lengths) -> tuple[tuple, Spacing]:
    kernel = _two("kernel_size", kernel_size)
    spacing = Spacing(_two("stride", stride), _two("padding", padding), _two("dilation", dilation))
    for what, name, values, least in (
        ("kernel size", "kernel", kernel, 1), ("dilation", "dilation", spacing.dilation, 1),
        ("padding", "pad", spacing.padding, 0), ("stride", "stride", spacing.stride, 1),
    ):  # fmt: skip
        if min(values) < least:
            rule = "greater than zero" if least else "non-negative"
            raise RuntimeError(f"{what} should be {rule}, but got {name}_height: {values[0]} {name}_width: {values[1]}")
    return kernel, spacing


def _refuse(input: Tensor, kernel: str, kinds: str) -> None:
    if input.dtype.kind in kinds:
        raise dtypes.no_kernel(kernel, input)


# ---------------------------------------------------------------- channels and pixels


def pixel_shuffle(input: Tensor, upscale_factor: int) -> Tensor:
    """(..., channels * r^2, height, width) as (..., channels, height * r, width * r) (Shi et al., 2016)."""
    r = _factor("pixel_shuffle", "upscale_factor", input, upscale_factor)
    *batch, channels, height, width = input.shape
    if channels % (r * r):
        raise RuntimeError(
            "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, "
            f"but input.size(-3)={channels} is not divisible by {r * r}"
        )
    n = len(batch)
    split = input.reshape(*batch, channels // (r * r), r, r, height, width)
    moved = split.permute(*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return _copied(moved.reshape(*batch, channels // (r * r), height * r, width * r))


def pixel_unshuffle(input: Tensor, downscale_factor: int) -> Tensor:
    """(..., channels, height * r, width * r) as (..., channels * r^2, height, width): `pixel_shuffle` undone."""
    r = _factor("pixel_unshuffle", "downscale_factor", input, downscale_factor)
    *batch, channels, height, width = input.shape
    for what, at, length in (("height", -2, height), ("width", -1, width)):
        if length % r:
            raise RuntimeError(
                f"pixel_unshuffle expects {what} to be divisible by downscale_factor, but input.size({at})={length} is "
                f"not divisible by {r}"
            )
    n = len(batch)
    split = input.reshape(*batch, channels, height // r, r, width // r, r)
    moved = split.permute(*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return _copied(moved.reshape(*batch, channels * r * r, height // r, width // r))


def _factor(name: str, argument: str, input: Tensor, factor: int) -> int:
    if input.ndim < 3:
        raise RuntimeError(
            f"{name} expects input to have at least 3 dimensions, but got input with {input.ndim} dimension(s)"
        )
    if factor <= 0:
        raise RuntimeError(f"{name} expects a positive {argument}, but got {factor}")
    return int(factor)


def channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """The channels of the groups, in turn (Zhang et al., 2018)."""
    if input.ndim <= 2:
        raise RuntimeError(f"channel_shuffle expects input with > 2 dims, but got input with sizes {list(input.shape)}")
    batch, channels, *size = input.shape
    if groups <= 0:
        raise RuntimeError(f"Number of groups to divide channels in must be positive. Value of groups:{groups}")
    if channels % groups:
        raise RuntimeError(
            f"Number of channels must be divisible by groups. Got {channels} channels and {groups} groups."
        )
    split = input.reshape(batch, groups, channels // groups, *size)
    return _copied(split.transpose(1, 2).reshape(input.shape))


native_channel_shuffle = channel_shuffle


def _copied(out: Tensor) -> Tensor:
    """New memory, where rearranging has moved nothing."""
    return clone(out) if out._view is not None else out
