"""How operations are noticed while a profiler records: by their code, from the interpreter's own report of calls.

`sys.setprofile` calls a function at every Python call and return of a thread. Most are let through after one look
into a dictionary. An event is made for the code of: an operation (`ops.short_paths` builds their functions, which know their
`op`); a function of PyTorch's API; the derivative of a node; an optimizer's step; a compiled function.

Memory is that of results which own their data: where it goes again is noticed by weak references.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

import numpy as np

from rushlight.ops import short_paths
from rushlight.profiler.events import FunctionEvent
from rushlight.tensor import Tensor

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_Naming = Callable[[FrameType], str | None]

_ORIGIN = time.perf_counter_ns()  # of all times

active: Recorder | None = None  # what `record_function` asks


class Recorder:
    """Records events from `start` to `stop`, on the thread that starts it and on threads started meanwhile."""

    def __init__(self, record_shapes: bool, profile_memory: bool, with_stack: bool, with_flops: bool):
        self.record_shapes, self.profile_memory = record_shapes, profile_memory
        self.with_stack, self.with_flops = with_stack, with_flops
        self.events: list[FunctionEvent] = []
        self._names = _known_code()
        self._local = threading.local()
        self._ids, self._threads = itertools.count(1), itertools.count(1)
        self._living: dict[int, tuple[weakref.ref, int]] = {}  # of results: the array, and its bytes

    def start(self) -> None:
        global active
        if active is not None:
            raise RuntimeError("Profiler is already enabled on this thread")
        active = self
        threading.setprofile(self._on_call)
        sys.setprofile(self._on_call)

    def stop(self) -> None:
        global active
        sys.setprofile(None)
        threading.setprofile(None)
        active = None
        self._living.clear()
        now = self._now()
        for event, _ in self._stack():  # blocks that are left later
            event.time_range.end = now

    def _now(self) -> float:
        return (time.perf_counter_ns() - _ORIGIN) / 1e3

    def _stack(self) -> list[tuple[FunctionEvent, Any]]:
        """The open events of this thread, each with its frame (None for a block)."""
        local = self._local
        try:
            return local.stack
        except AttributeError:
            local.stack, local.thread = [], next(self._threads)
            return local.stack

    # ------------------------------------------------------------ events

    def _on_call(self, frame: FrameType, kind: str, result: Any) -> None:
        if active is not self:  # a thread that was started meanwhile, and outlives the recording
            sys.setprofile(None)
        elif kind == "call":
            naming = self._names.get(frame.f_code, False)
            if naming is False:
                naming = self._names[frame.f_code] = _naming_of(frame.f_code)
            if naming is not None:
                name = naming(frame)
                stack = self._stack()
                # a function of the API and the operation of its name are one event
                if name is not None and not (stack and stack[-1][0].name == name):
                    self._open(name, frame)
        elif kind == "return" and self._names.get(frame.f_code) is not None:
            stack = self._stack()
            if stack and stack[-1][1] is frame:
                self._close(result)

    def _open(self, name: str, frame: FrameType) -> None:
        event = self.open_block(name, frame)
        if self.record_shapes or self.with_flops:
            arguments = _arguments(frame)
            if self.record_shapes:
                event.input_shapes = [list(getattr(x, "shape", ())) for x in arguments]
            if self.with_flops:
                event.flops = _flops(name, arguments)
        if self.with_stack:
            event.stack = _callers(frame)
        event.time_range.start = self._now()

    def open_block(self, name: str, frame: FrameType | None = None) -> FunctionEvent:
        stack = self._stack()
        event = FunctionEvent(next(self._ids), name, self._local.thread, is_user_annotation=frame is None)
        if stack:
            event.cpu_parent = stack[-1][0]
            event.cpu_parent.cpu_children.append(event)
        stack.append((event, frame))
        self.events.append(event)
        event.time_range.start = self._now()
        return event

    def _close(self, result: Any) -> None:
        event, _ = self._stack().pop()
        event.time_range.end = self._now()
        if self.profile_memory:
            for part in result if isinstance(result, (tuple, list)) else (result,):
                array = part._array if isinstance(part, Tensor) else part
                if isinstance(array, np.ndarray):
                    event.self_cpu_memory_usage += self._new_bytes(array)

    def close_block(self, event: FunctionEvent) -> None:
        stack = self._stack()
        if any(opened is event for opened, _ in stack):
            now = self._now()
            while stack:  # also what an exception has left open
                opened, _ = stack.pop()
                opened.time_range.end = now
                if opened is event:
                    break

    # ------------------------------------------------------------ memory

    def _new_bytes(self, array: np.ndarray) -> int:
        """Of an array that owns its data and has not been seen: views and arguments that are passed on are not new."""
        if array.base is not None or id(array) in self._living:
            return 0
        key, num_bytes = id(array), array.nbytes
        self._living[key] = weakref.ref(array, lambda _: self._gone(key)), num_bytes
        return num_bytes

    def _gone(self, key: int) -> None:
        _, num_bytes = self._living.pop(key, (None, 0))
        stack = self._stack()
        if stack and active is self:
            stack[-1][0].self_cpu_memory_usage -= num_bytes


class record_function:
    """A block, or the calls of a function, as one event of its own in what a profiler records.

    Args:
        name: the event's name.
        args: a note, which is not used.

    Example:
        >>> import rushlight as torch
        >>> with torch.profiler.profile() as prof:
        ...     with record_function("mine"):
        ...         _ = torch.ones(2) * 2
        >>> [event.key for event in prof.key_averages()]
        ['mine', 'aten::ones', 'aten::mul']
    """

    def __init__(self, name: str, args: str | None = None):
        self.name, self.args = name, args
        self._opened: list[tuple[Recorder | None, FunctionEvent | None]] = []

    def __enter__(self) -> record_function:
        recorder = active
        self._opened.append((recorder, None if recorder is None else recorder.open_block(self.name)))
        return self

    def __exit__(self, *_: object) -> None:
        recorder, event = self._opened.pop()
        if recorder is not None and event is not None and recorder is active:
            recorder.close_block(event)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name, self.args):
                return function(*args, **kwargs)

        return wrapped


# ---------------------------------------------------------------- which code is an operation


@functools.cache
def _known_code() -> dict[CodeType, _Naming | None]:
    """For the code of functions that make an event, what its name is, of its frame. What is met later is added."""
    import rushlight as torch
    from rushlight.compiler.function import CompiledStep
    from rushlight.optim.optimizer import Optimizer

    names: dict[CodeType, _Naming | None] = {}
    spaces = [
        (Tensor, ""), (torch, ""), (torch.nn.functional, ""), (torch.linalg, "linalg_"), (torch.fft, "fft_"),
        (torch.special, "special_"),
    ]  # fmt: skip
    for space, prefix in spaces:
        for name, function in vars(space).items():
            computation = _computation(function)
            if computation is not None and not name.startswith("_"):
                own = computation.__name__  # one function may have several names, and wrappers of other names around it
                name = own if hasattr(space, own) else name
                names.setdefault(computation.__code__, functools.partial(_constant, f"aten::{prefix}{name}"))
    for kind in (Optimizer, *Optimizer.__subclasses__()):  # whose steps hooks are wrapped around
        for method in (kind.step, kind.zero_grad):
            names[inspect.unwrap(method).__code__] = _name_of_optimizer
    names[CompiledStep.__call__.__code__] = functools.partial(_constant, "Torch-Compiled Region")
    return names


def _naming_of(code: CodeType) -> _Naming | None:
    """For code that is not of the API: the functions that `ops.short_paths` builds, and those that differentiate nodes."""
    if not code.co_filename.startswith(_PACKAGE):
        return None
    if code.co_filename == short_paths.__file__ and code.co_name == "call" and "op" in code.co_freevars:
        return _name_of_op
    return _name_of_node if code.co_name == "differentiate" and "node" in code.co_varnames else None


def _computation(function: Any) -> Any:
    """A function of PyTorch's API that computes, without its wrappers; None if it is none."""
    if not inspect.isfunction(function) or hasattr(function, "op"):
        return None
    function = inspect.unwrap(function)
    module = function.__module__ or ""
    is_computation = module.startswith(("rushlight.api.", "rushlight.nn.", "rushlight.ops.create"))
    return function if is_computation and not module.startswith("rushlight.api.query") else None


