"""Elementwise functions: PyTorch's, with the standard's promotion and signatures."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import rushlight as torch
from rushlight.array_api.data_types import Scalar, promoted
from rushlight.tensor import Tensor

Unary = Callable[[Tensor], Tensor]
Binary = Callable[[Tensor | Scalar, Tensor | Scalar], Tensor]


def _unary(name: str, function: Any = None) -> Unary:
    """PyTorch's function of the name, or the one given."""
    function = function or getattr(torch, name)

    def call(x: Tensor, /) -> Tensor:
        return function(x)

    return _named(call, name)


def _binary(name: str, function: Any = None) -> Binary:
    """PyTorch's function of the name, or the one given, on operands of one dtype."""
    function = function or getattr(torch, name)

    def call(x1: Tensor | Scalar, x2: Tensor | Scalar, /) -> Tensor:
        return function(*promoted(x1, x2))

    return _named(call, name)


def _each_part(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function of real numbers, of the real and the imaginary part."""
    return torch.complex(function(torch.real(x)), function(torch.imag(x))) if x.is_complex() else function(x)


def _named(call: Any, name: str) -> Any:
    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"`{name}` of the array API standard, elementwise."
    return call


abs = _unary("abs")
acos = _unary("acos")
acosh = _unary("acosh")
asin = _unary("asin")
asinh = _unary("asinh")
atan = _unary("atan")
atanh = _unary("atanh")
bitwise_invert = _unary("bitwise_invert", torch.bitwise_not)
ceil = _unary("ceil")
conj = _unary("conj", lambda x: torch.conj(x) if x.is_complex() else x)
cos = _unary("cos")
cosh = _unary("cosh")
exp = _unary("exp")
expm1 = _unary("expm1")
floor = _unary("floor")
imag = _unary("imag", lambda x: torch.imag(x) if x.is_complex() else torch.zeros_like(x))
isfinite = _unary("isfinite")
isinf = _unary("isinf")
isnan = _unary("isnan")
log = _unary("log")
log10 = _unary("log10")
log1p = _unary("log1p")
log2 = _unary("log2")
logical_not = _unary("logical_not")
negative = _unary("negative")
positive = _unary("positive")
real = _unary("real", lambda x: torch.real(x) if x.is_complex() else x)
reciprocal = _unary("reciprocal")
round = _unary("round", lambda x: _each_part(torch.round, x))
sign = _unary("sign", lambda x: torch.sgn(x) if x.is_complex() else torch.sign(x))
signbit = _unary("signbit")
sin = _unary("sin")
sinh = _unary("sinh")
sqrt = _unary("sqrt")
square = _unary("square")
tan = _unary("tan")
tanh = _unary("tanh")
trunc = _unary("trunc")

add = _binary("add")
atan2 = _binary("atan2")
bitwise_and = _binary("bitwise_and")
bitwise_left_shift = _binary("bitwise_left_shift")
bitwise_or = _binary("bitwise_or")
bitwise_right_shift = _binary("bitwise_right_shift")
bitwise_xor = _binary("bitwise_xor")
copysign = _binary("copysign")
divide = _binary("divide")
equal = _binary("equal", torch.eq)
floor_divide = _binary("floor_divide")
greater = _binary("greater")
greater_equal = _binary("greater_equal")
hypot = _binary("hypot")
less = _binary("less")
less_equal = _binary("less_equal")
logaddexp = _binary("logaddexp")
logical_and = _binary("logical_and")
logical_or = _binary("logical_or")
logical_xor = _binary("logical_xor")
maximum = _binary("maximum")
minimum = _binary("minimum")
multiply = _binary("multiply")
nextafter = _binary("nextafter")
not_equal = _binary("not_equal")
pow = _binary("pow")
remainder = _binary("remainder")
subtract = _binary("subtract")


def clip(x: Tensor, /, min: Tensor | Scalar | None = None, max: Tensor | Scalar | None = None) -> Tensor:
    """The array with its values brought into [min, max]; its dtype stays."""
    low, high = _bound(min, x), _bound(max, x)
    if low is not None:
        x = torch.maximum(x, low)
    return x.clone() if low is None and high is None else x if high is None else torch.minimum(x, high)


def _bound(bound: Any, x: Tensor) -> Tensor | None:
    """A bound in x's dtype; a Python integer beyond what x's dtype has is the last that it has."""
    if bound is None:
        return None
    if isinstance(bound, Tensor):
        return bound.to(x.dtype)
    if x.dtype.kind in "iu":
        limits = torch.iinfo(x.dtype)
        bound = builtins.min(builtins.max(bound, limits.min), limits.max)
    return torch.full((), bound, dtype=x.dtype)
