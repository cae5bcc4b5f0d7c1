/** Finds WebGPU: the browser's, or Dawn in Node through the optional package `webgpu`; and says why there is none. */
import type { DeviceInfo } from '../devices.ts';

export interface FoundDevice extends DeviceInfo {
  readonly adapter: GPUAdapter | null;
}

/** Every adapter, the fastest first; or one entry that says what is missing. */
export async function webGpuDevices(): Promise<FoundDevice[]> {
  const source = await webGpu();
  if (typeof source === 'string') return [absent(source)];
  const found = new Map<string, GPUAdapter>();
  for (const options of [
    { powerPreference: 'high-performance' },
    { powerPreference: 'low-power' },
    { forceFallbackAdapter: true },
  ] as const) {
    const adapter = await source.requestAdapter(options);
    if (adapter) found.set(identity(adapter.info), found.get(identity(adapter.info)) ?? adapter);
  }
  if (found.size === 0) return [absent(await noAdapter())];
  return [...found.values()].map((adapter, i) => ({
    name: `webgpu:${i}`,
    available: true,
    software: isSoftware(adapter.info),
    description: describe(adapter.info),
    features: USED_FEATURES.filter((f) => adapter.features.has(f)),
    limits: Object.fromEntries(USED_LIMITS.map((l) => [l, adapter.limits[l] ?? 0])),
    adapter,
  }));
}

/** Features that a device is opened with, where its adapter has them. */
export const USED_FEATURES = ['shader-f16', 'subgroups', 'timestamp-query'] as const;
/** Limits that a device is opened with at the adapter's best. */
export const USED_LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupSizeY',
  'maxComputeWorkgroupSizeZ',
  'minUniformBufferOffsetAlignment',
] as const;

function absent(description: string): FoundDevice {
  return { name: 'webgpu:0', available: false, software: false, description, features: [], limits: {}, adapter: null };
}

/** The package `webgpu`. */
interface Dawn {
  create(options: readonly string[]): GPU;
}

/** Dawn's object must stay reachable for the life of the process: when it is collected the process dies. */
let kept: GPU | null = null;

/** WebGPU itself, or why it is not there. */
async function webGpu(): Promise<GPU | string> {
  if (kept) return kept;
  // The platform's own comes first, wherever there is one.
  const own = (globalThis.navigator as Navigator | undefined)?.gpu;
  if (own) return (kept = own);
  if (!isNode()) {
    return 'this browser has no WebGPU, or the page is not served over https';
  }
  let dawn: Dawn;
  try {
    const name = 'webgpu'; // a variable: bundlers must not look for an optional package
    dawn = (await import(name)) as Dawn;
  } catch {
    return 'the package "webgpu" is not installed: npm install webgpu';
  }
  // Profiles are of no use when they are rounded to a tenth of a millisecond.
  return (kept = dawn.create(['disable-dawn-features=timestamp_quantization']));
}

async function noAdapter(): Promise<string> {
  if (!isNode()) return 'this browser gives no WebGPU adapter: its GPU is blocked, or hardware acceleration is off';
  const { missingDriver } = await import('../node/vulkan.ts');
  return missingDriver();
}

const isNode = (): boolean => typeof process !== 'undefined' && process.versions?.node !== undefined;

const identity = (i: GPUAdapterInfo): string => [i.vendor, i.architecture, i.device, i.description].join('/');

const isSoftware = (i: GPUAdapterInfo): boolean =>
  i.isFallbackAdapter ||
  /llvmpipe|lavapipe|swiftshader|basic render/i.test(`${i.architecture} ${i.device} ${i.description}`);

function describe(i: GPUAdapterInfo): string {
  // Browsers give no more than the maker and the family.
  const name = i.device || i.description;
  const maker = [i.vendor, i.architecture].filter((s) => s !== '').join(' ');
  const text = name === '' ? maker || 'a GPU that does not give its name' : maker === '' ? name : `${name} (${maker})`;
  return `${text}${isSoftware(i) ? ', in software' : ''}`;
}
