/** Loops and branches whose carries begin with parameters, or whose slices are read while they are written: the numbers of plain TypeScript. */
import test, { type ExecutionContext } from 'ava';
import { compile } from '../../src/compile.ts';
import { tensor, type Tensor } from '../../src/runtime/index.ts';

const SOURCE = `
  export block Net {
    param a: f32[3] ~ normal(0.0, 1.0)
    param b: f32[3] ~ normal(0.0, 1.0)
    param m: f32[5, 3] ~ normal(0.0, 1.0)
    choose(x: f32[3]) -> f32[3] {
      h = a
      if sum(x) > 0.0 { h = a * 3.0 } else { h = b * 3.0 }
      h * x
    }
    swap(x: f32[3]) -> f32[3] {
      h = a
      y = x * 0.0
      for t in 0..4 { y = y + h * x; h = b }
      y
    }
    learned(x: f32[T, 3]) -> f32[3] {
      s = tanh(a)
      for t in 0..T { s = tanh(s + x[t]) }
      s
    }
    own(x: f32[3]) -> f32[5, 3] {
      out = m * 2.0
      for t in 0..5 { out[t] = tanh(out[t]) + x }
      out
    }
    running(x: f32[T, 3]) -> f32[3] {
      out = full([T, 3], 0.0)
      s = full([3], 0.0)
      for t in 0..T { out[t] = x[t] * 2.0; s = s + sum(out, [0]) }
      s
    }
    twice(x: f32[T, 3]) -> f32[T, 3] {
      out = full([T, 3], 1.0)
      before = full([T, 3], 0.0)
      for t in 0..T { out[t] = x[t]; before = out }
      before + out
    }
    first(x: f32[4, 3], o: f32[5, 3]) -> (f32[3], f32[5, 3]) {
      out = o
      s = full([3], 1.0)
      for t in 0..4 { out[t] = s; s = s * 0.5 + out[0] + x[t] }
      (s, out)
    }
  }`;

type Rows = readonly (readonly number[])[];
const rows = (n: number, scale: number): Rows =>
  Array.from({ length: n }, (_, i) => [0, 1, 2].map((j) => Math.sin(3 * i + j + 1) * scale));
const of = (x: Rows): Tensor => tensor(Float32Array.from(x.flat()), { shape: [x.length, 3] });
const vector = (x: readonly number[]): Tensor => tensor(Float32Array.from(x));

/** Sums of a few numbers near 1 in f32: some units in the last place of the largest. */
function near(t: ExecutionContext, got: unknown, wanted: readonly number[]): void {
  const values = [...((got as Tensor).readSync() as Float32Array)];
  t.is(values.length, wanted.length);
  wanted.forEach((w, i) =>
    t.true(Math.abs(values[i]! - w) <= 4e-6 * Math.max(1, Math.abs(w)), `${values} for ${wanted}`),
  );
}

for (const [name, options] of [
  ['as compiled', {}],
  ['nothing prepared', { prepare: false }],
  ['nothing fused', { fuse: false }],
] as const)
  test(`values of carries, ${name}`, async (t) => {
    const { blocks, diagnostics } = compile(SOURCE, { ...options, verify: true });
    t.deepEqual(
      diagnostics.map((d) => d.message),
      [],
    );
    const model = await blocks['Net']!.create({ seed: 1 });
    const [a, b] = ['a', 'b'].map((p) => [...(model.state_dict().get(p)!.readSync() as Float32Array)]) as [
      number[],
      number[],
    ];
    const m = model.state_dict().get('m')!.readSync() as Float32Array;
    const x = rows(4, 1);
    // What lies in the memory of a program afterwards is no small number.
    const large = of(rows(64, 1000));
    for (const f of ['running', 'twice', 'learned']) model.call(f, [large]);
    for (const sign of [1, -1]) {
      const v = [0.5, 1, 2].map((n) => sign * n);
      near(
        t,
        model.call('choose', [vector(v)]),
        v.map((n, j) => 3 * n * (sign > 0 ? a : b)[j]!),
      );
      near(
        t,
        model.call('swap', [vector(v)]),
        v.map((n, j) => n * (a[j]! + 3 * b[j]!)),
      );
    }
    near(
      t,
      model.call('learned', [of(x)]),
      a.map((n, j) => x.reduce((s, r) => Math.tanh(s + r[j]!), Math.tanh(n))),
    );
    near(
      t,
      model.call('own', [vector([1, 2, 3])]),
      [...m].map((n, i) => Math.tanh(2 * n) + (i % 3) + 1),
    );
    near(
      t,
      model.call('running', [of(x)]),
      [0, 1, 2].map((j) => x.reduce((s, r, i) => s + (4 - i) * 2 * r[j]!, 0)),
    );
    near(
      t,
      model.call('twice', [of(x)]),
      x.flat().map((n) => 2 * n),
    );
    const o = rows(5, 2);
    const out = o.map((r) => [...r]);
    let s = [1, 1, 1];
    x.forEach((r, i) => {
      out[i] = s;
      s = s.map((n, j) => n * 0.5 + out[0]![j]! + r[j]!);
    });
    const [last, all] = model.call('first', [of(x), of(o)]) as [Tensor, Tensor];
    near(t, last, s);
    near(t, all, out.flat());
  });
