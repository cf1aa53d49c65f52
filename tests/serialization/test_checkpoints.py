"""Checkpoints of whole trainings, PyTorch's and ours: loaded bit for bit by the other, and training goes on the same."""

import io

import numpy as np
import pytest

import rushlight
import rushlight.nn
from rushlight.serialization import load, save

torch = pytest.importorskip("torch")
LIBRARIES = {"rushlight": rushlight, "torch": torch}


def resnet_like(t):
    nn = t.nn

    class Block(nn.Module):
        def __init__(self, channels):
            super().__init__()
            self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(channels)
            self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(channels)

        def forward(self, x):
            return nn.functional.relu(self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())) + x)

    return nn.Sequential(
        nn.Conv2d(3, 8, 3), Block(8), nn.MaxPool2d(2), Block(8), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)
    )


def gpt_like(t):
    nn = t.nn

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens = nn.Embedding(11, 16)
            self.blocks = nn.ModuleList(nn.TransformerEncoderLayer(16, 2, 32, 0.0, batch_first=True) for _ in range(2))
            self.head = nn.Linear(16, 11, bias=False)
            self.head.weight = self.tokens.weight  # shared
            self.register_buffer("mask", t.ones(6, 6).tril())

        def forward(self, x):
            h = self.tokens(x)
            for block in self.blocks:
                h = block(h)
            return self.head(h)

    return GPT()


INPUTS = {
    "resnet": (resnet_like, lambda t: t.randn(4, 3, 12, 12), 5),
    "gpt": (gpt_like, lambda t: t.arange(24).reshape(4, 6) % 11, 11),
}
OPTIMIZERS = {
    "SGD": dict(lr=0.1, momentum=0.9),
    "Adam": dict(lr=0.01),
    "AdamW": dict(lr=0.01, amsgrad=True),
    "Adagrad": dict(lr=0.01),
}


def training(t, kind, optimizer):
    """A model, its optimizer, and a function that trains a step and gives the loss."""
    make, inputs, num_classes = INPUTS[kind]
    t.manual_seed(1)
    model = make(t)
    x = inputs(t)
    labels = t.arange(x.shape[0] * (x.shape[1] if kind == "gpt" else 1)) % num_classes
    optimizer = getattr(t.optim, optimizer)(model.parameters(), **OPTIMIZERS[optimizer])

    def step():
        optimizer.zero_grad()
        loss = t.nn.functional.cross_entropy(model(x).reshape(-1, num_classes), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return model, optimizer, step


def flat(value, path=()):
    """All that is in nested containers, by path; tensors as (dtype, shape, bytes)."""
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flat(item, (*path, key)).items()}
    if isinstance(value, (list, tuple)):
        return {k: v for i, item in enumerate(value) for k, v in flat(item, (*path, i)).items()}
    if isinstance(value, rushlight.Tensor):
        return {path: (str(value.dtype), tuple(value.shape), value.detach().numpy().tobytes())}
    if isinstance(value, torch.Tensor):
        raw = value.detach().contiguous()
        data = raw.view(torch.int16).numpy() if raw.dtype == torch.bfloat16 else raw.numpy()
        return {path: (str(value.dtype), tuple(value.shape), data.tobytes())}
    return {path: value}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("direction", ["torch to rushlight", "rushlight to torch"])
def test_training_goes_on_from_the_others_checkpoint(kind, optimizer, direction):
    writer, reader = (LIBRARIES[name] for name in direction.split(" to "))
    model, state, step = training(writer, kind, optimizer)
    for _ in range(3):
        step()
    checkpoint = {"model": model.state_dict(), "optimizer": state.state_dict(), "config": {"steps": 3, "kind": kind}}
    file = io.BytesIO()
    writer.save(checkpoint, file)
    file.seek(0)
    loaded = reader.load(file)
    assert flat(loaded) == flat(checkpoint)
    losses = [step() for _ in range(3)]

    model, state, step = training(reader, kind, optimizer)
    assert str(model.load_state_dict(loaded["model"])) == "<All keys matched successfully>"
    state.load_state_dict(loaded["optimizer"])
    assert [step() for _ in range(3)] == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("direction", ["torch to rushlight", "rushlight to torch"])
def test_half_shared_and_viewed(direction):
    writer, reader = (LIBRARIES[name] for name in direction.split(" to "))
    model = gpt_like(writer)
    half = {name: value.to(writer.bfloat16) for name, value in resnet_like(writer).state_dict().items()}
    weight = writer.arange(12.0).reshape(3, 4)
    content = {"tied": model.state_dict(), "half": half, "views": [weight, weight[1], weight.t()], "z": weight + 2j}
    file = io.BytesIO()
    writer.save(content, file)
    file.seek(0)
    loaded = reader.load(file)
    assert flat(loaded) == flat(content)
    tied = loaded["tied"]
    assert tied["tokens.weight"].data_ptr() == tied["head.weight"].data_ptr()
    loaded["views"][0].zero_()
    assert loaded["views"][1].abs().sum().item() == 0


# ---------------------------------------------------------------- whole models


def test_a_whole_model_is_refused_until_its_classes_are_safe():
    model = rushlight.nn.Sequential(rushlight.nn.Linear(2, 3), rushlight.nn.ReLU())
    file = io.BytesIO()
    save(model, file)
    file.seek(0)
    with pytest.raises(Exception, match=r"GLOBAL rushlight.nn.modules.container.Sequential was not an allowed global"):
        load(file)
    classes = [type(model), rushlight.nn.Linear, rushlight.nn.ReLU]
    file.seek(0)
    with rushlight.serialization.safe_globals(classes):
        assert rushlight.serialization.get_safe_globals() == classes
        again = load(file)
    assert rushlight.serialization.get_safe_globals() == []
    x = rushlight.randn(4, 2)
    assert again(x).equal(model(x))
    assert repr(again) == repr(model)
    again(x).sum().backward()
    assert again[0].weight.grad is not None and model[0].weight.grad is None
    np.testing.assert_array_equal(again.state_dict()["0.weight"], model.state_dict()["0.weight"])


def test_pytorchs_whole_models_are_refused_by_name():
    file = io.BytesIO()
    torch.save(torch.nn.Linear(1, 1), file)
    file.seek(0)
    with pytest.raises(Exception, match=r"GLOBAL torch.nn.modules.linear.Linear was not .*state_dict\(\) with PyTorch"):
        load(file)
