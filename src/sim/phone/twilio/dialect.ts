import type { BridgeMessage, CallHandle, Complaint, FrameTrouble, MediaDialect } from '../carrier-sim.ts';

/** What Twilio has not been told may be any call. */
const UNKNOWN_CALL = `CA${'f'.repeat(32)}`;

/** Twilio's words on one media socket: what the carrier writes, and how it reads what the bridge writes. */
export class TwilioDialect implements MediaDialect {
  readonly #call: CallHandle;
  readonly #streamSid: string;
  readonly #parameters: Readonly<Record<string, string>>;
  readonly #isNumbers: boolean;
  #sequence = 0;
  #chunk = 0;

  constructor(call: CallHandle, streamSid: string, parameters: Readonly<Record<string, string>>) {
    this.#call = call;
    this.#streamSid = streamSid;
    this.#parameters = parameters;
    this.#isNumbers = call.faults.numbersForStrings;
  }

  /** First message on the socket; it has no sequence number. */
  connected(): string {
    return '{"event":"connected","protocol":"Call","version":"1.0.0"}';
  }

  /** Ids, format and the `<Parameter>`s of the document. */
  start(): string {
    const { identity, faults } = this.#call;
    const streamSid = this.#streamSid;
    const callSid = faults.wrongCallId ? UNKNOWN_CALL : identity.callId;
    const start = faults.sparseStart
      ? { streamSid, callSid }
      : {
          accountSid: identity.accountId,
          streamSid,
          callSid,
          tracks: ['inbound'],
          mediaFormat: this.#isNumbers
            ? { encoding: 'audio/x-mulaw', sampleRate: '8000', channels: '1' }
            : { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
          customParameters: this.#parameters,
        };
    return this.#message('start', { start });
  }

  /** Per frame, so put together by hand: all values are numbers, base64 or an id, and need no escaping. */
  media(timestampMs: number, payload: string): string {
    const sequence = ++this.#sequence;
    const chunk = ++this.#chunk;
    const streamSid = this.#streamSid;
    return this.#isNumbers
      ? `{"event":"media","sequenceNumber":${sequence},"media":{"track":"inbound","chunk":${chunk},"timestamp":${timestampMs},"payload":"${payload}"},"streamSid":"${streamSid}"}`
      : `{"event":"media","sequenceNumber":"${sequence}","media":{"track":"inbound","chunk":"${chunk}","timestamp":"${timestampMs}","payload":"${payload}"},"streamSid":"${streamSid}"}`;
  }

  mark(name: string): string {
    return this.#message('mark', { mark: { name } });
  }

  key(digit: string): string {
    return this.#message('dtmf', { dtmf: { track: 'inbound_track', digit } });
  }

  cleared(): undefined {
    return undefined;
  }

  stop(): string {
    const { accountId, callId } = this.#call.identity;
    return this.#message('stop', { stop: { accountSid: accountId, callSid: callId } });
  }

  unknown(): string {
    return this.#message('weather', { weather: { sky: ['clear', null], degrees: 21.5 } });
  }

  /** Never throws. */
  read(text: string): BridgeMessage {
    return readBridgeMessage(text, this.#streamSid);
  }

  complain(about: FrameTrouble, text: string): Complaint {
    return { code: about === 'binary-frame' ? '31950' : '31951', text };
  }

  #message(event: string, rest: Readonly<Record<string, unknown>>): string {
    const sequence = ++this.#sequence;
    const sequenceNumber = this.#isNumbers ? sequence : String(sequence);
    return JSON.stringify({ event, sequenceNumber, streamSid: this.#streamSid, ...rest });
  }
}

/** A stream under `<Start>`, which only listens: whatever the bridge sends is against the protocol. */
export class OneWayDialect extends TwilioDialect {
  override read(): BridgeMessage {
    return { type: 'ignored', complaint: { code: '31924', text: 'a message on a stream that only listens' } };
  }
}

/** Reads one text frame of the bridge as strictly as Twilio; never throws. */
function readBridgeMessage(text: string, streamSid: string): BridgeMessage {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return invalid('the text is not JSON');
  }
  if (!isRecord(message)) return invalid('the message is not an object');
  if (message['streamSid'] !== streamSid) return invalid(wrongStream(message['streamSid']));
  switch (message['event']) {
    case 'media':
      return readMedia(message);
    case 'mark':
      return readMark(message);
    case 'clear':
      return { type: 'clear', complaint: extra(message, 'event', 'streamSid') };
    default:
      return invalid(`the event ${JSON.stringify(message['event'])} is unknown`);
  }
}

function readMedia(message: Record<string, unknown>): BridgeMessage {
  const media = message['media'];
  if (!isRecord(media)) return invalid('media has no object "media"');
  const payload = media['payload'];
  if (typeof payload !== 'string' || payload === '') return invalid('media has no text media.payload');
  const complaint = extra(message, 'event', 'streamSid', 'media') ?? extra(media, 'payload');
  return { type: 'media', payload, complaint };
}

function readMark(message: Record<string, unknown>): BridgeMessage {
  const mark = message['mark'];
  if (!isRecord(mark)) return invalid('mark has no object "mark"');
  const name = mark['name'];
  if (typeof name !== 'string') return invalid('mark has no text mark.name');
  const complaint = extra(message, 'event', 'streamSid', 'mark') ?? extra(mark, 'name');
  return { type: 'mark', name, complaint };
}

function extra(record: Record<string, unknown>, a: string, b = a, c = a): Complaint | undefined {
  for (const key in record) {
    if (key !== a && key !== b && key !== c)
      return invalidMessage(`the field ${JSON.stringify(key)} is not expected`);
  }
  return undefined;
}

function wrongStream(found: unknown): string {
  return found === undefined ? 'streamSid is missing' : 'streamSid is not the one of this stream';
}

function invalid(text: string): BridgeMessage {
  return { type: 'ignored', complaint: invalidMessage(text) };
}

function invalidMessage(text: string): Complaint {
  return { code: '31951', text };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
