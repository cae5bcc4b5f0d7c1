/** `save` and `load` of tensors alone; what they need is loaded when one of them is called. */
import type { OpenOptions, ReadFrom } from './sources/open.ts';
import type { Saved } from './values.ts';

/**
 * Writes a tensor, or lists and dictionaries of them to any depth, whole or not at all. `.pt` and `.pth` are what
 * `torch.load(path, weights_only=True)` reads as the same nesting; anything else is safetensors (`.npy`, `.npz`: NumPy, without nesting).
 * Throws FileError where the file cannot be written, UsageError for what cannot be saved. Node only.
 */
export async function save(path: string, value: Saved): Promise<void> {
  const [{ savedNow, savedPieces }, { writeFileAtomic }] = await Promise.all([
    import('./values.ts'),
    import('./node/files.ts'),
  ]);
  await writeFileAtomic(path, savedNow(path, value) ?? (await savedPieces(path, value)));
}

/**
 * Reads back what `save` wrote, or PyTorch: the same nesting. Of files that tell none (safetensors of others, NumPy, GGUF), the
 * tensors by name. `from` is a path, an address, a Blob or bytes: see `openWeights`.
 */
export async function load(from: ReadFrom, options: OpenOptions = {}): Promise<Saved> {
  const values = await import('./values.ts');
  return values.load(from, options);
}
