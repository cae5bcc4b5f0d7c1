/** Devices: what there is, why something is not, and the one memory of the cpu. */
import { DeviceError } from './errors.ts';
import { hasRelaxedSimd } from './features.ts';
import { Memory } from './memory.ts';

export interface DeviceInfo {
  /** `cpu`, later `native` and `webgpu:0`. */
  readonly name: string;
  readonly available: boolean;
  /** What it is and what it can do, or why it is not there. */
  readonly description: string;
}

export class Device {
  readonly name: string;
  /** Which WebAssembly the engine runs: `relaxed` has fused multiply-add. Part of the backend's identity. */
  readonly variant: 'simd' | 'relaxed';
  readonly memory: Memory;
  private scratch = { at: 0, bytes: 0 };

  constructor(name: string) {
    this.name = name;
    this.variant = hasRelaxedSimd() ? 'relaxed' : 'simd';
    this.memory = new Memory();
  }

  /**
   * Working memory that all programs of the device share: calls do not overlap. It only grows, when sizes are bound;
   * its address may change then.
   */
  workspace(bytes: number): number {
    if (bytes > this.scratch.bytes) {
      if (this.scratch.bytes > 0) this.memory.release(this.scratch.at, this.scratch.bytes);
      this.scratch = { at: 0, bytes: 0 };
      this.scratch = { at: this.memory.alloc(bytes), bytes };
    }
    return this.scratch.at;
  }

  toString(): string {
    return this.name;
  }
}

/** One per process: tensors of all models can meet. */
let cpu: Device | null = null;

export function devices(): DeviceInfo[] {
  const simd = hasSimd();
  const relaxed = hasRelaxedSimd();
  return [
    {
      name: 'cpu',
      available: simd,
      description: simd
        ? `WebAssembly SIMD${relaxed ? ' with fused multiply-add (relaxed SIMD)' : ', without relaxed SIMD'}`
        : 'this engine has no WebAssembly SIMD',
    },
  ];
}

/** `auto` is the fastest device there is: today the cpu. A device that is absent is an error, never another device. */
export function device(name: string): Device {
  if (name !== 'cpu' && name !== 'auto') {
    const names = devices().map((d) => d.name);
    throw new DeviceError(`there is no device "${name}"; there is ${names.join(', ')}`);
  }
  if (!hasSimd()) throw new DeviceError(`device "${name}": ${devices()[0]!.description}`);
  return (cpu ??= new Device('cpu'));
}

/** (module (func (drop (i32x4.splat (i32.const 0))))) */
// prettier-ignore
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 9, 1, 7, 0, 65, 0, 253, 17, 26, 11];
const hasSimd = (): boolean => WebAssembly.validate(new Uint8Array(SIMD));
