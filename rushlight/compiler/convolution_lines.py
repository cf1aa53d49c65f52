"""Convolution of groups of few outputs, such as depthwise ones: vectors of neighbouring places of a line.

Where a group has fewer outputs than a vector has lanes, the lanes are places. A tile of the result, some lines times
some vectors of places times some outputs, stays in registers while all channels and positions of the kernel are added
to it: a vector of pixels, which the places of a vector read side by side, times one weight, which all lanes get. A
vector of pixels serves all lines and outputs of the tile.

With a stride pixels are not side by side, so a line of a frame is split into as many lines as the stride: every second
pixel, and the others. For the derivative by the images, it is the places that fall into *phases*, which read for other
positions of the kernel each; their vectors are dealt together when they are written. The last vector of a line begins
where it ends with the line: some places are computed twice and nothing is read or written behind the line.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cached_property

from rushlight.compiler.convolution_shape import (
    BATCH,
    FACTOR,
    IMAGES,
    OUT,
    PARTS,
    SCRATCH,
    Places,
    Run,
    Shape,
    Sizes,
    fill,
    over_kernel,
    pieces_of,
    rounded,
    steps_of,
)  # fmt: skip
from rushlight.compiler.module import Module
from rushlight.compiler.vectors import ATTRIBUTES, Vectors, registers_of

MOST_LINES = 8  # of a tile, or vectors of one line
MOST_OUTPUTS = 4  # of a tile
MOST_POSITIONS = 64  # of the kernel that are written out
MOST_PHASES = 8  # along the last axis
MOST_SPLIT = 8  # lines into which one is split by shuffles, not pixel by pixel

ONE = Places(1, 1, 1, 1, 0, 1)  # an axis of one line, for images without lines


@dataclass(frozen=True)
class Lines(Shape):
    """A `Shape` of two axes at least, whose frames have split lines.

    Lanes are *units*: a place of each phase of the last axis, which are neighbours.
    """

    @classmethod
    def of(cls, shape: Shape) -> Lines:
        axes = shape.axes if len(shape.axes) > 1 else (ONE, *shape.axes)
        return cls(shape.channels, shape.outputs, axes, shape.dtype, shape.groups)

    @cached_property
    def lanes(self) -> int:
        return registers_of(self.dtype.itemsize)[0]

    @cached_property
    def units(self) -> int:
        return -(-self.axes[-1].count // self.axes[-1].period)

    def read(self, phase: int, k: int) -> tuple[int, int] | None:
        """(split line, pixel of it) that the first place of a phase reads for position k of the last axis."""
        pixel = self.axes[-1].pixel(phase, k)
        return None if pixel is None else (pixel % self.axes[-1].step, pixel // self.axes[-1].step)

    @cached_property
    def span(self) -> int:
        """Pixels of a split line: those of the image, and those that a vector reads."""
        last = self.axes[-1]
        reads = [self.read(phase, k) for phase in range(last.period) for k in range(last.kernel)]
        furthest = max([read[1] for read in reads if read is not None], default=0)
        return max(-(-(last.before + last.size) // last.step), furthest + max(self.units, self.lanes))

    @cached_property
    def lengths(self) -> Sizes:
        return (*[axis.length for axis in self.axes[:-1]], self.axes[-1].step * self.span)

    @cached_property
    def frame(self) -> int:
        is_split = self.axes[-1].step > 1
        return rounded(self.channels * self.plane) if is_split or self.plane != self.image else 0

    @cached_property
    def repeats(self) -> Sizes:
        last = self.axes[-1]
        return (*super().repeats[:-1], last.stride // math.gcd(last.stride, last.dilation))

    def shift(self, number: int, k: int) -> int:
        bytes_moved = super().shift(number, k)
        return bytes_moved // self.axes[-1].step if number == len(self.axes) - 1 else bytes_moved

    def runs(self, num_vectors: int) -> list[Run]:
        """Tiles of so many vectors along the last axis: where they begin, in units, and of how many places they are.

        The last one ends where the line does: what it shares with the one before is computed twice.
        """
        width, period = num_vectors * self.lanes, self.axes[-1].period
        starts = [*range(0, self.units - width + 1, width)] or [0]
        if starts[-1] + width < self.units:
            starts.append(self.units - width)
        sizes = [min(width * period, self.axes[-1].count - start * period) for start in starts]
        full = sum(start % width == 0 and size == width * period for start, size in zip(starts, sizes, strict=True))
        ends = [Run(start, size, 0, 1) for start, size in list(zip(starts, sizes, strict=True))[full:]]
        return [Run(0, width * period, width, full), *ends] if full else ends


def split_line(code: Vectors, lines: Lines, target: str, source: str) -> None:
    """Copies a line of an image into as many lines as the stride is."""
    last, num = lines.axes[-1], lines.axes[-1].step

    def group(i: int | str, size: int) -> None:
        """Vectors of neighbouring pixels: one of each line."""
        read, write = code.at(source, (i, num * code.lanes * code.item)), code.at(target, (i, code.lanes * code.item))
        vectors = [
            code.load(code.at(read, (first, code.item)), min(code.lanes, size - first))
            for first in range(0, size, code.lanes)
        ]
        for first in range(min(num, size)):
            pixels = range(first, size, num)
            lanes = [divmod(pixel, code.lanes) for pixel in pixels]
            picked = code.picked(vectors, lanes)
            index, line = divmod(first + last.before, num)
            code.store(picked, code.at(write, (line * lines.span + index, code.item)), len(lanes))

    def one(i: str) -> None:
        index, line = code.divided(code.define(f"add i64 {i}, {last.before}"), num)
        number = code.define(f"load {code.number}, ptr {code.at(source, (i, code.item))}")
        code.do(
            f"store {code.number} {number}, ptr {code.at(target, (line, lines.span * code.item), (index, code.item))}"
        )

    if num > MOST_SPLIT:
        code.loop(last.size, one)
        return
    full, rest = divmod(last.size, num * code.lanes)
    code.loop(full, lambda i: group(i, num * code.lanes))
    if rest:
        group(full, rest)


# ---------------------------------------------------------------- images from images and weights


def lines_text(lines: Lines) -> str:
    """The function `images(table, chunk)`: a chunk of all images of groups."""
    code = Vectors(module := Module(), lines.dtype)
    frame = code.at(code.slot(SCRATCH), ("%chunk", lines.frame))
    if lines.frame:
        code.clear(frame, lines.frame)
    images, factor, out = (code.slot(slot) for slot in (IMAGES, FACTOR, OUT))
    pieces = code.define(f"mul i64 {code.slot(BATCH, 'i64')}, {lines.groups}")
    first, last = code.share("%chunk", code.slot(PARTS, "i64"), pieces)

    def one(number: str) -> None:
        pixels = code.at(images, (number, lines.channels * lines.image))
        if lines.frame:
            fill_split(code, lines, pixels, frame, lines.channels)
            pixels = frame
        weights = code.at(factor, (code.divided(number, lines.groups)[1], lines.num_weights * code.item))
        _call_tiles(code, lines, pixels, weights, code.at(out, (number, lines.outputs * lines.result)))

    code.loop(last, one, start=first)
    module.parts["images"] = code.function("void @images(ptr %table, i64 %chunk)")
    module.parts["attributes"] = ATTRIBUTES
    return module.text()


def fill_split(code: Vectors, lines: Lines, image: str, frame: str, channels: int) -> None:
    """Copies an image of so many channels into a frame."""
    if lines.axes[-1].step > 1:
        fill(code, lines, image, frame, channels, lambda to, read: split_line(code, lines, to, read))
    else:
        fill(code, lines, image, frame, channels)


@dataclass(frozen=True)
class _Tile:
    """Neighbouring lines times vectors of units times outputs.

    Attributes:
        phases: the first place along each axis but the last, less whole periods. sizes: how many places along each.
        num_vectors: along the last axis. width: how many places of them there are.
    """

    phases: Sizes
    sizes: Sizes
    num_outputs: int
    num_vectors: int
    width: int

    @property
    def name(self) -> str:
        numbers = (*self.phases, *self.sizes, self.num_outputs, self.num_vectors, self.width)
        return "_".join(["@tile", *map(str, numbers)])


def _call_tiles(code: Vectors, lines: Lines, pixels: str, weights: str, target: str) -> None:
    """All tiles of an image of a group."""
    *outer, axis, _ = lines.axes
    most = code.num_registers // 2  # sums: the rest is for weights and pixels
    of_lines = axis.tiles(MOST_LINES) if axis.period <= MOST_LINES else axis.lines()
    num_lines = of_lines[0].size
    choices = range(1, max(1, min(MOST_LINES // num_lines, lines.units // code.lanes)) + 1)
    num_vectors = min(reversed(choices), key=lambda num: num * sum(run.times for run in lines.runs(num)))
    num_outputs = max(1, min(MOST_OUTPUTS, lines.outputs, most // (num_lines * num_vectors)))
    runs = [*[axis.lines() for axis in outer], of_lines, lines.runs(num_vectors)]
    by_output = lines.by_output

    def along(chosen: tuple[Run, ...], read: str, weights: str, write: str, outputs: int) -> None:
        number = len(chosen)
        if number == len(runs):
            phases = tuple([run.start % axis.period for run, axis in zip(chosen[:-1], lines.axes, strict=False)])
            tile = _Tile(phases, tuple([run.size for run in chosen[:-1]]), outputs, num_vectors, chosen[-1].size)
            code.module.add(tile.name, lambda: _tile(code.module, lines, tile))
            code.do(f"call void {tile.name}(ptr {read}, ptr {weights}, ptr {write})")
            return
        is_last, axis = number == len(runs) - 1, lines.axes[number]
        by_unit = code.item if is_last else axis.step * lines.frame_steps[number]
        by_place = lines.result_steps[number] * (axis.period if is_last else 1)
        for run in runs[number]:
            units = (run.start, run.far) if is_last else (run.start // axis.period, run.far // axis.period)
            begin, to = code.at(read, (units[0], by_unit)), code.at(write, (run.start, by_place))

            def one(i: str, run: Run = run, begin: str = begin, to: str = to, far: int = units[1]) -> None:
                at, place = code.at(begin, (i, far * by_unit)), code.at(to, (i, run.far * by_place))
                along((*chosen, run), at, weights, place, outputs)

            code.loop(run.times, one)

    def some(i: int | str, outputs: int) -> None:
        moved = code.at(weights, (i, num_outputs * by_output)), code.at(target, (i, num_outputs * lines.result))
        along((), pixels, *moved, outputs)

    full, rest = divmod(lines.outputs, num_outputs)
    code.loop(full, lambda i: some(i, num_outputs))
    if rest:
        some(full, rest)


def _tile(module: Module, lines: Lines, tile: _Tile) -> str:
    """A function of pixels, weights and where the result goes."""
    code, last, by_output = Vectors(module, lines.dtype), lines.axes[-1], lines.by_output
    phases, vectors, outputs = range(last.period), range(tile.num_vectors), range(tile.num_outputs)
    ranges = (range(phase, phase + size) for phase, size in zip(tile.phases, tile.sizes, strict=True))
    places = list(itertools.product(*ranges))
    sums = {key: code.variable() for key in itertools.product(outputs, places, vectors, phases)}
    steps = steps_of(lines.kernel, code.item)

    def line_of(place: Sizes, position: Sizes) -> int | None:
        """Where the line is that a place reads, in bytes."""
        read = [axis.pixel(i, k) for axis, i, k in zip(lines.axes, place, position, strict=False)]
        parts = zip(read, lines.frame_steps, strict=False)
        return None if None in read else sum(pixel * step for pixel, step in parts if pixel is not None)

    def piece(phase: int, pixels: str, weights: str, ranges: list[range]) -> None:
        readers: dict[int, list[tuple[Sizes, Sizes]]] = {}  # by line: (place, position)
        for position, place in itertools.product(itertools.product(*ranges[:-1]), places):
            line = line_of(place, position)
            if line is not None:
                readers.setdefault(line, []).append((place, position))
        for k in ranges[-1]:
            read, spread = lines.read(phase, k), {}
            if read is None:
                continue
            for line in sorted(readers):
                first = line + (read[0] * lines.span + read[1]) * code.item
                pixel = [code.load(code.at(pixels, (first, 1), (v * code.lanes, code.item))) for v in vectors]
                for (place, position), o in itertools.product(readers[line], outputs):
                    at = sum(i * step for i, step in zip((*position, k), steps, strict=True)) + o * by_output
                    if at not in spread:
                        spread[at] = code.spread(code.at(weights, (at, 1)))
                    for v in vectors:
                        code.add_product(sums[o, place, v, phase], pixel[v], spread[at])

    pieces = pieces_of(lines, MOST_POSITIONS * last.period, code.item)

    def channel(phase: int, number: str) -> None:
        pixels, weights = code.at("%pixels", (number, lines.plane)), code.at("%weights", (number, lines.by_channel))
        over_kernel(code, pieces, pixels, weights, lambda *given: piece(phase, *given))

    for phase in phases:  # one after the other: the sums of one are in registers
        if any(lines.read(phase, k) for k in range(last.kernel)):
            code.loop(lines.channels, lambda number, phase=phase: channel(phase, number))
    for (o, place, v), j in itertools.product(itertools.product(outputs, places, vectors), phases):
        first = (v * last.period + j) * code.lanes
        lanes = [(i % last.period, i // last.period) for i in range(j * code.lanes, (j + 1) * code.lanes)]
        if first < tile.width:
            found = [code.read(sums[o, place, v, phase]) for phase in phases]
            offset = sum(
                (i - start) * step for i, start, step in zip(place, tile.phases, lines.result_steps, strict=False)
            )
            to = code.at("%out", (o, lines.result), (offset, 1), (first, code.item))
            code.store(code.picked(found, lanes), to, min(code.lanes, tile.width - first))
    return code.function(f"internal void {tile.name}(ptr noalias %pixels, ptr noalias %weights, ptr noalias %out)")
