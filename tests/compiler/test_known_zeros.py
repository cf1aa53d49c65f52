"""Updates from the gradient of a lookup: on rows where that is enough, on the whole table where it is not."""

from __future__ import annotations

import numpy as np
import pytest

import rushlight
from rushlight.arrays import symbolic as xp
from rushlight.arrays.sorting import first_places
from rushlight.arrays.symbolic import Node, symbolic
from rushlight.compiler.graph import Graph, interpret
from rushlight.compiler.known_zeros import known_zeros
from rushlight.compiler.simplify import simplify
from rushlight.compiler.verify import verify

ROWS, WIDTH, COUNT = 60, 4, 9
F, INT = np.dtype(np.float32), np.dtype(np.int64)


def update(rule, extra_output=False):
    """A graph: the table (and a state) after a rule was applied to the gradient of a lookup."""
    inputs = [
        Node("input", (), {"index": i}, shape, dtype)
        for i, (shape, dtype) in enumerate(
            [((ROWS, WIDTH), F), ((ROWS, WIDTH), F), ((COUNT, WIDTH), F), ((COUNT,), INT)]
        )
    ]
    table, state, values, index = map(symbolic, inputs)
    zeros = xp.full((ROWS, WIDTH), 0, F)
    grad = xp.index_put(zeros, values, index, spec=(("array", 0),), accumulate=True)
    outputs = [x.node for x in rule(table, state, grad)]
    targets = [0, 1][: len(outputs)]
    if extra_output:
        outputs.append(grad.node)
        targets.append(None)
    return Graph(inputs, outputs, targets)


def sgd(table, state, grad):
    return [table - 0.1 * grad]


def adagrad(table, state, grad):
    total = state + grad * grad
    return [table - 0.1 * (grad / (xp.sqrt(total) + 1e-8)), total]


def clipped(table, state, grad):
    norm = xp.sqrt(xp.sum(grad * grad))
    return [table - grad * xp.minimum(1.0 / (norm + 1e-6), xp.full((), 1.0, F))]


def decayed(table, state, grad):
    return [table - 0.1 * (grad + 0.01 * table)]


def adam(table, state, grad):
    mean = state + 0.1 * (grad - state)
    return [table - 0.1 * mean, mean]


def arrays(graph):
    random = np.random.default_rng(0)
    index = np.array([3, 3, 0, 59, 7, 3, 0, 20, -1])  # some twice, one from the end
    return [*(np.abs(random.standard_normal(node.shape)).astype(F) for node in graph.inputs[:3]), index]


def whole_tables(graph):
    """Nodes that compute something for every row."""
    return [n for n in graph.nodes() if n.shape == (ROWS, WIDTH) and n.op not in ("input", "index_put", "broadcast_to")]


def test_first_places():
    index = np.random.default_rng(0).integers(-30, 60, 500) % 60
    found = first_places(index, size=60)
    np.testing.assert_array_equal(found, (index[:, None] == index).argmax(1))


@pytest.mark.parametrize("rule", [sgd, adagrad, clipped])
def test_rows_are_enough(rule):
    graph = update(rule)
    better = known_zeros(simplify(graph))
    verify(better)
    assert not whole_tables(better)
    given = arrays(graph)
    for a, b in zip(interpret(better, given), interpret(graph, given), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rule", [decayed, adam])
def test_every_row_moves(rule):
    graph = simplify(update(rule))
    assert known_zeros(graph) is graph


def test_a_gradient_that_is_wanted_itself_is_whole():
    graph = simplify(update(sgd, extra_output=True))
    assert known_zeros(graph) is graph


def test_rows_that_are_not_looked_up_are_left_alone():
    """Also where their state is no number, and a product with 0 would not be 0."""
    graph = update(adagrad)
    given = arrays(graph)
    given[1][5] = np.nan
    table, _ = interpret(known_zeros(simplify(graph)), given)
    np.testing.assert_array_equal(table[5], given[0][5])


def test_the_gradient_left_behind_is_whole_when_it_is_looked_at():
    weight = rushlight.nn.Parameter(rushlight.ones(50, 3))
    optimizer = rushlight.optim.SGD([weight], lr=0.5)

    @rushlight.compile(fullgraph=True)
    def step(index):
        optimizer.zero_grad()
        rushlight.nn.functional.embedding(index, weight).sum().backward()
        optimizer.step()

    index = rushlight.tensor([4, 4, 9])
    for _ in range(2):
        step(index)
        index[0] = 8  # what the step has seen is not what is asked for later
    expected = np.zeros((50, 3))
    expected[[8, 4, 9]] = 1
    np.testing.assert_array_equal(weight.grad.numpy(), expected)
    assert type(weight.grad) is rushlight.Tensor
    assert weight[4].tolist() == [-0.5] * 3  # 1 - 2 * 0.5 - 0.5
    weight.grad = None
    weight.grad = rushlight.ones(50, 3)
    assert step(index) is None and weight.grad[0, 0] == 0
