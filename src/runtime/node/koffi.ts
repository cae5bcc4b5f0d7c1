/** Calls C from Node by the optional package `koffi`. */

export interface Koffi {
  load(path: string): { func(declaration: string): (...args: readonly number[]) => number };
  /** Where a buffer lies. */
  address(buffer: ArrayBuffer): bigint;
}

/** The package, or why it is not there. */
export async function loadKoffi(): Promise<Koffi | string> {
  try {
    const name = 'koffi'; // a variable: bundlers must not look for an optional package
    return ((await import(name)) as { default: Koffi }).default;
  } catch {
    return 'the package "koffi" is not installed: npm install koffi';
  }
}
