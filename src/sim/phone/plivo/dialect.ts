import { randomUUID } from 'node:crypto';
import type { BridgeMessage, CallHandle, Complaint, FrameTrouble, MediaDialect } from '../carrier-sim.ts';
import type { PlivoSettings } from './settings.ts';

/** Codec and rate of a stream, for both directions. */
export interface StreamFormat {
  readonly encoding: 'audio/x-mulaw' | 'audio/x-l16';
  readonly rate: 8000 | 16000;
}

/** What is fixed for one media socket. */
export interface DialectTerms {
  readonly call: CallHandle;
  readonly settings: PlivoSettings;
  readonly streamId: string;
  readonly format: StreamFormat;
  readonly isBidirectional: boolean;
  readonly extraHeaders: Readonly<Record<string, string>>;
}

/** Plivo documents no errors on the socket; these words are ours. */
const INVALID_FRAME = 'invalid_frame';
const INVALID_MEDIA = 'invalid_media';

/** Plivo's words on one media socket: what the carrier writes, and how it reads what the bridge writes. */
export class PlivoDialect implements MediaDialect {
  readonly #terms: DialectTerms;
  readonly #beganEpochMs: number;
  readonly #swapped: boolean;
  /** `,"extra_headers":"…"` or nothing. */
  readonly #tail: string;
  /** What stands between the sequence number and the media, and between timestamp and chunk. */
  readonly #head: string;
  #sequence = 0;
  #chunk = 0;
  #latestMs = 0;

  constructor(terms: DialectTerms) {
    this.#terms = terms;
    const { call, settings, streamId, extraHeaders } = terms;
    this.#beganEpochMs = settings.timestamps === 'epoch' ? Math.round(call.clock.epoch()) : 0;
    this.#swapped = call.faults.numbersForStrings;
    const pairs = Object.entries(extraHeaders).map(([name, value]) => `${name}=${value}`);
    this.#tail = pairs.length === 0 ? '' : `,"extra_headers":${JSON.stringify(pairs.join(';'))}`;
    this.#head = `,"streamId":"${streamId}","media":{"track":"inbound","timestamp":`;
  }

  /** Plivo begins with `start`. */
  connected(): undefined {
    return undefined;
  }

