"""`rushlight.compile(step)`: records the step for each signature of its arguments, and runs the programs.

    step(x, y)  ->  signature known?  -- no -->  record, build a program (or interpret once)
                       | yes
                       v
    guards hold (host numbers' branches, module modes, memory)?  -- no -->  record again, saying why
                       |
                       v
    bind memory, one native call, hand out results

The first call of a step that creates something lasting (momentum buffers, say) is interpreted by NumPy, node by
node, since the next call will not create it again; the call after it is compiled.
"""

from __future__ import annotations

import functools
import operator
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays.quiet import quiet_value, reset_quiet, set_quiet
from rushlight.autograd.modes import modes
from rushlight.compiler.deferred import defer_gradients, deferred
from rushlight.compiler.graph import interpret
from rushlight.compiler.trace import CannotRecord, Output, Recorder, Recording, map_leaves, recording
from rushlight.ops import observers
from rushlight.tensor import Tensor, wrap

LIMIT = 8  # programs for one signature, that differ in what their guards found
_COMPARE = {f"__{name}__": getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}


class CompiledStep:
    """A function compiled for each signature it is called with. Made by `compile`."""

    def __init__(self, function: Callable[..., Any], fullgraph: bool, num_threads: int | None, verify: int):
        functools.update_wrapper(self, function)
        self.function, self.fullgraph, self.num_threads, self.verify = function, fullgraph, num_threads, verify
        self.programs: dict[Any, list[BoundProgram]] = {}  # for each signature, the last used first
        self.recorded = 0  # how many times: a second one is worth a line
        self.eager_reason: str | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.eager_reason is not None or observers.count and observers.recorder() is not None:
            return self.function(*args, **kwargs)
        tensors, signature = _signature(args, kwargs)
        changed = None
        programs = self.programs.get(signature, ())
        for i, program in enumerate(programs):
            broken = program.broken_guard(tensors)
            if broken is None:
                if i:
                    programs.insert(0, programs.pop(i))
                return self._run(program, args, kwargs, tensors)
            changed = changed or broken
        return self._record_and_run(args, kwargs, tensors, signature, changed)

    def _record_and_run(
        self, args: tuple, kwargs: dict, tensors: list[Tensor], signature: Any, changed: str | None
    ) -> Any:
        started = time.perf_counter()
        try:
            made = self._record(args, kwargs, tensors)
        except CannotRecord as error:
            if self.fullgraph:
                raise RuntimeError(f"rushlight.compile: {error}") from None
            self.eager_reason = str(error)
            warnings.warn(f"rushlight.compile: {self._name()} runs eager: {error}", stacklevel=3)
            return self.function(*args, **kwargs)
        if made.survivors:
            return _interpret_once(made, tensors)
        program = BoundProgram(made, self.num_threads)
        programs = self.programs.setdefault(signature, [])
        programs.insert(0, program)
        del programs[LIMIT:]
        self.recorded += 1
        if self.recorded > 1:
            reason = changed or "another signature of arguments"
            seconds = time.perf_counter() - started
            print(f"rushlight.compile: {self._name()} compiled again in {seconds:.2f} s: {reason}", file=sys.stderr)
        return self._run(program, args, kwargs, tensors)

    def _run(self, program: BoundProgram, args: tuple, kwargs: dict[str, Any], tensors: list[Tensor]) -> Any:
        if self.verify <= 0:
            return program.run(tensors)
        from rushlight.compiler.compare import run_verified

        self.verify -= 1
        return run_verified(program, tensors, lambda: self.function(*args, **kwargs), self._name())

    def _record(self, args: tuple, kwargs: dict, tensors: list[Tensor]) -> Recording:
        recorder = Recorder()
        recorder.arguments = {id(tensor): i for i, tensor in enumerate(tensors)}
        with recording(recorder):
            for tensor in tensors:
                recorder.lift(tensor)
            result = self.function(*args, **kwargs)
            made = recorder.finish(result)
        del result
        recorder.restore()
        return made

    def _name(self) -> str:
        return getattr(self.function, "__qualname__", type(self.function).__name__)


def _signature(args: tuple, kwargs: dict[str, Any]) -> tuple[list[Tensor], Any]:
    """The tensors among the arguments, and what a program depends on of all arguments."""
    tensors: list[Tensor] = []
    parts: list[Any] = [modes.grad, modes.autocast]
    for value in args:
        _describe(value, tensors, parts)
    for name, value in kwargs.items():
        parts.append(name)
        _describe(value, tensors, parts)
    return tensors, tuple(parts)


