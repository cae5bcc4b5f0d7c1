/**
 * Bad input never throws: real programs with a token dropped, doubled or replaced give diagnostics, or legal IR.
 * `FUZZ=1000` tries as many; the seed of a failure is printed with the program.
 */
import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import { checkSource, elaborate } from '../../src/check/index.ts';
import { DiagnosticBag } from '../../src/diagnostics/index.ts';
import { verify } from '../../src/ir/verify.ts';

const CASES = new URL('../cases/check/', import.meta.url);
const NETWORKS = new URL('../networks/', import.meta.url);
const PROGRAMS = [
  ...readdirSync(CASES).map((name) => readFileSync(new URL(`${name}/input.net`, CASES), 'utf8')),
  ...readdirSync(NETWORKS)
    .filter((f) => f.endsWith('.net'))
    .map((f) => readFileSync(new URL(f, NETWORKS), 'utf8')),
].filter((text) => text.length < 2500);

const STRANGE = [
  '0',
  '-1',
  'none',
  '_',
  'x',
  'true',
  '1.5',
  '"s"',
  '(1, 2)',
  '[]',
  'S',
  'B',
  'relu',
  'Linear',
  'training',
];
const TOKEN = /[A-Za-z_]\w*|\d+(\.\d+)?|"[^"]*"|[^\s\w]/g;

/** A linear congruential generator (Numerical Recipes), so that a seed names a program. */
function generator(seed: number): (n: number) => number {
  let state = seed >>> 0;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function mutated(seed: number): string {
  const pick = generator(seed * 2654435761);
  let text = PROGRAMS[pick(PROGRAMS.length)]!;
  for (let n = 1 + pick(2); n > 0; n--) {
    const tokens = [...text.matchAll(TOKEN)];
    const [at, other] = [tokens[pick(tokens.length)]!, tokens[pick(tokens.length)]!];
    const put = ['', other[0], `${at[0]} ${at[0]}`, STRANGE[pick(STRANGE.length)]!][pick(4)]!;
    text = text.slice(0, at.index) + put + text.slice(at.index + at[0].length);
  }
  return text;
}

test('mutated programs give diagnostics or legal IR', (t) => {
  const runs = Number(process.env['FUZZ'] ?? 60);
  for (let seed = 1; seed <= runs; seed++) {
    const text = mutated(seed);
    const bag = new DiagnosticBag();
    try {
      const project = checkSource({ read: (p) => (p === 'main.net' ? text : null) }, 'main.net', bag);
      for (const name of project.exports) {
        const made = elaborate(project, name, {}, bag);
        if (!made && !bag.hasErrors) throw new Error(`${name} has failed without a word`);
        const faults = made && !bag.hasErrors ? verify(made.module) : [];
        if (faults.length > 0) throw new Error(faults[0]);
      }
    } catch (fault) {
      t.log(text);
      throw new Error(`seed ${seed}`, { cause: fault });
    }
  }
  t.pass();
});
