/** Two ways to run a network behind one face: the float64 interpreter of its IR, and the compiled kernels through the public API. */
import { compile } from '../../src/compile.ts';
import { Tensor, tensor, type Model, type ModelClass, type Result } from '../../src/runtime/index.ts';
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
  read(name: string): Numbers;
  grad(name: string): Numbers;
  /** Leaves of the result, in order. */
  forward(args: Args, training: boolean): Numbers[];
  /** The loss; fills the gradients. */
  backward(args: Args): Numbers;
  /** d loss / d argument, where the machine can tell. */
  inputGrad(name: string, args: Args): Numbers | null;
  /** The loss before the update. */
  train_step(args: Args): Numbers;
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
    read: (name) => model.read(name),
    grad: (name) => model.grad(name),
    forward: (args, training) => {
      const name = training && model.has('forward.training') ? 'forward.training' : 'forward';
      return [...model.run(name, args).values()].map((x) => x.data);
    },
    backward: (args) => model.run('backward', args).get('loss')!.data,
    inputGrad: (name, args) => model.inputGrad(name, args),
    train_step: (args) => model.run('train_step', args).get('loss')!.data,
  };
};

const classes = new Map<string, ModelClass>();

/** Compiling is the slow part, and several tests load the same source. */
function classOf(source: string): ModelClass {
  let made = classes.get(source);
  if (!made) {
    const { blocks, diagnostics } = compile(source, { verify: true });
    made = Object.values(blocks)[0];
    if (!made) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join('\n'));
    classes.set(source, made);
  }
  return made;
}

export const compiled: Maker = async (source) => {
  const model: Model = await classOf(source).create();
  const named = new Map([...model.named_parameters(), ...model.named_buffers(), ...model.named_constants()]);
  const argsOf = (method: string, args: Args): Tensor[] => {
    const entry = model.artifact.methods.find((m) => m.name === method)!;
    return entry.args.map((a) => {
      const x = args.get(a.name)!;
      const dtype = x.dtype === 'I64' ? 'i32' : 'f32';
      return tensor(Array.from(x.data), { dtype, shape: x.shape });
    });
  };
  const loss = model.artifact.train?.loss ?? 'loss';
  return {
    names: [...model.state_dict().keys()],
    load: async (r) => {
      await model.load(`${r.folder}/params.safetensors`);
      for (const [name, x] of r.constants) named.get(name)!.data.copy_(x.data);
    },
    read: (name) => model.state_dict().get(name)!.readSync(),
    grad: (name) => named.get(name)!.grad!.readSync(),
    forward: (args, training) => leaves(model.call('forward', argsOf('forward', args), { training })),
    backward: (args) => model.backward(...argsOf(loss, args)).loss.readSync(),
    inputGrad: () => null,
    train_step: (args) => model.train_step(...argsOf(loss, args)).loss.readSync(),
  };
};

function leaves(r: Result): Numbers[] {
  if (r instanceof Tensor) return [r.readSync()];
  return Object.values(r).flatMap(leaves);
}
