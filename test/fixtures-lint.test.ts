import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { isFictitious } from '../src/commands/fixture/fiction.ts';
import { leftovers } from '../src/commands/fixture/leftovers.ts';
import { lintCall, lintFolder } from '../src/commands/fixture/lint.ts';
import { fixture } from '../src/commands/fixture.ts';
import { packageFile } from '../src/package-file.ts';
import type { CallFile, Line } from '../src/recording/format.ts';
import { readCall, type StoredCall, writeCall } from '../src/recording/stored-call.ts';

const GOOD = await readCall(packageFile('fixtures/telnyx-nova-function'));

/** The texts of what is found in the good call when it is changed like this. */
function found(change: Partial<StoredCall>): readonly string[] {
  return lintCall({ ...GOOD, ...change }).map(({ place, text }) => `${place ?? ''} ${text}`);
}

function withCall(change: Partial<CallFile>): readonly string[] {
  return found({ call: { ...GOOD.call, ...change } });
}

function withLine(at: number, change: (line: Line) => unknown): readonly string[] {
  return found({ lines: GOOD.lines.map((line, i) => (i === at ? (change(line) as Line) : line)) });
}

function indexOf(wanted: (line: Line) => boolean): number {
  return GOOD.lines.findIndex(wanted);
}

function isSaid(line: Line, edge: Line['on'], dir: Line['dir'], word: string): boolean {
  return line.on === edge && line.dir === dir && JSON.stringify(line).includes(word);
}

describe('a call that is as it should be', () => {
  it('has no problems', () => {
    expect(lintCall(GOOD)).toEqual([]);
  });
});

describe('the description', () => {
  it.each([
    ['', 'one sentence'],
    ['barge-in', 'one sentence'],
    ['it shows that the caller is heard', 'one sentence'],
  ])('wants a sentence and not %j', (proves, wanted) => {
    expect(withCall({ proves }).join()).toContain(wanted);
  });

  it('wants the command that makes it anew, but not of what was written by hand', () => {
    expect(withCall({ origin: { how: 'simulated' } }).join()).toContain('origin.command');
    expect(withCall({ origin: { how: 'written' } })).toEqual([]);
  });

  it('wants calls of real people to be redacted, and calls to be whole', () => {
    const recorded = withCall({ origin: { how: 'recorded', command: 'x' } }).join();
    expect(recorded).toContain('redacted: found nothing');
    expect(withCall({ end: { t: 9_999, complete: false, why: 'disk-full' } }).join()).toContain('disk-full');
  });
});

