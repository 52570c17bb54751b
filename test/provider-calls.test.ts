import { readFileSync } from 'node:fs';
import { describe, type ExpectStatic, it } from 'vitest';
import { type AudioFormat, MULAW_8K } from '../src/audio/format.ts';
import { decodeG711, encodeG711 } from '../src/audio/g711.ts';
import { resampleWhole } from '../src/audio/offline.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { readWav } from '../src/audio/wav.ts';
import type { RealtimeProvider } from '../src/provider.ts';
import { createLocalProvider } from '../src/providers/local.ts';
import { tellDifference } from '../src/replay/compare.ts';
import { replay } from '../src/replay/replay.ts';
import { defineTool } from '../src/tools.ts';
import { type Service, STYLES } from './support/carrier-styles.ts';
import { find, samplesOf, sweep } from './support/likeness.ts';
import { RecordingService } from './support/recording-service.ts';
import { SUBJECTS } from './support/subjects.ts';

/** One call by each way in which a number can be connected, with each provider: everything but the carrier and the model. */

const CELLS = STYLES.flatMap((style) =>
  // The generations of Gemini differ in what test/providers.test.ts holds them to.
  SUBJECTS.filter(({ name }) => !/Gemini Live [23]\.[15]/.test(name)).map((subject) => ({
    name: `${style.name} with ${subject.name}`,
    style,
    subject,
  })),
);

const recording = readWav(readFileSync(new URL('../fixtures/speech/librivox-0880.wav', import.meta.url)));
/** The first second of somebody's speech, at 8 kHz. */
const question = resampleWhole(recording.channel(0), recording.rate, 8000).slice(8000, 16_000);

const GREETING_MS = 900;
const greeting = sweep(GREETING_MS, 24_000);
const greeting8k = Int16Array.from({ length: greeting.length / 3 }, (_, i) => greeting[i * 3] ?? 0);

function converted(bytes: Uint8Array, from: AudioFormat, to: AudioFormat): Uint8Array {
  const transcoder = createTranscoder(from, to);
  const head = transcoder.push(bytes).slice();
  return Buffer.concat([head, transcoder.flush()]);
}

function at8k(bytes: Uint8Array, format: AudioFormat): Int16Array {
  return samplesOf(converted(bytes, format, { encoding: 'pcm16', rate: 8000 }));
}

/**
 * Both ends of `piece` are in `whole`, and nothing between them is missing. A machine that is too busy may let the line
 * run dry for a moment, which is no loss.
 */
function expectSame(expect: ExpectStatic, piece: Int16Array, whole: Int16Array): void {
  const [first, last] = [800, 5600].map((at) => find(piece.subarray(at, at + 600), whole));
  expect(first?.likeness).toBeGreaterThan(0.97);
  expect(last?.likeness).toBeGreaterThan(0.97);
  expect((last?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(4800);
}

/** The recording of the call, replayed without network, carrier and model, is the same call. */
async function expectSameAgain(
  expect: ExpectStatic,
  recording: RecordingService,
  providers: readonly RealtimeProvider[],
): Promise<void> {
  const stored = await recording.stored();
  const { differences, found, unfed } = await replay(stored, { providers });
  expect(differences.map((one) => tellDifference(one, stored, found)).join('\n')).toBe('');
  expect(unfed).toEqual([]);
}

/** Lets so many through at a time: each is a call in real time, and they share two cores. */
class Gate {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async enter(): Promise<Disposable> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return {
      [Symbol.dispose]: () => {
        const next = this.#waiting.shift();
        if (next === undefined) this.#free += 1;
        else next();
      },
    };
  }
}

const LONG = 'It rains, and it will rain for a long time to come.';
const ANSWERS = {
  greeting: { audio: greeting, transcript: 'Hello.', speedFactor: 8 },
  question: { toolCalls: [{ name: 'lookup', args: { what: 'the weather' }, callId: 'call_one' }] },
  asked: { transcript: LONG, audioMs: 8000, speedFactor: 4 },
  thanks: { transcript: 'Goodbye.', audioMs: 500, speedFactor: 8 },
};

const gate = new Gate(5);

/** What is waited for has a name, for whoever reads why a call of the matrix came to nothing. */
async function named<T>(what: string, on: Service, wanted: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const told = on.events.filter(({ type }) => type !== 'usage').map((event) => JSON.stringify(event));
      reject(new Error(`${what} did not come; what did: ${told.slice(-12).join(' ')}`));
    }, 40_000);
  });
  try {
    return await Promise.race([wanted, late]);
  } finally {
    clearTimeout(timer);
  }
}

