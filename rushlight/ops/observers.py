"""Who follows operations as they run: the recorder of a program, above all.

While anybody does, `count` is not 0, and operations leave their short paths for the long one (`ops.long_path`), which
tells the recorder what it has to know: which tensors come from outside, which gradients are read, which values are asked
for. Anomaly mode, hooks of saved tensors and autocast raise the count for the sake of the long path alone.
"""

from __future__ import annotations

import threading
from typing import Any

from numpy import ndarray

from rushlight.arrays import kinds
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.tensor import Tensor


class HostNumber(float):
    """A Python number that a recorded program reads again at each run, such as a learning rate.

    `symbol` is the 0-dimensional float64 symbolic array that stands for it. compiler/trace.py makes these.
    """

    symbol: SymbolicArray


# How many threads record a program, or watch what autograd records (anomaly mode, hooks of saved tensors): the short
# paths ask this before anything else, and if it is not 0, operations take the long path.
count = 0
_lock = threading.Lock()


def add(more: int) -> None:
    """One more reason for the long path, or (-1) one less."""
    global count
    with _lock:
        count += more


def recorder() -> Any:
    """This thread's recorder, if it is recording: compiler/trace.py puts its own function here."""
    return None


def lift(tensor: Tensor) -> None:
    """While a program is recorded, makes a tensor that came from outside an input of it."""
    found = recorder()
    if found is not None:
        array = tensor._array
        if type(array) is ndarray or kinds.GPU is not None and type(array) is kinds.GPU.ndarray:
            found.lift(tensor)


def note_tensor(tensor: Tensor) -> None:
    found = recorder()
    if found is not None:
        found.note_tensor(tensor)


def note_grad(tensor: Tensor, is_read: bool) -> None:
    found = recorder()
    if found is not None:
        found.note_grad(tensor, is_read)


def note_backward() -> None:
    found = recorder()
    if found is not None:
        found.differentiated = True


def note_module(module: Any) -> None:
    found = recorder()
    if found is not None:
        found.note_module(module)


def refuse_value(tensor: Tensor, what: str) -> None:
    found = recorder()
    if found is not None:
        found.refuse_value(tensor, what)
