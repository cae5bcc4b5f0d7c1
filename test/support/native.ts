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

/** In one shared object: a C compiler starts once for all. For a kind of machine, or this one. */
export async function nativeBatch(
  wanted?: Machine,
  threads?: { readonly count: number; readonly sharedFrom: number },
): Promise<Batch> {
  const machine = wanted ?? (await thisMachine()) ?? { lanes: 8, registers: 16, fma: true };
  return new Batch(nativeTarget(machine), async ({ kernels, programs, segments }) => {
    const printed = printUnits(
      { kernels, programs },
      { fma: machine.fma, ...(threads && { sharedFrom: threads.sharedFrom }) },
    );
    const native = { machine, programs, kernels: [], ...printed };
    return createExecutor({ ...bareArtifact('batch'), segments, native }, await device('native'), {
      threads: threads?.count,
    });
  });
}
