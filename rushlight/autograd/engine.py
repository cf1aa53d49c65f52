"""The backward pass: one loop over the recorded graph, from the results to the leaves.

Nodes are numbered as they are recorded, so a node's inputs always have smaller numbers: taking the pending
node with the largest number first, every gradient is complete when its node's turn comes. No recursion, and
no second walk to count anything. Gradients are plain arrays (NumPy's, or symbolic while a program is
recorded); with `create_graph` they are Tensors, and the same formulas, run on Tensors, are recorded in turn.

If only some inputs are wanted, `plan.py` says before the walk which edges lead to them; nothing else is computed. What
hooks do to gradients is in `hooked.py`.
"""

from __future__ import annotations

import heapq
import os
import sys
import threading
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds, numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.kinds import levels, namespace_of
from rushlight.arrays.quiet import quiet_value, reset_quiet, set_quiet
from rushlight.arrays.sparse import SparseArray
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd import anomaly, hooked
from rushlight.autograd.history import edge_of
from rushlight.autograd.modes import modes
from rushlight.autograd.node import Node, as_edge
from rushlight.autograd.plan import last_consumers, masks_towards, reachable
from rushlight.autograd.saved import FREED, Packed, unpack
from rushlight.ops import copies, namespaces, nodes, observers
from rushlight.ops.namespaces import is_array, tensor_arrays
from rushlight.tensor import Tensor, wrap

LARGE = 32_768  # elements of a gradient that is not to wait for the end of the pass


def run_backward(
    roots: list[Any], grads: list[Any], retain_graph: bool, create_graph: bool,
    inputs: list[Any] | None = None, accumulate: bool = True,
) -> list[Any]:  # fmt: skip
    """Propagates `grads` (Tensors) from `roots` (Tensors or GradientEdges).

    Returns:
        For each of `inputs` its gradient, a Tensor, or None if it is not reached. With `accumulate`, gradients of
        leaves (of those among `inputs`, if given) are added to `.grad` instead.
    """
    if observers.count:
        observers.note_backward()
        for grad in grads:
            observers.lift(grad)
    before = modes.grad, modes.walk, modes.device
    among_transforms = bool(levels())
    modes.grad = create_graph or among_transforms and modes.grad  # what these compute with has a history of its own
    token = set_quiet(quiet_value)
    walk: Any = None
    try:
        modes.walk = walk = _Walk(create_graph, retain_graph, inputs, accumulate)
        walk.among_transforms = among_transforms
        for root, grad in zip(roots, grads, strict=True):
            goal = goal_of(root)
            walk.starts.append(goal)
            walk.send(goal, grad if create_graph else grad._array)
        del root, grad, grads  # nothing is to hold what the walk is done with
        walk.run()
        if accumulate:
            walk.accumulate()
            return []
        return walk.captured_gradients()
    finally:
        reset_quiet(token)
        modes.grad, modes.walk, modes.device = before
        if walk is not None and walk.gpu_before is not None:
            kinds.GPU.cupy.cuda.runtime.setDevice(walk.gpu_before)


def _entered(grad: Any) -> Any:
    """The namespace for a gradient, on whose device it computes from here on."""
    gpu = kinds.GPU
    if gpu is not None and grad.__class__ is gpu.ndarray:
        place = gpu.device_of(grad)
        _use_gpu(place.index)
        if modes.device is not place:
            modes.device = place
        return gpu
    xp = namespace_of(grad)
    if gpu is not None:
        place = grad.device if isinstance(grad, Tensor) else kinds.device_of(grad)
        if place.type == "cuda":
            _use_gpu(place.index)
        modes.device = None if place.type == "cpu" else place  # of what formulas on Tensors make of nothing
    return xp


def _use_gpu(index: int) -> None:
    """Makes a GPU the current one; the walk knows which was so before it."""
    runtime = kinds.GPU.cupy.cuda.runtime
    current, walk = runtime.getDevice(), modes.walk
    if current != index:
        if walk is not None and walk.gpu_before is None:
            walk.gpu_before = current
        runtime.setDevice(index)


def goal_of(target: Any) -> Any:
    """Where gradients for a tensor, or of a GradientEdge, arrive."""
    return edge_of(target) if isinstance(target, Tensor) else as_edge(target.node, target.output_nr)


