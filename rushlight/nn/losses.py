"""Losses: what `rushlight.nn.functional` offers under the same names.

Each loss is an elementwise operation (or `nll_rows`) and a reduction; the functions put PyTorch's
argument handling around them.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.ops import define
from rushlight.ops.define import op
from rushlight.ops.elementwise import logsigmoid, mul, where
from rushlight.ops.index import nll_rows, take
from rushlight.ops.loss import absolute_error, cross_entropy_mean, huber_error, logistic_error, squared_error
from rushlight.ops.reduce import log_softmax, mean, sum as sum_of
from rushlight.tensor import Tensor

_INT64 = np.dtype(np.int64)


@op(elementwise=True, grad_name="BinaryCrossEntropy")
def binary_cross_entropy_of(xp: Any, x: Any, target: Any) -> Any:
    """-(t log x + (1 - t) log(1 - x)), with logarithms not below -100."""
    log_x, log_other = xp.maximum(xp.log(x), -100.0), xp.maximum(xp.log1p(-x), -100.0)
    return (target - 1) * log_other - target * log_x


binary_cross_entropy_of.derivative(
    x=lambda xp, grad, x, target: grad * (x - target) / xp.maximum((1 - x) * x, 1e-12),
    target=lambda xp, grad, x: grad * (xp.log1p(-x) - xp.log(x)),
)


# ---------------------------------------------------------------- reduction


def _reduced(values: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return mean(values, axis=None)
    if reduction == "sum":
        return sum_of(values, axis=None)
    if reduction == "none":
        return values
    raise ValueError(f"{reduction} is not a valid value for reduction")


def _chosen(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """PyTorch's old arguments, as `reduction`."""
    if size_average is None and reduce is None:
        return reduction
    chosen = "none" if reduce is False else "sum" if size_average is False else "mean"
    warnings.warn(
        f"size_average and reduce args will be deprecated, please use reduction='{chosen}' instead.", stacklevel=3
    )
    return chosen


def _warn_of_sizes(input: Tensor, target: Tensor) -> None:
    if input._array.shape != target._array.shape:
        warnings.warn(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}). "
            "This will likely lead to incorrect results due to broadcasting. "
            "Please ensure they have the same size.",
            stacklevel=3,
        )


