/** Reductions give the same bits with subgroups of every size and without; both variants of their shaders are valid. */
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { compile } from '../../src/compile.ts';
import { withSubgroups } from '../../src/runtime/webgpu/subgroups.ts';
import { absent } from '../support/absent.ts';
import { REDUCING, type Bits } from '../support/subgroup-bits.ts';
import { nullDevice, shaderFault } from '../support/webgpu.ts';
import { onAdapter } from '../support/webgpu-device.ts';

const run = await onAdapter();
const PROGRAM = fileURLToPath(new URL('../support/subgroup-bits.ts', import.meta.url));

function bitsAt(width: number): readonly [Bits, Bits] {
  // Mesa's software adapter has as many lanes as its vectors hold; other adapters do not look.
  const env = { ...process.env, LP_NATIVE_VECTOR_WIDTH: String(width) };
  const said = execFileSync(process.execPath, [PROGRAM], { env, encoding: 'utf8', maxBuffer: 1 << 26 });
  return JSON.parse(said) as [Bits, Bits];
}

run('reductions give the same bits with subgroups of 4, 8 and 16 lanes and without', (t) => {
  const all = [128, 256, 512].map(bitsAt);
  for (const [subgroups, plain] of all) {
    t.is(plain.subgroup, 1);
    t.true(plain.results.length > 8);
    t.deepEqual(subgroups.results, plain.results);
    t.deepEqual(plain.results, all[0]![1].results);
  }
  const sizes = all.map(([{ subgroup }]) => subgroup);
  t.log(`lanes: ${sizes.join(', ')}`);
  // What this guards is that the fast variant ran at all: adapters with subgroups have several lanes.
  t.true(sizes.every((n) => n > 1));
});

const dawn = await nullDevice();
if (!dawn) test('skipped: the package `webgpu` is not installed', absent);

(dawn ? test.serial : test.skip)('with subgroups, too, shaders are valid', async (t) => {
  const adapter = (await dawn!.gpu.requestAdapter())!;
  t.true(adapter.features.has('subgroups'));
  const device = await adapter.requestDevice({ requiredFeatures: ['subgroups'] });
  const { artifacts } = compile(REDUCING, { targets: ['wasm', 'webgpu'] });
  const kernels = artifacts.flatMap((a) => a.webgpu?.kernels ?? []);
  const changed = kernels.filter((k) => withSubgroups(k.code, 32) !== k.code);
  t.true(changed.length >= 5);
  for (const { name, code } of changed) {
    for (const lanes of [4, 32, 128]) t.is(await shaderFault(device, withSubgroups(code, lanes)), null, name);
    t.is(await shaderFault(dawn!.device, code), null, name);
  }
});
