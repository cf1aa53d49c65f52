"""Recurrent layers: one operation for a whole sequence, whose derivative is backpropagation through time (`arrays.recurrent`).

A step as an operation of its own would be recorded, and walked back over, time after time. What has no such routine (tensors, for
derivatives of higher order) gets the same steps as a composition of the waist's functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rushlight.arrays import numpy as numpy_arrays, recurrent as routines, symbolic as symbolic_arrays
from rushlight.arrays.recurrent import Sizes, at, steps
from rushlight.ops.define import op, tensor_arrays
from rushlight.ops.scanned import compiled_scan
from rushlight.tensor import Tensor, wrap

_WITH_ROUTINES = (numpy_arrays, symbolic_arrays)


routines.use(compiled_scan)


def _composed(
    xp: Any, step: Callable[..., tuple], constants: tuple, inputs: Any, states: tuple, *, sizes: Sizes | None,
    reverse: bool, batch_first: bool,
) -> tuple:  # fmt: skip
    """(all h, the last states) of a step (`arrays.recurrent`) whose first output is h."""
    if batch_first:
        inputs = xp.permute_dims(inputs, (1, 0, 2))
    shape, found = inputs.shape, {}
    for start, n in steps(shape, sizes, reverse):
        own = [xp.slice(state, (slice(n),)) for state in states]
        h, *others = step(xp, *constants, xp.slice(inputs, at(start, n, len(shape))), *own)
        found[start] = h
        rest = [xp.slice(state, (slice(n, None),)) for state in states]
        pairs = zip(others[-len(states) :], rest, strict=True)
        states = tuple([xp.concat(pair, axis=0) if pair[1].shape[0] else pair[0] for pair in pairs])
    hidden = xp.concat(tuple([found[start] for start in sorted(found)]), axis=0)
    return (xp.reshape(hidden, (*shape[:-1], hidden.shape[1])), *states)


def _run(xp: Any, routine: str, composed: Callable[..., tuple], num_kept: int, *arrays: Any, **attrs: Any) -> tuple:
    """All results of an operation: those of its routine; of the composition, with nothing for what the routine's derivative needs."""
    if xp in _WITH_ROUTINES:
        return getattr(xp, routine)(*arrays, **attrs)
    results = composed(xp, *arrays, **attrs)
    return *results, *[xp.full((0,), 0, results[0].dtype) for _ in range(num_kept)]


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


def _or_zeros(xp: Any, grads: Sequence[Any], *likes: Any) -> list[Any]:
    return [xp.full(x.shape, 0, x.dtype) if g is None else g for g, x in zip(grads, likes, strict=True)]


# ---------------------------------------------------------------- one nonlinearity


def _rnn_composed(xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, *, rectify: bool, **order: Any) -> tuple:
    step = routines.relu_step if rectify else routines.tanh_step
    return _composed(xp, step, (weight, bias), inputs, (initial,), **order)


@op(outputs=("hidden", "last", "before"), grad_name="Rnn")
def rnn_sequence(xp, inputs, weight, bias, initial, *, sizes, reverse, batch_first, rectify):
    """(all h, the last h of each sample, each h before) of h = tanh(input + weight h + bias), or max(0, ...) with `rectify`."""
    attrs = {"sizes": sizes, "reverse": reverse, "batch_first": batch_first, "rectify": rectify}
    return _run(xp, "rnn_states", _rnn_composed, 1, inputs, weight, bias, initial, **attrs)


def _rnn_gradients(
    xp: Any, grad: Any, inputs: Any, weight: Any, bias: Any, initial: Any, hidden: Any, before: Any, sizes: Any,
    reverse: Any, batch_first: Any, rectify: Any,
) -> list[Any]:  # fmt: skip
    attrs = {"sizes": sizes, "reverse": reverse, "batch_first": batch_first, "rectify": rectify}
    if xp not in _WITH_ROUTINES:
        return _differentiated(_rnn_composed, (inputs, weight, bias, initial), grad[:2], attrs)
    known = _or_zeros(xp, grad[:2], hidden, initial)
    return list(xp.rnn_backward(*known, hidden, before, weight, **attrs))


