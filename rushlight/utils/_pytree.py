"""Nested lists, tuples and dicts of tensors: taken apart into leaves, and put together again.

PyTorch's names, `torch.utils._pytree`. Nodes are tuples (named ones too), lists, dicts and `OrderedDict`s; all else is a leaf.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TreeSpec:
    """The structure of a tree: its node's type (None for a leaf), its keys or class, and its parts' structures."""

    type: Any
    context: Any
    children: tuple[TreeSpec, ...]

    @property
    def num_leaves(self) -> int:
        return 1 if self.type is None else sum(child.num_leaves for child in self.children)

    def is_leaf(self) -> bool:
        return self.type is None

    def __repr__(self) -> str:
        if self.type is None:
            return "*"
        parts = [repr(child) for child in self.children]
        if self.type is tuple:
            return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if self.type is list:
            return f"[{', '.join(parts)}]"
        if isinstance(self.context, list):
            return "{" + ", ".join(f"{key!r}: {part}" for key, part in zip(self.context, parts, strict=True)) + "}"
        return f"{self.type.__name__}({', '.join(parts)})"


_LEAF = TreeSpec(None, None, ())


def _parts(tree: Any) -> tuple[Any, Any, list[Any]] | None:
    """(type, context, children) of a node; None for a leaf."""
    kind = type(tree)
    if kind is tuple or kind is list:
        return kind, None, list(tree)
    if kind in (dict, OrderedDict, defaultdict):
        return kind, [*tree], list(tree.values())
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return kind, None, list(tree)
    return None


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list[Any], TreeSpec]:
    """The leaves of a tree from left to right, and its structure."""
    found = None if is_leaf is not None and is_leaf(tree) else _parts(tree)
    if found is None:
        return [tree], _LEAF
    kind, context, children = found
    leaves: list[Any] = []
    specs = []
    for child in children:
        below, spec = tree_flatten(child, is_leaf)
        leaves += below
        specs.append(spec)
    return leaves, TreeSpec(kind, context, tuple(specs))


def tree_unflatten(leaves: Iterable[Any], treespec: TreeSpec) -> Any:
    """The tree of a structure with these leaves.

    Raises:
        ValueError: there are more or fewer leaves than the structure has.
    """
    leaves = list(leaves)
    if len(leaves) != treespec.num_leaves:
        raise ValueError(
            f"tree_unflatten(leaves, treespec): `leaves` has length {len(leaves)} but the spec refers to a pytree that "
            f"holds {treespec.num_leaves} items ({treespec})."
        )
    return _built(iter(leaves), treespec)


def _built(leaves: Any, spec: TreeSpec) -> Any:
    if spec.type is None:
        return next(leaves)
    children = [_built(leaves, child) for child in spec.children]
    if spec.context is not None:
        return (dict if spec.type is defaultdict else spec.type)(zip(spec.context, children, strict=True))
    return spec.type(children) if spec.type in (tuple, list) else spec.type(*children)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[Any]:
    """The leaves of a tree from left to right."""
    return tree_flatten(tree, is_leaf)[0]


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The structure of a tree."""
    return tree_flatten(tree, is_leaf)[1]


def tree_map(function: Callable[..., Any], tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """The tree of the function's results for each leaf, and the leaves at its place in `rests`, of the same structure."""
    leaves, spec = tree_flatten(tree, is_leaf)
    columns = [leaves, *[tree_flatten(rest, is_leaf)[0] for rest in rests]]
    return tree_unflatten([function(*row) for row in zip(*columns, strict=True)], spec)


def tree_map_(function: Callable[..., Any], tree: Any, *rests: Any) -> Any:
    """Calls the function for each leaf and gives the tree back."""
    tree_map(function, tree, *rests)
    return tree


def tree_map_only(kind: Any, function: Callable[[Any], Any], tree: Any) -> Any:
    """`tree_map` on the leaves of a type (or of several); others stay."""
    return tree_map(lambda leaf: function(leaf) if isinstance(leaf, kind) else leaf, tree)


def tree_all(predicate: Callable[[Any], bool], tree: Any) -> bool:
    """Whether a predicate holds for all leaves."""
    return all(map(predicate, tree_leaves(tree)))


def tree_any(predicate: Callable[[Any], bool], tree: Any) -> bool:
    """Whether a predicate holds for some leaf."""
    return any(map(predicate, tree_leaves(tree)))


def broadcast_prefix(prefix: Any, spec: TreeSpec) -> list[Any] | None:
    """A leaf of `prefix` for each leaf of a structure: one stands for all that is below it. None if they do not fit."""
    if spec.type is None:
        return None if _parts(prefix) is not None else [prefix]
    found = _parts(prefix)
    if found is None:
        return [prefix] * spec.num_leaves
    kind, context, children = found
    fits: Sequence[Any] = spec.children
    if kind is not spec.type or context != spec.context or len(children) != len(fits):
        return None
    leaves: list[Any] = []
    for child, below in zip(children, fits, strict=True):
        part = broadcast_prefix(child, below)
        if part is None:
            return None
        leaves += part
    return leaves
