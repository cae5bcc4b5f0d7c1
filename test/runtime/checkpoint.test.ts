/** Weights and runs on disk: PyTorch's names and types, exact resumption, faults that leave the model as it was. */
import test from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../src/index.ts';
import {
  CheckpointError,
  loadRun,
  loadWeights,
  runToBytes,
  tensor,
  weightsToBytes,
  zeros,
  type Model,
  type RunPosition,
  type Tensor,
} from '../../src/runtime/index.ts';
import { readSafetensors, writeSafetensors, type TensorBytes } from '../../src/runtime/safetensors.ts';

const source = (hidden: number, optimizer: string): string => `
import { Linear, BatchNorm1d, Dropout } from "std/nn"
export block Net {
  a = Linear(4, ${hidden})
  norm = BatchNorm1d(${hidden})
  drop = Dropout(0.3)
  b = Linear(${hidden}, 2)
  head = Linear(4, 2)
  other = Linear(4, 2, bias: false)
  const noise: f32[2] ~ uniform()
  tie other.weight = head.weight
  forward(x: f32[B, 4]) -> f32[B, 2] => b(drop(norm(a(x)))) + head(x) + other(x) + noise
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = ${optimizer}; schedule = cosine_lr(total_steps: 50); override **.bias { weight_decay = 0.0 } }
}
`;

const blocks = new Map<string, ReturnType<typeof compile>>();
const create = async (seed = 0, hidden = 8, optimizer = 'AdamW(lr: 0.05)'): Promise<Model> => {
  const text = source(hidden, optimizer);
  const made = blocks.get(text) ?? compile(text);
  blocks.set(text, made);
  const block = made.blocks['Net'];
  if (!block) throw new Error(made.diagnostics.map((d) => d.message).join('\n'));
  return block.create({ seed });
};

const X = tensor(
  Float32Array.from({ length: 40 }, (_, i) => Math.sin(i)),
  { shape: [10, 4] },
);
const Y = zeros([10, 2]);
const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const snapshot = (m: Model): Record<string, number[]> => {
  const all = [...m.state_dict(), ...[...m.named_constants()].map(([k, p]): [string, Tensor] => [k, p.data])];
  return Object.fromEntries(all.map(([k, t]) => [k, [...t.readSync()]]));
};
const at = (model: Model): RunPosition => ({
  step: model.step,
  epoch: 2,
  batch: 5,
  seed: model.seed,
  extra: { best: '0.5' },
});

function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-checkpoint-'));
  return use(folder).finally(() => rmSync(folder, { recursive: true }));
}

for (const optimizer of ['AdamW(lr: 0.05)', 'SGD(lr: 0.05, momentum: 0.9)']) {
  test(`a resumed run takes the same steps bit for bit: ${optimizer}`, async (t) => {
    const model = await create(3, 8, optimizer);
    for (let i = 0; i < 5; i++) model.train_step(X, Y);
    model.optimizer!.groups[0]!['weight_decay'] = 0.125;
    const bytes = concat(await runToBytes(model, at(model)));
    const losses = async (m: Model): Promise<number[]> => {
      const out: number[] = [];
      for (let i = 0; i < 5; i++) out.push(await m.train_step(X, Y).loss.item());
      return out;
    };
    const resumed = await create(3, 8, optimizer);
    const { position, warnings } = loadRun(resumed, bytes);
    t.deepEqual(position, { step: 5, epoch: 2, batch: 5, seed: 3, extra: { best: '0.5' } });
    t.deepEqual(warnings, []);
    t.deepEqual(await losses(resumed), await losses(model));
    t.deepEqual(snapshot(resumed), snapshot(model));
    t.is(resumed.optimizer!.groups[0]!['weight_decay'], 0.125);
    t.deepEqual(concat(await runToBytes(resumed, at(resumed))), concat(await runToBytes(model, at(model))));
  });
}

test('weights go through a file as PyTorch has them', async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, 'net.safetensors');
    const [a, b] = [await create(1), await create(2)];
    a.train_step(X, Y);
    await a.save(path);
    const file = readSafetensors(new Uint8Array(readFileSync(path)), path);
    t.is(file.metadata.get('format'), 'pt');
    t.is(file.tensors.get('norm.num_batches_tracked')!.dtype, 'I64');
    t.deepEqual(file.tensors.get('a.weight')!.shape, [8, 4]);
    // As Hugging Face's writer: a tied tensor once, its other names in the metadata.
    t.false(file.tensors.has('other.weight'));
    t.is(file.metadata.get('other.weight'), 'head.weight');
    t.deepEqual(await b.load(path), { missing_keys: [], unexpected_keys: [] });
    t.deepEqual(
      [...b.state_dict()].map(([, x]) => [...x.readSync()]),
      [...a.state_dict()].map(([, x]) => [...x.readSync()]),
    );
    t.deepEqual(readdirSync(folder), ['net.safetensors']);
  });
});

