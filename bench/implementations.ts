/** Who is measured: how each implementation is called on a workload. All print the fields of `Measured` as one line of JSON. */

export interface Implementation {
  readonly name: string;
  readonly takes: (workload: string) => boolean;
  readonly command: (workload: string, seconds: string) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const node = process.execPath;
const python = process.env['NETWRIGHT_PYTHON'] ?? 'python3';
const any = (): boolean => true;

export function implementations(threads: number): Implementation[] {
  const own = (name: string, device: string, flags: readonly string[] = []): Implementation => ({
    name: `Netwright ${name}`,
    takes: any,
    command: (w, seconds) => [
      node,
      ...flags,
      'bench/measure.ts',
      w,
      '--device',
      device,
      '--threads',
      String(threads),
      '--seconds',
      seconds,
    ],
  });
  const torch = (variant: string): Implementation => ({
    name: `PyTorch ${variant}`,
    takes: (w) => variant === 'eager' || !w.startsWith('W1'),
    command: (w, seconds) => [
      python,
      'bench/peers/torch_bench.py',
      w,
      '--threads',
      String(threads),
      '--variant',
      variant,
      '--seconds',
      seconds,
    ],
  });
  return [
    own('WebAssembly', 'cpu'),
    own('WebAssembly, revectorized', 'cpu', ['--experimental-wasm-revectorize']),
    own('native', 'native'),
    torch('eager'),
    torch('eager-cl'),
    torch('compile'),
    torch('compile-max'),
  ];
}
