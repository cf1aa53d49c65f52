"""Recording: the node of an operation that has run, and what it keeps for backward.

`make_node` does so for any operation; those of one or two inputs have closures without loops, for the short paths.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rushlight.autograd import anomaly, saved
from rushlight.autograd.history import cell_of, edge_of
from rushlight.autograd.modes import modes
from rushlight.autograd.node import Node, next_serial
from rushlight.ops import observers
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.ops.define import Op

_new = object.__new__


def plan_for(op: Op, needed: tuple[bool, ...]) -> tuple[Callable[[tuple], tuple], list[int], list[int]]:
    """What to keep when these inputs need gradients: (picks it from inputs, outputs and rest; inputs; outputs kept)."""
    formulas = [op.joint] if op.joint else [f for f, need in zip(op.formulas, needed, strict=True) if f and need]
    names = {name for formula in formulas for name in formula.saved}
    order = [*op.inputs, *op.outputs, op.variadic]
    at = [order.index(name) if name in names else -1 for name in op.saved_names]  # -1: None stands there
    pick = (lambda values: ()) if not at else itemgetter(*at) if len(at) > 1 else (lambda values, i=at[0]: (values[i],))
    kept = [i for i in at if 0 <= i < len(op.inputs)]
    plan = pick, kept, [i for i in op.saved_outputs if op.outputs[i] in names]
    op.plans[needed] = plan
    return plan


def record(op: Op, results: Any, inputs: tuple, arrays: Any, attrs: dict[str, Any] | None) -> None:
    """Makes the node of the results (a Tensor or a tuple of them) and attaches it."""
    if results.__class__ is not tuple:
        op.record_plain(results, inputs, arrays, attrs)
        op.fit_node_class(results._node, arrays)
        return
    node = op.make_node(inputs, arrays, [result._array for result in results], attrs)
    if op.saved_outputs:
        op.watch_outputs(node, results)
    op.fit_node_class(node, arrays)
    for i, result in enumerate(results):
        if i == 0 or result._array.dtype.kind not in "biu":
            result._node, result._output, result._needs_grad = node, i, True


def record_plain(op: Op, result: Tensor, inputs: tuple, arrays: Any, attrs: dict[str, Any] | None) -> None:
    """`record` for one result, of operands whose dtypes ask for no other class of node."""
    node = op.make_node(inputs, arrays, (result._array,), attrs)
    if op.saved_outputs:
        op.watch_outputs(node, (result,))
    result._node, result._output, result._needs_grad = node, 0, True


def watch_outputs(op: Op, node: Node, results: Any) -> None:
    """Notes the versions of the results that their own node keeps."""
    if node.extras is not None and node.extras.packed:
        return
    for i in op.plans[tuple([edge is not None for edge in node.edges])][2]:
        cell = results[i]._cell
        if cell is None:
            cell = results[i]._cell = [0, None]
        node.cells += (cell, cell[0])


def make_node(
    op: Op, inputs: tuple, arrays: Any, outs: Any, attrs: dict[str, Any] | None, watched: bool = True
) -> Node:  # fmt: skip
    node = _new(op.node_class)
    node.extras = None
    node.attrs = attrs
    node.edges = edges = tuple([edge_of(x) if x.__class__ not in NUMBERS and x._needs_grad else None for x in inputs])
    node.serial = next_serial()  # after those of its edges: a view whose base was written to makes its node anew
    needed = tuple([edge is not None for edge in edges])
    pick, kept, _ = op.plans.get(needed) or op.plan_for(needed)
    if op.variadic:
        fixed = len(op.inputs)
        node.saved = pick((*arrays[:fixed], *outs, tuple(arrays[fixed:]), None))
    else:
        node.saved = pick((*arrays, *outs, None))
    cells: tuple = ()
    for i in kept:
        x = inputs[i]
        if x.__class__ not in NUMBERS:
            cell = x._cell
            if cell is None:
                cell = x._cell = [0, None]
            cells += (cell, cell[0])
    node.cells = cells
    if op.saves_shapes:
        node.shapes = tuple([(getattr(a, "shape", ()), getattr(a, "dtype", None)) for a in arrays])
    else:
        node.shapes = None
    if observers.count and watched:
        watch(node, inputs)
    return node


def watch(node: Node, inputs: tuple = ()) -> None:
    """Of a node just made: notes the line that made it, in anomaly mode, and hands saved values to their hooks."""
    if modes.anomaly:
        anomaly.note_forward(node)
    if modes.saved_hooks and node.saved:
        saved.pack(node, inputs)


def bare_node(node_class: type[Node], edges: tuple, attrs: dict[str, Any] | None = None, shapes: Any = None) -> Node:
    """A node that keeps no values."""
    node = _new(node_class)
    node.serial, node.extras, node.saved, node.cells = next_serial(), None, (), ()
    node.attrs, node.edges, node.shapes = attrs, edges, shapes
    if observers.count:
        watch(node)
    return node


def unary_recorder(op: Op) -> Callable[..., None]:
    """`Op.record` for one input, without loops."""
    node_class = op.node_class

    def record(result: Tensor, x: Tensor, a: Any, out: Any, attrs: Any = None) -> None:
        node = _new(node_class)
        node.extras = None
        node.attrs = attrs
        source = x._node
        node.edges = (source if source is not None and x._view is None and not x._output else edge_of(x),)
        node.serial = next_serial()
        pick, kept, keeps_out = op.plans.get(_ALONE) or op.plan_for(_ALONE)
        node.saved = pick((a, out, None))
        cells: tuple = ()
        if kept:
            cell = x._cell
            if cell is None:
                cell = x._cell = [0, None]
            cells = (cell, cell[0])
        if keeps_out:
            cell = result._cell
            if cell is None:
                cell = result._cell = [0, None]
            cells += (cell, cell[0])
        node.cells = cells
        node.shapes = ((a.shape, a.dtype),) if op.saves_shapes else None
        result._node = node
        result._needs_grad = True

    return record


_ALONE = (True,)


def binary_recorder(op: Op) -> Callable[..., None]:
    """`Op.record` for two inputs, without loops. The second may be a Python number."""
    node_class, plans, elementwise = op.node_class, op.plans, op.elementwise

    def record(result: Tensor, x: Tensor, y: Any, a: Any, b: Any, out: Any, y_needs_grad: bool) -> None:
        node = _new(node_class)
        node.extras = node.attrs = node.shapes = None
        if not y_needs_grad:
            source, needed = x._node, _FIRST
            node.edges = (source if source is not None and x._view is None and not x._output else edge_of(x), None)
        elif x._needs_grad:
            node.edges, needed = (edge_of(x), edge_of(y)), _BOTH
        else:
            node.edges, needed = (None, edge_of(y)), _SECOND
        node.serial = next_serial()
        pick, kept, keeps_out = plans.get(needed) or op.plan_for(needed)
        node.saved = pick((a, b, out, None))
        cells: tuple = ()
        for i in kept:
            if i == 0:
                cell = cell_of(x)
                cells += (cell, cell[0])
            elif b is not y:  # not a number
                cell = y._cell
                if cell is None:
                    cell = y._cell = [0, None]
                cells += (cell, cell[0])
        if keeps_out:
            result._cell = cell = [0, None]
            cells += (cell, 0)
        node.cells = cells
        if (b is not y and a.shape != b.shape) if elementwise else op.saves_shapes:
            node.shapes = ((a.shape, a.dtype), (b.shape, b.dtype))
        result._node = node
        result._needs_grad = True

    return record


_FIRST, _SECOND, _BOTH = (True, False), (False, True), (True, True)