class _Walk:
    """The state of one backward pass."""

    among_transforms = False
    goals: list[Any] | None = None  # where the gradients of the wanted inputs arrive; None: all leaves are wanted
    masks: dict[Node, tuple] | None = None  # edges towards the goals; None: all of them
    hurries = False  # whether leaves are to get their gradient as soon as it is complete
    last: dict[Tensor, Node] | None = None  # then: the consumer of a leaf that runs last
    evaluating: Node | None = None  # in anomaly mode
    gpu_before: int | None = None  # the current GPU before the walk made another one so
    reach: set[Any] | None = None  # who will be reached, once a hook has asked

    def __init__(self, create_graph: bool, retain_graph: bool, inputs: list[Any] | None, accumulates: bool):
        self.create_graph, self.retain_graph, self.accumulates = create_graph, retain_graph, accumulates
        self.pending: list[tuple[int, Node]] = []  # a heap by -serial: of nodes that have a gradient
        self.at_nodes: dict[Node, Any] = {}  # gradient of the output; {number: gradient} for several
        self.at_leaves: dict[Tensor, Any] = {}
        self.captured: dict[Any, Any] = {}  # by goal: gradients of inputs that are no leaves
        self.watched: dict[Node, list[Any]] = {}  # the goals at a node
        self.starts: list[Any] = []  # where the walk begins
        if inputs is not None:
            self.goals = [goal_of(x) for x in inputs]

    def send(self, edge: Any, grad: Any) -> None:
        """Adds a gradient to what has arrived at the end of an edge."""
        at_nodes, leaves = self.at_nodes, self.at_leaves
        if edge in at_nodes:
            before = at_nodes[edge]
            if isinstance(before, dict):  # gradients of other outputs have arrived: this is for output 0
                before[0] = _sum(before[0], grad) if 0 in before else grad
            else:
                at_nodes[edge] = _sum(before, grad)
        elif edge in leaves:
            before = leaves[edge]
            leaves[edge] = _sum(before, grad)
        elif edge.__class__ is tuple:
            node, number = edge
            parts = at_nodes.get(node)
            if parts is None:
                at_nodes[node] = {number: grad}
                heapq.heappush(self.pending, (-node.serial, node))
            else:
                if not isinstance(parts, dict):
                    parts = at_nodes[node] = {0: parts}
                parts[number] = _sum(parts[number], grad) if number in parts else grad
        elif isinstance(edge, Node):
            at_nodes[edge] = grad
            heapq.heappush(self.pending, (-edge.serial, edge))
        else:
            leaves[edge] = grad
            if (edge._hooks is not None or edge._grad is not None) and self.accumulates and not self.hurries:
                self.hurries = _is_urgent(edge)

    def run(self) -> None:
        pending, at_nodes, send = self.pending, self.at_nodes, self.send
        if self.goals is not None:
            self._prepare_goals()
        masks, watched, frees = self.masks, self.watched, not self.retain_graph
        is_plain, watches = not (self.create_graph or self.among_transforms), modes.anomaly
        following: Any = None  # the next node, if it is known without the heap
        grad: Any = None
        while following is not None or pending:
            if following is not None:
                node = following
            else:
                node = heapq.heappop(pending)[1]
                grad = at_nodes.pop(node)
            edges = node.edges
            if masks is not None:
                mask = masks.get(node)
                if mask is None:
                    self._arrive(node, grad)
                    following = None
                    continue
                edges = mask
            op, saved, cells = node.op, node.saved, node.cells
            if node.extras is not None or watches or watched and node in watched:
                parts = self._with_hooks(node, grad, edges)
            elif not is_plain or op.several or saved is None:
                parts = self._differentiate(node, grad, edges)
            else:  # the most frequent case: `_differentiate` without the calls
                if cells and (len(cells) > 2 or cells[0][0] != cells[1]):
                    _check_versions(node)
                xp = numpy_arrays if grad.__class__ is ndarray else _entered(grad)
                parts = op.differentiate(node, saved, xp, grad, edges)
                if frees and saved:
                    node.saved, node.cells = None, ()
            saved = None
            following = None
            for edge, part in zip(edges, parts, strict=True):
                if part is None or edge is None:
                    continue
                if following is not None:  # it was not the last one
                    at_nodes[following] = grad
                    heapq.heappush(pending, (-following.serial, following))
                    following = None
                if edge in at_nodes or not isinstance(edge, Node):
                    send(edge, part)
                else:
                    following, grad = edge, part
            if following is None:
                grad = None
            elif pending and -pending[0][0] > following.serial:
                at_nodes[following] = grad
                heapq.heappush(pending, (-following.serial, following))
                following = grad = None
            parts = part = None  # nothing is to hold what the next node replaces
            if self.hurries:
                self._finish_leaves(node, edges, following)

    def _differentiate(self, node: Node, grad: Any, edges: tuple) -> Any:
        saved, op = node.saved, node.op
        if saved is None:
            raise RuntimeError(FREED)
        if node.cells:
            _check_versions(node)
        if node.extras is not None and node.extras.packed:
            saved = unpack(node)
        if op.several:
            parts = grad if isinstance(grad, dict) else {0: grad}
            grad = tuple([parts.get(i) for i in range(len(op.outputs))])
            given = tuple(parts.values())
        else:
            given = (grad,)
        xp = tensor_arrays if self.create_graph else namespace_of(*given)
        if kinds.GPU is not None:
            _entered(next(grad for grad in given if grad is not None))
        if self.among_transforms:
            xp = namespaces.transforms().namespace_for(self.create_graph, grad, *saved)
        if self.create_graph:
            saved = _as_tensors(node, saved)
        grads = op.differentiate(node, saved, xp, grad, edges)
        if not self.retain_graph:
            node.saved, node.cells = None if saved else saved, ()
        return grads

    def _with_hooks(self, node: Node, grad: Any, edges: tuple) -> Any:
        """As `_differentiate`, for a node that has hooks, is a goal, or is watched in anomaly mode."""
        self._capture(node, grad)
        grad = hooked.before(node, grad, self.create_graph)
        parts: Any
        if hooked.is_undefined(grad):
            parts = [None] * len(edges)
        elif modes.anomaly:
            parts = anomaly.watched(self, node, grad, edges)
        else:
            parts = self._differentiate(node, grad, edges)
        if node.extras is not None and node.extras.after:
            parts = hooked.after(node, parts, grad, self.create_graph)
        if modes.anomaly and modes.check_nan:
            anomaly.check(node, parts)
        return parts

    def reaches(self, goal: Any) -> bool:
        """Whether this walk comes to a node or leaf, or has been there."""
        if self.reach is None:
            self.reach = reachable(self.starts, self.masks)
        return goal in self.reach

    # ------------------------------------------------------------ only what leads to some inputs

    def _prepare_goals(self) -> None:
        goals = set(self.goals or ())
        for goal in goals:
            if goal.__class__ is tuple or isinstance(goal, Node):
                self.watched.setdefault(goal[0] if goal.__class__ is tuple else goal, []).append(goal)
        self.masks = masks_towards(self.at_nodes, goals, not self.watched)
        if self.at_leaves:
            self.at_leaves = {leaf: grad for leaf, grad in self.at_leaves.items() if leaf in goals}

    def _arrive(self, node: Node, grad: Any) -> None:
        """Ends at a node from which no edge leads on to a goal."""
        if node in self.watched:
            self._capture(node, hooked.of_tensors(node, grad, self.create_graph))

    def _capture(self, node: Node, grad: Any) -> None:
        for goal in self.watched.get(node, ()):
            parts = grad if isinstance(grad, dict) else {0: grad}
            number = goal[1] if isinstance(goal, tuple) else 0
            if number in parts:
                self.captured[goal] = parts[number]

    def captured_gradients(self) -> list[Any]:
        found: dict[Any, Any] = {}
        for goal in self.goals or ():
            if goal not in found:
                if goal in self.at_leaves:
                    grad = self.at_leaves.pop(goal)
                    if goal._hooks is not None:
                        grad = hooked.of_leaf(goal, grad, self.create_graph)
                else:
                    grad = self.captured.pop(goal, None)
                found[goal] = grad if grad is None or self.create_graph else _returned(grad)
        return [found[goal] for goal in self.goals or ()]

    # ------------------------------------------------------------ backward: into .grad

    def _finish_leaves(self, node: Node, edges: tuple, following: Node | None) -> None:
        """Accumulates what is complete, after `node` and before `following`."""
        if self.last is None:
            starts = [pending for _, pending in self.pending] + ([] if following is None else [following])
            self.last = last_consumers(starts, self.masks)
            complete = [leaf for leaf in self.at_leaves if leaf not in self.last]
        else:
            complete = [
                edge for edge in dict.fromkeys(edges) if edge in self.at_leaves and self.last.get(edge, node) is node
            ]
        for leaf in complete:
            accumulate(leaf, self.at_leaves.pop(leaf), self.create_graph)

    def accumulate(self) -> None:
        leaves, create_graph = self.at_leaves, self.create_graph
        for leaf in list(leaves):  # each is taken out, so that nothing else holds its gradient
            accumulate(leaf, leaves.pop(leaf), create_graph)


