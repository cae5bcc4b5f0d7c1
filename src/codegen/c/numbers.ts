/** Numbers made of hyper-parameters, in C: double precision, as `runtime/numbers.ts` computes them. */
import type { NumberExpr } from '../../runtime/artifact.ts';
import type { NumberOp } from '../../runtime/numbers.ts';

const CALLS: Partial<Record<NumberOp, string>> = { min: 'fmin', max: 'fmax', abs: 'fabs' };

/** A literal of C. */
export function double(x: number): string {
  if (Number.isNaN(x)) return '(0.0 / 0.0)';
  if (!Number.isFinite(x)) return x > 0 ? 'HUGE_VAL' : '(-HUGE_VAL)';
  return /[.e]/.test(String(x)) ? String(x) : `${x}.0`;
}

export function numberInC(e: NumberExpr, variable: (name: string) => string): string {
  if (typeof e === 'number') return `(${double(e)})`;
  if (typeof e === 'string') return variable(e);
  const [op, x, y] = e;
  const a = numberInC(x, variable);
  const b = y === undefined ? '' : numberInC(y, variable);
  switch (op) {
    case '+':
    case '-':
    case '*':
    case '/':
      return `(${a} ${op} ${b})`;
    case '%':
      return `(${a} - floor(${a} / ${b}) * ${b})`;
    case 'neg':
      return `(-${a})`;
    case 'rsqrt':
      return `(1.0 / sqrt(${a}))`;
    default:
      return `${CALLS[op] ?? op}(${b === '' ? a : `${a}, ${b}`})`;
  }
}

/** A literal of single precision. */
export function float(x: number): string {
  const text = String(Math.fround(x));
  return `${/[.e]/.test(text) ? text : `${text}.0`}f`;
}
