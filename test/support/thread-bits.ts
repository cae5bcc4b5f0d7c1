/** Training on several numbers of threads leaves the same bits: losses, parameters and buffers. */
import type { ExecutionContext } from 'ava';
import type { TargetName } from '../../src/compile.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { tensor, type Model, type Tensor } from '../../src/runtime/index.ts';
import { classOf } from './machines.ts';
import { reference, withAdamW, type Reference } from './networks.ts';

export const COUNTS = [1, 2, 3, 4, 7];

export interface On {
  readonly targets: readonly TargetName[];
  readonly device: string;
}

/** A model whose kernels are shared wherever they can be, with all its threads. */
export async function modelOn(source: string, { targets, device }: On, threads: number): Promise<Model> {
  const model: Model = await classOf(source, targets, 0).create({ device, threads });
  if (device === 'cpu') await cpuDevice().threads().ready();
  return model;
}

async function argsOf(model: Model, r: Reference): Promise<Tensor[]> {
  const { methods, train } = model.artifact;
  const entry = methods.find((m) => m.name === train!.loss)!;
  return Promise.all(
    entry.args.map((a) => {
      const x = r.inputs.get(a.name)!;
      const dtype = x.dtype === 'I64' ? 'i32' : 'f32';
      return tensor(Array.from(x.data), { dtype, shape: x.shape }).to(model.device);
    }),
  );
}

async function trained(r: Reference, on: On, threads: number): Promise<Map<string, Uint32Array>> {
  const model = await modelOn(withAdamW(r.source), on, threads);
  await model.load(`${r.folder}/params.safetensors`);
  const args = await argsOf(model, r);
  const out = new Map<string, Uint32Array>();
  const bits = (x: ArrayLike<number>): Uint32Array => new Uint32Array(Float32Array.from(x).buffer);
  for (let step = 0; step < 3; step++) out.set(`loss ${step}`, bits(await model.train_step(...args).loss.read()));
  for (const [name, x] of model.state_dict()) out.set(name, bits(await x.read()));
  return out;
}

export async function sameTraining(t: ExecutionContext, network: string, on: On): Promise<void> {
  const r = reference(network);
  const one = await trained(r, on, 1);
  for (const threads of COUNTS.slice(1))
    for (const [key, x] of await trained(r, on, threads)) t.deepEqual(x, one.get(key), `${key} on ${threads} threads`);
}

const UNEVEN = `
export block Net {
  forward(x: f32[M, K], w: f32[K, N]) -> f32[M, N] => softmax(gelu(x @ w), dim: -1)
  columns(x: f32[M, K]) -> f32[K] => sum(exp(x), dim: 0)
  elements(x: f32[M, K]) -> f32[M, K] => tanh(x) * x
  dropped(x: f32[M, K]) -> f32[M, K] => dropout(x, 0.3)
}`;

/** Sizes that no number of threads divides: products, rows, columns, elements and random draws. */
export async function sameUneven(t: ExecutionContext, on: On): Promise<void> {
  const values = (rows: number, cols: number): number[][] =>
    Array.from({ length: rows }, (_, i) => Array.from({ length: cols }, (_v, j) => Math.sin(i * 31 + j * 17)));
  const results = [];
  for (const threads of COUNTS) {
    const model = await modelOn(UNEVEN, on, threads);
    const x = tensor(values(301, 1037), { device: model.device });
    const w = tensor(values(1037, 261), { device: model.device });
    const all = [
      model.call('forward', [x, w]),
      model.call('columns', [x]),
      model.call('elements', [x]),
      model.call('dropped', [x], { training: true, seed: 3 }),
    ] as Tensor[];
    results.push(all.map((y) => y.readSync().slice()));
  }
  for (const other of results.slice(1)) t.deepEqual(other, results[0]);
}
