/** What the grammar wanted, in the language's terms. Chevrotain carries these texts in its exceptions; explain.ts uses them. */
import { tokenLabel } from 'chevrotain';
import type { IParserErrorMessageProvider, TokenType } from 'chevrotain';
import { listOf } from '../diagnostics/words.ts';

export const PROVIDER: IParserErrorMessageProvider = {
  buildMismatchTokenMessage: ({ expected, ruleName }) => PLACES[`${ruleName}.${expected.name}`] ?? tokenLabel(expected),
  buildNoViableAltMessage: ({ customUserDescription, expectedPathsPerAlt }) =>
    customUserDescription ?? oneOf(expectedPathsPerAlt.flatMap((paths) => paths.map((path) => path[0]))),
  buildEarlyExitMessage: ({ customUserDescription, expectedIterationPaths }) =>
    customUserDescription ?? oneOf(expectedIterationPaths.map((path) => path[0])),
  buildNotAllInputParsedMessage: () => 'the end of the file',
};

/** Where a token has a meaning that its label does not say, or is not the only thing that fits. */
const PLACES: Readonly<Record<string, string>> = {
  'import.Text': 'the path of a file, such as "./layers.net" or "std/nn"',
  'blockDecl.Name': 'the name of the block',
  'fnDecl.Name': 'the name of the function',
  'optimizerDecl.Name': 'the name of the optimizer',
  'param.Name': 'the name of an argument',
  'tensorMember.Name': 'the name of the tensor',
  'tensorMember.Colon': '`:` and a type',
  'constMember.Equals': '`=` and a value, or `:` and a type',
  'initRule.Tilde': '`~` and a rule',
  'setting.Equals': '`=` and a value',
  'forHead.In': '`in`',
  'recordField.Colon': '`:` and a value',
  'recordTypeField.Colon': '`:` and a type',
};

function oneOf(types: readonly (TokenType | undefined)[]): string {
  const labels = [...new Set(types.map((type) => (type ? tokenLabel(type) : '')))].filter((label) => label !== '');
  const signs = labels.filter((label) => label.startsWith('`')).map((label) => label.replaceAll('`', ''));
  const rest = labels.filter((label) => !label.startsWith('`'));
  return [...rest, ...(signs.length > 0 ? [listOf(signs)] : [])].join(', ');
}
