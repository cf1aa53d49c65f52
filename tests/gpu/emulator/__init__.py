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
DYNAMIC = re.compile(r"extern\s+__shared__\s+([\w :<>]+?)\s+(\w+)\s*\[\s*\]\s*;")

WAITS = re.compile(r"__syncthreads|__syncwarp|_sync\s*\(")


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
        self._library = ctypes.CDLL(str(compiled(source)))
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


def compiled(source: str, header: str = "", flags: tuple[str, ...] = (), templates: tuple[str, ...] = ()) -> Path:
    """The library of a source, with a function `emulator_launch` that launches a kernel by its name.

    Args:
        header: what stands before it, in place of `cuda.h`.
        templates: kernels that are templates with their arguments, which is what they are called by.
    """
    names = [*KERNEL.findall(source), *templates]
    return _compile(_translated(source, names, header or HEADER.read_text()), flags)


def _translated(source: str, names: list[str], header: str) -> str:
    source = DYNAMIC.sub(r"\1* \2 = (\1*)emulated::dynamic_shared_memory;", source)
    entries = [
        f"static void emulated_{i}(void** given) {{ emulated::call(&{name}, given); }}" for i, name in enumerate(names)
    ]
    waits = "true" if WAITS.search(source) else "false"
    cases = [f'  if (!strcmp(name, "{name}")) entry = emulated_{i};' for i, name in enumerate(names)]
    return "\n".join([
        header, source, *entries,
        'extern "C" const char* emulator_launch(const char* name, void** given, unsigned gx, unsigned gy, unsigned gz,',
        "    unsigned bx, unsigned by, unsigned bz, size_t shared_bytes, long order) {",
        "  void (*entry)(void**) = nullptr;", *cases,
        '  if (!entry) return "there is no such kernel";',
        f"  return emulated::launch(entry, given, dim3{{gx, gy, gz}}, dim3{{bx, by, bz}}, shared_bytes, order, {waits});",
        "}",
    ])  # fmt: skip


def precompiled(text: str, flags: tuple[str, ...]) -> Path:
    """A header that stands in a file, with what g++ made of it beside it: including it costs little."""
    header = _folder() / f"{_key(text, flags)}.h"
    made = header.with_suffix(".h.gch")
    if not made.exists():
        header.write_text(text)
        _run([*FLAGS, *flags, "-x", "c++-header", str(header)], made)
    return header


def _compile(text: str, flags: tuple[str, ...]) -> Path:
    library = _folder() / f"{_key(text, flags)}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=_folder()) as work:
            source = Path(work) / "kernels.cpp"
            source.write_text(text)
            _run([*FLAGS, *flags, str(source)], library)
    return library


def _run(arguments: list[str], target: Path) -> None:
    """g++; the target is there whole or not at all."""
    made = target.with_name(f"{os.getpid()}-{target.name}")
    done = subprocess.run(["g++", *arguments, "-o", str(made)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"g++ cannot compile a kernel:\n{done.stderr[:4000]}")
    os.replace(made, target)


def _key(text: str, flags: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join([*flags, text]).encode()).hexdigest()[:32]


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"rushlight-emulator-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