def _is_urgent(leaf: Tensor) -> bool:
    """Whether a leaf's gradient should not wait: hooks may free it, or it would take memory beside `.grad`."""
    hooks = leaf._hooks
    if hooks is not None and (hooks.after or hooks.node_after):
        return True
    return leaf._grad is not None and leaf._array.size >= LARGE


def accumulate(leaf: Tensor, grad: Any, create_graph: bool) -> None:
    """Adds a gradient to a leaf's `.grad`, with its hooks around that."""
    hooks = leaf._hooks
    if hooks is None:
        _accumulate(leaf, grad, create_graph)
        return
    grad = hooked.of_leaf(leaf, grad, create_graph)
    if hooks.node_before:
        grad = hooked.before_accumulating(leaf, grad, create_graph)
    if grad is None:
        return
    shown = hooked.as_tensor(grad) if hooks.node_after else None
    _accumulate(leaf, grad, create_graph)
    for hook in list(hooks.after.values()):
        hook(leaf)
    for hook in list(hooks.node_after.values()):
        hook((), (shown,))


_accumulating = threading.RLock()  # for leaves that several threads send gradients to


def _forget_lock() -> None:
    """In a forked child: the thread that held it did not come along."""
    global _accumulating
    _accumulating = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_lock)


def _accumulate(leaf: Tensor, grad: Any, create_graph: bool) -> None:
    """Adds a gradient to `.grad`: in place, unless the sum itself is to be differentiable."""
    if observers.count:
        observers.note_grad(leaf, True)
    with _accumulating:
        before = leaf._grad
        if create_graph:
            leaf._grad = copies.cast(grad, dtype=grad._array.dtype) if before is None else before + grad
        elif before is None:
            leaf._grad = wrap(_owned(grad, leaf))
        else:
            if observers.count:
                observers.lift(before)
            array = before._array
            if type(array) is ndarray:
                np.add(array, grad, out=array, casting="same_kind")
            elif kinds.GPU is not None and type(array) is type(grad) is kinds.GPU.ndarray:
                _entered(grad)
                kinds.GPU.add(array, grad, array)
            elif type(array) is SparseArray:
                before._array = grad + array  # plain, if the new one is
            else:
                namespace_of(array, grad).assign(array, array + grad)
            if before._cell is not None:
                before._cell[0] += 1


