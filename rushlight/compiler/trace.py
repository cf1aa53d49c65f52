"""Recording a step: running Python once on symbolic arrays, and remembering what it touched outside.

While a `Recorder` is active in a thread, every operation there records nodes. Tensors that come from outside
(parameters, optimizer state, buffers) are lifted: their array is replaced, for the time of the recording, by a
symbolic array that is an input of the program. What was written to them, which `.grad`s were set and which
numbers of the host were read is known at the end (`Recording`), and everything outside is put back as it was.
"""

from __future__ import annotations

import contextlib
import threading
import traceback
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds
from rushlight.arrays.symbolic import DataDependentError, Node, SymbolicArray, symbolic
from rushlight.compiler.graph import Graph
from rushlight.ops import observers
from rushlight.ops.observers import HostNumber
from rushlight.tensor import Tensor


class CannotRecord(Exception):
    """What the step does cannot be a program; the message says what and where."""


class _Thread(threading.local):
    recorder: Recorder | None = None


_thread = _Thread()
observers.recorder = lambda: _thread.recorder


@dataclass(slots=True, eq=False)
class External:
    """A tensor from outside: input `slot` of the program is the memory of `tensor._array`."""

    slot: int
    tensor: Tensor
    array: ndarray
    needs_grad: bool
    argument: int | None  # its position among the arguments' tensors


@dataclass(slots=True, eq=False)
class Number:
    """A host number: input `slot` is `float(holder[key])`, read anew at each run."""

    slot: int
    holder: Any
    key: Any
    item: int | None  # of a tuple, such as Adam's betas
    value: float

    def read(self) -> float:
        found = self.holder[self.key]
        return float(found if self.item is None else found[self.item])


@dataclass(slots=True)
class Recording:
    """What a recorded step does: its graph, and what its inputs and outputs are outside."""

    graph: Graph
    externals: list[External]
    numbers: list[Number]
    comparisons: list[tuple[Number, str, float, bool]]  # which Python took a branch on: must come out the same again
    modules: list[tuple[Any, bool]]  # modules called, and whether they were training
    grads_read: list[tuple[Tensor, int | None, Any]]  # `.grad`s the step started from: (owner, argument, the gradient)
    result: Any  # what the step returned, with an `Output` for each tensor
    written: list[External]  # in the order of the graph's targets
    grads: list[tuple[Tensor, int | None, int | None]]  # (owner, its argument position, output slot or None for None)
    survivors: list[tuple[Tensor, int]]  # tensors made inside that outlived the step, and their output slots


@dataclass(frozen=True, slots=True)
class Output:
    """Stands for a tensor in a step's result: output `slot`, or an external tensor itself."""

    slot: int | None
    external: Tensor | None = None


class TracedNumber(HostNumber):
    """A host number while it is recorded: arithmetic is recorded, comparisons become conditions of the program."""

    __slots__ = ("symbol", "recorder", "source")

    def __new__(cls, value: float, symbol: SymbolicArray, recorder: Recorder, source: Number | None) -> TracedNumber:
        number = float.__new__(cls, value)
        number.symbol, number.recorder, number.source = symbol, recorder, source
        return number

    def _combined(self, value: Any, symbol: Any) -> Any:
        return TracedNumber(value, symbol, self.recorder, None)

    def _compare(self, name: str, other: Any) -> bool:
        outcome = getattr(float, name)(float(self), other)
        if outcome is not NotImplemented:
            self.recorder.note_comparison(self, name, other, outcome)
        return outcome

    def __bool__(self) -> bool:
        return self._compare("__ne__", 0.0)

    def __hash__(self) -> int:
        return float.__hash__(self)


def _define_arithmetic() -> None:
    def binary(name: str) -> Any:
        forward = getattr(float, name)

        def method(self: TracedNumber, other: Any) -> Any:
            if not isinstance(other, (int, float)):
                return NotImplemented
            symbol = other.symbol if isinstance(other, TracedNumber) else float(other)
            return self._combined(forward(float(self), float(other)), getattr(self.symbol, name)(symbol))

        return method

    for name in ("add", "sub", "mul", "truediv", "pow"):
        for full in (f"__{name}__", f"__r{name}__"):
            setattr(TracedNumber, full, binary(full))
    TracedNumber.__neg__ = lambda self: self._combined(-float(self), -self.symbol)  # type: ignore[method-assign]
    for name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__"):
        setattr(TracedNumber, name, lambda self, other, name=name: self._compare(name, other))


