"""Products of few rows with one matrix, again and again: the matrix is put in order once, and read as it lies from then on.

BLAS copies its operands into such an order at every call, which for 16 rows takes as long as the product. Here a *panel* is as many
columns of the matrix as two vectors hold, row after row; a *tile* is some rows of the result in one panel, whose sums stay in
registers while a panel is read through.

Left out: matrices that do not come again (`products.py` calls BLAS for those).
"""

from __future__ import annotations

import numpy as np

from rushlight.compiler.elements import llvm_type
from rushlight.compiler.llvm import ARGUMENTS, Addresses, load_slot
from rushlight.compiler.loops import Buffer
from rushlight.compiler.module import Code, Module
from rushlight.compiler.native import vector_registers
from rushlight.compiler.products import Operand, Product

VECTORS = 2  # in a panel's row
ROWS = "i64 %a.row, i64 %out.row"  # arguments: bytes from a row of an operand to the next


class Panels:
    """The matrix of a product, `b` of `Product`, in panels."""

    def __init__(self, product: Product):
        count, size = vector_registers()
        self.product, self.lanes = product, size // product.dtype.itemsize
        self.columns = VECTORS * self.lanes
        self.rows = count // (2 * VECTORS)  # of a tile: its sums take half of the registers
        num_panels = -(-product.n // self.columns)
        self.memory = np.zeros((num_panels, product.k, self.columns), product.dtype)

    # ------------------------------------------------------------ the code

    def write_packing(self, module: Module, addresses: Addresses, slot: int) -> str:
        """Adds the function that copies the matrix into panel `%chunk`; its name."""
        product, code, name = self.product, Code(module), f"{self.product.name}.pack"
        size, column, (full, rest) = product.dtype.itemsize, product.b.column, divmod(product.n, self.columns)
        matrix, panels = addresses.pointer(code, product.b.buffer), load_slot(code, slot)
        first = code.define(f"mul i64 %chunk, {self.columns * column}")
        first = code.define(f"add i64 {first}, {product.b.offset}")
        source = code.define(f"getelementptr i8, ptr {matrix}, i64 {code.define(f'mul i64 {first}, {size}')}")
        target = code.define(f"getelementptr i8, ptr {panels}, i64 {code.define(f'mul i64 %chunk, {self._bytes}')}")
        is_whole = code.define(f"icmp slt i64 %chunk, {full}")
        code.do(f"br i1 {is_whole}, label %whole, label %part")
        code.label("whole")
        if column > 1 and product.k >= self.lanes:
            self._pack_across(code, source, target)
        else:
            self._pack_along(code, source, target, self.columns, "whole")
        code.do("ret void")
        code.label("part")
        if rest:
            self._pack_along(code, source, target, rest, "part")
        head = f"define internal void @{name}(ptr noalias %table, i64 %chunk) noinline {{"
        module.parts[name] = "\n".join([head, *code.lines, "  ret void", "}"])
        return name

    def _pack_along(self, code: Code, source: str, target: str, columns: int, before: str) -> None:
        """Row after row, of the first columns."""
        product, size, real, name = (
            self.product,
            self.product.dtype.itemsize,
            llvm_type(self.product.dtype),
            f"{before}.row",
        )
        code.do(f"br label %{name}")
        code.label(name)
        code.do(f"%{name}.k = phi i64 [0, %{before}], [%{name}.next, %{name}]")
        line = code.define(
            f"getelementptr i8, ptr {source}, i64 {code.define(f'mul i64 %{name}.k, {product.b.row * size}')}"
        )
        place = code.define(
            f"getelementptr i8, ptr {target}, i64 {code.define(f'mul i64 %{name}.k, {self.columns * size}')}"
        )
        width = self.lanes if product.b.column == 1 and columns % self.lanes == 0 else 1
        kind = llvm_type(product.dtype, width)
        for start in range(0, columns, width):
            at = code.define(f"getelementptr {real}, ptr {line}, i64 {start * product.b.column}")
            value = code.define(f"load {kind}, ptr {at}, align {size}")
            at = code.define(f"getelementptr {real}, ptr {place}, i64 {start}")
            code.do(f"store {kind} {value}, ptr {at}, align {size}")
        code.do(f"%{name}.next = add i64 %{name}.k, 1")
        done = code.define(f"icmp eq i64 %{name}.next, {product.k}")
        code.do(f"br i1 {done}, label %{name}.after, label %{name}")
        code.label(f"{name}.after")

    def _pack_across(self, code: Code, source: str, target: str) -> None:
        """Of a transposed matrix: squares of as many rows as a vector has lanes, the last of which may overlap the one before."""
        product, size, lanes = self.product, self.product.dtype.itemsize, self.lanes
        kind, last = llvm_type(product.dtype, lanes), product.k - lanes
        code.do("br label %square")
        code.label("square")
        code.do("%square.at = phi i64 [0, %whole], [%square.next, %square]")
        is_late = code.define(f"icmp sgt i64 %square.at, {last}")
        k = code.define(f"select i1 {is_late}, i64 {last}, i64 %square.at")
        line = code.define(f"getelementptr i8, ptr {source}, i64 {code.define(f'mul i64 {k}, {size}')}")
        place = code.define(f"getelementptr i8, ptr {target}, i64 {code.define(f'mul i64 {k}, {self.columns * size}')}")
        for start in range(0, self.columns, lanes):
            vectors = []
            for i in range(start, start + lanes):
                at = code.define(f"getelementptr i8, ptr {line}, i64 {i * product.b.column * size}")
                vectors.append(code.define(f"load {kind}, ptr {at}, align {size}"))
            for i, vector in enumerate(_transposed(code, vectors, kind)):
                at = code.define(f"getelementptr i8, ptr {place}, i64 {(i * self.columns + start) * size}")
                code.do(f"store {kind} {vector}, ptr {at}, align {size}")
        code.do(f"%square.next = add i64 %square.at, {lanes}")
        done = code.define(f"icmp sge i64 %square.next, {product.k}")
        code.do(f"br i1 {done}, label %square.after, label %square")
        code.label("square.after")

    def write(self, module: Module, addresses: Addresses, slot: int) -> None:
        """Adds the product's function, which has nests' arguments, for rows from `lo` to `hi`."""
        product, code = self.product, Code(module)
        a, out = addresses.pointer(code, product.a.buffer), addresses.pointer(code, product.c)
        panels = load_slot(code, slot)
        size = product.dtype.itemsize
        full, rest = divmod(product.n, self.columns)
        if product.a.offset:
            a = code.define(f"getelementptr i8, ptr {a}, i64 {product.a.offset * size}")
        distances = ((product.a.buffer, product.a.leading), (product.c, product.n))
        a_row, out_row = (self._row_bytes(code, addresses, buffer, leading) for buffer, leading in distances)
        if full:
            strip = self._strip(module, self.columns)
            code.do("br label %loop")
            code.label("loop")
            code.do("%p = phi i64 [0, %0], [%next, %loop]")
            panel = code.define(f"getelementptr i8, ptr {panels}, i64 {code.define(f'mul i64 %p, {self._bytes}')}")
            place = code.define(f"getelementptr i8, ptr {out}, i64 {code.define(f'mul i64 %p, {self.columns * size}')}")
            code.do(
                f"call void {strip}(ptr {a}, ptr {panel}, ptr {place}, i64 %lo, i64 %hi, i64 {a_row}, i64 {out_row})"
            )
            code.do("%next = add i64 %p, 1")
            code.do(f"%done = icmp eq i64 %next, {full}")
            code.do("br i1 %done, label %last, label %loop")
            code.label("last")
        if rest:
            strip = self._strip(module, rest)
            panel = code.define(f"getelementptr i8, ptr {panels}, i64 {full * self._bytes}")
            place = code.define(f"getelementptr i8, ptr {out}, i64 {full * self.columns * size}")
            code.do(
                f"call void {strip}(ptr {a}, ptr {panel}, ptr {place}, i64 %lo, i64 %hi, i64 {a_row}, i64 {out_row})"
            )
        head = f"define internal void @{product.name}({ARGUMENTS}) noinline {{"
        module.parts[product.name] = "\n".join([head, *code.lines, "  ret void", "}"])

    def _row_bytes(self, code: Code, addresses: Addresses, buffer: Buffer, leading: int) -> str:
        """From a row of an operand to the next."""
        distance, size = addresses.row_distance(code, buffer), self.product.dtype.itemsize
        return str(leading * size) if distance is None else code.define(f"mul i64 {distance}, {size}")

    @property
    def _bytes(self) -> int:
        """Of one panel."""
        return self.product.k * self.columns * self.product.dtype.itemsize

    def _strip(self, module: Module, columns: int) -> str:
        """The function of one panel: tiles of fewer and fewer rows."""
        code, name = Code(module), f"{self.product.name}.strip{columns}"
        rows, start = self.rows, "%lo"
        while rows:
            tile, label = self._tile(module, rows, columns), f"tile{rows}"
            code.do(f"br label %{label}.before")
            code.label(f"{label}.before")
            code.do(f"br label %{label}")
            code.label(label)
            code.do(f"%{label}.row = phi i64 [{start}, %{label}.before], [%{label}.next, %{label}.work]")
            code.do(f"%{label}.next = add i64 %{label}.row, {rows}")
            fits = code.define(f"icmp sle i64 %{label}.next, %hi")
            code.do(f"br i1 {fits}, label %{label}.work, label %{label}.after")
            code.label(f"{label}.work")
            a, out = (_row(code, x, f"%{label}.row") for x in ("a", "out"))
            code.do(f"call void {tile}(ptr {a}, ptr %panel, ptr {out}, i64 %a.row, i64 %out.row)")
            code.do(f"br label %{label}")
            code.label(f"{label}.after")
            rows, start = rows // 2, f"%{label}.row"
        head = f"define internal void @{name}(ptr %a, ptr %panel, ptr %out, i64 %lo, i64 %hi, {ROWS}) noinline {{"
        module.parts[name] = "\n".join([head, *code.lines, "  ret void", "}"])
        return f"@{name}"

    def _tile(self, module: Module, rows: int, columns: int) -> str:
        """The function of so many rows in one panel, of which the first columns are stored."""
        product, code, size = self.product, Code(module), self.product.dtype.itemsize
        name, kind, real = (
            f"{product.name}.tile{rows}x{columns}",
            llvm_type(product.dtype, self.lanes),
            llvm_type(product.dtype),
        )
        places = [(row, part) for row in range(rows) for part in range(VECTORS) if part * self.lanes < columns]
        of_a, of_out = ([_row(code, x, str(row)) for row in range(rows)] for x in ("a", "out"))
        code.do("br label %loop")
        code.label("loop")
        code.do("%k = phi i64 [0, %0], [%next, %loop]")
        for row, part in places:
            code.do(f"%sum{row}.{part} = phi {kind} [zeroinitializer, %0], [%new{row}.{part}, %loop]")
        line = code.define(f"getelementptr i8, ptr %panel, i64 {code.define(f'mul i64 %k, {self.columns * size}')}")
        vectors = []
        for part in sorted({part for _, part in places}):
            place = code.define(f"getelementptr i8, ptr {line}, i64 {part * self.lanes * size}")
            vectors.append(code.define(f"load {kind}, ptr {place}, align {size}"))
        for row in range(rows):
            place = code.define(f"getelementptr {real}, ptr {of_a[row]}, i64 %k")
            single = code.define(
                f"insertelement {kind} poison, {real} {code.define(f'load {real}, ptr {place}')}, i64 0"
            )
            factor = code.define(f"shufflevector {kind} {single}, {kind} poison, <{self.lanes} x i32> zeroinitializer")
            for part, vector in enumerate(vectors):
                total = module.intrinsic(
                    code, "fmuladd", product.dtype, self.lanes, (factor, vector, f"%sum{row}.{part}")
                )
                code.lines[-1] = code.lines[-1].replace(total, f"%new{row}.{part}", 1)
        code.do("%next = add nuw nsw i64 %k, 1")
        code.do(f"%done = icmp eq i64 %next, {product.k}")
        code.do("br i1 %done, label %end, label %loop")
        code.label("end")
        for row, part in places:
            place = code.define(f"getelementptr i8, ptr {of_out[row]}, i64 {part * self.lanes * size}")
            self._store(module, code, f"%new{row}.{part}", place, min(columns - part * self.lanes, self.lanes))
        head = f"define internal void @{name}(ptr noalias %a, ptr noalias %panel, ptr noalias %out, {ROWS}) noinline {{"
        module.parts[name] = "\n".join([head, *code.lines, "  ret void", "}"])
        return f"@{name}"

    def _store(self, module: Module, code: Code, vector: str, place: str, count: int) -> None:
        """The first elements of a vector."""
        kind, size = llvm_type(self.product.dtype, self.lanes), self.product.dtype.itemsize
        if count == self.lanes:
            code.do(f"store {kind} {vector}, ptr {place}, align {size}")
            return
        full = f"@llvm.masked.store.v{self.lanes}f{8 * size}.p0"
        module.declare(full, f"declare void {full}({kind}, ptr, i32, <{self.lanes} x i1>)")
        mask = ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(self.lanes))
        code.do(f"call void {full}({kind} {vector}, ptr {place}, i32 {size}, <{self.lanes} x i1> <{mask}>)")


