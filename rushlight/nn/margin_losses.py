"""Losses that are 0 beyond a margin: what `rushlight.nn.functional` offers under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.nn.distance import pairwise_distance
from rushlight.nn.reduction import check_reduction, chosen, reduced
from rushlight.ops import create
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.ops.elementwise import add, clamp_numbers, div, eq, logical_not, minimum, mul, ne, neg, sqrt, sub, where
from rushlight.ops.index import gather, take
from rushlight.tensor import Tensor


def _positive_part(x: Tensor) -> Tensor:
    """max(x, 0), whose gradient at 0 is 1, as PyTorch's is."""
    return clamp_numbers(x, low=0, high=None)


# ---------------------------------------------------------------- of pairs


def margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin - target * (input1 - input2)), for targets 1 and -1.

    Raises:
        RuntimeError: tensors of different numbers of dimensions.
    """
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    if not input1.ndim == input2.ndim == target.ndim:
        raise RuntimeError(
            "margin_ranking_loss : All input tensors should have same dimension but got sizes: "
            f"input1: {input1.shape}, input2: {input2.shape}, target: {target.shape} "
        )
    return reduced(_positive_part(add(mul(neg(target), sub(input1, input2)), margin)), reduction)


def hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The distance `input` where the target is 1, max(0, margin - input) where it is -1."""
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    limit = input.new_full((), margin)  # in the input's dtype: PyTorch rounds it too
    apart = where(ne(target, 1), _positive_part(sub(limit, input)), 0)
    return reduced(add(apart, where(ne(target, -1), input, 0)), reduction)


def cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """1 - cos(input1, input2) where the target is 1, max(0, cos - margin) where it is -1.

    Shape:
        inputs (N, D) and target (N), or (D) and ().

    Raises:
        RuntimeError: other shapes.
    """
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if not input1.ndim == input2.ndim == target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )
    tiny = 1e-12
    lengths = mul(add(mul(input1, input1).sum(-1), tiny), add(mul(input2, input2).sum(-1), tiny))
    cosine = div(mul(input1, input2).sum(-1), sqrt(lengths))
    alike, apart = sub(1, cosine), _positive_part(sub(cosine, margin))
    return reduced(add(where(eq(target, 1), alike, 0), where(eq(target, -1), apart, 0)), reduction)


# ---------------------------------------------------------------- of triplets


def triplet_margin_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, margin: float = 1.0, p: float = 2, eps: float = 1e-6,
    swap: bool = False, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """max(0, margin + |anchor - positive| - |anchor - negative|) in the p-norm (Balntas et al., 2016).

    Args:
        swap: whether |positive - negative| is used where it is the smaller one.

    Raises:
        ValueError: a margin that is not positive. RuntimeError: shapes that do not fit.
    """
    return triplet_margin_with_distance_loss(
        anchor, positive, negative, margin=margin, swap=swap, reduction=chosen(size_average, reduce, reduction),
        distance_function=lambda x, y: pairwise_distance(x, y, p, eps),
    )  # fmt: skip


def triplet_margin_with_distance_loss(
    anchor: Tensor, positive: Tensor, negative: Tensor, *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None, margin: float = 1.0, swap: bool = False,
    reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """`triplet_margin_loss` with any distance; by default `pairwise_distance`."""
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of dimensions, but got: "
            f"anchor {anchor.ndim}D, positive {positive.ndim}D, and negative {negative.ndim}D inputs"
        )
    distance: Any = distance_function or pairwise_distance
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = minimum(far, distance(positive, negative))
    return reduced(_positive_part(sub(add(near, margin), far)), reduction)


# ---------------------------------------------------------------- of classes


def multi_margin_loss(
    input: Tensor, target: Tensor, p: int = 1, margin: float = 1.0, weight: Tensor | None = None,
    size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The sum over the other classes i of max(0, margin - input[target] + input[i])^p, over the number of classes.

    Shape:
        input (N, C) or (C), target (N) or ().

    Raises:
        ValueError: another p than 1 and 2, or weights that are no vector. RuntimeError: shapes or dtypes that do not fit.
    """
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and weight.ndim != 1:
        raise ValueError("weight must be one-dimensional")
    rows, classes = _rows_of(input), target.reshape(-1, 1)
    num_classes = rows.shape[1]
    if target.ndim > 1 or target.numel() != rows.shape[0]:
        raise RuntimeError(
            "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
            f"Expected target size [{rows.shape[0]}], but got {list(target.shape)}. Input has shape {list(input.shape)}."
        )
    if weight is not None and weight.numel() != num_classes:
        raise RuntimeError(f"inconsistent weight size, expected {num_classes} but got {list(weight.shape)}")
    _require_classes("multi_margin_loss", target, 0, num_classes, "target out of range")
    values = _positive_part(add(sub(rows, gather(rows, classes, axis=1)), margin))
    values = values if p == 1 else mul(values, values)
    if weight is not None:
        values = mul(values, take(weight, classes, axis=0))
    is_target = classes == create.beside(classes, np.arange(num_classes))
    values = div(where(is_target, 0, values).sum(1), num_classes)
    return _reduced_rows(values, target.ndim, reduction)


def multilabel_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """The sum over targets j and other classes i of max(0, 1 - input[j] + input[i]), over the number of classes.

    Args:
        target: of the input's shape; in each row classes, ended by -1.

    Shape:
        input (N, C) or (C).

    Raises:
        RuntimeError: shapes or dtypes that do not fit.
    """
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    rows = _rows_of(input)
    if target.shape != input.shape:
        raise RuntimeError(f"inconsistent target size: {list(target.shape)} for input of size: {list(input.shape)}")
    num_classes = rows.shape[1]
    _require_classes("multilabel_margin_loss", target, -1, num_classes, "argument #2 'target' is out of range")
    listed = target.reshape(rows.shape)
    counts = (listed < 0).cumsum(1) == 0  # before the first -1
    classes = where(counts, listed, 0)
    is_target = (counts.unsqueeze(2) & (classes.unsqueeze(2) == create.beside(classes, np.arange(num_classes)))).any(1)
    scores = gather(rows, classes, axis=1).unsqueeze(2)  # (N, targets, 1)
    values = _positive_part(add(sub(rows.unsqueeze(1), scores), 1))  # (N, targets, classes)
    values = where(counts.unsqueeze(2) & logical_not(is_target).unsqueeze(1), values, 0)
    return _reduced_rows(div(values.sum((1, 2)), num_classes), max(input.ndim - 1, 0), reduction)


def _rows_of(input: Tensor) -> Tensor:
    """(N, C) from that or (C)."""
    if input.ndim > 2 or 0 in input.shape[1:] or input.ndim == 1 and not input.numel():
        raise RuntimeError(
            f"Expected non-empty vector or matrix with optional 0-dim batch size, but got: {list(input.shape)}"
        )
    return input if input.ndim == 2 else input.reshape(1, -1)


def _require_classes(name: str, target: Tensor, least: int, num_classes: int, complaint: str) -> None:
    if target.dtype is not dtypes.int64:
        raise RuntimeError(f"expected scalar type Long but found {dtypes.legacy_name(target)}")
    require_range(name, target, least, num_classes, lambda _: RuntimeError(complaint))


def _reduced_rows(values: Tensor, ndim: int, reduction: str) -> Tensor:
    """The losses of rows; a single row's is a number where the input was a vector. The mean of none is 0."""
    if reduction == "none":
        return values if ndim else values.reshape(())
    return reduced(values, reduction if values.numel() else "sum")


with_autocast(globals())
