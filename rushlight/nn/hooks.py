"""Hooks of modules: functions called before and after forward, and when gradients pass a module.

A module without hooks does not come here: `Module._hooks` is None, so is `everywhere`, and its call goes straight to forward.
Backward hooks need to see all gradients of a module's inputs (outputs) together: a `Gate` is a recorded
operation that hands several tensors through unchanged, so that its gradients come in one place.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable, MutableMapping
from typing import Any

from rushlight.autograd.history import edge_of
from rushlight.autograd.modes import modes
from rushlight.autograd.node import Node
from rushlight.ops import nodes
from rushlight.tensor import Tensor, wrap


class ModuleHooks:
    """The hooks of one module (or of all), each kind by the id of its handle, in the order of their calls.

    Sets of ids say how a hook wants to be called: `with_kwargs`, `always` (after an exception too), `with_module`.
    """

    def __init__(self) -> None:
        self.before: OrderedDict[int, Any] = OrderedDict()
        self.after: OrderedDict[int, Any] = OrderedDict()
        self.backward_before: OrderedDict[int, Any] = OrderedDict()
        self.backward: OrderedDict[int, Any] = OrderedDict()
        self.is_full = True  # whether the backward hooks were registered as full ones
        self.state_before: OrderedDict[int, Any] = OrderedDict()
        self.state_after: OrderedDict[int, Any] = OrderedDict()
        self.load_before: OrderedDict[int, Any] = OrderedDict()
        self.load_after: OrderedDict[int, Any] = OrderedDict()
        self.with_kwargs: set[int] = set()
        self.always: set[int] = set()
        self.with_module: set[int] = set()


everywhere: ModuleHooks | None = None  # hooks on all modules, once there was one
registering: dict[str, OrderedDict[int, Any]] = {kind: OrderedDict() for kind in ("parameter", "buffer", "module")}


def registrations(kind: str) -> list[Any]:
    """The hooks to call when a module gets a parameter, a buffer or a module."""
    return list(registering[kind].values())


def take_hook(table: MutableMapping[int, Any], matches: Callable[[Any], bool]) -> Any:
    """Removes the first hook of one kind that is wanted, and returns it; None if there is none."""
    return next((table.pop(key) for key, hook in list(table.items()) if matches(hook)), None)


class _Called:
    """The hooks of one kind that a call of a module runs: those on all modules, then its own."""

    def __init__(self, module: Any):
        own = module._hooks
        self.sources: list[ModuleHooks] = [hooks for hooks in (everywhere, own) if hooks is not None]

    def of(self, kind: str) -> list[tuple[int, Any, ModuleHooks]]:
        return [(key, hook, source) for source in self.sources for key, hook in list(getattr(source, kind).items())]

    def hooks(self, kind: str) -> list[Any]:
        return [hook for _, hook, _ in self.of(kind)]


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with the hooks around it."""
    called = _Called(module)
    finished: set[int] = set()
    try:
        args, kwargs = _run_before(called, module, args, kwargs)
        backward_before, backward = called.hooks("backward_before"), called.hooks("backward")
        gates = BackwardGates(module, backward_before, backward) if backward or backward_before else None
        if gates is not None:
            args = gates.enter(args)
        result = module.forward(*args, **kwargs)
        for key, hook, source in called.of("after"):
            finished.add(key)
            replaced = hook(module, args, kwargs, result) if key in source.with_kwargs else hook(module, args, result)
            result = result if replaced is None else replaced
        return result if gates is None else gates.leave(result)
    except Exception:
        _run_always(called, module, args, kwargs, finished)
        raise


def _run_before(
    called: _Called, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for key, hook, source in called.of("before"):
        if key not in source.with_kwargs:
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
            continue
        replaced = hook(module, args, kwargs)
        if replaced is not None:
            if not isinstance(replaced, tuple) or len(replaced) != 2:
                raise RuntimeError(
                    f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
                )
            args, kwargs = replaced
    return args, kwargs


def _run_always(
    called: _Called, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], finished: set[int]
) -> None:
    """After an exception: the hooks that asked for `always_call` and have not been called."""
    for key, hook, source in called.of("after"):
        if key in source.always and key not in finished:
            try:
                hook(module, args, kwargs, None) if key in source.with_kwargs else hook(module, args, None)
            except Exception as error:  # noqa: BLE001  (the first error is the one to raise)
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was silenced "
                    f"as another error was raised in forward: {error}",
                    stacklevel=4,
                )


