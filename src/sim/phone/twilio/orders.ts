import type { DialOrder, RestReply } from '../carrier-sim.ts';
import { resolveUrl } from '../verbs.ts';
import { httpMethod } from '../xml.ts';
import { CODES, refusal } from './codes.ts';
import { isAddress } from './dial.ts';
import { RECORDING_EVENTS, type RecordingOrder } from './recordings.ts';
import { STATUS_EVENTS, type StatusTarget } from './webhooks.ts';

const DEFAULT_TIMEOUT_S = 60;
const LONGEST_TIMEOUT_S = 600;
/** Longest document in a request. */
export const TWIML_LIMIT = 4000;
const METHODS: readonly string[] = [
  'Method',
  'FallbackMethod',
  'StatusCallbackMethod',
  'AsyncAmdStatusCallbackMethod',
  'RecordingStatusCallbackMethod',
];

/**
 * Reads the form of `POST /Calls.json`: an order, or the refusal that it gets. Every field of the form comes along in
 * `fields`, as text, or as an array when it was repeated. `baseUrl` is what addresses in a given document are relative to.
 */
export function readOrder(form: URLSearchParams, baseUrl: string): DialOrder | RestReply {
  const refused = refuseParties(form) ?? refuseInstructions(form) ?? refuseOptions(form);
  if (refused !== undefined) return refused;
  const detection = form.get('MachineDetection');
  const isDetected = detection !== null && form.get('SendDigits') === null;
  return {
    from: form.get('From') ?? '',
    to: form.get('To') ?? '',
    // A document that is given has no address.
    url: form.get('Url') ?? `${baseUrl}/`,
    statusCallbackUrl: form.get('StatusCallback') ?? undefined,
    detection: !isDetected ? 'off' : form.get('AsyncAmd') === 'true' ? 'async' : 'sync',
    untilGreetingEnds: detection === 'DetectMessageEnd',
    timeoutMs: 1000 * Math.min(Number(form.get('Timeout') ?? DEFAULT_TIMEOUT_S), LONGEST_TIMEOUT_S),
    fields: fieldsOf(form),
  };
}

/** The document that was given with an order instead of its address. */
export function givenTwiml({ fields }: DialOrder): string | undefined {
  return textOf(fields['Url']) === undefined ? textOf(fields['Twiml']) : undefined;
}

/** Where an order wants to be told how the call goes on. */
export function statusTarget({ statusCallbackUrl, fields }: DialOrder): StatusTarget | undefined {
  if (statusCallbackUrl === undefined) return undefined;
  const events = [fields['StatusCallbackEvent']].flat().map(String);
  const known = events.filter((event) => STATUS_EVENTS.includes(event));
  return {
    url: statusCallbackUrl,
    method: textOf(fields['StatusCallbackMethod']) === 'GET' ? 'GET' : 'POST',
    events: known.length === 0 ? ['completed'] : known,
  };
}

/** What is odd about an order that was taken all the same: codes and texts. */
export function orderWarnings({ fields, detection }: DialOrder): readonly (readonly [string, string])[] {
  const warnings: (readonly [string, string])[] = [];
  const events = fields['StatusCallbackEvent'];
  const isOdd = events !== undefined && [events].flat().some((one) => !STATUS_EVENTS.includes(String(one)));
  if (isOdd) warnings.push(['21626', 'StatusCallbackEvent has events that do not exist']);
  if (fields['SendDigits'] !== undefined && fields['MachineDetection'] !== undefined) {
    warnings.push(['21227', 'MachineDetection is ignored because of SendDigits']);
  }
  if (detection === 'async' && textOf(fields['AsyncAmdStatusCallback']) === undefined) {
    warnings.push(['21262', 'AsyncAmd without AsyncAmdStatusCallback: nobody is told the result']);
  }
  return warnings;
}

/** What a request wants of a recording; `events` may be repeated fields or words of one field. */
export function recordingOrder(
  fields: Readonly<Record<string, unknown>>,
  source: RecordingOrder['source'],
): RecordingOrder {
  const url = textOf(fields['RecordingStatusCallback']);
  const events = [fields['RecordingStatusCallbackEvent'] ?? 'completed']
    .flat()
    .flatMap((one) => String(one).split(' '))
    .filter((event) => RECORDING_EVENTS.includes(event));
  const method = textOf(fields['RecordingStatusCallbackMethod']) === 'GET' ? 'GET' : 'POST';
  return {
    source,
    channels: textOf(fields['RecordingChannels']) === 'dual' ? 2 : 1,
    track: textOf(fields['RecordingTrack']) ?? 'both',
    callback: url === undefined ? undefined : { url, method, events },
  };
}

