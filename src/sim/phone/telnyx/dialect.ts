import { base64Bytes } from '../base64.ts';
import type { BridgeMessage, CallHandle, Complaint, FrameTrouble, MediaDialect } from '../carrier-sim.ts';

/** What a stream has to know of its leg. */
export interface LegFacts {
  readonly sessionId: string;
  /** As the bridge has set it last, in base64. */
  readonly clientState: string | undefined;
  /** Somebody else is connected with the leg. */
  readonly isBridged: boolean;
}

/** What the words of one media socket depend on. */
export interface DialectTerms {
  readonly call: CallHandle;
  readonly leg: LegFacts;
  readonly streamId: string;
  readonly token: string | undefined;
  readonly parameters: Readonly<Record<string, string>>;
  /** What the bridge is sent. */
  readonly codec: { readonly name: string; readonly rate: number };
  readonly errorFrames: 'error' | 'payload';
  /** The bridge has not asked for raw audio. */
  readonly isMp3: boolean;
  /** Audio of the bridge is for the other leg, of which there may be none. */
  readonly isOpposite: boolean;
  /** Of what the bridge sends; false for codecs whose length says nothing. */
  readonly bytesPerMs: number;
  readonly isMeasured: boolean;
  /** Called for everything that the bridge sends to be heard. */
  heard(): void;
}

const UNKNOWN_CALL = `v3:${'x'.repeat(43)}`;
const SHORTEST_CHUNK_MS = 20;
const LONGEST_CHUNK_MS = 30_000;
const MP3_PAUSE_MS = 1000;

const ERRORS = {
  malformed_frame: 100003,
  invalid_media: 100004,
  rate_limit_reached: 100005,
} as const;
type ErrorTitle = keyof typeof ERRORS;

/** Telnyx's words on one media socket: what the carrier writes, and how it reads what the bridge writes. */
export class TelnyxDialect implements MediaDialect {
  readonly #terms: DialectTerms;
  readonly #isNumbers: boolean;
  #sequence = 0;
  #chunk = 0;
  #lastMp3Ms = Number.NEGATIVE_INFINITY;

  constructor(terms: DialectTerms) {
    this.#terms = terms;
    this.#isNumbers = terms.call.faults.numbersForStrings;
  }

  /** First message on the socket; it has no sequence number. */
  connected(): string {
    const { token } = this.#terms;
    const connected = token === undefined ? {} : { connected: { 'x-telnyx-streaming-auth-token': token } };
    return JSON.stringify({ event: 'connected', version: '1.0.0', ...connected });
  }

  start(): string {
    const { call, leg, codec, parameters } = this.#terms;
    const { identity, faults } = call;
    const call_control_id = faults.wrongCallId ? UNKNOWN_CALL : identity.callId;
    if (faults.sparseStart)
      return this.#message('start', { start: { call_control_id, from: null, to: null } });
    const start = {
      user_id: identity.accountId,
      call_control_id,
      call_session_id: leg.sessionId,
      from: identity.from,
      to: identity.to,
      tags: ['TAG1'],
      client_state: leg.clientState ?? null,
      custom_parameters: parameters,
      media_format: this.#isNumbers
        ? { encoding: codec.name, sample_rate: String(codec.rate), channels: '1' }
        : { encoding: codec.name, sample_rate: codec.rate, channels: 1 },
    };
    return this.#message('start', { start });
  }

  /** Per frame, so put together by hand: all values are numbers, base64 or an id, and need no escaping. */
  media(timestampMs: number, payload: string): string {
    const sequence = ++this.#sequence;
    const chunk = ++this.#chunk;
    const { streamId } = this.#terms;
    return this.#isNumbers
      ? `{"event":"media","sequence_number":${sequence},"stream_id":"${streamId}","media":{"track":"inbound","chunk":${chunk},"timestamp":${timestampMs},"payload":"${payload}"}}`
      : `{"event":"media","sequence_number":"${sequence}","stream_id":"${streamId}","media":{"track":"inbound","chunk":"${chunk}","timestamp":"${timestampMs}","payload":"${payload}"}}`;
  }

  mark(name: string): string {
    return this.#message('mark', { mark: { name } });
  }

