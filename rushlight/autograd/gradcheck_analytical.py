"""Jacobians by autograd: rows by the backward pass, columns by the forward pass, as arrays for `gradcheck` to compare.

As in `differences.py` a Jacobian is an array of (elements of the input, elements of the result).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from rushlight.autograd.differences import as_tuple
from rushlight.autograd.gradcheck_text import NOT_REENTRANT, GradcheckError
from rushlight.autograd.gradients import grad
from rushlight.ops.create import beside, zeros_like
from rushlight.tensor import Tensor


class Rows(NamedTuple):
    """For each source a matrix with a column for each weight; whether all gradients had the sources' shapes and dtypes."""

    matrices: list[np.ndarray]
    shapes_fit: bool
    dtypes_fit: bool


def rows_for(output: Tensor, sources: list[Tensor], weights: Iterable[Tensor]) -> Rows:
    """One backward pass for each weight of the output."""
    columns: list[list[Any]] = [[] for _ in sources]
    shapes_fit = dtypes_fit = True
    for weight in weights:
        found = grad(output, sources, weight, retain_graph=True, allow_unused=True)
        for x, g, column in zip(sources, found, columns, strict=True):
            if g is not None and g.is_sparse:
                g = g.to_dense()
            shapes_fit &= g is None or g.shape == x.shape
            dtypes_fit &= g is None or g.dtype == x.dtype
            usable = g is not None and g.numel() == x.numel()
            column.append(
                g._host_values("gradcheck()").reshape(-1).copy() if usable else np.zeros(x.numel(), x._array.dtype)
            )
    matrices = [
        np.stack(column, 1) if column else np.zeros((x.numel(), 0), x._array.dtype)
        for x, column in zip(sources, columns, strict=True)
    ]
    return Rows(matrices, shapes_fit, dtypes_fit)


def unit_weights(output: Tensor) -> Iterable[Tensor]:
    """Of one 1 each: the weights that give the rows of a Jacobian."""
    for index in np.ndindex(output.shape):
        weight = np.zeros(output.shape, output._array.dtype)
        weight[index] = 1
        yield beside(output, weight)


def checked_rows(
    output: Tensor, sources: list[Tensor], weights: Callable[[], Iterable[Tensor]], check_dtypes: bool, nondet_tol: float
) -> list[np.ndarray]:  # fmt: skip
    """The matrices of `rows_for`; raises where gradients do not fit their sources, or differ when computed again."""
    first, second = rows_for(output, sources, weights()), rows_for(output, sources, weights())
    if check_dtypes and not first.dtypes_fit:
        raise GradcheckError("Gradient has dtype mismatch")
    if not first.shapes_fit:
        raise GradcheckError("Analytical gradient has incorrect size")
    if not are_equal(first.matrices, second.matrices, nondet_tol):
        raise GradcheckError(NOT_REENTRANT.format(nondet_tol))
    return first.matrices


def are_equal(matrices: list[np.ndarray], others: list[np.ndarray], tolerance: float) -> bool:
    pairs = zip(matrices, others, strict=True)
    return not any(a.size and np.abs(a - b).max() > tolerance for a, b in pairs)


# ---------------------------------------------------------------- forward mode


def jacobians_by_columns(
    func: Callable[..., Any], inputs: tuple[Any, ...], moved: Tensor, chosen: list[int], check_dtypes: bool
) -> list[np.ndarray]:
    """The Jacobians of the chosen results by one input, one forward pass for each of its elements."""
    columns = [tangents(func, inputs, moved, unit, chosen, check_dtypes) for unit in unit_weights(moved)]
    if columns:
        return [np.stack(parts) for parts in zip(*columns, strict=True)]
    results = as_tuple(func(*inputs))
    return [np.zeros((0, results[i].numel())) for i in chosen]


def tangents(
    func: Callable[..., Any], inputs: tuple[Any, ...], moved: Tensor, tangent: Tensor, chosen: list[int], check_dtypes: bool
) -> list[np.ndarray]:  # fmt: skip
    """The chosen results' tangents, flat, for a tangent of one input and zeros for the others."""
    from rushlight.autograd import forward_ad

    with forward_ad.dual_level():
        results = as_tuple(func(*duals_of(inputs, {id(moved): tangent})))
        parts = [forward_ad.unpack_dual(results[i]) for i in chosen]
        if check_dtypes and any(t is not None and t.is_complex() != p.is_complex() for p, t in parts):
            raise GradcheckError("Forward AD gradient has dtype mismatch.")
        found = [zeros_like(p) if t is None else t for p, t in parts]
        return [t._host_values("gradcheck()").reshape(-1).copy() for t in found]


def duals_of(inputs: tuple[Any, ...], known: dict[int, Tensor]) -> list[Any]:
    """The inputs, those that require gradients with the tangent known by their id, or zeros."""
    from rushlight.autograd.forward_ad import make_dual

    return [
        make_dual(x.detach(), known[id(x)] if id(x) in known else zeros_like(x.detach())) if requires_grad(x) else x
        for x in inputs
    ]


def requires_grad(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad
