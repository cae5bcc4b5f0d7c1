"""What PyTorch's layers compute with their options: writes cases.json and cases.safetensors beside this file.

Run with torch 2.13.0: python test/reference/layers/generate.py. Each case has the layer's state before, inputs, outputs in
both modes, the state after one training call, and gradients of sum(out * cot) in training mode. An input is a shape, or a tensor
that is not differentiated. New cases go to the end: the draws of the others then stay.
"""
import json, pathlib, torch
from safetensors.torch import save_file
from torch import nn

torch.manual_seed(0)
torch.set_num_threads(1)


def flat(*parts):
    return torch.cat([p.reshape(-1) for p in parts])


def packed(layer, x):
    y, state = layer(nn.utils.rnn.pack_padded_sequence(x, torch.tensor([5, 3])))
    return flat(nn.utils.rnn.pad_packed_sequence(y)[0], *(state if isinstance(state, tuple) else [state]))


# Where the result is not one tensor, or the call not layer(x0, ...): what Python calls, and the body of the method.
FLAT = "cat([for y in [{}]: flatten(y)])"
STATES = (lambda layer, *a: flat(*layer(*a)), "(y, h) = layer({}); " + FLAT.format("y, h"))
CELLS = (lambda layer, x, *a: (lambda y, s: flat(y, *s))(*layer(x, a or None)),
         "(y, s) = layer({}); (h, c) = s; " + FLAT.format("y, h, c"))
STARTED_CELLS = (CELLS[0], CELLS[1].replace("{}", "{0}, ({1}, {2})"))
HEADS = (lambda layer, *a: layer(*a, need_weights=False)[0], "(y, _) = layer({}, need_weights: false); y")
LENGTHS = "lengths: 5 - 2 * arange(2)"
PACKED = (packed, f"(y, h) = layer({{}}, {LENGTHS}); " + FLAT.format("y, h"))
PACKED_CELLS = (packed, f"(y, s) = layer({{}}, {LENGTHS}); (h, c) = s; " + FLAT.format("y, h, c"))



def angles(t, d):
    return torch.arange(t)[:, None] / 10000 ** (torch.arange(0, d, 2) / d)


class Positions(nn.Module):  # d2l's PositionalEncoding
    def __init__(self, d):
        super().__init__()

    def forward(self, x):
        a, p = angles(*x.shape[-2:]), torch.zeros(x.shape[-2:])
        p[:, 0::2], p[:, 1::2] = torch.sin(a), torch.cos(a)
        return x + p


