/** The device of a command: opened first, so that the file is compiled for it. */
import pc from 'picocolors';
import type { TargetName } from '../compile.ts';
import { autoDevice, device as openDevice, type Device } from '../runtime/index.ts';

export const DEVICE_HELP = 'cpu, webgpu, webgpu:1 (see netwright devices), or auto: a GPU in hardware, else the cpu';

export interface ChosenDevice {
  readonly device: Device;
  readonly targets: readonly TargetName[];
}

/** Throws DeviceError for a device that is not there. `auto` says on stderr what it chose and why. */
export async function chooseDevice(name: string): Promise<ChosenDevice> {
  if (name !== 'auto') return chosen(await openDevice(name));
  const { device, why } = await autoDevice();
  process.stderr.write(`${pc.dim(`device ${device.name} (${why})`)}\n`);
  return chosen(device);
}

const chosen = (device: Device): ChosenDevice => ({
  device,
  targets: device.kind === 'webgpu' ? ['wasm', 'webgpu'] : ['wasm'],
});
