"""Last pass on a GPU: a graph as kernels and library calls that are launched one after the other on the current stream.

`build_cuda_program` runs the passes with CUDA's table of what can be generated. All kernels take their pointers from one
table; what a launch passes to the driver is made once, so a run writes pointers into the table and calls the driver. Matrix
products and what has no generated code are calls of the waist's CuPy namespace, whose results are used where they are.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.arrays.symbolic import Node
from rushlight.compiler.cuda import Kernel, write_nest
from rushlight.compiler.cuda_elements import is_generated
from rushlight.compiler.fuse import Unit, alias_base, fuse
from rushlight.compiler.graph import Graph, evaluate, results_of, sharing
from rushlight.compiler.known_zeros import known_zeros
from rushlight.compiler.loops import Buffer, Hazard, Nest
from rushlight.compiler.memory import plan_arena
from rushlight.compiler.nvrtc import functions_of
from rushlight.compiler.program import Plan
from rushlight.compiler.simplify import simplify
from rushlight.compiler.strided import Strided

Step = Kernel | tuple[Unit, Node]


def build_cuda_program(graph: Graph, name: str = "a program") -> CudaProgram:
    """A program for a graph on arrays of the GPU; the name is for what it finds to be wrong."""
    return CudaProgram(graph, *plan_kernels(graph), name)


def plan_kernels(graph: Graph, prefix: str = "") -> tuple[Plan, list[Step]]:
    """Where everything is, and the kernels and calls in order; their names begin with `prefix`."""
    simple, detached = known_zeros(simplify(graph)), frozenset[int]()
    while True:
        plan = Plan(fuse(simple, detached, is_generated))
        try:
            plan.lower()
            return plan, _steps(plan, prefix)
        except Hazard as hazard:
            outputs = plan.outputs_of(hazard.args[0])
            assert not outputs <= detached, outputs
            detached |= outputs


def _steps(plan: Plan, prefix: str) -> list[Step]:
    steps: list[Step] = []
    taken = 0
    for unit, work in plan.work:
        if not isinstance(work, Nest):
            steps.append((unit, unit.nodes[0]))
            continue
        work.name = prefix + work.name
        kernels, buffers = write_nest(work, taken)
        taken -= len(buffers)
        steps += kernels
    return steps


class CudaProgram:
    """`run(arrays)` gives new arrays with the outputs; what has a target is written to that input."""

    def __init__(self, graph: Graph, plan: Plan, steps: list[Step], name: str):
        self.graph, self.plan, self.name = graph, plan, name
        self._lock = threading.Lock()
        kernels = [step for step in steps if isinstance(step, Kernel)]
        self.source = "\n".join(kernel.text for kernel in kernels)
        self._kernels = kernels
        self._finds = any(kernel.finds for kernel in kernels)
        calls = [step for step in steps if not isinstance(step, Kernel)]
        self._groups = {id(node): group for group in sharing([n for _, n in calls]) for node in group}
        held = {plan.locate(node): node for node in [n for _, n in calls]}  # arrays that calls make
        self._prepare_table(steps, held)
        self._steps = [step if isinstance(step, Kernel) else self._call(*step) for step in steps]
        self._loaded: dict[int, list[Callable[[int], None]]] = {}
        self._constants: dict[int, list[Any]] = {}
        self._arena: Any = None
        self.several = False  # whether whoever asked for the results wants a tuple

    # ------------------------------------------------------------ building

    def _prepare_table(self, steps: list[Step], held: dict[Buffer, Node]) -> None:
        plan = self.plan
        fresh = [b for b, t in zip(plan.outputs, self.graph.targets, strict=True) if t is None]
        arena = self._lives(steps, held)
        offsets, self._arena_bytes = plan_arena(arena)
        constants = [b for b in plan.buffers.values() if b.kind == "constant"]
        others = [b for b in held if b.kind == "arena"]
        order = [*plan.inputs, *fresh, *constants, *others, *offsets]
        self._slots = {buffer: i for i, buffer in enumerate(order)}
        self._fresh = [(self._slots[b], i) for i, b in enumerate(plan.outputs) if b in self._slots and b not in held]
        self._constant_buffers = constants
        self._table = np.zeros(len(order) + 2, np.int64)
        self._entry = memoryview(self._table).cast("B").cast("q")
        self._number_slot = len(order) + 1  # of the error, behind where kernels write it
        self._arena_slots = slice(len(order) - len(offsets), len(order))
        self._offsets = np.array(list(offsets.values()), np.int64)
        self._arrays: dict[Buffer, Any] = {}  # of one run: inputs, outputs, and what calls made
        self._read_by_calls = {buffer for step in steps if not isinstance(step, Kernel) for buffer in self._read(step)}

    def _lives(self, steps: list[Step], held: dict[Buffer, Node]) -> dict[Buffer, tuple[int, int]]:
        lives: dict[Buffer, tuple[int, int]] = {}
        for time, step in enumerate(steps):
            used = step.arguments if isinstance(step, Kernel) else self._read(step)
            for buffer in used:
                if buffer.kind == "arena" and buffer not in held:
                    lives[buffer] = (lives.get(buffer, (time, time))[0], time)
        return lives

    def _read(self, step: tuple[Unit, Node]) -> list[Buffer]:
        unit, node = step
        if unit.kind == "matmul":
            return [self.plan.locate(self.plan._matrix(x, unit)[0]) for x in node.inputs]
        return [self.plan.locate(alias_base(x)) for x in node.inputs]

    def _call(self, unit: Unit, node: Node) -> Callable[[], None]:
        """A call of the library; what it gives is from then on the array of its buffer."""
        plan, target = self.plan, self.plan.locate(node)
        if unit.kind == "matmul":
            operands = [self._view(plan._matrix(x, unit), x.shape) for x in node.inputs]
        else:
            operands = [self._whole(plan.locate(alias_base(x)), x.shape) for x in node.inputs]
        group = self._groups.get(id(node), [])

        def step() -> None:
            if target in self._arrays and group:
                return  # a sibling has computed it
            arrays = [operand() for operand in operands]
            xp = kinds.gpu()
            if not group:
                self._put(target, evaluate(node, *arrays, xp=xp))
                return
            results = results_of(node, *arrays, xp=xp)
            for sibling in group:
                self._put(plan.locate(sibling), results[sibling.attrs["output"]])

        return step

    def _put(self, buffer: Buffer, value: Any) -> None:
        cupy = kinds.gpu().cupy
        if buffer.kind == "input":
            self._arrays[buffer][...] = value.reshape(self._arrays[buffer].shape)
            return
        value = cupy.ascontiguousarray(cupy.asarray(value))
        self._arrays[buffer] = value
        self._entry[self._slots[buffer]] = value.data.ptr

    def _whole(self, buffer: Buffer, shape: tuple[int, ...]) -> Callable[[], Any]:
        return lambda: self._array(buffer).reshape(shape)

    def _view(self, matrix: Strided, shape: tuple[int, ...]) -> Callable[[], Any]:
        base, offset, strides = matrix
        buffer, size = self.plan.locate(base), base.dtype.itemsize
        steps = tuple(stride * size for stride in strides)

        def view() -> Any:
            flat = self._array(buffer).reshape(-1)
            return kinds.gpu().cupy.lib.stride_tricks.as_strided(flat[offset:], shape, steps)

        return view

    def _array(self, buffer: Buffer) -> Any:
        """The array of a buffer while the program runs."""
        found = self._arrays.get(buffer)
        if found is None:
            start = int(self._offsets[self._slots[buffer] - self._arena_slots.start])
            found = self._arena[start : start + buffer.nbytes].view(buffer.dtype)
            self._arrays[buffer] = found
        return found

    # ------------------------------------------------------------ loading

    def _load(self, device: int) -> list[Callable[[int], None]]:
        """The steps on a device: each takes the stream."""
        cupy = kinds.gpu().cupy
        functions = iter(
            functions_of(self.source, tuple(k.name for k in self._kernels), device) if self._kernels else ()
        )
        self._constants[device] = [
            cupy.asarray(np.ascontiguousarray(self.plan.constants[b.number]).reshape(-1))
            for b in self._constant_buffers
        ]
        steps: list[Callable[[int], None]] = []
        for step in self._steps:
            if isinstance(step, Kernel):
                steps.append(self._launch(step, next(functions)))
            else:
                steps.append(lambda stream, call=step: call())
        self._loaded[device] = steps
        return steps

    def _launch(self, kernel: Kernel, function: Any) -> Callable[[int], None]:
        launch = kinds.gpu().cupy.cuda.driver.launchKernel
        slots = [self._slots[buffer] for buffer in kernel.arguments]
        slots += [self._number_slot - 1, self._number_slot] * kernel.finds
        places = np.array([self._table.ctypes.data + 8 * slot for slot in slots], np.int64)
        address, handle, (x, y), block = places.ctypes.data, function.ptr, kernel.grid, kernel.block

        def run(stream: int, kept: Any = (places, function)) -> None:
            launch(handle, x, y, 1, block, 1, 1, 0, stream, address, 0)

        return run

    # ------------------------------------------------------------ running

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs, for contiguous arrays of the graph's shapes and dtypes on the current device.

        An index that is out of bounds is told when the CPU next waits: `arrays/gpu/bounds.py`.
        """
        cupy, bounds = kinds.gpu().cupy, kinds.gpu().bounds
        with self._lock:
            device = cupy.cuda.runtime.getDevice()
            steps = self._loaded.get(device) or self._load(device)
            try:
                outputs = self._bind(cupy, arrays, device)
                if self._finds:
                    self._entry[self._number_slot - 1] = bounds.address()
                    self._entry[self._number_slot] = bounds.announce(self.name)
                stream = cupy.cuda.get_current_stream().ptr
                for step in steps:
                    step(stream)
                for i, target in enumerate(self.graph.targets):
                    if target is not None:
                        outputs[i] = arrays[target]
                    elif outputs[i] is None:  # a call has made it
                        outputs[i] = self._arrays[self.plan.outputs[i]].reshape(self.graph.outputs[i].shape)
            finally:
                self._arrays.clear()
                self._arena = None
        if self._finds and bounds.is_blocking:
            bounds.wait_and_check()
        return outputs

    def _bind(self, cupy: Any, arrays: Sequence[Any], device: int) -> list[Any]:
        entry, plan, graph = self._entry, self.plan, self.graph
        for i, array in enumerate(arrays):
            entry[i] = array.data.ptr
        outputs: list[Any] = [None] * len(graph.outputs)
        for slot, i in self._fresh:
            node = graph.outputs[i]
            outputs[i] = out = cupy.empty(node.shape, node.dtype)
            entry[slot] = out.data.ptr
        for buffer, array in zip(self._constant_buffers, self._constants[device], strict=True):
            entry[self._slots[buffer]] = array.data.ptr
        if self._arena_bytes:
            self._arena = cupy.empty(self._arena_bytes, np.uint8)
            self._table[self._arena_slots] = self._offsets + self._arena.data.ptr
        if self._read_by_calls or len(self._kernels) < len(self._steps):
            self._arrays.update(zip(plan.inputs, arrays, strict=True))
            self._arrays.update({plan.outputs[i]: outputs[i] for _, i in self._fresh})
            self._arrays.update(zip(self._constant_buffers, self._constants[device], strict=True))
        return outputs
