"""Recurrent layers as functions: layers on layers, directions, dropout between them, sequences of one length or packed.

A layer's product with its input is one for all times; `ops.recurrent` does the steps. The names and signatures below (`lstm`,
`gru_cell`, ...) are those that PyTorch has as `torch.name`; `nn.modules.rnn` calls `run_layers`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rushlight.api.joining import cat, stack
from rushlight.nn.dropout import scaled
from rushlight.ops import create, recurrent
from rushlight.ops.autocast import with_autocast
from rushlight.tensor import Tensor

States = tuple[Tensor, ...]  # h, and c of an LSTM
_NUM_STATES = {"LSTM": 2, "GRU": 1, "RNN_TANH": 1, "RNN_RELU": 1}


def run_layers(
    mode: str, input: Tensor, sizes: tuple[int, ...] | None, states: States, layers: Sequence[Sequence[Tensor]],
    has_biases: bool = True, dropout: float = 0.0, training: bool = False, bidirectional: bool = False,
    *, batch_first: bool = False,
) -> tuple[Tensor, States]:  # fmt: skip
    """Runs sequences through layers.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input: (time, batch, features), (batch, time, features) with `batch_first`, or rows of several lengths: those of all samples at
            the first time, then at the next, ...
        sizes: of such rows how many samples each time has, not increasing.
        states: the initial states, each (layers * directions, batch, features).
        layers: for each layer and direction weight_ih, weight_hh, the two biases if `has_biases`, and an LSTM's projection.

    Returns:
        The last layer's (time, batch, features), or rows; and the last states of all layers.
    """
    num_directions = 2 if bidirectional else 1
    last: list[States] = []
    for number in range(0, len(layers), num_directions):
        outputs = []
        for direction in range(num_directions):
            at = number + direction
            initial = tuple([state[at] for state in states])
            order = {"sizes": sizes, "reverse": direction == 1, "batch_first": batch_first}
            output, *final = _run_direction(mode, input, initial, layers[at], has_biases, **order)
            outputs.append(output)
            last.append(tuple(final))
        input, batch_first = outputs[0] if num_directions == 1 else cat(outputs, -1), False
        if dropout and training and number + num_directions < len(layers):
            input = scaled(input, dropout, True, False)
    return input, tuple([stack(parts) for parts in zip(*last, strict=True)])


def _run_direction(
    mode: str, input: Tensor, initial: States, weights: Sequence[Tensor], has_biases: bool, **order: Any
) -> States:
    """All h of one layer in one direction, and its last states. `order`: see `arrays.recurrent`."""
    weight_ih, weight_hh, *others = weights
    if not has_biases:
        bias = create.zeros(weight_hh.shape[:1], dtype=weight_hh.dtype, device=weight_hh.device)
        others = [bias, bias, *others]
    arrays = (input, weight_ih, weight_hh, *others[:2], *initial, *others[2:])
    order["input_grad"] = input.requires_grad
    if mode == "LSTM":
        run = recurrent.lstm_sequence_projected if len(others) > 2 else recurrent.lstm_sequence
        return run(*arrays, **order)[:3]
    if mode == "GRU":
        return recurrent.gru_sequence(*arrays, **order)[:2]
    return recurrent.rnn_sequence(*arrays, **order, rectify=mode == "RNN_RELU")[:2]


def run_padded(mode: str, input: Tensor, states: States, batch_first: bool, *rest: Any) -> tuple[Tensor, States]:
    """`run_layers` on (time, batch, features), or (batch, time, features) with `batch_first`; in memory the output is the former."""
    if input.shape[1 if batch_first else 0] == 0:
        raise RuntimeError("Expected sequence length to be larger than 0 in RNN")
    output, last = run_layers(mode, input, None, states, *rest, batch_first=batch_first)
    return (output.transpose(0, 1) if batch_first else output), last


# ---------------------------------------------------------------- PyTorch's functions


def _function(mode: str) -> Any:
    """`name(input, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)`; and for packed rows
    `name(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)`."""

    def grouped(params: Sequence[Tensor], num_layers: int, bidirectional: bool) -> list[Sequence[Tensor]]:
        count = len(params) // (num_layers * (2 if bidirectional else 1))
        return [params[k : k + count] for k in range(0, len(params), count)]

    def padded(
        input: Tensor, hx: Any, params: Sequence[Tensor], has_biases: bool, num_layers: int, dropout: float,
        train: bool, bidirectional: bool, batch_first: bool,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        layers = grouped(params, num_layers, bidirectional)
        output, last = run_padded(mode, input, states, batch_first, layers, has_biases, dropout, train, bidirectional)
        return (output, *last)

    def packed(
        data: Tensor, batch_sizes: Tensor, hx: Any, params: Sequence[Tensor], has_biases: bool, num_layers: int,
        dropout: float, train: bool, bidirectional: bool,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        layers, sizes = grouped(params, num_layers, bidirectional), tuple(batch_sizes.tolist())
        output, last = run_layers(mode, data, sizes, states, layers, has_biases, dropout, train, bidirectional)
        return (output, *last)

    def call(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        is_packed = (
            "batch_sizes" in kwargs or len(args) > 2 and isinstance(args[3 if len(args) > 3 else 2], (list, tuple))
        )
        return (packed if is_packed else padded)(*args, **kwargs)

    call.__doc__ = f"{mode} over a sequence: (output, last states); see `nn.{mode.partition('_')[0]}`."
    call.__name__ = call.__qualname__ = mode.lower()
    return call


lstm, gru, rnn_tanh, rnn_relu = (_function(mode) for mode in ("LSTM", "GRU", "RNN_TANH", "RNN_RELU"))


def run_cell(
    mode: str, input: Tensor, states: States, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None, b_hh: Tensor | None
) -> States:
    """One step: the new states."""
    hidden = states[0]
    if input.shape[1] != w_ih.shape[1]:
        raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {w_ih.shape[1]}")
    if hidden.shape[1] != w_hh.shape[1]:
        raise RuntimeError(f"hidden0 has inconsistent hidden_size: got {hidden.shape[1]}, expected {w_hh.shape[1]}")
    if input.shape[0] != hidden.shape[0]:
        raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden0 batch size {hidden.shape[0]}")
    has_biases = b_ih is not None and b_hh is not None
    weights: Any = (w_ih, w_hh, b_ih, b_hh) if has_biases else (w_ih, w_hh)
    order = {"sizes": (input.shape[0],), "reverse": False, "batch_first": False}
    return _run_direction(mode, input, states, weights, has_biases, **order)[1:]


def lstm_cell(
    input: Tensor, hx: Sequence[Tensor], w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None,
    b_hh: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One step of an LSTM: (h, c)."""
    h, c = run_cell("LSTM", input, tuple(hx), w_ih, w_hh, b_ih, b_hh)
    return h, c


def _cell(mode: str) -> Any:
    def call(
        input: Tensor, hx: Tensor, w_ih: Tensor, w_hh: Tensor, b_ih: Tensor | None = None, b_hh: Tensor | None = None
    ) -> Tensor:
        return run_cell(mode, input, (hx,), w_ih, w_hh, b_ih, b_hh)[0]

    call.__doc__ = f"One step of {mode}: h."
    call.__name__ = call.__qualname__ = f"{mode.lower()}_cell"
    return call


gru_cell, rnn_tanh_cell, rnn_relu_cell = (_cell(mode) for mode in ("GRU", "RNN_TANH", "RNN_RELU"))


with_autocast(globals())
