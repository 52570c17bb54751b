import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { readWav } from '../src/audio/wav.ts';
import { createLog } from '../src/log.ts';
import {
  DiskSink,
  type DiskSinkOptions,
  FLUSH_MS,
  MOST_WAITING_BYTES,
  type StopReason,
} from '../src/recording/disk-sink.ts';
import { inTurns, type RecordingFiles, systemFiles, turns } from '../src/recording/files.ts';
import type { Line } from '../src/recording/format.ts';
import { MemorySink } from '../src/recording/memory-sink.ts';
import { readCall, writeCall } from '../src/recording/stored-call.ts';
import { type Operation, spoiledFiles, systemError } from './support/recording-files.ts';
import { callFile, noiseBytes, recordSample, tempFolder } from './support/stored-sample.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const NAME = '20260102T030405Z-abcdefghijkl';
const COMPLETE = { t: 300, complete: true };

interface Rig {
  readonly sink: DiskSink;
  readonly clock: VirtualClock;
  readonly parent: string;
  readonly limit: { waiting: number; most: number };
  readonly logged: string[];
  /** What `over` was told. */
  readonly over: (readonly [StopReason | undefined, boolean])[];
  /** Resolves when so many bytes more are on disk. */
  wrote(bytes: number): Promise<void>;
  ended(): Promise<void>;
  /** Resolves when there is a folder with a call.json. */
  begun(): Promise<void>;
}

function rig(files: RecordingFiles = systemFiles, changes: Partial<DiskSinkOptions> = {}): Rig {
  const parent = tempFolder();
  const clock = new VirtualClock();
  const limit = { waiting: 0, most: 64 * 1024 * 1024 };
  const logged: string[] = [];
  const over: (readonly [StopReason | undefined, boolean])[] = [];
  const waiters: (() => void)[] = [];
  let written = 0;
  let hasBegun = false;
  const tell = (): void => {
    for (const waiter of waiters) waiter();
  };
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise<void>((resolve) => waiters.push(resolve));
  };
  const sink = new DiskSink({
    parent,
    name: NAME,
    owner: 'me\n',
    call: callFile(),
    clock,
    log: createLog('trace', { write: (text) => void logged.push(text) }),
    files,
    limit,
    refused: async () => undefined,
    wrote: (bytes) => {
      written += bytes;
      hasBegun = true;
      tell();
    },
    over: (why, kept) => {
      over.push([why, kept]);
      tell();
    },
    ...changes,
  });
  return {
    sink,
    clock,
    parent,
    limit,
    logged,
    over,
    wrote: async (bytes) => {
      const wanted = written + bytes;
      await until(() => written >= wanted);
    },
    ended: () => until(() => over.length > 0),
    begun: () => until(() => hasBegun),
  };
}

/** Files of a disk that does nothing until it is let. */
function heldFiles(held: (operation: Operation, path: string) => boolean): {
  files: RecordingFiles;
  release(): void;
} {
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const files = spoiledFiles(async (operation, path) => {
    if (held(operation, path)) await gate;
  });
  return { files, release: () => release() };
}

const AUDIO_LINE: Line = { t: 10, on: 'carrier', dir: 'in', conn: 1, msg: {} };

