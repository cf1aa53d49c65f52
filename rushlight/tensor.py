"""Tensor: a thin shell around one array.

This file is the tensor as such: its array, what autograd knows of it, views and versions, conversion to
Python and NumPy. The operations are in `rushlight.ops`, each once for function and method; `methods.py`
puts them here.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from rushlight import devices, dtypes, layouts
from rushlight.arrays import kinds
from rushlight.arrays.kinds import Abstract, device_of, namespace_of
from rushlight.arrays.sparse import SparseArray
from rushlight.arrays.symbolic import SymbolicArray
from rushlight.autograd.history import cell_of, current_node
from rushlight.autograd.hooks import LeafHooks, RemovableHandle

_new = object.__new__


class Size(tuple):
    """The shape of a tensor: a tuple of ints with `numel()`."""

    __slots__ = ()

    def numel(self) -> int:
        count = 1
        for n in self:
            count *= n
        return count

    def __repr__(self) -> str:
        return f"torch.Size({list(self)})"

    def __add__(self, other: Any) -> Size:
        return Size(tuple.__add__(self, tuple(other)))

    def __getitem__(self, index: Any) -> Any:
        item = tuple.__getitem__(self, index)
        return Size(item) if isinstance(index, slice) else item


class Tensor:
    """An n-dimensional array with a dtype and a device, whose operations autograd can record.

    Made by `rushlight.tensor`, `zeros`, `randn`, `from_numpy` and so on, and by every operation.

    Internal state, all of it set by `wrap`:
        _array: the data, of one of the kinds in `rushlight.arrays`.
        _needs_grad: whether gradients are to reach this tensor.
        _node, _output: the recorded operation that made it and the number of its output; None for a leaf.
        _grad: the accumulated gradient of a leaf.
        _cell: the version of the memory, `[version, (operation, file, line) of the last write]`, shared by all
            tensors that share memory. None until a view, a saved value or a write needs it.
        _view: for a view, its base and the view operations that lead from there (`autograd.history.View`).
        _hooks: hooks of a leaf (`autograd.hooks.LeafHooks`), or None.
    """

    __slots__ = (
        "_array", "_needs_grad", "_node", "_output", "_grad", "_cell", "_view", "_hooks", "__weakref__", "__dict__",
    )  # fmt: skip
    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Tensor:
            from rushlight.ops.create import legacy_tensor

            return legacy_tensor(*args, **kwargs)
        return object.__new__(cls)

    # ------------------------------------------------------------ what it is

    @property
    def shape(self) -> Size:
        return Size(self._array.shape)

    @property
    def dtype(self) -> dtypes.dtype:
        return dtypes.from_numpy(self._array.dtype)

    @property
    def device(self) -> devices.device:
        array = self._array
        kind = array.__class__
        if kind is np.ndarray:
            return devices.cpu
        if kind is SymbolicArray:
            return devices.meta if array.node.op == "meta" else devices.cpu
        return device_of(array)

    @property
    def ndim(self) -> int:
        return self._array.ndim

    @property
    def itemsize(self) -> int:
        return self._array.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self._array.nbytes

    @property
    def is_cuda(self) -> bool:
        return self.device.type == "cuda"

    @property
    def is_meta(self) -> bool:
        return self.device.type == "meta"

    @property
    def is_cpu(self) -> bool:
        return self.device.type == "cpu"

    is_sparse_csr = is_quantized = is_nested = is_mkldnn = volatile = False
    is_xpu = is_mps = is_mtia = is_maia = is_ipu = is_xla = is_vulkan = False
    name = None

    @property
    def is_sparse(self) -> bool:
        return type(self._array) is SparseArray

    @property
    def layout(self) -> layouts.layout:
        return layouts.sparse_coo if self.is_sparse else layouts.strided

    def get_device(self) -> int:
        """The number of the GPU; -1 on the CPU."""
        index = self.device.index
        return -1 if index is None else index

    def size(self, dim: int | None = None) -> Any:
        """The shape, or its entry `dim`."""
        return self.shape if dim is None else self._array.shape[_checked_dim(dim, self.ndim)]

    def dim(self) -> int:
        return self._array.ndim

    ndimension = dim

    def numel(self) -> int:
        return self._array.size

    nelement = numel

    def element_size(self) -> int:
        return self._array.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements (not bytes) between neighbours along each dimension, or along `dim`."""
        itemsize = self._array.dtype.itemsize
        strides = tuple(n // itemsize for n in self._array.strides)
        return strides if dim is None else strides[_checked_dim(dim, self.ndim)]

    def data_ptr(self) -> int:
        """The address of the first element, in bytes."""
        array = self._array
        return array.data.ptr if self.is_cuda else array.__array_interface__["data"][0]

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return self.dtype.kind == "c"

    def is_signed(self) -> bool:
        return self.dtype.is_signed

    def is_inference(self) -> bool:
        return False

    def is_pinned(self, device: Any = None) -> bool:
        """Whether a GPU can read the memory by itself."""
        pinned = sys.modules.get("rushlight.cuda.pinned")  # nothing is, where that has not been loaded
        return pinned is not None and bool(pinned.is_pinned(self._array))

    def is_distributed(self) -> bool:
        return False

    def _is_view(self) -> bool:
        return self._view is not None

    # ------------------------------------------------------------ autograd

    @property
    def requires_grad(self) -> bool:
        return self._needs_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if self._node is not None and not flag:
            raise RuntimeError(
                "you can only change requires_grad flags of leaf variables. If you want to use a computed variable "
                "in a subgraph that doesn't require differentiation use var_no_grad = var.detach()."
            )
        if flag and self._array.dtype.kind not in "fc" and self.dtype.kind not in "fc":  # NumPy knows no bfloat16
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        self._needs_grad = bool(flag)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Sets whether autograd records operations on this leaf. Returns self."""
        self.requires_grad = requires_grad
        return self

    @property
    def grad(self) -> Tensor | None:
        """The accumulated gradient, of this tensor's shape and dtype."""
        if observers.count:
            observers.note_grad(self, True)
        return self._grad

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None:
            _check_grad(self, value)
        self._set_grad(value)

    def _set_grad(self, value: Tensor | None) -> None:
        if observers.count:
            observers.note_grad(self, False)
        self._grad = value

    @grad.deleter
    def grad(self) -> None:
        self._set_grad(None)

    @property
    def grad_fn(self) -> Any:
        """The recorded operation that made this tensor; None for a leaf."""
        return current_node(self)

    @property
    def is_leaf(self) -> bool:
        return current_node(self) is None

    @property
    def output_nr(self) -> int:
        return self._output

    @property
    def _base(self) -> Tensor | None:
        return None if self._view is None else self._view.base

    @property
    def _version(self) -> int:
        return 0 if self._cell is None else self._cell[0]

    @property
    def data(self) -> Tensor:
        """A tensor on the same memory that autograd does not know of: neither history nor version are shared."""
        return wrap(self._without_tangents())

    @data.setter
    def data(self, value: Tensor) -> None:
        if observers.count:
            observers.lift(self), observers.lift(value)
        self._array = value._array

    def detach(self) -> Tensor:
        """A tensor on the same memory, without history or tangents. Writes to either are noticed by both."""
        if observers.count:
            observers.lift(self)
        result = wrap(self._without_tangents())
        result._cell = cell_of(self)
        return result

    def _without_tangents(self) -> Any:
        """The array; inside transforms one that none of them differentiates."""
        array = self._array
        return namespaces.transforms().without_tangents(array) if isinstance(array, Abstract) else array

    def detach_(self) -> Tensor:
        """Forgets this tensor's history. Returns self."""
        if self._view is not None:
            raise RuntimeError(
                "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) "
                "for training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and "
                "hence detach_() cannot be called on these gradients."
            )
        self._node, self._output, self._needs_grad = None, 0, False
        return self

    def backward(
        self, gradient: Tensor | None = None, retain_graph: bool | None = None, create_graph: bool = False,
        inputs: Any = None,
    ) -> None:  # fmt: skip
        """Computes the gradients of this tensor with regard to the leaves and adds them to their `.grad`.

        Args:
            gradient: the gradient of what is differentiated with regard to this tensor; of this tensor's shape.
                May be left out if this tensor has one element.
            retain_graph: keep the graph for another backward pass. Default: the value of `create_graph`.
            create_graph: record the computation of the gradients, for derivatives of higher order.
            inputs: tensors to accumulate gradients into; default: all leaves.

        Raises:
            RuntimeError: no gradient is required, the graph was freed, or this tensor is no scalar.
        """
        gradients.backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def retain_grad(self) -> None:
        """Lets `.grad` of this tensor, which is no leaf, be set by backward."""
        if not self._needs_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        node = current_node(self)
        if node is not None:
            node.with_extras().retained[self._output] = weakref.ref(self)

    @property
    def retains_grad(self) -> bool:
        node = current_node(self)
        if node is None or node.extras is None:
            return False
        reference = node.extras.retained.get(self._output)
        return reference is not None and reference() is self

    def register_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(grad)` each time a gradient of this tensor is computed; what it returns replaces the gradient.

        Raises:
            RuntimeError: this tensor requires no gradient.
        """
        if not self._needs_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        node = current_node(self)
        if node is None:
            if self._hooks is None:
                self._hooks = LeafHooks()
            return RemovableHandle(self._hooks.before, hook)
        return RemovableHandle(node.with_extras().tensors.setdefault(self._output, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Any) -> RemovableHandle:
        """Calls `hook(tensor)` each time a backward pass has added to this leaf's `.grad`."""
        if not self._needs_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if current_node(self) is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        if self._hooks is None:
            self._hooks = LeafHooks()
        return RemovableHandle(self._hooks.after, hook)

    # ------------------------------------------------------------ to Python and NumPy

    def item(self) -> Any:
        """The value of a tensor of one element as a Python number.

        Raises:
            RuntimeError: the tensor has another number of elements.
        """
        array = self._array
        if array.size != 1:
            raise RuntimeError(f"a Tensor with {array.size} elements cannot be converted to Scalar")
        return self._host_values("item()").item()

    def tolist(self) -> Any:
        """The values as nested lists; a number if there are no dimensions."""
        return self._host_values("tolist()").tolist()

    def _data(self, what: str) -> np.ndarray:
        """The NumPy array, for what needs values."""
        if observers.count:
            observers.refuse_value(self, what)
        array = self._array
        if type(array) is np.ndarray:
            return array
        if isinstance(array, Abstract):
            return namespaces.transforms().value_of(self, what)._data(what)
        if type(array) is SparseArray:
            raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")
        if self.is_cuda:
            raise TypeError(
                f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host "
                "memory first."
            )
        raise RuntimeError(f"Tensor.{what} cannot be called on meta tensors: they have no data")

    def _host_values(self, what: str) -> np.ndarray:
        """The values as a NumPy array that is only read: of a tensor on a GPU, a copy."""
        if self.is_cuda and not isinstance(self._array, (Abstract, SparseArray)):
            return kinds.GPU.to_host(self._array)  # type: ignore[no-any-return]
        return self._data(what)

    def numpy(self, *, force: bool = False) -> np.ndarray:
        """The NumPy array on the same memory.

        Raises:
            RuntimeError: the tensor requires gradients (NumPy would not record them); `force=True` detaches.
        """
        if self._needs_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.")
        return self._host_values("numpy()") if force else self._data("numpy()")

    def to_numpy(self) -> np.ndarray:
        """The NumPy array on the same memory, detached."""
        return self._data("to_numpy()")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._data("__array__()"), dtype=dtype, copy=copy)

    def _real_item(self, kind: str) -> Any:
        value = self.item()
        if isinstance(value, complex):
            if value.imag:
                raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
            return value.real
        return value

    def __float__(self) -> float:
        return float(self._real_item("double"))

    def __int__(self) -> int:
        return int(self._real_item("int64_t"))

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        if self._array.dtype.kind not in "iub" or self._array.size != 1:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(self.item())

    def __bool__(self) -> bool:
        size = self._array.size
        if size != 1:
            if size == 0:
                raise RuntimeError("Boolean value of Tensor with no values is ambiguous")
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self._host_values("__bool__()").item())

    def __len__(self) -> int:
        if not self._array.ndim:
            raise TypeError("len() of a 0-d tensor")
        return self._array.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._array.ndim:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    def __reversed__(self) -> Tensor:
        return self.flip(0) if self._array.ndim else self

    def __contains__(self, item: Any) -> bool:
        if not isinstance(item, (Tensor, int, float, complex)):
            raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(item)}.")
        return bool((self == item).any())

    __hash__ = object.__hash__  # by identity, as tensors compare elementwise

    def __format__(self, spec: str) -> str:
        if self.ndim == 0 and not self.is_meta:
            return format(self.item(), spec)
        return object.__format__(self, spec)

    def __repr__(self) -> str:
        from rushlight.printing import format_tensor

        return format_tensor(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if id(self) in memo:
            return memo[id(self)]
        if current_node(self) is not None:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the "
                "moment. If you were attempting to deepcopy a module, this may be because of a torch.nn.Module.forward"
            )
        result = wrap(self._array.copy(), type(self))
        result._needs_grad = self._needs_grad
        memo[id(self)] = result
        if self._grad is not None:
            result._grad = self._grad.__deepcopy__(memo)
        return result

    def __reduce_ex__(self, protocol: Any) -> Any:
        array = self.detach().cpu()._array if self.is_sparse else self._host_values("pickle")
        if self.is_cuda:
            return _rebuild_on, (type(self), array, self._needs_grad, self.device)
        return _rebuild, (type(self), array, self._needs_grad)


def wrap(array: Any, cls: type = Tensor) -> Any:
    """A tensor around an array: no history, no gradient required."""
    tensor = _new(cls)
    tensor._array = array
    tensor._needs_grad = False
    tensor._node = tensor._grad = tensor._cell = tensor._view = tensor._hooks = None
    tensor._output = 0
    if observers.count:
        observers.note_tensor(tensor)
    return tensor


def _rebuild(cls: type, array: np.ndarray, needs_grad: bool) -> Any:
    tensor = wrap(array, cls)
    tensor._needs_grad = needs_grad
    return tensor


def _rebuild_on(cls: type, array: np.ndarray, needs_grad: bool, device: devices.device) -> Any:
    return _rebuild(cls, namespace_of(array).to_device(array, devices.require(device)), needs_grad)


def _checked_dim(dim: int, ndim: int) -> int:
    limit = max(ndim, 1)
    if not -limit <= dim < limit:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {dim})")
    return dim % limit


def _check_grad(tensor: Tensor, grad: Any) -> None:
    if not isinstance(grad, Tensor):
        raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(grad).__name__}")
    if grad is tensor:
        raise RuntimeError("can't assign Variable as its own grad")
    if grad._array.dtype != tensor._array.dtype:
        raise RuntimeError(
            f"attempting to assign a gradient with dtype '{grad.dtype}' to a tensor with dtype '{tensor.dtype}'. "
            "Please ensure that the gradient and the tensor have the same dtype"
        )
    if grad._array.shape != tensor._array.shape:
        raise RuntimeError(
            f"attempting to assign a gradient of size '{list(grad.shape)}' to a tensor of size '{list(tensor.shape)}'. "
            "Please ensure that the gradient and the tensor are the same size"
        )


from rushlight.autograd import gradients  # noqa: E402  (which needs Tensor)
from rushlight.ops import namespaces, observers  # noqa: E402
