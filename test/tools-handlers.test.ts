import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { BUILT_IN } from '../src/agents-file/tool-entries.ts';
import { readAgentsFile } from '../src/agents-file.ts';
import { TOOL_OUTCOMES } from '../src/call-events.ts';
import { BridgeError } from '../src/errors.ts';
import { type LoadedHandlers, loadHandlers } from '../src/tools/handlers.ts';
import { httpToolSchema } from '../src/tools/http.ts';
import { defineTool, type ToolContext } from '../src/tools.ts';
import { callStub } from './support/call-stub.ts';
import { emitModules } from './support/emit-modules.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const context: ToolContext = {
  ...callStub(),
  signal: new AbortController().signal,
  idempotencyKey: 'CA1:fc_1',
};

/** Where modules of a user lie, with a patchcord and a zod of their own beside them, as npm would install them. */
let home = '';
/** The same package built, for a Node without any help. */
let built = '';

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'handlers-'));
  built = join(home, 'node_modules', 'patchcord');
  emitModules(built, ['src/index.ts', 'src/tools/handlers.ts'], { types: true });
  writeFileSync(
    join(built, 'package.json'),
    '{"name":"patchcord","type":"module","exports":{".":"./src/tools.js","./handlers":"./src/tools/handlers.js"}}',
  );
  cpSync(join(ROOT, 'node_modules/zod'), join(home, 'node_modules/zod'), {
    recursive: true,
    // The larger half is its sources, and modules for `require`.
    filter: (path) => !/zod\/src(?:\/|$)|\.c[jt]s$/.test(path),
  });
  symlinkSync(join(ROOT, 'node_modules/ajv'), join(home, 'node_modules/ajv'));
});

afterAll(() => {
  rmSync(home, { recursive: true, force: true });
});

let folders = 0;
/** A folder of these modules, in a place of its own; the path is relative to `home`. */
function folder(files: Readonly<Record<string, string>>): string {
  folders += 1;
  const name = `agents-${folders}`;
  mkdirSync(join(home, name));
  for (const [file, text] of Object.entries(files)) write(name, file, text);
  return name;
}

