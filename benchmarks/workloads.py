"""The training steps that are timed, each written once for any library with PyTorch's API.

A workload is a function `build(torch, size)` that makes the data and the model and returns a `Case`. Data and
initial parameters come from NumPy with a fixed seed, so every library starts from the same numbers. Everything
is float32 with fixed shapes; a step is zero_grad, forward, loss, backward and the optimizer's step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Case:
    """`step()` does one step; `value(result)` is a number that all libraries must agree on."""

    step: Callable[[], Any]
    value: Callable[[Any], float]


@dataclass(frozen=True, slots=True)
class Workload:
    """How a case is built, its sizes (in earnest, and as a toy for CI), and the work it cannot do without."""

    build: Callable[..., Case]
    size: dict[str, Any]
    toy: dict[str, Any]
    flops: Callable[[dict[str, Any]], float] | None = None
    moved: Callable[[dict[str, Any]], float] | None = None  # bytes read and written at least


# ---------------------------------------------------------------- helpers


def numbers() -> np.random.Generator:
    return np.random.default_rng(0)


def initialize(torch: Any, model: Any, scale: float | None = None) -> Any:
    """Sets the parameters, in order: uniform within 1 / sqrt(the last dimension), or within `scale`."""
    random = numbers()
    with torch.no_grad():
        for parameter in model.parameters():
            shape = tuple(parameter.shape)
            bound = scale or 1 / math.sqrt(shape[-1])
            parameter.copy_(torch.from_numpy(random.uniform(-bound, bound, shape).astype(np.float32)))
    return model


def multilayer(torch: Any, *sizes: int) -> Any:
    """Linear layers with ReLU between them."""
    layers: list[Any] = []
    for inputs, outputs in pairwise(sizes):
        layers += [torch.nn.Linear(inputs, outputs), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def images(torch: Any, batch: int, pixels: int, classes: int = 10) -> tuple[Any, Any]:
    random = numbers()
    inputs = (random.integers(0, 17, (batch, pixels)) / 16).astype(np.float32)
    return torch.from_numpy(inputs), torch.from_numpy(random.integers(0, classes, batch))


def training(optimizer: Any, loss_of: Callable[[], Any]) -> Case:
    def step() -> Any:
        optimizer.zero_grad()
        loss = loss_of()
        loss.backward()
        optimizer.step()
        return loss.detach()

    return Case(step, lambda loss: loss.item())


def multilayer_flops(batch: int, *sizes: int) -> float:
    """Forward, and backward to weights and inputs (not to the first layer's input)."""
    products = [inputs * outputs for inputs, outputs in pairwise(sizes)]
    return 2.0 * batch * (3 * sum(products) - products[0])


def adam_bytes(*sizes: int) -> float:
    """Parameters and two means, read and written once."""
    count = sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))
    return 4.0 * 6 * count


# ---------------------------------------------------------------- the workloads


