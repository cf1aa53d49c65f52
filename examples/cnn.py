"""A convolutional network that reads handwritten digits: scikit-learn's 1,797, or MNIST's own files.

    python examples/cnn.py
    python examples/cnn.py --data folder-with-mnist    # *-images-idx3-ubyte(.gz) and *-labels-idx1-ubyte(.gz)

Prints the accuracy on digits the network has never seen, and draws what its first layer looks for and what it misreads.
"""

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset, random_split

import argparse
import gzip
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm


def read_idx(path):
    """An array in MNIST's format: the number of dimensions in byte 3, the sizes, the bytes."""
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = np.frombuffer(data, ">i4", data[3], offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(shape)


def load_data(folder):
    """Images of shape (count, 1, side, side) from 0 to 1, and labels."""
    if folder is None:
        digits = load_digits()
        images, labels = digits.images / 16, digits.target
    else:
        files = sorted(folder.glob("*-images-idx3-ubyte*"))
        images = np.concatenate([read_idx(file) for file in files]) / 255
        labels = np.concatenate([read_idx(next(folder.glob(file.name.split("-")[0] + "-labels-*"))) for file in files])
    return TensorDataset(
        torch.tensor(images, dtype=torch.float32).unsqueeze(1), torch.tensor(labels, dtype=torch.int64)
    )


class Reader(nn.Module):
    """Three convolutions, the picture halved after each but the first; the last layer reads the average of what is left."""

    def __init__(self, channels=16):
        super().__init__()
        self.first = nn.Conv2d(1, channels, 3, padding=1, bias=False)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 2 * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.MaxPool2d(2),  # (batch, 32, side / 2, side / 2)
            nn.Conv2d(2 * channels, 4 * channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(4 * channels),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),  # (batch, 64, 2, 2)
            nn.Flatten(),
            nn.Dropout(0.3),
            nn.Linear(16 * channels, 10),
        )

    def forward(self, images):
        return self.layers(self.first(images))


def moved(images):
    """Each batch moved by up to a pixel, so that the place of a digit does not matter."""
    rows, columns = torch.randint(-1, 2, (2,)).tolist()
    return images.roll((rows, columns), dims=(2, 3))


def train(model, data, options):
    """Trains the model; returns the loss of every step, at most `options.steps`."""
    loader = DataLoader(data, batch_size=options.batch, shuffle=True, drop_last=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    total, device = len(loader) * options.epochs, next(model.parameters()).device
    losses = []
    progress = tqdm(range(options.epochs), desc="training", unit="epoch")
    for _ in progress:
        model.train()
        for images, labels in loader:
            optimizer.param_groups[0]["lr"] = 2e-3 * (1 - len(losses) / total)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(moved(images.to(device))), labels.to(device))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            if len(losses) == options.steps:
                return losses
        progress.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def plot(model, images, labels, predictions, path):
    wrong = (predictions != labels).nonzero().flatten().tolist()[:8]
    filters = model.first.weight.detach()[:8, 0]
    figure, axes = plt.subplots(2, 8, figsize=(10, 3), layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    for axis, kernel in zip(axes[0], filters, strict=True):
        axis.imshow(kernel.cpu().numpy(), cmap="RdBu")
    for axis, i in zip(axes[1], wrong, strict=False):
        axis.imshow(images[i, 0].numpy(), cmap="gray_r")
        axis.set_title(f"{labels[i].item()} read as {predictions[i].item()}", fontsize=8)
    figure.suptitle("what the first layer looks for; digits that were misread")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Train a convolutional network to read handwritten digits.")
    parser.add_argument("--data", type=Path, help="a folder with MNIST's files; default: scikit-learn's digits")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--plot", type=Path, default=Path("out/cnn.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    data = load_data(options.data)
    training, test = random_split(data, [0.8, 0.2])
    model = Reader().to(options.device)
    losses = train(model, training, options)

    model.eval()
    images, labels = data.tensors[0][test.indices], data.tensors[1][test.indices]
    with torch.inference_mode():
        predictions = torch.cat([model(part.to(options.device)).argmax(dim=1).cpu() for part in images.split(500)])
    accuracy = (predictions == labels).float().mean().item()
    plot(model, images, labels, predictions, options.plot)
    print(f"test accuracy {accuracy:.2%} on {len(labels)} digits ({options.plot} shows what was misread)")
    return losses, accuracy


if __name__ == "__main__":
    main()
