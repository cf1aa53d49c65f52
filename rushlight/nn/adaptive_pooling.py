"""Pooling to a given number of windows: shared out evenly, or at random places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rushlight.api.draws import rand
from rushlight.nn.pooling import lengths_of, require_dtype, wrong_ndim
from rushlight.ops import pool as ops
from rushlight.ops.autocast import with_autocast
from rushlight.tensor import Tensor

if TYPE_CHECKING:
    from rushlight.arrays.taps import Rule

Lengths = int | Sequence[int]


def adaptive_avg_pool1d(input: Tensor, output_size: Lengths) -> Tensor:
    """The means of `output_size` windows that share out the axis; neighbours may overlap by one element."""
    return _adaptive_average(1, input, output_size)


def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """The means of windows that share out an image. None keeps an axis as it is."""
    return _adaptive_average(2, input, output_size)


def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """The means of windows that share out a volume. None keeps an axis as it is."""
    return _adaptive_average(3, input, output_size)


def _adaptive_average(num_axes: int, input: Tensor, output_size: Any) -> Tensor:
    rules = _shares(f"adaptive_avg_pool{num_axes}d", num_axes, input, output_size)
    is_mean = all(rule.count == 1 for rule in rules)  # in PyTorch that is `mean`
    return (ops.resample if is_mean else ops.average)(input, rules=rules)


def adaptive_max_pool1d(input: Tensor, output_size: Lengths, return_indices: bool = False) -> Any:
    """The maxima of `output_size` windows that share out the axis."""
    return _adaptive_max(1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of windows that share out an image. None keeps an axis as it is."""
    return _adaptive_max(2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Tensor, output_size: Any, return_indices: bool = False) -> Any:
    """The maxima of windows that share out a volume. None keeps an axis as it is."""
    return _adaptive_max(3, input, output_size, return_indices)


