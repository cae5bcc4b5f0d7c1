/** `x[i, 1:-1, none, ...]`: items of lists, and slices of tensors as `slice`, `take` and `reshape`. */
import { count } from '../diagnostics/words.ts';
import * as D from '../ir/dim.ts';
import type { Expr, IndexExpr, Span, Subscript } from '../parser/ast.ts';
import { at, originOf, report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { evalValue, memberOf } from './evaluate.ts';
import { addCheck, compareAtLeast, emitOne, fill, reshape, toTensor } from './tensor.ts';
import { isPoison, POISON, tupleVal, listVal, type TensorVal, type Val, isNumber } from './values.ts';

export function evalIndex(cx: Cx, e: IndexExpr): Val {
  const object = evalValue(cx, e.object);
  switch (object.kind) {
    case 'poison':
      return POISON;
    case 'tensor':
      return indexTensor(cx, object, e.items, e.span);
    case 'tuple':
    case 'list':
      return indexList(cx, object, e);
    case 'instance':
      return indexInstance(cx, object, e);
    default:
      return report(cx, 'not_indexable', { found: describe(object) }, e.object.span);
  }
}

function indexList(cx: Cx, v: Val & { kind: 'tuple' | 'list' }, e: IndexExpr): Val {
  const [item] = e.items;
  if (!item || e.items.length !== 1)
    return report(cx, 'not_indexable', { found: `${describe(v)} with ${e.items.length} indices` }, e.span);
  if (item.kind === 'slice') {
    const [start, stop, step] = [item.start, item.stop, item.step].map((x) => (x ? staticInt(cx, x) : null));
    if (start === undefined || stop === undefined || step === undefined) return POISON;
    if (step === 0) return report(cx, 'bad_step', { what: 'a slice', step }, item.step!.span);
    const picked = sliceList(v.items, start, stop, step);
    return v.kind === 'tuple' ? tupleVal(picked) : listVal(picked);
  }
  if (item.kind !== 'at') return report(cx, 'not_indexable', { found: describe(v) }, item.span);
  const i = staticInt(cx, item.value);
  if (i === undefined) return POISON;
  const found = v.items[i < 0 ? i + v.items.length : i];
  return (
    found ??
    report(cx, 'index_out_of_range', { index: i, what: describe(v), size: count(v.items.length, 'item') }, item.span)
  );
}

function sliceList(
  items: readonly Val[],
  start: number | null,
  stop: number | null,
  step: number | null,
): readonly Val[] {
  const n = items.length;
  const by = step ?? 1;
  // Backwards, a slice starts at the last item and ends before the first.
  const [low, high] = by > 0 ? [0, n] : [-1, n - 1];
  const clip = (x: number | null, otherwise: number): number =>
    x === null ? otherwise : Math.max(low, Math.min(high, x < 0 ? x + n : x));
  const out: Val[] = [];
  const end = clip(stop, by > 0 ? n : -1);
  for (let i = clip(start, by > 0 ? 0 : n - 1); by > 0 ? i < end : i > end; i += by) out.push(items[i]!);
  return out;
}

function indexInstance(cx: Cx, v: Val & { kind: 'instance' }, e: IndexExpr): Val {
  const [item] = e.items;
  if (v.inst.kind === 'block') {
    return report(cx, 'not_indexable', { found: describe(v) }, e.span, { help: 'a layer is called with parentheses' });
  }
  if (item?.kind !== 'at' || e.items.length !== 1) return report(cx, 'not_indexable', { found: describe(v) }, e.span);
  const given = evalValue(cx, item.value);
  if (given.kind === 'tensor') return report(cx, 'layer_by_data', {}, item.span);
  const i = given.kind === 'int' ? given.dim.value : null;
  if (i === null)
    return isPoison(given) ? POISON : report(cx, 'not_static', { what: 'the index of a layer' }, item.span);
  return memberOf(cx, v.inst, i < 0 ? i + v.inst.children.length : i, item.span);
}

/** A compile-time int, or undefined after a report. */
function staticInt(cx: Cx, e: Expr): number | undefined {
  const v = evalValue(cx, e);
  if (v.kind === 'int' && v.dim.value !== null) return v.dim.value;
  if (!isPoison(v)) report(cx, 'not_static', { what: `an index into a list (${describe(v)})` }, e.span);
  return undefined;
}

// ---------------------------------------------------------------- tensors

/** What one subscript does to one axis of x. */
type Cut =
  | { readonly kind: 'keep' }
  | { readonly kind: 'new' }
  | {
      readonly kind: 'range';
      /** Where the step is negative, positions in the reversed axis. */
      readonly start: D.Dim;
      readonly stop: D.Dim;
      readonly step: number;
      readonly drop: boolean;
    }
  | { readonly kind: 'take'; readonly index: TensorVal; readonly span: Span };

function indexTensor(cx: Cx, x: TensorVal, items: readonly Subscript[], span: Span): Val {
  const cuts = readCuts(cx, x, items, span);
  if (!cuts) return POISON;
  let v: Val = sliceAxes(cx, x, cuts, span);
  // Indices of run time come after the slices, from the last axis, so that earlier axes keep their place.
  const axes = cuts.filter((c) => c.kind !== 'new');
  for (let axis = axes.length - 1; axis >= 0; axis--) {
    const c = axes[axis]!;
    if (c.kind === 'take' && v.kind === 'tensor') v = emitOne(cx, 'take', [v, c.index], { axis }, c.span);
  }
  if (v.kind !== 'tensor') return POISON;
  return reshape(cx, v, resultShape(v, cuts), span, null);
}

function resultShape(v: TensorVal, cuts: readonly Cut[]): D.Dim[] {
  const shape = v.value.type.shape;
  const out: D.Dim[] = [];
  let i = 0;
  for (const c of cuts) {
    if (c.kind === 'new') out.push(D.dim(1));
    else if (c.kind === 'take') for (let k = 0; k < c.index.value.type.shape.length; k++) out.push(shape[i++]!);
    else if (c.kind === 'range' && c.drop) i++;
    else out.push(shape[i++]!);
  }
  return out;
}

function sliceAxes(cx: Cx, x: TensorVal, cuts: readonly Cut[], span: Span): Val {
  const shape = x.value.type.shape;
  const axes = cuts.filter((c) => c.kind !== 'new');
  if (axes.every((c) => c.kind !== 'range')) return x;
  const turned = axes.flatMap((c, i) => (c.kind === 'range' && c.step < 0 ? [i] : []));
  const from = turned.length > 0 ? emitOne(cx, 'flip', [x], { axes: turned }, span) : x;
  if (from.kind !== 'tensor') return from;
  const start = axes.map((c) => (c.kind === 'range' ? c.start : D.dim(0)));
  const stop = axes.map((c, i) => (c.kind === 'range' ? c.stop : shape[i]!));
  const step = axes.map((c) => (c.kind === 'range' ? Math.abs(c.step) : 1));
  return emitOne(cx, 'slice', [from], { start, stop, step }, span);
}

/** One cut per axis of x, and one for each new axis; null after a report. */
function readCuts(cx: Cx, x: TensorVal, items: readonly Subscript[], span: Span): Cut[] | null {
  const shape = x.value.type.shape;
  const used = items.filter((i) => i.kind === 'at' || i.kind === 'slice').length;
  if (used > shape.length) {
    report(cx, 'too_many_indices', { count: used, found: describe(x) }, span, {
      related: at([x.from[0], 'its shape comes from here']),
    });
    return null;
  }
  const ellipses = items.filter((i) => i.kind === 'ellipsis').length;
  if (ellipses > 1) {
    report(cx, 'two_ellipses', {}, span);
    return null;
  }
  const cuts: Cut[] = [];
  let axis = 0;
  let ok = true;
  const keep = (n: number): void => {
    for (let k = 0; k < n; k++, axis++) cuts.push({ kind: 'keep' });
  };
  for (const item of items) {
    if (item.kind === 'newaxis') cuts.push({ kind: 'new' });
    else if (item.kind === 'ellipsis') keep(shape.length - used);
    else {
      const cut = item.kind === 'at' ? indexCut(cx, x, axis, item.value, item.span) : sliceCut(cx, x, axis, item);
      if (cut) cuts.push(cut);
      else ok = false;
      axis++;
    }
  }
  keep(shape.length - axis);
  const taken = cuts.flatMap((c) => (c.kind === 'take' && c.index.value.type.shape.length > 0 ? [c.span] : []));
  if (taken.length > 1) {
    report(cx, 'paired_indices', { count: taken.length }, taken[1]!, { related: at([taken[0], 'the first one']) });
    return null;
  }
  return ok ? cuts : null;
}

function indexCut(cx: Cx, x: TensorVal, axis: number, e: Expr, span: Span): Cut | null {
  const size = x.value.type.shape[axis]!;
  const v = evalValue(cx, e);
  if (isPoison(v)) return null;
  if (v.kind === 'int') {
    const start = fromEnd(v.dim, size);
    if (!inside(cx, start, D.sub(size, D.add(start, 1)), v.dim, size, x, axis, span)) return null;
    return { kind: 'range', start, stop: D.add(start, 1), step: 1, drop: true };
  }
  if (v.kind === 'tensor' && (v.value.type.elem === 'i32' || v.value.type.elem === 'u32'))
    return { kind: 'take', index: v, span };
  const mask = v.kind === 'tensor' && v.value.type.elem === 'bool';
  report(cx, 'bad_index', { found: describe(v) }, span, mask ? { help: BY_MASK } : {});
  return null;
}

const BY_MASK =
  'how many are true is known only to the data, and sizes are not data: choose per element with `where(mask, a, b)` or `masked_fill(x, mask, value)`';

function sliceCut(cx: Cx, x: TensorVal, axis: number, item: Subscript & { kind: 'slice' }): Cut | null {
  const size = x.value.type.shape[axis]!;
  if (!item.start && !item.stop && !item.step) return { kind: 'keep' };
  const read = (e: Expr): D.Dim | null => {
    const v = evalValue(cx, e);
    if (v.kind === 'int') return fromEnd(v.dim, size);
    if (!isPoison(v)) report(cx, 'bad_slice', { found: describe(v) }, e.span);
    return null;
  };
  const step = item.step ? staticInt(cx, item.step) : 1;
  if (step === undefined) return null;
  if (step === 0) {
    report(cx, 'bad_step', { what: 'a slice', step }, item.step!.span);
    return null;
  }
  const last = D.sub(size, 1);
  // Backwards is forwards in the reversed axis.
  const turn = (d: D.Dim | null): D.Dim | null => d && (step < 0 ? D.sub(last, d) : d);
  const start = item.start ? turn(read(item.start)) : D.dim(0);
  const stop = start && (item.stop ? turn(read(item.stop)) : size);
  if (!start || !stop) return null;
  if (!inside(cx, start, D.sub(size, stop), stop, size, x, axis, item.span)) return null;
  if (!inside(cx, start, D.sub(stop, start), start, size, x, axis, item.span)) return null;
  return { kind: 'range', start, stop, step, drop: false };
}

/** Negative positions count from the end. A symbolic one with a negative constant, such as `T - 1`, counts from the front. */
const fromEnd = (d: D.Dim, size: D.Dim): D.Dim => (d.value !== null && d.value < 0 ? D.add(size, d) : d);

/** Slices do not clamp: the start must be at least 0 and the rest must not be negative. */
function inside(
  cx: Cx,
  start: D.Dim,
  rest: D.Dim,
  asked: D.Dim,
  size: D.Dim,
  x: TensorVal,
  axis: number,
  span: Span,
): boolean {
  for (const d of [start, rest]) {
    const verdict = compareAtLeast(d, D.dim(0));
    if (verdict === 'yes') continue;
    const message = { index: asked.key, axis, size: size.key, found: describe(x) };
    if (verdict === 'no') {
      report(cx, 'slice_outside', message, span, { related: at([x.from[axis], `${size} comes from here`]) });
      return false;
    }
    if (cx.fn) {
      const text = `position ${asked} lies outside dim ${axis} of ${describe(x)}, whose size is ${size}`;
      addCheck(cx.fn, {
        kind: 'atLeast',
        left: d,
        right: D.dim(0),
        message: cx.path ? `${text} (in ${cx.path})` : text,
        origin: originOf(cx, span),
      });
    }
  }
  return true;
}

// ---------------------------------------------------------------- pure updates

/** `out[:, t] = v` as a value: `out` with a part replaced. Compile-time positions cut and join; a run-time one is `put`. */
export function updateAt(cx: Cx, x: TensorVal, items: readonly Subscript[], given: Val, span: Span): Val {
  const cuts = readCuts(cx, x, items, span);
  if (!cuts) return POISON;
  const made = isNumber(given) ? toTensor(cx, given, span, x.value.type.elem) : toTensor(cx, given, span);
  if (made.kind !== 'tensor') return POISON;
  if (cuts.some((c) => c.kind === 'new')) return report(cx, 'bad_index', { found: '`none` in an assignment' }, span);
  const shape = x.value.type.shape;
  // The value, with the dims that an index dropped back in as 1, then spread over the part.
  const part = cuts.map((c, i) =>
    c.kind === 'range' ? (c.drop ? D.dim(1) : sliced(c)) : c.kind === 'take' ? D.dim(1) : shape[i]!,
  );
  const kept = cuts.flatMap((c, i) => ((c.kind === 'range' && c.drop) || c.kind === 'take' ? [] : [part[i]!]));
  const flat = made.value.type.shape.length === kept.length ? made : fill(cx, made, kept, span);
  if (flat.kind !== 'tensor') return POISON;
  const spread = fill(cx, flat, kept, span);
  if (spread.kind !== 'tensor') return POISON;
  const placed = reshape(cx, spread, part, span);
  if (placed.kind !== 'tensor') return POISON;
  for (const c of cuts)
    if (c.kind === 'take' && c.index.value.type.shape.length > 0)
      return report(cx, 'bad_index', { found: `${describe(c.index)} in an assignment` }, span);
  return replace(cx, x, cuts, 0, placed, span);
}

const sliced = (c: Cut & { kind: 'range' }): D.Dim =>
  D.div(D.add(D.sub(c.stop, c.start), Math.abs(c.step) - 1), Math.abs(c.step));

/** Axis by axis: the part of x that the cut names is replaced inside, and joined with what lies before and after. */
function replace(cx: Cx, x: TensorVal, cuts: readonly Cut[], axis: number, v: TensorVal, span: Span): Val {
  const c = cuts[axis];
  if (!c) return v;
  const shape = x.value.type.shape;
  if (c.kind === 'keep') return replace(cx, x, cuts, axis + 1, v, span);
  if (c.kind === 'range' && c.step !== 1)
    return report(cx, 'bad_step', { what: 'the target of an assignment', step: c.step }, span, {
      help: 'assign to each position in a loop',
    });
  if (c.kind === 'take') {
    const rest = shape.filter((_, i) => i !== axis);
    // The slice as it is, unless all of it is replaced.
    const whole = cuts.slice(axis + 1).every((later) => later.kind === 'keep');
    const old = whole ? v : emitOne(cx, 'take', [x, c.index], { axis }, span);
    const line = old.kind === 'tensor' && !whole ? reshape(cx, old, shape.with(axis, D.dim(1)), span) : old;
    const inner = line.kind === 'tensor' ? replace(cx, line, cuts, axis + 1, v, span) : line;
    const slice = inner.kind === 'tensor' ? reshape(cx, inner, rest, span) : inner;
    return slice.kind === 'tensor' ? emitOne(cx, 'put', [x, c.index, slice], { axis }, span) : POISON;
  }
  if (c.kind !== 'range') return POISON;
  const cut = (start: D.Dim, stop: D.Dim): Val => {
    const from = shape.map((_, i) => (i === axis ? start : D.dim(0)));
    const to = shape.map((d, i) => (i === axis ? stop : d));
    return emitOne(cx, 'slice', [x], { start: from, stop: to, step: shape.map(() => 1) }, span);
  };
  const middle = cut(c.start, c.stop);
  if (middle.kind !== 'tensor') return POISON;
  const inner = replace(cx, middle, cuts, axis + 1, v, span);
  const parts: Val[] = [];
  if (c.start.value !== 0) parts.push(cut(D.dim(0), c.start));
  parts.push(inner);
  if (!D.same(c.stop, shape[axis]!)) parts.push(cut(c.stop, shape[axis]!));
  const tensors = parts.flatMap((p) => (p.kind === 'tensor' ? [p] : []));
  if (tensors.length !== parts.length) return POISON;
  return tensors.length === 1 ? tensors[0]! : emitOne(cx, 'concat', tensors, { axis }, span);
}
