"""What `trace` reads from a graph: structure, shapes, memory, formulas, modules; against graphs built by hand and PyTorch."""

from __future__ import annotations

import ast
import doctest
import gc
import importlib
import pkgutil
import weakref

import numpy as np
import pytest
import torch as pytorch
from graph_models import SmallGPT, loss_of

import rushlight as torch
import rushlight.ops
from rushlight import nn
from rushlight.autograd import graph
from rushlight.autograd.graph.collect import has_hooks
from rushlight.autograd.graph.sources import source_of


def edges(picture: graph.Graph) -> list[tuple[str, str, str]]:
    """(operation, input, what it comes from) for all inputs."""
    found = []
    for node in picture.nodes:
        for given in node.inputs:
            source = None if given.source is None else picture.nodes[given.source]
            found.append((node.op, given.name, "const" if source is None else source.label))
    return found


def test_a_diamond_and_a_shared_leaf() -> None:
    w = torch.ones(2, 3, requires_grad=True)
    a = w.exp()
    loss = (a * w + a.sin()).sum()
    picture = graph.trace(loss)
    assert edges(picture) == [
        ("exp", "x", "w"), ("mul", "x", "exp"), ("mul", "y", "w"), ("sin", "x", "exp"), ("add", "x", "mul"),
        ("add", "y", "sin"), ("sum", "x", "add"),
    ]  # fmt: skip
    assert [node.outputs[0].shape for node in picture.nodes] == [(2, 3)] * 5 + [()]
    assert [picture.nodes[i].op for i in picture.roots] == ["sum"]


def test_inputs_come_before_what_is_made_of_them() -> None:
    picture = graph.trace(loss_of(SmallGPT()))
    assert all(given.source < node.id for node in picture.nodes for given in node.inputs if given.source is not None)


def test_several_results_and_several_losses() -> None:
    x = torch.randn(4, 4, requires_grad=True)
    values, vectors = torch.linalg.eigh(x @ x.mT)
    picture = graph.trace([values.sum(), vectors.abs().sum()])
    decomposition = picture.find("eigh")[0]
    assert [value.shape for value in decomposition.outputs] == [(4,), (4, 4)]
    used = {given.output for node in picture.nodes for given in node.inputs if given.source == decomposition.id}
    assert used == {0, 1}
    assert len(picture.roots) == 2


def test_a_leaf_alone() -> None:
    w = torch.ones(3, requires_grad=True)
    picture = graph.trace(w)
    assert [node.kind for node in picture.nodes] == ["leaf"] and "leaf w  float32 (3,)" in picture.text()
    for draw in (picture.svg, picture.dot, picture.html):
        assert "(3,)" in draw()


def test_a_long_chain_needs_no_recursion() -> None:
    x = torch.ones(1, requires_grad=True)
    y = x
    for _ in range(3000):
        y = y * 1.0
    picture = graph.trace(y)
    assert len(picture.nodes) == 3001
    assert {len(node.group) for node in picture.nodes} == {2}  # pieces of 625, and in them of 25
    assert [picture.svg(depth).count('class="node"') for depth in (0, 1, 2)] == [5, 120, 3000]
    assert "3000 operations, 1 leaf" in picture.text()


def test_shapes_derived_are_those_of_the_tensors() -> None:
    """`record` sees every result: what is derived without it must be the same."""
    torch.manual_seed(0)
    model = SmallGPT()
    with graph.record() as seen:
        loss = loss_of(model)
    notes = {number: note.value for number, note in seen.notes.items()}
    with graph.record():  # forgets those notes
        pass
    picture = graph.trace(loss, model)
    things = [thing for thing in picture._things if hasattr(thing, "serial")]
    operations = [node for node in picture.nodes if node.kind == "operation"]
    assert len(operations) > 60
    for node, thing in zip(operations, things, strict=True):
        assert str(node.outputs[0]) == str(notes[thing.serial]), node


def test_saved_memory_counts_once_and_leaves_do_not_count() -> None:
    w = torch.ones(10, 10, requires_grad=True)
    a = w.exp()  # keeps its result: 400 B
    loss = (a * a.mT).sum()  # keeps two views of the same memory
    loss = loss + (w * w).sum()  # keeps the leaf, which is there anyway
    picture = graph.trace(loss)
    assert picture.saved_bytes == 400
    products = [node for node in picture.nodes if node.op == "mul"]
    assert [node.saved_bytes for node in products] == [800, 800]
    assert [saved.owner for saved in products[0].saved] == ["#1", "#1"]
    assert [saved.owner for saved in products[1].saved] == ["leaf", "leaf"]


