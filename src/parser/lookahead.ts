/**
 * Chevrotain's LL(k) lookahead, each decision worked out when the parser first comes to it: for all of them it costs more than
 * parsing a file, and a file comes to a third. Lists parse by loops of our own (base.ts) and never come to theirs.
 */
import { LLkLookaheadStrategy } from 'chevrotain';
import type { ILookaheadStrategy } from 'chevrotain';

type Alternation = ReturnType<ILookaheadStrategy['buildLookaheadForAlternation']>;
type Optional = ReturnType<ILookaheadStrategy['buildLookaheadForOptional']>;

export class LazyLookahead extends LLkLookaheadStrategy {
  override buildLookaheadForAlternation(
    options: Parameters<ILookaheadStrategy['buildLookaheadForAlternation']>[0],
  ): Alternation {
    const build = (): Alternation => super.buildLookaheadForAlternation(options);
    let decide: Alternation | null = null;
    return function (this: unknown, ...args) {
      return (decide ??= build()).apply(this, args);
    };
  }

  override buildLookaheadForOptional(
    options: Parameters<ILookaheadStrategy['buildLookaheadForOptional']>[0],
  ): Optional {
    const build = (): Optional => super.buildLookaheadForOptional(options);
    let decide: Optional | null = null;
    return function (this: unknown) {
      return (decide ??= build()).call(this);
    };
  }
}
