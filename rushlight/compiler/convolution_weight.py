"""The derivative of a convolution by its weights: the outputs at every place times the pixels that it read.

A tile, some (channel, position in the kernel) times the vectors of a block of outputs, stays in registers while some
hundred places are added to it: so few that their outputs stay in the nearest cache. Outputs are turned around first,
so that those of a place are neighbours. A chunk is a block of outputs of a group and a part of the images, which it adds
up to weights of its own; the sums of all parts are turned back.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable
from dataclasses import dataclass

from rushlight.compiler.convolution_shape import (
    BATCH,
    FACTOR,
    IMAGES,
    OUT,
    PARTS,
    SCRATCH,
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
from rushlight.compiler.vectors import ATTRIBUTES, Vectors

PLACES = 256  # that are added to a tile at a time


@dataclass(frozen=True)
class Block:
    """What is added to a tile at a time: some lines of some images.

    Attributes:
        images: how many at most. lines: places along the first axis, of one image or of all of them.
        turned, sums: where the turned outputs and the weights are in the memory of a chunk, after its frames.
        size: of that memory. All three in bytes.
    """

    images: int
    lines: int
    turned: int
    sums: int
    size: int

    @classmethod
    def of(cls, shape: Shape) -> Block:
        count = shape.axes[0].count
        inner = shape.result_steps[0] // shape.dtype.itemsize  # places of a line
        num = -(-count * inner // PLACES)
        lines = -(-count // min(num, count))
        images = max(1, PLACES // (count * inner))
        turned = images * shape.frame
        sums = turned + rounded(images * lines * inner * shape.row)
        return cls(images, lines, turned, sums, sums + rounded(shape.packed))


def weights_text(shape: Shape) -> str:
    """The functions `weights(table, chunk)` and `sums(table, block)`."""
    module = Module()
    module.parts["weights"] = _weights(module, shape)
    module.parts["sums"] = _sums(module, shape)
    module.parts["attributes"] = ATTRIBUTES
    return module.text()


def weights_scratch(shape: Shape, parts: int) -> int:
    """Bytes of scratch memory, if the images are taken in so many parts."""
    return parts * shape.groups * len(shape.blocks) * Block.of(shape).size


def _weights(module: Module, shape: Shape) -> str:
    """A chunk: a part of the images, a group and a block of its outputs. Chunks of a part are next to each other."""
    code, block = Vectors(module, shape.dtype), Block.of(shape)
    scratch = code.at(code.slot(SCRATCH), ("%chunk", block.size))
    turned, sums = code.at(scratch, (block.turned, 1)), code.at(scratch, (block.sums, 1))
    if shape.frame:
        code.clear(scratch, block.turned)
    code.clear(sums, shape.packed)
    of_groups, outputs = code.divided("%chunk", len(shape.blocks))
    part, group = code.divided(of_groups, shape.groups)
    first, last = code.share(part, code.slot(PARTS, "i64"), code.slot(BATCH, "i64"))
    most = code.define(f"add i64 {code.define(f'sub i64 {last}, {first}')}, {block.images - 1}")
    by_group = shape.channels * shape.image, shape.outputs * shape.result
    by_image = shape.groups * by_group[0], shape.groups * by_group[1]
    images, factor = (
        code.at(code.slot(slot), (first, to_image), (group, to_group))
        for slot, to_image, to_group in zip((IMAGES, FACTOR), by_image, by_group, strict=True)
    )
    factor = code.at(factor, (outputs, shape.row // code.item * shape.result))

    def some(number: str) -> None:
        begin = code.define(f"mul i64 {number}, {block.images}")
        left = code.define(f"sub i64 {code.define(f'sub i64 {last}, {first}')}, {begin}")
        num = code.minimum(left, block.images)
        pixels, gradients = (
            code.at(pointer, (begin, step)) for pointer, step in zip((images, factor), by_image, strict=True)
        )
        if shape.frame:
            image, pixels = pixels, scratch
            steps = by_image[0], shape.frame
            code.loop(num, lambda i: fill(code, shape, code.at(image, (i, steps[0])), code.at(scratch, (i, steps[1]))))
        with_block(
            code, shape, outputs, lambda *kind: _add_images(code, shape, kind, num, (pixels, gradients, turned, sums))
        )

    code.loop(code.define(f"udiv i64 {most}, {block.images}"), some)
    return code.function("void @weights(ptr %table, i64 %chunk)")


def _add_images(
    code: Vectors, shape: Shape, kind: tuple[int, ...], num: str, pointers: tuple[str, str, str, str]
) -> None:
    """Adds some images to the sums of a block of outputs."""
    pixels, gradients, turned, sums = pointers
    axis, inner = shape.axes[0], shape.result_steps[0] // code.item

    def some(first: str, lines: int) -> None:
        name = f"@turn_{kind[0]}_{kind[1]}_{lines}"
        code.module.add(name, lambda: _turn(code.module, shape, kind, lines * inner, name))
        line = code.at(gradients, (first, shape.result_steps[0]))

        def turn(i: str) -> None:
            read, write = (
                code.at(line, (i, shape.groups * shape.outputs * shape.result)),
                code.at(turned, (i, lines * inner * shape.row)),
            )
            code.do(f"call void {name}(ptr {read}, ptr {write})")

        code.loop(num, turn)
        read = code.at(pixels, (first, axis.step * shape.frame_steps[0]))
        _call_tiles(code, shape, kind[0], lines, num, (read, turned, sums))

    at_once = Block.of(shape).lines
    full, rest = divmod(axis.count, at_once)
    code.loop(full, lambda i: some(code.define(f"mul i64 {i}, {at_once}"), at_once))
    if rest:
        some(str(full * at_once), rest)


def _turn(module: Module, shape: Shape, kind: tuple[int, ...], count: int, name: str) -> str:
    """Outputs at neighbouring places, which lie as (outputs, places), as (places, outputs)."""
    code, num_outputs = Vectors(module, shape.dtype), kind[1]
    lanes = code.lanes

    def piece(v: str, num_rows: int, first: str, width: int) -> None:
        read = code.at("%from", (v, lanes * shape.result), (first, code.item))
        write = code.at("%to", (first, shape.row), (v, lanes * code.item))
        rows = [code.load(code.at(read, (i, shape.result)), width) for i in range(num_rows)]
        rows += ["zeroinitializer"] * (lanes - num_rows)
        for i, row in enumerate(code.turned(rows)[:width]):
            code.store(row, code.at(write, (i, shape.row)))

    def vector(v: str, num_rows: int) -> None:
        _in_pieces(code, count, lambda first, width: piece(v, num_rows, first, width))

    _over_vectors(code, num_outputs, vector)
    return code.function(f"internal void {name}(ptr noalias %from, ptr noalias %to)")


def _over_vectors(code: Vectors, num_outputs: int, body: Callable[[str, int], None]) -> None:
    """`body(v, outputs)` for the vectors of a block; the last one may have fewer outputs than lanes."""
    full, rest = divmod(num_outputs, code.lanes)
    code.loop(full, lambda v: body(v, code.lanes))
    if rest:
        body(str(full), rest)


def _in_pieces(code: Vectors, count: int, body: Callable[[str, int], None]) -> None:
    """`body(first, width)` for as many whole vectors as there are, and for the rest."""
    full, rest = divmod(count, code.lanes)
    code.loop(full, lambda i: body(code.define(f"mul i64 {i}, {code.lanes}"), code.lanes))
    if rest:
        body(str(full * code.lanes), rest)


# ---------------------------------------------------------------- tiles


@dataclass(frozen=True)
class _Tile:
    """Some channels, of each so many neighbouring positions along each axis of the kernel, times vectors of outputs."""

    channels: int
    sizes: Sizes
    num_vectors: int
    lines: int

    @property
    def name(self) -> str:
        return "_".join(["@add", *map(str, (self.channels, *self.sizes, self.num_vectors, self.lines))])


def _call_tiles(
    code: Vectors, shape: Shape, num_vectors: int, lines: int, num: str, pointers: tuple[str, str, str]
) -> None:
    """Adds lines of some images to the tiles of all channels and positions."""
    pixels, turned, sums = pointers
    num_positions = len(shape.positions)
    most = (code.num_registers - num_vectors - 2) // num_vectors  # (channel, position) in a tile
    at_once = max(1, most // num_positions)
    full, rest = divmod(shape.channels, at_once)
    pieces = pieces_of(shape, most, shape.row)
    by_channel = shape.plane, num_positions * shape.row

    def some(i: str, first: int, channels: int) -> None:
        def call(pixels: str, sums: str, ranges: list[range]) -> None:
            tile = _Tile(channels, tuple(map(len, ranges)), num_vectors, lines)
            code.module.add(tile.name, lambda: _tile(code.module, shape, tile))
            code.do(f"call void {tile.name}(ptr {pixels}, ptr {turned}, ptr {sums}, i64 {num})")

        read, write = (
            code.at(pointer, (first, step), (i, at_once * step))
            for pointer, step in zip((pixels, sums), by_channel, strict=True)
        )
        over_kernel(code, pieces, read, write, call)

    code.loop(full, lambda i: some(i, 0, at_once))
    if rest:
        some("0", shape.channels - rest, rest)


def _tile(module: Module, shape: Shape, tile: _Tile) -> str:
    """Adds the lines of some images to a tile."""
    code, vectors = Vectors(module, shape.dtype), range(tile.num_vectors)
    vector = code.lanes * code.item
    far = [axis.dilation * step for axis, step in zip(shape.axes, shape.frame_steps, strict=True)]
    steps_to = (shape.plane, *far), (len(shape.positions) * shape.row, *steps_of(shape.kernel, shape.row))
    reads, rows = (
        [sum(map(operator.mul, place, steps)) for place in itertools.product(*map(range, (tile.channels, *tile.sizes)))]
        for steps in steps_to
    )
    places = [code.at("%sums", (row, 1)) for row in rows]
    sums = [[code.variable(code.load(code.at(place, (v, vector)))) for v in vectors] for place in places]
    counts = [tile.lines, *[axis.count for axis in shape.axes[1:]]]
    steps = steps_of(counts, shape.row)

    def along(number: int, pixels: str, turned: str) -> None:
        if number < len(counts):
            far = shape.axes[number].step * shape.frame_steps[number], steps[number]
            code.loop(
                counts[number], lambda i: along(number + 1, code.at(pixels, (i, far[0])), code.at(turned, (i, far[1])))
            )
            return
        outputs = [code.load(code.at(turned, (v, vector))) for v in vectors]
        for read, variables in zip(reads, sums, strict=True):
            pixel = code.spread(code.at(pixels, (read, 1)))
            for variable, output in zip(variables, outputs, strict=True):
                code.add_product(variable, output, pixel)

    by_image = shape.frame or shape.groups * shape.channels * shape.image, counts[0] * steps[0]
    code.loop("%images", lambda i: along(0, code.at("%pixels", (i, by_image[0])), code.at("%turned", (i, by_image[1]))))
    for place, variables in zip(places, sums, strict=True):
        for v, variable in enumerate(variables):
            code.store(code.read(variable), code.at(place, (v, vector)))
    arguments = "ptr noalias %pixels, ptr noalias %turned, ptr noalias %sums, i64 %images"
    return code.function(f"internal void {tile.name}({arguments})")


def _sums(module: Module, shape: Shape) -> str:
    """A block of outputs of a group: the sum of all parts' weights, as (outputs, channels, positions)."""
    code, block = Vectors(module, shape.dtype), Block.of(shape)
    count, vector = shape.channels * len(shape.positions), code.lanes * code.item
    parts = code.slot(PARTS, "i64")
    sums = code.at(code.slot(SCRATCH), (block.sums, 1), ("%chunk", block.size))
    group, outputs = code.divided("%chunk", len(shape.blocks))
    out = code.at(code.slot(OUT), (group, shape.num_weights * code.item), (outputs, shape.row * count))

    def piece(v: str, num_outputs: int, first: str, height: int) -> None:
        variables = [code.variable() for _ in range(height)]

        def add(part: str) -> None:
            read = code.at(sums, (part, shape.groups * len(shape.blocks) * block.size), (first, shape.row), (v, vector))
            for i, variable in enumerate(variables):
                part = code.load(code.at(read, (i, shape.row)))
                code.write(variable, code.define(f"fadd {code.kind} {code.read(variable)}, {part}"))

        code.loop(parts, add)
        rows = code.turned([code.read(variable) for variable in variables])
        to = code.at(out, (v, code.lanes * count * code.item), (first, code.item))
        for i, row in enumerate(rows[:num_outputs]):
            code.store(row, code.at(to, (i, count * code.item)), height)

    def vector_of(v: str, num_outputs: int) -> None:
        _in_pieces(code, count, lambda first, height: piece(v, num_outputs, first, height))

    with_block(code, shape, outputs, lambda _, num_outputs: _over_vectors(code, num_outputs, vector_of))
    return code.function("void @sums(ptr %table, i64 %chunk)")
