/**
 * Prints kernels and programs as one WebAssembly module. Each program is an exported driver `(frame: i32) -> i32` that loads the
 * arguments of its kernels from the frame and calls them in order; it gives 0, or 1 and the number of the `while` that did not
 * end. Kernels are exported too: a profile calls them one by one.
 *
 * Memory: the first page (64 KiB) belongs to the kernels' private and shared arrays, at the exported global `sp`, of which every
 * thread has its own; data starts above it.
 *
 * A kernel that threads share is three functions: the one that is called weighs the work, and if the exported global
 * `threads` says that there are several and it is worth it, leaves the arguments in memory and asks the host to `share` the
 * task; the exported task (part, parts) takes them from there; both run the third, which is the kernel.
 */
import { kernelExport, TASK_ARGS, taskExport, type Step, type WasmCode } from '../../runtime/artifact.ts';
import { PART, PARTS, type KBuffer, type Kernel, type KStmt } from '../kernel.ts';
import { readsPart, shared, type SharedKernel } from '../threads.ts';
import { arraysOf } from '../walk.ts';
import type { WasmFunction } from './encoder.ts';
import { encodeModule, I32_TYPE } from './encoder.ts';
import { ExpressionPrinter } from './expressions.ts';
import { FunctionWriter } from './function.ts';
import { MISC, OP } from './opcodes.ts';
import { sizeOfElem, valueType } from './types.ts';

/** Bytes at the bottom of memory that kernels use for private and shared arrays. */
export const SCRATCH_BYTES = 65536;

export interface WasmProgram {
  readonly name: string;
  /** `kernel` of a step is an index of `kernels`. */
  readonly steps: readonly Step[];
}

export interface WasmInput {
  readonly kernels: readonly Kernel[];
  readonly programs: readonly WasmProgram[];
}

const VOID = 0x40;
const GLOBALS = [
  { name: 'sp', init: 0 },
  { name: 'threads', init: 1 },
] as const;
const [SP, THREADS] = [0, 1];
const IMPORTS = [
  { name: 'share', params: [I32_TYPE], result: null },
  { name: 'barrier', params: [], result: null },
] as const;
const [SHARE, BARRIER] = [0, 1];

export interface WasmOptions {
  /** From how many statements on threads share a kernel. */
  readonly sharedFrom?: number | undefined;
}

export function printWasm(input: WasmInput, options: WasmOptions = {}): WasmCode {
  const { kernels, programs } = input;
  const tasks = kernels.flatMap((kernel, index) => {
    const found = shared(kernel, options.sharedFrom);
    return found && kernel.params.length <= TASK_ARGS.most ? [{ kernel, index, ...found }] : [];
  });
  // Bodies of shared kernels and their tasks come after everything that is there in any case.
  const bodyOf = new Map(tasks.map((t, i) => [t.kernel, IMPORTS.length + kernels.length + programs.length + i]));
  const callers = new Map(tasks.map((t) => [t.kernel, printCaller(t.kernel, t.index, t.weigh, bodyOf.get(t.kernel)!)]));
  const functions = [
    ...kernels.map((k, i) => callers.get(k) ?? printKernel(k, k.body, kernelExport(i))),
    ...programs.map((p) => printDriver(p, kernels)),
    ...tasks.map((t) => printKernel(t.kernel, t.body, null)),
    ...tasks.map((t) => printTask(t.kernel, t.index, bodyOf.get(t.kernel)!)),
  ];
  return encodeModule(IMPORTS, functions, GLOBALS);
}

/** With `exportName` null it takes the number of its thread and of all threads after its parameters. */
function printKernel(kernel: Kernel, body: readonly KStmt[], exportName: string | null): WasmFunction {
  const f = new FunctionWriter();
  const params = new Map<KBuffer, number>();
  const arrays = placeArrays(kernel);
  let sp = -1;
  const e = new ExpressionPrinter(f, (buf) => {
    const param = params.get(buf);
    if (param !== undefined) return { local: param, offset: 0 };
    const offset = arrays.get(buf);
    if (offset === undefined) throw new Error(`${kernel.name}: buffer ${buf.name} is not a parameter`);
    return { local: sp, offset };
  });
  for (const p of kernel.params) {
    if (p.kind === 'buffer') params.set(p, f.param(I32_TYPE));
    else e.bind(p, f.param(valueType(p.type)));
  }
  if (exportName === null) for (const v of [PART, PARTS]) e.bind(v, f.param(I32_TYPE));
  else if (readsPart(kernel)) {
    // It is the first of one: locals start as zero.
    e.localOf(PART);
    f.i32(1).set(e.localOf(PARTS));
  }
  if (arrays.size > 0) {
    sp = f.local(I32_TYPE);
    f.op(OP.globalGet, SP).set(sp);
  }
  statements(e, body);
  return { name: kernel.name, ...f.written, result: null, exportName };
}

