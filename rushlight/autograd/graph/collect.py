"""`Graph`: what autograd recorded behind a tensor, as plain data that can be shown, searched and asked.

The walk reads nodes and changes nothing. What a node itself does not know (module, forward line, exact shape of the
result) comes from `record` where it was on, or is derived: shapes by running the operation on arrays without data
(`shapes.py`), modules from the parameters around an operation (`modules.py`). Nothing here adds to what recording costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rushlight.autograd.graph.sources import Source, source_of
from rushlight.autograd.graph.statistics import Statistics, dtype_name, statistics_of
from rushlight.tensor import Tensor

Shape = tuple[int, ...]


@dataclass(slots=True)
class Value:
    """The shape and dtype of an input or a result, as far as they are known."""

    shape: Shape | None = None
    dtype: str | None = None

    def __str__(self) -> str:
        if self.shape is None:
            return "?"
        return f"{self.dtype} {self.shape}" if self.dtype else str(self.shape)


@dataclass(slots=True)
class Input:
    """An input of an operation.

    Attributes:
        source, output: number of the node it comes from, None if it needed no gradient; which of that node's results.
        formula: the derivative with regard to it; None if the operation has none.
        gradient: of what the operation sent to this input in `Graph.backward`.
        zero_at: the saved value that is 0 wherever this gradient is not finite, though the one that arrived is.
    """

    name: str
    source: int | None
    output: int
    value: Value
    formula: Source | None = None
    gradient: Statistics | None = None
    zero_at: str = ""


@dataclass(slots=True)
class Saved:
    """A value that a node keeps for its derivative; `owner` is the leaf or the earlier node whose memory it is."""

    name: str
    value: Value
    nbytes: int
    statistics: Statistics | None = None
    owner: str | None = None
    text: str = ""


@dataclass(slots=True)
class Line:
    """A line of the forward pass."""

    file: str
    line: int
    function: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line} in {self.function}: {self.text}"


@dataclass(slots=True)
class GraphNode:
    """A recorded operation, or a leaf.

    Attributes:
        id: its place in `Graph.nodes`; inputs come before what was made of them.
        kind: "operation" or "leaf".
        name: of an operation as PyTorch shows it (`SoftmaxBackward0`); of a leaf that of the parameter or variable.
        op, family: the operation, and the file of `rushlight/ops` that has it.
        module: the path of the module it belongs to; "" is the model itself.
        group: that path in parts, long runs of operations cut into pieces.
        outputs: shapes and dtypes of the results.
        is_freed: whether a backward pass has let go of what was saved.
        lines: of the forward pass, the user's innermost line first; needs `record`.
        bad_output: "nan" or "inf" if the result has some, "" if it has none; None if `record` has not seen it.
        gradients: what arrived at each result in `Graph.backward`.
    """

    id: int
    kind: str
    name: str
    op: str
    family: str = ""
    module: str = ""
    group: tuple[str, ...] = ()
    inputs: list[Input] = field(default_factory=list)
    outputs: list[Value] = field(default_factory=list)
    saved: list[Saved] = field(default_factory=list)
    attrs: dict[str, str] = field(default_factory=dict)
    forward: Source | None = None
    lines: list[Line] = field(default_factory=list)
    is_freed: bool = False
    has_hooks: bool = False
    is_parameter: bool = False
    bad_output: str | None = None
    gradients: list[Statistics | None] = field(default_factory=list)

    @property
    def saved_bytes(self) -> int:
        """The bytes of what this node keeps, shared memory included."""
        return sum(saved.nbytes for saved in self.saved)

    @property
    def label(self) -> str:
        """How a reader calls it: the operation, or the leaf's name within its module."""
        return self.op if self.kind == "operation" else self.name.rsplit(".", 1)[-1]

    @property
    def title(self) -> str:
        """The label, behind the name of a module that has no other operation: `norm1: layer_norm`."""
        own = self.module.rpartition(".")[2]
        is_alone = self.kind == "operation" and own and own not in ".".join(self.group).split(".")
        return f"{own}: {self.op}" if is_alone else self.label

    def __str__(self) -> str:
        where = f" in {self.module}" if self.module and self.kind == "operation" else ""
        what = f"{self.name}" if self.kind == "operation" else f"leaf {self.name}"
        return f"#{self.id} {what}, {self.outputs[0] if self.outputs else '?'}{where}"


