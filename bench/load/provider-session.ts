import type { Socket } from 'node:net';
import type { Sender } from './beat.ts';
import {
  type CodeKind,
  CodeReader,
  CodeWriter,
  MULAW,
  PCM24,
  type Sound,
  silentBase64,
} from './frame-code.ts';
import { type Counts, FrameLedger } from './ledger.ts';
import { closeFrame, FrameReader, frameOf, PayloadFinder, textOf } from './web-socket.ts';

type Fields = Readonly<Record<string, unknown>>;

/** What a provider session needs of whoever runs it. */
export interface ProviderHost {
  readonly counts: Counts;
  /** By how much audio at 24 kHz is late in its own stream when it has been resampled, in samples at 8 kHz. */
  readonly codecDelay: number;
  /** Callers cut in and are answered; otherwise the agent speaks without end. */
  readonly talk?: boolean;
  /** The session may speak. */
  onReady(session: ProviderSession): void;
  /** The call in this slot is the one whose audio comes here. */
  onLinked(session: ProviderSession, slot: number): void;
  onGone(session: ProviderSession): void;
}

/** Turns in frames of 20 ms: how long the agent speaks, at least, and how long the caller. */
const FIRST_TURN = 50;
const AGENT_TURN = 40;
const CALLER_TURN = 15;
/** The agent's turns differ by up to so much, so that not all calls do the same at once. */
const SPREAD = 37;

/** Stands in for the digits of an event's number, of which there are always as many. */
const EVENT_DIGITS = 12;

/** One simulated session of OpenAI Realtime: takes the caller's audio, and speaks in real time. */
export class ProviderSession implements Sender {
  /** Frames of the caller; set when the call is known. */
  up: FrameLedger | undefined;
  readonly down: FrameLedger;
  readonly id: number;
  readonly #socket: Socket;
  readonly #host: ProviderHost;
  readonly #reader: FrameReader;
  readonly #finder = new PayloadFinder();
  #sound: Sound = PCM24;
  #codes: CodeReader | undefined;
  #delta: Buffer | undefined;
  #deltaAt = 0;
  #deltaDigitsAt = 0;
  #writer: CodeWriter | undefined;
  #events = 0;
  #responses = 0;
  #speaking = false;
  #metadata: unknown = null;
  /** Frames until the turn changes, and whether the next change is a caller who cuts in. */
  #turnIn = FIRST_TURN;
  #cutsIn = true;
  /** When `speech_started` was sent and no `clear` has come yet; 0: it is not waited for. */
  speechStartedAt = 0;

