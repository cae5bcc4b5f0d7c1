/** A 128-bit content hash for names and programs: identity and deduplication, never security (cyrb128, public domain, bryc). */

/** Four 32-bit words of the text's UTF-16 units, and of bytes after it, four by four. */
export function hashWords(text: string, bytes: Uint8Array = NONE): readonly [number, number, number, number] {
  let a = 1779033703;
  let b = 3144134277;
  let c = 1013904242;
  let d = 2773480762;
  const take = (unit: number): void => {
    a = b ^ Math.imul(a ^ unit, 597399067);
    b = c ^ Math.imul(b ^ unit, 2869860233);
    c = d ^ Math.imul(c ^ unit, 951274213);
    d = a ^ Math.imul(d ^ unit, 2716044179);
  };
  for (let i = 0; i < text.length; i++) take(text.charCodeAt(i));
  for (let i = 0; i < bytes.length; i += 4)
    take(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
  a = Math.imul(c ^ (a >>> 18), 597399067);
  b = Math.imul(d ^ (b >>> 22), 2869860233);
  c = Math.imul(a ^ (c >>> 17), 951274213);
  d = Math.imul(b ^ (d >>> 19), 2716044179);
  a ^= b ^ c ^ d;
  return [a >>> 0, (b ^ a) >>> 0, (c ^ a) >>> 0, (d ^ a) >>> 0];
}

const NONE = new Uint8Array();

/** 32 hex digits. */
export const hashHex = (text: string, bytes: Uint8Array = NONE): string =>
  hashWords(text, bytes)
    .map((w) => w.toString(16).padStart(8, '0'))
    .join('');
