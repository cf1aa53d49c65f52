"""Activation checkpointing: run a part of a model again in the backward pass, instead of keeping what it computed.

The non-reentrant kind (`use_reentrant=False`) is made of hooks of saved tensors: going forward, a saved tensor is replaced
by a placeholder. The first placeholder that a backward pass asks for makes the region run again, its saved tensors
filling the placeholders in the order in which they were made. The reentrant kind is a custom Function whose backward runs
the region again and a backward pass of its own inside.

A region inside a region keeps its inputs through the outer one's hooks, so that regions nest. While a program is recorded,
the region simply runs: the compiler plans memory itself. Left out: selective checkpointing.
"""

from __future__ import annotations

import contextlib
import traceback
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rushlight import random
from rushlight.amp.autocast import autocast, get_autocast_dtype, is_autocast_enabled
from rushlight.autograd.function import Function, _Kept
from rushlight.autograd.gradients import backward
from rushlight.autograd.graph.values import saved_tensors_hooks
from rushlight.autograd.modes import enable_grad, modes, no_grad
from rushlight.ops import observers
from rushlight.tensor import Tensor


class CheckpointError(RuntimeError):
    """The region computed something else when it was run again."""


class _Switches:
    """What the context managers below set: None leaves it to each call."""

    early_stop: bool | None = None
    debug: bool | None = None


_switches = _Switches()
_TIP = (
    "Tip: To see a more detailed error message, either pass `debug=True` to `torch.utils.checkpoint.checkpoint(...)` or wrap "
    "the code block with `with torch.utils.checkpoint.set_checkpoint_debug_enabled(True):` to enable checkpoint-debug mode "
    "globally."
)


@contextlib.contextmanager
def _switched(name: str, value: bool | None) -> Iterator[None]:
    before = getattr(_switches, name)
    setattr(_switches, name, value)
    try:
        yield
    finally:
        setattr(_switches, name, before)


def set_checkpoint_early_stop(enable: bool) -> contextlib.AbstractContextManager[None]:
    """For the regions run forward inside: whether running again ends as soon as all that is needed is there."""
    return _switched("early_stop", enable)


def set_checkpoint_debug_enabled(enabled: bool | None) -> contextlib.AbstractContextManager[None]:
    """For the regions run forward inside: whether errors show where each tensor was saved, whatever `debug` says."""
    return _switched("debug", enabled)


def _autocast_as_now() -> autocast:
    """A context manager that puts autocast as it is now."""
    return autocast("cpu", get_autocast_dtype("cpu"), is_autocast_enabled("cpu"))


def noop_context_fn() -> tuple[Any, Any]:
    return contextlib.nullcontext(), contextlib.nullcontext()


def _metadata(tensor: Tensor) -> dict[str, Any]:
    return {"shape": tensor.shape, "dtype": tensor.dtype, "device": tensor.device}


_CHECKS: dict[str, Callable[[Tensor], Any]] = {"default": _metadata, "none": lambda tensor: None}


