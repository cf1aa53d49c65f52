"""`record`: lines, modules and results are noted inside of the block, and nothing is outside of it."""

from __future__ import annotations

import inspect
import sys
import types
import weakref

import numpy as np
from graph_models import SmallGPT, Troubled, loss_of

import rushlight as torch
from rushlight import nn
from rushlight.autograd import graph


def test_lines_are_the_users() -> None:
    x = torch.ones(3, requires_grad=True)
    with graph.record():
        first = inspect.currentframe().f_lineno + 1
        y = x * 2
        y.add_(1)
        loss = y.softmax(0)[1]
    lines = {node.op: node.lines[0] for node in graph.trace(loss).nodes if node.kind == "operation"}
    assert {op: line.line - first for op, line in lines.items()} == {"mul": 0, "add": 1, "softmax": 2, "select": 2}
    assert all(line.file.endswith("test_recording.py") for line in lines.values())
    assert lines["softmax"].text == "loss = y.softmax(0)[1]" and lines["mul"].function == "test_lines_are_the_users"


def test_lines_inside_of_the_library_follow_the_users() -> None:
    model = SmallGPT()
    with graph.record():
        loss = loss_of(model)
    softmax = graph.trace(loss).find("softmax")[0]
    assert softmax.lines[0].text == "return self.head(self.blocks(x, causal, is_causal=True))"
    assert softmax.lines[1].file.endswith("nn/attention.py") and "attention_weights(" in softmax.lines[1].text


def test_modules_are_those_whose_forward_ran() -> None:
    """The module of each operation, against forward hooks that note which nodes were made inside."""
    model = Troubled()
    expected = {}
    for name, module in model.named_children():
        module.register_forward_hook(lambda module, args, out, name=name: expected.__setitem__(out.grad_fn, name))
    with graph.record():
        loss = model(torch.ones(2, 3))
    picture = graph.trace(loss)
    things = dict(zip(picture._things, picture.nodes, strict=True))
    assert len(expected) == 3
    found = {name: things[node].module for node, name in expected.items() if node in things}
    assert found == {"dead": "dead", "root": "root"}  # what `cut` computed is not behind the loss
    assert {node.module for node in picture.nodes if node.op in ("relu", "sqrt", "sum")} == {""}
    assert {node.name for node in picture.nodes if node.kind == "leaf"} == {"dead.weight", "dead.bias", "root.weight"}


def test_loss_modules_beside_the_model_have_their_own_group() -> None:
    model, criterion = nn.Linear(2, 1), nn.MSELoss()
    with graph.record():
        loss = criterion(model(torch.ones(3, 2)), torch.zeros(3, 1))
    assert {node.module for node in graph.trace(loss).nodes if node.kind == "operation"} == {"", "MSELoss"}


def test_nothing_changes() -> None:
    """The same values and gradients with and without; a profile function of another's goes on seeing what it saw."""
    seen: set[str] = set()

    def own(frame: types.FrameType, event: str, arg: object) -> None:
        seen.add(frame.f_code.co_name)

    def gradients_of(model: nn.Module, inputs: torch.Tensor) -> list[np.ndarray]:
        model.zero_grad()
        model(inputs).square().sum().backward()
        return [parameter.grad.numpy() for parameter in model.parameters()]

    torch.manual_seed(0)
    model, inputs = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), torch.randn(4, 5)
    expected = gradients_of(model, inputs)
    sys.setprofile(own)
    with graph.record():
        found = gradients_of(model, inputs)
    after = sys.getprofile()
    sys.setprofile(None)
    assert after is own and "forward" in seen
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))


def test_models_and_tensors_are_not_kept() -> None:
    model = nn.Linear(2, 2)
    with graph.record():
        out = model(torch.ones(1, 2))
        loss = out.sum()
    references = [weakref.ref(x) for x in (model, model.weight, out, out.grad_fn)]
    del model, out, loss
    assert [reference() for reference in references] == [None] * 4


def test_what_is_not_finite_is_noted() -> None:
    x = torch.tensor([0.0, 1.0], requires_grad=True)
    with graph.record():
        loss = (x.log() * x).sum()
    nodes = {node.op: node.bad_output for node in graph.trace(loss).nodes}
    assert (nodes["log"], nodes["mul"], nodes["sum"]) == ("inf", "nan", "nan")


def test_lines_of_anomaly_mode_serve_where_record_was_off() -> None:
    x = torch.ones(2, requires_grad=True)
    y = x.exp()
    y.grad_fn.metadata["traceback_"] = [
        '  File "main.py", line 7, in <module>\n    run()\n',
        '  File "run.py", line 3, in run\n    y = x.exp()\n',
    ]
    lines = graph.trace(y.sum()).find("exp")[0].lines
    assert list(map(str, lines)) == ["run.py:3 in run: y = x.exp()", "main.py:7 in <module>: run()"]
