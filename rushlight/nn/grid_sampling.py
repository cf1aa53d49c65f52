"""Images read at any positions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.linalg import matmul
from rushlight.ops import elementwise as ops, pool
from rushlight.ops.activation import stepwise
from rushlight.ops.autocast import with_autocast
from rushlight.ops.copies import cast
from rushlight.ops.create import beside
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.views import expand
from rushlight.tensor import Tensor


def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool | None = None
) -> Tensor:
    """The input at given positions.

    Args:
        input: (batch, channels, height, width) or (batch, channels, depth, height, width).
        grid: (batch, *any size, 2 or 3): positions (x, y) or (x, y, z), from -1 to 1 over the image.
        mode: "bilinear", "nearest" or "bicubic".
        padding_mode: what is outside: "zeros", "border" (the nearest pixel) or "reflection".
        align_corners: -1 and 1 are the middles of the corner pixels, not their outer edges.

    Raises:
        ValueError: an unknown mode. RuntimeError: shapes or dtypes that do not fit.
    """
    if mode not in _SAMPLING:
        raise ValueError(
            f"nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '{mode}'"
        )
    if padding_mode not in _OUTSIDE:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    return grid_sampler(input, grid, _SAMPLING.index(mode), _OUTSIDE.index(padding_mode), bool(align_corners))


_SAMPLING, _OUTSIDE = ("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection")


def grid_sampler(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` with numbers for its modes."""
    return (grid_sampler_2d if input.ndim == 4 else grid_sampler_3d)(
        input, grid, interpolation_mode, padding_mode, align_corners
    )


