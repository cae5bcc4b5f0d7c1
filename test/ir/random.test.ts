/** Random graphs through every pass: legal after each, and the same bits (or gradients that agree with differences). */
import test from 'ava';
import fc from 'fast-check';
import { interpret } from '../../src/ir/interpret.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { decompose } from '../../src/ir/passes/decompose.ts';
import { inline } from '../../src/ir/passes/inline.ts';
import { simplify } from '../../src/ir/passes/simplify.ts';
import { verify } from '../../src/ir/verify.ts';
import { expectNone, expectSameBits } from '../support/compare.ts';
import { gradcheck } from '../support/gradcheck.ts';
import { randomGraph } from '../support/random-graph.ts';

test('random modules are legal, print and parse back', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(randomGraph({ control: true, calls: true }), ({ module }) => {
        expectNone(verify(module));
        const text = printModule(module);
        if (printModule(parseModule(text)) !== text) throw new Error('the text differs');
      }),
      { numRuns: 200 },
    ),
  );
});

test('a parsed module means what the printed one meant', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(randomGraph({ control: true, calls: true, ops: 12 }), ({ module, inputs }) => {
        const again = parseModule(printModule(module));
        expectSameBits(interpret(again, 'main', inputs), interpret(module, 'main', inputs));
      }),
      { numRuns: 40 },
    ),
  );
});

test('simplify keeps every bit and is deterministic', (t) => {
  const seen = new Map<string, number>();
  t.notThrows(() =>
    fc.assert(
      fc.property(randomGraph({ control: true, calls: true, ops: 40 }), ({ module, inputs }) => {
        const onRule = (name: string): unknown => seen.set(name, (seen.get(name) ?? 0) + 1);
        const simple = simplify(module, { late: true, onRule });
        expectNone(verify(simple));
        expectSameBits(
          interpret(simple, 'main', inputs, { round: true }),
          interpret(module, 'main', inputs, { round: true }),
        );
        if (printModule(simplify(module, { late: true })) !== printModule(simple)) throw new Error('the text differs');
      }),
      { numRuns: 400 },
    ),
  );
  t.log([...seen].map(([name, n]) => `${name} ${n}`).join(', '));
});

test('inline and decompose keep every bit', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(randomGraph({ control: true, calls: true }), ({ module, inputs }) => {
        const expanded = decompose(inline(module, ['main']));
        expectNone(verify(expanded));
        expectSameBits(interpret(expanded, 'main', inputs), interpret(module, 'main', inputs));
      }),
      { numRuns: 100 },
    ),
  );
});

test('gradients of random smooth graphs agree with differences', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(randomGraph({ smooth: true, control: true, calls: true, ops: 10 }), ({ module, inputs }) => {
        const made = gradcheck(module, 'main', inputs, [0, 1, 2, 3, 4]);
        const simple = simplify(made.module, { late: true });
        expectNone(verify(simple));
        expectSameBits(
          interpret(simple, made.func, inputs, { round: true }),
          interpret(made.module, made.func, inputs, { round: true }),
        );
      }),
      { numRuns: 60 },
    ),
  );
});