describe('the lines', () => {
  it('begin at 0 with what came in, and none comes after the end', () => {
    expect(withLine(0, (line) => ({ ...line, t: 5 })).join()).toContain('wanted 0');
    expect(found({ lines: GOOD.lines.slice(1) }).join()).toContain('found "out" in the first line');
    expect(withCall({ end: { t: 1000, complete: true } }).join()).toContain(
      'wanted none after the end at 1000',
    );
    expect(found({ lines: [] }).join()).toContain('found no line');
  });

  it('hold no times of the clock of that day', () => {
    const clock: Line = { t: 9, on: 'clock', dir: 'in', msg: { due: 8 } };
    const lines = [...GOOD.lines.slice(0, 8), clock, ...GOOD.lines.slice(8)];
    expect(found({ lines }).join()).toContain('found 1 clock lines');
  });

  it('begin every connection, in order, before anything is said on it', () => {
    const upgrade = indexOf((line) => isSaid(line, 'carrier', 'in', '"upgrade"'));
    const without = GOOD.lines.filter((_, at) => at !== upgrade);
    expect(found({ lines: without }).join()).toContain('first on carrier connection 1, wanted upgrade');
    expect(withLine(upgrade, (line) => ({ ...line, conn: 4 })).join()).toContain('conn: found 4, wanted 1');
  });

  it('say nothing on a stream that was refused', () => {
    const upgraded = indexOf((line) => isSaid(line, 'carrier', 'out', '"upgraded"'));
    const refused = withLine(upgraded, (line) => ({ ...line, ctl: { type: 'not-upgraded', status: 403 } }));
    expect(refused.join()).toContain('found a message on connection 1, wanted none after its end');
  });

  it('name providers and functions that the call has', () => {
    expect(withCall({ providers: [] }).join()).toContain('"nova", wanted one of call.json (none)');
    const agent = { ...GOOD.call.agent, tools: [] };
    expect(withCall({ agent }).join()).toContain('"look_up", wanted a function of the agent (none)');
    const keys = (digitsHandled: boolean): readonly string[] => {
      const run = { id: 90, run: '(keys)', toolCallId: '', args: { digits: '1' } };
      const t = GOOD.lines.at(-1)?.t ?? 0;
      const lines = [...GOOD.lines, { t, on: 'tool', dir: 'out', msg: run } as const];
      return found({ lines, call: { ...GOOD.call, agent: { ...GOOD.call.agent, digitsHandled } } });
    };
    expect(keys(false).join()).toContain('"(keys)", wanted a function of the agent');
    expect(keys(true)).toEqual([]);
  });

  it('have one answer to every request', () => {
    const answer = indexOf((line) => isSaid(line, 'webhook', 'out', '"id":1'));
    const without = GOOD.lines.filter((_, at) => at !== answer);
    expect(found({ lines: without }).join()).toMatch(/webhook 1 of line 1: found no answer/);
    const first = GOOD.lines[answer];
    if (first === undefined) throw new Error('there is no answer');
    const twice = [...GOOD.lines.slice(0, answer + 1), first, ...GOOD.lines.slice(answer + 1)];
    expect(found({ lines: twice }).join()).toContain('found a second answer to 1');
    const result = indexOf((line) => isSaid(line, 'tool', 'in', '"done"'));
    expect(withLine(result, (line) => ({ ...line, msg: { id: 7, done: true } })).join()).toContain('found 7');
  });
});

describe('the audio', () => {
  it('belongs to lines, all of it', () => {
    const stray = { format: { encoding: 'mulaw', rate: 8000 } as const, bytes: new Uint8Array(80) };
    const wavs = new Map([...GOOD.wavs, ['caller-2', stray] as const]);
    expect(found({ wavs }).join()).toContain('caller-2.wav: found no line that refers to it');
    const caller = GOOD.wavs.get('caller');
    if (caller === undefined) throw new Error('there is no caller');
    const longer = { ...caller, bytes: Buffer.concat([caller.bytes, new Uint8Array(40)]) };
    expect(found({ wavs: new Map([...GOOD.wavs, ['caller', longer]]) }).join()).toContain(
      'no line refers to the rest',
    );
  });

  it('is there for every line', () => {
    const wavs = new Map([...GOOD.wavs].filter(([name]) => name !== 'agent'));
    expect(found({ wavs }).join()).toContain('wanted a file of this name');
    const cut = GOOD.wavs.get('agent');
    if (cut === undefined) throw new Error('there is no agent');
    const short = new Map([...GOOD.wavs, ['agent', { ...cut, bytes: cut.bytes.subarray(0, 320) }]]);
    expect(found({ wavs: short }).join()).toContain('wanted no more than 320 of agent.wav');
  });
});

