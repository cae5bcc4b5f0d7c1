/** Weights of a file on a disk, read straight into the memory of the model: no second copy of them exists meanwhile. */
import type { FileTensor } from './formats/checkpoint.ts';
import { heldAsItLies } from './stored.ts';
import type { Tensor } from './tensor.ts';

export interface InPlace {
  /** What has to be read and converted by other means. */
  readonly rest: ReadonlyMap<string, FileTensor>;
  /** Puts all others where they belong, before anything else runs. */
  put(): void;
}

/**
 * Of the tensors in `given` that `own` has by name, those that lie in the file as they lie in memory. They are read twice: now,
 * which shows that the disk gives all of them while the model is still as it was; then `put` copies what the system holds.
 */
export async function inPlace(
  own: ReadonlyMap<string, Tensor>,
  given: ReadonlyMap<string, FileTensor>,
): Promise<InPlace> {
  const direct = new Map<Tensor, Range>();
  const rest = new Map<string, FileTensor>();
  for (const [name, t] of given) {
    const target = own.get(name);
    if (!target) continue;
    if (t.place && target.storage.live && heldAsItLies(t.dtype) === target.dtype)
      direct.set(target, { ...t.place, length: t.nbytes });
    else rest.set(name, t);
  }
  await readThrough([...direct.values()]);
  return {
    rest,
    put() {
      for (const [target, { disk, offset }] of direct) disk.fillNow(offset, target.storage.live!());
    },
  };
}

type Range = NonNullable<FileTensor['place']> & { readonly length: number };

const PART = 1 << 20;
const AT_ONCE = 4;

/** Reads ranges into memory that is used over and over. */
async function readThrough(ranges: readonly Range[]): Promise<void> {
  const parts = partsOf(ranges);
  const worker = async (): Promise<void> => {
    const buffer = new Uint8Array(PART);
    for (const { disk, offset, length } of parts) await disk.fill(offset, buffer.subarray(0, length));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function* partsOf(ranges: readonly Range[]): Generator<Range> {
  for (const { disk, offset, length } of ranges)
    for (let at = 0; at < length; at += PART) yield { disk, offset: offset + at, length: Math.min(PART, length - at) };
}
