"""Fourth pass, on the CPU: a nest as one LLVM function.

Rows are a loop, columns are vectors: a row's columns are cut into parts of `width` elements and one part
for the rest (sizes are static, so its width is exact). All vectors are explicit; LLVM is left with what
it does best, instruction selection and scheduling. A function takes the table of pointers, a range of
rows (or, in a nest without rows, of full parts), and its chunk's number for partial sums.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.compiler.affine import Affine
from rushlight.compiler.binding import DATA_OFFSET
from rushlight.compiler.elements import emit, literal, llvm_type, memory_type
from rushlight.compiler.loops import COLUMN, SCALAR, Buffer, Nest, Root, Stage, Value
from rushlight.compiler.module import Code, Module

# The table of pointers: fixed slots, then one for each input, output and constant.
FLAG, ARENA, GEMM_F, GEMM_D, FIRST = range(5)
COMBINE = {
    "sum": "add", "prod": "multiply", "max": "maximum", "min": "minimum", "any": "logical_or", "all": "logical_and",
}  # fmt: skip
ARGUMENTS = "ptr noalias %table, i64 %lo, i64 %hi, i64 %chunk"


def start_value(kind: str, dtype: np.dtype) -> Any:
    """What a reduction starts from."""
    if kind in ("max", "min"):
        if dtype.kind == "b":
            return kind == "min"
        low = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
        high = np.inf if dtype.kind == "f" else np.iinfo(dtype).max
        return low if kind == "max" else high
    if kind == "sum" and dtype.kind == "f":
        return 0.0
    return {"sum": 0, "prod": 1, "any": False, "all": True}[kind]


@dataclass(frozen=True)
class Part:
    """Some neighbouring columns: indices of the outer column dimensions, the first inner index, how many."""

    outer: tuple[str, ...]
    inner: str
    width: int


class Addresses:
    """Where buffers are: the table slot of each, and byte offsets in the arena."""

    def __init__(self, slots: dict[Buffer, int], offsets: dict[Buffer, int]):
        self.slots, self.offsets = slots, offsets

    def pointer(self, code: Code, buffer: Buffer) -> str:
        if buffer in self.offsets:
            return load_slot(code, ARENA, self.offsets[buffer])
        data = load_slot(code, self.slots[buffer])
        if buffer.kind in ("input", "output"):  # the slot holds the address of an ndarray object
            place = code.define(f"getelementptr i8, ptr {data}, i64 {DATA_OFFSET}")
            data = code.define(f"load ptr, ptr {place}")
        return data

    def row_distance(self, code: Code, buffer: Buffer) -> str | None:
        """How many elements lie between rows, where that is not known before a run; else None, and the buffer's rows are dense."""
        return None


def load_number(code: Code, slot: int) -> str:
    place = code.define(f"getelementptr i64, ptr %table, i64 {slot}")
    return code.define(f"load i64, ptr {place}")


