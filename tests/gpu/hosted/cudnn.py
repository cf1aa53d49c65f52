"""cuDNN's classic interface on the CPU, as far as `rushlight/arrays/gpu/cudnn.py` calls it: what it is told of shapes
is believed, what pointers point to is read, and NumPy computes.
"""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np

from rushlight.arrays import numpy as cpu
from rushlight.arrays.windows import Spacing

_DTYPES = {0: np.dtype(np.float32), 1: np.dtype(np.float64), 2: np.dtype(np.float16), 9: np.dtype(ml_dtypes.bfloat16)}
_MATH = {"f": (0, 3), "d": (0,), "e": (1,), "E": (1,)}  # what may be asked for, by the characters of operands


@dataclass
class Library:
    """`calls` are the names of the functions that were called; those in `refused` fail.

    Attributes:
        has_nhwc: whether it takes images whose channels come last.
        failing: algorithms that are offered, and fail.
        math, algorithm, is_last: what the last convolution was computed with.
    """

    refused: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    has_nhwc: bool = True
    failing: set[int] = field(default_factory=set)
    math: int = -1
    algorithm: int = -1
    is_last: bool = False

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
            return method(*fixed, *args) or 0

        return call

    def _create(self, out: Any) -> None:
        out._obj.value = next(self._numbers)
        self._known[out._obj.value] = {}

    def _setstream(self, handle: Any, stream: Any) -> None:
        assert handle.value in self._known

    def _settensornddescriptor(self, it: Any, dtype: int, ndim: int, shape: Any, strides: Any) -> None:
        assert ndim == len(shape) == len(strides) >= 4
        for order in ((*range(ndim),), (0, *range(2, ndim), 1)):
            if list(strides) == [int(np.prod([shape[a] for a in order[order.index(i) + 1 :]])) for i in range(ndim)]:
                break
        else:
            raise AssertionError(f"strides {list(strides)} of the shape {list(shape)}")
        self._known[it.value].update(dtype=_DTYPES[dtype], shape=tuple(shape), order=order)

    def _setfilternddescriptor(self, it: Any, dtype: int, layout: int, ndim: int, shape: Any) -> None:
        assert layout in (0, 1) and ndim == len(shape)
        order = (0, *range(2, ndim), 1) if layout else (*range(ndim),)
        self._known[it.value].update(dtype=_DTYPES[dtype], shape=tuple(shape), order=order)

    def _setconvolutionnddescriptor(
        self, it: Any, num_axes: int, padding: Any, stride: Any, dilation: Any, mode: int, dtype: int
    ) -> None:
        assert mode == 1 and len(padding) == len(stride) == len(dilation) == num_axes
        self._known[it.value].update(spacing=(tuple(stride), tuple(padding), tuple(dilation)), dtype=_DTYPES[dtype])

    def _setconvolutiongroupcount(self, it: Any, groups: int) -> None:
        self._known[it.value]["groups"] = groups

    def _setconvolutionmathtype(self, it: Any, math: int) -> None:
        self._known[it.value]["math"] = math

    def _getconvolutionalgorithm_v7(
        self, way: str, handle: Any, first: Any, second: Any, spread: Any, result: Any, asked: int, count: Any, found: Any,
    ) -> int:  # fmt: skip
        """The quickest is not deterministic, the next has no room, the others are."""
        x, y, out, how = (self._known[it.value] for it in (first, second, result, spread))
        assert x["dtype"] == y["dtype"] == out["dtype"] and how["math"] in _MATH[x["dtype"].char]
        assert how["dtype"] == (np.float64 if x["dtype"] == np.float64 else np.float32)
        if not self.has_nhwc and x["order"][1] != 1:
            return 3000
        offers = ((64, 0), (1 << 40, 1), (64, 1), (0, 1))
        count._obj.value = len(offers)
        for i, (memory, determinism) in enumerate(offers):
            found[i].algorithm, found[i].memory, found[i].determinism = i, memory, determinism
            found[i].math = how["math"]
        return 0

    def _findconvolutionalgorithmex(
        self, way: str, handle: Any, first: Any, first_data: Any, second: Any, second_data: Any, spread: Any, result: Any,
        result_data: Any, asked: int, count: Any, found: Any, space: Any, size: Any,
    ) -> int:  # fmt: skip
        assert space.value and size.value
        return self._getconvolutionalgorithm_v7(way, handle, first, second, spread, result, asked, count, found)

    def _read(self, it: Any, pointer: Any) -> np.ndarray:
        """What a pointer points to, as a view in the order of the dimensions."""
        known = self._known[it.value]
        assert pointer.value % 16 == 0
        size, order = int(np.prod(known["shape"])), known["order"]
        memory = np.ctypeslib.as_array(
            ctypes.cast(pointer, ctypes.POINTER(ctypes.c_uint8)), (size * known["dtype"].itemsize,)
        )
        return (
            memory.view(known["dtype"]).reshape([known["shape"][axis] for axis in order]).transpose(np.argsort(order))
        )

    def _convolution(
        self, way: str, handle: Any, one: Any, first: Any, first_data: Any, second: Any, second_data: Any, spread: Any,
        algorithm: int, space: Any, size: Any, zero: Any, result: Any, result_data: Any,
    ) -> int:  # fmt: skip
        if algorithm in self.failing:
            return 5000
        known, order = self._known[spread.value], self._known[first.value]["order"]
        x, y, out = self._read(first, first_data), self._read(second, second_data), self._read(result, result_data)
        spacing = Spacing(*known["spacing"], known["groups"])
        assert algorithm != 1 and size.value == (0 if algorithm == 3 else 64)
        assert one._obj.value == 1 and zero._obj.value == 0 and type(one._obj) is type(zero._obj)
        assert type(one._obj) is (ctypes.c_double if x.dtype == np.float64 else ctypes.c_float)
        assert all(self._known[it.value]["order"] == order for it in (second, result))
        self.math, self.algorithm, self.is_last = known["math"], algorithm, order[1] != 1
        x, y = (np.ascontiguousarray(a.astype(known["dtype"])) for a in (x, y))
        if way == "Forward":
            out[...] = cpu.convolve(x, y, spacing=spacing)
        elif way == "BackwardData":
            out[...] = cpu.convolve_transposed(y, x, size=out.shape[2:], spacing=spacing)
        else:
            out[...] = cpu.convolve_weight(y, x, kernel=out.shape[2:], spacing=spacing)
        return 0
