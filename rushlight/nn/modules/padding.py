"""Padding: `nn.functional.pad` as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.tensor import Tensor

Lengths = int | Sequence[int]


class _Pad(Module):
    """Elements added on both sides of the last axes.

    Args:
        padding: one length, or (before, after) of the last axis, then of the one before it, and so on.
    """

    num_axes: int
    mode = "constant"
    value: float | None = None

    def __init__(self, padding: Lengths) -> None:
        super().__init__()
        self.padding: Any = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self.num_axes)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode, self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Lengths, value: Any) -> None:
        super().__init__(padding)
        self.value = value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """A value added on both sides of sequences."""

    num_axes = 1


class ConstantPad2d(_ConstantPad):
    """A value added on all sides of images.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.ConstantPad2d((1, 0, 0, 1), 7.0)(torch.zeros(1, 2)).tolist()
        [[7.0, 0.0, 0.0], [7.0, 7.0, 7.0]]
    """

    num_axes = 2


class ConstantPad3d(_ConstantPad):
    """A value added on all sides of volumes."""

    num_axes = 3


class ZeroPad1d(_ConstantPad):
    """Zeros added on both sides of sequences."""

    num_axes = 1

    def __init__(self, padding: Lengths) -> None:
        super().__init__(padding, 0.0)

    extra_repr = _Pad.extra_repr


class ZeroPad2d(ZeroPad1d):
    """Zeros added on all sides of images."""

    num_axes = 2


class ZeroPad3d(ZeroPad1d):
    """Zeros added on all sides of volumes."""

    num_axes = 3


class ReflectionPad1d(_Pad):
    """Sequences mirrored at their ends."""

    num_axes, mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Images mirrored at their edges."""

    num_axes, mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Volumes mirrored at their faces."""

    num_axes, mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Sequences with their ends repeated."""

    num_axes, mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Images with their edges repeated."""

    num_axes, mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Volumes with their faces repeated."""

    num_axes, mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Sequences that go on at the other end."""

    num_axes, mode = 1, "circular"


class CircularPad2d(_Pad):
    """Images that go on at the other edge."""

    num_axes, mode = 2, "circular"


class CircularPad3d(_Pad):
    """Volumes that go on at the other face."""

    num_axes, mode = 3, "circular"
