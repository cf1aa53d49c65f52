"""Whole training steps, written by hand against the waist: what the tracer will record."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from rushlight.arrays import symbolic as xp
from rushlight.arrays.symbolic import Node, SymbolicArray
from rushlight.compiler.graph import Graph, interpret
from rushlight.compiler.program import build_program

FLOAT, LONG = np.dtype(np.float32), np.dtype(np.int64)


def symbolic_input(array: np.ndarray) -> SymbolicArray:
    return xp.symbolic(Node("input", (), {}, array.shape, array.dtype))


def make_graph(function: Any, arrays: list[np.ndarray], targets: list[int | None] | None = None) -> Graph:
    """The graph of a function of symbolic arrays that returns a list of them."""
    inputs = [symbolic_input(array) for array in arrays]
    outputs = function(*inputs)
    outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    nodes = [output.node for output in outputs]
    return Graph([x.node for x in inputs], nodes, targets or [None] * len(nodes))


def mlp_arrays(sizes: list[int], batch: int, method: str) -> list[np.ndarray]:
    """Data, labels, learning rate, then for each parameter itself and its optimizer state."""
    random = np.random.default_rng(0)
    data = random.uniform(0, 1, (batch, sizes[0])).astype(FLOAT)
    labels = random.integers(0, sizes[-1], batch)
    arrays = [data, labels, np.array(1e-3)]
    for fan_in, fan_out in itertools.pairwise(sizes):
        for shape in ((fan_out, fan_in), (fan_out,)):
            arrays.append((random.uniform(-1, 1, shape) / np.sqrt(fan_in)).astype(FLOAT))
            if method == "adagrad":
                arrays.append(np.zeros(shape, FLOAT))
            if method == "adam":
                arrays += [np.zeros((), FLOAT), np.zeros(shape, FLOAT), np.zeros(shape, FLOAT)]
    return arrays


STATE = {"sgd": 0, "adagrad": 1, "adam": 3}


def mlp_step(sizes: list[int], batch: int, method: str) -> tuple[Graph, list[np.ndarray]]:
    """Forward, cross entropy, backward and update of an MLP with ReLU."""
    arrays = mlp_arrays(sizes, batch, method)
    inputs = [symbolic_input(array) for array in arrays]
    data, labels, rate = inputs[:3]
    stride = 1 + STATE[method]
    params = inputs[3::stride]
    states = [inputs[4 + i * stride : 3 + (i + 1) * stride] for i in range(len(params))]
    loss, grads = _loss_and_grads(data, labels, params, batch)
    outputs, targets = [loss.node], [None]
    for number, (param, grad, state) in enumerate(zip(params, grads, states, strict=True)):
        new = UPDATES[method](param, grad, rate, *state)
        outputs += [value.node for value in new]
        targets += [3 + number * stride + k for k in range(stride)]
    return Graph([x.node for x in inputs], outputs, targets), arrays


def _loss_and_grads(data: Any, labels: Any, params: Any, batch: int) -> tuple[Any, list[Any]]:
    activations = [data]
    layers = [(params[i], params[i + 1]) for i in range(0, len(params), 2)]
    for i, (weight, bias) in enumerate(layers):
        out = xp.matmul(activations[-1], weight.T) + bias
        activations.append(xp.maximum(out, 0) if i + 1 < len(layers) else out)
    logits = activations[-1]
    shifted = logits - xp.max(logits, 1, True)
    log_probs = shifted - xp.log(xp.sum(xp.exp(shifted), 1, True))
    rows = xp.arange(0, batch, 1, LONG)
    spec = (("array", 0), ("array", 1))
    loss = xp.negative(xp.sum(xp.index_get(log_probs, rows, labels, spec=spec))) / batch
    zeros = xp.full(log_probs.shape, 0, FLOAT)
    each = xp.full((batch,), -1 / batch, FLOAT)
    grad = xp.index_put(zeros, each, rows, labels, spec=spec, accumulate=True)
    grad = grad - xp.exp(log_probs) * xp.sum(grad, 1, True)
    grads: list[Any] = []
    for i in reversed(range(len(layers))):
        grads[:0] = [xp.matmul(grad.T, activations[i]), xp.sum(grad, 0)]
        if i:
            grad = xp.matmul(grad, layers[i][0])
            grad = xp.where(xp.greater(activations[i], 0), grad, xp.symbolic(xp.node_of(0, FLOAT)))
    return loss, grads


def _sgd(param: Any, grad: Any, rate: Any) -> list[Any]:
    return [param - grad * xp.astype(rate, FLOAT)]


def _adagrad(param: Any, grad: Any, rate: Any, total: Any) -> list[Any]:
    total = total + grad * grad
    return [param - xp.astype(rate, FLOAT) * grad / (xp.sqrt(total) + 1e-10), total]


def _adam(param: Any, grad: Any, rate: Any, step: Any, mean: Any, square: Any) -> list[Any]:
    step = step + 1
    mean = mean + (grad - mean) * 0.1
    square = square * 0.999 + grad * grad * 0.001
    first = 1 - xp.pow(xp.symbolic(xp.node_of(0.9, FLOAT)), step)
    second = 1 - xp.pow(xp.symbolic(xp.node_of(0.999, FLOAT)), step)
    size = xp.astype(rate, FLOAT) / first
    new = param - size * mean / (xp.sqrt(square) / xp.sqrt(second) + 1e-8)
    return [new, step, mean, square]


UPDATES = {"sgd": _sgd, "adagrad": _adagrad, "adam": _adam}


def run_program(program: Any, graph: Graph, arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Runs once on copies of the arrays; the outputs, those written in place from where they were written."""
    arrays = [np.array(array) for array in arrays]
    for i, array in enumerate(arrays):
        program.bind_input(i, array)
    results = []
    for i, (output, target) in enumerate(zip(graph.outputs, graph.targets, strict=True)):
        if target is None:
            result = np.full(output.shape, 7, output.dtype)
            program.bind_output(i, result)
        else:
            result = arrays[target]
        results.append(result)
    program.run()
    return results


def check(
    function: Any,
    *arrays: np.ndarray,
    targets: list[int | None] | None = None,
    tolerance: float = 1e-5,
    num_threads: int = 1,
) -> Any:
    """Compiles a function, compares with the interpreter, and gives the program."""
    graph = make_graph(function, list(arrays), targets)
    with np.errstate(all="ignore"):
        want = interpret(graph, [array.copy() for array in arrays])
    program = build_program(graph, num_threads=num_threads)
    for expected, result in zip(want, run_program(program, graph, list(arrays)), strict=True):
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(result, expected, rtol=tolerance, atol=tolerance)
    return program


def real_arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.standard_normal(shape).astype(FLOAT) for shape in shapes]
