"""CuPy's arrays on the CPU: NumPy's inside, as hard to mix with NumPy's as CuPy's are on a GPU.

What CuPy refuses is refused here: NumPy arrays as operands, turning into a NumPy array without `.get()`, dtypes that its
kernels do not have (read from the tables of the real CuPy), arguments that its functions do not take (bound to the real
signatures), operands on another device than the current one. What it does otherwise than NumPy is done so: results are
arrays, never scalars; indices beyond the end wrap around.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any

import cupy as real
import numpy as np
from gpu.simulated.cuda import Device, alloc, current_device

_nvrtc = real.cuda.nvrtc
_nvrtc.getVersion()  # loads the library, which takes the real CuPy
DTYPES = "?bBhHiIlLqQefdFD"


class ndarray:
    """An array on one of the simulated devices, whose memory is taken from the device's while it or a view of it lives."""

    __slots__ = ("_host", "_device", "_base", "_memory")
    __array_priority__ = 100

    def __init__(self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"):
        self._fill(np.empty(shape, dtype, order=order))

    def _fill(self, host: np.ndarray, base: Any = None) -> None:
        if host.dtype.char not in DTYPES and host.dtype.name != "bfloat16":
            raise ValueError(f"Unsupported dtype {host.dtype}")
        self._host, self._device, self._base = host, current_device(), base
        self._memory = alloc(host.nbytes) if base is None else None

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct a NumPy array explicitly."
        )

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        if out is not None:
            out[...] = self._host
            return out
        return self._host.copy(order)

    def set(self, arr: np.ndarray, stream: Any = None) -> None:
        self._host[...] = arr

    def item(self, *args: Any) -> Any:
        return self._host.item(*args)

    def tolist(self) -> Any:
        return self._host.tolist()

    @property
    def device(self) -> Device:
        return Device(self._device)

    @property
    def base(self) -> Any:
        return self._base

    @property
    def data(self) -> Any:
        return _Pointer(self._host.__array_interface__["data"][0], self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**self._host.__array_interface__, "version": 3}

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        return self._host.__dlpack__(max_version=max_version, copy=copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._device

    @property
    def flags(self) -> Any:
        return _Flags(self._host.flags)

    @property
    def shape(self) -> tuple[int, ...]:
        return self._host.shape

    @shape.setter
    def shape(self, shape: Any) -> None:
        self._host.shape = shape

    @property
    def T(self) -> ndarray:
        return _view(self._host.T, self)

    @property
    def real(self) -> ndarray:
        return _view(self._host.real, self) if self._host.dtype.kind == "c" else self

    @real.setter
    def real(self, value: Any) -> None:
        self._host.real = _inside(value)

    @property
    def imag(self) -> ndarray:
        return _view(self._host.imag, self)

    @imag.setter
    def imag(self, value: Any) -> None:
        self._host.imag = _inside(value)

    def __getitem__(self, index: Any) -> ndarray:
        found = self._host[_index(self._host.shape, index)]
        if isinstance(found, np.ndarray) and found.base is not None and np.may_share_memory(found, self._host):
            return _view(found, self)
        return new(found)

    def __setitem__(self, index: Any, value: Any) -> None:
        _check_devices((self, value))
        self._host[_index(self._host.shape, index)] = _inside(value)

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self._host)

    def __int__(self) -> int:
        return int(self._host)

    def __float__(self) -> float:
        return float(self._host)

    def __complex__(self) -> complex:
        return complex(self._host)

    def __index__(self) -> int:
        return self._host.__index__()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(self._host)

    def astype(
        self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True
    ) -> ndarray:
        _check_devices((self,))
        with np.errstate(all="ignore"):
            changed = self._host.astype(dtype, order=order, copy=True)
        return self if not copy and self._host.dtype == np.dtype(dtype) else new(changed)

    def copy(self, order: str = "C") -> ndarray:
        return new(self._host.copy(order))

    def view(self, dtype: Any = None, array_class: Any = None) -> ndarray:
        return _view(self._host.view() if dtype is None else self._host.view(dtype), self)

    def reshape(self, *shape: Any, order: str = "C") -> ndarray:
        out = self._host.reshape(*shape, order=order)
        return _view(out, self) if np.may_share_memory(out, self._host) or not out.size else new(out)

    def transpose(self, *axes: Any) -> ndarray:
        return _view(self._host.transpose(*axes), self)

    def scatter_add(self, slices: Any, value: Any) -> None:
        _scatter(np.add, "scatter_add", "ilLQefdFD", self, slices, value)

    def scatter_max(self, slices: Any, value: Any) -> None:
        _scatter(np.maximum, "scatter_max", "iIlLqQefd", self, slices, value)

    def scatter_min(self, slices: Any, value: Any) -> None:
        _scatter(np.minimum, "scatter_min", "iIlLqQefd", self, slices, value)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or not hasattr(real, ufunc.__name__):
            return NotImplemented
        if isinstance(kwargs.get("out"), tuple):
            (kwargs["out"],) = kwargs["out"]
        return getattr(sys.modules["cupy"], ufunc.__name__)(*inputs, **kwargs)

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """CuPy's function of the same name and module."""
        try:
            module = functools.reduce(getattr, function.__module__.split(".")[1:], sys.modules["cupy"])
            found = getattr(module, function.__name__)
        except AttributeError:
            return NotImplemented
        return found(*args, **kwargs)


