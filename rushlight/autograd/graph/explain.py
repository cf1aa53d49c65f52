"""`why`: why the gradient of a tensor is missing, NaN, infinite or zero, and where that begins.

Three questions, in this order: is there a path from the loss to the tensor at all (`unreached.py` says where it is cut); does it
end in a `.grad`; and, along the path, which operation is the first that got a sound gradient and sent a bad one on
(`causes.py` says what in it did that).
"""

from __future__ import annotations

import sys
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from rushlight.autograd.graph import causes, unreached
from rushlight.autograd.graph.collect import GraphNode, Input, Line, has_formula, value_of
from rushlight.autograd.graph.statistics import Statistics, statistics_of
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.autograd.graph.graph import Graph


LONG = 160  # characters of a formula in an answer; the whole is in the graph


@dataclass(slots=True)
class Answer:
    """What `why` found out; `print` it.

    Attributes:
        state: what the gradient is: "none", "nan", "inf", "zero" or "ok".
        reason: in a word or two, for programs: "detached", "no_grad", "not a leaf", "flat", "infinite", ...
        text: in sentences.
        node: the number of the operation where it begins, in `Graph.nodes`; None if it is none of those.
        path: the numbers of the nodes from the loss to there.
        lines: of the forward pass, as far as they are known.
    """

    state: str
    reason: str
    text: str
    node: int | None = None
    path: list[int] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([self.text, *(f"  at {line}" for line in self.lines[:2])])


def why(tensor: Any, loss: Any, names: Any = None) -> Answer:
    """Why the gradient of a tensor with regard to a loss is missing, NaN, infinite or zero.

    If the graph still has its saved values, the backward pass is run once to look at its gradients: no `.grad` changes, and
    you can still call `loss.backward()`. Hooks run.

    Args:
        tensor: whose gradient it is: a parameter, or any tensor.
        loss: what is differentiated.
        names: a module or dict that names the leaves, as for `trace`.

    Raises:
        TypeError: one of them is no tensor.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.autograd import graph
        >>> w = torch.tensor([-1.0, -2.0], requires_grad=True)
        >>> answer = graph.why(w, torch.relu(w).sum())
        >>> answer.state, answer.reason
        ('zero', 'dead relu')
        >>> print(answer.text)  # doctest: +ELLIPSIS
        The gradient of w is zero. It becomes zero at #1 relu, float32 (2,): all 2 elements of its result are 0, ...
    """
    from rushlight.autograd.graph.graph import Graph, caller_names

    for what, given in (("tensor", tensor), ("loss", loss)):
        if not isinstance(given, Tensor):
            raise TypeError(f"graph.why(): {what} must be a Tensor, not {type(given).__name__}")
    variables = caller_names(sys._getframe(1))
    if not loss._needs_grad:
        return unreached.without_history(tensor, loss, variables)
    return explain(Graph([loss], names, variables), tensor)


def explain(graph: Graph, tensor: Tensor) -> Answer:
    """The answer for a tensor, from a graph."""
    name = name_of(graph, tensor)
    target = graph.number_of(tensor)
    if not tensor._needs_grad or target is None:
        return Answer("none", *unreached.reason(graph, tensor, name))
    path = _path(graph, target)
    if path is None:
        return _blocked(graph, target, name)
    if not isinstance(tensor._array, np.ndarray):
        return Answer(
            "ok", "no data", f"A gradient reaches {name}; tensors without data have no values to look at.", path=path
        )
    if not graph.has_gradients:
        if any(node.is_freed for node in graph.nodes):
            return _after_backward(tensor, name, path)
        graph.probe()
    node = graph.nodes[target]
    output = 0 if node.kind == "leaf" else tensor._output
    arrived = node.gradients[output] if output < len(node.gradients) else None
    if arrived is None:
        return _blocked(graph, target, name)
    if arrived.state == "ok":
        return _sound(tensor, name, arrived, path)
    return _bad(graph, target, name, arrived, path)


def name_of(graph: Graph, tensor: Tensor) -> str:
    number = graph.number_of(tensor)
    known = graph.names.get(id(tensor))
    if known is None and number is not None and graph.nodes[number].kind == "leaf":
        known = graph.nodes[number].name
    return known or f"the tensor {value_of(tensor)}"


def _path(graph: Graph, target: int) -> list[int] | None:
    """A shortest path of numbers from a root to a node, along edges on which gradients flow."""
    came_from: dict[int, int | None] = dict.fromkeys(graph.roots)
    queue = deque(graph.roots)
    while queue:
        number = queue.popleft()
        if number == target:
            path: list[int] = [number]
            while came_from[path[-1]] is not None:
                path.append(came_from[path[-1]])  # type: ignore[arg-type]
            return path[::-1]
        for i, given in enumerate(graph.nodes[number].inputs):
            if given.source is not None and given.source not in came_from and has_formula(graph._things[number], i):
                came_from[given.source] = number
                queue.append(given.source)
    return None


# ---------------------------------------------------------------- there is a path


def _sound(tensor: Tensor, name: str, arrived: Statistics, path: list[int]) -> Answer:
    if tensor._grad is not None:
        return Answer("ok", "ok", f"The gradient of {name} is sound: {arrived}.", path=path)
    if tensor.is_leaf:
        text = (
            f"A gradient reaches {name} ({arrived}), but .grad is None: loss.backward() has not run since the graph was "
            "made, or .grad was set to None after it (optimizer.zero_grad() does that)."
        )
        return Answer("none", "not run", text, path=path)
    text = (
        f"A gradient reaches {name} ({arrived}), but {name} is not a leaf: it was computed by {tensor.grad_fn.name()}. Only "
        "leaves keep their gradient. Call retain_grad() on it before backward, or use autograd.grad(loss, tensor)."
    )
    if tensor.retains_grad:
        text = f"A gradient reaches {name} ({arrived}), and retain_grad() was called: backward has not run since."
        return Answer("none", "not run", text, path=path)
    return Answer("none", "not a leaf", text, path=path)


