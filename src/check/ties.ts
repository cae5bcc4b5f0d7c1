/** `tie head.weight = wte.weight`: the left name sees the storage of the right one, as it is or transposed. */
import { typeText } from '../ir/builder.ts';
import { same } from '../ir/dim.ts';
import type { Selector, Tie } from '../parser/ast.ts';
import { didYouMean } from '../diagnostics/index.ts';
import { at, report, type Cx } from './context.ts';
import { labelOf, type InstanceNode, type Slot } from './instance.ts';

/** Makes the ties whose both sides exist; those behind an open `_` wait for the call that solves it. */
export function settleTies(cx: Cx): void {
  const waiting = cx.world.pendingTies.splice(0);
  for (const { owner, tie } of waiting) {
    const target = slotAt(cx, owner, tie.target);
    const source = slotAt(cx, owner, tie.source);
    if (target === 'open' || source === 'open') cx.world.pendingTies.push({ owner, tie });
    else if (target && source) join(cx, owner, tie, target, source);
  }
}

function join(cx: Cx, owner: InstanceNode, tie: Tie, target: Slot, source: Slot): void {
  const wanted = target.tensor.type;
  const given = source.tensor.type;
  const transposed = tie.transposed !== source.transposed;
  const shape = transposed ? [...given.shape].reverse() : given.shape;
  const fits =
    given.elem === wanted.elem &&
    shape.length === wanted.shape.length &&
    shape.every((d, i) => same(d, wanted.shape[i]!));
  const names = { target: pathText(tie.target), source: pathText(tie.source) };
  if (tie.transposed && given.shape.length !== 2) {
    report(cx, 'tie_transpose', { ...names, type: typeText(given) }, tie.span, { path: owner.path });
    return;
  }
  if (!fits) {
    const flip =
      !tie.transposed &&
      given.shape.length === 2 &&
      same(given.shape[0]!, wanted.shape[1]!) &&
      same(given.shape[1]!, wanted.shape[0]!);
    const args = { ...names, left: typeText(wanted), right: typeText({ elem: given.elem, shape }) };
    const related = at(
      [target.tensor.owner.span, `\`${names.target}\` is ${args.left} here`],
      [source.tensor.owner.span, `\`${names.source}\` is ${typeText(given)} here`],
    );
    report(cx, 'tie_shape', args, tie.span, {
      related,
      path: owner.path,
      help: flip ? `did you mean \`tie ${names.target} = transpose(${names.source})\`?` : null,
    });
    return;
  }
  if (target.tensor === source.tensor) {
    report(cx, 'tie_itself', names, tie.span, { path: owner.path });
    return;
  }
  if (target.tensor.role !== 'param' || source.tensor.role !== 'param') {
    report(cx, 'tie_role', names, tie.span, { path: owner.path });
    return;
  }
  target.tensor = source.tensor;
  target.transposed = transposed;
  target.tiedAt = tie.span;
}

export const pathText = (s: Selector): string =>
  s.parts
    .map((p) => (p.kind === 'name' ? p.name : p.kind === 'index' ? String(p.index) : p.kind === 'any' ? '*' : '**'))
    .join('.');

/** The tensor that an exact path names. `open` behind a `_`; null after a report. */
function slotAt(cx: Cx, owner: InstanceNode, s: Selector): Slot | 'open' | null {
  let node = owner;
  for (const [i, part] of s.parts.entries()) {
    if (part.kind !== 'name' && part.kind !== 'index') {
      report(cx, 'tie_path', { path: pathText(s) }, part.span, { path: owner.path });
      return null;
    }
    const name = part.kind === 'name' ? part.name : String(part.index);
    const last = i === s.parts.length - 1;
    if (node.pending) return 'open';
    const slot = last ? node.slots.get(name) : undefined;
    if (slot) return slot;
    const child = node.children.find((c) => c.name === name)?.node ?? sharedChild(node, name);
    if (child && !last) {
      node = child;
      continue;
    }
    if (last && node.absent.has(name)) {
      report(cx, 'absent_member', { name }, part.span, { path: owner.path });
      return null;
    }
    const help = didYouMean(name, last ? node.slots.keys() : node.children.map((c) => c.name));
    report(cx, 'unknown_member', { name, what: node === owner ? node.type : labelOf(node) }, part.span, {
      help,
      path: owner.path,
    });
    return null;
  }
  return null;
}

function sharedChild(node: InstanceNode, name: string): InstanceNode | null {
  const v = node.members.get(name)?.val;
  return v?.kind === 'instance' ? v.inst : null;
}
