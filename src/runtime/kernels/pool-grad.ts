/**
 * max_pool2d_grad where windows overlap or meet padding: finds each window's winner and adds its gradient there, window by
 * window in row-major order. (Windows that tile the input gather instead, fused with what is around them: codegen/windows.)
 */
import * as K from '../../codegen/builder.ts';
import type { KernelCall, Target } from '../../codegen/call.ts';
import { consecutive, lanesOf, scale, shift, toValue, uniform, type Coord } from '../../codegen/coord.ts';
import { loadAt } from '../../codegen/gather.ts';
import { KernelArgs } from '../../codegen/kernel-args.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import { product } from '../../ir/dim.ts';
import type { Op } from '../../ir/ir.ts';
import { ints2, ints4 } from '../../ir/ops/attrs.ts';
import { vectorLoop } from './loops.ts';
import { originsOf } from './region.ts';

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
export function maxPoolGradKernel(op: Op, target: Target, name: string): KernelCall {
  const core = op.regions[0]!.ops[0]!;
  const operand = (i: number) => op.operands[op.regions[0]!.params.indexOf(core.operands[i]!)]!;
  const [x, dy, dx] = [operand(0), operand(1), op.results[0]!];
  const a = new KernelArgs();
  const buffers = { x: a.buffer(x, 'read', 'x'), dy: a.buffer(dy, 'read', 'dy'), dx: a.buffer(dx, 'readwrite', 'dx') };
  const planes = a.sizeParam(product(x.type.shape.slice(0, 2)));
  const [k, s, d] = [ints2(core.attrs, 'kernel'), ints2(core.attrs, 'stride'), ints2(core.attrs, 'dilation')];
  const pad = ints4(core.attrs, 'padding');
  const axis = (i: 0 | 1): Axis => ({
    kernel: k[i],
    stride: s[i],
    before: pad[2 * i]!,
    dilation: d[i],
    input: a.sizeParam(x.type.shape[2 + i]!),
    output: a.sizeParam(dy.type.shape[2 + i]!),
  });
  new GradWriter(a, buffers, axis(0), axis(1), target.lanes).write(planes);
  return a.finish(name, originsOf(op));
}

class GradWriter {
  private readonly a: KernelArgs;
  private readonly buffers: { readonly x: KBuffer; readonly dy: KBuffer; readonly dx: KBuffer };
  private readonly rows: Axis;
  private readonly columns: Axis;
  private readonly lanes: number;

  constructor(a: KernelArgs, buffers: GradWriter['buffers'], rows: Axis, columns: Axis, lanes: number) {
    this.a = a;
    this.buffers = buffers;
    this.rows = rows;
    this.columns = columns;
    this.lanes = lanes;
  }

  write(planes: KExpr): void {
    const { scope: s, k } = this.a;
    const { rows, columns } = this;
    const area = s.share(K.mul(rows.input, columns.input), 'area');
    // Windows of columns [lo, hi) meet no padding.
    const reach = (columns.kernel - 1) * columns.dilation;
    const lo = s.share(K.min(columns.output, Math.ceil(columns.before / columns.stride)), 'lo');
    const room = s.share(K.add(columns.input, columns.before - reach - 1 + columns.stride));
    const hi = s.share(K.max(lo, K.min(columns.output, K.div(s.share(K.max(room, 0)), columns.stride))), 'hi');
    const one = (plane: KExpr): void => {
      const base = s.share(K.mul(plane, area), 'plane');
      vectorLoop(s, K.i32(0), area, this.lanes, 1, ([at]) =>
        k.store(this.buffers.dx, K.add(base, at!.base), K.splat(K.f32(0), lanesOf(at!))),
      );
      s.loop(0, rows.output, 1, (y) => {
        const taps = this.tapRange(rows, y);
        const first = s.share(K.sub(K.mul(y, rows.stride), rows.before));
        const out = s.share(K.mul(s.share(K.add(K.mul(plane, rows.output), y)), columns.output), 'out');
        const window = (at: Coord, inside: boolean): void => this.window(base, first, taps, out, at, inside);
        s.loop(0, lo, 1, (i) => window(uniform(i), false));
        const end = s.share(K.add(lo, K.bin('and', s.share(K.sub(hi, lo)), -this.lanes)));
        s.loop(lo, end, this.lanes, (i) => window(consecutive(i, this.lanes), true));
        s.loop(end, columns.output, 1, (i) => window(uniform(i), false));
      });
    };
    s.loop(0, planes, 1, one, 'parallel');
  }

  /** The taps of the window at `c` that lie inside: [from, to). */
  private tapRange(axis: Axis, c: KExpr): { from: KExpr; to: KExpr } {
    const s = this.a.scope;
    const start = s.share(K.sub(K.mul(c, axis.stride), axis.before));
    const ceil = (e: KExpr): KExpr => K.div(K.add(s.share(K.max(e, 0)), axis.dilation - 1), axis.dilation);
    const to = s.share(K.min(ceil(K.sub(axis.input, start)), axis.kernel));
    return { from: s.share(ceil(K.neg(start))), to };
  }

  /** Finds the winner among the taps and adds the gradient of the window (of each lane's) to it. */
  private window(
    plane: KExpr,
    firstRow: KExpr,
    rowTaps: { from: KExpr; to: KExpr },
    out: KExpr,
    at: Coord,
    inside: boolean,
  ): void {
    const { scope: s, k } = this.a;
    const { columns, rows } = this;
    const lanes = lanesOf(at);
    const start = shift(s, scale(s, at, K.i32(columns.stride)), K.i32(-columns.before));
    const taps = inside ? { from: K.i32(0), to: K.i32(columns.kernel) } : this.tapRange(columns, at.base);
    const place = (row: KExpr, tap: KExpr): Coord => {
      const y = s.share(K.add(firstRow, K.mul(row, rows.dilation)));
      const line = s.share(K.add(plane, K.mul(y, columns.input)), 'line');
      return shift(s, start, s.share(K.add(line, K.mul(tap, columns.dilation))));
    };
    const search = (): void => {
      const best = k.mutable(K.splat(K.f32(-Infinity), lanes), 'best');
      // Even where everything is -Infinity, the first is the winner.
      const where = k.mutable(toValue(s, place(rowTaps.from, taps.from)), 'where');
      const take = (row: KExpr, tap: KExpr): void => {
        const p = place(row, tap);
        const v = loadAt(s, this.buffers.x, p);
        const beats = k.let(K.and(K.un('not', K.le(v, best)), K.eq(best, best)), 'beats');
        k.set(best, K.select(beats, v, best));
        k.set(where, K.select(beats, toValue(s, p), where));
      };
      s.loop(rowTaps.from, rowTaps.to, 1, (row) => {
        if (inside) for (let t = 0; t < columns.kernel; t++) take(row, K.i32(t));
        else s.loop(taps.from, taps.to, 1, (t) => take(row, t));
      });
      const sent = s.share(K.load(this.buffers.dy, K.add(out, at.base), lanes));
      for (let l = 0; l < lanes; l++) {
        const to = k.let(lanes === 1 ? where : K.lane(where, l), 'to');
        const add = lanes === 1 ? sent : K.lane(sent, l);
        k.store(this.buffers.dx, to, K.add(K.load(this.buffers.dx, to), add));
      }
    };
    s.if(K.and(K.lt(rowTaps.from, rowTaps.to), K.lt(taps.from, taps.to)), search);
  }
}
