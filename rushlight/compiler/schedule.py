"""How work is cut and ordered: phases of work that does not depend on one another, each cut into chunks.

Chunks depend on sizes alone, never on the number of threads, so results do not either. A program of a few
tens of microseconds stays whole: one function, one thread. A chunked nest sums into a partial result per
chunk, and a small nest in a later phase combines them. A product is cut into few chunks, since BLAS packs an operand anew for
every one (1024 x 2048 x 256: 2.8 ms in 4 chunks, 3.3 in 16).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from rushlight.compiler.elements import CHEAP
from rushlight.compiler.fuse import Unit
from rushlight.compiler.loops import COLUMN, Buffer, Nest, Root, Stage, Value
from rushlight.compiler.products import Product

SMALL_PROGRAM = 40.0  # microseconds: less is not worth waking a second thread
NEST_CHUNK = 50.0
LONG_PROGRAM = 400.0  # is worth waking one before it is begun
FLOPS = 60e3  # of a product, in a microsecond on one core that is not a quick one
PRODUCT_HALVES = 200.0  # from here on two threads share a product
PRODUCT_CHUNK = 4000.0  # it is cut into more pieces than two if these are so long
MIN_PRODUCT_SIZE = 128  # rows or columns
ALIGNMENT = 16  # of a product's chunks: the rows and columns that BLAS's kernels take at once
MAX_CHUNKS = 32
MAX_PARTIAL = 1 << 20  # elements


@dataclass(eq=False)
class Task:
    """A nest or a product, the range it runs over, and the number of chunks the range is cut into."""

    work: Nest | Product
    extent: int
    chunks: int

    def bounds(self) -> list[tuple[int, int]]:
        is_cut = isinstance(self.work, Product) and not self.work.batch
        return _bounds(self.extent, self.chunks, ALIGNMENT if is_cut else 1)


def _bounds(extent: int, chunks: int, alignment: int) -> list[tuple[int, int]]:
    edges = [extent * i // chunks for i in range(chunks + 1)]
    edges[1:-1] = [edge - edge % alignment for edge in edges[1:-1]]
    return list(itertools.pairwise(edges))


def product_edges(extent: int, flops: int) -> list[tuple[int, int]]:
    """Where a product is cut along its longer side."""
    return _bounds(extent, _num_product_chunks(flops, extent // MIN_PRODUCT_SIZE), ALIGNMENT)


Phase = list[Task]


def schedule(units: list[tuple[Unit, Nest | Product]]) -> list[Phase]:
    """The phases of one native segment."""
    if sum(microseconds(work) for _, work in units) < SMALL_PROGRAM:
        return [[Task(work, extent_of(work), 1)] for _, work in units]
    phases: dict[int, Phase] = {}
    finished: dict[Unit, int] = {}
    for unit, work in units:
        level = max((finished.get(dep, 0) for dep in unit.deps), default=0)
        task = Task(work, extent_of(work), num_chunks(work))
        phases.setdefault(level, []).append(task)
        finished[unit] = level + 1
        if isinstance(work, Nest) and task.chunks > 1:
            combines = [_combine(work, root, task.chunks) for root in work.roots if root.op == "accumulate"]
            if combines:
                phases.setdefault(level + 1, []).extend(Task(nest, extent_of(nest), 1) for nest in combines)
                finished[unit] = level + 2
    ordered = [phases[level] for level in sorted(phases)]
    for phase in ordered:
        phase.sort(key=lambda task: -microseconds(task.work) / task.chunks)
    return ordered


def extent_of(work: Nest | Product) -> int:
    """How far a range goes: rows, or the full parts of a nest without rows, or a product's rows or matrices."""
    if isinstance(work, Product):
        return work.extent
    if work.rows:
        return work.num_rows
    return max(work.columns[-1] // work.width, 1) if work.columns else 1


def microseconds(work: Nest | Product) -> float:
    """A guess at the time on one core."""
    if isinstance(work, Product):
        return work.num_flops / FLOPS
    size = work.num_rows * work.num_columns
    values = [v for stage in work.stages for v in stage.values]
    cost = 0.0
    for value in values:
        if value.op == "load":
            cost += 0.02 * value.dtype.itemsize
        elif value.op == "gather":
            cost += 0.2
        else:
            cost += 0.03 if value.op in CHEAP else 0.5
    cost += sum(0.04 * root.value.dtype.itemsize for root in work.roots)
    return size * cost * 1e-3


def num_chunks(work: Nest | Product) -> int:
    extent = extent_of(work)
    if isinstance(work, Product):
        return _num_product_chunks(work.num_flops, extent if work.batch else extent // MIN_PRODUCT_SIZE)
    if any(root.op == "scatter" for root in work.roots) or (work.unrolled and not work.rows):
        return 1
    chunks = max(1, min(int(microseconds(work) / NEST_CHUNK), extent, MAX_CHUNKS))
    partial = sum(root.buffer.size for root in work.roots if root.op == "accumulate")
    return _even(max(1, min(chunks, MAX_PARTIAL // max(partial, 1))))


def _num_product_chunks(flops: int, most: int) -> int:
    time = flops / FLOPS
    wanted = max(int(time / PRODUCT_CHUNK), 1 + (time > PRODUCT_HALVES))
    return _even(max(1, min(wanted, most, MAX_CHUNKS)))


def _even(chunks: int) -> int:
    """Two threads share an even number best."""
    return chunks if chunks < 2 else chunks - chunks % 2


def _combine(nest: Nest, root: Root, chunks: int) -> Nest:
    """Turns a terminal reduction into partial ones, and makes the nest that combines them."""
    size, dtype = root.buffer.size, root.value.dtype
    partial = Buffer("arena", -1 - root.buffer.number, size * chunks, dtype)
    root.partial = partial
    value = Value("load", [], dtype, frozenset({0, 1}), buffer=partial, address=(0, size, 1), level=COLUMN)
    final = Root("accumulate", value, root.buffer, (0, 0, 1), frozenset({0, 1}), root.kind, level=COLUMN)
    if size == 1:
        final.address = (0, 0, 0)
    name = f"{nest.name}_{nest.roots.index(root)}"
    width = min(16, max(1, size))
    stage = Stage(values=[value], roots=[final])
    return Nest(name, (chunks,), (size,), [], [stage], [final], width, size <= 4 * width)


def touched(work: Nest | Product) -> list[Buffer]:
    """The buffers that work reads or writes."""
    if isinstance(work, Product):
        return [work.a.buffer, work.b.buffer, work.c]
    found = [v.buffer for v in work.values() if v.buffer is not None]
    return found + [root.partial or root.buffer for root in work.roots]
