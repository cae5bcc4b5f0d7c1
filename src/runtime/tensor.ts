/** Tensors: dense, row-major, on one device. A tensor's memory is never handed out; `read` copies. */
import type { Elem } from './artifact.ts';
import type { Device } from './device.ts';
import { cpuDevice, device, openDevice } from './devices.ts';
import { decode, ELEMS, encode, widthOf, type ValuesOf } from './elem.ts';
import { DeviceError, DTypeError, ShapeError } from './errors.ts';
import { INSPECT, tensorText } from './show.ts';
import type { Storage } from './storage.ts';

export type Shape = readonly number[];
export type Nested = number | boolean | bigint | readonly Nested[];

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
    return decode(await this.storage.fetch(0, this.nbytes), this.dtype);
  }

  /** As `read`, where the device can answer at once: the cpu can, others throw DeviceError. */
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
  set(index: IndexOf<S>, value: number): void {
    if (index.length !== this.shape.length) {
      throw new ShapeError(
        `[${index.join(', ')}] has ${index.length} indices; the tensor has ${this.shape.length} dims`,
      );
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
    const count = values instanceof Tensor ? values.size : values.length;
    if (count !== this.size) {
      throw new ShapeError(`${count} values for a tensor of [${this.shape.join(', ')}] with ${this.size}`);
    }
    if (values instanceof Tensor && values.dtype === this.dtype && !values.storage.visible) {
      const copy = this.storage.copier?.(values.storage);
      if (copy) return copy();
    }
    this.storage.write(0, encode(values instanceof Tensor ? values.readSync() : values, this.dtype));
  }

  /** The tensor on that device: the same object where it is there already. */
  async to(where: string | Device): Promise<Tensor<E, S>> {
    const target = typeof where === 'string' ? await device(where) : where;
    if (target === this.device) return this;
    const bytes = (await this.storage.fetch(0, this.nbytes)).slice();
    return new Tensor(this.dtype, this.shape, target.store(bytes, this.dtype), target);
  }

  /** Rows `start` up to, without, `end` of the first dim, copied: `images.slice(0, 64)` is a batch. Throws DeviceError as `readSync` does. */
  slice(start: number, end: number): Tensor<E, Shape> {
    const [rows, ...rest] = this.shape as Shape;
    const whole = Number.isInteger(start) && Number.isInteger(end);
    if (rows === undefined || !whole || start < 0 || end < start || end > rows)
      throw new ShapeError(`slice(${start}, ${end}) lies outside the rows of [${this.shape.join(', ')}]`);
    const width = rest.reduce((a, b) => a * b, widthOf(this.dtype));
    const bytes = this.storage.read(start * width, (end - start) * width).slice();
    return new Tensor<E, Shape>(this.dtype, [end - start, ...rest], this.device.store(bytes, this.dtype), this.device);
  }

  toString(): string {
    return `Tensor(${this.dtype}[${this.shape.join(', ')}], ${this.device.name})`;
  }

  [INSPECT](): string {
    return `Tensor(${tensorText(this)}, ${this.device.name})`;
  }
}

/** One number for each dim. */
export type IndexOf<S extends Shape> = { readonly [K in keyof S]: number };

/**
 * What a method of a generated class takes for `Tensor<E, S>`, when it is given a tensor of shape `Given`: where the rank
 * of `Given` is known it must fit S; a tensor of any `Shape` is taken as it is, and checked when it runs.
 */
export type Input<E extends Elem, S extends Shape, Given extends Shape> = Tensor<E, Given> &
  (number extends Given['length'] ? unknown : Tensor<E, S>);

/** The shape as a type: a tuple where its length is known. */
export type ShapeType<S extends Shape> = number extends S['length'] ? Shape : { -readonly [K in keyof S]: S[K] };

type IntegerArray = Int32Array | Int16Array | Int8Array | Uint8Array | Uint16Array | BigInt64Array | BigUint64Array;
/** The shape of nested lists as a type, by the first of each list: a tuple where the lists are written out, else any. */
export type NestedShape<V> = V extends readonly unknown[]
  ? number extends V['length']
    ? Shape
    : V extends readonly [infer First, ...unknown[]]
      ? NestedShape<First> extends infer Rest extends Shape
        ? number extends Rest['length']
          ? Shape
          : [V['length'], ...Rest]
        : never
      : [0]
  : [];
/** The element type that nested lists get where none is asked for. */
export type NestedElem<V> = Nested extends V
  ? Elem
  : V extends readonly (infer X)[]
    ? NestedElem<X>
    : V extends boolean
      ? 'bool'
      : V extends bigint
        ? 'i32'
        : 'f32';
