"""Sparse COO tensors: what they are made of, print, and compute."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import rushlight

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")
INDICES, VALUES = [[0, 2, 0]], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def both(function):
    return function(rushlight), function(torch)


@pytest.mark.parametrize(
    "make",
    [
        lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)),
        lambda t: t.sparse_coo_tensor(INDICES, VALUES),
        lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)).coalesce(),
        lambda t: t.sparse_coo_tensor([[0, 1], [2, 0]], [1, 2], (2, 3)),
        lambda t: t.sparse_coo_tensor([[1]], [2.0], (3,), dtype=t.float64),
        lambda t: t.sparse_coo_tensor((3, 2)),
        lambda t: t.tensor([[0.0, 1.0], [0.0, 0.0]]).to_sparse(),
        lambda t: t.tensor([[0.0, 1.0], [0.0, 0.0]]).to_sparse(1),
        lambda t: -t.sparse_coo_tensor(INDICES, VALUES, (4, 2)),
        lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)) * 2 / 4,
        lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)) + t.sparse_coo_tensor([[1]], [[1.0, 1.0]], (4, 2)),
        lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)).double(),
        lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)).clone().mul_(t.tensor(3.0)),
    ],
)
def test_made_as_pytorchs(make):
    mine, theirs = both(make)
    assert mine.shape == theirs.shape and str(mine.dtype) == str(theirs.dtype)
    assert (mine.sparse_dim(), mine.dense_dim(), mine.is_sparse) == (theirs.sparse_dim(), theirs.dense_dim(), True)
    assert mine.to_dense().tolist() == theirs.to_dense().tolist()
    assert repr(mine.coalesce()) == repr(theirs.coalesce())


def test_into_dense_tensors():
    def run(t):
        x = t.sparse_coo_tensor(INDICES, VALUES, (4, 2))
        d = t.ones(4, 2)
        d -= 0.5 * x
        d.add_(x, alpha=2)
        return (d.tolist(), (d + x).tolist(), d.sparse_mask(x.coalesce()).to_dense().tolist())

    assert run(rushlight) == run(torch)


def test_only_rows_are_written():
    """The rest of a table is read-only here, in effect: its pages would be touched otherwise."""
    table = rushlight.full((4, 2), float("nan"))
    table += rushlight.sparse_coo_tensor([[1]], [[1.0, 1.0]], (4, 2))
    assert np.isnan(table.numpy()).all()  # NaN + 1
    table[1] = 0.0
    table += rushlight.sparse_coo_tensor([[1, 1]], [[1.0, 1.0], [2.0, 2.0]], (4, 2))
    assert table[1].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda t: t.sparse_coo_tensor([[0]], [1.0], (3, 3)), r"len\(size\) == sparse_dim \+ dense_dim"),
        (lambda t: t.sparse_coo_tensor([[0, 1]], [1.0, 2.0, 3.0], (7,)), "same nnz"),
        (
            lambda t: t.sparse_coo_tensor(INDICES, VALUES, (4, 2)).indices(),
            "Cannot get indices on an uncoalesced tensor",
        ),
        (lambda t: t.ones(2).coalesce(), "expected sparse coordinate tensor layout but got Strided"),
    ],
)
def test_errors_as_pytorchs(function, message):
    for library in (rushlight, torch):
        with pytest.raises(RuntimeError, match=message):
            function(library)


def test_what_has_no_sparse_form_says_so():
    x = rushlight.sparse_coo_tensor(INDICES, VALUES, (4, 2))
    with pytest.raises(NotImplementedError, match="SparseCPU"):
        x.exp()
    with pytest.raises(TypeError, match=r"Use Tensor\.to_dense"):
        x.numpy()
    with pytest.raises(RuntimeError, match="size is inconsistent with indices"):
        rushlight.sparse_coo_tensor([[5]], [1.0], (3,))


def test_copies():
    x = rushlight.sparse_coo_tensor(INDICES, VALUES, (4, 2))
    again = pickle.loads(pickle.dumps(x))
    assert again.is_sparse and again.to_dense().tolist() == x.to_dense().tolist()
    x.zero_()
    assert x._nnz() == 0 and again._nnz() == 3
