"""What PyTorch computes where shapes change: writes cases.json and cases.safetensors beside this file.

Run with torch 2.13.0: python test/reference/shapes/generate.py. As test/reference/functions/generate.py; in addition `noise` is the
largest difference between float32 and float64, for outputs and gradients.
"""
import json, pathlib, torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(1)
torch.set_num_threads(1)
r = torch.randn
volume = r(2, 3, 5, 6, 4)
CASES = [
    ("conv3d", "conv3d(x, w, b, stride: (2, 1, 1), padding: (1, 0, 1), dilation: (1, 2, 1))",
     "F.conv3d(x, w, b, stride=(2, 1, 1), padding=(1, 0, 1), dilation=(1, 2, 1))", dict(x=volume, w=r(4, 3, 3, 2, 2), b=r(4)), "xwb"),
    ("conv3d_groups", "conv3d(x, w, groups: 2)", "F.conv3d(x, w, groups=2)", dict(x=r(1, 4, 3, 3, 3), w=r(6, 2, 2, 2, 2)), "xw"),
    ("convt3d", "conv_transpose3d(x, w, b, stride: 2, padding: 1, output_padding: 1)",
     "F.conv_transpose3d(x, w, b, stride=2, padding=1, output_padding=1)", dict(x=r(2, 3, 2, 3, 2), w=r(3, 2, 3, 3, 2), b=r(2)), "xwb"),
    ("convt3d_dilated", "conv_transpose3d(x, w, stride: (1, 2, 1), dilation: (2, 1, 2), groups: 2)",
     "F.conv_transpose3d(x, w, stride=(1, 2, 1), dilation=(2, 1, 2), groups=2)", dict(x=r(1, 4, 3, 2, 2), w=r(4, 1, 2, 2, 2)), "xw"),
    ("max_pool3d", "max_pool3d(x, 2)", "F.max_pool3d(x, 2)", dict(x=volume), "x"),
    ("max_pool3d_all", "max_pool3d(x, (2, 3, 2), stride: (2, 2, 1), padding: (1, 1, 0), dilation: (1, 1, 2), ceil_mode: true)",
     "F.max_pool3d(x, (2, 3, 2), stride=(2, 2, 1), padding=(1, 1, 0), dilation=(1, 1, 2), ceil_mode=True)", dict(x=volume), "x"),
    ("avg_pool3d", "avg_pool3d(x, 2)", "F.avg_pool3d(x, 2)", dict(x=volume), "x"),
    ("avg_pool3d_all", "avg_pool3d(x, (2, 3, 2), stride: (2, 2, 1), padding: (1, 1, 0), ceil_mode: true)",
     "F.avg_pool3d(x, (2, 3, 2), stride=(2, 2, 1), padding=(1, 1, 0), ceil_mode=True)", dict(x=volume), "x"),
    ("avg_pool3d_inside", "avg_pool3d(x, 3, stride: 2, padding: 1, ceil_mode: true, count_include_pad: false)",
     "F.avg_pool3d(x, 3, 2, 1, True, False)", dict(x=volume), "x"),
    ("avg_pool3d_divisor", "avg_pool3d(x, 2, divisor_override: 3)", "F.avg_pool3d(x, 2, divisor_override=3)", dict(x=volume), "x"),
    ("adaptive_avg_pool3d", "adaptive_avg_pool3d(x, (2, 3, 3))", "F.adaptive_avg_pool3d(x, (2, 3, 3))", dict(x=volume), "x"),
    ("adaptive_max_pool3d", "adaptive_max_pool3d(x, (2, 3, 3))", "F.adaptive_max_pool3d(x, (2, 3, 3))", dict(x=volume), "x"),
]

def run(expression, inputs, wrt, cots, double):
    cast = lambda t: t.double() if double and t.is_floating_point() else t
    given = {k: cast(v).clone().requires_grad_(k in wrt) for k, v in inputs.items()}
    out = eval(expression, {"torch": torch, "F": F, **given})
    outs = list(out) if isinstance(out, (tuple, list)) else [out]
    for i, o in enumerate(outs):
        if o.is_floating_point() and i not in cots: cots[i] = torch.randn_like(o)
    grads = torch.autograd.grad(sum((outs[i] * cast(c)).sum() for i, c in cots.items()), [given[k] for k in wrt]) if wrt else []
    return [o.detach() for o in outs], list(grads)

largest = lambda a, b: float((a.double() - b.double()).abs().nan_to_num(0).max()) if a.numel() and a.is_floating_point() else 0.0
kind = lambda t: [str(t.dtype)[6:], list(t.shape)]
tensors, described = {}, []
for name, net, expression, inputs, wrt in CASES:
    cots = {}
    outs, grads = run(expression, inputs, wrt, cots, False)
    exact, exact_grads = run(expression, inputs, wrt, cots, True)
    for k, v in inputs.items(): tensors[f"{name}/in/{k}"] = v
    for i, o in enumerate(outs): tensors[f"{name}/out/{i}"] = o
    for i, c in cots.items(): tensors[f"{name}/cot/{i}"] = c
    for k, g in zip(wrt, grads): tensors[f"{name}/grad/{k}"] = g
    described.append({
        "name": name, "net": net, "torch": expression, "inputs": {k: kind(v) for k, v in inputs.items()},
        "outputs": [kind(o) for o in outs], "grads": list(wrt),
        "noise_f32_vs_f64": {"out": [largest(a, b) for a, b in zip(outs, exact)],
                             "grad": {k: largest(a, b) for k, a, b in zip(wrt, grads, exact_grads)}}})
here = pathlib.Path(__file__).parent
save_file({k: v.clone().contiguous() for k, v in tensors.items()}, here / "cases.safetensors")
(here / "cases.json").write_text(json.dumps({"cases": described}, indent=1) + "\n")
