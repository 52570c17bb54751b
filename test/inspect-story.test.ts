import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { MULAW_8K } from '../src/audio/format.ts';
import { encodeG711 } from '../src/audio/g711.ts';
import type { Line } from '../src/recording/format.ts';
import { redactCall } from '../src/recording/redact.ts';
import { readCall } from '../src/recording/stored-call.ts';
import { spreadOf } from '../src/recording/story/answers.ts';
import { hearingOf } from '../src/recording/story/ear.ts';
import type { StreamHearing } from '../src/recording/story/hearing.ts';
import { mediaFact } from '../src/recording/story/messages.ts';
import { saidOf } from '../src/recording/story/said.ts';
import { voiceOf } from '../src/recording/story/voice.ts';
import { readStory, type Story, storyOf } from '../src/recording/story.ts';
import { CallMaker, eventfulCall } from './support/stored-call.ts';

const rateOf = (): number => 8000;

/** The one stream of a call. */
function hearing(call: CallMaker, endMs = 60_000): StreamHearing {
  const [stream] = hearingOf(call.stored().lines, rateOf, endMs);
  if (stream === undefined) throw new Error('no stream');
  return stream;
}

/** `from-to` in ms, of pieces. */
function places(pieces: readonly { readonly atMs: number; readonly ms: number }[]): string[] {
  return pieces.map(({ atMs, ms }) => `${Math.round(atMs)}-${Math.round(atMs + ms)}`);
}

function textsOf({ findings }: Story): string[] {
  return findings.map(({ level, text }) => `${level}: ${text}`);
}

describe('messages of media streams', () => {
  const payload = { wav: 'agent', at: 160, n: 160 };

  it('mean the same, whichever carrier speaks', () => {
    const rows = [
      [
        { event: 'media', media: { track: 'inbound', timestamp: '40', payload } },
        { kind: 'audio', ref: payload, atMs: 40 },
      ],
      [
        { event: 'playAudio', media: { contentType: 'audio/x-mulaw', payload } },
        { kind: 'audio', ref: payload, atMs: undefined },
      ],
      [
        { event: 'mark', mark: { name: 'g0.m1' } },
        { kind: 'mark', name: 'g0.m1' },
      ],
      [
        { event: 'checkpoint', streamId: 's', name: 'g0.m1' },
        { kind: 'mark', name: 'g0.m1' },
      ],
      [
        { event: 'playedStream', streamId: 's', name: 'g0.m1' },
        { kind: 'mark', name: 'g0.m1' },
      ],
      [{ event: 'clear', streamSid: 's' }, { kind: 'clear' }],
      [{ event: 'clearAudio', streamId: 's' }, { kind: 'clear' }],
      [{ event: 'clearedAudio', streamId: 's' }, { kind: 'cleared' }],
      [
        { event: 'dtmf', dtmf: { digit: '#' } },
        { kind: 'keys', keys: '#' },
      ],
      [
        { event: 'sendDTMF', dtmf: '12' },
        { kind: 'keys', keys: '12' },
      ],
      [
        { event: 'start', start: { mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000 } } },
        { kind: 'start', codec: 'audio/x-mulaw/8000' },
      ],
      [
        { event: 'start', start: { media_format: { encoding: 'PCMU', sample_rate: 8000 } } },
        { kind: 'start', codec: 'PCMU/8000' },
      ],
      [
        { event: 'error', error: { title: 'rate_limit_reached', code: '100005' } },
        { kind: 'error', text: 'rate_limit_reached: 100005' },
      ],
    ] as const;
    for (const [message, fact] of rows) expect(mediaFact(message)).toEqual(fact);
  });

  it('may be anything', () => {
    for (const message of [
      undefined,
      null,
      7,
      'text',
      [],
      {},
      { event: 7 },
      { event: 'media' },
      { event: 'mark', mark: 1 },
    ])
      expect(mediaFact(message).kind).toMatch(/other|mark/);
  });

  it('leave the voice of the agent out that comes back', () => {
    expect(mediaFact({ event: 'media', media: { track: 'outbound', payload } })).toEqual({
      kind: 'other',
      name: 'media',
    });
  });
});

