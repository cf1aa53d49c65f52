"""The backward pass: one loop over the recorded graph, from the results to the leaves.

Nodes are numbered as they are recorded, so a node's inputs always have smaller numbers: taking the pending
node with the largest number first, every gradient is complete when its node's turn comes. No recursion, and
no second walk to count anything. Gradients are plain arrays (NumPy's, or symbolic while a program is
recorded); with `create_graph` they are Tensors, and the same formulas, run on Tensors, are recorded in turn.
"""

from __future__ import annotations

import heapq
import sys
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays.sparse import SparseArray
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.history import edge_of
from rushlight.autograd.modes import modes
from rushlight.autograd.node import Node
from rushlight.ops import define
from rushlight.ops.define import namespace_of, tensor_arrays
from rushlight.tensor import Tensor, wrap


def run_backward(
    roots: list[Tensor], grads: list[Any], retain_graph: bool, create_graph: bool,
    inputs: list[Tensor] | None = None, accumulate: bool = True,
) -> list[Any]:  # fmt: skip
    """Propagates `grads` (Tensors) from `roots`.

    Returns:
        For each of `inputs` its gradient, a Tensor, or None if it is not reached. With `accumulate`, gradients of
        leaves (of those among `inputs`, if given) are added to `.grad` instead.
    """
    if define.recording:
        define.note_backward()
        for grad in grads:
            define.lift(grad)
    before = modes.grad
    modes.grad = create_graph
    token = define._set_quiet(define._quiet_value)
    try:
        walk = _Walk(create_graph, retain_graph, inputs)
        for root, grad in zip(roots, grads, strict=True):
            walk.send(edge_of(root), grad if create_graph else grad._array)
        walk.run()
        if accumulate:
            walk.accumulate()
            return []
        return walk.captured_gradients()
    finally:
        define._reset_quiet(token)
        modes.grad = before


