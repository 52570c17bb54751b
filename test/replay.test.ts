import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { packageFile } from '../src/package-file.ts';
import type { RealtimeProvider } from '../src/provider.ts';
import { createLocalProvider } from '../src/providers/local.ts';
import type { Line } from '../src/recording/format.ts';
import { readCall, type StoredCall } from '../src/recording/stored-call.ts';
import { tellDifference } from '../src/replay/compare.ts';
import { type ReplayOptions, replay } from '../src/replay/replay.ts';
import { defineTool } from '../src/tools.ts';
import { STYLES, type Style } from './support/carrier-styles.ts';
import { RecordingService } from './support/recording-service.ts';
import { SUBJECTS } from './support/subjects.ts';

// Recorded calls of all carriers and providers are replayed in test/provider-calls.test.ts, fixtures in test/fixtures.test.ts.

const TWILIO = STYLES[0] as Style;
const OPENAI = SUBJECTS.find(({ name }) => name === 'OpenAI Realtime') ?? SUBJECTS[0];

/** What has gone another way, for people; empty: nothing. */
async function differences(stored: StoredCall, options?: ReplayOptions): Promise<string> {
  const replayed = await replay(stored, options);
  return replayed.differences.map((one) => tellDifference(one, stored, replayed.found)).join('\n');
}

function textOf(lines: readonly Line[]): string {
  return lines.map((line) => JSON.stringify(line)).join('\n');
}

/** A call to the line check: it greets, the caller presses a key, is told which, and hangs up. */
async function lineCheck(style: Style): Promise<StoredCall> {
  await using recording = await RecordingService.start(style, { provider: createLocalProvider() });
  const call = recording.on.dial();
  await call.streaming;
  await call.untilHeard(300);
  await call.pressKeys('5');
  await recording.on.event('digit');
  await call.untilHeard(600);
  await call.hangUp();
  return await recording.stored();
}

interface Lookup {
  readonly stored: StoredCall;
  readonly provider: RealtimeProvider;
}

/** A call to a model that looks something up, in words of the test. */
async function lookup(run: (args: unknown) => unknown): Promise<Lookup> {
  if (OPENAI === undefined) throw new Error('there is no such provider');
  let asked = false;
  await using service = await OPENAI.start({
    keepAudio: true,
    answer: () => {
      const now = asked;
      asked = true;
      return now
        ? { transcript: 'It rains.', audioMs: 600, speedFactor: 8 }
        : { toolCalls: [{ name: 'lookup', args: { what: 'rain' }, callId: 'call_one' }] };
    },
  });
  const tool = defineTool({
    name: 'lookup',
    description: 'Looks something up.',
    parameters: { type: 'object', properties: { what: { type: 'string' } } },
    run,
  });
  await using recording = await RecordingService.start(TWILIO, {
    provider: service.provider,
    agent: { tools: [tool] },
  });
  const call = recording.on.dial();
  await call.streaming;
  await call.untilHeard(200);
  await call.hangUp();
  return { stored: await recording.stored(), provider: service.provider };
}

