/** Fused contractions: hands matmul and conv2d their operands, and the elementwise work on their results as an epilogue. */
import * as K from '../../codegen/builder.ts';
import type { KernelBuilder } from '../../codegen/builder.ts';
import type { CallArg, KernelCall, Lasting, Target } from '../../codegen/call.ts';
import type { Coord } from '../../codegen/coord.ts';
import { consecutive, ORIGIN, uniform } from '../../codegen/coord.ts';
import { RegionEmitter, type RegionIO } from '../../codegen/expr.ts';
import { loadAt } from '../../codegen/gather.ts';
import type { KBuffer, KExpr } from '../../codegen/kernel.ts';
import { Scope } from '../../codegen/scope.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import type { Op, Region, Value } from '../../ir/ir.ts';
import { ints2, ints4, num } from '../../ir/ops/attrs.ts';
import { tileGroups } from '../../ir/passes/fuse-epilogue.ts';
import { conv2dCalls, conv2dInputGradCalls, conv2dWeightGradCalls, convSpec } from './conv.ts';
import type { EmitTile, Epilogue, Source, Tile } from './epilogue.ts';
import { sourceOf, storeTo } from './epilogue.ts';
import { matmulCalls, matmulSpec } from './matmul.ts';
import { originsOf, storeAt } from './region.ts';

const CORES: ReadonlySet<string> = new Set(['matmul', 'conv2d', 'conv2d_input_grad', 'conv2d_weight_grad']);

/** The kernels of a fusion around a contraction. */
export function contractionKernels(
  op: Op,
  target: Target,
  lasting: (v: Value) => Lasting = () => null,
): readonly KernelCall[] {
  const region = op.regions[0]!;
  const core = region.ops.find((o) => CORES.has(o.kind))!;
  const [x, y] = core.operands.map((v) => op.operands[region.params.indexOf(v)]!) as [Value, Value];
  const source = (value: Value, name: string): Source => ({
    ...sourceOf({ kind: 'value', value }, value.type.elem, name),
    lasts: lasting(value),
  });
  const left = source(x, 'a');
  const right = source(y, 'b');
  const epilogue = epilogueOf(op, region, core, target);
  const calls = callsOf(core, x, y, left, right, epilogue, target, originsOf(op));
  // The first that does not make ready multiplies; where there is another it adds parts.
  const main = calls.findIndex((c) => !c.prepares);
  return calls.map((c, i) => (i === main ? { ...c, flops: flopsOf(core) } : c));
}

/** Two for each multiplication and addition, those with padding included. */
function flopsOf(core: Op): Dim {
  const [a, b] = core.operands.map((v) => v.type.shape) as [readonly Dim[], readonly Dim[]];
  const out = core.results[0]!.type.shape;
  switch (core.kind) {
    case 'matmul':
      return D.product([2, ...out, a.at(core.attrs['transpose_a'] === true ? -2 : -1)!]);
    case 'conv2d': // each result: a kernel's worth
      return D.product([2, ...out, ...b.slice(1)]);
    case 'conv2d_input_grad': // each gradient of a result: a kernel's worth
      return D.product([2, ...a, ...b.slice(1)]);
    default: // weight gradient: each gradient of a result meets a kernel's worth of weights
      return D.product([2, ...b, ...out.slice(1)]);
  }
}

function callsOf(
  core: Op,
  x: Value,
  y: Value,
  left: Source,
  right: Source,
  epilogue: Epilogue,
  target: Target,
  origins: ReturnType<typeof originsOf>,
): readonly KernelCall[] {
  const out = core.results[0]!.type;
  if (core.kind === 'matmul') {
    const spec = matmulSpec(x.type, y.type, core.attrs['transpose_a'] === true, core.attrs['transpose_b'] === true);
    return matmulCalls(spec, left, right, epilogue, target, origins);
  }
  const attrs = {
    stride: ints2(core.attrs, 'stride'),
    padding: ints4(core.attrs, 'padding'),
    dilation: ints2(core.attrs, 'dilation'),
    groups: num(core.attrs, 'groups'),
  };
  switch (core.kind) {
    case 'conv2d':
      return conv2dCalls(convSpec(x.type, y.type, out, attrs), left, right, epilogue, target, origins);
    case 'conv2d_input_grad':
      return conv2dInputGradCalls(convSpec(out, y.type, x.type, attrs), left, right, epilogue, target, origins);
    default:
      return conv2dWeightGradCalls(convSpec(x.type, out, y.type, attrs), left, right, epilogue, target, origins);
  }
}

