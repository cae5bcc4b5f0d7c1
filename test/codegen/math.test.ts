/** The error of every mathematical function in units of the last place of f32, evaluated as kernel IR, against float64. */
import test from 'ava';
import { KernelBuilder } from '../../src/codegen/builder.ts';
import { evaluateExpr } from '../../src/codegen/evaluate.ts';
import { narrow, widen } from '../../src/codegen/half.ts';
import type { KExpr, KVar } from '../../src/codegen/kernel.ts';
import * as M from '../../src/codegen/math.ts';
import { erf } from '../../src/ir/ops/special.ts';

type Build = (k: KernelBuilder, ...xs: KExpr[]) => KExpr;
type Numeric = (...xs: number[]) => number;

/** The function at one lane, as the kernel of some target would compute it. */
function compiled(build: Build, arity: number, fma: 'fused' | 'split'): Numeric {
  const k = new KernelBuilder();
  const vars: KVar[] = Array.from({ length: arity }, (_, i) => ({
    kind: 'var',
    name: `x${i}`,
    type: { elem: 'f32', lanes: 1 },
    mutable: false,
  }));
  const expr = build(k, ...vars.map((v): KExpr => ({ k: 'var', var: v, type: v.type })));
  const { body } = k.finish('f', []);
  return (...xs) => evaluateExpr(body, expr, new Map(vars.map((v, i) => [v, [xs[i]!]])), { fma })[0]!;
}

const ulp = (x: number): number => Math.max(2 ** -149, 2 ** (Math.floor(Math.log2(Math.abs(Math.fround(x)))) - 23));
const same = (a: number, b: number): boolean => Object.is(a, b) || a === b;

interface Bound {
  readonly name: string;
  readonly build: Build;
  readonly exact: Numeric;
  /** Ranges and the error allowed there, in ulp; with `scale` in units of the last place of that number. */
  readonly ranges: readonly {
    readonly from: number;
    readonly to: number;
    readonly ulps: number;
    readonly scale?: number;
  }[];
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** Measured maxima over 100,000 points and more, rounded up; the doc comments of math.ts state the same. */
const BOUNDS: readonly Bound[] = [
  {
    name: 'exp',
    build: M.exp,
    exact: Math.exp,
    ranges: [
      { from: -104, to: -87, ulps: 1.2 },
      { from: -87, to: 88.72, ulps: 1.2 },
      { from: -1, to: 1, ulps: 1.2 },
    ],
  },
  {
    name: 'expm1',
    build: M.expm1,
    exact: Math.expm1,
    ranges: [
      { from: -30, to: 88.72, ulps: 2 },
      { from: -1.5, to: 1.5, ulps: 2 },
      { from: -1e-3, to: 1e-3, ulps: 1 },
    ],
  },
  {
    name: 'log',
    build: M.log,
    exact: Math.log,
    ranges: [
      { from: 1e-45, to: 2e-38, ulps: 1 },
      { from: 0.5, to: 2, ulps: 1 },
      { from: 1e-6, to: 10, ulps: 1 },
      { from: 1, to: 3e38, ulps: 1 },
    ],
  },
  {
    name: 'log1p',
    build: M.log1p,
    exact: Math.log1p,
    ranges: [
      { from: -0.999999, to: 10, ulps: 1.5 },
      { from: -0.5, to: 0.5, ulps: 1.5 },
      { from: -1e-3, to: 1e-3, ulps: 1 },
      { from: 1, to: 1e9, ulps: 1.5 },
    ],
  },
  {
    name: 'tanh',
    build: M.tanh,
    exact: Math.tanh,
    ranges: [
      { from: -10, to: 10, ulps: 6.5 },
      { from: -0.5, to: 0.5, ulps: 3 },
      { from: -1e-3, to: 1e-3, ulps: 1.5 },
    ],
  },
  {
    name: 'sigmoid',
    build: M.sigmoid,
    exact: sigmoid,
    ranges: [
      { from: -87, to: 20, ulps: 2.5 },
      { from: -5, to: 5, ulps: 2.5 },
    ],
  },
  {
    name: 'erf',
    build: M.erf,
    exact: erf,
    ranges: [
      { from: -5, to: 5, ulps: 1.5 },
      { from: -1e-3, to: 1e-3, ulps: 1.5 },
    ],
  },
  { name: 'rsqrt', build: M.rsqrt, exact: (x) => 1 / Math.sqrt(x), ranges: [{ from: 1e-6, to: 100, ulps: 1.5 }] },
  {
    name: 'sin',
    build: M.sin,
    exact: Math.sin,
    ranges: [
      { from: -4, to: 4, ulps: 2, scale: 1 },
      { from: -12000, to: 12000, ulps: 2, scale: 1 },
      { from: -1e6, to: 1e6, ulps: 2, scale: 1 },
      { from: -1e20, to: 1e20, ulps: 2, scale: 1 },
      { from: -3e38, to: 3e38, ulps: 2, scale: 1 },
    ],
  },
  {
    name: 'cos',
    build: M.cos,
    exact: Math.cos,
    ranges: [
      { from: -4, to: 4, ulps: 2, scale: 1 },
      { from: -12000, to: 12000, ulps: 2, scale: 1 },
      { from: -1e6, to: 1e6, ulps: 2, scale: 1 },
      { from: -1e20, to: 1e20, ulps: 2, scale: 1 },
      { from: -3e38, to: 3e38, ulps: 2, scale: 1 },
    ],
  },
];

const POINTS = 4001;

for (const { name, build, exact, ranges } of BOUNDS) {
  for (const fma of ['split', 'fused'] as const) {
    test(`${name}: error with ${fma} multiply-add`, (t) => {
      const f = compiled(build, 1, fma);
      for (const { from, to, ulps, scale } of ranges) {
        for (let i = 0; i < POINTS; i++) {
          const x = Math.fround(from + ((to - from) * i) / (POINTS - 1));
          const [got, want] = [f(x), exact(x)];
          const error = Math.abs(got - want) / ulp(scale ?? want);
          if (!(error <= ulps)) t.fail(`${name}(${x}) is ${got}, not ${want}: ${error.toFixed(2)} ulp`);
        }
      }
      t.pass();
    });
  }
}

test('pow: error over bases and exponents', (t) => {
  const f = compiled(M.pow, 2, 'split');
  for (const [from, to] of [
    [0.01, 10],
    [0.5, 2],
    [1e-30, 1e30],
    [1e-44, 1e-38],
  ] as const) {
    for (const y of [0.5, 2, -3, 7.3, 0.001, 20, -1.7].map(Math.fround)) {
      for (let i = 0; i < 500; i++) {
        const x = Math.fround(from + ((to - from) * i) / 499);
        const [got, want] = [f(x, y), Math.pow(x, y)];
        if (Math.abs(want) > 3.4e38) continue;
        const error = Math.abs(got - want) / ulp(want);
        if (!(error <= 2)) t.fail(`${x} ** ${y} is ${got}, not ${want}: ${error.toFixed(2)} ulp`);
      }
    }
  }
  t.pass();
});

const SPECIAL = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1,
  -1,
  3.4e38,
  -3.4e38,
  1e-45,
  -1e-45,
  1e-40,
  2,
  -2,
  3,
  -3,
  0.5,
  -0.5,
].map(Math.fround);

