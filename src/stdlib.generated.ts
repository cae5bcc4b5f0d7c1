/** The standard library by import path. Generated from stdlib/ by `node scripts/generate.ts`; do not edit. */
export const STDLIB: Readonly<Record<string, string>> = {
  'std/functional': `// Activations of torch.nn.functional: elementwise, any shape. \`sigmoid\`, \`tanh\`, \`exp\`, ... are primitive operations.

/// max(x, 0). NaN passes through; the gradient at 0 is 0, as in PyTorch (https://pytorch.org/docs/stable/generated/torch.nn.functional.relu.html).
export fn relu(x: f32[...S]) -> f32[...S] => op.relu(x)

/// min(max(x, 0), 6). Gradient 0 at both ends; https://pytorch.org/docs/stable/generated/torch.nn.functional.relu6.html
export fn relu6(x: f32[...S]) -> f32[...S] => hardtanh(x, 0.0, 6.0)

/// x where x > 0, negative_slope * x elsewhere; https://pytorch.org/docs/stable/generated/torch.nn.functional.leaky_relu.html
export fn leaky_relu(x: f32[...S], negative_slope: float = 0.01) -> f32[...S] => select(x > 0.0, x, x * negative_slope)

/// x where x > 0, alpha * (exp(x) - 1) elsewhere; Clevert et al. 2015.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.elu.html
export fn elu(x: f32[...S], alpha: float = 1.0) -> f32[...S] => select(x > 0.0, x, alpha * expm1(not_above_zero(x)))

/// 0 where x > 0: keeps the exponential of the branch that is not taken from overflowing, whose gradient would be 0 * inf.
fn not_above_zero(x: f32[...S]) -> f32[...S] => select(x > 0.0, 0.0, x)

/// max(0, x) + min(0, alpha * (exp(x / alpha) - 1)); Barron 2017; https://pytorch.org/docs/stable/generated/torch.nn.functional.celu.html
export fn celu(x: f32[...S], alpha: float = 1.0) -> f32[...S] =>
  select(x > 0.0, x, alpha * expm1(not_above_zero(x) / alpha))

/// scale * elu(x, alpha) with the fixed point at zero mean and unit variance; Klambauer et al. 2017.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.selu.html
export fn selu(x: f32[...S]) -> f32[...S] => 1.0507009873554805 * elu(x, 1.6732632423543772)

/// x * sigmoid(x), also called swish; Hendrycks & Gimpel 2016; https://pytorch.org/docs/stable/generated/torch.nn.functional.silu.html
export fn silu(x: f32[...S]) -> f32[...S] => x * sigmoid(x)

/// x * Phi(x) with the normal distribution's Phi (\`approximate: "none"\`), or its tanh form (GPT-2's \`gelu_new\`);
/// Hendrycks & Gimpel 2016, https://pytorch.org/docs/stable/generated/torch.nn.GELU.html.
export fn gelu(x: f32[...S], approximate: "none" | "tanh" = "none") -> f32[...S] {
  if approximate == "none" { gelu_erf(x) } else { gelu_tanh(x) }
}

// The gradients are stated as one factor of dy, so that a training step keeps one tensor for them and not two.

fn gelu_erf(x: f32[...S]) -> f32[...S] => 0.5 * x * (1.0 + erf(x * sqrt(0.5)))
grad (dy) => dy * (0.5 * (1.0 + erf(x * sqrt(0.5))) + x * (exp(-0.5 * x * x) * sqrt(0.5 / pi)))

fn gelu_tanh(x: f32[...S]) -> f32[...S] => 0.5 * x * (1.0 + tanh(sqrt(2.0 / pi) * (x + 0.044715 * x * x * x)))
grad (dy) {
  t = tanh(sqrt(2.0 / pi) * (x + 0.044715 * x * x * x))
  dy * (0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * (sqrt(2.0 / pi) * (1.0 + 3.0 * 0.044715 * x * x)))
}

/// log(1 + exp(beta x)) / beta, written so that no exponential overflows: max(z, 0) + log(1 + exp(-|z|)); x itself where
/// beta x is above the threshold.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.softplus.html
export fn softplus(x: f32[...S], beta: float = 1.0, threshold: float = 20.0) -> f32[...S] {
  z = x * beta
  select(z > threshold, x, (maximum(z, 0.0) + log1p(exp(-abs(z)))) / beta)
}

/// log(sigmoid(x)) = min(x, 0) - log(1 + exp(-|x|)); https://pytorch.org/docs/stable/generated/torch.nn.functional.logsigmoid.html
export fn logsigmoid(x: f32[...S]) -> f32[...S] => minimum(x, 0.0) - log1p(exp(-abs(x)))

/// x * tanh(softplus(x)); Misra 2019; https://pytorch.org/docs/stable/generated/torch.nn.functional.mish.html
export fn mish(x: f32[...S]) -> f32[...S] => x * tanh(softplus(x))

/// x / (1 + |x|); https://pytorch.org/docs/stable/generated/torch.nn.functional.softsign.html
export fn softsign(x: f32[...S]) -> f32[...S] => x / (1.0 + abs(x))

/// x - tanh(x); https://pytorch.org/docs/stable/generated/torch.nn.functional.tanhshrink.html
export fn tanhshrink(x: f32[...S]) -> f32[...S] => x - tanh(x)

/// x where |x| > lambd, else 0; https://pytorch.org/docs/stable/generated/torch.nn.functional.hardshrink.html
export fn hardshrink(x: f32[...S], lambd: float = 0.5) -> f32[...S] => select(abs(x) <= lambd, 0.0, x)

/// x moved toward 0 by lambd, 0 within lambd of it; https://pytorch.org/docs/stable/generated/torch.nn.functional.softshrink.html
export fn softshrink(x: f32[...S], lambd: float = 0.5) -> f32[...S] => select(abs(x) <= lambd, 0.0, x - sign(x) * lambd)

/// x limited to min_val..max_val; the gradient is 0 at and beyond the ends (\`clamp\` keeps it at the ends).
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.hardtanh.html
export fn hardtanh(x: f32[...S], min_val: float = -1.0, max_val: float = 1.0) -> f32[...S] =>
  select(x <= min_val, min_val, select(x >= max_val, max_val, x))

/// relu6(x + 3) / 6; Howard et al. 2019; https://pytorch.org/docs/stable/generated/torch.nn.functional.hardsigmoid.html
export fn hardsigmoid(x: f32[...S]) -> f32[...S] => relu6(x + 3.0) / 6.0

/// x * relu6(x + 3) / 6; Howard et al. 2019; https://pytorch.org/docs/stable/generated/torch.nn.functional.hardswish.html
export fn hardswish(x: f32[...S]) -> f32[...S] => x * relu6(x + 3.0) / 6.0

/// x where x > threshold, else value; https://pytorch.org/docs/stable/generated/torch.nn.functional.threshold.html
export fn threshold(x: f32[...S], threshold: float, value: float) -> f32[...S] => select(x <= threshold, value, x)

/// exp(x) / sum(exp(x)) along \`dim\`, computed from x - max(x); https://pytorch.org/docs/stable/generated/torch.nn.functional.softmax.html
export fn softmax(x: f32[...S], dim: int) -> f32[...S] => op.softmax(x, axis: dim)

/// log(softmax(x)) along \`dim\`, without the intermediate; https://pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html
export fn log_softmax(x: f32[...S], dim: int) -> f32[...S] => op.log_softmax(x, axis: dim)

/// softmax(-x) along \`dim\`; https://pytorch.org/docs/stable/generated/torch.nn.functional.softmin.html
export fn softmin(x: f32[...S], dim: int) -> f32[...S] => op.softmax(-x, axis: dim)

/// The first half of x along \`dim\`, gated by the sigmoid of the second half; Dauphin et al. 2016.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.glu.html
export fn glu(x: f32[...S], dim: int = -1) {
  (a, b) = chunk(x, 2, dim)
  a * sigmoid(b)
}

/// max(0, x) + weight * min(0, x): one slope, or one per channel (dim 1); He et al. 2015.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.prelu.html
export fn prelu(x: f32[...S], weight: f32[P]) -> f32[...S] =>
  select(x > 0.0, x, (if P == 1 { weight } else { per_channel(weight, len(S)) }) * x)

/// x where x > 0, else x times a slope: drawn per element in training, the mean of the bounds otherwise; Xu et al. 2015.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.rrelu.html
export fn rrelu(x: f32[...S], lower: float = 0.125, upper: float = 0.3333333333333333) -> f32[...S] {
  slope = if training { rand_like(x) * (upper - lower) + lower } else { (lower + upper) / 2.0 }
  select(x > 0.0, x, x * slope)
}

/// softmax((x + Gumbel noise) / tau) along \`dim\`: a draw from the categorical distribution with logits x, made smooth; with \`hard\` one-hot,
/// with the gradient of the smooth one. Jang et al. 2016.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.gumbel_softmax.html
export fn gumbel_softmax(x: f32[...S], tau: float = 1.0, hard: bool = false, dim: int = -1) -> f32[...S] {
  noise = -log(-log(rand_like(x) * (1.0 - 2e-7) + 1e-7))
  soft = softmax((x + noise) / tau, dim)
  if hard { f32(soft == amax(soft, dim, keepdim: true)) + (soft - stop_gradient(soft)) } else { soft }
}

// Pools to a given size: window i of n along a side of size s is floor(i s / n) .. ceil((i + 1) s / n). A size \`none\` leaves its side as it is.

/// Means over windows that tile the image into output_size parts.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html
export fn adaptive_avg_pool2d(x: f32[N, C, H, W], output_size: (int?, int?)) {
  if output_size.0 == none or output_size.1 == none {
    averaged(averaged(x, 2, output_size.0), 3, output_size.1)
  } else {
    op.adaptive_avg_pool2d(x, output: output_size)
  }
}

/// adaptive_avg_pool2d of sequences [N, C, L]; https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool1d.html
export fn adaptive_avg_pool1d(x: f32[N, C, L], output_size: int) =>
  squeeze(adaptive_avg_pool2d(unsqueeze(x, 2), (1, output_size)), 2)

/// Means over windows that tile the volume into output_size parts: of means along each side, as its windows are equally large.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool3d.html
export fn adaptive_avg_pool3d(x: f32[N, C, D, H, W], output_size: (int?, int?, int?)) => unflatten(
  averaged(flatten(adaptive_avg_planes(x, (output_size.1, output_size.2)), 3, 4), 2, output_size.0),
  3,
  [for i in 1..3: if output_size[i] == none { shape(x)[i + 2] } else { output_size[i] }]
)

fn adaptive_avg_planes(x: f32[N, C, D, H, W], output_size: (int?, int?)) =>
  unflatten(adaptive_avg_pool2d(flatten(x, 1, 2), output_size), 1, [C, D])

/// Means along one side.
fn averaged(x: f32[...S], dim: int, count: int?) {
  if count == none {
    x
  } else {
    last = transpose(x, dim, -1)
    lines = op.reshape(last, shape: [1, prod(S) / S[dim], 1, S[dim]])
    means = op.adaptive_avg_pool2d(lines, output: [1, count])
    transpose(
      op.reshape(means, shape: [for a in 0..len(S): if a + 1 < len(S) { shape(last)[a] } else { count }]),
      dim,
      -1
    )
  }
}

/// Maxima over windows that tile the image into output_size parts; the gradient goes to the first of equals. With \`return_indices\` also
/// where they lie in their plane, row * W + column: (values, indices).
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html
export fn adaptive_max_pool2d(x: f32[N, C, H, W], output_size: (int?, int?), return_indices: bool = false) {
  (y, places) = tops(x, stop_gradient(x), [2, 3], [output_size.0, output_size.1])
  if return_indices { (y, places) } else { y }
}

/// adaptive_max_pool2d of sequences [N, C, L]; https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html
export fn adaptive_max_pool1d(x: f32[N, C, L], output_size: int, return_indices: bool = false) {
  (y, places) = tops(x, stop_gradient(x), [2], [output_size])
  if return_indices { (y, places) } else { y }
}

/// adaptive_max_pool2d of volumes [N, C, D, H, W]: indices are (depth * H + row) * W + column.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool3d.html
export fn adaptive_max_pool3d(x: f32[N, C, D, H, W], output_size: (int?, int?, int?), return_indices: bool = false) {
  (y, places) = tops(x, stop_gradient(x), [2, 3, 4], [output_size.0, output_size.1, output_size.2])
  if return_indices { (y, places) } else { y }
}

/// Maxima and their places, side by side from the last to the first: of equal ones the first in row-major order wins, as in PyTorch.
fn tops(x: f32[...S], seen: f32[...S], dims: [int], counts: [int?]) {
  y = seen
  places = op.broadcast_to(op.constant(value: 0.0, elem: "i32", shape: []), shape: S)
  for i in [for i in 0..len(dims): len(dims) - 1 - i] {
    dim = dims[i]
    at = if counts[i] == none {
      op.iota(shape: shape(y), axis: dim, elem: "i32")
    } else {
      cat([for k in 0..counts[i]: first_top(y, dim, k, counts[i])], dim)
    }
    y = gather(y, dim, at)
    places = gather(places, dim, at) + at * i32(prod([for a in dim + 1..len(S): S[a]]))
  }
  kept = shape(y)
  flat = op.reshape(x, shape: [S[0], S[1], prod([for a in 2..len(S): S[a]])])
  (op.reshape(gather(flat, 2, flatten(places, 2, -1)), shape: kept), places)
}

/// Where along \`dim\` the largest element of window k of \`count\` lies.
fn first_top(x: f32[...S], dim: int, k: int, count: int) {
  start = k * S[dim] / count
  stop = ((k + 1) * S[dim] + count - 1) / count
  argmax(narrow(x, dim, start, stop - start), dim, keepdim: true) + i32(start)
}

// Convolutions as functions of their weights. All rest on the 2-d primitive and its gradient.

/// Elements before and after each side, as pairs from the first side on, of a padding that is given as numbers, "valid" (none) or "same" (the
/// sides keep their size, where the stride is 1; an odd element goes to the end).
export fn conv_padding(padding: [int] | "same" | "valid", kernel_size: [int], dilation: [int]) -> [int] => [
  for i in 0..2 * len(kernel_size): if padding == "valid" {
    0
  } else if padding == "same" {
    (dilation[i / 2] * (kernel_size[i / 2] - 1) + i % 2) / 2
  } else {
    padding[i / 2]
  }
]

/// Cross-correlation of images [N, C, H, W] with kernels [out, in / groups, height, width], zeros around the image as \`conv_padding\` says:
/// [N, out, (H + padding - dilation (height - 1) - 1) / stride + 1, ...]. https://pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html
export fn conv2d(
  x: f32[N, C, H, W],
  weight: f32[O, CG, KH, KW],
  bias: f32[O]? = none,
  stride: (int, int) = 1,
  padding: (int, int) | "same" | "valid" = 0,
  dilation: (int, int) = 1,
  groups: int = 1
) {
  require padding != "same" or (stride.0 == 1 and stride.1 == 1), "padding \\"same\\" needs stride 1"
  y = op.conv2d(
    x,
    weight,
    stride: stride,
    padding: conv_padding(padding, [KH, KW], dilation),
    dilation: dilation,
    groups: groups
  )
  if bias == none { y } else { y + op.reshape(bias, shape: [O, 1, 1]) }
}

/// conv2d of sequences [N, C, L] with kernels [out, in / groups, length]: images of height 1.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html
export fn conv1d(
  x: f32[N, C, L],
  weight: f32[O, CG, K],
  bias: f32[O]? = none,
  stride: int = 1,
  padding: int | "same" | "valid" = 0,
  dilation: int = 1,
  groups: int = 1
) => squeeze(
  conv2d(
    unsqueeze(x, 2),
    unsqueeze(weight, 2),
    bias,
    stride: (1, stride),
    padding: if padding == "same" or padding == "valid" { padding } else { (0, padding) },
    dilation: (1, dilation),
    groups: groups
  ),
  2
)

/// Convolution of sequences that are laid out [T, N, C] with kernels [length, in, out], \`pad\` zeros at both ends; the result is laid out so too.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_tbc.html
export fn conv_tbc(x: f32[T, N, C], weight: f32[K, C, O], bias: f32[O], pad: int = 0) =>
  permute(conv1d(permute(x, [1, 2, 0]), permute(weight, [2, 1, 0]), bias, padding: pad), [2, 0, 1])

/// The sum of tensors of one shape.
fn total(parts: [tensor]) {
  y = parts[0]
  for part in [for i in 1..len(parts): parts[i]] { y = y + part }
  y
}

/// The gradient of conv2d by its input, as a layer: x meets every kernel [in, out / groups, height, width] and the places overlap.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html
export fn conv_transpose2d(
  x: f32[N, C, H, W],
  weight: f32[C, OG, KH, KW],
  bias: f32[O]? = none,
  stride: (int, int) = 1,
  padding: (int, int) = 0,
  output_padding: (int, int) = 0,
  groups: int = 1,
  dilation: (int, int) = 1
) {
  y = op.conv2d_input_grad(
    x,
    weight,
    stride: stride,
    padding: [padding.0, padding.0, padding.1, padding.1],
    dilation: dilation,
    groups: groups,
    input: [
      (H - 1) * stride.0 - 2 * padding.0 + dilation.0 * (KH - 1) + output_padding.0 + 1,
      (W - 1) * stride.1 - 2 * padding.1 + dilation.1 * (KW - 1) + output_padding.1 + 1
    ]
  )
  if bias == none { y } else { y + op.reshape(bias, shape: [O, 1, 1]) }
}

/// conv_transpose2d of sequences [N, C, L] with kernels [in, out / groups, length].
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose1d.html
export fn conv_transpose1d(
  x: f32[N, C, L],
  weight: f32[C, OG, K],
  bias: f32[O]? = none,
  stride: int = 1,
  padding: int = 0,
  output_padding: int = 0,
  groups: int = 1,
  dilation: int = 1
) => squeeze(
  conv_transpose2d(
    unsqueeze(x, 2),
    unsqueeze(weight, 2),
    bias,
    stride: (1, stride),
    padding: (0, padding),
    output_padding: (0, output_padding),
    groups: groups,
    dilation: (1, dilation)
  ),
  2
)

/// The windows of an image as columns: [N, C, H, W] becomes [N, C * kernel elements, windows], windows row by row;
/// https://pytorch.org/docs/stable/generated/torch.nn.Unfold.html.
export fn unfold(
  x: f32[N, C, H, W],
  kernel_size: (int, int),
  dilation: (int, int) = 1,
  padding: (int, int) = 0,
  stride: (int, int) = 1
) {
  padded = pad(x, [padding.1, padding.1, padding.0, padding.0])
  rows = (H + 2 * padding.0 - dilation.0 * (kernel_size.0 - 1) - 1) / stride.0 + 1
  columns = (W + 2 * padding.1 - dilation.1 * (kernel_size.1 - 1) - 1) / stride.1 + 1
  taps = [
    for k in 0..kernel_size.0 * kernel_size.1: op.slice(
      padded,
      start: [0, 0, k / kernel_size.1 * dilation.0, k % kernel_size.1 * dilation.1],
      stop: [
        N,
        C,
        k / kernel_size.1 * dilation.0 + (rows - 1) * stride.0 + 1,
        k % kernel_size.1 * dilation.1 + (columns - 1) * stride.1 + 1
      ],
      step: [1, 1, stride.0, stride.1]
    )
  ]
  reshape(stack(taps, 2), [N, C * kernel_size.0 * kernel_size.1, rows * columns])
}

/// The adjoint of unfold: columns are added where their windows lie; https://pytorch.org/docs/stable/generated/torch.nn.Fold.html.
export fn fold(
  x: f32[N, K, L],
  output_size: (int, int),
  kernel_size: (int, int),
  dilation: (int, int) = 1,
  padding: (int, int) = 0,
  stride: (int, int) = 1
) {
  taps = kernel_size.0 * kernel_size.1
  height = output_size.0 + 2 * padding.0
  width = output_size.1 + 2 * padding.1
  rows = (height - dilation.0 * (kernel_size.0 - 1) - 1) / stride.0 + 1
  columns = (width - dilation.1 * (kernel_size.1 - 1) - 1) / stride.1 + 1
  windows = reshape(x, [N, K / taps, taps, rows, columns])
  placed = [
    for k in 0..taps: op.pad(
      squeeze(narrow(windows, 2, k, 1), 2),
      low: [0, 0, k / kernel_size.1 * dilation.0, k % kernel_size.1 * dilation.1],
      high: [
        0,
        0,
        height - k / kernel_size.1 * dilation.0 - (rows - 1) * stride.0 - 1,
        width - k % kernel_size.1 * dilation.1 - (columns - 1) * stride.1 - 1
      ],
      gap: [0, 0, stride.0 - 1, stride.1 - 1]
    )
  ]
  narrow(narrow(total(placed), 2, padding.0, output_size.0), 3, padding.1, output_size.1)
}

// The loss of sequences whose alignment is not known.

/// -log of the probability that the frames spell the target, over all alignments with blanks between the labels; Graves et al. 2006,
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.ctc_loss.html. \`log_probs\` is [T, N, C], \`targets\` [N, L] padded with
/// anything; "mean" divides each loss by the length of its target first.
export fn ctc_loss(
  log_probs: f32[T, N, C],
  targets: i32[N, L],
  input_lengths: i32[N],
  target_lengths: i32[N],
  blank: int = 0,
  reduction: Reduction = "mean",
  zero_infinity: bool = false
) {
  // Labels with a blank before, between and after them: state s is label (s - 1) / 2 where s is odd.
  s = arange(2 * L + 1)
  odd = s % 2 == 1
  states = select(odd, take(pad_labels(targets), s / 2, axis: 1), blank)
  known = select(s < 2 * unsqueeze(target_lengths, 1) + 1, states, blank)
  // From two states back only where a different label stands there.
  before = take(known, maximum(s - 2, 0), axis: 1)
  skips = s >= 2 and odd and known != before
  frame = log_probs[0]
  low = -1e30
  alpha = select(s < 2 and s < 2 * unsqueeze(target_lengths, 1) + 1, gather(frame, 1, known), low)
  for t in 0..T {
    one = select(s >= 1, take(alpha, maximum(s - 1, 0), axis: 1), low)
    two = select(skips, take(alpha, maximum(s - 2, 0), axis: 1), low)
    next = logsumexp(stack([alpha, one, two]), 0) + gather(log_probs[t], 1, known)
    alpha = select(unsqueeze(t >= 1 and input_lengths > t, 1), maximum(next, low), alpha)
  }
  last = 2 * unsqueeze(target_lengths, 1)
  ends = logsumexp(select(s == last or s == last - 1, alpha, low), 1)
  impossible = ends < low / 2.0
  loss = select(impossible, if zero_infinity { 0.0 } else { inf }, -ends)
  if reduction == "mean" { mean(loss / f32(maximum(target_lengths, 1))) } else { reduced(loss, reduction) }
}

/// One more column, so that the state after the last label has something to read.
fn pad_labels(targets: i32[N, L]) => cat([targets, targets[:, :1]], 1)

// Dropout: in training elements or whole channels are taken away at random; otherwise the identity.

/// In training, each element is 0 with probability p and the others are divided by 1 - p; otherwise the identity.
/// Srivastava et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout.html
export fn dropout(x: f32[...S], p: float = 0.5) -> f32[...S] {
  if training and p > 0.0 { kept(x, rand_like(x) >= p, p) } else { x }
}

/// Dropout of whole channels of [N, C, ...S]; Tompson et al. 2014, https://pytorch.org/docs/stable/nn.functional.html#dropout-functions
export fn feature_dropout(x: f32[N, C, ...S], p: float = 0.5) -> f32[N, C, ...S] {
  if training and p > 0.0 { kept(x, rand_like(channel_of(x)) >= p, p) } else { x }
}

/// feature_dropout of sequences [N, C, L]; https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout1d.html
export fn dropout1d(x: f32[N, C, L], p: float = 0.5) -> f32[N, C, L] => feature_dropout(x, p)

/// feature_dropout of images [N, C, H, W]; https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout2d.html
export fn dropout2d(x: f32[N, C, H, W], p: float = 0.5) -> f32[N, C, H, W] => feature_dropout(x, p)

/// feature_dropout of volumes [N, C, D, H, W]; https://pytorch.org/docs/stable/generated/torch.nn.functional.dropout3d.html
export fn dropout3d(x: f32[N, C, D, H, W], p: float = 0.5) -> f32[N, C, D, H, W] => feature_dropout(x, p)

/// Dropout for SELU networks: dropped elements become selu's lower limit, and an affine map keeps mean 0 and variance 1;
/// Klambauer et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.functional.alpha_dropout.html
export fn alpha_dropout(x: f32[...S], p: float = 0.5) -> f32[...S] {
  if training and p > 0.0 { kept_or_low(x, rand_like(x) >= p, p) } else { x }
}

/// alpha_dropout of whole channels of [N, C, ...S]; https://pytorch.org/docs/stable/generated/torch.nn.functional.feature_alpha_dropout.html
export fn feature_alpha_dropout(x: f32[N, C, ...S], p: float = 0.5) -> f32[N, C, ...S] {
  if training and p > 0.0 { kept_or_low(x, rand_like(channel_of(x)) >= p, p) } else { x }
}

fn kept(x: f32[...S], keep: bool[...M], p: float) -> f32[...S] =>
  if p >= 1.0 { x * 0.0 } else { select(keep, x * (1.0 / (1.0 - p)), 0.0) }

fn kept_or_low(x: f32[...S], keep: bool[...M], p: float) -> f32[...S] {
  low = -1.7580993408473766
  a = if p >= 1.0 { 0.0 } else { 1.0 / sqrt((1.0 - p) * (1.0 + p * low * low)) }
  select(keep, x, low) * a - a * low * p
}

/// Something with one element per channel, as [N, C, 1, ...].
fn channel_of(x: f32[N, C, ...S]) =>
  full([for a in 0..len(S) + 2: if a == 0 { N } else if a == 1 { C } else { 1 }], 0.0)

// Tables of vectors that are read by indices.

/// Rows of \`weight\`, one per index: [...] to [..., D]; https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html.
/// The row \`padding_idx\` gets no gradient. Rows whose norm of order \`norm_type\` is above \`max_norm\` are read shortened to it, with the gradient of the
/// shortened row; PyTorch also stores them shortened. \`scale_grad_by_freq\` divides the gradient of a row by how often it is read.
export fn embedding(
  input: i32[...S],
  weight: f32[V, D],
  padding_idx: int? = none,
  max_norm: float? = none,
  norm_type: float = 2.0,
  scale_grad_by_freq: bool = false
) -> f32[...S, D] {
  table = if padding_idx == none {
    weight
  } else {
    select(unsqueeze(arange(V) == row_of(padding_idx, V), 1), stop_gradient(weight), weight)
  }
  read = take(table, input, axis: 0)
  rows = if max_norm == none { read } else { shortened(read, max_norm, norm_type) }
  if scale_grad_by_freq { by_frequency(rows, take(f32(uses(input, V)), input, axis: 0)) } else { rows }
}

/// A row as an index from the front.
fn row_of(i: int, rows: int) -> int => if i < 0 { i + rows } else { i }

/// Rows no longer than \`most\`. As in PyTorch, which changes the table before it reads it, the gradient is that of the shortened rows.
fn shortened(rows: f32[...S], most: float, p: float) -> f32[...S] {
  size = norm(rows, p: p, dim: -1, keepdim: true)
  rows * select(size > most, most / (size + 1e-7), 1.0)
}
grad (dy) => dy

/// How often each of n indices occurs.
fn uses(indices: i32[...S], n: int) -> i32[n] =>
  op.scatter_add(op.reshape(indices, shape: [prod(S)]), op.constant(value: 1.0, elem: "i32", shape: [prod(S)]), size: n)

fn by_frequency(rows: f32[...S, D], uses: f32[...S]) -> f32[...S, D] => rows
grad (dy) => (dy / unsqueeze(uses, -1), 0.0)

/// The rows of a bag of indices, reduced; https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html. Bags are the rows of
/// \`input\` [B, L], or with \`offsets\` [B] parts of a list [L], each from its offset to before the next one (with include_last_offset there is
/// one more, the end): both give [B, D]. \`per_sample_weights\`, shaped as the input, scale rows before a sum; rows of \`padding_idx\`
/// do not count. A bag without rows gives 0. For max_norm, norm_type and scale_grad_by_freq see \`embedding\`.
export fn embedding_bag(
  input: i32[...S],
  weight: f32[V, D],
  offsets: i32[N]? = none,
  max_norm: float? = none,
  norm_type: float = 2.0,
  scale_grad_by_freq: bool = false,
  mode: "sum" | "mean" | "max" = "mean",
  per_sample_weights: f32[...S]? = none,
  include_last_offset: bool = false,
  padding_idx: int? = none
) {
  require per_sample_weights == none or mode == "sum", "per_sample_weights are for mode \\"sum\\""
  require offsets == none or len(S) == 1, "with offsets the input is one list of indices"
  require offsets != none or len(S) == 2, "without offsets the input is a matrix whose rows are bags"

  read = embedding(input, weight, none, max_norm, norm_type, scale_grad_by_freq)
  rows = if per_sample_weights == none { read } else { read * unsqueeze(per_sample_weights, -1) }
  counts = if padding_idx == none { input == input } else { input != row_of(padding_idx, V) }
  if offsets == none {
    bags_of_rows(rows, unsqueeze(counts, -1), mode)
  } else {
    bags_of_parts(rows, counts, if include_last_offset { offsets[:-1] } else { offsets }, mode)
  }
}

fn bags_of_rows(rows: f32[B, L, D], counts: bool[B, L, 1], mode: "sum" | "mean" | "max") -> f32[B, D] {
  if mode == "max" {
    finite_or_zero(amax(select(counts, rows, -inf), 1))
  } else if mode == "sum" {
    sum(select(counts, rows, 0.0), 1)
  } else {
    sum(select(counts, rows, 0.0), 1) / maximum(sum(f32(counts), 1), 1.0)
  }
}

fn bags_of_parts(rows: f32[L, D], counts: bool[L], offsets: i32[B], mode: "sum" | "mean" | "max") -> f32[B, D] {
  // The bag of a place: how many offsets lie at it or before, less one.
  bag = cumsum(uses(offsets, L), 0) - 1
  if mode == "max" {
    mine = unsqueeze(arange(B), 1) == bag and counts
    finite_or_zero(amax(select(unsqueeze(mine, 2), rows, -inf), 1))
  } else {
    total = index_add(full([B, D], 0.0), 0, bag, select(unsqueeze(counts, 1), rows, 0.0))
    if mode == "sum" {
      total
    } else {
      total / unsqueeze(maximum(index_add(full([B], 0.0), 0, bag, f32(counts)), 1.0), 1)
    }
  }
}

fn finite_or_zero(x: f32[...S]) -> f32[...S] => select(x == -inf, 0.0, x)

// Images [N, C, H, W]: channels to pixels and back.

/// Channels become pixels: [N, C r^2, H, W] to [N, C, H r, W r]; Shi et al. 2016.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.pixel_shuffle.html
export fn pixel_shuffle(x: f32[N, C, H, W], upscale_factor: int) {
  require upscale_factor > 0, "upscale_factor is {upscale_factor}: one at least"
  r = upscale_factor
  split = reshape(x, [N, C / (r * r), r, r, H, W])
  reshape(permute(split, [0, 1, 4, 2, 5, 3]), [N, C / (r * r), H * r, W * r])
}

/// Undoes pixel_shuffle: [N, C, H, W] to [N, C r^2, H / r, W / r].
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.pixel_unshuffle.html
export fn pixel_unshuffle(x: f32[N, C, H, W], downscale_factor: int) {
  require downscale_factor > 0, "downscale_factor is {downscale_factor}: one at least"
  r = downscale_factor
  split = reshape(x, [N, C, H / r, r, W / r, r])
  reshape(permute(split, [0, 1, 3, 5, 2, 4]), [N, C * r * r, H / r, W / r])
}

/// Deals the channels out to \`groups\` in turn; Zhang et al. 2017 (ShuffleNet).
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.channel_shuffle.html
export fn channel_shuffle(x: f32[N, C, ...S], groups: int) =>
  flatten(transpose(unflatten(x, 1, [groups, C / groups]), 1, 2), 1, 2)

// Elements picked by tensors of indices, and orders. An index outside reads NaN (0 for integers) and writes nothing.

/// The flat position in a tensor of shape S of element \`index\` along \`dim\`, the other coordinates being those of \`index\`;
/// -1 where it is outside.
fn flat_position(index: i32[...I], shape: [int], dim: int) {
  n = shape[dim]
  at = index * 0
  for a in [for a in 0..len(shape): a] {
    at = at * i32(shape[a]) + (if a == dim { index } else { op.iota(shape: I, axis: a, elem: "i32") })
  }
  select(index >= 0 and index < i32(n), at, -1)
}

/// out[i, j, ...] = x[index[i, j, ...], j, ...] for dim 0, and so on; https://pytorch.org/docs/stable/generated/torch.gather.html
export fn gather(x: E[...S], dim: int, index: i32[...I]) =>
  take(op.reshape(x, shape: [prod(S)]), flat_position(index, S, axis_of(dim, len(S))), axis: 0)

/// \`gather\` under NumPy's name and order; https://pytorch.org/docs/stable/generated/torch.take_along_dim.html
export fn take_along_dim(x: E[...S], index: i32[...I], dim: int) => gather(x, dim, index)

/// x, to which src[i, j, ...] is added at index[i, j, ...] along \`dim\`, in row-major order;
/// https://pytorch.org/docs/stable/generated/torch.Tensor.scatter_add_.html
export fn scatter_add(x: f32[...S], dim: int, index: i32[...I], src: f32[...I]) -> f32[...S] {
  at = flat_position(index, S, axis_of(dim, len(S)))
  flat =
    op.index_add(op.reshape(x, shape: [prod(S)]), op.reshape(at, shape: [prod(I)]), op.reshape(src, shape: [prod(I)]))
  op.reshape(flat, shape: S)
}

/// x, to which slices are added at indices along \`dim\`; https://pytorch.org/docs/stable/generated/torch.Tensor.index_add_.html
export fn index_add(x: f32[...S], dim: int, index: i32[N], source: f32[...T]) -> f32[...S] =>
  op.index_add(x, index, source, axis: dim)

/// Slices of x at indices along \`dim\`; https://pytorch.org/docs/stable/generated/torch.index_select.html
export fn index_select(x: E[...S], dim: int, index: i32[N]) => take(x, index, axis: dim)

/// value where the mask is true, else x; https://pytorch.org/docs/stable/generated/torch.Tensor.masked_fill_.html
export fn masked_fill(x: f32[...S], mask: bool[...M], value: float) => select(mask, value, x)

/// Elements moved by \`shifts\` along \`dims\`, those that leave at one end entering at the other.
/// https://pytorch.org/docs/stable/generated/torch.roll.html
export fn roll(x: E[...S], shifts: [int], dims: [int]) {
  y = x
  for i in [for i in 0..len(dims): i] { y = rolled(y, shifts[i], axis_of(dims[i], len(S))) }
  y
}

fn rolled(x: E[...S], shift: int, dim: int) {
  k = shift % S[dim]
  if k == 0 { x } else { cat([narrow(x, dim, S[dim] - k, k), narrow(x, dim, 0, S[dim] - k)], dim) }
}

/// x side by side, reps[i] times along dim i; more repetitions than dims add dims in front, fewer count from the last dim:
/// https://pytorch.org/docs/stable/generated/torch.tile.html, and Tensor.repeat. (\`repeat\` takes a pattern.)
export fn tile(x: E[...S], reps: [int]) {
  rank = max(len(reps), len(S))
  shape = [for a in 0..rank: if a < rank - len(S) { 1 } else { S[a - rank + len(S)] }]
  times = [for a in 0..rank: if a < rank - len(reps) { 1 } else { reps[a - rank + len(reps)] }]
  pairs = [for i in 0..2 * rank: if i % 2 == 0 { 1 } else { shape[i / 2] }]
  spread = [for i in 0..2 * rank: if i % 2 == 0 { times[i / 2] } else { shape[i / 2] }]
  op.reshape(op.broadcast_to(op.reshape(x, shape: pairs), shape: spread), shape: [
    for a in 0..rank: times[a] * shape[a]
  ])
}

/// Each element \`repeats\` times in a row along \`dim\`; https://pytorch.org/docs/stable/generated/torch.repeat_interleave.html
export fn repeat_interleave(x: E[...S], repeats: int, dim: int) {
  at = axis_of(dim, len(S))
  y = unsqueeze(x, at + 1)
  spread = [for a in 0..len(S) + 1: if a <= at { S[a] } else if a == at + 1 { repeats } else { S[a - 1] }]
  flatten(op.broadcast_to(y, shape: spread), at, at + 1)
}

/// x_1, x_1 + x_2, ... along \`dim\`; https://pytorch.org/docs/stable/generated/torch.cumsum.html
export fn cumsum(x: E[...S], dim: int) => op.cumsum(x, axis: dim)

/// x_1, x_1 x_2, ... along \`dim\`; https://pytorch.org/docs/stable/generated/torch.cumprod.html
export fn cumprod(x: f32[...S], dim: int) {
  at = axis_of(dim, len(S))
  first = op.iota(shape: [for a in 0..len(S): if a == at { S[a] } else { 1 }], axis: at) == 0
  op.recurrence(x, select(first, x, 0.0), axis: at)
}

/// log(exp(x_1)), log(exp(x_1) + exp(x_2)), ... along \`dim\`: each sum is kept relative to the largest element so far.
/// https://pytorch.org/docs/stable/generated/torch.logcumsumexp.html
export fn logcumsumexp(x: f32[...S], dim: int) {
  at = axis_of(dim, len(S))
  most = stop_gradient(op.cummax(x, axis: at))
  base = select(op.is_inf(most), 0.0, most)
  // What the sums before are worth when the base rises; nothing where they are sums of nothing.
  before = op.pad(base, low: [for a in 0..len(S): if a == at { 1 } else { 0 }], high: [for a in S: 0])
  worth = exp(narrow(before, at, 0, S[at]) - base)
  empty = op.pad(most, low: [for a in 0..len(S): if a == at { 1 } else { 0 }], high: [for a in S: 0], value: -inf)
  kept = select(narrow(empty, at, 0, S[at]) == -inf, 0.0, worth)
  log(op.recurrence(kept, exp(x - base), axis: at)) + base
}

/// (values, indices): the largest element so far along \`dim\`, the later of equals, NaN from the first NaN on, and where it is.
/// https://pytorch.org/docs/stable/generated/torch.cummax.html
export fn cummax(x: f32[...S], dim: int) {
  values = op.cummax(x, axis: axis_of(dim, len(S)))
  (values, places_of_records(x, values, axis_of(dim, len(S))))
}

/// (values, indices): the smallest element so far along \`dim\`, as \`cummax\`; https://pytorch.org/docs/stable/generated/torch.cummin.html
export fn cummin(x: f32[...S], dim: int) {
  values = op.cummin(x, axis: axis_of(dim, len(S)))
  (values, places_of_records(x, values, axis_of(dim, len(S))))
}

fn places_of_records(x: f32[...S], values: f32[...S], axis: int) =>
  op.cummax(select(x == values or op.is_nan(x), op.iota(shape: S, axis: axis), 0), axis: axis)

/// Where in a sorted line each value belongs: the first place that keeps it sorted, or the last with \`right\`. The lines are along the last
/// dim, one for all values or one for each line of values; https://pytorch.org/docs/stable/generated/torch.searchsorted.html
export fn searchsorted(sorted_sequence: E[...L, N], values: E[...S], right: bool = false) {
  line = if len(L) == 0 { sorted_sequence } else { unsqueeze(sorted_sequence, -2) }
  v = unsqueeze(values, -1)
  // A NaN is after everything.
  op.sum(i32(not (if right { line > v } else { line >= v })), axes: [len(S)])
}

/// Which interval of \`boundaries\` each element is in: \`searchsorted\` with its arguments in another order;
/// https://pytorch.org/docs/stable/generated/torch.bucketize.html
export fn bucketize(input: E[...S], boundaries: E[N], right: bool = false) => searchsorted(boundaries, input, right)

/// (values, indices) in ascending or descending order along \`dim\`, stable, NaN as the largest;
/// https://pytorch.org/docs/stable/generated/torch.sort.html
export fn sort(x: E[...S], dim: int = -1, descending: bool = false) {
  indices = argsort(x, dim, descending)
  (gather(x, dim, indices), indices)
}

/// (values, indices) of the k largest (or smallest) elements along \`dim\`, in order;
/// https://pytorch.org/docs/stable/generated/torch.topk.html
export fn topk(x: E[...S], k: int, dim: int = -1, largest: bool = true) {
  indices = narrow(argsort(x, dim, largest), dim, 0, k)
  (gather(x, dim, indices), indices)
}

/// The indices that sort x along \`dim\`, stable; https://pytorch.org/docs/stable/generated/torch.argsort.html
export fn argsort(x: E[...S], dim: int = -1, descending: bool = false) =>
  op.argsort(x, axis: dim, descending: descending)

/// The element in the middle of the order along \`dim\` (the lower of two) and its index;
/// https://pytorch.org/docs/stable/generated/torch.median.html
export fn median(x: f32[...S], dim: int = -1) {
  (values, indices) = sort(x, dim)
  (squeeze(narrow(values, dim, (S[dim] - 1) / 2, 1), dim), squeeze(narrow(indices, dim, (S[dim] - 1) / 2, 1), dim))
}

// The arithmetic of layers as functions of their parameters: what the blocks of std/nn call, and what a user calls with weights of his own.

/// x @ weight^T + bias over the last dim;
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.linear.html.
/// Leading dims are joined first: the weight's gradient is then one matrix product.
export fn linear(x: f32[...B, I], weight: f32[O, I], bias: f32[O]? = none) -> f32[...B, O] {
  rows = op.reshape(x, shape: [prod(B), I])
  y = matmul(rows, weight, transpose_b: true)
  z = if bias == none { y } else { y + bias }
  op.reshape(z, shape: [for a in 0..len(B) + 1: if a < len(B) { B[a] } else { O }])
}

/// One number per channel, shaped so that it broadcasts over [N, C, ...S].
export fn per_channel(v: f32[C], rank: int) => op.reshape(v, shape: [for a in 0..rank: if a == 1 { C } else { 1 }])

/// (x - mean) / sqrt(var + eps) per channel (dim 1) with the given statistics, then weight * . + bias.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.batch_norm.html
export fn batch_norm(
  x: f32[N, C, ...S],
  mean: f32[C],
  var: f32[C],
  weight: f32[C]? = none,
  bias: f32[C]? = none,
  eps: float = 1e-5
) -> f32[N, C, ...S] {
  rank = len(S) + 2
  scale = if weight == none { rsqrt(var + eps) } else { rsqrt(var + eps) * weight }
  y = (x - per_channel(mean, rank)) * per_channel(scale, rank)
  if bias == none { y } else { y + per_channel(bias, rank) }
}

/// (x - mean) / sqrt(var + eps) over the last dims, which are \`normalized_shape\`, then weight * . + bias; Ba et al. 2016.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.layer_norm.html
export fn layer_norm(
  x: f32[...B, ...normalized_shape],
  normalized_shape: [int],
  weight: f32[...normalized_shape]? = none,
  bias: f32[...normalized_shape]? = none,
  eps: float = 1e-5
) -> f32[...B, ...normalized_shape] {
  (centre, biased) = op.moments(x, axes: [for a in 0..len(normalized_shape): a + len(B)], keepdims: true)
  y = (x - centre) * rsqrt(biased + eps)
  z = if weight == none { y } else { y * weight }
  if bias == none { z } else { z + bias }
}

/// Groups of channels of [N, C, ...S], each with its positions, are normalised to mean 0 and variance 1, then weight * . + bias
/// per channel; Wu & He 2018; https://pytorch.org/docs/stable/generated/torch.nn.functional.group_norm.html
export fn group_norm(
  x: f32[N, C, ...S],
  num_groups: int,
  weight: f32[C]? = none,
  bias: f32[C]? = none,
  eps: float = 1e-5
) -> f32[N, C, ...S] {
  rows = op.reshape(x, shape: [N, num_groups, C / num_groups * prod(S)])
  (centre, biased) = op.moments(rows, axes: [2], keepdims: true)
  y = reshape((rows - centre) * rsqrt(biased + eps), [
    for a in 0..len(S) + 2: if a == 0 { N } else if a == 1 { C } else { S[a - 2] }
  ])
  scaled = if weight == none { y } else { y * per_channel(weight, len(S) + 2) }
  if bias == none { scaled } else { scaled + per_channel(bias, len(S) + 2) }
}

/// Every channel of every sample is normalised over its positions; Ulyanov et al. 2016.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.instance_norm.html
export fn instance_norm(
  x: f32[N, C, ...S],
  weight: f32[C]? = none,
  bias: f32[C]? = none,
  eps: float = 1e-5
) -> f32[N, C, ...S] {
  (centre, biased) = op.moments(x, axes: [for a in 0..len(S): a + 2], keepdims: true)
  y = (x - centre) * rsqrt(biased + eps)
  scaled = if weight == none { y } else { y * per_channel(weight, len(S) + 2) }
  if bias == none { scaled } else { scaled + per_channel(bias, len(S) + 2) }
}

/// x / sqrt(mean(x^2) + eps) over the last dims, which are \`normalized_shape\`, then times weight; Zhang & Sennrich 2019. \`eps\` none
/// is the smallest step of f32 at 1; https://pytorch.org/docs/stable/generated/torch.nn.functional.rms_norm.html
export fn rms_norm(
  x: f32[...B, ...normalized_shape],
  normalized_shape: [int],
  weight: f32[...normalized_shape]? = none,
  eps: float? = none
) -> f32[...B, ...normalized_shape] {
  square = mean(x * x, [for a in 0..len(normalized_shape): a + len(B)], keepdim: true)
  y = x * rsqrt(square + (if eps == none { 1.1920928955078125e-7 } else { eps }))
  if weight == none { y } else { y * weight }
}

/// x / (k + alpha mean of x^2 over \`size\` neighbouring channels)^beta, zeros beyond the ends; Krizhevsky et al. 2012.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.local_response_norm.html
export fn local_response_norm(
  x: f32[N, C, ...S],
  size: int,
  alpha: float = 1e-4,
  beta: float = 0.75,
  k: float = 1.0
) -> f32[N, C, ...S] {
  around = pad(x * x, [
    for i in 0..2 * len(S) + 2: if i < 2 * len(S) { 0 } else if i == 2 * len(S) { size / 2 } else { (size - 1) / 2 }
  ])
  x / pow(k + alpha / float(size) * total([for i in 0..size: narrow(around, 1, i, C)]), beta)
}

/// x1^T A_o x2 + bias_o for each output o, over the last dims; https://pytorch.org/docs/stable/generated/torch.nn.functional.bilinear.html
export fn bilinear(x1: f32[...B, I], x2: f32[...B, J], weight: f32[O, I, J], bias: f32[O]? = none) -> f32[...B, O] {
  left = op.reshape(x1, shape: [prod(B), I])
  right = op.reshape(x2, shape: [prod(B), J])
  // [rows, O, J]: what each output makes of x1.
  seen = reshape(left @ op.reshape(op.transpose(weight, perm: [1, 0, 2]), shape: [I, O * J]), [prod(B), O, J])
  y = sum(seen * unsqueeze(right, 1), 2)
  z = if bias == none { y } else { y + bias }
  op.reshape(z, shape: [for a in 0..len(B) + 1: if a < len(B) { B[a] } else { O }])
}

/// softmax(query key^T * scale + mask) value; Vaswani et al. 2017,
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html.
/// \`scale\` is 1 / sqrt(E) by default. \`attn_mask\` is true for keys that a query may see, or numbers that are added to the scores; \`is_causal\` hides
/// the keys after the query. A query that sees nothing gets zeros. With \`enable_gqa\` query [..., H, L, E] has a multiple of the heads of key and
/// value [..., G, M, .], whose heads serve H / G neighbouring ones each. \`dropout_p\` acts in training only.
export fn scaled_dot_product_attention(
  query: f32[...B, L, E],
  key: f32[...K, M, E],
  value: f32[...K, M, V],
  attn_mask: T[...A]? = none,
  dropout_p: float = 0.0,
  is_causal: bool = false,
  scale: float? = none,
  enable_gqa: bool = false
) -> f32[...B, L, V] {
  factor = if scale == none { 1.0 / sqrt(float(E)) } else { scale }
  (k, v) = if enable_gqa { (head_for_each(key, B), head_for_each(value, B)) } else { (key, value) }
  if training and dropout_p > 0.0 {
    op.attention_dropout(query, k, v, attn_mask, causal: is_causal, scale: factor, p: dropout_p)
  } else {
    op.attention(query, k, v, attn_mask, causal: is_causal, scale: factor)
  }
}

/// The weights of scaled_dot_product_attention, softmax(query key^T * scale + mask), with its arguments.
export fn attention_weights(
  query: f32[...B, L, E],
  key: f32[...B, M, E],
  attn_mask: T[...A]? = none,
  is_causal: bool = false,
  scale: float? = none
) -> f32[...B, L, M] {
  scores = matmul(query, key, transpose_b: true) * (if scale == none { 1.0 / sqrt(float(E)) } else { scale })
  masked = if attn_mask == none {
    scores
  } else if T == bool {
    select(attn_mask, scores, -inf)
  } else {
    scores + attn_mask
  }
  visible = if is_causal { select(column(masked) > row(masked), -inf, masked) } else { masked }
  if attn_mask == none {
    softmax(visible, -1)
  } else {
    blind = amax(visible, -1, keepdim: true) == -inf
    select(blind, 0.0, softmax(select(blind, 0.0, visible), -1))
  }
}

/// Heads of keys or values, each repeated for the neighbouring queries' heads that share it; \`batch\` are the queries' leading dims.
fn head_for_each(x: f32[...K, M, E], batch: [int]) {
  require batch[-1] % K[-1] == 0, "the heads of the queries must be a multiple of those of keys and values"
  repeat_interleave(x, batch[-1] / K[-1], -3)
}

/// A boolean mask (true: may be seen) as one to be added to scores: 0 where true, -infinity where false.
export fn additive_mask(visible: bool[...S]) -> f32[...S] => select(visible, 0.0, -inf)

// Losses between numbers. \`reduction\` is "mean", "sum" or "none" (each element's loss), known while compiling.

/// What becomes of the losses of the elements: \`reduction\` of https://pytorch.org/docs/stable/nn.functional.html#loss-functions.
export type Reduction = "mean" | "sum" | "none"

fn reduced(loss: f32[...S], reduction: Reduction) =>
  if reduction == "mean" { mean(loss) } else if reduction == "sum" { sum(loss) } else { loss }

/// The mean is divided by the sum of the weights instead of their number.
fn weighted(loss: f32[...S], weight: f32[...S]?, reduction: Reduction) {
  if weight == none {
    reduced(loss, reduction)
  } else if reduction == "mean" {
    sum(loss * weight) / sum(weight)
  } else {
    reduced(loss * weight, reduction)
  }
}

/// Times \`weight\`, where there is one.
fn rescaled(loss: f32[...S], weight: f32[...W]?) => if weight == none { loss } else { loss * weight }

/// (input - target)^2; https://pytorch.org/docs/stable/generated/torch.nn.functional.mse_loss.html
export fn mse_loss(input: f32[...S], target: f32[...S], reduction: Reduction = "mean", weight: f32[...S]? = none) {
  d = input - target
  weighted(d * d, weight, reduction)
}

/// |input - target|; https://pytorch.org/docs/stable/generated/torch.nn.functional.l1_loss.html
export fn l1_loss(input: f32[...S], target: f32[...S], reduction: Reduction = "mean", weight: f32[...S]? = none) =>
  weighted(abs(input - target), weight, reduction)

/// d^2 / (2 beta) where |d| < beta, |d| - beta / 2 elsewhere, d being input - target; Girshick 2015,
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.smooth_l1_loss.html
export fn smooth_l1_loss(input: f32[...S], target: f32[...S], reduction: Reduction = "mean", beta: float = 1.0) {
  d = abs(input - target)
  if beta == 0.0 {
    reduced(d, reduction)
  } else {
    reduced(select(d < beta, 0.5 * d * d / beta, d - 0.5 * beta), reduction)
  }
}

/// d^2 / 2 where |d| < delta, delta * (|d| - delta / 2) elsewhere, d being input - target; Huber 1964,
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.huber_loss.html. \`weight\` scales the elements; the mean is over their number.
export fn huber_loss(
  input: f32[...S],
  target: f32[...S],
  reduction: Reduction = "mean",
  delta: float = 1.0,
  weight: f32[...S]? = none
) {
  d = abs(input - target)
  reduced(rescaled(select(d < delta, 0.5 * d * d, delta * (d - 0.5 * delta)), weight), reduction)
}

/// exp(x) - t x for the logarithm x of a Poisson rate (x - t log(x + eps) for the rate itself); \`full\` adds Stirling's
/// approximation of log t! where t > 1. https://pytorch.org/docs/stable/generated/torch.nn.functional.poisson_nll_loss.html
export fn poisson_nll_loss(
  input: f32[...S],
  target: f32[...S],
  log_input: bool = true,
  full: bool = false,
  eps: float = 1e-8,
  reduction: Reduction = "mean"
) {
  loss = if log_input { exp(input) - target * input } else { input - target * log(input + eps) }
  if full {
    t = maximum(target, 1.0)
    stirling = t * log(t) - t + 0.5 * log(2.0 * pi * t)
    reduced(loss + select(target > 1.0, stirling, 0.0), reduction)
  } else {
    reduced(loss, reduction)
  }
}

/// (log var + (input - target)^2 / var) / 2, the variance at least eps; \`full\` adds log(2 pi) / 2. Nix & Weigend 1994,
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.gaussian_nll_loss.html
export fn gaussian_nll_loss(
  input: f32[...S],
  target: f32[...S],
  var: f32[...S],
  full: bool = false,
  eps: float = 1e-6,
  reduction: Reduction = "mean"
) {
  // The bound holds for the value; the gradient is that of the variance as it is, as in PyTorch.
  v = var + stop_gradient(maximum(var, eps) - var)
  loss = 0.5 * (log(v) + (input - target) * (input - target) / v)
  reduced(if full { loss + 0.5 * log(2.0 * pi) } else { loss }, reduction)
}

// Losses of classifiers: scores or probabilities against classes. Targets are indices (i32), or numbers where classes are not exclusive.

/// -weight[target] log softmax(input)[target] over the classes, which are dim 1: scores [B, T, classes] of sequences are
/// flattened first, \`cross_entropy(flatten(scores, 0, 1), flatten(targets))\`. The mean is divided by the weights of the targets.
/// Positions whose target is ignore_index count nothing, also not in the mean. \`label_smoothing\` mixes the target with the even
/// distribution; Szegedy et al. 2015. https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
export fn cross_entropy(
  input: f32[N, C, ...S],
  target: i32[N, ...S],
  weight: f32[C]? = none,
  ignore_index: int = -100,
  reduction: Reduction = "mean",
  label_smoothing: float = 0.0
) {
  if weight == none {
    loss = op.cross_entropy(input, target, ignore_index: ignore_index, label_smoothing: label_smoothing)
    if reduction == "mean" { sum(loss) / sum(f32(target != ignore_index)) } else { reduced(loss, reduction) }
  } else {
    counted = f32(target != ignore_index)
    of_target = counted * take(weight, select(target == ignore_index, 0, target))
    hard = of_target * op.cross_entropy(input, target, ignore_index: ignore_index)
    loss = if label_smoothing == 0.0 {
      hard
    } else {
      even = sum(log_softmax(input, 1) * per_channel(weight, len(S) + 2), 1)
      (1.0 - label_smoothing) * hard - label_smoothing / f32(C) * counted * even
    }
    if reduction == "mean" { sum(loss) / sum(of_target) } else { reduced(loss, reduction) }
  }
}

/// cross_entropy against class probabilities of the input's shape: -sum_c weight_c target_c log softmax(input)_c. The mean is over
/// the positions, not the classes. https://pytorch.org/docs/stable/generated/torch.nn.functional.cross_entropy.html
export fn cross_entropy_probs(
  input: f32[N, C, ...S],
  target: f32[N, C, ...S],
  weight: f32[C]? = none,
  reduction: Reduction = "mean",
  label_smoothing: float = 0.0
) {
  smoothed = target * (1.0 - label_smoothing) + label_smoothing / f32(C)
  each = if weight == none { smoothed } else { smoothed * per_channel(weight, len(S) + 2) }
  reduced(-sum(each * log_softmax(input, 1), dim: 1), reduction)
}

/// cross_entropy of linear(input, linear_weight, linear_bias); a weight [C, ...D, I] gives scores [N, C, ...D].
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.linear_cross_entropy.html
export fn linear_cross_entropy(
  input: f32[N, I],
  linear_weight: f32[C, ...D, I],
  target: i32[N, ...D],
  linear_bias: f32[C, ...D]? = none,
  weight: f32[C]? = none,
  reduction: Reduction = "mean",
  ignore_index: int = -100,
  label_smoothing: float = 0.0
) {
  outputs = C * prod(D)
  bias = if linear_bias == none { none } else { reshape(linear_bias, [outputs]) }
  scores = linear(input, reshape(linear_weight, [outputs, I]), bias)
  cross_entropy(
    unflatten(scores, 1, [for i in 0..len(D) + 1: if i == 0 { C } else { D[i - 1] }]),
    target,
    weight,
    ignore_index: ignore_index,
    reduction: reduction,
    label_smoothing: label_smoothing
  )
}

/// -weight[target] input[target] for log-probabilities over the classes of dim 1; the mean is divided by the weights of the targets.
/// Positions whose target is ignore_index count nothing, and a target that is no class gives NaN.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.nll_loss.html
export fn nll_loss(
  input: f32[N, C, ...S],
  target: i32[N, ...S],
  weight: f32[C]? = none,
  ignore_index: int = -100,
  reduction: Reduction = "mean"
) {
  counted = target != ignore_index
  chosen = (unsqueeze(target, 1) == class_index(input)) and unsqueeze(counted, 1)
  no_class = counted and (target < 0 or target >= i32(C))
  each = select(no_class, nan, sum(select(chosen, -input, 0.0), dim: 1))
  if weight == none {
    if reduction == "mean" { sum(each) / sum(f32(counted)) } else { reduced(each, reduction) }
  } else {
    of_target = sum(f32(chosen) * per_channel(weight, len(S) + 2), 1)
    if reduction == "mean" { sum(each * of_target) / sum(of_target) } else { reduced(each * of_target, reduction) }
  }
}

/// The index along dim 1 at every element.
fn class_index(x: f32[...S]) -> i32[...S] => op.iota(shape: S, axis: 1, elem: "i32")

/// -weight (t log p + (1 - t) log(1 - p)) for probabilities p; each logarithm is at least -100. The gradient is
/// (p - t) / max(p (1 - p), 1e-12), as in PyTorch: it stays finite and does not vanish where p is 0 or 1.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy.html
export fn binary_cross_entropy(
  input: f32[...S],
  target: f32[...S],
  weight: f32[...W]? = none,
  reduction: Reduction = "mean"
) {
  log_p = stop_gradient(maximum(log(input), -100.0))
  log_q = stop_gradient(maximum(log(1.0 - input), -100.0))
  slope = stop_gradient((input - target) / maximum(input * (1.0 - input), 1e-12))
  // The first term is 0 and carries the gradient.
  loss = (input - stop_gradient(input)) * slope - (target * log_p + (1.0 - target) * log_q)
  reduced(rescaled(loss, weight), reduction)
}

/// Binary cross-entropy of sigmoid(input), in the form that never overflows: (1 - t) x - log sigmoid(x). \`pos_weight\` weighs the
/// positive term, \`weight\` the whole; both broadcast.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.binary_cross_entropy_with_logits.html
export fn binary_cross_entropy_with_logits(
  input: f32[...S],
  target: f32[...S],
  weight: f32[...W]? = none,
  reduction: Reduction = "mean",
  pos_weight: f32[...P]? = none
) {
  positive = if pos_weight == none {
    logsigmoid(input)
  } else {
    (1.0 + (pos_weight - 1.0) * target) * logsigmoid(input)
  }
  reduced(rescaled((1.0 - target) * input - positive, weight), reduction)
}

/// target * (log target - input) for log-probabilities \`input\`; 0 where the target is 0. "batchmean" divides by the size of dim 0
/// and is the mathematical divergence. https://pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html
export fn kl_div(
  input: f32[...S],
  target: f32[...S],
  reduction: "mean" | "sum" | "none" | "batchmean" = "mean",
  log_target: bool = false
) {
  loss = if log_target {
    exp(target) * (target - input)
  } else {
    select(target > 0.0, target * (log(select(target > 0.0, target, 1.0)) - input), 0.0)
  }
  if reduction == "batchmean" { sum(loss) / f32(S[0]) } else { reduced(loss, reduction) }
}

/// log(1 + exp(-y x)) for targets y of 1 and -1; https://pytorch.org/docs/stable/generated/torch.nn.functional.soft_margin_loss.html
export fn soft_margin_loss(input: f32[...S], target: f32[...S], reduction: Reduction = "mean") =>
  reduced(softplus(-target * input), reduction)

/// The mean over classes of weight[target] max(0, margin - x[target] + x[c])^p, c not the target.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.multi_margin_loss.html
export fn multi_margin_loss(
  input: f32[N, C],
  target: i32[N],
  p: float = 1.0,
  margin: float = 1.0,
  weight: f32[C]? = none,
  reduction: Reduction = "mean"
) {
  right = unsqueeze(target, 1) == class_index(input)
  chosen = sum(select(right, input, 0.0), 1, keepdim: true)
  gap = relu(margin - chosen + input)
  costs = if p == 1.0 { gap } else { pow(gap, p) }
  each = sum(select(right, 0.0, costs), 1) / f32(C)
  reduced(if weight == none { each } else { each * take(weight, target) }, reduction)
}

/// sum max(0, 1 - x[t] + x[c]) / C over all classes t of the target and c beside it. A row of the target lists its classes up to the
/// first -1. https://pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_margin_loss.html
export fn multilabel_margin_loss(input: f32[N, C], target: i32[N, L], reduction: Reduction = "mean") {
  listed = cumsum(f32(target < 0), 1) == 0.0
  // [N, L, C]: whether entry l of the list is class c, then whether any is.
  is_class = unsqueeze(target, 2) == op.iota(shape: [1, 1, C], axis: 2, elem: "i32") and unsqueeze(listed, 2)
  named = sum(f32(is_class), 1, keepdim: true) > 0.0
  chosen = gather(input, 1, select(listed, target, 0))
  gap = relu(1.0 - unsqueeze(chosen, 2) + unsqueeze(input, 1))
  reduced(sum(select(unsqueeze(listed, 2) and not named, gap, 0.0), [1, 2]) / f32(C), reduction)
}

/// Binary cross-entropy of logits, weighed per class and averaged over the classes of dim 1.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_soft_margin_loss.html
export fn multilabel_soft_margin_loss(
  input: f32[N, C],
  target: f32[N, C],
  weight: f32[C]? = none,
  reduction: Reduction = "mean"
) => reduced(mean(binary_cross_entropy_with_logits(input, target, weight, reduction: "none"), 1), reduction)

// Distances between vectors, and losses of rankings and embeddings that are made of them.

/// The cosine of the angle between x1 and x2 along \`dim\`; each norm is at least eps.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.cosine_similarity.html
export fn cosine_similarity(x1: f32[...S], x2: f32[...S], dim: int = 1, eps: float = 1e-8) =>
  sum(x1 * x2, dim: dim) / (maximum(norm(x1, dim: dim), eps) * maximum(norm(x2, dim: dim), eps))

/// The distance between x1 and x2 along the last dim: the p-norm of x1 - x2 + eps.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.pairwise_distance.html
export fn pairwise_distance(x1: f32[...S], x2: f32[...S], p: float = 2.0, eps: float = 1e-6, keepdim: bool = false) =>
  norm(x1 - x2 + eps, p: p, dim: -1, keepdim: keepdim)

/// The p-norm of the difference of every two rows, (0, 1), (0, 2), ..., (1, 2), ...; N must be known while compiling.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.pdist.html
export fn pdist(input: f32[N, D], p: float = 2.0) =>
  cat([for i in 0..N - 1: norm(narrow(input, 0, i, 1) - narrow(input, 0, i + 1, N - 1 - i), p: p, dim: 1)])

/// max(0, margin - y (x1 - x2)) for targets y of 1 (x1 should be larger) and -1.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.margin_ranking_loss.html
export fn margin_ranking_loss(
  input1: f32[...S],
  input2: f32[...S],
  target: f32[...S],
  margin: float = 0.0,
  reduction: Reduction = "mean"
) => reduced(relu(margin - target * (input1 - input2)), reduction)

/// x where the target is 1, max(0, margin - x) where it is -1.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html
export fn hinge_embedding_loss(
  input: f32[...S],
  target: f32[...S],
  margin: float = 1.0,
  reduction: Reduction = "mean"
) => reduced(select(target == 1.0, input, relu(margin - input)), reduction)

/// 1 - cos(x1, x2) where the target is 1, max(0, cos(x1, x2) - margin) where it is -1, over rows.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html
export fn cosine_embedding_loss(
  input1: f32[N, D],
  input2: f32[N, D],
  target: f32[N],
  margin: float = 0.0,
  reduction: Reduction = "mean"
) {
  // PyTorch's form of the cosine here: 1e-12 under the root.
  square = (sum(input1 * input1, 1) + 1e-12) * (sum(input2 * input2, 1) + 1e-12)
  cosine = sum(input1 * input2, 1) / sqrt(square)
  reduced(select(target > 0.0, 1.0 - cosine, relu(cosine - margin)), reduction)
}

/// max(0, d(anchor, positive) - d(anchor, negative) + margin) over rows, d being the p-norm of the difference; with \`swap\` the smaller
/// of the distances from the negative to the others. Schroff et al. 2015, Balntas et al. 2016,
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html
export fn triplet_margin_loss(
  anchor: f32[N, D],
  positive: f32[N, D],
  negative: f32[N, D],
  margin: float = 1.0,
  p: float = 2.0,
  eps: float = 1e-6,
  swap: bool = false,
  reduction: Reduction = "mean"
) => triplet_margin_with_distance_loss(
  anchor,
  positive,
  negative,
  (a, b) => pairwise_distance(a, b, p, eps),
  margin: margin,
  swap: swap,
  reduction: reduction
)

/// triplet_margin_loss with any distance of rows;
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_with_distance_loss.html
export fn triplet_margin_with_distance_loss(
  anchor: f32[N, ...S],
  positive: f32[N, ...S],
  negative: f32[N, ...S],
  distance_function: (f32[N, ...S], f32[N, ...S]) -> f32[N] = pairwise_distance,
  margin: float = 1.0,
  swap: bool = false,
  reduction: Reduction = "mean"
) {
  near = distance_function(anchor, positive)
  direct = distance_function(anchor, negative)
  far = if swap { minimum(direct, distance_function(positive, negative)) } else { direct }
  reduced(relu(margin + near - far), reduction)
}

// Elementwise functions beyond the primitive ones, with torch's names. Stated errors are of f32.

/// sin(x) / cos(x); https://pytorch.org/docs/stable/generated/torch.tan.html
export fn tan(x: f32[...S]) -> f32[...S] => sin(x) / cos(x)

/// The angle in -pi/2..pi/2 whose tangent is x; Cephes' polynomial around 0 and pi/4, within 2 units in the last place.
/// https://pytorch.org/docs/stable/generated/torch.atan.html
export fn atan(x: f32[...S]) -> f32[...S] {
  a = abs(x)
  steep = a > 2.414213562373095
  middle = a > 0.4142135623730950
  offset = select(steep, pi / 2.0, select(middle, pi / 4.0, 0.0))
  t = select(steep, -1.0 / a, select(middle, (a - 1.0) / (a + 1.0), a))
  z = t * t
  series = ((0.0805374449538 * z - 0.138776856032) * z + 0.199777106478) * z - 0.333329491539
  select(x < 0.0, -1.0, 1.0) * (offset + (series * z * t + t))
}
grad (dy) => dy / (1.0 + x * x)

/// The angle in -pi/2..pi/2 whose sine is x; NaN outside -1..1; https://pytorch.org/docs/stable/generated/torch.asin.html
export fn asin(x: f32[...S]) -> f32[...S] => 2.0 * atan(x / (1.0 + sqrt((1.0 - x) * (1.0 + x))))
grad (dy) => dy * rsqrt((1.0 - x) * (1.0 + x))

/// The angle in 0..pi whose cosine is x; NaN outside -1..1; https://pytorch.org/docs/stable/generated/torch.acos.html
export fn acos(x: f32[...S]) -> f32[...S] => 2.0 * atan(sqrt(1.0 - x) / sqrt(1.0 + x))
grad (dy) => -dy * rsqrt((1.0 - x) * (1.0 + x))

/// (exp(x) - exp(-x)) / 2, accurate near 0 and finite wherever the result is; https://pytorch.org/docs/stable/generated/torch.sinh.html
export fn sinh(x: f32[...S]) -> f32[...S] {
  a = abs(x)
  half = exp(0.5 * a)
  e = expm1(a)
  sign(x) * select(a > 20.0, 0.5 * half * half, 0.5 * (e + e / (e + 1.0)))
}
grad (dy) => dy * cosh(x)

/// (exp(x) + exp(-x)) / 2, finite wherever the result is; https://pytorch.org/docs/stable/generated/torch.cosh.html
export fn cosh(x: f32[...S]) -> f32[...S] {
  half = exp(0.5 * abs(x))
  0.5 * half * half + 0.5 / (half * half)
}

/// The inverse of sinh: log(x + sqrt(x^2 + 1)), accurate near 0; https://pytorch.org/docs/stable/generated/torch.asinh.html
export fn asinh(x: f32[...S]) -> f32[...S] {
  a = abs(x)
  sign(x) * select(a > 1e4, log(a) + log(2.0), log1p(a + a * a / (1.0 + sqrt(a * a + 1.0))))
}
grad (dy) => dy * rsqrt(x * x + 1.0)

/// The inverse of cosh for x >= 1, NaN below; https://pytorch.org/docs/stable/generated/torch.acosh.html
export fn acosh(x: f32[...S]) -> f32[...S] {
  t = x - 1.0
  select(x > 1e4, log(x) + log(2.0), log1p(t + sqrt(t) * sqrt(t + 2.0)))
}
grad (dy) => dy / (sqrt(x - 1.0) * sqrt(x + 1.0))

/// The inverse of tanh: infinite at -1 and 1, NaN beyond; https://pytorch.org/docs/stable/generated/torch.atanh.html
export fn atanh(x: f32[...S]) -> f32[...S] => 0.5 * sign(x) * log1p(2.0 * abs(x) / (1.0 - abs(x)))
grad (dy) => dy / ((1.0 - x) * (1.0 + x))

/// log |gamma(x)|; infinite at 0, -1, -2, ... Stirling's series from 3 on, the recurrence below 3 and the reflection below 0: an error
/// of about 1e-6 or 4 units in the last place, whichever is larger. The gradient is \`digamma\`.
/// https://pytorch.org/docs/stable/generated/torch.lgamma.html
export fn lgamma(x: f32[...S]) -> f32[...S] {
  a = select(x < 0.0, 1.0 - x, x)
  z = select(a < 3.0, a + 3.0, a)
  u = 1.0 / z
  v = u * u
  series = (((-v / 1680.0 + 1.0 / 1260.0) * v - 1.0 / 360.0) * v + 1.0 / 12.0) * u
  positive =
    (z - 0.5) * (log(z) - 1.0) + 0.4189385332046727 + series - log(select(a < 3.0, a * (a + 1.0) * (a + 2.0), 1.0))
  // log(pi / |sin(pi x)|), of the distance from the next integer, which is exact.
  below = 1.1447298858494002 - log(sin(pi * abs(x - round(x)))) - positive
  select(op.is_inf(x), inf, select(x < 0.0, below, positive))
}
grad (dy) => dy * digamma(x)

/// The derivative of lgamma; infinite at 0, by its sign, NaN at -1, -2, ... The asymptotic series from 6 on, the recurrence below 6 and the reflection below 0.
/// https://pytorch.org/docs/stable/generated/torch.digamma.html
export fn digamma(x: f32[...S]) -> f32[...S] {
  a = select(x < 0.0, 1.0 - x, x)
  z = select(a < 6.0, a + 6.0, a)
  v = 1.0 / (z * z)
  steps = 1.0 / a + 1.0 / (a + 1.0) + 1.0 / (a + 2.0) + 1.0 / (a + 3.0) + 1.0 / (a + 4.0) + 1.0 / (a + 5.0)
  series = ((v / 252.0 - 1.0 / 120.0) * v + 1.0 / 12.0) * v
  positive = log(z) - 0.5 / z - series - select(a < 6.0, steps, 0.0)
  part = select(x < 0.0, x - round(x), 0.5)
  select(part == 0.0, nan, select(x < 0.0, positive - pi * cos(pi * part) / sin(pi * part), positive))
}

/// x with NaN and the infinities replaced, by 0 and the largest finite numbers unless given; they get no gradient.
/// https://pytorch.org/docs/stable/generated/torch.nan_to_num.html
export fn nan_to_num(
  x: f32[...S],
  nan: float = 0.0,
  posinf: float = 3.4028234663852886e38,
  neginf: float = -3.4028234663852886e38
) -> f32[...S] => select(is_nan(x), nan, select(is_inf(x), select(x > 0.0, posinf, neginf), x))

// Matrices and their diagonals, products of vectors, grids.

/// The elements x[i, i + offset] of the dims dim1 and dim2, as a new last dim; https://pytorch.org/docs/stable/generated/torch.diagonal.html
export fn diagonal(x: E[...S], offset: int = 0, dim1: int = 0, dim2: int = 1) {
  a = axis_of(dim1, len(S))
  b = axis_of(dim2, len(S))
  require a != b, "dim1 and dim2 are both {dim1}"
  length = max(min(S[a] + min(offset, 0), S[b] - max(offset, 0)), 0)
  last = op.transpose(x, perm: outer_axes(len(S), a, b) + [a, b])
  lines = flatten(last, -2, -1)
  first = if offset < 0 { -offset * S[b] } else { offset }
  take(lines, op.iota(shape: [length], axis: 0) * i32(S[b] + 1) + i32(first), axis: len(S) - 2)
}

/// The axes of \`rank\` that are neither a nor b.
fn outer_axes(rank: int, a: int, b: int) -> [int] {
  axes = []
  for i in [for i in 0..rank: i] {
    if i != a and i != b { axes = axes + [i] }
  }
  axes
}

/// Of a vector, the matrix with it on the given diagonal and 0 elsewhere; of a matrix, that diagonal.
/// https://pytorch.org/docs/stable/generated/torch.diag.html
export fn diag(x: E[...S], diagonal: int = 0) {
  require len(S) == 1 or len(S) == 2, "diag takes a vector or a matrix"
  if len(S) == 2 { diagonal_of(x, diagonal) } else { matrix_of(x, diagonal) }
}

fn diagonal_of(x: E[N, M], offset: int) => diagonal(x, offset)

fn matrix_of(x: E[N], offset: int) {
  n = N + max(offset, -offset)
  at = op.iota(shape: [n, n], axis: 0)
  place = if offset < 0 { at + offset } else { at }
  inside = op.iota(shape: [n, n], axis: 1) == at + offset
  select(inside, take(x, minimum(maximum(place, 0), i32(N) - 1), axis: 0), 0)
}

/// The products of each element of a with each of b; https://pytorch.org/docs/stable/generated/torch.outer.html
export fn outer(a: E[N], b: E[M]) -> E[N, M] => unsqueeze(a, 1) * unsqueeze(b, 0)

/// The cross product of vectors of three along \`dim\`; https://pytorch.org/docs/stable/generated/torch.linalg.cross.html
export fn cross(a: E[...S], b: E[...S], dim: int = -1) -> E[...S] {
  require S[dim] == 3, "cross takes vectors of three"
  roll(a, -1, dim) * roll(b, -2, dim) - roll(a, -2, dim) * roll(b, -1, dim)
}

/// For each of the vectors the grid of its values over the places of all: element [i, j, ...] of tensor k is element i, j, ... of vector
/// k. With "xy" the first two dims are swapped. https://pytorch.org/docs/stable/generated/torch.meshgrid.html
export fn meshgrid(tensors: [tensor], indexing: "ij" | "xy" = "ij") {
  swap = indexing == "xy" and len(tensors) > 1
  sizes = [for t in tensors: shape(t)[0]]
  rank = len(tensors)
  grids = [
    for (k, t) in enumerate(tensors):
      op.broadcast_to(op.reshape(t, shape: [for a in 0..rank: if a == k { sizes[k] } else { 1 }]), shape: sizes)
  ]
  [for g in grids: if swap { transpose(g, 0, 1) } else { g }]
}

/// The slices along \`dim\`, without that dim, whose size is known while compiling; https://pytorch.org/docs/stable/generated/torch.unbind.html
export fn unbind(x: E[...S], dim: int = 0) => [for i in 0..S[dim]: squeeze(narrow(x, dim, i, 1), dim)]

// Pooling over windows of sequences [N, C, L] and images [N, C, H, W].

/// The largest element of each window; NaN passes through. With \`return_indices\` also where it lies in its plane: (values, indices).
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html
export fn max_pool2d(
  x: f32[N, C, H, W],
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  padding: (int, int) = 0,
  dilation: (int, int) = 1,
  ceil_mode: bool = false,
  return_indices: bool = false
) {
  y = op.max_pool2d(
    x,
    kernel: kernel_size,
    stride: stride,
    padding: [padding.0, padding.0, padding.1, padding.1],
    dilation: dilation,
    ceil: ceil_mode
  )
  if return_indices { (y, window_argmax(x, y, kernel_size, stride, padding, dilation)) } else { y }
}

/// Where in its plane (row * W + column) the first largest element of each window lies, the last NaN before all: tap by tap.
fn window_argmax(
  x: f32[N, C, H, W],
  y: f32[N, C, P, Q],
  kernel_size: (int, int),
  stride: (int, int),
  padding: (int, int),
  dilation: (int, int)
) {
  best = y
  index = op.broadcast_to(op.constant(value: -1, elem: "i32", shape: []), shape: [N, C, P, Q])
  for tap in [for tap in 0..kernel_size.0 * kernel_size.1: tap] {
    row = arange(P) * stride.0 + (tap / kernel_size.1) * dilation.0 - padding.0
    column = arange(Q) * stride.1 + (tap % kernel_size.1) * dilation.1 - padding.1
    inside = unsqueeze(row >= 0 and row < i32(H), 1) and (column >= 0 and column < i32(W))
    here = take(take(x, row, axis: 2), column, axis: 3)
    better = inside and (index < 0 or here > best or is_nan(here))
    index = select(better, unsqueeze(row, 1) * i32(W) + column, index)
    best = select(better, here, best)
  }
  index
}

/// The mean of each window; \`count_include_pad\` counts the padding's zeros.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html
export fn avg_pool2d(
  x: f32[N, C, H, W],
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  padding: (int, int) = 0,
  ceil_mode: bool = false,
  count_include_pad: bool = true,
  divisor_override: int? = none
) => op.avg_pool2d(
  x,
  kernel: kernel_size,
  stride: stride,
  padding: [padding.0, padding.0, padding.1, padding.1],
  ceil: ceil_mode,
  count_include_pad: count_include_pad,
  divisor: divisor_override
)

/// max_pool2d of sequences [N, C, L]; https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html
export fn max_pool1d(
  x: f32[N, C, L],
  kernel_size: int,
  stride: int = kernel_size,
  padding: int = 0,
  dilation: int = 1,
  ceil_mode: bool = false,
  return_indices: bool = false
) {
  y = max_pool2d(
    unsqueeze(x, 2),
    (1, kernel_size),
    stride: (1, stride),
    padding: (0, padding),
    dilation: (1, dilation),
    ceil_mode: ceil_mode,
    return_indices: return_indices
  )
  if return_indices { (squeeze(y.0, 2), squeeze(y.1, 2)) } else { squeeze(y, 2) }
}

/// The mean of each window of a sequence; https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html
export fn avg_pool1d(
  x: f32[N, C, L],
  kernel_size: int,
  stride: int = kernel_size,
  padding: int = 0,
  ceil_mode: bool = false,
  count_include_pad: bool = true
) => squeeze(
  avg_pool2d(
    unsqueeze(x, 2),
    (1, kernel_size),
    stride: (1, stride),
    padding: (0, padding),
    ceil_mode: ceil_mode,
    count_include_pad: count_include_pad
  ),
  2
)

/// (sum of x^p)^(1/p) over each window, p being norm_type; https://pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool2d.html
export fn lp_pool2d(
  x: f32[N, C, H, W],
  norm_type: float,
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  ceil_mode: bool = false
) => rooted(
  avg_pool2d(powered(x, norm_type), kernel_size, stride: stride, ceil_mode: ceil_mode),
  prod(kernel_size),
  norm_type
)

/// lp_pool2d of sequences [N, C, L]; https://pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool1d.html
export fn lp_pool1d(
  x: f32[N, C, L],
  norm_type: float,
  kernel_size: int,
  stride: int = kernel_size,
  ceil_mode: bool = false
) =>
  rooted(avg_pool1d(powered(x, norm_type), kernel_size, stride: stride, ceil_mode: ceil_mode), kernel_size, norm_type)

/// lp_pool2d of volumes [N, C, D, H, W]; https://pytorch.org/docs/stable/generated/torch.nn.functional.lp_pool3d.html
export fn lp_pool3d(
  x: f32[N, C, D, H, W],
  norm_type: float,
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  ceil_mode: bool = false
) => rooted(
  avg_pool3d(powered(x, norm_type), kernel_size, stride: stride, ceil_mode: ceil_mode),
  prod(kernel_size),
  norm_type
)

fn powered(x: f32[...S], p: float) -> f32[...S] => if p == 2.0 { x * x } else { pow(x, p) }

/// The p-th root of the sum, from the mean of so many elements. relu: as in PyTorch its gradient at 0 is 0.
fn rooted(means: f32[...S], count: int, p: float) -> f32[...S] =>
  pow(sign(means) * relu(abs(means)) * float(count), 1.0 / p)

// Where in a sequence something is, as numbers.

/// position / base^(2 i / d) for pair i of d features.
fn angles(positions: f32[T], d: int, base: float) =>
  unsqueeze(positions, 1) * exp(op.iota(shape: [d / 2], axis: 0, elem: "f32") * (-2.0 * log(base) / float(d)))

/// Row t has sin(t / base^(2 i / d)) at 2 i and the cosine at 2 i + 1; Vaswani et al. 2017. d is even.
export fn sinusoidal_positions(n: int, d: int, base: float = 10000.0) -> f32[n, d] {
  a = angles(f32(arange(n)), d, base)
  reshape(stack([sin(a), cos(a)], 2), [n, d])
}

/// Turns pairs of features of x [..., T, D] by an angle that grows with the position, so that products of two vectors depend on
/// the distance of their positions; Su et al. 2021. Pair i is (i, i + D / 2) as in GPT-NeoX and LLaMA, or (2 i, 2 i + 1) as in the paper
/// with \`interleaved\`. \`positions\` are 0, 1, ... by default.
export fn rotary(
  x: f32[...B, T, D],
  positions: f32[T]? = none,
  base: float = 10000.0,
  interleaved: bool = false
) -> f32[...B, T, D] {
  a = if positions == none { angles(f32(arange(T)), D, base) } else { angles(positions, D, base) }
  if interleaved {
    pairs = unflatten(x, -1, [D / 2, 2])
    (p, q) = (pairs[..., 0], pairs[..., 1])
    flatten(stack([p * cos(a) - q * sin(a), q * cos(a) + p * sin(a)], -1), -2, -1)
  } else {
    (p, q) = chunk(x, 2, -1)
    cat([p * cos(a) - q * sin(a), q * cos(a) + p * sin(a)], -1)
  }
}

// Random tensors. Each call site draws from its own counter-based key (seed, step, place in the program): the same seed gives the same numbers everywhere.

/// A number in [0, 1) from 24 random bits: every value is exact in f32.
fn unit(bits: u32[...S]) -> f32[...S] => f32(shr(bits, 8)) * (1.0 / 16777216.0)

/// Uniform in [0, 1), of the shape S (\`rand([B, 1])\`), else of the shape of the place where the value goes.
/// https://pytorch.org/docs/stable/generated/torch.rand.html
export fn rand(S: [int]? = none) -> f32[...S] => unit(op.random_bits(shape: S))

/// Uniform in [0, 1), with the shape of x; https://pytorch.org/docs/stable/generated/torch.rand_like.html
export fn rand_like(x: f32[...S]) -> f32[...S] => unit(op.random_bits(shape: S))

/// Standard normal by Box and Muller (1958): sqrt(-2 log u) cos(2 pi v), u in (0, 1], of the shape S, else of the
/// shape of the place where the value goes; https://pytorch.org/docs/stable/generated/torch.randn.html
export fn randn(S: [int]? = none) -> f32[...S] =>
  sqrt(-2.0 * log(1.0 - unit(op.random_bits(shape: S)))) * cos(2.0 * pi * unit(op.random_bits(shape: S)))

/// Standard normal, with the shape of x; https://pytorch.org/docs/stable/generated/torch.randn_like.html
export fn randn_like(x: f32[...S]) -> f32[...S] =>
  sqrt(-2.0 * log(1.0 - unit(op.random_bits(shape: S)))) * cos(2.0 * pi * unit(op.random_bits(shape: S)))

// Recurrent cells and layers over time, with PyTorch's order of gates.

/// What is computed from one input and the last state.
export type Cell = "tanh" | "relu" | "lstm" | "gru"

/// How many vectors of the state's size the weights of a cell give.
export fn gates_of(cell: Cell) -> int => if cell == "lstm" { 4 } else if cell == "gru" { 3 } else { 1 }

/// Hochreiter & Schmidhuber 1997: c' = sigmoid(f) c + sigmoid(i) tanh(g), h' = sigmoid(o) tanh(c'), the gates i, f, g, o being
/// what input and state give together.
export fn lstm_state(input: f32[...B, G], state: f32[...B, G], c: f32[...B, H]) {
  (i, f, g, o) = chunk(input + state, 4, -1)
  next = sigmoid(f) * c + sigmoid(i) * tanh(g)
  (sigmoid(o) * tanh(next), next)
}

/// Cho et al. 2014: h' = (1 - z) n + z h with r and z the sigmoids of the first two gates and n = tanh(input + r state) of the third.
export fn gru_state(input: f32[...B, G], state: f32[...B, G], h: f32[...B, H]) {
  (ir, iz, candidate) = chunk(input, 3, -1)
  (hr, hz, memory) = chunk(state, 3, -1)
  z = sigmoid(iz + hz)
  n = tanh(candidate + sigmoid(ir + hr) * memory)
  (1.0 - z) * n + z * h
}

/// tanh or relu of what input and state give together; Elman 1990.
export fn rnn_state(cell: Cell, input: f32[...B, H], state: f32[...B, H]) -> f32[...B, H] =>
  if cell == "relu" { relu(input + state) } else { tanh(input + state) }

/// One layer in one direction over x [T, B, I] from the state h0 (and c0 of an LSTM; others pass it through): all outputs, the
/// last h and the last c. With \`lengths\`, a sequence keeps its state beyond its end and gives 0 there. \`w_hr\` projects
/// h down; Sak et al. 2014. https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
export fn recurrent_layer(
  cell: Cell,
  x: f32[T, B, I],
  h0: f32[B, P],
  c0: f32[B, H],
  w_ih: f32[G, I],
  w_hh: f32[G, P],
  b_ih: f32[G]? = none,
  b_hh: f32[G]? = none,
  backwards: bool = false,
  lengths: i32[B]? = none,
  w_hr: f32[P, H]? = none
) -> (f32[T, B, P], f32[B, P], f32[B, H]) {
  // The inputs' part of every step is one matrix product.
  inputs = linear(x, w_ih, b_ih)
  h = h0
  c = c0
  out = full([T, B, P], 0.0)
  for t in 0..T {
    at = if backwards { i32(T) - 1 - t } else { t }
    seen = linear(h, w_hh, b_hh)
    (whole_h, next_c) = if cell == "lstm" {
      lstm_state(inputs[at], seen, c)
    } else if cell == "gru" {
      (gru_state(inputs[at], seen, h), c)
    } else {
      (rnn_state(cell, inputs[at], seen), c)
    }
    next_h = if w_hr == none { whole_h } else { linear(whole_h, w_hr) }
    if lengths == none {
      h = next_h
      c = next_c
      out[at] = h
    } else {
      going = unsqueeze(lengths > at, 1)
      h = select(going, next_h, h)
      c = select(going, next_c, c)
      out[at] = select(going, h, 0.0)
    }
  }
  (out, h, c)
}

// Reductions with torch's names. \`dim\` is one dim, a list of dims, or \`none\` for all; \`keepdim\` leaves them with size 1.

/// The dims to reduce, as a list.
fn axes_of(dim: [int]?, rank: int) => if dim == none { [for a in 0..rank: a] } else { dim }

/// The sum of the elements; https://pytorch.org/docs/stable/generated/torch.sum.html
export fn sum(x: E[...S], dim: [int]? = none, keepdim: bool = false) =>
  op.sum(x, axes: axes_of(dim, len(S)), keepdims: keepdim)

/// The arithmetic mean; https://pytorch.org/docs/stable/generated/torch.mean.html
export fn mean(x: f32[...S], dim: [int]? = none, keepdim: bool = false) {
  axes = axes_of(dim, len(S))
  op.sum(x, axes: axes, keepdims: keepdim) / f32(prod([for a in axes: S[a]]))
}

/// The variance: the mean square distance from the mean, divided by n - correction (1: the unbiased estimate).
/// https://pytorch.org/docs/stable/generated/torch.var.html
export fn var(x: f32[...S], dim: [int]? = none, correction: int = 1, keepdim: bool = false) {
  axes = axes_of(dim, len(S))
  n = prod([for a in axes: S[a]])
  (centre, biased) = op.moments(x, axes: axes, keepdims: keepdim)
  if correction == 0 { biased } else { biased * (f32(n) / f32(n - correction)) }
}

/// The square root of the variance; https://pytorch.org/docs/stable/generated/torch.std.html
export fn std(x: f32[...S], dim: [int]? = none, correction: int = 1, keepdim: bool = false) =>
  sqrt(var(x, dim: dim, correction: correction, keepdim: keepdim))

/// The largest element; NaN if one is NaN. Equal maxima share the gradient; https://pytorch.org/docs/stable/generated/torch.amax.html
export fn amax(x: E[...S], dim: [int]? = none, keepdim: bool = false) =>
  op.max(x, axes: axes_of(dim, len(S)), keepdims: keepdim)

/// The smallest element; NaN if one is NaN. Equal minima share the gradient; https://pytorch.org/docs/stable/generated/torch.amin.html
export fn amin(x: E[...S], dim: [int]? = none, keepdim: bool = false) =>
  op.min(x, axes: axes_of(dim, len(S)), keepdims: keepdim)

/// The index of the largest element along \`dim\`; the first of equals; https://pytorch.org/docs/stable/generated/torch.argmax.html
export fn argmax(x: E[...S], dim: int, keepdim: bool = false) => op.argmax(x, axis: dim, keepdims: keepdim)

/// The index of the smallest element along \`dim\`; the first of equals; https://pytorch.org/docs/stable/generated/torch.argmin.html
export fn argmin(x: E[...S], dim: int, keepdim: bool = false) => op.argmin(x, axis: dim, keepdims: keepdim)

/// log(sum(exp(x))) along \`dim\`, computed from x - max(x); https://pytorch.org/docs/stable/generated/torch.logsumexp.html
export fn logsumexp(x: f32[...S], dim: int, keepdim: bool = false) {
  y = op.logsumexp(x, axis: dim)
  if keepdim { unsqueeze(y, axis_of(dim, len(S))) } else { y }
}

/// The Euclidean norm (p = 2), the sum of magnitudes (p = 1), or (sum |x|^p)^(1/p); https://pytorch.org/docs/stable/generated/torch.norm.html
export fn norm(x: f32[...S], p: float = 2.0, dim: [int]? = none, keepdim: bool = false) {
  if p == 2.0 {
    length(sum(x * x, dim: dim, keepdim: keepdim))
  } else if p == 1.0 {
    sum(abs(x), dim: dim, keepdim: keepdim)
  } else {
    pow(sum(pow(abs(x), p), dim: dim, keepdim: keepdim), 1.0 / p)
  }
}

/// The square root of a sum of squares. Its gradient at 0 is 0, the least of the subgradients, as in PyTorch: never 0 / 0.
fn length(squares: f32[...S]) -> f32[...S] => sqrt(squares)
grad (dy, y) => select(y == 0.0, 0.0, 0.5 * dy / y)

/// x / max(norm(x), eps) along \`dim\`; https://pytorch.org/docs/stable/generated/torch.nn.functional.normalize.html
export fn normalize(x: f32[...S], p: float = 2.0, dim: [int] = 1, eps: float = 1e-12) -> f32[...S] =>
  x / maximum(norm(x, p: p, dim: dim, keepdim: true), eps)

/// Whether any element is true; https://pytorch.org/docs/stable/generated/torch.any.html
export fn any(x: bool[...S], dim: [int]? = none, keepdim: bool = false) =>
  op.max(i32(x), axes: axes_of(dim, len(S)), keepdims: keepdim) != 0

/// Whether all elements are true; https://pytorch.org/docs/stable/generated/torch.all.html
export fn all(x: bool[...S], dim: [int]? = none, keepdim: bool = false) =>
  op.min(i32(x), axes: axes_of(dim, len(S)), keepdims: keepdim) != 0

// Sequences, images and volumes [N, C, ...] of another size.

/// Another size: \`size\`, or floor(n * scale_factor) for each spatial dim, one number for all of them or one for each;
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html. Element i of n that become m lies at
/// i / scale_factor, and at i n / m where \`size\` is given or recompute_scale_factor is true.
///
/// - nearest takes the element at the floor of that, nearest-exact the one whose centre is nearest (the later of two);
/// - linear, bilinear and trilinear weigh 2 neighbours along each dim, bicubic 4 (Keys 1981, a = -0.75), by centres at 0.5, 1.5, ... or, with
///   align_corners, by distances from the first element to the last. \`antialias\` (bilinear, bicubic with a = -0.5) widens the weights by
///   the factor by which an image shrinks;
/// - area takes means, as adaptive_avg_pool2d does.
///
/// Positions of nearest neighbours are exact fractions, which PyTorch rounds to f32: at rare sizes it takes the element before. Where a factor
/// leaves the size as it is, PyTorch's cpu copies x in some modes; here the factor counts. area and antialias multiply by matrices, so that a
/// value that is not finite makes NaN along its whole line.
export fn interpolate(
  x: f32[N, C, ...S],
  size: [int]? = none,
  scale_factor: [float]? = none,
  mode: "nearest" | "linear" | "bilinear" | "bicubic" | "trilinear" | "area" | "nearest-exact" = "nearest",
  align_corners: bool? = none,
  recompute_scale_factor: bool? = none,
  antialias: bool = false
) {
  rank = len(S)
  require rank >= 1 and rank <= 3, "x has {rank} spatial dims: interpolate takes 1 to 3"
  require size == none or scale_factor == none, "give size or scale_factor, not both"
  require size != none or scale_factor != none, "give size or scale_factor"
  smooth = mode == "linear" or mode == "bilinear" or mode == "bicubic" or mode == "trilinear"
  require mode != "linear" or rank == 1, "linear is for sequences [N, C, L]; x has {rank} spatial dims"
  require (mode != "bilinear" and mode != "bicubic") or
    rank == 2, "{mode} is for images [N, C, H, W]; x has {rank} spatial dims"
  require mode != "trilinear" or rank == 3, "trilinear is for volumes [N, C, D, H, W]; x has {rank} spatial dims"
  require smooth or align_corners == none, "align_corners is for modes that weigh neighbours, not for {mode}"
  require not antialias or
    mode == "bilinear" or
    mode == "bicubic", "antialias is for bilinear and bicubic, not for {mode}"
  given = if size == none { len(scale_factor) } else { len(size) }
  require given == 1 or given == rank, "{given} sizes or factors are given for {rank} spatial dims"
  corners = align_corners != none and align_corners
  whole = recompute_scale_factor != none and recompute_scale_factor
  y = x
  for a in [for a in 0..rank: a] {
    n = S[a]
    k = if given == 1 { 0 } else { a }
    (up, down) = if size == none { fraction(scale_factor[k]) } else { (size[k], n) }
    m = n * up / down
    require m > 0, "the result has size {m}"
    scale = if whole { (m, n) } else { (up, down) }
    y = if not smooth and size == none and down == 1 and mode != "area" {
      repeat_interleave(y, up, a + 2)
    } else if antialias {
      mixed_by(y, a + 2, antialiased(n, m, step(n, m, scale, corners), mode))
    } else if mode == "area" {
      mixed_by(y, a + 2, means(n, m))
    } else if smooth {
      blended(y, a + 2, m, step(n, m, scale, corners), corners, mode)
    } else {
      take(y, nearest(m, scale, mode), axis: a + 2)
    }
  }
  y
}

/// f as (up, down), to 1 in 10^9.
fn fraction(f: float) -> (int, int) {
  down = 0
  for d in [for d in 1..1001: d] {
    if down == 0 and abs(round(f * float(d)) / float(d) - f) <= 1e-9 * f { down = d }
  }
  require down > 0, "scale_factor {f} is no fraction with a denominator up to 1000: give size"
  (round(f * float(down)), down)
}

/// Which elements the m elements of the result are.
fn nearest(m: int, scale: (int, int), mode: string) => if mode == "nearest-exact" {
  (2 * arange(m) + 1) * i32(scale.1) / i32(2 * scale.0)
} else {
  arange(m) * i32(scale.1) / i32(scale.0)
}

/// How far neighbours of the result are apart in x, in f32 as PyTorch computes it.
fn step(n: int, m: int, scale: (int, int), corners: bool) => if corners {
  f32(n - 1) / maximum(f32(m - 1), 1.0)
} else {
  f32(scale.1) / f32(scale.0)
}

/// Sums of the 2 or 4 elements around each place, by their distances from it.
fn blended(x: f32[...S], dim: int, m: int, step: f32[], corners: bool, mode: string) {
  i = f32(arange(m))
  place = if corners { i * step } else { (i + 0.5) * step - 0.5 }
  // Linear modes repeat the first element before it, cubic ones go on from neighbours that do.
  at = if mode == "bicubic" { place } else { maximum(place, 0.0) }
  first = floor(at)
  t = along(at - first, dim, len(S))
  if mode == "bicubic" {
    u = 1.0 - t
    neighbour(x, dim, first - 1.0) * far_weight(t + 1.0, -0.75) +
      neighbour(x, dim, first) * near_weight(t, -0.75) +
      neighbour(x, dim, first + 1.0) * near_weight(u, -0.75) +
      neighbour(x, dim, first + 2.0) * far_weight(u + 1.0, -0.75)
  } else {
    neighbour(x, dim, first) * (1.0 - t) + neighbour(x, dim, first + 1.0) * t
  }
}

/// The slices of x at positions along \`dim\`, the ends repeated beyond.
fn neighbour(x: f32[...S], dim: int, positions: f32[N]) =>
  take(x, minimum(maximum(i32(positions), 0), i32(S[dim] - 1)), axis: dim)

/// v as the dim \`dim\` of \`rank\` dims.
fn along(v: f32[N], dim: int, rank: int) => op.reshape(v, shape: [for a in 0..rank: if a == dim { N } else { 1 }])

// Keys 1981, "Cubic convolution interpolation for digital image processing": weights at distance below 1, and from 1 to 2.
fn near_weight(d: f32[...S], a: float) -> f32[...S] => ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
fn far_weight(d: f32[...S], a: float) -> f32[...S] => ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a

/// Row i of w [m, n] says how much each element along \`dim\` gives to element i of the result.
fn mixed_by(x: f32[...S], dim: int, w: f32[M, N]) =>
  if dim == len(S) - 1 { x @ transpose(w) } else { transpose(transpose(x, dim, -1) @ transpose(w), dim, -1) }

/// Weights of triangles or cubics that are \`step\` times as wide where the image shrinks; each row adds up to 1.
fn antialiased(n: int, m: int, step: f32[], mode: string) {
  // PyTorch's places are those of centres even where it aligns corners.
  place = (op.iota(shape: [m, n], axis: 0, elem: "f32") + 0.5) * step
  d = abs(op.iota(shape: [m, n], axis: 1, elem: "f32") - place + 0.5) / maximum(step, 1.0)
  w = if mode == "bilinear" {
    maximum(1.0 - d, 0.0)
  } else {
    select(d < 1.0, near_weight(d, -0.5), select(d < 2.0, far_weight(d, -0.5), 0.0))
  }
  w / sum(w, 1, keepdim: true)
}

/// Row i is the mean of the elements floor(i n / m) to ceil((i + 1) n / m).
fn means(n: int, m: int) {
  i = op.iota(shape: [m, n], axis: 0, elem: "i32")
  j = op.iota(shape: [m, n], axis: 1, elem: "i32")
  w = f32(j >= i * i32(n) / i32(m) and j < ((i + 1) * i32(n) + i32(m) - 1) / i32(m))
  w / sum(w, 1, keepdim: true)
}

// Images read at positions that are computed: spatial transformers.

/// The image x at the places of \`grid\`, (column, row) in -1..1 from end to end: of the outer pixels' centres with \`align_corners\`, else of
/// their outer sides. Outside, pixels are 0 (zeros) or those of the nearest side (border). Jaderberg et al. 2015.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.grid_sample.html
export fn grid_sample(
  x: f32[N, C, H, W],
  grid: f32[N, P, Q, 2],
  mode: "bilinear" | "nearest" = "bilinear",
  padding_mode: "zeros" | "border" = "zeros",
  align_corners: bool = false
) -> f32[N, C, P, Q] {
  column = pixel_place(squeeze(narrow(grid, 3, 0, 1), 3), W, padding_mode, align_corners)
  row = pixel_place(squeeze(narrow(grid, 3, 1, 1), 3), H, padding_mode, align_corners)
  if mode == "nearest" {
    pixels(x, round(row), round(column))
  } else {
    top = floor(row)
    left = floor(column)
    down = unsqueeze(row - top, 1)
    right = unsqueeze(column - left, 1)
    upper = pixels(x, top, left) * (1.0 - right) + pixels(x, top, left + 1.0) * right
    lower = pixels(x, top + 1.0, left) * (1.0 - right) + pixels(x, top + 1.0, left + 1.0) * right
    upper * (1.0 - down) + lower * down
  }
}

/// Where -1..1 lies along n pixels, whose centres are at 0, 1, ...
fn pixel_place(t: f32[...S], n: int, padding_mode: "zeros" | "border", align_corners: bool) -> f32[...S] {
  at = if align_corners { (t + 1.0) * (0.5 * f32(n - 1)) } else { ((t + 1.0) * f32(n) - 1.0) * 0.5 }
  if padding_mode == "border" { minimum(maximum(at, 0.0), f32(n - 1)) } else { at }
}

/// The pixels at whole rows and columns; 0 outside.
fn pixels(x: f32[N, C, H, W], row: f32[N, P, Q], column: f32[N, P, Q]) -> f32[N, C, P, Q] {
  inside = row >= 0.0 and row < f32(H) and column >= 0.0 and column < f32(W)
  place = i32(select(inside, row, 0.0)) * i32(W) + i32(select(inside, column, 0.0))
  index = op.broadcast_to(op.reshape(place, shape: [N, 1, P * Q]), shape: [N, C, P * Q])
  read = op.reshape(gather(op.reshape(x, shape: [N, C, H * W]), 2, index), shape: [N, C, P, Q])
  select(unsqueeze(inside, 1), read, 0.0)
}

/// The grid of \`size\` (N, C, H, W) that theta's 2 x 3 matrices make of places (column, row, 1); for \`grid_sample\`.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.affine_grid.html
export fn affine_grid(theta: f32[N, 2, 3], size: [int], align_corners: bool = false) {
  h = size[2]
  w = size[3]
  y = op.broadcast_to(op.reshape(even_places(h, align_corners), shape: [h, 1, 1]), shape: [h, w, 1])
  x = op.broadcast_to(op.reshape(even_places(w, align_corners), shape: [1, w, 1]), shape: [h, w, 1])
  base = op.reshape(cat([x, y, x * 0.0 + 1.0], 2), shape: [h * w, 3])
  op.reshape(base @ transpose(theta), shape: [N, h, w, 2])
}

/// n places from -1 to 1: from end to end, or the centres of n equal parts.
fn even_places(n: int, align_corners: bool) => if align_corners {
  f32(arange(n)) * (2.0 / maximum(f32(n - 1), 1.0)) - 1.0
} else {
  (2.0 * f32(arange(n)) + 1.0) / f32(n) - 1.0
}

// Writing at computed places. What is written where several are meant is decided by the order of the sources, on every device.

/// x, with src[i, j, ...] in the place of what is at index[i, j, ...] along \`dim\`. Of several for one place the last in row-major order is
/// written; an index outside writes nothing. https://pytorch.org/docs/stable/generated/torch.scatter.html
export fn scatter(x: E[...S], dim: int, index: i32[...I], src: E[...I]) -> E[...S] {
  at = op.reshape(flat_position(index, S, axis_of(dim, len(S))), shape: [prod(I)])
  writer = last_writer(at, prod(S))
  written = take(op.reshape(src, shape: [prod(I)]), maximum(writer, 0), axis: 0)
  op.reshape(select(writer >= 0, written, op.reshape(x, shape: [prod(S)])), shape: S)
}

/// x, with slices of source in the places of those at indices along \`dim\`; of several for one place the last is written.
/// https://pytorch.org/docs/stable/generated/torch.Tensor.index_copy_.html
export fn index_copy(x: E[...S], dim: int, index: i32[N], source: E[...T]) -> E[...S] {
  axis = axis_of(dim, len(S))
  writer = last_writer(index, S[axis])
  shape = [for a in 0..len(S): if a == axis { S[a] } else { 1 }]
  select(op.reshape(writer >= 0, shape: shape), take(source, maximum(writer, 0), axis: axis), x)
}

/// For each of n places the last of the sources that name it, or -1.
fn last_writer(at: i32[K], n: int) -> i32[n] {
  order = op.argsort(at, axis: 0)
  place = take(at, order, axis: 0)
  op.index_add(op.constant(value: 0, elem: "i32", shape: [n]), select(last_of_run(place), place, -1), order + 1) - 1
}

/// Whether the next element is another one.
fn last_of_run(x: i32[K]) -> bool[K] {
  after = narrow(op.pad(x, low: [0], high: [1], value: -1), 0, 1, K)
  x != after or op.iota(shape: [K], axis: 0) == i32(K) - 1
}

/// x combined with all src[i, j, ...] whose index[i, j, ...] along \`dim\` names the place: their sum, product, mean, maximum or minimum, with the
/// element that is there or, without \`include_self\`, in its place. Of equal extrema the last gets the gradient.
/// https://pytorch.org/docs/stable/generated/torch.Tensor.scatter_reduce_.html
export fn scatter_reduce(
  x: f32[...S],
  dim: int,
  index: i32[...I],
  src: f32[...I],
  reduce: "sum" | "prod" | "mean" | "amax" | "amin",
  include_self: bool = true
) -> f32[...S] {
  n = prod(S)
  own = op.reshape(x, shape: [n])
  at = op.reshape(flat_position(index, S, axis_of(dim, len(S))), shape: [prod(I)])
  values = op.reshape(src, shape: [prod(I)])
  zero = full([n], 0.0)
  count = op.index_add(zero, at, full([prod(I)], 1.0))
  made = if reduce == "sum" or reduce == "mean" {
    total = op.index_add(if include_self { own } else { zero }, at, values)
    if reduce == "sum" { total } else { total / (if include_self { count + 1.0 } else { maximum(count, 1.0) }) }
  } else {
    (place, runs) = runs_by_place(at, values, reduce)
    all = op.index_add(zero, select(last_of_run(place), place, -1), runs)
    if not include_self {
      all
    } else if reduce == "prod" {
      own * all
    } else if reduce == "amax" {
      maximum(own, all)
    } else {
      minimum(own, all)
    }
  }
  op.reshape(select(count > 0.0, made, own), shape: S)
}

/// The sources sorted by place; at the last of each place stands its product, maximum or minimum.
fn runs_by_place(at: i32[K], values: f32[K], reduce: "prod" | "amax" | "amin") {
  // The greatest comes last, and NaN after it: minima are sought among the negatives.
  first = if reduce == "prod" {
    op.iota(shape: [K], axis: 0)
  } else {
    op.argsort(if reduce == "amax" { values } else { -values }, axis: 0)
  }
  order = take(first, op.argsort(take(at, first, axis: 0), axis: 0), axis: 0)
  place = take(at, order, axis: 0)
  v = take(values, order, axis: 0)
  if reduce == "prod" {
    before = narrow(op.pad(place, low: [1], high: [0], value: -1), 0, 0, K)
    same = place == before and op.iota(shape: [K], axis: 0) > 0
    (place, op.recurrence(select(same, v, 0.0), select(same, 0.0, v), axis: 0))
  } else {
    (place, v)
  }
}

// Shapes: reshaping, joining and cutting tensors, with torch's names. Negative dims count from the end.

/// A dim as an index from the front.
fn axis_of(dim: int, rank: int) -> int => if dim < 0 { dim + rank } else { dim }

/// The same elements in row-major order under another shape; one entry may be -1 and is then worked out. The sizes must
/// multiply to the same number: proved while compiling, or checked when sizes are bound.
/// https://pytorch.org/docs/stable/generated/torch.reshape.html
export fn reshape(x: E[...S], shape: [int]) {
  known = prod([for d in shape: if d == -1 { 1 } else { d }])
  op.reshape(x, shape: [for d in shape: if d == -1 { prod(S) / known } else { d }])
}

/// Joins the dims start_dim..end_dim into one (https://pytorch.org/docs/stable/generated/torch.flatten.html).
export fn flatten(x: E[...S], start_dim: int = 0, end_dim: int = -1) {
  first = axis_of(start_dim, len(S))
  joined = axis_of(end_dim, len(S)) - first
  op.reshape(x, shape: [
    for a in 0..len(S) - joined:
      if a < first { S[a] } else if a > first { S[a + joined] } else { prod([for i in first..first + joined + 1: S[i]]) }
  ])
}

/// Splits the dim \`dim\` into \`sizes\`; https://pytorch.org/docs/stable/generated/torch.unflatten.html
export fn unflatten(x: E[...S], dim: int, sizes: [int]) {
  at = axis_of(dim, len(S))
  more = len(sizes) - 1
  reshape(x, [
    for a in 0..len(S) + more: if a < at { S[a] } else if a > at + more { S[a - more] } else { sizes[a - at] }
  ])
}

/// Adds a dim of size 1 at \`dim\`; https://pytorch.org/docs/stable/generated/torch.unsqueeze.html
export fn unsqueeze(x: E[...S], dim: int) {
  at = axis_of(dim, len(S) + 1)
  op.reshape(x, shape: [for a in 0..len(S) + 1: if a < at { S[a] } else if a == at { 1 } else { S[a - 1] }])
}

/// Removes the dim \`dim\`, whose size must be 1; https://pytorch.org/docs/stable/generated/torch.squeeze.html
export fn squeeze(x: E[...S], dim: int) {
  at = axis_of(dim, len(S))
  op.reshape(x, shape: [for a in 0..len(S) - 1: if a < at { S[a] } else { S[a + 1] }])
}

/// Swaps two dims; by default the last two; https://pytorch.org/docs/stable/generated/torch.transpose.html
export fn transpose(x: E[...S], dim0: int = -2, dim1: int = -1) {
  a = axis_of(dim0, len(S))
  b = axis_of(dim1, len(S))
  op.transpose(x, perm: [for i in 0..len(S): if i == a { b } else if i == b { a } else { i }])
}

/// Dim i of the result is dim dims[i] of x; https://pytorch.org/docs/stable/generated/torch.permute.html
export fn permute(x: E[...S], dims: [int]) => op.transpose(x, perm: [for d in dims: axis_of(d, len(S))])

/// Repeats x over dims of size 1 and new leading dims, without copying where it is used elementwise.
/// https://pytorch.org/docs/stable/generated/torch.broadcast_to.html
export fn broadcast_to(x: E[...S], shape: [int]) => op.broadcast_to(x, shape: shape)

/// Joins tensors along an existing dim; https://pytorch.org/docs/stable/generated/torch.cat.html
export fn cat(tensors: [tensor], dim: int = 0) => op.concat(tensors, axis: dim)

/// Joins tensors of one shape along a new dim; https://pytorch.org/docs/stable/generated/torch.stack.html
export fn stack(tensors: [tensor], dim: int = 0) => op.concat([for t in tensors: unsqueeze(t, dim)], axis: dim)

/// The part start..start+length of \`dim\`. It must lie inside: nothing is clamped; https://pytorch.org/docs/stable/generated/torch.narrow.html
export fn narrow(x: E[...S], dim: int, start: int, length: int) {
  at = axis_of(dim, len(S))
  op.slice(
    x,
    start: [for a in 0..len(S): if a == at { start } else { 0 }],
    stop: [for a in 0..len(S): if a == at { start + length } else { S[a] }],
    step: [for a in 0..len(S): 1]
  )
}

/// Parts of \`split_size\` along \`dim\`, the last perhaps smaller; or one part for each size of a list, which together are the dim. The dim must
/// be known while compiling, but for a list. https://pytorch.org/docs/stable/generated/torch.split.html
export fn split(x: E[...S], split_size: [int], dim: int = 0) {
  require len(split_size) > 0, "split_size is a list of no sizes"
  if len(split_size) == 1 { equal_parts(x, split_size[0], dim) } else { parts_of(x, split_size, dim) }
}

fn equal_parts(x: E[...S], size: int, dim: int) =>
  [for i in 0..(S[dim] + size - 1) / size: narrow(x, dim, i * size, min(size, S[dim] - i * size))]

fn parts_of(x: E[...S], sizes: [int], dim: int) {
  starts = [for i in 0..len(sizes) + 1: length_of(sizes[0:i])]
  require starts[-1] == S[dim], "the sizes of the parts must add up to that of the dim"
  [for i in 0..len(sizes): narrow(x, dim, starts[i], sizes[i])]
}

fn length_of(sizes: [int]) -> int {
  n = 0
  for size in sizes { n = n + size }
  n
}

/// At most \`chunks\` parts of equal size (the last may be smaller) along \`dim\`; https://pytorch.org/docs/stable/generated/torch.chunk.html
export fn chunk(x: E[...S], chunks: int, dim: int = 0) => split(x, (S[dim] + chunks - 1) / chunks, dim)

/// Reverses the order of elements along the dims; https://pytorch.org/docs/stable/generated/torch.flip.html
export fn flip(x: E[...S], dims: [int]) => op.flip(x, axes: dims)

/// Elements around x; \`pad\` has pairs (before, after) from the last dim backwards, as torch.nn.functional.pad takes them. They are \`value\`, or
/// x mirrored at its ends without repeating them (reflect), its ends repeated (replicate), or x from the other end (circular). A negative number
/// cuts elements off.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.pad.html
export fn pad(
  x: f32[...S],
  pad: [int],
  mode: "constant" | "reflect" | "replicate" | "circular" = "constant",
  value: float = 0.0
) {
  if mode == "constant" {
    low = [for a in 0..len(S): if 2 * (len(S) - 1 - a) < len(pad) { pad[2 * (len(S) - 1 - a)] } else { 0 }]
    high = [for a in 0..len(S): if 2 * (len(S) - 1 - a) < len(pad) { pad[2 * (len(S) - 1 - a) + 1] } else { 0 }]
    op.pad(cut(x, low, high), low: [for p in low: added(p)], high: [for p in high: added(p)], value: value)
  } else {
    y = x
    for i in [for i in 0..len(pad) / 2: i] { y = pad_along(y, len(S) - 1 - i, pad[2 * i], pad[2 * i + 1], mode) }
    y
  }
}

/// What a pad adds, and what a negative one cuts; one that only the run knows is not negative, and \`abs\` of it is itself.
fn added(p: int) -> int => (p + abs(p)) / 2
fn removed(p: int) -> int => (abs(p) - p) / 2

fn cut(x: E[...S], low: [int], high: [int]) {
  if length_of([for p in low: removed(p)]) + length_of([for p in high: removed(p)]) == 0 {
    x
  } else {
    op.slice(x, start: [for p in low: removed(p)], stop: [for a in 0..len(S): S[a] - removed(high[a])], step: [
      for d in S: 1
    ])
  }
}

fn pad_along(x: f32[...S], dim: int, before: int, after: int, mode: "reflect" | "replicate" | "circular") {
  n = i32(S[dim])
  at = arange(S[dim] + before + after) - before
  inside = if mode == "replicate" {
    minimum(maximum(at, 0), n - 1)
  } else if mode == "circular" {
    (at + n) % n
  } else {
    n - 1 - abs(n - 1 - abs(at))
  }
  take(x, inside, axis: dim)
}

/// x limited to min..max. The gradient passes at the ends, as in torch.clamp; https://pytorch.org/docs/stable/generated/torch.clamp.html
export fn clamp(x: f32[...S], min: float? = none, max: float? = none) -> f32[...S] {
  low = if min == none { x } else { select(x < min, min, x) }
  if max == none { low } else { select(low > max, max, low) }
}

/// 1 at the position of each index along a new last dim, 0 elsewhere; https://pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html
export fn one_hot(indices: i32[...S], num_classes: int) -> i32[...S, num_classes] =>
  i32(unsqueeze(indices, -1) == op.iota(shape: [num_classes], axis: 0, elem: "i32"))

/// A tensor of that shape with every element \`value\`; https://pytorch.org/docs/stable/generated/torch.full.html
export fn full(shape: [int], value: float) => op.constant(value: value, elem: "f32", shape: shape)

/// Zeros with the shape of x; https://pytorch.org/docs/stable/generated/torch.zeros_like.html
export fn zeros_like(x: f32[...S]) -> f32[...S] => full(S, 0.0)

/// 0, 1, ..., n - 1; with an end, n, n + step, ... before \`end\`. Whole numbers: \`f32(arange(n)) * 0.5\` has others.
/// https://pytorch.org/docs/stable/generated/torch.arange.html
export fn arange(n: int, end: int? = none, step: int = 1) {
  require step != 0, "arange takes steps of 0 nowhere"
  if end == none { counted(n) } else { i32(n) + step * counted(max(0, (end - n + step - step / abs(step)) / step)) }
}

fn counted(n: int) -> i32[n] => op.iota(shape: [n], axis: 0, elem: "i32")

/// The lower triangle of the last two dims, from the given diagonal; 0 above it; https://pytorch.org/docs/stable/generated/torch.tril.html
export fn tril(x: f32[...S], diagonal: int = 0) -> f32[...S] => select(column(x) > row(x) + diagonal, 0.0, x)

/// The upper triangle of the last two dims, from the given diagonal; 0 below it; https://pytorch.org/docs/stable/generated/torch.triu.html
export fn triu(x: f32[...S], diagonal: int = 0) -> f32[...S] => select(column(x) < row(x) + diagonal, 0.0, x)

fn row(x: f32[...S]) -> i32[...S] => op.iota(shape: S, axis: len(S) - 2, elem: "i32")
fn column(x: f32[...S]) -> i32[...S] => op.iota(shape: S, axis: len(S) - 1, elem: "i32")

// What undoes max pooling, and pools whose windows lie at random.

/// Puts the values of a max pool back where they were, zeros elsewhere; \`indices\` are those that max_pool2d returns. Without \`output_size\`
/// (height, width) a side of size n becomes (n - 1) stride - 2 padding + kernel.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool2d.html
export fn max_unpool2d(
  x: f32[N, C, H, W],
  indices: i32[N, C, H, W],
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  padding: (int, int) = 0,
  output_size: [int]? = none
) => unpooled(
  x,
  indices,
  output_size,
  [(H - 1) * stride.0 - 2 * padding.0 + kernel_size.0, (W - 1) * stride.1 - 2 * padding.1 + kernel_size.1]
)

/// max_unpool2d of sequences [N, C, L]; https://pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool1d.html
export fn max_unpool1d(
  x: f32[N, C, L],
  indices: i32[N, C, L],
  kernel_size: int,
  stride: int = kernel_size,
  padding: int = 0,
  output_size: [int]? = none
) => unpooled(x, indices, output_size, [(L - 1) * stride - 2 * padding + kernel_size])

/// max_unpool2d of volumes [N, C, D, H, W]; https://pytorch.org/docs/stable/generated/torch.nn.functional.max_unpool3d.html
export fn max_unpool3d(
  x: f32[N, C, D, H, W],
  indices: i32[N, C, D, H, W],
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  padding: (int, int, int) = 0,
  output_size: [int]? = none
) => unpooled(
  x,
  indices,
  output_size,
  [
    (D - 1) * stride.0 - 2 * padding.0 + kernel_size.0,
    (H - 1) * stride.1 - 2 * padding.1 + kernel_size.1,
    (W - 1) * stride.2 - 2 * padding.2 + kernel_size.2
  ]
)

/// \`output_size\` may have the leading dims as well, as PyTorch's may.
fn unpooled(x: f32[N, C, ...S], indices: i32[N, C, ...S], output_size: [int]?, usual: [int]) {
  sizes = if output_size == none {
    usual
  } else {
    [for i in 0..len(S): output_size[len(output_size) - len(S) + i]]
  }
  placed = put_at(reshape(x, [N * C, prod(S)]), reshape(indices, [N * C, prod(S)]), prod(sizes))
  op.reshape(placed, shape: [N, C] + sizes)
}

/// Rows of n with x at the indices. What overlapping windows put at one place is the same value: the mean of them.
fn put_at(x: f32[R, L], index: i32[R, L], n: int) -> f32[R, n] {
  empty = full([R, n], 0.0)
  scatter_add(empty, 1, index, x) / maximum(scatter_add(empty, 1, index, full([R, L], 1.0)), 1.0)
}
grad (dy) => gather(dy, 1, index)

/// Max pooling over windows of kernel_size that lie at random, so that there are output_size of them, or output_ratio times the size of
/// the image; Graham 2014. With u = \`_random_samples\` [N, C, 2], drawn if not given, window i of n along a side of s elements begins at
/// floor((i + u) a) - floor(u a), a being (s - kernel) / (n - 1), the last one at s - kernel; u has the columns' number first.
/// With \`return_indices\` also the places of the maxima in their plane: (values, indices).
/// https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html
export fn fractional_max_pool2d(
  x: f32[N, C, H, W],
  kernel_size: (int, int),
  output_size: (int, int)? = none,
  output_ratio: (float, float)? = none,
  return_indices: bool = false,
  _random_samples: f32[N, C, 2]? = none
) {
  require output_size != none or output_ratio != none, "output_size or output_ratio is needed"
  (height, width) = if output_size == none {
    (int(floor(float(H) * output_ratio.0)), int(floor(float(W) * output_ratio.1)))
  } else {
    output_size
  }
  u = if _random_samples == none { rand_like(full([N, C, 2], 0.0)) } else { _random_samples }
  rows = starts(u[:, :, 1], H, height, kernel_size.0)
  columns = starts(u[:, :, 0], W, width, kernel_size.1)
  corner = unsqueeze(rows, 3) * i32(W) + unsqueeze(columns, 2)
  taps = [for t in 0..prod(kernel_size): t / kernel_size.1 * W + t % kernel_size.1]
  best_of_taps(x, corner, taps, return_indices)
}

/// fractional_max_pool2d of volumes [N, C, D, H, W]; \`_random_samples\` [N, C, 3] are for depth, rows and columns.
/// https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
export fn fractional_max_pool3d(
  x: f32[N, C, D, H, W],
  kernel_size: (int, int, int),
  output_size: (int, int, int)? = none,
  output_ratio: (float, float, float)? = none,
  return_indices: bool = false,
  _random_samples: f32[N, C, 3]? = none
) {
  require output_size != none or output_ratio != none, "output_size or output_ratio is needed"
  (depth, height, width) = if output_size == none {
    (
      int(floor(float(D) * output_ratio.0)),
      int(floor(float(H) * output_ratio.1)),
      int(floor(float(W) * output_ratio.2))
    )
  } else {
    output_size
  }
  u = if _random_samples == none { rand_like(full([N, C, 3], 0.0)) } else { _random_samples }
  planes = starts(u[:, :, 0], D, depth, kernel_size.0)
  rows = starts(u[:, :, 1], H, height, kernel_size.1)
  columns = starts(u[:, :, 2], W, width, kernel_size.2)
  line = unsqueeze(planes, 3) * i32(H) + unsqueeze(rows, 2)
  corner = unsqueeze(line, 4) * i32(W) + unsqueeze(unsqueeze(columns, 2), 2)
  area = kernel_size.1 * kernel_size.2
  taps = [for t in 0..prod(kernel_size): (t / area * H + t % area / kernel_size.2) * W + t % kernel_size.2]
  best_of_taps(x, corner, taps, return_indices)
}

/// Where the windows begin, for one number per channel.
fn starts(u: f32[N, C], size: int, count: int, kernel: int) -> i32[N, C, count] {
  step = if count > 1 { f32(size - kernel) / f32(count - 1) } else { f32(0) }
  at = unsqueeze(u, 2)
  i = arange(count)
  select(i == count - 1, i32(size - kernel), i32((f32(i) + at) * step) - i32(at * step))
}

/// The first largest element (the last NaN before all) among those at corner + tap, in row-major order, and its place.
fn best_of_taps(x: f32[N, C, ...S], corner: i32[N, C, ...T], taps: [int], return_indices: bool) {
  flat = op.reshape(x, shape: [N, C, prod(S)])
  seen = stop_gradient(flat)
  first = flatten(corner, 2, -1)
  best = gather(seen, 2, first)
  index = first
  for tap in [for i in 1..len(taps): taps[i]] {
    at = first + i32(tap)
    here = gather(seen, 2, at)
    better = here > best or is_nan(here)
    index = select(better, at, index)
    best = select(better, here, best)
  }
  y = op.reshape(gather(flat, 2, index), shape: shape(corner))
  if return_indices { (y, op.reshape(index, shape: shape(corner))) } else { y }
}

// Convolutions and pools over volumes [N, C, D, H, W], in steps along the depth of what is done with images.

/// Cross-correlation of volumes [N, C, D, H, W] with kernels [out, in / groups, depth, height, width], zeros around as \`conv_padding\` says: the
/// sum over the kernel's depth of 2-d convolutions of the slices that each of its planes meets.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv3d.html
export fn conv3d(
  x: f32[N, C, D, H, W],
  weight: f32[O, CG, KD, KH, KW],
  bias: f32[O]? = none,
  stride: (int, int, int) = 1,
  padding: (int, int, int) | "same" | "valid" = 0,
  dilation: (int, int, int) = 1,
  groups: int = 1
) {
  require padding != "same" or (stride.0 == 1 and stride.1 == 1 and stride.2 == 1), "padding \\"same\\" needs stride 1"
  around = conv_padding(padding, [KD, KH, KW], dilation)
  padded = pad(x, [0, 0, 0, 0, around[0], around[1]])
  depth = (D + around[0] + around[1] - dilation.0 * (KD - 1) - 1) / stride.0 + 1
  within = if padding == "same" or padding == "valid" { padding } else { (padding.1, padding.2) }
  planes = [for k in 0..KD: depth_plane(padded, weight, k, depth, stride, within, dilation, groups)]
  y = total(planes)
  z = if bias == none { y } else { y + op.reshape(bias, shape: [O, 1, 1]) }
  images = unflatten(z, 0, [N, depth])
  permute(images, [0, 2, 1, 3, 4])
}

/// What plane k of the kernel adds, as images [N * depth, out, height, width].
fn depth_plane(
  x: f32[N, C, D, H, W],
  weight: f32[O, CG, KD, KH, KW],
  k: int,
  depth: int,
  stride: (int, int, int),
  padding: (int, int) | "same" | "valid",
  dilation: (int, int, int),
  groups: int
) {
  first = k * dilation.0
  met = op.slice(
    x,
    start: [0, 0, first, 0, 0],
    stop: [N, C, first + (depth - 1) * stride.0 + 1, H, W],
    step: [1, 1, stride.0, 1, 1]
  )
  images = reshape(permute(met, [0, 2, 1, 3, 4]), [N * depth, C, H, W])
  conv2d(
    images,
    squeeze(narrow(weight, 2, k, 1), 2),
    stride: (stride.1, stride.2),
    padding: padding,
    dilation: (dilation.1, dilation.2),
    groups: groups
  )
}

/// The gradient of conv3d by its input, as a layer: each plane of the kernel [in, out / groups, depth, height, width] gives
/// images (a conv_transpose2d), which are added where it lies along the depth.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose3d.html
export fn conv_transpose3d(
  x: f32[N, C, D, H, W],
  weight: f32[C, OG, KD, KH, KW],
  bias: f32[O]? = none,
  stride: (int, int, int) = 1,
  padding: (int, int, int) = 0,
  output_padding: (int, int, int) = 0,
  groups: int = 1,
  dilation: (int, int, int) = 1
) {
  images = reshape(permute(x, [0, 2, 1, 3, 4]), [N * D, C, H, W])
  whole = (D - 1) * stride.0 + dilation.0 * (KD - 1) + 1 + output_padding.0
  placed = [
    for k in 0..KD: along_depth(
      unflatten(
        conv_transpose2d(
          images,
          squeeze(narrow(weight, 2, k, 1), 2),
          stride: (stride.1, stride.2),
          padding: (padding.1, padding.2),
          output_padding: (output_padding.1, output_padding.2),
          groups: groups,
          dilation: (dilation.1, dilation.2)
        ),
        0,
        [N, D]
      ),
      k * dilation.0,
      stride.0,
      whole
    )
  ]
  volume = permute(narrow(total(placed), 1, padding.0, whole - 2 * padding.0), [0, 2, 1, 3, 4])
  if bias == none { volume } else { volume + op.reshape(bias, shape: [O, 1, 1, 1]) }
}

/// Images [N, D, ...] at first, first + step, ... of a depth of n, zeros between.
fn along_depth(x: f32[N, D, C, H, W], first: int, step: int, n: int) =>
  op.pad(x, low: [0, first, 0, 0, 0], high: [0, n - first - (D - 1) * step - 1, 0, 0, 0], gap: [0, step - 1, 0, 0, 0])

/// The largest element of each window: of the largest of its planes. NaN passes through. With \`return_indices\` also where it lies in its
/// volume, (depth * H + row) * W + column: (values, indices).
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.max_pool3d.html
export fn max_pool3d(
  x: f32[N, C, D, H, W],
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  padding: (int, int, int) = 0,
  dilation: (int, int, int) = 1,
  ceil_mode: bool = false,
  return_indices: bool = false
) {
  planes = max_pool2d(
    flatten(x, 1, 2),
    (kernel_size.1, kernel_size.2),
    stride: (stride.1, stride.2),
    padding: (padding.1, padding.2),
    dilation: (dilation.1, dilation.2),
    ceil_mode: ceil_mode,
    return_indices: return_indices
  )
  deep = y => max_pool2d(
    y,
    (kernel_size.0, 1),
    stride: (stride.0, 1),
    padding: (padding.0, 0),
    dilation: (dilation.0, 1),
    ceil_mode: ceil_mode,
    return_indices: return_indices
  )
  if return_indices {
    (tops, places) = planes
    (values, chosen) = deep(as_depth(tops, C, D))
    sizes = shape(tops)
    // The chosen plane, and the place in it; both are read at the same (depth, row * columns + column).
    plane = chosen / i32(sizes[2] * sizes[3])
    place = gather(as_depth(places, C, D), 2, plane)
    (unflatten(values, 3, [sizes[2], sizes[3]]), unflatten(plane * i32(H * W) + place, 3, [sizes[2], sizes[3]]))
  } else {
    across_depth(planes, C, D, deep)
  }
}

/// The mean of each window: the mean of the means of its planes, which all hold the same number of elements.
/// https://pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool3d.html
export fn avg_pool3d(
  x: f32[N, C, D, H, W],
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  padding: (int, int, int) = 0,
  ceil_mode: bool = false,
  count_include_pad: bool = true,
  divisor_override: int? = none
) {
  planes = avg_pool2d(
    flatten(x, 1, 2),
    (kernel_size.1, kernel_size.2),
    stride: (stride.1, stride.2),
    padding: (padding.1, padding.2),
    ceil_mode: ceil_mode,
    count_include_pad: count_include_pad,
    divisor_override: divisor_override
  )
  across_depth(
    planes,
    C,
    D,
    y => avg_pool2d(
      y,
      (kernel_size.0, 1),
      stride: (stride.0, 1),
      padding: (padding.0, 0),
      ceil_mode: ceil_mode,
      count_include_pad: count_include_pad,
      divisor_override: if divisor_override == none { none } else { 1 }
    )
  )
}

/// Pools the depth of [N, C * D, H, W], as images of height D and width H * W.
fn across_depth(x: f32[N, P, H, W], channels: int, depth: int, pool: (f32[...S]) -> f32[...S]) =>
  unflatten(pool(as_depth(x, channels, depth)), 3, [H, W])

/// [N, C * D, H, W] as [N, C, D, H * W].
fn as_depth(x: E[N, P, H, W], channels: int, depth: int) => op.reshape(x, shape: [N, channels, depth, H * W])
`,
  'std/init': `// Initialisers of torch.nn.init: the shape \`S\` is that of the parameter to be filled.

/// Every element is \`val\`; https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.constant_
export fn constant(val: float) -> f32[...S] => op.constant(value: val, elem: "f32", shape: S)

/// Zeros of the shape S (\`zeros([B, 4])\`), else of the shape and element type of the place where they go (\`param b: f32[4] ~ zeros()\`).
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.zeros_, https://pytorch.org/docs/stable/generated/torch.zeros.html
export fn zeros(S: [int]? = none) -> E[...S] => op.constant(value: 0.0, elem: E, shape: S)

/// Ones of the shape S, else of the shape and element type of the place where they go.
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.ones_, https://pytorch.org/docs/stable/generated/torch.ones.html
export fn ones(S: [int]? = none) -> E[...S] => op.constant(value: 1.0, elem: E, shape: S)

/// Uniform in [a, b); https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.uniform_
export fn uniform(a: float = 0.0, b: float = 1.0) -> f32[...S] => rand() * (b - a) + a

/// Normal with the given mean and standard deviation; https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.normal_
export fn normal(mean: float = 0.0, std: float = 1.0) -> f32[...S] => randn() * std + mean

/// Normal, limited to a..b by inverting the distribution function
/// (https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.trunc_normal_).
export fn trunc_normal(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> f32[...S] {
  low = erf((a - mean) / (std * sqrt(2.0)))
  high = erf((b - mean) / (std * sqrt(2.0)))
  z = erf_inverse(rand() * (high - low) + low)
  clamp(z * (std * sqrt(2.0)) + mean, a, b)
}

/// The inverse of erf to about 6e-7, by M. Giles, "Approximating the erfinv function" (2010), single precision.
fn erf_inverse(x: f32[...S]) -> f32[...S] {
  w = -log(maximum((1.0 - x) * (1.0 + x), 1e-30))
  c = w - 2.5
  centre =
    1.50140941 +
    c * (0.246640727 +
      c * (-0.00417768164 +
        c * (-0.00125372503 +
          c * (0.000218580870 +
            c * (-0.00000439150654 + c * (-0.00000352338770 + c * (0.000000343273939 + c * 0.0000000281022636)))))))
  t = sqrt(w) - 3.0
  tail =
    2.83297682 +
    t * (1.00167406 +
      t * (0.00943887047 +
        t * (-0.00762246130 +
          t * (0.00573950773 +
            t * (-0.00367342844 + t * (0.00134934322 + t * (0.000100950558 - t * 0.000200214257)))))))
  x * select(w < 5.0, centre, tail)
}

/// How many inputs feed one output of a weight [out, in, ...kernel].
fn fan_in_of(shape: [int]) -> int => prod(shape) / shape[0]

/// How many outputs one input feeds.
fn fan_out_of(shape: [int]) -> int => prod(shape) / shape[1]

/// What follows a layer, or the layer itself; https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain
export type Nonlinearity =
  "linear" |
  "conv1d" |
  "conv2d" |
  "conv3d" |
  "conv_transpose1d" |
  "conv_transpose2d" |
  "conv_transpose3d" |
  "sigmoid" |
  "tanh" |
  "relu" |
  "leaky_relu" |
  "selu"

/// The factor that keeps the size of activations through a nonlinearity; \`param\` is leaky_relu's slope.
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.calculate_gain
export fn calculate_gain(nonlinearity: Nonlinearity, param: float = 0.01) -> float {
  if nonlinearity == "tanh" {
    5.0 / 3.0
  } else if nonlinearity == "relu" {
    sqrt(2.0)
  } else if nonlinearity == "leaky_relu" {
    sqrt(2.0 / (1.0 + param * param))
  } else if nonlinearity == "selu" {
    0.75
  } else {
    1.0
  }
}

/// Uniform in +-gain sqrt(6 / (fan_in + fan_out)); Glorot & Bengio 2010; https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_uniform_
export fn xavier_uniform(gain: float = 1.0) -> f32[...S] {
  bound = gain * sqrt(6.0 / float(fan_in_of(S) + fan_out_of(S)))
  uniform(-bound, bound)
}

/// Normal with standard deviation gain sqrt(2 / (fan_in + fan_out)); Glorot & Bengio 2010.
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.xavier_normal_
export fn xavier_normal(gain: float = 1.0) -> f32[...S] =>
  normal(0.0, gain * sqrt(2.0 / float(fan_in_of(S) + fan_out_of(S))))

/// Uniform in +-gain sqrt(3 / fan); He et al. 2015. \`a\` is leaky_relu's slope.
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.kaiming_uniform_
export fn kaiming_uniform(
  a: float = 0.0,
  mode: "fan_in" | "fan_out" = "fan_in",
  nonlinearity: Nonlinearity = "leaky_relu"
) -> f32[...S] {
  fan = if mode == "fan_in" { fan_in_of(S) } else { fan_out_of(S) }
  bound = calculate_gain(nonlinearity, a) * sqrt(3.0 / float(fan))
  uniform(-bound, bound)
}

/// Normal with standard deviation gain / sqrt(fan); He et al. 2015. \`a\` is leaky_relu's slope.
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.kaiming_normal_
export fn kaiming_normal(
  a: float = 0.0,
  mode: "fan_in" | "fan_out" = "fan_in",
  nonlinearity: Nonlinearity = "leaky_relu"
) -> f32[...S] {
  fan = if mode == "fan_in" { fan_in_of(S) } else { fan_out_of(S) }
  normal(0.0, calculate_gain(nonlinearity, a) / sqrt(float(fan)))
}

/// The identity matrix: 1 where row equals column; https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.eye_
export fn eye() -> f32[R, C] =>
  f32(op.iota(shape: [R, C], axis: 0, elem: "i32") == op.iota(shape: [R, C], axis: 1, elem: "i32"))

/// Kernels [out, in, ...size] that pass their input channels through: 1 at the kernel's centre where the input channel is the output
/// channel within its group. https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.dirac_
export fn dirac(groups: int = 1) -> f32[O, I, ...K] {
  shape = [for a in 0..len(K) + 2: if a == 0 { O } else if a == 1 { I } else { K[a - 2] }]
  here = op.iota(shape: shape, axis: 0, elem: "i32") % (O / groups) == op.iota(shape: shape, axis: 1, elem: "i32")
  for a in [for a in 0..len(K): a] { here = here and op.iota(shape: shape, axis: a + 2, elem: "i32") == K[a] / 2 }
  f32(here)
}

/// Rows that are orthogonal and of length \`gain\` (columns, where there are more rows than columns), as the matrix
/// [rows, everything else]; Saxe et al. 2013, https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.orthogonal_
export fn orthogonal(gain: float = 1.0) -> f32[R, ...S] {
  columns = prod(S)
  drawn = randn_like(full([min(R, columns), max(R, columns)], 0.0))
  q = orthonormal_rows(drawn) * gain
  op.reshape(if R > columns { transpose(q) } else { q }, shape: [
    for a in 0..len(S) + 1: if a == 0 { R } else { S[a - 1] }
  ])
}

/// Gram and Schmidt's rows, each cleared twice of those before it: once is not enough in f32 (Giraud et al. 2005).
fn orthonormal_rows(a: f32[N, M]) -> f32[N, M] {
  q = a * 0.0
  for i in 0..N {
    once = a[i] - q_part(q, a[i])
    twice = once - q_part(q, once)
    q[i] = twice / sqrt(sum(twice * twice))
  }
  q
}

/// The part of v in the span of the rows of q; rows that are not there yet are zeros.
fn q_part(q: f32[N, M], v: f32[M]) -> f32[M] => sum(q * sum(q * v, 1, keepdim: true), 0)

/// Normal with standard deviation \`std\`, the share \`sparsity\` of each column's elements (rounded up) set to 0; Martens 2010,
/// https://pytorch.org/docs/stable/nn.init.html#torch.nn.init.sparse_
export fn sparse(sparsity: float, std: float = 0.01) -> f32[R, C] {
  w = randn() * std
  order = argsort(rand_like(w), 0)
  select(order < ceil(float(R) * sparsity), 0.0, w)
}
`,
  'std/metrics': `// Measures of quality that are not trained on.

/// The share of targets whose class has the largest score; classes are dim 1, as in cross_entropy.
export fn accuracy(scores: f32[N, C, ...S], target: i32[N, ...S]) -> f32[] =>
  mean(f32(argmax(scores, dim: 1) == target))

/// The share of targets whose class is among the k of the largest scores; classes are dim 1.
export fn top_k_accuracy(scores: f32[N, C, ...S], target: i32[N, ...S], k: int = 5) -> f32[] {
  chosen = gather(scores, 1, unsqueeze(target, 1))
  mean(f32(sum(i32(scores > chosen), dim: 1) < k))
}

/// The share of rows on the right side of 0, for one score per row and targets 0 or 1.
export fn binary_accuracy(scores: f32[...S], target: f32[...S]) -> f32[] => mean(f32((scores > 0.0) == (target > 0.5)))

/// The coefficient of determination: 1 - residual sum of squares / total sum of squares.
export fn r2_score(input: f32[...S], target: f32[...S]) -> f32[] {
  residual = input - target
  spread = target - mean(target)
  1.0 - sum(residual * residual) / sum(spread * spread)
}

/// exp of a mean cross-entropy.
export fn perplexity(loss: f32[]) -> f32[] => exp(loss)

/// How often class r (row) was taken for class c (column): the class of scores is that of the largest along dim 1.
export fn confusion_matrix(scores: f32[N, C, ...S], target: i32[N, ...S]) -> i32[C, C] {
  cell = target * i32(C) + argmax(scores, dim: 1)
  n = N * prod(S)
  ones = op.constant(value: 1.0, elem: "i32", shape: [n])
  op.reshape(op.scatter_add(op.reshape(cell, shape: [n]), ones, size: C * C), shape: [C, C])
}

/// For each class of a confusion matrix: the share of what was taken for it that is it (precision), the share of it that was found (recall), and
/// their harmonic mean (F1). 0 where nothing was taken for it, or nothing is it. The mean over classes is the "macro" average.
export fn class_precision_recall_f1(confusion: i32[C, C]) -> (f32[C], f32[C], f32[C]) {
  counts = f32(confusion)
  hits = sum(select(unsqueeze(arange(C), 1) == arange(C), counts, 0.0), dim: 1)
  scores_of(hits, sum(counts, dim: 0), sum(counts, dim: 1))
}

/// For scores and targets 0 or 1: the share of the positive that is found right (precision), the share of the true that is found
/// (recall), and their harmonic mean (F1). 0 where nothing is positive, or true.
export fn precision_recall_f1(scores: f32[N], target: f32[N]) -> (f32[], f32[], f32[]) {
  positive = f32(scores > 0.0)
  scores_of(sum(positive * target), sum(positive), sum(target))
}

/// Precision, recall and F1 of numbers of hits among what was taken for true and what is.
fn scores_of(hits: f32[...S], taken: f32[...S], actual: f32[...S]) -> (f32[...S], f32[...S], f32[...S]) {
  precision = hits / maximum(taken, 1.0)
  recall = hits / maximum(actual, 1.0)
  (precision, recall, 2.0 * hits / maximum(taken + actual, 1.0))
}
`,
  'std/nn': `// Activations as blocks, for a \`seq\` that sets their hyper-parameters or for PyTorch's spelling; the plain functions do the same.

/// The rectifier.
///
/// Formula: \`y = max(0, x)\`; the gradient at 0 is 0.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Nair & Hinton 2010, https://pytorch.org/docs/stable/generated/torch.nn.ReLU.html
export block ReLU() {
  forward(x: f32[...S]) -> f32[...S] => relu(x)
}

/// The rectifier, limited to 6.
///
/// Formula: \`y = min(max(0, x), 6)\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Howard et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.ReLU6.html
export block ReLU6() {
  forward(x: f32[...S]) -> f32[...S] => relu6(x)
}

/// The rectifier with a slope below 0.
///
/// Formula: \`y = x\` where x > 0, \`y = negative_slope x\` elsewhere.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Maas et al. 2013, https://pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html
export block LeakyReLU(negative_slope: float = 0.01) {
  forward(x: f32[...S]) -> f32[...S] => leaky_relu(x, negative_slope)
}

/// The rectifier with a learned slope below 0.
///
/// Formula: \`y = max(0, x) + weight min(0, x)\`.
///
/// Shapes: [N, num_parameters, ...] to the same, a slope for each channel (dim 1); with num_parameters 1 any shape.
///
/// \`init\` is the slope at first.
///
/// Source: He et al. 2015, https://pytorch.org/docs/stable/generated/torch.nn.PReLU.html
export block PReLU(num_parameters: int = 1, init: float = 0.25) {
  param weight: f32[num_parameters] ~ constant(init)

  forward(x: f32[...S]) -> f32[...S] => prelu(x, weight)
}

/// The rectifier with a random slope below 0.
///
/// Formula: \`y = x\` where x > 0, \`y = a x\` elsewhere, with a drawn from lower..upper for each element in training, \`a = (lower + upper) /
/// 2\` otherwise.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Xu et al. 2015, https://pytorch.org/docs/stable/generated/torch.nn.RReLU.html
export block RReLU(lower: float = 0.125, upper: float = 0.3333333333333333) {
  forward(x: f32[...S]) -> f32[...S] => rrelu(x, lower, upper)
}

/// The exponential linear unit.
///
/// Formula: \`y = x\` where x > 0, \`y = alpha (exp(x) - 1)\` elsewhere.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Clevert et al. 2015, https://pytorch.org/docs/stable/generated/torch.nn.ELU.html
export block ELU(alpha: float = 1.0) {
  forward(x: f32[...S]) -> f32[...S] => elu(x, alpha)
}

/// An ELU whose slope is continuous for every alpha.
///
/// Formula: \`y = max(0, x) + min(0, alpha (exp(x / alpha) - 1))\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Barron 2017, https://pytorch.org/docs/stable/generated/torch.nn.CELU.html
export block CELU(alpha: float = 1.0) {
  forward(x: f32[...S]) -> f32[...S] => celu(x, alpha)
}

/// An ELU whose outputs keep mean 0 and variance 1.
///
/// Formula: \`y = scale (max(0, x) + min(0, alpha (exp(x) - 1)))\` with \`scale = 1.0507...\` and \`alpha = 1.6732...\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Klambauer et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.SELU.html
export block SELU() {
  forward(x: f32[...S]) -> f32[...S] => selu(x)
}

/// The sigmoid linear unit, also called swish.
///
/// Formula: \`y = x sigmoid(x)\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Hendrycks & Gimpel 2016, https://pytorch.org/docs/stable/generated/torch.nn.SiLU.html
export block SiLU() {
  forward(x: f32[...S]) -> f32[...S] => silu(x)
}

/// The Gaussian error linear unit.
///
/// Formula: \`y = x Phi(x)\`, Phi being the distribution function of the normal distribution; with \`approximate: "tanh"\` \`y = x / 2 (1 +
/// tanh(sqrt(2 / pi) (x + 0.044715 x^3)))\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Hendrycks & Gimpel 2016, https://pytorch.org/docs/stable/generated/torch.nn.GELU.html
export block GELU(approximate: "none" | "tanh" = "none") {
  forward(x: f32[...S]) -> f32[...S] => gelu(x, approximate)
}

/// A smooth, not monotonic rectifier.
///
/// Formula: \`y = x tanh(log(1 + exp(x)))\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Misra 2019, https://pytorch.org/docs/stable/generated/torch.nn.Mish.html
export block Mish() {
  forward(x: f32[...S]) -> f32[...S] => mish(x)
}

/// The logistic function.
///
/// Formula: \`y = 1 / (1 + exp(-x))\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Sigmoid.html
export block Sigmoid() {
  forward(x: f32[...S]) -> f32[...S] => sigmoid(x)
}

/// The logarithm of the logistic function.
///
/// Formula: \`y = log(1 / (1 + exp(-x)))\`, computed so that nothing overflows.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html
export block LogSigmoid() {
  forward(x: f32[...S]) -> f32[...S] => logsigmoid(x)
}

/// A sigmoid of straight lines.
///
/// Formula: \`y = min(max(x + 3, 0), 6) / 6\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Howard et al. 2019, https://pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html
export block Hardsigmoid() {
  forward(x: f32[...S]) -> f32[...S] => hardsigmoid(x)
}

/// A swish of a sigmoid of straight lines.
///
/// Formula: \`y = x min(max(x + 3, 0), 6) / 6\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Howard et al. 2019, https://pytorch.org/docs/stable/generated/torch.nn.Hardswish.html
export block Hardswish() {
  forward(x: f32[...S]) -> f32[...S] => hardswish(x)
}

/// The hyperbolic tangent.
///
/// Formula: \`y = (exp(x) - exp(-x)) / (exp(x) + exp(-x))\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Tanh.html
export block Tanh() {
  forward(x: f32[...S]) -> f32[...S] => tanh(x)
}

/// A limit at both sides.
///
/// Formula: \`y = min(max(x, min_val), max_val)\`; the gradient is 0 at and beyond the ends.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html
export block Hardtanh(min_val: float = -1.0, max_val: float = 1.0) {
  forward(x: f32[...S]) -> f32[...S] => hardtanh(x, min_val, max_val)
}

/// A smooth rectifier.
///
/// Formula: \`y = log(1 + exp(beta x)) / beta\`, and \`y = x\` where beta x is above the threshold.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: Dugas et al. 2001, https://pytorch.org/docs/stable/generated/torch.nn.Softplus.html
export block Softplus(beta: float = 1.0, threshold: float = 20.0) {
  forward(x: f32[...S]) -> f32[...S] => softplus(x, beta, threshold)
}

/// A sigmoid with slow tails.
///
/// Formula: \`y = x / (1 + |x|)\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Softsign.html
export block Softsign() {
  forward(x: f32[...S]) -> f32[...S] => softsign(x)
}

/// What tanh takes away.
///
/// Formula: \`y = x - tanh(x)\`.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Tanhshrink.html
export block Tanhshrink() {
  forward(x: f32[...S]) -> f32[...S] => tanhshrink(x)
}

/// Small elements become 0.
///
/// Formula: \`y = x\` where |x| > lambd, \`y = 0\` elsewhere.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Hardshrink.html
export block Hardshrink(lambd: float = 0.5) {
  forward(x: f32[...S]) -> f32[...S] => hardshrink(x, lambd)
}

/// Elements move toward 0.
///
/// Formula: \`y = x - lambd\` where x > lambd, \`y = x + lambd\` where x < -lambd, \`y = 0\` elsewhere.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Softshrink.html
export block Softshrink(lambd: float = 0.5) {
  forward(x: f32[...S]) -> f32[...S] => softshrink(x, lambd)
}

/// What is not above a threshold is replaced.
///
/// Formula: \`y = x\` where x > threshold, \`y = value\` elsewhere.
///
/// Shapes: [...S] to [...S]: any shape, each element on its own.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Threshold.html
export block Threshold(threshold: float, value: float) {
  forward(x: f32[...S]) -> f32[...S] => select(x <= threshold, value, x)
}

/// A gated linear unit.
///
/// Formula: \`y = a sigmoid(b)\`, a and b being the halves of x along \`dim\`.
///
/// Shapes: [..., 2 n, ...] to [..., n, ...] along \`dim\`.
///
/// Source: Dauphin et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.GLU.html
export block GLU(dim: int = -1) {
  forward(x: f32[...S]) => glu(x, dim)
}

/// Numbers as probabilities.
///
/// Formula: \`y = exp(x) / sum(exp(x))\` along \`dim\`, computed from x - max(x).
///
/// Shapes: [...S] to [...S].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmax.html
export block Softmax(dim: int) {
  forward(x: f32[...S]) -> f32[...S] => softmax(x, dim)
}

/// Numbers as probabilities, the smallest with the largest.
///
/// Formula: \`y = exp(-x) / sum(exp(-x))\` along \`dim\`.
///
/// Shapes: [...S] to [...S].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmin.html
export block Softmin(dim: int) {
  forward(x: f32[...S]) -> f32[...S] => softmin(x, dim)
}

/// The logarithm of softmax.
///
/// Formula: \`y = x - log(sum(exp(x)))\` along \`dim\`, computed from x - max(x).
///
/// Shapes: [...S] to [...S].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.LogSoftmax.html
export block LogSoftmax(dim: int) {
  forward(x: f32[...S]) -> f32[...S] => log_softmax(x, dim)
}

/// Softmax over the channels of every pixel.
///
/// Formula: \`y = exp(x) / sum(exp(x))\` along dim 1.
///
/// Shapes: [N, C, H, W] to [N, C, H, W].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Softmax2d.html
export block Softmax2d() {
  forward(x: f32[N, C, H, W]) -> f32[N, C, H, W] => softmax(x, 1)
}

// A classifier of very many classes.

/// A classifier of very many classes, numbered from frequent to rare: a head scores the frequent ones and clusters of the others.
///
/// Formula: \`log p(c) = log_softmax(head x)[c]\` for classes below cutoffs[0], \`log p(c) = log_softmax(head x)[cutoffs[0] + i] +
/// log_softmax(tail_i x)[c - cutoffs[i]]\` for those of cluster i, which are cutoffs[i] .. cutoffs[i + 1], the last up to n_classes. tail_i
/// is two linear layers with in_features / div_value^(i + 1) features between them.
///
/// Shapes: input [N, in_features] and target [N] give (log p(target) [N], the loss [], which is minus its mean); \`log_prob\` gives [N,
/// n_classes], \`predict\` the likeliest class [N].
///
/// Every cluster is computed for every row, as sizes cannot depend on targets.
///
/// Source: Grave et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveLogSoftmaxWithLoss.html
export block AdaptiveLogSoftmaxWithLoss(
  in_features: int,
  n_classes: int,
  cutoffs: [int],
  div_value: float = 4.0,
  head_bias: bool = false
) {
  require len(cutoffs) > 0 and cutoffs[-1] < n_classes, "cutoffs must be increasing and below n_classes ({n_classes})"
  require float(in_features) >=
    pow(
      div_value,
      float(len(cutoffs))
    ), "no feature is left for the last cluster: in_features ({in_features}) is below div_value^(number of cutoffs)"

  const ends = cutoffs + [n_classes]
  const clusters = len(cutoffs)

  head = Linear(in_features, cutoffs[0] + clusters, bias: head_bias)
  tail = [for i in 0..clusters: seq {
    Linear(in_features, int(floor(float(in_features) / pow(div_value, float(i + 1)))), bias: false)
    Linear(int(floor(float(in_features) / pow(div_value, float(i + 1)))), ends[i + 1] - ends[i], bias: false)
  }]

  forward(input: f32[N, in_features], target: i32[N]) -> (f32[N], f32[]) {
    first = log_softmax(head(input), 1)
    output = chosen(first, target)
    for (i, scores) in enumerate(tail) {
      inside = target >= ends[i] and target < ends[i + 1]
      of_class = chosen(log_softmax(scores(input), 1), target - ends[i])
      output = select(inside, first[:, ends[0] + i] + of_class, output)
    }
    (output, -mean(output))
  }

  log_prob(input: f32[N, in_features]) -> f32[N, n_classes] {
    first = log_softmax(head(input), 1)
    cat(
      [first[:, :ends[0]]] +
        [for (i, scores) in enumerate(tail): log_softmax(scores(input), 1) + unsqueeze(first[:, ends[0] + i], 1)],
      1
    )
  }

  predict(input: f32[N, in_features]) -> i32[N] => argmax(log_prob(input), 1)
}

/// The element of each row at an index; any other where the index is outside.
fn chosen(x: f32[N, C], index: i32[N]) -> f32[N] =>
  squeeze(gather(x, 1, unsqueeze(minimum(maximum(index, 0), i32(C - 1)), 1)), 1)

// Attention.

/// Attention in num_heads parallel heads of size d = embed_dim / num_heads.
///
/// Formula: \`y = out_proj(heads side by side)\` with \`head = softmax(Q K^T / sqrt(d) + mask) V\`, Q, K and V being linear in query, key and
/// value.
///
/// Shapes: query [L, N, embed_dim], key [S, N, kdim] and value [S, N, vdim], with N first under batch_first, or without N, give (output,
/// weights). The output is like the query; weights are [N, L, S], the mean over heads, [N, num_heads, L, S] with \`average_attn_weights:
/// false\`, and \`none\` with \`need_weights: false\`. Weights that nobody uses cost nothing.
///
/// \`key_padding_mask\` [N, S] and \`attn_mask\`, [L, S] or [N num_heads, L, S], are true where a key is hidden, as in PyTorch (the masks of
/// scaled_dot_product_attention say the contrary), or numbers that are added to the scores. \`is_causal\` hides the keys after a query. A
/// query that sees nothing gets zeros. add_bias_kv appends a learned key and value, add_zero_attn one of zeros, which every query sees. The
/// projections are xavier-uniform, out_proj as Linear, bias_k and bias_v xavier-normal, the other biases zero.
///
/// Source: Vaswani et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html
export block MultiheadAttention(
  embed_dim: int,
  num_heads: int,
  dropout: float = 0.0,
  bias: bool = true,
  add_bias_kv: bool = false,
  add_zero_attn: bool = false,
  kdim: int? = none,
  vdim: int? = none,
  batch_first: bool = false
) {
  require num_heads > 0, "num_heads is {num_heads}: one at least"
  require embed_dim > 0, "embed_dim is {embed_dim}: one at least"
  require embed_dim % num_heads == 0, "num_heads ({num_heads}) must divide embed_dim ({embed_dim})"

  const key_size = if kdim == none { embed_dim } else { kdim }
  const value_size = if vdim == none { embed_dim } else { vdim }
  const joint = key_size == embed_dim and value_size == embed_dim
  const extra_keys = (if add_bias_kv { 1 } else { 0 }) + (if add_zero_attn { 1 } else { 0 })

  if joint {
    param in_proj_weight: f32[3 * embed_dim, embed_dim] ~ xavier_uniform()
  } else {
    param q_proj_weight: f32[embed_dim, embed_dim] ~ xavier_uniform()
    param k_proj_weight: f32[embed_dim, key_size] ~ xavier_uniform()
    param v_proj_weight: f32[embed_dim, value_size] ~ xavier_uniform()
  }
  if bias { param in_proj_bias: f32[3 * embed_dim] ~ zeros() }
  if add_bias_kv {
    param bias_k: f32[1, 1, embed_dim] ~ xavier_normal()
    param bias_v: f32[1, 1, embed_dim] ~ xavier_normal()
  }
  out_proj = Linear(embed_dim, embed_dim, bias: bias)

  init { out_proj.bias ~ zeros() }

  forward(
    query: f32[...Q, embed_dim],
    key: f32[...K, key_size],
    value: f32[...K, value_size],
    key_padding_mask: P[...R]? = none,
    need_weights: bool = true,
    attn_mask: T[...M]? = none,
    average_attn_weights: bool = true,
    is_causal: bool = false
  ) {
    if len(Q) == 1 {
      at = if batch_first { 0 } else { 1 }
      padding = if key_padding_mask == none { none } else { unsqueeze(key_padding_mask, 0) }
      (x, keys, values) = (unsqueeze(query, at), unsqueeze(key, at), unsqueeze(value, at))
      (y, weights) = attend(x, keys, values, mask_of(padding, attn_mask, is_causal, x, keys), is_causal, need_weights)
      (squeeze(y, at), if need_weights { squeeze(shown(weights, average_attn_weights), 0) } else { none })
    } else {
      mask = mask_of(key_padding_mask, attn_mask, is_causal, query, key)
      (y, weights) = attend(query, key, value, mask, is_causal, need_weights)
      (y, if need_weights { shown(weights, average_attn_weights) } else { none })
    }
  }

  attend(
    query: f32[A, B, embed_dim],
    key: f32[C, D, key_size],
    value: f32[C, D, value_size],
    mask: f32[...M]?,
    is_causal: bool,
    need_weights: bool
  ) {
    q = heads(project(query, 0))
    k = heads(extended(project(key, 1), if add_bias_kv { bias_k } else { none }))
    v = heads(extended(project(value, 2), if add_bias_kv { bias_v } else { none }))
    causal = is_causal and extra_keys == 0
    weights = if need_weights { dropped(attention_weights(q, k, mask, causal), dropout) } else { none }
    y = if need_weights { weights @ v } else { scaled_dot_product_attention(q, k, v, mask, dropout, causal) }
    joined = if batch_first { permute(y, [0, 2, 1, 3]) } else { permute(y, [2, 0, 1, 3]) }
    (out_proj(flatten(joined, 2, 3)), weights)
  }

  shown(weights: f32[N, G, L, S], average: bool) => if average { mean(weights, 1) } else { weights }

  /// Part 0 of the projection is for queries, 1 for keys, 2 for values.
  project(x: f32[A, B, F], part: int) -> f32[A, B, embed_dim] {
    w = if joint {
      narrow(in_proj_weight, 0, part * embed_dim, embed_dim)
    } else if part == 0 {
      q_proj_weight
    } else if part == 1 {
      k_proj_weight
    } else {
      v_proj_weight
    }
    linear(x, w, if bias { narrow(in_proj_bias, 0, part * embed_dim, embed_dim) } else { none })
  }

  /// Projected keys or values and those that are appended to them.
  extended(x: f32[A, B, embed_dim], learned: f32[1, 1, embed_dim]?) {
    more = if learned == none {
      x
    } else if batch_first {
      cat([x, broadcast_to(learned, [A, 1, embed_dim])], 1)
    } else {
      cat([x, broadcast_to(learned, [1, B, embed_dim])], 0)
    }
    if add_zero_attn { pad(more, if batch_first { [0, 0, 0, 1] } else { [0, 0, 0, 0, 0, 1] }) } else { more }
  }

  /// [N, heads, L, head size] from either layout.
  heads(x: f32[A, B, embed_dim]) {
    y = unflatten(x, 2, [num_heads, embed_dim / num_heads])
    if batch_first { permute(y, [0, 2, 1, 3]) } else { permute(y, [1, 2, 0, 3]) }
  }

  /// What is added to the scores [N, heads, L, S + extra_keys]; none where nothing is.
  mask_of(padding: P[...R]?, mask: T[...M]?, is_causal: bool, query: f32[A, B, E], key: f32[C, D, F]) {
    hidden = if padding == none { none } else { unsqueeze(unsqueeze(hiding(padding), 1), 1) }
    given = if mask == none {
      none
    } else if len(M) == 3 {
      unflatten(hiding(mask), 0, [M[0] / num_heads, num_heads])
    } else {
      hiding(mask)
    }
    // The extra keys are seen in any case, so that the primitive's own mask, which counts from the first key, will not do.
    after = if is_causal and extra_keys > 0 {
      if batch_first { causal_mask(B, D) } else { causal_mask(A, C) }
    } else {
      none
    }
    all = plus(plus(hidden, given), after)
    if all == none { none } else { pad(all, [0, extra_keys]) }
  }
}

/// A mask of hidden keys as one that is added to scores: -infinity where it is true. A mask of numbers is one already.
fn hiding(mask: T[...M]) => if T == bool { select(mask, -inf, 0.0) } else { mask }

fn causal_mask(L: int, S: int) -> f32[L, S] => additive_mask(unsqueeze(arange(L), 1) >= arange(S))

/// The sum of two masks, either of which may be absent.
fn plus(a: f32[...A]?, b: f32[...B]?) => if a == none { b } else if b == none { a } else { a + b }

// Layers of torch.nn with PyTorch's names, defaults, initial distributions and state-dict keys.

/// A linear map and an offset.
///
/// Formula: \`y = x W^T + b\` over the last dim.
///
/// Shapes: [..., in_features] to [..., out_features]; \`weight\` is [out_features, in_features].
///
/// Weight and bias are uniform in +-1 / sqrt(in_features).
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Linear.html
export block Linear(in_features: int, out_features: int, bias: bool = true) {
  require out_features > 0, "out_features is {out_features}: one at least"
  param weight: f32[out_features, in_features] ~ kaiming_uniform(a: sqrt(5.0))
  if bias {
    param bias: f32[out_features] ~ uniform(-1.0 / sqrt(float(in_features)), 1.0 / sqrt(float(in_features)))
  }

  forward(x: f32[...B, in_features]) -> f32[...B, out_features] {
    if bias { linear(x, weight, bias) } else { linear(x, weight) }
  }
}

/// Nothing is done.
///
/// Formula: \`y = x\`.
///
/// Shapes: [...S] to [...S].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Identity.html
export block Identity() {
  forward(x: f32[...S]) -> f32[...S] => x
}

/// Joins dims into one.
///
/// Formula: \`y = x\` in row-major order, start_dim..end_dim as one dim.
///
/// Shapes: [N, A, B, ...] to [N, A B ...] by default.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Flatten.html
export block Flatten(start_dim: int = 1, end_dim: int = -1) {
  forward(x: f32[...S]) => flatten(x, start_dim, end_dim)
}

/// Splits a dim.
///
/// Formula: \`y = x\` in row-major order, \`dim\` as the dims unflattened_size.
///
/// Shapes: [..., n, ...] to [..., ...unflattened_size, ...]; their product is n, and one of them may be -1.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Unflatten.html
export block Unflatten(dim: int, unflattened_size: [int]) {
  forward(x: f32[...S]) => unflatten(x, dim, unflattened_size)
}

/// A bilinear map of two vectors and an offset.
///
/// Formula: \`y_o = x1^T A_o x2 + b_o\` for each output o.
///
/// Shapes: [..., in1_features] and [..., in2_features] to [..., out_features]; \`weight\` is [out_features, in1_features, in2_features].
///
/// Weight and bias are uniform in +-1 / sqrt(in1_features).
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Bilinear.html
export block Bilinear(in1_features: int, in2_features: int, out_features: int, bias: bool = true) {
  param weight: f32[out_features, in1_features, in2_features] ~ bias_init(in1_features)
  if bias { param bias: f32[out_features] ~ bias_init(in1_features) }

  forward(x1: f32[...B, in1_features], x2: f32[...B, in2_features]) -> f32[...B, out_features] {
    if bias { bilinear(x1, x2, weight, bias) } else { bilinear(x1, x2, weight) }
  }
}

// Convolutions. \`padding\` is a number of elements around, "valid" (none) or "same" (the sides keep their size, for stride 1), of the kind
// \`padding_mode\`. Weight and bias are uniform in +-1 / sqrt(fan_in), fan_in being the elements of the weight per output channel.

/// The bound of PyTorch's uniform bias for a layer with that many inputs per output.
fn bias_init(fan_in: int) -> f32[...S] => uniform(-1.0 / sqrt(float(fan_in)), 1.0 / sqrt(float(fan_in)))

/// Cross-correlation over sequences.
///
/// Formula: \`y[n, o, i] = bias[o] + sum over c, p of weight[o, c, p] x[n, c, i stride + p dilation - padding]\`; with groups, c runs over
/// the channels of o's group.
///
/// Shapes: [N, in_channels, L] to [N, out_channels, ...], a side of size n becoming (n + 2 padding - dilation (kernel_size - 1) - 1) /
/// stride + 1, rounded down; \`weight\` is [out_channels, in_channels / groups, ...kernel_size].
///
/// \`padding\` is a number of elements around, "valid" (none) or "same" (sides keep their size, for stride 1), of the kind padding_mode.
/// Weight and bias are uniform in +-1 / sqrt(fan_in), the elements of the weight per output channel.
///
/// Source: LeCun et al. 1989, https://pytorch.org/docs/stable/generated/torch.nn.Conv1d.html
export block Conv1d(
  in_channels: int,
  out_channels: int,
  kernel_size: int,
  stride: int = 1,
  padding: int | "same" | "valid" = 0,
  dilation: int = 1,
  groups: int = 1,
  bias: bool = true,
  padding_mode: "zeros" | "reflect" | "replicate" | "circular" = "zeros"
) {
  require groups > 0, "groups is {groups}: one at least"
  require out_channels > 0, "out_channels is {out_channels}: one at least"
  require in_channels % groups == 0, "groups ({groups}) must divide in_channels ({in_channels})"
  require out_channels % groups == 0, "groups ({groups}) must divide out_channels ({out_channels})"
  require padding != "same" or stride == 1, "padding \\"same\\" needs stride 1"

  const around =
    conv_padding(if padding == "same" or padding == "valid" { padding } else { [padding] }, [kernel_size], [dilation])

  param weight: f32[out_channels, in_channels / groups, kernel_size] ~ kaiming_uniform(a: sqrt(5.0))
  if bias { param bias: f32[out_channels] ~ bias_init(in_channels / groups * prod([kernel_size])) }

  forward(x: f32[N, in_channels, L]) -> f32[
    N,
    out_channels,
    (L + around[0] + around[1] - dilation * (kernel_size - 1) - 1) / stride + 1
  ] {
    shift = if bias { bias } else { none }
    if padding_mode == "zeros" {
      conv1d(x, weight, shift, stride, padding, dilation, groups)
    } else {
      conv1d(pad(x, [around[0], around[1]], mode: padding_mode), weight, shift, stride, "valid", dilation, groups)
    }
  }
}

/// Cross-correlation over images.
///
/// Formula: \`y[n, o, i, j] = bias[o] + sum over c, p, q of weight[o, c, p, q] x[n, c, i stride + p dilation - padding, j stride + q
/// dilation - padding]\`; with groups, c runs over the channels of o's group.
///
/// Shapes: [N, in_channels, H, W] to [N, out_channels, ...], a side of size n becoming (n + 2 padding - dilation (kernel_size - 1) - 1) /
/// stride + 1, rounded down; \`weight\` is [out_channels, in_channels / groups, ...kernel_size].
///
/// \`padding\` is a number of elements around, "valid" (none) or "same" (sides keep their size, for stride 1), of the kind padding_mode.
/// Weight and bias are uniform in +-1 / sqrt(fan_in), the elements of the weight per output channel.
///
/// Source: LeCun et al. 1989, https://pytorch.org/docs/stable/generated/torch.nn.Conv2d.html
export block Conv2d(
  in_channels: int,
  out_channels: int,
  kernel_size: (int, int),
  stride: (int, int) = 1,
  padding: (int, int) | "same" | "valid" = 0,
  dilation: (int, int) = 1,
  groups: int = 1,
  bias: bool = true,
  padding_mode: "zeros" | "reflect" | "replicate" | "circular" = "zeros"
) {
  require groups > 0, "groups is {groups}: one at least"
  require out_channels > 0, "out_channels is {out_channels}: one at least"
  require in_channels % groups == 0, "groups ({groups}) must divide in_channels ({in_channels})"
  require out_channels % groups == 0, "groups ({groups}) must divide out_channels ({out_channels})"
  require padding != "same" or (stride.0 == 1 and stride.1 == 1), "padding \\"same\\" needs stride 1"

  const around = conv_padding(padding, [kernel_size.0, kernel_size.1], dilation)

  param weight: f32[out_channels, in_channels / groups, kernel_size.0, kernel_size.1] ~ kaiming_uniform(a: sqrt(5.0))
  if bias { param bias: f32[out_channels] ~ bias_init(in_channels / groups * prod([kernel_size.0, kernel_size.1])) }

  forward(x: f32[N, in_channels, H, W]) -> f32[
    N,
    out_channels,
    (H + around[0] + around[1] - dilation.0 * (kernel_size.0 - 1) - 1) / stride.0 + 1,
    (W + around[2] + around[3] - dilation.1 * (kernel_size.1 - 1) - 1) / stride.1 + 1
  ] {
    shift = if bias { bias } else { none }
    if padding_mode == "zeros" {
      conv2d(x, weight, shift, stride, padding, dilation, groups)
    } else {
      conv2d(
        pad(x, [around[2], around[3], around[0], around[1]], mode: padding_mode),
        weight,
        shift,
        stride,
        "valid",
        dilation,
        groups
      )
    }
  }
}

/// Cross-correlation over volumes.
///
/// Formula: \`y[n, o, i, ...] = bias[o] + sum over c, p, ... of weight[o, c, p, ...] x[n, c, i stride + p dilation - padding, ...]\`; with
/// groups, c runs over the channels of o's group.
///
/// Shapes: [N, in_channels, D, H, W] to [N, out_channels, ...], a side of size n becoming (n + 2 padding - dilation (kernel_size - 1) - 1)
/// / stride + 1, rounded down; \`weight\` is [out_channels, in_channels / groups, ...kernel_size].
///
/// \`padding\` is a number of elements around, "valid" (none) or "same" (sides keep their size, for stride 1), of the kind padding_mode.
/// Weight and bias are uniform in +-1 / sqrt(fan_in), the elements of the weight per output channel.
///
/// Source: LeCun et al. 1989, https://pytorch.org/docs/stable/generated/torch.nn.Conv3d.html
export block Conv3d(
  in_channels: int,
  out_channels: int,
  kernel_size: (int, int, int),
  stride: (int, int, int) = 1,
  padding: (int, int, int) | "same" | "valid" = 0,
  dilation: (int, int, int) = 1,
  groups: int = 1,
  bias: bool = true,
  padding_mode: "zeros" | "reflect" | "replicate" | "circular" = "zeros"
) {
  require groups > 0, "groups is {groups}: one at least"
  require out_channels > 0, "out_channels is {out_channels}: one at least"
  require in_channels % groups == 0, "groups ({groups}) must divide in_channels ({in_channels})"
  require out_channels % groups == 0, "groups ({groups}) must divide out_channels ({out_channels})"
  require padding != "same" or (stride.0 == 1 and stride.1 == 1 and stride.2 == 1), "padding \\"same\\" needs stride 1"

  const around = conv_padding(padding, [kernel_size.0, kernel_size.1, kernel_size.2], dilation)

  param weight: f32[out_channels, in_channels / groups, kernel_size.0, kernel_size.1, kernel_size.2] ~
    kaiming_uniform(a: sqrt(5.0))
  if bias {
    param bias: f32[out_channels] ~
      bias_init(in_channels / groups * prod([kernel_size.0, kernel_size.1, kernel_size.2]))
  }

  forward(x: f32[N, in_channels, D, H, W]) -> f32[
    N,
    out_channels,
    (D + around[0] + around[1] - dilation.0 * (kernel_size.0 - 1) - 1) / stride.0 + 1,
    (H + around[2] + around[3] - dilation.1 * (kernel_size.1 - 1) - 1) / stride.1 + 1,
    (W + around[4] + around[5] - dilation.2 * (kernel_size.2 - 1) - 1) / stride.2 + 1
  ] {
    shift = if bias { bias } else { none }
    if padding_mode == "zeros" {
      conv3d(x, weight, shift, stride, padding, dilation, groups)
    } else {
      conv3d(
        pad(x, [around[4], around[5], around[2], around[3], around[0], around[1]], mode: padding_mode),
        weight,
        shift,
        stride,
        "valid",
        dilation,
        groups
      )
    }
  }
}

/// The transpose (adjoint) of Conv1d as a map of its input, and an offset.
///
/// Formula: \`y[n, o, i stride + p dilation - padding] += x[n, c, i] weight[c, o, p]\` for all i and p, from \`y = bias\` on.
///
/// Shapes: [N, in_channels, L] to [N, out_channels, ...], a side of size n becoming (n - 1) stride - 2 padding + dilation (kernel_size - 1)
/// + output_padding + 1, or what \`output_size\` says of the last dims; \`weight\` is [in_channels, out_channels / groups, ...kernel_size].
///
/// Weight and bias are uniform in +-1 / sqrt(fan), the elements of the weight per input channel.
///
/// Source: Zeiler et al. 2010, https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html
export block ConvTranspose1d(
  in_channels: int,
  out_channels: int,
  kernel_size: int,
  stride: int = 1,
  padding: int = 0,
  output_padding: int = 0,
  groups: int = 1,
  bias: bool = true,
  dilation: int = 1
) {
  require groups > 0, "groups is {groups}: one at least"
  require out_channels > 0, "out_channels is {out_channels}: one at least"
  require in_channels % groups == 0, "groups ({groups}) must divide in_channels ({in_channels})"
  require out_channels % groups == 0, "groups ({groups}) must divide out_channels ({out_channels})"

  param weight: f32[in_channels, out_channels / groups, kernel_size] ~ kaiming_uniform(a: sqrt(5.0))
  if bias { param bias: f32[out_channels] ~ bias_init(out_channels / groups * prod([kernel_size])) }

  forward(x: f32[N, in_channels, L], output_size: [int]? = none) {
    shift = if bias { bias } else { none }
    more = if output_size == none {
      output_padding
    } else {
      output_size[-1] - ((L - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + 1)
    }
    conv_transpose1d(x, weight, shift, stride, padding, more, groups, dilation)
  }
}

/// The transpose (adjoint) of Conv2d as a map of its input, and an offset.
///
/// Formula: \`y[n, o, i stride + p dilation - padding, ...] += x[n, c, i, ...] weight[c, o, p, ...]\` for all i and p, from \`y = bias\` on.
///
/// Shapes: [N, in_channels, H, W] to [N, out_channels, ...], a side of size n becoming (n - 1) stride - 2 padding + dilation (kernel_size -
/// 1) + output_padding + 1, or what \`output_size\` says of the last dims; \`weight\` is [in_channels, out_channels / groups, ...kernel_size].
///
/// Weight and bias are uniform in +-1 / sqrt(fan), the elements of the weight per input channel.
///
/// Source: Zeiler et al. 2010, https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html
export block ConvTranspose2d(
  in_channels: int,
  out_channels: int,
  kernel_size: (int, int),
  stride: (int, int) = 1,
  padding: (int, int) = 0,
  output_padding: (int, int) = 0,
  groups: int = 1,
  bias: bool = true,
  dilation: (int, int) = 1
) {
  require groups > 0, "groups is {groups}: one at least"
  require out_channels > 0, "out_channels is {out_channels}: one at least"
  require in_channels % groups == 0, "groups ({groups}) must divide in_channels ({in_channels})"
  require out_channels % groups == 0, "groups ({groups}) must divide out_channels ({out_channels})"

  param weight: f32[in_channels, out_channels / groups, kernel_size.0, kernel_size.1] ~ kaiming_uniform(a: sqrt(5.0))
  if bias { param bias: f32[out_channels] ~ bias_init(out_channels / groups * prod([kernel_size.0, kernel_size.1])) }

  forward(x: f32[N, in_channels, H, W], output_size: [int]? = none) {
    shift = if bias { bias } else { none }
    more = if output_size == none {
      output_padding
    } else {
      (
        output_size[-2] - ((H - 1) * stride.0 - 2 * padding.0 + dilation.0 * (kernel_size.0 - 1) + 1),
        output_size[-1] - ((W - 1) * stride.1 - 2 * padding.1 + dilation.1 * (kernel_size.1 - 1) + 1)
      )
    }
    conv_transpose2d(x, weight, shift, stride, padding, more, groups, dilation)
  }
}

/// The transpose (adjoint) of Conv3d as a map of its input, and an offset.
///
/// Formula: \`y[n, o, i stride + p dilation - padding, ...] += x[n, c, i, ...] weight[c, o, p, ...]\` for all i and p, from \`y = bias\` on.
///
/// Shapes: [N, in_channels, D, H, W] to [N, out_channels, ...], a side of size n becoming (n - 1) stride - 2 padding + dilation
/// (kernel_size - 1) + output_padding + 1, or what \`output_size\` says of the last dims; \`weight\` is [in_channels, out_channels / groups,
/// ...kernel_size].
///
/// Weight and bias are uniform in +-1 / sqrt(fan), the elements of the weight per input channel.
///
/// Source: Zeiler et al. 2010, https://pytorch.org/docs/stable/generated/torch.nn.ConvTranspose3d.html
export block ConvTranspose3d(
  in_channels: int,
  out_channels: int,
  kernel_size: (int, int, int),
  stride: (int, int, int) = 1,
  padding: (int, int, int) = 0,
  output_padding: (int, int, int) = 0,
  groups: int = 1,
  bias: bool = true,
  dilation: (int, int, int) = 1
) {
  require groups > 0, "groups is {groups}: one at least"
  require out_channels > 0, "out_channels is {out_channels}: one at least"
  require in_channels % groups == 0, "groups ({groups}) must divide in_channels ({in_channels})"
  require out_channels % groups == 0, "groups ({groups}) must divide out_channels ({out_channels})"

  param weight: f32[in_channels, out_channels / groups, kernel_size.0, kernel_size.1, kernel_size.2] ~
    kaiming_uniform(a: sqrt(5.0))
  if bias {
    param bias: f32[out_channels] ~
      bias_init(out_channels / groups * prod([kernel_size.0, kernel_size.1, kernel_size.2]))
  }

  forward(x: f32[N, in_channels, D, H, W], output_size: [int]? = none) {
    shift = if bias { bias } else { none }
    more = if output_size == none {
      output_padding
    } else {
      (
        output_size[-3] - ((D - 1) * stride.0 - 2 * padding.0 + dilation.0 * (kernel_size.0 - 1) + 1),
        output_size[-2] - ((H - 1) * stride.1 - 2 * padding.1 + dilation.1 * (kernel_size.1 - 1) + 1),
        output_size[-1] - ((W - 1) * stride.2 - 2 * padding.2 + dilation.2 * (kernel_size.2 - 1) + 1)
      )
    }
    conv_transpose3d(x, weight, shift, stride, padding, more, groups, dilation)
  }
}

// Dropout: layers that are the identity outside of training.

/// Takes elements away at random.
///
/// Formula: \`y = m x / (1 - p)\` in training, m being 0 with probability p and 1 otherwise, \`y = x\` in evaluation.
///
/// Shapes: [...S] to [...S].
///
/// Source: Srivastava et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.Dropout.html
export block Dropout(p: float = 0.5) {
  forward(x: f32[...S]) -> f32[...S] => dropout(x, p)
}

/// Takes whole channels away at random.
///
/// Formula: \`y = m x / (1 - p)\` in training, m being 0 with probability p and 1 otherwise, \`y = x\` in evaluation.
///
/// Shapes: [N, C, L] to [N, C, L]; one m for each channel of each sample.
///
/// Source: Tompson et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.Dropout1d.html
export block Dropout1d(p: float = 0.5) {
  forward(x: f32[N, C, L]) -> f32[N, C, L] => dropout1d(x, p)
}

/// Takes whole channels away at random.
///
/// Formula: \`y = m x / (1 - p)\` in training, m being 0 with probability p and 1 otherwise, \`y = x\` in evaluation.
///
/// Shapes: [N, C, H, W] to [N, C, H, W]; one m for each channel of each sample.
///
/// Source: Tompson et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.Dropout2d.html
export block Dropout2d(p: float = 0.5) {
  forward(x: f32[N, C, H, W]) -> f32[N, C, H, W] => dropout2d(x, p)
}

/// Takes whole channels away at random.
///
/// Formula: \`y = m x / (1 - p)\` in training, m being 0 with probability p and 1 otherwise, \`y = x\` in evaluation.
///
/// Shapes: [N, C, D, H, W] to [N, C, D, H, W]; one m for each channel of each sample.
///
/// Source: Tompson et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.Dropout3d.html
export block Dropout3d(p: float = 0.5) {
  forward(x: f32[N, C, D, H, W]) -> f32[N, C, D, H, W] => dropout3d(x, p)
}

/// Dropout for networks of SELUs.
///
/// Formula: \`y = a (m x + (1 - m) low) + b\` in training, m being 0 with probability p, low the lower limit of SELU, a and b such that mean
/// 0 and variance 1 stay; \`y = x\` in evaluation.
///
/// Shapes: [...S] to [...S].
///
/// Source: Klambauer et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.AlphaDropout.html
export block AlphaDropout(p: float = 0.5) {
  forward(x: f32[...S]) -> f32[...S] => alpha_dropout(x, p)
}

/// Dropout of whole channels for networks of SELUs.
///
/// Formula: \`y = a (m x + (1 - m) low) + b\` in training, m being 0 with probability p, low the lower limit of SELU, a and b such that mean
/// 0 and variance 1 stay; \`y = x\` in evaluation.
///
/// Shapes: [N, C, ...S] to [N, C, ...S]; one m for each channel of each sample.
///
/// Source: Klambauer et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.FeatureAlphaDropout.html
export block FeatureAlphaDropout(p: float = 0.5) {
  forward(x: f32[N, C, ...S]) -> f32[N, C, ...S] => feature_alpha_dropout(x, p)
}

/// dropout, for blocks in which that name is the number.
fn dropped(x: f32[...S], p: float) -> f32[...S] => dropout(x, p)

// Tables of vectors.

/// A table of vectors, one per index.
///
/// Formula: \`y[...] = weight[ids[...]]\`.
///
/// Shapes: ids [...S] to [...S, embedding_dim]; \`weight\` is [num_embeddings, embedding_dim].
///
/// Weights are standard normal. The row padding_idx receives no gradient, and is zero at first. Rows longer than max_norm (in the norm of
/// order norm_type) are read shortened to it; PyTorch also stores them shortened. scale_grad_by_freq divides the gradient of a row by how
/// often it is read.
///
/// Source: Bengio et al. 2003, https://pytorch.org/docs/stable/generated/torch.nn.Embedding.html
export block Embedding(
  num_embeddings: int,
  embedding_dim: int,
  padding_idx: int? = none,
  max_norm: float? = none,
  norm_type: float = 2.0,
  scale_grad_by_freq: bool = false
) {
  if padding_idx == none {
    param weight: f32[num_embeddings, embedding_dim] ~ normal()
  } else {
    param weight: f32[num_embeddings, embedding_dim] ~ embedding_init(padding_idx)
  }

  forward(ids: i32[...S]) -> f32[...S, embedding_dim] =>
    embedding(ids, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq)
}

/// Standard normal with one row of zeros, counted from the end where negative.
fn embedding_init(row: int) -> f32[V, D] =>
  select(unsqueeze(arange(V), 1) == (if row < 0 { row + V } else { row }), 0.0, randn())

/// The rows of bags of indices, reduced.
///
/// Formula: \`y[b] = sum of weight[i]\` over the indices i of bag b, or the mean or maximum of them, as \`mode\` says.
///
/// Shapes: ids [N, L] to [N, embedding_dim], bags being rows; or ids [L] and \`offsets\` [N] to [N, embedding_dim], bags being parts of a
/// list, each from its offset to before the next one (with include_last_offset there is one more, the end).
///
/// Rows of padding_idx do not count; a bag without rows gives 0. \`per_sample_weights\`, shaped as the ids, scale rows before a sum. Weights
/// are standard normal; the other options are those of Embedding.
///
/// Source: Joulin et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.EmbeddingBag.html
export block EmbeddingBag(
  num_embeddings: int,
  embedding_dim: int,
  max_norm: float? = none,
  norm_type: float = 2.0,
  scale_grad_by_freq: bool = false,
  mode: "sum" | "mean" | "max" = "mean",
  include_last_offset: bool = false,
  padding_idx: int? = none
) {
  if padding_idx == none {
    param weight: f32[num_embeddings, embedding_dim] ~ normal()
  } else {
    param weight: f32[num_embeddings, embedding_dim] ~ embedding_init(padding_idx)
  }

  forward(ids: i32[...S], offsets: i32[N]? = none, per_sample_weights: f32[...S]? = none) => embedding_bag(
    ids,
    weight,
    offsets,
    max_norm,
    norm_type,
    scale_grad_by_freq,
    mode,
    per_sample_weights,
    include_last_offset,
    padding_idx
  )
}

// Images [N, C, H, W]: channels to pixels and back, changes of size, windows as columns.

/// Channels become pixels.
///
/// Formula: \`y[n, c, h r + i, w r + j] = x[n, c r^2 + i r + j, h, w]\` with \`r = upscale_factor\`.
///
/// Shapes: [N, C r^2, H, W] to [N, C, H r, W r].
///
/// Source: Shi et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html
export block PixelShuffle(upscale_factor: int) {
  forward(x: f32[N, C, H, W]) => pixel_shuffle(x, upscale_factor)
}

/// Pixels become channels: undoes PixelShuffle.
///
/// Formula: \`y[n, c r^2 + i r + j, h, w] = x[n, c, h r + i, w r + j]\` with \`r = downscale_factor\`.
///
/// Shapes: [N, C, H r, W r] to [N, C r^2, H, W].
///
/// Source: Shi et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html
export block PixelUnshuffle(downscale_factor: int) {
  forward(x: f32[N, C, H, W]) => pixel_unshuffle(x, downscale_factor)
}

/// Deals the channels out to groups in turn.
///
/// Formula: \`y[n, j groups + g, ...] = x[n, g C / groups + j, ...]\`.
///
/// Shapes: [N, C, H, W] to [N, C, H, W].
///
/// Source: Zhang et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.ChannelShuffle.html
export block ChannelShuffle(groups: int) {
  forward(x: f32[N, C, H, W]) => channel_shuffle(x, groups)
}

/// Another size for sequences, images or volumes.
///
/// Formula: \`y[i] = x[floor(i n / m)]\` along a side of size n that becomes m (nearest; nearest-exact takes floor((i + 1/2) n / m)), or a
/// mean of 2 (linear, bilinear, trilinear) or 4 (bicubic, a = -0.75) neighbours along each side, weighed by their distance from (i + 1/2) n
/// / m - 1/2, or from i (n - 1) / (m - 1) with align_corners.
///
/// Shapes: [N, C, ...S] to [N, C, ...size], or to sides floor(n scale_factor).
///
/// Source: Keys 1981, https://pytorch.org/docs/stable/generated/torch.nn.Upsample.html
export block Upsample(
  size: [int]? = none,
  scale_factor: [float]? = none,
  mode: "nearest" | "linear" | "bilinear" | "bicubic" | "trilinear" | "nearest-exact" = "nearest",
  align_corners: bool? = none,
  recompute_scale_factor: bool? = none
) {
  forward(x: f32[N, C, ...S]) => interpolate(
    x,
    size: size,
    scale_factor: scale_factor,
    mode: mode,
    align_corners: align_corners,
    recompute_scale_factor: recompute_scale_factor
  )
}

/// Another size for images, by nearest neighbours.
///
/// Formula: \`y[n, c, i, j] = x[n, c, floor(i H / height), floor(j W / width)]\`.
///
/// Shapes: [N, C, H, W] to [N, C, height, width]: \`size\`, or floor(H scale_factor) and floor(W scale_factor).
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html
export block UpsamplingNearest2d(size: [int]? = none, scale_factor: [float]? = none) {
  forward(x: f32[N, C, H, W]) => interpolate(x, size: size, scale_factor: scale_factor)
}

/// Another size for images, by means of 2 x 2 neighbours, corners aligned.
///
/// Formula: \`y[n, c, i, j] = sum of w x\` over the 2 x 2 pixels around (i (H - 1) / (height - 1), j (W - 1) / (width - 1)), a weight falling
/// from 1 to 0 with the distance along each side.
///
/// Shapes: [N, C, H, W] to [N, C, height, width]: \`size\`, or floor(H scale_factor) and floor(W scale_factor).
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html
export block UpsamplingBilinear2d(size: [int]? = none, scale_factor: [float]? = none) {
  forward(x: f32[N, C, H, W]) =>
    interpolate(x, size: size, scale_factor: scale_factor, mode: "bilinear", align_corners: true)
}

/// The windows of an image as columns.
///
/// Formula: \`y[n, (c, p, q), (i, j)] = x[n, c, i stride + p dilation - padding, j stride + q dilation - padding]\`, the indices in
/// parentheses as one, in row-major order.
///
/// Shapes: [N, C, H, W] to [N, C kernel_size, windows], a side of size n having (n + 2 padding - dilation (kernel_size - 1) - 1) / stride +
/// 1 windows.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Unfold.html
export block Unfold(
  kernel_size: (int, int),
  dilation: (int, int) = 1,
  padding: (int, int) = 0,
  stride: (int, int) = 1
) {
  forward(x: f32[N, C, H, W]) => unfold(x, kernel_size, dilation: dilation, padding: padding, stride: stride)
}

/// Columns added up where their windows lie: the transpose of Unfold.
///
/// Formula: \`y[n, c, i stride + p dilation - padding, j stride + q dilation - padding] += x[n, (c, p, q), (i, j)]\`, from \`y = 0\` on.
///
/// Shapes: [N, C kernel_size, windows] to [N, C, ...output_size].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.Fold.html
export block Fold(
  output_size: (int, int),
  kernel_size: (int, int),
  dilation: (int, int) = 1,
  padding: (int, int) = 0,
  stride: (int, int) = 1
) {
  forward(x: f32[N, K, L]) => fold(x, output_size, kernel_size, dilation: dilation, padding: padding, stride: stride)
}

// Losses as blocks, for PyTorch's spelling: hyper-parameters are set once. Class weights are lists, kept as buffers under PyTorch's keys.

/// A list of numbers as a tensor.
fn vector(values: [float]) => stack([for v in values: full([], v)])

/// Squared distance.
///
/// Formula: \`l = (input - target)^2\`. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.MSELoss.html
export block MSELoss(reduction: Reduction = "mean") {
  forward(input: f32[...S], target: f32[...S]) => mse_loss(input, target, reduction)
}

/// Distance.
///
/// Formula: \`l = |input - target|\`. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.L1Loss.html
export block L1Loss(reduction: Reduction = "mean") {
  forward(input: f32[...S], target: f32[...S]) => l1_loss(input, target, reduction)
}

/// A distance that is squared near 0.
///
/// Formula: \`l = d^2 / (2 beta)\` where |d| < beta, \`l = |d| - beta / 2\` elsewhere, with \`d = input - target\`. \`reduction\` takes the mean or
/// the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: Girshick 2015, https://pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html
export block SmoothL1Loss(reduction: Reduction = "mean", beta: float = 1.0) {
  forward(input: f32[...S], target: f32[...S]) => smooth_l1_loss(input, target, reduction, beta)
}

/// A squared distance that is straight far from 0.
///
/// Formula: \`l = d^2 / 2\` where |d| < delta, \`l = delta (|d| - delta / 2)\` elsewhere, with \`d = input - target\`. \`reduction\` takes the mean
/// or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: Huber 1964, https://pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html
export block HuberLoss(reduction: Reduction = "mean", delta: float = 1.0) {
  forward(input: f32[...S], target: f32[...S]) => huber_loss(input, target, reduction, delta)
}

/// The negative log-likelihood of counts.
///
/// Formula: \`l = exp(x) - t x\` for the logarithm x of a rate, \`l = x - t log(x + eps)\` for the rate itself (\`log_input: false\`); \`full\`
/// adds Stirling's approximation of log t! where t > 1. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html
export block PoissonNLLLoss(
  log_input: bool = true,
  full: bool = false,
  eps: float = 1e-8,
  reduction: Reduction = "mean"
) {
  forward(input: f32[...S], target: f32[...S]) => poisson_nll_loss(input, target, log_input, full, eps, reduction)
}

/// The negative log-likelihood of numbers with known variance.
///
/// Formula: \`l = (log v + (input - target)^2 / v) / 2\` with \`v = max(var, eps)\`; \`full\` adds log(2 pi) / 2. \`reduction\` takes the mean or
/// the sum of all, or leaves them.
///
/// Shapes: input, target and var [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: Nix & Weigend 1994, https://pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html
export block GaussianNLLLoss(full: bool = false, eps: float = 1e-6, reduction: Reduction = "mean") {
  forward(input: f32[...S], target: f32[...S], var: f32[...S]) =>
    gaussian_nll_loss(input, target, var, full, eps, reduction)
}

/// The cross-entropy of scores with classes.
///
/// Formula: \`l = -weight[t] log softmax(x)[t]\` over the classes of dim 1; label_smoothing gives that part of the target to all classes
/// alike. The mean is over the weights of the targets that are not ignore_index. \`reduction\` takes the mean or the sum of all, or leaves
/// them.
///
/// Shapes: input [N, C, ...S] and target [N, ...S] to [], or to [N, ...S] with \`reduction: "none"\`; \`weight\` has C numbers.
///
/// Source: Szegedy et al. 2015, https://pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
export block CrossEntropyLoss(
  weight: [float]? = none,
  ignore_index: int = -100,
  reduction: Reduction = "mean",
  label_smoothing: float = 0.0
) {
  if weight != none { buffer weight: f32[len(weight)] ~ vector(weight) }

  forward(input: f32[N, C, ...S], target: i32[N, ...S]) {
    rescaling = if weight { weight } else { none }
    cross_entropy(
      input,
      target,
      rescaling,
      ignore_index: ignore_index,
      reduction: reduction,
      label_smoothing: label_smoothing
    )
  }
}

/// A linear layer to scores of classes and their cross-entropy, as one layer.
///
/// Formula: \`l = -weight[t] log softmax(W x + b)[t]\` over the classes. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input [N, in_features] and target [N, ...out_features] to [], or to [N, ...out_features] with \`reduction: "none"\`; there are
/// num_classes scores for each of the out_features.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.LinearCrossEntropyLoss.html
export block LinearCrossEntropyLoss(
  in_features: int,
  num_classes: int,
  out_features: [int] = [],
  bias: bool = false,
  reduction: Reduction = "mean",
  weight: [float]? = none,
  ignore_index: int = -100,
  label_smoothing: float = 0.0
) {
  if weight != none { buffer weight: f32[num_classes] ~ vector(weight) }
  linear = Linear(in_features, num_classes * prod(out_features), bias: bias)

  forward(input: f32[N, in_features], target: i32[N, ...out_features]) {
    scores = reshape(linear(input), [N, num_classes] + out_features)
    rescaling = if weight { weight } else { none }
    cross_entropy(
      scores,
      target,
      rescaling,
      ignore_index: ignore_index,
      reduction: reduction,
      label_smoothing: label_smoothing
    )
  }
}

/// The negative log-likelihood of classes, of log-probabilities.
///
/// Formula: \`l = -weight[t] input[t]\` over the classes of dim 1. The mean is over the weights of the targets that are not ignore_index.
/// \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input [N, C, ...S] and target [N, ...S] to [], or to [N, ...S] with \`reduction: "none"\`; \`weight\` has C numbers.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
export block NLLLoss(weight: [float]? = none, ignore_index: int = -100, reduction: Reduction = "mean") {
  if weight != none { buffer weight: f32[len(weight)] ~ vector(weight) }

  forward(input: f32[N, C, ...S], target: i32[N, ...S]) {
    rescaling = if weight { weight } else { none }
    nll_loss(input, target, rescaling, ignore_index: ignore_index, reduction: reduction)
  }
}

/// Binary cross-entropy of probabilities.
///
/// Formula: \`l = -weight (t log p + (1 - t) log(1 - p))\`, logarithms being at least -100. \`reduction\` takes the mean or the sum of all, or
/// leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.BCELoss.html
export block BCELoss(weight: [float]? = none, reduction: Reduction = "mean") {
  if weight != none { buffer weight: f32[len(weight)] ~ vector(weight) }

  forward(input: f32[...S], target: f32[...S]) {
    rescaling = if weight { weight } else { none }
    binary_cross_entropy(input, target, rescaling, reduction: reduction)
  }
}

/// Binary cross-entropy of scores.
///
/// Formula: \`l = -weight (pos_weight t log sigmoid(x) + (1 - t) log(1 - sigmoid(x)))\`, computed so that nothing overflows. \`reduction\`
/// takes the mean or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
export block BCEWithLogitsLoss(weight: [float]? = none, reduction: Reduction = "mean", pos_weight: [float]? = none) {
  if weight != none { buffer weight: f32[len(weight)] ~ vector(weight) }
  if pos_weight != none { buffer pos_weight: f32[len(pos_weight)] ~ vector(pos_weight) }

  forward(input: f32[...S], target: f32[...S]) {
    rescaling = if weight { weight } else { none }
    positive = if pos_weight { pos_weight } else { none }
    binary_cross_entropy_with_logits(input, target, rescaling, reduction: reduction, pos_weight: positive)
  }
}

/// The divergence of Kullback and Leibler, of log-probabilities.
///
/// Formula: \`l = t (log t - input)\`, or \`l = exp(t) (t - input)\` with log_target; "batchmean" divides the sum by the number of rows.
/// \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: Kullback & Leibler 1951, https://pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
export block KLDivLoss(reduction: "mean" | "sum" | "none" | "batchmean" = "mean", log_target: bool = false) {
  forward(input: f32[...S], target: f32[...S]) => kl_div(input, target, reduction, log_target)
}

/// The logistic loss of two classes.
///
/// Formula: \`l = log(1 + exp(-t x))\` for targets t of 1 and -1. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.SoftMarginLoss.html
export block SoftMarginLoss(reduction: Reduction = "mean") {
  forward(input: f32[...S], target: f32[...S]) => soft_margin_loss(input, target, reduction)
}

/// The hinge loss of several classes.
///
/// Formula: \`l = sum over c other than t of weight[t] max(0, margin - x[t] + x[c])^p / C\`. \`reduction\` takes the mean or the sum of all, or
/// leaves them.
///
/// Shapes: input [N, C] and target [N] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: Crammer & Singer 2001, https://pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html
export block MultiMarginLoss(
  p: float = 1.0,
  margin: float = 1.0,
  weight: [float]? = none,
  reduction: Reduction = "mean"
) {
  if weight != none { buffer weight: f32[len(weight)] ~ vector(weight) }

  forward(input: f32[N, C], target: i32[N]) {
    rescaling = if weight { weight } else { none }
    multi_margin_loss(input, target, p, margin, rescaling, reduction: reduction)
  }
}

/// The hinge loss of several classes at once.
///
/// Formula: \`l = sum max(0, 1 - x[t] + x[c]) / C\` over all classes t that a row of the target lists up to its first -1, and all c that it
/// does not. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: input [N, C] and target [N, L] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.MultiLabelMarginLoss.html
export block MultiLabelMarginLoss(reduction: Reduction = "mean") {
  forward(input: f32[N, C], target: i32[N, L]) => multilabel_margin_loss(input, target, reduction)
}

/// Binary cross-entropy of every class, averaged over classes.
///
/// Formula: \`l = -sum over c of weight[c] (t log sigmoid(x) + (1 - t) log(1 - sigmoid(x))) / C\`. \`reduction\` takes the mean or the sum of
/// all, or leaves them.
///
/// Shapes: input and target [N, C] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.MultiLabelSoftMarginLoss.html
export block MultiLabelSoftMarginLoss(weight: [float]? = none, reduction: Reduction = "mean") {
  if weight != none { buffer weight: f32[len(weight)] ~ vector(weight) }

  forward(input: f32[N, C], target: f32[N, C]) {
    rescaling = if weight { weight } else { none }
    multilabel_soft_margin_loss(input, target, rescaling, reduction: reduction)
  }
}

/// The cosine of the angle between vectors.
///
/// Formula: \`y = x1 . x2 / (max(|x1|, eps) max(|x2|, eps))\` along \`dim\`.
///
/// Shapes: [..., n, ...] and the same to [...], without \`dim\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.CosineSimilarity.html
export block CosineSimilarity(dim: int = 1, eps: float = 1e-8) {
  forward(x1: f32[...S], x2: f32[...S]) => cosine_similarity(x1, x2, dim, eps)
}

/// The distance of vectors.
///
/// Formula: \`y = (sum |x1 - x2 + eps|^p)^(1 / p)\` over the last dim.
///
/// Shapes: [..., n] and the same to [...], or to [..., 1] with keepdim.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.PairwiseDistance.html
export block PairwiseDistance(p: float = 2.0, eps: float = 1e-6, keepdim: bool = false) {
  forward(x1: f32[...S], x2: f32[...S]) => pairwise_distance(x1, x2, p, eps, keepdim)
}

/// The hinge loss of an order.
///
/// Formula: \`l = max(0, margin - t (x1 - x2))\` for targets t of 1 (x1 should be larger) and -1. \`reduction\` takes the mean or the sum of
/// all, or leaves them.
///
/// Shapes: input1, input2 and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html
export block MarginRankingLoss(margin: float = 0.0, reduction: Reduction = "mean") {
  forward(input1: f32[...S], input2: f32[...S], target: f32[...S]) =>
    margin_ranking_loss(input1, input2, target, margin, reduction)
}

/// The hinge loss of distances.
///
/// Formula: \`l = x\` where the target is 1, \`l = max(0, margin - x)\` where it is -1. \`reduction\` takes the mean or the sum of all, or leaves
/// them.
///
/// Shapes: input and target [...S] to [], or to [...S] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html
export block HingeEmbeddingLoss(margin: float = 1.0, reduction: Reduction = "mean") {
  forward(input: f32[...S], target: f32[...S]) => hinge_embedding_loss(input, target, margin, reduction)
}

/// The hinge loss of angles.
///
/// Formula: \`l = 1 - cos(x1, x2)\` where the target is 1, \`l = max(0, cos(x1, x2) - margin)\` where it is -1. \`reduction\` takes the mean or
/// the sum of all, or leaves them.
///
/// Shapes: input1 and input2 [N, D] and target [N] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html
export block CosineEmbeddingLoss(margin: float = 0.0, reduction: Reduction = "mean") {
  forward(input1: f32[N, D], input2: f32[N, D], target: f32[N]) =>
    cosine_embedding_loss(input1, input2, target, margin, reduction)
}

/// An anchor shall be nearer to its like than to another.
///
/// Formula: \`l = max(0, d(anchor, positive) - d(anchor, negative) + margin)\`, d being the p-norm of the difference; with \`swap\` the smaller
/// of the negative's distances to the two others counts. \`reduction\` takes the mean or the sum of all, or leaves them.
///
/// Shapes: anchor, positive and negative [N, D] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: Schroff et al. 2015, Balntas et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html
export block TripletMarginLoss(
  margin: float = 1.0,
  p: float = 2.0,
  eps: float = 1e-6,
  swap: bool = false,
  reduction: Reduction = "mean"
) {
  forward(anchor: f32[N, D], positive: f32[N, D], negative: f32[N, D]) =>
    triplet_margin_loss(anchor, positive, negative, margin, p, eps, swap, reduction)
}

/// TripletMarginLoss with any distance.
///
/// Formula: \`l = max(0, d(anchor, positive) - d(anchor, negative) + margin)\` with \`d = distance_function\`. \`reduction\` takes the mean or
/// the sum of all, or leaves them.
///
/// Shapes: anchor, positive and negative [N, ...S] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: Schroff et al. 2015, https://pytorch.org/docs/stable/generated/torch.nn.TripletMarginWithDistanceLoss.html
export block TripletMarginWithDistanceLoss(
  distance_function: (f32[N, ...S], f32[N, ...S]) -> f32[N] = pairwise_distance,
  margin: float = 1.0,
  swap: bool = false,
  reduction: Reduction = "mean"
) {
  forward(anchor: f32[N, ...S], positive: f32[N, ...S], negative: f32[N, ...S]) =>
    triplet_margin_with_distance_loss(anchor, positive, negative, distance_function, margin, swap, reduction)
}

/// The loss of sequences whose alignment is not known.
///
/// Formula: \`l = -log p(target)\`, the probability that the frames spell the target, summed over all alignments with blanks between the
/// labels. "mean" divides each loss by the length of its target first.
///
/// Shapes: log_probs [T, N, C], targets [N, L], input_lengths [N] and target_lengths [N] to [], or to [N] with \`reduction: "none"\`.
///
/// Source: Graves et al. 2006, https://pytorch.org/docs/stable/generated/torch.nn.CTCLoss.html
export block CTCLoss(blank: int = 0, reduction: Reduction = "mean", zero_infinity: bool = false) {
  forward(log_probs: f32[T, N, C], targets: i32[N, L], input_lengths: i32[N], target_lengths: i32[N]) =>
    ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
}

// Normalisation layers: the running statistics are buffers under PyTorch's keys.

/// What BatchNorm1d, 2d and 3d have in common; they differ in how many dims the positions have, \`least\`..\`most\`.
block BatchNorm(
  layout: string,
  least: int,
  most: int,
  num_features: int,
  eps: float,
  momentum: float?,
  affine: bool,
  track_running_stats: bool,
  bias: bool
) {
  if affine {
    param weight: f32[num_features] ~ ones()
    if bias { param bias: f32[num_features] ~ zeros() }
  }
  if track_running_stats {
    buffer running_mean: f32[num_features] ~ zeros()
    buffer running_var: f32[num_features] ~ ones()
    buffer num_batches_tracked: i32[] stored i64 ~ zeros()
  }

  forward(x: f32[N, num_features, ...S]) -> f32[N, num_features, ...S] {
    require len(S) >= least and len(S) <= most, "the input must be {layout}"
    (mean, var) = if training or not track_running_stats {
      channel_moments(x)
    } else {
      (running_mean, running_var)
    }
    if training and track_running_stats {
      n = f32(N * prod(S))
      update num_batches_tracked = num_batches_tracked + 1
      rate = if momentum == none { 1.0 / f32(num_batches_tracked) } else { momentum }
      update running_mean = running_mean + rate * (mean - running_mean)
      update running_var = running_var + rate * (var * (n / (n - 1.0)) - running_var)
    }
    batch_norm(x, mean, var, if weight { weight } else { none }, if bias { bias } else { none }, eps: eps)
  }
}

/// Normalises each channel over the batch and its positions.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance of the batch in training and the running ones
/// otherwise. \`running = (1 - momentum) running + momentum batch\`, with the unbiased variance; momentum none: the average over all batches.
///
/// Shapes: [N, num_features], or [N, num_features, L], to the same.
///
/// Source: Ioffe & Szegedy 2015, https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm1d.html
export fn BatchNorm1d(
  num_features: int,
  eps: float = 1e-5,
  momentum: float? = 0.1,
  affine: bool = true,
  track_running_stats: bool = true,
  bias: bool = true
) -> block => BatchNorm("[N, C] or [N, C, L]", 0, 1, num_features, eps, momentum, affine, track_running_stats, bias)

/// Normalises each channel over the batch and its positions.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance of the batch in training and the running ones
/// otherwise. \`running = (1 - momentum) running + momentum batch\`, with the unbiased variance; momentum none: the average over all batches.
///
/// Shapes: [N, num_features, H, W] to the same.
///
/// Source: Ioffe & Szegedy 2015, https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm2d.html
export fn BatchNorm2d(
  num_features: int,
  eps: float = 1e-5,
  momentum: float? = 0.1,
  affine: bool = true,
  track_running_stats: bool = true,
  bias: bool = true
) -> block => BatchNorm("[N, C, H, W]", 2, 2, num_features, eps, momentum, affine, track_running_stats, bias)

/// Normalises each channel over the batch and its positions.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance of the batch in training and the running ones
/// otherwise. \`running = (1 - momentum) running + momentum batch\`, with the unbiased variance; momentum none: the average over all batches.
///
/// Shapes: [N, num_features, D, H, W] to the same.
///
/// Source: Ioffe & Szegedy 2015, https://pytorch.org/docs/stable/generated/torch.nn.BatchNorm3d.html
export fn BatchNorm3d(
  num_features: int,
  eps: float = 1e-5,
  momentum: float? = 0.1,
  affine: bool = true,
  track_running_stats: bool = true,
  bias: bool = true
) -> block => BatchNorm("[N, C, D, H, W]", 3, 3, num_features, eps, momentum, affine, track_running_stats, bias)

/// Mean and biased variance of each channel (dim 1).
fn channel_moments(x: f32[...S]) =>
  op.moments(x, axes: [for a in 0..len(S) - 1: if a == 0 { 0 } else { a + 1 }], keepdims: false)

/// Normalises over the last dims.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance over the last dims, which are normalized_shape.
///
/// Shapes: [..., ...normalized_shape] to the same.
///
/// Source: Ba et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html
export block LayerNorm(normalized_shape: [int], eps: float = 1e-5, elementwise_affine: bool = true, bias: bool = true) {
  if elementwise_affine {
    param weight: f32[...normalized_shape] ~ ones()
    if bias { param bias: f32[...normalized_shape] ~ zeros() }
  }

  forward(x: f32[...B, ...normalized_shape]) -> f32[...B, ...normalized_shape] =>
    layer_norm(x, normalized_shape, if weight { weight } else { none }, if bias { bias } else { none }, eps: eps)
}

/// Normalises groups of channels with their positions, for each sample.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance over a group, weight and bias for each channel.
///
/// Shapes: [N, num_channels, ...S] to the same.
///
/// Source: Wu & He 2018, https://pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html
export block GroupNorm(num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = true, bias: bool = true) {
  require num_groups > 0, "num_groups is {num_groups}: one at least"
  require num_channels % num_groups == 0, "num_groups ({num_groups}) must divide num_channels ({num_channels})"

  if affine {
    param weight: f32[num_channels] ~ ones()
    if bias { param bias: f32[num_channels] ~ zeros() }
  }

  forward(x: f32[N, num_channels, ...S]) -> f32[N, num_channels, ...S] =>
    group_norm(x, num_groups, if weight { weight } else { none }, if bias { bias } else { none }, eps: eps)
}

/// Divides by the root of the mean square.
///
/// Formula: \`y = x / sqrt(mean(x^2) + eps) weight\` over the last dims, which are normalized_shape; \`eps: none\` is the smallest step of f32
/// at 1.
///
/// Shapes: [..., ...normalized_shape] to the same.
///
/// Source: Zhang & Sennrich 2019, https://pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html
export block RMSNorm(normalized_shape: [int], eps: float? = none, elementwise_affine: bool = true) {
  if elementwise_affine { param weight: f32[...normalized_shape] ~ ones() }

  forward(x: f32[...B, ...normalized_shape]) -> f32[...B, ...normalized_shape] =>
    rms_norm(x, normalized_shape, if weight { weight } else { none }, eps: eps)
}

/// Divides by what neighbouring channels have at the same place.
///
/// Formula: \`y = x / (k + alpha / size sum(x^2))^beta\`, the sum over \`size\` channels around, zeros beyond the ends.
///
/// Shapes: [N, C, ...S] to [N, C, ...S].
///
/// Source: Krizhevsky et al. 2012, https://pytorch.org/docs/stable/generated/torch.nn.LocalResponseNorm.html
export block LocalResponseNorm(size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) {
  forward(x: f32[N, C, ...S]) -> f32[N, C, ...S] => local_response_norm(x, size, alpha: alpha, beta: beta, k: k)
}

/// What InstanceNorm1d, 2d and 3d have in common; they differ in how many dims the positions have.
block InstanceNorm(
  layout: string,
  dims: int,
  num_features: int,
  eps: float,
  momentum: float,
  affine: bool,
  track_running_stats: bool,
  bias: bool
) {
  if affine {
    param weight: f32[num_features] ~ ones()
    if bias { param bias: f32[num_features] ~ zeros() }
  }
  if track_running_stats {
    buffer running_mean: f32[num_features] ~ zeros()
    buffer running_var: f32[num_features] ~ ones()
    // Kept as PyTorch keeps it: in the state dict, never counted.
    buffer num_batches_tracked: i32[] stored i64 ~ zeros()
  }

  forward(x: f32[N, num_features, ...S]) -> f32[N, num_features, ...S] {
    require len(S) == dims, "the input must be {layout}"
    if training and track_running_stats {
      (means, variances) = op.moments(x, axes: [for a in 0..dims: a + 2], keepdims: false)
      n = f32(prod(S))
      update running_mean = running_mean + momentum * (mean(means, 0) - running_mean)
      update running_var = running_var + momentum * (mean(variances, 0) * (n / (n - 1.0)) - running_var)
    }
    scale = if weight { weight } else { none }
    shift = if bias { bias } else { none }
    if training or not track_running_stats {
      instance_norm(x, scale, shift, eps: eps)
    } else {
      batch_norm(x, running_mean, running_var, scale, shift, eps: eps)
    }
  }
}

/// Normalises every channel of every sample over its positions.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance over the positions; with running statistics,
/// evaluation uses those.
///
/// Shapes: [N, num_features, L] to the same.
///
/// Source: Ulyanov et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm1d.html
export fn InstanceNorm1d(
  num_features: int,
  eps: float = 1e-5,
  momentum: float = 0.1,
  affine: bool = false,
  track_running_stats: bool = false,
  bias: bool = true
) -> block => InstanceNorm("[N, C, L]", 1, num_features, eps, momentum, affine, track_running_stats, bias)

/// Normalises every channel of every sample over its positions.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance over the positions; with running statistics,
/// evaluation uses those.
///
/// Shapes: [N, num_features, H, W] to the same.
///
/// Source: Ulyanov et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm2d.html
export fn InstanceNorm2d(
  num_features: int,
  eps: float = 1e-5,
  momentum: float = 0.1,
  affine: bool = false,
  track_running_stats: bool = false,
  bias: bool = true
) -> block => InstanceNorm("[N, C, H, W]", 2, num_features, eps, momentum, affine, track_running_stats, bias)

/// Normalises every channel of every sample over its positions.
///
/// Formula: \`y = (x - mean) / sqrt(var + eps) weight + bias\`, with mean and variance over the positions; with running statistics,
/// evaluation uses those.
///
/// Shapes: [N, num_features, D, H, W] to the same.
///
/// Source: Ulyanov et al. 2016, https://pytorch.org/docs/stable/generated/torch.nn.InstanceNorm3d.html
export fn InstanceNorm3d(
  num_features: int,
  eps: float = 1e-5,
  momentum: float = 0.1,
  affine: bool = false,
  track_running_stats: bool = false,
  bias: bool = true
) -> block => InstanceNorm("[N, C, D, H, W]", 3, num_features, eps, momentum, affine, track_running_stats, bias)

// Layers that put elements around sequences [N, C, L], images [N, C, H, W] and volumes [N, C, D, H, W]. \`padding\` has pairs (before,
// after) from the last dim backwards; one number stands for all.

/// A number around the sequence.
///
/// Formula: \`y[i] = x[i - before]\` inside, \`y[i] = value\` around it.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ConstantPad1d.html
export block ConstantPad1d(padding: (int, int), value: float) {
  forward(x: f32[N, C, L]) => pad(x, [padding.0, padding.1], "constant", value)
}

/// A number around the image.
///
/// Formula: \`y[i] = x[i - before]\` inside, \`y[i] = value\` around it.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ConstantPad2d.html
export block ConstantPad2d(padding: (int, int, int, int), value: float) {
  forward(x: f32[N, C, H, W]) => pad(x, [padding.0, padding.1, padding.2, padding.3], "constant", value)
}

/// A number around the volume.
///
/// Formula: \`y[i] = x[i - before]\` inside, \`y[i] = value\` around it.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ConstantPad3d.html
export block ConstantPad3d(padding: (int, int, int, int, int, int), value: float) {
  forward(x: f32[N, C, D, H, W]) =>
    pad(x, [padding.0, padding.1, padding.2, padding.3, padding.4, padding.5], "constant", value)
}

/// Zeros around the sequence.
///
/// Formula: \`y[i] = x[i - before]\` inside, \`y[i] = 0\` around it.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ZeroPad1d.html
export block ZeroPad1d(padding: (int, int)) {
  forward(x: f32[N, C, L]) => pad(x, [padding.0, padding.1])
}

/// Zeros around the image.
///
/// Formula: \`y[i] = x[i - before]\` inside, \`y[i] = 0\` around it.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ZeroPad2d.html
export block ZeroPad2d(padding: (int, int, int, int)) {
  forward(x: f32[N, C, H, W]) => pad(x, [padding.0, padding.1, padding.2, padding.3])
}

/// Zeros around the volume.
///
/// Formula: \`y[i] = x[i - before]\` inside, \`y[i] = 0\` around it.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ZeroPad3d.html
export block ZeroPad3d(padding: (int, int, int, int, int, int)) {
  forward(x: f32[N, C, D, H, W]) => pad(x, [padding.0, padding.1, padding.2, padding.3, padding.4, padding.5])
}

/// The sequence mirrored at its ends, which are not repeated, around it.
///
/// Formula: \`y[i] = x[n - 1 - |n - 1 - |i - before||]\` along a side of size n.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ReflectionPad1d.html
export block ReflectionPad1d(padding: (int, int)) {
  forward(x: f32[N, C, L]) => pad(x, [padding.0, padding.1], "reflect")
}

/// The image mirrored at its ends, which are not repeated, around it.
///
/// Formula: \`y[i] = x[n - 1 - |n - 1 - |i - before||]\` along a side of size n.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ReflectionPad2d.html
export block ReflectionPad2d(padding: (int, int, int, int)) {
  forward(x: f32[N, C, H, W]) => pad(x, [padding.0, padding.1, padding.2, padding.3], "reflect")
}

/// The volume mirrored at its ends, which are not repeated, around it.
///
/// Formula: \`y[i] = x[n - 1 - |n - 1 - |i - before||]\` along a side of size n.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ReflectionPad3d.html
export block ReflectionPad3d(padding: (int, int, int, int, int, int)) {
  forward(x: f32[N, C, D, H, W]) =>
    pad(x, [padding.0, padding.1, padding.2, padding.3, padding.4, padding.5], "reflect")
}

/// The ends of the sequence repeated around it.
///
/// Formula: \`y[i] = x[min(max(i - before, 0), n - 1)]\` along a side of size n.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ReplicationPad1d.html
export block ReplicationPad1d(padding: (int, int)) {
  forward(x: f32[N, C, L]) => pad(x, [padding.0, padding.1], "replicate")
}

/// The ends of the image repeated around it.
///
/// Formula: \`y[i] = x[min(max(i - before, 0), n - 1)]\` along a side of size n.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ReplicationPad2d.html
export block ReplicationPad2d(padding: (int, int, int, int)) {
  forward(x: f32[N, C, H, W]) => pad(x, [padding.0, padding.1, padding.2, padding.3], "replicate")
}

/// The ends of the volume repeated around it.
///
/// Formula: \`y[i] = x[min(max(i - before, 0), n - 1)]\` along a side of size n.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.ReplicationPad3d.html
export block ReplicationPad3d(padding: (int, int, int, int, int, int)) {
  forward(x: f32[N, C, D, H, W]) =>
    pad(x, [padding.0, padding.1, padding.2, padding.3, padding.4, padding.5], "replicate")
}

/// The sequence from its other end around it.
///
/// Formula: \`y[i] = x[(i - before) mod n]\` along a side of size n.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.CircularPad1d.html
export block CircularPad1d(padding: (int, int)) {
  forward(x: f32[N, C, L]) => pad(x, [padding.0, padding.1], "circular")
}

/// The image from its other end around it.
///
/// Formula: \`y[i] = x[(i - before) mod n]\` along a side of size n.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.CircularPad2d.html
export block CircularPad2d(padding: (int, int, int, int)) {
  forward(x: f32[N, C, H, W]) => pad(x, [padding.0, padding.1, padding.2, padding.3], "circular")
}

/// The volume from its other end around it.
///
/// Formula: \`y[i] = x[(i - before) mod n]\` along a side of size n.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming before + n + after.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.CircularPad3d.html
export block CircularPad3d(padding: (int, int, int, int, int, int)) {
  forward(x: f32[N, C, D, H, W]) =>
    pad(x, [padding.0, padding.1, padding.2, padding.3, padding.4, padding.5], "circular")
}

// Pooling over sequences [N, C, L], images [N, C, H, W] and volumes [N, C, D, H, W].

/// The largest element of each window.
///
/// Formula: \`y[i] = max over p of x[i stride + p dilation - padding]\` along each side; NaN passes through.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming (n + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1, rounded
/// down, or up with ceil_mode. With return_indices (values, indices): the place of a maximum in its channel, in row-major order.
///
/// Source: Zhou & Chellappa 1988, https://pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html
export block MaxPool2d(
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  padding: (int, int) = 0,
  dilation: (int, int) = 1,
  return_indices: bool = false,
  ceil_mode: bool = false
) {
  forward(x: f32[B, C, H, W]) => max_pool2d(
    x,
    kernel_size,
    stride: stride,
    padding: padding,
    dilation: dilation,
    ceil_mode: ceil_mode,
    return_indices: return_indices
  )
}

/// The mean of each window.
///
/// Formula: \`y[i] = sum over p of x[i stride + p - padding] / divisor\` along each side; the divisor is the number of elements, or
/// divisor_override, with those of the padding unless \`count_include_pad: false\`.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming (n + 2 padding - kernel_size) / stride + 1, rounded down, or up with
/// ceil_mode.
///
/// Source: LeCun et al. 1989, https://pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html
export block AvgPool2d(
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  padding: (int, int) = 0,
  ceil_mode: bool = false,
  count_include_pad: bool = true,
  divisor_override: int? = none
) {
  forward(x: f32[B, C, H, W]) => avg_pool2d(
    x,
    kernel_size,
    stride: stride,
    padding: padding,
    ceil_mode: ceil_mode,
    count_include_pad: count_include_pad,
    divisor_override: divisor_override
  )
}

/// Means over windows that tile the image.
///
/// Formula: \`y[i] = mean of x[floor(i n / m) .. ceil((i + 1) n / m)]\` along a side of size n that becomes m.
///
/// Shapes: [N, C, H, W] to [N, C, ...output_size]. A size \`none\` leaves its side as it is.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html
export block AdaptiveAvgPool2d(output_size: (int?, int?)) {
  forward(x: f32[B, C, H, W]) => adaptive_avg_pool2d(x, output_size)
}

/// The largest element of each window.
///
/// Formula: \`y[i] = max over p of x[i stride + p dilation - padding]\` along each side; NaN passes through.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming (n + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1, rounded down,
/// or up with ceil_mode. With return_indices (values, indices): the place of a maximum in its channel, in row-major order.
///
/// Source: Zhou & Chellappa 1988, https://pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html
export block MaxPool1d(
  kernel_size: int,
  stride: int = kernel_size,
  padding: int = 0,
  dilation: int = 1,
  return_indices: bool = false,
  ceil_mode: bool = false
) {
  forward(x: f32[B, C, L]) => max_pool1d(
    x,
    kernel_size,
    stride: stride,
    padding: padding,
    dilation: dilation,
    ceil_mode: ceil_mode,
    return_indices: return_indices
  )
}

/// The mean of each window.
///
/// Formula: \`y[i] = sum over p of x[i stride + p - padding] / divisor\` along each side; the divisor is the number of elements, with those
/// of the padding unless \`count_include_pad: false\`.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming (n + 2 padding - kernel_size) / stride + 1, rounded down, or up with
/// ceil_mode.
///
/// Source: LeCun et al. 1989, https://pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html
export block AvgPool1d(
  kernel_size: int,
  stride: int = kernel_size,
  padding: int = 0,
  ceil_mode: bool = false,
  count_include_pad: bool = true
) {
  forward(x: f32[B, C, L]) => avg_pool1d(
    x,
    kernel_size,
    stride: stride,
    padding: padding,
    ceil_mode: ceil_mode,
    count_include_pad: count_include_pad
  )
}

/// Means over windows that tile the sequence.
///
/// Formula: \`y[i] = mean of x[floor(i n / m) .. ceil((i + 1) n / m)]\` along a side of size n that becomes m.
///
/// Shapes: [N, C, L] to [N, C, output_size].
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html
export block AdaptiveAvgPool1d(output_size: int) {
  forward(x: f32[B, C, L]) => adaptive_avg_pool1d(x, output_size)
}

/// Maxima over windows that tile the sequence.
///
/// Formula: \`y[i] = max of x[floor(i n / m) .. ceil((i + 1) n / m)]\` along a side of size n that becomes m.
///
/// Shapes: [N, C, L] to [N, C, output_size]. With return_indices (values, indices): the place of a maximum in its channel, in row-major
/// order.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html
export block AdaptiveMaxPool1d(output_size: int, return_indices: bool = false) {
  forward(x: f32[B, C, L]) => adaptive_max_pool1d(x, output_size, return_indices)
}

/// Maxima over windows that tile the image.
///
/// Formula: \`y[i] = max of x[floor(i n / m) .. ceil((i + 1) n / m)]\` along a side of size n that becomes m.
///
/// Shapes: [N, C, H, W] to [N, C, ...output_size]. A size \`none\` leaves its side as it is. With return_indices (values, indices): the place
/// of a maximum in its channel, in row-major order.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html
export block AdaptiveMaxPool2d(output_size: (int?, int?), return_indices: bool = false) {
  forward(x: f32[B, C, H, W]) => adaptive_max_pool2d(x, output_size, return_indices)
}

/// The p-norm of each window.
///
/// Formula: \`y[i] = (sum over k of x[i stride + k]^p)^(1 / p)\` along each side, with \`p = norm_type\`.
///
/// Shapes: [N, C, H, W] to [N, C, ...], a side of size n becoming (n - kernel_size) / stride + 1, rounded down, or up with ceil_mode.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool2d.html
export block LPPool2d(
  norm_type: float,
  kernel_size: (int, int),
  stride: (int, int) = kernel_size,
  ceil_mode: bool = false
) {
  forward(x: f32[B, C, H, W]) => lp_pool2d(x, norm_type, kernel_size, stride: stride, ceil_mode: ceil_mode)
}

/// The p-norm of each window.
///
/// Formula: \`y[i] = (sum over k of x[i stride + k]^p)^(1 / p)\` along each side, with \`p = norm_type\`.
///
/// Shapes: [N, C, L] to [N, C, ...], a side of size n becoming (n - kernel_size) / stride + 1, rounded down, or up with ceil_mode.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool1d.html
export block LPPool1d(norm_type: float, kernel_size: int, stride: int = kernel_size, ceil_mode: bool = false) {
  forward(x: f32[B, C, L]) => lp_pool1d(x, norm_type, kernel_size, stride: stride, ceil_mode: ceil_mode)
}

/// The p-norm of each window.
///
/// Formula: \`y[i] = (sum over k of x[i stride + k]^p)^(1 / p)\` along each side, with \`p = norm_type\`.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming (n - kernel_size) / stride + 1, rounded down, or up with ceil_mode.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.LPPool3d.html
export block LPPool3d(
  norm_type: float,
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  ceil_mode: bool = false
) {
  forward(x: f32[B, C, D, H, W]) => lp_pool3d(x, norm_type, kernel_size, stride: stride, ceil_mode: ceil_mode)
}

/// The largest element of each window.
///
/// Formula: \`y[i] = max over p of x[i stride + p dilation - padding]\` along each side; NaN passes through.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming (n + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1, rounded
/// down, or up with ceil_mode. With return_indices (values, indices): the place of a maximum in its channel, in row-major order.
///
/// Source: Zhou & Chellappa 1988, https://pytorch.org/docs/stable/generated/torch.nn.MaxPool3d.html
export block MaxPool3d(
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  padding: (int, int, int) = 0,
  dilation: (int, int, int) = 1,
  return_indices: bool = false,
  ceil_mode: bool = false
) {
  forward(x: f32[B, C, D, H, W]) => max_pool3d(
    x,
    kernel_size,
    stride: stride,
    padding: padding,
    dilation: dilation,
    ceil_mode: ceil_mode,
    return_indices: return_indices
  )
}

/// The mean of each window.
///
/// Formula: \`y[i] = sum over p of x[i stride + p - padding] / divisor\` along each side; the divisor is the number of elements, or
/// divisor_override, with those of the padding unless \`count_include_pad: false\`.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...], a side of size n becoming (n + 2 padding - kernel_size) / stride + 1, rounded down, or up with
/// ceil_mode.
///
/// Source: LeCun et al. 1989, https://pytorch.org/docs/stable/generated/torch.nn.AvgPool3d.html
export block AvgPool3d(
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  padding: (int, int, int) = 0,
  ceil_mode: bool = false,
  count_include_pad: bool = true,
  divisor_override: int? = none
) {
  forward(x: f32[B, C, D, H, W]) => avg_pool3d(
    x,
    kernel_size,
    stride: stride,
    padding: padding,
    ceil_mode: ceil_mode,
    count_include_pad: count_include_pad,
    divisor_override: divisor_override
  )
}

/// Means over windows that tile the volume.
///
/// Formula: \`y[i] = mean of x[floor(i n / m) .. ceil((i + 1) n / m)]\` along a side of size n that becomes m.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...output_size]. A size \`none\` leaves its side as it is.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool3d.html
export block AdaptiveAvgPool3d(output_size: (int?, int?, int?)) {
  forward(x: f32[B, C, D, H, W]) => adaptive_avg_pool3d(x, output_size)
}

/// Maxima over windows that tile the volume.
///
/// Formula: \`y[i] = max of x[floor(i n / m) .. ceil((i + 1) n / m)]\` along a side of size n that becomes m.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...output_size]. A size \`none\` leaves its side as it is. With return_indices (values, indices): the
/// place of a maximum in its channel, in row-major order.
///
/// Source: https://pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool3d.html
export block AdaptiveMaxPool3d(output_size: (int?, int?, int?), return_indices: bool = false) {
  forward(x: f32[B, C, D, H, W]) => adaptive_max_pool3d(x, output_size, return_indices)
}

// Positions as layers without parameters.

/// Positions as sines and cosines, added to the features, with dropout.
///
/// Formula: \`y[t, 2 i] = x[t, 2 i] + sin(t / base^(2 i / d_model))\`, and the cosine at 2 i + 1.
///
/// Shapes: [N, T, d_model] to [N, T, d_model].
///
/// Source: Vaswani et al. 2017, https://arxiv.org/abs/1706.03762
export block SinusoidalPositions(d_model: int, dropout: float = 0.0, base: float = 10000.0) {
  forward(x: f32[B, T, d_model]) -> f32[B, T, d_model] => dropped(x + sinusoidal_positions(T, d_model, base), dropout)
}

/// Turns pairs of features of queries or keys by an angle that grows with the position.
///
/// Formula: \`(y_i, y_j) = (x_i cos a - x_j sin a, x_j cos a + x_i sin a)\` with \`a = t / base^(2 i / dim)\`, the pair being (i, i + dim / 2),
/// or (2 i, 2 i + 1) with interleaved.
///
/// Shapes: [..., T, dim] to [..., T, dim].
///
/// Source: Su et al. 2021, https://arxiv.org/abs/2104.09864
export block Rotary(dim: int, base: float = 10000.0, interleaved: bool = false) {
  forward(x: f32[...B, T, dim]) -> f32[...B, T, dim] => rotary(x, base: base, interleaved: interleaved)
}

// Recurrent networks with PyTorch's names, defaults and state-dict keys; all parameters are uniform in +-1 / sqrt(hidden_size).

/// What RNN, LSTM and GRU have in common: layers, each in one or both directions, the outputs of one being the inputs of the next.
/// With proj_size an LSTM's h is multiplied down to that size by weight_hr.
block Recurrent(
  cell: Cell,
  input_size: int,
  hidden_size: int,
  num_layers: int = 1,
  bias: bool = true,
  batch_first: bool = false,
  dropout: float = 0.0,
  bidirectional: bool = false,
  proj_size: int = 0
) {
  require num_layers > 0, "num_layers is {num_layers}: one layer at least"
  require hidden_size > 0, "hidden_size is {hidden_size}: one at least"
  require proj_size < hidden_size, "proj_size ({proj_size}) must be smaller than hidden_size ({hidden_size})"

  const gates = gates_of(cell) * hidden_size
  const directions = if bidirectional { 2 } else { 1 }
  const out_size = if proj_size > 0 { proj_size } else { hidden_size }
  const states = num_layers * directions

  for layer in 0..num_layers {
    const width = if layer == 0 { input_size } else { directions * out_size }
    for way in [for i in 0..directions: if i == 0 { "" } else { "_reverse" }] {
      param weight_ih as "weight_ih_l{layer}{way}": f32[gates, width] ~ bias_init(hidden_size)
      param weight_hh as "weight_hh_l{layer}{way}": f32[gates, out_size] ~ bias_init(hidden_size)
      if bias {
        param bias_ih as "bias_ih_l{layer}{way}": f32[gates] ~ bias_init(hidden_size)
        param bias_hh as "bias_hh_l{layer}{way}": f32[gates] ~ bias_init(hidden_size)
      }
      if proj_size > 0 {
        param weight_hr as "weight_hr_l{layer}{way}": f32[proj_size, hidden_size] ~ bias_init(hidden_size)
      }
    }
  }

  /// One layer in one direction: (outputs, h, c).
  side(
    x: f32[T, B, I],
    layer: int,
    direction: int,
    h0: f32[states, B, out_size]?,
    c0: f32[states, B, hidden_size]?,
    lengths: i32[B]?
  ) {
    row = layer * directions + direction
    recurrent_layer(
      cell,
      x,
      if h0 == none { full([B, out_size], 0.0) } else { h0[row] },
      if c0 == none { full([B, hidden_size], 0.0) } else { c0[row] },
      weight_ih[layer][direction],
      weight_hh[layer][direction],
      if bias { bias_ih[layer][direction] } else { none },
      if bias { bias_hh[layer][direction] } else { none },
      backwards: direction == 1,
      lengths: lengths,
      w_hr: if proj_size > 0 { weight_hr[layer][direction] } else { none }
    )
  }

  /// All layers over x [T, B, input_size]: the outputs, the last h and the last c of each.
  batch(x: f32[T, B, input_size], h0: f32[states, B, out_size]?, c0: f32[states, B, hidden_size]?, lengths: i32[B]?) {
    y = x
    hs = []
    cs = []
    for layer in [for k in 0..num_layers: k] {
      sides = [for d in 0..directions: side(y, layer, d, h0, c0, lengths)]
      joined = cat([for s in sides: s.0], 2)
      hs = hs + [for s in sides: s.1]
      cs = cs + [for s in sides: s.2]
      y = if layer + 1 < num_layers { dropped(joined, dropout) } else { joined }
    }
    (y, stack(hs), stack(cs))
  }

  /// \`batch\` in the layout of x, which may be one sequence [T, input_size].
  run(
    x: f32[...X, input_size],
    h0: f32[states, ...H, out_size]?,
    c0: f32[states, ...C, hidden_size]?,
    lengths: i32[M]?
  ) {
    if len(X) == 1 {
      (y, h, c) = batch(
        unsqueeze(x, 1),
        if h0 == none { none } else { unsqueeze(h0, 1) },
        if c0 == none { none } else { unsqueeze(c0, 1) },
        lengths
      )
      (squeeze(y, 1), squeeze(h, 1), squeeze(c, 1))
    } else if batch_first {
      (y, h, c) = batch(transpose(x, 0, 1), h0, c0, lengths)
      (transpose(y, 0, 1), h, c)
    } else {
      batch(x, h0, c0, lengths)
    }
  }

  /// The outputs and the last states; \`lengths\` [B] says where each sequence ends.
  if cell == "lstm" {
    forward(
      x: f32[...X, input_size],
      hx: (f32[states, ...H, out_size], f32[states, ...C, hidden_size])? = none,
      lengths: i32[M]? = none
    ) {
      (y, h, c) = if hx == none { run(x, none, none, lengths) } else { run(x, hx.0, hx.1, lengths) }
      (y, (h, c))
    }
  } else {
    forward(x: f32[...X, input_size], hx: f32[states, ...H, out_size]? = none, lengths: i32[M]? = none) {
      (y, h, _) = run(x, hx, none, lengths)
      (y, h)
    }
  }
}

/// Layers of tanh or relu units.
///
/// Formula: \`h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh)\`, or relu of it.
///
/// Shapes: x [T, N, input_size], [N, T, input_size] with batch_first, or [T, input_size], and hx, zeros if not given, give (outputs, the
/// last h): outputs like x with D hidden_size features, states [D num_layers, N, hidden_size] in D directions. \`lengths\` [N] says where
/// each sequence ends, as packed ones do in PyTorch: outputs beyond are 0.
///
/// Source: Elman 1990, https://pytorch.org/docs/stable/generated/torch.nn.RNN.html
export fn RNN(
  input_size: int,
  hidden_size: int,
  num_layers: int = 1,
  nonlinearity: "tanh" | "relu" = "tanh",
  bias: bool = true,
  batch_first: bool = false,
  dropout: float = 0.0,
  bidirectional: bool = false
) -> block => Recurrent(nonlinearity, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

/// Layers of long short-term memory.
///
/// Formula: \`c_t = f c_(t-1) + i g\` and \`h_t = o tanh(c_t)\`, the gates i, f and o being sigmoids and g tanh of W_ih x_t + b_ih + W_hh
/// h_(t-1) + b_hh.
///
/// Shapes: x [T, N, input_size], [N, T, input_size] with batch_first, or [T, input_size], and (h, c), zeros if not given, give (outputs,
/// (the last h, the last c)): outputs like x with D hidden_size features, states [D num_layers, N, hidden_size] in D directions; with
/// proj_size h, and with it the outputs, has proj_size features, to which weight_hr multiplies it down. \`lengths\` [N] says where each
/// sequence ends, as packed ones do in PyTorch: outputs beyond are 0.
///
/// Source: Hochreiter & Schmidhuber 1997, Sak et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html
export fn LSTM(
  input_size: int,
  hidden_size: int,
  num_layers: int = 1,
  bias: bool = true,
  batch_first: bool = false,
  dropout: float = 0.0,
  bidirectional: bool = false,
  proj_size: int = 0
) -> block =>
  Recurrent("lstm", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)

/// Layers of gated recurrent units.
///
/// Formula: \`h_t = (1 - z) n + z h_(t-1)\`, with \`r = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)\`, z alike, and \`n = tanh(W_in x_t +
/// b_in + r (W_hn h_(t-1) + b_hn))\`.
///
/// Shapes: x [T, N, input_size], [N, T, input_size] with batch_first, or [T, input_size], and hx, zeros if not given, give (outputs, the
/// last h): outputs like x with D hidden_size features, states [D num_layers, N, hidden_size] in D directions. \`lengths\` [N] says where
/// each sequence ends, as packed ones do in PyTorch: outputs beyond are 0.
///
/// Source: Cho et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.GRU.html
export fn GRU(
  input_size: int,
  hidden_size: int,
  num_layers: int = 1,
  bias: bool = true,
  batch_first: bool = false,
  dropout: float = 0.0,
  bidirectional: bool = false
) -> block => Recurrent("gru", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional)

/// What the cells have in common: weights, and what input and state give together.
block RecurrentCell(cell: Cell, input_size: int, hidden_size: int, bias: bool) {
  require hidden_size > 0, "hidden_size is {hidden_size}: one at least"
  const gates = gates_of(cell) * hidden_size

  param weight_ih: f32[gates, input_size] ~ bias_init(hidden_size)
  param weight_hh: f32[gates, hidden_size] ~ bias_init(hidden_size)
  if bias {
    param bias_ih: f32[gates] ~ bias_init(hidden_size)
    param bias_hh: f32[gates] ~ bias_init(hidden_size)
  }

  input(x: f32[...B, input_size]) => linear(x, weight_ih, if bias { bias_ih } else { none })
  state(h: f32[...B, hidden_size]) => linear(h, weight_hh, if bias { bias_hh } else { none })

  /// Zeros for the samples of x.
  start(x: f32[...B, input_size]) -> f32[...B, hidden_size] => full([for d in B: d] + [hidden_size], 0.0)

  if cell == "lstm" {
    forward(x: f32[...B, input_size], hx: (f32[...B, hidden_size], f32[...B, hidden_size])? = none) -> (
      f32[...B, hidden_size],
      f32[...B, hidden_size]
    ) {
      (h, c) = if hx == none { (start(x), start(x)) } else { hx }
      lstm_state(input(x), state(h), c)
    }
  } else {
    forward(x: f32[...B, input_size], hx: f32[...B, hidden_size]? = none) -> f32[...B, hidden_size] {
      h = if hx == none { start(x) } else { hx }
      if cell == "gru" { gru_state(input(x), state(h), h) } else { rnn_state(cell, input(x), state(h)) }
    }
  }
}

/// One step of an RNN.
///
/// Formula: \`h' = tanh(W_ih x + b_ih + W_hh h + b_hh)\`, or relu of it.
///
/// Shapes: x [N, input_size] and hx [N, hidden_size] (zeros if not given), or both without N, to [N, hidden_size].
///
/// Source: Elman 1990, https://pytorch.org/docs/stable/generated/torch.nn.RNNCell.html
export fn RNNCell(
  input_size: int,
  hidden_size: int,
  bias: bool = true,
  nonlinearity: "tanh" | "relu" = "tanh"
) -> block => RecurrentCell(nonlinearity, input_size, hidden_size, bias)

/// One step of an LSTM.
///
/// Formula: \`c' = f c + i g\` and \`h' = o tanh(c')\`, the gates i, f and o being sigmoids and g tanh of W_ih x + b_ih + W_hh h + b_hh.
///
/// Shapes: x [N, input_size] and (h, c), two [N, hidden_size] (zeros if not given), or both without N, to (h', c'), two [N, hidden_size].
///
/// Source: Hochreiter & Schmidhuber 1997, https://pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html
export fn LSTMCell(input_size: int, hidden_size: int, bias: bool = true) -> block =>
  RecurrentCell("lstm", input_size, hidden_size, bias)

/// One step of a GRU.
///
/// Formula: \`h' = (1 - z) n + z h\`, with \`r = sigmoid(W_ir x + b_ir + W_hr h + b_hr)\`, z alike, and \`n = tanh(W_in x + b_in + r (W_hn h +
/// b_hn))\`.
///
/// Shapes: x [N, input_size] and hx [N, hidden_size] (zeros if not given), or both without N, to [N, hidden_size].
///
/// Source: Cho et al. 2014, https://pytorch.org/docs/stable/generated/torch.nn.GRUCell.html
export fn GRUCell(input_size: int, hidden_size: int, bias: bool = true) -> block =>
  RecurrentCell("gru", input_size, hidden_size, bias)

// Transformers; Vaswani et al. 2017. As in PyTorch x is [T, N, E], or [N, T, E] with batch_first, or [T, E]. Masks are those of
// MultiheadAttention: true where a key is hidden, or numbers that are added to the scores.

/// Self-attention, then two linear layers, each with dropout, a residual connection and a norm.
///
/// Formula: \`y = norm1(x + attention(x))\` and \`z = norm2(y + linear2(activation(linear1(y))))\`; with norm_first \`y = x +
/// attention(norm1(x))\` and \`z = y + linear2(activation(linear1(norm2(y))))\`.
///
/// Shapes: src [T, N, d_model], [N, T, d_model] with batch_first, or [T, d_model], to the same; src_mask [T, T], src_key_padding_mask [N,
/// T].
///
/// Source: Vaswani et al. 2017, Xiong et al. 2020, https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html
export block TransformerEncoderLayer(
  d_model: int,
  nhead: int,
  dim_feedforward: int = 2048,
  dropout: float = 0.1,
  activation: ((f32[...S]) -> f32[...S]) | "relu" | "gelu" = relu,
  layer_norm_eps: float = 1e-5,
  batch_first: bool = false,
  norm_first: bool = false,
  bias: bool = true
) {
  self_attn = MultiheadAttention(d_model, nhead, dropout: dropout, bias: bias, batch_first: batch_first)
  linear1 = Linear(d_model, dim_feedforward, bias: bias)
  linear2 = Linear(dim_feedforward, d_model, bias: bias)
  norm1 = LayerNorm(d_model, eps: layer_norm_eps, bias: bias)
  norm2 = LayerNorm(d_model, eps: layer_norm_eps, bias: bias)

  forward(
    src: f32[...B, d_model],
    src_mask: M[...A]? = none,
    src_key_padding_mask: P[...R]? = none,
    is_causal: bool = false
  ) -> f32[...B, d_model] {
    if norm_first {
      x = src + attend(norm1(src), src_mask, src_key_padding_mask, is_causal)
      x + feed(norm2(x))
    } else {
      x = norm1(src + attend(src, src_mask, src_key_padding_mask, is_causal))
      norm2(x + feed(x))
    }
  }

  attend(x: f32[...B, d_model], mask: M[...A]?, padding: P[...R]?, is_causal: bool) -> f32[...B, d_model] {
    (y, _) = self_attn(x, x, x, padding, need_weights: false, attn_mask: mask, is_causal: is_causal)
    dropped(y, dropout)
  }

  feed(x: f32[...B, d_model]) -> f32[...B, d_model] =>
    dropped(linear2(dropped(activated(linear1(x), activation), dropout)), dropout)
}

/// An activation given as a function or by name.
fn activated(x: f32[...S], activation: ((f32[...S]) -> f32[...S]) | "relu" | "gelu") -> f32[...S] =>
  if activation == "relu" { relu(x) } else if activation == "gelu" { gelu(x) } else { activation(x) }

/// Self-attention, attention to the encoder's output, the memory, then two linear layers, each with dropout, a residual connection and a
/// norm.
///
/// Formula: \`y = norm1(x + attention(x))\`, \`z = norm2(y + attention(y, memory))\` and \`w = norm3(z + linear2(activation(linear1(z))))\`; with
/// norm_first the norms come before the parts.
///
/// Shapes: tgt [T, N, d_model] and memory [S, N, d_model] (N first under batch_first, or without N) to [T, N, d_model].
///
/// Source: Vaswani et al. 2017, Xiong et al. 2020, https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoderLayer.html
export block TransformerDecoderLayer(
  d_model: int,
  nhead: int,
  dim_feedforward: int = 2048,
  dropout: float = 0.1,
  activation: ((f32[...S]) -> f32[...S]) | "relu" | "gelu" = relu,
  layer_norm_eps: float = 1e-5,
  batch_first: bool = false,
  norm_first: bool = false,
  bias: bool = true
) {
  self_attn = MultiheadAttention(d_model, nhead, dropout: dropout, bias: bias, batch_first: batch_first)
  multihead_attn = MultiheadAttention(d_model, nhead, dropout: dropout, bias: bias, batch_first: batch_first)
  linear1 = Linear(d_model, dim_feedforward, bias: bias)
  linear2 = Linear(dim_feedforward, d_model, bias: bias)
  norm1 = LayerNorm(d_model, eps: layer_norm_eps, bias: bias)
  norm2 = LayerNorm(d_model, eps: layer_norm_eps, bias: bias)
  norm3 = LayerNorm(d_model, eps: layer_norm_eps, bias: bias)

  forward(
    tgt: f32[...B, d_model],
    memory: f32[...C, d_model],
    tgt_mask: T[...A]? = none,
    memory_mask: M[...D]? = none,
    tgt_key_padding_mask: P[...R]? = none,
    memory_key_padding_mask: Q[...O]? = none,
    tgt_is_causal: bool = false,
    memory_is_causal: bool = false
  ) -> f32[...B, d_model] {
    if norm_first {
      x = tgt + attend(norm1(tgt), tgt_mask, tgt_key_padding_mask, tgt_is_causal)
      y = x + remember(norm2(x), memory, memory_mask, memory_key_padding_mask, memory_is_causal)
      y + feed(norm3(y))
    } else {
      x = norm1(tgt + attend(tgt, tgt_mask, tgt_key_padding_mask, tgt_is_causal))
      y = norm2(x + remember(x, memory, memory_mask, memory_key_padding_mask, memory_is_causal))
      norm3(y + feed(y))
    }
  }

  attend(x: f32[...B, d_model], mask: M[...A]?, padding: P[...R]?, is_causal: bool) -> f32[...B, d_model] {
    (y, _) = self_attn(x, x, x, padding, need_weights: false, attn_mask: mask, is_causal: is_causal)
    dropped(y, dropout)
  }

  remember(x: f32[...B, d_model], memory: f32[...C, d_model], mask: M[...A]?, padding: P[...R]?, is_causal: bool) {
    (y, _) = multihead_attn(x, memory, memory, padding, need_weights: false, attn_mask: mask, is_causal: is_causal)
    dropped(y, dropout)
  }

  feed(x: f32[...B, d_model]) -> f32[...B, d_model] =>
    dropped(linear2(dropped(activated(linear1(x), activation), dropout)), dropout)
}

/// Copies of an encoder layer, one after the other.
///
/// Formula: \`y = norm(layer(... layer(x)))\`, without the norm if there is none.
///
/// Shapes: src [T, N, E], [N, T, E] with batch_first, or [T, E], to the same.
///
/// Every copy draws its own weights.
///
/// Source: Vaswani et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.TransformerEncoder.html
export block TransformerEncoder(encoder_layer: block, num_layers: int, norm: block? = none) {
  layers = [for i in 0..num_layers: encoder_layer]
  if norm != none { norm = norm }

  forward(
    src: f32[...B, E],
    mask: M[...A]? = none,
    src_key_padding_mask: P[...R]? = none,
    is_causal: bool = false
  ) -> f32[...B, E] {
    x = src
    for layer in layers { x = layer(x, mask, src_key_padding_mask, is_causal) }
    if norm != none { norm(x) } else { x }
  }
}

/// Copies of a decoder layer, one after the other, with the same memory.
///
/// Formula: \`y = norm(layer(... layer(x, memory) ..., memory))\`, without the norm if there is none.
///
/// Shapes: tgt [T, N, E] and memory [S, N, E] (N first with batch_first, or without N) to [T, N, E].
///
/// Every copy draws its own weights.
///
/// Source: Vaswani et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.TransformerDecoder.html
export block TransformerDecoder(decoder_layer: block, num_layers: int, norm: block? = none) {
  layers = [for i in 0..num_layers: decoder_layer]
  if norm != none { norm = norm }

  forward(
    tgt: f32[...B, E],
    memory: f32[...C, E],
    tgt_mask: T[...A]? = none,
    memory_mask: M[...D]? = none,
    tgt_key_padding_mask: P[...R]? = none,
    memory_key_padding_mask: Q[...O]? = none,
    tgt_is_causal: bool = false,
    memory_is_causal: bool = false
  ) -> f32[...B, E] {
    x = tgt
    for layer in layers {
      x = layer(
        x,
        memory,
        tgt_mask,
        memory_mask,
        tgt_key_padding_mask,
        memory_key_padding_mask,
        tgt_is_causal,
        memory_is_causal
      )
    }
    if norm != none { norm(x) } else { x }
  }
}

/// Encoder and decoder, each with a norm at the end.
///
/// Formula: \`y = decoder(tgt, encoder(src))\`.
///
/// Shapes: src [S, N, d_model] and tgt [T, N, d_model] (N first under batch_first, or without N) to [T, N, d_model]; masks [S, S], [T, T]
/// and [T, S], key padding masks [N, S] and [N, T].
///
/// Matrices are xavier-uniform. A custom encoder or decoder is any block that takes the same arguments.
///
/// Source: Vaswani et al. 2017, https://pytorch.org/docs/stable/generated/torch.nn.Transformer.html
export block Transformer(
  d_model: int = 512,
  nhead: int = 8,
  num_encoder_layers: int = 6,
  num_decoder_layers: int = 6,
  dim_feedforward: int = 2048,
  dropout: float = 0.1,
  activation: ((f32[...S]) -> f32[...S]) | "relu" | "gelu" = relu,
  custom_encoder: block? = none,
  custom_decoder: block? = none,
  layer_norm_eps: float = 1e-5,
  batch_first: bool = false,
  norm_first: bool = false,
  bias: bool = true
) {
  if custom_encoder == none {
    encoder = TransformerEncoder(
      TransformerEncoderLayer(
        d_model,
        nhead,
        dim_feedforward,
        dropout,
        activation,
        layer_norm_eps,
        batch_first,
        norm_first,
        bias
      ),
      num_encoder_layers,
      LayerNorm(d_model, eps: layer_norm_eps, bias: bias)
    )
  } else {
    encoder = custom_encoder
  }
  if custom_decoder == none {
    decoder = TransformerDecoder(
      TransformerDecoderLayer(
        d_model,
        nhead,
        dim_feedforward,
        dropout,
        activation,
        layer_norm_eps,
        batch_first,
        norm_first,
        bias
      ),
      num_decoder_layers,
      LayerNorm(d_model, eps: layer_norm_eps, bias: bias)
    )
  } else {
    decoder = custom_decoder
  }

  init { Linear.weight ~ xavier_uniform() }

  forward(
    src: f32[...B, d_model],
    tgt: f32[...C, d_model],
    src_mask: S[...A]? = none,
    tgt_mask: T[...F]? = none,
    memory_mask: M[...D]? = none,
    src_key_padding_mask: P[...R]? = none,
    tgt_key_padding_mask: Q[...O]? = none,
    memory_key_padding_mask: U[...V]? = none,
    src_is_causal: bool = false,
    tgt_is_causal: bool = false,
    memory_is_causal: bool = false
  ) -> f32[...C, d_model] => decoder(
    tgt,
    encoder(src, src_mask, src_key_padding_mask, src_is_causal),
    tgt_mask,
    memory_mask,
    tgt_key_padding_mask,
    memory_key_padding_mask,
    tgt_is_causal,
    memory_is_causal
  )
}

// What undoes max pooling, and pools whose windows lie at random.

/// Values of MaxPool1d back at the places that it returns with return_indices, zeros elsewhere.
///
/// Formula: \`y[n, c, indices[n, c, i]] = x[n, c, i]\`, indices being places in a channel in row-major order.
///
/// Shapes: x and indices [N, C, L] to [N, C, ...], a side of size n becoming (n - 1) stride - 2 padding + kernel_size, or to \`output_size\`.
///
/// Source: Zeiler & Fergus 2013, https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool1d.html
export block MaxUnpool1d(kernel_size: int, stride: int = kernel_size, padding: int = 0) {
  forward(x: f32[B, C, L], indices: i32[B, C, L], output_size: [int]? = none) =>
    max_unpool1d(x, indices, kernel_size, stride, padding, output_size)
}

/// Values of MaxPool2d back at the places that it returns with return_indices, zeros elsewhere.
///
/// Formula: \`y[n, c, indices[n, c, i, j]] = x[n, c, i, j]\`, indices being places in a channel in row-major order.
///
/// Shapes: x and indices [N, C, H, W] to [N, C, ...], a side of size n becoming (n - 1) stride - 2 padding + kernel_size, or to
/// \`output_size\`.
///
/// Source: Zeiler & Fergus 2013, https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html
export block MaxUnpool2d(kernel_size: (int, int), stride: (int, int) = kernel_size, padding: (int, int) = 0) {
  forward(x: f32[B, C, H, W], indices: i32[B, C, H, W], output_size: [int]? = none) =>
    max_unpool2d(x, indices, kernel_size, stride, padding, output_size)
}

/// Values of MaxPool3d back at the places that it returns with return_indices, zeros elsewhere.
///
/// Formula: \`y[n, c, indices[n, c, i, j, k]] = x[n, c, i, j, k]\`, indices being places in a channel in row-major order.
///
/// Shapes: x and indices [N, C, D, H, W] to [N, C, ...], a side of size n becoming (n - 1) stride - 2 padding + kernel_size, or to
/// \`output_size\`.
///
/// Source: Zeiler & Fergus 2013, https://pytorch.org/docs/stable/generated/torch.nn.MaxUnpool3d.html
export block MaxUnpool3d(
  kernel_size: (int, int, int),
  stride: (int, int, int) = kernel_size,
  padding: (int, int, int) = 0
) {
  forward(x: f32[B, C, D, H, W], indices: i32[B, C, D, H, W], output_size: [int]? = none) =>
    max_unpool3d(x, indices, kernel_size, stride, padding, output_size)
}

/// The largest element of each of windows that lie at random.
///
/// Formula: \`y[i] = max over p of x[floor((i + u) a) - floor(u a) + p]\` along each side, with \`a = (n - kernel_size) / (m - 1)\` for a side
/// of size n that becomes m and a random u in [0, 1) for each channel; the last window is the last that fits.
///
/// Shapes: [N, C, H, W] to [N, C, ...output_size], or floor(output_ratio) of the sides. With return_indices (values, indices).
///
/// Every call draws, in evaluation too.
///
/// Source: Graham 2014, https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool2d.html
export block FractionalMaxPool2d(
  kernel_size: (int, int),
  output_size: (int, int)? = none,
  output_ratio: (float, float)? = none,
  return_indices: bool = false
) {
  require output_size != none or output_ratio != none, "output_size or output_ratio is needed"

  forward(x: f32[B, C, H, W]) => fractional_max_pool2d(x, kernel_size, output_size, output_ratio, return_indices)
}

/// The largest element of each of windows that lie at random.
///
/// Formula: \`y[i] = max over p of x[floor((i + u) a) - floor(u a) + p]\` along each side, with \`a = (n - kernel_size) / (m - 1)\` for a side
/// of size n that becomes m and a random u in [0, 1) for each channel; the last window is the last that fits.
///
/// Shapes: [N, C, D, H, W] to [N, C, ...output_size], or floor(output_ratio) of the sides. With return_indices (values, indices).
///
/// Every call draws, in evaluation too.
///
/// Source: Graham 2014, https://pytorch.org/docs/stable/generated/torch.nn.FractionalMaxPool3d.html
export block FractionalMaxPool3d(
  kernel_size: (int, int, int),
  output_size: (int, int, int)? = none,
  output_ratio: (float, float, float)? = none,
  return_indices: bool = false
) {
  require output_size != none or output_ratio != none, "output_size or output_ratio is needed"

  forward(x: f32[B, C, D, H, W]) => fractional_max_pool3d(x, kernel_size, output_size, output_ratio, return_indices)
}
`,
  'std/optim': `// Optimizers of torch.optim. With \`maximize\` they climb. Floats and tuples of floats may change while training runs; other hyper-parameters are compiled in.

/// Stochastic gradient descent with momentum; https://pytorch.org/docs/stable/generated/torch.optim.SGD.html.
/// d = g + weight_decay p;  v = momentum v + (1 - dampening) d (v = d in the first step);  p -= lr v, or lr (d + momentum v) with nesterov.
export optimizer SGD(
  lr: float = 1e-3,
  momentum: float = 0.0,
  dampening: float = 0.0,
  weight_decay: float = 0.0,
  nesterov: bool = false,
  maximize: bool = false
) {
  buffer momentum_buffer: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize) + weight_decay * p
    v = select(steps == 0 or momentum == 0.0, d, momentum * momentum_buffer + (1.0 - dampening) * d)
    update momentum_buffer = v
    update steps = steps + 1
    if nesterov { p - lr * (d + momentum * v) } else { p - lr * v }
  }
}

/// Adam; Kingma & Ba 2014, https://pytorch.org/docs/stable/generated/torch.optim.Adam.html. Weight decay is added to the gradient.
/// m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  p -= lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps).
export optimizer Adam(
  lr: float = 1e-3,
  betas: (float, float) = (0.9, 0.999),
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  amsgrad: bool = false,
  maximize: bool = false,
  decoupled_weight_decay: bool = false
) {
  buffer exp_avg: f32[...S] ~ zeros()
  buffer exp_avg_sq: f32[...S] ~ zeros()
  if amsgrad { buffer max_exp_avg_sq: f32[...S] ~ zeros() }
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = decayed(rising(g, maximize), p, weight_decay, decoupled_weight_decay)
    t = f32(steps + 1)
    update steps = steps + 1
    update exp_avg = exp_avg + (1.0 - betas.0) * (d - exp_avg)
    update exp_avg_sq = betas.1 * exp_avg_sq + (1.0 - betas.1) * d * d
    if amsgrad { update max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq) }
    second = if amsgrad { max_exp_avg_sq } else { exp_avg_sq }
    shrunk(p, lr, weight_decay, decoupled_weight_decay) -
      lr / bias_correction(betas.0, t) * (exp_avg / (sqrt(second) / sqrt(bias_correction(betas.1, t)) + eps))
  }
}

/// Adam with decoupled weight decay; Loshchilov & Hutter 2017, https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html.
/// p is first multiplied by 1 - lr weight_decay; the gradient stays as it is.
export optimizer AdamW(
  lr: float = 1e-3,
  betas: (float, float) = (0.9, 0.999),
  eps: float = 1e-8,
  weight_decay: float = 1e-2,
  amsgrad: bool = false,
  maximize: bool = false
) {
  buffer exp_avg: f32[...S] ~ zeros()
  buffer exp_avg_sq: f32[...S] ~ zeros()
  if amsgrad { buffer max_exp_avg_sq: f32[...S] ~ zeros() }
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize)
    t = f32(steps + 1)
    update steps = steps + 1
    update exp_avg = exp_avg + (1.0 - betas.0) * (d - exp_avg)
    update exp_avg_sq = betas.1 * exp_avg_sq + (1.0 - betas.1) * d * d
    if amsgrad { update max_exp_avg_sq = maximum(max_exp_avg_sq, exp_avg_sq) }
    second = if amsgrad { max_exp_avg_sq } else { exp_avg_sq }
    p * (1.0 - lr * weight_decay) -
      lr / bias_correction(betas.0, t) * (exp_avg / (sqrt(second) / sqrt(bias_correction(betas.1, t)) + eps))
  }
}

/// Hinton's RMSprop, https://pytorch.org/docs/stable/generated/torch.optim.RMSprop.html. v = alpha v + (1 - alpha) g^2;
/// p -= lr g / (sqrt(v) + eps), with \`centered\` v less the squared mean gradient, with momentum as in SGD.
export optimizer RMSprop(
  lr: float = 1e-2,
  alpha: float = 0.99,
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  momentum: float = 0.0,
  centered: bool = false,
  maximize: bool = false
) {
  buffer square_avg: f32[...S] ~ zeros()
  buffer momentum_buffer: f32[...S] ~ zeros()
  if centered { buffer grad_avg: f32[...S] ~ zeros() }

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize) + weight_decay * p
    update square_avg = alpha * square_avg + (1.0 - alpha) * d * d
    if centered { update grad_avg = grad_avg + (1.0 - alpha) * (d - grad_avg) }
    spread = if centered { square_avg - grad_avg * grad_avg } else { square_avg }
    update momentum_buffer = momentum * momentum_buffer + d / (sqrt(spread) + eps)
    p - lr * momentum_buffer
  }
}

/// Duchi et al. 2011, https://pytorch.org/docs/stable/generated/torch.optim.Adagrad.html. s = s + g^2;
/// p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(s) + eps).
export optimizer Adagrad(
  lr: float = 1e-2,
  lr_decay: float = 0.0,
  weight_decay: float = 0.0,
  initial_accumulator_value: float = 0.0,
  eps: float = 1e-10,
  maximize: bool = false
) {
  buffer sum: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize) + weight_decay * p
    start = select(steps == 0, initial_accumulator_value, 0.0)
    rate = lr / (1.0 + f32(steps) * lr_decay)
    update steps = steps + 1
    update sum = sum + start + d * d
    p - rate * d / (sqrt(sum) + eps)
  }
}

/// Zeiler 2012, https://pytorch.org/docs/stable/generated/torch.optim.Adadelta.html. v = rho v + (1 - rho) g^2;
/// delta = sqrt(u + eps) / sqrt(v + eps) g;  u = rho u + (1 - rho) delta^2;  p -= lr delta.
export optimizer Adadelta(
  lr: float = 1.0,
  rho: float = 0.9,
  eps: float = 1e-6,
  weight_decay: float = 0.0,
  maximize: bool = false
) {
  buffer square_avg: f32[...S] ~ zeros()
  buffer acc_delta: f32[...S] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize) + weight_decay * p
    update square_avg = rho * square_avg + (1.0 - rho) * d * d
    delta = sqrt(acc_delta + eps) / sqrt(square_avg + eps) * d
    update acc_delta = rho * acc_delta + (1.0 - rho) * delta * delta
    p - lr * delta
  }
}

/// Adam with the largest recent gradient instead of the root mean square; Kingma & Ba 2014,
/// https://pytorch.org/docs/stable/generated/torch.optim.Adamax.html. u = max(b2 u, |g| + eps);  p -= lr / (1 - b1^t) m / u.
export optimizer Adamax(
  lr: float = 2e-3,
  betas: (float, float) = (0.9, 0.999),
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  maximize: bool = false
) {
  buffer exp_avg: f32[...S] ~ zeros()
  buffer exp_inf: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize) + weight_decay * p
    t = f32(steps + 1)
    update steps = steps + 1
    update exp_avg = exp_avg + (1.0 - betas.0) * (d - exp_avg)
    update exp_inf = maximum(betas.1 * exp_inf, abs(d) + eps)
    p - lr / bias_correction(betas.0, t) * exp_avg / exp_inf
  }
}

/// Adam with Nesterov's momentum; Dozat 2016, https://pytorch.org/docs/stable/generated/torch.optim.NAdam.html.
/// mu_t = b1 (1 - 0.96^(t momentum_decay) / 2);  p -= lr ((1 - mu_t) g / (1 - mu_1..t) + mu_t+1 m / (1 - mu_1..t+1)) / (sqrt(v / (1 - b2^t)) + eps).
export optimizer NAdam(
  lr: float = 2e-3,
  betas: (float, float) = (0.9, 0.999),
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  momentum_decay: float = 4e-3,
  decoupled_weight_decay: bool = false,
  maximize: bool = false
) {
  buffer exp_avg: f32[...S] ~ zeros()
  buffer exp_avg_sq: f32[...S] ~ zeros()
  buffer mu_product: f32[] ~ ones()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = decayed(rising(g, maximize), p, weight_decay, decoupled_weight_decay)
    t = f32(steps + 1)
    update steps = steps + 1
    mu = betas.0 * (1.0 - 0.5 * exp(log(0.96) * (t * momentum_decay)))
    mu_next = betas.0 * (1.0 - 0.5 * exp(log(0.96) * ((t + 1.0) * momentum_decay)))
    update mu_product = mu_product * mu
    update exp_avg = exp_avg + (1.0 - betas.0) * (d - exp_avg)
    update exp_avg_sq = betas.1 * exp_avg_sq + (1.0 - betas.1) * d * d
    scale = sqrt(exp_avg_sq / bias_correction(betas.1, t)) + eps
    shrunk(p, lr, weight_decay, decoupled_weight_decay) -
      lr * ((1.0 - mu) / (1.0 - mu_product) * d + mu_next / (1.0 - mu_product * mu_next) * exp_avg) / scale
  }
}

/// Adam that waits with its adaptive step until the variance is known well enough; Liu et al. 2019,
/// https://pytorch.org/docs/stable/generated/torch.optim.RAdam.html. rho_t = rho - 2 t b2^t / (1 - b2^t) with rho = 2 / (1 - b2) - 1;
/// above 5 the step is scaled by sqrt((rho_t - 4)(rho_t - 2) rho / ((rho - 4)(rho - 2) rho_t)) / sqrt(v), else it is lr m / (1 - b1^t).
export optimizer RAdam(
  lr: float = 1e-3,
  betas: (float, float) = (0.9, 0.999),
  eps: float = 1e-8,
  weight_decay: float = 0.0,
  decoupled_weight_decay: bool = false,
  maximize: bool = false
) {
  const limit = 2.0 / (1.0 - betas.1) - 1.0

  buffer exp_avg: f32[...S] ~ zeros()
  buffer exp_avg_sq: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = decayed(rising(g, maximize), p, weight_decay, decoupled_weight_decay)
    t = f32(steps + 1)
    update steps = steps + 1
    update exp_avg = exp_avg + (1.0 - betas.0) * (d - exp_avg)
    update exp_avg_sq = betas.1 * exp_avg_sq + (1.0 - betas.1) * d * d
    unbiased = exp_avg / bias_correction(betas.0, t)
    known = bias_correction(betas.1, t)
    rho = limit - 2.0 * t * (1.0 - known) / known
    // Where rho is small the root is of a negative number: of no use, but it must not be NaN.
    usable = maximum(rho, 5.0)
    rectified = sqrt((usable - 4.0) * (usable - 2.0) * limit / ((limit - 4.0) * (limit - 2.0) * usable))
    shrunk(p, lr, weight_decay, decoupled_weight_decay) -
      lr * unbiased * select(rho > 5.0, rectified * sqrt(known) / (sqrt(exp_avg_sq) + eps), 1.0)
  }
}

/// The sign of an average of gradients; Chen et al. 2023, https://arxiv.org/abs/2302.06675.
/// p = (1 - lr weight_decay) p - lr sign(b1 m + (1 - b1) g);  m = b2 m + (1 - b2) g.
export optimizer Lion(lr: float = 1e-4, betas: (float, float) = (0.9, 0.99), weight_decay: float = 0.0) {
  buffer exp_avg: f32[...S] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    direction = sign(betas.0 * exp_avg + (1.0 - betas.0) * g)
    update exp_avg = betas.1 * exp_avg + (1.0 - betas.1) * g
    p * (1.0 - lr * weight_decay) - lr * direction
  }
}

/// Adam whose step is scaled to the size of each parameter tensor; You et al. 2019, https://arxiv.org/abs/1904.00962.
/// u = m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps) + weight_decay p;  p -= lr |p| / |u| u (the ratio is 1 where a norm is 0).
export optimizer LAMB(
  lr: float = 1e-3,
  betas: (float, float) = (0.9, 0.999),
  eps: float = 1e-6,
  weight_decay: float = 0.0
) {
  buffer exp_avg: f32[...S] ~ zeros()
  buffer exp_avg_sq: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    t = f32(steps + 1)
    update steps = steps + 1
    update exp_avg = exp_avg + (1.0 - betas.0) * (g - exp_avg)
    update exp_avg_sq = betas.1 * exp_avg_sq + (1.0 - betas.1) * g * g
    scale = sqrt(exp_avg_sq / bias_correction(betas.1, t)) + eps
    u = exp_avg / bias_correction(betas.0, t) / scale + weight_decay * p
    (size, length) = (norm(p), norm(u))
    p - lr * select(size > 0.0 and length > 0.0, size / length, 1.0) * u
  }
}

/// Momentum made orthogonal by five Newton-Schulz steps, for matrices; Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/,
/// https://pytorch.org/docs/stable/generated/torch.optim.Muon.html (which computes the steps in bf16). m = momentum m + (1 - momentum) g;
/// p = (1 - lr weight_decay) p - lr sqrt(max(1, rows / columns)) orthogonal(momentum m + (1 - momentum) g), or 0.2 sqrt(max(rows, columns)) with "match_rms_adamw". Parameters that are no
/// matrices take the step without making it orthogonal: give them their own lr.
export optimizer Muon(
  lr: float = 1e-3,
  weight_decay: float = 0.1,
  momentum: float = 0.95,
  nesterov: bool = true,
  ns_coefficients: (float, float, float) = (3.4445, -4.775, 2.0315),
  eps: float = 1e-7,
  ns_steps: int = 5,
  adjust_lr_fn: "original" | "match_rms_adamw" = "original"
) {
  buffer momentum_buffer: f32[...S] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    update momentum_buffer = momentum_buffer + (1.0 - momentum) * (g - momentum_buffer)
    u = if nesterov { g + momentum * (momentum_buffer - g) } else { momentum_buffer }
    direction = if len(S) == 2 {
      muon_rate(S[0], S[1], adjust_lr_fn) * orthogonal_part(u, ns_coefficients, eps, ns_steps)
    } else {
      u
    }
    p * (1.0 - lr * weight_decay) - lr * direction
  }
}

/// What a step of a matrix is multiplied by: Jordan's rule, or that of Liu et al. 2025, with which the rates of AdamW fit.
fn muon_rate(rows: int, columns: int, rule: "original" | "match_rms_adamw") => if rule == "original" {
  sqrt(max(1.0, float(rows) / float(columns)))
} else {
  0.2 * sqrt(max(float(rows), float(columns)))
}

/// About U V^T of the singular value decomposition U S V^T: the quintic a x + b x^3 + c x^5 brings every singular value near 1.
fn orthogonal_part(x: f32[R, C], k: (float, float, float), eps: float, rounds: int) -> f32[R, C] {
  wide = if R > C { transpose(x) } else { x }
  y = wide / maximum(norm(wide), eps)
  for i in [for i in 0..rounds: i] {
    gram = matmul(y, y, transpose_b: true)
    y = k.0 * y + (k.1 * gram + k.2 * (gram @ gram)) @ y
  }
  if R > C { transpose(y) } else { y }
}

/// The gradient of what is to be made small.
fn rising(g: f32[...S], maximize: bool) -> f32[...S] => if maximize { -g } else { g }

/// The gradient with that of weight_decay |p|^2 / 2, unless decay is decoupled: then the parameter is shrunk itself.
fn decayed(g: f32[...S], p: f32[...S], weight_decay: f32[], decoupled: bool) -> f32[...S] =>
  if decoupled { g } else { g + weight_decay * p }

fn shrunk(p: f32[...S], lr: f32[], weight_decay: f32[], decoupled: bool) -> f32[...S] =>
  if decoupled { p * (1.0 - lr * weight_decay) } else { p }

/// 1 - beta^t. Through expm1, because 1 - pow(beta, t) loses four digits of f32 when beta is near 1.
fn bias_correction(beta: float, t: f32[]) -> f32[] => -expm1(t * log(beta))

// Optimizers of torch.optim that work out a rate for each element, row or step.

/// Stochastic gradient descent whose rate falls, with an average of the parameters in \`ax\`; Polyak & Juditsky 1992,
/// https://pytorch.org/docs/stable/generated/torch.optim.ASGD.html. p = (1 - lambd eta) p - eta g with eta = lr at first and
/// lr / (1 + lambd lr t)^alpha after step t;  ax += (p - ax) / max(1, t - t0).
export optimizer ASGD(
  lr: float = 1e-2,
  lambd: float = 1e-4,
  alpha: float = 0.75,
  t0: float = 1e6,
  weight_decay: float = 0.0,
  maximize: bool = false
) {
  buffer ax: f32[...S] ~ zeros()
  buffer eta: f32[] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize) + weight_decay * p
    t = f32(steps)
    rate = select(steps == 0, lr, eta)
    next = p * (1.0 - lambd * rate) - rate * d
    update ax = ax + (next - ax) / maximum(t - t0, 1.0)
    update eta = lr / pow(1.0 + lambd * lr * (t + 1.0), alpha)
    update steps = steps + 1
    next
  }
}

/// Steps of each element that grow while its gradient keeps its sign and shrink when it turns, for whole batches; Riedmiller & Braun 1993,
/// https://pytorch.org/docs/stable/generated/torch.optim.Rprop.html. The step size is lr at first, then times etas.1 or etas.0, within
/// step_sizes;  p -= sign(g) size, but an element that turned waits for one step.
export optimizer Rprop(
  lr: float = 1e-2,
  etas: (float, float) = (0.5, 1.2),
  step_sizes: (float, float) = (1e-6, 50.0),
  maximize: bool = false
) {
  buffer prev: f32[...S] ~ zeros()
  buffer step_size: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    d = rising(g, maximize)
    turn = sign(d * prev)
    factor = select(turn > 0.0, etas.1, select(turn < 0.0, etas.0, 1.0))
    size = select(steps == 0, lr, step_size) * factor
    kept = select(turn < 0.0, 0.0, d)
    update step_size = minimum(maximum(size, step_sizes.0), step_sizes.1)
    update prev = kept
    update steps = steps + 1
    p - sign(kept) * step_size
  }
}

/// A step of the size of the parameters, divided by the root of a mean square that a matrix keeps as means of its rows and of its columns;
/// Shazeer & Stern 2018, https://pytorch.org/docs/stable/generated/torch.optim.Adafactor.html. v = row col / mean(row), each mean moving by
/// t^beta2_decay;  u = g / max(sqrt(v), eps.0);  p = (1 - lr weight_decay) p - min(lr, 1 / sqrt(t)) max(eps.1, rms(p)) u / max(1, rms(u) / d).
/// The means are stored as matrices of the parameter's shape. eps.0 stands for the smallest step of f32 at 1.
export optimizer Adafactor(
  lr: float = 1e-2,
  beta2_decay: float = -0.8,
  eps: (float, float) = (1.1920928955078125e-7, 1e-3),
  d: float = 1.0,
  weight_decay: float = 0.0,
  maximize: bool = false
) {
  buffer row_var: f32[...S] ~ zeros()
  buffer col_var: f32[...S] ~ zeros()
  buffer steps: i32[] ~ zeros()

  step(p: f32[...S], g: f32[...S]) -> f32[...S] {
    up = rising(g, maximize)
    t = f32(steps + 1)
    update steps = steps + 1
    moved = pow(t, beta2_decay)
    square = up * up
    factored = len(S) > 1
    update row_var = row_var + moved * ((if factored { mean(square, -1, keepdim: true) } else { square }) - row_var)
    if factored { update col_var = col_var + moved * (mean(square, -2, keepdim: true) - col_var) }
    v = if factored {
      row_var * col_var / maximum(mean(row_var, -2, keepdim: true), eps.0)
    } else {
      row_var
    }
    u = up * rsqrt(maximum(v, eps.0 * eps.0))
    count = sqrt(f32(prod(S)))
    rate = maximum(norm(p) / count, eps.1) * minimum(lr, rsqrt(t))
    p * (1.0 - lr * weight_decay) - rate / maximum(norm(u) / (count * d), 1.0) * u
  }
}

// How training moves: schedules (the factor of lr at a step, counted from 0) and the scale of a loss in half precision.

/// lr times factor for the first total_steps, then lr; torch's ConstantLR.
export fn constant_lr(step: i32[], factor: float, total_steps: int) -> f32[] =>
  select(step < total_steps, factor, f32(1))

/// From start_factor to end_factor in a straight line over total_steps, then constant; torch's LinearLR, for warming up.
export fn linear_lr(step: i32[], total_steps: int, start_factor: float = 0.0, end_factor: float = 1.0) -> f32[] =>
  start_factor + (end_factor - start_factor) * progress(step, 0, total_steps)

/// Multiplied by gamma every step_size steps; torch's StepLR.
export fn step_lr(step: i32[], step_size: int, gamma: float = 0.1) -> f32[] => exp(log(gamma) * f32(step / step_size))

/// Multiplied by gamma at each milestone; torch's MultiStepLR.
export fn multistep_lr(step: i32[], milestones: [int], gamma: float = 0.1) -> f32[] {
  factor = f32(1)
  for m in milestones { factor = select(step >= m, factor * gamma, factor) }
  factor
}

/// Multiplied by gamma every step; torch's ExponentialLR.
export fn exponential_lr(step: i32[], gamma: float) -> f32[] => exp(log(gamma) * f32(step))

/// Half a cosine from 1 down to min_factor at total_steps, after a linear rise over warmup_steps; Loshchilov & Hutter 2016.
export fn cosine_lr(step: i32[], total_steps: int, warmup_steps: int = 0, min_factor: float = 0.0) -> f32[] {
  fall = min_factor + (1.0 - min_factor) * 0.5 * (1.0 + cos(pi * progress(step, warmup_steps, total_steps)))
  if warmup_steps == 0 {
    fall
  } else {
    select(step < warmup_steps, f32(step + 1) / f32(warmup_steps), fall)
  }
}

/// (1 - progress)^power down to 0 at total_steps; torch's PolynomialLR.
export fn polynomial_lr(step: i32[], total_steps: int, power: float = 1.0) -> f32[] =>
  pow(1.0 - progress(step, 0, total_steps), power)

/// Smith & Topin 2017, torch's OneCycleLR, as factors of the peak: from 1 / div_factor up to 1 over the first pct_start of total_steps,
/// then down to 1 / (div_factor final_div_factor); with three_phase first down to where it began, in as many steps as up.
export fn one_cycle_lr(
  step: i32[],
  total_steps: int,
  pct_start: float = 0.3,
  div_factor: float = 25.0,
  final_div_factor: float = 1e4,
  anneal_strategy: "cos" | "linear" = "cos",
  three_phase: bool = false
) -> f32[] {
  at = f32(step)
  low = 1.0 / div_factor
  final = low / final_div_factor
  peak = pct_start * float(total_steps) - 1.0
  end = float(total_steps - 1)
  up = between(low, 1.0, at / peak, anneal_strategy)
  down = if three_phase {
    back = 2.0 * peak
    turn = between(1.0, low, (at - peak) / peak, anneal_strategy)
    select(at <= back, turn, between(low, final, (at - back) / (end - back), anneal_strategy))
  } else {
    between(1.0, final, (at - peak) / (end - peak), anneal_strategy)
  }
  select(at <= peak, up, down)
}

/// From \`a\` to \`b\` along half a cosine or a line, for a progress from 0 to 1.
fn between(a: float, b: float, progress: f32[], way: "cos" | "linear" = "cos") -> f32[] {
  p = minimum(maximum(progress, 0.0), 1.0)
  if way == "cos" { b + (a - b) * 0.5 * (1.0 + cos(pi * p)) } else { a + (b - a) * p }
}

/// A cosine from 1 to min_factor that starts again after \`period\` steps, each period \`growth\` times as long as the one before;
/// torch's CosineAnnealingWarmRestarts.
export fn cosine_restarts_lr(step: i32[], period: int, growth: int = 1, min_factor: float = 0.0) -> f32[] {
  at = f32(step)
  length = f32(period)
  while at >= length {
    at = at - length
    length = length * float(growth)
  }
  between(1.0, min_factor, at / length)
}

/// Up from min_factor to 1 in a straight line over step_size steps, down again over as many, and so on; Smith 2015, torch's CyclicLR.
export fn cyclic_lr(step: i32[], step_size: int, min_factor: float = 0.1) -> f32[] {
  turn = f32(step % (2 * step_size)) / float(step_size)
  min_factor + (1.0 - min_factor) * (1.0 - abs(turn - 1.0))
}

/// 1 / sqrt(step + 1) after a linear rise over warmup_steps, 1 at its top; Vaswani et al. 2017.
export fn inverse_sqrt_lr(step: i32[], warmup_steps: int = 1) -> f32[] =>
  minimum(f32(step + 1) / float(warmup_steps), sqrt(float(warmup_steps)) * rsqrt(f32(step + 1)))

type Plateau = {
  mode: string,
  factor: float,
  patience: int,
  threshold: float,
  threshold_mode: string,
  cooldown: int,
  min_lr: float,
  eps: float
}

/// Multiplies lr by factor when a metric has not improved for more than \`patience\` epochs; torch's ReduceLROnPlateau. No function of the
/// step: \`model.plateau.step(metric)\` drives it, and \`netwright train\` after each epoch, with the metric or else the loss. With mode
/// "min" a value is better below best (1 - threshold), or with threshold_mode "abs" below best - threshold; "max" turns it around.
export fn reduce_on_plateau(
  mode: "min" | "max" = "min",
  factor: float = 0.1,
  patience: int = 10,
  threshold: float = 1e-4,
  threshold_mode: "rel" | "abs" = "rel",
  cooldown: int = 0,
  min_lr: float = 0.0,
  eps: float = 1e-8
) -> Plateau => {
  mode: mode,
  factor: factor,
  patience: patience,
  threshold: threshold,
  threshold_mode: threshold_mode,
  cooldown: cooldown,
  min_lr: min_lr,
  eps: eps
}

type GradScaler = { init_scale: float, growth_factor: float, backoff_factor: float, growth_interval: int }

/// The loss is multiplied by a scale and its gradients divided by it, so that small gradients are not lost in f16; torch.amp.GradScaler.
/// An update whose gradients are not finite is left out and multiplies the scale by backoff_factor; growth_interval good ones in a row
/// multiply it by growth_factor.
export fn grad_scaler(
  init_scale: float = 65536.0,
  growth_factor: float = 2.0,
  backoff_factor: float = 0.5,
  growth_interval: int = 2000
) -> GradScaler => {
  init_scale: init_scale,
  growth_factor: growth_factor,
  backoff_factor: backoff_factor,
  growth_interval: growth_interval
}

/// How far \`step\` is on the way from \`start\` to \`stop\`: 0 to 1.
fn progress(step: i32[], start: int, stop: int) -> f32[] =>
  minimum(maximum(f32(step - start) / f32(stop - start), 0.0), 1.0)
`,
};
