/** What a loop does not change is made ready once, before it: seen in the steps of programs. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import type { Artifact, Step } from '../../src/runtime/artifact.ts';

const artifactOf = (source: string): Artifact => {
  const { artifacts, diagnostics } = compile(source);
  if (!artifacts[0]) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return artifacts[0];
};

/** Names of the kernels that a program calls, by the number of loops around the call. */
function calls(artifact: Artifact, program: string): readonly (readonly string[])[] {
  const found: string[][] = [[]];
  const visit = (steps: readonly Step[], depth: number): void => {
    const here = (found[depth] ??= []);
    for (const s of steps) {
      if (s.kind === 'kernel') here.push(artifact.kernels[s.kernel]!.name);
      else if (s.kind === 'for') visit(s.body, depth + 1);
      else if (s.kind === 'while') visit([...s.cond, ...s.body], depth + 1);
    }
  };
  visit(artifact.programs.find((p) => p.name === program)!.steps, 0);
  return found;
}
const packs = (names: readonly string[] | undefined): number =>
  (names ?? []).filter((n) => /(^|_)pack(_|$)/.test(n)).length;
const products = (names: readonly string[] | undefined): number =>
  (names ?? []).filter((n) => n.startsWith('matmul')).length;

for (const kind of ['LSTM', 'GRU', 'RNN'])
  test(`${kind}: the recurrent weight is packed before the loops, forward and backward`, (t) => {
    const artifact = artifactOf(`
import { ${kind} } from "std/nn"
export block Net() {
  layer = ${kind}(5, 12)
  forward(x: f32[T, B, 5]) => layer(x).0
  loss(x: f32[T, B, 5]) => mean(forward(x))
  train { loss = loss; optimizer = SGD(lr: 0.1) }
}`);
    const [before, inside] = calls(artifact, 'train_step');
    t.deepEqual([packs(before), packs(inside)], [2, 0]);
    t.is(products(inside), 2, 'of the state with the weight, and of the gates’ gradients with it');
    t.deepEqual(
      calls(artifact, 'forward').map(packs),
      [0, 0],
      'where weights stay, so do their panels: from call to call',
    );
    const { steps } = artifact.programs.find((p) => p.name === 'train_step')!;
    const copied = steps.flatMap((s) => (s.kind === 'for' ? s.body.filter((x) => x.kind === 'copy') : []));
    // Where nothing follows the product, it cannot write a state that it still reads.
    t.is(
      copied.length,
      kind === 'RNN' ? 1 : 0,
      'states and their gradients are written where the next step reads them',
    );
  });

test('out of all loops that do not change it, and no further', (t) => {
  const artifact = artifactOf(`
export block Net() {
  forward(x: f32[B, 12], w: f32[12, 12]) {
    h = x
    u = w
    for i in 0..3 {
      for j in 0..4 { h = tanh(h @ w + h @ u) }
      u = u * 0.5
    }
    h
  }
}`);
  const depths = calls(artifact, 'forward');
  t.deepEqual(depths.map(packs), [1, 1, 0], 'w before both loops, u in the outer one');
  t.is(products(depths[2]), 2);
});

test('what every iteration changes is packed where it is used', (t) => {
  const artifact = artifactOf(`
export block Net() {
  forward(x: f32[B, 12], w: f32[12, 12]) {
    h = x
    u = w
    for i in 0..3 {
      h = tanh(h @ u)
      u = u * 0.5
    }
    h
  }
}`);
  t.deepEqual(calls(artifact, 'forward').map(packs), [0, 0]);
});
