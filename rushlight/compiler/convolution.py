"""Convolution without copies of windows: kernels of vectors and registers, written for the sizes of an image.

A tile of the result, some neighbouring places times some vectors of output channels, stays in registers while all
channels and positions of the kernel are added to it: a vector of weights, packed so that output channels are
neighbours, times one pixel, which all lanes get. Pixels are read one by one, so any stride will do. In the end the
tile is turned around in registers, since in memory places are neighbours.

A convolution and its derivative by the images are one program (`convolution_shape.py` says how they differ); the
derivative by the weights is in `convolution_weight.py`. A program knows all sizes but the number of images. Where
there are fewer outputs in a group than lanes in a vector, `convolution_lines.py` is quicker. Where lines are short for it, or
kernels one long line, the channels of a depthwise convolution are the lanes, of pixels too: frames are *turned*.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from rushlight.compiler.convolution_shape import (
    BATCH,
    FACTOR,
    IMAGES,
    OUT,
    PARTS,
    SCRATCH,
    Run,
    Shape,
    Sizes,
    fill,
    over_kernel,
    pieces_of,
    rounded,
    steps_of,
    with_block,
)  # fmt: skip
from rushlight.compiler.module import Module
from rushlight.compiler.vectors import ATTRIBUTES, Vectors, registers_of

MOST_POSITIONS = 16  # of a line of the kernel that are written out
MOST_SHARED = 10  # pixels that neighbouring places read, in registers

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
    return rounded(shape.groups * len(shape.blocks) * shape.packed) + chunks * shape.frame


def _pack(module: Module, shape: Shape) -> str:
    """The weights of a block of outputs of a group as (channels, positions, outputs)."""
    code, num_positions = Vectors(module, shape.dtype), len(shape.positions)
    width, last = shape.row // code.item, shape.kernel[-1]
    group, block = code.divided("%chunk", len(shape.blocks))
    source = code.at(code.slot(FACTOR), (group, shape.num_weights * code.item), (block, width * shape.by_output))
    target = code.at(code.slot(SCRATCH), ("%chunk", shape.packed))
    left = code.define(f"sub i64 {shape.outputs}, {code.define(f'mul i64 {block}, {width}')}")
    there = code.minimum(left, width)

    def pack(line: str) -> None:  # of the kernel, of a channel
        channel, k = code.divided(line, num_positions // last)
        lines = code.at(target, (line, last * shape.row))
        first = code.at(source, (channel, shape.by_channel), (k, last * code.item))

        def one(output: str) -> None:
            read, write = code.at(first, (output, shape.by_output)), code.at(lines, (output, code.item))
            for i in range(last):
                number = code.define(f"load {code.number}, ptr {code.at(read, (i, code.item))}")
                code.do(f"store {code.number} {number}, ptr {code.at(write, (i, shape.row))}")

        def none(output: str) -> None:
            write = code.at(lines, (output, code.item))
            for i in range(last):
                code.do(f"store {code.number} 0.0, ptr {code.at(write, (i, shape.row))}")

        code.loop(there, one)
        code.loop(width, none, start=there)

    code.loop(shape.channels * num_positions // last, pack)
    return code.function("void @pack(ptr %table, i64 %chunk)")


def _images(module: Module, shape: Shape) -> str:
    """A chunk of all pairs (image of a group, block of its outputs)."""
    code = Vectors(module, shape.dtype)
    num_blocks, packed = len(shape.blocks), code.slot(SCRATCH)
    frame = code.at(packed, (images_scratch(shape, 0), 1), ("%chunk", shape.frame))
    if shape.frame:
        code.clear(frame, shape.frame)
    images, out = code.slot(IMAGES), code.slot(OUT)
    pieces = code.define(f"mul i64 {code.slot(BATCH, 'i64')}, {shape.groups * num_blocks}")
    first, last = code.share("%chunk", code.slot(PARTS, "i64"), pieces)

    def one(piece: str) -> None:
        number, block = code.divided(piece, num_blocks)
        image = code.at(images, (number, shape.all_channels))
        if shape.frame and not shape.is_turned:
            is_new, is_first = (code.define(f"icmp eq i64 {pair}") for pair in (f"{block}, 0", f"{piece}, {first}"))
            code.when(code.define(f"or i1 {is_new}, {is_first}"), lambda: fill(code, shape, image, frame))
        weights = code.at(packed, (code.divided(piece, shape.groups * num_blocks)[1], shape.packed))
        target = code.at(out, (number, shape.outputs * shape.result), (block, shape.row // code.item * shape.result))
        pixels = frame if shape.frame else image

        def some(num_vectors: int, num_outputs: int) -> None:
            if shape.is_turned:
                planes = code.at(image, (block, shape.row // code.item * shape.image))
                fill(code, shape, planes, frame, 1, lambda to, read: _turn_line(code, shape, num_outputs, to, read))
            _call_tiles(code, shape, (num_vectors, num_outputs), pixels, weights, target)

        with_block(code, shape, block, some)

    code.loop(last, one, start=first)
    return code.function("void @images(ptr %table, i64 %chunk)")


def _turn_line(code: Vectors, shape: Shape, num_outputs: int, target: str, source: str) -> None:
    """Copies a line of the channels of a block of outputs: the pixels of a place will be neighbours."""
    last = shape.axes[-1]

    def some(i: int | str, num: int) -> None:
        read = code.at(source, (i, code.lanes * code.item))
        write = code.at(target, (last.before, shape.row), (i, code.lanes * shape.row))
        rows = [code.load(code.at(read, (output, shape.image)), num) for output in range(num_outputs)]
        for place, row in enumerate(code.turned(rows)[:num]):
            code.store(row, code.at(write, (place, shape.row)))

    full, rest = divmod(last.size, code.lanes)
    code.loop(full, lambda i: some(i, code.lanes))
    if rest:
        some(full, rest)


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
    shared = min(last.kernel - 1, MOST_SHARED)
    runs[-1] = last.tiles((most - shared) // (width + 1))
    if len(runs) > 1 and len(runs[-1]) == runs[-1][0].times == 1:
        num_lines = most // (last.count * (width + (not shape.is_turned)) + shared)
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

    steps = steps_of(shape.kernel, shape.row)
    pieces = pieces_of(shape, min(MOST_POSITIONS, shape.kernel[-1]), shape.row)

    def piece(pixels: str, weights: str, ranges: list[range]) -> None:
        for position in itertools.product(*ranges):
            reads = [read_by(place, position) for place in places]
            if all(read is None for read in reads):
                continue
            row = sum(k * step for k, step in zip(position, steps, strict=True))
            weight = [code.load(code.at(weights, (row, 1), (v, vector))) for v in vectors]
            for variables, read in zip(sums, reads, strict=True):
                if read is not None:
                    at = code.at(pixels, (read, 1))
                    pixel = code.load(at) if shape.is_turned else code.spread(at)
                    for v in vectors:
                        code.add_product(variables[v], weight[v], pixel)

    def channel(number: str) -> None:
        pixels = code.at("%pixels", (number, shape.plane))
        weights = code.at("%weights", (number, len(shape.positions) * shape.row))
        over_kernel(code, pieces, pixels, weights, piece)

    if any(read_by(place, position) is not None for place in places for position in shape.positions):
        code.loop(shape.channels, channel)
    place = code.allocate(f"[{len(places)} x {code.kind}]")
    for v in vectors:
        for i, variables in enumerate(sums):
            code.store(code.read(variables[v]), code.at(place, (i, vector)))
        num_outputs = min(code.lanes, tile.num_outputs - v * code.lanes)
        name = f"@turn_{len(places)}_{num_outputs}"
        module.add(name, lambda name=name, num=num_outputs: _turn(module, shape, len(places), num, name))
        code.do(f"call void {name}(ptr {place}, ptr {code.at('%out', (v * code.lanes, shape.result))})")
    return code.function(f"internal void {tile.name}(ptr noalias %pixels, ptr noalias %weights, ptr noalias %out)")


def _turn(module: Module, shape: Shape, num_places: int, num_outputs: int, name: str) -> str:
    """A vector of outputs for each place, to outputs whose places are neighbours."""
    code = Vectors(module, shape.dtype)
    for first in range(0, num_places, code.lanes):
        num = min(code.lanes, num_places - first)
        rows = code.turned([code.load(code.at("%from", (first + i, code.lanes * code.item))) for i in range(num)])
        for i, row in enumerate(rows[:num_outputs]):
            code.store(row, code.at("%to", (i, shape.result), (first, code.item)), num)
    return code.function(f"internal void {name}(ptr noalias %from, ptr noalias %to)")
