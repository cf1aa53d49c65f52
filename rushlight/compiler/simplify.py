"""First pass: the same values from fewer and simpler nodes.

One walk, sources before users: each node gets its simplified inputs, the rules of its op are tried, and
what is left is shared with an equal node if there is one. A rule takes a node and gives a better one or
None; all are exact (x + 0 is not x for x = -0, so it stays). Rules also *lower*: an argmax becomes
reductions, indexing one element per row becomes a comparison with the column's number, so that what
follows sees elementwise nodes, reductions and views.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.arrays import symbolic as xp
from rushlight.arrays.protocol import ELEMENTWISE
from rushlight.arrays.symbolic import Node, broadcast_node, cast
from rushlight.compiler.graph import SPECIAL, Graph, evaluate

Rule = Callable[[Node], "Node | None"]
RULES: dict[str, list[Rule]] = {}
POINTWISE = frozenset(ELEMENTWISE) | {"astype", "wrap_index"}
REDUCE = frozenset({"sum", "prod", "max", "min", "any", "all"})
FOLDED_SIZE = 64  # larger constants are left to be computed


def _wrap_index(xp: Any, attrs: dict[str, Any], index: np.ndarray) -> np.ndarray:
    size = attrs["size"]
    if np.any((index < -size) | (index >= size)):
        raise IndexError(f"index out of bounds for size {size}")
    return np.where(index < 0, index + size, index)


def rule(*ops: str) -> Callable[[Rule], Rule]:
    """Registers a rule for nodes of these ops ("*": of any)."""

    def add(function: Rule) -> Rule:
        for op in ops:
            RULES.setdefault(op, []).append(function)
        return function

    return add


# An index made non-negative and checked: the one op that the waist does not have.
SPECIAL["wrap_index"] = _wrap_index


def simplify(graph: Graph) -> Graph:
    walk = _Walk()
    new: dict[int, Node] = {}
    for node in graph.inputs:
        new[id(node)] = walk.finish(node)
    for node in graph.nodes():
        if id(node) not in new:
            new[id(node)] = walk.improve(_with_inputs(node, tuple(new[id(x)] for x in node.inputs)))
    return Graph(graph.inputs, [new[id(node)] for node in graph.outputs], graph.targets)


class _Walk:
    """The state of one pass: which nodes are final, and one node for each distinct value."""

    def __init__(self) -> None:
        self.final: dict[int, Node] = {}
        self.known: dict[Any, Node] = {}

    def finish(self, node: Node) -> Node:
        self.final[id(node)] = node
        return node

    def improve(self, node: Node) -> Node:
        """Recurses only into the few nodes that a rule makes."""
        if id(node) in self.final:
            return node
        node = _with_inputs(node, tuple(self.improve(x) for x in node.inputs))
        for try_rule in (*RULES.get("*", ()), *RULES.get(node.op, ())):
            better = try_rule(node)
            if better is not None:
                assert (better.shape, better.dtype) == (node.shape, node.dtype), (node, better)
                return self.improve(better)
        if node.op == "draw":
            return self.finish(node)
        return self.finish(self.known.setdefault(_key(node), node))


def _with_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return node
    return Node(node.op, inputs, node.attrs, node.shape, node.dtype)


def _key(node: Node) -> Any:
    """What two nodes of equal value have in common."""
    if node.op == "constant":
        value = node.attrs["value"]
        data = value.tobytes() if value.nbytes <= 4096 else id(value)
        return "constant", node.shape, node.dtype.str, data
    return node.op, node.shape, node.dtype.str, repr(node.attrs), *map(id, node.inputs)


# ---------------------------------------------------------------- helpers for rules


def constant(value: Any, dtype: np.dtype) -> Node:
    array = np.asarray(value, dtype)
    return Node("constant", (), {"value": array}, array.shape, array.dtype)


def reshaped(node: Node, shape: tuple[int, ...]) -> Node:
    return Node("reshape", (node,), {"shape": shape}, shape, node.dtype)


def scalar_value(node: Node) -> Any:
    """The number of a node that is one number everywhere, else None."""
    while node.op in ("broadcast_to", "reshape"):
        node = node.inputs[0]
    if node.op == "constant" and node.attrs["value"].size == 1:
        return node.attrs["value"].reshape(()).item()
    return None


def filled(shape: tuple[int, ...], value: Any, dtype: np.dtype) -> Node:
    return broadcast_node(constant(value, dtype), shape)


def arrays(*nodes: Node) -> list[xp.SymbolicArray]:
    return [xp.symbolic(node) for node in nodes]


# ---------------------------------------------------------------- constants


@rule("*")
def empty_is_constant(node: Node) -> Node | None:
    if math.prod(node.shape) or node.op in ("constant", "draw", "input"):
        return None
    return Node("constant", (), {"value": np.empty(node.shape, node.dtype)}, node.shape, node.dtype)


@rule("constant")
def uniform_constant(node: Node) -> Node | None:
    value = node.attrs["value"]
    if value.size <= 1 or value.tobytes() != value.reshape(-1)[:1].tobytes() * value.size:
        return None
    return filled(node.shape, value.reshape(-1)[0], node.dtype)


@rule("*")
def fold(node: Node) -> Node | None:
    """A node of constants is a constant, if it is small; views are left, they cost nothing."""
    if not node.inputs or node.op in ("broadcast_to", "wrap_index") or math.prod(node.shape) > FOLDED_SIZE:
        return None
    if any(x.op != "constant" for x in node.inputs):
        return None
    with np.errstate(all="ignore"):
        value = evaluate(node, *(x.attrs["value"] for x in node.inputs))
    return constant(value, node.dtype)


# ---------------------------------------------------------------- views


@rule("reshape", "broadcast_to", "slice", "permute_dims")
def view_of_itself(node: Node) -> Node | None:
    source = node.inputs[0]
    if node.op == "permute_dims":
        same = node.attrs["axes"] == tuple(range(len(node.shape)))
    elif node.op == "slice":
        same = node.shape == source.shape and all(step == 1 for _, _, step in node.attrs["index"])
    else:
        same = node.shape == source.shape
    return source if same else None


@rule("reshape")
def reshape_of_reshape(node: Node) -> Node | None:
    source = node.inputs[0]
    if source.op == "reshape":
        return reshaped(source.inputs[0], node.shape)
    if source.op == "broadcast_to" and math.prod(source.inputs[0].shape) == 1:
        return broadcast_node(reshaped(source.inputs[0], ()), node.shape)
    return None


@rule("broadcast_to")
def broadcast_of_broadcast(node: Node) -> Node | None:
    source = node.inputs[0]
    return broadcast_node(source.inputs[0], node.shape) if source.op == "broadcast_to" else None


@rule("permute_dims")
def permute_of_permute(node: Node) -> Node | None:
    source = node.inputs[0]
    if source.op != "permute_dims":
        return None
    axes = tuple(source.attrs["axes"][axis] for axis in node.attrs["axes"])
    return Node("permute_dims", source.inputs, {"axes": axes}, node.shape, node.dtype)


@rule("permute_dims", "slice")
def view_of_uniform(node: Node) -> Node | None:
    source = node.inputs[0]
    if source.op == "broadcast_to" and math.prod(source.inputs[0].shape) == 1:
        return broadcast_node(reshaped(source.inputs[0], ()), node.shape)
    return None


# ---------------------------------------------------------------- elementwise


@rule(*ELEMENTWISE)
def broadcast_operand(node: Node) -> Node | None:
    """An elementwise node broadcasts by itself, if another operand still has its shape."""
    inputs = list(node.inputs)
    for i, operand in enumerate(inputs):
        if operand.op == "broadcast_to":
            inputs[i] = operand.inputs[0]
            if np.broadcast_shapes(*(x.shape for x in inputs)) != node.shape:
                inputs[i] = operand
    if all(a is b for a, b in zip(inputs, node.inputs, strict=True)):
        return None
    return Node(node.op, tuple(inputs), node.attrs, node.shape, node.dtype)


@rule(*ELEMENTWISE, "astype")
def all_uniform(node: Node) -> Node | None:
    """On operands that are broadcast scalars, the op is computed once and broadcast."""
    if node.shape == () or any(math.prod(x.shape) != 1 and not _is_spread_scalar(x) for x in node.inputs):
        return None
    scalars = tuple(reshaped(x.inputs[0] if _is_spread_scalar(x) else x, ()) for x in node.inputs)
    return broadcast_node(Node(node.op, scalars, node.attrs, (), node.dtype), node.shape)


def _is_spread_scalar(node: Node) -> bool:
    return node.op == "broadcast_to" and math.prod(node.inputs[0].shape) == 1


@rule("multiply", "divide", "subtract", "add", "pow")
def neutral_operand(node: Node) -> Node | None:
    left, right = node.inputs
    if node.dtype == bool:
        return None
    number = scalar_value(right)
    neutral = number is not None and (
        number == 1
        if node.op in ("multiply", "divide", "pow")
        else number == 0 and (node.dtype.kind != "f" or (math.copysign(1, number) > 0) == (node.op == "subtract"))
    )
    if neutral and left.shape == node.shape and left.dtype == node.dtype:
        return left
    if node.op == "multiply" and scalar_value(left) == 1 and right.shape == node.shape:
        return right
    return None


@rule("pow")
def small_power(node: Node) -> Node | None:
    base, exponent = node.inputs
    if node.dtype.kind == "f" and base.shape == node.shape and scalar_value(exponent) == 2:
        return Node("square", (base,), {}, node.shape, node.dtype)
    return None


@rule("negative", "logical_not", "bitwise_invert")
def undone(node: Node) -> Node | None:
    source = node.inputs[0]
    if source.op != node.op or source.inputs[0].dtype != node.dtype:
        return None
    return source.inputs[0]


@rule("where")
def known_condition(node: Node) -> Node | None:
    condition = scalar_value(node.inputs[0])
    return None if condition is None else broadcast_node(node.inputs[1 if condition else 2], node.shape)


@rule("astype")
def cast_of_cast(node: Node) -> Node | None:
    source = node.inputs[0]
    if source.dtype == node.dtype:
        return source
    widened = source.op == "astype" and np.can_cast(source.inputs[0].dtype, source.dtype, "safe")
    if not widened or node.dtype.kind != "f" and source.dtype.kind == "f":
        return None
    return cast(source.inputs[0], node.dtype)


# ---------------------------------------------------------------- reductions


@rule(*REDUCE)
def reduce_without_ones(node: Node) -> Node | None:
    """Axes of size one, and no axes, are not reduced."""
    source, axes = node.inputs[0], node.attrs["axis"]
    if math.prod(source.shape) == 0:
        identity = {"sum": 0, "prod": 1, "any": False, "all": True}.get(node.op)
        return None if identity is None else filled(node.shape, identity, node.dtype)
    ones = tuple(axis for axis in axes if source.shape[axis] == 1)
    if axes and not ones:
        return None
    if len(ones) == len(axes):
        return cast(reshaped(source, node.shape), node.dtype)
    left = [i for i in range(len(source.shape)) if i not in ones]
    rest = tuple(left.index(axis) for axis in axes if axis not in ones)
    squeezed = reshaped(source, tuple(source.shape[i] for i in left))
    return Node(node.op, (squeezed,), {"axis": rest}, node.shape, node.dtype)


@rule("argmax", "argmin")
def lower_argmax(node: Node) -> Node | None:
    """The first place where x is its row's extremum, or where it is NaN if the extremum is."""
    (x,) = arrays(node.inputs[0])
    axis = node.attrs["axis"]
    if node.inputs[0].dtype.kind not in "fiub" or x.shape[axis] == 0:
        return None
    best = (xp.max if node.op == "argmax" else xp.min)(x, axis, True)
    found = xp.equal(x, best)
    if x.dtype.kind == "f":
        found = xp.where(xp.isnan(best), xp.isnan(x), found)
    place = xp.arange(0, x.shape[axis], 1, np.dtype(np.int64))
    place = xp.reshape(place, (-1,) + (1,) * (x.ndim - axis - 1))
    return xp.min(xp.where(found, place, x.shape[axis]), axis).node


