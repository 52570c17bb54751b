import { afterAll, describe, it } from 'vitest';
import { processAudioStream } from '../src/audio-stream.ts';
import type { ErrorCode } from '../src/errors.ts';
import { withHooks } from '../src/provider-hooks.ts';
import { LoopClock } from './support/loop-clock.ts';
import { fastClock, ProviderLine, requestOf, voiced } from './support/provider-line.ts';
import type { Answer, Refusal, Script, Stage, Subject } from './support/provider-subjects.ts';
import { Kinds, oneOfEach, typeMistakes } from './support/published-types.ts';
import { SentMessages } from './support/sent-messages.ts';
import { GEMINI_TYPES } from './support/subjects/gemini.ts';
import { NOVA_TYPES } from './support/subjects/nova.ts';
import { OPENAI_TYPES, SUBJECTS, VARIANTS, VOICE_LIVE_TYPES, XAI_TYPES } from './support/subjects.ts';

/** The same sentences for every provider, through its simulator. */

const sent = new SentMessages();
/** Of all services and of all sessions with them, so that a busy machine is slow for both. */
const clock = new LoopClock();
afterAll(() => {
  sent.stop();
  clock[Symbol.dispose]();
});

/** On a busy machine time is slow. */
const PATIENT = { timeout: 60_000 };

const CODES: Readonly<Record<Refusal, ErrorCode>> = {
  auth: 'PROVIDER_AUTH',
  config: 'PROVIDER_CONFIG',
  quota: 'PROVIDER_QUOTA',
  rate: 'PROVIDER_RATE_LIMITED',
  down: 'PROVIDER_UNAVAILABLE',
};

