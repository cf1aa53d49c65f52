"""numpy.fft on tensors: PyTorch's functions with `n` or `s`, `axis` or `axes`, `norm` in NumPy's places."""

from __future__ import annotations

from typing import Any

import rushlight as torch
from rushlight.interop.arguments import store, tensor_of
from rushlight.interop.numpy_functions.table import implements


def _add_transforms() -> None:
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft"):

        @implements(f"fft.{name}")
        def along_one(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None, *, name: str = name) -> Any:  # fmt: skip
            return store(getattr(torch.fft, name)(tensor_of(a), n, axis, norm), out)

    for name in ("fft2", "ifft2", "rfft2", "irfft2"):

        @implements(f"fft.{name}")
        def along_two(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None, *, name: str = name) -> Any:  # fmt: skip
            return store(getattr(torch.fft, name)(tensor_of(a), s, axes, norm), out)

    for name in ("fftn", "ifftn", "rfftn", "irfftn"):

        @implements(f"fft.{name}")
        def along_many(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None, *, name: str = name) -> Any:  # fmt: skip
            return store(getattr(torch.fft, name)(tensor_of(a), s, axes, norm), out)

    for name in ("fftshift", "ifftshift"):

        @implements(f"fft.{name}")
        def shifted(x: Any, axes: Any = None, *, name: str = name) -> Any:
            return getattr(torch.fft, name)(tensor_of(x), axes)


_add_transforms()
