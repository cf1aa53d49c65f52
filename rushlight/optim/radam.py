"""RAdam."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.ops.elementwise import maximum, where
from rushlight.optim.checks import check_betas, check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class RAdam(Optimizer):
    """RAdam (Liu et al., ICLR 2020): Adam whose first steps, when v is still noise, are those of plain momentum.

        m <- b1 m + (1 - b1) g         v <- b2 v + (1 - b2) g^2
        R = 2 / (1 - b2) - 1,   r = R - 2 t b2^t / (1 - b2^t)       (how many gradients v is the mean of)
        p <- p - lr m / (1 - b1^t) * w
        w = sqrt((r - 4)(r - 2) R / ((R - 4)(R - 2) r)) * sqrt(1 - b2^t) / (sqrt(v) + eps)  if r > 5, else 1

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        betas: b1 and b2.
        eps: keeps the denominator from 0.
        weight_decay: this times the parameter is added to its gradient.
        decoupled_weight_decay: shrink the parameter instead, as AdamW does.

    Raises:
        ValueError: a negative value, or a beta outside [0, 1).
    """

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize, foreach=foreach,
                capturable=capturable, decoupled_weight_decay=decoupled_weight_decay, differentiable=differentiable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": counter(param, group), "exp_avg": zeros_like(param), "exp_avg_sq": zeros_like(param)}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        state["step"] += 1
        step = state["step"].double()
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                param *= 1 - lr * group["weight_decay"]
            else:
                grad = grad + group["weight_decay"] * param
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * (grad * grad)
        correction = 1 - beta2**step
        limit = 2 / (1 - beta2) - 1
        length = limit - 2 * step * beta2**step / correction
        is_long = length > 5
        ratio = (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length)
        rectified = (maximum(ratio, 0.0) * correction).sqrt()  # not negative where it is not used
        if group["differentiable"]:  # the next step writes to what this one's graph keeps
            mean, square = mean.clone(), square.clone()
        weight = where(is_long, rectified / (square.sqrt() + group["eps"]), 1.0)
        param -= lr / (1 - beta1**step) * (mean * weight)
