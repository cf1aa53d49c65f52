"""How an operation is defined, called and recorded.

    @op
    def matmul(xp, a, b):
        return xp.matmul(a, b)

    matmul.derivative(
        a=lambda xp, grad, b: xp.matmul(grad, adjoint(xp, b)),
        b=lambda xp, grad, a: xp.matmul(adjoint(xp, a), grad),
    )

The parameters after `xp` are array inputs; keyword-only parameters are attributes, which are not
differentiated. A formula's parameters after `xp, grad` name what it needs: an input, `out`, an attribute,
`<input>_shape` or `<input>_dtype`. They are read once, here, and are all that is kept for backward.

Complex numbers: the gradient of a real loss is its derivative by the conjugate, as in PyTorch. Formulas are written as for
real numbers; for a holomorphic operation `conj(formula(conj(grad)))` is then the complex rule, and is what happens. An
operation that is not (abs, real, a norm) says `wirtinger=True`, and its formulas state the complex rule themselves.

An operation with several results names them: `@op(outputs=("values", "vectors"))`. Its formulas get a tuple of gradients,
None for a result that has none, and may ask for results by these names.

`@op` returns the function users call. On plain NumPy arrays it takes a short path, a closure built for the
operation's number of inputs; everything else (Python numbers, mixed dtypes, symbolic arrays) goes through
`Op.general`. In-place forms, views and version checks are at the end of this file.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from functools import cached_property
from operator import itemgetter
from typing import Any

import numpy as np
from numpy import ndarray

from rushlight import devices, dtypes
from rushlight.arrays import kinds, numpy as numpy_arrays, symbolic as symbolic_arrays
from rushlight.arrays.kinds import DIRECT, Abstract, namespace_of
from rushlight.arrays.sparse import SparseArray, SparseNamespace
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd import anomaly, saved
from rushlight.autograd.history import cell_of, edge_of, note_view
from rushlight.autograd.modes import modes
from rushlight.autograd.node import Node, next_serial
from rushlight.ops.formulas import Formula, parameters_of, sum_to_shape
from rushlight.ops.fused import LONG_PATIENCE, PATIENCE, Fused
from rushlight.ops.large import LARGE, Large
from rushlight.ops.precision import (
    FLOAT32,
    HALF,
    NUMBERS,
    Conjugated,
    InFloat32,
    half_among,
    in_float32,
    rounded,
    rounds_gradient,
    widened,
)
from rushlight.tensor import Tensor, wrap

_new = object.__new__
_quiet, _quiet_value = numpy_arrays.quiet_state()
_set_quiet, _reset_quiet = _quiet.set, _quiet.reset


class HostNumber(float):
    """A Python number that a recorded program reads again at each run, such as a learning rate.

    `symbol` is the 0-dimensional float64 symbolic array that stands for it. compile/trace.py makes these.
    """

    symbol: SymbolicArray


# How many threads record a program, or watch what autograd records (anomaly mode, hooks of saved tensors): the short
# paths ask this before anything else, and if it is not 0, operations take the long path.
recording = 0
_recording_lock = threading.Lock()


def add_recording(count: int) -> None:
    """One more reason for the long path, or (-1) one less."""
    global recording
    with _recording_lock:
        recording += count


def _recorder() -> Any:
    """This thread's recorder, if it is recording: compiler/trace.py puts its own function here."""
    return None


# ---------------------------------------------------------------- the namespaces


class TensorArrays:
    """The waist on Tensors: derivative formulas given this namespace are differentiable again.

    Filled by `op(waist=...)`, an operation for every waist function.
    """


tensor_arrays = TensorArrays()
sparse_arrays = SparseNamespace()
kinds.add_kind(SymbolicArray, symbolic_arrays)
kinds.add_kind(SparseArray, sparse_arrays)
kinds.NAMESPACES[Tensor] = tensor_arrays
kinds.HOLDERS.add(Tensor)


def creation_namespace() -> Any:
    """Where new arrays come from: recorded while a program is recorded; else those of the default device."""
    if recording and _recorder() is not None:
        return symbolic_arrays
    return numpy_arrays if modes.device is None else creation_on(modes.device)


def creation_on(device: Any) -> Any:
    """Where new arrays come from on the CPU or a GPU."""
    if device.type == "cpu":
        return numpy_arrays
    return kinds.gpu().creation(device.index if device.index is not None else devices.on_gpu(device).index)


# ---------------------------------------------------------------- recording a program


def lift(tensor: Tensor) -> None:
    """While a program is recorded, makes a tensor that came from outside an input of it."""
    recorder = _recorder()
    if recorder is not None:
        array = tensor._array
        if type(array) is ndarray or kinds.GPU is not None and type(array) is kinds.GPU.ndarray:
            recorder.lift(tensor)


def note_tensor(tensor: Tensor) -> None:
    recorder = _recorder()
    if recorder is not None:
        recorder.note_tensor(tensor)


def note_grad(tensor: Tensor, is_read: bool) -> None:
    recorder = _recorder()
    if recorder is not None:
        recorder.note_grad(tensor, is_read)


def note_backward() -> None:
    recorder = _recorder()
    if recorder is not None:
        recorder.differentiated = True


def note_module(module: Any) -> None:
    recorder = _recorder()
    if recorder is not None:
        recorder.note_module(module)


def refuse_value(tensor: Tensor, what: str) -> None:
    recorder = _recorder()
    if recorder is not None:
        recorder.refuse_value(tensor, what)


