/** Attention and transformers with every option, beside PyTorch: values, gradients, keys. */
import { liveTests, type Input, type LiveCase } from '../support/live.ts';

/** true hides: of 3 sequences of 4 keys the last ones, as padding does. */
const PADDING: Input = { bool: [0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 1], shape: [3, 4] };
const HIDDEN: Input = { bool: [0, 0, 1, 0, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1], shape: [5, 4] };
const SEEN: Input = { bool: [1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0], shape: [5, 4] };
const SQUARE: Input = { bool: [0, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 0], shape: [4, 4] };
const TRIANGLE: Input = {
  f32: [0, '-inf', '-inf', '-inf', 0, 0, '-inf', '-inf', 0, 0, 0, '-inf', 0, 0, 0, 0],
  shape: [4, 4],
};

const heads = (options: string, more: Partial<LiveCase> & Pick<LiveCase, 'inputs'>): LiveCase => ({
  layer: [
    `MultiheadAttention(8, 2${options})`,
    `nn.MultiheadAttention(8, 2${options.replaceAll(': ', '=').replaceAll('true', 'True').replaceAll('false', 'False')})`,
  ],
  net: 'layer(q, k, v)',
  torch: 'layer(q, k, v)',
  ...more,
});
const qkv = { q: [5, 3, 8], k: [4, 3, 8], v: [4, 3, 8] };
const first = { q: [3, 5, 8], k: [3, 4, 8], v: [3, 4, 8] };
const alone = { q: [5, 8], k: [4, 8], v: [4, 8] };

const attention = (net: string, torch: string, inputs: LiveCase['inputs']): LiveCase => ({
  net: `scaled_dot_product_attention(q, k, v${net})`,
  torch: `F.scaled_dot_product_attention(q, k, v${torch})`,
  inputs,
});
const plain = { q: [2, 3, 5, 4], k: [2, 3, 4, 4], v: [2, 3, 4, 6] };
const grouped = { q: [2, 6, 5, 4], k: [2, 2, 4, 4], v: [2, 2, 4, 3] };

