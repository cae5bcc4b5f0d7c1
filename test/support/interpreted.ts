/** Runs the programs of a block in the float64 interpreter: segments are arrays, a call is an entry. The oracle beside the compiled kernels. */
import type { Entry, Programs } from '../../src/ir/entry.ts';
import { interpret } from '../../src/ir/interpret.ts';
import { ndarray, sizeOf, type NdArray } from '../../src/ir/ndarray.ts';
import { vjp } from '../../src/ir/passes/autodiff.ts';
import { evaluateNumber } from '../../src/runtime/numbers.ts';
import { lossMethod } from '../../src/ir/programs.ts';
import type { Stored } from './safetensors.ts';

export class Interpreted {
  readonly programs: Programs;
  private readonly segments = new Map<string, NdArray>();
  private readonly key: NdArray;
  private step = 0;
  private microbatch = 0;

  /** `key` is what programs that draw receive. */
  constructor(programs: Programs, key: readonly [number, number] = [7, 0]) {
    this.programs = programs;
    this.key = ndarray('u32', [2], key);
    for (const s of programs.segments) this.segments.set(s.name, ndarray(s.elem, [s.length]));
    for (const first of ['init_state', 'init_ema']) if (this.has(first)) this.run(first, new Map());
  }

  has(entry: string): boolean {
    return this.programs.entries.some((e) => e.name === entry);
  }

  /** By a state-dict name, or the name of a constant. */
  write(name: string, data: ArrayLike<number>): void {
    const { tensor, order } = this.locate(name);
    const segment = this.segments.get(tensor.segment)!;
    for (let i = 0; i < data.length; i++) segment.data[tensor.offset + order(i)] = data[i]!;
  }

  read(name: string): Float64Array {
    const { tensor, order } = this.locate(name);
    const segment = this.segments.get(tensor.segment)!;
    return Float64Array.from({ length: sizeOf(tensor.shape) }, (_, i) => segment.data[tensor.offset + order(i)]!);
  }

  /** After `backward`. */
  grad(name: string): Float64Array {
    const { tensor, order } = this.locate(name);
    const segment = this.segments.get(tensor.grad!)!;
    return Float64Array.from({ length: sizeOf(tensor.shape) }, (_, i) => segment.data[tensor.offset + order(i)]!);
  }

  /** The results by name (`result`, `result.0`, `loss`); new segment contents are kept. */
  run(name: string, args: ReadonlyMap<string, Stored>): Map<string, NdArray> {
    const entry = this.entry(name);
    const { module, block } = this.programs;
    const inputs = entry.inputs.map((role, i): NdArray => {
      const type = module.funcs.get(entry.func)!.body.params[i]!.type;
      switch (role.role) {
        case 'arg': {
          const given = args.get(role.name);
          if (!given) throw new Error(`${name} needs the argument ${role.name}`);
          return ndarray(type.elem, given.shape, given.data);
        }
        case 'segment':
          return this.segments.get(role.segment)!;
        case 'key':
          return this.key;
        case 'step':
          return ndarray('i32', [], [this.step]);
        case 'microbatch':
          return ndarray('i32', [], [this.microbatch]);
        case 'setting': {
          const value = block.train!.limits[role.name]!;
          return ndarray('f32', [], [role.name === 'ema' ? 1 - value : value]);
        }
        case 'hyper': {
          const { hyper } = block.train!.groups[role.group]!;
          return ndarray('f32', [], [evaluateNumber(role.number, (name) => hyper[name]!)]);
        }
      }
    });
    const results = interpret(module, entry.func, inputs);
    const named = new Map<string, NdArray>();
    entry.outputs.forEach((role, i) => {
      if (role.role === 'segment') this.segments.set(role.segment, results[i]!);
      else named.set(role.name, results[i]!);
    });
    if (name === 'train_step') this.step++;
    if (name.startsWith('train_step')) this.microbatch = name === 'train_step' ? 0 : this.microbatch + 1;
    return named;
  }

  /** d loss / d argument, which no program computes: the loss method differentiated for it. */
  inputGrad(name: string, args: ReadonlyMap<string, Stored>): Float64Array {
    const { block, module, tensors } = this.programs;
    const loss = lossMethod(block)!;
    const f = loss.training;
    const made = vjp(module, f.func, [f.tensors.length + loss.args.findIndex((a) => a.name === name)]);
    const types = module.funcs.get(f.func)!.body.params.map((p) => p.type);
    const inputs = types.map((type, i): NdArray => {
      const held = f.tensors[i];
      if (held !== undefined) return ndarray(type.elem, tensors[held]!.shape, this.read(tensors[held]!.name));
      const arg = loss.args[i - f.tensors.length];
      if (!arg) return this.key;
      const given = args.get(arg.name)!;
      return ndarray(type.elem, given.shape, given.data);
    });
    return interpret(made.module, made.func, inputs).at(-1)!.data;
  }

  private entry(name: string): Entry {
    const found = this.programs.entries.find((e) => e.name === name);
    if (!found) throw new Error(`there is no program ${name}`);
    return found;
  }

  /** Where a name's tensor lies; `order` maps the name's elements to the stored ones (tied transposes). */
  private locate(name: string): { tensor: Programs['tensors'][number]; order: (i: number) => number } {
    const entry = this.programs.block.stateDict.find((e) => e.name === name);
    const index = entry ? entry.tensor : this.programs.tensors.findIndex((t) => t.name === name);
    const tensor = this.programs.tensors[index];
    if (!tensor) throw new Error(`there is no tensor ${name}`);
    const [rows = 1, columns = 1] = tensor.shape;
    const order = entry?.transposed
      ? (i: number): number => (i % rows) * columns + Math.floor(i / rows)
      : (i: number): number => i;
    return { tensor, order };
  }
}