  key(digit: string): string {
    const occurred_at = occurredAt(this.#terms.call.clock.epoch());
    return this.#message('dtmf', { occurred_at, dtmf: { digit } });
  }

  cleared(): undefined {
    return undefined;
  }

  stop(): string {
    const { accountId, callId } = this.#terms.call.identity;
    return this.#message('stop', { stop: { user_id: accountId, call_control_id: callId } });
  }

  unknown(): string {
    return this.#message('weather', { weather: { sky: ['clear', null], degrees: 21.5 } });
  }

  read(text: string): BridgeMessage {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#refuse('malformed_frame', 'the text is not JSON');
    }
    if (!isRecord(message)) return this.#refuse('malformed_frame', 'the message is not an object');
    const stream = message['stream_id'];
    if (stream !== undefined && stream !== this.#terms.streamId) {
      return this.#refuse('malformed_frame', 'stream_id is not the one of this stream');
    }
    switch (message['event']) {
      case 'media':
        return this.#readMedia(message['media']);
      case 'mark':
        return this.#readMark(message['mark']);
      case 'clear':
        return { type: 'clear', complaint: undefined };
      default:
        return this.#refuse('malformed_frame', `the event ${JSON.stringify(message['event'])} is unknown`);
    }
  }

  complain(about: FrameTrouble, text: string): Complaint {
    return this.#complaint(about === 'binary-frame' ? 'malformed_frame' : 'invalid_media', text);
  }

  #readMedia(media: unknown): BridgeMessage {
    const payload = isRecord(media) ? media['payload'] : undefined;
    if (typeof payload !== 'string' || payload === '') {
      return this.#refuse('malformed_frame', 'media has no text media.payload');
    }
    if (this.#terms.isMp3) return this.#readMp3();
    const odd = this.#terms.isMeasured ? this.#lengthFault(base64Bytes(payload)) : undefined;
    if (odd !== undefined) return this.#refuse('invalid_media', odd);
    this.#terms.heard();
    if (this.#terms.isOpposite && !this.#terms.leg.isBridged) {
      const text = 'audio for the opposite leg is dropped: there is none';
      return { type: 'ignored', complaint: { code: 'no_opposite_leg', text } };
    }
    return { type: 'media', payload, complaint: undefined };
  }

  // What is no base64 at all is complained of by whoever decodes it.
  #lengthFault(bytes: number): string | undefined {
    if (bytes < 0) return undefined;
    const ms = bytes / this.#terms.bytesPerMs;
    if (ms < SHORTEST_CHUNK_MS) return `a chunk is shorter than ${SHORTEST_CHUNK_MS} ms`;
    return ms > LONGEST_CHUNK_MS ? `a chunk is longer than ${LONGEST_CHUNK_MS} ms` : undefined;
  }

  /** Whole MP3 files are not played here, and raw audio is dropped without a word; too many of either are noticed. */
  #readMp3(): BridgeMessage {
    const nowMs = this.#terms.call.clock.now();
    const isTooSoon = nowMs - this.#lastMp3Ms < MP3_PAUSE_MS;
    if (!isTooSoon) this.#lastMp3Ms = nowMs;
    if (isTooSoon) return this.#refuse('rate_limit_reached', 'more than one message of media a second');
    return {
      type: 'ignored',
      complaint: { code: 'mp3_mode', text: 'audio is dropped: the stream takes MP3' },
    };
  }

  #readMark(mark: unknown): BridgeMessage {
    const name = isRecord(mark) ? mark['name'] : undefined;
    if (typeof name !== 'string') return this.#refuse('malformed_frame', 'mark has no text mark.name');
    return { type: 'mark', name, complaint: undefined };
  }

  #refuse(title: ErrorTitle, text: string): BridgeMessage {
    return { type: 'ignored', complaint: this.#complaint(title, text) };
  }

  #complaint(title: ErrorTitle, detail: string): Complaint {
    const number = ERRORS[title];
    const isNumber = (this.#terms.errorFrames === 'payload') !== this.#isNumbers;
    const error = { code: isNumber ? number : String(number), title, detail };
    return { code: title, text: detail, reply: this.#message('error', { [this.#terms.errorFrames]: error }) };
  }

  #message(event: string, rest: Readonly<Record<string, unknown>>): string {
    const sequence = ++this.#sequence;
    const sequence_number = this.#isNumbers ? sequence : String(sequence);
    return JSON.stringify({ event, sequence_number, stream_id: this.#terms.streamId, ...rest });
  }
}

/** A time as Telnyx writes it, in microseconds. */
export function occurredAt(epochMs: number): string {
  return new Date(epochMs).toISOString().replace('Z', '000Z');
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
