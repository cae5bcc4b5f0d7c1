/** The C that printed kernels stand on: vector types of GCC and Clang, and operators whose meaning C leaves open. */

const HEADER = `#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#ifdef __GNUC__
#define UNUSED __attribute__((unused))
#define EXPORT __attribute__((visibility("default")))
#else
#define UNUSED
#define EXPORT
#endif
#define LET UNUSED const
#define VAR UNUSED
#define FN UNUSED static inline
FN float bits_f32(uint32_t x) { float r; memcpy(&r, &x, 4); return r; }
FN uint32_t f32_bits(float x) { uint32_t r; memcpy(&r, &x, 4); return r; }
`;

/** One lane: IEEE 754-2019 minimum and maximum, saturating conversions, wrapping division, bit counts. */
const SCALAR = `FN float min_f32(float a, float b) {
  return a != a ? a : b != b ? b : a < b ? a : b < a ? b : bits_f32(f32_bits(a) | f32_bits(b));
}
FN float max_f32(float a, float b) {
  return a != a ? a : b != b ? b : a < b ? b : b < a ? a : bits_f32(f32_bits(a) & f32_bits(b));
}
FN float pmin_f32(float a, float b) { return b < a ? b : a; }
FN float pmax_f32(float a, float b) { return a < b ? b : a; }
FN int32_t min_i32(int32_t a, int32_t b) { return b < a ? b : a; }
FN int32_t max_i32(int32_t a, int32_t b) { return a < b ? b : a; }
FN uint32_t min_u32(uint32_t a, uint32_t b) { return b < a ? b : a; }
FN uint32_t max_u32(uint32_t a, uint32_t b) { return a < b ? b : a; }
FN int32_t div_i32(int32_t a, int32_t b) { return b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b; }
FN int32_t rem_i32(int32_t a, int32_t b) { return b == -1 ? 0 : a % b; }
FN uint32_t div_u32(uint32_t a, uint32_t b) { return a / b; }
FN uint32_t rem_u32(uint32_t a, uint32_t b) { return a % b; }
FN int32_t f32_to_i32(float x) {
  return x != x ? 0 : x >= 0x1p31f ? INT32_MAX : x < -0x1p31f ? INT32_MIN : (int32_t)x;
}
FN uint32_t f32_to_u32(float x) { return x != x || x <= 0 ? 0 : x >= 0x1p32f ? UINT32_MAX : (uint32_t)x; }
FN int32_t abs_i32(int32_t a) { return a < 0 ? (int32_t)(0u - (uint32_t)a) : a; }
#ifdef __GNUC__
FN uint32_t clz_u32(uint32_t a) { return a ? (uint32_t)__builtin_clz(a) : 32u; }
FN uint32_t popcnt_u32(uint32_t a) { return (uint32_t)__builtin_popcount(a); }
#else
FN uint32_t clz_u32(uint32_t a) { uint32_t n = 0; if (!a) return 32; while (!(a >> 31)) { a <<= 1; n++; } return n; }
FN uint32_t popcnt_u32(uint32_t a) { uint32_t n = 0; for (; a; a &= a - 1) n++; return n; }
#endif
FN ptrdiff_t min_index(ptrdiff_t a, ptrdiff_t b) { return b < a ? b : a; }
FN ptrdiff_t max_index(ptrdiff_t a, ptrdiff_t b) { return a < b ? b : a; }
FN float load_f32(const void *p) { float r; memcpy(&r, p, 4); return r; }
FN int32_t load_i32(const void *p) { int32_t r; memcpy(&r, p, 4); return r; }
FN uint32_t load_u32(const void *p) { uint32_t r; memcpy(&r, p, 4); return r; }
FN uint32_t load_half(const void *p) { uint16_t r; memcpy(&r, p, 2); return r; }
FN void store_f32(void *p, float x) { memcpy(p, &x, 4); }
FN void store_i32(void *p, int32_t x) { memcpy(p, &x, 4); }
FN void store_u32(void *p, uint32_t x) { memcpy(p, &x, 4); }
FN void store_half(void *p, uint32_t x) { uint16_t r = (uint16_t)x; memcpy(p, &r, 2); }
`;

const CTYPE = { f32: 'float', i32: 'int32_t', u32: 'uint32_t' } as const;
type Elem = keyof typeof CTYPE;
const ELEMS: readonly Elem[] = ['f32', 'i32', 'u32'];

/** name, operands, lane expression; the compiler turns the loops into vector instructions. */
function lanewise(
  result: Elem,
  name: string,
  n: number,
  params: readonly (readonly [Elem, string])[],
  lane: string,
): string {
  const list = params.map(([e, p]) => `${e}x${n} ${p}`).join(', ');
  return `FN ${result}x${n} ${name}(${list}) { ${result}x${n} r = {0}; for (int i = 0; i < ${n}; i++) r[i] = ${lane}; return r; }\n`;
}

