/**
 * `einsum("b h i d, b h j d -> b h i j", q, k)`: products of tensors, summed over the names that do not come out. Two tensors
 * at a time: names that only one of them has are summed first, a shared one that is summed makes a matrix product, and
 * tensors are turned only where no form of the product takes them as they lie.
 */
import * as D from '../ir/dim.ts';
import type { Arg, Span } from '../parser/ast.ts';
import { report, type Cx } from './context.ts';
import { describe } from './describe.ts';
import { parseEinsum, type Pattern } from './pattern.ts';
import { PatternText, tensorArg, type Label } from './pattern-call.ts';
import { emitOne, reshape } from './tensor.ts';
import { POISON, type TensorVal, type Val } from './values.ts';

/** A tensor with a name for each dim. */
interface Named {
  readonly x: TensorVal;
  readonly names: readonly string[];
}

export function callEinsum(cx: Cx, args: readonly Arg[], span: Span): Val {
  const named = args.find((a) => a.name);
  if (named?.name) return report(cx, 'unknown_argument', { callee: '`einsum`', name: named.name.name }, named.span);
  const [first, ...rest] = args;
  if (!first) return report(cx, 'missing_argument', { callee: '`einsum`', name: 'pattern' }, span);
  const text = PatternText.read(cx, 'einsum', first, parseEinsum);
  const tensors = rest.map((a) => tensorArg(cx, 'einsum', a));
  if (!text || tensors.some((t) => t === null)) return POISON;
  return new Einsum(text, span).of(tensors as TensorVal[]);
}

class Einsum {
  private readonly text: PatternText;
  private readonly cx: Cx;
  private readonly pattern: Pattern;
  private readonly span: Span;

  constructor(text: PatternText, span: Span) {
    this.text = text;
    this.cx = text.cx;
    this.pattern = text.pattern;
    this.span = span;
  }

  of(tensors: readonly TensorVal[]): Val {
    const { inputs } = this.pattern;
    if (tensors.length !== inputs.length) {
      const fault = `describes ${inputs.length === 1 ? '1 tensor' : `${inputs.length} tensors`}, and ${tensors.length} ${tensors.length === 1 ? 'is' : 'are'} given`;
      const whole = { at: inputs[0]!.at, end: inputs.at(-1)!.end };
      return report(this.cx, 'bad_pattern', { fault }, this.text.place(whole));
    }
    const elem = tensors[0]!.value.type.elem;
    const other = tensors.find((t) => t.value.type.elem !== elem);
    if (other || elem === 'bool') {
      const wanted = elem === 'bool' ? 'numbers' : `${elem}, as the first`;
      return report(
        this.cx,
        'type_mismatch',
        { what: 'a tensor of `einsum`', wanted, found: describe(other ?? tensors[0]!) },
        this.span,
      );
    }
    const labelled = this.label(tensors);
    const wanted = labelled && this.output(labelled);
    if (!labelled || !wanted) return POISON;
    let rest = labelled.map((t) => this.diagonal(t));
    let [made, ...others] = rest as [Named, ...Named[]];
    for (rest = others; ; rest = others) {
      // What nobody needs any more is summed before anything is multiplied.
      const needed = new Set([...wanted, ...rest.flatMap((t) => t.names)]);
      made = this.sumOut(made, needed);
      const next = rest[0];
      if (!next) return this.turn(made, wanted);
      others = rest.slice(1);
      const later = new Set([...wanted, ...others.flatMap((t) => t.names)]);
      made = this.product(made, this.sumOut(next, new Set([...later, ...made.names])), later, wanted);
    }
  }

