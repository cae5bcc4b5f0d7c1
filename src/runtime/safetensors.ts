/**
 * safetensors (https://github.com/huggingface/safetensors): 8 bytes with the header's length, a JSON header, the data.
 * Reading validates everything before it trusts anything: the data must be covered exactly, without gaps or overlaps.
 */
import { CheckpointError } from './errors.ts';
import type { FileTensor } from './formats/checkpoint.ts';
import { BITS } from './formats/dtypes.ts';
import { JsonFault, parseJson, type Json } from './json.ts';

/** Types of other formats. */
const FOREIGN: ReadonlySet<string> = new Set(['C32', 'C128']);
const MAX_HEADER = 100_000_000;
const MAX_RANK = 64;

export interface StoredTensor {
  /** `F32`, `BF16`, `I64`, ... */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Byte range in the file. */
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsFile {
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** Reads the header of a file that is in memory. `file` is for messages. Throws CheckpointError for whatever is not exactly right. */
export const readSafetensors = (bytes: Uint8Array, file = ''): SafetensorsFile =>
  readHeader(bytes, headerLength(bytes, bytes.length, file), bytes.length, file);

/** How long the header says that it is. `start` has the file's first bytes, more than 8 only for the message of another format. */
export function headerLength(start: Uint8Array, size: number, file = ''): number {
  if (size < 8) throw new CheckpointError(file, `a safetensors file has at least 8 bytes, this one has ${size}`, 0);
  const length = Number(new DataView(start.buffer, start.byteOffset, start.byteLength).getBigUint64(0, true));
  if (length > MAX_HEADER || length > size - 8) throw new CheckpointError(file, notSafetensors(start, length, size), 0);
  return length;
}

/** `start` has the header whole; the file has `size` bytes. */
export function readHeader(start: Uint8Array, length: number, size: number, file = ''): SafetensorsFile {
  const fail = (what: string, at = 0): never => {
    throw new CheckpointError(file, what, at);
  };
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(start.subarray(8, 8 + length));
  } catch {
    return fail('the header is not UTF-8');
  }
  let header: Json;
  try {
    header = parseJson(text);
  } catch (e) {
    if (e instanceof JsonFault) {
      return fail(`the header is no JSON: ${e.message}`, 8 + new TextEncoder().encode(text.slice(0, e.at)).length);
    }
    throw e;
  }
  if (!(header instanceof Map)) return fail('the header is not a JSON object');
  const tensors = new Map<string, StoredTensor>();
  const metadata = new Map<string, string>();
  for (const [name, entry] of header as ReadonlyMap<string, Json>) {
    if (name === '__metadata__') {
      if (entry === null) continue;
      if (!(entry instanceof Map)) return fail('__metadata__ is not an object');
      for (const [k, v] of entry as ReadonlyMap<string, Json>) {
        if (typeof v !== 'string') return fail(`__metadata__: ${JSON.stringify(k)} is not a string`);
        metadata.set(k, v);
      }
    } else tensors.set(name, readEntry(name, entry, 8 + length, size, fail));
  }
  checkCover(tensors, 8 + length, size, fail);
  return { tensors, metadata };
}

function notSafetensors(start: Uint8Array, length: number, size: number): string {
  const head = new TextDecoder('latin1').decode(start.subarray(0, 40));
  if (head.startsWith('PK')) return 'this is a zip archive (a PyTorch .pt file?), not safetensors';
  // PROTO and a version: a safetensors file of that header would have zeros where a pickle goes on.
  if (start[0] === 0x80 && start[1]! >= 2 && start[1]! <= 5)
    return 'this is a pickle of Python, not a file of weights: nothing in it was run; save a state_dict() with torch.save';
  if (head.startsWith('version https://git-lfs'))
    return 'this is a git-lfs pointer: the file itself has not been fetched (git lfs pull)';
  return `the header would have ${length} bytes and the file has ${size}: not a safetensors file, or cut short`;
}

function readEntry(
  name: string,
  entry: Json,
  dataStart: number,
  fileEnd: number,
  fail: (what: string, at?: number) => never,
): StoredTensor {
  const label = JSON.stringify(name);
  if (!(entry instanceof Map)) return fail(`${label} is not an object`);
  const fields = entry as ReadonlyMap<string, Json>;
  const dtype = fields.get('dtype');
  const shape = fields.get('shape');
  const offsets = fields.get('data_offsets');
  const bits = typeof dtype === 'string' && !FOREIGN.has(dtype) ? BITS.get(dtype) : undefined;
  if (bits === undefined || typeof dtype !== 'string')
    return fail(`${label}: there is no element type ${JSON.stringify(dtype ?? null)}`);
  if (!isSizes(shape)) return fail(`${label}: the shape is not a list of whole numbers`);
  if (shape.length > MAX_RANK) return fail(`${label}: ${shape.length} dims, at most ${MAX_RANK} are read`);
  if (!isSizes(offsets) || offsets.length !== 2) return fail(`${label}: data_offsets is not a pair of whole numbers`);
  const [from, to] = offsets as [number, number];
  const needed = shape.reduce((n, d) => n * BigInt(d), BigInt(bits));
  if (needed % 8n !== 0n) return fail(`${label}: [${shape.join(', ')}] of ${dtype} is not a whole number of bytes`);
  if (to < from || dataStart + to > fileEnd)
    return fail(`${label}: bytes ${from} to ${to} are outside the file's data (${fileEnd - dataStart} bytes)`);
  if (BigInt(to - from) !== needed / 8n) {
    return fail(
      `${label}: [${shape.join(', ')}] of ${dtype} needs ${needed / 8n} bytes, the file gives it ${to - from}`,
    );
  }
  return { dtype, shape, start: dataStart + from, end: dataStart + to };
}

const isSizes = (v: Json | undefined): v is readonly number[] =>
  Array.isArray(v) && v.every((n) => typeof n === 'number');

function checkCover(
  tensors: ReadonlyMap<string, StoredTensor>,
  start: number,
  end: number,
  fail: (what: string, at?: number) => never,
): void {
  let at = start;
  for (const [name, t] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (t.start !== at)
      fail(
        `${JSON.stringify(name)} starts at byte ${t.start}, where ${at} is expected: tensors overlap or leave a gap`,
        t.start,
      );
    at = t.end;
  }
  if (at !== end) fail(`${end - at} bytes at the end belong to no tensor`, at);
}

export interface TensorBytes {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The pieces of a file, in order: header, then the data of each tensor. */
export function writeSafetensors(
  tensors: ReadonlyMap<string, TensorBytes>,
  metadata: ReadonlyMap<string, string> = new Map(),
): Uint8Array[] {
  const sized = [...tensors].map(([name, t]) => [name, { ...t, nbytes: t.bytes.length }] as const);
  const { head, order } = layout(new Map(sized), metadata);
  return [head, ...order.map((t) => t.bytes)];
}

/**
 * The same, each tensor fetched when its turn comes: no more than one is in memory, and of one that lies in a file on a disk
 * only a part. A piece is valid until the next is asked for.
 */
export async function* streamSafetensors(
  tensors: ReadonlyMap<string, FileTensor>,
  metadata: ReadonlyMap<string, string> = new Map(),
): AsyncGenerator<Uint8Array> {
  const { head, order } = layout(tensors, metadata);
  yield head;
  for (const t of order) {
    if (t.place) yield* inParts(t.place, t.nbytes);
    else yield await t.bytes();
  }
}

/** Of the order of a processor's second cache, from which a part is then written. */
const PART = 1 << 20;

/** Two buffers take turns: one is read while the other is written. */
async function* inParts(
  { disk, offset }: NonNullable<FileTensor['place']>,
  length: number,
): AsyncGenerator<Uint8Array> {
  const [a, b] = [0, 1].map(() => new Uint8Array(Math.min(PART, length))) as [Uint8Array, Uint8Array];
  const read = async (at: number): Promise<Uint8Array> => {
    const part = ((at / PART) % 2 === 0 ? a : b).subarray(0, length - at);
    await disk.fill(offset + at, part);
    return part;
  };
  let next = read(0);
  for (let at = 0; at < length; at += PART) {
    const now = await next;
    if (at + PART < length) {
      next = read(at + PART);
      next.catch(() => undefined); // thrown when its turn comes, if it does
    }
    yield now;
  }
}

interface Sized {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly nbytes: number;
}

/**
 * The header, and the order of the data. As the reference writer does, larger elements come first and the header is padded
 * to 8 bytes, so that every tensor is aligned.
 */
function layout<T extends Sized>(
  tensors: ReadonlyMap<string, T>,
  metadata: ReadonlyMap<string, string>,
): { head: Uint8Array; order: T[] } {
  const order = [...tensors].sort(
    ([na, a], [nb, b]) => BITS.get(b.dtype)! - BITS.get(a.dtype)! || (na < nb ? -1 : na > nb ? 1 : 0),
  );
  const entries: [string, unknown][] = [];
  if (metadata.size > 0) entries.push(['__metadata__', Object.fromEntries(metadata)]);
  let at = 0;
  for (const [name, t] of order) {
    entries.push([name, { dtype: t.dtype, shape: t.shape, data_offsets: [at, at + t.nbytes] }]);
    at += t.nbytes;
  }
  // Not through an object: a tensor may be called "__proto__".
  const json = `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`;
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  const head = new Uint8Array(8 + length).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(length), true);
  head.set(text, 8);
  return { head, order: order.map(([, t]) => t) };
}
