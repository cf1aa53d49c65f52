"""A transformer that sorts digits, in the style of minGPT: a trainer with callbacks, and a sampler with replacement."""

import time
from collections import defaultdict

import torch
import torch.nn as nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from torch.utils.data.dataloader import DataLoader


class SortDataset(Dataset):
    """Digits, then the same digits sorted."""

    def __init__(self, split, length=6, num_digits=3):
        assert split in {"train", "test"}
        self.length, self.num_digits = length, num_digits

    def __len__(self):
        return 10000

    def __getitem__(self, idx):
        inp = torch.randint(self.num_digits, size=(self.length,), dtype=torch.long)
        sol = torch.sort(inp)[0]
        cat = torch.cat((inp, sol), dim=0)
        x, y = cat[:-1].clone(), cat[1:].clone()
        y[: self.length - 1] = -1
        return x, y


class NewGELU(nn.Module):
    def forward(self, x):
        return 0.5 * x * (1.0 + torch.tanh(0.7978845608 * (x + 0.044715 * torch.pow(x, 3.0))))


class GPT(nn.Module):
    def __init__(self, vocab_size=3, width=32, layers=2, block_size=11):
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, width)
        self.places = nn.Parameter(torch.zeros(1, block_size, width))
        self.blocks = nn.ModuleList()
        for _ in range(layers):
            mlp = nn.Sequential(nn.Linear(width, 4 * width), NewGELU(), nn.Linear(4 * width, width), nn.Dropout(0.1))
            attention = nn.MultiheadAttention(width, 4, dropout=0.0, batch_first=True)
            self.blocks.append(nn.ModuleList([nn.LayerNorm(width), attention, nn.LayerNorm(width), mlp]))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab_size, bias=False)
        mask = torch.ones(block_size, block_size, dtype=torch.bool).triu(1)
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, idx, targets=None):
        T = idx.shape[1]
        x = self.tokens(idx) + self.places[:, :T]
        for norm1, attention, norm2, mlp in self.blocks:
            h = norm1(x)
            x = x + attention(h, h, h, attn_mask=self.mask[:T, :T], need_weights=False)[0]
            x = x + mlp(norm2(x))
        logits = self.head(self.norm(x))
        loss = None
        if targets is not None:
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), targets.view(-1), ignore_index=-1)
        return logits, loss


class Trainer:
    def __init__(self, model, train_dataset):
        self.model, self.train_dataset = model, train_dataset
        self.callbacks = defaultdict(list)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.iter_num = 0

    def add_callback(self, onevent, callback):
        self.callbacks[onevent].append(callback)

    def trigger_callbacks(self, onevent):
        for callback in self.callbacks.get(onevent, []):
            callback(self)

    def run(self, max_iters):
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-3, betas=(0.9, 0.95))
        train_loader = DataLoader(
            self.train_dataset,
            sampler=torch.utils.data.RandomSampler(self.train_dataset, replacement=True, num_samples=int(1e6)),
            shuffle=False, pin_memory=False, batch_size=16, num_workers=2,
        )  # fmt: skip
        self.model.train()
        self.iter_time = time.time()
        data_iter = iter(train_loader)
        while True:
            try:
                batch = next(data_iter)
            except StopIteration:
                data_iter = iter(train_loader)
                batch = next(data_iter)
            x, y = [t.to(self.device) for t in batch]
            _, self.loss = self.model(x, y)
            self.model.zero_grad(set_to_none=True)
            self.loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.trigger_callbacks("on_batch_end")
            self.iter_num += 1
            if self.iter_num >= max_iters:
                break


torch.manual_seed(3407)
trainer = Trainer(GPT(), SortDataset("train"))
trainer.add_callback("on_batch_end", lambda trainer: print(f"iter {trainer.iter_num}: loss {trainer.loss.item():.5f}"))
trainer.run(22)
