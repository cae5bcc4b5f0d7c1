/**
 * Evaluates functions on arrays of float64 through the reference column of the op table: slow, and the oracle for every
 * pass, kernel and program.
 */
import { IrBuilder, typeText } from './builder.ts';
import { dim, evaluate, type Dim } from './dim.ts';
import type { Attr, Func, Module, Op, Region, TensorType, Value } from './ir.ts';
import { ndarray, type NdArray } from './ndarray.ts';
import type { ConcreteType, Decompose } from './ops/def.ts';
import { opDef } from './ops/table.ts';
import { bindSymbols, isDim, isDims } from './symbols.ts';

/** A fault of the call or of the program: shapes that do not fit, a failed check, a loop that does not end. */
export class InterpretFault extends Error {
  override readonly name = 'InterpretFault';
}

export interface InterpretOptions {
  /** Values of symbols that no parameter binds. */
  readonly dims?: ReadonlyMap<string, number>;
  /** Rounds every f32 to f32, as a program stores it. Else nothing is rounded between ops. */
  readonly round?: boolean;
  /** `while` gives up after so many iterations. */
  readonly maxIterations?: number;
  /** Sees the results of every op, and may give others in their place. */
  readonly onOp?: (op: Op, results: readonly NdArray[]) => readonly NdArray[] | void;
}

/** The results of a function. Throws InterpretFault. */
export function interpret(
  module: Module,
  func: string,
  inputs: readonly NdArray[],
  options: InterpretOptions = {},
): readonly NdArray[] {
  const f = module.funcs.get(func);
  if (!f) throw new InterpretFault(`there is no function @${func}`);
  return new Interpreter(module, options).call(f, inputs, options.dims ?? new Map());
}

/** The dims that symbols have when parameters of these types get arrays of these shapes. */
export function bindDims(
  types: readonly TensorType[],
  inputs: readonly { readonly shape: readonly number[] }[],
): Map<string, number> {
  const actual = inputs.map((x, i) => ({ elem: types[i]!.elem, shape: x.shape.map(dim) }));
  const out = new Map<string, number>();
  for (const [name, d] of bindSymbols(types, actual)) if (d.value !== null) out.set(name, d.value);
  return out;
}

type Dims = ReadonlyMap<string, number>;
type Env = Map<Value, NdArray>;

class Interpreter {
  private readonly module: Module;
  private readonly options: InterpretOptions;

  constructor(module: Module, options: InterpretOptions) {
    this.module = module;
    this.options = options;
  }

  call(f: Func, inputs: readonly NdArray[], outer: Dims): readonly NdArray[] {
    const params = f.body.params;
    if (inputs.length !== params.length) {
      throw new InterpretFault(`@${f.name} takes ${params.length} arrays, not ${inputs.length}`);
    }
    const types = params.map((p) => p.type);
    const dims = new Map([...outer, ...bindDims(types, inputs)]);
    inputs.forEach((x, i) => {
      const t = types[i]!;
      const fits =
        x.elem === t.elem &&
        x.shape.length === t.shape.length &&
        t.shape.every((d, k) => sizeIn(d, dims) === x.shape[k]);
      if (fits) return;
      const given = `${x.elem}[${x.shape.join(', ')}]`;
      throw new InterpretFault(`parameter ${i} of @${f.name} is ${typeText(t)}, not ${given}`);
    });
    for (const c of f.checks) {
      const [l, r] = [sizeIn(c.left, dims), sizeIn(c.right, dims)];
      if (c.kind === 'equal' ? l !== r : l < r) throw new InterpretFault(c.message);
    }
    return this.region(f.body, inputs, new Map(), dims);
  }

  private region(r: Region, inputs: readonly NdArray[], env: Env, dims: Dims): readonly NdArray[] {
    r.params.forEach((p, i) => env.set(p, inputs[i]!));
    for (const op of r.ops) {
      const operands = op.operands.map((v) => read(env, v));
      const exact = this.op(op, operands, env, dims);
      const own = this.options.round ? exact.map(rounded) : exact;
      const results = this.options.onOp?.(op, own) ?? own;
      op.results.forEach((v, i) => env.set(v, results[i]!));
    }
    return r.results.map((v) => read(env, v));
  }

