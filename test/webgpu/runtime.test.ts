/** The runtime on a real adapter: moving tensors and models, what is refused, faults, and the end of the process. */
import { spawnSync } from 'node:child_process';
import { compile } from '../../src/compile.ts';
import {
  device,
  DeviceError,
  DeviceLostError,
  KernelError,
  OutOfMemoryError,
  tensor,
  UsageError,
  weightsToBytes,
  loadWeights,
  type Parameter,
  type Tensor,
  zeros,
  type Model,
} from '../../src/runtime/index.ts';
import { WebGpuDevice } from '../../src/runtime/webgpu/device.ts';
import { webGpuDevices } from '../../src/runtime/webgpu/discover.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();

const SOURCE = `
import { Linear, Dropout } from "std/nn"
export block Net {
  net = seq { Linear(4, 8); relu; Dropout(0.5); Linear(8, 3) }
  forward(x: f32[B, 4]) -> f32[B, 3] => net(x)
  loss(x: f32[B, 4], y: i32[B]) -> f32[] => cross_entropy(forward(x), y)
  train { loss = loss; optimizer = SGD(lr: 0.1, momentum: 0.9) }
}`;
const { blocks } = compile(SOURCE, { targets: ['wasm', 'webgpu'] });
const Net = blocks['Net']!;
const X = tensor([
  [1, 2, 3, 4],
  [-1, 0.5, 2, 0],
]);
const Y = tensor(Int32Array.of(0, 2));

const gpu = async (): Promise<WebGpuDevice> => (await device('webgpu')) as WebGpuDevice;
const snapshot = async (m: Model): Promise<Record<string, readonly number[]>> =>
  Object.fromEntries(await Promise.all([...m.state_dict()].map(async ([k, v]) => [k, [...(await v.read())]] as const)));

run('initial values and dropout masks have the bits of the cpu', async (t) => {
  const [a, b] = [await Net.create({ seed: 3 }), await Net.create({ seed: 3, device: 'webgpu' })];
  t.deepEqual(await snapshot(b), await snapshot(a));
  const on = await gpu();
  const [x, y] = [await X.to(on), await Y.to(on)];
  for (let i = 0; i < 5; i++) {
    const [p, q] = [await a.train_step(X, Y).loss.item(), await b.train_step(x, y).loss.item()];
    t.true(Math.abs(p - q) <= 1e-5 * Math.abs(p), `step ${i}: ${p} and ${q}`);
  }
});

run('tensors move, and stay where they are when they are there', async (t) => {
  const on = await gpu();
  t.is(await device('webgpu:0'), on);
  const x = await X.to(on);
  t.is(await x.to('webgpu'), x);
  t.deepEqual(await x.read(), await X.read());
  t.deepEqual(await (await x.to('cpu')).read(), await X.read());
  const made = tensor([1, 2, 3], { device: on });
  made.set([1], 42);
  t.deepEqual([...(await made.read())], [1, 42, 3]);
  t.throws(() => zeros([2], { device: on }).readSync(), { instanceOf: DeviceError, message: /webgpu:0.*awaited/ });
});

run('a state dict that lies on the GPU is loaded there', async (t) => {
  const [a, b] = [await Net.create({ seed: 1, device: 'webgpu' }), await Net.create({ seed: 2, device: 'webgpu' })];
  b.load_state_dict(a.state_dict());
  t.deepEqual(await snapshot(b), await snapshot(a));
  b.load_state_dict(b.state_dict());
  t.deepEqual(await snapshot(b), await snapshot(a));
  const copy = zeros([8, 4], { device: await gpu() });
  copy.copy_(a.state_dict().get('net.0.weight')!);
  t.deepEqual([...(await copy.read())], (await snapshot(a))['net.0.weight']);
});

