"""The workloads of bench/gpu-works.ts on PyTorch with CUDA: one JSON line with the card and milliseconds; null without CUDA."""
import json
import sys
import time

try:
    import torch
except ImportError:
    torch = None
if torch is None or not torch.cuda.is_available():
    print("null")
    sys.exit()

import torch.nn.functional as F
from torch import nn

# Netwright computes in f32: the card may not round operands to TF32 here.
torch.backends.cuda.matmul.allow_tf32 = False
torch.backends.cudnn.allow_tf32 = False
cuda = torch.device("cuda")


def work(kind, *p):
    if kind == "gemm":
        a, b = (torch.rand(p[0], p[0], device=cuda) for _ in range(2))
        return lambda: a @ b
    if kind == "conv":
        x, w = torch.rand(p[0], p[1], p[2], p[2], device=cuda), torch.rand(p[1], p[1], 3, 3, device=cuda)
        return lambda: F.conv2d(x, w, padding=1)
    x = torch.rand(p[0], device=cuda)
    if kind == "elementwise":
        out = torch.empty_like(x)
        return lambda: torch.add(torch.ones((), device=cuda), x, alpha=2.0, out=out)
    if kind == "sum":
        return lambda: x.sum()
    sigmoid, pool = nn.Sigmoid, lambda: nn.AvgPool2d(2)
    net = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), sigmoid(), pool(), nn.Conv2d(6, 16, 5), sigmoid(), pool(), nn.Flatten(),
        nn.Linear(400, 120), sigmoid(), nn.Linear(120, 84), sigmoid(), nn.Linear(84, 10),
    ).to(cuda)  # fmt: skip
    images, labels = torch.rand(p[0], 1, 28, 28, device=cuda), torch.zeros(p[0], dtype=torch.long, device=cuda)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, fused=True)

    def step():
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(net(images), labels).backward()
        optimizer.step()

    return step


def measured(call, seconds):
    def series(calls):
        began = time.perf_counter()
        for _ in range(calls):
            call()
        torch.cuda.synchronize()
        return (time.perf_counter() - began) * 1e3 / calls

    series(3)
    calls = max(1, min(1000, round(100 * seconds / series(2))))
    end = time.perf_counter() + seconds
    best = series(calls)
    while time.perf_counter() < end:
        best = min(best, series(calls))
    return best


seconds, specs = float(sys.argv[1]), json.loads(sys.argv[2])
ms = [None if spec is None else measured(work(*spec), seconds) for spec in specs]
print(json.dumps({"device": torch.cuda.get_device_name(), "ms": ms}))
