/** The layer table, laid out as torchinfo prints it. */
import Table from 'cli-table3';
import pc from 'picocolors';
import type { Elaborated, Instance } from '../../check/elaborated.ts';
import { evaluate, symbolsOf, type Dim } from '../../ir/dim.ts';
import type { TensorType } from '../../ir/ir.ts';
import { lengthOf } from '../../ir/programs/arena.ts';
import type { LayerCost } from './cost.ts';

export interface SummaryRow {
  readonly depth: number;
  readonly path: string;
  readonly name: string;
  readonly type: string;
  readonly output: string;
  /** Parameters of the layer and all below it, each counted in the row where it first stands and those above that. */
  readonly params: number;
  /** Those of them that are not frozen. */
  readonly trainable: number;
  /** Why a layer that has parameters counts none: the layer, or each tensor of it, stands further up. */
  readonly counted: 'shared' | 'tied' | null;
  /** With the given sizes; null where one is not given. */
  readonly flops: number | null;
  readonly bytes: number | null;
}

export interface Totals {
  readonly params: number;
  readonly trainable: number;
  readonly paramBytes: number;
  readonly flops: number | null;
  readonly activationBytes: number | null;
}

export function summaryRows(
  block: Elaborated,
  costs: ReadonlyMap<string, LayerCost>,
  sizes: ReadonlyMap<string, number>,
): SummaryRow[] {
  const rows: SummaryRow[] = [];
  const firstPath = new Map<number, string>();
  const counted = new Set<number>();
  const visit = (node: Instance, depth: number): { params: number; trainable: number } => {
    const shared = firstPath.has(node.id);
    if (!shared) firstPath.set(node.id, node.path);
    // Calls of a shared layer all stand under its first path.
    const cost = costs.get(firstPath.get(node.id)!);
    const own = node.own.filter(({ tensor }) => block.tensors[tensor]!.role === 'param');
    const first = own.filter(({ tensor }) => !counted.has(tensor));
    let [params, trainable] = [0, 0];
    for (const { tensor } of first) {
      const t = block.tensors[tensor]!;
      params += lengthOf(t);
      if (t.trainable) trainable += lengthOf(t);
      counted.add(tensor);
    }
    const output = shared ? (cost?.output ?? []) : outputOf(node, costs);
    const place = rows.push(NONE) - 1;
    for (const c of node.children) {
      const below = visit(c, depth + 1);
      params += below.params;
      trainable += below.trainable;
    }
    rows[place] = {
      depth,
      path: node.path,
      name: node.name === '' ? block.name : node.name,
      type: node.type,
      output: output.length > 0 ? output.map((t) => shapeText(t, sizes)).join(', ') : '--',
      params,
      trainable,
      counted: shared ? 'shared' : own.length > 0 && params === 0 && first.length === 0 ? 'tied' : null,
      flops: cost && !shared ? at(cost.flops, sizes) : 0,
      bytes: cost && node.children.length === 0 ? total(cost.output.map((t) => bytesOf(t, sizes))) : 0,
    };
    return { params, trainable };
  };
  visit(block.tree, 0);
  return rows;
}

/** Holds the place of a row while those below it are made. */
const NONE: SummaryRow = {
  depth: 0,
  path: '',
  name: '',
  type: '',
  output: '',
  params: 0,
  trainable: 0,
  counted: null,
  flops: 0,
  bytes: 0,
};

/** A `seq` has no call of its own: its last entry's result is its result. */
function outputOf(node: Instance, costs: ReadonlyMap<string, LayerCost>): readonly TensorType[] {
  const own = costs.get(node.path)?.output ?? [];
  const last = node.kind === 'seq' ? node.children.at(-1) : undefined;
  return own.length === 0 && last ? outputOf(last, costs) : own;
}

export function totals(block: Elaborated, rows: readonly SummaryRow[]): Totals {
  const params = block.tensors.filter((t) => t.role === 'param');
  const count = (list: typeof params): number => list.reduce((n, t) => n + lengthOf(t), 0);
  return {
    params: count(params),
    trainable: count(params.filter((t) => t.trainable)),
    paramBytes: params.reduce((n, t) => n + lengthOf(t) * (WIDTHS[t.type.elem] ?? 4), 0),
    flops: total(rows.map((r) => r.flops)),
    activationBytes: total(rows.map((r) => r.bytes)),
  };
}

const WIDTHS: Readonly<Record<string, number>> = { f16: 2, bf16: 2 };
const bytesOf = (t: TensorType, sizes: ReadonlyMap<string, number>): number | null => {
  const dims = t.shape.map((d) => at(d, sizes));
  return dims.every((d) => d !== null) ? dims.reduce((a, b) => a * b, WIDTHS[t.elem] ?? 4) : null;
};
const at = (d: Dim, sizes: ReadonlyMap<string, number>): number | null =>
  [...symbolsOf(d)].every((s) => sizes.has(s)) ? evaluate(d, sizes) : null;
const total = (list: readonly (number | null)[]): number | null =>
  list.reduce<number | null>((a, b) => (a === null || b === null ? null : a + b), 0);
const shapeText = (t: TensorType, sizes: ReadonlyMap<string, number>): string =>
  `[${t.shape.map((d) => at(d, sizes) ?? d.key).join(', ')}]`;

export const grouped = (n: number): string => n.toLocaleString('en-US');
export function bytesText(n: number | null): string {
  if (n === null) return '?';
  const units = ['B', 'kB', 'MB', 'GB'];
  let i = 0;
  let v = n;
  for (; v >= 1000 && i < units.length - 1; i++) v /= 1000;
  return `${i === 0 ? v : v.toFixed(2)} ${units[i]}`;
}
export function flopsText(n: number | null): string {
  if (n === null) return '?';
  if (n === 0) return '--';
  const units = ['', 'k', 'M', 'G', 'T'];
  let i = 0;
  let v = n;
  for (; v >= 1000 && i < units.length - 1; i++) v /= 1000;
  return `${i === 0 ? v : v.toFixed(2)} ${units[i]}`.trim();
}

export function renderSummary(rows: readonly SummaryRow[]): string {
  const frozen = rows.some((r) => r.trainable !== r.params);
  const table = new Table({
    head: ['layer', 'output shape', 'parameters', ...(frozen ? ['trainable'] : []), 'FLOPs', 'memory'],
    colAligns: ['left', 'left', 'right', ...(frozen ? ['right' as const] : []), 'right', 'right'],
    style: { head: [], border: [], compact: true, 'padding-left': 0, 'padding-right': 0 },
    chars: PLAIN,
  });
  for (const r of rows) {
    const label = `${'  '.repeat(r.depth)}${r.depth === 0 ? r.type : `${r.name}: ${r.type}`}`;
    table.push([
      label,
      r.output,
      r.counted === null ? numberOr(r.params, '--') : pc.dim(`(${r.counted})`),
      ...(frozen ? [numberOr(r.trainable, '--')] : []),
      flopsText(r.flops),
      r.bytes === 0 ? '--' : bytesText(r.bytes),
    ]);
  }
  return table.toString();
}

const numberOr = (n: number, none: string): string => (n === 0 ? none : grouped(n));

const PLAIN = {
  top: '─',
  'top-mid': '──',
  'top-left': '',
  'top-right': '',
  bottom: '─',
  'bottom-mid': '──',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '─',
  'mid-mid': '──',
  right: '',
  'right-mid': '',
  middle: '  ',
};
