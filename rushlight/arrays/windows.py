"""What slides over an array: convolution with its two derivatives, and the windows themselves, on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`.

A convolution is a product with the matrix of all windows: a row for each position in the kernel, a column for each
place of the kernel on the image (Chellapilla et al., 2006). That matrix is never there as a whole: `_Lattice` makes
it for some images at a time. NumPy copies long pieces of memory quickly and short ones slowly, so images with short
lines are taken many at a time, with the images as the last axis of the padded memory.

`convolve`, `convolve_transposed` and `convolve_weight` are the derivatives of one trilinear form by its three factors,
so they are one another's derivatives. Images are (batch, channels, *size), weights (out, in / groups, *kernel).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from copy import copy
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

from rushlight.arrays import numpy as numpy_arrays

Sizes = tuple[int, ...]

LONG_LINE = 20  # places in a line from which on images are taken one by one
CACHED = 1 << 18  # elements of the matrix of windows at a time: what a core's own cache holds
SHARES = 4  # parts that a batch falls into at least, if it is large enough
SHARED = 1 << 16  # elements of the matrix of windows from which on cores share the work


class Spacing(NamedTuple):
    """How a kernel lies on an image, one number for each axis.

    Attributes:
        stride: from one place to the next. padding: zeros around the image. dilation: from one element of the kernel
            to the next. groups: into how many parts the channels fall that know nothing of each other.
    """

    stride: Sizes
    padding: Sizes
    dilation: Sizes
    groups: int = 1

    def places(self, size: Sizes, kernel: Sizes) -> Sizes:
        """How many places a kernel has along each axis."""
        axes = zip(size, kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple([(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes])

    def is_pointwise(self, kernel: Sizes) -> bool:
        """Whether the windows are the pixels."""
        is_one = self.groups == 1 and not any(self.padding)
        return is_one and all(k == 1 for k in kernel) and all(s == 1 for s in self.stride)


class _Lattice:
    """The places of a kernel on padded images, taken some images at a time.

    Args:
        shape: of the images, (batch, channels, *size).
        count: how many places there are along each axis.
    """

    def __init__(self, shape: Sizes, count: Sizes, kernel: Sizes, dtype: np.dtype, spacing: Spacing):
        self.batch, self.channels, *size = shape
        self.count, self.kernel, self.spacing, self.dtype = count, kernel, spacing, dtype
        axes = zip(size, count, kernel, *spacing[:3], strict=True)
        self.padded = [max(n + 2 * p, (c - 1) * s + d * (k - 1) + 1) for n, c, k, s, p, d in axes]
        self.inside = tuple([slice(p, p + n) for p, n in zip(spacing.padding, size, strict=True)])
        self.num_rows = self.channels * math.prod(kernel)
        self.num_elements = self.num_rows * math.prod(count)  # of one image's windows
        fitting = 1 if count[-1] >= LONG_LINE else CACHED // max(self.num_elements, 1)
        self.chunk = max(1, min(fitting, self.batch // SHARES))
        self.views: tuple[ndarray, ndarray, ndarray] | None = None
        self.copier: Any = None

    def share(self, work: Callable[[_Lattice, slice], None]) -> None:
        """Calls `work(lattice, images)` for all images, some at a time, on all cores: each has a lattice of its own."""

        def run(parts: Iterator[slice]) -> None:
            lattice = copy(self)
            lattice.copier = _copiers.pop() if _copiers else _new_copier()
            for part in parts:
                work(lattice, part)
            _copiers.append(lattice.copier)

        starts = range(0, self.batch, self.chunk)
        parts = [slice(start, min(start + self.chunk, self.batch)) for start in starts]
        if len(parts) > 1 and self.batch * self.num_elements >= SHARED:
            from rushlight.compiler.parallel import share

            share(run, parts)
        else:
            run(iter(parts))

    def columns(self, images: ndarray) -> ndarray:
        """The matrix of the windows of some images; its memory is that of the last one."""
        frame, inner, windows = self._memory(len(images))
        inner[...] = images
        if self.copier is not None:
            stride, _, dilation, _ = self.spacing
            attrs = {"count": self.count, "kernel": self.kernel, "stride": stride, "dilation": dilation}
            return self.copier(numpy_arrays, frame, **attrs).reshape(self.num_rows, -1)
        return windows.reshape(self.num_rows, -1)  # which copies

    def put_back(self, columns: ndarray, images: ndarray) -> None:
        """The images that a matrix of windows sums up to: the transpose of `columns`."""
        frame, inner, windows = self._memory(len(images))
        frame.fill(0)
        columns = columns.reshape(windows.shape)
        for position in np.ndindex(*self.kernel):
            windows[:, *position] += columns[:, *position]
        images[...] = inner

    def _memory(self, num: int) -> tuple[ndarray, ndarray, ndarray]:
        """The padded images, (channels, *padded, num); what is not padding, as images; the windows. As they were left."""
        if self.views is None or self.views[0].shape[-1] != num:
            frame = np.zeros((self.channels, *self.padded, num), self.dtype)
            across, *steps, next_image = frame.strides
            on_kernel = [step * d for step, d in zip(steps, self.spacing.dilation, strict=True)]
            on_places = [step * s for step, s in zip(steps, self.spacing.stride, strict=True)]
            shape = (self.channels, *self.kernel, *self.count, num)
            windows = as_strided(frame, shape, (across, *on_kernel, *on_places, next_image))
            self.views = frame, np.moveaxis(frame[:, *self.inside], -1, 0), windows
        return self.views


def _window_columns(xp: Any, frame: Any, *, count: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Any:
    """(channels, positions in the kernel, *count, num): for each position the pixels that it meets."""
    positions = []
    for position in np.ndindex(*kernel):
        axes = zip(position, count, stride, dilation, strict=True)
        index = [slice(k * d, k * d + (c - 1) * s + 1, s) for k, c, s, d in axes]
        part = xp.slice(frame, (slice(None), *index))
        positions.append(xp.reshape(part, (part.shape[0], 1, *part.shape[1:])))
    return xp.concat(tuple(positions), axis=1)


def _new_copier() -> Any:
    """`_window_columns` that becomes a native loop, which takes a sixth of NumPy's time for short lines."""
    from rushlight.ops.fused import Fused

    return Fused(_window_columns, num_threads=1)


