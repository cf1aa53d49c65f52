"""Mathematical functions of float32 as straight-line vector code; others call the C library element by element.

Each is range reduction, a polynomial, and the reduction undone, as in Muller, "Elementary Functions", and
Cody and Waite, "Software Manual for the Elementary Functions". The coefficients are minimax fits by
iteratively reweighted least squares on Chebyshev nodes (tests/compiler/fit_polynomials.py derives them anew).
NaN reaches the result through the arithmetic; limits are handled by clamping before and selecting after.
Errors, measured over the whole range in tests/compiler/test_math.py, are below 3 units in the last place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rushlight.compiler.elements import literal
from rushlight.compiler.module import Code, Module

# exp(r) = 1 + r + r^2 p(r), |r| <= ln(2) / 2; relative error 3.1e-9
EXP = (
    0.49999993412261595,
    0.166665201055426,
    0.04166839425900144,
    0.008368780622565249,
    0.0013814464761509847,
)
# log(1 + f) = f - f^2 / 2 + f^3 p(f), sqrt(1/2) <= 1 + f <= sqrt(2); 5.8e-9
LOG = (
    0.3333333165954749, -0.250008227359645, 0.20001233174442898, -0.16623297500431275,
    0.14201557540572188, -0.13160595243548445, 0.12763300312088066, -0.07635588162152794,
)  # fmt: skip
# erf(x) = x p(x^2), |x| <= 1; 1.2e-9
ERF = (
    1.1283791657266888, -0.37612625824093265, 0.1128358514702778, -0.026853811868925798,
    0.005188327559604064, -0.000801019251686852, 7.85385769273006e-05,
)  # fmt: skip
# erf(x) = 1 - exp(p(x)), 1 <= x <= 4; 2.1e-11 of erf
ERFC = (
    0.00018847025961431446, -1.129580322390609, -0.6332163762142382, -0.10842212091606596,
    0.025210352771013633, -0.004205289431019721, 0.00044147356670676263, -2.1697689270849807e-05,
)  # fmt: skip
# sin(r) = r + r^3 p(r^2), cos(r) = 1 - r^2 / 2 + r^4 p(r^2), |r| <= pi / 4; 3.8e-9 and 1.2e-10
SIN = (-0.166666545729294, 0.008332158400212522, -0.0001951495662519294)
COS = (0.04166664561835459, -0.0013887313044672125, 2.4432783320581372e-05)

LN2_HIGH, LN2_LOW = (
    0.693145751953125,
    1.4286068203094172e-06,
)  # the first has 16 bits: its products are exact
LOG2_E, LOG10_E, LOG10_2 = 1.4426950408889634, 0.4342944819032518, 0.30102999566398120
ROUNDER = 12582912.0  # 1.5 * 2^23: adding it leaves a number's nearest integer in the low bits
FAR = 1e5  # up to here three parts of pi / 2, each of 24 bits, reduce an argument of sin or cos
HALF_PI = (1.5707963705062866, -4.371139000186241e-08, -1.7151245100059144e-15)
SINGLE, INTEGER = np.dtype(np.float32), np.dtype(np.int32)


class Vector:
    """Writes the body of one function on vectors of float32."""

    def __init__(self, module: Module, width: int):
        self.code, self.width = Code(module), width
        self.type = self.named("float")

    def named(self, scalar: str) -> str:
        return scalar if self.width == 1 else f"<{self.width} x {scalar}>"

    def number(self, value: float | str) -> str:
        return value if isinstance(value, str) else literal(value, SINGLE, self.width)

    def integer(self, value: int | str) -> str:
        return value if isinstance(value, str) else literal(value, INTEGER, self.width)

    def do(self, op: str, x: float | str, y: float | str) -> str:
        return self.code.define(f"{op} {self.type} {self.number(x)}, {self.number(y)}")

    def add(self, x: float | str, y: float | str) -> str:
        return self.do("fadd", x, y)

    def sub(self, x: float | str, y: float | str) -> str:
        return self.do("fsub", x, y)

    def mul(self, x: float | str, y: float | str) -> str:
        return self.do("fmul", x, y)

    def div(self, x: float | str, y: float | str) -> str:
        return self.do("fdiv", x, y)

    def bits(self, op: str, x: int | str, y: int | str) -> str:
        return self.code.define(f"{op} {self.named('i32')} {self.integer(x)}, {self.integer(y)}")

    def to_bits(self, x: float | str) -> str:
        return self.code.define(f"bitcast {self.type} {self.number(x)} to {self.named('i32')}")

    def from_bits(self, x: str) -> str:
        return self.code.define(f"bitcast {self.named('i32')} {x} to {self.type}")

    def from_integer(self, x: str) -> str:
        return self.code.define(f"sitofp {self.named('i32')} {x} to {self.type}")

    def intrinsic(self, name: str, *operands: float | str) -> str:
        return self.code.module.intrinsic(self.code, name, SINGLE, self.width, [self.number(x) for x in operands])

    def fma(self, x: float | str, y: float | str, z: float | str) -> str:
        return self.intrinsic("fma", x, y, z)

    def abs(self, x: str) -> str:
        return self.intrinsic("fabs", x)

    def compare(self, predicate: str, x: str, y: float | str) -> str:
        return self.code.define(f"fcmp {predicate} {self.type} {x}, {self.number(y)}")

    def select(self, condition: str, x: float | str, y: float | str) -> str:
        kind = self.named("i1")
        return self.code.define(
            f"select {kind} {condition}, {self.type} {self.number(x)}, {self.type} {self.number(y)}"
        )

    def clamp(self, x: str, low: float | None, high: float | None) -> str:
        """Between two numbers; NaN stays."""
        if high is not None:
            x = self.select(self.compare("ogt", x, high), high, x)
        return x if low is None else self.select(self.compare("olt", x, low), low, x)

    def polynomial(self, x: str, coefficients: Sequence[float]) -> str:
        """By Horner's rule."""
        result: float | str = coefficients[-1]
        for coefficient in reversed(coefficients[:-1]):
            result = self.fma(result, x, coefficient)
        return self.number(result)

    def call(self, name: str, x: str) -> str:
        return self.code.module.function(self.code, name, SINGLE, self.width, [x])


