"""`Graph`, what `trace` gives: a picture of the recorded graph, to print, draw, search, differentiate and ask."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rushlight.autograd.graph import modules, shapes
from rushlight.autograd.graph.collect import GraphNode, Input, Value, collect, kept_by, memory_of, value_of
from rushlight.autograd.graph.recording import Note, latest_record, lines_of_traceback
from rushlight.autograd.graph.statistics import statistics_of
from rushlight.tensor import Tensor

WRITERS = {".html": "html", ".htm": "html", ".svg": "svg", ".dot": "dot", ".gv": "dot", ".txt": "text"}


def trace(loss: Any, names: Any = None) -> Graph:
    """The graph that autograd recorded behind a tensor.

    Args:
        loss: a tensor that requires gradients, or several.
        names: where names for leaves and modules come from: a module, or a dict of tensors. Without it leaves are called as
            the caller's variables are, and modules are known if the forward pass ran inside `record`.

    Returns:
        A `Graph`. It keeps the recorded graph alive, as the tensor itself does.

    Raises:
        TypeError: `loss` is no tensor, or `names` is neither a module nor a dict.
        RuntimeError: `loss` has no history.

    Example:
        >>> import rushlight as torch
        >>> from rushlight.autograd import graph
        >>> w, x = torch.ones(3, requires_grad=True), torch.arange(3.0)
        >>> loss = (w * x).sum()
        >>> print(graph.trace(loss))
        2 operations, 1 leaf; saved for backward: 12 B
           1  mul  float32 (3,)  12 B  w, const
           2  sum  float32 ()     0 B  #1
    """
    roots = [loss] if isinstance(loss, Tensor) else list(loss)
    for root in roots:
        if not isinstance(root, Tensor):
            raise TypeError(f"graph.trace(): loss must be a Tensor or several, not {type(root).__name__}")
        if not root._needs_grad:
            raise RuntimeError(
                "graph.trace(): the tensor does not require grad and does not have a grad_fn "
                f"({value_of(root)}); graph.why(w, loss) says why"
            )
    return Graph(roots, names, caller_names(sys._getframe(1)))


def caller_names(frame: Any) -> dict[int, str]:
    """The names of the tensors among the variables of a frame."""
    variables = frame.f_locals
    names = {id(x): name for name, x in frame.f_globals.items() if isinstance(x, Tensor)}
    names.update((id(x), name) for name, x in variables.items() if isinstance(x, Tensor))
    if sys.version_info < (3, 13) and frame.f_code.co_flags & inspect.CO_OPTIMIZED:
        variables.clear()  # a copy that the frame keeps: it would hold tensors that its function deletes
    return {key: name for key, name in names.items() if not name.startswith("_")}


class Graph:
    """A recorded graph as plain data; made by `trace`.

    Attributes:
        nodes: a `GraphNode` for each operation and leaf, inputs before what was made of them.
        roots: the numbers of the traced tensors' nodes.
        saved_bytes: the memory that is kept for backward and would else be free; shared memory counts once, leaves' does not.
        missing: names of the named tensors that require gradients and are not in the graph.
    """

    def __init__(self, roots: list[Tensor], names: Any = None, variables: dict[int, str] | None = None):
        self._tensors, self._named = roots, modules.named_tensors(names)
        self.nodes, self._things, self.roots = collect(roots)
        for number, root in zip(self.roots, roots, strict=True):
            self._set_output(number, root._output, value_of(root))
        record = latest_record()
        recorded = record.names() if record else {}
        known = {id(tensor): name for name, tensor in self._named}
        self.names = {**(variables or {}), **recorded, **known}
        parameters = set() if isinstance(names, Mapping) else set(known)
        parameters.update(recorded)
        for node, thing in zip(self.nodes, self._things, strict=True):
            node.is_parameter |= id(thing) in parameters
        modules.name_leaves(self.nodes, self._things, self.names)
        modules.infer_modules(self.nodes, self._take_notes(record.notes if record else {}))
        modules.set_groups(self.nodes)
        shapes.infer_shapes(self.nodes, self._things)
        self.saved_bytes = self._count_saved()
        self.has_gradients = False
        present = {id(thing) for thing in self._things}
        self.missing = [name for name, tensor in self._named if id(tensor) not in present]

    def _set_output(self, number: int, output: int, value: Value) -> None:
        outputs = self.nodes[number].outputs
        while len(outputs) <= output:
            outputs.append(Value())
        shapes.fill(outputs[output], value)

    def _take_notes(self, notes: dict[int, Note]) -> set[int]:
        """Adds what `record` saw to the nodes; gives the numbers of those it saw."""
        found = set()
        for node, thing in zip(self.nodes, self._things, strict=True):
            note = notes.get(getattr(thing, "serial", -1))
            if note is None:
                node.lines = lines_of_traceback(thing)
            else:
                found.add(node.id)
                node.lines, node.module, node.bad_output = note.lines, note.module, note.bad
                if len(node.outputs) == 1:
                    shapes.fill(node.outputs[0], note.value)
        return found

    def _count_saved(self) -> int:
        free = {memory_of(thing._array) for thing in self._things if isinstance(thing, Tensor)}
        total = 0
        for thing in self._things:
            for _, array in [] if isinstance(thing, Tensor) else kept_by(thing):
                if hasattr(array, "dtype") and memory_of(array) not in free:
                    free.add(memory_of(array))
                    total += _owner(array).nbytes
        return total

    # ------------------------------------------------------------ finding

    def find(self, query: str) -> list[GraphNode]:
        """The nodes in which all words of a query occur: in operation, name, module, shape, formula or line.

        Operations of exactly that name come first, then names and modules that have the words, then formulas and lines.

        Example:
            >>> import rushlight as torch
            >>> from rushlight.autograd import graph
            >>> x = torch.ones(3, requires_grad=True)
            >>> [node.name for node in graph.trace(x.softmax(0).sum()).find("softmax")]
            ['SoftmaxBackward0']
        """
        words = query.lower().split()
        ranked = []
        for node in self.nodes:
            fields = search_fields(node)
            if words and all(any(word in text for text in fields) for word in words):
                rank = min(i for i, text in enumerate(fields) if any(word in text for word in words))
                ranked.append((0 if fields[0] in words else rank + 1, node.id, node))
        return [node for *_, node in sorted(ranked, key=lambda entry: entry[:2])]

    def number_of(self, tensor: Tensor) -> int | None:
        """The number of the node that stands for a tensor: the operation that made it, or the leaf; None if not here."""
        thing = tensor if tensor.grad_fn is None else tensor.grad_fn
        return next((i for i, known in enumerate(self._things) if known is thing), None)

    # ------------------------------------------------------------ gradients

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """`loss.backward(...)`, which also notes norm, extremes, zeros and NaNs of every gradient on its way.

        Example:
            >>> import rushlight as torch
            >>> from rushlight.autograd import graph
            >>> w = torch.ones(4, requires_grad=True)
            >>> picture = graph.trace((w * 2).sum())
            >>> picture.backward()
            >>> picture.find("w")[0].gradients[0].norm
            4.0
        """
        from rushlight.autograd.gradients import backward

        with self._watched():
            backward(self._tensors, gradient, retain_graph, create_graph, inputs=inputs)
        for node, thing in zip(self.nodes, self._things, strict=True):
            node.is_freed = getattr(thing, "saved", ()) is None

    def probe(self, gradient: Any = None) -> None:
        """Notes the gradients as `backward` does, leaves every `.grad` alone, and keeps the graph. Hooks run.

        A tensor of several elements is weighted with ones unless `gradient` says otherwise.
        """
        from rushlight.autograd.gradients import grad
        from rushlight.ops.create import ones_like

        leaves = [thing for thing in self._things if isinstance(thing, Tensor)]
        weights = [ones_like(root) for root in self._tensors] if gradient is None else gradient
        with self._watched(), _without_retained_grads(self._things):
            grad(self._tensors, leaves, weights, retain_graph=True, allow_unused=True)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Hooks that note the gradients of one backward pass."""
        for node in self.nodes:
            node.gradients = []
            for given in node.inputs:
                given.gradient, given.zero_at = None, ""
        handles = [self._watch(node, thing) for node, thing in zip(self.nodes, self._things, strict=True)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
        self.has_gradients = True
        shapes.infer_shapes(self.nodes, self._things)

    def _watch(self, node: GraphNode, thing: Any) -> Any:
        def at_leaf(grad: Any) -> None:
            node.gradients = [statistics_of(grad)]

        kept = [] if isinstance(thing, Tensor) else kept_by(thing)  # after the derivative the node has let go of it

        def at_node(to_inputs: Any, arrived: Any) -> None:
            node.gradients = [None if grad is None else statistics_of(grad) for grad in arrived]
            for given, grad in zip(node.inputs, to_inputs, strict=False):
                given.gradient = None if grad is None else statistics_of(grad)
                if _becomes_bad(node, given):
                    given.zero_at = next((name for name, value in kept if _is_zero_where_bad(value, grad)), "")
            kept.clear()
            if len(arrived) == len(node.outputs):
                for value, grad in zip(node.outputs, arrived, strict=True):
                    if grad is not None:
                        shapes.fill(value, value_of(grad))

        return thing.register_hook(at_leaf if isinstance(thing, Tensor) else at_node)

    def why(self, tensor: Tensor) -> Any:
        """Why the gradient of a tensor is missing, NaN, infinite or zero: see `rushlight.autograd.graph.why`."""
        from rushlight.autograd.graph.explain import explain

        return explain(self, tensor)

    # ------------------------------------------------------------ showing

    def text(self) -> str:
        """The graph as a listing for a terminal, in the order of the forward pass."""
        from rushlight.autograd.graph.text import text

        return text(self)

    __str__ = text

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes>"

    def dot(self) -> str:
        """The graph in Graphviz's language."""
        from rushlight.autograd.graph.dot import dot

        return dot(self)

    def svg(self, depth: int | None = None) -> str:
        """The graph as a picture; `depth` is how many levels of modules are opened (all)."""
        from rushlight.autograd.graph.svg import svg

        return svg(self, depth)

    _repr_svg_ = svg

    def html(self, title: str = "autograd graph") -> str:
        """The graph as one page to explore in a browser, without network."""
        from rushlight.autograd.graph.page import page

        return page(self, title)

    def save(self, path: Any) -> None:
        """Writes the graph to a file: a page, picture, Graphviz source or text by its suffix (.html, .svg, .dot, .txt).

        Raises:
            ValueError: another suffix.
        """
        path = Path(path)
        kind = WRITERS.get(path.suffix.lower())
        if kind is None:
            raise ValueError(f"graph.save(): no such kind of picture: {path.name!r} (have {', '.join(WRITERS)})")
        path.write_text(getattr(self, kind)(), encoding="utf-8")

    def open(self) -> str:
        """Opens the page in the web browser; gives the name of the temporary file."""
        import tempfile
        import webbrowser

        with tempfile.NamedTemporaryFile("w", suffix=".html", prefix="graph-", delete=False, encoding="utf-8") as file:
            file.write(self.html())
        webbrowser.open(Path(file.name).as_uri())
        return file.name


def search_fields(node: GraphNode) -> list[str]:
    """What a search looks at, the most telling first."""
    codes = [given.formula.code for given in node.inputs if given.formula]
    return [
        part.lower()
        for part in (
            node.op if node.kind == "operation" else node.label,
            node.name,
            node.module,
            " ".join(map(str, node.outputs)),
            " ".join([*codes, node.forward.code if node.forward else ""]),
            " ".join(f"{line.file}:{line.line} {line.function} {line.text}" for line in node.lines),
        )
    ]


def _becomes_bad(node: GraphNode, given: Input) -> bool:
    """Whether finite gradients arrived at a node and it sent one that is not to an input."""
    return (
        given.gradient is not None
        and given.gradient.state in ("nan", "inf")
        and all(g is None or g.state in ("ok", "zero") for g in node.gradients)
    )


def _is_zero_where_bad(value: Any, grad: Tensor) -> bool:
    """Whether a saved array is 0 wherever a gradient is not finite."""
    array, gradient = value, grad._array
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fc" or array.ndim > gradient.ndim:
        return False
    try:
        spread = np.broadcast_to(array, gradient.shape)
    except ValueError:
        return False
    return not np.any(spread[~np.isfinite(gradient)])


def _owner(array: Any) -> Any:
    """The array that owns an array's memory: all of it is kept alive by a view."""
    while hasattr(getattr(array, "base", None), "nbytes") and hasattr(array.base, "dtype"):
        array = array.base
    return array


@contextmanager
def _without_retained_grads(things: list[Any]) -> Iterator[None]:
    """Takes out what `Tensor.retain_grad` left at nodes: a probing pass must not add to any `.grad`."""
    taken = []
    for thing in things:
        extras = None if isinstance(thing, Tensor) else thing.extras
        if extras is not None and extras.retained:
            taken.append((extras, extras.retained))
            extras.retained = {}
    try:
        yield
    finally:
        for extras, retained in taken:
            extras.retained = retained
