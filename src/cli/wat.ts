/** The text form of a module for `build --emit wat`, by wabt where it is installed. */
import { fault } from './fault.ts';

export async function wasmText(bytes: Uint8Array): Promise<string> {
  const wabt = await import('wabt').then(
    (m) => m.default(),
    () => null,
  );
  if (!wabt) throw fault('internal_error', { problem: '--emit wat needs the package wabt' }, 'run: npm install wabt');
  const module = wabt.readWasm(bytes, { readDebugNames: true, relaxed_simd: true });
  try {
    module.applyNames();
    // No-operations stand where a multiply-add was a multiplication.
    return module.toText({ foldExprs: false, inlineExport: false }).replace(/^ *nop\n/gm, '');
  } finally {
    module.destroy();
  }
}
