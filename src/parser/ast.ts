/** The abstract syntax tree of a `.net` file: what the parser promises and every later stage reads. */
import type { Span } from '../diagnostics/span.ts';

import type { Member } from './ast-members.ts';
import type { TypeExpr } from './ast-types.ts';

export type { Span };
export type * from './ast-members.ts';
export type * from './ast-types.ts';

export interface Node {
  readonly span: Span;
}

export interface Ident extends Node {
  readonly name: string;
}

/** A whole file. `doc` strings everywhere are the text of the `///` lines above, without the slashes. */
export interface File extends Node {
  readonly kind: 'file';
  readonly imports: readonly Import[];
  readonly decls: readonly Decl[];
}

/** `import { A, B as C } from "./a.net"` */
export interface Import extends Node {
  readonly kind: 'import';
  readonly names: readonly { readonly name: Ident; readonly as: Ident | null }[];
  readonly from: { readonly path: string; readonly span: Span };
}

export type Decl = BlockDecl | FnDecl | OptimizerDecl | TypeDecl | ConstDecl;

interface DeclBase extends Node {
  readonly name: Ident;
  readonly doc: string;
  readonly exported: boolean;
}

/** A hyper-parameter or a function argument: `name: Type = default`. A lambda's arguments have no type. */
export interface Param extends Node {
  readonly name: Ident;
  readonly type: TypeExpr | null;
  readonly default: Expr | null;
}

/** `block Linear(in_features: int, ...) { members }` */
export interface BlockDecl extends DeclBase {
  readonly kind: 'block';
  readonly params: readonly Param[];
  readonly members: readonly Member[];
}

/** `fn name(params) -> Type => expr` or `{ statements }`; also the shape of a method of a block. */
export interface FnDecl extends DeclBase {
  readonly kind: 'fn';
  readonly params: readonly Param[];
  readonly result: TypeExpr | null;
  readonly body: Body;
  /** `grad (dy) => ...` after the body: a custom gradient. */
  readonly grad: { readonly params: readonly Param[]; readonly body: Body; readonly span: Span } | null;
}

/** `optimizer SGD(lr: float = 1e-3) { buffer m: f32[...S] ~ zeros(); step(p, g) -> ... { } }` */
export interface OptimizerDecl extends DeclBase {
  readonly kind: 'optimizer';
  readonly params: readonly Param[];
  readonly members: readonly Member[];
}

/** `type Cache = { k: f32[B, T], pos: i32[] }` */
export interface TypeDecl extends DeclBase {
  readonly kind: 'type';
  readonly type: TypeExpr;
}

/** File-level `const name = expr`. */
export interface ConstDecl extends DeclBase {
  readonly kind: 'constDecl';
  readonly value: Expr;
}

/** What `=` and `for` bind: a name, or names in parentheses, nested: `((a, b), c)`. */
export type Pattern = Ident | TuplePattern;
export interface TuplePattern extends Node {
  readonly items: readonly Pattern[];
}

/** Text with names in it: `"weight_ih_l{layer}"`. A part is the text as it reads, or a name or member to be put there. */
export interface Template extends Node {
  readonly parts: readonly (string | Name | MemberExpr | ErrorExpr)[];
}

// ---------------------------------------------------------------- statements

/** `=> expr`, or `{ statements; result }` whose last statement is the result expression. */
export interface Body extends Node {
  readonly kind: 'body';
  readonly stmts: readonly Stmt[];
  /** The value of the body; null where the body ends in a statement. */
  readonly result: Expr | null;
}

export type Stmt = Assign | Update | IfStmt | WhileStmt | ForStmt | Require | ExprStmt;

/** `x = expr`, `(a, (b, c)) = expr`, or a pure update of a part: `out[:, t] = expr`, `cache.k[:, pos] = expr`. */
export interface Assign extends Node {
  readonly kind: 'assign';
  readonly target: Pattern;
  /** The field that is replaced, or in which something is; only with a single name. */
  readonly fields: readonly MemberExpr['member'][];
  /** Only with a single name. */
  readonly index: readonly Subscript[] | null;
  readonly value: Expr;
}

/** `update running_mean = expr` */
export interface Update extends Node {
  readonly kind: 'update';
  readonly target: Expr;
  readonly value: Expr;
}

export interface IfStmt extends Node {
  readonly kind: 'if';
  readonly cond: Expr;
  readonly then: Body;
  readonly else: Body | null; // `else if` is a body of one IfStmt
}

export interface WhileStmt extends Node {
  readonly kind: 'while';
  readonly cond: Expr;
  readonly body: Body;
}

/** `for x in list`, `for (i, x) in enumerate(list)`, `for t in 0..T` */
export interface ForStmt extends Node {
  readonly kind: 'for';
  readonly pattern: Pattern;
  readonly iter: Expr;
  readonly body: Body;
}

/** `require d % heads == 0, "heads ({heads}) must divide d ({d})"`, as a member or as a statement. */
export interface Require extends Node {
  readonly kind: 'require';
  readonly cond: Expr;
  readonly message: Template;
}

