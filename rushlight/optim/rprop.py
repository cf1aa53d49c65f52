"""Resilient propagation."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import full_like, ones_like, zeros_like
from rushlight.ops.elementwise import maximum, minimum, where
from rushlight.optim.checks import check_learning_rate
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class Rprop(Optimizer):
    """Resilient propagation (Riedmiller & Braun, 1993): steps whose size has nothing to do with the gradient's.

    Each element has a step size d. It grows while the gradient keeps its sign and shrinks where the sign has changed,
    and there the element waits for one step:

        d <- d * (eta+ if g g' > 0, eta- if g g' < 0, else 1), within step_sizes       (g': the last gradient)
        g <- 0 where g g' < 0
        p <- p - sign(g) d

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the first step size.
        etas: eta- and eta+.
        step_sizes: the smallest and the largest d.

    Raises:
        ValueError: a negative rate, or etas that are not on either side of 1.
    """

    def __init__(
        self, params: Any, lr: Any = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        super().__init__(
            params,
            dict(
                lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize,
                differentiable=differentiable, capturable=capturable,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        lr = float(group["lr"])
        start = full_like(param, complex(lr, lr) if param.is_complex() else lr)
        return {"step": counter(param, group), "prev": zeros_like(param), "step_size": start}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        (shrink, grow), (smallest, largest) = group["etas"], group["step_sizes"]
        size = state["step_size"]
        state["step"] += 1
        agreement = grad * (state["prev"].clone() if group["differentiable"] else state["prev"])
        factor = where(agreement > 0, grow, where(agreement < 0, shrink, ones_like(size)))  # in size's precision
        size.copy_(minimum(maximum(size * factor, smallest), largest))
        grad = where(agreement < 0, 0.0, grad)
        param -= grad.sign() * (size.clone() if group["differentiable"] else size)
        state["prev"].copy_(grad)
