"""Losses of classes, given as indices or as probabilities: what `rushlight.nn.functional` offers under the same names."""

from __future__ import annotations

import numpy as np

from rushlight import dtypes
from rushlight.arrays import kinds
from rushlight.nn.reduction import chosen, reduced
from rushlight.ops import observers
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.ops.elementwise import mul, ne, where
from rushlight.ops.index import take
from rushlight.ops.loss import cross_entropy_mean, cross_entropy_mean_of_counted, nll_rows
from rushlight.ops.reduce import log_softmax, sum as sum_of
from rushlight.tensor import Tensor

_INT64 = np.dtype(np.int64)


def cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean", label_smoothing: float = 0.0,
) -> Tensor:  # fmt: skip
    """The cross entropy between logits and classes, or probabilities of classes.

    Args:
        input: logits.
        target: indices of classes, int64, or as many floating-point probabilities as logits.
        weight: a weight for each class.
        ignore_index: positions with this target count for nothing.
        reduction: "mean" (over the weights of what counts), "sum" or "none".
        label_smoothing: the share of the target that is spread over all classes.

    Shape:
        input (C), (N, C) or (N, C, d1, ...); target without the C, or the same.

    Raises:
        IndexError: a target that is no class. ValueError, RuntimeError: shapes or dtypes that do not fit.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.functional.cross_entropy(torch.zeros(2, 4), torch.tensor([0, 3]))
        tensor(1.3863)
    """
    is_plain = weight is None and size_average is None and reduce is None
    if is_plain and reduction == "mean" and label_smoothing == 0.0:
        if ignore_index < 0 and _are_plain(input, target):
            try:
                return cross_entropy_mean(input, target)
            except IndexError:
                is_plain = False  # below it is said which class is wrong
        if is_plain and kinds.GPU is not None and _are_plain_on_gpu(input, target):
            require_range("nll_loss", target, 0, input.shape[1], _wrong_class, ignore_index)
            return cross_entropy_mean_of_counted(input, target, ignored=ignore_index)
    reduction = chosen(size_average, reduce, reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    if input.ndim and input.shape == target.shape:
        return _probability_cross_entropy(input, target, weight, ignore_index, reduction, label_smoothing)
    if input.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    log_probabilities = log_softmax(input, axis=_class_axis(input))
    if not label_smoothing:
        return _nll(log_probabilities, target, weight, ignore_index, reduction)
    return _smoothed(log_probabilities, target, weight, ignore_index, reduction, label_smoothing)


def nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    ignore_index: int = -100, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log-likelihood: minus the log-probability in `input` of each target class.

    Args and Shape: as `cross_entropy`'s, for indices of classes.
    """
    reduction = chosen(size_average, reduce, reduction)
    if input.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if input.ndim <= 2 and target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    return _nll(input, target, weight, ignore_index, reduction)


def _are_plain(input: Tensor, target: Tensor) -> bool:
    """Whether these are a matrix of logits and classes that all count (an ignored one has a negative index)."""
    a, t = input._array, target._array
    if observers.count or t.__class__ is not np.ndarray or t.dtype is not _INT64 or t.ndim != 1 or a.ndim != 2:
        return False
    return 0 < t.size == a.shape[0] and t.item(t.argmin()) >= 0  # argmin: a third of the time of min on small arrays


def _are_plain_on_gpu(input: Tensor, target: Tensor) -> bool:
    """Whether these are a matrix of logits and its classes, of which any may be ignored."""
    a, t = input._array, target._array
    if a.__class__ is not kinds.GPU.ndarray or t.__class__ is not kinds.GPU.ndarray:
        return False
    if observers.count and observers.recorder() is not None:
        return False
    return a.dtype.kind in "fV" and t.dtype is _INT64 and a.ndim == 2 and t.ndim == 1 and 0 < t.size == a.shape[0]


def _class_axis(input: Tensor) -> int:
    return 0 if input.ndim == 1 else 1


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {dtypes.legacy_name(target)}")
    shape, wanted = input.shape, input.shape[:1] + input.shape[2:] if input.ndim > 1 else ()
    if input.ndim == 1 and target.ndim and target.numel() != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {target.shape[0]}")
    if input.ndim > 1 and target.shape[:1] != shape[:1]:
        got = target.shape[0] if target.ndim else 1
        raise ValueError(f"Expected input batch_size ({shape[0]}) to match target batch_size ({got}).")
    if input.ndim > 1 and target.shape != wanted:
        raise RuntimeError(f"Expected target size {list(wanted)}, got {list(target.shape)}")
    num_classes = shape[_class_axis(input)]
    if weight is not None and weight.shape != (num_classes,):
        raise RuntimeError(
            f"weight tensor should be defined either for all {num_classes} classes or no classes but got weight tensor "
            f"of shape: {list(weight.shape)}"
        )


def _wrong_class(target: int) -> IndexError:
    return IndexError(f"Target {target} is out of bounds.")


def counted(target: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """The classes, 0 where they are ignored, and which are not ignored."""
    require_range("nll_loss", target, 0, num_classes, _wrong_class, ignore_index)
    return _counted(target, ignore_index)


def _counted(target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    counts = ne(target, ignore_index)
    return where(counts, target, 0), counts


def _as_rows(input: Tensor) -> Tensor:
    """(..., C) from (N, C, d1, ...), as a matrix."""
    return input.movedim(_class_axis(input), -1).reshape(-1, input.shape[_class_axis(input)])


def _nll(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str) -> Tensor:
    _check_classes(input, target, weight)
    shape, num_classes = target.shape if input.ndim > 1 else (), input.shape[_class_axis(input)]
    classes, counts = counted(target.to(dtypes.int64).reshape(-1), num_classes, ignore_index)
    weights = counts.to(input.dtype) if weight is None else mul(take(weight, classes, axis=0), counts)
    values = where(counts, mul(nll_rows(_as_rows(input), classes), weights), 0.0)
    if reduction == "mean":
        return sum_of(values, axis=None) / sum_of(weights, axis=None)
    return reduced(values, reduction) if reduction != "none" else values.reshape(shape)


def _smoothed(
    log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, share: float
) -> Tensor:
    """(1 - share) times the loss, and share times its mean over all classes."""
    loss = _nll(log_probabilities, target, weight, ignore_index, reduction)
    axis = _class_axis(log_probabilities)
    num_classes = log_probabilities.shape[axis]
    rows = _as_rows(log_probabilities)
    spread = -sum_of(rows if weight is None else mul(rows, weight), axis=1)
    classes, counts = _counted(target.to(dtypes.int64).reshape(-1), ignore_index)
    spread = where(counts, spread, 0.0)
    if reduction == "mean":
        weights: Tensor = counts if weight is None else mul(take(weight, classes, axis=0), counts)
        spread = sum_of(spread, axis=None) / sum_of(weights.to(rows.dtype), axis=None)
    else:
        spread = reduced(spread, reduction) if reduction != "none" else spread.reshape(loss.shape)
    return (1 - share) * loss + (share / num_classes) * spread


def _probability_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, share: float
) -> Tensor:
    if not target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got {dtypes.legacy_name(target)}"
        )
    if ignore_index >= 0:
        raise RuntimeError("ignore_index is not supported for floating point target")
    axis = _class_axis(input)
    num_classes = input.shape[axis]
    if weight is not None and weight.shape != (num_classes,):
        raise RuntimeError(
            f"cross_entropy: weight tensor should be defined either for all {num_classes} classes or no classes but "
            f"got weight tensor of shape: {list(weight.shape)}"
        )
    if share:
        target = target * (1 - share) + share / num_classes
    values = mul(log_softmax(input, axis=axis), target)
    if weight is not None:
        values = mul(values, weight.reshape((-1,) + (1,) * (input.ndim - 1 - axis)))
    loss = -sum_of(values, axis=axis)
    if reduction == "mean":
        return sum_of(loss, axis=None) / max(input.numel() // num_classes, 1)
    return reduced(loss, reduction)


with_autocast(globals())
