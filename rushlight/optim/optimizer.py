"""The base of all optimizers: parameter groups, state, and how an update is run.

A method writes `update(param, grad, state, group)`, plain mathematics on tensors that changes `param` and `state` in
place, and `init_state(param, group)` for what must exist before the first update. The base runs it: tensor by tensor
at first, then as one compiled program over all parameters (compiled.py); or as part of a compiled training step. What
depends on the kind of a parameter or gradient (complex, half precision, row-sparse) is in variants.py, saving in
saving.py, groups in groups.py.
"""

from __future__ import annotations

import functools
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from functools import partial
from itertools import chain
from typing import Any

from rushlight import dtypes
from rushlight.autograd.hooks import RemovableHandle
from rushlight.autograd.modes import enable_grad, modes
from rushlight.compiler.trace import paused
from rushlight.ops import observers
from rushlight.optim import guarded, saving, variants
from rushlight.optim.compiled import CompiledUpdate
from rushlight.optim.each import Pending, traced_group
from rushlight.optim.groups import checked_group
from rushlight.tensor import Tensor

Hooks = OrderedDict[int, Callable[..., Any]]
_steps_before: Hooks = OrderedDict()  # hooks on the steps of all optimizers
_steps_after: Hooks = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` before each step of every optimizer; it may return other (args, kwargs)."""
    return RemovableHandle(_steps_before, hook)


def register_optimizer_step_post_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls `hook(optimizer, args, kwargs)` after each step of every optimizer."""
    return RemovableHandle(_steps_after, hook)


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A method `step` that calls hooks before and after."""

    @functools.wraps(step)
    def call(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        if not (_steps_before or _steps_after or self._step_pre_hooks or self._step_post_hooks):
            return step(self, *args, **kwargs)
        for hook in chain(_steps_before.values(), self._step_pre_hooks.values()):
            replaced = hook(self, args, kwargs)
            if replaced is not None:
                if not (isinstance(replaced, tuple) and len(replaced) == 2):
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                    )
                args, kwargs = replaced
        result = step(self, *args, **kwargs)
        for hook in chain(self._step_post_hooks.values(), _steps_after.values()):
            hook(self, args, kwargs)
        return result

    call.hooked = True  # type: ignore[attr-defined]
    return call


class Optimizer:
    """Abstract; methods are subclasses.

    Args:
        params: tensors, (name, tensor) pairs, or dicts of a group's "params" and the options it sets.
        defaults: the options and their values.

    Attributes:
        skip_nonfinite: set to True, an update that would write NaN or Inf to any parameter is not made, of any parameter.
            How often that was is `num_skipped`, and a warning tells of each time.

    Raises:
        TypeError: something that is no tensor, or a single tensor. ValueError: no parameters, or one that is no leaf.
    """

    skip_nonfinite = False
    _opt_called = False  # whether there was a step: schedulers ask

    def __init__(self, params: Any, defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                f"torch.{dtypes.legacy_name(params)}Tensor"
            )
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._make_hooks()
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in vars(cls) and not getattr(cls.step, "hooked", False):
            cls.step = hooked(cls.step)  # type: ignore[method-assign]

    def _make_hooks(self) -> None:
        self._step_pre_hooks: Hooks = OrderedDict()
        self._step_post_hooks: Hooks = OrderedDict()
        self._saving_hooks: dict[str, Hooks] = {name: OrderedDict() for name in saving.HOOKS}
        self._compiled = CompiledUpdate(self)
        self._skipped = guarded.Counter()

    # ------------------------------------------------------------ what a method defines

    complex_as_real = True  # a complex parameter is updated as the pairs of its real and imaginary parts
    is_elementwise = True  # what an update does to an element depends on no other, nor on the shape
    takes_complex = True
    fixed_options: dict[str, Any] = {}  # noqa: RUF012 (never written): options that no loaded state changes
    takes_dense, takes_sparse = True, False  # gradients
    sparse_refusal = "{} does not support sparse gradients"

    def gathers_rows(self, group: dict[str, Any]) -> bool:
        """Whether of a sparse gradient its rows are updated as if they were a dense parameter."""
        return True

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """What must exist before the first update of a parameter."""
        return {}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step for one parameter: changes `param` and `state` in place."""
        raise NotImplementedError

    # ------------------------------------------------------------ a step

    @hooked
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient.

        Args:
            closure: computes the loss again and gives it back; optional for most methods.

        Returns:
            The closure's loss, if there is a closure.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        before, modes.grad = modes.grad, bool(self.defaults.get("differentiable"))
        try:
            self._update_all()
        finally:
            modes.grad = before
        return loss

    def _update_all(self) -> None:
        is_recording = observers.count and observers.recorder() is not None
        if not (is_recording or modes.grad or self.skip_nonfinite) and self._compiled.run_again():
            return
        pending = [
            (param, param._grad, self._state_of(param, group), group)
            for group in self.param_groups
            for param in group["params"]
            if param._grad is not None
        ]
        if is_recording:
            for group in self.param_groups:
                for param in group["params"]:
                    observers.note_grad(param, True)
            pending = [(param, grad, state, traced_group(group)) for param, grad, state, group in pending]
        if is_recording:
            guard, run = guarded.recorded_update_if_finite, partial(self._apply, pending)
        else:
            guard, run = guarded.update_if_finite, partial(self._run, pending)
        if self.skip_nonfinite:
            guard(self, pending, run)
        else:
            run()

    def _run(self, pending: Pending) -> None:
        if modes.grad or not self._compiled.run(pending):
            self._apply(pending)

    def _apply(self, pending: Pending) -> None:
        """The update of (parameter, gradient, state, group)s, one after the other."""
        for param, grad, state, group in pending:
            variants.update_one(self, param, grad, state, group)

    def _state_of(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state.get(param)
        if not state:
            variants.check_kind(self, param)
            with paused():
                state = self.init_state(variants.wide(param), group)
            if not state:
                return _LazyState(self, param)
            self.state[param] = state
        return state

    @property
    def num_skipped(self) -> int:
        """How many updates were not made because of `skip_nonfinite`."""
        return self._skipped.value()

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, or sets them to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                if param._grad is None and not observers.count:
                    continue
                if set_to_none or param._grad is None:
                    param.grad = None
                else:
                    param._grad = param._grad.detach()
                    param._grad.zero_()

    # ------------------------------------------------------------ groups and hooks

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params" and the options that differ from the defaults.

        Raises:
            TypeError, ValueError: parameters that are no tensors, no leaves, in a set, in another group, or only some
            of them with names.
        """
        self.param_groups.append(checked_group(param_group, self.defaults, self.param_groups))
        self._compiled.last = None

    def register_step_pre_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step; it may return other (args, kwargs)."""
        return RemovableHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer)` before `state_dict`."""
        return RemovableHandle(self._saving_hooks["save before"], hook, prepend)

    def register_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` after `state_dict`; what it returns, if anything, is returned instead."""
        return RemovableHandle(self._saving_hooks["save after"], hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer, state_dict)` before loading; what it returns, if anything, is loaded instead."""
        return RemovableHandle(self._saving_hooks["load before"], hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Any, prepend: bool = False) -> RemovableHandle:
        """Calls `hook(optimizer)` after loading."""
        return RemovableHandle(self._saving_hooks["load after"], hook, prepend)

    # ------------------------------------------------------------ saving

    def state_dict(self) -> dict[str, Any]:
        """The state by number of the parameter, and the groups with numbers for parameters: PyTorch's format."""
        return saving.saved(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state that `state_dict` gave, here or in PyTorch. Nothing changes if it does not fit.

        Raises:
            ValueError: another number of groups, of parameters in one, or state of another shape.
        """
        saving.load(self, state_dict)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._make_hooks()

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


class _LazyState(dict):
    """The state of a parameter that has none yet: it enters the optimizer's state with its first value."""

    def __init__(self, optimizer: Optimizer, param: Tensor):
        super().__init__()
        self._optimizer, self._param = optimizer, param

    def __setitem__(self, key: str, value: Any) -> None:
        self._optimizer.state[self._param][key] = value
        super().__setitem__(key, value)
