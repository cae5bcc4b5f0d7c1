/** Methods as functions: equal instances share one, modes share one where nothing asks for the mode, sizes stay symbols. */
import test from 'ava';
import { verify } from '../../src/ir/verify.ts';
import { block, check } from '../support/check.ts';

const funcs = (b: ReturnType<typeof block>): string[] =>
  [...b.module.funcs.keys()].filter((n) => !n.startsWith('init_'));
const callees = (b: ReturnType<typeof block>, name: string): string[] =>
  b.module.funcs
    .get(name)!
    .body.ops.filter((op) => op.kind === 'call')
    .map((op) => String(op.attrs['callee']));

test('twelve equal layers are one function, called twelve times', (t) => {
  const made = block(`
    import { Linear } from "std/nn"
    block Layer(n: int) {
      net = seq { Linear(n, n); x => x * float(n); gelu }
      forward(x: f32[B, T, n]) -> f32[B, T, n] => x + net(x)
    }
    export block A(n: int = 8) {
      layers = [for i in 0..12: Layer(n)]
      forward(x: f32[B, T, n]) -> f32[B, T, n] {
        for layer in layers { x = layer(x) }
        x
      }
    }`);
  t.deepEqual(funcs(made), ['Linear_forward', 'Layer_forward', 'A_forward']);
  t.deepEqual(callees(made, 'A_forward'), new Array<string>(12).fill('Layer_forward'));
  t.deepEqual(verify(made.module), []);
});

test('layers that share a tensor are not equal to layers that do not', (t) => {
  const made = block(`
    import { Linear } from "std/nn"
    block Pair(a: block, b: block) {
      a = a
      b = b
      forward(x: f32[B, 4]) -> f32[B, 4] => b(a(x))
    }
    export block A {
      let s = Linear(4, 4)
      one = Pair(s, s)
      two = Pair(Linear(4, 4), Linear(4, 4))
      forward(x: f32[B, 4]) -> f32[B, 4] => two(one(x))
    }`);
  t.deepEqual(callees(made, 'A_forward'), ['Pair_forward', 'Pair_forward_2']);
});

test('a method that never asks for the mode has one function', (t) => {
  const made = block(`
    import { Dropout, Linear } from "std/nn"
    export block A {
      fc = Linear(4, 4)
      drop = Dropout(0.5)
      plain(x: f32[B, 4]) -> f32[B, 4] => fc(x)
      forward(x: f32[B, 4]) -> f32[B, 4] => drop(fc(x))
      frozen(x: f32[B, 4]) -> f32[B, 4] => drop(fc(x), training: false)
    }`);
  const [plain, forward, frozen] = made.methods;
  t.is(plain!.eval.func, plain!.training.func);
  t.not(forward!.eval.func, forward!.training.func);
  t.is(frozen!.eval.func, frozen!.training.func);
  t.deepEqual([forward!.eval.random, forward!.training.random], [false, true]);
});

test('a buffer that a method updates comes back as a trailing result, in call order', (t) => {
  const made = block(`
    block Counter {
      buffer n: i32[] stored i64 ~ zeros()
      forward(x: f32[B]) -> f32[B] {
        update n = n + 1
        x * f32(n)
      }
    }
    export block A {
      c = Counter()
      forward(x: f32[B]) -> f32[B] => c(c(x))
    }`);
  const [m] = made.methods;
  t.deepEqual(m!.eval.updates, [0]);
  const { body } = made.module.funcs.get(m!.eval.func)!;
  const [first, second] = body.ops;
  t.is(second!.operands[0], first!.results[1], 'the second call reads what the first wrote');
  t.is(body.results[1], second!.results[1]);
  t.is(made.tensors[0]!.stored, 'i64');
});

test('every draw has a stream of its own, also of a shared layer, and a mode or a later layer moves none', (t) => {
  const source = (extra: string): string => `
    import { Dropout } from "std/nn"
    export block A {
      drop = Dropout(0.5)
      forward(x: f32[B]) -> f32[B] {
        a = drop(x) + rand_like(x)
        b = drop(x) + rand_like(x)
        ${extra}
        a + b
      }
    }`;
  const keys = (text: string): number[] => {
    const made = block(text);
    const { ops } = made.module.funcs.get(made.methods[0]!.training.func)!.body;
    return ops.filter((op) => op.kind === 'fold_in').map((op) => Number(op.attrs['data']));
  };
  const plain = keys(source(''));
  t.is(plain.length, 4);
  t.is(new Set(plain).size, 4);
  t.deepEqual(keys(source('c = rand_like(x)')).slice(0, 4), plain);
});

test('what cannot be proved becomes a check of the entry, also from inside a layer', (t) => {
  const { block: made, diagnostics } = check(`
    block Join {
      forward(x: f32[N, 4], y: f32[M, 4]) -> f32[N, 4] => x + y
    }
    export block A {
      join = Join()
      forward(x: f32[P, 4], y: f32[Q, 4]) -> f32[P, 4] => join(x, y)
    }`);
  const { checks } = made!.module.funcs.get('A_forward')!;
  t.deepEqual(
    checks.map((c) => `${c.kind} ${c.left} ${c.right}`),
    ['equal P Q'],
  );
  t.regex(diagnostics.join(), /^NW3090 [^,]*`P` is `Q`/, 'and a warning: the signature has two names for one size');
  t.regex(checks[0]!.message, /in join/);
});

test('functions as arguments are lowered in place', (t) => {
  const made = block(`
    export block A {
      param w: f32[4] ~ ones()
      apply(f: (f32[...S]) -> f32[...S], x: f32[B, 4]) -> f32[B, 4] => f(x)
      forward(x: f32[B, 4]) -> f32[B, 4] => apply(y => y * w, x)
    }`);
  t.deepEqual(
    made.methods.map((m) => m.name),
    ['forward'],
  );
  t.deepEqual(callees(made, 'A_forward'), []);
});
