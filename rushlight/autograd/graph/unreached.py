"""Why there is no path from a loss to a tensor.

What `record` saw says it exactly: the step of the computation behind which nothing required a gradient any more. Without it
the graph still has evidence: a constant that shares the tensor's memory, another leaf in its place, a write in place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.autograd.graph.collect import Line, Value, next_of, saved_input, value_of
from rushlight.autograd.graph.recording import Step, latest_record
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.autograd.graph.graph import Graph

ADVICE = " Run the forward pass inside `with graph.record():` and ask again to see the line."
Reason = tuple[str, str, int | None, list[int], list[Line]]

CUTS = {
    "detach": ("detached", "took it out of the graph"),
    "no_grad": ("no_grad", "ran under no_grad, so it was not recorded"),
    "not differentiable": (
        "not differentiable",
        "has no derivative: its result changes by steps or is no floating-point number",
    ),
    "to Python": ("to Python", "handed its values to Python or NumPy, where autograd does not follow"),
}


def without_history(tensor: Tensor, loss: Tensor, names: dict[int, str]) -> Any:
    """The answer where the loss itself requires no gradient."""
    from rushlight.autograd.graph.explain import Answer

    name, of_loss = names.get(id(tensor)) or f"the tensor {value_of(tensor)}", names.get(id(loss)) or "the loss"
    start = f"{of_loss} requires no gradient, so none can reach {name}: "
    cut = _cut_between(tensor, loss)
    if cut is not None:
        reason, text, *_, lines = _told(*cut)
        return Answer("none", reason, start + text, lines=lines)
    if loss._array.dtype.kind in "biu":
        text = f"it is of dtype {loss.dtype}, and only floating-point and complex tensors have gradients."
        return Answer("none", "dtype", start + text)
    if not tensor._needs_grad:
        return Answer("none", "requires_grad", start + _requires_none(tensor, name)[1])
    text = (
        "it was computed under no_grad, or from detached tensors, or from none that require gradients." + ADVICE
        if latest_record() is None
        else "nothing that it was computed from required a gradient."
    )
    return Answer("none", "no history", start + text)


def reason(graph: Graph, tensor: Tensor, name: str) -> Reason:
    """(reason, sentences, node, path, lines) for a tensor that no gradient can reach."""
    if not tensor._needs_grad:
        return _requires_none(tensor, name)
    start = f"There is no path from the loss to {name}: "
    cuts = [cut for root in graph._tensors if (cut := _cut_between(tensor, root)) is not None]
    if cuts:
        word, text, node, path, lines = _told(*cuts[0])
        return word, start + text, node, path, lines
    for look in (_as_constant, _written_since, _other_leaf):
        found = look(graph, tensor, name)
        if found is not None:
            return found[0], start + found[1], found[2], [], found[3]
    if latest_record() is not None:
        return "not used", start + "the loss was computed without it.", None, [], []
    text = (
        "the loss was computed without it, or its values left the graph on the way (detach(), no_grad, .item(), NumPy)."
    )
    return "not used", start + text + ADVICE, None, [], []


def _requires_none(tensor: Tensor, name: str) -> Reason:
    if tensor._array.dtype.kind in "biu":
        text = f"{name} is of dtype {tensor.dtype}: only floating-point and complex tensors have gradients."
        return "dtype", text, None, [], []
    record = latest_record()
    step = record.steps.get(id(tensor)) if record else None
    if step is not None and step.reference() is tensor:
        cut = _nearest_cut(step)
        if cut is not None:
            word, text, *_, lines = _told(cut)
            return word, f"{name} requires no gradient: {text}", None, [], lines
    text = (
        f"{name} does not require grad. If it is a leaf, call {name if name.isidentifier() else 'tensor'}.requires_grad_() "
        "before the forward pass; if it was computed, that happened under no_grad, after detach(), or from nothing that "
        "requires a gradient."
    )
    return "requires_grad", text, None, [], []


# ---------------------------------------------------------------- what `record` saw


def _cut_between(tensor: Tensor, loss: Tensor) -> tuple[Step, bool] | None:
    """The step that cut the way from a tensor forward to the loss, and whether it was seen to go on to the loss."""
    record = latest_record()
    if record is None:
        return None
    start, end = record.steps.get(id(tensor)), record.steps.get(id(loss))
    if start is None or start.reference() is not tensor:
        return None
    if end is not None and end.reference() is loss:
        found = _first_cut(start, end)
        if found is not None:
            return found, True
    found = next((step for step in record.cuts if _depends_on(step, start)), None) if record.saw(loss) else None
    return None if found is None else (found, False)


def _first_cut(start: Step, end: Step) -> Step | None:
    """The step nearest to `start`, on a way from there to `end`, that is cut."""
    way: dict[int, Step | None] = {id(end): None}
    stack = [end]
    while stack:
        step = stack.pop()
        if step is start:
            following: Step | None = step
            while following is not None:
                if following.cut:
                    return following
                following = way[id(following)]
            return None
        for parent in step.parents:
            if id(parent) not in way:
                way[id(parent)] = step
                stack.append(parent)
    return None


def _depends_on(step: Step, start: Step) -> bool:
    return any(one is start for one in _ancestors(step))


def _nearest_cut(step: Step) -> Step | None:
    return next((one for one in _ancestors(step) if one.cut), None)


def _ancestors(step: Step) -> Iterator[Step]:
    """A step, what it was made from, what that was made from, and so on."""
    seen, queue = {id(step)}, deque([step])
    while queue:
        one = queue.popleft()
        yield one
        for parent in one.parents:
            if id(parent) not in seen:
                seen.add(id(parent))
                queue.append(parent)


def _told(step: Step, goes_on: bool = True) -> Reason:
    word, what = CUTS[step.cut]
    more = "" if goes_on else " No other way from it to the loss was seen."
    return word, f"{step.what}() {what}.{more}", None, [], step.lines


# ---------------------------------------------------------------- what the graph shows


def _as_constant(graph: Graph, tensor: Tensor, name: str) -> tuple[str, str, int | None, list[Line]] | None:
    """Whether an operation kept the tensor's memory as a constant."""
    for node, thing in zip(graph.nodes, graph._things, strict=True):
        if node.kind == "leaf":
            continue
        op = getattr(thing, "op", None)
        for i, (source, _) in enumerate(next_of(thing)):
            kept = saved_input(thing, op, i) if source is None else None
            if isinstance(kept, np.ndarray) and _share(kept, tensor._array):
                text = (
                    f"#{node.id} {node.op} has its values as the constant {node.inputs[i].name!r}, {Value(kept.shape)}. They came "
                    "there by detach(), .data, NumPy or under no_grad." + ("" if latest_record() else ADVICE)
                )
                return "detached", text, node.id, node.lines
    return None