def _row(code: Code, matrix: str, number: str) -> str:
    """Where a row of an operand begins."""
    return code.define(f"getelementptr i8, ptr %{matrix}, i64 {code.define(f'mul i64 %{matrix}.row, {number}')}")


def _transposed(code: Code, vectors: list[str], kind: str) -> list[str]:
    """The columns of a square whose rows are vectors: at each of log2 stages two rows exchange half of their elements."""
    count, distance = len(vectors), 1
    while distance < count:
        low = [i if not i & distance else count + i - distance for i in range(count)]
        high = [i + distance if not i & distance else count + i for i in range(count)]
        new = list(vectors)
        for i in range(count):
            if not i & distance:
                for at, mask in ((i, low), (i + distance, high)):
                    lanes = ", ".join(f"i32 {lane}" for lane in mask)
                    pair = f"{kind} {vectors[i]}, {kind} {vectors[i + distance]}"
                    new[at] = code.define(f"shufflevector {pair}, <{count} x i32> <{lanes}>")
        vectors, distance = new, 2 * distance
    return vectors


def is_packable(product: Product, is_matrix: bool) -> bool:
    """Whether rows of a product can be had one by one, with a matrix that is the same for all of them."""
    left: Operand = product.a
    return is_matrix and not product.batch and not left.transposed and product.dtype.kind == "f"
