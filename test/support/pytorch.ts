/** Tests that ask PyTorch itself, where NETWRIGHT_PYTHON names a Python that has it. */
import { spawnSync } from 'node:child_process';
import test from 'ava';
import { absent } from './absent.ts';

const python = process.env['NETWRIGHT_PYTHON'];
const required = process.env['NETWRIGHT_REQUIRE_ALL'] !== undefined;

/** `test` where there is PyTorch or everything is required; elsewhere tests are skipped, with one that says why. */
export function onPyTorch(): typeof test | typeof test.skip {
  if (python !== undefined || required) return test;
  test('skipped: no PyTorch (set NETWRIGHT_PYTHON to a Python with torch)', absent);
  return test.skip;
}

/** What a script prints, as JSON. */
export function askPyTorch<T>(script: string, input: unknown = null): T {
  const whole = `import json, sys, torch\ngiven = json.load(sys.stdin)\n${script}`;
  const { status, stdout, stderr, error } = spawnSync(python ?? 'python3', ['-W', 'ignore', '-c', whole], {
    encoding: 'utf8',
    input: JSON.stringify(input),
    maxBuffer: 2 ** 28,
  });
  if (status !== 0) throw new Error(`PyTorch fails: ${error?.message ?? stderr}`);
  return JSON.parse(stdout) as T;
}

/** `askPyTorch` at the first call, for the tests of a file: a process takes seconds to start, whether it then fails or not. */
export function whatPyTorchSays<T>(script: string, input: unknown = null): () => T {
  let known: (() => T) | undefined;
  const ask = (): (() => T) => {
    try {
      const answer = askPyTorch<T>(script, input);
      return () => answer;
    } catch (error) {
      return () => {
        throw error;
      };
    }
  };
  return () => (known ??= ask())();
}
