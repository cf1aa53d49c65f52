"""`torch.jit`: TorchScript, a language of PyTorch's for running models without Python, which is not here.

`script` and `trace` give back what they are given, with one warning: the program runs as Python, and gives the same
results. What makes native programs is `rushlight.compile`. Files of TorchScript are neither written nor read.
"""

from __future__ import annotations

import builtins
import warnings
from collections.abc import Callable
from typing import Any, Final as Final, NoReturn, TypeVar

from rushlight.nn import Module

Function = TypeVar("Function", bound=Callable[..., Any])
ScriptModule = Module

_has_warned = False


def _as_it_is(what: str, given: Any) -> Any:
    global _has_warned
    if not _has_warned:
        _has_warned = True
        warnings.warn(
            f"torch.jit.{what}: rushlight has no TorchScript and runs this as Python; torch.compile makes native "
            "programs.",
            stacklevel=3,
        )
    return given


def script(obj: Any, *args: Any, **kwargs: Any) -> Any:
    """Gives back the function, module or class itself."""
    return _as_it_is("script", obj)


def trace(func: Any, example_inputs: Any = None, *args: Any, **kwargs: Any) -> Any:
    """Gives back the function or module itself."""
    return _as_it_is("trace", func)


def trace_module(mod: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Gives back the module itself."""
    return _as_it_is("trace_module", mod)


def freeze(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """Gives back the module itself."""
    return _as_it_is("freeze", mod)


def optimize_for_inference(mod: Any, *args: Any, **kwargs: Any) -> Any:
    """Gives back the module itself."""
    return _as_it_is("optimize_for_inference", mod)


def _marks(function: Function) -> Function:
    """A mark for a compiler that is not here."""
    return function


export = script_method = script_if_tracing = _marks


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """A mark for a compiler that is not here; with or without arguments."""
    return drop if callable(drop) else _marks


unused = ignore


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value; its type is for a compiler that is not here."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own `isinstance`."""
    return builtins.isinstance(obj, target_type)


def is_scripting() -> bool:
    """Whether a compiler reads this code: it does not."""
    return False


is_tracing = is_scripting


def _refuse(what: str) -> NoReturn:
    raise NotImplementedError(
        f"torch.jit.{what}: rushlight has no TorchScript. Save the model's state_dict by torch.save, and load it into "
        "the module."
    )


def save(m: Any, f: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Files of TorchScript, which are not written here."""
    _refuse("save")


def load(f: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Files of TorchScript, which are not read here."""
    _refuse("load")
