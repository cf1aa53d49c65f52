"""Bad input: PyTorch's exception type, and the same leading words where they help."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pytest
import torch as pytorch

import rushlight
import rushlight.nn

Case = tuple[str, Callable[[Any, Any], Any], str]  # name, call(torch, x) for x of ones (2, 3), words of the message


def _within(torch: Any, block: str, call: Callable[[], Any]) -> None:
    """Calls in a block in which operations take their long path."""
    arguments = {"amp.autocast": ("cpu",), "autograd.graph.saved_tensors_hooks": (lambda x: x, lambda x: x)}
    with operator.attrgetter(block)(torch)(*arguments.get(block, ())):
        call()


CASES: list[Case] = [
    ("shapes that do not broadcast", lambda t, x: x + t.ones(2), "The size of tensor a (3) must match the size of tensor b (2) at non-singleton dimension 1"),
    ("shapes of maximum", lambda t, x: t.maximum(x, t.ones(4)), "The size of tensor a (3) must match the size of tensor b (4)"),
    ("where", lambda t, x: t.where(x > 0, x, t.ones(2)), "must match"),
    ("in-place result too large", lambda t, x: t.ones(3).add_(x), "output with shape [3] doesn't match the broadcast shape [2, 3]"),
    ("in-place result of another kind", lambda t, x: x.long().add_(1.5), "result type Float can't be cast to the desired output type"),
    ("in-place division of integers", lambda t, x: x.long().div_(2), "result type Float can't be cast to the desired output type"),
    ("addition of a string", lambda t, x: x + "1", "unsupported operand type(s) for +"),
    ("torch.add of a list", lambda t, x: t.add(x, [1]), "add(): argument 'other' (position 2) must be Tensor, not list"),
    ("torch.exp of a number", lambda t, x: t.exp(1.0), "must be Tensor, not float"),
    ("subtraction of booleans", lambda t, x: (x > 0) - (x > 0), "Subtraction, the `-` operator, with two bool tensors is not supported"),
    ("subtraction of a boolean", lambda t, x: x - (x > 0), "Subtraction, the `-` operator, with a bool tensor is not supported"),
    ("negation of booleans", lambda t, x: -(x > 0), ""),
    ("bitwise_and of floats", lambda t, x: x & x, "not implemented for 'Float'"),
    ("unsigned and signed", lambda t, x: t.ones(1, dtype=t.uint16) + t.ones(1, dtype=t.int32), ""),
    ("clamp without limits", lambda t, x: x.clamp(), "At least one of 'min' or 'max' must not be None"),
    ("division mode", lambda t, x: t.div(x, x, rounding_mode="up"), "div expected rounding_mode to be one of None, 'trunc', or 'floor'"),
    ("integer alpha", lambda t, x: t.add(x.long(), x.long(), alpha=0.5), "For integral input tensors, argument alpha must not be a floating point number"),
    ("integers to negative powers", lambda t, x: x.long() ** -1, "Integers to negative integer powers are not allowed"),
    ("matmul sizes", lambda t, x: x @ t.ones(2, 4), "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x4)"),
    ("matmul of vectors", lambda t, x: t.ones(2) @ t.ones(3), "inconsistent tensor size"),
    ("matmul matrix vector", lambda t, x: x @ t.ones(2), "size mismatch, got input (2), mat (2x3), vec (2)"),
    ("matmul dtypes", lambda t, x: x @ t.ones(3, 2).double(), "expected m1 and m2 to have the same dtype"),
    ("matmul of 0-dim", lambda t, x: t.matmul(x, t.tensor(1.0)), "both arguments to matmul need to be at least 1D"),
    ("mm of 3-dim", lambda t, x: t.mm(t.ones(1, 2, 3), x), ""),
    ("bmm of 2-dim", lambda t, x: t.bmm(x, x), "batch1 must be a 3D tensor"),
    ("dot of matrices", lambda t, x: t.dot(x, x), "1D tensors expected"),
    ("linear features", lambda t, x: t.nn.functional.linear(x, t.ones(4, 2)), "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x4)"),
    ("dimension out of range", lambda t, x: x.sum(2), "Dimension out of range (expected to be in range of [-2, 1], but got 2)"),
    ("dimension of a scalar", lambda t, x: t.tensor(1.0).sum(1), "Dimension out of range (expected to be in range of [-1, 0], but got 1)"),
    ("dimension twice", lambda t, x: x.sum((0, 0)), "dim 0 appears multiple times in the list of dims"),
    ("mean of integers", lambda t, x: x.long().mean(), "mean(): could not infer output dtype"),
    ("max of nothing", lambda t, x: t.ones(0).max(), "max(): Expected reduction dim to be specified for input.numel() == 0"),
    ("argmax of nothing", lambda t, x: t.ones(0).argmax(), "argmax(): Expected reduction dim to be specified for input.numel() == 0"),
    ("max along an empty dimension", lambda t, x: t.ones(2, 0).max(1), "Expected reduction dim 1 to have non-zero size"),
    ("amax along an empty dimension", lambda t, x: t.ones(2, 0).amax(1), "Expected reduction dim 1 to have non-zero size"),
    ("softmax of integers", lambda t, x: t.softmax(x.long(), 1), "not implemented for 'Long'"),
    ("topk", lambda t, x: x.topk(5), "selected index k out of range"),
    ("reshape", lambda t, x: x.reshape(4, 2), "shape '[4, 2]' is invalid for input of size 6"),
    ("reshape with two unknowns", lambda t, x: x.reshape(-1, -1), "only one dimension can be inferred"),
    ("reshape of nothing", lambda t, x: t.ones(0).reshape(-1, 0), "cannot reshape tensor of 0 elements into shape [-1, 0]"),
    ("reshape to negative", lambda t, x: x.reshape(-2, 3), "invalid shape dimension -2"),
    ("view that needs a copy", lambda t, x: x.t().view(6), "view size is not compatible with input tensor's size and stride"),
    ("reshape to a float", lambda t, x: x.reshape(2.0, 3), "reshape()"),
    ("permute length", lambda t, x: x.permute(0), "number of dimensions in the tensor input does not match"),
    ("permute twice", lambda t, x: x.permute(0, 0), "duplicate dims are not allowed"),
    ("transpose out of range", lambda t, x: x.transpose(0, 2), "Dimension out of range"),
    ("t of 3-dim", lambda t, x: t.ones(1, 2, 3).t(), "t() expects a tensor with <= 2 dimensions, but self is 3D"),
    ("expand", lambda t, x: x.expand(4, 3), "The expanded size of the tensor (4) must match the existing size (2) at non-singleton dimension 0"),
    ("expand to fewer", lambda t, x: x.expand(3), "the number of sizes provided (1) must be greater or equal to the number of dimensions in the tensor (2)"),
    ("expand a new dimension by -1", lambda t, x: x.expand(-1, 2, 3), "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension 0"),
    ("broadcast_tensors", lambda t, x: t.broadcast_tensors(x, t.ones(2)), "The size of tensor a (3) must match the size of tensor b (2)"),
    ("squeeze out of range", lambda t, x: x.squeeze(2), "Dimension out of range"),
    ("unsqueeze out of range", lambda t, x: x.unsqueeze(4), "Dimension out of range (expected to be in range of [-3, 2], but got 4)"),
    ("select", lambda t, x: x.select(0, 2), "select(): index 2 out of range for tensor of size [2, 3] at dimension 0"),
    ("select of a scalar", lambda t, x: t.tensor(1.0).select(0, 0), "select() cannot be applied to a 0-dim tensor"),
    ("narrow", lambda t, x: x.narrow(1, 2, 2), "start (2) + length (2) exceeds dimension size (3)"),
    ("split sizes", lambda t, x: x.split([1, 3]), "split_with_sizes expects split_sizes to sum exactly to 2"),
    ("chunk", lambda t, x: x.chunk(0), "chunk expects `chunks` to be greater than 0, got: 0"),
    ("cat of nothing", lambda t, x: t.cat([]), "expected a non-empty list of Tensors"),
    ("cat of other sizes", lambda t, x: t.cat([x, t.ones(2, 2)]), "Sizes of tensors must match except in dimension 0. Expected size 3 but got size 2 for tensor number 1 in the list"),
    ("cat of other dimensions", lambda t, x: t.cat([x, t.ones(3)]), "Tensors must have same number of dimensions: got 2 and 1"),
    ("cat of scalars", lambda t, x: t.cat([t.tensor(1.0)]), "zero-dimensional tensor (at position 0) cannot be concatenated"),
    ("cat of numbers", lambda t, x: t.cat([1, 2]), "expected Tensor as element 0 in argument 0, but got int"),
    ("stack of other sizes", lambda t, x: t.stack([x, t.ones(3)]), "stack expects each tensor to be equal size, but got [2, 3] at entry 0 and [3] at entry 1"),
    ("triu of a vector", lambda t, x: t.triu(t.ones(3)), ""),
    ("repeat too short", lambda t, x: x.repeat(2), "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor"),
    ("index out of bounds", lambda t, x: x[2], "index 2 is out of bounds for dimension 0 with size 2"),
    ("too many indices", lambda t, x: x[0, 0, 0], "too many indices for tensor of dimension 2"),
    ("index of a scalar", lambda t, x: t.tensor(1.0)[0], "invalid index of a 0-dim tensor"),
    ("float index", lambda t, x: x[t.ones(2)], "tensors used as indices must be long, int, byte or bool tensors"),
    ("string index", lambda t, x: x["a"], ""),
    ("more memory than there is", lambda t, x: t.empty(2**60), "can't allocate memory: you tried to allocate"),
    ("a size beyond any memory", lambda t, x: t.zeros(2**40, 2**40), "Storage size calculation overflowed with sizes="),
    ("zero step", lambda t, x: x[::0], "slice step cannot be zero"),
    ("index array out of bounds", lambda t, x: x[t.tensor([3])], "index 3 is out of bounds for dimension 0 with size 2"),
    ("mask of another shape", lambda t, x: x[t.tensor([True])], "The shape of the mask [1] at index 0 does not match the shape of the indexed tensor [2, 3] at index 0"),
    ("index arrays that do not broadcast", lambda t, x: x[t.tensor([0, 1]), t.tensor([0, 1, 2])], "shape mismatch: indexing tensors could not be broadcast together"),
    ("setitem shapes", lambda t, x: x.__setitem__(0, t.ones(2)), "The expanded size of the tensor (3) must match the existing size (2)"),
    ("setitem out of bounds", lambda t, x: x.__setitem__(5, 1.0), "index 5 is out of bounds for dimension 0 with size 2"),
    ("gather dimensions", lambda t, x: x.gather(0, t.tensor([0])), "Index tensor must have the same number of dimensions as input tensor"),
    ("gather out of bounds", lambda t, x: x.gather(0, t.tensor([[7]])), "index 7 is out of bounds for dimension 0 with size 2"),
    ("gather with floats", lambda t, x: x.gather(0, x), "gather(): Expected dtype int"),
    ("index_select out of range", lambda t, x: x.index_select(0, t.tensor([5])), "index out of range in self"),
    ("masked_fill", lambda t, x: x.masked_fill(x.long(), 0), "masked_fill_ only supports boolean masks, but got mask with dtype"),
    ("scatter dtype", lambda t, x: x.scatter(0, t.tensor([[0]]), t.ones(1, 1).double()), "scatter(): Expected self.dtype to be equal to src.dtype"),
    ("one_hot of floats", lambda t, x: t.nn.functional.one_hot(x), "one_hot is only applicable to index tensor of type LongTensor"),
    ("one_hot too few", lambda t, x: t.nn.functional.one_hot(t.tensor([3]), 2), "Class values must be smaller than num_classes"),
    ("embedding out of range", lambda t, x: t.nn.functional.embedding(t.tensor([9]), x), "index out of range in self"),
    ("index_put out of bounds", lambda t, x: x.index_put((t.tensor([2]),), t.ones(3)), "index 2 is out of bounds for dimension 0 with size 2"),
    ("sorter out of range", lambda t, x: t.searchsorted(x, x, sorter=t.tensor([[0, 1, 2], [0, -1, 2]])), "torch.searchsorted(): sorter index out of range"),
    ("pivots of lu_unpack", lambda t, x: t.lu_unpack(x[:, :2], t.tensor([0, 2], dtype=t.int32)), "pivots passed to lu_unpack must be between 1 and LU.size(-2) inclusive."),
    ("pivots of lu_solve", lambda t, x: t.linalg.lu_solve(x[:, :2], t.tensor([1, 3], dtype=t.int32), x), "Pivots given to lu_solve must all be smaller or equal to LU.size(-2). Did"),
    *[
        (f"{name} within {block}", lambda t, x, call=call, block=block: _within(t, block, lambda: call(t, x)), words)
        for block in ("amp.autocast", "autograd.detect_anomaly", "autograd.graph.saved_tensors_hooks")
        for name, call, words in (
            ("gather", lambda t, x: x.gather(0, t.tensor([[-1]])), "index -1 is out of bounds for dimension 0 with size 2"),
            ("embedding", lambda t, x: t.nn.functional.embedding(t.tensor([-1]), x), "index out of range in self"),
            ("cross_entropy", lambda t, x: t.nn.functional.cross_entropy(x, t.tensor([0, -1])), "Target -1 is out of bounds."),
        )
    ],
    ("item of several", lambda t, x: x.item(), "a Tensor with 6 elements cannot be converted to Scalar"),
    ("truth of several", lambda t, x: bool(x), "Boolean value of Tensor with more than one value is ambiguous"),
    ("truth of none", lambda t, x: bool(t.ones(0)), "Boolean value of Tensor with no values is ambiguous"),
    ("length of a scalar", lambda t, x: len(t.tensor(1.0)), "len() of a 0-d tensor"),
    ("iteration over a scalar", lambda t, x: list(t.tensor(1.0)), "iteration over a 0-d tensor"),
    ("ragged lists", lambda t, x: t.tensor([[1, 2], [3]]), "expected sequence of length 2 at dim 1 (got 1)"),
    ("tensor of strings", lambda t, x: t.tensor(["a"]), ""),
    ("from_numpy of a list", lambda t, x: t.from_numpy([1.0]), "expected np.ndarray (got list)"),
    ("negative size", lambda t, x: t.zeros(-1), ""),
    ("negative size of empty", lambda t, x: t.empty(-1), "Trying to create tensor with negative dimension -1: [-1]"),
    ("data that are no sequence", lambda t, x: t.tensor([[1], 2]), "not a sequence"),
    ("deeply ragged lists", lambda t, x: t.tensor([[[1], [2]], [[1]]]), "expected sequence of length 2 at dim 1 (got 1)"),
    ("tensor of None", lambda t, x: t.tensor([None]), "Could not infer dtype of NoneType"),
    ("tensor of a string", lambda t, x: t.tensor("a"), "new(): invalid data type 'str'"),
    ("stack of nothing", lambda t, x: t.stack([]), "stack expects a non-empty TensorList"),
    ("amax of nothing", lambda t, x: t.ones(0).amax(), "amax(): Expected reduction dim to be specified for input.numel() == 0"),
    ("size of floats", lambda t, x: t.zeros(1.5), ""),
    ("arange step", lambda t, x: t.arange(0, 5, 0), "step must be nonzero"),
    ("arange direction", lambda t, x: t.arange(0, 5, -1), "upper bound and lower bound inconsistent with step sign"),
    ("dtype that is none", lambda t, x: x.to("nonsense"), ""),
    ("device that is none", lambda t, x: t.zeros(2, device="quantum"), "Expected one of cpu"),
    ("bytes between dtypes", lambda t, x: x.view(t.float64), "self.size(-1) must be divisible by 2 to view"),
    ("isclose dtypes", lambda t, x: t.isclose(x, x.double()), "Float did not match Double"),
    ("type of normal's std", lambda t, x: t.normal(0.0, -1.0, (2,)), "normal expects std >= 0.0, but found std -1"),
    ("copy_ shapes", lambda t, x: x.copy_(t.ones(4)), "The size of tensor a (3) must match the size of tensor b (4)"),
    ("in-place on expanded memory", lambda t, x: t.ones(1).expand(3).add_(1), "unsupported operation: more than one element of the written-to tensor refers to a single memory location"),
    ("manual gradient of the wrong type", lambda t, x: setattr(x, "grad", 1.0), "assigned grad expected to be a Tensor or None but got grad of type float"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("call", "words"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_errors(call: Callable[[Any, Any], Any], words: str) -> None:
    found = []
    for torch in (pytorch, rushlight):
        with pytest.raises(Exception) as caught:
            call(torch, torch.ones(2, 3))
        found.append(caught.value)
    theirs, mine = found
    assert words in str(theirs), f"PyTorch says: {theirs}"
    wanted = next(t for t in type(theirs).__mro__ if t.__module__ == "builtins")
    wanted = RuntimeError if wanted is NotImplementedError else wanted
    assert isinstance(mine, wanted), f"{type(mine).__name__}: {mine}; PyTorch: {type(theirs).__name__}: {theirs}"
    assert words in str(mine), str(mine)
