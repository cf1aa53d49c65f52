"""Last pass: a graph as something that runs.

`build_program` runs the passes, plans memory, and compiles one function per phase. A program is a list of
steps: native jobs, and nodes left to NumPy between them. All native code sees one table of pointers;
inputs and outputs are in it as the addresses of ndarray objects, so binding one is writing a number.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight.arrays.symbolic import Node
from rushlight.compiler import blas, calls, workers
from rushlight.compiler.binding import LAYOUT_HOLDS, stand_in
from rushlight.compiler.describe import describe_nest
from rushlight.compiler.fuse import Fused, Unit, alias_base, fuse
from rushlight.compiler.graph import Graph, evaluate, results_of, sharing
from rushlight.compiler.known_zeros import known_zeros
from rushlight.compiler.llvm import ARENA, FIRST, FLAG, GEMM_D, GEMM_F, Addresses, write_nest
from rushlight.compiler.loops import Buffer, Hazard, Nest, lower
from rushlight.compiler.memory import ALIGNMENT, plan_arena
from rushlight.compiler.module import Module
from rushlight.compiler.native import library_of
from rushlight.compiler.products import Product, make_product, write_product
from rushlight.compiler.schedule import LONG_PROGRAM, SMALL_PROGRAM, Phase, Task, microseconds, schedule, touched
from rushlight.compiler.simplify import simplify
from rushlight.compiler.strided import Strided, contiguous, strided_view
from rushlight.compiler.verify import verify

Work = Nest | Product | Node


def build_program(graph: Graph, *, num_threads: int | None = None) -> Program:
    """Native code for a graph."""
    threads = workers.get_num_threads() if num_threads is None else num_threads
    if os.environ.get("RUSHLIGHT_VERIFY") == "1":
        verify(graph)
    simple = _show("simplify", known_zeros(simplify(graph)))
    if os.environ.get("RUSHLIGHT_VERIFY") == "1":
        verify(simple)
    detached: frozenset[int] = frozenset()
    while True:
        plan = Plan(_show("fuse", fuse(simple, detached)))
        try:
            plan.lower()
            break
        except Hazard as hazard:
            outputs = plan.outputs_of(hazard.args[0])
            assert not outputs <= detached, outputs
            detached |= outputs
    return Program(plan, threads)


def _show(stage: str, result: Any) -> Any:
    if os.environ.get("RUSHLIGHT_PRINT") == "1":
        print(f"---- {stage}\n{result!r}")
    return result


class Plan:
    """Buffers for the nodes in memory, and the work of each unit in order."""

    def __init__(self, fused: Fused):
        self.fused, self.graph = fused, fused.graph
        self.buffers: dict[int, Buffer] = {}
        self.constants: list[np.ndarray] = []
        self.held: list[Node] = []
        self.work: list[tuple[Unit, Work]] = []
        self.inputs = [Buffer("input", i, _size(x), x.dtype) for i, x in enumerate(self.graph.inputs)]
        self.outputs = [Buffer("output", i, _size(x), x.dtype) for i, x in enumerate(self.graph.outputs)]
        for node, buffer in zip(self.graph.inputs, self.inputs, strict=True):
            self.buffers[id(node)] = buffer

    def locate(self, node: Node) -> Buffer:
        """The buffer of a node that is in memory."""
        key = id(node)
        if key not in self.buffers:
            self.held.append(node)
            homes = self.fused.homes.get(key)
            if homes:
                target = self.graph.targets[homes[0]]
                self.buffers[key] = self.outputs[homes[0]] if target is None else self.inputs[target]
            elif node.op == "constant":
                value = np.ascontiguousarray(node.attrs["value"])
                self.buffers[key] = Buffer("constant", len(self.constants), value.size, value.dtype)
                self.constants.append(value)
            else:
                self.buffers[key] = Buffer("arena", len(self.buffers), _size(node), node.dtype)
        return self.buffers[key]

    def outputs_of(self, buffer: Buffer) -> frozenset[int]:
        targets = self.graph.targets
        found = frozenset(i for i, target in enumerate(targets) if target == buffer.number)
        assert found, buffer
        return found

    def lower(self) -> None:
        for unit in self.fused.units:
            if unit.kind in ("nest", "scatter"):
                work: Work = lower(unit, self.fused, self.locate)
            elif unit.kind == "matmul":
                work = self._product(unit)
            else:
                work = unit.nodes[0]
            self.work.append((unit, work))

    def _product(self, unit: Unit) -> Product:
        node = unit.nodes[0]
        a, b = (self._matrix(x, unit) for x in node.inputs)
        buffers = self.locate(a[0]), self.locate(b[0]), self.locate(node)
        if buffers[2] in buffers[:2]:
            raise Hazard(buffers[2])
        return make_product(f"product{unit.number}", node, a, b, buffers)

    def _matrix(self, node: Node, unit: Unit) -> Strided:
        found = strided_view(node, lambda x: x.op == "input" or self.fused.is_ready(x, unit))
        return contiguous(node) if found is None else found


def _size(node: Node) -> int:
    size = 1
    for n in node.shape:
        size *= n
    return size


@dataclass(eq=False)
class Host:
    """A node that NumPy computes: where its sources are and where its value goes."""

    node: Node
    sources: list[Buffer]
    target: Buffer
    siblings: list[Host] = field(default_factory=list)  # results of the same call, this one included
    value: np.ndarray | None = None  # what a sibling has computed for this one


class Program:
    """Bind inputs and outputs, then run, as often as wanted."""

    def __init__(self, plan: Plan, num_threads: int):
        self.plan, self.num_threads = plan, num_threads
        graph = plan.graph
        self._graph = graph  # its constants and generators stay alive
        self._hosts = {
            id(work): Host(work, [plan.locate(alias_base(x)) for x in work.inputs], plan.locate(work))
            for _, work in plan.work
            if isinstance(work, Node)
        }
        for group in sharing([host.node for host in self._hosts.values()]):
            siblings = [self._hosts[id(node)] for node in group]
            for host in siblings:
                host.siblings = siblings
        self._held = [host.target for host in self._hosts.values() if host.target.kind == "arena"]
        self._parts = self._schedule()
        lives, self._done = self._lives()
        offsets, size = plan_arena(lives)
        self._make_table(size)
        self._offsets = offsets
        self.source = self._write(Addresses(self._slots, offsets))
        self._library = library_of(self.source) if self._entries else None
        self._steps = self._make_steps()
        if len(self._steps) == 1:
            setattr(self, "_run_all", self._steps[0])  # noqa: B010 - one call less

    # ------------------------------------------------------------ building

    def _split(self) -> list[list[tuple[Unit, Work]]]:
        """Native segments (lists of work) and host nodes (a list of one) in turn."""
        segments: list[list[tuple[Unit, Work]]] = []
        for unit, work in self.plan.work:
            alone = isinstance(work, Node) or not segments or isinstance(segments[-1][0][1], Node)
            if alone:
                segments.append([(unit, work)])
            else:
                segments[-1].append((unit, work))
        return segments

    def _schedule(self) -> list[Host | list[Phase]]:
        """Host nodes, and the phases of native segments, in order."""
        result: list[Host | list[Phase]] = []
        for segment in self._split():
            _, first = segment[0]
            if isinstance(first, Node):
                result.append(self._hosts[id(first)])
            else:
                works = [(unit, work) for unit, work in segment if not isinstance(work, Node)]
                result.append(schedule(works))
        return result

    def _lives(self) -> tuple[dict[Buffer, tuple[int, int]], list[list[Buffer]]]:
        """The first and last phase in which each buffer of the arena is used; and of what NumPy made, what each part is the last to use."""
        lives: dict[Buffer, tuple[int, int]] = {}
        last = dict.fromkeys(self._held, 0)
        time = 0
        for number, part in enumerate(self._parts):
            groups = (
                [[*part.sources, part.target]]
                if isinstance(part, Host)
                else [[b for task in phase for b in touched(task.work)] for phase in part]
            )
            for group in groups:
                time += 1
                for buffer in group:
                    if buffer in last:
                        last[buffer] = number
                    elif buffer.kind == "arena":
                        lives[buffer] = (lives.get(buffer, (time, time))[0], time)
        return lives, [[b for b, end in last.items() if end == number] for number in range(len(self._parts))]

    def _make_table(self, arena_size: int) -> None:
        plan = self.plan
        buffers = [*plan.inputs, *plan.outputs]
        buffers += [b for b in plan.buffers.values() if b.kind == "constant"]
        buffers += self._held
        self._slots = {buffer: FIRST + i for i, buffer in enumerate(buffers)}
        self._table = (ctypes.c_int64 * (FIRST + len(buffers)))()
        self._flag = ctypes.c_int64(0)
        self._arena = np.zeros(arena_size + ALIGNMENT, np.uint8)
        start = -self._arena.ctypes.data % ALIGNMENT
        self._arena = self._arena[start : start + max(arena_size, 1)]
        self._table[FLAG] = ctypes.addressof(self._flag)
        self._table[ARENA] = self._arena.ctypes.data
        for slot, dtype in ((GEMM_F, np.float32), (GEMM_D, np.float64)):
            symbol = blas.gemm_symbol(np.dtype(dtype))
            self._table[slot] = symbol[1] if symbol else 0
        for buffer, slot in self._slots.items():
            if buffer.kind == "constant":
                self._table[slot] = plan.constants[buffer.number].ctypes.data
        self._entry = memoryview(self._table).cast("B").cast("q")
        self._kept: list[Any] = [None] * len(self._table)
        self._first_output = FIRST + len(plan.inputs)
        if not LAYOUT_HOLDS:
            self._stand_ins: dict[int, Any] = {}
            setattr(self, "bind_input", lambda i, x: self._bind_stand_in(FIRST + i, x))  # noqa: B010
            first = self._first_output
            setattr(self, "bind_output", lambda i, x: self._bind_stand_in(first + i, x))  # noqa: B010

    def _write(self, addresses: Addresses) -> str:
        """The module's text: a function per nest and product, and one per phase or per segment."""
        module = Module()
        self._entries: list[list[tuple[str, int]]] = []
        for number, part in enumerate(self._parts):
            if isinstance(part, Host):
                continue
            for phase in part:
                for task in phase:
                    if isinstance(task.work, Nest):
                        write_nest(module, task.work, addresses)
                    else:
                        write_product(module, task.work, addresses)
            if self.num_threads == 1 or all(task.chunks == 1 for phase in part for task in phase):
                name = f"segment{number}"
                calls = [call for phase in part for task in phase for call in _calls(task)]
                module.parts[name] = _sequence(name, calls)
                self._entries.append([(name, 1)])
            else:
                names = []
                for k, phase in enumerate(part):
                    name = f"phase{number}_{k}"
                    calls = [call for task in phase for call in _calls(task)]
                    module.parts[name] = _choice(name, calls)
                    names.append((name, len(calls)))
                self._entries.append(names)
        return module.text()

    def _make_steps(self) -> list[Callable[[], None]]:
        steps: list[Callable[[], None]] = []
        entries = iter(self._entries)
        for part in self._parts:
            if isinstance(part, Host):
                steps.append(self._host_step(part))
                continue
            assert self._library is not None
            phases = [(self._library.address(name), chunks) for name, chunks in next(entries)]
            has_products = any(isinstance(task.work, Product) for phase in part for task in phase)
            is_long = sum(microseconds(task.work) for phase in part for task in phase) > LONG_PROGRAM
            address = ctypes.addressof(self._table)
            self._job = workers.Job(phases, address, uses_blas=has_products, is_long=is_long)
            steps.append(self._job.run)
        return steps

    def make_call(self, arguments: Sequence[Any]) -> Any:
        """`call(*arguments)`, a builtin function that gives the outputs and keeps this program alive; None if there can be none.

        Args:
            arguments: for each either the number of an input, as an int, or `calls.Argument` for what is no array.
        """
        if not calls.layout_holds() or len(self._parts) != 1 or isinstance(self._parts[0], Host):
            return None
        graph = self._graph

        def array(slot: int, node: Node) -> calls.Argument:
            return calls.Argument(slot, node.dtype, node.shape)

        expected = [array(FIRST + a, graph.inputs[a]) if isinstance(a, int) else a for a in arguments]
        results = [array(self._first_output + i, node) for i, node in enumerate(graph.outputs)]
        ((name, chunks), *others), tasks = self._entries[0], [task for phase in self._parts[0] for task in phase]
        is_small = sum(microseconds(task.work) for task in tasks) < SMALL_PROGRAM
        alone = not others and chunks == 1 and is_small and not any(isinstance(t.work, Product) for t in tasks)
        assert self._library is not None
        direct = self._library.address(name) if alone else 0
        places = ctypes.addressof(self._table), ctypes.addressof(self._flag)
        return calls.build_call(*places, self._job.record, direct, expected, results, self)

    def _host_step(self, host: Host) -> Callable[[], None]:
        is_held = host.target in self._held

        def put(value: Any) -> None:
            if is_held:
                self._hold(host, value)
            else:
                self._array(host.target).reshape(host.node.shape)[...] = value

        def step() -> None:
            if host.value is None:
                arrays = [
                    self._array(buffer).reshape(x.shape)
                    for buffer, x in zip(host.sources, host.node.inputs, strict=True)
                ]
                with np.errstate(all="ignore"):
                    if not host.siblings:
                        put(_apart(evaluate(host.node, *arrays), arrays))
                        return
                    results = results_of(host.node, *arrays)
                for sibling in host.siblings:
                    sibling.value = _apart(results[sibling.node.attrs["output"]], arrays)
            value, host.value = host.value, None
            put(value)

        return step

    def _hold(self, host: Host, value: Any) -> None:
        """Leaves a result where NumPy has put it, if native code can read it there."""
        shape, dtype = host.node.shape, host.node.dtype
        if type(value) is not np.ndarray or value.shape != shape or value.dtype != dtype or not value.flags.carray:
            value, result = np.empty(shape, dtype), value
            value[...] = result
        slot = self._slots[host.target]
        self._kept[slot] = value
        self._entry[slot] = value.ctypes.data

    def _array(self, buffer: Buffer) -> np.ndarray:
        if buffer in self._offsets:
            start = self._offsets[buffer]
            return self._arena[start : start + buffer.nbytes].view(buffer.dtype)
        if buffer.kind == "constant":
            return self.plan.constants[buffer.number]
        array: np.ndarray = self._kept[self._slots[buffer]]
        return array

    # ------------------------------------------------------------ running

    def bind_input(self, i: int, array: np.ndarray) -> None:
        """Reads input `i` from this contiguous array from now on (and writes to it what targets it)."""
        slot = FIRST + i
        self._kept[slot] = array
        self._entry[slot] = id(array)

    def bind_output(self, i: int, array: np.ndarray) -> None:
        """Writes output `i` to this contiguous array from now on."""
        slot = self._first_output + i
        self._kept[slot] = array
        self._entry[slot] = id(array)

    def _bind_stand_in(self, slot: int, array: np.ndarray) -> None:
        other = stand_in(array)
        self._kept[slot], self._stand_ins[slot] = array, other
        self._entry[slot] = ctypes.addressof(other)

    def run(self) -> None:
        """Computes the outputs. Raises IndexError if an index was out of bounds."""
        self._run_all()
        if self._flag.value:
            self._flag.value = 0
            raise IndexError("index out of bounds in a compiled program")

    def _run_all(self) -> None:
        for step, done in zip(self._steps, self._done, strict=True):
            step()
            for buffer in done:
                self._kept[self._slots[buffer]] = None

    def describe(self) -> str:
        """The loops and library calls, in order."""
        lines = []
        for part in self._parts:
            if isinstance(part, Host):
                lines.append(f"host {part.node.op}: {part.target} <- {part.sources}")
                continue
            for number, phase in enumerate(part):
                lines.append(f"phase {number}: " + ", ".join(f"{t.work.name} in {t.chunks}" for t in phase))
            for task in (task for phase in part for task in phase):
                lines.append(describe_nest(task.work) if isinstance(task.work, Nest) else repr(task.work))
        return "\n".join(lines)


