import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lintFolder } from '../src/commands/fixture/lint.ts';
import { parseScenario } from '../src/commands/fixture/scenario.ts';
import { perform } from '../src/commands/fixture/stage.ts';
import { fixture } from '../src/commands/fixture.ts';
import { packageFile } from '../src/package-file.ts';
import { readCall, writeCall } from '../src/recording/stored-call.ts';
import { replay } from '../src/replay/replay.ts';

/** Calls become fixtures on real sockets, with the phone and the providers that are simulated. */

async function inFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'fixtures-'));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function run(
  ...argv: string[]
): Promise<{ readonly status: number; readonly out: string; readonly err: string }> {
  const said = { out: '', err: '' };
  const terminal = {
    env: {},
    isTty: false,
    out: (text: string) => {
      said.out += text;
    },
    err: (text: string) => {
      said.err += text;
    },
    onInterrupt: () => () => undefined,
    onStray: () => undefined,
  };
  return { status: await fixture.run(argv, terminal), ...said };
}

const PROVES = 'The caller is heard and gets an answer.';

describe('patchcord fixture new', () => {
  it(
    'plays a call, keeps it with the scenario that makes it anew, and makes it anew',
    { timeout: 60_000 },
    () =>
      inFolder(async (parent) => {
        const asked = ['--in', parent, '--proves', PROVES, '--carrier', 'plivo', '--provider', 'gemini'];
        const script = join(parent, 'agent.yaml');
        await writeFile(script, 'instructions: Be brief.\naudio: passthrough\n');
        const said = ['--agent', script, '--keys', '12#', '--fault', 'dtmfBurst'];
        const made = await run('new', 'plivo-key-pressed', ...asked, ...said);
        expect(made).toMatchObject({ status: 0, err: '' });
        const folder = join(parent, 'plivo-key-pressed');
        expect(made.out).toMatch(/plivo-key-pressed: \d\.\d s, \d+ lines, \d WAVs\n$/);
        expect(await readdir(folder)).toEqual(
          expect.arrayContaining(['call.json', 'events.jsonl', 'scenario.yaml']),
        );
        expect((await lintFolder(folder)).problems).toEqual([]);
        const first = await readCall(folder);
        expect(first.call).toMatchObject({
          proves: PROVES,
          carrier: 'plivo',
          origin: { how: 'simulated', command: 'patchcord fixture new --scenario plivo-key-pressed' },
        });
        expect((await replay(first)).differences).toEqual([]);
        const scenario = await readFile(join(folder, 'scenario.yaml'), 'utf8');
        expect(scenario).toContain('dtmfBurst: true');
        expect(await run('new', '--scenario', 'plivo-key-pressed', '--in', parent)).toMatchObject({
          status: 0,
        });
        const second = await readCall(folder);
        expect((await replay(second)).differences).toEqual([]);
        // Ids and tokens of the bridge are the same, what the carrier makes up is not.
        expect(second.call.seed).toBe(first.call.seed);
        expect(await readFile(join(folder, 'scenario.yaml'), 'utf8')).toBe(scenario);
      }),
  );

  it('has no port of that day and no secret in what it keeps', { timeout: 60_000 }, () =>
    inFolder(async (parent) => {
      await run('new', 'twilio-hello', '--in', parent, '--proves', PROVES, '--keys', '1');
      const folder = join(parent, 'twilio-hello');
      const text = `${await readFile(join(folder, 'call.json'))}${await readFile(join(folder, 'events.jsonl'))}`;
      const ports = new Set([...text.matchAll(/127\.0\.0\.1:(\d+)/g)].map((match) => match[1]));
      expect([...ports].toSorted()).toEqual(['9001', '9002']);
      expect(text).toContain('"TWILIO_AUTH_TOKEN": "[secret]"');
      expect(text).not.toMatch(/signature/i);
    }),
  );

  it('keeps what somebody recorded, and what it cannot make', { timeout: 60_000 }, () =>
    inFolder(async (parent) => {
      const folder = join(parent, 'ours');
      const stored = await readCall(packageFile('fixtures/twilio-bad-signature'));
      await writeCall(folder, { ...stored, call: { ...stored.call, origin: { how: 'recorded' } } });
      await expect(run('new', 'ours', '--in', parent, '--proves', PROVES)).rejects.toMatchObject({
        code: 'CONFLICT',
      });
      expect((await readCall(folder)).call.origin.how).toBe('recorded');
      await writeFile(
        join(parent, 'nobody.yaml'),
        `proves: ${PROVES}\nphone: { faults: { webhookSignature: bad } }\n`,
      );
      const refused = await run('new', 'refused', '--in', parent, '--script', join(parent, 'nobody.yaml'));
      expect(refused.status).toBe(1);
      expect(refused.err).toContain('there was no call to record');
      expect(await readdir(parent)).toEqual(['nobody.yaml', 'ours']);
    }),
  );

  it('makes a fixture of a recorded call, without the delays of that day', { timeout: 60_000 }, () =>
    inFolder(async (parent) => {
      const scenario = parseScenario(
        'a.yaml',
        `proves: ${PROVES}\nagent: { greeting: Hello. }\ncaller: [{ heard: 300 }, { hangUp: true }]\n`,
      );
      const { stored } = await perform(scenario, { folder: '.', seed: 'recorded' });
      if (stored === undefined) throw new Error('nothing was recorded');
      expect(stored.lines.some(({ on }) => on === 'clock')).toBe(true);
      const recorded = { ...stored, call: { ...stored.call, origin: { how: 'recorded' } as const } };
      const from = join(parent, 'recordings', 'of-today');
      await writeCall(from, recorded);
      const asked = ['new', 'of-a-recording', '--in', parent, '--from', from];
      await expect(run(...asked)).rejects.toThrow('--proves: found nothing');
      const made = await run(...asked, '--proves', PROVES);
      expect(made).toMatchObject({ status: 0, err: '' });
      // Nobody has said that its people may be known.
      expect(made.out).toContain('redacted: found nothing');
      const fixture = await readCall(join(parent, 'of-a-recording'));
      expect(fixture.call).toMatchObject({ proves: PROVES, origin: { how: 'recorded' } });
      expect(fixture.lines.some(({ on }) => on === 'clock')).toBe(false);
      expect((await replay(fixture)).differences).toEqual([]);
      await expect(run(...asked, '--proves', PROVES)).rejects.toMatchObject({ code: 'CONFLICT' });
    }),
  );

  it.each([
    [['new'], 'found 0 names, wanted one'],
    [['new', 'Twilio_1', '--proves', PROVES], 'found "Twilio_1", wanted small letters'],
    [['new', 'a-call'], '--proves: found nothing'],
    [
      ['new', 'a-call', '--proves', PROVES, '--carrier', 'vonage'],
      'line: found "vonage", wanted one of twilio',
    ],
    [['new', 'a-call', '--proves', PROVES, '--provider', 'hal'], 'providers.0.name: found "hal"'],
    [['new', 'a-call', '--proves', PROVES, '--fault', 'omitstop'], 'phone.faults.omitstop'],
    [['new', 'a-call', '--proves', PROVES, '--say', 'nothing-of-the-kind'], 'speech "nothing-of-the-kind"'],
    [['new', 'a-call', '--proves', PROVES, '--cut-in', 'soon'], '--cut-in: found "soon"'],
    [['new', '--scenario', 'nothing-of-the-kind'], 'cannot be read'],
    [['make'], 'found "make", wanted new or lint'],
  ])('refuses %j', async (argv, wanted) => {
    await inFolder(async (parent) => {
      const [what = '', ...rest] = argv;
      const asked = what === 'new' ? [what, ...rest, '--in', parent] : argv;
      const told = await run(...asked).then(
        ({ err }) => err,
        (error: unknown) => String(error),
      );
      expect(told).toContain(wanted);
      expect(await readdir(parent)).toEqual([]);
    });
  });
});

