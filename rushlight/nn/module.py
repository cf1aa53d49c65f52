"""Module: the base of everything that has parameters.

A module keeps its parameters, buffers and submodules in three registries; assigning to an attribute puts a
value into the one it belongs to. Calling a module runs `forward`: at the cost of three checks if there are no
hooks (`nn/hooks.py`, registered by `nn/registration.py`). Saving and loading its state are in `nn/state.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from rushlight import devices, dtypes
from rushlight.autograd.modes import no_grad
from rushlight.nn import hooks, state
from rushlight.nn.hooks import call_with_hooks
from rushlight.nn.parameter import Buffer, Parameter
from rushlight.nn.registration import Hookable
from rushlight.nn.registry import Registry
from rushlight.ops import observers
from rushlight.tensor import Tensor

Self = TypeVar("Self", bound="Module")
_KINDS = ("_parameters", "_buffers", "_modules")


class Module(Hookable):
    """The base class of all neural network modules.

    A subclass calls `super().__init__()`, assigns parameters and other modules to attributes, and defines `forward`.

    Example:
        >>> import rushlight as torch
        >>> class Scale(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.factor = torch.nn.Parameter(torch.tensor(2.0))
        ...     def forward(self, x):
        ...         return self.factor * x
        >>> scale = Scale()
        >>> scale(torch.tensor([1.0, 3.0])).tolist()
        [2.0, 6.0]
        >>> list(scale.state_dict())
        ['factor']
    """

    _version = 1
    call_super_init = False  # whether `__init__` goes on to the next class, with the arguments
    dump_patches = False
    training: bool
    _parameters: Registry
    _buffers: Registry
    _modules: Registry
    _non_persistent_buffers_set: set[str]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs and not self.call_super_init:
            raise TypeError(
                f"{type(self).__name__}.__init__() got an unexpected keyword argument '{next(iter(kwargs))}'"
            )
        if args and not self.call_super_init:
            raise TypeError(
                f"{type(self).__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
            )
        attributes = self.__dict__
        attributes["training"] = True
        for kind in _KINDS:
            attributes[kind] = Registry(self)
        attributes["_non_persistent_buffers_set"] = set()
        if self.call_super_init:
            super().__init__(*args, **kwargs)

    # ------------------------------------------------------------ calling

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; each subclass has its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if observers.count:
            observers.note_module(self)
        try:
            if self._hooks is None and hooks.everywhere is None:
                return self.forward(*args, **kwargs)
            return call_with_hooks(self, args, kwargs)
        except Exception as error:
            _note_path(error, self)
            raise

    # ------------------------------------------------------------ attributes

    def __setattr__(self, name: str, value: Any) -> None:
        attributes = self.__dict__
        kind = _kind_of(attributes, name) if name in attributes else None
        if isinstance(value, Parameter):
            self._leave_other_kinds(name, "_parameters")
            self.register_parameter(name, value)
        elif kind == "_parameters":
            self._replace(name, value, kind)
        elif isinstance(value, Module):
            self._leave_other_kinds(name, "_modules")
            attributes["_modules"][name] = value
        elif kind == "_modules":
            self._replace(name, value, kind)
        elif isinstance(value, Buffer):
            self._leave_other_kinds(name, "_buffers")
            self.register_buffer(name, value, getattr(value, "persistent", True))
        elif kind is not None:
            self._replace(name, value, kind)
        else:
            object.__setattr__(self, name, value)

    def _leave_other_kinds(self, name: str, kind: str) -> None:
        """Before `name` becomes a parameter (buffer, module): it stops being anything else."""
        attributes = self.__dict__
        if kind not in attributes:
            what = {"_parameters": "parameters", "_modules": "module", "_buffers": "buffers"}[kind]
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if name in attributes and name not in attributes[kind]:
            for other in _KINDS:
                attributes[other].pop(name, None)
            attributes["_non_persistent_buffers_set"].discard(name)
            attributes.pop(name, None)

    def _replace(self, name: str, value: Any, kind: str) -> None:
        """Assigns to a registered name what is not of its kind."""
        if kind == "_buffers":
            if value is not None and not isinstance(value, Tensor):
                raise TypeError(
                    f"cannot assign '{_typename(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
        elif value is not None:
            what, wanted = ("parameter", "Parameter") if kind == "_parameters" else ("child module", "Module")
            raise TypeError(
                f"cannot assign '{_typename(value)}' as {what} '{name}' (torch.nn.{wanted} or None expected)"
            )
        self.__dict__[kind][name] = value

    def __getattr__(self, name: str) -> Any:
        """Only for what is no attribute: registered values are found before this is called."""
        for kind in _KINDS:
            registry = self.__dict__.get(kind)
            if registry is not None and name in registry:
                return registry[name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __delattr__(self, name: str) -> None:
        kind = _kind_of(self.__dict__, name)
        if kind:
            del self.__dict__[kind][name]
            self._non_persistent_buffers_set.discard(name)
        else:
            object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *self.__dict__, *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    def __setstate__(self, attributes: dict[str, Any]) -> None:
        """After unpickling or copying: the registries become this module's own."""
        self.__dict__.update(attributes)
        for kind in _KINDS:
            registry = self.__dict__.get(kind, {})
            if not isinstance(registry, Registry) or not registry.belongs_to(self):
                self.__dict__[kind] = Registry(self, registry)
        self.__dict__.setdefault("_non_persistent_buffers_set", set())

    # ------------------------------------------------------------ registering

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter; None stands for one that is left out, such as a bias.

        Raises:
            KeyError, TypeError: the name or the value cannot be used.
            ValueError: the parameter was computed, and is no leaf of the graph.
        """
        self._check_name(name, "parameter", "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{_typename(param)}' object to parameter '{name}' (torch.nn.Parameter or None required)"
            )
        if param is not None and param._node is not None:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created explicitly. "
                f"To express '{name}' as a function of another Tensor, compute the value in the forward() method."
            )
        for hook in hooks.registrations("parameter"):
            replaced = hook(self, name, param)
            param = param if replaced is None else replaced
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Adds a buffer: a tensor that belongs to the state but is not trained. `state_dict` has persistent ones."""
        self._check_name(name, "buffer", "_buffers")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{_typename(tensor)}' object to buffer '{name}' (torch Tensor or None required)"
            )
        for hook in hooks.registrations("buffer"):
            replaced = hook(self, name, tensor)
            tensor = tensor if replaced is None else replaced
        self._buffers[name] = tensor
        (self._non_persistent_buffers_set.discard if persistent else self._non_persistent_buffers_set.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a submodule."""
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{_typename(module)} is not a Module subclass")
        self._check_name(name, "module", "_modules")
        for hook in hooks.registrations("module"):
            replaced = hook(self, name, module)
            module = module if replaced is None else replaced
        self._modules[name] = module

    register_module = add_module

    def _check_name(self, name: str, what: str, kind: str) -> None:
        if kind not in self.__dict__:
            raise AttributeError(f"cannot assign {what} before Module.__init__() call")
        if not isinstance(name, str):
            raise TypeError(f"{what} name should be a string. Got {_typename(name)}")
        if "." in name:
            raise KeyError(f'{what} name can\'t contain "."' + (f", got: {name}" if what == "module" else ""))
        if name == "":
            raise KeyError(f'{what} name can\'t be empty string ""')
        if name not in self.__dict__[kind] and hasattr(self, name):
            raise KeyError(f"attribute '{name}' already exists")

    # ------------------------------------------------------------ the tree

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module and all below it, each with its path; each once unless `remove_duplicate=False`."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        return (module for _, module in self.named_modules(remove_duplicate=remove_duplicate))

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules directly below this one, by name, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules directly below this one."""
        return (module for _, module in self.named_children())

    def _named_members(
        self, members: Callable[[Module], Any], prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        parts = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate) if recurse else [(prefix, self)]
        for path, module in parts:
            for name, member in members(module):
                if member is None or member in seen:
                    continue
                if remove_duplicate:
                    seen.add(member)
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters of this module (`recurse`: and of those below), each with its path."""
        return self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters: what an optimizer is given."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers, each with its path."""
        return self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def get_submodule(self, target: str) -> Module:
        """The module at a path such as "encoder.layers.0"; itself for "".

        Raises:
            AttributeError: nothing is there, or something that is no module.
        """
        module: Any = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module at a path; `strict`: only where there is one.

        Raises:
            ValueError: no path, or no module. AttributeError: nothing is there, or something that is no module.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict or hasattr(parent, name):
            parent.get_submodule(name)
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at a path such as "encoder.weight"."""
        return self._member_at(target, lambda owner, name: isinstance(getattr(owner, name), Parameter), "nn.Parameter")

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at a path."""
        return self._member_at(target, lambda owner, name: name in owner._buffers, "buffer")

    def _member_at(self, target: str, belongs: Callable[[Module, str], bool], what: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        if not belongs(owner, name):
            raise AttributeError(
                f"`{name}` is not an {what}" if what == "nn.Parameter" else f"`{name}` is not a {what}"
            )
        return getattr(owner, name)

    # ------------------------------------------------------------ modes and gradients

    def train(self: Self, mode: bool = True) -> Self:
        """Sets the training mode of this module and all below: dropout asks for it. Returns self."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Leaves the training mode."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Sets whether gradients reach the parameters. Returns self."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the parameters' gradients, or writes zeros into them."""
        for parameter in self.parameters():
            grad = parameter._grad
            if grad is None and not observers.count:
                continue
            if set_to_none or grad is None:
                parameter.grad = None
            else:
                parameter.grad = grad.detach() if grad.grad_fn is not None else grad
                parameter.grad.requires_grad_(False).zero_()

    # ------------------------------------------------------------ all tensors at once

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Calls `fn` on every module, those below first. Returns self."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replaces the value of every parameter, its gradient and every buffer. Parameters stay the same objects."""
        for module in self.children() if recurse else ():
            module._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is None:
                    continue
                grad, parameter._grad = parameter._grad, None
                parameter.data = fn(parameter)
                if grad is not None:
                    parameter.grad = fn(grad)
            for name, buffer in list(self._buffers.items()):
                if buffer is not None:
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Moves all tensors to a device, and the floating-point ones to a dtype: `to(device, dtype)`, `to(tensor)`.

        Raises:
            TypeError: the dtype is one of integers.
        """
        device, dtype = _target(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            converts = dtype is not None and (tensor.is_floating_point() or tensor.is_complex())
            return tensor.to(device=device, dtype=dtype if converts else None)

        return self._apply(convert)

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Moves all tensors to a device without their values."""
        from rushlight.ops.create import empty_like

        return self._apply(lambda tensor: empty_like(tensor, device=device), recurse)

    def type(self: Self, dst_type: Any) -> Self:
        """Converts all tensors to a dtype."""
        return self._apply(lambda tensor: tensor.to(dst_type))

    def _to_float(self: Self, dtype: dtypes.dtype) -> Self:
        return self._apply(lambda tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor)

    def float(self: Self) -> Self:
        """Converts the floating-point tensors to float32."""
        return self._to_float(dtypes.float32)

    def double(self: Self) -> Self:
        """Converts the floating-point tensors to float64."""
        return self._to_float(dtypes.float64)

    def half(self: Self) -> Self:
        """Converts the floating-point tensors to float16."""
        return self._to_float(dtypes.float16)

    def bfloat16(self: Self) -> Self:
        """Converts the floating-point tensors to bfloat16."""
        return self._to_float(dtypes.bfloat16)

    def cpu(self: Self) -> Self:
        """Moves all tensors to the CPU."""
        return self._apply(lambda tensor: tensor.to(devices.cpu))

    def cuda(self: Self, device: Any = None) -> Self:
        """Moves all tensors to the GPU."""
        target = devices.require("cuda" if device is None else device)
        return self._apply(lambda tensor: tensor.to(target))

    def share_memory(self: Self) -> Self:
        """Moves all tensors to memory that other processes see."""
        return self._apply(lambda tensor: tensor.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compiles `forward`, as `torch.compile(module.forward)` does; the module is called as before."""
        from rushlight.compiler.function import compile

        object.__setattr__(self, "forward", compile(self.forward, *args, **kwargs))

    # ------------------------------------------------------------ state

    def state_dict(self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """The parameters and persistent buffers by path: tensors on the same memory, detached unless `keep_vars`."""
        given = dict(zip(("destination", "prefix", "keep_vars"), args, strict=False))
        arguments = {"destination": destination, "prefix": prefix, "keep_vars": keep_vars, **given}
        return state.save_state(self, **arguments)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> state.IncompatibleKeys:
        """Copies values into the parameters and buffers; if anything is wrong, into none.

        Args:
            state_dict: what `state_dict()` gave.
            strict: raise if keys are missing or unknown.
            assign: put the given tensors themselves in place.

        Returns:
            The missing and the unexpected keys.

        Raises:
            RuntimeError: listing all faults.
        """
        return state.load_state(self, state_dict, strict, assign)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        state.save_own_state(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        state.load_own_state(
            self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def get_extra_state(self) -> Any:
        """What a subclass adds to its state dict, if it defines this and `set_extra_state`."""
        raise RuntimeError("Reached a code path in Module.get_extra_state() that should never be called.")

    def set_extra_state(self, state: Any) -> None:
        """Takes back what `get_extra_state` gave."""
        raise RuntimeError("Reached a code path in Module.set_extra_state() that should never be called.")

    # ------------------------------------------------------------ printing

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What `repr` shows between the parentheses; subclasses have their own."""
        return ""

    def __repr__(self) -> str:
        own = self.extra_repr().split("\n") if self.extra_repr() else []
        children = [f"({name}): {indented(repr(module))}" for name, module in self._modules.items()]
        if len(own) == 1 and not children:
            return f"{self._get_name()}({own[0]})"
        return in_lines(self._get_name(), own + children)


def in_lines(name: str, lines: list[str]) -> str:
    """`name(` and `)` around lines that are indented by two spaces."""
    return name + "(" + ("\n  " + "\n  ".join(lines) + "\n" if lines else "") + ")"


def indented(text: str) -> str:
    """All lines but the first moved right by two spaces."""
    return text.replace("\n", "\n  ")


def _kind_of(attributes: dict[str, Any], name: str) -> str | None:
    """The registry that has a name."""
    for kind in _KINDS:
        if kind in attributes and name in attributes[kind]:
            return kind
    return None


def _typename(value: Any) -> str:
    """What PyTorch's messages call the type of a value."""
    if isinstance(value, Tensor):
        return "torch.FloatTensor" if value.dtype is dtypes.float32 else f"torch.{value.dtype.name}"
    cls = type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _target(*args: Any, **kwargs: Any) -> tuple[Any, dtypes.dtype | None]:
    """The device and the dtype that the arguments of `to` name."""
    device, dtype = kwargs.get("device"), kwargs.get("dtype")
    for given in args:
        if isinstance(given, Tensor):
            device, dtype = given.device, given.dtype
        elif isinstance(given, dtypes.dtype):
            dtype = given
        elif isinstance(given, (str, int, devices.device)) and not isinstance(given, bool):
            device = given
    return None if device is None else devices.require(device), dtype


# ---------------------------------------------------------------- where in the model an error came from


class _PathNote(str):
    """The note on an error: "in model.encoder.2 (Linear)". `module` is where the error was raised."""

    __slots__ = ("module",)
    module: Module


def _note_path(error: Exception, caller: Module) -> None:
    """Says where in `caller` the error was raised. Every module on the way out does so, the outermost last."""
    notes = getattr(error, "__notes__", [])
    place = next((i for i, note in enumerate(notes) if isinstance(note, _PathNote)), None)
    failed = caller if place is None else notes[place].module
    path = next((path for path, module in caller.named_modules() if module is failed), None)
    if path is None:  # called, but not part of this module: what is below it has been said
        return
    place_in_model = f"model.{path}" if path else "model"
    note = _PathNote(f"in {place_in_model} ({type(failed).__name__})")
    note.module = failed
    if place is None:
        error.add_note(note)
    else:
        notes[place] = note
