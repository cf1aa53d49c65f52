"""What the tests of the viewer look at: a small transformer, and a model in which three things went wrong."""

from __future__ import annotations

import rushlight as torch
from rushlight import nn
from rushlight.tensor import Tensor


class SmallGPT(nn.Module):
    """Embeddings, two layers of causal attention, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(50, 32), nn.Embedding(16, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, nn.LayerNorm(32))
        self.head = nn.Linear(32, 50)

    def forward(self, tokens: Tensor) -> Tensor:
        length = tokens.shape[1]
        x = self.tokens(tokens) + self.positions(torch.arange(length))
        causal = nn.Transformer.generate_square_subsequent_mask(length)
        return self.head(self.blocks(x, causal, is_causal=True))


def loss_of(model: nn.Module) -> Tensor:
    """The loss of predicting the next of 2 x 16 tokens."""
    torch.manual_seed(1)
    tokens = torch.randint(0, 50, (2, 16))
    return nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.roll(-1, 1).flatten())


class Troubled(nn.Module):
    """`dead` is cut off by a ReLU of negative numbers, `cut` by detach(), `root` gets NaN from sqrt(0)."""

    def __init__(self) -> None:
        super().__init__()
        self.dead, self.cut, self.root = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3, bias=False)
        with torch.no_grad():
            self.dead.weight.zero_()
            self.dead.bias.fill_(-1.0)
            self.root.weight.zero_()

    def forward(self, x: Tensor) -> Tensor:
        dead = torch.relu(self.dead(x))
        cut = self.cut(x).detach()
        y = self.root(x)
        root = torch.where(y > 0, y.sqrt(), 0.0)
        return (dead + cut + root).sum()
