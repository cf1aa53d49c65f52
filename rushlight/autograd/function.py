"""`autograd.Function`: an operation of the user's own, with its derivative, in Python on Tensors.

`apply` runs `forward` without recording what happens inside, and records one node for all of it (`CustomNode`). The walk
differentiates that node as any other: the node is its own operation, and its `differentiate` calls the user's
`backward`. What the user keeps is on the context (`FunctionCtx`), an object of its own, so that no attribute that the
user chooses can meet one of the node's.

Arrays of other kinds than plain and symbolic ones (batched, dual) are `transforms.apply_function`'s business.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import warnings
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

from rushlight.arrays.kinds import Abstract
from rushlight.autograd import hooked
from rushlight.autograd.engine import _with_history
from rushlight.autograd.history import cell_of, edge_of, note_view, note_write, rewrite
from rushlight.autograd.modes import modes, no_grad
from rushlight.autograd.node import Node, as_function
from rushlight.autograd.saved import FREED, packed_value, unpacked_value
from rushlight.ops import broadcasting, copies, namespaces, nodes, observers
from rushlight.ops.inplace import view_scatter_node
from rushlight.ops.views import alias
from rushlight.tensor import Tensor, wrap

_VIEW = (
    "This view was created inside a custom Function (or because an input was returned as-is) and the autograd logic to "
    "handle view+inplace would override the custom backward associated with the custom Function, leading to incorrect "
    "gradients. This behavior is forbidden. You can fix this by cloning the output of the custom Function."
)


class FunctionCtx:
    """What `forward` leaves for `backward`: saved tensors, what was said of inputs and outputs, and the user's attributes."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self.to_save: tuple[Any, ...] = ()
        self.saved_for_forward: tuple[Any, ...] = ()
        self.dirty_tensors: tuple[Any, ...] = ()
        self.non_differentiable: tuple[Any, ...] = ()
        self.materialize_grads = True

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors (or None) for `backward`, which finds them in `saved_tensors`. To be called once."""
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keeps tensors (or None) for `jvp`."""
        for tensor in tensors:
            if not (isinstance(tensor, Tensor) or tensor is None):
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on "
                    "ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Says which inputs `forward` has written to. They have to be returned."""
        self.dirty_tensors = args

    def mark_shared_storage(self, *pairs: Any) -> None:
        """Does nothing: shared memory is seen."""
        warnings.warn("`mark_shared_storage` is deprecated. It does nothing.", FutureWarning, stacklevel=2)

    def mark_non_differentiable(self, *args: Any) -> None:
        """Says which outputs have no gradient. `backward` still gets one for them: zeros."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` gets zeros (as a rule) or None for outputs that no gradient came for."""
        self.materialize_grads = value


