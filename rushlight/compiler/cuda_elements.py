"""What one elementwise node is in CUDA C++: a table from op to an expression on the operands' names.

The same semantics as `elements.py`: NaN passes through maximum, integer division by zero gives zero, shifts past the
width give zero or the sign, integers wrap. Half-precision values are floats in registers that are rounded after each
node, so a fused chain gives what its operations give one by one.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays.protocol import HOST_NAMES
from rushlight.arrays.symbolic import Node
from rushlight.compiler.elements import COMPARISONS, DTYPES, GENERATED, LIBM, TABLE as ON_CPU

HALF = "eE"  # NumPy's characters of float16 and bfloat16
INTEGERS = {1: "char", 2: "short", 4: "int", 8: "long long"}
SYMBOLS = {"less": "<", "less_equal": "<=", "greater": ">", "greater_equal": ">=", "equal": "==", "not_equal": "!="}
assert SYMBOLS.keys() == COMPARISONS.keys()


def is_floating(dtype: np.dtype) -> bool:
    return dtype.kind == "f" or dtype.char in HALF


def is_generated(node: Node) -> bool:
    """Whether there is CUDA code for a node, judged by its op and dtypes. Matrix products are the library's."""
    if node.op in HOST_NAMES or not all(x.dtype.char in DTYPES + HALF for x in (node, *node.inputs)):
        return False
    if node.op == "matmul":
        return node.dtype.char in "fdeE"
    if node.dtype.char in HALF and node.op in GENERATED:
        return node.op in LIBM or node.op in ("sqrt", "divide", "reciprocal", "fmod", "negative")
    test = GENERATED.get(node.op)
    return test is None and node.op not in ON_CPU or (test(node) if test else True)


def memory_type(dtype: np.dtype) -> str:
    if dtype.char in HALF:
        return "half_bits" if dtype.char == "e" else "bfloat_bits"
    return register_type(dtype)


def register_type(dtype: np.dtype) -> str:
    if dtype.kind == "b":
        return "bool"
    if is_floating(dtype):
        return "double" if dtype.itemsize == 8 else "float"
    sign = "unsigned " if dtype.kind == "u" else "signed " if dtype.itemsize == 1 else ""
    return sign + INTEGERS[dtype.itemsize]


def literal(value: Any, dtype: np.dtype) -> str:
    """A constant, exact."""
    if dtype.kind == "b":
        return "true" if value else "false"
    if is_floating(dtype):
        with np.errstate(all="ignore"):
            number = float(np.asarray(value).astype(dtype))
        return _float_literal(number, register_type(dtype) == "double")
    number = int(value)
    if dtype.itemsize == 8 and dtype.kind == "i":
        return f"({number + 1}LL - 1)" if number == -(2**63) else f"{number}LL"
    if dtype.itemsize == 8:
        return f"{number}ULL"
    return f"({register_type(dtype)})({number}LL)"


def _float_literal(number: float, is_double: bool) -> str:
    if math.isfinite(number):
        text = number.hex() + ("" if is_double else "f")
        return f"({text})" if text.startswith("-") else text
    bits = np.array(number, np.float64 if is_double else np.float32)
    if is_double:
        return (
            f"__longlong_as_double({int(bits.view(np.int64))}LL)" if bits > 0 or math.isnan(number) else "(-INFINITE)"
        )
    return f"__int_as_float(0x{int(bits.view(np.uint32)):08x})"


def rounded(text: str, dtype: np.dtype) -> str:
    """An expression of the register type with no more digits than its dtype has."""
    return f"rounded<{memory_type(dtype)}>({text})" if dtype.char in HALF else text


def expression(op: str, operands: list[str], source: np.dtype, result: np.dtype, attrs: dict[str, Any]) -> str:
    """The value of a node; `source` is the dtype of its last operand."""
    return rounded(TABLE[op](Element(source, result, attrs), *operands), result)


class Element:
    """The dtypes and attributes of one node."""

    def __init__(self, source: np.dtype, result: np.dtype, attrs: dict[str, Any]):
        self.source, self.result, self.attrs = source, result, attrs
        self.is_float = is_floating(source)
        self.type = register_type(source)

    def function(self, name: str, *operands: str) -> str:
        """A function of the C library."""
        return f"{name}{'' if self.type == 'double' else 'f'}({', '.join(operands)})"

    def wrapped(self, text: str) -> str:
        """Integer arithmetic, which is done on unsigned numbers: what is too large wraps."""
        return f"({self.type})({text})"

    def unsigned(self, x: str) -> str:
        return f"({'unsigned long long' if self.source.itemsize == 8 else 'unsigned'}){x}"


Emit = Callable[..., str]
TABLE: dict[str, Emit] = {}


def element(*ops: str) -> Callable[[Emit], Emit]:
    def add(function: Emit) -> Emit:
        for op in ops:
            TABLE[op] = function if len(ops) == 1 else functools.partial(_named, function, op)
        return function

    return add


