"""Elementwise functions in PyTorch's spelling; those that need no handling are the operations themselves."""

from __future__ import annotations  # noqa: I001  (the long list below, as PyTorch names them)

import builtins
import math
from typing import Any

import numpy as np

from rushlight.dtypes import legacy_name
from rushlight import dtypes
from rushlight.api.forms import in_place_form
from rushlight.api.operands import (
    BOTH, FIRST, SECOND, invalid_combination, of_a_tensor, of_any, of_numbers, of_one, of_tensors, tensor_among,
)  # fmt: skip
from rushlight.ops import create, elementwise as ops
from rushlight.ops.precision import NUMBERS
from rushlight.ops.inplace import in_place, write
from rushlight.tensor import Tensor

from rushlight.ops.elementwise import (
    abs, acos, acosh, asin, asinh, atan, atanh, bitwise_not, ceil, cos, cosh, erf, exp, exp2, expm1, floor, log,
    log1p, log2, log10, logical_not, reciprocal, relu, rsqrt, sigmoid, sin, sinh, sqrt, square, tan, tanh, trunc,
)  # fmt: skip

atan2, maximum, minimum = of_tensors(ops.atan2), of_tensors(ops.maximum), of_tensors(ops.minimum)
logical_and, logical_or, logical_xor = (of_tensors(f) for f in (ops.logical_and, ops.logical_or, ops.logical_xor))
eq, ne, lt, le, gt, ge = (of_a_tensor(f) for f in (ops.eq, ops.ne, ops.lt, ops.le, ops.gt, ops.ge))
fmod = of_a_tensor(ops.fmod)
bitwise_and, bitwise_or, bitwise_xor = of_any(ops.bitwise_and), of_any(ops.bitwise_or), of_any(ops.bitwise_xor)
bitwise_left_shift, bitwise_right_shift = of_any(ops.bitwise_left_shift), of_any(ops.bitwise_right_shift)
mul, floor_divide, remainder = of_numbers(ops.mul), of_numbers(ops.floor_divide), of_any(ops.remainder)
isfinite, isinf, isnan = of_one(ops.isfinite), of_one(ops.isinf), of_one(ops.isnan)


def neg(input: Tensor) -> Tensor:
    """`-input`.

    Raises:
        RuntimeError: booleans.
    """
    try:
        return ops.neg(input)
    except NotImplementedError:
        raise RuntimeError(
            "Negation, the `-` operator, on a bool tensor is not supported. If you are trying to invert a mask, use the "
            "`~` or `logical_not()` operator instead."
        ) from None


def sign(input: Tensor) -> Tensor:
    """-1, 0 or 1.

    Raises:
        NotImplementedError: complex numbers, which have a direction: `sgn`.
    """
    if input.is_complex():
        raise NotImplementedError(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use torch.sgn instead."
        )
    return ops.sign(input)


def pow(input: Any, exponent: Any) -> Tensor:
    """`input ** exponent`; one of the two may be a number."""
    if input.__class__ in NUMBERS and exponent.__class__ in NUMBERS:
        raise invalid_combination("pow", (input, exponent), BOTH, FIRST, SECOND)
    return ops.pow(input, exponent)


def _require_operands(name: str, result: Any, input: Any, other: Any) -> Any:
    if result is NotImplemented:
        wrong = other if isinstance(input, (Tensor, np.ndarray, *NUMBERS)) else input
        where = "'other' (position 2)" if wrong is other else "'input' (position 1)"
        raise TypeError(f"{name}(): argument {where} must be Tensor, not {type(wrong).__name__}")
    return result


def _scaled(other: Any, alpha: Any, input: Any) -> Any:
    if alpha == 1:
        return other
    kinds = [x.__class__ if x.__class__ is bool else getattr(x, "dtype", None) for x in (input, other)]
    if set(kinds) <= {bool, dtypes.bool}:
        return other if alpha else ops.logical_and(other, False)
    is_integer = isinstance(input, Tensor) and input._array.dtype.kind in "iub"
    if isinstance(alpha, float) and is_integer and not (isinstance(other, Tensor) and other.is_floating_point()):
        raise RuntimeError("For integral input tensors, argument alpha must not be a floating point number.")
    return ops.mul(other, alpha) if isinstance(other, Tensor) else other * alpha


