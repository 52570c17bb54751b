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

/** What tells one kind of message from another: its fields, and the words that name kinds. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return [...new Set(value.map((item) => JSON.stringify(shapeOf(item))))];
  if (typeof value !== 'object' || value === null) return typeof value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      key === 'type' || key === 'role' ? item : shapeOf(item),
    ]),
  );
}

/** One message of each shape: the same frame of audio a thousand times says nothing new. */
export function oneOfEach(messages: Iterable<unknown>): unknown[] {
  const shapes = new Map<string, unknown>();
  for (const message of messages) {
    const shape = JSON.stringify(shapeOf(message));
    if (!shapes.has(shape)) shapes.set(shape, message);
  }
  return [...shapes.values()];
}
