/** Sizes that cannot be, given from outside: every block of the library says so at the user's line. */
import test from 'ava';
import { compile } from '../../src/compile.ts';

/** n is the size. */
const USES: Readonly<Record<string, string>> = {
  'Linear, in': 'l = Linear(n, 3)\n  forward(x: f32[B, n]) => l(x)',
  'Linear, out': 'l = Linear(3, n)\n  forward(x: f32[B, 3]) => l(x)',
  Bilinear: 'l = Bilinear(2, 2, n)\n  forward(x: f32[B, 2]) => l(x, x)',
  'Conv2d, in': 'l = Conv2d(n, 3, 3)\n  forward(x: f32[B, n, 8, 8]) => l(x)',
  'Conv2d, out': 'l = Conv2d(3, n, 3)\n  forward(x: f32[B, 3, 8, 8]) => l(x)',
  'Conv2d, kernel': 'l = Conv2d(3, 4, n)\n  forward(x: f32[B, 3, 8, 8]) => l(x)',
  'Conv2d, groups': 'l = Conv2d(4, 4, 3, groups: n)\n  forward(x: f32[B, 4, 8, 8]) => l(x)',
  ConvTranspose2d: 'l = ConvTranspose2d(3, n, 3)\n  forward(x: f32[B, 3, 8, 8]) => l(x)',
  GroupNorm: 'l = GroupNorm(n, 4)\n  forward(x: f32[B, 4, 3]) => l(x)',
  BatchNorm1d: 'l = BatchNorm1d(n)\n  forward(x: f32[B, n]) => l(x)',
  Embedding: 'l = Embedding(8, n)\n  forward(x: i32[B]) => l(x)',
  'LSTM, hidden': 'l = LSTM(4, n)\n  forward(x: f32[T, B, 4]) => l(x)',
  'LSTM, layers': 'l = LSTM(4, 4, num_layers: n)\n  forward(x: f32[T, B, 4]) => l(x)',
  'MultiheadAttention, width': 'l = MultiheadAttention(n, 1)\n  forward(x: f32[T, B, n]) => l(x, x, x)',
  'MultiheadAttention, heads': 'l = MultiheadAttention(4, n)\n  forward(x: f32[T, B, 4]) => l(x, x, x)',
  TransformerEncoderLayer: 'l = TransformerEncoderLayer(4, n)\n  forward(x: f32[T, B, 4]) => l(x)',
  MaxPool2d: 'l = MaxPool2d(n)\n  forward(x: f32[B, 3, 8, 8]) => l(x)',
  AdaptiveAvgPool2d: 'l = AdaptiveAvgPool2d(n)\n  forward(x: f32[B, 3, 8, 8]) => l(x)',
  PixelShuffle: 'l = PixelShuffle(n)\n  forward(x: f32[B, 4, 8, 8]) => l(x)',
  Upsample: 'l = Upsample(scale_factor: n)\n  forward(x: f32[B, 4, 8, 8]) => l(x)',
};
const NAMES = [...new Set(Object.keys(USES).map((k) => k.split(',')[0]))];

const errors = (body: string, n: number): { line: number; text: string }[] => {
  const source = `import { ${NAMES.join(', ')} } from "std/nn"\nexport block Net(n: int = 2) {\n  ${body}\n}`;
  const { diagnostics } = compile(source, { hyper: { n } });
  return diagnostics
    .filter((d) => d.severity === 'error')
    .map((d) => ({
      line: d.span.file === 'main.net' ? source.slice(0, d.span.start).split('\n').length : -1,
      text: `${d.code} ${d.message}`,
    }));
};

for (const [name, body] of Object.entries(USES)) {
  test(`${name}: -1`, (t) => {
    const found = errors(body, -1);
    t.true(found.length > 0);
    for (const f of found) t.true(f.line >= 3, `in the library: ${f.text}`);
    t.regex(found[0]!.text, /-1|at least 1/);
  });
}

test('zero is refused where nothing could be computed, with the name of what is zero', (t) => {
  const first = (name: string): string => errors(USES[name]!, 0)[0]!.text;
  t.is(first('Linear, out'), 'NW4040 out_features is 0: one at least');
  t.is(first('Conv2d, groups'), 'NW4040 groups is 0: one at least');
  t.is(first('Conv2d, kernel'), 'NW3015 `conv2d`: the kernel must be at least 1, not 0');
  t.is(first('GroupNorm'), 'NW4040 num_groups is 0: one at least');
  t.is(first('LSTM, hidden'), 'NW4040 hidden_size is 0: one at least');
  t.is(first('MultiheadAttention, heads'), 'NW4040 num_heads is 0: one at least');
  t.is(first('MaxPool2d'), 'NW3015 `max_pool2d`: the kernel must be at least 1, not (0, 0)');
  t.is(first('PixelShuffle'), 'NW4040 upscale_factor is 0: one at least');
});

test('no op makes a tensor of a negative size', (t) => {
  for (const call of ['full([n], 1.0)', 'arange(n)', 'rand_like(full([2, n], 0.0))'])
    t.regex(errors(`forward(x: f32[B, 6]) => ${call}`, -3)[0]?.text ?? `${call} is accepted`, /negative|-3|at least/);
});
