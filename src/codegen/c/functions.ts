/** The functions of a standalone C file that a user calls: drawing a model, its methods, its training step. */
import type { Artifact, Program, TensorSpec } from '../../runtime/artifact.ts';
import { widthOf } from '../../runtime/elem.ts';
import { WHILE_LIMIT } from '../../runtime/loops.ts';
import { sizeText } from '../../runtime/sizes.ts';
import type { Kernel } from '../kernel.ts';
import { Names } from '../names.ts';
import type { Layout, Placing } from './layout.ts';
import { double, float, numberInC } from './numbers.ts';
import { elements, isFixed, times } from './settle.ts';
import { stepLines } from './steps.ts';
import { CTYPE, literal, plain } from './words.ts';
import { ProgramNames, Workspace } from './workspace.ts';

/** Rounds that a `while` may take. */
export const LIMIT = 'NETWRIGHT_WHILE_LIMIT';

interface Input {
  readonly artifact: Pick<Artifact, 'name' | 'segments' | 'tensors' | 'train'>;
  /** With the given sizes in their places. */
  readonly programs: readonly Program[];
  readonly kernels: readonly Kernel[];
}

/** The file around them. */
interface Around {
  readonly layout: Layout;
  /** Those of the file, and those of the header. */
  readonly names: Names;
  readonly open: Names;
  /** What the names of users' functions begin with. */
  readonly prefix: string;
  readonly taken: (name: string) => boolean;
  readonly kernelName: (k: Kernel) => string;
}

interface Parameter {
  readonly name: string;
  readonly spec: TensorSpec;
}

/** One function of the header. */
export interface UserFunction {
  readonly program: Program;
  readonly name: string;
  readonly head: string;
  /** Where sizes are arguments, the function that says how much memory they need. */
  readonly sizing: { readonly name: string; readonly head: string } | null;
  /** Names of those arguments by symbol. */
  readonly sizes: ReadonlyMap<string, string>;
  readonly args: readonly Parameter[];
  readonly results: readonly Parameter[];
}

/** The programs that `NAME_init` runs. */
const STARTS = ['init', 'init_state', 'init_ema'];

export class Functions {
  readonly prefix: string;
  /** The variable that says what went wrong. */
  readonly fault: string;
  readonly functions: readonly UserFunction[];
  private readonly input: Input;
  private readonly around: Around;
  private readonly own: ReadonlyMap<Program, ProgramNames>;
  private readonly hyper: readonly {
    readonly text: string;
    readonly group: number;
    readonly name: string;
    readonly value: number;
  }[];

  constructor(input: Input, around: Around) {
    const { prefix, open } = around;
    this.input = input;
    this.around = around;
    this.prefix = prefix;
    const global = (name: string): string => open.fresh(`${prefix}_${name}`);
    for (const word of ['tensor', 'tensors', 'tensor_count', 'init']) global(word);
    this.fault = global('fault');
    const heads = input.programs
      .filter((p) => !STARTS.includes(p.name))
      .map((p) => ({ program: p, name: global(p.name), bytes: global(`${p.name}_workspace_bytes`) }));
    this.hyper = (input.artifact.train?.groups ?? []).flatMap((g, group) =>
      Object.entries(g.hyper).map(([name, value]) => ({
        text: global(`${name}${group === 0 ? '' : `_${group}`}`),
        group,
        name,
        value,
      })),
    );
    this.own = new Map(input.programs.map((p) => [p, new ProgramNames(p.name, around.names)]));
    // Parameters come last: they are none of the names that bodies use.
    this.functions = heads.map(({ program, name, bytes }) => this.describe(program, name, bytes));
  }

  private describe(program: Program, name: string, bytes: string): UserFunction {
    const { open, names, taken } = this.around;
    const local = new Names((n) => taken(n) || open.knows(n) || names.knows(n));
    const sizes = new Map(program.symbols.map((s) => [s, local.fresh(s)]));
    // An `int` that sizes depend on has an argument without elements, for its shape alone.
    const args = program.inputs.flatMap((i) =>
      i.role === 'arg' && !i.spec.shape.includes(0) ? [{ name: local.of(i), spec: i.spec }] : [],
    );
    const results = program.outputs.flatMap((o) => (o.role === 'result' ? [{ name: local.of(o), spec: o.spec }] : []));
    const dims = [...sizes.values()].map((s) => `int64_t ${s}`);
    const parameters = [
      ...dims,
      ...args.map((a) => `const ${CTYPE[a.spec.elem]} *${a.name}`),
      ...results.map((r) => `${CTYPE[r.spec.elem]} *${r.name}`),
      ...(dims.length > 0 ? ['void *workspace', 'size_t workspace_bytes'] : []),
    ];
    return {
      program,
      name,
      sizes,
      args,
      results,
      head: `${dims.length > 0 ? 'int' : 'void'} ${name}(${parameters.join(', ') || 'void'})`,
      sizing: dims.length > 0 ? { name: bytes, head: `size_t ${bytes}(${dims.join(', ')})` } : null,
    };
  }

