"""Loss scaling: gradients of half precision are computed of a loss times a large factor, so that small ones are not 0.

The factor is looked for: a step whose gradients are not finite is left out and halves it, many finite steps double it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from rushlight import devices, dtypes
from rushlight.autograd.modes import no_grad
from rushlight.compiler.trace import paused
from rushlight.ops.create import full
from rushlight.tensor import Tensor

READY, UNSCALED, STEPPED = "ready", "unscaled", "stepped"


class GradScaler:
    """Scales losses, and steps optimizers with unscaled gradients where these are finite.

        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    Args:
        device: "cuda" or "cpu". For a GPU that is not there it says so, and does nothing.
        init_scale: the first factor.
        growth_factor, backoff_factor: what the factor is multiplied by after `growth_interval` finite steps, and after one
            that is not.
        enabled: False to do nothing.

    Raises:
        AssertionError: a growth factor of at most 1, a backoff factor of at least 1.
    """

    def __init__(
        self, device: str = "cuda", init_scale: float = 2.0**16, growth_factor: float = 2.0, backoff_factor: float = 0.5,
        growth_interval: int = 2000, enabled: bool = True,
    ):  # fmt: skip
        self._device, self._enabled = device, enabled
        if enabled and device == "cuda" and not devices.has_gpu():
            warnings.warn("torch.cuda.amp.GradScaler is enabled, but CUDA is not available.  Disabling.", stacklevel=2)
            self._enabled = False
        if self._enabled:
            if growth_factor <= 1.0:
                raise AssertionError("The growth factor must be > 1.0.")
            if backoff_factor >= 1.0:
                raise AssertionError("The backoff factor must be < 1.0.")
        self._init_scale, self._growth_factor, self._backoff_factor = init_scale, growth_factor, backoff_factor
        self._growth_interval, self._growth_tracker = growth_interval, 0
        self._scale: Tensor | None = None
        self._stages: dict[int, tuple[str, bool]] = {}  # of each optimizer: how far it is, whether all was finite

    # ------------------------------------------------------------ scaling

    def scale(self, outputs: Any) -> Any:
        """Losses, one or an iterable of them, times the factor.

        Raises:
            ValueError: what is no tensor.
        """
        if not self._enabled:
            return outputs
        if self._scale is None:
            with paused():  # it outlives a step that is being recorded
                self._scale = full((), self._init_scale, dtype=dtypes.float32, device="cpu")
        if isinstance(outputs, Tensor):
            return outputs * self._scale
        if isinstance(outputs, Iterable):
            scaled = [self.scale(output) for output in outputs]
            return type(outputs)(scaled) if isinstance(outputs, (list, tuple)) else iter(scaled)  # type: ignore[call-arg]
        raise ValueError("outputs must be a Tensor or an iterable of Tensors")

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of an optimizer's parameters by the factor: before clipping them, say.

        Raises:
            RuntimeError: called twice for a step, or after it. ValueError: gradients of float16.
        """
        if not self._enabled:
            return
        scale = self._checked_scale("unscale_")
        stage = self._stages.get(id(optimizer), (READY, True))[0]
        if stage is UNSCALED:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        if stage is STEPPED:
            raise RuntimeError("unscale_() is being called after step().")
        self._stages[id(optimizer)] = UNSCALED, _unscale(optimizer, 1.0 / scale)

    def step(self, optimizer: Any, *args: Any, **kwargs: Any) -> Any:
        """`optimizer.step(*args, **kwargs)` on unscaled gradients, if all of them are finite.

        Returns:
            What the step returns; None if it was left out.

        Raises:
            RuntimeError: called twice without `update`, or with a closure.
        """
        if not self._enabled:
            return optimizer.step(*args, **kwargs)
        if "closure" in kwargs:
            raise RuntimeError("Closure use is not currently supported if GradScaler is enabled.")
        self._checked_scale("step")
        stage = self._stages.get(id(optimizer), (READY, True))[0]
        if stage is STEPPED:
            raise RuntimeError("step() has already been called since the last update().")
        if stage is READY:
            self.unscale_(optimizer)
        is_finite = self._stages[id(optimizer)][1]
        result = optimizer.step(*args, **kwargs) if is_finite else None
        self._stages[id(optimizer)] = STEPPED, is_finite
        return result

    def update(self, new_scale: float | Tensor | None = None) -> None:
        """Ends an iteration: the factor becomes another one, if it is time; or `new_scale`."""
        if not self._enabled:
            return
        scale = self._checked_scale("update")
        assert self._scale is not None
        if new_scale is not None:
            self._scale.fill_(float(new_scale))
        else:
            if not self._stages:
                raise AssertionError("No inf checks were recorded prior to update.")
            if all(is_finite for _, is_finite in self._stages.values()):
                self._grow(scale)
            else:
                self._scale.fill_(float(np.float32(scale) * np.float32(self._backoff_factor)))
                self._growth_tracker = 0
        self._stages = {}

    def _grow(self, scale: float) -> None:
        self._growth_tracker += 1
        if self._growth_tracker == self._growth_interval:
            grown = np.float32(scale) * np.float32(self._growth_factor)
            if np.isfinite(grown):
                self._scale.fill_(float(grown))  # type: ignore[union-attr]
            self._growth_tracker = 0

    def _checked_scale(self, name: str) -> float:
        if self._scale is None:
            raise AssertionError(
                f"Attempted {name} but _scale is None.  This may indicate your script did not use scaler.scale(loss or "
                "outputs) earlier in the iteration."
            )
        return self._scale.item()  # type: ignore[no-any-return]

    # ------------------------------------------------------------ what it is set to

    def is_enabled(self) -> bool:
        """Whether it does anything."""
        return self._enabled

    def get_scale(self) -> float:
        """The factor; 1 if it does nothing."""
        if not self._enabled:
            return 1.0
        return self._init_scale if self._scale is None else self._scale.item()

    def get_growth_factor(self) -> float:
        """What the factor is multiplied by after many finite steps."""
        return self._growth_factor

    def set_growth_factor(self, new_factor: float) -> None:
        """Sets what the factor is multiplied by after many finite steps."""
        self._growth_factor = new_factor

    def get_backoff_factor(self) -> float:
        """What the factor is multiplied by after a step that was not finite."""
        return self._backoff_factor

    def set_backoff_factor(self, new_factor: float) -> None:
        """Sets what the factor is multiplied by after a step that was not finite."""
        self._backoff_factor = new_factor

    def get_growth_interval(self) -> int:
        """How many finite steps are many."""
        return self._growth_interval

    def set_growth_interval(self, new_interval: int) -> None:
        """Sets how many finite steps are many."""
        self._growth_interval = new_interval

    def _get_growth_tracker(self) -> int:
        return self._growth_tracker if self._enabled else 0

    def state_dict(self) -> dict[str, Any]:
        """The factor and how it changes, in PyTorch's format; empty if it does nothing."""
        if not self._enabled:
            return {}
        return {
            "scale": self.get_scale(), "growth_factor": self._growth_factor, "backoff_factor": self._backoff_factor,
            "growth_interval": self._growth_interval, "_growth_tracker": self._growth_tracker,
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, here or in PyTorch.

        Raises:
            RuntimeError: an empty state.
        """
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError(
                "The source state dict is empty, possibly because it was saved from a disabled instance of GradScaler."
            )
        self._init_scale = state_dict["scale"]
        if self._scale is not None:
            self._scale.fill_(state_dict["scale"])
        self._growth_factor, self._backoff_factor = state_dict["growth_factor"], state_dict["backoff_factor"]
        self._growth_interval, self._growth_tracker = state_dict["growth_interval"], state_dict["_growth_tracker"]

    def __getstate__(self) -> dict[str, Any]:
        if self._stages:
            raise AssertionError(
                "A GradScaler instance may only be pickled at the beginning of an iteration, or at the end after "
                "scaler.update()."
            )
        return {**self.__dict__, "_init_scale": self.get_scale(), "_scale": None}


@no_grad()
def _unscale(optimizer: Any, factor: float) -> bool:
    """Multiplies all gradients by a factor, in place; whether they were finite."""
    factor = float(np.float32(factor))
    flags: dict[Any, Tensor] = {}  # of each GPU, which is asked once: whether all was finite
    is_finite = True
    for group in optimizer.param_groups:
        for param in group["params"]:
            grad = param.grad
            if grad is None:
                continue
            if grad.dtype is dtypes.float16:
                raise ValueError("Attempting to unscale FP16 gradients.")
            values = grad._values() if grad.is_sparse else grad
            flag = values.isfinite().all()
            if flag.is_cuda:
                flags[flag.device] = flags[flag.device] & flag if flag.device in flags else flag
            else:
                is_finite = is_finite and bool(flag)
            values.mul_(factor)
    return is_finite and all(map(bool, flags.values()))