def _describe(value: Any, tensors: list[Tensor], parts: list[Any]) -> None:
    if isinstance(value, Tensor):
        array = value._array
        tensors.append(value)
        parts.append(array.shape)
        parts.append(array.dtype)
        parts.append(value._needs_grad)
    elif isinstance(value, (list, tuple)):
        parts.append(type(value))
        for item in value:
            _describe(item, tensors, parts)
        parts.append(None)
    elif isinstance(value, dict):
        for key, item in value.items():
            parts.append(key)
            _describe(item, tensors, parts)
        parts.append(None)
    elif isinstance(value, ndarray):
        raise TypeError("rushlight.compile: pass NumPy arrays as tensors (rushlight.from_numpy)")
    else:
        parts.append(value)


def _interpret_once(made: Recording, tensors: list[Tensor]) -> Any:
    """Runs a recording by NumPy, and hands out what the step left behind."""
    inputs: list[Any] = [None] * len(made.graph.inputs)
    for external in made.externals:
        inputs[external.slot] = external.array
    for number in made.numbers:
        inputs[number.slot] = np.float64(number.read())
    token = set_quiet(quiet_value)
    try:
        values = interpret(made.graph, inputs)
    finally:
        reset_quiet(token)
    values = [np.array(value) for value in values]  # writable, and each its own memory
    fresh = values[: len(values) - len(made.written)]
    for external, value in zip(made.written, values[len(fresh) :], strict=True):
        external.array[...] = value
        _bump(external.tensor)
    for tensor, slot in made.survivors:
        tensor._array = fresh[slot]
        tensor._node, tensor._needs_grad = None, tensor._needs_grad and tensor._node is None
    for owner, _, slot in made.grads:
        owner._grad = None if slot is None else wrap(fresh[slot])
    return _with_outputs(made.result, fresh)


def _bump(tensor: Tensor) -> None:
    if tensor._cell is not None:
        tensor._cell[0] += 1


def _with_outputs(result: Any, fresh: Any) -> Any:
    """A step's result, with the tensors that its `Output`s stand for."""
    return map_leaves(result, Output, lambda o: o.external if o.slot is None else wrap(fresh[o.slot]))


