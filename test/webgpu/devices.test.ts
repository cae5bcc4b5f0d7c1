/** Several GPUs, without one: Dawn's null back end under three names. What is chosen, what is the same, what does not mix. */
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { autoDevice, device, DeviceError, devices, tensor, zeros } from '../../src/runtime/index.ts';
import { absent } from '../support/absent.ts';
import { nullDevice } from '../support/webgpu.ts';

const dawn = await nullDevice();
const run = dawn ? test.serial : test.skip;
if (!dawn) test('skipped: the package `webgpu` gives no adapter (npm install webgpu)', absent);

/** An adapter under another name. */
function named(adapter: GPUAdapter, name: string, software: boolean): GPUAdapter {
  const info = { vendor: 'test', architecture: '', device: name, description: '', isFallbackAdapter: software };
  return new Proxy(adapter, {
    get(of, key) {
      if (key === 'info') return info;
      const value: unknown = Reflect.get(of, key);
      return typeof value === 'function' ? (value.bind(of) as unknown) : value;
    },
  });
}

const NAMES = { 'high-performance': 'large', 'low-power': 'small' } as const;
if (dawn) {
  const gpu: Pick<GPU, 'requestAdapter'> = {
    async requestAdapter({ powerPreference = 'high-performance', forceFallbackAdapter = false } = {}) {
      const adapter = (await dawn.gpu.requestAdapter())!;
      return named(adapter, forceFallbackAdapter ? 'slow' : NAMES[powerPreference], forceFallbackAdapter);
    },
  };
  Object.defineProperty(globalThis.navigator, 'gpu', { value: gpu, configurable: true });
}

const { blocks } = compile(
  `import { Linear } from "std/nn"
  export block Net { net = Linear(4, 2); forward(x: f32[B, 4]) -> f32[B, 2] => net(x) }`,
  { targets: ['wasm', 'webgpu'] },
);
const Net = blocks['Net']!;

run('every adapter is listed once, with its features and limits, the fastest first', async (t) => {
  const all = (await devices()).filter((d) => d.name.startsWith('webgpu'));
  t.deepEqual(
    all.map((d) => [d.name, d.available, d.software]),
    [
      ['webgpu:0', true, false],
      ['webgpu:1', true, false],
      ['webgpu:2', true, true],
    ],
  );
  t.regex(all[0]!.description, /large/);
  t.regex(all[2]!.description, /slow.*in software/);
  for (const d of all) t.true(d.limits['maxBufferSize']! > 0);
});

run('auto takes a GPU in hardware and says which; a block for the cpu alone stays there', async (t) => {
  const { device: chosen, why } = await autoDevice();
  t.is(chosen.name, 'webgpu:0');
  t.regex(why, /large/);
  t.is((await Net.create({ device: 'auto' })).device, chosen);
});

run('a device is one object; an absent one is an error that lists what there is', async (t) => {
  t.is(await device('webgpu'), await device('webgpu:0'));
  t.not(await device('webgpu:0'), await device('webgpu:1'));
  await t.throwsAsync(device('webgpu:7'), {
    instanceOf: DeviceError,
    message: /no device "webgpu:7".*there is cpu, .*webgpu:0, webgpu:1, webgpu:2/,
  });
});

run('tensors and models are made on a device, move, and stay where they are', async (t) => {
  const [a, b] = [await device('webgpu:0'), await device('webgpu:1')];
  t.is(zeros([2], { device: 'webgpu:1' }).device, b);
  const model = await Net.create({ device: 'webgpu:1' });
  t.is(model.device, b);
  t.is(await model.to('webgpu:1'), model);
  t.is(await model.to(b), model);
  const x = tensor([1, 2], { device: a });
  t.is(await x.to('webgpu'), x);
  t.is((await x.to(b)).device, b);
});

run('devices do not mix: the error names both', async (t) => {
  const model = await Net.create({ device: 'webgpu:1' });
  const x = zeros([1, 4], { device: await device('webgpu:0') });
  t.throws(() => model.forward(x), { instanceOf: DeviceError, message: /webgpu:0.*webgpu:1|webgpu:1.*webgpu:0/ });
  // What one GPU holds another cannot copy from; nothing is changed then.
  const other = await Net.create({ device: 'webgpu:0' });
  t.throws(() => model.load_state_dict(other.state_dict()), {
    instanceOf: DeviceError,
    message: /net\.weight.*webgpu:0/,
  });
});
