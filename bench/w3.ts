/** Workload W3: LeNet with sigmoids, one SGD step on a batch of 256, one thread, loss read on the host every step. */
import { compile } from '../src/compile.ts';
import { diskHost } from '../src/cli/host.ts';
import { tensor, thisMachine, type Tensor } from '../src/runtime/index.ts';
import type { Row } from './run.ts';
import { images, labels, LENET, parameters } from './spec.ts';
import { timed } from './timing.ts';

const ID = 3;
const BATCH = 256;

export async function lenetTrainStep(seconds: number, device: 'cpu' | 'native'): Promise<Row> {
  const machine = await thisMachine();
  const { blocks, diagnostics } = compile(
    { file: 'bench/lenet.net', host: diskHost('.') },
    { targets: device === 'cpu' ? ['wasm'] : ['wasm', 'native'], ...(machine && { machine }) },
  );
  const LeNet = blocks['LeNet'];
  if (!LeNet) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const model = await LeNet.create({ device });
  const start = new Map<string, Tensor>();
  for (const [name, p] of parameters(ID, LENET)) start.set(name, tensor(p.data, { shape: p.shape }));
  model.load_state_dict(start);
  const x = tensor(images(ID, [BATCH, 1, 28, 28]), { shape: [BATCH, 1, 28, 28], device });
  const y = tensor(labels(ID, [BATCH], 10), { device });
  const step = (): number => model.train_step(x, y).loss.readSync()[0]!;
  const losses = [step(), step(), step()];
  const { minMs, medianMs } = timed(seconds, step);
  const note = `losses ${losses.map((l) => l.toFixed(5)).join(' ')}`;
  return {
    workload: 'W3',
    peer: `Netwright ${device === 'cpu' ? 'WebAssembly' : 'native'}, 1 thread`,
    minMs,
    medianMs,
    note,
  };
}
