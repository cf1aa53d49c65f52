"""Values that nodes keep: hooks that pack them away, and the names under which PyTorch shows them.

`saved_tensors_hooks` (in `graph/`) says what is to happen to a value when it is saved and when it is needed: it may go to
a file, or be computed again. While such hooks are in force operations take the long path (`ops.observers`), so
that otherwise nobody asks.
"""

from __future__ import annotations

from typing import Any

from rushlight.autograd.modes import modes

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have "
    "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
    "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time "
    "or if you need to access saved tensors after calling backward."
)


class Packed:
    """What stands in `Node.saved` for an array that a hook has packed."""

    __slots__ = ("value", "unpack")

    def __init__(self, array: Any, pack: Any, unpack: Any, cell: list[Any] | None = None):
        self.value, self.unpack = packed_value(array, pack, cell), unpack

    def array(self) -> Any:
        return self.tensor()._array

    def tensor(self) -> Any:
        return unpacked_value(self.value, self.unpack)


def packed_value(array: Any, pack: Any, cell: list[Any] | None = None) -> Any:
    """What a pack hook makes of an array; it sees a tensor that needs no gradient."""
    from rushlight.tensor import wrap

    tensor = wrap(array)
    tensor._cell = [0, None] if cell is None else cell
    version, before = tensor._cell[0], modes.grad
    modes.grad = False
    try:
        value = pack(tensor)
    finally:
        modes.grad = before
    if tensor._cell[0] != version:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not "
            "be modified by in-place operations as this can lead to unexpected side-effects. Please open an issue if you "
            "need to perform in-place operations on the input to a pack hook."
        )
    return value


def unpacked_value(value: Any, unpack: Any) -> Any:
    from rushlight.tensor import Tensor

    before = modes.grad
    modes.grad = False
    try:
        tensor = unpack(value)
    finally:
        modes.grad = before
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(tensor).__name__}"
        )
    return tensor


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def pack(node: Any, inputs: tuple) -> None:
    """Hands the arrays that a node keeps to the hooks in force; their versions are the hooks' business from now on."""
    hooks = modes.saved_hooks[-1]
    cells = {id(x._array): x._cell for x in inputs if hasattr(x, "_array")}

    def packed(value: Any) -> Any:
        return Packed(value, *hooks, cells.get(id(value))) if _is_array(value) else value

    node.saved = tuple([tuple(map(packed, v)) if type(v) is tuple else packed(v) for v in node.saved])
    node.cells = ()
    node.with_extras().packed = True


def unpack(node: Any) -> tuple:
    """The arrays that a node keeps, from what hooks packed."""

    def unpacked(value: Any) -> Any:
        return value.array() if type(value) is Packed else value

    return tuple([tuple(map(unpacked, v)) if type(v) is tuple else unpacked(v) for v in node.saved])


# ---------------------------------------------------------------- what a node shows of what it keeps

# Our names of inputs, results and attributes, and PyTorch's. By the node's name where operations differ.
_NAMES = {
    "x": "self", "a": "self", "input": "self", "y": "other", "b": "other", "out": "result", "axis": "dim", "axes": "dims",
    "keepdims": "keepdim",
}  # fmt: skip
_NAMES_BY_NODE: dict[str, dict[str, str]] = {
    "MmBackward0": {"b": "mat2", "weight": "mat2"},
    "AddmmBackward0": {"x": "mat1", "weight": "mat2"},
    "PowBackward0": {"y": "exponent"},
    "PermuteBackward0": {"axes": "dims"},
    "AtanBackward0": {},
    "NativeLayerNormBackward0": {"x": "input"},
    "ConvolutionBackward0": {"x": "input"},
    "EmbeddingBackward0": {"index": "indices"},
    "NllLossBackward0": {"log_probabilities": "self"},
    "MseLossBackward0": {"y": "target"},
    "L1LossBackward0": {"y": "target"},
    "BinaryCrossEntropyBackward0": {"y": "target"},
}


def _shown_name(node: Any, name: str) -> str:
    special: dict[str, str] = _NAMES_BY_NODE.get(node.name(), {})
    return special.get(name) or _NAMES.get(name, name)


def _places(node: Any) -> dict[str, tuple[str, Any]]:
    """{PyTorch's name: ("saved", position) or ("attribute", our name)} of what a node keeps."""
    operation = node.op
    places = {_shown_name(node, name): ("attribute", name) for name in getattr(operation, "attributes", ())}
    places |= {_shown_name(node, name): ("saved", i) for i, name in enumerate(getattr(operation, "saved_names", ()))}
    return places


def saved_attributes(node: Any) -> list[str]:
    """The names that `dir(grad_fn)` adds."""
    places = _places(node)
    return [f"_saved_{name}" for name in places] + [
        f"_raw_saved_{name}" for name, (kind, _) in places.items() if kind == "saved"
    ]


def saved_attribute(node: Any, name: str) -> Any:
    """`grad_fn._saved_self` and the like.

    Raises:
        RuntimeError: a backward pass has freed the value.
        AttributeError: the node keeps nothing of that name.
    """
    raw = name.startswith("_raw")
    kind, at = _places(node).get(name.removeprefix("_raw").removeprefix("_saved_"), (None, None))
    if kind is None or raw and kind != "saved":
        raise AttributeError(f"'{node.name()}' object has no attribute '{name}'")
    if kind == "attribute":
        return (node.attrs or {}).get(at, node.op.attributes[at])
    if node.saved is None:
        raise RuntimeError(FREED)
    value = SavedTensor(node, at)
    return value if raw else value.data


class SavedTensor:
    """One value that a node keeps: what `grad_fn._raw_saved_self` is."""

    def __init__(self, node: Any, at: int):
        self._node, self._at = node, at

    @property
    def data(self) -> Any:
        """The value: tensors with their history, numbers as they are."""
        from rushlight.autograd.engine import saved_tensor

        if self._node.saved is None:
            raise RuntimeError(FREED)
        return saved_tensor(self._node, self._at)

    def register_hooks(self, pack_hook: Any, unpack_hook: Any) -> None:
        """Packs this value by hooks of its own.

        Raises:
            RuntimeError: there is no value, or it has been packed.
        """
        node, at = self._node, self._at
        if node.saved is None:
            raise RuntimeError(FREED)
        value = node.saved[at]
        if type(value) is Packed:
            raise RuntimeError("Calling register_hooks on a saved tensor whose hooks have already been set.")
        if not _is_array(value):
            raise RuntimeError("Calling register_hooks on a saved tensor with value None is forbidden")
        rank = sum(_is_array(v) for v in node.saved[:at])
        if not (node.extras is not None and node.extras.packed):
            node.cells = node.cells[: 2 * rank] + node.cells[2 * rank + 2 :]
        node.saved = (*node.saved[:at], Packed(value, pack_hook, unpack_hook), *node.saved[at + 1 :])
        node.with_extras().packed = True
