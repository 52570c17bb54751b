import type { AudioFormat, Encoding } from '../../src/audio/format.ts';
import { MULAW_8K, RATES } from '../../src/audio/format.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';
import type { LegCommand, LegContext, LegEvent } from '../../src/leg.ts';

/** Telnyx does not document the byte order of L16; `detect` is for what comes in. */
export type L16ByteOrder = 'little' | 'big' | 'detect';

/** What was agreed for all streams of an account. */
export interface MediaOptions {
  /** The codec that Telnyx was told to expect; what it sends is another matter, and stands in its start message. */
  readonly output: AudioFormat;
  readonly l16ByteOrder: L16ByteOrder;
}

type Message = Readonly<Record<string, unknown>>;

const NOTHING: readonly LegEvent[] = [];

/**
 * Reads one text frame. Gives nothing for events and tracks that are not ours to act on.
 * Throws BAD_FRAME for nonsense; its message never holds what the caller said or typed.
 */
export function decodeMessage(options: MediaOptions, text: string): readonly LegEvent[] {
  const message = readJson(text);
  switch (message['event']) {
    case 'media':
      return decodeMedia(message);
    case 'mark':
      return [{ type: 'mark', name: textField(inner(message, 'mark'), 'name', 'mark.name') }];
    case 'dtmf':
      return decodeDtmf(inner(message, 'dtmf'));
    case 'connected':
      return [{ type: 'opened' }];
    case 'start':
      return [decodeStart(options, message)];
    case 'stop':
      return [{ type: 'stopped' }];
    case 'error':
      return [decodeError(message)];
    default:
      if (typeof message['event'] !== 'string')
        throw wrong('event', message['event'], 'the name of an event');
      return NOTHING; // Telnyx adds events without notice
  }
}

/**
 * One text frame for Telnyx: raw audio of 20 ms to 30 s, without RTP headers. Throws BAD_INPUT for digits, which it
 * takes by request only.
 */
export function encodeCommand(options: MediaOptions, command: LegCommand, leg: LegContext): string {
  switch (command.type) {
    case 'audio':
      return `{"event":"media",${streamField(leg)}"media":{"payload":"${payload(options, command.bytes)}"}}`;
    case 'mark':
      return `{"event":"mark",${streamField(leg)}"mark":{"name":${JSON.stringify(command.name)}}}`;
    case 'clear':
      return leg.streamId === ''
        ? '{"event":"clear"}'
        : `{"event":"clear","stream_id":${JSON.stringify(leg.streamId)}}`;
    case 'digits':
      throw new BridgeError('BAD_INPUT', 'Telnyx takes keys by request, not on the media socket');
    default:
      return assertNever(command);
  }
}

/** Telnyx tells streams apart by the socket; the id is for people who read along. */
function streamField(leg: LegContext): string {
  return leg.streamId === '' ? '' : `"stream_id":${JSON.stringify(leg.streamId)},`;
}

function payload({ output, l16ByteOrder }: MediaOptions, bytes: Uint8Array): string {
  // With `detect` little-endian is sent: what the other direction turns out to be is not known here, and the only
  // integration that states an order for this socket, and not for RTP, states this one.
  if (output.encoding === 'pcm16' && l16ByteOrder === 'big') {
    return Buffer.from(bytes).swap16().toString('base64');
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

function readJson(text: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // Without its cause: the text of a SyntaxError quotes the message, and with it the caller's audio.
    throw new BridgeError('BAD_FRAME', `a Telnyx media message of ${text.length} characters is not JSON`);
  }
  if (!isRecord(value)) throw wrong('message', value, 'an object');
  return value;
}

function decodeMedia(message: Message): readonly LegEvent[] {
  const media = inner(message, 'media');
  // The agent's own voice, if somebody asks for both tracks.
  if (isOutbound(media['track'])) return NOTHING;
  const found = media['payload'];
  if (typeof found !== 'string') throw wrong('media.payload', found, 'base64 text');
  if (found === '') return NOTHING;
  const bytes = fromBase64(found);
  const atMs = count(media['timestamp']);
  const order = count(media['chunk']);
  return order === undefined ? [{ type: 'audio', bytes, atMs }] : [{ type: 'audio', bytes, atMs, order }];
}

function isOutbound(track: unknown): boolean {
  return track === 'outbound' || track === 'outbound_track';
}

function fromBase64(found: string): Uint8Array {
  let digits = found.length;
  while (digits > 0 && found.length - digits < 2 && found.charCodeAt(digits - 1) === 0x3d) digits--;
  const bytes = Buffer.from(found, 'base64');
  // Buffer skips what is not base64 and stops early; only the number of bytes tells.
  if (digits % 4 === 1 || bytes.length !== Math.floor((digits * 3) / 4)) {
    throw wrong('media.payload', found, 'base64 text');
  }
  return bytes;
}

/** Telnyx writes its numbers as text; both are read. One that is none is as good as missing: the audio is not. */
function count(value: unknown): number | undefined {
  if (typeof value === 'number') return value >= 0 && Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value === '') return undefined;
  const number = Number(value);
  return number >= 0 && Number.isFinite(number) ? number : undefined;
}