run('a parameter is an argument as each of its names sees it', async (t) => {
  for (const [n, m] of [
    [3, 5],
    [70, 33],
  ] as const) {
    const source = `export block Turned {
      param w: f32[${n}, ${m}] ~ normal(0.0, 1.0)
      param v: f32[${m}, ${n}] ~ zeros()
      tie v = transpose(w)
      forward(x: f32[A, B]) -> f32[A, B] => x * 2.0 + sum(w) * 0.0
    }`;
    const Turned = compile(source, { targets: ['wasm', 'webgpu'] }).blocks['Turned']!;
    const model = await Turned.create({ seed: 4, device: 'webgpu' });
    const twice = (name: string) => model.forward((model[name] as Parameter).data).toArray();
    const w = (await (model['w'] as Parameter).data.toArray()) as number[][];
    t.deepEqual(
      await twice('w'),
      w.map((row) => row.map((x) => 2 * x)),
    );
    t.deepEqual(
      await twice('v'),
      w[0]!.map((_, i) => w.map((row) => 2 * row[i]!)),
    );
  }
});

run('devices do not mix', async (t) => {
  const model = await Net.create({ device: 'webgpu' });
  t.throws(() => model.forward(X), { instanceOf: DeviceError, message: /x is on cpu and the model is on webgpu:0/ });
});

run('a block that was compiled for the cpu alone says how to build it', async (t) => {
  const alone = compile(SOURCE).blocks['Net']!;
  await t.throwsAsync(() => alone.create({ device: 'webgpu' }), {
    instanceOf: DeviceError,
    message: /--target webgpu/,
  });
  t.is((await alone.create({ device: 'auto' })).device.name, 'cpu');
});

run('results that are held outlive later runs', async (t) => {
  const model = await Net.create({ device: 'webgpu' });
  const on = await gpu();
  const inputs = [1, 2, 3].map((k) => tensor([[k, 0, 0, 0]], { device: on }));
  const held = inputs.map((x) => model.forward(x));
  const values = await Promise.all(held.map((r) => r.toArray()));
  for (const [i, x] of inputs.entries()) t.deepEqual(await model.forward(x).toArray(), values[i]!);
});

run('a result that is read or used stays, one that is neither for long is given up and says so', async (t) => {
  const on = await gpu();
  const source = 'export block Plus { forward(x: f32[N], y: f32[]) -> f32[N] => x + y }';
  const model = await compile(source, { targets: ['wasm', 'webgpu'] }).blocks['Plus']!.create({ device: on });
  // A twentieth of a sixteenth of the device's memory each; forty in one turn.
  const n = Math.floor(on.memory.limit / 16 / 20 / 4);
  const x = zeros([n], { device: on });
  const add = (a: Tensor, k: number): Tensor => model.call('forward', [a, tensor(k, { device: on })]) as Tensor;
  const read = add(x, 1);
  await read.read();
  const [used, unused] = [add(x, 2), add(x, 3)];
  const later = [];
  for (let i = 0; i < 40; i++) later.push(add(used, i));
  t.is((await read.read())[n - 1], 1);
  t.is((await used.read())[n - 1], 2);
  await t.throwsAsync(() => unused.read(), {
    instanceOf: UsageError,
    message: /neither read nor used.*webgpu:0|webgpu:0.*neither read nor used/,
  });
  t.throws(() => add(unused, 1), { instanceOf: UsageError });
  for (const i of [39, 25]) t.is((await later[i]!.read())[n - 1], 2 + i);
});

run('a model moves with its training', async (t) => {
  const cpu = await Net.create({ seed: 1 });
  cpu.train_step(X, Y);
  const moved = await cpu.to('webgpu');
  t.deepEqual(await snapshot(moved), await snapshot(cpu));
  const on = await gpu();
  const [x, y] = [await X.to(on), await Y.to(on)];
  const [p, q] = [await cpu.train_step(X, Y).loss.item(), await moved.train_step(x, y).loss.item()];
  t.true(Math.abs(p - q) <= 1e-5 * Math.abs(p));
});