# ---------------------------------------------------------------- backward


class _Identity:
    """The operation of a gate: gradients go through, by way of the gate's function."""

    name = "backward_hook"
    saved_names: tuple[str, ...] = ()
    saved_places: tuple[int, ...] = ()
    outputs = ("out",)
    several = False

    @staticmethod
    def differentiate(node: Any, saved: Any, xp: Any, grad: Any, edges: Any) -> list[Any]:
        grads = [grad.get(number) for number in range(1, len(node.edges) + 1)]
        raw = [g for g in grads if g is not None and not isinstance(g, Tensor)]
        tensors = tuple(g if g is None or isinstance(g, Tensor) else wrap(g) for g in grads)
        changed = node.attrs(tensors)
        return [g._array if raw and g is not None else g for g in changed]


class BackwardHookFunctionBackward(Node):
    """The node of a gate. `attrs` is the function that sees its gradients and returns those to send on."""

    __slots__ = ()
    op = _Identity()


def gate(tensors: list[Tensor], on_gradients: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> list[Tensor]:
    """The same tensors behind one recorded operation: `on_gradients(grads)` gives the gradients to send on."""
    edges = tuple(edge_of(x) if x._needs_grad else None for x in tensors)
    node: Any = nodes.bare_node(BackwardHookFunctionBackward, edges)
    node.attrs = on_gradients
    results = []
    for number, tensor in enumerate(tensors, 1):  # from 1: an edge to an output 0 is the bare node
        result = tensor.detach()
        result._node, result._output, result._needs_grad = node, number, True
        results.append(result)
    return results


class BackwardGates:
    """A gate before and one after a module's forward, which call its backward hooks."""

    def __init__(self, module: Any, before: list[Any], after: list[Any]):
        self.module = module
        self.before, self.after = before, after
        self.grad_outputs: tuple[Any, ...] | None = None
        self.input_places: list[int] | None = None
        self.num_inputs = 0

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.num_inputs = len(args)
        places = [i for i, x in enumerate(args) if isinstance(x, Tensor) and x._needs_grad]
        if not places or not modes.grad or not self.after:
            return args
        self.input_places = places
        passed = dict(zip(places, gate([args[i] for i in places], self._at_inputs), strict=True))
        return tuple(passed.get(i, x) for i, x in enumerate(args))

    def leave(self, result: Any) -> Any:
        outputs = result if isinstance(result, tuple) else (result,)
        places = [i for i, x in enumerate(outputs) if isinstance(x, Tensor) and x._needs_grad]
        if not places or not modes.grad:
            return result

        def at_outputs(grads: tuple[Any, ...]) -> tuple[Any, ...]:
            every = self._at_outputs(_spread(grads, places, len(outputs)))
            return tuple(every[i] for i in places)

        passed = dict(zip(places, gate([outputs[i] for i in places], at_outputs), strict=True))
        changed = tuple(passed.get(i, x) for i, x in enumerate(outputs))
        return changed if isinstance(result, tuple) else changed[0]

    def _at_outputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in self.before:
            replaced = hook(self.module, grads)
            grads = grads if replaced is None else _as_tuple(replaced)
        self.grad_outputs = grads
        if self.input_places is None and self.after:  # no input has a gradient: this is where the hooks can run
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs since no "
                "inputs require gradients.",
                stacklevel=2,
            )
            for hook in self.after:
                if hook(self.module, (None,) * self.num_inputs, grads) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None "
                        "or None for all gradients."
                    )
        return grads

    def _at_inputs(self, grads: tuple[Any, ...]) -> tuple[Any, ...]:
        places = self.input_places or []
        every = _spread(grads, places, self.num_inputs)
        if self.grad_outputs is None:
            raise RuntimeError("Module backward hook for grad_input is called before the grad_output one.")
        for hook in self.after:
            replaced = hook(self.module, every, self.grad_outputs)
            if replaced is not None:
                replaced = _as_tuple(replaced)
                if len(replaced) != len(every):
                    raise RuntimeError(
                        f"Backward hook returned an invalid number of grad_input, got {len(replaced)}, "
                        f"but expected {len(every)}"
                    )
                every = replaced
        self.grad_outputs = None
        return tuple(every[i] for i in places)


def _spread(values: tuple[Any, ...], places: list[int], count: int) -> tuple[Any, ...]:
    """`values` at their places among `count`, None elsewhere."""
    found = dict(zip(places, values, strict=True))
    return tuple(found.get(i) for i in range(count))


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
