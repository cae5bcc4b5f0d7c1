/** Options that several commands share, and their parsing. */
import { InvalidArgumentError } from 'commander';
import type { StaticValue } from '../check/elaborated.ts';
import { type KernelLimits, WEBGPU_MINIMUM } from '../codegen/limits.ts';
import type { TargetName } from '../compile.ts';

export function positiveInt(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new InvalidArgumentError('It must be a whole number from 1.');
  return n;
}

export function wholeNumber(text: string): number {
  const n = Number(text);
  if (!Number.isInteger(n) || n < 0) throw new InvalidArgumentError('It must be a whole number from 0.');
  return n;
}

export function positiveNumber(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || !Number.isFinite(n) || n <= 0)
    throw new InvalidArgumentError('It must be a number above 0.');
  return n;
}

export function fraction(text: string): number {
  const n = Number(text);
  if (text.trim() === '' || !(n >= 0 && n < 1)) throw new InvalidArgumentError('It must be a number from 0 up to 1.');
  return n;
}

/** `--set name=value`, repeatable: numbers, true/false, none, (tuples) and plain text. */
export function setting(text: string, previous: Record<string, StaticValue> = {}): Record<string, StaticValue> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be name=value.');
  return { ...previous, [text.slice(0, at).trim()]: staticValue(text.slice(at + 1).trim()) };
}

/** `--train name=value`, repeatable: what stands behind `=` is an expression of the language. */
export function trainSetting(text: string, previous: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be name=value, such as lr=0.01.');
  return { ...previous, [text.slice(0, at).trim()]: text.slice(at + 1).trim() };
}

function staticValue(text: string): StaticValue {
  if (text === 'true' || text === 'false') return text === 'true';
  if (text === 'none') return null;
  if (text.startsWith('(') && text.endsWith(')')) {
    return text
      .slice(1, -1)
      .split(',')
      .map((s) => s.trim())
      .filter((s) => s !== '')
      .map(staticValue);
  }
  return text !== '' && Number.isFinite(Number(text)) ? Number(text) : text.replace(/^"(.*)"$/, '$1');
}

/** `--dim B=1`: a size that the summary is computed for. */
export function dimSetting(text: string, previous: Record<string, number> = {}): Record<string, number> {
  const m = /^([A-Z]\w*)=(\d{1,9})$/.exec(text);
  if (!m) throw new InvalidArgumentError('It must be NAME=NUMBER, such as B=1.');
  return { ...previous, [m[1]!]: Number(m[2]) };
}

/** What `--gpu-limit` says of itself. */
export const GPU_LIMIT =
  'what a WebGPU kernel may take: arguments=N or workgroupBytes=N (repeatable; default: what every device has)';

/** `--gpu-limit workgroupBytes=8192`, repeatable. */
export function gpuLimit(text: string, previous: Partial<KernelLimits> = {}): Partial<KernelLimits> {
  const [name, value] = text.split('=').map((s) => s.trim());
  const limit = Object.keys(WEBGPU_MINIMUM).find((l) => l === name);
  if (limit === undefined || !/^\d{1,9}$/.test(value ?? ''))
    throw new InvalidArgumentError(`It must be NAME=NUMBER; names are ${Object.keys(WEBGPU_MINIMUM).join(', ')}.`);
  return { ...previous, [limit]: Number(value) };
}

const TARGETS: readonly TargetName[] = ['wasm', 'webgpu', 'native'];

/** `--target c`, or a list. */
export const targetOption = (text: string): readonly TargetName[] | 'c' =>
  text.trim() === 'c' ? 'c' : targetList(text);

/** `--target wasm,webgpu`. */
export function targetList(text: string): readonly TargetName[] {
  const wanted = text.split(',').map((s) => s.trim());
  if (wanted.some((w) => !TARGETS.some((t) => t === w)))
    throw new InvalidArgumentError(`Targets are ${TARGETS.join(', ')}, or c alone.`);
  return TARGETS.filter((t) => t === 'wasm' || wanted.includes(t));
}

/** Of commands that compile. */
export const TUNE = [
  '--tune <file>',
  'choices that `netwright tune` measured (default: FILE.tune.json, if there is one)',
] as const;
export const NO_TUNE = ['--no-tune', 'compile as for any machine'] as const;
