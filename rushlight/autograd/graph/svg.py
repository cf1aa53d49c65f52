"""The graph as a picture: boxes for operations, frames for modules, time from top to bottom."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from rushlight.autograd.graph.drawn import BAD, LINE, MARGIN, attached, colour_of, is_bad, lines_of, size_of_text
from rushlight.autograd.graph.layout import Box, Group, lay_out, tree_of
from rushlight.autograd.graph.text import summary

if TYPE_CHECKING:
    from rushlight.autograd.graph.graph import Graph

FONT = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace"
ALL = 1000


def svg(graph: Graph, depth: int | None = None) -> str:
    """A picture that needs nothing else: `depth` is how many levels of modules are opened (all)."""
    leaves = attached(graph.nodes)
    hidden = {leaf.id for those in leaves.values() for leaf in those}
    tree = tree_of(graph.nodes, hidden)
    groups = {group.path: group for group in _groups(tree)}
    texts = {node.id: lines_of(node, leaves.get(node.id, [])) for node in graph.nodes}

    def size_of(item: Any) -> tuple[float, float]:
        return size_of_text(_group_lines(item) if isinstance(item, Group) else texts[item])

    drawing = lay_out(
        tree, graph.nodes, hidden, size_of, lambda group: len(group.path) <= (ALL if depth is None else depth)
    )
    width, height = drawing.width, drawing.height
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
            f'height="{height:.0f}" font-family="{FONT}" font-size="11">'
        ),
        f"<title>{escape(summary(graph))}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    parts += [_frame(box) for box in drawing.boxes if box.is_open]
    parts += [
        f'<path d="{curve(points)}" fill="none" stroke="#8a94a3" stroke-width="1.2"/>' for points in drawing.lines
    ]
    for box in drawing.boxes:
        if isinstance(box.item, tuple):
            if not box.is_open:
                parts.append(_box(box, _group_lines(groups[box.item]), "#f5f6f8", "#5b6675", ".".join(box.item)))
        else:
            node = graph.nodes[box.item]
            fill, border = colour_of(node)
            parts.append(_box(box, texts[node.id], fill, BAD if is_bad(node) else border, str(node)))
    return "\n".join([*parts, "</svg>"])


def _groups(tree: Group) -> list[Group]:
    found = [tree]
    for group in found:
        found += [member for member in group.members if isinstance(member, Group)]
    return found


def _group_lines(group: Group) -> list[str]:
    return [group.path[-1], f"{group.size} operation{'s' * (group.size != 1)}"]


def _frame(box: Box) -> str:
    return (
        f'<g class="group"><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="9" '
        f'fill="#5b6675" fill-opacity="0.05" stroke="#5b6675" stroke-opacity="0.35"/>'
        f'<text x="{box.x + MARGIN:.1f}" y="{box.y + LINE:.1f}" fill="#5b6675" font-weight="600">{escape(box.item[-1])}</text></g>'
    )


def _box(box: Box, lines: list[str], fill: str, border: str, title: str) -> str:
    middle = box.x + box.width / 2
    rows = []
    for i, line in enumerate(lines):
        style = 'font-weight="700" fill="#1d2530"' if i == 0 else 'fill="#4b5563"'
        rows.append(
            f'<text x="{middle:.1f}" y="{box.y + MARGIN / 2 + LINE * (i + 0.75):.1f}" text-anchor="middle" {style}>{escape(line)}</text>'
        )
    return (
        f'<g class="node"><title>{escape(title)}</title><rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="6" fill="{fill}" stroke="{border}" stroke-width="1.3"/>{"".join(rows)}</g>'
    )


def curve(points: list[tuple[float, float]]) -> str:
    """A line through points that leaves and enters each layer straight down."""
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x, y), (to_x, to_y) in itertools.pairwise(points):
        if abs(x - to_x) < 0.5:
            path.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            half = (y + to_y) / 2
            path.append(f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}")
    return "".join(path)
