"""What slides over an array, on CuPy arrays: convolution with its two derivatives, and the windows themselves.

Convolutions are cuDNN's where it is there (`cudnn.py`). Else: the windows of an image are a view of it, with strides of
the image's own; one kernel copies them into a matrix, and cuBLAS multiplies all images of a group at once. The matrix
of windows is made for as many images as `MOST` bytes hold. What each function computes, `arrays/windows.py` says.

Half precision is summed in float32 and rounded once, by cuDNN and cuBLAS themselves; what adds products up afterwards
computes in float32 (`_widened`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cupy
import numpy as np
from cupy import ndarray
from cupy.lib.stride_tricks import as_strided

from rushlight.arrays import cupy as cupy_arrays
from rushlight.arrays.gpu import cudnn
from rushlight.arrays.windows import Sizes, Spacing, positions

MOST = 1 << 28  # bytes of the matrix of windows at a time
HALF = "eE"  # NumPy's characters of float16 and bfloat16


def _widened(*arrays: ndarray) -> list[ndarray]:
    """Arrays of half precision in float32, others as they are."""
    return [x.astype(np.float32) if x.dtype.char in HALF else x for x in arrays]


def _chunks(batch: int, num_elements: int, dtype: np.dtype) -> Iterator[slice]:
    """Parts of a batch, whose images have so many elements in the matrix of windows."""
    num = max(1, MOST // max(1, num_elements * dtype.itemsize))
    return (slice(start, start + num) for start in range(0, batch, num))


def _framed(images: ndarray, before: Sizes, frame: Sizes) -> ndarray:
    """Images in a frame of zeros, `before` pixels from its start; what is outside of it is cut off."""
    axes = list(zip(images.shape[2:], before, frame, strict=True))
    if all(n == f and not b for n, b, f in axes):
        return images
    out = cupy.zeros((*images.shape[:2], *frame), images.dtype)
    inside = [slice(max(b, 0), max(min(b + n, f), 0)) for n, b, f in axes]
    taken = [slice(max(-b, 0), max(min(f - b, n), 0)) for n, b, f in axes]
    out[(..., *inside)] = images[(..., *taken)]
    return out


def _padded(images: ndarray, count: Sizes, kernel: Sizes, spacing: Spacing) -> ndarray:
    """Images with their padding, as far as the windows at `count` places reach."""
    axes = zip(images.shape[2:], count, kernel, *spacing[:3], strict=True)
    frame = [max(n + 2 * p, (c - 1) * s + d * (k - 1) + 1) for n, c, k, s, p, d in axes]
    return _framed(images, spacing.padding, tuple(frame))


def _windows(frames: ndarray, count: Sizes, kernel: Sizes, spacing: Spacing) -> ndarray:
    """All windows, as a view (batch, channels, *kernel, *count) of the padded images."""
    images, channels, *pixels = frames.strides
    within = [stride * d for stride, d in zip(pixels, spacing.dilation, strict=True)]
    between = [stride * s for stride, s in zip(pixels, spacing.stride, strict=True)]
    return as_strided(frames, (*frames.shape[:2], *kernel, *count), (images, channels, *within, *between))


def _num_elements(channels: int, kernel: Sizes, count: Sizes) -> int:
    return channels * math.prod(kernel) * math.prod(count)


def convolve(x: ndarray, weight: ndarray, *, spacing: Spacing) -> ndarray:
    """The convolution of images with a weight."""
    kernel = weight.shape[2:]
    count = spacing.places(x.shape[2:], kernel)
    shape = (x.shape[0], weight.shape[0], *count)
    if math.prod(shape) == 0 or weight.size == 0:
        return cupy.zeros(shape, x.dtype)
    out = cudnn.convolution("Forward", x, weight, shape, spacing)
    return _multiplied(_padded(x, count, kernel, spacing), weight, count, spacing) if out is None else out


def _multiplied(frames: ndarray, weight: ndarray, count: Sizes, spacing: Spacing) -> ndarray:
    """The products of a weight and the windows of padded images."""
    batch, groups, kernel = len(frames), spacing.groups, weight.shape[2:]
    matrices = weight.reshape(groups, weight.shape[0] // groups, -1)
    if groups == 1:
        matrices = matrices[0]
    outs = []
    for part in _chunks(batch, _num_elements(frames.shape[1], kernel, count), frames.dtype):
        windows = _windows(frames[part], count, kernel, spacing)
        columns = windows.reshape(len(windows), *(() if groups == 1 else (groups,)), matrices.shape[-1], -1)
        outs.append(cupy_arrays.matmul(matrices, columns).reshape(len(windows), weight.shape[0], *count))
    return outs[0] if len(outs) == 1 else cupy.concatenate(outs)


def convolve_transposed(y: ndarray, weight: ndarray, *, size: Sizes, spacing: Spacing) -> ndarray:
    """The derivative of `convolve` by x, for images of a size."""
    kernel, count, groups = weight.shape[2:], y.shape[2:], spacing.groups
    shape = (y.shape[0], weight.shape[1] * groups, *size)
    if y.size == 0 or weight.size == 0 or math.prod(shape) == 0:
        return cupy.zeros(shape, y.dtype)
    out = cudnn.convolution("BackwardData", weight, y, shape, spacing)
    if out is not None:
        return out
    if all(s == 1 for s in spacing.stride):  # a convolution with the kernel turned round
        axes = list(zip(size, kernel, spacing.padding, spacing.dilation, strict=True))
        before = tuple([d * (k - 1) - p for _, k, p, d in axes])
        frames = _framed(y, before, tuple([n + d * (k - 1) for n, k, _, d in axes]))
        return _multiplied(frames, _turned(weight, groups), tuple(size), spacing)
    dtype, (y, weight) = y.dtype, _widened(y, weight)
    matrices = weight.reshape(groups, weight.shape[0] // groups, -1).swapaxes(1, 2)
    outs = []
    for part in _chunks(len(y), _num_elements(shape[1], kernel, count), y.dtype):
        rows = y[part].reshape(-1, groups, y.shape[1] // groups, math.prod(count))
        columns = cupy_arrays.matmul(matrices, rows)
        images = _summed(columns.reshape(-1, shape[1], *kernel, *count), tuple(size), spacing)
        outs.append(images.astype(dtype, copy=False))
    return outs[0] if len(outs) == 1 else cupy.concatenate(outs)


def _turned(weight: ndarray, groups: int) -> ndarray:
    """The weight from outputs to inputs, its kernel turned round: (in, out / groups, *kernel)."""
    outputs, inputs, *kernel = weight.shape
    parts = weight.reshape(groups, outputs // groups, inputs, *kernel).swapaxes(1, 2)
    return cupy.flip(parts, tuple(range(3, parts.ndim))).reshape(groups * inputs, outputs // groups, *kernel)


def convolve_weight(y: ndarray, x: ndarray, *, kernel: Sizes, spacing: Spacing) -> ndarray:
    """The derivative of `convolve` by a weight of a kernel."""
    count, groups = y.shape[2:], spacing.groups
    inputs, outputs = x.shape[1] // groups, y.shape[1] // groups
    shape = (groups * outputs, inputs, *kernel)
    if math.prod(shape) == 0 or y.size == 0:
        return cupy.zeros(shape, y.dtype)
    out = cudnn.convolution("BackwardFilter", x, y, shape, spacing)
    if out is not None:
        return cupy.ascontiguousarray(out)  # in the order of the weight, whatever that of the images
    dtype, (x, y) = y.dtype, _widened(x, y)
    out = cupy.zeros((groups, outputs, inputs * math.prod(kernel)), y.dtype)
    frames = _padded(x, count, kernel, spacing)
    for part in _chunks(len(y), _num_elements(x.shape[1], kernel, count), y.dtype):
        out += _products(y[part], _windows(frames[part], count, kernel, spacing), groups)
    return out.reshape(shape).astype(dtype, copy=False)


def _products(y: ndarray, windows: ndarray, groups: int) -> ndarray:
    """(groups, outputs, elements of a window): the sums over all places of all images of y times the window there."""
    num, axes = len(y), y.ndim - 2
    rows = y.reshape(num, groups, y.shape[1] // groups, -1).transpose(1, 2, 0, 3)
    windows = windows.reshape(num, groups, -1, *windows.shape[2:])  # still a view: channels are cut, not joined
    order = (1, 0, *range(3 + axes, 3 + 2 * axes), 2, *range(3, 3 + axes))
    elements = math.prod(windows.shape[2 : 3 + axes])
    return cupy_arrays.matmul(
        rows.reshape(groups, rows.shape[1], -1), windows.transpose(order).reshape(groups, -1, elements)
    )


def unfold(x: ndarray, *, kernel: Sizes, spacing: Spacing) -> ndarray:
    """Every window as a column: (batch, channels * kernel, places)."""
    batch, channels, *size = x.shape
    count = spacing.places(tuple(size), kernel)
    shape = (batch, channels * math.prod(kernel), math.prod(count))
    if math.prod(shape) == 0:
        return cupy.zeros(shape, x.dtype)
    windows = _windows(_padded(x, count, kernel, spacing), count, kernel, spacing)
    return windows.copy().reshape(shape)


def fold(columns: ndarray, *, size: Sizes, kernel: Sizes, spacing: Spacing) -> ndarray:
    """The images whose pixels are the sums of what the columns say of them: the transpose of `unfold`."""
    batch, num_rows, _ = columns.shape
    channels = num_rows // math.prod(kernel)
    if columns.size == 0:
        return cupy.zeros((batch, channels, *size), columns.dtype)
    return _summed(columns.reshape(batch, channels, *kernel, *spacing.places(size, kernel)), tuple(size), spacing)


def _summed(windows: ndarray, size: Sizes, spacing: Spacing) -> ndarray:
    """The images that windows (batch, channels, *kernel, *count) sum up to: position by position."""
    axes = len(size)
    kernel, count = windows.shape[2 : 2 + axes], windows.shape[2 + axes :]
    reach = zip(size, count, kernel, *spacing[:3], strict=True)
    frame = [max(n + 2 * p, (c - 1) * s + d * (k - 1) + 1) for n, c, k, s, p, d in reach]
    out = cupy.zeros((*windows.shape[:2], *frame), windows.dtype)
    for position, met in positions(count, kernel, spacing.stride, spacing.dilation):
        pixels = out[(..., *met)]
        pixels += windows[(slice(None), slice(None), *position)]
    inside = [slice(p, p + n) for p, n in zip(spacing.padding, size, strict=True)]
    return cupy.ascontiguousarray(out[(..., *inside)])