/** Somebody asks something, and then waits. */
async function* spoken(silenceMs: number): AsyncIterable<Uint8Array> {
  yield voiced(600);
  yield new Uint8Array(silenceMs * 16);
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

const ANSWER: Answer = { transcript: 'It is noon.', audioMs: 800 };
const CALL = { name: 'lookup', args: { what: 'the time' }, callId: 'call_one' };
const OTHER = { name: 'lookup', args: { what: 'the place' }, callId: 'call_two' };

async function startOf(subject: Subject, script: Script): Promise<Stage> {
  const stage = await subject.start({ clock, ...script });
  sent.listen(stage.host, subject.name);
  return {
    ...stage,
    async [Symbol.asyncDispose]() {
      sent.add(subject.name, stage.sent?.() ?? []);
      await stage[Symbol.asyncDispose]();
    },
  };
}

/** A session, the other end of it, and a caller who has not said anything. */
async function opened(subject: Subject, script: Script, over: Parameters<typeof ProviderLine.open>[1] = {}) {
  const stage = await startOf(subject, script);
  const line = await ProviderLine.open(stage.provider, { clock, ...over });
  const peer = await stage.nextPeer();
  const userSays = (ms = 600): void => line.callerSays(ms, subject.silenceMs);
  return {
    line,
    peer,
    userSays,
    async [Symbol.asyncDispose]() {
      await line.session.close('the test is over');
      await stage[Symbol.asyncDispose]();
    },
  };
}

describe.concurrent.each(SUBJECTS)('$name', PATIENT, (subject) => {
  const start = (script: Script): Promise<Stage> => startOf(subject, script);
  const open = (script: Script, over?: Parameters<typeof opened>[2]) => opened(subject, script, over);

  it('greets when it is told to, and the greeting is complete', async ({ expect }) => {
    await using on = await open({ answers: [{ transcript: 'Hello there.', audioMs: 700 }] });
    on.line.session.say('Hello there.');
    const started = await on.line.next('responseStarted');
    expect(started.asked).toBe(true);
    const done = await on.line.next('responseDone');
    expect(done).toMatchObject({ responseId: started.responseId, status: 'completed' });
    expect(on.line.audioMs(started.responseId)).toBe(700);
    await on.line.untilSaid('assistant: Hello there.');
    expect(on.line.of('audioDone')).toHaveLength(1);
    expect(on.peer.complaints()).toEqual([]);
  });

  it('answers the caller, and both are written down in the order in which they spoke', async ({ expect }) => {
    await using on = await open({ answers: [ANSWER, ANSWER], heard: ['What time is it?', 'Really?'] });
    on.userSays();
    const started = await on.line.next('responseStarted');
    expect(started.asked).toBe(false);
    await on.line.next('responseDone');
    await on.line.next('transcript', ({ role, final }) => role === 'user' && final);
    on.userSays();
    await on.line.next('responseDone');
    await on.line.next('transcript', ({ role, final }) => role === 'user' && final);
    expect(on.line.said).toEqual([
      'user: What time is it?',
      'assistant: It is noon.',
      'user: Really?',
      'assistant: It is noon.',
    ]);
    expect(on.line.audioMs()).toBe(1600);
    const finals = on.line.of('transcript').filter(({ final }) => final);
    expect(new Set(finals.map(({ itemId }) => itemId)).size).toBe(finals.length);
  });

  it('says nothing more of an answer that the caller cut in on, and all of the next', async ({ expect }) => {
    await using on = await open({
      answers: [
        { transcript: 'A very long answer that nobody wants to hear.', audioMs: 6000, speedFactor: 4 },
        ANSWER,
      ],
      heard: ['Stop.', 'Thanks.'],
    });
    on.line.session.say('Say something long.');
    const { responseId } = await on.line.next('responseStarted');
    await on.line.untilAudio(1000);
    on.line.sendVoice(500);
    const heard = on.line.cut(600);
    const before = on.line.audioMs(responseId);
    expect(heard).toMatchObject([{ playedMs: 600 }]);
    on.line.sendSilence(subject.silenceMs);
    const next = await on.line.next('responseStarted', (event) => event.responseId !== responseId);
    await on.line.next('responseDone', (event) => event.responseId === next.responseId);
    expect(on.line.audioMs(responseId)).toBe(before);
    expect(on.line.audioMs(next.responseId)).toBe(800);
    expect(on.line.of('responseDone').filter((event) => event.responseId === responseId)).toMatchObject([
      { status: 'cancelled' },
    ]);
    expect(on.peer.complaints()).toEqual([]);
  });

  it('calls a function and speaks of what it returned', async ({ expect }) => {
    await using on = await open({ answers: [{ toolCalls: [CALL] }, ANSWER], heard: ['What time is it?'] });
    on.userSays();
    const call = await on.line.next('toolCall');
    expect([call.name, JSON.parse(call.args)]).toEqual(['lookup', { what: 'the time' }]);
    on.line.session.sendToolResult(call.callId, {
      output: '{"time":"12:00"}',
      isError: false,
      respond: true,
    });
    await on.line.untilSaid('assistant: It is noon.');
    expect(on.peer.toolResults()).toEqual([{ callId: call.callId, output: '{"time":"12:00"}' }]);
    expect(on.line.of('toolCall')).toHaveLength(1);
  });

  it('calls two functions at once, and takes the results in any order', async ({ expect }) => {
    await using on = await open({
      answers: [{ toolCalls: [CALL, OTHER] }, ANSWER, ANSWER],
      heard: ['Both?'],
    });
    on.userSays();
    const [one, two] = [await on.line.next('toolCall'), await on.line.next('toolCall')];
    const result = { output: '{"ok":true}', isError: false, respond: true };
    on.line.session.sendToolResult(two.callId, result);
    on.line.session.sendToolResult(one.callId, result);
    await on.line.untilSaid('assistant: It is noon.');
    expect(
      on.peer
        .toolResults()
        .map(({ callId }) => callId)
        .sort(),
    ).toEqual([one.callId, two.callId].sort());
    expect(on.peer.complaints()).toEqual([]);
  });

  it('goes on after a function whose result comes when the caller has cut in', async ({ expect }) => {
    await using on = await open({
      answers: [{ toolCalls: [CALL] }, ANSWER, ANSWER],
      heard: ['Look it up.', 'Never mind.'],
    });
    on.userSays();
    const call = await on.line.next('toolCall');
    expect(on.peer.callOff !== undefined).toBe(subject.capabilities.cancelsTools);
    if (on.peer.callOff !== undefined) {
      on.peer.callOff(call.callId);
      expect((await on.line.next('toolCallsCancelled')).callIds).toEqual([call.callId]);
    }
    on.line.sendVoice(500);
    on.line.cut(0);
    on.line.session.sendToolResult(call.callId, {
      output: '{"error":"cancelled"}',
      isError: true,
      respond: false,
    });
    on.line.sendSilence(subject.silenceMs);
    await on.line.untilSaid('assistant: It is noon.');
    expect(on.peer.complaints()).toEqual([]);
  });

  it('reads text, and answers it when it is asked to', async ({ expect }) => {
    // Where text cannot be told without an answer, an answer is spent on the first, and nobody hears it.
    await using on = await open({ answers: [ANSWER, ANSWER] });
    on.line.session.sendText('The caller pressed 1.', { role: 'system', respond: false });
    on.line.session.sendText('What is the time?', { role: 'user', respond: true });
    expect((await on.line.next('responseStarted')).asked).toBe(true);
    await on.line.untilSaid('assistant: It is noon.');
    const texts = on.peer
      .seen()
      .map(({ text }) => text)
      .join('\n');
    expect(texts).toMatch(/pressed 1[\s\S]*What is the time/);
    expect(on.peer.complaints()).toEqual([]);
  });

  it('knows what was said before, and does not speak of it unasked', async ({ expect }) => {
    await using on = await open(
      { answers: [ANSWER], heard: ['And now?'] },
      {
        history: [
          { type: 'message', role: 'user', text: 'I am calling about my bicycle.' },
          {
            type: 'tool',
            callId: 'old',
            name: 'lookup',
            args: '{"what":"bicycle"}',
            output: '{"colour":"green"}',
          },
          { type: 'message', role: 'assistant', text: 'The green one?' },
          { type: 'message', role: 'system', text: 'The call continues.' },
        ],
      },
    );
    on.userSays();
    expect((await on.line.next('responseStarted')).asked).toBe(false);
    await on.line.untilSaid('assistant: It is noon.');
    const everything = JSON.stringify(on.peer.received);
    expect(everything).toContain('The call continues.');
    const order = ['my bicycle', 'green', 'The green one?'].map((text) => everything.indexOf(text));
    expect(order).toEqual([...order].sort((a, b) => a - b));
    expect(order).not.toContain(-1);
    expect(on.line.of('responseStarted')).toHaveLength(1);
    expect(on.peer.complaints()).toEqual([]);
  });

  it('answers what the caller said last before it was there', async ({ expect }) => {
    await using on = await open(
      { answers: [ANSWER] },
      { history: [{ type: 'message', role: 'user', text: 'What time is it?' }] },
    );
    await on.line.untilSaid('assistant: It is noon.');
    expect(on.peer.complaints()).toEqual([]);
  });

  it('says what it charges for', async ({ expect }) => {
    await using on = await open({ answers: [ANSWER], heard: ['What time is it?'] });
    on.userSays();
    await on.line.next('responseDone');
    const { usage, seconds } = await on.line.next('usage', (event) => event.model === undefined);
    const tokens = Object.values(usage).reduce((sum, count) => sum + count, 0);
    expect(tokens > 0 || (seconds ?? 0) > 0).toBe(true);
    for (const count of Object.values(usage)) expect(Number.isInteger(count) && count >= 0).toBe(true);
  });

  it('says ahead that the session comes to its end, and goes on till then', async ({ expect }) => {
    await using on = await open({ expiringAfterMs: 300, answers: [ANSWER] });
    const { inMs } = await on.line.next('expiring');
    expect(inMs).toBeGreaterThan(1000);
    on.line.session.say('What time is it?');
    expect((await on.line.next('responseDone')).status).toBe('completed');
    expect(on.peer.isOpen).toBe(true);
  });

  it.each(Object.entries(CODES))('is refused with an error of its class: %s is %s', async (why, code) => {
    await using stage = await start({ refuse: why as Refusal });
    const error = await ProviderLine.refused(stage.provider, { clock });
    if (error.code !== code) throw new Error(`found ${error.message}, wanted ${code}`);
  });

  it('is given up when its handshake takes too long, and nothing stays open', async ({ expect }) => {
    await using stage = await start({ handshakeDelayMs: 5000, connectTimeoutMs: 100 });
    expect((await ProviderLine.refused(stage.provider, { clock })).code).toBe('TIMEOUT');
  });

  it('waits for a handshake that is only slow', async ({ expect }) => {
    await using on = await open({ handshakeDelayMs: 150, connectTimeoutMs: 20_000, answers: [ANSWER] });
    on.line.session.sendText('What time is it?', { role: 'user', respond: true });
    await on.line.untilSaid('assistant: It is noon.');
    expect(on.peer.complaints()).toEqual([]);
  });

  it('is not connected to when nobody wants it any more', async ({ expect }) => {
    await using stage = await start({ handshakeDelayMs: 60_000 });
    const abort = new AbortController();
    const refused = ProviderLine.refused(stage.provider, { clock }, abort.signal);
    abort.abort();
    expect((await refused).code).toBe('CANCELLED');
  });

  it('is missed when its connection stands and says nothing', async ({ expect }) => {
    await using on = await open(
      {
        faults: [{ when: { after: 'audioMs', value: 200 }, do: 'stall' }],
        connectTimeoutMs: 600_000,
        answers: [ANSWER],
      },
      {
        clock: fastClock(60, clock),
      },
    );
    on.line.session.say('What time is it?');
    const closed = await on.line.next('closed');
    expect(closed.expected).toBe(false);
    expect(closed.error?.verdict.failOver).toBe(true);
  });

  it('is missed when it drops the call in the middle of a sentence', async ({ expect }) => {
    await using on = await open({
      answers: [{ transcript: 'A long story.', audioMs: 60_000, speedFactor: 4 }],
    });
    on.line.session.say('Tell me a long story.');
    // Not before something of it was heard: what a reset overtakes is lost, and that may be all of it.
    await on.line.untilAudio(100);
    on.peer.drop();
    const closed = await on.line.next('closed');
    expect(closed.expected).toBe(false);
    expect(closed.error).toMatchObject({ code: 'PROVIDER_CLOSED' });
    expect(closed.error?.verdict).toMatchObject({ failOver: true });
    expect(on.line.audioMs()).toBeLessThan(60_000);
    expect(on.line.events.at(-1)).toBe(closed);
  });

  it.each(['malformed', 'unknown-event', 'huge'] as const)(
    'goes on after a message that is %s',
    async (fault) => {
      await using on = await open({
        faults: [{ when: { after: 'audioMs', value: 100 }, do: fault }],
        answers: [{ ...ANSWER, speedFactor: 20 }, ANSWER],
      });
      on.line.session.say('What time is it?');
      await on.line.next('responseDone');
      on.line.session.say('And now?');
      const done = await on.line.next('responseDone');
      if (done.status !== 'completed' || on.line.audioMs() !== 1600) throw new Error(JSON.stringify(done));
    },
  );

  it('can be used without calls, and whoever wants to is told of its sessions', async ({ expect }) => {
    await using stage = await start({
      answers: [{ toolCalls: [CALL] }, ANSWER],
      heard: ['What time is it?'],
    });
    const told: string[] = [];
    const provider = withHooks(stage.provider, {
      onTurn: ({ role, text }) => told.push(`${role}: ${text.trim()}`),
      onToolCall: ({ name }) => told.push(`function ${name}`),
    });
    await using stream = await processAudioStream(provider, spoken(subject.silenceMs), {
      inputFormat: { encoding: 'pcm16', rate: 8000 },
      functions: requestOf().tools,
      onFunctionCall: (_id, name, args) => ({ name, args, time: '12:00' }),
      lingerMs: 1500,
      clock,
    });
    const [pieces, texts] = await Promise.all([all(stream.audio), all(stream.transcripts)]);
    const final = texts.filter(({ isFinal }) => isFinal).map(({ text, isInput }) => [isInput, text.trim()]);
    expect(final).toContainEqual([true, 'What time is it?']);
    expect(final).toContainEqual([false, 'It is noon.']);
    const bytes = pieces.reduce((sum, { audio }) => sum + audio.length, 0);
    // A resampler has a tail.
    expect([800, 802]).toContain(Math.round(bytes / 16));
    expect(pieces.filter(({ isFinal }) => isFinal)).toHaveLength(1);
    expect(told).toEqual(
      expect.arrayContaining(['user: What time is it?', 'function lookup', 'assistant: It is noon.']),
    );
    const peer = await stage.nextPeer();
    expect(
      peer
        .toolResults()
        .map(({ output }) => output)
        .join(),
    ).toContain('12:00');
    await peer.closed;
  });

  it('is closed by us once, whatever is under way', async ({ expect }) => {
    await using on = await open({ answers: [{ audioMs: 20_000, transcript: 'Long.', speedFactor: 2 }] });
    on.line.session.say('Say something long.');
    await on.line.untilAudio(200);
    await Promise.all([on.line.session.close('over'), on.line.session.close('over')]);
    expect(on.line.of('closed')).toMatchObject([{ expected: true }]);
    await on.peer.closed;
    on.line.session.say('Nobody hears this.');
    on.line.sendSilence(20);
    expect(on.line.events.at(-1)?.type).toBe('closed');
  });
});

describe.concurrent.each(VARIANTS)('$subject.name', PATIENT, ({ subject, request }) => {
  it('greets, hears, calls a function and answers, and the service objects to nothing', async ({
    expect,
  }) => {
    await using on = await opened(
      subject,
      { answers: [{ transcript: 'Hello.', audioMs: 400 }, { toolCalls: [CALL] }, ANSWER] },
      {
        ...request,
        history: [
          { type: 'message', role: 'user', text: 'I am calling about my bicycle.' },
          { type: 'message', role: 'assistant', text: 'The green one?' },
        ],
      },
    );
    on.line.session.say('Hello.');
    await on.line.next('responseDone');
    on.userSays();
    const { callId, name } = await on.line.next('toolCall');
    expect(name).toBe('lookup');
    on.line.session.sendToolResult(callId, { output: '{"time":"12:00"}', isError: false, respond: true });
    await on.line.untilSaid('assistant: It is noon.');
    expect(on.line.of('warning')).toEqual([]);
    expect(on.peer.complaints()).toEqual([]);
  });
});

describe('what is sent in all of these', () => {
  it('is known to the types that the makers publish, field by field', PATIENT, async ({ expect }) => {
    const groups = [...SUBJECTS, ...VARIANTS.map(({ subject }) => subject)].flatMap(({ name, published }) => {
      const kinds = sent.to(name);
      // Without messages somebody wants to see this test alone.
      if (published === undefined || kinds === undefined) return [];
      expect([name, kinds.leftOut]).toEqual([name, []]);
      return [{ name, ...published, messages: kinds.messages }];
    });
    for (const { name, messages } of groups) expect([name, messages.length > 3]).toEqual([name, true]);
    expect(await typeMistakes(groups)).toEqual([]);
  });

  it('is not, when there is a field too many, however deep, or a wrong one', PATIENT, async ({ expect }) => {
    const session = { type: 'realtime', audio: { input: { format: { type: 'audio/pcmu' } } } };
    const messages = [
      { type: 'session.update', session },
      { type: 'session.update', session: { ...session, temperature: 0.8 } },
      { type: 'session.update', session: { type: 'realtime', audio: { input: { codec: 'pcmu' } } } },
      { type: 'input_audio_buffer.append', audio: 7 },
    ];
    const block = { promptName: 'p', contentName: 'c' };
    const item = { type: 'force_message', role: 'assistant', content: [], voice: 'eve' };
    const mistakes = await typeMistakes([
      { name: 'OpenAI', ...OPENAI_TYPES, messages },
      { name: 'Gemini', ...GEMINI_TYPES, messages: [{ setup: { generationConfig: { voice: 'Puck' } } }] },
      { name: 'Nova', ...NOVA_TYPES, messages: [{ event: { contentEnd: { ...block, stopReason: 'END' } } }] },
      {
        name: 'Voice Live',
        ...VOICE_LIVE_TYPES,
        messages: [
          { type: 'session.update', session: { turn_detection: { type: 'server_vad', languages: [] } } },
        ],
      },
      { name: 'xAI', ...XAI_TYPES, messages: [{ type: 'conversation.item.create', item }] },
    ]);
    expect(mistakes.join('\n')).toMatch(
      /temperature[\s\S]*codec[\s\S]*number[\s\S]*Gemini: [\s\S]*Nova: [\s\S]*Voice Live: [\s\S]*xAI: /,
    );
    expect(mistakes).toHaveLength(7);
  });

  it('is not, when a word is wrong in a message like one that is right', PATIENT, async ({ expect }) => {
    const told = (scheduling: string) => ({
      toolResponse: { functionResponses: [{ id: 'a1', name: 'lookup', response: {}, scheduling }] },
    });
    const hears = (startOfSpeechSensitivity: string) => ({
      setup: { realtimeInputConfig: { automaticActivityDetection: { startOfSpeechSensitivity } } },
    });
    const turns = (turn_detection: object) => ({
      type: 'session.update',
      session: { type: 'realtime', audio: { input: { turn_detection } } },
    });
    const noise = (type: string) => ({
      type: 'session.update',
      session: { input_audio_noise_reduction: { type } },
    });
    const rate = (sampleRateHertz: number) => ({
      event: {
        contentStart: {
          promptName: 'p',
          contentName: 'c',
          type: 'AUDIO',
          interactive: true,
          role: 'USER',
          audioInputConfiguration: {
            mediaType: 'audio/lpcm',
            sampleRateHertz,
            sampleSizeBits: 16,
            channelCount: 1,
            audioType: 'SPEECH',
            encoding: 'base64',
          },
        },
      },
    });
    const effort = (word: string) => ({ type: 'session.update', session: { reasoning: { effort: word } } });
    const right = [
      told('SILENT'),
      told('WHEN_IDLE'),
      hears('START_SENSITIVITY_LOW'),
      turns({ type: 'semantic_vad', eagerness: 'low' }),
      noise('near_field'),
      rate(8_000),
      effort('high'),
    ];
    const wrong = [
      told('SOMETIME'),
      hears('START_SENSITIVITY_MEDIUM'),
      turns({ type: 'semantic_vad', eagerness: 'eager' }),
      noise('deep'),
      rate(11_025),
      effort('low'),
    ];
    const kinds = oneOfEach([...right, ...right, ...wrong]);
    expect(kinds).toEqual([...right, ...wrong]);
    const of = (types: { module: string; type: string }, tells: (message: object) => boolean) => ({
      name: types.type,
      ...types,
      messages: kinds.filter((message) => tells(message as object)),
    });
    const text = (message: object): string => JSON.stringify(message);
    const mistakes = await typeMistakes([
      of(GEMINI_TYPES, (message) => 'setup' in message || 'toolResponse' in message),
      of(OPENAI_TYPES, (message) => text(message).includes('eagerness')),
      of(VOICE_LIVE_TYPES, (message) => text(message).includes('noise')),
      of(NOVA_TYPES, (message) => 'event' in message),
      of(XAI_TYPES, (message) => text(message).includes('effort')),
    ]);
    const found = mistakes.map((mistake) =>
      mistake
        .split('\n')
        .at(-1)
        ?.replace(/^\w+: /, ''),
    );
    expect(found).toEqual(wrong.map(text));
  });

  it('is never left out without a word', ({ expect }) => {
    const kinds = new Kinds();
    const word = (at: number): string => [...String(at)].map((digit) => 'abcdefghij'[Number(digit)]).join('');
    for (let at = 0; at < 502; at += 1) kinds.add({ type: word(at), text: `${at}`, event_id: word(at) });
    expect([kinds.messages.length, kinds.leftOut.length]).toEqual([500, 2]);
    for (let at = 0; at < 502; at += 1) kinds.add({ type: 'a', text: word(at), event_id: word(at) });
    expect([kinds.messages.length, kinds.leftOut.length]).toEqual([500, 2]);
  });
});