/** An instruction of GCC's on x86 and the macro that says it is there. */
interface Instruction {
  readonly where: string;
  readonly code: string;
}

const AVX512 = 'defined(__AVX512F__)';
const FMA: Readonly<Record<number, Instruction>> = {
  4: { where: 'defined(__FMA__)', code: '__builtin_ia32_vfmaddps(a, b, c)' },
  8: { where: 'defined(__FMA__)', code: '__builtin_ia32_vfmaddps256(a, b, c)' },
  16: { where: AVX512, code: '__builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4)' },
};
const SQRT: Readonly<Record<number, Instruction>> = {
  4: { where: 'defined(__SSE__)', code: '__builtin_ia32_sqrtps(a)' },
  8: { where: 'defined(__AVX__)', code: '__builtin_ia32_sqrtps256(a)' },
  16: { where: AVX512, code: '__builtin_ia32_sqrtps512_mask(a, a, -1, 4)' },
};
/** With the processor's number for the direction, and for raising no exception. */
const ROUNDINGS = [
  ['rint', 8],
  ['floor', 9],
  ['ceil', 10],
  ['trunc', 11],
] as const;
const rounded = (n: number, mode: number): Instruction | undefined =>
  n === 16
    ? { where: AVX512, code: `__builtin_ia32_rndscaleps_mask(a, ${mode}, a, -1, 4)` }
    : n === 8
      ? { where: 'defined(__AVX__)', code: `__builtin_ia32_roundps256(a, ${mode})` }
      : { where: 'defined(__SSE4_1__)', code: `__builtin_ia32_roundps(a, ${mode})` };

/** The instruction where it is there: made of lanes, GCC sends operands that are used twice through memory. */
function machine(
  n: number,
  name: string,
  params: readonly string[],
  by: Instruction | undefined,
  lane: string,
): string {
  const lanes = lanewise(
    'f32',
    name,
    n,
    params.map((p) => ['f32', p] as const),
    lane,
  );
  if (!by) return lanes;
  const list = params.map((p) => `f32x${n} ${p}`).join(', ');
  return `#if defined(__GNUC__) && !defined(__clang__) && ${by.where}\nFN f32x${n} ${name}(${list}) { return (f32x${n})${by.code}; }\n#else\n${lanes}#endif\n`;
}

/** As the scalar ones; `a != a` picks NaN. */
function extrema(n: number): string {
  const [t, u, s] = [`f32x${n}`, `u32x${n}`, `select_f32x${n}`];
  const one = (name: string, body: string): string => `FN ${t} ${name}_${t}(${t} a, ${t} b) { return ${body}; }\n`;
  const strict = (less: string, more: string, bits: string): string =>
    `${s}(a != a, a, ${s}(b != b, b, ${s}(a < b, ${less}, ${s}(b < a, ${more}, (${t})((${u})a ${bits} (${u})b)))))`;
  return (
    one('pmin', `${s}(b < a, b, a)`) +
    one('pmax', `${s}(a < b, b, a)`) +
    one('min', strict('a', 'b', '|')) +
    one('max', strict('b', 'a', '&'))
  );
}

function vectors(n: number): string {
  let out = '';
  for (const e of ELEMS) {
    const t = `${e}x${n}`;
    out += `typedef ${CTYPE[e]} ${t} __attribute__((vector_size(${4 * n})));\n`;
    out += `FN ${t} load_${t}(const void *p) { ${t} r; memcpy(&r, p, sizeof r); return r; }\n`;
    out += `FN void store_${t}(void *p, ${t} v) { memcpy(p, &v, sizeof v); }\n`;
    out += `FN ${t} splat_${t}(${CTYPE[e]} x) { return (${t}){${Array.from({ length: n }, () => 'x').join(', ')}}; }\n`;
    out += `FN ${CTYPE[e]} lane_${t}(${t} v, int i) { return v[i]; }\n`;
  }
  for (const e of ELEMS) {
    const t = `${e}x${n}`;
    out += `FN ${t} select_${t}(i32x${n} c, ${t} a, ${t} b) { return (${t})(((i32x${n})a & c) | ((i32x${n})b & ~c)); }\n`;
    if (e === 'f32') out += extrema(n);
    else
      out += `FN ${t} min_${t}(${t} a, ${t} b) { return select_${t}(b < a, b, a); }\nFN ${t} max_${t}(${t} a, ${t} b) { return select_${t}(a < b, b, a); }\n`;
    for (const op of e === 'f32' ? [] : ['div', 'rem'])
      out += lanewise(
        e,
        `${op}_${t}`,
        n,
        [
          [e, 'a'],
          [e, 'b'],
        ],
        `${op}_${e}(a[i], b[i])`,
      );
  }
  out += `FN f32x${n} fabs_f32x${n}(f32x${n} a) { return (f32x${n})((u32x${n})a & 0x7fffffffu); }\n`;
  for (const [op, mode] of ROUNDINGS)
    out += machine(n, `${op}_f32x${n}`, ['a'], rounded(n, mode), `__builtin_${op}f(a[i])`);
  out += machine(n, `sqrt_f32x${n}`, ['a'], SQRT[n], '__builtin_sqrtf(a[i])');
  out += machine(n, `fma_f32x${n}`, ['a', 'b', 'c'], FMA[n], '__builtin_fmaf(a[i], b[i], c[i])');
  out += lanewise('i32', `f32_to_i32x${n}`, n, [['f32', 'a']], 'f32_to_i32(a[i])');
  out += lanewise('u32', `f32_to_u32x${n}`, n, [['f32', 'a']], 'f32_to_u32(a[i])');
  out += lanewise('i32', `abs_i32x${n}`, n, [['i32', 'a']], 'abs_i32(a[i])');
  out += lanewise('u32', `clz_u32x${n}`, n, [['u32', 'a']], 'clz_u32(a[i])');
  out += lanewise('u32', `popcnt_u32x${n}`, n, [['u32', 'a']], 'popcnt_u32(a[i])');
  out += `FN u32x${n} load_half_x${n}(const uint16_t *p) { u32x${n} r = {0}; for (int i = 0; i < ${n}; i++) r[i] = p[i]; return r; }\n`;
  out += `FN void store_half_x${n}(uint16_t *p, u32x${n} v) { for (int i = 0; i < ${n}; i++) p[i] = (uint16_t)v[i]; }\n`;
  return out;
}

