import { randomBytes } from 'node:crypto';
import { type Addresses, hostOf, isLoopback } from './addresses.ts';
import type { CarrierDesk } from './carrier-desk.ts';
import type { StreamEnd } from './events.ts';
import type { PhoneFaults, SignatureFault } from './faults.ts';
import { pause } from './pause.ts';
import { type RunningStream, resolveUrl } from './script.ts';
import { twilioSignature } from './signature.ts';
import { MediaStream, type StreamContext } from './stream.ts';
import type { StreamVerb } from './twiml.ts';

/** `prefix` and 32 hexadecimal digits, as Twilio's ids are. */
export function newSid(prefix: 'CA' | 'MZ'): string {
  return prefix + randomBytes(16).toString('hex');
}

/** What all streams of one call share. */
export interface LineSetup extends Omit<StreamContext, 'started' | 'ended'> {
  readonly addresses: Addresses;
  readonly desk: CarrierDesk;
  readonly faults: PhoneFaults;
  readonly accountSid: string;
  readonly callSid: string;
  readonly authToken: string;
  hangUp(): void;
  /** A `start` was sent. */
  started(stream: MediaStream): void;
}

interface CheckedStream {
  readonly url: string;
  /** Twilio's error code and text, when the stream cannot even be tried. */
  readonly failure: readonly [code: string, text: string] | undefined;
}

/** The streams of one call, one after the other, and what Twilio reports about them. */
export class Line {
  readonly streams: MediaStream[] = [];
  readonly ends: StreamEnd[] = [];
  readonly #setup: LineSetup;

  constructor(setup: LineSetup) {
    this.#setup = setup;
  }

  /** Of the latest stream that was to be opened. */
  streamSid: string | undefined;

  /** Opens the stream of a document; undefined when `signal` aborted before there was one. */
  async open(verb: StreamVerb, baseUrl: string, signal: AbortSignal): Promise<RunningStream | undefined> {
    const { log, clock, faults } = this.#setup;
    const checked = checkStream(verb, baseUrl);
    const streamSid = newSid('MZ');
    this.streamSid = streamSid;
    log.add({ type: 'stream-opening', url: checked.url, streamSid });
    const report = this.#reporter(verb, baseUrl, streamSid);
    if (checked.failure !== undefined) return unopened(checked.failure, report);
    if (verb.url.includes('?')) log.warn('31922', 'the query of the stream address is not used');
    await pause(clock, faults.upgradeDelayMs, signal);
    if (faults.hangUpBeforeUpgrade) this.#setup.hangUp();
    if (signal.aborted) return undefined;
    return this.#start(checked.url, verb, streamSid, report);
  }

  #start(url: string, verb: StreamVerb, streamSid: string, report: Report): RunningStream {
    const { addresses, faults, accountSid, callSid, authToken } = this.#setup;
    const stream = new MediaStream(
      {
        socketUrl: addresses.reach(url),
        host: hostOf(url),
        signature: sign(authToken, url, faults.upgradeSignature),
        accountSid,
        callSid,
        streamSid,
        parameters: verb.parameters,
        faults,
      },
      {
        ...this.#setup,
        started: () => {
          report.started();
          this.#setup.started(stream);
        },
        ended: report.ended,
      },
    );
    this.streams.push(stream);
    return stream;
  }

  #reporter(verb: StreamVerb, baseUrl: string, sid: string): Report {
    const { desk } = this.#setup;
    const { statusCallback, statusCallbackMethod: method } = verb;
    const tell = (event: 'stream-started' | 'stream-stopped' | 'stream-error', error?: string): void => {
      if (statusCallback === undefined) return;
      const url = resolveUrl(statusCallback, baseUrl);
      desk.stream({ url, method }, event, { sid, name: verb.name ?? sid, error });
    };
    return {
      started: () => tell('stream-started'),
      ended: (end) => {
        this.ends.push(end);
        this.#tellEnd(end, tell);
      },
    };
  }

  #tellEnd(end: StreamEnd, tell: (event: 'stream-stopped' | 'stream-error', error?: string) => void): void {
    const { log, faults } = this.#setup;
    if (end.how === 'carrier-stopped') {
      tell('stream-stopped');
      return;
    }
    const error =
      end.how === 'failed' ? `${end.errorCode}: ${end.text}` : `31921: the server closed (${end.code})`;
    log.warn(error.slice(0, 5), error.slice(7));
    if (end.how === 'failed' || faults.reportCloseAsError) tell('stream-error', error);
    else tell('stream-stopped');
  }
}

interface Report {
  started(): void;
  ended(end: StreamEnd): void;
}

function unopened([errorCode, text]: readonly [string, string], report: Report): RunningStream {
  const end: StreamEnd = { how: 'failed', errorCode, text, started: false };
  report.ended(end);
  return { ended: Promise.resolve(end), stop: () => {} };
}

function checkStream(verb: StreamVerb, baseUrl: string): CheckedStream {
  // Relative addresses are meant relative to the document; what is absolute is signed letter by letter.
  const absolute = resolveUrl(verb.url, baseUrl.replace(/^http/i, 'ws'));
  const url = absolute.replace(/[?#].*$/s, '');
  return { url, failure: findFailure(url, verb.track) };
}

function findFailure(url: string, track: string | undefined): readonly [string, string] | undefined {
  if (!URL.canParse(url)) return ['31923', 'the stream address is malformed'];
  const isSecure = /^wss:/i.test(url);
  const isLocal = /^ws:/i.test(url) && isLoopback(url);
  if (!isSecure && !isLocal) return ['31922', 'the scheme of the stream address must be wss'];
  if (track !== undefined && track !== 'inbound_track') return ['31941', `track ${track} under <Connect>`];
  return undefined;
}

function sign(authToken: string, url: string, fault: SignatureFault): string | undefined {
  if (fault === 'missing') return undefined;
  return twilioSignature(authToken, fault === 'bad' ? `${url}/another` : url);
}
