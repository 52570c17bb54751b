import { type AudioFormat, type Encoding, PCM16_24K, RATES } from '../audio/format.ts';
import { isRecord } from '../is-record.ts';

type Json = Readonly<Record<string, unknown>>;

/** What audio of a connection to a provider is; undefined: something that no WAV file of a recording can hold. */
export interface WireFormats {
  /** To the provider. */
  input: AudioFormat | undefined;
  output: AudioFormat | undefined;
}

/** What all families take and give when nothing else was agreed. */
export function usualFormats(): WireFormats {
  return { input: PCM16_24K, output: PCM16_24K };
}

/** Reads what a message of either side, of any family, says of the audio to come. */
export function learnFormats(formats: WireFormats, message: Json): void {
  const { type, session, event } = message;
  if (typeof type === 'string') {
    if (type.startsWith('session.') && isRecord(session)) learnSession(formats, session);
  } else if (isRecord(event)) {
    learnNova(formats, event);
  } else {
    learnGemini(formats, message);
  }
}

/** The several spellings of one family: nested, flat, and one format for both ways. */
function learnSession(formats: WireFormats, session: Json): void {
  const { audio } = session;
  if (isRecord(audio)) {
    const both = nested(audio['format']);
    const input = isRecord(audio['input']) ? nested(audio['input']['format']) : undefined;
    const output = isRecord(audio['output']) ? nested(audio['output']['format']) : undefined;
    set(formats, 'input', input ?? both);
    set(formats, 'output', output ?? both);
  }
  set(formats, 'input', flat(session['input_audio_format'], session['input_audio_sampling_rate']));
  set(formats, 'output', flat(session['output_audio_format'], undefined));
}

function learnNova(formats: WireFormats, event: Json): void {
  const { contentStart, promptStart } = event;
  if (isRecord(contentStart)) {
    set(formats, 'input', hertz(contentStart['audioInputConfiguration']));
    set(formats, 'output', hertz(contentStart['audioOutputConfiguration']));
  }
  if (isRecord(promptStart)) set(formats, 'output', hertz(promptStart['audioOutputConfiguration']));
}

function learnGemini(formats: WireFormats, { realtimeInput, serverContent }: Json): void {
  if (isRecord(realtimeInput)) {
    const chunks = realtimeInput['mediaChunks'];
    set(formats, 'input', blob(realtimeInput['audio'] ?? (Array.isArray(chunks) ? chunks[0] : undefined)));
  }
  if (!isRecord(serverContent) || !isRecord(serverContent['modelTurn'])) return;
  const { parts } = serverContent['modelTurn'];
  if (!Array.isArray(parts)) return;
  for (const part of parts) if (isRecord(part)) set(formats, 'output', blob(part['inlineData']));
}

/** A format, `null` for one that no file can hold, undefined when nothing was said. */
type Said = AudioFormat | null | undefined;

function set(formats: WireFormats, side: 'input' | 'output', said: Said): void {
  if (said !== undefined) formats[side] = said ?? undefined;
}

const TYPES: ReadonlyMap<unknown, Encoding> = new Map<unknown, Encoding>([
  ['audio/pcm', 'pcm16'],
  ['audio/pcmu', 'mulaw'],
  ['audio/pcma', 'alaw'],
]);

function nested(format: unknown): Said {
  if (!isRecord(format) || format['type'] === undefined) return undefined;
  const encoding = TYPES.get(format['type']);
  return made(encoding, format['rate'] ?? (encoding === 'pcm16' ? PCM16_24K.rate : 8000));
}

const FLAT: ReadonlyMap<string, Encoding> = new Map<string, Encoding>([
  ['g711_ulaw', 'mulaw'],
  ['g711_alaw', 'alaw'],
]);

/** `pcm16`, `pcm16_8000hz`, `g711_ulaw`; the rate may stand beside it. */
function flat(name: unknown, rate: unknown): Said {
  if (typeof name !== 'string') return undefined;
  const law = FLAT.get(name);
  if (law !== undefined) return made(law, 8000);
  const [, named] = /^pcm16(?:[_-](\d+)hz)?$/.exec(name) ?? [name, 'none'];
  return made('pcm16', typeof rate === 'number' ? rate : Number(named ?? PCM16_24K.rate));
}

function hertz(configuration: unknown): Said {
  if (!isRecord(configuration)) return undefined;
  const { sampleRateHertz = PCM16_24K.rate, mediaType = 'audio/lpcm' } = configuration;
  return made(mediaType === 'audio/lpcm' ? 'pcm16' : undefined, sampleRateHertz);
}

function blob(value: unknown): Said {
  if (!isRecord(value)) return undefined;
  const type = value['mimeType'] ?? value['mime_type'];
  if (typeof type !== 'string') return undefined;
  const [, rate] = /;\s*rate=(\d+)/i.exec(type) ?? [];
  if (!/^audio\/(?:pcm|l16)\b/i.test(type)) return type.startsWith('audio/') ? null : undefined;
  return rate === undefined ? undefined : made('pcm16', Number(rate));
}

function made(encoding: Encoding | undefined, rate: unknown): Said {
  const known = RATES.find((one) => one === rate);
  if (encoding === undefined || known === undefined) return null;
  return encoding === 'pcm16' || known === 8000 ? { encoding, rate: known } : null;
}
