/** Whether named tensors fit a model, and putting them there: all of them or none. */
import type { Elem } from './artifact.ts';
import { encode } from './elem.ts';
import { DeviceError, DTypeError, UsageError } from './errors.ts';
import { HostStorage } from './storage.ts';
import type { Tensor } from './tensor.ts';

/** As PyTorch's `load_state_dict` says it. */
export interface KeyReport {
  readonly missing_keys: string[];
  readonly unexpected_keys: string[];
}

export type StateDict = ReadonlyMap<string, Tensor> | Readonly<Record<string, Tensor>>;

type Shaped = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/** Compares names and shapes. Shapes must agree always; with `strict` the names too. Throws UsageError with what is wrong. */
export function compareKeys(model: string, own: Shaped, given: Shaped, strict: boolean): KeyReport {
  const missing_keys = [...own.keys()].filter((k) => !given.has(k));
  const unexpected_keys = [...given.keys()].filter((k) => !own.has(k));
  const wrong = [...own].flatMap(([k, t]) => {
    const g = given.get(k);
    return g && !sameShape(g.shape, t.shape)
      ? [`${k} is [${g.shape.join(', ')}] and must be [${t.shape.join(', ')}]`]
      : [];
  });
  const faults = wrong.length > 0 ? [some(wrong, '; ')] : [];
  if (strict) {
    if (missing_keys.length > 0) faults.push(`missing: ${some(missing_keys)}`);
    if (unexpected_keys.length > 0) faults.push(`unexpected: ${some(unexpected_keys)}`);
  }
  if (faults.length > 0) throw new UsageError(`the state dict does not fit ${model}: ${faults.join('; ')}`);
  return { missing_keys, unexpected_keys };
}

/** A file of another network has thousands of other names: the first few show what it is. */
const SHOWN = 8;
const some = (list: readonly string[], separator = ', '): string =>
  list.length <= SHOWN
    ? list.join(separator)
    : `${list.slice(0, SHOWN).join(separator)}${separator}and ${list.length - SHOWN} more`;

/** `load_state_dict` of a model or of a layer that has the tensors `own`. */
export function loadInto(
  model: string,
  own: ReadonlyMap<string, Tensor>,
  state: StateDict,
  strict: boolean,
): KeyReport {
  const given = state instanceof Map ? (state as ReadonlyMap<string, Tensor>) : new Map(Object.entries(state));
  const report = compareKeys(model, own, given, strict);
  assign(own, given);
  return report;
}

/** Copies the values of equal names. Everything is converted before anything is written. */
export function assign(own: ReadonlyMap<string, Tensor>, given: ReadonlyMap<string, Tensor>): void {
  const ready = [...own].flatMap(([k, t]): (() => void)[] => {
    const g = given.get(k);
    if (!g) return [];
    const copy = g.storage.visible || g.dtype !== t.dtype ? null : t.storage.copier?.(g.storage);
    if (copy) return [copy];
    const bytes = convert(k, g, t.dtype);
    return [() => t.storage.write(0, bytes)];
  });
  for (const write of ready) write();
}

function convert(name: string, from: Tensor, elem: Elem): Uint8Array {
  if (!from.storage.visible)
    throw new DeviceError(`${name} is on ${from.device.name}: move it first, with await its to('cpu')`);
  if (from.dtype === elem) {
    const bytes = from.storage.read(0, from.nbytes);
    // Memory of a device may be what is about to be written.
    return from.storage instanceof HostStorage ? bytes : bytes.slice();
  }
  try {
    return encode(from.readSync(), elem);
  } catch (e) {
    throw e instanceof DTypeError ? new DTypeError(`${name}: ${e.message}`) : e;
  }
}

const sameShape = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((n, i) => n === b[i]);