_copiers: list[Any] = []  # not in use: a program serves one thread at a time


def _rows(images: ndarray) -> ndarray:
    """The matrix (channels, places of all images) of images at the places."""
    return np.moveaxis(images, 0, -1).reshape(images.shape[1], -1)


def _multiply(matrices: ndarray, columns: ndarray, images: ndarray) -> None:
    """The images whose rows are a product. One image lies in memory as its rows do, and gets it without a copy."""
    if len(images) == 1:
        rows = images.reshape(images.shape[1], -1)
        np.matmul(matrices, columns, out=rows if matrices.ndim == 2 else _grouped(rows, len(matrices)))
    else:
        product = np.matmul(matrices, columns).reshape(*images.shape[1:], len(images))
        images[...] = np.moveaxis(product, -1, 0)


def _grouped(matrix: ndarray, groups: int) -> ndarray:
    """Rows as (groups, rows of each); for one group the matrix itself, whose product is quicker."""
    return matrix if groups == 1 else matrix.reshape(groups, -1, matrix.shape[-1])


def _as_matrices(weight: ndarray, groups: int) -> ndarray:
    return _grouped(weight.reshape(weight.shape[0], -1), groups)


def convolve(x: ndarray, weight: ndarray, *, spacing: Spacing) -> ndarray:
    """out[n, o, p] = sum over c, k of weight[o, c, k] x[n, c, stride p + dilation k - padding], with zeros around x."""
    kernel = weight.shape[2:]
    count = spacing.places(x.shape[2:], kernel)
    if spacing.is_pointwise(kernel):
        out = np.matmul(weight.reshape(weight.shape[:2]), x.reshape(*x.shape[:2], -1))
        return out.reshape(*out.shape[:2], *count)
    out = np.empty((x.shape[0], weight.shape[0], *count), x.dtype)
    if out.size == 0 or weight.size == 0:
        return np.zeros_like(out)
    lattice = _Lattice(x.shape, count, kernel, x.dtype, spacing)
    matrices = _as_matrices(weight, spacing.groups)

    def work(own: _Lattice, part: slice) -> None:
        _multiply(matrices, _grouped(own.columns(x[part]), spacing.groups), out[part])

    lattice.share(work)
    return out


