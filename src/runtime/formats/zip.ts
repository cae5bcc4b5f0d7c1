/**
 * Reads zip archives (APPNOTE 6.3.10: stored and deflated members, zip64) that may be hostile. The central directory and
 * the local headers must tell the same story, and no two members may share bytes: readers that disagree about a file are
 * how one file shows two faces. The headers are read here because no library checks this; inflating is fflate's.
 */
import { Inflate } from 'fflate';
import { CheckpointError } from '../errors.ts';
import { crc32 } from './crc32.ts';
import { ByteReader } from './reader.ts';
import { readRanges, type ByteSource } from '../sources/source.ts';

export interface ZipMember {
  readonly name: string;
  /** Inflated. */
  readonly size: number;
  /** Where its bytes start in the file. */
  readonly start: number;
  readonly packed: number;
  readonly deflated: boolean;
  readonly crc: number;
}

export interface ZipFile {
  readonly source: ByteSource;
  readonly members: ReadonlyMap<string, ZipMember>;
  /** Where the directory starts. */
  readonly directory: number;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
/** DEFLATE makes at most 258 bytes of 2 bits. */
const MAX_RATIO = 1032;

/** An archive's own description of itself: a few hundred bytes for each member. */
const MAX_DIRECTORY = 1 << 28;

export async function openZip(source: ByteSource): Promise<ZipFile> {
  const { start, size, count, tail } = await findDirectory(source);
  const whole = source.size;
  if (start + size > whole) tail.fail(`the directory would be bytes ${start} to ${start + size} of ${whole}`);
  if (size > MAX_DIRECTORY) tail.fail(`a directory of ${size} bytes is not read`);
  const r = new ByteReader(await source.read(start, size), source.name, 0, start);
  const entries: Entry[] = [];
  const names = new Set<string>();
  for (let i = 0; i < count; i++) {
    const at = r.at;
    const e = readEntry(r);
    if (names.has(e.name)) r.fail(`the archive has ${quote(e.name)} twice`, at);
    names.add(e.name);
    if (e.local + 30 + e.rawName.length > start)
      r.fail(`${quote(e.name)} would start at byte ${e.local}, past the members' end`, at);
    entries.push(e);
  }
  if (r.left > 0) r.fail(`the directory ends here, and at byte ${start + size} by its own account`);
  const ranges = entries.map((e) => ({ offset: e.local, length: 30 + e.rawName.length }));
  const headers = await readRanges(source, ranges);
  const members = new Map<string, ZipMember>();
  entries.forEach((e, i) => {
    const { name, packed, size, method, crc } = e;
    const at = checkLocal(new ByteReader(headers[i]!, source.name, 0, e.local), e);
    if (at + packed > start)
      r.fail(`${quote(name)} would be bytes ${at} to ${at + packed}, past the members' end at ${start}`, e.at);
    members.set(name, { name, size, start: at, packed, deflated: method === 8, crc });
  });
  checkApart(members, source.name);
  return { source, members, directory: start };
}

/** An end record, with a comment of at most 65535 bytes after it and a zip64 locator of 20 before it. */
const TAIL = 22 + 65_535 + 20;

async function findDirectory(
  source: ByteSource,
): Promise<{ start: number; size: number; count: number; tail: ByteReader }> {
  const base = Math.max(0, source.size - TAIL);
  const bytes = await source.read(base, source.size - base);
  const r = new ByteReader(bytes, source.name, 0, base);
  let at = bytes.length - 22;
  // The comment's length must lead exactly to the end of the file.
  const isEnd = (p: number): boolean => {
    if (bytes[p] !== 0x50 || bytes[p + 1] !== 0x4b || bytes[p + 2] !== 5 || bytes[p + 3] !== 6) return false;
    return p + 22 + (bytes[p + 20]! | (bytes[p + 21]! << 8)) === bytes.length;
  };
  const lowest = Math.max(0, at - 65535);
  while (at >= lowest && !isEnd(at)) at--;
  if (at < lowest) r.fail('this is not a whole zip archive: it has no end record', Math.max(0, bytes.length - 1));
  r.at = at + 4;
  const [disk, first, here, count] = [r.u16(), r.u16(), r.u16(), r.u16()];
  const [size, start] = [r.u32(), r.u32()];
  if (count !== 0xffff && size !== 0xffffffff && start !== 0xffffffff) {
    if (disk !== 0 || first !== 0 || here !== count) r.fail('an archive of several disks', at);
    return { start, size, count, tail: r };
  }
  if (at < 20) r.fail('the zip64 locator is missing', at);
  r.at = at - 20;
  if (r.u32() !== LOCATOR64) r.fail('the zip64 locator is missing', at - 20);
  r.skip(4);
  const record = r.size('the position of the zip64 end record');
  if (record + 56 > base + at) r.fail(`the zip64 end record would be at byte ${record}`, at - 12);
  const wide = new ByteReader(await source.read(record, 56), source.name, 0, record);
  if (wide.u32() !== END64) wide.fail('the zip64 end record is missing', 0);
  wide.skip(8 + 2 + 2 + 4 + 4);
  const [onDisk, total] = [wide.size('the number of members'), wide.size('the number of members')];
  if (onDisk !== total) wide.fail('an archive of several disks', 0);
  const bytesOf = wide.size("the directory's size");
  return { size: bytesOf, start: wide.size("the directory's position"), count: total, tail: r };
}

/** What the directory says of a member. */
interface Entry {
  readonly name: string;
  readonly rawName: Uint8Array;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  /** Where its own header is in the file. */
  readonly local: number;
  /** Where the entry is in the directory. */
  readonly at: number;
}

function readEntry(r: ByteReader): Entry {
  const at = r.at;
  if (r.u32() !== CENTRAL) r.fail('an entry of the directory is expected', at);
  r.skip(4);
  const flags = r.u16();
  const method = r.u16();
  r.skip(4);
  const crc = r.u32();
  let [packed, size] = [r.u32(), r.u32()];
  const [nameLength, extraLength, commentLength] = [r.u16(), r.u16(), r.u16()];
  r.skip(2 + 2 + 4);
  let local = r.u32();
  const rawName = r.take(nameLength);
  const extra = new ByteReader(r.take(extraLength), r.file, 0, r.base + r.at - extraLength);
  r.skip(commentLength);
  const name = memberName(rawName, r, at);
  if (flags & 0x2041) r.fail(`${quote(name)} is encrypted`, at);
  if (method !== 0 && method !== 8)
    r.fail(`${quote(name)} is packed by method ${method}: stored and DEFLATE are read`, at);
  if ([packed, size, local].includes(0xffffffff)) {
    const wide = zip64Field(extra);
    if (wide) {
      if (size === 0xffffffff) size = wide.size('a size');
      if (packed === 0xffffffff) packed = wide.size('a size');
      if (local === 0xffffffff) local = wide.size('a position');
    }
  }
  if (method === 0 && packed !== size) r.fail(`${quote(name)} is stored, with ${packed} bytes and ${size}`, at);
  if (size > packed * MAX_RATIO) r.fail(`${quote(name)} cannot inflate from ${packed} bytes to ${size}`, at);
  return { name, rawName, method, crc, packed, size, local, at };
}

/** The zip64 part of an extra field, which has only the numbers that do not fit 32 bits, in fixed order. */
function zip64Field(extra: ByteReader): ByteReader | null {
  while (extra.left >= 4) {
    const id = extra.u16();
    const length = extra.u16();
    const base = extra.base + extra.at;
    const field = extra.take(length);
    if (id === 1) return new ByteReader(field, extra.file, 0, base);
  }
  return null;
}

/** Where the member's bytes start, by its local header, which must agree. */
function checkLocal(local: ByteReader, want: Entry): number {
  if (local.u32() !== LOCAL) local.fail(`the header of ${quote(want.name)} is missing`, 0);
  local.skip(2);
  const flags = local.u16();
  const method = local.u16();
  local.skip(4);
  const numbers = [local.u32(), local.u32(), local.u32()];
  const [nameLength, extraLength] = [local.u16(), local.u16()];
  const name = local.take(nameLength);
  if (method !== want.method || name.length !== want.rawName.length || name.some((b, i) => b !== want.rawName[i])) {
    local.fail(`the header here is not the one that the directory gives ${quote(want.name)}`, 0);
  }
  // Flag 8: they follow the member. All ones: they are in a zip64 field.
  const told = (n: number, i: number): boolean => n === [want.crc, want.packed, want.size][i] || n === 0xffffffff;
  if (!(flags & 8) && !numbers.every(told)) {
    local.fail(`the header of ${quote(want.name)} and the directory disagree about its size or CRC`, 0);
  }
  return local.base + local.at + extraLength;
}

function memberName(raw: Uint8Array, r: ByteReader, at: number): string {
  let name: string;
  try {
    name = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw);
  } catch {
    return r.fail("a member's name is not UTF-8", at);
  }
  if (name.includes('\0')) r.fail("a member's name has a NUL", at);
  return name;
}

