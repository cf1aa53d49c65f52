"""Recurrent layers over a whole sequence, and backpropagation through time, on arrays of the CPU or a GPU.

Part of the waist: names here are listed in `protocol.HOST`. The input is (time, batch, features); or, with `batch_first`, (batch, time,
features), and so is its gradient and what is kept for the way back, so that the products of all times find their rows side by side. All h
are (time, batch, features). Of sequences of several lengths there are rows, those of the first time first: `sizes` says how many
samples each time has, longest sequences first. With `reverse` the last time comes first. A state holds a row for each sample: a step
replaces those of the samples that it has, so that the state that is left is the last one of every sample, whichever the direction.

A layer, and its way back, is a step in terms of the waist and a `scan` of it over time. `ops/recurrent.py` has steps compiled, and then
the whole scan is one native program, or on a GPU a loop that only launches. Letters are those of Hochreiter & Schmidhuber (1997) and Cho
et al. (2014) as PyTorch uses them: gates i, f, g, o; r, z, n. The logistic function is taken as (1 + tanh(x / 2)) / 2: tanh takes half
the time of exp and a division.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds, numpy as numpy_arrays

Sizes = tuple[int, ...]
Times = tuple[tuple[int, int], ...]
Step = Callable[..., tuple]


@functools.lru_cache(maxsize=64)
def steps(shape: tuple[int, ...], sizes: Sizes | None, reverse: bool) -> Times:
    """(start, number of samples) of each time, in the order of the steps; see `at`. `shape` begins with (time, batch) or is that of rows."""
    if sizes is None:
        found = tuple([(time, shape[1]) for time in range(shape[0])])
    else:
        ends = np.cumsum(sizes).tolist()
        found = tuple([(end - n, n) for end, n in zip(ends, sizes, strict=True)])
    return found[::-1] if reverse else found


def at(start: int, n: int, ndim: int) -> tuple[slice | int]:
    """The index of a time's samples in an array of this many dimensions."""
    return (start if ndim == 3 else slice(start, start + n),)


def by_time(x: Any, batch_first: bool) -> Any:
    """(batch, time, features) as (time, batch, features), and back, where it lies."""
    return x.transpose(1, 0, 2) if batch_first else x


def empty_output(like: ndarray, width: int, batch_first: bool) -> ndarray:
    """An output with the times and samples of `like`. With `batch_first` those of a sample lie together in memory."""
    if batch_first:
        return by_time(np.empty((like.shape[1], like.shape[0], width), like.dtype, like=like), True)
    return np.empty((*like.shape[:-1], width), like.dtype, like=like)


# ---------------------------------------------------------------- a step, time after time

_compiled_scan: Callable[..., Any] | None = None


def use(compiled_scan: Callable[..., Any]) -> None:
    """Says what runs a scan natively, from above: it has the arguments of `_scan`, and gives None where it cannot."""
    global _compiled_scan
    _compiled_scan = compiled_scan


def _scan(
    step: Step, constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray], times: Times,
    batch_first: Sequence[bool],
) -> tuple[list[ndarray], list[ndarray]]:  # fmt: skip
    """(outputs, last states) of `(*outputs, *states) = step(xp, *constants, *inputs, *states)` at each time.

    Rows are samples. Inputs and outputs have those of all times, states one for each sample. `batch_first` says of each output how
    it lies in memory; on a GPU that is time after time, whatever is asked for.
    """
    xp = kinds.namespace_of(inputs[0])
    if xp is not numpy_arrays:
        batch_first = [False] * len(batch_first)
    found = _compiled_scan and _compiled_scan(step, constants, inputs, states, times, batch_first)
    if found:
        return found
    states, outputs = [state.copy() for state in states], []
    for start, n in times:
        now = at(start, n, inputs[0].ndim)
        results = step(xp, *constants, *[x[now] for x in inputs], *[state[:n] for state in states])
        new, kept = results[: -len(states)], results[-len(states) :]
        if not outputs:
            outputs = [empty_output(inputs[0], x.shape[1], first) for x, first in zip(new, batch_first, strict=True)]
        for output, x in zip(outputs, new, strict=True):
            output[now] = x
        for state, x in zip(states, kept, strict=True):
            state[:n] = x
    return outputs, list(states)


