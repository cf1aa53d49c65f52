"""Adam and AdamW."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.ops.elementwise import maximum
from rushlight.optim.checks import (
    check_betas,
    check_implementation,
    check_learning_rate,
    check_not_negative,
    check_tensor_betas,
)  # fmt: skip
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import counter
from rushlight.tensor import Tensor


class Adam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015): running means of gradients and of their squares, corrected for their start at 0.

        m <- b1 m + (1 - b1) g         v <- b2 v + (1 - b2) g^2
        p <- p - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        betas: b1 and b2.
        eps: keeps the denominator from 0.
        weight_decay: this times the parameter is added to its gradient.
        amsgrad: divide by the largest v so far (Reddi et al., ICLR 2018).
        decoupled_weight_decay: shrink the parameter instead, as AdamW does.

    Raises:
        ValueError: a negative value, or a beta outside [0, 1).
    """

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 0, amsgrad: bool = False, *, foreach: bool | None = None, maximize: bool = False,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ):  # fmt: skip
        if isinstance(lr, Tensor) and foreach and not capturable:
            raise ValueError("lr as a Tensor is not supported for capturable=False and foreach=True")
        check_learning_rate(lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        check_tensor_betas(betas, foreach, capturable)
        check_implementation(fused, foreach, differentiable)
        betas = tuple([beta.reshape(()) if isinstance(beta, Tensor) else beta for beta in betas])
        super().__init__(
            params,
            dict(
                lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad, maximize=maximize,
                foreach=foreach, capturable=capturable, differentiable=differentiable, fused=fused,
                decoupled_weight_decay=decoupled_weight_decay,
            ),
        )  # fmt: skip

    sparse_refusal = "Adam does not support sparse gradients, please consider SparseAdam instead"

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state = {"step": counter(param, group), "exp_avg": zeros_like(param), "exp_avg_sq": zeros_like(param)}
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = zeros_like(param)
        return state

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        lr, (beta1, beta2) = group["lr"], group["betas"]
        mean, square = state["exp_avg"], state["exp_avg_sq"]
        state["step"] += 1
        # PyTorch computes the corrections in the step's own precision where they are recorded, else in float64.
        step = state["step"] if group["differentiable"] else state["step"].double()
        if group["weight_decay"] != 0:
            if group["decoupled_weight_decay"]:
                param *= 1 - lr * group["weight_decay"]
            else:
                grad = grad + group["weight_decay"] * param
        mean += (1 - beta1) * (grad - mean)
        square *= beta2
        square += (1 - beta2) * (grad * grad)
        if group["amsgrad"]:
            state["max_exp_avg_sq"].copy_(maximum(state["max_exp_avg_sq"], square))
            square = state["max_exp_avg_sq"]
        if group["differentiable"]:  # the next step writes to what this one's graph keeps
            mean, square = mean.clone(), square.clone()
        spread = square.sqrt() / (1 - beta2**step) ** 0.5 + group["eps"]
        param -= (lr / (1 - beta1**step)) * (mean / spread)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, ICLR 2019): `p <- p (1 - lr weight_decay)` first.

    Args: as Adam's; `weight_decay` is 0.01 unless told otherwise.
    """

    fixed_options = {"decoupled_weight_decay": True}  # noqa: RUF012 (never written)

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[Any, Any] = (0.9, 0.999), eps: float = 1e-8,
        weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False, foreach: bool | None = None,
        capturable: bool = False, differentiable: bool = False, fused: bool | None = None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize, capturable=capturable,
            differentiable=differentiable, fused=fused, decoupled_weight_decay=True,
        )  # fmt: skip
