"""Recurrent layers: one operation for a whole sequence, whose derivative is backpropagation through time (`arrays.recurrent`).

A step as an operation of its own would be recorded, and walked back over, time after time. What has no such routine (tensors, for
derivatives of higher order) gets the same steps as a composition of the waist's functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rushlight.arrays import kinds, numpy as numpy_arrays, recurrent as routines, symbolic as symbolic_arrays
from rushlight.arrays.recurrent import Sizes, at, steps
from rushlight.ops.define import op
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.scanned import compiled_scan
from rushlight.tensor import Tensor, wrap


def _has_routines(xp: Any) -> bool:
    return xp in (numpy_arrays, symbolic_arrays) or xp is kinds.GPU


routines.use(compiled_scan)


def _composed(
    xp: Any, step: Callable[..., tuple], weight: Any, constants: tuple, input: Any, states: tuple, *,
    sizes: Sizes | None, reverse: bool, batch_first: bool,
) -> tuple:  # fmt: skip
    """(all h, the last states) of a step (`arrays.recurrent`) whose first output is h. `weight` is the input's."""
    given = xp.matmul(input, xp.permute_dims(weight, (1, 0)))
    if batch_first:
        given = xp.permute_dims(given, (1, 0, 2))
    shape, found = given.shape, {}
    for start, n in steps(shape, sizes, reverse):
        own = [xp.slice(state, (slice(n),)) for state in states]
        h, *others = step(xp, *constants, xp.slice(given, at(start, n, len(shape))), *own)
        found[start] = h
        rest = [xp.slice(state, (slice(n, None),)) for state in states]
        pairs = zip(others[-len(states) :], rest, strict=True)
        states = tuple([xp.concat(pair, axis=0) if pair[1].shape[0] else pair[0] for pair in pairs])
    hidden = xp.concat(tuple([found[start] for start in sorted(found)]), axis=0)
    return (xp.reshape(hidden, (*shape[:-1], hidden.shape[1])), *states)


def _run(xp: Any, routine: str, composed: Callable[..., tuple], num_kept: int, *arrays: Any, **attrs: Any) -> tuple:
    """All results of an operation: those of its routine; of the composition, with nothing for what the routine's derivative needs."""
    if _has_routines(xp):
        return getattr(xp, routine)(*arrays, **attrs)
    results = composed(xp, *arrays, **attrs)
    return *results, *[xp.full((0,), 0, results[0].dtype) for _ in range(num_kept)]


def _order(sizes: Sizes | None, reverse: bool, batch_first: bool) -> dict[str, Any]:
    return {"sizes": sizes, "reverse": reverse, "batch_first": batch_first}


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


def _gradients(
    xp: Any, routine: str, composed: Callable[..., tuple], grads: Sequence[Any], likes: tuple, kept: tuple,
    inputs: tuple, input_grad: bool, **attrs: Any,
) -> list[Any]:  # fmt: skip
    """The gradients of an operation's inputs, without the first's if `input_grad` is False: it needs none.

    Args:
        grads: those of h and of the last states, or None; `likes` has their shapes.
        inputs: (input, weight_ih, weight_hh, bias_ih, bias_hh, initial states, projection).
    """
    if not _has_routines(xp):
        return _differentiated(composed, inputs, tuple(grads), attrs)
    known = [xp.full(x.shape, 0, x.dtype) if g is None else g for g, x in zip(grads, likes, strict=True)]
    input, weight_ih, weight_hh, _, _, *others = inputs
    weights = (weight_ih, weight_hh, *others[len(known) - 1 :])
    found = getattr(xp, routine)(*known, *kept, input, *weights, input_grad=input_grad, **attrs)
    return list(found) if input_grad else [None, *found]


# ---------------------------------------------------------------- one nonlinearity


def _rnn_composed(
    xp: Any, input: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, initial: Any, *, rectify: bool,
    **order: Any,
) -> tuple:  # fmt: skip
    step, constants = routines.relu_step if rectify else routines.tanh_step, (weight_hh, bias_ih + bias_hh)
    return _composed(xp, step, weight_ih, constants, input, (initial,), **order)


@op(outputs=("hidden", "last", "before"), grad_name="Rnn")
def rnn_sequence(
    xp, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, *, sizes, reverse, batch_first, input_grad, rectify
):
    """(all h, the last h of each sample, each h before) of h = tanh(weight_ih x + bias_ih + weight_hh h + bias_hh), or max(0, ...)."""
    arrays, attrs = (input, weight_ih, weight_hh, bias_ih, bias_hh, initial), _order(sizes, reverse, batch_first)
    return _run(xp, "rnn_states", _rnn_composed, 1, *arrays, **attrs, rectify=rectify)