class _Walk:
    """The state of one backward pass."""

    def __init__(self, create_graph: bool, retain_graph: bool, inputs: list[Tensor] | None):
        self.create_graph, self.retain_graph = create_graph, retain_graph
        self.pending: list[tuple[int, Node]] = []  # a heap by -serial: of nodes that have a gradient
        self.at_nodes: dict[Node, Any] = {}  # gradient of the output; {number: gradient} for several
        self.at_leaves: dict[Tensor, Any] = {}
        self.inputs = inputs
        self.captured: dict[Any, Any] = {}
        self.wanted = {_key(edge_of(x)) for x in inputs} if inputs is not None else None
        self.useful: set[Node] | None = None

    def send(self, edge: Any, grad: Any) -> None:
        """Adds a gradient to what has arrived at the end of an edge."""
        if isinstance(edge, Node):
            at_nodes = self.at_nodes
            if edge in at_nodes:
                before = at_nodes[edge]
                if isinstance(before, dict):  # gradients of other outputs have arrived: this is for output 0
                    before[0] = before[0] + grad if 0 in before else grad
                else:
                    at_nodes[edge] = before + grad
            else:
                at_nodes[edge] = grad
                heapq.heappush(self.pending, (-edge.serial, edge))
        elif isinstance(edge, tuple):
            node, number = edge
            parts = self.at_nodes.get(node)
            if parts is None:
                self.at_nodes[node] = {number: grad}
                heapq.heappush(self.pending, (-node.serial, node))
            else:
                if not isinstance(parts, dict):
                    parts = self.at_nodes[node] = {0: parts}
                parts[number] = parts[number] + grad if number in parts else grad
        else:
            leaves = self.at_leaves
            leaves[edge] = leaves[edge] + grad if edge in leaves else grad

    def run(self) -> None:
        pending, at_nodes, send = self.pending, self.at_nodes, self.send
        if self.wanted is not None:
            self._mark_useful()
        while pending:
            node = heapq.heappop(pending)[1]
            grad = at_nodes.pop(node)
            if node.hooks is not None:
                grad = self._hooked(node.hooks, grad)
            if self.wanted is not None:
                self._capture(node, grad)
                if node not in self.useful:  # type: ignore[operator]
                    continue
            for edge, part in zip(node.edges, self._differentiate(node, grad), strict=True):
                if part is not None and edge is not None:
                    if isinstance(edge, Node) and edge not in at_nodes:  # the most frequent case, without a call
                        at_nodes[edge] = part
                        heapq.heappush(pending, (-edge.serial, edge))
                    else:
                        send(edge, part)

    def _differentiate(self, node: Node, grad: Any) -> list[Any]:
        saved = node.saved
        if saved is None:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
                "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time "
                "or if you need to access saved tensors after calling backward."
            )
        cells = node.cells
        for i in range(0, len(cells), 2):
            if cells[i][0] != cells[i + 1]:
                raise _modified(node, cells[i], cells[i + 1])
        xp = tensor_arrays if self.create_graph else namespace_of(grad)
        if len(node.op.outputs) > 1:
            parts = grad if isinstance(grad, dict) else {0: grad}
            grad = tuple([parts.get(i) for i in range(len(node.op.outputs))])
            xp = tensor_arrays if self.create_graph else namespace_of(*parts.values())
        if self.create_graph:
            saved = _as_tensors(node, saved)
        grads = node.op.differentiate(node, saved, xp, grad)
        if not self.retain_graph:
            node.saved, node.cells = None if saved or node.op.saved_names else saved, ()
        if node.node_hooks is not None:
            grads = _run_node_hooks(node, grads, grad)
        return grads

    def _hooked(self, hooks: dict[int, dict[int, Any]], grad: Any) -> Any:
        if isinstance(grad, dict):
            return {i: self._call_hooks(hooks[i], g) if i in hooks else g for i, g in grad.items()}
        return self._call_hooks(hooks[0], grad) if 0 in hooks else grad

    def _call_hooks(self, hooks: dict[int, Any], grad: Any) -> Any:
        tensor = grad if self.create_graph else wrap(_as_array(grad))
        for hook in list(hooks.values()):
            replaced = hook(tensor)
            if replaced is not None:
                _check_hook_result(replaced, tensor)
                tensor = replaced
        return tensor if self.create_graph else tensor._array

    # ------------------------------------------------------------ autograd.grad: only what leads to the inputs

    def _mark_useful(self) -> None:
        """The nodes with an edge towards an input: by increasing serial, inputs before what was made of them."""
        seen, stack = set(self.at_nodes), list(self.at_nodes)
        while stack:
            for edge in stack.pop().edges:
                node = edge[0] if isinstance(edge, tuple) else edge
                if isinstance(node, Node) and node not in seen:
                    seen.add(node)
                    stack.append(node)
        useful: set[Node] = set()
        for node in sorted(seen, key=lambda n: n.serial):
            for edge in node.edges:
                source = edge[0] if isinstance(edge, tuple) else edge
                if edge is not None and (_key(edge) in self.wanted or source in useful):  # type: ignore[operator]
                    useful.add(node)
                    break
        self.useful = useful

    def _capture(self, node: Node, grad: Any) -> None:
        parts = grad if isinstance(grad, dict) else {0: grad}
        for number, part in parts.items():
            if (node, number) in self.wanted:  # type: ignore[operator]
                self.captured[node, number] = part

    def captured_gradients(self) -> list[Any]:
        results = []
        for x in self.inputs or []:
            edge = edge_of(x)
            found = self._leaf_gradient(x) if isinstance(edge, Tensor) else self.captured.get(_key(edge))
            if found is not None and not self.create_graph:
                found = wrap(_owned(found))
            results.append(found)
        return results

    def _leaf_gradient(self, leaf: Tensor) -> Any:
        grad = self.at_leaves.get(leaf)
        hooks = leaf._hooks
        return grad if grad is None or hooks is None else self._call_hooks(hooks.before, grad)

    # ------------------------------------------------------------ backward: into .grad

    def accumulate(self) -> None:
        chosen = None if self.inputs is None else set(self.inputs)
        leaves = self.at_leaves
        while leaves:
            leaf = next(iter(leaves))
            if chosen is None or leaf in chosen:
                grad = self._leaf_gradient(leaf)
                del leaves[leaf]  # so that nothing else holds the array, and it need not be copied
                _accumulate(leaf, grad, self.create_graph)
                if leaf._hooks is not None:
                    for hook in list(leaf._hooks.after.values()):
                        hook(leaf)
            else:
                del leaves[leaf]
        if chosen:
            for x in self.inputs or []:
                if x._node is not None:
                    grad = self.captured.get(_key(edge_of(x)))
                    if grad is not None:
                        _accumulate(x, grad, self.create_graph)


