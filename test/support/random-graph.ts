/**
 * Random well-typed net IR for differential tests: fast-check draws numbers, a deterministic builder turns them into ops, so
 * that shrinking drops ops from the end and keeps the graph well typed.
 */
import fc from 'fast-check';
import { IrBuilder, tensor, value } from '../../src/ir/builder.ts';
import { dim, evaluate, sameShape, sym, type Dim } from '../../src/ir/dim.ts';
import type { Func, Module, Op, Region, Value } from '../../src/ir/ir.ts';
import { printModule } from '../../src/ir/print.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { bindSymbols, substituteType } from '../../src/ir/symbols.ts';

export interface RandomGraph {
  /** `main`, and with `calls` a `helper`. With `smooth` its first result is an f32[] that depends on the last values. */
  readonly module: Module;
  readonly inputs: readonly NdArray[];
  /** What fast-check shows of a counterexample. */
  readonly [fc.toStringMethod]: () => string;
}

export interface GraphOptions {
  /** Ops at most. 24 unless told. */
  readonly ops?: number;
  /** Only smooth float ops, with a scalar first result: for gradients by differences. */
  readonly smooth?: boolean;
  /** Regions (`if`, `for`). */
  readonly control?: boolean;
  /** A function of its own that is called now and then; the first third of the ops go there. */
  readonly calls?: boolean;
}

export function randomGraph(options: GraphOptions = {}): fc.Arbitrary<RandomGraph> {
  const step = fc.tuple(fc.nat(1000), fc.nat(1000), fc.nat(1000), fc.nat(1000));
  const sizes = fc.record({ B: fc.constantFrom(1, 2, 3, 5), T: fc.constantFrom(1, 2, 4) });
  return fc
    .tuple(fc.array(step, { minLength: 1, maxLength: options.ops ?? 24, size: 'max' }), sizes, fc.nat(1 << 20))
    .map(([steps, s, seed]) => build(steps, new Map(Object.entries(s)), seed, options));
}

type Maker = (a: number, c: number, d: number) => Value | null;
type Step = readonly [number, number, number, number];

function build(steps: readonly Step[], dims: ReadonlyMap<string, number>, seed: number, o: GraphOptions): RandomGraph {
  const [B, T] = [sym('B'), sym('T')];
  const params = [
    value(tensor('f32', [B, 4]), 'x'),
    value(tensor('f32', [4, 3]), 'w'),
    value(tensor('f32', [B, T, 4]), 's'),
    value(tensor('f32', [1, 4]), 'row'),
    value(tensor('f32', []), 'k'),
    value(tensor('i32', [B]), 'n'),
  ];
  const inside = o.calls ? Math.ceil(steps.length / 3) : 0;
  const helper = o.calls ? buildHelper(steps.slice(0, inside), o) : null;
  const g = new Grower(params, o, helper);
  for (const s of steps.slice(inside)) g.step(s);
  const main = g.func('main', params, g.results());
  const module = { funcs: new Map((helper ? [helper, main] : [main]).map((f) => [f.name, f])) };
  const inputs = params.map((p, i) => fill(p, dims, seed + i));
  const bound = [...dims].map(([k, v]) => `${k} = ${v}`).join(', ');
  return { module, inputs, [fc.toStringMethod]: () => `${bound}, seed ${seed}\n${printModule(module)}` };
}

function buildHelper(steps: readonly Step[], o: GraphOptions): Func {
  const params = [
    value(tensor('f32', [sym('N'), 4]), 'a'),
    value(tensor('f32', [4, 3]), 'w'),
    value(tensor('f32', []), 'k'),
    value(tensor('i32', []), 'i'),
  ];
  const g = new Grower(params, o, null);
  for (const s of steps) g.step(s);
  return g.func('helper', params, g.floats(2));
}

