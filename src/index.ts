/** The public compiler: `compile` in memory, and what the command line, bundlers and editors are made of. */
export { compile, compileProject, openProject } from './compile.ts';
export type { Compiled, CompileOptions, CompileResult, OpenProject } from './compile.ts';
export { parseTuning, type Tuning } from './codegen/tuning.ts';
export { apply, init, initialise } from './init.ts';
export type { DrawOptions, RuleOptions } from './init.ts';
export type { SourceHost } from './check/index.ts';
export { render, renderAll, toJson } from './diagnostics/index.ts';
export type { Diagnostic } from './diagnostics/index.ts';
export * from './runtime/index.ts';
