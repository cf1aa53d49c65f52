"""The graph as text, as Graphviz source and as a picture: golden listings, and laws of the layout on random graphs."""

from __future__ import annotations

import itertools
import random
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from graph_models import SmallGPT, Troubled, loss_of

import rushlight as torch
from rushlight import nn
from rushlight.autograd import graph
from rushlight.autograd.graph.collect import GraphNode, Input, Value
from rushlight.autograd.graph.layout import Box, Drawing, lay_out, tree_of
from rushlight.autograd.graph.text import human_bytes

SVG = "{http://www.w3.org/2000/svg}"


def small_graph() -> graph.Graph:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(0.5)
    return graph.trace(model(torch.ones(2, 3)).square().mean(), model)


GOLDEN = """\
5 operations, 4 leaves; saved for backward: 64 B
0
   2  linear  float32 (2, 4)  24 B  const, weight, bias
(model)
   3  relu    float32 (2, 4)  32 B  #2
2
   6  linear  float32 (2, 1)  48 B  #3, weight, bias
(model)
   7  square  float32 (2, 1)   8 B  #6
   8  mean    float32 ()       0 B  #7"""


def test_text() -> None:
    picture = small_graph()
    # kept: the input (24 B), the result of the ReLU (32 B) twice, weights that are there anyway (16 B), 8 B for the square
    assert str(picture) == GOLDEN


def test_text_with_gradients() -> None:
    picture = small_graph()
    picture.backward()
    lines = [re.sub(r"\s+", " ", line).strip() for line in str(picture).splitlines()]
    # y = 4 * 0.5 * 2 + 0.5 = 4.5 twice; the mean's gradient is 1/2 each, the square's 2 y / 2 = 4.5 each
    assert "7 square float32 (2, 1) 8 B |g| 0.707 #6" in lines
    assert "6 linear float32 (2, 1) 48 B |g| 6.36 #3, weight, bias" in lines
    assert lines[0].endswith("(freed by a backward pass)")


def test_human_bytes() -> None:
    sizes = [0, 999, 1000, 15_360, 123_456, 7_000_000_000]
    assert [human_bytes(n) for n in sizes] == ["0 B", "999 B", "1.0 kB", "15.4 kB", "123 kB", "7.0 GB"]


# ---------------------------------------------------------------- Graphviz

STRING = r'"(?:[^"\\]|\\.)*"'
STATEMENT = re.compile(
    rf"digraph \w+ \{{|subgraph {STRING} \{{|\}}|rankdir=TB; node \[.*\];|label={STRING}; fontname=\w+; fontsize=\d+; color=\w+;"
    rf"|n\d+ \[label={STRING}, fillcolor={STRING}, color={STRING}\];|n\d+ -> n\d+;"
)


def test_dot_is_well_formed() -> None:
    model = SmallGPT()
    source = graph.trace(loss_of(model), model).dot()
    lines = [line.strip() for line in source.splitlines()]
    assert all(STATEMENT.fullmatch(line) for line in lines)
    depth = list(itertools.accumulate(line.endswith("{") - (line == "}") for line in lines))
    assert min(depth[:-1]) > 0 and depth[-1] == 0
    declared = {line.split()[0] for line in lines if " [label=" in line}
    ends = [end for line in lines if " -> " in line for end in line.rstrip(";").split(" -> ")]
    assert set(ends) <= declared and len(declared) > 60
    assert 'label="self_attn"' in source and "attention_weights" in source


def test_dot_quotes_names() -> None:
    x = torch.ones(2, requires_grad=True)
    source = graph.trace((x * x).sum(), {'a "name"\\': x}).dot()
    assert 'a \\"name\\"\\\\ (2,)' in source
    assert all(STATEMENT.fullmatch(line.strip()) for line in source.splitlines())


# ---------------------------------------------------------------- SVG


def test_svg_shows_every_operation_and_frames_of_modules() -> None:
    model = SmallGPT()
    picture = graph.trace(loss_of(model), model)
    root = ET.fromstring(picture.svg())
    boxes = root.findall(f"{SVG}g[@class='node']")
    assert len(boxes) == sum(node.kind == "operation" for node in picture.nodes)
    titles = [box.find(f"{SVG}title").text for box in boxes]
    assert sum("SoftmaxBackward0" in title for title in titles) == 2
    frames = [frame.find(f"{SVG}text").text for frame in root.findall(f"{SVG}g[@class='group']")]
    assert frames.count("self_attn") == 2 and "0" in frames and "1" in frames
    closed = ET.fromstring(picture.svg(depth=0)).findall(f"{SVG}g[@class='node']")
    assert len(closed) < 12


def test_svg_escapes_names_and_marks_bad_gradients() -> None:
    x = torch.ones(2, requires_grad=True)
    picture = graph.trace((x.floor() * 2).sum(), {"<x> & 'y'": x})
    picture.probe()
    text = picture.svg()
    ET.fromstring(text)
    assert "&lt;x&gt; &amp; 'y'" in text and "grad is zero" not in text  # it is the leaf whose gradient is zero
    loss = Troubled()(torch.ones(2, 3))
    picture = graph.trace(loss)
    picture.probe()
    assert "grad is nan" in picture.svg() and "grad is zero" in picture.svg()