/** Weighs the work of a shared kernel and calls its body, or has it shared. */
function printCaller(kernel: Kernel, index: number, weigh: SharedKernel['weigh'], body: number): WasmFunction {
  const f = new FunctionWriter();
  const e = new ExpressionPrinter(f, () => {
    throw new Error(`${kernel.name}: its work depends on memory`);
  });
  const params = kernel.params.map((p) => {
    const type = p.kind === 'buffer' ? I32_TYPE : valueType(p.type);
    const local = f.param(type);
    if (p.kind === 'var') e.bind(p, local);
    return { local, type };
  });
  f.op(OP.globalGet, THREADS).i32(1).op(OP.i32GtS, OP.if, VOID);
  statements(e, weigh.body);
  e.expr(weigh.worth);
  f.op(OP.if, VOID);
  params.forEach(({ local, type }, i) =>
    f
      .i32(TASK_ARGS.at)
      .get(local)
      .op(type === I32_TYPE ? OP.i32Store : OP.f32Store)
      .memarg(2, 4 * i),
  );
  f.i32(index).op(OP.call).code.u32(SHARE);
  f.op(OP.return, OP.end, OP.end);
  for (const { local } of params) f.get(local);
  f.i32(0).i32(1).op(OP.call).code.u32(body);
  return {
    name: kernel.name,
    ...f.written,
    result: null,
    exportName: kernelExport(index),
  };
}

/** What a thread calls with its number and that of all. */
function printTask(kernel: Kernel, index: number, body: number): WasmFunction {
  const f = new FunctionWriter();
  const parts = [f.param(I32_TYPE), f.param(I32_TYPE)];
  kernel.params.forEach((p, i) =>
    f
      .i32(TASK_ARGS.at)
      .op(p.kind === 'buffer' || valueType(p.type) === I32_TYPE ? OP.i32Load : OP.f32Load)
      .memarg(2, 4 * i),
  );
  for (const local of parts) f.get(local);
  f.op(OP.call).code.u32(body);
  const name = `${kernel.name}_task`;
  return { name, ...f.written, result: null, exportName: taskExport(index) };
}

/** Offsets of the kernel's own arrays in the scratch page. */
function placeArrays(kernel: Kernel): ReadonlyMap<KBuffer, number> {
  const offsets = new Map<KBuffer, number>();
  let top = 0;
  for (const buf of arraysOf(kernel)) {
    offsets.set(buf, top);
    top += ((buf.length ?? 0) * sizeOfElem(buf.elem) + 15) & ~15;
  }
  if (top > SCRATCH_BYTES) throw new Error(`${kernel.name}: ${top} bytes of private arrays, at most ${SCRATCH_BYTES}`);
  return offsets;
}

function statements(e: ExpressionPrinter, body: readonly KStmt[]): void {
  for (const s of body) statement(e, s);
}

function statement(e: ExpressionPrinter, s: KStmt): void {
  const { f } = e;
  const nested = (body: readonly KStmt[]): void => e.addresses.block(() => statements(e, body));
  switch (s.s) {
    case 'let':
    case 'set':
      e.expr(s.value);
      f.set(e.localOf(s.var));
      return;
    case 'store':
      return e.store(s.buf, s.index, s.value);
    case 'for':
      return f.scope(() => forLoop(e, s));
    case 'while':
      f.op(OP.block, VOID, OP.loop, VOID);
      e.addresses.block(() => e.expr(s.cond));
      f.op(OP.i32Eqz, OP.brIf, 1);
      nested(s.body);
      f.op(OP.br, 0, OP.end, OP.end);
      return;
    case 'if':
      e.expr(s.cond);
      f.op(OP.if, VOID);
      nested(s.then);
      if (s.else.length > 0) {
        f.op(OP.else);
        nested(s.else);
      }
      f.op(OP.end);
      return;
    case 'barrier':
      // Elsewhere one invocation comes after the other.
      if (s.space === 'threads') {
        f.get(e.localOf(PARTS)).i32(1).op(OP.i32GtS, OP.if, VOID, OP.call).code.u32(BARRIER);
        f.op(OP.end);
      }
      return;
    case 'note':
      return;
  }
}