describe('what was heard', () => {
  it('begins when the first mark comes back, and goes on for as long as was sent', () => {
    const stream = hearing(new CallMaker().agent(1000, 'a', 3000));
    expect(places(stream.heard)).toEqual(['1080-4080']);
    expect(stream.unheard).toEqual([]);
    expect(stream.marks.every(({ fate }) => fate === 'echoed')).toBe(true);
    expect(Math.max(...stream.lead.map(({ leadMs }) => leadMs))).toBeCloseTo(1160, -1);
  });

  it('ends where the carrier was told to clear: the rest is lost', () => {
    const stream = hearing(new CallMaker().agent(1000, 'a', 6000, { cutAt: 3000 }));
    expect(places(stream.heard)).toEqual(['1080-3000']);
    expect(places(stream.unheard)).toEqual(['3000-4080']);
    expect(stream.clears).toEqual([{ atMs: 3000, conn: 1, lostMs: 1080 }]);
    expect(new Set(stream.marks.map(({ fate }) => fate))).toEqual(new Set(['echoed', 'cleared']));
  });

  it('does not believe marks that come back because of the clear', () => {
    const call = new CallMaker().agent(1000, 'a', 6000, { cutAt: 3000 }).agent(5000, 'b', 1000);
    expect(places(hearing(call).heard)).toEqual(['1080-3000', '5080-6080']);
  });

  it('goes by the clock where no mark ever comes back', () => {
    const stream = hearing(new CallMaker().agent(1000, 'a', 3000, { echoes: 'none' }));
    expect(places(stream.heard)).toEqual(['1020-4020']);
    expect(stream.marks.every(({ fate }) => fate === 'lost')).toBe(true);
  });

  it('counts a clear before the first mark is back as nothing heard', () => {
    const call = new CallMaker().agent(1000, 'a', 3000, { cutAt: 1050, echoes: 'none' });
    expect(places(hearing(call).heard)).toEqual([]);
  });

  it('has a hole where the carrier ran dry', () => {
    const stream = hearing(new CallMaker().agent(1000, 'a', 2600, { everyMs: 250 }));
    expect(stream.holes.length).toBeGreaterThan(2);
    expect(stream.heard.reduce((sum, { ms }) => sum + ms, 0)).toBeCloseTo(2600, 3);
  });

  it('is over when the stream is, and marks that could not have come back by then are not lost', () => {
    const call = new CallMaker().agent(1000, 'a', 4000, { echoes: 'none' });
    call.add({ t: 2200, on: 'carrier', dir: 'in', conn: 1, ctl: { type: 'close', code: 1000, reason: '' } });
    const stream = hearing(call);
    expect(places(stream.heard)).toEqual(['1020-2200']);
    expect(stream.marks).toEqual([]);
  });

  /** Three seconds that were handed over at once, and the marks behind each of them, which come back at these times. */
  function marksBackAt(...backMs: readonly number[]): string[] {
    const call = new CallMaker();
    const mark = (t: number, dir: 'in' | 'out', number: number): unknown =>
      call.carrier(t, dir, { event: 'mark', mark: { name: `m${number}` } });
    mark(1000, 'out', 0);
    for (const number of [1, 2, 3]) {
      const payload = call.audio('agent', MULAW_8K, 1000, 9000);
      call.carrier(1000, 'out', { event: 'media', media: { payload } });
      mark(1000, 'out', number);
    }
    for (const [number, t] of backMs.entries()) mark(t, 'in', number);
    return places(hearing(call).heard);
  }

  it('goes on late from a mark that is late, if those after it are late as well', () => {
    expect(marksBackAt(1050, 2050, 3050, 4050)).toEqual(['1050-4050']);
    expect(marksBackAt(1050, 2450, 3450, 4450)).toEqual(['1050-2050', '2450-4450']);
    // Only held up on its way.
    expect(marksBackAt(1050, 2450, 3050, 4050)).toEqual(['1050-4050']);
    expect(marksBackAt(1350, 2050, 3050, 4050)).toEqual(['1050-4050']);
  });

  it('is one stretch while silence keeps the line open, from which speech starts with a mark of its own', () => {
    const call = new CallMaker();
    for (let i = 0; i < 100; i += 1) {
      const payload = call.audio('agent', MULAW_8K, 20, 0);
      call.carrier(1000 + 20.01 * i, 'out', { event: 'media', media: { payload } });
    }
    const { stretches } = hearing(call.agent(3001, 'a', 1000));
    expect(stretches.length).toBeLessThan(4);
    expect(hearing(call).heard.at(-1)?.atMs).toBeCloseTo(3081, -1);
  });
});

