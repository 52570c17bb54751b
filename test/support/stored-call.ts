import { type AudioFormat, MULAW_8K, PCM16_24K } from '../../src/audio/format.ts';
import { samplesToBytes } from '../../src/audio/wav.ts';
import type { CallEvent } from '../../src/call-events.ts';
import type { AudioRef, CallFile, Line, Message } from '../../src/recording/format.ts';
import type { StoredCall, StoredWav } from '../../src/recording/stored-call.ts';

/** A call file with everything that has to be in one. */
export function callFile(changes: Partial<CallFile> = {}): CallFile {
  return {
    format: 1,
    proves: '',
    origin: { how: 'recorded', by: 'patchcord 0.1.0' },
    carrier: 'twilio',
    control: 'document',
    direction: 'inbound',
    epochMs: Date.UTC(2026, 4, 1, 2, 3, 4),
    seed: '00',
    agent: {
      name: 'reception',
      instructions: 'Answer the telephone.',
      greeting: undefined,
      voice: undefined,
      language: undefined,
      turnDetection: {},
      bargeIn: { by: 'both' },
      transcribeCaller: true,
      audio: 'wideband',
      tools: [],
      redact: [],
      toolsAtOnce: 4,
      filler: undefined,
      providers: [],
      failover: {},
      maxCallMs: 3_600_000,
      maxCallGoodbye: '',
      silence: {},
      digits: {},
      digitsHandled: false,
      recording: false,
      variables: {},
      lastResort: { type: 'hang-up' },
      machine: {},
    } as unknown as CallFile['agent'],
    providers: [{ name: 'openai', level: 'wire', model: 'gpt-realtime', wanted: undefined }],
    settings: {},
    leadMs: 1000,
    end: { t: 60_000, complete: true },
    ...changes,
  };
}

type CallEventBody = { readonly type: CallEvent['type']; readonly [field: string]: unknown };

/** How the agent's speech comes to the caller. */
export interface Speech {
  /** The caller cuts in: the carrier is told to clear then. */
  readonly cutAt?: number;
  /** Marks that come back; default: all. */
  readonly echoes?: 'none';
  /** Messages of 100 ms come so far apart, when the first second is out. */
  readonly everyMs?: number;
}

const FRAME_MS = 20;
const MESSAGE_MS = 100;
const LEAD_MS = 1000;

/** Writes a call by hand, line by line. Lines may be told in any order: the call has them in that of their times. */
export class CallMaker {
  readonly lines: Line[] = [];
  readonly #wavs = new Map<
    string,
    { readonly format: AudioFormat; readonly parts: Uint8Array[]; samples: number }
  >();
  readonly #changes: Partial<CallFile>;
  #marks = 0;

  constructor(changes: Partial<CallFile> = {}) {
    this.#changes = changes;
  }

  /** `ms` of a tone, or of silence, at the end of a WAV. `loudness`: of PCM16. */
  audio(wav: string, format: AudioFormat, ms: number, loudness: number): AudioRef {
    const samples = new Int16Array((ms / 1000) * format.rate);
    for (let i = 0; i < samples.length; i += 1)
      samples[i] = loudness * Math.sin((2 * Math.PI * 440 * i) / format.rate);
    const file = this.#wavs.get(wav) ?? { format, parts: [], samples: 0 };
    this.#wavs.set(wav, file);
    file.parts.push(samplesToBytes(samples, format.encoding));
    const at = file.samples;
    file.samples += samples.length;
    return { wav, at, n: samples.length };
  }

  add(line: Line): this {
    this.lines.push(line);
    return this;
  }

  carrier(t: number, dir: 'in' | 'out', msg: Message, conn = 1): this {
    return this.add({ t, on: 'carrier', dir, conn, msg });
  }

  provider(t: number, dir: 'in' | 'out', msg: Message, conn = 1): this {
    return this.add({ t, on: 'provider', dir, conn, msg });
  }

  call(t: number, event: CallEventBody): this {
    return this.add({ t, on: 'call', dir: 'out', msg: { atMs: t, ...event } as unknown as CallEvent });
  }

