/** Numbers to and from memory in every storage format, little-endian. */
import type { StorageElem } from '../../src/codegen/kernel.ts';

export function writeElements(view: DataView, at: number, elem: StorageElem, values: readonly number[]): void {
  values.forEach((x, i) => {
    if (elem === 'f16') view.setFloat16(at + 2 * i, x, true);
    else if (elem === 'bf16') {
      const [word] = new Uint32Array(Float32Array.of(x).buffer);
      view.setUint16(at + 2 * i, Number.isNaN(x) ? 0x7fc0 : word! >>> 16, true);
    } else if (elem === 'f32') view.setFloat32(at + 4 * i, x, true);
    else view.setUint32(at + 4 * i, x, true);
  });
}

export function readElements(view: DataView, at: number, elem: StorageElem, count: number): number[] {
  return Array.from({ length: count }, (_, i) => {
    if (elem === 'f16') return view.getFloat16(at + 2 * i, true);
    if (elem === 'bf16') return new Float32Array(Uint32Array.of(view.getUint16(at + 2 * i, true) << 16).buffer)[0]!;
    if (elem === 'f32') return view.getFloat32(at + 4 * i, true);
    return elem === 'i32' ? view.getInt32(at + 4 * i, true) : view.getUint32(at + 4 * i, true);
  });
}
