"""Adadelta."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.optim.checks import check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012): steps in the units of the parameter, from the sizes of past gradients and past steps.

        s <- rho s + (1 - rho) g^2
        d <- g sqrt(u + eps) / sqrt(s + eps)
        u <- rho u + (1 - rho) d^2
        p <- p - lr d

    Args:
        params: the parameters, or dicts for groups of them.
        lr: a factor of the steps.
        rho: how slowly the running means of squares forget.
        eps: keeps the denominator from 0, and the first step from being 0.
        weight_decay: this times the parameter is added to its gradient.

    Raises:
        ValueError: a negative value, or rho above 1.
    """

    def __init__(
        self, params: Any, lr: Any = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0,
        foreach: bool | None = None, *, capturable: bool = False, maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative("epsilon value", eps)
        check_not_negative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize, capturable=capturable,
                foreach=foreach, differentiable=differentiable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": counter(param, group), "square_avg": zeros_like(param), "acc_delta": zeros_like(param)}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        rho, eps, square, steps = group["rho"], group["eps"], state["square_avg"], state["acc_delta"]
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        square *= rho
        square += (1 - rho) * (grad * grad)
        delta = (steps + eps).sqrt() / (square + eps).sqrt() * grad
        steps *= rho
        steps += (1 - rho) * (delta * delta)
        param -= group["lr"] * delta
