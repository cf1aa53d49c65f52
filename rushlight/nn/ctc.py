"""`nn.functional.ctc_loss`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rushlight import dtypes
from rushlight.api.ranges import arange
from rushlight.nn.reduction import check_reduction, reduced
from rushlight.ops import create
from rushlight.ops.autocast import with_autocast
from rushlight.ops.bounds import require_range
from rushlight.ops.copies import cast
from rushlight.ops.ctc import ctc
from rushlight.ops.elementwise import div, where
from rushlight.ops.index import take
from rushlight.tensor import Tensor

_INT64 = np.dtype(np.int64)
_WHILE = "(while checking arguments for ctc_loss_allocate_outputs)"


def ctc_loss(
    log_probs: Tensor, targets: Tensor, input_lengths: Tensor | Sequence[int], target_lengths: Tensor | Sequence[int],
    blank: int = 0, reduction: str = "mean", zero_infinity: bool = False,
) -> Tensor:  # fmt: skip
    """The negative log-likelihood of label sequences, whatever their timing (Graves et al., 2006).

    Args:
        log_probs: logarithms of the probabilities of C classes at T times: outputs of `log_softmax`.
        targets: labels, one sequence a row, or all one after the other.
        input_lengths, target_lengths: how many times and labels of each sample count.
        blank: the class that is no label.
        reduction: "mean" (over samples, of the loss over the number of labels), "sum" or "none".
        zero_infinity: whether an infinite loss, of labels that do not fit into the input, and its gradient become 0.

    Shape:
        log_probs (T, N, C) or (T, C), targets (N, S) or (sum of lengths), lengths (N) or (); the result () or (N).

    Raises:
        RuntimeError: lengths or labels that do not fit.
    """
    check_reduction(reduction)
    is_batched = log_probs.ndim == 3
    log_probs = log_probs if is_batched else log_probs.unsqueeze(1)
    steps, batch, num_classes = log_probs.shape
    inputs, labels = _lengths("input_lengths", input_lengths, batch), _lengths("target_lengths", target_lengths, batch)
    if not 0 <= blank < num_classes:
        raise RuntimeError("blank must be in label range")
    _check_at_most(inputs, steps, f"Expected input_lengths to have value at most {steps}, but got value {{}} {_WHILE}")
    inputs, labels = inputs.to(log_probs.device), labels.to(log_probs.device)
    rows = _rows(targets, labels.to(targets.device), batch).to(log_probs.device)
    is_padding = arange(rows.shape[1], device=rows.device) >= labels.unsqueeze(1)
    rows = where(is_padding, blank, cast(rows, dtype=_INT64))  # what stands there may be no class
    require_range(
        "ctc_loss", rows, 0, num_classes, lambda wrong: IndexError(f"Target {wrong} is none of {num_classes} classes.")
    )
    losses = ctc(log_probs, rows, inputs, labels, blank=blank, zero_infinity=zero_infinity)
    if reduction == "mean":
        losses = div(losses, labels.clamp(min=1).to(losses.dtype))
    losses = losses if is_batched else losses.squeeze(0)
    return reduced(losses, reduction)


def _lengths(name: str, lengths: Tensor | Sequence[int], batch: int) -> Tensor:
    if not isinstance(lengths, Tensor):
        lengths = create.tensor(list(lengths), dtype=dtypes.int64)
    elif lengths._array.dtype.kind not in "iu":
        raise RuntimeError(f"{name} must be integral")
    flat: Tensor = lengths.reshape(-1)
    if flat.numel() != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    return cast(flat, dtype=_INT64)


def _check_at_most(lengths: Tensor, most: int, complaint: str) -> None:
    def error(wrong: int) -> RuntimeError:
        least = f"Expected lengths to have value at least 0, but got value {wrong}"
        return RuntimeError(least if wrong < 0 else complaint.format(wrong))

    require_range("ctc_loss", lengths, 0, most + 1, error)


def _rows(targets: Tensor, lengths: Tensor, batch: int) -> Tensor:
    """The labels as (N, S)."""
    if targets._array.dtype.kind != "i":
        raise RuntimeError(f"targets must be int32 or int64, got {targets.dtype}")
    if targets.ndim < 2 and batch == 1:
        targets = targets.reshape(1, -1)
    if targets.ndim == 2:
        if targets.shape[0] != batch:
            raise RuntimeError(
                f"Expected tensor to have size {batch} at dimension 0, but got size {targets.shape[0]} for argument #2 "
                f"'targets' {_WHILE}"
            )
        size = targets.shape[1]
        complaint = "Expected tensor to have size at least {} at dimension 1, but got size "
        _check_at_most(lengths, size, f"{complaint}{size} for argument #2 'targets' {_WHILE}")
        return targets
    longest = int(lengths.max()) if batch else 0
    if not targets.numel():
        return targets.new_zeros((batch, 0))
    starts = lengths.cumsum(0) - lengths
    places = (starts.unsqueeze(1) + arange(longest, device=starts.device)).clamp(max=targets.numel() - 1)
    return take(targets.reshape(-1), places, axis=0)


with_autocast(globals())
