/** What blocks can be made of, run on the cpu and in native code against numbers worked out by hand, and differentiated. */
import test from 'ava';
import { compile, tensor, thisMachine, type Model, type Tensor } from '../../src/index.ts';
import { checkGradients } from '../../src/check-gradients.ts';
import { check } from '../support/check.ts';
import { onNative } from '../support/native.ts';

const lanes = { cpu: test, native: await onNative() };
const machine = (await thisMachine()) ?? undefined;

const SOURCE = `import { Linear } from "std/nn"

/// Adds what a block and a function make of x.
block Around(body: block, act: (f32[...S]) -> f32[...S] = x => x * 2.0, twice: bool = false) {
  inner = body
  if twice { second = Scale(10.0) }

  forward(x: f32[...S]) -> f32[...S] {
    y = act(inner(x)) + x
    if second { second(y) } else { y }
  }
}

/// One factor for all.
block Scale(by: float) {
  param w: f32[] ~ constant(by)
  /// Times w.
  forward(x: f32[...S]) -> f32[...S] => w * x
  /// Divided by w.
  back(x: f32[...S]) -> f32[...S] => x / w
}

/// Blocks and functions as hyper-parameters.
export block Hyper {
  plain = Around(Scale(3.0))
  listed = Around(seq { Scale(3.0); x => x + 1.0; Around(Scale(1.0), act: relu) }, act: x => -x, twice: true)
  made = [for make in [Scale, Scale]: make(2.0)]

  forward(x: f32[B]) -> (f32[B], f32[B], f32[B]) {
    z = x
    for m in made { z = m(z) }
    (plain(x), listed(x), z)
  }
}

/// Methods of a child, and methods that call each other.
export block Methods {
  scale = Scale(4.0)
  there(x: f32[B]) -> f32[B] => scale(x)
  forward(x: f32[B]) -> f32[B] => scale.back(there(x) + 4.0)
  again(x: f32[B]) -> f32[B] => scale.back(scale.back(forward(x)))
}

/// Counts its calls, the rounds of its loops and how often x was large.
export block Counting {
  buffer calls: i32[] ~ zeros()
  buffer rounds: i32[] ~ zeros()
  buffer large: i32[] ~ zeros()
  buffer last: f32[2] ~ zeros()

  forward(x: f32[T, 2]) -> f32[] {
    update calls = calls + 1
    for t in 0..T {
      update rounds = rounds + 1
      if sum(x[t]) > 1.0 {
        update large = large + 1
        update last = x[t]
      } else {
        for s in 0..2 { update rounds = rounds + 10 }
      }
    }
    n = 0.0
    while n < f32(large) {
      update calls = calls + 100
      n = n + 1.0
    }
    sum(last) + f32(rounds)
  }
}

/// Parameters in loops in branches in loops.
export block Nested {
  a = Linear(2, 2)
  param k: f32[] ~ constant(0.5)

  loss(x: f32[T, 2], n: f32[]) -> f32[] {
    h = full([2], 0.1)
    for t in 0..T {
      if sum(h * x[t]) > 0.0 {
        i = 0.0
        while i < n {
          for s in 0..2 { h = tanh(a(h) * k + x[t]) }
          if h[0] > 0.5 { h = h * k } else { h = a(h) }
          i = i + 1.0
        }
      } else {
        h = h - k * x[t]
      }
    }
    sum(h * h)
  }
}

/// What the outside can give: flags as tensors, sets of optional arguments; the rest has its default.
export block Outside {
  forward(x: f32[B], up: bool[], shift: f32[B]? = none, way: "plain" | "double" = "plain", negate: bool = false) -> f32[B] {
    y = if up { x } else { -x }
    z = if shift { y + shift } else { y }
    w = if way == "double" { 2.0 * z } else { z }
    if negate { -w } else { w }
  }
  both(x: f32[B], up: bool[]) -> f32[B] => forward(x, up, way: "double", negate: true)
}
`;

const { blocks, diagnostics } = compile(SOURCE, {
  targets: ['wasm', 'native'],
  ...(machine && { machine }),
  verify: true,
});

test('they compile', (t) => t.deepEqual(diagnostics, []));

