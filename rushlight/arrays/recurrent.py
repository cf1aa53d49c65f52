"""Recurrent layers over a whole sequence, and backpropagation through time, on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`. What a step needs of its input, x W^T, is one product for all times and is
done before: `inputs` has its rows, those of the first time first. `sizes` says how many samples each time has, longest
sequences first; with `reverse` the last time comes first. A state holds a row for each sample: a step replaces those of the
samples that it has, so that the state that is left is the last one of every sample, whichever the direction.

A layer, and its way back, is a step in terms of the waist and a `scan` of it over time. `ops/recurrent.py` has steps compiled, and then
the whole scan is one native program. Letters are those of Hochreiter & Schmidhuber (1997) and Cho et al. (2014) as PyTorch uses
them: gates i, f, g, o; r, z, n. The logistic function is taken as (1 + tanh(x / 2)) / 2: tanh takes half the time of exp and a division.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import numpy as numpy_arrays

Sizes = tuple[int, ...]
Times = tuple[tuple[slice, int], ...]
Step = Callable[..., tuple]


@functools.lru_cache(maxsize=64)
def steps(sizes: Sizes, reverse: bool) -> Times:
    """Where the samples of each time are, and how many, in the order of the steps."""
    ends = np.cumsum(sizes).tolist()
    found = tuple([(slice(end - n, end), n) for end, n in zip(ends, sizes, strict=True)])
    return found[::-1] if reverse else found


# ---------------------------------------------------------------- a step, time after time

_compiled_scan: Callable[..., Any] | None = None


def use(compiled_scan: Callable[..., Any]) -> None:
    """Says what runs a scan natively, from above: it has the arguments of `_scan`, and gives None where it cannot."""
    global _compiled_scan
    _compiled_scan = compiled_scan


def _scan(
    step: Step, constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray], times: Times
) -> tuple[list[ndarray], list[ndarray]]:
    """(outputs, last states) of `(*outputs, *states) = step(xp, *constants, *inputs, *states)` at each time.

    Rows are samples. Inputs and outputs have those of all times, states one for each sample.
    """
    found = _compiled_scan and _compiled_scan(step, constants, inputs, states, times)
    if found:
        return found
    states, outputs = [state.copy() for state in states], []
    for now, n in times:
        results = step(numpy_arrays, *constants, *[x[now] for x in inputs], *[state[:n] for state in states])
        new, kept = results[: -len(states)], results[-len(states) :]
        if not outputs:
            outputs = [np.empty((sum([n for _, n in times]), x.shape[1]), x.dtype) for x in new]
        for output, x in zip(outputs, new, strict=True):
            output[now] = x
        for state, x in zip(states, kept, strict=True):
            state[:n] = x
    return outputs, list(states)


def multiplied(xp: Any, x: Any, weight: Any) -> Any:
    """x W^T. Of few rows BLAS takes half as long for W x^T."""
    return xp.matmul(weight, x.T).T if xp is numpy_arrays else xp.matmul(x, xp.permute_dims(weight, (1, 0)))


def _product_with_before(grads: ndarray, hidden: ndarray, initial: ndarray, times: Times) -> ndarray:
    """The gradient of a weight that is multiplied with the states of one step earlier."""
    n, reverse = len(initial), times[0][0].start > 0
    if len(times) * n == len(hidden):  # sequences of one length: the states of one step earlier lie together
        first, later = times[0][0], slice(0, len(hidden) - n) if reverse else slice(n, None)
        earlier = slice(n, None) if reverse else slice(0, len(hidden) - n)
        out = numpy_arrays.matmul(grads[later].T, hidden[earlier])
        out += numpy_arrays.matmul(grads[first].T, initial)
        return out
    before, state = np.empty_like(hidden), initial.copy()
    for now, n in times:
        before[now] = state[:n]
        state[:n] = hidden[now]
    return numpy_arrays.matmul(grads.T, before)


def _parts(xp: Any, x: Any, count: int) -> list[Any]:
    """The gates that lie side by side."""
    size = x.shape[1] // count
    return [xp.slice(x, (slice(None), slice(k * size, (k + 1) * size))) for k in range(count)]


def _logistic(xp: Any, x: Any) -> Any:
    return xp.tanh(x * 0.5) * 0.5 + 0.5


# ---------------------------------------------------------------- one nonlinearity


def tanh_step(xp: Any, weight: Any, bias: Any, given: Any, h: Any) -> tuple[Any, Any]:
    """h = tanh(input + W h + b), as output and as state."""
    h = xp.tanh(multiplied(xp, h, weight) + given + bias)
    return h, h


def relu_step(xp: Any, weight: Any, bias: Any, given: Any, h: Any) -> tuple[Any, Any]:
    """h = max(0, input + W h + b)."""
    h = xp.maximum(multiplied(xp, h, weight) + given + bias, 0.0)
    return h, h


def _tanh_back(xp: Any, weight: Any, grad: Any, h: Any, back: Any, total: Any) -> tuple[Any, ...]:
    """The gradient of a step's input; of the h before, and the sum of the former so far."""
    out = (grad + back) * (1.0 - h * h)
    return out, xp.matmul(out, weight), total + out


