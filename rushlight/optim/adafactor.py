"""Adafactor."""

from __future__ import annotations

from typing import Any

import numpy as np

from rushlight.ops.create import zeros_like
from rushlight.ops.elementwise import maximum, minimum
from rushlight.ops.matmul import matmul
from rushlight.optim.checks import check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class Adafactor(Optimizer):
    """Adafactor (Shazeer & Stern, ICML 2018): Adam whose mean squares are kept by row and by column of a matrix only.

        b = t^beta2_decay,   rho = min(lr, 1 / sqrt(t)),   a = max(eps2, RMS(p)) rho
        p <- p - lr weight_decay p
        R <- R + b (row means of g^2 - R)       C <- C + b (column means of g^2 - C)       V = R C / max(mean R, eps1)
        U = g / max(sqrt(V), eps1)
        p <- p - a U / max(1, RMS(U) / d)

    Vectors keep V itself. As in PyTorch, and not in the paper, `lr` bounds rho and eps1 is applied last.

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the largest relative step, and the factor of the weight decay.
        beta2_decay: the power with which the weight of a new gradient falls.
        eps: eps1, where None stands for the smallest step of the dtype at 1, and eps2.
        d: where updates are clipped.
        weight_decay: how much of a parameter each step takes away, times lr.

    Raises:
        ValueError: a value out of range. RuntimeError: complex parameters.
    """

    is_elementwise = takes_complex = False

    def __init__(
        self, params: Any, lr: Any = 1e-2, beta2_decay: float = -0.8, eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0, weight_decay: float = 0.0, *, foreach: bool | None = None, maximize: bool = False,
    ):  # fmt: skip
        words = "{} should be >= 0 but is: {}"
        check_learning_rate(lr, message="Learning rate should be >= 0 but is: {}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None:
            check_not_negative("epsilon1", eps[0], words)
        check_not_negative("epsilon2", eps[1], words)
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        check_not_negative("weight_decay", weight_decay, words)
        super().__init__(
            params,
            dict(
                lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay, foreach=foreach,
                maximize=maximize,
            ),
        )  # fmt: skip

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        shape = tuple(param.shape)
        if len(shape) < 2:
            return {"step": counter(param, group), "variance": zeros_like(param)}
        rows, columns = (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])
        return {
            "step": counter(param, group), "row_var": param.new_zeros(rows), "col_var": param.new_zeros(columns)
        }  # fmt: skip

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, (eps1, eps2) = group["lr"], group["eps"]
        if eps1 is None:
            eps1 = float(np.finfo(param._array.dtype).eps)
        state["step"] += 1
        step = state["step"].double()
        weight = step ** group["beta2_decay"]
        rate = maximum(root_mean_square(param), eps2) * minimum(1 / step.sqrt(), lr)
        if group["weight_decay"] != 0:
            param *= 1 - lr * group["weight_decay"]
        squares = grad * grad
        if grad.ndim > 1:
            rows, columns = state["row_var"], state["col_var"]
            rows += weight * (squares.mean(-1, keepdim=True) - rows)
            columns += weight * (squares.mean(-2, keepdim=True) - columns)
            variance = matmul(rows, columns) / maximum(rows.mean(-2, keepdim=True), eps1)
        else:
            variance = state["variance"]
            variance += weight * (squares - variance)
        step_taken = grad * maximum(variance, eps1 * eps1).rsqrt()
        param -= rate / maximum(root_mean_square(step_taken) / group["d"], 1.0) * step_taken


def root_mean_square(x: Tensor) -> Tensor:
    """sqrt(mean of x^2)."""
    return (x * x).mean().sqrt()