def checkpoint(
    function: Callable[..., Any], *args: Any, use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] = noop_context_fn, determinism_check: str = "default", debug: bool = False,
    early_stop: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """Runs a part of a model without keeping its intermediate values; it runs again when a backward pass needs them.

    Args:
        function: what to run. Run again, it must do the same.
        args, kwargs: its arguments. `preserve_rng_state=False` lets random numbers differ between the two runs.
        use_reentrant: False is recommended. True runs a backward pass inside the backward pass: `autograd.grad` cannot be
            used, and some argument has to require gradients.
        context_fn: gives two context managers, for the first run and for the other.
        determinism_check: "default" compares shapes and dtypes of the two runs; "none" does not.
        debug: errors show where each tensor was saved.
        early_stop: stop running again when all that is needed is there.

    Returns:
        What the function returns.

    Raises:
        CheckpointError: in the backward pass: the function saved other tensors than before.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.utils.checkpoint import checkpoint
        >>> x = torch.ones(2, requires_grad=True)
        >>> checkpoint(lambda x: x.sin().exp(), x, use_reentrant=False).sum().backward()
        >>> x.grad
        tensor([1.2534, 1.2534])
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Calling checkpoint without "
            "use_reentrant will raise an exception one day. use_reentrant=False is recommended, but if you need to preserve "
            "the current default behavior, you can pass use_reentrant=True.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in _CHECKS:
        raise ValueError(f"determinism_check should be one of {list(_CHECKS)}, but got {determinism_check}")
    debug = debug if _switches.debug is None else _switches.debug
    if debug and context_fn is not noop_context_fn:
        raise ValueError("debug=True is incompatible with non-default context_fn")
    if not modes.grad or observers.count and observers.recorder() is not None:
        return function(*args, **kwargs)
    early_stop = early_stop if _switches.early_stop is None else _switches.early_stop
    before, again = context_fn()
    region = _Region(function, args, kwargs, again, preserve, early_stop, _CHECKS[determinism_check], debug)
    with saved_tensors_hooks(region.pack, region.unpack), before:
        result = function(*args, **kwargs)
    region.is_complete = True
    return result


# ---------------------------------------------------------------- the non-reentrant kind


class _Placeholder:
    """Stands in the graph for the saved tensor `number` of a region."""

    __slots__ = ("number", "__weakref__")

    def __init__(self, number: int):
        self.number = number


class _EnoughError(Exception):
    """Ends a second run: all saved tensors are there."""


class _Region:
    """A part of a model that runs again for each backward pass."""

    def __init__(
        self, function: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any, preserve: bool,
        early_stop: bool, facts_of: Callable[[Tensor], Any], debug: bool,
    ):  # fmt: skip
        self.function, self.kwargs, self.context, self.early_stop = function, kwargs, context, early_stop
        self.kept = [_Kept(arg, None, "checkpoint") if isinstance(arg, Tensor) else arg for arg in args]
        self.random_state = random.get_states() if preserve else None
        self.casts = _autocast_as_now()
        self.facts_of, self.debug = facts_of, debug
        self.placeholders: list[weakref.ref[_Placeholder]] = []
        self.facts: list[Any] = []
        self.lines: list[str] = []
        self.is_complete = False  # the first run is over
        self.found: weakref.WeakKeyDictionary[Any, dict[int, Tensor]] = weakref.WeakKeyDictionary()  # by backward pass

    def pack(self, tensor: Tensor) -> _Placeholder:
        placeholder = _Placeholder(len(self.placeholders))
        self.placeholders.append(weakref.ref(placeholder))
        self.facts.append(self.facts_of(tensor))
        if self.debug:
            self.lines.append(_user_line())
        return placeholder

    def unpack(self, placeholder: _Placeholder) -> Tensor:
        walk = modes.walk or placeholder  # outside of a backward pass somebody looks at one value
        if walk not in self.found:
            self.found[walk] = _SecondRun(self).run()
        try:
            return self.found[walk].pop(placeholder.number)
        except KeyError:
            raise CheckpointError(
                "torch.utils.checkpoint: Unpack is being triggered for a tensor that was already unpacked once. If you are "
                "calling ctx.saved_tensors in backward, make sure to do so only once. Otherwise please open an issue with "
                "details on your use case."
            ) from None


class _SecondRun:
    """One more run of a region, which fills its placeholders."""

    def __init__(self, region: _Region):
        self.region = region
        self.count = 0
        self.found: dict[int, Tensor] = {}
        self.lines: list[str] = []
        self.may_differ = False

    def run(self) -> dict[int, Tensor]:
        region = self.region
        args = [arg.tensor(None) if isinstance(arg, _Kept) else arg for arg in region.kept]  # type: ignore[arg-type]
        with (
            random.fork_rng(enabled=region.random_state is not None),
            contextlib.suppress(_EnoughError),
            saved_tensors_hooks(self.pack, lambda tensor: tensor),
            enable_grad(),
            region.casts,
            region.context,
        ):
            if region.random_state is not None:
                random.set_states(region.random_state)
            region.function(*args, **region.kwargs)
        if not self.may_differ:
            self._compare()
        return self.found

    def pack(self, tensor: Tensor) -> Tensor:
        region, number = self.region, self.count
        self.count += 1
        if region.debug:
            self.lines.append(_user_line())
        if number >= len(region.placeholders):
            if region.is_complete:
                raise CheckpointError(
                    "torch.utils.checkpoint: trying to save more tensors during recomputation than during the original "
                    f"forward pass.\n{self._explained()}"
                )
            self.may_differ = True  # a backward pass within the first run, which is not over
            return tensor
        if region.placeholders[number]() is not None:
            self.found[number] = tensor
        if region.early_stop and self.count == len(region.placeholders):
            raise _EnoughError
        return tensor

    def _compare(self) -> None:
        region = self.region
        if self.count != len(region.placeholders):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward and "
                f"recomputation.\nNumber of tensors saved during forward: {len(region.placeholders)}\n"
                f"Number of tensors saved during recomputation: {self.count}.\n{self._explained()}"
            )
        different = "".join(
            f"tensor at position {number}:\nsaved metadata: {region.facts[number]}\n"
            f"recomputed metadata: {region.facts_of(tensor)}\n"
            for number, tensor in self.found.items()
            if region.facts[number] != region.facts_of(tensor)
        )
        if different:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata than during "
                f"the forward pass.\n{different}{self._explained()}"
            )

    def _explained(self) -> str:
        if not self.region.debug:
            return _TIP
        first = "".join(
            f"{i}: {facts} {line}"
            for i, (facts, line) in enumerate(zip(self.region.facts, self.region.lines, strict=True))
        )
        second = "".join(f"{i}: {line}" for i, line in enumerate(self.lines))
        return f"Tensors saved during the original forward:\n{first}Tensors saved during recomputation:\n{second}"


def _user_line() -> str:
    """The innermost line of Python that is not this package's."""
    frames = [f for f in traceback.extract_stack() if "/rushlight/" not in f.filename.replace("\\", "/")]
    return "".join(traceback.format_list(frames[-1:])) or "\n"


