"""Limited-memory BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.autograd.modes import enable_grad, no_grad
from rushlight.ops.create import zeros_like
from rushlight.ops.views import concat
from rushlight.optim.checks import check_learning_rate
from rushlight.optim.line_search import strong_wolfe
from rushlight.optim.optimizer import Optimizer
from rushlight.optim.variants import view_as_real
from rushlight.tensor import Tensor

# What a step remembers of the one before, in the order in which PyTorch's state has it.
MEMORY = ("d", "t", "old_dirs", "old_stps", "ro", "H_diag", "prev_flat_grad", "prev_loss")


class LBFGS(Optimizer):
    """L-BFGS (Liu & Nocedal, 1989; Nocedal & Wright, Numerical Optimization, algorithms 7.4 and 7.5).

    All parameters are one vector x. The last changes s of x and y of its gradient g stand for the Hessian: the direction
    d = -H g comes from two loops over them, beginning with H = (y s / y y) I. A step is x <- x + t d, with t = lr or
    found by a line search.

    Args:
        params: the parameters, in one group.
        lr: the step size, or with a line search the first one tried.
        max_iter: iterations of one `step`.
        max_eval: evaluations of the closure in one `step`; default max_iter * 5 / 4.
        tolerance_grad: stop if no element of the gradient is larger.
        tolerance_change: stop if neither the loss nor an element of x changes by more.
        history_size: how many changes are remembered.
        line_search_fn: None or "strong_wolfe".

    Raises:
        ValueError: a negative rate, or several groups. RuntimeError: another line search.
    """

    def __init__(
        self, params: Any, lr: Any = 1, max_iter: int = 20, max_eval: int | None = None, tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9, history_size: int = 100, line_search_fn: str | None = None,
    ):  # fmt: skip
        check_learning_rate(lr)
        super().__init__(
            params,
            dict(
                lr=lr, max_iter=max_iter, max_eval=max_iter * 5 // 4 if max_eval is None else max_eval,
                tolerance_grad=tolerance_grad, tolerance_change=tolerance_change, history_size=history_size,
                line_search_fn=line_search_fn,
            ),
        )  # fmt: skip
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")

    # ------------------------------------------------------------ parameters as one vector

    @property
    def _params(self) -> list[Tensor]:
        params: list[Tensor] = self.param_groups[0]["params"]
        return params

    def _gradient(self) -> Tensor:
        parts = []
        for param in self._params:
            grad: Any = param._grad
            if grad is None:
                grad = zeros_like(param)
            elif grad.is_sparse:
                grad = grad.to_dense()
            parts.append((view_as_real(grad) if grad.is_complex() else grad).reshape(-1))
        return concat(*parts, axis=0)

    def _move(self, distance: Any, direction: Tensor) -> None:
        """x <- x + distance * direction."""
        start = 0
        for param in self._params:
            real = view_as_real(param) if param.is_complex() else param
            count = real.numel()
            real += (distance * direction[start : start + count]).reshape(tuple(real.shape))
            start += count

    def _restore(self, values: list[Tensor]) -> None:
        for param, value in zip(self._params, values, strict=True):
            param.copy_(value)

    # ------------------------------------------------------------ a step

    @no_grad()
    def step(self, closure: Callable[[], Any]) -> Any:  # type: ignore[override]
        """Several iterations of the method.

        Args:
            closure: computes the loss and its gradients again, and gives the loss back.

        Returns:
            The loss before the step.
        """
        closure = enable_grad()(closure)
        before = [param.clone() for param in self._params] if self.skip_nonfinite else []
        first_loss = closure()
        self._iterate(closure, float(first_loss))
        if before and not all(np.isfinite(param._array).all() for param in self._params):
            self._restore(before)
            self._skipped.add(self)
        return first_loss

    def _iterate(self, closure: Callable[[], Any], loss: float) -> None:
        group, state = self.param_groups[0], self.state[self._params[0]]
        lr = group["lr"].reshape(()) if isinstance(group["lr"], Tensor) else group["lr"]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        state["func_evals"] += 1
        evaluations, grad = 1, self._gradient()
        if grad.abs().max() <= group["tolerance_grad"]:
            return
        memory: dict[str, Any] = {key: state.get(key) for key in MEMORY}
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            self._find_direction(grad, state, memory, group["history_size"])
            direction = memory["d"]
            memory["prev_flat_grad"], memory["prev_loss"] = grad.clone(), loss
            memory["t"] = lr if state["n_iter"] > 1 else _smaller_of_one(1.0 / grad.abs().sum()) * lr
            slope = grad.dot(direction)
            if slope > -group["tolerance_change"]:
                break
            is_last, evaluations_before = iteration == group["max_iter"], evaluations
            if group["line_search_fn"] is not None:
                loss, grad, evaluated = self._search(closure, loss, grad, slope, group, memory, evaluations)
                evaluations += evaluated
            else:
                self._move(memory["t"], direction)
                if not is_last:  # what the closure gave after the last move nobody would see
                    loss, grad = float(closure()), self._gradient()
                    evaluations += 1
            state["func_evals"] += evaluations - evaluations_before
            if is_last or evaluations >= group["max_eval"] or grad.abs().max() <= group["tolerance_grad"]:
                break
            if (direction * memory["t"]).abs().max() <= group["tolerance_change"]:
                break
            if abs(loss - memory["prev_loss"]) < group["tolerance_change"]:
                break
        state.update(memory)

    def _find_direction(self, grad: Tensor, state: dict[str, Any], memory: dict[str, Any], history_size: int) -> None:
        """Remembers the last change, and sets d = -H g by the two loops."""
        if state["n_iter"] == 1:
            memory.update(d=-grad, old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return
        changes_of_grad, changes, inverses = memory["old_dirs"], memory["old_stps"], memory["ro"]
        y, s = grad - memory["prev_flat_grad"], memory["d"] * memory["t"]
        product = y.dot(s)
        if product > 1e-10:
            if len(changes) == history_size:
                for history in (changes_of_grad, changes, inverses):
                    history.pop(0)
            changes_of_grad.append(y), changes.append(s), inverses.append(1.0 / product)
            memory["H_diag"] = product / y.dot(y)
        factors = state.setdefault("al", [None] * history_size)
        direction = -grad
        for i in range(len(changes) - 1, -1, -1):
            factors[i] = changes[i].dot(direction) * inverses[i]
            direction -= factors[i] * changes_of_grad[i]
        direction *= memory["H_diag"]
        for i in range(len(changes)):
            direction += (factors[i] - changes_of_grad[i].dot(direction) * inverses[i]) * changes[i]
        memory["d"] = direction

    def _search(
        self, closure: Callable[[], Any], loss: float, grad: Tensor, slope: Tensor, group: dict[str, Any],
        memory: dict[str, Any], evaluations: int,
    ) -> tuple[float, Tensor, int]:  # fmt: skip
        """Sets the step size by a line search and moves. Gives loss and gradient there, and the evaluations it took."""
        if group["line_search_fn"] != "strong_wolfe":
            raise RuntimeError("only 'strong_wolfe' is supported")
        origin, direction = [param.clone() for param in self._params], memory["d"]

        def evaluate(distance: Any) -> tuple[float, Tensor]:
            self._move(distance, direction)
            found = float(closure()), self._gradient()
            self._restore(origin)
            return found

        most = group["max_eval"] - evaluations
        loss, grad, memory["t"], evaluated = strong_wolfe(evaluate, memory["t"], direction, loss, grad, slope, most)
        self._move(memory["t"], direction)
        return loss, grad, evaluated


def _smaller_of_one(x: Any) -> Any:
    return min(1.0, x)