test('int64 counters are range-checked, floats of other widths convert', async (t) => {
  const model = await create(1);
  const bytes = concat(await weightsToBytes(model));
  const file = readSafetensors(bytes);
  const change = (name: string, value: TensorBytes): Uint8Array => {
    const tensors = new Map(
      [...file.tensors].map(([k, s]): [string, TensorBytes] => [
        k,
        { dtype: s.dtype, shape: s.shape, bytes: bytes.slice(s.start, s.end) },
      ]),
    );
    return concat(writeSafetensors(tensors.set(name, value), file.metadata));
  };
  const counter = (n: bigint): Uint8Array =>
    change('norm.num_batches_tracked', { dtype: 'I64', shape: [], bytes: new Uint8Array(BigInt64Array.of(n).buffer) });
  await loadWeights(model, counter(12n));
  t.is(model.state_dict().get('norm.num_batches_tracked')!.readSync()[0], 12);
  await t.throwsAsync(loadWeights(model, counter(2n ** 40n), { file: 'x' }), {
    instanceOf: CheckpointError,
    message: /^x: .*1099511627776/,
  });
  const doubles = new Uint8Array(Float64Array.of(0.5, 0.25).buffer);
  await loadWeights(model, change('b.bias', { dtype: 'F64', shape: [2], bytes: doubles }));
  t.deepEqual([...model.state_dict().get('b.bias')!.readSync()], [0.5, 0.25]);
  const integers = new Uint8Array(Int32Array.of(1, 2).buffer);
  await loadWeights(model, change('b.bias', { dtype: 'I32', shape: [2], bytes: integers }));
  t.deepEqual([...model.state_dict().get('b.bias')!.readSync()], [1, 2]);
  const half = new Uint8Array(Float32Array.of(1.5).buffer);
  const fraction = change('norm.num_batches_tracked', { dtype: 'F32', shape: [], bytes: half });
  await t.throwsAsync(loadWeights(model, fraction), {
    instanceOf: CheckpointError,
    message: /num_batches_tracked.*1\.5/,
  });
});

test('a file of another network changes nothing', async (t) => {
  const model = await create(1);
  model.train_step(X, Y);
  const before = snapshot(model);
  const wider = await create(1, 16);
  wider.train_step(X, Y);
  const fault = async (bytes: Uint8Array, load: (b: Uint8Array) => unknown, message: RegExp): Promise<void> => {
    await t.throwsAsync(async () => load(bytes), { instanceOf: CheckpointError, message });
    t.deepEqual(snapshot(model), before);
    t.is(model.step, 1);
  };
  const resume = (b: Uint8Array): unknown => loadRun(model, b, 'run.safetensors');
  const weights = (b: Uint8Array): unknown => loadWeights(model, b, { file: 'w.safetensors' });
  await fault(
    concat(await weightsToBytes(wider)),
    weights,
    /^w\.safetensors: .*a\.weight is \[16, 4\] and must be \[8, 4\]/,
  );
  await fault(concat(await runToBytes(wider, at(wider))), resume, /^run\.safetensors: .*another network/);
  await fault(concat(await weightsToBytes(model)), resume, /weights only/);
  const sgd = await create(1, 8, 'SGD(lr: 0.05, momentum: 0.9)');
  await fault(concat(await runToBytes(sgd, at(sgd))), resume, /another network/);
  await fault(concat(await runToBytes(model, at(model))).subarray(0, 500), resume, /cut short|header/);
});

test('a run of another program says that bits will differ', async (t) => {
  const model = await create(1);
  const bytes = concat(await runToBytes(model, at(model)));
  const file = readSafetensors(bytes);
  const tensors = new Map(
    [...file.tensors].map(([k, s]): [string, TensorBytes] => [
      k,
      { dtype: s.dtype, shape: s.shape, bytes: bytes.slice(s.start, s.end) },
    ]),
  );
  const elsewhere = concat(writeSafetensors(tensors, new Map([...file.metadata, ['backend', 'native/abc']])));
  const { warnings } = loadRun(await create(1), elsewhere);
  t.is(warnings.length, 1);
  t.regex(warnings[0]!, /native\/abc/);
});

test('a damaged file is named', async (t) => {
  await withFolder(async (folder) => {
    const path = join(folder, 'bad.safetensors');
    writeFileSync(path, 'not a model');
    const error = await t.throwsAsync(async () => (await create()).load(path), { instanceOf: CheckpointError });
    t.true(error.message.includes('bad.safetensors'));
  });
});

test('a run may stop after any step, before the first one too', async (t) => {
  const whole = await create(5);
  const losses: number[] = [];
  const files: Uint8Array[] = [];
  for (let i = 0; i < 6; i++) {
    files.push(concat(await runToBytes(whole, at(whole))));
    losses.push(await whole.train_step(X, Y).loss.item());
  }
  for (const [step, file] of files.entries()) {
    const resumed = await create(99);
    t.is(loadRun(resumed, file).position.step, step);
    const rest: number[] = [];
    for (let i = step; i < 6; i++) rest.push(await resumed.train_step(X, Y).loss.item());
    t.deepEqual(rest, losses.slice(step), `from step ${step}`);
    t.deepEqual(snapshot(resumed), snapshot(whole));
  }
});