describe('a recording on disk', () => {
  it('has the same bytes as one in memory that is written', async () => {
    const { sink, parent, over } = rig();
    const memory = new MemorySink(callFile());
    recordSample(sink);
    recordSample(memory);
    await Promise.all([sink.finish(COMPLETE), memory.finish(COMPLETE)]);
    expect(over).toEqual([[undefined, true]]);
    expect(readdirSync(parent)).toEqual([NAME]);
    const other = join(tempFolder(), 'memory');
    await writeCall(other, memory.stored());
    expect(readdirSync(join(parent, NAME)).sort()).toEqual(readdirSync(other).sort());
    for (const name of readdirSync(other)) {
      expect(readFileSync(join(parent, NAME, name)).equals(readFileSync(join(other, name)))).toBe(true);
    }
    expect((await readCall(join(parent, NAME))).damage).toEqual([]);
  });

  it('gives the same references as one in memory, over a long call with many writes', async () => {
    const { sink, clock, parent, wrote } = rig();
    const memory = new MemorySink(callFile());
    for (let n = 0; n < 20; n += 1) {
      const bytes = noiseBytes(String(n), 1 + n * 1777);
      const onDisk = wrote(bytes.length);
      const ref = sink.audio('provider', PCM16_24K, bytes);
      expect(ref).toEqual(memory.audio('provider', PCM16_24K, bytes));
      clock.advance(FLUSH_MS);
      await onDisk;
    }
    await sink.finish(COMPLETE);
    const read = await readCall(join(parent, NAME));
    const whole = Buffer.from(memory.stored().wavs.get('provider')?.bytes ?? []);
    expect(whole.equals(read.wavs.get('provider')?.bytes ?? new Uint8Array())).toBe(true);
  });

  it('is for its owner alone, while it is written and afterwards', async () => {
    const { sink, parent, clock, wrote } = rig();
    const onDisk = wrote(1);
    recordSample(sink);
    sink.transcript('hello\n');
    sink.stereo(MULAW_8K, new Uint8Array(320));
    clock.advance(FLUSH_MS);
    await onDisk;
    const check = (folder: string, count: number): void => {
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      expect(readdirSync(folder)).toHaveLength(count);
      for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    };
    check(join(parent, `${NAME}.partial`), 7);
    await sink.finish(COMPLETE);
    check(join(parent, NAME), 6);
  });

  it('can be read at any moment, up to the last second', async () => {
    const { sink, clock, parent, wrote } = rig();
    const { lines, caller } = recordSample(sink);
    expect(FLUSH_MS).toBeLessThan(1000);
    const onDisk = wrote(1);
    clock.advance(FLUSH_MS);
    await onDisk;
    const partial = join(parent, `${NAME}.partial`);
    const read = await readCall(partial);
    expect(read.lines).toEqual(lines);
    expect(Buffer.from(read.wavs.get('caller')?.bytes ?? []).equals(caller)).toBe(true);
    expect(read.damage).toEqual(['call.json: there is no end, its process died or is still recording']);
    sink.describe(callFile({ settings: { MAX_CALLS: '7' } }));
    sink.line({ ...AUDIO_LINE, t: 400 });
    const again = wrote(1);
    clock.advance(FLUSH_MS);
    await again;
    expect((await readCall(partial)).call.settings).toEqual({ MAX_CALLS: '7' });
    expect((await readCall(partial)).lines).toHaveLength(lines.length + 1);
    await sink.finish(COMPLETE);
    expect((await readCall(join(parent, NAME))).call).toMatchObject({
      settings: { MAX_CALLS: '7' },
      end: COMPLETE,
    });
  });

  it('has its name when every file in it outlives a loss of power, and not before', async () => {
    const done: string[] = [];
    const { sink } = rig(
      spoiledFiles((operation, path) => {
        if (operation === 'sync' || path.endsWith('.partial')) done.push(`${operation} ${basename(path)}`);
      }),
    );
    recordSample(sink);
    sink.stereo(MULAW_8K, new Uint8Array(320));
    await sink.finish(COMPLETE);
    const named = done.indexOf(`rename ${NAME}.partial`);
    const synced = done.slice(0, named).filter((one) => one.startsWith('sync ') && !one.includes('.tmp'));
    expect(synced.sort()).toEqual([
      'sync call.wav',
      'sync caller.wav',
      'sync events.jsonl',
      'sync provider.wav',
    ]);
    expect(done.slice(0, named).some((one) => /^sync \.call\.json\..*tmp$/.test(one))).toBe(true);
  });

  it('has what people listen to and read, which is no part of the messages', async () => {
    const { sink, parent } = rig();
    sink.stereo(MULAW_8K, new Uint8Array([1, 2, 3]));
    sink.stereo(PCM16_24K, new Uint8Array(4));
    sink.transcript('0:01 caller: ');
    sink.transcript('grüß Gott\n');
    await sink.finish(COMPLETE);
    const wav = readWav(readFileSync(join(parent, NAME, 'call.wav')));
    expect([wav.channels, wav.frames, wav.complete]).toEqual([2, 2, true]);
    expect(readFileSync(join(parent, NAME, 'transcript.txt'), 'utf8')).toBe('0:01 caller: grüß Gott\n');
    const read = await readCall(join(parent, NAME));
    expect([read.lines.length, read.wavs.size, read.damage.length]).toEqual([0, 0, 0]);
  });

  it('has no timer when nothing waits, and none when it is over', async () => {
    const { sink, clock, wrote, begun } = rig();
    await begun();
    expect(clock.pending).toBe(0);
    sink.line(AUDIO_LINE);
    expect(clock.pending).toBe(1);
    const onDisk = wrote(1);
    clock.advance(FLUSH_MS);
    await onDisk;
    expect(clock.pending).toBe(0);
    sink.line({ ...AUDIO_LINE, t: 11 });
    await sink.finish(COMPLETE);
    expect(clock.pending).toBe(0);
  });

  it('does not wait for its time when much has come at once', async () => {
    const { sink, wrote, clock, begun } = rig();
    await begun();
    const onDisk = wrote(300_000);
    for (let n = 0; n < 10; n += 1) sink.audio('provider', PCM16_24K, new Uint8Array(30_000));
    await onDisk;
    expect(clock.now()).toBe(0);
    await sink.finish(COMPLETE);
  });

  it('takes nothing after its end, and ends once', async () => {
    const { sink, parent, over } = rig();
    const { lines } = recordSample(sink);
    const end = sink.finish(COMPLETE);
    expect(sink.audio('caller', MULAW_8K, new Uint8Array(160))).toBeUndefined();
    sink.line({ ...AUDIO_LINE, t: 500 });
    sink.transcript('late');
    sink.stereo(MULAW_8K, new Uint8Array(2));
    sink.describe(callFile({ proves: 'late' }));
    expect(sink.finish({ t: 900, complete: false })).toBe(end);
    await end;
    await sink.finish({ t: 901, complete: false });
    const read = await readCall(join(parent, NAME));
    expect(read.lines).toEqual(lines);
    expect(read.call).toMatchObject({ proves: '', end: COMPLETE });
    expect(readdirSync(join(parent, NAME))).toHaveLength(4);
    expect(over).toHaveLength(1);
  });

  it('makes no file of a name that leads elsewhere, nor of too many names', async () => {
    const { sink, parent } = rig();
    for (const name of [
      '../x',
      '/etc/x',
      'a/b',
      '..',
      'call',
      'A',
      'a\0',
      `a${'b'.repeat(40)}`,
      'owner.json',
    ]) {
      expect(sink.audio(name, MULAW_8K, new Uint8Array(160))).toBeUndefined();
    }
    for (let n = 2; n < 200; n += 1) sink.audio(`provider-${n}`, MULAW_8K, new Uint8Array(1));
    await sink.finish(COMPLETE);
    expect(readdirSync(parent)).toEqual([NAME]);
    expect(readdirSync(join(parent, NAME)).filter((name) => name.endsWith('.wav'))).toHaveLength(100);
  });

  it('writes into no folder and over no recording that is there, be it a link', async () => {
    const elsewhere = tempFolder();
    const first = rig(
      spoiledFiles(() => undefined),
      { refused: async () => undefined },
    );
    symlinkSync(elsewhere, join(first.parent, `${NAME}.partial`));
    recordSample(first.sink);
    await first.sink.finish(COMPLETE);
    expect(first.over).toEqual([['disk-error', false]]);
    expect(readdirSync(elsewhere)).toEqual([]);

    const second = rig();
    mkdirSync(join(second.parent, NAME));
    recordSample(second.sink);
    await second.sink.finish(COMPLETE);
    expect(second.over).toEqual([['disk-error', false]]);
    expect(readdirSync(join(second.parent, NAME))).toEqual([]);
    expect(readdirSync(second.parent)).toEqual([NAME, `${NAME}.partial`]);
  });

  it('writes through no link in its folder', async () => {
    const { sink, parent, over, clock, begun } = rig();
    await begun();
    const victim = join(tempFolder(), 'victim');
    writeFileSync(victim, 'mine');
    symlinkSync(victim, join(parent, `${NAME}.partial`, 'caller.wav'));
    recordSample(sink);
    clock.advance(FLUSH_MS);
    await sink.finish(COMPLETE);
    expect(over).toEqual([['disk-error', true]]);
    expect(readFileSync(victim, 'utf8')).toBe('mine');
  });
});

