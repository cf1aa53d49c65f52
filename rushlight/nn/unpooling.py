"""The way back from max pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.dtypes import legacy_name
from rushlight.nn.pooling import lengths_of
from rushlight.ops import pool as ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.tensor import Tensor

Lengths = int | Sequence[int]


def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros with the maxima where they were: a partial inverse of `max_pool1d`.

    Args:
        indices: what `max_pool1d` gave with `return_indices`.
        output_size: the size before pooling, where kernel and stride leave more than one possible.

    Raises:
        ValueError: an impossible `output_size`. RuntimeError: shapes or indices that do not fit.
    """
    return _unpooled(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros with the maxima where they were: as `max_unpool1d`, for images."""
    return _unpooled(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Lengths, stride: Lengths | None = None, padding: Lengths = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Zeros with the maxima where they were: as `max_unpool1d`, for volumes."""
    return _unpooled(3, input, indices, kernel_size, stride, padding, output_size)


def _unpooled(
    num_axes: int, input: Tensor, indices: Tensor, kernel_size: Lengths, stride: Lengths | None, padding: Lengths,
    output_size: Any,
) -> Tensor:  # fmt: skip
    name, shape = f"max_unpool{num_axes}d", input._array.shape
    kernel = lengths_of(name, "kernel_size", kernel_size, num_axes)
    strides = kernel if stride is None else lengths_of(name, "stride", stride, num_axes)
    pads = lengths_of(name, "padding", padding, num_axes)
    if len(shape) not in (num_axes + 1, num_axes + 2):
        n = max(num_axes, 2)
        raise RuntimeError(
            f"Input to max_unpooling{n}d should be a {n + 1}d or {n + 2}d Tensor, but got a tensor with {len(shape)} "
            "dimensions."
        )
    sizes = shape[len(shape) - num_axes :]
    usual = [(n - 1) * s + k - 2 * p for n, s, k, p in zip(sizes, strides, kernel, pads, strict=True)]
    size = tuple(usual) if output_size is None else _checked_size(output_size, usual, strides)
    if indices._array.dtype != np.int64:
        raise RuntimeError(f"elements in indices should be type int64 but got: {legacy_name(indices)}")
    if indices._array.shape != shape:
        raise RuntimeError(
            f"Expected shape of indices to be same as that of the input tensor ({list(shape)}) but got indices tensor "
            f"with shape: {list(indices.shape)}"
        )
    volumes = "x".join(str(n) for n in size)
    require_range(
        f"max_unpool{num_axes}d", indices, 0, math.prod(size),
        lambda wrong: RuntimeError(f"Found an invalid max index: {wrong} (output volumes are of size {volumes})"),
    )  # fmt: skip
    return ops.put_at(input, indices, size=size, accumulate=False)


def _checked_size(output_size: Any, usual: list[int], strides: tuple[int, ...]) -> tuple[int, ...]:
    size = tuple(output_size)
    if len(size) == len(usual) + 2:
        size = size[2:]
    if len(size) != len(usual):
        raise ValueError(
            f"output_size should be a sequence containing {len(usual)} or {len(usual) + 2} elements, but it has a "
            f"length of '{len(size)}'"
        )
    for axis, (n, default, stride) in enumerate(zip(size, usual, strides, strict=True)):
        if not default - stride < n < default + stride:
            raise ValueError(
                f'invalid output_size "{size}" (dim {axis} must be between {default - stride} and {default + stride})'
            )
    return size


with_autocast(globals())
