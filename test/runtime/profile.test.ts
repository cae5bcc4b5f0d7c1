/** Profiles on the cpu: the same numbers as without one, each kernel at its line, arithmetic as PyTorch counts it. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { device, tensor, UsageError, type Model } from '../../src/runtime/index.ts';

const LENET = compile(readFileSync('examples/lenet.net', 'utf8')).blocks['LeNet']!;
const X = tensor(
  Float32Array.from({ length: 2 * 784 }, (_, i) => Math.sin(i)),
  { shape: [2, 1, 28, 28] },
);
const Y = tensor(Int32Array.of(3, 7));

const weights = async (m: Model): Promise<unknown> => Promise.all([...m.state_dict().values()].map((v) => v.toArray()));

test.serial('a profiled step has the bits of a plain one, and every kernel is in it once', async (t) => {
  const [plain, watched] = [await LENET.create({ seed: 1 }), await LENET.create({ seed: 1 })];
  for (let i = 0; i < 2; i++) plain.train_step(X, Y);
  watched.train_step(X, Y);
  const profile = watched.device.profile();
  watched.train_step(X, Y);
  await profile.stop();
  t.deepEqual(await weights(watched), await weights(plain));
  const { steps } = watched.artifact.programs.find((p) => p.name === 'train_step')!;
  const rows = profile.rows();
  t.is(
    rows.reduce((n, r) => n + r.calls, 0),
    steps.length,
  );
  for (const r of rows) if (r.kernel !== 'copy') t.regex(r.origin, /^(main\.net|std\/\w+):\d+/, r.kernel);
  t.deepEqual(
    profile.runs().map((r) => [r.program, r.calls]),
    [['train_step', 1]],
  );
});

test.serial('arithmetic is what PyTorch counts, at the line of the layer', async (t) => {
  const model = await LENET.create();
  const profile = model.device.profile();
  model.train_step(X, Y);
  await profile.stop();
  // torch.utils.flop_counter of the same network and batch, forward and backward.
  const counted: Readonly<Record<string, number>> = {
    'net.0': 940_800,
    'net.3': 2_880_000,
    'net.7': 576_000,
    'net.9': 120_960,
    'net.11': 10_080,
  };
  const lines = readFileSync('examples/lenet.net', 'utf8').split('\n');
  for (const [layer, flops] of Object.entries(counted)) {
    const rows = profile.rows().filter((r) => r.flops > 0 && r.origin.endsWith(` ${layer}`));
    t.is(
      rows.reduce((n, r) => n + r.flops, 0),
      flops,
      layer,
    );
    for (const r of rows) t.regex(lines[Number(/:(\d+)/.exec(r.origin)![1]) - 1]!, /Conv2d|Linear/);
  }
});

test.serial('loops and branches run as the driver runs them', async (t) => {
  const { blocks } = compile(`export block Loop {
    forward(x: f32[B]) -> f32[B] {
      while sum(x) > 1 { x = x / 2.0 }
      for i in 0..4 { x = x + cast(i, f32) / 4.0 }
      if mean(x) > 1 { x = x - 1.0 } else { x = x * 3.0 }
      x
    }
  }`);
  const model = await blocks['Loop']!.create();
  for (const values of [
    [8, 16, 3],
    [0.1, 0.2, 0.1],
  ]) {
    const plain = await model.forward(tensor(values)).toArray();
    const profile = (await device('cpu')).profile();
    const watched = await model.forward(tensor(values)).toArray();
    await profile.stop();
    t.deepEqual(watched, plain);
    t.true(profile.rows().some((r) => r.calls >= 4));
  }
});

test.serial('a trace is what Chrome reads: complete events, kernels inside their program', async (t) => {
  const model = await LENET.create();
  model.forward(X); // packs weights, which is a program of its own
  const profile = model.device.profile();
  for (let i = 0; i < 3; i++) model.forward(X);
  await profile.stop();
  const trace = JSON.parse(JSON.stringify(profile.trace())) as ReturnType<typeof profile.trace>;
  const spans = trace.traceEvents.filter((e) => e.ph === 'X');
  const programs = spans.filter((e) => e.cat === 'program');
  t.is(programs.length, 3);
  t.is(Math.min(...spans.map((e) => e.ts!)), 0);
  for (const e of spans.filter((s) => s.cat === 'kernel')) {
    t.true(e.dur! >= 0);
    t.is(programs.filter((p) => p.ts! <= e.ts! && e.ts! + e.dur! <= p.ts! + p.dur!).length, 1, e.name);
  }
});

test.serial('one profile at a time, and none after it was stopped', async (t) => {
  const model = await LENET.create();
  const profile = model.device.profile();
  t.throws(() => model.device.profile(), { instanceOf: UsageError, message: /cpu is being profiled already/ });
  await profile.stop();
  model.forward(X);
  t.deepEqual(profile.rows(), []);
});
