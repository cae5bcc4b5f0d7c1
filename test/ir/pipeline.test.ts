/** The pipelines as a whole, on random graphs and on a network with a loss. */
import test from 'ava';
import fc from 'fast-check';
import { WASM } from '../../src/codegen/targets.ts';
import { interpret } from '../../src/ir/interpret.ts';
import type { Module } from '../../src/ir/ir.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { IllegalIr, METHOD_PASSES, PASS_NAMES, PROGRAM_PASSES, runPasses } from '../../src/ir/pipeline.ts';
import { printModule } from '../../src/ir/print.ts';
import { expectClose } from '../support/compare.ts';
import { wave } from '../support/gradcheck.ts';
import { randomGraph } from '../support/random-graph.ts';

const context = (...roots: string[]) => ({ roots, target: WASM, merge: true });
const all = (m: Module, root: string): Module => runPasses(PROGRAM_PASSES, m, context(root), { verify: true });

test('passes have names of their own and reasons', (t) => {
  t.is(new Set(PASS_NAMES).size, PASS_NAMES.length);
  t.deepEqual(PASS_NAMES.slice(-2), ['fuse', 'schedule']);
  for (const p of [...METHOD_PASSES, ...PROGRAM_PASSES]) t.true(p.why.length > 20);
});

test('random programs mean the same after the whole pipeline, and its text is always the same', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(randomGraph({ control: true, calls: true, smooth: true, ops: 30 }), ({ module, inputs }) => {
        const made = all(module, 'main');
        // Folded constants are rounded to f32, everything else is exact here.
        expectClose(interpret(made, 'main', inputs), interpret(module, 'main', inputs), 1e-5);
        if (printModule(all(module, 'main')) !== printModule(made)) throw new Error('the text differs');
      }),
      { numRuns: 200 },
    ),
  );
});

test('a network with its gradient', (t) => {
  const m = parseModule(`
func @linear(%x: f32[B, N], %w: f32[M, N], %b: f32[M]) -> (f32[B, M]) {
  %0 = matmul %x, %w {transpose_a = false, transpose_b = true} : f32[B, M]
  %1 = add %0, %b : f32[B, M]
  return %1
}
func @block(%x: f32[B, N], %w: f32[N, N], %b: f32[N]) -> (f32[B, N]) {
  %0 = call @linear %x, %w, %b : f32[B, N]
  %1 = relu %0 : f32[B, N]
  %2 = call @linear %1, %w, %b : f32[B, N]
  %3 = add %x, %2 : f32[B, N]
  return %3
}
func @loss(%x: f32[B, 3], %y: i32[B], %w: f32[3, 3], %b: f32[3]) -> (f32[]) {
  %0 = call @block %x, %w, %b : f32[B, 3]
  %1 = call @block %0, %w, %b : f32[B, 3]
  %2 = cross_entropy %1, %y {ignore_index = -100, label_smoothing = 0} : f32[B]
  %3 = sum %2 {axes = (0), keepdims = false} : f32[]
  return %3
}`);
  const names: string[] = [];
  const onPass = (name: string): unknown => names.push(name);
  const methods = runPasses(METHOD_PASSES, m, context('loss'), { verify: true, onPass });
  t.deepEqual([...methods.funcs.keys()], ['block', 'loss']);
  const gradient = vjp(methods, 'loss', [0, 2, 3]);
  const made = runPasses(PROGRAM_PASSES, gradient.module, context(gradient.func), { verify: true, onPass });
  t.deepEqual([...made.funcs.keys()].sort(), ['block.bwd', 'block.fwd', 'loss.vjp']);
  t.deepEqual(names, PASS_NAMES);

  const inputs = [
    wave([4, 3]),
    { elem: 'i32', shape: [4], data: Float64Array.of(0, 2, 1, 2) },
    wave([3, 3], 1),
    wave([3], 2),
  ] as const;
  const plain = vjp(m, 'loss', [0, 2, 3]);
  t.notThrows(() =>
    expectClose(interpret(made, gradient.func, inputs), interpret(plain.module, plain.func, inputs), 1e-12),
  );
});

test('an illegal module names the pass', (t) => {
  const m = parseModule('func @main(%x: f32[B]) -> (f32[B]) {\n %y = sin %x : f32[B]\n return %y\n}');
  const broken = [{ name: 'break', why: 'a test', run: () => parseModule('func @f() -> () {\n blur\n return\n}') }];
  const fault = t.throws(() => runPasses(broken, m, context('main'), { verify: true }), { instanceOf: IllegalIr });
  t.is(fault?.message, 'after break:\n  @f blur: no op has this name');
});
