/** grammar/net.ebnf, the comments above the rules and the rules themselves say the same. */
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { NetParser } from '../../src/parser/grammar.ts';
import { KEYWORDS } from '../../src/parser/index.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const sources = readdirSync(`${root}src/parser`).map((name) => readFileSync(`${root}src/parser/${name}`, 'utf8'));
const ebnf = readFileSync(`${root}grammar/net.ebnf`, 'utf8').replace(/\(\*[\s\S]*?\*\)/g, '');

test('the grammar has no ambiguity that Chevrotain can find', (t) => {
  t.notThrows(() => new NetParser(true));
});

test('each rule has the line of net.ebnf above it', (t) => {
  const lines = ebnf.split('\n').filter((line) => line.includes('='));
  const comments = sources.flatMap((text) =>
    [...text.matchAll(/^ {2}\/\/ (\w+ = .*)\n.* (\w+)(?::.*)? = this\.rule\('(\w+)'/gm)].map((match) => {
      t.is(match[1]?.split(' ')[0], match[3], 'the comment and the rule have one name');
      return `${match[1]} ;`;
    }),
  );
  t.deepEqual(comments.toSorted(), lines.toSorted());
});

test('net.ebnf and the parser have the same rules', (t) => {
  const names = [...ebnf.matchAll(/^(\w+) =/gm)].map((match) => match[1]);
  t.deepEqual(names.toSorted(), Object.keys(new NetParser().getGAstProductions()).toSorted());
});

test('what a rule of net.ebnf names is a rule or a token', (t) => {
  const rules = new Set([...ebnf.matchAll(/^(\w+) =/gm)].map((match) => match[1]));
  const tokens = new Set(['Name', 'Int', 'Float', 'Text', 'End', 'operator']);
  for (const name of ebnf.replace(/"[^"]*"/g, '').match(/\w+/g) ?? [])
    t.true(rules.has(name) || tokens.has(name), name);
});

test('every keyword of net.ebnf is one', (t) => {
  for (const [, word] of ebnf.matchAll(/"([a-z]+)"/g)) t.true(KEYWORDS.includes(word ?? ''), word);
});
