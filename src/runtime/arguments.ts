/** Checks a call's arguments against a method's signature and binds its sizes; every fault names both sides. */
import type { Elem, IndexRange, MethodEntry, MethodForm, SizeExpr, Spec, TensorSpec } from './artifact.ts';
import type { Device } from './device.ts';
import { DeviceError, DTypeError, ShapeError, UsageError } from './errors.ts';
import { checkIndices } from './indices.ts';
import { evaluateSize, isBound, sizeText, solveFor } from './sizes.ts';
import { Tensor, zeros } from './tensor.ts';

export interface BoundArguments {
  readonly form: MethodForm;
  readonly binding: Map<string, number>;
  /** One per leaf of the arguments, in order. */
  readonly tensors: readonly Tensor[];
}

interface Leaf {
  readonly name: string;
  readonly spec: TensorSpec & { readonly indices?: readonly IndexRange[]; readonly size?: true };
  readonly value: unknown;
}

export function bindArguments(
  block: string,
  method: MethodEntry,
  args: readonly unknown[],
  device: Device,
): BoundArguments {
  const call = `${block}.${method.name}`;
  const { form, values } = formOf(call, method, args);
  const leaves = form.args
    .flatMap((a, i) => leavesOf(a.spec, a.name, values[i], call))
    .map((l): Leaf => (l.spec.size ? { ...l, value: sized(call, l.name, l.value, device) } : l));
  const binding = new Map<string, number>();
  /** Which argument's dim gave a symbol its value. */
  const boundBy = new Map<string, string>();
  const later: (() => void)[] = [];
  for (const { name, spec, value } of leaves) {
    const t = checkTensor(call, name, spec, value, device);
    spec.shape.forEach((dim, d) => {
      const have = t.shape[d]!;
      const where = `dim ${d} of ${name}`;
      const check = (): void => {
        const found = solveFor(dim, have, binding);
        if (found && found[1] >= 0) {
          binding.set(found[0], found[1]);
          boundBy.set(found[0], where);
        } else if (!isBound(dim, binding) || evaluateSize(dim, binding) !== have) {
          throw new ShapeError(mismatch(call, name, spec, t, d, dim, binding, boundBy));
        }
      };
      // Bare symbols first: `T + 1` may stand before the `T` that it needs.
      if (typeof dim === 'object') later.push(check);
      else check();
    });
  }
  for (const check of later) check();
  for (const { name, spec, value } of leaves) {
    if (spec.indices) checkIndices(`${call}: ${name}`, value as Tensor, spec.indices, binding);
  }
  return { form, binding, tensors: leaves.map((l) => l.value as Tensor) };
}

/** Which optional arguments are given, and all that are; `undefined` and `null` are none. */
function formOf(
  call: string,
  method: MethodEntry,
  args: readonly unknown[],
): { readonly form: MethodForm; readonly values: readonly unknown[] } {
  const { signature } = method;
  const there = signature.filter((_, i) => args[i] !== undefined && args[i] !== null);
  const form = [method, ...method.forms].find(
    (f) => f.args.length === there.length && f.args.every((a, i) => a.name === there[i]),
  );
  if (form && args.length <= signature.length)
    return { form, values: form.args.map((a) => args[signature.indexOf(a.name)]) };
  const required = new Set(method.args.map((a) => a.name));
  const want = signature.map((n) => (required.has(n) ? n : `${n}?`)).join(', ');
  const least = required.size < signature.length ? `${required.size} to ` : '';
  // A generated method passes all of its arguments on, those too that its caller left out.
  const count = args.findLastIndex((a) => a !== undefined) + 1;
  throw new UsageError(
    `${call}(${want}) takes ${least}${signature.length} argument${signature.length === 1 ? '' : 's'}, not ${count}`,
  );
}

/** A size reaches a program as that of a tensor without elements. */
function sized(call: string, name: string, value: unknown, device: Device): Tensor {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0)
    throw new UsageError(`${call}: ${name} is a whole number from 0, not ${String(value)}`);
  return zeros([value, 0], { dtype: 'u32', device });
}

export const typeText = (elem: Elem, shape: readonly SizeExpr[]): string =>
  `${elem}[${shape.map(sizeText).join(', ')}]`;

function mismatch(
  call: string,
  name: string,
  spec: TensorSpec,
  t: Tensor,
  d: number,
  dim: SizeExpr,
  binding: ReadonlyMap<string, number>,
  boundBy: ReadonlyMap<string, string>,
): string {
  const head = `${call}: ${name} is ${typeText(t.dtype, t.shape)} and must be ${typeText(spec.elem, spec.shape)}`;
  if (typeof dim === 'string')
    return `${head}: dim ${d} is ${t.shape[d]}, but ${dim} is ${binding.get(dim)} (by ${boundBy.get(dim)})`;
  if (typeof dim === 'object' && isBound(dim, binding))
    return `${head}: dim ${d} is ${t.shape[d]}, but ${sizeText(dim)} is ${evaluateSize(dim, binding)}`;
  return `${head}: dim ${d} is ${t.shape[d]}`;
}

function leavesOf(spec: Spec, name: string, value: unknown, call: string): Leaf[] {
  if (spec.kind === 'tensor') return [{ name, spec, value }];
  if (spec.kind === 'tuple') {
    if (!Array.isArray(value) || value.length !== spec.items.length)
      throw new UsageError(`${call}: ${name} is a list of ${spec.items.length}`);
    return spec.items.flatMap((s, i) => leavesOf(s, `${name}.${i}`, value[i] as unknown, call));
  }
  if (typeof value !== 'object' || value === null) {
    throw new UsageError(`${call}: ${name} is an object with ${spec.fields.map((f) => f.name).join(', ')}`);
  }
  return spec.fields.flatMap((f) =>
    leavesOf(f.spec, `${name}.${f.name}`, (value as Record<string, unknown>)[f.name], call),
  );
}

function checkTensor(call: string, name: string, spec: TensorSpec, value: unknown, device: Device): Tensor {
  if (!(value instanceof Tensor)) {
    throw new UsageError(
      `${call}: ${name} must be a Tensor (make one with tensor(values)), not ${value === null ? 'null' : typeof value}`,
    );
  }
  if (value.device !== device)
    throw new DeviceError(`${call}: ${name} is on ${value.device.name} and the model is on ${device.name}`);
  if (value.dtype !== spec.elem) {
    throw new DTypeError(
      `${call}: ${name} is ${typeText(value.dtype, value.shape)} and must be ${typeText(spec.elem, spec.shape)}: tensor(values, { dtype: '${spec.elem}' })`,
    );
  }
  if (value.shape.length !== spec.shape.length) {
    throw new ShapeError(
      `${call}: ${name} is ${typeText(value.dtype, value.shape)} and must be ${typeText(spec.elem, spec.shape)}: ${value.shape.length} dims, not ${spec.shape.length}`,
    );
  }
  return value;
}
