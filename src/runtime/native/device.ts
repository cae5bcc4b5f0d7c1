/** The native device: C compiled for this machine, called through koffi, on memory that JavaScript shares with it. */
import { HostDevice } from '../device.ts';
import type { CCompiler } from '../node/cc.ts';
import type { Koffi } from '../node/koffi.ts';
import { NativeMemory, reserve } from './memory.ts';

export class NativeDevice extends HostDevice {
  readonly name = 'native';
  readonly kind = 'native';
  readonly description: string;
  readonly numerics: string;
  readonly memory: NativeMemory;
  readonly compiler: CCompiler;
  readonly koffi: Koffi;
  /** How many threads kernels share their work among, unless a model asks for another number. */
  readonly threads: number;

  constructor(compiler: CCompiler, koffi: Koffi, threads: number) {
    super();
    this.compiler = compiler;
    this.koffi = koffi;
    this.threads = threads;
    this.description = describe(compiler);
    this.numerics = `${compiler.name.replace(' ', '-')}-${compiler.identity.slice(0, 12)}`;
    const buffer = reserve();
    this.memory = new NativeMemory(buffer, Number(koffi.address(buffer)));
  }
}

export function describe({ name, machine }: CCompiler): string {
  return `C for this processor by ${name}: vectors of ${machine.lanes}${machine.fma ? ', fused multiply-add' : ''}${machine.dot ? ', pairs of bf16' : ''}`;
}