def convolve_transposed(y: ndarray, weight: ndarray, *, size: Sizes, spacing: Spacing) -> ndarray:
    """The derivative of `convolve` by x, for images of a size: every y spread out over the window it came from."""
    kernel = weight.shape[2:]
    shape = (y.shape[0], weight.shape[1] * spacing.groups, *size)
    if spacing.is_pointwise(kernel) and y.shape[2:] == size:
        return np.matmul(weight.reshape(weight.shape[:2]).T, y.reshape(*y.shape[:2], -1)).reshape(shape)
    if y.size == 0 or weight.size == 0:
        return np.zeros(shape, y.dtype)
    flipped = _flipped(y.shape, weight, size, spacing)
    if flipped is not None:
        return convolve(y, flipped[0], spacing=flipped[1])
    lattice = _Lattice(shape, y.shape[2:], kernel, y.dtype, spacing)
    out = np.empty(shape, y.dtype)
    matrices = _as_matrices(weight, spacing.groups).swapaxes(-1, -2)

    def work(own: _Lattice, part: slice) -> None:
        own.put_back(np.matmul(matrices, _grouped(_rows(y[part]), spacing.groups)), out[part])

    lattice.share(work)
    return out


def _flipped(y_shape: Sizes, weight: ndarray, size: Sizes, spacing: Spacing) -> tuple[ndarray, Spacing] | None:
    """A transposed convolution of stride 1 as a convolution with the kernel turned around, where that is quicker."""
    stride, padding, dilation, groups = spacing
    kernel, channels = weight.shape[2:], weight.shape[1]
    around = tuple([d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True)])
    turned = Spacing(stride, around, dilation, groups)
    is_quicker = weight.shape[0] <= 2 * channels * groups  # it copies y's windows, not adds to those of x
    if any(s != 1 for s in stride) or min(around) < 0 or not is_quicker or turned.places(y_shape[2:], kernel) != size:
        return None
    backwards = weight[:, :, *(slice(None, None, -1),) * len(kernel)].reshape(groups, -1, channels, *kernel)
    return backwards.swapaxes(1, 2).reshape(groups * channels, -1, *kernel), turned


def convolve_weight(y: ndarray, x: ndarray, *, kernel: Sizes, spacing: Spacing) -> ndarray:
    """The derivative of `convolve` by a weight of a kernel: every y times the window it came from."""
    out = np.zeros((y.shape[1], x.shape[1] // spacing.groups, *kernel), y.dtype)
    if out.size == 0 or y.size == 0:
        return out
    lattice = _Lattice(x.shape, y.shape[2:], kernel, y.dtype, spacing)
    matrices = _as_matrices(out, spacing.groups)
    lock = Lock()

    def work(own: _Lattice, part: slice) -> None:
        columns = _grouped(own.columns(x[part]), spacing.groups)
        product = np.matmul(_grouped(_rows(y[part]), spacing.groups), columns.swapaxes(-1, -2))
        with lock:
            np.add(matrices, product, out=matrices)

    lattice.share(work)
    return out


# ---------------------------------------------------------------- the windows themselves


def unfold(x: ndarray, *, kernel: Sizes, spacing: Spacing) -> ndarray:
    """Every window as a column: (batch, channels * kernel, places)."""
    batch, channels, *size = x.shape
    count = spacing.places(tuple(size), kernel)
    out = np.empty((batch, channels * math.prod(kernel), math.prod(count)), x.dtype)
    if out.size:
        lattice = _Lattice(x.shape, count, kernel, x.dtype, spacing)

        def work(own: _Lattice, part: slice) -> None:
            columns = own.columns(x[part])
            out[part] = np.moveaxis(columns.reshape(*out.shape[1:], -1), -1, 0)

        lattice.share(work)
    return out


def fold(columns: ndarray, *, size: Sizes, kernel: Sizes, spacing: Spacing) -> ndarray:
    """The images whose pixels are the sums of what the columns say of them: the transpose of `unfold`."""
    batch, num_rows, _ = columns.shape
    out = np.zeros((batch, num_rows // math.prod(kernel), *size), columns.dtype)
    if columns.size:
        lattice = _Lattice(out.shape, spacing.places(size, kernel), kernel, columns.dtype, spacing)
        lattice.share(lambda own, part: own.put_back(np.moveaxis(columns[part], 0, -1), out[part]))
    return out
