/** Prints kernel IR as text, for `--emit kernels`, for tests, and (with neutral names) as a structural key. */
import type { KBuffer, Kernel, KExpr, KStmt, KType, KVar } from './kernel.ts';

/** Gives each variable and buffer its printed name, the same at every use. */
type Naming = (item: KVar | KBuffer) => string;

/** `name`, `name_1`, ... in order of first use. */
export function sourceNames(): Naming {
  const names = new Map<KVar | KBuffer, string>();
  const used = new Map<string, number>();
  return (item) => {
    const known = names.get(item);
    if (known !== undefined) return known;
    const count = used.get(item.name) ?? 0;
    used.set(item.name, count + 1);
    const name = count === 0 ? item.name : `${item.name}_${count}`;
    names.set(item, name);
    return name;
  };
}

/** `v0`, `v1`, ...: names that say nothing of where a kernel comes from. */
export function neutralNames(): Naming {
  const names = new Map<KVar | KBuffer, string>();
  return (item) => {
    const name = names.get(item) ?? `v${names.size}`;
    names.set(item, name);
    return name;
  };
}

export function printKernel(kernel: Kernel, naming: Naming = sourceNames()): string {
  const params = kernel.params.map((p) =>
    p.kind === 'buffer' ? `${p.access} ${naming(p)}: ${p.elem}[]` : `${naming(p)}: ${typeName(p.type)}`,
  );
  const out = [`kernel ${kernel.name}(${params.join(', ')})`];
  statements(kernel.body, naming, '  ', out);
  return out.join('\n') + '\n';
}

const typeName = (t: KType): string => (t.lanes === 1 ? t.elem : `${t.elem}x${t.lanes}`);

function statements(body: readonly KStmt[], naming: Naming, indent: string, out: string[]): void {
  const e = (x: KExpr): string => printExpr(x, naming);
  const nested = (inner: readonly KStmt[]): void => statements(inner, naming, indent + '  ', out);
  for (const s of body) {
    switch (s.s) {
      case 'let':
        out.push(`${indent}${s.var.mutable ? 'var' : 'let'} ${naming(s.var)}: ${typeName(s.var.type)} = ${e(s.value)}`);
        break;
      case 'set':
        out.push(`${indent}${naming(s.var)} = ${e(s.value)}`);
        break;
      case 'store':
        out.push(`${indent}${bufferName(s.buf, naming)}[${e(s.index)}] = ${e(s.value)}`);
        break;
      case 'for': {
        const axis = s.axis === 'serial' ? '' : ` ${s.axis}`;
        out.push(`${indent}for${axis} ${naming(s.var)} = ${e(s.from)} to ${e(s.to)} step ${s.step}`);
        nested(s.body);
        break;
      }
      case 'while':
        out.push(`${indent}while ${e(s.cond)}`);
        nested(s.body);
        break;
      case 'if':
        out.push(`${indent}if ${e(s.cond)}`);
        nested(s.then);
        if (s.else.length > 0) {
          out.push(`${indent}else`);
          nested(s.else);
        }
        break;
      case 'barrier':
        out.push(`${indent}barrier`);
        break;
      case 'note':
        out.push(`${indent}# ${s.text}`);
        break;
    }
  }
}

/** Arrays of the kernel's own show what they are where they are used: nothing declares them. */
const bufferName = (b: KBuffer, naming: Naming): string =>
  b.space === 'global' ? naming(b) : `${naming(b)}<${b.space} ${b.elem} ${b.length}>`;

function printExpr(x: KExpr, n: Naming): string {
  switch (x.k) {
    case 'const':
      return `${Object.is(x.value, -0) ? '-0' : x.value}:${typeName(x.type)}`;
    case 'var':
      return n(x.var);
    case 'un':
      return `${x.op}(${printExpr(x.a, n)})`;
    case 'bin':
      return `${x.op}(${printExpr(x.a, n)}, ${printExpr(x.b, n)})`;
    case 'fma':
    case 'dot':
      return `${x.k}(${printExpr(x.a, n)}, ${printExpr(x.b, n)}, ${printExpr(x.c, n)})`;
    case 'select':
      return `select(${printExpr(x.cond, n)}, ${printExpr(x.a, n)}, ${printExpr(x.b, n)})`;
    case 'load':
      return `${bufferName(x.buf, n)}[${printExpr(x.index, n)}]${x.type.lanes === 1 ? '' : `:${typeName(x.type)}`}`;
    case 'cast':
    case 'bitcast':
    case 'splat':
      return `${x.k}.${typeName(x.type)}(${printExpr(x.a, n)})`;
    case 'lane':
      return `lane(${printExpr(x.a, n)}, ${x.lane})`;
    case 'vec':
      return `vec(${x.items.map((y) => printExpr(y, n)).join(', ')})`;
    case 'shuffle':
      return `shuffle(${printExpr(x.a, n)}, ${printExpr(x.b, n)}, [${x.lanes.join(', ')}])`;
    case 'subgroup':
      return 'subgroup';
    case 'passed':
      return `passed(${printExpr(x.a, n)}, ${printExpr(x.by, n)})`;
  }
}