def adaptive_max_pool1d_with_indices(
    input: Tensor, output_size: Lengths, return_indices: bool = True
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool1d` with the positions of the maxima."""
    return _adaptive_max(1, input, output_size, True)


def adaptive_max_pool2d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = True
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool2d` with the positions of the maxima."""
    return _adaptive_max(2, input, output_size, True)


def adaptive_max_pool3d_with_indices(
    input: Tensor, output_size: Any, return_indices: bool = True
) -> tuple[Tensor, Tensor]:
    """`adaptive_max_pool3d` with the positions of the maxima."""
    return _adaptive_max(3, input, output_size, True)


def _adaptive_max(num_axes: int, input: Tensor, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{num_axes}d"
    result = ops.max_windows(input, rules=_shares(name, num_axes, input, output_size))
    return result if return_indices else result[0]


def _shares(name: str, num_axes: int, input: Tensor, output_size: Any) -> tuple[Rule, ...]:
    """The windows, after PyTorch's checks."""
    from rushlight.arrays.taps import Adaptive  # not at the top: the classes there take 7 ms to make

    shape, is_max = input._array.shape, "max" in name
    counts = list(output_size) if isinstance(output_size, (list, tuple)) else [output_size] * num_axes
    if num_axes == 1:
        if len(shape) not in (2, 3):
            raise wrong_ndim(name, len(shape))
        if len(counts) != 1:
            raise RuntimeError(f"{name}(): argument 'output_size' should contain one int (got {len(counts)})")
    elif len(shape) <= len(counts):
        raise ValueError(f"Input dimension should be at least {len(counts) + 1}")
    if len(counts) != num_axes:
        raise RuntimeError(f"{name}(): {'internal error: ' if is_max else ''}output_size{'.size()' if is_max else ''} must be {num_axes}")  # fmt: skip
    if len(shape) not in (num_axes + 1, num_axes + 2):
        raise RuntimeError(f"{name}(): Expected {num_axes + 1}D or {num_axes + 2}D tensor, but got {list(shape)}")
    sizes = shape[len(shape) - num_axes :]
    counts = [size if count is None else int(count) for size, count in zip(sizes, counts, strict=True)]
    for axis in range(1 if len(shape) == num_axes + 2 else 0, len(shape)):
        if shape[axis] == 0 and (is_max or axis >= len(shape) - num_axes):
            raise RuntimeError(
                f"{name}(): Expected input to have non-zero size for non-batch dimensions, but input has sizes "
                f"{list(shape)} with dimension {axis} being empty"
            )
    if min(counts) < 0:
        if is_max:
            raise RuntimeError(f"Trying to create tensor with negative dimension {min(counts)}: {[*shape[:-num_axes], *counts]}")  # fmt: skip
        raise RuntimeError(f"{name}(): elements of output_size must be greater than or equal to 0 but received {counts}")  # fmt: skip
    require_dtype(input, "fh", f"adaptive_{'max' if is_max else 'avg'}_pool{max(num_axes, 2)}d")
    return tuple([Adaptive(size, count) for size, count in zip(sizes, counts, strict=True)])


# ---------------------------------------------------------------- windows at random places


def fractional_max_pool2d_with_indices(
    input: Tensor, kernel_size: Lengths, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = True, _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The maxima of windows at random places (Graham, 2014), and their positions.

    Args:
        output_size: how many windows; or `output_ratio`, how many of the input's lengths.

    Raises:
        ValueError: neither of the two. RuntimeError: windows that do not fit.
    """
    return _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Tensor, kernel_size: Lengths, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = True, _random_samples: Tensor | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """`fractional_max_pool2d_with_indices` for volumes."""
    return _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input: Tensor, kernel_size: Lengths, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """The maxima of windows at random places: arguments as those of `fractional_max_pool2d_with_indices`."""
    result = _fractional(2, input, kernel_size, output_size, output_ratio, _random_samples)
    return result if return_indices else result[0]


def fractional_max_pool3d(
    input: Tensor, kernel_size: Lengths, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Tensor | None = None,
) -> Any:  # fmt: skip
    """`fractional_max_pool2d` for volumes."""
    result = _fractional(3, input, kernel_size, output_size, output_ratio, _random_samples)
    return result if return_indices else result[0]


def _fractional(
    num_axes: int, input: Tensor, kernel_size: Lengths, output_size: Any, output_ratio: Any, samples: Any
) -> tuple[Tensor, Tensor]:
    name, shape = f"fractional_max_pool{num_axes}d", input._array.shape
    if output_size is None and output_ratio is None:
        raise ValueError(f"{name} requires specifying either an output_size or an output_ratio")
    if len(shape) not in (num_axes + 1, num_axes + 2):
        raise IndexError(f"{name}: Expected {num_axes + 1}D or {num_axes + 2}D tensor, but got {len(shape)}D")
    sizes = shape[len(shape) - num_axes :]
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (list, tuple)) else [output_ratio] * num_axes
        counts = [int(size * ratio) for size, ratio in zip(sizes, ratios, strict=True)]
    else:
        counts = list(lengths_of(name, "output_size", output_size, num_axes))
    kernel = lengths_of(name, "kernel_size", kernel_size, num_axes)
    for what, size, count, k in zip(("time", "height", "width")[-num_axes:], sizes, counts, kernel, strict=True):
        if count + k - 1 > size:
            raise RuntimeError(f"{name}(): pool {what} {k} too large relative to input {what} {size}")
    from rushlight.arrays.taps import Fractional

    is_batch = len(shape) == num_axes + 2
    if samples is None:
        size = (shape[0] if is_batch else 1, shape[-num_axes - 1], num_axes)
        samples = rand(*size, dtype=input.dtype, device=input.device)
    if not is_batch:
        samples = samples[0]
    if num_axes == 2:
        samples = samples.flip(-1)  # in two dimensions the first number is for the width
    rules = tuple([Fractional(size, count, k) for size, count, k in zip(sizes, counts, kernel, strict=True)])
    return ops.max_windows(input, samples, rules=rules)


with_autocast(globals())