def _relu_back(xp: Any, weight: Any, grad: Any, h: Any, back: Any, total: Any) -> tuple[Any, ...]:
    out = xp.where(xp.greater(h, 0.0), grad + back, 0.0)
    return out, xp.matmul(out, weight), total + out


def rnn_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool, rectify: bool
) -> tuple[ndarray, ndarray]:
    """All h, and the last of each sample."""
    step = relu_step if rectify else tanh_step
    (hidden,), (last,) = _scan(step, (weight, bias), (inputs,), (initial,), steps(sizes, reverse))
    return hidden, last


def rnn_backward(
    grad: ndarray, grad_last: ndarray, hidden: ndarray, initial: ndarray, weight: ndarray, *, sizes: Sizes,
    reverse: bool, rectify: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `rnn_states` by inputs, weight, bias and initial state."""
    times, total = steps(sizes, reverse), np.zeros_like(initial)
    step = _relu_back if rectify else _tanh_back
    (grads,), (back, total) = _scan(step, (weight,), (grad, hidden), (grad_last, total), times[::-1])
    return grads, _product_with_before(grads, hidden, initial, times), total.sum(axis=0), back


# ---------------------------------------------------------------- LSTM


def lstm_cell(xp: Any, product: Any, given: Any, bias: Any, cell: Any) -> tuple[Any, Any, Any]:
    """(all gates, c, h) from W h, the input's part, b and the c before.

    i, f, g, o = input + W h + b; c = f c + i g; h = o tanh(c).
    """
    i, f, g, o = _parts(xp, product + given + bias, 4)
    i, f, g, o = _logistic(xp, i), _logistic(xp, f), xp.tanh(g), _logistic(xp, o)
    c = f * cell + i * g
    return xp.concat((i, f, g, o), axis=1), c, o * xp.tanh(c)


def lstm_step(xp: Any, weight: Any, bias: Any, given: Any, h: Any, c: Any) -> tuple[Any, ...]:
    """(h, all gates, the c before) as outputs, (h, c) as states."""
    gates, after, h = lstm_cell(xp, multiplied(xp, h, weight), given, bias, c)
    return h, gates, c, h, after


def lstm_projected_step(
    xp: Any, weight: Any, bias: Any, projection: Any, given: Any, h: Any, c: Any
) -> tuple[Any, ...]:  # fmt: skip
    """The same with the projection's product with h in the place of h."""
    gates, after, h = lstm_cell(xp, multiplied(xp, h, weight), given, bias, c)
    h = multiplied(xp, h, projection)
    return h, gates, c, h, after


def _lstm_slopes(xp: Any, gate: Any, before: Any, dh: Any, dc: Any) -> tuple[Any, Any, Any]:
    """The gradients of a step's product and of the c before, from those of its h and c; and h."""
    i, f, g, o = _parts(xp, gate, 4)
    t = xp.tanh(f * before + i * g)
    dc = dc + dh * o * (1.0 - t * t)
    parts = dc * g * i * (1.0 - i), dc * before * f * (1.0 - f), dc * i * (1.0 - g * g), dh * t * o * (1.0 - o)
    return xp.concat(parts, axis=1), dc * f, o * t


def _lstm_back(
    xp: Any, weight: Any, grad: Any, gate: Any, before: Any, back: Any, back_cell: Any, total: Any
) -> tuple[Any, ...]:  # fmt: skip
    out, dc, _ = _lstm_slopes(xp, gate, before, grad + back, back_cell)
    return out, xp.matmul(out, weight), dc, total + out


def _lstm_projected_back(
    xp: Any, weight: Any, projection: Any, grad: Any, gate: Any, before: Any, back: Any, back_cell: Any, total: Any
) -> tuple[Any, ...]:  # fmt: skip
    """Two outputs more: the gradient of the projected h, and h."""
    dh = grad + back
    out, dc, h = _lstm_slopes(xp, gate, before, xp.matmul(dh, projection), back_cell)
    return out, dh, h, xp.matmul(out, weight), dc, total + out


def lstm_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, initial_cell: ndarray, *projection: ndarray,
    sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last h and c of each sample; and for the way back all gates (after their nonlinearity) and each c before."""
    step = lstm_projected_step if projection else lstm_step
    constants, states = (weight, bias, *projection), (initial, initial_cell)
    (hidden, gates, before), (last, cell) = _scan(step, constants, (inputs,), states, steps(sizes, reverse))
    return hidden, last, cell, gates, before


def lstm_backward(
    grad: ndarray, grad_last: ndarray, grad_cell: ndarray, hidden: ndarray, gates: ndarray, before: ndarray,
    initial: ndarray, initial_cell: ndarray, weight: ndarray, *projection: ndarray, sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `lstm_states` by inputs, weight, bias, both initial states and the projection, if there is one."""
    times, total = steps(sizes, reverse), np.zeros((len(initial), gates.shape[1]), gates.dtype)
    step, constants = _lstm_projected_back if projection else _lstm_back, (weight, *projection)
    states = (grad_last, grad_cell, total)
    (grads, *others), found = _scan(step, constants, (grad, gates, before), states, times[::-1])
    back, back_cell, total = found
    by_weight = _product_with_before(grads, hidden, initial, times)
    by_projection = [numpy_arrays.matmul(others[0].T, others[1])] if projection else []
    return grads, by_weight, total.sum(axis=0), back, back_cell, *by_projection


# ---------------------------------------------------------------- GRU


def gru_cell(xp: Any, product: Any, given: Any, bias: Any, state: Any) -> tuple[Any, Any, Any]:
    """(all gates, what r is multiplied with, h) from W h, the input's part, b and the h before.

    With a = W h + b: r, z = logistic(input + a); n = tanh(input + r a); h = n + z (h - n).
    """
    (a_r, a_z, a_n), (x_r, x_z, x_n) = _parts(xp, product + bias, 3), _parts(xp, given, 3)
    r, z = _logistic(xp, a_r + x_r), _logistic(xp, a_z + x_z)
    n = xp.tanh(x_n + r * a_n)
    return xp.concat((r, z, n), axis=1), a_n, n + z * (state - n)


def gru_step(xp: Any, weight: Any, bias: Any, given: Any, state: Any) -> tuple[Any, ...]:
    """(h, all gates, what r is multiplied with, the h before) as outputs, h as state."""
    gates, candidate, h = gru_cell(xp, multiplied(xp, state, weight), given, bias, state)
    return h, gates, candidate, state, h


def _gru_back(
    xp: Any, weight: Any, grad: Any, gate: Any, candidate: Any, before: Any, back: Any, total: Any
) -> tuple[Any, ...]:  # fmt: skip
    """The gradients of a step's input and of a = W h + b; of the h before, and the sum of those of a so far."""
    dh = grad + back
    r, z, n = _parts(xp, gate, 3)
    dn = dh * (1.0 - z) * (1.0 - n * n)
    dr, dz = dn * candidate * r * (1.0 - r), dh * (before - n) * z * (1.0 - z)
    of_a = xp.concat((dr, dz, dn * r), axis=1)
    return xp.concat((dr, dz, dn), axis=1), of_a, xp.matmul(of_a, weight) + dh * z, total + of_a


def gru_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool
) -> tuple[ndarray, ...]:
    """All h, the last h of each sample; and for the way back all gates, what r is multiplied with, and each h before."""
    found, (last,) = _scan(gru_step, (weight, bias), (inputs,), (initial,), steps(sizes, reverse))
    hidden, gates, candidates, before = found
    return hidden, last, gates, candidates, before


def gru_backward(
    grad: ndarray, grad_last: ndarray, gates: ndarray, candidates: ndarray, before: ndarray, initial: ndarray,
    weight: ndarray, *, sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `gru_states` by inputs, weight, bias and initial state."""
    times, total = steps(sizes, reverse), np.zeros((len(initial), gates.shape[1]), gates.dtype)
    arrays, states = (grad, gates, candidates, before), (grad_last, total)
    (grads, of_a), (back, total) = _scan(_gru_back, (weight,), arrays, states, times[::-1])
    return grads, numpy_arrays.matmul(of_a.T, before), total.sum(axis=0), back
