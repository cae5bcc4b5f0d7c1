/** Damages files at random, as bytes and inside their structure, from a seed that reproduces the damage. */
import { inflateRawSync } from 'node:zlib';
import { openZip } from '../../src/runtime/formats/zip.ts';
import { bytesSource } from '../../src/runtime/sources/source.ts';
import { writeZip, type Content } from '../../src/runtime/formats/zip-write.ts';
import { collect } from './corpus.ts';

/** Mulberry32: small, seeded, good enough to choose damage by. */
export class Random {
  private state: number;
  constructor(seed: number) {
    this.state = seed >>> 0;
  }
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((((t ^ (t >>> 14)) >>> 0) * n) / 2 ** 32) | 0;
  }
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

const BYTES = [0, 1, 2, 0x28, 0x2e, 0x52, 0x62, 0x71, 0x74, 0x75, 0x7f, 0x80, 0x81, 0x8a, 0xfe, 0xff];
const WORDS = [
  0n,
  1n,
  7n,
  255n,
  256n,
  65535n,
  65536n,
  0x7fffffffn,
  0x80000000n,
  0xffffffffn,
  1n << 32n,
  1n << 53n,
  (1n << 63n) - 1n,
  1n << 63n,
  (1n << 64n) - 1n,
];

/** Some of: other bytes, other numbers, parts lost, doubled, moved, or taken from another file. */
export function damage(original: Uint8Array, other: Uint8Array, r: Random): Uint8Array {
  let bytes: Uint8Array = original.slice();
  for (let left = 1 + r.below(4); left > 0 && bytes.length > 0; left--) {
    const at = r.below(bytes.length);
    const length = Math.min(1 + r.below(r.of([4, 16, 64])), bytes.length - at);
    switch (r.below(8)) {
      case 0:
        bytes[at] = r.below(256);
        break;
      case 1:
        bytes[at] = r.of(BYTES);
        break;
      case 2:
        bytes[at]! ^= 1 << r.below(8);
        break;
      case 3: {
        const word = new Uint8Array(8);
        new DataView(word.buffer).setBigUint64(0, r.of(WORDS), true);
        bytes.set(word.subarray(0, Math.min(r.of([2, 4, 8]), bytes.length - at)), at);
        break;
      }
      case 4:
        bytes = join(bytes.subarray(0, at), bytes.subarray(at + length));
        break;
      case 5:
        bytes = join(bytes.subarray(0, at + length), bytes.subarray(at));
        break;
      case 6: {
        const from = r.below(Math.max(1, other.length));
        bytes = join(
          bytes.subarray(0, at),
          other.subarray(from, from + length),
          bytes.subarray(at + r.below(2) * length),
        );
        break;
      }
      default:
        if (r.below(4) === 0) bytes = bytes.slice(0, at);
        else bytes.copyWithin(r.below(bytes.length), at, at + length);
    }
  }
  return bytes;
}

/** Only what describes the tensors: most of such a file is data, where no damage can be told. */
export const damageStart = (file: Uint8Array, other: Uint8Array, r: Random): Uint8Array =>
  join(damage(file.subarray(0, 700), other.subarray(0, 700), r), file.subarray(700));

/** The archive with one member damaged, and all checks of the archive in order again. */
export async function damageMember(file: Uint8Array, other: Uint8Array, r: Random): Promise<Uint8Array> {
  const members = [...(await openZip(bytesSource(file))).members.values()];
  // Most of the work is done in the pickle.
  const pickle = members.findIndex((m) => m.name.endsWith('data.pkl'));
  const victim = pickle >= 0 && r.below(8) > 0 ? pickle : r.below(members.length);
  return collect(
    writeZip(
      members.map((m, i): [string, Content] => {
        const packed = file.subarray(m.start, m.start + m.packed);
        const content = m.deflated ? new Uint8Array(inflateRawSync(packed)) : packed;
        return [m.name, () => [i === victim ? damage(content, other, r) : content]];
      }),
    ),
  );
}

/** A safetensors file with a damaged header of the length that it says. */
export function damageHeader(file: Uint8Array, other: Uint8Array, r: Random): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
  const header = damage(file.subarray(8, 8 + length), other, r);
  const head = new Uint8Array(8);
  new DataView(head.buffer).setBigUint64(0, BigInt(header.length), true);
  return join(head, header, file.subarray(8 + length));
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) {
    out.set(p, at);
    at += p.length;
  }
  return out;
}
