/**
 * `rearrange`, `reduce` and `repeat` with the patterns of einops (Rogozhnikov 2022, https://einops.rocks): the dims of x are
 * taken apart, put in another order, reduced or repeated, and put together, as reshapes around one transpose.
 */
import { listOf } from '../diagnostics/words.ts';
import { didYouMean } from '../diagnostics/index.ts';
import * as D from '../ir/dim.ts';
import type { Arg, Span } from '../parser/ast.ts';
import { at, refuse, report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { evalValue } from './evaluate.ts';
import { parsePattern, type Term } from './pattern.ts';
import { ellipsis, isEllipsis, PatternText, shown, tensorArg, type Label } from './pattern-call.ts';
import { constantOf, emitOne, fill, requireEqual, reshape } from './tensor.ts';
import { intVal, isPoison, POISON, type TensorVal, type Val } from './values.ts';

export const EINOPS = ['rearrange', 'reduce', 'repeat'] as const;
export type EinopsName = (typeof EINOPS)[number];
export const isEinops = (name: string): name is EinopsName => EINOPS.some((known) => known === name);

const REDUCTIONS = ['mean', 'sum', 'max', 'min', 'prod'] as const;
type Reduction = (typeof REDUCTIONS)[number];

/** What the pattern comes to: x as `taken`, its axes in the order of `right`; an axis that is not there is new or reduced. */
interface Plan {
  readonly taken: readonly string[];
  readonly right: readonly (readonly string[])[];
}

export function callEinops(cx: Cx, callee: EinopsName, args: readonly Arg[], span: Span): Val {
  const order = ['x', 'pattern', ...(callee === 'reduce' ? ['reduction'] : [])];
  const given = new Map<string, Arg>();
  const lengths: Arg[] = [];
  let next = 0;
  for (const arg of args) {
    const name = arg.name?.name ?? order[next++];
    if (name === undefined)
      return report(
        cx,
        'too_many_arguments',
        { callee: `\`${callee}\``, count: `${order.length} without a name` },
        arg.span,
      );
    if (order.includes(name)) given.set(name, arg);
    else lengths.push(arg);
  }
  const missing = order.find((name) => !given.has(name));
  if (missing !== undefined) return report(cx, 'missing_argument', { callee: `\`${callee}\``, name: missing }, span);
  const x = tensorArg(cx, callee, given.get('x')!);
  const text = PatternText.read(cx, callee, given.get('pattern')!, parsePattern);
  const reduction = callee === 'reduce' ? reductionOf(cx, given.get('reduction')!) : 'sum';
  if (!x || !text || !reduction || !readLengths(text, callee, lengths)) return POISON;
  const plan = read(text, callee, x, given.get('x')!.span);
  return plan ? lower(text, plan, reduction, x, span) : POISON;
}

function reductionOf(cx: Cx, arg: Arg): Reduction | null {
  const v = evalValue(cx, arg.value);
  const found = REDUCTIONS.find((r) => v.kind === 'string' && v.value === r);
  if (found || isPoison(v)) return found ?? null;
  const wanted = `one of ${REDUCTIONS.map((r) => `"${r}"`).join(', ')}`;
  return refuse(cx, 'type_mismatch', { what: '`reduction` of `reduce`', wanted, found: describe(v) }, arg.span);
}

/** `p: 2`: lengths of names that the pattern mentions. */
function readLengths(text: PatternText, callee: string, lengths: readonly Arg[]): boolean {
  const { cx, pattern } = text;
  const names = [...pattern.inputs, pattern.output].flatMap(namesIn);
  return lengths.every((arg) => {
    const { name } = arg.name!;
    if (!names.includes(name)) {
      const help = didYouMean(name, names) ?? `the pattern has ${listOf([...new Set(names)], 'and')}`;
      return refuse(cx, 'unknown_argument', { callee: `\`${callee}\``, name }, arg.name!.span, { help });
    }
    const v = evalValue(cx, arg.value);
    if (v.kind !== 'int') {
      if (isPoison(v)) return false;
      return refuse(
        cx,
        'type_mismatch',
        { what: `\`${name}\` of the pattern`, wanted: 'an int', found: describe(v) },
        arg.span,
      );
    }
    if (v.dim.value !== null && v.dim.value < 1)
      return refuse(cx, 'pattern_size', { fault: `\`${name}\` must be at least 1, not ${v.dim}` }, arg.span);
    text.sizes.set(name, { dim: v.dim, from: arg.span });
    return true;
  });
}

const namesIn = (term: Term): string[] =>
  term.places.flatMap((p) => p.axes.flatMap((a) => (a.kind === 'name' ? [a.name] : [])));

/** Sizes of all names, and what comes from where; null after a report. */
function read(text: PatternText, callee: EinopsName, x: TensorVal, span: Span): Plan | null {
  const [left] = text.pattern.inputs;
  const places = text.fit(left!, x);
  if (!places) return null;
  const taken: string[] = [];
  for (const [i, axes] of places.entries()) {
    const labels: Label[] = [];
    let known = D.dim(1);
    for (const a of axes) {
      if ('name' in a) {
        if (taken.includes(a.name)) return text.wrong(a, `\`${a.name}\` is twice on the left`);
        taken.push(a.name);
        labels.push(a);
        continue;
      }
      known = D.mul(known, a.length);
      if (a.length === 1) continue;
      // An anonymous dim can only be reduced.
      if (callee !== 'reduce') return text.wrong(a, `a length on the left of ${callee} needs a name`);
      const name = `${a.length}@${a.at}`;
      text.sizes.set(name, { dim: D.dim(a.length), from: null });
      taken.push(name);
    }
    if (!split(text, axes, labels, known, x, i, span)) return null;
  }
  const rank = places.flat().filter((a) => 'name' in a && isEllipsis(a.name)).length;
  return result(text, callee, taken, rank);
}

/** Dim i of x is the product of its names: one that has no size gets what is left. */
function split(
  text: PatternText,
  axes: readonly { readonly at: number; readonly end: number }[],
  labels: readonly Label[],
  lengths: D.Dim,
  x: TensorVal,
  i: number,
  span: Span,
): boolean {
  const { cx, sizes } = text;
  const dim = x.value.type.shape[i]!;
  const from = x.from[i] ?? span;
  const open = labels.filter((l) => !sizes.has(l.name));
  if (open.length > 1) {
    const names = open.map((l) => l.name);
    const fault = `${listOf(names, 'and')} have no size: give ${names.length > 2 ? 'all but one' : 'one'}, as in \`${names[0]}: 2\``;
    return text.wrong(open[0]!, fault) !== null;
  }
  const known = labels.reduce((p, l) => (sizes.has(l.name) ? D.mul(p, text.size(l.name)) : p), lengths);
  const [rest] = open;
  if (rest) sizes.set(rest.name, { dim: D.div(dim, known), from });
  const whole = rest ? D.mul(known, text.size(rest.name)) : known;
  const place = axes.length === 0 ? text.pattern.inputs[0]! : { at: axes[0]!.at, end: axes.at(-1)!.end };
  const fault = rest
    ? `dim ${i} of ${describe(x)}, which is ${dim}, is no multiple of ${known}`
    : `dim ${i} of ${describe(x)} is ${dim}, the pattern gives it ${known}`;
  const related = at([x.from[i], `${dim} comes from here`]);
  return requireEqual(cx, whole, dim, 'pattern_size', { fault }, text.place(place), related);
}

/** The right side: every name once, new ones for `repeat` only, none lost but by `reduce`. */
function result(text: PatternText, callee: EinopsName, taken: readonly string[], rank: number): Plan | null {
  const seen = new Set<string>();
  const right: (readonly string[])[] = [];
  for (const p of text.pattern.output.places) {
    const group: string[] = [];
    for (const a of p.axes) {
      if (a.kind === 'ellipsis') {
        if (!hasEllipsis(text.pattern.inputs[0]!)) return text.wrong(a, '`...` is not on the left');
        const labels = ellipsis(a, rank).map((l) => l.name);
        labels.forEach((name) => seen.add(name));
        if (p.grouped) group.push(...labels);
        else right.push(...labels.map((name) => [name]));
        continue;
      }
      if (a.kind === 'length') {
        if (a.length === 1) continue;
        if (callee !== 'repeat') return text.wrong(a, `a length on the right of ${callee} would be new`);
        const name = `${a.length}@${a.at}`;
        text.sizes.set(name, { dim: D.dim(a.length), from: null });
        group.push(name);
        continue;
      }
      if (seen.has(a.name)) return text.wrong(a, `\`${a.name}\` is twice on the right`);
      seen.add(a.name);
      if (!taken.includes(a.name)) {
        if (callee !== 'repeat') return text.wrong(a, `\`${a.name}\` is not on the left`, taken, a.name);
        if (!text.sizes.has(a.name))
          return text.wrong(a, `\`${a.name}\` is new and has no size: give it, as in \`${a.name}: 2\``, taken, a.name);
      }
      group.push(a.name);
    }
    if (p.grouped || group.length > 0 || p.axes[0]?.kind === 'length') right.push(group);
  }
  const lost = callee === 'reduce' ? undefined : taken.find((name) => !seen.has(name));
  if (lost === undefined) return { taken, right };
  const mark = text.pattern.inputs[0]!.places.flatMap((p) => p.axes).find((a) =>
    a.kind === 'name' ? a.name === lost : a.kind === 'ellipsis' && isEllipsis(lost),
  );
  return text.wrong(mark!, `\`${shown(lost)}\` is not on the right; only \`reduce\` drops a dim`, seen, lost);
}

const hasEllipsis = (term: Term): boolean => term.places.some((p) => p.axes.some((a) => a.kind === 'ellipsis'));

function lower(text: PatternText, plan: Plan, reduction: Reduction, x: TensorVal, span: Span): Val {
  const { cx } = text;
  const size = (name: string): D.Dim => text.size(name);
  const order = plan.right.flat();
  let v: Val = reshape(cx, x, plan.taken.map(size), span);
  const axes = plan.taken.flatMap((name, i) => (order.includes(name) ? [] : [i]));
  if (axes.length > 0 && v.kind === 'tensor') v = reduceAxes(cx, v, axes, reduction, span);
  const kept = plan.taken.filter((name) => order.includes(name));
  const old = order.filter((name) => kept.includes(name));
  const perm = old.map((name) => kept.indexOf(name));
  if (v.kind === 'tensor' && perm.some((p, i) => p !== i)) v = emitOne(cx, 'transpose', [v], { perm }, span);
  if (v.kind === 'tensor' && order.length > old.length) {
    v = reshape(
      cx,
      v,
      order.map((name) => (kept.includes(name) ? size(name) : D.dim(1))),
      span,
    );
    if (v.kind === 'tensor') v = fill(cx, v, order.map(size), span);
  }
  if (v.kind !== 'tensor') return POISON;
  const from = plan.right.map((group) => (group.length === 1 ? (text.sizes.get(group[0]!)?.from ?? span) : span));
  const made = reshape(
    cx,
    v,
    plan.right.map((group) => D.product(group.map(size))),
    span,
  );
  return made.kind === 'tensor' ? { ...made, from } : made;
}

function reduceAxes(cx: Cx, x: TensorVal, axes: readonly number[], reduction: Reduction, span: Span): Val {
  const { elem, shape } = x.value.type;
  if (reduction !== 'mean') return emitOne(cx, reduction, [x], { axes }, span);
  if (elem !== 'f32' && elem !== 'f16' && elem !== 'bf16')
    return report(
      cx,
      'type_mismatch',
      { what: 'what `reduce` takes the mean of', wanted: 'floats', found: describe(x) },
      span,
    );
  const total = emitOne(cx, 'sum', [x], { axes }, span);
  const n = constantOf(cx, intVal(D.product(axes.map((a) => shape[a]!))), elem, span);
  return total.kind === 'tensor' && n.kind === 'tensor' ? emitOne(cx, 'div', [total, n], {}, span) : POISON;
}
