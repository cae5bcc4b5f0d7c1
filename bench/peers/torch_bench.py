"""Measures PyTorch on one workload and prints one JSON line: torch_bench.py W3 --threads 1 --variant eager --seconds 2.5.

Variants: eager (fused optimizers), eager-cl (channels last), compile (model and loss through inductor), compile-opt (the
optimizer step too), compile-max (the C++ wrapper, and freezing for inference).
"""
import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F

import models
import spec

arguments = argparse.ArgumentParser()
arguments.add_argument("w")
arguments.add_argument("--threads", type=int, default=1)
arguments.add_argument("--variant", default="eager")
arguments.add_argument("--seconds", type=float, default=2.5)
a = arguments.parse_args()
torch.set_num_threads(a.threads)
torch.manual_seed(0)


def timed(call):
    end = time.perf_counter() + 0.7
    while time.perf_counter() < end:
        call()
    times, end = [], time.perf_counter() + a.seconds
    while time.perf_counter() < end or len(times) < 5:
        t = time.perf_counter()
        call()
        times.append((time.perf_counter() - t) * 1e3)
    times.sort()
    at = lambda share: times[int(share * (len(times) - 1))]
    return dict(minMs=at(0), medianMs=at(0.5), p90Ms=at(0.9), calls=len(times))


def inductor(call, inference):
    if not a.variant.startswith("compile"):
        return call
    import torch._inductor.config as config

    if a.variant == "compile-max":
        config.cpp_wrapper = True
        config.freezing = inference
    return torch.compile(call)


def product(n):
    x, y = (torch.from_numpy(v) for v in spec.gemm_data(n))
    with torch.inference_mode():
        started = time.perf_counter()
        c = x @ y
        first = time.perf_counter() - started
        return timed(lambda: x @ y), first, [c[0, 0].item(), c[-1, -1].item()], None


def workload(w):
    model, d = models.build(w)
    if a.variant == "eager-cl":
        model = model.to(memory_format=torch.channels_last)
    x = torch.from_numpy(d["x"]) if "x" in d else torch.from_numpy(d["tok"]).long()
    if a.variant == "eager-cl" and x.dim() == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    if "y" not in d:
        model.eval()
        forward = inductor(lambda v: model(v), True)

        def call():
            with torch.inference_mode():
                return forward(x).numpy()

        started = time.perf_counter()
        logits = call().reshape(-1)
        first = time.perf_counter() - started
        return timed(call), first, [float(logits[i]) for i in (0, 1, -1)], allocated(call)
    y = torch.from_numpy(d["y"]).long()
    params = list(model.parameters())
    optimizer = {
        "W2": lambda: torch.optim.SGD(params, lr=0.1, fused=True),
        "W3": lambda: torch.optim.SGD(params, lr=0.1, fused=True),
        "W4t": lambda: torch.optim.SGD(params, lr=0.05, momentum=0.9, fused=True),
        "W5": lambda: torch.optim.AdamW(params, lr=1e-3, weight_decay=0.01, fused=True),
        "W6": lambda: torch.optim.Adam(params, lr=1e-3, fused=True),
    }[w]()

    def loss_of(x, y):
        scores = model(x)
        return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1))

    loss_fn = inductor(loss_of, False)
    update = torch.compile(optimizer.step) if a.variant in ("compile-opt", "compile-max") else optimizer.step

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_fn(x, y)
        loss.backward()
        update()
        return loss.item()

    started = time.perf_counter()
    check = [step()]
    first = time.perf_counter() - started
    check += [step() for _ in range(5)]
    times = timed(step)
    # Gradients of the step before are gone when a step needs the most.
    optimizer.zero_grad(set_to_none=True)
    return times, first, check, allocated(step)


def allocated(call):
    """Megabytes of the allocator's peak in one call, above what was there before it."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as p:
        call()
    total = peak = 0
    for event in p.profiler.kineto_results.events():
        if event.name() == "[memory]":
            total += event.nbytes()
            peak = max(peak, total)
    return peak / 1e6


size = a.w[3:] if a.w.startswith("W1_") else None
times, first, check, work = product(int(size)) if size else workload(a.w)
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({**times, "firstCallMs": first * 1e3, "check": check, "peakRssMb": rss, "workMb": work}))
