/** What the gradient of a loop keeps, what it computes again and what it leaves for after the loop. */
import test from 'ava';
import type { Op } from '../../src/ir/ir.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { simplify } from '../../src/ir/passes/simplify.ts';
import { verify } from '../../src/ir/verify.ts';
import { gradcheck, wave } from '../support/gradcheck.ts';

/** A cell with two gates over xs, its state h carried; `inputs` are of the step. */
const cell = (position: string): string => `
func @loss(%h: f32[B, 3], %w: f32[6, 3], %b: f32[6], %xs: f32[T, B, 6]) -> (f32[]) {
  %last = for %h {count = <T>} : f32[B, 3] do (%i: i32[], %c: f32[B, 3]) {
    ${position}
    %x = take %xs, %at {axis = 0} : f32[B, 6]
    %seen = matmul %c, %w {transpose_a = false, transpose_b = true} : f32[B, 6]
    %biased = add %seen, %b : f32[B, 6]
    %gates = add %biased, %x : f32[B, 6]
    %p = slice %gates {start = [0, 0], stop = [B, 3], step = (1, 1)} : f32[B, 3]
    %q = slice %gates {start = [0, 3], stop = [B, 6], step = (1, 1)} : f32[B, 3]
    %s = sigmoid %p : f32[B, 3]
    %u = tanh %q : f32[B, 3]
    %next = mul %s, %u : f32[B, 3]
    yield %next
  }
  %sum = sum %last {axes = (0, 1), keepdims = false} : f32[]
  return %sum
}`;
const FORWARD = `%zero = constant {value = 0, elem = "i32", shape = []} : i32[]
    %at = add %i, %zero : i32[]`;
const BACKWARD = `%size = size {dim = <T - 1>} : i32[]
    %at = sub %size, %i : i32[]`;

const inputs = (steps: number) => [wave([2, 3]), wave([6, 3], 1), wave([6], 2), wave([steps, 2, 6], 3)];

/** The ops of the gradient after simplification: those beside the backward loop, and those in it. */
function gradient(position: string): { readonly beside: readonly Op[]; readonly inside: readonly Op[] } {
  const module = simplify(parseModule(cell(position)));
  const made = gradcheck(module, 'loss', inputs(4), [0, 1, 2, 3]);
  const late = simplify(made.module, { late: true });
  const { ops } = late.funcs.get(made.func)!.body;
  const backward = ops.findLast((op) => op.kind === 'for')!;
  return { beside: ops.slice(ops.indexOf(backward) + 1), inside: backward.regions[0]!.ops };
}
const count = (ops: readonly Op[], kind: string): number => ops.filter((op) => op.kind === kind).length;

test('the gradient is right for any number of iterations, whichever way inputs are read', (t) => {
  for (const position of [FORWARD, BACKWARD])
    for (const steps of [0, 1, 4]) {
      const module = simplify(parseModule(cell(position)));
      const made = gradcheck(module, 'loss', inputs(steps), [0, 1, 2, 3]);
      t.deepEqual(verify(made.module), []);
    }
});

test('the product of the forward is kept, not computed again', (t) => {
  const { inside } = gradient(FORWARD);
  t.is(count(inside, 'matmul'), 1, 'of the cotangent with the weight');
});

test('the costly functions of the forward are kept, not computed again', (t) => {
  const { inside } = gradient(FORWARD);
  t.is(count(inside, 'sigmoid') + count(inside, 'tanh'), 0);
  t.is(count(inside, 'take'), 2, 'what they gave; of what they were made from nothing is left to read');
});

test('the gradients of weight, bias and inputs are made after the loop, of all steps at once', (t) => {
  const { beside, inside } = gradient(FORWARD);
  t.is(count(beside, 'matmul'), 1);
  t.is(count(inside, 'sum'), 0);
  t.is(count(inside, 'index_add'), 0);
  t.is(count(inside, 'put'), 1, 'the tape of the gates’ cotangents serves all three');
});

test('a gradient by rows in another order than the loop’s is added up in the loop', (t) => {
  const { inside } = gradient(BACKWARD);
  t.is(count(inside, 'index_add'), 1);
});

test('cotangents of neighbouring slices are laid side by side, not padded and added', (t) => {
  const { inside } = gradient(FORWARD);
  t.is(count(inside, 'pad'), 0);
  t.is(count(inside, 'concat'), 1);
});