def linreg(torch: Any, points: int) -> Case:
    """A straight line: nothing but overhead."""
    x = numbers().uniform(0, 1, (points, 1)).astype(np.float32)
    y = torch.from_numpy((0.7 * x + 0.3).astype(np.float32))
    x = torch.from_numpy(x)
    model = initialize(torch, torch.nn.Linear(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return training(optimizer, lambda: torch.nn.functional.l1_loss(model(x), y))


def classifier(torch: Any, sizes: tuple[int, ...], batch: int, optimizer: str, lr: float) -> Case:
    """An MLP that classifies one fixed batch of images."""
    inputs, labels = images(torch, batch, sizes[0], sizes[-1])
    model = initialize(torch, multilayer(torch, *sizes))
    method = getattr(torch.optim, optimizer)(model.parameters(), lr=lr)
    return training(method, lambda: torch.nn.functional.cross_entropy(model(inputs), labels))


def deep_chain(torch: Any, length: int) -> Case:
    """A chain of operations on 4 numbers, forward and backward: the cost of an operation."""
    x = torch.from_numpy(numbers().standard_normal(4).astype(np.float32)).requires_grad_()
    scale, shift = torch.full((4,), 1.01), torch.full((4,), 0.01)

    def step() -> Any:
        x.grad = None
        y = x
        for i in range(length):
            y = y * scale if i % 3 == 0 else y + shift if i % 3 == 1 else y.tanh()
        y.sum().backward()
        return x.grad

    return Case(step, lambda grad: grad.sum().item())


def hvp(torch: Any, sizes: tuple[int, ...], batch: int) -> Case:
    """The Hessian of an MLP's loss times a vector, by differentiating twice."""
    inputs, labels = images(torch, batch, sizes[0], sizes[-1])
    model = initialize(torch, multilayer(torch, *sizes))
    parameters = list(model.parameters())
    random = numbers()
    vectors = [torch.from_numpy(random.standard_normal(tuple(p.shape)).astype(np.float32)) for p in parameters]

    def step() -> Any:
        loss = torch.nn.functional.cross_entropy(model(inputs), labels)
        grads = torch.autograd.grad(loss, parameters, create_graph=True)
        return torch.autograd.grad(grads, parameters, grad_outputs=vectors)

    return Case(step, lambda products: sum(product.abs().sum().item() for product in products))


def vae(torch: Any, pixels: int, hidden: int, code: int, batch: int) -> Case:
    """A variational autoencoder with fresh noise at each step."""
    nn, functional = torch.nn, torch.nn.functional

    class Autoencoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Linear(pixels, hidden)
            self.mean, self.spread = nn.Linear(hidden, code), nn.Linear(hidden, code)
            self.decoder, self.output = nn.Linear(code, hidden), nn.Linear(hidden, pixels)

        def forward(self, x: Any) -> Any:
            hidden = functional.relu(self.encoder(x))
            mean, log_variance = self.mean(hidden), self.spread(hidden)
            drawn = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
            return torch.sigmoid(self.output(functional.relu(self.decoder(drawn)))), mean, log_variance

    x, _ = images(torch, batch, pixels)
    model = initialize(torch, Autoencoder())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def loss_of() -> Any:
        output, mean, log_variance = model(x)
        error = functional.binary_cross_entropy(output, x, reduction="sum")
        return error - 0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())

    return training(optimizer, loss_of)


def recsys(torch: Any, users: int, items: int, width: int, batch: int, sparse: bool = False) -> Case:
    """Embeddings of users and items, logistic loss on their products, Adagrad on dense or sparse gradients."""
    nn = torch.nn

    class Preference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.user, self.item = (nn.Embedding(rows, width, sparse=sparse) for rows in (users, items))
            self.user_bias, self.item_bias = (nn.Embedding(rows, 1, sparse=sparse) for rows in (users, items))

        def forward(self, user: Any, item: Any) -> Any:
            match = (self.user(user) * self.item(item)).sum(1)
            return match + self.user_bias(user).squeeze(1) + self.item_bias(item).squeeze(1)

    random = numbers()
    user = torch.from_numpy(random.integers(0, users, batch))
    item = torch.from_numpy(random.integers(0, items, batch))
    liked = torch.from_numpy(random.integers(0, 2, batch).astype(np.float32))
    model = initialize(torch, Preference(), scale=0.1)
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.01)
    return training(optimizer, lambda: nn.functional.binary_cross_entropy_with_logits(model(user, item), liked))


def mnist_cnn(torch: Any, side: int, widths: tuple[int, int], hidden: int, batch: int) -> Case:
    """Two convolutions, a pooling and two linear layers on images of digits."""
    nn = torch.nn
    first, second = widths
    places = (side - 4) // 2
    model = nn.Sequential(
        nn.Conv2d(1, first, 3), nn.ReLU(), nn.Conv2d(first, second, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(second * places * places, hidden), nn.ReLU(), nn.Linear(hidden, 10),
    )  # fmt: skip
    inputs, labels = images(torch, batch, side * side)
    inputs = inputs.view(batch, 1, side, side)
    optimizer = torch.optim.Adam(initialize(torch, model, scale=0.05).parameters(), lr=1e-3)
    return training(optimizer, lambda: nn.functional.cross_entropy(model(inputs), labels))


def resnet_block(torch: Any, side: int, widths: tuple[int, ...], batch: int) -> Case:
    """A small residual network with batch normalization, two blocks for each width."""
    nn, functional = torch.nn, torch.nn.functional

    def convolution(inputs: int, outputs: int, kernel: int, stride: int) -> list[Any]:
        padding = kernel // 2
        return [nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=False), nn.BatchNorm2d(outputs)]

    class Block(nn.Module):
        def __init__(self, inputs: int, outputs: int, stride: int) -> None:
            super().__init__()
            first, second = convolution(inputs, outputs, 3, stride), convolution(outputs, outputs, 3, 1)
            self.main = nn.Sequential(*first, nn.ReLU(), *second)
            self.short = nn.Sequential(*convolution(inputs, outputs, 1, stride)) if stride > 1 else nn.Identity()

        def forward(self, x: Any) -> Any:
            return functional.relu(self.main(x) + self.short(x))

    layers = [*convolution(3, widths[0], 3, 1), nn.ReLU()]
    for inputs, outputs in pairwise((widths[0], *widths)):
        layers += [Block(inputs, outputs, 1 if inputs == outputs else 2), Block(outputs, outputs, 1)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], 10))
    inputs, labels = images(torch, batch, 3 * side * side)
    inputs = inputs.view(batch, 3, side, side)
    optimizer = torch.optim.SGD(initialize(torch, model).parameters(), lr=0.01, momentum=0.9)
    return training(optimizer, lambda: functional.cross_entropy(model(inputs), labels))


def text(torch: Any, vocabulary: int, batch: int, time: int) -> tuple[Any, Any]:
    """Random characters, and those that follow them."""
    random = numbers()
    inputs, targets = (random.integers(0, vocabulary, (batch, time)) for _ in range(2))
    return torch.from_numpy(inputs), torch.from_numpy(targets.reshape(-1))


