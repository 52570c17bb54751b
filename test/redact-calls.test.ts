import { beforeAll, describe, expect, it } from 'vitest';
import { parseScenario } from '../src/commands/fixture/scenario.ts';
import { perform } from '../src/commands/fixture/stage.ts';
import { MemorySink } from '../src/recording/memory-sink.ts';
import { redactCall, redactingSink } from '../src/recording/redact.ts';
import type { StoredCall } from '../src/recording/stored-call.ts';
import { transcribingSink, transcriptOf } from '../src/recording/transcript-file.ts';
import type { RecordingRedaction } from '../src/recording-terms.ts';
import { replay } from '../src/replay/replay.ts';

const NOTHING: RecordingRedaction = { numbers: false, fields: [], speech: 'none', words: false, keys: false };

/** One of every family of providers, at every carrier's way of being controlled. */
const PAIRS = [
  ['twilio', 'openai'],
  ['telnyx', 'gemini'],
  ['telnyx-call-control', 'nova'],
  ['plivo', 'openai-live'],
  ['twilio', 'azure-voice-live'],
  ['plivo', 'xai'],
] as const;

const CALLER = '+14159870163';
const CALLED = '+442079876543';

function scenarioOf(line: string, provider: string) {
  return parseScenario(
    'planted.yaml',
    JSON.stringify({
      proves: 'What is planted in a call is found in it.',
      line,
      phone: { from: CALLER, to: CALLED },
      providers: [
        {
          name: provider,
          says: {
            greeting: {
              transcript: 'Welcome at Brambleworth, call us at 415-987-0163 or 020 7987 6543.',
              // Long enough for a machine that stutters.
              audioMs: 900,
            },
            'user-turn': {
              toolCalls: [
                {
                  name: 'book',
                  args: { guest: 'Zebulon Quix', phone: '415 987 0163', deep: { passport: ['XJ7744181'] } },
                },
              ],
            },
            'tool-result': { transcript: 'Splendid, Quillfeather is expected.', audioMs: 300 },
            text: { transcript: 'Thank you for the Kerfuffle.', audioMs: 300 },
          },
          hears: ['My name is Quillfeather and my number is four, +1 (415) 987-0163.'],
        },
      ],
      agent: {
        instructions: 'You are the Hippodrome. Ring +44 20 7987 6543 when in doubt.',
        greeting: 'Welcome at Brambleworth, call us at 415-987-0163 or 020 7987 6543.',
        digits: { max: 8, timeoutMs: 400 },
        // Noise in the place of speech is another thing to listen to.
        bargeIn: { detector: 'provider' },
      },
      tools: [
        {
          name: 'book',
          parameters: {
            type: 'object',
            properties: { guest: { type: 'string' }, phone: { type: 'string' }, deep: { type: 'object' } },
          },
          returns: { guest: 'Zebulon Quix', note: 'call 14159870163', secret: { passport: 'XJ7744181' } },
        },
      ],
      caller: [
        { heard: 100 },
        { speak: 'librivox-0880', forMs: 900 },
        { until: { service: 'tool' } },
        { press: '73914682' },
        { wait: 900 },
      ],
    }),
  );
}

/** Everything that is written of a call, as it stands in the files. */
function filesOf(stored: StoredCall, transcript: string): string {
  const lines = stored.lines.map((line) => JSON.stringify(line)).join('\n');
  return `${JSON.stringify(stored.call)}\n${lines}\n${transcript}`;
}

/** What somebody could find who looks for it in every encoding. */
function found(files: string, planted: readonly string[]): string[] {
  const plain = [files, files.replaceAll('\\"', '"'), decoded(files), ...base64In(files)].join('\n');
  const digits = plain.replace(/[\s().-]|%20/g, '');
  return planted.filter(
    (one) =>
      plain.toLowerCase().includes(one.toLowerCase()) || (/^\d{7,}$/.test(one) && digits.includes(one)),
  );
}

function decoded(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

function base64In(text: string): string[] {
  return [...text.matchAll(/[A-Za-z0-9+/_-]{12,}={0,2}/g)].map(([part]) =>
    Buffer.from(part, 'base64').toString('utf8'),
  );
}

/** As a recorder writes it, line by line. */
async function streamed(stored: StoredCall, rules: RecordingRedaction) {
  const memory = new MemorySink();
  const sink = redactingSink(transcribingSink(memory), rules);
  sink.describe(stored.call);
  for (const [name, { format, bytes }] of stored.wavs) sink.audio(name, format, bytes);
  for (const line of stored.lines) sink.line(line);
  await sink.finish({ t: stored.lines.at(-1)?.t ?? 0, complete: true });
  return { stored: memory.stored(), transcript: memory.transcriptText };
}

describe('a call through everything, redacted', () => {
  const calls = new Map<string, StoredCall | undefined>();

  // All at once, and before there is anything else to do: they take as long as calls take.
  beforeAll(async () => {
    await Promise.all(
      PAIRS.map(async ([line, provider]) => {
        const { stored } = await perform(scenarioOf(line, provider), {
          folder: 'fixtures/planted',
          seed: 'planted',
        });
        calls.set(`${line} with ${provider}`, stored);
      }),
    );
  }, 60_000);

  for (const [line, provider] of PAIRS) {
    it(`${line} with ${provider}`, { timeout: 60_000 }, async () => {
      const stored = calls.get(`${line} with ${provider}`);
      if (stored === undefined) throw new Error('nothing was recorded');
      await check(stored, provider === 'openai-live');
    });
  }
});

/** @param isHeard the bridge finds out by listening when this provider speaks: noise is another thing to listen to */
async function check(stored: StoredCall, isHeard: boolean): Promise<void> {
  const numbers = ['4159870163', '2079876543'];
  const words = ['Quillfeather', 'Kerfuffle', 'Brambleworth', 'Hippodrome'];
  const values = ['Zebulon', 'Quix', 'XJ7744181'];
  const keys = ['73914682'];
  const plain = filesOf(stored, transcriptOf(stored));
  expect(found(plain, [...numbers, ...values])).toEqual([...numbers, ...values]);
  expect(found(plain, words).length).toBeGreaterThan(2);

  const cases: readonly [Partial<RecordingRedaction>, readonly string[]][] = [
    [{ numbers: true }, numbers],
    [{ fields: ['guest', 'passport'] }, values],
    [{ words: true }, words],
    [{ keys: true }, keys],
    // Noise leads to other noise: of what is sent on only the length counts.
    [{ speech: isHeard ? 'none' : 'both' }, []],
    [
      { numbers: true, fields: ['Guest', 'pass_port'], words: true, keys: true },
      [...numbers, ...values, ...words, ...keys],
    ],
  ];
  const before = await replay(stored);
  for (const [some, planted] of cases) {
    const rules = { ...NOTHING, ...some };
    const afterwards = redactCall(stored, rules);
    const atOnce = await streamed(stored, rules);
    expect({ some, left: found(filesOf(afterwards, transcriptOf(afterwards)), planted) }).toEqual({
      some,
      left: [],
    });
    expect({ some, left: found(filesOf(atOnce.stored, atOnce.transcript), planted) }).toEqual({
      some,
      left: [],
    });
    expect(atOnce.stored.lines.length).toBe(stored.lines.length);
    expect(afterwards.lines.map(({ t, on }) => [t, on])).toEqual(stored.lines.map(({ t, on }) => [t, on]));
    const { differences } = await replay(afterwards);
    expect({
      some,
      differences: differences.slice(0, differences.length - before.differences.length),
    }).toEqual({ some, differences: [] });
  }
}