  /** Ids and format; the extra headers stand beside it. */
  start(): string {
    const { call, streamId, format } = this.#terms;
    const callId = call.faults.wrongCallId ? randomUUID() : call.identity.callId;
    if (call.faults.sparseStart) return this.#message('start', { start: { callId, streamId } });
    const mediaFormat = {
      encoding: format.encoding,
      sampleRate: this.#swapped ? String(format.rate) : format.rate,
    };
    const { accountId } = call.identity;
    const text = this.#message('start', {
      start: { callId, streamId, accountId, tracks: ['inbound'], mediaFormat },
    });
    return `${text.slice(0, -1)}${this.#tail}}`;
  }

  /** Per frame, so put together by hand: all values are numbers, base64 or an id, and need no escaping. */
  media(timestampMs: number, payload: string): string {
    const sequence = ++this.#sequence;
    const chunk = ++this.#chunk;
    this.#latestMs = timestampMs;
    const at = this.#beganEpochMs + timestampMs;
    return this.#swapped
      ? `{"event":"media","sequenceNumber":"${sequence}"${this.#head}${at},"chunk":"${chunk}","payload":"${payload}"}${this.#tail}}`
      : `{"event":"media","sequenceNumber":${sequence}${this.#head}"${at}","chunk":${chunk},"payload":"${payload}"}${this.#tail}}`;
  }

  mark(name: string): string {
    return this.#message('playedStream', { streamId: this.#terms.streamId, name });
  }

  key(digit: string): string {
    const at = this.#beganEpochMs + this.#latestMs;
    const timestamp = this.#swapped ? at : String(at);
    const shown = this.#swapped && /^\d$/.test(digit) ? Number(digit) : digit;
    const text = this.#message('dtmf', {
      streamId: this.#terms.streamId,
      dtmf: { track: 'inbound', digit: shown, timestamp },
    });
    return `${text.slice(0, -1)}${this.#tail}}`;
  }

  cleared(): string {
    return this.#message('clearedAudio', { streamId: this.#terms.streamId });
  }

  stop(): string | undefined {
    const { settings, streamId } = this.#terms;
    return settings.stop === 'sent'
      ? this.#message('stop', { streamId, reason: 'the stream was stopped' })
      : undefined;
  }

  unknown(): string {
    return this.#message('weather', { weather: { sky: ['clear', null], degrees: 21.5 } });
  }

  read(text: string): BridgeMessage {
    let message: unknown;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#ignored(INVALID_FRAME, 'the text is not JSON');
    }
    if (!isRecord(message)) return this.#ignored(INVALID_FRAME, 'the message is not an object');
    if (!this.#terms.isBidirectional) {
      return this.#ignored(
        INVALID_FRAME,
        'the stream is not bidirectional: what the bridge sends is not used',
      );
    }
    switch (message['event']) {
      case 'playAudio':
        return this.#readAudio(message['media']);
      case 'checkpoint':
        return this.#readCheckpoint(message);
      case 'clearAudio':
        return this.#otherStream(message) ?? { type: 'clear', complaint: undefined };
      case 'sendDTMF':
        return this.#readKeys(message['dtmf']);
      default:
        return this.#ignored(INVALID_FRAME, `the event ${JSON.stringify(message['event'])} is unknown`);
    }
  }

  complain(about: FrameTrouble, text: string): Complaint {
    return about === 'binary-frame'
      ? this.#complaint(INVALID_FRAME, text, 'error')
      : this.#complaint(INVALID_MEDIA, text, 'playFailed');
  }

  #readAudio(media: unknown): BridgeMessage {
    if (!isRecord(media)) return this.#ignored(INVALID_MEDIA, 'playAudio has no object "media"');
    const { payload, contentType, sampleRate } = media;
    if (typeof payload !== 'string' || payload === '') {
      return this.#ignored(INVALID_MEDIA, 'playAudio has no text media.payload');
    }
    const { encoding, rate } = this.#terms.format;
    const isRight =
      (contentType === encoding || contentType === `${encoding};rate=${rate}`) &&
      (sampleRate === rate || sampleRate === String(rate));
    // It is played all the same, as if it were what it has to be: that is what the caller hears.
    const complaint = isRight
      ? undefined
      : this.#complaint(INVALID_MEDIA, `playAudio is not the ${encoding} at ${rate} of this stream`);
    return { type: 'media', payload, complaint };
  }

  #readCheckpoint(message: Record<string, unknown>): BridgeMessage {
    const { name, streamId } = message;
    if (typeof name !== 'string' || name === '') {
      return this.#ignored(INVALID_FRAME, 'checkpoint has no text name');
    }
    const complaint =
      streamId === undefined ? this.#complaint(INVALID_FRAME, 'checkpoint has no streamId') : undefined;
    return this.#otherStream(message) ?? { type: 'mark', name, complaint };
  }

  #readKeys(dtmf: unknown): BridgeMessage {
    if (typeof dtmf === 'string' && /^[0-9A-D*#]+$/.test(dtmf)) {
      return { type: 'keys', digits: dtmf, complaint: undefined };
    }
    return this.#ignored(INVALID_FRAME, 'sendDTMF has no text of 0-9 A-D * #');
  }

  #otherStream({ streamId }: Record<string, unknown>): BridgeMessage | undefined {
    if (streamId === undefined || streamId === this.#terms.streamId) return undefined;
    return this.#ignored(INVALID_FRAME, 'streamId is not the one of this stream');
  }

  #ignored(code: string, text: string): BridgeMessage {
    const event = code === INVALID_MEDIA ? 'playFailed' : 'error';
    return { type: 'ignored', complaint: this.#complaint(code, text, event) };
  }

  #complaint(code: string, text: string, event?: 'playFailed' | 'error'): Complaint {
    const { settings, streamId } = this.#terms;
    if (event === undefined || settings.errorFrames === 'never') return { code, text };
    return { code, text, reply: this.#message(event, { streamId, reason: text }) };
  }

  #message(event: string, rest: Readonly<Record<string, unknown>>): string {
    const sequence = ++this.#sequence;
    return JSON.stringify({ event, sequenceNumber: this.#swapped ? String(sequence) : sequence, ...rest });
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
