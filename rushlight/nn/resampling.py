"""Interpolation: images of another size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.nn.adaptive_pooling import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from rushlight.ops import pool
from rushlight.tensor import Tensor

_LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}
_AREA = {1: adaptive_avg_pool1d, 2: adaptive_avg_pool2d, 3: adaptive_avg_pool3d}
_MODES = "nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact"


def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None, antialias: bool = False,
) -> Tensor:  # fmt: skip
    """The input at another size.

    Args:
        input: (batch, channels, *size) with one to three sizes.
        size, scale_factor: the new size, or how many times the old one; one of the two.
        mode: "nearest", "nearest-exact", "area", "linear", "bilinear", "trilinear", "bicubic" or "lanczos".
        align_corners: the middles of the corner elements stay where they are, not their outer edges.
        recompute_scale_factor: take the ratio of the sizes, not `scale_factor`.
        antialias: smooth before making smaller.

    Raises:
        ValueError: arguments that do not go together. NotImplementedError: a mode that the input's dimensions do not
            have. RuntimeError: a size of zero.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.interpolate(torch.tensor([[[1.0, 2.0]]]), scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """
    if mode in ("nearest", "area", "nearest-exact") and align_corners is not None:
        raise ValueError(
            "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic | trilinear"
        )
    old, num_axes = input._array.shape[2:], input._array.ndim - 2
    new, factors = _sizes_or_factors(input, size, scale_factor, num_axes)
    if recompute_scale_factor and new is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if new is None:
        new = [math.floor(n * factor) for n, factor in zip(old, factors, strict=True)]
        if recompute_scale_factor or mode == "area":
            factors = None
    if antialias and (mode not in ("bilinear", "bicubic", "lanczos") or num_axes != 2):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D tensor as input"
        )
    if mode == "lanczos" and num_axes == 2 and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    _check_mode(mode, num_axes)
    if mode == "area":
        return _AREA[num_axes](input, new)
    _check_sizes(input, new, mode)
    from rushlight.arrays.taps import Interpolated  # not at the top: the classes there take 7 ms to make

    kind = "cubic" if mode == "bicubic" else "linear" if mode.endswith("linear") else mode
    rules = tuple([
        Interpolated(n, count, kind, 1 / factor if factor else None, bool(align_corners), antialias)
        for n, count, factor in zip(old, new, factors or [None] * num_axes, strict=True)
    ])  # fmt: skip
    return pool.resample(input, rules=rules)


def _sizes_or_factors(input: Tensor, size: Any, factor: Any, num_axes: int) -> tuple[Any, Any]:
    """One of the two as a list, the other None."""
    old = list(input._array.shape[2:])
    if size is not None and factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple)) and len(size) != num_axes:
            raise ValueError(
                "Input and output must have the same number of spatial dimensions, but got input with spatial "
                f"dimensions of {old} and output size of {size}. Please provide input tensor in (N, C, d1, d2, ...,dK) "
                "format and output size in (o1, o2, ...,oK) format."
            )
        sizes = list(size) if isinstance(size, (list, tuple)) else [size] * num_axes
        if not all(isinstance(n, (int, np.integer)) for n in sizes):
            raise TypeError(
                "expected size to be one of int or Tuple[int] or Tuple[int, int] or Tuple[int, int, int], "
                f"but got size with types {[type(n) for n in sizes]}"
            )
        return sizes, None
    if factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if isinstance(factor, (list, tuple)) and len(factor) != num_axes:
        raise ValueError(
            "Input and scale_factor must have the same number of spatial dimensions, but got input with spatial "
            f"dimensions of {old} and scale_factor of shape {factor}. Please provide input tensor in "
            "(N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
        )
    return None, list(factor) if isinstance(factor, (list, tuple)) else [factor] * num_axes


def _check_mode(mode: str, num_axes: int) -> None:
    if num_axes in _LINEAR and mode in _LINEAR.values() and mode != _LINEAR[num_axes]:
        needed = next(n for n, name in _LINEAR.items() if name == mode) + 2
        raise NotImplementedError(f"Got {num_axes + 2}D input, but {mode} mode needs {needed}D input")
    known = (
        "nearest",
        "nearest-exact",
        "area",
        _LINEAR.get(num_axes),
        *(("bicubic", "lanczos") if num_axes == 2 else ()),
    )
    if num_axes not in _LINEAR or mode not in known:
        raise NotImplementedError(
            f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {num_axes + 2}D) for the modes: {_MODES} "
            f"(got {mode})"
        )


def _check_sizes(input: Tensor, new: list[int], mode: str) -> None:
    shape, num_axes = input._array.shape, len(new)
    dtype = dtypes.from_numpy(input._array.dtype)
    if dtype.kind in "bc" or dtype.kind in "iu" and dtype.name != "uint8":
        name = "upsample_" + mode.replace("-", "_") + ("" if mode in _LINEAR.values() else f"{num_axes}d")
        raise dtypes.no_kernel(name, dtype)
    if min(*shape[2:], *new) < 1:
        letters = "DHW"[-num_axes:]
        given, wanted = (
            ", ".join(f"{a}: {n}" for a, n in zip(letters, sizes, strict=True)) for sizes in (shape[2:], new)
        )
        raise RuntimeError(
            f"Input and output sizes should be greater than 0, but got input ({given}) output ({wanted})"
        )
    if 0 in shape[1:]:
        raise RuntimeError(f"Non-empty {num_axes + 2}D data tensor expected but got a tensor with sizes {list(shape)}")


def upsample(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Tensor:
    """The old name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` in mode "nearest"."""
    return interpolate(input, size, scale_factor)


def upsample_bilinear(input: Tensor, size: Any = None, scale_factor: Any = None) -> Tensor:
    """`interpolate` in mode "bilinear" with aligned corners."""
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)
