import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeG711 } from '../src/audio/g711.ts';
import { readWav } from '../src/audio/wav.ts';
import type { Terminal } from '../src/commands/command.ts';
import { replay } from '../src/commands/replay.ts';
import { readCall, writeCall } from '../src/recording/stored-call.ts';
import { readStory } from '../src/recording/story.ts';
import { recordSpokenCall, WORDS } from './support/spoken-call.ts';

/** Every test has a copy of one recorded call. */
let home: string;

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'patchcord-replay-'));
  await writeCall(join(home, 'original'), await recordSpokenCall());
}, 60_000);

afterAll(() => rmSync(home, { recursive: true, force: true }));

let copies = 0;

/** A folder with calls of these names in it, each the recorded one, after `change` of its lines. */
function calls(names: readonly string[], change: (lines: string) => string = (lines) => lines): string {
  copies += 1;
  const folder = join(home, `copy-${copies}`);
  for (const name of names) {
    const call = join(folder, name);
    cpSync(join(home, 'original'), call, { recursive: true });
    const file = join(call, 'events.jsonl');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  }
  return folder;
}

/** What `patchcord replay` says, and its exit status; `interruptAt`: SIGINT comes when that has been written. */
async function run(argv: readonly string[], interruptAt?: string) {
  const written = { out: '', err: '' };
  let interrupt: (() => void) | undefined;
  const terminal: Terminal = {
    env: { PATH: process.env['PATH'] },
    isTty: false,
    out: (text) => {
      written.out += text;
      if (interruptAt !== undefined && written.out.includes(interruptAt)) interrupt?.();
    },
    err: (text) => {
      written.err += text;
    },
    onStray: () => undefined,
    onInterrupt: (listener) => {
      interrupt = listener;
      return () => {
        interrupt = undefined;
      };
    },
  };
  const status = await replay.run(argv, terminal);
  return { status, ...written };
}

/** The model was told of another function result than the recording says. */
const otherResult = (lines: string): string =>
  lines.replace('"returned":{"open":"9-17"}', '"returned":{"open":"never"}');

