/** Native code in tests. */
import test from 'ava';
import { printUnits } from '../../src/codegen/c/program.ts';
import { nativeTarget } from '../../src/codegen/targets.ts';
import { createExecutor } from '../../src/runtime/backend.ts';
import { device, devices, thisMachine, type Machine } from '../../src/runtime/index.ts';
import { absent } from './absent.ts';
import { Batch } from './batch.ts';
import { bareArtifact } from './run-linked.ts';

/** `test.serial` where there is a C compiler; a test that says why elsewhere. */
export async function onNative(): Promise<typeof test.serial | typeof test.skip> {
  const native = (await devices()).find((d) => d.name === 'native')!;
  if (native.available) return test.serial;
  test(`skipped: ${native.description}`, absent);
  return test.skip;
}

/**
 * In one shared object: a C compiler starts once for all. For a kind of machine, or this one. With a number of threads
 * kernels share whatever they can.
 */
export async function nativeBatch(wanted?: Machine, threads?: number): Promise<Batch> {
  const machine = wanted ?? (await thisMachine()) ?? { lanes: 8, registers: 16, fma: true };
  const options = { fma: machine.fma, ...(threads !== undefined && { sharedFrom: 0 }) };
  return new Batch(nativeTarget(machine), async ({ kernels, programs, segments }) => {
    const native = { machine, programs, prepared: [], kernels: [], ...printUnits({ kernels, programs }, options) };
    return createExecutor({ ...bareArtifact('batch'), segments, native }, await device('native'), { threads });
  });
}
