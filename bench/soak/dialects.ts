import type { CarrierName } from '../../src/carrier.ts';

type Form = Readonly<Record<string, string>>;
type Message = Readonly<Record<string, unknown>>;

/** What the carrier is told over a media stream. */
export type Told =
  | { readonly type: 'audio'; readonly ms: number }
  | { readonly type: 'mark'; readonly name: string }
  | { readonly type: 'clear' };

/** A media stream, as its messages have to name it. */
export interface StreamNames {
  readonly callId: string;
  readonly streamId: string;
  readonly agent: string;
}

/** How one carrier says what all of them say. */
export interface Dialect {
  readonly carrier: CarrierName;
  callId(number: number): string;
  /** Of the first webhook. */
  incoming(callId: string): Form;
  /** Of the last one. */
  over(callId: string): Form;
  start(names: StreamNames): readonly Message[];
  /** `payload`: base64, mu-law of 8 kHz. */
  media(names: StreamNames, chunk: number, ms: number, payload: string): Message;
  stop(names: StreamNames): Message | undefined;
  mark(names: StreamNames, name: string): Message;
  /** Marks of what was cleared come back as well. */
  readonly echoesCleared: boolean;
  /** Undefined: nothing that matters here. */
  read(message: Message): Told | undefined;
}

const PARTIES = { From: '+14155550100', To: '+14155550101', Direction: 'inbound' };
const BYTES_PER_MS = 8;

const twilio: Dialect = {
  carrier: 'twilio',
  echoesCleared: true,
  callId: (number) => `CA${hex(number, 32)}`,
  incoming: (CallSid) => ({ ...PARTIES, AccountSid: ACCOUNT, CallSid, CallStatus: 'ringing' }),
  over: (CallSid) => ({
    ...PARTIES,
    AccountSid: ACCOUNT,
    CallSid,
    CallStatus: 'completed',
    CallDuration: '4',
  }),
  start: ({ callId, streamId, agent }) => [
    { event: 'connected', protocol: 'Call', version: '1.0.0' },
    {
      event: 'start',
      sequenceNumber: '1',
      streamSid: streamId,
      start: {
        accountSid: ACCOUNT,
        streamSid: streamId,
        callSid: callId,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
        customParameters: { call: callId, agent },
      },
    },
  ],
  media: ({ streamId }, chunk, ms, payload) => ({
    event: 'media',
    sequenceNumber: String(chunk + 1),
    media: { track: 'inbound', chunk: String(chunk), timestamp: String(ms), payload },
    streamSid: streamId,
  }),
  stop: ({ callId, streamId }) => ({
    event: 'stop',
    streamSid: streamId,
    stop: { accountSid: ACCOUNT, callSid: callId },
  }),
  mark: ({ streamId }, name) => ({ event: 'mark', streamSid: streamId, mark: { name } }),
  read: readFork,
};

const telnyx: Dialect = {
  carrier: 'telnyx',
  echoesCleared: true,
  callId: (number) => `v3:${hex(number, 52)}`,
  incoming: (CallSid) => ({
    ...PARTIES,
    AccountSid: ACCOUNT,
    CallSid,
    CallControlId: CallSid,
    CallStatus: 'ringing',
  }),
  over: (CallSid) => ({
    ...PARTIES,
    AccountSid: ACCOUNT,
    CallSid,
    CallControlId: CallSid,
    CallStatus: 'completed',
  }),
  start: ({ callId, streamId, agent }) => [
    { event: 'connected', version: '1.0.0' },
    {
      event: 'start',
      sequence_number: '1',
      stream_id: streamId,
      start: {
        user_id: ACCOUNT,
        call_control_id: callId,
        call_session_id: hex(7, 32),
        custom_parameters: { call: callId, agent },
        media_format: { encoding: 'PCMU', sample_rate: 8000, channels: 1 },
      },
    },
  ],
  media: ({ streamId }, chunk, ms, payload) => ({
    event: 'media',
    sequence_number: String(chunk + 1),
    stream_id: streamId,
    media: { track: 'inbound', chunk: String(chunk), timestamp: String(ms), payload },
  }),
  stop: ({ callId, streamId }) => ({
    event: 'stop',
    stream_id: streamId,
    stop: { user_id: ACCOUNT, call_control_id: callId },
  }),
  mark: ({ streamId }, name) => ({ event: 'mark', stream_id: streamId, mark: { name } }),
  read: readFork,
};

const plivo: Dialect = {
  carrier: 'plivo',
  echoesCleared: false,
  callId: (number) => uuid(number),
  incoming: (CallUUID) => ({ ...PARTIES, CallUUID, CallStatus: 'ringing', Event: 'StartApp' }),
  over: (CallUUID) => ({ ...PARTIES, CallUUID, CallStatus: 'completed', Event: 'Hangup' }),
  start: ({ callId, streamId, agent }) => [
    {
      event: 'start',
      sequenceNumber: 1,
      start: {
        callId,
        streamId,
        accountId: ACCOUNT,
        tracks: ['inbound'],
        mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000 },
      },
      extra_headers: `agent=${agent}`,
    },
  ],
  media: ({ streamId, agent }, chunk, ms, payload) => ({
    event: 'media',
    sequenceNumber: chunk + 1,
    streamId,
    media: { track: 'inbound', timestamp: String(ms), chunk, payload },
    extra_headers: `agent=${agent}`,
  }),
  stop: () => undefined,
  mark: ({ streamId }, name) => ({ event: 'playedStream', streamId, name }),
  read(message) {
    switch (message['event']) {
      case 'playAudio':
        return { type: 'audio', ms: bytesIn(message) / BYTES_PER_MS };
      case 'checkpoint':
        return { type: 'mark', name: String(message['name']) };
      case 'clearAudio':
        return { type: 'clear' };
      default:
        return undefined;
    }
  },
};

/** All of them. */
export const DIALECTS: readonly Dialect[] = [twilio, telnyx, plivo];

const ACCOUNT = `AC${hex(1, 32)}`;

/** Twilio's messages, and Telnyx', which are the same but for names that nobody asks for here. */
function readFork(message: Message): Told | undefined {
  switch (message['event']) {
    case 'media':
      return { type: 'audio', ms: bytesIn(message) / BYTES_PER_MS };
    case 'mark':
      return { type: 'mark', name: String(fieldsOf(message['mark'])['name']) };
    case 'clear':
      return { type: 'clear' };
    default:
      return undefined;
  }
}

function bytesIn(message: Message): number {
  return Buffer.byteLength(String(fieldsOf(message['media'])['payload']), 'base64');
}

function fieldsOf(value: unknown): Message {
  return typeof value === 'object' && value !== null ? (value as Message) : {};
}

function hex(number: number, length: number): string {
  return number.toString(16).padStart(length, '0');
}

function uuid(number: number): string {
  const digits = hex(number, 32);
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-');
}