_define_arithmetic()


@dataclass(slots=True)
class Recorder:
    """Records what one thread does between `recording()`'s enter and exit."""

    inputs: list[Node] = field(default_factory=list)
    externals: dict[int, External] = field(default_factory=dict)  # by id of the tensor
    arrays: dict[int, tuple[ndarray, SymbolicArray]] = field(default_factory=dict)  # by id of the array
    numbers: list[Number] = field(default_factory=list)
    traced: dict[tuple, TracedNumber] = field(default_factory=dict)
    comparisons: list[tuple[Number, str, float, bool]] = field(default_factory=list)
    modules: dict[int, tuple[Any, bool]] = field(default_factory=dict)
    grads_before: dict[int, tuple[Tensor, Any]] = field(default_factory=dict)
    grads_read: list[tuple[Tensor, int | None, Any]] = field(default_factory=list)
    made: list[Any] = field(default_factory=list)
    arguments: dict[int, int] = field(default_factory=dict)
    differentiated: bool = False

    # ------------------------------------------------------------ what `ops.observers` tells

    def lift(self, tensor: Tensor) -> None:
        array = tensor._array
        if kinds.GPU is not None and tensor.is_cuda:
            raise CannotRecord(
                f"a tensor is on {tensor.device}, and recorded programs compute on the CPU{_user_line()}"
            )
        known = self.arrays.get(id(array))
        if known is None:
            slot = len(self.inputs)
            node = Node("input", (), {"index": slot}, array.shape, array.dtype)
            self.inputs.append(node)
            known = self.arrays[id(array)] = array, symbolic(node)
            known[1].storage.source = slot
        argument = self.arguments.get(id(tensor))
        external = External(known[1].storage.source, tensor, array, tensor._needs_grad, argument)
        self.externals[id(tensor)] = external
        tensor._array = known[1]

    def note_tensor(self, tensor: Tensor) -> None:
        self.made.append(weakref.ref(tensor))

    def note_grad(self, tensor: Tensor, is_read: bool) -> None:
        if id(tensor) not in self.grads_before:
            self.grads_before[id(tensor)] = tensor, tensor._grad
            if is_read:
                self.grads_read.append((tensor, self.arguments.get(id(tensor)), tensor._grad))

    def note_module(self, module: Any) -> None:
        self.modules.setdefault(id(module), (module, module.training))

    def note_comparison(self, number: TracedNumber, name: str, other: float, outcome: bool) -> None:
        if number.source is None:
            raise CannotRecord(f"Python branched on a number computed from a host number{_user_line()}")
        condition = (number.source, name, float(other), outcome)
        if condition not in self.comparisons:
            self.comparisons.append(condition)

    def refuse_value(self, tensor: Tensor, what: str) -> None:
        raise CannotRecord(f"Tensor.{what} needs a value, which is known only when the program runs{_user_line()}")

    # ------------------------------------------------------------ host numbers

    def number(self, holder: Any, key: Any, item: int | None = None) -> TracedNumber:
        """A number that is read again at each run: `holder[key]`, or its entry `item`."""
        at = id(holder), key, item
        if at not in self.traced:
            found = holder[key] if item is None else holder[key][item]
            source = Number(len(self.inputs), holder, key, item, float(found))
            node = Node("input", (), {"index": source.slot}, (), np.dtype(np.float64))
            self.inputs.append(node)
            self.numbers.append(source)
            self.traced[at] = TracedNumber(source.value, symbolic(node), self, source)
        return self.traced[at]

    # ------------------------------------------------------------ the end

    def restore(self) -> None:
        """Puts back what is outside as it was before the recording."""
        for external in self.externals.values():
            external.tensor._array = external.array
        for tensor, grad in self.grads_before.values():
            tensor._grad = grad

    def finish(self, result: Any) -> Recording:
        """The recording; the outside is still as the step left it."""
        outputs: list[Node] = []
        targets: list[int | None] = []
        slots: dict[int, int] = {}  # by id of the symbolic array's node

        def fresh(array: SymbolicArray) -> int:
            node = array.node
            if id(node) not in slots:
                slots[id(node)] = len(outputs)
                outputs.append(node)
                targets.append(None)
            return slots[id(node)]

        returned = map_leaves(result, Tensor, lambda t: self._output(t, fresh))
        in_result = {id(t) for t in _tensors_in(result)}
        grads, owned = [], set()
        for tensor, before in self.grads_before.values():
            now = tensor._grad
            if now is before and (now is None or type(now._array) is ndarray or id(now) in self.externals):
                continue
            if now is not None and id(now) not in self.externals:
                owned.add(id(now))
                # its own slot even if the value is also another output: each needs memory of its own
                outputs.append(now._array.node)
                targets.append(None)
                grads.append((tensor, self.arguments.get(id(tensor)), len(outputs) - 1))
            elif now is None:
                grads.append((tensor, self.arguments.get(id(tensor)), None))
        survivors = []
        for tensor in (reference() for reference in self.made):
            if tensor is None or id(tensor) in in_result or id(tensor) in owned or id(tensor) in self.externals:
                continue
            if type(tensor._array) is SymbolicArray and tensor._array.node.op != "meta":
                outputs.append(tensor._array.node)
                targets.append(None)
                survivors.append((tensor, len(outputs) - 1))
        written = self._written(outputs, targets)
        graph = Graph(self.inputs, outputs, targets)
        return Recording(
            graph, list(self.externals.values()), self.numbers, self.comparisons, list(self.modules.values()),
            self.grads_read, returned, written, grads, survivors,
        )  # fmt: skip

    def _output(self, tensor: Tensor, fresh: Any) -> Output:
        if id(tensor) in self.externals:
            return Output(None, tensor)
        if type(tensor._array) is ndarray:
            return Output(None, tensor)
        if tensor._needs_grad and not self.differentiated:
            raise CannotRecord(
                "the result requires gradients: compile the whole step, with backward() and the optimizer's step inside"
            )
        return Output(fresh(tensor._array))

    def _written(self, outputs: list[Node], targets: list[int | None]) -> list[External]:
        by_slot = {external.slot: external for external in self.externals.values()}
        written = []
        for array, value in self.arrays.values():
            if value.storage.version:
                external = by_slot[value.storage.source]
                if not (array.flags.c_contiguous and array.flags.writeable):
                    raise CannotRecord("the step writes to a tensor that is not contiguous in memory, or read-only")
                self._check_alone(array)
                outputs.append(value.storage.value)
                targets.append(external.slot)
                written.append(external)
        return written

    def _check_alone(self, array: ndarray) -> None:
        for other, _ in self.arrays.values():
            if other is not array and np.may_share_memory(array, other) and array.size and other.size:
                raise CannotRecord("the step writes to a tensor whose memory another tensor it uses is a view of")


