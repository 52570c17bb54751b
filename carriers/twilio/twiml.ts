import VoiceResponse from 'twilio/lib/twiml/VoiceResponse.js';
import type { AfterStream, Answer, AnswerPlan } from '../../src/carrier.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';

/** Twilio takes less than this many characters of a parameter's name and value together. */
const PARAMETER_LIMIT = 500;

/**
 * Connects the call to the media socket; the fallback follows for a stream that cannot be opened.
 * Throws BAD_INPUT for URLs and parameters that Twilio would refuse or cut.
 */
export function acceptDocument(plan: AnswerPlan): Answer {
  checkMediaUrl(plan.mediaUrl);
  const response = new VoiceResponse();
  const stream = response.connect({ action: clean(plan.afterUrl), method: 'POST' }).stream({
    url: plan.mediaUrl,
    name: 'patchcord',
    statusCallback: clean(plan.streamStatusUrl),
    statusCallbackMethod: 'POST',
  });
  for (const [name, value] of Object.entries(plan.params)) {
    checkParameter(name, value);
    stream.parameter({ name: clean(name), value: clean(value) });
  }
  appendVerbs(response, plan.fallback);
  return document(response);
}

/** Refuses the call without answering it, so it costs nothing. */
export function rejectDocument(reason: 'busy' | 'rejected'): Answer {
  const response = new VoiceResponse();
  response.reject({ reason });
  return document(response);
}

/** What the caller hears after the stream, or instead of it. Throws BAD_INPUT for a target that cannot be dialled. */
export function afterDocument(decision: AfterStream): Answer {
  const response = new VoiceResponse();
  appendVerbs(response, decision);
  return document(response);
}

/** No verb at all. A document and not 204, because the same answer may go to an address that must give TwiML. */
export function emptyDocument(): Answer {
  return document(new VoiceResponse());
}

function document(response: VoiceResponse): Answer {
  return { status: 200, contentType: 'text/xml', body: response.toString() };
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

function appendVerbs(response: VoiceResponse, decision: AfterStream): void {
  switch (decision.type) {
    case 'hang-up':
      response.hangup();
      return;
    case 'say':
      appendSay(response, decision.text, decision.language);
      response.hangup();
      return;
    case 'transfer':
      appendDial(response, decision.to, decision.callerId);
      return;
    default:
      assertNever(decision);
  }
}

function appendSay(response: VoiceResponse, text: string, language: string | undefined): void {
  const words = clean(text).trim();
  if (words === '') return;
  const tag = sayLanguage(language);
  response.say(tag === undefined ? {} : { language: tag }, words);
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

function appendDial(response: VoiceResponse, to: string, callerId: string | undefined): void {
  const target = clean(to).trim();
  // A caller who has not been answered yet goes on hearing the ring, and pays only when somebody picks up.
  const dial = response.dial({ answerOnBridge: true, ...(callerId ? { callerId: clean(callerId) } : {}) });
  if (/^sips?:\S+$/i.test(target)) {
    dial.sip(target);
    return;
  }
  if (/^client:\S+$/i.test(target)) {
    dial.client(target.slice('client:'.length));
    return;
  }
  dial.number(phoneNumber(target));
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
