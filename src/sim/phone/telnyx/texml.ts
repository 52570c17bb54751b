import { BridgeError } from '../../../errors.ts';
import { readCommonVerb, readStream, TWIML_ATTRIBUTES } from '../twiml-verbs.ts';
import type { AnswerDocument, DialLeg, StreamVerb, Verb } from '../verbs.ts';
import { httpMethod, readResponse, type Warn, warnAttributes, type XmlElement } from '../xml.ts';
import { DOCUMENT_CODES } from './codes.ts';

const LEG_ATTRIBUTES = [
  'url',
  'method',
  'statusCallback',
  'statusCallbackEvent',
  'statusCallbackMethod',
  'sendDigits',
  'machineDetection',
  'detectionMode',
  'amdStatusCallback',
  'amdStatusCallbackMethod',
] as const;

// What is known of each element. Anything else draws a warning and is left out.
const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  ...TWIML_ATTRIBUTES,
  Response: [],
  Connect: [],
  Start: [],
  Dial: [
    'action',
    'method',
    'callerId',
    'fromDisplayName',
    'hangupOnStar',
    'timeout',
    'timeLimit',
    'record',
    'recordingChannels',
    'recordingStatusCallback',
    'recordingStatusCallbackMethod',
    'recordingStatusCallbackEvent',
    'ringTone',
  ],
  Record: [
    'action',
    'method',
    'finishOnKey',
    'timeout',
    'maxLength',
    'playBeep',
    'trim',
    'channels',
    'recordingStatusCallback',
    'recordingStatusCallbackMethod',
    'recordingStatusCallbackEvent',
    'transcription',
    'transcriptionCallback',
  ],
  Number: LEG_ATTRIBUTES,
  Sip: [...LEG_ATTRIBUTES, 'username', 'password'],
  Stream: [
    'url',
    'name',
    'track',
    'statusCallback',
    'statusCallbackMethod',
    'codec',
    'bidirectionalMode',
    'bidirectionalCodec',
    'bidirectionalSamplingRate',
    'enableReconnect',
  ],
};

const CODECS = ['PCMU', 'PCMA', 'G722', 'OPUS', 'AMR-WB', 'L16'] as const;

/** Values that an attribute of `<Stream>` may have. L16 is in no list of TeXML, and in use. */
const STREAM_VALUES: Readonly<Record<string, readonly string[]>> = {
  track: ['inbound_track', 'outbound_track', 'both_tracks'],
  codec: [...CODECS, 'default'],
  bidirectionalMode: ['mp3', 'rtp'],
  bidirectionalCodec: CODECS,
  bidirectionalSamplingRate: ['8000', '16000', '24000'],
  enableReconnect: ['true', 'false'],
};

const { malformed, odd } = DOCUMENT_CODES;

/**
 * Reads an answer document strictly: throws BAD_INPUT for what is not well-formed XML, has no `<Response>`, or lacks
 * something that the call cannot go on without.
 */
export function parseTexml(text: string): AnswerDocument {
  return readResponse(text, { malformed, odd }, readVerb);
}

function readVerb(element: XmlElement, warn: Warn): Verb | undefined {
  warnAttributes(element, ATTRIBUTES[element.name] ?? Object.keys(element.attributes), warn);
  switch (element.name) {
    case 'Connect':
      return readConnect(element, true, warn);
    case 'Start':
      return readConnect(element, false, warn);
    case 'Dial':
      return readDial(element, warn);
    case 'Record':
      return { type: 'own', name: 'Record', settings: element.attributes, values: [] };
    default: {
      const verb = readCommonVerb(element, warn);
      if (verb === undefined) warn(`<${element.name}> is not a verb that the simulated phone knows`);
      return verb;
    }
  }
}

function readConnect(element: XmlElement, wait: boolean, warn: Warn): Verb {
  const stream = element.children.find((child) => child.name === 'Stream');
  if (stream === undefined) throw new BridgeError('BAD_INPUT', `${odd}: <${element.name}> holds no <Stream>`);
  if (element.children.length > 1) warn(`<${element.name}> may hold one <Stream> and nothing else`);
  warnAttributes(stream, ATTRIBUTES['Stream'] ?? [], warn);
  const url = stream.attributes['url'];
  if (url === undefined) throw new BridgeError('BAD_INPUT', `${odd}: <Stream> has no url`);
  const verb = withKnownValues(readStream(stream, url, warn), warn);
  // There is no action: the next verb runs.
  return { type: 'connect', action: undefined, method: 'POST', wait, stream: verb };
}

/** A value that Telnyx does not know is as good as none. */
function withKnownValues(verb: StreamVerb, warn: Warn): StreamVerb {
  const isKnown = (name: string, value: string | undefined): boolean => {
    if (value === undefined || (STREAM_VALUES[name] ?? [value]).includes(value)) return true;
    warn(`${name} of <Stream> may be ${STREAM_VALUES[name]?.join(', ')}`);
    return false;
  };
  const settings: Record<string, string> = { enableReconnect: 'true' };
  for (const [name, value] of Object.entries(verb.settings)) {
    if (isKnown(name, value)) settings[name] = value;
  }
  return { ...verb, settings, track: isKnown('track', verb.track) ? verb.track : undefined };
}

function readDial(element: XmlElement, warn: Warn): Verb {
  const { attributes } = element;
  const legs = element.children.flatMap((child) => readLeg(child, warn));
  const own = element.text.trim();
  if (own !== '') legs.unshift({ kind: 'Number', target: own, settings: {} });
  if (legs.length === 0) warn('<Dial> says nobody to ring');
  warnRange(attributes, 'timeout', 5, 120, warn);
  warnRange(attributes, 'timeLimit', 60, 14_400, warn);
  return {
    type: 'dial',
    action: attributes['action'],
    method: httpMethod(attributes['method']),
    callerId: attributes['callerId'],
    targets: legs.map((leg) => leg.target),
    legs,
    settings: attributes,
  };
}

function readLeg(element: XmlElement, warn: Warn): DialLeg[] {
  const { name, attributes, text } = element;
  if (name !== 'Number' && name !== 'Sip') {
    warn(`<${name}> in <Dial> is not somebody whom the simulated phone can ring`);
    return [];
  }
  warnAttributes(element, ATTRIBUTES[name] ?? [], warn);
  const target = text.trim();
  const isGood = name === 'Sip' ? /^sips?:\S+$/.test(target) : /^\+?\d+$/.test(target);
  if (!isGood) warn(`<${name}> in <Dial> holds no ${name === 'Sip' ? 'SIP address' : 'number'}`);
  return [{ kind: name, target, settings: attributes }];
}

function warnRange(
  attributes: Readonly<Record<string, string>>,
  name: string,
  least: number,
  most: number,
  warn: Warn,
): void {
  const value = Number(attributes[name] ?? least);
  if (!(Number.isInteger(value) && value >= least && value <= most)) {
    warn(`${name} of <Dial> must be from ${least} to ${most} seconds`);
  }
}
