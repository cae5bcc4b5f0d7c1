/** Functions of compile-time values: arithmetic on numbers, lengths, lists. The same names act on tensors as ops. */
import * as D from '../ir/dim.ts';
import type { Span } from '../parser/ast.ts';
import { REAL_OPS } from '../runtime/numbers.ts';
import { report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { itemsOf } from './evaluate.ts';
import { castTo, constantOf } from './tensor.ts';
import { uniformOp } from './uniform.ts';
import { floatVal, intVal, hasPoison, listVal, numberOf, POISON, tupleVal, type Val } from './values.ts';

const REAL: Readonly<Record<string, (x: number) => number>> = { ...REAL_OPS, erf };

/** Between floats and ints: these give ints. */
const ROUNDING: Readonly<Record<string, (x: number) => number>> = {
  floor: Math.floor,
  ceil: Math.ceil,
  trunc: Math.trunc,
  round: roundEven,
};

const LISTS = ['len', 'prod', 'shape', 'enumerate', 'zip', 'reversed'];
const NUMBERS = ['pow', 'min', 'max', 'abs', 'float', 'int', 'maximum', 'minimum'];

/** Names that always mean the compile-time function, also where there is no op of that name. */
export const BUILTINS: readonly string[] = [
  ...LISTS,
  'float',
  'int',
  'abs',
  'pow',
  'min',
  'max',
  ...Object.keys(ROUNDING),
  'sqrt',
  'exp',
  'log',
];

const known = new Set([...Object.keys(REAL), ...Object.keys(ROUNDING), ...NUMBERS]);

/** Whether a call of this name with these arguments is compile-time arithmetic. */
export function isStaticCall(name: string, args: readonly Val[]): boolean {
  return known.has(name) && args.length > 0 && args.every((a) => a.kind === 'int' || a.kind === 'float');
}

export function callBuiltin(cx: Cx, name: string, args: readonly Val[], span: Span): Val {
  if (args.some(hasPoison)) return POISON;
  const [a, b] = args;
  const wrong = (): Val =>
    report(cx, 'bad_builtin_call', { name, found: args.map(describe).join(', ') || 'nothing' }, span);
  if (!a) return wrong();
  const number = uniformOp(name, args);
  if (number) return number;
  switch (name) {
    case 'len':
      if (args.length !== 1) return wrong();
      if (a.kind === 'tuple' || a.kind === 'list') return intVal(a.items.length);
      if (a.kind === 'string') return intVal(a.value.length);
      if (a.kind === 'instance' && a.inst.kind !== 'block') return intVal(a.inst.children.length);
      if (a.kind === 'range') return intVal(D.max(D.sub(a.stop, a.start), 0));
      return wrong();
    case 'prod': {
      const items = a.kind === 'tuple' || a.kind === 'list' ? a.items : null;
      if (!items || args.length !== 1) return wrong();
      if (items.every((x) => x.kind === 'int'))
        return intVal(D.product(items.map((x) => (x.kind === 'int' ? x.dim : 1))));
      const nums = items.map(numberOf);
      return nums.some((x) => x === null) ? wrong() : floatVal(nums.reduce<number>((p, x) => p * x!, 1));
    }
    case 'shape':
      if (a.kind !== 'tensor' || args.length !== 1) return wrong();
      return tupleVal(a.value.type.shape.map((d, i) => intVal(d, a.from[i] ?? null)));
    case 'enumerate':
    case 'reversed': {
      const items = itemsOf(cx, a, span);
      if (!items || args.length !== 1) return wrong();
      return listVal(name === 'reversed' ? [...items].reverse() : items.map((x, i) => tupleVal([intVal(i), x])));
    }
    case 'zip': {
      const lists = args.map((x) => itemsOf(cx, x, span));
      if (lists.some((l) => l === null)) return wrong();
      const n = Math.min(...lists.map((l) => l!.length));
      return listVal(Array.from({ length: n }, (_, i) => tupleVal(lists.map((l) => l![i]!))));
    }
    case 'float':
      if (args.length !== 1) return wrong();
      if (a.kind === 'float' || a.kind === 'uniform') return a;
      if (a.kind === 'bool') return floatVal(a.value ? 1 : 0);
      if (a.kind === 'int')
        return a.dim.value !== null
          ? floatVal(a.dim.value)
          : cx.fn
            ? constantOf(cx, a, 'f32', span)
            : notNow(cx, a, span);
      return a.kind === 'tensor' ? castTo(cx, a, 'f32', span) : wrong();
    case 'int':
      if (args.length !== 1) return wrong();
      if (a.kind === 'int') return a;
      if (a.kind === 'float' && Number.isFinite(a.value)) return intVal(Math.trunc(a.value));
      return a.kind === 'bool' ? intVal(a.value ? 1 : 0) : wrong();
    case 'abs':
      if (args.length !== 1) return wrong();
      if (a.kind === 'int' && a.dim.value !== null) return intVal(Math.abs(a.dim.value));
      return a.kind === 'float' ? floatVal(Math.abs(a.value)) : a.kind === 'int' ? a : wrong();
    case 'min':
    case 'max':
    case 'minimum':
    case 'maximum': {
      const least = name.startsWith('min');
      const items = args.length === 1 && (a.kind === 'list' || a.kind === 'tuple') ? a.items : args;
      if (items.length === 0) return wrong();
      if (items.every((x) => x.kind === 'int')) {
        return intVal(
          items.map((x) => (x.kind === 'int' ? x.dim : D.dim(0))).reduce((x, y) => (least ? D.min(x, y) : D.max(x, y))),
        );
      }
      const nums = items.map(numberOf);
      if (nums.some((x) => x === null)) return wrong();
      return floatVal(
        nums.reduce<number>((x, y) => (least ? Math.min(x, y!) : Math.max(x, y!)), least ? Infinity : -Infinity),
      );
    }
    case 'pow': {
      if (!b || args.length !== 2) return wrong();
      const [x, y] = [numberOf(a), numberOf(b)];
      if (a.kind === 'int' && y !== null && b.kind === 'int' && y >= 0 && y <= 64)
        return intVal(D.product(Array.from({ length: y }, () => a.dim)));
      return x === null || y === null ? wrong() : floatVal(Math.pow(x, y));
    }
  }
  const x = numberOf(a);
  if (args.length !== 1) return wrong();
  if (x === null) return a.kind === 'int' ? notNow(cx, a, span) : wrong();
  const round = ROUNDING[name];
  if (round) return intVal(round(x));
  const real = REAL[name];
  return real ? floatVal(real(x)) : wrong();
}

const notNow = (cx: Cx, a: Val, span: Span): Val => report(cx, 'not_static', { what: describe(a) }, span);

/** Half to even, as PyTorch and IEEE 754 round. */
function roundEven(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

/** erf by its series, or the continued fraction of erfc where |x| > 3: within 1e-15. Abramowitz & Stegun 7.1.5, 7.1.14. */
function erf(x: number): number {
  if (Number.isNaN(x)) return x;
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 3) {
    let term = z;
    let total = z;
    for (let n = 1; n < 100; n++) {
      term *= (-z * z) / n;
      total += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * total) / Math.sqrt(Math.PI);
  }
  let f = z;
  for (let n = 60; n > 0; n--) f = z + n / 2 / f;
  return Math.sign(x) * (1 - Math.exp(-z * z) / (f * Math.sqrt(Math.PI)));
}