def _constant(name: str, frame: FrameType) -> str:
    return name


def _name_of_op(frame: FrameType) -> str | None:
    op, caller = frame.f_locals["op"], frame.f_back
    if caller is not None and caller.f_code is frame.f_code and caller.f_locals["op"] is op:
        return None  # handed on to the short path of another kind of array
    return f"aten::{op.name}"


def _name_of_node(frame: FrameType) -> str:
    return frame.f_locals["node"].name()


def _name_of_optimizer(frame: FrameType) -> str:
    kind, method = type(frame.f_locals["self"]).__name__, frame.f_code.co_name
    return f"Optimizer.{method}#{kind}.{method}"


# ---------------------------------------------------------------- what is noted of a call


def _arguments(frame: FrameType) -> list[Any]:
    """The positional arguments of a call, the variable ones among them."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames
    arguments = [values.get(name) for name in names[: code.co_argcount] if name != "self"]
    if code.co_flags & inspect.CO_VARARGS:
        arguments += values.get(names[code.co_argcount + code.co_kwonlyargcount], ())
    return arguments


def _callers(frame: FrameType) -> list[str]:
    """Where the user's code called, the innermost frame first."""
    found, caller = [], frame.f_back
    while caller is not None:
        code = caller.f_code
        if not code.co_filename.startswith(_PACKAGE):
            found.append(f"{code.co_filename}({caller.f_lineno}): {code.co_name}")
        caller = caller.f_back
    return found


def _flops(name: str, arguments: list[Any]) -> int:
    """Of a matrix product two for each product of numbers, of a sum or product of elements one."""
    shapes = [tuple(x.shape) for x in arguments if isinstance(x, Tensor)]
    if name in ("aten::add", "aten::mul") and shapes:
        return max(math.prod(shape) for shape in shapes)
    if name in ("aten::matmul", "aten::mm", "aten::bmm", "aten::addmm") and len(shapes) >= 2:
        a, b = shapes[-2:]
        if a and b:
            columns = b[-1] if len(b) > 1 else 1
            batch = max(math.prod(a[:-2]), math.prod(b[:-2]))
            return 2 * batch * (a[-2] if len(a) > 1 else 1) * a[-1] * columns
    return 0
