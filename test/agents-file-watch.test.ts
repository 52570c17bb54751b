import { mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, utimesSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AgentsFileWatch } from '../src/agents-file/watch.ts';
import { type AgentsFile, readAgentsFile } from '../src/agents-file.ts';
import type { Cancel, Clock } from '../src/clock.ts';
import type { BridgeError } from '../src/errors.ts';
import { type Folder, handlerModule, makeFolder } from './support/agents-folder.ts';

/** How long a module may take; not a wait for the next look. */
const LOADING_MS = 10_000;

/** Time that goes on by one wait whenever the test says so; `asked` resolves when somebody waits. */
class StepClock implements Clock {
  #waiting: (() => void) | undefined;
  #onAsk: (() => void) | undefined;
  #deadline: (() => void) | undefined;
  #onDeadline: (() => void) | undefined;
  delays: number[] = [];

  now = (): number => 0;
  epoch = (): number => 0;

  after(ms: number, run: () => void): Cancel {
    if (ms === LOADING_MS) return this.#loadUntil(run);
    if (this.#waiting !== undefined) throw new Error('two looks at once');
    this.delays.push(ms);
    this.#waiting = run;
    this.#onAsk?.();
    return () => {
      this.#waiting = undefined;
    };
  }

  get pending(): boolean {
    return this.#waiting !== undefined || this.#deadline !== undefined;
  }

  /** Begins a look, and resolves when a module is being loaded in it. */
  async lookUntilLoading(): Promise<void> {
    const loading = new Promise<void>((resolve) => {
      this.#onDeadline = resolve;
    });
    const run = this.#waiting;
    this.#waiting = undefined;
    run?.();
    await loading;
  }

  /** The module that is being loaded has had its time; resolves when the look is over. */
  async late(): Promise<void> {
    const over = new Promise<void>((resolve) => {
      this.#onAsk = resolve;
    });
    this.#deadline?.();
    await over;
  }

  #loadUntil(run: () => void): Cancel {
    this.#deadline = run;
    this.#onDeadline?.();
    return () => {
      this.#deadline = undefined;
    };
  }

  /** Lets the wait end, and resolves when the look that follows is over. */
  async look(): Promise<void> {
    const run = this.#waiting;
    if (run === undefined) throw new Error('nobody waits');
    this.#waiting = undefined;
    const over = new Promise<void>((resolve) => {
      this.#onAsk = resolve;
    });
    run();
    await over;
  }
}

interface Watched extends AsyncDisposable {
  readonly folder: Folder;
  readonly clock: StepClock;
  readonly watch: AgentsFileWatch;
  /** What was told: the greeting of a file that is good, the message of one that is not. */
  readonly told: string[];
  look(times?: number): Promise<void>;
}

async function watched(files: Readonly<Record<string, string>>, path = 'agents.yaml'): Promise<Watched> {
  const folder = makeFolder(files);
  return watchIn(folder, path);
}

async function watchIn(folder: Folder, path = 'agents.yaml'): Promise<Watched> {
  const clock = new StepClock();
  const told: string[] = [];
  const watch = new AgentsFileWatch(await readAgentsFile(folder.at(path), {}), {
    clock,
    env: {},
    onChange: (file: AgentsFile) => told.push(`good: ${file.agents.get('a')?.greeting}`),
    onBroken: (error: BridgeError) => told.push(`broken: ${error.message.replaceAll(`${folder.path}/`, '')}`),
  });
  return {
    folder,
    clock,
    watch,
    told,
    async look(times = 1) {
      for (let i = 0; i < times; i++) await clock.look();
    },
    async [Symbol.asyncDispose]() {
      await watch.close();
      folder[Symbol.dispose]();
    },
  };
}

const saying = (greeting: string): string => `agents: { a: { greeting: ${greeting} } }\n`;