@rule("matmul")
def empty_sum(node: Node) -> Node | None:
    return filled(node.shape, 0, node.dtype) if node.inputs[0].shape[-1] == 0 else None


@rule("concat")
def concat_of_one(node: Node) -> Node | None:
    filled_parts = tuple(x for x in node.inputs if math.prod(x.shape))
    if len(filled_parts) == 1:
        return filled_parts[0]
    if len(filled_parts) < len(node.inputs):
        return Node("concat", filled_parts, node.attrs, node.shape, node.dtype)
    return None


@rule("slice_assign")
def assign_all(node: Node) -> Node | None:
    _, value = node.inputs
    whole = value.shape == node.shape and all(step == 1 for _, _, step in node.attrs["index"])
    if whole:
        return value
    return node.inputs[0] if math.prod(value.shape) == 0 else None


# ---------------------------------------------------------------- one element per row


def _is_counting(node: Node, size: int) -> bool:
    if node.op == "arange":
        return node.shape == (size,) and node.attrs["start"] == 0 and node.attrs["step"] == 1
    value = node.attrs["value"] if node.op == "constant" else np.zeros(0)
    return value.shape == (size,) and bool((value == np.arange(size)).all())


def _one_per_row(x: Node, spec: tuple[Any, ...], index: tuple[Node, ...]) -> bool:
    """Whether an advanced index is x[arange(n), at] on a matrix."""
    return (
        len(x.shape) == 2
        and spec == (("array", 0), ("array", 1))
        and index[0].shape == index[1].shape == x.shape[:1]
        and index[1].dtype.kind == "i"
        and _is_counting(index[0], x.shape[0])
    )


