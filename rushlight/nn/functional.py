"""`rushlight.nn.functional`: the functions behind the modules, in PyTorch's spelling.

Most names are those of `rushlight.api` and of `nn/losses.py`; the functions here are thin: PyTorch's arguments
around an operation of `rushlight.ops`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from rushlight import dtypes
from rushlight.api import reduce as reduce_api
from rushlight.api.elementwise import sigmoid as sigmoid, tanh as tanh
from rushlight.api.linalg import linear as linear
from rushlight.nn.losses import (
    binary_cross_entropy as binary_cross_entropy,
    binary_cross_entropy_with_logits as binary_cross_entropy_with_logits,
    cross_entropy as cross_entropy,
    huber_loss as huber_loss,
    kl_div as kl_div,
    l1_loss as l1_loss,
    mse_loss as mse_loss,
    nll_loss as nll_loss,
    smooth_l1_loss as smooth_l1_loss,
)
from rushlight.nn.padding import pad as pad
from rushlight.ops import create, define, elementwise as ops, index as index_ops, loss as loss_ops
from rushlight.ops.define import cast
from rushlight.ops.elementwise import logsigmoid as logsigmoid
from rushlight.ops.inplace import in_place
from rushlight.tensor import Tensor

_relu = ops.relu
_relu_, _leaky_relu_, _elu_, _silu_ = (in_place(f) for f in (ops.relu, ops.leaky_relu, ops.elu, ops.silu))

# ---------------------------------------------------------------- activations


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """max(input, 0)."""
    return _relu_(input) if inplace else _relu(input)


def relu_(input: Tensor) -> Tensor:
    """In-place form of `relu`."""
    return _relu_(input)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """The input where it is positive, `negative_slope` times it elsewhere."""
    return (_leaky_relu_ if inplace else ops.leaky_relu)(input, negative_slope=negative_slope)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """The input where it is positive, `alpha * (exp(input) - 1)` elsewhere."""
    return (_elu_ if inplace else ops.elu)(input, alpha=alpha)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """input * sigmoid(input)."""
    return (_silu_ if inplace else ops.silu)(input)


def gelu(input: Tensor, *, approximate: str = "none") -> Tensor:
    """The input times the normal distribution's function of it; "tanh" asks for the approximation by tanh.

    Raises:
        RuntimeError: another approximation.
    """
    if approximate == "none":
        return ops.gelu(input)
    if approximate == "tanh":
        return ops.gelu_tanh(input)
    raise RuntimeError("approximate argument must be either none or tanh.")


def softplus(input: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """log(1 + exp(beta * input)) / beta; the input itself where beta times it is above the threshold."""
    return ops.softplus(input, beta=beta, threshold=threshold)


def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """exp(input) over its sum along `dim`."""
    return reduce_api.softmax(input, _dim_or_guess("softmax", input, dim) if dim is None else dim, dtype)


def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """log(softmax(input)) along `dim`."""
    return reduce_api.log_softmax(input, _dim_or_guess("log_softmax", input, dim) if dim is None else dim, dtype)


def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """softmax(-input)."""
    return reduce_api.softmax(-input, _dim_or_guess("softmin", input, dim) if dim is None else dim, dtype)


def _dim_or_guess(name: str, input: Tensor, dim: int | None) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=3,
    )
    return 0 if input.ndim in (0, 1, 3) else 1


# ---------------------------------------------------------------- dropout


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zeros each element with probability p and divides the others by 1 - p (Srivastava et al., 2014).

    The mask is PyTorch's: a draw `bernoulli(1 - p)` from the default generator.

    Raises:
        ValueError: p is no probability.
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")
    if not training or p == 0 or input.numel() == 0:
        return input
    mask = create.zeros_like(input) if p == 1 else create.bernoulli_mask(input, 1 - p) / (1 - p)
    return input.mul_(mask) if inplace else ops.mul(input, mask)


# ---------------------------------------------------------------- tables, norms


def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of the table `weight`, one for each index.

    Args:
        input: indices, int64 or int32.
        padding_idx: a row that gets no gradient.

    Raises:
        IndexError: an index that is no row. NotImplementedError: max_norm, scale_grad_by_freq or sparse.
    """
    if max_norm is not None or scale_grad_by_freq or sparse:
        require_plain_embedding(max_norm, scale_grad_by_freq, sparse)
    indices, num_rows = input._array, weight._array.shape[0]
    if indices.dtype.kind != "i" or indices.dtype.itemsize < 4:
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got "
            f"torch.{dtypes.LEGACY_NAMES[input.dtype.name]}Tensor instead (while checking arguments for embedding)"
        )
    if padding_idx is None:
        padding_idx = -1  # the operation's word for none
    elif -num_rows <= padding_idx < num_rows:
        padding_idx %= num_rows
    else:
        raise AssertionError("Padding_idx must be within num_embeddings")
    if indices.__class__ is np.ndarray and not define.recording and indices.size and indices.item(indices.argmin()) < 0:
        raise IndexError("index out of range in self")  # NumPy would count from the end
    try:
        return index_ops.embedding(weight, input, padding_idx=padding_idx)
    except IndexError:
        raise IndexError("index out of range in self") from None