def lstm(torch: Any, vocabulary: int, width: int, hidden: int, time: int, batch: int) -> Case:
    """A character model: embedding, one LSTM layer, a linear layer at every time."""
    nn = torch.nn

    class Characters(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(vocabulary, width)
            self.rnn = nn.LSTM(width, hidden, batch_first=True)
            self.output = nn.Linear(hidden, vocabulary)

        def forward(self, x: Any) -> Any:
            return self.output(self.rnn(self.embedding(x))[0]).view(-1, vocabulary)

    model = initialize(torch, Characters())
    inputs, targets = text(torch, vocabulary, batch, time)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    return training(optimizer, lambda: nn.functional.cross_entropy(model(inputs), targets))


def char_gpt(torch: Any, vocabulary: int, width: int, heads: int, depth: int, time: int, batch: int) -> Case:
    """A small transformer decoder on characters, pre-norm, with exact GELU."""
    nn, functional = torch.nn, torch.nn.functional

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            parts = self.qkv(self.norm1(x)).split(width, 2)
            q, k, v = (part.view(*x.shape[:2], heads, width // heads).transpose(1, 2) for part in parts)
            mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.output(mixed.transpose(1, 2).reshape(x.shape))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(time, width)
            self.blocks = nn.Sequential(*[Block() for _ in range(depth)])
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

        def forward(self, x: Any) -> Any:
            x = self.token(x) + self.place(torch.arange(time))
            return self.head(self.norm(self.blocks(x))).view(-1, vocabulary)

    model = initialize(torch, Transformer(), scale=0.05)
    inputs, targets = text(torch, vocabulary, batch, time)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=0.01)
    return training(optimizer, lambda: functional.cross_entropy(model(inputs), targets))


def digits(optimizer: str, lr: float) -> Workload:
    size = {"sizes": (64, 64, 10), "batch": 64, "optimizer": optimizer, "lr": lr}
    return Workload(classifier, size, size)


def vae_flops(size: dict[str, Any]) -> float:
    pixels, hidden, code, batch = size["pixels"], size["hidden"], size["code"], size["batch"]
    products = pixels * hidden + 2 * hidden * code + code * hidden + hidden * pixels
    return 2.0 * batch * (3 * products - pixels * hidden)


def vae_bytes(size: dict[str, Any]) -> float:
    pixels, hidden, code = size["pixels"], size["hidden"], size["code"]
    return adam_bytes(pixels, hidden) + 2 * adam_bytes(hidden, code) + adam_bytes(code, hidden, pixels)


MNIST = {"sizes": (784, 512, 512, 10), "batch": 128, "optimizer": "Adam", "lr": 1e-3}
VAE = {"pixels": 784, "hidden": 400, "code": 20, "batch": 128}

WORKLOADS = {
    "linreg": Workload(linreg, {"points": 40}, {"points": 40}),
    "digits_sgd": digits("SGD", 0.1),
    "digits_adagrad": digits("Adagrad", 0.01),
    "digits_adam": digits("Adam", 1e-3),
    "mnist_mlp": Workload(
        classifier, MNIST, MNIST | {"sizes": (784, 32, 10), "batch": 16},
        flops=lambda size: multilayer_flops(size["batch"], *size["sizes"]),
        moved=lambda size: adam_bytes(*size["sizes"]),
    ),
    "deep_chain": Workload(deep_chain, {"length": 1000}, {"length": 30}),
    "hvp": Workload(hvp, {"sizes": (64, 64, 10), "batch": 64}, {"sizes": (64, 16, 10), "batch": 8}),
    "vae": Workload(vae, VAE, {"pixels": 64, "hidden": 32, "code": 4, "batch": 16}, flops=vae_flops, moved=vae_bytes),
    "mnist_cnn": Workload(
        mnist_cnn, {"side": 28, "widths": (32, 64), "hidden": 128, "batch": 64},
        {"side": 12, "widths": (4, 8), "hidden": 16, "batch": 8},
    ),
    "resnet_block": Workload(
        resnet_block, {"side": 32, "widths": (32, 64, 128), "batch": 32}, {"side": 8, "widths": (4, 8), "batch": 4},
    ),
    "lstm": Workload(
        lstm, {"vocabulary": 65, "width": 128, "hidden": 256, "time": 64, "batch": 32},
        {"vocabulary": 13, "width": 8, "hidden": 16, "time": 6, "batch": 4},
    ),
    "char_gpt": Workload(
        char_gpt, {"vocabulary": 65, "width": 128, "heads": 4, "depth": 4, "time": 64, "batch": 12},
        {"vocabulary": 13, "width": 16, "heads": 2, "depth": 2, "time": 8, "batch": 2},
    ),
    "recsys_adagrad": Workload(
        recsys, {"users": 100_000, "items": 50_000, "width": 64, "batch": 1024},
        {"users": 1000, "items": 500, "width": 8, "batch": 64},
    ),
}  # fmt: skip
