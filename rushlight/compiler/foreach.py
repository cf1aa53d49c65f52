"""One elementwise program for many sets of arrays, of any lengths: an optimizer's update, compiled once for all parameters.

The graph is that of one set, with arrays of `BLOCK` elements standing for arrays of any length, and scalars. It must
become one flat nest, and nests on scalars before and after it (counting steps, bias corrections). Each set has a table of
pointers and an arena of its own; a chunk of work is a list of (table, range of elements), so that small arrays share one
and large ones are cut. What cannot be done so (reductions, matrix products) is left to programs on whole graphs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy import ndarray

from rushlight.compiler import workers
from rushlight.compiler.binding import LAYOUT_HOLDS
from rushlight.compiler.fuse import fuse
from rushlight.compiler.graph import Graph
from rushlight.compiler.llvm import ARENA, FIRST, FLAG, Addresses, write_nest
from rushlight.compiler.loops import Nest
from rushlight.compiler.memory import plan_arena
from rushlight.compiler.module import Module
from rushlight.compiler.native import library_of
from rushlight.compiler.program import Plan
from rushlight.compiler.schedule import microseconds
from rushlight.compiler.simplify import simplify

BLOCK = 4096
CHUNK = 30.0  # microseconds
MOST = 64  # chunks
RECORD = 5  # numbers in a record: the table, and the ranges of whole vectors and of single elements


class Numbers:
    """Host numbers as scalars that a set can have: `cells` are arrays without dimensions."""

    def __init__(self, count: int):
        self.values = np.zeros(count)
        self.cells = [self.values[i : i + 1].reshape(()) for i in range(count)]

    def write(self, numbers: list[float]) -> None:
        self.values[:] = numbers


class EachProgram:
    """Native code for a graph on one set of arrays. Made by `build_each`."""

    address = staticmethod(id)  # what a table holds of an array
    numbers = Numbers

    def __init__(self, graph: Graph, plan: Plan, nests: list[Nest], flat: int):
        self.nests, self.flat = nests, flat
        self.num_inputs = len(graph.inputs)
        offsets, self.arena_size = plan_arena(
            {buffer: (0, 1) for buffer in plan.buffers.values() if buffer.kind == "arena"}
        )
        slots = {buffer: FIRST + i for i, buffer in enumerate(plan.inputs)}
        self.source = self._write(Addresses(slots, offsets))
        self.library = library_of(self.source)
        self.width = nests[flat].width
        self.per_element = microseconds(nests[flat]) / BLOCK

    def _write(self, addresses: Addresses) -> str:
        module = Module()
        for nest in self.nests:
            write_nest(module, nest, addresses)
        nest = self.nests[self.flat]
        name, width = nest.name, nest.width
        nest.name, nest.width = f"{name}_single", 1
        write_nest(module, nest, addresses)
        nest.name, nest.width = name, width
        for number, scalars in enumerate((self.nests[: self.flat], self.nests[self.flat + 1 :])):
            module.parts[f"scalars{number}"] = _over_tables(f"scalars{number}", scalars)
        module.parts["flat"] = _over_records(nest)
        return module.text()

    def bind(self, sizes: Sequence[int]) -> EachJob:
        """A job for sets of arrays of these lengths."""
        return EachJob(self, sizes)


def build_each(graph: Graph) -> EachProgram | None:
    """The program, or None if the graph is not of this kind."""
    if not LAYOUT_HOLDS or any(target is None for target in graph.targets):
        return None
    plan = Plan(fuse(simplify(graph)))
    plan.lower()
    nests = [work for _, work in plan.work if isinstance(work, Nest)]
    flat = [i for i, nest in enumerate(nests) if nest.columns]
    if len(nests) < len(plan.work) or len(flat) != 1 or plan.constants:
        return None
    nest = nests[flat[0]]
    if nest.rows or nest.columns != (BLOCK,) or nest.unrolled:
        return None
    is_simple = all(root.op == "store" and not root.indices for each in nests for root in each.roots)
    small = all(buffer.size == 1 for buffer in plan.buffers.values() if buffer.kind == "arena")
    return EachProgram(graph, plan, nests, flat[0]) if is_simple and small else None


class EachJob:
    """A program bound to sets of arrays: `tables[set][input]` holds the address of an ndarray."""

    def __init__(self, program: EachProgram, sizes: Sequence[int]):
        self.program, self.first_input = program, FIRST
        count, length = len(sizes), FIRST + program.num_inputs
        self.tables = np.zeros((count, length), np.int64)
        stride = -(-max(program.arena_size, 1) // 64) * 8
        self._arenas, self._flag = np.zeros((count, stride), np.int64), ctypes.c_int64(0)
        self.tables[:, ARENA] = self._arenas.ctypes.data + np.arange(count) * self._arenas.strides[0]
        self.tables[:, FLAG] = ctypes.addressof(self._flag)
        records, bounds = self._cut(sizes)
        self._records, self._bounds = np.array(records, np.int64), np.array(bounds, np.int64)
        self._driver = np.array(
            [
                self.tables.ctypes.data,
                count,
                self.tables.strides[0],
                self._records.ctypes.data,
                self._bounds.ctypes.data,
            ],
            np.int64,
        )
        address = program.library.address
        phases = [(address("scalars0"), 1), (address("flat"), len(bounds) - 1), (address("scalars1"), 1)]
        self._job = workers.Job(phases, self._driver.ctypes.data)
        self.run = self._job.run

    def _cut(self, sizes: Sequence[int]) -> tuple[list[list[int]], list[int]]:
        """Records, and where each chunk's begin: chunks of about equal work."""
        width = self.program.width
        per_chunk = max(CHUNK, self.program.per_element * sum(sizes) / MOST) / self.program.per_element
        per_chunk = max(int(per_chunk) // width, 1) * width
        records, bounds, filled = [], [0], 0
        for number, size in enumerate(sizes):
            table, start = int(self.tables[number].ctypes.data), 0
            while start < size:
                room = (per_chunk - filled) // width * width
                if not room:
                    bounds.append(len(records))
                    filled = 0
                    continue
                stop = min(size, start + room)
                whole = stop - stop % width
                records.append([table, start // width, whole // width, whole, stop])
                filled += stop - start
                start = stop
        if bounds[-1] < len(records):
            bounds.append(len(records))
        return records or [[0] * RECORD], bounds

    def set_array(self, number: int, slot: int, array: ndarray) -> None:
        """Input `slot` of a set; the caller keeps the array alive."""
        self.tables[number, FIRST + slot] = id(array)


# ---------------------------------------------------------------- the loops over sets and over records


def _over_tables(name: str, nests: list[Nest]) -> str:
    """All nests on scalars, for one set after the other."""
    calls = "\n".join(f"  call void @{nest.name}(ptr %table, i64 0, i64 1, i64 0)" for nest in nests)
    return f"""define void @{name}(ptr %driver, i64 %chunk) {{
entry:
  %first = load ptr, ptr %driver
  %count_at = getelementptr i64, ptr %driver, i64 1
  %count = load i64, ptr %count_at
  %stride_at = getelementptr i64, ptr %driver, i64 2
  %stride = load i64, ptr %stride_at
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %next, %work ]
  %more = icmp ult i64 %i, %count
  br i1 %more, label %work, label %done
work:
  %offset = mul i64 %i, %stride
  %table = getelementptr i8, ptr %first, i64 %offset
{calls}
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}}"""


def _over_records(nest: Nest) -> str:
    """The flat nest on the ranges of a chunk's records: whole vectors, then what is left of an array."""
    return f"""define void @flat(ptr %driver, i64 %chunk) {{
entry:
  %records_at = getelementptr i64, ptr %driver, i64 3
  %records = load ptr, ptr %records_at
  %bounds_at = getelementptr i64, ptr %driver, i64 4
  %bounds = load ptr, ptr %bounds_at
  %low_at = getelementptr i64, ptr %bounds, i64 %chunk
  %low = load i64, ptr %low_at
  %high_at = getelementptr i64, ptr %low_at, i64 1
  %high = load i64, ptr %high_at
  br label %loop
loop:
  %i = phi i64 [ %low, %entry ], [ %next, %after ]
  %more = icmp ult i64 %i, %high
  br i1 %more, label %work, label %done
work:
  %offset = mul i64 %i, {RECORD}
  %record = getelementptr i64, ptr %records, i64 %offset
  %table = load ptr, ptr %record
  %a_at = getelementptr i64, ptr %record, i64 1
  %a = load i64, ptr %a_at
  %b_at = getelementptr i64, ptr %record, i64 2
  %b = load i64, ptr %b_at
  %c_at = getelementptr i64, ptr %record, i64 3
  %c = load i64, ptr %c_at
  %d_at = getelementptr i64, ptr %record, i64 4
  %d = load i64, ptr %d_at
  %has_whole = icmp slt i64 %a, %b
  br i1 %has_whole, label %whole, label %rest
whole:
  call void @{nest.name}(ptr %table, i64 %a, i64 %b, i64 0)
  br label %rest
rest:
  %has_rest = icmp slt i64 %c, %d
  br i1 %has_rest, label %single, label %after
single:
  call void @{nest.name}_single(ptr %table, i64 %c, i64 %d, i64 0)
  br label %after
after:
  %next = add i64 %i, 1
  br label %loop
done:
  ret void
}}"""
