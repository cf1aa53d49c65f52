"""Products of few rows with one matrix, again and again: the matrix is put in order once, and read as it lies from then on.

BLAS copies its operands into such an order at every call, which for 16 rows takes as long as the product. Here a *panel* is as many
columns of the matrix as two vectors hold, row after row; a *tile* is some rows of the result in one panel, whose sums stay in
registers while a panel is read through. A matrix that is needed for a few rows once is read where it lies: lines of it like a panel,
or, where columns lie along memory, as dot products.

Left out: matrices that do not come again (`products.py` calls BLAS for those).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rushlight.compiler.elements import llvm_type
from rushlight.compiler.llvm import ARGUMENTS, Addresses, load_slot
from rushlight.compiler.loops import Buffer
from rushlight.compiler.module import Code, Module
from rushlight.compiler.native import vector_registers
from rushlight.compiler.products import Operand, Product

VECTORS = 2  # in a panel's row
DOTS = 4  # columns at once, where they lie along memory
ROWS = "i64 %a.row, i64 %out.row"  # arguments: bytes from a row of an operand to the next
TILE = f"ptr noalias %a, ptr noalias %panel, ptr noalias %out, {ROWS}"


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
        _add(module, code, name, "ptr noalias %table, i64 %chunk")
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
        code, size, (full, rest) = Code(module), self.product.dtype.itemsize, divmod(self.product.n, self.columns)
        operands, panels = self._operands(code, addresses), load_slot(code, slot)
        if full:
            self._over_columns(code, self._strip_of_panel(module, self.columns), operands, (panels, self._bytes), full)
        if rest:
            panel = code.define(f"getelementptr i8, ptr {panels}, i64 {full * self._bytes}")
            a, out, *rows = operands
            out = code.define(f"getelementptr i8, ptr {out}, i64 {full * self.columns * size}")
            _call(code, self._strip_of_panel(module, rest), (a, panel, out), rows)
        _add(module, code, self.product.name, ARGUMENTS)

    def write_once(self, module: Module, addresses: Addresses) -> str:
        """Adds the same function for a run that needs the matrix only once, and reads it where it lies; its name."""
        product, code, name = self.product, Code(module), f"{self.product.name}.once"
        operands, size, matrix = self._operands(code, addresses), product.dtype.itemsize, product.b
        place = code.define(
            f"getelementptr i8, ptr {addresses.pointer(code, matrix.buffer)}, i64 {matrix.offset * size}"
        )
        if matrix.column == 1:
            strip, width = self._strip(module, "lines", self.rows, self._lines), self.columns
        else:
            strip, width = self._strip(module, "dots", DOTS, self._dots), DOTS
        step = width * matrix.column * size
        self._over_columns(code, strip, operands, (place, step), product.n // width, width)
        _add(module, code, name, ARGUMENTS)
        return name

    @property
    def is_readable(self) -> bool:
        """Whether the matrix can be read where it lies: in whole vectors."""
        product = self.product
        if product.b.column == 1:
            return product.n % self.columns == 0
        return product.b.row == 1 and product.k % self.lanes == 0 and product.n % DOTS == 0

    def _operands(self, code: Code, addresses: Addresses) -> tuple[str, str, str, str]:
        """Where both matrices of rows begin, and how far it is from one row to the next."""
        product, size = self.product, self.product.dtype.itemsize
        a, out = addresses.pointer(code, product.a.buffer), addresses.pointer(code, product.c)
        if product.a.offset:
            a = code.define(f"getelementptr i8, ptr {a}, i64 {product.a.offset * size}")
        distances = ((product.a.buffer, product.a.leading), (product.c, product.n))
        a_row, out_row = (self._row_bytes(code, addresses, buffer, leading) for buffer, leading in distances)
        return a, out, a_row, out_row

    def _over_columns(
        self, code: Code, strip: str, operands: tuple[str, ...], matrix: tuple[str, int], count: int, width: int = 0
    ) -> None:
        """Calls a strip for so many parts of the matrix, which are so many bytes apart, each of `width` columns."""
        (a, out, *rows), (place, step), size = operands, matrix, self.product.dtype.itemsize
        code.do("br label %loop")
        code.label("loop")
        code.do("%p = phi i64 [0, %0], [%next, %loop]")
        part = code.define(f"getelementptr i8, ptr {place}, i64 {code.define(f'mul i64 %p, {step}')}")
        offset = code.define(f"mul i64 %p, {(width or self.columns) * size}")
        _call(code, strip, (a, part, code.define(f"getelementptr i8, ptr {out}, i64 {offset}")), rows)
        code.do("%next = add i64 %p, 1")
        code.do(f"%done = icmp eq i64 %next, {count}")
        code.do("br i1 %done, label %last, label %loop")
        code.label("last")

    def _row_bytes(self, code: Code, addresses: Addresses, buffer: Buffer, leading: int) -> str:
        """From a row of an operand to the next."""
        distance, size = addresses.row_distance(code, buffer), self.product.dtype.itemsize
        return str(leading * size) if distance is None else code.define(f"mul i64 {distance}, {size}")

    @property
    def _bytes(self) -> int:
        """Of one panel."""
        return self.product.k * self.columns * self.product.dtype.itemsize

    def _strip_of_panel(self, module: Module, columns: int) -> str:
        def tile(module: Module, rows: int) -> str:
            return self._tile(module, f"tile{rows}x{columns}", rows, columns, self.columns)

        return self._strip(module, f"strip{columns}", self.rows, tile)

    def _lines(self, module: Module, rows: int) -> str:
        """A tile's function, on the matrix as it lies."""
        return self._tile(module, f"lines{rows}", rows, self.columns, self.product.b.row)

    def _strip(self, module: Module, name: str, rows: int, make_tile: Callable[[Module, int], str]) -> str:
        """The function of some columns: tiles of fewer and fewer rows."""
        code, name, start = Code(module), f"{self.product.name}.{name}", "%lo"
        while rows:
            tile, label = make_tile(module, rows), f"tile{rows}"
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
        _add(module, code, name, f"ptr %a, ptr %panel, ptr %out, i64 %lo, i64 %hi, {ROWS}")
        return f"@{name}"

    def _dots(self, module: Module, rows: int) -> str:
        """The function of so many rows and of columns that lie along memory: a vector of partial sums for each product of two."""
        product, code, lanes, size = self.product, Code(module), self.lanes, self.product.dtype.itemsize
        name, kind, real = f"{product.name}.dots{rows}", llvm_type(product.dtype, lanes), llvm_type(product.dtype)
        places = [(row, column) for row in range(rows) for column in range(DOTS)]
        of_a, of_out = ([_row(code, x, str(row)) for row in range(rows)] for x in ("a", "out"))
        columns = [
            code.define(f"getelementptr i8, ptr %panel, i64 {column * product.b.column * size}")
            for column in range(DOTS)
        ]
        code.do("br label %loop")
        code.label("loop")
        code.do("%k = phi i64 [0, %0], [%next, %loop]")
        for row, column in places:
            code.do(f"%sum{row}.{column} = phi {kind} [zeroinitializer, %0], [%new{row}.{column}, %loop]")
        left, right = (
            [
                code.define(f"load {kind}, ptr {code.define(f'getelementptr {real}, ptr {x}, i64 %k')}, align {size}")
                for x in vectors
            ]
            for vectors in (of_a, columns)
        )
        for row, column in places:
            operands = left[row], right[column], f"%sum{row}.{column}"
            total = module.intrinsic(code, "fmuladd", product.dtype, lanes, operands)
            code.lines[-1] = code.lines[-1].replace(total, f"%new{row}.{column}", 1)
        code.do(f"%next = add nuw nsw i64 %k, {lanes}")
        code.do(f"%done = icmp eq i64 %next, {product.k}")
        code.do("br i1 %done, label %end, label %loop")
        code.label("end")
        full = f"@llvm.vector.reduce.fadd.v{lanes}f{8 * size}"
        module.declare(full, f"declare {real} {full}({real}, {kind})")
        for row, column in places:
            total = code.define(f"call reassoc {real} {full}({real} -0.0, {kind} %new{row}.{column})")
            place = code.define(f"getelementptr {real}, ptr {of_out[row]}, i64 {column}")
            code.do(f"store {real} {total}, ptr {place}, align {size}")
        _add(module, code, name, TILE)
        return f"@{name}"

    def _tile(self, module: Module, name: str, rows: int, columns: int, distance: int) -> str:
        """The function of so many rows in one panel, of which the first columns are stored; its rows are so many elements apart."""
        product, code, size = self.product, Code(module), self.product.dtype.itemsize
        name, kind, real = f"{product.name}.{name}", llvm_type(product.dtype, self.lanes), llvm_type(product.dtype)
        places = [(row, part) for row in range(rows) for part in range(VECTORS) if part * self.lanes < columns]
        of_a, of_out = ([_row(code, x, str(row)) for row in range(rows)] for x in ("a", "out"))
        code.do("br label %loop")
        code.label("loop")
        code.do("%k = phi i64 [0, %0], [%next, %loop]")
        for row, part in places:
            code.do(f"%sum{row}.{part} = phi {kind} [zeroinitializer, %0], [%new{row}.{part}, %loop]")
        line = code.define(f"getelementptr i8, ptr %panel, i64 {code.define(f'mul i64 %k, {distance * size}')}")
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
        _add(module, code, name, TILE)
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


def _call(code: Code, strip: str, operands: tuple[str, str, str], rows: Sequence[str]) -> None:
    """Calls a strip for the rows of the product's function."""
    places, (a_row, out_row) = ", ".join([f"ptr {x}" for x in operands]), rows
    code.do(f"call void {strip}({places}, i64 %lo, i64 %hi, i64 {a_row}, i64 {out_row})")


def _add(module: Module, code: Code, name: str, arguments: str) -> None:
    head = f"define internal void @{name}({arguments}) noinline {{"
    module.parts[name] = "\n".join([head, *code.lines, "  ret void", "}"])


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
