/** Keys of a model's random draws: from a seed, apart by purpose. */
import { UsageError } from './errors.ts';
import type { Key } from './rng.ts';

/** Purposes of keys: draws for different purposes never meet. */
export const KEY = { init: 0, step: 1, call: 2 } as const;

export function keyOf(seed: number): Key {
  if (!Number.isSafeInteger(seed) || seed < 0)
    throw new UsageError(`a seed is a whole number from 0, not ${String(seed)}`);
  return [seed >>> 0, Math.floor(seed / 2 ** 32)];
}

export const keyBytes = (key: Key): Uint8Array => new Uint8Array(new Uint32Array(key).buffer);
