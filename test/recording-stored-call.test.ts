import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { encodeWav, wavHeader } from '../src/audio/wav.ts';
import { audioRefsOf, isAudioRef } from '../src/recording/audio-refs.ts';
import { CALL_FIELDS, parseCallFile } from '../src/recording/call-shape.ts';
import { STOP_REASONS } from '../src/recording/disk-sink.ts';
import { type CallFile, EDGES } from '../src/recording/format.ts';
import { lineMistakes, parseLine } from '../src/recording/line-shape.ts';
import { MemorySink } from '../src/recording/memory-sink.ts';
import { audioOf, readCall, type StoredCall, writeCall } from '../src/recording/stored-call.ts';
import { callFile, noiseBytes, recordSample, tempFolder } from './support/stored-sample.ts';

async function sampleCall(changes: Partial<CallFile> = {}, frames = 10): Promise<StoredCall> {
  const sink = new MemorySink(callFile(changes));
  recordSample(sink, frames);
  await sink.finish({ t: 250, complete: true });
  return sink.stored();
}

async function sampleFolder(changes: Partial<CallFile> = {}, frames = 10): Promise<string> {
  const folder = join(tempFolder(), 'sample');
  await writeCall(folder, await sampleCall(changes, frames));
  return folder;
}

function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).sort();
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name)).toString('base64')]));
}

/** call.json with these changes, whatever they are. */
function changeCall(folder: string, changes: Readonly<Record<string, unknown>>): void {
  const path = join(folder, 'call.json');
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...changes }));
}

function addLine(folder: string, line: unknown): void {
  appendFileSync(join(folder, 'events.jsonl'), `${JSON.stringify(line)}\n`);
}

describe('a call on disk', () => {
  it('is read as it was written', async () => {
    const stored = await sampleCall();
    const folder = join(tempFolder(), 'a', 'b');
    await writeCall(folder, stored);
    const read = await readCall(folder);
    expect(read.damage).toEqual([]);
    expect(read.folder).toBe(folder);
    expect(read.call).toEqual(JSON.parse(JSON.stringify(stored.call)));
    expect(read.lines).toEqual(stored.lines);
    expect([...read.wavs.keys()]).toEqual(['caller', 'provider']);
    for (const [name, wav] of stored.wavs) {
      expect(read.wavs.get(name)?.format).toEqual(wav.format);
      expect(Buffer.compare(read.wavs.get(name)?.bytes ?? new Uint8Array(), wav.bytes)).toBe(0);
    }
  });

  it('holds the audio of every message byte by byte, also where messages end within a sample', async () => {
    const sink = new MemorySink(callFile());
    const { caller, provider } = recordSample(sink, 7);
    const folder = join(tempFolder(), 'sample');
    await writeCall(folder, sink.stored());
    const read = await readCall(folder);
    const audio = (wav: string): Buffer =>
      Buffer.concat(
        read.lines
          .flatMap((line) => audioRefsOf(line).filter((ref) => ref.wav === wav))
          .map((ref) => audioOf(read, ref)),
      );
    expect(audio('caller').equals(caller)).toBe(true);
    expect(audio('provider').equals(provider)).toBe(true);
    expect(provider.length % 2).toBe(1);
  });

  it('has the same bytes each time, in whatever order its fields were put together', async () => {
    const stored = await sampleCall();
    const reversed = (value: object): object => Object.fromEntries(Object.entries(value).reverse());
    const other = {
      ...stored,
      call: reversed(stored.call) as CallFile,
      lines: stored.lines.map((line) => reversed(line) as typeof line),
    };
    const [one, two] = [join(tempFolder(), 'x'), join(tempFolder(), 'x')];
    await writeCall(one, stored);
    await writeCall(two, other);
    const again = join(tempFolder(), 'x');
    await writeCall(again, await readCall(one));
    expect(filesOf(two)).toEqual(filesOf(one));
    expect(filesOf(again)).toEqual(filesOf(one));
  });

  it('is written over another one without its WAVs, and leaves what is not of it', async () => {
    const folder = await sampleFolder();
    writeFileSync(join(folder, 'caller-2.wav'), encodeWav({ ...MULAW_8K, channels: 1 }, new Uint8Array(3)));
    writeFileSync(join(folder, 'call.wav'), 'stereo');
    writeFileSync(join(folder, 'notes.md'), 'a note');
    await writeCall(folder, await sampleCall());
    expect(readdirSync(folder).sort()).toEqual([
      'call.json',
      'call.wav',
      'caller.wav',
      'events.jsonl',
      'notes.md',
      'provider.wav',
    ]);
  });

  it('is for its owner alone, unless the folder is for everybody', async () => {
    const folder = await sampleFolder();
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    const open = join(tempFolder(), 'fixture');
    mkdirSync(open, { mode: 0o755 });
    await writeCall(open, await sampleCall());
    for (const name of readdirSync(open)) expect(statSync(join(open, name)).mode & 0o077).toBe(0o044);
  });

  it('is not written with a WAV whose name leads elsewhere', async () => {
    const stored = await sampleCall();
    const base = tempFolder();
    for (const name of ['../out', '/tmp/out', 'a/b', 'call', '', '.hidden', 'x\0y', 'Agent', 'agent-0']) {
      const wavs = new Map([[name, { format: MULAW_8K, bytes: new Uint8Array(1) }]]);
      await expect(writeCall(join(base, 'f'), { ...stored, wavs })).rejects.toThrow('BAD_RECORDING');
    }
    expect(readdirSync(base)).toEqual(['f']);
    expect(readdirSync(join(base, 'f'))).toEqual([]);
  });
});

