"""The graph as one HTML page: to search, move about in, open and close, and read every node of. It loads nothing.

The data goes into the page as JSON; `page.js` draws it, with places by `layout.js`, and `panels.js` has the list and the details.
What a person types or names is only ever shown as text.
"""

from __future__ import annotations

import html
import json
import re
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from rushlight.autograd.graph.collect import GraphNode
from rushlight.autograd.graph.drawn import COLOURS, OTHER
from rushlight.autograd.graph.modules import attached_leaves
from rushlight.autograd.graph.sources import Source
from rushlight.autograd.graph.statistics import Statistics
from rushlight.autograd.graph.text import summary

if TYPE_CHECKING:
    from rushlight.autograd.graph.explain import Answer
    from rushlight.autograd.graph.graph import Graph

MANY_LEAVES = 500  # beyond, only leaves with bad gradients get an answer: each is a search of the graph


def page(graph: Graph, title: str) -> str:
    """The page, whole."""
    folder = files("rushlight.autograd.graph")
    text = json.dumps(data_of(graph, title), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    parts = {
        "title": html.escape(title),
        "css": folder.joinpath("page.css").read_text("utf-8"),
        "layout": folder.joinpath("layout.js").read_text("utf-8"),
        "picture": folder.joinpath("page.js").read_text("utf-8"),
        "panels": folder.joinpath("panels.js").read_text("utf-8"),
        "data": text.replace("<", "\\u003c"),  # so that nothing in it ends the script
    }
    return re.sub(r"@(\w+)@", lambda mark: parts[mark[1]], folder.joinpath("page.html").read_text("utf-8"))


def data_of(graph: Graph, title: str) -> dict[str, Any]:
    """What the page shows, as JSON has it."""
    sources: dict[Source, int] = {}
    nodes = [_node(node, sources) for node in graph.nodes]
    return {
        "title": title,
        "summary": summary(graph),
        "nodes": nodes,
        "attached": attached_leaves(graph.nodes),
        "sources": [{"file": s.file, "line": s.line, "code": s.code} for s in sources],
        "answers": _answers(graph),
        "missing": [
            {"name": name, "answer": _answer(graph.why(tensor))}
            for name, tensor in graph._named
            if name in graph.missing
        ],
        "colours": {**COLOURS, "other": OTHER},
    }


def _node(node: GraphNode, sources: dict[Source, int]) -> dict[str, Any]:
    from rushlight.autograd.graph.graph import search_fields

    def number_of(source: Source | None) -> int | None:
        return None if source is None else sources.setdefault(source, len(sources))

    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "label": node.label,
        "title": node.title,
        "op": node.op,
        "family": node.family,
        "module": node.module,
        "group": node.group,
        "text": str(node),
        "outputs": [str(value) for value in node.outputs],
        "inputs": [
            {
                "name": given.name, "source": given.source, "output": given.output, "value": str(given.value),
                "formula": number_of(given.formula), "gradient": _statistics(given.gradient),
            }
            for given in node.inputs
        ],
        "saved": [
            {
                "name": saved.name, "value": str(saved.value), "nbytes": saved.nbytes, "owner": saved.owner,
                "text": saved.text, "range": str(saved.statistics or ""),
            }
            for saved in node.saved
        ],
        "savedBytes": node.saved_bytes,
        "isFreed": node.is_freed,
        "attrs": node.attrs,
        "forward": number_of(node.forward),
        "lines": [{"file": x.file, "line": x.line, "function": x.function, "text": x.text} for x in node.lines],
        "gradients": [_statistics(gradient) for gradient in node.gradients],
        "search": search_fields(node),
    }  # fmt: skip


def _statistics(found: Statistics | None) -> dict[str, Any] | None:
    return None if found is None else {"norm": found.norm, "state": found.state, "text": str(found)}


def _answers(graph: Graph) -> dict[int, Any]:
    """For each leaf why its gradient is what it is, once gradients are known."""
    if not graph.has_gradients:
        return {}
    leaves = [(node, thing) for node, thing in zip(graph.nodes, graph._things, strict=True) if node.kind == "leaf"]
    if len(leaves) > MANY_LEAVES:
        leaves = [(node, thing) for node, thing in leaves if any(g is None or g.state != "ok" for g in node.gradients)]
    return {node.id: _answer(graph.why(thing)) for node, thing in leaves}


def _answer(answer: Answer) -> dict[str, Any]:
    return {
        "state": answer.state, "reason": answer.reason, "text": answer.text, "node": answer.node, "path": answer.path,
        "lines": [str(line) for line in answer.lines[:2]],
    }  # fmt: skip
