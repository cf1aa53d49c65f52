"""Places for a graph's boxes and lines: layers from top to bottom in the order of the forward pass, modules as frames.

Each group is laid out by itself, its open groups inside it being boxes as large as they came out. In a group a box stands one
layer below the lowest of what it is made from. A line that passes layers, or the border of a group, gets a narrow place of its
own in each layer, so that lines run around boxes. Within layers, places are ordered by the mean of their neighbours, and then
moved towards it as far as there is room. The page has the same method in JavaScript, for what a person opens and closes.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rushlight.autograd.graph.collect import GraphNode

GAP, LAYER_GAP, PORT_GAP, PADDING, HEADER, WIRE = 18.0, 30.0, 4.0, 12.0, 18.0, 8.0
SWEEPS = 6
Point = tuple[float, float]
Key = Any  # of a place: the number of a node, the path of a group, ("in" | "out", number of a source), or a bend


@dataclass(slots=True)
class Group:
    """A module, or the whole graph: its members are numbers of nodes, and groups."""

    path: tuple[str, ...]
    members: list[Any] = field(default_factory=list)
    size: int = 0  # operations in it, at any depth


@dataclass(slots=True)
class Box:
    """A node (`item` is its number) or a group (its path), placed; `is_open` says that what is in it is shown."""

    item: Any
    x: float
    y: float
    width: float
    height: float
    is_open: bool = False


@dataclass(slots=True)
class Drawing:
    width: float = 0.0
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    lines: list[list[Point]] = field(default_factory=list)


def tree_of(nodes: list[GraphNode], hidden: Any = ()) -> Group:
    """The groups of nodes, nested; without the hidden nodes."""
    root = Group(())
    groups = {(): root}
    for node in nodes:
        if node.id in hidden:
            continue
        for depth in range(len(node.group) + 1):
            path = node.group[:depth]
            if path not in groups:
                groups[path] = Group(path)
                groups[path[:-1]].members.append(groups[path])
            groups[path].size += node.kind == "operation"
        groups[node.group].members.append(node.id)
    return root


def lay_out(
    tree: Group, nodes: list[GraphNode], hidden: Any, size_of: Callable[[Any], Point], is_open: Callable[[Group], bool]
) -> Drawing:
    """Places what is visible.

    Args:
        hidden: numbers of nodes that are not drawn by themselves.
        size_of: width and height of a node (its number) or a closed group.
        is_open: whether a group's members are shown.
    """
    lines = _lines_by_group(nodes, hidden, tree, is_open)
    drawing = Drawing()
    drawing.width, drawing.height = _Level(tree, lines, size_of, is_open).place(drawing, 0.0, 0.0)
    return drawing


def _lines_by_group(nodes: list[GraphNode], hidden: Any, tree: Group, is_open: Any) -> dict[tuple, dict[tuple, None]]:
    """For each open group the lines in it, (from, to, number of the source): a line between groups has a part in each."""
    chains: dict[int, list[tuple]] = {}

    def visit(group: Group, chain: list[tuple]) -> None:
        for member in group.members:
            if isinstance(member, Group):
                visit(member, [*chain, member.path] if is_open(member) and len(chain) == len(member.path) else chain)
            else:
                chains[member] = chain

    visit(tree, [()])

    def place_in(number: int, depth: int) -> Key:
        """What stands for a node in the open group at a depth of its chain."""
        group = nodes[number].group
        return number if len(group) == depth else group[: depth + 1]

    lines: dict[tuple, dict[tuple, None]] = {}
    for node in nodes:
        for given in node.inputs:
            source, target = given.source, node.id
            if source is None or source in hidden or target in hidden:
                continue
            left, right = chains[source], chains[target]
            common = 0
            while common + 1 < min(len(left), len(right)) and left[common + 1] == right[common + 1]:
                common += 1
            for depth in range(len(left) - 1, common, -1):
                lines.setdefault(left[depth], {})[place_in(source, depth), ("out", source), source] = None
            a, b = place_in(source, common), place_in(target, common)
            if a != b:
                lines.setdefault(left[common], {})[a, b, source] = None
            for depth in range(common + 1, len(right)):
                lines.setdefault(right[depth], {})[("in", source), place_in(target, depth), source] = None
    return lines


class _Level:
    """One open group: its layers and the places in them."""

    def __init__(self, group: Group, lines: dict, size_of: Any, is_open: Any):
        self.group = group
        self.sizes: dict[Key, Point] = {}
        self.inner: dict[Key, _Level] = {}
        for member in group.members:
            if isinstance(member, Group) and is_open(member):
                self.inner[member.path] = _Level(member, lines, size_of, is_open)
                self.sizes[member.path] = self.inner[member.path].size
            else:
                self.sizes[member.path if isinstance(member, Group) else member] = size_of(member)
        self.lines = list(lines.get(group.path, ()))
        for a, b, _ in self.lines:
            for key in (a, b):
                self.sizes.setdefault(key, (WIRE, 0.0))
        self.layer = self._layers()
        self.routes = [self._bends(i, *line) for i, line in enumerate(self.lines)]
        self.layers = self._ordered()
        self.x = self._columns()
        self.size = self._extent()

    def _layers(self) -> dict[Key, int]:
        """The longest way from above to each place; ports at the rims; what starts a way stands close to its use."""
        order = {key: i for i, key in enumerate(self.sizes)}
        below: dict[Key, list[Key]] = {key: [] for key in self.sizes}
        waiting = dict.fromkeys(self.sizes, 0)
        for a, b, _ in self.lines:
            below[a].append(b)
            waiting[b] += 1
        layer = dict.fromkeys(self.sizes, 0)
        ready = sorted((key for key in self.sizes if not waiting[key]), key=order.__getitem__, reverse=True)
        done: set[Key] = set()
        while len(done) < len(self.sizes):
            if not ready:  # a module that is used again makes a circle: it is cut at its first member
                ready.append(next(key for key in self.sizes if key not in done))
            key = ready.pop()
            if key in done:
                continue
            done.add(key)
            for other in below[key]:
                if other not in done:
                    layer[other] = max(layer[other], layer[key] + 1)
                    waiting[other] -= 1
                    if waiting[other] == 0:
                        ready.append(other)
        is_fed = {b for _, b, _ in self.lines}
        for key in self.sizes:
            if key not in is_fed and below[key] and not _is_port(key):
                layer[key] = max(0, min(layer[other] for other in below[key]) - 1)
        last = max(layer.values(), default=0)
        inner = [key for key in layer if not _is_port(key)]
        if any(_is_port(key) and key[0] == "in" for key in layer) and any(layer[key] == 0 for key in inner):
            layer = {key: n + (not (_is_port(key) and key[0] == "in")) for key, n in layer.items()}
            last += 1
        bottom = max((layer[key] for key in inner), default=last) + 1
        return {
            key: 0 if _is_port(key) and key[0] == "in" else bottom if _is_port(key) else n for key, n in layer.items()
        }

    def _bends(self, number: int, a: Key, b: Key, source: int) -> list[Key]:
        """The places along a line: one in each layer that it passes."""
        first, last = self.layer[a], self.layer[b]
        step = 1 if last >= first else -1
        bends = []
        for n in range(first + step, last, step):
            key = ("bend", source, n, b)
            self.layer.setdefault(key, n)
            self.sizes.setdefault(key, (WIRE, 0.0))
            bends.append(key)
        return [a, *bends, b]

    def _ordered(self) -> list[list[Key]]:
        """The layers, ordered so that lines cross little."""
        layers: list[list[Key]] = [[] for _ in range(max(self.layer.values(), default=-1) + 1)]
        for key, n in self.layer.items():
            layers[n].append(key)
        above, below = self._neighbours()
        for sweep in range(SWEEPS):
            for layer in layers if sweep % 2 == 0 else reversed(layers):
                position = {key: (i + 0.5) / len(row) for row in layers for i, key in enumerate(row)}
                near = above if sweep % 2 == 0 else below

                def mean(key: Key, near: Any = near, position: Any = position) -> float:
                    others = near[key]
                    return sum(position[other] for other in others) / len(others) if others else position[key]

                layer.sort(key=mean)
        return layers

    def _neighbours(self) -> tuple[dict[Key, list[Key]], dict[Key, list[Key]]]:
        above: dict[Key, list[Key]] = {key: [] for key in self.sizes}
        below: dict[Key, list[Key]] = {key: [] for key in self.sizes}
        for route in self.routes:
            for a, b in itertools.pairwise(route):
                below[a].append(b)
                above[b].append(a)
        return above, below

    def _columns(self) -> dict[Key, float]:
        """The middle of each place: near the mean of its neighbours, in order, without overlap."""
        x: dict[Key, float] = {}
        for layer in self.layers:
            right = 0.0
            for key in layer:
                x[key] = right + self.sizes[key][0] / 2
                right += self.sizes[key][0] + GAP
            for key in layer:
                x[key] -= (right - GAP) / 2
        above, below = self._neighbours()
        for sweep in range(2 * SWEEPS):
            near = above if sweep % 2 == 0 else below
            for layer in self.layers if sweep % 2 == 0 else reversed(self.layers):
                wanted = [sum(x[o] for o in near[key]) / len(near[key]) if near[key] else x[key] for key in layer]
                x.update(zip(layer, self._apart(layer, wanted), strict=True))
        return x

    def _apart(self, layer: list[Key], wanted: list[float]) -> list[float]:
        """Places near the wanted ones that do not overlap: the mean of pushing to the right and to the left."""
        rightwards, leftwards = list(wanted), list(wanted)
        room = [(self.sizes[a][0] + self.sizes[b][0]) / 2 + GAP for a, b in itertools.pairwise(layer)]
        for i in range(1, len(layer)):
            rightwards[i] = max(rightwards[i], rightwards[i - 1] + room[i - 1])
        for i in range(len(layer) - 2, -1, -1):
            leftwards[i] = min(leftwards[i], leftwards[i + 1] - room[i])
        return [(a + b) / 2 for a, b in zip(rightwards, leftwards, strict=True)]

    def _extent(self) -> Point:
        left = min((self.x[key] - self.sizes[key][0] / 2 for key in self.x), default=0.0)
        right = max((self.x[key] + self.sizes[key][0] / 2 for key in self.x), default=0.0)
        self.left = left
        header = HEADER if self.group.path else 0.0
        heights = [max((self.sizes[key][1] for key in layer), default=0.0) for layer in self.layers]
        is_rim = [all(_is_port(key) for key in layer) for layer in self.layers]
        self.tops, top = [], PADDING + header
        for i, height in enumerate(heights):
            self.tops.append(top)
            is_next_to_rim = is_rim[i] or i + 1 < len(is_rim) and is_rim[i + 1]
            top += height + (0.0 if i + 1 == len(heights) else PORT_GAP if is_next_to_rim else LAYER_GAP)
        self.heights = heights
        return right - left + 2 * PADDING, top + PADDING

    def place(self, drawing: Drawing, x: float, y: float) -> Point:
        """Adds this level's boxes and lines, its upper left corner being at a point."""
        shift = x + PADDING - self.left
        tops = [y + top for top in self.tops]
        for key, (width, height) in self.sizes.items():
            if isinstance(key, tuple) and not _is_path(key):
                continue
            n = self.layer[key]
            left, upper = self.x[key] + shift - width / 2, tops[n] + (self.heights[n] - height) / 2
            drawing.boxes.append(Box(key, left, upper, width, height, key in self.inner))
            if key in self.inner:
                self.inner[key].place(drawing, left, upper)
        for route, (_, _, source) in zip(self.routes, self.lines, strict=True):
            drawing.lines.append(self._points(route, source, shift, tops, y))
        return self.size

    def _points(self, route: list[Key], source: int, shift: float, tops: list[float], y: float) -> list[Point]:
        points = []
        for i, key in enumerate(route):
            n, middle = self.layer[key], self.x[key] + shift
            if key in self.inner:  # the line goes on at the port inside
                inner = self.inner[key]
                middle += inner.x["out" if i == 0 else "in", source] - inner.left + PADDING - self.sizes[key][0] / 2
            upper = tops[n] + (self.heights[n] - self.sizes[key][1]) / 2
            lower = upper + self.sizes[key][1]
            if _is_port(key):
                points.append((middle, y if key[0] == "in" else y + self.size[1]))
            elif i == 0:
                points.append((middle, lower))
            elif i == len(route) - 1:
                points.append((middle, upper))
            else:
                points += [(middle, tops[n]), (middle, tops[n] + self.heights[n])]
        return points


def _is_port(key: Key) -> bool:
    return isinstance(key, tuple) and len(key) == 2 and isinstance(key[1], int)


def _is_path(key: Key) -> bool:
    return all(isinstance(part, str) for part in key)
