"""`record`: what the forward pass tells only while it runs: lines, modules, and where a gradient's path is cut.

Python calls a profile function whenever a function returns (`sys.setprofile`), for this thread and this block only: outside
of it operations cost what they always cost. Seen from there, the results of operations carry their new node, and the callers'
frames say which line and which modules they came from. Results that require no gradient although an argument did are the
places where a path ends: `detach()`, `no_grad`, `argmax`, `.item()`.
"""

from __future__ import annotations

import linecache
import re
import sys
import weakref
from dataclasses import dataclass
from typing import Any

import numpy as np

from rushlight.autograd.graph.collect import Line, Value, value_of
from rushlight.autograd.graph.sources import short_path
from rushlight.autograd.modes import modes
from rushlight.tensor import Tensor

INNER = ("ops", "autograd", "api", "tensor", "arrays", "methods", "interop", "random", "compiler")
TO_PYTHON = {"item", "tolist", "numpy", "to_numpy", "__array__", "__float__", "__int__", "__bool__"}
CUTTING = {"detach", "detach_", "data"}
OF_SHAPE_ALONE = ("_like", "_shape", "size")
OF_NOTHING = ("new_", "empty")
CALLS = ("__call__", "call_with_hooks")
NOT_SHOWN, LIBRARYS, USERS, OTHERS = range(4)
NUM_LINES = 6


Place = tuple[str, int, str]  # file, line, function: a `Line` whose text has not been read yet


@dataclass(slots=True)
class Note:
    """What `record` saw of one recorded operation."""

    places: list[Place]
    module: str
    value: Value
    bad: str = ""  # "nan" or "inf", if the result has some

    @property
    def lines(self) -> list[Line]:
        return list(map(_line_at, self.places))


@dataclass(slots=True)
class Step:
    """A tensor that depends on one that requires gradients: how it was made, from which others."""

    what: str
    places: list[Place]
    parents: list[Step]
    needs_grad: bool
    reference: Any  # to the tensor, weak
    cut: str = ""  # why it requires no gradient: "detach", "no_grad", "not differentiable", "to Python"

    @property
    def lines(self) -> list[Line]:
        return list(map(_line_at, self.places))


