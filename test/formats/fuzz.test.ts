/**
 * Damaged files of every format: a reader gives tensors or a CheckpointError and nothing else, and what it gives is inside
 * the file. NETWRIGHT_FUZZ_RUNS says how many files for each reader (20,000 unless it is set; .ci/run takes 200,000),
 * NETWRIGHT_FUZZ_SEED which ones.
 */
import test from 'ava';
import { CheckpointError } from '../../src/runtime/errors.ts';
import { readIndex } from '../../src/runtime/formats/sharded.ts';
import { bytesOf, goodFiles, read } from './corpus.ts';
import { damage, damageHeader, damageMember, damageStart, Random } from './mutate.ts';

const RUNS = Number(process.env['NETWRIGHT_FUZZ_RUNS'] ?? 20_000);
const SEED = Number(process.env['NETWRIGHT_FUZZ_SEED'] ?? 20260601);
/** Larger files only make the runs slower. */
const SMALL = 16_384;

const filesOf = (...formats: string[]): Uint8Array[] =>
  goodFiles(...formats)
    .map((f) => bytesOf(`good/${f.file}`))
    .filter((b) => b.length <= SMALL);

type Damage = (file: Uint8Array, other: Uint8Array, r: Random) => Uint8Array | Promise<Uint8Array>;

const READERS: readonly [name: string, files: Uint8Array[], damage: Damage][] = [
  ['archives of PyTorch', filesOf('torch-zip'), damage],
  ['pickles of PyTorch', filesOf('torch-zip'), damageMember],
  ['the old streams of PyTorch', filesOf('torch-legacy'), damage],
  ['safetensors', filesOf('safetensors'), damage],
  ['headers of safetensors', filesOf('safetensors'), damageHeader],
  ['NumPy arrays', filesOf('npy'), damage],
  ['NumPy archives', filesOf('npz'), damage],
  ['arrays in NumPy archives', filesOf('npz'), damageMember],
  ['GGUF', filesOf('gguf'), damageStart],
];

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').slice(0, 4000);

for (const [name, files, how] of READERS) {
  // One after the other: the runner takes minutes without news for a hang.
  test.serial(`${name}: damage is told, never a crash (seed ${SEED})`, async (t) => {
    t.timeout(1_800_000);
    let accepted = 0;
    let slowest = { seed: 0, ms: 0 };
    for (let run = 0; run < RUNS; run++) {
      const r = new Random(SEED + run);
      const bytes = await how(r.of(files), r.of(files), r);
      const started = performance.now();
      try {
        const file = await read(bytes, 'f');
        for (const [tensor, x] of file.tensors) {
          const { length } = await x.bytes();
          if (length !== x.nbytes) t.fail(`seed ${SEED + run}: ${tensor} is ${length} of ${x.nbytes} bytes`);
        }
        accepted++;
      } catch (e) {
        if (!(e instanceof CheckpointError)) {
          t.fail(`seed ${SEED + run}: ${e instanceof Error ? e.stack : String(e)}\n${hex(bytes)}`);
          return;
        }
      }
      const ms = performance.now() - started;
      if (ms > slowest.ms) slowest = { seed: SEED + run, ms };
    }
    t.log(
      `${accepted} of ${RUNS} were still readable; the slowest took ${slowest.ms.toFixed(1)} ms (seed ${slowest.seed})`,
    );
    t.pass();
  });
}

test(`an index of shards: damage is told, never a crash (seed ${SEED})`, (t) => {
  const file = bytesOf('good/sharded_tied/model.safetensors.index.json');
  for (let run = 0; run < RUNS; run++) {
    const bytes = damage(file, file, new Random(SEED + run));
    try {
      for (const name of readIndex(bytes, 'f').shards) t.false(/[/\\:]|\.\./.test(name));
    } catch (e) {
      if (!(e instanceof CheckpointError)) t.fail(`seed ${SEED + run}: ${String(e)}\n${hex(bytes)}`);
    }
  }
  t.is(({} as Record<string, unknown>)['polluted'], undefined);
});
