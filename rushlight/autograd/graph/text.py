"""The graph as text: one operation a line, in the order of the forward pass, under the path of its module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rushlight.autograd.graph.collect import GraphNode, Input

if TYPE_CHECKING:
    from rushlight.autograd.graph.graph import Graph


def text(graph: Graph) -> str:
    """A listing: number, operation, result, bytes saved, gradient if known, inputs."""
    rows: list[tuple[str, list[str]]] = []
    for node in graph.nodes:
        if node.kind == "operation":
            rows.append((node.module, _row(graph, node)))
    widths = [max((len(row[i]) for _, row in rows), default=0) for i in range(5)]
    lines, module = [summary(graph)], ""
    for path, row in rows:
        if path != module:
            lines.append(path or "(model)")
            module = path
        number, op, value, size, gradient, inputs = row
        cells = [number.rjust(max(4, widths[0])), op.ljust(widths[1]), value.ljust(widths[2]), size.rjust(widths[3])]
        if graph.has_gradients:
            cells.append(gradient.ljust(widths[4]))
        lines.append("  ".join([*cells, inputs]).rstrip())
    if not rows:
        lines += [f"   leaf {node.name}  {node.outputs[0]}" for node in graph.nodes]
    if graph.missing:
        lines.append(f"not in the graph: {', '.join(graph.missing)}")
    return "\n".join(lines)


def summary(graph: Graph) -> str:
    """One line: how many nodes, how much memory."""
    leaves = sum(node.kind == "leaf" for node in graph.nodes)
    operations = len(graph.nodes) - leaves
    freed = " (freed by a backward pass)" if any(node.is_freed for node in graph.nodes) else ""
    return (
        f"{operations} operation{'s' * (operations != 1)}, {leaves} lea{'ves' if leaves != 1 else 'f'}; "
        f"saved for backward: {human_bytes(graph.saved_bytes)}{freed}"
    )


def _row(graph: Graph, node: GraphNode) -> list[str]:
    arrived = next((g for g in node.gradients if g is not None), None)
    gradient = "" if arrived is None else f"|g| {arrived.norm:.3g}" if arrived.state == "ok" else f"g {arrived.state}"
    value = ", ".join(map(str, node.outputs))
    inputs = ", ".join(_input(graph, node, given) for given in node.inputs)
    return [str(node.id), node.op, value, human_bytes(node.saved_bytes), gradient, inputs]


def _input(graph: Graph, node: GraphNode, given: Input) -> str:
    if given.source is None:
        return "const"
    source = graph.nodes[given.source]
    name = f"#{source.id}"
    if source.kind == "leaf":
        name = source.label if source.module == node.module else source.name
    return f"{name}.{given.output}" if given.output else name


def human_bytes(count: float) -> str:
    """A number of bytes as a person reads it: 512 B, 1.5 kB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
