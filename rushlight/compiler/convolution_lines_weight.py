"""The derivative of a convolution by its weights, for groups of few outputs: vectors of neighbouring places of a line.

A tile, some outputs times some positions of the kernel, has a sum for each lane in registers while all places of some
images are added to it: a vector of outputs times a vector of the pixels that they read. A *pair*, a channel with the
outputs of its group, has its sums to itself for all images, so pairs are what threads take. In the end the lanes of
each sum are added up.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from rushlight.compiler.convolution_lines import Lines, fill_split
from rushlight.compiler.convolution_shape import (
    BATCH,
    FACTOR,
    IMAGES,
    OUT,
    PARTS,
    SCRATCH,
    Run,
    Sizes,
    over_kernel,
    pieces_of,
    rounded,
    steps_of,
)  # fmt: skip
from rushlight.compiler.module import Module
from rushlight.compiler.vectors import ATTRIBUTES, Vectors

MOST_OUTPUTS = 2  # of a tile
MOST_LINES = 4  # of an image that are written out
AT_ONCE = 1 << 14  # bytes of frames whose images are added at once: they stay in the nearest cache


def lines_weight_scratch(lines: Lines, chunks: int) -> int:
    """Bytes of scratch memory: for each chunk frames of a channel and the sums of a pair."""
    return chunks * (_frames(lines) + _sums(lines))


def _frames(lines: Lines) -> int:
    return _at_once(lines) * rounded(lines.plane) if lines.frame else 0


def _at_once(lines: Lines) -> int:
    """Images that are added at once."""
    return max(1, AT_ONCE // rounded(lines.plane))


def _sums(lines: Lines) -> int:
    return rounded(lines.outputs * len(lines.positions) * lines.lanes * lines.dtype.itemsize)


def lines_weight_text(lines: Lines) -> str:
    """The function `weights(table, chunk)`: a chunk of all pairs."""
    code = Vectors(module := Module(), lines.dtype)
    frames = code.at(code.slot(SCRATCH), ("%chunk", _frames(lines) + _sums(lines)))
    sums, at_once = code.at(frames, (_frames(lines), 1)), _at_once(lines)
    if lines.frame:
        code.clear(frames, _frames(lines))
    images, factor, out, batch = *(code.slot(slot) for slot in (IMAGES, FACTOR, OUT)), code.slot(BATCH, "i64")
    num_pairs = lines.groups * lines.channels
    first, last = code.share("%chunk", code.slot(PARTS, "i64"), str(num_pairs))

    def pair(number: str) -> None:
        group, channel = code.divided(number, lines.channels)
        begin = code.at(images, (number, lines.image)), code.at(factor, (group, lines.outputs * lines.result))
        code.clear(sums, _sums(lines))

        def some(i: str) -> None:
            pixels, gradients = (
                code.at(pointer, (i, at_once * size))
                for pointer, size in zip(
                    begin, (num_pairs * lines.image, lines.groups * lines.outputs * lines.result), strict=True
                )
            )
            num = code.minimum(code.define(f"sub i64 {batch}, {code.define(f'mul i64 {i}, {at_once}')}"), at_once)

            def image(i: str) -> None:
                read, to = code.at(pixels, (i, num_pairs * lines.image)), code.at(frames, (i, rounded(lines.plane)))
                fill_split(code, lines, read, to, channels=1)

            if lines.frame:
                code.loop(num, image)
            _call_tiles(code, lines, frames if lines.frame else pixels, gradients, sums, num)

        code.loop(code.define(f"udiv i64 {code.define(f'add i64 {batch}, {at_once - 1}')}, {at_once}"), some)
        num_positions = len(lines.positions)
        to = code.at(out, (group, lines.num_weights * code.item), (channel, num_positions * code.item))
        _add_lanes(code, lines, sums, to)

    code.loop(last, pair, start=first)
    module.parts["weights"] = code.function("void @weights(ptr %table, i64 %chunk)")
    module.parts["attributes"] = ATTRIBUTES
    return module.text()


def _add_lanes(code: Vectors, lines: Lines, sums: str, out: str) -> None:
    """Writes the sums of the lanes of all sums, which are (outputs, positions)."""
    num_positions, vector = len(lines.positions), code.lanes * code.item

    def some(output: str, first: int | str, size: int) -> None:
        read = code.at(sums, (output, num_positions * vector), (first, code.lanes * vector))
        write = code.at(out, (output, lines.channels * num_positions * code.item), (first, vector))
        rows = [code.load(code.at(read, (i, vector))) for i in range(size)]
        rows = code.turned([*rows, *["zeroinitializer"] * (code.lanes - size)])
        while len(rows) > 1:
            pairs = zip(rows[::2], rows[1::2], strict=True)
            rows = [code.define(f"fadd {code.kind} {a}, {b}") for a, b in pairs]
        code.store(rows[0], write, size)

    full, rest = divmod(num_positions, code.lanes)

    def one(output: str) -> None:
        code.loop(full, lambda i: some(output, i, code.lanes))
        if rest:
            some(output, full, rest)

    code.loop(lines.outputs, one)


@dataclass(frozen=True)
class _Tile:
    """So many neighbouring positions along each axis of the kernel times outputs."""

    sizes: Sizes
    num_outputs: int

    @property
    def name(self) -> str:
        return "_".join(["@add", *map(str, (*self.sizes, self.num_outputs))])


def _call_tiles(code: Vectors, lines: Lines, pixels: str, gradients: str, sums: str, num: str) -> None:
    """Adds so many images to the sums of a pair."""
    vector, num_outputs = code.lanes * code.item, min(MOST_OUTPUTS, lines.outputs)
    pieces = pieces_of(lines, (code.num_registers - 4) // num_outputs, vector)

    def some(i: int | str, outputs: int) -> None:
        def call(pixels: str, sums: str, ranges: list[range]) -> None:
            tile = _Tile(tuple(map(len, ranges)), outputs)
            code.module.add(tile.name, lambda: _tile(code.module, lines, tile))
            code.do(f"call void {tile.name}(ptr {pixels}, ptr {read}, ptr {sums}, i64 {num})")

        read = code.at(gradients, (i, num_outputs * lines.result))
        write = code.at(sums, (i, num_outputs * len(lines.positions) * vector))
        over_kernel(code, pieces, pixels, write, call)

    full, rest = divmod(lines.outputs, num_outputs)
    code.loop(full, lambda i: some(i, num_outputs))
    if rest:
        some(full, rest)


def _tile(module: Module, lines: Lines, tile: _Tile) -> str:
    """A function of pixels, outputs' gradients, sums and the number of images."""
    code, outputs, vector = Vectors(module, lines.dtype), range(tile.num_outputs), lines.lanes * lines.dtype.itemsize
    positions = list(itertools.product(*map(range, tile.sizes)))
    steps = steps_of(lines.kernel, vector)
    places = {
        (o, position): code.at("%sums", (o, len(lines.positions) * vector), *zip(position, steps, strict=True))
        for o, position in itertools.product(outputs, positions)
    }
    sums = {key: code.variable(code.load(place)) for key, place in places.items()}
    *outer, last = lines.axes
    most_lines = max(1, min(MOST_LINES, (code.num_registers - len(sums) - 2) // tile.num_outputs))
    runs = [*[axis.lines() for axis in outer[:-1]], outer[-1].tiles(most_lines)]

    def offset(position: Sizes, line: int) -> int:
        """Where the pixel is that the first place of a line reads, in bytes."""
        *before, k = position
        read = lines.read(0, k)
        assert read is not None
        moved = sum(i * axis.dilation * step for i, axis, step in zip(before, outer, lines.frame_steps, strict=False))
        moved += line * outer[-1].step * lines.frame_steps[-2]
        return moved + (read[0] * lines.span + read[1]) * code.item

    def some_lines(pixels: str, gradients: str, num_lines: int) -> None:
        def add(first: int | str, skipped: int, width: int) -> None:
            """Adds a vector of each line: its lanes from `skipped` on, as far as there are places."""
            read, factor = code.at(pixels, (first, code.item)), code.at(gradients, (first, code.item))
            numbers = range(num_lines)
            given = {
                (line, o): code.load(code.at(factor, (line, lines.result_steps[-2]), (o, lines.result)), width)
                for line, o in itertools.product(numbers, outputs)
            }
            found: dict[int, str] = {}
            for position, line in itertools.product(sorted(positions, key=lambda position: position[::-1]), numbers):
                at = offset(position, line)
                if at not in found:
                    found[at] = code.load(code.at(read, (at, 1)))
                for o in outputs:
                    code.add_product(sums[o, position], given[line, o], found[at], range(skipped, width))

        full, rest = divmod(last.count, code.lanes)
        code.loop(full, lambda i: add(code.define(f"mul i64 {i}, {code.lanes}"), 0, code.lanes))
        if rest and full:
            add(last.count - code.lanes, code.lanes - rest, code.lanes)
        elif rest:
            add(0, 0, rest)

    def along(number: int, pixels: str, gradients: str, num_lines: int) -> None:
        if number == len(runs):
            some_lines(pixels, gradients, num_lines)
            return
        to_pixel, to_place = outer[number].step * lines.frame_steps[number], lines.result_steps[number]
        for run in runs[number]:
            begin = code.at(pixels, (run.start, to_pixel)), code.at(gradients, (run.start, to_place))

            def one(i: str, run: Run = run, begin: tuple[str, str] = begin) -> None:
                moved = code.at(begin[0], (i, run.far * to_pixel)), code.at(begin[1], (i, run.far * to_place))
                along(number + 1, *moved, run.size)

            code.loop(run.times, one)

    to_frame = rounded(lines.plane) if lines.frame else lines.groups * lines.channels * lines.image
    to_image = lines.groups * lines.outputs * lines.result
    code.loop("%images", lambda i: along(0, code.at("%pixels", (i, to_frame)), code.at("%gradients", (i, to_image)), 1))
    for key, place in places.items():
        code.store(code.read(sums[key]), place)
    arguments = "ptr noalias %pixels, ptr noalias %gradients, ptr noalias %sums, i64 %images"
    return code.function(f"internal void {tile.name}({arguments})")
