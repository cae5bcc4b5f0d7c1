/** What a saved object holds beside tensors (an epoch, a learning rate, a list of classes), as notes by their paths. */
import { PyCall, PyComplex, PyDict, PySet, PyTuple, typeName, type PyValue } from './pickle-values.ts';
import { children } from './torch-names.ts';
import { TorchTensor } from './torch-tensor.ts';

/** Notes are for people and for other files: of a file that is full of them the first are kept. */
const MAX_NOTES = 1000;
const MAX_VISITS = 100_000;
const MAX_DEPTH = 50;
const MAX_ITEMS = 100;
const MAX_TEXT = 10_000;
/** Characters of all names and texts: a long key above many values is in each of their names. */
const MAX_ALL = 1_000_000;

/** A text that is `taken`, the name of a tensor, is no note: readers would take it for a tie. */
export function plainNotes(root: PyValue, taken: ReadonlyMap<string, unknown>): Map<string, string> {
  const out = new Map<string, string>();
  // What is shared is told once, where it first stands.
  const seen = new Set<object>();
  let visits = 0;
  let all = 0;
  const visit = (v: PyValue, path: readonly string[]): void => {
    if (v instanceof TorchTensor || out.size >= MAX_NOTES || ++visits > MAX_VISITS || path.length > MAX_DEPTH) return;
    const text = scalarText(v) ?? listText(v);
    if (text !== null) {
      all += path.reduce((n, key) => n + key.length + 1, text.length);
      if (path.length > 0 && all <= MAX_ALL && !taken.has(text)) out.set(path.join('.'), text);
      return;
    }
    if (typeof v !== 'object' || v === null || seen.has(v)) return;
    seen.add(v);
    for (const [key, child] of children(v) ?? []) visit(child, [...path, key]);
  };
  visit(root, []);
  return out;
}

/** As Python prints it. */
function scalarText(v: PyValue): string | null {
  if (v === null) return 'None';
  if (v === true) return 'True';
  if (v === false) return 'False';
  if (typeof v === 'string') return short(v);
  if (typeof v === 'number' || typeof v === 'bigint') return Object.is(v, -0) ? '-0' : String(v);
  if (v instanceof Uint8Array) return `${v.length} bytes`;
  if (v instanceof PyComplex) return `(${v.re}${v.im < 0 ? '-' : '+'}${Math.abs(v.im)}j)`;
  if (v instanceof PyCall) return short(`${v.name}(${v.args.map((a) => scalarText(a) ?? typeName(a)).join(', ')})`);
  return null;
}

/** A list of plain values is one note. */
function listText(v: PyValue): string | null {
  const items = Array.isArray(v) ? v : v instanceof PyTuple ? v.items : v instanceof PySet ? [...v.items()] : null;
  if (items === null) return v instanceof PyDict && v.size === 0 ? '{}' : null;
  const texts = items.slice(0, MAX_ITEMS).map(scalarText);
  if (texts.includes(null)) return null;
  const more = items.length > MAX_ITEMS ? `, ... (${items.length} in all)` : '';
  const [open, close] = Array.isArray(v) ? '[]' : v instanceof PyTuple ? '()' : '{}';
  return short(`${open}${texts.join(', ')}${more}${close}`);
}

const short = (text: string): string =>
  text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}... (${text.length} characters)` : text;
