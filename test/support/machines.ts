/** Ways to run a network behind one face: the float64 interpreter of its IR, and the compiled kernels of a device through the public API. */
import { revectorized } from '../../src/cli/revectorize.ts';
import { compile, type TargetName } from '../../src/compile.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { Tensor, tensor, thisMachine, type Model, type ModelClass, type Result } from '../../src/runtime/index.ts';
import { elaborated } from './elaborated.ts';
import { Interpreted } from './interpreted.ts';
import type { Reference } from './networks.ts';
import type { Stored } from './safetensors.ts';

type Args = ReadonlyMap<string, Stored>;
type Numbers = ArrayLike<number>;

export interface Machine {
  /** Keys of the state dict, in order. */
  readonly names: readonly string[];
  /** Loads the reference's parameters, buffers and constants. */
  load(r: Reference): Promise<void>;
  read(name: string): Promise<Numbers>;
  grad(name: string): Promise<Numbers>;
  /** Leaves of the result, in order. */
  forward(args: Args, training: boolean): Promise<Numbers[]>;
  /** The loss; fills the gradients. */
  backward(args: Args): Promise<Numbers>;
  /** d loss / d argument, where the machine can tell. */
  inputGrad(name: string, args: Args): Promise<Numbers | null>;
  /** The loss before the update. */
  train_step(args: Args): Promise<Numbers>;
}

export type Maker = (source: string) => Promise<Machine>;

export const interpreted: Maker = async (source) => {
  const programs = elaborated(source);
  const model = new Interpreted(programs);
  return {
    names: programs.block.stateDict.map((e) => e.name),
    load: async (r) => {
      for (const [name, x] of [...r.params, ...r.constants]) model.write(name, x.data);
    },
    read: async (name) => model.read(name),
    grad: async (name) => model.grad(name),
    forward: async (args, training) => {
      const name = training && model.has('forward.training') ? 'forward.training' : 'forward';
      return [...model.run(name, args).values()].map((x) => x.data);
    },
    backward: async (args) => model.run('backward', args).get('loss')!.data,
    inputGrad: async (name, args) => model.inputGrad(name, args),
    train_step: async (args) => model.run('train_step', args).get('loss')!.data,
  };
};

const classes = new Map<string, ModelClass>();
const machine = await thisMachine();

/** Compiling is the slow part, and several tests load the same source. */
export function classOf(source: string, targets: readonly TargetName[], sharedFrom?: number): ModelClass {
  const key = `${targets.join()} ${sharedFrom}\n${source}`;
  let made = classes.get(key);
  if (!made) {
    const threads = sharedFrom === undefined ? {} : { sharedFrom };
    const pairedVectors = revectorized();
    const { blocks, diagnostics } = compile(source, {
      verify: true,
      targets,
      pairedVectors,
      ...(machine && { machine }),
      ...threads,
    });
    made = Object.values(blocks)[0];
    if (!made) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join('\n'));
    classes.set(key, made);
  }
  return made;
}

/** On a device; its own memory for arguments there. Several threads share whatever they can. */
const compiledFor =
  (targets: readonly TargetName[], device: string, threads = 1): Maker =>
  async (source) => {
    const sharedFrom = threads > 1 ? 0 : undefined;
    const model: Model = await classOf(source, targets, sharedFrom).create({ device, threads });
    if (device === 'cpu' && threads > 1) await cpuDevice().threads().ready();
    const named = new Map([...model.named_parameters(), ...model.named_buffers(), ...model.named_constants()]);
    const argsOf = (method: string, args: Args): Promise<Tensor[]> => {
      const entry = model.artifact.methods.find((m) => m.name === method)!;
      return Promise.all(
        entry.args.map((a) => {
          const x = args.get(a.name)!;
          const dtype = x.dtype === 'I64' ? 'i32' : 'f32';
          return tensor(Array.from(x.data), { dtype, shape: x.shape }).to(model.device);
        }),
      );
    };
    const loss = model.artifact.train?.loss ?? 'loss';
    return {
      names: [...model.state_dict().keys()],
      load: async (r) => {
        await model.load(`${r.folder}/params.safetensors`);
        for (const [name, x] of r.constants) named.get(name)!.data.copy_(x.data);
      },
      read: (name) => model.state_dict().get(name)!.read(),
      grad: (name) => named.get(name)!.grad!.read(),
      forward: async (args, training) => leaves(model.call('forward', await argsOf('forward', args), { training })),
      backward: async (args) => model.backward(...(await argsOf(loss, args))).loss.read(),
      inputGrad: async () => null,
      train_step: async (args) => model.train_step(...(await argsOf(loss, args))).loss.read(),
    };
  };

export const compiled = compiledFor(['wasm'], 'cpu');
export const compiledThreads = compiledFor(['wasm'], 'cpu', 2);
export const compiledC = compiledFor(['wasm', 'native'], 'native');
export const onWebGpu = compiledFor(['wasm', 'webgpu'], 'webgpu');

async function leaves(r: Result): Promise<Numbers[]> {
  if (r instanceof Tensor) return [await r.read()];
  return (await Promise.all(Object.values(r).map(leaves))).flat();
}
