/** Indices that a program computes may name nothing: then reads give NaN or 0 and writes do nothing, on every device, whatever the number. */
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { compileProject, compileToC, openProject } from '../../src/compile.ts';
import { device, modelClass, tensor, thisMachine, type Model, type Tensor } from '../../src/runtime/index.ts';
import { folder } from '../support/cli.ts';
import { onNative } from '../support/native.ts';
import { onAdapter } from '../support/webgpu-device.ts';

/** `zero` keeps the runtime from seeing that the indices are an argument: arguments are checked before a call. */
const SOURCE = `
import { Embedding } from "std/nn"
export block Net {
  table = Embedding(5, 3)
  init { table.weight ~ ones() }
  rows(i: i32[N], zero: i32[]) -> f32[N, 3] => table(i + zero)
  columns(x: f32[3, 4], i: i32[N], zero: i32[]) => take(x, i + zero, axis: 1)
  integers(x: i32[4], i: i32[N], zero: i32[]) => take(x, i + zero, axis: 0)
  gathered(x: f32[4, 2], i: i32[N, 2], zero: i32[]) => gather(x, 0, i + zero)
  added(x: f32[4], i: i32[N], v: f32[N], zero: i32[]) => index_add(x, 0, i + zero, v)
  scattered(x: f32[4], i: i32[N], v: f32[N], zero: i32[]) => scatter(x, 0, i + zero, v)
  summed(x: f32[4], i: i32[N], v: f32[N], zero: i32[]) => scatter_add(x, 0, i + zero, v)
  largest(x: f32[4], i: i32[N], v: f32[N], zero: i32[]) => scatter_reduce(x, 0, i + zero, v, "amax")
  copied(x: f32[4, 2], i: i32[N], v: f32[N, 2], zero: i32[]) => index_copy(x, 0, i + zero, v)
  put(x: f32[4, 2], i: i32[], v: f32[2]) -> f32[4, 2] { x[i] = v; x }
  picked(x: f32[N, 3], i: i32[N], zero: i32[]) => nll_loss(x, i + zero, reduction: "none")
  crossed(x: f32[N, 3], i: i32[N], zero: i32[]) => cross_entropy(x, i + zero, reduction: "none")
  hot(i: i32[N], zero: i32[]) => one_hot(i + zero, 3)
  loss(i: i32[N], zero: i32[]) -> f32[] => nansum(table(i + zero))
  train { loss = loss; optimizer = SGD(lr: 1.0) }
}
fn nansum(x: f32[...S]) -> f32[] => sum(select(op.is_nan(x), 0.0, x))
`;
const host = { read: (p: string) => (p === 'net.net' ? SOURCE : null) };
const open = openProject(host, 'net.net');
const machine = await thisMachine();
const compiled = compileProject(open, 'Net', { targets: ['wasm', 'native', 'webgpu'], ...(machine && { machine }) });
if (!compiled) throw new Error(open.bag.all.map((d) => d.message).join('\n'));

/** Beside the ends, far from them, and where a product with a size wraps around to a place inside. */
const OUTSIDE = [-1, 4, 5, -5, 64, 2 ** 30, -(2 ** 30), 2 ** 31 - 1, -(2 ** 31), 0x55555556, -0x55555555];
const IDS = [...OUTSIDE, 0, 1];
const none = (x: number, rows: number): boolean => x < 0 || x >= rows;

