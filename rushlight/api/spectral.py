"""Short-time Fourier transforms: spectra of overlapping, windowed frames of a signal, and the signal of such spectra."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.cutting import narrow
from rushlight.api.joining import stack
from rushlight.api.views import broadcast_to, reshape, transpose
from rushlight.ops import complex as complex_ops, create, elementwise, fourier as ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.copies import cast
from rushlight.tensor import Tensor


def stft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, pad_mode: str = "reflect", normalized: bool = False, onesided: bool | None = None,
    return_complex: bool | None = None, align_to_window: bool | None = None,
) -> Tensor:  # fmt: skip
    """The spectrum of each frame of a signal: (time,) or (batch, time) to (..., frequency, frame).

    Args:
        n_fft: the points of each transform.
        hop_length: from one frame to the next; default n_fft // 4.
        win_length: of the window, which is centred in the n_fft points; default n_fft.
        window: factors for the elements of a frame; default ones.
        center: whether frame t is centred at t * hop_length, the signal padded with n_fft // 2 on both sides.
        pad_mode: of that padding.
        normalized: divides by the root of n_fft.
        onesided: leaves out the half of the spectrum that follows from the rest; default: where all is real.
        return_complex: False for (..., 2) real numbers.
        align_to_window: without `center`, pads so that the first window, not the first frame, begins with the signal.

    Raises:
        RuntimeError: sizes that do not fit; dtypes that have no transform.
    """
    n_fft, hop_length, win_length = _sizes(n_fft, hop_length, win_length)
    missing = n_fft - win_length
    if center:
        if align_to_window is not None:
            raise RuntimeError("stft align_to_window should only be set when center = false")
        input = _padded(input, n_fft // 2, n_fft // 2, pad_mode)
    elif align_to_window:
        input = _padded(input, missing // 2, missing // 2, "constant")
    is_complex = input.is_complex() or window is not None and window.is_complex()
    _check_return_complex(return_complex, is_complex)
    call = _call_text(
        "stft", input, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window, normalized=normalized,
        onesided=onesided, return_complex=return_complex, align_to_window=align_to_window,
    )  # fmt: skip
    _check_signal(input, n_fft, hop_length, win_length, window, call)
    onesided = not is_complex if onesided is None else onesided
    if is_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")

    pieces = ops.frames(input, size=n_fft, hop=hop_length)  # (..., frame, n_fft)
    if window is not None or missing:
        pieces = pieces * _centred(window, win_length, n_fft, input.dtype, input.device)
    norm = "ortho" if normalized else "backward"
    if onesided:
        spectra = ops.rfft(pieces, axis=pieces.ndim - 1, norm=norm)
    else:
        spectra = ops.fft(pieces, axes=(pieces.ndim - 1,), inverse=False, norm=norm)
    result = transpose(spectra, -1, -2)  # (..., frequency, frame)
    if return_complex or return_complex is None:
        return result
    return stack([complex_ops.real(result), complex_ops.imag(result)], -1)


def istft(
    input: Tensor, n_fft: int, hop_length: int | None = None, win_length: int | None = None, window: Tensor | None = None,
    center: bool = True, normalized: bool = False, onesided: bool | None = None, length: int | None = None,
    return_complex: bool = False,
) -> Tensor:  # fmt: skip
    """The signal whose `stft` with these arguments is nearest to the input (Griffin and Lim 1984, equation 6).

    Args:
        length: of the signal; default: what the frames cover.

    Raises:
        RuntimeError: sizes that do not fit, or a part of the signal that no window covers.
    """
    n_fft, hop_length, win_length = _sizes(n_fft, hop_length, win_length)
    call = _call_text(
        "istft", input, n_fft=n_fft, hop_length=hop_length, win_length=win_length, window=window, center=center,
        normalized=normalized, onesided=onesided, length=length, return_complex=return_complex,
    )  # fmt: skip
    _check_spectra(input, call)
    onesided = input.shape[-2] != n_fft if onesided is None else onesided
    _check_frames(input, n_fft, hop_length, win_length, window, onesided, call)
    if return_complex and onesided:
        raise RuntimeError("Cannot have onesided output if window or input is complex")
    if not return_complex and window is not None and window.is_complex():
        raise RuntimeError("Complex windows are incompatible with return_complex=False")

    spectra, norm = transpose(input, -1, -2), "ortho" if normalized else "backward"  # (..., frame, frequency)
    if return_complex:
        pieces = ops.fft(spectra, axes=(input.ndim - 1,), inverse=True, norm=norm)
    else:
        half = narrow(spectra, -1, 0, n_fft // 2 + 1)
        pieces = ops.irfft(half, axis=input.ndim - 1, n=n_fft, norm=norm)
    factors = _centred(window, win_length, n_fft, pieces.dtype.to_real(), input.device)
    num_frames = input.shape[-1]
    covered = n_fft + hop_length * (num_frames - 1)
    signal = ops.overlap_add(pieces * factors, hop=hop_length, length=covered)
    squares = broadcast_to(elementwise.square(factors), (num_frames, n_fft))
    envelope = ops.overlap_add(squares, hop=hop_length, length=covered)

    start = n_fft // 2 if center else 0
    stop = start + length if length is not None else covered - start
    size = max(min(stop, covered) - start, 0)
    signal, envelope = narrow(signal, -1, start, size), narrow(envelope, -1, start, size)
    _check_envelope(envelope, call)
    signal = signal / envelope
    if stop > covered:
        warnings.warn(
            "The length of signal is shorter than the length parameter. Result is being padded with zeros in the tail. "
            "Please check your center and hop_length settings.",
            stacklevel=2,
        )
        signal = _padded(signal, 0, stop - covered, "constant")
    return signal


# ---------------------------------------------------------------- frames and windows


def _sizes(n_fft: int, hop_length: int | None, win_length: int | None) -> tuple[int, int, int]:
    return n_fft, n_fft // 4 if hop_length is None else hop_length, n_fft if win_length is None else win_length


def _padded(signal: Tensor, before: int, after: int, mode: str) -> Tensor:
    from rushlight.nn.functional import pad

    batch = reshape(signal, (1,) * (3 - signal.ndim) + tuple(signal.shape)) if signal.ndim < 3 else signal
    padded = pad(batch, (before, after), mode)
    return reshape(padded, (*signal.shape[:-1], padded.shape[-1]))


def _centred(window: Tensor | None, win_length: int, n_fft: int, dtype: dtypes.dtype, device: Any) -> Tensor:
    """The window in the middle of n_fft elements, zeros beside it."""
    window = create.ones(win_length, dtype=dtype, device=device) if window is None else window
    before = (n_fft - win_length) // 2
    return window if win_length == n_fft else _padded(window, before, n_fft - win_length - before, "constant")


# ---------------------------------------------------------------- errors


def _call_text(name: str, input: Tensor, **arguments: Any) -> str:
    """The call as PyTorch's errors quote it."""

    def text(value: Any) -> str:
        if isinstance(value, Tensor):
            return f"torch.{dtypes.legacy_name(value)}Tensor{{{list(value.shape)}}}"
        return str(int(value)) if isinstance(value, bool) else str(value)

    kind = dtypes.legacy_name(input)
    quoted = [f"torch.{kind}Tensor{list(input.shape)}", *[f"{key}={text(value)}" for key, value in arguments.items()]]
    return f"{name}({', '.join(quoted)})"