REFERENCES = 4  # to a gradient that nothing else holds: two variables of callers, `_owned`'s and getrefcount's


def _owned(grad: Any, leaf: Tensor | None = None) -> Any:
    """An array that nothing else holds or shares memory with: `grad` itself if it is one.

    Args:
        leaf: whose gradient it will be: it gets the leaf's order of memory.
    """
    if type(grad) is SymbolicArray:
        return symbolic_arrays.copy(grad)
    if type(grad) is SparseArray:
        return grad.with_values(_owned(grad.values))
    if type(grad) is not ndarray and not (kinds.GPU is not None and type(grad) is kinds.GPU.ndarray):
        return _as_array(grad)
    like = None if leaf is None else leaf._array
    if grad.base is None and sys.getrefcount(grad) <= REFERENCES:
        if grad.ndim < 2 or like is None or grad.strides == like.strides:
            return grad
    if type(like) is not ndarray or like.shape != grad.shape:
        return grad.copy()
    copy = np.empty_like(like, grad.dtype)
    copy[...] = grad
    return copy


def _returned(grad: Any) -> Tensor:
    """A gradient as a tensor of its own: holds it in as many variables as `_accumulate` and its caller do."""
    result: Tensor = wrap(_owned(grad))
    return result


SUMMED = 4  # references to the first of two gradients that only the walk holds: dict, `send`, `_sum`, getrefcount


