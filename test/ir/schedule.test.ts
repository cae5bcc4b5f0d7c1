/** Kernels wait until their results are needed where that keeps fewer bytes alive, and only there. */
import test from 'ava';
import { parseModule } from '../../src/ir/parse.ts';
import { printModule } from '../../src/ir/print.ts';
import { schedule } from '../../src/ir/passes/schedule.ts';

const fusion = (result: string, type: string, operands: string, label: string): string =>
  `  ${result} = fusion ${operands} {family = "elementwise", label = "${label}"} : ${type} of (%p_${label}: f32[8]) {
    %r_${label} = broadcast_to %p_${label} {shape = [${type.slice(4)}} : ${type}
    yield %r_${label}
  }`;

/** The labels of the fusions of @f in their order. */
const order = (lines: readonly string[], result: string): string[] => {
  const text = `func @f(%x: f32[8]) -> (f32[8]) {\n${lines.join('\n')}\n  return ${result}\n}\n`;
  return [...printModule(schedule(parseModule(text))).matchAll(/label = "(\w+)"/g)].map((m) => m[1]!);
};

test('what is large and needed late is made late', (t) => {
  const lines = [
    fusion('%big', 'f32[64, 8]', '%x', 'big'),
    fusion('%a', 'f32[8]', '%x', 'a'),
    fusion('%b', 'f32[8]', '%a', 'b'),
    `  %s = sum %big {axes = (0), keepdims = false} : f32[8]`,
    `  %y = add %s, %b : f32[8]`,
  ];
  t.deepEqual(order(lines, '%y'), ['a', 'b', 'big']);
});

test('what makes little of much is made at once', (t) => {
  const lines = [
    fusion('%big', 'f32[64, 8]', '%x', 'big'),
    `  %s = sum %big {axes = (0), keepdims = false} : f32[8]`,
    fusion('%small', 'f32[8]', '%s', 'small'),
    fusion('%a', 'f32[8]', '%x', 'a'),
    fusion('%b', 'f32[8]', '%a', 'b'),
    `  %y = add %small, %b : f32[8]`,
  ];
  t.deepEqual(order(lines, '%y'), ['big', 'small', 'a', 'b']);
});