class Turned(nn.Module):  # rotary embeddings as products of complex numbers
    def __init__(self, interleaved):
        super().__init__()
        self.interleaved = interleaved

    def forward(self, x):
        h = x.shape[-1] // 2
        pairs = x.unflatten(-1, (h, 2)) if self.interleaved else torch.stack([x[..., :h], x[..., h:]], -1)
        turned = torch.view_as_real(torch.view_as_complex(pairs.contiguous()) * torch.polar(torch.ones(()), angles(*x.shape[-2:])))
        return turned.flatten(-2) if self.interleaved else torch.cat([turned[..., 0], turned[..., 1]], -1)


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
    ("attention", "MultiheadAttention(8, 2)", nn.MultiheadAttention(8, 2), [(5, 3, 8), (4, 3, 8), (4, 3, 8)], HEADS),
    ("attention_batch_first", "MultiheadAttention(8, 4, bias: false, batch_first: true)",
     nn.MultiheadAttention(8, 4, bias=False, batch_first=True), [(3, 5, 8), (3, 4, 8), (3, 4, 8)], HEADS),
    ("attention_masked", "MultiheadAttention(8, 2, batch_first: true)", nn.MultiheadAttention(8, 2, batch_first=True),
     [(3, 4, 8), (3, 4, 8), (3, 4, 8), (4, 4)],
     (lambda layer, q, k, v, m: layer(q, k, v, attn_mask=m)[0], "(y, _) = layer({0}, {1}, {2}, attn_mask: {3}); y")),
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
    ("rnn", "RNN(3, 4)", nn.RNN(3, 4), [(5, 2, 3)], STATES),
    ("rnn_options", 'RNN(3, 4, num_layers: 2, nonlinearity: "relu", bias: false, batch_first: true, bidirectional: true)',
     nn.RNN(3, 4, 2, "relu", False, True, 0., True), [(2, 5, 3)], STATES),
    ("rnn_deep", "RNN(3, 4, num_layers: 4)", nn.RNN(3, 4, 4), [(3, 2, 3)], STATES),
    ("rnn_started", "RNN(3, 4, num_layers: 3, bidirectional: true)", nn.RNN(3, 4, 3, bidirectional=True),
     [(5, 2, 3), (6, 2, 4)], STATES),
    ("gru", "GRU(3, 4)", nn.GRU(3, 4), [(5, 2, 3)], STATES),
    ("gru_options", "GRU(3, 4, num_layers: 2, batch_first: true, bidirectional: true)",
     nn.GRU(3, 4, 2, True, True, 0., True), [(2, 5, 3), (4, 2, 4)], STATES),
    ("lstm", "LSTM(3, 4)", nn.LSTM(3, 4), [(5, 2, 3)], CELLS),
    ("lstm_options", "LSTM(3, 4, num_layers: 2, batch_first: true, bidirectional: true)",
     nn.LSTM(3, 4, 2, True, True, 0., True), [(2, 5, 3), (4, 2, 4), (4, 2, 4)], STARTED_CELLS),
    ("rnn_packed", "RNN(3, 4, bidirectional: true)", nn.RNN(3, 4, bidirectional=True), [(5, 2, 3)], PACKED),
    ("lstm_packed", "LSTM(3, 4)", nn.LSTM(3, 4), [(5, 2, 3)], PACKED_CELLS),
    ("rnncell", 'RNNCell(3, 4, nonlinearity: "relu")', nn.RNNCell(3, 4, nonlinearity="relu"), [(2, 3), (2, 4)]),
    ("grucell", "GRUCell(3, 4)", nn.GRUCell(3, 4), [(2, 3), (2, 4)]),
    ("lstmcell", "LSTMCell(3, 4, bias: false)", nn.LSTMCell(3, 4, bias=False), [(2, 3), (2, 4), (2, 4)],
     (lambda layer, x, h, c: flat(*layer(x, (h, c))), "(h, c) = layer({0}, ({1}, {2})); " + FLAT.format("h, c"))),
    ("encoder_layer", "TransformerEncoderLayer(8, 2, dim_feedforward: 12, dropout: 0.0)",
     nn.TransformerEncoderLayer(8, 2, 12, 0.), [(4, 3, 8)]),
    ("encoder_layer_options",
     "TransformerEncoderLayer(8, 2, 12, 0.0, gelu, layer_norm_eps: 1e-3, batch_first: true, norm_first: true, bias: false)",
     nn.TransformerEncoderLayer(8, 2, 12, 0., "gelu", 1e-3, True, True, False), [(3, 4, 8), (4, 4)],
     (lambda layer, x, m: layer(x, m), "layer({})")),
    ("decoder_layer", "TransformerDecoderLayer(8, 2, 12, 0.0, batch_first: true)",
     nn.TransformerDecoderLayer(8, 2, 12, 0., batch_first=True), [(3, 4, 8), (3, 5, 8)]),
    ("decoder_layer_options", "TransformerDecoderLayer(8, 2, 12, 0.0, norm_first: true)",
     nn.TransformerDecoderLayer(8, 2, 12, 0., norm_first=True), [(4, 3, 8), (5, 3, 8), (4, 4)]),
    ("encoder", "TransformerEncoder(TransformerEncoderLayer(8, 2, 12, 0.0), 2)",
     nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0.), 2, enable_nested_tensor=False), [(4, 3, 8)]),
    ("decoder", "TransformerDecoder(TransformerDecoderLayer(8, 2, 12, 0.0), 2, LayerNorm(8))",
     nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.), 2, nn.LayerNorm(8)), [(4, 3, 8), (5, 3, 8)]),
    ("transformer", "Transformer(8, 2, 2, 1, 12, 0.0, batch_first: true)",
     nn.Transformer(8, 2, 2, 1, 12, 0., batch_first=True), [(3, 4, 8), (3, 5, 8)]),
    ("positions", "SinusoidalPositions(6)", Positions(6), [(2, 4, 6)]),
    ("rotary", "Rotary(6)", Turned(False), [(2, 4, 6)]),
    ("rotary_interleaved", "Rotary(6, interleaved: true)", Turned(True), [(2, 3, 4, 6)]),
    ("pixel_shuffle", "PixelShuffle(2)", nn.PixelShuffle(2), [(2, 8, 3, 2)]),
    ("pixel_unshuffle", "PixelUnshuffle(2)", nn.PixelUnshuffle(2), [(2, 2, 4, 6)]),
    ("channel_shuffle", "ChannelShuffle(2)", nn.ChannelShuffle(2), [(2, 6, 2, 3)]),
    ("upsample", "Upsample(scale_factor: 2)", nn.Upsample(scale_factor=2), [(2, 3, 3, 2)]),
    ("upsample_size", "Upsample(size: (7, 3))", nn.Upsample((7, 3)), [(2, 3, 4, 5)]),
    ("upsample_bilinear", 'Upsample(scale_factor: (2, 3), mode: "bilinear")',
     nn.Upsample(scale_factor=(2, 3), mode="bilinear"), [(2, 3, 3, 2)]),
    ("upsample_corners", 'Upsample(size: (7, 3), mode: "bilinear", align_corners: true)',
     nn.Upsample((7, 3), mode="bilinear", align_corners=True), [(2, 3, 4, 5)]),
    ("upsample_bicubic", 'Upsample(size: (7, 3), mode: "bicubic")', nn.Upsample((7, 3), mode="bicubic"), [(2, 3, 4, 5)]),
    ("unfold", "Unfold((2, 3), dilation: (2, 1), padding: (1, 2), stride: (2, 1))",
     nn.Unfold((2, 3), (2, 1), (1, 2), (2, 1)), [(2, 3, 6, 5)]),
    ("fold", "Fold((6, 5), (2, 3), dilation: (2, 1), padding: (1, 2), stride: (2, 1))",
     nn.Fold((6, 5), (2, 3), (2, 1), (1, 2), (2, 1)), [(2, 18, 21)]),
    # Activations that are blocks.
    *[("_".join([name.lower(), *map(str, hyper)]), f"{name}({', '.join(str(h) if isinstance(h, (int, float)) else repr(h).replace(chr(39), chr(34)) for h in hyper)})",
       getattr(nn, name)(*hyper), [(2, 3, 4, 2)])
      for name, *hyper in [
          ("ReLU",), ("ReLU6",), ("LeakyReLU", 0.2), ("ELU", 0.7), ("CELU", 0.7), ("SELU",), ("SiLU",), ("GELU",), ("GELU", "tanh"),
          ("Mish",), ("Sigmoid",), ("LogSigmoid",), ("Hardsigmoid",), ("Hardswish",), ("Tanh",), ("Hardtanh", -0.5, 0.75),
          ("Softplus", 2.0, 1.5), ("Softsign",), ("Tanhshrink",), ("Hardshrink", 0.3), ("Softshrink", 0.3), ("Threshold", 0.1, 2.0),
          ("GLU", 2), ("Softmax", 1), ("Softmin", 2), ("LogSoftmax", -1), ("Softmax2d",)]],
    ("prelu_one", "PReLU()", nn.PReLU(), [(2, 3, 4)]),
    # Paddings.
    *[(f"{kind.lower()}{n}d", f"{kind}{n}d({tuple(range(1, 2 * n + 1))}{', 0.5' if kind == 'ConstantPad' else ''})",
       getattr(nn, f"{kind}{n}d")(tuple(range(1, 2 * n + 1)), *([.5] if kind == "ConstantPad" else [])), [(2, 2, 7, 6, 4)[:2 + n]])
      for kind in ("ConstantPad", "ZeroPad") for n in (1, 2, 3)],
    *[(f"{kind.lower()}{n}d", f"{kind}{n}d({(1, 2, 2, 0, 1, 1)[:2 * n]})",
       getattr(nn, f"{kind}{n}d")((1, 2, 2, 0, 1, 1)[:2 * n]), [(2, 2, 3, 4, 5)[:2] + (4, 3, 5)[:n]])
      for kind in ("ReflectionPad", "ReplicationPad", "CircularPad") for n in (1, 2, 3)],
    ("reflectionpad_one", "ReflectionPad2d(1)", nn.ReflectionPad2d(1), [(2, 2, 3, 4)]),
    # Norms with a scale alone.
    ("batchnorm2d_no_bias", "BatchNorm2d(3, bias: false)", nn.BatchNorm2d(3, bias=False), [(4, 3, 2, 5)]),
    ("groupnorm_no_bias", "GroupNorm(2, 4, bias: false)", nn.GroupNorm(2, 4, bias=False), [(2, 4, 3)]),
    ("instancenorm1d_no_bias", "InstanceNorm1d(3, affine: true, bias: false)", nn.InstanceNorm1d(3, affine=True, bias=False), [(2, 3, 5)]),
    # Losses.
    ("mse", 'MSELoss("sum")', nn.MSELoss(reduction="sum"), [(3, 4), (3, 4)]),
    ("l1", 'L1Loss("none")', nn.L1Loss(reduction="none"), [(3, 4), (3, 4)]),
    ("smooth_l1", "SmoothL1Loss(beta: 0.5)", nn.SmoothL1Loss(beta=.5), [(3, 4), (3, 4)]),
    ("huber", "HuberLoss(delta: 0.5)", nn.HuberLoss(delta=.5), [(3, 4), (3, 4)]),
    ("poisson", "PoissonNLLLoss()", nn.PoissonNLLLoss(), [(3, 4), torch.rand(3, 4) * 3]),
    ("gaussian", "GaussianNLLLoss(full: true)", nn.GaussianNLLLoss(full=True), [(3, 4), (3, 4), torch.rand(3, 4) + .5]),
    ("cross_entropy", "CrossEntropyLoss()", nn.CrossEntropyLoss(), [(4, 3), torch.tensor([0, 2, 1, 1])]),
    ("cross_entropy_weighted", "CrossEntropyLoss(weight: [0.5, 2.0, 1.5], ignore_index: 1, label_smoothing: 0.1)",
     nn.CrossEntropyLoss(torch.tensor([.5, 2., 1.5]), ignore_index=1, label_smoothing=.1), [(4, 3, 2), torch.tensor([[0, 2], [1, 1], [2, 1], [2, 0]])]),
    ("cross_entropy_none", 'CrossEntropyLoss([0.5, 2.0, 1.5], reduction: "none", label_smoothing: 0.2)',
     nn.CrossEntropyLoss(torch.tensor([.5, 2., 1.5]), reduction="none", label_smoothing=.2), [(4, 3), torch.tensor([0, 2, -100, 1])]),
    ("linear_cross_entropy", "LinearCrossEntropyLoss(3, 4, [2], bias: true, weight: [1.0, 2.0, 0.5, 1.5])",
     nn.LinearCrossEntropyLoss(3, 4, out_features=(2,), bias=True, weight=torch.tensor([1., 2., .5, 1.5])), [(3, 3), torch.tensor([[0, 2], [3, 1], [2, 1]])]),
    ("nll", "NLLLoss()", nn.NLLLoss(), [(4, 3), torch.tensor([0, 2, 1, 1])]),
    ("nll_weighted", "NLLLoss([0.5, 2.0, 1.5], 2)", nn.NLLLoss(torch.tensor([.5, 2., 1.5]), ignore_index=2), [(4, 3, 2), torch.tensor([[0, 2], [1, 1], [2, 1], [2, 0]])]),
    ("bce", "BCELoss([0.5, 2.0, 1.5])", nn.BCELoss(torch.tensor([.5, 2., 1.5])), [(2, 3), torch.rand(2, 3)],
     (lambda layer, x, y: layer(x.sigmoid(), y), "layer(sigmoid({0}), {1})")),
    ("bce_logits", "BCEWithLogitsLoss()", nn.BCEWithLogitsLoss(), [(2, 3), (2, 3)]),
    ("bce_logits_weighted", "BCEWithLogitsLoss(weight: [0.5, 2.0, 1.5], pos_weight: [2.0, 0.5, 3.0])",
     nn.BCEWithLogitsLoss(torch.tensor([.5, 2., 1.5]), pos_weight=torch.tensor([2., .5, 3.])), [(2, 3), torch.rand(2, 3)]),
    ("kl", 'KLDivLoss("batchmean")', nn.KLDivLoss(reduction="batchmean"), [(2, 3), torch.rand(2, 3)]),
    ("soft_margin", "SoftMarginLoss()", nn.SoftMarginLoss(), [(2, 3), torch.tensor([[1., -1, 1], [-1, -1, 1]])]),
    ("multi_margin", "MultiMarginLoss(p: 2.0, margin: 0.5, weight: [0.5, 2.0, 1.5])",
     nn.MultiMarginLoss(2, .5, torch.tensor([.5, 2., 1.5])), [(3, 3), torch.tensor([0, 2, 1])]),
    ("multilabel_margin", "MultiLabelMarginLoss()", nn.MultiLabelMarginLoss(),
     [(3, 4), torch.tensor([[3, 0, -1, 1], [1, -1, 2, 2], [0, 1, 2, 3]])]),
    ("multilabel_soft_margin", "MultiLabelSoftMarginLoss([0.5, 2.0, 1.5])",
     nn.MultiLabelSoftMarginLoss(torch.tensor([.5, 2., 1.5])), [(2, 3), torch.tensor([[1., 0, 1], [0, 0, 1]])]),
    ("cosine", "CosineSimilarity(dim: 2)", nn.CosineSimilarity(dim=2), [(2, 3, 4), (2, 3, 4)]),
    ("pairwise", "PairwiseDistance(p: 3.0, keepdim: true)", nn.PairwiseDistance(3., keepdim=True), [(3, 4), (3, 4)]),
    ("margin_ranking", "MarginRankingLoss(0.5)", nn.MarginRankingLoss(.5), [(4,), (4,), torch.tensor([1., -1, 1, -1])]),
    ("hinge", "HingeEmbeddingLoss(0.5)", nn.HingeEmbeddingLoss(.5), [(4,), torch.tensor([1., -1, 1, -1])]),
    ("cosine_embedding", "CosineEmbeddingLoss(0.1)", nn.CosineEmbeddingLoss(.1), [(4, 3), (4, 3), torch.tensor([1., -1, 1, -1])]),
    ("triplet", "TripletMarginLoss(p: 3.0, swap: true)", nn.TripletMarginLoss(p=3., swap=True), [(4, 3), (4, 3), (4, 3)]),
    ("triplet_distance", "TripletMarginWithDistanceLoss((a, b) => 1.0 - cosine_similarity(a, b), margin: 2.0)",
     nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1. - torch.cosine_similarity(a, b), margin=2.), [(4, 3), (4, 3), (4, 3)]),
    ("ctc", "CTCLoss()", nn.CTCLoss(), [(5, 2, 4), torch.tensor([[1, 1, 2], [3, 2, 1]]), torch.tensor([5, 4]), torch.tensor([3, 2])],
     (lambda layer, x, *rest: layer(x.log_softmax(2), *rest), "layer(log_softmax({0}, 2), {1}, {2}, {3})")),
    # Recurrent layers of any depth, projected.
    ("rnn_deeper", "RNN(3, 4, num_layers: 6)", nn.RNN(3, 4, 6), [(3, 2, 3)], STATES),
    ("lstm_projected", "LSTM(3, 4, num_layers: 2, bidirectional: true, proj_size: 2)",
     nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2), [(5, 2, 3), (4, 2, 2), (4, 2, 4)], STARTED_CELLS),
    # Volumes, and pools by norms.
    ("convt3d", "ConvTranspose3d(2, 4, (2, 3, 2), stride: (1, 2, 1), padding: 1, output_padding: (0, 1, 0), groups: 2)",
     nn.ConvTranspose3d(2, 4, (2, 3, 2), (1, 2, 1), 1, (0, 1, 0), 2), [(2, 2, 3, 3, 4)]),
    ("convt3d_no_bias", "ConvTranspose3d(2, 3, 2, bias: false, dilation: 2)", nn.ConvTranspose3d(2, 3, 2, bias=False, dilation=2), [(1, 2, 3, 2, 3)]),
    ("maxpool3d", "MaxPool3d(2, stride: 1, padding: 1, ceil_mode: true)", nn.MaxPool3d(2, 1, 1, ceil_mode=True), [(2, 2, 4, 3, 5)]),
    ("avgpool3d", "AvgPool3d((2, 3, 2), padding: (1, 1, 0), count_include_pad: false)",
     nn.AvgPool3d((2, 3, 2), padding=(1, 1, 0), count_include_pad=False), [(2, 2, 4, 5, 4)]),
    ("adaptive_avg3d", "AdaptiveAvgPool3d((2, 3, 1))", nn.AdaptiveAvgPool3d((2, 3, 1)), [(2, 2, 4, 5, 3)]),
    ("adaptive_max3d", "AdaptiveMaxPool3d(2)", nn.AdaptiveMaxPool3d(2), [(2, 2, 4, 5, 3)]),
    ("lppool1d", "LPPool1d(2.0, 3)", nn.LPPool1d(2, 3), [(2, 3, 8)]),
    ("lppool3d", "LPPool3d(1.0, 2)", nn.LPPool3d(1, 2), [(1, 2, 4, 4, 2)]),
    ("conv1d_same", 'Conv1d(3, 4, 4, padding: "same", dilation: 3)', nn.Conv1d(3, 4, 4, padding="same", dilation=3), [(2, 3, 9)]),
    ("conv2d_same", 'Conv2d(2, 4, (3, 4), padding: "same", padding_mode: "circular")',
     nn.Conv2d(2, 4, (3, 4), padding="same", padding_mode="circular"), [(2, 2, 7, 6)]),
    ("conv2d_reflect", 'Conv2d(2, 4, 3, stride: 2, padding: (2, 1), padding_mode: "reflect", groups: 2)',
     nn.Conv2d(2, 4, 3, 2, (2, 1), 1, 2, padding_mode="reflect"), [(2, 2, 7, 6)]),
    ("conv2d_valid", 'Conv2d(2, 4, 3, padding: "valid")', nn.Conv2d(2, 4, 3, padding="valid"), [(2, 2, 7, 6)]),
    ("conv3d_replicate", 'Conv3d(2, 3, 3, padding: (1, 2, 0), padding_mode: "replicate", bias: false)',
     nn.Conv3d(2, 3, 3, 1, (1, 2, 0), bias=False, padding_mode="replicate"), [(2, 2, 4, 3, 5)]),
]

