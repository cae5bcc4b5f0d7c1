/** What can go wrong when a model is made, fed or loaded: one class per kind, each with a stable `code`. */

export class NetwrightError extends Error {
  /** Stable, for programs: `shape`, `dtype`, `device`, ... */
  readonly code: string;
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** A tensor's shape does not fit, or a size equality that only a run can test does not hold. */
export class ShapeError extends NetwrightError {
  constructor(message: string) {
    super('shape', message);
  }
}

/** An element type does not fit, or a value cannot be held by it. */
export class DTypeError extends NetwrightError {
  constructor(message: string) {
    super('dtype', message);
  }
}

/** An argument holds a class or a row number that there is not. */
export class IndexError extends NetwrightError {
  constructor(message: string) {
    super('index', message);
  }
}

/** A device is absent, or tensors of two devices met. */
export class DeviceError extends NetwrightError {
  constructor(message: string) {
    super('device', message);
  }
}

/** A GPU is gone (driver, cable, `destroy`), and all that was on it. Models can be made anew from their last state. */
export class DeviceLostError extends NetwrightError {
  constructor(message: string) {
    super('device-lost', message);
  }
}

/** A driver does not take a kernel that the compiler wrote: a fault of one of the two, at a line of the network. */
export class KernelError extends NetwrightError {
  readonly kernel: string;
  /** `file:line` and layer of what the kernel computes, the main one first. */
  readonly origins: readonly string[];
  constructor(kernel: string, origins: readonly string[], what: string, reason: string) {
    super('kernel', `${what}${origins.length > 0 ? ` of ${origins.join(', ')}` : ''}: ${reason}`);
    this.kernel = kernel;
    this.origins = origins;
  }
}

/** More memory is needed than the device can address; the message has both numbers. */
export class OutOfMemoryError extends NetwrightError {
  constructor(message: string) {
    super('out-of-memory', message);
  }
}

/** A file of weights or of a training run is damaged, of another kind, or of another network. */
export class CheckpointError extends NetwrightError {
  /** The file, or '' for bytes in memory. */
  readonly file: string;
  /** The byte that the fault was found at, where there is one. */
  readonly offset: number | null;
  constructor(file: string, message: string, offset: number | null = null) {
    const where = offset === null ? message : `at byte ${offset}: ${message}`;
    super('checkpoint', file === '' ? where : `${file}: ${where}`);
    this.file = file;
    this.offset = offset;
  }
}

/** A file cannot be read or written: absent, not permitted, a full disk, a server that fails. */
export class FileError extends NetwrightError {
  readonly file: string;
  readonly doing: 'read' | 'write';
  /** Why, in words. */
  readonly reason: string;
  /** The system's word (`ENOENT`, `ENOSPC`, ...), `network` for a server, `changed` for a file that became another. */
  readonly kind: string;
  constructor(file: string, doing: 'read' | 'write', reason: string, kind = 'network', options?: ErrorOptions) {
    super('file', `${file}: cannot be ${doing === 'write' ? 'written' : 'read'}: ${reason}`, options);
    this.file = file;
    this.doing = doing;
    this.reason = reason;
    this.kind = kind;
  }
}

/** The loss is NaN or infinite. */
export class NonFiniteError extends NetwrightError {
  constructor(message: string) {
    super('non-finite', message);
  }
}

/** The condition of a `while` still holds after as many rounds as the model allows. */
export class LoopError extends NetwrightError {
  /** `file:line` and layer of the loop. */
  readonly origin: string;
  readonly limit: number;
  constructor(program: string, origin: string, limit: number) {
    super(
      'loop',
      `${origin === '' ? 'a' : `${origin}: the`} \`while\` did not end: in ${program} its condition still holds after ${limit} rounds; where that is right, create({ while_limit }) allows more`,
    );
    this.origin = origin;
    this.limit = limit;
  }
}

/** Something was asked for that the model does not have: a parameter, a method, an optimizer. */
export class UsageError extends NetwrightError {
  constructor(message: string) {
    super('usage', message);
  }
}