describe('what was said', () => {
  const frame = (call: CallMaker, t: number, timestamp?: number): unknown =>
    call.carrier(t, 'in', {
      event: 'media',
      media: {
        track: 'inbound',
        ...(timestamp === undefined ? {} : { timestamp: String(timestamp) }),
        payload: call.audio('caller', MULAW_8K, 20, 8000),
      },
    });

  it('lies where the times of the carrier say, as early as audio ever came', () => {
    const call = new CallMaker();
    for (const [index, t] of [320, 410, 361, 700].entries()) frame(call, t, index * 20);
    expect(places(saidOf(call.stored().lines, rateOf))).toEqual(['300-320', '320-340', '340-360', '360-380']);
  });

  it('is one piece where the carrier gives no times and comes in bursts', () => {
    const call = new CallMaker();
    for (let i = 0; i < 10; i += 1) frame(call, 320 + 20 * i);
    // Nothing for a second, and then all of it.
    for (let i = 0; i < 50; i += 1) frame(call, 1501);
    const pieces = saidOf(call.stored().lines, rateOf);
    expect(places(pieces.slice(9, 11))).toEqual(['480-500', '501-521']);
    expect(places(pieces.slice(-1))).toEqual(['1481-1501']);
  });

  it('does not run away with a carrier whose clock is fast, nor fall behind with one whose clock is slow', () => {
    for (const everyMs of [19.98, 20.02]) {
      for (const hasTimes of [true, false]) {
        const call = new CallMaker();
        for (let i = 0; i < 30_000; i += 1) frame(call, 300 + everyMs * i, hasTimes ? 20 * i : undefined);
        const last = saidOf(call.stored().lines, rateOf).at(-1);
        expect(Math.abs((last?.atMs ?? 0) - (300 + everyMs * 29_999)), `${everyMs} ${hasTimes}`).toBeLessThan(
          550,
        );
      }
    }
  });
});

describe('where there is voice', () => {
  it('is where it is louder than the noise of the line', () => {
    const samples = new Int16Array(8000 * 4);
    for (let i = 0; i < samples.length; i += 1) {
      const isVoice = i >= 8000 && i < 16_000;
      samples[i] = (isVoice ? 6000 : 500) * Math.sin(i * 0.7) * Math.sin(i * 0.013);
    }
    const spans = voiceOf(encodeG711('mulaw', samples));
    expect(spans).toHaveLength(1);
    expect(spans[0]?.startMs).toBeCloseTo(1000, -2);
    expect(spans[0]?.endMs).toBeCloseTo(2000, -2);
    expect(voiceOf(new Uint8Array(8000).fill(0xff))).toEqual([]);
    expect(voiceOf(new Uint8Array(0))).toEqual([]);
  });
});

