/** The native device: what is built when, memory that grows in place, and models that move to it and on from it. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compile } from '../../src/compile.ts';
import { backendIdentity } from '../../src/runtime/run.ts';
import {
  device,
  DeviceError,
  tensor,
  thisMachine,
  zeros,
  type Progress,
  type Tensor,
} from '../../src/runtime/index.ts';
import { NativeDevice } from '../../src/runtime/native/device.ts';
import { folder, netwright } from '../support/cli.ts';
import { onNative } from '../support/native.ts';

const run = await onNative();
const cache = mkdtempSync(join(tmpdir(), 'netwright-cache-'));
process.env['NETWRIGHT_CACHE'] = cache;
process.on('exit', () => rmSync(cache, { recursive: true, force: true }));
const objects = (): string[] => readdirSync(cache).filter((n) => n.endsWith('.so'));

const SOURCE = `
import { Linear, Dropout } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); relu; Dropout(0.5); Linear(8, 3) }
  forward(x: f32[B, 4]) -> f32[B, 3] => net(x)
  loss(x: f32[B, 4], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
  train { loss = loss; optimizer = Adam(lr: 0.1) }
}`;
const machine = await thisMachine();
const { blocks } = compile(SOURCE, { targets: ['wasm', 'native'], ...(machine && { machine }) });
const Net = blocks['Net']!;
const values = [
  [1, 2, 3, 4],
  [-1, 0.5, 2, 0],
];

run('auto builds nothing; an explicit device does, once, and then auto takes it', async (t) => {
  t.is((await Net.create({ device: 'auto' })).device.name, 'cpu');
  t.deepEqual(objects(), []);
  const told: Parameters<Progress>[0][] = [];
  const model = await Net.create({ device: 'native', progress: (p) => void told.push(p) });
  t.is(model.device.name, 'native');
  t.is(objects().length, 1);
  t.is(told.at(-1)?.done, told.at(-1)?.total);
  await Net.create({ device: 'native', progress: () => t.fail('it is built already') });
  t.is((await Net.create({ device: 'auto' })).device.name, 'native');
  t.regex(backendIdentity(model), /^native-(gcc|clang)-[\d.]+-[0-9a-f]+-x\d+(-bf16)?\//);
});

run('initial values have the bits of the cpu; a model moves with its training and back', async (t) => {
  const cpu = await Net.create({ seed: 3 });
  cpu.train_step(tensor(values), tensor(Int32Array.of(0, 2)));
  const native = await cpu.to('native');
  for (const [name, x] of cpu.state_dict()) t.deepEqual(native.state_dict().get(name)!.readSync(), x.readSync(), name);
  const on = native.device;
  const [x, y] = [tensor(values, { device: on }), tensor(Int32Array.of(0, 2), { device: on })];
  const back = await native.to('cpu');
  const losses = [
    await native.train_step(x, y).loss.item(),
    await back.train_step(tensor(values), tensor(Int32Array.of(0, 2))).loss.item(),
  ];
  // The same sums in another order: a few roundings of a loss near 1.
  t.true(Math.abs(losses[0]! - losses[1]!) < 1e-6, losses.join(' '));
  t.throws(() => native.forward(tensor(values)), { instanceOf: DeviceError, message: /x is on cpu/ });
});

run('memory grows where it is', async (t) => {
  const on = await device('native');
  if (!(on instanceof NativeDevice)) return t.fail();
  const model = await Net.create({ device: on });
  const x = tensor(values, { device: on });
  const before = (model.call('forward', [x]) as Tensor).readSync();
  const { base } = on.memory;
  model.call('forward', [zeros([3_000_000, 4], { device: on })]);
  t.is(Number(on.koffi.address(on.memory.bytes(0, 1).buffer as ArrayBuffer)), base);
  t.deepEqual((model.call('forward', [x]) as Tensor).readSync(), before);
});

run('a block that was compiled for the cpu alone says how to build it', async (t) => {
  const alone = compile(SOURCE).blocks['Net']!;
  await t.throwsAsync(alone.create({ device: 'native' }), { instanceOf: DeviceError, message: /--native/ });
});

run('the command line builds, says so, and trains on it', async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, 'net.net'), SOURCE);
  const rows = Array.from({ length: 8 }, (_, i) => `${i},${i % 3},1,2,${i % 3}`);
  writeFileSync(join(cwd, 'd.csv'), `a,b,c,d,y\n${rows.join('\n')}\n`);
  const built = await netwright(['build', 'net.net', '--native'], { cwd });
  t.is(built.code, 0, built.err);
  t.regex(built.out, /compiled Net for C for this processor by (gcc|clang)/);
  const trained = await netwright(['train', 'net.net', '--data', 'd.csv', '--epochs', '1'], { cwd });
  t.is(trained.code, 0, trained.err);
  t.regex(trained.err, /device native \(built before: /);
});

run('kernels called one by one for a profile compute the same', async (t) => {
  const [plain, watched] = [await Net.create({ device: 'native' }), await Net.create({ device: 'native' })];
  const x = tensor(values, { device: plain.device });
  const y = tensor(Int32Array.of(0, 2), { device: plain.device });
  const want = plain.train_step(x, y).loss.readSync();
  const profile = watched.device.profile();
  t.deepEqual(watched.train_step(x, y).loss.readSync(), want);
  await profile.stop();
  t.true(profile.rows().some((r) => r.kernel.startsWith('matmul')));
});

run('checkpoints change no bit', async (t) => {
  const trained = async (settings: string): Promise<number[]> => {
    const text = SOURCE.replace('Adam(lr: 0.1)', `Adam(lr: 0.1)${settings}`);
    const made = compile(text, { targets: ['wasm', 'native'], ...(machine && { machine }) });
    const model = await made.blocks['Net']!.create({ seed: 1, device: 'native' });
    for (let i = 0; i < 4; i++) {
      const [x, y] = [tensor(values), tensor([i % 3, 2], { dtype: 'i32' })];
      model.train_step(await x.to(model.device), await y.to(model.device));
    }
    return (await Promise.all([...model.state_dict().values()].map(async (v) => [...(await v.read())]))).flat();
  };
  t.deepEqual(await trained('; checkpoint net.*'), await trained(''));
});
