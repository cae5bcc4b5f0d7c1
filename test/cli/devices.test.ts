/** `netwright devices`: what is there, and for what is not, why and what to install. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { folder, netwright } from '../support/cli.ts';
import { missingDriver } from '../../src/runtime/node/vulkan.ts';

const linux = process.platform === 'linux' ? test.serial : test.skip;

test('every device says what it is, and which one auto takes', async (t) => {
  const { code, out } = await netwright(['devices']);
  t.is(code, 0);
  t.regex(out, /^cpu  WebAssembly.*threads/m);
  t.regex(out, /^webgpu:0/m);
  t.regex(out, /^auto is (cpu|native|webgpu:\d): ./m);
});

linux('an absent GPU says what is wrong with what the environment names', async (t) => {
  const dir = folder(t);
  const bad = join(dir, 'driver.json');
  writeFileSync(bad, '{}');
  const said = (files: string): string => {
    const before = process.env['VK_DRIVER_FILES'];
    process.env['VK_DRIVER_FILES'] = files;
    try {
      return missingDriver();
    } finally {
      if (before === undefined) delete process.env['VK_DRIVER_FILES'];
      else process.env['VK_DRIVER_FILES'] = before;
    }
  };
  if (/libvulkan/.test(said(bad))) {
    t.pass('without a loader there is nothing to name');
    return;
  }
  t.regex(said('/nowhere.json'), /^VK_DRIVER_FILES names \/nowhere\.json, which is not there: correct it or unset it$/);
  t.regex(said(`${bad}:/nowhere.json`), /names \/nowhere\.json, which/);
  t.regex(said(bad), /^Dawn accepts no driver that VK_DRIVER_FILES names \(.*driver\.json\): Mesa must be 23 or later/);
});