describe('a watched agents file', () => {
  it('is read again when it has changed and then stayed as it is for a second', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    await it.look(3);
    expect(it.told).toEqual([]);
    it.folder.write('agents.yaml', saying('Two!'));
    await it.look();
    expect(it.told).toEqual([]);
    await it.look();
    expect(it.told).toEqual(['good: Two!']);
    await it.look(3);
    expect(it.told).toEqual(['good: Two!']);
    expect(new Set(it.clock.delays)).toEqual(new Set([1000]));
  });

  it('is not read while somebody is still writing it', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    for (const part of ['agents: {', 'agents: { a: {', 'agents: { a: { greeting: Tw']) {
      it.folder.write('agents.yaml', part);
      await it.look();
    }
    it.folder.write('agents.yaml', saying('Two'));
    await it.look(2);
    expect(it.told).toEqual(['good: Two']);
  });

  it('that is broken is reported once for each way in which it is', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    it.folder.write('agents.yaml', saying('[]'));
    await it.look(4);
    const first =
      'broken: BAD_CONFIG: agents.yaml:1:26 agents.a.greeting: found an empty list, wanted text of 1 to 2000 characters or false';
    expect(it.told).toEqual([first]);
    // Touched, and as broken as before.
    utimesSync(it.folder.at('agents.yaml'), 1, 1);
    await it.look(3);
    expect(it.told).toEqual([first]);
    it.folder.write('agents.yaml', saying('5'));
    await it.look(3);
    expect(it.told).toHaveLength(2);
    it.folder.write('agents.yaml', saying('One'));
    await it.look(3);
    expect(it.told.slice(2)).toEqual(['good: One']);
    it.folder.write('agents.yaml', saying('[]'));
    await it.look(3);
    expect(it.told.slice(3)).toEqual([first]);
  });

  it('may be gone for a moment while an editor puts another in its place', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    renameSync(it.folder.at('agents.yaml'), it.folder.at('agents.yaml~'));
    await it.look();
    it.folder.write('agents.yaml.tmp', saying('Two'));
    renameSync(it.folder.at('agents.yaml.tmp'), it.folder.at('agents.yaml'));
    await it.look(2);
    expect(it.told).toEqual(['good: Two']);
  });

  it('that stays away is reported, and found again when it comes back', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    unlinkSync(it.folder.at('agents.yaml'));
    await it.look(5);
    expect(it.told).toEqual([
      expect.stringMatching(/^broken: BAD_CONFIG: agents.yaml:1:1 found no such file/),
    ]);
    it.folder.write('agents.yaml', saying('Two'));
    await it.look(2);
    expect(it.told.slice(1)).toEqual(['good: Two']);
  });

  it('is found to have changed behind links that are swapped, as mounted volumes do it', async () => {
    const folder = makeFolder({
      'v1/agents.yaml': saying('One'),
      'v2/agents.yaml': saying('Two'),
    });
    // Same size, same time: only the link tells them apart.
    for (const version of ['v1', 'v2']) utimesSync(folder.at(`${version}/agents.yaml`), 1000, 1000);
    symlinkSync('v1', folder.at('data'));
    symlinkSync('data/agents.yaml', folder.at('agents.yaml'));
    await using it = await watchIn(folder);
    symlinkSync('v2', folder.at('data.new'));
    renameSync(folder.at('data.new'), folder.at('data'));
    rmSync(folder.at('v1'), { recursive: true });
    await it.look(2);
    expect(it.told).toEqual(['good: Two']);
  });

  it('is read again when instructions change that it takes from another file', async () => {
    await using it = await watched({
      'agents.yaml': 'agents: { a: { greeting: Hi, instructions: { file: a.md } } }',
      'a.md': 'You are {{agent}}.',
    });
    it.folder.write('a.md', 'You are {{agnt}}.');
    await it.look(2);
    expect(it.told).toEqual([
      expect.stringMatching(/^broken: BAD_CONFIG: a\.md:1:9 agents\.a\.instructions: found \{\{agnt\}\}/),
    ]);
    unlinkSync(it.folder.at('a.md'));
    await it.look(2);
    expect(it.told).toHaveLength(2);
    it.folder.write('a.md', 'You are nobody.');
    await it.look(2);
    expect(it.told.slice(2)).toEqual(['good: Hi']);
  });

  it('watches files that it has come to name, also those that are not there yet', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    it.folder.write('agents.yaml', 'agents: { a: { greeting: Hi, instructions: { file: a.md } } }');
    await it.look(2);
    expect(it.told).toEqual([expect.stringContaining('found no such file at "a.md"')]);
    it.folder.write('a.md', 'You are new.');
    await it.look(2);
    expect(it.told.slice(1)).toEqual(['good: Hi']);
    it.folder.write('a.md', 'You are newer.');
    await it.look(2);
    expect(it.told.slice(2)).toEqual(['good: Hi']);
  });

  it('is read again when a handler module changes, comes or goes, and not for a database beside it', async () => {
    await using it = await watched({
      'agents.yaml': 'agents: { a: { greeting: Hi } }\ntools: { handlers: [handlers] }',
      'handlers/one.mjs': handlerModule('one'),
    });
    it.folder.write('handlers/bookings.db', 'x');
    await it.look(2);
    expect(it.told).toEqual([]);
    it.folder.write('handlers/two.mjs', handlerModule('two'));
    await it.look(2);
    expect(it.told).toEqual(['good: Hi']);
    it.folder.write('handlers/two.mjs', `${handlerModule('three')}\n// longer`);
    await it.look(2);
    expect(it.told).toHaveLength(2);
    it.folder.write('handlers/two.mjs', handlerModule('one'));
    await it.look(2);
    expect(it.told.slice(2)).toEqual([expect.stringMatching(/^broken: .*two\.mjs/)]);
    unlinkSync(it.folder.at('handlers/two.mjs'));
    await it.look(2);
    expect(it.told.slice(3)).toEqual(['good: Hi']);
  });

  it('with a module that never finishes loading is broken, and the next change is found', async () => {
    await using it = await watched({
      'agents.yaml': 'agents: { a: { greeting: Hi } }\ntools: { handlers: [one.mjs] }',
      'one.mjs': handlerModule('one'),
    });
    it.folder.write('one.mjs', `await new Promise(() => {});\n${handlerModule('one')}`);
    await it.look();
    await it.clock.lookUntilLoading();
    await it.clock.late();
    expect(it.told).toEqual([
      expect.stringMatching(/tools\.handlers: one\.mjs: it is not loaded after 10 s/),
    ]);
    it.folder.write('one.mjs', handlerModule('one'));
    await it.look(2);
    expect(it.told.slice(1)).toEqual(['good: Hi']);
  });

  it('may be closed while a module never finishes loading, and waits for it no longer', async () => {
    const it = await watched({
      'agents.yaml': 'agents: { a: { greeting: Hi } }\ntools: { handlers: [one.mjs] }',
      'one.mjs': handlerModule('one'),
    });
    it.folder.write('one.mjs', `await new Promise(() => {});\n${handlerModule('one')}`);
    await it.look();
    await it.clock.lookUntilLoading();
    await it.watch.close();
    await expect.poll(() => it.clock.pending).toBe(false);
    expect(it.told).toEqual([]);
    it.folder[Symbol.dispose]();
  });

  it('that becomes a folder is broken, and no more than that', async () => {
    await using it = await watched({ 'agents.yaml': saying('One') });
    unlinkSync(it.folder.at('agents.yaml'));
    mkdirSync(it.folder.at('agents.yaml'));
    await it.look(3);
    expect(it.told).toEqual([expect.stringMatching(/found a folder/)]);
  });

  it('that changed between being read and being watched is noticed', async () => {
    using folder = makeFolder({ 'agents.yaml': saying('One') });
    const file = await readAgentsFile(folder.at('agents.yaml'), {});
    folder.write('agents.yaml', saying('Two!'));
    const clock = new StepClock();
    const told: unknown[] = [];
    const watch = new AgentsFileWatch(file, {
      clock,
      env: {},
      onChange: (changed) => told.push(changed.agents.get('a')?.greeting),
      onBroken: (error) => told.push(error),
    });
    await clock.look();
    await clock.look();
    expect(told).toEqual(['Two!']);
    await watch.close();
  });

  it('leaves nothing behind when the watch is closed, and tells nothing any more', async () => {
    const it = await watched({ 'agents.yaml': saying('One') });
    it.folder.write('agents.yaml', saying('Two!'));
    await it.look();
    // Closed in the middle of the look that would have read it.
    const looking = it.clock.look();
    await it.watch.close();
    expect(it.told).toEqual([]);
    expect(it.clock.pending).toBe(false);
    await it.watch.close();
    it.folder[Symbol.dispose]();
    looking.catch(() => undefined);
  });
});
