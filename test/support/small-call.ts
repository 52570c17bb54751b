import type { AudioFormat } from '../../src/audio/format.ts';
import { encodeG711 } from '../../src/audio/g711.ts';
import type { AudioRef, CallFile, Line } from '../../src/recording/format.ts';
import type { StoredCall, StoredWav } from '../../src/recording/stored-call.ts';
import { seeded, toBytes } from './signal.ts';

/** Makers of small calls, line by line, as they lie on disk. */

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;
type Body = DistributiveOmit<Line, 't'>;

/** Something like speech: loud and quiet syllables of noise with a pitch, no two stretches alike. PCM16. */
export function babble(ms: number, rate = 8000, seed = 1): Int16Array {
  const random = seeded(seed);
  const syllable = Math.round(rate * 0.13);
  let [level, low] = [0, 0];
  return Int16Array.from({ length: Math.round((ms * rate) / 1000) }, (_, i) => {
    if (i % syllable === 0) level = 2_000 + 9_000 * random();
    low = 0.7 * low + (random() - 0.5);
    const shape = Math.sin((Math.PI * (i % syllable)) / syllable);
    return Math.round(
      level * shape * (0.6 * low + 0.4 * Math.sin((2 * Math.PI * (90 + level / 100) * i) / rate)),
    );
  });
}

/** A call under construction: lines and audio are appended. */
export class CallMaker {
  readonly lines: Line[] = [];
  readonly #audio = new Map<
    string,
    { readonly format: AudioFormat; readonly pieces: Uint8Array[]; n: number }
  >();
  readonly #file: Partial<CallFile>;

  constructor(file: Partial<CallFile> = {}) {
    this.#file = file;
  }

  line(t: number, body: Body): this {
    this.lines.push({ t, ...body });
    return this;
  }

  /** Appends samples to a WAV. */
  ref(wav: string, format: AudioFormat, samples: Int16Array): AudioRef {
    const known = this.#audio.get(wav) ?? { format, pieces: [], n: 0 };
    this.#audio.set(wav, known);
    known.pieces.push(format.encoding === 'pcm16' ? toBytes(samples) : encodeG711(format.encoding, samples));
    const ref = { wav, at: known.n, n: samples.length };
    known.n += samples.length;
    return ref;
  }

