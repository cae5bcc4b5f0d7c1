/** `netwright devices`: what can run a network here, and why something cannot. */
import { Command } from 'commander';
import pc from 'picocolors';
import { autoDevice, devices } from '../../runtime/index.ts';
import { cacheUse } from '../../runtime/node/object-cache.ts';
import { megabytes } from '../../runtime/sizes.ts';

export function devicesCommand(): Command {
  return new Command('devices')
    .description('Lists the devices with their features and limits, and why one is not there.')
    .option('--json', 'the list as JSON')
    .action(async (options: { readonly json?: boolean }) => {
      const all = await devices();
      const { device, why } = await autoDevice();
      const cache = await cacheUse();
      if (options.json) {
        process.stdout.write(`${JSON.stringify({ devices: all, auto: { device: device.name, why }, cache })}\n`);
        return;
      }
      for (const d of all) {
        const name = d.available ? pc.bold(d.name) : pc.dim(`${d.name} (absent)`);
        process.stdout.write(`${name}  ${d.description}\n`);
        if (d.features.length > 0) process.stdout.write(`  features  ${d.features.join(', ')}\n`);
        const limits = Object.entries(d.limits).map(([k, v]) => `${k} ${v.toLocaleString('en-US')}`);
        if (limits.length > 0) process.stdout.write(`  limits    ${limits.join('\n            ')}\n`);
      }
      const objects = `${cache.objects} object${cache.objects === 1 ? '' : 's'}, ${megabytes(cache.bytes)}`;
      process.stdout.write(`compiled C lies in ${cache.folder} (${objects})\n`);
      process.stdout.write(`auto is ${device.name}: ${why}\n`);
    });
}
