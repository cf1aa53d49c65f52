"""`nn.functional.linear_cross_entropy`: a linear map to logits and their cross entropy, as for a large vocabulary."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal

from rushlight import dtypes
from rushlight.api.linalg import linear
from rushlight.autograd.modes import no_grad
from rushlight.nn.class_losses import counted, cross_entropy
from rushlight.ops.copies import cast
from rushlight.ops.elementwise import mul
from rushlight.ops.index import take
from rushlight.ops.linear_cross_entropy import linear_cross_entropy as linear_cross_entropy_op
from rushlight.tensor import Tensor


@dataclass(slots=True, frozen=True)
class LinearCrossEntropyOptions:
    """How the computation is cut into chunks of rows.

    Attributes:
        batch_chunk_size: rows in a chunk.
        chunking_method: how their number is found if it is not given: "aspect_ratio:N" makes the chunk's logits N times
            smaller than the input (rounded to a power of 2 of rows), "auto" is N = 2, None takes all rows.
        allow_retain_graph, acc_policy, acc_dtype: PyTorch's, without effect: `backward` may always be called twice, and
            half precision is summed in float32.

    Raises:
        ValueError: an option that is none of these.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: Literal["accurate", "balanced", "compact", "auto"] = "auto"
    acc_dtype: dtypes.dtype | None = None

    def __post_init__(self) -> None:
        if self.acc_policy not in ("auto", "accurate", "balanced", "compact"):
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        if self.chunking_method is not None and not re.fullmatch(
            "auto|aspect_ratio(:0*[1-9][0-9]*)?", self.chunking_method
        ):
            raise ValueError(f"invalid chunking_method: {self.chunking_method!r}")
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if self.acc_dtype not in (None, dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64):
            raise ValueError(
                "acc_dtype must be one of {None, torch.float16, torch.bfloat16, torch.float32, torch.float64}, got "
                f"{self.acc_dtype!r}. Pass acc_dtype=None to let the op pick automatically."
            )


def linear_cross_entropy(
    input: Tensor, linear_weight: Tensor, target: Tensor, *, linear_bias: Tensor | None = None,
    weight: Tensor | None = None, reduction: str = "mean", ignore_index: int | None = None, label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:  # fmt: skip
    """`cross_entropy(linear(input, linear_weight, linear_bias), target, ...)`.

    Args:
        options: for plain classes, how many rows of logits there are at a time. Then there is no second derivative.

    Shape:
        input (N, F) or (F), linear_weight (C, F) or (C, d1, ..., F), linear_bias as it without F; target and result as
        those of `cross_entropy` for logits (N, C, d1, ...).

    Raises:
        RuntimeError: shapes that do not fit, or `ignore_index` with probabilities.
    """
    shape = _logits_shape(input, linear_weight, linear_bias)
    if target.shape == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    ignore_index = -100 if ignore_index is None else ignore_index
    is_plain = target.dtype is dtypes.int64 and target.shape == input.shape[:-1] and linear_weight.ndim == 2
    if options is not None and is_plain and not label_smoothing and reduction in ("mean", "sum"):
        return _chunked(input, linear_weight, linear_bias, target, weight, reduction, ignore_index, options)
    matrix = linear_weight.reshape(-1, linear_weight.shape[-1])
    logits = linear(input, matrix, None if linear_bias is None else linear_bias.reshape(-1)).reshape(shape)
    return cross_entropy(
        logits, target, weight, reduction=reduction, label_smoothing=label_smoothing, ignore_index=ignore_index
    )


def _chunked(
    input: Tensor, matrix: Tensor, bias: Tensor | None, target: Tensor, weight: Tensor | None, reduction: str,
    ignore_index: int, options: LinearCrossEntropyOptions,
) -> Tensor:  # fmt: skip
    rows = input if input.ndim == 2 else input.unsqueeze(0)
    num_classes, features = matrix.shape
    classes, counts = counted(target.reshape(-1), num_classes, ignore_index)
    with no_grad():
        weights = counts.to(input.dtype) if weight is None else mul(take(weight, classes, axis=0), counts)
        weights = weights / weights.sum() if reduction == "mean" else weights
    size = max(_chunk_size(options, rows.shape[0], features, num_classes), 1)
    result = linear_cross_entropy_op(rows, matrix, 0.0 if bias is None else bias, classes, weights, rows=size)[0]
    return cast(result, dtype=input._array.dtype)


def _chunk_size(options: LinearCrossEntropyOptions, count: int, features: int, num_classes: int) -> int:
    """How many rows a chunk has."""
    given, method = options.batch_chunk_size, options.chunking_method
    if method is None or given is not None and method == "auto":
        return min(given or count, count)
    divisor = int(method.partition(":")[2] or (2 if method == "auto" else 1))
    wanted = math.ceil(count / math.ceil(num_classes / features)) if features else count
    size = min((1 << max(wanted - 1, 0).bit_length()) // divisor, count)
    if given is not None and given != size:
        raise ValueError(f"batch_chunk_size={given} and chunking_method={method!r}, which asks for {size}, disagree")
    return size


def _logits_shape(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[int, ...]:
    if input.ndim not in (1, 2):
        raise RuntimeError(f"expected input with dimensionality 1 or 2, got {input.ndim}")
    if weight.ndim < 2:
        raise RuntimeError(f"expected linear_weight with dimensionality at least 2, got {weight.ndim}")
    *batch, features = input.shape
    num_classes, *places, wanted = weight.shape
    if features != wanted:
        raise RuntimeError(
            "expected equal input and linear_weight last dimensions (in_features), "
            f"got {features} and {wanted}, respectively"
        )
    if bias is not None and bias.shape != (num_classes, *places):
        raise RuntimeError(f"expected linear_bias shape {(num_classes, *places)}, got {tuple(bias.shape)}")
    if places and not batch:
        raise RuntimeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(weight.shape)} requires batched input, "
            f"(N, {features}), got unbatched input with shape {tuple(input.shape)}"
        )
    return (*batch, num_classes, *places)
