/**
 * Philox-4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011), the generator under
 * every random draw. Bit for bit what `src/codegen/random.ts` builds for kernels.
 */

export type Key = readonly [number, number];
type Block = readonly [number, number, number, number];

const M0 = 0xd2511f53;
const M1 = 0xcd9e8d57;
/** Weyl increments of the key: the golden ratio and sqrt(3) - 1. */
const W0 = 0x9e3779b9;
const W1 = 0xbb67ae85;
export const PHILOX = { M0, M1, W0, W1, rounds: 10 } as const;

/** The second counter word of `foldIn`, so that derived keys and draws never share a counter. */
export const FOLD_TAG = 0x6b657973; // "keys"

function mulhi(a: number, b: number): number {
  const [al, ah, bl, bh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const mid = ah * bl + ((al * bl) >>> 16);
  const low = (mid % 0x10000) + al * bh;
  return (ah * bh + Math.floor(mid / 0x10000) + Math.floor(low / 0x10000)) >>> 0;
}

/** Four random words for a counter of four words. All words are unsigned 32-bit integers. */
export function philox(counter: Block, key: Key): Block {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < PHILOX.rounds; round++) {
    const [hi0, lo0] = [mulhi(M0, c0), Math.imul(M0, c0) >>> 0];
    const [hi1, lo1] = [mulhi(M1, c2), Math.imul(M1, c2) >>> 0];
    [c0, c1, c2, c3] = [(hi1 ^ c1 ^ k0) >>> 0, lo1, (hi0 ^ c3 ^ k1) >>> 0, lo0];
    k0 = (k0 + W0) >>> 0;
    k1 = (k1 + W1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** Another key, from a key and a number (taken modulo 2^32). */
export function foldIn(key: Key, data: number): [number, number] {
  const [a, b] = philox([data >>> 0, FOLD_TAG, 0, 0], key);
  return [a, b];
}

/**
 * n words: element i is word (i div 4) mod 4 of the block at counter 4 (i div 16) + i mod 4. So sixteen elements in a row
 * are four blocks, and a machine with four lanes computes the blocks in its lanes and stores their words as they are.
 */
export function randomBits(key: Key, n: number): Uint32Array {
  const out = new Uint32Array(n);
  for (let first = 0; first < n; first += 16) {
    for (let lane = 0; lane < 4; lane++) {
      const block = philox([first / 4 + lane, 0, 0, 0], key);
      for (let word = 0; word < 4; word++) {
        const at = first + 4 * word + lane;
        if (at < n) out[at] = block[word]!;
      }
    }
  }
  return out;
}
