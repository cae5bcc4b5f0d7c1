/** Compiles the C of blocks for this machine ahead of their use, for commands that were asked to. */
import pc from 'picocolors';
import { device, type Artifact } from '../runtime/index.ts';
import { sayBuild } from './device.ts';

/** Compiles the C of the blocks; says so where the cache has it already. */
export async function buildNative(artifacts: readonly Artifact[]): Promise<void> {
  const { NativeDevice } = await import('../runtime/native/device.ts');
  const { buildObject } = await import('../runtime/node/cc.ts');
  const on = await device('native');
  if (!(on instanceof NativeDevice)) return;
  for (const a of artifacts) {
    if (!a.native) continue;
    const path = await buildObject(a.native, on.compiler, sayBuild);
    process.stdout.write(`${pc.green('compiled')} ${a.name} for ${on.description}: ${path}\n`);
  }
}
