"""Modules, losses, initialization and their helpers on GPUs give what they give on the CPU, and stay there."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import rushlight as torch
from rushlight import nn
from rushlight.arrays import kinds
from rushlight.nn import functional as F

several = pytest.mark.skipif(
    kinds.gpu().cupy.cuda.runtime.getDeviceCount() < 2, reason="needs two GPUs (the stand-in has two)"
)

MODULES: dict[str, tuple[Any, tuple[int, ...]]] = {
    "mlp": (lambda: nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.GELU(), nn.Linear(4, 2)), (5, 3)),
    "cnn": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()), (2, 2, 8, 8)),
    "lstm": (lambda: nn.LSTM(3, 4, bidirectional=True), (5, 2, 3)),
    "gru cell": (lambda: nn.GRUCell(3, 4), (2, 3)),
    "encoder": (lambda: nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0), (4, 2, 8)),
    "local response": (lambda: nn.LocalResponseNorm(3), (2, 5, 3)),
    "padding": (lambda: nn.ZeroPad2d(1), (1, 2, 3, 3)),
    "spectral norm": (lambda: nn.utils.parametrizations.spectral_norm(nn.Linear(3, 4)), (2, 3)),
    "orthogonal": (lambda: nn.utils.parametrizations.orthogonal(nn.Linear(3, 3)), (2, 3)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), (2, 3)),
    "bilinear upsampling": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 2, 3, 3)),
}


def first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


@pytest.mark.parametrize("name", MODULES)
def test_as_on_the_cpu(name: str) -> None:
    make, shape = MODULES[name]
    torch.manual_seed(0)
    module, x = make().double(), torch.randn(shape, dtype=torch.float64)
    there = copy.deepcopy(module).cuda()
    assert all(tensor.is_cuda for tensor in there.state_dict().values())
    found = []
    for m, y in ((module, x.clone()), (there, x.cuda())):
        y.requires_grad_()
        out = first(m(y))
        out.square().sum().backward()
        found.append([out, y.grad, *[p.grad for p in m.parameters()]])
    for expected, got in zip(*found, strict=True):
        assert got.is_cuda
        np.testing.assert_allclose(got.detach().cpu().numpy(), expected.detach().numpy(), rtol=1e-9, atol=1e-10)
    assert all(tensor.is_cuda for tensor in there.state_dict().values())


LOSSES = {
    "cross_entropy": lambda x, classes: F.cross_entropy(x, classes, weight=x.new_ones(4), label_smoothing=0.1),
    "multi_margin": lambda x, classes: F.multi_margin_loss(x, classes),
    "multilabel_margin": lambda x, classes: F.multilabel_margin_loss(x[:1], x.new_tensor([[1, 2, -1, 0]]).long()),
    "ctc": lambda x, classes: F.ctc_loss(
        x.reshape(3, 1, 4).log_softmax(2), classes[None, :2] + 1, torch.tensor([3]), torch.tensor([2])
    ),
    "one_hot": lambda x, classes: (F.one_hot(classes, 4) * x).sum(),
    "embedding_bag": lambda x, classes: F.embedding_bag(classes, x, classes.new_tensor([0, 2]), mode="max").sum(),
    "pdist": lambda x, classes: F.pdist(x).sum(),
    "grid_sample": lambda x, classes: F.grid_sample(
        x[None, None], F.affine_grid(x[:2, :3][None], (1, 1, 3, 3), align_corners=False), align_corners=False
    ).sum(),
    "nll": lambda x, classes: F.nll_loss(x.log_softmax(1), classes, ignore_index=1),
    "gaussian": lambda x, classes: F.gaussian_nll_loss(x, x.flip(0), x.abs()),
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name: str) -> None:
    x, classes = torch.randn(3, 4, dtype=torch.float64), torch.tensor([0, 1, 2])
    there = x.cuda().requires_grad_()
    got = LOSSES[name](there, classes.cuda())
    got.backward()
    here = x.requires_grad_()
    expected = LOSSES[name](here, classes)
    expected.backward()
    assert got.is_cuda and there.grad.is_cuda
    np.testing.assert_allclose(got.item(), expected.item(), rtol=1e-9)
    np.testing.assert_allclose(there.grad.cpu().numpy(), here.grad.numpy(), rtol=1e-9, atol=1e-12)


def test_initial_values() -> None:
    for name in ("uniform_", "normal_", "xavier_uniform_", "kaiming_normal_", "ones_", "zeros_", "eye_"):
        assert getattr(nn.init, name)(torch.empty(3, 4, device="cuda")).is_cuda
    cut = nn.init.trunc_normal_(torch.empty(200, device="cuda"), std=2.0, a=-1.0, b=1.5)
    assert cut.is_cuda and cut.min() >= -1 and cut.max() <= 1.5 and cut.std() > 0.4
    far = nn.init.trunc_normal_(torch.empty(50, device="cuda"), a=2.0, b=3.0)
    assert far.min() >= 2 and far.max() <= 3
    q = nn.init.orthogonal_(torch.empty(3, 5, device="cuda", dtype=torch.float64), gain=2.0)
    np.testing.assert_allclose((q @ q.T).cpu().numpy(), 4 * np.eye(3), atol=1e-12)
    assert (nn.init.sparse_(torch.empty(10, 4, device="cuda"), 0.3) == 0).sum() == 12
    assert nn.init.dirac_(torch.empty(2, 2, 3, device="cuda")).sum() == 2


def test_to_empty_and_devices_of_constructors() -> None:
    module = nn.Linear(3, 4, device="meta").to_empty(device="cuda")
    assert module.weight.is_cuda and isinstance(module.weight, nn.Parameter)
    for made in (nn.Linear(2, 3, device="cuda"), nn.BatchNorm1d(2, device="cuda"), nn.LSTM(2, 3, device="cuda")):
        assert all(tensor.is_cuda for tensor in made.state_dict().values())
    assert nn.Linear(2, 3).cuda().cpu().weight.is_cpu
    here = nn.Linear(2, 3)
    here.load_state_dict(nn.Linear(2, 3, device="cuda").state_dict())
    assert here.weight.is_cpu
    here.load_state_dict(nn.Linear(2, 3, device="cuda").state_dict(), assign=True)
    assert here.weight.is_cuda
    for again in (copy.deepcopy(here), pickle.loads(pickle.dumps(here))):
        assert again.weight.is_cuda and torch.equal(again.weight, here.weight)


def test_packed_sequences() -> None:
    x, lengths = torch.randn(3, 5, 2), torch.tensor([3, 5, 1])
    pack, pad = nn.utils.rnn.pack_padded_sequence, nn.utils.rnn.pad_packed_sequence
    expected = pack(x, lengths, batch_first=True, enforce_sorted=False)
    packed = pack(x.cuda(), lengths, batch_first=True, enforce_sorted=False)
    assert packed.data.is_cuda and packed.batch_sizes.is_cpu and packed.sorted_indices.is_cuda
    assert torch.equal(packed.data.cpu(), expected.data) and torch.equal(packed.cpu().data, expected.data)
    padded, counts = pad(packed, batch_first=True)
    assert padded.is_cuda and counts.is_cpu and counts.tolist() == [3, 5, 1]
    assert torch.equal(padded.cpu(), pad(expected, batch_first=True)[0])
    with pytest.raises(RuntimeError, match="'lengths' argument should be a 1D CPU int64 tensor, but got 1D cuda:0"):
        pack(x.cuda(), lengths.cuda(), batch_first=True, enforce_sorted=False)


def test_vectors_of_parameters_and_clipping() -> None:
    module = nn.Linear(3, 2).cuda()
    vector = nn.utils.parameters_to_vector(module.parameters())
    assert vector.is_cuda and vector.shape == (8,)
    nn.utils.vector_to_parameters(torch.ones(8, device="cuda"), module.parameters())
    assert module.weight.sum() == 6
    module(torch.ones(1, 3, device="cuda")).sum().backward()
    norm = nn.utils.clip_grad_norm_(module.parameters(), 1.0)
    assert norm.is_cuda and abs(norm.item() - 8**0.5) < 1e-6
    assert abs(torch.cat([p.grad.flatten() for p in module.parameters()]).norm().item() - 1) < 1e-5


def test_pruning() -> None:
    prune = __import__("rushlight.nn.utils.prune", fromlist=["prune"])
    module = nn.Linear(4, 5).cuda()
    for method in (prune.l1_unstructured, prune.random_unstructured):
        method(module, "weight", 3)
    prune.random_structured(module, "weight", 1, dim=0)
    prune.ln_structured(module, "weight", 1, n=2, dim=0)
    assert module.weight.is_cuda and module(torch.ones(1, 4, device="cuda")).is_cuda


@several
def test_data_parallel() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double().cuda()
    x = torch.randn(7, 3, dtype=torch.float64)
    parallel = nn.DataParallel(module)
    assert len(parallel.device_ids) > 1 and next(iter(parallel.state_dict())) == "module.0.weight"
    out = parallel(x)  # inputs may be anywhere
    assert out.device == torch.device("cuda:0")
    out.square().sum().backward()
    found = [p.grad.clone() for p in module.parameters()]
    module.zero_grad()
    expected = module(x.cuda())
    expected.square().sum().backward()
    assert torch.allclose(out, expected)
    assert all(torch.allclose(p.grad, g) for p, g in zip(module.parameters(), found, strict=True))
    with pytest.raises(
        RuntimeError, match=r"on device cuda:0 \(device_ids\[0\]\) but found one of them on device: cpu"
    ):
        nn.DataParallel(nn.Linear(2, 2))(torch.ones(2, 2))
    one = nn.DataParallel(nn.Linear(2, 2), device_ids=[1])
    assert one(torch.ones(3, 2)).device.index == 1