def require_plain_embedding(max_norm: float | None, scale_grad_by_freq: bool, sparse: bool) -> None:
    """Raises NotImplementedError if an option of PyTorch's embedding is asked for that is not built."""
    asked = {"max_norm": max_norm is not None, "scale_grad_by_freq": scale_grad_by_freq, "sparse": sparse}
    names = " and ".join(name for name, is_asked in asked.items() if is_asked)
    if names:
        raise NotImplementedError(f"embedding: {names} is not built in rushlight; leave it at its default")


def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """1 at each index, 0 elsewhere, along a new last dimension; as many classes as the largest index asks for.

    Raises:
        RuntimeError: not int64, a negative index, or one that is no class.
    """
    if tensor.dtype is not dtypes.int64:
        raise RuntimeError("one_hot is only applicable to index tensor of type LongTensor.")
    values = tensor._array
    if num_classes == -1:
        if not values.size:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        num_classes = int(tensor.max()) + 1
    if not define.recording and type(values) is np.ndarray and values.size:
        if values.min() < 0:
            raise RuntimeError("Class values must be non-negative.")
        if values.max() >= num_classes:
            raise RuntimeError("Class values must be smaller than num_classes.")
    return cast(ops.eq(tensor.unsqueeze(-1), create.arange(num_classes)), dtype=np.dtype(np.int64))


def layer_norm(
    input: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:  # fmt: skip
    """(input - mean) / sqrt(variance + eps) * weight + bias over the last dimensions (Ba et al., 2016).

    Args:
        normalized_shape: the sizes of those dimensions.
        weight, bias: of that shape.

    Raises:
        RuntimeError: shapes that do not fit.
    """
    shape = tuple(normalized_shape)
    if input._array.shape[-len(shape) :] != shape or not shape:
        raise _layer_norm_fault(input, shape)
    for name, tensor in (("weight", weight), ("bias", bias)):
        if tensor is not None and tensor._array.shape != shape:
            raise RuntimeError(
                f"Expected {name} to be of same shape as normalized_shape, but got {name} of shape "
                f"{list(tensor.shape)} and normalized_shape = {list(shape)}"
            )
    scale: Any = 1.0 if weight is None else weight
    shift: Any = 0.0 if bias is None else bias
    return loss_ops.layer_norm(input, scale, shift, num_axes=len(shape), eps=eps)


def _layer_norm_fault(input: Tensor, shape: tuple[int, ...]) -> RuntimeError:
    if not shape:
        return RuntimeError(
            "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, "
            "but got normalized_shape = []"
        )
    wanted = ", ".join(str(n) for n in shape)
    return RuntimeError(
        f"Given normalized_shape={list(shape)}, expected input with shape [*, {wanted}], "
        f"but got input of size{list(input.shape)}"
    )


def normalize(input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """The input over its p-norm along `dim`, which counts as `eps` where it is less."""
    result = input / input.norm(p, dim, keepdim=True).clamp(min=eps)
    return result if out is None else out.copy_(result)