  /** Webhook, answer, stream, provider: the call can be heard from 300 ms on. */
  opens(): this {
    const id = 1;
    this.add({
      t: 0,
      on: 'webhook',
      dir: 'in',
      msg: {
        id,
        route: 'voice',
        method: 'POST',
        target: '/voice/twilio',
        signed: 'valid',
        contentType: 'application/x-www-form-urlencoded',
        form: { CallSid: 'CA1', From: '+12025550101' },
      },
    });
    this.call(2, { type: 'started', callId: 'CA1', carrier: 'twilio', agent: 'reception' });
    this.add({
      t: 2,
      on: 'provider',
      dir: 'out',
      conn: 1,
      ctl: { type: 'dial', provider: 'openai', url: 'wss://api.example/v1' },
    });
    this.add({
      t: 3,
      on: 'webhook',
      dir: 'out',
      msg: { id, status: 200, contentType: 'text/xml', body: '<Response/>' },
    });
    this.add({ t: 120, on: 'provider', dir: 'in', conn: 1, ctl: { type: 'open' } });
    this.provider(121, 'out', { type: 'session.update', session: {} });
    this.provider(180, 'in', { type: 'session.updated', session: {} });
    this.call(180, {
      type: 'providerReady',
      provider: 'openai',
      model: 'gpt-realtime',
      why: 'start',
      resumed: false,
      connectMs: 178,
      historyItems: 0,
      replayedMs: 0,
    });
    this.add({
      t: 250,
      on: 'carrier',
      dir: 'in',
      conn: 1,
      ctl: { type: 'upgrade', target: '/media/twilio/t', signed: 'valid' },
    });
    this.add({ t: 251, on: 'carrier', dir: 'out', conn: 1, ctl: { type: 'upgraded' } });
    this.carrier(280, 'in', {
      event: 'start',
      start: { mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000 } },
    });
    return this.call(281, { type: 'mediaStarted' });
  }

  /** A frame every 20 ms from the stream's beginning on; a tone where the caller speaks. */
  caller(fromMs: number, toMs: number, speaks: readonly (readonly [fromMs: number, toMs: number])[]): this {
    for (let ms = 0; fromMs + ms < toMs; ms += FRAME_MS) {
      const at = fromMs + ms;
      const isLoud = speaks.some(([from, to]) => at >= from && at < to);
      const payload = this.audio('caller', MULAW_8K, FRAME_MS, isLoud ? 8000 : 0);
      this.carrier(at + FRAME_MS, 'in', {
        event: 'media',
        media: { track: 'inbound', timestamp: String(ms), payload },
      });
    }
    return this;
  }

  /** The agent speaks for `ms`: the provider is done at once, the carrier gets it at most a second ahead. */
  agent(atMs: number, itemId: string, ms: number, speech: Speech = {}): this {
    const { cutAt = Number.POSITIVE_INFINITY, echoes, everyMs = MESSAGE_MS } = speech;
    for (let done = 0; done < ms; done += 500) {
      const delta = this.audio('provider', PCM16_24K, Math.min(500, ms - done), 9000);
      this.provider(atMs + done / 100, 'in', { type: 'response.output_audio.delta', item_id: itemId, delta });
    }
    const sentAt = atMs + 20;
    this.#mark(sentAt, sentAt + 60, cutAt, echoes);
    for (let done = 0; done < ms; done += MESSAGE_MS) {
      const at = sentAt + (Math.max(0, done - LEAD_MS) / MESSAGE_MS) * everyMs;
      if (at >= cutAt) break;
      const payload = this.audio('agent', MULAW_8K, Math.min(MESSAGE_MS, ms - done), 9000);
      this.carrier(at, 'out', { event: 'media', streamSid: 'MZ1', media: { payload } });
      const end = done + MESSAGE_MS;
      if (end % 200 === 0 || end >= ms) this.#mark(at, sentAt + 60 + Math.min(end, ms), cutAt, echoes);
    }
    if (cutAt !== Number.POSITIVE_INFINITY) this.carrier(cutAt, 'out', { event: 'clear', streamSid: 'MZ1' });
    return this;
  }

  says(t: number, role: 'user' | 'assistant', itemId: string, text: string): this {
    return this.call(t, { type: 'transcript', role, itemId, text, final: true });
  }

  stored(damage: readonly string[] = [], folder?: string): StoredCall {
    const lines = this.lines.map((line, index) => ({ line, index }));
    lines.sort((a, b) => a.line.t - b.line.t || a.index - b.index);
    const wavs = [...this.#wavs].map(([name, { format, parts }]): [string, StoredWav] => [
      name,
      { format, bytes: Buffer.concat(parts) },
    ]);
    return {
      call: callFile(this.#changes),
      lines: lines.map(({ line }) => line),
      wavs: new Map(wavs),
      damage,
      folder,
    };
  }

  #mark(sentMs: number, backMs: number, cutAt: number, echoes: 'none' | undefined): void {
    if (sentMs >= cutAt) return;
    this.#marks += 1;
    const mark = { name: `m${this.#marks}` };
    this.carrier(sentMs, 'out', { event: 'mark', streamSid: 'MZ1', mark });
    // A carrier that clears names them all the same, at once.
    if (echoes !== 'none')
      this.carrier(Math.min(backMs, cutAt + 30), 'in', { event: 'mark', streamSid: 'MZ1', mark });
  }
}

