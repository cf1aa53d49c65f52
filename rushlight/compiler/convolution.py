"""Convolution without copies of windows: kernels of vectors and registers, written for the sizes of an image.

A tile of the result, some neighbouring places times some vectors of output channels, stays in registers while all
channels and positions of the kernel are added to it: a vector of weights, packed so that output channels are
neighbours, times one pixel, which all lanes get. Pixels are read one by one, so any stride will do. In the end the
tile is turned around in registers, since in memory places are neighbours. Where padding is, an image is copied into a
frame of zeros first.

`Places` says which pixel a place of the result reads for a position in the kernel; a convolution and its derivative
by the images (where with a stride a place reads for some positions only) are one program that differs in this. The
derivative by the weights is in `convolution_weight.py`. A program knows all sizes but the number of images. Left out:
groups.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rushlight.compiler.module import Module
from rushlight.compiler.vectors import ATTRIBUTES, Vectors, registers_of

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
        channels: of the images that are read. outputs: of those that are written.
        axes: the places along each axis. dtype: of all arrays.
    """

    channels: int
    outputs: int
    axes: tuple[Places, ...]
    dtype: np.dtype

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
        parts = [min(WIDTH * lanes, self.outputs - i) for i in range(0, self.outputs, WIDTH * lanes)]
        return [(-(-part // lanes), part) for part in parts]

    # Sizes in bytes: of a channel of an image, of its frame and of the result; of the packed weights of a (channel,
    # position); of all packed weights; of a frame, if there is one.

    @cached_property
    def image(self) -> int:
        return math.prod([axis.size for axis in self.axes]) * self.dtype.itemsize

    @cached_property
    def plane(self) -> int:
        return math.prod([axis.length for axis in self.axes]) * self.dtype.itemsize

    @cached_property
    def result(self) -> int:
        return math.prod([axis.count for axis in self.axes]) * self.dtype.itemsize

    @cached_property
    def row(self) -> int:
        return self.blocks[0][0] * registers_of(self.dtype.itemsize)[0] * self.dtype.itemsize

    @cached_property
    def packed(self) -> int:
        return len(self.blocks) * self.channels * len(self.positions) * self.row

    @cached_property
    def frame(self) -> int:
        return rounded(self.channels * self.plane) if self.plane != self.image else 0

    @cached_property
    def image_steps(self) -> Sizes:
        return steps_of([axis.size for axis in self.axes], self.dtype.itemsize)

    @cached_property
    def frame_steps(self) -> Sizes:
        return steps_of([axis.length for axis in self.axes], self.dtype.itemsize)

    @cached_property
    def result_steps(self) -> Sizes:
        return steps_of([axis.count for axis in self.axes], self.dtype.itemsize)


def steps_of(lengths: list[int], first: int) -> Sizes:
    """Bytes from an element to the next along each axis."""
    return tuple([math.prod(lengths[i + 1 :]) * first for i in range(len(lengths))])


def rounded(size: int) -> int:
    return -(-size // LINE) * LINE


# ---------------------------------------------------------------- what both kinds of program do


def with_block(code: Vectors, shape: Shape, number: str, body: Callable[[int, int], None]) -> None:
    """`body(vectors, outputs)` for the block of that number: the last one may be smaller."""
    kinds = list(dict.fromkeys(shape.blocks))
    if len(kinds) == 1:
        body(*kinds[0])
        return
    for kind, relation in zip(kinds, ("ne", "eq"), strict=True):
        is_it = code.define(f"icmp {relation} i64 {number}, {len(shape.blocks) - 1}")
        code.when(is_it, lambda kind=kind: body(*kind))


def fill(code: Vectors, shape: Shape, image: str, frame: str) -> None:
    """Copies an image into a frame whose margins are zeros already."""

    def along(number: int, source: str, target: str) -> None:
        axis, steps = shape.axes[number], (shape.image_steps[number], shape.frame_steps[number])
        target = code.at(target, (axis.before, steps[1]))
        if number == len(shape.axes) - 1:
            code.copy(target, source, axis.size * code.item)
        else:
            code.loop(
                axis.size, lambda i: along(number + 1, code.at(source, (i, steps[0])), code.at(target, (i, steps[1])))
            )

    code.loop(shape.channels, lambda c: along(0, code.at(image, (c, shape.image)), code.at(frame, (c, shape.plane))))


# ---------------------------------------------------------------- images from images and weights


def images_text(shape: Shape) -> str:
    """The functions `pack(table, block)` and `images(table, chunk)`."""
    module = Module()
    module.parts["pack"] = _pack(module, shape)
    module.parts["images"] = _images(module, shape)
    module.parts["attributes"] = ATTRIBUTES
    return module.text()


def images_scratch(shape: Shape, chunks: int) -> int:
    """Bytes of scratch memory: packed weights, and a frame for each chunk."""
    return rounded(shape.packed) + chunks * shape.frame


def _pack(module: Module, shape: Shape) -> str:
    """The weights of a block of outputs as (channels, positions, outputs)."""
    code, num_positions = Vectors(module, shape.dtype), len(shape.positions)
    by_output, by_channel = shape.channels * num_positions * code.item, num_positions * code.item
    if shape.axes[0].is_transposed:
        by_output, by_channel = num_positions * code.item, shape.outputs * num_positions * code.item
    width = shape.row // code.item
    source = code.at(code.slot(FACTOR), ("%chunk", width * by_output))
    target = code.at(code.slot(SCRATCH), ("%chunk", shape.packed // len(shape.blocks)))
    left = code.define(f"sub i64 {shape.outputs}, {code.define(f'mul i64 %chunk, {width}')}")
    there = code.minimum(left, width)

    def pack(channel: str) -> None:
        rows = code.at(target, (channel, num_positions * shape.row))

        def one(output: str) -> None:
            read = code.at(source, (output, by_output), (channel, by_channel))
            write = code.at(rows, (output, code.item))
            for k in range(num_positions):
                number = code.define(f"load {code.number}, ptr {code.at(read, (k, code.item))}")
                code.do(f"store {code.number} {number}, ptr {code.at(write, (k, shape.row))}")

        def none(output: str) -> None:
            write = code.at(rows, (output, code.item))
            for k in range(num_positions):
                code.do(f"store {code.number} 0.0, ptr {code.at(write, (k, shape.row))}")

        code.loop(there, one)
        code.loop(width, none, start=there)

    code.loop(shape.channels, pack)
    return code.function("void @pack(ptr %table, i64 %chunk)")


def _images(module: Module, shape: Shape) -> str:
    """A chunk of all pairs (image, block of outputs)."""
    code = Vectors(module, shape.dtype)
    num_blocks, packed = len(shape.blocks), code.slot(SCRATCH)
    frame = code.at(packed, (rounded(shape.packed), 1), ("%chunk", shape.frame))
    if shape.frame:
        code.clear(frame, shape.frame)
    images, out = code.slot(IMAGES), code.slot(OUT)
    pieces = code.define(f"mul i64 {code.slot(BATCH, 'i64')}, {num_blocks}")
    first, last = code.share("%chunk", code.slot(PARTS, "i64"), pieces)

    def one(piece: str) -> None:
        number, block = (code.define(f"{name} i64 {piece}, {num_blocks}") for name in ("udiv", "urem"))
        image = code.at(images, (number, shape.channels * shape.image))
        if shape.frame:
            is_new, is_first = (code.define(f"icmp eq i64 {pair}") for pair in (f"{block}, 0", f"{piece}, {first}"))
            code.when(code.define(f"or i1 {is_new}, {is_first}"), lambda: fill(code, shape, image, frame))
        weights = code.at(packed, (block, shape.packed // num_blocks))
        target = code.at(out, (number, shape.outputs * shape.result), (block, shape.row // code.item * shape.result))
        pixels = frame if shape.frame else image
        with_block(code, shape, block, lambda *kind: _call_tiles(code, shape, kind, pixels, weights, target))

    code.loop(last, one, start=first)
    return code.function("void @images(ptr %table, i64 %chunk)")


@dataclass(frozen=True)
class _Tile:
    """Neighbouring places times vectors of output channels.

    Attributes:
        phases: the first place along each axis, less whole periods. sizes: how many places along each axis.
        num_vectors, num_outputs: of the channels; the last vector may have more lanes than there are outputs.
    """

    phases: Sizes
    sizes: Sizes
    num_vectors: int
    num_outputs: int

    @property
    def name(self) -> str:
        return "_".join(["@tile", *map(str, (*self.phases, *self.sizes, self.num_vectors, self.num_outputs))])

    @property
    def places(self) -> list[Sizes]:
        ranges = (range(phase, phase + size) for phase, size in zip(self.phases, self.sizes, strict=True))
        return list(itertools.product(*ranges))


def _runs(shape: Shape) -> list[list[Run]]:
    """The tiles along each axis: pieces of lines, or whole lines, several if they are short.

    A tile, the weights and the pixels that neighbouring positions of the kernel share are all in registers.
    """
    width, last = shape.blocks[0][0], shape.axes[-1]
    most = registers_of(shape.dtype.itemsize)[1] - width
    runs = [axis.lines() for axis in shape.axes]
    runs[-1] = last.tiles((most - last.kernel + 1) // (width + 1))
    if len(runs) > 1 and len(runs[-1]) == runs[-1][0].times == 1:
        num_lines = most // (last.count * (width + 1) + last.kernel - 1)
        if num_lines > shape.axes[-2].period:
            runs[-2] = shape.axes[-2].tiles(num_lines)
    return runs


def _call_tiles(code: Vectors, shape: Shape, block: tuple[int, int], pixels: str, weights: str, target: str) -> None:
    """All tiles of a block of outputs of an image."""
    all_runs = _runs(shape)

    def along(chosen: tuple[Run, ...], read: str, write: str) -> None:
        number = len(chosen)
        if number == len(shape.axes):
            phases = tuple([run.start % axis.period for run, axis in zip(chosen, shape.axes, strict=True)])
            tile = _Tile(phases, tuple([run.size for run in chosen]), *block)
            code.module.add(tile.name, lambda: _tile(code.module, shape, tile))
            code.do(f"call void {tile.name}(ptr {read}, ptr {weights}, ptr {write})")
            return
        axis, to_pixel, to_place = shape.axes[number], shape.frame_steps[number], shape.result_steps[number]
        to_period = axis.step * to_pixel
        for run in all_runs[number]:
            begin = code.at(read, (run.start // axis.period, to_period)), code.at(write, (run.start, to_place))
            far = run.far // axis.period * to_period, run.far * to_place

            def one(i: str, run: Run = run, begin: tuple[str, str] = begin, far: tuple[int, int] = far) -> None:
                at, to = (code.at(pointer, (i, distance)) for pointer, distance in zip(begin, far, strict=True))
                along((*chosen, run), at, to)

            code.loop(run.times, one)

    along((), pixels, target)


def _tile(module: Module, shape: Shape, tile: _Tile) -> str:
    """A function of pixels, weights and where the result goes."""
    code, vectors = Vectors(module, shape.dtype), range(tile.num_vectors)
    vector = code.lanes * code.item
    places = tile.places
    sums = [[code.variable() for _ in vectors] for _ in places]

    def read_by(place: Sizes, position: Sizes) -> int | None:
        """Where the pixel is that a place reads, in bytes."""
        read = [axis.pixel(i, k) for axis, i, k in zip(shape.axes, place, position, strict=True)]
        parts = zip(read, shape.frame_steps, strict=True)
        return None if None in read else sum(pixel * step for pixel, step in parts if pixel is not None)

    def channel(number: str) -> None:
        pixels = code.at("%pixels", (number, shape.plane))
        weights = code.at("%weights", (number, len(shape.positions) * shape.row))
        for k, position in enumerate(shape.positions):
            reads = [read_by(place, position) for place in places]
            if all(read is None for read in reads):
                continue
            weight = [code.load(code.at(weights, (k, shape.row), (v, vector))) for v in vectors]
            for variables, read in zip(sums, reads, strict=True):
                if read is not None:
                    pixel = code.spread(code.at(pixels, (read, 1)))
                    for v in vectors:
                        code.add_product(variables[v], weight[v], pixel)

    code.loop(shape.channels, channel)
    for v, first in itertools.product(vectors, range(0, len(places), code.lanes)):
        rows = code.turned([code.read(variables[v]) for variables in sums[first : first + code.lanes]])
        for i, row in enumerate(rows[: tile.num_outputs - v * code.lanes]):
            place = code.at("%out", (v * code.lanes + i, shape.result), (first, code.item))
            code.store(row, place, min(code.lanes, len(places) - first))
    return code.function(f"internal void {tile.name}(ptr noalias %pixels, ptr noalias %weights, ptr noalias %out)")