def _check_return_complex(return_complex: bool | None, is_complex: bool) -> None:
    if return_complex is None and not is_complex:
        raise RuntimeError(
            "stft requires the return_complex parameter be given for real inputs, and will further require that "
            "return_complex=True in a future PyTorch release."
        )


def _check_signal(input: Tensor, n_fft: int, hop: int, win_length: int, window: Tensor | None, call: str) -> None:
    complaint = None
    if input.dtype.kind not in "fc":
        complaint = "expected a tensor of floating point or complex values"
    elif not 1 <= input.ndim <= 2:
        complaint = "expected a 1D or 2D tensor"
    elif not 0 < n_fft <= input.shape[-1]:
        complaint = f"expected 0 < n_fft < {input.shape[-1]}, but got n_fft={n_fft}"
    elif hop <= 0:
        complaint = f"expected hop_length > 0, but got hop_length={hop}"
    elif not 0 < win_length <= n_fft:
        complaint = f"expected 0 < win_length <= n_fft, but got win_length={win_length}"
    elif window is not None and tuple(window.shape) != (win_length,):
        size = list(window.shape)
        complaint = (
            f"expected a 1D window tensor of size equal to win_length={win_length}, but got window with size {size}"
        )
    if complaint:
        raise RuntimeError(f"{call} : {complaint}")
    if input.dtype.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {dtypes.legacy_name(input)}")


def _check_spectra(input: Tensor, call: str) -> None:
    if not input.is_complex():
        raise RuntimeError(
            "istft requires a complex-valued input tensor matching the output from stft with return_complex=True."
        )
    if not input.numel():
        raise RuntimeError(f"{call} : input tensor cannot be empty.")
    if not 2 <= input.ndim <= 3:
        raise RuntimeError(f"{call} : expected a tensor with 3 or 4 dimensions, but got {input.ndim + 1}")


def _check_frames(
    input: Tensor, n_fft: int, hop: int, win_length: int, window: Tensor | None, onesided: bool, call: str
) -> None:
    found, complaint = input.shape[-2], None
    expected, text, flag = (n_fft // 2 + 1, "n_fft / 2 + 1", "True") if onesided else (n_fft, "n_fft", "False")
    if found != expected:
        complaint = (
            "expected the frequency dimension (3rd to the last) of the input tensor to match "
            f"{text} when onesided={flag}, but got {found}"
        )
    elif not 0 < hop <= win_length:
        complaint = "expected 0 < hop_length <= win_length"
    elif not 0 < win_length <= n_fft:
        complaint = "expected 0 < win_length <= n_fft"
    elif window is not None and tuple(window.shape) != (win_length,):
        complaint = "Invalid window shape. window has to be 1D and length of `win_length`"
    if complaint:
        raise RuntimeError(f"{call} : {complaint}")


def _check_envelope(envelope: Tensor, call: str) -> None:
    """Raises where no window covers the signal, as far as there are values to look at."""
    array = envelope._array
    if not envelope.numel():
        raise RuntimeError(
            "min(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
            "'dim' argument."
        )
    if isinstance(array, np.ndarray) and np.abs(array).min() <= 1e-11:
        raise RuntimeError(f"{call} window overlap add min: 1")


with_autocast(globals())
