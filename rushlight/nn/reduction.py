"""What all losses share: how they are reduced, and PyTorch's old arguments for that."""

from __future__ import annotations

import warnings

from rushlight.ops.reduce import mean, sum as sum_of
from rushlight.tensor import Tensor


def check_reduction(reduction: str) -> str:
    """The reduction itself.

    Raises:
        ValueError: none of PyTorch's.
    """
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return reduction


def reduced(values: Tensor, reduction: str) -> Tensor:
    """All losses, their mean or their sum."""
    if reduction == "mean":
        return mean(values, axis=None)
    if reduction == "sum":
        return sum_of(values, axis=None)
    if reduction == "none":
        return values
    raise ValueError(f"{reduction} is not a valid value for reduction")


def chosen(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """PyTorch's old arguments, as `reduction`."""
    if size_average is None and reduce is None:
        return reduction
    chosen = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{chosen}' instead.", stacklevel=3
    )
    return chosen


def warn_of_sizes(input: Tensor, target: Tensor) -> None:
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )
