import { BridgeError } from '../../../errors.ts';
import { readCommonVerb, readStream, TWIML_ATTRIBUTES } from '../twiml-verbs.ts';
import type { AnswerDocument, Verb } from '../verbs.ts';
import { httpMethod, readResponse, type Warn, warnAttributes, type XmlElement } from '../xml.ts';

// What is known of each element. Anything else draws a warning and is left out, as Twilio does with 12200.
const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  ...TWIML_ATTRIBUTES,
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

/**
 * Reads an answer document strictly: throws BAD_INPUT for what is not well-formed XML or has no `<Response>` (Twilio's
 * 12100), or lacks something that the call cannot go on without (12200).
 */
export function parseTwiml(text: string): AnswerDocument {
  return readResponse(text, { malformed: '12100', odd: '12200' }, readVerb);
}

function readVerb(element: XmlElement, warn: Warn): Verb | undefined {
  warnKnown(element, warn);
  if (element.name === 'Connect') return readConnect(element, warn);
  const verb = readCommonVerb(element, warn);
  if (verb === undefined) warn(`<${element.name}> is not a verb that the simulated phone knows`);
  return verb;
}

function readConnect(element: XmlElement, warn: Warn): Verb {
  const stream = element.children.find((child) => child.name === 'Stream');
  if (stream === undefined) throw new BridgeError('BAD_INPUT', '12200: <Connect> holds no <Stream>');
  if (element.children.length > 1) warn('<Connect> may hold one <Stream> and nothing else');
  warnKnown(stream, warn);
  const url = stream.attributes['url'];
  if (url === undefined) throw new BridgeError('BAD_INPUT', '12200: <Stream> has no url');
  return {
    type: 'connect',
    action: element.attributes['action'],
    method: httpMethod(element.attributes['method']),
    wait: true,
    stream: readStream(stream, url, warn),
  };
}

// Elements without a list are no verbs: that is said elsewhere, once.
function warnKnown(element: XmlElement, warn: Warn): void {
  const known = ATTRIBUTES[element.name];
  if (known !== undefined) warnAttributes(element, known, warn);
}