class record:
    """Notes lines, modules and cut paths of what is computed in the block. `trace` and `why` find the notes themselves.

    The notes of the last block are kept until the next one begins. Functions run about ten times slower inside: it is for one
    step that you want to look at.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.autograd import graph
        >>> w = torch.ones(2, requires_grad=True)
        >>> with graph.record():
        ...     loss = (w.detach() * 3).sum()
        >>> graph.why(w, loss).reason
        'detached'
    """

    def __init__(self) -> None:
        self.notes: dict[int, Note] = {}
        self.steps: dict[int, Step] = {}
        self.cuts: list[Step] = []  # in the order in which they happened
        self._results: dict[int, Any] = {}
        self._names: dict[int, tuple[Any, str]] = {}
        self._kinds: dict[Any, int] = {}
        self._paths: dict[int, tuple[Any, dict[int, str]]] = {}
        self._before: Any = None

    def __enter__(self) -> record:
        global _latest
        _latest = self
        self._before = sys.getprofile()
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)
        self._paths.clear()  # they hold the modules
        self._kinds.clear()

    def saw(self, tensor: Tensor) -> bool:
        """Whether a tensor was computed in the block."""
        reference = self._results.get(id(tensor))
        return reference is not None and reference() is tensor

    def names(self) -> dict[int, str]:
        """{id of a parameter: its name} of the models that were called."""
        return {key: name for key, (reference, name) in self._names.items() if reference() is not None}

    # ------------------------------------------------------------ while it runs

    def _see(self, frame: Any, event: str, result: Any) -> None:
        if self._before is not None:  # a profiler
            self._before(frame, event, result)
        if event != "return" or result is None:
            return
        if not frame.f_globals.get("__name__", "").startswith("rushlight."):
            return
        if isinstance(result, Tensor):
            self._note(frame, (result,))
        elif isinstance(result, tuple) and result and isinstance(result[0], Tensor):
            self._note(frame, [part for part in result if isinstance(part, Tensor)])
        elif frame.f_code.co_name in TO_PYTHON:
            self._note_exit(frame)

    def _note(self, frame: Any, results: Any) -> None:
        given: list[Tensor] | None = None
        place: tuple[list[Place], str] | None = None
        for result in results:
            self._results[id(result)] = weakref.ref(result)
            for tensor in (result, result._view.base if result._view is not None else None):
                if tensor is not None and tensor._node is not None and tensor._node.serial not in self.notes:
                    place = place or self._place(frame)
                    note = Note(*place, value_of(tensor._array), _bad(tensor._array))
                    self.notes[tensor._node.serial] = note
            step = self.steps.get(id(result))
            if step is not None and step.reference() is not result:
                step = None
            if step is None or step.needs_grad != result._needs_grad:  # the second: detach_(), requires_grad_()
                given = _arguments(frame, results) if given is None else given
                parents = [parent for parent in map(self._step_of, given) if parent is not None]
                parents = parents if step is None else [step]
                name = _function_name(frame)
                if parents and not name.endswith(OF_SHAPE_ALONE) and not name.startswith(OF_NOTHING):
                    place = place or self._place(frame)
                    self._note_step(name, place[0], result, parents)

    def _note_step(self, name: str, places: list[Place], result: Tensor, parents: list[Step]) -> None:
        """Notes a tensor that depends on one that requires gradients."""
        step = Step(name, places, parents, result._needs_grad, weakref.ref(result))
        if not result._needs_grad and any(parent.needs_grad for parent in parents):
            step.cut = _cut_by(name, result)
            self.cuts.append(step)
        self.steps[id(result)] = step

    def _note_exit(self, frame: Any) -> None:
        """Notes that a tensor's values went to Python or NumPy."""
        tensor = frame.f_locals.get("self")
        step = self._step_of(tensor) if isinstance(tensor, Tensor) else None
        if step is not None and step.needs_grad:
            self.cuts.append(Step(frame.f_code.co_name, self._place(frame)[0], [step], False, None, "to Python"))

    def _step_of(self, tensor: Tensor) -> Step | None:
        """The step that made a tensor; a leaf that requires gradients is a step without parents."""
        step = self.steps.get(id(tensor))
        if step is not None and step.reference() is tensor:
            return step
        if not tensor._needs_grad:
            return None
        step = self.steps[id(tensor)] = Step("leaf", [], [], True, weakref.ref(tensor))
        return step

    def _place(self, frame: Any) -> tuple[list[Place], str]:
        """The lines that led to a frame, the user's innermost first, and the path of the module they are in."""
        own: list[Place] = []
        users: list[Place] = []
        modules: list[Any] = []
        while frame is not None:
            code = frame.f_code
            kind = self._kinds.get(code)
            if kind is None:
                kind = self._kinds[code] = _kind_of(frame)
            if code.co_name == "forward" and hasattr(module := frame.f_locals.get("self"), "named_modules"):
                modules.append(module)
            if kind == USERS and len(users) < NUM_LINES or kind == OTHERS and not users:
                users.append((code.co_filename, frame.f_lineno, code.co_name))
            elif kind == LIBRARYS and len(own) < NUM_LINES:
                own.append((code.co_filename, frame.f_lineno, code.co_name))
            frame = frame.f_back
        return users[:1] + own + users[1:], self._module_path(modules[::-1])

    def _module_path(self, modules: list[Any]) -> str:
        if not modules:
            return ""
        root = modules[0]
        if id(root) not in self._paths:
            paths = {id(module): name for name, module in root.named_modules()}
            named = list(root.named_parameters())
            if not named:  # a loss module beside the model
                paths = {key: f"{type(root).__name__}{'.' * bool(name)}{name}" for key, name in paths.items()}
            self._names.update((id(tensor), (weakref.ref(tensor), name)) for name, tensor in named)
            self._paths[id(root)] = root, paths
        paths = self._paths[id(root)][1]
        return next((paths[id(module)] for module in reversed(modules) if id(module) in paths), "")


_latest: record | None = None


def latest_record() -> record | None:
    """The notes of the last `record` block."""
    return _latest


def _kind_of(frame: Any) -> int:
    """Whose code a frame runs: the library's (and worth showing), a user's, or what runs scripts and tests."""
    name, code = frame.f_globals.get("__name__", ""), frame.f_code
    if not name.startswith("rushlight."):
        return OTHERS if "site-packages" in code.co_filename else USERS
    return NOT_SHOWN if name.split(".")[1] in INNER or code.co_name in CALLS else LIBRARYS


def _line_at(place: Place) -> Line:
    file, number, function = place
    return Line(short_path(file), number, function, linecache.getline(file, number).strip())


def lines_of_traceback(node: Any) -> list[Line]:
    """The lines that anomaly mode noted on a node, innermost first."""
    noted = getattr(getattr(node, "extras", None), "metadata", {}).get("traceback_", ())
    found = [re.match(r'\s*File "(.*)", line (\d+), in (.*)\n?\s*(.*)', entry) for entry in reversed(noted)]
    return [Line(short_path(m[1]), int(m[2]), m[3], m[4]) for m in found[:NUM_LINES] if m is not None]


def _function_name(frame: Any) -> str:
    """What the user called: operations are closures that all have one name (`ops.short_paths`)."""
    name = frame.f_code.co_name
    return getattr(frame.f_locals.get("op"), "name", name) if name == "call" else name


def _arguments(frame: Any, results: Any) -> list[Tensor]:
    """The tensors among a function's arguments, those in tuples and lists included."""
    code, found = frame.f_code, []
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(part, Tensor) and not any(part is result for result in results):
                found.append(part)
    return found


def _cut_by(name: str, result: Tensor) -> str:
    if name in CUTTING:
        return "detach"
    if result._array.dtype.kind in "biu":
        return "not differentiable"
    return "not differentiable" if modes.grad else "no_grad"


def _bad(array: Any) -> str:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc" or np.isfinite(array).all():
        return ""
    return "nan" if np.isnan(array).any() else "inf"
