"""Makes what `hosted` needs, in build/hosted: `python tests/gpu/hosted/build.py [CuPy's unpacked source distribution]`.

Of CuPy's source, which pip downloads unless it is given, one module is compiled anew: `cupy_backends.cuda.api.runtime`, against
`cuda.cpp` in place of NVIDIA's runtime. The source is of the version that is installed, whose other modules are used as they
are. Needs g++, Cython, and the headers of the packages nvidia-cuda-runtime and nvidia-cuda-crt.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("RUSHLIGHT_HOSTED", HERE.parents[2] / "build" / "hosted")).absolute()
# Modules of CuPy that are linked with one of NVIDIA's libraries, and the name by which they look for it.
LIBRARIES = {
    "cupy_backends.cuda.libs.cublas": "libcublas.so.13", "cupy_backends.cuda.libs.curand": "libcurand.so.10",
    "cupy_backends.cuda.libs.cusparse": "libcusparse.so.12", "cupy_backends.cuda.libs.cusolver": "libcusolver.so.12",
    "cupy.cuda.cufft": "libcufft.so.12",
}  # fmt: skip
WITH_ALL = "libcublas.so.13"  # has what all of them should have; the others are empty and refer to it
CUDA = 13020  # the version that the module is compiled for, as cuda.h writes it
NOT_SUPPORTED = {"runtime": 801, "libraries": 15}  # cudaErrorNotSupported, CUBLAS_STATUS_NOT_SUPPORTED
# CuPy's own, from its install/cupy_builder/_command.py:
DIRECTIVES = (
    "embedsignature=True,c_api_binop_methods=True,binding=False,warn.deprecated.IF=False,freethreading_compatible=True"
)
CONSTANTS = {
    "CUPY_USE_CUDA_PYTHON": False, "CUPY_CUFFT_STATIC": False, "CUPY_CUDA_VERSION": CUDA, "CUPY_HIP_VERSION": 0,
}  # fmt: skip


def main(source: str = "") -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    include = folder_of("nvidia") / "cu13" / "include"
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        runtime = compile_runtime(Path(source).absolute() if source else downloaded(work), include, work)
        link([HERE / "libraries.cpp", refusals(work, symbols_of(LIBRARIES), "libraries")], WITH_ALL)
        for library in set(LIBRARIES.values()) - {WITH_ALL}:
            link([FOLDER / WITH_ALL], library, "-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN")
        # Last, since it says that all is there:
        link([HERE / "cuda.cpp", refusals(work, undefined(runtime), "runtime")], "libcuda.so.1", f"-I{include}")


def folder_of(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.submodule_search_locations, f"{package} is not installed"
    return Path(next(iter(spec.submodule_search_locations)))


def downloaded(work: Path) -> Path:
    """CuPy's source; asking for its stubs keeps its set-up from looking for CUDA."""
    version = importlib.metadata.version("cupy-cuda13x")
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        "cupy",
        f"cupy=={version}",
    ]
    environment = {**os.environ, "CUPY_INSTALL_USE_STUB": "1"}
    subprocess.run([*command, "--dest", str(work)], check=True, env=environment)
    with tarfile.open(next(work.glob("cupy-*.tar.gz"))) as archive:
        archive.extractall(work, filter="data")
    return work / f"cupy-{version}"


def compile_runtime(source: Path, include: Path, work: Path) -> Path:
    """The module of the source."""
    version = importlib.metadata.version("cupy-cuda13x")
    assert f"\nVersion: {version}\n" in (source / "PKG-INFO").read_text(), f"this is not the source of CuPy {version}"
    written, constants = work / "runtime.cpp", [f"{name}={value}" for name, value in CONSTANTS.items()]
    constants += [f"CUPY_CYTHON_VERSION={importlib.metadata.version('cython')}"]
    command = [sys.executable, "-m", "cython", "--cplus", "-3", "-X", DIRECTIVES, "-w", str(source), "-o", str(written)]
    for constant in constants:
        command += ["-E", constant]
    subprocess.run([*command, "cupy_backends/cuda/api/runtime.pyx"], check=True, stderr=subprocess.DEVNULL)
    (work / "cuda_profiler_api.h").write_text(
        '#include "cuda_runtime_api.h"\nextern "C" { cudaError_t cudaProfilerStart(); cudaError_t cudaProfilerStop(); }\n'
    )
    folders = [
        work,
        include,
        source / "cupy_backends",
        source / "cupy_backends/cuda/api",
        sysconfig.get_path("include"),
    ]
    made = FOLDER / f"runtime{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ["-O1", "-fPIC", "-shared", "-fwrapv", "-w", '-DCYTHON_EXTERN_C=extern "C"', *[f"-I{f}" for f in folders]]
    subprocess.run(["g++", *flags, str(written), "-o", str(made)], check=True)
    return made


def undefined(library: Path) -> set[str]:
    """CUDA's functions that a library asks for."""
    lines = subprocess.run(["nm", "-D", str(library)], check=True, capture_output=True, text=True).stdout.splitlines()
    return {found[1] for line in lines if (found := re.search(r" U (cu\w+)", line))}


def symbols_of(modules: dict[str, str]) -> set[str]:
    found = set()
    for module in modules:
        package, _, name = module.rpartition(".")
        found |= undefined(next(folder_of(package).glob(f"{name}.*.so")))
    return found


def refusals(work: Path, names: set[str], kind: str) -> Path:
    """A source of functions that refuse: weak ones, for what else is there comes before them."""
    source = work / f"missing_{kind}.cpp"
    text = "__attribute__((weak)) int {}() {{ return {}; }}\n"
    source.write_text('extern "C" {\n' + "".join(text.format(n, NOT_SUPPORTED[kind]) for n in sorted(names)) + "}\n")
    return source


def link(sources: list[Path], library: str, *flags: str) -> None:
    """A library that shows CUDA's names and ours alone: the C++ library's must not meet those inside of NVRTC."""
    with tempfile.TemporaryDirectory() as work:
        exports = Path(work) / "exports"
        exports.write_text("{ global: cu*; hosted_*; local: *; };")
        command = ["g++", "-O1", "-std=c++17", "-fPIC", "-shared", "-w", f"-Wl,-soname,{library}", *flags]
        command += [f"-Wl,--version-script={exports}", "-o", str(FOLDER / library), *map(str, sources), "-ldl"]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