describe('a recording that was cut off', () => {
  const cutOff = async (frames = 10): Promise<string> => {
    const folder = await sampleFolder({}, frames);
    changeCall(folder, { end: undefined });
    return folder;
  };

  it('opens without an end, and says so', async () => {
    const { lines, damage, call } = await readCall(await cutOff());
    expect(call.end).toBeUndefined();
    expect(lines).toHaveLength(30);
    expect(damage).toEqual(['call.json: there is no end, its process died or is still recording']);
  });

  it('opens before it had a line', async () => {
    const folder = await cutOff();
    for (const name of ['events.jsonl', 'caller.wav', 'provider.wav']) rmSync(join(folder, name));
    writeFileSync(join(folder, 'caller.wav'), '');
    writeFileSync(join(folder, 'agent.wav'), 'RIFF');
    const { lines, wavs, damage } = await readCall(folder);
    expect([lines.length, wavs.size]).toEqual([0, 0]);
    expect(damage).toContain('agent.wav: it has no header, left out');
  });

  it('opens with events.jsonl torn at any place, with all lines that are whole', async () => {
    const folder = await cutOff(2);
    const path = join(folder, 'events.jsonl');
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      const { lines, damage } = await readCall(folder);
      const complete = whole.subarray(0, length).toString().split('\n').length - 1;
      const isWhole = whole[length] === 0x0a;
      expect(lines.length).toBe(complete + (isWhole ? 1 : 0));
      const isTorn = length > 0 && !isWhole && whole[length - 1] !== 0x0a;
      expect(damage.some((note) => note.includes('torn'))).toBe(isTorn);
    }
  });

  it.each(['caller', 'provider'])('opens with %s.wav torn at any place, or says why not', async (name) => {
    const folder = await cutOff();
    const path = join(folder, `${name}.wav`);
    const whole = readFileSync(path);
    const header = wavHeader(
      { encoding: name === 'caller' ? 'mulaw' : 'pcm16', rate: 8000, channels: 1 },
      0,
    ).length;
    for (let length = 0; length < whole.length; length += length < 80 ? 1 : 37) {
      writeFileSync(path, whole.subarray(0, length));
      if (length < header) {
        await expect(readCall(folder)).rejects.toThrow(/^BAD_RECORDING: .*(?:caller|provider)\.wav/);
        continue;
      }
      const { wavs, damage } = await readCall(folder);
      expect(wavs.get(name)?.bytes.length).toBeGreaterThanOrEqual(name === 'caller' ? 1600 : 4810);
      expect(damage.some((note) => note.startsWith(`${name}.wav: `))).toBe(true);
    }
  });

  it('opens with call.json torn at no place, and says why', async () => {
    const folder = await cutOff();
    const path = join(folder, 'call.json');
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length - 1; length += 1) {
      writeFileSync(path, whole.subarray(0, length));
      await expect(readCall(folder)).rejects.toThrow('BAD_RECORDING: call.json: found');
    }
  });

  it.each([
    ['0', 0, []],
    ['the largest number', 0xffff_ffff, []],
    ['what was there a while ago', 800, ['caller.wav: its header is behind: 800 bytes follow']],
  ])('opens with a WAV whose header says %s', async (_what, size, told) => {
    const folder = await cutOff();
    const audio = noiseBytes('caller', 1600);
    const bytes = Buffer.concat([wavHeader({ ...MULAW_8K, channels: 1 }, size), audio]);
    writeFileSync(join(folder, 'caller.wav'), bytes);
    const { wavs, damage } = await readCall(folder);
    expect(Buffer.from(wavs.get('caller')?.bytes ?? []).equals(audio)).toBe(true);
    expect(damage.slice(1)).toEqual(told);
    // Where there is an end, the header should have one too.
    changeCall(folder, { end: { t: 1, complete: true } });
    expect((await readCall(folder)).damage.join()).toContain('caller.wav: its header ');
  });

  it('is given silence where audio is lost, but not without end', async () => {
    const folder = await cutOff();
    const path = join(folder, 'caller.wav');
    writeFileSync(path, readFileSync(path).subarray(0, 58 + 800));
    const { wavs, damage } = await readCall(folder);
    expect(wavs.get('caller')?.bytes.length).toBe(1600);
    expect(damage).toContain('caller.wav: 800 samples at its end are lost');
    const far = { wav: 'caller', at: 1e12, n: 160 };
    addLine(folder, { t: 900, on: 'carrier', dir: 'in', conn: 1, msg: far });
    await expect(readCall(folder)).rejects.toThrow('events.jsonl line 31: caller.wav: found 800 samples');
  });

  it('is not put right where the recording says that it is whole', async () => {
    const folder = await sampleFolder();
    const path = join(folder, 'caller.wav');
    writeFileSync(path, readFileSync(path).subarray(0, 58 + 800));
    await expect(readCall(folder)).rejects.toThrow(
      'BAD_RECORDING: events.jsonl line 21: caller.wav: found 800 samples, wanted samples 800 to 960',
    );
  });
});