describe('the story of a call', () => {
  const { story, tracks } = readStory(eventfulCall());

  it('has the turns in the order in which they were heard, cut where the caller cut in', () => {
    expect(
      story.turns.map(({ role, startMs, endMs }) => [role, Math.round(startMs), Math.round(endMs)]),
    ).toEqual([
      ['assistant', 480, 2980],
      ['user', 4000, 5500],
      ['assistant', 6380, 8500],
      ['user', 8200, 9600],
      ['assistant', 11_380, 13_380],
      ['user', 15_000, 16_500],
      ['assistant', 19_680, 22_680],
      ['user', 26_000, 27_000],
      ['assistant', 27_780, 29_280],
    ]);
    const cut = story.turns[2];
    expect(cut?.interrupted).toBe(true);
    const heard = cut?.words.flatMap(({ text, heard: isHeard }) => (isHeard ? [text] : [])).join(' ');
    expect(heard).toBe('We have a double room with a view of');
    expect(cut?.words.every(({ atMs }) => atMs >= 6380 && atMs <= 8501)).toBe(true);
  });

  it('says how long the caller waited for each answer, and how long the agent spoke on', () => {
    const asked = story.answers.map(({ stoppedMs, sentMs, heardMs }) => [stoppedMs, sentMs, heardMs]);
    expect(asked).toEqual([
      [undefined, 420, 480],
      [5500, 6320, 6380],
      [9600, 11_320, 11_380],
      [16_500, 19_620, 19_680],
      [27_000, 27_720, 27_780],
    ]);
    expect(story.cutIns).toEqual([{ spokeMs: 8200, clearMs: 8500, by: 'provider', lostMs: 1080 }]);
  });

  it('has functions with what they were given, what they returned and how long they took', () => {
    expect(story.functions).toMatchObject([
      {
        name: 'book_room',
        startMs: 10_000,
        endMs: 10_900,
        args: { room: 'single', nights: 1 },
        result: { booked: true },
        outcome: 'done',
        isError: false,
      },
      {
        name: 'send_mail',
        startMs: 23_000,
        endMs: 24_000,
        result: { message: 'the mail server is away' },
        outcome: 'failed',
        isError: true,
      },
    ]);
  });

  it('has keys, providers, truncations and the end', () => {
    expect(story.keys).toEqual([{ atMs: 14_000, key: '5' }]);
    expect(story.spans.map(({ provider, fromMs, toMs }) => [provider, fromMs, toMs])).toEqual([
      ['openai', 180, 17_201],
      ['gemini', 17_800, 31_020],
    ]);
    expect(story.truncations).toEqual([{ atMs: 8501, itemId: 'item_2', heardMs: 2120 }]);
    expect(story.end).toEqual({ atMs: 31_020, reason: 'caller-hung-up' });
  });

  it('says first what failed, then what was slow', () => {
    expect(textsOf(story)).toEqual([
      'bad: Provider openai was lost in mid-call (PROVIDER_CLOSED); gemini took over.',
      'bad: Function send_mail failed (failed).',
      'slow: The caller waited 3.2 s for an answer.',
      'slow: The caller waited 3.1 s in silence until gemini spoke.',
      'note: provider: closed 1011 (keepalive ping timeout)',
    ]);
  });

  it('puts sound where it was heard', () => {
    const isLoud = (track: Uint8Array, ms: number): boolean =>
      track.subarray(ms * 8, ms * 8 + 80).some((code) => code !== 0xff);
    expect([isLoud(tracks.said, 4500), isLoud(tracks.said, 6500)]).toEqual([true, false]);
    expect([isLoud(tracks.heard, 400), isLoud(tracks.heard, 600), isLoud(tracks.heard, 8600)]).toEqual([
      false,
      true,
      false,
    ]);
    expect([isLoud(tracks.unheard, 8600), isLoud(tracks.unheard, 8400)]).toEqual([true, false]);
  });

  it('can be told of every beginning of it: a process may die at any moment', () => {
    const whole = eventfulCall();
    const { end: _end, ...call } = whole.call;
    for (let count = 0; count <= whole.lines.length; count += 97) {
      const part = storyOf({ ...whole, call, lines: whole.lines.slice(0, count) });
      expect(part.recording.complete).toBe(false);
      expect(textsOf(part).join()).toContain('The recording is not complete');
    }
  });

  it('has what was said so far of a turn that was still being said when its process died', () => {
    const call = new CallMaker({ end: undefined }).opens().agent(1000, 'a', 3000);
    for (const [at, text] of ['One', 'One two', 'One two three'].entries()) {
      const said = { type: 'transcript', role: 'assistant', itemId: 'a', text, final: false } as const;
      call.call(1200 + 300 * at, said);
    }
    expect(storyOf(call.stored()).turns.map(({ text }) => text)).toEqual(['One two three']);
  });

  it('is not complete when a call of the simulated phone has no end either', () => {
    for (const how of ['recorded', 'simulated'] as const) {
      const call = new CallMaker({ end: undefined, origin: { how } }).opens();
      expect(storyOf(call.stored()).recording.complete).toBe(false);
    }
    const written = new CallMaker({ end: undefined, origin: { how: 'written' } });
    expect(storyOf(written.stored()).recording.complete).toBe(true);
  });

  it('can be told of a call without a single line', () => {
    const story = storyOf(new CallMaker().stored());
    expect([story.turns, story.answers, story.events]).toEqual([[], [], []]);
  });

  it('can be told of a call whose sound is missing', () => {
    const call = { ...eventfulCall(), wavs: new Map() };
    expect(storyOf(call).turns).toHaveLength(9);
  });

  it('takes what the end of the call says of its turns, which is the most that is known', () => {
    const call = new CallMaker().opens().agent(1000, 'a', 3000);
    call.says(1200, 'assistant', 'a', 'One two');
    call.call(5000, {
      type: 'ended',
      reason: 'agent-hung-up',
      transcript: [
        {
          role: 'assistant',
          itemId: 'a',
          atMs: 1000,
          text: 'One two three four',
          heardText: 'One two',
          interrupted: true,
          final: true,
        },
      ],
    });
    expect(storyOf(call.stored()).turns[0]?.words.map(({ text, heard }) => [text, heard])).toEqual([
      ['One', true],
      ['two', true],
      ['three', false],
      ['four', false],
    ]);
  });

  it('has turns one after another on a line that is never quiet', () => {
    const call = new CallMaker().opens().caller(300, 20_000, [[300, 20_000]]);
    const at = [4000, 8000, 15_000];
    for (const t of at) call.says(t + 900, 'user', `u${t}`, 'Three words more.');
    const { turns } = storyOf(call.stored());
    expect(turns.map(({ endMs }, index) => endMs <= (turns[index + 1]?.startMs ?? 20_000))).toEqual([
      true,
      true,
      true,
    ]);
    expect(turns.map(({ startMs }) => Math.round(startMs / 1000))).toEqual([0, 9, 16]);
  });

  it('finds the words of a provider that names no items by the time at which its speech came', () => {
    const call = new CallMaker().opens();
    const delta = (): unknown => call.audio('provider', { encoding: 'pcm16', rate: 24_000 }, 1000, 9000);
    call.provider(1000, 'in', {
      serverContent: { modelTurn: { parts: [{ inlineData: { data: delta() } }] } },
    });
    call.carrier(1020, 'out', {
      event: 'media',
      media: { payload: call.audio('agent', MULAW_8K, 1000, 9000) },
    });
    call.provider(4000, 'in', {
      serverContent: { modelTurn: { parts: [{ inlineData: { data: delta() } }] } },
    });
    call.carrier(4020, 'out', {
      event: 'media',
      media: { payload: call.audio('agent', MULAW_8K, 1000, 9000) },
    });
    const entry = { role: 'assistant', heardText: undefined, interrupted: false, final: true };
    const transcript = [
      { ...entry, itemId: 'g1', atMs: 1000, text: 'One' },
      { ...entry, itemId: 'g2', atMs: 4000, text: 'Two' },
    ];
    call.call(6000, { type: 'ended', reason: 'caller-hung-up', transcript });
    expect(
      storyOf(call.stored()).turns.map(({ startMs, endMs }) => [Math.round(startMs), Math.round(endMs)]),
    ).toEqual([
      [1020, 2020],
      [4020, 5020],
    ]);
  });

  it('is told in time however long the call is', { timeout: 60_000 }, () => {
    const call = new CallMaker().opens().caller(300, 3_600_000, []);
    for (let ms = 1000; ms < 3_590_000; ms += 10_000) {
      call
        .agent(ms, `i${ms}`, 4000)
        .says(ms + 50, 'assistant', `i${ms}`, 'A sentence of eight words that is said.');
    }
    const story = storyOf(call.stored());
    expect(story.turns).toHaveLength(359);
    expect(story.answers).toHaveLength(359);
  });
});

