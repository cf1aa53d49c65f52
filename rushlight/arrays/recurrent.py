"""Recurrent layers over a whole sequence, and backpropagation through time, on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`. What a step needs of its input, x W^T + b, is one product for all times
and is done before: `inputs` has it as rows, those of the first time first. `sizes` says how many samples each time has, longest
sequences first; with `reverse` the last time comes first. A state holds a row for each sample: a step replaces the rows of
the samples that it has, so that the state that is left is the last one of every sample, whichever the direction.

Letters are those of Hochreiter & Schmidhuber (1997) and Cho et al. (2014) as PyTorch uses them: gates i, f, g, o; r, z, n.
The logistic function is taken as (1 + tanh(x / 2)) / 2: NumPy's tanh takes half the time of its exp.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

Sizes = tuple[int, ...]


def steps(sizes: Sizes, reverse: bool) -> list[tuple[slice, int]]:
    """The rows of each time and their number, in the order of the steps."""
    ends = np.cumsum(sizes).tolist()
    found = [(slice(end - n, end), n) for end, n in zip(ends, sizes, strict=True)]
    return found[::-1] if reverse else found


def _before(rows: ndarray, initial: ndarray, times: list[tuple[slice, int]]) -> ndarray:
    """For each row of states the state of the same sample one step earlier."""
    out, state = np.empty_like(rows), initial.copy()
    for now, n in times:
        out[now] = state[:n]
        state[:n] = rows[now]
    return out


# ---------------------------------------------------------------- one nonlinearity


def rnn_states(
    inputs: ndarray, weight: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool, rectify: bool
) -> tuple[ndarray, ndarray]:
    """h = tanh(input + h W^T), or max(0, ...) with `rectify`: all h, and the last of each sample."""
    hidden, state = np.empty_like(inputs), initial.copy()
    for now, n in steps(sizes, reverse):
        out = hidden[now]
        np.matmul(state[:n], weight.T, out=out)
        out += inputs[now]
        if rectify:
            np.maximum(out, 0, out=out)
        else:
            np.tanh(out, out=out)
        state[:n] = out
    return hidden, state


def rnn_backward(
    grad: ndarray, grad_last: ndarray, hidden: ndarray, initial: ndarray, weight: ndarray, *, sizes: Sizes,
    reverse: bool, rectify: bool,
) -> tuple[ndarray, ndarray, ndarray]:  # fmt: skip
    """The gradients of `rnn_states` by inputs, weight and initial state."""
    times = steps(sizes, reverse)
    slopes = (hidden > 0).astype(hidden.dtype) if rectify else 1 - hidden * hidden
    grads, back = grad * slopes, grad_last.copy()
    for now, n in reversed(times):
        out = grads[now]
        out += back[:n] * slopes[now]
        np.matmul(out, weight, out=back[:n])
    return grads, grads.T @ _before(hidden, initial, times), back


# ---------------------------------------------------------------- LSTM


def _logistic_where(is_logistic: list[int], size: int, dtype: np.dtype) -> tuple[ndarray, ndarray]:
    """(scale, shift) for gates of which some are logistic: gate = scale tanh(scale x) + shift."""
    shift = np.repeat(np.asarray(is_logistic, dtype) / 2, size)
    return 1 - shift, shift


def lstm_states(
    inputs: ndarray, weight: ndarray, initial: ndarray, initial_cell: ndarray, *projection: ndarray, sizes: Sizes,
    reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last h and c of each sample; and for the way back all gates (after their nonlinearity) and all c.

    i, f, g, o = input + h W^T; c = f c + i g; h = o tanh(c), or its product with the transposed projection.
    """
    size = initial_cell.shape[1]
    scale, shift = _logistic_where([1, 1, 0, 1], size, inputs.dtype)
    gates, cells = np.empty_like(inputs), np.empty((len(inputs), size), inputs.dtype)
    hidden = np.empty((len(inputs), initial.shape[1]), inputs.dtype)
    state, cell, turned = initial.copy(), initial_cell.copy(), weight.T
    for now, n in steps(sizes, reverse):
        gate, c = gates[now], cells[now]
        np.matmul(state[:n], turned, out=gate)
        gate += inputs[now]
        gate *= scale
        np.tanh(gate, out=gate)
        gate *= scale
        gate += shift
        i, f, g, o = (gate[:, k : k + size] for k in range(0, 4 * size, size))
        np.multiply(f, cell[:n], out=c)
        c += i * g
        h = np.tanh(c)
        h *= o
        if projection:
            h = h @ projection[0].T
        hidden[now] = state[:n] = h
        cell[:n] = c
    return hidden, state, cell, gates, cells


