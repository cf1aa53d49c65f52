"""Convolution: three operations, each one the derivatives of the others (`rushlight.arrays.windows` says of what)."""

from __future__ import annotations

from typing import Any

from rushlight.arrays import windows
from rushlight.ops.define import op
from rushlight.ops.fused import Fused, native


def _share(run: Any, parts: Any, is_large: bool) -> None:
    try:
        from rushlight.compiler.parallel import share

        share(run, parts, is_large)
    except ImportError:  # there is no compiler, whose library keeps BLAS to one thread
        run(iter(parts))


windows.use(lambda function: Fused(function, num_threads=1), _share, native("convolution_calls", "compute"))


@op(waist="convolve", grad_name="Convolution", factors=("x", "weight"), native_half=True)
def convolve(xp, x, weight, *, spacing):
    return xp.convolve(x, weight, spacing=spacing)


@op(grad_name="Convolution", factors=("x", "weight"), native_half=True)
def convolve_biased(xp, x, weight, bias, *, spacing):
    """A convolution plus a number for each channel."""
    out = xp.convolve(x, weight, spacing=spacing)
    out += xp.reshape(bias, (-1,) + (1,) * len(spacing.stride))  # in its own fresh memory
    return out


@op(waist="convolve_transposed", grad_name="Convolution", factors=("y", "weight"), native_half=True)
def convolve_transposed(xp, y, weight, *, size, spacing):
    return xp.convolve_transposed(y, weight, size=size, spacing=spacing)


@op(waist="convolve_weight", grad_name="ConvolutionBackward", factors=("y", "x"), native_half=True)
def convolve_weight(xp, y, x, *, kernel, spacing):
    return xp.convolve_weight(y, x, kernel=kernel, spacing=spacing)


def _convolved(xp: Any, x: Any, weight: Any, y_shape: tuple[int, ...], spacing: Any) -> Any:
    """The convolution at y's places: there is one more where a transposed convolution made its image longer."""
    out = xp.convolve(x, weight, spacing=spacing)
    if tuple(out.shape[2:]) == tuple(y_shape[2:]):
        return out
    return xp.slice(out, (slice(None), slice(None), *[slice(n) for n in y_shape[2:]]))


def _transposed(xp: Any, grad: Any, weight: Any, x_shape: tuple[int, ...], spacing: Any) -> Any:
    return xp.convolve_transposed(grad, weight, size=tuple(x_shape[2:]), spacing=spacing)


def _for_weight(xp: Any, grad: Any, x: Any, weight_shape: tuple[int, ...], spacing: Any) -> Any:
    return xp.convolve_weight(grad, x, kernel=tuple(weight_shape[2:]), spacing=spacing)


convolve.derivative(x=_transposed, weight=_for_weight)
_channel_sums = Fused(lambda xp, grad: xp.sum(grad, axis=(0, *range(2, len(grad.shape)))))
convolve_biased.derivative(x=_transposed, weight=_for_weight, bias=lambda xp, grad: _channel_sums(xp, grad))
convolve_transposed.derivative(
    y=_convolved,
    weight=lambda xp, grad, y, weight_shape, spacing: _for_weight(xp, y, grad, weight_shape, spacing),
)
convolve_weight.derivative(
    y=lambda xp, grad, x, y_shape, spacing: _convolved(xp, x, grad, y_shape, spacing),
    x=lambda xp, grad, y, x_shape, spacing: _transposed(xp, y, grad, x_shape, spacing),
)


# ---------------------------------------------------------------- the windows themselves


@op(waist="unfold", grad_name="Im2Col", wide=False, linear=True)
def unfold(xp, x, *, kernel, spacing):
    """Every window of (batch, channels, *size) as a column."""
    return xp.unfold(x, kernel=kernel, spacing=spacing)


@op(waist="fold", grad_name="Col2Im", linear=True)
def fold(xp, columns, *, size, kernel, spacing):
    """The images whose pixels are the sums of what the columns say of them."""
    return xp.fold(columns, size=size, kernel=kernel, spacing=spacing)


unfold.derivative(
    x=lambda xp, grad, x_shape, kernel, spacing: xp.fold(grad, size=tuple(x_shape[2:]), kernel=kernel, spacing=spacing)
)
fold.derivative(columns=lambda xp, grad, kernel, spacing: xp.unfold(grad, kernel=kernel, spacing=spacing))