describe('a mistake in a call on disk', () => {
  const GOOD = { t: 300, on: 'carrier', dir: 'in', conn: 1, msg: {} };

  it.each([
    ['not JSON', 'events.jsonl line 31: found 5 characters that are not JSON'],
    [[], 'events.jsonl line 31: found a list, wanted an object'],
    [{ ...GOOD, t: undefined }, 't: found nothing, wanted ms, 0 or more'],
    [{ ...GOOD, t: '300' }, 't: found a text of 3 characters, wanted ms'],
    [{ ...GOOD, t: -1 }, 't: found -1, wanted ms, 0 or more'],
    [{ ...GOOD, t: 3 }, 'line 31: t: found 3, wanted 190.125 or more as in the line before'],
    [{ ...GOOD, on: 'carrot' }, 'on: found "carrot", wanted one of webhook, carrier, provider, tool, rest, '],
    [{ ...GOOD, on: 'toString' }, 'on: found "toString", wanted one of'],
    [{ ...GOOD, on: ['carrier'] }, 'on: found a list, wanted one of'],
    [{ ...GOOD, dir: 'up' }, 'dir: found "up", wanted one of in, out'],
    [{ ...GOOD, conn: 0 }, 'conn: found 0, wanted a whole number, 1 or more'],
    [{ ...GOOD, msg: undefined }, 'msg: found nothing, wanted a value'],
    [{ ...GOOD, more: 1 }, 'found the field more, wanted only t, on, dir, conn, msg'],
    [{ ...GOOD, ctl: { type: 'open' } }, 'found the field msg, wanted only t, on, dir, conn, ctl'],
    [{ ...GOOD, msg: undefined, ctl: { type: 'opened' } }, 'ctl.type: found "opened", wanted one of upgrade'],
    [
      { ...GOOD, msg: undefined, ctl: { type: 'close', code: 1.5 } },
      'ctl.code: found 1.5, wanted a whole number',
    ],
    [
      { ...GOOD, msg: undefined, ctl: { type: 'constructor' } },
      'ctl.type: found "constructor", wanted one of',
    ],
    [{ ...GOOD, on: 'clock', conn: undefined, msg: {} }, 'msg.due: found nothing, wanted ms'],
    [
      { ...GOOD, on: 'call', dir: 'out', conn: undefined, msg: { type: 'x', atMs: 1 } },
      'msg.type: found "x", wanted one of started',
    ],
    [
      { ...GOOD, on: 'tool', conn: undefined, msg: { id: 1 } },
      'msg: found none of its fields, wanted an object with one of does, threw, done',
    ],
    [
      { ...GOOD, on: 'rest', conn: undefined, msg: { id: 1, status: 'ok', body: '' } },
      'msg.status: found "ok", wanted a whole number',
    ],
    [
      { ...GOOD, on: 'webhook', conn: undefined, msg: { id: 1, form: { From: 1 } } },
      'msg.form.…: found 1, wanted a text or a list of texts',
    ],
    [
      { ...GOOD, msg: { wav: 'caller', at: 0, n: 1601 } },
      'caller.wav: found 1600 samples, wanted samples 0 to 1601',
    ],
    [
      { ...GOOD, msg: { a: [{ wav: 'other', at: 0, n: 1 }] } },
      'found audio in other.wav, wanted a file that is there',
    ],
    [{ ...GOOD, msg: { wav: '../caller', at: 0, n: 1 } }, 'found audio in a WAV of another name'],
    [
      { ...GOOD, msg: { wav: 'caller', at: -1, n: 1 } },
      'caller.wav: found samples -1 to 0, wanted whole bytes from 0 on',
    ],
    [{ ...GOOD, msg: { wav: 'caller', at: 0.5, n: 1 } }, 'wanted whole bytes from 0 on'],
    [{ ...GOOD, msg: { wav: 'provider', at: 0.25, n: 1 } }, 'wanted whole bytes from 0 on'],
  ])('is named with its line: %j', async (line, message) => {
    const folder = await sampleFolder();
    if (line === 'not JSON') appendFileSync(join(folder, 'events.jsonl'), '{nope\n');
    else addLine(folder, line);
    await expect(readCall(folder)).rejects.toThrow(message);
    await expect(readCall(folder)).rejects.toMatchObject({ code: 'BAD_RECORDING' });
    await expect(readCall(folder)).rejects.toThrow(/BAD_RECORDING: events\.jsonl line 31: /);
  });

  it.each([
    [{ format: 2 }, 'call.json: format: found 2, wanted one of 1'],
    [{ format: undefined }, 'format: found nothing'],
    [{ carrier: 'acme' }, 'carrier: found "acme", wanted one of twilio, telnyx, plivo'],
    [{ seed: '' }, 'seed: found a text of 0 characters, wanted a text that is not empty'],
    [{ settings: { LOG_LEVEL: 3 } }, 'settings.…: found 3, wanted a text'],
    [{ leadMs: '1' }, 'leadMs: found a text of 1 characters, wanted ms'],
    [{ origin: { how: 'dreamt' } }, 'origin.how: found "dreamt"'],
    [{ end: { t: 1 } }, 'end.complete: found nothing, wanted true or false'],
    [{ wishes: 1 }, 'found the field wishes, wanted only format, proves'],
    [{ agent: { name: 'x' } }, 'agent.instructions: found nothing, wanted a text; agent.bargeIn'],
    [
      { providers: [{ name: 'a', level: 'deep' }] },
      'providers[0].level: found "deep", wanted one of wire, session',
    ],
  ])('of call.json is named: %j', async (changes, message) => {
    const folder = await sampleFolder();
    changeCall(folder, changes);
    await expect(readCall(folder)).rejects.toThrow(message);
  });

  it('is that a file is missing, is no WAV, or of no format that calls have', async () => {
    const missing = async (name: string): Promise<string> => {
      const folder = await sampleFolder();
      rmSync(join(folder, name));
      return folder;
    };
    await expect(readCall(join(tempFolder(), 'none'))).rejects.toThrow(
      'call.json: found nothing, wanted a file',
    );
    await expect(readCall(await missing('call.json'))).rejects.toThrow(
      'BAD_RECORDING: call.json: found nothing',
    );
    await expect(readCall(await missing('events.jsonl'))).rejects.toThrow('events.jsonl: found nothing');
    await expect(readCall(await missing('caller.wav'))).rejects.toThrow('line 11: found audio in caller.wav');
    const folder = await sampleFolder();
    writeFileSync(join(folder, 'agent.wav'), 'hello');
    await expect(readCall(folder)).rejects.toThrow('BAD_RECORDING: agent.wav: ');
    writeFileSync(join(folder, 'agent.wav'), encodeWav({ ...MULAW_8K, channels: 2 }, new Uint8Array(4)));
    await expect(readCall(folder)).rejects.toThrow(
      'agent.wav: found 2 channels at 8000 Hz, wanted one channel',
    );
    writeFileSync(
      join(folder, 'agent.wav'),
      encodeWav({ encoding: 'pcm16', rate: 44_100, channels: 1 }, new Uint8Array(4)),
    );
    await expect(readCall(folder)).rejects.toThrow('found 1 channels at 44100 Hz');
  });

  it('is told without what people have said, and without their numbers', () => {
    const secret = '+15550100123';
    const lines = [
      { t: secret, on: secret, dir: secret },
      { t: 1, on: 'webhook', dir: 'in', msg: { [secret]: secret, form: { [secret]: 1 }, method: [secret] } },
      { t: 1, on: 'carrier', dir: secret, conn: secret, ctl: { type: secret } },
      { t: 15_550_100_123, on: 'call', dir: 'out', msg: { type: secret, atMs: -15_550_100_123 } },
      secret,
    ];
    for (const line of lines) {
      expect(lineMistakes(line).length).toBeGreaterThan(0);
      expect(() => parseLine(JSON.stringify(line))).toThrow('BAD_RECORDING');
      expect(JSON.stringify(lineMistakes(line))).not.toContain('5550100123');
    }
    expect(() => parseLine(`{"x":"${secret}`)).toThrow(
      /^BAD_RECORDING: a line of events.jsonl: found 18 characters/,
    );
    expect(() => parseCallFile(secret)).toThrow(
      'BAD_RECORDING: call.json: found 12 characters that are not JSON',
    );
    expect(() => parseCallFile(`"${secret}"`)).toThrow(
      'call.json: found a text of 12 characters, wanted an object',
    );
  });
});

