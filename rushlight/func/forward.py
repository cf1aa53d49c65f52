"""Forward mode as functions of functions: `jvp` and `linearize`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rushlight.autograd.modes import enable_grad, modes
from rushlight.func.arguments import require_outputs, require_tensors, split_aux
from rushlight.func.reverse import detached, fresh, gradients, reaches_beyond
from rushlight.ops.create import zeros_like
from rushlight.tensor import Tensor, wrap
from rushlight.utils._pytree import tree_flatten, tree_map, tree_unflatten


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """The value of a function, and its derivative along a direction.

    Args:
        primals: a tuple of the arguments, trees of tensors.
        tangents: the direction, of the same structure.
        strict: raise if a result does not depend on the arguments, instead of giving zeros.
        has_aux: `func` returns (what is differentiated, something else).

    Returns:
        (value, derivative), with `has_aux` (value, derivative, aux).

    Raises:
        RuntimeError: primals are no tuple, or tangents of another structure or shape.

    Example:
        >>> import rushlight as torch
        >>> torch.func.jvp(torch.sin, (torch.tensor(0.0),), (torch.tensor(2.0),))
        (tensor(0.), tensor(2.))
    """
    name = "jvp(f, primals, tangents)"
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{name}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    values, spec = tree_flatten(primals)
    directions, other = tree_flatten(tangents)
    if spec != other:
        raise RuntimeError(
            f"{name}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple of "
            f"3 tensors, tangents also must be. Got primals with structure {spec} and tangents with structure {other}"
        )
    require_tensors(f"{name}: Expected primals", values)
    require_tensors(f"{name}: Expected tangents", directions)
    with Differentiation() as level:
        duals = [level.dual(x, t) for x, t in zip(values, directions, strict=True)]
        output, aux = split_aux(name, func(*tree_unflatten(duals, spec)), has_aux)
        outputs = require_outputs(name, output)
        output_spec = tree_flatten(output)[1]
        results = [level.parts(x) for x in outputs]
        aux = tree_map(lambda x: level.parts(x)[0] if isinstance(x, Tensor) else x, aux)
    if strict and any(t is None for _, t in results):
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed "
            "with strict=True."
        )
    value = tree_unflatten([x for x, _ in results], output_spec)
    derivative = tree_unflatten([zeros_like(x) if t is None else t for x, t in results], output_spec)
    return (value, derivative, aux) if has_aux else (value, derivative)


class Differentiation:
    """A forward-mode differentiation: a context manager, and what makes its dual tensors and takes them apart."""

    def __enter__(self) -> Differentiation:
        from rushlight.arrays.dual import Forward
        from rushlight.ops import transforms

        self._transforms = transforms
        self.level = Forward()
        return self

    def __exit__(self, *_: object) -> None:
        self.level.leave()

    def dual(self, primal: Tensor, tangent: Tensor) -> Tensor:
        """A tensor with a tangent.

        Raises:
            RuntimeError: the tangent is of another shape or dtype, or the primal of a dtype without derivatives.
        """
        from rushlight.arrays.dual import DualArray

        if primal.dtype.kind not in "fc":
            raise ValueError(f"Expected primal to be floating point or complex, but got: {primal.dtype}")
        if tangent.dtype.kind not in "fc":
            raise ValueError(f"Expected tangent to be floating point or complex, but got: {tangent.dtype}")
        if primal.shape != tangent.shape:
            raise RuntimeError(
                f"Expected tangent to have the same shape as the primal, but got {list(tangent.shape)} and "
                f"{list(primal.shape)}"
            )
        if primal.dtype != tangent.dtype:
            tangent = tangent.to(primal.dtype)
        plain = self._transforms.plain
        return wrap(DualArray(self.level, plain(primal), plain(tangent)))  # type: ignore[no-any-return]

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """(primal, tangent) of a tensor; one from outside has no tangent."""
        from rushlight.arrays.dual import DualArray

        array = x._array
        if isinstance(array, DualArray) and array.level is self.level:
            return array.primal, array.tangent
        return x, None


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """The value of a function, and its derivative there: a linear function, which does not compute `func` again.

    Returns:
        (value, jvp_fn); `jvp_fn(*tangents)` gives the derivative along a direction.

    Raises:
        RuntimeError: tangents of another structure, shape or dtype than the primals.

    Example:
        >>> import rushlight as torch
        >>> value, jvp_fn = torch.func.linearize(torch.square, torch.tensor(3.0))
        >>> jvp_fn(torch.tensor(1.0))
        tensor(6.)
    """
    values = require_tensors("linearize(f, *primals): Expected primals", primals)
    spec = tree_flatten(primals)[1]
    outer = modes.grad
    with enable_grad():
        variables = fresh(primals)
        output = func(*variables)
        outputs = require_outputs("linearize(f, *primals)", output)
        output_spec = tree_flatten(output)[1]
        weights = [zeros_like(x).requires_grad_() for x in outputs]
        beyond = outer and reaches_beyond(outputs, tree_flatten(variables)[0])
        # The gradient by each variable is linear in the weights: its own gradient by them is the derivative.
        transposed = gradients(outputs, weights, tree_flatten(variables)[0], True, True)

    def jvp_fn(*tangents: Any) -> Any:
        directions, other = tree_flatten(tangents)
        if other != spec:
            raise RuntimeError(f"Expected the tangents {other} to have the same argspec as the primals {spec}")
        for i, (t, x) in enumerate(zip(directions, values, strict=True)):
            for what, a, b in (
                ("shape", t.shape, x.shape),
                ("device", t.device, x.device),
                ("dtype", t.dtype, x.dtype),
            ):
                if a != b:
                    raise RuntimeError(
                        f"tangent:{i} with {what} {a} in flattened pytree doesn't match the {what} {b} of the "
                        "corresponding primal."
                    )
        tracked = modes.grad and (beyond or any(t._needs_grad for t in directions))
        return tree_unflatten(gradients(transposed, directions, weights, True, tracked), output_spec)

    return tree_unflatten(outputs if beyond else detached(outputs), output_spec), jvp_fn