run('what the device cannot hold is refused with numbers', async (t) => {
  const on = await gpu();
  const source = `export block Big {
    param w: f32[40000, 40000] ~ zeros()
    forward(x: f32[40000]) -> f32[40000] => sum(w * x, dim: 1)
  }`;
  const { blocks: big } = compile(source, { targets: ['wasm', 'webgpu'] });
  const error = await t.throwsAsync(() => big['Big']!.create({ device: on }), { instanceOf: OutOfMemoryError });
  t.regex(error!.message, /needs 6400\.0 MB.*can hold/);
});

run('a kernel that the driver refuses is an error at its line', async (t) => {
  const { artifact } = Net;
  const kernels = artifact.webgpu!.kernels.map((k) => ({ ...k, code: `${k.code}\nnonsense` }));
  const on = await gpu();
  const error = await t.throwsAsync(() => on.compile(kernels.slice(0, 1)), { instanceOf: KernelError });
  t.regex(error!.message, /webgpu:0 refuses the kernel \w+ of main\.net:\d+/);
});

run('the line is that of the statement which the driver points at', async (t) => {
  const source = `export block Chain {
  forward(x: f32[B, 300]) -> f32[B] {
    a = sin(x)
    b = exp(a) * 2.5
    sum(tanh(b), dim: 1)
  }
}`;
  const { artifacts } = compile(source, { targets: ['wasm', 'webgpu'] });
  const [kernel] = artifacts[0]!.webgpu!.kernels;
  t.is(artifacts[0]!.webgpu!.kernels.length, 1);
  const on = await gpu();
  await t.notThrowsAsync(on.compile([kernel!]));
  // A broken statement where the comment says `line`, and what is found wrong there.
  const broken = async (line: number): Promise<KernelError> => {
    const place = new RegExp(`// main\\.net:${line}\\n`, 'g');
    const at = [...kernel!.code.matchAll(place)].at(-1)!;
    const end = at.index + at[0].length;
    const code = `${kernel!.code.slice(0, end)}let broken_ = nowhere_;\n${kernel!.code.slice(end)}`;
    return t.throwsAsync(on.compile([{ ...kernel!, code }]), { instanceOf: KernelError });
  };
  for (const line of [3, 4, 5]) {
    const error = await broken(line);
    t.is(error.origins[0], `main.net:${line}`);
    t.is(error.origins.length, 3, 'the others after it');
    t.regex(
      error.message,
      new RegExp(`refuses the kernel \\w+ of main\\.net:${line}, .*\`let broken_ = nowhere_;\`: `),
    );
    t.regex(error.message, /unresolved value 'nowhere_'/);
  }
  // What stands before the body belongs to the main line.
  const head = await t.throwsAsync(on.compile([{ ...kernel!, code: `fn f_() { nowhere_(); }\n${kernel!.code}` }]), {
    instanceOf: KernelError,
  });
  t.is(head!.origins[0], kernel!.origins[0]);
});

run('time is told by kernel and line, and a profile changes no number', async (t) => {
  const on = await gpu();
  const [x, y] = [await X.to(on), await Y.to(on)];
  const [plain, watched] = [await Net.create({ seed: 1, device: on }), await Net.create({ seed: 1, device: on })];
  for (const m of [plain, watched]) m.train_step(x, y);
  plain.train_step(x, y);
  const profile = on.profile();
  t.throws(() => on.profile(), { instanceOf: UsageError, message: /being profiled already/ });
  const before = on.counters.dispatches;
  watched.train_step(x, y);
  const dispatches = on.counters.dispatches - before;
  await profile.stop();
  t.deepEqual(await snapshot(watched), await snapshot(plain));
  const rows = profile.rows();
  t.is(
    rows.reduce((n, r) => n + r.calls, 0),
    dispatches,
  );
  for (const r of rows)
    t.true(r.ms >= 0 && (r.kernel === 'copy' || /^(main\.net|std\/\w+):\d+/.test(r.origin)), r.kernel);
  // Two linear layers: forward, weight gradients, and the gradient of the second one's input.
  t.is(
    rows.reduce((n, r) => n + r.flops, 0),
    2 * 2 * (2 * 4 * 8 + 3 * 8 * 3),
  );
  t.true(profile.trace().traceEvents.some((e) => e.cat === 'program' && e.name === 'train_step'));
});

