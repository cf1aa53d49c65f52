"""What a node looks like in every picture: its lines of text, its size, its colour."""

from __future__ import annotations

from rushlight.autograd.graph.collect import GraphNode
from rushlight.autograd.graph.modules import attached_leaves
from rushlight.autograd.graph.text import human_bytes

CHARACTER, LINE, MARGIN = 6.6, 15.0, 10.0

# By the file of `rushlight/ops` that an operation is in: (fill, border).
COLOURS = {
    "leaf": ("#fdf3d7", "#c9a227"),
    "matmul": ("#dbe9fb", "#3d7bc4"),
    "conv": ("#dbe9fb", "#3d7bc4"),
    "linalg": ("#dbe9fb", "#3d7bc4"),
    "activation": ("#fde3d3", "#d9713a"),
    "normalization": ("#dcf1e3", "#3f9b68"),
    "reduce": ("#ece2f8", "#8659bd"),
    "loss": ("#f9dde5", "#c4486d"),
    "views": ("#eef0f3", "#98a1ad"),
    "index": ("#eef0f3", "#98a1ad"),
}
OTHER = ("#e2f1f4", "#4796a6")
BAD = "#d12f2f"


def colour_of(node: GraphNode) -> tuple[str, str]:
    """Fill and border of a node."""
    return COLOURS.get(node.family, OTHER)


def attached(nodes: list[GraphNode]) -> dict[int, list[GraphNode]]:
    """{operation: the leaves drawn in its box}."""
    found: dict[int, list[GraphNode]] = {}
    for leaf, user in attached_leaves(nodes).items():
        found.setdefault(user, []).append(nodes[leaf])
    return found


def lines_of(node: GraphNode, leaves: list[GraphNode]) -> list[str]:
    """The text in a node's box: what it is, its result, what it keeps, its gradient, and the leaves that go with it."""
    lines = [node.title, ", ".join(map(str, node.outputs))]
    arrived = next((g for g in node.gradients if g is not None), None)
    details = [f"saves {human_bytes(node.saved_bytes)}"] if node.saved_bytes else []
    if arrived is not None:
        details.append(f"|grad| {arrived.norm:.3g}" if arrived.state == "ok" else f"grad is {arrived.state}")
    if details:
        lines.append(", ".join(details))
    return lines + [f"{leaf.label} {leaf.outputs[0].shape}" for leaf in leaves]


def is_bad(node: GraphNode) -> bool:
    """Whether a gradient that arrived is NaN, infinite or all zeros."""
    return any(g is not None and g.state != "ok" for g in node.gradients)


def size_of_text(lines: list[str]) -> tuple[float, float]:
    return max(map(len, lines)) * CHARACTER + 2 * MARGIN, len(lines) * LINE + MARGIN
