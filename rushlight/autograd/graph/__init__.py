"""Seeing the recorded graph: print it, draw it, explore it in a browser, ask why a gradient is what it is.

    from rushlight.autograd import graph

    with graph.record():                        # if you want lines and modules
        loss = model(x).square().mean()
    picture = graph.trace(loss, model)
    print(picture)                              # text; also .dot(), .svg(), .html()
    picture.backward()                          # loss.backward(), with every gradient's norm noted
    picture.save("graph.html")                  # one page, no network
    print(graph.why(model.layer.weight, loss))  # why is this gradient None, NaN or zero?

Path of a graph: `collect.py` reads nodes into plain data, `shapes.py`, `modules.py` and `recording.py` add what nodes do not know,
`graph.py` holds it; `text.py`, `dot.py`, `svg.py` (places by `layout.py`) and `page.py` show it, `explain.py` answers.
"""

from typing import Any

_HOMES = {
    "Graph": "graph",
    "trace": "graph",
    "record": "recording",
    "why": "explain",
    "Answer": "explain",
}


def __getattr__(name: str) -> Any:
    """The viewer, when first asked for."""
    if name in _HOMES:
        from importlib import import_module

        globals()[name] = found = getattr(import_module(f"rushlight.autograd.graph.{_HOMES[name]}"), name)
        return found
    raise AttributeError(f"module 'rushlight.autograd.graph' has no attribute {name!r}")
