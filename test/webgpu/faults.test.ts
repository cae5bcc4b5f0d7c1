/**
 * What a GPU refuses, without one: Dawn's null back end behind a device that says it is smaller, or that fails. Each fault
 * is an error with its numbers, before memory is taken where that can be known, and none is silent.
 */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { NetwrightError, OutOfMemoryError, zeros } from '../../src/runtime/index.ts';
import { WebGpuDevice } from '../../src/runtime/webgpu/device.ts';
import { absent } from '../support/absent.ts';
import { nullDevice } from '../support/webgpu.ts';

const dawn = await nullDevice();
const run = dawn ? test.serial : test.skip;
if (!dawn) test('skipped: the package `webgpu` gives no adapter (npm install webgpu)', absent);

type Members = { readonly [name: string]: unknown };

/** The object with some members replaced; the others belong to the driver and keep their `this`. */
function altered<T extends object>(of: T, members: Members): T {
  return new Proxy(of, {
    get(target, key) {
      if (typeof key === 'string' && key in members) return members[key];
      const value: unknown = Reflect.get(target, key);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

async function open(members: (gpu: GPUDevice) => Members): Promise<WebGpuDevice> {
  const adapter = (await dawn!.gpu.requestAdapter())!;
  const found = { name: 'webgpu:0', available: true, software: true, description: 'null', features: [], limits: {} };
  const requestDevice = async (d: GPUDeviceDescriptor): Promise<GPUDevice> => {
    const gpu = await adapter.requestDevice(d);
    return altered(gpu, members(gpu));
  };
  const smaller = altered(adapter, { requestDevice });
  return WebGpuDevice.open(smaller, { ...found, adapter: smaller });
}

const MB = 1e6;
const limited = (limit: 'maxBufferSize' | 'maxStorageBufferBindingSize') => (gpu: GPUDevice) => ({
  limits: altered(gpu.limits, { [limit]: 8 * MB }),
});

const blockOf = (source: string) => Object.values(compile(source, { targets: ['wasm', 'webgpu'] }).blocks)[0]!;

/** 16 MB of weights. */
const Large = blockOf(`export block Large {
  param w: f32[2000, 2000] ~ zeros()
  forward(x: f32[2000]) -> f32[2000] => sum(w * x, dim: 1)
}`);

/** Little weight; a hidden layer of B * 4 kB that only working memory holds. */
const Wide = blockOf(`import { Linear } from "std/nn"
export block Wide {
  net = seq { Linear(4, 1000); relu; Linear(1000, 1) }
  forward(x: f32[B, 4]) -> f32[B, 1] => net(x)
}`);

const Doubling = blockOf(`export block Doubling {
  param w: f32[1] ~ ones()
  forward(x: f32[B]) -> f32[B] => x * w
  loss(x: f32[B]) -> f32[] => sum(x * w)
  train { loss = loss; optimizer = SGD(lr: 0.1) }
}`);

for (const limit of ['maxBufferSize', 'maxStorageBufferBindingSize'] as const) {
  run(`weights past ${limit} are refused with numbers before a buffer is made`, async (t) => {
    const on = await open(limited(limit));
    const before = on.counters.buffers;
    const error = await t.throwsAsync(() => Large.create({ device: on }), { instanceOf: OutOfMemoryError });
    t.regex(error!.message, /webgpu:0 needs 16\.0 MB more, has \d.*in use, and can hold 8\.0 MB/);
    t.is(on.counters.buffers, before);
    on.destroy();
  });

  run(`working memory past ${limit} is refused with numbers; smaller calls go on`, async (t) => {
    const on = await open(limited(limit));
    const model = await Wide.create({ device: on });
    const bytes = on.memory.buffer.size;
    const x = zeros([3000, 4], { device: on });
    const error = t.throws(() => model.forward(x), { instanceOf: OutOfMemoryError });
    t.regex(error!.message, /webgpu:0 needs 12\.\d MB more, has .*in use, and can hold 8\.0 MB/);
    t.is(on.memory.buffer.size, bytes, 'nothing was allocated for the call that is refused');
    t.is(model.forward(zeros([2, 4], { device: on })).shape[0], 2);
    t.notThrows(() => on.check());
    on.destroy();
  });
}

run('a thousand calls in one turn, whose results nobody reads, fill no memory and make no buffer', async (t) => {
  const on = await open(limited('maxBufferSize'));
  const model = await Doubling.create({ device: on });
  const x = zeros([25_000], { device: on });
  const call = (n: number): void => {
    for (let i = 0; i < n; i++) model.train_step(x);
    for (let i = 0; i < n; i++) model.forward(x);
  };
  call(50);
  const before = { ...on.counters, used: on.memory.used, size: on.memory.buffer.size };
  let most = 0;
  for (let i = 0; i < 20; i++) {
    call(50);
    most = Math.max(most, on.memory.used);
  }
  t.is(on.counters.buffers, before.buffers);
  t.is(on.memory.buffer.size, before.size);
  // 32 results of 100 kB, where a sixteenth of 8 MB is less; they change places with losses of 64 bytes.
  t.true(most <= before.used + 64 * 50 && before.used < 4.5 * MB, `${before.used}, then ${most}`);
  on.destroy();
});

/** A device whose next buffer fails as a driver's does: the error arrives in the scope of that kind. */
function failing(kind: GPUErrorFilter, armed: { now: boolean }) {
  return (gpu: GPUDevice): Members => {
    const scopes: { filter: GPUErrorFilter; hit: boolean }[] = [];
    class GPUOutOfMemoryError extends Error {}
    class GPUValidationError extends Error {}
    const error = kind === 'out-of-memory' ? GPUOutOfMemoryError : GPUValidationError;
    return {
      pushErrorScope(filter: GPUErrorFilter) {
        scopes.push({ filter, hit: false });
        gpu.pushErrorScope(filter);
      },
      async popErrorScope() {
        const { hit } = scopes.pop()!;
        const real = await gpu.popErrorScope();
        return hit ? new error('as simulated') : real;
      },
      createBuffer(d: GPUBufferDescriptor) {
        const scope = scopes.findLast((s) => s.filter === kind);
        if (armed.now && scope) {
          armed.now = false;
          scope.hit = true;
        }
        return gpu.createBuffer(d);
      },
    };
  };
}

const FAULTS = [
  ['out-of-memory', OutOfMemoryError, /webgpu:0 is out of memory: as simulated/],
  ['validation', NetwrightError, /webgpu:0 refuses what it was asked to do: as simulated/],
] as const;

for (const [kind, instanceOf, message] of FAULTS) {
  run(`a driver's ${kind} error while a model is created is thrown there`, async (t) => {
    const armed = { now: false };
    const on = await open(failing(kind, armed));
    armed.now = true;
    await t.throwsAsync(() => Large.create({ device: on }), { instanceOf, message });
    t.false(armed.now);
    on.destroy();
  });

  run(`a driver's ${kind} error in a call is thrown by what reads its result`, async (t) => {
    const armed = { now: false };
    const on = await open(failing(kind, armed));
    const model = await Wide.create({ device: on });
    const x = zeros([3000, 4], { device: on });
    armed.now = true;
    const y = model.forward(x);
    await t.throwsAsync(() => y.read(), { instanceOf, message });
    on.destroy();
  });
}

run('pipelines are made asynchronously, side by side, and before the first step', async (t) => {
  const seen = { made: 0, open: 0, most: 0, atOnce: 0 };
  const on = await open((gpu) => ({
    async createComputePipelineAsync(d: GPUComputePipelineDescriptor) {
      seen.made++;
      seen.most = Math.max(seen.most, ++seen.open);
      try {
        return await gpu.createComputePipelineAsync(d);
      } finally {
        seen.open--;
      }
    },
    createComputePipeline(d: GPUComputePipelineDescriptor) {
      seen.atOnce++;
      return gpu.createComputePipeline(d);
    },
  }));
  // Opening a device tries its subgroups out, and makes what tensors alone need.
  Object.assign(seen, { made: 0, most: 0, atOnce: 0 });
  const model = await Wide.create({ device: on });
  const { made } = seen;
  t.true(made > 3, 'the kernels of the network and our own');
  t.is(seen.most, made);
  for (const rows of [1, 2, 2]) model.forward(zeros([rows, 4], { device: on }));
  await Wide.create({ device: on });
  t.is(seen.made, made, 'equal code once per device');
  t.is(seen.atOnce, 0);
  on.destroy();
});
