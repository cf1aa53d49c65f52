"""An optimizer's update, compiled.

Updates are compiled at once for large models, after `PATIENCE` updates for small ones, where compiling takes longer than
it saves in a short run. Elementwise methods are compiled as a template for all parameters (each.py); what is not, as a
program for each, from the second update on, since the first may create state.
"""

from __future__ import annotations

import time
from operator import is_
from typing import TYPE_CHECKING, Any

from numpy import ndarray

from rushlight.arrays.sparse import SparseArray
from rushlight.optim.each import Pending, each_update, options_of, traced_group
from rushlight.tensor import Tensor, wrap

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer

LARGE = 100_000  # elements in all: an eager update of that many takes longer than a few small kernels' overhead
PATIENCE = 20  # eager updates of a small model before it is compiled
BUDGET = 0.2  # seconds that one update may compile


class CompiledUpdate:
    """The programs of one optimizer, by which parameters have gradients, and how many entries sparse ones have."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self.programs: dict[tuple, Any] = {}
        self.eager_updates: dict[tuple, int] = {}
        self.templates: dict[tuple, Any] = {}  # of each.py
        self.is_off = False
        self.last: tuple[list[Tensor], Any] | None = None  # the program of all parameters, if that is what ran last

    def run_again(self) -> bool:
        """Runs the last program once more, if every parameter has a gradient and nothing it depends on has changed."""
        if self.last is None:
            return False
        params, program = self.last
        grads = [param._grad for param in params]
        for grad in grads:
            if grad is None:
                return False
        if program.has_sparse and program.key != _key(params, grads):  # type: ignore[arg-type]
            return False
        arguments: Any = _arguments(grads) if program.has_sparse else grads  # type: ignore[arg-type]
        if not self._still_holds(program, arguments):
            return False
        program.run(arguments)
        return True

    def run(self, pending: Pending) -> bool:
        """Updates by a compiled program, if there is one or it is time for one; else False, and nothing is done."""
        if self.is_off or not pending:
            return False
        params, grads = [param for param, _, _, _ in pending], [grad for _, grad, _, _ in pending]
        key = _key(params, grads)
        program = self.programs.get(key)
        done = self.eager_updates.get(key, 0)
        if program is None and not self._is_time(done, pending):
            self.eager_updates[key] = done + 1
            return False
        arguments = _arguments(grads)
        if program is None or not self._still_holds(program, arguments):
            try:
                program = self._compile(key, pending, arguments, is_first=program is None and not done)
            except ImportError:  # there is no compiler: everything runs on NumPy
                self.is_off, program = True, None
        if program is None:
            self.eager_updates[key] = done + 1
            return False
        program.run(arguments)
        if len(pending) == sum(len(group["params"]) for group in self.optimizer.param_groups):
            self.last = params, program
        return True

    def _is_time(self, done: int, pending: Pending) -> bool:
        is_large = sum(param._array.size for param, _, _, _ in pending) >= LARGE
        return done >= PATIENCE or is_large or pending[0][0].is_cuda  # launches are what costs on a GPU

    def _options(self) -> list[tuple]:
        return [options_of(group) for group in self.optimizer.param_groups]

    def _still_holds(self, program: Any, arguments: list[Tensor]) -> bool:
        """Whether options, states and all that a program was compiled for are as they were."""
        state_of = self.optimizer.state.get
        for param, count, values in program.states:
            state = state_of(param, ())
            if len(state) != count or not all(map(is_, state.values(), values)):  # type: ignore[union-attr]
                return False
        for group, values in zip(self.optimizer.param_groups, program.values, strict=True):
            if not all(map(is_, group.values(), values)):  # a rate may be another one: then look closely
                if program.options != self._options():
                    return False
                program.values, program.is_stale = self._values(), True
                break
        return program.broken_guard(arguments) is None

    def _values(self) -> list[list[Any]]:
        return [list(group.values()) for group in self.optimizer.param_groups]

    def _compile(self, key: tuple, pending: Pending, arguments: list[Tensor], is_first: bool) -> Any:
        if not all(_is_plain(param) and _is_plain(grad) for param, grad, _, _ in pending):
            return None
        program: Any = each_update(self.optimizer, pending, self.templates)
        if program is None and not is_first and not any(param.is_cuda for param, _, _, _ in pending):
            # not at first, which may leave state behind
            program = OneByOne(self.optimizer, pending)
        if program is None:
            return None
        program.options, program.key = self._options(), key
        program.has_sparse = any(grad.is_sparse for _, grad, _, _ in pending)
        program.values = self._values()
        tensors_only = all(isinstance(x, Tensor) for _, _, state, _ in pending for x in state.values())
        states = [(param, len(state), list(state.values())) for param, _, state, _ in pending if state]
        program.states = states if tensors_only else []  # numbers are others after each update: they are not bound
        self.programs[key] = program
        return program


class OneByOne:
    """A program for each parameter; native code is shared by those of one shape.

    Such programs take a tenth of a second or two to compile. So no update compiles for longer than `BUDGET`: parameters
    whose turn has not come are updated eagerly, and small ones are, until it is known that there will be many updates.
    """

    options: Any
    key: Any
    values: Any
    states: Any
    has_sparse: bool
    is_stale = False

    def __init__(self, optimizer: Optimizer, pending: Pending):
        self.optimizer, self.updates = optimizer, 0
        self.parts = [(param, state, group) for param, _, state, group in pending]
        self.programs: list[Any] = [None] * len(pending)

    def broken_guard(self, arguments: list[Tensor]) -> str | None:
        """Guards are looked at parameter by parameter."""
        return None

    def run(self, arguments: list[Tensor]) -> None:
        self.updates += 1
        start, left = time.perf_counter(), iter(arguments)
        for i, (param, state, group) in enumerate(self.parts):
            grad = param._grad
            assert grad is not None
            given = [next(left) for _ in range(2 if grad.is_sparse else 1)]
            program = self.programs[i]
            if program is not None and program.broken_guard(given) is not None:
                program = self.programs[i] = None
            is_worth_it = self.updates >= PATIENCE or param._array.size >= LARGE // 4
            if (
                program is None
                and is_worth_it
                and self._can_be(grad, state, group)
                and time.perf_counter() - start < BUDGET
            ):
                program = self.programs[i] = self._record(param, grad, state, group, given)
            if program is None:
                self.optimizer._apply([(param, grad, state, group)])
            else:
                program.run(given)

    def _can_be(self, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> bool:
        """Whether an update can be recorded: sparse momentum is no array, and a number in the state would stay as it is."""
        if grad.is_sparse and not self.optimizer.gathers_rows(group):
            return False
        return all(isinstance(value, Tensor) for value in state.values())

    def _record(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], given: list[Tensor]
    ) -> Any:
        from rushlight.compiler.function import BoundProgram
        from rushlight.compiler.trace import CannotRecord, Recorder, recording

        recorder, state = Recorder(), dict(state)  # what is made here must not stay in the optimizer's own
        recorder.arguments = {id(tensor): i for i, tensor in enumerate(given)}
        try:
            with recording(recorder):
                for tensor in given:
                    recorder.lift(tensor)
                self.optimizer._apply([(param, _recorded(grad, given), state, traced_group(group))])
                made = recorder.finish(None)
            recorder.restore()
            return None if made.survivors else BoundProgram(made)
        except (CannotRecord, ImportError):
            self.optimizer._compiled.is_off = True
            return None


# ---------------------------------------------------------------- gradients as arguments of a program


def _key(params: list[Tensor], grads: list[Tensor]) -> tuple:
    counts = [len(grad._array.values) if grad.is_sparse else -1 for grad in grads]
    return tuple([id(param) for param in params]), tuple(counts)


def _arguments(grads: list[Tensor]) -> list[Tensor]:
    """The gradients; of a sparse one its values and its rows' numbers."""
    found = []
    for grad in grads:
        array = grad._array
        if type(array) is SparseArray:
            found += [wrap(array.values), wrap(array.indices[0])]
        else:
            found.append(grad)
    return found


def _recorded(grad: Tensor, given: list[Tensor]) -> Tensor:
    """A gradient as it is recorded, of its arguments."""
    if not grad.is_sparse:
        return given[0]
    values, index = given
    return wrap(SparseArray(index._array.reshape((1, -1)), values._array, tuple(grad.shape)))


def _is_plain(tensor: Tensor) -> bool:
    array = tensor._array
    if type(array) is SparseArray:
        is_row = type(array.values) is ndarray and len(array.indices) == 1
        return is_row and len(array.values) > 0 and array.values.dtype.char in "fd"
    return (type(array) is ndarray or tensor.is_cuda) and array.dtype.char in "fd" and array.flags.c_contiguous