@contextlib.contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Records what this thread does inside the block; puts the outside back as it was if the block raises."""
    if _thread.recorder is not None:
        raise CannotRecord("a program is being recorded already")
    observers.add(1)
    _thread.recorder = recorder
    try:
        yield
    except DataDependentError as error:
        recorder.restore()
        raise CannotRecord(f"{error}{_user_line(error)}") from None
    except BaseException:
        recorder.restore()
        raise
    finally:
        _thread.recorder = None
        observers.add(-1)


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Inside, operations compute at once: for what a step creates only the first time, such as optimizer state."""
    recorder, _thread.recorder = _thread.recorder, None
    try:
        yield
    finally:
        _thread.recorder = recorder


def current_recorder() -> Recorder | None:
    """The recorder of this thread, if it is recording."""
    return _thread.recorder


# ---------------------------------------------------------------- helpers


def _tensors_in(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors_in(item)


def map_leaves(value: Any, kind: type, function: Any) -> Any:
    """The same structure of lists, tuples and dicts, with `function` applied to everything of `kind` in it."""
    if isinstance(value, kind):
        return function(value)
    if isinstance(value, dict):
        return type(value)({key: map_leaves(item, kind, function) for key, item in value.items()})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[map_leaves(item, kind, function) for item in value])
    if isinstance(value, (list, tuple)):
        return type(value)([map_leaves(item, kind, function) for item in value])
    return value


def _user_line(error: BaseException | None = None) -> str:
    """`, at file:line: source` of the innermost frame that is not rushlight's."""
    frames = traceback.extract_tb(error.__traceback__) if error is not None else traceback.extract_stack()
    for frame in reversed(frames):
        if "/rushlight/" not in frame.filename.replace("\\", "/") and "contextlib" not in frame.filename:
            return f", at {frame.filename}:{frame.lineno}: {frame.line}"
    return ""
