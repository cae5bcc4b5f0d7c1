/** Modes: `training` is inherited by calls, and `backbone(x, training: false)` fixes it for one of them. */
import type { Arg } from '../parser/ast.ts';
import { report, type Cx, type FnState } from './context.ts';
import { describe } from './describe.ts';
import { evaluate } from './evaluate.ts';
import { isPoison } from './values.ts';

/** What a call asks for; undefined where it inherits, null after a report. */
export function readMode(cx: Cx, args: readonly Arg[]): boolean | null | undefined {
  const arg = args.find((a) => a.name?.name === 'training');
  if (!arg) return undefined;
  const v = evaluate(cx, arg.value);
  if (v.kind === 'bool') return v.value;
  if (!isPoison(v)) {
    const asked = { what: '`training`', wanted: 'a bool known while compiling', found: describe(v) };
    report(cx, 'type_mismatch', asked, arg.value.span);
  }
  return null;
}

/** Runs `work` in a mode. What it reads of a mode that is fixed does not make the function depend on its own. */
export function withMode<T>(fn: FnState, mode: boolean | undefined, work: () => T): T {
  if (mode === undefined) return work();
  const { training, readsMode } = fn;
  fn.training = mode;
  const made = work();
  fn.training = training;
  fn.readsMode = readsMode;
  return made;
}