Body = Callable[[Vector, str], str]
OWN: dict[str, Body] = {}


def own(function: Body) -> Body:
    OWN[function.__name__] = function
    return function


def definition(module: Module, full: str, name: str, dtype: np.dtype, width: int, arity: int) -> str:
    """The text of a function of one dtype and vector width."""
    if dtype != SINGLE or name not in OWN:
        scalar = "float" if dtype.itemsize == 4 else "double"
        return _library(module, full, name + ("f" if scalar == "float" else ""), scalar, width, arity)
    vector = Vector(module, width)
    result = OWN[name](vector, "%x")
    head = f"define internal {vector.type} {full}({vector.type} %x) alwaysinline {{"
    return "\n".join([head, *vector.code.lines, f"  ret {vector.type} {result}", "}"])


# ---------------------------------------------------------------- exponentials


def _reduce_exp(v: Vector, x: str) -> tuple[str, str]:
    """x = n ln(2) + r: n as an integer's bits, and r."""
    shifted = v.fma(x, LOG2_E, ROUNDER)
    n = v.sub(shifted, ROUNDER)
    r = v.fma(n, -LN2_LOW, v.fma(n, -LN2_HIGH, x))
    return v.bits("sub", v.to_bits(shifted), v.to_bits(ROUNDER)), r


def _power_of_two(v: Vector, n: str) -> str:
    return v.from_bits(v.bits("shl", v.bits("add", n, 127), 23))


