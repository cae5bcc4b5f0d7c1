/** `_` is solved by the first call, and everything that hangs on it follows. */
import test from 'ava';
import { block, check } from '../support/check.ts';

const program = (body: string): string => `import { Linear } from "std/nn"\nexport block A {${body}}`;

test('the first call decides, through other layers and in nested blocks', (t) => {
  const made = block(
    program(`
      net = seq { Linear(5, 3); relu; x => flatten(x, 1); Linear(_, 10) }
      forward(x: f32[B, 7, 5]) -> f32[B, 10] => net(x)`),
  );
  t.deepEqual(
    made.tensors.map((x) => `${x.name} [${x.type.shape.join(', ')}]`),
    ['net.0.weight [3, 5]', 'net.0.bias [3]', 'net.3.weight [10, 21]', 'net.3.bias [10]'],
  );
});

test('equal layers solved by different calls are equal', (t) => {
  const made = block(
    program(`
      a = Linear(_, 4)
      b = Linear(_, 4)
      forward(x: f32[B, 4]) -> f32[B, 4] => b(a(x))`),
  );
  t.deepEqual(
    [...made.module.funcs.keys()].filter((n) => n.startsWith('Linear')),
    ['Linear_forward'],
  );
});

test('a tie waits for the size that it needs', (t) => {
  const made = block(
    program(`
      a = Linear(6, 4, bias: false)
      b = Linear(_, 6, bias: false)
      tie b.weight = transpose(a.weight)
      forward(x: f32[B, 6]) -> f32[B, 6] => b(a(x))`),
  );
  t.deepEqual(
    made.stateDict.map((s) => [s.name, s.tensor, s.transposed]),
    [
      ['a.weight', 0, false],
      ['b.weight', 0, true],
    ],
  );
});

test('a size of run time, a second size and no call are three different faults', (t) => {
  const codes = (body: string): string[] => check(program(body)).diagnostics.map((d) => d.slice(0, 6));
  t.deepEqual(codes('fc = Linear(_, 4)\n forward(x: f32[B, N]) -> f32[B, 4] => fc(x)'), ['NW4004']);
  t.deepEqual(codes('fc = Linear(_, 4)\n forward(x: f32[B, 3], y: f32[B, 5]) -> f32[B, 4] => fc(x) + fc(y)'), [
    'NW4005',
  ]);
  t.deepEqual(codes('fc = Linear(_, 4)\n forward(x: f32[B, 3]) -> f32[B, 3] => x'), ['NW4006']);
});

test('a constructor passes `_` on, and its layers have its name as their type', (t) => {
  const made = block(`import { GRU, RNNCell } from "std/nn"
export block A() {
  cell = RNNCell(_, 4)
  rnn = GRU(_, 4)
  init { RNNCell.weight_ih ~ zeros(); GRU.weight_ih_l0 ~ zeros() }
  forward(x: f32[B, 3]) -> f32[B, 4] { (y, _) = rnn(unsqueeze(cell(x), 0)); y[0] }
}`);
  t.deepEqual(
    made.tensors.filter((x) => x.name.includes('weight_ih')).map((x) => `${x.name} [${x.type.shape.join(', ')}]`),
    ['cell.weight_ih [4, 3]', 'rnn.weight_ih_l0 [12, 4]'],
  );
});

test('a constructor that computes with `_` is refused', (t) => {
  const { diagnostics } = check(`import { Linear } from "std/nn"
fn twice(n: int) -> block => Linear(2 * n, 4)
export block A() {
  layer = twice(_)
  forward(x: f32[B, 6]) -> f32[B, 4] => layer(x)
}`);
  t.deepEqual(
    diagnostics.map((d) => d.slice(0, 6)),
    ['NW4003'],
  );
});
