"""Convolutions by cuDNN, where its library is installed (`pip install nvidia-cudnn-cu13`, or the system's).

cuDNN's three functions take the same arguments, two operands and a result, so one table (`OPERANDS`) serves a
convolution and both its derivatives. What they need to know of shapes is made once for each (`_Plan`). Algorithms are
those that give the same numbers at every run; `torch.backends.cudnn` says whether they may use TensorFloat-32, are to
be timed (`benchmark`), or not be used at all.

What it leaves out: images in other orders than (batch, channels, *size), and half precision, which operations compute
in float32.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
import threading
from ctypes import byref, c_double, c_float, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any

import cupy
from cupy import ndarray

from rushlight.arrays.windows import Sizes, Spacing

# cuDNN's numbers for what it is told: cudnn_graph_v9.h, cudnn_ops_v9.h.
DTYPES = {"f": 0, "d": 1}
CROSS_CORRELATION, NCHW = 1, 0
DEFAULT_MATH, FMA_MATH = 0, 3  # the first may use TensorFloat-32
DETERMINISTIC = 1

OPERANDS = {
    "Forward": ("x", "w", "y"),
    "BackwardData": ("w", "y", "x"),
    "BackwardFilter": ("x", "y", "w"),
}  # two operands, and the result
MOST_WORKSPACE = 1 << 30  # bytes
MOST_ELEMENTS = 2**31 - 1
_TRIED = 10  # algorithms that are asked for


class CudnnError(RuntimeError):
    """cuDNN could not do it."""


class _Performance(ctypes.Structure):
    """What cuDNN says of an algorithm (`cudnnConvolutionFwdAlgoPerf_t` and its two likes)."""

    _fields_ = [
        ("algorithm", c_int), ("status", c_int), ("time", c_float), ("memory", c_size_t), ("determinism", c_int),
        ("math", c_int), ("reserved", c_int * 3),
    ]  # fmt: skip


def _paths() -> list[str]:
    """Where the library may be: in NVIDIA's package, or where the system looks."""
    found = []
    if importlib.util.find_spec("nvidia") is not None:
        spec = importlib.util.find_spec("nvidia.cudnn")
        for folder in (spec.submodule_search_locations or []) if spec else []:
            found += [str(path) for path in Path(folder, "lib").glob("libcudnn.so.*")]
    return [*found, "libcudnn.so.9"]


@functools.cache
def library() -> Any:
    """The library, or None."""
    for path in _paths():
        try:
            found = ctypes.CDLL(path)
            found.cudnnGetErrorString.restype = ctypes.c_char_p
            found.cudnnGetVersion.restype = c_size_t
            return found
        except (OSError, AttributeError):
            continue
    return None


def _call(name: str, *args: Any) -> None:
    """A function of cuDNN's; numbers that are no ctypes are taken for C's `int`."""
    status = getattr(library(), f"cudnn{name}")(*args)
    if status:
        raise CudnnError(f"cudnn{name}: {library().cudnnGetErrorString(status).decode()}")


class _Thread(threading.local):
    def __init__(self) -> None:
        self.handles: dict[int, c_void_p] = {}


_thread = _Thread()


def _handle() -> c_void_p:
    """This thread's handle for the current device, on the current stream."""
    device = cupy.cuda.runtime.getDevice()
    if device not in _thread.handles:
        handle = c_void_p()
        _call("Create", byref(handle))
        _thread.handles[device] = handle
    _call("SetStream", _thread.handles[device], c_void_p(cupy.cuda.get_current_stream().ptr))
    return _thread.handles[device]


# ---------------------------------------------------------------- what cuDNN is told of shapes


def _integers(values: Any) -> Any:
    return (c_int * len(values))(*values)


def _descriptor(kind: str) -> c_void_p:
    found = c_void_p()
    _call(f"Create{kind}Descriptor", byref(found))
    return found


def _tensor(shape: Sizes, dtype: int) -> c_void_p:
    found = _descriptor("Tensor")
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    _call("SetTensorNdDescriptor", found, dtype, len(shape), _integers(shape), _integers(strides))
    return found


def _filter(shape: Sizes, dtype: int) -> c_void_p:
    found = _descriptor("Filter")
    _call("SetFilterNdDescriptor", found, dtype, NCHW, len(shape), _integers(shape))
    return found


