/** Twilio's media dialect: what the carrier writes, and how it reads what the bridge writes. */

/** Strings for all numbers, as Twilio does it, or under a fault the other way round. */
export interface Spelling {
  readonly numbersForStrings: boolean;
}

/** What `start` tells the bridge. */
export interface StartFacts {
  readonly accountSid: string;
  readonly callSid: string;
  readonly streamSid: string;
  readonly parameters: Readonly<Record<string, string>>;
  /** Leave out everything that is not needed. */
  readonly sparse: boolean;
}

/** First message on the socket; it has no sequence number. */
export const CONNECTED = '{"event":"connected","protocol":"Call","version":"1.0.0"}';

/** Second message: ids, format and the `<Parameter>`s of the document. */
export function startMessage(sequence: number, facts: StartFacts, spelling: Spelling): string {
  const { accountSid, callSid, streamSid, parameters } = facts;
  const format = spelling.numbersForStrings
    ? { encoding: 'audio/x-mulaw', sampleRate: '8000', channels: '1' }
    : { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 };
  const start = facts.sparse
    ? { streamSid, callSid }
    : {
        accountSid,
        streamSid,
        callSid,
        tracks: ['inbound'],
        mediaFormat: format,
        customParameters: parameters,
      };
  return JSON.stringify({ event: 'start', sequenceNumber: spell(sequence, spelling), streamSid, start });
}

/** Per frame, so put together by hand: all values are numbers, base64 or an id, and need no escaping. */
export function mediaMessage(
  sequence: number,
  chunk: number,
  timestampMs: number,
  streamSid: string,
  payload: string,
): string {
  return `{"event":"media","sequenceNumber":"${sequence}","media":{"track":"inbound","chunk":"${chunk}","timestamp":"${timestampMs}","payload":"${payload}"},"streamSid":"${streamSid}"}`;
}

/** The same with numbers where Twilio has strings. */
export function mediaMessageWithNumbers(
  sequence: number,
  chunk: number,
  timestampMs: number,
  streamSid: string,
  payload: string,
): string {
  return `{"event":"media","sequenceNumber":${sequence},"media":{"track":"inbound","chunk":${chunk},"timestamp":${timestampMs},"payload":"${payload}"},"streamSid":"${streamSid}"}`;
}

/** Echo of a mark of the bridge. */
export function markMessage(sequence: number, streamSid: string, name: string, spelling: Spelling): string {
  const mark = { name };
  return JSON.stringify({ event: 'mark', sequenceNumber: spell(sequence, spelling), streamSid, mark });
}

/** One key that the caller pressed. */
export function dtmfMessage(sequence: number, streamSid: string, digit: string, spelling: Spelling): string {
  const dtmf = { track: 'inbound_track', digit };
  return JSON.stringify({ event: 'dtmf', sequenceNumber: spell(sequence, spelling), streamSid, dtmf });
}

/** Last message when the carrier ends the stream. */
export function stopMessage(
  sequence: number,
  facts: { readonly accountSid: string; readonly callSid: string; readonly streamSid: string },
  spelling: Spelling,
): string {
  const { accountSid, callSid, streamSid } = facts;
  const stop = { accountSid, callSid };
  return JSON.stringify({ event: 'stop', sequenceNumber: spell(sequence, spelling), streamSid, stop });
}

/** An event that this version of the protocol does not have. */
export function unknownMessage(sequence: number, streamSid: string, spelling: Spelling): string {
  const weather = { sky: ['clear', null], degrees: 21.5 };
  return JSON.stringify({ event: 'weather', sequenceNumber: spell(sequence, spelling), streamSid, weather });
}

function spell(value: number, spelling: Spelling): number | string {
  return spelling.numbersForStrings ? value : String(value);
}

/** A message of the bridge. `complaint` is what Twilio would warn about (31951) although it can use the message. */
export type BridgeMessage =
  | { readonly type: 'media'; readonly payload: string; readonly complaint: string | undefined }
  | { readonly type: 'mark'; readonly name: string; readonly complaint: string | undefined }
  | { readonly type: 'clear'; readonly complaint: string | undefined }
  | { readonly type: 'invalid'; readonly complaint: string };

/** Reads one text frame of the bridge as strictly as Twilio; never throws. */
export function readBridgeMessage(text: string, streamSid: string): BridgeMessage {
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

function extra(record: Record<string, unknown>, a: string, b = a, c = a): string | undefined {
  for (const key in record) {
    if (key !== a && key !== b && key !== c) return `the field ${JSON.stringify(key)} is not expected`;
  }
  return undefined;
}

function wrongStream(found: unknown): string {
  return found === undefined ? 'streamSid is missing' : 'streamSid is not the one of this stream';
}

function invalid(complaint: string): BridgeMessage {
  return { type: 'invalid', complaint };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Length of what base64 text holds, in bytes; -1 when it cannot be base64. */
export function base64Bytes(text: string): number {
  let end = text.length;
  if (text.endsWith('==')) end -= 2;
  else if (text.endsWith('=')) end -= 1;
  return end % 4 === 1 ? -1 : Math.floor((end * 3) / 4);
}