describe('what is left over', () => {
  /** What is found in a text that stands where anything may stand. */
  const inText = (text: string): readonly string[] => leftovers({ text }).map(({ what }) => what);
  const NUMBER = /telephone number/;

  it.each([
    '+14155552671',
    'call +49 30 901820 now',
    '(415) 867-5309',
    '415-867-5309',
    '/voice/twilio?From=%2B14155552671',
    'sip:+442071838750@sip.example.com',
    '{"deep":{"from":"14155552671"}}',
  ])('is the number of somebody: %s', (text) => {
    expect(inText(text).join()).toMatch(NUMBER);
  });

  it('is a number that stands where one belongs, whatever it looks like', () => {
    expect(
      leftovers({ From: '14155552671' })
        .map(({ what }) => what)
        .join(),
    ).toMatch(NUMBER);
    expect(leftovers({ payload: { to: 4_915_112_345_678 } })[0]?.path).toBe('payload.to');
    expect(leftovers({ amount: '14155552671' })).toEqual([]);
  });

  it.each([
    '+14155550100',
    '+1 212 555 0199',
    '+15550142',
    '+442079460123',
    '+4930231259 99'.replace(' ', ''),
    '+33199001234',
    '+61 491 570 156',
    '+46 31 390 06 12',
    '+353 20 911 1234',
  ])('is no number that films may use: %s', (number) => {
    expect(isFictitious(number)).toBe(true);
    expect(inText(`call ${number}`)).toEqual([]);
  });

  it.each([
    ['sk-proj-aBcDeFgHiJkLmNoPqRsTuV', 'OpenAI'],
    ['AIzaSyA1234567890abcdefghijklmnopqrstuv', 'Google'],
    ['AKIAIOSFODNN7EXAMPLE', 'AWS'],
    ['Authorization: Bearer abcdef1234567890', 'bearer'],
    ['eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.x', 'JSON Web Token'],
    ['-----BEGIN PRIVATE KEY-----', 'private key'],
    ['wss://host.example/v1?key=abcdef123456', 'secret in an address'],
    ['https://user:geheim@host.example/', 'password'],
    ['a1b2c3d4e5f60718293a4b5c6d7e8f90', 'hexadecimal'],
  ])('is a key: %s', (text, what) => {
    expect(inText(text).join()).toContain(what);
  });

  it('is the value of a field that holds a secret, also in JSON within a text', () => {
    const body = JSON.stringify({ api_key: 'short-one' });
    expect(leftovers({ body })).toEqual([
      { path: 'body.api_key', what: 'the value of a field that holds a secret' },
    ]);
    expect(leftovers({ 'X-Twilio-Signature': 'abcdefgh=' })).not.toEqual([]);
  });

  it('are no ids of carriers, and no tokens that were taken out', () => {
    expect(inText('CA00000000000000000000000000000001 of AC427062c81441c65b1630b879bf8153f6')).toEqual([]);
    expect(inText('?key=[secret] ?token=%5Bsecret%5D')).toEqual([]);
    expect(leftovers({ streamId: '427062c81441c65b1630b879bf8153f6' })).toEqual([]);
  });

  it.each([
    ['somebody@gmail.com', 'e-mail'],
    ['https://intranet.company.de/x', 'host'],
    ['wss://94.130.12.7/media', 'network'],
    ['10.0.0.12', 'network'],
    ['/home/somebody/calls', 'folder'],
  ])('is where somebody is: %s', (text, what) => {
    expect(inText(text).join()).toContain(what);
  });

  it.each([
    'somebody@example.com',
    'https://bridge.example.com/x',
    'ws://127.0.0.1:9002/v1/realtime',
    'wss://api.openai.com/v1/realtime',
    '203.0.113.7',
    'version 1.2.3',
  ])('is not what everybody may know: %s', (text) => {
    expect(inText(text)).toEqual([]);
  });

  it('is found in call.json as well: in settings, in the agent, in whom the call was placed to', () => {
    const { agent } = GOOD.call;
    const told = withCall({
      settings: { OPENAI_API_KEY: `sk-${'a1'.repeat(16)}` },
      agent: { ...agent, instructions: 'Ring +1 415 987 0163 when in doubt.' },
      placed: { ref: 'call_0123456789abcdef01234567', from: '+12025550123', to: '+14159870163' },
    });
    expect(told.filter((one) => one.startsWith('call.json'))).toEqual([
      expect.stringContaining('agent.instructions: found a telephone number'),
      expect.stringContaining('settings.OPENAI_API_KEY: found a key'),
      expect.stringContaining('placed.to: found a telephone number'),
    ]);
  });

  it('is told by its place and never by what it says', () => {
    const lines = withLine(0, (line) => ({ ...line, msg: { note: 'call +14155552671' } })).join();
    expect(lines).toContain('events.jsonl:1 note: found a telephone number');
    expect(lines).not.toContain('2671');
  });
});

