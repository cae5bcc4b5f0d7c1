/** Evaluates symbolic sizes under a binding, and binds symbols from the shapes of arguments. */
import { THREADS, type SizeExpr } from './artifact.ts';

export type Binding = ReadonlyMap<string, number>;

export function evaluateSize(e: SizeExpr, binding: Binding): number {
  if (typeof e === 'number') return e;
  if (typeof e === 'string') {
    const v = binding.get(e) ?? (e === THREADS ? 1 : undefined);
    if (v === undefined) throw new Error(`size ${e} is not bound`);
    return v;
  }
  const a = evaluateSize(e[1], binding);
  const b = evaluateSize(e[2], binding);
  switch (e[0]) {
    case '+':
      return a + b;
    case '*':
      return a * b;
    case '/':
      return Math.floor(a / b);
    case '%':
      return a - Math.floor(a / b) * b;
    case 'min':
      return Math.min(a, b);
    case 'max':
      return Math.max(a, b);
  }
}

/** As a person writes it: `2 * B`, `(H + 2) / 2`. */
export function sizeText(e: SizeExpr): string {
  if (typeof e !== 'object') return String(e);
  const [op, a, b] = e;
  if (op === 'min' || op === 'max') return `${op}(${sizeText(a)}, ${sizeText(b)})`;
  const side = (x: SizeExpr): string => (typeof x === 'object' && op !== '+' ? `(${sizeText(x)})` : sizeText(x));
  return `${side(a)} ${op} ${side(b)}`;
}

/** [coefficient, symbol, rest] where `e` is linear in one symbol that is not bound yet: `T + 1`, `2 * H`. */
export function solveFor(e: SizeExpr, value: number, binding: Binding): readonly [string, number] | null {
  if (typeof e === 'number') return null;
  if (typeof e === 'string') return binding.has(e) ? null : [e, value];
  const [op, a, b] = e;
  if (op !== '+' && op !== '*') return null;
  const known = (x: SizeExpr): number | null => (isBound(x, binding) ? evaluateSize(x, binding) : null);
  const left = known(a);
  const right = known(b);
  if ((left === null) === (right === null)) return null;
  const constant = (left ?? right)!;
  const rest = op === '+' ? value - constant : constant === 0 ? NaN : value / constant;
  return Number.isInteger(rest) ? solveFor(left === null ? a : b, rest, binding) : null;
}

export const isBound = (e: SizeExpr, binding: Binding): boolean =>
  typeof e === 'number' || (typeof e === 'string' ? binding.has(e) : isBound(e[1], binding) && isBound(e[2], binding));

export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