class BackwardCFunction(FunctionCtx):
    """The context of one call; each Function has a subclass, named as its nodes are."""

    _forward_cls: Any
    _kept: tuple[Any, ...] | None = None  # of to_save, once the call is over
    _node: Any = None  # a weak reference to the node
    _is_freed = False

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` was given.

        Raises:
            RuntimeError: it has been freed, or written to.
        """
        if self._is_freed:
            raise RuntimeError(FREED)
        if self._kept is None:
            return self.to_save
        found = tuple([None if kept is None else kept.tensor(self) for kept in self._kept])
        if self._forward_cls.clear_saved_tensors_on_access:
            self._free()
        return found

    saved_variables = saved_tensors

    def _free(self) -> None:
        self._kept, self._is_freed = (), True

    def _user_function(self) -> Callable[..., Any]:
        backward, vjp = self._forward_cls.backward, self._forward_cls.vjp
        if backward is not Function.backward and vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one "
                "of them."
            )
        found: Callable[..., Any] = vjp if vjp is not Function.vjp else backward
        return found

    def apply(self, *grads: Any) -> Any:
        """Runs the user's `backward`."""
        return self._user_function()(self, *([list(grads)] if self._forward_cls.boxed_grads_call else grads))


class _Kept:
    """A tensor kept for backward: an input or intermediate itself, the array of an output, or what a hook packed."""

    __slots__ = ("held", "edge", "number", "cell", "version", "unpack", "name")

    def __init__(self, tensor: Tensor, number: int | None, name: str):
        self.number, self.name = number, name  # which output; None: it is none
        self.held: Any = tensor if number is None else tensor._array
        self.cell = cell_of(tensor)
        self.version, self.unpack, self.edge = self.cell[0], None, None
        if modes.saved_hooks:
            pack, self.unpack = modes.saved_hooks[-1]
            self.edge = edge_of(tensor) if number is None and tensor._needs_grad else None
            self.held = packed_value(tensor._array, pack, self.cell)

    def tensor(self, ctx: BackwardCFunction) -> Tensor:
        if self.unpack is None and self.cell[0] != self.version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"[torch.FloatTensor {list(self.held.shape)}], which {self.name} saved, is at version {self.cell[0]}; "
                f"expected version {self.version} instead. Hint: write to a clone() of it, or use the operation that is "
                "not in place."
            )
        held: Any = self.held if self.unpack is None else unpacked_value(self.held, self.unpack)
        if self.number is None and self.unpack is None:
            kept: Tensor = held
            return kept
        edge = self.edge
        if self.number is not None:
            node = None if ctx._node is None else ctx._node()
            edge = (node, self.number) if self.number and node is not None else node
        return _with_history(held._array if isinstance(held, Tensor) else held, edge)


class CustomNode(Node):
    """The node of a call of a Function. It is its own operation.

    Attributes:
        ctx: the context of the call.
        results: for each output its shape and dtype, None for what is no tensor.
        takes: for each argument whether it is a tensor.
    """

    __slots__ = ("ctx", "results", "takes")
    saved_names: tuple[str, ...] = ()
    saved_places: tuple[int, ...] = ()
    attributes: ClassVar[dict[str, Any]] = {}
    inputs: tuple[str, ...] = ()
    variadic = None

    @property
    def op(self) -> Any:
        return self

    @property
    def outputs(self) -> tuple[Any, ...]:
        found: tuple[Any, ...] = self.results
        return found

    @property
    def several(self) -> bool:
        return len(self.results) > 1

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return tuple(as_function(edge) for edge, is_tensor in zip(self.edges, self.takes, strict=True) if is_tensor)

    def __getattr__(self, name: str) -> Any:
        """What the user put on the context, and `saved_tensors`."""
        if name == "ctx":
            raise AttributeError(name)
        try:
            return getattr(self.ctx, name)
        except AttributeError:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'") from None

    def differentiate(self, node: Node, saved: tuple, xp: Any, grad: Any, edges: tuple) -> list[Any]:
        """The gradients of the arguments, by the user's `backward`."""
        ctx, grads = self.ctx, grad if grad.__class__ is tuple else (grad,)
        shown = [
            _zeros(like)
            if part is None and like is not None and ctx.materialize_grads
            else part
            if part is None
            else hooked.as_tensor(part)
            for part, like in zip(grads, self.results, strict=True)
        ]
        ctx.needs_input_grad = tuple([edge is not None for edge in edges])
        results = ctx.apply(*shown)
        parts = self._checked(results if isinstance(results, tuple) else (results,))
        walk = modes.walk
        if walk is not None and not walk.retain_graph:
            ctx._free()
        return parts if isinstance(xp, namespaces.TensorArrays) else [g if g is None else g._array for g in parts]

    def _checked(self, grads: tuple) -> list[Any]:
        """The gradients that `backward` gave, as many as there are arguments and of their shapes and dtypes."""
        count, name = len(self.takes), self.name()
        while len(grads) > count and grads[-1] is None:
            grads = grads[:-1]
        if len(grads) != count:
            raise RuntimeError(
                f"function {name} returned an incorrect number of gradients (expected {count}, got {len(grads)})"
            )
        parts: list[Any] = []
        for i, (grad, is_tensor) in enumerate(zip(grads, self.takes, strict=True)):
            if grad is not None and not is_tensor:
                raise RuntimeError(
                    f"function {name} returned a gradient different than None at position {i + 1}, but the corresponding "
                    "forward input was not a Variable"
                )
            if grad is not None and not isinstance(grad, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
            parts.append(None if grad is None or self.edges[i] is None else _fitted(grad, self.shapes[i], name, i))
        return parts


def _fitted(grad: Tensor, like: tuple[tuple[int, ...], Any], name: str, position: int) -> Tensor:
    """A gradient in the shape and dtype of its argument."""
    shape, dtype = like
    given = tuple(grad.shape)
    if given != shape:
        expands = len(given) >= len(shape) and all(
            n in (1, m) for n, m in zip(shape, given[len(given) - len(shape) :], strict=True)
        )
        if not expands:
            raise RuntimeError(
                f"Function {name} returned an invalid gradient at index {position} - got {list(given)} but expected shape "
                f"compatible with {list(shape)}"
            )
        grad = broadcasting.sum_to_shape(namespaces.tensor_arrays, grad, shape)
    if grad._array.dtype != dtype:
        if grad._array.dtype.kind == "c" and dtype.kind != "c":
            grad = grad.real
        grad = copies.cast(grad, dtype=dtype)
    return grad


def _zeros(like: tuple[Any, Any]) -> Tensor:
    shape, dtype = like
    zeros: Tensor = wrap(namespaces.creation_namespace().full(shape, 0, dtype))
    return zeros


class Function:
    """Base class of operations of one's own: subclasses define static methods, and are called by `apply`.

    `forward(ctx, *args)` computes; or `forward(*args)` computes and `setup_context(ctx, inputs, output)` keeps what is
    needed. `backward(ctx, *grads)` gets a gradient for each output and gives one for each argument, None for those
    that are no tensors. It may itself be differentiated, if it is made of differentiable operations.

    Example:
        >>> import rushlight as torch
        >>> class Cube(torch.autograd.Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x**3
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         (x,) = ctx.saved_tensors
        ...         return 3 * x**2 * grad
        >>> x = torch.tensor(2.0, requires_grad=True)
        >>> Cube.apply(x)
        tensor(8., grad_fn=<CubeBackward>)
        >>> torch.autograd.grad(Cube.apply(x), x)
        (tensor(12.),)
    """

    _backward_cls: type[BackwardCFunction]
    _node_class: type[CustomNode]
    clear_saved_tensors_on_access = False
    boxed_grads_call = False
    generate_vmap_rule = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        name, place = f"{cls.__name__}Backward", {"__module__": cls.__module__}
        cls._backward_cls = type(name, (BackwardCFunction,), {**place, "_forward_cls": cls})
        cls._node_class = type(name, (CustomNode,), {**place, "__slots__": ()})

    def __init__(self, *args: Any, **kwargs: Any):
        warnings.warn(
            f"{self.__class__} should not be instantiated. Methods on autograd functions are all static, so you should "
            "invoke them on the class itself. Instantiating an autograd function will raise an error in a future version "
            "of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style autograd function "
            "with static forward method. (Example: https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs: a tensor, or a tuple of tensors and other things."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Keeps on `ctx` what the derivative needs, if `forward` takes no context."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments, from those of the outputs."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward "
            "mode AD."
        )

    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs, from those of the arguments."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:
        """(outputs, their batch dimensions) of batched arguments."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set "
            "generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Calls the operation, and records it.

        Raises:
            NotImplementedError: there is no `forward`.
            RuntimeError: an input was marked as written to, and is a leaf or is not returned.
        """
        has_setup = cls.setup_context is not Function.setup_context
        if has_setup:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        given = (*args, *kwargs.values())
        if any(isinstance(arg, Tensor) and isinstance(arg._array, Abstract) for arg in given):
            return importlib.import_module("rushlight.autograd.transforms").apply_function(cls, args, kwargs)
        ctx = cls._backward_cls()
        ctx.needs_input_grad = needed = tuple([isinstance(arg, Tensor) and arg._needs_grad for arg in given])
        with no_grad():
            if has_setup:
                outputs = cls.forward(*args, **kwargs)
                cls.setup_context(ctx, args, outputs)
            else:
                outputs = cls.forward(ctx, *args, **kwargs)
        return _recorded(cls, ctx, given, outputs, any(needed) and modes.grad, has_setup)


def _recorded(cls: type[Function], ctx: Any, args: tuple, outputs: Any, is_recorded: bool, has_setup: bool) -> Any:
    """The outputs of a call, as outputs of its node."""
    results = list(outputs) if isinstance(outputs, tuple) else [outputs]
    inputs = {id(arg): arg for arg in args if isinstance(arg, Tensor)}
    dirty = _dirty(ctx, inputs, results)
    _check_saved(ctx, inputs, results, dirty, has_setup)
    node = _node_of(cls, ctx, args, results) if is_recorded else None
    plain = {id(tensor) for tensor in ctx.non_differentiable}
    shown = [
        _as_output(out, i, node, id(out) in inputs, id(out) in dirty, id(out) in plain)
        if isinstance(out, Tensor)
        else out
        for i, out in enumerate(results)
    ]
    numbers = {id(out): i for i, out in enumerate(results) if isinstance(out, Tensor) and id(out) not in inputs}
    numbers |= {key: i for i, out in enumerate(results) if (key := id(out)) in dirty}
    if is_recorded:
        ctx._kept = tuple(
            [None if t is None else _Kept(t, numbers.get(id(t)), cls._node_class.__name__) for t in ctx.to_save]
        )
        ctx._node = weakref.ref(node)
    ctx.to_save = ctx.dirty_tensors = ctx.non_differentiable = ()  # they would hold outputs, and these the context
    return tuple(shown) if isinstance(outputs, tuple) else shown[0]


def _dirty(ctx: Any, inputs: dict[int, Tensor], results: list[Any]) -> set[int]:
    """The ids of the inputs that were written to; notes these writes."""
    returned = {id(out) for out in results}
    dirty = set()
    for i, tensor in enumerate(ctx.dirty_tensors):
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"mark_dirty can only accept variables, but argument {i} is of type {type(tensor).__name__}"
            )
        if id(tensor) not in inputs:
            warnings.warn(
                "ctx.mark_dirty() received a tensor that was not an input. Only input Tensors that have been mutated should "
                "be passed to ctx.mark_dirty().",
                stacklevel=5,
            )
            continue
        if id(tensor) not in returned:
            raise RuntimeError(
                "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
                "modified inplace must all be outputs of the Function."
            )
        dirty.add(id(tensor))
        note_write(tensor, ctx._forward_cls.__name__)
    return dirty


def _check_saved(ctx: Any, inputs: dict[int, Tensor], results: list[Any], dirty: set[int], has_setup: bool) -> None:
    returned = {id(out) for out in results if id(out) in inputs} - dirty
    for i, tensor in enumerate(ctx.to_save):
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"save_for_backward can only save variables, but argument {i} is of type {type(tensor).__name__}"
            )
        if has_setup and id(tensor) in returned:
            raise RuntimeError(
                "An input that has been returned as-is as output is being saved for backward. This is not supported if you "
                "override setup_context. You should return and save a view of the input instead, e.g. with x.view_as(x) or "
                "setup ctx inside the forward function itself."
            )


def _node_of(cls: type[Function], ctx: Any, args: tuple, results: list[Any]) -> CustomNode:
    edges = tuple([edge_of(arg) if isinstance(arg, Tensor) and arg._needs_grad else None for arg in args])
    shapes = tuple([_kind(arg) for arg in args])
    node: Any = nodes.bare_node(cls._node_class, edges, None, shapes)
    node.ctx, node.takes = ctx, tuple([isinstance(arg, Tensor) for arg in args])
    node.results = tuple([_kind(out) for out in results])
    found: CustomNode = node
    return found


def _kind(value: Any) -> Any:
    return (value._array.shape, value._array.dtype) if isinstance(value, Tensor) else None


def _as_output(
    out: Tensor, number: int, node: CustomNode | None, is_input: bool, is_dirty: bool, is_plain: bool
) -> Tensor:
    """A tensor that `forward` returned, as output `number` of the node (None: nothing is recorded)."""
    if is_dirty and not is_plain:
        if node is not None:
            _check_dirty(out)
            rewrite(out, (node, number) if number else node, view_scatter_node)
        return out
    if is_input or out._needs_grad:  # an argument as it came, or a tensor from elsewhere
        out = _other_on(out)
    if node is not None and not is_plain and out._array.dtype.kind not in "biu":
        out._node, out._output, out._needs_grad = node, number, True
        if out._view is not None:
            out._view.own = type(node).__name__.removesuffix("Backward"), number, _VIEW
    return out


def _other_on(tensor: Tensor) -> Tensor:
    """Another tensor on the memory of one: a view of it, without history."""
    if observers.count:
        observers.lift(tensor)
    other: Tensor = wrap(tensor._array)
    note_view(other, tensor, alias.op, None)
    return other


def _check_dirty(tensor: Tensor) -> None:
    view = tensor._view
    if view is None and tensor._node is None and tensor._needs_grad:
        raise RuntimeError("a leaf Variable that requires grad has been used in an in-place operation.")
    if view is not None and view.base._needs_grad and view.base._node is None:
        raise RuntimeError("a view of a leaf Variable that requires grad has been used in an in-place operation.")


class _Twice(Function):
    """The gradients of a function that is differentiable once: to differentiate them is an error."""

    @staticmethod
    def forward(ctx: Any, *grads: Any) -> Any:
        return tuple([None if grad is None else grad.detach() for grad in grads])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a `backward` whose result is not to be differentiated: it runs unrecorded, and a second pass raises."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with no_grad():
            outputs = fn(ctx, *args, **kwargs)
        if not modes.grad or not any(isinstance(arg, Tensor) and arg._needs_grad for arg in args):
            return outputs
        several = isinstance(outputs, tuple)
        leaves = [
            None if out is None else out.detach().requires_grad_() for out in (outputs if several else (outputs,))
        ]
        shown = _Twice.apply(*leaves)
        return shown if several else shown[0]

    return wrapper


class InplaceFunction(Function):
    """PyTorch's base class of old."""

    def __init__(self, inplace: bool = False):
        super().__init__()
        self.inplace = inplace
