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

`@op` returns the function users call. On plain NumPy arrays it takes a short path (`short_paths.py`); everything else (Python
numbers, mixed dtypes, symbolic arrays) goes through `Op.general` (`long_path.py`). What is recorded is made in `nodes.py`, and
differentiated in `differentiation.py`. In-place forms are in `inplace.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from rushlight.arrays import numpy as numpy_arrays
from rushlight.autograd.node import Node
from rushlight.ops import differentiation, long_path, nodes, operands, precision, short_paths
from rushlight.ops.formulas import Formula, parameters_of
from rushlight.ops.fused import LONG_PATIENCE, PATIENCE, Fused
from rushlight.ops.large import Large
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.precision import HALF, Conjugated, InFloat32, in_float32


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
        self.direct_name = _direct_name(forward, self)  # in the waist, if all that `forward` does is to call it
        self.direct = getattr(numpy_arrays, self.direct_name) if self.direct_name else None
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

    @cached_property
    def in_float32(self) -> tuple[Large | None, Fused]:
        function = in_float32(self.function, self.num_rounded)
        return Large(function, False) if self.elementwise else None, Fused(function)

    lowered: Callable[[tuple], tuple] | None = None  # casts operands while autocast is on (`ops.autocast`)

    def _caller(self) -> Callable[..., Any]:
        caller: Any = short_paths.short_path(self)
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
            self.differentiate = differentiation.unary_differentiator(self)  # type: ignore[method-assign]
        elif not self.joint and self.elementwise and len(self.inputs) == 2:
            self.differentiate = differentiation.binary_differentiator(self)  # type: ignore[method-assign]

    # ------------------------------------------------------------ its other methods, by what they are about

    general, run = long_path.general, long_path.run
    on_large, on_gpu = long_path.on_large, long_path.on_gpu
    promoted, explained = operands.promoted, long_path.explained
    half_among, half_kernel = precision.half_among_operands, precision.half_kernel
    fit_node_class, differentiate_half = precision.fit_node_class, precision.differentiate_half
    plan_for, make_node, watch_outputs = nodes.plan_for, nodes.make_node, nodes.watch_outputs
    record, record_plain = nodes.record, nodes.record_plain
    differentiate = differentiation.differentiate


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


def _direct_name(forward: Callable[..., Any], op: Op) -> str:
    """The waist's function, if all that `forward` does is to call it on its inputs: short paths call it themselves."""
    if op.variadic or op.attributes or len(op.outputs) > 1:
        return ""
    marks = tuple(object() for _ in op.inputs)

    try:
        name = forward(_Probe(marks), *marks)
    except (AttributeError, TypeError, NameError):  # it does more than to pass its inputs on, or calls what comes later
        return ""
    return name if isinstance(name, str) else ""
