"""The network of examples/char_gpt.net in PyTorch, trained as its train block says, to compare what is learnt:
char_gpt.py TEXT --epochs 2 --threads 2 prints the held-out loss (windows 64, every tenth held out, batch 16)."""
import argparse
import math
import time

import torch
import torch.nn.functional as F
from torch import nn

arguments = argparse.ArgumentParser()
arguments.add_argument("text")
arguments.add_argument("--epochs", type=int, default=2)
arguments.add_argument("--threads", type=int, default=2)
a = arguments.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(0)
T, V, D, HEADS, DEPTH, BATCH = 64, 256, 128, 4, 4, 16


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.in_proj, self.out_proj = nn.Linear(D, 3 * D), nn.Linear(D, D)

    def forward(self, x):
        B, n, _ = x.shape
        q, k, v = (p.view(B, n, HEADS, D // HEADS).transpose(1, 2) for p in self.in_proj(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out_proj(y.transpose(1, 2).reshape(B, n, D))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.attention, self.norm2 = nn.LayerNorm(D), Attention(), nn.LayerNorm(D)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU("tanh"), nn.Linear(4 * D, D))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class CharGPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, D), nn.Embedding(T, D)
        self.layers, self.norm = nn.ModuleList(Layer() for _ in range(DEPTH)), nn.LayerNorm(D)
        for m in self.modules():
            if isinstance(m, (nn.Linear, nn.Embedding)):
                nn.init.normal_(m.weight, 0.0, 0.02)
            if isinstance(m, nn.Linear):
                nn.init.zeros_(m.bias)

    def forward(self, ids):
        x = self.wte(ids) + self.wpe(torch.arange(ids.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return F.linear(self.norm(x), self.wte.weight)


data = torch.tensor(list(open(a.text, "rb").read()))
count = (len(data) - 1) // T
x, y = data[: count * T].view(count, T), data[1 : count * T + 1].view(count, T)
held = torch.tensor([math.floor((i + 1) * 0.1) > math.floor(i * 0.1) for i in range(count)])
train_x, train_y, test_x, test_y = x[~held], y[~held], x[held], y[held]
model = CharGPT()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
total, warm = 2000, 100
factor = lambda s: (s + 1) / warm if s < warm else 0.5 * (1 + math.cos(math.pi * min(1, (s - warm) / (total - warm))))
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
loss_of = lambda x, y: F.cross_entropy(model(x).reshape(-1, V), y.reshape(-1))
started = time.time()
for epoch in range(a.epochs):
    for rows in torch.randperm(len(train_x)).split(BATCH):
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(train_x[rows], train_y[rows])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    with torch.inference_mode():
        held_out = sum(loss_of(a, b).item() * len(a) for a, b in zip(test_x.split(250), test_y.split(250))) / len(test_x)
    print(f"epoch {epoch + 1}: held-out loss {held_out:.4f}, {time.time() - started:.1f} s")
