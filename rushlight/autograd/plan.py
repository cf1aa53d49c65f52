"""What the graph says before a walk: which edges lead to the wanted inputs, and who uses a leaf last.

Used by `engine.py`. Graphs may be a million nodes deep, so these are loops, not recursion.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from rushlight.autograd.node import Node

_by_serial = attrgetter("serial")


def masks_towards(starts: Iterable[Any], goals: set[Any], are_leaves: bool) -> dict[Node, tuple] | None:
    """For each node that leads from `starts` to a goal: its edges, with None in place of those that do not.

    Args:
        starts: nodes.
        goals: edges: leaves, nodes, or (node, number of the output).
        are_leaves: all of the goals.

    Returns:
        None if that would be all edges of all nodes, as when the inputs are all the parameters of a model.
    """
    nodes, seen, all_lead = list(starts), {None}, are_leaves
    seen.update(nodes, goals if are_leaves else ())
    for node in nodes:  # which grows
        for edge in node.edges:
            if edge in seen:
                continue
            if edge.__class__ is tuple:
                edge = edge[0]
                if edge in seen:
                    continue
            elif not isinstance(edge, Node):
                all_lead = False
                continue
            seen.add(edge)
            nodes.append(edge)
    if all_lead:
        return None
    masks: dict[Node, tuple] = {}
    for node in sorted(nodes, key=_by_serial):  # inputs before what was made of them
        leads = [
            edge is not None and (edge in goals or (edge[0] if edge.__class__ is tuple else edge) in masks)
            for edge in node.edges
        ]
        if all(leads):
            masks[node] = node.edges
        elif any(leads):
            masks[node] = tuple([edge if lead else None for edge, lead in zip(node.edges, leads, strict=True)])
    return masks


def reachable(starts: Iterable[Any], masks: dict[Node, tuple] | None) -> set[Any]:
    """All nodes and leaves that a walk from these edges comes to."""
    seen: set[Any] = set()
    stack = list(starts)
    while stack:
        edge = stack.pop()
        if edge.__class__ is tuple:
            edge = edge[0]
        if edge in seen:
            continue
        seen.add(edge)
        if isinstance(edge, Node):
            edges = edge.edges if masks is None else masks.get(edge, ())
            stack += [next_edge for next_edge in edges if next_edge is not None]
    return seen


def last_consumers(starts: Iterable[Node], masks: dict[Node, tuple] | None) -> dict[Any, Node]:
    """For each leaf that is still to get gradients, the node that sends it the last one."""
    last: dict[Any, Node] = {}
    for node in reachable(starts, masks):
        if isinstance(node, Node):
            for edge in node.edges if masks is None else masks.get(node, ()):
                if edge is None or edge.__class__ is tuple or isinstance(edge, Node):
                    continue
                if edge not in last or node.serial < last[edge].serial:
                    last[edge] = node
    return last
