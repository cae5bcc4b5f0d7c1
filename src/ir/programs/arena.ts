/**
 * Lays the tensors of a block out in segments: one flat arena per optimizer group and element type, so that the update of
 * a whole group is one elementwise program over it. Decided once per block; all programs share it.
 */
import type { Elaborated, TensorInfo } from '../../check/elaborated.ts';
import type { Segment, TensorEntry } from '../../runtime/artifact.ts';
import type { ElemType } from '../ir.ts';

export interface Arena {
  readonly segments: readonly Segment[];
  /** As `block.tensors`, in the same order. */
  readonly tensors: readonly TensorEntry[];
  /** Per optimizer group: its parameter segments with the tensors in them, in order of offset. */
  readonly groups: readonly ArenaGroup[];
}

export interface ArenaGroup {
  readonly params: string;
  readonly grads: string;
  readonly length: number;
  readonly tensors: readonly number[];
  readonly hyper: Readonly<Record<string, number>>;
}

export const lengthOf = (t: TensorInfo): number =>
  t.type.shape.reduce((n, d) => {
    if (d.value === null) throw new Error(`tensor ${t.name} has the symbolic size ${d.key}`);
    return n * d.value;
  }, 1);

export function layoutArena(block: Elaborated): Arena {
  const segments = new Map<string, { role: Segment['role']; elem: ElemType; length: number }>();
  const entries = new Array<TensorEntry>(block.tensors.length);
  const place = (index: number, segment: string, role: Segment['role'], grad: string | null): void => {
    const t = block.tensors[index]!;
    let s = segments.get(segment);
    if (!s) segments.set(segment, (s = { role, elem: t.type.elem, length: 0 }));
    entries[index] = {
      name: t.name,
      role: t.role,
      elem: t.type.elem,
      shape: t.type.shape.map((d) => d.value!),
      stored: t.stored,
      trainable: t.trainable,
      segment,
      offset: s.length,
      grad,
    };
    s.length += lengthOf(t);
  };

  // Without a train block every trainable parameter is one group: `backward` still fills its gradients.
  const wanted = block.train?.groups ?? [
    { tensors: block.tensors.flatMap((t, i) => (t.role === 'param' && t.trainable ? [i] : [])), hyper: {} },
  ];
  const groups: ArenaGroup[] = [];
  for (const group of wanted) {
    // A segment holds one element type, so a group of mixed types becomes several.
    for (const elem of new Set(group.tensors.map((i) => block.tensors[i]!.type.elem))) {
      const tensors = group.tensors.filter((i) => block.tensors[i]!.type.elem === elem);
      const g = groups.length;
      for (const i of tensors) place(i, `params.${g}`, 'params', `grads.${g}`);
      const length = segments.get(`params.${g}`)!.length;
      segments.set(`grads.${g}`, { role: 'grads', elem, length });
      groups.push({ params: `params.${g}`, grads: `grads.${g}`, length, tensors, hyper: group.hyper });
    }
  }
  block.tensors.forEach((t, i) => {
    if (entries[i]) return;
    const role = t.role === 'param' ? 'frozen' : t.role === 'buffer' ? 'buffers' : 'consts';
    place(i, `${role}.${t.type.elem}`, role === 'frozen' ? 'params' : role, null);
  });
  return { segments: [...segments].map(([name, s]) => ({ name, ...s })), tensors: entries, groups };
}
