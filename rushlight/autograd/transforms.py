"""`autograd.Function` inside transforms: on batched and dual arrays.

The call goes down a level: it is made with what the arguments stand for, so that whatever is recorded there has the user's own
derivative. Then its outputs are put back on the level, with what the level wants to know: tangents, by the user's `jvp`; and,
if gradients are wanted on the level itself (`vmap(grad(...))`), a node whose `backward` is the user's, too.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from rushlight.arrays.batched import Batch, BatchedArray
from rushlight.arrays.dual import DualArray
from rushlight.autograd.function import Function, _recorded
from rushlight.autograd.modes import modes, no_grad
from rushlight.ops.namespaces import tensor_arrays
from rushlight.ops.transforms import level_among, raised
from rushlight.tensor import Tensor, wrap

_NOTES = "For more details, please see https://pytorch.org/docs/main/notes/extending.func.html"


class VmapInfo(NamedTuple):
    """What the `vmap` static method is told beside the arguments: how many examples there are, and of what random numbers."""

    batch_size: int
    randomness: str


def apply_function(cls: type[Function], args: tuple, kwargs: dict[str, Any]) -> Any:
    """`cls.apply` of arguments of which some are inside a transform."""
    if kwargs and any(isinstance(arg, Tensor) for arg in kwargs.values()):
        raise NotImplementedError(
            "Run vmap on autograd.Function with kwarg-only Tensor args. Please do not pass kwarg-only Tensors to "
            f"autograd.Function. Got: {kwargs}"
        )
    level = level_among(args)
    own = tuple([raised(level, arg) if isinstance(arg, Tensor) else arg for arg in args])
    has_setup = cls.setup_context is not Function.setup_context
    outputs = (_batched if type(level) is Batch else _dual)(cls, level, own, kwargs, has_setup)
    if not (modes.grad and any(isinstance(arg, Tensor) and arg._needs_grad for arg in own)):
        return outputs
    ctx = cls._backward_cls()
    ctx.needs_input_grad = tuple([isinstance(arg, Tensor) and arg._needs_grad for arg in own])
    with no_grad():
        if has_setup:
            cls.setup_context(ctx, own, outputs)
        else:  # once more, for what it keeps
            cls.forward(ctx, *own, **kwargs)
    return _recorded(cls, ctx, own, outputs, True, has_setup)


def _require_setup(has_setup: bool) -> None:
    if not has_setup:
        raise RuntimeError(
            "In order to use an autograd.Function with functorch transforms (vmap, grad, jvp, jacrev, ...), it must override "
            f"the setup_context staticmethod. {_NOTES}"
        )


def _each(function: Any, outputs: Any) -> Any:
    """The function of each output."""
    return tuple([function(out) for out in outputs]) if isinstance(outputs, tuple) else function(outputs)


# ---------------------------------------------------------------- forward mode


def _dual(cls: type[Function], level: Any, args: tuple, kwargs: dict[str, Any], has_setup: bool) -> Any:
    parts: Any = [arg._array if isinstance(arg, Tensor) else None for arg in args]
    primals = tuple([arg if part is None else part.primal for arg, part in zip(args, parts, strict=True)])
    tangents = [None if part is None else part.tangent for part in parts]
    ctx = cls._backward_cls()
    if has_setup:
        outputs = cls.apply(*primals, **kwargs)
        cls.setup_context(ctx, primals, outputs)
    else:
        with no_grad():
            outputs = cls.forward(ctx, *primals, **kwargs)
        if modes.grad and any(isinstance(x, Tensor) and x._needs_grad for x in primals):
            outputs = cls.apply(*primals, **kwargs)
    if ctx.materialize_grads:
        tangents = [
            tensor_arrays.full(x.shape, 0, x.dtype)
            if t is None and isinstance(x, Tensor) and x.dtype.kind in "fc"
            else t
            for x, t in zip(primals, tangents, strict=True)
        ]
    found = cls.jvp(ctx, *tangents)
    results = outputs if isinstance(outputs, tuple) else (outputs,)
    given = found if isinstance(found, tuple) else (found,)
    if len(given) != len(results):
        raise RuntimeError(
            f"Expected custom function's jvp to return {len(results)} tangents, one for each output, but got {len(given)}"
        )
    plain = {id(x) for x in ctx.non_differentiable}
    shown = [
        wrap(DualArray(level, out, None if id(out) in plain else t)) if isinstance(out, Tensor) else out
        for out, t in zip(results, given, strict=True)
    ]
    return tuple(shown) if isinstance(outputs, tuple) else shown[0]


# ---------------------------------------------------------------- vmap


def _batched(cls: type[Function], level: Any, args: tuple, kwargs: dict[str, Any], has_setup: bool) -> Any:
    has_rule = cls.vmap is not Function.vmap
    if cls.generate_vmap_rule and has_rule:
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it has both generate_vmap_rule=True and an overridden vmap "
            "staticmethod. Please set generate_vmap_rule=False or delete the overridden vmap staticmethod to avoid "
            f"ambiguity. {_NOTES}"
        )
    if not (cls.generate_vmap_rule or has_rule):
        raise RuntimeError(
            f"You tried to vmap over {cls.__name__}, but it does not have vmap support. Please override and implement the "
            f"vmap staticmethod or set generate_vmap_rule=True. {_NOTES}"
        )
    _require_setup(has_setup)
    parts: Any = [arg._array if isinstance(arg, Tensor) else None for arg in args]
    inner = [arg if part is None else part.inner for arg, part in zip(args, parts, strict=True)]
    in_dims = tuple([0 if part is not None and part.is_batched else None for part in parts])
    if all(dim is None for dim in in_dims):
        return _each(lambda out: _on(level, out, False), cls.apply(*inner, **kwargs))
    if has_rule:
        outputs, out_dims = _checked_rule(cls.vmap(VmapInfo(level.size, level.randomness), in_dims, *inner, **kwargs))
        dims = (
            out_dims
            if isinstance(out_dims, tuple)
            else (out_dims,) * (len(outputs) if isinstance(outputs, tuple) else 1)
        )
        found = [
            _on(level, out if not dim else out.movedim(dim, 0), dim is not None)
            for out, dim in zip(outputs if isinstance(outputs, tuple) else (outputs,), dims, strict=True)
        ]
        return tuple(found) if isinstance(outputs, tuple) else found[0]
    every = _vmapped(cls, in_dims, level.size, level.randomness)
    return _each(lambda out: _on(level, out, True), every.apply(*inner, **kwargs))


def _checked_rule(found: Any) -> tuple[Any, Any]:
    start = "Expected the vmap staticmethod of autograd.Function to return (output, out_dims), a tuple of two. "
    if not isinstance(found, tuple):
        raise RuntimeError(f"{start}Got a {type(found)} instead")
    if len(found) != 2:
        raise RuntimeError(f"{start}Got {len(found)} returns instead")
    return found


def _on(level: Any, x: Any, is_batched: bool) -> Any:
    return wrap(BatchedArray(level, x, is_batched)) if isinstance(x, Tensor) else x


class _Context:
    """The user's context inside a `vmap` of its own: the attributes of `ctx`, and the saved tensors as that level sees them."""

    def __init__(self, ctx: Any, saved: tuple):
        self._ctx, self.saved_tensors = ctx, saved

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ctx, name)


