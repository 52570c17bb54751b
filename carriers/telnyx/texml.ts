import type { Answer, AnswerPlan, CallUrls, Next, Transfer } from '../../src/carrier.ts';
import type { XmlAttributes, XmlElement } from '../../src/carrier-xml.ts';
import { element, writeXml } from '../../src/carrier-xml.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';

/** What the documents of one account have in common. */
export interface TexmlOptions {
  /** `PCMU` or `PCMA`, and its rate in samples per second. */
  readonly codec: string;
  readonly rateHz: number;
  /** The bounds and the words of Telnyx. */
  readonly address: (what: string, found: string) => string;
  readonly seconds: (what: string, found: number, least: number, most: number) => number;
  readonly spokenLanguage: (language: string | undefined) => string;
}

/** The documents that TeXML applications ask for. */
export interface Texml {
  /** Connects the call to the media socket, and asks what comes next when the stream has ended or never began. */
  stream(plan: AnswerPlan): Answer;
  /** Refuses the call. */
  reject(reason: 'busy' | 'rejected'): Answer;
  /** Throws BAD_INPUT for a target that cannot be dialled and keys that are none. */
  next(next: Next, urls: CallUrls): Answer;
  announcement(text: string, language: string | undefined): Answer;
  /** No verb at all. */
  nothing(): Answer;
}

/** What Telnyx lets the other end of a `<Dial>` ring. */
const SHORTEST_RING_S = 5;
const LONGEST_RING_S = 120;

/** Writes the TeXML of one account. */
export function createTexml(options: TexmlOptions): Texml {
  return {
    stream: (plan) => document(...stream(options, plan)),
    reject: (reason) => document(element('Reject', { reason })),
    next: (next, urls) => document(...nextVerbs(options, next, urls)),
    announcement: (text, language) => document(...say(options, text, language)),
    nothing: () => document(),
  };
}

function document(...verbs: readonly XmlElement[]): Answer {
  return { status: 200, contentType: 'text/xml', body: writeXml(element('Response', {}, verbs)) };
}

function stream(options: TexmlOptions, plan: AnswerPlan): readonly XmlElement[] {
  const { codec, rateHz } = options;
  if (!/^wss?:\/\/[^?#\s]+$/i.test(plan.mediaUrl)) {
    throw new BridgeError(
      'BAD_INPUT',
      'the media URL for Telnyx has a query or is not absolute; wanted wss://host/path',
    );
  }
  const attributes: XmlAttributes = {
    url: plan.mediaUrl,
    // Both tracks would bring the agent's own voice back.
    track: 'inbound_track',
    // What the caller's leg speaks, unless that could not be used: Telnyx turns only G.711 into G.711.
    codec: plan.plainCodec ? 'PCMU' : undefined,
    // The default is MP3, and raw audio is then dropped without a word.
    bidirectionalMode: 'rtp',
    bidirectionalCodec: codec,
    bidirectionalSamplingRate: rateHz,
    // The default dials a socket again that the bridge has closed, so the call would not go on with the next verb.
    enableReconnect: false,
    statusCallback: plan.streamStatusUrl,
    statusCallbackMethod: 'POST',
  };
  const params = Object.entries(plan.params).map(([name, value]) => element('Parameter', { name, value }));
  const connect = element('Connect', {}, [element('Stream', attributes, params)]);
  if (plan.standsAlone !== true) return [connect, ask(plan)];
  // Nothing of it may wait for the bridge, which may be gone.
  const { fallback } = plan;
  const urls = fallback.type === 'transfer' ? NOBODY : plan;
  return [connect, ...nextVerbs(options, fallback, urls)];
}

const NOBODY: CallUrls = { afterUrl: '', announceUrl: '', statusUrl: '' };

/** `<Connect>` has no action of its own. */
function ask({ afterUrl }: CallUrls): XmlElement {
  return element('Redirect', { method: 'POST' }, afterUrl);
}

function nextVerbs(options: TexmlOptions, next: Next, urls: CallUrls): readonly XmlElement[] {
  switch (next.type) {
    case 'hang-up':
      return [element('Hangup')];
    case 'say':
      return [...say(options, next.text, next.language), element('Hangup')];
    case 'message':
      return [...say(options, next.text, next.language), record(options, next.maxS, urls), element('Hangup')];
    case 'transfer':
      return [dial(options, next, urls)];
    case 'digits':
      return [element('Play', { digits: keys(next.digits) }), ask(urls)];
    case 'stream':
      return stream(options, next.plan);
    case 'nothing':
      return [];
    default:
      return assertNever(next);
  }
}

/** `alice` is the voice that speaks more than English. */
function say(options: TexmlOptions, text: string, language: string | undefined): readonly XmlElement[] {
  const words = text.trim();
  if (words === '') return [];
  return [element('Say', { voice: 'alice', language: options.spokenLanguage(language) }, words)];
}

/** What Telnyx records at most. */
const LONGEST_MESSAGE_S = 14_400;

/**
 * Without an action: the next verb follows. Without a timeout either: Telnyx transcribes what it listens to for silence,
 * and charges for that.
 */
function record(options: TexmlOptions, maxS: number, { statusUrl }: CallUrls): XmlElement {
  return element('Record', {
    maxLength: options.seconds('the longest message', maxS, 1, LONGEST_MESSAGE_S),
    finishOnKey: '#',
    playBeep: true,
    channels: 'single',
    ...called('recordingStatusCallback', 'recordingStatusCallbackMethod', statusUrl),
  });
}

function dial(options: TexmlOptions, transfer: Transfer, urls: CallUrls): XmlElement {
  const target = options.address('the transfer target', transfer.to);
  const callerId = transfer.callerId?.trim() ?? '';
  const attributes: XmlAttributes = {
    // Only a number can be shown.
    callerId: /^\+\d+$/.test(callerId) ? callerId : undefined,
    timeout: options.seconds('the ring time of a transfer', transfer.ringS, SHORTEST_RING_S, LONGEST_RING_S),
    ...called('action', 'method', urls.afterUrl),
  };
  const announced = (transfer.announce?.trim() ?? '') !== '';
  const otherEnd: XmlAttributes = {
    ...called('url', 'method', announced ? urls.announceUrl : ''),
    ...called('statusCallback', 'statusCallbackMethod', urls.statusUrl),
    statusCallbackEvent: urls.statusUrl === '' ? undefined : 'answered completed',
  };
  return element('Dial', attributes, [element(/^sips?:/i.test(target) ? 'Sip' : 'Number', otherEnd, target)]);
}

/** An address and its method; an empty one is left out. */
function called(url: string, method: string, value: string): XmlAttributes {
  return value === '' ? {} : { [url]: value, [method]: 'POST' };
}

function keys(digits: string): string {
  // A long pause is known to requests only.
  if (/^[0-9A-D#*wW]{1,64}$/.test(digits)) return digits.replaceAll('W', 'ww');
  throw new BridgeError(
    'BAD_INPUT',
    `the keys to play are ${digits.length} characters that Telnyx has not; wanted 1 to 64 of 0-9 A-D # * w W`,
  );
}