describe('a disk that gives trouble', () => {
  it('that is full ends the recording with what is whole, says so once, and does nothing to the call', async () => {
    let room = 3;
    const { sink, parent, over, logged, clock, wrote } = rig(
      spoiledFiles((operation, path) => {
        if (operation !== 'write' || !path.endsWith('provider.wav')) return;
        room -= 1;
        if (room === -1) throw systemError('ENOSPC');
      }),
    );
    const { lines } = recordSample(sink);
    const onDisk = wrote(1);
    clock.advance(FLUSH_MS);
    await onDisk;
    for (let n = 0; n < 5; n += 1) {
      const payload = sink.audio('provider', PCM16_24K, noiseBytes('more', 9_001));
      sink.line({ t: 500 + n, on: 'provider', dir: 'in', conn: 1, msg: { payload } });
      clock.advance(FLUSH_MS);
      // The first write goes well and the next one does not.
      if (n === 0) await wrote(9_001);
    }
    await sink.finish(COMPLETE);
    expect(over).toEqual([['disk-full', true]]);
    const read = await readCall(join(parent, NAME));
    expect(read.call.end).toEqual({ t: 500, complete: false, why: 'disk-full' });
    expect(read.lines).toHaveLength(lines.length + 1);
    expect(read.wavs.get('provider')?.bytes.length).toBe(4810 + 9_001 + 1);
    expect(read.damage).toEqual([]);
    expect(logged).toHaveLength(1);
    expect(logged[0]).toContain('a recording has ended before its call, which goes on');
    expect(logged[0]).toContain('disk-full');
  });

  it('that has taken half of a write gives it back', async () => {
    let fails = false;
    const files = spoiledFiles(() => undefined);
    const torn: RecordingFiles = {
      ...files,
      create: async (path) => {
        const file = await files.create(path);
        return {
          ...file,
          write: async (bytes, position) => {
            if (!fails || !path.endsWith('events.jsonl')) return file.write(bytes, position);
            await file.write(bytes.subarray(0, bytes.length / 2), position);
            throw systemError('EDQUOT');
          },
        };
      },
    };
    const { sink, parent, over, clock, wrote } = rig(torn);
    const { lines } = recordSample(sink);
    const onDisk = wrote(1);
    clock.advance(FLUSH_MS);
    await onDisk;
    fails = true;
    sink.line({ ...AUDIO_LINE, t: 500, msg: { text: 'x'.repeat(1000) } });
    await sink.finish(COMPLETE);
    expect(over).toEqual([['disk-full', true]]);
    expect(readFileSync(join(parent, NAME, 'events.jsonl'), 'utf8').endsWith('}\n')).toBe(true);
    const read = await readCall(join(parent, NAME));
    expect([read.lines, read.damage]).toEqual([lines, []]);
  });

  it.each([
    'makeFolder',
    'create',
    'rename',
    'remove',
    'touch',
    'exists',
    'truncate',
    'sync',
    'close',
    'write',
  ] as const)('by %s never throws, and is told once', async (spoilt) => {
    let count = 0;
    // From the first time on, and from the third on.
    for (const first of [1, 3]) {
      count = 0;
      const { sink, over, logged, limit, parent } = rig(
        spoiledFiles((operation) => {
          if (operation === spoilt) count += 1;
          if (operation === spoilt && count >= first) throw systemError('EIO');
        }),
      );
      recordSample(sink);
      await sink.finish(COMPLETE);
      if (count < first) continue;
      expect(over).toEqual([['disk-error', over[0]?.[1]]]);
      expect(logged).toHaveLength(1);
      expect(limit.waiting).toBe(0);
      // What has its name can be read.
      if (over[0]?.[1] === true) await readCall(join(parent, NAME));
      else expect(readdirSync(parent)).not.toContain(NAME);
    }
  });

  it('that is too slow ends the recording when four megabytes of the call wait, and the call does not wait', async () => {
    const piece = new Uint8Array(100_000);
    let isHeld = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      isHeld = resolve;
    });
    const { files, release } = heldFiles((operation, path) => {
      const isHere = operation === 'write' && path.endsWith('.wav');
      if (isHere) isHeld();
      return isHere;
    });
    const { sink, over, limit, parent, ended } = rig(files);
    for (let n = 0; n < 10; n += 1) sink.audio('provider', PCM16_24K, piece);
    // What is being written counts as well as what is not.
    await held;
    let taken = 10 * piece.length;
    while (sink.audio('provider', PCM16_24K, piece) !== undefined) taken += piece.length;
    expect(taken).toBeGreaterThan(MOST_WAITING_BYTES - 2 * piece.length);
    expect(taken).toBeLessThanOrEqual(MOST_WAITING_BYTES);
    sink.line(AUDIO_LINE);
    expect(limit.waiting).toBe(10 * piece.length);
    release();
    await ended();
    expect(over).toEqual([['disk-too-slow', true]]);
    expect(limit.waiting).toBe(0);
    const { call, wavs } = await readCall(join(parent, NAME));
    expect(call.end).toEqual({ t: 0, complete: false, why: 'disk-too-slow' });
    expect(wavs.get('provider')?.bytes.length).toBe(10 * piece.length);
  });

  it('counts lines and audio together, and all calls together', async () => {
    const { files, release } = heldFiles((operation) => operation === 'makeFolder');
    const { sink, over, limit, ended } = rig(files);
    const line: Line = { ...AUDIO_LINE, msg: { text: 'é'.repeat(500_000) } };
    for (let n = 0; n < 3; n += 1) sink.line(line);
    expect(sink.audio('caller', MULAW_8K, new Uint8Array(900_000))).toBeDefined();
    sink.line(line);
    expect(sink.audio('caller', MULAW_8K, new Uint8Array(1))).toBeUndefined();
    release();
    await ended();
    expect(over).toEqual([['disk-too-slow', true]]);
    expect(limit.waiting).toBe(0);

    const other = rig(systemFiles, { limit: { waiting: 990, most: 1000 } });
    expect(other.sink.audio('caller', MULAW_8K, new Uint8Array(11))).toBeUndefined();
    await other.ended();
    expect(other.over).toEqual([['disk-too-slow', true]]);
  });

  it('that hangs lets whoever ends the call go on after five seconds', async () => {
    const { files, release } = heldFiles((operation) => operation === 'sync');
    const { sink, clock, over, ended, parent } = rig(files);
    recordSample(sink);
    const end = sink.finish(COMPLETE);
    clock.advance(5_000);
    await end;
    expect(over).toEqual([]);
    release();
    await ended();
    expect(over).toEqual([[undefined, true]]);
    expect(readdirSync(parent)).toEqual([NAME]);
  });

  it('that is refused beforehand is not written to', async () => {
    const { sink, parent, over, ended } = rig(systemFiles, { refused: async () => 'disk-full' });
    recordSample(sink);
    await ended();
    expect(over).toEqual([['disk-full', false]]);
    expect(readdirSync(parent)).toEqual([]);
    expect(sink.audio('caller', MULAW_8K, new Uint8Array(160))).toBeUndefined();
    await sink.finish(COMPLETE);
  });
});