def collect(roots: list[Tensor]) -> tuple[list[GraphNode], list[Any], list[int]]:
    """The nodes behind some tensors, what each stands for (a recorded node or a leaf), and the roots' numbers."""
    order = _in_order([_function_of(root) for root in roots])
    numbers = {_key(thing): i for i, thing in enumerate(order)}
    nodes = []
    for thing in order:
        if isinstance(thing, Tensor):
            nodes.append(_leaf(len(nodes), thing))
        else:
            nodes.append(_operation(len(nodes), thing, numbers))
    _find_owners(nodes, order)
    return nodes, order, [numbers[_key(_function_of(root))] for root in roots]


def _function_of(tensor: Tensor) -> Any:
    """What stands for a tensor in the graph: the node that made it, or a leaf itself."""
    node = tensor.grad_fn
    return tensor if node is None else node


def _key(thing: Any) -> int:
    return id(thing)


def next_of(node: Any) -> list[tuple[Any, int]]:
    """For each input (node or leaf or None, number of its output)."""
    return [edge if isinstance(edge, tuple) else (edge, 0) for edge in node.edges]


def _in_order(roots: list[Any]) -> list[Any]:
    """Everything reachable: operations as recorded, each leaf before its first use."""
    seen: dict[int, Any] = {}
    stack = list(roots)
    while stack:
        thing = stack.pop()
        if thing is None or _key(thing) in seen:
            continue
        seen[_key(thing)] = thing
        if not isinstance(thing, Tensor):
            stack.extend(source for source, _ in next_of(thing))
    order, placed = [], set()
    for node in sorted((x for x in seen.values() if not isinstance(x, Tensor)), key=lambda x: x.serial):
        for source, _ in next_of(node):
            if isinstance(source, Tensor) and _key(source) not in placed:
                placed.add(_key(source))
                order.append(source)
        order.append(node)
    return order or list(seen.values())


# ---------------------------------------------------------------- one node


def _leaf(number: int, tensor: Tensor) -> GraphNode:
    return GraphNode(
        number, "leaf", f"leaf {number}", "leaf", "leaf", outputs=[value_of(tensor._array)],
        has_hooks=tensor._hooks is not None, is_parameter=type(tensor).__name__ == "Parameter",
    )  # fmt: skip


def _operation(number: int, node: Any, numbers: dict[int, int]) -> GraphNode:
    op = getattr(node, "op", None)
    function = getattr(op, "function", None)
    sources = next_of(node)
    attrs = getattr(node, "attrs", None)
    return GraphNode(
        number,
        "operation",
        node.name(),
        _operation_name(node, op),
        (getattr(function, "__module__", None) or "own").rpartition(".")[2],
        inputs=[
            Input(
                _input_name(op, i),
                None if source is None else numbers[_key(source)],
                output,
                _input_value(node, op, i),
                None if source is None else source_of(_formula(node, op, i)),
            )
            for i, (source, output) in enumerate(sources)
        ],
        outputs=_outputs(node, op),
        saved=[_saved(name, value) for name, value in kept_by(node)],
        attrs={k: _short(v) for k, v in attrs.items()} if isinstance(attrs, dict) else {},
        forward=source_of(function),
        is_freed=getattr(node, "saved", ()) is None,
        has_hooks=has_hooks(node),
    )


def _operation_name(node: Any, op: Any) -> str:
    name = getattr(op, "name", None)
    return name if isinstance(name, str) else node.name().removesuffix("Backward0").removesuffix("Backward")


def _outputs(node: Any, op: Any) -> list[Value]:
    """The results, so far as the node itself tells: a user's `autograd.Function` notes their shapes."""
    kinds = getattr(node, "results", None) or [None] * len(getattr(op, "outputs", ("out",)))
    return [Value() if kind is None else Value(tuple(kind[0]), dtype_name(kind[1])) for kind in kinds]


def has_hooks(node: Any) -> bool:
    """Whether somebody registered a hook on a node or on what it made."""
    extras = node.extras
    return extras is not None and bool(extras.tensors or extras.before or extras.after)


def _input_name(op: Any, number: int) -> str:
    names = getattr(op, "inputs", ())
    if number < len(names):
        return names[number]
    variadic = getattr(op, "variadic", None)
    return f"{variadic or 'input'}[{number - len(names)}]"


