"""An LSTM that goes on with a recording: the voltage across a nerve cell's membrane, which comes with matplotlib.

    python examples/lstm.py

It sees the past and foretells the next sample, half a millisecond on. Prints how much better than "as before" that is on the
part it has never seen, and draws what it foretells.
"""

import rushlight as torch
from rushlight import nn

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import cbook
from tqdm import tqdm


class Forecaster(nn.Module):
    """The next sample is the last one and what the LSTM says of the change."""

    def __init__(self, channels, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(channels, hidden, batch_first=True)
        self.change = nn.Linear(hidden, channels)

    def forward(self, samples, state=None):
        hidden, state = self.lstm(samples, state)  # (batch, time, hidden)
        return samples + self.change(hidden), state


def load_recording():
    """The recording, (time, 1), in units of its own spread."""
    with cbook.get_sample_data("membrane.dat") as file:
        samples = np.frombuffer(file.read(), np.float32)
    return torch.tensor((samples - samples.mean()) / samples.std()).unsqueeze(1)


def train(model, samples, options, length=80, batch=32):
    """Trains on pieces from random places; returns the loss of every step."""
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

    def step(pieces):
        optimizer.zero_grad()
        foretold, _ = model(pieces[:, :-1])
        loss = nn.functional.mse_loss(foretold, pieces[:, 1:])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    losses = []
    progress = tqdm(range(options.steps), desc="training", unit="step")
    for number in progress:
        optimizer.param_groups[0]["lr"] = 3e-3 * (1 - number / options.steps)
        starts = torch.randint(len(samples) - length, (batch, 1))
        places = (starts + torch.arange(length)).to(samples.device)
        losses.append(step(samples[places]).item())
        if number % 20 == 0:
            progress.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Foretell a recording with an LSTM.")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--plot", type=Path, default=Path("out/lstm.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    samples = load_recording().to(options.device)
    cut = int(0.8 * len(samples))
    model = Forecaster(samples.shape[1]).to(options.device)
    losses = train(model, samples[:cut], options)

    with torch.no_grad():
        foretold = model(samples[None, :-1])[0][0, cut - 1 :]
    truth, before = samples[cut:], samples[cut - 1 : -1]
    error, naive = ((guess - truth).pow(2).mean().item() for guess in (foretold, before))
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    axes.plot(truth[:400, 0].cpu().numpy(), linewidth=0.8, label="recorded")
    axes.plot(foretold[:400, 0].cpu().numpy(), linewidth=0.8, label="foretold, one sample ahead")
    axes.set(title="a nerve cell", xlabel="sample", ylabel="voltage, in units of its spread")
    axes.legend()
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.plot, dpi=120)
    plt.close(figure)
    better = 1 - error / naive
    print(f"error {error:.4f}, that of 'as before' {naive:.4f}: {better:.1%} less ({options.plot} shows both)")
    return losses, better


if __name__ == "__main__":
    main()
