/** Models as a user handles them: parameters, state dicts, calls and their faults, steps that allocate nothing. */
import test from 'ava';
import { compile } from '../../src/index.ts';
import {
  DeviceError,
  DTypeError,
  NetwrightError,
  OutOfMemoryError,
  ShapeError,
  Tensor,
  tensor,
  UsageError,
  zeros,
  type Model,
  type Parameter,
} from '../../src/runtime/index.ts';
import { CpuDevice } from '../../src/runtime/device.ts';

const SOURCE = `
import { Linear, BatchNorm1d, Dropout } from "std/nn"

export block Net {
  let shared = Linear(4, 4)
  net = seq { shared; relu; BatchNorm1d(4); Dropout(0.5); shared }
  head = Linear(4, 2)
  decode = Linear(2, 4, bias: false)
  const noise: f32[2] ~ uniform()
  tie decode.weight = transpose(head.weight)
  forward(x: f32[B, 4]) -> f32[B, 2] => head(net(x)) + noise
  both(x: f32[B, 4]) -> (f32[B, 2], f32[B, 4]) {
    h = forward(x)
    (h, decode(h))
  }
  loss(x: f32[B, 4], y: f32[B, 2]) -> f32[] => mse_loss(forward(x), y)
  joined(x: f32[B, T], y: f32[B, T + 1]) -> f32[B, 2 * T + 1] => cat([x, y], dim: 1)
  train { loss = loss; optimizer = AdamW(lr: 0.01) }
}
`;

const compiled = compile(SOURCE);
const create = async (seed = 0): Promise<Model> => {
  const made = compiled.blocks['Net'];
  if (!made) throw new Error(compiled.diagnostics.map((d) => d.message).join('\n'));
  return made.create({ seed });
};
const X = tensor(
  Float32Array.from({ length: 24 }, (_, i) => Math.sin(i)),
  { shape: [6, 4] },
);
const Y = zeros([6, 2]);
const values = (t: Tensor): number[] => [...t.readSync()];
const snapshot = (m: Model): Record<string, number[]> =>
  Object.fromEntries([...m.state_dict()].map(([k, t]) => [k, values(t)]));

test('names are those of PyTorch, tied parameters are one object', async (t) => {
  const model = await create();
  t.deepEqual(
    [...model.state_dict().keys()],
    [
      'net.0.weight',
      'net.0.bias',
      'net.2.weight',
      'net.2.bias',
      'net.2.running_mean',
      'net.2.running_var',
      'net.2.num_batches_tracked',
      'net.4.weight',
      'net.4.bias',
      'head.weight',
      'head.bias',
      'decode.weight',
    ],
  );
  t.deepEqual(
    [...model.named_parameters()].map(([n]) => n),
    ['net.0.weight', 'net.0.bias', 'net.2.weight', 'net.2.bias', 'head.weight', 'head.bias'],
  );
  t.deepEqual(
    [...model.named_buffers()].map(([n]) => n),
    ['net.2.running_mean', 'net.2.running_var', 'net.2.num_batches_tracked'],
  );
  const { net } = model as unknown as { net: { weight: Parameter }[] & { length: number } };
  t.is(net.length, 5);
  t.is(net[0]!.weight, net[4]!.weight);
});

test('a transposed tie is one tensor that each name sees its own way', async (t) => {
  const model = await create();
  const state = model.state_dict();
  const [head, decode] = [state.get('head.weight')!, state.get('decode.weight')!];
  t.deepEqual([head.shape, decode.shape], [
    [2, 4],
    [4, 2],
  ] as never);
  head.set([1, 2], 42);
  t.is(((await decode.toArray()) as number[][])[2]![1], 42);
  decode.set([3, 0], 7);
  t.is(((await head.toArray()) as number[][])[0]![3], 7);
});

test('the same seed gives the same model, another seed another one', async (t) => {
  const [a, b, c] = [snapshot(await create(1)), snapshot(await create(1)), snapshot(await create(2))];
  t.deepEqual(a, b);
  t.notDeepEqual(a['head.weight'], c['head.weight']);
});

test('calls evaluate unless asked, and say what they give', async (t) => {
  const model = await create();
  const before = snapshot(model);
  const plain = values(model.call('forward', [X]) as Tensor);
  t.deepEqual(values(model.call('forward', [X]) as Tensor), plain);
  t.deepEqual(snapshot(model), before);
  const one = values(model.call('forward', [X], { training: true, seed: 1 }) as Tensor);
  t.notDeepEqual(one, plain);
  t.is(model.state_dict().get('net.2.num_batches_tracked')!.readSync()[0], 1);
  const [h, d] = model.call('both', [X]) as Tensor[];
  t.deepEqual([h!.shape, d!.shape], [
    [6, 2],
    [6, 4],
  ] as never);
});

