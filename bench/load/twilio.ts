import { createHmac, randomBytes } from 'node:crypto';

/** What a carrier of Twilio's kind says beside audio. */

/** One call as its carrier knows it. */
export interface CallIds {
  readonly callSid: string;
  readonly streamSid: string;
  readonly accountSid: string;
  readonly from: string;
  readonly to: string;
}

/** Ids of a new call. `slot` decides who calls, among the numbers that belong to nobody. */
export function newCall(slot: number): CallIds {
  const caller = 100 + (slot % 100);
  return {
    callSid: `CA${randomBytes(16).toString('hex')}`,
    streamSid: `MZ${randomBytes(16).toString('hex')}`,
    accountSid: `AC${'5'.repeat(32)}`,
    from: `+14155550${caller}`,
    to: '+14155550100',
  };
}

/** `X-Twilio-Signature` of a request. */
export function signatureOf(
  secret: string,
  url: string,
  fields: Readonly<Record<string, string>> = {},
): string {
  const hash = createHmac('sha1', secret).update(url);
  for (const name of Object.keys(fields).sort()) hash.update(name + fields[name]);
  return hash.digest('base64');
}

/** The form of the webhook that announces a call. */
export function incomingForm(call: CallIds): Readonly<Record<string, string>> {
  const { callSid, accountSid, from, to } = call;
  return {
    AccountSid: accountSid,
    ApiVersion: '2010-04-01',
    CallSid: callSid,
    CallStatus: 'ringing',
    CallToken: '%7B%22parentCallInfoToken%22%3A%22simulated%22%7D',
    Direction: 'inbound',
    From: from,
    Caller: from,
    FromCity: 'SAN FRANCISCO',
    FromState: 'CA',
    FromZip: '94105',
    FromCountry: 'US',
    CallerCity: 'SAN FRANCISCO',
    CallerState: 'CA',
    CallerZip: '94105',
    CallerCountry: 'US',
    To: to,
    Called: to,
    ToCity: '',
    ToState: 'CA',
    ToZip: '',
    ToCountry: 'US',
    CalledCity: '',
    CalledState: 'CA',
    CalledZip: '',
    CalledCountry: 'US',
    StirVerstat: 'TN-Validation-Passed-A',
  };
}

/** Where the stream of an answer document goes, and the parameters that go with it. */
export interface StreamOrder {
  readonly url: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** Reads the one thing of a document that matters here. Undefined: it has no stream. */
export function readDocument(text: string): StreamOrder | undefined {
  const url = /<Stream\b[^>]*\burl="([^"]+)"/.exec(text)?.[1];
  if (url === undefined) return undefined;
  const parameters: Record<string, string> = {};
  for (const [element] of text.matchAll(/<Parameter\b[^>]*>/g)) {
    const name = /\bname="([^"]*)"/.exec(element)?.[1];
    if (name !== undefined) parameters[plain(name)] = plain(/\bvalue="([^"]*)"/.exec(element)?.[1] ?? '');
  }
  return { url: plain(url), parameters };
}

function plain(text: string): string {
  return text
    .replaceAll('&quot;', '"')
    .replaceAll('&apos;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}

/** The `start` message. It is always the first that is numbered. */
export function startMessage(call: CallIds, parameters: Readonly<Record<string, string>>): string {
  const { callSid, streamSid, accountSid } = call;
  return JSON.stringify({
    event: 'start',
    sequenceNumber: '1',
    streamSid,
    start: {
      accountSid,
      streamSid,
      callSid,
      tracks: ['inbound'],
      mediaFormat: { encoding: 'audio/x-mulaw', sampleRate: 8000, channels: 1 },
      customParameters: parameters,
    },
  });
}

/** A `media` message. */
export function mediaMessage(call: CallIds, sequence: number, chunk: number, payload: string): string {
  return `{"event":"media","sequenceNumber":"${sequence}","media":{"track":"inbound","chunk":"${chunk}","timestamp":"${20 * (chunk - 1)}","payload":"${payload}"},"streamSid":"${call.streamSid}"}`;
}

/** The echo of a mark that was reached. */
export function markMessage(call: CallIds, sequence: number, name: string): string {
  return JSON.stringify({
    event: 'mark',
    sequenceNumber: String(sequence),
    streamSid: call.streamSid,
    mark: { name },
  });
}

/** The caller has hung up. */
export function stopMessage(call: CallIds, sequence: number): string {
  const { streamSid, accountSid, callSid } = call;
  return JSON.stringify({
    event: 'stop',
    sequenceNumber: String(sequence),
    streamSid,
    stop: { accountSid, callSid },
  });
}
