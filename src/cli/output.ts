/** Looks at where a result will go before the work is done, so that hours of training are not lost to a mistyped path. */
import { accessSync, constants, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fault } from './fault.ts';

/** Throws a Fault where the file could not be written, or is one of the files that the command reads. */
export function checkOutput(path: string, inputs: readonly string[]): void {
  const refuse = (reason: string): never => {
    throw fault('cannot_write', { path, reason });
  };
  const at = statSync(path, { throwIfNoEntry: false });
  if (at?.isDirectory() || /[/\\]$/.test(path)) refuse('it is a folder');
  const isInput = (input: string): boolean => {
    const of = statSync(input, { throwIfNoEntry: false });
    return of !== undefined && of.dev === at?.dev && of.ino === at.ino;
  };
  if (at && inputs.some(isInput)) refuse('the command reads it');
  const folder = dirname(path);
  if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory()) refuse('there is no such folder');
  try {
    accessSync(folder, constants.W_OK);
  } catch {
    refuse('permission denied');
  }
}