/** A fixed hash of position and seed: floats in (-2, 2) that are exact in f32, now and then 0 or -0; integers 0 to 3. */
function fill(p: Value, dims: ReadonlyMap<string, number>, seed: number): NdArray {
  const x = ndarray(
    p.type.elem,
    p.type.shape.map((d) => evaluate(d, dims)),
  );
  for (let i = 0; i < x.data.length; i++) {
    let h = Math.imul(i + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca77);
    h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
    h = (h ^ (h >>> 13)) >>> 0;
    if (p.type.elem === 'i32') x.data[i] = h & 3;
    else x.data[i] = h % 16 === 0 ? 0 : h % 16 === 1 ? -0 : ((h >>> 8) / 2 ** 24 - 0.5) * 4;
  }
  return x;
}

const SMOOTH_UNARY = ['sin', 'cos', 'tanh', 'sigmoid', 'neg', 'erf'] as const;
const OTHER_UNARY = ['abs', 'exp', 'sqrt', 'relu', 'floor', 'sign', 'round', 'log1p', 'stop_gradient'] as const;
const SMOOTH_BINARY = ['add', 'sub', 'mul'] as const;
const OTHER_BINARY = ['div', 'maximum', 'minimum'] as const;
const COMPARE = ['lt', 'le', 'gt', 'ge', 'eq', 'ne'] as const;
const CONSTANTS = [0, -0, 1, -1, 2, 0.5, 3, 0.1] as const;

class Grower {
  readonly b = new IrBuilder();
  private readonly options: GraphOptions;
  /** All values in scope, newest last; operands are picked with a leaning towards the new ones. */
  private values: Value[];
  private readonly helper: Func | null;

  constructor(params: readonly Value[], options: GraphOptions, helper: Func | null) {
    this.options = options;
    this.helper = helper;
    this.values = [...params];
  }

  func(name: string, params: readonly Value[], results: readonly Value[]): Func {
    return { name, body: { params, ops: this.b.ops, results }, checks: [], origin: this.b.origin };
  }

  floats(n: number): Value[] {
    return this.values.filter((v) => v.type.elem === 'f32').slice(-n);
  }

  results(): Value[] {
    const last = this.floats(4);
    if (!this.options.smooth) return [...new Set([...this.values.slice(-3), ...last])];
    let total = this.b.constant(0.5);
    for (const v of last) {
      const axes = v.type.shape.map((_, i) => i);
      const part = axes.length === 0 ? v : this.b.one('sum', [this.b.one('sin', [v])], { axes, keepdims: false });
      total = this.b.one('add', [total, part]);
    }
    return [total, ...last];
  }

  step([what, a, c, d]: Step): void {
    const make = this.makers()[what % this.makers().length]!;
    const made = make.call(this, a, c, d);
    if (made) this.values.push(made);
  }

  private makers(): readonly Maker[] {
    const all: Maker[] = [
      this.unary,
      this.binary,
      this.unary,
      this.binary,
      this.constant,
      this.reduce,
      this.move,
      this.matmul,
    ];
    if (!this.options.smooth) all.push(this.compare, this.select, this.integers, this.rowwise, this.move);
    else all.push(this.rowwise);
    if (this.options.control) all.push(this.branch, this.loop);
    if (this.helper) all.push(this.call, this.call);
    return all;
  }

  private pick(n: number, fits: (v: Value) => boolean): Value | null {
    const from = this.values.filter(fits);
    if (from.length === 0) return null;
    // Even numbers choose among the newest four.
    return n % 2 === 0 ? from[Math.max(0, from.length - 1 - ((n >> 1) % 4))]! : from[(n >> 1) % from.length]!;
  }

  private float(n: number): Value {
    return this.pick(n, (v) => v.type.elem === 'f32')!;
  }

  /** A partner that broadcasts with x, or one made from it. */
  private partner(n: number, x: Value): Value {
    return this.pick(n, (v) => v.type.elem === x.type.elem && broadcasts(v.type.shape, x.type.shape)) ?? x;
  }

  private unary(a: number, c: number): Value {
    const kinds: readonly string[] = this.options.smooth ? SMOOTH_UNARY : [...SMOOTH_UNARY, ...OTHER_UNARY];
    return this.b.one(kinds[c % kinds.length]!, [this.float(a)]);
  }

  private binary(a: number, c: number, d: number): Value {
    const kinds: readonly string[] = this.options.smooth ? SMOOTH_BINARY : [...SMOOTH_BINARY, ...OTHER_BINARY];
    const x = this.float(a);
    const y = this.partner(c, x);
    return this.b.one(kinds[d % kinds.length]!, d % 2 === 0 ? [x, y] : [y, x]);
  }

