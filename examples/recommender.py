"""A recommender by matrix factorization, trained with Adagrad: which words does a page want?

    python examples/recommender.py

What users and films are elsewhere, here are the 79 help pages that come with Python and the words in them; a rating is the
logarithm of how often a word occurs. A tenth of all ratings is hidden. Prints how well they are foretold, and what is
recommended to some pages; draws the foretold ratings against the true ones.
"""

import rushlight as torch
from rushlight import nn
from rushlight.utils.data import DataLoader, TensorDataset

import argparse
import pydoc_data.topics
import re
from collections import Counter
from pathlib import Path

import matplotlib.pyplot as plt
from tqdm import tqdm


def load_ratings(at_least=8):
    """Names of pages, words, and a rating for every page and word: an array of (page, word), and the ratings."""
    pages = {name: Counter(re.findall(r"[a-z]{3,}", text.lower())) for name, text in pydoc_data.topics.topics.items()}
    total = sum(pages.values(), Counter())
    words = [word for word, count in total.most_common() if count >= at_least]
    pairs = [(page, word) for page in range(len(pages)) for word in range(len(words))]
    counts = [list(pages.values())[page][words[word]] for page, word in pairs]
    return list(pages), words, torch.tensor(pairs), torch.tensor(counts, dtype=torch.float32).log1p()


class Factors(nn.Module):
    """A rating is the product of a page's vector and a word's, and what each adds by itself."""

    def __init__(self, num_pages, num_words, size):
        super().__init__()
        self.pages, self.words = nn.Embedding(num_pages, size), nn.Embedding(num_words, size)
        self.page_bias, self.word_bias = nn.Embedding(num_pages, 1), nn.Embedding(num_words, 1)
        self.mean = nn.Parameter(torch.zeros(1))
        for table in (self.pages, self.words, self.page_bias, self.word_bias):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, pairs):
        page, word = pairs.unbind(1)
        products = (self.pages(page) * self.words(word)).sum(1)
        return products + self.page_bias(page)[:, 0] + self.word_bias(word)[:, 0] + self.mean


def train(model, pairs, ratings, options):
    """Trains the model; returns the loss of every step, at most `options.steps`."""
    optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1, weight_decay=3e-4)

    def step(pairs, ratings):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(pairs), ratings)
        loss.backward()
        optimizer.step()
        return loss.detach()

    if options.compile:
        step = torch.compile(step)
    loader = DataLoader(TensorDataset(pairs, ratings), batch_size=512, shuffle=True, drop_last=True)
    losses, device = [], next(model.parameters()).device
    progress = tqdm(range(options.epochs), desc="training", unit="epoch")
    for _ in progress:
        for batch in loader:
            losses.append(step(*[part.to(device) for part in batch]).item())
            if len(losses) == options.steps:
                return losses
        progress.set_postfix(loss=f"{losses[-1]:.4f}")
    return losses


@torch.no_grad()
def recommended(model, page, unseen, words, count=6):
    """The hidden words that a page is foretold to want most."""
    pairs = unseen[unseen[:, 0] == page]
    best = model(pairs.to(model.mean.device)).topk(min(count, len(pairs))).indices
    return [words[i] for i in pairs[best.cpu(), 1].tolist()]


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Foretell how often words occur in pages.")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--steps", type=int, help="stop after so many steps")
    parser.add_argument("--size", type=int, default=8, help="how long the vectors are")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="where it computes: cpu or cuda")
    parser.add_argument("--no-compile", dest="compile", action="store_false", help="run operation by operation")
    parser.add_argument("--plot", type=Path, default=Path("out/recommender.png"), help="where the picture goes")
    options = parser.parse_args(arguments)

    torch.manual_seed(options.seed)
    pages, words, pairs, ratings = load_ratings()
    order = torch.randperm(len(pairs))
    hidden, shown = order[: len(order) // 10], order[len(order) // 10 :]
    model = Factors(len(pages), len(words), options.size).to(options.device)
    losses = train(model, pairs[shown], ratings[shown], options)

    with torch.no_grad():
        foretold = model(pairs[hidden].to(options.device)).cpu()
    explained = 1 - ((foretold - ratings[hidden]) ** 2).mean().item() / ratings[hidden].var().item()
    figure, axes = plt.subplots(layout="constrained")
    axes.scatter(ratings[hidden].numpy(), foretold.numpy(), s=3, alpha=0.3)
    axes.plot([0, 5], [0, 5], "k", linewidth=0.5)
    axes.set(title="ratings that were hidden", xlabel="log(1 + count)", ylabel="foretold")
    options.plot.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(options.plot, dpi=120)
    plt.close(figure)
    for name in ("for", "integers", "typesmapping", "debugger"):
        if name in pages:
            print(f"{name}: {', '.join(recommended(model, pages.index(name), pairs[hidden], words))}")
    print(f"explained {explained:.1%} of the variance of {len(hidden)} hidden ratings ({options.plot} shows them)")
    return losses, explained


if __name__ == "__main__":
    main()
