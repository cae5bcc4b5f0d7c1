/** Which devices there are, why something is not, and the open ones: one object per device and process. */
import type { Artifact } from './artifact.ts';
import { CpuDevice, type Device } from './device.ts';
import { DeviceError } from './errors.ts';
import { hasSimd } from './features.ts';

export interface DeviceInfo {
  /** `cpu`, `native`, `webgpu:0`, ... */
  readonly name: string;
  readonly available: boolean;
  /** It computes on the processor what other devices compute in hardware: right, and slower than `cpu`. */
  readonly software: boolean;
  /** What it is, or why it is not there and what to install. */
  readonly description: string;
  /** What a kernel may use: `shader-f16`, `subgroups`, ... */
  readonly features: readonly string[];
  readonly limits: Readonly<Record<string, number>>;
}

let cpu: CpuDevice | null = null;
const open = new Map<string, Device>();

/** The device that is always there. */
export function cpuDevice(): CpuDevice {
  if (!hasSimd()) throw new DeviceError(`device "cpu": ${NO_SIMD}`);
  return (cpu ??= new CpuDevice());
}

const NO_SIMD = 'this engine has no WebAssembly SIMD';

export async function devices(): Promise<DeviceInfo[]> {
  const [{ webGpuDevices }, { nativeInfo }] = await Promise.all([
    import('./webgpu/discover.ts'),
    import('./native/discover.ts'),
  ]);
  const plain = { software: false, features: [], limits: {} };
  return [
    { ...plain, name: 'cpu', available: hasSimd(), description: hasSimd() ? cpuDevice().description : NO_SIMD },
    await nativeInfo(),
    ...(await webGpuDevices()).map(({ adapter: _, ...info }) => info),
  ];
}

/**
 * Opens a device: `cpu`, `native`, `webgpu` (the first), `webgpu:1`, or `auto` (see `autoDevice`). The same object every time, until
 * it is lost. A device that is absent is an error, never another device.
 */
export async function device(name: string): Promise<Device> {
  if (name === 'auto') return (await autoDevice()).device;
  if (name === 'cpu') return cpuDevice();
  if (name === 'native') return native();
  const full = name === 'webgpu' ? 'webgpu:0' : name;
  const known = openDevice(full);
  if (known) return known;
  const { webGpuDevices } = await import('./webgpu/discover.ts');
  const all = await webGpuDevices();
  const found = all.find((d) => d.name === full);
  if (!found?.adapter) {
    const reason = found ?? (full.startsWith('webgpu:') ? all.find((d) => !d.available) : undefined);
    const names = ['cpu', 'native', ...all.filter((d) => d.available).map((d) => d.name)];
    throw new DeviceError(
      `there is no device "${name}"${reason ? ` (${reason.description})` : ''}; there is ${names.join(', ')}`,
    );
  }
  const { WebGpuDevice } = await import('./webgpu/device.ts');
  const made = await WebGpuDevice.open(found.adapter, found);
  // Somebody else may have opened it meanwhile.
  const first = openDevice(full);
  if (first) {
    made.destroy();
    return first;
  }
  open.set(full, made);
  void made.lost.then(() => {
    if (open.get(full) === made) open.delete(full);
  });
  return made;
}

async function native(): Promise<Device> {
  const { nativeDevice } = await import('./native/discover.ts');
  const found = await nativeDevice();
  if (typeof found === 'string') throw new DeviceError(`there is no device "native" (${found}); there is cpu`);
  open.set('native', found);
  return found;
}

/** A device that is open already: what makes tensors without waiting. The cpu always is. */
export function openDevice(name: string): Device | null {
  if (name === 'cpu') return cpuDevice();
  return open.get(name === 'webgpu' ? 'webgpu:0' : name) ?? null;
}

/**
 * The device that `auto` means here, and why: a GPU in hardware where there is one, else native code that has been built
 * already, else the cpu. With an artifact, only what it was compiled for.
 */
export async function autoDevice(
  artifact?: Pick<Artifact, 'native' | 'webgpu'>,
): Promise<{ readonly device: Device; readonly why: string }> {
  let why = 'it was compiled for nothing else';
  if (!artifact || artifact.webgpu) {
    const { webGpuDevices } = await import('./webgpu/discover.ts');
    const all = await webGpuDevices();
    const gpu = all.find((d) => d.available && !d.software);
    if (gpu) return { device: await device(gpu.name), why: gpu.description };
    const [first] = all;
    why = first?.software
      ? `${first.name} computes in software; a GPU shows once its own driver is installed`
      : 'no GPU is there';
  }
  if (artifact?.native) {
    const { builtDevice } = await import('./native/discover.ts');
    const built = await builtDevice(artifact.native);
    if (built) return { device: await native(), why: `built before: ${built.description}` };
    why += '; native code has not been built for it';
  }
  return { device: cpuDevice(), why };
}
