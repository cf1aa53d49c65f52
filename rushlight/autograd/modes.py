"""Whether operations are recorded: a flag for each thread, and the context managers that set it."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


class _Modes(threading.local):
    """What holds for a thread.

    Attributes:
        grad: operations on tensors that require gradients are recorded.
        inference: inside `inference_mode`.
        anomaly, check_nan: anomaly mode (`anomaly.py`), and whether it looks for NaN.
        saved_hooks: (pack, unpack) pairs of hooks of saved tensors, the last one in force (`saved.py`).
        saved_hooks_refused: why there may be none, or None.
        mutation: what is to be told before a write (`graph/mutation.py`), or None.
        walk: the backward pass that runs, or None (`engine.py`).
        device: where new tensors come to be, if that is not the CPU; and what it was before blocks `with device:`.
        autocast: NumPy's dtypes of what autocast lowers on the CPU and on GPUs (`amp/autocast.py`), None outside of it.
    """

    grad = True
    inference = False
    anomaly = False
    check_nan = True
    saved_hooks: tuple[tuple[Any, Any], ...] = ()
    saved_hooks_refused: str | None = None
    mutation: Any = None
    walk: Any = None
    device: Any = None
    devices_before: tuple[Any, ...] = ()
    autocast: Any = None


modes = _Modes()


class _GradMode:
    """A context manager that sets the modes for its block; as a decorator, for each call (or step of a generator)."""

    def __init__(self, grad: bool, inference: bool | None = None):
        self._grad, self._inference = grad, inference
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self._before.append((modes.grad, modes.inference))
        modes.grad = self._grad
        if self._inference is not None:
            modes.inference = self._inference

    def __exit__(self, *_: object) -> None:
        modes.grad, modes.inference = self._before.pop()

    def _anew(self) -> _GradMode:
        return _GradMode(self._grad, self._inference)

    def __call__(self, function: Function) -> Function:
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Any:
                with self._anew():
                    iterator = function(*args, **kwargs)
                while True:
                    try:
                        with self._anew():
                            item = next(iterator)
                    except StopIteration as stop:
                        return stop.value
                    yield item

            return generator  # type: ignore[return-value]

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._anew():
                return function(*args, **kwargs)

        return wrapped  # type: ignore[return-value]


def _decorates(mode: type[_GradMode]) -> Any:
    """Lets a mode be used as `@no_grad` as well as `@no_grad()`."""

    def new(cls: type, function: Any = None, *_: Any) -> Any:
        instance = object.__new__(cls)
        if callable(function):
            instance.__init__()
            return instance(function)
        return instance

    mode.__new__ = staticmethod(new)  # type: ignore[method-assign]
    return mode


@_decorates
class no_grad(_GradMode):
    """Operations inside are not recorded; their results do not require gradients.

    Example:
        >>> import rushlight as torch
        >>> x = torch.ones(2, requires_grad=True)
        >>> with torch.no_grad():
        ...     y = x * 2
        >>> y.requires_grad
        False
    """

    def __init__(self) -> None:
        super().__init__(False)


@_decorates
class enable_grad(_GradMode):
    """Operations inside are recorded, also within `no_grad`."""

    def __init__(self) -> None:
        super().__init__(True)


class inference_mode(_GradMode):
    """As `no_grad`. PyTorch also skips version counters inside, which cost nothing to keep here."""

    def __new__(cls, mode: Any = True) -> Any:
        instance = object.__new__(cls)
        if callable(mode):
            instance.__init__()
            return instance(mode)
        return instance

    def __init__(self, mode: bool = True):
        super().__init__(not mode, mode)


class set_grad_enabled(_GradMode):
    """Sets the mode at once; as a context manager, puts it back at the end of the block."""

    def __init__(self, mode: bool):
        super().__init__(mode)
        self._before.append((modes.grad, modes.inference))
        modes.grad = mode

    def __enter__(self) -> None:
        pass

    def _anew(self) -> _GradMode:
        return _GradMode(self._grad)

    def __call__(self, function: Function) -> Function:
        modes.grad, modes.inference = self._before.pop()  # as a decorator it does not set the mode now
        return super().__call__(function)


def is_grad_enabled() -> bool:
    """Whether operations are recorded in this thread now."""
    return modes.grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return modes.inference
