"""What a GPU needs and whether it is here: the doctor's lines."""

from __future__ import annotations

import ctypes
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator

from rushlight.cuda import devices, library

_CUPY = ("cupy-cuda13x", "cupy-cuda12x", "cupy")
_DRIVERS = "https://www.nvidia.com/drivers"


def device_lines() -> Iterator[tuple[str, str]]:
    """A line for each GPU."""
    for index, text in enumerate(devices.visible_devices()):
        yield f"cuda:{index}", text
    if not devices.device_count():
        yield "cuda", "none that rushlight can use"


def lines() -> Iterator[tuple[str, str]]:
    """Names and texts: driver, CuPy, NVIDIA's libraries, and last the one thing to be done, if anything is missing."""
    driver, missing = _driver_version(), []
    if driver is None:
        missing.append(f"NVIDIA's driver, from {_DRIVERS}")
    yield "driver", _dotted(driver) if driver is not None else "none"
    found = {name: version for name in _CUPY if (version := _version(name)) is not None}
    yield "CuPy", ", ".join(f"{version} ({name})" for name, version in found.items()) or "none"
    wheel = "cupy-cuda12x[ctk]" if driver is not None and driver < 13000 else "cupy-cuda13x[ctk]"
    install = f"{os.path.basename(sys.executable)} -m pip install {wheel}"
    if found:
        libraries = list(_libraries())
        yield from libraries
        if any(text.startswith("none") for _, text in libraries):
            missing.append(f"NVIDIA's libraries: {install}")
    else:
        missing.append(f"CuPy: {install}")
    for what in missing:
        yield "missing", what


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _driver_version() -> int | None:
    """The newest CUDA that the driver serves, 13000 for 13.0; None without a driver."""
    if not library.has_driver():
        return None
    number = ctypes.c_int()
    ctypes.CDLL(library.DRIVER).cuDriverGetVersion(ctypes.byref(number))
    return number.value


def _dotted(number: int) -> str:
    return f"for CUDA up to {number // 1000}.{number % 1000 // 10}"


def _libraries() -> Iterator[tuple[str, str]]:
    """NVRTC, which compiles, and cuBLAS, which multiplies: CuPy loads them when they are asked for."""
    try:
        cupy = importlib.import_module("cupy")
        yield "NVRTC", ".".join(map(str, cupy.cuda.nvrtc.getVersion()))
    except (ImportError, RuntimeError) as error:
        yield "NVRTC", f"none: {str(error).splitlines()[0]}"
    try:
        cublas = importlib.import_module("cupy_backends.cuda.libs.cublas")
    except (ImportError, RuntimeError) as error:
        yield "cuBLAS", f"none: {str(error).splitlines()[0]}"
        return
    yield "cuBLAS", str(cublas.getVersion(cupy.cuda.get_cublas_handle())) if devices.device_count() else "can be loaded"
