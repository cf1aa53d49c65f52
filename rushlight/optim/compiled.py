"""An optimizer's update of all parameters as one compiled program.

The first update of a set of parameters is eager, since it may create state; later ones are compiled: at once for
large models, after `PATIENCE` updates for small ones, where compiling takes longer than it saves in a short run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy import ndarray

from rushlight.ops import define
from rushlight.tensor import Tensor

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
    """The programs of one optimizer, by which parameters have gradients."""

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
        if program.options != self._options() or program.broken_guard(grads) is not None:
            return False
        program.run(grads)
        return True

    def run(self, pending: Pending) -> bool:
        """Updates by a compiled program, if there is one or it is time for one; else False, and nothing is done."""
        if self.is_off or not pending:
            return False
        key = tuple([id(param) for param, _, _, _ in pending])
        grads = [grad for _, grad, _, _ in pending]
        program = self.programs.get(key)
        if program is None:
            if not self._is_time(key, pending):
                return False
            program = self._compile(key, pending, grads)
        elif program.options != self._options() or program.broken_guard(grads) is not None:
            program = self._compile(key, pending, grads)
        if program is None:
            return False
        program.run(grads)
        if len(pending) == sum(len(group["params"]) for group in self.optimizer.param_groups):
            self.last = [param for param, _, _, _ in pending], program
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

    def _compile(self, key: tuple, pending: Pending, grads: list[Tensor]) -> Any:
        from rushlight.compiler.function import BoundProgram
        from rushlight.compiler.trace import CannotRecord, Recorder, recording

        if not all(_is_plain(param) and _is_plain(grad) for param, grad, _, _ in pending):
            self.is_off = True
            return None
        recorder = Recorder()
        recorder.arguments = {id(grad): i for i, grad in enumerate(grads)}
        try:
            with recording(recorder):
                for grad in grads:
                    recorder.lift(grad)
                self.optimizer._apply([(p, grad, state, traced_group(group)) for p, grad, state, group in pending])
                made = recorder.finish(None)
            recorder.restore()
            if made.survivors:
                return None
            program = BoundProgram(made)
        except (CannotRecord, ImportError):
            self.is_off = True
            return None
        program.options = self._options()
        self.programs[key] = program
        return program


def _is_plain(tensor: Tensor) -> bool:
    array = tensor._array
    return type(array) is ndarray and array.dtype.char in "fd" and array.flags.c_contiguous
