"""Stand-ins for an operation on the nodes of some dtypes: half precision, and complex numbers.

A node's class says which operation differentiates it. For half precision that is `InFloat32`, for complex numbers, where
the operation is holomorphic, `Conjugated`: the formulas stay those for real numbers of any width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.arrays import kinds
from rushlight.autograd.node import Node

if TYPE_CHECKING:
    from rushlight.ops.define import Op

NUMBERS = (float, int, bool, complex)
HALF = "eE"  # NumPy's characters of float16 and bfloat16
FLOAT32 = np.dtype(np.float32)


class InFloat32:
    """Stands for an operation on the nodes of its half-precision results: derivatives are computed in float32 too."""

    def __init__(self, op: Op):
        self._op = op

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)

    def differentiate(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        if type(xp) is not ModuleType:  # on Tensors, whose operations widen and round themselves
            return self._op.differentiate(node, saved, xp, grad, edges)
        op = self._op
        if xp is kinds.GPU and not op.joint and (op.elementwise or op.is_fused):
            return op.differentiate_half(node, saved, xp, grad, edges)
        half = half_among([*_flat(grad), *_flat(saved)])
        saved = tuple([tuple([widened(xp, a) for a in v]) if type(v) is tuple else widened(xp, v) for v in saved])
        grads = self._op.differentiate(node, saved, xp, of_each(grad, lambda g: widened(xp, g)), edges)
        if half is None:
            return grads
        return [g if g is None or not rounds_gradient(node, i) else narrowed(xp, g, half) for i, g in enumerate(grads)]


def rounds_gradient(node: Node, place: int) -> bool:
    """Whether the gradient of an operand is of half precision: of a float32 weight beside it, it is not."""
    dtype = None if node.shapes is None or place >= len(node.shapes) else node.shapes[place][1]
    return dtype is None or dtype.char in HALF


def _flat(values: Any) -> Iterator[Any]:
    """The arrays among values, of which some may be tuples."""
    for value in values if type(values) is tuple else (values,):
        if type(value) is tuple:
            yield from _flat(value)
        elif hasattr(value, "dtype"):
            yield value


class Conjugated:
    """Stands for a holomorphic operation on the nodes of its complex results: see `define.py`."""

    def __init__(self, op: Op):
        self._op = op

    def __getattr__(self, name: str) -> Any:
        return getattr(self._op, name)

    def differentiate(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        grads = self._op.differentiate(node, saved, xp, of_each(grad, xp.conj), edges)
        return [g if g is None else xp.conj(g) for g in grads]


def of_each(grad: Any, function: Callable[[Any], Any]) -> Any:
    """The function of a gradient, or of each in the tuple of an operation with several results."""
    if type(grad) is tuple:
        return tuple([g if g is None else function(g) for g in grad])
    return function(grad)


def half_among(arrays: Any) -> np.dtype | None:
    for a in arrays:
        if a.__class__ not in NUMBERS and a.dtype.char in HALF:
            return a.dtype
    return None


def in_float32(function: Callable[..., Any], num_rounded: int | None = None) -> Callable[..., Any]:
    """The function on half-precision arrays, with the change of dtypes inside: what is compiled to one kernel on a GPU.

    Args:
        num_rounded: how many of its results are rounded, the first ones; None for all.
    """

    def call(xp: Any, *arrays: Any, **attrs: Any) -> Any:
        half = next((a.dtype for a in arrays if hasattr(a, "dtype") and a.dtype.char in HALF), None)
        out = function(xp, *[widened(xp, a) for a in arrays], **attrs)
        return out if half is None else rounded(xp, out, half, num_rounded)

    return call


def rounded(xp: Any, out: Any, half: np.dtype, num_rounded: int | None = None) -> Any:
    """A result that was computed in float32, or the first of several, in half precision."""
    if type(out) is tuple:
        return tuple(
            [narrowed(xp, x, half) if num_rounded is None or i < num_rounded else x for i, x in enumerate(out)]
        )
    return out if out is None or num_rounded == 0 else narrowed(xp, out, half)


def widened(xp: Any, a: Any) -> Any:
    return xp.astype(a, FLOAT32) if hasattr(a, "dtype") and a.dtype.char in HALF else a


def narrowed(xp: Any, a: Any, half: np.dtype) -> Any:
    return xp.astype(a, half) if a.dtype == FLOAT32 else a


def half_among_operands(op: Op, arrays: Any) -> np.dtype | None:
    """The half-precision dtype among the operands, if this is to be computed in float32."""
    half = half_among(arrays) if op.wide else None
    if half is not None and op.native_half and kinds.GPU is not None:
        if all(a.__class__ is kinds.GPU.ndarray and a.dtype == half for a in arrays):
            return None
    return half


def fit_node_class(op: Op, node: Node, arrays: Any) -> None:
    """Gives a node the class for the dtypes of its operands."""
    if op.wide:
        if op.half_among(arrays) is not None:
            node.__class__ = op.half_node_class
        elif not op.wirtinger and any(a.__class__ not in NUMBERS and a.dtype.kind == "c" for a in arrays):
            node.__class__ = op.complex_node_class


def half_kernel(op: Op, xp: Any, arrays: tuple, attrs: dict[str, Any] | None) -> Any:
    """The forward function on half-precision arrays of a GPU: by one kernel, the changes of dtype included."""
    large, fused = op.in_float32
    out = large.on_gpu(xp, arrays, attrs) if large else None
    return out if out is not None else fused(xp, *arrays, **(attrs or {}))


def differentiate_half(op: Op, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> list[Any]:
    """The same for half precision on a GPU: a kernel for each formula, from half precision to half precision."""
    grads = []
    for i, (edge, formula) in enumerate(zip(edges, op.formulas, strict=True)):
        if edge is None or formula is None:
            grads.append(None)
            continue
        shape = node.shapes[i][0] if op.elementwise and node.shapes is not None else None
        given, rounds = formula.operands(node, saved, grad), rounds_gradient(node, i)
        grads.append(formula.half_kernel(xp, given, rounds, None if shape is None or shape == grad.shape else shape))
    return grads
