"""Recurrent layers and cells: their parameters, checks and forms of input. `nn/recurrent.py` computes."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

from rushlight.nn import init, recurrent
from rushlight.nn.module import Module
from rushlight.nn.parameter import Parameter
from rushlight.nn.utils.rnn import PackedSequence
from rushlight.ops.create import empty, zeros
from rushlight.tensor import Tensor

_NUM_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What RNN, LSTM and GRU share.

    Args:
        mode: "LSTM", "GRU", "RNN_TANH" or "RNN_RELU".
        input_size, hidden_size: features of the input and of the state.
        num_layers: how many layers, each on the outputs of the one before.
        bias: whether the products have biases.
        batch_first: (batch, time, features) instead of (time, batch, features).
        dropout: its probability, after every layer but the last.
        bidirectional: a second set of layers goes through time backwards.
        proj_size: features of an LSTM's output after a projection; 0 for none.
    """

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        _check_dropout(dropout, num_layers)
        self._check_arguments()
        self._all_weights: list[list[str]] = []
        num_directions = 2 if bidirectional else 1
        for layer in range(num_layers):
            width = input_size if layer == 0 else self._output_size * num_directions
            for suffix in ("", "_reverse")[:num_directions]:
                shapes = self._shapes(width)
                self._all_weights.append([f"{name}_l{layer}{suffix}" for name in shapes])
                for name, shape in shapes.items():
                    setattr(self, f"{name}_l{layer}{suffix}", Parameter(empty(shape, device=device, dtype=dtype)))
        self.reset_parameters()

    def _check_arguments(self) -> None:
        for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int), ("hidden_size", int)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
            if kind is int and value <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.num_layers <= 0:
            raise ValueError("num_layers must be greater than zero")
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _NUM_GATES:
            raise ValueError("Unrecognized RNN mode: " + self.mode)

    @property
    def _output_size(self) -> int:
        return self.proj_size or self.hidden_size

    def _shapes(self, width: int) -> dict[str, tuple[int, ...]]:
        """The parameters of a layer on `width` features, in their order."""
        rows = _NUM_GATES[self.mode] * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, self._output_size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        return shapes

    def reset_parameters(self) -> None:
        """Uniform, up to 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def flatten_parameters(self) -> None:
        """Nothing: PyTorch gathers the parameters in one piece of memory, for cuDNN."""

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters, a list for each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name) for name in self._flat_weights_names]

    # ------------------------------------------------------------ checks

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raises ValueError for another dtype than the weights', RuntimeError for another shape."""
        dtype = self.all_weights[0][0].dtype
        if input.dtype != dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        ndim = 3 if batch_sizes is None else 2
        if input.ndim != ndim:
            raise RuntimeError(f"input must have {ndim} dimensions, got {input.ndim}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}"
            )

    def _expected(self, input: Tensor, batch_sizes: Tensor | None, width: int) -> tuple[int, int, int]:
        batch = int(batch_sizes[0]) if batch_sizes is not None else input.shape[0 if self.batch_first else 1]
        return self.num_layers * (2 if self.bidirectional else 1), batch, width

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of h."""
        return self._expected(input, batch_sizes, self._output_size)

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int], msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raises RuntimeError for another shape than expected."""
        if tuple(hx.shape) != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Checks the input and the states."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The states of the samples in another order."""
        if permutation is None:
            return hx
        return hx.index_select(1, permutation) if isinstance(hx, Tensor) else tuple(self.permute_hidden(x, permutation) for x in hx)  # fmt: skip

    # ------------------------------------------------------------ forward

    def forward(self, input: Any, hx: Any = None) -> tuple[Any, Any]:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.ndim not in (2, 3):
            name = self._get_name()
            what = "D tensor instead" if name == "RNN" else "D instead"
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.ndim}{what}")
        is_batched, batch_axis = input.ndim == 3, 0 if self.batch_first else 1
        if hx is not None:
            self._check_dimensions(hx, is_batched)
        if not is_batched:
            input = input.unsqueeze(batch_axis)
            hx = None if hx is None else _each(hx, lambda x: x.unsqueeze(1))
        if hx is None:
            hx = self._zeros(input, None)
        self.check_forward_args(input, hx, None)
        output, last = recurrent.run_padded(self.mode, input, self._states(hx), self.batch_first, *self._settings())
        hidden = last if self.mode == "LSTM" else last[0]
        if not is_batched:
            return output.squeeze(batch_axis), _each(hidden, lambda x: x.squeeze(1))
        return output, hidden

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> tuple[PackedSequence, Any]:
        data, batch_sizes, sorted_indices, unsorted_indices = packed
        hx = self._zeros(data, batch_sizes) if hx is None else self.permute_hidden(hx, sorted_indices)
        self.check_forward_args(data, hx, batch_sizes)
        sizes = tuple(batch_sizes.tolist())
        rows, last = recurrent.run_layers(self.mode, data, sizes, self._states(hx), *self._settings())
        hidden = self.permute_hidden(last if self.mode == "LSTM" else last[0], unsorted_indices)
        return PackedSequence(rows, batch_sizes, sorted_indices, unsorted_indices), hidden

    def _settings(self) -> tuple[Any, ...]:
        return self.all_weights, self.bias, self.dropout, self.training, self.bidirectional

    def _states(self, hx: Any) -> tuple[Tensor, ...]:
        return (hx,) if isinstance(hx, Tensor) else tuple(hx)

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        """The states before anything has come."""
        shape = self.get_expected_hidden_size(input, batch_sizes)
        return zeros(shape, dtype=input.dtype, device=input.device)

    def _check_dimensions(self, hx: Any, is_batched: bool) -> None:
        ndim = 3 if is_batched else 2
        if hx.ndim != ndim:
            what = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(f"For {what} input, hx should also be {ndim}-D but got {hx.ndim}-D tensor")

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        usual = {
            "proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False,
        }  # fmt: skip
        parts += [f"{name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value]
        return ", ".join(parts)


def _check_dropout(dropout: Any, num_layers: int) -> None:
    if not isinstance(dropout, numbers.Number) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
            f"greater than 1, but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=3,
        )


