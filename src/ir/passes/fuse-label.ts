/** Readable names of kernels, from the ops of the program that they compute. */
import type { Node } from './fuse-graph.ts';

const SILENT: ReadonlySet<string> = new Set([
  'constant',
  'size',
  'iota',
  'reshape',
  'broadcast_to',
  'cast',
  'stop_gradient',
  'select',
]);
const MOST = 4;

/** `conv2d_add_maximum`, `softmax`, `mul_add_sqrt_div_5`: kinds in order, each once, a count where there are more. */
export function fusionLabel(nodes: readonly Node[]): string {
  const kinds = [...new Set(nodes.map((n) => n.source.kind))];
  const loud = kinds.filter((k) => !SILENT.has(k));
  const shown = loud.length > 0 ? loud : kinds;
  const first = shown.slice(0, MOST);
  return shown.length > MOST ? `${first.join('_')}_${shown.length - MOST}` : first.join('_');
}
