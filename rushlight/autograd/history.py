"""What a tensor remembers: where its gradient goes, the version of its memory, what it is a view of.

Tensors that share memory share a version cell, `[version, last write]`. A view knows its base and the view
operations that lead from the base to it. When memory is written to, only the base's history is rewritten; a
view finds its own anew from the base the next time it is asked, if the version has moved since.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any
from weakref import ref

from rushlight.autograd.modes import enable_grad, modes

# [version, (operation, file, line) of the last write or None], and behind that weak references to the views of
# memory that requires no gradient, should a write give it one.
Cell = list


@dataclass(slots=True)
class View:
    """Of a view: its base, the (operation, attributes) that lead to it, the version its node belongs to.

    `own` is for a view whose history is not that of its base, as a custom function's output: (name of the function, number
    of its output, why nothing may be written to the view).
    """

    base: Any
    steps: tuple[tuple[Any, dict[str, Any] | None], ...]
    seen: int
    own: tuple[str, int, str] | None = None


def cell_of(tensor: Any) -> Cell:
    """The version cell of a tensor's memory, made on first need."""
    cell = tensor._cell
    if cell is None:
        cell = tensor._cell = [0, None]
    return cell


def note_view(result: Any, source: Any, op: Any, attrs: dict[str, Any] | None) -> None:
    """Makes `result`, which shares the memory of `source`, a view of source's base."""
    cell = result._cell = cell_of(source)
    view, step = source._view, (op, attrs)
    if view is None:
        result._view = View(source, (step,), cell[0])
    else:
        result._view = View(view.base, (*view.steps, step), cell[0], view.own)
    if not source._needs_grad and modes.grad:
        if len(cell) > 8 and cell[-1]() is None:
            cell[2:] = [reference for reference in cell[2:] if reference() is not None]
        cell.append(ref(result))


def _require_of_views(base: Any) -> None:
    """Makes the views of a base that is about to require gradients require them too.

    buffer = zeros(4); view = buffer[1:]; buffer.mul_(w); view.sum().backward()
    """
    cell = cell_of(base)
    for reference in cell[2:]:
        tensor = reference()
        if tensor is not None and tensor._view.base is base:
            tensor._needs_grad, tensor._view.seen = True, -1
    del cell[2:]


def current_node(tensor: Any) -> Any:
    """The node that made a tensor's present value; None for a leaf."""
    view = tensor._view
    if view is not None and view.seen != tensor._cell[0]:
        if view.own is not None:
            name, number, why = view.own
            raise RuntimeError(
                f"Output {number} of {name} is a view and its base or another view of its base has been modified inplace. "
                f"{why}"
            )
        view.seen = tensor._cell[0]
        if view.base._needs_grad:
            with enable_grad():
                again = view.base
                for op, attrs in view.steps:
                    again = op.call(again, **(attrs or {}))
            _keep_retaining(tensor, again._node, again._output)
            tensor._node, tensor._output, tensor._needs_grad = again._node, again._output, True
    return tensor._node


def _keep_retaining(tensor: Any, node: Any, number: int) -> None:
    """`retain_grad` is of the tensor's present value: it moves to the node of that. Other hooks stay where they were."""
    before = tensor._node
    if before is None or before.extras is None or before is node:
        return
    reference = before.extras.retained.get(tensor._output)
    if reference is not None and reference() is tensor:
        del before.extras.retained[tensor._output]
        node.with_extras().retained[number] = reference


def edge_of(tensor: Any) -> Any:
    """Where the gradient of a tensor that requires one goes: a node, (node, output), or the leaf itself."""
    node = tensor._node if tensor._view is None else current_node(tensor)
    if node is None:
        return tensor
    return (node, tensor._output) if tensor._output else node


def note_write(tensor: Any, name: str) -> None:
    """Raises the version of a tensor's memory and keeps the user's line that wrote."""
    cell = tensor._cell
    if cell is None:  # nobody has saved or viewed this memory: no one will ask who wrote
        tensor._cell = [1, None]
        return
    cell[0] += 1
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("rushlight."):
        frame = frame.f_back
    cell[1] = (name, frame.f_code.co_filename, frame.f_lineno)


def rewrite(tensor: Any, edge: Any, scatter: Any) -> None:
    """After a write: sets a tensor's history, or its base's if it is a view.

    Args:
        edge: where the gradient of the tensor goes now: the node of what was written, or (node, number of the output).
        scatter: `scatter(base edge or None, edge, steps, base)` makes the node of a base whose part was replaced.
    """
    node, number = edge if edge.__class__ is tuple else (edge, 0)
    view = tensor._view
    base = tensor if view is None else view.base
    if not base._needs_grad:
        _require_of_views(base)
    if view is None:
        _keep_retaining(tensor, node, number)
        tensor._node, tensor._output, tensor._needs_grad = node, number, True
        return
    changed = scatter(edge_of(base) if base._needs_grad else None, edge, view.steps, base)
    _keep_retaining(base, changed, 0)
    base._node, base._output = changed, 0
    base._needs_grad = tensor._needs_grad = True
    view.seen = -1
