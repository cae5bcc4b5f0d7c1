/** What `check --grad` asks of a block: do its stated gradients and its losses' gradients agree with differences of their values? */
import type { Elaborated } from './check/elaborated.ts';
import { IrBuilder } from './ir/builder.ts';
import { captures } from './ir/clone.ts';
import { checkGradient, randomFrom, type GradOutcome, type Random, type Effort } from './ir/gradcheck.ts';
import { interpret } from './ir/interpret.ts';
import type { Module, Op, Origin, Region, Value } from './ir/ir.ts';
import { ndarray, type NdArray } from './ir/ndarray.ts';
import { liveOps, reachable } from './ir/passes/dce.ts';
import { isLoss } from './ir/programs.ts';

export interface GradientCheck {
  readonly what: string;
  readonly origin: Origin;
  readonly outcome: GradOutcome;
}

export function checkGradients(block: Elaborated, seed: number, effort: Effort | null = null): GradientCheck[] {
  const random = randomFrom(seed);
  return [...stated(block, random, effort), ...losses(block, random, effort)];
}

const isFloat = (v: Value): boolean => ['f32', 'f16', 'bf16'].includes(v.type.elem);

/** Each `grad` once for each set of types that it is used with. */
function* stated(block: Elaborated, random: Random, effort: Effort | null): Generator<GradientCheck> {
  const seen = new Set<string>();
  const used = reachable(
    block.module,
    block.methods.flatMap((m) => [m.eval.func, m.training.func]),
  );
  for (const f of used.funcs.values()) {
    for (const { op, inside } of withGradients(f.body)) {
      const { file, start } = op.origin.span;
      const types = op.operands.map((v) => `${v.type.elem}[${v.type.shape.join()}]`).join();
      const key = `${file} ${start} ${types}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const alone = isolate(block.module, op, inside);
      if (!alone) continue;
      const outcome = checkGradient(alone.module, alone.func, alone.wrt, random, undefined, effort);
      yield { what: 'stated gradient', origin: op.origin, outcome };
    }
  }
}

function* withGradients(region: Region): Generator<{ op: Op; inside: Region }> {
  for (const op of region.ops) {
    if (op.kind === 'with_gradient') yield { op, inside: region };
    for (const r of op.regions) yield* withGradients(r);
  }
}

/** The function with the stated gradient by itself: from its arguments to a weighted sum of its results. */
function isolate(
  module: Module,
  op: Op,
  inside: Region,
): { module: Module; func: string; wrt: readonly number[] } | null {
  const inputs = [...new Set(op.operands.slice(op.results.length))];
  const cut = inside.ops.filter((o) => !o.results.some((r) => inputs.includes(r)));
  const ops = liveOps(cut.slice(0, cut.indexOf(op) + 1), op.results);
  const b = new IrBuilder(op.origin);
  let loss = b.constant(0);
  for (const [i, y] of op.results.entries()) {
    if (!isFloat(y)) continue;
    const axes = y.type.shape.map((_, axis) => axis);
    const wave = b.one('sin', [b.one('add', [b.one('cast', [y], { elem: 'f32' }), b.constant(0.3 + i)])]);
    loss = b.one('add', [loss, axes.length > 0 ? b.one('sum', [wave], { axes }) : wave]);
  }
  const body = { params: inputs, ops: [...ops, ...b.ops], results: [loss] };
  const free = [...captures(body)];
  const func = 'stated';
  const whole = { name: func, body: { ...body, params: [...inputs, ...free] }, checks: [], origin: op.origin };
  return { module: { funcs: new Map([...module.funcs, [func, whole]]) }, func, wrt: inputs.map((_, i) => i) };
}

/** Every method that could be trained, in training mode, by all parameters. Weights start where `init` puts them. */
function* losses(block: Elaborated, random: Random, effort: Effort | null): Generator<GradientCheck> {
  for (const m of block.methods) {
    const name = block.train?.loss ?? 'loss';
    if (m.name !== name || !isLoss(m)) continue;
    const f = m.training;
    const wrt = f.tensors.flatMap((t, i) => (block.tensors[t]!.trainable ? [i] : []));
    if (wrt.length === 0) continue;
    const start = (param: number): NdArray | null => {
      const t = block.tensors[f.tensors[param] ?? -1];
      if (!t) return null;
      const key = ndarray('u32', [2], [Math.floor(random() * 2 ** 32), 7]);
      const [drawn] = interpret(block.module, t.init, [key]);
      if (!t.trainable) return drawn!;
      // Initial zeros are special points; beside them nothing is.
      return { ...drawn!, data: drawn!.data.map((x) => x + 0.1 * (2 * random() - 1)) };
    };
    const outcome = checkGradient(block.module, f.func, wrt, random, start, effort);
    const given = m.given.length > 0 ? ` (${m.given.join(', ')})` : '';
    yield { what: `${m.name}${given}`, origin: m.origin, outcome };
  }
}