/** The test stands at the end of the loop; before it only where the loop may be empty. */
function forLoop(e: ExpressionPrinter, s: KStmt & { s: 'for' }): void {
  const { f } = e;
  const i = e.localOf(s.var);
  e.expr(s.from);
  f.set(i);
  const fixed = s.to.k === 'const' || (s.to.k === 'var' && !s.to.var.mutable);
  const run = (limit: () => void): void => {
    const guarded = !(s.from.k === 'const' && s.to.k === 'const' && s.from.value < s.to.value);
    if (guarded) {
      f.get(i);
      limit();
      f.op(OP.i32LtS, OP.if, VOID);
    }
    f.op(OP.loop, VOID);
    e.addresses.block(() => statements(e, s.body));
    f.get(i).i32(s.step).op(OP.i32Add).tee(i);
    limit();
    f.op(OP.i32LtS, OP.brIf, 0, OP.end);
    if (guarded) f.op(OP.end);
  };
  if (fixed) return run(() => e.expr(s.to));
  e.expr(s.to);
  f.temp(I32_TYPE, (limit) => {
    f.set(limit);
    run(() => f.get(limit));
  });
}

function printDriver(program: WasmProgram, kernels: readonly Kernel[]): WasmFunction {
  const f = new FunctionWriter();
  const frame = f.param(I32_TYPE);
  const slot = (index: number, opcode: number = OP.i32Load): void => {
    f.get(frame)
      .op(opcode)
      .memarg(2, index * 4);
  };
  const flag = (index: number): void => {
    slot(index);
    f.op(OP.i32Load).memarg(2, 0);
  };
  const step = (s: Step): void => {
    switch (s.kind) {
      case 'kernel': {
        const { params } = kernels[s.kernel]!;
        s.slots.forEach((index, i) => {
          const p = params[i]!;
          slot(index, p.kind === 'var' && p.type.elem === 'f32' ? OP.f32Load : OP.i32Load);
        });
        f.op(OP.call).code.u32(IMPORTS.length + s.kernel);
        return;
      }
      case 'copy':
        slot(s.to);
        slot(s.from);
        slot(s.bytes);
        f.misc(MISC.memoryCopy).op(0, 0);
        return;
      case 'for':
        f.temp(I32_TYPE, (i) => {
          f.i32(0).set(i).op(OP.block, VOID, OP.loop, VOID).get(i);
          slot(s.count);
          f.op(OP.i32GeS, OP.brIf, 1);
          if (s.counter !== null) {
            slot(s.counter);
            f.get(i).op(OP.i32Store).memarg(2, 0);
          }
          s.body.forEach(step);
          f.get(i).i32(1).op(OP.i32Add).set(i).op(OP.br, 0, OP.end, OP.end);
        });
        return;
      case 'while':
        f.temp(I32_TYPE, (rounds) => {
          f.i32(0).set(rounds).op(OP.block, VOID, OP.loop, VOID);
          s.cond.forEach(step);
          flag(s.flag);
          f.op(OP.i32Eqz, OP.brIf, 1).get(rounds);
          slot(s.limit);
          f.op(OP.i32GeS, OP.if, VOID)
            .i32(s.region + 1)
            .op(OP.return, OP.end);
          s.body.forEach(step);
          f.get(rounds).i32(1).op(OP.i32Add).set(rounds).op(OP.br, 0, OP.end, OP.end);
        });
        return;
      case 'if':
        flag(s.flag);
        f.op(OP.if, VOID);
        s.then.forEach(step);
        if (s.else.length > 0) {
          f.op(OP.else);
          s.else.forEach(step);
        }
        f.op(OP.end);
        return;
    }
  };
  program.steps.forEach(step);
  f.i32(0);
  const { name } = program;
  return { name, ...f.written, result: I32_TYPE, exportName: name };
}
