"""The real CuPy on a machine without a GPU: its runtime and driver are `cuda.cpp`, its kernels are compiled by g++.

All of CuPy is CuPy's own code: what it does with shapes, dtypes, streams and memory, and the CUDA C++ that it writes. Its GPUs
are two pieces of the computer's memory. NVIDIA's libraries alone are not there: the products of cuBLAS, cuSOLVER's factorizations
and cuFFT are `libraries.cpp`, Thrust's sorting is NumPy's. `build.py` makes what is compiled once.

`prepare()` before CuPy is imported; `show()` when there are to be GPUs, `hide()` when there are to be none again. What it leaves out:
textures, graphs, NCCL, cuSPARSE, CUB; and time: whatever is asked for is done at once.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import os
import shutil
import sys
from collections.abc import Sequence
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("RUSHLIGHT_HOSTED", HERE.parents[2] / "build" / "hosted")).absolute()
RUNTIME = "cupy_backends.cuda.api.runtime"


def lacks() -> list[str]:
    """What is needed for it and is not there."""
    found = {
        "CuPy": importlib.util.find_spec("cupy"),
        "g++": shutil.which("g++"),
        "build/hosted (`make build/hosted/libcuda.so.1`)": (FOLDER / "libcuda.so.1").exists(),
    }
    return [name for name, there in found.items() if not there]


@functools.cache
def has_gpu() -> bool:
    """Whether there is a real one."""
    try:
        driver, count = ctypes.CDLL("libcuda.so.1"), ctypes.c_int()
    except OSError:
        return False
    return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0


def prepare() -> None:
    """Whoever imports CuPy from now on gets it with our runtime, which has no GPUs until `show`."""
    assert "cupy" not in sys.modules, "CuPy has been imported already"
    assert not lacks(), f"GPUs on the CPU's memory need {lacks()}"
    os.environ["CUPY_ACCELERATORS"] = ""  # CUB's kernels are NVIDIA's machine code
    os.environ["CUPY_CACHE_DIR"] = str(FOLDER / f"kernels-{_version()}")
    sys.meta_path.insert(0, _Finder())


def is_prepared() -> bool:
    return any(isinstance(finder, _Finder) for finder in sys.meta_path)


class _Finder:
    """Finds the one module of CuPy that is another one here."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != RUNTIME:
            return None
        _load_libraries()
        file = str(next(FOLDER.glob("runtime*.so")))
        return importlib.util.spec_from_file_location(name, file, loader=ExtensionFileLoader(name, file))


@functools.cache
def _load_libraries() -> None:
    """Those of `build.py`, before CuPy looks for NVIDIA's."""
    from cuda import pathfinder

    ours = {file.name.split(".")[0]: ctypes.CDLL(str(file), mode=os.RTLD_GLOBAL) for file in FOLDER.glob("lib*.so.*")}
    find = pathfinder.load_nvidia_dynamic_lib

    def load(name: str) -> Any:
        library = ours.get(f"lib{name}")
        return find(name) if library is None else _Found(library)

    pathfinder.load_nvidia_dynamic_lib = load


class _Found:
    """A library as the package cuda-pathfinder gives it."""

    def __init__(self, library: ctypes.CDLL):
        self._handle_uint = library._handle


def _version() -> str:
    """Of what compiles kernels: machine code of another one is not to be used."""
    files = [
        file
        for folder in (HERE, HERE.parent / "emulator")
        for file in folder.rglob("*")
        if file.suffix in {".h", ".py"}
    ]
    return hashlib.sha256(b"".join(file.read_bytes() for file in sorted(files))).hexdigest()[:16]


# ---------------------------------------------------------------- GPUs that come and go


@functools.cache
def control() -> Any:
    """The functions of `cuda.cpp` for tests: `hosted_busy` and the others at its end."""
    import cupy

    from gpu.hosted import libraries

    libraries.install()
    driver = ctypes.CDLL("libcuda.so.1")
    driver.hosted_capacity.argtypes = [ctypes.c_int, ctypes.c_size_t]
    driver.hosted_busy.argtypes = driver.hosted_waits.argtypes = [ctypes.c_void_p]
    driver.hosted_order.argtypes, driver.hosted_launches.restype = [ctypes.c_long], ctypes.c_long
    return driver


def show() -> ModuleType:
    """There are two GPUs, and rushlight finds them; gives CuPy."""
    from rushlight.arrays import kinds

    control().hosted_show(2)
    _forget()
    kinds.GPU = sys.modules.get("rushlight.arrays.cupy")
    return sys.modules["cupy"]


def hide() -> None:
    """There is no GPU."""
    control().hosted_show(0)
    _forget()


def _forget() -> None:
    """What rushlight has found out about GPUs."""
    from rushlight.arrays import kinds
    from rushlight.cuda import devices, library

    library._module = library._count = kinds.GPU = None
    kinds.gpu.cache_clear()
    devices._properties.cache_clear()