def _each(states: Any, change: Any) -> Any:
    return change(states) if isinstance(states, Tensor) else tuple(change(state) for state in states)


class RNN(RNNBase):
    """h = tanh(W_ih x + b_ih + W_hh h + b_hh), time after time (Elman, 1990); `nonlinearity="relu"` for max(0, ...).

    Args:
        input_size, hidden_size, num_layers, nonlinearity, bias, batch_first, dropout, bidirectional: see `RNNBase`.

    Shape:
        input (time, batch, input_size), hx (layers * directions, batch, hidden_size);
        output (time, batch, directions * hidden_size) and the last hx. Without a batch: the same without that dimension.

    Example:
        >>> import rushlight as torch
        >>> output, hidden = torch.nn.RNN(3, 4)(torch.zeros(5, 2, 3))
        >>> output.shape, hidden.shape
        (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        nonlinearity = args[3] if len(args) > 3 else kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args[:3], *args[4:], **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997; with projections: Sak et al., 2014).

    i, f, o = logistic(...), g = tanh(...) of W x + b + W h + b; c = f c + i g; h = o tanh(c).

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size: see `RNNBase`.

    Shape:
        input (time, batch, input_size), hx a pair of (layers * directions, batch, hidden_size);
        output (time, batch, directions * hidden_size) and the last (h, c).

    Example:
        >>> import rushlight as torch
        >>> output, (h, c) = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)(torch.zeros(5, 2, 3))
        >>> output.shape, h.shape
        (torch.Size([5, 2, 8]), torch.Size([4, 2, 4]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of c."""
        return self._expected(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        for number in (0, 1):
            self.check_hidden_size(hidden[number], expected[number], f"Expected hidden[{number}] size {{}}, got {{}}")

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        shapes = self.get_expected_hidden_size(input, batch_sizes), self.get_expected_cell_size(input, batch_sizes)
        return tuple([zeros(shape, dtype=input.dtype, device=input.device) for shape in shapes])

    def _check_dimensions(self, hx: Any, is_batched: bool) -> None:
        ndim = 3 if is_batched else 2
        if hx[0].ndim != ndim or hx[1].ndim != ndim:
            what = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {what} input, hx and cx should also be {ndim}-D but got ({hx[0].ndim}-D, {hx[1].ndim}-D) tensors"
            )


class GRU(RNNBase):
    """Gated recurrent units (Cho et al., 2014).

    r, z = logistic(W x + b + W h + b); n = tanh(W x + b + r (W h + b)); h = (1 - z) n + z h.

    Args:
        input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional: see `RNNBase`.

    Shape:
        As of `RNN`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


# ---------------------------------------------------------------- one step


class RNNCellBase(Module):
    """What the cells share: one step of a recurrent layer."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(rows, device=device, dtype=dtype)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Uniform, up to 1 / sqrt(hidden_size)."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _step(self, mode: str, input: Tensor, hx: Any) -> tuple[Tensor, ...]:
        """The new states. `hx` is None or a tuple of states."""
        is_batched = input.ndim == 2
        if not is_batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = (zeros((input.shape[0], self.hidden_size), dtype=input.dtype, device=input.device),)
            hx *= 2 if mode == "LSTM" else 1
        elif not is_batched:
            hx = tuple([x.unsqueeze(0) for x in hx])
        states = recurrent.run_cell(mode, input, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        return states if is_batched else tuple([state.squeeze(0) for state in states])

    def _check(self, what: str, tensor: Tensor) -> None:
        if tensor.ndim not in (1, 2):
            raise ValueError(f"{self._get_name()}: Expected {what} to be 1D or 2D, got {tensor.ndim}D instead")

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        if self.bias is not True:
            parts.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            parts.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(parts)


class RNNCell(RNNCellBase):
    """One step of an `RNN`.

    Shape:
        input (batch, input_size), hx (batch, hidden_size), or both without batch; the new hx.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh", device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check("input", input)
        if hx is not None:
            self._check("hidden", hx)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(f"RNN_{self.nonlinearity.upper()}", input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`.

    Shape:
        input (batch, input_size), hx a pair of (batch, hidden_size); the new pair.

    Example:
        >>> import rushlight as torch
        >>> h, c = torch.nn.LSTMCell(3, 4)(torch.zeros(2, 3))
        >>> h.shape
        torch.Size([2, 4])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        self._check("input", input)
        for number, state in enumerate(hx or ()):
            self._check(f"hx[{number}]", state)
        h, c = self._step("LSTM", input, None if hx is None else tuple(hx))
        return h, c


class GRUCell(RNNCellBase):
    """One step of a `GRU`.

    Shape:
        As of `RNNCell`.
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        self._check("input", input)
        if hx is not None:
            self._check("hidden", hx)
        return self._step("GRU", input, None if hx is None else (hx,))[0]
