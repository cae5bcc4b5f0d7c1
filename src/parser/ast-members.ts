/** The members of a block in the syntax tree: what stands between its braces. */
import type { Expr, FnDecl, Ident, Node, Pattern, Require, Span, Template } from './ast.ts';
import type { TypeExpr } from './ast-types.ts';

export type Member =
  | TensorMember
  | ConstMember
  | SubBlock
  | Let
  | Tie
  | Init
  | Train
  | Freeze
  | MethodMember
  | IfMember
  | ForMember
  | Require;

/** `param weight: f32[o, i] ~ rule`, `buffer running_mean: f32[c] ~ zeros()`, `const w: f32[20, 20] ~ rand()`. */
export interface TensorMember extends Node {
  readonly kind: 'param' | 'buffer' | 'constTensor';
  readonly name: Ident;
  /** `as "weight_l{i}"`: its name in the state dict, where that is another one. */
  readonly as: Template | null;
  readonly doc: string;
  readonly type: TypeExpr;
  /** `stored i64`: the element type in files where it differs from memory. */
  readonly stored: Ident | null;
  readonly init: Expr | null;
}

/** `const k = expr`: fixed at compile time. */
export interface ConstMember extends Node {
  readonly kind: 'const';
  readonly name: Ident;
  readonly doc: string;
  readonly value: Expr;
}

/** `name = Linear(...)`: a child under that name, or `name as "layer{i}" = ...` under another. */
export interface SubBlock extends Node {
  readonly kind: 'sub';
  readonly name: Ident;
  readonly as: Template | null;
  readonly doc: string;
  readonly value: Expr;
}

/** `let shared = Linear(...)`: a child named by its places of use. */
export interface Let extends Node {
  readonly kind: 'let';
  readonly name: Ident;
  readonly doc: string;
  readonly value: Expr;
}

/** `tie head.weight = wte.weight` (or `transpose(wte.weight)`). The right side owns the storage. */
export interface Tie extends Node {
  readonly kind: 'tie';
  readonly target: Selector;
  readonly source: Selector;
  readonly transposed: boolean;
}

/** `init { selector ~ rule; ... }` */
export interface Init extends Node {
  readonly kind: 'init';
  readonly rules: readonly { readonly selector: Selector; readonly rule: Expr; readonly span: Span }[];
}

/** `train { optimizer = AdamW(lr: 1e-3); override **.bias { weight_decay = 0.0 }; freeze base.**; checkpoint layers.*; epochs = 10 }` */
export interface Train extends Node {
  readonly kind: 'train';
  readonly settings: readonly { readonly name: Ident; readonly value: Expr }[];
  readonly overrides: readonly {
    readonly selector: Selector;
    readonly settings: readonly { readonly name: Ident; readonly value: Expr }[];
    readonly span: Span;
  }[];
  readonly freeze: readonly Selector[];
  /** Blocks of which the backward computes the inside again. */
  readonly checkpoint: readonly Selector[];
}

export interface Freeze extends Node {
  readonly kind: 'freeze';
  readonly selector: Selector;
}

/** `forward(x: f32[B, 4]) -> f32[B, 1] => expr` */
export interface MethodMember extends Node {
  readonly kind: 'method';
  readonly fn: FnDecl;
}

/** `if bias { param bias: ... } else { ... }` over compile-time conditions. */
export interface IfMember extends Node {
  readonly kind: 'ifMember';
  readonly cond: Expr;
  readonly then: readonly Member[];
  readonly else: readonly Member[];
}

/** `for i in 0..n { param w as "w{i}": ... }` while compiling: outside it, each of its members is a list. */
export interface ForMember extends Node {
  readonly kind: 'forMember';
  readonly pattern: Pattern;
  readonly iter: Expr;
  readonly body: readonly Member[];
}

/**
 * A path with wildcards: `layers.*.attn.**.bias`, `net.0.weight`, or a block type and member: `Conv2d.weight`.
 * Whether the first name is a block type or a child is settled by the resolver (types are tried where no child matches).
 */
export interface Selector extends Node {
  readonly kind: 'selector';
  readonly parts: readonly SelectorPart[];
}

export type SelectorPart = (
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'index'; readonly index: number }
  | { readonly kind: 'any' } // *
  | { readonly kind: 'deep' } // **
) & { readonly span: Span };
