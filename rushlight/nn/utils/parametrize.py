"""Parametrizations: a parameter of a module as a function of others, computed whenever the module reads it.

The parameter's name becomes a property of a class made for this module; what it is computed from is in
`module.parametrizations[name]`, as `original`, or as `original0`, `original1`, ... where it is computed from several tensors.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from rushlight.autograd.modes import no_grad
from rushlight.nn.module import Module
from rushlight.nn.modules.container import ModuleDict, ModuleList
from rushlight.nn.parameter import Parameter
from rushlight.tensor import Tensor

_num_caching = 0
_cache: dict[tuple[int, str], Tensor] = {}


@contextmanager
def cached() -> Iterator[None]:
    """Inside the block each parametrized tensor is computed once; for modules that read one many times.

    Example:
        >>> import rushlight as torch
        >>> layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(2, 2))
        >>> with cached():
        ...     layer.weight is layer.weight
        True
    """
    global _num_caching
    _num_caching += 1
    try:
        yield
    finally:
        _num_caching -= 1
        if not _num_caching:
            _cache.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, each applied to what the one before gave, and the tensors they start from.

    Args:
        modules: the parametrizations.
        original: the tensor as it was; their `right_inverse`, if they have one, says where they must start to give it.
        unsafe: the result may have another shape or dtype.
    """

    original: Tensor

    def __init__(self, modules: Sequence[Module], original: Tensor, unsafe: bool = False) -> None:
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        start = _start_of(self, original)
        self.is_tensor = isinstance(start, Tensor)
        self.ntensors = 1 if self.is_tensor else len(start)
        if self.is_tensor:
            self._keep_one(original, start)
        else:
            self._keep_several(original, start)
        if not unsafe:
            _check_result(
                self(), shape, dtype, ("unparametrized {}", "parametrized {}"), "unless `unsafe` flag is enabled"
            )

    def _keep_one(self, original: Tensor, start: Tensor) -> None:
        for what in ("dtype", "device"):
            if getattr(original, what) != getattr(start, what):
                raise ValueError(
                    f"When `right_inverse` outputs one tensor, it may not change the {what}.\n"
                    f"original.{what}: {getattr(original, what)}\nright_inverse(original).{what}: {getattr(start, what)}"
                )
        original.data = start
        _register(self, "original", original)

    def _keep_several(self, original: Tensor, start: Sequence[Any]) -> None:
        for number, tensor in enumerate(start):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                    f"Got element {number} of the sequence with type {type(tensor).__name__}."
                )
            if isinstance(original, Parameter):
                tensor = Parameter(tensor, original.requires_grad)
            tensor.requires_grad_(original.requires_grad)
            _register(self, f"original{number}", tensor)

    def _originals(self) -> list[Tensor]:
        names = ["original"] if self.is_tensor else [f"original{number}" for number in range(self.ntensors)]
        return [getattr(self, name) for name in names]

    @no_grad()
    def right_inverse(self, value: Any) -> None:
        """Sets the originals so that the parametrizations give `value`: what an assignment to the tensor does.

        Raises:
            RuntimeError: a parametrization has no `right_inverse`. ValueError: it gives something else than there was.
        """
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"parametrization {type(module).__name__} does not implement right_inverse.")
            value = module.right_inverse(value)
        if self.is_tensor:
            if not isinstance(value, Tensor):
                raise ValueError(f"`right_inverse` should return a tensor. Got {type(value).__name__}")
            if value.dtype != self.original.dtype:
                raise ValueError(
                    f"The tensor returned by `right_inverse` has dtype {value.dtype} while `original` has dtype "
                    f"{self.original.dtype}"
                )
            self.original.data = value
            return
        if not isinstance(value, Sequence):
            raise ValueError(f"'right_inverse' must return a sequence of tensors. Got {type(value).__name__}.")
        if len(value) != self.ntensors:
            raise ValueError(
                f"'right_inverse' must return a sequence of tensors of length {self.ntensors}. Got a sequence of length "
                f"{len(value)}."
            )
        for number, (original, tensor) in enumerate(zip(self._originals(), value, strict=True)):
            if not isinstance(tensor, Tensor):
                raise ValueError(
                    "`right_inverse` must return a sequence of tensors. "
                    f"Got element {number} of type {type(tensor).__name__}"
                )
            if original.dtype != tensor.dtype:
                raise ValueError(
                    f"Tensor {number} returned by `right_inverse` has dtype {tensor.dtype} while `original{number}` has "
                    f"dtype {original.dtype}"
                )
            original.data = tensor

    def forward(self) -> Tensor:
        first, *others = self
        result = first(*self._originals())
        for module in others:
            result = module(result)
        return result


@no_grad()
def _start_of(modules: ParametrizationList, original: Tensor) -> Any:
    """What the parametrizations must start from to give the original, as far as they say."""
    start: Any = original
    for module in reversed(list(modules)):
        if hasattr(module, "right_inverse"):
            with suppress(NotImplementedError):
                start = module.right_inverse(start)
    if not isinstance(start, (Tensor, Sequence)):
        raise ValueError(
            "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
            f"Got {type(start).__name__}"
        )
    return start


def _check_result(result: Any, shape: Any, dtype: Any, names: tuple[str, str], unless: str) -> None:
    if not isinstance(result, Tensor):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    for what, before, after in (("dtype", dtype, result.dtype), ("shape", shape, result.shape)):
        if before != after:
            raise ValueError(
                f"Registering a parametrization may not change the {what} of the tensor, {unless}.\n"
                f"{names[0].format(what)}: {before}\n{names[1].format(what)}: {after}"
            )