class BoundProgram:
    """A program, and the tensors outside whose memory it works on."""

    def __init__(self, made: Recording, num_threads: int | None = None):
        from rushlight.compiler.program import build_program

        graph, index_of = defer_gradients(made.graph, [slot for _, _, slot in made.grads if slot is not None])
        self.program = build_program(graph, num_threads=num_threads)
        self.graph, self.result = graph, made.result
        self.arguments = [e for e in made.externals if e.argument is not None]
        self.fixed = [e for e in made.externals if e.argument is None]
        self.numbers, self.comparisons, self.modules = made.numbers, made.comparisons, made.modules
        self.written, self.grads_read = made.written, made.grads_read
        self.number_values = np.array([number.value for number in made.numbers], np.float64)
        for i, number in enumerate(made.numbers):
            self.program.bind_input(number.slot, self.number_values[i : i + 1].reshape(()))
        self.bound: dict[int, ndarray] = {}
        for external in self.fixed:
            self._bind_fixed(external)
        outputs = [(i, node) for i, node in enumerate(graph.outputs) if graph.targets[i] is None]
        of_grads = {slot for _, _, slot in made.grads} - index_of.keys()
        self.fresh = [(i, node.shape, node.dtype) for i, node in outputs if i not in of_grads]
        self.grad_outputs = [
            [slot, owner, argument, None, made.graph.outputs[slot].shape, made.graph.outputs[slot].dtype, 0]
            for owner, argument, slot in made.grads
            if slot is not None and slot not in index_of
        ]
        self.deferred = [
            (owner, argument, index_of[slot], slot, made.graph.outputs[slot].shape)
            for owner, argument, slot in made.grads
            if slot in index_of
        ]
        self.cleared = [owner for owner, _, slot in made.grads if slot is None]
        self.single = made.result if type(made.result) is Output and made.result.slot is not None else None

    def _bind_fixed(self, external: Any) -> None:
        array = external.array
        if not array.flags.c_contiguous:
            self.bound[external.slot] = np.empty(array.shape, array.dtype)
            self.program.bind_input(external.slot, self.bound[external.slot])
        else:
            self.program.bind_input(external.slot, array)

    def broken_guard(self, tensors: list[Tensor]) -> str | None:
        """What no longer is as it was recorded, in words; None if the program still holds."""
        for external in self.fixed:
            tensor = external.tensor
            if tensor._array is not external.array or tensor._needs_grad is not external.needs_grad:
                array = tensor._array
                if (
                    type(array) is not ndarray
                    or array.shape != external.array.shape
                    or array.dtype != external.array.dtype
                ):
                    return f"a tensor it uses has shape {list(array.shape)}, had {list(external.array.shape)}"
                if tensor._needs_grad is not external.needs_grad:
                    return f"requires_grad of a tensor of shape {list(array.shape)} is {tensor._needs_grad} now"
                external.array = array
                self._bind_fixed(external)
        for owner, argument, grad in self.grads_read:
            if (owner if argument is None else tensors[argument])._grad is not grad:
                return "a gradient that it starts from is another one, or None"
        for number, name, other, outcome in self.comparisons:
            if _COMPARE[name](number.read(), other) is not outcome:
                return f"{number.key!r} is {number.read()}, and a branch depends on it"
        for module, training in self.modules:
            if module.training is not training:
                return f"{type(module).__name__} is in {'training' if module.training else 'evaluation'} mode now"
        return None

    def run(self, tensors: list[Tensor]) -> Any:
        program, bind_output = self.program, self.program.bind_output
        for external in self.arguments:
            array = tensors[external.argument]._array  # type: ignore[index]
            program.bind_input(external.slot, array if array.flags.c_contiguous else np.ascontiguousarray(array))
        for slot, copy in self.bound.items():
            copy[...] = next(e.array for e in self.fixed if e.slot == slot)
        values = self.number_values
        for i, number in enumerate(self.numbers):
            values[i] = number.read()
        for grad in self.grad_outputs:
            self._prepare_grad(grad, tensors)
        fresh: dict[int, ndarray] = {}
        for slot, shape, dtype in self.fresh:
            fresh[slot] = array = np.empty(shape, dtype)
            bind_output(slot, array)
        program.run()
        for external in self.written:
            tensor = external.tensor if external.argument is None else tensors[external.argument]
            if tensor._cell is not None:
                tensor._cell[0] += 1
        for owner in self.cleared:
            owner._grad = None
        for owner, argument, index, values, shape in self.deferred:
            owner = owner if argument is None else tensors[argument]
            owner._grad = deferred(fresh[index], fresh[values], shape)
        if self.single is not None:
            return wrap(fresh[self.single.slot])  # type: ignore[index]
        return _with_outputs(self.result, fresh)

    def _prepare_grad(self, grad: list[Any], tensors: list[Tensor]) -> None:
        """Memory for a gradient: that of the last run, unless somebody else has kept it."""
        slot, owner, argument, last, shape, dtype, _ = grad
        if argument is not None:
            owner = tensors[argument]
        held = 4 if owner._grad is last else 3  # by the entry of `grad`, `last`, getrefcount, and perhaps its owner
        if last is None or sys.getrefcount(last) > held or sys.getrefcount(last._array) > grad[6]:
            last = grad[3] = wrap(np.empty(shape, dtype))
            self.program.bind_output(slot, last._array)
            grad[6] = sys.getrefcount(last._array)
        owner._grad = last


def compile(
    function: Any = None, *, fullgraph: bool = False, num_threads: int | None = None, verify: int = 0, **_: Any
) -> Any:
    """Compiles a function or a whole training step, with backward() and the optimizer's step inside.

    The step runs once on symbolic arrays and becomes one native program for each signature of its arguments (shapes
    and dtypes of tensors, values of everything else). Parameters, optimizer state and `.grad` are worked on where they
    are. Learning rates and other numbers of optimizers are read again at each call.

    Args:
        function: what to compile; a module is compiled through its `__call__`.
        fullgraph: raise where the step cannot be a program, instead of running it eager with one warning.
        num_threads: how many threads may work on it. Default: `rushlight.get_num_threads()`.
        verify: how many calls are run eager as well and compared.

    Raises:
        RuntimeError: with `fullgraph`, for Python that depends on a tensor's value, naming the line.

    Example:
        >>> import rushlight as torch
        >>> @torch.compile
        ... def f(x):
        ...     return (x * 2 + 1).tanh()
        >>> f(torch.zeros(2))
        tensor([0.7616, 0.7616])
    """
    if function is None:
        return lambda function: compile(function, fullgraph=fullgraph, num_threads=num_threads, verify=verify)
    return CompiledStep(function, fullgraph, num_threads, verify)