@functools.lru_cache(maxsize=256)
def _vmapped(cls: Any, in_dims: tuple, size: int, randomness: str) -> type[Function]:
    """The Function of all examples at once: the user's methods, each inside a `vmap`."""

    def inside(function: Any, values: Any, dims: Any) -> Any:
        """`function` of the values as examples, with its tensors taken out again: (value, whether batched) for each."""
        level = Batch(size, randomness)
        try:
            given = [_on(level, x, dim is not None) for x, dim in zip(values, dims, strict=True)]
            found = function(*given)
            return _each(lambda out: _out_of(level, out), found)
        finally:
            level.leave()

    def whole(found: Any) -> Any:
        x, is_batched = found
        return x if is_batched or not isinstance(x, Tensor) else tensor_arrays.broadcast_to(x, (size, *x.shape))

    class Vmapped(Function):
        @staticmethod
        def forward(*inner: Any) -> Any:
            found = inside(cls.forward, inner, in_dims)
            is_one = len(found) == 2 and isinstance(found[1], bool)
            return whole(found) if is_one else tuple([whole(part) for part in found])

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
            several = isinstance(output, tuple)
            outputs = output if several else (output,)
            user = cls._backward_cls()

            def keep(*values: Any) -> tuple:
                given, made = values[: len(inputs)], values[len(inputs) :]
                user.needs_input_grad = ctx.needs_input_grad
                cls.setup_context(user, given, made if several else made[0])
                marked = {id(x) for x in user.non_differentiable}
                ctx.mark_non_differentiable(*[x for x, y in zip(outputs, made, strict=True) if id(y) in marked])
                return (*user.to_save, *user.saved_for_forward)

            saved = inside(keep, (*inputs, *outputs), (*in_dims, *(0,) * len(outputs)))
            tensors, ctx.user_dims = [x for x, _ in saved], [0 if differs else None for _, differs in saved]
            ctx.count, ctx.user = len(user.to_save), user
            ctx.save_for_backward(*tensors[: ctx.count])
            ctx.save_for_forward(*tensors[ctx.count :])
            ctx.set_materialize_grads(user.materialize_grads)
            user.to_save = user.saved_for_forward = user.non_differentiable = ()

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            saved, dims = ctx.saved_tensors, ctx.user_dims[: ctx.count]

            def run(*values: Any) -> tuple:
                user = _Context(ctx.user, values[: len(saved)])
                found = (cls.vjp if cls.vjp is not Function.vjp else cls.backward)(user, *values[len(saved) :])
                return found if isinstance(found, tuple) else (found,)

            found = inside(run, (*saved, *grads), (*dims, *(0,) * len(grads)))
            results = []
            for (grad, differs), dim in zip(found, in_dims, strict=False):
                if grad is None or dim is not None:
                    results.append(grad if grad is None else whole((grad, differs)))
                else:
                    results.append(tensor_arrays.sum(grad, axis=0) if differs else grad * size)
            return tuple(results)

        @staticmethod
        def jvp(ctx: Any, *tangents: Any) -> Any:
            saved, dims = ctx.saved_for_forward, ctx.user_dims[ctx.count :]

            def run(*values: Any) -> Any:
                user = _Context(ctx.user, ())
                user.saved_for_forward = user.saved_tensors = values[: len(saved)]
                return cls.jvp(user, *values[len(saved) :])

            found = inside(run, (*saved, *tangents), (*dims, *in_dims))
            is_one = len(found) == 2 and isinstance(found[1], bool)
            return whole(found) if is_one else tuple([whole(part) for part in found])

    Vmapped.__name__ = Vmapped.__qualname__ = f"Vmapped{cls.__name__}"
    return Vmapped


def _out_of(level: Any, x: Any) -> tuple[Any, bool]:
    """(what a value of a level stands for, whether along a first axis)."""
    array = x._array if isinstance(x, Tensor) else None
    if isinstance(array, BatchedArray) and array.level is level:
        return array.inner, array.is_batched
    return x, False
