/** Linked programs with arenas, branches and loops, written as net IR, against the interpreter; and the copies they need not make. */
import test from 'ava';
import fc from 'fast-check';
import { interpret } from '../../src/ir/interpret.ts';
import type { NdArray } from '../../src/ir/ndarray.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { bool, CONTROL_CASES, f32, rounds } from '../support/control-cases.ts';
import { randomProgram } from '../support/random-program.ts';
import { copies, linkFunc } from '../support/run-linked.ts';

for (const c of CONTROL_CASES) {
  test(c.title, async (t) => {
    const module = parseModule(c.text);
    const linked = linkFunc(module, 'main', c.roles);
    const apart = linkFunc(module, 'main', c.roles, { merge: false });
    const want = interpret(module, 'main', c.inputs, { round: true });
    for (const got of [await linked.run(c.inputs), await apart.run(c.inputs)]) {
      got.forEach((g, i) => {
        t.deepEqual(g.shape, want[i]!.shape, `result ${i}`);
        // Sums and products of small numbers are exact in f32; exp differs from the reference by less than 1e-6 of it.
        g.data.forEach((v, k) => {
          const w = want[i]!.data[k]!;
          t.true(Math.abs(v - w) <= 1e-6 * Math.abs(w), `result ${i}[${k}] is ${v}, not ${w}`);
        });
      });
    }
    t.is(copies(linked.program.steps), c.copies, 'copies');
  });
}

test('random programs with arenas, branches, loops and calls are what the interpreter says, bit for bit', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.nat(1e9),
      fc.integer({ min: 1, max: 12 }),
      fc.boolean(),
      fc.nat(3),
      fc.boolean(),
      async (seed, size, condition, n, merge) => {
        const program = randomProgram(seed, size);
        const module = parseModule(program.text);
        const vectors = program.vectors.map((length, i) =>
          f32(...Array.from({ length }, (_, k) => ((7 * i + 3 * k) % 11) - 5)),
        );
        const inputs = [...vectors, bool(condition), rounds(n)];
        const want = interpret(module, 'main', inputs, { round: true });
        const got = await linkFunc(module, 'main', program.roles, { merge }).run(inputs);
        const bits = (list: readonly NdArray[]): number[][] => list.map((r) => [...r.data]);
        t.deepEqual(bits(got), bits(want), program.text);
      },
    ),
    { numRuns: 150 },
  );
});
