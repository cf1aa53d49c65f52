"""Muon."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.ops.copies import cast
from rushlight.ops.create import zeros_like
from rushlight.ops.elementwise import maximum
from rushlight.ops.matmul import matmul
from rushlight.optim.checks import check_learning_rate, check_not_negative
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor

QUINTIC = (3.4445, -4.7750, 2.0315)  # Jordan's: the steepest at 0 that keep singular values about 1


class Muon(Optimizer):
    """Muon (Jordan et al., 2024): momentum whose matrix is made orthogonal before it is applied.

        b <- momentum b + (1 - momentum) g
        u = (1 - momentum) g + momentum b if nesterov else b
        p <- p (1 - lr weight_decay) - lr' O(u)        (lr': lr adjusted for the matrix's shape)

    O(u) has u's singular vectors and singular values near 1, by a few steps of a Newton-Schulz iteration in bfloat16.

    Args:
        params: the parameters, all of them matrices, or dicts for groups of them.
        lr: the learning rate.
        weight_decay: how much of a parameter each step takes away, times lr.
        momentum, nesterov: of the gradients.
        ns_coefficients: the iteration is X <- a X + (b X X' + c (X X')^2) X.
        eps: keeps the norm that u is divided by from 0.
        ns_steps: how many iterations.
        adjust_lr_fn: "original" (the default): lr sqrt(max(1, rows / columns)), of Jordan;
            "match_rms_adamw": 0.2 lr sqrt(max(rows, columns)), of Liu et al., 2025.

    Raises:
        ValueError: a value out of range, or a parameter that is no matrix. RuntimeError: complex parameters.
    """

    is_elementwise = takes_complex = False

    def __init__(
        self, params: Any, lr: Any = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95, nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = QUINTIC, eps: float = 1e-7, ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ):  # fmt: skip
        words = "{} should be >= 0 but is: {}"
        check_learning_rate(lr, message="Learning rate should be >= 0 but is: {}")
        check_not_negative("momentum", momentum, words)
        check_not_negative("weight decay", weight_decay, words)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        super().__init__(
            params,
            dict(
                lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov,
                ns_coefficients=ns_coefficients, eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn,
            ),
        )  # fmt: skip
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim != 2:
                    raise ValueError(
                        f"Muon only supports 2D parameters whereas we found a parameter with size: {param.size()}"
                    )

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": zeros_like(param)}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, momentum, buffer = group["lr"], group["momentum"], state["momentum_buffer"]
        buffer += (1 - momentum) * (grad - buffer)
        direction = grad + momentum * (buffer - grad) if group["nesterov"] else buffer
        direction = orthogonalized(direction, group["ns_coefficients"], group["ns_steps"], group["eps"])
        param *= 1 - lr * group["weight_decay"]
        param -= lr * _shape_factor(group["adjust_lr_fn"], *param.shape) * cast(direction, dtype=param._array.dtype)


def orthogonalized(x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float) -> Tensor:
    """A bfloat16 matrix with x's singular vectors and singular values near 1, by `steps` Newton-Schulz iterations."""
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    is_tall = x.shape[0] > x.shape[1]
    y = cast(x.T if is_tall else x, dtype=dtypes.bfloat16.numpy)
    y = y / maximum((y.float() * y.float()).sum().sqrt(), eps).bfloat16()  # singular values are at most 1
    for _ in range(steps):
        gram = matmul(y, y.T)
        y = _combined(y, a, _combined(gram, b, gram, gram, c), y, 1.0)
    return y.T if is_tall else y


def _combined(x: Tensor, alpha: float, left: Tensor, right: Tensor, beta: float) -> Tensor:
    """alpha x + beta left @ right in float32, rounded to bfloat16.

    The sum is rounded once, as by a fused multiply-add: one rounding more decides in two of a hundred matrices otherwise
    what an element is in bfloat16, and so whether the steps are PyTorch's.
    """
    product = beta * matmul(left.float(), right.float())
    return (float(np.float32(alpha)) * x.double() + product.double()).float().bfloat16()


def _shape_factor(name: str | None, rows: int, columns: int) -> float:
    """What the learning rate is multiplied by for a matrix of this shape."""
    if name == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
