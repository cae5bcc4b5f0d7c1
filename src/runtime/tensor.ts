/** Tensors: dense, row-major, on one device. A tensor's memory is never handed out; `read` copies. */
import type { Elem } from './artifact.ts';
import { device, type Device } from './device.ts';
import { decode, encode, widthOf, type ValuesOf } from './elem.ts';
import { DTypeError, ShapeError } from './errors.ts';

export type Shape = readonly number[];
export type Nested = number | boolean | bigint | readonly Nested[];

/** Where the bytes are. */
export interface Storage {
  /** A copy of `length` bytes from `start`. */
  read(start: number, length: number): Uint8Array;
  write(start: number, bytes: Uint8Array): void;
  /** Address in the device's memory, where it lies there; null where the host holds the bytes. */
  address(): number | null;
}

class HostStorage implements Storage {
  private readonly bytes: Uint8Array;
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }
  read(start: number, length: number): Uint8Array {
    return this.bytes.subarray(start, start + length);
  }
  write(start: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, start);
  }
  address(): null {
    return null;
  }
}

export class Tensor<E extends Elem = Elem, S extends Shape = Shape> {
  readonly dtype: E;
  readonly shape: S;
  readonly device: Device;
  /** @internal */
  storage: Storage;

  /** Use `tensor`, `zeros`, ...; the constructor takes what they make. */
  constructor(dtype: E, shape: S, storage: Storage, on: Device) {
    this.dtype = dtype;
    this.shape = shape;
    this.storage = storage;
    this.device = on;
  }

  /** Number of elements. */
  get size(): number {
    return this.shape.reduce((a, b) => a * b, 1);
  }

  get nbytes(): number {
    return this.size * widthOf(this.dtype);
  }

  /** The values in row-major order, copied. f16 and bf16 are widened to f32; bool is 0 or 1. */
  async read(): Promise<ValuesOf<E>> {
    return this.readSync();
  }

  /** As `read`, where the device can answer at once: the cpu can. */
  readSync(): ValuesOf<E> {
    return decode(this.storage.read(0, this.nbytes), this.dtype);
  }

  /** Nested arrays of numbers, or a number for a scalar. */
  async toArray(): Promise<Nested> {
    return nest(await this.read(), this.shape);
  }

  /** The value of a tensor with one element. Throws ShapeError for others. */
  async item(): Promise<number> {
    if (this.size !== 1) throw new ShapeError(`item() is for one element; this tensor is [${this.shape.join(', ')}]`);
    return (await this.read())[0]!;
  }

  /** Sets one element in place: `t.set([0, 0], 42)`. Tied names and views see it. */
  set(index: readonly number[], value: number): void {
    if (index.length !== this.shape.length) {
      throw new ShapeError(`[${index.join(', ')}] has ${index.length} indices; the tensor has ${this.shape.length} dims`);
    }
    let at = 0;
    index.forEach((i, d) => {
      const n = this.shape[d]!;
      if (!Number.isInteger(i) || i < -n || i >= n) throw new ShapeError(`index ${i} is outside dim ${d} of size ${n}`);
      at = at * n + (i < 0 ? i + n : i);
    });
    this.storage.write(at * widthOf(this.dtype), encode([value], this.dtype));
  }

  /** Replaces all values, in row-major order. Throws ShapeError where the count differs. */
  copy_(values: ArrayLike<number | bigint | boolean> | Tensor): void {
    const from = values instanceof Tensor ? values.readSync() : values;
    if (from.length !== this.size) {
      throw new ShapeError(`${from.length} values for a tensor of [${this.shape.join(', ')}] with ${this.size}`);
    }
    this.storage.write(0, encode(from, this.dtype));
  }

  /** The tensor on that device: the same object where it is there already. */
  async to(where: string | Device): Promise<Tensor<E, S>> {
    const target = typeof where === 'string' ? device(where) : where;
    if (target === this.device) return this;
    return new Tensor(this.dtype, this.shape, new HostStorage(this.storage.read(0, this.nbytes).slice()), target);
  }

  toString(): string {
    return `Tensor(${this.dtype}[${this.shape.join(', ')}], ${this.device.name})`;
  }
}

export interface TensorOptions<E extends Elem = Elem> {
  /** Default: f32 for numbers and floats, i32 for integer arrays and bigints, bool for booleans. */
  readonly dtype?: E;
  /** Default: the nesting, or one dim. */
  readonly shape?: Shape;
  readonly device?: string | Device;
}

