/**
 * Loops that became dimensions of the grid: their extents as sizes over the kernel's parameters, which the runtime evaluates
 * for each dispatch. A dimension may hold 65,535 workgroups: where an extent may exceed that, all dimensions are numbered
 * through one flat id that is laid out over x and y.
 */
import type { SizeExpr } from '../../runtime/artifact.ts';
import type { KBuffer, KExpr, KVar } from '../kernel.ts';

export type GridAxis = 'x' | 'y' | 'z';
export const GRID_AXES: readonly GridAxis[] = ['x', 'y', 'z'];

/** The smallest limit of any device, and the default. */
const MAX_PER_DIMENSION = 65535;

/** A loop over workgroups. */
export interface Extent {
  readonly from: KExpr;
  readonly to: KExpr;
  readonly step: number;
}

export interface Grid {
  /** Workgroups along x, y and z; symbols are the places of the kernel's parameters: "0", "1", ... */
  readonly extents: readonly [SizeExpr, SizeExpr, SizeExpr];
  /** Dispatch their product, laid out over x and y; the kernel takes it apart and returns where it overshoots. */
  readonly folded: boolean;
}

export function gridOf(workgroups: Partial<Record<GridAxis, Extent>>, params: readonly (KBuffer | KVar)[]): Grid {
  const [x = 1, y = 1, z = 1] = GRID_AXES.map((axis): SizeExpr => {
    const e = workgroups[axis];
    return e ? countOf(e, params) : 1;
  });
  const folded = [x, y, z].some((e) => typeof e !== 'number' || e > MAX_PER_DIMENSION);
  return { extents: [x, y, z], folded };
}

/** (to - from) / step, rounded up. */
function countOf({ from, to, step }: Extent, params: readonly (KBuffer | KVar)[]): SizeExpr {
  const length = sum(sizeOf(to, params), negative(sizeOf(from, params)));
  if (typeof length === 'number') return Math.max(0, Math.ceil(length / step));
  return ['max', 0, step === 1 ? length : ['/', sum(length, step - 1), step]];
}

function sizeOf(e: KExpr, params: readonly (KBuffer | KVar)[]): SizeExpr {
  if (e.k === 'const') return e.value;
  if (e.k === 'var') {
    const place = params.indexOf(e.var);
    if (place >= 0) return String(place);
  }
  if (e.k === 'bin') {
    const [a, b] = [sizeOf(e.a, params), sizeOf(e.b, params)];
    switch (e.op) {
      case 'add':
        return sum(a, b);
      case 'sub':
        return sum(a, negative(b));
      case 'mul':
        return ['*', a, b];
      case 'div':
        return ['/', a, b];
      case 'rem':
        return ['%', a, b];
      case 'min':
      case 'max':
        return [e.op, a, b];
      case 'shl':
      case 'shr':
        if (typeof b === 'number') return [e.op === 'shl' ? '*' : '/', a, 2 ** b];
    }
  }
  throw new Error('the bounds of a loop over workgroups are made of numbers and parameters');
}

const sum = (a: SizeExpr, b: SizeExpr): SizeExpr =>
  typeof a === 'number' && typeof b === 'number' ? a + b : a === 0 ? b : b === 0 ? a : ['+', a, b];
const negative = (a: SizeExpr): SizeExpr => (typeof a === 'number' ? (a === 0 ? 0 : -a) : ['*', -1, a]);
