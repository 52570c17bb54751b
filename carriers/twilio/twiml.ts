import type VoiceResponse from 'twilio/lib/twiml/VoiceResponse.js';
import type { AfterStream, Answer, AnswerPlan, CallUrls, Next, Transfer } from '../../src/carrier.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';
import { type Attributes, Verb } from './verbs.ts';

/** Twilio takes less than this many characters of a parameter's name and value together. */
const PARAMETER_LIMIT = 500;

/**
 * Connects the call to the media socket; the fallback follows for a stream that cannot be opened.
 * Throws BAD_INPUT for URLs and parameters that Twilio would refuse or cut.
 */
export function streamDocument(plan: AnswerPlan): Answer {
  const response = new Verb('Response');
  appendStream(response, plan);
  return document(response);
}

/** Refuses the call without answering it, so it costs nothing. */
export function rejectDocument(reason: 'busy' | 'rejected'): Answer {
  const response = new Verb('Response');
  response.add('Reject', { reason });
  return document(response);
}

/** What happens to the call next. Throws BAD_INPUT for a target that cannot be dialled and digits that are none. */
export function nextDocument(next: Next, urls: CallUrls): Answer {
  const response = new Verb('Response');
  appendNext(response, next, urls);
  return document(response);
}

/** What the other end of a transfer hears; it is connected when the document ends. */
export function announcementDocument(text: string, language: string | undefined): Answer {
  const response = new Verb('Response');
  appendSay(response, text, language);
  return document(response);
}

/** No verb at all. A document and not 204, because the same answer may go to an address that must give TwiML. */
export function emptyDocument(): Answer {
  return document(new Verb('Response'));
}

function document(response: Verb): Answer {
  return { status: 200, contentType: 'text/xml', body: response.toDocument() };
}

