/** Matrix multiplication on a GPU: how its operands are read as matrices, whichever way they are stored. */
import * as K from '../../../codegen/builder.ts';
import type { KernelBuilder } from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { KernelLimits } from '../../../codegen/limits.ts';
import * as D from '../../../ir/dim.ts';
import type { Origin } from '../../../ir/ir.ts';
import type { CallBuilder } from '../call-builder.ts';
import type { Epilogue, Source } from '../epilogue.ts';
import { offset } from '../matmul-general.ts';
import type { MatmulSpec } from '../matmul.ts';
import { matmulView } from '../matmul.ts';
import { type Operand, sumOfParts } from './operand.ts';
import { productCalls } from './product.ts';

export function matmulOnGrid(
  spec: MatmulSpec,
  a: Source,
  b: Source,
  epilogue: Epilogue,
  limits: KernelLimits,
  origins: readonly Origin[],
): KernelCall[] {
  const letter = (transposed: boolean): string => (transposed ? 't' : 'n');
  return productCalls({
    name: `matmul_${letter(spec.transposeA)}${letter(spec.transposeB)}`,
    items: D.product(spec.batch),
    rows: spec.m,
    cols: spec.n,
    depth: spec.k,
    view: matmulView(spec),
    epilogue,
    limits,
    origins,
    operands: (call) => {
      const batch = spec.batch.map((d) => call.fixed('batch', d));
      const depth = call.size('k', spec.k);
      const m = call.size('m', spec.m);
      const n = call.size('n', spec.n);
      return [
        matrix(call, a, m, depth, !spec.transposeA, batch, spec.batchA),
        matrix(call, b, n, depth, spec.transposeB, batch, spec.batchB),
      ];
    },
    where: () => (_k, item, row, col) => ({ batch: item, row, col }),
  });
}

/** `lines` x `depth` numbers of an operand, stored line by line or depth by depth. */
function matrix(
  call: CallBuilder,
  source: Source,
  lines: KExpr,
  depth: KExpr,
  alongDepth: boolean,
  batch: readonly KExpr[],
  varies: readonly boolean[],
): Operand {
  // The item is known from the line on.
  const first = (k: KernelBuilder, item: KExpr): KExpr =>
    k.let(K.mul(offset(item, batch, varies), K.mul(lines, depth)), 'first');
  return {
    read: call.source(source),
    alongDepth,
    line: (k, item, line) => [K.add(first(k, item), alongDepth ? K.mul(line, depth) : line)],
    depth: (_k, _item, d) => [alongDepth ? d : K.mul(d, lines)],
    meet: sumOfParts,
  };
}
