"""Operations inside `vmap` and forward-mode differentiation: on batched and dual arrays.

`Op.general` hands over here when an operand's array is of an abstract kind (`rushlight.arrays.kinds`). The operation belongs to
the highest level among its operands; `lifted` brings the others there, as constants of it. Then

- on batched arrays an elementwise operation is itself, on aligned operands; another's forward function runs on the waist's
  batching rules (`rushlight.arrays.batching`); where these give up, the operation runs example by example;
- on dual arrays the operation runs on the values, and `tangents_of` says what becomes of the tangents: by the class of the
  operation, from its derivative formulas. No operation states a tangent rule of its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import devices
from rushlight.arrays import batched as batched_arrays, batching, kinds, numpy as numpy_arrays
from rushlight.arrays.batched import Batch, BatchedArray, NoRule
from rushlight.arrays.dual import DualArray, DualArrays, Forward
from rushlight.arrays.kinds import Abstract, Level, namespace_of
from rushlight.autograd.history import cell_of, edge_of
from rushlight.autograd.modes import enable_grad, modes, no_grad
from rushlight.autograd.node import Node
from rushlight.ops import namespaces, nodes, observers
from rushlight.ops.define import Op
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.observers import lift
from rushlight.ops.precision import half_among, narrowed, widened
from rushlight.tensor import Tensor, wrap


def no_tangent(array: DualArray) -> Tensor:
    """Zeros for the tangent of a dual array, one for each example of the `vmap`s below: tangents to come may have these."""
    below = [level for level in kinds.levels()[: array.level.depth - 1] if type(level) is Batch]
    xp = namespaces.creation_on(kinds.device_of(array))
    return wrap(_over(below, lambda shape: xp.full(shape, 0, array.dtype), array.shape))  # type: ignore[no-any-return]


def _over(levels: list[Batch], make: Any, shape: tuple[int, ...]) -> Any:
    """An array of a shape for each example of these `vmap`s, out of one that `make(whole shape)` gives."""
    array = make((*[level.size for level in levels], *shape))
    for level in levels:
        array = BatchedArray(level, wrap(array))
    return array


kinds.NAMESPACES[DualArray] = DualArrays(tensor_arrays, wrap, no_tangent)


# ---------------------------------------------------------------- levels


def level_among(tensors: Any) -> Level | None:
    """The highest level among tensors' arrays; None if there is none."""
    found: Any = None
    for x in tensors:
        array = getattr(x, "_array", None)
        if isinstance(array, Abstract) and (found is None or array.level.depth > found.depth):
            found = array.level
    return found


def plain(tensor: Tensor) -> Tensor:
    """The tensor as a transform holds it: of no subclass, and an input of the program, if one is being recorded."""
    if observers.count:
        lift(tensor)
    if type(tensor) is Tensor:
        return tensor
    from rushlight.ops.views import alias

    return alias(tensor)  # type: ignore[no-any-return]


def constant(level: Any, tensor: Tensor) -> Tensor:
    """A tensor from below a level as the level sees it: the same for all examples, or without a tangent."""
    inner = plain(tensor)
    result: Tensor = wrap(BatchedArray(level, inner, False) if type(level) is Batch else DualArray(level, inner, None))
    result._cell = cell_of(tensor)
    if type(level) is Forward and level.is_by_hand and inner._needs_grad and modes.grad:
        link(result, inner)
    return result


def link(result: Tensor, source: Tensor) -> None:
    """Lets gradients of a dual tensor go on to the tensor it was made of, tangents and all."""
    from rushlight.ops.views import alias

    node = nodes.bare_node(alias.op.node_class, (edge_of(source),))
    result._node, result._output, result._needs_grad = node, 0, True


def without_tangents(array: Abstract) -> Abstract:
    """The array on the same memory, as none of the transforms it belongs to differentiates it."""
    if isinstance(array, BatchedArray):
        return BatchedArray(array.level, array.inner.detach(), array.is_batched)
    return DualArray(array.level, array.primal.detach(), None)


def without_history(tensor: Tensor) -> Tensor:
    """The tensor as the transforms outside its own see it: `detach` would end their derivatives as well."""
    result: Tensor = wrap(tensor._array)
    result._cell = cell_of(tensor)
    return result


def of_inner(tensor: Tensor, make: Any) -> Abstract:
    """An array of the kind and level of a tensor's own, whose inner tensor is made from that one's; without a tangent."""
    array: Any = after_its_end(tensor)._array
    if isinstance(array, BatchedArray):
        return BatchedArray(array.level, make(array.inner), array.is_batched)
    return DualArray(array.level, make(array.primal), None)


