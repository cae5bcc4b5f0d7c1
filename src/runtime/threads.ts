/**
 * The threads of WebAssembly: workers with instances of the same modules on the same memory. A kernel that is worth sharing
 * leaves its arguments in memory and calls `share`; every thread then runs its task with a number of its own.
 *
 * While they compute, threads say all they have to say to each other in the words of one shared array (`WORDS`). A worker waits for
 * its word `go`, which counts tasks and messages: it spins for a moment, since the next kernel comes soon, and then sleeps.
 */
import type { WasmMemory } from './memory.ts';

/**
 * Words of the shared array. The first are of the task at hand; each worker has the rest from `own` times its number on. A word
 * that threads wait for is followed by the number of those that sleep on it.
 */
const WORDS = {
  module: 0,
  kernel: 1,
  parts: 2,
  faults: 3,
  working: 4,
  done: 16,
  arrived: 32,
  round: 48,
  /** So many that no two workers share a cache line. */
  own: 64,
  go: 0,
  /** Tasks and messages that the worker was given, and messages that it has read. */
  tasks: 16,
  sent: 17,
  read: 32,
} as const;
type Words = typeof WORDS;

/** Including the one that calls; as many as native code has. */
export const MOST_THREADS = 64;
/** Bytes of private arrays that a kernel may have in each thread. */
const STACK = 65536;

interface Meeting {
  /** Returns when the word no longer has that value. */
  readonly wait: (word: number, value: number) => void;
  /** Counts the word up and wakes who sleeps on it. */
  readonly signal: (word: number) => void;
  /** Returns when all that run the task have called it. */
  readonly barrier: () => void;
}

/** How threads wait for each other. Its text goes to workers, so it stands on nothing but its arguments. */
function meeting(control: Int32Array, words: Words, maySleep: boolean): Meeting {
  // Longer than what lies between two kernels, shorter than what lies between two steps that somebody waits for.
  const spins = 2000;
  const pause = (Atomics as { pause?: () => void }).pause ?? ((): void => undefined);
  const wait = (word: number, value: number): void => {
    for (let i = 0; i < spins || !maySleep; i++) {
      if (Atomics.load(control, word) !== value) return;
      pause();
    }
    Atomics.add(control, word + 1, 1);
    while (Atomics.load(control, word) === value) Atomics.wait(control, word, value);
    Atomics.sub(control, word + 1, 1);
  };
  const signal = (word: number): void => {
    Atomics.add(control, word, 1);
    if (Atomics.load(control, word + 1) > 0) Atomics.notify(control, word);
  };
  const barrier = (): void => {
    const round = Atomics.load(control, words.round);
    if (Atomics.add(control, words.arrived, 1) + 1 < control[words.parts]!) return wait(words.round, round);
    Atomics.store(control, words.arrived, 0);
    signal(words.round);
  };
  return { wait, signal, barrier };
}

type Task = (part: number, parts: number) => void;

type Message =
  | { readonly is: 'start'; readonly control: Int32Array; readonly memory: WebAssembly.Memory; readonly part: number }
  | { readonly is: 'module'; readonly id: number; readonly module: WebAssembly.Module; readonly stack: number }
  | { readonly is: 'forget'; readonly id: number };

/** What a worker does. As `meeting`, it goes there as text. */
function work(meet: typeof meeting, words: Words, listen: (take: (m: Message) => void) => void): void {
  const modules = new Map<number, ReadonlyMap<string, Task>>();
  let control: Int32Array;
  let memory: WebAssembly.Memory;
  let part = 0;
  let own = 0;
  let meets: Meeting;
  let ran = 0;
  const take = (m: Message): void => {
    if (m.is === 'start') {
      ({ control, memory, part } = m);
      own = words.own * part;
      meets = meet(control, words, true);
    } else if (m.is === 'forget') modules.delete(m.id);
    else {
      const env = { memory, share: (): void => undefined, barrier: meets.barrier };
      const { exports } = new WebAssembly.Instance(m.module, { env });
      (exports['sp'] as WebAssembly.Global).value = m.stack;
      modules.set(m.id, new Map(Object.entries(exports) as [string, Task][]));
    }
  };
  const run = (): void => {
    try {
      modules.get(control[words.module]!)!.get(`@${control[words.kernel]}`)!(part, control[words.parts]!);
    } catch {
      Atomics.add(control, words.faults, 1);
    }
    if (Atomics.sub(control, words.working, 1) === 1) meets.signal(words.done);
  };
  listen((m) => {
    take(m);
    const read = Atomics.add(control, own + words.read, 1) + 1;
    for (;;) {
      const go = Atomics.load(control, own + words.go);
      if (Atomics.load(control, own + words.tasks) !== ran) {
        ran++;
        run();
      } else if (Atomics.load(control, own + words.sent) !== read) return;
      else meets.wait(own + words.go, go);
    }
  });
}

/** A worker of Node or of a page. */
export interface ThreadWorker {
  postMessage(message: unknown): void;
  terminate(): unknown;
}

const inNode = (): boolean => typeof process !== 'undefined' && process.versions?.node !== undefined;

/** The program is text, so that no bundler has to know of a second file. */
async function startWorker(): Promise<ThreadWorker> {
  const program = (listen: string): string =>
    `(${String(work)})(${String(meeting)}, ${JSON.stringify(WORDS)}, (take) => ${listen})`;
  if (inNode()) return (await import('./node/worker.ts')).nodeWorker(program);
  const url = URL.createObjectURL(
    new Blob([program('addEventListener("message", (e) => take(e.data))')], { type: 'text/javascript' }),
  );
  const worker = new Worker(url);
  URL.revokeObjectURL(url);
  return worker;
}

