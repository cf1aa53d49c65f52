"""What all generators have in common: a device, a seed, a state that is a tensor of bytes.

A subclass is the stream of one type of device: `CpuGenerator`, `CudaGenerator`. `Generator(device)` makes the right one, so
that programs know one class, as PyTorch's do.
"""

from __future__ import annotations

import operator
import os
from typing import Any, ClassVar

import numpy as np

from rushlight import devices

DEFAULT_SEED = 67280421310721  # PyTorch's own; the largest known prime factor of 2**128 + 1


class Generator:
    """A stream of random numbers.

    Args:
        device: where the numbers are to be: "cpu" or "cuda".

    Raises:
        RuntimeError: a type of device without random numbers, or no GPU.

    Example:
        >>> Generator().manual_seed(0).uniform((2,))
        array([0.4962566, 0.7682218], dtype=float32)
    """

    __slots__ = ("_seed", "device")
    kinds: ClassVar[dict[str, type[Generator]]] = {}  # by type of device; each file of a subclass adds its own

    def __new__(cls, device: Any = "cpu") -> Generator:
        if cls is not Generator:
            return object.__new__(cls)
        found = devices.require(device)
        if found.type not in cls.kinds:
            raise RuntimeError(f"Device type {found.type} is not supported for torch.Generator() api.")
        return object.__new__(cls.kinds[found.type])

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream anew; a negative seed stands for seed + 2**64. Returns self."""
        if isinstance(seed, bool) or not hasattr(seed, "__index__"):
            raise RuntimeError(f"manual_seed expected a long, but got {type(seed).__name__}")
        seed = operator.index(seed)
        if not -(2**63) <= seed < 2**64:
            raise ValueError("Overflow when unpacking long long")
        self._seed = seed % 2**64
        self._restart()
        return self

    def _restart(self) -> None:
        """Go to the start of the seed's stream."""
        raise NotImplementedError

    def seed(self) -> int:
        """Start the stream at a seed from the operating system. Returns that seed."""
        self.manual_seed(int.from_bytes(os.urandom(8), "little"))
        return self._seed

    def initial_seed(self) -> int:
        """Return the seed of the last `manual_seed` or `seed`."""
        return self._seed

    def get_state(self) -> Any:
        """Return the state, a tensor of uint8: the bytes of PyTorch's `Generator.get_state()` for the same device."""
        from rushlight.tensor import wrap  # tensors are above this file

        return wrap(np.frombuffer(self._state_bytes(), np.uint8).copy())

    def set_state(self, state: Any) -> Generator:
        """Take over a state made by `get_state`, here or in PyTorch. Returns self."""
        if not hasattr(state, "__array__"):
            raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
        state = np.asarray(state)
        if state.dtype != np.uint8:
            raise TypeError("RNG state must be a torch.ByteTensor")
        self._set_state_bytes(state.tobytes())
        return self

    def _state_bytes(self) -> bytes:
        raise NotImplementedError

    def _set_state_bytes(self, data: bytes) -> None:
        raise NotImplementedError

    def clone_state(self) -> Generator:
        """Return a new generator in this one's state."""
        copy = type(self)(self.device)
        copy._set_state_bytes(self._state_bytes())
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (type(self), self.device, self._state_bytes())


def _restored(kind: type[Generator], device: Any, state: bytes) -> Generator:
    """A generator of the bytes of its state: what is unpickled."""
    made = kind(device)
    made._set_state_bytes(state)
    return made