def _is_chosen(x: Node, at: Node) -> xp.SymbolicArray:
    """(n, columns) bools: whether this is the row's chosen column. `at` is (n,)."""
    columns = x.shape[-1]
    wrapped = Node("wrap_index", (at,), {"size": columns}, at.shape, at.dtype)
    dtype = np.dtype(np.int32 if columns < 2**31 else np.int64)  # as wide as float32: the same vectors
    chosen = xp.reshape(xp.symbolic(cast(wrapped, dtype)), (*at.shape, 1))
    return xp.equal(xp.arange(0, columns, 1, dtype), chosen)


@rule("index_get")
def get_one_per_row(node: Node) -> Node | None:
    x, *index = node.inputs
    if not _one_per_row(x, node.attrs["spec"], tuple(index)) or x.dtype.kind != "f":
        return None
    return _chosen_value(x, index[1])


def _chosen_value(x: Node, at: Node) -> Node:
    zero = xp.symbolic(constant(0, x.dtype))
    return xp.sum(xp.where(_is_chosen(x, at), xp.symbolic(x), zero), -1).node


@rule("take_along_axis")
def take_one_per_row(node: Node) -> Node | None:
    x, at = node.inputs
    last = node.attrs["axis"] == len(x.shape) - 1
    if not last or at.shape != (*x.shape[:-1], 1) or x.dtype.kind != "f" or at.dtype.kind != "i":
        return None
    return reshaped(_chosen_value(x, reshaped(at, at.shape[:-1])), node.shape)


@rule("index_put")
def put_one_per_row(node: Node) -> Node | None:
    x, values, *index = node.inputs
    spec, accumulate = node.attrs["spec"], node.attrs["accumulate"]
    if not _one_per_row(x, spec, tuple(index)) or accumulate and node.dtype.kind not in "fi":
        return None
    old, new = arrays(x, broadcast_node(values, x.shape[:1]))
    new = xp.reshape(new, (-1, 1))
    if accumulate and scalar_value(x) != 0:
        new = old + new
    return xp.where(_is_chosen(x, index[1]), new, old).node
