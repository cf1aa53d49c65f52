"""A method's update compiled once for one parameter, and run on all of them (compiler/foreach.py).

Parameters of one group, dtype and kind of state share a *template*: the update recorded on arrays that stand for any
length. So the time to compile is that of one small program, however many parameters there are. Methods whose update is
not elementwise (Adafactor, Muon) and sparse gradients have programs of their own (compiled.py).
"""

from __future__ import annotations

import contextlib
import itertools
import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds
from rushlight.ops import observers
from rushlight.optim import variants
from rushlight.tensor import Tensor, wrap

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer

Pending = list[tuple[Tensor, Tensor, dict[str, Any], dict[str, Any]]]  # (parameter, gradient, state, group)
_COMPARE = {f"__{name}__": getattr(operator, name) for name in ("eq", "ne", "lt", "le", "gt", "ge")}


def traced_group(group: dict[str, Any]) -> dict[str, Any]:
    """A group whose floats are numbers that the recorded program reads again at each run."""
    recorder = observers.recorder()
    traced = dict(group)
    for key, value in group.items():
        if _is_read_again(key, value):
            is_tuple = isinstance(value, tuple)
            numbers = [
                recorder.number(group, key, i if is_tuple else None) for i in range(len(value) if is_tuple else 1)
            ]
            traced[key] = tuple(numbers) if is_tuple else numbers[0]
    return traced


def _is_read_again(key: str, value: Any) -> bool:
    """Whether an option is a number, or a tuple of numbers, that a program reads at each run."""
    if isinstance(value, tuple):
        return bool(value) and all(type(v) is float for v in value)
    return type(value) is float or type(value) is int and key == "lr"


def options_of(group: dict[str, Any]) -> tuple:
    """The options that a program depends on: what is not read again, and of what kind the rest is."""
    return tuple([
        (key, type(value) if _is_read_again(key, value) else _identity(value))
        for key, value in group.items()
        if key not in ("params", "param_names")
    ])  # fmt: skip


def _identity(value: Any) -> Any:
    """What tells a value from others: of a tensor, which may be written to, that it is this one."""
    if isinstance(value, tuple):
        return tuple([_identity(item) for item in value])
    return value if isinstance(value, (bool, int, float, str, type(None))) else id(value)


@dataclass(slots=True, eq=False)
class Template:
    """The program, and what its inputs are."""

    program: Any
    param: int  # numbers of inputs
    grad: int
    state: dict[str, int]
    fixed: list[tuple[int, Tensor]]  # tensors from elsewhere, such as a learning rate
    numbers: list[Any]
    comparisons: list[Any]
    written: list[int]


def each_update(optimizer: Optimizer, pending: Pending, templates: dict[tuple, Any]) -> EachUpdate | None:
    """The update of all these parameters; None if it cannot be done by templates."""
    if not optimizer.is_elementwise or any(grad.is_sparse for _, grad, _, _ in pending):
        return None
    if len({type(param._array) for param, _, _, _ in pending}) > 1:
        return None
    members_of: dict[tuple, list[int]] = {}
    for i, (param, _, state, group) in enumerate(pending):
        if param.is_cuda:
            _move_scalars(param, state)
        members_of.setdefault(_kind(param, state, group), []).append(i)
    parts = []
    for kind, members in members_of.items():
        template = templates.get(kind)
        if kind not in templates or template is not None and broken_comparison(template.comparisons) is not None:
            template = templates[kind] = _make_template(optimizer, *pending[members[0]])
        if template is None:
            return None
        parts.append((template, members))
    update = EachUpdate(pending, parts)
    return None if update.overlaps() else update


def _kind(param: Tensor, state: dict[str, Any], group: dict[str, Any]) -> tuple:
    """What a template depends on."""
    shape = param._array.shape
    parts = tuple([
        (key, x._array.dtype.char, x._array.shape == shape) if isinstance(x, Tensor) else (key, type(x), None)
        for key, x in state.items()
    ])  # fmt: skip
    return id(group), options_of(group), param._array.dtype.char, parts, not shape, param.device


def _move_scalars(param: Tensor, state: dict[str, Any]) -> None:
    """Numbers of a state, such as a count of steps, go to the parameter's GPU: a kernel updates them, too."""
    for value in state.values():
        if isinstance(value, Tensor) and type(value._array) is ndarray and not value._array.ndim:
            value._array = kinds.gpu().from_host(value._array, param.device)


def _on_device_of(param: Tensor) -> Any:
    """A block in which the parameter's GPU is the current one."""
    return kinds.gpu().cupy.cuda.Device(param.device.index) if param.is_cuda else contextlib.nullcontext()


def broken_comparison(comparisons: list[Any]) -> str | None:
    """A number on which Python branched when it was recorded, and would branch otherwise now, in words."""
    for number, name, other, outcome in comparisons:
        if _COMPARE[name](number.read(), other) is not outcome:
            return f"{number.key!r} is {number.read()}, and a branch depends on it"
    return None


