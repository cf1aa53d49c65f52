"""Elementwise graphs on GPU arrays of any length: one kernel for all lengths (`flat.py` is the same on the CPU).

Also what an optimizer's update is made of: such a kernel, and kernels on scalars, for many sets of arrays whose pointers are
in a table in the GPU's memory (`foreach.py` is the same on the CPU).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.compiler.cuda_chunk import Chunk, Writer, lanes_for
from rushlight.compiler.cuda_elements import is_generated, memory_type
from rushlight.compiler.cuda_kernel import BLOCK as THREADS, MAX_BLOCKS
from rushlight.compiler.cuda_split import values_of
from rushlight.compiler.flat import BLOCK
from rushlight.compiler.fuse import fuse
from rushlight.compiler.graph import Graph
from rushlight.compiler.loops import Buffer, Nest
from rushlight.compiler.memory import plan_arena
from rushlight.compiler.nvrtc import functions_of
from rushlight.compiler.program import Plan
from rushlight.compiler.simplify import simplify

TURNS = 4  # chunks that a thread computes of one set's array


def _flat_nest(plan: Plan) -> tuple[list[Nest], int] | None:
    """The nests of a plan and which of them is the flat one; None if there is not exactly one, or anything else."""
    nests = [work for _, work in plan.work if isinstance(work, Nest)]
    flat = [i for i, nest in enumerate(nests) if nest.columns]
    if len(nests) < len(plan.work) or len(flat) != 1 or plan.constants:
        return None
    nest = nests[flat[0]]
    if nest.rows or nest.columns != (BLOCK,):
        return None
    is_simple = all(root.op == "store" and not root.indices for each in nests for root in each.roots)
    has_index = any(v.op in ("index", "gather") for each in nests for v in values_of(each.roots))
    return (nests, flat[0]) if is_simple and not has_index else None


def _planned(graph: Graph) -> Plan:
    plan = Plan(fuse(simplify(graph), is_generated=is_generated))
    plan.lower()
    return plan


def _write_chunks(writer: Writer, nest: Nest, first: str, step: str, end: str) -> None:
    """The loop of one thread over its chunks of an array of any length."""
    for value in values_of(nest.roots):
        if not value.dims:
            writer.define(value, ["0"])
    lanes = _lanes(nest)
    writer.open(f"for (index_t i = {first}; i < {end}; i += {step})")
    writer.put(f"const index_t left = {end} - i;")
    writer.chunk(Chunk(["i"], lanes, "left", roots=nest.roots))
    writer.close()


def _lanes(nest: Nest) -> int:
    return lanes_for(BLOCK, 0, [*values_of(nest.roots), *nest.roots])


class CudaFlat:
    """`call(*arrays)` for a graph on inputs of shape (BLOCK,) or (), which stand for any one shape and for scalars."""

    def __init__(self, graph: Graph, plan: Plan, nest: Nest):
        self.inputs = [(node.dtype, node.shape != ()) for node in graph.inputs]
        self.outputs = [node.dtype for node in graph.outputs]
        writer = Writer("flat", 1, "long long")
        lanes = _lanes(nest)
        thread = f"(blockIdx.x * (index_t){THREADS} + threadIdx.x) * {lanes}"
        _write_chunks(writer, nest, thread, f"gridDim.x * (index_t){THREADS * lanes}", "length")
        order = [*plan.inputs, *plan.outputs]
        head = (
            f'extern "C" __global__ void __launch_bounds__({THREADS}) flat({writer.parameters()}, long long length) {{'
        )
        self.source = "\n".join([head, "  typedef long long index_t;", *writer.lines, "}"])
        self._per_block = THREADS * lanes
        self._values = np.zeros(len(order) + 1, np.int64)
        self._entry = memoryview(self._values).cast("B").cast("q")
        slots = [order.index(buffer) for buffer in writer.pointers] + [len(order)]
        self._places = np.array([self._values.ctypes.data + 8 * slot for slot in slots], np.int64)
        self._address = self._places.ctypes.data
        self._lock = threading.Lock()
        self._functions: dict[int, Any] = {}  # by device

    def call(self, *arrays: Any) -> Any:
        """The result, or a tuple of several; False for arrays of several shapes, or with gaps."""
        shape = None
        for array, (dtype, is_array) in zip(arrays, self.inputs, strict=True):
            if array.dtype is not dtype and array.dtype != dtype:
                return False
            if not is_array:
                if array.ndim:
                    return False
            elif shape is None:
                shape, size = array.shape, array.size
                if not size or not array.flags.c_contiguous:
                    return False
            elif array.shape != shape or not array.flags.c_contiguous:
                return False
        gpu = kinds.GPU
        cuda, new = gpu.cupy.cuda, gpu.ndarray  # what `cupy.empty` calls
        device = cuda.runtime.getDevice()
        function = self._functions.get(device)
        if function is None:
            function = self._functions[device] = functions_of(self.source, ("flat",), device)[0]
        blocks = min(-(-size // self._per_block), MAX_BLOCKS)
        stream, entry = cuda.get_current_stream().ptr, self._entry
        results = [new(shape, dtype) for dtype in self.outputs]
        with self._lock:
            place = 0
            for array in arrays:
                entry[place] = array.data.ptr
                place += 1
            for array in results:
                entry[place] = array.data.ptr
                place += 1
            entry[place] = size
            cuda.driver.launchKernel(function.ptr, blocks, 1, 1, THREADS, 1, 1, 0, stream, self._address, 0)
        return results[0] if len(results) == 1 else tuple(results)


def build_flat(graph: Graph) -> CudaFlat | None:
    """A program for arrays of any length; None if the graph is not one elementwise nest."""
    plan = _planned(graph)
    found = _flat_nest(plan)
    if found is None or len(found[0]) != 1 or any(node.shape != (BLOCK,) for node in graph.outputs):
        return None
    return CudaFlat(graph, plan, found[0][0])


# ---------------------------------------------------------------- many sets of arrays


class CudaEach:
    """Kernels for a graph on one set of arrays, whose outputs are written over inputs. Made by `build_each`."""

    address = staticmethod(lambda array: array.data.ptr)  # what a table holds of an array
    numbers: type[DeviceNumbers]

    def __init__(self, graph: Graph, plan: Plan, nests: list[Nest], flat: int):
        self.num_inputs = len(graph.inputs)
        arena = {buffer: (0, 1) for buffer in plan.buffers.values() if buffer.kind == "arena"}
        self.offsets, self.arena_size = plan_arena(arena)
        self.slots = {buffer: i for i, buffer in enumerate(plan.inputs)}
        self.stride = self.num_inputs + 2  # then the length, and the arena
        self.lanes = _lanes(nests[flat])
        self.per_block = THREADS * self.lanes * TURNS
        parts = {"before": nests[:flat], "flat": nests[flat : flat + 1], "after": nests[flat + 1 :]}
        self.names = tuple([name for name, part in parts.items() if part])
        texts = [
            self._flat(part[0]) if name == "flat" else self._scalars(name, part) for name, part in parts.items() if part
        ]
        self.source = "\n".join(texts)

    def _pointers(self, writer: Writer) -> list[str]:
        """Declarations of the buffers' addresses, from the table."""
        lines = []
        for buffer, name in writer.pointers.items():
            kind = f"{'' if buffer in writer.written else 'const '}{memory_type(buffer.dtype)}*"
            place = f"table[{self.slots[buffer]}]" if buffer in self.slots else self._in_arena(buffer)
            lines.append(f"  {kind} {name} = ({kind})({place});")
        return lines

    def _in_arena(self, buffer: Buffer) -> str:
        return f"table[{self.num_inputs + 1}] + {self.offsets[buffer]}"

    def _scalars(self, name: str, nests: list[Nest]) -> str:
        """A thread for each set, which runs all nests on scalars."""
        text = [
            f'extern "C" __global__ void __launch_bounds__({THREADS}) {name}(const long long* tables, long long count) {{',
            f"  const long long set = blockIdx.x * (long long){THREADS} + threadIdx.x;",
            "  if (set >= count) return;",
            f"  const long long* table = tables + set * {self.stride};",
        ]
        for nest in nests:
            writer = Writer(name, 0, "long long")
            writer.chunk(Chunk([], 1, roots=nest.roots))
            text += ["  {", *self._pointers(writer), *writer.lines, "  }"]
        return "\n".join([*text, "}"])

    def _flat(self, nest: Nest) -> str:
        """A block for each record, which says of which set it does which piece."""
        writer = Writer("flat", 1, "long long")
        first = f"first + (long long)threadIdx.x * {self.lanes}"
        _write_chunks(writer, nest, first, str(THREADS * self.lanes), "end")
        return "\n".join([
            f'extern "C" __global__ void __launch_bounds__({THREADS}) flat(const long long* tables, const long long* records) {{',
            "  typedef long long index_t;",
            f"  const long long* table = tables + records[2 * (long long)blockIdx.x] * {self.stride};",
            "  const long long first = records[2 * (long long)blockIdx.x + 1];",
            f"  const long long length = table[{self.num_inputs}];",
            f"  const long long end = first + {self.per_block} < length ? first + {self.per_block} : length;",
            *self._pointers(writer), *writer.lines, "}",
        ])  # fmt: skip

    def bind(self, sizes: Sequence[int]) -> CudaEachJob:
        """A job for sets of arrays of these lengths, on the current device."""
        return CudaEachJob(self, sizes)


