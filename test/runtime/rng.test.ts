/** Philox-4x32-10 against the known-answer vectors of Random123 1.14 (kat_vectors, philox4x32 10). */
import test from 'ava';
import { foldIn, philox, randomBits } from '../../src/runtime/rng.ts';

const KNOWN = [
  {
    counter: [0, 0, 0, 0],
    key: [0, 0],
    words: [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
  },
  {
    counter: [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    key: [0xffffffff, 0xffffffff],
    words: [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
  },
  {
    counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    key: [0xa4093822, 0x299f31d0],
    words: [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
  },
] as const;

for (const { counter, key, words } of KNOWN) {
  test(`philox of (${counter.join(', ')})`, (t) => t.deepEqual(philox(counter, key), [...words]));
}

test('a draw is a prefix of every longer draw', (t) => {
  const long = randomBits([1, 2], 67);
  for (const n of [0, 1, 3, 4, 5, 64]) t.deepEqual(randomBits([1, 2], n), long.slice(0, n));
  for (const [first, counter] of [
    [0, 0],
    [1, 1],
    [16, 4],
    [35, 11],
  ] as const) {
    const words = [0, 4, 8, 12].map((n) => long[first + n]!);
    t.deepEqual(words, [...philox([counter, 0, 0, 0], [1, 2])]);
  }
});

test('derived keys differ from each other and from draws', (t) => {
  const key = [7, 8] as const;
  const seen = new Set([0, 1, 2, -1, 2 ** 31].map((n) => foldIn(key, n).join()));
  t.is(seen.size, 5);
  t.deepEqual(foldIn(key, -1), foldIn(key, 0xffffffff));
  t.notDeepEqual(foldIn(key, 0), [...randomBits(key, 2)]);
});
