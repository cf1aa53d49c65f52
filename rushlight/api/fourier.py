"""Fourier transforms in PyTorch's spelling: `rushlight.fft`.

All are made of three operations: the transform of complex or real numbers over any axes, the half spectrum of real
numbers over one axis, and the way back from it. The Hermitian forms are these of the conjugate, in the other direction.

Arguments, throughout: `n` or `s` is how many points to transform (the input is cut, or filled up with zeros); `norm`
divides by the number of points in the "backward" direction, in the "forward" one, or by its root in both ("ortho").
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.ranges import arange
from rushlight.api.rearranging import roll
from rushlight.ops import create, fourier as ops
from rushlight.ops.autocast import with_autocast
from rushlight.ops.complex import conj
from rushlight.ops.copies import cast
from rushlight.ops.views import slice_, slice_scatter
from rushlight.tensor import Tensor, _checked_dim

_OTHER_WAY = {"backward": "forward", "forward": "backward", "ortho": "ortho"}


# ---------------------------------------------------------------- arguments


def _promoted(input: Tensor, name: str, is_complex: bool = False) -> Tensor:
    """The input in a dtype that has a transform: integers become floats, floats complex numbers if need be."""
    if not isinstance(input, Tensor):
        raise TypeError(f"fft_{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    dtype = input.dtype if input.dtype.kind in "fc" else dtypes.get_default_dtype()
    if dtype.itemsize == 2:
        raise RuntimeError(f"Unsupported dtype {dtypes.legacy_name(dtype)}")
    dtype = dtype.to_complex() if is_complex else dtype
    return input if dtype is input.dtype else cast(input, dtype=dtype.numpy)


def _require_real(input: Tensor, message: str) -> None:
    if isinstance(input, Tensor) and input.dtype.is_complex:
        raise RuntimeError(f"{message} {dtypes.legacy_name(input)}")


def _norm(norm: str | None) -> str:
    norm = norm or "backward"
    if norm not in _OTHER_WAY:
        raise RuntimeError(f'Invalid normalization mode: "{norm}"')
    return norm


def _points(n: Any, size: int, name: str) -> int:
    """How many points to transform.

    Raises:
        RuntimeError: none. TypeError: no integer.
    """
    try:
        n = size if n is None else operator.index(n)
    except TypeError:
        raise TypeError(f"fft_{name}(): argument 'n' (position 2) must be int, not {type(n).__name__}") from None
    if n < 1:
        raise RuntimeError(f"Invalid number of data points ({n}) specified")
    return n


def _one(n: Any, name: str) -> tuple[int] | None:
    """`n` as the `s` of one dimension, where -1 has no meaning of its own."""
    return None if n is None else (_points(n, 0, name),)


def _axes(dims: Any, ndim: int) -> tuple[int, ...]:
    for dim in dims:
        if not ndim:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
    return tuple([_checked_dim(dim, ndim) for dim in dims])


def _axes_and_sizes(input: Tensor, s: Any, dim: Any) -> tuple[tuple[int, ...], list[int | None]]:
    """The axes to transform and the points in each, None for what the input has.

    Raises:
        RuntimeError: a dimension twice, more sizes than dimensions. IndexError: a dimension that the input lacks.
    """
    dim, s = (tuple(x) if isinstance(x, Sequence) else x if x is None else (x,) for x in (dim, s))
    if dim is None:
        if s is not None and len(s) > input.ndim:
            raise RuntimeError(f"Got shape with {len(s)} values but input tensor only has {input.ndim} dimensions.")
        axes = tuple(range(input.ndim - (input.ndim if s is None else len(s)), input.ndim))
    else:
        axes = _axes(dim, input.ndim)
        if len(set(axes)) != len(axes):
            raise RuntimeError("FFT dims must be unique")
        if s is not None and len(s) != len(axes):
            raise RuntimeError("When given, dim and shape arguments must have the same length")
    return axes, [None if n == -1 else n for n in s or [None] * len(axes)]


def _fitted(input: Tensor, axes: Sequence[int], sizes: Sequence[int]) -> Tensor:
    """The input cut, or filled up with zeros at the end, to these sizes along the axes."""
    shape = tuple(input.shape)
    target = list(shape)
    for axis, n in zip(axes, sizes, strict=True):
        target[axis] = n
    if tuple(target) == shape:
        return input
    common = tuple([slice(0, min(a, b)) for a, b in zip(shape, target, strict=True)])
    part = slice_(input, index=common)
    if all(a >= b for a, b in zip(shape, target, strict=True)):
        return part
    zeros = create.zeros(target, dtype=input.dtype, device=input.device)
    return slice_scatter(zeros, part, index=common)


# ---------------------------------------------------------------- the two kinds of transform, over any axes


def _transform(input: Tensor, s: Any, dim: Any, norm: str | None, inverse: bool, name: str) -> Tensor:
    """Complex numbers of complex or real ones."""
    input = _promoted(input, name)
    axes, sizes = _axes_and_sizes(input, s, dim)
    points = [_points(n, input.shape[axis], name) for n, axis in zip(sizes, axes, strict=True)]
    return ops.fft(_fitted(input, axes, points), axes=axes, inverse=inverse, norm=_norm(norm))


def _half_spectrum(input: Tensor, s: Any, dim: Any, norm: str | None, name: str) -> Tensor:
    """Of real numbers the half of the spectrum along the last of the dimensions."""
    input = _promoted(input, name)
    axes, sizes = _axes_and_sizes(input, s, dim)
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    norm, points = _norm(norm), [_points(n, input.shape[axis], name) for n, axis in zip(sizes, axes, strict=True)]
    half = ops.rfft(_fitted(input, axes, points), axis=axes[-1], norm=norm)
    return ops.fft(half, axes=axes[:-1], inverse=False, norm=norm) if len(axes) > 1 else half


def _of_half_spectrum(input: Tensor, s: Any, dim: Any, norm: str | None, name: str) -> Tensor:
    """The way back: real numbers."""
    input = _promoted(input, name, is_complex=True)
    axes, sizes = _axes_and_sizes(input, s, dim)
    if not axes:
        raise RuntimeError(f"{name} must transform at least one axis")
    norm, points = _norm(norm), [_points(n, input.shape[axis], name) for n, axis in zip(sizes[:-1], axes, strict=False)]
    last = _points(sizes[-1], 2 * (input.shape[axes[-1]] - 1), name)
    input = _fitted(input, axes, [*points, last // 2 + 1])
    if len(axes) > 1:
        input = ops.fft(input, axes=axes[:-1], inverse=True, norm=norm)
    return ops.irfft(input, axis=axes[-1], n=last, norm=norm)


def _conjugate(input: Tensor) -> Tensor:
    return conj(input) if isinstance(input, Tensor) and input.dtype.is_complex else input


def _other_way(norm: str | None) -> str:
    return _OTHER_WAY[_norm(norm)]


# ---------------------------------------------------------------- one dimension


def fft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The discrete Fourier transform along a dimension.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.fft(torch.tensor([1.0, 2.0, 3.0, 4.0])).real
        tensor([10., -2., -2., -2.])
    """
    return _transform(input, _one(n, "fft"), (dim,), norm, False, "fft")


