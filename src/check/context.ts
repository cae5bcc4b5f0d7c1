/** Where an expression stands: what its names mean, which function's IR it writes to, and how its faults are reported. */
import { isLibraryFile } from './library.ts';
import { DiagnosticBag } from '../diagnostics/index.ts';
import type { DiagnosticArgs, DiagnosticName, Extra, Related } from '../diagnostics/index.ts';
import type { Span } from '../parser/ast.ts';
import { IrBuilder } from '../ir/builder.ts';
import type { Dim } from '../ir/dim.ts';
import type { DimCheck, Func, Origin, Value } from '../ir/ir.ts';
import type { Tie } from '../parser/ast.ts';
import type { InstanceNode, TensorNode } from './instance.ts';
import type { LoweredMethod } from './outline.ts';
import type { Project } from './project.ts';
import type { Scope } from './scope.ts';
import type { Uniforms } from './uniform.ts';
import { POISON, type Val } from './values.ts';
import { CATALOGUE } from '../diagnostics/catalogue.generated.ts';

/** One elaboration of one exported block. */
export interface World {
  readonly project: Project;
  readonly bag: DiagnosticBag;
  readonly funcs: Map<string, Func>;
  readonly methods: Map<string, LoweredMethod>;
  /** Method functions that are being lowered, to see a call of itself. */
  readonly lowering: Set<string>;
  readonly pendingTies: { readonly owner: InstanceNode; readonly tie: Tie }[];
  /** Calls of the library inside which a fault has been reported. */
  readonly faulty: Set<string>;
  readonly ids: WeakMap<object, number>;
  nextId: number;
  nextInstance: number;
}

/** The function of the net IR under construction. */
export interface FnState {
  b: IrBuilder;
  readonly root: InstanceNode | null;
  training: boolean;
  /** Whether anything asked for the mode: where not, both modes share the function. */
  readsMode: boolean;
  /** Tensors read, with the parameter and the value in force (buffers change). */
  readonly tensors: Map<TensorNode, { readonly param: Value; current: Value }>;
  readonly updated: Set<TensorNode>;
  /** The u32[2] parameter, made when first needed, and the key in force: loops carry it on. */
  keyParam: Value | null;
  key: Value | null;
  /** Set whenever a draw asks for the key; loops reset it to learn whether their body draws. */
  keyUsed: boolean;
  readonly checks: DimCheck[];
  /** Numbers of a run that the function takes; null where there are none. */
  readonly uniforms: Uniforms | null;
  /** Calls so far per inlined path, to tell random streams apart. */
  readonly ordinals: Map<string, number>;
}

/** A type that is wanted: the shape that `rand()` takes when nothing else says. */
export interface Wanted {
  readonly elem: string | null;
  readonly shape: readonly Dim[];
  readonly from: readonly (Span | null)[];
}

export interface Cx {
  readonly world: World;
  readonly scope: Scope;
  /** Null where only compile-time values are allowed. */
  readonly fn: FnState | null;
  readonly self: InstanceNode | null;
  /** The layer's path, for origins and messages. */
  readonly path: string;
  /** Inlined calls from the function's start, for random streams. */
  readonly trail: string;
  /** The place in the user's file that led into a library function; messages and origins point there. */
  readonly site: Span | null;
  /** The call that led into this function or method; null in an entry. */
  readonly caller: Span | null;
  /** What the enclosing function gives back: the shape of last resort for `rand()`. */
  readonly result: Wanted | null;
  /** Inside the dims of a type: integer division need not be exact. */
  readonly inDim: boolean;
  readonly depth: number;
}

export const isLibrary = (s: Span): boolean => isLibraryFile(s.file);

/** Reports at the user's place, with the library's place as the related one; gives poison for convenience. */
export function report<N extends DiagnosticName>(
  cx: Pick<Cx, 'world' | 'site' | 'path' | 'fn'>,
  name: N,
  args: DiagnosticArgs<N>,
  span: Span,
  extra: Extra = {},
): Val {
  const path = (extra.path === undefined ? cx.path : extra.path) || null;
  if (cx.site && isLibrary(span)) {
    // The first fault inside a call of the library is the user's; what follows from it is the library's affair.
    const place = `${cx.site.file}:${cx.site.start}:${cx.fn ? idOf(cx.world, cx.fn) : ''}`;
    if (CATALOGUE[name].severity === 'error') {
      if (cx.world.faulty.has(place)) return POISON;
      cx.world.faulty.add(place);
    }
    const inner: Related = { span, message: 'found here, in the library' };
    cx.world.bag.report(name, args, cx.site, { ...extra, path, related: [...(extra.related ?? []), inner] });
  } else cx.world.bag.report(name, args, span, { ...extra, path });
  return POISON;
}

/** Reports, and gives null: for functions that have no value to poison. */
export function refuse<N extends DiagnosticName>(
  cx: Pick<Cx, 'world' | 'site' | 'path' | 'fn'>,
  name: N,
  args: DiagnosticArgs<N>,
  span: Span,
  extra: Extra = {},
): null {
  report(cx, name, args, span, extra);
  return null;
}

/**
 * Where an op comes from. The path is relative to the layer whose function is being built: equal layers share the
 * function, and each call says where it stands.
 */
export const originOf = (cx: Cx, span: Span, path: string = cx.path): Origin => ({
  span: cx.site ?? span,
  path: relativeTo(cx.fn?.root?.path ?? '', path),
});

const relativeTo = (root: string, path: string): string =>
  root === '' ? path : path === root ? '' : path.startsWith(`${root}.`) ? path.slice(root.length + 1) : path;

/** The id of an AST node or scope within this elaboration: what structure keys are made of. */
export function idOf(world: World, x: object): number {
  let id = world.ids.get(x);
  if (id === undefined) world.ids.set(x, (id = world.nextId++));
  return id;
}

export function newFn(root: InstanceNode | null, training: boolean, uniforms: Uniforms | null = null): FnState {
  return {
    b: new IrBuilder(),
    root,
    training,
    readsMode: false,
    tensors: new Map(),
    updated: new Set(),
    keyParam: null,
    key: null,
    keyUsed: false,
    checks: [],
    uniforms,
    ordinals: new Map(),
  };
}

export const staticCx = (cx: Cx, scope: Scope, inDim = false): Cx => ({ ...cx, scope, fn: null, inDim, result: null });

/** For looking at values whose faults are reported elsewhere. */
export const quiet = (cx: Cx): Cx => ({ ...cx, world: { ...cx.world, bag: new Silent(), faulty: new Set() } });

class Silent extends DiagnosticBag {
  override add(): void {}
}

/** Spans with a message, where there is a span. */
export function at(...places: readonly (readonly [Span | null | undefined, string])[]): Related[] {
  const out: Related[] = [];
  for (const [span, message] of places) {
    if (span && !out.some((r) => r.span.file === span.file && r.span.start === span.start && r.message === message))
      out.push({ span, message });
  }
  return out;
}
