"""NAdam."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.optim.checks import check_betas, check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class NAdam(Optimizer):
    """NAdam (Dozat, ICLR workshop 2016): Adam with Nesterov's momentum, on a schedule of its own.

        mu_t = b1 (1 - 0.96^(t momentum_decay) / 2),   M <- M mu_t       (M = 1 at the start)
        m <- b1 m + (1 - b1) g         v <- b2 v + (1 - b2) g^2
        p <- p - lr ((1 - mu_t) g / (1 - M) + mu_(t+1) m / (1 - M mu_(t+1))) / (sqrt(v / (1 - b2^t)) + eps)

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        betas: b1 and b2.
        eps: keeps the denominator from 0.
        weight_decay: this times the parameter is added to its gradient.
        momentum_decay: how fast the momentum comes to b1.
        decoupled_weight_decay: shrink the parameter instead, as AdamW does.

    Raises:
        ValueError: a negative value, or a beta outside [0, 1).
    """

    def __init__(
        self, params: Any, lr: Any = 2e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, momentum_decay: float = 4e-3, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("momentum_decay value", momentum_decay)
        super().__init__(
            params,
            dict(
                lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
                decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach,
                capturable=capturable, differentiable=differentiable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {
            "step": counter(param, group), "mu_product": counter(param, group, 1.0), "exp_avg": zeros_like(param),
            "exp_avg_sq": zeros_like(param),
        }  # fmt: skip

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, (beta1, beta2), decay = group["lr"], group["betas"], group["momentum_decay"]
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        state["step"] += 1
        step = state["step"].double()
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                param *= 1 - lr * group["weight_decay"]
            else:
                grad = grad + group["weight_decay"] * param
        momentum = beta1 * (1 - 0.5 * 0.96 ** (step * decay))
        next_momentum = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * decay))
        state["mu_product"] *= momentum.type_as(state["mu_product"])  # as with a Python number
        product = state["mu_product"].double()
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * (grad * grad)
        spread = (square / (1 - beta2**step)).sqrt() + group["eps"]
        if group["differentiable"]:  # the next step writes to what this one's graph keeps
            mean = mean.clone()
        param -= lr * (1 - momentum) / (1 - product) * (grad / spread)
        param -= lr * next_momentum / (1 - product * next_momentum) * (mean / spread)
