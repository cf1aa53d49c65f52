"""`vmap`: a function of one example, run on many at once.

Each argument's examples become one batched array (`rushlight.arrays.batched`); the function runs once, and what it gives is
taken apart again. Nothing here knows of an operation.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from rushlight.autograd.modes import modes
from rushlight.tensor import Tensor, wrap
from rushlight.utils._pytree import broadcast_prefix, tree_flatten, tree_unflatten


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that does to every example what `func` does to one.

    Args:
        in_dims: for each argument the dimension of the examples, None if it is the same for all; one number for all
            arguments, or nested as they are.
        out_dims: where that dimension is in the results.
        randomness: whether random numbers are an "error", "different" for each example, or the "same" for all.
        chunk_size: how many examples at a time; None for all. Less memory, the same result.

    Raises:
        ValueError: `in_dims` or `out_dims` do not fit, or arguments have different numbers of examples.
        RuntimeError: inside: a value is needed that differs between examples, or random numbers are drawn.

    Example:
        >>> import rushlight as torch
        >>> torch.vmap(torch.dot)(torch.ones(3, 2), torch.ones(3, 2))
        tensor([2., 2., 2.])
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        call = _Call(func, in_dims, out_dims, randomness)
        leaves, dims, spec = call.inputs(args)
        size = call.batch_size(leaves, dims)
        if chunk_size is None or chunk_size >= size:
            return call.run(leaves, dims, spec, kwargs, size)
        return call.run_in_chunks(leaves, dims, spec, kwargs, size, chunk_size)

    return wrapped


def name_of(func: Any) -> str:
    """What errors call a function."""
    if hasattr(func, "__name__"):
        return str(func.__name__)
    return f"functools.partial({name_of(func.func)}, ...)" if isinstance(func, functools.partial) else repr(func)


class _Call:
    """One call of a vmapped function: what errors need to name, and the steps."""

    def __init__(self, func: Callable[..., Any], in_dims: Any, out_dims: Any, randomness: str):
        self.func, self.in_dims, self.out_dims, self.randomness = func, in_dims, out_dims, randomness

    # ------------------------------------------------------------ arguments

    def inputs(self, args: tuple) -> tuple[list[Any], list[Any], Any]:
        """(leaves of the arguments, the dimension of the examples in each, the arguments' structure)."""
        name = name_of(self.func)
        start = f"vmap({name}, in_dims={self.in_dims}, ...)(<inputs>): "
        if not isinstance(self.in_dims, (int, tuple)):
            raise ValueError(
                f"{start}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
                f"got: {type(self.in_dims)}."
            )
        if not args:
            raise ValueError(
                f"vmap({name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap over a "
                "function with no inputs. The latter is unsupported."
            )
        leaves, spec = tree_flatten(args)
        dims = broadcast_prefix(self.in_dims, spec)
        if dims is None:
            raise ValueError(
                f"{start}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
                f"{tree_flatten(self.in_dims)[1]} but inputs has structure {spec}."
            )
        return leaves, [self._dim(start, x, dim) for x, dim in zip(leaves, dims, strict=True)], spec

    @staticmethod
    def _dim(start: str, x: Any, dim: Any) -> int | None:
        if dim is None:
            return None
        if not isinstance(dim, int):
            raise ValueError(
                f"{start}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
            )
        if not isinstance(x, Tensor):
            raise ValueError(
                f"{start}Got in_dim={dim} for an input but the input is of type {type(x)}. We cannot vmap over non-Tensor "
                "arguments, please use None as the respective in_dim"
            )
        if not -x.ndim <= dim < x.ndim:
            raise ValueError(
                f"{start}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {x.ndim} so "
                f"expected in_dim to satisfy -{x.ndim} <= in_dim < {x.ndim}."
            )
        return dim % x.ndim

    @staticmethod
    def batch_size(leaves: list[Any], dims: list[Any]) -> int:
        sizes = [x.shape[dim] for x, dim in zip(leaves, dims, strict=True) if dim is not None]
        if not sizes:
            raise ValueError("vmap: Expected at least one Tensor to vmap over")
        if any(n != sizes[0] for n in sizes):
            raise ValueError(
                "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
                f"{sizes} for the mapped dimension"
            )
        return int(sizes[0])

    # ------------------------------------------------------------ running

    def run(self, leaves: list[Any], dims: list[Any], spec: Any, kwargs: dict[str, Any], size: int) -> Any:
        from rushlight.arrays.batched import Batch, BatchedArray
        from rushlight.ops.transforms import plain

        level = Batch(size, self.randomness)
        try:
            given = [
                x if dim is None else wrap(BatchedArray(level, plain(x if not dim else x.movedim(dim, 0))))
                for x, dim in zip(leaves, dims, strict=True)
            ]
            output = self.func(*tree_unflatten(given, spec), **kwargs)
            return self._unwrapped(level, output)
        finally:
            level.leave()

    def _unwrapped(self, level: Any, output: Any) -> Any:
        leaves, spec = tree_flatten(output)
        dims = broadcast_prefix(self.out_dims, spec)
        if spec.is_leaf() and isinstance(self.out_dims, tuple) and len(self.out_dims) == 1:
            dims = [self.out_dims[0]]
        if dims is None:
            raise ValueError(
                f"vmap({name_of(self.func)}, ..., out_dims={self.out_dims})(<inputs>): out_dims is not compatible with the "
                f"structure of `outputs`. out_dims has structure {tree_flatten(self.out_dims)[1]} but outputs has "
                f"structure {spec}."
            )
        return tree_unflatten([self._result(level, x, dim) for x, dim in zip(leaves, dims, strict=True)], spec)

    def _result(self, level: Any, x: Any, dim: Any) -> Any:
        from rushlight.arrays.batched import BatchedArray
        from rushlight.ops.transforms import without_history

        name = name_of(self.func)
        if dim is not None and not isinstance(dim, int):
            raise ValueError(
                f"vmap({name}, ..., out_dims={self.out_dims}): `out_dims` must be an int, None or a python collection of "
                "ints representing where in the outputs the vmapped dimension should appear."
            )
        array: Any = getattr(x, "_array", None)
        is_own = isinstance(array, BatchedArray) and array.level is level
        if dim is None:
            if is_own and array.is_batched:
                raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
            return array.inner if is_own else x
        if not isinstance(x, Tensor):
            raise ValueError(
                f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(x)}. Did you mean to set out_dims= to "
                "None for output?"
            )
        inner: Any = array.inner if is_own else x
        is_batched = is_own and array.is_batched
        if not modes.grad and inner._needs_grad:
            inner = without_history(inner)
        result = inner if is_batched else inner.expand(level.size, *inner.shape)
        return result.movedim(0, dim) if dim else result

    def run_in_chunks(
        self, leaves: list[Any], dims: list[Any], spec: Any, kwargs: dict[str, Any], size: int, chunk_size: int
    ) -> Any:
        from rushlight import random
        from rushlight.api.joining import cat

        state = random.get_states() if self.randomness == "same" else None
        chunks = []
        for start in range(0, size, chunk_size):
            if state is not None:
                random.set_states(state)
            count = min(chunk_size, size - start)
            parts = [x if dim is None else x.narrow(dim, start, count) for x, dim in zip(leaves, dims, strict=True)]
            chunks.append(self.run(parts, dims, spec, kwargs, count))
        flat = [tree_flatten(chunk)[0] for chunk in chunks]
        output_spec = tree_flatten(chunks[0])[1]
        out_dims = broadcast_prefix(self.out_dims, output_spec) or [0] * len(flat[0])
        joined = [
            column[0] if dim is None else cat(list(column), dim)
            for column, dim in zip(zip(*flat, strict=True), out_dims, strict=True)
        ]
        return tree_unflatten(joined, output_spec)