describe('patchcord fixture lint', () => {
  /** Runs the command; what it printed, and its exit status. */
  async function run(...argv: string[]): Promise<{ readonly status: number; readonly text: string }> {
    let text = '';
    const terminal = {
      env: {},
      isTty: false,
      out: (more: string) => {
        text += more;
      },
      err: (more: string) => {
        text += more;
      },
      onInterrupt: () => () => undefined,
      onStray: () => undefined,
    };
    return { status: await fixture.run(['lint', ...argv], terminal), text };
  }

  it('says that nothing was found, of all calls below a folder', async () => {
    const { status, text } = await run(packageFile('fixtures/twilio-bad-signature'));
    expect(status).toBe(0);
    expect(text).toMatch(/^1 looked at \(0\.0 MB\), nothing found\n$/);
  });

  it('tells of each problem with folder, file and line, for people and for programs', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'lint-'));
    try {
      const bad = join(parent, 'Bad Name');
      await writeCall(bad, { ...GOOD, call: { ...GOOD.call, proves: '' } });
      const torn = join(parent, 'torn');
      await writeCall(torn, GOOD);
      await writeFile(join(torn, 'events.jsonl'), '{"t":0,"on":"nobody"}\n');
      const { status, text } = await run(bad);
      expect(status).toBe(1);
      expect(text).toContain(`${bad}: name: found "Bad Name"`);
      expect(text).toContain(`${bad}/call.json: description: proves: found ""`);
      const json = await run(parent, '--json', '-');
      expect(json.status).toBe(2);
      const report = JSON.parse(json.text);
      expect(
        report.folders.map((one: { problems: { rule: string }[] }) => one.problems.map(({ rule }) => rule)),
      ).toEqual([['name', 'description'], ['unreadable']]);
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  it('minds the size of a folder', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'lint-'));
    try {
      await writeCall(join(parent, 'heavy'), GOOD);
      await writeFile(join(parent, 'heavy', 'notes.txt'), 'x'.repeat(700_000));
      const { problems } = await lintFolder(join(parent, 'heavy'));
      expect(problems.map(({ rule }) => rule)).toEqual(['size']);
      // Calls of others are longer than ours.
      expect((await run(join(parent, 'heavy'))).status).toBe(1);
      expect((await run(join(parent, 'heavy'), '--max-kb', '2000')).status).toBe(0);
      expect((await run(join(parent, 'heavy'), '--max-kb', '2000', '--max-mb', '0.5')).status).toBe(1);
      await expect(run(join(parent, 'heavy'), '--max-kb', 'much')).rejects.toThrow('wanted a number above 0');
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  it('prints nothing that a terminal obeys', async () => {
    const parent = await mkdtemp(join(tmpdir(), 'lint-'));
    try {
      const proves = 'A \u009b2J \u202e caller';
      await writeCall(join(parent, 'odd'), { ...GOOD, call: { ...GOOD.call, proves } });
      const { text } = await run(join(parent, 'odd'));
      expect(text).toContain('description: proves: found');
      expect(text).not.toMatch(/[\u009b\u202e]/);
    } finally {
      await rm(parent, { recursive: true });
    }
  });

  it('refuses paths without a call', async () => {
    await expect(run(packageFile('fixtures/speech'))).rejects.toMatchObject({ code: 'BAD_INPUT' });
    await expect(run()).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });
});
