"""Recurrent layers: one operation for a whole sequence, whose derivative is backpropagation through time (`arrays.recurrent`).

A step as an operation of its own would be recorded, and walked back over, time after time. What has no such routine (tensors, for
derivatives of higher order) gets the same steps as a composition of the waist's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.arrays import numpy as numpy_arrays, recurrent as routines, symbolic as symbolic_arrays
from rushlight.arrays.recurrent import Sizes, steps
from rushlight.ops.define import op, tensor_arrays
from rushlight.ops.fused import Fused
from rushlight.ops.matmul import transposed
from rushlight.tensor import Tensor, wrap

_WITH_ROUTINES = (numpy_arrays, symbolic_arrays)


routines.use(lambda function: Fused(function, num_threads=1))


def _composed(xp: Any, step: Callable[..., tuple], inputs: Any, states: tuple, sizes: Sizes, reverse: bool) -> tuple:
    """(all h, the last states) of `step(input, *states) -> states`, the first of which is h; in a step samples are columns."""
    states, found = tuple([transposed(xp, state) for state in states]), {}
    for now, n in steps(sizes, reverse):
        own = [xp.slice(state, (slice(None), slice(n))) for state in states]
        new = step(xp.slice(inputs, (slice(None), now)), *own)
        found[now.start] = transposed(xp, new[0])
        rest = [xp.slice(state, (slice(None), slice(n, None))) for state in states]
        states = tuple(
            [xp.concat(pair, axis=1) if pair[1].shape[1] else pair[0] for pair in zip(new, rest, strict=True)]
        )
    hidden = xp.concat(tuple([found[start] for start in sorted(found)]), axis=0)
    return (hidden, *[transposed(xp, state) for state in states])


def _differentiated(composed: Callable[..., tuple], inputs: tuple, grads: tuple, attrs: dict[str, Any]) -> list[Any]:
    """The gradients of the inputs where no routine computes them: by way of the composition, recorded anew.

    Those of Tensors have a history. Views stand for the inputs, so that a path by which one input depends on another is not
    walked here too.
    """
    from rushlight.autograd.gradients import grad
    from rushlight.autograd.modes import enable_grad

    with enable_grad():
        tensors = [x if isinstance(x, Tensor) else wrap(x) for x in inputs]
        views = [x.view(x.shape) if x._needs_grad else x.detach().requires_grad_() for x in tensors]
        results = composed(tensor_arrays, *views, **attrs)
        known = [(result, g) for result, g in zip(results, grads, strict=True) if g is not None]
        outputs, weights = zip(*[(out, g if isinstance(g, Tensor) else wrap(g)) for out, g in known], strict=True)
        has_history = isinstance(inputs[0], Tensor)
        found = grad(outputs, views, weights, create_graph=has_history, allow_unused=True)
        return list(found) if has_history else [None if g is None else g._array for g in found]


def _or_zeros(xp: Any, grads: tuple, *likes: Any) -> list[Any]:
    return [xp.full(x.shape, 0, x.dtype) if g is None else g for g, x in zip(grads, likes, strict=True)]


# ---------------------------------------------------------------- one nonlinearity


def _rnn_composed(
    xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, *, sizes: Sizes, reverse: bool, rectify: bool
) -> tuple:
    column = xp.reshape(bias, (-1, 1))

    def step(x: Any, h: Any) -> tuple:
        total = x + xp.matmul(weight, h) + column
        return (xp.maximum(total, 0.0) if rectify else xp.tanh(total),)

    return _composed(xp, step, inputs, (initial,), sizes, reverse)


@op(outputs=("hidden", "last"), grad_name="Rnn")
def rnn_sequence(xp, inputs, weight, bias, initial, *, sizes, reverse, rectify):
    """(all h, the last h of each sample) of h = tanh(input + weight h + bias), or max(0, ...) with `rectify`."""
    arrays, attrs = (inputs, weight, bias, initial), {"sizes": sizes, "reverse": reverse, "rectify": rectify}
    return xp.rnn_states(*arrays, **attrs) if xp in _WITH_ROUTINES else _rnn_composed(xp, *arrays, **attrs)


def _rnn_gradients(
    xp: Any, grad: Any, inputs: Any, weight: Any, bias: Any, initial: Any, hidden: Any, sizes: Any, reverse: Any,
    rectify: Any,
) -> list[Any]:  # fmt: skip
    attrs = {"sizes": sizes, "reverse": reverse, "rectify": rectify}
    if xp not in _WITH_ROUTINES:
        return _differentiated(_rnn_composed, (inputs, weight, bias, initial), grad, attrs)
    grads = _or_zeros(xp, grad, hidden, initial)
    return list(xp.rnn_backward(*grads, hidden, initial, weight, **attrs))


rnn_sequence.op.derivative_of_all(_rnn_gradients)


# ---------------------------------------------------------------- LSTM


def _lstm_composed(
    xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, initial_cell: Any, *projection: Any, sizes: Sizes,
    reverse: bool,
) -> tuple:  # fmt: skip
    column = xp.reshape(bias, (-1, 1))

    def step(x: Any, h: Any, c: Any) -> tuple:
        _, c, h = routines.lstm_cell(xp, xp.matmul(weight, h), x, column, c)
        return (xp.matmul(projection[0], h) if projection else h), c

    return _composed(xp, step, inputs, (initial, initial_cell), sizes, reverse)


def _run_lstm(xp: Any, *arrays: Any, **attrs: Any) -> tuple:
    if xp in _WITH_ROUTINES:
        return xp.lstm_states(*arrays, **attrs)
    hidden, last, cell = _lstm_composed(xp, *arrays, **attrs)
    return hidden, last, cell, xp.full((0,), 0, hidden.dtype), xp.full((0,), 0, hidden.dtype)


_LSTM_OUTPUTS = ("hidden", "last", "last_cell", "gates", "cells")


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence(xp, inputs, weight, bias, initial, initial_cell, *, sizes, reverse):
    """(all h, the last h and c of each sample, and two that the derivative needs: all gates and all c)."""
    return _run_lstm(xp, inputs, weight, bias, initial, initial_cell, sizes=sizes, reverse=reverse)


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence_projected(xp, inputs, weight, bias, initial, initial_cell, projection, *, sizes, reverse):
    """The same with the projection's product with h in the place of h."""
    return _run_lstm(xp, inputs, weight, bias, initial, initial_cell, projection, sizes=sizes, reverse=reverse)