test('special values are those of C', (t) => {
  for (const { name, build, exact } of BOUNDS) {
    const f = compiled(build, 1, 'split');
    for (const x of SPECIAL) {
      const [got, want] = [f(x), Math.fround(exact(x))];
      const close = Math.abs(got - want) <= 3 * ulp(want) && (want !== 0 || Object.is(got, want));
      t.true(same(got, want) || close, `${name}(${x}) is ${got}, not ${want}`);
      if (want === 0) t.true(Object.is(got, want), `${name}(${x}) has the wrong sign of zero`);
    }
  }
});

test('special values of pow are those of C', (t) => {
  const f = compiled(M.pow, 2, 'split');
  for (const x of SPECIAL)
    for (const y of SPECIAL) {
      // JavaScript gives NaN where C gives 1.
      const one = x === 1 || (x === -1 && Math.abs(y) === Infinity);
      const want = one ? 1 : Math.fround(Math.pow(x, y));
      const got = f(x, y);
      t.true(Object.is(got, want) || Math.abs(got - want) <= 3 * ulp(want), `${x} ** ${y} is ${got}, not ${want}`);
    }
});

test('rounding to half floats is that of the store', (t) => {
  const half = compiled((k, x) => widen('f16', k.let(narrow('f16', x!))), 1, 'split');
  const brain = compiled((k, x) => widen('bf16', k.let(narrow('bf16', x!))), 1, 'split');
  const view = new DataView(new ArrayBuffer(4));
  for (let i = 0; i < 20000; i++) {
    view.setUint32(0, Math.imul(i, 0x9e3779b1) >>> 0);
    const x = view.getFloat32(0);
    t.true(Object.is(half(x), Math.f16round(x)), `${x} as f16`);
    const bits = view.getUint32(0);
    if (Number.isNaN(x)) continue;
    view.setUint32(0, ((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000) >>> 0);
    t.true(Object.is(brain(x), view.getFloat32(0)), `${x} as bf16`);
  }
});
