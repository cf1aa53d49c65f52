"""Elementwise functions of numbers as computers have them: signs, exponents, infinities, divisors, double precision."""

from __future__ import annotations

import math
from typing import Any

from rushlight import dtypes, return_types
from rushlight.api.forms import in_place_form
from rushlight.api.operands import BOTH, FIRST, SECOND, invalid_combination, not_a_tensor, of_a_tensor, of_tensors
from rushlight.ops import complex as complex_ops, create, elementwise as ops
from rushlight.ops.elementwise import signbit as signbit
from rushlight.ops.inplace import in_place
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor

copysign = of_a_tensor(ops.copysign)
gcd, hypot, lcm, logaddexp, logaddexp2, nextafter = (
    of_tensors(operation) for operation in (ops.gcd, ops.hypot, ops.lcm, ops.logaddexp, ops.logaddexp2, ops.nextafter)
)


def _require_real_tensors(name: str, input: Any, other: Any) -> None:
    if input.__class__ in NUMBERS or other.__class__ in NUMBERS:
        raise not_a_tensor(name, input=input, other=other)
    if input.is_complex() or other.is_complex():
        raise RuntimeError(f"{name} not implemented for complex tensors.")


def fmax(input: Tensor, other: Tensor) -> Tensor:
    """The greater of two; of a number and NaN the number."""
    _require_real_tensors("fmax", input, other)
    return ops.where(ops.logical_or(ops.ge(input, other), ops.isnan(other)), input, other)


def fmin(input: Tensor, other: Tensor) -> Tensor:
    """The lesser of two; of a number and NaN the number."""
    _require_real_tensors("fmin", input, other)
    return ops.where(ops.logical_or(ops.le(input, other), ops.isnan(other)), input, other)


def frexp(input: Tensor) -> Any:
    """(mantissa, exponent): `input = mantissa * 2**exponent`, with the mantissa's absolute value in [1/2, 1).

    Raises:
        RuntimeError: the dtype is no floating-point one.
    """
    if not input.is_floating_point():
        raise RuntimeError("torch.frexp() only supports floating-point dtypes")
    return return_types.frexp(*ops.frexp(input))


def heaviside(input: Tensor, values: Tensor) -> Tensor:
    """0 for negative numbers, 1 for positive ones, `values` at 0.

    Raises:
        RuntimeError: the dtypes differ, or are complex.
    """
    if input.__class__ in NUMBERS or values.__class__ in NUMBERS:
        raise not_a_tensor("heaviside", input=input, values=values)
    if input.is_complex() or values.is_complex():
        raise RuntimeError("heaviside is not yet implemented for complex tensors.")
    if input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")
    input, values = input.detach(), values.detach()
    return ops.where(ops.eq(input, 0), values, ops.gt(input, 0).to(values.dtype))


def _is_infinity(name: str, infinity: float, input: Tensor) -> Tensor:
    if input.is_complex():
        raise RuntimeError(f"{name} does not support complex inputs.")
    if not input.is_floating_point():
        return create.full(input.shape, False, device=input.device)
    return ops.eq(input, infinity)


def isposinf(input: Tensor) -> Tensor:
    """Whether each element is plus infinity."""
    return _is_infinity("isposinf", math.inf, input)


def isneginf(input: Tensor) -> Tensor:
    """Whether each element is minus infinity."""
    return _is_infinity("isneginf", -math.inf, input)


def ldexp(input: Tensor, other: Tensor) -> Tensor:
    """`input * 2**other`."""
    if input.__class__ in NUMBERS or other.__class__ in NUMBERS:
        raise not_a_tensor("ldexp", input=input, other=other)
    if input.dtype.kind in "fc" and other.dtype.kind in "iu":
        other = other.to(input.dtype)
    return ops.mul(input, ops.pow(2.0, other))


def nan_to_num(
    input: Tensor, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Tensor:
    """The input with numbers for NaN (0 if none is given) and the infinities (the dtype's greatest and least)."""
    if input.is_complex():
        parts = (complex_ops.real(input), complex_ops.imag(input))
        return complex_ops.complex(*[nan_to_num(part, nan, posinf, neginf) for part in parts])
    if not input.is_floating_point():
        return input.clone()
    limits = dtypes.finfo(input.dtype)
    out = ops.where(ops.isnan(input), 0.0 if nan is None else float(nan), input)
    out = ops.where(ops.eq(input, math.inf), limits.max if posinf is None else float(posinf), out)
    return ops.where(ops.eq(input, -math.inf), limits.min if neginf is None else float(neginf), out)


def _in_double(operands: tuple) -> tuple[list[Any], dtypes.dtype]:
    """The operands in double precision, complex if one of them is; and that dtype."""
    is_complex = any(x.is_complex() if isinstance(x, Tensor) else isinstance(x, complex) for x in operands)
    dtype = dtypes.complex128 if is_complex else dtypes.float64
    number: type = complex if is_complex else float
    return [x.to(dtype) if isinstance(x, Tensor) else number(x) for x in operands], dtype


def float_power(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent` in double precision."""
    if input.__class__ in NUMBERS and exponent.__class__ in NUMBERS:
        raise invalid_combination("float_power", (input, exponent), BOTH, FIRST, SECOND)
    (base, power), _ = _in_double((input, exponent))
    return ops.pow(base, power)


def float_power_(self: Tensor, exponent: Any) -> Tensor:
    """In-place form of `float_power`.

    Raises:
        RuntimeError: the tensor is not in double precision.
    """
    _, dtype = _in_double((self, exponent))
    if self.dtype is not dtype:
        names = dtypes.LEGACY_NAMES
        raise RuntimeError(
            f"the base given to float_power_ has dtype {names[self.dtype.name]} but the operation's result requires "
            f"dtype {names[dtype.name]}"
        )
    return _pow_(self, exponent)


_pow_ = in_place(ops.pow)

IN_PLACE = {
    f.__name__ + "_": in_place(f) for f in (ops.copysign, ops.gcd, ops.hypot, ops.lcm, ops.nextafter)
} | {f.__name__ + "_": in_place_form(f) for f in (heaviside, ldexp, nan_to_num)} | {"float_power_": float_power_}  # fmt: skip
