/** Finds what the native device stands on, a C compiler and the optional package `koffi`, and says what is missing. */
import type { Machine, NativeCode } from '../artifact.ts';
import type { DeviceInfo } from '../devices.ts';
import { describe, NativeDevice } from './device.ts';

let opened: NativeDevice | null = null;

/** The native device, or why there is none. */
export async function nativeDevice(): Promise<NativeDevice | string> {
  if (opened) return opened;
  if (typeof process === 'undefined' || process.versions?.node === undefined)
    return 'a browser has no C compiler: native code runs in Node';
  const [{ findCompiler }, { loadKoffi }, { cores }] = await Promise.all([
    import('../node/cc.ts'),
    import('../node/koffi.ts'),
    import('../node/cores.ts'),
  ]);
  const [koffi, compiler] = await Promise.all([loadKoffi(), findCompiler()]);
  if (typeof koffi === 'string') return koffi;
  if (typeof compiler === 'string') return compiler;
  return (opened ??= new NativeDevice(compiler, koffi, cores()));
}

/** It has been opened already. */
export const openNative = (): NativeDevice | null => opened;

/** For `compile`'s option `machine`: what this computer's compiler makes code for; null where there is none. */
export async function thisMachine(): Promise<Machine | null> {
  const found = await nativeDevice();
  return typeof found === 'string' ? null : found.compiler.machine;
}

export async function nativeInfo(): Promise<DeviceInfo> {
  const found = await nativeDevice();
  const available = typeof found !== 'string';
  const description = available ? describe(found.compiler) : found;
  return { name: 'native', available, software: false, description, features: [], limits: {} };
}

/** The device, where an object for this code has been built already and is there. */
export async function builtDevice(code: NativeCode): Promise<NativeDevice | null> {
  const found = await nativeDevice();
  if (typeof found === 'string') return null;
  const { isBuilt } = await import('../node/cc.ts');
  return (await isBuilt(code, found.compiler)) ? found : null;
}
