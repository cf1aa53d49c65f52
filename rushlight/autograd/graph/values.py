"""What happens to a value that is saved for backward: hooks that pack it, for all operations in a block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from rushlight.autograd.modes import modes
from rushlight.ops import observers
from rushlight.tensor import Tensor


class saved_tensors_hooks:
    """Inside, each tensor that an operation saves goes through `pack_hook`, and through `unpack_hook` when it is needed.

    The innermost pair of hooks is in force. `pack_hook` sees a tensor that requires no gradient, on the saved memory.

    Args:
        pack_hook: `pack_hook(tensor)` gives anything.
        unpack_hook: `unpack_hook(that)` gives the tensor back.

    Example:
        >>> import rushlight as torch
        >>> kept = []
        >>> def pack(tensor):
        ...     kept.append(tensor.shape)
        ...     return tensor
        >>> x = torch.ones(3, requires_grad=True)
        >>> with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ...     y = x.exp()
        >>> kept
        [torch.Size([3])]
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]):
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook

    def __enter__(self) -> None:
        if modes.saved_hooks_refused is not None:
            raise RuntimeError(modes.saved_hooks_refused)
        if not callable(self.pack_hook) or not callable(self.unpack_hook):
            raise TypeError("saved_tensors_hooks: pack_hook and unpack_hook must be callable")
        modes.saved_hooks = (*modes.saved_hooks, (self.pack_hook, self.unpack_hook))
        observers.add(1)

    def __exit__(self, *_: object) -> None:
        observers.add(-1)
        modes.saved_hooks = modes.saved_hooks[:-1]


class save_on_cpu(saved_tensors_hooks):
    """Inside, saved tensors are kept in the CPU's memory: with `pin_memory`, in copies of their own."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda"):
        def pack(tensor: Tensor) -> Any:
            return tensor.device, tensor.clone() if pin_memory else tensor.cpu()

        def unpack(packed: Any) -> Tensor:
            device, tensor = packed
            moved: Tensor = tensor.to(device)
            return moved

        super().__init__(pack, unpack)


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, whoever sets hooks of saved tensors gets a RuntimeError with this message; there may be none yet."""
    if modes.saved_hooks:
        raise RuntimeError(error_message)
    before, modes.saved_hooks_refused = modes.saved_hooks_refused, error_message
    try:
        yield
    finally:
        modes.saved_hooks_refused = before
