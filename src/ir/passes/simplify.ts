/**
 * Makes programs smaller without changing a bit of what they compute: rewrite rules, constant folding, one op for equal
 * ones, and nothing that nobody reads. One pass over the ops in order; operands are simplified when an op is reached, and
 * what a rule emits is simplified in turn, so a second pass finds next to nothing.
 */
import { IrBuilder } from '../builder.ts';
import type { Attrs, Func, Module, Op, Origin, Region, Value } from '../ir.ts';
import { attrText } from '../print.ts';
import { isDim } from '../symbols.ts';
import { liveOps } from './dce.ts';
import { fold } from './simplify/fold.ts';
import { sameType, type Rule, type Scope } from './simplify/rule.ts';
import { RULES, rulesByKind } from './simplify/rules.ts';

export interface SimplifyOptions {
  /** Gradients have been taken: `stop_gradient` may go. */
  readonly late?: boolean;
  /** For tests: other rules than all. */
  readonly rules?: readonly Rule[];
  /** Each rule that was applied, for tests and statistics. */
  readonly onRule?: (name: string) => void;
}

export function simplify(module: Module, options: SimplifyOptions = {}): Module {
  const rules = rulesByKind((options.rules ?? RULES).filter((r) => options.late || !r.late));
  const funcs = [...module.funcs].map(([name, f]): [string, Func] => [
    name,
    new Simplifier(rules, options.onRule ?? (() => {})).func(f),
  ]);
  return { funcs: new Map(funcs) };
}

/** Equal whichever way round their operands stand, bits included. */
const COMMUTATIVE: ReadonlySet<string> = new Set(['add', 'mul', 'eq', 'ne', 'and', 'or', 'xor']);

class Simplifier implements Scope {
  private readonly rules: ReadonlyMap<string, readonly Rule[]>;
  private readonly onRule: (name: string) => void;
  /** What stands for a value of the old function. */
  private readonly map = new Map<Value, Value>();
  private readonly producers = new Map<Value, Op>();
  private readonly ids = new Map<Value, number>();
  /** Results by structure of the op; one table per open region, inner ones see outer ones. */
  private tables: Map<string, readonly Value[]>[] = [];
  private out: Op[] = [];
  private origin: Origin | null = null;

  constructor(rules: ReadonlyMap<string, readonly Rule[]>, onRule: (name: string) => void) {
    this.rules = rules;
    this.onRule = onRule;
  }

  func(f: Func): Func {
    return { ...f, body: this.region(f.body) };
  }

  private region(r: Region): Region {
    const [outer, tables] = [this.out, this.tables];
    this.out = [];
    this.tables = [...tables, new Map()];
    for (const op of r.ops) this.visit(op);
    const results = r.results.map((v) => this.now(v));
    const ops = liveOps(this.out, results);
    this.out = outer;
    this.tables = tables;
    return { params: r.params, ops, results };
  }

  private now(v: Value): Value {
    return this.map.get(v) ?? v;
  }

  private visit(old: Op): void {
    this.origin = old.origin;
    const op = { ...old, operands: old.operands.map((v) => this.now(v)) };
    const results = this.structure(op) ?? this.place(op);
    old.results.forEach((v, i) => {
      if (results[i] !== v) this.map.set(v, results[i]!);
    });
  }

  producer(v: Value): Op | undefined {
    return this.producers.get(v);
  }

  emit(kind: string, operands: readonly Value[], attrs: Attrs = {}): Value {
    const b = new IrBuilder(this.origin ?? undefined);
    b.one(kind, operands, attrs);
    return this.place(b.ops[0]!)[0]!;
  }

  /** Ops with regions, or null. Fusions are closed and were made by somebody who knew what he wanted. */
  private structure(op: Op): readonly Value[] | null {
    if (op.regions.length === 0) return null;
    if (op.kind === 'fusion') return this.push(op);
    if (op.kind === 'if') {
      const c = this.producers.get(op.operands[0]!);
      if (c?.kind === 'constant') return this.splice(op.regions[c.attrs['value'] !== 0 ? 0 : 1]!);
    }
    const { count } = op.attrs;
    if (op.kind === 'for' && isDim(count) && count.value === 0) return op.operands;
    return this.push({ ...op, regions: op.regions.map((r) => this.region(r)) });
  }

  private splice(r: Region): readonly Value[] {
    for (const op of r.ops) this.visit(op);
    return r.results.map((v) => this.now(v));
  }

  /** The op, or what it comes to. */
  private place(op: Op): readonly Value[] {
    const folded = fold(op, this);
    if (folded) return [folded];
    for (const rule of this.rules.get(op.kind) ?? []) {
      const made = rule.rewrite(op, this);
      if (made === null) continue;
      const values = 'type' in made ? [made] : made;
      // Sizes may be equal without arithmetic knowing it; then the op stays, or types would drift.
      if (!values.every((v, i) => sameType(v, op.results[i]!))) continue;
      this.onRule(rule.name);
      return values;
    }
    const key = this.key(op);
    for (const t of this.tables) {
      const found = t.get(key);
      if (found) return found;
    }
    this.tables.at(-1)!.set(key, op.results);
    return this.push(op);
  }

  private push(op: Op): readonly Value[] {
    this.out.push(op);
    for (const v of op.results) this.producers.set(v, op);
    return op.results;
  }

  private key(op: Op): string {
    const operands = op.operands.map((v) => this.id(v));
    if (COMMUTATIVE.has(op.kind)) operands.sort((a, b) => a - b);
    const attrs = Object.keys(op.attrs)
      .sort()
      .map((k) => `${k}=${attrText(op.attrs[k]!)}`);
    const types = op.results.map((v) => `${v.type.elem}[${v.type.shape.join()}]`);
    return `${op.kind}(${operands.join()}){${attrs.join()}}${types.join()}`;
  }

  private id(v: Value): number {
    let n = this.ids.get(v);
    if (n === undefined) this.ids.set(v, (n = this.ids.size));
    return n;
  }
}
