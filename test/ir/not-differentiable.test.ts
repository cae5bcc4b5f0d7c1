/** A loss without a gradient is a diagnostic at the place that is to blame, never an exception. */
import test from 'ava';
import { compile } from '../../src/compile.ts';

test('a while over data in the loss', (t) => {
  const source = `export block Halving {
  param w: f32[3] ~ ones()
  loss(x: f32[3]) -> f32[] {
    y = x * w
    while sum(y) > 1.0 { y = y / 2.0 }
    sum(y)
  }
}
`;
  const { diagnostics, artifacts } = compile(source);
  t.deepEqual(artifacts, []);
  t.deepEqual(
    diagnostics.map((d) => [d.code, source.slice(d.span.start, d.span.end).slice(0, 5)]),
    [['NW4038', 'while']],
  );
});