SMALL = 1 << 20  # elements of a weight that a native step may read anew at every time: they stay in the last cache


@functools.cache
def with_product(step: Step, num_states: int) -> Step:
    """The step on its input itself, which is multiplied with a weight that comes first."""
    place = -1 - num_states

    def whole(xp: Any, weight: Any, *arrays: Any) -> tuple[Any, ...]:
        return step(xp, *arrays[:place], multiplied(xp, arrays[place], weight), *arrays[place + 1 :])

    return whole


@functools.cache
def with_gradient(step: Step) -> Step:
    """A step back that gives the gradient of the input itself first."""

    def whole(xp: Any, weight: Any, *arrays: Any) -> tuple[Any, ...]:
        results = step(xp, *arrays)
        return xp.matmul(results[0], weight), *results

    return whole


def _native(
    step: Step, constants: Sequence[ndarray], inputs: Sequence[ndarray], states: Sequence[ndarray], times: Times,
    batch_first: Sequence[bool],
) -> tuple[list[ndarray], list[ndarray]] | None:  # fmt: skip
    """A native scan of a step that multiplies with the first constant too; None if a product for all times is to do that.

    A step has its rows at hand, so they are neither written nor read once more, nor put in order for BLAS. Not so on a GPU.
    """
    if not isinstance(inputs[0], ndarray) or _compiled_scan is None or len(times) == 1 or constants[0].size > SMALL:
        return None
    found: tuple[list[ndarray], list[ndarray]] | None = _compiled_scan(
        step, constants, inputs, states, times, batch_first
    )
    return found