def _make_template(
    optimizer: Optimizer, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> Template | None:
    from rushlight.compiler import cuda_flat, foreach
    from rushlight.compiler.trace import CannotRecord, Recorder, recording

    model = wrap(np.zeros(foreach.BLOCK, param._array.dtype))
    models = _model_state(optimizer, model, param, state, group)
    if models is None:
        return None
    given, keys = wrap(np.zeros_like(model._array)), list(models)
    recorder = Recorder()
    try:
        with recording(recorder):
            for tensor in (model, given, *models.values()):
                recorder.lift(tensor)
            own = {id(tensor) for tensor in (model, given, *models.values())}
            variants.update_one(optimizer, model, given, models, traced_group(group))
            made = recorder.finish(None)
        recorder.restore()
    except (CannotRecord, ImportError):
        return None
    fixed = [(e.slot, e.tensor) for e in made.externals if id(e.tensor) not in own]
    if made.survivors or made.grads or list(models) != keys or any(t._array.ndim for _, t in fixed):
        return None
    program = (cuda_flat if param.is_cuda else foreach).build_each(made.graph)
    if program is None:
        return None
    slots = {id(e.tensor): e.slot for e in made.externals}
    written = [e.slot for e in made.written]
    states = {key: slots[id(tensor)] for key, tensor in models.items()}
    return Template(
        program, slots[id(model)], slots[id(given)], states, fixed, made.numbers, made.comparisons, written
    )  # fmt: skip


def _model_state(
    optimizer: Optimizer, model: Tensor, param: Tensor, state: dict[str, Any], group: dict[str, Any]
) -> dict[str, Tensor] | None:
    """What stands for a parameter's state: arrays of the model's shape, and scalars. None for anything else."""
    fresh, models = optimizer.init_state(model, group), {}
    for key, value in state.items():
        if not isinstance(value, Tensor) or type(value._array) is not type(param._array):
            return None
        array = value._array
        if not array.flags.c_contiguous:
            return None
        like = fresh[key]._array if key in fresh else model._array if array.shape == param._array.shape else array
        expected = param._array.shape if like.shape == model._array.shape else ()
        if like.dtype != array.dtype or array.shape != expected:
            return None
        models[key] = wrap(np.zeros(like.shape, array.dtype))
    return models


class EachUpdate:
    """Templates bound to parameters. Runs as a `BoundProgram` does."""

    options: Any
    key: Any
    values: Any
    states: Any
    has_sparse = False
    is_stale = True  # whether a number may be another one than at the last run

    def __init__(self, pending: Pending, parts: list[tuple[Template, list[int]]]):
        self.fixed: list[tuple[Tensor, ndarray]] = []  # tensors whose memory is bound
        self.expected = [(param._array.shape, param._array.dtype) for param, _, _, _ in pending]
        self.places: list[tuple[Any, int]] = [(None, 0)] * len(pending)  # of the address of each gradient
        self.written: list[Tensor] = []
        self.numbers: list[tuple[Any, list[Any]]] = []
        self.address = parts[0][0].program.address  # what a table holds of an array
        self.array_class = type(pending[0][0]._array)
        self.comparisons: list[Any] = []
        self.jobs: list[Any] = []
        self.kept: list[Any] = [None] * len(pending)
        for template, members in parts:
            with _on_device_of(pending[members[0]][0]):
                self._bind(template, members, pending)

    def _bind(self, template: Template, members: list[int], pending: Pending) -> None:
        job = template.program.bind([pending[i][0]._array.size for i in members])
        values = template.program.numbers(len(template.numbers))
        cells = values.cells
        self.numbers.append((values, list(zip(template.numbers, cells, strict=True))))
        self.comparisons += template.comparisons
        entry, length = memoryview(job.tables).cast("B").cast("q"), job.tables.shape[1]
        first = job.first_input
        for row, i in enumerate(members):
            param, _, state, _ = pending[i]
            tensors = {template.param: param, **{slot: state[key] for key, slot in template.state.items()}}
            tensors.update(template.fixed)
            for slot, tensor in tensors.items():
                job.set_array(row, slot, tensor._array)
                self.fixed.append((tensor, tensor._array))
            for number, cell in zip(template.numbers, cells, strict=True):
                job.set_array(row, number.slot, cell)
            self.places[i] = entry, row * length + first + template.grad
            self.written += [tensors[slot] for slot in template.written]
        self.jobs.append(job)

    def overlaps(self) -> bool:
        """Whether two of the tensors share memory: then the order of updates matters."""
        arrays = [tensor._array for tensor in self.written if tensor._array.size]
        starts = [array.ctypes.data if type(array) is ndarray else array.data.ptr for array in arrays]
        spans = sorted([(start, start + array.nbytes) for start, array in zip(starts, arrays, strict=True)])
        return any(a[1] > b[0] for a, b in itertools.pairwise(spans))

    def broken_guard(self, grads: list[Tensor]) -> str | None:
        """What no longer is as it was compiled; None if all holds."""
        for tensor, array in self.fixed:
            if tensor._array is not array:
                return "a tensor has other memory"
        for grad, (shape, dtype) in zip(grads, self.expected, strict=True):
            array = grad._array
            if type(array) is not self.array_class or array.shape != shape or array.dtype != dtype:
                return "a gradient is of another kind"
        return broken_comparison(self.comparisons) if self.is_stale else None

    def run(self, grads: list[Tensor]) -> None:
        kept, address = self.kept, self.address
        for i, (grad, (entry, place)) in enumerate(zip(grads, self.places, strict=True)):
            array = grad._array
            if not array.flags.c_contiguous:
                array = array.copy("C")
            kept[i] = array
            entry[place] = address(array)
        if self.is_stale:
            for values, numbers in self.numbers:
                values.write([number.read() for number, _ in numbers])
            self.is_stale = False
        for job in self.jobs:
            job.run()
        for tensor in self.written:
            if tensor._cell is not None:
                tensor._cell[0] += 1
