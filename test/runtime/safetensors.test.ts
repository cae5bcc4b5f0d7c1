/** safetensors against the corpus of good and damaged files that the reference implementation was measured on. */
import test from 'ava';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CheckpointError } from '../../src/runtime/errors.ts';
import { bf16Bits, bf16Value, f16Bits, f16Value } from '../../src/runtime/elem.ts';
import { readSafetensors, writeSafetensors, type TensorBytes } from '../../src/runtime/safetensors.ts';

const FOLDER = 'test/reference/checkpoints';

interface Expected {
  readonly file: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly tensors: readonly {
    readonly name: string;
    readonly dtype: string;
    readonly shape: number[];
    readonly nbytes: number;
    readonly sha256?: string;
    readonly hex?: string;
  }[];
}

const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
const concat = (parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));
const bytesOf = (name: string): Uint8Array => new Uint8Array(readFileSync(`${FOLDER}/${name}`));

const GOOD = (
  'f8_all header_order_differs metadata_null odd_names one_bf16 one_c64 one_f16 one_f4 one_f6 one_f8_e4m3fnuz one_f8_e5m2 one_f8_e5m2fnuz ' +
  'one_i64 one_i8 one_u16 one_u64 rank8 rounding scalar_and_empty unknown_field unpadded_header'
).split(' ');

for (const name of GOOD) {
  test(`reads st_${name}`, (t) => {
    const bytes = bytesOf(`good/st_${name}.safetensors`);
    const want = json(`${FOLDER}/good/expected/st_${name}.safetensors.json`) as Expected;
    const file = readSafetensors(bytes);
    t.deepEqual([...file.tensors.keys()].sort(), want.tensors.map((x) => x.name).sort());
    for (const w of want.tensors) {
      const got = file.tensors.get(w.name)!;
      t.is(got.dtype, w.dtype);
      t.deepEqual(got.shape, w.shape);
      t.is(got.end - got.start, w.nbytes);
      const data = bytes.subarray(got.start, got.end);
      if (w.hex !== undefined) t.is(Buffer.from(data).toString('hex'), w.hex);
      else t.is(createHash('sha256').update(data).digest('hex'), w.sha256 ?? '');
    }
    t.deepEqual([...file.metadata].sort(), Object.entries(want.metadata ?? {}).sort());
  });
}

interface Damaged {
  readonly format: string;
  readonly file: string;
  readonly expect: 'accept' | 'reject' | 'either';
  readonly why: string;
}

const damaged = (json(`${FOLDER}/bad/manifest.json`) as { files: Damaged[] }).files;
for (const d of damaged.filter((f) => f.format === 'safetensors')) {
  test(`${d.expect}s ${d.file}: ${d.why}`, (t) => {
    const read = (): unknown => readSafetensors(bytesOf(`bad/${d.file}`), d.file);
    try {
      read();
      t.not(d.expect, 'reject');
    } catch (e) {
      t.not(d.expect, 'accept');
      t.true(e instanceof CheckpointError, String(e));
      t.true((e as Error).message.startsWith(`${d.file}: `));
    }
    t.is(({} as Record<string, unknown>)['polluted'], undefined);
  });
}

test('a pointer of Git LFS and a zip archive are called by their names', (t) => {
  t.throws(() => readSafetensors(bytesOf('bad/st_git_lfs_pointer.safetensors')), { message: /git.lfs/i });
  t.throws(() => readSafetensors(bytesOf('bad/st_is_pickle.safetensors')), { message: /zip/ });
});

test('what is written reads back, whatever the names are', (t) => {
  const names = ['0', 'a.b', '__proto__', 'constructor', 'é\u0000"\\', '', '10', '2'];
  const tensors = new Map(
    names.map((name, i): [string, TensorBytes] => {
      const wide = i % 2 === 0;
      const bytes = Uint8Array.from({ length: wide ? 8 : 3 }, (_, j) => i * 16 + j);
      return [name, { dtype: wide ? 'F32' : 'BOOL', shape: wide ? [2, 1] : [3], bytes }];
    }),
  );
  const bytes = concat(writeSafetensors(tensors, new Map([['format', 'pt']])));
  const file = readSafetensors(bytes);
  t.is(file.tensors.size, names.length);
  t.is(file.metadata.get('format'), 'pt');
  for (const [name, want] of tensors) {
    const got = file.tensors.get(name)!;
    t.deepEqual([got.dtype, got.shape], [want.dtype, want.shape]);
    t.deepEqual(bytes.slice(got.start, got.end), want.bytes);
    if (got.dtype === 'F32') t.is(got.start % 4, 0);
  }
  t.deepEqual(concat(writeSafetensors(tensors, new Map([['format', 'pt']]))), bytes);
});

test('floats round to half and bfloat16 as PyTorch rounds them', (t) => {
  const bytes = bytesOf('good/st_rounding.safetensors');
  const file = readSafetensors(bytes);
  const part = (name: string): ArrayBuffer => {
    const { start, end } = file.tensors.get(name)!;
    return bytes.slice(start, end).buffer;
  };
  const values = new Float32Array(part('f32'));
  const check = (name: string, round: (v: number) => number, widen: (b: number) => number): void => {
    const want = new Uint16Array(part(name));
    values.forEach((v, i) => {
      const got = round(v);
      // NaNs may differ in payload.
      if (Number.isNaN(v)) t.true(Number.isNaN(widen(got)));
      else t.is(got, want[i]!, `${name} of ${v}`);
      if (!Number.isNaN(v)) t.is(round(widen(got)), got);
    });
  };
  check('f16', f16Bits, f16Value);
  check('bf16', bf16Bits, bf16Value);
});