def ifft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `fft`."""
    return _transform(input, _one(n, "ifft"), (dim,), norm, True, "ifft")


def rfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The first n // 2 + 1 elements of the transform of real numbers; the others are their conjugates mirrored."""
    _require_real(input, "rfft expects a real input tensor, but got")
    return _half_spectrum(input, _one(n, "rfft"), (dim,), norm, "rfft")


def irfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `rfft`: n real numbers, an even number of them by default."""
    return _of_half_spectrum(input, _one(n, "irfft"), (dim,), norm, "irfft")


def hfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The transform, real, of a signal whose second half is its first one's conjugate, mirrored, and is not given."""
    return _of_half_spectrum(_conjugate(input), _one(n, "hfft"), (dim,), _other_way(norm), "hfft")


def ihfft(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None) -> Tensor:
    """The inverse of `hfft`."""
    _require_real(input, "ihfft expects a real input tensor, but got")
    return conj(_half_spectrum(input, _one(n, "ihfft"), (dim,), _other_way(norm), "ihfft"))


# ---------------------------------------------------------------- several dimensions


def fftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The transform over several dimensions: those of `dim`, else the last ones that `s` has sizes for, else all."""
    return _transform(input, s, dim, norm, False, "fftn")


def ifftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `fftn`."""
    return _transform(input, s, dim, norm, True, "ifftn")


def rfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """Of real numbers `fftn`, without the half along the last dimension that follows from the rest."""
    _require_real(input, "rfftn expects a real-valued input tensor, but got")
    return _half_spectrum(input, s, dim, norm, "rfftn")


def irfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `rfftn`."""
    return _of_half_spectrum(input, s, dim, norm, "irfftn")


def hfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The transform, real, of a signal that is its own conjugate mirrored, given by half along the last dimension."""
    return _of_half_spectrum(_conjugate(input), s, dim, _other_way(norm), "hfftn")


def ihfftn(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None) -> Tensor:
    """The inverse of `hfftn`."""
    _require_real(input, "Only supports floating-point dtypes, but found:")
    return conj(_half_spectrum(input, s, dim, _other_way(norm), "ihfftn"))


def fft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`fftn` over two dimensions, the last ones unless given."""
    return fftn(input, s, dim, norm)


def ifft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `fft2`."""
    return ifftn(input, s, dim, norm)


def rfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`rfftn` over two dimensions, the last ones unless given."""
    return rfftn(input, s, dim, norm)


def irfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `rfft2`."""
    return irfftn(input, s, dim, norm)


def hfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """`hfftn` over two dimensions, the last ones unless given."""
    return hfftn(input, s, dim, norm)


def ihfft2(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None) -> Tensor:
    """The inverse of `hfft2`."""
    return ihfftn(input, s, dim, norm)


# ---------------------------------------------------------------- frequencies and their order


def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The frequencies of `fft`'s n results, in cycles per unit of the spacing d: from 0 up, then the negative ones.

    Example:
        >>> import rushlight as torch
        >>> torch.fft.fftfreq(5)
        tensor([ 0.0000,  0.2000,  0.4000, -0.4000, -0.2000])
    """
    positions = arange(n, dtype=_frequency_dtype("fftfreq", n, dtype), device=device)
    ordered = positions - n * (positions >= (n + 1) // 2)
    return (ordered * (1.0 / (n * d) if n * d else float("inf"))).requires_grad_(requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The frequencies of `rfft`'s n // 2 + 1 results."""
    positions = arange(n // 2 + 1, dtype=_frequency_dtype("rfftfreq", n // 2 + 1, dtype), device=device)
    return (positions * (1.0 / (n * d) if n * d else float("inf"))).requires_grad_(requires_grad)


def _frequency_dtype(name: str, count: int, dtype: Any) -> dtypes.dtype:
    if count < 0:
        raise RuntimeError(f"Trying to create tensor with negative dimension {count}: [{count}]")
    found = dtypes.get_default_dtype() if dtype is None else dtypes.from_numpy(dtypes.as_numpy(dtype))
    if found.kind == "c":
        raise dtypes.no_kernel("arange_cpu", found)
    if found.kind != "f":
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    return found


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """Frequency zero in the middle: half of each dimension moved from the end to the start."""
    return _shifted(input, dim, lambda size: size // 2)


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted(input, dim, lambda size: (size + 1) // 2)


def _shifted(input: Tensor, dim: Any, shift: Any) -> Tensor:
    dims = range(input.ndim) if dim is None else dim if isinstance(dim, Sequence) else (dim,)
    axes = _axes(dims, input.ndim)
    if not axes:
        raise RuntimeError("`shifts` required")
    return roll(input, [shift(input.shape[axis]) for axis in axes], axes)


with_autocast(globals())