  private constant(a: number, c: number, d: number): Value {
    const like = this.float(c);
    const shape = d % 2 === 0 ? [] : like.type.shape;
    return this.b.one('constant', [], { value: CONSTANTS[a % CONSTANTS.length]!, elem: 'f32', shape });
  }

  private call(a: number, c: number, d: number): Value | null {
    const f = this.helper;
    const x = this.pick(a, (v) => v.type.elem === 'f32' && v.type.shape.length === 2 && v.type.shape[1]!.value === 4);
    const w = this.pick(c, (v) => v.type.elem === 'f32' && sameShape(v.type.shape, [dim(4), dim(3)]));
    const k = this.pick(d, (v) => v.type.elem === 'f32' && v.type.shape.length === 0);
    if (!f || !x || !w || !k) return null;
    const operands = [x, w, k, this.b.constant(d % 3, 'i32')];
    const env = bindSymbols(
      f.body.params.map((p) => p.type),
      operands.map((v) => v.type),
    );
    const types = f.body.results.map((r) => substituteType(r.type, env));
    const made = this.b.emitTyped('call', operands, { callee: f.name }, types);
    if (made.length > 1) this.values.push(made[1]!);
    return made[0] ?? null;
  }

  private reduce(a: number, c: number, d: number): Value {
    const x = this.float(a);
    const axes = x.type.shape.map((_, i) => i).filter((i) => (c >> i) % 2 === 0);
    const kind = this.options.smooth || d % 2 === 0 ? 'sum' : 'max';
    return this.b.one(kind, [x], { axes, keepdims: d % 4 > 1 });
  }

  private move(a: number, c: number, d: number): Value {
    const x = this.float(a);
    const { shape } = x.type;
    switch (c % 6) {
      case 0: {
        const perm = shape.map((_, i) => (i + d) % Math.max(1, shape.length));
        return this.b.one('transpose', [x], { perm });
      }
      case 1:
        return this.b.one('reshape', [x], {
          shape: d % 2 === 0 ? [dim(1), ...shape] : shape.filter((s) => s.value !== 1),
        });
      case 2:
        return this.b.one('broadcast_to', [x], { shape: [dim(1 + (d % 2)), ...shape] });
      case 3: {
        const take = shape.map((s) => (s.value !== null && s.value > 1 && d % 2 === 0 ? dim(1) : dim(0)));
        return this.b.one('slice', [x], { start: take, stop: shape, step: shape.map(() => 1 + (d % 3 === 0 ? 1 : 0)) });
      }
      case 4:
        return this.b.one('pad', [x], {
          low: shape.map(() => dim(d % 2)),
          high: shape.map((_, i) => dim((d >> i) % 2)),
          value: 0,
          gap: [],
        });
      default: {
        if (shape.length === 0) return this.b.one('neg', [x]);
        const axis = d % shape.length;
        const y = this.pick(a + 2, (v) => v.type.elem === 'f32' && sameShape(v.type.shape, shape)) ?? x;
        return d % 2 === 0 ? this.b.one('concat', [x, y], { axis }) : this.b.one('flip', [x], { axes: [axis] });
      }
    }
  }

  private matmul(a: number, c: number): Value | null {
    const x = this.pick(a, (v) => v.type.elem === 'f32' && v.type.shape.length >= 2);
    const k = x?.type.shape.at(-1);
    const y = this.pick(
      c,
      (v) => v.type.elem === 'f32' && v.type.shape.length === 2 && v.type.shape.some((d) => d.key === k!.key),
    );
    if (!x || !y) return null;
    const transpose_b = y.type.shape[0]!.key !== k!.key;
    // Squashed, or a chain of products would leave the range where differences mean anything.
    return this.b.one('tanh', [this.b.one('matmul', [x, y], { transpose_a: false, transpose_b })]);
  }

