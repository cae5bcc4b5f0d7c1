/** Every row of the op table, compiled on its own, against its float64 reference. */
import test from 'ava';
import { interpret } from '../../src/ir/interpret.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { close } from '../support/close.ts';
import { casesOf } from '../support/op-cases.ts';
import { opModule } from '../support/op-func.ts';
import { runCompiled } from '../support/run-lowered.ts';

for (const kind of Object.keys(OPS)) {
  if (opDef(kind).lower.kind === 'control') continue;
  test(`${kind} compiles to what it means`, (t) => {
    for (const c of casesOf(kind)) {
      const module = opModule(c.kind, c.attrs, c.inputs);
      const wanted = interpret(module, 'main', c.inputs);
      const got = runCompiled(decompose(module), 'main', c.inputs);
      wanted.forEach((w, i) => {
        const wrong = close(got[i]!, w);
        t.is(wrong, null, `${c.name} result ${i}`);
      });
    }
  });
}
