"""Fourier transforms, and the frames of a signal.

All are linear, so a derivative is the operation's adjoint. That of a transform is the transform in the other direction, divided
by the number of points in the direction that the given one is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.define import op

_OTHER_NORM = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


@op(waist="fft", wirtinger=True, linear=True)
def fft(xp, x, *, axes, inverse, norm):
    """The discrete Fourier transform over some axes, or its inverse, of complex or real numbers."""
    return xp.fft(x, axes=axes, inverse=inverse, norm=norm)


def _fft_adjoint(xp: Any, grad: Any, x_dtype: Any, axes: Any, inverse: bool, norm: str) -> Any:
    result = xp.fft(grad, axes=axes, inverse=not inverse, norm=_OTHER_NORM[norm])
    return result if np.dtype(x_dtype).kind == "c" else xp.real(result)


fft.derivative(x=_fft_adjoint)


def _each_end_once(n: int, axis: int, ndim: int, end: float, middle: float) -> Any:
    """Factors for a half spectrum of n points: `end` where an element is its own mirror image, else `middle`."""
    factors = np.full(n // 2 + 1, middle, np.float32)
    factors[0] = end
    if n % 2 == 0:
        factors[-1] = end
    return factors.reshape([-1 if i == axis else 1 for i in range(ndim)])


@op(waist="rfft", wirtinger=True, linear=True)
def rfft(xp, x, *, axis, norm):
    """The half spectrum of real numbers over one axis."""
    return xp.rfft(x, axis=axis, norm=norm)


def _rfft_adjoint(xp: Any, grad: Any, x_shape: Any, axis: int, norm: str) -> Any:
    """`irfft` counts all but the ends twice, once for the half that is not there."""
    factors = _each_end_once(x_shape[axis], axis, len(x_shape), 1.0, 0.5)
    return xp.irfft(xp.multiply(grad, factors), axis=axis, n=x_shape[axis], norm=_OTHER_NORM[norm])


rfft.derivative(x=_rfft_adjoint)


@op(waist="irfft", wirtinger=True, linear=True)
def irfft(xp, x, *, axis, n, norm):
    """Real numbers of their half spectrum over one axis."""
    return xp.irfft(x, axis=axis, n=n, norm=norm)


irfft.derivative(
    x=lambda xp, grad, x_shape, axis, n, norm: xp.multiply(
        xp.rfft(grad, axis=axis, norm=_OTHER_NORM[norm]), _each_end_once(n, axis, len(x_shape), 1.0, 2.0)
    )
)


# ---------------------------------------------------------------- frames


@op(waist="frames", wide=False, linear=True)
def frames(xp, x, *, size, hop):
    """Overlapping pieces of the last axis: (..., length) to (..., pieces, size)."""
    return xp.frames(x, size=size, hop=hop)


frames.derivative(x=lambda xp, grad, x_shape, hop: xp.overlap_add(grad, hop=hop, length=x_shape[-1]))


@op(waist="overlap_add", linear=True)
def overlap_add(xp, x, *, hop, length):
    """The sum of pieces at their places: (..., pieces, size) to (..., length)."""
    return xp.overlap_add(x, hop=hop, length=length)


overlap_add.derivative(x=lambda xp, grad, x_shape, hop: xp.frames(grad, size=x_shape[-1], hop=hop))
