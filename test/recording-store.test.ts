import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { readWav } from '../src/audio/wav.ts';
import { createLog } from '../src/log.ts';
import { systemRandom } from '../src/random.ts';
import type { StopReason } from '../src/recording/disk-sink.ts';
import { FLUSH_MS } from '../src/recording/disk-sink.ts';
import { type RecordingFiles, systemFiles } from '../src/recording/files.ts';
import { isRecordingName, nameOfPartial, newRecordingName, timeOfName } from '../src/recording/names.ts';
import { newOwner, ownerText, STALE_MS } from '../src/recording/owner.ts';
import type { Removal } from '../src/recording/retention.ts';
import { RecordingStore, type RecordingStoreOptions } from '../src/recording/store.ts';
import { readCall } from '../src/recording/stored-call.ts';
import { spoiledFiles, systemError } from './support/recording-files.ts';
import { callFile, recordSample, tempFolder } from './support/stored-sample.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const DAY_MS = 86_400_000;
const END = { t: 300, complete: true };
const NO_RULES = { maxAgeMs: undefined, maxBytes: undefined };

interface Rig {
  readonly store: RecordingStore;
  readonly clock: VirtualClock;
  readonly folder: string;
  readonly logged: string[];
  readonly over: (readonly [StopReason | undefined, boolean])[];
  readonly removed: Removal[];
  readonly recovered: number[];
  /** Resolves when so many recordings are over. */
  ends(count: number): Promise<void>;
  /** Resolves when something more of a recording is on disk. */
  written(): Promise<void>;
}

async function rig(changes: Partial<RecordingStoreOptions> = {}, folder = tempFolder()): Promise<Rig> {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const over: (readonly [StopReason | undefined, boolean])[] = [];
  const removed: Removal[] = [];
  const recovered: number[] = [];
  let waiters: (() => void)[] = [];
  let writes = 0;
  const tell = (): void => {
    const told = waiters;
    waiters = [];
    for (const waiter of told) waiter();
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => waiters.push(resolve));
  };
  const store = await RecordingStore.open({
    folder,
    rules: NO_RULES,
    minFreeBytes: 0,
    clock,
    log: createLog('trace', { write: (text) => void logged.push(text) }),
    news: {
      wrote: () => {
        writes += 1;
        tell();
      },
      over: (why, kept) => {
        over.push([why, kept]);
        tell();
      },
      removed: (removal) => void removed.push(removal),
      recovered: (count) => void recovered.push(count),
    },
    ...changes,
  });
  onTestFinished(async () => {
    const closed = store.close();
    clock.advance(5_000);
    await closed;
  });
  return {
    store,
    clock,
    folder,
    logged,
    over,
    removed,
    recovered,
    ends: (count) => until(() => over.length >= count),
    written: () => {
      const before = writes;
      return until(() => writes > before);
    },
  };
}

/** A recording that began so long before the clock of the tests stands, with a WAV of so many bytes. */
function finished(folder: string, ageMs: number, bytes = 100): string {
  const name = newRecordingName(new VirtualClock().epoch() - ageMs, systemRandom);
  mkdirSync(join(folder, name));
  writeFileSync(join(folder, name, 'call.json'), JSON.stringify(callFile({ end: END })));
  writeFileSync(join(folder, name, 'events.jsonl'), '');
  writeFileSync(join(folder, name, 'transcript.txt'), 'x'.repeat(bytes));
  return name;
}

/** A recording that is being written, as it lies on the disk. */
async function partial(folder: string): Promise<string> {
  const elsewhere = await rig();
  const sink = elsewhere.store.begin(callFile());
  await elsewhere.written();
  if (sink !== undefined) recordSample(sink);
  const written = elsewhere.written();
  elsewhere.clock.advance(FLUSH_MS);
  await written;
  const [name = ''] = readdirSync(elsewhere.folder);
  cpSync(join(elsewhere.folder, name), join(folder, name), { recursive: true });
  return name;
}

/** Says that this process writes a recording, or one that was there. */
function ownedBy(folder: string, changes: Readonly<Record<string, unknown>>, ageMs = 0): void {
  const path = join(folder, 'owner.json');
  writeFileSync(path, JSON.stringify({ ...newOwner('another'), ...changes }));
  const at = (new VirtualClock().epoch() - ageMs) / 1000;
  utimesSync(path, at, at);
}

function link(to: string, path: string): void {
  symlinkSync(to, path);
}

