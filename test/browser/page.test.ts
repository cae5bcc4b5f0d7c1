/** The compiler and the runtime in a page, as built and with nothing but an import map: LeNet learns there what it learns in Node. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import type { Browser } from 'playwright-core';
import * as netwright from '../../src/index.ts';
import type { DeviceInfo } from '../../src/index.ts';
import { launch, withChromium } from '../support/chromium.ts';
import { netwright as command, ROOT } from '../support/cli.ts';
import { serve, type Server } from '../support/server.ts';
import { lenetLosses, type Run } from './losses.ts';

const run = withChromium();
const LENET = readFileSync(join(ROOT, 'examples/lenet.net'), 'utf8');

let folder: string;
let server: Server;
let browser: Browser;

test.before(async () => {
  if (run === test.skip) return;
  folder = mkdtempSync(join(tmpdir(), 'netwright-page-'));
  mkdirSync(join(folder, 'built'));
  const tsc = join(ROOT, 'node_modules', '.bin', 'tsc');
  execFileSync(tsc, ['-p', 'tsconfig.build.json', '--outDir', join(folder, 'dist')], { cwd: ROOT });
  server = await serve({
    dist: join(folder, 'dist'),
    built: join(folder, 'built'),
    examples: join(ROOT, 'examples'),
    test: join(ROOT, 'test'),
    node_modules: join(ROOT, 'node_modules'),
  });
  browser = await launch();
});

test.after.always(async () => {
  await browser?.close();
  await server?.close();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

/** What a page leaves in `window.result`, and the paths that it loaded. */
async function resultOf<T>(
  name: string,
  context: Pick<Browser, 'newPage'> = browser,
): Promise<{ result: T; loaded: readonly string[] }> {
  const page = await context.newPage();
  const first = server.asked.length;
  const fault = new Promise<never>((_, fail) => page.once('pageerror', fail));
  await page.goto(`${server.url}/test/browser/${name}`);
  const found = page.waitForFunction(() => (globalThis as { result?: unknown }).result, null, { timeout: 120_000 });
  const result = (await (await Promise.race([found, fault])).jsonValue()) as T;
  return { result, loaded: server.asked.slice(first) };
}

run('a page compiles LeNet and trains it on WebAssembly and on WebGPU as Node does', async (t) => {
  t.timeout(180_000);
  const here = await lenetLosses(netwright, LENET, 'cpu');
  t.true(here.losses.at(-1)! < here.losses[0]!);
  const { result, loaded } = await resultOf<{ runs: Record<string, Run>; devices: DeviceInfo[] }>('compiler.html');
  const { cpu, 'webgpu:0': gpu } = result.runs;
  // One engine on one machine: where multiplications and additions fuse alike, so do all bits.
  if (cpu!.numerics === here.numerics) t.deepEqual(cpu!.losses, here.losses);
  else t.true(near(cpu!.losses, here.losses));
  t.truthy(gpu, `Chromium gives no WebGPU: ${result.devices[1]?.description}`);
  t.true(near(gpu!.losses, here.losses), `${gpu!.losses.join(' ')} and ${here.losses.join(' ')}`);
  t.deepEqual(
    loaded.filter((p) => p.includes('/node/')),
    [],
    'what only Node has is not loaded',
  );
  const devices = await netwright.devices();
  if (devices.some((d) => d.name === 'webgpu:0' && d.available)) {
    t.true(near((await lenetLosses(netwright, LENET, 'webgpu')).losses, gpu!.losses));
  }
});

run('threads in a page train LeNet as Node does; without isolation there is one', async (t) => {
  const here = await lenetLosses(netwright, LENET, 'cpu');
  type Threaded = { isolated: boolean; cpu: string; one: Run; several: readonly Run[] };
  const { result } = await resultOf<Threaded>('threads.html?isolated');
  t.true(result.isolated);
  t.regex(result.cpu, /, threads$/);
  t.deepEqual(
    result.several.map((r) => r.losses),
    result.several.map(() => result.one.losses),
  );
  for (const r of result.several) t.true(r.tasks > 0, 'kernels were shared');
  if (result.one.numerics === here.numerics) t.deepEqual(result.one.losses, here.losses);
  else t.true(near(result.one.losses, here.losses));

  const { result: alone } = await resultOf<Threaded>('threads.html');
  t.false(alone.isolated);
  t.regex(alone.cpu, /, one thread: .*Cross-Origin-Embedder-Policy/);
  t.deepEqual(alone.several[0]!.losses, result.one.losses);
});

run('a built module needs the runtime alone', async (t) => {
  const built = await command(['build', 'examples/lenet.net', '--js', '--out', join(folder, 'built', 'lenet.js')]);
  t.is(built.code, 0, built.err);
  const { result, loaded } = await resultOf<{ losses: number[]; logits: number[]; weight: number[] }>('module.html');
  const model = await netwright.compile(LENET).blocks['LeNet']!.create({ seed: 7 });
  const x = netwright.tensor(
    Float32Array.from({ length: 784 }, (_, i) => ((i * 7919) % 256) / 255),
    { shape: [1, 1, 28, 28] },
  );
  const losses: number[] = [];
  for (let i = 0; i < 3; i++) losses.push(await model.train_step(x, netwright.tensor(Int32Array.of(3))).loss.item());
  t.true(near(result.losses, losses));
  t.true(near(result.logits, [...(await model.forward(x).read())]));
  t.deepEqual(result.weight, [6, 1, 5, 5]);
  const foreign = loaded.filter((p) => !/^\/(dist\/runtime\/|built\/|test\/browser\/|favicon)/.test(p));
  t.deepEqual(foreign, []);
});

run('weights that one page read are there for the next, until the server has others', async (t) => {
  const write = async (value: number): Promise<void> => {
    const of = (shape: number[]): netwright.Tensor => netwright.full(shape, value);
    await netwright.save(join(folder, 'built', 'large.safetensors'), { a: of([2 ** 20]), b: of([2 ** 21]) });
  };
  await write(1);
  const context = await browser.newContext();
  const visit = async (): Promise<{ received: number; last: number; length: number }> =>
    (await resultOf<{ received: number; last: number; length: number }>('opfs.html', context)).result;
  const first = await visit();
  t.is(first.length, 2 ** 23);
  t.is(first.last, 0x3f); // of 1.0f
  t.true(first.received > 2 ** 23);
  const second = await visit();
  t.deepEqual({ ...second, received: 0 }, { ...first, received: 0 });
  // Opening asks for the first bytes, which tell the version; everything else was kept.
  t.is(second.received, 2 ** 16);
  await write(2);
  const third = await visit();
  t.is(third.last, 0x40);
  t.true(third.received > 2 ** 23);
  await context.close();
});

/** Sums of some hundred terms in another order, over a few steps: 1e-4 is far above that and far below what a wrong step gives. */
const near = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((v, i) => Math.abs(v - b[i]!) <= 1e-4 * Math.max(1e-2, Math.abs(b[i]!)));
