"""What the package asks of CuPy, and what the simulated one has, is in the real one, by the same arguments."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from gpu.simulated import cuda as simulated, real as cupy

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


def _arguments(function: Any) -> list[str] | None:
    """Names of arguments, by the signature that Cython writes into a function's text."""
    first = (inspect.getdoc(function) or "").partition("\n")[0]
    found = re.match(r"[\w.]+\((.*?)\)( ->|$)", first)
    if found is None:
        return None
    names = [part.partition("=")[0].split(":")[0].split()[-1] for part in found[1].split(",") if part.strip()]
    return [name for name in names if name != "self"]


# Of `Device` and `MemoryPool` the real one does not say what they take.
CALLED = [
    "Stream", "ExternalStream", "Event", "alloc", "set_allocator", "get_current_stream",
    "get_device_id", "get_elapsed_time", "alloc_pinned_memory", "runtime.getDeviceCount", "runtime.getDevice",
    "runtime.setDevice", "runtime.getDeviceProperties", "runtime.memGetInfo", "runtime.deviceCanAccessPeer",
    "runtime.driverGetVersion", "nvtx.RangePush", "nvtx.RangePop", "nvtx.Mark", "MemoryPool.malloc",
    "MemoryPool.set_limit", "MemoryPool.free_all_blocks", "MemoryPool.used_bytes", "MemoryPool.total_bytes",
    "MemoryPool.get_limit", "Stream.record", "Stream.wait_event", "Stream.use", "Stream.synchronize", "Event.record",
    "Event.synchronize", "Device.use", "Device.synchronize",
]  # fmt: skip


def _value(root: Any, name: str) -> Any:
    for part in name.split("."):
        root = getattr(root, part)
    return root


@pytest.mark.parametrize("name", CALLED)
def test_arguments_are_those_of_the_real_one(name: str) -> None:
    theirs, ours = _value(cupy.cuda, name), _value(simulated, name)
    if isinstance(theirs, type):
        theirs = theirs.__init__
    names = [argument for argument in inspect.signature(ours).parameters if argument != "self"]
    assert names == _arguments(theirs)


def test_every_simulated_name_is_a_real_one() -> None:
    own = {"COUNT", "CAPACITY", "BLOCK", "capacities", "current_device", "get_default_memory_pool", "marks", "CUDARuntimeError",
           "OutOfMemoryError"}  # fmt: skip
    names = {
        name
        for name, value in vars(simulated).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and getattr(value, "__module__", "") == simulated.__name__
    }
    assert {name for name in names - own if not hasattr(cupy.cuda, name)} == set()
    for name in ("Stream", "Event", "MemoryPool", "Device"):
        there = {item for item in vars(getattr(simulated, name)) if not item.startswith("_")} - {"use"}
        assert {item for item in there if not hasattr(getattr(cupy.cuda, name), item)} == set()
