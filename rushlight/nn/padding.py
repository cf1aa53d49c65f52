"""Padding: `rushlight.nn.functional.pad` and `rushlight.constant_pad_nd`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rushlight.ops import pool as ops
from rushlight.ops.create import full
from rushlight.ops.views import slice_, slice_scatter
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.arrays.taps import Padded


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """The input with elements added before and after, or cut off where a number is negative.

    Args:
        pad: (before, after) of the last dimension, then of the one before it, and so on.
        mode: "constant" (adds `value`), "reflect" (mirrors without the edge), "replicate" (repeats the edge) or
            "circular" (goes on at the other end).

    Raises:
        RuntimeError: lengths that do not fit. NotImplementedError: an unknown mode, or as many dimensions as it does not
            have.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.pad(torch.tensor([1, 2]), (1, 2)).tolist()
        [0, 1, 2, 0, 0]
    """
    lengths = tuple([int(n) for n in pad])
    if len(lengths) % 2:
        raise RuntimeError("Padding length must be divisible by 2")
    if len(lengths) > 2 * input.ndim:
        raise RuntimeError(
            "Padding length should be less than or equal to two times the input dimension but got padding length "
            f"{len(lengths)} and input of dimension {input.ndim}"
        )
    pairs = _pairs(input, lengths)
    if mode == "constant":
        return _with_constant(input, pairs, 0 if value is None else value)
    if value is not None and value != 0:
        raise RuntimeError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode not in ("reflect", "replicate", "circular"):
        raise NotImplementedError(f"Unrecognised padding mode {mode}")
    _check_supported(input, pairs, mode)
    rules = tuple([_rule(mode, input, axis, *pairs[axis]) for axis in sorted(pairs)])
    return (ops.resample if mode == "circular" else ops.average)(input, rules=rules)


def constant_pad_nd(input: Tensor, pad: Sequence[int], value: Any = 0) -> Tensor:
    """The input with a constant added before and after: `nn.functional.pad` in its first mode."""
    if len(pad) % 2:
        raise RuntimeError(f"Length of pad must be even but instead it equals {len(pad)}")
    if len(pad) > 2 * input.ndim:
        raise RuntimeError(
            "Length of pad should be no more than twice the number of dimensions of the input. Pad length is "
            f"{len(pad)}while the input has {input.ndim}dimensions."
        )
    return _with_constant(input, _pairs(input, tuple([int(n) for n in pad])), value)


def _pairs(input: Tensor, pad: tuple[int, ...]) -> dict[int, tuple[int, int]]:
    """(before, after) by axis."""
    return {input.ndim - 1 - i: (pad[2 * i], pad[2 * i + 1]) for i in range(len(pad) // 2)}


def _with_constant(input: Tensor, pairs: dict[int, tuple[int, int]], value: Any) -> Tensor:
    shape, source, place = list(input.shape), [], []
    for axis, size in enumerate(input.shape):
        before, after = pairs.get(axis, (0, 0))
        shape[axis] = size + before + after
        if shape[axis] < 0 or min(before, 0) + min(after, 0) < -size:
            raise RuntimeError("narrow(): length must be non-negative.")
        source.append(slice(max(-before, 0), size - max(-after, 0)))
        place.append(slice(max(before, 0), shape[axis] - max(after, 0)))
    background = full(tuple(shape), value, dtype=input.dtype, device=input.device)
    return slice_scatter(background, slice_(input, index=tuple(source)), index=tuple(place))


def _check_supported(input: Tensor, pairs: dict[int, tuple[int, int]], mode: str) -> None:
    num_axes, shape = len(pairs), input._array.shape
    if num_axes not in (1, 2, 3) or len(shape) not in (num_axes + 1, num_axes + 2):
        raise NotImplementedError(
            f"Padding size {2 * num_axes} is not supported for {len(shape)}D input tensor.\n"
            "Supported combinations for non-constant padding:\n"
            "  - 2D or 3D input: padding size = 2 (pads last dimension)\n"
            "  - 3D or 4D input: padding size = 4 (pads last 2 dimensions)\n"
            "  - 4D or 5D input: padding size = 6 (pads last 3 dimensions)"
        )
    if mode == "circular":
        return
    if input._array.dtype.kind == "b":
        kind = "reflection" if mode == "reflect" else "replication"
        raise NotImplementedError(f"\"{kind}_pad{num_axes}d\" not implemented for 'Bool'")
    if 0 in shape[1 if len(shape) == num_axes + 2 else 0 :]:
        raise RuntimeError(
            f"Expected {num_axes + 1}D or {num_axes + 2}D (batch mode) tensor with possibly 0 batch size and other "
            f"non-zero dimensions for input, but got: {list(shape)}"
        )


def _rule(mode: str, input: Tensor, axis: int, before: int, after: int) -> Padded:
    """How an axis is padded, after PyTorch's checks."""
    from rushlight.arrays.taps import Padded  # not at the top: the classes there take 7 ms to make

    size = input.shape[axis]
    count = size + before + after
    if mode == "circular":
        if max(before, after) > size:
            raise RuntimeError("Padding value causes wrapping around more than once.")
        if count < 0:
            raise RuntimeError("Negative padding value is resulting in an empty dimension")
        return Padded(size, count, before, after, mode)
    if mode == "reflect" and max(before, after) >= size:
        raise RuntimeError(
            "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding "
            f"({before}, {after}) at dimension {axis} of input {list(input.shape)}"
        )
    if count < 1:
        letter = "DHW"[axis - input.ndim]
        raise RuntimeError(f"input ({letter}: {size}) is too small. Calculated output {letter}: {count}")
    return Padded(size, count, before, after, mode)