/** A call in which everything happens that a page shows: a barge-in, functions, a failover, keys, trouble. */
export function eventfulCall(damage: readonly string[] = []): StoredCall {
  const call = new CallMaker({
    proves: 'Everything that a page can show is in this call.',
    end: { t: 32_000, complete: true },
  });
  call.opens();
  call.caller(300, 31_000, [
    [4000, 5500],
    [8200, 9600],
    [15_000, 16_500],
    [26_000, 27_000],
  ]);
  call.agent(400, 'item_hello', 2500);
  call.call(420, { type: 'firstAudio' });
  call.says(900, 'assistant', 'item_hello', 'Good morning, this is the Lakeside Hotel. How can I help you?');
  call.says(5900, 'user', 'item_1', 'I would like a room for tonight.');
  call.agent(6300, 'item_2', 6000, { cutAt: 8500 });
  call.says(
    6600,
    'assistant',
    'item_2',
    'We have a double room with a view of the lake, and a single room at the back that is much cheaper than that.',
  );
  call.provider(8490, 'in', {
    type: 'input_audio_buffer.speech_started',
    item_id: 'item_3',
    audio_start_ms: 7900,
  });
  call.call(8500, {
    type: 'bargeIn',
    by: 'provider',
    heard: [{ itemId: 'item_2', playedMs: 2120, receivedMs: 6000 }],
  });
  call.provider(8501, 'out', {
    type: 'conversation.item.truncate',
    item_id: 'item_2',
    content_index: 0,
    audio_end_ms: 2120,
  });
  call.says(9900, 'user', 'item_3', 'The single room, please.');
  call.add({
    t: 10_000,
    on: 'tool',
    dir: 'out',
    msg: { id: 1, run: 'book_room', toolCallId: 'call_1', args: { room: 'single', nights: 1 } },
  });
  call.add({
    t: 10_900,
    on: 'tool',
    dir: 'in',
    msg: { id: 1, returned: { booked: true, number: 12 }, done: true },
  });
  call.call(10_901, {
    type: 'tool',
    name: 'book_room',
    toolCallId: 'call_1',
    idempotencyKey: 'k',
    args: { room: 'single' },
    ms: 900,
    outcome: 'done',
    isError: false,
  });
  call.agent(11_300, 'item_4', 2000);
  call.says(11_500, 'assistant', 'item_4', 'Room twelve is yours for tonight.');
  call.carrier(14_000, 'in', { event: 'dtmf', dtmf: { digit: '5' } });
  call.call(14_000, { type: 'digit', digit: '5' });
  call.says(16_900, 'user', 'item_5', 'And when is breakfast?');
  call.add({
    t: 17_200,
    on: 'provider',
    dir: 'in',
    conn: 1,
    ctl: { type: 'close', code: 1011, reason: 'keepalive ping timeout' },
  });
  call.call(17_201, {
    type: 'providerFailed',
    provider: 'openai',
    model: 'gpt-realtime',
    phase: 'in-call',
    code: 'PROVIDER_CLOSED',
    ms: 17_000,
  });
  call.add({
    t: 17_202,
    on: 'provider',
    dir: 'out',
    conn: 2,
    ctl: { type: 'dial', provider: 'gemini', url: 'wss://gemini.example/ws' },
  });
  call.call(17_800, {
    type: 'providerReady',
    provider: 'gemini',
    model: 'gemini-live',
    why: 'failover',
    resumed: false,
    connectMs: 598,
    historyItems: 6,
    replayedMs: 1500,
  });
  call.agent(19_600, 'item_6', 3000);
  call.call(19_700, {
    type: 'failover',
    from: 'openai',
    to: 'gemini',
    why: 'failover',
    gapMs: 3100,
    connectMs: 598,
    answerMs: 1800,
    addedMs: 700,
  });
  call.says(19_800, 'assistant', 'item_6', 'Breakfast is from seven to ten in the hall.');
  call.add({
    t: 23_000,
    on: 'tool',
    dir: 'out',
    msg: { id: 2, run: 'send_mail', toolCallId: 'call_2', args: {} },
  });
  call.add({
    t: 24_000,
    on: 'tool',
    dir: 'in',
    msg: { id: 2, threw: { message: 'the mail server is away' } },
  });
  call.call(24_001, {
    type: 'tool',
    name: 'send_mail',
    toolCallId: 'call_2',
    idempotencyKey: 'k2',
    args: {},
    ms: 1000,
    outcome: 'failed',
    isError: true,
  });
  call.says(27_300, 'user', 'item_7', 'Thank you, goodbye.');
  call.agent(27_700, 'item_8', 1500);
  call.says(27_800, 'assistant', 'item_8', 'Goodbye!');
  call.add({
    t: 30_000,
    on: 'rest',
    dir: 'out',
    msg: { id: 1, method: 'POST', url: 'https://api.example/Calls/CA1.json', body: 'Status=completed' },
  });
  call.add({ t: 30_200, on: 'rest', dir: 'in', msg: { id: 1, status: 200, body: '{}' } });
  call.carrier(31_010, 'in', { event: 'stop', stop: {} });
  call.call(31_020, { type: 'ended', reason: 'caller-hung-up', transcript: [] });
  return call.stored(damage);
}
