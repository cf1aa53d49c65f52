"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import as_tensor, ones_like, tensor, zeros_like
from rushlight.ops.elementwise import maximum, where
from rushlight.optim.checks import check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak & Juditsky, 1992).

        p <- p (1 - lambd eta) - eta g                  (eta = lr at the first step)
        a <- a + mu (p - a)                             (mu = 1 until step t0: a is p)
        eta <- lr / (1 + lambd lr t)^alpha              mu <- 1 / max(1, t - t0)

    The average is `state[p]["ax"]`.

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate at the start.
        lambd: how fast it falls; also how fast parameters decay.
        alpha: the power with which it falls.
        t0: the step at which averaging starts.
        weight_decay: this times the parameter is added to its gradient.

    Raises:
        ValueError: a negative rate or weight decay.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-2, lambd: float = 1e-4, alpha: float = 0.75, t0: float = 1e6,
        weight_decay: float = 0, foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
        capturable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        check_not_negative("weight_decay value", weight_decay)
        super().__init__(
            params,
            dict(
                lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach, maximize=maximize,
                differentiable=differentiable, capturable=capturable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        step = tensor(0.0, device=param.device)
        rate = as_tensor(group["lr"], dtype=step.dtype, device=param.device).detach().clone().reshape(())
        return {"step": step, "eta": rate, "mu": ones_like(step), "ax": zeros_like(param)}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, lambd = group["lr"], group["lambd"]
        rate, weight, average = state["eta"].double(), state["mu"].double(), state["ax"]
        state["step"] += 1
        step = state["step"].double()
        if group["weight_decay"] != 0:
            grad = grad + group["weight_decay"] * param
        param *= 1 - lambd * rate
        param -= rate * grad
        average.copy_(where(weight == 1, param, average + (param - average) * weight))
        # In the step's precision, also where a loaded state has more: so PyTorch goes on from it.
        state["eta"].copy_((lr / (1 + lambd * lr * step) ** group["alpha"]).type_as(state["step"]))
        state["mu"].copy_((1 / maximum(step - group["t0"], 1.0)).type_as(state["step"]))