def test_half_precision_complex_and_numbers() -> None:
    x = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    z = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    picture = graph.trace([(2 * x.exp()).sum(), (z * z).abs().sum()])
    assert {node.outputs[0].dtype for node in picture.nodes} == {"bfloat16", "complex64", "float32"}
    picture.probe()
    assert all(node.gradients[0].state == "ok" for node in picture.nodes)


def test_every_formula_of_the_library_has_its_text() -> None:
    """The text found is that of the very function: its parameters are the function's."""
    count = 0
    for module in pkgutil.iter_modules(rushlight.ops.__path__, "rushlight.ops."):
        for value in vars(importlib.import_module(module.name)).values():
            op = getattr(value, "op", None)
            for formula in [*getattr(op, "formulas", ()), getattr(op, "joint", None)]:
                if formula is None:
                    continue
                source = source_of(formula.function)
                assert source is not None, op.name
                is_lambda = source.code.startswith("lambda")  # which may go over several lines only in parentheses
                node = ast.parse(f"({source.code})" if is_lambda else source.code).body[0]
                node = node.value if isinstance(node, ast.Expr) else node
                parameters = [a.arg for a in node.args.args]
                assert parameters[2:] == formula.names, (op.name, source)
                count += 1
    assert count > 300


def test_text_of_lambdas_on_one_line_and_of_builtins() -> None:
    first, second = (lambda x: x + 1), (lambda x: x + 2)
    assert source_of(first).code == "lambda x: x + 1" and source_of(second).code == "lambda x: x + 2"
    assert source_of(len) is None and source_of(eval("lambda x: x")) is None


def test_modules_are_read_off_the_parameters() -> None:
    """Without `record`: the softmax lies between the attention's two maps, the activation between the layer's."""
    model = SmallGPT()
    loss = loss_of(model)
    picture = graph.trace(loss, model)
    where = {node.op: node.module for node in picture.nodes if "layers.1" in node.module}
    assert where["attention_weights"] == "blocks.layers.1.self_attn" and where["gelu"] == "blocks.layers.1"
    names = {node.name for node in picture.nodes if node.kind == "leaf"}
    assert names == {name for name, _ in model.named_parameters()}
    assert picture.missing == []


def test_a_users_function_and_packed_values() -> None:
    class Cube(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x.exp())
            return x**3

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.saved_tensors[0]

    x = torch.ones(5, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.clone(), lambda tensor: tensor):
        packed = x.exp()
    picture = graph.trace(Cube.apply(packed).sum())
    exp, cube = picture.find("exp")[0], picture.find("Cube")[0]
    assert (cube.op, str(cube.outputs[0]), cube.saved_bytes, exp.saved_bytes) == ("Cube", "float32 (5,)", 20, 20)
    assert cube.inputs[0].formula.code.startswith("def backward(ctx, grad):")
    assert picture.saved_bytes == 40
    picture.probe()
    assert cube.inputs[0].gradient.state == "ok" and exp.gradients[0].state == "ok"


def test_names_by_dict_by_variable_and_wrong_ones() -> None:
    weights = [torch.ones(2, requires_grad=True)]
    bias = torch.ones(2, requires_grad=True)
    loss = (weights[0] + bias).sum()
    leaves = [node.name for node in graph.trace(loss, {"w.0": weights[0]}).nodes if node.kind == "leaf"]
    assert leaves == ["w.0", "bias"]
    with pytest.raises(TypeError, match="names must be a module or a dict of tensors, not list"):
        graph.trace(loss, weights)
    with pytest.raises(TypeError, match="loss must be a Tensor or several, not int"):
        graph.trace([3])
    with pytest.raises(RuntimeError, match="does not require grad and does not have a grad_fn"):
        graph.trace(torch.ones(2))


