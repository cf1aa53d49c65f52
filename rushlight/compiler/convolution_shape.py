"""Where a convolution reads: places, kernels and frames, for the kernels of `convolution.py` and its neighbours.

`Places` says which pixel a place of the result reads for a position in the kernel; a convolution and its derivative
by the images (where with a stride a place reads for some positions only) are one program that differs in this. Where
padding is, an image is copied into a frame of zeros first (`fill`). What a place reads moves evenly along the kernel,
so its positions are loops, of which a piece is written out (`over_kernel`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from rushlight.compiler.vectors import Vectors, registers_of

Sizes = tuple[int, ...]

# Slots of the table that a program gets: addresses, the number of images, into how many parts they fall.
IMAGES, FACTOR, OUT, SCRATCH, BATCH, PARTS = range(6)
WIDTH = 2  # vectors of outputs in a tile
LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Places:
    """Along one axis: which pixel of a frame a place reads.

    Attributes:
        size: pixels of the image. count: places. kernel, stride, padding, dilation: as ever.
        is_transposed: for the derivative by the images, whose places are pixels and whose pixels are places.
    """

    size: int
    count: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    is_transposed: bool = False

    @property
    def before(self) -> int:
        """Zeros before the image."""
        if not self.is_transposed:
            return self.padding
        return -min(0, (self.padding - (self.kernel - 1) * self.dilation) // self.stride)

    @property
    def length(self) -> int:
        """Pixels of the frame."""
        last = range(max(0, self.count - self.period), self.count)
        read = [self.pixel(place, k) for place in last for k in range(self.kernel)]
        return max([self.before + self.size, *[pixel + 1 for pixel in read if pixel is not None]])

    @property
    def period(self) -> int:
        """After so many places they read for the same positions of the kernel again."""
        return self.stride if self.is_transposed else 1

    @property
    def step(self) -> int:
        """So many pixels further on."""
        return 1 if self.is_transposed else self.stride

    @property
    def repeat(self) -> int:
        """After so many positions of the kernel the same places read again."""
        return self.stride // math.gcd(self.stride, self.dilation) if self.is_transposed else 1

    def shift(self, k: int) -> int:
        """So many pixels further on reads a place whose position in the kernel is k, some whole repeats, further on."""
        return -(k * self.dilation // self.stride) if self.is_transposed else k * self.dilation

    def pixel(self, place: int, k: int) -> int | None:
        """The pixel of the frame that a place reads for position k in the kernel, if it reads one."""
        if not self.is_transposed:
            return place * self.stride + k * self.dilation
        distance = place + self.padding - k * self.dilation
        return None if distance % self.stride else distance // self.stride + self.before

    def lines(self) -> list[Run]:
        """Places one by one, those of each phase of the period together."""
        phases = range(min(self.period, self.count))
        return [Run(phase, 1, self.period, -(-(self.count - phase) // self.period)) for phase in phases]

    def tiles(self, most: int) -> list[Run]:
        """Neighbouring places together, about equally many: at most so many, but a period at least."""
        units = -(-self.count // self.period)
        num = -(-units // max(1, most // self.period))
        sizes = [(units // num + (i < units % num)) * self.period for i in range(num)]
        sizes[-1] -= units * self.period - self.count
        starts = itertools.accumulate(sizes[:-1], initial=0)
        runs = [list(run) for _, run in itertools.groupby(zip(starts, sizes, strict=True), key=lambda tile: tile[1])]
        return [Run(*run[0], run[0][1], len(run)) for run in runs]


@dataclass(frozen=True)
class Run:
    """Tiles along an axis that are alike: from place `start`, each of `size` places, the next one `far` places on."""

    start: int
    size: int
    far: int
    times: int


@dataclass(frozen=True)
class Shape:
    """What a program is written for.

    Attributes:
        channels: of the images that are read. outputs: of those that are written. Both are those of a group: groups of
            channels are next to each other, as images are, and so are a program's smaller images.
        axes: the places along each axis. dtype: of all arrays.
        is_turned: each output reads a channel of its own. `channels` and `groups` are 1 then, and the frame of a block of
            outputs has the pixels of its channels side by side.
    """

    channels: int
    outputs: int
    axes: tuple[Places, ...]
    dtype: np.dtype
    groups: int = 1
    is_turned: bool = False

    @cached_property
    def kernel(self) -> Sizes:
        return tuple([axis.kernel for axis in self.axes])

    @cached_property
    def positions(self) -> list[Sizes]:
        return list(itertools.product(*map(range, self.kernel)))

    @cached_property
    def blocks(self) -> list[tuple[int, int]]:
        """The outputs that are computed at once: (how many vectors, how many outputs)."""
        lanes = registers_of(self.dtype.itemsize)[0]
        most = lanes if self.is_turned else WIDTH * lanes
        parts = [min(most, self.outputs - i) for i in range(0, self.outputs, most)]
        return [(-(-part // lanes), part) for part in parts]

    @cached_property
    def lengths(self) -> Sizes:
        """Pixels of a frame along each axis."""
        return tuple([axis.length for axis in self.axes])

    # Sizes in bytes: of a channel of an image, of all channels of a group, of a pixel and a channel of a frame; of a
    # channel of the result; of the packed weights of a (channel, position), and of a block of outputs; of a frame, if
    # there is one.

    @cached_property
    def image(self) -> int:
        return math.prod([axis.size for axis in self.axes]) * self.dtype.itemsize

    @cached_property
    def all_channels(self) -> int:
        return (self.outputs if self.is_turned else self.channels) * self.image

    @cached_property
    def pixel(self) -> int:
        return self.row if self.is_turned else self.dtype.itemsize

    @cached_property
    def plane(self) -> int:
        return math.prod(self.lengths) * self.pixel

    @cached_property
    def result(self) -> int:
        return math.prod([axis.count for axis in self.axes]) * self.dtype.itemsize

    @cached_property
    def row(self) -> int:
        return self.blocks[0][0] * registers_of(self.dtype.itemsize)[0] * self.dtype.itemsize

    @cached_property
    def packed(self) -> int:
        return self.channels * len(self.positions) * self.row

    @cached_property
    def frame(self) -> int:
        return rounded(self.channels * self.plane) if self.is_turned or self.plane != self.image else 0

    @cached_property
    def repeats(self) -> Sizes:
        """After so many positions along each axis of the kernel the same places read again, on the same lines."""
        return tuple([axis.repeat for axis in self.axes])

    def shift(self, number: int, k: int) -> int:
        """So many bytes further on reads a place whose position along an axis of the kernel is whole repeats further on."""
        return self.axes[number].shift(k) * self.frame_steps[number]

    @cached_property
    def num_weights(self) -> int:
        """Of a group."""
        return self.channels * self.outputs * len(self.positions)

    # From the weights of an output, of a channel, to those of the next, in bytes.

    @cached_property
    def by_output(self) -> int:
        is_transposed = self.axes[-1].is_transposed
        return len(self.positions) * self.dtype.itemsize * (1 if is_transposed else self.channels)

    @cached_property
    def by_channel(self) -> int:
        is_transposed = self.axes[-1].is_transposed
        return len(self.positions) * self.dtype.itemsize * (self.outputs if is_transposed else 1)

    @cached_property
    def image_steps(self) -> Sizes:
        return steps_of([axis.size for axis in self.axes], self.dtype.itemsize)

    @cached_property
    def frame_steps(self) -> Sizes:
        return steps_of(self.lengths, self.pixel)

    @cached_property
    def result_steps(self) -> Sizes:
        return steps_of([axis.count for axis in self.axes], self.dtype.itemsize)


def steps_of(lengths: Sequence[int], first: int) -> Sizes:
    """Bytes from an element to the next along each axis."""
    return tuple([math.prod(lengths[i + 1 :]) * first for i in range(len(lengths))])


def rounded(size: int, to: int = LINE) -> int:
    """The next multiple."""
    return -(-size // to) * to


# ---------------------------------------------------------------- what all kinds of program do


def with_block(code: Vectors, shape: Shape, number: str, body: Callable[[int, int], None]) -> None:
    """`body(vectors, outputs)` for the block of that number: the last one may be smaller."""
    kinds = list(dict.fromkeys(shape.blocks))
    if len(kinds) == 1:
        body(*kinds[0])
        return
    for kind, relation in zip(kinds, ("ne", "eq"), strict=True):
        is_it = code.define(f"icmp {relation} i64 {number}, {len(shape.blocks) - 1}")
        code.when(is_it, lambda kind=kind: body(*kind))


def fill(
    code: Vectors, shape: Shape, image: str, frame: str, channels: int | None = None,
    copy_line: Callable[[str, str], None] | None = None,
) -> None:  # fmt: skip
    """Copies an image, all or so many of its channels, into a frame whose margins are zeros already.

    Args:
        copy_line: `copy_line(target, source)` copies a line, where its pixels do not stay side by side.
    """
    last = shape.axes[-1]

    def along(number: int, source: str, target: str) -> None:
        axis, steps = shape.axes[number], (shape.image_steps[number], shape.frame_steps[number])
        if number < len(shape.axes) - 1:
            target = code.at(target, (axis.before, steps[1]))
            code.loop(
                axis.size, lambda i: along(number + 1, code.at(source, (i, steps[0])), code.at(target, (i, steps[1])))
            )
        elif copy_line is not None:
            copy_line(target, source)
        else:
            code.copy(code.at(target, (last.before, code.item)), source, last.size * code.item)

    code.loop(
        channels or shape.channels,
        lambda c: along(0, code.at(image, (c, shape.image)), code.at(frame, (c, shape.plane))),
    )


class Piece(NamedTuple):
    """How an axis of the kernel is walked along, some positions at a time.

    Attributes:
        kernel: positions in all. unit: positions of a piece, whose code is written out.
        pixels, weights: how far pixels and weights are from a piece to the next, in bytes.
    """

    kernel: int
    unit: int
    pixels: int
    weights: int


def pieces_of(shape: Shape, most: int, weight: int) -> list[Piece]:
    """The pieces of a kernel: about equal parts of a line of at most so many positions, or of the kernel, of whole lines.

    Args:
        weight: bytes from the weights of a position to those of the next.
    """
    pieces: list[Piece] = []
    steps = steps_of(shape.kernel, weight)
    for number, kernel in reversed(list(enumerate(shape.kernel))):
        unit = -(-kernel // -(-kernel // max(1, most)))
        unit = min(kernel, rounded(unit, shape.repeats[number]))
        most = most // unit if unit == kernel else 1
        pieces.insert(0, Piece(kernel, unit, shape.shift(number, unit), unit * steps[number]))
    return pieces


def over_kernel(
    code: Vectors, pieces: list[Piece], pixels: str, weights: str, body: Callable[[str, str, list[range]], None]
) -> None:
    """`body(pixels, weights, positions along each axis)` for all pieces of a kernel, counted from the piece's begin."""

    def along(pixels: str, weights: str, ranges: list[range]) -> None:
        if len(ranges) == len(pieces):
            body(pixels, weights, ranges)
            return
        piece = pieces[len(ranges)]
        full, rest = divmod(piece.kernel, piece.unit)

        def one(i: int | str, size: int) -> None:
            along(code.at(pixels, (i, piece.pixels)), code.at(weights, (i, piece.weights)), [*ranges, range(size)])

        code.loop(full, lambda i: one(i, piece.unit))
        if rest:
            one(full, rest)

    along(pixels, weights, [])