function epilogueOf(op: Op, region: Region, core: Op, target: Target): Epilogue {
  const y = core.results[0]!;
  if (region.ops.length === 1) return storeTo({ kind: 'value', value: op.results[0]! }, y.type.elem);
  const writer = new EpilogueWriter(op, region, core);
  // A first run finds out which sizes the expressions ask for: parameters are declared before anything is emitted.
  const trial = new KernelBuilderWithSizes();
  const vec = K.coerce(0, { elem: 'f32', lanes: target.lanes });
  const one = trial.k.scalar('i');
  const emit = writer.bind(trial.k, [], (d) => trial.size(d));
  for (const acc of [vec, K.f32(0)]) emit(trial.k, { acc, batch: one, row: one, col: one, flat: one });
  const sizes = [...trial.sizes.values()];
  return {
    args: [...writer.args, ...sizes.map((size): CallArg => ({ kind: 'size', size }))],
    bind: (k) => writer.bind(k, sizes, null),
  };
}

class KernelBuilderWithSizes {
  readonly k: KernelBuilder = new K.KernelBuilder();
  readonly sizes = new Map<string, Dim>();

  size(d: Dim): KExpr {
    this.sizes.set(d.key, d);
    return K.i32(1);
  }
}

class EpilogueWriter {
  readonly args: readonly CallArg[];
  private readonly op: Op;
  private readonly region: Region;
  private readonly core: Op;
  /** Params of the region that the expressions read. */
  private readonly reads: readonly number[];

  constructor(op: Op, region: Region, core: Op) {
    this.op = op;
    this.region = region;
    this.core = core;
    const used = new Set(region.ops.flatMap((o) => (o === core ? [] : o.operands)));
    this.reads = region.params.flatMap((p, i) => (used.has(p) ? [i] : []));
    this.args = [...this.reads.map((i) => op.operands[i]!), ...op.results].map((value): CallArg => ({
      kind: 'value',
      value,
    }));
  }

  bind(k: KernelBuilder, sizes: readonly Dim[], unknown: ((d: Dim) => KExpr) | null): EmitTile {
    const inputs = new Map<Value, KBuffer>();
    for (const i of this.reads) inputs.set(this.region.params[i]!, k.buffer('x', this.op.operands[i]!.type.elem));
    const outs = this.op.results.map((r) => k.buffer('out', r.type.elem, 'write'));
    const known = new Map(sizes.map((d) => [d.key, k.scalar('n')]));
    const size = (d: Dim): KExpr => known.get(d.key) ?? unknown!(d);
    const top = new Scope(k);
    const io = (scope: Scope): RegionIO => ({ load: (p, at) => loadAt(scope, inputs.get(p)!, at), size });
    // What is one number for the whole result is computed before the loops of the family.
    const first = new RegionEmitter(top, this.region, io(top));
    for (const o of this.region.ops) {
      if (o === this.core || o.results[0]!.type.shape.length > 0) continue;
      first.value(o.results[0]!, []);
    }
    return (b, tile) => {
      const scope = top.enter(b);
      this.emit(first.within(scope, io(scope)), tile, outs);
    };
  }

  private emit(e: RegionEmitter, tile: Tile, outs: readonly KBuffer[]): void {
    const at = this.place(tile);
    e.bind(this.core.results[0]!, at, e.rounded(this.core.results[0]!.type.elem, e.scope.share(tile.acc)));
    const values = this.region.results.map((v) => e.value(v, at));
    const flat = consecutive(tile.flat, tile.acc.type.lanes);
    values.forEach((v, i) => storeAt(e.scope, outs[i]!, flat, v));
  }

  /** Coordinates of the tile on the axes of the result: merged ones stand at their last axis. */
  private place(tile: Tile): readonly Coord[] {
    const rank = this.core.results[0]!.type.shape.length;
    const groups = tileGroups(this.core);
    const col = consecutive(tile.col, tile.acc.type.lanes);
    const parts = [uniform(tile.row), col];
    if (groups.length === 3) parts.unshift(uniform(tile.batch));
    const out = new Array<Coord>(rank).fill(ORIGIN);
    groups.forEach((g, i) => {
      const last = g[g.length - 1];
      if (last !== undefined) out[last] = parts[i]!;
    });
    return out;
  }
}