describe('what stands out', () => {
  it('is said of a stream that was refused, a webhook that was not signed, and a carrier that answers with an error', () => {
    const call = new CallMaker();
    const webhook = {
      id: 1,
      route: 'voice',
      method: 'POST',
      target: '/voice/twilio',
      signed: 'bad-signature',
      contentType: '',
    } as const;
    call.add({ t: 0, on: 'webhook', dir: 'in', msg: webhook });
    call.add({ t: 1, on: 'webhook', dir: 'out', msg: { id: 1, status: 403, contentType: '', body: '' } });
    call.add({ t: 5, on: 'carrier', dir: 'out', conn: 1, ctl: { type: 'not-upgraded', status: 410 } });
    call.add({ t: 6, on: 'rest', dir: 'in', msg: { id: 1, status: 422, body: 'no such call' } });
    const texts = textsOf(storyOf(call.stored())).join('\n');
    for (const part of ['bad-signature', 'answered 403', 'stream refused 410', 'answer 422'])
      expect(texts).toContain(part);
  });

  it('is said of an agent that was never heard', () => {
    const call = new CallMaker().opens().caller(300, 5000, [[1000, 2000]]);
    call.call(5000, { type: 'ended', reason: 'media-lost', transcript: [] });
    expect(textsOf(storyOf(call.stored()))).toEqual([
      'bad: The caller never heard the agent.',
      'bad: The call ended with media-lost.',
    ]);
  });

  it('is said of long silence, of a function that never answered, and of a slow first word', () => {
    const call = new CallMaker().opens().caller(300, 30_000, []).agent(5000, 'a', 1000);
    call.add({ t: 7000, on: 'tool', dir: 'out', msg: { id: 1, run: 'look_up', toolCallId: 'c', args: {} } });
    call.call(30_000, { type: 'ended', reason: 'caller-hung-up', transcript: [] });
    expect(textsOf(storyOf(call.stored()))).toEqual([
      'bad: Function look_up never answered.',
      'slow: The first word was heard 5.1 s after the webhook.',
      'note: Nobody spoke for 23.9 s.',
    ]);
  });

  it('is counted where there is much of a kind', () => {
    const call = new CallMaker().opens();
    for (let i = 0; i < 50; i += 1)
      call.add({ t: 100 + i, on: 'rest', dir: 'in', msg: { id: i, error: 'no route' } });
    const texts = textsOf(storyOf(call.stored())).filter((text) => text.includes('no route'));
    expect(texts).toHaveLength(4);
    expect(texts.at(-1)).toContain('47 more of this kind');
  });

  it('is said of a transfer that failed, and not of a request that was made again', () => {
    const call = new CallMaker().opens();
    const url = 'https://api.example/Calls/CA1.json';
    for (const [id, status] of [429, 503, 200].entries()) {
      call.add({ t: 400 + id, on: 'rest', dir: 'out', msg: { id, method: 'POST', url } });
      call.add({ t: 400.5 + id, on: 'rest', dir: 'in', msg: { id, status, body: '' } });
    }
    call.add({ t: 500, on: 'rest', dir: 'out', msg: { id: 9, method: 'DELETE', url } });
    call.add({ t: 501, on: 'rest', dir: 'in', msg: { id: 9, status: 500, body: 'oh' } });
    call.call(600, { type: 'transfer', status: 'started', outcome: undefined });
    call.call(900, { type: 'transfer', status: 'failed', outcome: 'busy' });
    const story = storyOf(call.stored());
    expect(textsOf(story)).toContain('bad: The transfer failed (busy).');
    expect(textsOf(story).filter((text) => text.includes('rest'))).toEqual(['bad: rest: answer 500 (oh)']);
    expect(story.notes.map(({ text }) => text)).toEqual(['transfer begins', 'transfer failed (busy)']);
  });

  it('is said of what was damaged', () => {
    expect(textsOf(storyOf(eventfulCall(['The last line was torn and is left out.'])))).toContain(
      'note: The last line was torn and is left out.',
    );
  });
});