describe('files in turns', () => {
  it('have only so many operations under way at once, in the order in which they came', async () => {
    const order: string[] = [];
    const releases: (() => void)[] = [];
    const files = inTurns(
      spoiledFiles(async (_operation, path) => {
        order.push(path.slice(-1));
        await new Promise<void>((resolve) => releases.push(resolve));
      }),
      turns(2),
    );
    const folder = tempFolder();
    const work = ['a', 'b', 'c', 'd'].map((name) => files.exists(join(folder, name)));
    await Promise.resolve();
    expect(order).toEqual(['a', 'b']);
    releases[1]?.();
    await work[1];
    expect(order).toEqual(['a', 'b', 'c']);
    releases[2]?.();
    await work[2];
    releases[0]?.();
    releases[3]?.();
    expect(await Promise.all(work)).toEqual([false, false, false, false]);
    expect(order).toEqual(['a', 'b', 'c', 'd']);
  });

  it('let the next one go when one fails', async () => {
    const files = inTurns(
      spoiledFiles(() => {
        throw systemError('EIO');
      }),
      turns(1),
    );
    const work = [files.exists('/a'), files.freeBytes('/b'), files.makeFolder('/c')];
    expect((await Promise.allSettled(work)).map(({ status }) => status)).toEqual(Array(3).fill('rejected'));
  });
});

describe('a recording that is stopped', () => {
  it('has everything until then', async () => {
    const { sink, parent, over } = rig();
    const { lines } = recordSample(sink);
    await sink.stop('disk-full');
    await sink.finish(COMPLETE);
    expect(over).toEqual([['disk-full', true]]);
    const read = await readCall(join(parent, NAME));
    expect(read.lines).toEqual(lines);
    expect(read.call.end).toEqual({ t: lines.at(-1)?.t, complete: false, why: 'disk-full' });
  });

  it('is so by what is no JSON', async () => {
    const { sink, parent, over } = rig();
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    sink.line({ ...AUDIO_LINE, msg: circle });
    await sink.finish(COMPLETE);
    expect(over).toEqual([['unwritable', true]]);
    expect((await readCall(join(parent, NAME))).lines).toEqual([]);
  });
});