export type TensorValues = Nested | ArrayLike<number | bigint>;

export interface TensorOptions<E extends Elem = Elem, S extends Shape = Shape> {
  /** Default: f32 for numbers and floats, i32 for integer arrays and bigints, bool for booleans. */
  readonly dtype?: E;
  /** Default: the nesting, or one dim. Written in place it becomes part of the type: `{ shape: [64, 784] }`. */
  readonly shape?: S;
  readonly device?: string | Device;
}

/**
 * A tensor from nested arrays, a typed array, or a number; the values are copied.
 * Throws ShapeError for ragged nesting or a wrong count, DTypeError for values that the element type cannot hold.
 */
export function tensor<const S extends Shape = Shape>(
  values: Float32Array | Float64Array,
  options?: TensorOptions<'f32', S>,
): Tensor<'f32', ShapeType<S>>;
export function tensor<const S extends Shape = Shape>(
  values: IntegerArray,
  options?: TensorOptions<'i32', S>,
): Tensor<'i32', ShapeType<S>>;
export function tensor<const S extends Shape = Shape>(
  values: Uint32Array,
  options?: TensorOptions<'u32', S>,
): Tensor<'u32', ShapeType<S>>;
export function tensor<const V extends Nested, E extends Elem = NestedElem<V>, const S extends Shape = NestedShape<V>>(
  values: V,
  options?: TensorOptions<E, S>,
): Tensor<NoInfer<E>, NoInfer<ShapeType<S>>>;
export function tensor<E extends Elem = 'f32', const S extends Shape = Shape>(
  values: TensorValues,
  options?: TensorOptions<E, S>,
): Tensor<NoInfer<E>, NoInfer<ShapeType<S>>>;
export function tensor(values: TensorValues, options: TensorOptions = {}): Tensor {
  const where = resolveDevice(options.device);
  let shape: readonly number[];
  let flat: ArrayLike<number | bigint | boolean>;
  if (ArrayBuffer.isView(values)) {
    flat = values as unknown as ArrayLike<number | bigint>;
    shape = [flat.length];
  } else {
    const nested = (typeof values === 'object' && !Array.isArray(values) ? Array.from(values) : values) as Nested;
    shape = shapeOf(nested);
    flat = flatten(nested, shape);
  }
  const dtype = elemFrom(options.dtype) ?? defaultType(values, flat);
  if (options.shape) {
    const size = checkedSize(options.shape);
    if (size !== flat.length) {
      throw new ShapeError(`${flat.length} values for the shape [${options.shape.join(', ')}], which has ${size}`);
    }
    shape = [...options.shape];
  }
  return new Tensor(dtype, shape, where.store(encode(flat, dtype), dtype), where);
}

type FilledOptions<E extends Elem> = Omit<TensorOptions<E>, 'shape'>;
/** Without a `dtype` it is f32, whatever element type the place where the tensor goes would rather have. */
type Plain = Omit<TensorOptions, 'shape' | 'dtype'> & { readonly dtype?: undefined };
type Typed<E extends Elem> = FilledOptions<E> & { readonly dtype: E };

/** All elements `value`; f32 unless `dtype` says otherwise. */
export function full<const S extends Shape>(shape: S, value: number, options?: Plain): Tensor<'f32', ShapeType<S>>;
export function full<const S extends Shape, E extends Elem>(
  shape: S,
  value: number,
  options: Typed<E>,
): Tensor<E, ShapeType<S>>;
export function full<S extends Shape, E extends Elem>(
  shape: S,
  value: number,
  options: FilledOptions<E> = {},
): Tensor<E, ShapeType<S>> {
  const where = resolveDevice(options.device);
  const dtype = elemFrom(options.dtype) ?? ('f32' as E);
  const bytes = encode(new Float32Array(checkedSize(shape)).fill(value), dtype);
  return new Tensor(dtype, [...shape] as readonly number[] as ShapeType<S>, where.store(bytes, dtype), where);
}

export function zeros<const S extends Shape>(shape: S, options?: Plain): Tensor<'f32', ShapeType<S>>;
export function zeros<const S extends Shape, E extends Elem>(shape: S, options: Typed<E>): Tensor<E, ShapeType<S>>;
export function zeros<S extends Shape, E extends Elem>(
  shape: S,
  options: FilledOptions<E> = {},
): Tensor<E, ShapeType<S>> {
  return full(shape, 0, options as Typed<E>);
}

export function ones<const S extends Shape>(shape: S, options?: Plain): Tensor<'f32', ShapeType<S>>;
export function ones<const S extends Shape, E extends Elem>(shape: S, options: Typed<E>): Tensor<E, ShapeType<S>>;
export function ones<S extends Shape, E extends Elem>(
  shape: S,
  options: FilledOptions<E> = {},
): Tensor<E, ShapeType<S>> {
  return full(shape, 1, options as Typed<E>);
}

