/** Small files that ask for much: deep nesting, shared values that multiply, views that repeat their memory. */
import test from 'ava';
import { CheckpointError } from '../../src/runtime/errors.ts';
import { openTorch, type TorchFile } from '../../src/runtime/formats/torch.ts';
import { openZip } from '../../src/runtime/formats/zip.ts';
import { bytesSource } from '../../src/runtime/sources/source.ts';
import { writeZip, type Content } from '../../src/runtime/formats/zip-write.ts';
import { collect } from './corpus.ts';

const ascii = (text: string): number[] => [...Buffer.from(text, 'latin1')];
const u32 = (n: number): number[] => [n & 255, (n >> 8) & 255, (n >> 16) & 255, n >>> 24];
const text = (s: string): number[] => [0x58, ...u32(s.length), ...ascii(s)];
const put = (i: number): number[] => [0x71, i];
const get = (i: number): number[] => [0x68, i];
const int = (n: number): number[] => [0x4a, ...u32(n)];
const global = (path: string, name: string): number[] => [0x63, ...ascii(`${path}\n${name}\n`)];
const MARK = 0x28;
const LIST = 0x5d;
const DICT = 0x7d;
const NONE = 0x4e;
const TUPLE1 = 0x85;
const TUPLE2 = 0x86;
const times = (n: number, ...ops: number[]): number[] => Array.from({ length: n }, () => ops).flat();

/** A tensor on one storage of 8 bytes. */
const tensor = (shape: readonly number[], strides: readonly number[]): number[] => [
  ...global('torch._utils', '_rebuild_tensor_v2'),
  ...[
    MARK,
    MARK,
    ...text('storage'),
    ...global('torch', 'FloatStorage'),
    ...text('0'),
    ...text('cpu'),
    ...int(2),
    0x74,
    0x51,
  ],
  ...[...int(0), MARK, ...shape.flatMap(int), 0x74, MARK, ...strides.flatMap(int), 0x74, 0x89],
  ...[...global('collections', 'OrderedDict'), 0x29, 0x52, 0x74, 0x52],
];

async function read(pickle: readonly number[]): Promise<TorchFile> {
  const members: [string, Content][] = [
    ['a/data.pkl', () => [Uint8Array.from([0x80, 2, ...pickle, 0x2e])]],
    ['a/data/0', () => [new Uint8Array(8)]],
  ];
  return openTorch(await openZip(bytesSource(await collect(writeZip(members)), 'f.pt')));
}

/** x, (x, x), ((x, x), (x, x)), ... */
const doubling = (levels: number): number[] => times(levels, ...put(1), ...get(1), TUPLE2);

const REFUSED: readonly [what: string, pickle: number[]][] = [
  ['100,000 tuples in each other', [NONE, ...times(100_000, TUPLE1)]],
  ['a key of 2^60 parts', [DICT, ...int(1), ...doubling(60), NONE, 0x73]],
  ['a tensor with 2^40 names', [...tensor([2], [1]), ...doubling(40)]],
  ['a view of 4 TB', tensor([1 << 20, 1 << 20], [0, 0])],
  [
    'a thousand views of 60 MB',
    [LIST, MARK, ...Array.from({ length: 1000 }, (_, i) => tensor([15_000_000 - i], [0])).flat(), 0x65],
  ],
  [
    'a long list made a set again and again',
    [
      ...[
        ...global('builtins', 'set'),
        ...put(0),
        LIST,
        MARK,
        ...Array.from({ length: 20_000 }, (_, i) => int(i)).flat(),
        0x65,
      ],
      ...[TUPLE1, ...put(1)],
      ...times(20_000, ...get(0), ...get(1), 0x52),
    ],
  ],
  [
    'a long key set again and again',
    [...[DICT, ...text('k'.repeat(1_000_000)), ...put(0), NONE, 0x73], ...times(100_000, ...get(0), NONE, 0x73)],
  ],
  [
    'a long text encoded again and again',
    [
      ...[
        ...global('_codecs', 'encode'),
        ...put(0),
        ...text('k'.repeat(1_000_000)),
        ...text('latin1'),
        TUPLE2,
        ...put(1),
      ],
      ...times(100_000, ...get(0), ...get(1), 0x52),
    ],
  ],
];

for (const [what, pickle] of REFUSED) {
  test(`refused before it costs anything: ${what}`, async (t) => {
    const before = process.memoryUsage();
    const e = await t.throwsAsync(read(pickle), { instanceOf: CheckpointError });
    const after = process.memoryUsage();
    t.regex(e.message, /^f\.pt: at byte \d+: /);
    // Buffers are what could explode; the heap holds garbage of the tests beside.
    t.true(after.arrayBuffers - before.arrayBuffers < 50e6);
  });
}

test('values that contain themselves, or are shared many times, are fine', async (t) => {
  t.is((await read([LIST, ...put(1), ...get(1), 0x61])).named.length, 0);
  const file = await read([LIST, ...put(1), ...get(1), 0x61, ...tensor([2], [1]), 0x61]);
  t.deepEqual(
    file.named.map((n) => n.name),
    ['1'],
  );
  t.is((await read([NONE, ...doubling(40)])).named.length, 0);
  t.is((await read([...tensor([2], [1]), ...doubling(4)])).named.length, 16);
});

test('a view may repeat its memory within reason', async (t) => {
  const file = await read(tensor([3, 2], [0, 1]));
  t.deepEqual([...(await file.named[0]!.tensor.bytes())], times(24, 0));
});
