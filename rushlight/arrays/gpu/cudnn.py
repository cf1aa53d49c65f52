"""Convolutions by cuDNN, where its library is installed (`pip install nvidia-cudnn-cu13`, or the system's).

cuDNN's three functions take the same arguments, two operands and a result, so one table (`OPERANDS`) serves a
convolution and both its derivatives. What they need to know of shapes is made once for each (`_Plan`). Half precision
is multiplied as it is and summed in float32. Images whose channels are neighbours in memory (channels_last) stay so,
and so does the result: tensor cores are quickest on these.

`torch.backends.cudnn` says whether algorithms may use TensorFloat-32 for float32, must give the same numbers at every
run (`deterministic`), are timed (`benchmark`) or chosen by cuDNN's expectation, or not used at all.

cuDNN 9 calls these functions its legacy interface: deprecated, in its headers and library. What it leaves out: the
interface of graphs, by which a bias or an activation could be computed in the same kernel.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import math
import threading
from ctypes import byref, c_double, c_float, c_int, c_size_t, c_void_p
from pathlib import Path
from typing import Any, NamedTuple

import cupy
from cupy import ndarray

from rushlight.arrays.windows import Sizes, Spacing

# cuDNN's numbers for what it is told: cudnn_graph_v9.h, cudnn_ops_v9.h.
DTYPES = {"f": 0, "d": 1, "e": 2, "E": 9}  # by NumPy's characters, of which "E" is bfloat16's
CROSS_CORRELATION, NCHW, NHWC = 1, 0, 1
DEFAULT_MATH, TENSOR_OP_MATH, FMA_MATH = 0, 1, 3  # the first may use TensorFloat-32
DETERMINISTIC = 1

OPERANDS = {
    "Forward": ("x", "w", "y"),
    "BackwardData": ("w", "y", "x"),
    "BackwardFilter": ("x", "y", "w"),
}  # two operands, and the result
IMAGES = "xy"
MOST_WORKSPACE = 1 << 30  # bytes
MOST_ELEMENTS = 2**31 - 1
ALIGNMENT = 16  # bytes: what kernels for tensor cores load at once
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


def _tensor(shape: Sizes, dtype: int, is_last: bool) -> c_void_p:
    found, strides = _descriptor("Tensor"), [0] * len(shape)
    step = 1
    for axis in reversed(_order(len(shape), is_last)):
        strides[axis], step = step, step * shape[axis]
    _call("SetTensorNdDescriptor", found, dtype, len(shape), _integers(shape), _integers(strides))
    return found


def _filter(shape: Sizes, dtype: int, is_last: bool) -> c_void_p:
    found = _descriptor("Filter")
    _call("SetFilterNdDescriptor", found, dtype, NHWC if is_last else NCHW, len(shape), _integers(shape))
    return found


class _Problem(NamedTuple):
    """What an algorithm is chosen for.

    Attributes:
        direction: a key of `OPERANDS`.
        shapes: of its operands, in their order.
        char: NumPy's character of their dtype.
        is_last: whether channels come last in memory.
        tf32: whether float32 may be multiplied as TensorFloat-32.
    """

    direction: str
    shapes: tuple[Sizes, ...]
    char: str
    spacing: Spacing
    is_last: bool
    tf32: bool
    is_timed: bool
    is_deterministic: bool


class _Plan:
    """Descriptors and an algorithm for one problem, on one device, in one thread. Kept as long as the process."""

    def __init__(self, problem: _Problem):
        self.problem, dtype = problem, DTYPES[problem.char]
        spacing, is_double = problem.spacing, problem.char == "d"
        self.descriptors = [
            (_tensor if name in IMAGES else _filter)(_spread(shape), dtype, problem.is_last)
            for name, shape in zip(OPERANDS[problem.direction], problem.shapes, strict=True)
        ]
        self.spread = _descriptor("Convolution")
        padding, stride, dilation = (
            _integers(_spread_axes(values, filling))
            for values, filling in ((spacing.padding, 0), (spacing.stride, 1), (spacing.dilation, 1))
        )
        num_axes, sums = max(len(spacing.stride), 2), DTYPES["d" if is_double else "f"]
        _call("SetConvolutionNdDescriptor", self.spread, num_axes, padding, stride, dilation, CROSS_CORRELATION, sums)
        _call("SetConvolutionGroupCount", self.spread, spacing.groups)
        exact = DEFAULT_MATH if is_double or problem.tf32 else FMA_MATH
        self.math = TENSOR_OP_MATH if problem.char in "eE" else exact
        _call("SetConvolutionMathType", self.spread, self.math)
        number = c_double if is_double else c_float
        self.one, self.zero = number(1), number(0)
        self.choices: list[_Performance] | None = None

    def _choose(self, arrays: tuple[ndarray, ...]) -> list[_Performance]:
        """Algorithms that will do, the quickest first: as tried on these arrays, or as cuDNN expects.

        Raises:
            CudnnError: there is none.
        """
        direction, (first, second, result) = self.problem.direction, self.descriptors
        count, found = c_int(), (_Performance * _TRIED)()
        if self.problem.is_timed:
            x, y, out = map(_pointer, arrays)
            space = _room(MOST_WORKSPACE)
            _call(
                f"FindConvolution{direction}AlgorithmEx", _handle(), first, x, second, y, self.spread, result, out,
                _TRIED, byref(count), found, _pointer(space), c_size_t(space.size),
            )  # fmt: skip
        else:
            _call(
                f"GetConvolution{direction}Algorithm_v7", _handle(), first, second, self.spread, result, _TRIED,
                byref(count), found,
            )  # fmt: skip
        choices = [
            one
            for one in found[: count.value]
            if one.status == 0
            and one.memory <= MOST_WORKSPACE
            and (one.determinism == DETERMINISTIC or not self.problem.is_deterministic)
        ]
        if not choices:
            raise CudnnError(f"no algorithm for {self.problem}")
        return choices

    def _take(self, choices: list[_Performance]) -> None:
        """Makes the first of some algorithms the one that runs."""
        self.choices = choices
        if self.math != FMA_MATH:  # which is not to be given up for a quicker one
            _call("SetConvolutionMathType", self.spread, choices[0].math)

    def run(self, arrays: tuple[ndarray, ...]) -> None:
        """Writes the result into the last of the arrays."""
        if self.choices is None:
            self._take(self._choose(arrays))
        while True:
            try:
                return self._compute(arrays)
            except RuntimeError:  # it cannot, or there is no memory for it
                if len(self.choices) == 1:
                    raise
                self._take(self.choices[1:])

    def _compute(self, arrays: tuple[ndarray, ...]) -> None:
        best, (first, second, result), (x, y, out) = self.choices[0], self.descriptors, map(_pointer, arrays)
        space = cupy.empty(best.memory, "b")
        _call(
            f"Convolution{self.problem.direction}", _handle(), byref(self.one), first, x, second, y, self.spread,
            best.algorithm, _pointer(space), c_size_t(best.memory), byref(self.zero), result, out,
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


# ---------------------------------------------------------------- where elements lie


def _order(ndim: int, is_last: bool) -> Sizes:
    """The axes from the outermost in memory to the innermost."""
    return (0, *range(2, ndim), 1) if is_last else tuple(range(ndim))


def _is_channels_last(x: ndarray) -> bool:
    return not x.flags.c_contiguous and x.transpose(_order(x.ndim, True)).flags.c_contiguous


def _laid_out(x: ndarray, is_last: bool) -> ndarray:
    """The elements in the order that cuDNN is told of, at an address that its kernels take."""
    found = cupy.ascontiguousarray(x.transpose(_order(x.ndim, is_last)))
    return found.copy() if found.data.ptr % ALIGNMENT else found


def _made(shape: Sizes, dtype: Any, is_last: bool) -> ndarray:
    """An array of a shape in this order, whose elements are not set."""
    if not is_last:
        return cupy.empty(shape, dtype)
    return cupy.empty((shape[0], *shape[2:], shape[1]), dtype).transpose(0, -1, *range(1, len(shape) - 1))


# ---------------------------------------------------------------- for `windows.py`

_plans: dict[tuple, _Plan | None] = {}


def convolution(direction: str, first: ndarray, second: ndarray, shape: Sizes, spacing: Spacing) -> ndarray | None:
    """A convolution or one of its derivatives; None if cuDNN is not there, is switched off, or cannot.

    Args:
        direction: a key of `OPERANDS`, which says what `first`, `second` and the result are.
        shape: of the result.
    """
    from rushlight import settings
    from rushlight.backends import cudnn as switches

    if not switches.enabled or library() is None or first.dtype.char not in DTYPES or len(spacing.stride) > 3:
        return None
    shapes = dict(zip(OPERANDS[direction], (first.shape, second.shape, shape), strict=True))
    places = spacing.places(shapes["x"][2:], shapes["w"][2:])
    if shapes["y"][2:] != places or max(map(math.prod, shapes.values())) > MOST_ELEMENTS:
        return None
    images = [x for name, x in zip(OPERANDS[direction], (first, second), strict=False) if name in IMAGES]
    problem = _Problem(
        direction, tuple(shapes.values()), first.dtype.char, spacing, any(map(_is_channels_last, images)),
        bool(switches.allow_tf32), bool(switches.benchmark),
        bool(switches.deterministic or settings.are_deterministic_algorithms_enabled()),
    )  # fmt: skip
    found = _solved(problem, first, second)
    if found is None and problem.is_last:
        return _solved(problem._replace(is_last=False), first, second)
    return found


def _solved(problem: _Problem, first: ndarray, second: ndarray) -> ndarray | None:
    key = (problem, cupy.cuda.runtime.getDevice(), threading.get_ident())
    try:
        plan = _plans[key] if key in _plans else _plans.setdefault(key, _Plan(problem))
        if plan is None:
            return None
        out = _made(problem.shapes[2], first.dtype, problem.is_last)
        operands = [_laid_out(x, problem.is_last) for x in (first, second)]
        plan.run((*operands, out))
    except CudnnError:
        _plans[key] = None  # it is not asked again
        return None
    return out