  private rowwise(a: number, c: number, d: number): Value | null {
    const x = this.pick(a, (v) => v.type.elem === 'f32' && v.type.shape.length > 0);
    if (!x) return null;
    const axis = c % x.type.shape.length;
    if (d % 3 === 2) return this.b.emit('moments', [x], { axes: [axis], keepdims: true })[0]!;
    return this.b.one(d % 3 === 0 ? 'softmax' : 'logsumexp', [x], { axis });
  }

  private compare(a: number, c: number, d: number): Value {
    const x = this.float(a);
    return this.b.one(COMPARE[d % COMPARE.length]!, [x, this.partner(c, x)]);
  }

  private select(a: number, c: number, d: number): Value | null {
    const x = this.float(a);
    const cond = this.pick(c, (v) => v.type.elem === 'bool' && broadcasts(v.type.shape, x.type.shape));
    if (!cond) return null;
    const y = this.pick(d, (v) => v.type.elem === 'f32' && sameShape(v.type.shape, x.type.shape)) ?? x;
    const turned = d % 5 === 0 ? this.b.one('not', [cond]) : cond;
    return this.b.one('select', [turned, x, y]);
  }

  private integers(a: number, c: number, d: number): Value {
    const x = this.pick(a, (v) => v.type.elem === 'i32')!;
    if (d % 3 === 0) return this.b.one('cast', [x], { elem: 'f32' });
    const y = this.partner(c, x);
    const kinds = ['add', 'sub', 'mul', 'maximum', 'div', 'rem', 'and', 'xor'];
    return this.b.one(kinds[d % kinds.length]!, [x, y]);
  }

  /** Runs `grow` on a builder of its own and gives what it made: the region's ops. */
  private inside<T>(grow: () => T): { ops: readonly Op[]; made: T } {
    const [values, start] = [this.values, this.b.ops.length];
    this.values = [...values];
    const made = grow();
    this.values = values;
    return { ops: this.b.ops.splice(start), made };
  }

  private branch(a: number, c: number, d: number): Value {
    const x = this.float(a);
    const axes = x.type.shape.map((_, i) => i);
    const sum = this.b.one('sum', [x], { axes, keepdims: false });
    // No sum of the inputs lies here: at the edge itself differences would see the jump.
    const cond = this.b.one('gt', [sum, this.b.constant(0.12345)]);
    const regions = [c, d].map((n): Region => {
      const { ops, made } = this.inside(() => {
        this.values.push(x);
        const y = this.unary(0, n);
        return sameShape(y.type.shape, x.type.shape) ? this.b.one('mul', [y, this.b.constant(0.5 + (n % 3))]) : x;
      });
      return { params: [], ops, results: [made] };
    });
    return this.b.emitTyped('if', [cond], {}, [x.type], regions)[0]!;
  }

  private loop(a: number, c: number, d: number): Value {
    const x = this.float(a);
    const carry = value(x.type, 'c');
    const i = value(tensor('i32', []), 'i');
    const { ops, made } = this.inside(() => {
      this.values.push(carry);
      const y = this.b.one('add', [this.b.one('sin', [carry]), this.partnerWithin(c, carry)]);
      const at = this.b.one('cast', [i], { elem: 'f32' });
      return this.b.one('mul', [y, this.b.one('cos', [at])]);
    });
    const region: Region = { params: [i, carry], ops, results: [made] };
    return this.b.emitTyped('for', [x], { count: dim(d % 4) }, [x.type], [region])[0]!;
  }

  /** A partner that does not stretch x. */
  private partnerWithin(n: number, x: Value): Value {
    const fits = (v: Value): boolean => v.type.elem === 'f32' && stretches(v.type.shape, x.type.shape);
    return this.pick(n, fits) ?? x;
  }
}

const stretches = (from: readonly Dim[], to: readonly Dim[]): boolean =>
  from.length <= to.length && from.every((d, i) => d.value === 1 || d.key === to[i + to.length - from.length]!.key);

const broadcasts = (a: readonly Dim[], b: readonly Dim[]): boolean => {
  const n = Math.min(a.length, b.length);
  for (let i = 1; i <= n; i++) {
    const [x, y] = [a.at(-i)!, b.at(-i)!];
    if (x.value !== 1 && y.value !== 1 && x.key !== y.key) return false;
  }
  return true;
};
