/** Weights that `--weights` names, with a word about what of the file they are. */
import pc from 'picocolors';
import type { KeyReport, Model } from '../../runtime/index.ts';
import { isRun, loadWeights, openWeights } from '../../runtime/weights.ts';

export async function readWeights(model: Model, path: string, strict: boolean): Promise<KeyReport> {
  const file = await openWeights(path);
  try {
    if (isRun(file)) {
      process.stderr.write(
        `${pc.yellow('note')} ${path} is a training run: its weights are read, not its averages, optimizer or place (\`netwright train --resume ${path}\` goes on from there)\n`,
      );
    }
    return await loadWeights(model, file, { strict });
  } finally {
    await file.close();
  }
}
