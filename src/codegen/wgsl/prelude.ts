/** The WGSL that printed kernels stand on: operators whose meaning the language leaves open where a NaN or infinity is met. */

const lanewise = (type: string, mask: string, bits: string): string => `
fn is_nan_${type}(x: ${mask}) -> ${bool(mask)} { return (bitcast<${bits}>(x) & ${bits}(0x7fffffffu)) > ${bits}(0x7f800000u); }
fn min_${type}(a: ${mask}, b: ${mask}) -> ${mask} {
  let equal = bitcast<${mask}>(bitcast<${bits}>(a) | bitcast<${bits}>(b));
  let least = select(select(b, a, a < b), equal, a == b);
  return select(select(least, b, is_nan_${type}(b)), a, is_nan_${type}(a));
}
fn max_${type}(a: ${mask}, b: ${mask}) -> ${mask} {
  let equal = bitcast<${mask}>(bitcast<${bits}>(a) & bitcast<${bits}>(b));
  let most = select(select(b, a, a > b), equal, a == b);
  return select(select(most, b, is_nan_${type}(b)), a, is_nan_${type}(a));
}
fn to_i32_${type}(x: ${mask}) -> ${int(mask, 'i32')} { return select(${int(mask, 'i32')}(x), ${int(mask, 'i32')}(0), is_nan_${type}(x)); }
fn to_u32_${type}(x: ${mask}) -> ${bits} { return select(${bits}(x), ${bits}(0), is_nan_${type}(x)); }
`;

const bool = (type: string): string => (type === 'f32' ? 'bool' : 'vec4<bool>');
const int = (type: string, elem: string): string => (type === 'f32' ? elem : `vec4<${elem}>`);

/**
 * Infinities and NaN cannot be written as constants: their bits come from a variable. So does the zero that keeps
 * compilers from evaluating an operator of constants, which is an error where the result is not finite.
 */
export const PRELUDE = `var<private> bits_of: array<u32, 4> = array<u32, 4>(0x7f800000u, 0xff800000u, 0x7fc00000u, 0u);
${lanewise('f32', 'f32', 'u32')}${lanewise('vec4', 'vec4<f32>', 'vec4<u32>')}`;
