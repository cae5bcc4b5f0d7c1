/** Syntax trees as text for golden files: `(kind field: value ...)`, without spans and without what is empty. */

const WIDTH = 100;

export function printAst(value: unknown, indent = ''): string {
  const flat = flatten(value);
  if (flat.length + indent.length <= WIDTH) return flat;
  const deeper = `${indent}  `;
  if (Array.isArray(value)) return `[\n${value.map((item) => deeper + printAst(item, deeper)).join('\n')}\n${indent}]`;
  const { head, fields } = parts(value as object);
  return `(${head}\n${fields.map(([k, v]) => `${deeper}${k}: ${printAst(v, deeper)}`).join('\n')}\n${indent})`;
}

function flatten(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(flatten).join(' ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const { head, fields } = parts(value);
  const literal = literalText(value);
  if (literal !== null) return literal;
  const inner = fields.map(([k, v]) => `${k}: ${flatten(v)}`);
  return isName(value) ? head : `(${[head, ...inner].filter((part) => part !== '').join(' ')})`;
}

function parts(node: object): { head: string; fields: [string, unknown][] } {
  const fields = Object.entries(node).filter(([key, value]) => key !== 'span' && key !== 'opSpan' && !isEmpty(value));
  if (isName(node)) return { head: node.name, fields: [] };
  const kind = fields.find(([key]) => key === 'kind')?.[1];
  return { head: typeof kind === 'string' ? kind : '', fields: fields.filter(([key]) => key !== 'kind') };
}

/** An identifier is its name, and so is the expression that only names something. */
function isName(node: object): node is { name: string } {
  if (!('name' in node) || typeof node.name !== 'string') return false;
  const keys = Object.keys(node).filter((key) => key !== 'span');
  return keys.length === 1 || (keys.length === 2 && 'kind' in node && node.kind === 'name');
}

function literalText(node: object): string | null {
  if (!('kind' in node && 'value' in node)) return null;
  if (node.kind === 'number') return 'isInt' in node && node.isInt ? `${node.value}` : `${node.value}f`;
  return node.kind === 'string' ? JSON.stringify(node.value) : null;
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || value === false || (Array.isArray(value) && value.length === 0);
}
