"""NVRTC's functions by g++ and the emulator: machine code is the words "hosted:" and the path of a library.

Where a test says so (`uses_nvrtc`; it takes as long as g++), the real NVRTC compiles the package's own sources for `ARCHITECTURES`,
and refuses what it refuses.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
from pathlib import Path
from typing import Any

from cupy_backends.cuda.libs import nvrtc as real
from gpu import emulator

HERE = Path(__file__).parent
ARCHITECTURES = ("sm_80", "sm_90")
NVRTCError = real.NVRTCError
uses_nvrtc = False
_programs: dict[int, dict[str, Any]] = {}
_numbers = itertools.count(1)


def getVersion() -> tuple[int, int]:
    return 13, 2


def getSupportedArchs() -> list[int]:
    return [80, 90]


def createProgram(source: str, name: str, headers: Any, include_names: Any) -> int:
    number = next(_numbers)
    _programs[number] = {"source": source, "log": "", "templates": [], "is_ours": name == "rushlight.cu"}
    return number


def destroyProgram(number: int) -> None:
    _programs.pop(number, None)


def compileProgram(number: int, options: Any) -> None:
    program = _programs[number]
    if program["is_ours"] and uses_nvrtc:
        _compiled_by_nvrtc(program, options)
    try:
        path = library_of(program["source"], options, tuple(program["templates"]))
    except RuntimeError as error:
        program["log"] = str(error)
        raise NVRTCError(6) from error
    program["code"] = b"hosted:" + os.fsencode(path) + b"\0"


def _compiled_by_nvrtc(program: dict[str, Any], options: Any) -> None:
    others = [option for option in options if not option.startswith("--gpu-architecture")]
    assert "--gpu-architecture=sm_90" in options, options
    for architecture in ARCHITECTURES:
        number = real.createProgram(program["source"], "rushlight.cu", [], [])
        try:
            real.compileProgram(number, [f"--gpu-architecture={architecture}", *others])
        except NVRTCError:
            program["log"] = real.getProgramLog(number)
            raise
        finally:
            real.destroyProgram(number)


def getCUBIN(number: int) -> bytes:
    return _programs[number]["code"]


def getPTX(number: int) -> bytes:
    return _programs[number]["code"]


def getProgramLog(number: int) -> str:
    return _programs[number]["log"]


def addNameExpression(number: int, name: str) -> None:
    _programs[number]["templates"].append(name)


def getLoweredName(number: int, name: str) -> str:
    return name


def library_of(source: str, options: Any, templates: tuple[str, ...]) -> Path:
    """A library for the driver, compiled behind what CuPy's kernels include, which g++ has read once for all."""
    flags = tuple(o for o in options if o.startswith("-D"))
    return emulator.compiled(source, f'#include "{_header()}"', (*_includes(), *flags), templates)


@functools.cache
def _includes() -> tuple[str, ...]:
    import cupy

    return f"-I{HERE / 'include'}", f"-I{Path(cupy.__file__).parent / '_core' / 'include'}"


@functools.cache
def _header() -> Path:
    names = ["device.h", *[f"cupy/{name}.cuh" for name in ("complex", "carray", "float16", "bfloat16", "atomics")]]
    text = "#pragma once\n" + emulator.HEADER.read_text() + "".join(f'#include "{name}"\n' for name in names)
    for file in sorted((HERE / "include").rglob("*.h")):
        text += f"// {hashlib.sha256(file.read_bytes()).hexdigest()}\n"
    return emulator.precompiled("#define HOSTED\n" + text, _includes())
