/**
 * Measures Netwright on one workload in a process of its own and prints one JSON line:
 * `node bench/measure.ts W3 --device cpu --threads 1 --seconds 2.5`. The peers' scripts print the same fields.
 */
import { parseArgs } from 'node:util';
import { chooseDevice } from '../src/cli/device.ts';
import { diskHost } from '../src/cli/host.ts';
import { compile } from '../src/compile.ts';
import { cpuDevice } from '../src/runtime/devices.ts';
import { tensor, type Model, type Tensor } from '../src/runtime/index.ts';
import { plannedBytes } from '../src/runtime/plan.ts';
import { dataOf, uniform, WORKLOADS, type Workload } from './spec.ts';
import { timed, type Times } from './timing.ts';

/** What every implementation reports of a workload. */
export interface Measured extends Times {
  readonly firstCallMs: number;
  /** First losses or chosen logits, to be compared with the reference. */
  readonly check: readonly number[];
  readonly peakRssMb: number;
  /** Memory that one call needs for tensors beside the parameters, the optimizer's state and the inputs; null where it is not known. */
  readonly workMb: number | null;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: 'string', default: 'cpu' },
    threads: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '2.5' },
  },
});
const seconds = Number(values.seconds);

async function create(file: string, block: string, hyper: Readonly<Record<string, number>>): Promise<Model> {
  const chosen = await chooseDevice(values.device);
  const source = { file: `bench/networks/${file}.net`, host: diskHost('.') };
  const { blocks, diagnostics, artifacts } = compile(source, { hyper, ...chosen.compile });
  const found = blocks[block];
  if (!found) throw new Error(diagnostics.map((d) => d.message).join('\n'));
  const device = await chosen.open(artifacts[0]!);
  const model = await found.create({ device, threads: Number(values.threads) });
  if (device.kind === 'cpu') await cpuDevice().threads().ready();
  return model;
}

async function workload(w: Workload): Promise<Measured> {
  const model = await create(w.file, w.block, w.hyper);
  const { params, x, y } = dataOf(w);
  const given = new Map<string, Tensor>([...params].map(([name, p]) => [name, tensor(p.data, { shape: p.shape })]));
  model.load_state_dict(given, { strict: false });
  const { device } = model;
  const input = tensor(x as ArrayLike<number>, {
    device,
    shape: w.input.shape,
    dtype: w.input.kind === 'tokens' ? 'i32' : 'f32',
  });
  const check: number[] = [];
  let call: () => unknown;
  const started = performance.now();
  if (w.target && y) {
    const target = tensor(y, { shape: w.target.shape, device });
    const step = (): number => model.train_step(input, target).loss.readSync()[0]!;
    call = step;
    check.push(step());
  } else {
    // From a host array to a host array, as the peers are timed.
    call = () => {
      input.copy_(x);
      return (model.call('forward', [input]) as Tensor).readSync();
    };
    const logits = call() as Float32Array;
    check.push(logits[0]!, logits[1]!, logits.at(-1)!);
  }
  const firstCallMs = performance.now() - started;
  if (w.target) for (let i = 1; i < 6; i++) check.push(call() as number);
  return report(timed(seconds, call), firstCallMs, check, planned(model, w));
}

async function product(n: number): Promise<Measured> {
  const model = await create('gemm', 'Product', { n });
  const shape = [n, n];
  model.load_state_dict({ b: tensor(uniform(shape, 101, 1), { shape }) });
  const a = tensor(uniform(shape, 100, 1), { shape, device: model.device });
  const call = (): Tensor => model.call('forward', [a]) as Tensor;
  const started = performance.now();
  const c = call().readSync();
  const firstCallMs = performance.now() - started;
  return report(timed(seconds, call), firstCallMs, [c[0]!, c.at(-1)!]);
}

const report = (
  times: Times,
  firstCallMs: number,
  check: readonly number[],
  workMb: number | null = null,
): Measured => ({
  ...times,
  firstCallMs,
  check,
  peakRssMb: process.resourceUsage().maxRSS / 1024,
  workMb,
});

/** What was planned for a program, its sizes bound by the shape of the first argument. */
function planned(model: Model, w: Workload): number | null {
  const { artifact } = model;
  const program = artifact.programs.find((p) => p.name === (w.target ? 'train_step' : 'forward'));
  const spec = artifact.methods.find((m) => m.name === 'forward')?.args[0]?.spec;
  if (!program || spec?.kind !== 'tensor') return null;
  const sizes = spec.shape.flatMap((s, i): [string, number][] =>
    typeof s === 'string' ? [[s, w.input.shape[i]!]] : [],
  );
  const bytes = plannedBytes(program, new Map(sizes));
  return bytes === null ? null : bytes / 1e6;
}

const name = positionals[0] ?? '';
const size = /^W1_(\d+)$/.exec(name)?.[1];
const w = WORKLOADS[name];
if (size === undefined && !w) throw new Error(`no workload ${name}`);
console.log(JSON.stringify(w ? await workload(w) : await product(Number(size))));
