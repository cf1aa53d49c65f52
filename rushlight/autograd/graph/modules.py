"""Names for what is in a graph: of leaves, and of the modules that operations belong to.

`record` knows modules for certain. Without it they are read off the parameters: an operation that uses a parameter belongs to
its module, and what was computed between two such operations belongs to what their paths have in common, as the softmax between
`attention.query` and `attention.out` belongs to `attention`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from rushlight.autograd.graph.collect import GraphNode
from rushlight.tensor import Tensor

LONG = 60  # more operations than this at one level are cut into pieces
PIECE = 25


def named_tensors(named: Any) -> list[tuple[str, Tensor]]:
    """The tensors of a module that require gradients, or those of a dictionary.

    Raises:
        TypeError: it is neither.
    """
    if named is None:
        return []
    if isinstance(named, Mapping):
        return list(named.items())
    if not hasattr(named, "named_parameters"):
        raise TypeError(f"graph.trace(): names must be a module or a dict of tensors, not {type(named).__name__}")
    return list(named.named_parameters())


def name_leaves(nodes: list[GraphNode], things: list[Any], names: Mapping[int, str]) -> None:
    """Names the leaves that have one, and numbers the others."""
    for node, thing in zip(nodes, things, strict=True):
        if node.kind == "leaf":
            node.name = names.get(id(thing)) or f"leaf #{node.id}"
            node.module = node.name.rpartition(".")[0]


def infer_modules(nodes: list[GraphNode], known: set[int]) -> None:
    """Sets the module of each operation that is not among the `known` numbers."""
    operations = [node for node in nodes if node.kind == "operation"]
    certain: list[str | None] = []
    for node in operations:
        used = [nodes[i.source].module for i in node.inputs if i.source is not None and nodes[i.source].is_parameter]
        certain.append(node.module if node.id in known else _common(used) if used else None)
    before = list(itertools.accumulate(certain, lambda last, path: last if path is None else path))
    after = list(itertools.accumulate(reversed(certain), lambda last, path: last if path is None else path))[::-1]
    for node, path, left, right in zip(operations, certain, before, after, strict=True):
        node.module = path if path is not None else _common([left or "", right or ""])


def _common(paths: list[str]) -> str:
    """What some paths begin with."""
    parts = [path.split(".") for path in paths]
    same = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*parts, strict=False))
    return ".".join(names[0] for names in same)


def set_groups(nodes: list[GraphNode]) -> None:
    """Groups operations by module, so that each group is worth opening; a leaf goes where all that use it are.

    A module of one operation is no group of its own, modules that hold nothing but one other go together with it
    (`blocks.layers`), and what is long is cut into pieces by its order.
    """
    operations = [node for node in nodes if node.kind == "operation"]
    paths = {node.id: tuple(node.module.split(".")) if node.module else () for node in operations}
    sizes: dict[tuple[str, ...], int] = {}
    for path in paths.values():
        for depth in range(len(path) + 1):
            sizes[path[:depth]] = sizes.get(path[:depth], 0) + 1
    levels: dict[tuple[str, ...], list[GraphNode]] = {}
    for node in operations:
        path = paths[node.id]
        while path and sizes[path] == 1:
            path = path[:-1]
        node.group = _joined(path, sizes)
        levels.setdefault(node.group, []).append(node)
    for level in levels.values():
        for node, pieces in zip(level, _pieces(level), strict=True):
            node.group += pieces
    users: dict[int, set[tuple[str, ...]]] = {}
    for node in operations:
        for given in node.inputs:
            if given.source is not None:
                users.setdefault(given.source, set()).add(node.group)
    for node in nodes:
        if node.kind == "leaf" and node.id in users:
            shared = itertools.takewhile(lambda names: len(set(names)) == 1, zip(*users[node.id], strict=False))
            node.group = tuple(names[0] for names in shared)


def _pieces(level: list[GraphNode]) -> list[tuple[str, ...]]:
    """Of each operation of a level the pieces it is in, the largest first; none if the level is short."""
    sizes: list[int] = []
    while len(level) / (sizes[-1] if sizes else 1) > LONG:
        sizes.append(PIECE * (sizes[-1] if sizes else 1))

    def piece(number: int, size: int) -> str:
        first = number - number % size
        return f"#{level[first].id} to #{level[min(first + size, len(level)) - 1].id}"

    return [tuple(piece(i, size) for size in reversed(sizes)) for i in range(len(level))]


def _joined(path: tuple[str, ...], sizes: Mapping[tuple[str, ...], int]) -> tuple[str, ...]:
    """The path with a module and the only thing in it as one part."""
    parts: list[str] = []
    for depth in range(1, len(path) + 1):
        is_whole = depth > 1 and sizes[path[:depth]] == sizes[path[: depth - 1]]
        parts[len(parts) - is_whole :] = [f"{parts[-1]}.{path[depth - 1]}" if is_whole else path[depth - 1]]
    return tuple(parts)


def attached_leaves(nodes: list[GraphNode]) -> dict[int, int]:
    """{leaf: the one operation that uses it}: such leaves are drawn as part of that operation."""
    users: dict[int, set[int]] = {}
    for node in nodes:
        for given in node.inputs:
            if given.source is not None and nodes[given.source].kind == "leaf":
                users.setdefault(given.source, set()).add(node.id)
    return {leaf: next(iter(those)) for leaf, those in users.items() if len(those) == 1}
