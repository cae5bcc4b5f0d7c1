/**
 * What is made of parameters beforehand is made again when one of them has changed, whichever way it did, and not otherwise. The
 * same network compiled to make everything in every call goes through the same changes beside it: no bit may differ.
 */
import test, { type ExecutionContext } from 'ava';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { apply, compile, loadRun, runToBytes, tensor, type Tensor } from '../../src/index.ts';
import type { HostDevice } from '../../src/runtime/device.ts';
import { keptBytes } from '../../src/runtime/plan.ts';
import { thisMachine, type Model } from '../../src/runtime/index.ts';
import { onNative } from '../support/native.ts';

const SOURCE = `
  import { BatchNorm1d, Linear } from "std/nn"
  block Tied(w: f32[24, 8]) { forward(x: f32[B, 24]) -> f32[B, 8] => x @ w }
  export block Net {
    up = Linear(8, 24)
    norm = BatchNorm1d(24)
    down = Linear(24, 8, bias: false)
    head = Linear(8, 3)
    param scale: f32[24, 8] ~ uniform(-1.0, 1.0)
    buffer calls: i32[] ~ zeros()
    encode(x: f32[B, 8]) -> f32[B, 24] => relu(norm(up(x)))
    decode(z: f32[B, 24]) -> f32[B, 8] => down(z) + z @ (scale * 2.0) + linear(z, transpose(up.weight, 0, 1))
    forward(x: f32[B, 8]) -> f32[B, 3] => head(decode(encode(x)))
    counted(x: f32[B, 8]) -> f32[B, 3] {
      update calls = calls + 1
      head(tanh(x))
    }
    repeated(x: f32[B, 24]) -> f32[B, 24] {
      y = x
      for i in 0..3 { y = encode(decode(y)) }
      y
    }
    loss(x: f32[B, 8], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
    train { loss = loss; optimizer = SGD(lr: 0.1, momentum: 0.9); ema = 0.5 }
  }`;

const onNativeToo = await onNative();

const values = (n: number, seed: number): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(i + seed));
const rowsOf = ({ device }: Model, rows: number, width: number): Tensor =>
  tensor(values(rows * width, 3), { shape: [rows, width], device });
const x = (m: Model): Tensor => rowsOf(m, 5, 8);
const z = (m: Model): Tensor => rowsOf(m, 5, 24);
const y = ({ device }: Model): Tensor => tensor(new Int32Array([0, 1, 2, 1, 0]), { device });

async function pair(device: string): Promise<[Model, Model]> {
  const targets = device === 'native' ? (['wasm', 'native'] as const) : (['wasm'] as const);
  const machine = (await thisMachine()) ?? undefined;
  const [kept, plain] = await Promise.all(
    [true, false].map(async (prepare) => {
      const { blocks, diagnostics } = compile(SOURCE, { prepare, targets, ...(machine && { machine }) });
      if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
      return blocks['Net'].create({ seed: 4, device });
    }),
  );
  return [kept!, plain!];
}

const bits = (t: Tensor): string => Buffer.from(t.readSync().buffer).toString('hex');

/** Everything that methods give, in an order in which kept memory of one could be taken for another's. */
function outcome(m: Model): string[] {
  const calls: (() => unknown)[] = [
    () => m.call('forward', [x(m)]),
    () => m.call('forward', [x(m)], { ema: true }),
    () => m.call('encode', [x(m)]),
    () => m.call('decode', [z(m)], { ema: true }),
    () => m.call('decode', [z(m)]),
    () => m.call('counted', [x(m)]),
    () => m.call('forward', [rowsOf(m, 1, 8)]),
    () => m.call('forward', [x(m)], { training: true }),
    () => m.call('repeated', [z(m)]),
    () => m.call('loss', [x(m), y(m)]),
  ];
  return calls.map((call) => bits(call() as Tensor));
}

const folder = mkdtempSync(join(tmpdir(), 'prepared-'));

