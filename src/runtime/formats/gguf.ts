/**
 * GGUF (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), versions 2 and 3, little-endian: notes, tensor
 * descriptions, data. F32, F16 and the blocks of 32 are read as numbers; other blocks are listed with their raw bytes.
 */
import type { CheckpointFile, FileTensor } from './checkpoint.ts';
import { GGUF_TYPES, type GgufType } from './gguf-types.ts';
import { parseStart, type ByteReader } from './reader.ts';
import type { ByteSource } from '../sources/source.ts';
import { countOf } from './strided.ts';
import { quote } from './zip.ts';

export interface GgufTensor extends FileTensor {
  /** `Q4_0`, `F16`, ...: as the file has it. */
  readonly stored: string;
  raw(): Promise<Uint8Array>;
}

export interface GgufFile extends CheckpointFile {
  readonly format: 'gguf';
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

const MAX_DIMS = 4;
const MAX_NAME = 65_535;
const MAX_ARRAY_DEPTH = 4;
const MAX_ALIGNMENT = 1 << 20;
/** Notes are for people: of long arrays the first values. */
const SHOWN = 8;

export const isGguf = (bytes: Uint8Array): boolean =>
  bytes[0] === 0x47 && bytes[1] === 0x47 && bytes[2] === 0x55 && bytes[3] === 0x46;

export async function openGguf(source: ByteSource): Promise<GgufFile> {
  const { tensors, metadata } = await parseStart(source, (r) => describe(r, source));
  return { format: 'gguf', file: source.name, tensors, metadata, close: () => source.close() };
}

function describe(r: ByteReader, source: ByteSource): Pick<GgufFile, 'tensors' | 'metadata'> {
  if (!isGguf(r.bytes)) r.fail('this is not a GGUF file (no GGUF at the start)');
  r.skip(4);
  const version = r.u32();
  if (version !== 2 && version !== 3)
    r.fail(
      version & 0xffff ? `version ${version} of GGUF is not read: 2 and 3 are` : 'a big-endian file is not read',
      4,
    );
  const tensorCount = r.size('the number of tensors');
  const noteCount = r.size('the number of notes');

  const metadata = new Map<string, string>();
  for (let i = 0; i < noteCount; i++) {
    const at = r.at;
    const key = text(r, MAX_NAME);
    if (metadata.has(key)) r.fail(`the note ${quote(key)} stands twice`, at);
    metadata.set(key, value(r, r.u32(), 0));
  }
  const alignment = Number(metadata.get('general.alignment') ?? 32);
  if (!Number.isInteger(alignment) || alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)) !== 0)
    r.fail(`the alignment is ${quote(String(alignment))}, no power of two`);

  const infos: (TensorInfo & { at: number })[] = [];
  for (let i = 0; i < tensorCount; i++) infos.push({ at: r.at, ...tensorInfo(r) });
  const start = Math.ceil(r.at / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const { at, name, type, shape, offset } of infos) {
    if (tensors.has(name)) r.fail(`the tensor ${quote(name)} stands twice`, at);
    if (offset % alignment !== 0) r.fail(`${quote(name)} starts at ${offset}, no multiple of ${alignment}`, at);
    const size = (countOf(shape) / type.block) * type.size;
    const from = start + offset;
    if (from + size > r.end) r.fail(`${quote(name)} would be bytes ${from} to ${from + size} of ${r.end}`, at);
    tensors.set(
      name,
      made(type, shape, size, () => source.read(from, size)),
    );
  }
  checkApart(infos, r);
  return { tensors, metadata };
}

interface TensorInfo {
  readonly name: string;
  readonly type: GgufType;
  /** Row-major: the file has the fastest dim first. */
  readonly shape: readonly number[];
  readonly offset: number;
}

