/** Says what is illegal in a module. Runs between passes in tests and under a flag; user input never gets here illegal. */
import { typeText } from './builder.ts';
import { compare, sub } from './dim.ts';
import type { Dim } from './dim.ts';
import type { Attr, DimCheck, Func, Module, Op, Region, TensorType, Value } from './ir.ts';
import type { AttrSpec } from './ops/def.ts';
import { hasOp, opDef } from './ops/table.ts';
import { bindSymbols, boundBy, isDim, isDims, substituteType, symbolsOfAttrs, symbolsOfTypes } from './symbols.ts';

/** One line for each fault, with function and op; empty for a legal module. */
export function verify(module: Module): string[] {
  const faults: string[] = [];
  for (const [name, f] of module.funcs) {
    if (f.name !== name) faults.push(`@${name}: its function is called @${f.name}`);
    new FuncVerifier(module, f, faults).run();
  }
  faults.push(...callCycles(module));
  return faults;
}

class FuncVerifier {
  private readonly module: Module;
  private readonly func: Func;
  private readonly faults: string[];
  private readonly defined = new Set<Value>();
  private readonly bound: ReadonlySet<string>;

  constructor(module: Module, func: Func, faults: string[]) {
    this.module = module;
    this.func = func;
    this.faults = faults;
    this.bound = boundBy(func.body.params.map((p) => p.type));
  }

  run(): void {
    for (const c of this.func.checks) this.symbols(null, [{ elem: 'i32', shape: [c.left, c.right] }], 'a check');
    this.region(null, this.func.body, new Set());
  }

  private fault(op: Op | null, message: string): void {
    const hint = op?.results[0]?.hint;
    const where = op ? ` ${op.kind}${hint ? ` (%${hint})` : ''}${op.origin.path ? ` in ${op.origin.path}` : ''}` : '';
    this.faults.push(`@${this.func.name}${where}: ${message}`);
  }

  /** `scope` holds what is visible; the region's own values are taken out again at its end. */
  private region(owner: Op | null, r: Region, scope: Set<Value>): void {
    const own: Value[] = [];
    const define = (op: Op | null, v: Value): void => {
      if (this.defined.has(v)) this.fault(op, `a value of type ${typeText(v.type)} is defined twice`);
      this.defined.add(v);
      scope.add(v);
      own.push(v);
      this.symbols(op, [v.type], 'a type');
    };
    for (const p of r.params) define(owner, p);
    for (const op of r.ops) {
      op.operands.forEach((v, i) => scope.has(v) || this.fault(op, `operand ${i} is not defined here`));
      this.op(op, scope);
      for (const v of op.results) define(op, v);
    }
    r.results.forEach((v, i) => scope.has(v) || this.fault(owner, `result ${i} of a region is not defined in it`));
    for (const v of own) scope.delete(v);
  }

  private symbols(op: Op | null, types: readonly TensorType[], what: string): void {
    for (const s of symbolsOfTypes(types)) this.symbol(op, s, what);
  }

  /** A function without parameters may leave sizes open (the initial state of an optimizer): who uses it binds them. */
  private symbol(op: Op | null, s: string, what: string): void {
    if (this.func.body.params.length > 0 && !this.bound.has(s))
      this.fault(op, `${what} uses the size ${s}, which no parameter binds`);
  }

  private op(op: Op, scope: Set<Value>): void {
    if (!hasOp(op.kind)) {
      this.fault(op, 'no op has this name');
      return;
    }
    for (const s of symbolsOfAttrs(op.attrs)) this.symbol(op, s, 'an attribute');
    const misfits = Object.entries(opDef(op.kind).attrs).filter(([name, spec]) => {
      const a = op.attrs[name];
      const absent = a === undefined || (a === null && spec.default === null);
      return absent ? spec.default === undefined : !fits(spec, a);
    });
    for (const [name, { type }] of misfits) this.fault(op, `attribute ${name} must be of the kind ${type}`);
    // The row's rules read attributes at their types.
    if (misfits.length > 0) return;
    for (const r of op.regions) this.region(op, r, op.kind === 'fusion' ? new Set() : scope);
    switch (op.kind) {
      case 'call':
        return this.call(op);
      case 'if':
        return this.conditional(op);
      case 'while':
      case 'for':
        return this.loop(op);
      case 'with_gradient':
        return this.withGradient(op);
      case 'fusion':
        return this.fusion(op);
      default:
        return this.primitive(op);
    }
  }

  private primitive(op: Op): void {
    if (op.regions.length > 0) this.fault(op, 'takes no regions');
    const types = opDef(op.kind).shape(
      op.operands.map((v) => v.type),
      op.attrs,
      { equal: (a, b) => compare(a, b) !== 'different', atLeast: (a, b) => (sub(a, b).value ?? 0) >= 0 },
    );
    if ('fault' in types) this.fault(op, types.fault);
    else this.same(op, types, op.results, 'result');
  }

