/** Kernels as text in a generated module: every byte comes back, and gzip finds in the text what it finds in the bytes. */
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { diskHost } from '../../src/cli/host.ts';
import { compile } from '../../src/compile.ts';
import { bytesToText, textToBytes } from '../../src/runtime/bytes-text.ts';

const ALL_PAIRS = Uint8Array.from({ length: 2 * 65536 }, (_, i) => (i & 1 ? i >> 1 : i >> 9));

test('every byte comes back, whatever stands beside it', (t) => {
  t.deepEqual(textToBytes(bytesToText(ALL_PAIRS)), ALL_PAIRS);
  t.is(bytesToText(new Uint8Array()), '');
  t.deepEqual(textToBytes(''), new Uint8Array());
});

test('the text stands in any literal and any script element as it is', (t) => {
  t.regex(bytesToText(ALL_PAIRS), /^[\x20-\x7e]+$/);
  t.notRegex(bytesToText(ALL_PAIRS), /['"`\\<]/);
});

test('kernels are as small to gzip as text as they are as bytes', (t) => {
  const { plain } = compile({ file: 'bench/networks/lenet.net', host: diskHost('.') }).artifacts[0]!.wasm;
  const packed = (data: Uint8Array | string): number => gzipSync(data, { level: 9 }).length;
  // 1 % is room for other kernels; base64 takes 45 % more.
  t.true(packed(bytesToText(plain)) < 1.01 * packed(plain));
});
