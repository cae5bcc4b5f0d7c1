/** A `while` whose condition never turns false ends with an error that names its line, on every device; nothing is trained by it. */
import test from 'ava';
import { compile, LoopError, tensor, thisMachine, type Model, type Tensor } from '../../src/index.ts';
import { onNative } from '../support/native.ts';
import { onAdapter } from '../support/webgpu-device.ts';

// Before the first test: ava takes none after a pause.
const lanes = { cpu: test, native: await onNative(), webgpu: await onAdapter() };

const SOURCE = `
fn halved(x: f32[]) -> f32[] {
  while x > 1.0 { x = x / 2.0 }
  x
}
export block Loops() {
  param w: f32[] ~ ones()
  /// Rounds until x is 1 at most; never where x is infinite.
  forward(x: f32[]) -> f32[] {
    n = 0.0
    while x > 1.0 {
      x = x / 2.0
      n = n + 1.0
    }
    n
  }
  loss(x: f32[]) -> f32[] => pow(halved(w * x), 2.0)
  /// The loop inside never ends for an infinite x.
  nested(x: f32[], n: f32[]) -> f32[] {
    while n > 0.0 {
      if n < 2.0 { for t in 0..2 { while x > 1.0 { x = x / 2.0 } } }
      n = n - 1.0
    }
    x
  }
  train { loss = loss; optimizer = SGD(lr: 0.1) }
}`;
const machine = (await thisMachine()) ?? undefined;
const { blocks, diagnostics } = compile(SOURCE, {
  targets: ['wasm', 'native', 'webgpu'],
  ...(machine && { machine }),
});

test('it compiles', (t) => t.deepEqual(diagnostics, []));

for (const [name, lane] of Object.entries(lanes)) {
  const create = (while_limit: number): Promise<Model> => blocks['Loops']!.create({ device: name, while_limit });
  const run = async (m: Model, method: string, ...args: number[]): Promise<number> => {
    const on = await Promise.all(args.map((a) => tensor(a).to(m.device)));
    return (m.call(method, on) as Tensor).item();
  };

  lane(`${name}: as many rounds as are allowed, and not one more`, async (t) => {
    const m = await create(20);
    t.is(await run(m, 'forward', 2 ** 20), 20);
    const e = await t.throwsAsync(run(m, 'forward', 2 ** 21), { instanceOf: LoopError });
    t.is(e.limit, 20);
    t.is(e.origin, 'main.net:11');
    t.regex(e.message, /^main\.net:11: the `while` did not end: in forward .* 20 rounds; .*while_limit/);
    t.is(await run(m, 'forward', 8), 3, 'the model goes on');
  });

  lane(`${name}: a loop in a loop under a condition`, async (t) => {
    const m = await create(10);
    t.is(await run(m, 'nested', 1024, 3), 1);
    const e = await t.throwsAsync(run(m, 'nested', Infinity, 3), { instanceOf: LoopError });
    t.is(e.origin, 'main.net:21');
  });

  lane(`${name}: a step that does not end trains nothing`, async (t) => {
    const m = await create(10);
    const value = async (): Promise<number> => [...m.parameters()][0]!.data.item();
    const step = async (x: number): Promise<number> => m.train_step(await tensor(x).to(m.device)).loss.item();
    t.is(await step(4), 1);
    const trained = await value();
    t.not(trained, 1);
    const e = await t.throwsAsync(step(Infinity), { instanceOf: LoopError });
    t.is(e.origin, 'main.net:3', 'of the function, where the loop stands');
    t.is(await value(), trained);
    t.is(await step(4), Math.fround(trained * trained), 'and goes on: 4 w is halved twice');
  });
}

test('profiles, and other devices, keep to the limit', async (t) => {
  const m = await blocks['Loops']!.create({ while_limit: 5 });
  const profile = m.device.profile();
  t.throws(() => m.call('forward', [tensor(1e9)]), { instanceOf: LoopError });
  await profile.stop();
});

test('a limit is a whole number', async (t) => {
  for (const while_limit of [0, 1.5, NaN, 2 ** 31])
    await t.throwsAsync(blocks['Loops']!.create({ while_limit }), { code: 'usage', message: /while_limit/ });
});
