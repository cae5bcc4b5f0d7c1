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
  const inner = fields.map(([k, v]) => `${k}: ${flatten(v)}`);
  return head !== '' && inner.length === 0 ? head : `(${[head, ...inner].filter((part) => part !== '').join(' ')})`;
}

/** An identifier is its name, and so is the expression that only names something. */
function parts(node: object): { head: string; fields: [string, unknown][] } {
  const fields = Object.entries(node).filter(([key, value]) => key !== 'span' && key !== 'opSpan' && !isEmpty(value));
  const kind = fields.find(([key]) => key === 'kind')?.[1];
  const rest = fields.filter(([key]) => key !== 'kind');
  const [only] = rest;
  if (rest.length === 1 && only && only[0] === 'name' && typeof only[1] === 'string' && (kind === undefined || kind === 'name'))
    return { head: only[1], fields: [] };
  return { head: typeof kind === 'string' ? kind : '', fields: rest };
}

function isEmpty(value: unknown): boolean {
  return value === null || value === '' || value === false || (Array.isArray(value) && value.length === 0);
}
