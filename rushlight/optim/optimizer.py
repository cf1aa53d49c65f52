"""The base of all optimizers: parameter groups, state, and how an update is run.

A method writes `update(param, grad, state, group)`, plain mathematics on tensors that changes `param` and `state` in
place, and `init_state(param, group)` for what must exist before the first update. The base runs it: tensor by tensor
at first, then as one compiled program over all parameters (compiled.py); or as part of a compiled training step.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from copy import deepcopy
from itertools import chain
from typing import Any

from rushlight.autograd.history import cell_of
from rushlight.autograd.hooks import RemovableHandle
from rushlight.autograd.modes import enable_grad, modes
from rushlight.compiler.trace import paused
from rushlight.ops import define
from rushlight.optim.compiled import CompiledUpdate, traced_group
from rushlight.tensor import Tensor, wrap


class Optimizer:
    """Abstract; methods are subclasses.

    Args:
        params: tensors, (name, tensor) pairs, or dicts of a group's "params" and the options it sets.
        defaults: the options and their values.

    Raises:
        TypeError: something that is no tensor, or a single tensor. ValueError: no parameters, or one that is no leaf.
    """

    def __init__(self, params: Any, defaults: dict[str, Any]):
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got "
                "torch.FloatTensor"
            )
        self.defaults = defaults
        self.state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._compiled = CompiledUpdate(self)
        groups = list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(dict(group))

    # ------------------------------------------------------------ what a method defines

    complex_as_real = True  # a complex parameter is updated as the pairs of its real and imaginary parts

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        """What must exist before the first update of a parameter."""
        return {}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step for one parameter: changes `param` and `state` in place."""
        raise NotImplementedError

    # ------------------------------------------------------------ a step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates every parameter that has a gradient.

        Args:
            closure: computes the loss again and gives it back; optional for most methods.

        Returns:
            The closure's loss, if there is a closure.
        """
        arguments = (closure,) if closure is not None else ()
        for hook in self._step_pre_hooks.values():
            hook(self, arguments, {})
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        before, modes.grad = modes.grad, bool(self.defaults.get("differentiable"))
        try:
            self._update_all()
        finally:
            modes.grad = before
        for hook in self._step_post_hooks.values():
            hook(self, arguments, {})
        return loss

    def _update_all(self) -> None:
        is_recording = define.recording and define._recorder() is not None
        if not is_recording and not modes.grad and self._compiled.run_again():
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
                    define.note_grad(param, True)
            for param, grad, state, group in pending:
                self._update_one(param, grad, state, traced_group(group))
        elif modes.grad or not self._compiled.run(pending):
            for param, grad, state, group in pending:
                self._update_one(param, grad, state, group)

    def _update_one(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if group.get("maximize"):
            grad = -grad
        if self.complex_as_real and param.is_complex():
            param, grad = as_real(param), as_real(grad)
            state = {key: as_real(x) if isinstance(x, Tensor) and x.is_complex() else x for key, x in state.items()}
        self.update(param, grad, state, group)

    def _state_of(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = self.state.get(param)
        if state is None:
            with paused():
                state = self.init_state(param, group)
            if not state:
                return _LazyState(self, param)
            self.state[param] = state
        return state

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets all gradients, or sets them to zero."""
        for group in self.param_groups:
            for param in group["params"]:
                if param._grad is None and not define.recording:
                    continue
                if set_to_none or param._grad is None:
                    param.grad = None
                else:
                    param._grad = param._grad.detach()
                    param._grad.zero_()

    # ------------------------------------------------------------ groups and hooks

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params" and the options that differ from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, Tensor):
            params = [params]
        elif isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors in sets "
                "will change between runs. Please use a list instead."
            )
        params = list(params)
        if params and isinstance(params[0], tuple):
            param_group["param_names"] = [name for name, _ in params]
            params = [param for _, param in params]
        param_group["params"] = params
        for param in params:
            if not isinstance(param, Tensor):
                raise TypeError(f"optimizer can only optimize Tensors, but one of the params is {type(param).__name__}")
            if not self.defaults.get("differentiable") and not param.is_leaf and not param.retains_grad:
                raise ValueError("can't optimize a non-leaf Tensor")
        for name, default in self.defaults.items():
            param_group.setdefault(name, default)
        known = set(chain.from_iterable(group["params"] for group in self.param_groups))
        if len(set(params)) != len(params):
            raise ValueError("optimizer contains a parameter group with duplicate parameters")
        if not known.isdisjoint(params):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(param_group)
        self._compiled.last = None

    def register_step_pre_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` before each step."""
        return RemovableHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(optimizer, args, kwargs)` after each step."""
        return RemovableHandle(self._step_post_hooks, hook)

    # ------------------------------------------------------------ saving

    def state_dict(self) -> dict[str, Any]:
        """The state by number of the parameter, and the groups with numbers for parameters: PyTorch's format."""
        numbers = {p: i for i, p in enumerate(chain.from_iterable(g["params"] for g in self.param_groups))}
        groups = [
            {**{k: v for k, v in group.items() if k != "params"}, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": {numbers[p]: state for p, state in self.state.items()}, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over a state that `state_dict` gave, here or in PyTorch. Nothing changes if it does not fit.

        Raises:
            ValueError: another number of groups, or of parameters in one.
        """
        saved, own = state_dict["param_groups"], self.param_groups
        if len(saved) != len(own):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(s["params"]) != len(o["params"]) for s, o in zip(saved, own, strict=True)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        params = dict(
            zip(
                chain.from_iterable(g["params"] for g in saved),
                chain.from_iterable(g["params"] for g in own),
                strict=True,
            )
        )
        state: defaultdict[Tensor, dict[str, Any]] = defaultdict(dict)
        for number, values in state_dict["state"].items():
            param = params[number]
            state[param] = {key: _fitting(param, key, value) for key, value in values.items()}
        groups = [{**deepcopy({k: v for k, v in s.items() if k != "params"}), "params": o["params"]} for s, o in zip(saved, own, strict=True)]  # fmt: skip
        self.state, self.param_groups = state, groups
        self._compiled = CompiledUpdate(self)

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._step_pre_hooks, self._step_post_hooks = OrderedDict(), OrderedDict()
        self._compiled = CompiledUpdate(self)

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


def _fitting(param: Tensor, key: str, value: Any) -> Any:
    """A loaded value of the state: a copy, in the parameter's dtype; counters keep their own."""
    if not isinstance(value, Tensor):
        return deepcopy(value)
    array = value._array.copy()
    if key != "step" and param.is_floating_point():
        array = array.astype(param._array.dtype, copy=False)
    return wrap(array)


def check_not_negative(name: str, value: Any) -> None:
    """Raises ValueError for a negative number or NaN, as PyTorch words it."""
    if not value >= 0.0:  # NaN is not either
        raise ValueError(f"Invalid {name}: {value}")


def as_real(x: Tensor) -> Tensor:
    """A complex tensor's memory as real numbers, with a last dimension of size 2."""
    array = x._array
    result = wrap(array.reshape(*array.shape, 1).view(array.real.dtype))
    result._cell = cell_of(x)
    return result
