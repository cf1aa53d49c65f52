"""Averages of a model's parameters over training: running means, exponential moving averages, and what goes with them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import chain
from typing import Any

from rushlight import dtypes
from rushlight.autograd.modes import no_grad
from rushlight.nn.module import Module
from rushlight.nn.modules.batchnorm import _BatchNorm
from rushlight.ops.create import tensor
from rushlight.optim.lr_scheduler.base import LRScheduler, for_each_group
from rushlight.tensor import Tensor

# ---------------------------------------------------------------- how a new value enters an average


def get_ema_avg_fn(decay: float = 0.999) -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The exponential moving average of one parameter: `decay` of the old average, the rest of the new value.

    Raises:
        ValueError: a decay outside [0, 1].
    """
    _check_decay(decay)

    @no_grad()
    def average(averaged: Tensor, current: Tensor, num_averaged: Any) -> Any:
        return decay * averaged + (1 - decay) * current

    return average


def get_swa_avg_fn() -> Callable[[Tensor, Tensor, Any], Tensor]:
    """The mean of all values of one parameter."""

    @no_grad()
    def average(averaged: Tensor, current: Tensor, num_averaged: Any) -> Any:
        return averaged + (current - averaged) / (num_averaged + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[..., None]:
    """As `get_ema_avg_fn`, for lists of parameters, in place."""
    return _for_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[..., None]:
    """As `get_swa_avg_fn`, for lists of parameters, in place."""
    return _for_lists(get_swa_avg_fn())


def _for_lists(average: Callable[[Tensor, Tensor, Any], Tensor]) -> Callable[..., None]:
    @no_grad()
    def update(averaged: Iterable[Tensor], current: Iterable[Tensor], num_averaged: Any) -> None:
        for old, new in zip(averaged, current, strict=True):
            old.copy_(average(old, new, num_averaged))

    return update


def _check_decay(decay: float) -> None:
    if not 0.0 <= decay <= 1.0:
        raise ValueError(f"Invalid decay value {decay} provided. Please provide a value in [0,1] range.")


# ---------------------------------------------------------------- the averaged model


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of the model's (Izmailov et al., UAI 2018).

    Args:
        model: what is averaged.
        device: where the averages live.
        avg_fn: `avg_fn(average, new value, number of values so far)` gives the new average. Default: the mean.
        multi_avg_fn: the same for lists, in place.
        use_buffers: whether buffers are averaged too, rather than copied.

    Raises:
        AssertionError: both functions.

    Example:
        >>> import rushlight as torch
        >>> model = torch.nn.Linear(1, 1)
        >>> averaged = torch.optim.swa_utils.AveragedModel(model)
        >>> for _ in range(3):
        ...     averaged.update_parameters(model)
        >>> averaged.n_averaged
        tensor(3)
    """

    n_averaged: Any

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Callable[..., Tensor] | None = None,
        multi_avg_fn: Callable[..., None] | None = None, use_buffers: bool = False,
    ):  # fmt: skip
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise AssertionError("Only one of avg_fn and multi_avg_fn should be provided")
        self.module = deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", tensor(0, dtype=dtypes.int64, device=device))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the model's parameters, as they are now, into the averages."""
        averages, values = _state_of(self.module, self.use_buffers), _state_of(model, self.use_buffers)
        if self.n_averaged == 0:
            for average, value in zip(averages, values, strict=True):
                average.copy_(value)
        elif self.multi_avg_fn is not None:
            for dtype in dict.fromkeys(average.dtype for average in averages):  # one list for each, as in PyTorch
                pairs = [(a, v) for a, v in zip(averages, values, strict=True) if a.dtype is dtype]
                self.multi_avg_fn([a for a, _ in pairs], [v for _, v in pairs], self.n_averaged)
        else:
            average_of = self.avg_fn or get_swa_avg_fn()
            for average, value in zip(averages, values, strict=True):
                average.copy_(average_of(average, value, self.n_averaged))
        if not self.use_buffers:
            for own, other in zip(self.module.buffers(), model.buffers(), strict=True):
                own.detach().copy_(other.detach())
        self.n_averaged += 1


def _state_of(model: Module, use_buffers: bool) -> list[Tensor]:
    tensors = chain(model.parameters(), model.buffers()) if use_buffers else model.parameters()
    return [x.detach() for x in tensors]


@no_grad()
def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of a model's batch norms anew, from the batches of a loader.

    Args:
        loader: gives batches, or tuples that begin with one.
        model: has its mode afterwards that it had before.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    if not norms:
        return
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    was_training = model.training
    model.train()
    for batch in loader:
        inputs = batch[0] if isinstance(batch, (list, tuple)) else batch
        model(inputs if device is None else inputs.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


# ---------------------------------------------------------------- its learning rate


class SWALR(LRScheduler):
    """From the rates as they are to `swa_lr` in `anneal_epochs` epochs, and constant then.

    Args:
        swa_lr: the last rate, or a list of one for each group.
        anneal_epochs: how many epochs that takes; 0 for at once.
        anneal_strategy: "cos" or "linear".

    Raises:
        ValueError: an unknown strategy, no number of epochs, or a list of another length.
    """

    def __init__(
        self, optimizer: Any, swa_lr: Any, anneal_epochs: int = 10, anneal_strategy: str = "cos", last_epoch: int = -1
    ):
        for group, rate in zip(
            optimizer.param_groups, for_each_group("swa_lr", optimizer, swa_lr), strict=True
        ):  # fmt: skip
            group["swa_lr"] = rate
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(f"anneal_strategy must be one of 'cos' or 'linear', instead got {anneal_strategy}")
        self._anneal_strategy = anneal_strategy
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ValueError(f"anneal_epochs must be equal or greater than 0, got {anneal_epochs}")
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _part_at(self, step: int) -> float:
        """How much of the way is done."""
        place = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return (1 - math.cos(math.pi * place)) / 2 if self._anneal_strategy == "cos" else place

    def get_lr(self) -> list[Any]:
        self._warn_outside_step()
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._part_at(step - 1), self._part_at(step)
        rates = []
        for group in self.optimizer.param_groups:
            last = group["swa_lr"]
            start = last if before == 1 else (group["lr"] - before * last) / (1 - before)
            rates.append(last * now + start * (1 - now))
        return rates