for (const [name, lane] of Object.entries(lanes)) {
  const create = (block: string): Promise<Model> => blocks[block]!.create({ device: name });
  const run = async (m: Model, method: string, ...args: Tensor[]): Promise<number[][]> => {
    const on = await Promise.all(args.map((a) => a.to(m.device)));
    const made = m.call(method, on);
    const list = Array.isArray(made) ? (made as Tensor[]) : [made as Tensor];
    return Promise.all(list.map(async (t) => [...(await t.read())]));
  };

  lane(`${name}: blocks, lambdas and functions as hyper-parameters, each placed afresh`, async (t) => {
    const m = await create('Hyper');
    const [plain, listed, made] = await run(m, 'forward', tensor([1, -2]));
    t.deepEqual(plain, [7, -14], '2 * 3x + x');
    // u = 3x + 1, v = relu(u) + u, then 10 (x - v)
    t.deepEqual(listed, [10 * (1 - 8), 10 * (-2 + 5)]);
    t.deepEqual(made, [4, -8]);
    const names = [...m.state_dict().keys()];
    t.deepEqual(names, [
      'plain.inner.w',
      'listed.inner.0.w',
      'listed.inner.2.inner.w',
      'listed.second.w',
      'made.0.w',
      'made.1.w',
    ]);
  });

  lane(`${name}: methods call methods, their own and a child's`, async (t) => {
    const m = await create('Methods');
    t.deepEqual(await run(m, 'forward', tensor([8])), [[9]]);
    t.deepEqual(await run(m, 'again', tensor([8])), [[9 / 16]]);
  });

  lane(`${name}: buffers change in loops and branches, in order`, async (t) => {
    const m = await create('Counting');
    const value = async (): Promise<Record<string, readonly number[]>> =>
      Object.fromEntries(
        await Promise.all([...m.state_dict()].map(async ([k, v]) => [k, [...(await v.read())]] as const)),
      );
    const x = tensor([1, 1, -1, -1, 0, 3], { shape: [3, 2] });
    t.deepEqual(await run(m, 'forward', x), [[3 + 23]]);
    t.deepEqual(await value(), { calls: [201], rounds: [23], large: [2], last: [0, 3] });
    await run(m, 'forward', x);
    t.deepEqual(await value(), { calls: [602], rounds: [46], large: [4], last: [0, 3] });
  });

  lane(`${name}: flags and optional arguments from outside`, async (t) => {
    const m = await create('Outside');
    const [yes, no] = [true, false].map((v) => tensor(v, { dtype: 'bool' }));
    const x = tensor([1, 2]);
    t.deepEqual(await run(m, 'forward', x, yes!), [[1, 2]]);
    t.deepEqual(await run(m, 'forward', x, no!, tensor([10, 20])), [[9, 18]]);
    t.deepEqual(await run(m, 'both', x, no!), [[2, 4]]);
    t.throws(() => m.call('forward', [x, yes, undefined, 'double']), { code: 'usage' });
  });
}

const KEPT = compile(
  `export block Kept {
    forward(x: f32[B]) -> f32[B] { x[0] = 5.0; x }
    all(x: f32[B]) -> f32[B] { for t in 0..B { x[t] = 9.0 }; x }
    rounds(x: f32[B]) -> (f32[], f32[], f32[]) {
      (a, b, c) = (0.0, 0.0, 0.0)
      for t in 3..1 { a = a + 1.0 }
      for t in 2..B { b = b + x[t] }
      for v in [for i in 3..1: float(i)] { c = c + v }
      (a, b, c)
    }
  }`,
  { targets: ['wasm', 'native'], ...(machine && { machine }) },
);

