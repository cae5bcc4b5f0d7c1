/** Random programs with arenas, branches, loops and calls as net IR text, for tests that memory can be shared without anyone noticing. */
import type { Roles } from './run-linked.ts';

export interface RandomProgram {
  readonly text: string;
  readonly roles: Roles;
  /** Lengths of the parameters of @main that are vectors; then come a bool[] and f32[T]. */
  readonly vectors: readonly number[];
}

/** Elements of every value; arenas hold two. */
const N = 3;

/** Small deterministic numbers (Park and Miller, 1988). */
function numbers(seed: number): (below: number) => number {
  let state = (seed % 2147483646) + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

/**
 * Every value is f32[3]; arenas `p` and `q` are two values side by side. Ops are exact in f32 and keep values small, so
 * that results can be compared bit for bit with the interpreter's.
 */
export function randomProgram(seed: number, size: number): RandomProgram {
  const pick = numbers(seed);
  let next = 0;
  const fresh = (): string => `%v${next++}`;
  const any = (values: readonly string[]): string => values[pick(values.length)]!;
  const line = (depth: number, text: string): string => `${'  '.repeat(depth)}${text}\n`;

  /** Statements that add values to `values`; only `depth` levels of regions. */
  const body = (count: number, values: string[], depth: number, indent: number): string => {
    let out = '';
    for (let i = 0; i < count; i++) {
      const kind = pick(depth > 0 ? 12 : 7);
      const v = fresh();
      if (kind < 3) out += line(indent, `${v} = ${['neg', 'abs', 'floor'][kind]} ${any(values)} : f32[${N}]`);
      else if (kind < 6) {
        const op = ['sub', 'maximum', 'minimum'][kind - 3]!;
        const raw = fresh();
        out += line(indent, `${raw} = ${op} ${any(values)}, ${any(values)} : f32[${N}]`);
        // Bounded: repeated subtraction in loops would lose exactness.
        out += line(indent, `${v} = minimum ${raw}, %limit : f32[${N}]`);
      } else if (kind === 6) {
        const w = fresh();
        out += line(indent, `${v}, ${w} = call @pair ${any(values)}, ${any(values)} : f32[${N}], f32[${N}]`);
        values.push(w);
      } else {
        const w = fresh();
        out += kind < 9 ? branch(v, w, values, depth, indent) : loop(v, w, values, depth, indent, kind === 9);
        values.push(w);
      }
      values.push(v);
    }
    return out;
  };
  const inner = (given: readonly string[], depth: number, indent: number): { text: string; values: string[] } => {
    const values = [...given];
    return { text: body(pick(3), values, depth - 1, indent), values };
  };
  const T = `f32[${N}]`;
  const branch = (v: string, w: string, values: readonly string[], depth: number, indent: number): string => {
    const arm = (): string => {
      const { text, values: known } = inner(values, depth, indent + 1);
      return text + line(indent + 1, `yield ${any(known)}, ${any(known)}`);
    };
    return (
      line(indent, `${v}, ${w} = if %c : ${T}, ${T} then {`) +
      arm() +
      line(indent, '} else {') +
      arm() +
      line(indent, '}')
    );
  };
  const loop = (
    v: string,
    w: string,
    values: readonly string[],
    depth: number,
    indent: number,
    counted: boolean,
  ): string => {
    const [a, b, i, k] = [fresh(), fresh(), fresh(), fresh()];
    const { text, values: known } = inner([...values, a, b], depth, indent + 1);
    const init = `${any(values)}, ${any(values)}`;
    const next = `${any(known)}, ${any(known)}`;
    if (counted) {
      return (
        line(indent, `${v}, ${w} = for ${init} {count = <T>} : ${T}, ${T} do (${i}: i32[], ${a}: ${T}, ${b}: ${T}) {`) +
        text +
        line(indent + 1, `yield ${next}`) +
        line(indent, '}')
      );
    }
    const [n, m, c, d, e] = [fresh(), fresh(), fresh(), fresh(), fresh()];
    return (
      line(
        indent,
        `${v}, ${w}, ${n} = while ${init}, %zero : ${T}, ${T}, f32[] while (${d}: ${T}, ${e}: ${T}, ${k}: f32[]) {`,
      ) +
      line(indent + 1, `${c} = lt ${k}, %two : bool[]`) +
      line(indent + 1, `yield ${c}`) +
      line(indent, `} do (${a}: ${T}, ${b}: ${T}, ${i}: f32[]) {`) +
      text +
      line(indent + 1, `${m} = add ${i}, %one : f32[]`) +
      line(indent + 1, `yield ${next}, ${m}`) +
      line(indent, '}')
    );
  };

  const values = ['%x', '%y'];
  let text = `func @pair(%a: ${T}, %b: ${T}) -> (${T}, ${T}) {
  %0 = maximum %a, %b : ${T}
  %1 = neg %0 : ${T}
  return %1, %a
}
func @main(%p: f32[${2 * N}], %q: f32[${2 * N}], %x: ${T}, %y: ${T}, %c: bool[], %s: f32[T]) -> (f32[${2 * N}], f32[${2 * N}], ${T}, ${T}, ${T}) {
  %limit = constant {value = 1000, elem = "f32", shape = []} : f32[]
  %zero = constant {value = 0, elem = "f32", shape = []} : f32[]
  %one = constant {value = 1, elem = "f32", shape = []} : f32[]
  %two = constant {value = 2, elem = "f32", shape = []} : f32[]
`;
  for (const [segment, part] of [
    ['p', 0],
    ['p', 1],
    ['q', 0],
    ['q', 1],
  ] as const) {
    const v = fresh();
    text += line(1, `${v} = view %${segment} {offset = <${part * N}>, shape = [${N}]} : ${T}`);
    values.push(v);
  }
  text += body(size, values, 2, 1);
  // New contents: often the old view of another part, which must not be overwritten before it is read.
  for (const arena of ['%p1', '%q1']) text += line(1, `${arena} = pack ${any(values)}, ${any(values)} : f32[${2 * N}]`);
  const arenas = pick(4) === 0 ? ['%q', '%p'] : ['%p1', '%q1'];
  text += line(1, `return ${arenas.join(', ')}, ${any(values)}, ${any(values)}, ${any(values)}`);
  return {
    text: `${text}}\n`,
    roles: { inputs: { 0: 'p', 1: 'q' }, outputs: { 0: 'p', 1: 'q' } },
    vectors: [2 * N, 2 * N, N, N],
  };
}
