import type { AudioFormat, Encoding } from '../../src/audio/format.ts';
import { MULAW_8K, RATES } from '../../src/audio/format.ts';
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

/** One message of Plivo's media socket. */

type Params = Readonly<Record<string, string>>;

const FIELDS = new MediaFields('Plivo');
const NOTHING: readonly LegEvent[] = [];
const CLEARED: readonly LegEvent[] = [{ type: 'cleared' }];
const STOPPED: readonly LegEvent[] = [{ type: 'stopped' }];

/** The media side of the carrier. @param held what a stream holds whose `start` does not say */
export function createMedia(
  held: AudioFormat,
): Pick<Carrier, 'decode' | 'decodeAudio' | 'encode' | 'mediaEncoder'> {
  const usual = new UsualMedia({});
  return {
    decode: (text) => decodeMessage(usual, held, text),
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
 * Reads one text frame; `held` is what a stream holds whose `start` does not say. Gives nothing for events and tracks
 * that are not ours to act on. Throws BAD_FRAME for nonsense; its message never holds what the caller said or typed.
 */
function decodeMessage(usual: UsualMedia, held: AudioFormat, text: string): readonly LegEvent[] {
  const message = FIELDS.read(text);
  switch (message['event']) {
    case 'media':
      return decodeMedia(usual, message);
    case 'playedStream':
    case 'played':
      return [{ type: 'mark', name: FIELDS.text(message, 'name', 'name') }];
    case 'clearedAudio':
      return CLEARED;
    case 'dtmf':
      return decodeDtmf(FIELDS.inner(message, 'dtmf'));
    case 'start':
      return [decodeStart(message, held)];
    case 'stop':
      return STOPPED;
    case 'playFailed':
    case 'error':
      return [{ type: 'carrierError', code: message['event'], message: reasonOf(message) }];
    default:
      return NOTHING;
  }
}

/** One text frame for Plivo. Throws BAD_INPUT for digits that it has not. */
function encodeCommand(command: LegCommand, leg: LegContext): string {
  switch (command.type) {
    case 'audio':
      return `${audioHead(leg)}${base64Of(command.bytes)}${AUDIO_TAIL}`;
    case 'mark':
      return `{"event":"checkpoint","streamId":${JSON.stringify(leg.streamId)},"name":${JSON.stringify(command.name)}}`;
    case 'clear':
      return `{"event":"clearAudio","streamId":${JSON.stringify(leg.streamId)}}`;
    case 'digits':
      return `{"event":"sendDTMF","dtmf":"${keys(command.digits)}"}`;
    default:
      return assertNever(command);
  }
}

/** Without the rate, which has a field of its own. */
function mediaName(format: AudioFormat): string {
  return format.encoding === 'pcm16' ? 'audio/x-l16' : 'audio/x-mulaw';
}

function keys(digits: string): string {
  if (/^[0-9A-D#*]{1,200}$/.test(digits)) return digits;
  throw new BridgeError(
    'BAD_INPUT',
    `the keys to send are ${digits.length} characters that Plivo has not; wanted 1 to 200 of 0-9 A-D # *`,
  );
}

/** Around the base64 text of a media message. */
const AUDIO_TAIL = '"}}';

function audioHead({ output }: LegContext): string {
  return `{"event":"playAudio","media":{"contentType":"${mediaName(output)}","sampleRate":${output.rate},"payload":"`;
}

function decodeMedia(usual: UsualMedia, message: MediaMessage): readonly LegEvent[] {
  const media = FIELDS.inner(message, 'media');
  // The agent's own voice, if somebody asks for both tracks.
  if (media['track'] === 'outbound') return NOTHING;
  const bytes = FIELDS.audio(media['payload']);
  if (bytes === undefined) return NOTHING;
  // No time. One page has `timestamp` count from the start of the stream, another show the time of day, at which a
  // message that was only late would look like a hole. `chunk` counts messages, and how long one is is promised nowhere.
  usual.learn(message);
  return [{ type: 'audio', bytes, atMs: undefined }];
}

function decodeDtmf(dtmf: MediaMessage): readonly LegEvent[] {
  if (dtmf['track'] === 'outbound') return NOTHING;
  return [{ type: 'dtmf', digit: FIELDS.digit(dtmf['digit']) }];
}

function decodeStart(message: MediaMessage, held: AudioFormat): LegEvent {
  const start = FIELDS.inner(message, 'start');
  const streamId = start['streamId'] ?? message['streamId'];
  if (typeof streamId !== 'string' || streamId === '')
    throw FIELDS.wrong('start.streamId', streamId, 'the id of a stream');
  const callId = FIELDS.text(start, 'callId', 'start.callId');
  const { input, codec } = mediaFormat(start['mediaFormat'], held);
  return {
    type: 'started',
    streamId,
    callId,
    params: params(message['extra_headers'] ?? start['extra_headers']),
    input,
    // A stream has one content type for both directions.
    output: input ?? MULAW_8K,
    codec,
  };
}

/** A-law is not among them: what came would be understood, but nothing says what Plivo then takes. */
const ENCODING_NAMES: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ['audio/x-mulaw', 'mulaw'],
  ['audio/x-l16', 'pcm16'],
]);

interface Codec {
  readonly input: AudioFormat | undefined;
  readonly codec: string;
}

function mediaFormat(value: unknown, held: AudioFormat): Codec {
  if (value === undefined || value === null) return { input: held, codec: 'not said' };
  if (!isRecord(value)) throw FIELDS.wrong('start.mediaFormat', value, 'an object');
  const { encoding: name = mediaName(held), sampleRate } = value;
  if (typeof name !== 'string') throw FIELDS.wrong('start.mediaFormat.encoding', name, 'the name of a codec');
  // Some write the rate behind the name, as in the document.
  const [media = '', inName] = name.split(/;\s*rate=/, 2);
  const rate = sampleRate ?? inName ?? held.rate;
  const codec = `${media}/${shown(rate)}`;
  const encoding = ENCODING_NAMES.get(media.trim().toLowerCase());
  const known = RATES.find((one) => one === Number(rate));
  if (encoding === undefined || known === undefined) return { input: undefined, codec };
  if (encoding === 'mulaw') return { input: known === MULAW_8K.rate ? MULAW_8K : undefined, codec };
  return { input: { encoding, rate: known }, codec };
}

function shown(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 20) : kindOf(value);
}

/** An object, JSON, or `name=value` with `;` or `,` between them: the pages and the clients of Plivo show all of these. */
function params(value: unknown): Params {
  if (isRecord(value)) return textEntries(value);
  if (typeof value !== 'string') return {};
  const text = value.trim();
  if (text.startsWith('{')) {
    try {
      const parsed: unknown = JSON.parse(text);
      return isRecord(parsed) ? textEntries(parsed) : {};
    } catch {
      return {};
    }
  }
  const entries: [string, string][] = [];
  for (const pair of text.split(/[;,]/)) {
    const at = pair.indexOf('=');
    if (at > 0) entries.push([pair.slice(0, at).trim(), pair.slice(at + 1).trim()]);
  }
  return Object.fromEntries(entries);
}

function reasonOf(message: MediaMessage): string {
  const found = message['reason'] ?? message['message'] ?? message['error'];
  return typeof found === 'string' && found !== '' ? found.slice(0, 200) : 'no reason was given';
}
