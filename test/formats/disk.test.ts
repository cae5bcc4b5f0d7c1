/** Large files on a disk: read in parts and straight into place, copied in parts, written as they are at one moment. */
import test, { type ExecutionContext } from 'ava';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  compile,
  load,
  loadWeights,
  openWeights,
  save,
  tensor,
  thisMachine,
  type Model,
  type Tensor,
} from '../../src/index.ts';
import { CheckpointError } from '../../src/runtime/errors.ts';
import { writeFileAtomic } from '../../src/runtime/node/files.ts';
import { streamSafetensors } from '../../src/runtime/safetensors.ts';
import { netwright } from '../support/cli.ts';
import { onNative } from '../support/native.ts';

const native = await onNative();

/** More than one part of what is read at once (16 MiB), and no whole number of what is copied at once (1 MiB). */
const LARGE = 4_500_001;

function folder(t: ExecutionContext): string {
  const made = mkdtempSync(join(tmpdir(), 'netwright-disk-'));
  t.teardown(() => rmSync(made, { recursive: true }));
  return made;
}

const source = `export block Net {
  param large: f32[${LARGE}] ~ zeros()
  param small: f32[3] ~ zeros()
  param half: f16[5] ~ zeros()
  buffer count: i32[] ~ zeros()
  forward(x: f32[B]) -> f32[B] => x
}`;

async function create(device: 'cpu' | 'native' = 'cpu'): Promise<Model> {
  const machine = await thisMachine();
  const options = device === 'native' && machine ? { targets: ['wasm', 'native'] as const, machine } : {};
  const { blocks, diagnostics } = compile(source, options);
  if (!blocks['Net']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Net'].create({ device });
}

const counting = Float32Array.from({ length: LARGE }, (_, i) => (i * 7919) % 1_000_003);
const set = (model: Model): void => {
  const p = new Map(model.named_parameters());
  p.get('large')!.data.copy_(counting);
  p.get('small')!.data.copy_([1, -2, 3]);
  p.get('half')!.data.copy_([0.5, 1, 2, 3, 65504]);
  new Map(model.named_buffers()).get('count')!.data.copy_([7]);
};
const small = (model: Model): number[][] =>
  [...model.state_dict()].filter(([k]) => k !== 'large').map(([, x]) => [...x.readSync()]);

function check(t: ExecutionContext, model: Model): void {
  t.deepEqual(small(model), [[1, -2, 3], [0.5, 1, 2, 3, 65504], [7]]);
  t.true(Buffer.from(model.state_dict().get('large')!.readSync().buffer).equals(Buffer.from(counting.buffer)));
}

for (const [device, lane] of [
  ['cpu', test],
  ['native', native],
] as const) {
  lane(`weights are read straight into the memory of the ${device}, whatever else a file holds`, async (t) => {
    const path = join(folder(t), 'a.safetensors');
    const model = await create(device);
    set(model);
    await model.save(path);
    const other = await create(device);
    await other.load(path);
    check(t, other);
    // The float half as another type: what does not lie as in memory is converted beside.
    const wide = { ...((await load(path)) as Record<string, Tensor>), half: tensor([4, 5, 6, 7, 8]) };
    await save(path, wide);
    await other.load(path, { strict: false });
    t.deepEqual(small(other)[1], [4, 5, 6, 7, 8]);
  });
}

test('a file that turns out to be short changes nothing in the model', async (t) => {
  const path = join(folder(t), 'a.safetensors');
  const model = await create();
  set(model);
  await model.save(path);
  const size = readFileSync(path).length;
  const file = await openWeights(path);
  truncateSync(path, size - 1000);
  const other = await create();
  await t.throwsAsync(loadWeights(other, file), {
    code: 'checkpoint',
    message: /the file was cut short while it was read/,
  });
  await file.close();
  t.deepEqual(small(other), small(await create()));
  t.true(
    other
      .state_dict()
      .get('large')!
      .readSync()
      .every((v) => v === 0),
  );
});

test('tensors alone come back whole, and a copy of a file is the same bytes', async (t) => {
  const at = folder(t);
  const [a, b, c] = ['a', 'b', 'c'].map((n) => join(at, `${n}.safetensors`)) as [string, string, string];
  await save(a, { large: tensor(counting), none: tensor(new Float32Array(0)), bytes: tensor([1, 2, 3]) });
  const back = (await load(a)) as Record<string, Tensor>;
  t.true(Buffer.from(back['large']!.readSync().buffer).equals(Buffer.from(counting.buffer)));
  t.deepEqual([back['none']!.size, [...back['bytes']!.readSync()]], [0, [1, 2, 3]]);
  await save(b, back);
  t.true(readFileSync(a).equals(readFileSync(b)));
  t.is((await netwright(['convert', a, c])).code, 0);
  t.true(readFileSync(a).equals(readFileSync(c)));
});

test('what is saved is one moment, however much changes while the disk is waited for', async (t) => {
  const at = folder(t);
  const model = await create();
  const { data } = new Map(model.named_parameters()).get('large')!;
  const alone = tensor(new Float32Array(LARGE));
  for (const ending of ['safetensors', 'pt']) {
    const paths = [join(at, `model.${ending}`), join(at, `alone.${ending}`)] as const;
    let waiting = true;
    const saved = Promise.all([model.save(paths[0]), save(paths[1], { large: alone })]).then(() => (waiting = false));
    for (let k = 1; waiting; k++) {
      const value = new Float32Array(LARGE).fill(k);
      data.copy_(value);
      alone.copy_(value);
      await new Promise((next) => setImmediate(next));
    }
    await saved;
    for (const path of paths) {
      const { large } = (await load(path)) as { large: Tensor };
      const values = large.readSync();
      t.true(
        values.every((v) => v === values[0]),
        path,
      );
    }
  }
});

test('a disk that fails while a file is copied leaves what was there', async (t) => {
  const path = join(folder(t), 'a.safetensors');
  writeFileSync(path, 'old');
  let reads = 0;
  const fail = async (): Promise<void> => {
    if (++reads > 3) throw new CheckpointError('b.safetensors', 'the disk fails');
  };
  const place = { disk: { fill: fail, fillNow: () => undefined }, offset: 0 };
  const bytes = async (): Promise<Uint8Array> => new Uint8Array(0);
  const large = { dtype: 'F32', shape: [LARGE], nbytes: 4 * LARGE, bytes, place };
  const content = streamSafetensors(new Map([['large', large]]));
  await t.throwsAsync(writeFileAtomic(path, content), { message: /the disk fails/ });
  t.is(readFileSync(path, 'utf8'), 'old');
});
