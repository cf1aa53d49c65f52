"""Updates that are made only if they write no NaN and no Inf (`Optimizer.skip_nonfinite`).

The update is computed on copies. If all that it would write is finite it is taken over, of all parameters; else of none,
and it is counted. While a program is recorded there is no branch on a value: what is taken over is chosen by `where`.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from rushlight.ops import define
from rushlight.ops.create import ones, tensor, zeros_like
from rushlight.ops.elementwise import isfinite, logical_and, logical_not, where
from rushlight.optim import variants
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.optim.optimizer import Optimizer

Pending = list[tuple[Tensor, Tensor, dict[str, Any], dict[str, Any]]]  # (parameter, gradient, state, group)


class Counter:
    """How many updates were not made: a tensor, since a compiled program counts too."""

    def __init__(self) -> None:
        self.count: Tensor | None = None
        self.reported = 0

    def tensor(self) -> Tensor:
        if self.count is None:
            from rushlight.compiler.trace import paused

            with paused():
                self.count = tensor(0)
        return self.count

    def value(self) -> int:
        return 0 if self.count is None else int(self.count)

    def report(self, optimizer: Optimizer) -> None:
        """Warns of each update that has not been made since the last report."""
        value = self.value()
        if value > self.reported:
            self.reported = value
            warnings.warn(
                f"{type(optimizer).__name__}: an update would have written NaN or Inf and was not made; {value} so far",
                RuntimeWarning,
                stacklevel=5,
            )


def update_if_finite(optimizer: Optimizer, pending: Pending) -> None:
    """Updates all parameters, or none."""
    drafts = []
    is_finite = ones((), dtype=bool)
    for param, grad, state, group in pending:
        draft, draft_state = param.clone(), {key: _copied(value) for key, value in state.items()}
        variants.update_one(optimizer, draft, grad, draft_state, group)
        drafts.append((draft, draft_state))
        for written in (draft, *draft_state.values()):
            if isinstance(written, Tensor) and written.is_floating_point() or _is_complex(written):
                is_finite = logical_and(is_finite, isfinite(written).all())
    count = optimizer._skipped.tensor()
    count += logical_not(is_finite)
    is_recording = define.recording and define._recorder() is not None
    if not is_recording and not is_finite:
        return
    for (param, _, state, _), (draft, draft_state) in zip(pending, drafts, strict=True):
        param.copy_(where(is_finite, draft, param) if is_recording else draft)
        for key, value in draft_state.items():
            old = state.get(key)
            if not isinstance(value, Tensor):
                if value != old:
                    state[key] = value
            elif old is None:
                state[key] = where(is_finite, value, zeros_like(value)) if is_recording else value
            else:
                old.copy_(where(is_finite, value, old) if is_recording else value)


def _copied(value: Any) -> Any:
    return value.clone() if isinstance(value, Tensor) else value


def _is_complex(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_complex()
