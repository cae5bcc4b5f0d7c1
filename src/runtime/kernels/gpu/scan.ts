/**
 * cumsum, cummax, cummin and recurrence on a GPU. Short lines: one invocation each. Longer ones in two levels: a workgroup cuts a line into
 * equal parts, one for an invocation, takes each together, and goes through them again with what comes before. The parts,
 * and so the order of sums, depend on the length alone.
 */
import * as K from '../../../codegen/builder.ts';
import type { KernelCall } from '../../../codegen/call.ts';
import type { KBuffer, KExpr } from '../../../codegen/kernel.ts';
import type { KernelLimits } from '../../../codegen/limits.ts';
import { mul, product } from '../../../ir/dim.ts';
import type { Op } from '../../../ir/ir.ts';
import { num } from '../../../ir/ops/attrs.ts';
import { coreOf, operandOf, originsOf } from '../region.ts';
import { openLines } from '../scan.ts';
import { eachIndex, GROUP, workgroups } from './grid.ts';

/** Lines up to this length are one invocation's work. */
const SHORT = 64;

/** The kernel of a `fusion {scan}` op. */
export function scanOnGrid(op: Op, name: string, limits: KernelLimits): KernelCall {
  const l = openLines(op);
  const { a, x, factors, out, join, none, n, after } = l;
  const { k, scope: s } = a;
  const core = coreOf(op);
  const length = operandOf(op, 0).type.shape[num(core.attrs, 'axis')]!.value;
  const lines = K.mul(l.before, after);
  const one = K.coerce(1, { elem: K.loadedElem(x.elem), lanes: 1 });

  /** Steps [from, to) of a line; `see` is told the place and the sum after each step. */
  const run = (line: KExpr, from: KExpr, to: KExpr, sum: KExpr & { k: 'var' }, see: (at: KExpr) => void): void => {
    const [p, q] = [s.share(K.div(line, after)), s.share(K.rem(line, after))];
    s.loop(from, to, 1, (i) => {
      const at = k.let(l.at(p, i, q), 'at');
      const term = k.let(K.load(x, at), 'term');
      if (factors) {
        const more = k.let(K.add(K.mul(K.load(factors, at), sum), term), 'more');
        k.set(sum, K.select(K.eq(i, 0), term, more));
      } else k.set(sum, join(sum, term));
      see(at);
    });
  };

  if (length !== null && length <= SHORT) {
    eachIndex(s, lines, (line) => {
      const sum = k.mutable(none, 'sum');
      run(line, K.i32(0), n, sum, (at) => k.store(out, at, sum));
    });
    return a.finish(name, originsOf(op));
  }
  // Each invocation leaves its part's sum and product to the others: in workgroup memory, or where that is short, in the device's.
  const elem = K.loadedElem(x.elem);
  const short = limits.workgroupBytes < (factors ? 8 : 4) * GROUP;
  const { shape } = operandOf(op, 0).type;
  const all = product([...shape.slice(0, num(core.attrs, 'axis')), ...shape.slice(num(core.attrs, 'axis') + 1)]);
  const left = (what: string): KBuffer =>
    short ? a.scratch(elem, mul(all, 4 * GROUP), what) : k.local(what, elem, GROUP, 'shared');
  const totals = left('totals');
  const products = factors ? left('products') : null;
  workgroups(s, lines, (line, local) => {
    const first = short ? s.share(K.mul(line, GROUP)) : K.i32(0);
    const part = s.share(K.div(K.add(n, GROUP - 1), GROUP), 'part');
    const from = s.share(K.min(K.mul(local, part), n), 'from');
    const to = s.share(K.min(K.add(from, part), n), 'to');
    const sum = k.mutable(none, 'sum');
    const product = k.mutable(one, 'product');
    run(line, from, to, sum, (at) => {
      if (factors) k.set(product, K.mul(product, K.load(factors, at)));
    });
    const own = s.share(K.add(first, local), 'own');
    k.store(totals, own, sum);
    if (products) k.store(products, own, product);
    k.barrier(short ? 'global' : 'shared');
    k.set(sum, none);
    k.for(0, local, 1, (i) => {
      const at = K.add(first, i);
      const total = k.let(K.load(totals, at), 'total');
      const more = k.let(join(products ? K.mul(K.load(products, at), sum) : sum, total), 'more');
      // The first part has nothing before it, which its first factor, whatever it is, does not change.
      k.set(sum, products ? K.select(K.eq(i, 0), total, more) : more);
    });
    run(line, from, to, sum, (at) => k.store(out, at, sum));
  });
  const made = a.finish(name, originsOf(op));
  return short ? { ...made, replanned: 'the parts of a line meet in the memory of the device' } : made;
}
