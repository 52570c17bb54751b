import type { StreamVerb, Verb } from './verbs.ts';
import { httpMethod, seconds, type Warn, warnAttributes, type XmlElement } from './xml.ts';

/** Attributes of the elements of TwiML that other carriers have taken over, without the ones of streams. */
export const TWIML_ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  Connect: ['action', 'method'],
  Parameter: ['name', 'value'],
  Say: ['voice', 'language', 'loop'],
  Play: ['digits', 'loop'],
  Pause: ['length'],
  Dial: [
    'action',
    'method',
    'callerId',
    'timeout',
    'timeLimit',
    'record',
    'answerOnBridge',
    'hangupOnStar',
    'ringTone',
    'recordingStatusCallback',
    'sequential',
    'trim',
    'referUrl',
  ],
  Hangup: [],
  Redirect: ['method'],
  Reject: ['reason'],
};

const DIAL_TARGETS: readonly string[] = ['Number', 'Sip', 'Client'];
const STREAM_FIELDS: readonly string[] = ['url', 'name', 'track', 'statusCallback', 'statusCallbackMethod'];

/** Reads a verb that has nothing to do with streams; undefined when there is no such verb. */
export function readCommonVerb(element: XmlElement, warn: Warn): Verb | undefined {
  const { attributes, text } = element;
  switch (element.name) {
    case 'Say':
      return {
        type: 'say',
        text: text.trim(),
        language: attributes['language'],
        voice: attributes['voice'],
      };
    case 'Play':
      return { type: 'play', url: text.trim(), digits: attributes['digits'] };
    case 'Pause':
      return { type: 'pause', lengthS: seconds(attributes['length']) };
    case 'Dial':
      return readDial(element, warn);
    case 'Hangup':
      return { type: 'hangup' };
    case 'Redirect':
      return { type: 'redirect', url: text.trim(), method: httpMethod(attributes['method']) };
    case 'Reject':
      return { type: 'reject', reason: attributes['reason'] === 'busy' ? 'busy' : 'rejected' };
    default:
      return undefined;
  }
}

function readDial(element: XmlElement, warn: Warn): Verb {
  const targets = element.children
    .filter((child) => DIAL_TARGETS.includes(child.name))
    .map((child) => child.text.trim());
  const own = element.text.trim();
  if (own !== '') targets.unshift(own);
  if (targets.length === 0) warn('<Dial> says nobody to ring');
  return {
    type: 'dial',
    action: element.attributes['action'],
    method: httpMethod(element.attributes['method']),
    callerId: element.attributes['callerId'],
    targets,
  };
}

/** Reads `<Stream url=…>` with its `<Parameter>`s; what is not common to all carriers goes into `settings`. */
export function readStream(element: XmlElement, url: string, warn: Warn): StreamVerb {
  const { attributes } = element;
  const settings: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (!STREAM_FIELDS.includes(name)) settings[name] = value;
  }
  return {
    url: url.trim(),
    name: attributes['name'],
    track: attributes['track'],
    statusCallback: attributes['statusCallback'],
    statusCallbackMethod: httpMethod(attributes['statusCallbackMethod']),
    parameters: readParameters(element, warn),
    settings,
  };
}

function readParameters(stream: XmlElement, warn: Warn): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const child of stream.children) {
    warnAttributes(child, TWIML_ATTRIBUTES[child.name] ?? [], warn);
    const { name, value } = child.attributes;
    if (child.name !== 'Parameter' || name === undefined || value === undefined) {
      warn(`<${child.name}> in <Stream> is not a <Parameter> with name and value`);
    } else if (name.length + value.length >= 500) {
      warn(`<Parameter name="${name}"> has 500 characters or more and is left out`);
    } else {
      parameters[name] = value;
    }
  }
  return parameters;
}
