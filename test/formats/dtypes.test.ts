/** Every element type of files, bit for bit and as numbers, against files that PyTorch wrote and reads. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWeights } from '../../src/index.ts';
import { valuesOf } from '../../src/runtime/formats/dtypes.ts';
import { netwright } from '../support/cli.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';

/** Bits of an element, and PyTorch's name. */
const TYPES: readonly [dtype: string, bits: number, torch: string][] = [
  ['F64', 64, 'float64'],
  ['F32', 32, 'float32'],
  ['F16', 16, 'float16'],
  ['BF16', 16, 'bfloat16'],
  ['F8_E4M3', 8, 'float8_e4m3fn'],
  ['F8_E4M3FNUZ', 8, 'float8_e4m3fnuz'],
  ['F8_E5M2', 8, 'float8_e5m2'],
  ['F8_E5M2FNUZ', 8, 'float8_e5m2fnuz'],
  ['F8_E8M0', 8, 'float8_e8m0fnu'],
  ['I64', 64, 'int64'],
  ['I32', 32, 'int32'],
  ['I16', 16, 'int16'],
  ['I8', 8, 'int8'],
  ['U64', 64, 'uint64'],
  ['U32', 32, 'uint32'],
  ['U16', 16, 'uint16'],
  ['U8', 8, 'uint8'],
  ['BOOL', 8, 'bool'],
  ['C64', 64, 'complex64'],
  ['C32', 32, 'complex32'],
  ['C128', 128, 'complex128'],
];

/** What safetensors has no name for, or its module for PyTorch does not write. */
const NO_SAFETENSORS = new Set(['C32', 'C128', 'F8_E8M0']);

/**
 * One tensor of each type: all patterns of 8 and 16 bits, else words from a hash with the extremes among them. As numbers they are
 * told as text: Python's of an integer, the bits of a double of a float.
 */
const WRITE = `
import hashlib, struct, safetensors.torch
def patterns(name, bits):
    dt = getattr(torch, name)
    if name == 'bool': return torch.tensor([True, False, True])
    if bits <= 16: return torch.arange(2 ** bits, dtype=torch.int32).to(torch.uint8 if bits == 8 else torch.uint16).view(dt)
    raw = b''.join(hashlib.sha256(f'{name}{i}'.encode()).digest() for i in range(64)) + b'\\xff' * 32 + b'\\0' * 32 + b'\\0' * 7 + b'\\x80' + b'\\xff' * 7 + b'\\x7f' + b'\\0' * 16
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8).view(dt)
made = {st: patterns(name, bits) for st, bits, name in given['types']}
torch.save(made, given['pt'])
safetensors.torch.save_file({k: v for k, v in made.items() if k not in given['not']}, given['st'])
def numbers(t):
    if t.is_complex(): return None
    if not t.is_floating_point(): return [str(int(v)) for v in t.tolist()]
    return [struct.pack('<d', v).hex() if v == v else 'nan' for v in t.to(torch.float64).tolist()]
def sha(t): return hashlib.sha256(t.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
print(json.dumps({k: [sha(v), numbers(v)] for k, v in made.items()}))`;

const READ = `
import hashlib, numpy, safetensors.torch
def sha(t): return hashlib.sha256(t.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
def facts(d): return {k: [str(v.dtype)[6:], sha(v)] for k, v in d.items()}
print(json.dumps([facts(torch.load(given['pt'], weights_only=True)), facts(safetensors.torch.load_file(given['st'])),
  facts({k: torch.from_numpy(v) for k, v in numpy.load(given['npz']).items()})]))`;

type Names = [string, string, string, string, string, string, string];

const asTold = (v: number | bigint, float: boolean): string =>
  !float ? String(v) : Number.isNaN(v) ? 'nan' : Buffer.from(Float64Array.of(Number(v)).buffer).toString('hex');

onPyTorch()('files of PyTorch in every element type are read, widened and written to the bit', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-dtypes-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const names = ['a.pt', 'a.safetensors', 'b.pt', 'b.safetensors', 'b.npz', 'e8.safetensors', 'no.safetensors'];
  const [pt, st, pt2, st2, npz, e8, no] = names.map((n) => join(folder, n)) as Names;
  const said = askPyTorch<Record<string, [string, string[] | null]>>(WRITE, {
    types: TYPES,
    not: [...NO_SAFETENSORS],
    pt,
    st,
  });
  for (const path of [pt, st]) {
    const file = await openWeights(path);
    for (const [dtype] of TYPES) {
      if (path === st && NO_SAFETENSORS.has(dtype)) continue;
      const tensor = file.tensors.get(dtype)!;
      const bytes = await tensor.bytes();
      const [sha, numbers] = said[dtype]!;
      t.is(tensor.dtype, dtype);
      t.is(createHash('sha256').update(bytes).digest('hex'), sha, dtype);
      const values = valuesOf(dtype, bytes);
      const float = /^B?F/.test(dtype);
      t.deepEqual(values && Array.from(values as ArrayLike<number>, (v) => asTold(v, float)), numbers, dtype);
    }
    await file.close();
  }
  // Each format from the other; what safetensors cannot hold is refused by name.
  const convert = async (...args: readonly string[]): Promise<string> => {
    const { code, err } = await netwright(['convert', ...args]);
    return code === 0 ? '' : err;
  };
  const only = `^(?!${[...NO_SAFETENSORS].join('|')})`;
  t.is(await convert(pt, st2, '--only', only), '');
  t.is(await convert(st, npz, '--only', '^(?!BF|F8)'), '');
  t.is(await convert(pt, e8, '--only', 'E8M0'), '');
  t.is(await convert(st, pt2), '');
  t.regex(await convert(pt, no), /C\d+ is C\d+, which safetensors does not have/);
  const own = TYPES.filter(([d]) => !NO_SAFETENSORS.has(d));
  const want = Object.fromEntries(own.map(([d, , torch]) => [d, [torch, said[d]![0]]]));
  const [fromPt, fromSt, fromNpz] = askPyTorch<Record<string, [string, string]>[]>(READ, { pt: pt2, st: st2, npz });
  t.deepEqual(fromPt, want);
  t.deepEqual(fromSt, want);
  const plain = own.filter(([d]) => !/^(BF|F8)/.test(d));
  t.deepEqual(fromNpz, Object.fromEntries(plain.map(([d, , torch]) => [d, [torch, said[d]![0]]])));
  const scale = await openWeights(e8);
  const bytes = await scale.tensors.get('F8_E8M0')!.bytes();
  t.deepEqual(
    [...bytes],
    Array.from({ length: 256 }, (_, i) => i),
  );
  await scale.close();
});