tensors, described = {}, []
assert len({case[0] for case in CASES}) == len(CASES)
for seed, (name, net, layer, inputs, *special) in enumerate(CASES):
    torch.manual_seed(seed)
    args = [torch.randint(0, 6, (2, 3)) if s == "ids" else s if torch.is_tensor(s) else torch.randn(s).requires_grad_() for s in inputs]
    for p in layer.parameters():  # away from ones and zeros, which hide mistakes
        p.data += 0.1 * torch.randn_like(p)

    def call():
        return special[0][0](layer, *args) if special else layer(*args)

    state = {k: v.clone() for k, v in layer.state_dict().items()}
    layer.eval()
    out_eval = call().detach().clone()
    layer.train()
    out = call()
    after = {k: v.clone() for k, v in layer.state_dict().items()}
    cot = torch.randn_like(out)
    wrt = {f"param/{k}": p for k, p in layer.named_parameters()}
    wrt |= {f"in/{i}": a for i, a in enumerate(args) if a.requires_grad}
    grads = torch.autograd.grad((out * cot).sum(), list(wrt.values()))
    for k, v in state.items(): tensors[f"{name}/state/{k}"] = v
    for k, v in after.items(): tensors[f"{name}/after/{k}"] = v
    for i, a in enumerate(args): tensors[f"{name}/in/{i}"] = a.detach()
    for k, g in zip(wrt, grads): tensors[f"{name}/grad/{k}"] = g
    tensors |= {f"{name}/eval": out_eval, f"{name}/train": out.detach(), f"{name}/cot": cot}
    moved = [f"x{i} + dx{i}" if a.requires_grad else f"x{i}" for i, a in enumerate(args)]
    body = {"body": special[0][1].replace("{}", ", ".join(moved)).format(*moved)} if special else {}
    described.append({"name": name, "net": net, **body, "state": list(state), "inputs": [list(a.shape) for a in args], "output": list(out.shape)})

here = pathlib.Path(__file__).parent
save_file({k: v.clone().contiguous() for k, v in tensors.items()}, here / "cases.safetensors")
(here / "cases.json").write_text(json.dumps(described, indent=1) + "\n")
