/** Starts a thread of Node that does not keep its process alive. */
import type { ThreadWorker } from '../threads.ts';

// Not imported: bundlers for the browser would look for this module.
const { Worker } = process.getBuiltinModule('node:worker_threads');

/** `program` is given how a thread of Node listens for messages. */
export function nodeWorker(program: (listen: string) => string): ThreadWorker {
  const source = program('require("node:worker_threads").parentPort.on("message", take)');
  const worker = new Worker(source, { eval: true, execArgv: [], name: 'netwright' });
  // One that cannot start is never ready: the others do the work.
  worker.on('error', () => undefined);
  worker.unref();
  return worker;
}
