"""What one elementwise node is in LLVM: a table from op to the instructions of one vector of elements.

Values in registers are LLVM vectors `<width x type>` (scalars at width one); bools are `i1` there and
bytes in memory. Semantics are NumPy's: NaN passes through maximum, integer division by zero gives zero,
shifts past the width give zero or the sign.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays.protocol import HOST_NAMES
from rushlight.arrays.symbolic import Node
from rushlight.compiler import blas
from rushlight.compiler.module import Code

FLOATS = {4: "float", 8: "double"}
SUFFIXES = {"float": "f32", "double": "f64"}
CHEAP = frozenset(
    [
        "add",
        "subtract",
        "multiply",
        "negative",
        "abs",
        "square",
        "less",
        "less_equal",
        "greater",
        "greater_equal",
        "equal",
        "not_equal",
        "logical_and",
        "logical_or",
        "logical_xor",
        "logical_not",
        "bitwise_and",
        "bitwise_or",
        "bitwise_xor",
        "bitwise_invert",
        "where",
        "astype",
        "maximum",
        "minimum",
        "isnan",
        "isfinite",
        "isinf",
        "wrap_index",
        "copy",
    ]
)
LIBM = {
    "acos": "acos", "acosh": "acosh", "asin": "asin", "asinh": "asinh", "atan": "atan", "atanh": "atanh",
    "cosh": "cosh", "sinh": "sinh", "tan": "tan", "exp": "exp", "expm1": "expm1", "log": "log",
    "log10": "log10", "log1p": "log1p", "log2": "log2", "sin": "sin", "cos": "cos", "tanh": "tanh",
    "erf": "erf", "pow": "pow", "atan2": "atan2", "fmod": "fmod",
}  # fmt: skip
COMPARISONS = {
    "less": ("olt", "lt"), "less_equal": ("ole", "le"), "greater": ("ogt", "gt"),
    "greater_equal": ("oge", "ge"), "equal": ("oeq", "eq"), "not_equal": ("une", "ne"),
}  # fmt: skip
DTYPES = "?bhilqBHILQfd"


def is_dtype(dtype: np.dtype) -> bool:
    return dtype.char in DTYPES


def is_generated(node: Node) -> bool:
    """Whether there is code for a node, judged by its op and dtypes."""
    if node.op in HOST_NAMES or not all(is_dtype(x.dtype) for x in (node, *node.inputs)):
        return False
    if node.op == "matmul":
        return node.dtype.char in "fd" and blas.gemm_symbol(node.dtype) is not None
    test = GENERATED.get(node.op)
    return test is None and node.op not in TABLE or (test(node) if test else True)


def llvm_type(dtype: np.dtype, width: int = 1) -> str:
    """The type in registers."""
    kind = dtype.kind
    name = "i1" if kind == "b" else FLOATS[dtype.itemsize] if kind == "f" else f"i{8 * dtype.itemsize}"
    return name if width == 1 else f"<{width} x {name}>"


def memory_type(dtype: np.dtype, width: int = 1) -> str:
    name = "i8" if dtype.kind == "b" else llvm_type(dtype)
    return name if width == 1 else f"<{width} x {name}>"


def literal(value: Any, dtype: np.dtype, width: int = 1) -> str:
    """A constant operand."""
    if dtype.kind == "f":
        with np.errstate(all="ignore"):
            number = float(np.asarray(value).astype(dtype))
        text = "0x" + struct.pack(">d", number).hex().upper()
    elif dtype.kind == "b":
        text = "true" if value else "false"
    elif dtype.kind == "c":  # only moved, never computed with: an integer of its size
        text = str(int.from_bytes(np.asarray(value).astype(dtype).tobytes(), "little", signed=True))
    else:
        text = str(int(value))
    return text if width == 1 else f"splat ({llvm_type(dtype)} {text})"


class Element:
    """The operands, dtypes and width of one node while its instructions are written."""

    def __init__(
        self,
        code: Code,
        operands: list[str],
        source: np.dtype,
        result: np.dtype,
        width: int,
        attrs: dict[str, Any],
    ):
        self.code, self.operands, self.width, self.attrs = code, operands, width, attrs
        self.source, self.result = source, result
        self.type = llvm_type(source, width)
        self.bool_type = llvm_type(np.dtype(bool), width)

    def __call__(self, text: str) -> str:
        return self.code.define(text)

    def const(self, value: Any, dtype: np.dtype | None = None) -> str:
        return literal(value, dtype or self.source, self.width)

    def compare(self, predicate: str, x: str, y: str) -> str:
        instruction = "fcmp" if self.source.kind == "f" else "icmp"
        return self(f"{instruction} {predicate} {self.type} {x}, {y}")

    def select(self, condition: str, x: str, y: str) -> str:
        return self(f"select {self.bool_type} {condition}, {self.type} {x}, {self.type} {y}")

    def binary(self, instruction: str, x: str, y: str) -> str:
        return self(f"{instruction} {self.type} {x}, {y}")

    def intrinsic(self, name: str, *operands: str) -> str:
        return self.code.module.intrinsic(self.code, name, self.source, self.width, operands)

    def function(self, name: str, *operands: str) -> str:
        return self.code.module.function(self.code, name, self.source, self.width, operands)

    def is_nan(self, x: str) -> str:
        return self(f"fcmp uno {self.type} {x}, {x}")


Emit = Callable[..., str]
TABLE: dict[str, Emit] = {}


def element(*ops: str) -> Callable[[Emit], Emit]:
    def add(function: Emit) -> Emit:
        for op in ops:
            TABLE[op] = function if len(ops) == 1 else lambda e, *x, op=op: function(e, op, *x)
        return function

    return add


def emit(
    code: Code,
    op: str,
    operands: list[str],
    source: np.dtype,
    result: np.dtype,
    width: int,
    attrs: dict[str, Any],
) -> str:
    """Writes the instructions of one node; `source` is the dtype of its last operand."""
    return TABLE[op](Element(code, operands, source, result, width, attrs), *operands)


# ---------------------------------------------------------------- arithmetic


@element("add", "subtract", "multiply")
def arithmetic(e: Element, op: str, x: str, y: str) -> str:
    if e.source.kind == "b":
        return e.binary("and" if op == "multiply" else "or", x, y)
    prefix = "f" if e.source.kind == "f" else ""
    return e.binary(prefix + {"add": "add", "subtract": "sub", "multiply": "mul"}[op], x, y)


@element("divide")
def divide(e: Element, x: str, y: str) -> str:
    return e.binary("fdiv", x, y)


@element("reciprocal")
def reciprocal(e: Element, x: str) -> str:
    return e.binary("fdiv", e.const(1), x)


@element("square")
def square(e: Element, x: str) -> str:
    return arithmetic(e, "multiply", x, x)


@element("negative")
def negative(e: Element, x: str) -> str:
    return e(f"fneg {e.type} {x}") if e.source.kind == "f" else e.binary("sub", e.const(0), x)


@element("abs")
def absolute(e: Element, x: str) -> str:
    if e.source.kind == "f":
        return e.intrinsic("fabs", x)
    return x if e.source.kind in "bu" else e.select(e.compare("slt", x, e.const(0)), negative(e, x), x)


@element("sign")
def sign(e: Element, x: str) -> str:
    if e.source.kind == "f":
        low = e.select(e.compare("olt", x, e.const(0)), e.const(-1), x)
        return e.select(e.compare("ogt", x, e.const(0)), e.const(1), low)
    if e.source.kind == "u":
        return e.select(e.compare("ne", x, e.const(0)), e.const(1), e.const(0))
    low = e.select(e.compare("slt", x, e.const(0)), e.const(-1), x)
    return e.select(e.compare("sgt", x, e.const(0)), e.const(1), low)


@element("maximum", "minimum")
def extremum(e: Element, op: str, x: str, y: str) -> str:
    if e.source.kind == "b":
        return e.binary("or" if op == "maximum" else "and", x, y)
    greater = "gt" if op == "maximum" else "lt"
    if e.source.kind != "f":
        return e.select(e.compare(("s" if e.source.kind == "i" else "u") + greater, x, y), x, y)
    if not y.startswith("%"):
        x, y = y, x  # a constant first: it is known not to be NaN, and one instruction is left
    better = e.select(e.compare("o" + greater, x, y), x, y)  # y where either is NaN
    return e.select(e.is_nan(x), x, better)


@element("floor_divide")
def floor_divide(e: Element, x: str, y: str) -> str:
    if e.source.kind == "f":
        return _float_floor_divide(e, x, y)
    zero = e.const(0)
    quotient, rest = _safe_divide(e, x, y)
    if e.source.kind == "i":
        apart = e(f"icmp slt {e.type} {e.binary('xor', rest, y)}, {zero}")
        uneven = e.compare("ne", rest, zero)
        low = e(f"and {e.bool_type} {apart}, {uneven}")
        quotient = e.select(low, e.binary("sub", quotient, e.const(1)), quotient)
    return e.select(e.compare("eq", y, zero), zero, quotient)


def _safe_divide(e: Element, x: str, y: str) -> tuple[str, str]:
    """Quotient and remainder; a divisor of 0, or of -1 where x is the least number, never traps."""
    letter = "s" if e.source.kind == "i" else "u"
    one = e.const(1)
    divisor = e.select(e.compare("eq", y, e.const(0)), one, y)
    if letter == "s":
        minus = e.compare("eq", y, e.const(-1))
        divisor = e.select(minus, one, divisor)
    quotient = e.binary(letter + "div", x, divisor)
    rest = e.binary(letter + "rem", x, divisor)
    if letter == "s":
        quotient = e.select(minus, e.binary("sub", e.const(0), x), quotient)
    return quotient, rest


def _float_floor_divide(e: Element, x: str, y: str) -> str:
    zero = e.const(0)
    rest = e.function("fmod", x, y)
    plain = e.binary("fdiv", x, y)
    quotient = e.binary("fdiv", e.binary("fsub", x, rest), y)
    apart = e(f"xor {e.bool_type} {e.compare('olt', y, zero)}, {e.compare('olt', rest, zero)}")
    low = e(f"and {e.bool_type} {apart}, {e.compare('une', rest, zero)}")
    quotient = e.select(low, e.binary("fsub", quotient, e.const(1)), quotient)
    floor = e.intrinsic("floor", quotient)
    short = e.compare("ogt", e.binary("fsub", quotient, floor), e.const(0.5))
    floor = e.select(short, e.binary("fadd", floor, e.const(1)), floor)
    signed_zero = e.intrinsic("copysign", zero, plain)
    result = e.select(e.compare("une", quotient, zero), floor, signed_zero)
    return e.select(e.compare("oeq", y, zero), plain, result)


@element("remainder")
def remainder(e: Element, x: str, y: str) -> str:
    zero = e.const(0)
    if e.source.kind == "f":
        rest = e.function("fmod", x, y)
        apart = e(f"xor {e.bool_type} {e.compare('olt', y, zero)}, {e.compare('olt', rest, zero)}")
        wrapped = e.select(apart, e.binary("fadd", rest, y), rest)
        signed_zero = e.intrinsic("copysign", zero, y)
        return e.select(e.compare("oeq", rest, zero), signed_zero, wrapped)
    _, rest = _safe_divide(e, x, y)
    if e.source.kind == "i":
        apart = e(f"icmp slt {e.type} {e.binary('xor', rest, y)}, {zero}")
        low = e(f"and {e.bool_type} {apart}, {e.compare('ne', rest, zero)}")
        rest = e.select(low, e.binary("add", rest, y), rest)
    return e.select(e.compare("eq", y, zero), zero, rest)


@element("fmod")
def fmod(e: Element, x: str, y: str) -> str:
    if e.source.kind == "f":
        return e.function("fmod", x, y)
    _, rest = _safe_divide(e, x, y)
    return e.select(e.compare("eq", y, e.const(0)), e.const(0), rest)


# ---------------------------------------------------------------- functions


@element("ceil", "floor", "trunc", "round")
def rounding(e: Element, op: str, x: str) -> str:
    return e.intrinsic("rint" if op == "round" else op, x) if e.source.kind == "f" else x


@element("sqrt")
def square_root(e: Element, x: str) -> str:
    return e.intrinsic("sqrt", x)


@element(*LIBM)
def library(e: Element, op: str, *operands: str) -> str:
    return e.function(op, *operands)


TABLE["fmod"] = fmod


# ---------------------------------------------------------------- truth


@element(*COMPARISONS)
def comparison(e: Element, op: str, x: str, y: str) -> str:
    ordered, plain = COMPARISONS[op]
    if e.source.kind == "f":
        return e.compare(ordered, x, y)
    letter = "" if plain in ("eq", "ne") else "s" if e.source.kind == "i" else "u"
    return e.compare(letter + plain, x, y)


def truth(e: Element, x: str) -> str:
    if e.source.kind == "b":
        return x
    return e.compare("une" if e.source.kind == "f" else "ne", x, e.const(0))


@element("logical_and", "logical_or", "logical_xor")
def logical(e: Element, op: str, x: str, y: str) -> str:
    return e(f"{op.removeprefix('logical_')} {e.bool_type} {truth(e, x)}, {truth(e, y)}")


@element("logical_not")
def logical_not(e: Element, x: str) -> str:
    return e(f"xor {e.bool_type} {truth(e, x)}, {e.const(True, np.dtype(bool))}")


@element("isnan")
def isnan(e: Element, x: str) -> str:
    return e.is_nan(x) if e.source.kind == "f" else e.const(False, np.dtype(bool))


@element("isinf", "isfinite")
def is_infinite(e: Element, op: str, x: str) -> str:
    if e.source.kind != "f":
        return e.const(op == "isfinite", np.dtype(bool))
    return e.compare("oeq" if op == "isinf" else "one", e.intrinsic("fabs", x), e.const(np.inf))


@element("where")
def where(e: Element, condition: str, x: str, y: str) -> str:
    return e.select(condition, x, y)


# ---------------------------------------------------------------- bits and casts


@element("bitwise_and", "bitwise_or", "bitwise_xor")
def bitwise(e: Element, op: str, x: str, y: str) -> str:
    return e.binary(op.removeprefix("bitwise_"), x, y)


@element("bitwise_invert")
def invert(e: Element, x: str) -> str:
    return e.binary("xor", x, e.const(True if e.source.kind == "b" else -1))


@element("bitwise_left_shift", "bitwise_right_shift")
def shift(e: Element, op: str, x: str, y: str) -> str:
    bits = 8 * e.source.itemsize
    inside = e.compare("ult", y, e.const(bits))
    count = e.select(inside, y, e.const(bits - 1))
    if op == "bitwise_left_shift":
        return e.select(inside, e.binary("shl", x, count), e.const(0))
    if e.source.kind == "i":
        return e.binary("ashr", x, count)
    return e.select(inside, e.binary("lshr", x, count), e.const(0))


@element("copy", "part")
def copy(e: Element, op: str, x: str) -> str:
    return x


@element("wrap_index")
def wrap_index(e: Element, x: str) -> str:
    """Below zero counts from the end; what is out of bounds sets the program's error flag."""
    size = e.const(e.attrs["size"])
    below = e.compare("slt", x, e.const(0))
    wrapped = e.select(below, e.binary("add", x, size), x)
    outside = e.compare("uge", wrapped, size)
    e.code.flag_error(outside, e.width)
    return e.select(outside, e.const(0), wrapped)


