"""What PyTorch's layers compute with their options: writes cases.json and cases.safetensors beside this file.

Run with torch 2.13.0: python test/reference/layers/generate.py. Each case has the layer's state before, inputs, outputs in
both modes, the state after one training call, and gradients of sum(out * cot) in training mode.
"""
import json, pathlib, torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)
CASES = [
    ("linear", "Linear(4, 3)", nn.Linear(4, 3), [(2, 5, 4)]),
    ("linear_no_bias", "Linear(4, 3, bias: false)", nn.Linear(4, 3, bias=False), [(2, 4)]),
    ("linear_vector", "Linear(4, 3)", nn.Linear(4, 3), [(4,)]),
    ("conv", "Conv2d(2, 4, 3)", nn.Conv2d(2, 4, 3), [(2, 2, 7, 6)]),
    ("conv_options", "Conv2d(4, 6, (3, 2), stride: (2, 1), padding: (1, 2), dilation: (1, 2), groups: 2, bias: false)",
     nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, bias=False), [(2, 4, 7, 6)]),
    ("maxpool", "MaxPool2d(2)", nn.MaxPool2d(2), [(2, 3, 7, 6)]),
    ("maxpool_options", "MaxPool2d((3, 2), stride: (2, 1), padding: (1, 0), ceil_mode: true)",
     nn.MaxPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True), [(2, 3, 6, 5)]),
    ("avgpool", "AvgPool2d(2)", nn.AvgPool2d(2), [(2, 3, 7, 6)]),
    ("avgpool_options", "AvgPool2d(3, stride: 2, padding: 1, ceil_mode: true, count_include_pad: false)",
     nn.AvgPool2d(3, 2, 1, True, False), [(2, 3, 6, 5)]),
    ("avgpool_divisor", "AvgPool2d(2, divisor_override: 3)", nn.AvgPool2d(2, divisor_override=3), [(2, 3, 6, 5)]),
    ("adaptive", "AdaptiveAvgPool2d((3, 2))", nn.AdaptiveAvgPool2d((3, 2)), [(2, 3, 7, 5)]),
    ("batchnorm1d", "BatchNorm1d(3)", nn.BatchNorm1d(3), [(6, 3)]),
    ("batchnorm1d_long", "BatchNorm1d(3)", nn.BatchNorm1d(3), [(4, 3, 5)]),
    ("batchnorm2d", "BatchNorm2d(3)", nn.BatchNorm2d(3), [(4, 3, 2, 5)]),
    ("batchnorm2d_average", "BatchNorm2d(3, momentum: none, eps: 1e-3)", nn.BatchNorm2d(3, 1e-3, None), [(4, 3, 2, 5)]),
    ("batchnorm2d_untracked", "BatchNorm2d(3, affine: false, track_running_stats: false)",
     nn.BatchNorm2d(3, affine=False, track_running_stats=False), [(4, 3, 2, 5)]),
    ("layernorm", "LayerNorm(5)", nn.LayerNorm(5), [(2, 3, 5)]),
    ("layernorm_matrix", "LayerNorm([3, 5], eps: 1e-3)", nn.LayerNorm([3, 5], 1e-3), [(2, 3, 5)]),
    ("layernorm_no_bias", "LayerNorm(5, bias: false)", nn.LayerNorm(5, bias=False), [(2, 5)]),
    ("layernorm_plain", "LayerNorm(5, elementwise_affine: false)", nn.LayerNorm(5, elementwise_affine=False), [(2, 5)]),
    ("flatten", "Flatten()", nn.Flatten(), [(2, 3, 4)]),
    ("flatten_part", "Flatten(1, 2)", nn.Flatten(1, 2), [(2, 3, 4, 2)]),
    ("identity", "Identity()", nn.Identity(), [(2, 3)]),
    ("embedding", "Embedding(6, 4)", nn.Embedding(6, 4), ["ids"]),
    ("embedding_padding", "Embedding(6, 4, padding_idx: 1)", nn.Embedding(6, 4, padding_idx=1), ["ids"]),
    ("prelu", "PReLU(3)", nn.PReLU(3), [(2, 3, 4)]),
    ("attention", "MultiheadAttention(8, 2)", nn.MultiheadAttention(8, 2), [(5, 3, 8), (4, 3, 8), (4, 3, 8)]),
    ("attention_batch_first", "MultiheadAttention(8, 4, bias: false, batch_first: true)",
     nn.MultiheadAttention(8, 4, bias=False, batch_first=True), [(3, 5, 8), (3, 4, 8), (3, 4, 8)]),
    ("attention_masked", "MultiheadAttention(8, 2, batch_first: true)", nn.MultiheadAttention(8, 2, batch_first=True),
     [(3, 4, 8), (3, 4, 8), (3, 4, 8), (4, 4)]),
    ("conv1d", "Conv1d(3, 4, 3)", nn.Conv1d(3, 4, 3), [(2, 3, 9)]),
    ("conv1d_options", "Conv1d(4, 6, 3, stride: 2, padding: 2, dilation: 2, groups: 2, bias: false)",
     nn.Conv1d(4, 6, 3, 2, 2, 2, 2, bias=False), [(2, 4, 9)]),
    ("conv3d", "Conv3d(2, 3, (2, 3, 2))", nn.Conv3d(2, 3, (2, 3, 2)), [(2, 2, 4, 5, 3)]),
    ("conv3d_options", "Conv3d(2, 4, (3, 2, 2), stride: (2, 1, 2), padding: (1, 0, 1), dilation: (1, 2, 1), groups: 2)",
     nn.Conv3d(2, 4, (3, 2, 2), (2, 1, 2), (1, 0, 1), (1, 2, 1), 2), [(2, 2, 5, 6, 4)]),
    ("convt1d", "ConvTranspose1d(3, 4, 3)", nn.ConvTranspose1d(3, 4, 3), [(2, 3, 5)]),
    ("convt1d_options", "ConvTranspose1d(4, 6, 4, stride: 3, padding: 1, output_padding: 2, groups: 2, bias: false, dilation: 2)",
     nn.ConvTranspose1d(4, 6, 4, 3, 1, 2, 2, False, 2), [(2, 4, 5)]),
    ("convt2d", "ConvTranspose2d(3, 4, 3)", nn.ConvTranspose2d(3, 4, 3), [(2, 3, 4, 5)]),
    ("convt2d_options", "ConvTranspose2d(4, 6, (4, 3), stride: 2, padding: (1, 2), output_padding: (0, 1), groups: 2)",
     nn.ConvTranspose2d(4, 6, (4, 3), 2, (1, 2), (0, 1), 2), [(2, 4, 4, 5)]),
    ("maxpool1d", "MaxPool1d(3, stride: 2, padding: 1)", nn.MaxPool1d(3, 2, 1), [(2, 3, 9)]),
    ("avgpool1d", "AvgPool1d(3, padding: 1, count_include_pad: false)",
     nn.AvgPool1d(3, padding=1, count_include_pad=False), [(2, 3, 9)]),
    ("adaptive_avg1d", "AdaptiveAvgPool1d(4)", nn.AdaptiveAvgPool1d(4), [(2, 3, 7)]),
    ("adaptive_max1d", "AdaptiveMaxPool1d(4)", nn.AdaptiveMaxPool1d(4), [(2, 3, 7)]),
    ("adaptive_max2d", "AdaptiveMaxPool2d((3, 2))", nn.AdaptiveMaxPool2d((3, 2)), [(2, 3, 7, 5)]),
    ("lppool", "LPPool2d(2.0, 3, stride: 2)", nn.LPPool2d(2, 3, 2), [(2, 3, 7, 5)]),
    ("unflatten", "Unflatten(1, [2, 3])", nn.Unflatten(1, (2, 3)), [(2, 6, 4)]),
    ("bilinear", "Bilinear(3, 4, 5)", nn.Bilinear(3, 4, 5), [(2, 6, 3), (2, 6, 4)]),
    ("bilinear_no_bias", "Bilinear(3, 4, 5, bias: false)", nn.Bilinear(3, 4, 5, bias=False), [(2, 3), (2, 4)]),
    ("bag_mean", "EmbeddingBag(6, 4)", nn.EmbeddingBag(6, 4), ["ids"]),
    ("bag_sum", 'EmbeddingBag(6, 4, mode: "sum", padding_idx: 1)', nn.EmbeddingBag(6, 4, mode="sum", padding_idx=1), ["ids"]),
    ("bag_max", 'EmbeddingBag(6, 4, mode: "max")', nn.EmbeddingBag(6, 4, mode="max"), ["ids"]),
    ("batchnorm3d", "BatchNorm3d(3)", nn.BatchNorm3d(3), [(4, 3, 2, 3, 2)]),
    ("groupnorm", "GroupNorm(2, 4)", nn.GroupNorm(2, 4), [(2, 4, 3, 3)]),
    ("groupnorm_plain", "GroupNorm(3, 6, affine: false)", nn.GroupNorm(3, 6, affine=False), [(2, 6, 5)]),
    ("rmsnorm", "RMSNorm(5)", nn.RMSNorm(5), [(2, 3, 5)]),
    ("rmsnorm_matrix", "RMSNorm([3, 5], eps: 1e-3, elementwise_affine: false)",
     nn.RMSNorm([3, 5], 1e-3, False), [(2, 3, 5)]),
    ("lrn", "LocalResponseNorm(3, alpha: 0.5, beta: 0.6, k: 2.0)", nn.LocalResponseNorm(3, .5, .6, 2.), [(2, 5, 3, 2)]),
    ("lrn_even", "LocalResponseNorm(4)", nn.LocalResponseNorm(4), [(2, 5, 3)]),
    ("instancenorm1d", "InstanceNorm1d(3)", nn.InstanceNorm1d(3), [(2, 3, 5)]),
    ("instancenorm2d", "InstanceNorm2d(3, affine: true)", nn.InstanceNorm2d(3, affine=True), [(2, 3, 4, 5)]),
    ("instancenorm2d_running", "InstanceNorm2d(3, affine: true, track_running_stats: true)",
     nn.InstanceNorm2d(3, affine=True, track_running_stats=True), [(2, 3, 4, 5)]),
    ("instancenorm3d", "InstanceNorm3d(3)", nn.InstanceNorm3d(3), [(2, 3, 2, 4, 3)]),
]