it('half of the values are at most p50', () => {
  expect(spreadOf([])).toBeUndefined();
  expect(spreadOf([3])).toEqual({ p50: 3, max: 3, count: 1 });
  expect(spreadOf([4, 1, 3, 2])).toEqual({ p50: 2, max: 4, count: 4 });
});

describe('a redacted call', () => {
  it('has the same turns at the same times, and says what was taken out', () => {
    const rules = { numbers: true, fields: ['room'], speech: 'both', words: true, keys: true } as const;
    const { story } = readStory(redactCall(eventfulCall(), rules));
    const whole = storyOf(eventfulCall());
    expect(story.call.redacted?.speech).toBe('both');
    expect(story.turns.map(({ words }) => words.length)).toEqual(
      whole.turns.map(({ words }) => words.length),
    );
    const off = story.turns.map(({ startMs }, index) =>
      Math.abs(startMs - (whole.turns[index]?.startMs ?? 0)),
    );
    expect(Math.max(...off)).toBeLessThan(100);
    expect(story.answers).toHaveLength(whole.answers.length);
    expect(JSON.stringify(story.turns)).not.toContain('Lakeside');
  });
});

describe('every fixture', () => {
  const folder = new URL('../fixtures/', import.meta.url).pathname;
  const names = readdirSync(folder).filter((name) => existsSync(join(folder, name, 'call.json')));

  it.each(names)('%s has a story', async (name) => {
    const stored = await readCall(join(folder, name));
    const { story } = readStory(stored);
    const { length } = story.turns.filter(
      ({ startMs, endMs }) => startMs < 0 || endMs > story.lengthMs + 100,
    );
    expect(length).toBe(0);
    for (const { stoppedMs, sentMs, heardMs } of story.answers) {
      if (stoppedMs !== undefined) expect(heardMs).toBeGreaterThanOrEqual(stoppedMs);
      if (sentMs !== undefined) expect(heardMs).toBeGreaterThan(sentMs - 30);
    }
  });
});

