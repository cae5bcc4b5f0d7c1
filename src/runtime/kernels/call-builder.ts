/** A kernel under construction together with the arguments of its call, so that the two lists cannot get out of step. */
import { i32, KernelBuilder } from '../../codegen/builder.ts';
import type { CallArg, KernelCall, Scratch } from '../../codegen/call.ts';
import type { KBuffer, KExpr, StorageElem } from '../../codegen/kernel.ts';
import type { Dim } from '../../ir/dim.ts';
import type { Origin } from '../../ir/ir.ts';
import type { EmitTile, Epilogue, ReadSource, ResultView, Source } from './epilogue.ts';

export class CallBuilder {
  readonly k = new KernelBuilder();
  private readonly args: CallArg[] = [];
  private readonly sizes = new Map<string, KExpr>();

  /** A size as argument: one kernel serves all its values. The same size under the same name is one argument. */
  size(name: string, size: Dim): KExpr {
    const key = `${name} ${size.key}`;
    let e = this.sizes.get(key);
    if (!e) {
      this.args.push({ kind: 'size', size });
      this.sizes.set(key, (e = this.k.scalar(name)));
    }
    return e;
  }

  /** A size that is a constant of the kernel where it is known. */
  fixed(name: string, size: Dim): KExpr {
    return size.value === null ? this.size(name, size) : i32(size.value);
  }

  source(source: Source): ReadSource {
    this.args.push(...source.args);
    return source.bind(this.k);
  }

  epilogue(epilogue: Epilogue, view: ResultView): EmitTile {
    this.args.push(...epilogue.args);
    return epilogue.bind(this.k, view);
  }

  /** Memory for the duration of the call. */
  scratch(name: string, bytes: Dim, elem: StorageElem = 'f32'): KBuffer {
    this.args.push({ kind: 'scratch', scratch: { kind: 'scratch', bytes } });
    return this.k.buffer(name, elem, 'readwrite');
  }

  /** Memory that several kernels of one call share. */
  shared(name: string, scratch: Scratch, elem: StorageElem = 'f32', access: KBuffer['access'] = 'readwrite'): KBuffer {
    this.args.push({ kind: 'scratch', scratch });
    return this.k.buffer(name, elem, access);
  }

  finish(name: string, origins: readonly Origin[]): KernelCall {
    return { kernel: this.k.finish(name, origins), args: this.args, inPlace: [], origin: origins[0]! };
  }
}
