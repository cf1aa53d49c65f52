"""The block in which autocast is on, and its state in each thread.

What is cast is in `ops/autocast.py`. Weights are cast anew at each use: a cache of them, which PyTorch has, would go stale
when a weight is written to in the block. Without a GPU, autocast for it says so and is off, as PyTorch's is.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.autograd.modes import modes
from rushlight.ops import autocast as lists, observers
from rushlight.tensor import Tensor

DEVICES = ("cpu", "cuda")
SUPPORTED = (dtypes.bfloat16, dtypes.float16)


class _State(threading.local):
    """Of a thread: whether autocast is on, its dtype, for each device; whether casts of weights may be kept."""

    def __init__(self) -> None:
        self.enabled = dict.fromkeys(DEVICES, False)
        self.dtype = {"cpu": dtypes.bfloat16, "cuda": dtypes.float16}
        self.cache = True


_state = _State()


def _set(device: str, enabled: bool, dtype: dtypes.dtype) -> None:
    """Sets a device's state, and what the operations go by: `modes.autocast`, and the long path for all of them."""
    _state.enabled[device], _state.dtype[device] = enabled, dtype
    on = tuple([_state.dtype[name].numpy if _state.enabled[name] else None for name in DEVICES])
    was_on, modes.autocast = modes.autocast is not None, None if on == (None, None) else on
    observers.add(int(modes.autocast is not None) - int(was_on))


def _known(device_type: Any) -> str:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
    if device_type not in DEVICES:
        raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
    return device_type


class autocast:
    """While it is on, matrix products and convolutions compute in half precision, losses and the like in float32.

    A context manager, or a decorator.

    Args:
        device_type: "cpu" or "cuda": operations on tensors there are cast.
        dtype: bfloat16 (the CPU's default) or float16 (a GPU's).
        enabled: False to turn it off inside another block.
        cache_enabled: accepted; nothing is cached.

    Raises:
        RuntimeError: another device.

    Example:
        >>> import rushlight as torch
        >>> with torch.autocast("cpu"):
        ...     y = torch.ones(2, 2) @ torch.ones(2, 2)
        >>> y.dtype
        torch.bfloat16
    """

    def __init__(
        self, device_type: str, dtype: dtypes.dtype | None = None, enabled: bool = True,
        cache_enabled: bool | None = None,
    ):  # fmt: skip
        self.device = _known(device_type)
        self.fast_dtype = _state.dtype[self.device] if dtype is None else dtype
        self._cache_enabled = _state.cache if cache_enabled is None else cache_enabled
        if enabled and self.device == "cuda" and not devices.has_gpu():
            warnings.warn("CUDA is not available or torch_xla is imported. Disabling autocast.", stacklevel=2)
            enabled = False
        elif enabled and self.fast_dtype not in SUPPORTED:
            warnings.warn(
                f"In {self.device.upper()} autocast, but the target dtype is not supported. Disabling autocast.\n"
                f"{self.device.upper()} Autocast only supports dtypes of torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._before: list[tuple[bool, dtypes.dtype, bool]] = []

    def __enter__(self) -> autocast:
        self._before.append((_state.enabled[self.device], _state.dtype[self.device], _state.cache))
        _set(self.device, self._enabled, self.fast_dtype)
        _state.cache = self._cache_enabled
        return self

    def __exit__(self, *_: object) -> None:
        enabled, dtype, _state.cache = self._before.pop()
        _set(self.device, enabled, dtype)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not callable(function):
            raise TypeError(
                f"autocast()(func) requires a callable, but got {type(function).__name__}. Did you mean to use autocast as "
                "a context manager? For example:\n    with torch.autocast(device_type=...):\n        output = model(input)"
            )

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self:
                return function(*args, **kwargs)

        return call


# ---------------------------------------------------------------- the state, function by function


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast knows a device."""
    return device_type in DEVICES


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """Whether autocast is on in this thread."""
    return _state.enabled[_known(device_type)]


def set_autocast_enabled(device_type: str, enabled: bool) -> None:
    """Turns autocast on or off in this thread."""
    _set(_known(device_type), enabled, _state.dtype[device_type])


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The dtype that autocast lowers to."""
    return _state.dtype[_known(device_type)]


def set_autocast_dtype(device_type: str, dtype: dtypes.dtype) -> None:
    """Sets the dtype that autocast lowers to."""
    _set(_known(device_type), _state.enabled[device_type], dtype)


def is_autocast_cpu_enabled() -> bool:
    """Whether autocast is on for the CPU."""
    return is_autocast_enabled("cpu")


def get_autocast_cpu_dtype() -> dtypes.dtype:
    """The dtype that autocast lowers to on the CPU."""
    return get_autocast_dtype("cpu")


def is_autocast_cache_enabled() -> bool:
    """What was last said of the cache of weights."""
    return _state.cache


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Accepted; nothing is cached."""
    _state.cache = enabled


def clear_autocast_cache() -> None:
    """Nothing is cached."""


# ---------------------------------------------------------------- for autograd.Function


def custom_fwd(
    fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: dtypes.dtype | None = None
) -> Any:
    """A decorator for the `forward` of an autograd.Function: with `cast_inputs`, its inputs are cast and autocast is off."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    _known(device_type)

    @functools.wraps(fwd)
    def forward(context: Any, *args: Any, **kwargs: Any) -> Any:
        context._dtype = get_autocast_dtype(device_type)
        is_on = is_autocast_enabled(device_type)
        context._fwd_used_autocast = is_on and cast_inputs is None
        if cast_inputs is None or not is_on:
            return fwd(context, *args, **kwargs)
        with autocast(device_type, enabled=False):
            target = cast_inputs.numpy
            given = {key: _cast_all(value, target) for key, value in kwargs.items()}
            return fwd(context, *[_cast_all(value, target) for value in args], **given)

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """A decorator for `backward`: autocast is as it was in `forward`."""
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    _known(device_type)

    @functools.wraps(bwd)
    def backward(context: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, enabled=context._fwd_used_autocast, dtype=context._dtype):
            return bwd(context, *args, **kwargs)

    return backward


def _cast_all(value: Any, target: np.dtype) -> Any:
    if isinstance(value, Tensor):
        return lists.cast_in(value, target)
    if isinstance(value, dict):
        return {key: _cast_all(item, target) for key, item in value.items()}
    return type(value)([_cast_all(x, target) for x in value]) if isinstance(value, (list, tuple)) else value
