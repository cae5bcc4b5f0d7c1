/** A kernel under construction together with the arguments of its call, which must stay in the same order. */
import type { Dim } from '../ir/dim.ts';
import type { ElemType, Value } from '../ir/ir.ts';
import { i32, KernelBuilder } from './builder.ts';
import type { CallArg, KernelCall, Scratch } from './call.ts';
import type { KBuffer, KExpr } from './kernel.ts';
import { Scope } from './scope.ts';
import type { Origin } from '../ir/ir.ts';

export class KernelArgs {
  readonly k = new KernelBuilder();
  readonly scope = new Scope(this.k);
  readonly args: CallArg[] = [];
  private readonly sizes = new Map<string, KExpr>();

  buffer(v: Value, access: KBuffer['access'], name: string): KBuffer {
    this.args.push({ kind: 'value', value: v });
    return this.k.buffer(name, v.type.elem, access);
  }

  scratch(elem: ElemType, bytes: Dim, name: string): KBuffer {
    this.args.push({ kind: 'scratch', scratch: { kind: 'scratch', bytes } });
    return this.k.buffer(name, elem, 'readwrite');
  }

  /** Memory that several kernels of one call share. */
  shared(elem: ElemType, scratch: Scratch, name: string): KBuffer {
    this.args.push({ kind: 'scratch', scratch });
    return this.k.buffer(name, elem, 'readwrite');
  }

  /** A size as a number where it is one, else as a parameter. */
  size(d: Dim): KExpr {
    return d.value !== null ? i32(d.value) : this.sizeParam(d);
  }

  /** A size as a parameter in any case: kernels that differ only in it are one. */
  sizeParam(d: Dim): KExpr {
    let e = this.sizes.get(d.key);
    if (!e) {
      this.args.push({ kind: 'size', size: d });
      this.sizes.set(d.key, (e = this.k.scalar('n')));
    }
    return e;
  }

  finish(name: string, origins: readonly Origin[], inPlace: KernelCall['inPlace'] = []): KernelCall {
    return { kernel: this.k.finish(name, origins), args: this.args, inPlace, origin: origins[0]! };
  }
}