function checkApart(members: ReadonlyMap<string, ZipMember>, file: string): void {
  let end = 0;
  for (const m of [...members.values()].sort((a, b) => a.start - b.start)) {
    if (m.start < end) throw new CheckpointError(file, `${quote(m.name)} shares bytes with another member`, m.start);
    end = m.start + m.packed;
  }
}

export interface ReadMemberOptions {
  /** A CRC of 0 means none: PyTorch can be told to write none. */
  readonly zeroCrcIsNone?: boolean;
}

/** The member's content, checked against its size and CRC; what the source gives where it is stored. */
export async function readMember(zip: ZipFile, m: ZipMember, options: ReadMemberOptions = {}): Promise<Uint8Array> {
  const { source } = zip;
  const packed = await source.read(m.start, m.packed);
  const content = m.deflated ? inflate(packed, m, source.name) : packed;
  if (!(m.crc === 0 && options.zeroCrcIsNone) && crc32(content) !== m.crc) {
    throw new CheckpointError(source.name, `${quote(m.name)} is damaged: its CRC does not agree`, m.start);
  }
  return content;
}

/** At most so many compressed bytes at a time. */
const STEP = 1 << 16;

/** In steps that cannot give much more than is still missing: time and memory stay what the directory says. */
function inflate(packed: Uint8Array, m: ZipMember, file: string, wanted = m.size): Uint8Array {
  const out = new Uint8Array(wanted);
  let length = 0;
  const stream = new Inflate((chunk) => {
    if (length < wanted) out.set(chunk.subarray(0, wanted - length), length);
    length += chunk.length;
  });
  try {
    for (let at = 0; at < packed.length && (length < wanted || wanted === m.size) && length <= m.size;) {
      const step = Math.min(STEP, 64 + Math.ceil((wanted - length) / MAX_RATIO));
      stream.push(packed.subarray(at, at + step), at + step >= packed.length);
      at += step;
    }
  } catch {
    length = -1;
  }
  if (length === m.size || (wanted < m.size && length >= wanted && length < m.size)) return out;
  throw new CheckpointError(file, `${quote(m.name)} does not inflate to its ${m.size} bytes`, m.start);
}

/** The first bytes of a member (all of a shorter one), unchecked: enough to say whether the rest is worth its work. */
export async function peekMember(zip: ZipFile, m: ZipMember, length: number): Promise<Uint8Array> {
  const wanted = Math.min(length, m.size);
  if (!m.deflated) return zip.source.read(m.start, wanted);
  // What cannot be packed grows by 5 bytes in 65535; a block may begin with a table of its codes.
  const packed = await zip.source.read(m.start, Math.min(m.packed, wanted + (wanted >> 8) + 4096));
  return inflate(packed, m, zip.source.name, wanted);
}

export const quote = (name: string): string => JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);
