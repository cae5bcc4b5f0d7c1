/** Every kernel of the reference networks and of the examples, training included, is a shader that Dawn accepts, within the limits of every device. */
import { readdirSync, readFileSync } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { absent } from '../support/absent.ts';
import { compile } from '../../src/compile.ts';
import type { WebGpuKernel } from '../../src/runtime/artifact.ts';
import { NETWORKS } from '../support/networks.ts';
import { nullDevice, shaderFault } from '../support/webgpu.ts';

const dawn = await nullDevice();
const withDawn = dawn ? test.serial : test.skip;
if (!dawn) test('skipped: the package `webgpu` is not installed', absent);

const folder = (path: string): URL => new URL(`../../${path}/`, import.meta.url);
const FILES = [
  ...NETWORKS.map((name) => new URL(`${name}.net`, folder('test/networks'))),
  ...readdirSync(folder('examples')).map((name) => new URL(name, folder('examples'))),
];

/** The shaders of all blocks of a source, which has no faults. */
function shadersOf(t: ExecutionContext, source: string): readonly WebGpuKernel[] {
  const { artifacts, diagnostics } = compile(source, { targets: ['wasm', 'webgpu'] });
  t.deepEqual(
    diagnostics.filter((d) => d.severity === 'error'),
    [],
  );
  return artifacts.flatMap((a) => a.webgpu?.kernels ?? []);
}

for (const file of FILES)
  withDawn(`${file.pathname.split('/').slice(-2).join('/')} is made of valid shaders`, async (t) => {
    const kernels = shadersOf(t, readFileSync(file, 'utf8'));
    t.true(kernels.length > 0);
    // The device has the smallest limits: 16 KiB for a workgroup, 256 invocations, 64 KiB of uniforms.
    for (const { code, name } of kernels) t.is(await shaderFault(dawn!.device, code), null, name);
  });

withDawn('names that mean something to WGSL, or end comments and strings, are only names', async (t) => {
  const source = `
    export block NULL(memory: string = "*/ } @compute fn main() {} // ") {
      param workgroup: f32[3] ~ zeros()
      param _f32: f32[3] ~ zeros()
      param rolled: f32[3] ~ zeros()
      forward(args: f32[Self, 3]) -> f32[Self, 3] {
        main = relu(args * workgroup + _f32)
        main * rolled
      }
      loss(array: f32[Self, 3]) -> f32[] => mean(forward(array))
      train { loss = loss; optimizer = AdamW() }
    }`;
  for (const { code, name } of shadersOf(t, source)) {
    t.is(await shaderFault(dawn!.device, code), null, name);
    t.is(code.match(/@compute/g)!.length, 1);
  }
});