run('more dispatches than a query set holds are all timed', async (t) => {
  const on = await gpu();
  const { blocks: loops } = compile(
    `export block Long { forward(x: f32[4]) -> f32[4] { for i in 0..2500 { x = x + 1.0 }; x } }`,
    { targets: ['wasm', 'webgpu'] },
  );
  const model = await loops['Long']!.create({ device: on });
  const profile = on.profile();
  t.deepEqual(await model.forward(zeros([4], { device: on })).toArray(), [2500, 2500, 2500, 2500]);
  await profile.stop();
  t.true(profile.rows().reduce((n, r) => n + r.calls, 0) >= 2500);
});

run('a device without timestamps says that it cannot be profiled', async (t) => {
  const [found] = await webGpuDevices();
  const without = new Proxy(found!.adapter!, {
    get(adapter, key) {
      if (key === 'features') return new Set<string>();
      const value: unknown = Reflect.get(adapter, key);
      return typeof value === 'function' ? (value.bind(adapter) as unknown) : value;
    },
  });
  const on = await WebGpuDevice.open(without, found!);
  t.throws(() => on.profile(), { instanceOf: DeviceError, message: /webgpu:0 has no timestamps/ });
  on.destroy();
});

run('a lost device says so, and a model goes on from its last state on a new one', async (t) => {
  const model = await Net.create({ seed: 5, device: 'webgpu' });
  const on = await gpu();
  const bytes = await weightsToBytes(model);
  const saved = await snapshot(model);
  const x = await X.to(on);
  on.destroy();
  await t.throwsAsync(() => model.forward(x).read(), {
    instanceOf: DeviceLostError,
    message: /webgpu:0 was destroyed/,
  });
  t.throws(() => model.forward(x), { instanceOf: DeviceLostError });
  const again = await Net.create({ seed: 9, device: 'webgpu' });
  t.not(again.device, on);
  await loadWeights(again, Buffer.concat(bytes));
  t.deepEqual(await snapshot(again), saved);
  t.true((await again.forward(await X.to(again.device)).read()).every(Number.isFinite));
});

run('a process that used a GPU ends by itself', (t) => {
  const script = `
    import { device, tensor } from ${JSON.stringify(new URL('../../src/runtime/index.ts', import.meta.url).href)};
    const x = await tensor([1, 2]).to(await device('webgpu'));
    console.log((await x.read()).join());`;
  const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  t.is(status, 0);
  t.is(stdout.trim(), '1,2');
});

run('16-bit elements share words: writing some leaves their neighbours alone', async (t) => {
  const { blocks } = compile(
    `export block Halves {
  param a: f16[3] ~ zeros()
  param b: f16[3] ~ ones()
  forward(x: f16[3]) -> f16[3] => x * a + b
}`,
    { targets: ['wasm', 'webgpu'] },
  );
  const model = await blocks['Halves']!.create({ device: await gpu() });
  const read = async (name: string): Promise<number[]> => [...(await model.state_dict().get(name)!.read())];
  model.state_dict().get('a')!.set([1], 5);
  model.state_dict().get('a')!.set([2], 6);
  t.deepEqual(
    [await read('a'), await read('b')],
    [
      [0, 5, 6],
      [1, 1, 1],
    ],
  );
  model.state_dict().get('b')!.set([0], 7);
  t.deepEqual(
    [await read('a'), await read('b')],
    [
      [0, 5, 6],
      [7, 1, 1],
    ],
  );
  // Three elements of two bytes end inside a word.
  model.load_state_dict({ a: tensor([1, 2, 3], { dtype: 'f16' }) }, { strict: false });
  t.deepEqual(
    [await read('a'), await read('b')],
    [
      [1, 2, 3],
      [7, 1, 1],
    ],
  );
});