def _formula(node: Any, op: Any, number: int) -> Any:
    """The function that gives the derivative with regard to an input."""
    joint = getattr(op, "joint", None)
    if joint is not None:
        return joint.function
    formulas = getattr(op, "formulas", None)
    if formulas is not None:
        formula = formulas[number] if number < len(formulas) else None
        return None if formula is None else formula.function
    own = getattr(getattr(node, "ctx", None), "_forward_cls", None)  # a user's autograd.Function
    return getattr(own, "backward", None) or getattr(op, "differentiate", None)


def has_formula(node: Any, number: int) -> bool:
    """Whether an operation passes a gradient on to an input at all."""
    return _formula(node, getattr(node, "op", None), number) is not None


def _input_value(node: Any, op: Any, number: int) -> Value:
    shapes = getattr(node, "shapes", None)
    if shapes and number < len(shapes):
        shape, dtype = shapes[number] or (None, None)
        if shape is None:
            return Value()
        return Value(tuple(shape), None if dtype is None else dtype_name(dtype))
    kept = saved_input(node, op, number)
    return value_of(kept)


def saved_input(node: Any, op: Any, number: int) -> Any:
    """What a node kept of its input, or None."""
    names, saved = getattr(op, "saved_names", ()), getattr(node, "saved", None)
    name = _input_name(op, number)
    if isinstance(saved, tuple) and name in names and len(saved) == len(names):
        return _array_in(saved[names.index(name)])
    return None


def kept_by(node: Any) -> list[tuple[str, Any]]:
    """(name, array or other value) for everything that a node keeps for its derivative."""
    names, saved = getattr(getattr(node, "op", None), "saved_names", ()), getattr(node, "saved", None)
    own = getattr(getattr(node, "ctx", None), "_kept", None) or ()  # of a user's autograd.Function
    found = []
    for i, value in enumerate((*(saved or ()), *own)):
        name = names[i] if i < len(names) else f"saved {i}"
        if isinstance(value, tuple):
            found += [(f"{name}[{j}]", part) for j, part in enumerate(value)]
        else:
            found.append((name, value))
    return [(name, _array_in(value)) for name, value in found if value is not None]


def _array_in(value: Any) -> Any:
    """The array of a tensor, of what a hook packed (`.value`), or of what a user's Function holds (`.held`)."""
    for place in ("held", "value", "_array"):
        value = getattr(value, place, value)
    return value


def _saved(name: str, value: Any) -> Saved:
    if hasattr(value, "dtype"):
        return Saved(name, value_of(value), getattr(value, "nbytes", 0), statistics_of(value))
    return Saved(name, Value(), 0, text=_short(value))


def value_of(array: Any) -> Value:
    """The shape and dtype of an array, a tensor or a Python number."""
    array = _array_in(array)
    if hasattr(array, "dtype"):
        return Value(tuple(array.shape), dtype_name(array.dtype))
    return Value((), None) if isinstance(array, (int, float, complex)) else Value()


def _short(value: Any, limit: int = 80) -> str:
    if isinstance(value, (Tensor, np.ndarray)):
        return f"tensor {value_of(value)}"
    text = getattr(value, "__name__", None) or repr(value)
    if " object at 0x" in text:
        text = f"<{type(value).__name__}>"
    return text if len(text) <= limit else text[: limit - 3] + "..."


# ---------------------------------------------------------------- whose memory is it?


def _find_owners(nodes: list[GraphNode], things: list[Any]) -> None:
    """Says of saved values whose memory is counted elsewhere: a leaf's, or what an earlier node saved."""
    owners = {memory_of(thing._array): "leaf" for thing in things if isinstance(thing, Tensor)}
    for node, thing in zip(nodes, things, strict=True):
        if isinstance(thing, Tensor):
            continue
        for saved, (_, array) in zip(node.saved, kept_by(thing), strict=True):
            if hasattr(array, "dtype"):
                saved.owner = owners.get(memory_of(array))
                owners.setdefault(memory_of(array), f"#{node.id}")


def memory_of(array: Any) -> int:
    """What identifies the memory behind an array, views of it included."""
    while isinstance(getattr(array, "base", None), np.ndarray):
        array = array.base
    return id(array)
