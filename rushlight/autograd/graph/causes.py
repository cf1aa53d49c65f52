"""What in an operation made a gradient zero, NaN or infinite: told from the derivative formula and the saved values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight import dtypes
from rushlight.arrays import numpy as numpy_arrays
from rushlight.autograd.graph.collect import GraphNode, Input, Saved, saved_input
from rushlight.autograd.graph.statistics import Statistics, statistics_of

if TYPE_CHECKING:
    from rushlight.autograd.graph.graph import Graph

RECTIFIERS = {"relu": "a dead ReLU", "relu6": "a dead ReLU6"}
BOUNDED = {
    "clamp", "clamp_numbers", "clip", "clamp_min", "clamp_max", "hardtanh", "hardsigmoid", "hardswish", "relu6",
    "threshold", "hardshrink", "softshrink", "minimum", "maximum",
}  # fmt: skip
STEPS = {"sign", "sgn", "heaviside"}
SATURATING = {"sigmoid", "tanh", "softmax", "log_softmax", "erf", "logsigmoid"}
CHOOSING = {
    "where", "index", "slice", "gather", "max", "min", "amax", "amin", "take", "select", "masked_fill", "index_select", "sort",
}  # fmt: skip


def of(graph: Graph, node: GraphNode, given: Input, state: str) -> tuple[str, str]:
    """(the reason in a word, the cause in a sentence) for the gradient that a node sent to one of its inputs."""
    return _zero(graph, node, given) if state == "zero" else _not_finite(node, given)


# ---------------------------------------------------------------- zero


def _zero(graph: Graph, node: GraphNode, given: Input) -> tuple[str, str]:
    if _is_flat_everywhere(graph, node, given):
        return "flat", f"the derivative of {node.op} is zero everywhere, so nothing before it can learn from this loss."
    result = next((s for s in node.saved if s.name == "out"), None)
    if node.op in RECTIFIERS and _is_all_zero(result):
        size = result.statistics.size  # type: ignore[union-attr]
        return "dead relu", (
            f"all {size} elements of its result are 0, for its inputs were not positive, and there its derivative is 0 "
            f"({RECTIFIERS[node.op]})."
        )
    if node.op in RECTIFIERS:
        return "dead relu", "wherever a gradient arrives its input was not positive, and there its derivative is 0."
    if node.op in CHOOSING:
        return "not chosen", "the elements that it chose from this input get no gradient, the others are not used."
    for saved in node.saved:
        if saved.name != "out" and saved.name != given.name and _is_all_zero(saved):
            return "times zero", f"its other operand {saved.name!r}, {saved.value}, is all zeros."
    arrived = _arrived(node)
    if node.op == "softmax" and arrived is not None and arrived.low == arrived.high:
        return "constant", "all of its results get the same gradient, but their sum is always 1: it cannot change."
    if node.op in SATURATING and result is not None and result.statistics is not None:
        return (
            "saturated",
            f"it is saturated: its result lies in {_range(result)}, where its slope is 0 in {result.value.dtype}.",
        )
    if node.op in BOUNDED:
        return (
            "out of bounds",
            "wherever a gradient arrives its input was outside of the bounds, and there its derivative is 0.",
        )
    for saved in node.saved:
        if _is_all_zero(saved):
            return "at zero", f"{saved.name!r}, {saved.value}, is all zeros, and there its derivative is 0."
    return (
        "vanished",
        f"the gradient that arrives ({_arrived(node)}) meets a derivative that is 0 there, or underflows.",
    )


def _is_flat_everywhere(graph: Graph, node: GraphNode, given: Input) -> bool:
    """Whether the derivative is zero whatever the values: the formula asks for none of them and makes zeros of ones."""
    op = getattr(graph._things[node.id], "op", None)
    formulas, i = getattr(op, "formulas", None), node.inputs.index(given)
    if node.op in STEPS:
        return True
    if not formulas or formulas[i] is None or formulas[i].names:
        return False
    value = node.outputs[0]
    if value.shape is None or value.dtype is None:
        return False
    ones = np.ones(value.shape, getattr(dtypes, value.dtype).numpy)
    return bool(ones.size) and not np.any(formulas[i].function(numpy_arrays, ones))


def _is_all_zero(saved: Saved | None) -> bool:
    if saved is None or saved.statistics is None:
        return saved is not None and saved.text in ("0", "0.0")
    return saved.statistics.state == "zero"


def _range(saved: Saved) -> str:
    s = saved.statistics
    return "?" if s is None else f"[{s.low:.6g}, {s.high:.6g}]"


def _arrived(node: GraphNode) -> Any:
    return next((s for s in node.gradients if s is not None), None)


# ---------------------------------------------------------------- NaN and infinite


def _not_finite(node: GraphNode, given: Input) -> tuple[str, str]:
    arrives = (
        f"the gradient that arrives is finite ({_arrived(node)}), the one that goes on to {given.name!r} is not "
        f"({given.gradient})."
    )
    for saved in node.saved:
        if saved.statistics is not None and saved.statistics.state in ("nan", "inf"):
            s = saved.statistics
            return "saved", (
                f"{arrives} What it saved is not finite: {saved.name!r}, {saved.value}, has {s.nans} NaN and {s.infs} Inf."
            )
    saved = next((s for s in node.saved if s.name == given.zero_at), None)
    if saved is not None and saved.statistics is not None:
        return "infinite", (
            f"{arrives} {saved.statistics.zeros} of {saved.statistics.size} elements of {saved.name!r}, which it saved, are 0, "
            "and there its derivative is infinite; times a zero that is NaN. Keep them away from 0 (add a small number, or "
            "clamp) before this operation: a where() after it does not help."
        )
    for saved in node.saved:
        if saved.text in ("0", "0.0"):
            return "infinite", f"{arrives} {saved.name!r} is 0, and there its derivative is infinite."
    ranges = ", ".join(f"{s.name!r} in {_range(s)}" for s in node.saved if s.statistics is not None)
    return "overflow", f"{arrives} It saved {ranges or 'nothing'}: its derivative overflows or is undefined there."


def fault_of_forward(graph: Graph) -> GraphNode | None:
    """Where a loss that is not finite begins not to be: the first such result on the ways to it, as far as is known.

    A result that is known to be finite ends a way: the -inf of a mask before a softmax is no fault.
    """
    states = _forward_states(graph)
    loss = {s.state for s in map(statistics_of, graph._tensors) if s is not None}
    wanted = "nan" if "nan" in loss else "inf"
    reached, stack = set(graph.roots), list(graph.roots)
    while stack:
        for given in graph.nodes[stack.pop()].inputs:
            source = given.source
            if source is not None and source not in reached and states.get(source) != "ok":
                reached.add(source)
                stack.append(source)
    return next((graph.nodes[i] for i in sorted(reached) if states.get(i) == wanted), None)


def _forward_states(graph: Graph) -> dict[int, str]:
    """{number of a node: "nan", "inf" or "ok"} for the results that are known: noted, saved, or computed again."""
    states: dict[int, str] = {}
    for node, thing in zip(graph.nodes, graph._things, strict=True):
        for saved in node.saved:
            maker = node.id if saved.name == "out" else _source_of(node, saved.name)
            if maker is not None and saved.statistics is not None:
                states.setdefault(maker, _goodness(saved.statistics))
        if node.kind == "leaf":
            states.setdefault(node.id, _goodness(statistics_of(thing)))
        elif node.bad_output is not None:
            states.setdefault(node.id, node.bad_output or "ok")
        elif node.id not in states and (found := _run_again(thing)) is not None:
            states[node.id] = _goodness(found)
    return states


def _goodness(found: Statistics | None) -> str:
    return found.state if found is not None and found.state in ("nan", "inf") else "ok"


def _source_of(node: GraphNode, name: str) -> int | None:
    return next((given.source for given in node.inputs if given.name == name), None)


def _run_again(thing: Any) -> Statistics | None:
    """Of the result of an operation, from its inputs, if it saved them all."""
    op = getattr(thing, "op", None)
    function = getattr(op, "function", None)
    if function is None or op.variadic or len(op.outputs) > 1:
        return None
    kept = [saved_input(thing, op, i) for i in range(len(op.inputs))]
    if any(value is None for value in kept):
        return None
    try:
        with np.errstate(all="ignore"):
            return statistics_of(function(numpy_arrays, *kept, **(thing.attrs or {})))
    except Exception:  # noqa: BLE001  (then it tells nothing)
        return None


def of_forward(node: GraphNode | None) -> str:
    """The sentence for a loss that is not finite itself."""
    if node is None:
        return (
            "the loss itself is not finite, and no saved value tells where that began. Run the forward pass inside "
            "`with graph.record():` to see it."
        )
    if node.kind == "leaf":
        return f"the leaf {node.name} is not finite itself."
    where = f"#{node.id} {node.op}" + (f" in {node.module}" if node.module else "")
    ranges = [f"{s.name!r} in {_range(s)}" for s in node.saved if s.name != "out" and s.statistics is not None]
    bad = [s.name for s in node.saved if s.name != "out" and s.statistics and s.statistics.state in ("nan", "inf")]
    given = (
        f"; {', '.join(bad)} that it was given are not finite"
        if bad
        else f", from {', '.join(ranges)}"
        if ranges
        else ""
    )
    return f"the result of {where} is the first that is not finite{given}."
