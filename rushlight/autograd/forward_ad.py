"""Forward-mode derivatives by hand: dual tensors inside a `dual_level`. PyTorch's `torch.autograd.forward_ad`."""

from __future__ import annotations

from typing import Any, NamedTuple

from rushlight.tensor import Tensor

_levels: list[Any] = []  # at most one, as in PyTorch


class UnpackedDualTensor(NamedTuple):
    """A value and its tangent, or None if it has none."""

    primal: Tensor
    tangent: Tensor | None


def enter_dual_level() -> int:
    """Begins a level, in which dual tensors can be made. Returns its number, 0.

    Raises:
        RuntimeError: one has begun already.
    """
    from rushlight.func.forward import Differentiation

    if _levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    current = Differentiation().__enter__()
    current.level.is_by_hand = True
    _levels.append(current)
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Ends the level: what was a dual tensor is its value from then on.

    Raises:
        RuntimeError: there is none, or it is not this one.
    """
    if not _levels or level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not supported."
        )
    _levels.pop().__exit__()


class dual_level:
    """A context manager: inside, dual tensors can be made.

    Example:
        >>> import rushlight as torch
        >>> import rushlight.autograd.forward_ad as fwAD
        >>> with fwAD.dual_level():
        ...     x = fwAD.make_dual(torch.tensor(3.0), torch.tensor(1.0))
        ...     fwAD.unpack_dual(x * x).tangent
        tensor(6.)
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *_: object) -> None:
        exit_dual_level()


def _current(level: int | None, what: str) -> Any:
    if not _levels or level not in (None, 0):
        raise RuntimeError(what)
    return _levels[-1]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """A dual tensor: the value, with the derivative of it along the direction of interest.

    Both keep their history: what is computed from the tangent can be differentiated in reverse mode, and gradients of what is
    computed from the dual tensor, which go to `tensor`, have tangents.

    Raises:
        RuntimeError: no level has begun, the shapes differ, or `tensor` is a dual tensor already.
        ValueError: a dtype that has no derivatives.
    """
    from rushlight.arrays.dual import DualArray
    from rushlight.ops.transforms import link

    current = _current(
        level,
        "Trying to create a dual Tensor for forward AD but no level exists, make sure to enter_dual_level() first.",
    )
    array = tensor._array
    if isinstance(array, DualArray) and array.level is current.level:
        if array.tangent is not None:
            raise RuntimeError(
                "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level is not "
                "supported."
            )
        tensor = array.primal
    result: Tensor = current.dual(tensor, tangent)
    if tensor._needs_grad:
        link(result, tensor)
    return result


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """(value, tangent); the tangent of a tensor that depends on no dual one is None."""
    if not _levels or level not in (None, 0):
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*_levels[-1].parts(tensor))
