/** What a standalone C file does in the place of the runtime: copying, and deriving keys as `runtime/rng.ts` does. */
import { FOLD_TAG, PHILOX } from '../../runtime/rng.ts';

const hex = (n: number): string => `0x${n.toString(16)}u`;

export const COPY_IN = `static void copy_bytes(void *to, const void *from, size_t n) { if (n) memcpy(to, from, n); }

`;

export const RANDOM_KEYS = `typedef struct { uint32_t word[2]; } random_key;
FN random_key first_key(uint64_t seed) {
  random_key k;
  k.word[0] = (uint32_t)seed;
  k.word[1] = (uint32_t)(seed >> 32);
  return k;
}
/* Philox-4x32-10 of the counter (data, tag, 0, 0). */
FN random_key fold_key(random_key key, uint32_t data) {
  uint32_t c0 = data, c1 = ${hex(FOLD_TAG)}, c2 = 0, c3 = 0;
  for (int round = 0; round < ${PHILOX.rounds}; round++) {
    const uint64_t a = (uint64_t)${hex(PHILOX.M0)} * c0, b = (uint64_t)${hex(PHILOX.M1)} * c2;
    c0 = (uint32_t)(b >> 32) ^ c1 ^ key.word[0];
    c2 = (uint32_t)(a >> 32) ^ c3 ^ key.word[1];
    c1 = (uint32_t)b;
    c3 = (uint32_t)a;
    key.word[0] += ${hex(PHILOX.W0)};
    key.word[1] += ${hex(PHILOX.W1)};
  }
  key.word[0] = c0;
  key.word[1] = c1;
  return key;
}

`;