describe('events', () => {
  it('are told of every kind of line', () => {
    const { events } = storyOf(eventfulCall());
    const seen = new Set(events.map(({ kind }) => kind));
    expect([...seen].sort()).toEqual([
      'call',
      'carrier',
      'function',
      'mark',
      'provider',
      'rest',
      'text',
      'webhook',
    ]);
    expect(events.filter(({ bad }) => bad).map(({ label }) => label)).toEqual([
      'closed 1011',
      'openai failed',
      'openai → gemini',
      'threw',
      'send_mail failed',
    ]);
  });

  it('name the messages of every provider', () => {
    const call = new CallMaker();
    const messages = [
      { type: 'response.done', response: {} },
      { setup: { model: 'm' } },
      { serverContent: { turnComplete: true } },
      { toolCall: { functionCalls: [{ name: 'book', args: {} }] } },
      { event: { sessionStart: {} } },
      { event: { textOutput: { content: 'Hello', contentId: 'c' } } },
      { call: 'interrupt', args: [[{ itemId: 'a', playedMs: 10, receivedMs: 20 }]] },
      { event: 'speechStarted' },
      7,
    ];
    for (const [index, message] of messages.entries()) call.provider(index, 'in', message);
    const lines: readonly Line[] = call.stored().lines;
    expect(storyOf({ ...call.stored(), lines }).events.map(({ label }) => label)).toEqual([
      'response.done',
      'setup',
      'serverContent.turnComplete',
      'toolCall',
      'sessionStart',
      'textOutput',
      'interrupt',
      'speechStarted',
      'message',
    ]);
  });
});
