/** NumPy, GGUF and sharded safetensors against the corpus; what is written reads back. */
import test from 'ava';
import { CheckpointError, DTypeError } from '../../src/runtime/errors.ts';
import type { CheckpointFile } from '../../src/runtime/formats/checkpoint.ts';
import { openGguf } from '../../src/runtime/formats/gguf.ts';
import { writeNpy, writeNpz } from '../../src/runtime/formats/npy.ts';
import { openCheckpoint } from '../../src/runtime/formats/read.ts';
import { writeSharded } from '../../src/runtime/formats/sharded.ts';
import { bytesSource } from '../../src/runtime/sources/source.ts';
import { badFiles, bytesOf, collect, expectedOf, goodFiles, read, sameBytes, sha256 } from './corpus.ts';

const NUMPY: Readonly<Record<string, string>> = {
  b1: 'BOOL',
  i1: 'I8',
  i2: 'I16',
  i4: 'I32',
  i8: 'I64',
  u1: 'U8',
  u2: 'U16',
  u4: 'U32',
  u8: 'U64',
  f2: 'F16',
  f4: 'F32',
  f8: 'F64',
  c8: 'C64',
};

const readFolder = (folder: string): Promise<CheckpointFile> =>
  openCheckpoint(bytesSource(bytesOf(`${folder}/model.safetensors.index.json`), folder), async (name) =>
    bytesSource(fileIn(folder, name), folder),
  );

function fileIn(folder: string, name: string): Uint8Array {
  try {
    return bytesOf(`${folder}/${name}`);
  } catch {
    throw new CheckpointError(folder, `there is no ${name}`, 0);
  }
}

for (const f of goodFiles('npy', 'npz', 'safetensors-sharded', 'safetensors')) {
  test(`reads ${f.file}: ${f.note}`, async (t) => {
    const want = expectedOf(f);
    const sharded = f.format === 'safetensors-sharded';
    const got = await (sharded ? readFolder(`good/${f.file}`) : read(bytesOf(`good/${f.file}`), f.file));
    t.is(got.format as string, sharded ? 'safetensors' : f.format);
    t.deepEqual([...got.tensors.keys()].sort(), want.tensors.map((w) => w.name).sort());
    for (const w of want.tensors) {
      const x = got.tensors.get(w.name)!;
      t.is(x.dtype, w.dtype ?? NUMPY[w.npdtype!.slice(1)]!);
      t.deepEqual(x.shape, w.shape);
      t.true(await sameBytes(x, w), w.name);
    }
  });
}

test('a tied name stands in the metadata of the shards', async (t) => {
  t.is((await readFolder('good/sharded_tied')).metadata.get('wte.weight'), 'lm_head.weight');
});

interface GgufExpected {
  readonly name: string;
  readonly ggml_type: string;
  readonly shape_row_major: number[];
  readonly raw_sha256: string;
  readonly dequantized_f32_sha256: string;
}

for (const f of goodFiles('gguf')) {
  test(`reads ${f.file}: ${f.note}`, async (t) => {
    const got = await openGguf(bytesSource(bytesOf(`good/${f.file}`), f.file));
    const want = expectedOf(f).tensors as unknown as readonly GgufExpected[];
    t.deepEqual(
      [...got.tensors.keys()],
      want.map((w) => w.name),
    );
    for (const w of want) {
      const x = got.tensors.get(w.name)!;
      t.is(x.stored, w.ggml_type);
      t.deepEqual(x.shape, w.shape_row_major);
      t.is(sha256(await x.raw()), w.raw_sha256);
      if (x.dtype === 'F32') t.is(sha256(await x.bytes()), w.dequantized_f32_sha256, w.name);
      else t.is(x.dtype, w.ggml_type);
    }
    if (f.file === 'gguf_quant.gguf') t.true([...got.tensors.values()].every((x) => x.dtype === 'F32'));
  });
}

for (const f of badFiles('npy', 'npz', 'gguf', 'safetensors-sharded', 'safetensors', 'torch-zip', 'torch-legacy')) {
  test(`${f.expect}s ${f.file}: ${f.why}`, async (t) => {
    const sharded = f.format === 'safetensors-sharded';
    try {
      const file = await (sharded ? readFolder(`bad/${f.file}`) : read(bytesOf(`bad/${f.file}`), f.file));
      for (const x of file.tensors.values()) await x.bytes();
      // A zip archive with the wrong name is what it is.
      t.true(f.expect !== 'reject' || f.file === 'st_is_pickle.safetensors');
    } catch (e) {
      t.true(e instanceof CheckpointError, String(e));
      t.true((e as Error).message.includes(f.file));
      t.not((e as CheckpointError).offset, null, String(e));
      t.not(f.expect, 'accept');
    }
  });
}

const facts = (file: CheckpointFile): Promise<unknown> =>
  Promise.all([...file.tensors].map(async ([name, x]) => [name, x.dtype, x.shape, sha256(await x.bytes())]));

test('NumPy arrays and archives read back as they were', async (t) => {
  for (const f of goodFiles('npy', 'npz')) {
    const file = await read(bytesOf(`good/${f.file}`), f.file);
    t.deepEqual(await facts(await read(await collect(writeNpz(file.tensors)))), await facts(file), f.file);
    if (f.format === 'npy') {
      const [x] = file.tensors.values();
      t.deepEqual(await facts(await read(await collect(await writeNpy(x!)))), await facts(file), f.file);
    }
  }
  const bf16 = (await read(bytesOf('good/st_one_bf16.safetensors'))).tensors.get('x')!;
  await t.throwsAsync(writeNpy(bf16), { instanceOf: DTypeError, message: /BF16/ });
});

test('a model in several files reads back whole, whatever its names are', async (t) => {
  const file = await read(bytesOf('good/st_odd_names.safetensors'));
  const files = new Map<string, Uint8Array>();
  for (const [name, parts] of writeSharded(file.tensors, 16)) files.set(name, await collect(parts));
  t.true(files.size > 3);
  const beside = async (name: string) => bytesSource(files.get(name)!, name);
  const again = await openCheckpoint(await beside('model.safetensors.index.json'), beside);
  t.deepEqual(await facts(again), await facts(file));
});
