/** Formats text with Prettier where it is installed: it is not a dependency of compiled programs, so it is loaded when asked for. */

export type Format = (text: string) => Promise<string>;

/** Null where Prettier is not installed. */
export async function loadFormatter(): Promise<Format | null> {
  try {
    const [{ format }, plugin] = await Promise.all([import('prettier'), import('./index.ts')]);
    return (text) => format(text, { parser: 'netwright', plugins: [plugin] });
  } catch (e) {
    if (e instanceof Error && 'code' in e && e.code === 'ERR_MODULE_NOT_FOUND') return null;
    throw e;
  }
}