/** No process has this id: it is beyond the largest. */
const DEAD = { pid: 2 ** 30 };

describe('names of recordings', () => {
  it('are made of the time and of chance, and sort by time', () => {
    const name = newRecordingName(Date.UTC(2026, 10, 21, 19, 5, 7, 999), systemRandom);
    expect(name).toMatch(/^20261121T190507Z-[0-9a-z]{12}$/);
    expect(timeOfName(name)).toBe(Date.UTC(2026, 10, 21, 19, 5, 7));
    expect(isRecordingName(name)).toBe(true);
    expect(nameOfPartial(`${name}.partial`)).toBe(name);
    expect(nameOfPartial(`${name}.abcdefgh.partial`)).toBe(name);
    for (const other of [
      '',
      '..',
      'keep',
      `${name} `,
      `${name}/`,
      `../${name}`,
      `${name}\n`,
      name.toUpperCase(),
    ]) {
      expect(isRecordingName(other)).toBe(false);
      expect(nameOfPartial(other)).toBeUndefined();
    }
  });
});

describe('the recordings folder', () => {
  it('is made for this user alone', async () => {
    const folder = join(tempFolder(), 'a', 'b');
    await rig({}, folder);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(folder)).toEqual([]);
  });

  it('has to be a folder in which a folder can be made', async () => {
    const file = join(tempFolder(), 'file');
    writeFileSync(file, '');
    const wanted = 'BAD_CONFIG: RECORDINGS_DIR: found a folder that cannot be written';
    await expect(rig({}, file)).rejects.toThrow(wanted);
    await expect(rig({}, join(file, 'in', 'it'))).rejects.toThrow(wanted);
    await expect(rig({}, '/proc/recordings')).rejects.toThrow(wanted);
  });

  it('may be reached by a link', async () => {
    const real = tempFolder();
    const link = join(tempFolder(), 'link');
    symlinkSync(real, link);
    const { store } = await rig({}, link);
    await store.begin(callFile())?.finish(END);
    expect(readdirSync(real)).toHaveLength(1);
  });

  it('has a recording for every call, each with a name of its own', async () => {
    const { store, folder, over } = await rig();
    const sinks = Array.from({ length: 20 }, () => store.begin(callFile()));
    expect(store.running).toBe(20);
    for (const sink of sinks) if (sink !== undefined) recordSample(sink, 2);
    await Promise.all(sinks.map((sink) => sink?.finish(END)));
    expect(store.running).toBe(0);
    expect(over).toHaveLength(20);
    const names = readdirSync(folder);
    expect(names.filter(isRecordingName)).toHaveLength(20);
    for (const name of names) expect((await readCall(join(folder, name))).damage).toEqual([]);
  });

  it('is made again when somebody has removed it', async () => {
    const on = await rig();
    rmSync(on.folder, { recursive: true });
    const sink = on.store.begin(callFile());
    if (sink === undefined) throw new Error('nothing was begun');
    recordSample(sink);
    await sink.finish(END);
    expect(on.over).toEqual([[undefined, true]]);
    expect(statSync(on.folder).mode & 0o777).toBe(0o700);
    expect(readdirSync(on.folder).filter(isRecordingName)).toHaveLength(1);
  });

  it('is looked at by no timer when nothing is recorded and nothing is kept', async () => {
    const { store, clock } = await rig({ rules: { maxAgeMs: DAY_MS, maxBytes: 1e9 } });
    await store.settled();
    expect(clock.pending).toBe(0);
    const sink = store.begin(callFile());
    expect(clock.pending).toBeGreaterThan(0);
    await sink?.finish(END);
    await store.close();
    expect(clock.pending).toBe(0);
    expect(store.begin(callFile())).toBeUndefined();
  });
});

describe('a service that stops', () => {
  it('ends recordings that are under way', async () => {
    const { store, folder, over } = await rig();
    const sink = store.begin(callFile());
    if (sink === undefined) throw new Error('not begun');
    const { lines } = recordSample(sink);
    const closing = store.close();
    expect(store.close()).toBe(closing);
    await closing;
    expect(over).toEqual([['shutdown', true]]);
    const [name = ''] = readdirSync(folder);
    const read = await readCall(join(folder, name));
    expect(read.lines).toEqual(lines);
    expect(read.call.end).toMatchObject({ complete: false, why: 'shutdown' });
  });

  it('does not wait for a disk that hangs for longer than five seconds', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    const files = spoiledFiles((operation) => (operation === 'write' ? gate : undefined));
    const { store, clock, ends, over } = await rig({ files });
    for (let n = 0; n < 5; n += 1) store.begin(callFile())?.audio('caller', MULAW_8K, new Uint8Array(160));
    const closing = store.close();
    clock.advance(5_000);
    await closing;
    expect(over).toEqual([]);
    release();
    await ends(5);
  });
});

