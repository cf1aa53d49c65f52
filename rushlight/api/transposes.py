"""Transposes of matrices: `adjoint`, and the properties T, mT, H and mH."""

from __future__ import annotations

import warnings

from rushlight.api.views import permute, transpose
from rushlight.ops import complex as complex_ops, views as ops
from rushlight.tensor import Tensor


def adjoint(input: Tensor) -> Tensor:
    """The conjugate transpose of the last two dimensions."""
    return _adjoint(input, "adjoint()")


def _adjoint(input: Tensor, name: str) -> Tensor:
    if input.ndim == 1:
        raise RuntimeError(f"tensor.{name} is only supported on matrices or batches of matrices. Got 1-D tensor.")
    if input.ndim == 0:
        warnings.warn(f"{name} is deprecated on 0-D tensors. Consider using x.conj().", stacklevel=3)
    turned = transpose(input, -2, -1) if input.ndim else ops.alias(input)
    return complex_ops.conj(turned) if input.is_complex() else turned


# ---------------------------------------------------------------- the properties T, mT, H and mH


def reversed_dimensions(self: Tensor) -> Tensor:
    """The dimensions in reverse order (`T`)."""
    if self.ndim == 2:
        return permute(self, (1, 0))
    warnings.warn(
        "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will throw "
        "an error in a future release. Consider `x.mT` to transpose batches of matrices or "
        "`x.permute(*torch.arange(x.ndim - 1, -1, -1))` to reverse the dimensions of a tensor."
        if self.ndim
        else "Tensor.T is deprecated on 0-D tensors. This function is the identity in these cases.",
        stacklevel=2,
    )
    return permute(self, tuple(reversed(range(self.ndim))))


def matrix_transpose(self: Tensor) -> Tensor:
    """The last two dimensions swapped (`mT`)."""
    if self.ndim == 1:
        raise RuntimeError("tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor.")
    if self.ndim == 0:
        warnings.warn(
            "Tensor.mT is deprecated on 0-D tensors. This function is the identity in these cases.", stacklevel=2
        )
    return transpose(self, -2, -1)


def conjugate_transpose(self: Tensor) -> Tensor:
    """The conjugate transpose of a matrix (`H`)."""
    if self.ndim not in (0, 2):
        hint = " For batches of matrices, consider using tensor.mH" if self.ndim > 2 else ""
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {self.ndim}-D tensor.{hint}")
    return _adjoint(self, "H")


def matrix_adjoint(self: Tensor) -> Tensor:
    """The conjugate transpose of the last two dimensions (`mH`)."""
    return _adjoint(self, "mH")