test('a result stays what it was when the method runs again', async (t) => {
  const model = await create();
  const first = model.call('forward', [X]) as Tensor;
  const kept = values(first);
  const second = model.call('forward', [zeros([6, 4])]) as Tensor;
  t.deepEqual(values(first), kept);
  t.notDeepEqual(values(second), kept);
});

test('sizes are bound by the arguments; what does not fit is named with both sides', async (t) => {
  const model = await create();
  t.deepEqual((model.call('joined', [zeros([2, 3]), zeros([2, 4])]) as Tensor).shape, [2, 7] as never);
  t.deepEqual((model.call('joined', [zeros([5, 1]), zeros([5, 2])]) as Tensor).shape, [5, 3] as never);
  const fault = (args: unknown[], type: new (m: string) => NetwrightError, message: RegExp): void => {
    t.throws(() => model.call('joined', args), { instanceOf: type, message });
  };
  fault(
    [zeros([2, 3]), zeros([4, 4])],
    ShapeError,
    /Net\.joined: y .*\[4, 4\].*dim 0 is 4, but B is 2 \(by dim 0 of x\)/,
  );
  fault([zeros([2, 3]), zeros([2, 3])], ShapeError, /T \+ 1/);
  fault([zeros([2]), zeros([2, 3])], ShapeError, /1 dims?, not 2/);
  fault([tensor(new Int32Array(2), { shape: [1, 2] }), zeros([1, 3])], DTypeError, /i32.*f32/);
  fault([zeros([1, 2])], UsageError, /2 arguments?, not 1/);
  fault([[1, 2], zeros([1, 3])], UsageError, /tensor\(values\)/);
  t.throws(() => model.call('fowrard', []), { instanceOf: UsageError, message: /forward/ });
});

test('an empty batch is a batch', async (t) => {
  const model = await create();
  t.deepEqual((model.call('forward', [zeros([0, 4])]) as Tensor).shape, [0, 2] as never);
});

test('backward fills gradients, tied parameters sum theirs, frozen and unreached ones have none or zeros', async (t) => {
  const model = await create();
  const weight = [...model.named_parameters()].find(([n]) => n === 'head.weight')![1];
  t.is(weight.grad, null);
  const { loss } = model.backward(X, Y);
  t.true(Number.isFinite(await loss.item()));
  for (const [name, p] of model.named_parameters()) {
    t.deepEqual(p.grad!.shape, p.shape, name);
    t.true(values(p.grad!).every(Number.isFinite), name);
  }
});

test('steps lower the loss, and hyper-parameters can be set for one step or for all', async (t) => {
  const model = await create();
  const losses: number[] = [];
  for (let i = 0; i < 30; i++) losses.push(await model.train_step(X, Y, { lr: 0.05 }).loss.item());
  t.is(model.step, 30);
  t.true(losses.at(-1)! < losses[0]!);
  const frozen = snapshot(model);
  model.optimizer!.lr = 0;
  model.train_step(X, Y);
  t.deepEqual(snapshot(model)['head.weight'], frozen['head.weight']);
});

test('a step allocates nothing: the memory of the device does not change', async (t) => {
  const model = await create();
  const { memory } = model.device as CpuDevice;
  const step = (): void => void model.train_step(X, Y);
  step();
  const [used, size] = [memory.used, memory.wasm.buffer.byteLength];
  for (let i = 0; i < 50; i++) step();
  t.is(memory.used, used);
  t.is(memory.wasm.buffer.byteLength, size);
});

test('bindings that are not used any more give their memory back', async (t) => {
  const model = await create();
  const { memory } = model.device as CpuDevice;
  const held = model.call('forward', [X]) as Tensor;
  const kept = values(held);
  for (let b = 1; b <= 100; b++) model.call('forward', [zeros([b, 4])]);
  const used = memory.used;
  for (let b = 101; b <= 200; b++) model.call('forward', [zeros([b, 4])]);
  // 64 bindings are kept; those of the second hundred are at most 64 * 200 rows of 6 floats larger.
  t.true(memory.used - used < 64 * 200 * 6 * 4);
  t.deepEqual(values(held), kept);
});