def for_each(like: Tensor, made: Tensor) -> Tensor:
    """A copy of a new tensor for each example that `like` stands for."""
    array = like._array
    if isinstance(array, DualArray):
        return for_each(array.primal, made)
    if not (isinstance(array, BatchedArray) and array.is_batched):
        return made
    repeated = tensor_arrays.contiguous(tensor_arrays.broadcast_to(made, (array.level.size, *made.shape)))
    return wrap(BatchedArray(array.level, for_each(array.inner, repeated)))  # type: ignore[no-any-return]


def drawn(draw: Any, shape: tuple[int, ...]) -> Any:
    """Random numbers inside `vmap`s: an array of a shape for each example, or one for all.

    Args:
        draw: `draw(shape)` gives an array of random numbers.

    Raises:
        RuntimeError: a `vmap` that was not told which of the two is meant.
    """
    running: list[Any] = [level for level in kinds.levels() if type(level) is Batch]
    if any(level.randomness == "error" for level in running):
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' "
            "randomness flags on vmap or perform the randomness operation out of vmap"
        )
    return _over([level for level in running if level.randomness == "different"], draw, shape)


def after_its_end(tensor: Tensor) -> Tensor:
    """What is left of a tensor whose transform is over: the value of a dual one.

    Raises:
        RuntimeError: it stood for the examples of a `vmap`.
    """
    array = tensor._array
    while isinstance(array, Abstract) and not array.level.depth:
        if isinstance(array, BatchedArray):
            raise RuntimeError(
                "a tensor from inside vmap was used after vmap had returned; return it from the function"
            )
        tensor = array.primal  # type: ignore[attr-defined]
        array = tensor._array
    return tensor


def value_of(tensor: Tensor, what: str) -> Tensor:
    """The tensor whose value Python may see in place of one inside a transform.

    Raises:
        RuntimeError: each example has a value of its own.
    """
    array = after_its_end(tensor)._array
    if not isinstance(array, BatchedArray):
        return array.primal if isinstance(array, DualArray) else wrap(array)  # type: ignore[no-any-return]
    if not array.is_batched:
        return array.inner  # type: ignore[no-any-return]
    if what == "item()":
        raise RuntimeError(
            "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling .item() on a Tensor, "
            "please try to rewrite what you're doing with other operations."
        )
    if what == "__bool__()":
        raise RuntimeError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. Each example may go "
            "another way: use torch.where instead."
        )
    raise RuntimeError(f"vmap: Tensor.{what} needs one value, and each example has its own")


def of_all_examples(tensor: Tensor) -> Tensor:
    """The values of all examples in one tensor."""
    while isinstance(tensor._array, Abstract):
        array: Any = tensor._array
        tensor = array.inner if isinstance(array, BatchedArray) else array.primal
    return tensor


def raised(level: Any, tensor: Tensor) -> Tensor:
    """The tensor as one of a level."""
    tensor = after_its_end(tensor)
    array = tensor._array
    return tensor if isinstance(array, Abstract) and array.level is level else constant(level, tensor)


def lifted(tensors: tuple) -> tuple:
    """The operands, Python numbers aside, all of the highest level among them."""
    tensors = tuple([after_its_end(x) if isinstance(x, Tensor) else x for x in tensors])
    level = level_among(tensors)
    return tensors if level is None else tuple([raised(level, x) if isinstance(x, Tensor) else x for x in tensors])


def lifted_to_write(target: Tensor, others: tuple) -> tuple:
    """The same where the first operand is about to be written: one without a tangent gets one if others have it."""
    level = level_among((target, *others))
    array, view = target._array, target._view
    is_below = level is not None and not (isinstance(array, Abstract) and array.level is level)
    if is_below and type(level) is Batch:  # what is one for all examples can only be written what is so, too
        return lifted_to_write(target, tuple([_one_for_all(level, x) for x in others]))
    if is_below or isinstance(array, DualArray) and _needs_room(array, others):
        base = again = target if view is None else view.base
        if not (isinstance(base._array, Abstract) and base._array.level is level):
            _make_dual(level, base)
        else:
            base._array.tangent = no_tangent(base._array) + base._array.tangent
        if view is not None:
            for operation, attrs in view.steps:
                again = operation.call(again, **(attrs or {}))
            target._array = again._array
    return lifted((target, *others))


