/** Reads or writes a large file once, in a process of its own, and prints how many milliseconds that took: see `files.ts`. */
import { convertCommand } from '../src/cli/commands/convert.ts';
import { compile } from '../src/compile.ts';
import { load, save, type Model } from '../src/runtime/index.ts';

/** Side of a matrix of 64 MiB. */
const SIDE = 4096;
const NET = `
import { Linear } from "std/nn"
export block Net(n: int = 1) {
  layers = [for i in 0..n: Linear(${SIDE}, ${SIDE}, bias: false)]
  forward(x: f32[B, ${SIDE}]) -> f32[B, ${SIDE}] {
    for layer in layers { x = layer(x) }
    x
  }
}`;

interface FileWork {
  readonly title: string;
  readonly kind: 'read' | 'write';
  /** Does what is not timed, and gives what is. */
  prepare(file: string, copy: string, model: () => Promise<Model>): Promise<() => Promise<unknown>>;
}

export const FILE_WORKS: Readonly<Record<string, FileWork>> = {
  load: { title: 'load(path)', kind: 'read', prepare: async (file) => () => load(file) },
  'model.load': {
    title: 'model.load(path) on cpu',
    kind: 'read',
    async prepare(file, _, model) {
      const m = await model();
      return () => m.load(file);
    },
  },
  save: {
    title: 'save(path, tensors)',
    kind: 'write',
    async prepare(file, copy) {
      const tensors = await load(file);
      return () => save(copy, tensors);
    },
  },
  'model.save': {
    title: 'model.save(path) on cpu',
    kind: 'write',
    async prepare(_, copy, model) {
      const m = await model();
      return () => m.save(copy);
    },
  },
  convert: {
    title: 'netwright convert (reads, writes)',
    kind: 'write',
    prepare: async (file, copy) => () => convertCommand().parseAsync([file, copy], { from: 'user' }),
  },
};

/** `make` writes `file`, of about `bytes` bytes; any other work is one of those above. */
async function main([name = '', file = '', copy = '', bytes = '1e9']: readonly string[]): Promise<void> {
  const model = async (): Promise<Model> => {
    const { blocks, diagnostics } = compile(NET, { hyper: { n: Math.ceil(Number(bytes) / (4 * SIDE * SIDE)) } });
    const block = blocks['Net'];
    if (!block) throw new Error(diagnostics.map((d) => d.message).join('\n'));
    return block.create();
  };
  if (name === 'make') return (await model()).save(file);
  const run = await FILE_WORKS[name]!.prepare(file, copy, model);
  const started = performance.now();
  await run();
  console.log(performance.now() - started);
}

if (import.meta.main) await main(process.argv.slice(2));
