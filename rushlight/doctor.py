"""What a user's installation has: one page of text, for the user and for whoever is asked for help."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from collections.abc import Iterator

# What each package is for, and what happens without it.
PACKAGES = {
    "numpy": ("arrays and matrix products", "nothing works"),
    "ml_dtypes": ("bfloat16", "no bfloat16"),
    "llvmlite": ("compiled programs", "everything runs, operation by operation"),
    "scipy": ("special functions, factorizations", "these raise"),
    "tqdm": ("progress bars of the examples", "the examples do not run"),
    "matplotlib": ("pictures of the examples", "the examples do not run"),
    "scikit-learn": ("data of the examples", "the examples do not run"),
    "tensorboardX": ("torch.utils.tensorboard", "no event files"),
}


def report() -> str:
    """The page."""
    lines: list[str] = []
    parts = {
        "versions": _versions,
        "computing": _computing,
        "devices": _devices,
        "what cuda needs": _gpu,
        "cache": _cache,
    }
    for title, part in parts.items():
        lines.append(title)
        lines.extend(f"  {name:<14}{text}" for name, text in part())
    absent = [name for name in PACKAGES if _version(name) is None]
    lines.append("missing" if absent else "nothing is missing")
    lines.extend(f"  {name:<14}{PACKAGES[name][0]}; without it {PACKAGES[name][1]}" for name in absent)
    if absent:
        lines.append(f"  to install: {os.path.basename(sys.executable)} -m pip install {' '.join(absent)}")
    return "\n".join(lines)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> Iterator[tuple[str, str]]:
    import rushlight

    yield "rushlight", f"{rushlight.__version__}, in {os.path.dirname(rushlight.__file__)}"
    yield "Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"
    for package in PACKAGES:
        if (version := _version(package)) is not None:
            yield package, version


def _computing() -> Iterator[tuple[str, str]]:
    from rushlight.compiler import blas, workers

    found = blas.find_blas()
    yield "BLAS", "none that compiled programs can call" if found is None else found.source
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "threads", f"{workers.get_num_threads()} of {cores} cores (RUSHLIGHT_NUM_THREADS, torch.set_num_threads)"
    yield "compiler", _try_compiler()


def _try_compiler() -> str:
    """Whether a small program compiles, runs and is right."""
    import warnings

    import rushlight

    x = rushlight.linspace(0, 1, 1000)
    start = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = rushlight.compile(lambda v: (v * v).sum(), fullgraph=True)(x)
    except Exception as error:  # noqa: BLE001 - the reason is what is asked for
        return f"does not work: {type(error).__name__}: {error}"
    seconds = time.perf_counter() - start
    is_right = abs(result.item() - (x.numpy() ** 2).sum()) < 0.01
    return f"works, a first small program took {seconds:.2f} s" if is_right else f"gives wrong numbers: {result}"


def _devices() -> Iterator[tuple[str, str]]:
    from rushlight.cuda import report

    yield "cpu", platform.processor() or platform.machine()
    yield "meta", "shapes without data"
    yield from report.device_lines()


def _gpu() -> Iterator[tuple[str, str]]:
    from rushlight.cuda import report

    return report.lines()


def _cache() -> Iterator[tuple[str, str]]:
    from rushlight.compiler import cache

    place = cache.folder()
    files = list(place.glob("*.o")) if place.is_dir() else []
    size = sum(file.stat().st_size for file in files)
    yield "folder", f"{place} (RUSHLIGHT_CACHE_DIR)"
    yield "programs", f"{len(files)}, {size / 1e6:.1f} MB; delete the folder to start afresh"
