"""Which arguments a transform is about, and what it says of those that are wrong."""

from __future__ import annotations

from typing import Any

from rushlight.tensor import Tensor
from rushlight.utils._pytree import tree_leaves


def positions(argnums: Any, num_args: int) -> tuple[int, ...]:
    """Non-negative positions of the arguments to differentiate by.

    Raises:
        RuntimeError: there is no such argument, none is named, or one twice.
    """
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    found = argnums if isinstance(argnums, tuple) else (argnums,)
    if not found:
        raise RuntimeError("argnums must be non-empty")
    for i in found:
        if not isinstance(i, int):
            raise RuntimeError(f"argnum must be int, got: {type(i)}")
        if not -num_args <= i < num_args:
            raise RuntimeError(f"Got argnum={i}, but only {num_args} positional inputs")
    found = tuple([i % num_args for i in found])
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return found


def chosen(args: tuple, argnums: Any) -> tuple[Any, ...]:
    """The arguments to differentiate by."""
    return tuple([args[i] for i in positions(argnums, len(args))])


def replaced(args: tuple, argnums: Any, new: Any) -> tuple[Any, ...]:
    """The arguments with those to differentiate by replaced."""
    out = list(args)
    for i, value in zip(positions(argnums, len(args)), new, strict=True):
        out[i] = value
    return tuple(out)


def as_given(argnums: Any, results: tuple) -> Any:
    """One result for one position, a tuple for a tuple of positions."""
    return results if isinstance(argnums, tuple) else results[0]


def require_tensors(what: str, tree: Any) -> list[Tensor]:
    """The leaves of a tree.

    Raises:
        RuntimeError: there are none, or one is no tensor.
    """
    leaves = tree_leaves(tree)
    if not leaves:
        raise RuntimeError(f"{what} to contain at least one Tensor.")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"{what} to only contain Tensors, got {type(leaf)}")
    return leaves


def require_outputs(name: str, output: Any) -> list[Tensor]:
    """The leaves of what a function gave.

    Raises:
        RuntimeError: there are none, or one is no tensor.
    """
    if isinstance(output, Tensor):
        return [output]
    leaves = tree_leaves(output)
    if not leaves:
        raise RuntimeError(f"{name}: Expected f to be a function that has non-empty output (got output = {output})")
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(leaf)}"
            )
    return leaves


def split_aux(name: str, output: Any, has_aux: bool) -> tuple[Any, Any]:
    """(what is differentiated, what is passed through).

    Raises:
        RuntimeError: the function was to return both, and did not.
    """
    if not has_aux:
        return output, None
    if not (isinstance(output, tuple) and len(output) == 2):
        raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
    return output


def require_real(name: str, tensors: Any, what: str) -> None:
    """Raises RuntimeError if one of the tensors is complex."""
    for i, x in enumerate(tensors):
        if x.is_complex():
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}"
            )