describe('a replay', () => {
  it('is the same call, twice, and to the byte', { timeout: 60_000 }, async () => {
    const stored = await lineCheck(TWILIO);
    expect(stored.lines.some(({ on }) => on === 'clock')).toBe(true);
    expect(await differences(stored)).toBe('');
    const [first, second] = [await replay(stored), await replay(stored)];
    expect(first.found.lines.length).toBeGreaterThan(100);
    expect(textOf(second.found.lines)).toBe(textOf(first.found.lines));
    expect(second.found.wavs).toEqual(first.found.wavs);
    const [left, right] = [await replay(stored, { listen: true }), await replay(stored, { listen: true })];
    expect(first.stereo).toBeUndefined();
    expect(left.stereo?.bytes.length).toBeGreaterThan(16_000);
    expect(right.stereo).toEqual(left.stereo);
    expect(first.unfed).toEqual([]);
    // A fixture: timers run when they are due, and what was found is what is expected from then on.
    const timeless = { ...stored, lines: stored.lines.filter(({ on }) => on !== 'clock') };
    const { found } = await replay(timeless);
    expect(await differences(found)).toBe('');
    expect(textOf((await replay(found)).found.lines)).toBe(textOf(found.lines));
  });

  it('waits for what a bridge that has changed might still do when everything has been said', async () => {
    const stored = await readCall(packageFile('fixtures/plivo-silent-caller'));
    const asksAgain = stored.lines.find(
      (line) => line.on === 'provider' && line.t > 1000 && textOf([line]).includes('"response.create"'),
    );
    const until = (asksAgain?.t ?? 0) - 500;
    // As if the caller had not been asked whether they are there.
    const quiet = { ...stored, lines: stored.lines.filter(({ t }) => t < until) };
    const { differences: found } = await replay(quiet);
    expect(found.map(({ kind, what, t }) => [kind, what, t > until])).toContainEqual([
      'additional',
      'to openai: response.create',
      true,
    ]);
  });

  it('of a call that broke off goes as far as the call did, wherever that is', {
    timeout: 60_000,
  }, async () => {
    const stored = await lineCheck(TWILIO);
    const { end: _end, ...call } = stored.call;
    const lastMs = stored.lines.at(-1)?.t ?? 0;
    for (let ms = 0; ms < lastMs; ms += 173) {
      const lines = stored.lines.filter(({ t }) => t <= ms);
      const cut = { ...stored, call: { ...call, origin: { how: 'recorded' } as const }, lines };
      expect(await differences(cut), `broken off after ${ms} ms`).toBe('');
    }
  });

  it('has a call wait that had to wait until somebody let it in', { timeout: 60_000 }, async () => {
    const stored = await lineCheck(TWILIO);
    const later = stored.lines.map((line, index): Line => {
      if (index === 0) return line;
      const t = Math.round((line.t + 150) * 1000) / 1000;
      if (line.on !== 'clock') return { ...line, t };
      return { ...line, t, msg: { due: Math.round((line.msg.due + 150) * 1000) / 1000 } };
    });
    expect(later[0]?.on).toBe('webhook');
    expect(await differences({ ...stored, lines: later })).toBe('');
  });

  it('takes ids for the same thing by their first use when they are made in another order', {
    timeout: 60_000,
  }, async () => {
    const stored = await lineCheck(TWILIO);
    const other = { ...stored, call: { ...stored.call, seed: 'another seed' } };
    const { found } = await replay(other);
    const tokens = (lines: readonly Line[]) => textOf(lines).match(/\/media\/twilio\/([\w-]{32})/g);
    expect(tokens(found.lines)).not.toEqual(tokens(stored.lines));
    expect(await differences(other)).toBe('');
  });

  it('can be called off, and gives everything back', { timeout: 60_000 }, async () => {
    const stored = await lineCheck(TWILIO);
    const stop = new AbortController();
    const replayed = replay(stored, {
      signal: stop.signal,
      onLine: ({ t }) => {
        if (t > 300) stop.abort(new Error('enough'));
      },
    });
    await expect(replayed).rejects.toThrow('enough');
  });

  it('does what somebody beside the line has ordered, when they did', { timeout: 60_000 }, async () => {
    await using recording = await RecordingService.start(TWILIO, { provider: createLocalProvider() });
    const { on } = recording;
    const call = on.dial();
    await call.streaming;
    await call.untilHeard(300);
    const { id } = await on.view();
    expect((await on.api('POST', `/calls/${id}/hang-up`)).status).toBeLessThan(300);
    await call.ended;
    const stored = await recording.stored();
    expect(stored.lines.filter((line) => line.on === 'operator').map(({ msg }) => msg)).toEqual([
      { does: 'end', reason: 'operator-hung-up' },
    ]);
    expect(await differences(stored)).toBe('');
    const without = { ...stored, lines: stored.lines.filter((line) => line.on !== 'operator') };
    expect(await differences(without)).toContain('providerFailed: was not expected');
  });

  it('gives keys to the handler of the program as it was', { timeout: 60_000 }, async () => {
    const told: string[] = [];
    await using recording = await RecordingService.start(TWILIO, {
      provider: createLocalProvider(),
      agent: {
        digits: {
          endKey: '#',
          timeoutMs: 300,
          max: 8,
          handle: (digits) => {
            told.push(digits);
            return Promise.resolve(`The account is ${digits}.`);
          },
        },
      },
    });
    const call = recording.on.dial();
    await call.streaming;
    await call.untilHeard(300);
    await call.pressKeys('42#');
    await call.untilHeard(600);
    await call.hangUp();
    const stored = await recording.stored();
    expect(told).toEqual(['42']);
    expect(textOf(stored.lines)).toContain('The account is 42.');
    expect(await differences(stored)).toBe('');
    expect(told).toEqual(['42']);
  });
});

describe('a call that nobody is let in with', () => {
  it('needs no provider', async () => {
    const stored = await readCall(
      fileURLToPath(new URL('../fixtures/twilio-bad-signature', import.meta.url)),
    );
    expect(stored.lines.length).toBeGreaterThan(1);
    expect(await differences({ ...stored, call: { ...stored.call, providers: [] } })).toBe('');
  });
});

describe('functions in a replay', () => {
  it('return, after as long, what they returned, without being run', { timeout: 60_000 }, async () => {
    let runs = 0;
    const { stored, provider } = await lookup(() => {
      runs += 1;
      return { weather: 'rain' };
    });
    expect(await differences(stored, { providers: [provider] })).toBe('');
    expect(runs).toBe(1);
  });

  it('fail as they failed', { timeout: 60_000 }, async () => {
    const { stored, provider } = await lookup(async () => {
      await Promise.resolve();
      throw new Error('the weather is closed');
    });
    expect(textOf(stored.lines)).toContain('the weather is closed');
    expect(await differences(stored, { providers: [provider] })).toBe('');
  });

  it('of another agent are answered by name and arguments, or not at all', { timeout: 60_000 }, async () => {
    const { stored, provider } = await lookup(() => ({ weather: 'rain' }));
    const { agent } = stored.call;
    const tool = defineTool({ name: 'lookup', description: 'Another one.', run: () => 'not run' });
    const changed = { ...agent, tools: [tool], instructions: 'Be brief.', filler: undefined };
    const told = await differences(stored, { providers: [provider], agent: changed });
    // Only what the model is told of the agent differs; the function returned what it had returned.
    expect(told).toContain('to openai: session.update: msg.session.instructions differs');
    expect(told.split('\n\n')).toHaveLength(1);
    expect(told).not.toContain('function_call_output');
    const lines = stored.lines.filter(({ on }) => on !== 'tool');
    const replayed = await replay({ ...stored, lines }, { providers: [provider], agent: changed });
    expect(replayed.unknownTools).toEqual(['lookup']);
  });
});
