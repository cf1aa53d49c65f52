"""A softmax over very many classes, of which few are frequent (Grave et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from rushlight.nn import functional as F
from rushlight.nn.module import Module
from rushlight.nn.modules.container import ModuleList, Sequential
from rushlight.nn.modules.linear import Linear
from rushlight.ops.create import empty, zeros
from rushlight.tensor import Tensor


class _ASMoutput(NamedTuple):
    output: Tensor
    loss: Tensor


class AdaptiveLogSoftmaxWithLoss(Module):
    """Logarithms of the probabilities of target classes, and their mean loss, without computing those of all classes.

    The head has the frequent classes and one entry for each cluster of the others; a cluster's own classes are computed for the
    samples that are in it, from fewer features the rarer they are.

    Args:
        in_features, n_classes: of the input; classes are numbered from the most frequent to the rarest.
        cutoffs: where the clusters begin.
        div_value: cluster i has in_features / div_value ** (i + 1) features.
        head_bias: whether the head has a bias.

    Shape:
        input (batch, in_features) and target (batch), or (in_features) and (); output as target, loss ().

    Example:
        >>> import rushlight as torch
        >>> softmax = torch.nn.AdaptiveLogSoftmaxWithLoss(8, 100, cutoffs=[10, 50])
        >>> output, loss = softmax(torch.zeros(3, 8), torch.tensor([1, 20, 99]))
        >>> output.shape, softmax.log_prob(torch.zeros(3, 8)).shape
        (torch.Size([3]), torch.Size([3, 100]))
    """

    def __init__(
        self, in_features: int, n_classes: int, cutoffs: Sequence[int], div_value: float = 4.0,
        head_bias: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        cutoffs = list(cutoffs)
        _check_cutoffs(cutoffs, n_classes)
        self.in_features = in_features
        self.n_classes = n_classes
        self.cutoffs = [*cutoffs, n_classes]
        self.div_value = div_value
        self.head_bias = head_bias
        self.shortlist_size = self.cutoffs[0]
        self.n_clusters = len(cutoffs)
        self.head_size = self.shortlist_size + self.n_clusters
        options = {"device": device, "dtype": dtype}
        self.head = Linear(in_features, self.head_size, bias=head_bias, **options)
        self.tail = ModuleList()
        for number, (low, high) in enumerate(pairwise(self.cutoffs)):
            width = int(in_features // div_value ** (number + 1))
            into, out = ((in_features, width), (width, high - low))
            self.tail.append(Sequential(*[Linear(*sizes, bias=False, **options) for sizes in (into, out)]))

    def reset_parameters(self) -> None:
        """Those of all linear layers."""
        self.head.reset_parameters()
        for cluster in self.tail:
            for layer in cluster:
                layer.reset_parameters()

    def forward(self, input_: Tensor, target_: Tensor) -> _ASMoutput:
        _check_shapes(input_, target_)
        is_batched = target_.ndim > 0
        input: Any = input_ if is_batched else input_.unsqueeze(0)
        target: Any = target_ if is_batched else target_.unsqueeze(0)
        in_cluster = zeros(target.shape, dtype=input.dtype, device=input.device)
        in_head, num_found = target.clone(), 0
        for number, (low, high) in enumerate(pairwise([0, *self.cutoffs])):
            rows = ((target >= low) & (target < high)).nonzero().squeeze(1)
            num_found += rows.numel()
            if number == 0 or rows.numel() == 0:
                continue
            log_probs = F.log_softmax(self.tail[number - 1](input.index_select(0, rows)), dim=1)
            own = (target.index_select(0, rows) - low).unsqueeze(1)
            in_cluster = in_cluster.index_copy(0, rows, log_probs.gather(1, own).squeeze(1))
            in_head.index_fill_(0, rows, self.shortlist_size + number - 1)
        if num_found != target.shape[0]:
            raise RuntimeError(
                f"Target values should be in [0, {self.n_classes - 1}], but values in range [{target.min().item()}, "
                f"{target.max().item()}] were found. "
            )
        output = in_cluster + self._head_log_prob(input).gather(1, in_head.unsqueeze(1)).squeeze(1)
        loss = (-output).mean()
        return _ASMoutput(output if is_batched else output.squeeze(0), loss)

    def _head_log_prob(self, input: Tensor) -> Tensor:
        return F.log_softmax(self.head(input), dim=1)

    def log_prob(self, input: Tensor) -> Tensor:
        """The logarithms of the probabilities of all classes, (batch, n_classes)."""
        head = self._head_log_prob(input)
        out = empty((head.shape[0], self.n_classes), dtype=head.dtype, device=head.device)
        out[:, : self.shortlist_size] = head[:, : self.shortlist_size]
        for number, (low, high) in enumerate(pairwise(self.cutoffs)):
            of_cluster = head[:, self.shortlist_size + number].unsqueeze(1)
            out[:, low:high] = F.log_softmax(self.tail[number](input), dim=1) + of_cluster
        return out

    def predict(self, input: Tensor) -> Tensor:
        """The most probable class of each sample. Clusters are computed for those samples only whose head points to one."""
        found = self.head(input).argmax(dim=1)
        rare = found >= self.shortlist_size
        if rare.any():
            found[rare] = self.log_prob(input[rare]).argmax(dim=1)
        return found


def _check_cutoffs(cutoffs: list[int], n_classes: int) -> None:
    if not cutoffs:
        raise ValueError("cutoffs should be a sequence of length larger than 0")
    is_increasing = all(low < high for low, high in pairwise([0, *cutoffs, n_classes]))
    if not is_increasing or any(int(cutoff) != cutoff for cutoff in cutoffs):
        raise ValueError(
            "cutoffs should be a sequence of unique, positive integers sorted in an increasing order, where each value "
            "is between 1 and n_classes-1"
        )


def _check_shapes(input: Tensor, target: Tensor) -> None:
    if target.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if target.ndim == 1 and input.shape[0] != target.shape[0]:
        raise RuntimeError("Input and target should have the same size in the batch dimension.")
    if input.ndim != target.ndim + 1:
        raise RuntimeError(
            f"{target.ndim}D target tensor expects {target.ndim + 1}D input tensors, but found inputs with size "
            f"{input.shape}"
        )