def _key(edge: Any) -> Any:
    return (edge, 0) if isinstance(edge, Node) else edge


def _accumulate(leaf: Tensor, grad: Any, create_graph: bool) -> None:
    """Adds a gradient to `.grad`: in place, unless the sum itself is to be differentiable."""
    if define.recording:
        define.note_grad(leaf, True)
    before = leaf._grad
    if create_graph:
        leaf._grad = grad if before is None else before + grad
    elif before is None:
        leaf._grad = wrap(_owned(grad))
    else:
        if define.recording:
            define.lift(before)
        array = before._array
        if type(array) is ndarray:
            np.add(array, grad, out=array, casting="same_kind")
        elif type(array) is SparseArray:
            before._array = grad + array  # plain, if the new one is
        else:
            namespace_of(array, grad).assign(array, array + grad)
        if before._cell is not None:
            before._cell[0] += 1


REFERENCES = 4  # to a gradient that nothing else holds: two variables of callers, `_owned`'s and getrefcount's


def _owned(grad: Any) -> Any:
    """An array that nothing else holds or shares memory with: `grad` itself if it is one."""
    if type(grad) is SymbolicArray:
        return define.symbolic_arrays.copy(grad)
    if type(grad) is SparseArray:
        return grad.with_values(_owned(grad.values))
    if type(grad) is not ndarray:
        return np.asarray(grad)
    if grad.base is None and sys.getrefcount(grad) <= REFERENCES:
        return grad
    return grad.copy()


def _as_array(grad: Any) -> Any:
    return grad if type(grad) in (ndarray, SymbolicArray, SparseArray) else np.asarray(grad)


def _as_tensors(node: Node, saved: tuple) -> tuple:
    """The saved values as Tensors that remember where they came from, for derivatives of derivatives."""
    operation, tensors = node.op, []
    for name, value in zip(operation.saved_names, saved, strict=True):
        if name == operation.variadic:
            tensors.append(tuple(_with_history(array, None) for array in value))
        elif type(value) not in (ndarray, SymbolicArray):
            tensors.append(value)
        elif name in operation.outputs:
            number = operation.outputs.index(name)
            tensors.append(_with_history(value, (node, number) if number else node))
        else:
            edge = node.edges[operation.inputs.index(name)]
            tensors.append(edge if isinstance(edge, Tensor) and edge._array is value else _with_history(value, edge))
    return tuple(tensors)


def _with_history(array: Any, edge: Any) -> Tensor:
    tensor = wrap(array)
    if edge is not None and not isinstance(edge, Tensor) and array.dtype.kind not in "biu":
        tensor._node, tensor._output = edge if isinstance(edge, tuple) else (edge, 0)
        tensor._needs_grad = True
    return tensor


def _run_node_hooks(node: Node, grads: list[Any], grad: Any) -> list[Any]:
    outputs = grad if isinstance(grad, tuple) else tuple(grad.values()) if isinstance(grad, dict) else (grad,)

    def as_tensor(g: Any) -> Any:
        return g if g is None or isinstance(g, Tensor) else wrap(_as_array(g))

    for hook in list((node.node_hooks or {}).values()):
        replaced = hook(tuple(as_tensor(g) for g in grads), tuple(as_tensor(g) for g in outputs))
        if replaced is not None:
            raw = any(isinstance(g, Tensor) for g in outputs)
            grads = [g if raw or g is None else g._array for g in replaced]
    return grads


def _check_hook_result(replaced: Any, grad: Tensor) -> None:
    if not isinstance(replaced, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(replaced).__name__}'")
    if replaced.shape != grad.shape:
        raise RuntimeError(
            f"hook has changed the size of value: the gradient is {list(grad.shape)}, the hook gave {list(replaced.shape)}"
        )


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
