/**
 * How threads share a kernel, decided in kernel IR so that every printer shares alike. All threads run the whole body; a loop
 * marked `parallel` is cut into a range for each, and they meet at its end. No sum is split: bits do not depend on their number.
 */
import type { Arg } from './builder.ts';
import { add, bin, bool, cast, div, eq, f32, ge, i32, KernelBuilder, max, min, mul, rem, sub, un } from './builder.ts';
import { PART, PARTS, type BinOp, type Kernel, type KExpr, type KStmt, type KVar } from './kernel.ts';
import { walk } from './walk.ts';

/** Statements below which sharing them costs more than it brings. */
export const WORTH_SHARING = 40_000;

/** How often a loop runs whose end depends on data. */
const UNKNOWN = 8;

const read = (v: KVar): KExpr => ({ k: 'var', var: v, type: v.type });

/** It divides its work itself. */
export function readsPart(kernel: Kernel): boolean {
  let found = false;
  walk(
    kernel.body,
    () => undefined,
    (e) => (found ||= e.k === 'var' && (e.var === PART || e.var === PARTS)),
  );
  return found;
}

/** It has a parallel loop, and nothing outside of those writes what threads read again: other stores are left to the first. */
function hasIndependentLoops(kernel: Kernel): boolean {
  let loops = 0;
  const allowed = (body: readonly KStmt[], inside: Set<KVar> | null): boolean =>
    body.every((s) => {
      switch (s.s) {
        case 'store':
          return inside !== null || s.buf.space !== 'global' || s.buf.access === 'write';
        case 'let':
          inside?.add(s.var);
          return true;
        case 'set':
          return inside === null || inside.has(s.var);
        case 'for': {
          if (s.axis !== 'parallel' || inside) return allowed(s.body, inside);
          loops++;
          return allowed(s.body, new Set());
        }
        case 'while':
          return allowed(s.body, inside);
        case 'if':
          return allowed(s.then, inside) && allowed(s.else, inside);
        case 'barrier':
        case 'note':
          return true;
      }
    });
  return allowed(kernel.body, null) && loops > 0;
}

export interface SharedKernel {
  /** What decides, before a call, whether it is worth sharing: a bool after some statements. */
  readonly weigh: { readonly body: readonly KStmt[]; readonly worth: KExpr };
  /** What each thread runs: loops over its own ranges, and barriers. It reads PART and PARTS. */
  readonly body: readonly KStmt[];
}

/** null where threads cannot share it, or where it is known to be too small: below `from` statements. */
export function shared(kernel: Kernel, from = WORTH_SHARING): SharedKernel | null {
  const divided = readsPart(kernel);
  if (!divided && !hasIndependentLoops(kernel)) return null;
  const weight = weigh(kernel, from);
  if (weight.worth.k === 'const' && weight.worth.value === 0) return null;
  return { weigh: weight, body: threadBody(kernel, divided) };
}

function threadBody(kernel: Kernel, divided: boolean): readonly KStmt[] {
  const first = eq(read(PART), 0);
  const visit = (body: readonly KStmt[]): readonly KStmt[] =>
    body.flatMap((s): readonly KStmt[] => {
      switch (s.s) {
        case 'store':
          if (divided || s.buf.space !== 'global') return [s];
          return [{ s: 'if', cond: first, then: [s], else: [] }];
        case 'for': {
          if (s.axis !== 'parallel') return [{ ...s, body: visit(s.body) }];
          // The end of the kernel is a meeting of its own.
          const last = s === kernel.body.at(-1);
          return [...rangeOf(s), ...(last ? [] : [{ s: 'barrier', space: 'threads' } as const])];
        }
        case 'while':
          return [{ ...s, body: visit(s.body) }];
        case 'if':
          return [{ ...s, then: visit(s.then), else: visit(s.else) }];
        default:
          return [s];
      }
    });
  return visit(kernel.body);
}

/** A thread's range of a loop. */
function rangeOf(s: KStmt & { s: 'for' }): readonly KStmt[] {
  const k = new KernelBuilder();
  const { from, to } = cut(k, s.from, s.to, s.step);
  return [...k.finish('', []).body, { ...s, from, to, axis: 'serial' }];
}

/** The iterations of a loop that are this thread's: equal numbers of neighbours, the first threads one more. `from` never exceeds `to`. */
export function cut(k: KernelBuilder, from: Arg, to: Arg, step = 1): { readonly from: KExpr; readonly to: KExpr } {
  const start = k.let(typeof from === 'number' ? i32(from) : from, 'start');
  const end = k.let(typeof to === 'number' ? i32(to) : to, 'end');
  const count = k.let(div(add(max(sub(end, start), 0), step - 1), step), 'count');
  const each = k.let(div(count, read(PARTS)), 'each');
  const left = k.let(rem(count, read(PARTS)), 'left');
  const at = (part: KExpr): KExpr => add(start, mul(add(mul(each, part), min(part, left)), step));
  const upTo = (part: KExpr, name: string): KExpr => k.let(min(at(part), end), name);
  return { from: upTo(read(PART), 'from'), to: upTo(add(read(PART), 1), 'to') };
}

const FLOATS: ReadonlySet<BinOp> = new Set(['add', 'sub', 'mul', 'div', 'min', 'max']);

