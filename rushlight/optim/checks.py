"""What constructors of optimizers check of their arguments, in PyTorch's words."""

from __future__ import annotations

from typing import Any

from rushlight.tensor import Tensor


def check_learning_rate(lr: Any, strictly: bool = False, message: str = "Invalid learning rate: {}") -> None:
    """Raises ValueError for a negative rate, NaN, or a tensor of several elements.

    Args:
        strictly: whether 0 is refused too.
    """
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not (lr > 0.0 if strictly else lr >= 0.0):
        raise ValueError(message.format(lr))


def check_not_negative(name: str, value: Any, message: str = "Invalid {}: {}") -> None:
    """Raises ValueError for a negative number or NaN."""
    if not value >= 0.0:  # NaN is not either
        raise ValueError(message.format(name, value))


def check_betas(betas: Any) -> None:
    """Raises ValueError for a beta outside [0, 1)."""
    for i in (0, 1):
        if not 0.0 <= betas[i] < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {betas[i]}")


def check_implementation(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """Raises RuntimeError for flags that exclude each other. They change nothing else: updates are compiled anyway."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")


def check_tensor_betas(betas: Any, foreach: bool | None, capturable: bool) -> None:
    """Raises ValueError for betas of two kinds, of several elements, or with flags that PyTorch refuses."""
    kinds = {float if isinstance(beta, float) else Tensor if isinstance(beta, Tensor) else None for beta in betas}
    if len(kinds) != 1 or None in kinds:
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(betas):
        if isinstance(beta, Tensor):
            if foreach and not capturable:
                raise ValueError(f"betas[{i}] as a Tensor is not supported for capturable=False and foreach=True")
            if beta.numel() != 1:
                raise ValueError(f"Tensor betas[{i}] must be 1-element")