def grid_sampler_2d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` of images, with numbers for its modes."""
    _check_grid(input, grid, _SAMPLING[interpolation_mode])
    return _sampled(input, grid, _SAMPLING[interpolation_mode], _OUTSIDE[padding_mode], align_corners)


def grid_sampler_3d(
    input: Tensor, grid: Tensor, interpolation_mode: int, padding_mode: int, align_corners: bool
) -> Tensor:
    """`grid_sample` of volumes, with numbers for its modes."""
    _check_grid(input, grid, _SAMPLING[interpolation_mode])
    return _sampled(input, grid, _SAMPLING[interpolation_mode], _OUTSIDE[padding_mode], align_corners)


def _check_grid(input: Tensor, grid: Tensor, mode: str) -> None:
    a, b = list(input.shape), list(grid.shape)
    if a[:1] != b[:1]:
        raise RuntimeError(
            "grid_sampler(): expected grid and input to have same batch size, but got input with sizes "
            f"{a} and grid with sizes {b}"
        )
    if b[-1] != len(a) - 2:
        raise RuntimeError(
            f"grid_sampler(): expected grid to have size {len(a) - 2} in last dimension, but got grid with sizes {b}"
        )
    if len(a) not in (4, 5) or len(a) != len(b):
        raise RuntimeError(
            "grid_sampler(): expected 4D or 5D input and grid with same number of dimensions, but got input with sizes "
            f"{a} and grid with sizes {b}"
        )
    for axis in range(2, len(a)):
        if a[axis] == 0:
            raise RuntimeError(
                "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes "
                f"{a} with dimension {axis} being empty"
            )
    if len(a) == 5 and mode == "bicubic":
        raise RuntimeError("grid_sampler(): bicubic interpolation only supports 4D input")
    if input.dtype is not grid.dtype:
        names = [dtypes.legacy_name(x) for x in (input, grid)]
        raise RuntimeError(f"expected scalar type {names[0]} but found {names[1]}")


def _sampled(input: Tensor, grid: Tensor, mode: str, outside: str, align_corners: bool) -> Tensor:
    batch, channels, *size = input.shape
    num_places = math.prod(grid.shape[1:-1])
    places = grid.reshape(batch, 1, num_places, len(size))
    axes = [  # positions count from x, the last axis, on
        _Axis(_pixels(places[..., len(size) - 1 - i], n, align_corners), n, outside, align_corners)
        for i, n in enumerate(size)
    ]
    taps: list[tuple[Any, Any]] = [(0, None)]  # (flat index, weight) of the pixels around each position
    for axis in axes:
        found = axis.taps(mode)
        taps = [
            (ops.add(ops.mul(index, axis.size), at), _product(weight, share))
            for index, weight in taps
            for at, share in found
        ]
    flat: Any = input.reshape(batch, channels, math.prod(size))
    total: Any = None
    for index, weight in taps:
        index = expand(index, shape=(batch, channels, num_places))
        value = _product(pool.read_at(flat, index, size=(math.prod(size),)), weight)
        total = value if total is None else ops.add(total, value)
    return total.reshape(batch, channels, *grid.shape[1:-1])


def _product(x: Any, y: Any) -> Any:
    return y if x is None else x if y is None else ops.mul(x, y)


def _pixels(places: Tensor, size: int, align_corners: bool) -> Tensor:
    """Positions from -1 to 1 in pixels."""
    if align_corners:
        return ops.mul(ops.add(places, 1), (size - 1) / 2)
    return ops.sub(ops.mul(ops.add(places, 1), size / 2), 0.5)


class _Axis:
    """Positions along one axis of an image, in pixels, and what is outside of it."""

    def __init__(self, positions: Tensor, size: int, outside: str, align_corners: bool):
        self.positions, self.size, self.outside, self.align_corners = positions, size, outside, align_corners

    def taps(self, mode: str) -> list[tuple[Tensor, Any]]:
        """(index, weight) of the pixels around each position."""
        if mode == "bicubic":  # here every pixel that is read is brought inside, not the position
            first = ops.floor(self.positions).detach()
            part = ops.sub(self.positions, first)
            return [self._tap(self.inside(ops.add(first, k - 1)), w) for k, w in enumerate(_cubic_weights(part))]
        positions = self.inside(self.positions)
        if mode == "nearest":
            return [self._tap(ops.round(positions).detach(), None)]
        first = ops.floor(positions).detach()
        part = ops.sub(positions, first)
        return [self._tap(first, ops.sub(1.0, part)), self._tap(ops.add(first, 1.0), part)]

    def _tap(self, pixels: Tensor, weight: Any) -> tuple[Tensor, Any]:
        """The index of a pixel, and its weight, which is zero outside of the image."""
        pixels = pixels.detach()
        is_inside = ops.logical_and(ops.ge(pixels, 0), ops.le(pixels, self.size - 1))
        index = ops.where(is_inside, pixels, 0.0)
        if weight is None:
            weight = stepwise(tensor_arrays, cast(is_inside, dtype=pixels._array.dtype), self.positions)
        else:
            weight = ops.where(is_inside, weight, 0.0)
        return cast(index, dtype=np.dtype(np.int64)), weight

    def inside(self, positions: Tensor) -> Tensor:
        """Positions brought into the image, unless what is outside is zero. On its edge the gradient is zero."""
        if self.outside == "zeros":
            return positions
        if self.outside == "reflection":
            positions = self._reflected(positions)
        last = float(self.size - 1)
        below, above = ops.le(positions, 0.0), ops.ge(positions, last)
        return ops.where(below, 0.0, ops.where(above, last, positions))

    def _reflected(self, positions: Tensor) -> Tensor:
        """Mirrored at the middles of the outer pixels, or at their outer edges, as often as it takes."""
        low, span = (0.0, self.size - 1.0) if self.align_corners else (-0.5, float(self.size))
        if span == 0:
            return ops.mul(positions, 0.0)
        distance = ops.abs(ops.sub(positions, low))
        beyond = ops.fmod(distance, span)
        is_even = ops.eq(ops.fmod(ops.floor(ops.div(distance, span)), 2.0), 0.0)
        return ops.add(ops.where(is_even, beyond, ops.sub(span, beyond)), low)


def _cubic_weights(part: Tensor) -> list[Tensor]:
    """The weights of the four pixels around a position (Keys, 1981, with a = -0.75)."""
    a = -0.75

    def near(x: Tensor) -> Tensor:
        return ops.add(ops.mul(ops.mul(ops.sub(ops.mul(x, a + 2), a + 3), x), x), 1.0)

    def far(x: Tensor) -> Tensor:
        return ops.sub(ops.mul(ops.add(ops.mul(ops.sub(ops.mul(x, a), 5 * a), x), 8 * a), x), 4 * a)

    rest = ops.sub(1.0, part)
    return [far(ops.add(part, 1.0)), near(part), near(rest), far(ops.add(rest, 1.0))]


# ---------------------------------------------------------------- grids of positions


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The positions of an image's pixels after an affine map, for `grid_sample`.

    Args:
        theta: (batch, 2, 3) or (batch, 3, 4): matrices of maps.
        size: (batch, channels, height, width) or (batch, channels, depth, height, width).

    Raises:
        ValueError: shapes or a dtype that do not fit. NotImplementedError: another number of sizes.
    """
    size = tuple(size)
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    if len(size) not in (4, 5):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, respectively. "
            f"Got size {size}."
        )
    n = len(size) - 2
    if theta.ndim != 3 or tuple(theta.shape[1:]) != (n, n + 1):
        raise ValueError(
            f"Expected a batch of {n}D affine matrices of shape Nx{n}x{n + 1} for size {size}. Got {theta.shape!r}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    return affine_grid_generator(theta, size, bool(align_corners))


def affine_grid_generator(theta: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """`affine_grid` without its checks."""
    batch, _, *lengths = size
    axes = [_from_minus_to_plus_one(n, align_corners) for n in lengths]
    grid = np.meshgrid(*axes, indexing="ij")
    base = np.stack([*reversed(grid), np.ones_like(grid[0])], -1).reshape(1, -1, len(lengths) + 1)
    positions = matmul(beside(theta, base.astype(theta._array.dtype)), theta.transpose(1, 2))
    return positions.reshape(batch, *lengths, len(lengths))


def _from_minus_to_plus_one(count: int, align_corners: bool) -> np.ndarray:
    """Evenly spaced positions, of the middles of pixels."""
    if count <= 1:
        return np.zeros(count)
    positions = np.linspace(-1, 1, count)
    return positions if align_corners else positions * (count - 1) / count


with_autocast(globals())
