"""A variational autoencoder of handwritten digits: it puts each on a plane, and draws new ones from any place on it.

    python examples/vae.py

Prints how well digits it has never seen are described (nats each), and draws the plane, and digits from all over it.
"""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F
from rushlight.utils.data import DataLoader, TensorDataset

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from tqdm import tqdm


class VAE(nn.Module):
    """An image to a normal distribution on a plane, and a point of the plane back to an image."""

    def __init__(self, pixels=64, hidden=256, latent=2):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, pixels)
        )

    def encode(self, images):
        hidden = self.encoder(images)
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, images):
        mean, log_variance = self.encode(images)
        place = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        return self.decoder(place), mean, log_variance


def loss_of(model, images):
    """The evidence's lower bound, negative, in nats an image: how unlike the drawing is, and how unlike a standard normal."""
    drawn, mean, log_variance = model(images)
    unlike = F.binary_cross_entropy_with_logits(drawn, images, reduction="sum")
    divergence = -0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp())
    return (unlike + divergence) / len(images)


def train(model, images, options):
    """Trains the model; returns the loss of every step, at most `options.steps`."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def step(batch):
        optimizer.zero_grad()
        loss = loss_of(model, batch)
        loss.backward()
        optimizer.step()
        return loss.detach()

    if options.compile:
        step = torch.compile(step)
    loader = DataLoader(TensorDataset(images), batch_size=64, shuffle=True, drop_last=True)
    losses, device = [], next(model.parameters()).device
    progress = tqdm(range(options.epochs), desc="training", unit="epoch")
    for _ in progress:
        for (batch,) in loader:
            losses.append(step(batch.to(device)).item())
            if len(losses) == options.steps:
                return losses
        progress.set_postfix(loss=f"{losses[-1]:.2f}")
    return losses


def plot(model, images, labels, path, across=15):
    """Where the digits are on the plane, and what is drawn from the places of a grid."""
    with torch.no_grad():
        places = model.encode(images)[0]
        line = torch.linspace(-2, 2, across, device=images.device)
        grid = torch.stack(torch.meshgrid(line.flip(0), line, indexing="ij"), dim=-1).flip(-1).reshape(-1, 2)
        drawn = torch.sigmoid(model.decoder(grid)).reshape(across, across, 8, 8)
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 5), layout="constrained")
    points = left.scatter(*places.T.cpu().numpy(), c=labels.numpy(), cmap="tab10", s=8)
    left.set(title="digits on the plane", xlim=(-4, 4), ylim=(-4, 4))
    figure.colorbar(points, ax=left, ticks=range(10))
    right.imshow(drawn.permute(0, 2, 1, 3).reshape(across * 8, across * 8).cpu().numpy(), cmap="gray_r")
    right.set_title("digits drawn from it")
    right.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Train a variational autoencoder on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="run operation by operation")
    parser.add_argument("--plot", type=Path, default=Path("out/vae.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    digits = load_digits()
    order = torch.randperm(len(digits.images))
    images = torch.tensor(digits.images / 16, dtype=torch.float32).flatten(1)[order]  # (1797, 64)
    labels = torch.tensor(digits.target)[order]
    model = VAE().to(options.device)
    losses = train(model, images[:-360], options)
    with torch.no_grad():
        bound = torch.stack([loss_of(model, images[-360:].to(options.device)) for _ in range(20)]).mean().item()
    plot(model, images.to(options.device), labels, options.plot)
    print(f"unseen digits take {bound:.2f} nats each ({options.plot} shows the plane)")
    return losses, bound


if __name__ == "__main__":
    main()