def _lstm_gradients(xp: Any, grad: Any, inputs: tuple, outputs: tuple, sizes: Any, reverse: Any) -> list[Any]:
    grads, (weight, _, initial, initial_cell, *projection) = grad[:3], inputs[1:]
    if xp not in _WITH_ROUTINES:
        return _differentiated(_lstm_composed, inputs, grads, {"sizes": sizes, "reverse": reverse})
    known = _or_zeros(xp, grads, outputs[0], initial, initial_cell)
    arrays = (*known, *outputs, initial, initial_cell, weight, *projection)
    return list(xp.lstm_backward(*arrays, sizes=sizes, reverse=reverse))


lstm_sequence.op.derivative_of_all(
    lambda xp, grad, inputs, weight, bias, initial, initial_cell, hidden, gates, cells, sizes, reverse: _lstm_gradients(
        xp, grad, (inputs, weight, bias, initial, initial_cell), (hidden, gates, cells), sizes, reverse
    )
)
lstm_sequence_projected.op.derivative_of_all(
    lambda xp, grad, inputs, weight, bias, initial, initial_cell, projection, hidden, gates, cells, sizes, reverse: (
        _lstm_gradients(
            xp, grad, (inputs, weight, bias, initial, initial_cell, projection), (hidden, gates, cells), sizes, reverse
        )
    )
)


# ---------------------------------------------------------------- GRU


def _gru_composed(
    xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, *, sizes: Sizes, reverse: bool
) -> tuple:  # fmt: skip
    column = xp.reshape(bias, (-1, 1))

    def step(x: Any, h: Any) -> tuple:
        return (routines.gru_cell(xp, xp.matmul(weight, h), x, column, h)[2],)

    return _composed(xp, step, inputs, (initial,), sizes, reverse)


@op(outputs=("hidden", "last", "gates", "candidates"), grad_name="Gru")
def gru_sequence(xp, inputs, weight, bias, initial, *, sizes, reverse):
    """(all h, the last h of each sample, and two that the derivative needs)."""
    if xp in _WITH_ROUTINES:
        return xp.gru_states(inputs, weight, bias, initial, sizes=sizes, reverse=reverse)
    hidden, last = _gru_composed(xp, inputs, weight, bias, initial, sizes=sizes, reverse=reverse)
    return hidden, last, xp.full((0,), 0, hidden.dtype), xp.full((0,), 0, hidden.dtype)


def _gru_gradients(
    xp: Any, grad: Any, inputs: Any, weight: Any, bias: Any, initial: Any, hidden: Any, gates: Any, candidates: Any,
    sizes: Any, reverse: Any,
) -> list[Any]:  # fmt: skip
    attrs = {"sizes": sizes, "reverse": reverse}
    if xp not in _WITH_ROUTINES:
        return _differentiated(_gru_composed, (inputs, weight, bias, initial), grad[:2], attrs)
    grads = _or_zeros(xp, grad[:2], hidden, initial)
    return list(xp.gru_backward(*grads, hidden, gates, candidates, initial, weight, **attrs))


gru_sequence.op.derivative_of_all(_gru_gradients)
