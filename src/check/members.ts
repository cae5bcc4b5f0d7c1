/** The members of a block that is being placed: conditions choose among them, a `for` repeats them, each tensor gets its name. */
import type { ForMember, Member, Span, SubBlock, TensorMember } from '../parser/ast.ts';
import { isLibrary, report, type Cx } from './context.ts';
import { truth } from './control.ts';
import { describe } from './describe.ts';
import { tensorTypeOf } from './dims.ts';
import { bindItem, evaluate, evalValue, itemsOf } from './evaluate.ts';
import type { InstanceNode, TensorNode } from './instance.ts';
import { addChild, addLet } from './instantiate.ts';
import { membersOf } from './names-in-scope.ts';
import { execRequire, templateText } from './require.ts';
import { Scope } from './scope.ts';
import { isPoison, listVal, POISON, settle, type Val } from './values.ts';

/** Makes a member known under its name: in the block, or in one round of a `for`. */
type Bind = (name: string, val: Val, span: Span, optional?: boolean) => void;

export function addMembers(cx: Cx, node: InstanceNode, members: readonly Member[]): void {
  add(cx, node, members, (name, val, span, optional = false) => {
    node.members.set(name, { kind: 'member', val, span, optional });
  });
}

function add(cx: Cx, node: InstanceNode, members: readonly Member[], bind: Bind): void {
  for (const m of members) {
    // What does not hold its requirements is not looked into: the rest would only say the same in other words.
    if (node.refused && (m.kind === 'require' || m.kind === 'ifMember' || m.kind === 'forMember')) continue;
    if (node.refused && 'name' in m) {
      bind(m.name.name, POISON, m.span);
      continue;
    }
    switch (m.kind) {
      case 'param':
      case 'buffer':
      case 'constTensor':
        bind(m.name.name, addTensor(cx, node, m), m.span);
        break;
      case 'const':
        bind(m.name.name, settle(evaluate(cx, m.value)), m.span);
        break;
      case 'sub':
        bind(m.name.name, addChild(cx, node, m), m.span);
        break;
      case 'let':
        if (onceOnly(cx, node, m)) bind(m.name.name, addLet(cx, node, m), m.span);
        break;
      case 'method':
        if (!onceOnly(cx, node, m)) break;
        node.methods.set(m.fn.name.name, m.fn);
        bind(m.fn.name.name, { kind: 'method', inst: node, decl: m.fn }, m.fn.name.span);
        break;
      case 'tie':
        if (onceOnly(cx, node, m)) cx.world.pendingTies.push({ owner: node, tie: m });
        break;
      case 'ifMember': {
        const cond = evaluate(cx, m.cond);
        const known = isPoison(cond) ? null : truth(cond, m.cond, cx);
        if (known === null) {
          if (!isPoison(cond)) report(cx, 'not_static', { what: `this condition (${describe(cond)})` }, m.cond.span);
          for (const name of membersOf([m])) bind(name.name, POISON, name.span);
          break;
        }
        add(cx, node, known ? m.then : m.else, bind);
        addAbsent(
          cx,
          node,
          known ? m.else : m.then,
          membersOf(known ? m.then : m.else).map((x) => x.name),
          bind,
        );
        break;
      }
      case 'forMember':
        addRounds(cx, m, bind, (inner, members_, each) => add(inner, node, members_, each));
        break;
      case 'require':
        if (!execRequire(cx, m, node.path === '' ? null : node.span)) node.refused = true;
        break;
      case 'init':
      case 'train':
      case 'freeze':
        onceOnly(cx, node, m);
    }
  }
}

/** Names that this instance does not have, unless the other branch gave them. */
function addAbsent(
  cx: Cx,
  node: InstanceNode,
  members: readonly Member[],
  present: readonly string[],
  bind: Bind,
): void {
  for (const m of members) {
    if (m.kind === 'ifMember') {
      addAbsent(cx, node, [...m.then, ...m.else], present, bind);
      continue;
    }
    if (m.kind === 'forMember') {
      addRounds(cx, m, bind, (inner, body, each) => addAbsent(inner, node, body, present, each));
      continue;
    }
    const name = m.kind === 'method' ? m.fn.name : 'name' in m ? m.name : null;
    if (!name || present.includes(name.name)) continue;
    bind(name.name, { kind: 'absent', name: name.name }, name.span, true);
    node.absent.add(('as' in m && m.as ? templateText(cx, m.as) : null) ?? name.name);
  }
}

/**
 * One round after the other, each with its members in a scope of its own. Outside, a member is the list of what the rounds
 * made of it; absent where no round has it.
 */