describe.concurrent.each(CELLS)('a call by $name', ({ style, subject }) => {
  it('goes both ways complete, calls a function, and lets the caller cut in', { timeout: 120_000 }, async ({
    expect,
  }) => {
    using _ = await gate.enter();
    const asked: unknown[] = [];
    let stage: keyof typeof ANSWERS = 'greeting';
    await using service = await subject.start({
      keepAudio: true,
      // Not by number: on a machine that is too busy the line has holes, and one question may be heard as two turns.
      answer: () => {
        const now = stage;
        if (now === 'greeting') stage = 'question';
        else if (now === 'question') stage = 'asked';
        return now === 'asked' && asked.length === 0 ? {} : ANSWERS[now];
      },
      heard: ['What is the weather like?', 'Thank you.'],
    });
    const lookup = defineTool({
      name: 'lookup',
      description: 'Looks something up.',
      parameters: { type: 'object', properties: { what: { type: 'string' } } },
      run: (args) => {
        asked.push(args);
        return { weather: 'rain' };
      },
    });
    await using recording = await RecordingService.start(style, {
      provider: service.provider,
      agent: { audio: 'wideband', tools: [lookup], transcribeCaller: true },
    });
    const { on } = recording;
    const call = on.dial();
    const peer = await service.nextPeer();
    await call.streaming;

    expect(await named('the greeting', on, call.untilHeard(200))).toBe(true);
    await named('its end', on, call.untilQuiet(500));

    await call.speak(question);
    await named(
      'the function',
      on,
      on.event('tool', ({ outcome }) => outcome === 'done'),
    );
    expect(asked).toEqual([{ what: 'the weather' }]);
    await named(
      'the answer',
      on,
      on.event('transcript', ({ text }) => text.includes('rains')),
    );
    expect(await named('its sound', on, call.untilHeard(400))).toBe(true);
    stage = 'thanks';
    const until = on.events.length;
    await call.speak(question);
    // One that speaks in real time stops by itself, and nothing waits to be heard.
    if (subject.capabilities.speech === 'turns') {
      const { heard } = await named(
        'the interruption',
        on,
        on.event('bargeIn', (event) => on.events.indexOf(event) >= until),
      );
      expect(heard[0]?.playedMs).toBeLessThan(7500);
      await named('the clear', on, call.next('clear'));
    }
    await named(
      'the goodbye',
      on,
      on.event('transcript', ({ text }) => text.includes('Goodbye')),
    );
    await named('the end of it', on, call.untilQuiet(300));
    const report = await call.hangUp();
    expect(report.outcome).toBe('completed');
    expect((await on.event('ended')).reason).toBe('caller-hung-up');
    expect(peer.complaints()).toEqual([]);
    await peer.closed;
    expectSame(expect, greeting8k, decodeG711('mulaw', call.heard));
    const input = inputOf(on.log);
    // Through the same filters, whose delay is no whole number of samples.
    const asked8k = at8k(converted(encodeG711('mulaw', question), MULAW_8K, input), input);
    expectSame(expect, asked8k, at8k(peer.receivedAudio(), input));
    await expectSameAgain(expect, recording, [service.provider]);
  });
});

describe.concurrent.each(STYLES)('a call by $name with the line check', (style) => {
  it('goes both ways complete, calls a function, and lets the caller cut in', { timeout: 120_000 }, async ({
    expect,
  }) => {
    using _ = await gate.enter();
    await using provider = createLocalProvider();
    await using recording = await RecordingService.start(style, { provider });
    const { on } = recording;
    const call = on.dial();
    await call.streaming;
    // It greets, and tells what can be said.
    await call.untilQuiet(700);
    const before = call.heard.length;
    await call.speak(question);
    // It plays back what it heard, asks the bridge about the line, and tells the figures.
    await on.event('tool', ({ name, outcome }) => name === 'line_status' && outcome === 'done');
    const reported = call.heard.length;
    await expect.poll(() => call.heard.length, { timeout: 20_000 }).toBeGreaterThan(reported + 8 * 2500);
    await call.speak(question);
    await on.event('bargeIn');
    await call.next('clear');
    const report = await call.hangUp();
    expect(report.outcome).toBe('completed');
    const echoed = decodeG711('mulaw', call.heard.subarray(before));
    expectSame(expect, decodeG711('mulaw', encodeG711('mulaw', question)), echoed);
    await expectSameAgain(expect, recording, []);
  });
});

/** The format that the bridge has noted down for this call. */
function inputOf(log: readonly string[]): AudioFormat {
  const line = log.find((text) => text.includes('provider ready')) ?? '';
  const name = /"in":"(\w+)\/(\d+)"/.exec(line);
  return { encoding: name?.[1], rate: Number(name?.[2]) } as AudioFormat;
}
