"""What slides over an array: convolution with its two derivatives, and the windows themselves, on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`.

Most convolutions are computed by what is compiled for the sizes of an image (`compiler/convolution.py`). Here is what
computes the first of their kind, and all where there is no compiler.

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

from rushlight.arrays import numpy as numpy_arrays

Sizes = tuple[int, ...]

LONG_LINE = 20  # places in a line from which on images are taken one by one
CACHED = 1 << 18  # elements of the matrix of windows at a time: what a core's own cache holds
SHARES = 4  # parts that a batch falls into at least, if it is large enough
PAGE = 4096  # bytes
MOST_POSITIONS = 32  # in a kernel whose loops are compiled: the code is one loop for each
SHARED = 1 << 20  # elements of the matrix of windows, about a millisecond, from which on cores share the work


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

    Matrices whose rows are a multiple of a page apart are slow, since a cache puts all of a column in a few of its lines: where
    the places of an image would make such rows, matrices have a `spare` line of places at the end of each row.

    Args:
        shape: of the images, (batch, channels, *size).
        count: how many places there are along each axis.
    """

    def __init__(self, shape: Sizes, count: Sizes, kernel: Sizes, dtype: np.dtype, spacing: Spacing):
        self.batch, self.channels, *size = shape
        self.size = tuple(size)
        self.count, self.kernel, self.spacing, self.dtype = count, kernel, spacing, dtype
        axes = zip(size, count, kernel, *spacing[:3], strict=True)
        self.padded = [max(n + 2 * p, (c - 1) * s + d * (k - 1) + 1) for n, c, k, s, p, d in axes]
        self.num_rows = self.channels * math.prod(kernel)
        self.num_places = math.prod(count)
        num_elements = self.num_rows * self.num_places  # of one image's windows
        fitting = 1 if count[-1] >= LONG_LINE else CACHED // max(num_elements, 1)
        self.chunk = max(1, min(fitting, self.batch // SHARES))
        self.is_large = self.batch * num_elements >= SHARED
        self.loops = _numpy_loops

    def share(self, work: Callable[[_Lattice, slice], None], is_lasting: bool = False) -> None:
        """Calls `work(lattice, images)` for all images, some at a time, on all cores: each has a lattice of its own.

        Args:
            is_lasting: whether later calls come here too, so that loops are worth compiling.
        """

        def run(parts: Iterator[slice]) -> None:
            own = copy(self)
            if is_lasting and _compile is not None and math.prod(self.kernel) <= MOST_POSITIONS:
                own.loops = _free_loops.pop() if _free_loops else _Loops(*map(_compile, _numpy_loops))
            for part in parts:
                work(own, part)
            if own.loops is not _numpy_loops:
                _free_loops.append(own.loops)

        starts = range(0, self.batch, self.chunk)
        parts = [slice(start, min(start + self.chunk, self.batch)) for start in starts]
        if len(parts) > 1 and _share is not None:
            _share(run, parts, self.is_large)
        else:
            run(iter(parts))

    def columns(self, images: ndarray) -> ndarray:
        """The matrix of the windows of some images: (channels and positions in the kernel, places of all images)."""
        num = len(images)
        attrs = {"spare": self.spare(num), "padded": tuple(self.padded), "padding": self.spacing.padding}
        attrs |= {"count": self.count, "kernel": self.kernel, **self._steps()}
        columns = self.loops.columns(numpy_arrays, np.ascontiguousarray(images), **attrs)
        return columns.reshape(self.num_rows, -1)[:, : self.num_places * num]

    def put_back(self, matrices: ndarray, rows: ndarray, images: ndarray) -> None:
        """The images that the matrix of windows `matrices @ rows` sums up to: the transpose of `columns`."""
        num = len(images)
        spare = self.spare(num)
        memory = np.empty((self.channels, *self.kernel, *_longer(self.count, spare), num), self.dtype)
        columns = memory.reshape(self.num_rows, -1)[:, : rows.shape[-1]]
        np.matmul(matrices, rows, out=columns if matrices.ndim == 2 else _grouped(columns, len(matrices)))
        images[...] = self.sums(memory)

    def sums(self, windows: ndarray) -> ndarray:
        """The images that windows (channels, *kernel, *count or one more, num) sum up to."""
        attrs = {"size": self.size, "padded": tuple(self.padded), "padding": self.spacing.padding, "count": self.count}
        return self.loops.sums(numpy_arrays, windows, **attrs, **self._steps())

    def rows(self, images: ndarray) -> ndarray:
        """The matrix (channels, places of all images) of images at the places."""
        num, channels = images.shape[:2]
        spare = self.spare(num)
        if num == 1 and not spare:
            return images.reshape(channels, -1)
        memory = np.empty((channels, *_longer(self.count, spare), num), images.dtype)
        memory[:, : self.count[0]] = _images_last(images)
        return memory.reshape(channels, -1)[:, : self.num_places * num]

    def spare(self, num: int) -> int:
        """1 if rows of the places of so many images would be a multiple of a page apart."""
        return int(self.num_places * num * self.dtype.itemsize % PAGE == 0)

    def _steps(self) -> dict[str, Sizes]:
        return {"stride": self.spacing.stride, "dilation": self.spacing.dilation}


def _images_last(images: ndarray) -> ndarray:
    return images.transpose(*range(1, images.ndim), 0)


def _longer(count: Sizes, spare: int) -> Sizes:
    return (count[0] + spare, *count[1:])


# ---------------------------------------------------------------- two loops, which are compiled when they run often


class _Loops(NamedTuple):
    """Functions of the waist on it, or compiled: `_window_columns` and `_window_sums`."""

    columns: Callable[..., Any]
    sums: Callable[..., Any]


def positions(count: Sizes, kernel: Sizes, stride: Sizes, dilation: Sizes) -> Iterator[tuple[Sizes, tuple[slice, ...]]]:
    """Each position in a kernel, and where the pixels are that it meets."""
    for position in np.ndindex(*kernel):
        axes = zip(position, count, stride, dilation, strict=True)
        yield position, tuple([slice(k * d, k * d + (c - 1) * s + 1, s) for k, c, s, d in axes])


def _window_columns(
    xp: Any, images: Any, *, spare: int, padded: Sizes, padding: Sizes, count: Sizes, kernel: Sizes, stride: Sizes,
    dilation: Sizes,
) -> Any:  # fmt: skip
    """(channels, positions in the kernel, *count, num): for each position the pixels that it meets."""
    num, channels, *size = images.shape
    frame = xp.full((channels, *padded, num), 0, images.dtype)
    inside = [slice(p, p + n) for p, n in zip(padding, size, strict=True)]
    xp.assign(xp.slice(frame, (slice(None), *inside)), xp.permute_dims(images, (*range(1, len(images.shape)), 0)))
    everything, parts = slice(None), []
    for _, met in positions(count, kernel, stride, dilation):
        part = xp.slice(frame, (everything, *met))
        part = xp.reshape(part, (part.shape[0], 1, *part.shape[1:]))
        if spare:
            part = xp.concat((part, xp.full((part.shape[0], 1, 1, *part.shape[3:]), 0, frame.dtype)), axis=2)
        parts.append(part)
    return xp.concat(tuple(parts), axis=1)


def _window_sums(
    xp: Any, columns: Any, *, size: Sizes, padded: Sizes, padding: Sizes, count: Sizes, stride: Sizes, dilation: Sizes
) -> Any:
    """(num, channels, *size): for each pixel the sum over the positions that meet it."""
    frame = xp.full((columns.shape[0], *padded, columns.shape[-1]), 0, columns.dtype)
    kernel, inside = columns.shape[1 : 1 + len(count)], [slice(n) for n in count]
    for position, met in positions(count, kernel, stride, dilation):
        pixels = xp.slice(frame, (slice(None), *met))
        xp.assign(pixels, pixels + xp.slice(columns, (slice(None), *position, *inside)))
    images = xp.slice(frame, (slice(None), *[slice(p, p + n) for p, n in zip(padding, size, strict=True)]))
    return xp.contiguous(xp.permute_dims(images, (len(size) + 1, *range(len(size) + 1))))


_numpy_loops = _Loops(_window_columns, _window_sums)
_free_loops: list[_Loops] = []  # a compiled loop serves one thread at a time

# What makes it quick, from above (`ops/conv.py`): loops compiled for their shapes, which take a fourth to a sixth of NumPy's time
# for short lines, and threads that take parts in turn.
_compile: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
_share: Callable[[Callable[[Iterator[slice]], None], list[slice], bool], None] | None = None


def _never(kind: str, images: ndarray, factor: ndarray, out: ndarray, kernel: Sizes, spacing: Spacing) -> bool:
    return False


_compute = _never


def use(compile: Callable[..., Any], share: Callable[..., Any], compute: Callable[..., bool]) -> None:
    """Says what is quicker than NumPy.

    Args:
        compile: `compile(function)`. share: calls `run(iterator of parts)`, on several threads if it is large.
        compute: writes what `compiler.convolution_calls.compute` says into `out`; False if it does not.
    """
    global _compile, _share, _compute
    _compile, _share, _compute = compile, share, compute


# ---------------------------------------------------------------- convolution and its derivatives


def _multiply(matrices: ndarray, columns: ndarray, images: ndarray) -> None:
    """The images whose rows are a product. One image lies in memory as its rows do, and gets it without a copy."""
    if len(images) == 1:
        rows = images.reshape(images.shape[1], -1)
        np.matmul(matrices, columns, out=rows if matrices.ndim == 2 else _grouped(rows, len(matrices)))
    else:
        product = np.matmul(matrices, columns).reshape(*images.shape[1:], len(images))
        images[...] = product.transpose(-1, *range(product.ndim - 1))


def _grouped(matrix: ndarray, groups: int) -> ndarray:
    """Rows as (groups, rows of each); for one group the matrix itself, whose product is quicker."""
    return matrix if groups == 1 else matrix.reshape(groups, -1, matrix.shape[-1])


def _as_matrices(weight: ndarray, groups: int) -> ndarray:
    return _grouped(weight.reshape(weight.shape[0], -1), groups)


def convolve(x: ndarray, weight: ndarray, *, spacing: Spacing) -> ndarray:
    """out[n, o, p] = sum over c, k of weight[o, c, k] x[n, c, stride p + dilation k - padding], with zeros around x."""
    kernel = weight.shape[2:]
    count = spacing.places(x.shape[2:], kernel)
    out = np.empty((x.shape[0], weight.shape[0], *count), x.dtype)
    if out.size == 0 or weight.size == 0:
        return np.zeros_like(out)
    if _compute("forward", x, weight, out, kernel, spacing):
        return out
    if spacing.is_pointwise(kernel):
        images = out.reshape(*out.shape[:2], -1)
        np.matmul(weight.reshape(weight.shape[:2]), x.reshape(*x.shape[:2], -1), out=images)
        return out
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
    if y.size == 0 or weight.size == 0:
        return np.zeros(shape, y.dtype)
    out = np.empty(shape, y.dtype)
    if _compute("transposed", y, weight, out, kernel, spacing):
        return out
    if spacing.is_pointwise(kernel) and y.shape[2:] == size:
        images = out.reshape(*shape[:2], -1)
        np.matmul(weight.reshape(weight.shape[:2]).T, y.reshape(*y.shape[:2], -1), out=images)
        return out
    lattice = _Lattice(shape, y.shape[2:], kernel, y.dtype, spacing)
    matrices = _as_matrices(weight, spacing.groups).swapaxes(-1, -2)

    def work(own: _Lattice, part: slice) -> None:
        own.put_back(matrices, _grouped(own.rows(y[part]), spacing.groups), out[part])

    lattice.share(work)
    return out


def convolve_weight(y: ndarray, x: ndarray, *, kernel: Sizes, spacing: Spacing) -> ndarray:
    """The derivative of `convolve` by a weight of a kernel: every y times the window it came from."""
    shape = (y.shape[1], x.shape[1] // spacing.groups, *kernel)
    if math.prod(shape) == 0 or y.size == 0:
        return np.zeros(shape, y.dtype)
    out = np.empty(shape, y.dtype)
    if _compute("weight", x, y, out, kernel, spacing):
        return out
    lattice = _Lattice(x.shape, y.shape[2:], kernel, y.dtype, spacing)
    groups, outputs = spacing.groups, y.shape[1] // spacing.groups
    turned = np.zeros(
        (groups, math.prod(shape[1:]), outputs), y.dtype
    )  # the longer side first, which BLAS does quicker
    lock = Lock()

    def work(own: _Lattice, part: slice) -> None:
        columns = _grouped(own.columns(x[part]), groups)
        product = np.matmul(columns, _grouped(own.rows(y[part]), groups).swapaxes(-1, -2))
        with lock:
            np.add(turned, product, out=turned)

    lattice.share(work)
    out.reshape(groups, outputs, -1)[...] = turned.swapaxes(-1, -2)
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

        lattice.share(work, is_lasting=True)
    return out


def fold(columns: ndarray, *, size: Sizes, kernel: Sizes, spacing: Spacing) -> ndarray:
    """The images whose pixels are the sums of what the columns say of them: the transpose of `unfold`."""
    batch, num_rows, _ = columns.shape
    out = np.zeros((batch, num_rows // math.prod(kernel), *size), columns.dtype)
    if columns.size:
        lattice = _Lattice(out.shape, spacing.places(size, kernel), kernel, columns.dtype, spacing)

        def work(own: _Lattice, part: slice) -> None:
            shape = (-1, *kernel, *own.count, part.stop - part.start)
            out[part] = own.sums(np.moveaxis(columns[part], 0, -1).reshape(shape))

        lattice.share(work, is_lasting=True)
    return out