function write(name: string, file: string, text: string): void {
  const path = join(home, name, file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** The source of a module that exports one function. */
function one(name: string, result = 1): string {
  return `import { defineTool } from 'patchcord';
export const tool = defineTool({ name: '${name}', description: 'd', run: () => ${result} });`;
}

const names = ({ tools }: LoadedHandlers): string[] => tools.map(({ definition }) => definition.name);

/** The mistakes, one each. */
async function mistakes(paths: readonly string[]): Promise<string[]> {
  const thrown = await loadHandlers(paths, home).catch((error: unknown) => error);
  if (!(thrown instanceof BridgeError)) throw new Error('there was no mistake');
  expect(thrown.code).toBe('BAD_CONFIG');
  return thrown.message.slice('BAD_CONFIG: '.length).split('\n');
}

/** What a Node without vitest makes of this script, which has `load(...paths)` and `write(file, text)`. */
function native(script: string): { readonly out: string; readonly status: number | null } {
  const file = join(home, 'script.mjs');
  const handlers = pathToFileURL(join(built, 'src/tools/handlers.js')).href;
  writeFileSync(
    file,
    `import { writeFileSync } from 'node:fs';
import { loadHandlers } from ${JSON.stringify(handlers)};
const load = async (...paths) => (await loadHandlers(paths, ${JSON.stringify(home)})).tools;
const write = (file, text) => writeFileSync(${JSON.stringify(`${home}/`)} + file, text);
${script}`,
  );
  const { stdout, stderr, status } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  return { out: stdout + (status === 0 ? '' : stderr), status };
}

describe('a folder of handlers', () => {
  it('is read in order, without tests, helpers, types and other files', async () => {
    const place = folder({
      'b.js': one('b'),
      'a.mjs': one('a'),
      'c.ts': `${one('c')}\nexport const n: number = 1;`,
      'README.md': '# Handlers',
      'data.json': '{}',
      '_shared.js': 'throw new Error("a helper was loaded");',
      '.hidden.js': 'throw new Error("a hidden file was loaded");',
      'a.test.js': 'throw new Error("a test was loaded");',
      'a.spec.mjs': 'throw new Error("a test was loaded");',
      'c.test.ts': 'throw new Error("a test was loaded");',
      'c.d.ts': 'throw new Error("types were loaded");',
      'deeper/d.js': 'throw new Error("a folder inside was loaded");',
    });
    const loaded = await loadHandlers([place], home);
    expect(names(loaded)).toEqual(['a', 'b', 'c']);
    expect(loaded.sources).toEqual(['a.mjs', 'b.js', 'c.ts'].map((file) => join(home, place, file)));
  });

  it('may be given beside single modules, which may have any name, each read once', async () => {
    const place = folder({ 'a.js': one('a'), '_b.js': one('b') });
    const loaded = await loadHandlers(
      [`${place}/_b.js`, `./${place}`, `${place}/a.js`, join(home, place)],
      home,
    );
    expect(names(loaded)).toEqual(['b', 'a']);
    expect(loaded.sources).toHaveLength(2);
  });

  it('is taken compiled where it is there as TypeScript too', async () => {
    const place = folder({ 'a.js': one('a', 1), 'a.ts': 'throw new Error("both were loaded");' });
    expect(names(await loadHandlers([place], home))).toEqual(['a']);
  });

  it('gives functions that were exported by name, by default, in arrays and twice', async () => {
    const place = folder({
      'a.js': `import { defineTool } from 'patchcord';
const make = (name) => defineTool({ name, description: 'd', run: () => name });
export const first = make('first');
export { first as again };
export const rest = [make('second'), make('third')];
export default [make('fourth'), first];
export const nothing = undefined, text = 'x', count = 1, run = () => 1, settings = { run: true };`,
    });
    expect(names(await loadHandlers([place], home)).sort()).toEqual(['first', 'fourth', 'second', 'third']);
  });

  it('may hold nothing that is asked for', async () => {
    expect(await loadHandlers([], home)).toEqual({ tools: [], sources: [] });
  });
});

describe('a handler with a patchcord and a zod of its own', () => {
  const SOURCE = `import { defineTool } from 'patchcord';
import * as z from 'zod';
export const book = defineTool({
  name: 'book',
  description: 'd',
  parameters: z.object({ people: z.coerce.number().int().min(1).describe('how many come') }),
  run: ({ people }, call) => ({ people, caller: call.from }),
});`;

  it('is checked, told to the model and run like any other', async () => {
    const place = folder({ 'a.js': SOURCE });
    const [tool] = (await loadHandlers([place], home)).tools;
    expect(tool?.definition.parameters).toMatchObject({
      type: 'object',
      properties: { people: { type: 'integer', description: 'how many come' } },
    });
    expect(tool?.check({ people: 0 })).toMatchObject({ ok: false });
    expect(tool?.run({ people: 4 }, context)).toEqual({ people: 4, caller: '+15550100001' });
  });

  it('works so in a Node without any help', () => {
    const place = folder({ 'a.js': SOURCE });
    const { out } = native(`
      const [tool] = await load('${place}');
      const checked = tool.check({ people: '4' });
      console.log(JSON.stringify([tool.definition.name, checked, tool.run(checked.args, { from: 'x' })]));`);
    expect(JSON.parse(out)).toEqual(['book', { ok: true, args: { people: 4 } }, { people: 4, caller: 'x' }]);
  });
});

describe('a module that has changed', () => {
  it('is imported anew, and only then', async () => {
    const place = folder({
      'a.js': `globalThis.loadedOften = (globalThis.loadedOften ?? 0) + 1;\n${one('a', 1)}`,
    });
    const [first] = (await loadHandlers([place], home)).tools;
    const [same] = (await loadHandlers([place], home)).tools;
    expect(same).toBe(first);
    write(place, 'a.js', one('a', 2));
    const [second] = (await loadHandlers([place], home)).tools;
    expect([first?.run({}, context), second?.run({}, context)]).toEqual([1, 2]);
    Reflect.deleteProperty(globalThis, 'loadedOften');
  });

  it('is imported anew in a Node without any help, a broken one once it is mended', () => {
    const place = folder({ 'a.js': one('a', 1) });
    const { out } = native(`
      const result = async () => (await load('${place}'))[0].run();
      const seen = [await result()];
      write('${place}/a.js', 'export const = 1');
      seen.push(await result().catch((error) => error.code));
      write('${place}/a.js', ${JSON.stringify(one('a', 2))});
      seen.push(await result());
      console.log(JSON.stringify(seen));`);
    expect(JSON.parse(out)).toEqual([1, 'BAD_CONFIG', 2]);
  });
});

describe('a mistake in handlers', () => {
  it('is told with its file, together with all others', async () => {
    const place = folder({
      'a.js': one('same'),
      'b.js': one('same'),
      'c.js': 'export const nothing = 1;',
      'd.js': 'throw new Error("no database;\\n where is it; please");',
      'e.js': 'export const x = ;',
      'f.js': "import 'not-installed';",
      'g.js':
        "import { defineTool } from 'patchcord';\nexport const tool = defineTool({ name: 'has space', description: 'd', run: () => 1 });",
      'h.js': "export const bookTable = { name: 'book', description: 'd', run: () => 1 };",
      'i.js': "export const old = { definition: { name: 'old', description: 'd' }, run: () => 1 };",
      'j.js':
        "import { defineTool } from 'patchcord';\nconst make = () => defineTool({ name: 'twin', description: 'd', run: () => 1 });\nexport const a = make(), b = make();",
      'k.js': 'throw "a text";',
      'l.js': "export const bare = { definition: { name: 'bare', parameters: {} }, run: () => 1 };",
      'm.js':
        "import { defineTool } from 'patchcord';\n\nexport const book = defineTool({ name: 'book', run: () => 1 });",
    });
    const empty = folder({ 'README.md': '' });
    const found = await mistakes([place, empty, 'missing', `${place}/a.txt`, `${empty}/README.md`]);
    const at = (file: string) =>
      found
        .filter((mistake) => mistake.startsWith(`${place}/${file}:`))
        .map((mistake) => mistake.slice(place.length + file.length + 2).trim());
    expect(at('b.js')).toEqual([`the function same is also in ${place}/a.js`]);
    expect(at('c.js')).toEqual(['it exports no function, wanted at least one that defineTool made']);
    expect(at('d.js')).toEqual(['1: it cannot be loaded: no database; where is it; please']);
    expect(at('e.js')).toEqual([expect.stringMatching(/^(1: )?it cannot be loaded: /)]);
    expect(at('f.js')).toEqual([expect.stringMatching(/^(1: )?it cannot be loaded: .*not-installed/)]);
    expect(at('g.js')).toEqual([expect.stringContaining('tool name "has space"')]);
    expect(at('h.js')).toEqual([
      'export bookTable: found the options of a function, wanted defineTool({ … }) around them',
    ]);
    expect(at('l.js')).toEqual([
      'export bare: found no description, wanted text that tells the model what it does and when to call it',
    ]);
    expect(at('m.js')).toEqual([
      expect.stringContaining('tool book: found no description, wanted text that tells the model'),
    ]);
    expect(at('i.js')).toEqual(['export old: another version of patchcord made it, wanted this one']);
    expect(at('j.js')).toEqual(['it exports two functions named twin']);
    expect(at('k.js')).toEqual(['it cannot be loaded: a text']);
    expect(found).toContain(`${empty}: the folder has no modules, wanted .js, .mjs or .ts files`);
    expect(found).toContain('missing: there is no such file or folder');
    expect(found).toContain(`${place}/a.txt: there is no such file or folder`);
    expect(found).toContain(`${empty}/README.md: found a .md, wanted a .js, .mjs or .ts module`);
    expect(found).toHaveLength(16);
  });

  it('is told with its line, where Node has one', () => {
    const place = folder({
      'a.js': '\n\nexport const x = ;',
      'b.js': '\nconst made = 1;\nconst other = mad + 1;',
      'c.js': "\nimport { nothing } from './_d.js';",
      '_d.js': 'export const something = 1;',
      'e.js': "import './_f.js';",
      '_f.js': 'export const = 1;',
      'g.js': 'throw "a text";',
      'h.js': "import { defineTool } from 'patchcord';\n\nexport const book = defineTool({ name: 'book' });",
      'package.json': '{"type":"module"}',
    });
    const { out } = native(`console.log(await load('${place}').catch((error) => error.message));`);
    expect(out.replace('BAD_CONFIG: ', '').replaceAll(`${place}/`, '').split('\n')).toEqual([
      "a.js:3: it cannot be loaded: Unexpected token ';'",
      'b.js:3: it cannot be loaded: mad is not defined',
      "c.js:2: it cannot be loaded: The requested module './_d.js' does not provide an export named 'nothing'",
      "e.js: a module that it imports cannot be loaded: Unexpected token '='",
      'g.js: it cannot be loaded: a text',
      expect.stringMatching(/^h\.js:3: it cannot be loaded: tool book: found no description, wanted/),
      '',
    ]);
  });

  it('may be to wait for ever at the top level: it is told in time, and nothing else is waited for', async () => {
    const place = folder({
      'a.js': 'await new Promise(() => {});',
      'b.js': 'throw new Error("no database");',
    });
    const clock = new VirtualClock();
    const told = loadHandlers([place], home, { clock }).catch((error: unknown) => String(error));
    await expect.poll(() => clock.pending).toBe(1);
    clock.advance(9_999);
    expect(clock.pending).toBe(1);
    clock.advance(1);
    expect(await told).toMatch(
      new RegExp(
        `BAD_CONFIG: ${place}/a.js: it is not loaded after 10 s, wanted a module that does not wait for ever .*\\n${place}/b.js`,
      ),
    );
    expect(clock.pending).toBe(0);
  });

  it('that lasts for ever is told by a Node that has nothing else to do', () => {
    const place = folder({ 'a.js': 'await new Promise(() => {});' });
    const { out, status } = native(`
      const after = (ms, run) => { const timer = setTimeout(run, ms / 100); return () => clearTimeout(timer); };
      const clock = { now: () => 0, epoch: () => 0, after };
      await loadHandlers(['${place}'], ${JSON.stringify(home)}, { clock }).catch((error) => console.log(error.message));`);
    expect({ out, status }).toEqual({
      out: expect.stringContaining('it is not loaded after 10 s'),
      status: 0,
    });
  });

  it('is not waited for when nobody wants the functions any more', async () => {
    const place = folder({ 'a.js': 'await new Promise(() => {});' });
    const clock = new VirtualClock();
    const life = new AbortController();
    const told = loadHandlers([place], home, { clock, signal: life.signal });
    await expect.poll(() => clock.pending).toBe(1);
    life.abort(new BridgeError('CANCELLED', 'enough'));
    await expect(told).rejects.toThrow('CANCELLED: enough');
    expect(clock.pending).toBe(0);
  });

  it('says what to do where patchcord is not installed, and where TypeScript cannot be read', () => {
    const lonely = mkdtempSync(join(tmpdir(), 'handlers-'));
    try {
      writeFileSync(join(lonely, 'a.js'), one('a'));
      const place = folder({ 'typed.ts': `${one('typed')}\nexport const n: number = 1;` });
      const { out } = native(`
        const told = (path) => load(path).then((tools) => tools.length, (error) => error.message);
        console.log(JSON.stringify([await told(${JSON.stringify(lonely)}), await told('${place}')]));`);
      const [missing, typed]: unknown[] = JSON.parse(out);
      expect(missing).toContain(
        "it imports 'patchcord', which is not installed there, wanted npm install patchcord",
      );
      const readsTypes = 'typescript' in process.features && Boolean(process.features.typescript);
      if (readsTypes) expect(typed).toBe(1);
      else expect(typed).toMatch(/typed\.ts: Node [\d.]+ cannot import TypeScript, wanted Node 24 or/);
    } finally {
      rmSync(lonely, { recursive: true, force: true });
    }
  });
});

describe('docs/tools.md', () => {
  const page = readFileSync(join(ROOT, 'docs/tools.md'), 'utf8');
  const samples = (language: string): string[] =>
    [...page.matchAll(/```(\w+)\n(.*?)```/gs)].flatMap(([, found, text = '']) =>
      found === language ? [text] : [],
    );
  /** The sample that begins with its own file name. */
  const named = (file: string): string => {
    const text = samples('js').find((sample) => sample.startsWith(`// ${file}\n`));
    if (text === undefined) throw new Error(`no sample ${file}`);
    return text;
  };
  let place = '';

  beforeAll(() => {
    place = folder({
      'handlers/booking.js': named('handlers/booking.js'),
      'test/booking.test.js': named('test/booking.test.js'),
      ...Object.fromEntries(samples('ts').map((text, index) => [`program-${index}.ts`, text])),
      'package.json': '{"type":"module"}',
    });
  });

  it('has samples whose types are right', () => {
    const config = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        paths: { patchcord: [join(built, 'src/index.d.ts')] },
        typeRoots: [join(ROOT, 'node_modules/@types')],
        rootDir: '/',
      },
      include: ['.'],
    };
    write(place, 'tsconfig.json', JSON.stringify(config));
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
    const { stdout } = spawnSync(process.execPath, [tsc, '-p', join(home, place)], { encoding: 'utf8' });
    // What is wrong in the sources is for the check of the sources to say.
    const wrong = stdout
      .split('\n')
      .filter((line) => /^error |^\S*(?:program-\d+|booking)[\w.]*\(/.test(line));
    expect(wrong).toEqual([]);
    expect(samples('ts')).not.toEqual([]);
  });

  it('has a module that is loaded, and a test of it that passes', async () => {
    expect(names(await loadHandlers([`${place}/handlers`], home))).toEqual(['book_table']);
    const { stdout, status } = spawnSync(
      process.execPath,
      ['--test', join(home, place, 'test/booking.test.js')],
      {
        encoding: 'utf8',
        env: { ...process.env, NODE_OPTIONS: '', NODE_TEST_CONTEXT: undefined },
      },
    );
    expect(stdout).toMatch(/pass 2\n/);
    expect(status).toBe(0);
  });

  it('has agents files that can be read', async () => {
    const found = samples('yaml');
    expect(found.length).toBeGreaterThan(2);
    for (const [index, text] of found.entries()) {
      const whole = { agents: { a: { instructions: 'Be kind.' } }, ...parse(text) };
      write(place, `agents-${index}.json`, JSON.stringify(whole));
      const env = Object.fromEntries([...text.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => [name, 'x']));
      await readAgentsFile(join(home, place, `agents-${index}.json`), env);
    }
  });

  it('names the defaults that there are', () => {
    const http = httpToolSchema.parse({ description: 'd', url: 'https://example.com/' });
    const code = defineTool({ name: 'a', description: 'd', run: () => 1 });
    const cell = (amount: number): string => amount.toLocaleString('en').replaceAll(',', ' ');
    expect(page).toContain(`| for the whole exchange, redirects included | ${cell(http.timeoutMs)} |`);
    expect(page).toContain(`| a longer answer is an error | ${cell(http.maxResponseBytes)} |`);
    expect(page).toContain(`| its deadline, from when it starts | ${cell(code.timeoutMs)} |`);
    expect(page).toContain(
      `| longer results are cut, and the model is told so | ${cell(code.maxResultChars)} |`,
    );
  });

  it('has every built-in function and every outcome in its tables', () => {
    const rows = [...page.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
    for (const name of [...BUILT_IN, ...TOOL_OUTCOMES]) expect(rows).toContain(name);
  });

  it('has no dead link', () => {
    for (const [, target = ''] of page.matchAll(/\]\(([^)]+)\)/g)) {
      if (!target.startsWith('#')) expect(existsSync(join(ROOT, 'docs', target)), target).toBe(true);
      else
        expect(page.toLowerCase().replaceAll(' ', '-')).toContain(`\n${'#'.repeat(2)}-${target.slice(1)}\n`);
    }
  });
});
