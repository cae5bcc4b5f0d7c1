/** Rows compiled for sizes that are known only at run time: one kernel, every size. */
import test from 'ava';
import { IrBuilder, tensor, value } from '../../src/ir/builder.ts';
import { dim, sym, type Dim } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { close } from '../support/close.ts';
import { casesOf, type OpCase } from '../support/op-cases.ts';
import { func, moduleOf, opModule } from '../support/op-func.ts';
import { linkFunc } from '../support/run-linked.ts';
import { runCompiled } from '../support/run-lowered.ts';

/** Equal sizes get one symbol; ones stay, for they broadcast. Channels and kernels of convolutions are fixed at compile time. */
const sizeOf = (n: number): Dim => (n === 1 ? dim(1) : sym(`S${n}`));

function symbolic(c: OpCase) {
  const b = new IrBuilder();
  const params = c.inputs.map((x) => value(tensor(x.elem, x.shape.map(sizeOf))));
  const results = b.emit(c.kind, params, c.attrs);
  return moduleOf(func('main', params, b.ops, results));
}

for (const [kind, row] of Object.entries(OPS)) {
  const sized = Object.values(opDef(kind).attrs).some((a) => a.type === 'dims' || a.type === 'dim');
  if (row.lower.kind === 'control' || row.lower.kind === 'elementwise' || sized || kind.startsWith('conv2d')) continue;
  test(`${kind} at symbolic sizes`, async (t) => {
    for (const c of casesOf(kind)) {
      const wanted = interpret(opModule(c.kind, c.attrs, c.inputs), 'main', c.inputs);
      const module = decompose(symbolic(c));
      // Attention goes by blocks, in a loop.
      const loops = module.funcs.get('main')!.body.ops.some((op) => op.regions.length > 0);
      const got = loops ? await linkFunc(module, 'main').run(c.inputs) : runCompiled(module, 'main', c.inputs);
      wanted.forEach((w, i) => t.is(close(got[i]!, w), null, `${c.name} result ${i}`));
    }
  });
}
