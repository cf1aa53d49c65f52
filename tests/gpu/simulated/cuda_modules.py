"""`cupy.cuda.nvrtc`, `driver` and `function` of the simulated GPUs: kernels are compiled by g++ and run by `gpu.emulator`.

The real NVRTC compiles every source for `ARCHITECTURES` where a test says so (`uses_nvrtc`; it takes as long as g++), and refuses
what it refuses; but what a program gets is the source itself, which a module compiles by g++ when it is loaded.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cupy.cuda as real
from gpu import emulator

real_nvrtc = real.nvrtc
real_nvrtc.getVersion()  # loads the library, which takes the real CuPy
CAPABILITY = "90"
ARCHITECTURES = ("sm_80", "sm_90")
uses_nvrtc = False
order = 1  # in which a kernel's threads run: 0 for in order, or the seed of a random order


class NVRTCError(RuntimeError):
    """As of the real one."""


_sources: dict[int, str] = {}
_logs: dict[int, str] = {}


def _create_program(source: str, name: str, headers: Any, include_names: Any) -> int:
    number = max(_sources, default=0) + 1
    _sources[number] = source
    return number


def _compile_program(program: int, options: Any) -> None:
    asked = f"--gpu-architecture=sm_{CAPABILITY}"
    if asked not in options:
        raise NVRTCError(f"options for another GPU: {options}")
    for architecture in ARCHITECTURES if uses_nvrtc else ():
        real = real_nvrtc.createProgram(_sources[program], "kernels.cu", [], [])
        try:
            others = [option for option in options if option != asked]
            real_nvrtc.compileProgram(real, [f"--gpu-architecture={architecture}", *others])
        except real_nvrtc.NVRTCError as error:
            _logs[program] = real_nvrtc.getProgramLog(real)
            raise NVRTCError(str(error)) from None
        finally:
            real_nvrtc.destroyProgram(real)


nvrtc = SimpleNamespace(
    NVRTCError=NVRTCError,
    createProgram=_create_program,
    compileProgram=_compile_program,
    destroyProgram=lambda program: _sources.pop(program) and None,
    getCUBIN=lambda program: _sources[program].encode(),
    getProgramLog=lambda program: _logs.get(program, ""),
    getSupportedArchs=lambda: [80, 90],
    getVersion=lambda: (0, 0),
)


class Module:
    """Machine code that is loaded."""

    def load(self, cubin: bytes) -> None:
        self._module = emulator.load(cubin.decode())

    def get_function(self, name: str) -> Function:
        if name not in self._module.names:
            raise RuntimeError("CUDA_ERROR_NOT_FOUND: named symbol not found")
        return Function(self._module, name)


_known: dict[int, Any] = {}


class Function:
    """A kernel; `ptr` is what the driver knows it by."""

    def __init__(self, module: Any, name: str):
        self.module, self.name, self.ptr = module, name, len(_known) + 1
        _known[self.ptr] = self


function = SimpleNamespace(Module=Module, Function=Function)


def _launch_kernel(
    f: int, grid_dim_x: int, grid_dim_y: int, grid_dim_z: int, block_dim_x: int, block_dim_y: int, block_dim_z: int,
    shared_mem_bytes: int, stream: int, kernel_params: int, extra: int,
) -> None:  # fmt: skip
    found = _known[f]
    grid, block = (grid_dim_x, grid_dim_y, grid_dim_z), (block_dim_x, block_dim_y, block_dim_z)
    found.module.launch_raw(found.name, grid, block, shared_mem_bytes, kernel_params, order)


driver = SimpleNamespace(launchKernel=_launch_kernel)