async function holds(
  t: { deepEqual: (a: unknown, b: unknown, message: string) => unknown },
  on: string,
): Promise<void> {
  const model: Model = await modelClass(compiled!.artifact).create({ device: on });
  const d = { device: model.device };
  const f32 = (values: readonly number[], shape: readonly number[]): Tensor =>
    tensor([...values], { dtype: 'f32', shape, ...d });
  const i32 = (values: readonly number[], shape: readonly number[]): Tensor =>
    tensor([...values], { dtype: 'i32', shape, ...d });
  const zero = i32([0], []);
  const ids = i32(IDS, [IDS.length]);
  const call = async (name: string, ...args: Tensor[]): Promise<number[]> => [
    ...(await (model.call(name, args) as Tensor).read()),
  ];
  const same = async (name: string, args: Tensor[], want: readonly number[]): Promise<void> => {
    t.deepEqual(await call(name, ...args), [...want], `${name} on ${on}`);
  };
  const ten = [10, 11, 12, 13];
  const x4 = f32(ten, [4]);
  await same(
    'rows',
    [ids, zero],
    IDS.flatMap((i) => [i, i, i].map(() => (none(i, 5) ? NaN : 1))),
  );
  const columns = Array.from({ length: 12 }, (_, i) => i);
  await same(
    'columns',
    [f32(columns, [3, 4]), ids, zero],
    [0, 4, 8].flatMap((r) => IDS.map((i) => (none(i, 4) ? NaN : r + i))),
  );
  await same(
    'integers',
    [i32(ten, [4]), ids, zero],
    IDS.map((i) => (none(i, 4) ? 0 : ten[i]!)),
  );
  const pairs = IDS.flatMap((i) => [i, i]);
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  await same(
    'gathered',
    [f32(eight, [4, 2]), i32(pairs, [IDS.length, 2]), zero],
    pairs.map((i, k) => (none(i, 4) ? NaN : 2 * i + (k % 2))),
  );
  const ones = f32(
    IDS.map(() => 1),
    [IDS.length],
  );
  await same('added', [x4, ids, ones, zero], [11, 12, 12, 13]);
  await same('summed', [x4, ids, ones, zero], [11, 12, 12, 13]);
  await same('scattered', [x4, ids, ones, zero], [1, 1, 12, 13]);
  await same(
    'largest',
    [
      x4,
      ids,
      f32(
        IDS.map(() => 99),
        [IDS.length],
      ),
      zero,
    ],
    [99, 99, 12, 13],
  );
  await same(
    'copied',
    [
      f32(eight, [4, 2]),
      ids,
      f32(
        pairs.map(() => 9),
        [IDS.length, 2],
      ),
      zero,
    ],
    [9, 9, 9, 9, 4, 5, 6, 7],
  );
  for (const i of OUTSIDE.filter((k) => none(k, 4)))
    await same('put', [f32(eight, [4, 2]), i32([i], []), f32([9, 9], [2])], eight);
  const scores = f32(
    IDS.flatMap(() => [-1, -1, -1]),
    [IDS.length, 3],
  );
  await same(
    'picked',
    [scores, ids, zero],
    IDS.map((i) => (none(i, 3) ? NaN : 1)),
  );
  const crossed = await call('crossed', scores, ids, zero);
  t.deepEqual(
    crossed.map((v) => (Number.isNaN(v) ? 'none' : v.toFixed(5))),
    IDS.map((i) => (none(i, 3) ? 'none' : '1.09861')),
    `crossed on ${on}`,
  );
  await same(
    'hot',
    [ids, zero],
    IDS.flatMap((i) => [0, 1, 2].map((c) => Number(i === c))),
  );
  model.train_step(ids, zero);
  const weight = [...(await model.state_dict().get('table.weight')!.read())];
  t.deepEqual(
    weight,
    Array.from({ length: 15 }, (_, k) => (k < 6 || k > 11 ? 0 : 1)),
    `only rows 0, 1 and 4 have a gradient on ${on}`,
  );
}

test('the cpu', async (t) => holds(t, 'cpu'));

const native = await onNative();
native('native code', async (t) => {
  t.timeout(300_000);
  await holds(t, 'native');
});

const gpu = await onAdapter();
gpu('a GPU', async (t) => {
  t.timeout(300_000);
  await device('webgpu');
  await holds(t, 'webgpu');
});

native('a C99 file touches nothing outside its memory', async (t) => {
  t.timeout(300_000);
  const n = IDS.length;
  const c = compileToC(open, 'Net', { dims: new Map([['N', n]]), header: 'net.h' })!;
  const at = folder(t);
  const main = `#include "net.h"
int main(void) {
  static int32_t ids[${n}] = {${IDS.map((i) => `(int32_t)${i >>> 0}u`).join(', ')}}, pairs[${2 * n}], zero[1];
  static float v[${3 * n}], x[16], out[${4 * n}];
  static int32_t whole[${3 * n}];
  for (int i = 0; i < ${2 * n}; i++) pairs[i] = ids[i / 2];
  Net_init(0);
  Net_rows(ids, zero, out); Net_columns(x, ids, zero, out); Net_integers(whole, ids, zero, whole + 8);
  Net_gathered(x, pairs, zero, out); Net_added(x, ids, v, zero, out); Net_scattered(x, ids, v, zero, out);
  Net_summed(x, ids, v, zero, out); Net_largest(x, ids, v, zero, out); Net_copied(x, ids, v, zero, out);
  for (int i = 0; i < ${n}; i++) Net_put(x, ids + i, v, out);
  Net_picked(v, ids, zero, out); Net_crossed(v, ids, zero, out); Net_hot(ids, zero, whole);
  return 0;
}
`;
  for (const [name, text] of [
    ['net.c', c.code],
    ['net.h', c.header],
    ['main.c', main],
  ] as const)
    writeFileSync(join(at, name), text);
  const flags = ['-std=c99', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'];
  const run = promisify(execFile);
  await run('cc', [...flags, 'net.c', 'main.c', '-o', 'net', '-lm'], { cwd: at });
  await t.notThrowsAsync(run('./net', [], { cwd: at }));
});
