/** MNIST's IDX files, also gzipped: http://yann.lecun.com/exdb/mnist/ (magic 0, 0, type, rank; big-endian sizes). */
import { gunzipSync } from 'node:zlib';
import { DataError, type Column } from './dataset.ts';

const WIDTH: Readonly<Record<number, number>> = { 0x08: 1, 0x09: 1, 0x0b: 2, 0x0c: 4, 0x0d: 4, 0x0e: 8 };

/** Unsigned bytes of rank 2 and more are pixels and come as value / 255; rank 1 is labels. */
export function readIdx(raw: Uint8Array, name: string, source: string): Column {
  let bytes = raw;
  if (raw[0] === 0x1f && raw[1] === 0x8b) {
    try {
      bytes = gunzipSync(raw);
    } catch {
      throw new DataError(source, 'the gzip stream is damaged or cut short');
    }
  }
  const type = bytes[2] ?? 0;
  const rank = bytes[3] ?? 0;
  const width = WIDTH[type];
  if (bytes[0] !== 0 || bytes[1] !== 0 || width === undefined || rank === 0) {
    throw new DataError(source, 'not an IDX file (it must start with 0, 0, an element type and a rank)');
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw new DataError(source, 'the file ends inside its header');
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const count = shape.reduce((a, b) => a * b, 1);
  if (count * width !== bytes.length - start) {
    throw new DataError(
      source,
      `shape ${shape.join(' x ')} needs ${count * width} bytes and the file has ${bytes.length - start}`,
    );
  }
  if (type === 0x08 && rank > 1) {
    const data = new Float32Array(count);
    for (let i = 0; i < count; i++) data[i] = bytes[start + i]! / 255;
    return { name, shape, data };
  }
  const at = (i: number): number => start + i * width;
  if (type === 0x0d || type === 0x0e) {
    const data = Float32Array.from({ length: count }, (_, i) =>
      type === 0x0d ? view.getFloat32(at(i)) : view.getFloat64(at(i)),
    );
    return { name, shape, data };
  }
  const data = Int32Array.from({ length: count }, (_, i) => {
    if (type === 0x08) return bytes[at(i)]!;
    if (type === 0x09) return view.getInt8(at(i));
    return type === 0x0b ? view.getInt16(at(i)) : view.getInt32(at(i));
  });
  return { name, shape, data };
}