describe('a recording in memory', () => {
  it('takes audio of one format under one name, and none under a name that is none', () => {
    const sink = new MemorySink(callFile());
    const two = new Uint8Array([1, 2]);
    expect(sink.audio('agent', MULAW_8K, two)).toEqual({ wav: 'agent', at: 0, n: 2 });
    expect(sink.audio('agent', PCM16_24K, two)).toBeUndefined();
    expect(sink.audio('agent', { ...MULAW_8K }, two)).toEqual({ wav: 'agent', at: 2, n: 2 });
    expect(sink.audio('agent-2', PCM16_24K, two.subarray(1))).toEqual({ wav: 'agent-2', at: 0, n: 0.5 });
    for (const name of ['../agent', 'call', '', 'agent-', 'agent.wav']) {
      expect(sink.audio(name, MULAW_8K, two)).toBeUndefined();
    }
  });

  it('keeps lines as they were when they were told, and takes nothing after its end', async () => {
    const sink = new MemorySink(callFile());
    const msg = { event: 'mark', names: ['a'] };
    sink.line({ t: 1, on: 'carrier', dir: 'out', conn: 1, msg });
    msg.names.push('b');
    await sink.finish({ t: 2, complete: true });
    await sink.finish({ t: 3, complete: false });
    sink.line({ t: 4, on: 'carrier', dir: 'out', conn: 1, msg });
    sink.describe(callFile({ proves: 'late' }));
    expect(sink.audio('caller', MULAW_8K, new Uint8Array(1))).toBeUndefined();
    const { lines, call } = sink.stored();
    expect(lines).toEqual([
      { t: 1, on: 'carrier', dir: 'out', conn: 1, msg: { event: 'mark', names: ['a'] } },
    ]);
    expect(call).toMatchObject({ proves: '', end: { t: 2, complete: true } });
  });

  it('has what people listen to and read beside it', () => {
    const sink = new MemorySink();
    sink.transcript('one\n');
    sink.transcript('two\n');
    sink.stereo(MULAW_8K, new Uint8Array([1, 2, 3]));
    expect(sink.transcriptText).toBe('one\ntwo\n');
    expect(sink.stereoAudio?.bytes).toEqual(new Uint8Array([1, 2, 3, 0]));
    expect(() => sink.stored()).toThrow('INTERNAL');
  });
});