export interface ExprStmt extends Node {
  readonly kind: 'expr';
  readonly value: Expr;
}

// ---------------------------------------------------------------- expressions

export type Expr =
  | NumberLit
  | StringLit
  | BoolLit
  | NoneLit
  | Name
  | Infer
  | MemberExpr
  | IndexExpr
  | CallExpr
  | TupleExpr
  | ListExpr
  | ListComp
  | RecordExpr
  | SeqExpr
  | Lambda
  | Unary
  | Binary
  | IfExpr
  | RangeExpr
  | ErrorExpr;

/** `3`, `1e-3`, `0.5`. `isInt` tells `3` from `3.0`. */
export interface NumberLit extends Node {
  readonly kind: 'number';
  readonly value: number;
  readonly isInt: boolean;
}
export interface StringLit extends Node {
  readonly kind: 'string';
  readonly value: string;
}
export interface BoolLit extends Node {
  readonly kind: 'bool';
  readonly value: boolean;
}
export interface NoneLit extends Node {
  readonly kind: 'none';
}
export interface Name extends Node {
  readonly kind: 'name';
  readonly name: string;
}
/** `_`: solve this hyper-parameter from the first call. */
export interface Infer extends Node {
  readonly kind: 'infer';
}
/** `a.b` or `a.0` */
export interface MemberExpr extends Node {
  readonly kind: 'member';
  readonly object: Expr;
  readonly member: { readonly name: string | number; readonly span: Span };
}
/** `x[i]`, `x[:, 1:-1:2, ..., none]` */
export interface IndexExpr extends Node {
  readonly kind: 'index';
  readonly object: Expr;
  readonly items: readonly Subscript[];
}
export type Subscript =
  | { readonly kind: 'at'; readonly value: Expr; readonly span: Span }
  | {
      readonly kind: 'slice';
      readonly start: Expr | null;
      readonly stop: Expr | null;
      readonly step: Expr | null;
      readonly span: Span;
    }
  | { readonly kind: 'ellipsis'; readonly span: Span }
  | { readonly kind: 'newaxis'; readonly span: Span }; // written `none`
/** `f(a, b, name: c)` */
export interface CallExpr extends Node {
  readonly kind: 'call';
  readonly callee: Expr;
  readonly args: readonly Arg[];
}
export interface Arg extends Node {
  readonly name: Ident | null;
  readonly value: Expr;
}
/** `(a, b)`; `(a,)` */
export interface TupleExpr extends Node {
  readonly kind: 'tuple';
  readonly items: readonly Expr[];
}
export interface ListExpr extends Node {
  readonly kind: 'list';
  readonly items: readonly Expr[];
}
/** `[for i in 0..n: Block(i)]` */
export interface ListComp extends Node {
  readonly kind: 'listComp';
  readonly pattern: Pattern;
  readonly iter: Expr;
  readonly body: Expr;
}
/** `{ k: a, v: b }`: a value of a record type. */
export interface RecordExpr extends Node {
  readonly kind: 'record';
  readonly fields: readonly { readonly name: Ident; readonly value: Expr }[];
}
/** `seq { Linear(4, 8); relu; act = Tanh(); if deep { ... }; for i in 0..n { ... } }` */
export interface SeqExpr extends Node {
  readonly kind: 'seq';
  readonly items: readonly SeqItem[];
}
export type SeqItem =
  | { readonly kind: 'item'; readonly name: Ident | null; readonly value: Expr; readonly span: Span }
  | {
      readonly kind: 'seqIf';
      readonly cond: Expr;
      readonly then: readonly SeqItem[];
      readonly else: readonly SeqItem[];
      readonly span: Span;
    }
  | {
      readonly kind: 'seqFor';
      readonly pattern: Pattern;
      readonly iter: Expr;
      readonly body: readonly SeqItem[];
      readonly span: Span;
    };
/** `x => expr`, `(x, y) => expr` */
export interface Lambda extends Node {
  readonly kind: 'lambda';
  readonly params: readonly Param[];
  readonly body: Body;
}
export interface Unary extends Node {
  readonly kind: 'unary';
  readonly op: '-' | '+' | 'not';
  readonly operand: Expr;
}
export type BinaryOp = '+' | '-' | '*' | '/' | '%' | '@' | '==' | '!=' | '<' | '<=' | '>' | '>=' | 'and' | 'or';
export interface Binary extends Node {
  readonly kind: 'binary';
  readonly op: BinaryOp;
  readonly left: Expr;
  readonly right: Expr;
  readonly opSpan: Span;
}
/** `if c { a } else { b }` as an expression. */
export interface IfExpr extends Node {
  readonly kind: 'ifExpr';
  readonly cond: Expr;
  readonly then: Body;
  readonly else: Body;
}
/** `0..n`: from start (inclusive) to stop (exclusive). */
export interface RangeExpr extends Node {
  readonly kind: 'range';
  readonly start: Expr;
  readonly stop: Expr;
}
/** Stands where recovery skipped text; a diagnostic has already been reported. */
export interface ErrorExpr extends Node {
  readonly kind: 'error';
}