def test_save_by_suffix(tmp_path: Path) -> None:
    picture = small_graph()
    for suffix, start in (
        (".svg", "<svg"),
        (".dot", "digraph"),
        (".txt", "5 operations"),
        (".html", "<!doctype html>"),
    ):
        picture.save(tmp_path / f"graph{suffix}")
        assert (tmp_path / f"graph{suffix}").read_text("utf-8").startswith(start)
    with pytest.raises(ValueError, match=r"no such kind of picture: 'graph.png' \(have .html, .htm, .svg"):
        picture.save(tmp_path / "graph.png")
    assert picture._repr_svg_().startswith("<svg")


def test_open_hands_the_page_to_the_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    path = Path(small_graph().open())
    assert opened == [path.as_uri()] and path.read_text("utf-8").startswith("<!doctype html>")
    path.unlink()


# ---------------------------------------------------------------- laws of the layout


def random_nodes(seed: int) -> list[GraphNode]:
    """A random graph in which modules nest and are entered again."""
    draw = random.Random(seed)
    paths = [(), ("a",), ("a", "b"), ("a", "b", "c"), ("a", "d"), ("e",)]
    nodes = []
    for i in range(draw.randrange(1, 60)):
        sources = draw.sample(range(i), min(i, draw.randrange(0, 4)))
        inputs = [Input("x", source, 0, Value()) for source in sources]
        nodes.append(GraphNode(i, "operation", "Op", "op", group=draw.choice(paths), inputs=inputs))
    return nodes


def size_of(item: object) -> tuple[float, float]:
    return (40.0 + 7 * item % 60, 30.0 + 5 * item % 20) if isinstance(item, int) else (90.0, 40.0)


def drawn(nodes: list[GraphNode], closed: tuple = ()) -> Drawing:
    return lay_out(tree_of(nodes), nodes, (), size_of, lambda group: group.path not in closed)


def overlap(a: Box, b: Box) -> bool:
    return a.x < b.x + b.width and b.x < a.x + a.width and a.y < b.y + b.height and b.y < a.y + a.height


def inside(a: Box, b: Box) -> bool:
    return b.x <= a.x and b.y <= a.y and a.x + a.width <= b.x + b.width and a.y + a.height <= b.y + b.height


@pytest.mark.parametrize("seed", range(30))
def test_boxes_do_not_overlap_and_lie_in_their_frames(seed: int) -> None:
    nodes = random_nodes(seed)
    drawing = drawn(nodes, ((), ("a", "b"))[seed % 2 :][:1] if seed % 3 == 0 else ())
    frames = {box.item: box for box in drawing.boxes if isinstance(box.item, tuple)}
    for a, b in itertools.combinations(drawing.boxes, 2):
        parents = [box.item if isinstance(box.item, tuple) else nodes[box.item].group for box in (a, b)]
        nested = any(
            isinstance(outer.item, tuple) and parent[: len(outer.item)] == outer.item
            for outer, parent in ((a, parents[1]), (b, parents[0]))
        )
        assert nested or not overlap(a, b), (a, b)
    for box in drawing.boxes:
        group = box.item[:-1] if isinstance(box.item, tuple) else nodes[box.item].group
        if group in frames:
            assert inside(box, frames[group])
        assert box.x >= 0 and box.x + box.width <= drawing.width and box.y + box.height <= drawing.height


def test_lines_lead_from_a_box_to_the_next_or_to_a_rim() -> None:
    """Every end of a line touches the upper or lower side of a box, and each edge of the graph can be followed."""
    nodes = random_nodes(7)
    drawing = drawn(nodes)
    sides = [(box, y) for box in drawing.boxes for y in (box.y, box.y + box.height)]
    for points in drawing.lines:
        for x, y in (points[0], points[-1]):
            touched = [b for b, side in sides if abs(side - y) < 1e-6 and b.x - 1e-6 <= x <= b.x + b.width + 1e-6]
            assert touched, points
    places = {box.item: box for box in drawing.boxes}
    following: dict[tuple[float, float], list[tuple[float, float]]] = {}
    for points in drawing.lines:
        following.setdefault(_rounded(points[0]), []).append(_rounded(points[-1]))
    for node in nodes:
        for given in node.inputs:
            source, target = places[given.source], places[node.id]
            start = _rounded((source.x + source.width / 2, source.y + source.height))
            end = _rounded((target.x + target.width / 2, target.y))
            reached, stack = {start}, [start]
            while stack:
                for point in following.get(stack.pop(), ()):
                    if point not in reached:
                        reached.add(point)
                        stack.append(point)
            assert end in reached


def _rounded(point: tuple[float, float]) -> tuple[float, float]:
    return round(point[0], 3), round(point[1], 3)


def test_forward_goes_down() -> None:
    model = SmallGPT()
    picture = graph.trace(loss_of(model), model)
    drawing = lay_out(tree_of(picture.nodes), picture.nodes, (), size_of, lambda group: True)
    places = {box.item: box for box in drawing.boxes}
    for node in picture.nodes:
        for given in node.inputs:
            if given.source is not None:
                assert places[given.source].y + places[given.source].height < places[node.id].y + 1e-6