function decodeDtmf(dtmf: Message): readonly LegEvent[] {
  if (isOutbound(dtmf['track'])) return NOTHING;
  const digit = textField(dtmf, 'digit', 'dtmf.digit');
  if (!/^[0-9*#A-D]$/i.test(digit)) throw wrong('dtmf.digit', digit, 'one of 0-9 * # A-D');
  return [{ type: 'dtmf', digit: digit.toUpperCase() }];
}

/** Two shapes are in circulation. The numbers are used differently in the two, so the title is what counts. */
function decodeError(message: Message): LegEvent {
  const found = message['error'] ?? message['payload'];
  const error = isRecord(found) ? found : {};
  const code = word(error['title']) ?? word(error['code']) ?? 'unknown_error';
  return { type: 'carrierError', code, message: word(error['detail']) ?? code };
}

function word(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, 200) : undefined;
}

function decodeStart(options: MediaOptions, message: Message): LegEvent {
  const start = inner(message, 'start');
  const streamId = message['stream_id'] ?? start['stream_id'];
  const params = readParams(start['custom_parameters']);
  const common = {
    type: 'started',
    streamId: typeof streamId === 'string' ? streamId : '',
    // The one field that cannot be missing: it ties the socket to the call of the signed webhook.
    callId: textField(start, 'call_control_id', 'start.call_control_id'),
    params,
    output: options.output.encoding === 'pcm16' && params['sends'] !== 'L16' ? MULAW_8K : options.output,
  } as const;
  const { input, codec } = mediaFormat(start['media_format']);
  const unsure = input?.encoding === 'pcm16' && options.l16ByteOrder !== 'little';
  return unsure
    ? { ...common, input, codec, byteOrder: options.l16ByteOrder === 'big' ? 'big' : 'detect' }
    : { ...common, input, codec };
}

/** An object of texts; a list of names and values, as `streaming_start` takes it, is read too. */
function readParams(value: unknown): Readonly<Record<string, string>> {
  const entries: [string, string][] = [];
  const add = (name: unknown, one: unknown): void => {
    if (typeof name !== 'string') return;
    if (typeof one === 'string') entries.push([name, one]);
    else if (typeof one === 'number' || typeof one === 'boolean') entries.push([name, String(one)]);
  };
  if (Array.isArray(value)) {
    for (const one of value) if (isRecord(one)) add(one['name'], one['value']);
  } else if (isRecord(value)) {
    for (const [name, one] of Object.entries(value)) add(name, one);
  }
  return Object.fromEntries(entries);
}

const ENCODING_NAMES: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ['pcmu', 'mulaw'],
  ['mulaw', 'mulaw'],
  ['pcma', 'alaw'],
  ['alaw', 'alaw'],
  ['l16', 'pcm16'],
]);

interface Codec {
  readonly input: AudioFormat | undefined;
  readonly codec: string;
}

/** What the caller's leg has negotiated, by its name alone: frames of G.722 are as long as those of G.711. */
function mediaFormat(value: unknown): Codec {
  if (!isRecord(value) || value['encoding'] === undefined || value['encoding'] === null) {
    return { input: MULAW_8K, codec: 'PCMU' };
  }
  const name = String(value['encoding']).slice(0, 40);
  const encoding = ENCODING_NAMES.get(name.toLowerCase().replace(/^audio\/(?:x-)?/, ''));
  const hz = Number(value['sample_rate'] ?? MULAW_8K.rate);
  const channels = Number(value['channels'] ?? 1);
  const rate = encoding === 'pcm16' ? RATES.find((one) => one === hz) : usualRate(hz);
  if (encoding === undefined || rate === undefined || channels !== 1) {
    return { input: undefined, codec: channels === 1 ? `${name}/${hz}` : `${name}/${hz}/${channels}` };
  }
  return { input: encoding === 'mulaw' ? MULAW_8K : { encoding, rate }, codec: name };
}

/** G.711 has one rate. */
function usualRate(hz: number): 8000 | undefined {
  return hz === 8000 ? 8000 : undefined;
}

function inner(message: Message, name: string): Message {
  const value = message[name];
  if (!isRecord(value)) throw wrong(name, value, 'an object');
  return value;
}

function textField(message: Message, name: string, path: string): string {
  const value = message[name];
  if (typeof value !== 'string' || value === '') throw wrong(path, value, 'text');
  return value;
}

function isRecord(value: unknown): value is Message {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(field: string, found: unknown, wanted: string): BridgeError {
  return new BridgeError(
    'BAD_FRAME',
    `${field} of a Telnyx media message is ${kindOf(found)}; wanted ${wanted}`,
  );
}

/** What was found, without showing it. */
function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'string') return value === '' ? 'empty' : `text of ${value.length} characters`;
  return `of type ${typeof value}`;
}
