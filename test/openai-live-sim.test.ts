import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { decodeG711 } from '../src/audio/g711.ts';
import type { ConnectRequest } from '../src/provider.ts';
import { createOpenAiLiveProvider, type OpenAiLiveOptions } from '../src/providers/openai-live.ts';
import {
  type OpenAiLiveSimulatorOptions,
  type SimulatedLiveConnection,
  startOpenAiLiveSimulator,
} from '../src/sim/openai-live.ts';
import { speech } from './support/openai-live-peer.ts';
import { fastClock, ProviderLine } from './support/provider-line.ts';
import { oneOfEach, typeMistakes } from './support/published-types.ts';
import { tone } from './support/signal.ts';

/** Both sides in real time, on a clock that goes faster than that on the wall. */

const FASTER = 5;

interface Call extends AsyncDisposable {
  readonly line: ProviderLine;
  readonly peer: SimulatedLiveConnection;
  readonly messages: unknown[];
  /** Sends 20 ms frames at the pace at which they are spoken. */
  hear(audio: Uint8Array): Promise<void>;
}

async function call(
  sim: OpenAiLiveSimulatorOptions,
  options: Partial<OpenAiLiveOptions> = {},
  over: Partial<ConnectRequest> = {},
): Promise<Call> {
  const clock = fastClock(FASTER);
  const messages: unknown[] = [];
  const simulator = await startOpenAiLiveSimulator({
    clock,
    onEvent: (_connection, { direction, event }) => {
      if (direction !== 'received') return;
      const { bytes, ...rest } = event;
      messages.push(bytes === undefined ? event : { ...rest, audio: '' });
    },
    ...sim,
  });
  const provider = createOpenAiLiveProvider({ apiKey: 'sk-test', baseUrl: simulator.url, ...options });
  const line = await ProviderLine.open(provider, { clock, ...over });
  const wait = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve));
  return {
    line,
    peer: await simulator.nextConnection(),
    messages,
    async hear(audio) {
      const from = clock.now();
      for (let at = 0; at < audio.length; at += 160) {
        line.session.sendAudio(audio.subarray(at, at + 160));
        await wait(from + at / 8 + 20 - clock.now());
      }
    },
    async [Symbol.asyncDispose]() {
      await line.session.close('the test is over');
      await simulator.close();
    },
  };
}

/** A tone that is loud from its first sample to its last, so that every ms of it counts. */
function loud(ms: number): Int16Array {
  return Int16Array.from(tone(24 * ms, { hz: 300, rate: 24_000, amplitude: 8_000, phase: 1 }), Math.round);
}

function withPause(ms: number, pauseMs: number): Int16Array {
  const audio = new Int16Array(24 * (2 * ms + pauseMs));
  audio.set(loud(ms));
  audio.set(loud(ms), 24 * (ms + pauseMs));
  return audio;
}

