import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { MULAW_8K, PCM16_24K } from '../src/audio/format.ts';
import { createTranscoder } from '../src/audio/transcode.ts';
import { type AudioStream, processAudioStream, type SpokenText } from '../src/audio-stream.ts';
import { BridgeError } from '../src/errors.ts';
import type { HistoryItem, RealtimeProvider } from '../src/provider.ts';
import { withHooks } from '../src/provider-hooks.ts';
import { createOpenAiProvider } from '../src/providers/openai.ts';
import { startOpenAiSimulator } from '../src/sim/openai.ts';
import { ManualProvider, settled } from './support/manual-provider.ts';
import { requestOf } from './support/provider-request.ts';
import { VirtualClock } from './support/virtual-clock.ts';

const MODEL = 'gpt-realtime-2.1';

/** Input that the test writes piece by piece. */
class Input implements AsyncIterable<Uint8Array> {
  readonly #pieces: Uint8Array[] = [];
  #wake: () => void = () => undefined;
  #ended = false;
  returned = false;

  say(ms: number): void {
    this.#pieces.push(new Uint8Array(ms * 8).fill(0x80));
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        while (this.#pieces.length === 0 && !this.#ended) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        const value = this.#pieces.shift();
        return value === undefined ? { value: undefined, done: true } : { value, done: false };
      },
      return: async () => {
        this.returned = true;
        return { value: undefined, done: true };
      },
    };
  }
}