def _sum(before: Any, grad: Any) -> Any:
    """The sum of two gradients for one place: in the memory of the first, if it is large and nobody else's."""
    if (
        before.__class__ is ndarray
        and before.size >= LARGE
        and sys.getrefcount(before) <= SUMMED
        and before.base is None
        and grad.__class__ is ndarray
        and grad.dtype is before.dtype
        and before.flags.writeable
    ):
        before += grad
        return before
    return before + grad


def _as_array(grad: Any) -> Any:
    return grad if is_array(grad) else np.asarray(grad)


def apply_node(node: Node, grads: tuple) -> Any:
    """The gradients of a node's inputs from those of its outputs, and nothing beyond it."""
    before = modes.grad
    walk = _Walk(create_graph=before, retain_graph=True, inputs=None, accumulates=False)
    parts = {i: g if before else g._array for i, g in enumerate(grads) if g is not None}
    results = walk._differentiate(node, parts if node.op.several else parts[0], node.edges)
    shown = tuple([None if g is None else hooked.as_tensor(g) for g in results])
    return shown if len(shown) != 1 else shown[0]


def _as_tensors(node: Node, saved: tuple) -> tuple:
    """The saved values as Tensors that remember where they came from, for derivatives of derivatives."""
    return tuple([_as_saved(node, place, value) for place, value in zip(node.op.saved_places, saved, strict=True)])


def _as_saved(node: Node, place: int | None, value: Any) -> Any:
    if value.__class__ is ndarray or is_array(value):
        if place < 0:  # type: ignore[operator]
            return _with_history(value, (node, -1 - place) if place < -1 else node)  # type: ignore[operator]
        return _with_history(value, node.edges[place])  # type: ignore[index]
    if place is None:
        edges = node.edges[len(node.op.inputs) :]
        return tuple([_with_history(array, edge) for array, edge in zip(value, edges, strict=True)])
    return value


def saved_tensor(node: Node, at: int) -> Any:
    """The saved value `at` of a node, as the tensor it was."""
    value = node.saved[at]
    return _as_saved(node, node.op.saved_places[at], value.array() if type(value) is Packed else value)


def _with_history(array: Any, edge: Any) -> Tensor:
    """A saved array as the tensor it was: the leaf itself, or a new one whose gradient goes where that tensor's goes."""
    if edge is None or array.dtype.kind in "biu":
        plain: Tensor = wrap(array)
        return plain
    if edge.__class__ is not tuple and not isinstance(edge, Node):
        if edge._array is array:
            leaf: Tensor = edge
            return leaf
        from rushlight.ops.views import alias

        edge = nodes.bare_node(alias.op.node_class, (edge,))
    tensor: Tensor = wrap(array)
    tensor._node, tensor._output = edge if edge.__class__ is tuple else (edge, 0)
    tensor._needs_grad = True
    return tensor


def _check_versions(node: Node) -> None:
    """Raises if what a node keeps has been written to since."""
    cells = node.cells
    for i in range(0, len(cells), 2):
        if cells[i][0] != cells[i + 1]:
            raise _modified(node, cells[i], cells[i + 1])


def _modified(node: Node, cell: list, expected: int) -> RuntimeError:
    written = ""
    if cell[1] is not None:
        name, file, line = cell[1]
        written = f" It was last written by {name} at {file}:{line}."
    shapes = "" if not node.saved else str(list(getattr(node.saved[0], "shape", ())))
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.FloatTensor {shapes}], which {node.name()} saved, is at version {cell[0]}; expected version "
        f"{expected} instead.{written} Hint: write to a clone() of it, or use the operation that is not in place."
    )
