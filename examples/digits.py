"""Reading handwritten digits: the 1,797 real ones that scikit-learn ships, and a small network.

    python examples/digits.py
    python examples/digits.py --optimizer sgd --epochs 20 --compile

Prints the accuracy on digits the network has never seen, and draws the loss and the digits it misreads.
"""

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from tqdm import tqdm

LEARNING_RATES = {"sgd": 0.1, "adagrad": 0.02, "adam": 0.003}


class DigitReader(nn.Module):
    """An image of 8 x 8 pixels in, a score for each of the ten digits out."""

    def __init__(self, hidden):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),  # (batch, 64)
            nn.Linear(64, hidden),  # (batch, hidden)
            nn.ReLU(),
            nn.Linear(hidden, 10),  # (batch, 10)
        )

    def forward(self, images):
        return self.layers(images)


def load_data(num_test=360):
    """The digits in random order, the last ones set apart for the test."""
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32) / 16  # (1797, 8, 8), from 0 to 1
    labels = torch.tensor(digits.target)
    order = torch.randperm(len(images))
    train, test = order[:-num_test], order[-num_test:]
    return TensorDataset(images[train], labels[train]), TensorDataset(images[test], labels[test])


def make_optimizer(name, model, lr):
    if name == "sgd":
        return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    if name == "adagrad":
        return torch.optim.Adagrad(model.parameters(), lr=lr)
    return torch.optim.Adam(model.parameters(), lr=lr)


def train(model, optimizer, data, epochs, batch_size=64, compiled=False, limit=None):
    """Trains the model and returns the loss of every step; at most `limit` steps."""
    loss_function = nn.CrossEntropyLoss()
    device = next(model.parameters()).device

    def step(images, labels):
        optimizer.zero_grad()
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.detach()

    if compiled:
        step = torch.compile(step)
    loader = DataLoader(data, batch_size=batch_size, shuffle=True, drop_last=True)
    losses = []
    model.train()
    progress = tqdm(range(epochs), desc="training", unit="epoch")
    for _ in progress:
        for images, labels in loader:
            losses.append(step(images.to(device), labels.to(device)).item())
            if len(losses) == limit:
                return losses
        progress.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def predict(model, data):
    """What the model reads in each image."""
    model.eval()
    device = next(model.parameters()).device
    with torch.inference_mode():
        batches = DataLoader(data, batch_size=256)
        return torch.cat([model(images.to(device)).argmax(dim=1).cpu() for images, _ in batches])


def plot(losses, data, predictions, path):
    """One PNG: the loss during training, and digits that were misread."""
    images, labels = data.tensors
    wrong = (predictions != labels).nonzero().flatten().tolist()[:8]
    figure = plt.figure(figsize=(10, 6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[2, 1])
    axes = top.subplots()
    axes.plot(losses, linewidth=0.8)
    axes.set(title="training", xlabel="step", ylabel="cross entropy", yscale="log")
    bottom.suptitle("misread test digits")
    for axes, i in zip(bottom.subplots(1, 8), wrong + [None] * (8 - len(wrong)), strict=True):
        axes.axis("off")
        if i is not None:
            axes.imshow(images[i].numpy(), cmap="gray_r")
            axes.set_title(f"{labels[i].item()} read as {predictions[i].item()}", fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Train a small network to read handwritten digits.")
    parser.add_argument("--optimizer", choices=sorted(LEARNING_RATES), default="adam")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--lr", type=float, help="learning rate; the default depends on the optimizer")
    parser.add_argument("--hidden", type=int, default=512, help="units of the hidden layer")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--compile", action="store_true", help="make each training step one compiled program")
    parser.add_argument("--losses", type=int, metavar="N", help="only train N steps and print the loss of each")
    parser.add_argument("--plot", type=Path, default=Path("out/digits.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    train_data, test_data = load_data()
    model = DigitReader(options.hidden).to(options.device)
    optimizer = make_optimizer(options.optimizer, model, options.lr or LEARNING_RATES[options.optimizer])
    losses = train(model, optimizer, train_data, options.epochs, compiled=options.compile, limit=options.losses)
    if options.losses is not None:
        for loss in losses:
            print(f"{loss:.9g}")
        return

    predictions = predict(model, test_data)
    accuracy = (predictions == test_data.tensors[1]).float().mean().item()
    plot(losses, test_data, predictions, options.plot)
    print(f"test accuracy {accuracy:.2%} on {len(test_data)} digits ({options.plot} shows what was misread)")


if __name__ == "__main__":
    main()
