/**
 * The safetensors format (https://github.com/huggingface/safetensors): an 8-byte length, a JSON header, raw little-endian
 * tensors without gaps. Reading trusts nothing: what the reference implementation rejects is rejected, and duplicate names
 * as well. Pure functions on bytes; files are the business of `node/`.
 */
import type { Elem } from './artifact.ts';
import { CheckpointError } from './errors.ts';
import { JsonFault, parseJson, type Json } from './json.ts';

/** Bits of an element, by the format's names. */
const BITS: ReadonlyMap<string, number> = new Map([
  ...['F64', 'I64', 'U64', 'C64'].map((n) => [n, 64] as const),
  ...['F32', 'I32', 'U32'].map((n) => [n, 32] as const),
  ...['F16', 'BF16', 'I16', 'U16'].map((n) => [n, 16] as const),
  ...['BOOL', 'U8', 'I8', 'F8_E5M2', 'F8_E4M3', 'F8_E8M0', 'F8_E4M3FNUZ', 'F8_E5M2FNUZ'].map((n) => [n, 8] as const),
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['F4', 4],
]);

/** The reference's bound on the header. */
const MAX_HEADER = 100_000_000;
/** No tensor of a network comes near; PyTorch stops at 64. */
const MAX_RANK = 64;

export interface StoredTensor {
  /** The format's name: `F32`, `BF16`, `I64`, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Bytes [start, end) of the file. They need not be aligned: copy before making a typed array. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsFile {
  /** In the order of the header. */
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Checks a whole file and says where its tensors lie. `source` is named in errors. Throws CheckpointError. */
export function readSafetensors(bytes: Uint8Array, source = ''): SafetensorsFile {
  const fault = (message: string): CheckpointError => new CheckpointError(source, message);
  if (bytes.length < 8) throw fault(`a safetensors file has at least 8 bytes, this has ${bytes.length}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER) || length > BigInt(bytes.length - 8)) throw fault(notSafetensors(bytes, length));
  const dataStart = 8 + Number(length);
  const header = parseHeader(bytes.subarray(8, dataStart), fault);

  const tensors = new Map<string, StoredTensor>();
  let metadata: ReadonlyMap<string, string> = new Map();
  for (const [name, entry] of header) {
    if (name === '__metadata__') metadata = readMetadata(entry, fault);
    else tensors.set(name, readEntry(name, entry, dataStart, fault));
  }
  checkCover(tensors, dataStart, bytes.length, fault);
  return { tensors, metadata };
}

type Fault = (message: string) => CheckpointError;

function parseHeader(raw: Uint8Array, fault: Fault): ReadonlyMap<string, Json> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    throw fault('the header is not UTF-8');
  }
  let header: Json;
  try {
    header = parseJson(text);
  } catch (e) {
    throw e instanceof JsonFault ? fault(`the header is not valid JSON: ${e.message}`) : e;
  }
  if (!(header instanceof Map)) throw fault('the header is not an object');
  return header;
}

function readMetadata(entry: Json, fault: Fault): ReadonlyMap<string, string> {
  if (entry === null) return new Map();
  if (!(entry instanceof Map)) throw fault('__metadata__ is not an object');
  for (const [k, v] of entry) if (typeof v !== 'string') throw fault(`__metadata__: ${quote(k)} is not a string`);
  return entry as ReadonlyMap<string, string>;
}

function readEntry(name: string, entry: Json, dataStart: number, fault: Fault): StoredTensor {
  const bad = (what: string): CheckpointError => fault(`tensor ${quote(name)}: ${what}`);
  if (!(entry instanceof Map)) throw bad('its entry is not an object');
  const dtype = entry.get('dtype');
  const bits = typeof dtype === 'string' ? BITS.get(dtype) : undefined;
  if (typeof dtype !== 'string' || bits === undefined) throw bad(`unknown element type ${quote(String(dtype))}`);
  const shape = entry.get('shape');
  if (!isSizes(shape)) throw bad('its shape is not a list of sizes');
  if (shape.length > MAX_RANK) throw bad(`${shape.length} dims, at most ${MAX_RANK}`);
  const range = entry.get('data_offsets');
  if (!isSizes(range) || range.length !== 2) throw bad('data_offsets is not a pair of offsets');
  const [from, to] = range as [number, number];
  // In exact integers: sizes of up to 2^53 multiply far beyond what a number holds.
  const total = shape.reduce((n, d) => n * BigInt(d), 1n) * BigInt(bits);
  if (total % 8n !== 0n) throw bad(`${total} bits are no whole number of bytes`);
  if (total / 8n !== BigInt(to) - BigInt(from)) {
    throw bad(`${dtype}[${shape.join(', ')}] takes ${total / 8n} bytes, its offsets give ${to - from}`);
  }
  return { dtype, shape, start: dataStart + from, end: dataStart + to };
}

const isSizes = (v: Json | undefined): v is readonly number[] =>
  Array.isArray(v) && v.every((n) => Number.isSafeInteger(n) && (n as number) >= 0 && !Object.is(n, -0));

/** Tensors must lie one after the other and fill the file: no gap, no overlap, nothing behind. */
function checkCover(tensors: ReadonlyMap<string, StoredTensor>, start: number, end: number, fault: Fault): void {
  let at = start;
  for (const [name, t] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (t.start !== at) throw fault(`tensor ${quote(name)} begins at byte ${t.start - start}, expected ${at - start}`);
    at = t.end;
  }
  if (at !== end) throw fault(`the tensors end at byte ${at} and the file at ${end}`);
}

/** The first bytes are no plausible length: says what the file is where it can be told. */
function notSafetensors(bytes: Uint8Array, length: bigint): string {
  const head = String.fromCharCode(...bytes.subarray(0, 24));
  if (head.startsWith('version https://git-lfs')) {
    return 'this is a Git LFS pointer, not the file itself: run `git lfs pull` to fetch it';
  }
  if (head.startsWith('PK\x03\x04')) return 'this is a zip archive (a PyTorch or npz file?), not safetensors';
  return `the header claims ${length} bytes, the file has ${bytes.length}`;
}

const quote = (s: string): string => JSON.stringify(s.length > 80 ? `${s.slice(0, 80)}...` : s);

/** One tensor of a file to write. `bytes` are raw, little-endian, row-major. */
export interface TensorBytes {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A file with those tensors in that order, wide elements first as the reference writes them. Deterministic. */
export function writeSafetensors(
  tensors: readonly TensorBytes[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const bits = (t: TensorBytes): number => BITS.get(t.dtype) ?? 0;
  const order = [...tensors].sort((a, b) => bits(b) - bits(a));
  const entries: string[] = [];
  if (Object.keys(metadata).length > 0) entries.push(`"__metadata__":${JSON.stringify(metadata)}`);
  const seen = new Set<string>(['__metadata__']);
  let at = 0;
  for (const t of order) {
    if (seen.has(t.name)) throw new CheckpointError('', `the name ${quote(t.name)} occurs twice`);
    seen.add(t.name);
    const end = at + t.bytes.length;
    const info = { dtype: t.dtype, shape: t.shape, data_offsets: [at, end] };
    entries.push(`${JSON.stringify(t.name)}:${JSON.stringify(info)}`);
    at = end;
  }
  const json = new TextEncoder().encode(`{${entries.join(',')}}`);
  const headerLength = Math.ceil(json.length / 8) * 8;
  const out = new Uint8Array(8 + headerLength + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(headerLength), true);
  out.fill(0x20, 8, 8 + headerLength).set(json, 8);
  let to = 8 + headerLength;
  for (const t of order) {
    out.set(t.bytes, to);
    to += t.bytes.length;
  }
  return out;
}

const NAMES: Readonly<Record<Elem, string>> = {
  f32: 'F32',
  f16: 'F16',
  bf16: 'BF16',
  i32: 'I32',
  u32: 'U32',
  bool: 'BOOL',
};

/** The format's name of an element type in memory. */
export const dtypeName = (elem: Elem): string => NAMES[elem];