tensors, described = {}, []
for name, net, layer, inputs in CASES:
    args = [torch.randint(0, 6, (2, 3)) if s == "ids" else torch.randn(s).requires_grad_() for s in inputs]
    for p in layer.parameters():  # away from ones and zeros, which hide mistakes
        p.data += 0.1 * torch.randn_like(p)

    def call():
        if not name.startswith("attention"):
            return layer(*args)
        mask = args[3] if len(args) > 3 else None
        return layer(*args[:3], attn_mask=mask, need_weights=False)[0]

    state = {k: v.clone() for k, v in layer.state_dict().items()}
    layer.eval()
    out_eval = call().detach().clone()
    layer.train()
    out = call()
    after = {k: v.clone() for k, v in layer.state_dict().items()}
    cot = torch.randn_like(out)
    wrt = {f"param/{k}": p for k, p in layer.named_parameters()}
    wrt |= {f"in/{i}": a for i, a in enumerate(args) if a.is_floating_point()}
    grads = torch.autograd.grad((out * cot).sum(), list(wrt.values()))
    for k, v in state.items(): tensors[f"{name}/state/{k}"] = v
    for k, v in after.items(): tensors[f"{name}/after/{k}"] = v
    for i, a in enumerate(args): tensors[f"{name}/in/{i}"] = a.detach()
    for k, g in zip(wrt, grads): tensors[f"{name}/grad/{k}"] = g
    tensors |= {f"{name}/eval": out_eval, f"{name}/train": out.detach(), f"{name}/cot": cot}
    described.append({"name": name, "net": net, "state": list(state), "inputs": [list(a.shape) for a in args], "output": list(out.shape)})

here = pathlib.Path(__file__).parent
save_file({k: v.clone().contiguous() for k, v in tensors.items()}, here / "cases.safetensors")
(here / "cases.json").write_text(json.dumps(described, indent=1) + "\n")