def _after_backward(tensor: Tensor, name: str, path: list[int]) -> Answer:
    """A backward pass has freed the saved values: only the result is left to look at."""
    advice = (
        "A backward pass has already freed what the graph saved, so its gradients cannot be looked at again. Ask before "
        "backward(), or run backward through graph.trace(loss).backward(), or with retain_graph=True."
    )
    found = statistics_of(tensor._grad) if tensor._grad is not None else None
    if found is not None:
        state = "sound" if found.state == "ok" else found.state
        return Answer(found.state, "freed", f"The gradient of {name} is {state}: {found}. {advice}", path=path)
    if not tensor.is_leaf and not tensor.retains_grad:
        text = (
            f"{name} is not a leaf: it was computed by {tensor.grad_fn.name()}, and backward() keeps gradients of leaves "
            "only. Call retain_grad() on it before backward."
        )
        return Answer("none", "not a leaf", text, path=path)
    text = f"There is a path from the loss to {name}, but .grad is None: it was set to None after backward. {advice}"
    return Answer("none", "freed", text, path=path)


def _blocked(graph: Graph, target: int, name: str) -> Answer:
    """Every path leads through an input that has no derivative."""
    for node, thing in zip(reversed(graph.nodes), reversed(graph._things), strict=True):
        for i, given in enumerate(node.inputs):
            if given.source is not None and not has_formula(thing, i) and _leads_to(graph, given.source, target):
                text = (
                    f"No gradient reaches {name}: every path to it leads through input {given.name!r} of {describe(node)}, "
                    "with regard to which that operation has no derivative."
                )
                return Answer("none", "no derivative", text, node.id, _path(graph, node.id) or [], node.lines)
    text = f"No gradient reached {name}: an operation or a hook on the way gave None instead of one."
    return Answer("none", "undefined", text)


def _leads_to(graph: Graph, start: int, target: int) -> bool:
    return start in _towards(graph, target)


def _towards(graph: Graph, target: int) -> set[int]:
    """The nodes from which a gradient can go on to the target, itself included: inputs have smaller numbers."""
    found = {target}
    for node in graph.nodes:
        if any(given.source in found for given in node.inputs):
            found.add(node.id)
    return found


# ---------------------------------------------------------------- the gradient is NaN, infinite or zero


def _bad(graph: Graph, target: int, name: str, arrived: Statistics, path: list[int]) -> Answer:
    state = arrived.state
    headline = f"The gradient of {name} is {'zero' if state == 'zero' else f'not finite ({arrived})'}."
    useful = _towards(graph, target)
    is_bad = (lambda s: s.state == "zero") if state == "zero" else (lambda s: s.state in ("nan", "inf"))
    if state != "zero" and any(s is not None and is_bad(s) for s in map(statistics_of, graph._tensors)):
        fault = causes.fault_of_forward(graph)
        text = f"{headline} The forward pass is to blame: {causes.of_forward(fault)}"
        if fault is None:
            return Answer(state, "forward", text, path=path)
        return Answer(state, "forward", text, fault.id, _path(graph, fault.id) or path, fault.lines)
    for root in graph.roots:
        if root in useful and any(s is not None and is_bad(s) for s in graph.nodes[root].gradients):
            return Answer(
                state, "root", f"{headline} It is so from the start: the gradient given to backward() is.", root, [root]
            )
    culprits = _culprits(graph, useful, is_bad)
    if not culprits:
        text = f"{headline} Nothing on its way is: the contributions to it add up to that (they cancel, or overflow)."
        return Answer(state, "sum", text, target, path)
    node, given = culprits[0]
    verb = "zero" if state == "zero" else "NaN" if state == "nan" else "infinite"
    reason, cause = causes.of(graph, node, given, state)
    text = f"{headline} It becomes {verb} at {describe(node)}: {cause}"
    more = [f"{describe(other)}" for other, _ in culprits[1:4] if other is not node]
    if more and state == "zero":
        text += f"\n  and on the other paths at {'; '.join(more)}{' and others' if len(culprits) > 4 else ''}"
    if given.formula is not None:
        formula = str(given.formula)
        text += f"\n  derivative: {formula if len(formula) < LONG else formula[:LONG] + ' ...'}"
    to_node = _path(graph, node.id) or []
    return Answer(state, reason, text, node.id, to_node, node.lines)


def _culprits(graph: Graph, useful: set[int], is_bad: Any) -> list[tuple[GraphNode, Input]]:
    """The inputs to which an operation that got a sound gradient sent a bad one; the nearest to the loss first."""
    found = []
    for node in reversed(graph.nodes):
        arrived = [s for s in node.gradients if s is not None]
        if node.kind == "leaf" or node.id not in useful or not arrived or any(map(is_bad, arrived)):
            continue
        for given in node.inputs:
            if given.source in useful and given.gradient is not None and is_bad(given.gradient):
                found.append((node, given))
    return found


def describe(node: GraphNode) -> str:
    """How a sentence calls an operation."""
    where = f" in {node.module}" if node.module else ""
    value = f", {node.outputs[0]}" if node.outputs and node.outputs[0].shape is not None else ""
    return f"#{node.id} {node.op}{value}{where}"
