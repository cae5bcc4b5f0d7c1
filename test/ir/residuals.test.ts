/** What a forward function saves for its backward function: names of the extra results of `f.fwd`. */
import test from 'ava';
import fc from 'fast-check';
import { sinkSide } from '../../src/ir/passes/autodiff/min-cut.ts';
import { parseModule } from '../../src/ir/parse.ts';
import { gradcheck, wave } from '../support/gradcheck.ts';

/** @f: (x: f32[B, 4], w: f32[4, 4]) -> f32[B, 4], called twice. Every value has the name it has in the text. */
const saved = (body: string): (string | null)[] => {
  const m = parseModule(`
func @f(%x: f32[B, 4], %w: f32[4, 4]) -> (f32[B, 4]) {
${body}
}
func @loss(%x: f32[B, 4], %w: f32[4, 4]) -> (f32[]) {
  %0 = call @f %x, %w : f32[B, 4]
  %1 = call @f %0, %w : f32[B, 4]
  %2 = sum %1 {axes = (0, 1), keepdims = false} : f32[]
  return %2
}`);
  const made = gradcheck(m, 'loss', [wave([2, 4]), wave([4, 4], 1)], [0, 1]);
  const fwd = made.module.funcs.get('f.fwd');
  return fwd ? fwd.body.results.slice(1).map((r) => r.hint) : [];
};
const MATMUL = '{transpose_a = false, transpose_b = false}';

test('nothing, where arguments tell all', (t) => {
  t.deepEqual(saved('%y = matmul %x, %w {transpose_a = false, transpose_b = false} : f32[B, 4]\nreturn %y'), []);
  t.deepEqual(saved('%s = sin %x : f32[B, 4]\n%c = mul %s, %x : f32[B, 4]\nreturn %c'), []);
});

test('one tensor for several things made of it: the one that the forward uses several times', (t) => {
  t.deepEqual(
    saved(`%h = matmul %x, %w ${MATMUL} : f32[B, 4]
%two = constant {value = 2, elem = "f32", shape = []} : f32[]
%z = add %h, %two : f32[B, 4]
%a = mul %z, %two : f32[B, 4]
%e = erf %a : f32[B, 4]
%b = sin %z : f32[B, 4]
%y = mul %e, %b : f32[B, 4]
return %y`),
    ['z'],
  );
});

test('the source of slices, transposes and broadcasts', (t) => {
  t.deepEqual(
    saved(`%h = matmul %x, %w ${MATMUL} : f32[B, 4]
%p = slice %h {start = [0, 0], stop = [B, 2], step = (1, 1)} : f32[B, 2]
%q = slice %h {start = [0, 2], stop = [B, 4], step = (1, 1)} : f32[B, 2]
%pq = mul %p, %q : f32[B, 2]
%t = transpose %pq {perm = (1, 0)} : f32[2, B]
%u = transpose %t {perm = (1, 0)} : f32[B, 2]
%y = concat %u, %p {axis = 1} : f32[B, 4]
return %y`),
    ['h'],
  );
});

test('what was made of two unknowns is saved itself', (t) => {
  t.deepEqual(
    saved(`%h = matmul %x, %w ${MATMUL} : f32[B, 4]
%g = matmul %x, %w {transpose_a = false, transpose_b = true} : f32[B, 4]
%s = add %h, %g : f32[B, 4]
%y = sin %s : f32[B, 4]
return %y`),
    ['s'],
  );
});

test('of several values of one size the one that spares most: not random bits, but what compares them', (t) => {
  t.deepEqual(
    saved(`%z = constant {value = 7, elem = "u32", shape = [2]} : u32[2]
%r = random_bits %z {shape = [B, 4]} : u32[B, 4]
%half = constant {value = 2147483648, elem = "u32", shape = []} : u32[]
%keep = lt %r, %half : bool[B, 4]
%zero = constant {value = 0, elem = "f32", shape = []} : f32[]
%y = select %keep, %x, %zero : f32[B, 4]
return %y`),
    ['keep'],
  );
});

test('a product of batches of small matrices is computed again, one with weights is not', (t) => {
  t.deepEqual(
    saved(`%a = reshape %x {shape = [B, 2, 2]} : f32[B, 2, 2]
%b = matmul %a, %a ${MATMUL} : f32[B, 2, 2]
%c = reshape %b {shape = [B, 4]} : f32[B, 4]
%y = matmul %c, %w ${MATMUL} : f32[B, 4]
return %y`),
    [],
  );
  t.deepEqual(
    saved(`%h = matmul %x, %w ${MATMUL} : f32[B, 4]
%y = matmul %h, %w ${MATMUL} : f32[B, 4]
return %y`),
    ['h'],
  );
});

test('a minimal cut is as cheap as the best of all cuts, and the nearest to the sink of those', (t) => {
  const nodes = 6;
  const edge = fc.tuple(fc.nat(nodes - 1), fc.nat(nodes - 1), fc.nat(6));
  fc.assert(
    fc.property(fc.array(edge, { maxLength: 14 }), (edges) => {
      const side = sinkSide({ nodes, edges, source: 0, sink: 1 });
      t.false(side[0]);
      t.true(side[1]);
      const cost = (s: readonly boolean[]): number =>
        edges.reduce((sum, [from, to, capacity]) => sum + (!s[from]! && s[to]! ? capacity : 0), 0);
      for (let bits = 0; bits < 2 ** (nodes - 2); bits++) {
        const other = Array.from({ length: nodes }, (_, i) => (i < 2 ? i === 1 : ((bits >> (i - 2)) & 1) === 1));
        t.true(cost(side) <= cost(other));
        if (cost(side) === cost(other)) t.true(side.every((here, i) => !here || other[i]!));
      }
    }),
  );
});
