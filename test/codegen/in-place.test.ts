/** A loop over time that fills its result slice by slice moves slices only, forwards and backwards: its time is linear in T. */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import type { Step } from '../../src/runtime/artifact.ts';

const SOURCE = `
export block Recurrent() {
  param w: f32[8, 8] ~ normal(0.0, 0.1)
  param u: f32[8, 8] ~ normal(0.0, 0.1)

  loss(xs: f32[B, T, 8]) -> f32[] {
    inputs = xs @ u
    h = full([B, 8], 0.0)
    out = full([B, T, 8], 0.0)
    for t in 0..T {
      h = tanh(inputs[:, t] + h @ w)
      out[:, t] = h
    }
    mean(out)
  }

  train { loss = loss; optimizer = SGD(lr: 0.1) }
}
`;

const loops = (steps: readonly Step[]): readonly (readonly Step[])[] =>
  steps.flatMap((s) => (s.kind === 'for' ? [s.body, ...loops(s.body)] : []));

test('no turn of the loop copies a whole sequence', (t) => {
  const program = compile(SOURCE).artifacts[0]!.programs.find((p) => p.name === 'train_step')!;
  const bodies = loops(program.steps);
  t.is(bodies.length, 2);
  for (const step of bodies.flat()) {
    if (step.kind === 'copy') t.notRegex(JSON.stringify(program.slots[step.bytes]), /"T"/);
  }
});