describe('patchcord replay', () => {
  it('says that a recorded call goes the same way once more', async () => {
    const folder = calls(['one']);
    const { status, out } = await run([join(folder, 'one')]);
    expect(out).toMatch(/^same {7}\S+one {2}\d\.\d s in \d+\.\d\d s, \d+ times real time\n$/);
    expect(status).toBe(0);
  });

  it('finds the calls below a folder, and says what is different in them, and when', async () => {
    const folder = calls(['b', 'a'], otherResult);
    const { status, out } = await run([folder]);
    expect(status).toBe(1);
    expect(out.indexOf(join(folder, 'a'))).toBeLessThan(out.indexOf(join(folder, 'b')));
    expect(out).toMatch(/\d\.\d{3} s {2}to openai: conversation\.item\.create/);
    expect(out).toContain('never');
    expect(out).toMatch(/0 the same, 2 different\n$/);
  });

  it('shows only what is different when it is to be quiet', async () => {
    const { status, out } = await run([join(calls(['one']), 'one'), '--quiet']);
    expect({ status, out }).toEqual({ status: 0, out: '' });
  });

  it('accepts what is different, and then it is the same', async () => {
    const folder = calls(['one'], otherResult);
    const updated = await run([folder, '--update']);
    expect(updated.out).toMatch(/^accepted {3}/);
    expect(updated.out).toContain('never');
    expect(updated.status).toBe(0);
    const again = await run([folder]);
    expect(again.out).toMatch(/^same/);
    expect(readFileSync(join(folder, 'one', 'events.jsonl'), 'utf8')).toContain('never');
  });

  it('makes what is read and listened to anew when it accepts, where there is some', async () => {
    const folder = join(calls(['one'], otherResult), 'one');
    for (const name of ['transcript.txt', 'call.wav']) {
      writeFileSync(join(folder, name), 'that of another call', { mode: 0o600 });
    }
    expect((await run([folder, '--update'])).status).toBe(0);
    expect(readFileSync(join(folder, 'transcript.txt'), 'utf8')).toContain(`agent   ${WORDS.greeting}`);
    const { channels, data } = readWav(readFileSync(join(folder, 'call.wav')));
    expect(channels).toBe(2);
    expect(data.length).toBeGreaterThan(40_000);
    expect(statSync(join(folder, 'call.wav')).mode & 0o777).toBe(0o600);
  });

  it('leaves a call that is the same as it is, also with --update', async () => {
    const folder = calls(['one']);
    const before = readFileSync(join(folder, 'one', 'events.jsonl'));
    expect((await run([folder, '--update'])).status).toBe(0);
    expect(readFileSync(join(folder, 'one', 'events.jsonl')).equals(before)).toBe(true);
  });

  it('writes a report for programs, which is all of standard output', async () => {
    const folder = calls(['one'], otherResult);
    const { status, out, err } = await run([folder, '--json', '-']);
    expect(status).toBe(1);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ same: 0, different: 1, broken: 0 });
    expect(report.folders[0].differences[0]).toMatchObject({ edge: 'provider', kind: 'value' });
    expect(err).toContain('different');
    const file = join(folder, 'report.json');
    await run([folder, '--json', file]);
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ different: 1 });
  });

  it('writes something to listen to: left what the caller said, right what was heard', async () => {
    const folder = calls(['one']);
    const file = join(folder, 'call.wav');
    await run([folder, '--listen', file]);
    const wav = readWav(readFileSync(file));
    expect(wav).toMatchObject({ channels: 2, rate: 8000 });
    const loud = (channel: number): number =>
      wav.channel(channel).filter((sample) => Math.abs(sample) > 500).length;
    expect(wav.frames / 8000).toBeGreaterThan(3);
    expect(loud(0)).toBeGreaterThan(2000);
    expect(loud(1)).toBeGreaterThan(2000);
    const { tracks } = readStory(await readCall(join(folder, 'one')));
    const heard = decodeG711('mulaw', tracks.heard);
    expect(wav.channel(1).subarray(0, heard.length)).toEqual(heard);
    expect(wav.channel(0).subarray(0, heard.length)).not.toEqual(heard);
  });

  it('takes the time of the call when it is asked to, and shows what happens', async () => {
    const started = performance.now();
    const { status, out } = await run([calls(['one']), '--speed', '1']);
    expect(status).toBe(0);
    expect(performance.now() - started).toBeGreaterThan(3000);
    expect(out).toContain(`agent   ${WORDS.greeting}`);
    expect(out).toContain('caller  presses 7');
    expect(out).toContain('call over: caller-hung-up');
  });

  it('shows nothing that the terminal would obey', async () => {
    const hostile = (lines: string): string => lines.replaceAll(WORDS.greeting, 'Bad\\u001b[2J\\u202eday.');
    const { out } = await run([calls(['one'], hostile), '--speed', '1']);
    expect(out).toContain('Bad\uFFFD[2J\uFFFDday.');
    expect([...out].filter((sign) => sign === '\u001b' || sign === '\u202e')).toEqual([]);
  });

  it('stops at once when it is interrupted', async () => {
    await expect(run([calls(['one']), '--speed', '1'], WORDS.greeting)).rejects.toMatchObject({
      code: 'CANCELLED',
    });
  });

  it('says why a folder cannot be replayed, and goes on with the others', async () => {
    const folder = calls(['a', 'b']);
    writeFileSync(join(folder, 'a', 'call.json'), '{}');
    const { status, out } = await run([folder]);
    expect(status).toBe(2);
    expect(out).toMatch(/^broken {5}\S+a\n {4}a cannot be replayed: BAD_RECORDING: /);
    expect(out).toContain('1 the same, 1 cannot be replayed');
  });

  it('replays a recording whose process died as far as it goes', async () => {
    const folder = calls(['one'], (lines) => lines.slice(0, Math.floor(lines.length * 0.6)));
    const file = join(folder, 'one', 'call.json');
    const { end: _end, ...call } = JSON.parse(readFileSync(file, 'utf8'));
    writeFileSync(file, JSON.stringify(call));
    const { status, out } = await run([folder]);
    expect(out).toMatch(/^same {7}\S+one {2}\d+\.\d s/);
    expect(status).toBe(0);
  });

  it('leaves out recordings that go on, unless they are named', async () => {
    const folder = calls(['a', 'b.partial']);
    const { out, err } = await run([folder]);
    expect(out).not.toContain('b.partial');
    expect(err).toContain('b.partial: it is not finished');
    expect((await run([join(folder, 'b.partial')])).out).toContain('b.partial');
  });

  it.each([
    [['/nowhere/at/all'], 'found no such folder'],
    [[], 'found no folder'],
    [['FOLDER', '--speed', '2'], '--speed: found "2", wanted 1 or max'],
    [['FOLDER', '--carrier', 'vonage'], '--carrier: found "vonage", wanted twilio or telnyx or plivo'],
    [['FOLDER', '--update', '--provider', 'openai'], '--update: found --provider'],
    [['FOLDER', '--agent', 'desk'], '--agent: found no --agents'],
    [['FOLDER', '--listen', 'x.wav'], '--listen: found 2 calls, wanted one'],
    [['FOLDER', '--provider', 'simulated:hal'], 'wanted simulated: and one of openai'],
  ])('is called wrongly with %j', async (argv, message) => {
    const folder = calls(['a', 'b']);
    const given = argv.map((one) => (one === 'FOLDER' ? folder : one));
    await expect(run(given)).rejects.toThrow(message);
  });
});