  constructor(id: number, socket: Socket, host: ProviderHost) {
    this.id = id;
    this.#socket = socket;
    this.#host = host;
    this.down = new FrameLedger(host.counts, 'down');
    this.#reader = new FrameReader(
      {
        onText: (data, at, end, mask) => this.#onText(data, at, end, mask),
        onAnswer: (frame) => socket.write(frame),
        onClose: () => socket.end(),
        onNonsense: () => {
          host.counts.nonsense += 1;
        },
      },
      undefined,
    );
    socket.on('data', (chunk: Buffer) => this.#reader.push(chunk));
    socket.on('close', () => host.onGone(this));
    socket.on('error', () => socket.destroy());
    this.#send('session.created', {
      session: { type: 'realtime', object: 'realtime.session', id: `sess_${id}` },
    });
  }

  get speaks(): boolean {
    return this.#speaking;
  }

  /** What the socket had read before it was this session's. */
  push(chunk: Buffer): void {
    this.#reader.push(chunk);
  }

  /** Sends 20 ms of speech, if there is a response. */
  beat(now: number): void {
    if (this.#host.talk) this.#takeTurns(now);
    if (!this.#speaking || this.#delta === undefined || this.#writer === undefined) return;
    let delta = this.#delta;
    if (this.#socket.writableLength > 0) {
      // What the kernel did not take yet still lies in the same memory.
      delta = Buffer.from(delta);
      this.#host.counts.blocked += 1;
    }
    this.#writer.write(delta, this.#deltaAt, this.down.send(now), 'sequence');
    this.#writeDigits(delta);
    this.#socket.write(delta);
  }

  /** The response goes to its end. */
  finish(status: 'completed' | 'cancelled' = 'completed'): void {
    if (!this.#speaking) return;
    this.#speaking = false;
    if (status === 'cancelled') this.down.abandon();
    const part = { ...this.#place, content_index: 0 };
    this.#send('response.output_audio.done', part);
    const { item_id: id, ...at } = this.#place;
    const item = { id, object: 'realtime.item', type: 'message', role: 'assistant', status: 'completed' };
    this.#send('response.output_item.done', { ...at, item });
    const details = status === 'cancelled' ? { type: 'cancelled', reason: 'turn_detected' } : null;
    this.#send('response.done', { response: this.#response(status, details) });
  }

  /** Two of three responses are cut off by the caller, the others go to their end. */
  #takeTurns(now: number): void {
    this.#turnIn -= 1;
    if (this.#turnIn > 0) return;
    if (this.#speaking) {
      this.#cutsIn = (this.#responses + this.id) % 3 !== 0;
      if (this.#cutsIn) this.#speechStarts(now);
      else this.finish();
      this.#turnIn = CALLER_TURN;
    } else {
      if (!this.#cutsIn)
        this.#send('input_audio_buffer.speech_started', { audio_start_ms: 0, item_id: this.#userItem });
      if (this.#responses > 0) this.#speechStops();
      this.#turnIn = AGENT_TURN + ((this.id * 7 + this.#responses * 11) % SPREAD);
    }
  }

  /** The caller is heard while the agent speaks. */
  #speechStarts(now: number): void {
    this.speechStartedAt = now;
    this.#send('input_audio_buffer.speech_started', { audio_start_ms: 0, item_id: this.#userItem });
    this.finish('cancelled');
  }

  /** The caller has finished, and is answered. */
  #speechStops(): void {
    const item = { id: this.#userItem, object: 'realtime.item', type: 'message', role: 'user' };
    this.#send('input_audio_buffer.speech_stopped', { audio_end_ms: 0, item_id: this.#userItem });
    this.#send('input_audio_buffer.committed', { previous_item_id: null, item_id: this.#userItem });
    this.#send('conversation.item.added', { previous_item_id: null, item });
    this.#respond(null);
  }

  close(): void {
    this.#socket.end(closeFrame(undefined));
  }

  onNumber(value: number, kind: CodeKind, now: number): void {
    if (kind === 'slot') {
      if (this.up === undefined) this.#host.onLinked(this, value);
    } else if (this.up !== undefined) this.up.received(value, now);
  }

  onNone(): void {
    if (this.up !== undefined) this.#host.counts.spoilt += 1;
  }

  get #userItem(): string {
    return `item_user_${this.id}_${this.#responses}`;
  }

  get #place(): { readonly response_id: string; readonly item_id: string; readonly output_index: number } {
    const number = String(this.#responses).padStart(8, '0');
    const id = String(this.id).padStart(8, '0');
    return { response_id: `resp_${id}${number}`, item_id: `item_${id}${number}`, output_index: 0 };
  }

  #response(status: string, details: unknown): Fields {
    const id = this.#place.response_id;
    return {
      object: 'realtime.response',
      id,
      status,
      status_details: details,
      output: [],
      metadata: this.#metadata,
    };
  }

  #onText(data: Buffer, at: number, end: number, mask: Uint8Array): void {
    const until = this.#finder.find(data, at, end, mask);
    if (until >= 0) {
      this.#codes?.read(data, at + this.#finder.start, until, mask, at, performance.now());
      return;
    }
    const text = textOf(data, at, end, mask);
    const message = JSON.parse(text) as Fields;
    const { type, audio } = message;
    if (type !== 'input_audio_buffer.append' || typeof audio !== 'string') {
      this.#onMessage(message);
      return;
    }
    this.#finder.learn(text, audio);
    this.#host.counts.slow += 1;
    const plain = Buffer.from(text);
    const learnt = this.#finder.find(plain, 0, plain.length, NO_MASK);
    if (learnt >= 0) this.#codes?.read(plain, this.#finder.start, learnt, NO_MASK, 0, performance.now());
  }

  #onMessage(message: Fields): void {
    switch (message['type']) {
      case 'session.update':
        this.#configure(fieldsOf(message['session']));
        return;
      case 'response.create':
        this.#respond(fieldsOf(message['response'])['metadata'] ?? null);
        return;
      case 'response.cancel':
        this.finish('cancelled');
        return;
      default:
    }
  }

  #configure(session: Fields): void {
    const { counts, codecDelay } = this.#host;
    const format = fieldsOf(fieldsOf(fieldsOf(session['audio'])['input'])['format']);
    this.#sound = format['type'] === 'audio/pcmu' ? MULAW : PCM24;
    const delay = this.#sound === PCM24 ? codecDelay * PCM24.times : 0;
    this.#codes = new CodeReader(this.#sound, delay, this);
    counts.nonsense += format['type'] === 'audio/pcmu' || format['type'] === 'audio/pcm' ? 0 : 1;
    const expires = Math.floor(Date.now() / 1000) + 3600;
    this.#send('session.updated', { session: { ...session, id: `sess_${this.id}`, expires_at: expires } });
    this.#host.onReady(this);
  }

  #respond(metadata: unknown): void {
    if (this.#speaking) return;
    this.#responses += 1;
    this.#metadata = metadata;
    this.#send('response.created', { response: this.#response('in_progress', null) });
    const { item_id: id, ...at } = this.#place;
    const item = {
      id,
      object: 'realtime.item',
      type: 'message',
      status: 'in_progress',
      role: 'assistant',
      content: [],
    };
    this.#send('response.output_item.added', { ...at, item });
    this.#send('response.content_part.added', {
      ...this.#place,
      content_index: 0,
      part: { type: 'audio', transcript: '' },
    });
    this.#prepareDelta();
    this.down.startResponse();
    this.#speaking = true;
  }

  #prepareDelta(): void {
    const payload = silentBase64(this.#sound);
    const digits = '0'.repeat(EVENT_DIGITS);
    const text = JSON.stringify({
      type: 'response.output_audio.delta',
      event_id: `event_${digits}`,
      ...this.#place,
      content_index: 0,
      delta: payload,
    });
    const { bytes, payloadAt } = frameOf(text, undefined);
    this.#delta = bytes;
    this.#deltaAt = payloadAt + text.indexOf(payload);
    this.#deltaDigitsAt = payloadAt + text.indexOf(digits);
    this.#writer = new CodeWriter(this.#sound, undefined, 0);
  }

  #writeDigits(delta: Buffer): void {
    let rest = ++this.#events;
    for (let i = EVENT_DIGITS - 1; i >= 0 && rest > 0; i--) {
      delta[this.#deltaDigitsAt + i] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  }

  #send(type: string, fields: Fields): void {
    const event = `event_${String(++this.#events).padStart(EVENT_DIGITS, '0')}`;
    this.#socket.write(frameOf(JSON.stringify({ type, event_id: event, ...fields }), undefined).bytes);
  }
}

const NO_MASK = new Uint8Array(4);

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
