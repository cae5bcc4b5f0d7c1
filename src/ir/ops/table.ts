/** The op table: one row for each primitive, under the key that is its name in net IR and in `.net` source. */
import { attentionOps } from './attention.ts';
import { binaryOps } from './binary.ts';
import { controlOps } from './control.ts';
import { convOps } from './conv.ts';
import type { OpDef } from './def.ts';
import { generatorOps } from './generators.ts';
import { indexOps } from './index.ts';
import { lineOps } from './lines.ts';
import { lossOps } from './loss.ts';
import { matmulOps } from './matmul.ts';
import { movementOps } from './movement.ts';
import { poolOps } from './pool.ts';
import { reduceOps } from './reduce.ts';
import { rowwiseOps } from './rowwise.ts';
import { unaryOps } from './unary.ts';

export const OPS = {
  ...unaryOps,
  ...binaryOps,
  ...generatorOps,
  ...movementOps,
  ...reduceOps,
  ...rowwiseOps,
  ...matmulOps,
  ...attentionOps,
  ...convOps,
  ...poolOps,
  ...indexOps,
  ...lineOps,
  ...lossOps,
  ...controlOps,
} satisfies Record<string, OpDef>;

/** The rows by idea, for the reference page `docs/ops.md`. */
export const OP_GROUPS: readonly (readonly [title: string, rows: Readonly<Record<string, OpDef>>])[] = [
  ['Elementwise, one tensor', unaryOps],
  ['Elementwise, more tensors', binaryOps],
  ['From nothing', generatorOps],
  ['Movement', movementOps],
  ['Reductions', reduceOps],
  ['Whole rows', rowwiseOps],
  ['Losses', lossOps],
  ['Matrix products', { ...matmulOps, ...attentionOps }],
  ['Convolution', convOps],
  ['Pooling', poolOps],
  ['Indexing', indexOps],
  ['Along a line', lineOps],
  ['Structure', controlOps],
];

export type OpKind = keyof typeof OPS;

const TABLE: ReadonlyMap<string, OpDef> = new Map(Object.entries(OPS));

export const hasOp = (kind: string): kind is OpKind => TABLE.has(kind);

/** The row of an op. An unknown kind is a compiler bug and throws. */
export function opDef(kind: string): OpDef {
  const row = TABLE.get(kind);
  if (!row) throw new Error(`no op is called ${kind}`);
  return row;
}
