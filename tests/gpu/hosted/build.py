"""Builds what `hosted` needs: `python tests/gpu/hosted/build.py CUPY_SOURCE` with CuPy's unpacked source distribution.

The source must be of the version that is installed (`pip download --no-binary :all: cupy==...`); of it one module is
compiled, `cupy_backends.cuda.api.runtime`, against `cuda.cpp` in place of NVIDIA's runtime. Needs g++, Cython, setuptools, and the
headers of the packages nvidia-cuda-runtime and nvidia-cuda-crt. The result is in build/hosted.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("RUSHLIGHT_HOSTED", HERE.parents[2] / "build" / "hosted"))
# Modules of CuPy that are linked with one of NVIDIA's libraries, and the name by which they look for it.
LIBRARIES = {"cublas": "libcublas.so.13", "curand": "libcurand.so.10", "cusparse": "libcusparse.so.12", "cusolver": "libcusolver.so.12", "cufft": "libcufft.so.12"}  # fmt: skip


def main(source: str) -> None:
    import nvidia

    FOLDER.mkdir(parents=True, exist_ok=True)
    include = Path(nvidia.__path__[0]) / "cu13" / "include"
    runtime = compile_runtime(Path(source).resolve(), include)
    written = HERE / "cuda.cpp"
    with tempfile.TemporaryDirectory() as work:
        missing = Path(work) / "missing.cpp"
        undefined = symbols(runtime, "U", "cuda") - functions_of(written.read_text())
        missing.write_text(refusals(undefined, 801))
        link([written, missing], FOLDER / "libcuda.so.1", f"-I{include}")
        link([HERE / "libraries.cpp"], FOLDER / "libcublas.so.13")
        there = symbols(FOLDER / "libcublas.so.13", "T", "cu")
        undefined = set()
        for name in LIBRARIES:
            package = "cupy.cuda" if name == "cufft" else "cupy_backends.cuda.libs"
            module = next(Path(find(package)).glob(f"{name}.*.so"))
            undefined |= symbols(module, "U", "cu")
        missing.write_text(refusals(undefined - there, 15))
        link([HERE / "libraries.cpp", missing], FOLDER / "libcublas.so.13")
        for library in LIBRARIES.values():
            if library != "libcublas.so.13":
                link(
                    [],
                    FOLDER / library,
                    "-x",
                    "c++",
                    "/dev/null",
                    "-x",
                    "none",
                    str(FOLDER / "libcublas.so.13"),
                    "-Wl,--no-as-needed",
                    "-Wl,-rpath,$ORIGIN",
                )


def find(package: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations
    return next(iter(spec.submodule_search_locations))


def compile_runtime(source: Path, include: Path) -> Path:
    from Cython.Build import cythonize
    from setuptools import Extension
    from setuptools.dist import Distribution

    version = importlib.metadata.version("cupy-cuda13x")
    assert f"Version: {version}\n" in (source / "PKG-INFO").read_text(), f"this is not the source of CuPy {version}"
    os.chdir(source)
    with tempfile.TemporaryDirectory() as work:
        (Path(work) / "cuda_profiler_api.h").write_text(
            '#include "cuda_runtime_api.h"\nextern "C" cudaError_t cudaProfilerStart();\nextern "C" cudaError_t cudaProfilerStop();\n'
        )
        extension = Extension(
            "cupy_backends.cuda.api.runtime", ["cupy_backends/cuda/api/runtime.pyx"], language="c++",
            include_dirs=[work, str(include), "cupy_backends"], extra_compile_args=["-O1", "-g0"],
            define_macros=[("CYTHON_EXTERN_C", 'extern "C"'), ("_FORCE_INLINES", "1")],
        )  # fmt: skip
        directives = {"embedsignature": True, "c_api_binop_methods": True, "binding": False, "warn.deprecated.IF": False, "freethreading_compatible": True}  # fmt: skip
        constants = {"CUPY_USE_CUDA_PYTHON": False, "CUPY_CUFFT_STATIC": False, "CUPY_CYTHON_VERSION": "", "CUPY_CUDA_VERSION": 13020, "CUPY_HIP_VERSION": 0}  # fmt: skip
        extensions = cythonize(
            [extension], language_level=3, compiler_directives=directives, compile_time_env=constants, build_dir=work
        )
        command = Distribution({"ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib, command.build_temp = str(Path(work) / "lib"), work
        command.ensure_finalized()
        command.run()
        made = next((Path(work) / "lib").rglob("runtime*.so"))
        return Path(made.replace(FOLDER / made.name))


def symbols(library: Path, kind: str, prefix: str) -> set[str]:
    lines = subprocess.run(["nm", "-D", str(library)], check=True, capture_output=True, text=True).stdout.splitlines()
    names = {line.split()[-1].partition("@")[0] for line in lines if line.split()[-2] == kind}
    return {name for name in names if name.startswith(prefix)}


def functions_of(text: str) -> set[str]:
    import re

    return set(re.findall(r"\b(cu\w+)\(", text))


def refusals(names: set[str], error: int) -> str:
    """Functions that are asked for and not there: each refuses."""
    return "\n".join(f'extern "C" int {name}() {{ return {error}; }}' for name in sorted(names)) + "\n"


def link(sources: list[Path], library: Path, *flags: str) -> None:
    """A library that shows CUDA's names and ours: the C++ library's must not meet those inside of NVRTC."""
    with tempfile.TemporaryDirectory() as work:
        exports = Path(work) / "exports"
        exports.write_text("{ global: cu*; hosted_*; local: *; };")
        command = ["g++", "-O1", "-std=c++17", "-fPIC", "-shared", "-w", *flags, f"-Wl,-soname,{library.name}"]
        command += [f"-Wl,--version-script={exports}", "-o", str(library), *map(str, sources), "-ldl"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(sys.argv[1])
