/** What was measured on one machine, as a file: by target and key, the name of the candidate that a family shall take. */
import type { SourceHost } from '../check/index.ts';
import type { DiagnosticBag } from '../diagnostics/index.ts';
import { JsonFault, parseJson, type Json } from '../runtime/json.ts';
import type { Target } from './call.ts';

export interface Tuning {
  /** What the processor calls itself: on another these choices need not be the fastest. */
  readonly processor: string;
  /** By `targetName`, then by key. What is not there goes by the family's rule. */
  readonly choices: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** A later version may name what this one cannot read. */
const VERSION = 1;

/** Where it lies: beside the source and what is built from it. */
export const tuningPath = (source: string): string => `${source}.tune.json`;

/** What of a target decides which way is fast. */
export const targetName = ({ kind, lanes, registers, paired }: Target): string =>
  `${kind}, ${lanes} lanes, ${registers} registers${paired ? ', paired' : ''}`;

export function printTuning({ processor, choices }: Tuning): string {
  const sorted = <T>(map: ReadonlyMap<string, T>): [string, T][] =>
    [...map].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const targets = sorted(choices).map(([target, of]) => [target, Object.fromEntries(sorted(of))] as const);
  const content = { version: VERSION, processor, choices: Object.fromEntries(targets) };
  return `${JSON.stringify(content, null, 2)}\n`;
}

/** Or what is wrong with the text. */
export function parseTuning(text: string): Tuning | string {
  let all: Json;
  try {
    all = parseJson(text);
  } catch (e) {
    if (e instanceof JsonFault) return `it is no JSON: ${e.message} at character ${e.at}`;
    throw e;
  }
  if (!isMap(all)) return 'it is no JSON object';
  const version = all.get('version');
  if (version !== VERSION)
    return typeof version === 'number' ? `it is of version ${version}, this reads ${VERSION}` : 'it has no version';
  const [processor, choices] = [all.get('processor'), all.get('choices')];
  if (typeof processor !== 'string') return 'it does not name its processor';
  if (!isMap(choices)) return 'it has no choices';
  const read = new Map<string, ReadonlyMap<string, string>>();
  for (const [target, of] of choices) {
    const names = isMap(of) ? [...of].filter((entry): entry is [string, string] => typeof entry[1] === 'string') : [];
    if (!isMap(of) || names.length < of.size) return `its choices for ${JSON.stringify(target)} are no names`;
    read.set(target, new Map(names));
  }
  return { processor, choices: read };
}

const isMap = (j: Json | undefined): j is ReadonlyMap<string, Json> => j instanceof Map;

/** What lies beside a source; null where nothing does, or something that is not for here, which the bag says. */
export function tuningBeside(host: SourceHost, source: string, bag: DiagnosticBag): Tuning | null {
  return readTuning(() => host.read(tuningPath(source)), tuningPath(source), host, bag);
}

/** `read` may throw: no file of measurements keeps a program from being compiled. */
export function readTuning(
  read: () => string | null,
  path: string,
  host: SourceHost,
  bag: DiagnosticBag,
): Tuning | null {
  const ignore = (problem: string): null => {
    bag.report('tuning_ignored', { path, problem }, { file: path, start: 0, end: 0 });
    return null;
  };
  let text: string | null;
  try {
    text = read();
  } catch (e) {
    return ignore(`it cannot be read: ${e instanceof Error ? e.message : String(e)}`);
  }
  if (text === null) return null;
  const tuning = parseTuning(text);
  if (typeof tuning === 'string') return ignore(tuning);
  const { processor = tuning.processor } = host;
  if (tuning.processor !== processor)
    return ignore(`it was measured on ${JSON.stringify(tuning.processor)}, this is ${JSON.stringify(processor)}`);
  return tuning;
}

/** The target with these choices; what is taken from them is added to `taken`. */
export function tuned(target: Target, { choices }: Tuning, taken: Set<string>): Target {
  const name = targetName(target);
  const own = choices.get(name);
  if (!own) return target;
  return {
    ...target,
    choices: (key, names) => {
      const wanted = own.get(key);
      if (wanted === undefined || !names.includes(wanted)) return null;
      if (wanted !== names[0]) taken.add(`${name}: ${key} = ${wanted}`);
      return wanted;
    },
  };
}

/** `before` with what was measured now: a key that was measured and has no choice loses its old one. */
export function updated(before: Tuning, target: Target, measured: ReadonlyMap<string, string | null>): Tuning {
  const name = targetName(target);
  const own = new Map(before.choices.get(name));
  for (const [key, choice] of measured) {
    if (choice === null) own.delete(key);
    else own.set(key, choice);
  }
  return { ...before, choices: new Map([...before.choices, [name, own]]) };
}