def _needs_room(target: DualArray, others: tuple) -> bool:
    """Whether tangents about to be written differ between examples of `vmap`s that share the target's one."""
    if target.tangent is None:
        return False
    arrays = [getattr(x, "_array", None) for x in others]
    parts = [part for a in arrays if isinstance(a, DualArray) for part in (a.primal, a.tangent) if part is not None]
    return not _examples_of((target.primal, *parts)) <= _examples_of((target.tangent,))


def _examples_of(tensors: Any) -> set[Level]:
    """The `vmap`s for whose examples one of the tensors differs."""
    found: set[Level] = set()
    for x in tensors:
        array = x._array
        while isinstance(array, Abstract):
            if isinstance(array, BatchedArray):
                found |= {array.level} if array.is_batched else set()
                array = array.inner._array
            else:
                array = array.primal._array
    return found


def _one_for_all(level: Level, x: Any) -> Any:
    array = getattr(x, "_array", None)
    if not (isinstance(array, BatchedArray) and array.level is level):
        return x
    if array.is_batched:
        raise batched_arrays.cannot_write()
    return array.inner


def _make_dual(level: Forward, tensor: Tensor) -> None:
    """Makes a tensor from below a level one of it, whose tangent is zero as yet; its history stays with its value."""
    inner = wrap(tensor._array)
    inner._node, inner._output, inner._needs_grad = tensor._node, tensor._output, tensor._needs_grad
    tensor._array, tensor._node, tensor._output, tensor._needs_grad = DualArray(level, inner, None), None, 0, False


# ---------------------------------------------------------------- running an operation


def run(op: Op, arrays: tuple, attrs: dict[str, Any] | None) -> Any:
    """The result's array, or a tuple of several, on operands of one level."""
    first = next(a for a in arrays if isinstance(a, Abstract))
    place = devices.cpu if kinds.GPU is None else kinds.device_of(first)
    if place.type != "cuda":
        return _run_at(first.level, op, arrays, attrs)
    runtime = kinds.GPU.cupy.cuda.runtime
    before = modes.device, runtime.getDevice()
    modes.device = place  # of what rules make of nothing
    runtime.setDevice(place.index)
    try:
        return _run_at(first.level, op, arrays, attrs)
    finally:
        modes.device = before[0]
        runtime.setDevice(before[1])


def _run_at(level: Any, op: Op, arrays: tuple, attrs: dict[str, Any] | None) -> Any:
    if type(level) is Forward:
        return _run_dual(op, level, arrays, attrs or {})
    try:
        return _run_batched(op, level, arrays, attrs or {})
    except NoRule:
        return _run_one_by_one(op, level, arrays, attrs or {})


def _run_batched(op: Op, level: Any, arrays: tuple, attrs: dict[str, Any]) -> Any:
    if op.elementwise:
        out = op.call(*batched_arrays.aligned(level, *arrays), **attrs)
        differs = any(isinstance(a, BatchedArray) and a.is_batched for a in arrays)
        return batched_arrays.all_of(level, out, differs)
    xp, half = batching.namespace, half_among(arrays) if op.wide else None
    if half is None:
        return op.forward(xp, *arrays, **attrs)
    out = op.forward(xp, *[widened(xp, a) for a in arrays], **attrs)
    if isinstance(out, tuple):
        return tuple([narrowed(xp, part, half) for part in out])
    return narrowed(xp, out, half)


def _run_one_by_one(op: Op, level: Any, arrays: tuple, attrs: dict[str, Any]) -> Any:
    """The operation on each example by itself, which records each in turn where gradients are wanted."""
    parts = [(a.inner, a.is_batched) if isinstance(a, BatchedArray) else (a, False) for a in arrays]
    results = []
    for i in range(level.size):
        example = [tensor_arrays.slice(x, (i, Ellipsis)) if differs else x for x, differs in parts]
        results.append(op.call(*example, **attrs))
    return _stacked(op.name, level, results)


def _stacked(name: str, level: Batch, results: list[Any]) -> Any:
    """The array of all examples' results, or a tuple of several.

    Raises:
        RuntimeError: they are of different shapes.
    """
    several = isinstance(results[0], tuple)
    columns = list(zip(*results, strict=True)) if several else [tuple(results)]
    if any(part.shape != column[0].shape for column in columns for part in column):
        raise RuntimeError(
            f"vmap: {name} gives results of different shapes for different examples, which vmap cannot stack; "
            "dynamic shapes are not supported"
        )
    stacked = [BatchedArray(level, batched_arrays.stacked(column)) for column in columns]
    return tuple(stacked) if several else stacked[0]


