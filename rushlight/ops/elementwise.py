"""Elementwise operations under one name: each is defined in the file of its kind.

Gradients of broadcast operands are summed to the operand's shape by `define.Op`; formulas need not care.
"""

from __future__ import annotations  # noqa: I001  (long lists of names)

from rushlight.ops.activation import (
    elu, gelu, gelu_tanh, leaky_relu, logsigmoid, relu, sigmoid, silu, softplus,
)  # fmt: skip
from rushlight.ops.arithmetic import (
    abs, add, addcdiv, addcmul, atan2, copysign, div, div_trunc, floor_divide, fmod, gcd, hypot, lcm, lerp, mul,
    neg, pow, reciprocal, remainder, rsqrt, sign, sqrt, square, sub,
)  # fmt: skip
from rushlight.ops.choice import (
    clamp_above, clamp_below, clamp_between, clamp_numbers, maximum, minimum, where,
)  # fmt: skip
from rushlight.ops.exponential import (
    acos, acosh, asin, asinh, atan, atanh, cos, cosh, erf, exp, exp2, expm1, log, log10, log1p, log2, logaddexp,
    logaddexp2, sin, sinh, tan, tanh,
)  # fmt: skip
from rushlight.ops.logic import (
    bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or, bitwise_right_shift, bitwise_xor, eq, ge, gt,
    isfinite, isinf, isnan, le, logical_and, logical_not, logical_or, logical_xor, lt, ne,
)  # fmt: skip
from rushlight.ops.rounding import (
    ceil, floor, frexp, nextafter, round, signbit, trunc,
)  # fmt: skip

__all__ = [
    "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "asin", "asinh", "atan", "atan2", "atanh", "bitwise_and",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp_above",
    "clamp_below", "clamp_between", "clamp_numbers", "copysign", "cos", "cosh", "div", "div_trunc", "elu", "eq",
    "erf", "exp", "exp2", "expm1", "floor", "floor_divide", "fmod", "frexp", "gcd", "ge", "gelu", "gelu_tanh", "gt",
    "hypot", "isfinite", "isinf", "isnan", "lcm", "le", "leaky_relu", "lerp", "log", "log10", "log1p", "log2",
    "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor", "logsigmoid", "lt",
    "maximum", "minimum", "mul", "ne", "neg", "nextafter", "pow", "reciprocal", "relu", "remainder", "round",
    "rsqrt", "sigmoid", "sign", "signbit", "silu", "sin", "sinh", "softplus", "sqrt", "square", "sub", "tan",
    "tanh", "trunc", "where",
]  # fmt: skip