  private call(op: Op): void {
    const name = String(op.attrs['callee']);
    const callee = this.module.funcs.get(name);
    if (!callee) return this.fault(op, `there is no function @${name}`);
    const formal = callee.body.params.map((p) => p.type);
    const env = bindSymbols(
      formal,
      op.operands.map((v) => v.type),
    );
    this.same(
      op,
      formal.map((t) => substituteType(t, env)),
      op.operands,
      'operand',
    );
    this.same(
      op,
      callee.body.results.map((r) => substituteType(r.type, env)),
      op.results,
      'result',
    );
  }

  private conditional(op: Op): void {
    const [cond] = op.operands;
    if (op.operands.length !== 1 || cond!.type.elem !== 'bool' || cond!.type.shape.length > 0) {
      this.fault(op, 'the condition must be one bool[]');
    }
    if (op.regions.length !== 2) return this.fault(op, 'takes two regions');
    for (const r of op.regions) {
      this.same(op, [], r.params, 'parameter');
      this.same(op, typesOf(op.results), r.results, 'branch value');
    }
  }

  private loop(op: Op): void {
    const carry = typesOf(op.operands);
    this.same(op, carry, op.results, 'result');
    if (op.regions.length !== (op.kind === 'for' ? 1 : 2)) return this.fault(op, 'has the wrong number of regions');
    const body = op.regions.at(-1)!;
    const index: readonly TensorType[] = op.kind === 'for' ? [{ elem: 'i32', shape: [] }] : [];
    for (const r of op.regions) this.same(op, [...index, ...carry], r.params, 'parameter');
    this.same(op, carry, body.results, 'carried value');
    if (op.kind === 'while') this.same(op, [{ elem: 'bool', shape: [] }], op.regions[0]!.results, 'condition');
  }

  private withGradient(op: Op): void {
    const [gradient] = op.regions;
    const [values, inputs] = [op.operands.slice(0, op.results.length), op.operands.slice(op.results.length)];
    if (!gradient || op.regions.length !== 1) return this.fault(op, 'takes one region');
    this.same(op, typesOf(values), op.results, 'result');
    this.same(op, typesOf(values), gradient.params, 'cotangent');
    this.same(op, typesOf(inputs), gradient.results, 'gradient');
  }

  private fusion(op: Op): void {
    const [body] = op.regions;
    if (!body || op.regions.length !== 1) return this.fault(op, 'takes one region');
    this.same(op, typesOf(op.operands), body.params, 'parameter');
    this.same(op, typesOf(body.results), op.results, 'result');
  }

  /** Types must be equal; two sizes that differ in form only where the function's checks make them equal. */
  private same(op: Op, wanted: readonly TensorType[], given: readonly Value[], what: string): void {
    if (wanted.length !== given.length) {
      return this.fault(op, `${what}s: ${given.length} where ${wanted.length} are due`);
    }
    wanted.forEach((t, i) => {
      const g = given[i]!.type;
      const equal =
        t.elem === g.elem &&
        t.shape.length === g.shape.length &&
        t.shape.every((d, k) => d.key === g.shape[k]!.key || impliedEqual(this.func.checks, d, g.shape[k]!));
      if (!equal) this.fault(op, `${what} ${i} is ${typeText(g)}, but must be ${typeText(t)}`);
    });
  }
}

const typesOf = (values: readonly Value[]): TensorType[] => values.map((v) => v.type);

/** Some equality is tested at run time, and arithmetic does not contradict this one. */
const impliedEqual = (checks: readonly DimCheck[], a: Dim, b: Dim): boolean =>
  checks.some((c) => c.kind === 'equal') && compare(a, b) === 'unknown';

function fits(spec: AttrSpec, a: Attr | undefined): boolean {
  switch (spec.type) {
    case 'int':
      return typeof a === 'number' && Number.isInteger(a);
    case 'float':
      return typeof a === 'number';
    case 'bool':
      return typeof a === 'boolean';
    case 'string':
    case 'elem':
      return typeof a === 'string';
    case 'ints':
      return Array.isArray(a) && a.every((x) => Number.isInteger(x));
    case 'strings':
      return Array.isArray(a) && a.every((x) => typeof x === 'string');
    case 'dim':
      return isDim(a);
    case 'dims':
      return isDims(a);
  }
}

function callCycles(module: Module): string[] {
  const faults: string[] = [];
  const done = new Set<string>();
  const open: string[] = [];
  const visit = (name: string): void => {
    const f = module.funcs.get(name);
    if (!f || done.has(name)) return;
    if (open.includes(name)) {
      faults.push(
        `@${name} calls itself: ${[...open.slice(open.indexOf(name)), name].map((n) => `@${n}`).join(' -> ')}`,
      );
      return;
    }
    open.push(name);
    calls(f.body, visit);
    open.pop();
    done.add(name);
  };
  for (const name of module.funcs.keys()) visit(name);
  return faults;
}

function calls(r: Region, visit: (callee: string) => void): void {
  for (const op of r.ops) {
    if (op.kind === 'call') visit(String(op.attrs['callee']));
    for (const inner of op.regions) calls(inner, visit);
  }
}