/** What an instance needs to share its kernels. */
export interface Hands {
  /** Shares the task of a kernel of the module. */
  readonly share: (kernel: number, task: Task) => void;
  readonly barrier: () => void;
  /** No more tasks of the module will come. */
  readonly release: () => void;
}

/** Imports of an instance that computes alone. */
export const ONE_THREAD = { share: (): void => undefined, barrier: (): void => undefined };

/** The page's own thread must not sleep. */
const maySleep = (): boolean => {
  try {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1, 0);
    return true;
  } catch {
    return false;
  }
};

/** The workers of one memory. Results do not depend on how many of them are ready yet: a call takes those that are. */
export class Threads {
  private readonly memory: WasmMemory;
  private readonly control = new Int32Array(new SharedArrayBuffer(4 * WORDS.own * MOST_THREADS));
  private readonly meets = meeting(this.control, WORDS, maySleep());
  private readonly crew: { readonly worker: ThreadWorker; readonly stack: number }[] = [];
  private readonly modules = new Map<number, WebAssembly.Module>();
  private starting: Promise<void> = Promise.resolve();
  private next = 0;
  private shared = 0;

  constructor(memory: WasmMemory) {
    this.memory = memory;
  }

  /** Lets so many threads, `MOST_THREADS` at most, run a module's tasks; the caller is one of them. */
  async add(module: WebAssembly.Module, threads: number): Promise<Hands> {
    const id = this.next++;
    this.modules.set(id, module);
    this.starting = this.starting.then(() => this.start(threads - 1));
    await this.starting;
    // By worker: how many messages it must have read to know the module.
    const since = this.crew
      .slice(0, threads - 1)
      .map((_, i) => this.send(i, { is: 'module', id, module, stack: this.crew[i]!.stack }));
    const { barrier } = this.meets;
    let ready = 0;
    const share = (kernel: number, task: Task): void => {
      while (ready < since.length && Atomics.load(this.control, WORDS.own * (ready + 1) + WORDS.read) >= since[ready]!)
        ready++;
      this.run(id, kernel, task, ready + 1);
    };
    return { share, barrier, release: () => this.release(id) };
  }

  /** How many there are beside the caller. */
  get workers(): number {
    return this.crew.length;
  }

  /** How many tasks were shared so far. */
  get tasks(): number {
    return this.shared;
  }

  /** Resolves when all workers know all modules. */
  async ready(): Promise<void> {
    const behind = (_: unknown, i: number): boolean => {
      const own = WORDS.own * (i + 1);
      return Atomics.load(this.control, own + WORDS.read) < Atomics.load(this.control, own + WORDS.sent);
    };
    while (this.crew.some(behind)) await new Promise((resolve) => setTimeout(resolve, 1));
  }

  private async start(count: number): Promise<void> {
    while (this.crew.length < count) {
      const part = this.crew.length + 1;
      this.control.fill(0, WORDS.own * part, WORDS.own * (part + 1));
      const worker = await startWorker();
      this.crew.push({ worker, stack: this.memory.alloc(STACK) });
      this.send(part - 1, { is: 'start', control: this.control, memory: this.memory.wasm, part });
    }
  }

  /** Gives the number of messages that the worker has then been sent. */
  private send(index: number, message: Message): number {
    const own = WORDS.own * (index + 1);
    this.crew[index]!.worker.postMessage(message);
    const sent = Atomics.add(this.control, own + WORDS.sent, 1) + 1;
    this.meets.signal(own + WORDS.go);
    return sent;
  }

  private run(module: number, kernel: number, task: Task, parts: number): void {
    if (parts === 1) return task(0, 1);
    this.shared++;
    const { control, meets } = this;
    control[WORDS.module] = module;
    control[WORDS.kernel] = kernel;
    control[WORDS.parts] = parts;
    control[WORDS.working] = parts - 1;
    const done = Atomics.load(control, WORDS.done);
    for (let part = 1; part < parts; part++) {
      Atomics.add(control, WORDS.own * part + WORDS.tasks, 1);
      meets.signal(WORDS.own * part + WORDS.go);
    }
    task(0, parts);
    meets.wait(WORDS.done, done);
    if (Atomics.exchange(control, WORDS.faults, 0) !== 0) throw new Error('a thread failed in a kernel');
  }

  /** Workers end with the last module. */
  private release(id: number): void {
    this.modules.delete(id);
    if (this.modules.size > 0) return this.crew.forEach((_, i) => void this.send(i, { is: 'forget', id }));
    for (const { worker, stack } of this.crew.splice(0)) {
      void worker.terminate();
      this.memory.release(stack, STACK);
    }
  }
}

/** The module with its memory declared as shared: the same code otherwise. */
export function withSharedMemory(module: Uint8Array): Uint8Array<ArrayBuffer> {
  const number = (at: number): { value: number; end: number } => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = module[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return { value, end: at };
    }
  };
  // After the header: the section of types, then that of imports, whose first is the memory.
  const types = number(9);
  const section = types.end + types.value;
  const imports = number(section + 1);
  // The number of imports is one byte, then "env" and "memory" with their lengths, and the kind.
  const limits = imports.end + 1 + 4 + 7 + 1;
  const [from, to] = [imports.end, imports.end + imports.value];
  // limits: no maximum, at least one page. Shared: a maximum of 65536 pages.
  const shared = [0x03, 0x01, 0x80, 0x80, 0x04];
  const body = [...module.subarray(from, limits), ...shared, ...module.subarray(limits + 2, to)];
  const head = [...module.subarray(0, section), 2, body.length, ...body];
  const rest = module.subarray(to);
  const out = new Uint8Array(head.length + rest.length);
  out.set(head);
  out.set(rest, head.length);
  return out;
}
