/** A `while` whose condition never turns false must not hang a program: it ends after a number of rounds, with an error. */
import type { Program } from './artifact.ts';
import { LoopError, UsageError } from './errors.ts';

/** Far above what a loop needs that converges, and a matter of seconds where a round is small. */
export const WHILE_LIMIT = 100_000;

/** What `create({ while_limit })` asks for: it is an i32 in every target. */
export function whileLimit(asked: number | undefined): number {
  if (asked === undefined) return WHILE_LIMIT;
  if (Number.isInteger(asked) && asked >= 1 && asked < 2 ** 31) return asked;
  throw new UsageError(`while_limit is a whole number from 1 to 2147483647, not ${asked}`);
}

export const endless = (program: Program, region: number, limit: number): LoopError =>
  new LoopError(program.name, program.regions[region]!, limit);
