/** What a training step needs for tensors, beside PyTorch: the aim is 0.8 times the peak of its allocator. */
import test from 'ava';
import { diskHost } from '../../src/cli/host.ts';
import { compile } from '../../src/index.ts';
import { THREADS } from '../../src/runtime/artifact.ts';
import { plannedBytes } from '../../src/runtime/plan.ts';
import { WORKLOADS } from '../../bench/spec.ts';

/** Megabytes of PyTorch 2.13's allocator at its peak in one eager step on the CPU (`tensors MB` of `npm run bench`). */
const PYTORCH: Readonly<Record<string, number>> = { W3: 17.9, W4t: 20.8, W5: 18.5, W6: 13.4 };

for (const [name, peak] of Object.entries(PYTORCH))
  test(`${name}: at most 0.8 of PyTorch's peak`, (t) => {
    const w = WORKLOADS[name]!;
    const { artifacts } = compile(
      { file: `bench/networks/${w.file}.net`, host: diskHost('.') },
      { hyper: w.hyper, block: w.block, targets: ['native'] },
    );
    const [artifact] = artifacts;
    const spec = artifact!.methods.find((m) => m.name === 'forward')!.args[0]!.spec;
    const shape = spec.kind === 'tensor' ? spec.shape : [];
    const sizes = new Map(
      shape.flatMap((s, i): [string, number][] => (typeof s === 'string' ? [[s, w.input.shape[i]!]] : [])),
    ).set(THREADS, 1);
    for (const programs of [artifact!.programs, artifact!.native!.programs]) {
      const bytes = plannedBytes(
        programs.find((p) => p.name === 'train_step')!,
        sizes,
      )!;
      t.true(bytes <= 0.8e6 * peak, `${(bytes / 1e6).toFixed(2)} MB of ${peak} MB`);
    }
  });
