/** Every kernel of the reference networks, training included, is a shader that Dawn accepts, within the limits of every device. */
import { readFileSync } from 'node:fs';
import test from 'ava';
import { absent } from '../support/absent.ts';
import { compile } from '../../src/compile.ts';
import { NETWORKS } from '../support/networks.ts';
import { nullDevice, shaderFault } from '../support/webgpu.ts';

const dawn = await nullDevice();
const withDawn = dawn ? test.serial : test.skip;
if (!dawn) test('skipped: the package `webgpu` is not installed', absent);

for (const name of NETWORKS)
  withDawn(`${name} is made of valid shaders`, async (t) => {
    const source = readFileSync(new URL(`../networks/${name}.net`, import.meta.url), 'utf8');
    const { artifacts, diagnostics } = compile(source, { targets: ['wasm', 'webgpu'] });
    t.deepEqual(
      diagnostics.filter((d) => d.severity === 'error'),
      [],
    );
    for (const { code, name: kernel } of artifacts.flatMap((a) => a.webgpu?.kernels ?? []))
      // The device has the smallest limits: 16 KiB for a workgroup, 256 invocations, 64 KiB of uniforms.
      t.is(await shaderFault(dawn!.device, code), null, kernel);
  });
