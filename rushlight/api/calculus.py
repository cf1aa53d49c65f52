"""Differences and integrals of samples: gradient and the trapezoidal rule, composed of slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight import dtypes
from rushlight.api.cutting import narrow
from rushlight.api.joining import cat, diff
from rushlight.api.reduce import sum
from rushlight.api.scan import cumsum
from rushlight.tensor import Tensor, _checked_dim

# ---------------------------------------------------------------- the trapezoidal rule


def _strips(name: str, y: Tensor, x: Tensor | None, dx: Any, dim: int) -> Tensor:
    """Twice the areas between neighbouring samples."""
    axis = _checked_dim(dim, y.ndim) if y.ndim else _refuse_scalar(dim)
    if y.dtype is dtypes.bool or x is not None and x.dtype is dtypes.bool:
        which = "y" if y.dtype is dtypes.bool else "x"
        raise RuntimeError(f"{name}: received a bool input for `{which}`, but bool is not supported")
    if x is not None and dx is not None:
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got (Tensor, Tensor, dx={type(dx).__name__}), "
            "but expected one of:\n * (Tensor y, Tensor x, *, int dim = -1)\n"
            " * (Tensor y, *, Number dx = 1, int dim = -1)"
        )
    count = max(y.shape[axis] - 1, 0)
    pairs = narrow(y, axis, 0, count) + narrow(y, axis, y.shape[axis] - count, count)
    if x is None:
        return pairs if dx is None else pairs * dx
    return pairs * _widths(name, y, x, axis)


def _widths(name: str, y: Tensor, x: Tensor, axis: int) -> Tensor:
    """The distances of sample points: of a vector along the axis, else of an array as large as the samples."""
    if x.ndim == 1:
        if x.shape[0] != y.shape[axis]:
            raise RuntimeError(f"{name}: There must be one `x` value for each sample point")
        return diff(x).reshape([-1 if i == axis else 1 for i in range(y.ndim)])
    if x.ndim < y.ndim:
        x = x.reshape([1] * (y.ndim - x.ndim) + list(x.shape))
    return diff(x, dim=axis)


def _refuse_scalar(dim: int) -> int:
    raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")


def trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integral along `dim` of samples that are joined by straight lines, at points x or at distances dx (1)."""
    if y.ndim and not y.shape[dim]:
        return y.new_zeros([n for i, n in enumerate(y.shape) if i != dim % y.ndim])
    return sum(_strips("trapezoid", y, x, dx, dim), dim) / 2


def trapz(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The same as `trapezoid`."""
    return trapezoid(y, x, dx=dx, dim=dim)


def cumulative_trapezoid(y: Tensor, x: Tensor | None = None, *, dx: Any = None, dim: int = -1) -> Tensor:
    """The integrals of `trapezoid` up to each sample but the first."""
    return cumsum(_strips("cumulative_trapezoid", y, x, dx, dim), dim) / 2


# ---------------------------------------------------------------- the gradient


def _spacings(input: Tensor, spacing: Any, dims: Sequence[int], is_dim_given: bool) -> Sequence[Any]:
    """A distance, or a vector of coordinates, for each dimension."""
    if spacing is None:
        return [1.0] * len(dims)
    if not isinstance(spacing, (list, tuple)):
        return [spacing] * len(dims)
    if len(spacing) != len(dims):
        raise RuntimeError(
            "torch.gradient expected spacing to be unspecified, a scalar or it's spacing and dim arguments to have the "
            f"same length, but got a spacing argument of length {len(spacing)} and a dim argument of length "
            f"{len(dims)}."
            if is_dim_given
            else "torch.gradient expected spacing to be unspecified, a scalar, or a list of length equal to "
            f"'self.dim() = {input.ndim}', since dim argument was not given, but got a list of length {len(spacing)}"
        )
    for each in spacing:
        if isinstance(each, Tensor) and each.device != input.device:
            raise RuntimeError(
                "torch.gradient expected each tensor to be on the same device, but got devices "
                f"{input.device} and {each.device}!"
            )
        if isinstance(each, Tensor) and each.ndim != 1:
            raise RuntimeError(
                "torch.gradient expected each element of spacing to have one dimension, but got an element with "
                f"{each.ndim} dimensions!"
            )
    return spacing


def gradient(input: Tensor, *, spacing: Any = None, dim: Any = None, edge_order: int = 1) -> tuple[Tensor, ...]:
    """The derivative along each dimension of a function that is sampled on a grid: by central differences.

    Args:
        spacing: the grid's distances, one for all or one for each dimension, or vectors of coordinates.
        dim: along which dimensions; all unless given.
        edge_order: the first and last differences are exact for lines (1) or parabolas (2).

    Formulas for uneven spacing: Fornberg 1988, "Generation of finite difference formulas on arbitrarily spaced grids".
    """
    if edge_order not in (1, 2):
        raise RuntimeError("torch.gradient only supports edge_order=1 and edge_order=2.")
    if input.dtype is dtypes.uint8:
        raise RuntimeError("torch.gradient does not support uint8 input.")
    given = range(input.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [_checked_dim(d, input.ndim) for d in given]
    repeated = [d for i, d in enumerate(dims) if d in dims[:i]]
    if repeated:
        raise RuntimeError(f"dim {repeated[0]} appears multiple times in the list of dims")
    spacings = _spacings(input, spacing, dims, dim is not None)
    if any(input.shape[d] <= edge_order for d in dims):
        raise RuntimeError("torch.gradient expected each dimension size to be at least edge_order+1")
    return tuple([_slope(input, d, each, edge_order) for d, each in zip(dims, spacings, strict=True)])


def _slope(x: Tensor, axis: int, spacing: Any, edge_order: int) -> Tensor:
    last = x.shape[axis] - 1
    if isinstance(spacing, Tensor):
        x = x.to(dtypes.promote_types(x.dtype, spacing.dtype))  # before differences lose digits

    def part(start: int, count: int) -> Tensor:
        return narrow(x, axis, start, count)

    def steps(start: int, count: int) -> Any:
        """The distances behind some points."""
        if not isinstance(spacing, Tensor):
            return spacing
        along = [-1 if i == axis else 1 for i in range(x.ndim)]
        return diff(narrow(spacing, 0, start, count + 1)).reshape(along)

    def edge(at: int, inward: int) -> Tensor:
        """The slope at an end, of the line or parabola through it and the points inward."""
        first, second = part(at, 1), part(at + inward, 1)
        h = steps(min(at, at + inward), 1)
        line = (second - first) / h * inward
        if edge_order == 1:
            return line
        k = steps(min(at + inward, at + 2 * inward), 1)
        next_line = (part(at + 2 * inward, 1) - second) / k * inward
        return line + (line - next_line) * (h / (h + k))

    if last < 2:
        return cat([edge(0, 1), edge(last, -1)], axis)
    before, here, behind = part(0, last - 1), part(1, last - 1), part(2, last - 1)
    if isinstance(spacing, Tensor):
        h, k = steps(0, last - 1), steps(1, last - 1)
        inside = ((behind - here) / k * h + (here - before) / h * k) / (h + k)
    else:
        inside = (behind - before) / (2 * spacing)
    return cat([edge(0, 1), inside, edge(last, -1)], axis)
