/** How kernel IR's types map to WebAssembly's. */
import { isHalf } from '../half.ts';
import type { KType, StorageElem } from '../kernel.ts';
import type { ValueType } from './encoder.ts';
import { F32_TYPE, I32_TYPE, V128_TYPE } from './encoder.ts';

/** Lanes of a v128. */
export const LANES = 4;

export function valueType(t: KType): ValueType {
  if (t.lanes === LANES) return V128_TYPE;
  if (t.lanes !== 1) throw new Error(`WebAssembly vectors have ${LANES} lanes, not ${t.lanes}`);
  return t.elem === 'f32' ? F32_TYPE : I32_TYPE;
}

export const sizeOfElem = (elem: StorageElem): number => (isHalf(elem) ? 2 : 4);