def lstm_backward(
    grad: ndarray, grad_last: ndarray, grad_cell: ndarray, hidden: ndarray, gates: ndarray, cells: ndarray,
    initial: ndarray, initial_cell: ndarray, weight: ndarray, *projection: ndarray, sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `lstm_states` by inputs, weight, both initial states and the projection, if there is one."""
    times, size = steps(sizes, reverse), cells.shape[1]
    tanh_cells, cells_before = np.tanh(cells), _before(cells, initial_cell, times)
    grads = np.empty_like(gates)
    back, back_cell = grad_last.copy(), grad_cell.copy()
    hidden_grads = np.empty_like(hidden) if projection else None
    for now, n in reversed(times):
        gate, out, t, dc = gates[now], grads[now], tanh_cells[now], back_cell[:n]
        i, f, g, o = (gate[:, k : k + size] for k in range(0, 4 * size, size))
        to_i, to_f, to_g, to_o = (out[:, k : k + size] for k in range(0, 4 * size, size))
        dh = grad[now] + back[:n]
        if hidden_grads is not None:
            hidden_grads[now] = dh
            dh = dh @ projection[0]
        np.subtract(1, gate, out=out)
        out *= gate  # the slopes of the logistic gates
        slope = g * g
        np.subtract(1, slope, out=to_g)
        to_o *= dh
        to_o *= t
        dh *= o
        np.multiply(t, t, out=slope)
        np.subtract(1, slope, out=slope)
        dh *= slope
        dc += dh
        to_i *= dc
        to_i *= g
        to_f *= dc
        to_f *= cells_before[now]
        to_g *= dc
        to_g *= i
        dc *= f
        np.matmul(out, weight, out=back[:n])
    results = grads, grads.T @ _before(hidden, initial, times), back, back_cell
    if hidden_grads is None:
        return results
    outputs = gates[:, 3 * size :] * tanh_cells
    return (*results, hidden_grads.T @ outputs)


# ---------------------------------------------------------------- GRU


def gru_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool
) -> tuple[ndarray, ...]:
    """All h, the last h of each sample; and for the way back all gates, and what r is multiplied with.

    With a = h W^T + b: r, z = logistic(input + a); n = tanh(input + r a); h = n + z (h - n).
    """
    size = initial.shape[1]
    gates, hidden = np.empty_like(inputs), np.empty((len(inputs), size), inputs.dtype)
    candidates, state = np.empty_like(hidden), initial.copy()
    for now, n in steps(sizes, reverse):
        gate, given, h = gates[now], inputs[now], hidden[now]
        np.matmul(state[:n], weight.T, out=gate)
        gate += bias
        both, new = gate[:, : 2 * size], gate[:, 2 * size :]
        candidates[now] = new
        both += given[:, : 2 * size]
        both *= 0.5
        np.tanh(both, out=both)
        both *= 0.5
        both += 0.5
        new *= gate[:, :size]
        new += given[:, 2 * size :]
        np.tanh(new, out=new)
        np.subtract(state[:n], new, out=h)
        h *= gate[:, size : 2 * size]
        h += new
        state[:n] = h
    return hidden, state, gates, candidates


def gru_backward(
    grad: ndarray, grad_last: ndarray, hidden: ndarray, gates: ndarray, candidates: ndarray, initial: ndarray,
    weight: ndarray, *, sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `gru_states` by inputs, weight, bias and initial state."""
    times, size = steps(sizes, reverse), candidates.shape[1]
    before = _before(hidden, initial, times)
    grads, grads_of_a = np.empty_like(gates), np.empty_like(gates)
    back = grad_last.copy()
    for now, n in reversed(times):
        gate, out, to_a = gates[now], grads[now], grads_of_a[now]
        r, z, new = (gate[:, k : k + size] for k in range(0, 3 * size, size))
        to_r, to_z, to_n = (out[:, k : k + size] for k in range(0, 3 * size, size))
        dh = grad[now] + back[:n]
        np.subtract(1, gate, out=out)
        to_n[...] = out[:, size : 2 * size] * dh * (1 - new * new)
        to_r *= r
        to_r *= to_n
        to_r *= candidates[now]
        to_z *= z
        to_z *= dh
        to_z *= before[now] - new
        to_a[...] = out
        to_a[:, 2 * size :] *= r
        np.matmul(to_a, weight, out=back[:n])
        dh *= z
        back[:n] += dh
    return grads, grads_of_a.T @ before, grads_of_a.sum(axis=0), back