# ---------------------------------------------------------------- an operation


class Op:
    """An operation: its forward function, its derivative formulas, and what kind of operation it is.

    Args:
        forward: `forward(xp, *inputs, **attributes)`, written against the waist.
        elementwise: operands are promoted to one dtype and broadcast; gradients are summed back to each
            operand's shape; in-place forms exist.
        floats: elementwise, and integers become the default dtype first (exp, division).
        view: the result shares the input's memory.
        linear: in all its differentiable inputs together, with one result: its tangent is the operation on tangents.
        factors: the inputs in each of which alone it is linear, as a product is; others with a derivative are added.
        symmetric: its Jacobian is: the gradient's formula is the tangent's, too.
        waist: the waist function that this operation is on Tensors.
        promote_from: the first operand that takes part in promotion.
        wide: half precision is computed in float32 and rounded once, as PyTorch does; not so for what only moves values.
        native_half: a product, which GPUs compute of half precision by themselves: sums in float32, rounded once.
        num_rounded: of several results how many, the first ones, are rounded to half precision; others stay float32.
        refuses: dtypes that PyTorch has no such operation for: "b" for a boolean result, "B" for any boolean operand.
        fuse: a composition worth compiling into one pass, forward and derivatives (`ops.fused`); "simple": one step of
            NumPy, worth it on large arrays or after very many calls, and only forward; "derivative": the other way round.
        wirtinger: not holomorphic: its formulas are right for complex numbers as they stand.
        outputs: the names of the results, where `forward` returns a tuple of several.
        grad_name: the name of its nodes, as PyTorch's: "Mul" gives "MulBackward0".
    """

    def __init__(
        self, forward: Callable[..., Any], elementwise: bool = False, floats: bool = False, view: bool = False,
        waist: str | None = None, grad_name: str | None = None, name: str | None = None, promote_from: int = 0,
        wide: bool = True, refuses: str = "", fuse: bool | str = False, wirtinger: bool = False, linear: bool = False,
        factors: tuple[str, ...] = (), symmetric: bool = False, outputs: tuple[str, ...] = ("out",),
        native_half: bool = False, num_rounded: int | None = None,
    ):  # fmt: skip
        self.name, self.fuse = name or forward.__name__.rstrip("_"), fuse
        (_, *self.inputs), self.variadic, self.attributes = parameters_of(forward)
        self.elementwise, self.floats, self.view = elementwise or floats, floats, view
        self.promote_from, self.linear = promote_from, linear or view
        self.factors, self.symmetric, self.native_half = factors, symmetric, native_half
        self.num_rounded = num_rounded
        self.wide, self.refuses, self.wirtinger, self.outputs = wide and not view, refuses, wirtinger, outputs
        self.several = len(outputs) > 1
        not_floats = "?bBhHiIlLqQpP" if self.floats else "?" if refuses else ""
        self.slow = not_floats + (HALF + "FD" if self.wide else "")  # NumPy's characters of dtypes for the long path
        self.formulas: list[Formula | None] = [None] * len(self.inputs)
        self.differentiable, self.saved_names, self.saves_shapes = False, [], False
        self.joint: Formula | None = None
        self.saved_outputs: tuple[int, ...] = ()
        self.saved_places: list[
            int | None
        ] = []  # numbers of inputs; -1 and down: of outputs; None: all that are variadic
        self.plans: dict[tuple, Any] = {}
        grad_name = grad_name or "".join(part.capitalize() for part in self.name.split("_"))
        self.node_class = type(f"{grad_name}Backward0", (Node,), {"__slots__": (), "op": self})
        self.direct = _direct_function(forward, self)
        self.function = forward
        self.is_fused = fuse in (True, "simple")
        self.forward = Fused(forward, LONG_PATIENCE if fuse == "simple" else PATIENCE) if self.is_fused else forward
        self.large = Large(forward, self.direct is not None, promote_from) if self.elementwise else None
        self.__doc__ = forward.__doc__
        self.call = self._caller()
        if waist:
            setattr(tensor_arrays, waist, self.call)

    @cached_property
    def half_node_class(self) -> type[Node]:
        """The class of nodes whose derivatives are computed in float32."""
        return type(self.node_class.__name__, (self.node_class,), {"__slots__": (), "op": InFloat32(self)})

    @cached_property
    def complex_node_class(self) -> type[Node]:
        """The class of nodes of a holomorphic operation on complex numbers."""
        return type(self.node_class.__name__, (self.node_class,), {"__slots__": (), "op": Conjugated(self)})

    def _half_among(self, arrays: Any) -> np.dtype | None:
        """The half-precision dtype among the operands, if this is to be computed in float32."""
        half = half_among(arrays) if self.wide else None
        if half is not None and self.native_half and kinds.GPU is not None:
            if all(a.__class__ is kinds.GPU.ndarray and a.dtype == half for a in arrays):
                return None
        return half

    def fit_node_class(self, node: Node, arrays: Any) -> None:
        """Gives a node the class for the dtypes of its operands."""
        if self.wide:
            if self._half_among(arrays) is not None:
                node.__class__ = self.half_node_class
            elif not self.wirtinger and any(a.__class__ not in NUMBERS and a.dtype.kind == "c" for a in arrays):
                node.__class__ = self.complex_node_class

    @cached_property
    def _in_float32(self) -> tuple[Large | None, Fused]:
        function = in_float32(self.function, self.num_rounded)
        return Large(function, False) if self.elementwise else None, Fused(function)

    def half_kernel(self, xp: Any, arrays: tuple, attrs: dict[str, Any] | None) -> Any:
        """The forward function on half-precision arrays of a GPU: by one kernel, the changes of dtype included."""
        large, fused = self._in_float32
        out = large.on_gpu(xp, arrays, attrs) if large else None
        return out if out is not None else fused(xp, *arrays, **(attrs or {}))

    lowered: Callable[[tuple], tuple] | None = None  # casts operands while autocast is on (`ops.autocast`)

    def _caller(self) -> Callable[..., Any]:
        plain = not (self.variadic or self.attributes or self.view) and len(self.outputs) == 1
        if plain and len(self.inputs) == 2 and not self.elementwise:
            caller = _pair(self)
        elif len(self.inputs) == 1 and not self.variadic and len(self.outputs) == 1:
            caller = _unary_with_attributes(self) if self.attributes or self.view else _unary(self)
        elif self.elementwise and len(self.inputs) == 2 and not self.attributes:
            caller = _binary(self)
        else:
            caller = _nary(self)
        caller.op, caller.derivative = self, self.derivative
        caller.__name__ = caller.__qualname__ = self.name
        caller.__doc__ = self.__doc__
        return caller

    def derivative(self, **formulas: Callable[..., Any]) -> None:
        """Adds formulas, by input: `formula(xp, grad, <what it needs>)` gives the gradient of that input."""
        if self.variadic:
            self.derivative_of_all(formulas[self.variadic])
            return
        self.formulas = [Formula(formulas.pop(name), self) if name in formulas else None for name in self.inputs]
        if formulas:
            raise TypeError(f"{self.name} has no inputs {sorted(formulas)}")
        self._plan([formula for formula in self.formulas if formula])

    def derivative_of_all(self, formula: Callable[..., Any]) -> None:
        """Adds one formula that gives the list of the gradients of all inputs: for operations on any number of them."""
        self.joint = Formula(formula, self)
        self._plan([self.joint])

    def _plan(self, formulas: list[Formula]) -> None:
        """Decides, from what the formulas ask for, what a node keeps."""
        order = [*self.inputs, *self.outputs, self.variadic]
        self.saved_names = sorted({name for formula in formulas for name in formula.saved}, key=order.index)
        for formula in formulas:
            formula.bind(self.saved_names)
        self.differentiable = True
        self.saves_shapes = self.elementwise and len(self.inputs) > 1 or any(f.saves_shapes for f in formulas)
        self.saved_outputs = tuple([i for i, name in enumerate(self.outputs) if name in self.saved_names])
        self.saved_places = [
            None
            if name == self.variadic
            else -1 - self.outputs.index(name)
            if name in self.outputs
            else self.inputs.index(name)
            for name in self.saved_names
        ]
        self.plans.clear()
        if not self.joint and not self.variadic and len(self.inputs) == 1:
            self.differentiate = _unary_differentiator(self)  # type: ignore[method-assign]
        elif not self.joint and self.elementwise and len(self.inputs) == 2:
            self.differentiate = _binary_differentiator(self)  # type: ignore[method-assign]

    def plan_for(self, needed: tuple[bool, ...]) -> tuple[Callable[[tuple], tuple], list[int], list[int]]:
        """What to keep when these inputs need gradients: (picks it from inputs, outputs and rest; inputs; outputs kept)."""
        formulas = (
            [self.joint] if self.joint else [f for f, need in zip(self.formulas, needed, strict=True) if f and need]
        )
        names = {name for formula in formulas for name in formula.saved}
        order = [*self.inputs, *self.outputs, self.variadic]
        at = [order.index(name) if name in names else -1 for name in self.saved_names]  # -1: None stands there
        pick = (
            (lambda values: ())
            if not at
            else itemgetter(*at)
            if len(at) > 1
            else (lambda values, i=at[0]: (values[i],))
        )
        kept = [i for i in at if 0 <= i < len(self.inputs)]
        plan = pick, kept, [i for i in self.saved_outputs if self.outputs[i] in names]
        self.plans[needed] = plan
        return plan

    # ------------------------------------------------------------ recording and differentiating

    def record(self, results: Any, inputs: tuple, arrays: Any, attrs: dict[str, Any] | None) -> None:
        """Makes the node of the results (a Tensor or a tuple of them) and attaches it."""
        if results.__class__ is not tuple:
            self.record_plain(results, inputs, arrays, attrs)
            self.fit_node_class(results._node, arrays)
            return
        node = self.make_node(inputs, arrays, [result._array for result in results], attrs)
        if self.saved_outputs:
            self.watch_outputs(node, results)
        self.fit_node_class(node, arrays)
        for i, result in enumerate(results):
            if i == 0 or result._array.dtype.kind not in "biu":
                result._node, result._output, result._needs_grad = node, i, True

    def record_plain(self, result: Tensor, inputs: tuple, arrays: Any, attrs: dict[str, Any] | None) -> None:
        """`record` for one result, of operands whose dtypes ask for no other class of node."""
        node = self.make_node(inputs, arrays, (result._array,), attrs)
        if self.saved_outputs:
            self.watch_outputs(node, (result,))
        result._node, result._output, result._needs_grad = node, 0, True

    def watch_outputs(self, node: Node, results: Any) -> None:
        """Notes the versions of the results that their own node keeps."""
        if node.extras is not None and node.extras.packed:
            return
        for i in self.plans[tuple([edge is not None for edge in node.edges])][2]:
            cell = results[i]._cell
            if cell is None:
                cell = results[i]._cell = [0, None]
            node.cells += (cell, cell[0])

    def make_node(
        self, inputs: tuple, arrays: Any, outs: Any, attrs: dict[str, Any] | None, watched: bool = True
    ) -> Node:  # fmt: skip
        node = _new(self.node_class)
        node.extras = None
        node.attrs = attrs
        node.edges = edges = tuple(
            [edge_of(x) if x.__class__ not in NUMBERS and x._needs_grad else None for x in inputs]
        )
        node.serial = next_serial()  # after those of its edges: a view whose base was written to makes its node anew
        needed = tuple([edge is not None for edge in edges])
        pick, kept, _ = self.plans.get(needed) or self.plan_for(needed)
        if self.variadic:
            fixed = len(self.inputs)
            node.saved = pick((*arrays[:fixed], *outs, tuple(arrays[fixed:]), None))
        else:
            node.saved = pick((*arrays, *outs, None))
        cells: tuple = ()
        for i in kept:
            x = inputs[i]
            if x.__class__ not in NUMBERS:
                cell = x._cell
                if cell is None:
                    cell = x._cell = [0, None]
                cells += (cell, cell[0])
        node.cells = cells
        if self.saves_shapes:
            node.shapes = tuple([(getattr(a, "shape", ()), getattr(a, "dtype", None)) for a in arrays])
        else:
            node.shapes = None
        if recording and watched:
            watch(node, inputs)
        return node

    def differentiate(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        """The gradients of a node's inputs, from that of its result (or a tuple, of several).

        Args:
            edges: the node's edges, with None in place of those whose gradient nobody wants; it is None then too.
        """
        if self.joint:
            return self.joint.call(node, saved, xp, grad)
        if self.elementwise:
            if xp is numpy_arrays:
                if grad.__class__ is ndarray and grad.size >= LARGE:
                    return self._differentiate_large(node, saved, grad, edges)
            elif xp is kinds.GPU:
                return self._differentiate_on_gpu(node, saved, xp, grad, edges)
        grads, shapes = [], node.shapes if self.elementwise else None
        for i, edge in enumerate(edges):
            formula = self.formulas[i]
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

    def _differentiate_large(self, node: Node, saved: tuple, grad: ndarray, edges: tuple) -> list[Any]:
        """The same in one pass on all cores, where that can be; and for a gradient that is one number everywhere."""
        shape, is_constant = grad.shape, not any(grad.strides)
        if is_constant:  # as the gradient of a sum is, spread out without memory
            grad = grad[(*(0,) * grad.ndim, Ellipsis)]
        grads = []
        for i, (edge, formula) in enumerate(zip(edges, self.formulas, strict=True)):
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

    def _differentiate_on_gpu(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> list[Any]:
        """The same by one kernel for each formula that has several steps."""
        grads = []
        for i, (edge, formula) in enumerate(zip(edges, self.formulas, strict=True)):
            if edge is None or formula is None:
                grads.append(None)
                continue
            result = formula.large.on_gpu(xp, formula.operands(node, saved, grad))
            if result is None:
                result = formula.call(node, saved, xp, grad)
            if node.shapes is not None and result is not None and result.shape != node.shapes[i][0]:
                result = sum_to_shape(xp, result, node.shapes[i][0])
            grads.append(result)
        return grads

    def differentiate_half(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> list[Any]:
        """The same for half precision on a GPU: a kernel for each formula, from half precision to half precision."""
        grads = []
        for i, (edge, formula) in enumerate(zip(edges, self.formulas, strict=True)):
            if edge is None or formula is None:
                grads.append(None)
                continue
            shape = node.shapes[i][0] if self.elementwise and node.shapes is not None else None
            operands, rounds = formula.operands(node, saved, grad), rounds_gradient(node, i)
            grads.append(
                formula.half_kernel(xp, operands, rounds, None if shape is None or shape == grad.shape else shape)
            )
        return grads

    def on_large(self, arrays: tuple, attrs: dict[str, Any] | None = None) -> Any:
        """The forward function on large arrays: in one pass on all cores, or by NumPy."""
        out = self.large(arrays, attrs)
        return out if out is not None else self.forward(numpy_arrays, *arrays, **(attrs or {}))

    # ------------------------------------------------------------ the long path

    def general(self, inputs: tuple, attrs: dict[str, Any] | None = None) -> Any:
        """Calls the operation on anything: promotes dtypes, lifts tensors into a recorded program, records history."""
        tensors = _as_tensors(inputs)
        if tensors is None:
            return NotImplemented
        if self.lowered is not None and modes.autocast is not None:
            tensors = self.lowered(tensors)
        if self.elementwise:
            tensors = self.promoted(tensors)
        if recording:
            for x in tensors:
                if isinstance(x, Tensor):
                    lift(x)
        arrays = tuple([x if x.__class__ in NUMBERS else x._array for x in tensors])
        xp = namespace_of(*arrays)
        if xp not in DIRECT:
            tensors = transforms().lifted(tensors)
            arrays = tuple([x if x.__class__ in NUMBERS else x._array for x in tensors])
            xp = namespace_of(*arrays)
        elif xp is kinds.GPU or xp is sparse_arrays and kinds.GPU is not None:
            tensors = on_one_device(tensors, inputs, self.elementwise)
            arrays = tuple([x if x.__class__ in NUMBERS else x._array for x in tensors])
        out = self.run(xp, arrays, attrs)
        result = _wrapped(out) if out.__class__ is not tuple else tuple([_wrapped(part) for part in out])
        if self.view:
            note_view(result, tensors[0], self, attrs)
        if self.differentiable and modes.grad and _any_needs_grad(tensors):
            self.record(result, tensors, arrays, attrs)
        return result

    def run(self, xp: Any, arrays: tuple, attrs: dict[str, Any] | None) -> Any:
        token = _set_quiet(_quiet_value)
        half = self._half_among(arrays)
        before = -1
        try:
            if xp not in DIRECT:
                return transforms().run(self, arrays, attrs)
            if xp is kinds.GPU or xp is sparse_arrays:
                before = xp.use_device_of(next(a for a in arrays if a.__class__ is xp.ndarray))
            if half is not None:
                if xp is kinds.GPU and (self.elementwise or self.is_fused):
                    return self.half_kernel(xp, arrays, attrs)
                arrays = tuple([widened(xp, a) for a in arrays])
            if (
                self.elementwise
                and xp is numpy_arrays
                and any(a.__class__ is ndarray and a.size >= LARGE for a in arrays)
            ):
                out = self.on_large(arrays, attrs)
            elif self.elementwise and self.direct is None and xp is kinds.GPU:
                out = self.large.on_gpu(xp, arrays, attrs)
                if out is None:
                    out = self.forward(xp, *arrays, **(attrs or {}))
            else:
                out = self.forward(xp, *arrays, **attrs) if attrs else self.forward(xp, *arrays)
            return out if half is None else rounded(xp, out, half, self.num_rounded)
        except (ValueError, TypeError) as error:
            raise self.explained(error, arrays) from None
        finally:
            _reset_quiet(token)
            if before >= 0:
                kinds.GPU.cupy.cuda.runtime.setDevice(before)

    def promoted(self, inputs: tuple) -> tuple:
        """The operands with one dtype, by PyTorch's rules. Python numbers stay numbers, of the right type."""
        fixed, operands = inputs[: self.promote_from], inputs[self.promote_from :]
        target = dtypes.result_type_of_kinds(*[_promotion_kind(x) for x in operands])
        if self.floats and target.kind not in "fc":
            target = dtypes.get_default_dtype()
        if target.kind in self.refuses or "B" in self.refuses and any(map(_is_boolean, operands)):
            raise dtypes.no_kernel(f"{self.name}_cpu", target)
        return (*fixed, *[_converted(x, target) for x in operands])

    def explained(self, error: Exception, arrays: tuple) -> Exception:
        """PyTorch's error for what NumPy says of shapes and dtypes."""
        if isinstance(error, TypeError):
            if "ufunc" not in str(error) and "numpy boolean" not in str(error):
                return error
            dtype = next(dtypes.from_numpy(a.dtype) for a in arrays if hasattr(a, "dtype"))
            return dtypes.no_kernel(f"{self.name}_cpu", dtype)
        shapes = [a.shape for a in arrays if hasattr(a, "shape")]
        if self.elementwise and len(shapes) > 1:
            for a, b in itertools.pairwise(shapes):
                message = _broadcast_complaint(a, b)
                if message:
                    return RuntimeError(f"{message} ({self.name}: {', '.join(str(list(s)) for s in shapes)})")
        return RuntimeError(f"{self.name}: {error} (shapes {', '.join(str(list(s)) for s in shapes)})")


def watch(node: Node, inputs: tuple = ()) -> None:
    """Of a node just made: notes the line that made it, in anomaly mode, and hands saved values to their hooks."""
    if modes.anomaly:
        anomaly.note_forward(node)
    if modes.saved_hooks and node.saved:
        saved.pack(node, inputs)


def bare_node(node_class: type[Node], edges: tuple, attrs: dict[str, Any] | None = None, shapes: Any = None) -> Node:
    """A node that keeps no values."""
    node = _new(node_class)
    node.serial, node.extras, node.saved, node.cells = next_serial(), None, (), ()
    node.attrs, node.edges, node.shapes = attrs, edges, shapes
    if recording:
        watch(node)
    return node


def is_array(x: Any) -> bool:
    """Whether something is an array of one of the kinds; NumPy's scalars and Tensors are not."""
    return x.__class__ in kinds.CLASSES or isinstance(x, Abstract)


def _wrapped(out: Any) -> Tensor:
    return wrap(out if is_array(out) else np.asarray(out))


def transforms() -> Any:
    """How operations run inside transforms: loaded when the first of these runs."""
    from rushlight.ops import transforms

    return transforms


def op(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Defines an operation; see the top of this file and `Op`."""
    if function is None:
        return lambda function: Op(function, **options).call
    return Op(function, **options).call


class _Probe:
    """A namespace whose functions tell their name if they are called on `marks` and nothing else."""

    def __init__(self, marks: tuple):
        self._marks = marks

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: name if args == self._marks and not kwargs else None


def _direct_function(forward: Callable[..., Any], op: Op) -> Callable[..., Any] | None:
    """NumPy's function, if all that `forward` does is to call it on its inputs: the short path calls it itself."""
    if op.variadic or op.attributes or len(op.outputs) > 1:
        return None
    marks = tuple(object() for _ in op.inputs)

    try:
        name = forward(_Probe(marks), *marks)
    except (AttributeError, TypeError, NameError):  # it does more than to pass its inputs on, or calls what comes later
        return None
    return getattr(numpy_arrays, name) if isinstance(name, str) else None


# ---------------------------------------------------------------- the short paths


def _unary(op: Op) -> Any:
    forward, general = op.forward, op.general
    compute = op.direct or (forward.of_one if op.is_fused else lambda x: forward(numpy_arrays, x))
    slow, record, elementwise = op.slow, _unary_recorder(op), op.elementwise

    def call(x: Tensor) -> Tensor:
        try:
            a = x._array
        except AttributeError:
            if x.__class__ in NUMBERS:
                message = f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(x).__name__}"
                raise TypeError(message) from None
            return _or_type_error(general((x,)), op, (x,))
        if a.__class__ is not ndarray or recording or (a.dtype is not FLOAT32 and a.dtype.char in slow):
            return general((x,))
        token = _set_quiet(_quiet_value)
        try:
            out = compute(a) if a.size < LARGE or not elementwise else op.on_large((a,))
        except TypeError as error:
            raise op.explained(error, (a,)) from None
        finally:
            _reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if x._needs_grad and modes.grad and op.differentiable:
            record(result, x, a, out)
        return result

    return call


def _unary_with_attributes(op: Op) -> Any:
    forward, general, record, view = op.forward, op.general, _unary_recorder(op), op.view
    slow, elementwise = op.slow, op.elementwise
    compute = forward.of_one if op.is_fused else lambda x, attrs: forward(numpy_arrays, x, **attrs)

    def call(x: Any, **attrs: Any) -> Any:
        try:
            a = x._array
        except AttributeError:
            return _or_type_error(general((x,), attrs), op, (x,))
        if a.__class__ is not ndarray or recording:
            return general((x,), attrs)
        dtype = a.dtype
        if dtype is not FLOAT32 and (dtype.char in slow or elementwise and dtype.kind != "f"):
            return general((x,), attrs)
        token = _set_quiet(_quiet_value)
        try:
            out = op.on_large((a,), attrs) if elementwise and a.size >= LARGE else compute(a, attrs)
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a,)) from None
        finally:
            _reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if view:
            note_view(result, x, op, attrs)
        if x._needs_grad and modes.grad and op.differentiable:
            record(result, x, a, out, attrs)
        return result

    return call


def _unary_recorder(op: Op) -> Callable[..., None]:
    """`Op.record` for one input, without loops."""
    node_class = op.node_class

    def record(result: Tensor, x: Tensor, a: Any, out: Any, attrs: Any = None) -> None:
        node = _new(node_class)
        node.extras = None
        node.attrs = attrs
        source = x._node
        node.edges = (source if source is not None and x._view is None and not x._output else edge_of(x),)
        node.serial = next_serial()
        pick, kept, keeps_out = op.plans.get(_ALONE) or op.plan_for(_ALONE)
        node.saved = pick((a, out, None))
        cells: tuple = ()
        if kept:
            cell = x._cell
            if cell is None:
                cell = x._cell = [0, None]
            cells = (cell, cell[0])
        if keeps_out:
            cell = result._cell
            if cell is None:
                cell = result._cell = [0, None]
            cells += (cell, cell[0])
        node.cells = cells
        node.shapes = ((a.shape, a.dtype),) if op.saves_shapes else None
        result._node = node
        result._needs_grad = True

    return record


_ALONE = (True,)


def _binary(op: Op) -> Any:
    compute, general = op.direct or (lambda x, y: op.forward(numpy_arrays, x, y)), op.general
    slow, record = op.slow, _binary_recorder(op)

    def of_number(x: Any, y: Any) -> Any:
        """A Python number and a tensor, in this order; anything else takes the long path."""
        kind, b = x.__class__, getattr(y, "_array", None)
        if (
            (kind is not float and kind is not int)
            or b.__class__ is not ndarray
            or recording
            or b.dtype.char not in "fd"
        ):
            return general((x, y))
        token = _set_quiet(_quiet_value)
        try:
            out = compute(x, b) if b.size < LARGE else op.on_large((x, b))
        finally:
            _reset_quiet(token)
        result = _wrapped(out)
        if y._needs_grad and modes.grad and op.differentiable:
            op.record(result, (x, y), (x, b), None)
        return result

    def call(x: Any, y: Any) -> Any:
        try:
            a = x._array
            kind = y.__class__
            if kind is float or kind is int:
                b = y
                if a.__class__ is not ndarray or recording or a.dtype.char not in "fd":
                    return general((x, y))
                y_needs_grad = False
            else:
                b = y._array
                dtype = a.dtype
                if (
                    dtype is not b.dtype
                    or a.__class__ is not ndarray
                    or b.__class__ is not ndarray
                    or recording
                    or (dtype is not FLOAT32 and dtype.char in slow)
                ):
                    return general((x, y))
                y_needs_grad = y._needs_grad
        except AttributeError:
            return of_number(x, y)
        token = _set_quiet(_quiet_value)
        try:
            out = compute(a, b) if a.size < LARGE else op.on_large((a, b))
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a, b)) from None
        finally:
            _reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if (y_needs_grad or x._needs_grad) and modes.grad and op.differentiable:
            record(result, x, y, a, b, out, y_needs_grad)
        return result

    return call


