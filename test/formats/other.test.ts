/** NumPy, GGUF and sharded safetensors against the corpus; what is written reads back. */
import test from 'ava';
import { readdirSync } from 'node:fs';
import { CheckpointError, DTypeError } from '../../src/runtime/errors.ts';
import type { CheckpointFile } from '../../src/runtime/formats/checkpoint.ts';
import { readGguf } from '../../src/runtime/formats/gguf.ts';
import { readNpz, writeNpy, writeNpz } from '../../src/runtime/formats/npy.ts';
import { readCheckpoint } from '../../src/runtime/formats/read.ts';
import { readIndex, readSharded, writeSharded } from '../../src/runtime/formats/sharded.ts';
import { badFiles, bytesOf, expectedOf, FOLDER, goodFiles, sameBytes, sha256 } from './corpus.ts';

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

function readFolder(folder: string): CheckpointFile {
  const index = readIndex(bytesOf(`${folder}/model.safetensors.index.json`), folder);
  const files = readdirSync(`${FOLDER}/${folder}`).filter((n) => n.endsWith('.safetensors'));
  return readSharded(index, new Map(files.map((n) => [n, { bytes: bytesOf(`${folder}/${n}`), file: folder }])), folder);
}

for (const f of goodFiles('npy', 'npz', 'safetensors-sharded', 'safetensors')) {
  test(`reads ${f.file}: ${f.note}`, (t) => {
    const want = expectedOf(f);
    const sharded = f.format === 'safetensors-sharded';
    const got = sharded ? readFolder(`good/${f.file}`) : readCheckpoint(bytesOf(`good/${f.file}`), f.file);
    t.is(got.format as string, sharded ? 'safetensors' : f.format);
    t.deepEqual([...got.tensors.keys()].sort(), want.tensors.map((w) => w.name).sort());
    for (const w of want.tensors) {
      const x = got.tensors.get(w.name)!;
      t.is(x.dtype, w.dtype ?? NUMPY[w.npdtype!.slice(1)]!);
      t.deepEqual(x.shape, w.shape);
      t.true(sameBytes(x, w), w.name);
    }
  });
}

test('a tied name stands in the metadata of the shards', (t) => {
  t.is(readFolder('good/sharded_tied').metadata.get('wte.weight'), 'lm_head.weight');
});

interface GgufExpected {
  readonly name: string;
  readonly ggml_type: string;
  readonly shape_row_major: number[];
  readonly raw_sha256: string;
  readonly dequantized_f32_sha256: string;
}

for (const f of goodFiles('gguf')) {
  test(`reads ${f.file}: ${f.note}`, (t) => {
    const got = readGguf(bytesOf(`good/${f.file}`), f.file);
    const want = expectedOf(f).tensors as unknown as readonly GgufExpected[];
    t.deepEqual(
      [...got.tensors.keys()],
      want.map((w) => w.name),
    );
    for (const w of want) {
      const x = got.tensors.get(w.name)!;
      t.is(x.stored, w.ggml_type);
      t.deepEqual(x.shape, w.shape_row_major);
      t.is(sha256(x.raw()), w.raw_sha256);
      if (x.dtype === 'F32') t.is(sha256(x.bytes()), w.dequantized_f32_sha256, w.name);
      else t.is(x.dtype, w.ggml_type);
    }
    if (f.file === 'gguf_quant.gguf') t.true([...got.tensors.values()].every((x) => x.dtype === 'F32'));
  });
}

for (const f of badFiles('npy', 'npz', 'gguf', 'safetensors-sharded', 'safetensors', 'torch-zip', 'torch-legacy')) {
  test(`${f.expect}s ${f.file}: ${f.why}`, (t) => {
    const sharded = f.format === 'safetensors-sharded';
    try {
      const file = sharded ? readFolder(`bad/${f.file}`) : readCheckpoint(bytesOf(`bad/${f.file}`), f.file);
      for (const x of file.tensors.values()) x.bytes();
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

const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts)).slice();
const facts = (file: CheckpointFile): unknown =>
  [...file.tensors].map(([name, x]) => [name, x.dtype, x.shape, sha256(x.bytes())]);

test('NumPy arrays and archives read back as they were', (t) => {
  for (const f of goodFiles('npy', 'npz')) {
    const file = readCheckpoint(bytesOf(`good/${f.file}`), f.file);
    t.deepEqual(facts(readNpz(concat(writeNpz(file.tensors)))), facts(file), f.file);
    if (f.format === 'npy') {
      const [x] = file.tensors.values();
      t.deepEqual(facts(readCheckpoint(concat(writeNpy(x!)))), facts(file), f.file);
    }
  }
  const bf16 = readCheckpoint(bytesOf('good/st_one_bf16.safetensors')).tensors.get('x')!;
  t.throws(() => writeNpy(bf16), { instanceOf: DTypeError, message: /BF16/ });
});

test('a model in several files reads back whole, whatever its names are', (t) => {
  const file = readCheckpoint(bytesOf('good/st_odd_names.safetensors'));
  const tensors = new Map([...file.tensors].map(([k, x]) => [k, { dtype: x.dtype, shape: x.shape, bytes: x.bytes() }]));
  const files = writeSharded(tensors, 16);
  t.true(files.size > 3);
  const bytes = new Map([...files].map(([name, parts]) => [name, { bytes: concat(parts), file: name }]));
  const index = readIndex(bytes.get('model.safetensors.index.json')!.bytes);
  t.deepEqual(facts(readSharded(index, bytes)), facts(file));
});
