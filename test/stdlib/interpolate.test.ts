/** Changes of size where sizes are known only when the program runs, and what is refused. Values and gradients: functions.test.ts. */
import test from 'ava';
import { compile, tensor, type Model, type Tensor } from '../../src/index.ts';

const WAYS = [
  'scale_factor: 2',
  'scale_factor: (1.5, 0.6)',
  'scale_factor: (0.5, 2.0), recompute_scale_factor: true',
  'size: (5, 9)',
  'size: (2, 13), mode: "nearest-exact"',
  'scale_factor: 3, mode: "nearest-exact"',
  'scale_factor: 0.75, mode: "bilinear"',
  'scale_factor: 2, mode: "bilinear", align_corners: true',
  'size: (2, 11), mode: "bicubic"',
  'scale_factor: 0.4, mode: "bilinear", antialias: true',
  'scale_factor: (0.5, 1.5), mode: "area"',
];
const method = (shape: string) => (way: string, i: number) => `m${i}(x: f32[${shape}]) => interpolate(x, ${way})`;
const source = (shape: string): string => `export block Net {\n${WAYS.map(method(shape)).join('\n')}\n}`;
const make = (text: string): Promise<Model> => {
  const { blocks, diagnostics } = compile(text);
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create();
};

test('symbolic sizes give what fixed ones give', async (t) => {
  const symbolic = await make(source('B, C, H, W'));
  for (const [h, w] of [
    [5, 7],
    [4, 10],
    [6, 3],
  ] as const) {
    const fixed = await make(source(`B, C, ${h}, ${w}`));
    const values = Float32Array.from({ length: 6 * h * w }, (_, i) => Math.sin(i * i));
    const x = tensor(values, { shape: [2, 3, h, w] });
    for (const [i, way] of WAYS.entries()) {
      const [a, b] = [symbolic.call(`m${i}`, [x]) as Tensor, fixed.call(`m${i}`, [x]) as Tensor];
      t.deepEqual(a.shape, b.shape, way);
      const [got, want] = [a.readSync(), b.readSync()];
      // Steps are quotients of f32 in both; products of matrices may add in another order.
      t.true(
        want.every((v, k) => Math.abs(v - got[k]!) <= 2e-6),
        `${way} of ${h} x ${w}`,
      );
    }
  }
});

test('neighbours lie at exact fractions of the size, where f32 would round to the element before', async (t) => {
  const m = await make('export block Net { f(x: f32[1, 1, L]) => interpolate(x, size: 82) }');
  const got = (m.call('f', [tensor([0, 1], { shape: [1, 1, 2] })]) as Tensor).readSync();
  t.deepEqual(
    [...got],
    Array.from({ length: 82 }, (_, i) => (i < 41 ? 0 : 1)),
  );
});

test('what the arguments may not be', (t) => {
  const refused = (call: string, shape = 'N, C, H, W'): string =>
    compile(`export block Net { f(x: f32[${shape}]) => ${call} }`)
      .diagnostics.map((d) => `${d.code} ${d.message}`)
      .join();
  t.is(refused('interpolate(x)'), 'NW4040 give size or scale_factor');
  t.is(refused('interpolate(x, size: 4, scale_factor: 2.0)'), 'NW4040 give size or scale_factor, not both');
  t.is(refused('interpolate(x, size: (4, 4, 4))'), 'NW4040 3 sizes or factors are given for 2 spatial dims');
  t.regex(refused('interpolate(x, size: 4, mode: "linear")'), /^NW4040 linear is for sequences \[N, C, L\]/);
  t.regex(refused('interpolate(x, size: 4, mode: "bilinear")', 'N, C, L'), /^NW4040 bilinear is for images/);
  t.regex(refused('interpolate(x, size: 4, align_corners: true)'), /^NW4040 align_corners is for modes that weigh/);
  t.regex(refused('interpolate(x, size: 4, antialias: true)'), /^NW4040 antialias is for bilinear and bicubic/);
  t.regex(refused('interpolate(x, scale_factor: 3.14159)'), /^NW4040 scale_factor 3.14159 is no fraction/);
  t.regex(refused('interpolate(x, scale_factor: 0.1)', 'N, C, 4, 4'), /^NW4040 the result has size 0/);
});