describe('a call with OpenAI Live', () => {
  it('goes both ways, calls a function, and sends nothing that the published types do not know', async () => {
    await using on = await call({
      keepAudio: true,
      usageMs: 2_000,
      hear: () => ({ transcript: 'When does it leave?' }),
      respond: ({ kind, text }) => {
        if (kind === 'greeting') return { transcript: text, audio: loud(600) };
        if (kind === 'tool-result') return { transcript: 'At noon.', audio: loud(500) };
        return { transcript: 'One moment.', audio: loud(400), toolCalls: [{ name: 'lookup', args: {} }] };
      },
    });
    const { line, peer } = on;
    // Nobody speaks: the session is kept going all the same.
    line.session.say('Good day.');
    const greeting = await line.next('responseStarted');
    expect(greeting.asked).toBe(true);
    await line.next('responseDone');
    expect(line.audioMs(greeting.responseId)).toBe(600);
    const question = speech(700, MULAW_8K);
    await on.hear(question);
    const { callId } = await line.next('toolCall');
    line.session.sendToolResult(callId, { output: '{"time":"12:00"}', isError: false, respond: true });
    const preamble = await line.next('responseStarted');
    expect(preamble.asked).toBe(false);
    await line.untilSaid('assistant: At noon.');
    await line.next('responseDone', ({ responseId }) => responseId === preamble.responseId);
    const answer = await line.next('responseStarted');
    expect(answer.asked).toBe(true);
    await line.next('responseDone', ({ responseId }) => responseId === answer.responseId);
    line.session.sendText('It rains.', { role: 'system', respond: false });
    line.session.sendText('Say so.', { role: 'user', respond: true });
    await line.next('responseStarted');
    expect(line.said.slice(0, 4)).toEqual([
      'assistant: Good day.',
      'user: When does it leave?',
      'assistant: One moment.',
      'assistant: At noon.',
    ]);
    expect(Buffer.from(peer.receivedAudio()).includes(question)).toBe(true);
    await line.session.close('over');
    const seconds = line
      .of('usage')
      .filter(({ model }) => model === undefined)
      .map((usage) => usage.seconds ?? 0);
    expect(seconds.length).toBeGreaterThan(1);
    expect(seconds.reduce((sum, more) => sum + more, 0)).toBe(Math.floor(peer.timelineMs / 1000));
    expect(peer.sent.filter(({ event }) => event.type === 'error')).toEqual([]);
    const group = { name: 'client', module: 'openai/resources/live/live', type: 'ClientEvent' };
    const messages = oneOfEach(on.messages);
    expect(messages.length).toBeGreaterThanOrEqual(8);
    expect(await typeMistakes([{ ...group, messages }])).toEqual([]);
  });

  it('keeps the pauses of a speech, and what is played never falls behind', async () => {
    await using on = await call({
      noise: 30,
      respond: () => ({ transcript: 'One. Two.', audio: withPause(400, 150) }),
    });
    on.line.session.say('Count.');
    const { responseId } = await on.line.next('responseStarted');
    await on.line.next('responseDone');
    const audio = Buffer.concat(
      on.line.of('audio').flatMap((event) => (event.responseId === responseId ? [event.bytes] : [])),
    );
    // Noise is no sound, but the edges of words are kept, however soft: 60 ms on either side.
    const pcm = decodeG711('mulaw', audio);
    expect(audio.length / 8).toBeGreaterThanOrEqual(950);
    expect(audio.length / 8).toBeLessThanOrEqual(950 + 120);
    const isLoud = (ms: number): boolean => Math.max(...pcm.subarray(ms * 8, ms * 8 + 80)) > 4_000;
    const start = Array.from(pcm).findIndex((sample) => sample > 1_000) / 8;
    expect([100, 300, 450, 520, 600, 900].map((ms) => isLoud(start + ms))).toEqual([
      true,
      true,
      false,
      false,
      true,
      true,
    ]);
  });

  it('lets the caller talk over the model, which stops by itself', async () => {
    await using on = await call({
      respond: ({ index }) =>
        index === 0
          ? { transcript: 'A very long story about nothing at all.', audio: loud(8_000) }
          : { transcript: 'Sorry.', audio: loud(300) },
      hear: () => ({ transcript: 'Stop!' }),
    });
    const { line, peer } = on;
    line.session.say('Tell a story.');
    const story = await line.next('responseStarted');
    await line.untilAudio(800);
    await on.hear(speech(900, MULAW_8K));
    await line.next('responseDone', ({ responseId }) => responseId === story.responseId);
    expect(line.audioMs(story.responseId)).toBeLessThan(3_000);
    const sorry = await line.next('responseStarted');
    await line.next('responseDone', ({ responseId }) => responseId === sorry.responseId);
    expect(line.audioMs(sorry.responseId)).toBe(300);
    await line.untilSaid('assistant: Sorry.');
    expect(line.said.join(' ')).not.toContain('at all');
    expect(line.of('speechStarted')).toEqual([]);
    expect(peer.received.filter(({ event }) => event.type !== 'session.start')).toMatchObject([
      { event: { type: 'session.commentary.append' } },
    ]);
  });

  it('has an agent of its own do what the voice hands on', async () => {
    await using on = await call(
      {
        hear: () => ({ transcript: 'Is it open?' }),
        respond: ({ kind }) =>
          kind === 'user-turn' ? { toolCalls: [{ name: 'any', args: {} }] } : undefined,
      },
      { delegation: { type: 'client', function: 'lookup' } },
    );
    await on.hear(speech(600, MULAW_8K));
    const { callId, name, args } = await on.line.next('toolCall');
    expect([name, JSON.parse(args)]).toEqual(['lookup', { request: 'Is it open?' }]);
    on.line.session.sendToolResult(callId, { output: 'It is open.', isError: false, respond: true });
    expect((await on.line.next('responseStarted')).asked).toBe(true);
    await on.line.untilSaid('assistant: It is open.');
    expect(on.peer.sent.filter(({ event }) => event.type === 'error')).toEqual([]);
  });

  it('is not disturbed by a server that sends no silence and does not say what it took in', async () => {
    await using on = await call({
      silentFrames: false,
      faults: [{ when: { after: 'session.started' }, do: 'omit', types: ['session.commentary.appended'] }],
      respond: ({ index }) => ({ transcript: `Sentence ${index}.`, audio: loud(500), firstAudioMs: 2_500 }),
    });
    on.line.session.say('One.');
    const first = await on.line.next('responseStarted');
    expect(first.asked).toBe(true);
    await on.line.next('responseDone');
    expect(on.line.audioMs(first.responseId)).toBe(500);
    await on.line.untilSaid('assistant: Sentence 0.');
  });
});

describe('the loudness of silence', () => {
  it('can be set for a server that is noisier', async () => {
    await using on = await call(
      { noise: 400, respond: () => ({ transcript: 'Hello.', audio: loud(400) }) },
      { silenceLevel: 600 },
    );
    on.line.session.say('Hello.');
    await on.line.next('responseStarted');
    const done = await on.line.next('responseDone');
    expect(on.line.audioMs(done.responseId)).toBeLessThanOrEqual(400 + 120);
  });
});
