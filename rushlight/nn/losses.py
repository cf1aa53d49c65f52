"""Losses of numbers and of probabilities: what `rushlight.nn.functional` offers under the same names.

Each loss is an elementwise operation and a reduction; the functions put PyTorch's argument handling around them.
"""

from __future__ import annotations

import math
import warnings

import numpy as np

from rushlight.autograd.modes import no_grad
from rushlight.nn.reduction import check_reduction, chosen, reduced, warn_of_sizes
from rushlight.ops import observers
from rushlight.ops.autocast import with_autocast
from rushlight.ops.elementwise import add, div, exp, log, logsigmoid, mul, neg, sub, where
from rushlight.ops.loss import absolute_error, binary_cross_entropy_of, huber_error, logistic_error, squared_error
from rushlight.ops.reduce import sum as sum_of
from rushlight.tensor import Tensor


def _weighted(values: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """The reduced loss; with weights, "mean" divides by their sum."""
    if weight is None:
        return reduced(values, reduction)
    if weight.shape != values.shape:
        raise ValueError("Weights and input must have the same size.")
    total = reduced(mul(values, weight), "sum" if reduction == "mean" else reduction)
    return total / sum_of(weight, axis=None) if reduction == "mean" else total


def mse_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean (or sum, or "none": each) of the squared differences.

    Raises:
        ValueError: an unknown reduction.
    """
    warn_of_sizes(input, target)
    return _weighted(squared_error(input, target), weight, chosen(size_average, reduce, reduction))


def l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """The mean (sum, each) of the absolute differences."""
    warn_of_sizes(input, target)
    return _weighted(absolute_error(input, target), weight, chosen(size_average, reduce, reduction))


def smooth_l1_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", beta: float = 1.0,
) -> Tensor:  # fmt: skip
    """Squared differences over 2 beta where they are below beta, absolute ones beyond (Girshick, 2015)."""
    warn_of_sizes(input, target)
    reduction = chosen(size_average, reduce, reduction)
    if beta < 0:
        raise RuntimeError("smooth_l1_loss does not support negative values for beta.")
    if beta == 0:
        return reduced(absolute_error(input, target), reduction)
    values = huber_error(input, target, delta=float(beta))
    return reduced(values if beta == 1 else values / beta, reduction)


def huber_loss(
    input: Tensor, target: Tensor, reduction: str = "mean", delta: float = 1.0, weight: Tensor | None = None
) -> Tensor:
    """Half the squared differences where they are below delta, linear beyond (Huber, 1964)."""
    warn_of_sizes(input, target)
    if delta <= 0:
        raise RuntimeError("huber_loss does not support non-positive values for delta.")
    values = huber_error(input, target, delta=float(delta))
    return reduced(values if weight is None else mul(values, weight), reduction)  # weights are not divided by here


def binary_cross_entropy(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The cross entropy between probabilities and targets, both in [0, 1].

    Raises:
        ValueError: different shapes. RuntimeError: inputs that are no probabilities.
    """
    reduction = chosen(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(
            f"Using a target size ({target.shape}) that is different to the input size ({input.shape}) is deprecated. "
            "Please ensure they have the same size."
        )
    if not observers.count and type(input._array) is np.ndarray:
        array = input._array
        if array.size and not (array.min() >= 0 and array.max() <= 1):
            raise RuntimeError("all elements of input should be between 0 and 1")
    values = binary_cross_entropy_of(input, target)
    return reduced(values if weight is None else mul(values, weight), reduction)


def binary_cross_entropy_with_logits(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean", pos_weight: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """`binary_cross_entropy(sigmoid(input), target)`, computed so that nothing overflows.

    Raises:
        ValueError: different shapes.
    """
    reduction = chosen(size_average, reduce, reduction)
    if target.shape != input.shape:
        raise ValueError(f"Target size ({target.shape}) must be the same as input size ({input.shape})")
    if pos_weight is None:
        values = logistic_error(input, target)
    else:
        values = (1 - target) * input - ((pos_weight - 1) * target + 1) * logsigmoid(input)
    return reduced(values if weight is None else mul(values, weight), reduction)


def kl_div(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None,
    reduction: str = "mean", log_target: bool = False,
) -> Tensor:  # fmt: skip
    """Kullback and Leibler's divergence of log-probabilities `input` from `target`; "batchmean" is over rows."""
    reduction = chosen(size_average, reduce, reduction)
    if reduction == "mean":
        warnings.warn(
            "reduction: 'mean' divides the total loss by both the batch size and the support size.'batchmean' divides "
            "only by the batch size, and aligns with the KL div math definition.'mean' will be changed to behave the "
            "same as 'batchmean' in the next major release.",
            stacklevel=2,
        )
    values = divergence(input, target, log_target)
    if reduction == "batchmean":
        return sum_of(values, axis=None) / (input.shape[0] if input.ndim else 1)
    return reduced(values, reduction)


def divergence(input: Tensor, target: Tensor, log_target: bool) -> Tensor:
    """target (log target - input), where 0 log 0 is 0."""
    if log_target:
        return mul(exp(target), sub(target, input))
    return sub(mul(target, log(where(target == 0, 1.0, target))), mul(target, input))


def poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool = True, full: bool = False, size_average: bool | None = None,
    eps: float = 1e-8, reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The negative log-likelihood of counts `target` under Poisson's distribution with the rate, or log-rate, `input`.

    Args:
        full: whether log(target!) is added, by Stirling's formula, for targets above 1.
    """
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    if log_input:
        values = sub(exp(input), mul(target, input))
    else:
        values = sub(input, mul(target, log(add(input, eps))))
    if full:
        stirling = target * target.log() - target + 0.5 * (target * (2 * math.pi)).log()
        values = add(values, where(target <= 1, 0, stirling))
    return reduced(values, reduction)


def gaussian_nll_loss(
    input: Tensor, target: Tensor, var: Tensor | float, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Tensor:
    """The negative log-likelihood of `target` under normal distributions with means `input` and variances `var`.

    Args:
        var: a number or a tensor of the input's shape, where the last dimension may be missing or one may be 1.
        full: whether log(2 pi) / 2 is added.
        eps: smaller variances count as this.

    Raises:
        ValueError: a negative variance, or one of another shape.
    """
    if isinstance(var, float):
        var = input.new_full(input.shape, var)
    _require_variance(var)
    if var.shape != input.shape:
        if input.shape[:-1] == var.shape:
            var = var.unsqueeze(-1)
        elif input.ndim != var.ndim or sum(n for m, n in zip(input.shape, var.shape, strict=True) if m != n) != 1:
            raise ValueError("var is of incorrect size")
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    var = var.clone()
    with no_grad():
        var.clamp_(min=eps)  # the gradient is not cut off
    values = 0.5 * (log(var) + div((input - target) ** 2, var))
    return reduced(values + 0.5 * math.log(2 * math.pi) if full else values, reduction)


def _require_variance(var: Tensor) -> None:
    if not observers.count and isinstance(var._array, np.ndarray) and (var._array < 0).any():
        raise ValueError("var has negative entry/entries")


def soft_margin_loss(
    input: Tensor, target: Tensor, size_average: bool | None = None, reduce: bool | None = None, reduction: str = "mean"
) -> Tensor:
    """log(1 + exp(-target * input)) for targets 1 and -1."""
    reduction = check_reduction(chosen(size_average, reduce, reduction))
    return reduced(neg(logsigmoid(mul(input, target))), reduction)


def multilabel_soft_margin_loss(
    input: Tensor, target: Tensor, weight: Tensor | None = None, size_average: bool | None = None,
    reduce: bool | None = None, reduction: str = "mean",
) -> Tensor:  # fmt: skip
    """The mean over classes of the logistic loss, for targets 1 and 0 of each class."""
    reduction = chosen(size_average, reduce, reduction)
    values = -(target * logsigmoid(input) + (1 - target) * logsigmoid(-input))
    values = (values if weight is None else mul(values, weight)).sum(-1) / input.shape[-1]
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"{reduction} is not valid")
    return reduced(values, reduction)


with_autocast(globals())
