"""Rates that fall along a cosine (Loshchilov & Hutter, ICLR 2017)."""

from __future__ import annotations

import math
from math import cos, pi
from typing import Any

from rushlight.optim.lr_scheduler.base import LRScheduler


class CosineAnnealingLR(LRScheduler):
    """From the initial rates to `eta_min` in `T_max` epochs, along half a cosine; then up again, and so on."""

    def __init__(self, optimizer: Any, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):  # noqa: N803 (PyTorch's)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        epoch, lowest, groups = self.last_epoch, self.eta_min, self.optimizer.param_groups
        if self._is_initial:
            return self._rates()
        if self._step_count == 1 and epoch > 0:
            return self._get_closed_form_lr()
        if (epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # leaving the bottom, where the factor below is 0 / 0
            rise = (1 - cos(pi / self.T_max)) / 2
            return [group["lr"] + (rate - lowest) * rise for rate, group in zip(self.base_lrs, groups, strict=True)]
        factor = (1 + cos(pi * epoch / self.T_max)) / (1 + cos(pi * (epoch - 1) / self.T_max))
        return [factor * (group["lr"] - lowest) + lowest for group in groups]

    def _get_closed_form_lr(self) -> list[Any]:
        return _cosine(self.base_lrs, self.eta_min, self.last_epoch / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Half a cosine from the initial rates to `eta_min`, again and again.

    Args:
        T_0: epochs of the first fall.
        T_mult: each fall takes this many times the one before.
        eta_min: the lowest rate.

    Raises:
        ValueError: no positive integers, or eta_min no number.
    """

    def __init__(
        self, optimizer: Any, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1  # noqa: N803
    ):  # fmt: skip
        if T_0 <= 0 or not isinstance(T_0, int):
            raise ValueError(f"Expected positive integer T_0, but got {T_0}")
        if T_mult < 1 or not isinstance(T_mult, int):
            raise ValueError(f"Expected integer T_mult >= 1, but got {T_mult}")
        if not isinstance(eta_min, (float, int)):
            raise ValueError(f"Expected float or int eta_min, but got {eta_min} of type {type(eta_min)}")
        self.T_0 = self.T_i = T_0
        self.T_mult, self.eta_min, self.T_cur = T_mult, eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        return _cosine(self.base_lrs, self.eta_min, self.T_cur / self.T_i)

    def step(self, epoch: float | None = None) -> None:
        """Sets the rates for the next epoch, or for any, which may be a fraction (`epoch + batch / batches`)."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            self._find_place(epoch)
        self.last_epoch = math.floor(epoch)
        self._set_rates(self.get_lr)

    def _find_place(self, epoch: float) -> None:
        """Sets the length of the fall that an epoch is in, and how far into it that is."""
        if epoch < 0:
            raise ValueError(f"Expected non-negative epoch, but got {epoch}")
        if epoch < self.T_0:
            self.T_i, self.T_cur = self.T_0, epoch  # type: ignore[assignment]
        elif self.T_mult == 1:
            self.T_cur = epoch % self.T_0  # type: ignore[assignment]
        else:
            falls = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
            before = self.T_0 * (self.T_mult**falls - 1) / (self.T_mult - 1)
            self.T_i, self.T_cur = self.T_0 * self.T_mult**falls, epoch - before  # type: ignore[assignment]


def _cosine(highest: list[Any], lowest: float, place: float) -> list[Any]:
    """From the highest rates (place 0) to the lowest (place 1)."""
    return [lowest + (rate - lowest) * (1 + cos(pi * place)) / 2 for rate in highest]