class _Pointer:
    """`cupy.cuda.MemoryPointer`, as far as it is read."""

    def __init__(self, ptr: int, owner: Any):
        self.ptr, self.mem, self.device_id = ptr, owner, owner._device


class _Flags:
    """The three flags that CuPy has: its arrays can always be written to."""

    def __init__(self, flags: Any):
        self.c_contiguous, self.f_contiguous = flags.c_contiguous, flags.f_contiguous
        self.owndata = flags.owndata

    def __getitem__(self, name: str) -> bool:
        return getattr(self, name.lower())


def new(host: Any) -> ndarray:
    """An array of its own, on the current device."""
    out = object.__new__(ndarray)
    out._fill(np.asarray(host))
    return out


def _view(host: np.ndarray, owner: ndarray) -> ndarray:
    out = object.__new__(ndarray)
    out._fill(host, owner if owner._base is None else owner._base)
    out._device = owner._device
    return out


def _inside(value: Any) -> Any:
    """What an operand is on the CPU; NumPy arrays are refused as CuPy refuses them."""
    if isinstance(value, ndarray):
        return value._host
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    if isinstance(value, (tuple, list)):
        return type(value)([_inside(x) for x in value])
    return value


def _outside(value: Any) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        return new(value)
    if isinstance(value, tuple):
        return tuple(map(_outside, value))  # also NumPy's named ones: CuPy's are plain
    return list(map(_outside, value)) if type(value) is list else value


def _check_devices(operands: Any) -> None:
    for x in operands:
        if isinstance(x, ndarray) and x._device != current_device():
            raise ValueError(f"Array device must be same as the current device: array device = {x._device}")
        if type(x) in (tuple, list):
            _check_devices(x)


def _index(shape: tuple[int, ...], index: Any) -> Any:
    """An index on the CPU: integer arrays wrap around, as they do in CuPy's kernels."""
    items = index if isinstance(index, tuple) else (index,)
    taken = sum(_axes_of(item) for item in items)
    out, axis = [], 0
    for item in items:
        if item is Ellipsis:
            axis += len(shape) - taken
        elif isinstance(item, ndarray) and item._host.dtype.kind in "iu" and axis < len(shape):
            out.append(item._host % max(shape[axis], 1))
            axis += 1
            continue
        else:
            axis += _axes_of(item)
        out.append(_inside(item))
    return tuple(out)


def _axes_of(item: Any) -> int:
    if item is None or item is Ellipsis or isinstance(item, bool):
        return 0
    return item._host.ndim if isinstance(item, ndarray) and item._host.dtype == np.bool_ else 1


def _scatter(ufunc: Any, name: str, dtypes: str, target: ndarray, slices: Any, value: Any) -> None:
    if target._host.dtype.char not in dtypes or target._host.dtype.char in "lq" and name == "scatter_add":
        raise TypeError(f"cupyx.{name} does not support {target._host.dtype}")
    _check_devices((target, value))
    ufunc.at(target._host, _index(target._host.shape, slices), _inside(value))


# ---------------------------------------------------------------- ufuncs and functions


