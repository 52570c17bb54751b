import type { AudioFormat, Encoding } from '../../src/audio/format.ts';
import { MULAW_8K, RATES } from '../../src/audio/format.ts';
import type { Carrier } from '../../src/carrier.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';
import type { LegCommand, LegContext, LegEvent } from '../../src/leg.ts';
import {
  base64Of,
  base64Writer,
  isRecord,
  MediaFields,
  type MediaMessage,
  UsualMedia,
} from '../../src/media-fields.ts';

/** Telnyx does not document the byte order of L16; `detect` is for what comes in. */
export type L16ByteOrder = 'little' | 'big' | 'detect';

/** What was agreed for all streams of an account. */
export interface MediaOptions {
  /** The codec that Telnyx was told to expect; what it sends is another matter, and stands in its start message. */
  readonly output: AudioFormat;
  readonly l16ByteOrder: L16ByteOrder;
}

const FIELDS = new MediaFields('Telnyx');
const NOTHING: readonly LegEvent[] = [];

/** The media side of the carrier. */
export function createMedia(
  options: MediaOptions,
): Pick<Carrier, 'decode' | 'decodeAudio' | 'encode' | 'mediaEncoder'> {
  const usual = new UsualMedia({ atMs: 'timestamp', order: 'chunk' });
  return {
    decode: (text) => decodeMessage(usual, options, text),
    decodeAudio: (text) => usual.read(text),
    encode: (command, leg) => encodeCommand(options, command, leg),
    mediaEncoder: (leg) => {
      const head = audioHead(leg);
      const base64 = isSwapped(options) ? swapped : base64Writer();
      return (bytes) => `${head}${base64(bytes)}${AUDIO_TAIL}`;
    },
  };
}

/**
 * Reads one text frame. Gives nothing for events and tracks that are not ours to act on.
 * Throws BAD_FRAME for nonsense; its message never holds what the caller said or typed.
 */
function decodeMessage(usual: UsualMedia, options: MediaOptions, text: string): readonly LegEvent[] {
  const message = FIELDS.read(text);
  switch (message['event']) {
    case 'media':
      return decodeMedia(usual, message);
    case 'mark':
      return [{ type: 'mark', name: FIELDS.text(FIELDS.inner(message, 'mark'), 'name', 'mark.name') }];
    case 'dtmf':
      return decodeDtmf(FIELDS.inner(message, 'dtmf'));
    case 'connected':
      return [{ type: 'opened' }];
    case 'start':
      return [decodeStart(options, message)];
    case 'stop':
      return [{ type: 'stopped' }];
    case 'error':
      return [decodeError(message)];
    default:
      return NOTHING;
  }
}

/**
 * One text frame for Telnyx: raw audio of 20 ms to 30 s, without RTP headers. Throws BAD_INPUT for digits, which it
 * takes by request only.
 */
function encodeCommand(options: MediaOptions, command: LegCommand, leg: LegContext): string {
  switch (command.type) {
    case 'audio':
      return `${audioHead(leg)}${payload(options, command.bytes)}${AUDIO_TAIL}`;
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

/** Around the base64 text of a media message. */
const AUDIO_TAIL = '"}}';

function audioHead(leg: LegContext): string {
  return `{"event":"media",${streamField(leg)}"media":{"payload":"`;
}

function payload(options: MediaOptions, bytes: Uint8Array): string {
  return isSwapped(options) ? swapped(bytes) : base64Of(bytes);
}

function isSwapped({ output, l16ByteOrder }: MediaOptions): boolean {
  // With `detect` little-endian is sent: what the other direction turns out to be is not known here, and the only
  // integration that states an order for this socket, and not for RTP, states this one.
  return output.encoding === 'pcm16' && l16ByteOrder === 'big';
}

function swapped(bytes: Uint8Array): string {
  return Buffer.from(bytes).swap16().toString('base64');
}

function decodeMedia(usual: UsualMedia, message: MediaMessage): readonly LegEvent[] {
  const media = FIELDS.inner(message, 'media');
  // The agent's own voice, if somebody asks for both tracks.
  if (isOutbound(media['track'])) return NOTHING;
  const bytes = FIELDS.audio(media['payload']);
  if (bytes === undefined) return NOTHING;
  usual.learn(message);
  const atMs = count(media['timestamp']);
  const order = count(media['chunk']);
  return order === undefined ? [{ type: 'audio', bytes, atMs }] : [{ type: 'audio', bytes, atMs, order }];
}

function isOutbound(track: unknown): boolean {
  return track === 'outbound' || track === 'outbound_track';
}

/** Telnyx writes its numbers as text; both are read. One that is none is as good as missing: the audio is not. */
function count(value: unknown): number | undefined {
  if (typeof value === 'number') return value >= 0 && Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value === '') return undefined;
  const number = Number(value);
  return number >= 0 && Number.isFinite(number) ? number : undefined;
}

function decodeDtmf(dtmf: MediaMessage): readonly LegEvent[] {
  if (isOutbound(dtmf['track'])) return NOTHING;
  return [{ type: 'dtmf', digit: FIELDS.digit(dtmf['digit']) }];
}

/** Two shapes are in circulation. The numbers are used differently in the two, so the title is what counts. */
function decodeError(message: MediaMessage): LegEvent {
  const found = message['error'] ?? message['payload'];
  const error = isRecord(found) ? found : {};
  const code = word(error['title']) ?? word(error['code']) ?? 'unknown_error';
  return { type: 'carrierError', code, message: word(error['detail']) ?? code };
}

function word(value: unknown): string | undefined {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' && value !== '' ? value.slice(0, 200) : undefined;
}

function decodeStart(options: MediaOptions, message: MediaMessage): LegEvent {
  const start = FIELDS.inner(message, 'start');
  const streamId = message['stream_id'] ?? start['stream_id'];
  const params = readParams(start['custom_parameters']);
  const common = {
    type: 'started',
    streamId: typeof streamId === 'string' ? streamId : '',
    // The one field that cannot be missing: it ties the socket to the call of the signed webhook.
    callId: FIELDS.text(start, 'call_control_id', 'start.call_control_id'),
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