def _apart(value: Any, sources: Sequence[np.ndarray]) -> Any:
    """A result that shares no memory with what it was made of, where other values will be soon."""
    shares = isinstance(value, np.ndarray) and any(np.may_share_memory(value, source) for source in sources)
    return value.copy() if shares else value


def _calls(task: Task) -> list[str]:
    """One call for each chunk."""
    return [
        f"call void @{task.work.name}(ptr %table, i64 {low}, i64 {high}, i64 {chunk})"
        for chunk, (low, high) in enumerate(task.bounds())
    ]


def _sequence(name: str, calls: list[str]) -> str:
    body = "\n".join(f"  {call}" for call in calls)
    return f"define void @{name}(ptr %table, i64 %chunk) {{\n{body}\n  ret void\n}}"


def _choice(name: str, calls: list[str]) -> str:
    """A function that makes the call with the number of its chunk."""
    cases = " ".join(f"i64 {k}, label %chunk{k}" for k in range(len(calls)))
    body = "\n".join(f"chunk{k}:\n  {call}\n  ret void" for k, call in enumerate(calls))
    return (
        f"define void @{name}(ptr %table, i64 %chunk) {{\n"
        f"  switch i64 %chunk, label %none [{cases}]\nnone:\n  ret void\n{body}\n}}"
    )
