import type { AudioFormat } from '../../src/audio/format.ts';
import type { AfterStream, Answer, AnswerPlan, CallUrls, Next, Transfer } from '../../src/carrier.ts';
import { element, writeXml, type XmlAttributes, type XmlElement } from '../../src/carrier-xml.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';

/** Plivo opens no longer address. */
const MEDIA_URL_LIMIT = 2048;
/** All of them together, as `key=value,key=value`. */
const EXTRA_HEADERS_LIMIT = 512;

/**
 * Connects the call to the media socket, and asks what comes next when that is over; `format` is what both sides send.
 * Throws BAD_INPUT for a media URL that Plivo would not open.
 */
export function streamDocument(plan: AnswerPlan, format: AudioFormat): Answer {
  return answer(...streamElements(plan, format));
}

/** Refuses the call without answering it, so it costs nothing. */
export function rejectDocument(reason: 'busy' | 'rejected'): Answer {
  return answer(element('Hangup', { reason }));
}

/** What happens to the call next. Throws BAD_INPUT for a target that cannot be dialled and digits that are none. */
export function nextDocument(next: Next, urls: CallUrls, format: AudioFormat): Answer {
  switch (next.type) {
    case 'hang-up':
    case 'say':
    case 'message':
    case 'transfer':
      return answer(...endElements(next, urls));
    case 'digits':
      return answer(element('DTMF', { async: false }, keys(next.digits)), ...redirect(urls.afterUrl));
    case 'stream':
      return streamDocument(next.plan, format);
    case 'nothing':
      return emptyDocument();
    default:
      return assertNever(next);
  }
}

/** What the other end of a transfer hears; it is connected when the document ends. Anything but speech is ignored there. */
export function announcementDocument(text: string, language: string | undefined): Answer {
  return answer(...speak(text, language));
}

/** No element at all. For callbacks only: a call that is given it has come to the end of its instructions. */
export function emptyDocument(): Answer {
  return answer();
}

function answer(...elements: readonly XmlElement[]): Answer {
  return { status: 200, contentType: 'application/xml', body: writeXml(element('Response', {}, elements)) };
}

/** Nothing for a call that nobody here knows any more: Plivo drops a call with an empty address at once. */
function redirect(url: string): XmlElement[] {
  return url === '' ? [] : [element('Redirect', { method: 'POST' }, url)];
}

function streamElements(plan: AnswerPlan, format: AudioFormat): XmlElement[] {
  const attributes: XmlAttributes = {
    bidirectional: true,
    // Three pages explain it in three ways. With it, and something after the stream, the call lives on in all of them.
    keepCallAlive: true,
    // Never left out: the pages disagree about the default.
    contentType: contentType(plan, format),
    audioTrack: 'inbound',
    streamTimeout: 86_400,
    statusCallbackUrl: plan.streamStatusUrl,
    statusCallbackMethod: 'POST',
    extraHeaders: extraHeaders(plan.params),
  };
  const stream = element('Stream', attributes, mediaUrl(plan.mediaUrl));
  // Then the fallback is given when Plivo asks: whatever stood behind the redirect would never be reached.
  if (plan.standsAlone !== true) return [stream, ...redirect(plan.afterUrl)];
  const { fallback } = plan;
  // Nothing of it may wait for the bridge, which may be gone.
  return [stream, ...endElements(fallback, fallback.type === 'transfer' ? NOBODY : plan)];
}

const NOBODY: CallUrls = { afterUrl: '', announceUrl: '', statusUrl: '' };

function endElements(end: AfterStream, urls: CallUrls): XmlElement[] {
  switch (end.type) {
    case 'hang-up':
      return [element('Hangup')];
    case 'say':
      return [...speak(end.text, end.language), element('Hangup')];
    case 'message':
      return [...speak(end.text, end.language), record(end.maxS, urls), element('Hangup')];
    case 'transfer':
      return [dial(end, urls)];
    default:
      return assertNever(end);
  }
}

