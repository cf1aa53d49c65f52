"""Anomaly mode: which line of the forward pass made the node whose derivative is NaN or failed.

While it is on in some thread, operations take the long path (`ops.observers`), and each node made in that thread
notes where it was made. Off, it costs nothing.
"""

from __future__ import annotations

import sys
import traceback
import warnings
from typing import Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.autograd.modes import modes

_OWN = ("rushlight.ops.", "rushlight.api.", "rushlight.autograd.", "rushlight.tensor", "rushlight.methods")


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on in this thread."""
    return modes.anomaly


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, where it is on, looks for NaN."""
    return modes.check_nan


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Turns anomaly mode on or off in this thread."""
    from rushlight.ops import observers

    if mode != modes.anomaly:
        observers.add(1 if mode else -1)
    modes.anomaly, modes.check_nan = mode, check_nan


class set_detect_anomaly:
    """Sets anomaly mode at once; as a context manager, puts it back at the end of the block.

    Args:
        mode: on or off.
        check_nan: whether a backward pass raises when a gradient is NaN.
    """

    def __init__(self, mode: bool, check_nan: bool = True):
        self.prev, self.prev_check_nan = modes.anomaly, modes.check_nan
        set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        set_anomaly_enabled(self.prev, self.prev_check_nan)


class detect_anomaly:
    """Inside, each recorded operation notes the line that called it, and a backward pass that meets NaN says which it was.

    Args:
        check_nan: raise when a backward function gives NaN; otherwise only exceptions are explained.

    Example:
        >>> import rushlight as torch
        >>> import warnings; warnings.simplefilter("ignore")
        >>> x = torch.tensor(-1.0, requires_grad=True)
        >>> with torch.autograd.detect_anomaly():
        ...     y = x.sqrt()
        ...     y.backward()
        Traceback (most recent call last):
        RuntimeError: Function 'SqrtBackward0' returned nan values in its 0th output.
    """

    def __init__(self, check_nan: bool = True):
        self.prev, self.check_nan = modes.anomaly, check_nan
        self.prev_check_nan = modes.check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should only be enabled for "
            "debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *_: object) -> None:
        set_anomaly_enabled(self.prev, self.prev_check_nan)


# ---------------------------------------------------------------- what operations and the walk tell


def note_forward(node: Any) -> None:
    """Notes who made a node: the lines of Python, and the node being differentiated, in a second-order graph."""
    stack = traceback.extract_stack()
    modules = []  # of the same frames, innermost first
    frame: Any = sys._getframe()
    while frame is not None:
        modules.append(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    own = next((i for i, name in enumerate(modules) if not f"{name}.".startswith(_OWN)), 0)
    metadata = node.metadata
    metadata["traceback_"] = traceback.format_list(stack[: len(stack) - own])
    if modes.walk is not None and modes.walk.evaluating is not None:
        metadata["parent_"] = modes.walk.evaluating


def watched(walk: Any, node: Any, grad: Any, edges: tuple) -> Any:
    """Differentiates a node; should it raise, a warning says who made the node."""
    before, walk.evaluating = walk.evaluating, node
    try:
        return walk._differentiate(node, grad, edges)
    except Exception:
        explain(node)
        raise
    finally:
        walk.evaluating = before


def check(node: Any, parts: Any) -> None:
    """Raises if a gradient that a node gave has NaN in it."""
    for number, part in enumerate(parts):
        array = getattr(part, "_array", part)
        if _has_nan(array):
            explain(node)
            raise RuntimeError(f"Function '{node.name()}' returned nan values in its {number}th output.")


def _has_nan(array: Any) -> bool:
    if kinds.GPU is not None and isinstance(array, kinds.GPU.ndarray):
        return array.dtype.kind not in "biu" and bool(kinds.GPU.isnan(array).any())
    is_plain = isinstance(array, (np.ndarray, np.generic))
    return is_plain and array.dtype.kind not in "biu" and bool(np.isnan(array).any())


def explain(node: Any) -> None:
    """Warns with the lines of the forward pass that made a node, and those that led to them."""
    metadata = node.metadata
    if "traceback_" not in metadata:
        warnings.warn(
            f"Error detected in {node.name()}. No forward pass information available. Enable detect anomaly during "
            "forward pass for more information.",
            stacklevel=2,
        )
        return
    message = (
        f"Error detected in {node.name()}. Traceback of forward call that caused the error:\n"
        f"{''.join(metadata['traceback_'])}"
    )
    warnings.warn(message, stacklevel=2)
    while (parent := metadata.get("parent_")) is not None:
        metadata = parent.metadata
        if "traceback_" not in metadata:
            text = f"Previous calculation was induced by {parent.name()}. No forward pass information available."
        else:
            text = (
                f"Previous calculation was induced by {parent.name()}. Traceback of forward call that induced the "
                f"previous calculation:\n{''.join(metadata['traceback_'])}"
            )
        warnings.warn(f"\n\n{text}", stacklevel=2)
