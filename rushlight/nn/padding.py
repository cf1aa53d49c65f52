"""Padding: `rushlight.nn.functional.pad`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight.ops.create import full
from rushlight.ops.index import take
from rushlight.ops.views import slice_, slice_scatter
from rushlight.tensor import Tensor, wrap


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The input with elements added before and after, or cut off where a number is negative.

    Args:
        pad: (before, after) of the last dimension, then of the one before it, and so on.
        mode: "constant" (adds `value`), "reflect" (mirrors without the edge), "replicate" (repeats the edge) or
            "circular" (goes on at the other end).

    Raises:
        RuntimeError: lengths that do not fit. NotImplementedError: an unknown mode.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.pad(torch.tensor([1, 2]), (1, 2)).tolist()
        [0, 1, 2, 0, 0]
    """
    pairs = _pairs(input, tuple(int(n) for n in pad))
    if mode == "constant":
        return _with_constant(input, pairs, 0 if value is None else value)
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    for axis, (before, after) in pairs.items():
        size = input.shape[axis]
        positions = _positions(mode, size, before, after, axis, input)
        input = take(input, wrap(positions), axis=axis)
    return input


def _pairs(input: Tensor, pad: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """(before, after) by axis."""
    if len(pad) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(pad)} and input of dimension {input.ndim}"
        )
    return {input.ndim - 1 - i: (pad[2 * i], pad[2 * i + 1]) for i in range(len(pad) // 2)}


def _with_constant(input: Tensor, pairs: dict[int, tuple[int, int]], value: Any) -> Tensor:
    shape, source, place = list(input.shape), [], []
    for axis, size in enumerate(input.shape):
        before, after = pairs.get(axis, (0, 0))
        shape[axis] = size + before + after
        if shape[axis] < 0:
            raise RuntimeError(
                f"The input size {size}, plus negative padding {before} and {after}, resulted in a negative output "
                f"size, which is invalid. Check dimension {axis} of your input."
            )
        source.append(slice(max(-before, 0), size - max(-after, 0)))
        place.append(slice(max(before, 0), shape[axis] - max(after, 0)))
    background = full(tuple(shape), value, dtype=input.dtype)
    return slice_scatter(background, slice_(input, index=tuple(source)), index=tuple(place))


def _positions(mode: str, size: int, before: int, after: int, axis: int, input: Tensor) -> np.ndarray:
    """Where along an axis of `size` each element of the result comes from."""
    positions = np.arange(-before, size + after)
    if mode == "replicate":
        return positions.clip(0, size - 1)
    if mode == "circular":
        if max(before, after) > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        return positions % size
    if max(before, after) >= size:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at dimension {axis} of input {list(input.shape)}"
        )
    period = max(2 * size - 2, 1)
    positions = positions % period
    return np.minimum(positions, period - positions)
