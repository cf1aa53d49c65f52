"""Fourth pass, on a GPU: a nest as CUDA C++ kernels.

A nest is split into parts (`cuda_split.py`), and each part is one kernel, or two where a sum is made of partial sums:

- map: a thread computes a chunk of neighbouring elements;
- rows (`cuda_rows.py`): a team of threads computes a row;
- reduce (`cuda_reduce.py`): threads share the dimensions that are summed over;
- scatter: a thread writes, in order, all that may meet at one place.

No atomic operations: the numbers are the same in every run. Shapes are static, and nothing depends on the device but what
the compiler makes of the source.
"""

from __future__ import annotations

import math

from rushlight.compiler.cuda_chunk import Chunk, Writer, lanes_for
from rushlight.compiler.cuda_kernel import (
    BLOCK,
    MAX_BLOCKS,
    SCALAR_MAP,
    WARP,
    Kernel,
    chunk_indices,
    define_scalars,
    finish,
    writer_for,
)
from rushlight.compiler.cuda_reduce import write_reduce
from rushlight.compiler.cuda_rows import write_rows
from rushlight.compiler.cuda_split import Part, is_same_number, split_nest, values_of
from rushlight.compiler.loops import Buffer, Nest


def write_nest(nest: Nest, taken: int = 0) -> tuple[list[Kernel], list[Buffer]]:
    """The kernels of a nest, in order, and the buffers that they need between them, numbered below `taken`."""
    parts, buffers = split_nest(nest, taken)
    kernels = []
    for part in parts:
        if part.kind == "reduce":
            kernels += write_reduce(part, buffers, taken)
        else:
            kernels.append(WRITERS[part.kind](part))
    return kernels, buffers


# ---------------------------------------------------------------- map


def _write_map(part: Part) -> Kernel:
    writer = writer_for(part, extra=MAX_BLOCKS * BLOCK * 4)
    define_scalars(writer, part)
    domain, size = part.domain, math.prod(part.domain)
    lanes = 1
    if size >= SCALAR_MAP:
        lanes = lanes_for(domain[-1], len(domain) - 1, [*values_of(part.roots), *part.roots], len(domain) > 1)
    count = -(-size // lanes)
    block = min(BLOCK, -(-count // WARP) * WARP)
    writer.open(
        f"for (index_t i = blockIdx.x * (index_t){block} + threadIdx.x; i < {count}; i += gridDim.x * (index_t){block})"
    )
    indices = chunk_indices(writer, "i", list(domain), lanes)
    left = _left(writer, indices, domain, lanes)
    writer.chunk(Chunk(indices, lanes, left, roots=part.roots))
    writer.close()
    return finish(writer, (min(-(-count // block), MAX_BLOCKS), 1), block)


def _left(writer: Writer, indices: list[str], domain: tuple[int, ...], lanes: int) -> str | None:
    if not domain or domain[-1] % lanes == 0:
        return None
    left = writer.fresh("left")
    writer.put(f"const index_t {left} = {domain[-1]} - {indices[-1]};")
    return left


# ---------------------------------------------------------------- scatter


def _write_scatter(part: Part) -> Kernel:
    """A thread for each place that nothing else can write to: it walks, in order, over all that may be written there."""
    (root,) = part.roots
    apart = {d for d, c in enumerate(root.address[1:]) if c}
    for value, _ in root.indices:
        if is_same_number(value):
            apart |= value.dims
    meeting = [d for d in range(len(part.domain)) if d not in apart]
    parallel = [d for d in range(len(part.domain)) if d in apart]
    if not meeting:
        return _write_map(part)
    writer = writer_for(part, extra=MAX_BLOCKS * BLOCK)
    define_scalars(writer, part)
    count = math.prod(part.domain[d] for d in parallel)
    block = min(BLOCK, -(-count // WARP) * WARP)
    writer.open(
        f"for (index_t i = blockIdx.x * (index_t){block} + threadIdx.x; i < {count}; i += gridDim.x * (index_t){block})"
    )
    indices = dict(zip(parallel, writer.decode("i", [part.domain[d] for d in parallel]), strict=True))
    before = dict(writer.names)
    writer.open(f"for (index_t j = 0; j < {math.prod(part.domain[d] for d in meeting)}; ++j)")
    indices |= zip(meeting, writer.decode("j", [part.domain[d] for d in meeting]), strict=True)
    writer.chunk(Chunk([indices[d] for d in range(len(part.domain))], 1, roots=part.roots))
    writer.close()
    writer.names = before
    writer.close()
    return finish(writer, (min(-(-count // block), MAX_BLOCKS), 1), block)


WRITERS = {"map": _write_map, "rows": write_rows, "scatter": _write_scatter}