def _binary_recorder(op: Op) -> Callable[..., None]:
    """`Op.record` for two inputs, without loops. The second may be a Python number."""
    node_class, plans, elementwise = op.node_class, op.plans, op.elementwise

    def record(result: Tensor, x: Tensor, y: Any, a: Any, b: Any, out: Any, y_needs_grad: bool) -> None:
        node = _new(node_class)
        node.extras = node.attrs = node.shapes = None
        if not y_needs_grad:
            source, needed = x._node, _FIRST
            node.edges = (source if source is not None and x._view is None and not x._output else edge_of(x), None)
        elif x._needs_grad:
            node.edges, needed = (edge_of(x), edge_of(y)), _BOTH
        else:
            node.edges, needed = (None, edge_of(y)), _SECOND
        node.serial = next_serial()
        pick, kept, keeps_out = plans.get(needed) or op.plan_for(needed)
        node.saved = pick((a, b, out, None))
        cells: tuple = ()
        for i in kept:
            if i == 0:
                cell = cell_of(x)
                cells += (cell, cell[0])
            elif b is not y:  # not a number
                cell = y._cell
                if cell is None:
                    cell = y._cell = [0, None]
                cells += (cell, cell[0])
        if keeps_out:
            result._cell = cell = [0, None]
            cells += (cell, 0)
        node.cells = cells
        if (b is not y and a.shape != b.shape) if elementwise else op.saves_shapes:
            node.shapes = ((a.shape, a.dtype), (b.shape, b.dtype))
        result._node = node
        result._needs_grad = True

    return record