rnn_sequence.op.derivative_of_all(
    lambda xp, grad, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, hidden, before, sizes, reverse,
    batch_first, input_grad, rectify: _gradients(
        xp, "rnn_backward", _rnn_composed, grad[:2], (hidden, initial), (hidden, before),
        (input, weight_ih, weight_hh, bias_ih, bias_hh, initial), input_grad, **_order(sizes, reverse, batch_first),
        rectify=rectify,
    )
)  # fmt: skip


# ---------------------------------------------------------------- LSTM


def _lstm_composed(
    xp: Any, input: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, initial: Any, initial_cell: Any,
    *projection: Any, **order: Any,
) -> tuple:  # fmt: skip
    step = routines.lstm_projected_step if projection else routines.lstm_step
    constants = (weight_hh, bias_ih + bias_hh, *projection)
    return _composed(xp, step, weight_ih, constants, input, (initial, initial_cell), **order)


_LSTM_OUTPUTS = ("hidden", "last", "last_cell", "gates", "cells", "before")


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence(
    xp, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell, *, sizes, reverse, batch_first, input_grad
):
    """(all h, the last h and c of each sample, and three that the derivative needs: all gates, each c and h before)."""
    arrays = input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell
    return _run(xp, "lstm_states", _lstm_composed, 3, *arrays, **_order(sizes, reverse, batch_first))


@op(outputs=_LSTM_OUTPUTS, grad_name="Lstm")
def lstm_sequence_projected(
    xp, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell, projection, *, sizes, reverse,
    batch_first, input_grad,
):  # fmt: skip
    """The same with the projection's product with h in the place of h."""
    arrays = input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell, projection
    return _run(xp, "lstm_states", _lstm_composed, 3, *arrays, **_order(sizes, reverse, batch_first))


def _lstm_gradients(xp: Any, grad: Any, inputs: tuple, kept: tuple, input_grad: bool, **order: Any) -> list[Any]:
    likes = kept[-1], inputs[5], inputs[6]
    return _gradients(xp, "lstm_backward", _lstm_composed, grad[:3], likes, kept, inputs, input_grad, **order)


lstm_sequence.op.derivative_of_all(
    lambda xp, grad, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell, gates, cells, before, sizes,
    reverse, batch_first, input_grad: _lstm_gradients(
        xp, grad, (input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell), (gates, cells, before),
        input_grad, **_order(sizes, reverse, batch_first),
    )
)  # fmt: skip
lstm_sequence_projected.op.derivative_of_all(
    lambda xp, grad, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell, projection, gates, cells,
    before, sizes, reverse, batch_first, input_grad: _lstm_gradients(
        xp, grad, (input, weight_ih, weight_hh, bias_ih, bias_hh, initial, initial_cell, projection),
        (gates, cells, before), input_grad, **_order(sizes, reverse, batch_first),
    )
)  # fmt: skip


# ---------------------------------------------------------------- GRU


def _gru_composed(
    xp: Any, input: Any, weight_ih: Any, weight_hh: Any, bias_ih: Any, bias_hh: Any, initial: Any, **order: Any
) -> tuple:
    return _composed(xp, routines.gru_step, weight_ih, (weight_hh, bias_ih, bias_hh), input, (initial,), **order)


@op(outputs=("hidden", "last", "gates", "candidates", "before"), grad_name="Gru")
def gru_sequence(
    xp, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, *, sizes, reverse, batch_first, input_grad
):
    """(all h, the last h of each sample, and three that the derivative needs)."""
    arrays = input, weight_ih, weight_hh, bias_ih, bias_hh, initial
    return _run(xp, "gru_states", _gru_composed, 3, *arrays, **_order(sizes, reverse, batch_first))


gru_sequence.op.derivative_of_all(
    lambda xp, grad, input, weight_ih, weight_hh, bias_ih, bias_hh, initial, gates, candidates, before, sizes,
    reverse, batch_first, input_grad: _gradients(
        xp, "gru_backward", _gru_composed, grad[:2], (before, initial), (gates, candidates, before),
        (input, weight_ih, weight_hh, bias_ih, bias_hh, initial), input_grad, **_order(sizes, reverse, batch_first),
    )
)  # fmt: skip
