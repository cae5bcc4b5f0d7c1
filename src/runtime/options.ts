/** What `create`, methods and `train_step` take besides tensors. */
import type { MethodEntry } from './artifact.ts';
import type { Progress } from './backend.ts';
import type { Device } from './device.ts';
import { UsageError } from './errors.ts';
import { Tensor } from './tensor.ts';

export interface CreateOptions {
  /** Of the initial values, and of dropout where a call gives no other. Default 0. */
  readonly seed?: number;
  /** `cpu` (default), `native`, `webgpu`, `webgpu:1`, or `auto` (see `autoDevice`). */
  readonly device?: string | Device;
  /** Told while C is compiled. */
  readonly progress?: Progress;
  /**
   * How many threads kernels on `native` and `cpu` share their work among; results do not depend on it. Default: on `native`
   * as many as there are cores, on `cpu` one, since each other is a worker that the process has to start.
   */
  readonly threads?: number;
  /** How many rounds a `while` may take before it is a `LoopError`. Default 100,000. */
  readonly while_limit?: number;
}

export interface CallOptions {
  /** Run in training mode (dropout, batch statistics). Direct calls evaluate unless asked, unlike PyTorch. */
  readonly training?: boolean;
  /** Of the random draws in this call. */
  readonly seed?: number;
  /** With the averaged weights: for blocks whose `train` block has `ema`. */
  readonly ema?: boolean;
}

export interface StepOptions {
  /** Learning rate of this step for every group, instead of `model.optimizer`'s. */
  readonly lr?: number;
  /**
   * With gradient accumulation: whether this call updates. Default: every `accumulate`-th does. The last batches of an epoch
   * may be fewer: `true` updates by the mean over those that there were.
   */
  readonly update?: boolean;
}

/** What follows the arguments. A tensor too many must not be ignored. */
export function optionsOf(call: string, method: MethodEntry, args: readonly unknown[]): object {
  const { length } = method.signature;
  const options = args[length] ?? {};
  if (typeof options === 'object' && !(options instanceof Tensor) && args.length <= length + 1) return options;
  const required = new Set(method.args.map((a) => a.name));
  const names = [...method.signature.map((n) => (required.has(n) ? n : `${n}?`)), 'options?'].join(', ');
  throw new UsageError(`${call}(${names}) takes nothing else: options are an object, and the last argument`);
}

/** A misspelt option must not be ignored either. */
export function checkOptions(call: string, options: object, known: readonly string[]): void {
  const unknown = Object.keys(options).find((k) => !known.includes(k));
  if (unknown === undefined) return;
  const compiled = unknown === 'hyper' ? ' (hyper-parameters are compiled in: `netwright build --set name=value`)' : '';
  throw new UsageError(`${call} has no option "${unknown}"; it has ${known.join(', ')}${compiled}`);
}
