"""A dense gradient of which a compiled step gives only the rows that are not zero.

`.grad` of an embedding's table has as many rows as the table, and mostly nobody looks at it. A step that leaves one behind
gives the rows and their numbers instead; the whole is made when something first asks for its array.
"""

from __future__ import annotations

from typing import Any

from numpy import ndarray

from rushlight.arrays.sparse import SparseArray
from rushlight.compiler.graph import Graph
from rushlight.compiler.known_zeros import entries, is_row_sum
from rushlight.tensor import Tensor

_array = Tensor._array  # type: ignore[has-type]  # the slot, which `Deferred` hides


class Deferred(Tensor):
    """A tensor without its array, until it is asked for: from then on it is a plain Tensor."""

    __slots__ = ()

    @property
    def _array(self) -> Any:
        rows: SparseArray = self.__dict__.pop("rows")
        array = rows.to_dense()
        _array.__set__(self, array)  # type: ignore[attr-defined]
        self.__class__ = Tensor  # type: ignore[assignment]
        return array

    @_array.setter
    def _array(self, array: Any) -> None:
        self.__dict__.pop("rows", None)
        _array.__set__(self, array)  # type: ignore[attr-defined]
        self.__class__ = Tensor  # type: ignore[assignment]


def deferred(index: ndarray, values: ndarray, shape: tuple[int, ...]) -> Deferred:
    """The gradient whose rows with these numbers are the sums of these values."""
    tensor: Deferred = object.__new__(Deferred)
    tensor._needs_grad, tensor._output = False, 0
    tensor._node = tensor._grad = tensor._cell = tensor._view = tensor._hooks = None
    tensor.__dict__["rows"] = SparseArray(index.reshape(1, -1), values, shape)
    return tensor


def defer_gradients(graph: Graph, slots: list[int]) -> tuple[Graph, dict[int, int]]:
    """Lets outputs that are sums at few rows of a table be the values instead, and adds the rows' numbers as outputs.

    Returns:
        The graph, and for each output of `slots` that was changed the output with the rows' numbers.
    """
    outputs, targets, index_of = list(graph.outputs), list(graph.targets), {}
    for slot in slots:
        if is_row_sum(outputs[slot]):
            index, outputs[slot] = entries(outputs[slot])
            index_of[slot] = len(outputs)
            outputs.append(index)
            targets.append(None)
    return (Graph(graph.inputs, outputs, targets), index_of) if index_of else (graph, {})