describe('space on the disk', () => {
  const withFree = (free: { bytes: number }): RecordingFiles => ({
    ...systemFiles,
    freeBytes: async () => free.bytes,
  });

  it('that is too little at the beginning keeps a recording from being begun, and nothing else', async () => {
    const free = { bytes: 999 };
    const { store, folder, over, ends, logged } = await rig({ minFreeBytes: 1000, files: withFree(free) });
    const sink = store.begin(callFile());
    await ends(1);
    expect(over).toEqual([['disk-full', false]]);
    expect(sink?.audio('caller', MULAW_8K, new Uint8Array(160))).toBeUndefined();
    await sink?.finish(END);
    expect(readdirSync(folder)).toEqual([]);
    expect(logged).toHaveLength(1);
    free.bytes = 1000;
    await store.begin(callFile())?.finish(END);
    expect(over[1]).toEqual([undefined, true]);
  });

  it('that becomes too little ends all recordings within seconds, with what they have', async () => {
    const free = { bytes: 5000 };
    const { store, clock, folder, over, ends, written } = await rig({
      minFreeBytes: 1000,
      files: withFree(free),
    });
    const sinks = [store.begin(callFile()), store.begin(callFile())];
    await written();
    for (const sink of sinks) if (sink !== undefined) recordSample(sink);
    free.bytes = 999;
    clock.advance(5_000);
    await ends(2);
    expect(over).toEqual([
      ['disk-full', true],
      ['disk-full', true],
    ]);
    for (const name of readdirSync(folder)) {
      const { lines, call } = await readCall(join(folder, name));
      expect(lines).toHaveLength(30);
      expect(call.end).toMatchObject({ complete: false, why: 'disk-full' });
    }
    expect(store.running).toBe(0);
  });

  it('that nobody can tell ends a recording before it begins', async () => {
    const files = spoiledFiles((operation) => {
      if (operation === 'freeBytes') throw systemError('ENOSYS');
    });
    const { store, over, ends, logged } = await rig({ files });
    store.begin(callFile());
    await ends(1);
    expect(over).toEqual([['disk-error', false]]);
    expect(logged.join()).toContain('ENOSYS');
  });
});

