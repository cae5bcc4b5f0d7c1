/** Tensors: what they are made of, what they refuse, and that nothing hands out their memory. */
import test from 'ava';
import {
  arange,
  device,
  DeviceError,
  devices,
  DTypeError,
  full,
  ones,
  rand,
  randn,
  ShapeError,
  tensor,
  zeros,
  type Tensor,
} from '../../src/runtime/index.ts';

test('nested arrays give shape and element type', async (t) => {
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6.5],
  ]);
  t.deepEqual([x.dtype, [...x.shape], x.size, x.nbytes], ['f32', [2, 3], 6, 24]);
  t.deepEqual(await x.toArray(), [
    [1, 2, 3],
    [4, 5, 6.5],
  ]);
  t.is(tensor([true, false]).dtype as string, 'bool');
  t.is(tensor([1n, 2n]).dtype as string, 'i32');
  t.is(await tensor(7).item(), 7);
  t.deepEqual([...tensor([]).shape], [0]);
});

test('typed arrays, wide and narrow, become 32-bit tensors where they fit', (t) => {
  t.deepEqual([...tensor(BigInt64Array.of(1n, -2n)).readSync()], [1, -2]);
  t.deepEqual([...tensor(Uint8Array.of(0, 255)).readSync()], [0, 255]);
  t.deepEqual([...tensor(Float64Array.of(0.1)).readSync()], [Math.fround(0.1)]);
  t.is(tensor(Int16Array.of(1)).dtype, 'i32');
  t.throws(() => tensor(BigInt64Array.of(2n ** 31n)), { instanceOf: DTypeError, message: /2147483648/ });
  t.throws(() => tensor([0.5], { dtype: 'i32' }), { instanceOf: DTypeError });
  t.throws(() => tensor([-1], { dtype: 'u32' }), { instanceOf: DTypeError });
  t.throws(() => tensor([2], { dtype: 'bool' }), { instanceOf: DTypeError });
  t.deepEqual([...tensor([1, 65504, 1e6, 2 ** -24], { dtype: 'f16' }).readSync()], [1, 65504, Infinity, 2 ** -24]);
  t.deepEqual([...tensor([1.00390625, NaN], { dtype: 'bf16' }).readSync()], [1, NaN]);
});

test('ragged nesting and wrong counts are named', (t) => {
  t.throws(() => tensor([[1, 2], [3]]), { instanceOf: ShapeError, message: /ragged.*\[1\]/ });
  t.throws(() => tensor([[1], 2]), { instanceOf: ShapeError, message: /a number where a list is expected, at \[1\]$/ });
  const deep = [
    [
      [1, 2],
      [3, 4],
    ],
    [[5, 6], [7]],
  ];
  t.throws(() => tensor(deep), {
    instanceOf: ShapeError,
    message: /ragged: 1 items where 2 is expected, at \[1\]\[1\]$/,
  });
  t.throws(() => tensor([1, 2, 3], { shape: [2, 2] }), { instanceOf: ShapeError, message: /3 values.*\[2, 2\]/ });
  t.throws(() => tensor(['a'] as unknown as number[]), { instanceOf: DTypeError });
});

test('values are copied in and out', async (t) => {
  const source = Float32Array.of(1, 2);
  const x = tensor(source);
  source[0] = 9;
  const read = await x.read();
  read[1] = 9;
  t.deepEqual([...x.readSync()], [1, 2]);
});

test('set writes one element, counted from either end', (t) => {
  const x = zeros([2, 3]);
  x.set([1, 2], 5);
  x.set([-2, -3], 7);
  t.deepEqual([...x.readSync()], [7, 0, 0, 0, 0, 5]);
  t.throws(() => x.set([0, 3], 1), { instanceOf: ShapeError, message: /index 3.*dim 1.*size 3/ });
  // @ts-expect-error an index for each dim
  t.throws(() => x.set([0], 1), { instanceOf: ShapeError });
  const y = tensor([1, 2], { dtype: 'i32' });
  t.throws(() => y.set([0], 1.5), { instanceOf: DTypeError });
});

test("arange counts as PyTorch's does", (t) => {
  // torch.arange(5), (2, 11, 3), (3, 0, -1), (0, 1, 0.25), (0.5, 3)
  const all = [arange(5), arange(2, 11, 3), arange(3, 0, -1), arange(0, 1, 0.25), arange(0.5, 3)];
  t.deepEqual(
    all.map((x) => [x.dtype, ...x.readSync()]),
    [
      ['i32', 0, 1, 2, 3, 4],
      ['i32', 2, 5, 8],
      ['i32', 3, 2, 1],
      ['f32', 0, 0.25, 0.5, 0.75],
      ['f32', 0.5, 1.5, 2.5],
    ],
  );
  t.deepEqual([arange(0).shape, arange(3, { dtype: 'f32' }).dtype], [[0], 'f32']);
  t.throws(() => arange(3, 0), { instanceOf: ShapeError, message: /from 3 to 0/ });
  t.throws(() => arange(0, 3, 0), { instanceOf: ShapeError });
});