  stored(): StoredCall {
    const wavs = new Map<string, StoredWav>();
    for (const [name, { format, pieces }] of this.#audio) {
      wavs.set(name, { format, bytes: Uint8Array.from(Buffer.concat(pieces)) });
    }
    // Lines of several makers' hands may come in any order.
    const lines = this.lines.toSorted((a, b) => a.t - b.t);
    return { call: { ...CALL, ...this.#file }, lines, wavs, damage: [], folder: undefined };
  }
}

const CALL: CallFile = {
  format: 1,
  proves: 'a call of a few seconds',
  origin: { how: 'written' },
  carrier: 'twilio',
  control: 'document',
  direction: 'inbound',
  epochMs: 1_760_000_000_000,
  seed: 'small',
  agent: {
    name: 'desk',
    instructions: 'Be brief.',
  } as unknown as CallFile['agent'],
  providers: [{ name: 'openai', level: 'wire', model: undefined, wanted: undefined }],
  settings: {},
  leadMs: 1000,
};

const MULAW: AudioFormat = { encoding: 'mulaw', rate: 8000 };
const PCM: AudioFormat = { encoding: 'pcm16', rate: 24_000 };

/** What may be different about a small call. */
export interface SmallCallOptions {
  readonly file?: Partial<CallFile>;
  /** Of the media stream. */
  readonly token?: string;
  readonly commandId?: string;
  /** Length of the messages to the carrier in ms. */
  readonly cutMs?: number;
  /** Of the agent's audio, 2 s. */
  readonly agent?: Int16Array;
}

export const TOKEN = 'Qm9yZ2VzLWlzLW5vdC1hLXRva2VuIX5x';
export const COMMAND_ID = '6f1c2b9e-1c55-4e0a-9f6e-2f8c7a3b1d04';

/**
 * A call with a line of every kind: it comes in at 0, is let in, connects, speaks for 2 s from 1 s on with a mark every
 * 200 ms, runs a function, is cut in on at 2.6 s, and ends at 4 s.
 */
export function smallCall(options: SmallCallOptions = {}): StoredCall {
  const { token = TOKEN, commandId = COMMAND_ID, cutMs = 100, agent = babble(1600) } = options;
  const maker = new CallMaker(options.file);
  const form = { CallSid: 'CA0123456789abcdef0123456789abcdef' };
  maker
    .line(0, {
      on: 'webhook',
      dir: 'in',
      msg: {
        id: 1,
        route: 'voice',
        method: 'POST',
        target: '/voice/twilio',
        signed: 'valid',
        contentType: 'application/x-www-form-urlencoded',
        form,
      },
    })
    .line(1, {
      on: 'provider',
      dir: 'out',
      conn: 1,
      ctl: { type: 'dial', provider: 'openai', url: 'wss://api.openai.com/v1/realtime?model=gpt-realtime' },
    })
    .line(1, {
      on: 'call',
      dir: 'out',
      msg: { type: 'started', atMs: 0, callId: form.CallSid, carrier: 'twilio', agent: 'desk' },
    })
    .line(2, {
      on: 'webhook',
      dir: 'out',
      msg: {
        id: 1,
        status: 200,
        contentType: 'text/xml',
        body: `<Response><Connect><Stream url="wss://example.com/media/twilio/${token}"/></Connect></Response>`,
      },
    })
    .line(90, { on: 'provider', dir: 'in', conn: 1, ctl: { type: 'open' } })
    .line(90, {
      on: 'provider',
      dir: 'out',
      conn: 1,
      msg: { event_id: 'pc_session_1', type: 'session.update', session: { instructions: 'Be brief.' } },
    })
    .line(150, {
      on: 'carrier',
      dir: 'in',
      conn: 1,
      ctl: { type: 'upgrade', target: `/media/twilio/${token}`, signed: 'valid' },
    })
    .line(151, { on: 'carrier', dir: 'out', conn: 1, ctl: { type: 'upgraded' } })
    .line(200, {
      on: 'call',
      dir: 'out',
      msg: {
        type: 'providerReady',
        atMs: 200,
        provider: 'openai',
        model: 'gpt-realtime',
        why: 'start',
        resumed: false,
        connectMs: 199,
        historyItems: 0,
        replayedMs: 0,
      },
    });
  caller(maker);
  speech(maker, agent, cutMs);
  errands(maker, commandId);
  cutIn(maker);
  return maker.stored();
}

/** The caller's audio, which is passed on. */
function caller(maker: CallMaker): void {
  for (let at = 0; at < 150; at++) {
    const t = 500 + at * 20;
    const isLoud = (t >= 600 && t < 900) || (t >= 2500 && t < 3000);
    const samples = isLoud ? babble(20, 8000, at + 7) : new Int16Array(160);
    const payload = maker.ref('caller', MULAW, samples);
    maker.line(t, { on: 'carrier', dir: 'in', conn: 1, msg: { event: 'media', media: { payload } } });
    const wide = Int16Array.from({ length: samples.length * 3 }, (_, i) => samples[Math.floor(i / 3)] ?? 0);
    const audio = maker.ref('uplink', PCM, wide);
    maker.line(t, {
      on: 'provider',
      dir: 'out',
      conn: 1,
      msg: { type: 'input_audio_buffer.append', audio },
    });
  }
}

/** The agent's audio: 1.6 s from 1 s on, in time, with a mark every 200 ms. */
function speech(maker: CallMaker, agent: Int16Array, cutMs: number): void {
  maker.line(1000, { on: 'call', dir: 'out', msg: { type: 'firstAudio', atMs: 1000 } });
  const each = cutMs * 8;
  for (let at = 0; at < agent.length; at += each) {
    // However it is cut, it is given to the carrier every 100 ms.
    const t = 1000 + Math.floor(at / 800) * 100;
    const payload = maker.ref('agent', MULAW, agent.slice(at, at + each));
    maker.line(t, {
      on: 'carrier',
      dir: 'out',
      conn: 1,
      msg: { event: 'media', streamSid: 'MZ1', media: { payload } },
    });
    const end = at + each;
    if (end % 1600 === 0) {
      const name = `g0.m${end / 1600}`;
      maker.line(t, {
        on: 'carrier',
        dir: 'out',
        conn: 1,
        msg: { event: 'mark', streamSid: 'MZ1', mark: { name } },
      });
      maker.line(t + 190, { on: 'carrier', dir: 'in', conn: 1, msg: { event: 'mark', mark: { name } } });
    }
  }
}

/** A function and a request to the carrier. */
function errands(maker: CallMaker, commandId: string): void {
  maker
    .line(1500, {
      on: 'tool',
      dir: 'out',
      msg: { id: 1, run: 'get_weather', toolCallId: 'call_9', args: { city: 'Oslo' } },
    })
    .line(1700, { on: 'tool', dir: 'in', msg: { id: 1, returned: { degrees: 7 }, done: true } })
    .line(1700, {
      on: 'provider',
      dir: 'out',
      conn: 1,
      msg: {
        event_id: 'pc_item_2',
        type: 'conversation.item.create',
        item: { type: 'function_call_output', call_id: 'call_9', output: '{"degrees":7}' },
      },
    })
    .line(1700, {
      on: 'call',
      dir: 'out',
      msg: {
        type: 'tool',
        atMs: 1700,
        name: 'get_weather',
        toolCallId: 'call_9',
        idempotencyKey: 'CA0123456789abcdef0123456789abcdef:call_9',
        args: { city: 'Oslo' },
        ms: 200,
        outcome: 'done',
        isError: false,
      },
    })
    .line(1800, {
      on: 'rest',
      dir: 'out',
      msg: {
        id: 1,
        method: 'POST',
        url: 'https://api.example.com/calls/record',
        body: JSON.stringify({ command_id: commandId, format: 'wav' }),
      },
    })
    .line(1900, { on: 'rest', dir: 'in', msg: { id: 1, status: 200, body: '{}' } });
}

function cutIn(maker: CallMaker): void {
  maker
    .line(2600, {
      on: 'provider',
      dir: 'in',
      conn: 1,
      msg: { type: 'input_audio_buffer.speech_started', item_id: 'item_7' },
    })
    .line(2600, { on: 'carrier', dir: 'out', conn: 1, msg: { event: 'clear', streamSid: 'MZ1' } })
    .line(2600, {
      on: 'provider',
      dir: 'out',
      conn: 1,
      msg: { event_id: 'pc_cancel_3', type: 'response.cancel', response_id: 'resp_A' },
    })
    .line(2600, {
      on: 'provider',
      dir: 'out',
      conn: 1,
      msg: {
        event_id: 'pc_truncate_4',
        type: 'conversation.item.truncate',
        item_id: 'item_6',
        content_index: 0,
        audio_end_ms: 1600,
      },
    })
    .line(2600, {
      on: 'call',
      dir: 'out',
      msg: {
        type: 'bargeIn',
        atMs: 2600,
        by: 'provider',
        heard: [{ itemId: 'item_6', playedMs: 1600, receivedMs: 1600 }],
      },
    })
    .line(3600, {
      on: 'call',
      dir: 'out',
      msg: {
        type: 'transcript',
        atMs: 3600,
        role: 'user',
        itemId: 'item_7',
        text: 'And tomorrow?',
        final: true,
      },
    })
    .line(4000, { on: 'carrier', dir: 'in', conn: 1, msg: { event: 'stop' } })
    .line(4000, { on: 'provider', dir: 'out', conn: 1, ctl: { type: 'close', code: 1000, reason: '' } })
    .line(4000, {
      on: 'call',
      dir: 'out',
      msg: {
        type: 'ended',
        atMs: 4000,
        reason: 'caller-hung-up',
        transcript: [
          {
            role: 'assistant',
            itemId: 'item_6',
            atMs: 1000,
            text: 'It is seven degrees in Oslo.',
            heardText: 'It is seven degrees in Oslo.',
            interrupted: true,
            final: true,
          },
          {
            role: 'user',
            itemId: 'item_7',
            atMs: 2600,
            text: 'And tomorrow?',
            heardText: undefined,
            interrupted: false,
            final: true,
          },
        ],
      },
    });
}