describe('what a process has left that died', () => {
  it('is finished at the next start, up to the last whole line', async () => {
    const folder = tempFolder();
    const name = await partial(folder);
    const left = join(folder, name);
    ownedBy(left, DEAD);
    writeFileSync(
      join(left, 'events.jsonl'),
      `${readFileSync(join(left, 'events.jsonl'), 'utf8')}{"t":999,"on"`,
    );
    writeFileSync(join(left, '.call.json.7.tmp'), '{"for');
    writeFileSync(join(left, 'agent.wav'), 'RIFF');
    const { store, recovered, logged } = await rig({}, folder);
    await store.settled();
    expect(recovered).toEqual([1]);
    expect(logged.join()).toContain('recordings of a process that has died were finished');
    const whole = join(folder, name.replace('.partial', ''));
    expect(readdirSync(folder)).toEqual([name.replace('.partial', '')]);
    expect(readdirSync(whole).sort()).toEqual(['call.json', 'caller.wav', 'events.jsonl', 'provider.wav']);
    const { lines, damage, call } = await readCall(whole);
    expect(damage).toEqual([]);
    expect(lines).toHaveLength(30);
    expect(call.end).toEqual({ t: 190.125, complete: false, why: 'process-died' });
    const wav = readWav(readFileSync(join(whole, 'provider.wav')));
    expect([wav.complete, wav.frames]).toEqual([true, 2405]);
  });

  it.each([
    ['events.jsonl', 0],
    ['caller.wav', 58],
    ['provider.wav', 44],
  ])('is finished with %s torn at any place', async (file, header) => {
    const base = tempFolder();
    const name = await partial(base);
    const size = statSync(join(base, name, file)).size;
    for (let length = 0; length < size; length += length < 64 ? 9 : 331) {
      const folder = tempFolder();
      const left = join(folder, name);
      cpSync(join(base, name), left, { recursive: true });
      ownedBy(left, DEAD);
      writeFileSync(join(left, file), readFileSync(join(left, file)).subarray(0, length));
      const { store } = await rig({}, folder);
      await store.settled();
      const reading = readCall(join(folder, name.replace('.partial', '')));
      if (length >= header) expect((await reading).call.end).toMatchObject({ why: 'process-died' });
      else await expect(reading).rejects.toThrow(`found audio in ${file}, wanted a file that is there`);
    }
  });

  it('is left as it is when the process is there, on this machine or, for all that is known, on another', async () => {
    const folder = tempFolder();
    const here = await partial(folder);
    const there = await partial(folder);
    ownedBy(join(folder, here), {}, 10 * STALE_MS);
    ownedBy(join(folder, there), { machine: 'another', ...DEAD }, STALE_MS - 1000);
    const { store, recovered, clock } = await rig({}, folder);
    await store.settled();
    expect(recovered).toEqual([]);
    expect(readdirSync(folder).sort()).toEqual([here, there].sort());
    // After a while the other one has not been heard of for too long.
    clock.advance(2 * 60_000);
    await store.settled();
    expect(recovered).toEqual([1]);
    expect(readdirSync(folder).sort()).toEqual([here, there.replace('.partial', '')].sort());
  });

  it('is known by its start when another process has got its id', async () => {
    const folder = tempFolder();
    const name = await partial(folder);
    ownedBy(join(folder, name), { born: '1' });
    const { store, recovered } = await rig({}, folder);
    await store.settled();
    expect(recovered).toEqual([1]);
  });

  it('is removed when nothing had been recorded, and left when it is no recording', async () => {
    const folder = tempFolder();
    const empty = newRecordingName(0, systemRandom);
    mkdirSync(join(folder, `${empty}.partial`));
    ownedBy(join(folder, `${empty}.partial`), DEAD);
    writeFileSync(join(folder, `${empty}.partial`, 'events.jsonl'), '');
    const other = newRecordingName(1, systemRandom);
    mkdirSync(join(folder, `${other}.partial`));
    ownedBy(join(folder, `${other}.partial`), DEAD);
    writeFileSync(join(folder, `${other}.partial`, 'thesis.txt'), 'years of work');
    const { store, logged, clock } = await rig({}, folder);
    await store.settled();
    clock.advance(2 * 60_000);
    await store.settled();
    expect(logged).toHaveLength(1);
    const [left = '', ...more] = readdirSync(folder);
    expect(more).toEqual([]);
    expect(readFileSync(join(folder, left, 'thesis.txt'), 'utf8')).toBe('years of work');
    expect(logged.join()).toContain('the recordings folder cannot be tidied');
  });

  it('is finished once when several services start at the same time', async () => {
    const folder = tempFolder();
    const names: string[] = [];
    for (let n = 0; n < 4; n += 1) {
      const name = await partial(folder);
      ownedBy(join(folder, name), DEAD);
      names.push(name.replace('.partial', ''));
    }
    const rigs = await Promise.all([rig({}, folder), rig({}, folder), rig({}, folder)]);
    await Promise.all(rigs.map(({ store }) => store.settled()));
    expect(readdirSync(folder).sort()).toEqual(names.sort());
    expect(rigs.flatMap(({ recovered }) => recovered).reduce((sum, count) => sum + count, 0)).toBe(4);
    for (const name of names) expect((await readCall(join(folder, name))).lines).toHaveLength(30);
  });

  it('may lie beside what another service of this process records', async () => {
    const folder = tempFolder();
    const one = await rig({}, folder);
    const sink = one.store.begin(callFile());
    await one.written();
    const two = await rig({}, folder);
    await two.store.settled();
    expect(two.recovered).toEqual([]);
    if (sink !== undefined) recordSample(sink);
    await sink?.finish(END);
    expect(one.over).toEqual([[undefined, true]]);
  });

  it('may be of this service itself, when the disk could not take its end', async () => {
    let isSpoilt = true;
    const files = spoiledFiles((operation) => {
      if (operation === 'remove' && isSpoilt) throw systemError('EIO');
    });
    const { store, clock, over, recovered, folder } = await rig({ files });
    await store.settled();
    const sink = store.begin(callFile());
    if (sink !== undefined) recordSample(sink);
    await sink?.finish(END);
    expect(over).toEqual([['disk-error', false]]);
    expect(readdirSync(folder)[0]).toContain('.partial');
    isSpoilt = false;
    clock.advance(2 * 60_000);
    await store.settled();
    expect(recovered).toEqual([1]);
    const [name = ''] = readdirSync(folder);
    expect((await readCall(join(folder, name))).lines).toHaveLength(30);
  });

  it('is not what is still written, which says so every minute', async () => {
    const { store, clock, folder, written } = await rig();
    store.begin(callFile());
    await written();
    const [name = ''] = readdirSync(folder);
    const heard = (): number => statSync(join(folder, name, 'owner.json')).mtimeMs;
    const before = heard();
    expect(before).toBe(new VirtualClock().epoch());
    const later = (): number => {
      clock.advance(5_000);
      return heard();
    };
    await expect.poll(later).toBeGreaterThanOrEqual(before + 60_000);
    expect(store.running).toBe(1);
  });

  it('is not reached through links', async () => {
    const outside = tempFolder();
    const folder = tempFolder();
    const name = await partial(outside);
    ownedBy(join(outside, name), DEAD);
    link(join(outside, name), join(folder, name));
    const victim = join(outside, 'victim.wav');
    const inner = await partial(folder).then((found) => join(folder, found));
    ownedBy(inner, DEAD);
    renameSync(join(inner, 'caller.wav'), victim);
    const before = readFileSync(victim);
    link(victim, join(inner, 'caller.wav'));
    const { store } = await rig({}, folder);
    await store.settled();
    expect(readdirSync(outside).sort()).toEqual([name, 'victim.wav'].sort());
    expect(readFileSync(victim).equals(before)).toBe(true);
  });
});

