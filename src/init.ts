/** Initialisers after construction: the rules of `.net` files for any tensor, and for those of a model that a selector picks. */
import { nearSelector } from './check/init.ts';
import { matches, type Candidate } from './check/selector.ts';
import type { SourceHost } from './check/index.ts';
import { compile } from './compile.ts';
import { DiagnosticBag, renderAll } from './diagnostics/index.ts';
import { parse, type Selector } from './parser/index.ts';
import type { TreeNode } from './runtime/artifact.ts';
import { Parameter, Tensor, UsageError, type Model } from './runtime/index.ts';

export interface RuleOptions {
  /** Default 0. */
  readonly seed?: number;
  /** Text of a `.net` file, or a file with a host, whose functions the rule may call, exported or not. */
  readonly source?: string | { readonly file: string; readonly host: SourceHost };
}

export interface DrawOptions {
  /** Default 0. */
  readonly seed?: number;
  /** The place of the tensor in a model, such as `net.0.weight`: draws are keyed by it. Default: a parameter's own name, else ''. */
  readonly path?: string;
}

/** Fills a tensor or a parameter by a rule as it stands after `~` in a `.net` file, such as `normal(0.0, 0.02)`: the same bits for the same path and seed. */
export async function initialise<T extends Tensor | Parameter>(
  target: T,
  rule: string,
  options: RuleOptions & DrawOptions = {},
): Promise<T> {
  await fill([{ tensor: dataOf(target), path: options.path ?? nameOf(target) }], rule, options);
  return target;
}

/**
 * Gives the tensors of a model that the selector picks new values, as `init { selector ~ rule }` in the model's `.net` file would have:
 * wildcards pick parameters only, and what is tied is filled once. Instead of a rule, a function may do with each what it likes.
 * Returns the names. Throws UsageError where the selector picks nothing.
 */
export async function apply(
  model: Model,
  selector: string,
  rule: string | ((parameter: Parameter, name: string) => unknown),
  options: RuleOptions = {},
): Promise<string[]> {
  const picked = pick(model, selector);
  if (typeof rule === 'string') {
    const targets = picked.map((p) => ({ tensor: p.data, path: p.name }));
    await fill(targets, rule, { seed: model.seed, ...options });
  } else for (const p of picked) await rule(p, p.name);
  return picked.map((p) => p.name);
}

interface Target {
  readonly tensor: Tensor;
  readonly path: string;
}

/** The name of the block that is compiled for its draws; no name of the user's has it. */
const BLOCK = 'NetwrightDraws';

/** One block with a parameter for each target, compiled in memory; its initial values are the values. */
async function fill(targets: readonly Target[], rule: string, options: RuleOptions): Promise<void> {
  const { source = '' } = options;
  const params = targets.map(({ tensor }, i) => `  param value${i}: f32[${tensor.shape.join(', ')}] ~ ${rule}\n`);
  const block = `export block ${BLOCK} {\n${params.join('')}}\n`;
  const file = typeof source === 'string' ? 'rule.net' : source.file;
  const read = (path: string): string | null => {
    const text = typeof source === 'string' ? (path === file ? source : null) : source.host.read(path);
    return text !== null && path === file ? `${text}\n${block}` : text;
  };
  const host = typeof source === 'string' ? { read } : { ...source.host, read };
  const drawAs = (name: string): string => targets[Number(name.slice('value'.length))]!.path;
  const { blocks, diagnostics, sources } = compile({ file, host }, { block: BLOCK, drawAs });
  const made = blocks[BLOCK];
  if (!made) throw new UsageError(`the rule ${rule} cannot fill these tensors\n${renderAll(diagnostics, sources)}`);
  const drawn = await made.create({ seed: options.seed ?? 0 });
  for (const [i, p] of [...drawn.parameters()].entries()) targets[i]!.tensor.copy_(p.data);
}

const dataOf = (t: Tensor | Parameter): Tensor => (t instanceof Parameter ? t.data : t);
const nameOf = (t: Tensor | Parameter): string => (t instanceof Parameter ? t.name : '');

// ---------------------------------------------------------------- selectors

