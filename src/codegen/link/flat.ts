/** The linker's working form of one program: straight and structured instructions over buffers that are not placed yet. */
import type { Dim } from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';

/** Memory of one value (or of the parts of a pack). Bytes may depend on the program's symbols. */
export interface Buffer {
  readonly bytes: Dim;
  /** Whose memory it is: the caller's (`input`, `output`), an arena's, or the program's own. */
  kind: 'input' | 'output' | 'segment' | 'temp';
  readonly segment: string | null;
  readonly accesses: Access[];
}

/** One read or write of a range at a time (position of a leaf instruction). Loops stretch reads to their end. */
export interface Access {
  readonly time: number;
  readonly write: boolean;
  readonly offset: Dim;
  readonly bytes: Dim;
  /** Where it stands: what comes later in a region runs after what comes earlier; a region itself may run never or often. */
  readonly region: Region;
  /** The copy that makes it: once both ends are one place, it does nothing. */
  readonly copy: Copy | null;
}

/** The program, a branch of an `if`, the condition or the body of a loop. */
export interface Region {
  readonly parent: Region | null;
  /** How often the body of a `for` runs; null for other regions. */
  readonly count: Dim | null;
}

export interface Copy {
  readonly from: Place;
  readonly to: Place;
}

/** A range of a buffer. */
export interface Place {
  readonly buffer: Buffer;
  readonly offset: Dim; // bytes
  readonly bytes: Dim;
}

export type KernelAccess = 'read' | 'write' | 'readwrite';

export type Instr =
  | {
      readonly kind: 'kernel';
      readonly time: number;
      readonly kernel: number;
      readonly args: readonly (Place | Dim)[];
      /** What it does to each of them that is a place. */
      readonly access: readonly (KernelAccess | null)[];
      readonly origin: Origin;
      readonly flops: Dim;
      /** See KernelCall. */
      readonly rows: Dim | null;
    }
  | { readonly kind: 'copy'; readonly time: number; readonly from: Place; readonly to: Place }
  | {
      readonly kind: 'for';
      readonly count: Dim;
      readonly counter: Place;
      readonly body: readonly Instr[];
      readonly origin: Origin;
    }
  | {
      readonly kind: 'while';
      readonly cond: readonly Instr[];
      readonly flag: Place;
      readonly body: readonly Instr[];
      readonly origin: Origin;
    }
  | {
      readonly kind: 'if';
      readonly flag: Place;
      readonly then: readonly Instr[];
      readonly else: readonly Instr[];
      readonly origin: Origin;
    };

/** At `time` the kernel may write `result` over `operand`: it reads each element before it writes it. */
export interface InPlace {
  readonly time: number;
  readonly result: Place;
  readonly operand: Place;
}

export interface FlatProgram {
  readonly buffers: readonly Buffer[];
  readonly instrs: readonly Instr[];
  readonly inPlace: readonly InPlace[];
  /** Copies that should become copies onto themselves, in the order in which that is tried. */
  readonly wishes: readonly Copy[];
  readonly inputs: readonly Buffer[];
  /** Where each result of the entry ends up. */
  readonly outputs: readonly Place[];
  readonly end: number;
}
