"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from rushlight.optim.checks import check_implementation, check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak, 1964) or Nesterov's (Sutskever et al., 2013).

    With gradient g (plus `weight_decay` times the parameter) and momentum mu:

        b <- mu b + (1 - dampening) g          (b = g at the first step)
        p <- p - lr (g + mu b if nesterov else b)

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        maximize: go up instead of down.
        foreach, fused, differentiable: accepted for PyTorch's sake; updates are compiled anyway.

    Raises:
        ValueError: a negative rate, momentum or weight decay; Nesterov without momentum or with dampening.

    Example:
        >>> import rushlight as torch
        >>> p = torch.tensor([1.0], requires_grad=True)
        >>> optimizer = torch.optim.SGD([p], lr=0.1)
        >>> (p * 2).sum().backward()
        >>> optimizer.step()
        >>> p
        tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self, params: Any, lr: Any = 1e-3, momentum: float = 0, dampening: float = 0, weight_decay: float = 0,
        nesterov: bool = False, *, maximize: bool = False, foreach: bool | None = None, differentiable: bool = False,
        fused: bool | None = None,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        check_implementation(fused, foreach, differentiable)
        super().__init__(
            params,
            dict(
                lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay, nesterov=nesterov,
                maximize=maximize, foreach=foreach, differentiable=differentiable, fused=fused,
            ),
        )  # fmt: skip

    complex_as_real = False  # its arithmetic is the same on complex numbers
    takes_sparse = True

    def gathers_rows(self, group: dict[str, Any]) -> bool:
        return bool(group["momentum"] == 0 and group["weight_decay"] == 0)  # momentum is a sparse tensor too

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        if group["momentum"] != 0:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = grad.detach().clone()
            else:
                buffer *= group["momentum"]
                buffer += (1 - group["dampening"]) * grad
            grad = grad + group["momentum"] * buffer if group["nesterov"] else buffer
        param -= group["lr"] * grad