/** Every way that a parameter, buffer or average changes. */
const CHANGES: Readonly<Record<string, (m: Model) => unknown>> = {
  'a step': (m) => m.train_step(x(m), y(m)),
  'an element set': (m) => m.get_submodule('up').state_dict().get('weight')!.set([1, 2], 42),
  copy_: (m) => [...m.named_parameters()].find(([n]) => n === 'down.weight')![1].data.copy_(values(192, 8)),
  'a transposed view': (m) => m.get_submodule('up').parameters().next().value!.transpose().data.set([3, 2], -7),
  load_state_dict: (m) => m.load_state_dict({ scale: tensor(values(192, 5), { shape: [24, 8] }) }, { strict: false }),
  "a layer's load_state_dict": (m) =>
    m
      .get_submodule('head')
      .load_state_dict({ weight: tensor(values(24, 1), { shape: [3, 8] }), bias: tensor([1, 2, 3]) }),
  'a buffer': (m) =>
    m
      .get_submodule('norm')
      .state_dict()
      .get('running_var')!
      .copy_(values(24, 2).map((v) => v * v + 1)),
  'statistics of a call in training mode': (m) => m.call('encode', [x(m)], { training: true }),
  'an average': (m) => m.ema!.state_dict().get('scale')!.set([0, 0], 9),
  'a file': async (m) => {
    const path = join(folder, 'w.safetensors');
    await m.save(path);
    m.train_step(x(m), y(m));
    outcome(m);
    await m.load(path);
  },
  'a run': async (m) => {
    const bytes = Buffer.concat(await runToBytes(m, { step: 0, epoch: 0, batch: 0, seed: 0, extra: {} }));
    m.train_step(x(m), y(m));
    outcome(m);
    loadRun(m, bytes);
  },
  'an initialiser': (m) => apply(m, 'Linear.weight', 'normal(std: 0.1)', { seed: 3 }),
};

async function follow(t: ExecutionContext, device: string): Promise<void> {
  const [kept, plain] = await pair(device);
  t.deepEqual(outcome(kept), outcome(plain), 'at first');
  for (const [name, change] of Object.entries(CHANGES)) {
    for (const m of [kept, plain]) await change(m);
    t.deepEqual(outcome(kept), outcome(plain), name);
  }
}

test('every change of a parameter reaches what was made of it', (t) => follow(t, 'cpu'));

onNativeToo('the same in native code', (t) => follow(t, 'native'));

/** The kernels of programs that prepare, in the order of the profile. */
async function preparations(m: Model, run: () => unknown): Promise<string[]> {
  const profile = m.device.profile();
  run();
  await profile.stop();
  return profile.rows().flatMap((r) => (r.program.startsWith('prepared.') ? [r.kernel] : []));
}

test('what is kept is made once, for all methods that read it', async (t) => {
  const [m] = await pair('cpu');
  const made = (name: string, input: Tensor): Promise<string[]> => preparations(m, () => m.call(name, [input]));
  const packs = (kernels: readonly string[]): number => kernels.filter((k) => k.includes('pack')).length;
  t.is(
    packs(await made('forward', rowsOf(m, 1, 8))),
    1,
    'one row needs no panels; the scaled weight is read, and packed with it',
  );
  t.is(packs(await made('forward', x(m))), 4);
  t.deepEqual(await made('forward', x(m)), [], 'nothing has changed');
  t.deepEqual(await made('decode', z(m)), [], 'a part of the same');
  await made('counted', x(m));
  t.deepEqual(await made('counted', x(m)), [], 'a buffer that no weight depends on');
  t.deepEqual(await preparations(m, () => m.train_step(x(m), y(m))), [], 'training keeps nothing');
  t.is(packs(await made('forward', x(m))), 5, 'parameters have changed');
});

test('a model that only trains has no memory for it', async (t) => {
  const taken = (m: Model): number => {
    const { memory } = m.device as HostDevice;
    const before = memory.used;
    m.train_step(x(m), y(m));
    return memory.used - before;
  };
  for (const m of await pair('cpu')) taken(m); // the device's workspace is there now
  const [kept, plain] = await pair('cpu');
  t.is(taken(kept), taken(plain));
});

test('what is kept is counted', async (t) => {
  const [kept, plain] = await pair('cpu');
  const bytes = (m: Model, method: string, rows: number): number =>
    keptBytes(m.artifact, method, new Map([['B', rows]]));
  // Panels of 8 columns; the scaled weight is there as it is, too, and the scale of each of 24 channels.
  const weights = 4 * (8 * 24 + 24 * 8 + 24 * 8 + 24 * 8 + 8 * 8);
  t.is(bytes(kept, 'forward', 5), weights + 4 * 24 * 8 + 128);
  t.is(bytes(kept, 'counted', 5), 4 * 8 * 8);
  t.is(bytes(kept, 'counted', 1), 0);
  t.is(bytes(plain, 'forward', 5), 0);
});
