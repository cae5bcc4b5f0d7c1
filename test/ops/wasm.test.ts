/** The scalar expressions printed as WebAssembly give the bits that kernel IR defines, on one lane and on four. */
import test from 'ava';
import { KernelBuilder, load } from '../../src/codegen/builder.ts';
import { runKernel } from '../../src/codegen/evaluate.ts';
import type { ElemType } from '../../src/ir/ir.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import type { OpCase } from '../support/op-cases.ts';
import { casesOf } from '../support/op-cases.ts';
import { opOn } from '../support/op-func.ts';
import { argOf, prepare, valueOf } from '../support/run-kernels.ts';

/** Inputs are repeated up to this many elements; a second operand in larger steps, so that edges meet edges. */
const SIZE = 96;
const STEP = [1, 7, 11];

const words = (elem: ElemType, data: readonly number[]) =>
  elem === 'f32' ? Float32Array.from(data) : elem === 'i32' ? Int32Array.from(data) : Uint32Array.from(data);

for (const kind of Object.keys(OPS)) {
  const { lower } = opDef(kind);
  if (lower.kind !== 'elementwise') continue;

  const compare = (c: OpCase, lanes: number): string | null => {
    const { op } = opOn(kind, c.attrs, c.inputs);
    const elem = op.results[0]!.type.elem;
    const inputs = c.inputs.map((x, i) =>
      words(
        x.elem,
        Array.from({ length: SIZE }, (_, at) => x.data[(at * STEP[i]!) % x.data.length]!),
      ),
    );
    const k = new KernelBuilder();
    const from = c.inputs.map((x, i) => k.buffer(`x${i}`, x.elem));
    const to = k.buffer('y', elem, 'write');
    k.for(0, SIZE, lanes, (i) => {
      const args = from.map((b) => k.let(load(b, i, lanes)));
      k.store(to, i, lower.scalar(k, args, op));
    });
    const kernel = k.finish(kind, [NO_ORIGIN]);

    const wanted = words(elem, new Array<number>(SIZE).fill(0));
    runKernel(kernel, [...inputs, wanted]);
    const values = c.inputs.map((x) => valueOf(x.elem, SIZE));
    const result = valueOf(elem, SIZE);
    const call = { kernel, args: [...values, result].map(argOf), inPlace: [], origin: NO_ORIGIN };
    const run = prepare([call], new Map(values.map((v, i) => [v, inputs[i]!])), new Map(), false);
    run.run();
    const got = run.read(result);
    const [gotBits, wantedBits] = [new Uint32Array(got.buffer), new Uint32Array(wanted.buffer)];
    // The bits of a NaN are free.
    const at = gotBits.findIndex(
      (b, i) => b !== wantedBits[i] && !(elem === 'f32' && Number.isNaN(got[i]) && Number.isNaN(wanted[i]!)),
    );
    return at < 0
      ? null
      : `${c.name} of (${inputs.map((x) => x[at]).join(', ')}): ${gotBits[at]} for ${wantedBits[at]}`;
  };

  test(`${kind}: WebAssembly computes the same bits`, (t) => {
    for (const c of casesOf(kind)) {
      if (c.inputs.some((x) => x.data.length === 0)) continue;
      for (const lanes of [1, 4]) t.is(compare(c, lanes), null);
    }
  });
}
