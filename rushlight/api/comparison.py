"""Comparison of tensors as wholes and within tolerances, and membership."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.operands import invalid_combination, not_a_tensor
from rushlight.dtypes import legacy_name
from rushlight.ops import create, elementwise as ops, logic
from rushlight.ops.operands import on_several_devices
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor


def isclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Tensor:
    """Whether `|input - other| <= atol + rtol * |other|`, elementwise."""
    if not isinstance(input, Tensor) or not isinstance(other, Tensor):
        raise not_a_tensor("isclose", input=input, other=other)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{legacy_name(input)} did not match {legacy_name(other)}")
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value < 0:
            raise RuntimeError(f"{name} must be greater than or equal to zero, but got {value}")
    same = ops.eq(input, other)
    if equal_nan and input.dtype.kind in "fc":
        same = ops.logical_or(same, ops.logical_and(ops.isnan(input), ops.isnan(other)))
    if not rtol and not atol:
        return same
    if input.dtype.kind not in "fc":
        input, other = input.to(dtypes.get_default_dtype()), other.to(dtypes.get_default_dtype())
    distance, allowed = ops.abs(ops.sub(input, other)), ops.add(ops.abs(ops.mul(other, rtol)), atol)
    return ops.logical_or(same, ops.logical_and(ops.isfinite(distance), ops.le(distance, allowed)))


def allclose(input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere."""
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and values."""
    if input.dtype is not other.dtype and input.shape == other.shape:
        raise RuntimeError(f"Expected object of data type {input.dtype} but got data type {other.dtype} for argument 'other' in call to equal")  # fmt: skip
    if input.device != other.device:
        raise on_several_devices((input.device, other.device))
    a, b = input._host_values("equal()"), other._host_values("equal()")
    return a.shape == b.shape and bool(np.all(a == b))


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """Whether each element is among the test elements (or, inverted, is not); one of the two may be a number."""
    if elements.__class__ in NUMBERS and test_elements.__class__ in NUMBERS:
        signature = "(Tensor elements, Tensor test_elements, *, bool assume_unique = False, bool invert = False)"
        raise invalid_combination("isin", (elements, test_elements), signature)
    for given in (elements, test_elements):
        if isinstance(given, Tensor) and given.dtype.kind in "bc":
            raise RuntimeError(f"Unsupported input type encountered for isin(): {legacy_name(given)}")
    operands = [x if isinstance(x, Tensor) else create.tensor(x) for x in (elements, test_elements)]
    return logic.isin(*operands, invert=invert)