function checkMediaUrl(url: string): void {
  // Twilio drops the query of a stream URL without a word; what it carried would be missing at the upgrade.
  const usable = URL.canParse(url) && /^wss?:\/\/[^?#]+$/i.test(url);
  if (usable) return;
  throw new BridgeError(
    'BAD_INPUT',
    `the media URL for Twilio ${url.includes('?') ? 'has a query' : 'is not absolute'}; wanted wss://host/path`,
  );
}

function checkParameter(name: string, value: string): void {
  if (name === '') throw new BridgeError('BAD_INPUT', 'a stream parameter has no name');
  const length = name.length + value.length;
  if (length < PARAMETER_LIMIT) return;
  throw new BridgeError(
    'BAD_INPUT',
    `stream parameter ${JSON.stringify(name.slice(0, 40))} has ${length} characters of name and value; ` +
      `wanted fewer than ${PARAMETER_LIMIT}`,
  );
}

function appendNext(response: Verb, next: Next, urls: CallUrls): void {
  switch (next.type) {
    case 'hang-up':
    case 'say':
    case 'message':
      appendEnd(response, next, urls);
      return;
    case 'transfer':
      appendDial(response, next, urls);
      return;
    case 'digits':
      response.add('Play', { digits: keys(next.digits) });
      response.add('Redirect', { method: 'POST' }, clean(urls.afterUrl));
      return;
    case 'stream':
      appendStream(response, next.plan);
      return;
    case 'nothing':
      return;
    default:
      assertNever(next);
  }
}

function appendStream(response: Verb, plan: AnswerPlan): void {
  checkMediaUrl(plan.mediaUrl);
  const after: Attributes = plan.standsAlone === true ? {} : { action: clean(plan.afterUrl), method: 'POST' };
  const stream = response.add('Connect', after).add('Stream', {
    url: plan.mediaUrl,
    name: 'patchcord',
    statusCallback: clean(plan.streamStatusUrl),
    statusCallbackMethod: 'POST',
  });
  for (const [name, value] of Object.entries(plan.params)) {
    checkParameter(name, value);
    stream.add('Parameter', { name: clean(name), value: clean(value) });
  }
  appendFallback(response, plan.fallback, plan);
}

/** It has to work when the bridge is gone, so nothing of it waits for the bridge. */
function appendFallback(response: Verb, fallback: AfterStream, urls: CallUrls): void {
  if (fallback.type === 'transfer') appendDial(response, fallback, undefined);
  else appendEnd(response, fallback, urls);
}

type End = Exclude<AfterStream, { readonly type: 'transfer' }>;

function appendEnd(response: Verb, end: End, urls: CallUrls): void {
  if (end.type !== 'hang-up') appendSay(response, end.text, end.language);
  if (end.type === 'message') appendRecord(response, end.maxS, urls);
  response.add('Hangup');
}

/** Somebody who thinks for a moment has not finished. */
const MESSAGE_SILENCE_S = 10;
/** What Twilio records at most: a day. */
const LONGEST_MESSAGE_S = 86_400;

/** The verbs behind it are for a message that was never begun. */
function appendRecord(response: Verb, maxS: number, urls: CallUrls): void {
  response.add('Record', {
    // Without an action Twilio asks for the document once more that this stands in, and the caller hears it again.
    ...(urls.afterUrl === '' ? {} : { action: clean(urls.afterUrl), method: 'POST' }),
    maxLength: wholeSeconds('longest message', maxS, LONGEST_MESSAGE_S),
    timeout: MESSAGE_SILENCE_S,
    finishOnKey: '#',
    playBeep: true,
    ...(urls.statusUrl === ''
      ? {}
      : {
          recordingStatusCallback: clean(urls.statusUrl),
          recordingStatusCallbackMethod: 'POST',
          recordingStatusCallbackEvent: ['completed', 'absent'],
        }),
  });
}

/** `w` and `W` are pauses of half a second and a second. */
function keys(digits: string): string {
  if (/^[0-9A-D#*wW]{1,200}$/.test(digits)) return digits;
  throw new BridgeError(
    'BAD_INPUT',
    `the keys to play are ${digits.length} characters that Twilio has not; wanted 1 to 200 of 0-9 A-D # * w W`,
  );
}

function appendSay(response: Verb, text: string, language: string | undefined): void {
  const words = clean(text).trim();
  if (words === '') return;
  const tag = sayLanguage(language);
  response.add('Say', tag === undefined ? {} : { language: tag }, words);
}

type SayLanguage = NonNullable<VoiceResponse.SayAttributes['language']>;

/** Twilio wants a region, and a tag that it does not know makes the caller hear nothing. */
const REGIONS: Readonly<Record<string, SayLanguage>> = Object.freeze({
  ar: 'ar-XA',
  cs: 'cs-CZ',
  da: 'da-DK',
  de: 'de-DE',
  el: 'el-GR',
  en: 'en-US',
  es: 'es-ES',
  fi: 'fi-FI',
  fr: 'fr-FR',
  he: 'he-IL',
  hi: 'hi-IN',
  hu: 'hu-HU',
  id: 'id-ID',
  it: 'it-IT',
  ja: 'ja-JP',
  ko: 'ko-KR',
  nb: 'nb-NO',
  nl: 'nl-NL',
  no: 'nb-NO',
  pl: 'pl-PL',
  pt: 'pt-PT',
  ro: 'ro-RO',
  ru: 'ru-RU',
  sv: 'sv-SE',
  th: 'th-TH',
  tr: 'tr-TR',
  uk: 'uk-UA',
  vi: 'vi-VN',
  zh: 'cmn-CN',
});

/** What `<Say>` can speak; in any other language the caller hears nothing. The list of twilio 6.2.0. */
const SPOKEN: readonly SayLanguage[] = [
  'af-ZA',
  'am-ET',
  'ar-AE',
  'ar-XA',
  'arb',
  'bg-BG',
  'bn-IN',
  'ca-ES',
  'cmn-CN',
  'cmn-TW',
  'cs-CZ',
  'cy-GB',
  'da-DK',
  'de-AT',
  'de-DE',
  'el-GR',
  'en-AU',
  'en-CA',
  'en-GB',
  'en-GB-WLS',
  'en-IE',
  'en-IN',
  'en-NZ',
  'en-US',
  'en-ZA',
  'es-ES',
  'es-MX',
  'es-US',
  'fi-FI',
  'fil-PH',
  'fr-CA',
  'fr-FR',
  'fr-BE',
  'gu-IN',
  'he-IL',
  'hi-IN',
  'hu-HU',
  'id-ID',
  'is-IS',
  'it-IT',
  'ja-JP',
  'kn-IN',
  'ko-KR',
  'lv-LV',
  'ml-IN',
  'mr-IN',
  'ms-MY',
  'nb-NO',
  'nl-BE',
  'nl-NL',
  'pa-IN',
  'pl-PL',
  'pt-BR',
  'pt-PT',
  'ro-RO',
  'ru-RU',
  'sk-SK',
  'sr-RS',
  'sv-SE',
  'ta-IN',
  'te-IN',
  'th-TH',
  'tr-TR',
  'uk-UA',
  'vi-VN',
  'yue-HK',
  'zh-CN',
  'zh-HK',
  'zh-TW',
];

/** A tag that Twilio speaks goes through; any other gets the usual region of its language, or Twilio's default. */
function sayLanguage(language: string | undefined): SayLanguage | undefined {
  const tag = language?.trim().replaceAll('_', '-').toLowerCase() ?? '';
  const spoken = SPOKEN.find((candidate) => candidate.toLowerCase() === tag);
  if (spoken !== undefined) return spoken;
  const primary = tag.split('-', 1)[0] ?? '';
  return Object.hasOwn(REGIONS, primary) ? REGIONS[primary] : undefined;
}

/** The longest time that Twilio lets a telephone ring. */
const LONGEST_RING_S = 600;

/** Without `urls`, nobody is told how it goes, nor asked what comes next. */
function appendDial(response: Verb, transfer: Transfer, urls: CallUrls | undefined): void {
  const target = clean(transfer.to).trim();
  const dial = response.add('Dial', {
    // A caller who has not been answered yet goes on hearing the ring, and pays only when somebody picks up.
    answerOnBridge: true,
    timeout: wholeSeconds('ring time of a transfer', transfer.ringS, LONGEST_RING_S),
    ...(transfer.callerId ? { callerId: clean(transfer.callerId) } : {}),
    ...(urls === undefined ? {} : { action: clean(urls.afterUrl), method: 'POST' }),
  });
  const reports = urls === undefined ? {} : otherEnd(transfer, urls);
  if (/^sips?:\S+$/i.test(target)) dial.add('Sip', reports, target);
  else if (/^client:\S+$/i.test(target)) dial.add('Client', reports, target.slice('client:'.length));
  else dial.add('Number', reports, phoneNumber(target));
}

function otherEnd({ announce }: Transfer, urls: CallUrls): Attributes {
  return {
    ...(announce?.trim() ? { url: clean(urls.announceUrl), method: 'POST' } : {}),
    statusCallback: clean(urls.statusUrl),
    statusCallbackMethod: 'POST',
    statusCallbackEvent: ['answered', 'completed'],
  };
}

function wholeSeconds(what: string, found: number, most: number): number {
  if (found > 0 && found < Number.POSITIVE_INFINITY) return Math.min(Math.ceil(found), most);
  throw new BridgeError('BAD_INPUT', `the ${what} is ${found}; wanted seconds above 0`);
}

function phoneNumber(target: string): string {
  const digits = target.replace(/[\s().-]/g, '');
  if (/^\+?\d{3,20}$/.test(digits)) return digits;
  throw new BridgeError(
    'BAD_INPUT',
    `the transfer target has ${target.length} characters that are no address; wanted a number such as +14155550100, sip:… or client:…`,
  );
}

/** XML has no way to write control characters and halves of surrogate pairs; the TwiML library throws on them. */
function clean(text: string): string {
  return text.replace(/(?![\t\n\r])[\p{Cc}\p{Cs}\ufffe\uffff]/gu, '');
}