/** Each tensor once, as the model stores it. */
function pick(model: Model, text: string): Parameter[] {
  const { tree, tensors, name: block } = model.artifact;
  const selector = selectorOf(text);
  const names = namesBelow(tree);
  const last = selector.parts.at(-1);
  const wild = last?.kind === 'any' || last?.kind === 'deep';
  const hit = new Set(names.filter((c) => matches(selector, c)).map((c) => c.tensor));
  const picked = [...hit].filter((i) => !wild || tensors[i]!.role === 'param').map((i) => tensors[i]!.name);
  if (picked.length === 0)
    throw new UsageError(
      [`${text} picks nothing in ${block}`, nearSelector(selector, names)].filter(Boolean).join(': '),
    );
  const all = new Map([...model.named_parameters(), ...model.named_buffers(), ...model.named_constants()]);
  return picked.map((name) => all.get(name)!);
}

function namesBelow(root: TreeNode): (Candidate & { readonly tensor: number })[] {
  const visit = (
    node: TreeNode,
    segments: readonly string[],
    types: readonly string[],
  ): ReturnType<typeof namesBelow> => [
    ...node.own.map((o) => ({ segments: [...segments, o.name], types, slot: null, tensor: o.tensor })),
    ...node.children.flatMap((c) => visit(c, [...segments, c.name], [...types, c.type])),
  ];
  return visit(root, [], [root.type]);
}

function selectorOf(text: string): Selector {
  const bag = new DiagnosticBag();
  const file = 'selector';
  const around = `block Any {\n  init { ${text} ~ zeros() }\n}\n`;
  const [block] = parse(around, file, bag).decls;
  const rules = block?.kind === 'block' ? block.members.flatMap((m) => (m.kind === 'init' ? m.rules : [])) : [];
  if (bag.hasErrors || rules.length !== 1)
    throw new UsageError(`${text} is no selector\n${renderAll(bag.all, new Map([[file, around]]))}`);
  return rules[0]!.selector;
}

// ---------------------------------------------------------------- the library's

type Nonlinearity =
  | 'linear'
  | 'conv1d'
  | 'conv2d'
  | 'conv3d'
  | 'conv_transpose1d'
  | 'conv_transpose2d'
  | 'conv_transpose3d'
  | 'sigmoid'
  | 'tanh'
  | 'relu'
  | 'leaky_relu'
  | 'selu';
type Bounds = { readonly a?: number; readonly b?: number };
type Deviation = { readonly mean?: number; readonly std?: number };
type Gain = { readonly gain?: number };
type Fan = { readonly a?: number; readonly mode?: 'fan_in' | 'fan_out'; readonly nonlinearity?: Nonlinearity };

type Given<A> = A & DrawOptions;
type Options<A> = object extends A ? [options?: Given<A>] : [options: Given<A>];

/** A function of the library as an initialiser: its arguments by name, beside seed and path. */
const rule =
  <A extends object>(name: string) =>
  async <T extends Tensor | Parameter>(target: T, ...[options]: Options<A>): Promise<T> => {
    const { seed, path, ...args } = { ...options } as DrawOptions & Readonly<Record<string, unknown>>;
    const list = Object.entries(args).map(([key, v]) => `${key}: ${argument(key, v)}`);
    return initialise(target, `${name}(${list.join(', ')})`, {
      ...(seed === undefined ? {} : { seed }),
      ...(path === undefined ? {} : { path }),
    });
  };

function argument(key: string, v: unknown): string {
  if (typeof v === 'string' || (typeof v === 'number' && Number.isFinite(v))) return JSON.stringify(v);
  throw new UsageError(`${key} is ${String(v)}: an initialiser takes finite numbers and words`);
}

/** `await init.xavier_uniform(tensor, { gain: 2, seed: 1 })`: what `std/init` has, as torch.nn.init names it, filling in place. */
export const init = {
  constant: rule<{ readonly val: number }>('constant'),
  zeros: rule<object>('zeros'),
  ones: rule<object>('ones'),
  uniform: rule<Bounds>('uniform'),
  normal: rule<Deviation>('normal'),
  trunc_normal: rule<Deviation & Bounds>('trunc_normal'),
  xavier_uniform: rule<Gain>('xavier_uniform'),
  xavier_normal: rule<Gain>('xavier_normal'),
  kaiming_uniform: rule<Fan>('kaiming_uniform'),
  kaiming_normal: rule<Fan>('kaiming_normal'),
  eye: rule<object>('eye'),
  dirac: rule<{ readonly groups?: number }>('dirac'),
  orthogonal: rule<Gain>('orthogonal'),
  sparse: rule<{ readonly sparsity: number; readonly std?: number }>('sparse'),
} as const;