class ufunc:
    """One of CuPy's ufuncs, for the dtypes that the real one has kernels for."""

    def __init__(self, theirs: Any, ours: Any):
        self.__name__, self.function = ours.__name__, ours
        self.nin, self.types = theirs.nin, theirs.types

    def __call__(self, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        operands, outs = args[: self.nin], args[self.nin :]
        out = outs[0] if outs else out
        _check_devices((*operands, out))
        inside = [_inside(x) for x in operands]
        self._check_dtypes(inside)
        with np.errstate(all="ignore"):
            if out is None:
                return _outside(self.function(*inside, **kwargs))
            self.function(*inside, out=out._host, casting="same_kind", **kwargs)
            return out

    def _check_dtypes(self, operands: list[Any]) -> None:
        chars = [x.dtype.char for x in operands if isinstance(x, np.ndarray) and x.dtype.name != "bfloat16"]
        least = np.result_type(*[np.dtype(c) for c in chars]) if chars else None
        if least is not None and not any(
            all(c != "E" and np.can_cast(least, c) for c in types.split("->")[0]) for types in self.types
        ):
            raise TypeError(f"Wrong type ({least}) of arguments for cupy_{self.__name__}")

    def _method(self, name: str) -> Callable[..., Any]:
        method = getattr(self.function, name)

        def call(x: ndarray, *args: Any, **kwargs: Any) -> Any:
            _check_devices((x, *args))
            with np.errstate(all="ignore"):
                return _outside(method(_inside(x), *map(_inside, args), **kwargs))

        return call

    def reduce(self, x: ndarray, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if self.__name__ not in ("add", "multiply"):
            raise NotImplementedError(f"{self.__name__}.reduce is not supported")
        return self._method("reduce")(x, axis=axis, dtype=dtype, keepdims=keepdims)


_UFUNCS: dict[str, ufunc] = {}


def ufunc_named(name: str) -> ufunc:
    if name not in _UFUNCS:
        _UFUNCS[name] = ufunc(getattr(real, name), getattr(np, name))
    return _UFUNCS[name]


def function_like(theirs: Any, ours: Any) -> Callable[..., Any]:
    """`ours`, a function on NumPy arrays, on these arrays, with the arguments that CuPy's own takes."""
    signature = inspect.signature(theirs)

    def call(*args: Any, **kwargs: Any) -> Any:
        signature.bind(*args, **kwargs)
        _check_devices((*args, *kwargs.values()))
        with np.errstate(all="ignore"):
            return _outside(ours(*map(_inside, args), **{key: _inside(value) for key, value in kwargs.items()}))

    call.__name__ = getattr(theirs, "__name__", "call")
    return call


def asarray(
    a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False, **_: Any
) -> ndarray:
    """To the current device."""
    if hasattr(a, "__cuda_array_interface__") and not isinstance(a, ndarray):
        interface = dict(a.__cuda_array_interface__)
        host = np.asarray(type("_Memory", (), {"__array_interface__": {**interface, "version": 3}, "owner": a})())
        return _view(host, new(()))
    if isinstance(a, ndarray):
        if a._device == current_device() and copy is not True and (dtype is None or a._host.dtype == np.dtype(dtype)):
            return a
        return new(np.array(a._host, dtype, copy=True, order=order or "K"))
    return new(np.array(a, dtype, copy=True, order=order or "K"))


def array(a: Any, dtype: Any = None, copy: bool = True, order: str = "K", *args: Any, **kwargs: Any) -> ndarray:
    return asarray(a, dtype, order, copy=copy)


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(order=order, out=out) if isinstance(a, ndarray) else np.asarray(a)


def ascontiguousarray(a: Any, dtype: Any = None) -> ndarray:
    return a if a._host.flags.c_contiguous and dtype is None else new(np.ascontiguousarray(a._host, dtype))


def broadcast_to(array: ndarray, shape: Any) -> ndarray:
    host = np.broadcast_to(array._host, shape)
    return _view(np.lib.stride_tricks.as_strided(host, host.shape, host.strides, writeable=False), array)


def as_strided(x: ndarray, shape: Any = None, strides: Any = None) -> ndarray:
    """CuPy's counts strides in bytes, as NumPy's does; its views can be written to."""
    return _view(np.lib.stride_tricks.as_strided(x._host, shape, strides, writeable=x._host.flags.writeable), x)


def from_dlpack(array: Any, *, device: Any = None, copy: bool | None = None) -> ndarray:
    """Of another library's array on a GPU: here one whose capsule says that it is on the CPU."""
    out = new(())
    out._fill(np.asarray(_Writable(np.from_dlpack(_Exporter(array.__dlpack__())))))
    out._device = array.__dlpack_device__()[1]
    return out


class _Exporter:
    """What NumPy asks for a capsule."""

    def __init__(self, capsule: Any):
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class _Writable:
    """Memory that NumPy takes for read-only, since older capsules do not say that it is not."""

    def __init__(self, host: np.ndarray):
        self.owner, interface = host, host.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def may_share_memory(a: ndarray, b: ndarray, max_work: Any = None) -> bool:
    return np.may_share_memory(a._host, b._host)


class RawKernel:
    """A kernel in CUDA C++: NVRTC compiles it for two kinds of GPU, g++ for the CPU, which runs it (`gpu.emulator`)."""

    def __init__(self, code: str, name: str, options: tuple[str, ...] = ()):
        self.code, self.name = code, name
        for architecture in ("sm_80", "sm_90"):
            program = _nvrtc.createProgram(code, "kernel.cu", [], [])
            try:
                _nvrtc.compileProgram(program, [f"--gpu-architecture={architecture}", *options])
            finally:
                _nvrtc.destroyProgram(program)

    def __call__(self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple, *, shared_mem: int = 0) -> None:
        from gpu import emulator

        _check_devices(args)
        if not all(isinstance(x, ndarray) and x._host.flags.c_contiguous or isinstance(x, np.generic) for x in args):
            raise TypeError("a kernel takes arrays in order and numbers of NumPy, whose sizes it knows")
        emulator.load(self.code).launch(self.name, grid, block, shared_mem, [_inside(x) for x in args])


def size_of(shape: Any) -> int:
    return math.prod(shape)


def _or_by_other(name: str, x: ndarray, y: Any) -> Any:
    """An operator's result; of an operand that knows no ufuncs, its own, as CuPy has it."""
    return NotImplemented if getattr(y, "__array_ufunc__", y) is None else ufunc_named(name)(x, y)


def _delegate() -> None:
    """Methods and operators that are NumPy's on the arrays inside."""
    for name in ("dtype", "ndim", "size", "strides", "itemsize", "nbytes"):
        setattr(ndarray, name, property(lambda self, n=name: getattr(self._host, n)))
    theirs = [name for name in dir(real.ndarray) if not name.startswith("_") and hasattr(np.ndarray, name)]
    for name in theirs:
        if not hasattr(ndarray, name):

            def method(self: ndarray, *args: Any, _name: str = name, **kwargs: Any) -> Any:
                _check_devices((self, *args))
                with np.errstate(all="ignore"):
                    out = getattr(self._host, _name)(*map(_inside, args), **kwargs)
                shares = isinstance(out, np.ndarray) and np.may_share_memory(out, self._host)
                return _view(out, self) if shares else _outside(out)

            setattr(ndarray, name, method)
    operators = {
        "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "true_divide", "floordiv": "floor_divide",
        "mod": "remainder", "pow": "power", "lshift": "left_shift", "rshift": "right_shift", "and": "bitwise_and",
        "or": "bitwise_or", "xor": "bitwise_xor", "lt": "less", "le": "less_equal", "gt": "greater",
        "ge": "greater_equal", "eq": "equal", "ne": "not_equal",
    }  # fmt: skip
    for name, of in operators.items():
        setattr(ndarray, f"__{name}__", lambda self, other, f=of: _or_by_other(f, self, other))
        setattr(ndarray, f"__r{name}__", lambda self, other, f=of: ufunc_named(f)(other, self))
        setattr(ndarray, f"__i{name}__", lambda self, other, f=of: ufunc_named(f)(self, other, out=self))
    for name, of in {"neg": "negative", "invert": "invert", "abs": "absolute"}.items():
        setattr(ndarray, f"__{name}__", lambda self, f=of: ufunc_named(f)(self))
    ndarray.__matmul__ = function_like(lambda a, b: None, np.matmul)  # type: ignore[attr-defined]


_delegate()
