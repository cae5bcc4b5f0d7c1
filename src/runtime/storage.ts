/** Where the bytes of a tensor are. Writes take effect in the order in which they and calls are made, on every device. */

export interface Storage {
  /** The host can see the bytes now: `read` works. */
  readonly visible: boolean;
  /** `length` bytes from `start`, to be copied before anything else runs. Throws DeviceError where they are not visible. */
  read(start: number, length: number): Uint8Array;
  /** As `read`, wherever the bytes are. */
  fetch(start: number, length: number): Promise<Uint8Array>;
  write(start: number, bytes: Uint8Array): void;
  /** The memory itself where it is the host's, to be written before anything else runs: it may move later. */
  live?(): Uint8Array;
  /** Address in the device's memory, where it lies there and a program may read it in place; else null. */
  address(): number | null;
  /** What copies all of `source` here without the host, where both lie on one device and that can be done; else null. */
  copier?(source: Storage): (() => void) | null;
  /** Set where this is a matrix seen as its transpose: how the matrix lies there. */
  readonly transposeOf?: StoredMatrix;
}

export interface StoredMatrix {
  readonly storage: Storage;
  readonly rows: number;
  readonly cols: number;
  /** Bytes of an element. */
  readonly width: number;
}

/** Bytes of the host, whatever the device of their tensor: a call brings them in. */
export class HostStorage implements Storage {
  readonly visible = true;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  read(start: number, length: number): Uint8Array {
    return this.bytes.subarray(start, start + length);
  }

  async fetch(start: number, length: number): Promise<Uint8Array> {
    return this.read(start, length);
  }

  write(start: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, start);
  }

  live(): Uint8Array {
    return this.bytes;
  }

  address(): null {
    return null;
  }
}

/** A part of another storage. Its memory may be written by a program while it reads its arguments: it has no address. */
export function windowOf(inner: Storage, start: number): Storage {
  return {
    get visible() {
      return inner.visible;
    },
    read: (at, length) => inner.read(start + at, length),
    fetch: (at, length) => inner.fetch(start + at, length),
    write: (at, bytes) => inner.write(start + at, bytes),
    address: () => null,
  };
}
