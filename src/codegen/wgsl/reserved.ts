/** Words that WGSL keeps for itself (https://www.w3.org/TR/WGSL/#reserved-words), its keywords, types and the functions that printed code calls. */
const WORDS: ReadonlySet<string> = new Set(
  // keywords
  (
    'alias break case const const_assert continue continuing default diagnostic discard else enable false fn for if let loop ' +
    'override requires return struct switch true var while ' +
    // reserved words
    'NULL Self abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch class ' +
    'co_await co_return co_yield coherent column_major common compile compile_fragment concept const_cast consteval constexpr ' +
    'constinit crate debugger decltype delete demote demote_to_helper do dynamic_cast enum explicit export extends extern ' +
    'external fallthrough filter final finally friend from fxgroup get goto groupshared highp impl implements import inline ' +
    'instanceof interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace new nil ' +
    'noexcept noinline nointerpolation non_coherent noncoherent noperspective null nullptr of operator package packoffset ' +
    'partition pass patch pixelfragment precise precision premerge priv protected pub public readonly ref regardless register ' +
    'reinterpret_cast require resource restrict self set shared sizeof smooth snorm static static_assert static_cast std ' +
    'subroutine super target template this thread_local throw trait try type typedef typeid typename typeof union unless ' +
    'unorm unsafe unsized use using varying virtual volatile wgsl where with writeonly yield ' +
    // predeclared names
    'array atomic bool f16 f32 i32 u32 mat2x2 mat2x3 mat2x4 mat3x2 mat3x3 mat3x4 mat4x2 mat4x3 mat4x4 ptr sampler vec2 vec3 ' +
    'vec4 vec4f vec4i vec4u abs all any bitcast ceil clamp countLeadingZeros countOneBits exp floor fma log max min mix pow ' +
    'round select sign sqrt step trunc workgroupBarrier storage uniform workgroup private function read write read_write ' +
    // names of the printed frame
    'Args args memory main workgroup_id num_workgroups local_id flat_id groups_x groups_y groups_z group_x group_y group_z bits_of rolled ' +
    'subgroup passed_i32 passed_u32 passed_bool'
  ).split(' '),
);

/** Those, and everything that looks like a name of the prelude. */
export const reservedInWgsl = (name: string): boolean => WORDS.has(name) || /_(f32|vec4)$/.test(name);
