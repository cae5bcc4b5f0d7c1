/** The cheapest way to cut every path of a small network from its sources to its sinks. */

/** Nodes are numbers from 0. */
export interface Network {
  readonly nodes: number;
  readonly edges: readonly (readonly [from: number, to: number, capacity: number])[];
  readonly source: number;
  readonly sink: number;
}

/**
 * Which nodes are on the sink's side of a minimal cut; where several are minimal, of the one nearest to the sink. By augmenting
 * shortest paths (Edmonds and Karp 1972).
 */
export function sinkSide({ nodes, edges, source, sink }: Network): readonly boolean[] {
  const out: number[][] = Array.from({ length: nodes }, () => []);
  /** Edge 2i and its reverse, 2i + 1. */
  const to: number[] = [];
  const left: number[] = [];
  const add = (a: number, b: number, capacity: number): void => {
    out[a]!.push(to.length);
    to.push(b);
    left.push(capacity);
  };
  for (const [a, b, capacity] of edges) {
    add(a, b, capacity);
    add(b, a, 0);
  }
  for (let path = shortest(); path; path = shortest()) {
    const flow = Math.min(...path.map((e) => left[e]!));
    if (flow === Infinity) throw new Error('a path without a limit joins source and sink');
    for (const e of path) {
      left[e]! -= flow;
      left[e ^ 1]! += flow;
    }
  }
  const side = new Array<boolean>(nodes).fill(false);
  side[sink] = true;
  const open = [sink];
  for (let n = open.pop(); n !== undefined; n = open.pop())
    for (const e of out[n]!) {
      const from = to[e]!;
      if (side[from] || left[e ^ 1]! <= 0) continue;
      side[from] = true;
      open.push(from);
    }
  return side;

  function shortest(): number[] | null {
    const by = new Array<number>(nodes).fill(-1);
    const queue = [source];
    for (const n of queue)
      for (const e of out[n]!) {
        const next = to[e]!;
        if (left[e]! <= 0 || next === source || by[next] !== -1) continue;
        by[next] = e;
        if (next === sink) return trace(by);
        queue.push(next);
      }
    return null;
  }

  function trace(by: readonly number[]): number[] {
    const path: number[] = [];
    for (let n = sink; n !== source; n = to[by[n]! ^ 1]!) path.push(by[n]!);
    return path;
  }
}
