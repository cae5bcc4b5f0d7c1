/** What a file of PyTorch holds beside tensors: read as notes, carried into safetensors, never without bound. */
import test from 'ava';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openWeights } from '../../src/index.ts';
import { inFile } from '../../src/runtime/formats/checkpoint.ts';
import { PyDict, type PyValue } from '../../src/runtime/formats/pickle-values.ts';
import { torchTensor, writeTorch } from '../../src/runtime/formats/torch-write.ts';
import { netwright } from '../support/cli.ts';
import { askPyTorch, onPyTorch } from '../support/pytorch.ts';
import { collect } from './corpus.ts';

const dict = (entries: Readonly<Record<string, PyValue>>): PyDict => {
  const made = new PyDict();
  for (const [k, v] of Object.entries(entries)) made.set(k, v);
  return made;
};
const w = torchTensor(inFile({ dtype: 'U8', shape: [2], bytes: Uint8Array.of(1, 2) }));
const notesOf = async (root: PyValue): Promise<[string, string][]> => {
  const file = await openWeights(await collect(writeTorch(root)));
  return [...file.metadata];
};

test('plain values are notes by their paths; what spells a name of a tensor is none', async (t) => {
  const shared = dict({ deep: [1, [2, dict({})]] });
  const root = dict({ w, epoch: 3, lr: 0.5, none: null, yes: true, tags: ['a', 'b'], best: 'w', a: shared, b: shared });
  t.deepEqual(await notesOf(root), [
    ['epoch', '3'],
    ['lr', '0.5'],
    ['none', 'None'],
    ['yes', 'True'],
    ['tags', '[a, b]'],
    ['a.deep.0', '1'],
    ['a.deep.1.0', '2'],
    ['a.deep.1.1', '{}'],
  ]);
});

test('notes are bounded, however many values there are and however long they and their names', async (t) => {
  const size = (notes: readonly (readonly [string, string])[]): number =>
    notes.reduce((n, [k, v]) => n + k.length + v.length, 0);
  const many = await notesOf(dict({ w, ...Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`n${i}`, i])) }));
  t.is(many.length, 1000);
  const below = dict(Object.fromEntries(Array.from({ length: 500 }, (_, i) => [`n${i}`, i])));
  t.true(size(await notesOf(dict({ ['k'.repeat(100_000)]: below }))) <= 1_000_000);
  const long = await notesOf(dict({ text: 'x'.repeat(1_000_000), list: Array.from({ length: 100_000 }, (_, i) => i) }));
  t.true(size(long) < 12_000);
  t.regex(long[0]![1], /\.\.\. \(1000000 characters\)$/);
  t.regex(long[1]![1], /99, \.\.\. \(100000 in all\)\]$/);
});

onPyTorch()(
  'convert carries them to where safetensors reads them, and says what another format has no place for',
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'netwright-notes-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const [from, to, npz] = ['a.pt', 'b.safetensors', 'c.npz'].map((n) => join(folder, n)) as [string, string, string];
    askPyTorch(
      `torch.save({'model': torch.nn.Linear(2, 3).state_dict(), 'epoch': 7, 'args': {'betas': (0.9, 0.999), 'name': 'x'}}, given)\nprint(1)`,
      from,
    );
    t.is((await netwright(['convert', from, to])).code, 0);
    const read = `from safetensors import safe_open\nwith safe_open(given, 'pt') as f: print(json.dumps([sorted(f.keys()), f.metadata()]))`;
    t.deepEqual(askPyTorch(read, to), [
      ['model.bias', 'model.weight'],
      { epoch: '7', 'args.betas': '(0.9, 0.999)', 'args.name': 'x' },
    ]);
    for (const path of [npz, join(folder, 'd.pt')]) {
      const { code, err } = await netwright(['convert', from, path]);
      t.is(code, 0);
      t.regex(err, /note.* 3 notes of .*a\.pt left out: only safetensors has a place for them/);
    }
  },
);
