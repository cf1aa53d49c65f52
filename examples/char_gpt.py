"""A small GPT that learns to write, character by character. The text: the help pages that come with Python.

    python examples/char_gpt.py
    python examples/char_gpt.py --data tinyshakespeare.txt

Prints the loss on text it has never seen and a page of its own, and draws both losses.
"""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F

import argparse
import math
import pydoc_data.topics
from pathlib import Path

import matplotlib.pyplot as plt
from tqdm import tqdm


class Block(nn.Module):
    """Attention to what came before, then a network for each place by itself; both are added to what goes through."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width, bias=False)
        self.project = nn.Linear(width, width, bias=False)
        self.network = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        batch, time, width = x.shape
        parts = self.query_key_value(self.norm1(x)).view(batch, time, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)  # (batch, heads, time, width / heads) each
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.project(mixed.transpose(1, 2).reshape(batch, time, width))
        return x + self.network(self.norm2(x))


class GPT(nn.Module):
    """Characters in, a score for each possible next character out, at every place."""

    def __init__(self, num_characters, context, width=96, heads=4, layers=3):
        super().__init__()
        self.context = context
        self.characters, self.places = nn.Embedding(num_characters, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.scores = nn.Linear(width, num_characters, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / math.sqrt(layers) if "project" in name else 0.02)

    def forward(self, text):
        x = self.characters(text) + self.places(torch.arange(text.shape[1], device=text.device))  # (batch, time, width)
        return self.scores(self.norm(self.blocks(x)))  # (batch, time, characters)

    @torch.no_grad()
    def write(self, text, count, temperature=0.8):
        """Goes on with a text of shape (1, time)."""
        for _ in range(count):
            scores = self(text[:, -self.context :])[:, -1] / temperature
            text = torch.cat([text, torch.multinomial(scores.softmax(-1), 1)], dim=1)
        return text[0].tolist()


def pieces(text, context, count):
    """`count` pieces of the text from random places, and the same moved on by one: what comes next."""
    starts = torch.randint(len(text) - context, (count, 1))
    at = (starts + torch.arange(context)).to(text.device)
    return text[at], text[at + 1]


def train(model, text, held_out, options):
    """Trains the model; returns the loss of every step, and those on held-out text as (step, loss)."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, betas=(0.9, 0.95), weight_decay=0.1)

    def step(inputs, targets):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    if options.compile:
        step = torch.compile(step)
    losses, seen = [], []
    progress = tqdm(range(options.steps), desc="training", unit="step")
    for number in progress:
        warm, done = min(1.0, (number + 1) / 100), number / options.steps
        optimizer.param_groups[0]["lr"] = options.lr * warm * (0.55 + 0.45 * math.cos(math.pi * done))
        losses.append(step(*pieces(text, model.context, options.batch)).item())
        if (number + 1) % 200 == 0 or number + 1 == options.steps:
            with torch.no_grad():
                inputs, targets = pieces(held_out, model.context, 100)
                seen.append((number, F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten()).item()))
            progress.set_postfix(loss=f"{losses[-1]:.3f}", held_out=f"{seen[-1][1]:.3f}")
    return losses, seen


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Train a small GPT on the characters of a text.")
    parser.add_argument("--data", type=Path, help="a text file; default: Python's help pages")
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--context", type=int, default=64, help="how many characters it sees")
    parser.add_argument("--length", type=int, default=400, help="how many characters it writes")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="run operation by operation")
    parser.add_argument("--plot", type=Path, default=Path("out/char_gpt.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    text = options.data.read_text() if options.data else "\n".join(pydoc_data.topics.topics.values())
    characters = sorted(set(text))
    numbers = torch.tensor([characters.index(character) for character in text]).to(options.device)
    cut = int(0.9 * len(numbers))
    model = GPT(len(characters), options.context).to(options.device)
    losses, seen = train(model, numbers[:cut], numbers[cut:], options)

    figure, axes = plt.subplots(layout="constrained")
    axes.plot(losses, linewidth=0.5, label="training")
    axes.plot(*zip(*seen, strict=True), "o-", label="held out")
    axes.set(title=f"a GPT on {len(text):,} characters", xlabel="step", ylabel="cross entropy, nats a character")
    axes.legend()
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.plot, dpi=120)
    plt.close(figure)
    print("".join(characters[i] for i in model.write(numbers[cut : cut + 1].unsqueeze(0), options.length)))
    print(
        f"held-out loss {seen[-1][1]:.3f} nats a character after {options.steps} steps ({options.plot} shows the way)"
    )
    return losses, seen[-1][1]


if __name__ == "__main__":
    main()
