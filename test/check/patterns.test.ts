/** What patterns compile to: as few ops as there can be, and checks for sizes that only a run knows. */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { ShapeError, zeros } from '../../src/runtime/index.ts';
import { elaborated } from '../support/elaborated.ts';

/** The ops of a method, with the forms of matrix products. */
function ops(signature: string, expression: string): string[] {
  const { block } = elaborated(`export block Case() { value(${signature}) => ${expression} }`);
  return block.module.funcs
    .get(block.methods[0]!.eval.func)!
    .body.ops.map((op) =>
      op.kind === 'matmul'
        ? `matmul${op.attrs['transpose_a'] ? '_t' : '_n'}${op.attrs['transpose_b'] ? 't' : 'n'}`
        : op.kind,
    );
}

test('a product that a matrix product can take as it lies turns nothing', (t) => {
  t.deepEqual(ops('q: f32[B, H, I, D], k: f32[B, H, J, D]', 'einsum("bhid,bhjd->bhij", q, k)'), ['matmul_nt']);
  t.deepEqual(ops('a: f32[B, H, I, J], v: f32[B, H, J, D]', 'einsum("bhij,bhjd->bhid", a, v)'), ['matmul_nn']);
  t.deepEqual(ops('x: f32[K, I], y: f32[K, J]', 'einsum("ki,kj->ij", x, y)'), ['matmul_tn']);
  t.deepEqual(ops('x: f32[I, K], y: f32[K, J]', 'einsum("ik,kj->ji", x, y)'), ['matmul_tt']);
  t.deepEqual(ops('x: f32[B, T, I], w: f32[O, I]', 'einsum("... i, o i -> ... o", x, w)'), [
    'reshape',
    'matmul_nt',
    'reshape',
  ]);
  t.deepEqual(ops('x: f32[I, K, L], y: f32[K, L, J]', 'einsum("ikl,klj->ij", x, y)'), [
    'reshape',
    'reshape',
    'matmul_nn',
  ]);
});

test('what is not multiplied is summed first, what is not summed is no matrix product', (t) => {
  t.deepEqual(
    ops('x: f32[I, J], y: f32[K, L]', 'einsum("ij,kl->ik", x, y)').filter((k) => k !== 'reshape'),
    ['sum', 'sum', 'mul'],
  );
  t.deepEqual(ops('x: f32[I, J], y: f32[I, J]', 'einsum("ij,ij->i", x, y)'), ['mul', 'sum']);
});

test('names alone move nothing, one transpose moves everything', (t) => {
  t.deepEqual(ops('x: f32[B, T, 8]', 'rearrange(x, "b t c -> b t c")'), []);
  t.deepEqual(ops('x: f32[B, T, 8]', 'rearrange(x, "b t c -> (b t) c")'), ['reshape']);
  t.deepEqual(ops('x: f32[B, 8, T]', 'rearrange(x, "b (h d) t -> b h t d", h: 2)'), ['reshape', 'transpose']);
});

test('a size that does not divide is found when sizes are bound, with the message of the compiler', async (t) => {
  const { blocks, diagnostics } = compile(
    `export block Halves() { forward(x: f32[B, T]) => reduce(x, "b (t p) -> b t", "mean", p: 2) }`,
  );
  t.deepEqual(diagnostics, []);
  const model = await blocks['Halves']!.create();
  t.deepEqual(model['forward'](zeros([3, 6])).shape, [3, 3]);
  const fault = t.throws(() => model['forward'](zeros([3, 5])), { instanceOf: ShapeError });
  t.regex(fault.message, /the sizes of this pattern do not fit: dim 1 of f32\[B, T\], which is T, is no multiple of 2/);
});

test('words with a size of run time', (t) => {
  t.deepEqual(ops('x: f32[B, T], y: f32[N]', 'repeat(x, "b t -> b n t", n: N)'), ['reshape', 'broadcast_to']);
});