/** Whole numbers from `start` (0) up to, without, `end`, every `step`-th, as `torch.arange`: i32, or f32 where one of the three is no whole number. */
export function arange<E extends Elem = Elem>(end: number, options?: FilledOptions<E>): Tensor<NoInfer<E>, [number]>;
export function arange<E extends Elem = Elem>(
  start: number,
  end: number,
  step?: number,
  options?: FilledOptions<E>,
): Tensor<NoInfer<E>, [number]>;
export function arange(...args: readonly (number | FilledOptions<Elem> | undefined)[]): Tensor<Elem, [number]> {
  const numbers = args.filter((a) => typeof a === 'number');
  const options = args.find((a) => typeof a === 'object') ?? {};
  const [start = 0, end = 0, step = 1] = numbers.length === 1 ? [0, ...numbers] : numbers;
  const count = Math.ceil((end - start) / step);
  if (!Number.isFinite(count) || count < 0)
    throw new ShapeError(`arange(${numbers.join(', ')}): steps of ${step} do not lead from ${start} to ${end}`);
  const dtype = options.dtype ?? (numbers.every(Number.isInteger) ? 'i32' : 'f32');
  const values = Float64Array.from({ length: count }, (_, i) => start + i * step);
  return tensor<Elem, [number]>(values, { ...options, dtype, shape: [count] });
}

/** Programs without types write PyTorch's names, too. */
function elemFrom<E extends Elem>(dtype: E | undefined): E | undefined {
  if (dtype === undefined || ELEMS.includes(dtype)) return dtype;
  throw new DTypeError(`there is no element type "${String(dtype)}"; there are ${ELEMS.join(', ')}`);
}

function checkedSize(shape: Shape): number {
  if (!Array.isArray(shape)) throw new ShapeError(`a shape is a list, such as [4, 3], not ${String(shape)}`);
  const wrong = shape.find((n) => !Number.isInteger(n) || n < 0);
  if (wrong !== undefined)
    throw new ShapeError(`a dim is a whole number from 0; the shape [${shape.join(', ')}] has ${wrong}`);
  return shape.reduce((a, b) => a * b, 1);
}

/** Making a tensor does not wait, so its device must be open. */
function resolveDevice(where: string | Device | undefined): Device {
  if (typeof where === 'object') return where;
  if (where === undefined || where === 'cpu') return cpuDevice();
  const found = openDevice(where);
  if (found) return found;
  throw new DeviceError(
    `the device "${where}" is not open: call await device('${where}') first, or make the tensor on the cpu and await its to('${where}')`,
  );
}

function defaultType(values: unknown, flat: ArrayLike<number | bigint | boolean>): Elem {
  if (values instanceof Float32Array || values instanceof Float64Array) return 'f32';
  if (values instanceof Uint32Array) return 'u32';
  if (ArrayBuffer.isView(values) || typeof flat[0] === 'bigint') return 'i32';
  return typeof flat[0] === 'boolean' ? 'bool' : 'f32';
}

function shapeOf(v: Nested): number[] {
  const shape: number[] = [];
  for (let x: Nested | undefined = v; Array.isArray(x); x = (x as readonly Nested[])[0]) shape.push(x.length);
  return shape;
}

function flatten(v: Nested, shape: readonly number[]): (number | bigint | boolean)[] {
  const out: (number | bigint | boolean)[] = [];
  const visit = (x: Nested, depth: number, at: string): void => {
    if (!Array.isArray(x)) {
      if (depth !== shape.length)
        throw new ShapeError(`the nesting is ragged: a number where a list is expected, at ${at || 'the top'}`);
      if (typeof x !== 'number' && typeof x !== 'boolean' && typeof x !== 'bigint')
        throw new DTypeError(`${at || 'the value'} is ${String(x)}, no number`);
      out.push(x);
      return;
    }
    if (depth >= shape.length || x.length !== shape[depth]) {
      throw new ShapeError(
        `the nesting is ragged: ${x.length} items where ${shape[depth] ?? 'a number'} is expected, at ${at || 'the top'}`,
      );
    }
    x.forEach((y, i) => visit(y, depth + 1, `${at}[${i}]`));
  };
  visit(v, 0, '');
  return out;
}

function nest(values: ArrayLike<number>, shape: Shape): Nested {
  let at = 0;
  const make = (d: number): Nested =>
    d === shape.length ? values[at++]! : Array.from({ length: shape[d]! }, () => make(d + 1));
  return make(0);
}
