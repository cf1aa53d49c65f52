"""The graph in Graphviz's language, for those who have it: `dot -Tpdf`. Modules are clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rushlight.autograd.graph.drawn import BAD, attached, colour_of, is_bad, lines_of
from rushlight.autograd.graph.layout import Group, tree_of

if TYPE_CHECKING:
    from rushlight.autograd.graph.graph import Graph


def dot(graph: Graph) -> str:
    """The source of a directed graph, from leaves to the loss."""
    leaves = attached(graph.nodes)
    hidden = {leaf.id for those in leaves.values() for leaf in those}
    lines = [
        "digraph autograd {",
        '  rankdir=TB; node [shape=box, style="filled,rounded", fontname="monospace", fontsize=10];',
    ]

    def write(group: Group, indent: str) -> None:
        for member in group.members:
            if isinstance(member, Group):
                lines.append(f"{indent}subgraph {quoted('cluster_' + '.'.join(member.path))} {{")
                lines.append(
                    f"{indent}  label={quoted(member.path[-1])}; fontname=monospace; fontsize=10; color=gray60;"
                )
                write(member, indent + "  ")
                lines.append(f"{indent}}}")
            else:
                node = graph.nodes[member]
                fill, border = colour_of(node)
                label = "\n".join(lines_of(node, leaves.get(member, [])))
                colours = f"fillcolor={quoted(fill)}, color={quoted(BAD if is_bad(node) else border)}"
                lines.append(f"{indent}n{member} [label={quoted(label)}, {colours}];")

    write(tree_of(graph.nodes, hidden), "  ")
    for node in graph.nodes:
        for source in dict.fromkeys(given.source for given in node.inputs):
            if source is not None and source not in hidden:
                lines.append(f"  n{source} -> n{node.id};")
    return "\n".join([*lines, "}"])


def quoted(text: str) -> str:
    """A string of the language: quotes and backslashes marked, line ends as \\n."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
