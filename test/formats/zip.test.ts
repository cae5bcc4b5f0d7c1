/** Zip archives: zip64 in both directions, and stories that do not agree. */
import test from 'ava';
import { absent } from '../support/absent.ts';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32 as reference } from 'node:zlib';
import { CheckpointError } from '../../src/runtime/errors.ts';
import { crc32 } from '../../src/runtime/formats/crc32.ts';
import { openZip, readMember, type ZipFile } from '../../src/runtime/formats/zip.ts';
import { bytesSource } from '../../src/runtime/sources/source.ts';
import { collect } from './corpus.ts';
import { writeZip as writeMembers } from '../../src/runtime/formats/zip-write.ts';

const readZip = (bytes: Uint8Array, file: string): Promise<ZipFile> => openZip(bytesSource(bytes, file));
const writeZip = (members: readonly [string, Uint8Array][], align?: number, limit?: number): Promise<Uint8Array> =>
  collect(
    writeMembers(
      members.map(([name, bytes]) => [name, () => [bytes]] as const),
      align,
      limit,
    ),
  );
const contents = (zip: ZipFile): Promise<unknown> =>
  Promise.all([...zip.members.values()].map(async (m) => [m.name, new Uint8Array(await readMember(zip, m))]));
const MEMBERS: [string, Uint8Array][] = [
  ['a', Uint8Array.of(1, 2, 3)],
  ['é/b', new Uint8Array(100).fill(7)],
  ['empty', new Uint8Array(0)],
];

test('CRC-32 is the one of zlib', (t) => {
  for (let n = 0; n < 40; n++) {
    const bytes = Uint8Array.from({ length: n }, (_, i) => (i * 151 + n) & 255);
    t.is(crc32(bytes), reference(bytes));
  }
});

for (const [what, limit] of [
  ['32-bit', undefined],
  ['zip64', 50],
] as const) {
  test(`an archive with ${what} numbers reads back, aligned`, async (t) => {
    const zip = await readZip(await writeZip(MEMBERS, 64, limit), 'f');
    t.deepEqual(await contents(zip), MEMBERS);
    for (const m of zip.members.values()) t.is(m.start % 64, 0);
  });
}

const python = process.env['NETWRIGHT_PYTHON'];
const withPython = python === undefined ? test.skip : test;
if (python === undefined) test('skipped: no Python (set NETWRIGHT_PYTHON)', absent);

withPython("Python reads zip64 that is written here, and this reads Python's", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'netwright-zip-'));
  try {
    const [ours, theirs] = [join(folder, 'ours.zip'), join(folder, 'theirs.zip')];
    writeFileSync(ours, await writeZip(MEMBERS, 64, 50));
    const script = `
import sys, zipfile
a = zipfile.ZipFile(sys.argv[1])
assert a.testzip() is None
print([(i.filename, i.file_size) for i in a.infolist()])
zipfile.ZIP64_LIMIT = 50
with zipfile.ZipFile(sys.argv[2], 'w', zipfile.ZIP_DEFLATED) as z:
    for i in a.infolist():
        with z.open(i.filename, 'w', force_zip64=True) as f: f.write(a.read(i))`;
    const said = execFileSync(python!, ['-c', script, ours, theirs], { encoding: 'utf8' });
    t.is(said.trim(), "[('a', 3), ('é/b', 100), ('empty', 0)]");
    t.deepEqual(await contents(await readZip(new Uint8Array(readFileSync(theirs)), 'f')), MEMBERS);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a header that tells another size or CRC than the directory is refused', async (t) => {
  for (const at of [14, 18, 22]) {
    const bytes = await writeZip(MEMBERS);
    bytes[at]! ^= 1;
    const e = await t.throwsAsync(readZip(bytes, 'f.zip'), { instanceOf: CheckpointError });
    t.regex(e.message, /^f\.zip: at byte 0: .*disagree/);
  }
});

test('members that share bytes are refused', async (t) => {
  const bytes = await writeZip([MEMBERS[1]!, ['é/c', new Uint8Array(100).fill(7)]]);
  // Both entries of the directory get the first name and place but for a letter of the name.
  const view = new DataView(bytes.buffer);
  const second = bytes.length - 22 - 50;
  t.is(view.getUint32(second, true), 0x02014b50);
  view.setUint32(second + 42, 0, true);
  await t.throwsAsync(readZip(bytes, 'f'), { instanceOf: CheckpointError });
});