def _weighted(values: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """The reduced loss; with weights, "mean" divides by their sum."""
    if weight is None:
        return _reduced(values, reduction)
    if weight.shape != values.shape:
        raise ValueError("Weights and input must have the same size.")
    total = _reduced(mul(values, weight), "sum" if reduction == "mean" else reduction)
    return total / sum_of(weight, axis=None) if reduction == "mean" else total


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean (or sum, or "none": each) of the squared differences.

    Raises:
        ValueError: an unknown reduction.
    """
    _warn_of_sizes(input, target)
    return _weighted(squared_error(input, target), weight, _chosen(size_average, reduce, reduction))


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean (sum, each) of the absolute differences."""
    _warn_of_sizes(input, target)
    return _weighted(absolute_error(input, target), weight, _chosen(size_average, reduce, reduction))


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """Squared differences over 2 beta where they are below beta, absolute ones beyond (Girshick, 2015)."""
    _warn_of_sizes(input, target)
    reduction = _chosen(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return _reduced(absolute_error(input, target), reduction)
    values = huber_error(input, target, delta=float(beta))
    return _reduced(values if beta == 1 else values / beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the squared differences where they are below delta, linear beyond (Huber, 1964)."""
    _warn_of_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    values = huber_error(input, target, delta=float(delta))
    return _reduced(values if weight is None else mul(values, weight), reduction)  # weights are not divided by here


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The cross entropy between probabilities and targets, both in [0, 1].

    Raises:
        ValueError: different shapes. RuntimeError: inputs that are no probabilities.
    """
    reduction = _chosen(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if not define.recording and type(input._array) is np.ndarray:
        array = input._array
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise RuntimeError("all elements of input should be between 0 and 1")
    values = binary_cross_entropy_of(input, target)
    return _reduced(values if weight is None else mul(values, weight), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy(sigmoid(input), target)`, computed so that nothing overflows.

    Raises:
        ValueError: different shapes.
    """
    reduction = _chosen(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if pos_weight is None:
        values = logistic_error(input, target)
    else:
        values = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)
    return _reduced(values if weight is None else mul(values, weight), reduction)


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """Kullback and Leibler's divergence of log-probabilities `input` from `target`; "batchmean" is over rows."""
    reduction = _chosen(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    if log_target:
        values = target.exp() * (target - input)
    else:
        values = target * where(target == 0, 1.0, target).log() - target * input
    if reduction == "batchmean":
        return sum_of(values, axis=None) / (input.shape[0] if input.ndim else 1)
    return _reduced(values, reduction)


# ---------------------------------------------------------------- classes


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
    if (
        weight is None
        and reduction == "mean"
        and label_smoothing == 0.0
        and ignore_index < 0
        and _are_plain(input, target)
    ):
        try:
            return cross_entropy_mean(input, target)
        except IndexError:
            raise _out_of_bounds(target, input.shape[1], ignore_index) from None
    reduction = _chosen(size_average, reduce, reduction)
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
    reduction = _chosen(size_average, reduce, reduction)
    if input.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if input.ndim <= 2 and target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    return _nll(input, target, weight, ignore_index, reduction)


def _are_plain(input: Tensor, target: Tensor) -> bool:
    """Whether these are a matrix of logits and classes that all count (an ignored one has a negative index)."""
    a, t = input._array, target._array
    if define.recording or t.__class__ is not np.ndarray or t.dtype is not _INT64 or t.ndim != 1 or a.ndim != 2:
        return False
    return 0 < t.size == a.shape[0] and t.item(t.argmin()) >= 0  # argmin: a third of the time of min on small arrays


def _class_axis(input: Tensor) -> int:
    return 0 if input.ndim == 1 else 1


def _check_classes(input: Tensor, target: Tensor, weight: Tensor | None) -> None:
    if target.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(
            f"expected target dtype to be Long or Byte, but got {dtypes.LEGACY_NAMES[target.dtype.name]}"
        )
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


def _out_of_bounds(target: Tensor, num_classes: int, ignore_index: int) -> IndexError:
    values = target._array.ravel()
    wrong = values[((values < 0) | (values >= num_classes)) & (values != ignore_index)]
    return IndexError(f"Target {wrong[0]} is out of bounds.")


def _counted(target: Tensor, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """The classes, 0 where they are ignored, and which are not ignored."""
    if not define.recording and type(target._array) is np.ndarray:
        values = target._array
        if values.size and (((values < 0) | (values >= num_classes)) & (values != ignore_index)).any():
            raise _out_of_bounds(target, num_classes, ignore_index)
    counts = target != ignore_index
    return where(counts, target, 0), counts


def _as_rows(input: Tensor) -> Tensor:
    """(..., C) from (N, C, d1, ...), as a matrix."""
    return input.movedim(_class_axis(input), -1).reshape(-1, input.shape[_class_axis(input)])


def _nll(input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str) -> Tensor:
    _check_classes(input, target, weight)
    shape, num_classes = target.shape if input.ndim > 1 else (), input.shape[_class_axis(input)]
    classes, counts = _counted(target.to(dtypes.int64).reshape(-1), num_classes, ignore_index)
    weights = counts.to(input.dtype) if weight is None else mul(take(weight, classes, axis=0), counts)
    values = where(counts, mul(nll_rows(_as_rows(input), classes), weights), 0.0)
    if reduction == "mean":
        return sum_of(values, axis=None) / sum_of(weights, axis=None)
    return _reduced(values, reduction) if reduction != "none" else values.reshape(shape)


def _smoothed(
    log_probabilities: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, share: float
) -> Tensor:
    """(1 - share) times the loss, and share times its mean over all classes."""
    loss = _nll(log_probabilities, target, weight, ignore_index, reduction)
    axis = _class_axis(log_probabilities)
    num_classes = log_probabilities.shape[axis]
    rows = _as_rows(log_probabilities)
    spread = -sum_of(rows if weight is None else mul(rows, weight), axis=1)
    classes, counts = _counted(target.to(dtypes.int64).reshape(-1), num_classes, ignore_index)
    spread = where(counts, spread, 0.0)
    if reduction == "mean":
        weights = counts if weight is None else mul(take(weight, classes, axis=0), counts)
        spread = sum_of(spread, axis=None) / sum_of(weights.to(rows.dtype), axis=None)
    else:
        spread = _reduced(spread, reduction) if reduction != "none" else spread.reshape(loss.shape)
    return (1 - share) * loss + (share / num_classes) * spread


def _probability_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None, ignore_index: int, reduction: str, share: float
) -> Tensor:
    if not target.is_floating_point():
        raise RuntimeError(
            f"Expected floating point type for target with class probabilities, got "
            f"{dtypes.LEGACY_NAMES[target.dtype.name]}"
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
    return _reduced(loss, reduction)
