"""CUDA C++ kernels on the CPU: what tests the numbers of generated kernels where there is no GPU.

`load(source)` compiles a source with g++ behind a header (`cuda.h`) that gives CUDA's words a meaning: the threads of a block
are fibers that switch where threads wait for one another. `launch(..., order=7)` runs blocks and threads in a random order:
a kernel that lacks a barrier then gives other numbers. Barriers that not all threads reach, and shuffles with lanes that have
ended, are errors. What it leaves out: memory models (a fiber runs until it waits), and the differences between NVIDIA's
mathematical functions and the C library's.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

HEADER = Path(__file__).parent / "cuda.h"
FLAGS = ["-O1", "-std=c++17", "-fwrapv", "-ffp-contract=off", "-fno-strict-aliasing", "-fPIC", "-shared", "-w"]
KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\([^)]*\)\s*)?(\w+)\s*\(')
DYNAMIC = re.compile(r"extern\s+__shared__\s+([\w ]+?)\s+(\w+)\s*\[\s*\]\s*;")


class Fault(Exception):
    """A kernel did what CUDA does not define."""


@functools.cache
def load(source: str) -> Module:
    """A source as something that can be launched. Compiled once for each source, also across processes."""
    return Module(source)


class Module:
    """The kernels of one source."""

    def __init__(self, source: str):
        self.names = KERNEL.findall(source)
        self._library = ctypes.CDLL(str(_compile(_translated(source, self.names))))
        self._launch = self._library.emulator_launch
        self._launch.restype = ctypes.c_char_p
        self._launch.argtypes = [
            ctypes.c_char_p, ctypes.c_void_p, *[ctypes.c_uint] * 6, ctypes.c_size_t, ctypes.c_long,
        ]  # fmt: skip

    def launch(
        self,
        name: str,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        shared_bytes: int,
        arguments: Sequence[Any],
        order: int = 0,
    ) -> None:
        """Runs a kernel. Arguments are NumPy arrays, whose addresses it gets, and scalars of NumPy or ctypes.

        Args:
            order: 0 for threads and blocks in order, else the seed of a random one.
        """
        values = [_packed(x) for x in arguments]
        places = (ctypes.c_void_p * max(len(values), 1))(*[ctypes.addressof(value) for value in values])
        self.launch_raw(name, grid, block, shared_bytes, ctypes.addressof(places), order)

    def launch_raw(
        self, name: str, grid: tuple[int, ...], block: tuple[int, ...], shared_bytes: int, params: int, order: int = 0
    ) -> None:
        """The same with the address of an array of addresses of arguments: `kernelParams` of CUDA's driver."""
        sizes = [*grid, 1, 1][:3] + [*block, 1, 1][:3]
        fault = self._launch(name.encode(), params, *sizes, shared_bytes, order)
        if fault:
            raise Fault(f"{name}: {fault.decode()}")


def _packed(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return ctypes.c_void_p(x.ctypes.data)
    if isinstance(x, np.generic):
        return (ctypes.c_char * x.itemsize).from_buffer_copy(x.tobytes())
    return x


def _translated(source: str, names: list[str]) -> str:
    """The source for g++, with a function that launches a kernel by its name."""
    source = DYNAMIC.sub(r"\1* \2 = (\1*)emulated::dynamic_shared_memory;", source)
    entries = [f"static void emulated_{name}(void** given) {{ emulated::call(&{name}, given); }}" for name in names]
    cases = [f'  if (!strcmp(name, "{name}")) entry = emulated_{name};' for name in names]
    return "\n".join([
        HEADER.read_text(), source, *entries,
        'extern "C" const char* emulator_launch(const char* name, void** given, unsigned gx, unsigned gy, unsigned gz,',
        "    unsigned bx, unsigned by, unsigned bz, size_t shared_bytes, long order) {",
        "  void (*entry)(void**) = nullptr;", *cases,
        '  if (!entry) return "there is no such kernel";',
        "  return emulated::launch(entry, given, dim3{gx, gy, gz}, dim3{bx, by, bz}, shared_bytes, order);",
        "}",
    ])  # fmt: skip


def _compile(text: str) -> Path:
    folder = Path(tempfile.gettempdir()) / f"rushlight-emulator-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    library = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, made = Path(work) / "kernels.cpp", Path(work) / "kernels.so"
            source.write_text(text)
            done = subprocess.run(["g++", *FLAGS, str(source), "-o", str(made)], capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"g++ cannot compile a kernel:\n{done.stderr[:4000]}")
            os.replace(made, library)
    return library
