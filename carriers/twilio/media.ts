import type { AudioFormat, Encoding, Rate } from '../../src/audio/format.ts';
import { formatName, MULAW_8K, RATES } from '../../src/audio/format.ts';
import type { Carrier } from '../../src/carrier.ts';
import { assertNever, BridgeError } from '../../src/errors.ts';
import type { LegCommand, LegContext, LegEvent } from '../../src/leg.ts';
import {
  base64Of,
  base64Writer,
  isRecord,
  kindOf,
  MediaFields,
  type MediaMessage,
  textEntries,
  UsualMedia,
} from '../../src/media-fields.ts';

/** One message of Twilio's media socket. */

const FIELDS = new MediaFields('Twilio');
const NOTHING: readonly LegEvent[] = [];

/** The media side of the carrier. */
export function createMedia(): Pick<Carrier, 'decode' | 'decodeAudio' | 'encode' | 'mediaEncoder'> {
  const usual = new UsualMedia({ atMs: 'timestamp' });
  return {
    decode: (text) => decodeMessage(usual, text),
    decodeAudio: (text) => usual.read(text),
    encode: encodeCommand,
    mediaEncoder: (leg) => {
      const head = audioHead(leg);
      const base64 = base64Writer();
      return (bytes) => `${head}${base64(bytes)}${AUDIO_TAIL}`;
    },
  };
}

/**
 * Reads one text frame. Gives nothing for events and tracks that are not ours to act on.
 * Throws BAD_FRAME for nonsense; its message never holds what the caller said or typed.
 */
function decodeMessage(usual: UsualMedia, text: string): readonly LegEvent[] {
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
      return [decodeStart(message)];
    case 'stop':
      return [{ type: 'stopped' }];
    default:
      return NOTHING;
  }
}

/** One text frame for Twilio, which tells streams apart by the id in every frame. Throws BAD_INPUT for digits. */
function encodeCommand(command: LegCommand, leg: LegContext): string {
  switch (command.type) {
    case 'audio':
      return `${audioHead(leg)}${base64Of(command.bytes)}${AUDIO_TAIL}`;
    case 'mark':
      return `{"event":"mark","streamSid":${JSON.stringify(leg.streamId)},"mark":{"name":${JSON.stringify(command.name)}}}`;
    case 'clear':
      return `{"event":"clear","streamSid":${JSON.stringify(leg.streamId)}}`;
    case 'digits':
      // Twilio would warn of an unknown event (31951) and the keys would be lost without a word.
      throw new BridgeError(
        'BAD_INPUT',
        'a media stream of Twilio takes no keys; wanted a document that plays them',
      );
    default:
      return assertNever(command);
  }
}

/** Around the base64 text of a media message. */
const AUDIO_TAIL = '"}}';

function audioHead(leg: LegContext): string {
  return `{"event":"media","streamSid":${JSON.stringify(leg.streamId)},"media":{"payload":"`;
}

function decodeMedia(usual: UsualMedia, message: MediaMessage): readonly LegEvent[] {
  const media = FIELDS.inner(message, 'media');
  // The agent's own voice, if somebody asks for both tracks.
  if (isOutbound(media['track'])) return NOTHING;
  const bytes = FIELDS.audio(media['payload']);
  if (bytes === undefined) return NOTHING;
  const atMs = milliseconds(media['timestamp']);
  usual.learn(message);
  return [{ type: 'audio', bytes, atMs }];
}

function isOutbound(track: unknown): boolean {
  return track === 'outbound' || track === 'outbound_track';
}

/** Twilio writes its numbers as text; both are read. */
function milliseconds(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  const ms = typeof value === 'string' ? Number(value) : value;
  if (typeof ms === 'number' && ms >= 0 && Number.isFinite(ms)) return ms;
  throw FIELDS.wrong('media.timestamp', value, 'milliseconds since the stream began');
}

function decodeDtmf(dtmf: MediaMessage): readonly LegEvent[] {
  if (isOutbound(dtmf['track'])) return NOTHING;
  return [{ type: 'dtmf', digit: FIELDS.digit(dtmf['digit']) }];
}

function decodeStart(message: MediaMessage): LegEvent {
  const start = FIELDS.inner(message, 'start');
  const streamId = start['streamSid'] ?? message['streamSid'];
  if (typeof streamId !== 'string' || streamId === '')
    throw FIELDS.wrong('streamSid', streamId, 'the id of a stream');
  const callId = FIELDS.text(start, 'callSid', 'start.callSid');
  const { codec, format } = mediaFormat(start['mediaFormat']);
  // Whatever Twilio sends is also what it plays.
  return {
    type: 'started',
    streamId,
    callId,
    params: params(start['customParameters']),
    input: format,
    output: format,
    codec,
  };
}

function params(value: unknown): Readonly<Record<string, string>> {
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) throw FIELDS.wrong('start.customParameters', value, 'an object of text');
  return textEntries(value);
}

const DEFAULT_CODEC = 'audio/x-mulaw';

/** L16 under its registered name is big-endian, which AudioFormat cannot say; the x- name is little-endian everywhere. */
const ENCODING_NAMES: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ['audio/x-mulaw', 'mulaw'],
  ['audio/mulaw', 'mulaw'],
  ['audio/pcmu', 'mulaw'],
  ['audio/x-alaw', 'alaw'],
  ['audio/alaw', 'alaw'],
  ['audio/pcma', 'alaw'],
  ['audio/x-l16', 'pcm16'],
]);

interface Media {
  /** As Twilio calls it. */
  readonly codec: string;
  readonly format: AudioFormat;
}

function mediaFormat(value: unknown): Media {
  if (value === undefined || value === null) return { codec: DEFAULT_CODEC, format: MULAW_8K };
  if (!isRecord(value)) throw FIELDS.wrong('start.mediaFormat', value, 'an object');
  const { encoding: name = DEFAULT_CODEC, sampleRate = MULAW_8K.rate, channels = 1 } = value;
  const encoding = ENCODING_NAMES.get(String(name).toLowerCase());
  const rate = RATES.find((one) => one === Number(sampleRate));
  if (encoding === undefined || rate === undefined || Number(channels) !== 1) {
    const found = `${shown(name)} at ${shown(sampleRate)} Hz with ${shown(channels)} channels`;
    throw new BridgeError(
      'BAD_FRAME',
      `start.mediaFormat of a Twilio media message is ${found}; wanted ${formatName(MULAW_8K)} (audio/x-mulaw), ` +
        `or audio/x-alaw or audio/x-l16 at ${RATES.join(', ')} Hz, with 1 channel`,
    );
  }
  return { codec: String(name), format: formatOf(encoding, rate) };
}

function formatOf(encoding: Encoding, rate: Rate): AudioFormat {
  return encoding === MULAW_8K.encoding && rate === MULAW_8K.rate ? MULAW_8K : { encoding, rate };
}

function shown(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number'
    ? JSON.stringify(value).slice(0, 40)
    : kindOf(value);
}
