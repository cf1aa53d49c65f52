"""Every name of CuPy that the package asks for is there, also where no test comes by."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import cupy

PACKAGE = Path(__file__).parents[2] / "rushlight"


def _chain(node: ast.AST) -> list[str] | None:
    """["cuda", "Stream"] of `cupy.cuda.Stream` and of `library.cupy().cuda.Stream`."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "cupy":
        return names[::-1]
    return names[::-1] if isinstance(node, ast.Name) and node.id == "cupy" else None


def _asked() -> dict[str, str]:
    """ "cuda.Stream" and where it is asked for."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and (names := _chain(node)):
                found.setdefault(".".join(names), f"{path.relative_to(PACKAGE)}:{node.lineno}")
    return found


def test_names_exist() -> None:
    asked = _asked()
    assert {"cuda.Stream", "cuda.runtime.memGetInfo", "get_default_memory_pool"} <= set(asked)
    missing = []
    for name, place in asked.items():
        value: Any = cupy
        for part in name.split("."):
            if isinstance(value, type) and part not in dir(value):  # an attribute of objects
                missing.append(f"{place}: cupy.{name}")
            value = getattr(value, part, None)
        if value is None and not _is_there(name):
            missing.append(f"{place}: cupy.{name}")
    assert missing == []


def _is_there(name: str) -> bool:
    parent, _, last = name.rpartition(".")
    value: Any = cupy
    for part in parent.split("."):
        value = getattr(value, part, None) if part else value
    return value is not None and hasattr(value, last)
