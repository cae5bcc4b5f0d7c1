/** An expansion into primitives means what the op's reference says, edges included. */
import test from 'ava';
import { IrBuilder } from '../../src/ir/builder.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { casesOf } from '../support/op-cases.ts';
import { func, moduleOf, opModule, opOn } from '../support/op-func.ts';

/** Both sides are float64; they differ by the order of a few hundred additions. */
const TOLERANCE = 1e-12;

for (const kind of Object.keys(OPS)) {
  const { lower } = opDef(kind);
  if (lower.kind !== 'rowwise' && lower.kind !== 'decompose') continue;
  test(`${kind}: its expansion equals its reference`, (t) => {
    for (const c of casesOf(kind)) {
      const want = interpret(opModule(kind, c.attrs, c.inputs), 'main', c.inputs);
      const { op, params } = opOn(kind, c.attrs, c.inputs);
      const b = new IrBuilder();
      const results = lower.decompose(b, op);
      t.deepEqual(
        results.map((r) => r.type),
        op.results.map((r) => r.type),
      );
      const got = interpret(moduleOf(func('main', params, b.ops, results)), 'main', c.inputs);
      want.forEach((w, i) =>
        w.data.forEach((x, at) => {
          const y = got[i]!.data[at]!;
          const close = Object.is(x, y) || x === y || Math.abs(x - y) <= TOLERANCE * Math.max(1, Math.abs(x));
          if (!close) t.fail(`${c.name}: result ${i}, element ${at} is ${y}, not ${x}`);
        }),
      );
    }
    t.pass();
  });
}
