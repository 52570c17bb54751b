import { SaxesParser } from 'saxes';
import { BridgeError } from '../../errors.ts';

/** `<Stream>` under `<Connect>`; addresses as they are written, not yet resolved. */
export interface StreamVerb {
  readonly url: string;
  readonly name: string | undefined;
  readonly track: string | undefined;
  readonly statusCallback: string | undefined;
  readonly statusCallbackMethod: 'GET' | 'POST';
  readonly parameters: Readonly<Record<string, string>>;
}

/** A verb of an answer document. */
export type Verb =
  | {
      readonly type: 'connect';
      readonly action: string | undefined;
      readonly method: 'GET' | 'POST';
      readonly stream: StreamVerb;
    }
  | {
      readonly type: 'say';
      readonly text: string;
      readonly language: string | undefined;
      readonly voice: string | undefined;
    }
  | { readonly type: 'play'; readonly url: string; readonly digits: string | undefined }
  | { readonly type: 'pause'; readonly lengthS: number }
  | {
      readonly type: 'dial';
      readonly action: string | undefined;
      readonly method: 'GET' | 'POST';
      readonly callerId: string | undefined;
      /** Numbers, SIP addresses and clients that are rung. */
      readonly targets: readonly string[];
    }
  | { readonly type: 'hangup' }
  | { readonly type: 'redirect'; readonly url: string; readonly method: 'GET' | 'POST' }
  | { readonly type: 'reject'; readonly reason: 'busy' | 'rejected' };

/** An answer document as the carrier understands it; `warnings` are what it would write into its debugger. */
export interface TwimlDocument {
  readonly verbs: readonly Verb[];
  readonly warnings: readonly string[];
}

interface Element {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Element[];
  text: string;
}

// What is known of each element. Anything else draws a warning and is left out, as Twilio does with 12200.
const ATTRIBUTES: Readonly<Record<string, readonly string[]>> = {
  Connect: ['action', 'method'],
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

/**
 * Reads an answer document strictly: throws BAD_INPUT for what is not well-formed XML or has no `<Response>` (Twilio's
 * 12100), or lacks something that the call cannot go on without (12200).
 */
export function parseTwiml(text: string): TwimlDocument {
  const root = parseXml(text);
  if (root.name !== 'Response') {
    throw new BridgeError(
      'BAD_INPUT',
      `12100: the document element is <${root.name}>, it must be <Response>`,
    );
  }
  const warnings: string[] = [];
  const verbs: Verb[] = [];
  for (const element of root.children) {
    const verb = readVerb(element, warnings);
    if (verb !== undefined) verbs.push(verb);
  }
  if (root.text.trim() !== '') warnings.push('12200: text between the verbs of a <Response>');
  return { verbs, warnings };
}

function parseXml(text: string): Element {
  const parser = new SaxesParser();
  const open: Element[] = [];
  let root: Element | undefined;
  parser.on('error', (error) => {
    throw new BridgeError('BAD_INPUT', `12100: the document is not well-formed XML: ${error.message}`);
  });
  parser.on('opentag', (tag) => {
    const element: Element = { name: tag.name, attributes: { ...tag.attributes }, children: [], text: '' };
    open.at(-1)?.children.push(element);
    root ??= element;
    open.push(element);
  });
  parser.on('closetag', () => {
    open.pop();
  });
  const addText = (piece: string): void => {
    const current = open.at(-1);
    if (current !== undefined) current.text += piece;
  };
  parser.on('text', addText);
  parser.on('cdata', addText);
  parser.write(text).close();
  if (root === undefined) throw new BridgeError('BAD_INPUT', '12100: the document is empty');
  return root;
}

function readVerb(element: Element, warnings: string[]): Verb | undefined {
  warnAttributes(element, warnings);
  switch (element.name) {
    case 'Connect':
      return readConnect(element, warnings);
    case 'Say':
      return {
        type: 'say',
        text: element.text.trim(),
        language: element.attributes['language'],
        voice: element.attributes['voice'],
      };
    case 'Play':
      return { type: 'play', url: element.text.trim(), digits: element.attributes['digits'] };
    case 'Pause':
      return { type: 'pause', lengthS: seconds(element.attributes['length']) };
    case 'Dial':
      return readDial(element, warnings);
    case 'Hangup':
      return { type: 'hangup' };
    case 'Redirect':
      return { type: 'redirect', url: element.text.trim(), method: method(element.attributes['method']) };
    case 'Reject':
      return {
        type: 'reject',
        reason: element.attributes['reason'] === 'busy' ? 'busy' : 'rejected',
      };
    default:
      warnings.push(`12200: <${element.name}> is not a verb that the simulated phone knows`);
      return undefined;
  }
}

function readConnect(element: Element, warnings: string[]): Verb {
  const stream = element.children.find((child) => child.name === 'Stream');
  if (stream === undefined) throw new BridgeError('BAD_INPUT', '12200: <Connect> holds no <Stream>');
  if (element.children.length > 1) warnings.push('12200: <Connect> may hold one <Stream> and nothing else');
  warnAttributes(stream, warnings);
  const url = stream.attributes['url'];
  if (url === undefined) throw new BridgeError('BAD_INPUT', '12200: <Stream> has no url');
  return {
    type: 'connect',
    action: element.attributes['action'],
    method: method(element.attributes['method']),
    stream: {
      url: url.trim(),
      name: stream.attributes['name'],
      track: stream.attributes['track'],
      statusCallback: stream.attributes['statusCallback'],
      statusCallbackMethod: method(stream.attributes['statusCallbackMethod']),
      parameters: readParameters(stream, warnings),
    },
  };
}

function readParameters(stream: Element, warnings: string[]): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const child of stream.children) {
    warnAttributes(child, warnings);
    const { name, value } = child.attributes;
    if (child.name !== 'Parameter' || name === undefined || value === undefined) {
      warnings.push(`12200: <${child.name}> in <Stream> is not a <Parameter> with name and value`);
    } else if (name.length + value.length >= 500) {
      warnings.push(`12200: <Parameter name="${name}"> has 500 characters or more and is left out`);
    } else {
      parameters[name] = value;
    }
  }
  return parameters;
}

function readDial(element: Element, warnings: string[]): Verb {
  const targets = element.children
    .filter((child) => DIAL_TARGETS.includes(child.name))
    .map((child) => child.text.trim());
  const own = element.text.trim();
  if (own !== '') targets.unshift(own);
  if (targets.length === 0) warnings.push('12200: <Dial> says nobody to ring');
  return {
    type: 'dial',
    action: element.attributes['action'],
    method: method(element.attributes['method']),
    callerId: element.attributes['callerId'],
    targets,
  };
}

function warnAttributes(element: Element, warnings: string[]): void {
  const known = ATTRIBUTES[element.name];
  if (known === undefined) return;
  for (const name of Object.keys(element.attributes)) {
    if (!known.includes(name)) warnings.push(`12200: <${element.name}> has no attribute ${name}`);
  }
}

function method(text: string | undefined): 'GET' | 'POST' {
  return text?.toUpperCase() === 'GET' ? 'GET' : 'POST';
}

function seconds(text: string | undefined): number {
  const value = Number(text ?? '1');
  return Number.isFinite(value) && value >= 0 ? value : 1;
}
