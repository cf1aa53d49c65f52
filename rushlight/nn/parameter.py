"""Parameter and Buffer: tensors that a module registers when they are assigned to it.

Of those of a lazy module the shape is not known before its first input; they become ordinary ones when they are materialized.
"""

from __future__ import annotations

from typing import Any

from rushlight import devices, dtypes
from rushlight.tensor import Tensor, wrap


class Parameter(Tensor):
    """A tensor that is a module's parameter: assigned to an attribute of a module, `parameters()` lists it.

    Args:
        data: its value; the memory is shared. Default: empty.
        requires_grad: whether gradients reach it.

    Raises:
        RuntimeError: gradients are asked for, of integers.

    Example:
        >>> import rushlight as torch
        >>> torch.nn.Parameter(torch.ones(2))
        Parameter containing:
        tensor([1., 1.], requires_grad=True)
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        parameter = wrap(_array_of(data, "Parameter"), cls)
        if requires_grad and not (parameter.is_floating_point() or parameter.is_complex()):
            raise RuntimeError("Only Tensors of floating point and complex dtype can require gradients")
        parameter._needs_grad = bool(requires_grad)
        return parameter

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        """A copy of the values; the gradient is left behind."""
        if id(self) in memo:
            return memo[id(self)]
        result = wrap(self._array.copy(), type(self))
        result._needs_grad = self._needs_grad
        memo[id(self)] = result
        return result

    def __repr__(self) -> str:
        return "Parameter containing:\n" + super().__repr__()


class Buffer(Tensor):
    """A tensor that is a module's buffer: part of its state, but not trained.

    Args:
        data: its value; the memory is shared. Default: empty.
        persistent: whether `state_dict()` has it.

    Example:
        >>> import rushlight as torch
        >>> module = torch.nn.Module()
        >>> module.count = torch.nn.Buffer(torch.zeros(1))
        >>> list(module.state_dict())
        ['count']
    """

    __slots__ = ()

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Buffer:
        buffer = wrap(_array_of(data, "Buffer"), cls)
        buffer.persistent = persistent
        return buffer


def _array_of(data: Tensor | None, name: str) -> Any:
    if data is None:
        from rushlight.ops.create import empty

        return empty(0)._array
    if not isinstance(data, Tensor):
        raise TypeError(f"{name}(): argument 'data' (position 1) must be Tensor, not {type(data).__name__}")
    return data._array


# ---------------------------------------------------------------- without a shape


_slot: Any = Tensor.__dict__["_array"]  # where a tensor's array is


class UninitializedTensorMixin:
    """What a parameter and a buffer without a shape share: a dtype and a device, and no values.

    Every operation asks a tensor for its array, so that is where the use of one is refused.
    """

    __slots__ = ()
    cls_to_become: type

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Becomes an ordinary parameter or buffer of this shape; its values are not set."""
        from rushlight.ops.create import empty

        array = empty(shape, device=device or self.device, dtype=dtype or self.dtype)._array
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        self._array = array

    @property
    def _array(self) -> Any:
        raise ValueError(
            "Attempted to use an uninitialized parameter. This error happens when you are using a `LazyModule` or "
            f"explicitly manipulating `torch.nn.parameter.{type(self).__name__}` objects. When using LazyModules Call "
            "`forward` with a dummy batch to initialize the parameters before calling torch functions"
        )

    @_array.setter
    def _array(self, array: Any) -> None:
        _slot.__set__(self, array)

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call `forward` to "
            "initialize the parameters before accessing their attributes."
        )

    @property
    def data(self) -> Tensor:
        """An empty tensor of the dtype and on the device."""
        return wrap(_slot.__get__(self))

    @data.setter
    def data(self, value: Tensor) -> None:
        _slot.__set__(self, value._array)

    @property
    def dtype(self) -> dtypes.dtype:
        return self.data.dtype

    @property
    def device(self) -> devices.device:
        return self.data.device

    def to(self, *args: Any, **kwargs: Any) -> Tensor:
        """An empty tensor of another dtype or on another device: what `Module.to` puts into `data`."""
        return self.data.to(*args, **kwargs)

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters "
            "before calling `module.share_memory()`."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, self.device, self.dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return memo.setdefault(id(self), type(self)(self.requires_grad, self.device, self.dtype))  # type: ignore[call-arg]


def is_lazy(param: Any) -> bool:
    """Whether a parameter or buffer has no shape yet."""
    return isinstance(param, UninitializedTensorMixin)


def _without_shape(cls: type, requires_grad: bool, device: Any, dtype: Any) -> Any:
    from rushlight.ops.create import empty

    found = wrap(empty(0, device=device, dtype=dtype)._array, cls)
    found._needs_grad = bool(requires_grad)
    return found


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]
    """A parameter whose shape is not known yet.

    Example:
        >>> import rushlight as torch
        >>> weight = torch.nn.UninitializedParameter()
        >>> weight.materialize((2, 3))
        >>> type(weight).__name__, weight.shape
        ('Parameter', torch.Size([2, 3]))
    """

    __slots__ = ()
    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> UninitializedParameter:
        return _without_shape(cls, requires_grad, device, dtype)


class UninitializedBuffer(UninitializedTensorMixin, Tensor):  # type: ignore[misc]
    """A buffer whose shape is not known yet."""

    __slots__ = ()
    cls_to_become = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> UninitializedBuffer:
        return _without_shape(cls, requires_grad, device, dtype)
