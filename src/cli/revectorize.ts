/** Lets V8 pair the 128-bit operations of WebAssembly into 256-bit ones, which the command line does and the library leaves to its user. */
import { setFlagsFromString } from 'node:v8';

const FLAG = '--experimental-wasm-revectorize';
let set = false;

/**
 * The flag is V8's, for the whole process, and experimental: it is set only for the versions that were measured to give the same
 * bits with it (Node 24 to 26). Must run before the first module is compiled. `NETWRIGHT_REVECTORIZE=0` leaves it alone.
 */
export function revectorize(): void {
  const node = Number(process.versions.node.split('.')[0]);
  if (node < 24 || node > 26 || process.env['NETWRIGHT_REVECTORIZE'] === '0') return;
  setFlagsFromString(FLAG);
  set = true;
}

/** Whether V8 pairs vectors in this process, which code can be compiled for. */
export const revectorized = (): boolean => set || process.execArgv.includes(FLAG);

/** Runs something with the flag as given, for measuring code that is compiled for either; then as it was. */
export async function withRevectorize<T>(on: boolean, run: () => Promise<T>): Promise<T> {
  const was = revectorized();
  const put = (value: boolean): void => setFlagsFromString(value ? FLAG : FLAG.replace('--', '--no-'));
  if (on !== was) put(on);
  try {
    return await run();
  } finally {
    if (on !== was) put(was);
  }
}
