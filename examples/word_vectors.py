"""Word vectors by skip-grams with negative samples (Mikolov et al. 2013), from the help pages that come with Python.

    python examples/word_vectors.py
    python examples/word_vectors.py --data tinyshakespeare.txt

Prints how often a word that was really near is told from a random one, and the nearest words of some; draws the commonest.
"""

import rushlight as torch
from rushlight import nn
from rushlight.nn import functional as F

import argparse
import pydoc_data.topics
import re
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
from tqdm import tqdm

WINDOW, NEGATIVES = 4, 5


class SkipGram(nn.Module):
    """Two vectors a word, for when it is in the middle and when it is near: their product says whether two belong together."""

    def __init__(self, num_words, size):
        super().__init__()
        self.middle, self.near = nn.Embedding(num_words, size), nn.Embedding(num_words, size)
        nn.init.uniform_(self.middle.weight, -0.5 / size, 0.5 / size)
        nn.init.zeros_(self.near.weight)

    def forward(self, middle, others):
        """Scores of shape (batch, others)."""
        return (self.near(others) @ self.middle(middle).unsqueeze(2)).squeeze(2)


def load_text(path, at_least=5):
    """The text as numbers of words, the words, and how often each occurs."""
    text = path.read_text() if path else "\n".join(pydoc_data.topics.topics.values())
    text = re.findall(r"[a-z]+(?:'[a-z]+)?", text.lower())
    counts = Counter(text)
    words = [word for word, count in counts.most_common() if count >= at_least]
    numbers = {word: number for number, word in enumerate(words)}
    kept = torch.tensor([numbers[word] for word in text if word in numbers])
    return kept, words, torch.tensor([counts[word] for word in words], dtype=torch.float32)


def pairs_of(text, counts):
    """All pairs (middle, near), where very common words are often left out."""
    share = counts / counts.sum()
    text = text[torch.rand(len(text)) < (1e-3 / share[text]).sqrt()]
    near = [torch.stack([text[:-gap], text[gap:]], 1) for gap in range(1, WINDOW + 1)]
    return torch.cat([pairs for gap in near for pairs in (gap, gap.flip(1))])


def train(model, text, counts, options):
    """Trains the model; returns the loss of every step, at most `options.steps`."""
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
    noise = counts**0.75

    def step(middle, others):
        optimizer.zero_grad()
        scores = model(middle, others)
        loss = -(F.logsigmoid(scores[:, 0]).mean() + F.logsigmoid(-scores[:, 1:]).sum(1).mean())
        loss.backward()
        optimizer.step()
        return loss.detach()

    if options.compile:
        step = torch.compile(step)
    losses, device = [], model.middle.weight.device
    progress = tqdm(range(options.epochs), desc="training", unit="epoch")
    for _ in progress:
        pairs = pairs_of(text, counts)
        pairs = pairs[torch.randperm(len(pairs))][: len(pairs) // options.batch * options.batch]
        random = torch.multinomial(noise, NEGATIVES * len(pairs), replacement=True).reshape(-1, NEGATIVES)
        for batch, negative in zip(pairs.split(options.batch), random.split(options.batch), strict=True):
            others = torch.cat([batch[:, 1:], negative], 1)
            losses.append(step(batch[:, 0].to(device), others.to(device)).item())
            if len(losses) == options.steps:
                return losses
        progress.set_postfix(loss=f"{losses[-1]:.3f}")
    return losses


@torch.no_grad()
def accuracy_on(model, text, counts):
    """How often the score of a real pair of held-out text is above that of a random one."""
    pairs = pairs_of(text, counts)
    random = torch.multinomial(counts, len(pairs), replacement=True)
    device = model.middle.weight.device
    scores = model(pairs[:, 0].to(device), torch.stack([pairs[:, 1], random], 1).to(device))
    return (scores[:, 0] > scores[:, 1]).float().mean().item()


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Learn word vectors from a text.")
    parser.add_argument("--data", type=Path, help="a text file; default: Python's help pages")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--size", type=int, default=48, help="how long the vectors are")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="run operation by operation")
    parser.add_argument("--plot", type=Path, default=Path("out/word_vectors.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    text, words, counts = load_text(options.data)
    stretches = text[: len(text) // 50 * 50].view(-1, 50)  # one in twenty is held out
    order = torch.randperm(len(stretches))
    cut = len(stretches) // 20
    model = SkipGram(len(words), options.size).to(options.device)
    losses = train(model, stretches[order[cut:].sort().values].flatten(), counts, options)
    accuracy = accuracy_on(model, stretches[order[:cut]].flatten(), counts)

    vectors = F.normalize(model.middle.weight.detach(), dim=1)
    for number in range(20, min(len(words), 120), 12):
        nearest = (vectors @ vectors[number]).topk(6).indices.tolist()[1:]
        print(f"{words[number]}: {', '.join(words[i] for i in nearest)}")
    shown = vectors[:150]
    _, _, directions = torch.linalg.svd(shown - shown.mean(0), full_matrices=False)
    places = (shown @ directions[:2].T).cpu().numpy()
    figure, axes = plt.subplots(figsize=(10, 8), layout="constrained")
    axes.scatter(*places.T, s=2)
    for word, place in zip(words, places, strict=False):
        axes.annotate(word, place, fontsize=7)
    axes.set_title(f"the {len(places)} commonest words")
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.plot, dpi=120)
    plt.close(figure)
    print(f"near words told from random ones in {accuracy:.1%} of held-out pairs ({options.plot} shows the words)")
    return losses, accuracy


if __name__ == "__main__":
    main()
