"""Writing into a tensor's own memory: in-place forms of operations, and what autograd must know of a write."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import dtypes
from rushlight.arrays import kinds, numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.kinds import Abstract, namespace_of
from rushlight.arrays.quiet import quiet_value, reset_quiet, set_quiet
from rushlight.arrays.sparse import SparseArray
from rushlight.autograd.history import note_write, rewrite
from rushlight.autograd.modes import modes
from rushlight.autograd.node import Node
from rushlight.ops import broadcasting, copies, namespaces, nodes, observers, precision, short_paths
from rushlight.ops.define import Op, op
from rushlight.ops.large import LARGE
from rushlight.ops.observers import HostNumber, lift
from rushlight.ops.operands import any_needs_grad, as_tensors, on_one_device
from rushlight.ops.precision import NUMBERS
from rushlight.tensor import Tensor, wrap


def in_place(function: Any, name: str | None = None) -> Callable[..., Tensor]:
    """The in-place form of an elementwise operation: `add_(x, y)` writes `x + y` into x and returns x."""
    operation: Op = function.op
    name = name or operation.name + "_"
    compute = operation.direct if isinstance(operation.direct, np.ufunc) else None

    def call(x: Tensor, *others: Any, **attrs: Any) -> Tensor:
        if compute is not None and len(others) == 1 and not observers.count:
            if _quickly(operation, compute, x, others[0]):
                note_write(x, name)
                return x
        return apply_in_place(operation, name, x, others, attrs)

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"In-place form of `{operation.name}`: writes the result into the tensor itself and returns it."
    return call


def _quickly(operation: Op, compute: np.ufunc, x: Any, y: Any) -> bool:
    """The short path of `x op= y`, if it applies: plain arrays of one kind and dtype (or a number), nothing to record."""
    try:
        a = x._array
        b = y if y.__class__ is float or y.__class__ is int else y._array
        if a.__class__ not in kinds.CLASSES or a.dtype.char not in "fd":
            return False
        if b is not y and (b.__class__ is not a.__class__ or b.dtype is not a.dtype or y._needs_grad and modes.grad):
            return False
        if x._needs_grad and modes.grad:
            return False
        if a.__class__ is not ndarray:
            return _quickly_on_gpu(operation, a, b)
        if not a.flags.writeable:
            return False
        token = set_quiet(quiet_value)
        try:
            if a.size < LARGE:
                compute(a, b, a)
            else:
                _write_large(operation, compute, a, b)
        finally:
            reset_quiet(token)
        return True
    except (AttributeError, ValueError, TypeError):  # let the long path explain
        return False


_ON_GPU = frozenset(("add", "subtract", "multiply", "divide"))  # what training steps write in place


def _quickly_on_gpu(operation: Op, a: Any, b: Any) -> bool:
    xp = kinds.GPU
    if xp is None or a.__class__ is not xp.ndarray or operation.direct_name not in _ON_GPU:
        return False
    is_array = b.__class__ is a.__class__
    if 0 in a.strides or (xp.are_elsewhere(a, b) if is_array else xp.are_elsewhere(a)):
        return False
    short_paths.function_on(operation, xp)(a, b if is_array else float(b), a)
    return True


def _write_large(operation: Op, compute: np.ufunc, a: ndarray, b: Any) -> None:
    """`a op= b`: whole blocks on all cores, the rest by NumPy."""
    done = operation.large.write((a, b)) if a is not b and not _overlap(a, b) else 0
    if done == a.size:
        return
    if done:
        a = a.reshape(-1)[done:]
        b = b.reshape(-1)[done:] if b.__class__ is ndarray and b.ndim else b
    compute(a, b, a)


def _overlap(a: ndarray, b: Any) -> bool:
    return b.__class__ is ndarray and np.may_share_memory(a, b)


def apply_in_place(operation: Op, name: str, x: Tensor, others: tuple, attrs: dict[str, Any]) -> Tensor:
    inputs = as_tensors((x, *others))
    if inputs is None:
        return NotImplemented
    if any(isinstance(t, Tensor) and isinstance(t._array, Abstract) for t in inputs):
        inputs = namespaces.transforms().lifted_to_write(x, inputs[1:])
    recorded = modes.grad and operation.differentiable and any_needs_grad(inputs)
    check_writable(x, modes.grad)
    operands = operation.promoted(inputs)
    if observers.count:
        for tensor in inputs + operands:
            if isinstance(tensor, Tensor):
                lift(tensor)
    arrays = tuple([t if t.__class__ in NUMBERS else t._array for t in operands])
    target, xp = x._array, namespace_of(*arrays)
    if xp is kinds.GPU:
        operands = on_one_device(operands, inputs, True)
        arrays = tuple([t if t.__class__ in NUMBERS else t._array for t in operands])
    if isinstance(target, Abstract) and modes.grad and operation.inputs[0] in operation.saved_names:
        before = xp.astype(target, target.dtype)  # what it holds may be recorded, by formulas that keep the old value
        arrays = tuple([before if a is target else a for a in arrays])
    node = _node_of_write(operation, xp, operands, arrays, attrs) if recorded else None  # of the old history
    out = _write(operation, xp, target, arrays, attrs)
    note_write(x, name)
    if node is not None:
        if observers.count:
            nodes.watch(node, operands)
        if operation.saved_outputs:
            operation.watch_outputs(node, (x,))
        rewrite(x, _cast_back(node, out, x), view_scatter_node)
    return x


def _node_of_write(operation: Op, xp: Any, operands: tuple, arrays: tuple, attrs: dict[str, Any]) -> Node:
    """The node of an in-place operation. A formula that asks for what is about to be overwritten gets a copy of it."""
    x, target = operands[0], arrays[0]
    needed = tuple([t.__class__ not in NUMBERS and t._needs_grad for t in operands])
    _, kept, _ = operation.plans.get(needed) or operation.plan_for(needed)
    if 0 in kept:
        before = wrap(xp.astype(target, target.dtype))
        before._node, before._output, before._needs_grad = x.grad_fn, x._output, x._needs_grad
        operands, arrays = (before, *operands[1:]), (before._array, *arrays[1:])
    node = operation.make_node(operands, arrays, [target], attrs, watched=False)  # it keeps what is yet to be written
    operation.fit_node_class(node, arrays)
    return node


def _write(operation: Op, xp: Any, target: Any, arrays: tuple, attrs: dict[str, Any]) -> Any:
    """Computes and writes; returns the dtype in which the operation was computed."""
    token = set_quiet(quiet_value)
    try:
        direct, plain = (
            operation.direct,
            target.dtype.char not in precision.HALF
            and (
                type(target) is ndarray
                or xp is namespaces.sparse_arrays
                and type(target) is not SparseArray  # only its rows
            ),
        )
        if isinstance(direct, np.ufunc) and plain and arrays[0] is target:
            shape = np.broadcast_shapes(*(getattr(a, "shape", ()) for a in arrays))
            if shape == target.shape:
                direct(*arrays, out=target)
                return target.dtype
        out = operation.run(xp, arrays, attrs)
    except (ValueError, TypeError) as error:
        raise operation.explained(error, arrays) from None
    finally:
        reset_quiet(token)
    shape, dtype = getattr(out, "shape", ()), out.dtype
    if shape != target.shape:
        raise RuntimeError(f"output with shape {list(target.shape)} doesn't match the broadcast shape {list(shape)}")
    check_castable(dtypes.from_numpy(dtype), dtypes.from_numpy(target.dtype))
    xp.assign(target, out)
    return dtype


def _cast_back(node: Node, computed: Any, x: Tensor) -> Node:
    """The node of the result in x's dtype, where the operation was computed in another."""
    if computed == x._array.dtype:
        return node
    attrs, shapes = {"dtype": x._array.dtype}, ((x._array.shape, computed),)
    return nodes.bare_node(copies.cast.op.node_class, (node,), attrs, shapes)


