"""Rows of the table: Fourier transforms and windowed frames."""

from __future__ import annotations

from table import A, S, row

_REAL = ("float32", "float64", "int64", "bool", "float16")
_HALF_SPECTRUM = [S(A(5)), S(A(2, 5)), S(A(3, 4), n=7), S(A(3, 6), 4, 0, "ortho"), S(A(4, 2, layout="transposed"), 5, 1, "forward")]  # fmt: skip
_SEVERAL = [S(A(4, 3)), S(A(2, 3, 4), (3, 5)), S(A(2, 4, 3, layout="strided"), dim=(0, 2), norm="ortho"), S(A(3, 4), (-1, 6), (1, 0), "forward")]  # fmt: skip

for _name in ("fft", "ifft", "rfft", "ihfft", "irfft", "hfft"):
    _op = {"ihfft": "rfft", "hfft": "irfft"}.get(_name, _name.removeprefix("i") if _name == "ifft" else _name)
    row(f"fft.{_name}", _HALF_SPECTRUM, ops=(_op,), dtypes=_REAL, method=False)  # fmt: skip
for _name in ("fftn", "ifftn", "rfftn", "ihfftn", "irfftn", "hfftn"):
    row(f"fft.{_name}", _SEVERAL, ops=("fft",), dtypes=_REAL, method=False)
for _name in ("fft2", "irfft2"):
    row(f"fft.{_name}", [S(A(2, 3, 4)), S(A(3, 4), (2, 5), norm="forward")], ops=("fft",), dtypes=_REAL, method=False)
for _name in ("fftshift", "ifftshift"):
    row(f"fft.{_name}", [S(A(2, 5)), S(A(4, 3), 1), S(A(4, 3), (0, 1))], ops=(), method=False)

_COMPLEX = {"call": lambda t, x, y, *rest: t.fft.fft(t.complex(x, y), *rest)}
row("fft.fft of complex numbers", [S(A(5), A(5)), S(A(2, 3), A(2, 3), 4, 0)], ops=("fft",), dtypes=("float32", "float64"), method=False, **_COMPLEX)  # fmt: skip

row("stft", [
    S(A(12), 4, return_complex=True, pad_mode="constant"), S(A(2, 12), 6, 2, 4, return_complex=False, center=False),
    S(A(12), 4, 3, window=A(4), return_complex=True, center=False, onesided=False, normalized=True),
], ops=("frames",), dtypes=("float32", "float64"))  # fmt: skip
row("istft", [
    S(A(3, 6), A(3, 6), 4, 2), S(A(2, 3, 6), A(2, 3, 6), 5, 2, 4, A(4, low=0.5, high=1)),
    S(A(3, 6), A(3, 6), 4, 1, center=False, normalized=True, length=8), S(A(3, 6), A(3, 6), 4, 2, length=20),
], ops=("overlap_add",), call=lambda t, x, y, *args, **kwargs: t.istft(t.complex(x, y), *args, **kwargs), dtypes=("float32", "float64"), method=False)  # fmt: skip
