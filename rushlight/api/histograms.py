"""How many elements are where: histograms and counts. Nothing here is differentiable."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from rushlight import dtypes, return_types
from rushlight.api.forms import of_values
from rushlight.api.ranges import linspace
from rushlight.api.reduce import refuse_kinds
from rushlight.arrays import sorting as arrays
from rushlight.ops.create import beside
from rushlight.tensor import Tensor, wrap


@of_values
def bincount(input: Tensor, weights: Tensor | None = None, minlength: int = 0) -> Tensor:
    """How often 0, 1, ... occur in a vector of integers, or the sums of the weights of each.

    Raises:
        RuntimeError: the input has negative elements, or is no vector; weights of another shape.
    """
    refuse_kinds("fcb", "bincount_cpu", input)
    array = input._host_values("bincount()")
    if minlength < 0:
        raise RuntimeError("minlength should be >= 0")
    if array.ndim != 1 or array.size and array.min() < 0:
        raise RuntimeError("bincount only supports 1-d non-negative integral inputs.")
    if weights is None:
        return beside(input, np.bincount(array, minlength=minlength))
    if weights.shape != input.shape:
        raise RuntimeError("weights should be 1-d and have the same length as input")
    counts = np.bincount(array, weights._host_values("bincount()"), minlength)
    return beside(input, counts.astype(np.float32 if weights.dtype is dtypes.float32 else np.float64))


def _outer_edges(array: np.ndarray, low: float, high: float) -> Any:
    """Those given, or those of the data if both are equal; of a single value, one less and one more."""
    if low == high and array.size:
        low, high = array.min().item(), array.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histc: range of [{low:g}, {high:g}] is not finite")
    if low > high:
        raise RuntimeError("torch.histc: max must be larger than min")
    return (low - 1, high + 1) if low == high else (low, high)


@of_values
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements are in each of `bins` cells of equal width, from `min` to `max` or over all that there are."""
    refuse_kinds("iubc", "histogram_cpu", input)
    array = input._host_values("histc()").reshape(-1)
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension 0")
    low, high = np.asarray(_outer_edges(array, min, max), array.dtype)
    inside = array[(array >= low) & (array <= high)]
    place = ((inside - low) * np.asarray(bins, array.dtype) / (high - low)).astype(np.int64)
    return beside(input, np.bincount(np.minimum(place, bins - 1), minlength=bins).astype(array.dtype))


def _edges(dimension: int, column: np.ndarray, bins: Any, low: float, high: float) -> np.ndarray:
    """The edges of one dimension: those given, or as many of equal distance as there are to be cells and one more."""
    if isinstance(bins, Tensor):
        edges = bins._host_values("histogram()")
        if edges.ndim != 1:
            raise RuntimeError(
                f"torch.histogramdd: bins tensor should have one dimension, but got {edges.ndim} dimensions in the "
                f"bins tensor for dimension {dimension}"
            )
        if edges.dtype != column.dtype:
            raise RuntimeError(
                "torch.histogramdd: input tensor and bins tensors should have the same dtype, but got input with dtype "
                f"{_c_name(column)} and bins for dimension {dimension} with dtype {_c_name(edges)}"
            )
        return edges
    if bins <= 0:
        raise RuntimeError(f"torch.histogram(): bins must be > 0, but got {bins} for dimension {dimension}")
    if low > high:
        raise RuntimeError(
            f"torch.histogramdd: min should not exceed max, but got min {low:g} max {high:g} for dimension {dimension}"
        )
    if low == high:
        low, high = (column.min().item(), column.max().item()) if column.size else (0.0, 1.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        raise RuntimeError(f"torch.histogramdd: dimension {dimension}'s range [{low:g}, {high:g}] is not finite")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return linspace(low, high, bins + 1, dtype=dtypes.from_numpy(column.dtype))._array


def _c_name(array: np.ndarray) -> str:
    return dtypes.legacy_name(array).lower()


def _histogram(input: Tensor, dimensions: int, bins: Any, range: Any, weight: Tensor | None, density: bool) -> Any:
    """(counts, edges of each dimension) of points, each so many neighbouring elements."""
    points = input._host_values("histogram()").reshape(-1, dimensions)
    number = len(points)
    if weight is not None and weight.numel() != number:
        raise RuntimeError(
            "torch.histogramdd: if weight tensor is provided it should have the same shape as the input tensor "
            f"excluding its innermost dimension, but got input with shape {list(points.shape)} and weight with shape "
            f"{list(weight.shape)}"
        )
    if range is not None and len(range) != 2 * dimensions:
        raise RuntimeError(
            f"torch.histogramdd: for a {dimensions}-dimensional histogram range should have {2 * dimensions} elements, "
            f"but got {len(range)}"
        )
    bounds = (0.0, 0.0) * dimensions if range is None else tuple(range)
    columns = list(points.T)
    edges = [
        _edges(i, column, at, low, high)
        for i, (column, at, low, high) in enumerate(zip(columns, bins, bounds[::2], bounds[1::2], strict=True))
    ]
    counts = arrays.histogram(
        columns, edges, None if weight is None else weight._host_values("histogram()").reshape(-1)
    )
    if density:
        counts = counts / counts.sum()
        for i, edge in enumerate(edges):
            counts = counts / np.diff(edge).reshape([-1 if i == at else 1 for at in builtins.range(dimensions)])
    return beside(input, counts.astype(points.dtype)), tuple([beside(input, edge) for edge in edges])


def _require_float_or_double(input: Tensor) -> None:
    if input.dtype not in (dtypes.float32, dtypes.float64):
        raise dtypes.no_kernel("histogramdd", input)


@of_values
def histogram(
    input: Tensor, bins: Any, *, range: Any = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """(how many elements, or what sum of weights, each cell has; the cells' edges).

    Args:
        bins: how many cells of equal width, or a vector of edges.
        range: the outer edges; those of the data unless given.
        density: counts over their sum and over the cells' widths.
    """
    _require_float_or_double(input)
    if isinstance(bins, Tensor):
        bins = bins.clone()  # the edges that are returned are new memory
    counts, edges = _histogram(input, 1, (bins,), range, weight, density)
    return return_types.histogram(counts, edges[0])


def histogramdd(
    input: Tensor, bins: Any, range: Any = None, weight: Tensor | None = None, density: bool = False
) -> Any:
    """(how many points each cell of a grid has, the edges along each dimension); the last dimension is a point's."""
    _require_float_or_double(input)
    if input.ndim < 2:
        raise RuntimeError("torch.histogramdd: input tensor should have at least 2 dimensions")
    dimensions = input.shape[-1]
    bins = (bins,) * dimensions if isinstance(bins, int) else bins
    if len(bins) != dimensions:
        raise RuntimeError("histogramdd: The size of bins must be equal to the innermost dimension of the input.")
    return return_types.histogramdd(*_histogram(input, dimensions, bins, range, weight, density))
