/** Carries of which each iteration has its own slice: which need a start, and which need not be carried at all. */
import test from 'ava';
import { interpret } from '../../src/ir/interpret.ts';
import type { Op } from '../../src/ir/ir.ts';
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { loopSlices } from '../../src/ir/passes/loop-slices.ts';
import { verify } from '../../src/ir/verify.ts';
import { expectSameBits } from '../support/compare.ts';

/** A loop over T that fills %out and reads a sequence %s whose slices it clears; `extra` and `results` vary it. */
const loop = (o: { at?: string; read?: string; count?: string; results?: string; types?: string } = {}): string => `
func @main(%x: f32[2], %s: f32[T, 2], %o: f32[T, 2]) -> (${o.types ?? 'f32[T, 2], f32[2]'}) {
  %last, %out, %rest = for %x, %o, %s {count = <${o.count ?? 'T'}>} : f32[2], f32[T, 2], f32[T, 2] do (%i: i32[], %h: f32[2], %p: f32[T, 2], %q: f32[T, 2]) {
    ${o.at ?? '%at = reshape %i {shape = []} : i32[]'}
    %seen = take %q, ${o.at ? '%at' : '%i'} {axis = 0} : f32[2]
    %next = add %h, %seen : f32[2]
    %zero = constant {value = 0, elem = "f32", shape = [2]} : f32[2]
    %cleared = put %q, ${o.at ? '%at' : '%i'}, %zero {axis = 0} : f32[T, 2]
    %filled = put %p, ${o.at ? '%at' : '%i'}, ${o.read ?? '%next'} {axis = 0} : f32[T, 2]
    yield %next, %filled, %cleared
  }
  return ${o.results ?? '%out, %last'}
}`;
const REVERSE = `%end = size {dim = <T - 1>} : i32[]
    %at = sub %end, %i : i32[]`;

const inputs = (n: number): NdArray[] => [
  ndarray('f32', [2], [1, 2]),
  ndarray(
    'f32',
    [n, 2],
    Array.from({ length: 2 * n }, (_, i) => i + 3),
  ),
  ndarray(
    'f32',
    [n, 2],
    Array.from({ length: 2 * n }, (_, i) => -i - 1),
  ),
];

/** The loop after the pass, which must mean the same: what is read of an unwritten tensor is NaN to the interpreter. */
function after(text: string): { readonly loop: Op; readonly started: readonly boolean[] } {
  const module = parseModule(text);
  const made = loopSlices(module);
  const faults = verify(made);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  for (const n of [0, 1, 4]) expectSameBits(interpret(made, 'main', inputs(n)), interpret(module, 'main', inputs(n)));
  const { ops } = made.funcs.get('main')!.body;
  const op = ops.find((o) => o.kind === 'for')!;
  const unwritten = new Set(ops.flatMap((o) => (o.kind === 'unwritten' ? o.results : [])));
  return { loop: op, started: op.operands.map((v) => !unwritten.has(v)) };
}

for (const [order, at] of [
  ['forwards', undefined],
  ['backwards', REVERSE],
] as const)
  test(`${order}: what is filled needs no start, what is cleared for nobody is no carry`, (t) => {
    const { loop: op, started } = after(loop(at ? { at } : {}));
    t.deepEqual(started, [true, false]);
    t.is(op.regions[0]!.ops.filter((o) => o.kind === 'put').length, 1);
  });

test('what somebody wants is cleared; what nobody wants is not filled', (t) => {
  const { started } = after(loop({ results: '%rest, %last' }));
  t.deepEqual(started, [true, true]);
});

test('what is read while it is filled has a start', (t) => {
  const text = loop({ read: '%sum' }).replace(
    '%filled =',
    '%old = take %p, %i {axis = 0} : f32[2]\n    %sum = add %next, %old : f32[2]\n    %filled =',
  );
  t.deepEqual(after(text).started, [true, true]);
});

test('another order than the loop’s may leave something out', (t) => {
  const at = `%two = constant {value = 2, elem = "i32", shape = []} : i32[]
    %at = rem %i, %two : i32[]`;
  t.deepEqual(after(loop({ at })).started, [true, true, true]);
});

test('fewer iterations than slices leave something out', (t) => {
  const text = loop({ count: '1' });
  t.deepEqual(after(text).started, [true, true, true]);
});
