"""Matrix products: one function per product that calls BLAS on a range of rows or of matrices.

Operands are read where they are: a transposed view is a flag, a batch is a stride. When the second operand
is the same for the whole batch, the batch's rows are one tall matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rushlight.arrays.symbolic import Node
from rushlight.compiler.blas import NO_TRANSPOSE, ROW_MAJOR, TRANSPOSE
from rushlight.compiler.elements import literal, llvm_type
from rushlight.compiler.llvm import ARGUMENTS, GEMM_D, GEMM_F, Addresses, load_slot
from rushlight.compiler.loops import Buffer
from rushlight.compiler.module import Code, Module
from rushlight.compiler.strided import Strided, leading_dimension


@dataclass(frozen=True, eq=False)
class Operand:
    buffer: Buffer
    offset: int
    strides: tuple[int, ...]  # of the batch dimensions
    transposed: bool
    leading: int

    @property
    def row(self) -> int:
        """The distance between rows of the matrix."""
        return 1 if self.transposed else self.leading

    @property
    def column(self) -> int:
        """The distance between columns of the matrix."""
        return self.leading if self.transposed else 1

    def __repr__(self) -> str:
        return f"{self.buffer}{'.T' if self.transposed else ''}[+{self.offset} ld {self.leading}]"


@dataclass(frozen=True, eq=False)
class Product:
    """c[batch] = a[batch] @ b[batch], m x k times k x n; `c` is contiguous."""

    name: str
    dtype: np.dtype
    batch: tuple[int, ...]
    m: int
    n: int
    k: int
    a: Operand
    b: Operand
    c: Buffer

    @property
    def is_wide(self) -> bool:
        """Whether it is cut into columns. BLAS repacks the other operand for every piece: that should be the smaller."""
        return not self.batch and self.n > self.m

    @property
    def extent(self) -> int:
        """How many pieces a range can cut it into: matrices of a batch, rows or columns."""
        return math.prod(self.batch) if self.batch else max(self.m, self.n)

    @property
    def num_flops(self) -> int:
        return 2 * math.prod(self.batch) * self.m * self.n * self.k

    def __repr__(self) -> str:
        return f"{self.name}: {self.c} = {self.a} @ {self.b}  batch {list(self.batch)} m {self.m} n {self.n} k {self.k}"


def make_product(name: str, node: Node, a: Strided, b: Strided, buffers: tuple[Buffer, Buffer, Buffer]) -> Product:
    left, right, out = buffers
    batch = node.shape[:-2]
    (m, k), n = node.inputs[0].shape[-2:], node.shape[-1]
    operands = []
    for matrix, (_, offset, strides), buffer in zip(node.inputs, (a, b), (left, right), strict=True):
        found = leading_dimension(matrix.shape, strides)
        assert found is not None
        missing = len(batch) - (len(strides) - 2)
        own = tuple(0 if size == 1 else s for s, size in zip(strides[:-2], matrix.shape[:-2], strict=True))
        operands.append(Operand(buffer, offset, (0,) * missing + own, *found))
    first, second = operands
    if math.prod(batch) == 1:
        batch = ()
    elif _is_tall(first, second, batch, m):
        m, batch = m * math.prod(batch), ()
    if not batch:
        first = Operand(first.buffer, first.offset, (), first.transposed, first.leading)
        second = Operand(second.buffer, second.offset, (), second.transposed, second.leading)
    return Product(name, node.dtype, batch, m, n, k, first, second, out)


def _is_tall(a: Operand, b: Operand, batch: tuple[int, ...], m: int) -> bool:
    if any(b.strides) or a.transposed:
        return False
    distance = m * a.leading
    for size, stride in zip(reversed(batch), reversed(a.strides), strict=True):
        if size > 1 and stride != distance:
            return False
        distance *= size
    return True


def write_product(module: Module, product: Product, addresses: Addresses) -> str:
    code = Code(module)
    base = [addresses.pointer(code, x) for x in (product.a.buffer, product.b.buffer, product.c)]
    slot = GEMM_F if product.dtype.itemsize == 4 else GEMM_D
    gemm = load_slot(code, slot)
    if product.batch:
        _write_batch(code, product, base, gemm)
    else:
        size = code.define("sub i64 %hi, %lo")
        cut, whole = (product.b, product.a) if product.is_wide else (product.a, product.b)
        at = code.define(f"mul i64 %lo, {cut.column if product.is_wide else cut.row}")
        at = code.define(f"add i64 {at}, {cut.offset}")
        out = code.define(f"mul i64 %lo, {1 if product.is_wide else product.n}")
        if product.is_wide:
            _call(code, product, gemm, base, (str(whole.offset), at, out), str(product.m), size)
        else:
            _call(code, product, gemm, base, (at, str(whole.offset), out), size, str(product.n))
    head = f"define internal void @{product.name}({ARGUMENTS}) noinline {{"
    module.parts[product.name] = "\n".join([head, *code.lines, "  ret void", "}"])
    return f"@{product.name}"


def _write_batch(code: Code, product: Product, base: list[str], gemm: str) -> None:
    code.do("br label %loop")
    code.label("loop")
    code.do("%i = phi i64 [%lo, %0], [%next, %loop]")
    offsets = [str(product.a.offset), str(product.b.offset)]
    rest = "%i"
    for axis in reversed(range(len(product.batch))):
        index = rest
        if axis:
            index = code.define(f"urem i64 {rest}, {product.batch[axis]}")
            rest = code.define(f"udiv i64 {rest}, {product.batch[axis]}")
        for number, operand in enumerate((product.a, product.b)):
            if operand.strides[axis]:
                step = code.define(f"mul i64 {index}, {operand.strides[axis]}")
                offsets[number] = code.define(f"add i64 {offsets[number]}, {step}")
    c_offset = code.define(f"mul i64 %i, {product.m * product.n}")
    _call(code, product, gemm, base, (*offsets, c_offset), str(product.m), str(product.n))
    code.do("%next = add i64 %i, 1")
    code.do("%done = icmp eq i64 %next, %hi")
    code.do("br i1 %done, label %end, label %loop")
    code.label("end")


def _call(
    code: Code, product: Product, gemm: str, base: list[str], offsets: tuple[str, ...], rows: str, columns: str
) -> None:
    real = llvm_type(product.dtype)
    a, b, c = (
        code.define(f"getelementptr {real}, ptr {pointer}, i64 {offset}")
        for pointer, offset in zip(base, offsets, strict=True)
    )
    flags = [TRANSPOSE if x.transposed else NO_TRANSPOSE for x in (product.a, product.b)]
    one, zero = literal(1, product.dtype), literal(0, product.dtype)
    code.do(
        f"call void {gemm}(i32 {ROW_MAJOR}, i32 {flags[0]}, i32 {flags[1]}, i64 {rows}, i64 {columns}, "
        f"i64 {product.k}, {real} {one}, ptr {a}, i64 {product.a.leading}, ptr {b}, i64 {product.b.leading}, "
        f"{real} {zero}, ptr {c}, i64 {product.n})"
    )
