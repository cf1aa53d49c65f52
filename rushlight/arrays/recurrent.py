"""Recurrent layers over a whole sequence, and backpropagation through time, on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`. What a step needs of its input, W x, is one product for all times and is
done before: `inputs` has it as columns, those of the first time first. `sizes` says how many samples each time has, longest
sequences first; with `reverse` the last time comes first. A state holds a column for each sample: a step replaces those of the
samples that it has, so that the state that is left is the last one of every sample, whichever the direction.

Inside, features are rows and samples columns: gates lie in memory one after the other, and BLAS takes half the time for W h that it
takes for h W^T where samples are few. Results for users have samples as rows. What only the way back needs is a vector, with a
block (features, samples) for each time.

Letters are those of Hochreiter & Schmidhuber (1997) and Cho et al. (2014) as PyTorch uses them: gates i, f, g, o; r, z, n.
The logistic function is taken as (1 + tanh(x / 2)) / 2: NumPy's tanh takes half the time of its exp.
"""

from __future__ import annotations

import numpy as np
from numpy import ndarray

Sizes = tuple[int, ...]
Times = list[tuple[slice, int]]


def steps(sizes: Sizes, reverse: bool) -> Times:
    """Where the samples of each time are, and how many, in the order of the steps."""
    ends = np.cumsum(sizes).tolist()
    found = [(slice(end - n, end), n) for end, n in zip(ends, sizes, strict=True)]
    return found[::-1] if reverse else found


def _blocks(vector: ndarray, height: int, times: Times) -> list[ndarray]:
    """The block of each time, in the order of the steps."""
    return [vector[now.start * height : now.stop * height].reshape(height, n) for now, n in times]


def _rows_before(rows: ndarray, initial: ndarray, times: Times) -> ndarray:
    """For each row of states the state of the same sample one step earlier."""
    out, state = np.empty_like(rows), initial.copy()
    for now, n in times:
        out[now] = state[:n]
        state[:n] = rows[now]
    return out


def _blocks_before(blocks: list[ndarray], initial: ndarray) -> list[ndarray]:
    """For each block of states those of the same samples one step earlier."""
    found, before = [], initial
    for block in blocks:
        n, m = block.shape[1], before.shape[1]
        found.append(before[:, :n] if n <= m else np.concatenate((before, initial[:, m:n]), axis=1))
        before = block
    return found


def _become_logistic(halves: ndarray) -> None:
    """What was tanh(x / 2) becomes logistic(x)."""
    halves *= 0.5
    halves += 0.5


# ---------------------------------------------------------------- one nonlinearity


def rnn_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool, rectify: bool
) -> tuple[ndarray, ndarray]:
    """h = tanh(input + W h + b), or max(0, ...) with `rectify`: all h, and the last of each sample."""
    column, state = bias.reshape(-1, 1), initial.T.copy()
    hidden = np.empty(inputs.shape[::-1], inputs.dtype)
    for now, n in steps(sizes, reverse):
        h = weight @ state[:, :n]
        h += inputs[:, now]
        h += column
        if rectify:
            np.maximum(h, 0, out=h)
        else:
            np.tanh(h, out=h)
        hidden[now] = h.T
        state[:, :n] = h
    return hidden, state.T.copy()


