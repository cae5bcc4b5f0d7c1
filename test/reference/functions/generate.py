"""What PyTorch's functions compute that test/reference/ops does not have: writes cases.json and cases.safetensors beside this file.

Run with torch 2.13.0: python test/reference/functions/generate.py. Each case has the expression in the language and in PyTorch, inputs,
outputs, and the gradients of sum(out * cot) by the inputs named.
"""
import json, pathlib, torch
import torch.nn.functional as F
from safetensors.torch import save_file

torch.manual_seed(0)
torch.set_num_threads(1)
x, y = torch.randn(3, 5), torch.randn(3, 5)
sign = torch.tensor([1., -1., 1.])
ids = torch.tensor([[0, 3], [2, 2], [1, 4]])
frames = torch.randn(6, 3, 4)  # PyTorch's gradient of ctc_loss is right only behind a log_softmax
labels, spoken, spelled = torch.tensor([[1, 1, 2], [3, 2, 1], [2, 3, 3]]), torch.tensor([6, 5, 4]), torch.tensor([3, 2, 1])
ctc = dict(x=frames, t=labels, m=spoken, n=spelled)
images = torch.randn(2, 3, 5, 4)
CASES = [
    ("prelu_one", "prelu(x, a)", "F.prelu(x, a)", dict(x=x, a=torch.tensor([0.3])), "xa"),
    ("rrelu_eval", "rrelu(x)", "F.rrelu(x)", dict(x=x), "x"),
    ("celu", "celu(x, 2.0)", "F.celu(x, 2.)", dict(x=x), "x"),
    ("glu", "glu(x, 0)", "F.glu(x, 0)", dict(x=torch.randn(4, 3)), "x"),
    ("mish", "mish(x)", "F.mish(x)", dict(x=x), "x"),
    ("softshrink", "softshrink(x, 0.3)", "F.softshrink(x, 0.3)", dict(x=x), "x"),
    ("hardshrink", "hardshrink(x, 0.3)", "F.hardshrink(x, 0.3)", dict(x=x), "x"),
    ("tanhshrink", "tanhshrink(x)", "F.tanhshrink(x)", dict(x=x), "x"),
    ("pairwise", "pairwise_distance(x, y, 3.0)", "F.pairwise_distance(x, y, 3.)", dict(x=x, y=y), "xy"),
    ("margin_ranking", "margin_ranking_loss(x, y, s, 0.1)", "F.margin_ranking_loss(x, y, s, 0.1)",
     dict(x=x[0, :3], y=y[0, :3], s=sign), "xy"),
    ("soft_margin", "soft_margin_loss(x, s)", "F.soft_margin_loss(x, s)", dict(x=x[0, :3], s=sign), "x"),
    ("triplet_swap", 'triplet_margin_loss(x, y, n, swap: true, reduction: "sum")',
     'F.triplet_margin_loss(x, y, n, swap=True, reduction="sum")', dict(x=x, y=y, n=torch.randn(3, 5)), "xyn"),
    ("cosine_embedding", 'cosine_embedding_loss(x, y, s, reduction: "none")',
     'F.cosine_embedding_loss(x, y, s, reduction="none")', dict(x=x, y=y, s=sign), "xy"),
    ("poisson_full", "poisson_nll_loss(x, t, log_input: false, full: true)",
     "F.poisson_nll_loss(x, t, False, True)", dict(x=torch.rand(5) + .5, t=torch.tensor([0., 1., 2., 5., 3.])), "x"),
    ("gaussian", "gaussian_nll_loss(x, y, v, full: true)", "F.gaussian_nll_loss(x, y, v, True)",
     dict(x=x, y=y, v=torch.rand(3, 5) + 0.1), "xyv"),
    ("multi_margin", "multi_margin_loss(x, t)", "F.multi_margin_loss(x, t)", dict(x=x, t=torch.tensor([1, 4, 0])), "x"),
    ("multi_margin_squared", "multi_margin_loss(x, t, p: 2.0, margin: 0.5)", "F.multi_margin_loss(x, t, 2, 0.5)",
     dict(x=x, t=torch.tensor([1, 4, 0])), "x"),
    ("multilabel", "multilabel_soft_margin_loss(x, t)", "F.multilabel_soft_margin_loss(x, t)",
     dict(x=x, t=(y > 0).float()), "x"),
    ("ctc_none", 'ctc_loss(log_softmax(x, 2), t, m, n, reduction: "none")', 'F.ctc_loss(x.log_softmax(2), t, m, n, reduction="none")', ctc, "x"),
    ("ctc_mean", "ctc_loss(log_softmax(x, 2), t, m, n)", "F.ctc_loss(x.log_softmax(2), t, m, n)", ctc, "x"),
    ("bag_weighted", 'embedding_bag(i, w, mode: "sum", per_sample_weights: p)',
     'F.embedding_bag(i, w, mode="sum", per_sample_weights=p)', dict(i=ids, w=torch.randn(5, 4), p=torch.randn(3, 2)), "wp"),
    ("sort_ties", "sort(x, 0)", "torch.sort(x, stable=True)", dict(x=torch.tensor([3., 1., 2., 1., 3., float("nan"), 0.])), ""),
    ("topk", "topk(x, 3)", "torch.topk(x, 3)", dict(x=x), "x"),
    ("topk_smallest", "topk(x, 2, 0, largest: false)", "torch.topk(x, 2, 0, largest=False)", dict(x=x), "x"),
    ("argsort", "argsort(x, 1)", "torch.argsort(x, 1)", dict(x=x), ""),
    ("cumsum_first", "cumsum(x, 0)", "torch.cumsum(x, 0)", dict(x=x), "x"),
    ("cumsum_middle", "cumsum(x, 1)", "torch.cumsum(x, 1)", dict(x=images), "x"),
    ("gather_middle", "gather(x, 1, i)", "torch.gather(x, 1, i)", dict(x=torch.randn(3, 5, 2), i=ids[:, :, None].repeat(1, 1, 2)), "x"),
    ("select_columns", "index_select(x, 1, i)", "torch.index_select(x, 1, i)", dict(x=x, i=torch.tensor([4, 0, 0])), "x"),
    ("repeat_lead", "tile(x, [2, 1, 3])", "x.repeat(2, 1, 3)", dict(x=x), "x"),
    ("roll_back", "roll(x, -2, 1)", "torch.roll(x, -2, 1)", dict(x=x), "x"),
    ("conv1d_strided", "conv1d(x, w, stride: 2, padding: 1)", "F.conv1d(x, w, stride=2, padding=1)",
     dict(x=torch.randn(2, 3, 8), w=torch.randn(4, 3, 3)), "xw"),
    ("interpolate_down", "interpolate(x, size: (2, 3))", "F.interpolate(x, size=(2, 3))", dict(x=images), "x"),
    ("reflect_one", 'pad(x, [2, 1], "reflect")', 'F.pad(x, (2, 1), "reflect")', dict(x=torch.randn(2, 3, 5)), "x"),
    ("kl_log", 'kl_div(x, y, reduction: "sum", log_target: true)', 'F.kl_div(x, y, reduction="sum", log_target=True)',
     dict(x=x.log_softmax(1), y=y.log_softmax(1)), "xy"),
    ("smooth_l1", "smooth_l1_loss(x, y, beta: 0.5)", "F.smooth_l1_loss(x, y, beta=0.5)", dict(x=x, y=y), "xy"),
    ("huber", "huber_loss(x, y, delta: 0.5)", "F.huber_loss(x, y, delta=0.5)", dict(x=x, y=y), "xy"),
    ("accuracy", "top_k_accuracy(x, t, 2)", "(x.topk(2, 1)[1] == t[:, None]).any(1).float().mean()",
     dict(x=x, t=torch.tensor([1, 4, 0])), ""),
    ("confusion", "confusion_matrix(x, t)", "F.one_hot(t, 5).T @ F.one_hot(x.argmax(1), 5)", dict(x=x, t=torch.tensor([1, 4, 0])), ""),
    # From here on inputs are drawn from nothing, so that cases before keep theirs.
    ("asin", "asin(x)", "torch.asin(x)", dict(x=torch.linspace(-0.98, 0.98, 15)), "x"),
    ("acos", "acos(x)", "torch.acos(x)", dict(x=torch.linspace(-0.98, 0.98, 15)), "x"),
    ("cosh", "cosh(x)", "torch.cosh(x)", dict(x=torch.linspace(-4, 4, 15)), "x"),
    ("asinh", "asinh(x)", "torch.asinh(x)", dict(x=torch.linspace(-30, 30, 15)), "x"),
    ("acosh", "acosh(x)", "torch.acosh(x)", dict(x=torch.linspace(1.1, 30, 15)), "x"),
    ("atan_steep", "atan(x)", "torch.atan(x)", dict(x=torch.linspace(-5, 5, 21)), "x"),
    ("sinh_ends", "sinh(x)", "torch.sinh(x)", dict(x=torch.tensor([-89.0, 89.0])), ""),
    ("lgamma_negative", "lgamma(x)", "torch.lgamma(x)", dict(x=torch.linspace(-4.7, 9.3, 15)), "x"),
    ("digamma", "digamma(x)", "torch.digamma(x)", dict(x=torch.linspace(-4.7, 9.3, 15)), "x"),
    ("not_finite", "nan_to_num(x, 1.0, 2.0, -3.0)", "torch.nan_to_num(x, 1.0, 2.0, -3.0)",
     dict(x=torch.tensor([float("nan"), float("inf"), -float("inf"), 0.5])), "x"),
    ("pool_places", "max_pool2d(x, 3, stride: (2, 1), padding: 1, dilation: (1, 2), ceil_mode: true, return_indices: true)",
     "F.max_pool2d(x, 3, stride=(2, 1), padding=1, dilation=(1, 2), ceil_mode=True, return_indices=True)",
     dict(x=torch.linspace(0, 40, 84).sin().reshape(1, 2, 6, 7)), "x"),
    ("grid_border", 'grid_sample(x, g, padding_mode: "border", align_corners: true)',
     'F.grid_sample(x, g, padding_mode="border", align_corners=True)',
     dict(x=torch.linspace(0, 9, 40).cos().reshape(1, 2, 4, 5), g=1.3 * torch.linspace(0, 11, 24).sin().reshape(1, 3, 4, 2)), "xg"),
    ("grid_nearest", 'grid_sample(x, g, mode: "nearest")', 'F.grid_sample(x, g, mode="nearest", align_corners=False)',
     dict(x=torch.linspace(0, 9, 40).cos().reshape(1, 2, 4, 5), g=1.3 * torch.linspace(0, 11, 24).sin().reshape(1, 3, 4, 2)), "x"),
    ("affine_grid", "affine_grid(m, [2, 1, 3, 4])", "F.affine_grid(m, (2, 1, 3, 4), align_corners=False)",
     dict(m=torch.linspace(-1, 1, 12).reshape(2, 2, 3)), "m"),
    ("affine_grid_corners", "affine_grid(m, [2, 1, 3, 4], align_corners: true)", "F.affine_grid(m, (2, 1, 3, 4), align_corners=True)",
     dict(m=torch.linspace(-1, 1, 12).reshape(2, 2, 3)), "m"),
]
tensors, described = {}, []
kind = lambda t: [str(t.dtype)[6:], list(t.shape)]
for name, net, expression, inputs, wrt in CASES:
    given = {k: v.clone().requires_grad_(k in wrt) for k, v in inputs.items()}
    out = eval(expression, {"torch": torch, "F": F, **given})
    outs = list(out) if isinstance(out, tuple) else [out]
    cots = {i: torch.randn_like(o) for i, o in enumerate(outs) if o.is_floating_point()}
    if wrt:
        loss = sum((outs[i] * c).sum() for i, c in cots.items())
        for k, g in zip(wrt, torch.autograd.grad(loss, [given[k] for k in wrt])): tensors[f"{name}/grad/{k}"] = g
    for k, v in inputs.items(): tensors[f"{name}/in/{k}"] = v
    for i, o in enumerate(outs): tensors[f"{name}/out/{i}"] = o.detach()
    for i, c in cots.items(): tensors[f"{name}/cot/{i}"] = c
    described.append({
        "name": name, "net": net, "torch": expression, "inputs": {k: kind(v) for k, v in inputs.items()},
        "outputs": [kind(o) for o in outs], "grads": list(wrt)})
here = pathlib.Path(__file__).parent
save_file({k: v.clone().contiguous() for k, v in tensors.items()}, here / "cases.safetensors")
(here / "cases.json").write_text(json.dumps({"cases": described}, indent=1) + "\n")
