"""Edges of the graph as objects: where a tensor's gradient goes, without holding the tensor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from rushlight.autograd.history import cell_of, edge_of
from rushlight.autograd.node import as_function
from rushlight.tensor import Tensor


class _Edge(NamedTuple):
    node: Any
    output_nr: int
    ownership_token: Any = None


class GradientEdge(_Edge):
    """The output `output_nr` of a node: stands for a tensor in `backward` and `autograd.grad`."""

    like: Tensor | None = None  # a tensor of the shape and dtype of the gradient, without memory, if it is known


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The edge at which the gradient of a tensor is computed.

    Raises:
        RuntimeError: the tensor requires no gradient.

    Example:
        >>> import rushlight as torch
        >>> x = torch.tensor(3.0, requires_grad=True)
        >>> edge = torch.autograd.graph.get_gradient_edge(x * x)
        >>> torch.autograd.grad(edge, x)
        (tensor(6.),)
    """
    if not tensor._needs_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    edge = GradientEdge(*as_function(edge_of(tensor)))
    edge.like = tensor.detach().new_empty(()).expand(tensor.shape)
    return edge


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Says that the memory of a tensor, or of several, was written to in a way that autograd could not see."""
    for written in (tensor,) if isinstance(tensor, Tensor) else tensor:
        cell_of(written)[0] += 1