describe('patchcord replay, with somebody else', () => {
  it('shows what another agent would have done, with the results of the functions that there are', async () => {
    const folder = calls(['one']);
    const file = join(folder, 'agents.yaml');
    writeFileSync(file, 'agents: { desk: { greeting: "Welcome to the shop." } }\n');
    const { status, out } = await run([join(folder, 'one'), '--agents', file]);
    expect(status).toBe(1);
    expect(out).toContain('to openai: session.update');
    expect(out).toMatch(/to openai: session\.update: msg\.session\.instructions differs\n/);
    expect(out).toMatch(/to openai: response\.create: .*instructions differs\n/);
    // It has no such function any more: the model is told so.
    expect(out).toMatch(/function: hours.*│ +\d\.\d\d {2}function: hours\(.*→ refused/);
  });

  it('lists the agents of the file when it has none of that name', async () => {
    const folder = calls(['one']);
    const file = join(folder, 'agents.yaml');
    writeFileSync(file, 'agents: { one: {}, two: {} }\nnumbers: [{ number: "*", agent: one }]\n');
    const { out, status } = await run([join(folder, 'one'), '--agents', file]);
    expect(status).toBe(2);
    expect(out).toContain('found no agent "desk", wanted one of one, two');
  });

  it('lets the caller speak to another provider, and puts the two calls side by side', {
    timeout: 40_000,
  }, async () => {
    const folder = calls(['one']);
    const file = join(folder, 'now.wav');
    const { status, out } = await run([
      join(folder, 'one'),
      '--provider',
      'simulated:gemini',
      '--listen',
      file,
    ]);
    expect(status).toBe(0);
    expect(out).toMatch(/provider: openai.*│.*provider: gemini/);
    expect(out).toMatch(/key: 7 +│ =/);
    expect(out).toMatch(/end: caller-hung-up/);
    expect(existsSync(file)).toBe(true);
  });

  it('lets the recorded provider speak to a caller of another carrier', { timeout: 40_000 }, async () => {
    const { status, out } = await run([calls(['one']), '--carrier', 'plivo', '--json', '-']);
    expect(status).toBe(0);
    const { compared } = JSON.parse(out);
    expect(compared[0].notes).toEqual([]);
    // How much of it was heard depends on the machine.
    const { expected, found } = compared[0].summary;
    const { functions, providers, end } = expected;
    expect(found).toMatchObject({ functions, providers, end });
    expect(found.turns.agent).toBeGreaterThan(0);
  });
});
