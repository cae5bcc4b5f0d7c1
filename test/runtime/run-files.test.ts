/** Runs on the disk: the last few stay, the best weights stay, and a process that goes on knows which those were. */
import test, { type ExecutionContext } from 'ava';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CheckpointError, compile, load, RunFiles, tensor, type Model, type Tensor } from '../../src/index.ts';

const source = (extra: string): string => `export block Line {
  param w: f32[2] ~ zeros()
  forward(x: f32[B, 2]) -> f32[B] => x @ w
  loss(x: f32[B, 2], y: f32[B]) -> f32[] => mse_loss(forward(x), y)
  train { loss = loss; optimizer = Adam(lr: 0.1)${extra} }
}`;

async function create(extra = ''): Promise<Model> {
  const { blocks, diagnostics } = compile(source(extra));
  if (!blocks['Line']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Line'].create();
}
const [X, Y] = [tensor([[1, 2]]), tensor([3])];
const weights = (m: Model): number[] => [...m.state_dict().get('w')!.readSync()];

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'netwright-runs-'));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

test('the runs of the last epochs stay, and files of others', async (t) => {
  const at = folder(t);
  const others = [
    'line.run.x.safetensors',
    'line.run..safetensors',
    'line.run.1.safetensors.old',
    'other.run.1.safetensors',
  ];
  for (const name of others) writeFileSync(join(at, name), '');
  const model = await create();
  const run = new RunFiles(join(at, 'line.run.safetensors'), { keep: 2 });
  t.is(await run.resume(model), null);
  const after: number[][] = [];
  for (let epoch = 1; epoch <= 12; epoch++) {
    model.train_step(X, Y);
    await run.save(model, { epoch: epoch - 1, batch: 1 }); // inside an epoch: only where the run stands
    after.push(weights(model));
    await run.save(model, { epoch });
  }
  const kept = ['line.run.11.safetensors', 'line.run.12.safetensors', 'line.run.safetensors'];
  t.deepEqual(readdirSync(at).sort(), [...kept, ...others].sort());
  const other = await create();
  const { position } = await new RunFiles(run.path).resume(other, join(at, kept[0]!));
  t.deepEqual([position.epoch, position.batch, position.step, weights(other)], [11, 0, 11, after[10]]);
  await t.throwsAsync(run.resume(other, join(at, kept[0]!.replace('11', '7'))), { code: 'file' });
  t.deepEqual(weights(other), after[10]);
});

for (const [mode, values, bests] of [
  ['min', [3, NaN, 2, 2, 5, 1], [3, 3, 2, 2, 2, 1]],
  ['max', [3, NaN, 2, 3, 5, 1], [3, 3, 3, 3, 5, 5]],
] as const) {
  test(`the weights of the epoch with the ${mode} stay, also when another process goes on`, async (t) => {
    const at = folder(t);
    const best = { path: join(at, 'best.safetensors'), mode };
    const open = (): RunFiles => new RunFiles(join(at, 'a.run.safetensors'), { best });
    let model = await create();
    let expected: number[] = [];
    for (const [i, value] of values.entries()) {
      // Another process every time.
      const run = open();
      const resumed = await run.resume(model);
      t.is(resumed?.position.epoch ?? 0, i);
      t.is(run.best, i === 0 ? null : bests[i - 1]!);
      model.train_step(X, Y);
      if (value === bests[i] && bests[i] !== bests[i - 1]) expected = weights(model);
      await run.save(model, { epoch: i + 1, extra: { note: 'kept' } }, value);
      t.is(run.best, bests[i]!);
      const { w } = (await load(best.path)) as { w: Tensor };
      t.deepEqual([...w.readSync()], expected, `after ${i + 1}`);
      model = await create();
    }
    t.is((await open().resume(model))!.position.extra['note'], 'kept');
    const other = new RunFiles(join(at, 'a.run.safetensors'), {
      best: { ...best, mode: mode === 'min' ? 'max' : 'min' },
    });
    await other.resume(model);
    t.is(other.best, null, 'the best of the other kind is none');
  });
}

test('of a run with averages the averaged weights are the best ones', async (t) => {
  const at = folder(t);
  const model = await create('; ema = 0.5');
  const run = new RunFiles(join(at, 'a.run.safetensors'), { best: { path: join(at, 'best.pt'), mode: 'max' } });
  for (let i = 0; i < 3; i++) model.train_step(X, Y);
  await run.save(model, { epoch: 1 }, 0.5);
  const { w } = (await load(join(at, 'best.pt'))) as { w: Tensor };
  t.deepEqual([...w.readSync()], [...model.ema!.state_dict().get('w')!.readSync()]);
  t.notDeepEqual([...w.readSync()], weights(model));
});

test('a damaged run, or a number of files that is none, is an error that changes nothing', async (t) => {
  const at = folder(t);
  const model = await create();
  const run = new RunFiles(join(at, 'a.run.safetensors'));
  await run.save(model, { epoch: 1 });
  model.train_step(X, Y);
  const before = weights(model);
  writeFileSync(run.path, readFileSync(run.path).subarray(0, -1));
  await t.throwsAsync(run.resume(model), { instanceOf: CheckpointError });
  t.deepEqual(weights(model), before);
  for (const keep of [-1, 0.5, NaN]) t.throws(() => new RunFiles('a', { keep }), { code: 'usage' });
});
