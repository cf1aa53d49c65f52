"""Recurrent layers: one operation for a whole sequence, whose derivative is backpropagation through time (`arrays.recurrent`).

A step as an operation of its own would be recorded, and walked back over, time after time. What has no such routine (tensors, for
derivatives of higher order) gets the same steps as a composition of the waist's functions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.arrays import numpy as numpy_arrays, recurrent as routines, symbolic as symbolic_arrays
from rushlight.arrays.recurrent import Sizes, steps
from rushlight.ops.define import op
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.scanned import compiled_scan
from rushlight.tensor import Tensor, wrap

_WITH_ROUTINES = (numpy_arrays, symbolic_arrays)


routines.use(compiled_scan)


def _composed(
    xp: Any, step: Callable[..., tuple], constants: tuple, inputs: Any, states: tuple, sizes: Sizes, reverse: bool
) -> tuple:
    """(all h, the last states) of a step (`arrays.recurrent`) whose first output is h."""
    found = {}
    for now, n in steps(sizes, reverse):
        own = [xp.slice(state, (slice(n),)) for state in states]
        h, *others = step(xp, *constants, xp.slice(inputs, (now,)), *own)
        found[now.start] = h
        rest = [xp.slice(state, (slice(n, None),)) for state in states]
        pairs = zip(others[-len(states) :], rest, strict=True)
        states = tuple([xp.concat(pair, axis=0) if pair[1].shape[0] else pair[0] for pair in pairs])
    return (xp.concat(tuple([found[start] for start in sorted(found)]), axis=0), *states)


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
    step = routines.relu_step if rectify else routines.tanh_step
    return _composed(xp, step, (weight, bias), inputs, (initial,), sizes, reverse)


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
    step = routines.lstm_projected_step if projection else routines.lstm_step
    return _composed(xp, step, (weight, bias, *projection), inputs, (initial, initial_cell), sizes, reverse)


def _run_lstm(xp: Any, *arrays: Any, **attrs: Any) -> tuple:
    if xp in _WITH_ROUTINES:
        return xp.lstm_states(*arrays, **attrs)
    hidden, last, cell = _lstm_composed(xp, *arrays, **attrs)
    return hidden, last, cell, xp.full((0,), 0, hidden.dtype), xp.full((0,), 0, hidden.dtype)


_LSTM_OUTPUTS = ("hidden", "last", "last_cell", "gates", "before")


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence(xp, inputs, weight, bias, initial, initial_cell, *, sizes, reverse):
    """(all h, the last h and c of each sample, and two that the derivative needs: all gates and each c before)."""
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
    lambda xp, grad, inputs, weight, bias, initial, initial_cell, hidden, gates, before, sizes, reverse: (
        _lstm_gradients(
            xp, grad, (inputs, weight, bias, initial, initial_cell), (hidden, gates, before), sizes, reverse
        )
    )
)
lstm_sequence_projected.op.derivative_of_all(
    lambda xp, grad, inputs, weight, bias, initial, initial_cell, projection, hidden, gates, before, sizes, reverse: (
        _lstm_gradients(
            xp, grad, (inputs, weight, bias, initial, initial_cell, projection), (hidden, gates, before), sizes, reverse
        )
    )
)


# ---------------------------------------------------------------- GRU


def _gru_composed(
    xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, *, sizes: Sizes, reverse: bool
) -> tuple:  # fmt: skip
    return _composed(xp, routines.gru_step, (weight, bias), inputs, (initial,), sizes, reverse)


@op(outputs=("hidden", "last", "gates", "candidates", "before"), grad_name="Gru")
def gru_sequence(xp, inputs, weight, bias, initial, *, sizes, reverse):
    """(all h, the last h of each sample, and three that the derivative needs)."""
    if xp in _WITH_ROUTINES:
        return xp.gru_states(inputs, weight, bias, initial, sizes=sizes, reverse=reverse)
    hidden, last = _gru_composed(xp, inputs, weight, bias, initial, sizes=sizes, reverse=reverse)
    return hidden, last, *[xp.full((0,), 0, hidden.dtype) for _ in range(3)]


def _gru_gradients(
    xp: Any, grad: Any, inputs: Any, weight: Any, bias: Any, initial: Any, hidden: Any, gates: Any, candidates: Any,
    before: Any, sizes: Any, reverse: Any,
) -> list[Any]:  # fmt: skip
    attrs = {"sizes": sizes, "reverse": reverse}
    if xp not in _WITH_ROUTINES:
        return _differentiated(_gru_composed, (inputs, weight, bias, initial), grad[:2], attrs)
    grads = _or_zeros(xp, grad[:2], hidden, initial)
    return list(xp.gru_backward(*grads, gates, candidates, before, initial, weight, **attrs))


gru_sequence.op.derivative_of_all(_gru_gradients)
