"""Functions written by hand for vectors and registers: loops, addresses in bytes, vectors and their transposes.

The compiler's own loops (`llvm.py`) come from graphs; these are for what no graph says: which registers hold what.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from rushlight.compiler import workers
from rushlight.compiler.elements import llvm_type
from rushlight.compiler.module import Code, Module
from rushlight.compiler.native import Library, host_features

# LLVM would cut long vectors in two on machines where it thinks that better, and put functions into their callers.
ATTRIBUTES = 'attributes #0 = { noinline nounwind "min-legal-vector-width"="512" "prefer-vector-width"="512" }'


@functools.cache
def registers_of(itemsize: int) -> tuple[int, int]:
    """(lanes of a vector of numbers so large, how many registers for vectors there are) on this machine."""
    features = host_features()
    if "+avx512f" in features:
        return 64 // itemsize, 32
    if "+avx2" in features:
        return 32 // itemsize, 16
    return 16 // itemsize, 32 if "+neon" in features else 16


@functools.cache
def _has_masks() -> bool:
    """Whether any part of a vector is read or written by one instruction; one or two powers of 2 are quicker without."""
    return "+avx512vl" in host_features()


def run_on_table(phases: Sequence[tuple[int, int]], numbers: Sequence[int]) -> None:
    """Runs functions `f(table, chunk)`, (address, number of chunks) each, on the threads of compiled programs."""
    table = np.array(numbers, np.int64)
    workers.Job(phases, table.ctypes.data).run()


class Vectors(Code):
    """The instructions of a function on vectors of a dtype, as long as this machine has them.

    Variables (`allocate`) are memory here; LLVM makes registers of them.
    """

    def __init__(self, module: Module, dtype: np.dtype):
        super().__init__(module)
        self.dtype, self.item = dtype, dtype.itemsize
        self.lanes, self.num_registers = registers_of(dtype.itemsize)
        self.number, self.kind = llvm_type(dtype), llvm_type(dtype, self.lanes)

    def function(self, head: str) -> str:
        """The text of the function, which returns nothing."""
        lines = "\n".join(self.lines)
        return f"define {head} #0 {{\n{lines}\n  ret void\n}}"

    def library(self, name: str) -> Library:
        """This function alone, compiled, as `name(table, chunk)`."""
        self.module.parts[name] = self.function(f"void @{name}(ptr %table, i64 %chunk)")
        self.module.parts["attributes"] = ATTRIBUTES
        return Library(self.module.text())

    # ------------------------------------------------------------ loops and addresses

    def loop(self, count: int | str, body: Callable[[str], None], start: int | str = 0) -> None:
        """`body(i)` for i from start to count."""
        if start == 0 and count in (0, 1):
            if count:
                body("0")
            return
        variable = self.allocate("i64")
        head, inside, end = (self.fresh(name) for name in ("head", "inside", "end"))
        self.do(f"store i64 {start}, ptr {variable}")
        self.do(f"br label %{head}")
        self.label(head)
        i = self.define(f"load i64, ptr {variable}")
        self.do(f"br i1 {self.define(f'icmp slt i64 {i}, {count}')}, label %{inside}, label %{end}")
        self.label(inside)
        body(i)
        self.do(f"store i64 {self.define(f'add i64 {i}, 1')}, ptr {variable}")
        self.do(f"br label %{head}")
        self.label(end)

    def when(self, condition: str, body: Callable[[], None]) -> None:
        """`body()` if a condition holds."""
        inside, end = self.fresh("inside"), self.fresh("end")
        self.do(f"br i1 {condition}, label %{inside}, label %{end}")
        self.label(inside)
        body()
        self.do(f"br label %{end}")
        self.label(end)

    def allocate(self, kind: str) -> str:
        """A variable, wherever in the function it is asked for."""
        name = "%" + self.fresh()
        self.lines.insert(0, f"  {name} = alloca {kind}")
        return name

    def divided(self, number: str, by: int) -> tuple[str, str]:
        """Quotient and remainder of numbers that are not negative."""
        if by == 1:
            return number, "0"
        return self.define(f"udiv i64 {number}, {by}"), self.define(f"urem i64 {number}, {by}")

    def minimum(self, a: str, b: int) -> str:
        is_less = self.define(f"icmp slt i64 {a}, {b}")
        return self.define(f"select i1 {is_less}, i64 {a}, i64 {b}")

    def at(self, pointer: str, *offsets: tuple[int | str, int]) -> str:
        """A pointer moved by a sum of products (index, bytes)."""
        for index, size in offsets:
            is_known = isinstance(index, int) or index == "0"  # of a loop that is run once
            distance = str(int(index) * size) if is_known else self.define(f"mul i64 {index}, {size}")
            if distance != "0":
                pointer = self.define(f"getelementptr i8, ptr {pointer}, i64 {distance}")
        return pointer

    def slot(self, number: int, kind: str = "ptr") -> str:
        """What the program's table has in a slot."""
        return self.define(f"load {kind}, ptr {self.at('%table', (number, 8))}")

    def share(self, part: str, parts: str, count: str) -> tuple[str, str]:
        """Where the share of a part of so many begins and ends, if `count` pieces are dealt out evenly."""
        after = self.define(f"add i64 {part}, 1")
        begin, end = (
            self.define(f"udiv i64 {self.define(f'mul i64 {number}, {count}')}, {parts}") for number in (part, after)
        )
        return begin, end

    def copy(self, target: str, source: str, size: int) -> None:
        name = "@llvm.memcpy.p0.p0.i64"
        self.module.declare(name, f"declare void {name}(ptr, ptr, i64, i1)")
        self.do(f"call void {name}(ptr {target}, ptr {source}, i64 {size}, i1 false)")

    def clear(self, pointer: str, size: int | str) -> None:
        name = "@llvm.memset.p0.i64"
        self.module.declare(name, f"declare void {name}(ptr, i8, i64, i1)")
        self.do(f"call void {name}(ptr {pointer}, i8 0, i64 {size}, i1 false)")

    # ------------------------------------------------------------ vectors

    def load(self, pointer: str, width: int | None = None) -> str:
        """A vector; the lanes after the first `width` are anything."""
        if width is None or width == self.lanes:
            return self.define(f"load {self.kind}, ptr {pointer}, align {self.item}")
        if width.bit_count() > 2 and width < self.lanes and _has_masks():
            name, mask = f"@llvm.masked.load.v{self.lanes}f{8 * self.item}.p0", self._first(width)
            self.module.declare(name, f"declare {self.kind} {name}(ptr, i32, <{self.lanes} x i1>, {self.kind})")
            return self.define(f"call {self.kind} {name}(ptr {pointer}, i32 {self.item}, {mask}, {self.kind} poison)")
        part = self.define(f"load {llvm_type(self.dtype, width)}, ptr {pointer}, align {self.item}")
        if width == 1:
            return self.define(f"insertelement {self.kind} poison, {self.number} {part}, i64 0")
        return self.shuffle(part, "poison", [i if i < width else -1 for i in range(self.lanes)], width)

    def store(self, vector: str, pointer: str, width: int | None = None) -> None:
        """Writes a vector, or its first lanes."""
        width = width or self.lanes
        if width.bit_count() > 2 and width < self.lanes and _has_masks():
            name, mask = f"@llvm.masked.store.v{self.lanes}f{8 * self.item}.p0", self._first(width)
            self.module.declare(name, f"declare void {name}({self.kind}, ptr, i32, <{self.lanes} x i1>)")
            self.do(f"call void {name}({self.kind} {vector}, ptr {pointer}, i32 {self.item}, {mask})")
            return
        if width == 1:
            vector = self.define(f"extractelement {self.kind} {vector}, i64 0")
        elif width < self.lanes:
            vector = self.shuffle(vector, "poison", list(range(width)), self.lanes)
        self.do(f"store {llvm_type(self.dtype, width)} {vector}, ptr {pointer}, align {self.item}")

    def _first(self, width: int) -> str:
        """A mask of the first lanes."""
        return f"<{self.lanes} x i1> <{', '.join([f'i1 {int(i < width)}' for i in range(self.lanes)])}>"

    def spread(self, pointer: str) -> str:
        """A number in memory, in all lanes."""
        number = self.define(f"load {self.number}, ptr {pointer}, align {self.item}")
        first = self.define(f"insertelement {self.kind} poison, {self.number} {number}, i64 0")
        return self.shuffle(first, "poison", [0] * self.lanes, self.lanes)

    def shuffle(self, a: str, b: str, lanes: list[int], width: int) -> str:
        """Lanes of two vectors of some width; -1 is anything."""
        kind = llvm_type(self.dtype, width)
        mask = ", ".join(["i32 poison" if lane < 0 else f"i32 {lane}" for lane in lanes])
        return self.define(f"shufflevector {kind} {a}, {kind} {b}, <{len(lanes)} x i32> <{mask}>")

    def variable(self, value: str = "zeroinitializer") -> str:
        """A variable for a vector."""
        name = self.allocate(self.kind)
        self.write(name, value)
        return name

    def read(self, variable: str) -> str:
        return self.define(f"load {self.kind}, ptr {variable}")

    def write(self, variable: str, value: str) -> None:
        self.do(f"store {self.kind} {value}, ptr {variable}")

    def add_product(self, variable: str, a: str, b: str, lanes: range | None = None) -> None:
        """variable += a * b, in some of the lanes."""
        old = self.read(variable)
        new = self.module.intrinsic(self, "fmuladd", self.dtype, self.lanes, [a, b, old])
        if lanes is not None and len(lanes) < self.lanes:
            new = self.shuffle(old, new, [i + (i in lanes) * self.lanes for i in range(self.lanes)], self.lanes)
        self.write(variable, new)

    def turned(self, rows: list[str]) -> list[str]:
        """The transpose of at most as many vectors as there are lanes, dealt out like cards, time and again."""
        half = self.lanes // 2
        lanes = [i // 2 + i % 2 * self.lanes for i in range(self.lanes)]
        rows = rows + ["poison"] * (self.lanes - len(rows))
        for _ in range(half.bit_length()):
            rows = [
                "poison" if a == b == "poison" else self.shuffle(a, b, [lane + first for lane in lanes], self.lanes)
                for a, b in zip(rows[:half], rows[half:], strict=True)
                for first in (0, half)
            ]
            rows = [row if row == "poison" else self.fenced(row) for row in rows]
        return rows

    def fenced(self, vector: str) -> str:
        """The same vector. LLVM does not look behind it, where it would take 15 ms for shuffles of shuffles of shuffles."""
        return self.module.intrinsic(self, "arithmetic.fence", self.dtype, self.lanes, [vector])

    def picked(self, sources: list[str], lanes: list[tuple[int, int]]) -> str:
        """A vector of lanes (number of the source, lane of it); lanes that are not said are anything."""
        found = sources[0]
        mask = [lane if number == 0 else -1 for number, lane in lanes] + [-1] * (self.lanes - len(lanes))
        if len(sources) == 1:
            return found if mask == list(range(self.lanes)) else self.shuffle(found, "poison", mask, self.lanes)
        for number, source in enumerate(sources[1:], start=1):
            for i, (origin, lane) in enumerate(lanes):
                mask[i] = self.lanes + lane if origin == number else mask[i]
            found = self.shuffle(found, source, mask, self.lanes)
            mask = [-1 if place < 0 else i for i, place in enumerate(mask)]
        return found