  /** Names and sizes of all tensors; a literal 1 under an ellipsis stretches and has no name. */
  private label(tensors: readonly TensorVal[]): Named[] | null {
    const out: Named[] = [];
    const all: { readonly label: Label; readonly dim: D.Dim; readonly from: Span | null }[][] = [];
    for (const [k, x] of tensors.entries()) {
      const places = this.text.fit(this.pattern.inputs[k]!, x);
      if (!places) return null;
      all.push(places.map(([l], i) => ({ label: l as Label, dim: x.value.type.shape[i]!, from: x.from[i] ?? null })));
    }
    const stretches = (name: string): boolean =>
      name.startsWith('.') && all.flat().some((a) => a.label.name === name && a.dim.value !== 1);
    for (const [k, dims] of all.entries()) {
      const kept = dims.filter((a) => a.dim.value !== 1 || !stretches(a.label.name));
      if (!kept.every((a) => this.text.bind(a.label, a.dim, a.from))) return null;
      const x = reshape(
        this.cx,
        tensors[k]!,
        kept.map((a) => a.dim),
        this.span,
      );
      if (x.kind !== 'tensor') return null;
      out.push({ x, names: kept.map((a) => a.label.name) });
    }
    return out;
  }

  /** The names that come out, in order. */
  private output(inputs: readonly Named[]): readonly string[] | null {
    const known = new Set(inputs.flatMap((t) => t.names));
    const dots = [...known]
      .filter((name) => name.startsWith('.'))
      .sort((a, b) => Number(b.slice(3)) - Number(a.slice(3)));
    const out: string[] = [];
    for (const { axes } of this.pattern.output.places) {
      const a = axes[0]!;
      if (a.kind === 'ellipsis') out.push(...dots);
      else if (a.kind === 'name') {
        if (out.includes(a.name)) return this.text.wrong(a, `\`${a.name}\` comes out twice`);
        if (!known.has(a.name)) return this.text.wrong(a, `\`${a.name}\` is in no tensor`, known, a.name);
        out.push(a.name);
      }
    }
    const lost = dots.length > 0 && !out.includes(dots[0]!);
    if (!lost) return out;
    const mark = this.pattern.inputs.flatMap((t) => t.places).find((p) => p.axes[0]?.kind === 'ellipsis')!;
    return this.text.wrong(mark, '`...` does not come out: name the dims that are summed');
  }

  /** "i i": the elements where both positions are equal, as a view: row i of [n, n + 1] after padding begins with element (i, i). */
  private diagonal(t: Named): Named {
    const twice = t.names.findIndex((name, i) => t.names.indexOf(name) !== i);
    if (twice < 0) return t;
    const name = t.names[twice]!;
    const rest = t.names.flatMap((other, i) =>
      other === name && (i === twice || i === t.names.indexOf(name)) ? [] : [i],
    );
    const shape = rest.map((i) => t.x.value.type.shape[i]!);
    const n = this.text.size(name);
    let x: Val = this.emit('transpose', t.x, { perm: [...rest, t.names.indexOf(name), twice] });
    x = this.shaped(x, [...shape, D.mul(n, n)]);
    const zeros = shape.map(() => D.dim(0));
    x = this.emit('pad', x, { low: [...zeros, D.dim(0)], high: [...zeros, n] });
    x = this.shaped(x, [...shape, n, D.add(n, 1)]);
    x = this.emit('slice', x, {
      start: [...zeros, D.dim(0), D.dim(0)],
      stop: [...shape, n, D.dim(1)],
      step: [...zeros.map(() => 1), 1, 1],
    });
    x = this.shaped(x, [...shape, n]);
    return this.diagonal({ x: x as TensorVal, names: [...rest.map((i) => t.names[i]!), name] });
  }

  private sumOut(t: Named, needed: ReadonlySet<string>): Named {
    const axes = t.names.flatMap((name, i) => (needed.has(name) ? [] : [i]));
    if (axes.length === 0) return t;
    return { x: this.emit('sum', t.x, { axes }), names: t.names.filter((name) => needed.has(name)) };
  }

