/** V8's pairing of vector operations, which the command line switches on, and code compiled for it change no bit of a training step. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import test from 'ava';

const SCRIPT = fileURLToPath(new URL('../support/print-bits.ts', import.meta.url));
const NETWORKS = ['lenet', 'gpt2_mini', 'char_lstm', 'resnet18_w10', 'vae'];

const run = async (...flags: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [...flags, SCRIPT, ...NETWORKS])).stdout;

test('training steps have the same bits with and without it', async (t) => {
  if (Number(process.versions.node.split('.')[0]) < 24) {
    t.pass('this Node has no such flag');
    return;
  }
  t.timeout(300_000);
  const plain = await run();
  t.is(plain.trim().split('\n').length, NETWORKS.length);
  t.is(await run('--experimental-wasm-revectorize'), plain);
});
