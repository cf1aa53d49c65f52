"""Recurrent layers over a whole sequence, and backpropagation through time, on NumPy arrays.

Part of the waist: names here are listed in `protocol.HOST`. What a step needs of its input, W x, is one product for all times and is
done before: `inputs` has it as columns, those of the first time first. `sizes` says how many samples each time has, longest
sequences first; with `reverse` the last time comes first. A state holds a column for each sample: a step replaces those of the
samples that it has, so that the state that is left is the last one of every sample, whichever the direction.

Inside, features are rows and samples columns: gates lie in memory one after the other, and BLAS takes half the time for W h that it
takes for h W^T where samples are few. Results for users have samples as rows. What only the way back needs is a vector, with a
block (features, samples) for each time.

What a step does to each element is a function of the waist, which `ops/recurrent.py` has compiled. Letters are those of Hochreiter & Schmidhuber (1997) and Cho et al. (2014) as PyTorch uses them: gates i, f, g, o; r, z, n.
The logistic function is taken as (1 + tanh(x / 2)) / 2: tanh takes half the time of exp and a division.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import numpy as numpy_arrays

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


def _parts(xp: Any, x: Any, count: int) -> list[Any]:
    """The gates that lie one after the other."""
    size = x.shape[0] // count
    return [xp.slice(x, (slice(k * size, (k + 1) * size),)) for k in range(count)]


def _logistic(xp: Any, x: Any) -> Any:
    return xp.tanh(x * 0.5) * 0.5 + 0.5


_kernels: dict[Any, Callable[..., Any]] = {}


def use(compile: Callable[..., Any]) -> None:
    """Says what compiles the functions of a step: `compile(function)`."""
    _kernels.update({function: compile(function) for function in (lstm_cell, lstm_slopes, gru_cell, gru_slopes)})


# ---------------------------------------------------------------- one nonlinearity


def rnn_states(
    inputs: ndarray, weight: ndarray, bias: ndarray, initial: ndarray, *, sizes: Sizes, reverse: bool, rectify: bool
) -> tuple[ndarray, ndarray]:
    """h = tanh(input + W h + b), or max(0, ...) with `rectify`: all h, and the last of each sample."""
    column, state = bias.reshape(-1, 1), initial.T.copy()
    hidden = np.empty(inputs.shape[::-1], inputs.dtype)
    for now, n in steps(sizes, reverse):
        h = numpy_arrays.matmul(weight, state[:, :n])
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
        back[:, :n] = numpy_arrays.matmul(turned, out)
    return grads, numpy_arrays.matmul(grads, _rows_before(hidden, initial, times)), grads.sum(axis=1), back.T.copy()


# ---------------------------------------------------------------- LSTM


def lstm_cell(xp: Any, product: Any, given: Any, column: Any, cell: Any) -> tuple[Any, Any, Any]:
    """(all gates, c, h) from W h, the input's part, b and the c before."""
    i, f, g, o = _parts(xp, product + given + column, 4)
    i, f, g, o = _logistic(xp, i), _logistic(xp, f), xp.tanh(g), _logistic(xp, o)
    c = f * cell + i * g
    return xp.concat((i, f, g, o), axis=0), c, o * xp.tanh(c)