test('item is for one element', async (t) => {
  t.is(await full([1, 1], 3).item(), 3);
  await t.throwsAsync(ones([2]).item(), { instanceOf: ShapeError });
});

test('static shapes are part of the type', (t) => {
  const a: Tensor<'f32', [2, 3]> = zeros([2, 3]);
  const b: Tensor<'i32', [2]> = full([2], 1, { dtype: 'i32' });
  const c: Tensor<'f32', [4]> = randn([4], { seed: 1 });
  const d: Tensor<'f32', [2]> = tensor(new Float32Array(2), { shape: [2] });
  const f: Tensor<'f32', [2, 3]> = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  const g: [Tensor<'f32', []>, Tensor<'f32', [0]>] = [tensor(7), tensor([])];
  const h: [Tensor<'bool', [1, 2]>, Tensor<'i32', [2]>] = [tensor([[true, false]]), tensor([1n, 2n])];
  const i: Tensor<'f16', [2]> = tensor([1, 2], { dtype: 'f16' });
  const j: Tensor<'f32', [1, 4]> = tensor([1, 2, 3, 4], { shape: [1, 4] });
  const rows: number[][] = [[1, 2]];
  const k: Tensor<'f32'> = tensor(rows);
  // @ts-expect-error the length of a list that is not written out is known when it runs
  const l: Tensor<'f32', [1, 2]> = tensor(rows);
  // @ts-expect-error one row of two is not two of one
  const m: Tensor<'f32', [2, 1]> = tensor([[1, 2]]);
  // @ts-expect-error numbers are f32
  const n: Tensor<'i32', [2]> = tensor([1, 2]);
  // @ts-expect-error text is no number
  t.throws(() => tensor([['1']]), { instanceOf: DTypeError, message: /\[0\]\[0\]/ });
  t.deepEqual(
    [f, ...g, ...h, i, j, k, l, m, n].map((x) => [x.dtype, ...x.shape].join(' ')),
    ['f32 2 3', 'f32', 'f32 0', 'bool 1 2', 'i32 2', 'f16 2', 'f32 1 4', 'f32 1 2', 'f32 1 2', 'f32 1 2', 'f32 2'],
  );
  // @ts-expect-error two is not three
  const e: Tensor<'f32', [3]> = tensor([1, 2], { shape: [2] });
  t.deepEqual(
    [a, b, c, d, e].map((x) => x.size),
    [6, 2, 4, 2, 2],
  );
});

test('random tensors depend on the seed and are distributed as they say', (t) => {
  t.deepEqual(rand([8], { seed: 1 }).readSync(), rand([8], { seed: 1 }).readSync());
  t.notDeepEqual(rand([8], { seed: 1 }).readSync(), rand([8], { seed: 2 }).readSync());
  const u = rand([20000]).readSync();
  t.true(u.every((v) => v >= 0 && v < 1));
  const n = randn([20000]).readSync();
  const mean = n.reduce((a, v) => a + v, 0) / n.length;
  const variance = n.reduce((a, v) => a + (v - mean) ** 2, 0) / n.length;
  // Four standard errors: 4 / sqrt(n) and 4 sqrt(2 / n).
  t.true(Math.abs(mean) < 4 / Math.sqrt(n.length), String(mean));
  t.true(Math.abs(variance - 1) < 4 * Math.sqrt(2 / n.length), String(variance));
});

test('devices say what they are; one that is not there is an error', async (t) => {
  const [cpu, ...others] = await devices();
  t.like(cpu, { name: 'cpu', available: true, software: false });
  t.true(others.every((d) => /^(native|webgpu:\d+)$/.test(d.name)));
  t.is(await device('cpu'), await device('cpu'));
  await t.throwsAsync(() => device('tpu'), { instanceOf: DeviceError, message: /there is no device "tpu".* cpu/ });
  t.throws(() => zeros([1], { device: 'webgpu:7' }), {
    instanceOf: DeviceError,
    message: /await device\('webgpu:7'\)/,
  });
  const x = zeros([1]);
  t.is(await x.to('cpu'), x);
});
