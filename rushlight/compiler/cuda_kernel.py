"""What all kinds of CUDA kernels have in common: how they are launched, the width of their indices, where a chunk is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rushlight.compiler.cuda_chunk import Writer
from rushlight.compiler.cuda_split import Part, values_of
from rushlight.compiler.loops import SCALAR, Buffer

WARP = 32
BLOCK = 256
MAX_BLOCKS = 1 << 16  # of a grid: what is left over is done by the same threads in turn
SCALAR_MAP = 1 << 15  # elements: fewer are better spread over more threads than read 16 bytes at a time
FAR = 1 << 30  # indices below are computed in 32 bits


@dataclass(eq=False)
class Kernel:
    """A kernel's text, the buffers that are its arguments, and how it is launched."""

    name: str
    text: str
    arguments: list[Buffer]
    finds: bool  # whether indices may be out of bounds: where and by what number it tells them comes after the buffers
    grid: tuple[int, int]
    block: int
    written: set[Buffer]


def writer_for(part: Part, extra: int = 0) -> Writer:
    """With indices of 32 bits where all sizes and addresses allow it."""
    values = values_of(part.roots)
    sizes = [math.prod(part.domain) + extra]
    sizes += [item.buffer.size for item in (*values, *part.roots) if item.buffer is not None]
    return Writer(part.name, len(part.domain), "int" if max(sizes) < FAR else "long long")


def finish(writer: Writer, grid: tuple[int, int], block: int) -> Kernel:
    head = f'extern "C" __global__ void __launch_bounds__({block}) {writer.name}({writer.parameters()}) {{'
    text = "\n".join([head, f"  typedef {writer.index_type} index_t;", *writer.lines, "}"])
    return Kernel(writer.name, text, list(writer.pointers), writer.finds, grid, block, set(writer.written))


def define_scalars(writer: Writer, part: Part) -> None:
    """What is the same for all threads."""
    for value in values_of(part.roots):
        if not value.dims and value.level == SCALAR and value.op != "reduce":
            writer.define(value, ["0"] * len(part.domain))


def chunk_indices(writer: Writer, number: str, sizes: list[int], lanes: int) -> list[str]:
    """The indices of a chunk's first lane, from the chunk's number."""
    if not sizes:
        return []
    *outer, last = writer.decode(number, [*sizes[:-1], -(-sizes[-1] // lanes)])
    if lanes == 1:
        return [*outer, last]
    first = writer.fresh("c")
    writer.put(f"const index_t {first} = {last} * {lanes};")
    return [*outer, first]


def power_above(n: int) -> int:
    """The least power of two that is not below n."""
    return 1 << max(n - 1, 0).bit_length()
