"""Adagrad."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import full_like
from rushlight.optim.checks import check_implementation, check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter, wide
from rushlight.tensor import Tensor


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer, JMLR 2011): rates that fall with the sum of squared gradients.

        s <- s + g^2
        p <- p - lr / (1 + (t - 1) lr_decay) * g / (sqrt(s) + eps)

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        lr_decay: how fast it falls with the number t of steps.
        weight_decay: this times the parameter is added to its gradient.
        initial_accumulator_value: what s starts from.
        eps: keeps the denominator from 0.

    Raises:
        ValueError: a negative value.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("lr_decay value", lr_decay)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("initial_accumulator_value value", initial_accumulator_value)
        check_not_negative("epsilon value", eps)
        check_implementation(fused, foreach, differentiable)
        super().__init__(
            params,
            dict(
                lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
                initial_accumulator_value=initial_accumulator_value, foreach=foreach, maximize=maximize,
                differentiable=differentiable, fused=fused,
            ),
        )  # fmt: skip
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param] = self.init_state(wide(param), group)

    takes_sparse = True

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        start = group["initial_accumulator_value"]
        return {
            "step": counter(param, group),
            "sum": full_like(param, complex(start, start) if param.is_complex() else start),
        }

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        state["step"] += 1
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        rate = group["lr"] / (1 + (state["step"].double() - 1) * group["lr_decay"])
        state["sum"] += grad * grad
        param -= rate * (grad / (state["sum"].sqrt() + group["eps"]))
