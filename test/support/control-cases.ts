/** Programs with arenas, branches and loops, written as net IR, with their arguments. */
import { ndarray, type NdArray } from '../../src/ir/ndarray.ts';
import type { Roles } from './run-linked.ts';

export interface Case {
  readonly title: string;
  readonly text: string;
  readonly inputs: readonly NdArray[];
  readonly roles?: Roles;
  /** Copies in the program: values that have to be moved. */
  readonly copies: number;
}

export const f32 = (...x: number[]): NdArray => ndarray('f32', [x.length], x);
const scalar = (x: number): NdArray => ndarray('f32', [], [x]);
export const bool = (x: boolean): NdArray => ndarray('bool', [], [Number(x)]);
/** Binds T to n. */
export const rounds = (n: number): NdArray => ndarray('f32', [n], new Array<number>(n).fill(0));
const P: Roles = { inputs: { 0: 'p' }, outputs: { 0: 'p' } };

const ARENAS: readonly Case[] = [
  {
    title: 'an arena is updated in place',
    text: `func @main(%p: f32[6], %g: f32[6]) -> (f32[6]) {
      %0 = sub %p, %g : f32[6]
      return %0
    }`,
    inputs: [f32(1, 2, 3, 4, 5, 6), f32(6, 5, 4, 3, 2, 1)],
    roles: P,
    copies: 0,
  },
  {
    title: 'the parts of an arena are written where they lie',
    text: `func @main(%p: f32[6], %a: f32[2], %b: f32[4]) -> (f32[6]) {
      %0 = neg %a : f32[2]
      %1 = abs %b : f32[4]
      %2 = pack %0, %1 : f32[6]
      return %2
    }`,
    inputs: [f32(1, 2, 3, 4, 5, 6), f32(7, 8), f32(-1, -2, -3, -4)],
    roles: P,
    copies: 0,
  },
  {
    title: 'a part whose old content is still needed is kept apart',
    text: `func @main(%p: f32[4]) -> (f32[4], f32[2]) {
      %a = view %p {offset = <0>, shape = [2]} : f32[2]
      %b = view %p {offset = <2>, shape = [2]} : f32[2]
      %0 = neg %a : f32[2]
      %1 = add %b, %a : f32[2]
      %2 = pack %0, %1 : f32[4]
      return %2, %a
    }`,
    inputs: [f32(1, 2, 30, 40)],
    roles: P,
    copies: 2,
  },
  {
    title: 'two halves of an arena change places',
    text: `func @main(%p: f32[4]) -> (f32[4]) {
      %a = view %p {offset = <0>, shape = [2]} : f32[2]
      %b = view %p {offset = <2>, shape = [2]} : f32[2]
      %0 = pack %b, %a : f32[4]
      return %0
    }`,
    inputs: [f32(1, 2, 30, 40)],
    roles: P,
    copies: 3,
  },
  {
    title: 'two arenas change places',
    text: `func @main(%p: f32[2], %q: f32[2]) -> (f32[2], f32[2]) {
      return %q, %p
    }`,
    inputs: [f32(1, 2), f32(3, 4)],
    roles: { inputs: { 0: 'p', 1: 'q' }, outputs: { 0: 'p', 1: 'q' } },
    copies: 4,
  },
  {
    title: 'an arena keeps what another held before its update',
    text: `func @main(%p: f32[2], %old: f32[2], %g: f32[2]) -> (f32[2], f32[2]) {
      %0 = sub %p, %g : f32[2]
      return %0, %p
    }`,
    inputs: [f32(1, 2), f32(0, 0), f32(10, 20)],
    roles: { inputs: { 0: 'p', 1: 'old' }, outputs: { 0: 'p', 1: 'old' } },
    copies: 1,
  },
  {
    title: 'a result is the arena as it was before its update',
    text: `func @main(%p: f32[2], %g: f32[2]) -> (f32[2], f32[2], f32[2]) {
      %0 = sub %p, %g : f32[2]
      return %0, %p, %0
    }`,
    inputs: [f32(1, 2), f32(10, 20)],
    roles: P,
    copies: 2,
  },
  {
    title: 'an arena is updated in a loop',
    text: `func @main(%p: f32[2], %g: f32[2], %s: f32[T]) -> (f32[2]) {
      %0 = for %p {count = <T>} : f32[2] do (%i: i32[], %a: f32[2]) {
        %1 = sub %a, %g : f32[2]
        yield %1
      }
      return %0
    }`,
    inputs: [f32(1, 2), f32(10, 20), rounds(3)],
    roles: P,
    copies: 0,
  },
  {
    title: 'results that are arguments, or one value twice, are memory of their own',
    text: `func @main(%x: f32[N]) -> (f32[N], f32[N], f32[N], f32[N, 1]) {
      %0 = neg %x : f32[N]
      %1 = reshape %0 {shape = [N, 1]} : f32[N, 1]
      return %x, %0, %0, %1
    }`,
    inputs: [f32(1, 2, 3)],
    copies: 3,
  },
  {
    title: 'an empty tensor',
    text: `func @main(%x: f32[N]) -> (f32[N], f32[]) {
      %0 = neg %x : f32[N]
      %1 = sum %x {axes = (0), keepdims = false} : f32[]
      return %0, %1
    }`,
    inputs: [ndarray('f32', [0], [])],
    copies: 0,
  },
  {
    title: 'calls are repeated with memory of their own',
    text: `func @half(%x: f32[N]) -> (f32[N], f32[]) {
      %h = constant {value = 0.5, elem = "f32", shape = []} : f32[]
      %0 = mul %x, %h : f32[N]
      %1 = sum %0 {axes = (0), keepdims = false} : f32[]
      return %0, %1
    }
    func @main(%x: f32[A], %y: f32[A + 2]) -> (f32[A], f32[], f32[A + 2], f32[]) {
      %0, %1 = call @half %x : f32[A], f32[]
      %2, %3 = call @half %y : f32[A + 2], f32[]
      %4, %5 = call @half %0 : f32[A], f32[]
      return %4, %1, %2, %3
    }`,
    inputs: [f32(1, 2, 3), f32(1, 2, 3, 4, 5)],
    copies: 0,
  },
];

