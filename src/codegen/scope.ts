/**
 * Names expressions once, as far out as they are known: what does not change in a loop is computed before it, what is
 * used twice is computed once. Everything that is shared must be pure and safe to compute when it is not needed.
 */
import type { Arg, KernelBuilder } from './builder.ts';
import { coerce } from './builder.ts';
import type { Axis, KExpr, KVar } from './kernel.ts';
import { I32 } from './kernel.ts';

/** Deeper than any block: what depends on a mutable variable stays where it is. */
const NEVER = Number.POSITIVE_INFINITY;

export class Scope {
  readonly k: KernelBuilder;
  private readonly depths = new Map<KVar, number>();
  private readonly outer: Scope | null;
  private readonly ids: Map<object, number>;
  /** One per open block: key of an expression or memo -> its name. */
  private readonly tables: Map<string, KExpr>[];
  /** Where variables come from that this scope has not declared. */
  private readonly base: number;
  /** No load is made further out: there may be nothing to load from. */
  private outermostLoad = 0;

  constructor(k: KernelBuilder, outer: Scope | null = null) {
    this.k = k;
    this.base = k.depth;
    this.outer = outer;
    this.ids = outer?.ids ?? new Map();
    this.tables = Array.from({ length: k.depth + 1 }, (_, i) => outer?.tables[i] ?? new Map());
  }

  /** The scope of a block that someone else has opened inside this one's: it knows nothing of the loops between. */
  enter(k: KernelBuilder): Scope {
    return new Scope(k, this);
  }

  /** The innermost block that a part of it comes from; the depth at which it can be computed. */
  depthOf(e: KExpr): number {
    switch (e.k) {
      case 'const':
        return 0;
      case 'var':
        return e.var.mutable ? NEVER : (this.declaredAt(e.var) ?? this.base);
      case 'un':
      case 'cast':
      case 'bitcast':
      case 'splat':
      case 'lane':
        return this.depthOf(e.a);
      case 'bin':
      case 'shuffle':
        return Math.max(this.depthOf(e.a), this.depthOf(e.b));
      case 'fma':
      case 'dot':
        return Math.max(this.depthOf(e.a), this.depthOf(e.b), this.depthOf(e.c));
      case 'select':
        return Math.max(this.depthOf(e.cond), this.depthOf(e.a), this.depthOf(e.b));
      case 'load':
        return e.buf.access === 'read' ? Math.max(this.depthOf(e.index), this.outermostLoad) : NEVER;
      case 'vec':
        return Math.max(...e.items.map((x) => this.depthOf(x)));
      case 'subgroup':
        return 0;
      case 'passed':
        return NEVER;
    }
  }

  private declaredAt(v: KVar): number | undefined {
    return this.depths.get(v) ?? this.outer?.declaredAt(v);
  }

  /** The same for equal expressions, and only for those. */
  key(e: KExpr): string {
    switch (e.k) {
      case 'const':
        return `${Object.is(e.value, -0) ? '-0' : e.value}${e.type.elem}${e.type.lanes}`;
      case 'var':
        return `v${this.id(e.var)}`;
      case 'un':
        return `${e.op}(${this.key(e.a)})`;
      case 'cast':
      case 'bitcast':
      case 'splat':
        return `${e.k}${e.type.elem}${e.type.lanes}(${this.key(e.a)})`;
      case 'lane':
        return `${this.key(e.a)}.${e.lane}`;
      case 'bin':
        return `${e.op}(${this.key(e.a)},${this.key(e.b)})`;
      case 'shuffle':
        return `shuffle(${this.key(e.a)},${this.key(e.b)},${e.lanes.join(' ')})`;
      case 'fma':
      case 'dot':
        return `${e.k}(${this.key(e.a)},${this.key(e.b)},${this.key(e.c)})`;
      case 'select':
        return `select(${this.key(e.cond)},${this.key(e.a)},${this.key(e.b)})`;
      case 'load':
        return `b${this.id(e.buf)}:${e.type.lanes}[${this.key(e.index)}]`;
      case 'vec':
        return `vec(${e.items.map((x) => this.key(x)).join(',')})`;
      case 'subgroup':
        return 'subgroup';
      case 'passed':
        return `passed(${this.key(e.a)},${this.key(e.by)})`;
    }
  }

  id(item: object): number {
    let id = this.ids.get(item);
    if (id === undefined) this.ids.set(item, (id = this.ids.size));
    return id;
  }

  /** Names a pure expression, once, in the outermost block where it can be computed. */
  share(e: KExpr, name = 't'): KExpr {
    if (e.k === 'const' || (e.k === 'var' && !e.var.mutable)) return e;
    const depth = this.depthOf(e);
    if (depth === NEVER) return this.named(e, this.k.depth, name);
    const key = this.key(e);
    const known = this.tables[depth]!.get(key);
    if (known) return known;
    const made = this.named(e, depth, name);
    this.tables[depth]!.set(key, made);
    return made;
  }

  /** Names the result of `make`, whose statements go into the block at `depth`. */
  compute(depth: number, make: () => KExpr, name = 't'): KExpr {
    const at = Math.min(depth, this.k.depth);
    return this.k.hoisted(at, () => this.named(make(), at, name));
  }

  private named(e: KExpr, depth: number, name: string): KExpr {
    const made = this.k.hoisted(depth, () => this.k.let(e, name));
    if (made.k === 'var' && this.declaredAt(made.var) === undefined) this.depths.set(made.var, depth);
    return made;
  }

  /** Something computed before under this key, in a block that is still open. */
  recall(key: string): KExpr | null {
    for (const table of this.tables) {
      const e = table.get(key);
      if (e) return e;
    }
    return null;
  }

  /** Remembers it as long as the block it was computed in is open. */
  remember(key: string, e: KExpr): void {
    this.tables[Math.min(this.depthOf(e), this.k.depth)]!.set(key, e);
  }

  loop(from: Arg, to: Arg, step: number, body: (i: KExpr) => void, axis: Axis = 'serial', name = 'i'): void {
    const [a, b] = [coerce(from, I32), coerce(to, I32)];
    if (a.k === 'const' && b.k === 'const') {
      if (a.value >= b.value) return;
      if (a.value + step >= b.value) {
        this.nested(() => body(a));
        return;
      }
    }
    this.k.for(
      a,
      b,
      step,
      (i) => {
        if (i.k === 'var') this.depths.set(i.var, this.k.depth);
        this.nested(() => body(i));
      },
      axis,
      name,
    );
  }

  if(cond: KExpr, then: () => void, otherwise?: () => void): void {
    const branch = (body: () => void) => (): void => this.nested(body);
    this.k.if(cond, branch(then), otherwise && branch(otherwise));
  }

  /** Unlike in `if`, what `body` loads is loaded only where the condition holds. */
  ifLoaded(cond: KExpr, body: () => void): void {
    this.if(cond, () => {
      const before = this.outermostLoad;
      this.outermostLoad = this.k.depth;
      body();
      this.outermostLoad = before;
    });
  }

  /** Opens the table of a block for as long as `body` runs. A body without its own block shares the one around it. */
  private nested(body: () => void): void {
    if (this.tables.length > this.k.depth) {
      body();
      return;
    }
    this.tables.push(new Map());
    try {
      body();
    } finally {
      this.tables.pop();
    }
  }
}