def _named(function: Emit, op: str, e: Element, *operands: str) -> str:
    return function(e, op, *operands)


# ---------------------------------------------------------------- arithmetic


@element("add", "subtract", "multiply")
def arithmetic(e: Element, op: str, x: str, y: str) -> str:
    if e.source.kind == "b":
        return f"({x} {'&' if op == 'multiply' else '|'} {y})"
    symbol = {"add": "+", "subtract": "-", "multiply": "*"}[op]
    if e.is_float:
        return f"({x} {symbol} {y})"
    return e.wrapped(f"{e.unsigned(x)} {symbol} {e.unsigned(y)}")


@element("divide")
def divide(e: Element, x: str, y: str) -> str:
    return f"({x} / {y})"


@element("reciprocal")
def reciprocal(e: Element, x: str) -> str:
    return f"(1 / {x})"


@element("square")
def square(e: Element, x: str) -> str:
    return arithmetic(e, "multiply", x, x)


@element("negative")
def negative(e: Element, x: str) -> str:
    return f"(-{x})" if e.is_float else e.wrapped(f"0 - {e.unsigned(x)}")


@element("abs")
def absolute(e: Element, x: str) -> str:
    if e.is_float:
        return e.function("fabs", x)
    return x if e.source.kind in "bu" else f"({x} < 0 ? {negative(e, x)} : {x})"


@element("sign", "maximum", "minimum", "floor_divide", "remainder")
def helper(e: Element, op: str, *operands: str) -> str:
    """A function template of the prelude."""
    return f"{op}_of<{e.type}>({', '.join(operands)})"


@element("fmod")
def fmod(e: Element, x: str, y: str) -> str:
    return e.function("fmod", x, y) if e.is_float else f"fmod_of<{e.type}>({x}, {y})"


# ---------------------------------------------------------------- functions


@element("ceil", "floor", "trunc", "round")
def rounding(e: Element, op: str, x: str) -> str:
    return e.function("rint" if op == "round" else op, x) if e.is_float else x


@element(*(name for name in (*LIBM, "sqrt") if name != "fmod"))
def library(e: Element, op: str, *operands: str) -> str:
    return e.function(LIBM.get(op, op), *operands)


# ---------------------------------------------------------------- truth


@element(*SYMBOLS)
def comparison(e: Element, op: str, x: str, y: str) -> str:
    return f"({x} {SYMBOLS[op]} {y})"


def truth(e: Element, x: str) -> str:
    return x if e.source.kind == "b" else f"({x} != 0)"


@element("logical_and", "logical_or", "logical_xor")
def logical(e: Element, op: str, x: str, y: str) -> str:
    symbol = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}[op]
    return f"(bool)({truth(e, x)} {symbol} {truth(e, y)})"


@element("logical_not")
def logical_not(e: Element, x: str) -> str:
    return f"(!{truth(e, x)})"


@element("isnan")
def isnan(e: Element, x: str) -> str:
    return f"({x} != {x})" if e.is_float else "false"


@element("isinf", "isfinite")
def is_infinite(e: Element, op: str, x: str) -> str:
    if not e.is_float:
        return "true" if op == "isfinite" else "false"
    symbol = "==" if op == "isinf" else "<"
    return f"({e.function('fabs', x)} {symbol} ({e.type})INFINITE)"


@element("where")
def where(e: Element, condition: str, x: str, y: str) -> str:
    return f"({condition} ? {x} : {y})"


# ---------------------------------------------------------------- bits and casts


@element("bitwise_and", "bitwise_or", "bitwise_xor")
def bitwise(e: Element, op: str, x: str, y: str) -> str:
    symbol = {"bitwise_and": "&", "bitwise_or": "|", "bitwise_xor": "^"}[op]
    return f"({e.type})({x} {symbol} {y})"


@element("bitwise_invert")
def invert(e: Element, x: str) -> str:
    return f"(!{x})" if e.source.kind == "b" else f"({e.type})(~{x})"


@element("bitwise_left_shift", "bitwise_right_shift")
def shift(e: Element, op: str, x: str, y: str) -> str:
    return f"{'shifted_left' if 'left' in op else 'shifted_right'}<{e.type}>({x}, {y})"


@element("copy", "part")
def copy(e: Element, op: str, x: str) -> str:
    return x


@element("wrap_index")
def wrap_index(e: Element, x: str) -> str:
    """Below zero counts from the end; what is out of bounds is told by the number of the program's error."""
    return f"wrapped_index({x}, {e.attrs['size']}LL, found, number)"


@element("astype")
def cast(e: Element, x: str) -> str:
    source, result = e.source, e.result
    if result.kind == "b":
        return truth(e, x)
    if e.is_float and not is_floating(result):
        # through a signed integer, as on the CPU, so that small integers wrap
        through = "long long" if result.itemsize == 8 or result.itemsize == 4 and result.kind == "u" else "int"
        return f"({register_type(result)})({through}){x}"
    return x if register_type(source) == register_type(result) else f"({register_type(result)}){x}"