test('a state dict loads by name, all or nothing', async (t) => {
  const [a, b] = [await create(1), await create(2)];
  t.deepEqual(b.load_state_dict(a.state_dict()), { missing_keys: [], unexpected_keys: [] });
  t.deepEqual(snapshot(b), snapshot(a));
  const before = snapshot(b);
  const partial = new Map(a.state_dict());
  partial.delete('head.bias');
  partial.set('extra', zeros([1]));
  t.throws(() => b.load_state_dict(partial), { message: /missing: head\.bias.*unexpected: extra/ });
  t.deepEqual(b.load_state_dict(partial, { strict: false }), {
    missing_keys: ['head.bias'],
    unexpected_keys: ['extra'],
  });
  const wrong = new Map([...a.state_dict(), ['head.weight', zeros([4, 2])]] as [string, Tensor][]);
  wrong.set('net.0.bias', tensor([9, 9, 9, 9]));
  t.throws(() => b.load_state_dict(wrong), { message: /head\.weight is \[4, 2\] and must be \[2, 4\]/ });
  t.deepEqual(snapshot(b), before);
});

test('parameters are edited in place and seen by the next call', async (t) => {
  const model = await create();
  const { head } = model as unknown as { head: { bias: Parameter; weight: Parameter } };
  const before = values(model.call('forward', [X]) as Tensor);
  head.bias.data.set([0], head.bias.data.readSync()[0]! + 1);
  const after = values(model.call('forward', [X]) as Tensor);
  t.true(Math.abs(after[0]! - before[0]! - 1) < 1e-5); // one rounding of sums of size 1
  t.is(after[1], before[1]);
  t.throws(() => head.weight.data.set([5, 0], 1), { instanceOf: ShapeError });
  t.throws(() => head.weight.data.set([0], 1), { instanceOf: ShapeError });
});

test('a model moves with everything that it holds, and devices do not mix', async (t) => {
  const model = await create();
  model.train_step(X, Y);
  t.is(await model.to('cpu'), model);
  const other = new CpuDevice('cpu:1');
  const moved = await model.to(other);
  t.is(moved.step, 1);
  t.throws(() => moved.call('forward', [X]), {
    instanceOf: DeviceError,
    message: /x is on cpu and the model is on cpu:1/,
  });
  const [x, y] = [await X.to(other), await Y.to(other)];
  for (let i = 0; i < 3; i++) t.is(await moved.train_step(x, y).loss.item(), await model.train_step(X, Y).loss.item());
  t.deepEqual(snapshot(moved), snapshot(model));
});

test('what the device cannot address is refused with numbers, before anything is copied', async (t) => {
  const model = await create();
  const rows = 2 ** 28;
  const storage = {
    visible: true,
    fetch: (): never => t.fail() as never,
    read: (): Uint8Array => t.fail() as never,
    write: (): void => t.fail() as never,
    address: (): null => null,
  };
  const x = new Tensor('f32', [rows, 4], storage, model.device);
  t.throws(() => model.call('forward', [x]), { instanceOf: OutOfMemoryError, message: /needs .*GB.*4\.29 GB/ });
  t.is((model.call('forward', [X]) as Tensor).size, 12);
});

test('arguments too many, options that do not exist and seeds that are none are refused', async (t) => {
  const source = `export block Scale(n: int = 2) {
    param w: f32[n] ~ ones()
    forward(x: f32[B, n]) -> f32[B, n] => x * w
    loss(x: f32[B, n]) -> f32[] => mean(forward(x))
    train { loss = loss; optimizer = SGD(lr: 0.1) }
  }`;
  const { blocks } = compile(source);
  const Scale = blocks['Scale']!;
  const model = await Scale.create();
  const x = zeros([1, 2]);
  t.throws(() => model.forward(x, x), {
    instanceOf: UsageError,
    message: /Scale\.forward\(x, options\?\) takes nothing else/,
  });
  t.throws(() => model.train_step(x, x), { message: /Scale\.train_step\(x, options\?\)/ });
  t.throws(() => model.forward(x, { train: true }), { message: /no option "train"; it has training, seed/ });
  t.throws(() => model.train_step(x, { seed: 1 }), { message: /no option "seed"; it has lr/ });
  t.throws(() => model.train_step(x, { lr: NaN }), { message: /lr is NaN, no finite number/ });
  t.throws(() => model.forward(x, { seed: -1 }), { message: /a seed is a whole number from 0, not -1/ });
  await t.throwsAsync(() => Scale.create({ seed: 0.5 }), { instanceOf: UsageError });
  await t.notThrowsAsync(() => Scale.create({ seed: Number.MAX_SAFE_INTEGER }));
});

test('a transposed tie of the block itself', async (t) => {
  const { blocks, diagnostics } = compile(`export block Turned(n: int = 2) {
    param w: f32[n, 3] ~ ones()
    param v: f32[3, n] ~ zeros()
    tie v = transpose(w)
    forward(x: f32[B, n]) -> f32[B, n] => x @ w @ v
  }`);
  t.deepEqual(diagnostics, []);
  const model = await blocks['Turned']!.create();
  const [w, v] = [model['w'], model['v']] as [Parameter, Parameter];
  t.deepEqual([w.shape, v.shape], [
    [2, 3],
    [3, 2],
  ] as never);
  v.data.set([2, 0], 5);
  t.is(((await w.data.toArray()) as number[][])[0]![2], 5);
});