describe('a reference to audio', () => {
  it('has exactly its three fields', () => {
    expect(isAudioRef({ wav: 'a', at: 0, n: 1 })).toBe(true);
    for (const other of [
      { wav: 'a', at: 0 },
      { wav: 'a', at: 0, n: 1, x: 1 },
      { wav: 1, at: 0, n: 1 },
      [],
      null,
      'a',
    ]) {
      expect(isAudioRef(other)).toBe(false);
    }
  });
});

describe('files of a folder that is a call', () => {
  it('may be copied as they are', async () => {
    const folder = await sampleFolder();
    const copy = join(tempFolder(), 'copy');
    cpSync(folder, copy, { recursive: true });
    expect((await readCall(copy)).lines).toEqual((await readCall(folder)).lines);
  });
});

describe('docs/recordings.md', () => {
  const page = readFileSync(new URL('../docs/recordings.md', import.meta.url), 'utf8');
  const section = (from: string, to: string): string => page.slice(page.indexOf(from), page.indexOf(to));
  const rowsOf = (text: string): string[] =>
    [...text.replace(/^.*\n\|---.*$/gm, '').matchAll(/^\| (`[^|]*`) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
    );

  it('shows lines that can be read', () => {
    const lines = /```jsonl\n([\s\S]*?)```/.exec(page)?.[1]?.trim().split('\n') ?? [];
    expect(lines.length).toBeGreaterThan(10);
    const times = lines.map((line) => parseLine(line).t);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it('names every edge, every field of call.json, and every reason for which a recording ends', () => {
    expect(rowsOf(section('### events.jsonl', '### call.json')).sort()).toEqual([...EDGES].sort());
    expect(rowsOf(section('### call.json', '## How it is written')).sort()).toEqual([...CALL_FIELDS].sort());
    const reasons = rowsOf(section('## How it is written', '## How long it is kept'));
    expect(reasons.sort()).toEqual([...STOP_REASONS, 'process-died'].sort());
  });
});

describe('a call from somebody who means harm', () => {
  it.each(['call.json', 'events.jsonl', 'caller.wav', 'caller-9.wav'])(
    'keeps nobody waiting with a pipe or an endless file as %s',
    async (name) => {
      for (const make of [
        (path: string) => execFileSync('mkfifo', [path]),
        (path: string) => symlinkSync('/dev/zero', path),
        (path: string) => mkdirSync(path),
      ]) {
        const folder = await sampleFolder();
        const path = join(folder, name);
        rmSync(path, { force: true });
        make(path);
        await expect(readCall(folder)).rejects.toThrow(
          `${name}: found something else than a file, wanted a file in the folder of a recording`,
        );
      }
    },
  );

  it('is refused when something is nested too deep to be looked at', async () => {
    const folder = await sampleFolder();
    const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`;
    appendFileSync(
      join(folder, 'events.jsonl'),
      `{"t":250,"on":"provider","dir":"in","conn":1,"msg":${deep}}\n`,
    );
    await expect(readCall(folder)).rejects.toThrow(
      /events\.jsonl line \d+: found JSON that is nested deeper/,
    );
  });

  it('is refused when it would never end', async () => {
    const folder = await sampleFolder();
    addLine(folder, { t: 1e9, on: 'clock', dir: 'in', msg: { due: 1e9 } });
    await expect(readCall(folder)).rejects.toThrow(/line \d+: t: found more than two days/);
  });
});
