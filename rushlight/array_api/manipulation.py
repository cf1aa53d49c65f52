"""Shapes: joining, cutting, moving axes, repeating, broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import rushlight as torch
from rushlight.array_api.data_types import promoted
from rushlight.tensor import Tensor

Axes = int | tuple[int, ...]


def _normal(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise IndexError(f"axis {axis} is out of bounds for an array of {ndim} dimensions")
    return axis % ndim


def broadcast_arrays(*arrays: Tensor) -> tuple[Tensor, ...]:
    """The arrays repeated to their common shape, without copying."""
    return tuple(torch.broadcast_tensors(*arrays)) if arrays else ()


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which arrays of these shapes broadcast.

    Raises:
        ValueError: they do not.
    """
    return tuple(np.broadcast_shapes(*shapes))


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    return torch.broadcast_to(x, tuple(shape))


def concat(arrays: Sequence[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """The arrays one after the other along an axis; flattened if there is none."""
    tensors = promoted(*arrays)
    return torch.cat([x.reshape(-1) for x in tensors]) if axis is None else torch.cat(tensors, axis)


def expand_dims(x: Tensor, /, axis: Axes = 0) -> Tensor:
    """With axes of size 1 at these places of the result."""
    axes = axis if isinstance(axis, tuple) else (axis,)
    places = sorted(_normal(i, x.ndim + len(axes)) for i in axes)
    if len(set(places)) < len(places):
        raise ValueError(f"an axis is repeated in {axes}")
    for i in places:
        x = torch.unsqueeze(x, i)
    return x


def flip(x: Tensor, /, *, axis: Axes | None = None) -> Tensor:
    axes = tuple(range(x.ndim)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return torch.flip(x, axes)


def moveaxis(x: Tensor, source: Axes, destination: Axes, /) -> Tensor:
    return torch.moveaxis(x, source, destination)


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    return torch.permute(x, axes)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """Each element along an axis several times."""
    if isinstance(repeats, Tensor):
        counts = repeats.to(torch.int64)
        repeats = int(counts.item()) if counts.numel() == 1 else counts
    return torch.repeat_interleave(x, repeats, dim=axis)


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """The elements in another shape; a view if there can be one.

    Raises:
        ValueError: `copy=False`, and there cannot be one.
    """
    result = torch.reshape(x, tuple(shape))
    if copy is False and result.numel() and not np.shares_memory(result._array, x._array):
        raise ValueError(f"an array of this memory cannot be viewed in the shape {tuple(shape)} without copying it")
    return result.clone() if copy else result


def roll(x: Tensor, /, shift: Axes, *, axis: Axes | None = None) -> Tensor:
    if isinstance(axis, tuple) and isinstance(shift, int):
        shift = (shift,) * len(axis)
    return torch.roll(x, shift) if axis is None else torch.roll(x, shift, axis)


def squeeze(x: Tensor, /, axis: Axes) -> Tensor:
    """Without these axes, which have size 1.

    Raises:
        ValueError: one has not.
    """
    axes = axis if isinstance(axis, tuple) else (axis,)
    for i in axes:
        if x.shape[_normal(i, x.ndim)] != 1:
            raise ValueError(f"axis {i} has size {x.shape[i]}: only axes of size 1 can be squeezed")
    return torch.squeeze(x, axes)


def stack(arrays: Sequence[Tensor], /, *, axis: int = 0) -> Tensor:
    return torch.stack(promoted(*arrays), axis)


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    return torch.tile(x, tuple(repetitions))


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    return tuple(torch.unbind(x, axis))