class _Plan:
    """Descriptors and an algorithm for one function on one set of shapes, on one device. Kept as long as the process.

    Args:
        direction: a key of `OPERANDS`.
        shapes: of x, w and y.
        tf32: whether float32 may be multiplied as TensorFloat-32.
    """

    def __init__(self, direction: str, shapes: dict[str, Sizes], char: str, spacing: Spacing, tf32: bool):
        dtype, self.direction = DTYPES[char], direction
        made = {"x": _tensor, "w": _filter, "y": _tensor}
        self.descriptors = {name: made[name](_spread(shape), dtype) for name, shape in shapes.items()}
        self.spread = _descriptor("Convolution")
        padding, stride, dilation = (
            _integers(_spread_axes(values, filling))
            for values, filling in ((spacing.padding, 0), (spacing.stride, 1), (spacing.dilation, 1))
        )
        num_axes = max(len(spacing.stride), 2)
        _call("SetConvolutionNdDescriptor", self.spread, num_axes, padding, stride, dilation, CROSS_CORRELATION, dtype)
        _call("SetConvolutionGroupCount", self.spread, spacing.groups)
        _call("SetConvolutionMathType", self.spread, DEFAULT_MATH if tf32 or char == "d" else FMA_MATH)
        number = c_double if char == "d" else c_float
        self.one, self.zero = number(1), number(0)
        self.best: _Performance | None = None

    def choose(self, arrays: dict[str, ndarray], is_timed: bool) -> _Performance:
        """The quickest algorithm that is deterministic and has room: as tried on these arrays, or as cuDNN expects.

        Raises:
            CudnnError: there is none.
        """
        first, second, result = OPERANDS[self.direction]
        given = self.descriptors
        count, found = c_int(), (_Performance * _TRIED)()
        if is_timed:
            space = _room(MOST_WORKSPACE)
            _call(
                f"FindConvolution{self.direction}AlgorithmEx", _handle(), given[first], _pointer(arrays[first]),
                given[second], _pointer(arrays[second]), self.spread, given[result], _pointer(arrays[result]), _TRIED,
                byref(count), found, _pointer(space), c_size_t(space.size),
            )  # fmt: skip
        else:
            _call(
                f"GetConvolution{self.direction}Algorithm_v7", _handle(), given[first], given[second], self.spread,
                given[result], _TRIED, byref(count), found,
            )  # fmt: skip
        for one in found[: count.value]:
            if one.status == 0 and one.determinism == DETERMINISTIC and one.memory <= MOST_WORKSPACE:
                _call("SetConvolutionMathType", self.spread, one.math)
                return one
        raise CudnnError(f"no deterministic algorithm for {self.direction}")

    def run(self, arrays: dict[str, ndarray], is_timed: bool) -> None:
        """Writes the result, which is the last of the operands in `OPERANDS`."""
        if self.best is None:
            self.best = self.choose(arrays, is_timed)
        first, second, result = OPERANDS[self.direction]
        given = self.descriptors
        space = cupy.empty(self.best.memory, "b")
        _call(
            f"Convolution{self.direction}", _handle(), byref(self.one), given[first], _pointer(arrays[first]),
            given[second], _pointer(arrays[second]), self.spread, self.best.algorithm, _pointer(space), c_size_t(self.best.memory),
            byref(self.zero), given[result], _pointer(arrays[result]),
        )  # fmt: skip


def _room(size: int) -> ndarray:
    """So many bytes to try algorithms in; half as many, and so on, where there are not as many."""
    while True:
        try:
            return cupy.empty(size, "b")
        except (MemoryError, RuntimeError):
            if not size:
                raise
            size //= 2


def _pointer(x: ndarray) -> c_void_p:
    return c_void_p(x.data.ptr)


def _spread(shape: Sizes) -> Sizes:
    """(batch, channels, *size) with two axes at least: cuDNN has no lines."""
    return shape if len(shape) > 3 else (*shape[:2], 1, *shape[2:])


def _spread_axes(values: Sizes, filling: int) -> Sizes:
    return values if len(values) > 1 else (filling, *values)


_plans: dict[tuple, _Plan | None] = {}


# ---------------------------------------------------------------- for `windows.py`


def convolution(direction: str, first: ndarray, second: ndarray, shape: Sizes, spacing: Spacing) -> ndarray | None:
    """A convolution or one of its derivatives; None if cuDNN is not there, is switched off, or cannot.

    Args:
        direction: a key of `OPERANDS`, which says what `first`, `second` and the result are.
        shape: of the result.
    """
    from rushlight.backends import cudnn as switches

    if not switches.enabled or library() is None or first.dtype.char not in DTYPES or len(spacing.stride) > 3:
        return None
    names = OPERANDS[direction]
    shapes = dict(zip(names, (first.shape, second.shape, shape), strict=True))
    kernel, size = shapes["w"][2:], shapes["x"][2:]
    if shapes["y"][2:] != spacing.places(size, kernel) or max(map(math.prod, shapes.values())) > MOST_ELEMENTS:
        return None
    operands = cupy.ascontiguousarray(first), cupy.ascontiguousarray(second), cupy.empty(shape, first.dtype)
    arrays = dict(zip(names, operands, strict=True))
    tf32, is_timed = bool(switches.allow_tf32), bool(switches.benchmark)
    device = cupy.cuda.runtime.getDevice()
    key = (direction, *shapes.values(), first.dtype.char, spacing, tf32, is_timed, device, threading.get_ident())
    try:
        if key not in _plans:
            _plans[key] = _Plan(direction, shapes, first.dtype.char, spacing, tf32)
        plan = _plans[key]
        if plan is None:
            return None
        plan.run(arrays, is_timed)
    except CudnnError:
        _plans[key] = None  # it is not asked again
        return None
    return operands[2]