  /** There is a `while` among the programs. */
  get loops(): boolean {
    return this.input.programs.some(mayFail);
  }

  header(): string {
    const guard = `${this.prefix.toUpperCase()}_H`;
    const sized = this.functions.some((f) => f.sizing !== null);
    const { prefix, fault } = this;
    const endless = `the line of a \`while\` whose condition still held after ${LIMIT} rounds (${WHILE_LIMIT}, unless defined): the last call wrote no results.`;
    const says = sized
      ? `/* 0, or what was wrong with the last call, which then wrote no results${this.loops ? `; of a \`while\` that still held after ${LIMIT} rounds (${WHILE_LIMIT}, unless defined) its line` : ''}. */`
      : `/* 0, or ${endless} */`;
    const specs = this.functions.map(
      (f) => `/* ${doc(f)} */\n${f.sizing === null ? '' : `${f.sizing.head};\n`}${f.head};\n`,
    );
    return `#ifndef ${guard}
#define ${guard}
#include <stddef.h>
#include <stdint.h>

/* One tensor of the model: its name in PyTorch's state dict, its elements (f16 and bf16: 2 bytes each, else 4), where they are. */
typedef struct { const char *name; size_t elements; void *data; } ${prefix}_tensor;
extern const ${prefix}_tensor ${prefix}_tensors[${Math.max(1, this.input.artifact.tensors.length)}];
extern const size_t ${prefix}_tensor_count;

/* Draws the initial values; the same seed gives the same model. Call it first. */
void ${prefix}_init(uint64_t seed);
${this.loops || sized ? `\n${says}\nextern const char *${fault};\n` : ''}${this.hyper.map((h) => `extern double ${h.text};\n`).join('')}${sized ? SIZED : ''}${specs.join('')}#endif
`;
  }

  code(): string {
    const { artifact, programs } = this.input;
    const tensors = artifact.tensors.map((t) => {
      const at = this.around.layout.arena(t.segment, String(t.offset * widthOf(t.elem))) ?? '0';
      return `  {${literal(t.name)}, ${t.shape.reduce((a, b) => a * b, 1)}, ${at}},\n`;
    });
    const starts = STARTS.map((name) => programs.find((p) => p.name === name));
    const sized = this.functions.some((f) => f.sizing !== null);
    const { prefix } = this;
    const globals = `static uint64_t seed_now;
static uint32_t calls_done;
static int32_t steps_done, parts_done;
${this.loops || sized ? `const char *${this.fault};\n` : ''}${this.hyper.map((h) => `double ${h.text} = ${double(h.value)};\n`).join('')}
const ${prefix}_tensor ${prefix}_tensors[${Math.max(1, tensors.length)}] = {
${tensors.join('') || '  {"", 0, 0},\n'}};
const size_t ${prefix}_tensor_count = ${tensors.length};

`;
    const begin = starts.map((p, i) => (p ? this.start(p, i === 0 ? 'fold_key(first_key(seed), 0)' : 'key') : null));
    const init = `void ${prefix}_init(uint64_t seed) {
  random_key key = {{0, 0}};
  seed_now = seed;
  calls_done = 0;
  steps_done = 0;
  parts_done = 0;
${begin.map((b) => b?.call ?? '').join('')}  (void)key;
}

`;
    return [globals, ...begin.map((b) => b?.run ?? ''), init, ...this.functions.map((f) => this.function(f))].join('');
  }

  /** A program of the initial values. */
  private start(p: Program, key: string): { run: string; call: string } {
    const placing = this.around.layout.placing(p);
    const { run } = this.own.get(p)!;
    return {
      run: `static void ${run}(void) {\n${this.steps(p, placing)}}\n\n`,
      call: `${this.fill(p, placing, key, new Map())}  ${run}();\n`,
    };
  }

  private function(f: UserFunction): string {
    const { program: p, sizes } = f;
    const fixed = isFixed(p);
    const own = this.own.get(p)!;
    const workspace = fixed ? null : new Workspace(p, this.around.layout, own, sizes);
    const placing = workspace ?? this.around.layout.placing(p);
    const steps = this.steps(p, placing);
    const given = new Map(f.args.map((a) => [a.spec, a.name]));
    const made = new Map(f.results.map((r) => [r.spec, r.name]));
    const fill = this.fill(p, placing, this.key(p), given);
    const results = p.outputs.flatMap((o) =>
      o.role === 'result'
        ? [`  copy_bytes(${made.get(o.spec)!}, ${placing.address(o.buffer, o.offset)}, ${bytesOf(o.spec, placing)});\n`]
        : [],
    );
    const failed = fixed ? 'return;' : 'return 3;';
    const run = mayFail(p)
      ? `${fixed ? `  ${this.fault} = 0;\n` : ''}  ${own.run}(${fixed ? '' : 'w'});\n  if (${this.fault}) ${failed}\n`
      : `  ${own.run}(${fixed ? '' : 'w'});\n`;
    const body = `${fill}${run}${results.join('')}${this.after(p)}`;
    if (!workspace) return `static void ${own.run}(void) {\n${steps}}\n\n${f.head} {\n${body}}\n\n`;
    const tables = workspace.tables();
    const values = [...sizes.values()].join(', ');
    return `${workspace.declarations()}static void ${own.run}(unsigned char *w) {
${tables}  (void)w;
${steps}}

${workspace.plan(`${this.input.artifact.name}.${p.name}`, this.fault, literal)}${f.sizing!.head} { return ${own.plan}(${values}); }

${f.head} {
  unsigned char *const w = workspace;
${tables}  const size_t wanted = ${own.plan}(${values});
  if (!wanted) return 1;
  if ((${this.fault} = workspace_fault(workspace, workspace_bytes, wanted)) != 0) return 2;
${body}  return 0;
}

`;
  }

  private steps(p: Program, placing: Placing): string {
    const lines = stepLines(p.steps, this.input.kernels, this.around.kernelName, {
      at: (i) => {
        const s = p.slots[i]!;
        if (s.kind !== 'address') throw new Error(`slot ${i} of ${p.name} holds no address`);
        return placing.address(s.buffer, s.offset);
      },
      size: (i) => {
        const s = p.slots[i]!;
        if (s.kind === 'address') throw new Error(`slot ${i} of ${p.name} holds no size`);
        return s.kind === 'limit' ? LIMIT : placing.number(s.value, true);
      },
      endless: (region) => `{ ${this.fault} = ${literal(p.regions[region]!)}; return; }`,
    });
    return lines.map((l) => `${l}\n`).join('');
  }

  private get accumulate(): number {
    return this.input.artifact.train?.accumulate ?? 1;
  }

  private key(p: Program): string {
    if (!isStep(p)) return 'fold_key(fold_key(first_key(seed_now), 2), calls_done)';
    const key = 'fold_key(fold_key(first_key(seed_now), 1), (uint32_t)steps_done)';
    return this.accumulate > 1 ? `fold_key(${key}, (uint32_t)parts_done)` : key;
  }

  private after(p: Program): string {
    if (!isStep(p)) return '  calls_done++;\n';
    const { accumulate } = this;
    return accumulate > 1
      ? `  if (++parts_done == ${accumulate}) { parts_done = 0; steps_done++; }\n`
      : '  steps_done++;\n';
  }

  /** Copies what a program reads to where it reads it. */
  private fill(p: Program, placing: Placing, key: string, given: ReadonlyMap<TensorSpec, string>): string {
    const lines = p.inputs.flatMap((i): string[] => {
      if (i.role === 'segment') return [];
      const to = placing.address(i.buffer, 0);
      switch (i.role) {
        case 'arg': {
          const from = given.get(i.spec);
          return from === undefined ? [] : [`copy_bytes(${to}, ${from}, ${bytesOf(i.spec, placing)});`];
        }
        case 'key':
          return [`{ const random_key k = ${key}; copy_bytes(${to}, &k, 8); }`];
        case 'step':
          return [`copy_bytes(${to}, &steps_done, 4);`];
        case 'microbatch':
          return [`copy_bytes(${to}, &parts_done, 4);`];
        case 'hyper': {
          const of = (name: string): string => this.hyper.find((h) => h.group === i.group && h.name === name)!.text;
          return [`{ const float x = (float)${numberInC(i.number, of)}; copy_bytes(${to}, &x, 4); }`];
        }
        case 'setting': {
          const value = this.input.artifact.train!.settings[i.name]!;
          return [`{ const float x = ${float(i.name === 'ema' ? 1 - value : value)}; copy_bytes(${to}, &x, 4); }`];
        }
      }
    });
    return lines.map((l) => `  ${l}\n`).join('');
  }
}

const SIZED = `
/*
 * Functions that take sizes work in the caller's buffer, aligned to 8 bytes, of as many bytes as their _workspace_bytes function says
 * for these sizes (0: they do not fit). They give 0; or 1: the sizes do not fit, 2: the buffer will not do, 3: a \`while\` did not end.
 * The buffer holds nothing between two calls.
 */
`;

const mayFail = (p: Program): boolean => p.slots.some((s) => s.kind === 'limit');
const isStep = (p: Program): boolean => p.name === 'train_step' || p.name.startsWith('train_step+');

const bytesOf = (s: TensorSpec, placing: Placing): string => {
  const bytes = placing.number(times(elements(s), widthOf(s.elem)));
  return /^\d/.test(bytes) ? bytes : `(size_t)${bytes}`;
};

function doc({ args, results }: UserFunction): string {
  const list = (of: readonly Parameter[]): string =>
    of.map(({ name, spec }) => `${name}: ${spec.elem}[${spec.shape.map(sizeText).join(', ')}]`).join(', ');
  return plain(`(${list(args)}) -> (${list(results)})`);
}
