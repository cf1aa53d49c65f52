"""The recorded graph: hooks of saved values and of several gradients, edges as objects (PyTorch's names), and a viewer.

The viewer prints a graph, draws it, opens it in a browser, and says why a gradient is what it is:

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

from rushlight.autograd.graph.edges import (
    GradientEdge as GradientEdge,
    get_gradient_edge as get_gradient_edge,
    increment_version as increment_version,
)
from rushlight.autograd.graph.mutation import allow_mutation_on_saved_tensors as allow_mutation_on_saved_tensors
from rushlight.autograd.graph.several import register_multi_grad_hook as register_multi_grad_hook
from rushlight.autograd.graph.values import (
    disable_saved_tensors_hooks as disable_saved_tensors_hooks,
    save_on_cpu as save_on_cpu,
    saved_tensors_hooks as saved_tensors_hooks,
)
from rushlight.autograd.node import Node as Node

# The viewer's names and their modules here.
_LATER = {"Graph": "graph", "trace": "graph", "record": "recording", "why": "explain", "Answer": "explain"}


def __getattr__(name: str) -> Any:
    """The viewer, when first asked for."""
    if name in _LATER:
        from importlib import import_module

        globals()[name] = found = getattr(import_module(f"rushlight.autograd.graph.{_LATER[name]}"), name)
        return found
    raise AttributeError(f"module 'rushlight.autograd.graph' has no attribute {name!r}")