@own
def exp(v: Vector, x: str) -> str:
    n, r = _reduce_exp(v, v.clamp(x, -104.0, 89.0))
    small = v.fma(v.mul(r, r), v.polynomial(r, EXP), r)
    half = v.bits("ashr", n, 1)  # 2^n in two factors: n may be 128, or below -126
    first, second = _power_of_two(v, half), _power_of_two(v, v.bits("sub", n, half))
    return v.mul(v.mul(v.add(small, 1.0), first), second)


def _expm1_near(v: Vector, x: str) -> str:
    """exp(x) - 1 for -30 <= x <= 88."""
    n, r = _reduce_exp(v, x)
    small = v.fma(v.mul(r, r), v.polynomial(r, EXP), r)
    scale = _power_of_two(v, n)
    return v.fma(small, scale, v.sub(scale, 1.0))


@own
def expm1(v: Vector, x: str) -> str:
    result = _expm1_near(v, v.clamp(x, -30.0, 88.0))
    result = v.select(v.compare("ogt", x, 88.0), v.call("exp", x), result)
    return v.select(v.compare("oeq", x, 0.0), x, result)


@own
def tanh(v: Vector, x: str) -> str:
    size = v.clamp(v.abs(x), None, 10.0)
    t = _expm1_near(v, v.add(size, size))
    return v.intrinsic("copysign", v.div(t, v.add(t, 2.0)), x)


# ---------------------------------------------------------------- logarithms


def _reduce_log(v: Vector, x: str) -> tuple[str, str]:
    """x = 2^e (1 + f): e, and f, for positive x."""
    tiny = v.compare("olt", x, 1.1754943508222875e-38)
    scaled = v.select(tiny, v.mul(x, 8388608.0), x)
    bits = v.to_bits(scaled)
    e = v.bits("ashr", v.bits("sub", bits, 0x3F3504F3), 23)  # the bits of sqrt(1/2)
    f = v.sub(v.from_bits(v.bits("sub", bits, v.bits("shl", e, 23))), 1.0)
    exponent = v.from_integer(e)
    return v.select(tiny, v.sub(exponent, 23.0), exponent), f


def _log_limits(v: Vector, x: str, result: str) -> str:
    result = v.select(v.compare("olt", x, float("inf")), result, x)  # infinity and NaN
    result = v.select(v.compare("olt", x, 0.0), float("nan"), result)
    return v.select(v.compare("oeq", x, 0.0), -float("inf"), result)


def _log_parts(v: Vector, f: str) -> str:
    """log(1 + f) - f."""
    square = v.mul(f, f)
    return v.fma(v.mul(square, f), v.polynomial(f, LOG), v.mul(square, -0.5))


@own
def log(v: Vector, x: str) -> str:
    e, f = _reduce_log(v, x)
    low = v.fma(e, LN2_LOW, _log_parts(v, f))
    return _log_limits(v, x, v.fma(e, LN2_HIGH, v.add(f, low)))


@own
def log2(v: Vector, x: str) -> str:
    e, f = _reduce_log(v, x)
    rest = _log_parts(v, f)
    # log2(e) = 1 + 0.4427: the first product would round, the second hardly does
    low = v.fma(f, LOG2_E - 1.0, v.mul(rest, LOG2_E))
    return _log_limits(v, x, v.add(e, v.add(f, low)))


@own
def log10(v: Vector, x: str) -> str:
    e, f = _reduce_log(v, x)
    high = float(np.int32(np.float32(LOG10_2).view(np.int32) & -4096).view(np.float32))  # 12 bits
    rest = v.mul(_log_parts(v, f), LOG10_E)
    coarse = float(np.float32(LOG10_E))
    low = v.fma(e, LOG10_2 - high, v.fma(f, LOG10_E - coarse, rest))
    return _log_limits(v, x, v.fma(e, high, v.fma(f, coarse, low)))


@own
def log1p(v: Vector, x: str) -> str:
    u = v.add(x, 1.0)
    lost = v.sub(x, v.sub(u, 1.0))  # what the sum rounded away
    result = v.add(v.call("log", u), v.div(lost, u))
    result = v.select(v.compare("oeq", u, 1.0), x, result)
    plain = v.compare("ogt", u, 0.0)
    plain = v.code.define(f"and {v.named('i1')} {plain}, {v.compare('olt', u, float('inf'))}")
    return v.select(plain, result, v.call("log", u))


