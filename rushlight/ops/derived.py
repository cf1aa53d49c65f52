"""A derivative formula as an operation of its own, for derivatives of derivatives.

Run on Tensors, a formula is recorded step by step: a dozen nodes for a cross entropy. `Derived` records one instead. Its
value is the formula on plain arrays, in one pass (`ops.fused`); its own derivative needs no rule either: the formula is
run on Tensors and differentiated by the engine, and this, as a function of arrays, is compiled in turn. Derivatives of
third order and beyond, and arrays that are not plain real ones, go step by step.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from numpy import ascontiguousarray, ndarray

from rushlight.arrays import numpy as numpy_arrays
from rushlight.autograd.history import cell_of, edge_of
from rushlight.autograd.modes import enable_grad, modes
from rushlight.autograd.node import Node, next_serial
from rushlight.ops import namespaces, observers
from rushlight.ops.fused import Fused
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor, wrap

REAL = "fd"
PLAIN = REAL + "lqi?B"  # NumPy's characters of what programs are compiled for


class Derived:
    """`formula(xp, grad, *values)` on Tensors as one operation.

    It stands in for `define.Op` on its nodes: what the engine reads there is here too.
    """

    outputs, several, variadic = ("out",), False, None
    attributes: dict[str, Any]

    def __init__(self, fused: Fused, name: str):
        self.fused, self.name, self.attributes = fused, name, {}
        self.inputs: list[str] = []
        self.saved_names: list[str] = []
        self.saved_places: list[int] = []
        self.products: dict[tuple[int, ...], Any] = {}  # by the operands that want gradients

    @cached_property
    def node_class(self) -> type[Node]:
        return type(f"{self.name.removesuffix('0')}Backward0", (Node,), {"__slots__": (), "op": self})

    def __call__(self, operands: tuple) -> Any:
        """The formula's value as a Tensor; None if it has to go step by step."""
        if observers.count or not modes.grad:
            return None
        arrays: list[Any] = []
        edges: list[Any] = []
        for x in operands:
            if isinstance(x, Tensor):
                array = x._array
                if array.__class__ is not ndarray or array.dtype.char not in PLAIN:
                    return None
                edges.append(edge_of(x) if x._needs_grad else None)
                arrays.append(array)
            elif x.__class__ in NUMBERS:
                edges.append(None)
                arrays.append(x)
            else:
                return None
        out = self.fused(numpy_arrays, *arrays)
        if out.__class__ is not ndarray:
            return None
        result = wrap(out)
        if any(edge is not None for edge in edges):
            self._record(result, operands, arrays, edges)
        return result

    def _record(self, result: Any, operands: tuple, arrays: list[Any], edges: list[Any]) -> None:
        if not self.inputs:
            self.inputs = self.saved_names = [f"operand{i}" for i in range(len(operands))]
            self.saved_places = list(range(len(operands)))
        node = object.__new__(self.node_class)
        node.serial, node.extras, node.attrs, node.shapes = next_serial(), None, None, None
        node.saved, node.edges = tuple(arrays), tuple(edges)
        cells: tuple = ()
        for x, array in zip(operands, arrays, strict=True):
            if array is not x:  # no number
                cell = cell_of(x)
                cells += (cell, cell[0])
        node.cells = cells
        result._node, result._needs_grad = node, True

    def differentiate(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> list[Any]:
        wanted = tuple([i for i, edge in enumerate(edges) if edge is not None])
        product = self.products.get(wanted)
        if product is None:
            product = self.products[wanted] = _Product(self.fused.function, wanted)
        grads: list[Any] = [None] * len(edges)
        for i, found in product(xp, grad, saved):
            grads[i] = found
        return grads


def _without_gaps(x: Any) -> Any:
    return x if x.__class__ is not ndarray or x.flags.c_contiguous else ascontiguousarray(x)


class _Product:
    """A gradient times the derivative of a formula, by the operands `wanted`."""

    def __init__(self, formula: Callable[..., Any], wanted: tuple[int, ...]):
        self.formula, self.wanted = formula, wanted
        self.used: tuple[int, ...] = ()  # those of them that the formula depends on
        self.fused: Fused | None = None  # by these, once they are known

    def __call__(self, xp: Any, grad: Any, operands: tuple) -> list[tuple[int, Any]]:
        if self.fused is None:
            found = self._step_by_step(self.wanted, xp, grad, operands)
            pairs = [(i, g) for i, g in zip(self.wanted, found, strict=True) if g is not None]
            if xp is numpy_arrays:
                self.used = tuple([i for i, _ in pairs])
                self.fused = Fused(self._alone if len(pairs) == 1 else self._together)
            return pairs
        if xp is numpy_arrays:  # programs take arrays without gaps, and step by step would cost more than a copy
            grad, operands = _without_gaps(grad), tuple(map(_without_gaps, operands))
        results = self.fused(xp, grad, *operands)
        return [(self.used[0], results)] if len(self.used) == 1 else list(zip(self.used, results, strict=True))

    def _alone(self, xp: Any, grad: Any, *operands: Any) -> Any:
        return self._step_by_step(self.used, xp, grad, operands)[0]

    def _together(self, xp: Any, grad: Any, *operands: Any) -> Any:
        return self._step_by_step(self.used, xp, grad, operands)

    def _step_by_step(self, wanted: tuple[int, ...], xp: Any, grad: Any, operands: tuple) -> tuple[Any, ...]:
        """The gradients, on arrays of any kind or on Tensors."""
        from rushlight.autograd.engine import run_backward
        from rushlight.ops.views import alias

        on_tensors = xp is namespaces.tensor_arrays
        tensors = [x if not namespaces.is_array(x) else wrap(x) for x in operands]
        with enable_grad():
            for i in wanted:
                if on_tensors:  # one operand may be the same tensor as another
                    tensors[i] = alias(tensors[i])
                else:
                    tensors[i]._needs_grad = True
            out = self.formula(namespaces.tensor_arrays, *tensors)
        if not out._needs_grad:
            return tuple([None for _ in wanted])
        weight = grad if on_tensors else wrap(grad)
        grads = run_backward([out], [weight], on_tensors, on_tensors, [tensors[i] for i in wanted], False)
        return tuple(grads) if on_tensors else tuple([g if g is None else g._array for g in grads])