/** All fields of a form; a repeated one is an array. */
export function fieldsOf(form: URLSearchParams): Readonly<Record<string, string | readonly string[]>> {
  const fields: Record<string, string | readonly string[]> = {};
  for (const name of new Set(form.keys())) {
    const values = form.getAll(name);
    fields[name] = values.length === 1 ? (values[0] ?? '') : values;
  }
  return fields;
}

/** A field as text; of a repeated one the last value counts. */
export function textOf(field: unknown): string | undefined {
  const value: unknown = Array.isArray(field) ? field.at(-1) : field;
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** True for an absolute address that Twilio would ask. */
export function isHttpUrl(text: string): boolean {
  return URL.canParse(text) && /^https?:\/\/[^/]/i.test(text);
}

function refuseParties(form: URLSearchParams): RestReply | undefined {
  const to = form.get('To') ?? '';
  const from = form.get('From') ?? '';
  if (to === '') return refusal(400, 21201, "No 'To' number is specified");
  if (from === '') return refusal(400, 21213, "'From' phone number is required");
  if (!isAddress(to)) return refusal(400, 21211, "The 'To' number is not a valid phone number.");
  const mustBeNumber = to.startsWith('+');
  if (!isAddress(from) || (mustBeNumber && !from.startsWith('+'))) {
    return refusal(400, 21212, "The 'From' number is not a valid phone number.");
  }
  return undefined;
}

function refuseInstructions(form: URLSearchParams): RestReply | undefined {
  const url = form.get('Url');
  const twiml = form.get('Twiml');
  if (url === null && twiml === null) return refusal(400, 21205, 'Url parameter is required.');
  if (url !== null && !isHttpUrl(url)) return refusal(400, 21205, 'Url is not a valid URL.');
  if (twiml !== null && twiml.length > TWIML_LIMIT) return tooLong();
  // AsyncAmdStatusCallback may be relative.
  for (const name of ['StatusCallback', 'RecordingStatusCallback']) {
    const address = form.get(name);
    if (address !== null && !isHttpUrl(address)) return refusal(400, 21609, `${name} is not a valid URL.`);
  }
  return undefined;
}

/** The refusal of a document in a request. */
export function tooLong(): RestReply {
  return refusal(400, 20001, `Twiml is longer than ${TWIML_LIMIT} characters`);
}

function refuseOptions(form: URLSearchParams): RestReply | undefined {
  for (const name of METHODS) {
    if (!/^(?:GET|POST)?$/.test(form.get(name) ?? ''))
      return refusal(400, 21209, `${name} must be GET or POST`);
  }
  for (const name of ['Timeout', 'TimeLimit', 'MachineDetectionTimeout']) {
    if (!/^(?:[1-9]\d{0,8})?$/.test(form.get(name) ?? '')) return refusal(400, 21208, `${name} is not valid`);
  }
  if (!/^[0-9A-D*#wW]{0,32}$/.test(form.get('SendDigits') ?? '')) {
    return refusal(400, 21206, 'SendDigits is not valid');
  }
  if (!/^(?:Enable|DetectMessageEnd)?$/.test(form.get('MachineDetection') ?? '')) {
    return refusal(400, 20001, 'MachineDetection must be Enable or DetectMessageEnd');
  }
  return undefined;
}

/** What the attributes of a `<Record>` ask for. */
export function messageOrder(settings: Readonly<Record<string, string>>, baseUrl: string): RecordingOrder {
  const { recordingStatusCallback: url, recordingStatusCallbackMethod: method } = settings;
  const events = settings['recordingStatusCallbackEvent']?.trim().split(/\s+/) ?? ['completed'];
  return {
    source: 'RecordVerb',
    channels: 1,
    track: 'inbound',
    callback:
      url === undefined
        ? undefined
        : { url: resolveUrl(url, baseUrl, CODES), method: httpMethod(method), events },
  };
}