def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input + alpha * other`, broadcast.

    Example:
        >>> import rushlight as torch
        >>> torch.add(torch.tensor([1, 2]), 10)
        tensor([11, 12])
    """
    return _require_operands("add", ops.add(*tensor_among(input, _scaled(other, alpha, input))), input, other)


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """`input - alpha * other`, broadcast."""
    return _require_operands("sub", subtracted(*tensor_among(input, _scaled(other, alpha, input))), input, other)


def subtracted(x: Any, y: Any) -> Any:
    """The operator `x - y`, which PyTorch refuses for booleans."""
    try:
        return ops.sub(x, y)
    except NotImplementedError:
        if isinstance(x, Tensor) and isinstance(y, Tensor) and x.dtype is y.dtype:
            raise RuntimeError(
                "Subtraction, the `-` operator, with two bool tensors is not supported. Use the `^` or `logical_xor()` "
                "operator instead."
            ) from None
        raise RuntimeError(
            "Subtraction, the `-` operator, with a bool tensor is not supported. If you are trying to invert a mask, "
            "use the `~` or `logical_not()` operator instead."
        ) from None


def rsub(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """`other - alpha * input`."""
    if input.__class__ in NUMBERS:
        raise invalid_combination("rsub", (input, other), BOTH, SECOND)
    return subtracted(other, _scaled(input, alpha, input))


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """`input / other`; rounded towards zero ("trunc") or down ("floor") if asked.

    Raises:
        RuntimeError: another rounding mode.
    """
    input, other = tensor_among(input, other)
    if rounding_mode is None:
        return _require_operands("div", ops.div(input, other), input, other)
    if rounding_mode == "trunc":
        return ops.div_trunc(input, other)
    if rounding_mode == "floor":
        return ops.floor_divide(input, other)
    raise RuntimeError(f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'")


def clamp(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """Values below `min` become `min`, above `max` become `max`; limits are numbers or tensors.

    Raises:
        RuntimeError: neither limit is given.
    """
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if not isinstance(min, Tensor) and not isinstance(max, Tensor):
        if input._array.dtype.kind in "iub" and (isinstance(min, float) or isinstance(max, float)):
            input = input.to(dtypes.get_default_dtype())
        return ops.clamp_numbers(input, low=min, high=max)
    if min is None:
        return ops.clamp_above(input, max)
    return ops.clamp_below(input, min) if max is None else ops.clamp_between(input, min, max)


def clamp_min(input: Tensor, min: Any) -> Tensor:
    """`clamp` with a lower limit only."""
    if input.__class__ in NUMBERS:
        raise invalid_combination("clamp_min", (input, min), BOTH, SECOND)
    return clamp(input, min)


def clamp_max(input: Tensor, max: Any) -> Tensor:
    """`clamp` with an upper limit only."""
    if input.__class__ in NUMBERS:
        raise invalid_combination("clamp_max", (input, max), BOTH, SECOND)
    return clamp(input, None, max)


def where(condition: Tensor, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, else `other`; with the condition alone, its `nonzero(as_tuple=True)`."""
    if input is None and other is None:
        from rushlight.api.gathering import nonzero

        return nonzero(condition, as_tuple=True)
    if not isinstance(condition, Tensor):
        raise TypeError(f"where(): argument 'condition' (position 1) must be Tensor, not {type(condition).__name__}")
    if condition._array.dtype not in (np.bool_, np.uint8):
        raise RuntimeError(
            f"where expected condition to be a boolean tensor, but got a tensor with dtype {condition.dtype}"
        )
    if not isinstance(input, Tensor) and not isinstance(other, Tensor):
        input = create.tensor(input)
    return ops.where(condition, input, other)


def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """`input + value * tensor1 * tensor2`."""
    return ops.addcmul(input, tensor1, tensor2, value=value)


def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """`input + value * tensor1 / tensor2`.

    Raises:
        RuntimeError: tensor1 and tensor2 are integers.
    """
    _require_true_division(tensor1, tensor2)
    return ops.addcdiv(input, tensor1, tensor2, value=value)


def _require_true_division(tensor1: Tensor, tensor2: Tensor) -> None:
    if tensor1.dtype.kind in "iub" and tensor2.dtype.kind in "iub":
        raise RuntimeError(
            "Integer division with addcdiv is no longer supported, and in a future release addcdiv will perform a true "
            "division of tensor1 and tensor2. Convert them to a floating point dtype."
        )


def lerp(input: Tensor, end: Tensor, weight: Any) -> Tensor:
    """`input + weight * (end - input)`."""
    return ops.lerp(input, end, weight)


def frac(input: Tensor) -> Tensor:
    """What is behind the point: `input - trunc(input)`.

    Raises:
        NotImplementedError: the dtype is no floating-point one.
    """
    if not input.is_floating_point():
        raise dtypes.no_kernel("frac_cpu", input)
    return ops.sub(input, ops.trunc(input))


def positive(input: Tensor) -> Tensor:
    """The tensor itself.

    Raises:
        RuntimeError: booleans.
    """
    if input.dtype is dtypes.bool:
        raise RuntimeError("The `+` operator, on a bool tensor is not supported.")
    return input


def rad2deg(input: Tensor) -> Tensor:
    """Degrees of radians."""
    if input.is_complex():
        raise RuntimeError("rad2deg is not supported for complex tensors.")
    return ops.mul(input, 180 / math.pi)


def deg2rad(input: Tensor) -> Tensor:
    """Radians of degrees."""
    if input.is_complex():
        raise RuntimeError("deg2rad is not supported for complex tensors.")
    return ops.mul(input, math.pi / 180)


absolute, negative, multiply, subtract = abs, neg, mul, sub
divide = true_divide = div
clip, greater, greater_equal, less, less_equal, not_equal = clamp, gt, ge, lt, le, ne
arccos, arcsin, arctan, arctanh, arccosh, arcsinh, arctan2 = acos, asin, atan, atanh, acosh, asinh, atan2
fix = trunc


# ---------------------------------------------------------------- in place

_mul_, _div_, _add_, _sub_ = (
    in_place(f, n) for f, n in ((ops.mul, "mul_"), (ops.div, "div_"), (ops.add, "add_"), (ops.sub, "sub_"))
)


def add_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """In-place form of `add`."""
    return _require_operands("add_", _add_(self, _scaled(other, alpha, self)), self, other)


def sub_(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    """In-place form of `sub`."""
    return _require_operands("sub_", _sub_(self, _scaled(other, alpha, self)), self, other)


def mul_(self: Tensor, other: Any) -> Tensor:
    """In-place form of `mul`."""
    return _require_operands("mul_", _mul_(self, other), self, other)


def div_(self: Tensor, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """In-place form of `div`."""
    if rounding_mode is None:
        return _require_operands("div_", _div_(self, other), self, other)
    return (_div_trunc_ if rounding_mode == "trunc" else _floor_divide_)(self, other)


_div_trunc_, _floor_divide_ = in_place(ops.div_trunc, "div_"), in_place(ops.floor_divide, "div_")
_clamp_numbers_, _clamp_below_, _clamp_above_, _clamp_between_ = (
    in_place(f, "clamp_") for f in (ops.clamp_numbers, ops.clamp_below, ops.clamp_above, ops.clamp_between)
)
_addcmul_, _addcdiv_, _lerp_ = (
    in_place(f, n) for f, n in ((ops.addcmul, "addcmul_"), (ops.addcdiv, "addcdiv_"), (ops.lerp, "lerp_"))
)


def clamp_(self: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """In-place form of `clamp`."""
    if min is None and max is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if not isinstance(min, Tensor) and not isinstance(max, Tensor):
        is_integer = self._array.dtype.kind in "iub"
        if is_integer and (isinstance(min, float) or isinstance(max, float)):
            raise RuntimeError(f"result type Float can't be cast to the desired output type {legacy_name(self)}")
        return _clamp_numbers_(self, low=min, high=max)
    if min is None:
        return _clamp_above_(self, max)
    return _clamp_below_(self, min) if max is None else _clamp_between_(self, min, max)


def clamp_min_(self: Tensor, min: Any) -> Tensor:
    """In-place form of `clamp_min`."""
    return clamp_(self, min)


def clamp_max_(self: Tensor, max: Any) -> Tensor:
    """In-place form of `clamp_max`."""
    return clamp_(self, None, max)


def addcmul_(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """In-place form of `addcmul`."""
    return _addcmul_(self, tensor1, tensor2, value=value)


def addcdiv_(self: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """In-place form of `addcdiv`."""
    _require_true_division(tensor1, tensor2)
    return _addcdiv_(self, tensor1, tensor2, value=value)


def lerp_(self: Tensor, end: Tensor, weight: Any) -> Tensor:
    """In-place form of `lerp`."""
    return _lerp_(self, end, weight)


IN_PLACE = {
    f.__name__ + "_": in_place(f, f.__name__ + "_")
    for f in (
        abs, acos, acosh, asin, asinh, atan, atan2, atanh, bitwise_and, bitwise_left_shift, bitwise_not, bitwise_or,
        bitwise_right_shift, bitwise_xor, ceil, cos, cosh, eq, erf, exp, exp2, expm1, floor, floor_divide, fmod, ge, gt,
        le, log, log10, log1p, log2, logical_and, logical_not, logical_or, logical_xor, lt, ne, ops.neg, ops.pow,
        reciprocal, relu, remainder, rsqrt, sigmoid, ops.sign, sin, sinh, sqrt, square, tan, tanh, trunc, ops.round,
    )
}  # fmt: skip


IN_PLACE |= {
    alias: IN_PLACE[name]
    for alias, name in {
        "absolute_": "abs_", "arccos_": "acos_", "arcsin_": "asin_", "arctan_": "atan_", "arctan2_": "atan2_",
        "arccosh_": "acosh_", "arcsinh_": "asinh_", "arctanh_": "atanh_", "negative_": "neg_", "greater_": "gt_",
        "greater_equal_": "ge_", "less_": "lt_", "less_equal_": "le_", "not_equal_": "ne_", "fix_": "trunc_",
    }.items()
} | {"multiply_": mul_, "subtract_": sub_, "divide_": div_, "true_divide_": div_, "clip_": clamp_}  # fmt: skip


IN_PLACE |= {f.__name__ + "_": in_place_form(f) for f in (frac, rad2deg, deg2rad)}


def round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """To the nearest multiple of 10**-decimals, halves to even."""
    if decimals == 0:
        return ops.round(input)
    scale = 10.0 ** builtins.abs(decimals)
    if decimals > 0:
        return ops.div(ops.round(ops.mul(input, scale)), scale)
    return ops.mul(ops.round(ops.div(input, scale)), scale)


def round_(self: Tensor, *, decimals: int = 0) -> Tensor:
    """In-place form of `round`."""
    return _round_(self) if decimals == 0 else write(self, round(self, decimals=decimals), "round_")


_round_ = IN_PLACE.pop("round_")
