import { BridgeError } from '../../../errors.ts';
import { readCommonVerb, readStream, TWIML_ATTRIBUTES } from '../twiml-verbs.ts';
import type { AnswerDocument, DialLeg, Verb } from '../verbs.ts';
import { httpMethod, readResponse, type Warn, warnAttributes, type XmlElement } from '../xml.ts';

const LEG_ATTRIBUTES = ['url', 'method', 'statusCallback', 'statusCallbackMethod', 'statusCallbackEvent'];
const DETECTION_ATTRIBUTES = [
  'machineDetection',
  'machineDetectionTimeout',
  'machineDetectionSpeechThreshold',
  'machineDetectionSpeechEndThreshold',
  'machineDetectionSilenceTimeout',
  'amdStatusCallback',
  'amdStatusCallbackMethod',
];

// What is known of each element. Anything else draws a warning and is left out, as Twilio does with 12200.
const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  ...TWIML_ATTRIBUTES,
  Dial: [
    ...(TWIML_ATTRIBUTES['Dial'] ?? []),
    'events',
    'passports',
    'recordingConfigurationId',
    'recordingStatusCallbackEvent',
    'recordingStatusCallbackMethod',
    'recordingTrack',
    'referMethod',
  ],
  Number: [...LEG_ATTRIBUTES, ...DETECTION_ATTRIBUTES, 'sendDigits', 'byoc'],
  Sip: [...LEG_ATTRIBUTES, ...DETECTION_ATTRIBUTES, 'username', 'password'],
  Client: LEG_ATTRIBUTES,
  Start: ['action', 'method'],
  Record: [
    'action',
    'method',
    'timeout',
    'finishOnKey',
    'maxLength',
    'playBeep',
    'trim',
    'recordingStatusCallback',
    'recordingStatusCallbackMethod',
    'recordingStatusCallbackEvent',
    'transcribe',
    'transcribeCallback',
  ],
  Stream: [
    'url',
    'name',
    'track',
    'statusCallback',
    'statusCallbackMethod',
    'connectorName',
    'audioFormat',
    'sampleRate',
  ],
};

const LEG_KINDS: readonly string[] = ['Number', 'Sip', 'Client'];

/** `StreamVerb.settings` of a stream that only listens, and the action that a stream under `<Connect>` leads to. */
export const ONE_WAY = '<Start>';
export const ACTION = '<Connect action>';
export const ACTION_METHOD = '<Connect method>';

/**
 * Reads an answer document strictly: throws BAD_INPUT for what is not well-formed XML or has no `<Response>` (Twilio's
 * 12100), or lacks something that the call cannot go on without (12200).
 */
export function parseTwiml(text: string): AnswerDocument {
  return readResponse(text, { malformed: '12100', odd: '12200' }, readVerb);
}

/** Reads a document for the other leg of a transfer, which may be told something and be hung up, and nothing else. */
export function parseLegTwiml(text: string): AnswerDocument {
  const { verbs, warnings } = parseTwiml(text);
  const isForLegs = (verb: Verb): boolean => LEG_VERBS.includes(verb.type);
  const odd = verbs.filter((verb) => !isForLegs(verb));
  return {
    verbs: verbs.filter(isForLegs),
    warnings: [
      ...warnings,
      ...odd.map(({ type }) => ({ code: '12200', text: `"${type}" is not for the other leg of a <Dial>` })),
    ],
  };
}

const LEG_VERBS: readonly Verb['type'][] = ['say', 'play', 'pause', 'redirect', 'hangup'];

function readVerb(element: XmlElement, warn: Warn): Verb | undefined {
  warnKnown(element, warn);
  switch (element.name) {
    case 'Connect':
      return readConnect(element, warn);
    case 'Start':
      return readStart(element, warn);
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

function readConnect(element: XmlElement, warn: Warn): Verb {
  const { action, method: written } = element.attributes;
  const stream = readOnlyStream(element, warn);
  const method = httpMethod(written);
  const settings =
    action === undefined
      ? stream.settings
      : { ...stream.settings, [ACTION]: action, [ACTION_METHOD]: method };
  return { type: 'connect', action, method, wait: true, stream: { ...stream, settings } };
}

/** The call goes on at once, and the stream only listens. */
function readStart(element: XmlElement, warn: Warn): Verb {
  const stream = readOnlyStream(element, warn);
  return {
    type: 'connect',
    action: undefined,
    method: 'POST',
    wait: false,
    stream: { ...stream, settings: { ...stream.settings, [ONE_WAY]: 'yes' } },
  };
}

function readOnlyStream(element: XmlElement, warn: Warn): ReturnType<typeof readStream> {
  const { name } = element;
  const stream = element.children.find((child) => child.name === 'Stream');
  if (stream === undefined) throw new BridgeError('BAD_INPUT', `12200: <${name}> holds no <Stream>`);
  if (element.children.length > 1) warn(`<${name}> may hold one <Stream> and nothing else`);
  warnKnown(stream, warn);
  const url = stream.attributes['url'];
  if (url === undefined) throw new BridgeError('BAD_INPUT', '12200: <Stream> has no url');
  return readStream(stream, url, warn);
}

function readDial(element: XmlElement, warn: Warn): Verb {
  const { action, method, callerId, ...settings } = element.attributes;
  const legs = readLegs(element, warn);
  if (legs.length === 0) warn('<Dial> says nobody to ring');
  if (legs.length > 10) warn('<Dial> rings ten at most');
  if ((settings['record'] ?? 'do-not-record') !== 'do-not-record') {
    warn('<Dial record> is not simulated: record the call instead');
  }
  return {
    type: 'dial',
    action,
    method: httpMethod(method),
    callerId,
    targets: legs.map((leg) => leg.target),
    legs,
    settings,
    answersLate: settings['answerOnBridge'] === 'true',
  };
}

function readLegs(dial: XmlElement, warn: Warn): readonly DialLeg[] {
  const legs: DialLeg[] = [];
  const own = dial.text.trim();
  if (own !== '') legs.push({ kind: 'Number', target: own, settings: {} });
  for (const child of dial.children) {
    const { name, attributes, text } = child;
    if (LEG_KINDS.includes(name)) {
      warnKnown(child, warn);
      if (attributes['machineDetection'] !== undefined) warn(`<${name} machineDetection> is not simulated`);
      legs.push({ kind: name, target: text.trim(), settings: attributes });
    } else warn(`<${name}> in <Dial> is nobody whom the simulated phone can ring`);
  }
  return legs;
}

// Elements without a list are no verbs: that is said elsewhere, once.
function warnKnown(element: XmlElement, warn: Warn): void {
  const known = ATTRIBUTES[element.name];
  if (known !== undefined) warnAttributes(element, known, warn);
}
