"""Elementwise graphs on arrays of any length: a nest compiled for one block, run over all blocks on all cores.

Other programs are made for one shape. What is elementwise needs no shape: arrays of one shape that lie in memory
without gaps are rows of blocks. So one program, compiled once, serves every length (see `calls.py` for the call).
"""

from __future__ import annotations

import ctypes
import functools
import platform

from rushlight.compiler import calls, workers
from rushlight.compiler.fuse import fuse
from rushlight.compiler.graph import Graph
from rushlight.compiler.llvm import FIRST, FLAG, Addresses, write_nest
from rushlight.compiler.loops import Buffer, Nest
from rushlight.compiler.module import Code, Module
from rushlight.compiler.native import Library
from rushlight.compiler.program import Plan
from rushlight.compiler.schedule import microseconds
from rushlight.compiler.simplify import simplify

BLOCK = 4096  # elements: a multiple of every vector's width
LINE = 64  # bytes of a cache line
# Microseconds: a long array is cut into chunks of CHUNK, since two cores that take turns in small steps get in each
# other's way (in steps of 8 us a tenth slower, and less even); less than SHORT is not worth a turn.
CHUNK, SHORT = 30.0, 6.0


class FlatProgram:
    """`call(*arrays)` for a graph on inputs of shape (BLOCK,) or ().

    Args:
        in_place: the output is written to the first input, and only whole blocks are computed: the elements after the
            last whole block are the caller's to do.
    """

    block = BLOCK

    def __init__(self, graph: Graph, nest: Nest, plan: Plan, in_place: bool):
        buffers = [*plan.inputs, *plan.outputs]
        slots = {buffer: FIRST + i for i, buffer in enumerate(buffers)}
        length_slot = FIRST + len(buffers)
        self._table = (ctypes.c_int64 * (length_slot + 2))()
        self._flag = ctypes.c_int64(0)
        self._table[FLAG] = ctypes.addressof(self._flag)
        module = Module()
        written = plan.inputs[0] if in_place else plan.outputs[0]
        write_nest(module, nest, _FlatAddresses(slots, length_slot, written, in_place))
        module.parts["flat"] = _over_blocks(nest, length_slot, in_place)
        self._library = Library(module.text())
        job = workers.Job([(self._library.address("flat"), 1)], ctypes.addressof(self._table))

        def item(node, buffer):
            return calls.Argument(slots[buffer], node.dtype, node.shape if node.shape == () else None)

        arguments = [item(node, buffer) for node, buffer in zip(graph.inputs, plan.inputs, strict=True)]
        results = [item(node, buffer) for node, buffer in zip(graph.outputs, plan.outputs, strict=True)]
        model = next(i for i, node in enumerate(graph.inputs) if node.shape)
        most, least = (max(1, round(time / microseconds(nest))) for time in (CHUNK, SHORT))
        cut = calls.Flat(BLOCK, most, least, length_slot, model)
        places = ctypes.addressof(self._table), ctypes.addressof(self._flag)
        owner = self._table, self._flag, self._library
        self.call = calls.build_call(*places, job.record, 0, arguments, [] if in_place else results, owner, cut)


def build_flat(graph: Graph) -> FlatProgram | None:
    """A program for arrays of any length; None if the graph is not one elementwise nest."""
    if not calls.layout_holds():
        return None
    keep_freed_memory()
    plan = Plan(fuse(simplify(graph)))
    plan.lower()
    work = [work for _, work in plan.work]
    if len(work) != 1 or not isinstance(work[0], Nest):
        return None
    (nest,) = work
    flat = not nest.rows and nest.columns == (BLOCK,) and all(root.op == "store" for root in nest.roots)
    if not flat or plan.constants or any(node.shape != (BLOCK,) for node in graph.outputs):
        return None
    return FlatProgram(graph, nest, plan, graph.targets != [None] * len(graph.outputs))


@functools.cache
def keep_freed_memory() -> None:
    """Sets glibc's malloc to where it gets by itself once a program has freed 32 MB in one piece.

    Until then it may give the memory of each large result back to the system, and take it again, zeroed page by page, for
    the next: adding 100,000 floats takes 60 us instead of 25 while that lasts.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(M_TRIM_THRESHOLD, 64 << 20)


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class _FlatAddresses(Addresses):
    """Buffers of a block begin where the block does whose number is `%chunk`.

    The second block and those after it begin so that the first result is written to whole cache lines (arrays in
    large pieces of memory all lie 16 bytes behind a page, so loads are then aligned too: a fifth of an addition's time).
    """

    def __init__(self, slots: dict[Buffer, int], length_slot: int, written: Buffer, in_place: bool):
        super().__init__(slots, {})
        self.length_slot, self.written, self.in_place = length_slot, written, in_place

    def pointer(self, code: Code, buffer: Buffer) -> str:
        data = super().pointer(code, buffer)
        if buffer.size == 1:
            return data
        start = code.define(f"mul i64 %chunk, {BLOCK}")
        if not self.in_place:
            start = self._overlapping_start(code, start)
        offset = code.define(f"mul i64 {start}, {buffer.dtype.itemsize}")
        return code.define(f"getelementptr i8, ptr {data}, i64 {offset}")

    def _overlapping_start(self, code: Code, start: str) -> str:
        size = self.written.dtype.itemsize
        address = code.define(f"ptrtoint ptr {super().pointer(code, self.written)} to i64")
        within = code.define(f"and i64 {address}, {LINE - 1}")
        shift = code.define(f"udiv i64 {within}, {size}")
        is_first = code.define("icmp eq i64 %chunk, 0")
        shifted = code.define(f"sub i64 {start}, {shift}")
        place = code.define(f"getelementptr i64, ptr %table, i64 {self.length_slot}")
        length = code.define(f"load i64, ptr {place}")
        latest = code.define(f"sub i64 {length}, {BLOCK}")
        is_late = code.define(f"icmp sgt i64 {shifted}, {latest}")
        whole = code.define(f"select i1 {is_late}, i64 {latest}, i64 {shifted}")
        return code.define(f"select i1 {is_first}, i64 0, i64 {whole}")


def _over_blocks(nest: Nest, length_slot: int, in_place: bool) -> str:
    """The function of a chunk: the nest on each of its blocks."""
    return f"""define void @flat(ptr %table, i64 %chunk) {{
entry:
  %length_at = getelementptr i64, ptr %table, i64 {length_slot}
  %per_at = getelementptr i64, ptr %table, i64 {length_slot + 1}
  %length = load i64, ptr %length_at
  %per = load i64, ptr %per_at
  %above = add i64 %length, {0 if in_place else BLOCK - 1 + LINE}
  %blocks = udiv i64 %above, {BLOCK}
  %first = mul i64 %chunk, %per
  %end = add i64 %first, %per
  %is_beyond = icmp ugt i64 %end, %blocks
  %stop = select i1 %is_beyond, i64 %blocks, i64 %end
  br label %loop
loop:
  %block = phi i64 [ %first, %entry ], [ %block_next, %work ]
  %more = icmp ult i64 %block, %stop
  br i1 %more, label %work, label %done
work:
  call void @{nest.name}(ptr %table, i64 0, i64 {BLOCK // nest.width}, i64 %block)
  %block_next = add i64 %block, 1
  br label %loop
done:
  ret void
}}"""