# ---------------------------------------------------------------- the normal distribution's integral


@own
def erf(v: Vector, x: str) -> str:
    size = v.abs(x)
    near = v.mul(x, v.polynomial(v.mul(x, x), ERF))
    far = v.sub(1.0, v.call("exp", v.polynomial(v.clamp(size, None, 4.0), ERFC)))
    return v.select(v.compare("olt", size, 1.0), near, v.intrinsic("copysign", far, x))


# ---------------------------------------------------------------- sine and cosine


def _circular(v: Vector, x: str, name: str, quarter: int) -> str:
    """The sine, `quarter` quarters of a turn later. Far from zero, where the reduction needs more bits, the C library's."""
    far = v.compare("ogt", v.abs(x), FAR)
    if v.width > 1:
        full = f"@llvm.vector.reduce.or.v{v.width}i1"
        v.code.module.declare(full, f"declare i1 {full}(<{v.width} x i1>)")
        far = v.code.define(f"call i1 {full}(<{v.width} x i1> {far})")
    v.code.do(f"br i1 {far}, label %far, label %near")
    v.code.label("far")
    library = f"@{name}f.f{v.width}"
    v.code.module.add(library, lambda: _library(v.code.module, library, f"{name}f", "float", v.width, 1))
    v.code.do(f"ret {v.type} {v.code.define(f'call {v.type} {library}({v.type} {x})')}")
    v.code.label("near")
    shifted = v.fma(x, 2 / np.pi, ROUNDER)
    n, r = v.sub(shifted, ROUNDER), x
    for part in HALF_PI:
        r = v.fma(n, -part, r)
    turn = v.bits("add", v.to_bits(shifted), quarter)
    square = v.mul(r, r)
    sine = v.fma(v.mul(square, r), v.polynomial(square, SIN), r)
    cosine = v.fma(v.mul(square, square), v.polynomial(square, COS), v.fma(square, -0.5, 1.0))
    odd = v.code.define(f"icmp ne {v.named('i32')} {v.bits('and', turn, 1)}, {v.integer(0)}")
    sign = v.bits("shl", v.bits("and", turn, 2), 30)
    return v.from_bits(v.bits("xor", v.to_bits(v.select(odd, cosine, sine)), sign))


@own
def sin(v: Vector, x: str) -> str:
    return v.select(v.compare("oeq", x, 0.0), x, _circular(v, x, "sin", 0))  # the sign of zero


@own
def cos(v: Vector, x: str) -> str:
    return _circular(v, x, "cos", 1)


# ---------------------------------------------------------------- the C library


def _library(module: Module, full: str, symbol: str, scalar: str, width: int, arity: int) -> str:
    """Takes the vector apart, calls the C library for each element, and puts the results together."""
    module.declare(f"@{symbol}", f"declare {scalar} @{symbol}({', '.join([scalar] * arity)})")
    kind = scalar if width == 1 else f"<{width} x {scalar}>"
    lines = [f"define internal {kind} {full}({', '.join(f'{kind} %x{i}' for i in range(arity))}) {{"]
    result = "poison"
    for lane in range(width):
        arguments = []
        for i in range(arity):
            name = f"%x{i}"
            if width > 1:
                lines.append(f"  %a{lane}.{i} = extractelement {kind} %x{i}, i64 {lane}")
                name = f"%a{lane}.{i}"
            arguments.append(f"{scalar} {name}")
        lines.append(f"  %r{lane} = call {scalar} @{symbol}({', '.join(arguments)})")
        if width > 1:
            lines.append(f"  %s{lane} = insertelement {kind} {result}, {scalar} %r{lane}, i64 {lane}")
            result = f"%s{lane}"
        else:
            result = "%r0"
    return "\n".join([*lines, f"  ret {kind} {result}", "}"])
