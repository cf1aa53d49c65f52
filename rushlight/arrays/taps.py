"""Which elements along an axis make up one of a shorter or longer axis, and with what weights.

Pooling, padding and interpolation treat the axes of an array one after the other, and along an axis each of them is a
sparse matrix: `out[i] = sum over k of weights[i, k] x[indices[i, k]]`, a few *taps* for each element. A `Rule` says
which; it is a small value, so it can be an attribute of an operation, and its taps are found once.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy import ndarray


@dataclass(frozen=True)
class Taps:
    """The taps of each element: (count, k) indices and weights. A weight of 0 is no tap: its index is in range."""

    indices: ndarray
    weights: ndarray


@dataclass(frozen=True)
class Rule:
    """From an axis of `size` elements to one of `count`."""

    size: int
    count: int

    def find(self) -> Taps:
        raise NotImplementedError

    @property
    def overlaps(self) -> bool:
        """Whether an element may be in more than one window."""
        return True

    @property
    def transposed(self) -> Rule:
        """The rule of the transposed matrix: the derivative."""
        return Transposed(self.count, self.size, self)


@functools.lru_cache(maxsize=1024)
def taps_of(rule: Rule) -> Taps:
    """The taps of a rule."""
    return rule.find()


@dataclass(frozen=True)
class Transposed(Rule):
    """The transposed matrix of another rule."""

    of: Rule

    @property
    def transposed(self) -> Rule:
        return self.of

    def find(self) -> Taps:
        taps = taps_of(self.of)
        rows, at = np.nonzero(taps.weights)
        columns, weights = taps.indices[rows, at], taps.weights[rows, at]
        order = np.argsort(columns, kind="stable")
        rows, columns, weights = rows[order], columns[order], weights[order]
        counts = np.bincount(columns, minlength=self.count)
        place = np.arange(len(columns)) - np.repeat(np.cumsum(counts) - counts, counts)
        shape = (self.count, int(counts.max(initial=0)))
        found = Taps(np.zeros(shape, np.int64), np.zeros(shape))
        found.indices[columns, place], found.weights[columns, place] = rows, weights
        return found


@dataclass(frozen=True)
class Windows(Rule):
    """The mean, or the sum, of windows of one length: average pooling.

    Attributes:
        divisor: "window" for the mean over what is in the array, "padded" for that over padding too, "none" for the sum.
    """

    kernel: int
    stride: int
    padding: int
    divisor: str = "none"
    dilation: int = 1

    @property
    def overlaps(self) -> bool:
        return self.stride < self.dilation * (self.kernel - 1) + 1

    def find(self) -> Taps:
        starts = np.arange(self.count) * self.stride - self.padding
        indices = starts[:, None] + np.arange(self.kernel) * self.dilation
        is_inside = (indices >= 0) & (indices < self.size)
        # What is outside is replaced by an element of the same window: for a maximum that is no change.
        first = np.where(is_inside, indices, self.size).min(1, initial=self.size, keepdims=True)
        last = np.where(is_inside, indices, -1).max(1, initial=-1, keepdims=True)
        return Taps(indices.clip(first, np.maximum(last, first)), is_inside / self.divisors(self.divisor)[:, None])

    def divisors(self, divisor: str) -> ndarray:
        """What the sums are divided by for a mean of that kind; at least 1."""
        starts = np.arange(self.count) * self.stride - self.padding
        if divisor == "none":
            return np.ones(self.count)
        if divisor == "padded":
            return np.minimum(starts + self.kernel, self.size + self.padding) - starts
        return np.maximum(np.minimum(starts + self.kernel, self.size) - np.maximum(starts, 0), 1)


@dataclass(frozen=True)
class Adaptive(Rule):
    """The mean of windows that share out an axis: the i-th is from floor(i size / count) to ceil((i + 1) size / count)."""

    def find(self) -> Taps:
        i = np.arange(self.count)
        starts, ends = i * self.size // self.count, -(-(i + 1) * self.size // self.count)
        lengths = ends - starts
        steps = np.arange(int(lengths.max(initial=0)))
        indices = np.minimum(starts[:, None] + steps, ends[:, None] - 1)
        return Taps(indices, (steps < lengths[:, None]) / np.maximum(lengths, 1)[:, None])


@dataclass(frozen=True)
class Fractional(Rule):
    """Windows whose places depend on a random number: fractional max pooling (Graham, 2014)."""

    kernel: int

    def windows(self, samples: ndarray) -> ndarray:
        """The indices in each window, (kernel, ..., count), for samples (...) from [0, 1)."""
        last = self.size - self.kernel
        step = samples.dtype.type(last / (self.count - 1)) if self.count > 1 else samples.dtype.type(0)
        i = np.arange(self.count, dtype=samples.dtype, like=samples)
        moved = (i + samples[..., None]) * step
        starts = moved.astype(np.int64) - (samples * step).astype(np.int64)[..., None]
        starts[..., -1:] = last
        return starts.clip(0, last) + np.arange(self.kernel, like=samples).reshape(-1, *(1,) * starts.ndim)


@dataclass(frozen=True)
class Padded(Rule):
    """Elements added before and after the axis, or cut off where a number is negative.

    Attributes:
        mode: "reflect", "replicate" or "circular".
    """

    before: int
    after: int
    mode: str

    def find(self) -> Taps:
        positions = np.arange(self.count) - self.before
        if self.mode == "circular":  # what is cut off is cut off first
            cut = max(-self.before, 0)
            period = self.size - cut - max(-self.after, 0)
            positions = (positions - cut) % max(period, 1) + cut
        elif self.mode == "reflect":
            period = max(2 * self.size - 2, 1)
            positions = positions % period
            positions = np.minimum(positions, period - positions)
        return Taps(positions.clip(0, max(self.size - 1, 0))[:, None], np.ones((self.count, 1)))


@dataclass(frozen=True)
class Interpolated(Rule):
    """The array as a function of real positions, read at `count` places (Keys, 1981, for "cubic").

    Attributes:
        mode: "nearest", "nearest-exact", "linear", "cubic" or, with antialias, "lanczos".
        ratio: elements of the input for one of the output; None: size / count.
        align_corners: the first and last elements stay where they are; else elements are areas, not points.
        antialias: when the axis becomes shorter, the kernel becomes as wide as the step.
    """

    mode: str
    ratio: float | None = None
    align_corners: bool = False
    antialias: bool = False

    def find(self) -> Taps:
        if self.mode in ("nearest", "nearest-exact"):
            return self._nearest()
        return self._smoothed() if self.antialias else self._between()

    def _step(self) -> float:
        if self.align_corners:
            return (self.size - 1) / (self.count - 1) if self.count > 1 else 0.0
        return self.size / self.count if self.ratio is None else self.ratio

    def _nearest(self) -> Taps:
        """In single precision, as PyTorch: which of two elements is nearer may be a matter of rounding."""
        step = np.float32(self.size / np.float32(self.count) if self.ratio is None else self.ratio)
        offset = np.float32(0.5 if self.mode == "nearest-exact" else 0.0)
        positions = np.floor((np.arange(self.count, dtype=np.float32) + offset) * step).astype(np.int64)
        return Taps(positions.clip(0, self.size - 1)[:, None], np.ones((self.count, 1)))

    def _between(self) -> Taps:
        """The elements around each position: two, or four for cubics."""
        step, i = self._step(), np.arange(self.count)
        positions = i * step if self.align_corners else (i + 0.5) * step - 0.5
        if self.mode == "linear":
            positions = np.maximum(positions, 0)
            first = np.minimum(np.floor(positions).astype(np.int64), self.size - 1)
            part = np.clip(positions - first, 0, 1)
            return Taps(np.stack([first, np.minimum(first + 1, self.size - 1)], 1), np.stack([1 - part, part], 1))
        first = np.floor(positions)
        offsets = np.arange(-1, 3)
        weights = cubic(np.abs((positions - first)[:, None] - offsets), -0.75)
        return Taps((first[:, None] + offsets).astype(np.int64).clip(0, self.size - 1), weights)

    def _smoothed(self) -> Taps:
        """A kernel stretched by the step, around the middle of each element; its weights sum to 1."""
        step = self._step()
        stretch, (kernel, radius) = max(step, 1.0), _KERNELS[self.mode]
        centers = (np.arange(self.count) + 0.5) * step
        starts = np.maximum((centers - radius * stretch + 0.5).astype(np.int64), 0)
        ends = np.minimum((centers + radius * stretch + 0.5).astype(np.int64), self.size)
        steps = np.arange(math.ceil(radius * stretch) * 2 + 1)
        indices = starts[:, None] + steps
        distances = np.abs((indices - centers[:, None] + 0.5) / stretch)
        weights = np.where(indices < ends[:, None], kernel(distances), 0)
        return Taps(indices.clip(0, self.size - 1), weights / weights.sum(1, keepdims=True))


def cubic(distances: ndarray, a: float) -> ndarray:
    """The kernel of cubic convolution (Keys, 1981, equation 4), with its slope a at distance 1."""
    x = distances
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


_KERNELS = {  # of a distance, and where they end
    "linear": (lambda x: np.maximum(1 - x, 0), 1),
    "cubic": (lambda x: cubic(x, -0.5), 2),
    "lanczos": (lambda x: np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0), 3),
}
