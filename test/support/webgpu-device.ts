/** For tests that need a WebGPU adapter, software ones included. */
import test from 'ava';
import { devices } from '../../src/runtime/index.ts';

/**
 * `test.serial` where there is an adapter. Elsewhere tests are skipped, with a test that says why; they fail instead where
 * everything is required.
 */
export async function onAdapter(): Promise<typeof test.serial | typeof test.skip> {
  const [first] = (await devices()).filter((d) => d.name.startsWith('webgpu:'));
  if (first?.available) return test.serial;
  const reason = `no WebGPU adapter: ${first?.description}; .ci/run installs one in software`;
  test(`skipped: ${reason}`, (t) => {
    if (process.env['NETWRIGHT_REQUIRE_ALL']) t.fail(reason);
    else t.pass();
  });
  return test.skip;
}
