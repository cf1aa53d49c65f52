"""What CuPy asks of NVIDIA's libraries, done by g++ and NumPy on the memory that its pointers point to."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from gpu.hosted import compiler


def install() -> None:
    """Puts what is here where CuPy and rushlight look for NVIDIA's."""
    import cupy.cuda
    from cupy.cuda import compiler as cupy_compiler, thrust

    cupy.cuda.nvrtc = cupy_compiler.nvrtc = compiler
    thrust.sort, thrust.argsort, thrust.lexsort = _sort, _argsort, _lexsort
    _give_routines()


def _give_routines() -> None:
    """SciPy's BLAS, LAPACK and special functions for `libraries.cpp`."""
    import scipy.linalg.cython_blas
    import scipy.linalg.cython_lapack
    import scipy.special.cython_special

    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    named = ctypes.pythonapi.PyCapsule_GetName
    named.restype, named.argtypes = ctypes.c_char_p, [ctypes.py_object]
    give = ctypes.CDLL("libcublas.so.13").hosted_routine
    give.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
    for module in (scipy.linalg.cython_blas, scipy.linalg.cython_lapack, scipy.special.cython_special):
        for name, capsule in module.__pyx_capi__.items():
            give(name.encode(), pointer(capsule, named(capsule)))


def array_at(pointer: int, dtype: Any, shape: tuple[int, ...]) -> Any:
    """The memory at an address as a NumPy array."""
    dtype = np.dtype(dtype)
    size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not size:
        return np.empty(shape, dtype)
    return np.frombuffer((ctypes.c_char * size).from_address(pointer), np.uint8).view(dtype).reshape(shape)


def _sort(dtype: Any, data: int, keys: int, shape: Any) -> None:
    array_at(data, dtype, tuple(shape)).sort(axis=-1, kind="stable")


def _argsort(dtype: Any, indices: int, data: int, keys: int, shape: Any) -> None:
    values = array_at(data, dtype, tuple(shape))
    order = np.argsort(values, axis=-1, kind="stable")
    array_at(indices, np.intp, tuple(shape))[...] = order
    values[...] = np.take_along_axis(values, order, -1)


def _lexsort(dtype: Any, indices: int, keys: int, k: int, n: int) -> None:
    array_at(indices, np.intp, (n,))[...] = np.lexsort(array_at(keys, dtype, (k, n)))
