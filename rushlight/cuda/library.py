"""CuPy, found when something asks for a GPU: the one place that says whether there is one.

Nothing else imports cupy but the kind of arrays that is made of it and the compiler's programs for it. Whether there is a
driver is asked first, by loading its library: a machine without one never pays for importing CuPy.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from typing import Any

from rushlight.errors import AcceleratorError

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
INSTALL = "pip install cupy-cuda13x[ctk]"
_ADVICE = "`python -m rushlight doctor` tells what is there."

_NO_DRIVER = (
    "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from "
    f"http://www.nvidia.com/Download/index.aspx ({_ADVICE})"
)
_NO_GPU = f"No CUDA GPUs are available. {_ADVICE}"
_NO_CUPY = f"Torch not compiled with CUDA enabled: CuPy is not installed. `{INSTALL}` installs it. {_ADVICE}"
_FORKED = "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, you must use the 'spawn' start method"

_module: Any = None  # cupy, once a GPU has been asked for and is there
_count: int | None = None
_is_forked = False  # from a process that had a GPU in use: the driver's state does not live on in this one


def has_driver() -> bool:
    """Whether NVIDIA's driver is installed."""
    try:
        ctypes.CDLL(DRIVER)
    except OSError:
        return False
    return True


def _imported() -> Any:
    """cupy, or None: it is not imported where there is no driver, nor where it is not installed."""
    found = sys.modules.get("cupy")
    if found is None and has_driver():
        try:
            found = importlib.import_module("cupy")
        except ImportError:
            return None
    return found


def device_count() -> int:
    """How many GPUs CUDA sees: 0 without CuPy, a driver or a GPU."""
    global _count
    if _count is None:
        found = _imported()
        try:
            _count = 0 if found is None else int(found.cuda.runtime.getDeviceCount())
        except RuntimeError:  # a driver that is too old, or a GPU that does not answer
            _count = 0
    return _count


def cupy() -> Any:
    """The module.

    Raises:
        RuntimeError: no driver, no GPU, or a process forked from one that had a GPU in use.
        AssertionError: CuPy is not installed.
    """
    global _module
    if _is_forked:
        raise RuntimeError(_FORKED)
    if _module is None:
        if not device_count():
            raise _reason()
        from rushlight.cuda import memory  # which asks this file

        _module = sys.modules["cupy"]
        memory.start(_module)
    return _module


def _reason() -> Exception:
    """Why there is no GPU."""
    if _imported() is None:
        return AssertionError(_NO_CUPY) if has_driver() else RuntimeError(_NO_DRIVER)
    return RuntimeError(_NO_GPU if has_driver() else _NO_DRIVER)


def is_ready() -> bool:
    """Whether a GPU has been used."""
    return _module is not None and not _is_forked


def is_forked() -> bool:
    """Whether this process was forked from one that had a GPU in use."""
    return _is_forked


def failed(error: Exception) -> AcceleratorError:
    """CuPy's error as PyTorch words it: "CUDA error: invalid device ordinal"."""
    text = str(error).partition(": ")[2] or str(error)
    return AcceleratorError(f"CUDA error: {text}")


def _after_fork() -> None:
    global _is_forked
    _is_forked = _module is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
