"""What `import rushlight` loads, and that the folders import one way."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "rushlight"
HEAVY = {"cupy", "llvmlite", "matplotlib", "ml_dtypes", "safetensors", "scipy", "tensorboardX", "torch", "tqdm"}

# Which part of the package (a folder, or a file beside it) may import which. A part not named here may import none.
# "now" is at import time; "later" is inside a function, where the order of loading or a lazy load asks for it.
BASE = {"devices", "dtypes", "layouts", "return_types"}
# A tensor has history, history is of operations, operations make tensors: these three need each other.
CORE = BASE | {"arrays", "autograd", "ops", "random", "tensor"}
NOW: dict[str, set[str]] = {
    "devices": set(),
    "dtypes": set(),
    "layouts": set(),
    "return_types": set(),
    "random": {"devices", "dtypes"},
    "arrays": {"devices", "dtypes", "settings"},
    "func": CORE | {"nn", "utils"},
    "tensor": BASE | {"arrays", "autograd", "ops"},
    "autograd": {"arrays", "dtypes", "ops", "random", "tensor"},
    "ops": CORE,
    "api": CORE,
    "printing": BASE | {"arrays", "tensor"},
    # The tables of other libraries' functions are in terms of PyTorch's names: they import the package itself, late.
    "interop": CORE | {"api", "array_api"},
    "array_api": {"devices", "dtypes", "tensor"},
    "methods": CORE | {"api", "interop"},
    "signal": {"api"},
    "special": {"api"},
    "legacy": {"dtypes", "ops", "tensor"},
    "fft": {"api"},
    "masked": {"api", "dtypes", "ops", "tensor"},
    "linalg": {"api", "arrays", "tensor"},
    "accelerator": {"devices"},
    "errors": set(),
    "backends": {"settings"},
    "multiprocessing": set(),
    "version": set(),
    "serving": set(),
    "doctor": set(),
    "__main__": set(),
    "amp": {"autograd", "compiler", "devices", "dtypes", "ops", "tensor"},
    "cpu": {"amp", "dtypes"},
    "cuda": {"amp", "arrays", "devices", "dtypes", "errors", "legacy", "random", "tensor"},
    "compiler": {"arrays", "autograd", "ops", "random", "tensor"},
    "optim": {"arrays", "autograd", "compiler", "devices", "dtypes", "nn", "ops", "tensor"},
    "nn": CORE | {"api"},
    "serialization": BASE | {"api", "arrays", "nn", "ops", "tensor"},
    "utils": CORE | {"accelerator", "amp", "api", "interop"},
    "settings": set(),
    "later": set(),
    # These are loaded when first asked for. Most are programs on PyTorch's functions: they import the package itself.
    "distributions": {"nn", "tensor"},
    "testing": {"tensor"},
    "profiler": {"ops", "tensor"},
    "hub": set(),
    "jit": {"nn"},
    "overrides": {"tensor"},
    "types": {"devices", "dtypes", "layouts", "tensor"},
    "__config__": set(),
    "_dynamo": set(),
    "__init__": CORE
    | {
        "accelerator",
        "backends",
        "legacy",
        "api",
        "amp",
        "compiler",
        "cpu",
        "errors",
        "fft",
        "func",
        "masked",
        "linalg",
        "interop",
        "later",
        "methods",
        "nn",
        "optim",
        "printing",
        "serialization",
        "serving",
        "settings",
        "signal",
        "special",
        "utils",
    },
}
LATER: dict[str, set[str]] = {
    "devices": {"arrays", "autograd"},  # what is known of a GPU; where new tensors come to be
    "arrays": {
        "backends",
        "cuda",
        "settings",
    },  # CuPy and cuDNN, if there is a GPU; whether sums have to be reproducible
    "backends": {"arrays"},
    "__main__": {"doctor", "serving"},
    "doctor": {"compiler", "cuda"},
    "accelerator": {"cuda"},
    # derivatives of functions, and their checks, use transforms and draw numbers; the profiler has an older name here
    "autograd": {"api", "func", "profiler"},
    "random": {"tensor"},  # a state is a tensor
    "func": {"api"},
    "api": {"cuda", "nn"},  # pinned memory; stft pads
    "nn": {"compiler"},  # Module.compile
    "ops": {"compiler", "cuda"},  # an operation of many steps runs as one program on large arrays; pinned memory
    "utils": {"compiler"},  # a worker process keeps to one thread
    "tensor": {"printing"},
    "profiler": {"compiler", "optim"},  # to know their code
}


def test_import_loads_nothing_heavy() -> None:
    code = f"import sys, rushlight; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_parts_are_loaded_when_asked_for() -> None:
    code = (
        "import operator, sys, rushlight; from rushlight.later import PARTS\n"
        "names = [*PARTS, 'utils.benchmark', 'utils.tensorboard', 'autograd.profiler']\n"
        "assert not {f'rushlight.{name}' for name in names} & set(sys.modules)\n"
        "for name in names: operator.attrgetter(name)(rushlight)\n"
        "assert {f'rushlight.{name}' for name in names} <= set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, check=True)


def test_import_is_quiet() -> None:
    command = [sys.executable, "-W", "error", "-c", "import rushlight"]
    done = subprocess.run(command, cwd=PACKAGE.parent, check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path: Path) -> list[tuple[str, bool, int]]:
    """Of a file: (part of the package it imports, whether at import time, line)."""
    found = []

    def visit(node: ast.AST, now: bool) -> None:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            module = node.module or ""
            modules = [f"{module}.{name.name}" for name in node.names] if module == "rushlight" else [module]
        elif isinstance(node, ast.Import):
            modules = [name.name for name in node.names]
        else:
            modules = []
        found.extend((module.split(".")[1], now, node.lineno) for module in modules if module.startswith("rushlight."))
        inside = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for child in ast.iter_child_nodes(node):
            visit(child, now and not inside)

    visit(ast.parse(path.read_text()), True)
    return found


def test_folders_import_one_way() -> None:
    wrong, used = [], defaultdict(set)
    for path in sorted(PACKAGE.rglob("*.py")):
        source = part_of(path)
        allowed = {True: NOW.get(source, set()), False: NOW.get(source, set()) | LATER.get(source, set())}
        for target, now, line in imports_of(path):
            used[source].add(target)
            if target != source and target not in allowed[now]:
                when = "at import time" if now else "in a function"
                wrong.append(f"{path.relative_to(PACKAGE)}:{line}: {source} imports {target} {when}")
    assert not wrong, "\n".join(wrong)
    assert not used["arrays"] & {"tensor", "ops", "autograd"}


def test_every_part_of_the_package_is_listed() -> None:
    parts = {part_of(path) for path in PACKAGE.rglob("*.py")}
    assert parts <= set(NOW), f"say in NOW what these may import: {sorted(parts - set(NOW))}"
