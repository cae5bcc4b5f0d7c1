/** How many threads a computation that keeps each of them busy should have. */

// Not imported: bundlers for the browser would look for these modules.
const { readFileSync } = process.getBuiltinModule('node:fs');
const { availableParallelism } = process.getBuiltinModule('node:os');

/** Processors this process may use, counting those that share a core once where the system tells. */
export function cores(): number {
  const processors = availableParallelism();
  try {
    const list = readFileSync('/sys/devices/system/cpu/cpu0/topology/thread_siblings_list', 'utf8');
    const siblings = list.trim().split(/[,-]/).length;
    return Math.max(1, Math.floor(processors / siblings));
  } catch {
    return processors;
  }
}
