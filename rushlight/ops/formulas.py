"""Derivative formulas: what they ask for, read once, and how they are called.

Part of `define.py`, which says what a formula is.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rushlight.autograd.node import Node
from rushlight.ops.broadcasting import sum_to_shape
from rushlight.ops.derived import Derived
from rushlight.ops.fused import LONG_PATIENCE, PATIENCE, Fused
from rushlight.ops.large import Large
from rushlight.ops.precision import in_float32

if TYPE_CHECKING:
    from rushlight.ops.define import Op


class Formula:
    """A derivative formula and where its arguments are found on a node.

    `takes` says how `Op.differentiate` is to call it: with nothing more (NONE), with all saved values (ALL), with
    the saved value `at` (ONE), or with what `getters` find (ANY).
    """

    NONE, ALL, ONE, ANY = range(4)

    def __init__(self, function: Callable[..., Any], op: Op):
        self.function, self.op = function, op
        if op.fuse in (True, "derivative"):
            self.function = fused = Fused(function, PATIENCE if op.fuse is True else LONG_PATIENCE)
            fused.derived = Derived(fused, op.node_class.__name__)
        self.large = Large(function, op.direct is not None) if op.elementwise else None
        self.halves: dict[tuple, tuple[Large | None, Fused]] = {}
        self.names = list(parameters_of(function)[0][2:])
        self.saved = [n for n in self.names if n in op.outputs or n in op.inputs or n == op.variadic]

    def bind(self, saved_names: list[str]) -> None:
        """Fixes where the arguments are, once all formulas of the operation are known."""
        names, op = self.names, self.op
        self.saves_shapes = any(name.endswith(("_shape", "_dtype")) and name not in op.attributes for name in names)
        self.at, self.getters = 0, [argument_getter(name, op, saved_names) for name in names]
        self.takes = self.ANY
        if not names:
            self.takes = self.NONE
        elif names == saved_names:
            self.takes = self.ALL
        elif len(names) == 1 and names[0] in saved_names:
            self.takes, self.at = self.ONE, saved_names.index(names[0])

    def half_kernel(self, xp: Any, operands: tuple, rounds: bool, shape: tuple[int, ...] | None) -> Any:
        """The formula on half-precision arrays of a GPU: by one kernel, the changes of dtype included.

        Args:
            rounds: whether the result is of half precision too.
            shape: of the operand, if it was broadcast: the kernel sums.
        """
        grad, given = operands[0], None
        if type(grad) is tuple:  # of several results
            given = tuple([g is not None for g in grad])
            operands = (*[g for g in grad if g is not None], *operands[1:])
        large, fused = self._in_float32(rounds, given)
        if shape is not None:
            return fused(xp, *operands, shape=shape)
        out = large.on_gpu(xp, operands) if large else None
        return out if out is not None else fused(xp, *operands)

    def _in_float32(self, rounds: bool, given: tuple[bool, ...] | None) -> tuple[Large | None, Fused]:
        """The formula as a function on half precision; `given` says which of several results have gradients."""
        found = self.halves.get((rounds, given))
        if found is None:
            formula = self.function.function if isinstance(self.function, Fused) else self.function

            def function(xp: Any, *operands: Any, shape: tuple[int, ...] | None = None) -> Any:
                if given is not None:
                    grads, rest = iter(operands), operands[sum(given) :]
                    operands = (tuple([next(grads) if there else None for there in given]), *rest)
                out = formula(xp, *operands)
                return out if out is None or shape is None else sum_to_shape(xp, out, shape)

            function = in_float32(function, None if rounds else 0)
            found = Large(function, False) if self.op.elementwise else None, Fused(function)
            self.halves[rounds, given] = found
        return found

    def operands(self, node: Node, saved: tuple, grad: Any) -> tuple:
        """What the formula is called with, after the namespace."""
        if self.takes == self.ANY:
            return (grad, *[get(node, saved) for get in self.getters])
        return (grad, *saved) if self.takes == self.ALL else (grad, saved[self.at]) if self.takes else (grad,)

    def on_large(self, node: Node, saved: tuple, grad: Any) -> Any:
        """The formula in one pass on all cores; None if that cannot be."""
        return self.large(self.operands(node, saved, grad))

    def call(self, node: Node, saved: tuple, xp: Any, grad: Any) -> Any:
        takes = self.takes
        if takes == 0:
            return self.function(xp, grad)
        if takes == 1:
            return self.function(xp, grad, *saved)
        if takes == 2:
            return self.function(xp, grad, saved[self.at])
        return self.function(xp, grad, *[get(node, saved) for get in self.getters])


def parameters_of(function: Callable[..., Any]) -> tuple[tuple[str, ...], str | None, dict[str, Any]]:
    """(names before any `*`, the name behind `*`, keyword-only names with their defaults).

    What `inspect.signature` tells, in a fiftieth of its time: there are 500 formulas to read at import.
    """
    code = function.__code__
    names, count, keywords = code.co_varnames, code.co_argcount, code.co_kwonlyargcount
    variadic = names[count + keywords] if code.co_flags & inspect.CO_VARARGS else None
    defaults = function.__kwdefaults__ or {}
    return (
        names[:count],
        variadic,
        {n: defaults.get(n, inspect.Parameter.empty) for n in names[count : count + keywords]},
    )


def argument_getter(name: str, op: Op, saved_names: list[str]) -> Callable[[Node, tuple], Any]:
    if name in saved_names:
        at = saved_names.index(name)
        return lambda node, saved: saved[at]
    if name in op.attributes:
        default = op.attributes[name]
        return lambda node, saved: node.attrs.get(name, default) if node.attrs else default
    stem, _, what = name.rpartition("_")
    if what in ("shape", "dtype") and (stem in op.inputs or stem == op.variadic):
        which = 0 if what == "shape" else 1
        if stem == op.variadic:
            fixed = len(op.inputs)
            return lambda node, saved: tuple(pair[which] for pair in node.shapes[fixed:])
        at = op.inputs.index(stem)
        return lambda node, saved: node.shapes[at][which]
    raise TypeError(f"{op.name}: a derivative formula asks for {name!r}, which the operation does not have")
