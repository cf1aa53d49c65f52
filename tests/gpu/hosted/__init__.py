"""The real CuPy on a machine without a GPU: its runtime and driver are `cuda.cpp`, its kernels are compiled by g++.

`install()` makes `import cupy` work here with two devices whose memory is the computer's own. All of CuPy is CuPy's own
code: what it does with shapes, dtypes, streams and memory, and the CUDA C++ that it writes. NVIDIA's libraries alone are not there: the
products of cuBLAS, cuSOLVER's factorizations and Thrust's sorting are NumPy's, put in where CuPy calls them.

The folder that `build` fills has to be there: see its docstring. What it leaves out: textures, graphs, NCCL, cuFFT, cuSPARSE.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from pathlib import Path

from cuda import pathfinder

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("RUSHLIGHT_HOSTED", HERE.parents[2] / "build" / "hosted"))


def is_asked_for() -> bool:
    return "RUSHLIGHT_HOSTED" in os.environ


def install() -> None:
    """Before CuPy is imported for the first time in this process."""
    assert "cupy" not in sys.modules, "CuPy has been imported already"
    os.environ.setdefault("CUPY_ACCELERATORS", "")
    os.environ["CUPY_CACHE_DIR"] = str(FOLDER / f"kernels-{_version()}")
    ours = {library.name.split(".")[0]: ctypes.CDLL(str(library), mode=os.RTLD_GLOBAL) for library in sorted(FOLDER.glob("lib*.so.*"))}  # fmt: skip
    find = pathfinder.load_nvidia_dynamic_lib
    pathfinder.load_nvidia_dynamic_lib = lambda name: _Found(ours[f"lib{name}"]) if f"lib{name}" in ours else find(name)
    name = "cupy_backends.cuda.api.runtime"
    importlib.import_module("cupy_backends.cuda.api")
    path = next(FOLDER.glob("runtime*.so"))
    spec = importlib.util.spec_from_file_location(
        name, path, loader=importlib.machinery.ExtensionFileLoader(name, str(path))
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    import cupy_backends.cuda.api as api

    api.runtime = module
    from gpu.hosted import libraries

    libraries.install()


class _Found:
    """A library as the package cuda-pathfinder gives it."""

    def __init__(self, library: ctypes.CDLL):
        self._handle_uint = library._handle


def _version() -> str:
    """Of what compiles kernels: machine code of another one is not to be used."""
    files = sorted([*HERE.rglob("*.[hp]*"), *(HERE.parent / "emulator").glob("*.[hp]*")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files if file.is_file())).hexdigest()[:16]