/** Silence, speech and silence, in pieces of 20 ms of 8 kHz mu-law. */
async function* speech(beforeMs: number, ms: number, silenceMs: number): AsyncIterable<Uint8Array> {
  for (let at = 0; at < beforeMs; at += 20) yield new Uint8Array(160).fill(0xff);
  for (let at = 0; at < ms; at += 20) {
    yield Uint8Array.from({ length: 160 }, (_, i) => (i % 16 < 8 ? 0x90 : 0x10));
  }
  for (let at = 0; at < silenceMs; at += 20) yield new Uint8Array(160).fill(0xff);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

/** A stream over a provider that the test plays. */
async function start(options: Parameters<typeof processAudioStream>[2] = {}) {
  const clock = new VirtualClock();
  const provider = new ManualProvider();
  const input = new Input();
  const opening = processAudioStream(provider, input, { clock, inputFormat: MULAW_8K, ...options });
  await provider.ready();
  return { clock, provider, input, stream: await opening };
}

describe('processAudioStream', () => {
  it('has a conversation from the greeting to the end of the input: audio, words and a function', async () => {
    await using openai = await startOpenAiSimulator({
      speedFactor: 20,
      firstAudioMs: 0,
      keepAudio: true,
      hear: () => ({ transcript: 'When do you open?' }),
      respond: ({ kind, newItems }) => {
        if (kind === 'greeting') return { transcript: 'Hello.', audioMs: 300 };
        if (kind === 'user-turn')
          return { toolCalls: [{ name: 'hours', args: { day: 'Friday' }, callId: 'c1' }] };
        return { transcript: String(newItems[0]?.['output']), audioMs: 400 };
      },
    });
    const provider = createOpenAiProvider({ apiKey: 'sk-test', baseUrl: openai.url, model: MODEL });
    const calls: unknown[] = [];
    await using stream = await processAudioStream(provider, speech(900, 400, 700), {
      inputFormat: MULAW_8K,
      greeting: 'Hello.',
      functions: [
        { name: 'hours', description: 'Opening hours.', parameters: { type: 'object', properties: {} } },
      ],
      onFunctionCall: (id, name, args) => {
        calls.push([id, name, args]);
        return { open: '17:00' };
      },
      extensions: { openai: { max_output_tokens: 77 }, gemini: { temperature: 2 } },
      lingerMs: 300,
    });
    const [audio, texts] = await Promise.all([all(stream.audio), all(stream.transcripts)]);
    expect(calls).toEqual([['c1', 'hours', { day: 'Friday' }]]);
    const final = texts.filter(({ isFinal }) => isFinal).map(({ isInput, text }) => [isInput, text]);
    expect(final).toContainEqual([false, 'Hello.']);
    expect(final).toContainEqual([true, 'When do you open?']);
    expect(final).toContainEqual([false, '{"open":"17:00"}']);
    const ends = audio.filter(({ isFinal }) => isFinal);
    expect(ends).toHaveLength(2);
    expect(ends.some(({ interrupted }) => interrupted)).toBe(false);
    const ms = audio.reduce((sum, piece) => sum + piece.audio.length, 0) / 8;
    expect(ms).toBe(700);
    expect(openai.connections[0]?.session).toMatchObject({ max_output_tokens: 77 });
    await openai.connections[0]?.closed;
  });

  it('converts what the provider does not take', async () => {
    const { provider, input, stream } = await start({ inputFormat: { encoding: 'pcm16', rate: 16000 } });
    input.say(40);
    await settled();
    // 320 bytes of 16 kHz PCM16 are 10 ms.
    expect(provider.audio.length).toBeGreaterThan(60);
    provider.speak('r', 'a', 100);
    const pieces = stream.audio[Symbol.asyncIterator]();
    expect((await pieces.next()).value?.audio.length).toBeGreaterThan(2400);
    await stream.close();
  });

  it('drops what waits when the caller cuts in, and says how much was taken', async () => {
    const { provider, stream } = await start();
    const pieces = stream.audio[Symbol.asyncIterator]();
    provider.speak('r', 'a', 1000, false);
    const first = await pieces.next();
    const takenMs = (first.value?.audio.length ?? 0) / 8;
    provider.speak('r', 'b', 500, false);
    provider.emit({ type: 'speechStarted', itemId: undefined });
    expect(provider.interruptions).toEqual([
      [
        { itemId: 'a', playedMs: takenMs, receivedMs: 1000 },
        { itemId: 'b', playedMs: 0, receivedMs: 500 },
      ],
    ]);
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'b', bytes: new Uint8Array(800) });
    expect(await pieces.next()).toMatchObject({ value: { itemId: 'a', isFinal: true, interrupted: true } });
    expect(await pieces.next()).toMatchObject({ value: { itemId: 'b', isFinal: true, interrupted: true } });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'cancelled', reason: undefined });
    provider.speak('s', 'c', 20);
    expect(await pieces.next()).toMatchObject({ value: { itemId: 'c', isFinal: false } });
    await stream.close();
  });

  it('asks whoever plays it how much was heard', async () => {
    const heard = new Map([['a', 250]]);
    const { provider, stream } = await start({ heardMs: (itemId) => heard.get(itemId) ?? Number.NaN });
    provider.speak('r', 'a', 1000);
    provider.speak('s', 'b', 200);
    void all(stream.audio);
    await settled();
    provider.emit({ type: 'speechStarted', itemId: undefined });
    expect(provider.interruptions[0]).toEqual([
      { itemId: 'a', playedMs: 250, receivedMs: 1000 },
      { itemId: 'b', playedMs: 0, receivedMs: 200 },
    ]);
    await stream.close();
  });

  it('tells the model of a function that fails, is unknown, writes no JSON or takes too long', async () => {
    const signals: AbortSignal[] = [];
    const { provider, clock, stream } = await start({
      functionMs: 1000,
      onFunctionCall: (_id, name, _args, signal) => {
        signals.push(signal);
        if (name === 'broken') throw new Error('no such table');
        return new Promise(() => undefined);
      },
    });
    const call = (callId: string, name: string, args: string): void =>
      provider.emit({ type: 'toolCall', responseId: 'r', callId, name, args });
    call('1', 'broken', '{}');
    call('2', 'slow', '{nonsense');
    call('3', 'slow', '');
    call('4', 'slow', '{}');
    await settled();
    provider.emit({ type: 'toolCallsCancelled', callIds: ['4'] });
    clock.advance(1000);
    await expect.poll(() => provider.results.length).toBe(3);
    expect(provider.results.map(({ callId, result }) => [callId, result.isError, result.output])).toEqual([
      ['1', true, 'no such table'],
      ['2', true, 'the arguments of slow are no JSON'],
      ['3', true, 'function slow took longer than 1000 ms'],
    ]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true, true]);
    await stream.close();
  });

  it('waits for the answer after the input has ended, and no longer', async () => {
    const { provider, clock, input, stream } = await start({ lingerMs: 2000 });
    input.say(100);
    input.end();
    const pieces = all(stream.audio);
    await expect.poll(() => provider.audio.length).toBe(8800);
    provider.emit({ type: 'responseStarted', responseId: 'r', asked: false });
    await settled();
    clock.advance(60_000);
    await settled();
    expect(provider.closedWith).toBeUndefined();
    provider.speak('r', 'a', 100);
    clock.advance(1999);
    await settled();
    expect(provider.closedWith).toBeUndefined();
    clock.advance(2001);
    await settled();
    clock.advance(2000);
    expect((await pieces).at(-1)).toMatchObject({ isFinal: true, interrupted: false });
    expect(provider.closedWith).toBe('the stream is over');
    expect(clock.pending).toBe(0);
  });

  it('does not pour a file into the session faster than it would be spoken', async () => {
    const { provider, clock, input, stream } = await start();
    for (let i = 0; i < 100; i++) input.say(100);
    await settled();
    expect(provider.audio.length / 8).toBe(600);
    for (let i = 0; i < 10; i++) {
      clock.advance(100);
      await settled();
    }
    expect(provider.audio.length / 8).toBe(1600);
    await stream.close();
    expect(input.returned).toBe(true);
  });

  it('takes pieces of any size, and tells of what the provider could not take', async () => {
    const warned: string[] = [];
    const { provider, clock, input, stream } = await start({ onWarning: (code) => warned.push(code) });
    input.say(10_000);
    await settled();
    expect(provider.audio.length / 8).toBe(600);
    for (let i = 0; i < 20; i++) {
      clock.advance(100);
      await settled();
    }
    expect(provider.audio.length / 8).toBe(2600);
    provider.emit({ type: 'warning', code: 'audio_dropped', message: '20 ms were dropped' });
    expect(warned).toEqual(['audio_dropped']);
    await stream.close();
  });

  it('ends both iterations with the error of the provider, and frees everything', async () => {
    const { provider, clock, stream } = await start();
    const audio = all(stream.audio);
    const texts = all(stream.transcripts);
    const error = new BridgeError('PROVIDER_CLOSED', 'gone');
    provider.emit({ type: 'error', error, fatal: true });
    await expect(audio).rejects.toBe(error);
    await expect(texts).rejects.toBe(error);
    await stream.close();
    expect(clock.pending).toBe(0);
  });

  it('ends with CANCELLED when its signal aborts, before and after the provider is there', async () => {
    const abort = new AbortController();
    const { stream } = await start({ signal: abort.signal });
    const audio = all(stream.audio);
    abort.abort();
    await expect(audio).rejects.toMatchObject({ code: 'CANCELLED' });
    const late = processAudioStream(new ManualProvider(), new Input(), { signal: abort.signal });
    await expect(late).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('closes a session that came when nobody wanted it any more', async () => {
    const abort = new AbortController();
    const late = new ManualProvider();
    const opening = processAudioStream(
      {
        name: 'late',
        capabilities: late.capabilities,
        async connect(request, sink) {
          const session = late.connect(request, sink, new AbortController().signal);
          await late.ready();
          abort.abort();
          return session;
        },
      },
      new Input(),
      { signal: abort.signal },
    );
    await expect(opening).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(late.closedWith).toBe('nobody waits for this session any more');
  });

  it('runs no more functions at once than anybody can want', async () => {
    const { provider, stream } = await start({ onFunctionCall: () => new Promise(() => undefined) });
    for (let i = 0; i < 65; i++) {
      provider.emit({ type: 'toolCall', responseId: 'r', callId: `c${i}`, name: 'f', args: '{}' });
    }
    await settled();
    expect(provider.results.map(({ callId, result }) => [callId, result.isError])).toEqual([['c64', true]]);
    await stream.close();
  });

  it('takes the next provider when one cannot be reached, and no other for a mistake of the program', async () => {
    await using down = await startOpenAiSimulator({
      faults: [{ when: { after: 'connect' }, do: 'http', status: 503 }],
    });
    await using up = await startOpenAiSimulator({ apiKey: 'sk-right' });
    const at = (baseUrl: string, apiKey: string): RealtimeProvider =>
      createOpenAiProvider({ apiKey, baseUrl, model: MODEL });
    const input = new Input();
    await using stream = await processAudioStream([at(down.url, 'sk-right'), at(up.url, 'sk-right')], input);
    expect(stream.provider).toBe('openai');
    expect(up.connections).toHaveLength(1);
    await expect(processAudioStream([at(up.url, 'sk-wrong')], new Input())).rejects.toMatchObject({
      code: 'PROVIDER_AUTH',
    });
    await expect(processAudioStream([], new Input())).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });

  it('asks for a session with everything that was said of it', async () => {
    const history: HistoryItem[] = [{ type: 'message', role: 'user', text: 'Hello?' }];
    const functions = [{ name: 'hours', description: 'Opening hours.', parameters: { type: 'object' } }];
    const turnDetection = { mode: 'semantic', eagerness: 'low' } as const;
    const { provider, clock, stream } = await start({
      inputFormat: { encoding: 'pcm16', rate: 16000 },
      outputFormat: MULAW_8K,
      instructions: 'Be brief.',
      greeting: 'Good day.',
      model: 'a-model',
      voice: 'a-voice',
      language: 'de-AT',
      turnDetection,
      transcribeInput: false,
      history,
      functions,
      extensions: { manual: { temperature: 1 }, other: { temperature: 2 } },
    });
    expect(provider.request).toEqual({
      instructions: 'Be brief.',
      model: 'a-model',
      voice: 'a-voice',
      language: 'de-AT',
      tools: functions,
      turnDetection,
      transcribeCaller: false,
      preferredFormats: [{ encoding: 'pcm16', rate: 16000 }],
      history,
      overrides: { temperature: 1 },
      clock,
    });
    expect(provider.said).toEqual(['Good day.']);
    await stream.close();
  });

  it('asks for a plain session when nothing was said of it, and says nothing first', async () => {
    const { provider, clock, stream } = await start();
    expect(provider.request).toEqual({
      instructions: '',
      model: undefined,
      voice: undefined,
      language: undefined,
      tools: [],
      turnDetection: {},
      transcribeCaller: true,
      preferredFormats: [MULAW_8K],
      history: [],
      overrides: {},
      clock,
    });
    expect(provider.said).toEqual([]);
    await stream.close();
  });

  it('sends the end of what was said when it has to be converted, and then a second of silence', async () => {
    const provider = new ManualProvider();
    provider.format = PCM16_24K;
    const input = new Input();
    const opening = processAudioStream(provider, input, {
      clock: new VirtualClock(),
      inputFormat: MULAW_8K,
    });
    await provider.ready();
    const stream = await opening;
    input.say(100);
    input.end();
    const transcoder = createTranscoder(MULAW_8K, PCM16_24K);
    const wanted = [
      [...transcoder.push(new Uint8Array(800).fill(0x80))],
      [...transcoder.flush()],
      [...transcoder.push(new Uint8Array(8_000).fill(0xff))],
    ];
    expect(wanted[1]?.some((byte) => byte !== 0)).toBe(true);
    await expect.poll(() => provider.audio.length).toBeGreaterThanOrEqual(1_100 * 48);
    await settled();
    expect(Buffer.from(provider.audio).equals(Buffer.from(wanted.flat()))).toBe(true);
    await stream.close();
  });

  it('goes on after an error that is not the end of the session', async () => {
    const { provider, stream } = await start();
    const pieces = stream.audio[Symbol.asyncIterator]();
    const error = new BridgeError('PROVIDER_REJECTED', 'that was wrong');
    provider.emit({ type: 'error', error, fatal: false });
    await settled();
    expect(provider.closedWith).toBeUndefined();
    provider.speak('r', 'a', 20);
    expect(await pieces.next()).toMatchObject({ value: { itemId: 'a', isFinal: false } });
    await stream.close();
  });

  it('does not end while a function runs, however long that takes', async () => {
    let finish: (value: string) => void = () => undefined;
    const { provider, clock, input, stream } = await start({
      lingerMs: 2_000,
      functionMs: 600_000,
      onFunctionCall: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const pieces = all(stream.audio);
    input.end();
    await settled();
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'hours', args: '{}' });
    for (let i = 0; i < 60; i += 1) {
      clock.advance(1_000);
      await settled();
    }
    expect(provider.closedWith).toBeUndefined();
    finish('until five');
    await expect.poll(() => provider.results.length).toBe(1);
    // The model is waited for from then on.
    clock.advance(1_900);
    await settled();
    expect(provider.closedWith).toBeUndefined();
    for (let i = 0; i < 4; i += 1) {
      clock.advance(1_000);
      await settled();
    }
    expect(await pieces).toEqual([]);
    expect(provider.closedWith).toBe('the stream is over');
    expect(clock.pending).toBe(0);
  });

  it('drops what waits when the provider has cut itself off, without any other word', async () => {
    const { provider, stream } = await start();
    const pieces = stream.audio[Symbol.asyncIterator]();
    provider.speak('r', 'a', 500, false);
    provider.emit({ type: 'interrupted', responseId: 'r' });
    expect(provider.interruptions).toEqual([[{ itemId: 'a', playedMs: 0, receivedMs: 500 }]]);
    provider.emit({ type: 'audio', responseId: 'r', itemId: 'a', bytes: new Uint8Array(800) });
    provider.emit({ type: 'responseDone', responseId: 'r', status: 'cancelled', reason: undefined });
    provider.speak('s', 'b', 20);
    expect(await pieces.next()).toMatchObject({ value: { itemId: 'a', isFinal: true, interrupted: true } });
    expect(await pieces.next()).toMatchObject({ value: { itemId: 'b', isFinal: false } });
    await stream.close();
  });

  it('dials no other provider after a failure that another would not mend', async () => {
    const open = (
      first: ManualProvider,
      second: ManualProvider,
      signal?: AbortSignal,
    ): Promise<AudioStream> =>
      processAudioStream([first, second], new Input(), {
        clock: new VirtualClock(),
        inputFormat: MULAW_8K,
        ...(signal === undefined ? {} : { signal }),
      });
    const [bad, unneeded] = [new ManualProvider(), new ManualProvider()];
    const opening = open(bad, unneeded);
    const error = new BridgeError('BAD_CONFIG', 'no such voice');
    await Promise.all([expect(opening).rejects.toBe(error), bad.fail(error)]);
    expect(unneeded.request).toBeUndefined();
    const [down, up] = [new ManualProvider(), new ManualProvider()];
    const { signal } = new AbortController();
    const other = open(down, up, signal);
    await down.fail(new BridgeError('PROVIDER_UNAVAILABLE', 'down'));
    expect(up.request).toBeDefined();
    // One is in use, and nothing is left of the other.
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await up.ready();
    await (await other).close();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('leaves nothing at a signal that outlives it, whoever ends it', async () => {
    const { signal } = new AbortController();
    const { provider, stream } = await start({ signal });
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    const texts = all(stream.transcripts);
    const error = new BridgeError('PROVIDER_CLOSED', 'gone');
    provider.emit({ type: 'closed', expected: false, error });
    await expect(texts).rejects.toBe(error);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const closed = await start({ signal });
    await closed.stream.close();
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('keeps no more words than somebody will read', async () => {
    const { provider, stream } = await start();
    for (let i = 0; i < 10_050; i++) {
      provider.emit({ type: 'transcript', role: 'user', itemId: `i${i}`, text: 'word', final: true });
    }
    const read = all(stream.transcripts);
    await stream.close();
    const texts: SpokenText[] = await read;
    expect(texts).toHaveLength(10_000);
    expect(texts.at(-1)?.itemId).toBe('i10049');
  });
});

describe('hooks', () => {
  it('are told of turns, interruptions, function calls and errors of every session, in order', async () => {
    const told: string[] = [];
    const provider = new ManualProvider();
    const hooked = withHooks(
      provider,
      {
        onTurn: ({ role, text }) => told.push(`1 ${role}: ${text}`),
        onInterrupt: ([heard]) => told.push(`1 heard ${heard?.playedMs}`),
        onToolCall: ({ name }) => told.push(`1 ${name}`),
        onError: ({ code }, fatal) => told.push(`1 ${code} ${fatal}`),
      },
      { onTurn: ({ role }) => told.push(`2 ${role}`) },
    );
    expect([hooked.name, hooked.capabilities]).toEqual([provider.name, provider.capabilities]);
    const opening = processAudioStream(hooked, new Input(), {
      clock: new VirtualClock(),
      inputFormat: MULAW_8K,
    });
    await provider.ready();
    const stream: AudioStream = await opening;
    provider.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Hel', final: false });
    provider.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Hello', final: true });
    provider.speak('r', 'a', 100, false);
    provider.emit({ type: 'speechStarted', itemId: undefined });
    provider.emit({ type: 'toolCall', responseId: 'r', callId: 'c', name: 'hours', args: '{}' });
    const minor = new BridgeError('PROVIDER_REJECTED', 'no');
    provider.emit({ type: 'error', error: minor, fatal: false });
    expect(told).toEqual(['1 user: Hello', '2 user', '1 heard 0', '1 hours', '1 PROVIDER_REJECTED false']);
    await stream.close();
  });

  it('that fail are a warning of the session, which goes on, and the others are told', async () => {
    const told: string[] = [];
    const warnings: string[] = [];
    const provider = new ManualProvider();
    const hooked = withHooks(
      provider,
      {
        onTurn: () => {
          throw new Error('hook broke');
        },
      },
      { onTurn: ({ text }) => told.push(text) },
    );
    const opening = hooked.connect(
      {
        instructions: '',
        voice: undefined,
        language: undefined,
        tools: [],
        turnDetection: {},
        transcribeCaller: true,
        preferredFormats: [],
        history: [],
        overrides: {},
        clock: new VirtualClock(),
      },
      (event) => warnings.push(event.type === 'warning' ? `${event.code}: ${event.message}` : event.type),
      new AbortController().signal,
    );
    await provider.ready();
    const session = await opening;
    provider.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Hello', final: true });
    expect(told).toEqual(['Hello']);
    expect(warnings).toEqual(['hook_failed: a hook failed: INTERNAL: hook broke', 'transcript']);
    await session.close('over');
  });

  it('that are async and fail are a warning as well', async () => {
    const warnings: string[] = [];
    const provider = new ManualProvider();
    const hooked = withHooks(provider, {
      onTurn: async () => {
        throw new Error('hook broke later');
      },
    });
    const stream = processAudioStream(hooked, new Input(), {
      clock: new VirtualClock(),
      onWarning: (code, message) => warnings.push(`${code}: ${message}`),
    });
    await provider.ready();
    provider.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Hello', final: true });
    await settled();
    expect(warnings).toEqual(['hook_failed: a hook failed: INTERNAL: hook broke later']);
    await (await stream).close();
  });

  it('change nothing of a provider: neither its model nor what it is told to say', async () => {
    const provider = Object.assign(new ManualProvider(), { model: 'a-model' });
    expect(withHooks(provider)).toBe(provider);
    const hooked = withHooks(provider, {});
    expect(hooked).not.toBe(provider);
    expect(hooked.model).toBe('a-model');
    const opening = hooked.connect(
      requestOf({ clock: new VirtualClock() }),
      () => undefined,
      new AbortController().signal,
    );
    await provider.ready();
    const session = await opening;
    session.say('Welcome.', true);
    session.say('Anything else?');
    session.say('Hm.', false);
    expect(provider.said).toEqual(['Welcome.', 'Anything else?', 'Hm.']);
    expect(provider.insisted).toEqual(['Welcome.']);
    await session.close('over');
  });

  it('that fail when the session is closed are told to nobody: `closed` is the last word', async () => {
    const told: string[] = [];
    let fail: (error: Error) => void = () => undefined;
    const provider = new ManualProvider();
    const hooked = withHooks(provider, {
      onTurn: () =>
        new Promise<void>((_, reject) => {
          fail = reject;
        }),
      onInterrupt: () => {
        throw new Error('hook broke');
      },
    });
    const opening = hooked.connect(
      requestOf({ clock: new VirtualClock() }),
      (event) => told.push(event.type),
      new AbortController().signal,
    );
    await provider.ready();
    const session = await opening;
    provider.emit({ type: 'transcript', role: 'user', itemId: 'u', text: 'Hello', final: true });
    await session.close('over');
    fail(new Error('hook broke late'));
    await settled();
    session.interrupt([{ itemId: 'a', playedMs: 0, receivedMs: 20 }]);
    expect(told).toEqual(['transcript', 'closed']);
  });

  it('are told of a session that did not come about', async () => {
    const told: string[] = [];
    await using openai = await startOpenAiSimulator({ apiKey: 'sk-right' });
    const provider = withHooks(
      createOpenAiProvider({ apiKey: 'sk-wrong', baseUrl: openai.url, model: MODEL }),
      {
        onError: ({ code }, fatal) => told.push(`${code} ${fatal}`),
      },
    );
    await expect(processAudioStream(provider, new Input())).rejects.toMatchObject({ code: 'PROVIDER_AUTH' });
    expect(told).toEqual(['PROVIDER_AUTH true']);
  });
});