# ---------------------------------------------------------------- the reentrant kind


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Tensors as leaves that require gradients where the tensors did; other things as they are."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}")
    return tuple(
        value.detach().requires_grad_(value.requires_grad) if isinstance(value, Tensor) else value for value in inputs
    )


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warns if no input requires gradients."""
    if not any(value.requires_grad for value in inputs if isinstance(value, Tensor)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


class CheckpointFunction(Function):
    """`checkpoint(use_reentrant=True)`: arguments are the function, whether to keep random numbers, and the function's own."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable[..., Any], preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.random_state, ctx.casts = random.get_states() if preserve_rng_state else None, _autocast_as_now()
        ctx.others = [None if isinstance(arg, Tensor) else arg for arg in args]
        ctx.places = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
        ctx.save_for_backward(*[args[i] for i in ctx.places])
        with no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        if modes.walk is not None and modes.walk.goals is not None:
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an `inputs` "
                "parameter to .backward(). To resolve this error, you can either set use_reentrant=False, or call "
                ".backward() without passing the `inputs` argument."
            )
        inputs = list(ctx.others)
        for place, tensor in zip(ctx.places, ctx.saved_tensors, strict=True):
            inputs[place] = tensor
        leaves = detach_variable(tuple(inputs))
        with random.fork_rng(enabled=ctx.random_state is not None), enable_grad(), ctx.casts:
            if ctx.random_state is not None:
                random.set_states(ctx.random_state)
            outputs = ctx.run_function(*leaves)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        pairs = [
            (out, grad)
            for out, grad in zip(outputs, grads, strict=True)
            if isinstance(out, Tensor) and out.requires_grad
        ]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        backward([out for out, _ in pairs], [grad for _, grad in pairs])
        return (None, None, *[leaf.grad if isinstance(leaf, Tensor) else None for leaf in leaves])


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Runs modules or functions one after the other, in segments that are checkpointed, except the last.

    Args:
        functions: a `Sequential`, or a list.
        segments: how many.
        input: of the first.
        use_reentrant, preserve_rng_state: as for `checkpoint`.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed explicitly. "
            "use_reentrant=False is recommended, but if you need to preserve the current default behavior, you can pass "
            "use_reentrant=True.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)

    def segment(part: list[Any]) -> Callable[[Any], Any]:
        def run(value: Any) -> Any:
            for step in part:
                value = step(value)
            return value

        return run

    size, end = len(steps) // segments, 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(segment(steps[start:end]), input, use_reentrant=use_reentrant, preserve_rng_state=preserve)
    return segment(steps[end:])(input)
