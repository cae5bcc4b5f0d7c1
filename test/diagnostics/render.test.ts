/** Frames: carets under what they mean, whatever the text is made of. */
import test from 'ava';
import { makeDiagnostic, render, toJson } from '../../src/diagnostics/index.ts';
import type { Extra, RenderOptions } from '../../src/diagnostics/index.ts';

/** Renders a message about `«...»` in `text`; other marked places are related. */
function frame(text: string, options: RenderOptions = {}, extra: Extra = {}): string {
  const spans: { file: string; start: number; end: number }[] = [];
  let plain = '';
  for (const part of text.split(/(«|»)/)) {
    if (part === '«') spans.push({ file: 'a.net', start: plain.length, end: plain.length });
    else if (part === '»') spans.push({ ...spans.pop()!, end: plain.length });
    else plain += part;
  }
  const [first, ...others] = spans;
  const related = others.map((span, i) => ({ span, message: `place ${i + 1}` }));
  const diagnostic = makeDiagnostic('unexpected_character', { found: 'x' }, first!, { help: null, related, ...extra });
  return render(diagnostic, new Map([['a.net', plain]]), options);
}

const lines = (...rows: string[]): string => `${['error[NW1004]: `x` means nothing here', ...rows].join('\n')}\n`;

test('one place', (t) => {
  t.is(frame('ab\nc «de» f\n'), lines('  ┌─ a.net:2:3', '  │', '2 │ c de f', '  │   ^^', '  │'));
});

test('places on one line, on near lines and far away', (t) => {
  t.is(
    frame('«a» «b»\nc\n«d»\n1\n2\n3\n4\n«e»'),
    lines(
      '  ┌─ a.net:1:1',
      '  │',
      '1 │ a b',
      '  │ ^',
      '  │   - place 1',
      '2 │ c',
      '3 │ d',
      '  │ - place 2',
      '  ·',
      '8 │ e',
      '  │ - place 3',
      '  │',
    ),
  );
});

test('line numbers of different widths', (t) => {
  const rows = frame(`«a»${'\n'.repeat(11)}«b»`).split('\n');
  t.is(rows[3], ' 1 │ a');
  t.is(rows[6], '12 │ b');
});

test('an empty place, the end of a line and the end of the file', (t) => {
  t.is(frame('ab«»'), lines('  ┌─ a.net:1:3', '  │', '1 │ ab', '  │   ^', '  │'));
  t.is(frame('ab\n«»'), lines('  ┌─ a.net:2:1', '  │', '2 │', '  │ ^', '  │'));
  t.is(frame('«»'), lines('  ┌─ a.net:1:1', '  │', '1 │', '  │ ^', '  │'));
});

test('a place of several lines is marked on its first', (t) => {
  t.is(frame('a «b {\n c\n}» d'), lines('  ┌─ a.net:1:3', '  │', '1 │ a b {', '  │   ^^^…', '  │'));
});

test('tabs, wide and combining characters, astral planes', (t) => {
  t.is(frame('\ta«b»'), lines('  ┌─ a.net:1:3', '  │', '1 │     ab', '  │      ^', '  │'));
  t.is(frame('a\t«b»'), lines('  ┌─ a.net:1:3', '  │', '1 │ a   b', '  │     ^', '  │'));
  t.is(frame('你好 «x»'), lines('  ┌─ a.net:1:4', '  │', '1 │ 你好 x', '  │      ^', '  │'));
  t.is(frame('😀«😀»'), lines('  ┌─ a.net:1:3', '  │', '1 │ 😀😀', '  │   ^^', '  │'));
  t.is(frame('e\u0301«x»'), lines('  ┌─ a.net:1:3', '  │', '1 │ e\u0301x', '  │  ^', '  │'));
});

test('carriage returns end lines', (t) => {
  t.is(frame('a\r\n«b»\rc'), lines('  ┌─ a.net:2:1', '  │', '2 │ b', '  │ ^', '  │'));
});

test('what could drive a terminal does not reach it', (t) => {
  const shown = frame('\u001b[31m«x» \u202e', {}, { help: 'a\u001b[0m\nb', path: '\u0007' });
  t.notRegex(shown, /[\u0000-\u0009\u000b-\u001f\u202e]/);
  t.true(shown.includes('help: a\ufffd[0m b'));
});

test('long lines are cut around the place', (t) => {
  const far = `${'a'.repeat(300)}«bcd»${'e'.repeat(300)}`;
  const rows = frame(far, { width: 60 }).trimEnd().split('\n');
  t.true(
    rows.every((row) => row.length <= 60),
    rows.join('\n'),
  );
  const [source, marks] = [rows[3]!, rows[4]!];
  t.is(source.slice(marks.indexOf('^'), marks.lastIndexOf('^') + 1), 'bcd');
  const whole = frame(`«${'a'.repeat(300)}»`, { width: 60 }).split('\n');
  t.true(whole[4]!.length <= 60);
});

test('another file, a file that is not at hand, and no place at all', (t) => {
  const diagnostic = makeDiagnostic(
    'bad_number',
    { found: '1x' },
    { file: 'a.net', start: 0, end: 1 },
    {
      help: 'h',
      path: 'net.0',
      related: [
        { span: { file: 'b.net', start: 2, end: 3 }, message: 'here' },
        { span: { file: 'c.net', start: 2, end: 3 }, message: 'there' },
      ],
    },
  );
  const sources = new Map([
    ['a.net', 'x'],
    ['b.net', 'y\nz'],
  ]);
  t.is(
    render(diagnostic, sources),
    `error[NW1008]: \`1x\` is not a number
  ┌─ a.net:1:1
  │
1 │ x
  │ ^
  │
  ├─ b.net:2:1
  │
2 │ z
  │ - here
  │
  ├─ c.net: there
  = in net.0
  = help: h
`,
  );
  const nowhere = makeDiagnostic('bad_number', { found: '1x' }, { file: '', start: 0, end: 0 }, { help: null });
  t.is(render(nowhere, sources), 'error[NW1008]: `1x` is not a number\n');
});

test('help is wrapped; a deep path is shown by its ends', (t) => {
  const shown = frame(
    '«a»',
    { width: 40 },
    { help: 'word '.repeat(20).trim(), path: Array(60).fill('inner').join('.') },
  );
  t.true(
    shown
      .trimEnd()
      .split('\n')
      .slice(1)
      .every((row) => row.length <= 60),
  );
  t.true(shown.includes('= in inner.inner.inner.inner.….inner.inner\n'));
});

test('colour changes nothing but colour', (t) => {
  const plain = frame('a «b» «c»', { color: true }, { help: 'h' }).replace(/\u001b\[[\d;]*m/g, '');
  t.is(plain, frame('a «b» «c»', {}, { help: 'h' }));
});

test('for machines', (t) => {
  const span = { file: 'a.net', start: 4, end: 7 };
  const diagnostic = makeDiagnostic('bad_number', { found: '1x' }, span, {
    help: 'h',
    related: [{ span: { file: 'b.net', start: 0, end: 2 }, message: 'm' }],
  });
  t.deepEqual(toJson([diagnostic], new Map([['a.net', 'a\n你 1x\n']])), [
    {
      ...{ file: 'a.net', line: 2, column: 3, endLine: 3, endColumn: 1 },
      ...{ code: 'NW1008', severity: 'error', message: '`1x` is not a number', help: 'h', path: null },
      related: [{ file: 'b.net', line: 1, column: 1, endLine: 1, endColumn: 1, message: 'm' }],
    },
  ]);
});
