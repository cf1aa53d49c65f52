"""Collating: a batch made of samples."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api.joining import stack
from rushlight.ops.create import as_tensor, tensor
from rushlight.tensor import Tensor


def default_collate(batch: Sequence[Any]) -> Any:
    """Samples as one batch: tensors, arrays and numbers are stacked, within dicts, tuples and lists too.

    Args:
        batch: the samples, alike in structure.

    Returns:
        The structure of a sample with a tensor, one dimension richer, in place of each tensor, array or number;
        strings stay lists; a tuple becomes a list.

    Raises:
        TypeError: something that cannot be put into a tensor. RuntimeError: lists of different lengths.

    Example:
        >>> default_collate([(1, 0.5), (2, 0.25)])
        [tensor([1, 2]), tensor([0.5000, 0.2500], dtype=torch.float64)]
    """
    first = batch[0]
    if isinstance(first, Tensor):
        return stack(batch, 0)
    if isinstance(first, np.ndarray):
        if first.dtype.kind in "SUO":
            raise _cannot_collate(first.dtype)
        return stack([as_tensor(x) for x in batch], 0)
    if isinstance(first, (np.bool_, np.number)):
        return as_tensor(np.array(batch))
    if isinstance(first, float):
        return tensor(batch, dtype=dtypes.float64)
    if isinstance(first, int):
        return tensor(batch)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return _as_mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, tuple) and hasattr(first, "_fields"):
        return type(first)(*(default_collate(column) for column in zip(*batch, strict=True)))
    if isinstance(first, Sequence):
        if any(len(sample) != len(first) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [default_collate(column) for column in zip(*batch, strict=True)]
        return columns if isinstance(first, tuple) else _as_sequence(first, columns)
    raise _cannot_collate(type(first))


def default_convert(data: Any) -> Any:
    """One sample with arrays as tensors: what a loader does that makes no batches.

    Example:
        >>> default_convert({"x": np.zeros(1)})
        {'x': tensor([0.], dtype=torch.float64)}
    """
    if isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in "SUO" else as_tensor(data)
    if isinstance(data, Mapping):
        return _as_mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(default_convert(value) for value in data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        values = [default_convert(value) for value in data]
        return values if isinstance(data, tuple) else _as_sequence(data, values)
    return data


def _as_mapping(like: Any, items: dict[Any, Any]) -> Any:
    """A mapping of another's type, with its other attributes if they can be kept."""
    if type(like) is dict:
        return items
    try:
        if isinstance(like, MutableMapping):
            clone = copy.copy(like)
            clone.update(items)
            return clone
        return type(like)(items)
    except TypeError:
        return items


def _as_sequence(like: Any, values: list[Any]) -> Any:
    """A sequence of another's type."""
    if type(like) is list:
        return values
    try:
        if isinstance(like, MutableSequence):
            clone = copy.copy(like)
            for i, value in enumerate(values):
                clone[i] = value
            return clone
        return type(like)(values)
    except TypeError:
        return values


def _cannot_collate(kind: Any) -> TypeError:
    return TypeError(
        f"default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {kind}"
    )