def lstm_slopes(xp: Any, gate: Any, c: Any, before: Any, dh: Any, dc: Any) -> tuple[Any, Any]:
    """The gradients of a step's product and of the c before, from those of its h and c."""
    i, f, g, o = _parts(xp, gate, 4)
    t = xp.tanh(c)
    dc = dc + dh * o * (1.0 - t * t)
    parts = dc * g * i * (1.0 - i), dc * before * f * (1.0 - f), dc * i * (1.0 - g * g), dh * t * o * (1.0 - o)
    return xp.concat(parts, axis=0), dc * f


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
    step = _kernels.get(lstm_cell, lstm_cell)
    blocks = zip(times, _blocks(gates, 4 * size, times), _blocks(cells, size, times), strict=True)
    for (now, n), gate, c in blocks:
        product, given = numpy_arrays.matmul(weight, state[:, :n]), np.ascontiguousarray(inputs[:, now])
        gate[...], c[...], h = step(numpy_arrays, product, given, column, np.ascontiguousarray(cell[:, :n]))
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
    slopes, cell_blocks = _kernels.get(lstm_slopes, lstm_slopes), _blocks(cells, size, times)
    blocks = zip(
        times, _blocks(gates, 4 * size, times), cell_blocks, _blocks_before(cell_blocks, initial_cell.T), strict=True
    )
    turned, grads = np.ascontiguousarray(weight.T), np.empty((4 * size, num), hidden.dtype)
    back, back_cell = grad_last.T.copy(), grad_cell.T.copy()
    to_projection = np.zeros(projection[0].shape, hidden.dtype) if projection else None
    for (now, n), gate, c, c_before in reversed(list(blocks)):
        dh = grad[now].T + back[:, :n]
        if to_projection is not None:
            to_projection += dh @ (gate[3 * size :] * np.tanh(c)).T
            dh = projection[0].T @ dh
        arrays = (np.ascontiguousarray(x) for x in (c_before, dh, back_cell[:, :n]))
        out, back_cell[:, :n] = slopes(numpy_arrays, gate, c, *arrays)
        grads[:, now] = out
        back[:, :n] = numpy_arrays.matmul(turned, out)
    before = _rows_before(hidden, initial, times)
    results = grads, numpy_arrays.matmul(grads, before), grads.sum(axis=1), back.T.copy(), back_cell.T.copy()
    return results if to_projection is None else (*results, to_projection)


# ---------------------------------------------------------------- GRU


def gru_cell(xp: Any, product: Any, given: Any, column: Any, state: Any) -> tuple[Any, Any, Any]:
    """(all gates, what r is multiplied with, h) from W h, the input's part, b and the h before."""
    (a_r, a_z, a_n), (x_r, x_z, x_n) = _parts(xp, product + column, 3), _parts(xp, given, 3)
    r, z = _logistic(xp, a_r + x_r), _logistic(xp, a_z + x_z)
    n = xp.tanh(x_n + r * a_n)
    return xp.concat((r, z, n), axis=0), a_n, n + z * (state - n)


def gru_slopes(xp: Any, gate: Any, candidate: Any, before: Any, dh: Any) -> tuple[Any, Any, Any]:
    """The gradients of a step's input, of a = W h + b, and of the h before as far as it does not go through a."""
    r, z, n = _parts(xp, gate, 3)
    dn = dh * (1.0 - z) * (1.0 - n * n)
    dr, dz = dn * candidate * r * (1.0 - r), dh * (before - n) * z * (1.0 - z)
    return xp.concat((dr, dz, dn), axis=0), xp.concat((dr, dz, dn * r), axis=0), dh * z


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
    step = _kernels.get(gru_cell, gru_cell)
    for (now, n), gate, candidate in blocks:
        before = np.ascontiguousarray(state[:, :n])
        arrays = numpy_arrays.matmul(weight, before), np.ascontiguousarray(inputs[:, now]), column, before
        gate[...], candidate[...], h = step(numpy_arrays, *arrays)
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
    slopes = _kernels.get(gru_slopes, gru_slopes)
    grads, grads_of_a = (np.empty((3 * size, num), hidden.dtype) for _ in range(2))
    back = grad_last.T.copy()
    blocks = zip(times, _blocks(gates, 3 * size, times), _blocks(candidates, size, times), strict=True)
    for (now, n), gate, candidate in reversed(list(blocks)):
        dh = np.ascontiguousarray(grad[now].T + back[:, :n])
        arrays = gate, candidate, np.ascontiguousarray(before[now].T), dh
        grads[:, now], out, direct = slopes(numpy_arrays, *arrays)
        grads_of_a[:, now] = out
        back[:, :n] = numpy_arrays.matmul(turned, out) + direct
    return grads, numpy_arrays.matmul(grads_of_a, before), grads_of_a.sum(axis=1), back.T.copy()
