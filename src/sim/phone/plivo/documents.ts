import type { AnswerDocument, Verb } from '../verbs.ts';
import { httpMethod, readResponse, seconds, type Warn, warnAttributes, type XmlElement } from '../xml.ts';

/** Plivo's codes for XML that cannot be used; the second one is a word of ours. */
export const INVALID_XML = '8011';
export const XML_WARNING = 'xml_warning';

/** What is known of each element. Anything else draws a warning and is left out. */
const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  Stream: [
    'bidirectional',
    'audioTrack',
    'streamTimeout',
    'statusCallbackUrl',
    'statusCallbackMethod',
    'contentType',
    'extraHeaders',
    'keepCallAlive',
    'noiseCancellation',
    'noiseCancellationLevel',
  ],
  Speak: ['voice', 'language', 'loop'],
  Play: ['loop'],
  Wait: ['length', 'silence', 'minSilence', 'beep'],
  Redirect: ['method'],
  Hangup: ['reason', 'schedule'],
  DTMF: ['async'],
  Dial: [
    'action',
    'method',
    'redirect',
    'timeout',
    'timeLimit',
    'callerId',
    'callerName',
    'hangupOnStar',
    'confirmSound',
    'confirmKey',
    'confirmTimeout',
    'dialMusic',
    'callbackUrl',
    'callbackMethod',
    'digitsMatch',
    'digitsMatchBLeg',
    'sipHeaders',
    'sequential',
  ],
  Number: ['sendDigits', 'sendOnPreanswer'],
  User: ['sendDigits', 'sendOnPreanswer', 'sipHeaders'],
  Record: [
    'action',
    'method',
    'redirect',
    'fileFormat',
    'timeout',
    'maxLength',
    'playBeep',
    'finishOnKey',
    'recordSession',
    'startOnDialAnswer',
    'recordChannelType',
    'callbackUrl',
    'callbackMethod',
  ],
};

const ADDRESS_LIMIT = 2048;

/**
 * Reads an answer document as strictly as Plivo: throws BAD_INPUT with its code for what is no XML.
 * `isAnswered`: a `<Hangup>` at the beginning refuses a call only while it rings.
 */
export function readPlivoXml(text: string, isAnswered: boolean): AnswerDocument {
  let isFirst = true;
  return readResponse(text, { malformed: INVALID_XML, odd: XML_WARNING }, (element, warn) => {
    const verb = readVerb(element, warn, isFirst && !isAnswered);
    isFirst = false;
    return verb;
  });
}

function readVerb(element: XmlElement, warn: Warn, mayRefuse: boolean): Verb | undefined {
  const known = ATTRIBUTES[element.name];
  if (known !== undefined) warnAttributes(element, known, warn);
  const { attributes } = element;
  const text = element.text.trim();
  switch (element.name) {
    case 'Stream':
      return readStream(element, warn);
    case 'Speak':
      return readSpeak(element, warn);
    case 'Play':
      return { type: 'play', url: text, digits: undefined };
    case 'Wait':
      return { type: 'pause', lengthS: seconds(attributes['length']) };
    case 'Redirect':
      return { type: 'redirect', url: text, method: httpMethod(attributes['method']) };
    case 'Hangup':
      return readHangup(element, warn, mayRefuse);
    case 'DTMF':
      return readDtmf(element, warn);
    case 'Dial':
      return readDial(element, warn);
    case 'Record':
      return { type: 'own', name: 'Record', settings: attributes, values: [] };
    default:
      warn(`<${element.name}> is not an element that the simulated phone knows`);
      return undefined;
  }
}

function readSpeak({ attributes, text }: XmlElement, warn: Warn): Verb | undefined {
  if (text.trim() === '') {
    warn('<Speak> says nothing');
    return undefined;
  }
  return { type: 'say', text: text.trim(), language: attributes['language'], voice: attributes['voice'] };
}

function readHangup({ attributes }: XmlElement, warn: Warn, mayRefuse: boolean): Verb {
  const { reason, schedule } = attributes;
  if (reason !== undefined && reason !== 'busy' && reason !== 'rejected') {
    warn(`<Hangup> knows no reason ${JSON.stringify(reason)}`);
  }
  if (schedule !== undefined) return { type: 'own', name: 'Hangup', settings: attributes, values: [] };
  // A call that rings is refused, also when no reason is given.
  if (mayRefuse) return { type: 'reject', reason: reason === 'busy' ? 'busy' : 'rejected' };
  return { type: 'hangup' };
}

function readDtmf(element: XmlElement, warn: Warn): Verb | undefined {
  const digits = element.text.trim();
  if (/^[0-9#*wW]+$/.test(digits)) {
    return { type: 'own', name: 'DTMF', settings: element.attributes, values: [digits] };
  }
  warn('<DTMF> holds characters that are no keys, and is skipped');
  return undefined;
}

function readDial(element: XmlElement, warn: Warn): Verb | undefined {
  const targets: string[] = [];
  for (const child of element.children) {
    const target = child.text.trim();
    if (child.name === 'User' && /^sips?:\S+$/i.test(target)) targets.push(target);
    else if (child.name === 'Number' && /^\+?\d{3,20}$/.test(target)) targets.push(target);
    else warn(`<${child.name}> in <Dial> is not a <Number> of digits or a <User> that begins with sip:`);
    warnAttributes(child, ATTRIBUTES[child.name] ?? [], warn);
  }
  if (targets.length === 0) {
    warn('<Dial> says nobody to ring');
    return undefined;
  }
  const { confirmKey, confirmSound, timeout } = element.attributes;
  if (confirmKey !== undefined && confirmSound === undefined) warn('confirmKey needs a confirmSound');
  if (timeout !== undefined && !(Number(timeout) > 0)) warn('the timeout of <Dial> is no number of seconds');
  return { type: 'own', name: 'Dial', settings: element.attributes, values: targets };
}

function readStream(element: XmlElement, warn: Warn): Verb | undefined {
  const { attributes } = element;
  const url = element.text.trim();
  if (url === '' || url.length > ADDRESS_LIMIT) {
    warn('<Stream> holds no address, or one that is too long');
    return undefined;
  }
  const isAlone = attributes['keepCallAlive'] === 'true';
  const isBoth = attributes['bidirectional'] === 'true';
  if (isAlone && !isBoth) warn('keepCallAlive has no effect on a <Stream> that is not bidirectional');
  return {
    type: 'connect',
    action: undefined,
    method: 'POST',
    wait: isAlone && isBoth,
    stream: {
      url,
      name: undefined,
      track: attributes['audioTrack'],
      statusCallback: attributes['statusCallbackUrl'],
      statusCallbackMethod: httpMethod(attributes['statusCallbackMethod']),
      parameters: readExtraHeaders(attributes['extraHeaders'], warn),
      settings: attributes,
    },
  };
}

/** `k=v,k2=v2`: letters and digits only, 512 bytes in all. What breaks the rules is left out. */
export function readExtraHeaders(text: string | undefined, warn: Warn): Readonly<Record<string, string>> {
  if (text === undefined || text.trim() === '') return {};
  if (Buffer.byteLength(text) > 512) {
    warn('extraHeaders has more than 512 bytes and is left out');
    return {};
  }
  const headers: Record<string, string> = {};
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([A-Za-z0-9]+)=([A-Za-z0-9]+)\s*$/.exec(pair) ?? [];
    if (name === undefined || value === undefined) {
      warn('a pair of extraHeaders is not letters and digits on both sides of = and is left out');
    } else headers[name] = value;
  }
  return headers;
}
