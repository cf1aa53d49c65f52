"""Adamax."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.ops.elementwise import maximum
from rushlight.optim.checks import check_betas, check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class Adamax(Optimizer):
    """Adamax (Kingma & Ba, ICLR 2015, section 7.1): Adam with the largest recent gradient for the mean square.

        m <- b1 m + (1 - b1) g         u <- max(b2 u, |g| + eps)
        p <- p - lr / (1 - b1^t) * m / u

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        betas: b1 and b2.
        eps: keeps the denominator from 0.
        weight_decay: this times the parameter is added to its gradient.

    Raises:
        ValueError: a negative value, or a beta outside [0, 1).
    """

    def __init__(
        self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, foreach: bool | None = None, *, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
                differentiable=differentiable, capturable=capturable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": counter(param, group), "exp_avg": zeros_like(param), "exp_inf": zeros_like(param)}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        (beta1, beta2), mean, largest = group["betas"], state["exp_avg"], state["exp_inf"]
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        mean += (1 - beta1) * (grad - mean)
        largest.copy_(maximum(beta2 * largest, grad.abs() + group["eps"]))
        if group["differentiable"]:  # the next step writes to what this one's graph keeps
            mean, largest = mean.clone(), largest.clone()
        param -= group["lr"] / (1 - beta1 ** state["step"].double()) * (mean / largest)
