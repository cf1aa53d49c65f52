"""RMSprop."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.optim.checks import check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class RMSprop(Optimizer):
    """RMSprop (Hinton, lecture 6e of Neural Networks for Machine Learning, 2012): gradients over their running size.

        s <- alpha s + (1 - alpha) g^2       a <- alpha a + (1 - alpha) g      (a only if centered, else 0)
        d <- g / (sqrt(s - a^2) + eps)
        b <- momentum b + d
        p <- p - lr b                                                         (lr d without momentum)

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        alpha: how slowly the running mean of squares forgets.
        eps: keeps the denominator from 0.
        weight_decay: this times the parameter is added to its gradient.
        momentum: of the normalized gradients.
        centered: divide by the standard deviation instead of the root of the mean square (Graves, 2013).

    Raises:
        ValueError: a negative value.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-2, alpha: float = 0.99, eps: float = 1e-8, weight_decay: float = 0,
        momentum: float = 0, centered: bool = False, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("epsilon value", eps)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("alpha value", alpha)
        super().__init__(
            params,
            dict(
                lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered, weight_decay=weight_decay,
                capturable=capturable, foreach=foreach, maximize=maximize, differentiable=differentiable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": counter(param, group), "square_avg": zeros_like(param)}
        if group["momentum"] > 0:
            state["momentum_buffer"] = zeros_like(param)
        if group["centered"]:
            state["grad_avg"] = zeros_like(param)
        return state

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        alpha, square = group["alpha"], state["square_avg"]
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        square *= alpha
        square += (1 - alpha) * (grad * grad)
        if group["centered"]:
            mean = state["grad_avg"]
            mean += (1 - alpha) * (grad - mean)
            if group["differentiable"]:  # the next step writes to what this one's graph keeps
                mean = mean.clone()
            size = (square - mean * mean).sqrt() + group["eps"]
        else:
            size = (square.clone() if group["differentiable"] else square).sqrt() + group["eps"]
        if group["momentum"] > 0:
            buffer = state["momentum_buffer"]
            buffer *= group["momentum"]
            buffer += grad / size
            param -= group["lr"] * buffer
        else:
            param -= group["lr"] * (grad / size)
