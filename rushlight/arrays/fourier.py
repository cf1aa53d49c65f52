"""Fourier transforms on NumPy arrays, and the frames of a signal.

Part of the waist: names here are listed in `protocol.HOST`. SciPy's pocketfft takes half to a seventh of the time of
NumPy's, which goes axis by axis. NumPy's functions on CuPy arrays are CuPy's (NEP 18), so this serves these too. `norm`
says which direction is divided by the number of points: "backward", "forward", or both by its root ("ortho").
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy import ndarray

_MANY = 2**16  # elements from which on threads pay: 1024 x 1024 complex128 takes 15 ms on two cores, 30 on one
_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _workers(x: ndarray) -> int:
    return _cores if x.size >= _MANY else 1


def _unless_empty(transform: Any, x: ndarray, shape: tuple[int, ...], dtype: np.dtype, **attrs: Any) -> ndarray:
    """CuPy's transforms refuse arrays of no elements, and may give an array in another order."""
    return np.ascontiguousarray(transform(x, **attrs), like=x) if x.size else np.zeros(shape, dtype, like=x)


def fft(x: ndarray, *, axes: tuple[int, ...], inverse: bool, norm: str) -> ndarray:
    """The discrete Fourier transform over some axes, or its inverse. Real arrays give complex ones."""
    if not axes:
        return x.astype(np.result_type(x.dtype, np.complex64))
    if type(x) is not ndarray:
        transform = np.fft.ifftn if inverse else np.fft.fftn
        return _unless_empty(transform, x, x.shape, np.result_type(x.dtype, np.complex64), axes=axes, norm=norm)
    import scipy.fft  # a third of a second to import: loaded when first needed

    transform = scipy.fft.ifftn if inverse else scipy.fft.fftn
    return transform(x, axes=axes, norm=norm, workers=_workers(x))


def rfft(x: ndarray, *, axis: int, norm: str) -> ndarray:
    """The first half of a real array's transform over one axis, 0 to n // 2; the rest is its conjugate mirrored."""
    if type(x) is not ndarray:
        shape = (*x.shape[:axis], x.shape[axis] // 2 + 1, *x.shape[axis:][1:])
        return _unless_empty(np.fft.rfft, x, shape, np.result_type(x.dtype, np.complex64), axis=axis, norm=norm)
    import scipy.fft

    return scipy.fft.rfft(x, axis=axis, norm=norm, workers=_workers(x))


def irfft(x: ndarray, *, axis: int, n: int, norm: str) -> ndarray:
    """The real array of n elements along an axis of which `x` is the half spectrum, in the inverse direction."""
    if type(x) is not ndarray:
        return _unless_empty(
            np.fft.irfft, x, (*x.shape[:axis], n, *x.shape[axis:][1:]), x.real.dtype, n=n, axis=axis, norm=norm
        )
    import scipy.fft

    return scipy.fft.irfft(x, n, axis=axis, norm=norm, workers=_workers(x))


def frames(x: ndarray, *, size: int, hop: int) -> ndarray:
    """Overlapping pieces of the last axis, `size` long and `hop` apart: (..., length) to (..., pieces, size)."""
    return np.lib.stride_tricks.sliding_window_view(x, size, -1)[..., ::hop, :]


def overlap_add(x: ndarray, *, hop: int, length: int) -> ndarray:
    """The sum of pieces `hop` apart at their places: (..., pieces, size) to (..., length). The transpose of `frames`."""
    *batch, num_pieces, size = x.shape
    num_blocks = -(-size // hop)  # of `hop` elements in a piece: those of one number do not overlap
    out = np.zeros((*batch, max(num_pieces + num_blocks, -(-length // hop)), hop), x.dtype, like=x)
    for block in range(num_blocks):
        part = x[..., block * hop : (block + 1) * hop]
        out[..., block : block + num_pieces, : part.shape[-1]] += part
    return out.reshape(*batch, out.shape[-2] * hop)[..., :length]