function addRounds(
  cx: Cx,
  m: ForMember,
  bind: Bind,
  round: (cx: Cx, body: readonly Member[], bind: Bind) => void,
): void {
  const over = evalValue(cx, m.iter);
  const items = isPoison(over) ? null : itemsOf(cx, over, m.iter.span);
  if (!items && !isPoison(over)) report(cx, 'not_iterable', { found: describe(over) }, m.iter.span);
  const rounds = (items ?? []).map((item) => {
    const scope = new Scope(cx.scope);
    bindItem(cx, m.pattern, item, scope);
    const made = new Map<string, Val>();
    round({ ...cx, scope }, m.body, (name, val, span, optional) => {
      made.set(name, val);
      scope.bind(name, 'member', val, span, optional);
    });
    return made;
  });
  for (const { name, span } of membersOf(m.body)) {
    const vals = rounds.map((made): Val => made.get(name) ?? { kind: 'absent', name });
    if (!items) bind(name, POISON, span);
    else if (vals.length > 0 && vals.every((v) => v.kind === 'absent'))
      bind(name, { kind: 'absent', name }, span, true);
    else
      bind(
        name,
        listVal(vals),
        span,
        vals.some((v) => v.kind === 'absent'),
      );
  }
}

const inRound = (cx: Cx, node: InstanceNode): boolean => cx.scope !== node.declScope;

const WORDS: Partial<Record<Member['kind'], string>> = { method: 'a method', tie: '`tie`', let: '`let`' };

/** False after a report for what makes no sense in each round of a `for` again. */
function onceOnly(cx: Cx, node: InstanceNode, m: Member): boolean {
  if (!inRound(cx, node)) return true;
  report(cx, 'member_in_loop', { what: WORDS[m.kind] ?? `\`${m.kind}\`` }, m.span);
  return false;
}

/** The name of a tensor or child in the state dict; null after a report. */
export function memberKey(cx: Cx, node: InstanceNode, m: TensorMember | SubBlock): string | null {
  const looped = inRound(cx, node);
  if (!m.as) {
    if (!looped) return m.name.name;
    report(cx, 'unnamed_in_loop', { name: m.name.name }, m.name.span);
    return null;
  }
  const key = templateText(cx, m.as);
  if (key === null) return null;
  if (!/^\w+$/.test(key)) {
    report(cx, 'bad_file_name', { found: key }, m.as.span);
    return null;
  }
  if (node.slots.has(key) || node.children.some((c) => c.name === key)) {
    const help = looped ? `each round needs a name of its own, such as \`as "${m.name.name}_{i}"\`` : null;
    report(cx, 'duplicate_name', { name: key }, m.as.span, { help });
    return null;
  }
  return key;
}

// ---------------------------------------------------------------- tensors

function addTensor(cx: Cx, node: InstanceNode, m: TensorMember): Val {
  const role = m.kind === 'constTensor' ? 'const' : m.kind;
  if (m.type.kind !== 'tensorType') {
    return report(
      cx,
      'type_mismatch',
      { what: `\`${m.name.name}\``, wanted: 'a tensor type such as f32[8, 4]', found: 'another type' },
      m.type.span,
    );
  }
  const type = tensorTypeOf(cx, m.type, cx.scope);
  if (!type) return { kind: 'poison' };
  if (type.elem === null) return report(cx, 'unknown_type', { name: m.type.elem.name }, m.type.elem.span);
  if (m.stored && m.stored.name !== 'i64') return report(cx, 'bad_stored', { found: m.stored.name }, m.stored.span);
  for (const [i, d] of type.shape.entries()) {
    const where = m.type.dims[i]?.span ?? m.type.span;
    if (d.value === null) return report(cx, 'not_static', { what: `a size of \`${m.name.name}\` (${d})` }, where);
    if (d.value < 0) return report(cx, 'negative_size', { name: m.name.name, size: d.value }, where);
  }
  if (!m.init) return report(cx, 'no_initial_value', { name: m.name.name }, m.span);
  const name = memberKey(cx, node, m);
  if (name === null) return POISON;
  const tensor: TensorNode = {
    role,
    name,
    scope: cx.scope,
    type: { elem: type.elem as TensorNode['type']['elem'], shape: type.shape },
    member: m,
    owner: node,
    from: type.from.map((f) => (f && isLibrary(f) ? node.span : f)),
  };
  const slot = { name, owner: node, tensor, transposed: false, tiedAt: null };
  node.slots.set(name, slot);
  return { kind: 'slot', slot };
}