_FIRST, _SECOND, _BOTH = (True, False), (False, True), (True, True)


def _unary_differentiator(op: Op) -> Callable[..., Any]:
    """`Op.differentiate` for one input, without a loop."""
    formula: Any = op.formulas[0]
    elementwise, saves_shapes = op.elementwise, op.elementwise and op.saves_shapes

    def differentiate(node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        if elementwise and grad.__class__ is ndarray and grad.size >= LARGE and xp is numpy_arrays:
            return op._differentiate_large(node, saved, grad, edges)
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


def _binary_differentiator(op: Op) -> Callable[..., Any]:
    """`Op.differentiate` for two elementwise inputs, without a loop."""
    first, second = op.formulas

    def differentiate(node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> Any:
        if grad.__class__ is ndarray and grad.size >= LARGE and xp is numpy_arrays:
            return op._differentiate_large(node, saved, grad, edges)
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


def _pair(op: Op) -> Any:
    """For two tensors of one dtype that are not elements of each other: a matrix product."""
    compute, general = op.direct or (lambda x, y: op.forward(numpy_arrays, x, y)), op.general
    slow, record = op.slow, _binary_recorder(op)

    def call(x: Any, y: Any) -> Any:
        try:
            a, b = x._array, y._array
        except AttributeError:
            return _or_type_error(general((x, y)), op, (x, y))
        dtype = a.dtype
        if (
            recording
            or a.__class__ is not ndarray
            or b.__class__ is not ndarray
            or (dtype is not FLOAT32 and dtype.char in slow)
            or (b.dtype is not dtype and b.dtype.char in slow)
        ):
            return general((x, y))
        token = _set_quiet(_quiet_value)
        try:
            out = compute(a, b)
        except (ValueError, TypeError) as error:
            raise op.explained(error, (a, b)) from None
        finally:
            _reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if (x._needs_grad or y._needs_grad) and modes.grad and op.differentiable:
            record(result, x, y, a, b, out, y._needs_grad)
        return result

    return call


def _nary(op: Op) -> Any:
    elementwise, forward, general, record, view = op.elementwise, op.forward, op.general, op.record_plain, op.view
    slow, several = op.slow, len(op.outputs) > 1

    def call(*inputs: Any, **attrs: Any) -> Any:
        if recording or several or (elementwise and len(inputs) > 1):
            return _or_type_error(general(inputs, attrs), op, inputs)
        needs_grad, arrays = False, []
        for x in inputs:
            try:
                a = x._array
            except AttributeError:
                return _or_type_error(general(inputs, attrs), op, inputs)
            if a.__class__ is not ndarray:
                return general(inputs, attrs)
            dtype = a.dtype
            if dtype is not FLOAT32 and (dtype.char in slow or elementwise and dtype.kind != "f"):
                return general(inputs, attrs)
            arrays.append(a)
            if x._needs_grad:
                needs_grad = True
        token = _set_quiet(_quiet_value)
        try:
            if elementwise and a.size >= LARGE:
                out = op.on_large(tuple(arrays), attrs)
            else:
                out = forward(numpy_arrays, *arrays, **attrs)
        except (ValueError, TypeError) as error:
            raise op.explained(error, tuple(arrays)) from None
        finally:
            _reset_quiet(token)
        if out.__class__ is not ndarray:
            out = np.asarray(out)
        result = _new(Tensor)
        result._array, result._needs_grad, result._output = out, False, 0
        result._node = result._grad = result._cell = result._view = result._hooks = None
        if view:
            note_view(result, inputs[0], op, attrs)
        if needs_grad and modes.grad and op.differentiable:
            record(result, inputs, arrays, attrs)
        return result

    return call


def _or_type_error(result: Any, op: Op, inputs: tuple) -> Any:
    if result is NotImplemented:
        wrong = next(x for x in inputs if not isinstance(x, (Tensor, ndarray, np.generic, *NUMBERS)))
        raise TypeError(
            f"{op.name}(): argument '{(op.inputs or ['tensors'])[0]}' must be Tensor, not {type(wrong).__name__}"
        )
    return result


# ---------------------------------------------------------------- operands


def _as_tensors(inputs: tuple) -> tuple | None:
    """Inputs as tensors and Python numbers; None if one is neither and cannot become one."""
    converted = []
    for x in inputs:
        if isinstance(x, Tensor) or x.__class__ in NUMBERS or isinstance(x, HostNumber):
            converted.append(x)
        elif isinstance(x, (ndarray, Abstract)) or kinds.GPU is not None and x.__class__ is kinds.GPU.ndarray:
            converted.append(wrap(x))
        elif isinstance(x, (np.number, np.bool_)):
            converted.append(x.item())
        elif isinstance(x, (int, float)):
            converted.append(float(x) if isinstance(x, float) else int(x))
        else:
            return None
    return tuple(converted)


def _promotion_kind(x: Any) -> Any:
    """What `dtypes.result_type_of_kinds` wants to know of an operand."""
    if x.__class__ in NUMBERS:
        return x.__class__
    return float if isinstance(x, HostNumber) else (dtypes.from_numpy(x._array.dtype), x._array.ndim)


def _is_boolean(x: Any) -> bool:
    return x.__class__ is bool or isinstance(x, Tensor) and x._array.dtype == np.bool_


def _any_needs_grad(tensors: tuple) -> bool:
    return any(isinstance(x, Tensor) and x._needs_grad for x in tensors)


def _converted(x: Any, target: dtypes.dtype) -> Any:
    """An operand in the dtype of the operation."""
    if x.__class__ in NUMBERS:
        if target.kind == "f":
            return float(x)
        if target.kind == "c":
            return complex(x)
        return bool(x) if target.kind == "b" else np.asarray(x).astype(target.numpy).item()  # wraps around
    if isinstance(x, HostNumber):
        return wrap(symbolic_arrays.astype(x.symbol, target.numpy))
    return x if x._array.dtype == target.numpy else cast(x, dtype=target.numpy)


def _broadcast_complaint(a: tuple, b: tuple) -> str | None:
    ndim = max(len(a), len(b))
    for i in range(1, min(len(a), len(b)) + 1):
        m, n = a[-i], b[-i]
        if m != n and m != 1 and n != 1:
            return (
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) "
                f"at non-singleton dimension {ndim - i}"
            )
    return None


_INT64 = np.dtype(np.int64)


def counted(xp: Any, count: int) -> Any:
    """0, 1, 2, ... up to `count`."""
    return xp.arange(0, count, 1, _INT64)


# ---------------------------------------------------------------- the operation that promotion itself needs


@op(grad_name="ToCopy", waist="astype", wide=False, linear=True)
def cast(xp: Any, x: Any, *, dtype: np.dtype) -> Any:
    """A copy in another dtype."""
    return xp.astype(x, dtype)


cast.derivative(x=lambda xp, grad, x_dtype: xp.astype(grad, x_dtype))


# ---------------------------------------------------------------- devices


@op(grad_name="ToCopy", wide=False, linear=True)
def moved(xp: Any, x: Any, *, device: Any, source: Any, non_blocking: bool = False) -> Any:
    """A copy on another device than `source`, on which it is; from pinned memory, it may be still to come."""
    if non_blocking and xp is numpy_arrays:
        return kinds.gpu().from_host(x, device, non_blocking=True)
    return xp.to_device(x, device)


moved.derivative(x=lambda xp, grad, device, source: xp.to_device(grad, source))


def to_device(x: Tensor, device: Any, non_blocking: bool = False) -> Tensor:
    """The tensor on a device: itself, if it is there; else a copy that autograd follows."""
    source = x.device
    if source == device:
        return x
    attrs = {"device": device, "source": source}
    if non_blocking and device.type == "cuda":
        attrs["non_blocking"] = True
    return moved.op.general((x,), attrs)


tensor_arrays.to_device = to_device  # type: ignore[attr-defined]


def on_several_devices(found: Any) -> RuntimeError:
    """PyTorch's error for operands on these devices, None for what is on none."""
    names = sorted({str(device) for device in found if device is not None}, reverse=True)
    return RuntimeError(
        f"Expected all tensors to be on the same device, but found at least two devices, {names[0]} and {names[1]}! "
        "`.to(device)` moves a tensor."
    )


def on_one_device(tensors: tuple, given: tuple, is_elementwise: bool) -> tuple:
    """Operands of which some are on a GPU. Numbers on the CPU go there, as in PyTorch; no other tensors do.

    Args:
        given: what the operands were made of: arrays of NumPy, a formula's constants, go where the tensors are.

    Raises:
        RuntimeError: they are on several devices.
    """
    found = [None if x.__class__ in NUMBERS else x.device for x in tensors]
    target = next((device for device, x in zip(found, tensors, strict=True) if device and device.type == "cuda"), None)
    if target is None:  # sparse ones, all on the CPU
        return tensors
    result = []
    for x, device, original in zip(tensors, found, given, strict=True):
        if device is not None and device != target:
            if original.__class__ is not ndarray and (device.type != "cpu" or not is_elementwise or x._array.ndim):
                raise on_several_devices(found)
            x = to_device(x, target)
        result.append(x)
    return tuple(result)
