/** What a `.net` file says is data: names, texts and paths reach generated TypeScript only through these writers. */

/** A single-quoted string literal: JSON inside it stays readable. It cannot end a script element either. */
export function stringLiteral(text: string): string {
  const body = text.replace(/[\\'\u0000-\u001f\u007f\u2028\u2029\ud800-\udfff]/gu, (c) =>
    c === '\\' || c === "'" ? `\\${c}` : c === '\n' ? '\\n' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `'${body.replaceAll('</', '<\\/')}'`;
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A key of a class or object type: identifiers and whole numbers as they are, anything else quoted. */
export const propertyKey = (name: string): string =>
  IDENTIFIER.test(name) || /^(0|[1-9][0-9]{0,8})$/.test(name) ? name : stringLiteral(name);

/** Words that cannot name a parameter or a class. */
const WORDS = new Set(
  (
    'arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally ' +
    'for function if implements import in instanceof interface let new null package private protected public return static super ' +
    'switch this throw true try typeof undefined var void while with yield any bigint boolean never number object string symbol unknown'
  ).split(' '),
);
/** Globals that generated code itself uses. */
const GLOBALS = new Set(['JSON', 'Promise', 'Symbol', 'Uint8Array', 'IterableIterator', 'Omit']);

/** A name that can be bound: letters, digits and underscores, no word of the language. */
export function bindingName(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9_]/g, '_').replace(/^(?=[0-9]|$)/, '_');
  return WORDS.has(plain) || GLOBALS.has(plain) ? `${plain}_` : plain;
}

/** A doc comment at an indent; nothing for an empty text. The text can end neither the comment nor a script element, nor speak to TypeScript. */
export function docComment(text: string, indent = ''): string {
  const lines = text
    .trim()
    .replace(/(?<=[*<])(?=\/)|(?<=@)(?=ts-)/g, '\u200b')
    .split(/\r\n|[\n\r\u2028\u2029]/);
  if (lines.length === 1) return lines[0] === '' ? '' : `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((l) => `${indent} *${l.trim() === '' ? '' : ` ${l.trimEnd()}`}\n`).join('')}${indent} */\n`;
}