def check_castable(source: dtypes.dtype, target: dtypes.dtype) -> None:
    if not dtypes.can_cast(source, target):
        names = dtypes.LEGACY_NAMES
        raise RuntimeError(
            f"result type {names[source.name]} can't be cast to the desired output type {names[target.name]}"
        )


def _overlaps_itself(array: ndarray) -> bool:
    """Whether an array repeats elements of its memory, as expanded ones do."""
    return (
        0 in array.strides
        and array.size > 0
        and any(n > 1 and stride == 0 for n, stride in zip(array.shape, array.strides, strict=True))
    )


def _is_read_only(array: Any) -> bool:
    if array.__class__ is ndarray:
        return not array.flags.writeable or _overlaps_itself(array)
    return kinds.GPU is not None and array.__class__ is kinds.GPU.ndarray and _overlaps_itself(array)


def check_writable(x: Tensor, recorded: bool) -> None:
    """Raises PyTorch's errors for writing into a leaf that requires gradients, while autograd records."""
    if observers.count and modes.mutation is not None:
        modes.mutation.before_write(x)
    if recorded and x._needs_grad:
        view = x._view
        if view is not None and view.own is not None:
            name, number, why = view.own
            raise RuntimeError(f"Output {number} of {name} is a view and is being modified inplace. {why}")
        if view is not None and view.base._needs_grad and view.base._node is None:
            raise RuntimeError("a view of a leaf Variable that requires grad is being used in an in-place operation.")
        if view is None and x._node is None:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if _is_read_only(x._array):
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a single memory "
            "location, or the NumPy array behind it is read-only. Please clone() the tensor before performing "
            "the operation."
        )


# ---------------------------------------------------------------- a base whose view was written to