  private op(op: Op, operands: readonly NdArray[], env: Env, dims: Dims): readonly NdArray[] {
    switch (op.kind) {
      case 'call': {
        const f = this.module.funcs.get(String(op.attrs['callee']));
        if (!f) throw new InterpretFault(`there is no function @${String(op.attrs['callee'])}`);
        return this.call(f, operands, dims);
      }
      case 'fusion':
        return this.region(op.regions[0]!, operands, new Map(), dims);
      case 'with_gradient':
        return operands.slice(0, op.results.length);
      case 'if':
        return this.region(op.regions[operands[0]!.data[0] !== 0 ? 0 : 1]!, [], env, dims);
      case 'for': {
        const count = op.attrs['count'];
        const n = isDim(count) ? sizeIn(count, dims) : Number(count);
        let carry = operands;
        for (let i = 0; i < n; i++) carry = this.region(op.regions[0]!, [ndarray('i32', [], [i]), ...carry], env, dims);
        return carry;
      }
      case 'while': {
        const limit = this.options.maxIterations ?? 1e6;
        let carry = operands;
        for (let i = 0; this.region(op.regions[0]!, carry, env, dims)[0]!.data[0] !== 0; i++) {
          if (i >= limit) throw new InterpretFault(`while did not end after ${limit} iterations`);
          carry = this.region(op.regions[1]!, carry, env, dims);
        }
        return carry;
      }
      default:
        return this.primitive(op, operands, dims);
    }
  }

  private primitive(op: Op, operands: readonly NdArray[], dims: Dims): readonly NdArray[] {
    const def = opDef(op.kind);
    const types = op.results.map((v) => concreteType(v.type, dims));
    const { reference } = def;
    if ('structural' in reference) throw new InterpretFault(`the interpreter does not know ${op.kind}`);
    if ('decompose' in reference) return this.expansion(op, reference, operands, dims);
    const results = reference(operands, concreteOp(op, operands, types, dims), types);
    results.forEach((r, i) => {
      const t = types[i]!;
      if (r.elem === t.elem && r.shape.join() === t.shape.join()) return;
      throw new InterpretFault(
        `${op.kind} made ${r.elem}[${r.shape.join(', ')}] where ${t.elem}[${t.shape.join(', ')}] was promised`,
      );
    });
    return results;
  }

  /** The op's meaning is that of the ops it is made of. */
  private expansion(op: Op, by: Decompose, operands: readonly NdArray[], dims: Dims): readonly NdArray[] {
    const b = new IrBuilder(op.origin);
    const results = by.decompose(b, op);
    return this.region({ params: op.operands, ops: b.ops, results }, operands, new Map(), dims);
  }
}

const rounded = (x: NdArray): NdArray =>
  x.elem === 'f32' ? { ...x, data: Float64Array.from(x.data, Math.fround) } : x;

function read(env: Env, v: Value): NdArray {
  const x = env.get(v);
  if (!x) throw new InterpretFault(`a value of type ${typeText(v.type)} is used before it is defined`);
  return x;
}

function sizeIn(d: Dim, dims: Dims): number {
  try {
    return evaluate(d, dims);
  } catch (e) {
    if (e instanceof RangeError) throw new InterpretFault(e.message);
    throw e;
  }
}

const concreteType = (t: TensorType, dims: Dims): ConcreteType => ({
  elem: t.elem,
  shape: t.shape.map((d) => sizeIn(d, dims)),
});

/** References read attributes and types with every size a number. */
function concreteOp(op: Op, operands: readonly NdArray[], types: readonly ConcreteType[], dims: Dims): Op {
  const attrs: Record<string, Attr> = {};
  for (const [k, a] of Object.entries(op.attrs)) {
    attrs[k] = isDim(a) ? dim(sizeIn(a, dims)) : isDims(a) ? a.map((d) => dim(sizeIn(d, dims))) : a;
  }
  const made = (v: Value, t: ConcreteType): Value => ({
    hint: v.hint,
    type: { elem: t.elem, shape: t.shape.map(dim) },
  });
  return {
    ...op,
    attrs,
    operands: op.operands.map((v, i) => made(v, operands[i]!)),
    results: op.results.map((v, i) => made(v, types[i]!)),
  };
}
