/**
 * Bytes as text: how generated modules carry their kernels. A byte that WebAssembly has often is one printable character and any
 * other two, always the same, so that a server's gzip finds the repetitions that base64 hides by shifting them: LeNet's kernels
 * come to two thirds of what they were as base64, within 0.2 % of gzip on the bytes themselves.
 */

/** No quotes, no backslash, and no `<`, which could end a script element: the text stands in a literal as it is. */
const ALPHABET = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i))
  .filter((c) => !'\'"`\\<'.includes(c))
  .join('');
/** The prefix of vector instructions, frequent opcodes and first bytes of long numbers; the rest follow as they count. */
const FREQUENT = [0xfd, 0x6a, 0x6b, 0x6c, 0x74, 0x80, 0x81, 0xe4, 0xe6, 0x48, 0x4a, 0x71, 0x72];
/** By rank. */
const BYTES = [...new Set([...FREQUENT, ...Array(256).keys()])];
/** Ranks below are one character; those above are one of the alphabet's last two and any. */
const SINGLE = ALPHABET.length - 2;

export function bytesToText(bytes: Uint8Array): string {
  const ranks = new Uint8Array(256);
  BYTES.forEach((byte, rank) => (ranks[byte] = rank));
  const codes = Uint8Array.from(ALPHABET, (c) => c.charCodeAt(0));
  const out = new Uint8Array(2 * bytes.length);
  let length = 0;
  for (let i = 0; i < bytes.length; i++) {
    const rank = ranks[bytes[i]!]!;
    const over = rank - SINGLE;
    if (over >= 0) out[length++] = codes[over < codes.length ? SINGLE : SINGLE + 1]!;
    out[length++] = codes[over < 0 ? rank : over % codes.length]!;
  }
  return new TextDecoder().decode(out.subarray(0, length));
}

export function textToBytes(text: string): Uint8Array {
  const places = new Uint8Array(128);
  for (let i = 0; i < ALPHABET.length; i++) places[ALPHABET.charCodeAt(i)] = i;
  const out = new Uint8Array(text.length);
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    let rank = places[text.charCodeAt(i)]!;
    if (rank >= SINGLE) rank += (rank - SINGLE) * (ALPHABET.length - 1) + places[text.charCodeAt(++i)]!;
    out[length++] = BYTES[rank]!;
  }
  return out.slice(0, length);
}
