"""Windows of signal processing: `torch.signal.windows`, and the older `torch.hann_window` and its like.

A window weighs M samples. A symmetric one reaches from edge to edge; a periodic one (`sym=False`) is the symmetric
one of M + 1 samples without the last, as spectra want it.
"""

# ruff: noqa: N803  (M, as PyTorch and SciPy name it)

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from rushlight import dtypes, layouts
from rushlight.api.ranges import linspace
from rushlight.api.special import i0
from rushlight.ops import create, elementwise as ops
from rushlight.tensor import Tensor


def _checked(name: str, M: int, dtype: Any, layout: Any) -> Any:
    """The dtype to compute in.

    Raises:
        ValueError: a negative length, a sparse layout, a dtype that is not float32 or float64.
    """
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not layouts.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    dtype = dtype or dtypes.get_default_dtype()
    if dtype not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {dtype}")
    return dtype


def _positions(M: int, start: float, step: float, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """start, start + step, ...: M numbers."""
    end = start + (M - 1) * step
    return linspace(start, end, M, dtype=dtype, device=device, requires_grad=requires_grad)


def _intervals(M: int, sym: bool) -> int:
    """How many steps lead from one edge of the window to the other."""
    return M - 1 if sym or M == 1 else M


def general_cosine(
    M: int, *, a: Iterable[float], sym: bool = True, dtype: Any = None, layout: Any = layouts.strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The sum of (-1)^i a_i cos(2 pi i n / (M - 1)) over the coefficients `a`.

    Raises:
        TypeError: `a` is no sequence.
        ValueError: `a` is empty.
    """
    dtype = _checked("general_cosine", M, dtype, layout)
    if M == 1:
        return create.ones(1, dtype=dtype, device=device, requires_grad=requires_grad)
    if not isinstance(a, (list, tuple)):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    if M == 0:
        return create.zeros(0, dtype=dtype, device=device, requires_grad=requires_grad)
    k = _positions(M, -math.pi, 2 * math.pi / _intervals(M, sym), dtype, device, requires_grad)
    window = ops.mul(ops.cos(ops.mul(k, 0.0)), float(a[0]))
    for i, coefficient in enumerate(a[1:], 1):  # from -pi on, the signs are in the cosines
        window = ops.add(window, ops.mul(ops.cos(ops.mul(k, float(i))), float(coefficient)))
    return window


def general_hamming(M: int, *, alpha: float = 0.54, sym: bool = True, **options: Any) -> Tensor:
    """alpha - (1 - alpha) cos(2 pi n / (M - 1))."""
    return general_cosine(M, a=[alpha, 1 - alpha], sym=sym, **options)


def hamming(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Hamming's window: `general_hamming` with alpha = 0.54."""
    return general_hamming(M, sym=sym, **options)


def hann(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Hann's window: `general_hamming` with alpha = 1/2."""
    return general_hamming(M, alpha=0.5, sym=sym, **options)


def blackman(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = layouts.strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Blackman's window, of three cosines."""
    dtype = _checked("blackman", M, dtype, layout)
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, dtype=dtype, device=device, requires_grad=requires_grad)


def nuttall(M: int, *, sym: bool = True, **options: Any) -> Tensor:
    """Nuttall's minimal four-term window (1981)."""
    return general_cosine(M, a=[0.3635819, 0.4891775, 0.1365995, 0.0106411], sym=sym, **options)


def bartlett(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = layouts.strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """The triangle with 0 at the edges."""
    dtype = _checked("bartlett", M, dtype, layout)
    if M < 2:
        return create.ones(M, dtype=dtype, device=device, requires_grad=requires_grad)
    k = _positions(M, -1.0, 2 / _intervals(M, sym), dtype, device, requires_grad)
    return ops.sub(1.0, ops.abs(k))


def cosine(
    M: int, *, sym: bool = True, dtype: Any = None, layout: Any = layouts.strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Half a period of a sine, sin(pi (n + 1/2) / M)."""
    dtype = _checked("cosine", M, dtype, layout)
    step = math.pi / (_intervals(M, sym) + 1) if M else 0.0
    return ops.sin(_positions(M, step / 2, step, dtype, device, requires_grad))


def exponential(
    M: int, *, center: float | None = None, tau: float = 1.0, sym: bool = True, dtype: Any = None,
    layout: Any = layouts.strided, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """exp(-|n - center| / tau).

    Raises:
        ValueError: tau is not positive, or a symmetric window is given a center.
    """
    dtype = _checked("exponential", M, dtype, layout)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if center is None:
        center = _intervals(M, sym) / 2
    return ops.exp(ops.neg(ops.abs(_positions(M, -center / tau, 1 / tau, dtype, device, requires_grad))))


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: Any = layouts.strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """exp(-(n - center)^2 / (2 std^2)).

    Raises:
        ValueError: std is not positive.
    """
    dtype = _checked("gaussian", M, dtype, layout)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    step = 1 / (std * math.sqrt(2))
    k = _positions(M, -_intervals(M, sym) / 2 * step, step, dtype, device, requires_grad)
    return ops.exp(ops.neg(ops.square(k)))


def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, layout: Any = layouts.strided, device: Any = None,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """I_0(beta sqrt(1 - x^2)) / I_0(beta), with x from -1 to 1.

    Raises:
        ValueError: beta is negative.
    """
    dtype = _checked("kaiser", M, dtype, layout)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M < 2:
        return create.ones(M, dtype=dtype, device=device, requires_grad=requires_grad)
    step = 2 * beta / _intervals(M, sym)
    end = min(beta, -beta + (M - 1) * step)  # not beyond beta, by a rounding error
    k = linspace(-beta, end, M, dtype=dtype, device=device, requires_grad=requires_grad)
    inside = ops.sqrt(ops.sub(beta * beta, ops.square(k)))
    return ops.div(i0(inside), i0(create.tensor(beta, dtype=dtype, device=device)))


# ---------------------------------------------------------------- the older functions


def _old_window(name: str, window: Any, length: int, periodic: bool, dtype: Any, options: dict[str, Any]) -> Tensor:
    """A window in any floating-point dtype, computed in float32 for those of half precision."""
    if length < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={length}")
    dtype = dtype or dtypes.get_default_dtype()
    if not dtype.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {dtype}")
    layout, requires_grad = options.pop("layout", None), options.pop("requires_grad", False)
    if layout not in (None, layouts.strided):
        raise RuntimeError(f"{name} is not implemented for sparse types, got: {layout}")
    if length == 0:
        result = create.zeros(0, dtype=dtype, device=options.get("device"))
    else:
        wide = dtypes.float64 if dtype is dtypes.float64 else dtypes.float32
        result = window(length, sym=not periodic, dtype=wide, device=options.get("device")).to(dtype)
    return result.requires_grad_() if requires_grad else result


def hann_window(window_length: int, periodic: bool = True, *, dtype: Any = None, **options: Any) -> Tensor:
    """Hann's window, periodic by default."""
    return _old_window("hann_window", hann, window_length, periodic, dtype, options)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46, *, dtype: Any = None,
    **options: Any,
) -> Tensor:  # fmt: skip
    """alpha - beta cos(2 pi n / N), periodic by default."""

    def window(M: int, **kwargs: Any) -> Tensor:
        return general_cosine(M, a=[alpha, beta], **kwargs)

    return _old_window("hamming_window", window, window_length, periodic, dtype, options)


def bartlett_window(window_length: int, periodic: bool = True, *, dtype: Any = None, **options: Any) -> Tensor:
    """The triangle, periodic by default."""
    return _old_window("bartlett_window", bartlett, window_length, periodic, dtype, options)


def blackman_window(window_length: int, periodic: bool = True, *, dtype: Any = None, **options: Any) -> Tensor:
    """Blackman's window, periodic by default."""
    return _old_window("blackman_window", blackman, window_length, periodic, dtype, options)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, *, dtype: Any = None, **options: Any
) -> Tensor:
    """Kaiser's window, periodic by default."""

    def window(M: int, **kwargs: Any) -> Tensor:
        return kaiser(M, beta=beta, **kwargs)

    return _old_window("kaiser_window", window, window_length, periodic, dtype, options)