describe('a scenario', () => {
  it('names every mistake with its file and field', () => {
    const text =
      'proves: x\nline: vonage\ncaller: [{ speek: a }]\nproviders: [{ name: openai, says: { greetings: {} } }]\n';
    expect(() => parseScenario('a.yaml', text)).toThrow(/a\.yaml: .*line: found "vonage".*/);
    expect(() => parseScenario('a.yaml', text)).toThrow(/providers\.0\.says/);
    expect(() => parseScenario('a.yaml', text)).toThrow(/caller\.0/);
    expect(() => parseScenario('b.yaml', 'proves: [')).toThrow(/b\.yaml: found what is no YAML/);
  });

  it('is as the documentation shows one', async () => {
    const page = await readFile(packageFile('docs/recordings.md'), 'utf8');
    const shown = /### Scenarios[\s\S]*?```yaml\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
    const { line, providers, caller, tools, phone } = parseScenario('docs', shown);
    expect(line).toBe('telnyx');
    expect(providers.map(({ name }) => name)).toEqual(['gemini', 'openai']);
    expect([caller.length, tools.length, phone.leg?.status]).toEqual([2, 1, 'busy']);
  });

  it('is refused with options that its simulator does not have', async () => {
    const scenario = parseScenario(
      'a.yaml',
      'proves: x\nproviders: [{ name: nova, options: { dialect: ga } }]\n',
    );
    const played = perform(scenario, { folder: '.', seed: 'x' });
    await expect(played).rejects.toThrow(/options of nova: found "dialect", wanted one of sessionMs/);
  });

  it('is over when its caller hangs up, and leaves nothing behind', {
    timeout: 60_000,
  }, async () => {
    const scenario = parseScenario('a.yaml', 'proves: x\ncaller: [{ hangUp: true }]\n');
    const { report, events, stored } = await perform(scenario, { folder: '.', seed: 'x' });
    expect(report.endedBy).toBe('caller');
    expect(events.at(-1)).toMatchObject({ type: 'ended', reason: 'caller-hung-up' });
    expect(stored?.call.end?.complete).toBe(true);
  });
});
