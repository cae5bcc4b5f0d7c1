"""Workload W3 on PyTorch eager: one JSON line with the fastest and the median step in ms and the first losses."""
import json
import math
import statistics
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

seconds, threads = float(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)


def _hash(n, seed):
    x = np.arange(n, dtype=np.uint32) + np.uint32((seed * 0x9E3779B9) & 0xFFFFFFFF)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    x ^= x >> np.uint32(16)
    return x


def uniform(shape, seed, bound, center=0.0):
    u = (_hash(math.prod(shape), seed) >> np.uint32(8)).astype(np.float64) / 16777216
    return torch.from_numpy(((2 * u - 1) * bound + center).astype(np.float32).reshape(shape))


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.avg_pool2d(torch.sigmoid(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.conv2(x)), 2).flatten(1)
        return self.fc3(torch.sigmoid(self.fc2(torch.sigmoid(self.fc1(x)))))


model = LeNet()
with torch.no_grad():
    for i, (name, p) in enumerate(model.named_parameters()):
        fan_in = math.prod(model.get_parameter(name.replace("bias", "weight")).shape[1:])
        p.copy_(uniform(tuple(p.shape), 300 + i, 1 / math.sqrt(fan_in)))
x = uniform((256, 1, 28, 28), 4390, 0.5, 0.5)
y = torch.from_numpy(((_hash(256, 4392) >> np.uint32(8)) % np.uint32(10)).astype(np.int64))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, fused=True)


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


losses = [step() for _ in range(3)]
end = time.perf_counter() + 0.7
while time.perf_counter() < end:
    step()
times = []
end = time.perf_counter() + seconds
while time.perf_counter() < end or len(times) < 5:
    t = time.perf_counter()
    step()
    times.append((time.perf_counter() - t) * 1e3)
print(json.dumps({"min_ms": min(times), "median_ms": statistics.median(times), "losses": losses}))