/** Of floats that are never NaN, folded where both are known. */
function calculate(op: BinOp, a: KExpr, b: KExpr): KExpr {
  const [x, y] = [a, b].map((e) => (e.k === 'const' ? e.value : null)) as [number | null, number | null];
  if (x !== null && y !== null) {
    if (op === 'add') return f32(x + y);
    if (op === 'sub') return f32(x - y);
    if (op === 'mul') return f32(x * y);
    if (op === 'div') return f32(x / y);
    return f32(op === 'min' ? Math.min(x, y) : Math.max(x, y));
  }
  if (y === 0 && (op === 'add' || op === 'sub')) return a;
  if (y === 1 && (op === 'mul' || op === 'div')) return a;
  if (x === 1 && op === 'mul') return b;
  if (x === 0 && op === 'add') return b;
  if ((x === 0 || y === 0) && op === 'mul') return f32(0);
  return bin(op === 'min' || op === 'max' ? `p${op}` : op, a, b);
}

/** What an innermost body adds to the work: statements, times how often it runs. */
interface Term {
  readonly statements: number;
  /** Written where it is first asked for. */
  readonly times: () => KExpr;
}

/**
 * The work of a call on one thread, about, where `size` is what a parameter is. Loops are taken to run as often as in the first
 * iteration of those around them, and of two values the first is taken.
 */
function termsOf(kernel: Kernel, k: KernelBuilder, size: (p: KVar) => KExpr): Term[] {
  const known = new Map<KVar, () => KExpr>([
    [PART, () => f32(0)],
    [PARTS, () => f32(1)],
  ]);
  const once = (value: () => KExpr): (() => KExpr) => {
    let found: KExpr | null = null;
    return () => (found ??= k.let(value(), 'w'));
  };
  // Most variables are places, and never asked for.
  const learn = (v: KVar, value: () => KExpr): void => void known.set(v, once(value));
  for (const p of kernel.params) if (p.kind === 'var') learn(p, () => size(p));
  const estimate = (e: KExpr): KExpr => {
    if (e.k === 'const') return f32(e.value);
    if (e.k === 'var') return known.get(e.var)?.() ?? f32(UNKNOWN);
    if (e.k === 'select') return estimate(e.a);
    if (e.k !== 'bin') return f32(UNKNOWN);
    if (e.op === 'rem' && e.b.k === 'var' && e.b.var === PARTS) return f32(0);
    if (FLOATS.has(e.op)) return calculate(e.op, estimate(e.a), estimate(e.b));
    return e.op === 'and' ? estimate(e.a) : f32(UNKNOWN);
  };
  const trips = (s: KStmt & { s: 'for' }): KExpr => {
    const steps = calculate('div', calculate('sub', estimate(s.to), estimate(s.from)), f32(s.step));
    if (steps.k === 'const') return f32(Math.max(0, Math.ceil(steps.value)));
    return s.step === 1 ? steps : un('ceil', steps);
  };
  const terms: Term[] = [];
  const visit = (body: readonly KStmt[], times: () => KExpr): void => {
    const repeated = (inner: readonly KStmt[], often: () => KExpr): void =>
      visit(
        inner,
        once(() => calculate('mul', times(), often())),
      );
    let statements = 0;
    for (const s of body) {
      if (s.s === 'for') {
        learn(s.var, () => estimate(s.from));
        repeated(s.body, () => trips(s));
      } else if (s.s === 'while') repeated(s.body, () => f32(UNKNOWN));
      else if (s.s === 'if') {
        visit(s.then, times);
        visit(s.else, times);
      } else if (s.s !== 'note') {
        statements++;
        if (s.s === 'let' && s.var.type.elem === 'i32') learn(s.var, () => estimate(s.value));
      }
    }
    // What stands around inner loops hardly counts.
    const innermost = !body.some((s) => s.s === 'for' || s.s === 'while');
    if (statements > 0 && innermost) terms.push({ statements, times });
  };
  visit(kernel.body, () => f32(1));
  return terms;
}

/** What sizes are taken to be where the question is which parts of a kernel matter, and the share of its work that does. */
const [TYPICAL, MATTERS] = [64, 1 / 8];

/**
 * Whether a call is worth sharing, after statements that weigh it. Only what is a good part of the work at typical sizes is weighed:
 * a product, and not what packs its operands. The rest does not change the answer often enough for its code.
 */
function weigh(kernel: Kernel, enough: number): SharedKernel['weigh'] {
  const typical = termsOf(kernel, new KernelBuilder(), () => f32(TYPICAL)).map(({ statements, times }) => {
    const often = times();
    return often.k === 'const' ? often.value * statements : Infinity;
  });
  const all = typical.reduce((a, b) => a + b, 0);
  const k = new KernelBuilder();
  const total = termsOf(kernel, k, (p) => cast(read(p), 'f32'))
    .filter((_, i) => typical[i]! >= all * MATTERS)
    .reduce<KExpr>((sum, t) => calculate('add', sum, calculate('mul', t.times(), f32(t.statements))), f32(0));
  const worth = total.k === 'const' ? bool(total.value >= enough) : ge(total, enough);
  return { body: k.finish('', []).body, worth };
}
