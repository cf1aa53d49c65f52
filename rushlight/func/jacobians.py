"""Matrices of derivatives: `vmap` over the rows (`jacrev`) or the columns (`jacfwd`) of a standard basis."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

from rushlight.func.arguments import (
    as_given,
    chosen,
    replaced,
    require_outputs,
    require_real,
    require_tensors,
    split_aux,
)
from rushlight.func.forward import jvp
from rushlight.func.reverse import vjp
from rushlight.func.vectorize import vmap
from rushlight.ops.create import zeros
from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_flatten, tree_unflatten


def _basis(like: list[Tensor], start: int, stop: int) -> list[Tensor]:
    """Some rows of the identity matrix over all elements of these tensors, each part in its tensor's shape."""
    parts, first = [], 0
    for x in like:
        n = x.numel()
        part = zeros(stop - start, n, dtype=x.dtype, device=x.device)
        if start < first + n and first < stop:
            part.diagonal(start - first).fill_(1)
        parts.append(part.view(stop - start, *x.shape))
        first += n
    return parts


def _chunks(total: int, chunk_size: int | None) -> Iterator[tuple[int, int]]:
    step = chunk_size or max(total, 1)
    return ((start, min(start + step, total)) for start in range(0, total, step)) if total else iter([(0, 0)])


def _along_basis(
    function: Callable[..., Any], like: list[Tensor], chunk_size: int | None, randomness: str
) -> list[Tensor]:
    """The results of a linear function for every vector of the basis, along a new first dimension."""
    from rushlight.api.joining import cat

    pieces = []
    for start, stop in _chunks(sum(x.numel() for x in like), chunk_size):
        pieces.append(vmap(function, randomness=randomness)(*_basis(like, start, stop)))
    return list(pieces[0]) if len(pieces) == 1 else [cat(list(column)) for column in zip(*pieces, strict=True)]


def jacrev(
    func: Callable[..., Any], argnums: Any = 0, *, has_aux: bool = False, chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:  # fmt: skip
    """The function that gives the Jacobian of `func`, by reverse mode: one backward pass for all rows.

    Args:
        argnums: the argument to differentiate by, or a tuple of several.
        has_aux: `func` returns (what is differentiated, something else).
        chunk_size: how many rows at a time; None for all.

    Returns:
        A function with the same arguments. For each result of `func` and each chosen argument a tensor of shape
        (*result.shape, *argument.shape), nested as results are, and in them as arguments are.

    Raises:
        ValueError: `chunk_size` is not positive. RuntimeError: results that are no tensors, or complex.

    Example:
        >>> import rushlight as torch
        >>> torch.func.jacrev(torch.square)(torch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        primals = chosen(args, argnums)
        inputs = require_tensors("jacrev: Expected inputs", primals)
        require_real("jacrev", inputs, "inputs")
        input_spec = tree_flatten(primals)[1]

        def of_chosen(*values: Any) -> Any:
            return func(*replaced(args, argnums, values), **kwargs)

        value, vjp_fn, *aux = vjp(of_chosen, *primals, has_aux=has_aux)
        outputs, output_spec = tree_flatten(value)
        require_real("jacrev", outputs, "outputs")

        def row(*weights: Tensor) -> tuple[Tensor, ...]:
            return tuple(tree_flatten(vjp_fn(tree_unflatten(weights, output_spec)))[0])

        columns = _along_basis(row, outputs, chunk_size, "same")  # for each input (rows of all outputs, *input.shape)
        split = [rows.split([x.numel() for x in outputs]) for rows in columns]
        per_output = []
        for i, out in enumerate(outputs):
            blocks = [rows[i].reshape(*out.shape, *x.shape) for rows, x in zip(split, inputs, strict=True)]
            per_output.append(as_given(argnums, tree_unflatten(blocks, input_spec)))
        result = tree_unflatten(per_output, output_spec)
        return (result, *aux) if has_aux else result

    return wrapper


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:  # fmt: skip
    """The function that gives the Jacobian of `func`, by forward mode: one pass for all columns.

    Args:
        argnums: the argument to differentiate by, or a tuple of several.
        has_aux: `func` returns (what is differentiated, something else).
        randomness: of `vmap`, for functions that draw random numbers.
        chunk_size: how many columns at a time; None for all.

    Returns:
        A function with the same arguments; its results are those of `jacrev`.

    Raises:
        RuntimeError: results that are no tensors, or complex.
    """

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        primals = chosen(args, argnums)
        inputs = require_tensors("jacfwd: Expected inputs", primals)
        require_real("jacfwd", inputs, "inputs")
        input_spec = tree_flatten(primals)[1]
        found: dict[str, Any] = {}

        def of_chosen(*values: Any) -> Any:
            output, aux = split_aux("jacfwd", func(*replaced(args, argnums, values), **kwargs), has_aux)
            found["outputs"] = require_outputs("jacfwd", output)
            found["spec"] = tree_flatten(output)[1]
            return (output, aux) if has_aux else output

        def column(*directions: Tensor) -> tuple[Tensor, ...]:
            results = jvp(of_chosen, primals, tree_unflatten(directions, input_spec), has_aux=has_aux)
            found["aux"] = _below(results[2]) if has_aux else None
            return tuple(tree_flatten(results[1])[0])

        rows = _along_basis(column, inputs, chunk_size, randomness)  # for each output (all columns, *output.shape)
        outputs, output_spec = found["outputs"], found["spec"]
        require_real("jacfwd", outputs, "outputs")
        per_output = []
        for columns, out in zip(rows, outputs, strict=True):
            parts = columns.movedim(0, -1).split([x.numel() for x in inputs], dim=-1)
            blocks = [part.reshape(*out.shape, *x.shape) for part, x in zip(parts, inputs, strict=True)]
            per_output.append(as_given(argnums, tree_unflatten(blocks, input_spec)))
        result = tree_unflatten(per_output, output_spec)
        return (result, found["aux"]) if has_aux else result

    return wrapper


def _below(tree: Any) -> Any:
    """What is the same for all columns, without the `vmap` that ran over them."""
    from rushlight.arrays.batched import BatchedArray
    from rushlight.utils._pytree import tree_map_only

    def unwrapped(x: Tensor) -> Tensor:
        array = x._array
        return array.inner if isinstance(array, BatchedArray) and not array.is_batched else x

    return tree_map_only(Tensor, unwrapped, tree)


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """The function that gives the matrix of second derivatives: forward over reverse mode, `jacfwd(jacrev(func))`.

    Example:
        >>> import rushlight as torch
        >>> torch.func.hessian(lambda x: (x**3).sum())(torch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)
