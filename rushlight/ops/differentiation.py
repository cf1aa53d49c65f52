"""An operation's derivative: its formulas, called with what a node has kept.

Of large arrays and on GPUs each formula is one pass over memory where it can be (`ops.large`). Operations of one or two
inputs have closures without loops.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy import ndarray

from rushlight.arrays import kinds, numpy as numpy_arrays
from rushlight.autograd.node import Node
from rushlight.ops.broadcasting import sum_to_shape
from rushlight.ops.large import LARGE

if TYPE_CHECKING:
    from rushlight.ops.define import Op


def differentiate(op: Op, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
    """The gradients of a node's inputs, from that of its result (or a tuple, of several).

    Args:
        edges: the node's edges, with None in place of those whose gradient nobody wants; it is None then too.
    """
    if op.joint:
        return op.joint.call(node, saved, xp, grad)
    if op.elementwise:
        if xp is numpy_arrays:
            if grad.__class__ is ndarray and grad.size >= LARGE:
                return _differentiate_large(op, node, saved, grad, edges)
        elif xp is kinds.GPU:
            return _differentiate_on_gpu(op, node, saved, xp, grad, edges)
    grads, shapes = [], node.shapes if op.elementwise else None
    for i, edge in enumerate(edges):
        formula = op.formulas[i]
        if edge is None or formula is None:
            grads.append(None)
            continue
        takes = formula.takes  # the most frequent cases without another call
        if takes == 2:
            result = formula.function(xp, grad, saved[formula.at])
        elif takes == 1:
            result = formula.function(xp, grad, *saved)
        elif takes == 0:
            result = formula.function(xp, grad)
        else:
            result = formula.call(node, saved, xp, grad)
        if shapes is not None and result is not None and result.shape != shapes[i][0]:
            result = sum_to_shape(xp, result, shapes[i][0])
        grads.append(result)
    return grads


def _differentiate_large(op: Op, node: Node, saved: tuple, grad: ndarray, edges: tuple) -> list[Any]:
    """The same in one pass on all cores, where that can be; and for a gradient that is one number everywhere."""
    shape, is_constant = grad.shape, not any(grad.strides)
    if is_constant:  # as the gradient of a sum is, spread out without memory
        grad = grad[(*(0,) * grad.ndim, Ellipsis)]
    grads = []
    for i, (edge, formula) in enumerate(zip(edges, op.formulas, strict=True)):
        if edge is None or formula is None:
            grads.append(None)
            continue
        result = formula.on_large(node, saved, grad)
        if result is None:
            result = formula.call(node, saved, numpy_arrays, grad)
        if is_constant and result is not None and result.shape != shape:
            result = numpy_arrays.broadcast_to(np.asarray(result), shape)
        if node.shapes is not None and result is not None and result.shape != node.shapes[i][0]:
            result = sum_to_shape(numpy_arrays, result, node.shapes[i][0])
        grads.append(result)
    return grads


def _differentiate_on_gpu(op: Op, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> list[Any]:
    """The same by one kernel for each formula that has several steps."""
    grads = []
    for i, (edge, formula) in enumerate(zip(edges, op.formulas, strict=True)):
        if edge is None or formula is None:
            grads.append(None)
            continue
        result = None
        if not formula.large.is_one_step:
            result = formula.large.on_gpu(xp, formula.operands(node, saved, grad))
        if result is None:
            result = formula.call(node, saved, xp, grad)
        if node.shapes is not None and result is not None and result.shape != node.shapes[i][0]:
            result = sum_to_shape(xp, result, node.shapes[i][0])
        grads.append(result)
    return grads


def unary_differentiator(op: Op) -> Callable[..., Any]:
    """`Op.differentiate` for one input, without a loop."""
    formula: Any = op.formulas[0]
    elementwise, saves_shapes = op.elementwise, op.elementwise and op.saves_shapes

    def differentiate(node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        if elementwise and xp is not numpy_arrays and xp is kinds.GPU:
            return _differentiate_on_gpu(op, node, saved, xp, grad, edges)
        if elementwise and grad.__class__ is ndarray and grad.size >= LARGE and xp is numpy_arrays:
            return _differentiate_large(op, node, saved, grad, edges)
        takes = formula.takes
        if takes == 1:
            result = formula.function(xp, grad, *saved)
        elif takes == 0:
            result = formula.function(xp, grad)
        else:
            result = formula.call(node, saved, xp, grad)
        if saves_shapes and result is not None and result.shape != node.shapes[0][0]:
            result = sum_to_shape(xp, result, node.shapes[0][0])
        return (result,)

    return differentiate


def binary_differentiator(op: Op) -> Callable[..., Any]:
    """`Op.differentiate` for two elementwise inputs, without a loop."""
    first, second = op.formulas

    def differentiate(node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        if xp is not numpy_arrays and xp is kinds.GPU:
            return _differentiate_on_gpu(op, node, saved, xp, grad, edges)
        if grad.__class__ is ndarray and grad.size >= LARGE and xp is numpy_arrays:
            return _differentiate_large(op, node, saved, grad, edges)
        left = right = None
        edge, other = edges
        if edge is not None and first is not None:
            takes = first.takes
            if takes == 1:
                left = first.function(xp, grad, *saved)
            elif takes == 0:
                left = first.function(xp, grad)
            elif takes == 2:
                left = first.function(xp, grad, saved[first.at])
            else:
                left = first.call(node, saved, xp, grad)
        if other is not None and second is not None:
            right = second.call(node, saved, xp, grad)
        shapes = node.shapes
        if shapes is not None:
            if left is not None and left.shape != shapes[0][0]:
                left = sum_to_shape(xp, left, shapes[0][0])
            if right is not None and right.shape != shapes[1][0]:
                right = sum_to_shape(xp, right, shapes[1][0])
        return left, right

    return differentiate
