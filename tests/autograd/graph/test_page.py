"""The page in a real browser: it loads nothing, is searched, opened, moved and asked, and its layout is the library's."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from graph_models import SmallGPT, Troubled, loss_of
from test_pictures import drawn, random_nodes, size_of

import rushlight as torch
from rushlight.autograd import graph

IMAGE = Path(__file__).parents[3] / "docs" / "images" / "graph.png"  # UPDATE_IMAGES=1 takes it anew


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> tuple[graph.Graph, Path]:
    """The graph of a small transformer after backward, and its page."""
    torch.manual_seed(0)
    model = SmallGPT()
    with graph.record():
        loss = loss_of(model)
    picture = graph.trace(loss, model)
    picture.backward()
    path = tmp_path_factory.mktemp("page") / "graph.html"
    picture.save(path)
    return picture, path


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = Troubled()
    with graph.record():
        loss = model(torch.ones(2, 3))
    picture = graph.trace(loss, model)
    picture.backward()
    path = tmp_path_factory.mktemp("page") / "troubled.html"
    picture.save(path)
    return path


def boxes(browser: Browser) -> list[str]:
    """The titles of the boxes that are drawn."""
    return browser.script("return [...document.querySelectorAll('#view .box > title')].map(title => title.textContent)")


def in_sight(browser: Browser, selector: str) -> bool:
    """Whether the middle of an element is inside of the canvas and nothing else lies over it."""
    return browser.script(
        "const element = document.querySelector(arguments[0]), box = element.getBoundingClientRect();"
        "const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);"
        "return element.contains(hit)",
        selector,
    )


# ---------------------------------------------------------------- without a browser


def test_nothing_in_the_page_comes_from_elsewhere(transformer: tuple[graph.Graph, Path]) -> None:
    text = transformer[1].read_text("utf-8")
    assert set(re.findall(r"\w+://[^\s\"'<>]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, never loaded
    assert not re.search(r"<(script|link|img|iframe)[^>]*\b(src|href)=", text)
    assert "default-src 'none'" in text


def test_data_cannot_end_the_script() -> None:
    x = torch.ones(2, requires_grad=True)
    page = graph.trace((x * x).sum(), {"</script><b>x": x}).html("<title> & @data@")
    assert page.count("</script>") == 4 and "&lt;title&gt; &amp; @data@" in page
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert data["nodes"][0]["name"] == "</script><b>x" and data["title"] == "<title> & @data@"


def test_numbers_that_json_does_not_have_stay_out() -> None:
    x = torch.tensor([0.0, float("inf")], requires_grad=True)
    picture = graph.trace((x * float("nan")).sum())
    picture.probe()
    assert "NaN" not in re.sub(
        r'"[^"]*"', "", picture.html().split('type="application/json">')[1].split("</script>")[0]
    )


# ---------------------------------------------------------------- in the browser


def test_search_and_two_clicks_lead_to_the_attentions_softmax(
    browser: Browser, transformer: tuple[graph.Graph, Path]
) -> None:
    browser.open(transformer[1])
    assert not any("SoftmaxBackward0" in title for title in boxes(browser))  # the attention is closed at first
    browser.type(browser.find("#search")[0], "softmax")
    found = browser.find("#list .item")
    browser.click(found[0])  # one: it is shown in the picture, in its module
    assert in_sight(browser, "#view .box.selected")
    browser.click(browser.find("#view .box.selected")[0])  # two: the node itself
    detail = browser.text("#detail")
    softmax = transformer[0].find("softmax")[0]
    assert f"#{softmax.id} SoftmaxBackward0" in detail and "in blocks.layers.0.self_attn" in detail
    formula = softmax.inputs[0].formula
    assert f"{formula.file}:{formula.line}" in detail and formula.code in detail
    assert "float32 (2, 4, 16, 16)" in detail and "8.2 kB" in detail and str(softmax.gradients[0]) in detail
    assert "return self.head(self.blocks(x, causal, is_causal=True))" in detail
    if os.environ.get("UPDATE_IMAGES"):
        browser.screenshot(IMAGE)


def test_names_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    x = torch.ones(2, requires_grad=True)
    name = "<img src=x onerror='document.title=1'>"
    graph.trace((x * x).sum(), {name: x}).save(tmp_path / "names.html")
    browser.open(tmp_path / "names.html")
    assert name in browser.text("#list") and browser.find("img") == []
    browser.click(browser.find("#list .item")[0])
    assert name in browser.text("#detail") and browser.script("return document.title") == "autograd graph"


def test_nothing_is_loaded_and_nothing_fails(browser: Browser, transformer: tuple[graph.Graph, Path]) -> None:
    browser.log("performance"), browser.log("browser")
    browser.open(transformer[1])
    for button in ("#open-all", "#close-all", "#fit"):
        browser.click(browser.find(button)[0])
    messages = [json.loads(entry["message"])["message"] for entry in browser.log("performance")]
    asked = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    assert asked == [transformer[1].as_uri()]
    assert browser.log("browser") == []


def test_opening_and_closing_modules(browser: Browser, transformer: tuple[graph.Graph, Path]) -> None:
    picture, path = transformer
    browser.open(path)
    browser.click(browser.find("#close-all")[0])
    closed = boxes(browser)
    assert "open blocks" in closed
    browser.click(browser.find("#view .box.closed")[0])
    assert len(boxes(browser)) > len(closed)
    browser.click(browser.find("#view .frame .bar")[0])
    assert boxes(browser) == closed
    browser.click(browser.find("#open-all")[0])
    operations = [str(node) for node in picture.nodes if node.kind == "operation"]
    assert sorted(boxes(browser)) == sorted(operations)


def test_moving_and_zooming(browser: Browser, transformer: tuple[graph.Graph, Path]) -> None:
    browser.open(transformer[1])
    transform = "return document.getElementById('view').getAttribute('transform')"
    before = browser.script(transform)
    wheel = "document.getElementById('canvas').dispatchEvent(new WheelEvent('wheel', {deltaY: -300, clientX: 700, clientY: 400}));"
    zoomed = browser.script(wheel + transform)
    scales = [float(text.split("scale(")[1].rstrip(")")) for text in (before, zoomed)]
    assert scales[1] == pytest.approx(scales[0] * 2.718281828**0.45)
    browser.drag((700, 400), (760, 430))
    moved = browser.script(transform)
    places = [[float(x) for x in re.findall(r"-?[\d.]+", text)[:2]] for text in (zoomed, moved)]
    assert [b - a for a, b in zip(*places, strict=True)] == pytest.approx([60, 30])


def test_colours_by_memory_and_gradient(browser: Browser, transformer: tuple[graph.Graph, Path]) -> None:
    browser.open(transformer[1])
    fills = "return [...document.querySelectorAll('#view .box > rect')].map(rect => rect.getAttribute('fill'))"
    kinds = []
    for way in ("family", "memory", "gradient"):
        choose = f"colour.value = '{way}'; colour.dispatchEvent(new Event('change'));"
        kinds.append(browser.script("const colour = document.getElementById('colour');" + choose + fills))
    assert kinds[0] != kinds[1] != kinds[2] and all(len(set(colours)) > 3 for colours in kinds)


def test_links_lead_to_inputs_and_leaves_are_part_of_boxes(
    browser: Browser, transformer: tuple[graph.Graph, Path]
) -> None:
    browser.open(transformer[1])
    browser.type(browser.find("#search")[0], "head.weight")
    browser.click(browser.find("#list .item")[0])
    assert "head.weight" in browser.text("#detail") and "float32 (50, 32)" in browser.text("#detail")
    assert in_sight(browser, "#view .leaf.selected")
    browser.click(browser.find("#detail table a")[0])  # what uses it
    assert "AddmmBackward0" in browser.text("#detail")


def test_why_a_gradient_is_missing_zero_or_nan(browser: Browser, troubled: Path) -> None:
    browser.open(troubled)
    listed = browser.text("#list")
    assert re.search(r"cut.weight\s+none\s+detached", listed) and listed.index("nan") < listed.index("zero")
    texts = {}
    for name in ("root.weight", "dead.weight"):
        browser.script("const s = document.getElementById('search'); s.value = ''")
        browser.type(browser.find("#search")[0], name)
        browser.click(browser.find("#list .item")[0])
        texts[name] = browser.text("#detail .why")
        assert len(browser.find("#view .box.on-path")) > 2  # the way from the loss is marked
    assert "It becomes NaN at" in texts["root.weight"] and "torch.where(y > 0, y.sqrt(), 0.0)" in texts["root.weight"]
    assert "a dead ReLU" in texts["dead.weight"]
    browser.click(browser.find("#detail .why a")[0])
    assert browser.text("#detail h2") == "relu"
    browser.script("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input'))")
    browser.click(browser.find("#list .item")[0])
    assert "detach() took it out of the graph" in browser.text("#detail") and "self.cut(x).detach()" in browser.text(
        "#detail"
    )


@pytest.mark.parametrize("seed", [3, 5, 8, 13])
def test_layout_of_the_page_is_that_of_the_library(
    browser: Browser, transformer: tuple[graph.Graph, Path], seed: int
) -> None:
    """The same graph, sizes and open groups: the two programs place every box and line at the same points."""
    browser.open(transformer[1])
    nodes = random_nodes(seed)
    given = [{"id": n.id, "group": list(n.group), "inputs": [{"source": i.source} for i in n.inputs]} for n in nodes]
    found = browser.script(
        """
        const nodes = arguments[0], tree = { key: groupKey([]), path: [], members: [] }, groups = new Map([[tree.key, tree]]);
        for (const node of nodes) {
          let group = tree;
          for (let depth = 1; depth <= node.group.length; depth++) {
            const path = node.group.slice(0, depth), key = groupKey(path);
            if (!groups.has(key)) {
              groups.set(key, { key, path, members: [] });
              group.members.push(groups.get(key));
            }
            group = groups.get(key);
          }
          group.members.push(node.id);
        }
        const size = item => typeof item === "number" ? [40 + (7 * item) % 60, 30 + (5 * item) % 20] : [90, 40];
        const drawing = layOut(tree, nodes, size, group => group.path.join(".") !== "a.b");
        return [drawing.boxes.map(box => [box.x, box.y, box.width, box.height]), drawing.lines.map(line => line.points)];
        """,
        given,
    )
    expected = drawn(nodes, (("a", "b"),))
    boxes = sorted([box.x, box.y, box.width, box.height] for box in expected.boxes)
    assert sorted(found[0]) == [pytest.approx(box) for box in boxes]
    lines = sorted([list(point) for point in line] for line in expected.lines)
    assert len(found[1]) == len(lines)
    for mine, theirs in zip(sorted(found[1]), lines, strict=True):
        np.testing.assert_allclose(mine, theirs)
    assert size_of(9) == (43.0, 35.0)