rnn_sequence.op.derivative_of_all(_rnn_gradients)


# ---------------------------------------------------------------- LSTM


def _lstm_composed(
    xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, initial_cell: Any, *projection: Any, **order: Any
) -> tuple:
    step = routines.lstm_projected_step if projection else routines.lstm_step
    return _composed(xp, step, (weight, bias, *projection), inputs, (initial, initial_cell), **order)


def _run_lstm(xp: Any, *arrays: Any, **order: Any) -> tuple:
    return _run(xp, "lstm_states", _lstm_composed, 3, *arrays, **order)


_LSTM_OUTPUTS = ("hidden", "last", "last_cell", "gates", "cells", "before")


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence(xp, inputs, weight, bias, initial, initial_cell, *, sizes, reverse, batch_first):
    """(all h, the last h and c of each sample, and three that the derivative needs: all gates, each c and h before)."""
    order = {"sizes": sizes, "reverse": reverse, "batch_first": batch_first}
    return _run_lstm(xp, inputs, weight, bias, initial, initial_cell, **order)


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence_projected(
    xp, inputs, weight, bias, initial, initial_cell, projection, *, sizes, reverse, batch_first
):
    """The same with the projection's product with h in the place of h."""
    order = {"sizes": sizes, "reverse": reverse, "batch_first": batch_first}
    return _run_lstm(xp, inputs, weight, bias, initial, initial_cell, projection, **order)


def _lstm_gradients(xp: Any, grad: Any, inputs: tuple, kept: tuple, **order: Any) -> list[Any]:
    grads, (weight, _, initial, initial_cell, *projection) = grad[:3], inputs[1:]
    if xp not in _WITH_ROUTINES:
        return _differentiated(_lstm_composed, inputs, grads, order)
    known = _or_zeros(xp, grads, kept[-1], initial, initial_cell)
    return list(xp.lstm_backward(*known, *kept, weight, *projection, **order))


lstm_sequence.op.derivative_of_all(
    lambda xp, grad, inputs, weight, bias, initial, initial_cell, gates, cells, before, sizes, reverse, batch_first: (
        _lstm_gradients(
            xp, grad, (inputs, weight, bias, initial, initial_cell), (gates, cells, before), sizes=sizes,
            reverse=reverse, batch_first=batch_first,
        )
    )
)  # fmt: skip
lstm_sequence_projected.op.derivative_of_all(
    lambda xp, grad, inputs, weight, bias, initial, initial_cell, projection, gates, cells, before, sizes, reverse, batch_first: (
        _lstm_gradients(
            xp, grad, (inputs, weight, bias, initial, initial_cell, projection), (gates, cells, before), sizes=sizes,
            reverse=reverse, batch_first=batch_first,
        )
    )
)  # fmt: skip


# ---------------------------------------------------------------- GRU


def _gru_composed(xp: Any, inputs: Any, weight: Any, bias: Any, initial: Any, **order: Any) -> tuple:
    return _composed(xp, routines.gru_step, (weight, bias), inputs, (initial,), **order)


@op(outputs=("hidden", "last", "gates", "candidates", "before"), grad_name="Gru")
def gru_sequence(xp, inputs, weight, bias, initial, *, sizes, reverse, batch_first):
    """(all h, the last h of each sample, and three that the derivative needs)."""
    order = {"sizes": sizes, "reverse": reverse, "batch_first": batch_first}
    return _run(xp, "gru_states", _gru_composed, 3, inputs, weight, bias, initial, **order)


def _gru_gradients(
    xp: Any, grad: Any, inputs: Any, weight: Any, bias: Any, initial: Any, gates: Any, candidates: Any, before: Any,
    sizes: Any, reverse: Any, batch_first: Any,
) -> list[Any]:  # fmt: skip
    order = {"sizes": sizes, "reverse": reverse, "batch_first": batch_first}
    if xp not in _WITH_ROUTINES:
        return _differentiated(_gru_composed, (inputs, weight, bias, initial), grad[:2], order)
    known = _or_zeros(xp, grad[:2], before, initial)
    return list(xp.gru_backward(*known, gates, candidates, before, weight, **order))


gru_sequence.op.derivative_of_all(_gru_gradients)
