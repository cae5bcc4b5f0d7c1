/** The shaders that no network names: copies, loop counters, and predicates that switch dispatches off. */
import type { WebGpuKernel } from '../artifact.ts';

const FRAME = `@group(0) @binding(0) var<storage, read_write> memory: array<u32>;
@group(0) @binding(1) var<uniform> args: Args;
`;

const builtin = (name: string, code: string, args: number): WebGpuKernel => ({
  name,
  origins: [],
  code: `// ${name}\n${code}`,
  args: Array.from({ length: args }, () => 'value'),
  grid: { extents: [1, 1, 1], folded: false },
});

/** Words that one workgroup of `copy` moves. */
export const COPY_WORDS = 1024;

/** WebGPU copies between buffers only; all our data are in one. */
export const COPY = builtin(
  'copy',
  `struct Args { source: u32, destination: u32, words: u32 }
${FRAME}@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let first = (group.x + group.y * groups.x) * ${COPY_WORDS}u;
  let end = min(first + ${COPY_WORDS}u, args.words);
  for (var i = first + local.x; i < end; i += 64u) { memory[args.destination + i] = memory[args.source + i]; }
}
`,
  3,
);

/** Elements that one workgroup of `transpose` moves. */
export const TRANSPOSE_ELEMENTS = 1024;

/**
 * A matrix of `rows` rows, written as its transpose. By words of the destination: each belongs to one invocation, which
 * gathers the elements in it. The source is counted in elements, the destination in words.
 */
export const TRANSPOSE = builtin(
  'transpose',
  `struct Args { source: u32, destination: u32, rows: u32, cols: u32, per_word: u32 }
${FRAME}@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_id) local: vec3<u32>) {
  let bits = 32u / args.per_word;
  let count = args.rows * args.cols;
  let words = (count + args.per_word - 1u) / args.per_word;
  let first = (group.x + group.y * groups.x) * ${TRANSPOSE_ELEMENTS}u;
  let end = min(first + ${TRANSPOSE_ELEMENTS}u, words);
  for (var i = first + local.x; i < end; i += 64u) {
    var word = 0u;
    for (var k = 0u; k < args.per_word; k++) {
      let to = min(i * args.per_word + k, count - 1u);
      let at = args.source + to % args.rows * args.cols + to / args.rows;
      let element = memory[at / args.per_word] >> (at % args.per_word * bits);
      word |= (element & (0xffffffffu >> (32u - bits))) << (k * bits);
    }
    memory[args.destination + i] = word;
  }
}
`,
  5,
);

/** One word: the counter of a loop. */
export const SET = builtin(
  'set',
  `struct Args { destination: u32, value: u32 }
${FRAME}@compute @workgroup_size(1)
fn main() { memory[args.destination] = args.value; }
`,
  2,
);

/** Some bytes of a word; the others stay: 16-bit elements of two tensors may share it. */
export const MERGE = builtin(
  'merge',
  `struct Args { destination: u32, mask: u32, value: u32 }
${FRAME}@compute @workgroup_size(1)
fn main() { memory[args.destination] = (memory[args.destination] & ~args.mask) | args.value; }
`,
  3,
);

/** Stands for "always" as the place of a predicate. */
export const ALWAYS = 0xffffffff;

/**
 * Decides whether a region runs: its flag has the wanted value and the region around it runs. Writes that down for regions
 * inside, and makes the grids of its dispatches what they should be, or empty.
 */
export const PREDICATE = builtin(
  'predicate',
  `struct Args { flag: u32, wanted: u32, outer: u32, own: u32, first: u32, count: u32, pattern: u32 }
${FRAME}@group(0) @binding(2) var<storage, read_write> grids: array<u32>;
@compute @workgroup_size(1)
fn main() {
  var runs = memory[args.flag] == args.wanted;
  if (args.outer != ${ALWAYS}u) { runs = runs && memory[args.outer] == 1u; }
  memory[args.own] = u32(runs);
  for (var i = args.first; i < args.first + args.count; i++) { grids[i] = select(0u, grids[args.pattern + i], runs); }
}
`,
  7,
);
