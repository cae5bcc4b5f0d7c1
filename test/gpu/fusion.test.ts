/** Fused programs on a GPU compute what unfused ones do, and rows of the op table serve every size with one kernel. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import fc from 'fast-check';
import { IrBuilder, tensor, value } from '../../src/ir/builder.ts';
import { dim, sym, type Dim } from '../../src/ir/dim.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { opDef, OPS } from '../../src/ir/ops/table.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { adapterDevice } from '../support/adapter.ts';
import { close } from '../support/close.ts';
import { expectClose } from '../support/compare.ts';
import { casesOf, type OpCase } from '../support/op-cases.ts';
import { func, moduleOf } from '../support/op-func.ts';
import { randomGraph } from '../support/random-graph.ts';
import { runOnGrid } from '../support/run-grid.ts';

const device = await adapterDevice();
if (!device) test('skipped: the package `webgpu` finds no adapter', absent);
const onAdapter = device ? test.serial : test.skip;

onAdapter('fused graphs agree with unfused ones and with the reference', async (t) => {
  await fc.assert(
    // Smooth: no comparison that a last bit decides.
    fc.asyncProperty(randomGraph({ smooth: true }), async ({ module, inputs }) => {
      const plain = decompose(module);
      const exact = interpret(plain, 'main', inputs);
      expectClose(await runOnGrid(device!, plain, 'main', inputs, { inPlace: true }), exact, 1e-4);
      expectClose(await runOnGrid(device!, plain, 'main', inputs, { merge: false }), exact, 1e-4);
    }),
    { numRuns: 25 },
  );
  t.pass();
});

/** Equal sizes get one symbol; ones stay, for they broadcast. */
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
  // At symbolic sizes a loop over blocks, which only a linked program runs: test/stdlib/attention-sizes.test.ts does, on a GPU too.
  if (kind.startsWith('attention')) continue;
  onAdapter(`${kind} at symbolic sizes`, async (t) => {
    for (const c of casesOf(kind)) {
      const module = symbolic(c);
      const wanted = interpret(module, 'main', c.inputs);
      const got = await runOnGrid(device!, decompose(module), 'main', c.inputs);
      wanted.forEach((w, i) => t.is(close(got[i]!, w), null, `${c.name} result ${i}`));
    }
  });
}
