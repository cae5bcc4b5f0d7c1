/** The scalar expressions of elementwise ops and generators, evaluated as kernel IR, against the reference. */
import test from 'ava';
import { evaluateExpr } from '../../src/codegen/evaluate.ts';
import { i32, KernelBuilder, vector } from '../../src/codegen/builder.ts';
import type { KExpr, KVar } from '../../src/codegen/kernel.ts';
import { kernelElem } from '../../src/codegen/math.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { sizeOf } from '../../src/ir/ndarray.ts';
import { broadcastStrides, eachIndex, offset } from '../../src/ir/ops/pointwise.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import type { OpCase } from '../support/op-cases.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule, opOn } from '../support/op-func.ts';

const LANES = [1, 4];

/** Units in the last place of f32. */
const ULPS = 3;
/** Those with a wider bound of their own (docs/guarantees.md). */
const WIDER: Readonly<Record<string, number>> = { tanh: 6.5 };
function close(kind: string, want: number, got: number, inputs: readonly number[]): boolean {
  const rounded = Math.fround(want);
  if (Object.is(rounded, got) || rounded === got) return true;
  const scale =
    kind === 'rem' ? Math.max(...inputs.map(Math.abs)) : kind === 'sin' || kind === 'cos' ? 1 : Math.abs(rounded);
  const ulp = Math.max(2 ** -149, 2 ** (Math.floor(Math.log2(scale)) - 23));
  // A result at the edge of the range may be infinite on one side only.
  const top = 3.4028234663852886e38;
  if (Math.abs(rounded) >= top || Math.abs(got) >= top) return Math.sign(rounded) === Math.sign(got);
  return Math.abs(want - got) <= (WIDER[kind] ?? ULPS) * ulp;
}

for (const kind of Object.keys(OPS)) {
  const { lower } = opDef(kind);
  if (lower.kind === 'elementwise') {
    test(`${kind}: its scalar expression computes the reference`, (t) => {
      for (const c of casesOf(kind)) {
        const [want] = interpret(opModule(kind, c.attrs, c.inputs), 'main', c.inputs);
        const { op } = opOn(kind, c.attrs, c.inputs);
        const isFloat = op.results[0]!.type.elem === 'f32';
        for (const lanes of LANES) {
          const vars: KVar[] = c.inputs.map((x, i) => ({
            kind: 'var',
            name: `x${i}`,
            type: { elem: kernelElem(x.elem), lanes },
            mutable: false,
          }));
          const k = new KernelBuilder();
          const args = vars.map((v): KExpr => ({ k: 'var', var: v, type: v.type }));
          const expr = lower.scalar(k, args, op);
          t.deepEqual(expr.type, { elem: kernelElem(op.results[0]!.type.elem), lanes }, c.name);
          const { body } = k.finish('scalar', []);
          const rows = alignedInputs(c.inputs, want!.shape);
          for (let at = 0; at < rows.length; at += lanes) {
            const some = Array.from({ length: lanes }, (_, i) => rows[Math.min(at + i, rows.length - 1)]!);
            const env = new Map(vars.map((v, i) => [v, some.map((xs) => xs[i]!)]));
            const got = evaluateExpr(body, expr, env);
            for (let i = 0; i < lanes && at + i < rows.length; i++) {
              const [xs, w, g] = [some[i]!, want!.data[at + i]!, got[i]!];
              if (isFloat ? !close(kind, w, g, xs) : w !== g) t.fail(`${c.name} at (${xs.join(', ')}): ${g}, not ${w}`);
            }
          }
        }
      }
      t.pass();
    });
  }
  if (lower.kind === 'generator') {
    test(`${kind}: its scalar expression computes the reference`, (t) => {
      for (const c of casesOf(kind)) {
        const [want] = interpret(opModule(kind, c.attrs, c.inputs), 'main', c.inputs);
        for (const lanes of LANES)
          t.deepEqual(generated(c, want!.shape, lanes), [...want!.data], `${c.name}, ${lanes} lanes`);
      }
    });
  }
}

/** What each element of the result is computed from. */
function alignedInputs(inputs: readonly NdArray[], shape: readonly number[]): number[][] {
  const strides = inputs.map((x) => broadcastStrides(x.shape, shape));
  const out: number[][] = [];
  eachIndex(shape, (index) => out.push(inputs.map((x, i) => x.data[offset(index, strides[i]!)]!)));
  return out;
}

function generated(c: OpCase, shape: readonly number[], lanes: number): number[] {
  const { lower } = opDef(c.kind);
  if (lower.kind !== 'generator') throw new Error('not a generator');
  const { op } = opOn(c.kind, c.attrs, c.inputs);
  const indices: number[][] = [];
  eachIndex(shape, (index) => indices.push([...index]));
  const out: number[] = [];
  for (let at = 0; at < sizeOf(shape); at += lanes) {
    const lane = (f: (i: number) => number): KExpr => {
      const items = Array.from({ length: lanes }, (_, l) => i32(f(Math.min(at + l, indices.length - 1))));
      return lanes === 1 ? items[0]! : vector(items);
    };
    const k = new KernelBuilder();
    const value = lower.scalar(
      k,
      {
        linear: lane((i) => i),
        index: shape.map((_, axis) => lane((i) => indices[i]![axis]!)),
        size: (d) => i32(d.value!),
      },
      op,
    );
    const got = evaluateExpr(k.finish('generated', []).body, value, new Map());
    // A generator may ignore its position: one lane stands for all.
    for (let l = 0; l < lanes && at + l < indices.length; l++) out.push(got[l] ?? got[0]!);
  }
  return out;
}
