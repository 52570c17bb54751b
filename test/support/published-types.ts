import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** Messages that are held against the types that a maker publishes: a field that those do not know is a mistake. */
export interface TypedMessages {
  /** Whose they are, for the mistakes. */
  readonly name: string;
  /** Module and name of the type, such as `openai/resources/realtime/realtime`. */
  readonly module: string;
  readonly type: string;
  readonly messages: readonly unknown[];
}

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

// The enums of a maker are the words that they stand for; arrays and objects are gone into.
const WIRE =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is a type that is written into a file
  'type Wire<T> = T extends string ? `${T}` : T extends readonly (infer U)[] ? Wire<U>[] : T extends object ? { [K in keyof T]: Wire<T[K]> } : T;';

const OPTIONS = {
  compilerOptions: {
    target: 'es2022',
    module: 'nodenext',
    moduleResolution: 'nodenext',
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    types: [],
    allowImportingTsExtensions: true,
  },
  files: ['messages.ts'],
};

/** The compiler's complaints, each with the message that it is about; none: the types know all of it. */
export async function typeMistakes(groups: readonly TypedMessages[]): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'patchcord-types-'));
  try {
    await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'dir');
    const lines = groups.flatMap(({ module, type }, i) => [
      `import type { ${type} as Type${i} } from '${module}';`,
    ]);
    lines.push(WIRE);
    const told: string[] = [];
    for (const [i, { name, messages }] of groups.entries()) {
      for (const message of messages) {
        // One line each, so that the compiler's line number names the message.
        lines.push(`({} as (m: Wire<Type${i}>) => void)(${JSON.stringify(message)});`);
        told[lines.length] = `${name}: ${JSON.stringify(message)}`;
      }
    }
    await writeFile(join(folder, 'messages.ts'), lines.join('\n'));
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(OPTIONS));
    return await compile(folder, told);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function compile(folder: string, told: readonly string[]): Promise<string[]> {
  const tsc = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc');
  try {
    await promisify(execFile)(process.execPath, [tsc, '-p', folder, '--pretty', 'false']);
    return [];
  } catch (thrown) {
    const { stdout } = thrown as { readonly stdout: string };
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const at = /messages\.ts\((\d+),/.exec(line)?.[1];
        return at === undefined ? line : `${line}\n${told[Number(at)] ?? ''}`;
      });
  }
}

/** Most messages of one group that are compiled. */
const MOST_KINDS = 500;

/** Fields that hold what people, models or scripts said, or audio: no maker lists what may stand there. */
const FREE: ReadonlySet<string> = new Set(
  'text content instructions description transcript output arguments audio data delta'.split(' '),
);
/** A word of the protocol, such as `START_SENSITIVITY_LOW` or `audio/pcmu`; ids have digits, texts have spaces. */
const WORD = /^[A-Za-z_./-]{0,39}$/;
/** Numbers of which only some are allowed, such as `sampleRateHertz`. */
const LISTED_NUMBER = /rate|hertz|bits|count$/i;

function kindOf(key: string, value: unknown): unknown {
  if (typeof value === 'boolean') return value;
  if (typeof value === 'number') return LISTED_NUMBER.test(key) ? value : 'number';
  if (typeof value !== 'string') return shapeOf(value);
  return !FREE.has(key) && !/id$/i.test(key) && WORD.test(value) ? `=${value}` : 'string';
}

/** What tells one kind of message from another: its fields, and the words of the protocol in them. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(kindOf('', item))))];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, kindOf(key, item)]));
}

/** One message of each kind: the same frame of audio a thousand times says nothing new. */
export class Kinds {
  readonly #found = new Map<string, unknown>();
  readonly #leftOut = new Map<string, unknown>();

  add(message: unknown): void {
    const shape = JSON.stringify(shapeOf(message));
    if (this.#found.has(shape)) return;
    (this.#found.size < MOST_KINDS ? this.#found : this.#leftOut).set(shape, message);
  }

  get messages(): readonly unknown[] {
    return [...this.#found.values()];
  }

  /** Kinds for which there was no room, so that nobody takes them for checked. */
  get leftOut(): readonly unknown[] {
    return [...this.#leftOut.values()];
  }
}

/** One message of each kind. Throws when there are more kinds than are compiled. */
export function oneOfEach(messages: Iterable<unknown>): readonly unknown[] {
  const kinds = new Kinds();
  for (const message of messages) kinds.add(message);
  const [first] = kinds.leftOut;
  if (first === undefined) return kinds.messages;
  throw new Error(`${kinds.leftOut.length} kinds of messages are too many: ${JSON.stringify(first)}`);
}