const CASES: Readonly<Record<string, LiveCase>> = {
  'heads: plain': heads('', { inputs: qkv }),
  'heads: weights of each head': heads(', bias: false', {
    net: 'layer(q, k, v, average_attn_weights: false)',
    torch: 'layer(q, k, v, average_attn_weights=False)',
    inputs: qkv,
  }),
  'heads: no weights': heads(', batch_first: true', {
    net: '(y, _) = layer(q, k, v, need_weights: false); y',
    torch: 'layer(q, k, v, need_weights=False)',
    inputs: first,
  }),
  'heads: other sizes of keys and values': heads(', kdim: 6, vdim: 5, batch_first: true', {
    inputs: { q: [3, 5, 8], k: [3, 4, 6], v: [3, 4, 5] },
  }),
  'heads: another size of values': heads(', vdim: 5, bias: false', {
    inputs: { q: [5, 3, 8], k: [4, 3, 8], v: [4, 3, 5] },
  }),
  'heads: padding': heads('', {
    net: 'layer(q, k, v, p)',
    torch: 'layer(q, k, v, p)',
    inputs: { ...qkv, p: PADDING },
  }),
  'heads: hidden keys, averaged over nothing': heads(', batch_first: true', {
    net: '(y, _) = layer(q, k, v, p, need_weights: false, attn_mask: m); y',
    torch: 'layer(q, k, v, p, need_weights=False, attn_mask=m)',
    inputs: { ...first, p: PADDING, m: HIDDEN },
  }),
  'heads: a mask of numbers': heads('', {
    net: 'layer(q, k, v, attn_mask: m)',
    torch: 'layer(q, k, v, attn_mask=m)',
    inputs: { ...qkv, m: [5, 4] },
  }),
  'heads: a mask of numbers for each head': heads(', batch_first: true', {
    net: 'layer(q, k, v, attn_mask: m)',
    torch: 'layer(q, k, v, attn_mask=m)',
    inputs: { ...first, m: [6, 5, 4] },
  }),
  'heads: masks of both kinds': heads('', {
    net: 'layer(q, k, v, p, attn_mask: m)',
    torch: 'layer(q, k, v, p, attn_mask=m)',
    inputs: { ...qkv, p: { f32: [0, 0, 0, -1, 0, 0.5, 0, 0, 0, 0, 2, 0], shape: [3, 4] }, m: [5, 4] },
  }),
  'heads: causal': heads('', {
    net: '(y, _) = layer(q, k, v, need_weights: false, is_causal: true); y',
    torch:
      'layer(q, k, v, need_weights=False, is_causal=True, attn_mask=nn.Transformer.generate_square_subsequent_mask(4))',
    inputs: { q: [4, 3, 8], k: [4, 3, 8], v: [4, 3, 8] },
  }),
  'heads: appended keys': heads(', add_bias_kv: true, add_zero_attn: true', {
    net: 'layer(q, k, v, p, attn_mask: m)',
    torch: 'layer(q, k, v, p, attn_mask=m)',
    inputs: { ...qkv, p: PADDING, m: HIDDEN },
  }),
  'heads: appended keys and other sizes': heads(', add_bias_kv: true, kdim: 6, vdim: 5, batch_first: true', {
    inputs: { q: [3, 5, 8], k: [3, 4, 6], v: [3, 4, 5] },
  }),
  'heads: a key of zeros, causal': heads(', add_zero_attn: true', {
    net: 'layer(q, k, v, is_causal: true)',
    torch: 'layer(q, k, v, attn_mask=torch.ones(4, 4).triu(1).bool())',
    inputs: { q: [4, 3, 8], k: [4, 3, 8], v: [4, 3, 8] },
  }),
  'heads: alone': heads(', add_zero_attn: true', {
    net: 'layer(q, k, v, p, attn_mask: m)',
    torch: 'layer(q, k, v, p, attn_mask=m)',
    inputs: { ...alone, p: { bool: [0, 1, 0, 0], shape: [4] }, m: [2, 5, 4] },
  }),
  'heads: alone, batch_first': heads(', batch_first: true', {
    net: 'layer(q, k, v, average_attn_weights: false)',
    torch: 'layer(q, k, v, average_attn_weights=False)',
    inputs: alone,
  }),
  attention: attention('', '', plain),
  'attention: mask of booleans, with a blind query': attention(', m', ', m', {
    ...plain,
    m: { bool: [1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0, 0, 0], shape: [5, 4] },
  }),
  'attention: mask for the batch': attention(', m', ', m', {
    ...plain,
    m: { bool: [1, 1, 0, 1, 1, 0, 1, 1], shape: [2, 1, 1, 4] },
  }),
  'attention: mask of numbers, scale': attention(', m, scale: 0.3', ', m, scale=0.3', { ...plain, m: [2, 3, 5, 4] }),
  'attention: causal': attention(', is_causal: true', ', is_causal=True', plain),
  'attention: shared heads': attention(', enable_gqa: true', ', enable_gqa=True', grouped),
  'attention: shared heads, masked': attention(', m, enable_gqa: true', ', m, enable_gqa=True', {
    ...grouped,
    m: SEEN,
  }),
  'encoder layer: masks': {
    layer: [
      'TransformerEncoderLayer(8, 2, 12, 0.0, batch_first: true)',
      'nn.TransformerEncoderLayer(8, 2, 12, 0., batch_first=True)',
    ],
    net: 'layer(x, m, p)',
    torch: 'layer(x, m, p)',
    inputs: { x: [3, 4, 8], m: SQUARE, p: PADDING },
  },
  'encoder layer: norm first, own activation': {
    layer: [
      'TransformerEncoderLayer(8, 2, 12, 0.0, x => tanh(x), norm_first: true)',
      'nn.TransformerEncoderLayer(8, 2, 12, 0., torch.tanh, norm_first=True)',
    ],
    net: 'layer(x, src_key_padding_mask: p)',
    torch: 'layer(x, src_key_padding_mask=p)',
    inputs: { x: [4, 3, 8], p: PADDING },
  },
  'encoder layer: activation by name': {
    layer: ['TransformerEncoderLayer(8, 2, 12, 0.0, "gelu")', 'nn.TransformerEncoderLayer(8, 2, 12, 0., "gelu")'],
    net: 'layer(x, is_causal: true)',
    torch: 'layer(x, nn.Transformer.generate_square_subsequent_mask(4), is_causal=True)',
    inputs: { x: [4, 3, 8] },
  },
  'encoder layer: alone': {
    layer: ['TransformerEncoderLayer(8, 2, 12, 0.0)', 'nn.TransformerEncoderLayer(8, 2, 12, 0.)'],
    net: 'layer(x, m)',
    torch: 'layer(x, m)',
    inputs: { x: [4, 8], m: SQUARE },
  },
  'decoder layer: all masks': {
    layer: ['TransformerDecoderLayer(8, 2, 12, 0.0)', 'nn.TransformerDecoderLayer(8, 2, 12, 0.)'],
    net: 'layer(x, y, m, n, p, q)',
    torch: 'layer(x, y, m, n, p, q)',
    inputs: {
      x: [4, 3, 8],
      y: [5, 3, 8],
      m: SQUARE,
      n: [4, 5],
      p: { bool: [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1], shape: [3, 4] },
      q: { bool: [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1], shape: [3, 5] },
    },
  },
  'decoder layer: causal memory, norm first': {
    layer: [
      'TransformerDecoderLayer(8, 2, 12, 0.0, gelu, 1e-5, true, true, false)',
      'nn.TransformerDecoderLayer(8, 2, 12, 0., F.gelu, 1e-5, True, True, False)',
    ],
    net: 'layer(x, y, tgt_is_causal: true, memory_is_causal: true)',
    torch: `layer(x, y, nn.Transformer.generate_square_subsequent_mask(4), torch.ones(4, 5).triu(1).bool(), tgt_is_causal=True)`,
    inputs: { x: [3, 4, 8], y: [3, 5, 8] },
  },
  'encoder: padding, final norm': {
    layer: [
      'TransformerEncoder(TransformerEncoderLayer(8, 2, 12, 0.0, batch_first: true), 2, LayerNorm(8))',
      'nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 12, 0., batch_first=True), 2, nn.LayerNorm(8))',
    ],
    net: 'layer(x, m, p)',
    torch: 'layer(x, m, p)',
    inputs: { x: [3, 4, 8], m: TRIANGLE, p: { f32: [0, 0, 0, 0, 0, 0, 0, -1, 0, -2, 0, 0], shape: [3, 4] } },
  },
  'decoder: masks': {
    layer: [
      'TransformerDecoder(TransformerDecoderLayer(8, 2, 12, 0.0), 2)',
      'nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 12, 0.), 2)',
    ],
    net: 'layer(x, y, m, memory_key_padding_mask: q)',
    torch: 'layer(x, y, m, memory_key_padding_mask=q)',
    inputs: { x: [4, 3, 8], y: [4, 3, 8], m: SQUARE, q: PADDING },
  },
  'transformer: all masks': {
    layer: [
      'Transformer(8, 2, 1, 2, 12, 0.0, batch_first: true)',
      'nn.Transformer(8, 2, 1, 2, 12, 0., batch_first=True)',
    ],
    net: 'layer(x, y, m, t, none, p, r, p)',
    torch: 'layer(x, y, m, t, None, p, r, p)',
    inputs: {
      x: [3, 4, 8],
      y: [3, 4, 8],
      m: SQUARE,
      t: SQUARE,
      p: PADDING,
      r: { bool: [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 1], shape: [3, 4] },
    },
  },
  'transformer: a custom decoder': {
    layer: [
      'Transformer(8, 2, 1, 1, 12, 0.0, custom_decoder: Echo())',
      'nn.Transformer(8, 2, 1, 1, 12, 0., custom_decoder=Echo())',
    ],
    declarations: [
      `
block Echo() {
  forward(
    tgt: f32[A, B, E], memory: f32[C, D, E], tgt_mask: f32[...M]? = none, memory_mask: f32[...N]? = none,
    tgt_key_padding_mask: bool[...P]? = none, memory_key_padding_mask: bool[...Q]? = none,
    tgt_is_causal: bool = false, memory_is_causal: bool = false
  ) -> f32[A, B, E] => tgt * mean(memory)
}`,
      `
class Echo(nn.Module):
    def forward(self, tgt, memory, **_): return tgt * memory.mean()
`,
    ],
    net: 'layer(x, y)',
    torch: 'layer(x, y)',
    inputs: { x: [4, 3, 8], y: [5, 3, 8] },
  },
};

liveTests(CASES);
