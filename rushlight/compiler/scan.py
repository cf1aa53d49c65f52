"""A step that is repeated over time, on rows that do not depend on one another: a native loop for any number of rows and times.

`step(*constants, *inputs, *states) -> (*outputs, *states)` is recorded once, for some rows. Whoever takes a chunk of the rows runs all
times for it, so threads never wait for each other, and what belongs to a few rows stays in a core's own cache.

Rows of a state are samples. Inputs and outputs have rows of every sample at every time, wherever these lie: how far it is from one time
to the next, and from one sample to the next, is in the table. So the time (`%chunk` of a nest's arguments) says where a buffer begins.

Left out: steps with anything but elementwise functions of rows and products with constant matrices; `ScanProgram.build` is None for those.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy import ndarray

from rushlight.arrays.recurrent import Times, empty_output
from rushlight.arrays.symbolic import Node
from rushlight.compiler import workers
from rushlight.compiler.binding import DATA_OFFSET, LAYOUT_HOLDS
from rushlight.compiler.elements import is_generated, llvm_type
from rushlight.compiler.flat import keep_freed_memory
from rushlight.compiler.fuse import Fused, fuse
from rushlight.compiler.graph import Graph
from rushlight.compiler.llvm import FIRST, FLAG, Addresses, load_number, load_slot, write_nest
from rushlight.compiler.loops import Buffer, Hazard, Nest
from rushlight.compiler.module import Code, Module
from rushlight.compiler.native import library_of
from rushlight.compiler.panels import Panels, is_packable
from rushlight.compiler.products import Product
from rushlight.compiler.program import Plan
from rushlight.compiler.simplify import simplify

# Rows of a chunk: those of a product's tile; and so many that the matrix is read for enough of them.
MIN_ROWS, MAX_ROWS = 8, 32
ONCE = 16  # rows at all times, up to which putting a matrix in order takes longer than it saves (LSTMCell, 256 wide: 24 us of 68)


class ScanProgram:
    """Runs a recorded step over all times.

    Args:
        counts: how many of the graph's inputs are constants, inputs with a time, and states; and the outputs with a time.
    """

    def __init__(self, plan: Plan, work: list[Nest | Product], counts: tuple[int, int, int, int]):
        self.num_constants, self.num_inputs, self.num_states, self.num_outputs = counts
        inputs = plan.inputs
        self._widths = [node.shape[1] for node in plan.graph.outputs[: self.num_outputs]]
        scratch = [buffer for buffer in plan.buffers.values() if buffer.kind == "arena"]
        self._scratch = [(buffer.size // RECORDED_ROWS, buffer.dtype) for buffer in scratch]
        moving = [*inputs[self.num_constants : -self.num_states], *plan.outputs[: self.num_outputs]]
        buffers = [*inputs, *plan.outputs[: self.num_outputs], *scratch]
        slots = {buffer: FIRST + i for i, buffer in enumerate(buffers)}
        self._panels = [Panels(item) for item in work if isinstance(item, Product)]
        first = FIRST + len(buffers)
        self._last = first + len(self._panels)  # then: number of times, rows of a chunk, places, numbers of samples
        distances = {
            buffer: self._last + 4 + 2 * i for i, buffer in enumerate(moving)
        }  # from a time to the next, a row to the next
        self._table = (ctypes.c_int64 * (self._last + 4 + 2 * len(moving)))()
        self._flag = ctypes.c_int64(0)
        self._table[FLAG] = ctypes.addressof(self._flag)
        for i, panels in enumerate(self._panels):
            self._table[first + i] = panels.memory.ctypes.data
        module, addresses = Module(), _RowAddresses(slots, distances)
        for item in work:
            if isinstance(item, Nest):
                write_nest(module, item, addresses)
        packings = []
        for slot, panels in enumerate(self._panels, first):
            panels.write(module, addresses, slot)
            packings.append((panels.write_packing(module, addresses, slot), len(panels.memory)))
        module.parts["pack"] = _one_after_the_other(packings)
        module.parts["scan"] = _over_times("scan", [item.name for item in work], self._last)
        self._is_readable = all(panels.is_readable for panels in self._panels)
        if self._is_readable:
            once = {panels.product.name: panels.write_once(module, addresses) for panels in self._panels}
            names = [once.get(item.name, item.name) for item in work]
            module.parts["scan_once"] = _over_times("scan_once", names, self._last)
        self._library = library_of(module.text())
        self._num_panels = sum(count for _, count in packings)
        self._jobs: dict[tuple[int, bool], workers.Job] = {}
        self._lock = threading.Lock()

    @staticmethod
    def build(graph: Graph, counts: tuple[int, int, int, int]) -> ScanProgram | None:
        """A program for a graph on RECORDED_ROWS rows, whose last outputs are written to its last inputs, the states."""
        plan = plan_by_rows(simplify(graph))
        fixed, work = set(plan.inputs[: counts[0]]), [work for _, work in plan.work]
        if plan.constants or not LAYOUT_HOLDS or not all(is_of_rows(item, fixed) for item in work):
            return None
        keep_freed_memory()
        return ScanProgram(plan, work, counts)

    def run(
        self, constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray], times: Times,
        batch_first: Sequence[bool],
    ) -> tuple[list[ndarray], list[ndarray]] | None:  # fmt: skip
        """(outputs, last states); None if another thread is at it. The arguments are those of `arrays.recurrent`."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            return self._run(constants, inputs, states, times, batch_first)
        finally:
            self._lock.release()

    def _run(
        self, constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray], times: Times,
        batch_first: Sequence[bool],
    ) -> tuple[list[ndarray], list[ndarray]]:  # fmt: skip
        num_samples = len(states[0])
        fixed = [x if x.flags.c_contiguous else np.ascontiguousarray(x) for x in constants]
        inputs = [x if _has_whole_rows(x) else np.ascontiguousarray(x) for x in inputs]
        states = [x.copy("C") for x in states]
        like, orders = inputs[0], zip(self._widths, batch_first, strict=True)
        outputs = [empty_output(like, width, samples_first) for width, samples_first in orders]
        scratch = [np.empty((num_samples, width), dtype) for width, dtype in self._scratch]
        arrays = [*fixed, *inputs, *states, *outputs, *scratch]
        self._table[FIRST : FIRST + len(arrays)] = [id(x) for x in arrays]
        starts, counts, _ = _in_memory(times)
        per, num_chunks = _cut(num_samples)
        # of (time, batch, features), and of rows
        distances = [stride // x.itemsize for x in (*inputs, *outputs) for stride in (x.strides[0], x.strides[-2])]
        self._table[self._last :] = len(times), per, starts, counts, *distances
        self._job(num_chunks, self._is_readable and len(times) * num_samples <= ONCE).run()
        return outputs, list(states)

    def _job(self, num_chunks: int, is_once: bool) -> workers.Job:
        key = num_chunks, is_once
        if key not in self._jobs:
            phases = [(self._library.address("scan_once" if is_once else "scan"), num_chunks)]
            if not is_once:
                phases.insert(0, (self._library.address("pack"), self._num_panels))
            self._jobs[key] = workers.Job(phases, ctypes.addressof(self._table))
        return self._jobs[key]


RECORDED_ROWS = 16


@functools.lru_cache(maxsize=64)
def _in_memory(times: Times) -> tuple[int, int, ndarray]:
    """The addresses of the starts and of the numbers of samples, and what keeps them."""
    memory = np.array(times, np.int64).T.copy()
    return memory[0].ctypes.data, memory[1].ctypes.data, memory


def _cut(num_samples: int) -> tuple[int, int]:
    """Rows of a chunk, and the number of chunks: an even one, as two threads share best."""
    pairs = -(-num_samples // (2 * MAX_ROWS))
    per = -(-num_samples // (2 * pairs * MIN_ROWS)) * MIN_ROWS
    return per, -(-num_samples // per)


def plan_by_rows(graph: Graph, is_generated: Callable[[Node], bool] = is_generated) -> Plan:
    """Buffers and work of a step on RECORDED_ROWS rows, with a loop over rows in every nest."""
    detached: frozenset[int] = frozenset()
    while True:
        plan = Plan(_by_rows(fuse(graph, detached, is_generated)))
        try:
            plan.lower()
            return plan
        except Hazard as hazard:
            detached |= plan.outputs_of(hazard.args[0])


def _by_rows(fused: Fused) -> Fused:
    """Keeps the first dimension of every nest a loop over rows."""
    for unit in fused.units:
        if unit.kind == "nest":
            unit.rows = 1
    return fused


def is_of_rows(work: object, fixed: set[Buffer]) -> bool:
    """Whether row i of all that work reads and writes is at i times some constant; of constants any place, for all rows the same."""
    if isinstance(work, Product):
        is_matrix = work.b.buffer in fixed and work.a.buffer not in fixed
        return is_packable(work, is_matrix) and work.a.leading * RECORDED_ROWS == work.a.buffer.size
    if not isinstance(work, Nest) or work.rows != (RECORDED_ROWS,):
        return False
    if any(root.op != "store" for root in work.roots):
        return False
    places = [(item.buffer, item.address) for item in (*work.values(), *work.roots) if item.buffer is not None]
    return all(address[1] == (0 if buffer in fixed else buffer.size // RECORDED_ROWS) for buffer, address in places)


def _has_whole_rows(x: ndarray) -> bool:
    """Whether native code can read an array's rows where they are."""
    return x.strides[-1] == x.itemsize and x.flags.aligned


class _RowAddresses(Addresses):
    """Buffers are arrays whose addresses are in the table; those of inputs and outputs move with the time."""

    def __init__(self, slots: dict[Buffer, int], distances: dict[Buffer, int]):
        super().__init__(slots, {})
        self.distances = distances

    def pointer(self, code: Code, buffer: Buffer) -> str:
        place = code.define(f"getelementptr i8, ptr {load_slot(code, self.slots[buffer])}, i64 {DATA_OFFSET}")
        data = code.define(f"load ptr, ptr {place}")
        if buffer not in self.distances:
            return data
        offset = code.define(f"mul i64 %chunk, {load_number(code, self.distances[buffer])}")
        return code.define(f"getelementptr {llvm_type(buffer.dtype)}, ptr {data}, i64 {offset}")

    def row_distance(self, code: Code, buffer: Buffer) -> str | None:
        return load_number(code, self.distances[buffer] + 1) if buffer in self.distances else None


def _one_after_the_other(functions: list[tuple[str, int]]) -> str:
    """The function of a chunk, where the first function has so many chunks, and then the next."""
    lines, start = [], 0
    for i, (name, count) in enumerate(functions):
        lines.append(f"""  %own{i} = sub i64 %chunk, {start}
  %is_own{i} = icmp ult i64 %own{i}, {count}
  br i1 %is_own{i}, label %run{i}, label %next{i}
run{i}:
  call void @{name}(ptr %table, i64 %own{i})
  ret void
next{i}:""")
        start += count
    body = "\n".join(lines)
    return f"define void @pack(ptr %table, i64 %chunk) {{\n{body}\n  ret void\n}}"


def _over_times(function: str, names: list[str], slot: int) -> str:
    """The function of a chunk: all times for its rows."""
    calls = "\n".join(f"  call void @{name}(ptr %table, i64 %lo, i64 %hi, i64 %start)" for name in names)
    return f"""define void @{function}(ptr %table, i64 %chunk) {{
entry:
  %num_times_at = getelementptr i64, ptr %table, i64 {slot}
  %per_at = getelementptr i64, ptr %table, i64 {slot + 1}
  %starts_at = getelementptr i64, ptr %table, i64 {slot + 2}
  %counts_at = getelementptr i64, ptr %table, i64 {slot + 3}
  %num_times = load i64, ptr %num_times_at
  %per = load i64, ptr %per_at
  %starts = load ptr, ptr %starts_at
  %counts = load ptr, ptr %counts_at
  %lo = mul i64 %chunk, %per
  %end = add i64 %lo, %per
  br label %loop
loop:
  %time = phi i64 [ 0, %entry ], [ %time_next, %next ]
  %more = icmp slt i64 %time, %num_times
  br i1 %more, label %look, label %done
look:
  %start_at = getelementptr i64, ptr %starts, i64 %time
  %count_at = getelementptr i64, ptr %counts, i64 %time
  %start = load i64, ptr %start_at
  %count = load i64, ptr %count_at
  %is_short = icmp slt i64 %count, %end
  %hi = select i1 %is_short, i64 %count, i64 %end
  %some = icmp slt i64 %lo, %hi
  br i1 %some, label %work, label %next
work:
{calls}
  br label %next
next:
  %time_next = add i64 %time, 1
  br label %loop
done:
  ret void
}}"""