def of_values(function: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    """The result of a function that reads values and has no derivative: example by example, and of dual tensors the value."""
    level: Any = level_among((*args, *kwargs.values()))

    def called(pick: Any) -> Any:
        return function(*[pick(x) for x in args], **{key: pick(x) for key, x in kwargs.items()})

    if level is None:
        return called(lambda x: x)
    results = []
    for i in range(level.size) if type(level) is Batch else (0,):

        def pick(x: Any, i: int = i) -> Any:
            array = getattr(x, "_array", None)
            if not (isinstance(array, Abstract) and array.level is level):
                return x
            if isinstance(array, DualArray):
                return array.primal
            return tensor_arrays.slice(array.inner, (i, Ellipsis)) if array.is_batched else array.inner  # type: ignore[attr-defined]

        results.append(called(pick))
    if type(level) is Forward:
        return results[0]
    found = _stacked(function.__name__, level, results)
    if not isinstance(found, tuple):
        return wrap(found)
    kind = type(results[0])  # a tuple, or one with names
    return tuple(map(wrap, found)) if kind is tuple else kind(*map(wrap, found))


def _run_dual(op: Op, level: Any, arrays: tuple, attrs: dict[str, Any]) -> Any:
    primals = tuple([a.primal if isinstance(a, DualArray) else a for a in arrays])
    tangents = tuple([a.tangent if isinstance(a, DualArray) else None for a in arrays])
    outs = op.call(*primals, **attrs)
    if op.view and arrays[0].dtype.kind in "fc":  # a write through the view is to be seen in the base
        if tangents[0] is None:
            arrays[0].tangent = tangent = no_tangent(arrays[0])
            tangents = (tangent,)
        return DualArray(level, outs, op.call(*tangents, **attrs))
    several = isinstance(outs, tuple)
    found = tangents_of(op, primals, tangents, attrs, outs if several else (outs,))
    results = [DualArray(level, out, t) for out, t in zip(outs if several else (outs,), found, strict=True)]
    return tuple(results) if several else results[0]


# ---------------------------------------------------------------- tangents


def tangents_of(op: Op, primals: tuple, tangents: tuple, attrs: dict[str, Any], outs: tuple) -> list[Any]:
    """The tangent of each result, None where it is zero.

    Args:
        primals, outs: Tensors; primals may be Python numbers.
        tangents: for each input its tangent, or None.
    """
    nothing: list[Any] = [None] * len(outs)
    if not op.differentiable or all(t is None for t in tangents):
        return nothing
    if len(outs) == 1 and not _is_differentiable(outs[0]):
        return nothing
    if op.linear:
        return [_linear(op, primals, tangents, attrs)]
    if op.factors:
        return [_product(op, primals, tangents, attrs)]
    is_complex = any(x.dtype.is_complex for x in (*primals, *outs) if isinstance(x, Tensor))
    if op.symmetric or op.elementwise and not (op.wirtinger and is_complex) and len(outs) == 1:
        return [_elementwise(op, primals, tangents, attrs, outs[0])]
    return _by_transposing_twice(op, primals, tangents, attrs, outs)


def _linear(op: Op, primals: tuple, tangents: tuple, attrs: dict[str, Any]) -> Any:
    """A linear operation of the tangents. Inputs that cannot have one, such as indices, stay as they are."""
    given = [
        t if t is not None else tensor_arrays.full(x.shape, 0, x.dtype) if _is_differentiable(x) else x
        for x, t in zip(primals, tangents, strict=True)
    ]
    return op.call(*given, **attrs)


def _product(op: Op, primals: tuple, tangents: tuple, attrs: dict[str, Any]) -> Any:
    """The product rule. What is added, such as a bias, goes with the first factor."""
    added = [i for i, name in enumerate(op.inputs) if name not in op.factors]
    total = None
    for number, name in enumerate(op.factors):
        at = op.inputs.index(name)
        if tangents[at] is None and (number or all(tangents[i] is None for i in added)):
            continue
        given = list(primals)
        for i in (at, *added):
            given[i] = tangents[i] if i == at or not number else None
            if given[i] is None:
                given[i] = tensor_arrays.full(primals[i].shape, 0, primals[i].dtype)
        part = op.call(*given, **attrs)
        total = part if total is None else total + part
    return total


def _is_differentiable(x: Any) -> bool:
    return isinstance(x, Tensor) and x.dtype.kind in "fc"


def _elementwise(op: Op, primals: tuple, tangents: tuple, attrs: dict[str, Any], out: Tensor) -> Any:
    """Each result depends on one element of each input only: the gradient's formula is the tangent's, too."""
    xp = tensor_arrays
    if all(
        _is_plain(x) for x in (*primals, *tangents, out)
    ):  # nobody follows: on the arrays, in one pass where compiled
        xp = numpy_arrays
        primals, tangents, out = _arrays(primals), _arrays(tangents), out._array
    node, saved = unlinked_node(op, primals, tangents, attrs, (out,))
    total = None
    for formula, tangent in zip(op.formulas, tangents, strict=True):
        if tangent is None or formula is None:
            continue
        if tangent.shape != out.shape:
            tangent = xp.broadcast_to(tangent, out.shape)
        part = formula.call(node, saved, xp, tangent)
        if part is not None:
            total = part if total is None else total + part
    if total is not None and xp is numpy_arrays:
        total, out = wrap(np.asarray(total)), wrap(out)
    return None if total is None else _fit(total, out)


def _is_plain(x: Any) -> bool:
    """Whether a value is none of autograd's or a transform's business, and computed as it stands."""
    if not isinstance(x, Tensor):
        return True
    array = x._array
    return type(array) is ndarray and array.dtype.char in "fdFD" and not (x._needs_grad and modes.grad)


def _arrays(values: tuple) -> tuple:
    return tuple([x._array if isinstance(x, Tensor) else x for x in values])


def _fit(tangent: Tensor, out: Tensor) -> Tensor:
    """In the result's dtype and shape."""
    if tangent.dtype != out.dtype:
        tangent = tensor_arrays.astype(tangent, out.dtype)
    return tangent if tangent.shape == out.shape else tensor_arrays.broadcast_to(tangent, out.shape)


def _by_transposing_twice(op: Op, primals: tuple, tangents: tuple, attrs: dict[str, Any], outs: tuple) -> list[Any]:
    """Jacobian times tangent from the formula for its transpose: that is linear in the gradient it is given, and its own
    gradient, by the same engine, is the transpose of the transpose."""
    from rushlight.autograd.engine import run_backward

    with enable_grad():
        level = level_among((*primals, *outs))
        weights = []
        for out in outs:
            weight = wrap(tensor_arrays.full(out.shape, 0, out.dtype)._array)
            weight = weight if level is None else constant(level, weight)  # there, what is computed with it is recorded
            weight._needs_grad = out.dtype.kind in "fc"
            weights.append(weight)
        node, saved = unlinked_node(op, primals, tangents, attrs, outs)
        given = tuple([w if w._needs_grad else None for w in weights]) if len(outs) > 1 else weights[0]
        grads = node.op.differentiate(node, saved, tensor_arrays, given, node.edges)
    pairs = [
        (g, _fit(t, g))
        for g, t in zip(grads, tangents, strict=True)
        if g is not None and t is not None and g._needs_grad
    ]
    if not pairs:
        return [None] * len(outs)
    roots, directions = zip(*pairs, strict=True)
    tracked = modes.grad and any(x._needs_grad for x in (*primals, *outs, *directions) if isinstance(x, Tensor))
    asked = [w for w in weights if w._needs_grad]
    found = iter(run_backward(list(roots), list(directions), False, tracked, asked, accumulate=False))
    return [next(found) if w._needs_grad else None for w in weights]


def unlinked_node(op: Op, primals: tuple, tangents: tuple, attrs: dict[str, Any], outs: tuple) -> tuple[Node, tuple]:
    """A node as recording would make it, but of Tensors and part of no graph, for formulas to be called with."""
    arrays = _arrays(primals)
    with no_grad():
        wanted = tuple([0 if t is None else _wanted for t in tangents])
        node = op.make_node(wanted, primals, list(outs), attrs, watched=False)
    node.shapes = tuple([(getattr(a, "shape", ()), getattr(a, "dtype", None)) for a in arrays])
    op.fit_node_class(node, arrays)
    return node, node.saved


_wanted = object.__new__(Tensor)  # stands for an input whose gradient is wanted, when a node is made of what it needs
_wanted._needs_grad, _wanted._view, _wanted._node, _wanted._cell = True, None, None, [0, None]


def namespace_for(walks_tensors: bool, *values: Any) -> Any:
    """The namespace of a backward step among transforms, where the gradient alone does not tell."""
    if walks_tensors:
        return tensor_arrays
    flat: list[Any] = []
    for value in values:
        flat += value if isinstance(value, (tuple, list)) else [value]
    return namespace_of(*flat)


__all__ = ["after_its_end", "constant", "level_among", "lifted", "lifted_to_write", "namespace_for", "plain", "run"]
