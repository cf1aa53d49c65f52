"""Dropout in its forms: what `rushlight.nn.functional` offers under the same names.

All are one thing: the input times a random mask, drawn for elements or for whole channels. The draws are PyTorch's.
"""

from __future__ import annotations

import math
import warnings

from rushlight import dtypes
from rushlight.api import sample
from rushlight.autograd.modes import no_grad
from rushlight.ops import create
from rushlight.ops.arithmetic import add, mul
from rushlight.ops.inplace import in_place
from rushlight.tensor import Tensor

_mul_, _add_ = in_place(mul), in_place(add)


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros each element with probability p and divides the others by 1 - p (Srivastava et al., 2014).

    The mask is PyTorch's: a draw `bernoulli(1 - p)` from the default generator.

    Raises:
        ValueError: p is no probability.
    """
    _check_probability(p)
    return scaled(input, p, training, inplace)


def dropout1d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros whole channels of (N, C, L) or (C, L) with probability p (Tompson et al., 2015).

    Raises:
        ValueError: p is no probability. RuntimeError: another number of dimensions.
    """
    _check_probability(p)
    if input.ndim not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {input.ndim}D input. Note that dropout1d exists to "
            "provide channel-wise dropout on inputs with 1 spatial dimension, a channel dimension, and an optional "
            "batch dimension (i.e. 2D or 3D inputs)."
        )
    return scaled(input, p, training, inplace, channel=input.ndim - 2)


def dropout2d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros whole channels of (N, C, H, W) with probability p; three dimensions are (N, C, L)."""
    _check_probability(p)
    _warn_of_dimensions("dropout2d", input, 2)
    if input.ndim == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout behavior is desired - "
            "input is interpreted as shape (N, C, L), where C is the channel dim. This behavior will change in a future "
            "release to interpret the input as one without a batch dimension, i.e. shape (C, H, W). To maintain the 1D "
            "channel-wise dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return scaled(input, p, training, inplace, channel=1)


def dropout3d(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros whole channels of (N, C, D, H, W) or (C, D, H, W) with probability p."""
    _check_probability(p)
    _warn_of_dimensions("dropout3d", input, 3)
    return scaled(input, p, training, inplace, channel=1 if input.ndim == 5 else 0)


def alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """Dropout that keeps mean 0 and variance 1: dropped elements become SELU's lower limit (Klambauer et al., 2017)."""
    _check_probability(p)
    return _self_normalizing(input, p, training, inplace)


def feature_alpha_dropout(input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False) -> Tensor:
    """`alpha_dropout` of whole channels, which are dimension 1."""
    _check_probability(p)
    return _self_normalizing(input, p, training, inplace, channel=1)


# ---------------------------------------------------------------- the one thing


def _check_probability(p: float) -> None:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _warn_of_dimensions(name: str, input: Tensor, spatial: int) -> None:
    least, most = spatial + 1, spatial + 2
    if input.ndim not in (least, most):
        warnings.warn(
            f"{name}: Received a {input.ndim}-D input to {name}, which is deprecated and will result in an error in a "
            f"future release. To retain the behavior and silence this warning, please use dropout instead. Note that "
            f"{name} exists to provide channel-wise dropout on inputs with {spatial} spatial dimensions, a channel "
            f"dimension, and an optional batch dimension (i.e. {least}D or {most}D inputs).",
            stacklevel=3,
        )


def mask(input: Tensor, p: float, channel: int | None = None) -> Tensor:
    """1 where something is kept, 0 where it is dropped: elements, or all that is behind the dimension `channel`."""
    if input._array.dtype.kind in "biuc":
        kind = dtypes.legacy_name(input)
        raise RuntimeError(f"result type Float can't be cast to the desired output type {kind}")
    with no_grad():
        like = input
        if channel is not None:
            if input.ndim < 2:
                raise RuntimeError("Feature dropout requires at least 2 dimensions in the input")
            kept = input.shape[: channel + 1]
            like = create.empty((*kept, *[1] * (input.ndim - len(kept))), dtype=input.dtype, device=input.device)
        return sample.bernoulli_mask(like, 1 - p)


def scaled(input: Tensor, p: float, training: bool, inplace: bool, channel: int | None = None) -> Tensor:
    """The input times the mask, over 1 - p."""
    if not training or p == 0 or input.numel() == 0:
        return input
    factor = create.zeros((), dtype=input.dtype, device=input.device) if p == 1 else mask(input, p, channel) / (1 - p)
    return (_mul_ if inplace else mul)(input, factor)


def _self_normalizing(input: Tensor, p: float, training: bool, inplace: bool, channel: int | None = None) -> Tensor:
    """a (input, or SELU's limit where it is dropped) + b: a and b of the paper's equations 8 and 9."""
    if not training or p == 0 or input.numel() == 0:
        return input
    if p == 1:
        return (_mul_ if inplace else mul)(input, create.zeros((), dtype=input.dtype, device=input.device))
    limit = 1.7580993408473766  # alpha times scale of SELU
    scale = 1 / math.sqrt((limit * limit * p + 1) * (1 - p))
    kept = mask(input, p, channel)
    shift = (kept - 1) * (limit * scale) + limit * scale * p
    return (_add_ if inplace else add)((_mul_ if inplace else mul)(input, kept * scale), shift)