  /** Both multiplied, and summed over the shared names that nobody needs later. */
  private product(a: Named, b: Named, later: ReadonlySet<string>, wanted: readonly string[]): Named {
    const shared = a.names.filter((name) => b.names.includes(name));
    const summed = shared.filter((name) => !later.has(name));
    const own = (t: Named): string[] => t.names.filter((name) => !shared.includes(name));
    const float = a.x.value.type.elem.includes('f');
    const order = (names: readonly string[]): string[] => [
      ...wanted.filter((name) => names.includes(name)),
      ...names.filter((name) => !wanted.includes(name)),
    ];
    if (summed.length === 0 || !float || own(a).length + own(b).length === 0) {
      const names = order([...new Set([...a.names, ...b.names])]);
      const x = this.emit('mul', this.spread(a, names), {}, this.spread(b, names));
      return this.sumOut({ x, names }, later);
    }
    const batch = order(shared.filter((name) => later.has(name)));
    const first = own(a)[0];
    const swap = first !== undefined && own(b)[0] !== undefined && wanted.indexOf(own(b)[0]!) < wanted.indexOf(first);
    const [l, r] = swap ? [b, a] : [a, b];
    const [left, right] = [order(own(l)), order(own(r))];
    // The order of summed names is that of a tensor that then need not be turned.
    const inner = [l, r].map((t) => t.names.filter((name) => summed.includes(name)));
    const sides = inner.map((k) => ({ l: this.matrix(l, batch, left, k), r: this.matrix(r, batch, right, k) }));
    const best = sides[0]!.l.turns + sides[0]!.r.turns <= sides[1]!.l.turns + sides[1]!.r.turns ? sides[0]! : sides[1]!;
    // A vector on the right is [k, 1] in memory as it is.
    const x = this.emit(
      'matmul',
      this.laid(l, best.l),
      { transpose_a: best.l.innerFirst, transpose_b: !best.r.innerFirst },
      this.laid(r, best.r),
    );
    const names = [...batch, ...left, ...right];
    return {
      x: this.shaped(
        x,
        names.map((name) => this.text.size(name)),
      ),
      names,
    };
  }

  /** How a tensor becomes matrices [batch..., own, inner] or [batch..., inner, own]: whichever it is already. */
  private matrix(t: Named, batch: readonly string[], own: readonly string[], inner: readonly string[]): Layout {
    const is = (names: readonly string[]): boolean => names.every((name, i) => t.names[i] === name);
    const innerFirst = !is([...batch, ...own, ...inner]) && is([...batch, ...inner, ...own]);
    const names = innerFirst ? [...batch, ...inner, ...own] : [...batch, ...own, ...inner];
    const [rows, columns] = innerFirst ? [inner, own] : [own, inner];
    return { names, rows, columns, batch, innerFirst, turns: is(names) ? 0 : 1 };
  }

  private laid(t: Named, m: Layout): TensorVal {
    const size = (names: readonly string[]): D.Dim => D.product(names.map((name) => this.text.size(name)));
    return this.shaped(this.turn(t, m.names), [
      ...m.batch.map((name) => this.text.size(name)),
      size(m.rows),
      size(m.columns),
    ]);
  }

  /** Dims in the order of the names; those that are missing become 1. */
  private spread(t: Named, names: readonly string[]): TensorVal {
    const turned = this.turn(
      t,
      names.filter((name) => t.names.includes(name)),
    );
    return this.shaped(
      turned,
      names.map((name) => (t.names.includes(name) ? this.text.size(name) : D.dim(1))),
    );
  }

  private turn(t: Named, names: readonly string[]): TensorVal {
    const perm = names.map((name) => t.names.indexOf(name));
    return perm.every((p, i) => p === i) ? t.x : this.emit('transpose', t.x, { perm });
  }

  // Sizes have been checked: what is emitted here cannot be refused.
  private emit(kind: string, x: Val, attrs: Parameters<typeof emitOne>[3], y?: TensorVal): TensorVal {
    const operands = y ? [x as TensorVal, y] : [x as TensorVal];
    return emitOne(this.cx, kind, operands, attrs, this.span) as TensorVal;
  }

  private shaped(x: Val, shape: readonly D.Dim[]): TensorVal {
    return reshape(this.cx, x as TensorVal, shape, this.span) as TensorVal;
  }
}

interface Layout {
  readonly names: readonly string[];
  readonly batch: readonly string[];
  readonly rows: readonly string[];
  readonly columns: readonly string[];
  readonly innerFirst: boolean;
  readonly turns: number;
}
