"""`import torch` served by rushlight, so that a PyTorch program runs as it is.

    python -m rushlight train.py --epochs 3        # a whole program
    handle = rushlight.as_torch()                  # in a notebook, until handle.undo()

`torch` and `torch.nn` are then the very modules `rushlight` and `rushlight.nn`, nothing stands between. What is not in them
is named with the nearest that is: for that the modules get a class that says so, and get their own back afterwards.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from typing import Any

VERSION = "2.13.0"  # of PyTorch: what programs that look at `torch.__version__` are to expect

# What has no counterpart by a similar name.
INSTEAD = {
    "distributed": "one process; torch.utils.data.DistributedSampler takes num_replicas and rank",
    "onnx": "save a state_dict() with torch.save, and export with PyTorch",
    "export": "torch.compile",
    "fx": "torch.compile",
    "quantization": "torch.bfloat16, which halves memory",
    "DataParallel": "the model itself: all cores are used without it",
}
# Where else a name may be, that a program looks for in the wrong place.
PLACES = ("", "nn", "nn.functional", "nn.utils", "optim", "linalg", "special", "fft", "utils.data", "autograd", "func")


class _Served(types.ModuleType):
    """A module of rushlight while it stands for one of PyTorch's."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what Python itself looks for
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        # A submodule that PyTorch has loaded and we load when it is asked for.
        full_name = f"{self.__name__}.{name}"
        if "__path__" in self.__dict__ and _is_module(full_name):
            return importlib.import_module(full_name)
        message = missing(f"{_torch_name(self.__name__)}.{name}")
        if _is_import(sys._getframe(1)):
            raise ImportError(message, name=_torch_name(self.__name__))
        raise AttributeError(message, name=name)


class _ServedTop(_Served):
    """The package itself, which says the version of PyTorch that it stands for."""

    @property
    def __version__(self) -> str:  # a property goes before the module's own
        return f"{VERSION}+rushlight.{self.__dict__['__version__']}"


def _is_import(frame: types.FrameType) -> bool:
    """Whether a frame is at `from torch import name`: Python would say in its own words what an AttributeError said."""
    from opcode import opmap

    return frame.f_code.co_code[frame.f_lasti] == opmap["IMPORT_FROM"]


def _is_module(name: str) -> bool:
    """Whether there is a module of this name, loaded or not."""
    from importlib.util import find_spec  # 13 ms with what it loads

    return name in sys.modules or find_spec(name) is not None


def _torch_name(name: str) -> str:
    return "torch" + name.removeprefix("rushlight")


def missing(name: str) -> str:
    """The one line that says what is not here, and what is: "torch.reul is not in rushlight; nearest: torch.relu"."""
    place, _, last = name.rpartition(".")
    nearest = INSTEAD.get(last) or _elsewhere(last) or _similar(place, last)
    return f"{name} is not in rushlight" + (f"; nearest: {nearest}" if nearest else "")


def _names_in(place: str) -> dict[str, Any]:
    module = sys.modules.get(f"rushlight.{place}".rstrip("."))
    return {} if module is None else vars(module)


def _elsewhere(name: str) -> str | None:
    for place in PLACES:
        if name in _names_in(place) and not name.startswith("_"):
            return ".".join(part for part in ("torch", place, name) if part)
    return None


def _similar(place: str, name: str) -> str | None:
    import difflib

    inside = place.removeprefix("torch").lstrip(".")
    names = [other for other in _names_in(inside) if not other.startswith("_")]
    found = difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(name.rstrip("_"), names, n=1)
    return f"{place}.{found[0]}" if found else None


class _Finder:
    """Answers for `torch` and everything below it, before any that is installed."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: Any = None) -> ModuleSpec | None:
        if name != "torch" and not name.startswith("torch."):
            return None
        own = "rushlight" + name.removeprefix("torch")
        parent, _, last = own.rpartition(".")
        if not _is_module(own) and not isinstance(vars(sys.modules[parent]).get(last), types.ModuleType):
            raise ModuleNotFoundError(missing(name), name=name)
        return ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: ModuleSpec) -> None:
        """A plain module, which is put aside at once."""

    def exec_module(self, module: types.ModuleType) -> None:
        name = module.__name__
        own = "rushlight" + name.removeprefix("torch")
        parent, _, last = own.rpartition(".")
        try:
            served = importlib.import_module(own)
        except ModuleNotFoundError:
            served = vars(sys.modules[parent])[last]  # a module by another name, such as torch.utils.dlpack
        _dress(served)
        sys.modules[name] = served


_FINDER = _Finder()
_num_users = 0
_set_aside: dict[str, types.ModuleType] = {}  # PyTorch itself, if it was imported


def _dress(module: types.ModuleType) -> None:
    if type(module) is types.ModuleType and module.__name__.partition(".")[0] == "rushlight":
        module.__class__ = _ServedTop if module.__name__ == "rushlight" else _Served


def _take_out_torch() -> dict[str, types.ModuleType]:
    names = [name for name in sys.modules if name == "torch" or name.startswith("torch.")]
    return {name: sys.modules.pop(name) for name in names}


class Handle:
    """What `as_torch` gives: `undo()` ends it, and so does the end of a `with` block."""

    def __init__(self) -> None:
        self._is_active = True

    def undo(self) -> None:
        """`import torch` means PyTorch again; what was imported stays what it is."""
        global _num_users
        if not self._is_active:
            return
        self._is_active = False
        _num_users -= 1
        if _num_users:
            return
        sys.meta_path.remove(_FINDER)  # type: ignore[arg-type]
        _take_out_torch()
        sys.modules.update(_set_aside)
        _set_aside.clear()
        for module in list(sys.modules.values()):
            if isinstance(module, _Served):
                module.__class__ = types.ModuleType  # type: ignore[assignment]

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *error: object) -> None:
        self.undo()


def as_torch() -> Handle:
    """From now on `import torch` gives rushlight, and `torch.nn` and all others its modules.

    Returns:
        A handle: `handle.undo()`, or `with rushlight.as_torch():` for a block.

    Example:
        >>> import rushlight
        >>> with rushlight.as_torch():
        ...     import torch.nn.functional as F
        >>> F is rushlight.nn.functional
        True
    """
    global _num_users
    if not _num_users:
        _set_aside.update(_take_out_torch())
        sys.meta_path.insert(0, _FINDER)  # type: ignore[arg-type]
        for name, module in list(sys.modules.items()):
            if name == "rushlight" or name.startswith("rushlight."):
                _dress(module)
    _num_users += 1
    return Handle()
