"""Trees of tensors: what PyTorch's `torch.utils._pytree` does with the same ones."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from typing import Any

import pytest
import torch.utils._pytree as theirs

from rushlight.utils import _pytree as ours

Point = namedtuple("Point", "x y")
TREES: list[Any] = [
    1, None, (), [], {}, (1, 2), [1, [2, (3,)]], {"b": 1, "a": [2]}, OrderedDict(b=1, a=2), Point(1, [2, {"k": 3}]), ((),),
]  # fmt: skip


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_apart_and_together(tree: Any) -> None:
    leaves, spec = ours.tree_flatten(tree)
    assert leaves == theirs.tree_flatten(tree)[0]
    assert spec.num_leaves == len(leaves)
    again = ours.tree_unflatten(leaves, spec)
    assert again == tree
    assert type(again) is type(tree)
    assert ours.tree_structure(again) == spec
    assert ours.tree_map(str, tree) == theirs.tree_map(str, tree)


def test_maps() -> None:
    assert ours.tree_map(lambda a, b: a + b, (1, [2]), (10, [20])) == (11, [22])
    assert ours.tree_map_only(int, lambda x: -x, [1, "a", 2]) == [-1, "a", -2]
    assert ours.tree_any(lambda x: x > 2, [1, 3])
    assert not ours.tree_all(lambda x: x > 2, [1, 3])
    assert ours.tree_leaves([(1, 2), 3], is_leaf=lambda x: isinstance(x, tuple)) == [(1, 2), 3]


@pytest.mark.parametrize("prefix, tree, expected", [
    (0, (1, [2, 3]), [0, 0, 0]), ((0, None), (1, [2, 3]), [0, None, None]), ((0, [1, 2]), (1, [2, 3]), [0, 1, 2]),
    ((0,), (1, 2), None), ({"a": 5}, {"a": [1, 2]}, [5, 5]), ((0, 1), 7, None),
])  # fmt: skip
def test_prefixes(prefix: Any, tree: Any, expected: Any) -> None:
    spec = ours.tree_structure(tree)
    assert ours.broadcast_prefix(prefix, spec) == expected
    their_spec = theirs.tree_flatten(tree)[1]
    assert theirs._broadcast_to_and_flatten(prefix, their_spec) == expected


def test_wrong_number_of_leaves() -> None:
    with pytest.raises(ValueError, match="has length 1 but the spec refers to a pytree that holds 2 items"):
        ours.tree_unflatten([1], ours.tree_structure((1, 2)))
