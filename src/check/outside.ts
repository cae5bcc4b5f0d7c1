/** Settings of a `train` block that come from outside (`compile`'s option, `--train lr=0.01`), read as the lines they would be in it. */
import { didYouMean, type DiagnosticBag } from '../diagnostics/index.ts';
import { listOf } from '../diagnostics/words.ts';
import type { Train } from '../parser/ast.ts';
import { parse } from '../parser/index.ts';
import { report, staticCx, type Cx } from './context.ts';
import type { StaticValue } from './elaborated.ts';
import { evaluate } from './evaluate.ts';
import { Scope } from './scope.ts';
import { coerce } from './unify.ts';
import { isPoison, settle, type HyperArg, type OptimizerVal, type Val } from './values.ts';

/** By the name of a setting, or of a hyper-parameter of the optimizer. A text is an expression, but for the name of a data set. */
export type TrainSettings = Readonly<Record<string, StaticValue>>;

export type Setting = Train['settings'][number];

/** What diagnostics call the place of these settings. */
const PLACE = 'options.train';

/** Null after a fault of syntax. The text that diagnostics show is added to `sources`. */
export function readOutside(
  given: TrainSettings,
  sources: Map<string, string>,
  bag: DiagnosticBag,
): readonly Setting[] | null {
  const lines = Object.entries(given).map(([name, v]) => `${name} = ${name === 'data' ? quoted(v) : written(v)}\n`);
  const text = `block Outside { train {\n${lines.join('')}} }\n`;
  sources.set(PLACE, text);
  const { errorCount } = bag;
  const [block] = parse(text, PLACE, bag).decls;
  const train = block?.kind === 'block' ? block.members.find((m) => m.kind === 'train') : null;
  return train && bag.errorCount === errorCount ? train.settings : null;
}

const quoted = (v: StaticValue): string => (typeof v === 'string' ? JSON.stringify(v) : written(v));

function written(v: StaticValue): string {
  if (v === null) return 'none';
  if (typeof v === 'object') return `(${v.map(written).join(', ')}${v.length === 1 ? ',' : ''})`;
  // 1e21 is written 1e+21.
  return typeof v === 'number'
    ? String(v).replace('+', '').replace('Infinity', 'inf').replace('NaN', 'nan')
    : String(v);
}

/** The optimizer with other hyper-parameters; defaults that are made of them follow. Null after a report. */
export function withHyper(
  cx: Cx,
  inner: Cx,
  opt: OptimizerVal,
  settings: readonly Setting[],
  others: readonly string[],
): OptimizerVal | null {
  if (settings.length === 0) return opt;
  const { params } = opt.decl;
  let ok = true;
  const own = new Map<string, Setting>();
  for (const s of settings) {
    const { name } = s.name;
    if (params.some((p) => p.name.name === name)) own.set(name, s);
    else {
      const known = [...params.map((p) => p.name.name), ...others];
      const help = didYouMean(name, known) ?? `there are ${listOf(known, 'and')}`;
      report(cx, 'unknown_setting', { name }, s.name.span, { help });
      ok = false;
    }
  }
  const scope = new Scope(opt.scope);
  const hyper = new Map<string, HyperArg>();
  for (const p of params) {
    const before = opt.hyper.get(p.name.name)!;
    const set = own.get(p.name.name);
    const isDefault = p.default !== null && before.span === p.default.span;
    const span = set?.value.span ?? before.span;
    let val: Val = before.val;
    if (set) val = settle(evaluate(inner, set.value));
    else if (isDefault) val = evaluate(staticCx(cx, scope), p.default);
    if (p.type && !isPoison(val) && (set || isDefault)) {
      const what = `\`${p.name.name}\` of ${opt.decl.name.name}`;
      val = coerce(staticCx(cx, scope), p.type, val, { scope, what, span, fills: false });
    }
    if (isPoison(val)) ok = false;
    hyper.set(p.name.name, { val, span });
    scope.bind(p.name.name, 'hyper', val, span);
  }
  return ok ? { ...opt, hyper } : null;
}
