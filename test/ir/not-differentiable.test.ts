/** A loss without a gradient is a diagnostic at the place that is to blame, never an exception. */
import test from 'ava';
import { compile } from '../../src/compile.ts';

test('an op without a gradient in the loss', (t) => {
  const source = `export block Pooling() {
  param w: f32[1, 1, 4, 4] ~ ones()
  loss(x: f32[1, 1, 4, 4]) -> f32[] {
    y = x[:, :, :2, :2]
    sum(op.max_pool2d_grad(x * w, y, kernel: [2, 2], stride: [2, 2]))
  }
}
`;
  const { diagnostics, artifacts } = compile(source);
  t.deepEqual(artifacts, []);
  t.deepEqual(
    diagnostics.map((d) => [d.code, source.slice(d.span.start, d.span.end).slice(0, 18)]),
    [['NW4038', 'op.max_pool2d_grad']],
  );
});
