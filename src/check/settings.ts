/** Settings that a library function gives as a record (`reduce_on_plateau(patience: 3)`), as plain data, each in its range. */
import type { Span } from '../parser/ast.ts';
import { report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { numberOf, type Val } from './values.ts';

export interface Range {
  readonly wanted: string;
  readonly holds: (x: number) => boolean;
}

/** Null where the value is no record of that type. A number out of its range is reported, and comes along. */
export function settingsOf(
  cx: Cx,
  v: Val,
  type: string,
  ranges: Readonly<Record<string, Range>>,
  span: Span,
): Readonly<Record<string, number | string>> | null {
  if (v.kind !== 'record' || v.name !== type) return null;
  const out: Record<string, number | string> = {};
  for (const [name, field] of v.fields) {
    const x = field.kind === 'string' ? field.value : numberOf(field);
    if (x === null) return null;
    const range = ranges[name];
    if (typeof x === 'number' && (range ? !range.holds(x) : !Number.isFinite(x))) {
      const wanted = range?.wanted ?? 'a finite number';
      report(cx, 'type_mismatch', { what: `\`${name}\``, wanted, found: describe(field) }, span);
    }
    out[name] = x;
  }
  return out;
}