for (const [name, lane] of Object.entries(lanes))
  lane(`${name}: arguments and results that are held keep their values; a range may be empty`, async (t) => {
    t.deepEqual(KEPT.diagnostics, []);
    const m = await KEPT.blocks['Kept']!.create({ device: name });
    const x = await tensor([1, 2, 3]).to(m.device);
    const y = m.call('forward', [x]) as Tensor;
    const z = m.call('all', [y]) as Tensor;
    const again = m.call('forward', [z]) as Tensor;
    const values = [x, y, z, again].map((v) => [...v.readSync()]);
    t.deepEqual(values, [
      [1, 2, 3],
      [5, 2, 3],
      [9, 9, 9],
      [5, 9, 9],
    ]);
    const counts = m.call('rounds', [x]) as readonly Tensor[];
    t.deepEqual(await Promise.all(counts.map((c) => c.item())), [0, 3, 0]);
    const [, none] = m.call('rounds', [await tensor([1]).to(m.device)]) as readonly Tensor[];
    t.is(await none!.item(), 0, 'from 2 to before 1');
  });

/** The same network step by step, in doubles. */
function nested(
  x: readonly (readonly number[])[],
  n: number,
  w: readonly number[],
  b: readonly number[],
  k: number,
): number {
  const a = (h: readonly number[]): number[] => [0, 1].map((i) => w[2 * i]! * h[0]! + w[2 * i + 1]! * h[1]! + b[i]!);
  let h = [0.1, 0.1];
  for (const row of x) {
    if (h[0]! * row[0]! + h[1]! * row[1]! > 0) {
      for (let i = 0; i < n; i++) {
        for (let s = 0; s < 2; s++) h = a(h).map((v, j) => Math.tanh(v * k + row[j]!));
        h = h[0]! > 0.5 ? h.map((v) => v * k) : a(h);
      }
    } else h = h.map((v, j) => v - k * row[j]!);
  }
  return h[0]! ** 2 + h[1]! ** 2;
}

for (const [name, lane] of Object.entries(lanes))
  lane(
    `${name}: nested control flow with parameters inside gives the value and the gradients of the program`,
    async (t) => {
      const m = await blocks['Nested']!.create({ device: name, seed: 5 });
      const ps = [...m.parameters()];
      const start = await Promise.all(ps.map(async (p) => [...(await p.data.read())]));
      const at = (v: readonly (readonly number[])[], x: number[][], n: number): number => {
        const by = Object.fromEntries(ps.map((p, i) => [p.name, v[i]!]));
        return nested(x, n, by['a.weight']!, by['a.bias']!, by['k']![0]!);
      };
      for (const n of [0, 1, 3]) {
        const x = [1, 2, 3, 4, 5].map((i) => [Math.fround(Math.sin(i * 2)), Math.fround(Math.cos(i * 3))]);
        const { loss } = m.backward(
          await tensor(x.flat(), { shape: [5, 2] }).to(m.device),
          await tensor(n).to(m.device),
        );
        // Some 60 operations on numbers below 2, each rounded to 2^-24.
        t.true(Math.abs((await loss.item()) - at(start, x, n)) < 1e-5);
        for (const [i, p] of ps.entries()) {
          const grad = await p.grad!.read();
          start[i]!.forEach((_, j) => {
            const moved = (h: number): number =>
              at(
                start.map((v, k) => v.map((y, l) => (k === i && l === j ? y + h : y))),
                x,
                n,
              );
            const want = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            t.true(
              Math.abs(grad[j]! - want) < 1e-4 * Math.max(1, Math.abs(want)),
              `${p.name} ${j}: ${grad[j]}, not ${want}`,
            );
          });
        }
      }
    },
  );

test('the same gradients in float64', (t) => {
  const [loss] = checkGradients(check(SOURCE, { block: 'Nested' }).block!, 3);
  t.is(loss!.outcome.kind, 'agrees');
});

test('a loss that needs larger images than the first ones tried is checked on them', (t) => {
  const halved = `
    import { AvgPool2d } from "std/nn"
    export block Halved() {
      param scale: f32[] ~ ones()
      pools = [for i in 0..4: AvgPool2d(2)]
      forward(x: f32[B, 1, H, W]) -> f32[B, 1, H / 16, W / 16] {
        for pool in pools { x = pool(scale * x) }
        x
      }
      loss(x: f32[B, 1, H, W]) -> f32[] => mean(forward(x) * forward(x))
    }`;
  const [loss] = checkGradients(check(halved).block!, 3);
  t.is(loss!.outcome.kind, 'agrees', JSON.stringify(loss!.outcome));
});