def rnn_backward(
    grad: ndarray, grad_last: ndarray, hidden: ndarray, initial: ndarray, weight: ndarray, *, sizes: Sizes,
    reverse: bool, rectify: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `rnn_states` by inputs, weight, bias and initial state."""
    times, turned = steps(sizes, reverse), np.ascontiguousarray(weight.T)
    slopes = (hidden > 0).astype(hidden.dtype) if rectify else 1 - hidden * hidden
    grads, back = np.empty(hidden.shape[::-1], hidden.dtype), grad_last.T.copy()
    for now, n in reversed(times):
        out = grad[now].T + back[:, :n]
        out *= slopes[now].T
        grads[:, now] = out
        back[:, :n] = turned @ out
    return grads, grads @ _rows_before(hidden, initial, times), grads.sum(axis=1), back.T.copy()


# ---------------------------------------------------------------- LSTM


def lstm_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, initial_cell: ndarray, *projection: ndarray,
    sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """All h, the last h and c of each sample; and for the way back all gates (after their nonlinearity) and all c.

    i, f, g, o = input + W h + b; c = f c + i g; h = o tanh(c), or the projection's product with it.
    """
    times, size, num = steps(sizes, reverse), initial_cell.shape[1], inputs.shape[1]
    column, state, cell = bias.reshape(-1, 1), initial.T.copy(), initial_cell.T.copy()
    hidden = np.empty((num, initial.shape[1]), inputs.dtype)
    gates, cells = (np.empty(num * height, inputs.dtype) for height in (4 * size, size))
    blocks = zip(times, _blocks(gates, 4 * size, times), _blocks(cells, size, times), strict=True)
    for (now, n), gate, c in blocks:
        i, f, g, o = gate.reshape(4, size, n)
        np.matmul(weight, state[:, :n], out=gate)
        gate += inputs[:, now]
        gate += column
        gate[: 2 * size] *= 0.5
        o *= 0.5
        np.tanh(gate, out=gate)
        _become_logistic(gate[: 2 * size])
        _become_logistic(o)
        np.multiply(f, cell[:, :n], out=c)
        h = i * g
        c += h
        np.tanh(c, out=h)
        h *= o
        if projection:
            h = projection[0] @ h
        hidden[now] = h.T
        state[:, :n] = h
        cell[:, :n] = c
    return hidden, state.T.copy(), cell.T.copy(), gates, cells


def lstm_backward(
    grad: ndarray, grad_last: ndarray, grad_cell: ndarray, hidden: ndarray, gates: ndarray, cells: ndarray,
    initial: ndarray, initial_cell: ndarray, weight: ndarray, *projection: ndarray, sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `lstm_states` by inputs, weight, bias, both initial states and the projection, if there is one."""
    times, size, num = steps(sizes, reverse), initial_cell.shape[1], len(hidden)
    cell_blocks = _blocks(cells, size, times)
    blocks = zip(
        times, _blocks(gates, 4 * size, times), cell_blocks, _blocks_before(cell_blocks, initial_cell.T), strict=True
    )
    turned, grads = np.ascontiguousarray(weight.T), np.empty((4 * size, num), hidden.dtype)
    back, back_cell = grad_last.T.copy(), grad_cell.T.copy()
    to_projection = np.zeros(projection[0].shape, hidden.dtype) if projection else None
    for (now, n), gate, c, c_before in reversed(list(blocks)):
        i, f, g, o = gate.reshape(4, size, n)
        t, dc, dh = np.tanh(c), back_cell[:, :n], grad[now].T + back[:, :n]
        if to_projection is not None:
            to_projection += dh @ (o * t).T
            dh = projection[0].T @ dh
        out = 1 - gate
        to_i, to_f, to_g, to_o = out.reshape(4, size, n)
        out *= gate  # the slopes of the logistic gates
        np.multiply(g, g, out=to_g)
        np.subtract(1, to_g, out=to_g)
        to_o *= t
        to_o *= dh
        t *= t
        np.subtract(1, t, out=t)
        t *= o
        t *= dh
        dc += t
        to_i *= g
        to_f *= c_before
        to_g *= i
        for to_gate in (to_i, to_f, to_g):
            to_gate *= dc
        dc *= f
        grads[:, now] = out
        back[:, :n] = turned @ out
    before = _rows_before(hidden, initial, times)
    results = grads, grads @ before, grads.sum(axis=1), back.T.copy(), back_cell.T.copy()
    return results if to_projection is None else (*results, to_projection)


# ---------------------------------------------------------------- GRU


def gru_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool
) -> tuple[ndarray, ...]:
    """All h, the last h of each sample; and for the way back all gates, and what r is multiplied with.

    With a = W h + b: r, z = logistic(input + a); n = tanh(input + r a); h = n + z (h - n).
    """
    times, size, num = steps(sizes, reverse), initial.shape[1], inputs.shape[1]
    column, state = bias.reshape(-1, 1), initial.T.copy()
    hidden = np.empty((num, size), inputs.dtype)
    gates, candidates = (np.empty(num * height, inputs.dtype) for height in (3 * size, size))
    blocks = zip(times, _blocks(gates, 3 * size, times), _blocks(candidates, size, times), strict=True)
    for (now, n), gate, candidate in blocks:
        r, z, new = gate.reshape(3, size, n)
        both, given = gate[: 2 * size], inputs[:, now]
        np.matmul(weight, state[:, :n], out=gate)
        gate += column
        candidate[...] = new
        both += given[: 2 * size]
        both *= 0.5
        np.tanh(both, out=both)
        _become_logistic(both)
        new *= r
        new += given[2 * size :]
        np.tanh(new, out=new)
        h = state[:, :n] - new
        h *= z
        h += new
        hidden[now] = h.T
        state[:, :n] = h
    return hidden, state.T.copy(), gates, candidates


def gru_backward(
    grad: ndarray, grad_last: ndarray, hidden: ndarray, gates: ndarray, candidates: ndarray, initial: ndarray,
    weight: ndarray, *, sizes: Sizes, reverse: bool,
) -> tuple[ndarray, ...]:  # fmt: skip
    """The gradients of `gru_states` by inputs, weight, bias and initial state."""
    times, size, num = steps(sizes, reverse), initial.shape[1], len(hidden)
    before, turned = _rows_before(hidden, initial, times), np.ascontiguousarray(weight.T)
    grads, grads_of_a = (np.empty((3 * size, num), hidden.dtype) for _ in range(2))
    back = grad_last.T.copy()
    blocks = zip(times, _blocks(gates, 3 * size, times), _blocks(candidates, size, times), strict=True)
    for (now, n), gate, candidate in reversed(list(blocks)):
        r, z, new = gate.reshape(3, size, n)
        dh, out = grad[now].T + back[:, :n], 1 - gate
        to_r, to_z, to_n = out.reshape(3, size, n)
        np.multiply(to_z, dh, out=to_n)
        to_n *= 1 - new * new
        to_r *= r
        to_r *= to_n
        to_r *= candidate
        to_z *= z
        to_z *= dh
        to_z *= before[now].T - new
        grads[:, now] = out
        to_n *= r
        grads_of_a[:, now] = out
        dh *= z
        dh += turned @ out
        back[:, :n] = dh
    return grads, grads_of_a @ before, grads_of_a.sum(axis=1), back.T.copy()
