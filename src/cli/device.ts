/** The device of a command: chosen first, so that the file is compiled for it; `auto` is decided once it has been. */
import pc from 'picocolors';
import type { CompileOptions } from '../compile.ts';
import {
  autoDevice,
  device as openDevice,
  thisMachine,
  type Artifact,
  type Device,
  type Progress,
} from '../runtime/index.ts';
import { revectorized } from './revectorize.ts';

export const DEVICE_HELP =
  'cpu, native (compiled C), webgpu, webgpu:1 (see netwright devices), or auto: a GPU in hardware, native code that was built before, or the cpu';

export const THREADS_HELP = 'of native code and WebAssembly, by default the cores; results do not depend on it';

export interface ChosenDevice {
  readonly compile: Pick<CompileOptions, 'targets' | 'machine' | 'pairedVectors'>;
  /** The device. `auto` says on stderr what it chose and why. */
  open(artifact: Artifact): Promise<Device>;
}

/** Throws DeviceError for a device that is not there. */
export async function chooseDevice(name: string): Promise<ChosenDevice> {
  if (name === 'auto') return chooseAuto();
  const device = await openDevice(name);
  const compile = device.kind === 'native' ? await nativeOptions() : device.kind === 'webgpu' ? onGpu() : onCpu();
  return { compile, open: async () => device };
}

const onCpu = () => ({ targets: ['wasm'], pairedVectors: revectorized() }) as const;
const onGpu = () => ({ ...onCpu(), targets: ['wasm', 'webgpu'] }) as const;

/** Compiles for native code of this machine. */
export async function nativeOptions(): Promise<ChosenDevice['compile']> {
  const machine = await thisMachine();
  return { ...onCpu(), targets: ['wasm', 'native'], ...(machine && { machine }) };
}

async function chooseAuto(): Promise<ChosenDevice> {
  const { device, why } = await autoDevice();
  const say = (d: Device, reason: string): Device => {
    process.stderr.write(`${pc.dim(`device ${d.name} (${reason})`)}\n`);
    return d;
  };
  if (device.kind === 'webgpu') return { compile: onGpu(), open: async () => say(device, why) };
  const { anythingBuilt } = await import('../runtime/node/cc.ts');
  if (!(await anythingBuilt())) return { compile: onCpu(), open: async () => say(device, why) };
  return {
    compile: await nativeOptions(),
    open: async (artifact) => {
      const built = artifact.native ? await autoDevice({ native: artifact.native, webgpu: null }) : { device, why };
      return built.device.kind === 'native' ? say(built.device, built.why) : say(device, why);
    },
  };
}

/** Tells on stderr that C is being compiled. */
export const sayBuild: Progress = ({ task, done, total }) => {
  const out = process.stderr;
  if (out.isTTY) out.write(`\r${pc.dim(`${task}: ${done} of ${total}`)}${done === total ? '\n' : ''}`);
  else if (done === 0) out.write(`${task}, ${total} file${total === 1 ? '' : 's'}\n`);
};