def build_each(graph: Graph) -> CudaEach | None:
    """The program, or None if the graph is not of this kind."""
    if any(target is None for target in graph.targets):
        return None
    plan = _planned(graph)
    found = _flat_nest(plan)
    if found is None or any(b.size != 1 for b in plan.buffers.values() if b.kind == "arena"):
        return None
    return CudaEach(graph, plan, *found)


class DeviceNumbers:
    """Numbers of the CPU, and where they are on the GPU."""

    def __init__(self, count: int):
        self.values = np.zeros(count)
        self.mirror = kinds.gpu().cupy.zeros(max(count, 1), np.float64)
        self.cells = [self.mirror[i : i + 1].reshape(()) for i in range(count)]

    def write(self, numbers: list[float]) -> None:
        self.values[:] = numbers
        if numbers:
            self.mirror.set(self.values)


CudaEach.numbers = DeviceNumbers


class CudaEachJob:
    """A program bound to sets of arrays. `tables[set]` holds addresses; it goes to the GPU when one of them has changed."""

    def __init__(self, program: CudaEach, sizes: Sequence[int]):
        cupy = kinds.gpu().cupy
        self.program, self.count, self.first_input = program, len(sizes), 0
        self.tables = np.zeros((self.count, program.stride), np.int64)
        self._arena = cupy.zeros(max(self.count * program.arena_size, 1), np.uint8)
        self.tables[:, program.num_inputs] = sizes
        self.tables[:, program.num_inputs + 1] = self._arena.data.ptr + np.arange(self.count) * program.arena_size
        records = [(i, start) for i, size in enumerate(sizes) for start in range(0, size, program.per_block)]
        self._records, self._num_blocks = cupy.asarray(np.array(records or [(0, 0)], np.int64)), len(records)
        self._on_device = cupy.zeros(self.tables.shape, np.int64)
        self._uploaded: np.ndarray | None = None
        self._device = cupy.cuda.runtime.getDevice()
        self._make_launches()

    def _make_launches(self) -> None:
        program = self.program
        functions = dict(zip(program.names, functions_of(program.source, program.names, self._device), strict=True))
        self._values = np.array([self._on_device.data.ptr, self._records.data.ptr, self.count], np.int64)
        at = self._values.ctypes.data
        self._flat_places = np.array([at, at + 8], np.int64)
        self._scalar_places = np.array([at, at + 16], np.int64)
        self._launches = []
        for name, function in functions.items():
            places = self._flat_places if name == "flat" else self._scalar_places
            blocks = self._num_blocks if name == "flat" else -(-self.count // THREADS)
            if blocks:
                self._launches.append((function.ptr, blocks, places.ctypes.data))
        self._kept = functions

    def set_array(self, number: int, slot: int, array: Any) -> None:
        """Input `slot` of a set; the caller keeps the array alive."""
        self.tables[number, slot] = array.data.ptr

    def run(self) -> None:
        cupy = kinds.gpu().cupy
        with cupy.cuda.Device(self._device):
            if self._uploaded is None or not np.array_equal(self._uploaded, self.tables):
                self._uploaded = self.tables.copy()
                self._on_device.set(self._uploaded)
            stream, launch = cupy.cuda.get_current_stream().ptr, cupy.cuda.driver.launchKernel
            for function, blocks, places in self._launches:
                launch(function, blocks, 1, 1, THREADS, 1, 1, 0, stream, places, 0)
