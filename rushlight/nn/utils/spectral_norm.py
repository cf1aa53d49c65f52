"""Spectral normalization (Miyato et al., 2018) in its first form: a hook divides the weight by its greatest singular value.

The singular vectors u and v are buffers, improved by a step of the power method at each call in training.
`nn.utils.parametrizations.spectral_norm` is the newer form.
"""

from __future__ import annotations

from typing import Any

from rushlight.autograd.modes import no_grad
from rushlight.nn import functional as F
from rushlight.nn.hooks import take_hook
from rushlight.nn.module import Module
from rushlight.nn.modules.conv import _Transposed
from rushlight.nn.parameter import Parameter, is_lazy
from rushlight.tensor import Tensor


def output_dim(module: Module, dim: int | None) -> int:
    """The dimension of a weight that counts outputs, if none is given."""
    return dim if dim is not None else 1 if isinstance(module, _Transposed) else 0


def as_matrix(weight: Tensor, dim: int) -> Tensor:
    """A weight as a matrix with a row for each element along `dim`."""
    if dim != 0:
        weight = weight.permute(dim, *[axis for axis in range(weight.ndim) if axis != dim])
    return weight.reshape(weight.shape[0], -1)


def random_direction(weight: Tensor, size: int, eps: float) -> Tensor:
    """A random vector of length 1."""
    return F.normalize(weight.new_empty(size).normal_(0, 1), dim=0, eps=eps)


class SpectralNorm:
    """The hook."""

    _version = 1

    def __init__(self, name: str = "weight", n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        if n_power_iterations <= 0:
            raise ValueError(
                f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}"
            )
        self.name = name
        self.dim = dim
        self.n_power_iterations = n_power_iterations
        self.eps = eps

    def reshape_weight_to_matrix(self, weight: Tensor) -> Tensor:
        """The weight as a matrix."""
        return as_matrix(weight, self.dim)

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Tensor:
        """The weight over its greatest singular value."""
        weight, u, v = (getattr(module, self.name + suffix) for suffix in ("_orig", "_u", "_v"))
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(F.normalize(matrix.t().mv(u), dim=0, eps=self.eps))
                    u.copy_(F.normalize(matrix.mv(v), dim=0, eps=self.eps))
                u, v = u.clone(), v.clone()  # the buffers may change again before backward
        return weight / u.dot(matrix.mv(v))

    def remove(self, module: Module) -> None:
        """Makes the present weight the parameter again."""
        with no_grad():
            weight = self.compute_weight(module, do_power_iteration=False)
        for suffix in ("", "_u", "_v", "_orig"):
            delattr(module, self.name + suffix)
        module.register_parameter(self.name, Parameter(weight.detach()))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, do_power_iteration=module.training))

    @staticmethod
    def apply(module: Module, name: str, n_power_iterations: int, dim: int, eps: float) -> SpectralNorm:
        """Puts the singular vectors beside a weight, and the hooks on the module."""
        if any(isinstance(hook, SpectralNorm) and hook.name == name for hook in module._forward_pre_hooks.values()):
            raise RuntimeError(f"Cannot register two spectral_norm hooks on the same parameter {name}")
        norm = SpectralNorm(name, n_power_iterations, dim, eps)
        weight = module._parameters[name]
        if weight is None:
            raise ValueError(f"`SpectralNorm` cannot be applied as parameter `{name}` is None")
        if is_lazy(weight):
            raise ValueError(
                "The module passed to `SpectralNorm` can't have uninitialized parameters. Make sure to run the dummy "
                "forward before applying spectral normalization"
            )
        with no_grad():
            u, v = (random_direction(weight, size, eps) for size in as_matrix(weight, dim).shape)
        delattr(module, name)
        module.register_parameter(name + "_orig", weight)
        setattr(module, name, weight.data)
        module.register_buffer(name + "_u", u)
        module.register_buffer(name + "_v", v)
        module.register_forward_pre_hook(norm)
        module._register_state_dict_hook(SpectralNormStateDictHook(norm))
        module._register_load_state_dict_pre_hook(SpectralNormLoadStateDictPreHook(norm))
        return norm


class SpectralNormStateDictHook:
    """Notes the version of the state."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(self, module: Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]) -> None:
        versions = local_metadata.setdefault("spectral_norm", {})
        key = self.fn.name + ".version"
        if key in versions:
            raise RuntimeError(f"Unexpected key in metadata['spectral_norm']: {key}")
        versions[key] = self.fn._version


class SpectralNormLoadStateDictPreHook:
    """Finds v, which states of version 0 lack: W_orig / W is the singular value, and u is W_orig v over it."""

    def __init__(self, fn: SpectralNorm) -> None:
        self.fn = fn

    def __call__(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        version = local_metadata.get("spectral_norm", {}).get(self.fn.name + ".version")
        if version is not None and version >= 1:
            return
        key = prefix + self.fn.name
        is_new = key not in state_dict and all(key + suffix in state_dict for suffix in ("_orig", "_u", "_v"))
        if version is None and is_new:
            return
        missing = [key + suffix for suffix in ("_orig", "", "_u") if key + suffix not in state_dict]
        if missing:
            missing_keys.extend(missing if strict else [])
            return
        with no_grad():
            original, u = state_dict[key + "_orig"], state_dict[key + "_u"]
            sigma = (original / state_dict.pop(key)).mean()
            matrix = as_matrix(original, self.fn.dim)
            v = matrix.t().mm(matrix).pinverse().mm(matrix.t()).mm(u.unsqueeze(1)).squeeze(1)
            state_dict[key + "_v"] = v * (sigma / u.dot(matrix.mv(v)))


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Module:
    """Divides a weight by its greatest singular value.

    Args:
        n_power_iterations: steps of the power method at each call.
        eps: what keeps lengths from 0.
        dim: the dimension that counts outputs. Default: 0, and 1 for transposed convolutions.
    """
    SpectralNorm.apply(module, name, n_power_iterations, output_dim(module, dim), eps)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Undoes `spectral_norm`.

    Raises:
        ValueError: the weight has none.
    """
    hook = take_hook(module._forward_pre_hooks, lambda hook: isinstance(hook, SpectralNorm) and hook.name == name)
    if hook is None:
        raise ValueError(f"spectral_norm of '{name}' not found in {module}")
    hook.remove(module)
    for table in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
        take_hook(table, lambda hook: isinstance(getattr(hook, "fn", None), SpectralNorm) and hook.fn.name == name)
    return module
