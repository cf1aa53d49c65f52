"""What all schedulers share: counting steps, reading and setting rates, saving.

A scheduler defines `get_lr()`, the rates after `last_epoch` steps, mostly in terms of the rates before, so that several
schedulers may work on one optimizer. `_get_closed_form_lr()`, where there is one, gives them from the initial rates. The
attributes are PyTorch's, since they are what a state dict holds.
"""

from __future__ import annotations

import warnings
from types import FunctionType
from typing import Any

from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor

EPOCH_IS_DEPRECATED = (
    "The epoch parameter in `scheduler.step()` was not necessary and is being deprecated where possible. Please use "
    "`scheduler.step()` to step the scheduler. During the deprecation, if epoch is different from None, the closed form "
    "is used instead of the new chainable form, where available."
)


class LRScheduler:
    """The base of schedulers: sets the rates of the groups of `optimizer` at each `step()`.

    Args:
        optimizer: whose groups' "lr" is set.
        last_epoch: the number of the last epoch that was scheduled; -1 to begin.

    Raises:
        TypeError: no optimizer. KeyError: going on (`last_epoch` is not -1) with groups that have no "initial_lr".

    Example:
        >>> import rushlight as torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for epoch in range(4):
        ...     optimizer.step()
        ...     scheduler.step()
        >>> scheduler.get_last_lr()
        [0.25]
    """

    _get_lr_called_within_step = False
    _is_initial = False
    _not_saved: tuple[str, ...] = ("optimizer",)

    def __init__(self, optimizer: Any, last_epoch: int = -1):
        check_optimizer(optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", copied(group["lr"]))
            elif "initial_lr" not in group:
                raise KeyError(
                    f"param 'initial_lr' is not specified in param_groups[{i}] when resuming scheduler with last_epoch "
                    ">= 0: load the optimizer's state first, or start with last_epoch=-1"
                )
        self.base_lrs = options_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    def _initial_step(self) -> None:
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> list[Any]:
        """The rates after `last_epoch` steps, one for each group."""
        raise NotImplementedError

    def get_last_lr(self) -> list[Any]:
        """The rates that this scheduler set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Sets the rates for the next epoch. To be called after the optimizer's steps of the epoch."""
        if self._step_count == 1 and not self.optimizer._opt_called:
            warnings.warn(
                "Detected call of `lr_scheduler.step()` before `optimizer.step()`. You should call them in the opposite "
                "order: `optimizer.step()` before `lr_scheduler.step()`. Otherwise the first value of the learning rate "
                "schedule is skipped.",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is not None:
            warnings.warn(EPOCH_IS_DEPRECATED, UserWarning, stacklevel=2)
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        is_closed = epoch is not None and hasattr(self, "_get_closed_form_lr")
        self._set_rates(self._get_closed_form_lr if is_closed else self.get_lr)

    def _set_rates(self, compute: Any) -> None:
        self._get_lr_called_within_step = True
        try:
            rates = compute()
        finally:
            self._get_lr_called_within_step = False
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", rate)
        self._last_lr = self._rates()

    def _rates(self) -> list[Any]:
        """The rates as they are now."""
        return options_of(self.optimizer, "lr")

    def _warn_outside_step(self) -> None:
        if not self._get_lr_called_within_step:
            warnings.warn(
                "To get the last learning rate computed by the scheduler, please use `get_last_lr()`.",
                UserWarning,
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """All that this scheduler remembers but its optimizer, under PyTorch's names."""
        return {key: value for key, value in self.__dict__.items() if key not in self._not_saved}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` gave, here or in PyTorch."""
        self.__dict__.update({key: value for key, value in state_dict.items() if key not in self._not_saved})


_LRScheduler = LRScheduler  # the name of old programs


# ---------------------------------------------------------------- options of groups


def check_optimizer(optimizer: Any) -> None:
    """Raises TypeError for what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{type(optimizer).__name__} is not an Optimizer")


def copied(value: Any) -> Any:
    """A number, or a copy of a tensor."""
    return value.clone() if isinstance(value, Tensor) else value


def options_of(optimizer: Any, key: str) -> list[Any]:
    """An option's value in each group."""
    return [copied(group[key]) for group in optimizer.param_groups]


def set_option(group: dict[str, Any], key: str, value: Any) -> None:
    """Sets an option; one that is a tensor is written to."""
    if isinstance(group[key], Tensor):
        group[key].fill_(float(value))
    else:
        group[key] = value


def for_each_group(name: str, optimizer: Any, value: Any) -> list[Any]:
    """A value for each group: the same one, or those of a list.

    Raises:
        ValueError: a list of another length.
    """
    count = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        value = [value] * count
    elif len(value) != count:
        raise ValueError(
            f"{name} must have the same length as optimizer.param_groups. {name} has {len(value)} values, "
            f"param_groups has {count}."
        )
    return [copied(item) for item in value]


# ---------------------------------------------------------------- functions in states


def state_of_function(function: Any) -> Any:
    """What a state dict holds of a user's function: nothing, or the attributes of a callable object."""
    return None if function is None or isinstance(function, FunctionType) else function.__dict__.copy()


def load_function_state(function: Any, state: Any) -> None:
    """Gives a callable object its saved attributes."""
    if state is not None:
        function.__dict__.update(state)