def _register(module: Module, name: str, tensor: Tensor) -> None:
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


# ---------------------------------------------------------------- the class and its properties


def _make_class(module: Any) -> None:
    """Gives a module a class of its own, in which properties can be put."""
    cls: Any = type(module)

    def no_pickle(self: Any) -> Any:
        raise RuntimeError(
            "Serialization of parametrized modules is only supported through state_dict(). See:\n"
            "https://pytorch.org/tutorials/beginner/saving_loading_models.html"
            "#saving-loading-a-general-checkpoint-for-inference-and-or-resuming-training"
        )

    def deepcopy(self: Any, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = replica = object.__new__(type(self))
            replica.__setstate__(copy.deepcopy(self.__dict__, memo))
        return memo[id(self)]

    methods: dict[str, Any] = {"__getstate__": no_pickle}
    if not hasattr(cls, "__deepcopy__"):
        methods["__deepcopy__"] = deepcopy
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), methods)


def _make_property(module: Module, name: str) -> None:
    def read(self: Any) -> Tensor:
        parametrizations = self.parametrizations[name]
        if not _num_caching:
            return parametrizations()
        key = id(self), name
        if key not in _cache:
            _cache[key] = parametrizations()
        return _cache[key]

    def write(self: Any, value: Tensor) -> None:
        self.parametrizations[name].right_inverse(value)

    setattr(type(module), name, property(read, write))


# ---------------------------------------------------------------- what users call


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Makes a parameter or buffer a function of what it was; may be called again to put another function on top.

    Args:
        module: the module that has it.
        tensor_name: its name.
        parametrization: `forward(original)` gives the tensor; `right_inverse(tensor)`, if there is one, an original (or several,
            for `forward(original0, original1)`), and is what an assignment to the tensor calls.
        unsafe: do not check that shape and dtype stay.

    Returns:
        The module.

    Raises:
        ValueError: there is no such tensor, or a check fails.

    Example:
        >>> import rushlight as torch
        >>> class Symmetric(torch.nn.Module):
        ...     def forward(self, x):
        ...         return x.triu() + x.triu(1).mT
        >>> layer = register_parametrization(torch.nn.Linear(3, 3), "weight", Symmetric())
        >>> bool((layer.weight == layer.weight.T).all())
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        if not unsafe:
            _check_on_top(module, tensor_name, parametrization)
        parametrizations: Any = module.parametrizations[tensor_name]
        parametrizations.append(parametrization)
        parametrizations.unsafe |= unsafe
    elif tensor_name in module._buffers or tensor_name in module._parameters:
        parametrizations = ParametrizationList([parametrization], getattr(module, tensor_name), unsafe=unsafe)
        delattr(module, tensor_name)
        if not is_parametrized(module):
            _make_class(module)
            module.parametrizations = ModuleDict()
        _make_property(module, tensor_name)
        module.parametrizations[tensor_name] = parametrizations
    else:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with name '{tensor_name}'"
        )
    return module


def _check_on_top(module: Module, name: str, parametrization: Any) -> None:
    """The checks of another parametrization on a tensor that has one."""
    before = getattr(module, name)
    result = parametrization(before)
    names = f"module.{name}.{{}}", f"parametrization(module.{name}).{{}}"
    _check_result(result, before.shape, before.dtype, names, "unless the `unsafe` flag is enabled")
    if not hasattr(parametrization, "right_inverse"):
        return
    try:
        back = parametrization.right_inverse(result)
    except NotImplementedError:
        return
    if not isinstance(back, Tensor):
        raise ValueError(f"parametrization.right_inverse must return a tensor. Got: {type(back).__name__}")
    for what in ("dtype", "shape"):
        if getattr(back, what) != getattr(before, what):
            raise ValueError(
                f"The tensor returned by parametrization.right_inverse must have the same {what} as module.{name}, "
                f"unless the `unsafe` flag is enabled.\nmodule.{name}.{what}: {getattr(before, what)}\n"
                f"returned {what}: {getattr(back, what)}"
            )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a module has parametrizations, or one of a certain tensor."""
    found = getattr(module, "parametrizations", None)
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Module, tensor_name: str, leave_parametrized: bool = True) -> Module:
    """Makes a parametrized tensor an ordinary one again.

    Args:
        leave_parametrized: with its present value; otherwise with that of the original.

    Raises:
        ValueError: it has no parametrization, or there are several originals and none is to be left.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrizations: Any = module.parametrizations[tensor_name]
    if parametrizations.is_tensor:
        original = parametrizations.original
        if leave_parametrized:
            with no_grad():
                original.data = getattr(module, tensor_name)
    elif leave_parametrized:
        value = getattr(module, tensor_name)
        original = Parameter(value.detach()) if value.requires_grad else value
    else:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized in terms of a "
            "sequence of tensors."
        )
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    _register(module, tensor_name, original)
    if not is_parametrized(module):
        delattr(module, "parametrizations")
        module.__class__ = type(module).__bases__[0]
    return module


def type_before_parametrizations(module: Module) -> type:
    """The class that a module had before it got parametrizations."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)


def transfer_parametrizations_and_params(
    from_module: Module, to_module: Module, tensor_name: str | None = None
) -> Module:
    """Gives another module the same parametrizations (of one tensor, or all), with the same originals."""
    if not is_parametrized(from_module):
        return to_module
    for name in list(from_module.parametrizations) if tensor_name is None else [tensor_name]:
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(getattr(from_module, name).detach()))
        source: Any = from_module.parametrizations[name]
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        target: Any = to_module.parametrizations[name]
        for original in source._parameters | source._buffers:
            setattr(target, original, getattr(source, original))
    return to_module