def test_missing_parameters() -> None:
    model = nn.ModuleDict({"used": nn.Linear(2, 2), "unused": nn.Linear(2, 2)})
    picture = graph.trace(model["used"](torch.ones(1, 2)).sum(), model)
    assert picture.missing == ["unused.weight", "unused.bias"]
    assert "not in the graph: unused.weight, unused.bias" in picture.text()


def test_search_finds_by_operation_module_shape_formula_and_line() -> None:
    model = SmallGPT()
    with graph.record():
        loss = loss_of(model)
    picture = graph.trace(loss, model)
    assert [node.op for node in picture.find("softmax")][:2] == ["attention_weights", "attention_weights"]
    assert picture.find("layers.1 softmax")[0].module == "blocks.layers.1.self_attn"
    assert {node.op for node in picture.find("(2, 4, 16, 16)")} >= {"attention_weights", "matmul"}
    assert "attention_weights" in {node.op for node in picture.find("grad * out")}
    assert "cross_entropy_mean" in {node.op for node in picture.find("graph_models.py roll")}
    assert picture.find("nothing of the kind") == [] and picture.find("") == []


def test_a_graph_that_is_dropped_frees_everything() -> None:
    x = torch.ones(3, requires_grad=True)
    loss = x.exp().sum()
    node = weakref.ref(loss.grad_fn)
    gc.collect()
    gc.disable()
    try:
        picture = graph.trace(loss)
        picture.probe()
        picture.text(), picture.html()
        del picture, loss
        assert node() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("module", ["graph", "explain", "recording"])
def test_examples_in_docstrings(module: str) -> None:
    done = doctest.testmod(importlib.import_module(f"rushlight.autograd.graph.{module}"))
    assert done.attempted > 3 and done.failed == 0


# ---------------------------------------------------------------- gradients


def test_norms_of_gradients_are_pytorchs() -> None:
    data = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    found = {}
    for library in (torch, pytorch):
        w = library.tensor(data, requires_grad=True)
        hidden = (w @ w.mT).tanh()
        weights = hidden.softmax(1)
        loss = (weights * hidden).pow(2).sum()
        if library is torch:
            picture = graph.trace(loss)
            picture.backward()
            for name in ("tanh", "softmax", "w"):
                found[name] = picture.find(name)[0].gradients[0].norm
            assert w.grad is not None
        else:
            expected = pytorch.autograd.grad(loss, (hidden, weights, w))
            norms = dict(zip(("tanh", "softmax", "w"), (float(g.norm()) for g in expected), strict=True))
    assert found == pytest.approx(norms, rel=1e-5)


def test_what_is_sent_along_each_edge() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.tensor([3.0, 0.0], requires_grad=True)
    picture = graph.trace((x * y).sum())
    picture.probe()
    product = picture.find("mul")[0]
    assert [given.gradient.norm for given in product.inputs] == pytest.approx([3.0, 5**0.5])
    assert product.inputs[0].gradient.zeros == 1


def test_backward_is_backward_and_probing_changes_nothing() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * x
    y.retain_grad()
    seen = []
    y.register_hook(seen.append)
    loss = y.sum()
    picture = graph.trace(loss)
    picture.probe()
    assert x.grad is None and y.grad is None and len(seen) == 1
    assert picture.find("x")[0].gradients[0].norm == pytest.approx(20**0.5)
    picture.backward()
    assert x.grad.tolist() == [2.0, 4.0] and y.grad.tolist() == [1.0, 1.0] and len(seen) == 2
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        picture.backward()
    assert not any(has_hooks(thing) for thing in picture._things if thing is not x and thing is not y.grad_fn)


def test_statistics() -> None:
    from rushlight.autograd.graph.statistics import statistics_of

    found = statistics_of(np.array([3.0, np.nan, -4.0, np.inf, 0.0], np.float32))
    assert (found.norm, found.low, found.high, found.zeros, found.nans, found.infs) == (5.0, -4.0, 3.0, 1, 1, 1)
    assert found.state == "nan" and str(found) == "norm 5, in [-4, 3], 1 NaN, 1 Inf"
    assert statistics_of(np.zeros(3)).state == "zero" and statistics_of(np.zeros(0)).state == "ok"
    assert str(statistics_of(np.full(2, np.nan))) == "no finite number, 2 NaN"
    assert statistics_of(np.array([3 + 4j])).norm == 5.0
    assert np.isfinite(statistics_of(np.full(9, 1e308)).norm)