@op(grad_name="CopySlices")
def view_scatter(xp: Any, base: Any, source: Any, *, steps: tuple) -> Any:
    """The base with what the view operations `steps` lead to replaced by `source`."""
    out = xp.astype(base, base.dtype)
    xp.assign(apply_steps(xp, out, steps), source)
    return out


def apply_steps(xp: Any, array: Any, steps: tuple) -> Any:
    for operation, attrs in steps:
        array = operation.forward(xp, array, **(attrs or {}))
    return array


_OF_PARTS = frozenset({"real", "imag", "view_as_real", "view_as_complex"})  # views of parts of complex numbers


def _without_region(xp: Any, grad: Any, steps: tuple) -> Any:
    """The gradient with zeros where the base was written over.

    It may lie in memory as the base does not, so that a step copies where it made a view of the base: as the gradient of a sum,
    which is one number everywhere, under `y.view(-1)[0] = ...`. Then the region is found by its elements' positions.
    """
    moves = not any(operation.name in _OF_PARTS for operation, _ in steps)  # whole elements
    if moves and xp is not symbolic_arrays and type(grad) is not ndarray:
        return xp.where(_outside(tuple(grad.shape), steps), grad, xp.full((), 0, grad.dtype))
    out = xp.astype(grad, grad.dtype)
    region = apply_steps(xp, out, steps)
    if moves and xp is not symbolic_arrays and not np.may_share_memory(region, out):
        out[~_outside(out.shape, steps)] = 0
    else:
        xp.assign(region, 0.0)
    return out


def _outside(shape: tuple[int, ...], steps: tuple) -> ndarray:
    """Where an array of a shape is not what the steps lead to."""
    outside = np.ones(math.prod(shape), np.bool_)
    outside[apply_steps(numpy_arrays, np.arange(outside.size).reshape(shape), steps)] = False
    return outside.reshape(shape)


view_scatter.derivative(
    base=_without_region,
    source=lambda xp, grad, steps: apply_steps(xp, grad, steps),
)


def view_scatter_node(base_edge: Any, source: Any, steps: tuple, base: Tensor) -> Node:
    """The node of a base after a write to its view made the view the output of `source`."""
    return nodes.bare_node(view_scatter.op.node_class, (base_edge, source), {"steps": steps})


# ---------------------------------------------------------------- plain writes


@op(grad_name="Copy")
def copied(xp: Any, x: Any, source: Any) -> Any:
    """The value of `source` in the shape and dtype of `x`."""
    return xp.astype(xp.broadcast_to(source, x.shape), x.dtype)


copied.derivative(
    x=lambda xp, grad: xp.full(grad.shape, 0, grad.dtype),
    source=lambda xp, grad, source_shape, source_dtype: xp.astype(
        broadcasting.sum_to_shape(xp, grad, source_shape), source_dtype
    ),
)


def _misfit(name: str, target: tuple[int, ...], given: tuple[int, ...]) -> RuntimeError:
    """PyTorch's error for a source that does not broadcast to what it is to be written to."""
    if name == "copy_":
        return RuntimeError(broadcasting.broadcast_complaint(target, given) or f"{given} is no shape for {target}")
    extra, sizes = len(target) - len(given), f"Target sizes: {list(target)}.  Tensor sizes: {list(given)}"
    if extra < 0:
        return RuntimeError(
            f"The number of sizes provided ({len(target)}) must be greater or equal to {len(given)}. {sizes}"
        )
    at = next((i for i, n in enumerate(given) if n not in (1, target[i + extra])), 0)
    return RuntimeError(
        f"The expanded size of the tensor ({target[at + extra]}) must match the existing size ({given[at]}) at "
        f"non-singleton dimension {at + extra}.  {sizes} ({name})"
    )


def write(x: Tensor, source: Any, name: str = "copy_") -> Tensor:
    """Writes `source` (a tensor, an array or a number), broadcast and cast, into x. Returns x."""
    check_writable(x, modes.grad)
    if isinstance(source, (np.ndarray, np.generic)):
        source = wrap(np.asarray(source))
    is_tensor = isinstance(source, Tensor)
    if observers.count:
        lift(x)
        if is_tensor:
            lift(source)
    if isinstance(x._array, Abstract) or is_tensor and isinstance(source._array, Abstract):
        _, source = namespaces.transforms().lifted_to_write(x, (source,))
    target = x._array
    node = None
    if modes.grad and (x._needs_grad or is_tensor and source._needs_grad):
        given = source if is_tensor else wrap(np.asarray(source, target.dtype))
        node = copied.op.make_node((x, given), (target, given._array), [target], {})
    values = source._array if is_tensor else source.symbol if isinstance(source, HostNumber) else source
    try:
        namespace_of(target, values).assign(target, values)
    except ValueError:
        raise _misfit(name, target.shape, tuple(getattr(values, "shape", ()))) from None
    note_write(x, name)
    if node is not None:
        rewrite(x, node, view_scatter_node)
    return x
