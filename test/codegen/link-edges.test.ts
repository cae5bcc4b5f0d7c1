/** Programs whose values must not share memory although it would be tempting: swaps, repeated results, carries, arenas. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import { ShapeError, tensor, zeros, type Model, type Tensor } from '../../src/runtime/index.ts';

const SOURCE = `
export block Edges {
  buffer a: f32[2] ~ zeros()
  buffer b: f32[2] ~ ones()

  forward(x: f32[B]) -> f32[B] => x
  twice(x: f32[B]) -> (f32[B], f32[B], f32[B]) {
    y = x + 1.0
    (y, y, x)
  }
  peek(x: f32[2]) -> f32[2] => b
  /// Exchanges the buffers and gives the old a.
  swap(x: f32[2]) -> f32[2] {
    old = a
    update a = b
    update b = old
    old
  }
  /// The old b, while b changes.
  bump(x: f32[2]) -> f32[2] {
    before = b
    update b = before + x
    before
  }
  /// a is summed after it was replaced: reads after see the new value.
  accumulate(x: f32[2]) -> f32[] {
    update a = a + x
    update a = a * 2.0
    sum(a)
  }
  fibonacci(x: f32[B]) -> (f32[B], f32[B]) {
    p = x
    q = x
    for t in 0..4 {
      r = p + q
      p = q
      q = r
    }
    (p, q)
  }
  unchanged(x: f32[B]) -> (f32[B], f32[B]) {
    p = x * 2.0
    q = x
    for t in 0..4 { q = q + p }
    (p, q)
  }
  halve(x: f32[B]) -> f32[B] {
    y = x
    while sum(abs(y)) > 2.0 { y = y / 2.0 }
    y
  }
  branch(x: f32[B]) -> (f32[B], f32[B]) {
    low = x - 1.0
    y = x
    if mean(x) > 0.0 { y = low * 2.0 } else { y = -low }
    (y, low)
  }
  nested(x: f32[B]) -> f32[B] {
    y = x
    for i in 0..3 {
      z = y
      for j in 0..2 { z = z + x }
      y = if sum(z) > 20.0 { z - 1.0 } else { z }
    }
    y
  }
  tail(x: f32[B, T]) -> f32[B, T - 2] => x[:, 2:]
}
`;

const compiled = { true: compile(SOURCE), false: compile(SOURCE, { share: false }) };
const make = (share: boolean): Promise<Model> => {
  const { blocks, diagnostics } = compiled[`${share}`];
  if (!blocks['Edges']) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  return blocks['Edges'].create();
};
const run = (m: Model, name: string, ...args: unknown[]): number[][] => {
  const r = m.call(name, args);
  return (Array.isArray(r) ? (r as Tensor[]) : [r as Tensor]).map((t) => [...t.readSync()]);
};

for (const share of [true, false]) {
  const how = share ? 'shared' : 'apart';
  const edges = async (): Promise<Model> => make(share);

  test(`results are memory of their own (${how})`, async (t) => {
    const m = await edges();
    const x = tensor([1, 2, 3]);
    t.deepEqual(run(m, 'forward', x), [[1, 2, 3]]);
    const [y, again, same] = m.call('twice', [x]) as Tensor[];
    y!.set([0], 42);
    t.deepEqual([...again!.readSync()], [2, 3, 4]);
    same!.set([0], 43);
    t.deepEqual([...x.readSync()], [1, 2, 3]);
    const b = m.call('peek', [zeros([2])]) as Tensor;
    b.set([0], 9);
    t.deepEqual(run(m, 'peek', zeros([2])), [[1, 1]]);
  });

  test(`buffers are read before and after they change (${how})`, async (t) => {
    const m = await edges();
    const [zero, one] = [zeros([2]), tensor([1, 2])];
    t.deepEqual(run(m, 'swap', zero), [[0, 0]]);
    t.deepEqual(run(m, 'swap', zero), [[1, 1]]);
    t.deepEqual(run(m, 'bump', one), [[1, 1]]);
    t.deepEqual(run(m, 'bump', one), [[2, 3]]);
    t.deepEqual(run(m, 'peek', zero), [[3, 5]]);
    t.deepEqual(run(m, 'accumulate', one), [[6]]);
    t.deepEqual(run(m, 'accumulate', one), [[18]]);
  });

  test(`loops carry values that trade places (${how})`, async (t) => {
    const m = await edges();
    const x = tensor([1, 2]);
    t.deepEqual(run(m, 'fibonacci', x), [
      [5, 10],
      [8, 16],
    ]);
    t.deepEqual(run(m, 'unchanged', x), [
      [2, 4],
      [9, 18],
    ]);
    t.deepEqual(run(m, 'halve', tensor([8, -4])), [[1, -0.5]]);
    t.deepEqual(run(m, 'halve', tensor([0.5])), [[0.5]]);
    t.deepEqual(run(m, 'nested', x), [[6, 13]]);
  });

  test(`branches leave alone what they do not assign (${how})`, async (t) => {
    const m = await edges();
    t.deepEqual(run(m, 'branch', tensor([1, 3])), [
      [0, 4],
      [0, 2],
    ]);
    t.deepEqual(run(m, 'branch', tensor([-1, -3])), [
      [2, 4],
      [-2, -4],
    ]);
  });

  test(`a size that only a run knows is checked before anything runs (${how})`, async (t) => {
    const m = await edges();
    t.deepEqual(run(m, 'tail', tensor([[1, 2, 3, 4]])), [[3, 4]]);
    t.throws(() => run(m, 'tail', tensor([[1]])), { instanceOf: ShapeError, message: /T = 1/ });
  });
}
