"""Adam on the rows that a sparse gradient has."""

from __future__ import annotations

from typing import Any

from rushlight.ops.create import zeros_like
from rushlight.optim.checks import check_betas, check_learning_rate
from rushlight.optim.optimizer import Optimizer
from rushlight.tensor import Tensor


class SparseAdam(Optimizer):
    """Adam (Kingma & Ba, ICLR 2015) that leaves alone, moments included, the rows that have no gradient.

    Time goes with the number of rows touched. For gradients of `nn.Embedding(sparse=True)` and their like.

        m <- b1 m + (1 - b1) g         v <- b2 v + (1 - b2) g^2
        p <- p - lr sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)

    Args:
        params: the parameters, or dicts for groups of them.
        lr: the learning rate.
        betas: b1 and b2.
        eps: keeps the denominator from 0.
        maximize: go up instead of down.

    Raises:
        ValueError: a rate or eps that is not positive, a beta outside [0, 1), a sparse or complex parameter.
        RuntimeError: a dense gradient.
    """

    takes_dense, takes_sparse = False, True

    def __init__(
        self, params: Any, lr: Any = 1e-3, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
        maximize: bool = False,
    ):  # fmt: skip
        check_learning_rate(lr, strictly=True)
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))
        places = [(i, j, p) for i, group in enumerate(self.param_groups) for j, p in enumerate(group["params"])]
        for what, wrong, message in (
            ("Sparse", [[i, j] for i, j, p in places if p.is_sparse], "requires dense parameter tensors"),
            ("Complex", [[i, j] for i, j, p in places if p.is_complex()], "does not support complex parameters"),
        ):
            if wrong:
                raise ValueError(f"{what} params at indices {wrong}: SparseAdam {message}")

    def init_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        return {"step": 0, "exp_avg": zeros_like(param), "exp_avg_sq": zeros_like(param)}

    def update(self, param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
        (beta1, beta2), mean, square = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        state["step"] += 1
        if not grad.numel():
            return
        step = state["step"]
        mean += (1 - beta1) * (grad - mean)
        square += (1 - beta2) * (grad * grad - square)
        rate = group["lr"] * (1 - beta2**step) ** 0.5 / (1 - beta1**step)
        param -= rate * (mean / (square.sqrt() + group["eps"]))
