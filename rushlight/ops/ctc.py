"""Connectionist temporal classification (Graves et al., 2006): the likelihood of a label sequence, whatever its timing.

A path through time visits l' = blank, label 1, blank, label 2, ..., blank: each step stays, goes on by one, or leaves out a
blank between different labels. All paths are summed by dynamic programming, over samples and places at once; the
only loop is over time. Letters are the paper's, and logarithms of its quantities.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rushlight.ops.define import op
from rushlight.ops.namespaces import counted

_INFINITY = math.inf


def _with_blanks(xp: Any, labels: Any, blank: int) -> Any:
    """l': (N, 2 S + 1) from labels (N, S)."""
    batch, length = labels.shape
    pairs = xp.concat(
        (xp.full((batch, length, 1), blank, labels.dtype), xp.reshape(labels, (batch, length, 1))), axis=2
    )
    return xp.concat((xp.reshape(pairs, (batch, 2 * length)), xp.full((batch, 1), blank, labels.dtype)), axis=1)


def _moved(xp: Any, x: Any, steps: int) -> Any:
    """x with each column `steps` to the right, or to the left if negative; -inf comes in."""
    batch, width = x.shape
    count = min(abs(steps), width)
    empty = xp.full((batch, count), -_INFINITY, x.dtype)
    if steps > 0:
        return xp.concat((empty, xp.slice(x, (slice(None), slice(0, width - count)))), axis=1)
    return xp.concat((xp.slice(x, (slice(None), slice(count, width))), empty), axis=1)


def _log_sum(xp: Any, *terms: Any) -> Any:
    """log(exp(a) + exp(b) + ...), also where all are -inf."""
    top = terms[0]
    for term in terms[1:]:
        top = xp.maximum(top, term)
    finite = xp.where(top == -_INFINITY, 0.0, top)
    total = xp.exp(terms[0] - finite)
    for term in terms[1:]:
        total = total + xp.exp(term - finite)
    return xp.log(total) + finite


def _skips(xp: Any, places: Any) -> Any:
    """0 where a path may come from two places before, -inf elsewhere: at labels that differ from the one before."""
    width = places.shape[1]
    if width < 3:
        return xp.full((1, width), -_INFINITY, np.dtype(np.float64))
    before, after = (
        xp.slice(places, (slice(None), slice(0, width - 2))),
        xp.slice(places, (slice(None), slice(2, width))),
    )
    is_label = xp.equal(xp.remainder(xp.arange(2, width, 1, np.dtype(np.int64)), 2), 1)
    allowed = xp.logical_and(xp.not_equal(before, after), is_label)
    first = xp.full((places.shape[0], 2), -_INFINITY, np.dtype(np.float64))
    return xp.concat((first, xp.where(allowed, xp.full((), 0, np.dtype(np.float64)), -_INFINITY)), axis=1)


def _at(xp: Any, x: Any, time: int) -> Any:
    return xp.slice(x, (time,))


def _alphas(xp: Any, emitted: Any, skips: Any, input_lengths: Any) -> list[Any]:
    """For each time the likelihood of all beginnings that end at each place; from a sample's last time on the same."""
    steps, batch, width = emitted.shape
    alpha = xp.concat(
        (xp.full((batch, 1), 0, emitted.dtype), xp.full((batch, width - 1), -_INFINITY, emitted.dtype)), axis=1
    )
    alphas = [alpha]  # the start: before a blank that comes first
    for time in range(steps):
        arrived = _log_sum(xp, alpha, _moved(xp, alpha, 1), _moved(xp, alpha, 2) + skips) + _at(xp, emitted, time)
        alpha = xp.where(xp.reshape(input_lengths > time, (batch, 1)), arrived, alpha)
        alphas.append(alpha)
    return alphas


def _is_end(xp: Any, width: int, target_lengths: Any) -> Any:
    """Whether a path may end at a place: the last label and the blank behind it."""
    last = xp.reshape(2 * target_lengths, (-1, 1))
    places = counted(xp, width)
    return xp.logical_or(xp.equal(last, places), xp.equal(last, places + 1))


def _log_likelihood(xp: Any, alpha: Any, target_lengths: Any) -> Any:
    ends = xp.where(_is_end(xp, alpha.shape[1], target_lengths), alpha, -_INFINITY)
    top = xp.max(ends, axis=1, keepdims=True)
    finite = xp.where(top == -_INFINITY, 0.0, top)
    total = xp.log(xp.sum(xp.exp(ends - finite), axis=1, keepdims=True)) + finite
    return xp.reshape(total, (alpha.shape[0],))


def _emitted(xp: Any, log_probs: Any, places: Any) -> Any:
    """log_probs[t, n, l'[n, s]], (T, N, 2 S + 1)."""
    steps = log_probs.shape[0]
    index = xp.broadcast_to(xp.reshape(places, (1, *places.shape)), (steps, *places.shape))
    return xp.take_along_axis(log_probs, index, axis=2)


@op(grad_name="CtcLoss", wide=False)
def ctc(xp, log_probs, labels, input_lengths, target_lengths, *, blank, zero_infinity):
    """-log p(labels) of each sample: log_probs (T, N, C), labels (N, S)."""
    places = _with_blanks(xp, labels, blank)
    skips = xp.astype(_skips(xp, places), log_probs.dtype)
    alphas = _alphas(xp, _emitted(xp, log_probs, places), skips, input_lengths)
    loss = -_log_likelihood(xp, alphas[-1], target_lengths)
    return xp.where(loss == _INFINITY, 0.0, loss) if zero_infinity else loss


def _ctc_gradient(
    xp: Any,
    grad: Any,
    log_probs: Any,
    labels: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int,
    zero_infinity: bool,
) -> Any:
    """The paper's equation 16, by logits: softmax less what part of the paths is at each class at each time.

    It is by logits that PyTorch's is too: what `log_softmax` makes of it is the same.
    """
    steps, batch, _ = log_probs.shape
    places = _with_blanks(xp, labels, blank)
    skips = xp.astype(_skips(xp, places), log_probs.dtype)
    emitted = _emitted(xp, log_probs, places)
    alphas = _alphas(xp, emitted, skips, input_lengths)
    likelihood = _log_likelihood(xp, alphas[-1], target_lengths)
    shares = _shares(xp, emitted, alphas, skips, input_lengths, target_lengths, xp.reshape(likelihood, (batch, 1)))
    spec = (("array", 0), ("array", 1), ("array", 2))
    at = xp.reshape(counted(xp, steps), (-1, 1, 1)), xp.reshape(counted(xp, batch), (-1, 1))
    zeros = xp.full(log_probs.shape, 0, log_probs.dtype)
    difference = xp.exp(log_probs) - xp.index_put(zeros, shares, *at, places, spec=spec, accumulate=True)
    counts = xp.greater(input_lengths, xp.reshape(counted(xp, steps), (-1, 1)))
    if zero_infinity:
        counts = xp.logical_and(counts, xp.not_equal(likelihood, -_INFINITY))
    return xp.where(xp.reshape(counts, (steps, batch, 1)), difference * xp.reshape(grad, (batch, 1)), 0.0)


def _shares(
    xp: Any, emitted: Any, alphas: list[Any], skips: Any, input_lengths: Any, target_lengths: Any, likelihood: Any
) -> Any:
    """For each time and place the part of all paths that is there: alpha beta / p, with beta the likelihood of all ends."""
    steps, batch, width = emitted.shape
    end = xp.where(_is_end(xp, width, target_lengths), xp.full((), 0, emitted.dtype), -_INFINITY)
    beta, shares = end, []
    for time in reversed(range(steps)):
        if time < steps - 1:
            after = beta + _at(xp, emitted, time + 1)
            left = _log_sum(xp, after, _moved(xp, after, -1), _moved(xp, after + skips, -2))
            beta = xp.where(xp.reshape(input_lengths > time + 1, (batch, 1)), left, end)
        shares.append(xp.reshape(xp.exp(alphas[time + 1] + beta - likelihood), (1, batch, width)))
    return xp.concat(tuple(reversed(shares)), axis=0)


ctc.derivative(log_probs=_ctc_gradient)