test('names that every object has are names like others', async (t) => {
  for (const name of ['toString', 'constructor', 'hasOwnProperty', '__proto__', 'then']) {
    const { blocks, diagnostics } = compile(`import { Linear } from "std/nn"
      export block Net(${name}_size: int = 2) {
        ${name} = Linear(${name}_size, 2)
        other(${name}_: f32[B, 2]) -> f32[B, 2] => ${name}_ * 2.0
        forward(x: f32[B, 2]) -> f32[B, 2] => ${name}(x)
      }
      export block Method {
        ${name}(x: f32[B, 2]) -> f32[B, 2] => x + 1.0
      }`);
    t.deepEqual(diagnostics, [], name);
    const net = await blocks['Net']!.create();
    t.deepEqual([...net.state_dict().keys()], [`${name}.weight`, `${name}.bias`]);
    t.deepEqual(values(net.forward(zeros([1, 2]))), values(net.state_dict().get(`${name}.bias`)!));
    const method = await blocks['Method']!.create();
    t.deepEqual(values(method.call(name, [zeros([1, 2])]) as Tensor), [1, 1]);
  }
});

test('models that share a device, whatever their sizes, do not disturb each other', async (t) => {
  const batches = [1, 40, 3, 200, 7].map((b, i) => {
    const x = Float32Array.from({ length: 4 * b }, (_, k) => Math.cos(k + i));
    return { x: tensor(x, { shape: [b, 4] }), y: zeros([b, 2]) };
  });
  const run = (m: Model, i: number): number[] => [
    ...values(m.train_step(batches[i]!.x, batches[i]!.y).loss),
    ...values(m.call('forward', [batches[i]!.x]) as Tensor),
  ];
  const order = batches.map((_, i) => i);
  const alone = [await create(1), await create(2)].map((m) => order.map((i) => run(m, i)));
  const [a, b] = [await create(1), await create(2)];
  // The second starts with the largest batch first: the workspace moves while the first is bound to it.
  const together = order.map((i) => {
    const first = run(a!, i);
    void b!.call('forward', [zeros([300 * (i + 1), 4])], { seed: 0 });
    return [first, run(b!, i)];
  });
  t.deepEqual(
    together.map(([x]) => x),
    alone[0],
  );
  t.deepEqual(
    together.map(([, y]) => y),
    alone[1],
  );
});

test('a block that the source does not export is a fault', (t) => {
  const { blocks, diagnostics } = compile(SOURCE, { block: 'Nett' });
  t.deepEqual(Object.keys(blocks), []);
  t.regex(diagnostics.map((d) => d.message).join(), /exports no block `Nett`; it exports `Net`/);
});

test('kernels name the line and the layer they come from, as seen from the file', (t) => {
  const host = { read: (path: string) => ({ 'nets/net.net': SOURCE, 'main.net': SOURCE })[path] ?? null };
  const origins = (file: string): string[] =>
    compile({ file, host }).artifacts[0]!.kernels.flatMap((k) => k.origins.filter((o) => !o.startsWith('std/')));
  const here = origins('main.net').filter((o) => o.startsWith('main.net:7'));
  t.deepEqual([...new Set(here)].sort(), ['main.net:7 head']);
  t.deepEqual(
    origins('nets/net.net').map((o) => o.replace('net.net', 'main.net')),
    origins('main.net'),
  );
});

test('sizes that do not fit are said with the line and the names of the caller first', async (t) => {
  const { blocks } = compile(`import { Linear } from "std/nn"
export block Fits {
  l = Linear(4, 3)
  forward(x: f32[B, D], y: f32[B, T]) -> f32[B, 3] => l(x) + mean(y)
  both(x: f32[B, T], y: f32[C, T]) -> f32[B, T] => x + y
  last(x: f32[B, T]) -> f32[B, T - 2] => x[:, 2:]
}`);
  const m = await blocks['Fits']!.create();
  t.throws(() => m.call('forward', [zeros([2, 5]), zeros([2, 3])]), {
    instanceOf: ShapeError,
    message: /^main\.net:4 l: Fits\.forward: D = 5 must be 4; `x` of l \(Linear\) .*\(with B = 2, D = 5, T = 3\)$/,
  });
  t.throws(() => m.call('both', [zeros([2, 3]), zeros([3, 3])]), {
    message: /^main\.net:5: Fits\.both: (B = 2 must be C = 3|C = 3 must be B = 2); /,
  });
  t.throws(() => m.call('last', [zeros([2, 1])]), { message: /^main\.net:6: Fits\.last: .*must be at (least|most)/ });
});