def load_slot(code: Code, slot: int, offset: int = 0) -> str:
    place = code.define(f"getelementptr ptr, ptr %table, i64 {slot}")
    pointer = code.define(f"load ptr, ptr {place}")
    return code.define(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer


def write_nest(module: Module, nest: Nest, addresses: Addresses) -> str:
    """Adds the nest's function to the module; its name."""
    writer = _Writer(module, nest, addresses)
    module.parts[nest.name] = writer.write()
    return f"@{nest.name}"


class _Writer:
    def __init__(self, module: Module, nest: Nest, addresses: Addresses):
        self.module, self.nest, self.addresses = module, nest, addresses
        self.code = Code(module)
        self.entry: list[str] = []  # stack memory
        self.pointers: dict[Buffer, str] = {}
        self.row_distances: dict[Buffer, str | None] = {}
        self.rows: list[str] = []
        self.row_pointers: dict[tuple[Buffer, Affine], str] = {}
        self.row_values: dict[Value, str] = {}
        self.part_values: dict[tuple[Value, Part], str] = {}
        self.scratch: dict[Value, str] = {}
        self.accumulators: dict[tuple[Any, int], str] = {}

    # ------------------------------------------------------------ the function

    def write(self) -> str:
        nest, code = self.nest, self.code
        for buffer in self._buffers():
            self.pointers[buffer] = self.addresses.pointer(code, buffer)
            self.row_distances[buffer] = self.addresses.row_distance(code, buffer)
        for root in self._terminals():
            if root.partial is not None:
                offset = code.define(f"mul i64 %chunk, {root.buffer.size}")
                whole = self.addresses.pointer(code, root.partial)
                self.pointers[root.buffer] = self._step(whole, root.value.dtype, offset)
        for value in nest.prologue:
            self._row_value(value)
        self._start_terminals()
        if nest.rows:
            row, end = self._open_loop("%lo", "%hi")
            self.rows = self._decode(row)
            self._row()
            self._close_loop(row, end, 1)
        else:
            self._row()
        self._finish_terminals()
        head = f"define internal void @{nest.name}({ARGUMENTS}) noinline {{"
        return "\n".join([head, *self.entry, *code.lines, "  ret void", "}"])

    def _buffers(self) -> list[Buffer]:
        found = [v.buffer for v in self.nest.values() if v.buffer is not None]
        found += [root.buffer for root in self.nest.roots]
        return list(dict.fromkeys(found))

    def _decode(self, row: str) -> list[str]:
        """The indices of a row's dimensions, from its number."""
        indices: list[str] = []
        for size in reversed(self.nest.rows[1:]):
            indices.append(self.code.define(f"urem i64 {row}, {size}"))
            row = self.code.define(f"udiv i64 {row}, {size}")
        return [row, *reversed(indices)]

    def _open_loop(self, start: str, stop: str) -> tuple[str, str]:
        """A loop that runs at least once; the counter's name, and what closes the loop."""
        code, name = self.code, self.code.fresh("loop")
        code.do(f"br label %{name}.before")
        code.label(f"{name}.before")
        code.do(f"br label %{name}")
        code.label(name)
        code.do(f"%{name}.i = phi i64 [{start}, %{name}.before], [%{name}.next, %{name}.latch]")
        return f"%{name}.i", stop

    def _close_loop(self, counter: str, stop: str, step: int) -> None:
        code, name = self.code, counter[1:-2]
        code.do(f"br label %{name}.latch")
        code.label(f"{name}.latch")
        code.do(f"%{name}.next = add nuw nsw i64 {counter}, {step}")
        done = code.define(f"icmp eq i64 %{name}.next, {stop}")
        code.do(f"br i1 {done}, label %{name}.after, label %{name}")
        code.label(f"{name}.after")

    # ------------------------------------------------------------ a row

    def _row(self) -> None:
        if self.nest.rows:
            self.row_pointers.clear()
            self.row_values = {v: x for v, x in self.row_values.items() if v.level == SCALAR}
            self.part_values.clear()
        self._start_row_terminals()
        for stage in self.nest.stages:
            for value in stage.row_values:
                self._row_value(value)
            self._make_row_pointers(stage)
            self._columns(stage)
            for root in stage.row_roots:
                self._row_root(root)
        self._finish_row_terminals()

    def _make_row_pointers(self, stage: Stage) -> None:
        for item in (*stage.values, *stage.roots, *stage.known.values()):
            if item is not None and item.buffer is not None:
                self._row_pointer(item.buffer, item.address)

    def _row_pointer(self, buffer: Buffer | None, address: Affine) -> str:
        """The address of a row's first column."""
        assert buffer is not None
        split = len(self.nest.rows) + 1
        key = (buffer, address[:split])
        if key not in self.row_pointers:
            rows = self.rows or ["0"] * (split - 1)  # before the first row only scalars are read
            distance = self.row_distances.get(buffer)
            factors = address[1:split] if distance is None or not self.rows else (distance,)
            offset = self._sum([address[0]], factors, rows)
            self.row_pointers[key] = self._step(self.pointers[buffer], buffer.dtype, offset)
        return self.row_pointers[key]

    def _sum(self, terms: list[Any], factors: tuple[int | str, ...], indices: Any) -> str:
        """A constant plus indices times factors, folded as far as numbers allow."""
        constant, names = terms[0], []
        for factor, index in zip(factors, indices, strict=True):
            if not factor:
                continue
            if not index.startswith("%"):
                constant += int(factor) * int(index)
            else:
                names.append(index if factor == 1 else self.code.define(f"mul nsw i64 {index}, {factor}"))
        if not names:
            return str(constant)
        total = names[0]
        for name in [*names[1:], *([str(constant)] if constant else [])]:
            total = self.code.define(f"add nsw i64 {total}, {name}")
        return total

    def _step(self, pointer: str, dtype: np.dtype, offset: str) -> str:
        if offset == "0":
            return pointer
        return self.code.define(f"getelementptr {memory_type(dtype)}, ptr {pointer}, i64 {offset}")

    def _row_value(self, value: Value) -> str:
        """A value computed once per row, or once."""
        if value in self.row_values:
            return self.row_values[value]
        if value.op == "constant":
            result = literal(value.attrs["value"], value.dtype)
        elif value.op == "load":
            result = self._load(self._row_pointer(value.buffer, value.address), value.dtype, 1)
        elif value.op == "index":
            result = self._index(
                value,
                self._sum([value.address[0]], value.address[1:][: len(self.rows)], self.rows),
                1,
            )
        elif value.op == "gather":
            pointer = self._looked_pointer(value, [self._row_value(v) for v in value.operands])
            result = self._load(pointer, value.dtype, 1)
        else:
            sources = [self._row_value(v) for v in value.operands]
            result = emit(self.code, value.op, sources, _source(value), value.dtype, 1, value.attrs)
        self.row_values[value] = result
        return result

    def _looked_pointer(self, item: Any, indices: list[str]) -> str:
        pointer = self._row_pointer(item.buffer, item.address)
        strides = item.attrs["strides"] if isinstance(item, Value) else [s for _, s in item.indices]
        return self._step(pointer, item.buffer.dtype, self._sum([0], tuple(strides), indices))

    def _row_root(self, root: Root) -> None:
        value = self._row_value(root.value)
        if root.op == "accumulate":
            self._accumulate_row(root, value)
            return
        if root.op == "store":
            self._store(value, self._row_pointer(root.buffer, root.address), root.value.dtype, 1)
            return
        pointer = self._looked_pointer(root, [self._row_value(v) for v, _ in root.indices])
        self._write_scattered(root, value, pointer, 1)

    # ------------------------------------------------------------ columns

    def _columns(self, stage: Stage) -> None:
        if not (stage.roots or stage.reductions):
            return
        *outer, inner = self.nest.columns
        width = self.nest.width
        full, rest = divmod(inner, width)
        for value in stage.reductions:
            self._start(value, value.dtype, value.attrs["kind"])
        if self.nest.unrolled:
            for indices in np.ndindex(*outer):
                at = tuple(map(str, indices))
                for k in range(full):
                    self._part(stage, Part(at, str(k * width), width))
                if rest:
                    self._part(stage, Part(at, str(full * width), rest))
        else:
            self._column_loops(stage, outer, full, rest)
        for value in stage.reductions:
            self.row_values[value] = self._finish(value, value.dtype, value.attrs["kind"])

    def _column_loops(self, stage: Stage, outer: list[int], full: int, rest: int) -> None:
        width, loops = self.nest.width, []
        for size in outer:
            loops.append(self._open_loop("0", str(size)))
        at = tuple(name for name, _ in loops)
        if full:
            chunked = not self.nest.rows
            counter, stop = self._open_loop(*(("%lo", "%hi") if chunked else ("0", str(full))))
            self.part_values.clear()
            start = self.code.define(f"mul nuw nsw i64 {counter}, {width}")
            self._part(stage, Part(at, start, width))
            self._close_loop(counter, stop, 1)
        if rest:
            self.part_values.clear()
            self._rest(stage, Part(at, str(full * width), rest), full)
        for counter, stop in reversed(loops):
            self._close_loop(counter, stop, 1)

    def _rest(self, stage: Stage, part: Part, full: int) -> None:
        """The columns after the last full part; in a nest cut by columns they are the last chunk's."""
        if self.nest.rows or not full:
            self._part(stage, part)
            return
        code, name = self.code, self.code.fresh("rest")
        last = code.define(f"icmp eq i64 %hi, {full}")
        code.do(f"br i1 {last}, label %{name}, label %{name}.after")
        code.label(name)
        self._part(stage, part)
        code.do(f"br label %{name}.after")
        code.label(f"{name}.after")

    def _part(self, stage: Stage, part: Part) -> None:
        for value in stage.values:
            self._get(value, part, stage)
        for value in stage.reductions:
            self._add(
                value,
                value.dtype,
                value.attrs["kind"],
                self._get(value.operands[0], part, stage),
                part,
            )
        for value in stage.kept:
            self._keep(value, self._get(value, part, stage), part)
        for root in stage.roots:
            self._root(root, self._get(root.value, part, stage), part, stage)

    def _get(self, value: Value, part: Part, stage: Stage) -> str:
        """A value at a part, computed if that has not happened yet."""
        key = (value, part)
        if key not in self.part_values:
            if value.level < COLUMN:
                self.part_values[key] = self._splat(value, part.width)
            elif value in stage.known:
                self.part_values[key] = self._recall(value, stage.known[value], part)
            else:
                self.part_values[key] = self._compute(value, part, stage)
        return self.part_values[key]

    def _splat(self, value: Value, width: int) -> str:
        if value.op == "constant":
            return literal(value.attrs["value"], value.dtype, width)
        return self._spread(self._row_value(value), value.dtype, width)

    def _spread(self, scalar: str, dtype: np.dtype, width: int) -> str:
        if width == 1:
            return scalar
        kind = llvm_type(dtype, width)
        first = self.code.define(f"insertelement {kind} poison, {llvm_type(dtype)} {scalar}, i64 0")
        return self.code.define(f"shufflevector {kind} {first}, {kind} poison, <{width} x i32> zeroinitializer")

    def _compute(self, value: Value, part: Part, stage: Stage) -> str:
        width = part.width
        if value.op == "load":
            pointer = self._row_pointer(value.buffer, value.address)
            return self._load_columns(pointer, value.address, value.dtype, part)
        if value.op == "index":
            return self._index_columns(value, part)
        if value.op == "gather":
            return self._gather(value, part, stage)
        sources = [self._get(v, part, stage) for v in value.operands]
        return emit(self.code, value.op, sources, _source(value), value.dtype, width, value.attrs)

    def _column_offset(self, address: Affine, part: Part) -> str:
        factors = address[len(self.nest.rows) + 1 :]
        return self._sum([0], factors, (*part.outer, part.inner))

    # ------------------------------------------------------------ memory

    def _load(self, pointer: str, dtype: np.dtype, width: int) -> str:
        kind = memory_type(dtype, width)
        loaded = self.code.define(f"load {kind}, ptr {pointer}, align {dtype.itemsize}")
        if dtype.kind == "b":
            return self.code.define(f"trunc {kind} {loaded} to {llvm_type(dtype, width)}")
        return loaded

    def _store(self, value: str, pointer: str, dtype: np.dtype, width: int) -> None:
        kind = memory_type(dtype, width)
        if dtype.kind == "b":
            value = self.code.define(f"zext {llvm_type(dtype, width)} {value} to {kind}")
        self.code.do(f"store {kind} {value}, ptr {pointer}, align {dtype.itemsize}")

    def _load_columns(self, pointer: str, address: Affine, dtype: np.dtype, part: Part) -> str:
        step, width = address[-1], part.width
        first = self._step(pointer, dtype, self._column_offset(address, part))
        if step == 0 or width == 1:
            return self._spread(self._load(first, dtype, 1), dtype, width)
        if step == 1:
            return self._load(first, dtype, width)
        if step == -1:
            loaded = self._load(self._step(first, dtype, str(1 - width)), dtype, width)
            return self._shuffle(loaded, dtype, width, range(width - 1, -1, -1))
        lanes = [self._load(self._step(first, dtype, str(k * step)), dtype, 1) for k in range(width)]
        return self._build(lanes, dtype)

    def _build(self, lanes: list[str], dtype: np.dtype) -> str:
        width = len(lanes)
        if width == 1:
            return lanes[0]
        kind, result = llvm_type(dtype, width), "poison"
        for k, lane in enumerate(lanes):
            result = self.code.define(f"insertelement {kind} {result}, {llvm_type(dtype)} {lane}, i64 {k}")
        return result

    def _lane(self, vector: str, dtype: np.dtype, width: int, k: int) -> str:
        if width == 1:
            return vector
        return self.code.define(f"extractelement {llvm_type(dtype, width)} {vector}, i64 {k}")

    def _shuffle(self, vector: str, dtype: np.dtype, width: int, lanes: Any) -> str:
        kind, chosen = llvm_type(dtype, width), [f"i32 {k}" for k in lanes]
        mask = f"<{len(chosen)} x i32> <{', '.join(chosen)}>"
        return self.code.define(f"shufflevector {kind} {vector}, {kind} poison, {mask}")

    def _store_columns(self, value: str, root: Root, part: Part) -> None:
        pointer = self._row_pointer(root.buffer, root.address)
        dtype, width, step = root.value.dtype, part.width, root.address[-1]
        first = self._step(pointer, dtype, self._column_offset(root.address, part))
        if step == 1 or width == 1:
            self._store(value, first, dtype, width)
            return
        for k in range(width):
            lane = self._lane(value, dtype, width, k)
            self._store(lane, self._step(first, dtype, str(k * step)), dtype, 1)

    def _keep(self, value: Value, operand: str, part: Part) -> None:
        """Into the value's scratch row."""
        if value not in self.scratch:
            name, kind = f"%scratch{len(self.scratch)}", memory_type(value.dtype)
            self.entry.append(f"  {name} = alloca {kind}, i64 {self.nest.num_columns}, align 64")
            self.scratch[value] = name
        self._store(operand, self._scratch_place(value, part), value.dtype, part.width)

    def _scratch_place(self, value: Value, part: Part) -> str:
        factors = [math.prod(self.nest.columns[i + 1 :]) for i in range(len(self.nest.columns))]
        offset = self._sum([0], tuple(factors), (*part.outer, part.inner))
        return self._step(self.scratch[value], value.dtype, offset)

    def _recall(self, value: Value, root: Root | None, part: Part) -> str:
        if root is None:
            return self._load(self._scratch_place(value, part), value.dtype, part.width)
        pointer = self._row_pointer(root.buffer, root.address)
        return self._load_columns(pointer, root.address, value.dtype, part)

    # ------------------------------------------------------------ numbers and looked-up places

    def _index(self, value: Value, place: str, width: int) -> str:
        """start + step * place, as NumPy's arange computes it."""
        start, step = value.attrs["start"], value.attrs["step"]
        long, double = np.dtype(np.int64), np.dtype(np.float64)

        def run(op: str, *operands: str, dtype: np.dtype, result: np.dtype | None = None) -> str:
            return emit(self.code, op, list(operands), dtype, result or dtype, width, {})

        if isinstance(start, int) and isinstance(step, int):
            scaled = place if step == 1 else run("multiply", place, literal(step, long, width), dtype=long)
            number = scaled if start == 0 else run("add", scaled, literal(start, long, width), dtype=long)
            return run("astype", number, dtype=long, result=value.dtype)
        delta = (start + step) - start
        number = run("astype", place, dtype=long, result=double)
        number = run("multiply", number, literal(delta, double, width), dtype=double)
        number = run("add", number, literal(start, double, width), dtype=double)
        return run("astype", number, dtype=double, result=value.dtype)

    def _index_columns(self, value: Value, part: Part) -> str:
        split = len(self.nest.rows) + 1
        base = self._sum(
            [value.address[0]],
            (*value.address[1:split], *value.address[split:]),
            (*self.rows, *part.outer, part.inner),
        )
        return self._index(value, self._count(base, value.address[-1], part.width), part.width)

    def _count(self, base: str, step: int, width: int) -> str:
        """base, base + step, ..."""
        long = np.dtype(np.int64)
        if width == 1:
            return base
        lanes = ", ".join(f"i64 {k * step}" for k in range(width))
        spread = self._spread(base, long, width)
        return self.code.define(f"add {llvm_type(long, width)} {spread}, <{lanes}>")

    def _gather(self, value: Value, part: Part, stage: Stage) -> str:
        if all(v.level < COLUMN for v in value.operands):
            pointer = self._looked_pointer(value, [self._row_value(v) for v in value.operands])
            return self._load_columns(pointer, value.address, value.dtype, part)
        lanes = [
            self._load(pointer, value.dtype, 1)
            for pointer in self._lane_pointers(value, value.operands, value.attrs["strides"], part, stage)
        ]
        return self._build(lanes, value.dtype)

    def _lane_pointers(self, item: Any, indices: list[Value], strides: list[int], part: Part, stage: Stage) -> Any:
        """One after the other, the address of each element of a part."""
        long, width = np.dtype(np.int64), part.width
        pointer = self._row_pointer(item.buffer, item.address)
        offsets = self._count(self._column_offset(item.address, part), item.address[-1], width)
        for index, stride in zip(indices, strides, strict=True):
            scale = literal(stride, long, width)
            scaled = emit(self.code, "multiply", [self._get(index, part, stage), scale], long, long, width, {})
            offsets = emit(self.code, "add", [offsets, scaled], long, long, width, {})
        for k in range(width):
            yield self._step(pointer, item.buffer.dtype, self._lane(offsets, long, width, k))

    # ------------------------------------------------------------ roots

    def _root(self, root: Root, value: str, part: Part, stage: Stage) -> None:
        if root.op == "store":
            self._store_columns(value, root, part)
        elif root.op == "accumulate":
            self._accumulate(root, value, part)
        else:
            self._scatter(root, value, part, stage)

    def _scatter(self, root: Root, value: str, part: Part, stage: Stage) -> None:
        indices, dtype = [v for v, _ in root.indices], root.value.dtype
        if all(v.level < COLUMN for v in indices) and root.address[-1] == 1:
            pointer = self._looked_pointer(root, [self._row_value(v) for v in indices])
            place = self._step(pointer, dtype, self._column_offset(root.address, part))
            self._write_scattered(root, value, place, part.width)
            return
        strides = [stride for _, stride in root.indices]
        for k, place in enumerate(self._lane_pointers(root, indices, strides, part, stage)):
            self._write_scattered(root, self._lane(value, dtype, part.width, k), place, 1)

    def _write_scattered(self, root: Root, value: str, place: str, width: int) -> None:
        dtype = root.value.dtype
        if root.kind == "add":
            old = self._load(place, dtype, width)
            value = emit(self.code, "add", [old, value], dtype, dtype, width, {})
        self._store(value, place, dtype, width)

    # ------------------------------------------------------------ reductions

    def _start(self, owner: Any, dtype: np.dtype, kind: str) -> None:
        """Accumulators for full parts and for the rest."""
        for width in self._widths(owner):
            key, kind_name = (owner, width), llvm_type(dtype, width)
            if key not in self.accumulators:
                name = f"%acc{len(self.accumulators)}"
                self.entry.append(f"  {name} = alloca {kind_name}")
                self.accumulators[key] = name
            first = literal(start_value(kind, dtype), dtype, width)
            self.code.do(f"store {kind_name} {first}, ptr {self.accumulators[key]}")

    def _widths(self, owner: Any) -> list[int]:
        """The widths of an accumulator's vectors: of full parts, and of the rest."""
        if not self.nest.columns or (isinstance(owner, Root) and owner.level < COLUMN):
            return [1]
        full, rest = divmod(self.nest.columns[-1], self.nest.width)
        return ([self.nest.width] if full else []) + ([rest] if rest else [])

    def _add(self, owner: Any, dtype: np.dtype, kind: str, value: str, part: Part) -> None:
        name, kind_name = self.accumulators[(owner, part.width)], llvm_type(dtype, part.width)
        old = self.code.define(f"load {kind_name}, ptr {name}")
        new = self._combine(kind, old, value, dtype, part.width)
        self.code.do(f"store {kind_name} {new}, ptr {name}")

    def _combine(self, kind: str, x: str, y: str, dtype: np.dtype, width: int) -> str:
        return emit(self.code, COMBINE[kind], [x, y], dtype, dtype, width, {})

    def _finish(self, owner: Any, dtype: np.dtype, kind: str) -> str:
        """One number from the accumulators, by halves: an order that only sizes decide."""
        total = ""
        for width in self._widths(owner):
            kind_name = llvm_type(dtype, width)
            vector = self.code.define(f"load {kind_name}, ptr {self.accumulators[(owner, width)]}")
            number = self._halve(vector, dtype, kind, width)
            total = self._combine(kind, total, number, dtype, 1) if total else number
        return total

    def _halve(self, vector: str, dtype: np.dtype, kind: str, width: int) -> str:
        odd = []
        while width > 1:
            if width % 2:
                odd.append(self._lane(vector, dtype, width, width - 1))
            half = width // 2
            low = self._shuffle(vector, dtype, width, range(half)) if half > 1 else self._lane(vector, dtype, width, 0)
            high = (
                self._shuffle(vector, dtype, width, range(half, 2 * half))
                if half > 1
                else self._lane(vector, dtype, width, 1)
            )
            vector, width = self._combine(kind, low, high, dtype, half), half
        for lane in odd:
            vector = self._combine(kind, vector, lane, dtype, 1)
        return vector

    # ------------------------------------------------------------ terminal reductions

    def _terminals(self) -> list[Root]:
        return [root for root in self.nest.roots if root.op == "accumulate"]

    def _home(self, root: Root) -> str:
        """register: one number; row: a number for some rows; memory: a number for some columns."""
        split = len(self.nest.rows) + 1
        if any(root.address[split:]):
            return "memory"
        return "row" if any(root.address[1:split]) else "register"

    def _start_terminals(self) -> None:
        for root in self._terminals():
            if self._home(root) == "register":
                self._start(root, root.value.dtype, root.kind)
            else:
                self._fill(root)

    def _fill(self, root: Root) -> None:
        dtype, size = root.value.dtype, self._extent(root)
        first = literal(start_value(root.kind, dtype), dtype)
        counter, stop = self._open_loop("0", str(size))
        self._store(first, self._step(self.pointers[root.buffer], dtype, counter), dtype, 1)
        self._close_loop(counter, stop, 1)

    def _extent(self, root: Root) -> int:
        return root.buffer.size  # also of one chunk's partial result

    def _start_row_terminals(self) -> None:
        for root in self._terminals():
            if self._home(root) == "row" and root.level == COLUMN:
                self._start(root, root.value.dtype, root.kind)

    def _accumulate(self, root: Root, value: str, part: Part) -> None:
        dtype, width = root.value.dtype, part.width
        if self._home(root) != "memory":
            self._add(root, dtype, root.kind, value, part)
            return
        pointer = self._row_pointer(root.buffer, root.address)
        first = self._step(pointer, dtype, self._column_offset(root.address, part))
        step = root.address[-1]
        if step == 0:
            self._add_to_memory(root, first, self._halve(value, dtype, root.kind, width), 1)
        elif step == 1 or width == 1:
            self._add_to_memory(root, first, value, width)
        else:
            for k in range(width):
                place = self._step(first, dtype, str(k * step))
                self._add_to_memory(root, place, self._lane(value, dtype, width, k), 1)

    def _add_to_memory(self, root: Root, place: str, value: str, width: int) -> None:
        dtype = root.value.dtype
        old = self._load(place, dtype, width)
        self._store(self._combine(root.kind, old, value, dtype, width), place, dtype, width)

    def _accumulate_row(self, root: Root, value: str) -> None:
        """A value of the row, once per row."""
        if self._home(root) == "register":
            self._add(root, root.value.dtype, root.kind, value, Part((), "0", 1))
        else:
            self._add_to_memory(root, self._row_pointer(root.buffer, root.address), value, 1)

    def _finish_row_terminals(self) -> None:
        for root in self._terminals():
            if self._home(root) == "row" and root.level == COLUMN:
                number = self._finish(root, root.value.dtype, root.kind)
                self._add_to_memory(root, self._row_pointer(root.buffer, root.address), number, 1)

    def _finish_terminals(self) -> None:
        for root in self._terminals():
            if self._home(root) == "register":
                number = self._finish(root, root.value.dtype, root.kind)
                place = self._step(self.pointers[root.buffer], root.value.dtype, str(root.address[0]))
                self._store(number, place, root.value.dtype, 1)


def _source(value: Value) -> np.dtype:
    return value.operands[-1].dtype if value.operands else value.dtype
