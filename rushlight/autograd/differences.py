"""Jacobians by central differences: what `gradcheck` holds autograd's against.

An input is moved in its own memory and put back, so that a function which reaches it by another way than its argument is seen to
depend on it. A Jacobian here is an array of (elements of the input, elements of the result).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.ops.create import beside
from rushlight.tensor import Tensor

Run = Callable[[], list[np.ndarray]]


def as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def is_inexact(value: Any) -> bool:
    return isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex())


def numerical_jacobians(
    func: Callable[..., Any], inputs: tuple[Any, ...], moved: Tensor, eps: float
) -> list[np.ndarray]:
    """The Jacobians, by one tensor, of those results of `func(*inputs)` that are floating-point or complex numbers."""
    columns = [_derivatives(_runs(func, inputs), moved, index, (1.0, 1.0), eps) for index in np.ndindex(moved.shape)]
    if columns:
        return [np.stack(parts) for parts in zip(*columns, strict=True)]
    return [np.zeros((0, result.size)) for result in _runs(func, inputs)() if result.dtype.kind in "fcV"]


def numerical_derivatives(
    func: Callable[..., Any], inputs: tuple[Any, ...], moved: Tensor, direction: Any, eps: float
) -> list[np.ndarray]:
    """The same results' derivatives along a direction: an array of the tensor's size, or a pair for a complex tensor."""
    parts = direction if isinstance(direction, tuple) else (direction, direction)
    pair = (parts[0].reshape(moved.shape), parts[1].reshape(moved.shape))
    return _derivatives(_runs(func, inputs), moved, (), pair, eps)


def _derivatives(run: Run, moved: Tensor, where: tuple[int, ...], pair: tuple[Any, Any], eps: float) -> list[Any]:
    """The results' derivatives along a direction; of complex numbers the conjugate Wirtinger derivatives, along directions of
    their real and of their imaginary parts."""
    by_real = _differences(run, moved, where, pair[0] * eps, eps)
    if moved.dtype.kind != "c":
        return by_real
    by_imaginary = _differences(run, moved, where, pair[1] * (1j * eps), eps)
    return [x + 1j * y for x, y in zip(by_real, by_imaginary, strict=True)]


def _differences(run: Run, moved: Tensor, where: tuple[int, ...], step: Any, eps: float) -> list[np.ndarray]:
    saved, place = moved._host_values("gradcheck()")[where].copy(), where or ...
    put = _writer(moved, place)
    try:
        put(saved - step)
        before = run()
        put(saved + step)
        after = run()
    finally:
        put(saved)
    return [((b - a) / (2 * eps)).reshape(-1) for a, b in _paired(before, after, where, eps) if a.dtype.kind in "fcV"]


def _writer(moved: Tensor, place: Any) -> Callable[[Any], None]:
    """Writes to a tensor's memory, unseen by autograd."""
    array = moved._array
    if moved.is_cuda:
        return lambda values: moved.data.__setitem__(place, beside(moved, np.asarray(values, array.dtype)))
    return lambda values: array.__setitem__(place, values)


def _paired(before: list[np.ndarray], after: list[np.ndarray], where: Any, eps: float) -> Any:
    """Results before and after, once it is known that they are of the same kind."""
    on_index = f"on index {where} " if where else ""
    for what in ("shape", "dtype"):
        for a, b in zip(before, after, strict=True):
            if getattr(a, what) != getattr(b, what):
                raise AssertionError(
                    f"Expected `func` to return outputs with the same {what} when inputs are perturbed {on_index}by {eps}, "
                    f"but got: {what}s {getattr(a, what)} and {getattr(b, what)}."
                )
    return zip(before, after, strict=True)


def _runs(func: Callable[..., Any], inputs: tuple[Any, ...]) -> Run:
    """Calls the function and copies its results, which may be views of the input that is moved."""
    return lambda: [np.array(result._host_values("gradcheck()")) for result in as_tuple(func(*inputs))]