function contentType({ plainCodec }: AnswerPlan, { encoding, rate }: AudioFormat): string {
  return plainCodec || encoding !== 'pcm16' ? 'audio/x-mulaw;rate=8000' : `audio/x-l16;rate=${rate}`;
}

function mediaUrl(url: string): string {
  if (URL.canParse(url) && /^wss?:\/\/[^#]+$/i.test(url) && url.length <= MEDIA_URL_LIMIT) return url;
  throw new BridgeError(
    'BAD_INPUT',
    `the media URL for Plivo has ${url.length} characters that it would not open; ` +
      `wanted wss://host/path without fragment, at most ${MEDIA_URL_LIMIT} characters`,
  );
}

/**
 * Plivo promises to bring back letters and digits only, so a parameter with anything else, as a UUID has it, is left
 * out: whoever reads them takes a missing one for unknown, but a mangled one for wrong.
 */
function extraHeaders(params: Readonly<Record<string, string>>): string | undefined {
  let all = '';
  for (const [name, value] of Object.entries(params)) {
    if (!/^[A-Za-z0-9]+$/.test(name) || !/^[A-Za-z0-9]+$/.test(value)) continue;
    const longer = all === '' ? `${name}=${value}` : `${all},${name}=${value}`;
    if (longer.length <= EXTRA_HEADERS_LIMIT) all = longer;
  }
  return all === '' ? undefined : all;
}

function speak(text: string, language: string | undefined): XmlElement[] {
  const words = spoken(text);
  return words === '' ? [] : [element('Speak', voiceOf(language), words)];
}

/** What XML cannot write is not spoken either; to leave it out later could leave an element without text. */
function spoken(text: string): string {
  return text.replace(/[\p{Cc}\p{Cs}\ufffe\uffff]+/gu, ' ').trim();
}

/**
 * Languages of `<Speak>`. Plivo takes a document with any other for none at all, and the caller is dropped; its lists
 * differ in length, and these are in all of them. For the rest a voice of the synthesizer is asked for by name, which
 * brings its language along.
 */
const VOICES: Readonly<Record<string, XmlAttributes>> = {
  'da-dk': { language: 'da-DK' },
  'de-de': { language: 'de-DE' },
  'en-au': { language: 'en-AU' },
  'en-gb': { language: 'en-GB' },
  'en-us': { language: 'en-US' },
  'es-es': { language: 'es-ES' },
  'es-us': { language: 'es-US' },
  'fr-ca': { language: 'fr-CA' },
  'fr-fr': { language: 'fr-FR' },
  'it-it': { language: 'it-IT' },
  'nl-nl': { language: 'nl-NL' },
  'pl-pl': { language: 'pl-PL' },
  'pt-br': { language: 'pt-BR' },
  // One list knows no woman who speaks it, and a woman is the default.
  'pt-pt': { language: 'pt-PT', voice: 'MAN' },
  'ru-ru': { language: 'ru-RU' },
  'sv-se': { language: 'sv-SE' },
  'ar-xa': { voice: 'Polly.Zeina' },
  'cmn-cn': { voice: 'Polly.Zhiyu' },
  'cy-gb': { voice: 'Polly.Gwyneth' },
  'en-in': { voice: 'Polly.Raveena' },
  'es-mx': { voice: 'Polly.Mia' },
  'hi-in': { voice: 'Polly.Aditi' },
  'is-is': { voice: 'Polly.Dora' },
  'ja-jp': { voice: 'Polly.Mizuki' },
  'ko-kr': { voice: 'Polly.Seoyeon' },
  'nb-no': { voice: 'Polly.Liv' },
  'ro-ro': { voice: 'Polly.Carmen' },
  'tr-tr': { voice: 'Polly.Filiz' },
};

/** Of a language that is given without a region, or with one that nobody speaks. */
const REGIONS: Readonly<Record<string, string>> = {
  ar: 'ar-xa',
  arb: 'ar-xa',
  cmn: 'cmn-cn',
  cy: 'cy-gb',
  da: 'da-dk',
  de: 'de-de',
  en: 'en-us',
  es: 'es-es',
  fr: 'fr-fr',
  hi: 'hi-in',
  is: 'is-is',
  it: 'it-it',
  ja: 'ja-jp',
  ko: 'ko-kr',
  nb: 'nb-no',
  nl: 'nl-nl',
  no: 'nb-no',
  pl: 'pl-pl',
  pt: 'pt-pt',
  ro: 'ro-ro',
  ru: 'ru-ru',
  sv: 'sv-se',
  tr: 'tr-tr',
  zh: 'cmn-cn',
};

function voiceOf(language: string | undefined): XmlAttributes {
  const tag = language?.trim().replaceAll('_', '-').toLowerCase() ?? '';
  const primary = tag.split('-', 1)[0] ?? '';
  const usual = Object.hasOwn(REGIONS, primary) ? (REGIONS[primary] ?? '') : '';
  const known = Object.hasOwn(VOICES, tag) ? tag : usual;
  return Object.hasOwn(VOICES, known) ? (VOICES[known] ?? {}) : {};
}

/** Somebody who thinks for a moment has not finished. */
const MESSAGE_SILENCE_S = 10;
/** Plivo takes nothing shorter. */
const SHORTEST_MESSAGE_S = 2;

/** Without an action: the next element follows. */
function record(maxS: number, { statusUrl }: CallUrls): XmlElement {
  return element('Record', {
    maxLength: Math.max(seconds('longest message', maxS), SHORTEST_MESSAGE_S),
    timeout: MESSAGE_SILENCE_S,
    finishOnKey: '#',
    playBeep: true,
    redirect: false,
    ...called('callbackUrl', 'callbackMethod', statusUrl),
  });
}

function dial(transfer: Transfer, urls: CallUrls): XmlElement {
  const announced = spoken(transfer.announce ?? '') !== '';
  const attributes: XmlAttributes = {
    ...called('action', 'method', urls.afterUrl),
    timeout: seconds('ring time of a transfer', transfer.ringS),
    callerId: transfer.callerId === undefined ? undefined : callerId(transfer.callerId),
    // Played without confirmKey too; with one the other end would have to press it.
    confirmSound: announced && urls.announceUrl !== '' ? urls.announceUrl : undefined,
    ...called('callbackUrl', 'callbackMethod', urls.statusUrl),
  };
  const target = transfer.to.trim();
  const end = /^sip:[^\s<>]+$/i.test(target)
    ? element('User', {}, target)
    : element('Number', {}, phoneNumber('transfer target', target));
  return element('Dial', attributes, [end]);
}

/** An address and its method; an empty one is left out. */
function called(url: string, method: string, value: string): XmlAttributes {
  return value === '' ? {} : { [url]: value, [method]: 'POST' };
}

function callerId(text: string): string {
  return phoneNumber('caller id of a transfer', text.trim());
}

/** As Plivo writes numbers: without the plus. */
function phoneNumber(what: string, text: string): string {
  const digits = text.replace(/[\s().-]/g, '').replace(/^\+/, '');
  if (/^\d{3,20}$/.test(digits)) return digits;
  throw new BridgeError(
    'BAD_INPUT',
    `the ${what} has ${text.length} characters that are no address; wanted a number such as +14155550100, or sip:…`,
  );
}

function seconds(what: string, found: number): number {
  if (found > 0 && found < Number.POSITIVE_INFINITY) return Math.ceil(found);
  throw new BridgeError('BAD_INPUT', `the ${what} is ${found}; wanted seconds above 0`);
}

function keys(digits: string): string {
  if (/^[0-9#*wW]{1,200}$/.test(digits)) return digits;
  // Plivo skips the whole element for one wrong character.
  throw new BridgeError(
    'BAD_INPUT',
    `the keys to play are ${digits.length} characters that Plivo has not; wanted 1 to 200 of 0-9 # * w W`,
  );
}
