"""Functions on complex numbers: parts, conjugates, and how they lie in memory.

PyTorch conjugates lazily, by a mark on the tensor. Here the conjugate is computed at once: no tensor has such a mark.
"""

from __future__ import annotations

import builtins
from typing import Any

from rushlight import dtypes
from rushlight.api.forms import in_place_form, with_out
from rushlight.api.operands import not_a_tensor
from rushlight.ops import complex as ops, elementwise, logic
from rushlight.ops.autocast import with_autocast
from rushlight.ops.complex import angle as angle
from rushlight.ops.create import full
from rushlight.tensor import Tensor


def conj(input: Tensor) -> Tensor:
    """The complex conjugate; of real numbers the tensor itself."""
    return ops.conj(input) if input.is_complex() else input


def is_conj(input: Tensor) -> builtins.bool:
    """Whether the tensor is a lazy conjugate, of which there are none here."""
    return False


def is_neg(input: Tensor) -> builtins.bool:
    """Whether the tensor is lazily negated, of which there are none here."""
    return False


def real(input: Tensor) -> Tensor:
    """The real part, a view; of real numbers the tensor itself."""
    return ops.real(input) if input.is_complex() else input


def imag(input: Tensor) -> Tensor:
    """The imaginary part, a view.

    Raises:
        RuntimeError: the numbers are real.
    """
    if not input.is_complex():
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return ops.imag(input)


def isreal(input: Tensor) -> Tensor:
    """Whether each element has no imaginary part."""
    if not input.is_complex():
        return full(input.shape, True, device=input.device)
    return logic.eq(ops.imag(input.detach()), 0)


def sgn(input: Tensor) -> Tensor:
    """The direction `x / |x|`, and 0 at 0; of real numbers the sign."""
    return elementwise.sign(input)


def _require_parts(name: str, first: str, a: Any, second: str, b: Any) -> None:
    if not isinstance(a, Tensor) or not isinstance(b, Tensor):
        raise not_a_tensor(name, **{first: a, second: b})
    names = [dtypes.legacy_name(x) for x in (a, b)]
    if not all(x.dtype in (dtypes.float16, dtypes.float32, dtypes.float64) for x in (a, b)):
        raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {' and '.join(names)}")
    if a.dtype is not b.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {names[0]} but got scalar type {names[1]} for second argument"
        )


def _require_complex_out(part: Tensor, out: Tensor | None) -> None:
    wanted = part.dtype.to_complex()
    if out is not None and out.dtype is not wanted:
        names = dtypes.LEGACY_NAMES
        raise RuntimeError(
            f"Expected object of scalar type {names[wanted.name]} but got scalar type {names[out.dtype.name]} for "
            "argument 'out'"
        )


def complex(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex numbers of their parts.

    Raises:
        RuntimeError: the parts are not of one floating-point dtype.
    """
    _require_parts("complex", "real", real, "imag", imag)
    _require_complex_out(real, out)
    return _joined(real, imag, out=out)


def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """Complex numbers of absolute values and arguments: `abs (cos(angle) + i sin(angle))`.

    Raises:
        RuntimeError: these are not of one floating-point dtype.
    """
    _require_parts("polar", "abs", abs, "angle", angle)
    _require_complex_out(abs, out)
    real, imag = elementwise.mul(abs, elementwise.cos(angle)), elementwise.mul(abs, elementwise.sin(angle))
    return _joined(real, imag, out=out)


_joined = with_out(ops.complex)


def view_as_real(input: Tensor) -> Tensor:
    """Each complex number as its two parts, in a new last dimension: a view.

    Raises:
        RuntimeError: the numbers are real.
    """
    if not input.is_complex():
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return ops.view_as_real(input)


def view_as_complex(input: Tensor) -> Tensor:
    """The pairs in the last dimension as complex numbers: a view.

    Raises:
        RuntimeError: the dtype is not float32 or float64, or the pairs do not lie as complex numbers do.
    """
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: "
            + dtypes.legacy_name(input)
        )
    if input.ndim == 0:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if input.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    *strides, last = input.stride()
    if last != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(stride % 2 for stride in strides):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    return ops.view_as_complex(input)


conj_physical = conj
IN_PLACE = {"conj_physical_": in_place_form(conj, "conj_physical_"), "sgn_": in_place_form(sgn, "sgn_")}


with_autocast(globals())
