"""What changes a tensor itself: its values, or the shape in which it sees its memory."""

from __future__ import annotations

from typing import Any

from rushlight.api.cutting import as_strided
from rushlight.api.forms import in_place_form
from rushlight.api.memory import clone
from rushlight.api.rearranging import tril, triu
from rushlight.api.views import squeeze, t, transpose, unsqueeze
from rushlight.autograd.modes import modes
from rushlight.ops.copies import to_device
from rushlight.ops.create import number_in
from rushlight.ops.inplace import check_writable, write
from rushlight.tensor import Tensor


def copy_(self: Tensor, src: Any, non_blocking: Any = False) -> Tensor:
    """Writes `src`, broadcast and cast, into this tensor.

    Args:
        non_blocking: from pinned memory to a GPU, go on while the GPU copies.
    """
    if non_blocking and self.is_cuda and isinstance(src, Tensor) and src.is_cpu:
        src = to_device(src, self.device, non_blocking=True)
    return write(self, src, "copy_")


def fill_(self: Tensor, value: Any) -> Tensor:
    """Writes one value everywhere.

    Raises:
        RuntimeError: a tensor with dimensions, or a number that the dtype does not have.
    """
    if isinstance(value, Tensor):
        if value.ndim:
            raise RuntimeError(
                f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions."
            )
    elif value.__class__ in (bool, int, float, complex):
        value = number_in(value, self._array.dtype)
    return write(self, value, "fill_")


def fill(input: Tensor, value: Any) -> Tensor:
    """One value everywhere, in a tensor like the input."""
    return fill_(clone(input), value)


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Writes one value on the main diagonal; with `wrap`, in a tall matrix, starts anew after its end and a row between."""
    if self.ndim < 2:
        raise RuntimeError("dimensions must larger than 1")
    if self.ndim > 2 and len(set(self.shape)) > 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    steps, least = self.stride(), min(self.shape)
    view = as_strided(self, (least,), (sum(steps),), self.storage_offset())
    fill_(view, fill_value)
    rows, columns = self.shape[0], self.shape[-1]
    if wrap and self.ndim == 2 and rows > columns + 1:
        fill_diagonal_(self[columns + 1 :], fill_value, wrap)
    return self


def zero_(self: Tensor) -> Tensor:
    """Writes zeros."""
    return write(self, 0, "zero_")


def _as_reshaped(name: str, function: Any) -> Any:
    """The form that makes the tensor itself the view that the function gives."""

    def in_place(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        check_writable(self, modes.grad)
        view = function(self, *args, **kwargs)
        self._array, self._node, self._output, self._cell = view._array, view._node, view._output, view._cell
        if self._view is not None:
            self._view = view._view
        self._cell[0] += 1
        if self._view is not None:
            self._view.seen = self._cell[0]
        return self

    in_place.__name__ = in_place.__qualname__ = name
    in_place.__doc__ = f"In-place form of `{name[:-1]}`: the tensor itself gets the new shape."
    return in_place


tril_, triu_ = in_place_form(tril), in_place_form(triu)
squeeze_, unsqueeze_ = _as_reshaped("squeeze_", squeeze), _as_reshaped("unsqueeze_", unsqueeze)
transpose_, t_ = _as_reshaped("transpose_", transpose), _as_reshaped("t_", t)
swapaxes_, swapdims_ = _as_reshaped("swapaxes_", transpose), _as_reshaped("swapdims_", transpose)
as_strided_ = _as_reshaped("as_strided_", as_strided)
