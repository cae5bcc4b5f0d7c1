/** What every device is to the rest of the runtime, and those that compute on the processor: one memory that all models share. */
import type { Elem } from './artifact.ts';
import { hasRelaxedSimd, numericFeatures } from './features.ts';
import { UsageError } from './errors.ts';
import { WasmMemory, type Memory } from './memory.ts';
import { Profile } from './profile.ts';
import { HostStorage, type Storage } from './storage.ts';
import { Threads } from './threads.ts';

export interface Device {
  /** `cpu`, `webgpu:0`, ... */
  readonly name: string;
  readonly kind: 'cpu' | 'native' | 'webgpu';
  /** What it is, for people. */
  readonly description: string;
  /** Names what the last bit of a result depends on: part of the backend's identity. */
  readonly numerics: string;
  /** Memory for a tensor with those bytes. */
  store(bytes: Uint8Array, elem: Elem): Storage;
  /**
   * Times every kernel from now on, until the profile is stopped. Throws DeviceError where the device has no clock for that,
   * UsageError where it is being profiled already.
   */
  profile(): Profile;
}

/** A device that computes in the host's memory. */
export abstract class HostDevice implements Device {
  abstract readonly name: string;
  abstract readonly kind: Device['kind'];
  abstract readonly description: string;
  abstract readonly numerics: string;
  abstract readonly memory: Memory;
  /** Set while somebody wants to know where time goes. */
  profiling: Profile | null = null;
  private scratch = { at: 0, bytes: 0 };

  store(bytes: Uint8Array): Storage {
    return new HostStorage(bytes);
  }

  profile(): Profile {
    if (this.profiling) throw new UsageError(`${this.name} is being profiled already: stop that profile first`);
    return (this.profiling = new Profile(this.name, "the host's clock around each kernel", async () => {
      this.profiling = null;
    }));
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

const ONE_THREAD =
  'one thread: memory can be shared only in a page served with the headers Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp';

/** WebAssembly. */
export class CpuDevice extends HostDevice {
  readonly name: string;
  readonly kind = 'cpu';
  /** Which WebAssembly the engine runs: `relaxed` has fused multiply-add. */
  readonly variant: 'simd' | 'relaxed';
  readonly numerics: string;
  readonly description: string;
  readonly memory = new WasmMemory();
  private workers: Threads | null = null;

  constructor(name = 'cpu') {
    super();
    this.name = name;
    this.variant = hasRelaxedSimd() ? 'relaxed' : 'simd';
    this.numerics = numericFeatures(this.variant);
    const simd = this.variant === 'relaxed' ? ' with fused multiply-add (relaxed SIMD)' : ', without relaxed SIMD';
    this.description = `WebAssembly SIMD${simd}, ${this.memory.shared ? 'threads' : ONE_THREAD}`;
  }

  /** Where memory is shared. */
  threads(): Threads {
    return (this.workers ??= new Threads(this.memory));
  }
}
