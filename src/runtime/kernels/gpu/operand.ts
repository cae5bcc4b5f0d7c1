/** What a product on a GPU multiplies: something that is read as a matrix, whatever it is and wherever its elements lie. */
import * as K from '../../../codegen/builder.ts';
import type { KernelBuilder } from '../../../codegen/builder.ts';
import type { KExpr } from '../../../codegen/kernel.ts';
import type { ReadSource } from '../epilogue.ts';

/** What is known of an element's place from its line, or from its depth, alone. */
export type Part = readonly KExpr[];

/** Where an element lies, and whether there is one: elsewhere it is 0. */
export interface Place {
  readonly index: KExpr;
  readonly inside?: KExpr;
}

/**
 * `lines` x `depth` elements for each item of a batch. A place is made of two parts, so that divisions are done once for a
 * line and once for a depth and not for every element.
 */
export interface Operand {
  readonly read: ReadSource;
  /** Elements that are neighbours along the depth are neighbours in memory. */
  readonly alongDepth: boolean;
  readonly line: (k: KernelBuilder, item: KExpr, line: KExpr) => Part;
  readonly depth: (k: KernelBuilder, item: KExpr, depth: KExpr) => Part;
  readonly meet: (k: KernelBuilder, line: Part, depth: Part) => Place;
}

/** The place is the sum of what the line and the depth say. */
export const sumOfParts = (_k: KernelBuilder, [line]: Part, [depth]: Part): Place => ({
  index: K.add(line!, depth!),
});

/** The element, or 0 where `exists` or the operand says that there is none. Without a branch: loads then overlap. */
export function element(k: KernelBuilder, o: Operand, line: Part, depth: Part, exists: KExpr): KExpr {
  const { index, inside } = o.meet(k, line, depth);
  const there = k.let(inside ? K.and(exists, inside) : exists, 'there');
  const from = k.let(K.select(there, index, 0), 'from');
  return k.let(K.select(there, o.read(k, from, 1), 0), 'value');
}
