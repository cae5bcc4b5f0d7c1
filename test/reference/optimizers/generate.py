"""What optimizers do that test/reference/optim does not have: writes cases.json beside this file.

Run with torch 2.13.0: python test/reference/optimizers/generate.py. Each case minimises sum((a p)^2) / 2 with a fixed a over a matrix and
a vector; Lion and LAMB are written from their papers, in float64, and so is Muon, whose matrices PyTorch rounds to bfloat16.
"""
import json, pathlib, torch
from torch import optim

torch.manual_seed(0)
START = [torch.randn(4, 3), torch.randn(3)]
SCALE = [torch.rand(4, 3) + 0.5, torch.rand(3) + 0.5]


class Lion(optim.Optimizer):
    def __init__(self, params, lr=1e-4, betas=(0.9, 0.99), weight_decay=0.):
        super().__init__(params, dict(lr=lr, betas=betas, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p))
                b1, b2 = group["betas"]
                p.sub_(group["lr"] * ((b1 * m + (1 - b1) * p.grad).sign() + group["weight_decay"] * p))
                m.mul_(b2).add_(p.grad, alpha=1 - b2)


class LAMB(optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-6, weight_decay=0.):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                s, (b1, b2) = self.state[p], group["betas"]
                s["t"] = s.get("t", 0) + 1
                s["m"] = b1 * s.get("m", 0) + (1 - b1) * p.grad
                s["v"] = b2 * s.get("v", 0) + (1 - b2) * p.grad ** 2
                u = s["m"] / (1 - b1 ** s["t"]) / ((s["v"] / (1 - b2 ** s["t"])).sqrt() + group["eps"]) + group["weight_decay"] * p
                p.sub_(group["lr"] * p.norm() / u.norm() * u)


class Muon(optim.Optimizer):
    def __init__(self, params, lr=1e-3, weight_decay=.1, momentum=.95, nesterov=True):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                m = self.state[p].setdefault("m", torch.zeros_like(p)).lerp_(p.grad, 1 - group["momentum"])
                u = p.grad.lerp(m, group["momentum"]) if group["nesterov"] else m
                if p.ndim == 2:
                    u, tall = (u.T, True) if p.shape[0] > p.shape[1] else (u, False)
                    u = u / u.norm().clamp(min=1e-7)
                    for _ in range(5):
                        gram = u @ u.T
                        u = 3.4445 * u + (-4.775 * gram + 2.0315 * gram @ gram) @ u
                    u = (u.T if tall else u) * max(1, p.shape[0] / p.shape[1]) ** .5
                p.mul_(1 - group["lr"] * group["weight_decay"]).sub_(group["lr"] * u)


CASES = [
    (optim.Adamax, dict(lr=0.05)),
    (optim.Adamax, dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)),
    (optim.NAdam, dict(lr=0.05)),
    (optim.NAdam, dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1, momentum_decay=0.01)),
    (optim.RAdam, dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)),
    (optim.Adadelta, dict(lr=0.5, rho=0.8, weight_decay=0.1)),
    (Lion, dict(lr=0.05)),
    (Lion, dict(lr=0.05, betas=(0.8, 0.9), weight_decay=0.1)),
    (LAMB, dict(lr=0.05)),
    (LAMB, dict(lr=0.05, weight_decay=0.1)),
    (Muon, dict(lr=0.05)),
    (Muon, dict(lr=0.05, weight_decay=0.0, momentum=0.8, nesterov=False)),
]
described = []
for Optimizer, options in CASES:
    params = [p.double().requires_grad_() for p in START]
    optimizer = Optimizer(params, **options)
    steps = []
    for _ in range(8):
        optimizer.zero_grad()
        sum(((a.double() * p) ** 2).sum() for a, p in zip(SCALE, params)).div(2).backward()
        optimizer.step()
        steps.append([p.detach().flatten().tolist() for p in params])
    described.append({"optimizer": Optimizer.__name__, "args": options, "steps": steps})
flat = lambda ts: [t.flatten().tolist() for t in ts]
here = pathlib.Path(__file__).parent
(here / "cases.json").write_text(json.dumps({"start": flat(START), "scale": flat(SCALE), "cases": described}) + "\n")
