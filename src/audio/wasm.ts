import { AudioError } from './audio-error.ts';

/**
 * A small assembler: WebAssembly from text, at load time, so that what runs is what stands in the source, and neither a
 * tool chain nor a binary file is needed. It knows what `kernel-wasm.ts` uses: functions of whole numbers over one
 * memory, with vectors of 128 bits.
 */
export interface Routine {
  /** Numbers of 32 bits: addresses and counts. */
  readonly params: readonly string[];
  /** Further variables: numbers of 32 bits, and vectors. */
  readonly numbers?: readonly string[];
  readonly vectors?: readonly string[];
  /**
   * Words, separated by spaces, as the stack machine takes them: the name of a variable (its value), `=name` (put the
   * topmost value there), a whole number, a number with `f` behind it (64-bit float), `loop`, `again-if` (back to the
   * beginning of the loop), `end`, and the instructions below; those that reach memory take an offset: `load+16`.
   */
  readonly code: string;
}

const I32 = 0x7f;
const V128 = 0x7b;
const NO_RESULT = 0x40;
const SIMD = 0xfd;

/** Instructions by the names that they have here; those of vectors are of two floats of 64 bits unless they say more. */
const PLAIN: ReadonlyMap<string, readonly number[]> = new Map([
  ['loop', [0x03, NO_RESULT]],
  ['again-if', [0x0d, 0]],
  ['end', [0x0b]],
  ['+', [0x6a]],
  ['<', [0x49]],
  ['to-float', [0xb7]],
  ['splat', [SIMD, 0x14]],
  ['v+', [SIMD, 0xf0, 0x01]],
  ['v-', [SIMD, 0xf1, 0x01]],
  ['v*', [SIMD, 0xf2, 0x01]],
  ['v>', [SIMD, 0x4a]],
  ['v&', [SIMD, 0x4e]],
  ['ceil', [SIMD, 0x74]],
  // To two whole numbers of 32 bits, the other two 0; what is too large stays at the largest.
  ['truncate', [SIMD, 0xfc, 0x01]],
  // Two vectors of four numbers of 32 bits to eight of 16; what is too large stays at the largest.
  ['narrow', [SIMD, 0x85, 0x01]],
]);

/** Instructions that reach memory, none of which wants an aligned address: what stands before the offset and behind it. */
const MEMORY: ReadonlyMap<string, readonly [readonly number[], readonly number[]]> = new Map([
  ['load-sample', [[0x2e, 0], []]],
  ['store-float', [[0x39, 0], []]],
  ['load', [[SIMD, 0x00, 0], []]],
  ['load-twice', [[SIMD, 0x0a, 0], []]],
  ['store', [[SIMD, 0x0b, 0], []]],
  // The first or second of eight numbers of 16 bits.
  ['store-first', [[SIMD, 0x59, 0], [0]]],
  ['store-second', [[SIMD, 0x59, 0], [1]]],
]);

/** Unsigned LEB128. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest >>>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest];
}

/** Signed LEB128. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 127) | 128);
  return [...bytes, rest & 127];
}

function float64(value: number): number[] {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setFloat64(0, value, true);
  return [...bytes];
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function text(value: string): number[] {
  const bytes = [...new TextEncoder().encode(value)];
  return [...unsigned(bytes.length), ...bytes];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function word(token: string, variables: readonly string[]): readonly number[] {
  const variable = variables.indexOf(token.replace(/^=/, ''));
  if (variable >= 0) return [token.startsWith('=') ? 0x21 : 0x20, ...unsigned(variable)];
  const plain = PLAIN.get(token);
  if (plain !== undefined) return plain;
  if (/^-?\d+$/.test(token)) return [0x41, ...signed(Number(token))];
  if (/^-?\d*\.?\d+f$/.test(token)) return [0x44, ...float64(Number(token.slice(0, -1)))];
  const [, name = '', offset = '0'] = /^([a-z-]+)(?:\+(\d+))?$/.exec(token) ?? [];
  const parts = MEMORY.get(name);
  if (parts === undefined) throw new AudioError(`no instruction is named ${token}`);
  return [...parts[0], ...unsigned(Number(offset)), ...parts[1]];
}

function body({ params, numbers = [], vectors = [], code }: Routine): number[] {
  const variables = [...params, ...numbers, ...vectors];
  const taken = variables.find((name) => PLAIN.has(name) || MEMORY.has(name));
  if (taken !== undefined) throw new AudioError(`a variable has the name of an instruction, ${taken}`);
  const locals = list([
    [...unsigned(numbers.length), I32],
    [...unsigned(vectors.length), V128],
  ]);
  const words = code.trim().split(/\s+/);
  const bytes = [...locals, ...words.flatMap((token) => word(token, variables)), ...word('end', [])];
  return [...unsigned(bytes.length), ...bytes];
}

/**
 * The bytes of a module that exports the routines by their names, and wants a memory of `pages` · 64 KiB as import
 * `host.memory`. Throws BAD_AUDIO for a word that it does not know.
 */
export function assemble(
  routines: Readonly<Record<string, Routine>>,
  pages: number,
): Uint8Array<ArrayBuffer> {
  const all = Object.entries(routines);
  const types = all.map(([, { params }]) => [0x60, ...list(params.map(() => [I32])), 0]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(types)),
    ...section(2, list([[...text('host'), ...text('memory'), 2, 0, ...unsigned(pages)]])),
    ...section(3, list(all.map((_, i) => unsigned(i)))),
    ...section(7, list(all.map(([name], i) => [...text(name), 0, ...unsigned(i)]))),
    ...section(10, list(all.map(([, routine]) => body(routine)))),
  ]);
}