describe('recordings that are old or too many', () => {
  it('are removed by age, from the beginning of their calls', async () => {
    const folder = tempFolder();
    const old = [finished(folder, 8 * DAY_MS), finished(folder, 7 * DAY_MS + 5_000)];
    const young = [finished(folder, 7 * DAY_MS - 5_000), finished(folder, 0), finished(folder, -DAY_MS)];
    const { store, removed } = await rig({ rules: { maxAgeMs: 7 * DAY_MS, maxBytes: undefined } }, folder);
    await store.settled();
    expect(readdirSync(folder).sort()).toEqual([...young].sort());
    expect(removed.map(({ why }) => why)).toEqual(old.map(() => 'age'));
  });

  it('are removed by size, the oldest first, and no more than necessary', async () => {
    const folder = tempFolder();
    const names = [5, 4, 3, 2, 1].map((days) => finished(folder, days * DAY_MS, 10_000));
    const size = (name: string): number =>
      readdirSync(join(folder, name)).reduce((sum, file) => sum + statSync(join(folder, name, file)).size, 0);
    const each = size(names[0] ?? '');
    const rules = { maxAgeMs: undefined, maxBytes: 3 * each + 10 };
    const { store, removed } = await rig({ rules }, folder);
    await store.settled();
    expect(readdirSync(folder)).toEqual(names.slice(2));
    expect(removed).toEqual([
      { why: 'size', bytes: each },
      { why: 'size', bytes: each },
    ]);
  });

  it('are looked at again every two minutes, as long as there are any', async () => {
    const folder = tempFolder();
    finished(folder, 7 * DAY_MS - 100_000);
    const { store, clock } = await rig({ rules: { maxAgeMs: 7 * DAY_MS, maxBytes: undefined } }, folder);
    await store.settled();
    expect(readdirSync(folder)).toHaveLength(1);
    expect(clock.pending).toBe(1);
    clock.advance(2 * 60_000);
    await store.settled();
    expect(readdirSync(folder)).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('are never those that are being written, however large they are', async () => {
    const folder = tempFolder();
    const old = finished(folder, DAY_MS);
    const rules = { maxAgeMs: 1, maxBytes: 1 };
    const { store, clock, written } = await rig({ rules }, folder);
    await store.settled();
    expect(existsSync(join(folder, old))).toBe(false);
    const sink = store.begin(callFile());
    await written();
    clock.advance(10 * 60_000);
    await store.settled();
    expect(readdirSync(folder)).toHaveLength(1);
    await sink?.finish(END);
    expect(readdirSync(folder)).toHaveLength(1);
  });

  it('make room for what is being written', async () => {
    const folder = tempFolder();
    const names = [3, 2, 1].map((days) => finished(folder, days * DAY_MS, 10_000));
    const each = readdirSync(join(folder, names[0] ?? '')).reduce(
      (sum, file) => sum + statSync(join(folder, names[0] ?? '', file)).size,
      0,
    );
    const rules = { maxAgeMs: undefined, maxBytes: 3 * each + 10_000 };
    const { store, clock, written } = await rig({ rules }, folder);
    await store.settled();
    expect(names.every((name) => existsSync(join(folder, name)))).toBe(true);
    const sink = store.begin(callFile());
    await written();
    const more = written();
    sink?.audio('caller', MULAW_8K, new Uint8Array(10_000));
    clock.advance(FLUSH_MS);
    await more;
    clock.advance(2 * 60_000);
    await store.settled();
    expect(names.map((name) => existsSync(join(folder, name)))).toEqual([false, true, true]);
    await sink?.finish(END);
  });

  it('are nothing but recordings: whatever else lies there is left', async () => {
    const folder = tempFolder();
    const outside = tempFolder();
    const keep = (name: string, file: string, text: string): void => {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, file), text);
    };
    const call = JSON.stringify(callFile());
    const named = (): string => newRecordingName(0, systemRandom);
    keep('important', 'call.json', call);
    keep('20200101T000000Z', 'call.json', call);
    keep(named(), 'thesis.txt', 'years of work');
    keep(named(), 'call.json', '{"format":"mine"}');
    keep(named(), 'call.json', 'nothing');
    writeFileSync(join(folder, named()), 'a file');
    keep(`${named()}.removing`, 'call.json', call);
    const linked = finished(outside, 400 * DAY_MS);
    symlinkSync(join(outside, linked), join(folder, linked));
    const before = readdirSync(folder).sort();
    const { store, removed } = await rig({ rules: { maxAgeMs: DAY_MS, maxBytes: 1 } }, folder);
    await store.settled();
    expect(readdirSync(folder).sort()).toEqual(before);
    expect(readdirSync(outside)).toEqual([linked]);
    expect(removed).toEqual([]);
  });

  it('are removed with the links in them, and not with what those lead to', async () => {
    const folder = tempFolder();
    const outside = tempFolder();
    writeFileSync(join(outside, 'victim'), 'mine');
    const name = finished(folder, 9 * DAY_MS);
    symlinkSync(outside, join(folder, name, 'link'));
    symlinkSync(join(outside, 'victim'), join(folder, name, 'agent.wav'));
    const { store } = await rig({ rules: { maxAgeMs: DAY_MS, maxBytes: undefined } }, folder);
    await store.settled();
    expect(readdirSync(folder)).toEqual([]);
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('mine');
  });

  it('are removed to the end by the next one when a process dies over it', async () => {
    const folder = tempFolder();
    const name = finished(folder, 0);
    renameSync(join(folder, name), join(folder, `${name}.abcdefgh.removing`));
    rmSync(join(folder, `${name}.abcdefgh.removing`, 'call.json'));
    const { store } = await rig({}, folder);
    await store.settled();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('are removed once when several services look at the same time', async () => {
    const folder = tempFolder();
    for (let n = 0; n < 30; n += 1) finished(folder, 9 * DAY_MS);
    const rules = { maxAgeMs: DAY_MS, maxBytes: undefined };
    const rigs = await Promise.all([rig({ rules }, folder), rig({ rules }, folder)]);
    await Promise.all(rigs.map(({ store }) => store.settled()));
    expect(readdirSync(folder)).toEqual([]);
    expect(rigs.flatMap(({ removed }) => removed)).toHaveLength(30);
    expect(rigs.flatMap(({ logged }) => logged)).toEqual([]);
  });

  it('are no reason to fail where the folder has become unreadable', async () => {
    const { store, folder, clock, logged } = await rig({ rules: { maxAgeMs: DAY_MS, maxBytes: undefined } });
    await store.settled();
    const sink = store.begin(callFile());
    rmSync(folder, { recursive: true });
    clock.advance(2 * 60_000);
    await store.settled();
    expect(logged.join()).toContain('the recordings folder cannot be tidied');
    await sink?.finish(END);
    mkdirSync(folder, { recursive: true });
    chmodSync(folder, 0o700);
  });
});

describe('the text of an owner', () => {
  it('tells others which process writes', () => {
    const owner = newOwner('me');
    expect(JSON.parse(ownerText(owner))).toEqual({
      machine: expect.stringMatching(/^[0-9a-f]{16}$/),
      pid: process.pid,
      born: expect.any(String),
      service: 'me',
    });
  });
});
