"""Sequences of different lengths in one batch: padded to one length, or packed without padding.

A packed batch has the rows of all samples at the first time, then those at the second, and so on; samples are sorted by length, so
that the samples that go on are the first ones. Packing and padding are one selection of rows each, with its derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

from rushlight import dtypes
from rushlight.api.joining import stack
from rushlight.ops import create
from rushlight.ops.create import beside
from rushlight.tensor import Tensor, wrap

Packed = TypeVar("Packed", bound="PackedSequence")


class _Fields(NamedTuple):
    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(_Fields):
    """A packed batch, as `pack_padded_sequence` and `pack_sequence` make it and recurrent layers take it.

    Attributes:
        data: (rows, ...). batch_sizes: how many samples each time has.
        sorted_indices: which sample comes where; None if the samples came sorted. unsorted_indices: the way back.
    """

    __slots__ = ()

    def __new__(
        cls: type[Packed], data: Tensor, batch_sizes: Tensor | None = None, sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Packed:  # fmt: skip
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:  # the old way, of a pair
            data, batch_sizes = data[0], data[1]
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self: Packed, *args: Any, **kwargs: Any) -> Packed:
        """Converts the data as `Tensor.to` does; itself if there is nothing to convert."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        moved = [None if x is None else x.to(data.device) for x in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *moved)

    def cuda(self: Packed, *args: Any, **kwargs: Any) -> Packed:
        """Moves the data to the GPU."""
        return self.to(*args, **{"device": "cuda", **kwargs})

    def cpu(self: Packed, *args: Any, **kwargs: Any) -> Packed:
        """Moves the data to the CPU."""
        return self.to(*args, **{"device": "cpu", **kwargs})

    def double(self: Packed) -> Packed:
        return self.to(dtype=dtypes.float64)

    def float(self: Packed) -> Packed:
        return self.to(dtype=dtypes.float32)

    def half(self: Packed) -> Packed:
        return self.to(dtype=dtypes.float16)

    def long(self: Packed) -> Packed:
        return self.to(dtype=dtypes.int64)

    def int(self: Packed) -> Packed:
        return self.to(dtype=dtypes.int32)

    def short(self: Packed) -> Packed:
        return self.to(dtype=dtypes.int16)

    def char(self: Packed) -> Packed:
        return self.to(dtype=dtypes.int8)

    def byte(self: Packed) -> Packed:
        return self.to(dtype=dtypes.uint8)

    def pin_memory(self: Packed) -> Packed:
        """Itself: there is no memory to pin without a GPU."""
        return self

    @property
    def is_cuda(self) -> bool:
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        return self.data.is_pinned()


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another one."""
    return None if permutation is None else permutation.argsort()


# ---------------------------------------------------------------- packed


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | list[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a padded batch.

    Args:
        input: (time, batch, ...), or (batch, time, ...) with `batch_first`.
        lengths: of each sample.
        enforce_sorted: the samples must come sorted, longest first; otherwise they are sorted here.

    Raises:
        RuntimeError: the lengths do not fit, or are not sorted.

    Example:
        >>> import rushlight as torch
        >>> padded = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
        >>> torch.nn.utils.rnn.pack_padded_sequence(padded, [2, 1, 3], batch_first=True, enforce_sorted=False).data
        tensor([4, 1, 3, 5, 2, 6])
    """
    given: Any = create.as_tensor(lengths, dtype=dtypes.int64, device=None if isinstance(lengths, Tensor) else "cpu")
    if given.is_cuda:
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {given.ndim}D {given.device} Long tensor"
        )
    sorted_indices = None
    if not enforce_sorted:
        given, order = given.sort(descending=True, stable=True)
        sorted_indices = order.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    counts = given.numpy()
    times_first = input.transpose(0, 1) if batch_first else input
    _check_lengths(counts, times_first.shape[0], times_first.shape[1])
    is_there = np.arange(int(counts[0]))[:, None] < counts
    time, sample = is_there.nonzero()
    data = times_first[beside(input, time), beside(input, sample)]
    return PackedSequence(data, wrap(is_there.sum(axis=1)), sorted_indices, None)


def _check_lengths(lengths: np.ndarray, time: int, batch: int) -> None:
    if lengths.shape != (batch,):
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {lengths.size} (batch_size={batch})"
        )
    if lengths.size == 0 or lengths[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (np.diff(lengths) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement if you do "
            "not need ONNX exportability."
        )
    if lengths[0] > time:
        raise RuntimeError(f"Expected lengths of at most {time}, the time steps of the input, but got {lengths[0]}")


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The padded batch, with the samples in their first order, and the lengths.

    Args:
        sequence: the packed batch.
        batch_first: give (batch, time, ...) and not (time, batch, ...).
        padding_value: what stands where a sample has ended.
        total_length: pad to this length.

    Raises:
        ValueError: `total_length` is less than the longest sample.
    """
    sizes = sequence.batch_sizes.numpy()
    time = len(sizes)
    if total_length is not None and total_length < time:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {time}"
        )
    is_there = np.arange(int(sizes[0])) < np.pad(sizes, (0, (total_length or time) - time))[:, None]
    data, shape = sequence.data, (*is_there.shape, *sequence.data.shape[1:])
    padded = create.full(shape, padding_value, dtype=data.dtype, device=data.device)
    output = padded.index_put([beside(data, part) for part in is_there.nonzero()], data)
    output = output.transpose(0, 1) if batch_first else output
    lengths = wrap(is_there.sum(axis=0))
    if sequence.unsorted_indices is None:
        return output, lengths
    order = sequence.unsorted_indices
    return output.index_select(0 if batch_first else 1, order), lengths[order.cpu()]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs samples of different lengths; arguments as of `pack_padded_sequence`.

    Example:
        >>> import rushlight as torch
        >>> samples = [torch.tensor([1, 2, 3]), torch.tensor([4, 5]), torch.tensor([6])]
        >>> torch.nn.utils.rnn.pack_sequence(samples).data
        tensor([1, 4, 6, 2, 5, 3])
    """
    lengths = create.as_tensor([sequence.shape[0] for sequence in sequences], device="cpu")
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The samples of a packed batch."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


# ---------------------------------------------------------------- padded


def pad_sequence(
    sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Tensor:
    """Samples of different lengths as one tensor, padded to the longest.

    Args:
        sequences: tensors (length, ...).
        batch_first: give (batch, time, ...) and not (time, batch, ...).
        padding_value: what is filled in, on the `padding_side` "right" or "left".

    Raises:
        RuntimeError: there are none, or the side is neither.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.utils.rnn.pad_sequence([torch.ones(3), torch.ones(1)], batch_first=True)
        tensor([[1., 1., 1.],
                [1., 0., 0.]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    longest = max(sequence.shape[0] for sequence in sequences)
    pad = _padder(longest, padding_value, padding_side)
    return stack([pad(sequence) for sequence in sequences], 0 if batch_first else 1)


def _padder(length: int, value: float, side: str) -> Callable[[Tensor], Tensor]:
    from rushlight.nn.padding import constant_pad_nd

    def pad(sequence: Tensor) -> Tensor:
        missing = length - sequence.shape[0]
        ends = [missing, 0] if side == "left" else [0, missing]
        return constant_pad_nd(sequence, [0, 0] * (sequence.ndim - 1) + ends, value)

    return pad


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The samples of a padded batch: the inverse of `pad_sequence`."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    return [padded[: int(length)] for padded, length in zip(padded_sequences, lengths, strict=True)]
