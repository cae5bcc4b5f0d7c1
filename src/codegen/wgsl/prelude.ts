/** The WGSL that printed kernels stand on: operators whose meaning the language leaves open where a NaN or infinity is met. */

import { PLAIN } from '../../runtime/webgpu/subgroups.ts';

/** The language saturates at the largest number that is both an f32 and an integer: what is beyond is the largest integer here. */
const toInt = (type: string, mask: string, elem: string, beyond: string, most: string): string => {
  const to = int(mask, elem);
  return `fn to_${elem}_${type}(x: ${mask}) -> ${to} {
  let near = select(${to}(x), ${to}(${most}), x >= ${mask}(${beyond}));
  return select(near, ${to}(0), is_nan_${type}(x));
}`;
};

const lanewise = (type: string, mask: string, bits: string): readonly string[] => [
  `fn is_nan_${type}(x: ${mask}) -> ${bool(mask)} {
  return (bitcast<${bits}>(x) & ${bits}(0x7fffffffu)) > ${bits}(0x7f800000u);
}`,
  `fn min_${type}(a: ${mask}, b: ${mask}) -> ${mask} {
  let equal = bitcast<${mask}>(bitcast<${bits}>(a) | bitcast<${bits}>(b));
  let least = select(select(b, a, a < b), equal, a == b);
  return select(select(least, b, is_nan_${type}(b)), a, is_nan_${type}(a));
}`,
  `fn max_${type}(a: ${mask}, b: ${mask}) -> ${mask} {
  let equal = bitcast<${mask}>(bitcast<${bits}>(a) & bitcast<${bits}>(b));
  let most = select(select(b, a, a > b), equal, a == b);
  return select(select(most, b, is_nan_${type}(b)), a, is_nan_${type}(a));
}`,
  toInt(type, mask, 'i32', '2147483648.0f', '0x7fffffff'),
  toInt(type, mask, 'u32', '4294967296.0f', '0xffffffffu'),
];

const bool = (type: string): string => (type === 'f32' ? 'bool' : 'vec4<bool>');
const int = (type: string, elem: string): string => (type === 'f32' ? elem : `vec4<${elem}>`);

const FUNCTIONS = [...lanewise('f32', 'f32', 'u32'), ...lanewise('vec4', 'vec4<f32>', 'vec4<u32>')];

/**
 * Infinities, NaN and -0 cannot be written as constants: their bits come from a variable. So does the zero that keeps
 * compilers from evaluating an operator of constants, which is an error where the result is not finite.
 */
const BITS =
  'var<private> bits_of: array<u32, 5> = array<u32, 5>(0x7f800000u, 0xff800000u, 0x7fc00000u, 0u, 0x80000000u);';

/** What a shader needs of all this. */
export function preludeFor(text: string): string {
  // Functions use only those before them.
  const needed: string[] = [];
  let all = text;
  for (const f of [...FUNCTIONS].reverse()) {
    const name = /^fn (\w+)/.exec(f)![1]!;
    if (!new RegExp(`\\b${name}\\(`).test(all)) continue;
    needed.unshift(f);
    all += f;
  }
  if (text.includes('bits_of[')) needed.unshift(BITS);
  if (/\bpassed_\w+\(/.test(text)) needed.unshift(PLAIN);
  return needed.join('\n');
}