const BRANCHES: readonly Case[] = [
  ...[true, false].map((c): Case => ({
    title: `if ${c}`,
    text: `func @main(%x: f32[N], %c: bool[]) -> (f32[N], f32[N], f32[]) {
        %0, %1 = if %c : f32[N], f32[N] then {
          %2 = neg %x : f32[N]
          yield %2, %x
        } else {
          %3 = abs %x : f32[N]
          yield %x, %3
        }
        %4 = add %0, %1 : f32[N]
        %5 = sum %0 {axes = (0), keepdims = false} : f32[]
        return %4, %1, %5
      }`,
    inputs: [f32(1, -2, 3), bool(c)],
    copies: 4,
  })),
  {
    title: 'branches in branches, and a branch that passes a value on',
    text: `func @main(%x: f32[N], %c: bool[], %d: bool[]) -> (f32[N]) {
      %0 = if %c : f32[N] then {
        %1 = if %d : f32[N] then {
          %2 = neg %x : f32[N]
          yield %2
        } else {
          yield %x
        }
        %3 = add %1, %x : f32[N]
        yield %3
      } else {
        yield %x
      }
      return %0
    }`,
    inputs: [f32(1, -2, 3), bool(true), bool(false)],
    copies: 4,
  },
];

const LOOPS: readonly Case[] = [
  {
    title: 'for with a counter',
    text: `func @main(%x: f32[], %s: f32[T]) -> (f32[], i32[]) {
      %zero = constant {value = 0, elem = "i32", shape = []} : i32[]
      %y, %last = for %x, %zero {count = <T>} : f32[], i32[] do (%i: i32[], %a: f32[], %old: i32[]) {
        %f = cast %i {elem = "f32"} : f32[]
        %2 = mul %a, %x : f32[]
        %3 = add %2, %f : f32[]
        yield %3, %i
      }
      return %y, %last
    }`,
    inputs: [scalar(1.5), rounds(5)],
    copies: 3,
  },
  ...[0, 1, 5].flatMap((n): Case[] => [
    {
      title: `carries that change places, ${n} times`,
      text: `func @main(%x: f32[N], %y: f32[N], %s: f32[T]) -> (f32[N], f32[N]) {
        %a, %b = for %x, %y {count = <T>} : f32[N], f32[N] do (%i: i32[], %p: f32[N], %q: f32[N]) {
          yield %q, %p
        }
        return %a, %b
      }`,
      inputs: [f32(1, 2, 3), f32(4, 5, 6), rounds(n)],
      copies: 5,
    },
    {
      title: `each carry from both, ${n} times`,
      text: `func @main(%x: f32[N], %y: f32[N], %s: f32[T]) -> (f32[N], f32[N]) {
        %a, %b = for %x, %y {count = <T>} : f32[N], f32[N] do (%i: i32[], %p: f32[N], %q: f32[N]) {
          %n = add %p, %q : f32[N]
          yield %q, %n
        }
        return %a, %b
      }`,
      inputs: [f32(1, 2), f32(4, 5), rounds(n)],
      copies: 4,
    },
    {
      title: `two carries that become one value, ${n} times`,
      text: `func @main(%x: f32[N], %y: f32[N], %s: f32[T]) -> (f32[]) {
        %a, %b = for %x, %y {count = <T>} : f32[N], f32[N] do (%i: i32[], %p: f32[N], %q: f32[N]) {
          %n = neg %q : f32[N]
          yield %n, %n
        }
        %z = add %a, %b : f32[N]
        %e = exp %z : f32[N]
        %r = sum %e {axes = (0), keepdims = false} : f32[]
        return %r
      }`,
      inputs: [f32(1, 2, 3), f32(1.5, -2.5, 0.5), rounds(n)],
      copies: 3,
    },
  ]),
  {
    title: 'a carry that never changes, and one that starts as the other',
    text: `func @main(%x: f32[N], %s: f32[T]) -> (f32[N], f32[N], f32[N]) {
      %a, %b = for %x, %x {count = <T>} : f32[N], f32[N] do (%i: i32[], %p: f32[N], %q: f32[N]) {
        %n = mul %p, %q : f32[N]
        yield %p, %n
      }
      %c = neg %x : f32[N]
      return %a, %b, %c
    }`,
    inputs: [f32(1, 2, 3), rounds(3)],
    copies: 2,
  },
  ...[0, 1, 100].map((x): Case => ({
    title: `while, from ${x}`,
    text: `func @main(%x: f32[N]) -> (f32[N], f32[]) {
        %one = constant {value = 1, elem = "f32", shape = []} : f32[]
        %h = constant {value = 0.5, elem = "f32", shape = []} : f32[]
        %zero = constant {value = 0, elem = "f32", shape = []} : f32[]
        %y, %n = while %x, %zero : f32[N], f32[] while (%a: f32[N], %k: f32[]) {
          %s = sum %a {axes = (0), keepdims = false} : f32[]
          %c = gt %s, %one : bool[]
          yield %c
        } do (%b: f32[N], %k2: f32[]) {
          %2 = mul %b, %h : f32[N]
          %3 = add %k2, %one : f32[]
          yield %2, %3
        }
        return %y, %n
      }`,
    inputs: [f32(x, x, 0)],
    copies: 2,
  })),
  {
    title: 'loops in loops, and a value from outside that every round needs',
    text: `func @main(%x: f32[N], %s: f32[T], %u: f32[U]) -> (f32[N]) {
      %w = neg %x : f32[N]
      %a = for %x {count = <T>} : f32[N] do (%i: i32[], %p: f32[N]) {
        %v = exp %w : f32[N]
        %b = for %p {count = <U>} : f32[N] do (%j: i32[], %q: f32[N]) {
          %n = add %q, %v : f32[N]
          %m = sub %n, %w : f32[N]
          yield %m
        }
        yield %b
      }
      return %a
    }`,
    inputs: [f32(1, 2), rounds(3), rounds(2)],
    copies: 1,
  },
  {
    title: 'a branch in a loop',
    text: `func @main(%x: f32[N], %s: f32[T]) -> (f32[N]) {
      %two = constant {value = 2, elem = "i32", shape = []} : i32[]
      %a = for %x {count = <T>} : f32[N] do (%i: i32[], %p: f32[N]) {
        %c = lt %i, %two : bool[]
        %b = if %c : f32[N] then {
          %n = add %p, %x : f32[N]
          yield %n
        } else {
          yield %p
        }
        yield %b
      }
      return %a
    }`,
    inputs: [f32(1, 2), rounds(4)],
    copies: 4,
  },
];

export const CONTROL_CASES: readonly Case[] = [...ARENAS, ...BRANCHES, ...LOOPS];
