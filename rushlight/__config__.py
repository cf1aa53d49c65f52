"""`torch.__config__`: what computes here, as text."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform

import numpy as np

import rushlight


def show() -> str:
    """The versions of what computes: NumPy and its BLAS, and the compiler's LLVM."""
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]  # type: ignore[index, call-overload]
    lines = [
        f"rushlight {rushlight.__version__} runs on:",
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"NumPy {np.__version__}, BLAS {blas['name']} {blas['version']}",
    ]
    for name in ("llvmlite", "scipy", "ml_dtypes", "safetensors"):
        is_there = importlib.util.find_spec(name) is not None
        lines.append(f"{name} {importlib.metadata.version(name) if is_there else 'is not installed'}")
    return "\n  - ".join(lines) + "\n"


def parallel_info() -> str:
    """How many threads compute."""
    return (
        f"rushlight.get_num_threads() : {rushlight.get_num_threads()}\n"
        f"rushlight.get_num_interop_threads() : {rushlight.get_num_interop_threads()}\n"
        f"os.cpu_count() : {os.cpu_count()}\n"
        f"OMP_NUM_THREADS : {os.environ.get('OMP_NUM_THREADS', '[not set]')}\n"
    )
