/**
 * max_pool2d_grad on a GPU where windows overlap or meet padding: each input element looks at the windows over it, in
 * row-major order, and takes the gradient of those that it wins. The same sums as adding window by window, without atomics.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import { KernelArgs } from '../../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../../codegen/kernel.ts';
import { product } from '../../../ir/dim.ts';
import type { Op } from '../../../ir/ir.ts';
import { ints2, ints4 } from '../../../ir/ops/attrs.ts';
import { originsOf } from '../region.ts';
import { eachIndex, volume } from './grid.ts';

/** One axis of the windows. */
interface Axis {
  readonly kernel: number;
  readonly stride: number;
  readonly before: number;
  readonly dilation: number;
  readonly input: KExpr;
  readonly output: KExpr;
}

/** The kernel of a `fusion {max_pool2d_grad}` op. */
export function maxPoolGradOnGrid(op: Op, name: string): KernelCall {
  const core = op.regions[0]!.ops[0]!;
  const operand = (i: number) => op.operands[op.regions[0]!.params.indexOf(core.operands[i]!)]!;
  const [x, dy, dx] = [operand(0), operand(1), op.results[0]!];
  const a = new KernelArgs();
  const { k, scope } = a;
  const [from, sent, sink] = [a.buffer(x, 'read', 'x'), a.buffer(dy, 'read', 'dy'), a.buffer(dx, 'write', 'dx')];
  const planes = a.sizeParam(product(x.type.shape.slice(0, 2)));
  const [kernel, stride, dilation] = (['kernel', 'stride', 'dilation'] as const).map((n) => ints2(core.attrs, n));
  const pad = ints4(core.attrs, 'padding');
  const axis = (i: 0 | 1): Axis => ({
    kernel: kernel![i],
    stride: stride![i],
    before: pad[2 * i]!,
    dilation: dilation![i],
    input: a.sizeParam(x.type.shape[2 + i]!),
    output: a.sizeParam(dy.type.shape[2 + i]!),
  });
  const [rows, columns] = [axis(0), axis(1)];
  eachIndex(scope, volume([planes, rows.input, columns.input]), (at) => {
    const w = k.let(K.rem(at, columns.input), 'w');
    const line = k.let(K.div(at, columns.input));
    const [h, plane] = [k.let(K.rem(line, rows.input), 'h'), k.let(K.div(line, rows.input), 'plane')];
    const area = k.let(K.mul(plane, K.mul(rows.input, columns.input)), 'area');
    const total = k.mutable(K.f32(0), 'total');
    windowsOver(k, rows, h, (y) =>
      windowsOver(k, columns, w, (z) => {
        const where = winner(k, from, area, rows, columns, y, z);
        const source = k.let(K.add(K.mul(K.add(K.mul(plane, rows.output), y), columns.output), z), 'source');
        k.if(K.eq(where, at), () => k.set(total, K.add(total, K.load(sent, source))));
      }),
    );
    k.store(sink, at, total);
  });
  return a.finish(name, originsOf(op));
}

/** The windows along an axis that have a tap at `c`. */
function windowsOver(k: K.KernelBuilder, axis: Axis, c: KExpr, body: (window: KExpr) => void): void {
  const last = k.let(K.add(c, axis.before), 'last');
  const reach = (axis.kernel - 1) * axis.dilation;
  const from = k.let(K.div(K.max(K.sub(last, reach - axis.stride + 1), 0), axis.stride), 'from');
  const to = k.let(K.min(axis.output, K.add(K.div(last, axis.stride), 1)), 'to');
  k.for(from, to, 1, (window) => {
    if (axis.dilation === 1) return body(window);
    const distance = K.sub(last, K.mul(window, axis.stride));
    k.if(K.eq(K.rem(distance, axis.dilation), 0), () => body(window));
  });
}

/** Where the first maximum of a window lies; a NaN wins, and the first of them. */
function winner(k: K.KernelBuilder, x: KBuffer, area: KExpr, rows: Axis, columns: Axis, y: KExpr, z: KExpr): KExpr {
  const best = k.mutable(K.f32(-Infinity), 'best');
  // Before any tap: even where everything is -Infinity, the first is the winner.
  const where = k.mutable(K.i32(-1), 'where');
  const taps = (axis: Axis, window: KExpr, body: (at: KExpr) => void): void => {
    const start = k.let(K.sub(K.mul(window, axis.stride), axis.before), 'start');
    k.for(0, axis.kernel, 1, (tap) => {
      const at = k.let(K.add(start, K.mul(tap, axis.dilation)), 'at');
      k.if(K.and(K.ge(at, 0), K.lt(at, axis.input)), () => body(at));
    });
  };
  taps(rows, y, (h) =>
    taps(columns, z, (w) => {
      const at = k.let(K.add(area, K.add(K.mul(h, columns.input), w)), 'place');
      const v = k.let(K.load(x, at), 'v');
      const beats = K.and(K.un('not', K.le(v, best)), K.eq(best, best));
      k.if(K.or(beats, K.lt(where, 0)), () => {
        k.set(best, v);
        k.set(where, at);
      });
    }),
  );
  return where;
}
