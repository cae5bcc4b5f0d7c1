/** Puts the sizes that are given into a program; those that are left are arguments of its function in C. */
import { THREADS, type Program, type SizeExpr, type Slot, type TensorSpec } from '../../runtime/artifact.ts';
import { evaluateSize, isBound, type Binding } from '../../runtime/sizes.ts';

export function settled(p: Program, given: Binding): Program {
  // Standalone C runs on the thread that calls it.
  const dims = new Map([...given, [THREADS, 1]]);
  const size = (e: SizeExpr): SizeExpr => settleSize(e, dims);
  const spec = (s: TensorSpec): TensorSpec => ({ ...s, shape: s.shape.map(size) });
  const slot = (s: Slot): Slot => {
    if (s.kind === 'address') return { ...s, offset: size(s.offset) };
    return s.kind === 'size' ? { ...s, value: size(s.value) } : s;
  };
  return {
    ...p,
    symbols: p.symbols.filter((s) => !dims.has(s)),
    inputs: p.inputs.map((i) => (i.role === 'arg' ? { ...i, spec: spec(i.spec) } : i)),
    outputs: p.outputs.map((o) => ({
      ...o,
      offset: size(o.offset),
      ...(o.role === 'result' && { spec: spec(o.spec) }),
    })),
    buffers: p.buffers.map((b) => ({ ...b, bytes: size(b.bytes) })),
    slots: p.slots.map(slot),
    checks: p.checks.map((c) => ({ ...c, left: size(c.left), right: size(c.right) })),
  };
}

function settleSize(e: SizeExpr, dims: Binding): SizeExpr {
  if (isBound(e, dims)) return evaluateSize(e, dims);
  return typeof e === 'object' ? [e[0], settleSize(e[1], dims), settleSize(e[2], dims)] : e;
}

/** Its sizes are numbers. */
export const isFixed = (p: Program): boolean => p.symbols.length === 0;

/** Elements of a tensor. */
export const elements = (s: TensorSpec): SizeExpr => s.shape.reduce<SizeExpr>(times, 1);

export function times(a: SizeExpr, b: SizeExpr): SizeExpr {
  if (typeof a === 'number' && typeof b === 'number') return a * b;
  return a === 1 ? b : b === 1 ? a : ['*', a, b];
}
