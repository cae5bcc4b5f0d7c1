/** The allocator of the cpu's memory: blocks are apart, zeroed, given back whole; and one device's memory is one. */
import test from 'ava';
import fc from 'fast-check';
import { OutOfMemoryError } from '../../src/index.ts';
import { cpuDevice } from '../../src/runtime/devices.ts';
import { WasmMemory } from '../../src/runtime/memory.ts';
import { ALIGN } from '../../src/runtime/plan.ts';

test('blocks are aligned, zeroed and apart, whatever is given back in between', (t) => {
  const action = fc.oneof(
    fc.record({ take: fc.constant(true), size: fc.integer({ min: 0, max: 300_000 }) }),
    fc.record({ take: fc.constant(false), size: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const memory = new WasmMemory();
      const live: { at: number; size: number }[] = [];
      for (const { take, size } of actions) {
        if (take) {
          const at = memory.alloc(size);
          t.is(at % ALIGN, 0);
          t.true(memory.bytes(at, size).every((b) => b === 0));
          for (const b of live) t.true(at + size <= b.at || b.at + b.size <= at);
          memory.bytes(at, size).fill(255);
          live.push({ at, size });
        } else if (live.length > 0) {
          const [b] = live.splice(size % live.length, 1);
          memory.release(b!.at, b!.size);
        }
        const least = live.reduce((n, b) => n + b.size, 0);
        t.true(memory.used >= least && memory.used <= least + live.length * ALIGN);
      }
      for (const b of live) memory.release(b.at, b.size);
      t.is(memory.used, 0);
    }),
    { numRuns: 60 },
  );
});

test('freed neighbours are one block again', (t) => {
  const memory = new WasmMemory();
  const [a, b, c] = [memory.alloc(1000), memory.alloc(1000), memory.alloc(1000)];
  memory.alloc(64);
  for (const at of [a, c, b]) memory.release(at!, 1000);
  t.is(memory.alloc(3 * 1024), a);
});

test('more than can be addressed is refused with both numbers, and nothing is lost', (t) => {
  const memory = new WasmMemory();
  memory.alloc(1e6);
  const before = memory.used;
  const e = t.throws(() => memory.alloc(5e9), { instanceOf: OutOfMemoryError });
  t.regex(e?.message ?? '', /needs 5000\.0 MB more, has 1\.0 MB in use, and can address 4294\.9 MB/);
  t.is((e as OutOfMemoryError).code, 'out-of-memory');
  t.is(memory.used, before);
});

test('addresses beyond 2 GiB are numbers like others', (t) => {
  // Grows the address space, not the resident memory: only what is written is backed by pages.
  const memory = new WasmMemory();
  let at: number;
  try {
    memory.wasm.grow(40_000);
    at = memory.alloc(64);
  } catch {
    t.pass('this machine does not give 2.6 GB of address space');
    return;
  }
  const high = 2 ** 31 + ALIGN;
  memory.f32(high, 1)[0] = 1.5;
  t.is(memory.f32(high, 1)[0], 1.5);
  t.is(memory.f32(at, 1)[0], 0);
});

test('the workspace only grows, and there is one cpu', (t) => {
  const cpu = cpuDevice();
  const at = cpu.workspace(100_000);
  t.is(cpu.workspace(50_000), at);
  const before = cpu.memory.used;
  cpu.workspace(100_000);
  t.is(cpu.memory.used, before);
});
