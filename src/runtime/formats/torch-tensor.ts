/** Storages and tensors of PyTorch files: a tensor is a strided view of a storage, and several may share one. */
import type { FileTensor } from './checkpoint.ts';
import { swapBytes, swapWidth, widthOfDtype } from './dtypes.ts';
import { PyObject } from './pickle-values.ts';
import { countOf, gather, isContiguous } from './strided.ts';

/** The memory that tensors are views of. */
export class TorchStorage extends PyObject {
  readonly kind = 'a storage';
  readonly dtype: string;
  readonly numel: number;
  readonly nbytes: number;
  /** Its bytes, read from the file. */
  readonly content: () => Promise<Uint8Array>;
  readonly bigEndian: boolean;
  /** Equal for storages that share memory. */
  readonly root: object;
  readonly #views = new Map<string, TorchTensor>();

  constructor(
    dtype: string,
    numel: number,
    content: TorchStorage['content'],
    bigEndian: boolean,
    root: object | null = null,
  ) {
    super();
    this.dtype = dtype;
    this.numel = numel;
    this.nbytes = numel * widthOfDtype(dtype)!;
    this.content = content;
    this.bigEndian = bigEndian;
    this.root = root ?? this;
  }

  /** The tensor, or the one that was made before with the same values: PyTorch writes tied names as equal views of one storage. */
  once(t: TorchTensor): TorchTensor {
    const { dtype, offset, shape, strides, requiresGrad, bits } = t;
    const key = [dtype, offset, shape, strides, requiresGrad, bits.neg, bits.conj].join(' ');
    const known = this.#views.get(key) ?? t;
    this.#views.set(key, known);
    return known;
  }
}

export interface TorchView {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Bits that PyTorch keeps beside the values: they are applied when the values are read. */
export interface LazyBits {
  readonly neg: boolean;
  readonly conj: boolean;
}

export class TorchTensor extends PyObject implements FileTensor {
  readonly kind = 'a tensor';
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly storage: TorchStorage;
  readonly requiresGrad: boolean;
  /** Whether it is a `torch.nn.Parameter`. */
  readonly parameter: boolean;
  readonly bits: LazyBits;

  constructor(
    storage: TorchStorage,
    view: TorchView,
    flags: { requiresGrad: boolean; parameter?: boolean; bits?: LazyBits },
  ) {
    super();
    this.storage = storage;
    this.dtype = view.dtype;
    this.shape = view.shape;
    this.strides = view.strides;
    this.offset = view.offset;
    this.requiresGrad = flags.requiresGrad;
    this.parameter = flags.parameter ?? false;
    this.bits = flags.bits ?? { neg: false, conj: false };
  }

  asParameter(requiresGrad: boolean): TorchTensor {
    return new TorchTensor(this.storage, this, { requiresGrad, parameter: true, bits: this.bits });
  }

  /** Whether the storage's bytes are the values as they are. */
  get isPlain(): boolean {
    return !this.bits.neg && !this.bits.conj && !this.storage.bigEndian;
  }

  get nbytes(): number {
    return countOf(this.shape) * widthOfDtype(this.dtype)!;
  }

  async bytes(): Promise<Uint8Array> {
    const { storage, dtype, bits } = this;
    const view = { shape: this.shape, strides: this.strides, offset: this.offset, width: widthOfDtype(dtype)! };
    const lazy = bits.neg || (bits.conj && dtype.startsWith('C'));
    const part = swapWidth(dtype);
    let out = gather(await storage.content(), view);
    if (!lazy && !(storage.bigEndian && part > 1)) return out;
    if (isContiguous(view)) out = out.slice();
    if (storage.bigEndian) swapBytes(out, part);
    if (lazy) flipSigns(out, part, bits, dtype.startsWith('C'));
    return out;
  }
}

/** Negation of floats is their sign bit: of every part (neg), of imaginary parts (conj), of one of them (both). */
function flipSigns(bytes: Uint8Array, part: number, bits: LazyBits, complex: boolean): void {
  for (let i = 0; (i + 1) * part <= bytes.length; i++) {
    const imaginary = complex && i % 2 === 1;
    if (bits.neg !== (bits.conj && imaginary)) bytes[(i + 1) * part - 1]! ^= 0x80;
  }
}
