"""The Jacobian and the Hessian of a function, whole: row by row, all rows at once, or all columns at once.

A row is a backward pass from one element of the results, a column a forward pass along one element of the inputs; "at once" is
the same pass on a batch of basis vectors. `functional.py` has the products that need no whole matrix.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from rushlight.autograd.modes import enable_grad
from rushlight.autograd.points import (
    called,
    detached,
    fresh,
    gradients_of,
    independent_in_graph,
    number_from,
    require_grads,
    single,
    tensors_in,
)  # fmt: skip
from rushlight.ops.create import beside, zeros_like
from rushlight.ops.views import stack
from rushlight.tensor import Tensor

Rows = tuple[tuple[Tensor, ...], ...]  # for each result, and in it for each input, a Jacobian


def jacobian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The Jacobian of a function: the derivative of each element of its results by each element of its inputs.

    Args:
        func: of tensors, with a tensor or a tuple of tensors as result.
        inputs: the point, a tensor or a tuple of them.
        create_graph: whether the Jacobian can be differentiated further.
        strict: raise where a result does not depend on an input, instead of giving zeros.
        vectorize: compute all rows (or columns) at once, with vmap.
        strategy: "reverse-mode", row by row; or "forward-mode", column by column, only with `vectorize`.

    Returns:
        A tensor of the shape of the result and behind it that of the input. Of several inputs or results: tuples, one of
        inputs within one of results.

    Raises:
        TypeError: inputs or results are not tensors.
        AssertionError: no such strategy.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.jacobian(lambda x: x * x, torch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than '
            'inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "forward-mode":
        return _jacobian_forward(func, inputs, create_graph, strict, vectorize)
    with enable_grad():
        is_tuple, inputs = tensors_in(inputs, "inputs", "jacobian")
        inputs = fresh(inputs, create_graph)
        are_tuple, outputs = called(func, inputs, "jacobian", strict)
        if vectorize and strict:
            raise _refused("strict=True", "vectorized=True", "strict=False", "vectorize=False", together=" together")
        if vectorize:
            rows = by_rows_at_once(outputs, inputs, create_graph)
        else:
            rows = by_rows(outputs, inputs, create_graph, strict)
        if not create_graph:
            rows = tuple(detached(row) for row in rows)
        return single(tuple(single(row, is_tuple) for row in rows), are_tuple)


def _jacobian_forward(func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool, vectorize: bool) -> Any:
    forward, reverse = 'strategy="forward-mode"', 'strategy="reverse-mode"'
    if create_graph:
        raise _refused("create_graph=True", forward, "create_graph=False", reverse, NotImplementedError)
    if strict:
        raise _refused("strict=True", forward, "strict=False", reverse)
    is_tuple, inputs = tensors_in(inputs, "inputs", "jacobian")
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian is only implemented for `vectorize=True`."
        )
    are_tuple, rows = by_columns(func, inputs)
    return single(tuple(single(row, is_tuple) for row in rows), are_tuple)


def _refused(
    one: str, other: str, either: str, instead: str, kind: type[Exception] = RuntimeError, together: str = " together (yet)"
) -> Exception:  # fmt: skip
    return kind(
        f"torch.autograd.functional.jacobian: `{one}` and `{other}` are not supported{together}. Please either set "
        f"`{either}` or `{instead}`."
    )


def hessian(
    func: Callable[..., Any], inputs: Any, create_graph: bool = False, strict: bool = False, vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """The second derivatives of a function with one number as its result.

    Args:
        func: of tensors, with a tensor of one element as result.
        inputs: the point, a tensor or a tuple of them.
        create_graph: whether the Hessian can be differentiated further.
        strict: raise where the gradient does not depend on an input, instead of giving zeros.
        vectorize: compute all rows at once, with vmap.
        outer_jacobian_strategy: how the gradient is differentiated, see `jacobian`.

    Returns:
        A tensor of the input's shape twice. Of several inputs: a tuple of tuples.

    Raises:
        TypeError: inputs are not tensors.
        RuntimeError: the result is not one number.
        AssertionError: no such strategy.

    Example:
        >>> import rushlight as torch
        >>> torch.autograd.functional.hessian(lambda x: (x**3).sum(), torch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    is_tuple, inputs = tensors_in(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')

    def number(*point: Tensor) -> Tensor:
        return number_from(func, point, "hessian", strict).squeeze()

    def gradient(*point: Tensor) -> Any:
        if outer_jacobian_strategy == "forward-mode":  # so that `jacobian` takes the point as it is, with its tangents
            point = tuple(x.requires_grad_(True) for x in point)
        first = jacobian(number, point, create_graph=True)
        require_grads(first, "jacobian", strict)
        return first

    rows = jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
    return rows if is_tuple else rows[0][0]


# ---------------------------------------------------------------- rows and columns


def by_rows(outputs: tuple[Tensor, ...], inputs: tuple[Tensor, ...], create_graph: bool, strict: bool) -> Rows:
    """One backward pass for each element of the results."""
    return tuple(_rows_of(i, output, inputs, create_graph, strict) for i, output in enumerate(outputs))


def _rows_of(
    i: int, output: Tensor, inputs: tuple[Tensor, ...], create_graph: bool, strict: bool
) -> tuple[Tensor, ...]:
    rows: list[list[Tensor]] = [[] for _ in inputs]
    for element in output.reshape(-1):
        grads = gradients_of((element,), inputs, create_graph=create_graph, retain_graph=True)
        for j, (found, x) in enumerate(zip(grads, inputs, strict=True)):
            if strict and found is None:
                raise RuntimeError(
                    f"Output {i} of the user-provided function is independent of input {j}. This is not allowed in strict mode."
                )
            if strict and create_graph and not found.requires_grad:
                raise RuntimeError(independent_in_graph("jacobian", i))
            rows[j].append(zeros_like(x) if found is None else found)
    return tuple(_stacked(part, output, x) for part, x in zip(rows, inputs, strict=True))


def _stacked(rows: list[Tensor], output: Tensor, x: Tensor) -> Tensor:
    shape = (*output.shape, *x.shape)
    return stack(*rows, axis=0).reshape(shape) if rows else x.new_zeros(shape)


def by_rows_at_once(outputs: tuple[Tensor, ...], inputs: tuple[Tensor, ...], create_graph: bool) -> Rows:
    """One backward pass for a batch of weights, one for each element of the results."""
    flat, sizes = tuple(output.reshape(-1) for output in outputs), [output.numel() for output in outputs]
    grads = gradients_of(flat, inputs, _basis_of(outputs), create_graph, batched=True)
    rows = []
    for found, x in zip(grads, inputs, strict=True):
        batch = zeros_like(x).expand(sum(sizes), *x.shape) if found is None else found
        parts = zip(batch.split(sizes, 0), outputs, strict=True)
        rows.append([part.reshape(*output.shape, *x.shape) for part, output in parts])
    return tuple(zip(*rows, strict=True))


def by_columns(func: Callable[..., Any], inputs: tuple[Tensor, ...]) -> tuple[bool, Rows]:
    """(whether the function gave a tuple, the Jacobians), by one forward pass for a batch of tangents."""
    from rushlight.autograd import forward_ad
    from rushlight.func import vmap

    seen: dict[str, Any] = {}

    def along(*tangents: Tensor) -> tuple[Tensor, ...]:
        with forward_ad.dual_level():
            pairs = zip(inputs, tangents, strict=True)
            duals = tuple(forward_ad.make_dual(x, tangent.view_as(x)) for x, tangent in pairs)
            seen["are_tuple"], outputs = called(func, duals, "jacobian", strict=False)
            parts = [forward_ad.unpack_dual(output) for output in outputs]
            seen["shapes"] = [part.primal.shape for part in parts]
            return tuple(zeros_like(part.primal) if part.tangent is None else part.tangent for part in parts)

    sizes = [x.numel() for x in inputs]
    rows = []
    for batch, shape in zip(vmap(along)(*_basis_of(inputs)), seen["shapes"], strict=True):
        parts = zip(batch.split(sizes, 0), inputs, strict=True)
        rows.append(tuple(part.movedim(0, -1).reshape(*shape, *x.shape) for part, x in parts))
    return seen["are_tuple"], tuple(rows)


def _basis_of(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The standard basis of all elements of all tensors: for each tensor its columns."""
    sizes, start, columns = [x.numel() for x in tensors], 0, []
    for x, size in zip(tensors, sizes, strict=True):
        columns.append(beside(x, np.eye(sum(sizes), size, -start)).to(x.dtype))
        start += size
    return tuple(columns)