/** For the given numbers of lanes (more than 1). */
export const prelude = (lanes: Iterable<number>): string =>
  HEADER +
  SCALAR +
  [...lanes]
    .sort((a, b) => a - b)
    .map(vectors)
    .join('');

/** Products of pairs of bf16: its own header names the instruction's types, which compilers do not agree on. */
export const DOT = `#ifdef __AVX512BF16__
#include <immintrin.h>
FN f32x16 dot_f32x16(u32x16 a, u32x16 b, f32x16 c) { return (f32x16)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b); }
#else
FN float flush_f32(float x) { return __builtin_fabsf(x) < 0x1p-126f ? __builtin_copysignf(0, x) : x; }
FN float half_f32(uint32_t x) { return flush_f32(bits_f32(x & 0xffff0000u)); }
FN float dot_f32(uint32_t a, uint32_t b, float c) {
  c = flush_f32(__builtin_fmaf(half_f32(a), half_f32(b), flush_f32(c)));
  return flush_f32(__builtin_fmaf(half_f32(a << 16), half_f32(b << 16), c));
}
FN f32x16 dot_f32x16(u32x16 a, u32x16 b, f32x16 c) { f32x16 r = {0}; for (int i = 0; i < 16; i++) r[i] = dot_f32(a[i], b[i], c[i]); return r; }
#endif
`;

const WORDS: ReadonlySet<string> = new Set(
  (
    'alignas alignof asm auto bool break case char const constexpr continue default do double else enum extern false float ' +
    'for goto if inline int long nullptr register restrict return short signed sizeof static static_assert struct switch ' +
    'LET VAR FN UNUSED thread_local true typedef typeof union unsigned void volatile while linux unix i386 main errno ' +
    'EXPORT AT SIZE frame malloc free abs div index rindex bcmp bcopy bzero ffs time clock mktime difftime gmtime localtime asctime ' +
    'ctime nanosleep timezone daylight tzname clone load_half store_half netwright_threads netwright_task netwright_share ' +
    'netwright_barrier netwright_cut netwright_use'
  ).split(' '),
);

/** What math.h declares, each also for float and long double: kernels bear the names of what they compute. */
const MATH: ReadonlySet<string> = new Set(
  (
    'acos asin atan atan2 cos sin tan acosh asinh atanh cosh sinh tanh exp exp2 exp10 expm1 frexp ilogb ldexp log log10 log1p log2 logb ' +
    'modf scalb scalbn scalbln cbrt fabs hypot pow pow10 sqrt erf erfc lgamma tgamma gamma ceil floor nearbyint rint lrint llrint round ' +
    'lround llround roundeven trunc fmod remainder remquo drem copysign nan nextafter nexttoward fdim fmax fmin fma significand finite ' +
    'isfinite isinf isnan isnormal signbit signgam j0 j1 jn y0 y1 yn'
  ).split(' '),
);
const declaredInMath = (name: string): boolean => MATH.has(name) || MATH.has(name.replace(/[fl]$/, ''));

/** Words of C and of its headers, and everything that looks like a name of the prelude. */
export const reservedInC = (name: string): boolean =>
  WORDS.has(name) ||
  declaredInMath(name) ||
  /^(mem|str)[a-z]+$|(^|_)(f32|i32|u32)(x\d+)?$|_x\d+$|_t$|_bits$|_index$|^U?INT\d+_M[A-Z]+$/.test(name);
