"""An LSTM that predicts the next word, in the style of PyTorch's example."""

import io
import math
import pydoc_data.topics

import torch
import torch.nn as nn


class Dictionary(object):
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]


class RNNModel(nn.Module):
    """An encoder, a recurrent module, and a decoder."""

    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.2):
        super(RNNModel, self).__init__()
        self.ntoken, self.nhid, self.nlayers, self.rnn_type = ntoken, nhid, nlayers, rnn_type
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        self.init_weights()

    def init_weights(self):
        initrange = 0.1
        nn.init.uniform_(self.encoder.weight, -initrange, initrange)
        nn.init.zeros_(self.decoder.bias)
        nn.init.uniform_(self.decoder.weight, -initrange, initrange)

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output))
        return nn.functional.log_softmax(decoded.view(-1, self.ntoken), dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        if self.rnn_type == "LSTM":
            return (weight.new_zeros(self.nlayers, bsz, self.nhid), weight.new_zeros(self.nlayers, bsz, self.nhid))
        return weight.new_zeros(self.nlayers, bsz, self.nhid)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    data = data.narrow(0, 0, nbatch * bsz)
    return data.view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    """Hidden states in new tensors, apart from their history."""
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


def get_batch(source, i, bptt=12):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


words = " ".join(pydoc_data.topics.topics[name] for name in ("for", "while", "with")).lower().split()[:1800]
corpus = Dictionary()
ids = torch.tensor([corpus.add_word(word) for word in words]).type(torch.int64)
train_data = batchify(ids, 8)
criterion = nn.NLLLoss()
for kind in ("LSTM", "GRU", "RNN"):
    torch.manual_seed(1111)
    model = RNNModel(kind, len(corpus.idx2word), 24, 24, 2)
    hidden = model.init_hidden(8)
    lr = 5.0
    model.train()
    for batch, i in enumerate(range(0, train_data.size(0) - 1, 12)):
        data, targets = get_batch(train_data, i)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(data, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        print("| {} | batch {:3d} | loss {:5.5f} | ppl {:8.2f}".format(kind, batch, loss.item(), math.exp(loss.item())))

file = io.BytesIO()
torch.save(model, file)
file.seek(0)
safe = [RNNModel, nn.Dropout, nn.Embedding, nn.RNN, nn.Linear, set, getattr]
with torch.serialization.safe_globals(safe):
    model = torch.load(file)
model.eval()
with torch.no_grad():
    output, _ = model(train_data[:12], model.init_hidden(8))
print(f"loaded: loss {criterion(output, train_data[1:13].view(-1)).item():.5f}")
