"""Views of memory with strides: what a matrix product can read without a copy."""

from __future__ import annotations

from collections.abc import Callable

from rushlight.arrays.symbolic import Node
from rushlight.compiler.affine import VIEWS, linear, pull_back, strides_of

Strided = tuple[Node, int, tuple[int, ...]]


def strided_view(node: Node, is_memory: Callable[[Node], bool]) -> Strided | None:
    """The memory that a matrix operand is a view of, its offset and strides, if BLAS can read it in place."""
    rank = len(node.shape)
    index = tuple(tuple(int(i == d + 1) for i in range(rank + 1)) for d in range(rank))
    base = node
    while not is_memory(_whole(base)):  # a reshape of what is in memory is itself there, in order
        if base.op not in VIEWS:
            return None
        pulled = pull_back(base, index, node.shape)
        if pulled is None:
            return None
        base, index = base.inputs[0], pulled
    address = linear(index, base.shape, rank)
    strides = address[1:]
    return (_whole(base), address[0], strides) if leading_dimension(node.shape, strides) else None


def _whole(node: Node) -> Node:
    """The node whose contiguous memory is also this node's."""
    while node.op == "reshape":
        node = node.inputs[0]
    return node


def leading_dimension(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[bool, int] | None:
    """(transposed, distance between stored rows) of the last two dimensions, or None if BLAS cannot read them."""
    (m, n), (row, column) = shape[-2:], strides[-2:]
    if (column == 1 or n == 1) and (m == 1 or row >= n):
        return False, max(row if m > 1 else n, n)
    if (row == 1 or m == 1) and (n == 1 or column >= m):
        return True, max(column if n > 1 else m, m)
    return None


def contiguous(node: Node) -> Strided:
    return node, 0, strides_of(node.shape)
