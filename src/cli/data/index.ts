/** Finds out what a data argument is (built-in name, file, folder, list of files) and reads it into memory. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { readCsv } from './csv.ts';
import { DataError, dataSet, type Column, type DataSet } from './dataset.ts';
import { readIdx } from './idx.ts';
import { readMnist } from './mnist.ts';
import { readTensorColumns } from './tensors.ts';
import { readText } from './text.ts';

export interface DataOptions {
  /** Column of a CSV that is the target. */
  readonly target: string | null;
  /** Bytes per sample of a text. */
  readonly window: number;
  /** Where packages are looked for. */
  readonly cwd: string;
}

const FORMATS =
  'the built-in "mnist", or files: .npz .npy .safetensors .pt .csv .txt, IDX (also .gz), or a folder with MNIST-style IDX files';

const isBuiltIn = (what: string): boolean => what === 'mnist' && !existsSync(what);

/** The paths that a data argument names; none where it is built in. */
export const dataFiles = (what: string): string[] => (isBuiltIn(what) ? [] : what.split(',').map((p) => p.trim()));

/** `what`: `mnist`, a path, or several paths joined by commas (their columns are put side by side). */
export async function loadData(what: string, options: DataOptions): Promise<DataSet> {
  if (isBuiltIn(what)) return readMnist(options.cwd);
  const paths = dataFiles(what);
  for (const p of paths)
    if (!existsSync(p)) throw new DataError(p, 'there is no such file or folder', `a data set is ${FORMATS}`);
  if (paths.length === 1 && statSync(paths[0]!).isDirectory()) return readIdxFolder(paths[0]!);
  const columns: Column[] = [];
  for (const [i, p] of paths.entries())
    columns.push(...(await readFile(p, options, paths.length > 1 ? (['x', 'y'][i] ?? `column${i}`) : null)));
  return dataSet(what, columns);
}

async function readFile(path: string, options: DataOptions, name: string | null): Promise<Column[]> {
  if (statSync(path).isDirectory()) throw new DataError(path, 'it is a folder, and a list of files was given');
  const bytes = readFileSync(path);
  const base = basename(path).replace(/\.gz$/, '');
  const own = name ?? base.slice(0, base.length - extname(base).length);
  switch (extname(base)) {
    case '.npz':
    case '.npy':
    case '.safetensors':
    case '.pt':
    case '.pth':
      return readTensorColumns(bytes, own, path);
    case '.txt':
      return readText(bytes, options.window, path);
    case '.csv':
      return readCsv(bytes.toString('utf8'), path, options.target);
    default:
      if (/idx\d-ubyte|\.idx/.test(base) || (bytes[0] === 0 && bytes[1] === 0) || path.endsWith('.gz'))
        return [readIdx(bytes, own, path)];
      throw new DataError(path, 'this is no kind of data that is known here', `a data set is ${FORMATS}`);
  }
}

/** `train-images-idx3-ubyte[.gz]` and its three companions, as MNIST and Fashion-MNIST are laid out. */
function readIdxFolder(folder: string): DataSet {
  const names = readdirSync(folder);
  const part = (prefix: string): Column[] | null => {
    const find = (kind: string): string | undefined => names.find((n) => n.startsWith(`${prefix}-${kind}-idx`));
    const images = find('images');
    const labels = find('labels');
    if (!images || !labels) return null;
    const x = readIdx(readFileSync(join(folder, images)), 'x', join(folder, images));
    const y = readIdx(readFileSync(join(folder, labels)), 'y', join(folder, labels));
    // Images are [N, H, W]: networks take [N, 1, H, W].
    return [x.shape.length === 3 ? { ...x, shape: [x.shape[0]!, 1, x.shape[1]!, x.shape[2]!] } : x, y];
  };
  const train = part('train');
  if (!train)
    throw new DataError(
      folder,
      'it has no train-images-idx3-ubyte and train-labels-idx1-ubyte (also .gz)',
      `a data set is ${FORMATS}`,
    );
  const test = part('t10k');
  return dataSet(folder, train, test ? dataSet(folder, test) : null);
}