@element("astype")
def cast(e: Element, x: str) -> str:
    source, result = e.source, e.result
    target = llvm_type(result, e.width)

    def convert(instruction: str, y: str = x, of: str = e.type, to: str = target) -> str:
        return e(f"{instruction} {of} {y} to {to}")

    if source.kind == result.kind and source.itemsize == result.itemsize:
        return x
    if result.kind == "b":
        return truth(e, x)
    if source.kind == "f":
        if result.kind == "f":
            return convert("fpext" if result.itemsize > source.itemsize else "fptrunc")
        return _float_to_integer(e, x, target)
    if result.kind == "f":
        return convert("sitofp" if source.kind == "i" else "uitofp")
    if source.kind != "b" and result.itemsize == source.itemsize:
        return x
    if source.kind != "b" and result.itemsize < source.itemsize:
        return convert("trunc")
    return convert("sext" if source.kind == "i" else "zext")


def _float_to_integer(e: Element, x: str, target: str) -> str:
    """Through a signed integer, which wraps as NumPy's casts do on x86; never poison."""
    size = e.result.itemsize
    through = "i64" if size == 8 or (size == 4 and e.result.kind == "u") else "i32"
    wide = through if e.width == 1 else f"<{e.width} x {through}>"
    number = e(f"freeze {wide} {e(f'fptosi {e.type} {x} to {wide}')}")
    return number if wide == target else e(f"trunc {wide} {number} to {target}")


def _is_float(node: Node) -> bool:
    return node.dtype.kind == "f"


GENERATED: dict[str, Callable[[Node], bool]] = dict.fromkeys([*LIBM, "sqrt", "divide", "reciprocal"], _is_float)
GENERATED["fmod"] = lambda node: node.dtype.kind in "fiu"
GENERATED["negative"] = lambda node: node.dtype.kind in "fiu"
for _op in ("affine_view", "index_reduce", "draw", "sort", "argsort", "cumulative_sum", "argmax", "argmin", "meta"):
    GENERATED[_op] = lambda node: False
for _op in ("max", "min"):
    GENERATED[_op] = lambda node: 0 not in node.inputs[0].shape
