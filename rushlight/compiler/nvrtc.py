"""CUDA C++ to functions on the current GPU, by NVIDIA's run-time compiler and the disk cache.

Options, and why: no contraction of products and sums into one rounding (`--fmad=false`), so that a fused kernel gives what its
operations give one by one; these kernels wait for memory, not for arithmetic, and the mathematical functions use such
instructions within themselves all the same. Division, square roots and denormal numbers are exact as IEEE 754 has them,
which is NVRTC's default.
"""

from __future__ import annotations

import functools
from typing import Any

from rushlight.compiler import cache
from rushlight.compiler.cuda_prelude import PRELUDE

OPTIONS = ("--std=c++17", "--fmad=false", "--disable-warnings")


@functools.lru_cache(maxsize=1024)
def functions_of(source: str, names: tuple[str, ...], device: int) -> tuple[Any, ...]:
    """The kernels of these names of a source (which follows the prelude), loaded on a device, the current one."""
    from cupy.cuda import Device, function

    module = function.Module()
    module.load(machine_code(PRELUDE + source, Device(device).compute_capability))
    return tuple([module.get_function(name) for name in names])


def machine_code(source: str, capability: str) -> bytes:
    """Of a source for GPUs of a compute capability, such as "90"; from the disk, if it has been compiled before."""
    from cupy.cuda import nvrtc

    newest = max(nvrtc.getSupportedArchs())
    is_known = int(capability) <= newest
    architecture = f"--gpu-architecture={'sm' if is_known else 'compute'}_{capability if is_known else newest}"
    version = "{}.{}".format(*nvrtc.getVersion())
    key = cache.key_of(source, architecture, *OPTIONS, version)
    code = cache.load(key)
    if code is None:
        code = _compile(source, architecture, is_known)
        cache.save(key, code)
    return code


def _compile(source: str, architecture: str, is_known: bool) -> bytes:
    """Machine code; for a GPU that is newer than the compiler the assembly from which its driver makes it."""
    from cupy.cuda import nvrtc

    program = nvrtc.createProgram(source, "rushlight.cu", [], [])
    try:
        nvrtc.compileProgram(program, [architecture, *OPTIONS])
        code = nvrtc.getCUBIN(program) if is_known else nvrtc.getPTX(program)
        return code if isinstance(code, bytes) else code.encode()
    except nvrtc.NVRTCError as error:
        raise RuntimeError(f"NVRTC refuses a generated kernel: {nvrtc.getProgramLog(program)}") from error
    finally:
        nvrtc.destroyProgram(program)