def _scan_there(
    step: Step, weight: ndarray, constants: Sequence[ndarray], input: ndarray, states: Sequence[ndarray],
    num_kept: int, *, sizes: Sizes | None, reverse: bool, batch_first: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last states, and what is kept for the way back. `weight` is the input's."""
    rest = states, steps(by_time(input, batch_first).shape, sizes, reverse), [False] + num_kept * [batch_first]
    found = _native(with_product(step, len(states)), (weight, *constants), (by_time(input, batch_first),), *rest)
    if found is None:
        given = _product(input, weight.T)
        found = _scan(step, constants, (by_time(given, batch_first),), *rest)
    (hidden, *kept), last = found
    return hidden, *last, *[by_time(x, batch_first) for x in kept]


def _scan_back(
    step: Step, weight: ndarray | None, constants: Sequence[ndarray], of_h: Sequence[ndarray], kept: Sequence[ndarray],
    states: Sequence[ndarray], num_outputs: int, of_bias: int = 0, *, sizes: Sizes | None, reverse: bool,
    batch_first: bool,
) -> tuple[list[ndarray], list[ndarray]]:  # fmt: skip
    """(outputs, last states) of a step on `of_h`, which lie as all h do, and `kept`, in whose order the outputs are.

    With the input's weight, its gradient is the first output. The last state is the sum of output `of_bias`: a CPU adds up what a step
    has just made, a row for each sample; a GPU everything at the end, one row for all.
    """
    inputs, times = (*of_h, *[by_time(x, batch_first) for x in kept]), steps(of_h[0].shape, sizes, not reverse)
    found = None
    if weight is not None:
        orders = (num_outputs + 1) * [batch_first]
        found = _native(with_gradient(step), (weight, *constants), inputs, states, times, orders)
    if found is not None:
        return [by_time(x, batch_first) for x in found[0]], found[1]
    orders = num_outputs * [batch_first]
    if isinstance(inputs[0], ndarray):
        outputs, last = _scan(step, constants, inputs, states, times, orders)
    else:
        outputs, last = _scan(_without_sum(step), constants, inputs, states[:-1], times, orders)
        last.append(outputs[of_bias].reshape(-1, outputs[of_bias].shape[-1]).sum(axis=0, keepdims=True))
    outputs = [by_time(x, batch_first) for x in outputs]
    return outputs if weight is None else [_product(outputs[0], weight), *outputs], last


@functools.cache
def _without_sum(step: Step) -> Step:
    """A step back without its last state."""
    return lambda xp, *arrays: step(xp, *arrays, 0.0)[:-1]


def _product(x: ndarray, y: ndarray) -> ndarray:
    product: ndarray = kinds.namespace_of(x).matmul(x, y)
    return product


def _product_of_all(grads: ndarray, values: ndarray) -> ndarray:
    """The gradient of a weight from the gradients of its products, and what it was multiplied with."""
    if grads.ndim == 3 and not grads.flags.c_contiguous:  # a GPU's, of samples first
        grads, values = by_time(grads, True), by_time(values, True)
    return _product(grads.reshape(-1, grads.shape[-1]).T, values.reshape(-1, values.shape[-1]))


def multiplied(xp: Any, x: Any, weight: Any) -> Any:
    """x W^T. Of few rows BLAS takes half as long for W x^T."""
    return xp.matmul(weight, x.T).T if xp is numpy_arrays else xp.matmul(x, xp.permute_dims(weight, (1, 0)))


def _parts(xp: Any, x: Any, count: int) -> list[Any]:
    """The gates that lie side by side."""
    size = x.shape[1] // count
    return [xp.slice(x, (slice(None), slice(k * size, (k + 1) * size))) for k in range(count)]


def _logistic(xp: Any, x: Any) -> Any:
    return xp.tanh(x * 0.5) * 0.5 + 0.5


# ---------------------------------------------------------------- one nonlinearity


def tanh_step(xp: Any, weight: Any, bias: Any, given: Any, before: Any) -> tuple[Any, ...]:
    """(h, the h before) as outputs, h as state: h = tanh(input + W h + b)."""
    h = xp.tanh(multiplied(xp, before, weight) + given + bias)
    return h, before, h


def relu_step(xp: Any, weight: Any, bias: Any, given: Any, before: Any) -> tuple[Any, ...]:
    """The same with h = max(0, input + W h + b)."""
    h = xp.maximum(multiplied(xp, before, weight) + given + bias, 0.0)
    return h, before, h


def _tanh_back(xp: Any, weight: Any, grad: Any, h: Any, back: Any, total: Any) -> tuple[Any, ...]:
    """The gradient of a step's input; of the h before, and the sum of the former so far."""
    out = (grad + back) * (1.0 - h * h)
    return out, xp.matmul(out, weight), total + out


def _relu_back(xp: Any, weight: Any, grad: Any, h: Any, back: Any, total: Any) -> tuple[Any, ...]:
    out = xp.where(xp.greater(h, 0.0), grad + back, 0.0)
    return out, xp.matmul(out, weight), total + out


def rnn_states(
    input: ndarray, weight_ih: ndarray, weight_hh: ndarray, bias_ih: ndarray, bias_hh: ndarray, initial: ndarray, *,
    rectify: bool, **order: Any,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last of each sample; and for the way back each h before."""
    step, constants = relu_step if rectify else tanh_step, (weight_hh, bias_ih + bias_hh)
    return _scan_there(step, weight_ih, constants, input, (initial,), 1, **order)


def rnn_backward(
    grad: ndarray, grad_last: ndarray, hidden: ndarray, before: ndarray, input: ndarray, weight_ih: ndarray,
    weight_hh: ndarray, *, rectify: bool, input_grad: bool, **order: Any,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `rnn_states` by its arguments: by the input only with `input_grad`."""
    step, states = _relu_back if rectify else _tanh_back, (grad_last, np.zeros_like(grad_last))
    weight = weight_ih if input_grad else None
    (*by_input, grads), (back, total) = _scan_back(step, weight, (weight_hh,), (grad, hidden), (), states, 1, **order)
    bias = total.sum(axis=0)
    return *by_input, _product_of_all(grads, input), _product_of_all(grads, before), bias, bias, back


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
    """(h, all gates, the c and the h before) as outputs, (h, c) as states."""
    gates, after, new = lstm_cell(xp, multiplied(xp, h, weight), given, bias, c)
    return new, gates, c, h, new, after


def lstm_projected_step(
    xp: Any, weight: Any, bias: Any, projection: Any, given: Any, h: Any, c: Any
) -> tuple[Any, ...]:  # fmt: skip
    """The same with the projection's product with h in the place of h."""
    gates, after, new = lstm_cell(xp, multiplied(xp, h, weight), given, bias, c)
    new = multiplied(xp, new, projection)
    return new, gates, c, h, new, after


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
    input: ndarray, weight_ih: ndarray, weight_hh: ndarray, bias_ih: ndarray, bias_hh: ndarray, initial: ndarray,
    initial_cell: ndarray, *projection: ndarray, **order: Any,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last h and c of each sample; and for the way back all gates (after their nonlinearity), each c and h before."""
    step, constants = lstm_projected_step if projection else lstm_step, (weight_hh, bias_ih + bias_hh, *projection)
    return _scan_there(step, weight_ih, constants, input, (initial, initial_cell), 3, **order)


def lstm_backward(
    grad: ndarray, grad_last: ndarray, grad_cell: ndarray, gates: ndarray, cells: ndarray, before: ndarray,
    input: ndarray, weight_ih: ndarray, weight_hh: ndarray, *projection: ndarray, input_grad: bool, **order: Any,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `lstm_states` by its arguments: by the input only with `input_grad`."""
    total = np.zeros((len(grad_last), gates.shape[-1]), gates.dtype)
    step, num_outputs = (_lstm_projected_back, 3) if projection else (_lstm_back, 1)
    weight, constants, states = (
        weight_ih if input_grad else None,
        (weight_hh, *projection),
        (grad_last, grad_cell, total),
    )
    outputs, last = _scan_back(step, weight, constants, (grad,), (gates, cells), states, num_outputs, **order)
    *by_input, grads = outputs[: 1 + input_grad]
    back, back_cell, total = last
    bias, by_projection = total.sum(axis=0), [_product_of_all(*outputs[-2:])] if projection else []
    by_weights = _product_of_all(grads, input), _product_of_all(grads, before)
    return *by_input, *by_weights, bias, bias, back, back_cell, *by_projection


# ---------------------------------------------------------------- GRU


def gru_cell(xp: Any, product: Any, given: Any, bias: Any, state: Any) -> tuple[Any, Any, Any]:
    """(all gates, what r is multiplied with, h) from W h, the input's part, b and the h before.

    With a = W h + b: r, z = logistic(input + a); n = tanh(input + r a); h = n + z (h - n).
    """
    (a_r, a_z, a_n), (x_r, x_z, x_n) = _parts(xp, product + bias, 3), _parts(xp, given, 3)
    r, z = _logistic(xp, a_r + x_r), _logistic(xp, a_z + x_z)
    n = xp.tanh(x_n + r * a_n)
    return xp.concat((r, z, n), axis=1), a_n, n + z * (state - n)


def gru_step(xp: Any, weight: Any, bias_ih: Any, bias: Any, given: Any, state: Any) -> tuple[Any, ...]:
    """(h, all gates, what r is multiplied with, the h before) as outputs, h as state."""
    gates, candidate, h = gru_cell(xp, multiplied(xp, state, weight), given + bias_ih, bias, state)
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
    input: ndarray, weight_ih: ndarray, weight_hh: ndarray, bias_ih: ndarray, bias_hh: ndarray, initial: ndarray,
    **order: Any,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last h of each sample; and for the way back all gates, what r is multiplied with, and each h before."""
    return _scan_there(gru_step, weight_ih, (weight_hh, bias_ih, bias_hh), input, (initial,), 3, **order)


def gru_backward(
    grad: ndarray, grad_last: ndarray, gates: ndarray, candidates: ndarray, before: ndarray, input: ndarray,
    weight_ih: ndarray, weight_hh: ndarray, *, input_grad: bool, **order: Any,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `gru_states` by its arguments: by the input only with `input_grad`."""
    total = np.zeros((len(grad_last), gates.shape[-1]), gates.dtype)
    weight, kept, states = weight_ih if input_grad else None, (gates, candidates, before), (grad_last, total)
    outputs, (back, total) = _scan_back(_gru_back, weight, (weight_hh,), (grad,), kept, states, 2, of_bias=1, **order)
    *by_input, grads, of_a = outputs
    by_weights = _product_of_all(grads, input), _product_of_all(of_a, before)
    bias_ih = grads.reshape(-1, grads.shape[-1]).sum(axis=0)
    return *by_input, *by_weights, bias_ih, total.sum(axis=0), back
