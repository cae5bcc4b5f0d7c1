/** Identifiers of generated text: whatever a network calls a thing, there is a free name for it. */
import test from 'ava';
import { reservedInC } from '../../src/codegen/c/prelude.ts';
import { Names } from '../../src/codegen/names.ts';
import { reservedInWgsl } from '../../src/codegen/wgsl/reserved.ts';

const HARD =
  'stride memory memcpy string INT8_MAX UINT64_MAX INT32_MIN f32 x_f32 lane_x4 size_t sign_bits take_index sinf while tanh main vec4 a_vec4 _ 9 é'.split(
    ' ',
  );

for (const [target, reserved] of [
  ['C', reservedInC],
  ['WGSL', reservedInWgsl],
] as const)
  test(`${target}: every name gets an identifier of its own that is not reserved`, (t) => {
    // A name without a free one beside it would be looked for without end.
    let asked = 0;
    const names = new Names((name) => {
      if (asked++ > 1000) throw new Error(`no free name like ${name}`);
      return reserved(name);
    });
    const given = [...HARD, ...HARD].map((name) => names.fresh(name));
    t.is(new Set(given).size, given.length);
    for (const name of given) {
      t.false(reserved(name), name);
      t.regex(name, /^[A-Za-z][A-Za-z0-9_]*$/);
    }
  });