def _written_since(graph: Graph, tensor: Tensor, name: str) -> tuple[str, str, int | None, list[Line]] | None:
    """Whether the loss was computed from what the tensor was before a write in place."""
    cell = tensor._cell
    if tensor._node is None or cell is None or not cell[0]:
        return None
    numbers = {id(thing): i for i, thing in enumerate(graph._things)}
    seen, stack = set(), [tensor.grad_fn]
    while stack:
        node = stack.pop()
        if id(node) in numbers and not isinstance(node, Tensor):
            by = f" by {cell[1][0]} at {cell[1][1]}:{cell[1][2]}" if cell[1] else ""
            text = (
                f"{name} was written to in place{by} after the loss had used it. It now stands for the result of "
                f"{tensor.grad_fn.name()}, on which the loss does not depend."
            )
            return "in place", text, numbers[id(node)], graph.nodes[numbers[id(node)]].lines
        if node is not None and id(node) not in seen and not isinstance(node, Tensor):
            seen.add(id(node))
            stack.extend(source for source, _ in next_of(node))
    return None


def _other_leaf(graph: Graph, tensor: Tensor, name: str) -> tuple[str, str, int | None, list[Line]] | None:
    """Whether the loss depends on another leaf with this one's memory, or with its values."""
    if tensor._node is not None or not isinstance(tensor._array, np.ndarray):
        return None
    for node, thing in zip(graph.nodes, graph._things, strict=True):
        if isinstance(thing, Tensor) and isinstance(thing._array, np.ndarray) and thing is not tensor:
            if _share(thing._array, tensor._array):
                text = f"the loss depends on another leaf of the same memory, {node.name}: that one gets the gradient."
                return "other leaf", text, node.id, []
            same = thing.shape == tensor.shape and thing.dtype is tensor.dtype and tensor.numel() > 1
            is_drawn = (
                np.any(tensor._array != tensor._array.flat[0]) if same else False
            )  # weights of ones are no copies
            if is_drawn and np.array_equal(thing._array, tensor._array):
                text = (
                    f"the loss depends on another leaf with the same values, {node.name}. Is one a copy of the other "
                    "(deepcopy, to(), load_state_dict, a model made anew after the optimizer)?"
                )
                return "other leaf", text, node.id, []
    return None


def _share(a: Any, b: Any) -> bool:
    return (
        isinstance(b, np.ndarray) and a.size > 0 and np.shares_memory(a, b, max_work=1000) if _bounds(a, b) else False
    )


def _bounds(a: Any, b: Any) -> bool:
    return isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and np.may_share_memory(a, b)
