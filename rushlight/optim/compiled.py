"""An optimizer's update of all parameters as one compiled program.

The first update of a set of parameters is eager, since it may create state; later ones are compiled: at once for
large models, after `PATIENCE` updates for small ones, where compiling takes longer than it saves in a short run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy import ndarray

from rushlight.arrays.sparse import SparseArray
from rushlight.ops import define
from rushlight.tensor import Tensor, wrap

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer

LARGE = 100_000  # elements in all: an eager update of that many takes longer than a few small kernels' overhead
PATIENCE = 20  # eager updates of a small model before it is compiled

Pending = list[tuple[Tensor, Tensor, dict[str, Any], dict[str, Any]]]  # (parameter, gradient, state, group)


def traced_group(group: dict[str, Any]) -> dict[str, Any]:
    """A group whose floats are numbers that the recorded program reads again at each run."""
    recorder = define._recorder()
    traced = {}
    for key, value in group.items():
        if type(value) is float or isinstance(value, int) and key == "lr" and not isinstance(value, bool):
            traced[key] = recorder.number(group, key)
        elif isinstance(value, tuple) and value and all(isinstance(v, float) for v in value):
            traced[key] = tuple([recorder.number(group, key, i) for i in range(len(value))])
        else:
            traced[key] = value
    return traced


class CompiledUpdate:
    """The programs of one optimizer, by which parameters have gradients, and how many entries sparse ones have."""

    def __init__(self, optimizer: Optimizer):
        self.optimizer = optimizer
        self.programs: dict[tuple, Any] = {}
        self.eager_updates: dict[tuple, int] = {}
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
        arguments = _arguments(grads) if program.has_sparse else grads  # type: ignore[arg-type]
        if program.options != self._options() or program.broken_guard(arguments) is not None:
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
        if program is None and not self._is_time(key, pending):
            return False
        arguments = _arguments(grads)
        if program is None or program.options != self._options() or program.broken_guard(arguments) is not None:
            program = self._compile(key, pending, arguments)
        if program is None:
            return False
        program.run(arguments)
        if len(pending) == sum(len(group["params"]) for group in self.optimizer.param_groups):
            self.last = params, program
        return True

    def _is_time(self, key: tuple, pending: Pending) -> bool:
        done = self.eager_updates.get(key, 0)
        self.eager_updates[key] = done + 1
        if done == 0:
            return False
        return done >= PATIENCE or sum(param._array.size for param, _, _, _ in pending) >= LARGE

    def _options(self) -> list[tuple]:
        """The options that are no floats: a program depends on their values."""
        return [
            (self.optimizer.skip_nonfinite,),
            *[
                tuple([v for k, v in g.items() if k != "params" and type(v) is not float and type(v) is not tuple])
                for g in self.optimizer.param_groups
            ],
        ]

    def _compile(self, key: tuple, pending: Pending, arguments: list[Tensor]) -> Any:
        from rushlight.compiler.function import BoundProgram
        from rushlight.compiler.trace import CannotRecord, Recorder, recording

        if not all(_is_plain(param) and _is_plain(grad) for param, grad, _, _ in pending):
            self.is_off = True
            return None
        recorder = Recorder()
        recorder.arguments = {id(tensor): i for i, tensor in enumerate(arguments)}
        try:
            with recording(recorder):
                for tensor in arguments:
                    recorder.lift(tensor)
                left = iter(arguments)
                self.optimizer._apply(
                    [(p, _recorded(grad, left), state, traced_group(group)) for p, grad, state, group in pending]
                )
                made = recorder.finish(None)
            recorder.restore()
            if made.survivors:
                return None
            program = BoundProgram(made)
        except (CannotRecord, ImportError):
            self.is_off = True
            return None
        program.options, program.key = self._options(), key
        program.has_sparse = any(grad.is_sparse for _, grad, _, _ in pending)
        self.programs[key] = program
        return program


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


def _recorded(grad: Tensor, arguments: Any) -> Tensor:
    """A gradient as it is recorded, of the next of the arguments."""
    if not grad.is_sparse:
        return next(arguments)  # type: ignore[no-any-return]
    values, index = next(arguments), next(arguments)
    return wrap(SparseArray(index._array.reshape((1, -1)), values._array, tuple(grad.shape)))


def _is_plain(tensor: Tensor) -> bool:
    array = tensor._array
    if type(array) is SparseArray:
        return len(array.indices) == 1 and len(array.values) > 0 and array.values.dtype.char in "fd"
    return type(array) is ndarray and array.dtype.char in "fd" and array.flags.c_contiguous
