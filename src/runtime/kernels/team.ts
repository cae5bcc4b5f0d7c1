/**
 * How threads divide a batch: each takes items of its own and has scratch of its own, or, where there are too few items, all work
 * on one after the other. What a thread computes does not depend on which: only who computes it does.
 */
import type { KernelBuilder } from '../../codegen/builder.ts';
import { add, and, bool, eq, ge, i32, mul, or, rem, select, un } from '../../codegen/builder.ts';
import { PART, PARTS, type KExpr } from '../../codegen/kernel.ts';
import { cut } from '../../codegen/threads.ts';
import type { Dim } from '../../ir/dim.ts';
import * as D from '../../ir/dim.ts';
import { THREADS } from '../artifact.ts';

export interface Range {
  readonly from: KExpr;
  readonly to: KExpr;
}

/** Who does what of work that all threads come to. */
export interface Shares {
  /** This thread's range of a loop. */
  readonly share: (k: KernelBuilder, from: KExpr | number, to: KExpr | number, step?: number) => Range;
  /** This thread does what is not divided: the last, whose ranges are the shorter ones. */
  readonly mine: KExpr;
}

/** Those who work on one thing together. */
export interface Together extends Shares {
  /** How many they are. */
  readonly count: KExpr;
  /** Waits for the others, if there are any. */
  readonly meet: (k: KernelBuilder) => void;
}

export interface Team extends Together {
  /** The items of this thread. */
  readonly items: Range;
  /** The number of this thread's scratch. */
  readonly own: KExpr;
}

/** The number of the thread that runs the kernel. */
export const thread: KExpr = { k: 'var', var: PART, type: PART.type };
const parts: KExpr = { k: 'var', var: PARTS, type: PARTS.type };

const expression = (e: KExpr | number): KExpr => (typeof e === 'number' ? i32(e) : e);

/** From so many items for each thread on it does not matter that one has one more. */
export const MANY = 4;

/** One thread does all. */
export const ALONE: Together = {
  share: (_, from, to) => ({ from: expression(from), to: expression(to) }),
  mine: bool(true),
  count: i32(1),
  meet: () => undefined,
};

/** All threads divide everything. */
export function everybody(k: KernelBuilder): Together {
  return {
    share: cut,
    mine: k.let(eq(add(thread, 1), parts), 'mine'),
    count: parts,
    meet: (b) => b.barrier('threads'),
  };
}

/** Divides a batch; `share` and `mine` are about the work on one item, which is all a thread's own where it has its own items. */
export function teamOver(k: KernelBuilder, batch: KExpr): Team {
  const even = and(ge(batch, parts), eq(rem(batch, parts), 0));
  const apart = k.let(or(ge(batch, mul(parts, MANY)), even), 'apart');
  const alone = cut(k, 0, batch);
  const either = (b: KernelBuilder, own: KExpr, all: KExpr): KExpr => b.let(select(apart, own, all));
  return {
    items: { from: either(k, alone.from, i32(0)), to: either(k, alone.to, batch) },
    own: either(k, thread, i32(0)),
    share: (b, from, to, step = 1) => {
      const range = cut(b, from, to, step);
      return { from: either(b, expression(from), range.from), to: either(b, expression(to), range.to) };
    },
    mine: k.let(or(apart, everybody(k).mine), 'mine'),
    count: either(k, i32(1), parts),
    meet: (b) => b.if(un('not', apart), () => b.barrier('threads')),
  };
}

/** How many times a scratch is there of which each thread has its own; one where there is nothing to do. */
export const copiesFor = (batch: Dim): Dim => D.min(D.sym(THREADS), D.max(batch, 1));
