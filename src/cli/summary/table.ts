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
  /** Trainable and other parameters of the layer itself; 0 where another row already counted a shared layer. */
  readonly params: number;
  readonly shared: boolean;
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
  const visit = (node: Instance, depth: number): void => {
    const shared = firstPath.has(node.id);
    if (!shared) firstPath.set(node.id, node.path);
    // Calls of a shared layer all stand under its first path.
    const cost = costs.get(firstPath.get(node.id)!);
    let params = 0;
    for (const { tensor } of node.own) {
      const t = block.tensors[tensor]!;
      if (t.role === 'param' && !counted.has(tensor)) params += lengthOf(t);
      counted.add(tensor);
    }
    const output = shared ? (cost?.output ?? []) : outputOf(node, costs);
    rows.push({
      depth,
      path: node.path,
      name: node.name === '' ? block.name : node.name,
      type: node.type,
      output: output.length > 0 ? output.map((t) => shapeText(t, sizes)).join(', ') : '--',
      params,
      shared,
      flops: cost && !shared ? at(cost.flops, sizes) : 0,
      bytes: cost && node.children.length === 0 ? total(cost.output.map((t) => bytesOf(t, sizes))) : 0,
    });
    for (const c of node.children) visit(c, depth + 1);
  };
  visit(block.tree, 0);
  return rows;
}

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
    paramBytes: 4 * count(params),
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
  const table = new Table({
    head: ['layer', 'output shape', 'parameters', 'FLOPs', 'memory'],
    colAligns: ['left', 'left', 'right', 'right', 'right'],
    style: { head: [], border: [], compact: true },
    chars: PLAIN,
  });
  for (const r of rows) {
    const label = `${'  '.repeat(r.depth)}${r.depth === 0 ? r.type : `${r.name}: ${r.type}`}`;
    table.push([
      label,
      r.output,
      r.shared ? pc.dim('(shared)') : r.params === 0 ? '--' : grouped(r.params),
      flopsText(r.flops),
      r.bytes === 0 ? '--' : bytesText(r.bytes),
    ]);
  }
  return table.toString();
}

const PLAIN = {
  top: '─',
  'top-mid': '─',
  'top-left': '',
  'top-right': '',
  bottom: '─',
  'bottom-mid': '─',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '─',
  'mid-mid': '─',
  right: '',
  'right-mid': '',
  middle: '  ',
};