/**
 * A tensor from nested arrays, a typed array, or a number; the values are copied.
 * Throws ShapeError for ragged nesting or a wrong count, DTypeError for values that the element type cannot hold.
 */
export function tensor(values: Float32Array | Float64Array, options?: TensorOptions<'f32'>): Tensor<'f32'>;
export function tensor(
  values: Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array | BigInt64Array,
  options?: TensorOptions<'i32'>,
): Tensor<'i32'>;
export function tensor<E extends Elem = 'f32'>(values: Nested | ArrayLike<number | bigint>, options?: TensorOptions<E>): Tensor<E>;
export function tensor(values: Nested | ArrayLike<number | bigint>, options: TensorOptions = {}): Tensor {
  const where = resolveDevice(options.device);
  let shape: number[];
  let flat: ArrayLike<number | bigint | boolean>;
  if (typeof values === 'object' && ArrayBuffer.isView(values)) {
    flat = values as ArrayLike<number | bigint>;
    shape = [flat.length];
  } else {
    shape = shapeOf(values as Nested);
    flat = flatten(values as Nested, shape);
  }
  const dtype = options.dtype ?? defaultType(values, flat);
  if (options.shape) {
    const size = options.shape.reduce((a, b) => a * b, 1);
    if (size !== flat.length) throw new ShapeError(`${flat.length} values for the shape [${options.shape.join(', ')}], which has ${size}`);
    shape = [...options.shape];
  }
  return new Tensor(dtype, shape, new HostStorage(encode(flat, dtype)), where);
}

const filled = <E extends Elem>(value: number, shape: Shape, options: TensorOptions<E>): Tensor<E> => {
  const dtype = options.dtype ?? ('f32' as E);
  const size = shape.reduce((a, b) => a * b, 1);
  return new Tensor(dtype, shape, new HostStorage(encode(new Float32Array(size).fill(value), dtype)), resolveDevice(options.device));
};

export const zeros = <E extends Elem = 'f32'>(shape: Shape, options: TensorOptions<E> = {}): Tensor<E> => filled(0, shape, options);
export const ones = <E extends Elem = 'f32'>(shape: Shape, options: TensorOptions<E> = {}): Tensor<E> => filled(1, shape, options);
export const full = <E extends Elem = 'f32'>(shape: Shape, value: number, options: TensorOptions<E> = {}): Tensor<E> =>
  filled(value, shape, options);

const resolveDevice = (d: string | Device | undefined): Device => (typeof d === 'object' ? d : device(d ?? 'cpu'));

function defaultType(values: unknown, flat: ArrayLike<number | bigint | boolean>): Elem {
  if (values instanceof Float32Array || values instanceof Float64Array) return 'f32';
  if (values instanceof Uint32Array) return 'u32';
  if (ArrayBuffer.isView(values) || typeof flat[0] === 'bigint') return 'i32';
  return typeof flat[0] === 'boolean' ? 'bool' : 'f32';
}

function shapeOf(v: Nested): number[] {
  const shape: number[] = [];
  for (let x: Nested | undefined = v; typeof x === 'object'; x = x[0]) shape.push(x.length);
  return shape;
}

function flatten(v: Nested, shape: readonly number[]): (number | bigint | boolean)[] {
  const out: (number | bigint | boolean)[] = [];
  const visit = (x: Nested, depth: number, at: string): void => {
    if (typeof x !== 'object') {
      if (depth !== shape.length) throw new ShapeError(`the nesting is ragged: a number where a list is expected, at ${at || 'the top'}`);
      if (typeof x !== 'number' && typeof x !== 'boolean' && typeof x !== 'bigint') throw new DTypeError(`${at || 'the value'} is ${String(x)}, no number`);
      out.push(x);
      return;
    }
    if (depth >= shape.length || x.length !== shape[depth]) {
      throw new ShapeError(`the nesting is ragged: ${x.length} items where ${shape[depth] ?? 'a number'} is expected, at ${at || 'the top'}`);
    }
    x.forEach((y, i) => visit(y, depth + 1, `${at}[${i}]`));
  };
  visit(v, 0, '');
  return out;
}

function nest(values: ArrayLike<number>, shape: Shape): Nested {
  let at = 0;
  const make = (d: number): Nested => (d === shape.length ? values[at++]! : Array.from({ length: shape[d]! }, () => make(d + 1)));
  return make(0);
}
