/** How kernel IR is shared: which kernels can be, and that ranges cover a loop exactly once whatever the number of threads. */
import test from 'ava';
import { add, f32, i32, KernelBuilder, load } from '../../src/codegen/builder.ts';
import { runKernel } from '../../src/codegen/evaluate.ts';
import type { Kernel } from '../../src/codegen/kernel.ts';
import { cut, shared } from '../../src/codegen/threads.ts';
import { NO_ORIGIN } from '../../src/ir/ir.ts';

const COUNTS = [1, 2, 3, 4, 7, 64];

test('ranges cover every iteration once, in order, and differ by one iteration at most', (t) => {
  for (const [from, to, step] of [
    [0, 0, 1],
    [0, 1, 1],
    [3, 40, 1],
    [0, 100, 8],
    [5, 103, 8],
    [7, 3, 2],
  ] as const)
    for (const parts of COUNTS) {
      const seen: number[] = [];
      const counts: number[] = [];
      for (let part = 0; part < parts; part++) {
        const k = new KernelBuilder();
        const out = k.buffer('out', 'i32', 'write');
        const range = cut(k, from, to, step);
        k.store(out, 0, range.from);
        k.store(out, 1, range.to);
        const bounds = [0, 0];
        runKernel(k.finish('cut', [NO_ORIGIN]), [bounds], { thread: [part, parts] });
        t.true(bounds[0]! <= bounds[1]!, 'vector loops count on it');
        const own: number[] = [];
        for (let i = bounds[0]!; i < bounds[1]!; i += step) own.push(i);
        seen.push(...own);
        counts.push(own.length);
      }
      const all: number[] = [];
      for (let i: number = from; i < to; i += step) all.push(i);
      t.deepEqual(seen, all, `[${from}, ${to}) by ${step} on ${parts}`);
      t.true(Math.max(...counts) - Math.min(...counts) <= 1);
    }
});

/** A sum into each element of `out`, and one number more that no thread but the first may write. */
function rows(axis: 'parallel' | 'serial', access: 'write' | 'readwrite' = 'write'): Kernel {
  const k = new KernelBuilder();
  const x = k.buffer('x', 'f32');
  const out = k.buffer('out', 'f32', access);
  const n = k.scalar('n');
  k.store(out, n, f32(7));
  k.for(
    0,
    n,
    1,
    (i) => {
      const sum = k.mutable(f32(0));
      k.for(0, 10, 1, (j) => k.set(sum, add(sum, load(x, add(i, j)))));
      k.store(out, i, sum);
    },
    axis,
  );
  return k.finish('rows', [NO_ORIGIN]);
}

test('threads one after the other leave what one leaves', (t) => {
  const kernel = rows('parallel');
  const found = shared(kernel)!;
  const x = Array.from({ length: 111 }, (_, i) => Math.fround(Math.sin(i)));
  const on = (parts: number): number[] => {
    const out = new Array<number>(102).fill(NaN);
    for (let part = 0; part < parts; part++)
      runKernel({ ...kernel, body: found.body }, [x, out, 101], { thread: [part, parts] });
    return out;
  };
  const plain = new Array<number>(102).fill(NaN);
  runKernel(kernel, [x, plain, 101]);
  for (const parts of COUNTS) t.deepEqual(on(parts), plain, `${parts}`);
});

test('kernels are shared that have independent loops, and work enough', (t) => {
  t.truthy(shared(rows('parallel')), 'its size is known in a run');
  t.is(shared(rows('serial')), null, 'no loop is parallel');
  t.is(shared(rows('parallel', 'readwrite')), null, 'a store outside of the loop might be read again');

  const passing = new KernelBuilder();
  const total = passing.mutable(i32(0));
  passing.for(0, 1_000_000, 1, (i) => passing.set(total, add(total, i)), 'parallel');
  t.is(shared(passing.finish('passing', [NO_ORIGIN])), null, 'a variable goes from one iteration to the next');

  const fixed = (n: number): Kernel => {
    const k = new KernelBuilder();
    const out = k.buffer('out', 'i32', 'write');
    k.for(0, n, 1, (i) => k.store(out, i, i), 'parallel');
    return k.finish('fixed', [NO_ORIGIN]);
  };
  t.is(shared(fixed(1000)), null, 'known to be small');
  t.deepEqual(shared(fixed(1_000_000))!.weigh.body, [], 'known to be large: nothing to weigh');
  t.truthy(shared(fixed(1000), 0));
});