function tensorInfo(r: ByteReader): TensorInfo {
  const at = r.at;
  const name = text(r, MAX_NAME);
  const rank = r.u32();
  if (rank > MAX_DIMS) r.fail(`${quote(name)} has ${rank} dims, at most ${MAX_DIMS} are possible`, at);
  const shape = Array.from({ length: rank }, () => r.size('a dim')).reverse();
  const code = r.u32();
  const type = GGUF_TYPES.get(code) ?? r.fail(`${quote(name)} has the unknown element type ${code}`, at);
  const bytes = shape.reduce((n, d) => n * BigInt(d), BigInt(type.size));
  if (bytes > BigInt(Number.MAX_SAFE_INTEGER))
    r.fail(`${quote(name)} of [${shape.join(', ')}] is larger than any file`, at);
  const row = shape.at(-1) ?? 1;
  if (row % type.block !== 0)
    r.fail(`${quote(name)} has rows of ${row}, no multiple of the ${type.block} of ${type.name}`, at);
  return { name, type, shape, offset: r.size('an offset') };
}

function made(type: GgufType, shape: readonly number[], size: number, raw: GgufTensor['raw']): GgufTensor {
  const { widen } = type;
  if (!widen) {
    return { dtype: type.dtype ?? type.name, stored: type.name, shape, nbytes: size, bytes: raw, raw };
  }
  const count = countOf(shape);
  const bytes = async (): Promise<Uint8Array> => {
    const [out, packed] = [new Float32Array(count), await raw()];
    for (let at = 0, to = 0; to < count; at += type.size, to += type.block) widen(packed, at, out, to);
    return new Uint8Array(out.buffer);
  };
  return { dtype: 'F32', stored: type.name, shape, nbytes: count * 4, bytes, raw };
}

function checkApart(infos: readonly (TensorInfo & { at: number })[], r: ByteReader): void {
  let end = 0;
  for (const { at, name, type, shape, offset } of [...infos].sort((a, b) => a.offset - b.offset)) {
    if (countOf(shape) === 0) continue;
    if (offset < end) r.fail(`${quote(name)} shares bytes with another tensor`, at);
    end = offset + (countOf(shape) / type.block) * type.size;
  }
}

function text(r: ByteReader, limit: number): string {
  const at = r.at;
  const length = r.size('the length of a text');
  if (length > limit || length > r.left) r.fail(`a text of ${length} bytes`, at);
  return r.text(length);
}

/** Readers of plain values, by the codes of the format; 8 is text and 9 an array. */
const SCALARS: ReadonlyMap<number, { readonly width: number; read(r: ByteReader): number | bigint | boolean }> =
  new Map([
    [0, { width: 1, read: (r: ByteReader) => r.u8() }],
    [1, { width: 1, read: (r: ByteReader) => (r.u8() << 24) >> 24 }],
    [2, { width: 2, read: (r: ByteReader) => r.u16() }],
    [3, { width: 2, read: (r: ByteReader) => (r.u16() << 16) >> 16 }],
    [4, { width: 4, read: (r: ByteReader) => r.u32() }],
    [5, { width: 4, read: (r: ByteReader) => r.i32() }],
    [6, { width: 4, read: (r: ByteReader) => r.f32() }],
    [7, { width: 1, read: (r: ByteReader) => r.u8() !== 0 }],
    [10, { width: 8, read: (r: ByteReader) => r.u64() }],
    [11, { width: 8, read: (r: ByteReader) => r.i64() }],
    [12, { width: 8, read: (r: ByteReader) => r.f64() }],
  ]);

function value(r: ByteReader, type: number, depth: number): string {
  const scalar = SCALARS.get(type);
  if (scalar) return String(scalar.read(r));
  if (type === 8) return text(r, r.left);
  if (type !== 9) return r.fail(`a note of the unknown type ${type}`);
  if (depth >= MAX_ARRAY_DEPTH) return r.fail(`arrays nested more than ${MAX_ARRAY_DEPTH} deep`);
  const of = r.u32();
  const count = r.size('the length of an array');
  const shown: string[] = [];
  const elements = SCALARS.get(of);
  const more = count > SHOWN ? `, ... ${count} values` : '';
  if (elements) {
    const from = r.at;
    const end = r.skip(count * elements.width) + count * elements.width;
    r.at = from;
    for (let i = 0; i < Math.min(count, SHOWN); i++) shown.push(String(elements.read(r)));
    r.at = end;
  } else {
    for (let i = 0; i < count; i++) {
      const v = value(r, of, depth + 1);
      if (i < SHOWN) shown.push(v);
    }
  }
  return `[${shown.join(', ')}${more}]`;
}
