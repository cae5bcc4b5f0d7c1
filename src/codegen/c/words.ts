/** Texts of a network in generated C: comments, string literals, and the types of C that its elements have. */
import type { Elem } from '../../runtime/artifact.ts';

/** In a comment. */
export const plain = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').replaceAll('*/', '* /');
export const literal = (text: string): string => JSON.stringify(plain(text)).replaceAll('?', '\\?');

export const CTYPE: Readonly<Record<Elem, string>> = {
  f32: 'float',
  i32: 'int32_t',
  u32: 'uint32_t',
  bool: 'uint32_t',
  f16: 'uint16_t',
  bf16: 'uint16_t',
};
