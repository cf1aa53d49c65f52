"""cuDNN's classic interface on the CPU, as far as `rushlight/arrays/gpu/cudnn.py` calls it: what it is told of shapes
is believed, what pointers point to is read, and NumPy computes.
"""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight.arrays import numpy as cpu
from rushlight.arrays.windows import Spacing

_DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64)}


@dataclass
class Library:
    """`calls` are the names of the functions that were called; those in `refused` fail."""

    refused: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    math: int = -1

    def __post_init__(self) -> None:
        self._numbers, self._known = itertools.count(1), {}  # type: ignore[var-annotated]

    def cudnnGetErrorString(self, status: int) -> bytes:
        return b"CUDNN_STATUS_NOT_SUPPORTED"

    def cudnnGetVersion(self) -> int:
        return 92801

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("cudnn"):
            raise AttributeError(name)
        name = name.removeprefix("cudnn")
        for way in ("Forward", "BackwardData", "BackwardFilter"):
            if way in name:
                method, fixed = getattr(self, "_" + name.replace(way, "").lower()), (way,)
                break
        else:
            method, fixed = (self._create, ()) if name.startswith("Create") else (getattr(self, f"_{name}".lower()), ())

        def call(*args: Any) -> int:
            self.calls.append(name)
            if name in self.refused:
                return 3000
            method(*fixed, *args)
            return 0

        return call

    def _create(self, out: Any) -> None:
        out._obj.value = next(self._numbers)
        self._known[out._obj.value] = {}

    def _setstream(self, handle: Any, stream: Any) -> None:
        assert handle.value in self._known

    def _settensornddescriptor(self, it: Any, dtype: int, ndim: int, shape: Any, strides: Any) -> None:
        assert ndim == len(shape) == len(strides) >= 4
        assert list(strides) == [int(np.prod(shape[i + 1 :])) for i in range(ndim)]
        self._known[it.value].update(dtype=_DTYPES[dtype], shape=tuple(shape))

    def _setfilternddescriptor(self, it: Any, dtype: int, layout: int, ndim: int, shape: Any) -> None:
        assert layout == 0 and ndim == len(shape)
        self._known[it.value].update(dtype=_DTYPES[dtype], shape=tuple(shape))

    def _setconvolutionnddescriptor(
        self, it: Any, num_axes: int, padding: Any, stride: Any, dilation: Any, mode: int, dtype: int
    ) -> None:
        assert mode == 1 and len(padding) == len(stride) == len(dilation) == num_axes
        self._known[it.value].update(spacing=(tuple(stride), tuple(padding), tuple(dilation)), dtype=_DTYPES[dtype])

    def _setconvolutiongroupcount(self, it: Any, groups: int) -> None:
        self._known[it.value]["groups"] = groups

    def _setconvolutionmathtype(self, it: Any, math: int) -> None:
        self.math = math

    def _getconvolutionalgorithm_v7(
        self,
        way: str,
        handle: Any,
        first: Any,
        second: Any,
        spread: Any,
        result: Any,
        asked: int,
        count: Any,
        found: Any,
    ) -> None:
        """The quickest is not deterministic, the next has no room, the third is the one to take."""
        count._obj.value = 3
        for i, (memory, determinism) in enumerate(((0, 0), (1 << 40, 1), (64, 1))):
            found[i].algorithm, found[i].memory, found[i].determinism, found[i].math = i, memory, determinism, self.math

    def _findconvolutionalgorithmex(
        self, way: str, handle: Any, first: Any, first_data: Any, second: Any, second_data: Any, spread: Any, result: Any,
        result_data: Any, asked: int, count: Any, found: Any, space: Any, size: Any,
    ) -> None:  # fmt: skip
        assert space.value and size.value
        self._getconvolutionalgorithm_v7(way, handle, first, second, spread, result, asked, count, found)

    def _read(self, it: Any, pointer: Any) -> np.ndarray:
        known = self._known[it.value]
        number = ctypes.c_float if known["dtype"].char == "f" else ctypes.c_double
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(number)), known["shape"])

    def _convolution(
        self, way: str, handle: Any, one: Any, first: Any, first_data: Any, second: Any, second_data: Any, spread: Any,
        algorithm: int, space: Any, size: Any, zero: Any, result: Any, result_data: Any,
    ) -> None:  # fmt: skip
        x, y, out = self._read(first, first_data), self._read(second, second_data), self._read(result, result_data)
        known = self._known[spread.value]
        spacing = Spacing(*known["spacing"], known["groups"])
        assert algorithm == 2 and size.value == 64 and one._obj.value == 1 and zero._obj.value == 0
        assert x.dtype == y.dtype == out.dtype == known["dtype"]
        if way == "Forward":
            out[...] = cpu.convolve(x, y, spacing=spacing)
        elif way == "BackwardData":
            out[...] = cpu.convolve_transposed(y, x, size=out.shape[2:], spacing=spacing)
        else:
            out[...] = cpu.convolve_weight(y, x, kernel=out.shape[2:], spacing=spacing)
